"""exp and log1p by arithmetic: to rounding those of the library, far out as well."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastgd import Objective
from fastgd.losses.exponentials import (
    above_tangent,
    exp_of,
    exp_of_minus,
    log_1_plus,
    log_below_tangent,
    log_of,
)

EPS = np.finfo(float).eps


@pytest.mark.parametrize("t", [0.0, 1e-320, 1e-17, 0.3, np.log(2.0) / 2.0, 1.0, 37.5, 700.0, 707.9])
def test_exp_at_chosen_numbers(t):
    assert exp_of_minus(t) == pytest.approx(np.exp(-t), rel=2.0 * EPS)


def test_exp_at_random_numbers():
    for t in 708.0 * np.random.default_rng(0).random(3000) ** 3:
        assert abs(exp_of_minus(t) / np.exp(-t) - 1.0) <= 2.0 * EPS


@pytest.mark.parametrize("t", [708.1, 745.0, 1e10, 1e300, np.inf])
def test_exp_ends_at_0(t):
    assert exp_of_minus(t) == 0.0


def test_log_at_random_numbers():
    for u in np.r_[0.0, 1e-320, 1e-16, 1.0, np.random.default_rng(0).random(3000) ** 6]:
        assert abs(log_1_plus(u) - np.log1p(u)) <= 2.0 * EPS * np.log1p(u)


def test_what_is_not_a_number_stays_so():
    assert np.isnan(exp_of_minus(np.nan))
    assert np.isnan(log_1_plus(np.nan))
    F = Objective("log_loss", np.eye(3), [-1.0, 1.0, 1.0])
    assert np.isnan(F.value(np.full(4, np.nan)))


def test_exp_of_either_sign_at_random_numbers():
    for t in 708.0 * np.random.default_rng(1).uniform(-1.0, 1.0, 3000) ** 3:
        assert abs(exp_of(t) / np.exp(t) - 1.0) <= 2.0 * EPS
    assert [exp_of(t) for t in (-np.inf, -709.0, 0.0, 709.1, np.inf)] == [
        0.0,
        0.0,
        1.0,
        np.inf,
        np.inf,
    ]
    assert np.isnan(exp_of(np.nan))


def test_log_of_positive_numbers():
    rng = np.random.default_rng(2)
    for x in np.r_[10.0 ** rng.uniform(-308, 308, 2000), rng.uniform(0.5, 2.0, 2000), 5e-324, 1.0]:
        assert abs(log_of(x) - np.log(x)) <= 2.0 * EPS * abs(np.log(x))


@pytest.mark.parametrize("t", [1e-300, 1e-9, 1e-3, 0.2, 0.339, 0.341, 1.0, 30.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_distances_from_a_tangent_against_many_digits(t, sign):
    with localcontext() as context:
        context.prec = 700
        exact = Decimal(sign * t)
        above, below = float(exact.exp() - 1 - exact), None
        if -0.5 <= sign * t <= 1.0:
            below = float(exact - (1 + exact).ln())
    assert above_tangent(sign * t) == pytest.approx(above, rel=16.0 * EPS)
    if below is not None:
        assert log_below_tangent(sign * t) == pytest.approx(below, rel=8.0 * EPS)
