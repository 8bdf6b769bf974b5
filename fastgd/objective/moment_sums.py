"""Sums over the rows behind their moments, of columns and of whole rows."""

import numpy as np

from fastgd.objective import kernels as passes
from fastgd.objective.blocks import coarser
from fastgd.runtime.threads import map_ranges

# Rows of the table of moments.
SUM, SUM_OF_SQUARES, LARGEST, NONZEROS = range(4)


def moment_sums(rows, samples, ranges, range_cuts, n_nonzeros, n_threads):
    """Weighted sums of x and x^2, greatest |x| and number of nonzeros of each column, (4, d), and
    of rows the greatest |x_i|^2 and s_i |x_i|^2 and the sum of s_i |x_i|^2.  One pass.
    """
    d = rows.shape()[1]
    # The blocks have tables, which take a tenth of what X does, or there are two.
    cuts = coarser(range_cuts, max(2, n_nonzeros // (40 * d)))
    table, norms = np.zeros((cuts.size - 1, 4, d)), np.zeros((cuts.size - 1, 3))
    data = rows, samples, ranges, cuts

    def work(first, last):
        passes.column_moments(*data, first, last, table, norms)

    map_ranges(work, len(table), n_threads, rows.stored())
    largest = table[:, LARGEST].max(axis=0)
    moments = table.sum(axis=0) if len(table) > 1 else table[0]
    moments[LARGEST] = largest
    return moments, np.r_[norms[:, :2].max(axis=0), norms[:, 2].sum()]


def added_moments(found):
    """What `moment_sums` are of several parts of the rows together."""
    moments, norms = None, np.zeros(3)
    for table, own in found:
        if moments is None:
            moments = table
        else:
            largest = np.maximum(moments[LARGEST], table[LARGEST])
            moments = moments + table
            moments[LARGEST] = largest
        norms = np.r_[np.maximum(norms[:2], own[:2]), norms[2] + own[2]]
    return moments, norms
