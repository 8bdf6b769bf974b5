"""exp and log1p by arithmetic: to rounding those of the library, far out as well."""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.losses.exponentials import exp_of_minus, log_1_plus

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
