"""Blocks of rows: a pass is a map over blocks whose results are added in order.

How the rows are cut depends on the data alone, never on the number of threads, so that every thread
count gives the same bits.
"""

import numpy as np

from fastgd.runtime.threads import RANGES_PER_THREAD, map_ranges

# Four ranges, as `map_ranges` makes them, for each of 16 threads.
MAX_BLOCKS = 64
# Rows that dense kernels read at once, and that samples take together: the rows that are left over,
# one by one, take five times as long each (blocks of 47 rows: a pass over 3,000 rows of 300 columns
# took 1.3 times as long).
GROUP = 8
# Up to this many columns all values count as nonzeros: counting them in a dense X takes a pass.
NARROW = 128
# A tile of rows that fits well inside a 1 MiB L2 cache beside the coefficients and the gradient.
TILE_BYTES = 1 << 18
L2_BYTES = 1 << 20


def cut(n_rows, n_stored, n_unknowns, group=GROUP):
    """Where blocks begin and end: clamp(n_stored // (8 n_unknowns), 1, 64) of them, `(n_blocks +
    1,)` int64.

    Each block costs one gradient to write and to add, so that no more of them are made than that is
    small.  Blocks begin at multiples of `group` rows.

    Examples
    --------
    >>> cut(50, 1000, 4)
    array([ 0,  8, 16, 24, 32, 40, 50])
    """
    n_groups = max(n_rows // group, 1)
    n_blocks = int(min(max(n_stored // max(8 * n_unknowns, 1), 1), MAX_BLOCKS, n_groups))
    cuts = group * (np.arange(n_blocks + 1) * n_groups // n_blocks).astype(np.int64)
    cuts[-1] = n_rows
    return cuts


def coarser(cuts, most):
    """Cuts of which neighbouring blocks are put together until there are `most` at the most.

    Examples
    --------
    >>> coarser(np.array([0, 3, 6, 10]), 2)
    array([ 0,  3, 10])
    """
    n_blocks = min(cuts.size - 1, int(most))
    return cuts[np.arange(n_blocks + 1) * (cuts.size - 1) // n_blocks]


def tile_length(rows, n_unknowns):
    """Rows per tile of a pass: what fits the cache, or all where coefficients and gradient
    alone overflow it.
    """
    n, stored = rows.shape()[0], rows.stored()
    if rows.sparse and 16 * n_unknowns > L2_BYTES:
        return n
    bytes_per_row = 12 * stored / n
    length = min(max(TILE_BYTES / max(bytes_per_row, 1.0), rows.least_tile()), 1024)
    return min(GROUP * max(int(length) // GROUP, 1), n)


def count_nonzeros(rows, n_threads):
    """Number of values of `Rows` that are not 0, on up to `n_threads` threads."""
    counts = np.zeros(RANGES_PER_THREAD * n_threads, np.int64)

    def work(first, last):
        for part in range(first, last):
            counts[part] = rows.nonzeros(part, counts.size)

    map_ranges(work, counts.size, n_threads, rows.stored())
    return int(counts.sum())
