"""Arrays of blocks, whose memory goes back to the system with them.

The allocator keeps what is freed of up to 32 MB, and small arrays that live on (the targets of each
block) keep it from giving it back: blocks of 8 MB had left 50 to 80 MB behind in a fit.
"""

import mmap

import numpy as np

# Smaller arrays are not worth pages of their own.
LEAST = 1 << 17


def empty(size: int, dtype: type = np.float64) -> np.ndarray:
    """An array like `np.empty(size, dtype)`, on pages of its own, which are there once they are
    written to.

    Examples
    --------
    >>> empty(1 << 20).shape
    (1048576,)
    """
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < LEAST:
        return np.empty(size, dtype)
    if hasattr(mmap, "MAP_PRIVATE"):
        pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:  # Windows
        pages = mmap.mmap(-1, n_bytes)
    return np.frombuffer(pages, dtype, size)
