"""Weighted products of the columns with each other, which is what the curvature of a linear model is made of.

A loop over the nonzeros does least where there are few; else rows go through BLAS in buffers that the cache holds.
With 784 columns a row takes BLAS 19 us and the loop 8 where a fifth are nonzero, 124 where all are.
"""

import numpy as np

from fastgd.kernels import passes

# Values in a buffer of rows that BLAS multiplies by itself, and the fewest rows in one.
BUFFER, LEAST_ROWS, CHUNK = 1 << 16, 64, 1024
# A step of the loop takes as long as this many of BLAS's.
LOOP_STEP = 11.0
# Slots for each column at its own place.
ALL = np.empty(0, dtype=np.int32)


def loops(rows, row_length):
    """Whether the loop over the nonzeros, `row_length` of them in a row, is the faster way."""
    return rows.sparse or LOOP_STEP * row_length**2 < rows.shape()[1] ** 2


def add_gram(rows, slots, curvatures, ranges, cuts, first, last, matrices, row_length=np.inf):
    """Sum of curvatures[i] (x_i, 1)(x_i, 1)' over the blocks `first` to `last` - 1, into `matrices`, (n, d + 1, d + 1).

    Block b is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`, each from its first row to one past its last. The lower
    triangles are filled, at least. `row_length` is the mean number of nonzeros. Where `slots` is not empty, d is the
    number of columns j with slots[j] >= 0, which is the place of column j.
    """
    if loops(rows, row_length):
        passes.gram(rows, slots, curvatures, ranges, cuts, first, last, matrices)
        return
    columns = np.argsort(slots)[np.count_nonzero(slots < 0) :]
    if np.array_equal(columns, np.arange(slots.size)):
        columns = None
    for b in range(first, last):
        _add_dense(rows.values, columns, curvatures, _merged(ranges[cuts[b] : cuts[b + 1]]), matrices[b])


def _add_dense(values, columns, curvatures, ranges, matrix):
    d = matrix.shape[0] - 1
    first, stop = ranges[0]
    alike = columns is None and len(ranges) == 1 and values.dtype == np.float64
    if alike and (curvatures[first:stop] == curvatures[first]).all():
        _add_alike(values[first:stop], curvatures[first], matrix)
        return
    length = max(LEAST_ROWS, BUFFER // (d + 1))
    buffer = np.empty((length, d + 1))
    for chosen in _chunks(ranges, length):
        roots = np.sqrt(curvatures[chosen])
        part = buffer[: roots.size]
        own = values[chosen] if columns is None else values[chosen][:, columns]
        np.multiply(own, roots[:, None], out=part[:, :d])
        part[:, d] = roots
        matrix += part.T @ part


def _add_alike(values, curvature, matrix):
    """The rows of a loss of constant curvature need no buffer: a third of the time with 9 columns."""
    d = values.shape[1]
    length = max(LEAST_ROWS, BUFFER // (d + 1))
    for start in range(0, len(values), length):
        part = values[start : start + length]
        matrix[:d, :d] += curvature * (part.T @ part)
        sums = np.full(len(part), curvature) @ part
        matrix[d, :d] += sums
        matrix[:d, d] += sums
        matrix[d, d] += curvature * len(part)


def largest_norm(values, weights, factor, roots, first, stop, out):
    """Greatest |(x_i, 1) F| over dense rows with weight, squared, into `out[0]`; greatest |x_i| . roots into `out[1]`.

    `factor` is F, (d + 1, d + 1), or (d, d) without the 1.
    """
    d = values.shape[1]
    for start in range(first, stop, CHUNK):
        chosen = values[start : min(start + CHUNK, stop)]
        product = chosen @ factor[:d]
        if factor.shape[0] > d:
            product += factor[d]
        own = weights[start : start + len(chosen)] if weights.size > 1 else weights
        counts = np.broadcast_to(own, len(chosen)) > 0.0
        out[0] = max(out[0], np.einsum("ij,ij->i", product, product)[counts].max(initial=0.0))
        out[1] = max(out[1], (np.abs(chosen) @ roots)[counts].max(initial=0.0))


def sum_of_squares(rows, weights, ranges):
    """Weighted sum of x^2 of each column over the rows in `ranges`, (d,); `weights` is one number or one for each."""
    total, matrix = np.zeros(rows.shape()[1]), rows.matrix() if rows.sparse else None
    for chosen in _chunks(ranges, CHUNK):
        weight = weights[chosen] if weights.size > 1 else weights
        if matrix is None:
            part = np.square(rows.values[chosen], dtype=np.float64)
            total += (weight[:, None] * part).sum(axis=0)
        else:
            part = matrix[chosen]
            weight = np.repeat(np.broadcast_to(weight, part.shape[:1]), np.diff(part.indptr))
            total += np.bincount(part.indices, weight * np.square(part.data, dtype=np.float64), total.size)
    return total


def _merged(ranges):
    """One range where each begins with the end of the one before."""
    adjacent = (ranges[1:, 0] == ranges[:-1, 1]).all()
    return np.array([[ranges[0, 0], ranges[-1, 1]]]) if adjacent else ranges


def _chunks(ranges, length):
    """Slices or arrays of rows, at most `length` long, that cover the ranges."""
    lengths = ranges[:, 1] - ranges[:, 0]
    if lengths.sum() >= length * lengths.size:
        for first, stop in ranges:
            for start in range(first, stop, length):
                yield slice(start, min(start + length, stop))
        return
    # Many short ranges: which rows they hold, at once.
    starts = np.repeat(ranges[:, 0] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    rows = np.arange(lengths.sum()) + starts
    for start in range(0, rows.size, length):
        yield rows[start : start + length]
