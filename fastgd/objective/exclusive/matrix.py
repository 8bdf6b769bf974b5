"""Curvature matrices with exclusive columns apart, formed in one reading of the rows, and what
that costs.

Rows are read in the order of their exclusive column: what it has with the others is summed in one
line of numbers, and each of them is written once.
"""

import numpy as np
import scipy.sparse as sp

from fastgd.linalg.bordered import Bordered
from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import mirror
from fastgd.objective.cost_model import LOOP_COST, OUT_OF_ORDER, pass_cost
from fastgd.objective.exclusive import kernels
from fastgd.objective.exclusive.columns import find_exclusive
from fastgd.objective.gram import MAX_MATRICES
from fastgd.objective.measured import measured_once

# Units that a row's norm is rounded by, of the square of what it is made of.
NORM_ROUNDINGS = 16.0
# Exclusive columns that are asked how many others they meet, and their rows: 2 ms.
MAX_SAMPLED = 64
ROWS_SAMPLED = 30_000


class BorderedCurvature:
    """Curvature matrices of an objective, exclusive columns apart.

    Parameters
    ----------
    objective : Objective
        Of all rows, or of some of them (`fastgd.objective.subset.on_groups`).

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 1.0]]), np.zeros(2))
    >>> matrix = BorderedCurvature(F).at(np.ones(2))
    >>> np.array_equal(matrix.toarray(), F.gram(np.ones(2)))
    True
    """

    def __init__(self, objective):
        F = self.objective = objective
        self.columns = find_exclusive(F)
        intercept = np.arange(F.n_features, F.size)
        self._rest = np.concatenate([self.columns.rest, intercept])

    def at(self, curvatures):
        """Mean of curvatures[i] (x_i, 1)(x_i, 1)' plus L2, a `Bordered`: one pass.

        As `Objective.gram`.
        """
        F, columns = self.objective, self.columns
        order, starts = measured_once(F, rows_by_column)
        size, n_first = self._rest.size, columns.first.size
        cuts, groups, offsets = self._cuts(starts)
        n_blocks = cuts.size - 1
        blocks = np.empty((n_blocks, size, size))
        diagonal, lengths = np.zeros(n_first), np.zeros(n_first, np.int64)
        places, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1])
        data = F.rows, columns.codes, F.fit_intercept, curvatures
        in_order = kernels.InOrder(order, starts, cuts, groups)
        pairs = kernels.Pairs(offsets, lengths, places, values)

        def work(first, last):
            blocks[first:last] = 0.0
            kernels.add_bordered(*data, in_order, first, last, diagonal, pairs, blocks)

        F.map_blocks(work, n_blocks)
        coupling = self._coupling(groups, lengths, offsets, places, values)
        block = self._assembled(blocks)
        return Bordered(columns.first, self._rest, diagonal / F.n_active + F.l2, coupling, block)

    def longest_row(self, factor):
        """Greatest |(x_i, 1)| in the norm of the inverse curvature, of a `BorderedFactor`.  One
        pass.

        As `fastgd.certificates.newton_decrement.longest_row`.
        """
        F, B = self.objective, factor.matrix().coupling
        order, starts = measured_once(F, rows_by_column)
        cuts, groups, _ = self._cuts(starts)
        inverse, reciprocals = factor.inverse_of_others(), factor.reciprocals
        norms, squares = np.zeros(cuts.size - 1), np.zeros(reciprocals.size)
        data = F.rows, self.columns.codes, F.fit_intercept, F.samples
        in_order = kernels.InOrder(order, starts, cuts, groups)
        border = kernels.Border(B.indptr, B.indices, B.data, reciprocals, inverse)

        def work(first, last):
            kernels.longest_rows(*data, in_order, first, last, border, norms, squares)

        F.map_blocks(work, norms.size)
        # What cancels between the terms of a norm is rounded in units of them.
        lengths = np.sqrt(
            factor.matrix().joined(reciprocals + squares, np.maximum(np.diag(inverse), 0.0))
        )
        terms = float(F.largest() @ lengths[: F.n_features]) + float(lengths[F.n_features :].sum())
        return float(np.sqrt(norms.max() + NORM_ROUNDINGS * EPS * terms**2))

    def _cuts(self, starts):
        """Where blocks of the order begin, of which group, and the room for what each may find.

        A group of an exclusive column is in one block; more than two blocks have matrices of a
        tenth of X at most.
        """
        F, size = self.objective, self._rest.size
        n_blocks = MAX_MATRICES
        while n_blocks > 2 and n_blocks * size**2 > 0.1 * F.rows.stored():
            n_blocks //= 2
        n_rows, alone = int(starts[-1]), starts[-2]
        cuts = n_rows * np.arange(n_blocks + 1) // n_blocks
        begins = np.searchsorted(starts[:-1], cuts)
        within = cuts < alone  # rows without an exclusive column may be cut anywhere
        cuts[within] = starts[begins[within]]
        groups = np.minimum(begins, starts.size - 2)
        longest = np.minimum(np.diff(starts[:-1]) * self._longest_row(), size)
        offsets = np.concatenate([[0], np.cumsum(longest)])[groups]
        return cuts, groups, offsets

    def _longest_row(self):
        """Nonzeros of the longest row, the intercept included."""
        rows = self.objective.rows
        stored = rows.storage
        longest = (
            int(np.diff(stored.starts.view(np.int64)).max()) if rows.sparse else rows.shape()[1]
        )
        return longest + 1

    def _coupling(self, groups, lengths, offsets, places, values):
        """What the exclusive columns have with the others, in one matrix."""
        ends = np.concatenate([[0], np.cumsum(lengths)])
        used = [
            slice(offset, offset + ends[last] - ends[first])
            for offset, first, last in zip(offsets[:-1], groups[:-1], groups[1:], strict=True)
        ]
        places = np.concatenate([places[own] for own in used])
        values = np.concatenate([values[own] for own in used]) / self.objective.n_active
        return sp.csr_array((values, places, ends), shape=(lengths.size, self._rest.size))

    def _assembled(self, blocks):
        """Sum of the blocks' lower triangles, the whole matrix, with L2 on the columns."""
        F, block = self.objective, blocks[0]
        for other in blocks[1:]:
            block += other
        block /= F.n_active
        mirror(block)
        columns = np.arange(self.columns.rest.size)
        block[columns, columns] += F.l2
        return block.copy()


def rows_by_column(objective):
    """Rows in the order of their exclusive column, and where those of each begin; last of all those
    without one.
    """
    F, columns = objective, find_exclusive(objective)
    n_rows = int(np.diff(F.ranges, axis=1).sum())
    starts = np.zeros(columns.first.size + 2, np.int64)
    order, group = np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    kernels.group_rows(F.rows, columns.codes, F.ranges, group, starts, order)
    return order, starts


def mean_square_met(objective):
    """Mean square of how many of the others an exclusive column meets, by some of them."""
    F, columns = objective, find_exclusive(objective)
    order, starts = measured_once(F, rows_by_column)
    n_first = columns.first.size
    few = min(MAX_SAMPLED, max(ROWS_SAMPLED * n_first // max(starts[-2], 1), 1))
    sampled = np.unique(np.linspace(0, n_first - 1, min(int(few), n_first)).astype(int))
    total = 0.0
    for k in sampled:
        rows = F.rows.take(np.sort(order[starts[k] : starts[k + 1]]))
        met = n_different(rows.indices) if F.rows.sparse else np.count_nonzero(rows.any(axis=0))
        total += float(met) ** 2
    return total / max(sampled.size, 1)


def n_different(numbers):
    """How many different ones there are: sorted, for `np.unique` hashes and takes six times as long
    (20,000: 2.1 ms for 0.35).
    """
    kept = np.sort(numbers)
    return min(kept.size, 1) + int(np.count_nonzero(kept[1:] != kept[:-1]))


def bordered_cost(objective, columns=None):
    """Such a matrix in passes' worth of time, its Schur complement included: without `columns` the
    reading alone.
    """
    F = objective
    length = min(F.row_length, F.rows.stored() / F.n_samples) + 1.0
    time = (OUT_OF_ORDER + LOOP_COST * length**2) * F.n_samples
    if columns is not None:
        time += 0.5 * LOOP_COST * columns.first.size * measured_once(F, mean_square_met)
    return time / pass_cost(F)
