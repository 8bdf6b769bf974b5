"""Coordinate descent on a working set for MCP and SCAD: its kernels' twins, and where it ends."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import MCP, SCAD, GDRegressor, Objective
from fastgd.losses.classification import LogLoss
from fastgd.losses.deviances import Poisson
from fastgd.losses.regression import Huber, SquaredError
from fastgd.penalties.separable import ElasticNet
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.concave_set import ConcaveSet
from support.twins import sparse_problem, with_jit

PENALTIES = [MCP(), MCP(1.2), SCAD(), SCAD(2.5)]
LOSSES = with_jit([LogLoss()], [SquaredError(), LogLoss(), Huber(), Poisson()])


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("curvature", [0.1, 0.7, 4.0])
def test_a_coordinate_goes_to_its_lowest_point(penalty, curvature):
    term = penalty.term(0.6)
    grid = np.linspace(0.0, 6.0, 60_001)
    for center in (-5.0, -1.3, -0.2, 0.0, 0.4, 0.9, 1.9, 3.1):
        found = kernels.concave_minimum(center, curvature, *term.pieces())
        heights = 0.5 * curvature * (grid - abs(center)) ** 2 + term.sizes_value(grid)
        height = 0.5 * curvature * (found - center) ** 2 + term.sizes_value(np.abs(found))
        assert height <= heights.min() + 1e-12
        assert found * center >= 0.0


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_descent_is_its_twin(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 6))
    X[:, 2] = 0.0
    matrix, derivative, coef = X.T @ X / 20, rng.standard_normal(6), rng.standard_normal(6)
    term = penalty.term(0.3)
    expected = coef.copy()
    for _ in range(3):
        for j in range(6):
            if matrix[j, j] > 0.0:
                new = expected[j] - (derivative + matrix @ (expected - coef))[j] / matrix[j, j]
                if j < 5:  # the last one is not penalised
                    moved = np.array([new])
                    term.prox(moved, 1.0 / matrix[j, j])
                    new = moved[0]
                expected[j] = new
    found, moved = coef.copy(), derivative.copy()
    kernels.concave_descent(matrix, moved, found, *term.pieces(), 5, 0.0, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        moved, derivative + matrix @ (expected - coef), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_it_falls_to_a_stationary_point(loss, fit_intercept, storage):
    X, y, weights, offsets = sparse_problem(loss, n=60, d=12, seed=1)
    for penalty in (MCP(), SCAD()):
        F = Objective(
            loss,
            storage(X),
            y,
            sample_weight=weights,
            offset=offsets,
            penalty=penalty,
            alpha=0.02,
            fit_intercept=fit_intercept,
        )
        solver = ConcaveSet(F)
        state, values = solver.start(F.start()), []
        for _ in range(60):
            solver.advance(state)
            values.append(state.value + F.rest_value(state.point))
            if state.done:
                break
        assert state.done
        assert (np.diff(values) <= 1e-12 * np.abs(values[0])).all()
        assert values[-1] == pytest.approx(F.value(state.point), rel=1e-12)
        assert F.value(state.point) < F.value(F.start())
        assert np.abs(F.subgradient(state.point, state.gradient)).max() <= 1e-5


def test_curvature_is_raised_where_the_model_falls_too_far():
    """Counts of 1e4 from a start of 0: the first models fall far below F."""
    X = np.random.default_rng(0).standard_normal((50, 3))
    y = np.round(np.exp(9.0 + X[:, 0]))
    F = Objective("poisson", X, y, penalty=MCP(), alpha=10.0)
    solver = ConcaveSet(F)
    state, raised = solver.start(F.start()), []
    for _ in range(60):
        solver.advance(state)
        raised.append(state.memory.raised)
    assert max(raised) > 1.0 == raised[-1]
    assert state.point[0] == pytest.approx(1.0, abs=0.05)


def test_auto_takes_it_and_it_is_as_low_as_accelerated_descent():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 40))
    y = X[:, :5] @ rng.standard_normal(5) + 0.5 * rng.standard_normal(200)
    for penalty in (MCP(), SCAD()):
        models = [
            GDRegressor(penalty=penalty, alpha=0.1, tol=1e-6, solver=solver).fit(X, y)
            for solver in ("auto", "nesterov")
        ]
        assert models[0].bound_kind_ == "stationarity"
        assert models[0].suboptimality_ <= 1e-6
        assert models[0].objective_ <= models[1].objective_ * (1.0 + 1e-6)
        assert models[0].n_iter_ < models[1].n_iter_


def test_other_objectives_are_refused():
    X, y = np.eye(4), np.arange(4.0)
    assert "concave" in ConcaveSet.refusal(
        Objective("squared_error", X, y, penalty=ElasticNet(1.0))
    )
    assert "derivative" in ConcaveSet.refusal(Objective("quantile", X, y, penalty=MCP(), alpha=0.1))
