"""Strengths and bounds of each coefficient on arrays, against searches on grids."""

import numpy as np
import pytest

from fastgd.penalties.weighted_term import WeightedTerm

L1 = np.array([0.0, 0.7, 0.3, 0.5, 0.0, 0.0, 0.4])
L2 = np.array([0.5, 0.0, 0.6, 0.4, 0.0, 0.3, 0.2])
LOW = np.array([-np.inf, -np.inf, 0.0, -0.5, -1.0, 0.25, 0.5])
HIGH = np.array([np.inf, np.inf, np.inf, 0.8, 1.0, 0.25, 2.0])
GRID = np.r_[np.linspace(-6.0, 6.0, 120_001), LOW[np.isfinite(LOW)], HIGH[np.isfinite(HIGH)]]
D = L1.size


def made(**changed):
    given = {"l1": L1, "l2": L2, "low": LOW, "high": HIGH, **changed}
    return WeightedTerm(*given.values())


def inside(seed):
    coef = np.random.default_rng(seed).normal(size=D) * (np.arange(D) % 3 > 0)
    return np.clip(coef, LOW, HIGH)


def rest(w, j):
    return np.where((w >= LOW[j]) & (w <= HIGH[j]), L1[j] * np.abs(w), np.inf)


def test_the_value_has_two_parts():
    coef = inside(0)
    term = made()
    assert term.smooth_value(coef) == pytest.approx(sum(0.5 * L2 * coef**2))
    assert term.rest_value(coef) == pytest.approx(sum(L1 * abs(coef)))
    assert term.rest_value(coef + np.eye(D)[5]) == np.inf
    gradient = np.ones(D)
    assert term.add_gradient(coef, gradient) == pytest.approx(term.smooth_value(coef))
    np.testing.assert_allclose(gradient, 1.0 + L2 * coef)
    matrix = np.zeros((D, D))
    term.add_curvature(matrix)
    np.testing.assert_array_equal(matrix, np.diag(L2))


def test_a_proximal_step_minimises_on_a_grid():
    start, rates = np.random.default_rng(1).normal(size=D) * 2.0, np.linspace(0.2, 3.0, D)
    moved = start.copy()
    made().prox(moved, rates)
    for j in range(D):
        heights = rest(GRID, j) + 0.5 * (GRID - start[j]) ** 2 / rates[j]
        assert moved[j] == pytest.approx(GRID[np.argmin(heights)], abs=1.1e-4)
    assert (moved >= LOW).all()
    assert (moved <= HIGH).all()


def test_the_steepest_subgradient_is_the_one_nearest_to_zero():
    gradient = np.random.default_rng(2).normal(size=D)
    for coef in (inside(3), np.clip(np.zeros(D), LOW, HIGH), LOW.clip(-1), HIGH.clip(-1, 3)):
        found = made().subgradient(coef, gradient)
        for j, w in enumerate(coef):
            steps = np.geomspace(1e-7, 0.1, 60)
            above = min((rest(w + steps, j) - rest(w, j)) / steps)
            below = max((rest(w, j) - rest(w - steps, j)) / steps)
            nearest = np.clip(-gradient[j], below, above)
            assert found[j] == pytest.approx(gradient[j] + nearest, abs=1e-6)


def test_the_gap_is_the_sum_of_value_and_conjugate():
    term, coef = made(), inside(4)
    derivatives = np.random.default_rng(5).normal(size=D)
    derivatives[1] *= 0.6 / abs(derivatives[1])
    expected = 0.0
    for j in range(D):
        conjugate = np.max(-derivatives[j] * GRID - rest(GRID, j) - 0.5 * L2[j] * GRID**2)
        expected += (
            coef[j] * derivatives[j] + rest(coef[j], j) + 0.5 * L2[j] * coef[j] ** 2 + conjugate
        )
    found = term.gap(coef, derivatives + L2 * coef)
    assert found == pytest.approx(expected, rel=1e-7)
    assert found >= expected - 1e-8


def test_the_gap_scales_a_dual_point_that_is_outside():
    term, coef = made(), inside(6)
    derivatives = np.full(D, 0.1)
    derivatives[1] = 1.4  # twice its l1
    half = term.gap(coef, 0.5 * derivatives + L2 * coef)
    assert term.gap(coef, derivatives + L2 * coef, 3.0) == pytest.approx(1.5 + half, rel=1e-12)
    assert term.gap(coef, derivatives + L2 * coef) == np.inf
    nothing = made(l1=np.zeros(D), l2=np.zeros(D))
    assert nothing.gap(coef, derivatives, 3.0) >= 3.0


def test_facts():
    term = made()
    assert not term.smooth
    assert term.certified
    assert term.strong_convexity == 0.0
    np.testing.assert_array_equal(term.fixed, [5])
    assert term.gap_vanishes(True)
    assert not term.gap_vanishes(False)  # column 1 has an L1 part alone
    assert made(l2=L2 + 0.1).strong_convexity == pytest.approx(0.1)
    everywhere = np.full(1, -np.inf), np.full(1, np.inf)
    ridge = WeightedTerm(np.zeros(1), L2, *everywhere)
    assert ridge.smooth
    assert ridge.fixed is None
    outside = inside(0) + np.eye(D)[5]
    np.testing.assert_array_equal(term.allowed(outside), inside(0))
    assert term.allowed(inside(0)) is not outside


def test_several_predictions_share_what_their_column_has():
    term, one = WeightedTerm(L1, L2, LOW, HIGH, 3), made()
    coef = np.repeat(inside(7), 3)
    assert term.value(coef) == pytest.approx(3.0 * one.value(inside(7)))


@pytest.mark.parametrize("l1", [0.0, 0.5])
@pytest.mark.parametrize("l2", [1e-290, 1e-307, 1e-309, 5e-324])
def test_a_conjugate_beyond_all_numbers_bounds_nothing(l1, l2):
    """It counted as 0, so that any model was proved."""
    term = made(l1=np.array([l1]), l2=np.array([l2]), low=LOW[:1], high=HIGH[:1])
    coef, gradient = np.array([2.0, -1.0]), np.array([1e4, -3e4])
    # The gap at the share of the derivatives that is within the L1 part: all that is left is
    # `above`.
    assert term.gap(coef, gradient, 7.0) >= 7.0 * (1.0 - l1 / 3e4)
    share, lower = term.least(gradient)
    for u in (-1e9, -1.0, 0.0, 1.0, 1e9):
        at = np.array([u, -u])
        assert share * float(gradient @ at) + term.value(at) >= lower - 1e-9 * abs(lower)
    assert share == pytest.approx(1.0 if l2 == 1e-290 else l1 / 3e4, rel=1e-12)


def test_bounds_make_a_conjugate_finite_without_a_quadratic_part_to_speak_of():
    term = made(l1=np.zeros(1), l2=np.array([1e-309]), low=np.array([-2.0]), high=np.array([3.0]))
    coef, gradient = np.array([1.0]), np.array([-1e4])
    assert term.gap(coef, gradient) == pytest.approx(2e4)
    assert term.least(gradient) == (1.0, pytest.approx(-3e4))


def test_a_quadratic_part_of_the_least_number_counts_where_coefficients_are_large():
    term = made(l1=np.zeros(1), l2=np.array([5e-324]), low=LOW[:1], high=HIGH[:1])
    coef = np.array([1e170])
    # At w with derivative -l2 w / 2: 3/8 of l2 w^2 is left.
    gradient = -0.5 * term.gradient(coef)
    left = term.gap(coef, gradient)
    assert left == pytest.approx(0.125 * float(coef @ term.gradient(coef)))
