"""Weighted products of the columns with each other, which is what the curvature of a linear model
is made of.

A loop over the nonzeros does least where there are few; else rows go through BLAS in buffers that
the cache holds. With 784 columns a row takes BLAS 19 us and the loop 8 where a fifth are nonzero,
124 where all are.
"""

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.linalg.symmetric import mirror
from fastgd.objective import kernels
from fastgd.objective.blocks import coarser
from fastgd.objective.cost_model import loops
from fastgd.objective.kernels import NO_ARRAY

# The fewest rows in a buffer that BLAS multiplies by itself: with 1,500 columns a matrix takes 0.55
# of the time with 256 that it takes with 64, with 784 0.8 (least squares 0.53 and 0.63), with 300
# as long.
MIN_ROWS = 256
# Rows whose norms in the metric of a factor are taken at once: with 784 columns a row takes 25 us,
# 31 with 64 rows; with 30 columns 0.09, 0.13 with 256 rows, 0.11 with 4,096.
TILE = 1024
# Each block of a curvature matrix has a matrix of its own to clear and to add: worth it for so many
# values.
MIN_PER_BLOCK = 20_000
MAX_MATRICES = 8
# Values in the blocks' matrices where they may not depend on the storage: 8 MB.
ALIKE_VALUES = 1_000_000
# Slots for each column at its own place.
ALL = np.empty(0, dtype=np.int32)


def add_gram(rows, slots, curvatures, ranges, cuts, first, last, matrices, row_length=np.inf):
    """Sum of curvatures[i] (x_i, 1)(x_i, 1)' over the blocks `first` to `last` - 1, into
    `matrices`, (n, d + 1, d + 1).

    Block b is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`, each from its first row to one past
    its last. The lower triangles are filled, at least. `row_length` is the mean number of nonzeros.
    Where `slots` is not empty, d is the number of columns j with slots[j] >= 0, which is the place
    of column j.
    """
    if loops(rows, row_length):
        kernels.gram(rows, slots, curvatures, ranges, cuts, first, last, matrices, NO_ARRAY)
        return
    columns = _columns_of(slots)
    for b in range(first, last):
        _add_by_blas(rows, columns, curvatures, merged(ranges[cuts[b] : cuts[b + 1]]), matrices[b])


def _columns_of(slots):
    """Columns in the order of their slots, or None for all of them as they are."""
    if slots.size == 0:
        return None
    order = np.argsort(slots)[np.count_nonzero(slots < 0) :]
    return None if np.array_equal(order, np.arange(slots.size)) else order


def _add_by_blas(rows, columns, curvatures, ranges, matrix):
    d = matrix.shape[0] - 1
    first, stop = ranges[0]
    alike = columns is None and len(ranges) == 1 and rows.dtype == np.float64
    if (
        alike
        and curvatures[first] == curvatures[stop - 1]
        and (curvatures[first:stop] == curvatures[first]).all()
    ):
        _add_alike(rows, first, stop, curvatures[first], matrix)
        return
    length = max(MIN_ROWS, VALUES // (d + 1))
    most = min(length, stop - first) if len(ranges) == 1 else length
    # In the order of the values it takes half the time.
    down, right = rows.storage.values.strides
    buffer = np.empty((most, d + 1), order="F" if down < right else "C")
    for chosen in tiles(ranges, length):
        roots = np.sqrt(curvatures[chosen])
        part = buffer[: roots.size]
        np.multiply(rows.part(chosen, columns), roots[:, None], out=part[:, :d])
        part[:, d] = roots
        matrix += part.T @ part


def _add_alike(rows, first, stop, curvature, matrix):
    """The rows of a loss of constant curvature need no buffer: a third of the time with 9
    columns.
    """
    length = max(MIN_ROWS, VALUES // (rows.shape()[1] + 1))
    for start in range(first, stop, length):
        _add_products(rows.part(slice(start, min(start + length, stop))), curvature, matrix)


def _add_products(part, curvature, matrix):
    """Curvature * sum of (x_i, 1)(x_i, 1)' over a few rows; without the 1 where the matrix has
    no room for it.
    """
    d = part.shape[1]
    matrix[:d, :d] += curvature * (part.T @ part)
    if len(matrix) > d:
        sums = np.full(len(part), curvature) @ part
        matrix[d, :d] += sums
        matrix[:d, d] += sums
        matrix[d, d] += curvature * len(part)


def matrix_cuts(F):
    """Cuts of an objective's `range_cuts` into the blocks that have a matrix of their own, kept
    with it.

    More than two matrices take no more than a tenth of X.
    """
    if F.matrix_cuts is None:
        stored, n_blocks = F.rows.stored(), MAX_MATRICES
        while n_blocks > 2 and n_blocks * (F.n_features + 1) ** 2 > 0.1 * stored:
            n_blocks //= 2
        F.matrix_cuts = coarser(
            F.range_cuts, min(max(int(F.share * stored / MIN_PER_BLOCK), 1), n_blocks)
        )
    return F.matrix_cuts


def gram_sum(part, alike, curvatures):
    """Sum of curvatures[i] (x_i, 1)(x_i, 1)' over the rows of a part, (d + 1, d + 1), in memory
    that the next call uses again: one pass.

    With `alike` dense and CSR rows give the same bits.
    """
    F = part
    cuts = matrix_cuts(part)
    length = part.row_length
    if alike:
        cuts = coarser(F.range_cuts, max(ALIKE_VALUES // (F.n_features + 1) ** 2, 1))
        length = 0.0
    # In the memory of the last ones: new pages took 7 of the 10 ms of a matrix of 4,680 rows
    # and 510 columns.
    if F.matrices is None or len(F.matrices) != cuts.size - 1:
        F.matrices = np.empty((cuts.size - 1, F.n_features + 1, F.n_features + 1))
    data, matrices = (F.rows, ALL, curvatures, F.ranges, cuts), F.matrices

    def work(first, last):
        matrices[first:last] = 0.0  # here, so that threads share the faults of new pages
        add_gram(*data, first, last, matrices, length)

    F.map_blocks(work, len(matrices))
    return _sum_of_matrices(matrices, loops(F.rows, length))


def _sum_of_matrices(matrices, lower=False):
    """Sum of the blocks' matrices, of which the `lower` triangle may be all there is, in the first
    of them.
    """
    matrix = matrices[0]
    for block in matrices[1:]:
        matrix += block
    if lower:
        mirror(matrix)
    return matrix


def assemble(F, total):
    """A sum over the rows as the curvature of F, in a matrix of its own."""
    matrix = total / F.n_active
    F.term.add_curvature(matrix[: F.n_features, : F.n_features])
    return matrix[: F.size, : F.size]


def quadratic(F, v):
    """(smooth part of F, its gradient, its curvature) at `v`, for a loss of constant curvature.

    One pass for squares of float64 rows, where BLAS does it all, else two, of one reading.
    """
    rows, samples = F.rows, F.samples
    plain = F.loss.squared and samples.weights.size == 1 and F.parent is None and not rows.sparse
    if not plain or rows.dtype != np.float64:
        if not rows.in_memory:
            return F.smooth_and_curvature(v)
        curvatures = np.empty(F.n_samples)
        value, gradient = F.smooth_and_gradient(v, curvatures)
        return value, gradient, F.gram(curvatures)
    coef, intercept = F.split(v)
    total, gradient, matrix = F.sum_over_parts(_sums_of_squares, coef, intercept)
    gradient /= F.n_active
    value = float(total) / F.n_active + F.term.add_gradient(coef, gradient[: coef.size])
    return value, gradient, assemble(F, matrix)


def _sums_of_squares(part, coef, intercept):
    """Sum of the squares of a part, their gradient and their curvature: one pass."""
    F = part
    cuts, size = F.cuts[matrix_cuts(F)], F.size
    totals, gradients = np.zeros(cuts.size - 1), np.zeros((cuts.size - 1, size))
    matrices = np.zeros((cuts.size - 1, size, size))

    def work(first, last):
        for b in range(first, last):
            where = cuts[b], cuts[b + 1]
            totals[b] = _add_squares(
                F.rows, F.samples, coef, intercept, *where, gradients[b], matrices[b]
            )

    # Steps of Python between calls of BLAS keep threads waiting for each other, until the calls
    # take long.
    F.map_blocks(work, cuts.size - 1, F.rows.stored() * (size + 10) // 200)
    return totals.sum(), gradients.sum(axis=0), _sum_of_matrices(matrices)


def _add_squares(rows, samples, coef, intercept, first, stop, gradient, matrix):
    """Sum of 1/2 (z_i - y_i)^2 over the rows `first` to `stop` - 1; its gradient and curvature are
    added to.

    These are of size d or, with the intercept, d + 1.
    """
    total = 0.0
    d = rows.shape()[1]
    length, moved = max(MIN_ROWS, VALUES // (d + 1)), coef.any()
    for start in range(first, stop, length):
        own = slice(start, min(start + length, stop))
        part = rows.part(own)
        few = samples.part(own)
        residuals = intercept - few.targets
        residuals += few.offsets
        if moved:
            residuals += part @ coef
        total += 0.5 * float(residuals @ residuals)
        gradient[:d] += residuals @ part
        gradient[d:] += residuals.sum()
        _add_products(part, 1.0, matrix)
    return total


def largest_norm(rows, weights, factor, first, stop):
    """Greatest |(x_i, 1) F|^2 over the dense rows with weight from `first` to `stop` - 1.

    `factor` is F, (d + 1, d + 1), or (d, d) without the 1.
    """
    d = rows.shape()[1]
    largest = 0.0
    for start in range(first, stop, TILE):
        chosen = rows.part(slice(start, min(start + TILE, stop)))
        product = chosen @ factor[:d]
        if factor.shape[0] > d:
            product += factor[d]
        own = weights[start : start + len(chosen)] if weights.size > 1 else weights
        counts = np.broadcast_to(own, len(chosen)) > 0.0
        largest = max(
            largest, float(np.einsum("ij,ij->i", product, product)[counts].max(initial=0.0))
        )
    return largest


def merged(ranges):
    """One range where each begins with the end of the one before."""
    if len(ranges) == 1:
        return ranges
    adjacent = (ranges[1:, 0] == ranges[:-1, 1]).all()
    return np.array([[ranges[0, 0], ranges[-1, 1]]]) if adjacent else ranges


def tiles(ranges, length):
    """Slices or arrays of rows, at most `length` long, that cover the ranges."""
    if len(ranges) == 1:
        first, stop = ranges.tolist()[0]
        yield from (slice(start, min(start + length, stop)) for start in range(first, stop, length))
        return
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
