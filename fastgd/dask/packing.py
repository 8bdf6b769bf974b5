"""Numbers on their way over the network, in as few bytes as hold all of them exactly."""

from typing import Any, NamedTuple

import numpy as np

NARROW = np.int8, np.int16, np.float32


class Packed(NamedTuple):
    """Numbers, and the type that they had."""

    values: Any
    dtype: Any


def packed(array):
    """An array in the narrowest type that holds its numbers: counts and classes in a byte each.

    Examples
    --------
    >>> packed(np.array([0.0, 1.0, 7.0])).values.dtype
    dtype('int8')
    """
    if array is None or array.dtype.kind not in "fiu":
        return Packed(array, None)
    for dtype in NARROW:
        if np.dtype(dtype).itemsize < array.itemsize:
            # There and back: 2**60 + 1 and its float32 are equal, as both are rounded to 2**60.
            with np.errstate(all="ignore"):
                found = array.astype(dtype)
                again = found.astype(array.dtype)
            if np.array_equal(again, array):
                return Packed(found, array.dtype)
    return Packed(array, array.dtype)


def unpacked(given):
    """The array that was `packed`, in its own type."""
    values, dtype = given
    return values if dtype is None else values.astype(dtype, copy=False)
