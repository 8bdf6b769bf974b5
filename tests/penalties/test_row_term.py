"""Lengths of rows on arrays, against groups, slow twins and searches."""

import numpy as np
import pytest

from fastgd.penalties.row_term import RowTerm

RNG = np.random.default_rng(0)
K = 3
COEF = RNG.normal(size=(5, K)) * np.array([1.0, 0.0, 2.0, 0.0, 0.1])[:, None]
GRADIENT = RNG.normal(size=(5, K))
CURVED = [0.0, 0.7]


def value(table, curved):
    return 0.5 * sum(np.sqrt((row**2).sum()) for row in table) + 0.5 * curved * (table**2).sum()


@pytest.mark.parametrize("curved", CURVED)
def test_values_and_gradients(curved):
    term, coef = RowTerm(0.5, curved, K), COEF.ravel()
    assert term.value(coef) == pytest.approx(value(COEF, curved))
    gradient = GRADIENT.ravel().copy()
    assert term.add_gradient(coef, gradient) == pytest.approx(0.5 * curved * (COEF**2).sum())
    np.testing.assert_allclose(gradient, GRADIENT.ravel() + curved * coef)
    matrix = np.zeros((15, 15))
    term.add_curvature(matrix)
    np.testing.assert_array_equal(matrix, curved * np.eye(15))
    assert (term.strong_convexity, term.gap_vanishes(False)) == (curved, curved > 0.0)


@pytest.mark.parametrize("curved", CURVED)
@pytest.mark.parametrize("rates", [0.8, RNG.uniform(0.1, 2.0, 15)], ids=["one", "own"])
def test_a_proximal_step_is_where_no_way_leads_down(curved, rates):
    term, start = RowTerm(0.5, curved, K), 3.0 * RNG.normal(size=15)
    moved = start.copy()
    term.prox(moved, rates)

    def height(u):
        return value(u.reshape(5, K), 0.0) + np.sum((u - start) ** 2 / (2.0 * rates))

    assert (moved.reshape(5, K).any(axis=1) | (start.reshape(5, K) != 0.0).any(axis=1)).all()
    for _ in range(300):
        assert height(moved) <= height(moved + 1e-3 * RNG.normal(size=15)) + 1e-14


@pytest.mark.parametrize("curved", CURVED)
def test_the_steepest_subgradient_is_the_limit_of_proximal_steps(curved):
    term, coef = RowTerm(0.5, curved, K), COEF.ravel()
    derivatives = (GRADIENT * np.array([1.0, 0.1, 1.0, 1.0, 1.0])[:, None]).ravel()
    moved = coef - 1e-7 * derivatives
    term.prox(moved, 1e-7)
    np.testing.assert_allclose(
        term.subgradient(coef, derivatives), (coef - moved) / 1e-7, atol=1e-5
    )
    assert not term.subgradient(0.0 * coef, 0.1 * derivatives).any()
    np.testing.assert_array_equal(term.candidates(0.0 * coef, 0.1 * derivatives), [])


@pytest.mark.parametrize("curved", CURVED)
def test_the_gap_bounds_what_is_left_of_a_least_squares_problem(curved):
    """F(w) = |w - c|^2 / 2 + term: its minimum is a proximal step."""
    term, target = RowTerm(0.5, curved, K), RNG.normal(size=15)
    best = target / (1.0 + curved)
    term.prox(best, 1.0 / (1.0 + curved))

    def height(w):
        return 0.5 * np.sum((w - target) ** 2) + term.value(w)

    for share in (1.0, 0.1, 0.0):
        w = best + share * COEF.ravel()
        residual = w - target
        # The conjugate of the loss at its derivative makes up for w.g.
        rest = 0.5 * residual @ residual
        gap = term.gap(w, residual + curved * w, above=rest)
        left = height(w) - height(best)
        assert gap >= left - 1e-12
    assert gap == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e-165])
def test_lengths_of_rows_do_not_underflow(size):
    term = RowTerm(0.01 * size, 0.0, 2)
    derivatives = np.array([3.0 * size, 4.0 * size, 0.0, 0.0])
    np.testing.assert_allclose(term.lengths(derivatives), [5.0 * size, 0.0], rtol=1e-15)
    assert term.gap(np.zeros(4), derivatives, 1.0) == pytest.approx(1.0 - 0.01 / 5.0)
    curved = RowTerm(0.01 * size, size, 2)
    assert curved.gap(np.zeros(4), derivatives) == pytest.approx(0.5 * 4.99**2 * size)


# Of the rows: what multiplies both parts; the last row is held at 0.
OWN = np.array([1.0, 0.0, 2.0, 0.5, np.inf])


def weighted():
    finite = np.where(np.isinf(OWN), 0.0, OWN)
    return RowTerm(np.where(np.isinf(OWN), np.inf, 0.5 * OWN), 0.7 * finite, K), finite


def test_weights_of_rows():
    """Each row by itself is a penalty with one strength."""
    (term, finite), table = weighted(), COEF.copy()
    assert term.value(table.ravel()) == np.inf
    moved = term.allowed(table.ravel())
    np.testing.assert_array_equal(moved.reshape(5, K)[:4], table[:4])
    assert not moved.reshape(5, K)[4].any()
    table[4] = 0.0
    parts = [RowTerm(0.5 * s, 0.7 * s, K) for s in finite]
    ways = ("value", "smooth_value", "rest_value")
    for way in ways:
        alone = sum(getattr(one, way)(row) for one, row in zip(parts, table, strict=True))
        assert getattr(term, way)(table.ravel()) == pytest.approx(alone)
    assert term.strong_convexity == 0.0
    assert not term.gap_vanishes(True)
    np.testing.assert_array_equal(np.arange(12, 15), term.fixed)
    for rates in (0.8, RNG.uniform(0.1, 2.0, 15)):
        start = 3.0 * RNG.normal(size=15)
        found = start.copy()
        term.prox(found, rates)
        for j, one in enumerate(parts[:4]):
            own = start.reshape(5, K)[j].copy()
            one.prox(own, rates if np.ndim(rates) == 0 else rates.reshape(5, K)[j])
            np.testing.assert_allclose(found.reshape(5, K)[j], own, atol=1e-12)
        assert not found.reshape(5, K)[4].any()
    found = term.subgradient(table.ravel(), GRADIENT.ravel()).reshape(5, K)
    for j, one in enumerate(parts[:4]):
        np.testing.assert_allclose(found[j], one.subgradient(table[j], GRADIENT[j]))
    assert not found[4].any()


def test_the_gap_of_rows_with_weights():
    """As of one strength, with a row whose conjugate is infinite, but where it has no gradient."""
    (term, _), target = weighted(), RNG.normal(size=15)
    bent = term.curvatures
    best = target / (1.0 + bent)
    term.prox(best, 1.0 / (1.0 + bent))

    def height(w):
        return 0.5 * np.sum((w - target) ** 2) + term.value(w)

    for share in (1.0, 0.1, 0.0):
        w = term.allowed(best + share * COEF.ravel())
        residual = w - target
        rest = 0.5 * residual @ residual
        gap = term.gap(w, residual + bent * w, above=rest)
        assert gap >= height(w) - height(best) - 1e-12
    assert gap == pytest.approx(0.0, abs=1e-12)
