"""Barzilai-Borwein rates against a sequence written out by hand."""

import numpy as np
import pytest

from fastgd.rules.barzilai_borwein import barzilai_borwein_rate

STEP = np.array([1.0, 2.0, -1.0])


def in_a_row(steps, share=0.8, memory=2):
    rates, recent = [], []
    for s, y in steps:
        rate, recent = barzilai_borwein_rate(s, y, recent, share=share, memory=memory)
        rates.append(rate)
    return rates, recent


def test_both_estimates_are_the_inverse_of_a_curvature_that_is_the_same_everywhere():
    rates, recent = in_a_row([(STEP, 8.0 * STEP)] * 3)
    assert rates == pytest.approx([0.125] * 3)
    assert recent == pytest.approx([0.125] * 2)


def test_rates_of_a_quadratic_lie_between_the_inverse_curvatures():
    rng = np.random.default_rng(0)
    curvatures = 10.0 ** np.linspace(-2, 2, 7)
    steps = [(s, curvatures * s) for s in rng.standard_normal((50, 7))]
    rates, _ = in_a_row(steps)
    assert 1e-2 * (1 - 1e-12) <= min(rates) <= max(rates) <= 1e2 * (1 + 1e-12)


def test_the_least_of_the_last_short_ones_is_taken_where_they_differ_much_from_the_long_one():
    steps = [(STEP, np.array([1.0, 9.0, a]) * STEP) for a in (40.0, 4.0, 4.0)]
    short = [float(s @ y / (y @ y)) for s, y in steps]
    long = [float(s @ s / (s @ y)) for s, y in steps]
    assert in_a_row(steps, share=0.9)[0] == pytest.approx([short[0], short[0], short[1]])
    assert in_a_row(steps, share=0.1)[0] == pytest.approx(long)


def test_without_curvature_the_lengths_decide_and_nothing_is_remembered():
    for y in (-4.0 * STEP, np.array([2.0, -1.0, 0.0])):
        rate, recent = barzilai_borwein_rate(STEP, y, [7.0], share=0.8, memory=2)
        assert rate == pytest.approx(np.linalg.norm(STEP) / np.linalg.norm(y))
        assert recent == [7.0]


@pytest.mark.parametrize(("s", "y"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_no_step_and_no_change_tell_nothing(s, y):
    rate, recent = barzilai_borwein_rate(s * STEP, y * STEP, [7.0], share=0.8, memory=2)
    assert np.isnan(rate)
    assert recent == [7.0]
