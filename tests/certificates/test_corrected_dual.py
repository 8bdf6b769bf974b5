"""The bound from a dual point that a Newton step has corrected: its twin, and that it is never
above the minimum.
"""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from fastgd import Objective
from fastgd.certificates import corrected_dual
from fastgd.linalg.cholesky import Factor
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.solvers.newton.cholesky import Newton
from support.extended import extended, newton_points, without_rounding
from support.twins import members, sparse_problem, stored, with_jit

LOSSES = with_jit(
    [LogLoss()],
    [loss for loss in members(Loss) if loss.convex and loss.smooth],
)


def points_of(F, iterations=12):
    """(v, gradient, curvature) along a run, and the lowest F that was seen."""
    newton = Newton(F)
    state = newton.start(F.start())
    points = []
    for _ in range(iterations):
        points.append((state.point, state.gradient))
        newton.advance(state)
    return points, state.value


def objective(loss, seed=0, storage="dense", **given):
    X, y, weights, offsets = sparse_problem(loss, n=80, d=5, seed=seed)
    X = X * 10.0 ** np.random.default_rng(seed).uniform(-1, 2, 5)
    rows = stored(X, storage)
    given = {"sample_weight": weights, "offset": offsets, "alpha": 10.0 ** -(seed % 4 + 1), **given}
    return Objective(loss, rows.matrix() if storage == "csr" else X, y, **given)


@pytest.mark.thinned(plain=4, compiled=1)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_it_is_never_above_the_minimum_whatever_the_step(loss, fit_intercept, storage):
    rng = np.random.default_rng(1)
    for seed in range(4):
        F = objective(loss, seed, storage, fit_intercept=fit_intercept)
        points, best = points_of(F)
        for v, g in points[:6:2]:
            for step in (
                -np.linalg.solve(F.curvature_matrix(v) + 1e-9 * np.eye(F.size), g),
                rng.standard_normal(v.size),
            ):
                with np.errstate(all="ignore"):  # as certifiers ask: a loss may overflow
                    lower = corrected_dual.lower_bound(F, v, step)
                assert lower <= best * (1.0 + 1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_near_the_optimum_it_is_far_closer_than_the_gap_at_the_point(fit_intercept):
    F = objective(LogLoss(), 3, fit_intercept=fit_intercept)
    points, best = points_of(F)
    seen = 0
    for v, g in points:
        left, gap = F.value(v) - best, g[: F.n_features] @ g[: F.n_features] / (2.0 * F.l2)
        if 1e-10 * best < left < 1e-3 * best:
            lower = corrected_dual.lower_bound(F, v, -np.linalg.solve(F.curvature_matrix(v), g))
            assert best - lower < 0.2 * left
            assert best - lower < 0.1 * gap
            seen += 1
    assert seen >= 1


def test_the_rows_own_gaps_are_at_least_those_of_the_conjugate():
    F = objective(LogLoss(), 2, fit_intercept=False)
    v, g = points_of(F, 4)[0][-1]
    step = -np.linalg.solve(F.curvature_matrix(v), g)
    X, y, s = F.rows.values, F.samples.targets, np.broadcast_to(F.samples.weights, F.n_samples)
    z, q = X @ v + F.samples.offsets, X @ step
    p = scipy.special.expit(-y * z)
    a = -y * p + p * (1.0 - p) * q
    share = np.clip(-y * a, 0.0, 1.0)
    conjugate = -scipy.special.entr(share) - scipy.special.entr(1.0 - share)
    there = v + step
    rest = X.T @ (s * -y * share) / F.n_active + F.l2 * there
    gaps = np.logaddexp(0.0, -y * (z + q)) + conjugate + y * share * (z + q)
    value = float(s @ np.logaddexp(0.0, -y * (z + q))) / F.n_active + 0.5 * F.l2 * there @ there
    exact = value - float(s @ gaps) / F.n_active - rest @ rest / (2.0 * F.l2)
    found = corrected_dual.lower_bound(F, v, step)
    assert found <= exact + 1e-13
    assert value - found <= 2.0 * (value - exact) + 1e-10


@pytest.mark.jit
def test_rare_columns_under_a_weak_penalty_are_proved_by_it():
    rng = np.random.default_rng(0)
    n = 3000
    X = rng.standard_normal((n, 12))
    for j in range(8):
        X[:, j] = 0.0
        X[rng.choice(n, 5 + j), j] = 1.0
    X /= X.std(axis=0)
    y = np.where(X @ rng.standard_normal(12) * 0.3 + rng.logistic(size=n) > 0.0, 1.0, -1.0)
    F = Objective("log_loss", X, y, alpha=1.0 / n, fit_intercept=False)
    newton = Newton(F, 1e-4)
    state = newton.start(F.start())
    best = points_of(Objective("log_loss", X, y, alpha=1.0 / n, fit_intercept=False), 30)[1]
    lowers = []
    for _ in range(12):
        newton.advance(state)
        lowers.append(newton.progress(state).lower)
    assert max(lowers) <= best
    assert best - max(lowers) <= 1e-4 * best


@pytest.mark.jit  # of sums as they are compiled
@extended
@pytest.mark.parametrize(("loss", "seeds"), [("squared_error", (40, 70)), ("log_loss", (64, 150))])
def test_what_is_rounded_is_taken_off(loss, seeds, monkeypatch):
    """Also where offsets of 1e8 are what predictions are rounded in."""
    visible = 0
    for seed in range(*seeds):
        F, points, minimum = newton_points(loss, seed)
        for v in points:
            step = -Factor(F.curvature_matrix(v)).solve(F.gradient(v))
            least = np.nextafter(minimum(v)[1], np.inf)
            lower = corrected_dual.lower_bound(F, v, step)
            assert lower <= least, (seed, (lower - least) / least)
            with monkeypatch.context() as patched:
                without_rounding(patched, corrected_dual)
                visible += corrected_dual.lower_bound(F, v, step) > least
    assert visible >= 5
