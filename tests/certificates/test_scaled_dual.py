"""The bound from the dual point of a proximal Newton model: its twin, and that it is nowhere above
the minimum.
"""

import itertools

import numpy as np
import pytest
import scipy.special

from fastgd import Objective
from fastgd.certificates import scaled_dual
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.penalties.separable import ElasticNet
from fastgd.solvers.l1.working_set import WorkingSet
from support.twins import members, sparse_problem, stored, with_jit

LOSSES = with_jit(
    [LogLoss()],
    [loss for loss in members(Loss) if loss.convex and loss.smooth],
)


def objective(loss, seed=0, storage="dense", l1_ratio=1.0, **given):
    X, y, weights, offsets = sparse_problem(loss, n=80, d=5, seed=seed)
    X = X * 10.0 ** np.random.default_rng(seed).uniform(-1, 1, 5)
    rows = stored(X, storage)
    given = {"sample_weight": weights, "offset": offsets, "alpha": 10.0 ** -(seed % 4 + 1), **given}
    table = rows.matrix() if storage == "csr" else X
    return Objective(loss, table, y, penalty=ElasticNet(l1_ratio), **given)


def along(F, iterations=8):
    """Points of a run, the derivatives of F's smooth part there, and the lowest F."""
    solver = WorkingSet(F, sampling=False)
    state = solver.start(F.start())
    points = [(state.point, state.gradient)]
    for _ in range(iterations):
        solver.advance(state)
        points.append((state.point, state.gradient))
    return points, state.value + F.rest_value(state.point)


def rows_at(F, v):
    """The products x_i . w, and the intercept."""
    coef, intercept = F.split(v)
    X = F.rows.take(slice(None))
    return X @ coef, intercept


def bound(F, v, step, index=slice(None)):
    d = F.n_features
    there = v + step
    return scaled_dual.lower_bound(
        F, rows_at(F, v), rows_at(F, there), v[:d][index], there[:d][index], index
    )


@pytest.mark.thinned(plain=4, compiled=1)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_it_is_never_above_the_minimum_whatever_the_step(loss, fit_intercept, l1_ratio):
    rng = np.random.default_rng(1)
    for seed in range(4):
        F = objective(loss, seed, ("dense", "csr")[seed % 2], l1_ratio, fit_intercept=fit_intercept)
        if not scaled_dual.applies(F):
            continue
        points, best = along(F, 12)
        for (v, _), (after, _) in list(itertools.pairwise(points[:7]))[::2]:
            for step in (after - v, rng.standard_normal(v.size), 0.0 * v):
                assert bound(F, v, step) <= best + 1e-12 * abs(best)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_it_is_the_value_of_the_dual_point(l1_ratio):
    F = objective(LogLoss(), 2, "dense", l1_ratio, fit_intercept=False)
    points, best = along(F)
    (v, _), (there, _) = points[1:3]
    X, y, s = F.rows.values, F.samples.targets, np.broadcast_to(F.samples.weights, F.n_samples)
    z, q = X @ v + F.samples.offsets, X @ (there - v)
    p = scipy.special.expit(-y * z)
    share = np.clip(p - y * p * (1.0 - p) * q, 0.0, 1.0)  # -y times the dual point
    derivative = X.T @ (s * -y * share) / F.n_active
    if l1_ratio == 1.0:
        scale = min(1.0, F.l1 / np.abs(derivative).max())
        share, penalty = scale * share, 0.0
    else:
        beyond = np.maximum(np.abs(derivative) - F.l1, 0.0)
        penalty = float(beyond @ beyond) / (2.0 * F.l2)
    # The conjugate at -y p is -entropy; offsets are part of the predictions.
    entropy = scipy.special.entr(share) + scipy.special.entr(1.0 - share)
    exact = float(s @ (entropy + -y * share * F.samples.offsets)) / F.n_active - penalty
    found = bound(F, v, there - v)
    assert found <= exact + 1e-13
    assert found >= exact - 0.05 * abs(best)
    assert exact <= best + 1e-12


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_near_the_optimum_it_is_far_closer_than_the_gap_at_the_point(fit_intercept, monkeypatch):
    # A step with the matrix of an earlier point is not of second order.
    monkeypatch.setattr("fastgd.solvers.l1.working_set.REUSED", 0.0)
    F = objective(LogLoss(), 3, fit_intercept=fit_intercept)
    points, best = along(F, 12)
    seen = 0
    for (v, _), (there, gradient) in itertools.pairwise(points):
        left = F.value(v) - best
        if 1e-9 * best < left < 1e-2 * best:
            d = F.n_features
            smooth = F.value(there) - F.rest_value(there)
            gap = F.term.gap(there[:d], gradient[:d], smooth)
            below = F.value(there) - bound(F, v, there - v)
            assert below <= 0.2 * gap + 1e-11
            seen += 1
    assert seen >= 1


def test_columns_that_are_left_out_count():
    F = objective(LogLoss(), 1, fit_intercept=False)
    points, _ = along(F, 12)
    v = points[-1][0].copy()
    v[[1, 3]] = 0.0
    step = np.zeros(5)
    step[[0, 2]] = 0.1
    index = np.array([0, 2, 4])
    assert bound(F, v, step, index) == pytest.approx(bound(F, v, step), rel=1e-13)


def test_it_is_exact_for_squares():
    """The model is F itself: at its minimum nothing is left but rounding."""
    F = objective(SquaredError(), 2)
    points, best = along(F, 20)
    v, there = 0.3 * points[-1][0], points[-1][0]
    assert best - bound(F, v, there - v) <= 1e-9 * best
