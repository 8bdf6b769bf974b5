"""Free memory of the process, handed back to the system."""

import ctypes
import functools


def give_back() -> None:
    """Have the allocator hand back what is free in it, 1 to 3 ms: glibc, for one, keeps it for
    each thread. Where it cannot be asked, nothing happens.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim():
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # Windows has no such thing
        return None
