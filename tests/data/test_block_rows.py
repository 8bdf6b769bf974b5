"""What is known of the blocks of a source, and tells them from others."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import from_chunks
from fastgd.data.block_rows import facts_of
from fastgd.data.check_X import as_rows
from fastgd.data.digest import digest
from fastgd.objective.survey import survey

rng = np.random.default_rng(0)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_rows_in_another_order_are_other_data(make):
    X = rng.integers(1, 4, (40, 5)).astype(float)  # sums of integers are exact in any order

    def told(order):
        return digest(survey(from_chunks(lambda: [(make(X[order]), None)]), 1e6).rows)

    usual = np.arange(40)
    assert told(usual) == told(usual)
    assert told(usual) != told(usual[::-1])


@pytest.mark.parametrize("scale", [1.0, 1e18])
def test_sums_of_float32_are_those_of_float64(scale):
    """By BLAS they had depended on its threads, and beyond 1.8e19 they are infinite."""
    X = (scale * rng.standard_normal((1100, 1000))).astype(np.float32)
    narrow, wide = facts_of(as_rows(X), 0), facts_of(as_rows(X.astype(float)), 0)
    assert narrow.squares == pytest.approx(wide.squares, rel=1e-13)
    assert narrow.weighted == pytest.approx(wide.weighted, abs=1e-13 * scale * X.size)
    assert not narrow.differs(as_rows(X))
