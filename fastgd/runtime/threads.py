"""How many threads a process may use, and mapping a function over ranges on them."""

import functools
import itertools
import numbers
import os

from fastgd.runtime.inside_worker import inside_worker
from fastgd.runtime.workers import workers

# Handing a range to a thread takes about 30 us, reading so many stored values 100 (what both are on
# a machine is measured by `python -m bench calibrate`). Several ranges each let a thread that comes
# late do fewer.
MIN_PER_THREAD = 100_000
RANGES_PER_THREAD = 4


def count_threads(n_jobs):
    """Threads to use: `n_jobs` counts them, up to the processors there are, -1 is all, None is all
    the process may use and one inside a worker.

    What a process may use is bounded by its affinity, the quota of its container and
    `LOKY_MAX_CPU_COUNT`.  Workers are those of joblib (processes and threads), multiprocessing,
    Dask and pytest-xdist.

    Raises
    ------
    ValueError
        If `n_jobs` is 0 or not an integer.

    Examples
    --------
    >>> count_threads(1)
    1
    """
    if n_jobs is None:
        return 1 if inside_worker() else _available()
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
        raise ValueError(
            "n_jobs must be a positive number of threads, a negative one (-1: all) or None, got "
            f"{n_jobs!r}"
        )
    count = int(n_jobs)
    if count < 0:
        return max(_available() + 1 + count, 1)
    return min(count, max(os.cpu_count() or 1, _available()))


def _available():
    return _with_quota(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)


@functools.cache
def _with_quota(n_affinity):
    """What joblib counts, which reads the quota from files: 100 us, so once for each affinity."""
    import joblib

    return joblib.cpu_count()


def map_ranges(function, n_items, n_threads, n_values=None, end=None):
    """Call `function(first, last)` over consecutive ranges that cover 0 to `n_items`, on up to
    `n_threads` threads.

    The function writes its results by item, so that how the ranges are cut changes nothing. Where
    it is known that the work takes as long as reading `n_values`, there are no more threads than
    that is worth, and several ranges for each: a thread that comes late does fewer. `end()` is
    called at an error, or at an interrupt while this thread waits for the others, which it
    goes on to do: calls that take long should end soon then.
    """
    worth = n_threads if n_values is None else 1 + n_values // MIN_PER_THREAD
    n_threads = min(n_threads, worth, n_items)
    if n_threads <= 1:
        function(0, n_items)
        return
    n_ranges = min(RANGES_PER_THREAD * n_threads, worth, n_items)
    bounds = [n_items * t // n_ranges for t in range(n_ranges + 1)]
    workers(n_threads - 1).map(function, itertools.pairwise(bounds), end)
