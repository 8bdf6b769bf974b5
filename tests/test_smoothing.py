"""Rounded corners: how far they are from the loss, and Newton's method by way of them."""

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.losses import EpsilonInsensitive, Hinge, LogLoss, Quantile
from fastgd.smoothing import smoothed
from fastgd.solvers.newton import Newton
from fastgd.solvers.rounded import Rounded
from reference import sparse_problem

CORNERED = [Hinge(), EpsilonInsensitive(0.2), Quantile(0.7)]


@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
@pytest.mark.parametrize("width", [1.0, 0.1, 1e-6])
def test_rounded_is_below_by_no_more_than_half_the_width(loss, width):
    near = smoothed(loss, width)
    for target in (-1.0, 1.0):
        for prediction in np.r_[np.linspace(-3.0, 3.0, 61), target + width * np.linspace(-2.0, 2.0, 41)]:
            below = loss.value(prediction, target) - near.value(prediction, target)
            assert -1e-12 <= below <= 0.5 * width + 1e-12
            assert near.value(prediction, target) + 1e-15 >= 0.0


def test_other_losses_are_not_rounded():
    assert smoothed(LogLoss(), 0.1) is None
    with pytest.raises(ValueError, match="width must be positive"):
        smoothed(Hinge(), 0.0)


@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_newton_proves_its_answer_and_agrees_with_dual_ascent(loss, fit_intercept):
    X, y, weights, offsets = sparse_problem(loss, n=60, d=5)
    kind = GDClassifier if loss.classification else GDRegressor
    given = {"alpha": 0.05, "tol": 1e-6, "fit_intercept": fit_intercept, "random_state": 0}
    found = kind(loss, solver="newton", **given).fit(X, y, weights, offset=offsets)
    assert found.converged_
    assert found.bound_kind_ == "proof"
    assert found.suboptimality_ <= 1e-6
    other = kind(loss, solver="sdca", max_iter=5000, **given).fit(X, y, weights, offset=offsets)
    assert found.objective_ == pytest.approx(other.objective_, rel=3e-6)
    assert kind(loss, **given).fit(X, y).plan_.solver == "newton"


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_with_an_l1_part(penalty):
    X, y, _, _ = sparse_problem(Hinge(), n=60, d=5)
    model = GDClassifier("hinge", penalty=penalty, alpha=0.05, tol=1e-5).fit(X, y)
    assert model.suboptimality_ <= 1e-5


def test_turns_in_two_parts_are_the_same_turns():
    X, y, _, _ = sparse_problem(Hinge(), n=60, d=5)
    F = Objective("hinge", X, y, alpha=0.05)
    points = []
    for parts in ((9,), (4, 5)):
        solver = Rounded(F, Newton)
        state = solver.start(F.start())
        for turns in parts:
            solver = Rounded(F, Newton)
            solver.resume(state)
            for _ in range(turns):
                solver.turn(state)
        points.append(state.point)
    np.testing.assert_array_equal(*points)
