"""Blocks of rows: a pass is a map over blocks whose results are added in order.

How the rows are cut depends on the data alone, never on the number of threads, so that every thread count gives the
same bits.
"""

import functools
import itertools
import numbers
import os
import sys
import threading

import numpy as np

from fastgd.runtime.workers import workers

MOST_BLOCKS = 64
# Rows that dense kernels read at once, and that samples take together: the rows that are left over, one by one, take
# five times as long each (blocks of 47 rows: a pass over 3,000 rows of 300 columns took 1.3 times as long).
GROUP = 8
# Handing a range to a thread costs about 30 us; a pass reads roughly one stored value per ns.
LEAST_PER_THREAD = 100_000
RANGES_PER_THREAD = 4
# A chunk of rows that fits well inside a 1 MiB L2 cache beside the coefficients and the gradient.
CHUNK_BYTES = 1 << 18
L2_BYTES = 1 << 20


def cut(n_rows, n_stored, n_unknowns, group=GROUP):
    """Where blocks begin and end: clamp(n_stored // (8 n_unknowns), 1, 64) of them, `(n_blocks + 1,)` int64.

    Each block costs one gradient to write and to add, so that no more of them are made than that is small.  Blocks
    begin at multiples of `group` rows.

    Examples
    --------
    >>> cut(50, 1000, 4)
    array([ 0,  8, 16, 24, 32, 40, 50])
    """
    n_groups = max(n_rows // group, 1)
    n_blocks = int(min(max(n_stored // max(8 * n_unknowns, 1), 1), MOST_BLOCKS, n_groups))
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


def chunk_length(rows, n_unknowns):
    """Rows per chunk of a pass: what fits the cache, or all where coefficients and gradient alone overflow it."""
    n, stored = rows.shape()[0], rows.stored()
    if rows.sparse and 16 * n_unknowns > L2_BYTES:
        return n
    bytes_per_row = 12 * stored / n
    length = min(max(CHUNK_BYTES / max(bytes_per_row, 1.0), rows.least_chunk()), 1024)
    return min(GROUP * max(int(length) // GROUP, 1), n)


def count_threads(n_jobs):
    """Threads to use: `n_jobs` counts them, -1 is all, None is all the process may use and one inside a worker.

    What a process may use is bounded by its affinity, the quota of its container and `LOKY_MAX_CPU_COUNT`.  Workers are
    those of joblib (processes and threads), multiprocessing, Dask and pytest-xdist.

    Raises
    ------
    ValueError
        If `n_jobs` is 0 or not an integer.

    Examples
    --------
    >>> count_threads(3)
    3
    """
    if n_jobs is None:
        return 1 if _inside_worker() else _available()
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
        raise ValueError(
            f"n_jobs must be a positive number of threads, a negative one (-1: all) or None, got {n_jobs!r}"
        )
    count = int(n_jobs)
    return count if count > 0 else max(_available() + 1 + count, 1)


def _available():
    return _with_quota(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)


@functools.cache
def _with_quota(n_affinity):
    """What joblib counts, which reads the quota from files: 100 us, so once for each affinity."""
    import joblib

    return joblib.cpu_count()


def _inside_worker():
    import multiprocessing

    import joblib

    if multiprocessing.parent_process() is not None or "PYTEST_XDIST_WORKER" in os.environ:
        return True
    # Dask's tasks run on threads that nothing public marks; a fit of one's own on another thread is the rarer case.
    if "dask" in sys.modules and threading.current_thread() is not threading.main_thread():
        return True
    backend = joblib.parallel.get_active_backend()[0]
    return (getattr(backend, "nesting_level", 0) or 0) > 0


def map_ranges(function, n_items, n_threads, n_values=None, end=None):
    """Call `function(first, last)` over consecutive ranges that cover 0 to `n_items`, on up to `n_threads` threads.

    The function writes its results by item, so that how the ranges are cut changes nothing. Where it is known that the
    work takes as long as reading `n_values`, there are no more threads than that is worth, and several ranges for each:
    a thread that comes late does fewer. `end()` is called at an error, or where a key is pressed while this thread
    waits for the others, which it goes on to do: calls that take long should end soon then.
    """
    worth = n_threads if n_values is None else 1 + n_values // LEAST_PER_THREAD
    n_threads = min(n_threads, worth, n_items)
    if n_threads <= 1:
        function(0, n_items)
        return
    n_ranges = min(RANGES_PER_THREAD * n_threads, worth, n_items)
    bounds = [n_items * t // n_ranges for t in range(n_ranges + 1)]
    workers(n_threads - 1).map(function, itertools.pairwise(bounds), end)


def count_nonzeros(rows, n_threads):
    """Number of values of `Rows` that are not 0, on up to `n_threads` threads."""
    counts = np.zeros(RANGES_PER_THREAD * n_threads, np.int64)

    def work(first, last):
        for part in range(first, last):
            counts[part] = rows.nonzeros(part, counts.size)

    map_ranges(work, counts.size, n_threads, rows.stored())
    return int(counts.sum())
