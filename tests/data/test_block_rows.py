"""What is known of the blocks of a source, and tells them from others."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import from_chunks
from fastgd.data.block_rows import facts_of
from fastgd.data.check_X import as_rows
from fastgd.data.digest import digest
from fastgd.data.readings import FACTORS, seen_of
from fastgd.data.rows import ShiftedRows
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


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_norms_of_columns_far_from_0_are_those_of_their_distances(make):
    """They were those of the columns as they are stored, 1e5 for 1."""
    X = rng.normal([1e5, 3e8, 1e3, 0.0], [1.0, 1.0, 1e-3, 1.0], size=(3000, 4))
    rows = survey(from_chunks(lambda: [(make(X[a:b]), None) for a, b in PARTS]), 1e6, 1, True).rows
    norms, shifted = np.linalg.norm(X, axis=0), rows.shifted(rows.far)
    np.testing.assert_allclose(rows.column_norms(), norms)
    own = ShiftedRows(as_rows(make(X)), rows.far).column_norms()
    assert (shifted.column_norms() >= own * (1.0 - 1e-9)).all()
    assert (shifted.column_norms() <= own * [1.01, 320.0, 1.5, 1.0 + 1e-9]).all()
    assert shifted.sum_of_squares() == pytest.approx(np.square(shifted.column_norms()).sum())
    assert rows.sum_of_squares() == pytest.approx(np.square(X).sum())


PARTS = (0, 1000), (1000, 3000)
ROWS = rng.standard_normal((4000, 2))


def times_of(k):
    return 1.7e18 + 1e9 * np.arange(4000.0) + 4e12 * k


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_small_column_is_looked_at_beside_a_large_one(dtype):
    """By sums to 1e-12 of the whole block all values beside a timestamp could be others."""
    numbers = np.random.default_rng(1)

    def chunks():
        yield np.c_[times_of(0), numbers.standard_normal((4000, 2))].astype(dtype), None

    rows = survey(from_chunks(chunks), 1e6).rows
    with pytest.raises(ValueError, match="other numbers in X; a source has to hand out the same"):
        list(rows.parts())


@pytest.mark.parametrize("name", ["y", "sample_weight", "offset"])
@pytest.mark.parametrize("labels", [False, True])
def test_what_is_beside_the_rows_is_looked_at(name, labels):
    ones = (rng.random(4000) < 0.3).astype(float)
    beside = {"y": ones, "sample_weight": ones, "offset": ones}
    if labels:
        beside["y"] = np.where(ones > 0, "up", "down").astype(object)
    readings = []

    def chunks():
        readings.append(1)
        own = dict(beside)
        if len(readings) > 2:
            own[name] = own[name][::-1]
        yield ROWS, *own.values()

    rows = survey(from_chunks(chunks), 1e6).rows
    list(rows.parts())
    with pytest.raises(ValueError, match=f"other numbers in {name}; a source has to hand out"):
        list(rows.parts())


def test_one_number_of_many_is_noticed_and_rounding_is_not():
    values = ROWS.ravel().copy()
    seen = seen_of(values)
    for factor, others in ((1.0 + 2e-16, False), (1.0 + 1e-4, True)):
        for k in (0, 5000, 7999):
            changed = values.copy()
            changed[k] *= factor
            assert seen.differs(seen_of(changed)) == others
    assert seen.differs(seen_of(values[np.r_[1, 0, 2:8000]]))
    assert not seen.differs(seen_of(values * (1.0 + 2e-16)))
    zeros = np.zeros(300)
    zeros[:100] = 1.0
    permuted = [np.random.default_rng(seed).permutation(zeros) for seed in range(200)]
    assert all(seen_of(zeros).differs(seen_of(one)) for one in permuted)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_changed_sign_is_noticed_wherever_it_is(dtype):
    values = np.random.default_rng(3).normal(size=8192).astype(dtype)
    seen = seen_of(values)
    for k in range(values.size):
        values[k] *= -1.0
        assert seen.differs(seen_of(values))
        values[k] *= -1.0


def test_numbers_that_change_places_are_noticed_whatever_their_places():
    """1 and -1 in places whose factors are 8,192 apart had the same sum."""
    order = np.argsort(FACTORS)
    for apart in (1, 2, 64, 4095, 4096, 8191):
        for first in {0, 8191 - apart}:
            one, other = order[first], order[first + apart]
            values = np.zeros(8192)
            values[one], values[other] = 1.0, -1.0
            seen = seen_of(values)
            values[one], values[other] = -1.0, 1.0
            assert seen.differs(seen_of(values))
    assert np.unique(FACTORS % 16384).size == 8192
    assert (FACTORS % 16384 != 0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_zeros_of_either_sign_are_the_same(dtype):
    values = ROWS.ravel().astype(dtype)
    values[::3] = 0.0
    signed = np.where(values == 0.0, dtype(-0.0), values)
    assert np.signbit(signed[0])
    assert not seen_of(values).differs(seen_of(signed))
    signed[0] = 1e-17
    assert seen_of(values).differs(seen_of(signed))
