"""Free memory is handed back."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fastgd.runtime.heap import give_back


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_what_is_free_is_handed_back():
    arrays = [np.ones(8_000) for _ in range(1000)]  # 64 KB each: not on pages of their own
    kept = arrays[::50]
    del arrays
    full = resident()
    give_back()
    # A C library without such a function keeps them.
    assert resident() <= full
    assert all(one.sum() == 8_000 for one in kept)
