"""Steps that nobody chose: proved optima for every loss and penalty, whatever the columns."""

import numpy as np
import pytest

from fastgd import GDClassifier
from fastgd.fitting.loop import Loop
from fastgd.fitting.stopping import StopReason
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import EpsilonInsensitive, Huber, Quantile, SquaredError
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective
from fastgd.penalties.separable import NoPenalty
from fastgd.rules.adaptive import Adam
from fastgd.rules.base import Rule
from fastgd.rules.classic import Gd, Momentum, Nesterov
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.distance_over_gradients import DistanceOverGradients
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.problems import Quartic, build, dense_problem, iterations, objective, proved, started
from support.twins import members, with_jit

RULES = pytest.mark.parametrize("rule", members(Rule), ids=lambda rule: rule.name)
SMOOTH = [loss for loss in members(Loss) if loss.smooth]
CORNERS = [loss for loss in members(Loss) if not loss.smooth and loss.name != "perceptron"]


class LoweredHuber(Loss):
    """A user's loss that may be below 0: Huber's less a constant."""

    lowered: float = 0.0

    def value(self, prediction, target):
        distance = abs(prediction - target)
        near = min(distance, 0.1)
        return near * (distance - 0.5 * near) - self.lowered

    def derivative(self, prediction, target):
        return min(max(prediction - target, -0.1), 0.1)


class Walled(Loss):
    """A user's loss that is no number beyond a wall, towards which it falls: (1 + r)^2, r =
    prediction - target, for r > 0.
    """

    infimum = 1.0
    convex = False

    def value(self, prediction, target):
        residual = prediction - target
        return (1.0 + residual) ** 2 if residual > 0.0 else np.nan

    def derivative(self, prediction, target):
        return 2.0 * (1.0 + prediction - target)


class Welsch(Loss):
    """A user's loss that is not convex: 1 - exp(-r^2 / 2)."""

    infimum = 0.0
    convex = False

    def value(self, prediction, target):
        return 1.0 - np.exp(-0.5 * (prediction - target) ** 2)

    def derivative(self, prediction, target):
        return (prediction - target) * np.exp(-0.5 * (prediction - target) ** 2)


def automatic(F):
    """Every full-batch solver that chooses its own steps."""
    yield BarzilaiBorwein(F)
    yield Accelerated(F)
    for rule in with_jit([Momentum(), Adam()], members(Rule)):
        yield RateBackoff(F, rule)
        yield Armijo(F, rule)


def usual(loss, penalty):
    """Every convex loss with L2 in plain Python, where the rest takes up to half a minute each; a
    few compiled.
    """
    return with_jit(True, penalty == "l2" and loss.convex)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        pytest.param(
            loss,
            penalty,
            id=f"{loss.name}-{penalty}",
            marks=() if usual(loss, penalty) else pytest.mark.long,
        )
        for loss in with_jit([LogLoss(), Huber(0.7)], SMOOTH)
        for penalty in ("l2", "l1", "elasticnet")
    ],
)
def test_automatic_steps_reach_a_proved_optimum(loss, penalty):
    F = objective(loss, penalty, alpha=0.05, n=40)
    lowest = min(F.value(proved(BarzilaiBorwein(F), tol=1e-8).point), np.inf)
    for solver in automatic(F):
        result = proved(solver, max_iter=1500)
        name = type(solver).__name__, getattr(solver, "rule", None)
        # With L1 the gap falls with the root of the error: other solvers reach the optimum before
        # they can prove it. Of a loss that is not convex nothing is proved.
        certain = F.l1 == 0.0 or isinstance(solver, BarzilaiBorwein | Accelerated)
        certain = certain and F.loss.convex
        assert result.reason is StopReason.CONVERGED or not certain, (name, result.suboptimality)
        assert result.objective <= lowest * (1 + 1e-6), name


@pytest.mark.thinned(plain=4, compiled=1)  # each loss with another penalty
@pytest.mark.parametrize("penalty", with_jit(["l2"], ["l2", "l1", "elasticnet"]))
@pytest.mark.parametrize("loss", with_jit(CORNERS[:1], CORNERS), ids=lambda loss: loss.name)
def test_subgradients_come_close_for_non_smooth_losses(loss, penalty):
    F = objective(loss, penalty, alpha=0.05, n=40)
    values = {}
    for rule in members(Rule):
        result = proved(DistanceOverGradients(F, rule), tol=None, max_iter=with_jit(3000, 1000))
        values[rule.name] = result.objective
    lowest = min(values.values())
    assert all(value <= 1.03 * lowest for value in values.values()), values


@pytest.mark.jit  # 1000 iterations of each solver
@pytest.mark.parametrize(
    "penalty", [Quartic(), ToyWeightedL1(np.arange(4.0))], ids=lambda penalty: penalty.name
)
def test_a_users_penalty_is_minimised_too(penalty):
    F = objective(LogLoss(), penalty, alpha=0.1)
    values = [proved(solver, tol=None, max_iter=1000).objective for solver in automatic(F)]
    np.testing.assert_allclose(values, min(values), rtol=1e-5)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("loss", [ToySoftmax(), ToyMultiSquared()], ids=lambda loss: loss.name)
def test_several_predictions_are_fitted_at_once(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3)) * [1.0, 3.0, 0.5]
    Y = (
        rng.integers(0, 3, (30, 1)).astype(float)
        if isinstance(loss, ToySoftmax)
        else rng.standard_normal((30, 3))
    )
    F = Objective(loss, X, Y, alpha=0.01)
    for solver in (
        BarzilaiBorwein(F),
        Accelerated(F),
        RateBackoff(F, Adam()),
        Armijo(F, Nesterov()),
    ):
        result = proved(solver, tol=None, max_iter=300)
        assert np.abs(F.gradient(result.point)).max() < 1e-3, type(solver).__name__


@pytest.mark.plain
def test_no_convexity_no_break():
    X, y, _, _ = dense_problem(SquaredError(), n=60)
    y = y + 20.0 * (np.arange(60) % 5 == 0)
    F = Objective(Welsch(), X, y, alpha=1e-3)
    for solver in (
        BarzilaiBorwein(F),
        Accelerated(F),
        RateBackoff(F, Adam()),
        Armijo(F, Momentum()),
    ):
        state = started(solver)
        first = F.value(state.point)
        iterations(solver, 200, state)
        v = state.point
        assert F.value(v) < 0.6 * first, type(solver).__name__
        assert np.abs(F.gradient(v)).max() < 1e-4, type(solver).__name__


@pytest.mark.jit  # thousands of iterations
def test_momentum_starts_anew_and_makes_the_rate_linear():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 6)) @ rng.standard_normal((6, 6))
    X[:, 0] = X[:, 1] + 0.2 * X[:, 0]
    F = Objective(
        "log_loss", X, np.where(rng.random(60) < 0.5, 1.0, -1.0), penalty="l1", alpha=1e-4
    )
    solver = Accelerated(F)
    state, ages, values = started(solver), [], []
    for _ in range(600):
        solver.advance(state)
        ages.append(state.memory.momentum)
        values.append(solver.total(state))
    restarts = np.flatnonzero(np.diff(ages) < 0)
    assert restarts.size >= 1
    errors = np.array(values) - proved(BarzilaiBorwein(F), tol=None, max_iter=3000).objective
    assert errors[150] <= 1e-2 * errors[10]
    assert errors[-1] <= 1e-9


def columns(kind, X):
    if kind == "collinear":
        return np.hstack([X, X[:, :1] + X[:, 1:2], 3.0 * X[:, :1]])
    if kind == "constant and empty":
        return np.hstack([X, np.full((X.shape[0], 1), 7.0), np.zeros((X.shape[0], 1))])
    scales = {"huge": 1e30, "tiny": 1e-30, "wild": 10.0 ** np.array([-8, 8, 0, 4]), "shifted": 1.0}[
        kind
    ]
    return X * scales + (1e4 if kind == "shifted" else 0.0)


@pytest.mark.thinned(plain=3, compiled=1)
@pytest.mark.parametrize(
    "kind", ["collinear", "constant and empty", "huge", "tiny", "wild", "shifted"]
)
@pytest.mark.parametrize("loss", [LogLoss(), SquaredError()], ids=lambda loss: loss.name)
def test_columns_as_they_come(loss, kind):
    """No unit, shift or dependence of columns keeps the automatic steps from the optimum."""
    X, y, weights, _ = dense_problem(loss, n=40)
    values = []
    for data in (columns(kind, X), X):
        F = Objective(loss, data, y, sample_weight=weights, penalty=None)
        for solver in (BarzilaiBorwein(F), Accelerated(F), RateBackoff(F, Nesterov())):
            result = proved(solver, tol=None, max_iter=400)
            assert np.isfinite(result.point).all()
            values.append(result.objective)
    np.testing.assert_allclose(values, min(values), rtol=1e-4)


@pytest.mark.parametrize("penalty", ["l2", None])
def test_one_row_one_column_one_class(penalty):
    for X, y in (
        ([[2.0]], [1.0]),
        ([[0.0]], [-1.0]),
        ([[1e-140]], [1.0]),
        ([[1.0], [2.0]], [1.0, 1.0]),
    ):
        for loss in ("log_loss", "squared_error"):
            F = Objective(loss, X, y, penalty=penalty, alpha=1e-3)
            for solver in (
                BarzilaiBorwein(F),
                Accelerated(F),
                RateBackoff(F, Adam()),
                Armijo(F, Gd()),
            ):
                result = proved(solver, tol=1e-4, max_iter=50)
                assert np.isfinite(result.point).all()
                assert result.objective <= F.value(F.start())
            for batch in (1, F.n_active):
                state = iterations(build(F, "gd", batch, "auto"), 5)
                assert np.isfinite(state.point).all()


@pytest.mark.thinned(plain=1, compiled=4)
@RULES
@pytest.mark.parametrize("batch", with_jit([5], [1, 5]))
def test_self_tuned_runs_stay_finite_on_raw_columns(rule, batch):
    X, y, weights, _ = dense_problem(SquaredError(), n=40)
    X, y = X * [1e-4, 1.0, 1e4, 1.0] + [0.0, 50.0, 0.0, 0.0], 1e3 * y + 1e4
    F = Objective("squared_error", X, y, sample_weight=weights, penalty=None)
    solver = build(F, rule.name, batch, "auto")
    descent = Loop(solver, [], max_iter=64)
    point = F.start()
    point[-1] = solver.objective.null_intercept
    result = descent.run(started(solver, point))
    assert np.isfinite(result.point).all()
    assert result.objective < solver.objective.null_value


def test_a_run_that_goes_on_knows_that_no_row_comes_near_its_cap():
    """It looked at each row's loss, for twice the time: the longest row was forgotten."""
    F = objective(LogLoss(), "l2", 0.01)
    solver = build(F, "gd", 1, "auto")
    state = iterations(solver, 64)
    assert not solver.step_length.uses_row()
    for again in (False, True):
        other = build(F, "gd", 1, "auto")
        if again:
            other.restore(state, solver.workspace(state))
        else:
            other.resume(state)
        other.advance(state)
        assert not other.step_length.uses_row()


@pytest.mark.parametrize("scales", [np.ones(4), 10.0 ** np.arange(4)], ids=["alike", "unlike"])
def test_a_row_of_much_weight_moves_no_further_than_its_own_loss_asks_for(scales):
    """The cap was that of a row that counts once, and the step then multiplied by the weight: F
    went to 1e55 and 1e56.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    y, weights = X.sum(axis=1) + rng.standard_normal(200), np.r_[1e9, np.ones(199)]
    F = Objective("squared_error", X * scales, y, sample_weight=weights, alpha=1e-4, n_jobs=1)
    solver = build(F, "gd", 1, "auto")
    state = iterations(solver, 16)
    assert F.value(solver.answer(state)) <= 1.0  # in units of the noise


@pytest.mark.parametrize(
    "loss", [Quantile(0.3), *with_jit([], [Huber(0.1), EpsilonInsensitive(0.1)])], ids=str
)
def test_losses_that_are_linear_far_away_are_no_slower(loss):
    """Steps of 1 / curvature would take for ever where targets are 1e5 and derivatives at most
    1.
    """
    X, y, _, _ = dense_problem(SquaredError(), n=60)
    F = Objective(loss, X, 1e5 * y, penalty=None)
    constant = null_model(F)
    point = np.append(np.zeros(4), constant[0])
    solver = build(F, "gd", 1, "auto")
    result = Loop(solver, [], max_iter=64).run(started(solver, point))
    assert result.objective < 0.8 * constant[1]
    full = Loop(
        BarzilaiBorwein(F) if loss.smooth else DistanceOverGradients(F, Gd()), [], max_iter=500
    )
    assert result.objective <= 1.1 * full.run(started(full.solver, point)).objective


@pytest.mark.jit  # thousands of iterations
def test_the_proximal_fixed_point_does_not_depend_on_the_rule():
    """Where the rule has coordinates of its own, so has the threshold: otherwise adam with L1
    ends elsewhere.
    """
    F = objective(LogLoss(), "l1", alpha=0.05, n=40)
    best = proved(BarzilaiBorwein(F), tol=1e-10).point
    for rule in members(Rule):
        for solver in (Armijo(F, rule), RateBackoff(F, rule)):
            found = proved(solver, tol=1e-9, max_iter=3000)
            np.testing.assert_allclose(
                found.point,
                best,
                atol=1e-3,
                err_msg=f"{type(solver).__name__} {rule}",
            )


def test_unpenalised_and_free_of_intercept():
    assert isinstance(objective(LogLoss(), None).penalty, NoPenalty)
    F = objective(LogLoss(), None, fit_intercept=False)
    assert proved(BarzilaiBorwein(F), tol=1e-8).reason is StopReason.CONVERGED


@pytest.mark.jit  # hundreds of iterations
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_momentum_does_not_run_away_where_the_curvature_jumps(penalty):
    """Once a DivergenceError in iteration 78: curvature seen along one step said little of the next
    one's.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3000))
    y = X[:, :20] @ rng.standard_normal(20) + rng.standard_normal(300) > 0.0
    model = GDClassifier(
        "squared_hinge", penalty=penalty, solver="nesterov", max_iter=300, tol=None
    ).fit(X, y)
    assert model.objective_ < 0.01
    assert max(model.history_["objective"]) <= 2.0


@pytest.mark.plain
def test_momentum_may_raise_an_objective_below_zero():
    """Twice F was a ceiling below F: no step of momentum that raised F was taken, and another pass
    made for a shorter one.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 12))
    X += 3.0 * X[:, :1]
    y, passes = 5.0 * X[:, 2] + rng.standard_t(1, 100), []
    for lowered in (0.0, 10.0):
        F = Objective(LoweredHuber(lowered), X, y, penalty="l1", alpha=1e-3, n_jobs=1)
        iterations(Accelerated(F), 200)
        passes.append(F.passes)
    assert passes[1] <= passes[0]


@pytest.mark.plain
@pytest.mark.parametrize("rule", [Gd(), Adam()], ids=lambda rule: rule.name)
def test_a_first_rate_beyond_which_F_is_no_number_is_refused(rule):
    """Sixty times four as long a step was taken for no worse."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    F = Objective(Walled(), X, np.full(50, -0.5), alpha=0.01, n_jobs=1)
    solver = RateBackoff(F, rule)
    state, passes = started(solver), F.passes
    before = F.value(state.point)
    solver.advance(state)
    assert F.passes - passes <= 20
    assert F.value(state.point) < before


def test_a_rule_that_forgets_begins_its_count_anew():
    """Adam's correction for a memory that has just begun was that for one of 100 updates."""
    F = objective(EpsilonInsensitive(0.1), "l2", 0.1)
    solver, steps = DistanceOverGradients(F, Adam()), []
    for updates in (0, 100):
        state = started(solver)
        state.updates = updates
        state.forget()
        solver.resume(state)
        steps.append(iterations(solver, 3, state).point)
    np.testing.assert_array_equal(*steps)
