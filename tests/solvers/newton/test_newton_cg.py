"""Newton steps without a matrix of all columns, by conjugate gradients or in a span, against dense
twins and optima that SciPy finds.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.fitting.loop import Loop
from fastgd.fitting.stopping import StopReason
from fastgd.linalg.precision import EPS
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss, SquaredHinge
from fastgd.objective.subset import on_groups
from fastgd.solvers.newton.column_subspace import ColumnSubspace
from fastgd.solvers.newton.newton_cg import NewtonCG
from fastgd.solvers.newton.subspace import RowSubspace
from support.problems import Quartic, iterations, objective, optimum, started, wide
from support.twins import members, sparse_problem, with_jit

SMOOTH = [loss for loss in members(Loss) if loss.smooth]
LOSSES = pytest.mark.parametrize(
    "loss", with_jit([SquaredHinge()], SMOOTH), ids=lambda loss: loss.name
)
SOLVERS = pytest.mark.parametrize("solver", [NewtonCG, RowSubspace, ColumnSubspace])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "storage", with_jit([sp.csr_array], [np.asarray, sp.csr_array]), ids=lambda s: s.__name__
)
def test_kept_curvatures_give_the_products_of_the_objective(storage, fit_intercept):
    F = wide(LogLoss(), storage=storage, fit_intercept=fit_intercept)
    rng = np.random.default_rng(0)
    v, p = rng.standard_normal((2, F.size))
    before = F.passes
    product = F.product_at(v)(p)
    assert F.passes == before + 1.5
    np.testing.assert_allclose(product, F.hessian_product(v, p), rtol=1e-10, atol=1e-14)


def test_a_sample_of_the_rows_can_give_the_curvature():
    F = wide(LogLoss(), n=80)
    part = on_groups(F, np.array([0, 3, 4, 9]), 0.01)
    chosen = np.concatenate([np.arange(8 * k, 8 * k + 8) for k in (0, 3, 4, 9)])
    X, y, weights, offsets = sparse_problem(LogLoss(), n=80, d=60)
    weights = weights / weights[weights > 0].mean()
    v, p = np.random.default_rng(0).standard_normal((2, F.size))
    rows = np.c_[X[chosen], np.ones(chosen.size)]
    z = rows @ v + offsets[chosen]
    h = (
        weights[chosen]
        * [F.loss.curvature(*pair) for pair in zip(z, y[chosen], strict=True)]
        / part.n_active
    )
    expected = rows.T @ (h * (rows @ p)) + 0.01 * np.r_[p[:-1], 0.0]
    np.testing.assert_allclose(part.product_at(v)(p), expected, rtol=1e-10)


def test_where_rounding_is_left_a_step_is_tried_once():
    """It had been halved down to nothing, and so was -g after it: 13.5 passes, now 2.5."""
    F = wide(LogLoss(), d=10)
    solver = NewtonCG(F)
    state = started(solver)
    while not state.done:
        solver.advance(state)
    state.value *= 1.0 - 16.0 * EPS  # rounded the other way
    state.done, before = False, F.passes
    solver.advance(state)
    assert state.done
    assert F.passes - before <= 4.0


def test_a_step_that_was_minus_the_gradient_is_not_tried_again(monkeypatch):
    solver = NewtonCG(wide(LogLoss(), d=10))
    state, tried = started(solver), []
    monkeypatch.setattr(solver, "_solve", lambda product, g, eta: -g)
    monkeypatch.setattr(solver, "_search", lambda state, g, step: tried.append(step))
    solver.advance(state)
    assert state.done
    assert len(tried) == 1


def test_conjugate_gradients_solve_the_newton_system():
    F = wide(LogLoss(), d=10)
    solver, v = NewtonCG(F), np.random.default_rng(0).standard_normal(F.size)
    product = solver._product_at(v)
    H = np.stack([product(e) for e in np.eye(F.size)])
    g = np.arange(1.0, 1.0 + F.size)
    np.testing.assert_allclose(solver._solve(product, g, 1e-12), -np.linalg.solve(H, g), rtol=1e-8)
    loose = solver._solve(product, g, 0.1)
    assert 0.0 < np.linalg.norm(H @ loose + g) <= 0.1 * np.linalg.norm(g)


def test_a_direction_that_curves_downwards_ends_conjugate_gradients():
    solver, g = NewtonCG(wide(LogLoss(), d=3)), np.array([1.0, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(solver._solve(lambda p: -p, g, 0.1), -g)
    bent = np.diag([1.0, 1.0, -1.5, 1.0])
    step = solver._solve(lambda p: bent @ p, g, 1e-9)
    assert float(g @ step) < 0.0


@pytest.mark.thinned(plain=10, compiled=1)
@pytest.mark.parametrize("fit_intercept", with_jit([True], [True, False]))
@pytest.mark.parametrize("shape", with_jit([(23, 60)], [(23, 60), (60, 6)]), ids=str)
@LOSSES
@SOLVERS
def test_they_reach_the_optimum(solver, loss, shape, fit_intercept):
    F = wide(loss, n=shape[0], d=shape[1], fit_intercept=fit_intercept)
    best = optimum(F)
    state = iterations(solver(F), 60)
    assert state.value <= best + 1e-10 * max(abs(best), 1.0)
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(state.gradient, gradient, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("penalty", with_jit([Quartic()], [None, Quartic()]), ids=str)
def test_newton_takes_any_smooth_penalty(penalty):
    F = objective(LogLoss(), penalty, alpha=0.02, n=60)
    assert iterations(NewtonCG(F), 30).value <= optimum(F) + 1e-10


@SOLVERS
def test_a_run_ends_with_a_proof_that_holds(solver):
    F = wide(LogLoss(), n=60, d=200)
    made = solver(F)
    result = Loop(made, [], max_iter=100, tol=1e-6).run(started(made))
    assert result.reason is StopReason.CONVERGED
    best = iterations(RowSubspace(F), 60).value
    assert result.objective - best <= result.bound.value + 1e-15
    assert result.bound.kind == "proof"


@SOLVERS
def test_dense_and_csr_take_the_same_path(solver):
    points = [
        iterations(solver(wide(LogLoss(), storage=storage)), 6).point
        for storage in (np.asarray, sp.csr_array)
    ]
    np.testing.assert_array_equal(points[1], points[0])


@pytest.mark.parametrize("turned", [3, 40])
@SOLVERS
def test_k_iterations_and_m_more_are_k_plus_m(solver, turned):
    points = []
    for parts in ((turned + 5,), (turned, 5)):
        state = None
        for part in parts:
            made = solver(wide(LogLoss(), alpha=1e-4))
            state = started(made) if state is None else pickle.loads(pickle.dumps(state))
            value = state.value
            made.resume(state)
            assert state.value == value
            state = Loop(made, [], max_iter=part).run(state).state
        points.append(state.point)
    np.testing.assert_array_equal(points[1], points[0])


@SOLVERS
def test_a_state_from_other_data_is_no_obstacle(solver):
    state = iterations(solver(wide(LogLoss(), seed=0)), 5)
    made = solver(wide(LogLoss(), seed=1))
    made.resume(state)
    result = Loop(made, [], max_iter=100, tol=1e-6).run(state)
    assert result.reason is StopReason.CONVERGED


@SOLVERS
def test_at_the_optimum_they_say_so(solver):
    made = solver(wide(SquaredHinge()))
    state = iterations(made, 200)
    assert made.progress(state).done


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="use solver='lbfgs'"):
        RowSubspace(objective(LogLoss(), "l1"))
    with pytest.raises(ValueError, match="solver='newton' by products does not go with an L1 part"):
        NewtonCG(objective(LogLoss(), "l1"))
