"""Arrays of blocks, whose memory goes back to the system with them.

The allocator keeps what is freed of up to 32 MB, and small arrays that live on (the targets of each
block) keep it from giving it back: blocks of 8 MB had left 50 to 80 MB behind in a fit.
"""

import contextlib
import mmap
from typing import Any

import numpy as np

# Smaller arrays are not worth pages of their own.
MIN_BYTES = 1 << 17
# From here on the system is asked for pages of 2 MB: half of what new pages cost, a fifth of
# reading.
LARGE = 1 << 22


def empty(size: int, dtype: Any = np.float64) -> np.ndarray:
    """An array like `np.empty(size, dtype)`, on pages of its own, which are there once they are
    written to.

    Examples
    --------
    >>> empty(1 << 20).shape
    (1048576,)
    """
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < MIN_BYTES:
        return np.empty(size, dtype)
    if hasattr(mmap, "MAP_PRIVATE"):
        pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if n_bytes >= LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them
                pages.madvise(mmap.MADV_HUGEPAGE)
    else:  # Windows
        pages = mmap.mmap(-1, n_bytes)
    return np.frombuffer(pages, dtype, size)
