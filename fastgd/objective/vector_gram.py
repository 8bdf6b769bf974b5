"""The curvature of an objective with K predictions for each row as one matrix.

Its blocks of two predictions k and l are X' D X with D the (k, l) entries of the rows' second
derivatives.  Where a common shift of all predictions changes nothing, those of the last prediction
are what is left of the others, and are not formed.
"""

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.objective import kernels
from fastgd.objective.blocks import coarser
from fastgd.objective.gram import merged, tiles
from fastgd.objective.vector_map import VectorMap
from fastgd.runtime.threads import MIN_PER_THREAD, map_ranges

# Each block of rows has a matrix of its own to clear and to add; more than two take no more than a
# tenth of X.
MAX_MATRICES = 8
# Rows that are multiplied at once, at least.
MIN_ROWS = 32


def vector_gram(F, v):
    """Second derivative of the mean loss plus the smooth part of the penalty at `v`, (size, size),
    unknowns in the order of `v`.  Two passes, and the arithmetic of about d K / 4.
    """
    matrix = _completed(F, F.sum_over_parts(_formed_sum, v) / F.n_active)
    n_coef, step = F.n_features * F.n_predictions, len(matrix) + 1
    if F.term.coupled:
        F.term.add_curvature(matrix[:n_coef, :n_coef])
        return matrix
    matrix.ravel()[: n_coef * step : step] += F.penalty_curvature(v)
    return matrix


def _formed_sum(part, v):
    """Sum over the rows of a part, of the predictions whose blocks are formed, (d, K, d, K)."""
    F = part
    coef, intercept = F.split(v)
    coef = np.ascontiguousarray(coef)
    n_formed = _formed(F)
    d, height = F.n_features + 1, (F.n_features + 1) * n_formed
    most, stored = MAX_MATRICES, F.share * F.rows.stored()
    while most > 2 and most * height**2 > 0.1 * stored:
        most //= 2
    if stored * height <= MIN_PER_THREAD:  # one thread does it, in half the calls of Python
        most = 1
    cuts = coarser(F.range_cuts, most)
    matrices: list = [None] * (cuts.size - 1)
    vector_map = VectorMap(F)
    length = max(MIN_ROWS, VALUES // max(height, 1))  # 0 where there is one class

    def work(first, last):
        for b in range(first, last):
            own = merged(F.ranges[cuts[b] : cuts[b + 1]])
            parts = (
                vector_map.curvatures(chosen, coef, intercept) for chosen in tiles(own, length)
            )
            add = _sparse_sum if F.rows.sparse else _dense_sum
            matrices[b] = add(parts, d, n_formed)

    map_ranges(work, len(matrices), F.n_threads, int(stored) * height)
    F.meter.count(2.0)
    return sum(matrices[1:], matrices[0])


def hold_shifts(F, matrix):
    """Give the common shifts of the predictions, along which F has no curvature, that of other
    directions: nothing changes along what is orthogonal to them, as gradients are.

    The matrix is written over.  Shifts of coefficients have the curvature of their L2 penalty,
    where there is one, or of a quadratic form but for the directions along which it is 0.
    """
    if not F.loss.shift_invariant:
        return matrix
    k, d = F.n_predictions, F.n_features
    if F.term.coupled:
        zero, typical = F.term.flat(), float(matrix.diagonal()[: d * k].mean())
        matrix[: d * k, : d * k] += np.kron(zero @ zero.T, np.full((k, k), typical / k))
        flat = np.empty(0, dtype=int)
    else:
        flat = np.flatnonzero(np.broadcast_to(F.term.curvature(np.zeros(d * k)), d * k)[::k] == 0.0)
    for j in (*flat, *range(d, d + F.fit_intercept)):
        own = slice(j * k, (j + 1) * k)
        matrix[own, own] += matrix.diagonal()[own].mean() / k
    return matrix


def _formed(F):
    """Predictions whose blocks are formed: all but the last where it follows from the others."""
    return F.n_predictions - 1 if F.loss.shift_invariant else F.n_predictions


def _dense_sum(parts, d, n_formed):
    """Sum of curvatures[i, k, l] (x_i, 1)(x_i, 1)' over dense parts of rows, (d, K, d, K)."""
    # By pairs with k <= l, in the order in which BLAS leaves them, and put in place at the end.
    products = [np.zeros((d, (n_formed - k) * d)) for k in range(n_formed)]
    for part, curvatures in parts:
        table = np.empty((len(part), d))
        table[:, :-1], table[:, -1] = part, 1.0
        for k in range(n_formed):
            right = curvatures[:, k, k:n_formed, None] * table[:, None, :]
            products[k] += table.T @ right.reshape(len(part), -1)
    matrix = np.empty((d, n_formed, d, n_formed))
    for k, found in enumerate(products):
        for m in range(k, n_formed):
            matrix[:, k, :, m] = matrix[:, m, :, k] = found[:, (m - k) * d : (m - k + 1) * d]
    return matrix


def _sparse_sum(parts, d, n_formed):
    """The same over compressed parts, by the loop over nonzeros."""
    lower = np.zeros((d * n_formed, d * n_formed))
    for part, curvatures in parts:
        columns, starts = part.indices.astype(np.int64), part.indptr.astype(np.int64)
        kernels.vector_outer(part.data, columns, starts, curvatures, d - 1, n_formed, lower)
    return (np.tril(lower) + np.tril(lower, -1).T).reshape(d, n_formed, d, n_formed)


def _completed(F, formed):
    """The whole matrix, (size, size), from the blocks that were formed."""
    d = F.n_features + 1
    k = F.n_predictions
    size = F.size
    if formed.shape[1] < k:
        whole = np.empty((d, k, d, k))
        whole[:, :-1, :, :-1] = formed
        whole[:, :-1, :, -1] = -formed.sum(axis=3)
        whole[:, -1] = -whole[:, :-1].sum(axis=1)
        formed = whole
    return np.ascontiguousarray(formed.reshape(d * k, d * k)[:size, :size])
