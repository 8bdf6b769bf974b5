"""Batches: how many rows an update sees, and in which order, as data."""

import numbers

import numpy as np

# As many rows as no chunk has: numbers that compiled code can count with.
MAX_ROWS = 2**40


def rows_per_update(batch_size, n_samples, streaming=False):
    """Turn a `batch_size` into "auto", "full" or a number of rows.

    Parameters
    ----------
    batch_size : {"auto", "full"} or int or float
        1.0 is "full", a fraction in (0, 1) is rounded up, an integer is at most all rows.
    n_samples : int
    streaming : bool
        Whether these are the rows of one chunk, which may be shorter than those that follow: an
        integer then stands.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> rows_per_update(0.1, 25), rows_per_update(1.0, 25), rows_per_update(1, 25)
    (3, 'full', 1)
    """
    if isinstance(batch_size, str) and batch_size in ("auto", "full"):
        return batch_size
    if (
        isinstance(batch_size, numbers.Integral)
        and not isinstance(batch_size, bool)
        and int(batch_size) >= 1
    ):
        return min(int(batch_size), MAX_ROWS if streaming else n_samples)
    if isinstance(batch_size, numbers.Real) and not isinstance(batch_size, bool | numbers.Integral):
        if batch_size == 1.0:
            return "full"
        if 0.0 < float(batch_size) < 1.0:
            return int(np.ceil(float(batch_size) * n_samples))
    raise ValueError(
        "batch_size must be 'auto', 'full', 'growing', an integer of at least 1 or a fraction in "
        f"(0, 1], got {batch_size!r}"
    )


def row_order(rows, seed, epoch, shuffle, block=()):
    """Order in which an epoch visits `rows`: a function of seed and number of the epoch, so that a
    run can be resumed.  Where rows are a block of a source, `block` holds its number.

    Examples
    --------
    >>> row_order(np.arange(4), seed=1, epoch=0, shuffle=False)
    array([0, 1, 2, 3])
    """
    if not shuffle:
        return rows
    return np.random.Generator(np.random.PCG64([seed, epoch, *block])).permutation(rows)
