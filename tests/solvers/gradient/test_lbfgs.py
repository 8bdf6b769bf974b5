"""Limited-memory BFGS against a dense BFGS twin and against optima that SciPy finds."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.fitting.loop import Loop
from fastgd.fitting.stopping import StopReason
from fastgd.losses.base import Loss, VectorLoss
from fastgd.losses.classification import LogLoss, SquaredHinge
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.objective import Objective
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.quasi_newton import is_curved, two_loops
from support.problems import Quartic, iterations, objective, optimum, started
from support.twins import members, sparse_problem, with_jit

SMOOTH = [loss for loss in members(Loss) if loss.smooth]
LOSSES = pytest.mark.parametrize(
    "loss", with_jit([SquaredHinge()], SMOOTH), ids=lambda loss: loss.name
)


def test_a_pair_whose_square_is_too_small_for_a_number_does_not_count():
    """It was divided by."""
    s, y = np.array([1.0, 1.0]), np.array([1e-170, 1e-170])
    assert not is_curved(s, y)
    assert is_curved(s, 1e20 * y)
    assert np.isfinite(two_loops([(s, 1e20 * y)], s)).all()


class Ramp(Loss):
    """A loss with two valleys' walls: 1 - exp(-r^2), curved downwards beyond |r| = 0.7."""

    infimum = 0.0
    curvature_bound = 2.0
    convex = False

    def value(self, prediction, target):
        return 1.0 - np.exp(-((prediction - target) ** 2))

    def derivative(self, prediction, target):
        return 2.0 * (prediction - target) * np.exp(-((prediction - target) ** 2))


class TwoSquares(VectorLoss):
    """Half the squared error of two targets."""

    infimum = 0.0

    def value(self, predictions, target):
        return 0.5 * ((predictions[0] - target[0]) ** 2 + (predictions[1] - target[1]) ** 2)

    def derivatives(self, predictions, target, out):
        out[0] = predictions[0] - target[0]
        out[1] = predictions[1] - target[1]


def dense_bfgs(pairs, g):
    s, y = pairs[-1]
    H = np.eye(g.size) * (s @ y) / (y @ y)
    for s, y in pairs:
        rho, eye = 1.0 / (s @ y), np.eye(g.size)
        H = (eye - rho * np.outer(s, y)) @ H @ (eye - rho * np.outer(y, s)) + rho * np.outer(s, s)
    return -H @ g


@pytest.mark.parametrize("count", [1, 3, 12])
def test_two_loops_are_the_dense_update(count):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((8, 8))
    pairs = [(s, root @ root.T @ s) for s in rng.standard_normal((count, 8))]
    g = rng.standard_normal(8)
    np.testing.assert_allclose(two_loops(pairs, g), dense_bfgs(pairs, g), rtol=1e-8, atol=1e-8)


def test_a_step_goes_along_the_dense_update_of_the_iterations_before():
    F = objective(LogLoss(), alpha=0.01)
    solver = LBFGS(F, memory=3)
    state = started(solver)
    points, gradients = [state.memory.u], [solver.own_gradient(state)]
    for _ in range(6):
        solver.advance(state)
        points.append(state.memory.u)
        gradients.append(solver.own_gradient(state))
    for k in range(1, 6):
        recent = range(max(k - 3, 0), k)
        pairs = [(points[i + 1] - points[i], gradients[i + 1] - gradients[i]) for i in recent]
        expected = points[k] + state_rate(points, k, pairs, gradients) * dense_bfgs(
            pairs, gradients[k]
        )
        np.testing.assert_allclose(points[k + 1], expected, rtol=1e-6, atol=1e-12)


def state_rate(points, k, pairs, gradients):
    """Share of the direction that the iteration took; the nearest power of two."""
    direction, step = dense_bfgs(pairs, gradients[k]), points[k + 1] - points[k]
    return 2.0 ** np.round(np.log2(float(step @ direction) / float(direction @ direction)))


@pytest.mark.thinned(plain=3, compiled=1)
@pytest.mark.parametrize("fit_intercept", with_jit([True], [True, False]))
@pytest.mark.parametrize("penalty", with_jit(["l2"], ["l2", None, Quartic()]), ids=str)
@LOSSES
def test_it_reaches_the_optimum(loss, penalty, fit_intercept):
    F = objective(loss, penalty, alpha=0.02, fit_intercept=fit_intercept, n=60)
    best = optimum(F)
    state = iterations(LBFGS(F), 80)
    assert state.value <= best + 1e-10 * max(abs(best), 1.0)
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == value
    np.testing.assert_array_equal(state.gradient, gradient)


def test_columns_on_wild_scales_and_an_intercept_far_away():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 3)) * [1e4, 1.0, 1e-4] + [1e5, 0.0, 1.0]
    y = np.where(X @ [1e-4, 1.0, 0.0] - 10.0 + rng.standard_normal(200) > 0, 1.0, -1.0)
    F = Objective("log_loss", X, y, alpha=1e-3, n_jobs=1)
    solver = LBFGS(F)
    result = Loop(solver, [], max_iter=100, tol=1e-6).run(started(solver))
    assert result.reason is StopReason.CONVERGED
    assert F.passes < 60


def test_far_targets_where_the_loss_has_no_curvature():
    X, y, weights, offsets = sparse_problem(Huber(0.1), n=60)
    F = Objective(
        Huber(0.1),
        X,
        1000.0 + 100.0 * y,
        sample_weight=weights,
        offset=offsets,
        alpha=1e-6,
        n_jobs=1,
    )
    state = iterations(LBFGS(F), 150)
    assert state.value <= optimum(F) * (1.0 + 1e-8)


@pytest.mark.plain
def test_a_loss_that_is_not_convex_never_goes_up():
    F = objective(Ramp(), alpha=1e-3, n=60)
    solver = LBFGS(F)
    state = started(solver, np.ones(F.size))
    values = [state.value]
    for _ in range(60):
        solver.advance(state)
        values.append(state.value)
    assert (np.diff(values) <= 1e-14).all()
    assert np.abs(state.gradient).max() < 1e-6


@pytest.mark.plain
def test_several_predictions_are_one_vector():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    F = Objective(TwoSquares(), X, Y, alpha=0.1, n_jobs=1)
    state = iterations(LBFGS(F), 40)
    parts = [
        iterations(LBFGS(Objective(SquaredError(), X, y, alpha=0.1, n_jobs=1)), 40) for y in Y.T
    ]
    assert state.value == pytest.approx(sum(part.value for part in parts), rel=1e-12)
    np.testing.assert_allclose(
        state.point.reshape(4, 2), np.stack([part.point for part in parts], 1), atol=1e-6
    )


def test_dense_and_csr_take_the_same_path():
    points = [
        iterations(LBFGS(objective(LogLoss(), storage=storage)), 12).point
        for storage in (np.asarray, sp.csr_array)
    ]
    np.testing.assert_array_equal(points[1], points[0])


@pytest.mark.parametrize("loss", [LogLoss(), SquaredHinge()], ids=lambda loss: loss.name)
def test_k_iterations_and_m_more_are_k_plus_m(loss):
    points = []
    for parts in ((11,), (4, 7), (1, 5, 5)):
        state = None
        for part in parts:
            solver = LBFGS(objective(loss, alpha=0.01), memory=4)
            state = started(solver) if state is None else pickle.loads(pickle.dumps(state))
            solver.resume(state)
            state = Loop(solver, [], max_iter=part).run(state).state
        points.append(state.point)
    np.testing.assert_array_equal(points[1], points[0])
    np.testing.assert_array_equal(points[2], points[0])


def test_at_the_optimum_it_says_so():
    solver = LBFGS(objective(LogLoss()))
    state = iterations(solver, 200)
    assert solver.progress(state).done


def test_corners_are_refused():
    with pytest.raises(ValueError, match="solver='lbfgs' does not go with an L1 part"):
        LBFGS(objective(LogLoss(), "l1"))
    with pytest.raises(ValueError, match="needs a loss and a penalty with derivatives"):
        LBFGS(objective(members(Loss)[[loss.name for loss in members(Loss)].index("hinge")]))
