"""Columns that proximal Newton steps move: products with them, their curvature, and themselves
one after the other.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.objective.gram import add_gram
from fastgd.objective.linear_map import LinearMap
from fastgd.solvers.l1 import kernels

# More columns than this have no matrix: 32 MB, and more to read for each coordinate than its column
# holds.  (1,540 nonzero coefficients of 64,553 x 1,545, one-hot columns under next to no penalty:
# proved after 6 steps by matrices, not after 49 on columns, which took four times as long.)  Nor
# have columns whose entries, so many times, are fewer than its numbers: 2500 x 20,000 with 1,700
# nonzero coefficients took 180 times as long by matrices, 30,000 x 2000 as long again with 8
# instead of 4, 1500 x 20,000 with 770 with 1.
WIDEST_MATRIX = 2000
NUMBERS_PER_ENTRY = 4
# Far from the optimum a matrix serves for one step, of which a part is enough; one of so few
# columns costs nothing.
NUMBERS_PER_ENTRY_FAR = 0.25
FEW_COLUMNS = 100
# Each block of rows has a matrix of its own: two blocks where it may be large.
MATRIX_BLOCKS = 4
# Where a step asks for this share of the columns of X, all are sorted: each reading of the rows
# takes as long.
MANY_OF_ALL = 0.5
GOLDEN = np.uint32(2654435769)  # 2^32 / 1.618...
NO_ROWS = np.empty(0, dtype=np.int64)


def scattered(index):
    """Places of these columns in an order in which neighbours of X are far apart, the same for any
    part of the columns.
    """
    return np.argsort(np.asarray(index).astype(np.uint32) * GOLDEN, kind="stable")


class Sorted(NamedTuple):
    """Columns one after the other, the first of them ones.

    Attributes
    ----------
    places : ndarray, (width,)
        Which of them each column is; 0 where it is not there.
    values, numbers : ndarray
        Values and the rows that they are in.
    starts : ndarray
        Column k is between `starts[k]` and `starts[k + 1]`.
    """

    places: np.ndarray
    values: np.ndarray
    numbers: np.ndarray
    starts: np.ndarray

    @classmethod
    def ones(cls, width, n):
        """Nothing but the ones."""
        numbers = np.arange(n, dtype=np.uint32)
        starts = np.array([0, n], dtype=np.uint64)
        return cls(np.zeros(width, dtype=np.int32), np.ones(n), numbers, starts)


class ColumnSubset:
    """Columns that a step may change: rows over them alone, or X itself.

    Parameters
    ----------
    objective : Objective
    rows : Rows
    index : ndarray or None
        Which columns of X the columns of `rows` are; None for X itself.
    """

    def __init__(self, objective, rows, index=None):
        self.objective, self.rows, self.index = objective, rows, index
        self.width, self.is_all = rows.shape()[1], index is None
        self.linear_map = LinearMap(objective, None if self.is_all else rows)
        self._slots: tuple | None = None
        self._counts: np.ndarray | None = None
        self._sorted: Sorted | None = None
        self.known: tuple | None = None  # columns and the matrix that is kept of them

    def products(self, coef):
        """Products x_i . w, (n_samples,)."""
        return self.linear_map.matvec(coef)

    def gradient(self, rows, coef):
        """Gradient of the smooth part of F in these coefficients."""
        F = self.objective
        # In place: with a million columns each temporary costs as much as a tenth of the product.
        gradient = self.linear_map.rmatvec(rows.derivatives)
        gradient /= F.n_active
        if F.l2 > 0.0:
            gradient += F.l2 * coef
        return gradient

    def curvature(self, chosen, curvatures, order=NO_ROWS):
        """Curvature matrix of the mean loss in the chosen coefficients and, last, the intercept:
        its lower triangle.

        The rows in `order` stand for all, where there are any.
        """
        F, size = self.objective, chosen.size
        n_rows = order.size or F.n_samples
        n_blocks = min(MATRIX_BLOCKS if self.width <= WIDEST_MATRIX else 2, n_rows)
        cuts = np.arange(n_blocks + 1) * n_rows // n_blocks
        ranges = np.stack([order, order + 1], axis=1)
        if not order.size:
            ranges, cuts = np.stack([cuts[:-1], cuts[1:]], axis=1), np.arange(n_blocks + 1)
        matrices, slots = np.zeros((n_blocks, size + 1, size + 1)), self.slots(chosen)

        def work(first, last):
            add_gram(self.rows, slots, curvatures, ranges, cuts, first, last, matrices)

        F.map_blocks(work, n_blocks, passes=self.linear_map.share * n_rows / F.n_samples)
        for block in matrices[1:]:
            matrices[0] += block
        matrices[0] *= F.n_samples / n_rows / F.n_active
        return matrices[0]

    def kept_curvature(self, chosen, columns, curvatures):
        """`curvature` that is kept until it is forgotten: computed once for `columns`, the chosen
        among them.
        """
        if self.known is None or not self.knows(columns):
            self.known = columns, self.curvature(columns, curvatures)
        known, matrix = self.known
        if known.size == chosen.size:
            return matrix
        part = np.append(np.searchsorted(known, chosen), known.size)
        return np.ascontiguousarray(matrix[np.ix_(part, part)])

    def knows(self, columns):
        """Whether the matrix that is kept is that of these columns."""
        return self.known is not None and np.array_equal(self.known[0], columns)

    def forget_curvature(self):
        """Compute it anew the next time."""
        self.known = None

    def slots(self, chosen):
        """Table of the place of each column among the chosen, -1 for the others; valid until the
        next call.
        """
        if self._slots is None:
            self._slots = np.full(self.width, -1, dtype=np.int32), chosen
        table, before = self._slots
        table[before] = -1
        table[chosen] = np.arange(chosen.size)
        self._slots = table, chosen
        return table

    def entries(self, index):
        """About how many stored values each of these columns has: counted in a sixteenth of the
        rows, some at a time.
        """
        rows, n = self.rows.storage, self.objective.n_samples
        if not rows.sparse:
            return np.full(index.size, n)
        slots, few = self.slots(index), max(n // 256, 1)
        firsts = np.arange(0, n - few + 1, max(16 * few, 1))
        pieces = [rows.columns[rows.starts[first] : rows.starts[first + few]] for first in firsts]
        found = slots[np.concatenate(pieces)]
        self.objective.meter.count(self.linear_map.share * firsts.size * few / n)
        return (
            n / (firsts.size * few) * (0.5 + np.bincount(found[found >= 0], minlength=index.size))
        )

    def are_swept(self, chosen, far=False, n_nonzero=0, alike=False):
        """Whether coordinate descent goes over the chosen columns themselves, not over a matrix
        of them; sooner where the coefficients are `far` from their optimum, and where those that
        are not 0 have no matrix, but not where it fails because they are `alike`.
        """
        size = chosen.size
        if alike and size <= WIDEST_MATRIX:
            return False
        numbers = NUMBERS_PER_ENTRY_FAR if far and size > FEW_COLUMNS else NUMBERS_PER_ENTRY
        if size > WIDEST_MATRIX and not self.is_all:
            return True
        if not self.rows.sparse or size**2 <= numbers * self.objective.n_samples:
            return False
        if n_nonzero > WIDEST_MATRIX:
            return True
        return numbers * float(self.entries(chosen).sum()) < size**2

    def by_column(self, chosen):
        """Values, row numbers and starts of columns, the chosen among them, and the places of
        these and of ones, 0.

        Columns stay where they are once they were chosen; others are sorted behind them, in one
        reading of the rows, scattered.  That is not counted: a run that is restored does it once
        more.
        """
        kept = self._sorted
        if kept is None:
            kept = Sorted.ones(self.width, self.objective.n_samples)
        few = self.is_all and chosen.size < MANY_OF_ALL * self.width
        wanted = chosen if few else np.arange(self.width)
        missing = wanted[kept.places[wanted] == 0]
        if missing.size:
            kept = self._sort(kept, missing[scattered(missing)])
        self._sorted = kept
        return kept.values, kept.numbers, kept.starts, np.append(kept.places[chosen], 0)

    def _sort(self, kept, missing):
        """These columns behind those that are sorted."""
        n = self.objective.n_samples
        part = None
        begin = kept.values.size
        if self.rows.sparse:
            counts = self.counts()[missing]
        else:
            part = sp.csc_array(self.rows.part(slice(None), missing))
            counts = np.diff(part.indptr)
        ends = kept.starts[-1] + np.cumsum(counts, dtype=np.uint64)
        values, numbers = np.empty(int(ends[-1])), np.empty(int(ends[-1]), dtype=np.uint32)
        values[:begin] = kept.values
        numbers[:begin] = kept.numbers
        if part is None:
            positions = np.append(kept.starts[-1], ends[:-1])
            slots = self.slots(missing)
            kernels.sort_columns(self.rows, n, slots, positions, values, numbers)
        else:
            values[begin:] = part.data
            numbers[begin:] = part.indices
        kept.places[missing] = np.arange(kept.starts.size - 1, kept.starts.size - 1 + missing.size)
        starts = np.append(kept.starts, ends)
        return Sorted(kept.places, values, numbers, starts)

    def counts(self):
        """Stored values of each column: a reading of the columns of the rows, kept."""
        if self._counts is None:
            self._counts = np.zeros(self.width, dtype=np.uint32)
            kernels.count_columns(self.rows, self.objective.n_samples, self._counts)
        return self._counts
