"""Coordinate descent on columns: its orders and its extrapolation."""

import numpy as np
import pytest

from fastgd.solvers.l1.column_subset import scattered
from fastgd.solvers.l1.column_sweep import in_shuffled_runs
from fastgd.solvers.l1.extrapolation import EPOCHS, Extrapolation


def test_parts_of_the_columns_are_scattered_in_the_order_of_all():
    every = np.arange(1000)
    order = every[scattered(every)]
    assert np.sort(order).tolist() == every.tolist()
    assert np.abs(np.diff(order)).min() > 10
    part = np.random.default_rng(0).permutation(1000)[:300]
    assert part[scattered(part)].tolist() == [j for j in order if j in set(part.tolist())]


@pytest.mark.parametrize("size", [0, 1, 8, 21])
def test_runs_are_shuffled_and_complete(size):
    rng, active = np.random.default_rng(0), np.arange(100, 100 + size)
    order = in_shuffled_runs(active, rng)
    assert np.sort(order).tolist() == active.tolist()
    assert (np.diff(order) == 1).sum() >= size - size // 8 - 1


def system(rng, n=60, d=40):
    """X, curvatures and derivatives of rows, some of which have no curvature, and unknowns."""
    X = rng.standard_normal((n, d)) + rng.standard_normal((n, 1))
    curvatures = rng.uniform(0.1, 1.0, n) * (np.arange(n) % 7 > 0)
    return X, curvatures, rng.standard_normal(n), rng.standard_normal(d)


def epoch(X, curvatures, derivatives, unknowns, l2=0.1):
    """Exact steps along each coordinate, without an L1 part."""
    n = X.shape[0]
    for j, column in enumerate(X.T):
        curvature = curvatures @ column**2 / n + l2
        step = -(column @ derivatives / n + l2 * unknowns[j]) / curvature
        unknowns[j] += step
        derivatives += step * curvatures * column


@pytest.mark.parametrize("seed", range(5))
def test_a_combination_of_epochs_is_lower_and_its_derivatives_are_those_there(seed):
    X, curvatures, derivatives, unknowns = system(np.random.default_rng(seed))
    began, start = derivatives.copy(), unknowns.copy()
    n, d = X.shape

    def model(u):
        e = u - start
        change = X @ e
        return (began @ change + curvatures @ change**2 / 2.0) / n + 0.05 * u @ u

    gradient = X.T @ derivatives / n + 0.1 * unknowns
    rows = curvatures, derivatives
    extrapolation = Extrapolation(gradient, *rows, unknowns, (0.0, 0.1, n, d))
    extrapolation.begin(np.arange(d))
    for k in range(EPOCHS):
        epoch(X, curvatures, derivatives, unknowns)
        before = model(unknowns)
        fell = extrapolation.advance()
        assert (fell > 0.0) == (k == EPOCHS - 1)
    assert extrapolation.active is None
    assert model(unknowns) < before
    assert fell == pytest.approx(before - model(unknowns), rel=1e-6)
    expected = began + curvatures * (X @ (unknowns - start))
    np.testing.assert_allclose(derivatives, expected, rtol=1e-9, atol=1e-12)


def test_nothing_moves_where_nothing_did():
    X, curvatures, derivatives, unknowns = system(np.random.default_rng(0))
    kept = unknowns.copy()
    rows = curvatures, derivatives
    extrapolation = Extrapolation(kept, *rows, unknowns, (0.1, 0.0, *X.shape))
    extrapolation.begin(np.arange(unknowns.size))
    assert [extrapolation.advance() for _ in range(EPOCHS)] == [0.0] * EPOCHS
    assert unknowns.tolist() == kept.tolist()
