"""Sums over the rows behind their moments, of columns and of whole rows."""

from typing import NamedTuple

import numpy as np

from fastgd.objective import kernels
from fastgd.objective.blocks import coarser
from fastgd.runtime.array_shapes import shaped
from fastgd.runtime.threads import map_ranges

# Rows of the table of moments.
SUM, SUM_OF_SQUARES, LARGEST, NONZEROS = range(4)


@shaped(columns="4 d", rows="3")
class Moments(NamedTuple):
    """Statistics of columns and of whole rows, weighted by s_i.

    Attributes
    ----------
    columns : ndarray, (4, d)
        Of each column the means of x and x^2, the greatest |x|, and the share of nonzeros.
    rows : ndarray, (3,)
        The greatest |x_i|^2 and s_i |x_i|^2, and the mean of s_i |x_i|^2.
    """

    columns: np.ndarray
    rows: np.ndarray

    @property
    def means(self):
        """Mean of each column."""
        return self.columns[SUM]

    @property
    def mean_squares(self):
        """Mean square of each column."""
        return self.columns[SUM_OF_SQUARES]

    @property
    def largest(self):
        """Greatest |x| of each column."""
        return self.columns[LARGEST]

    @property
    def nonzero_shares(self):
        """Share of the rows in which each column is not 0."""
        return self.columns[NONZEROS]

    @property
    def largest_norm2(self):
        """The greatest |x_i|^2 of all rows."""
        return self.rows[0]

    @property
    def largest_weighted_norm2(self):
        """The greatest s_i |x_i|^2 of all rows."""
        return self.rows[1]

    @property
    def mean_norm2(self):
        """The mean of s_i |x_i|^2 over the rows."""
        return self.rows[2]


def moment_sums(rows, samples, ranges, range_cuts, n_nonzeros, n_threads, before=None):
    """Weighted sums of x and x^2, greatest |x| and number of nonzeros of each column, (4, d), and
    of rows the greatest |x_i|^2 and s_i |x_i|^2 and the sum of s_i |x_i|^2.  One pass.

    What was found `before`, of other rows, is added to, and its arrays are written over.
    """
    d = rows.shape()[1]
    # The blocks have tables, which take a tenth of what X does, or there are two; where these
    # would be larger than X, one: of 1.28 million columns it has 41 MB.
    cuts = coarser(range_cuts, max(2 if n_nonzeros >= d else 1, n_nonzeros // (40 * d)))
    added_there = before is not None and cuts.size == 2
    table = before[0][None] if added_there else np.zeros((cuts.size - 1, 4, d))
    norms = np.zeros((cuts.size - 1, 3))
    data = rows, samples, ranges, cuts

    def work(first, last):
        kernels.column_moments(*data, first, last, table, norms)

    map_ranges(work, len(table), n_threads, rows.stored())
    moments = table[0].copy() if len(table) > 1 else table[0]  # not a view that keeps the others
    for more in table[1:]:
        _add(moments, more)
    own = np.r_[norms[:, :2].max(axis=0), norms[:, 2].sum()]
    if added_there:
        return before[0], _added_norms(before[1], own)
    return (moments, own) if before is None else added_moments([before, (moments, own)])


def added_moments(found):
    """What `moment_sums` are of several parts of the rows together; the first is written over."""
    moments, norms = None, np.zeros(3)
    for table, own in found:
        if moments is None:
            moments = table
        else:
            _add(moments, table)
        norms = _added_norms(norms, own)
    return moments, norms


def moments_of(sums, total_weight):
    """`Moments`: means in place of sums, which are written over."""
    table, norms = sums
    for k in (SUM, SUM_OF_SQUARES, NONZEROS):
        table[k] /= total_weight
    return Moments(table, np.r_[norms[:2], norms[2] / total_weight])


def lengths_of(moments, n_rows):
    """Root of the sum of squares of each column, of moments of so many rows of weight 1."""
    return np.sqrt(moments.mean_squares * n_rows)


def largest_known(rows):
    """The greatest |x| of each column where a first reading has told, else None."""
    return None if rows.in_memory or rows.moments is None else rows.moments.largest


def _add(table, more):
    """Add moments to others, in place."""
    for k in (SUM, SUM_OF_SQUARES, NONZEROS):
        table[k] += more[k]
    np.maximum(table[LARGEST], more[LARGEST], out=table[LARGEST])


def _added_norms(norms, more):
    return np.r_[np.maximum(norms[:2], more[:2]), norms[2] + more[2]]
