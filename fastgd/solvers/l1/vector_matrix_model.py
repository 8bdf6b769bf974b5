"""The model of a proximal Newton step for K predictions, by a matrix of each and past steps.

    g'e + e' B e / 2 + l1 |w + e|_1,    B = P + sum_r c_r u_r u_r'

P has the curvature of each prediction by itself, of some columns and of the intercept, as in
`fastgd.solvers.newton.vector_blocks`; what predictions share comes from the pairs (s, y) of past
steps, each of which makes B s = y by two ranks (BFGS): y y' / s'y - B s (B s)' / s'B s.  A
coordinate of the descent takes as many numbers as one matrix is wide.  P is not made as long as the
last pair says, which cut 31 of 51 steps (1,797 x 64, 10 classes, 0.01 of the greatest alpha, to a
proved 1e-6) where now one of 42 is.
"""

from dataclasses import dataclass

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.objective import kernels as objective_kernels
from fastgd.objective.gram import add_gram
from fastgd.objective.subset import represent
from fastgd.objective.vector_map import samples_of
from fastgd.runtime.array_shapes import shaped
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.l1 import kernels
from fastgd.solvers.quasi_newton import is_curved

# Rows that matrices are of: so many for each column, at least so many, in runs of so many.
ROWS_PER_COLUMN = 8
MIN_ROWS = 2000
RUN = 16
# The diagonal has at least this share of what mean curvature and all rows would give it: a sample
# may not show a column at all.
MIN_SHARE = 1e-4
MAX_EPOCHS = 200


@dataclass
@shaped(columns="int64 * in 0:d", matrices="* *")
class Blocks:
    """P without the penalty.

    Attributes
    ----------
    columns : list of ndarray
        Of each prediction, ascending.
    matrices : list of ndarray
        Curvature of the mean loss in these columns and, last, the intercept.
    """

    columns: list
    matrices: list

    def hold(self, wanted):
        """Whether each prediction has the curvature of all of its `wanted` columns."""
        pairs = zip(wanted, self.columns, strict=True)
        return all(np.isin(own, held, assume_unique=True).all() for own, held in pairs)


def blocks_at(F, v, columns):
    """`Blocks` of these columns at `v`, of some of the rows."""
    k, d, n = F.n_predictions, F.n_features, F.n_samples
    widest = max(own.size for own in columns)
    ranges = _some_rows(n, max(ROWS_PER_COLUMN * widest, MIN_ROWS))
    if not represent(F, ranges):
        ranges = _some_rows(n, n)
    curvatures, total = _diagonals(F, v, ranges)
    matrices = [np.zeros((1, own.size + 1, own.size + 1)) for own in columns]
    cuts = np.array([0, len(ranges)])

    def work(first, last):
        for c in range(first, last):
            slots = np.full(d, -1, dtype=np.int32)
            slots[columns[c]] = np.arange(columns[c].size)
            add_gram(F.rows, slots, curvatures[c], ranges, cuts, 0, 1, matrices[c])

    n_rows = int(np.diff(ranges).sum())
    map_ranges(work, k, F.n_threads, n_rows * widest * k)
    F.meter.count(n_rows / n)
    squares = np.append(np.square(F.root_mean_squares()), 1.0)
    found = []
    for c, own in enumerate(columns):
        matrix = np.tril(matrices[c][0]) / total
        matrix += np.tril(matrix, -1).T
        diagonal = np.diag_indices(own.size + 1)
        least = MIN_SHARE * curvatures[c].sum() / total * squares[np.append(own, d)]
        matrix[diagonal] = np.maximum(matrix[diagonal], least) * (1.0 + 1e-10)
        found.append(matrix)
    return Blocks(columns, found)


def _diagonals(F, v, ranges):
    """Weight * second derivative of the rows in `ranges`, (K, n), and the sum of their weights."""
    coef, intercept = F.split(v)
    coef = np.ascontiguousarray(coef)
    found, length = np.zeros((F.n_predictions, F.n_samples)), max(VALUES // F.n_features, RUN)
    total, weights = 0.0, F.samples.weights
    for first, stop in ranges.tolist():
        for begin in range(first, stop, length):
            chosen = slice(begin, min(begin + length, stop))
            predictions = np.ascontiguousarray(F.rows.part(chosen) @ coef)
            out = np.empty(predictions.shape)
            data = F.loss, *samples_of(F.samples, chosen), intercept
            objective_kernels.vector_diagonals(*data, predictions, out)
            found[:, chosen] = np.maximum(out, 0.0).T
            total += float(weights[chosen].sum()) if weights.size > 1 else len(out)
    return found, total


def _some_rows(n, most):
    """Runs of rows, evenly spread, (runs, 2): all rows where there are no more than `most`."""
    if n <= most:
        return np.array([[0, n]])
    starts = np.arange(most // RUN) * n // (most // RUN)
    return np.stack([starts, np.minimum(starts + RUN, n)], axis=1)


class VectorMatrixModel:
    """The model at a point, in the columns of `Blocks`.

    Parameters
    ----------
    F : Objective
    blocks : Blocks
    point, gradient : ndarray, (size,)
        Unknowns, and the gradient of the smooth part of F.
    pairs : list of (ndarray, ndarray)
        Steps and what they changed in that gradient, the oldest first.
    """

    def __init__(self, F, blocks, point, gradient, pairs):
        k, d = F.n_predictions, F.n_features
        ends = [d] if F.fit_intercept else []
        own = [
            np.append(part, ends).astype(np.int64) * k + c for c, part in enumerate(blocks.columns)
        ]
        self.F, self.places = F, np.concatenate(own)
        self.starts = np.concatenate([[0], np.cumsum([part.size for part in own])])
        self.unknowns, self.gradient = point[self.places], gradient[self.places]
        self.penalised = self.places < d * k
        local = [(s[self.places], y[self.places]) for s, y in pairs]
        local = [pair for pair in local if is_curved(*pair)]
        self.matrices = self._penalised(blocks)
        self.ranks = self._ranks(local)

    def _penalised(self, blocks):
        """The matrices with the curvature of the penalty."""
        found = []
        for size, one, own in zip(
            np.diff(self.starts), blocks.matrices, blocks.columns, strict=True
        ):
            matrix = one[:size, :size].copy()
            matrix[np.arange(own.size), np.arange(own.size)] += self.F.l2
            found.append(matrix)
        return found

    def _ranks(self, pairs):
        """u_r in the columns of a table, and c_r."""
        rows, numbers = np.zeros((2 * len(pairs), self.places.size)), np.zeros(2 * len(pairs))
        n = 0
        for s, y in pairs:
            image = self._by_blocks(s) + (numbers[:n] * (rows[:n] @ s)) @ rows[:n]
            along = float(s @ image)
            if along > 0.0:
                rows[n], rows[n + 1] = y / np.sqrt(float(s @ y)), image / np.sqrt(along)
                numbers[n : n + 2] = 1.0, -1.0
                n += 2
        return np.ascontiguousarray(rows[:n].T), numbers[:n]

    def _by_blocks(self, s):
        parts = zip(self.matrices, self.starts[:-1], self.starts[1:], strict=True)
        return np.concatenate([matrix @ s[first:stop] for matrix, first, stop in parts])

    def step(self, tolerance):
        """The step to the minimum, (size,), up to changes of derivatives of `tolerance`."""
        before = self.unknowns.copy()
        matrices = np.concatenate([matrix.ravel() for matrix in self.matrices])
        numbers = self.gradient, self.unknowns, np.where(self.penalised, self.F.l1, 0.0)
        kernels.vector_matrix_descent(
            matrices, self.starts, self.ranks, *numbers, tolerance, MAX_EPOCHS
        )
        step = np.zeros(self.F.size)
        step[self.places] = self.unknowns - before
        return step
