"""Arrays on pages of their own."""

import numpy as np
import pytest

from fastgd.data.readers import pages


@pytest.mark.parametrize("size", [0, 10, pages.MIN_BYTES, pages.LARGE])
@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_they_are_arrays_that_can_be_written_to(size, dtype):
    found = pages.empty(size, dtype)
    assert (found.shape, found.dtype) == ((size,), dtype)
    found[:] = 3
    assert found.sum() == 3 * size
