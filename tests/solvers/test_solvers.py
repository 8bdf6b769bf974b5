"""Solvers against textbook twins and against each other: steps by a schedule, adaptive, by line
search; resuming.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.fitting.loop import Loop
from fastgd.fitting.stopping import StopReason
from fastgd.losses.classification import LogLoss
from fastgd.losses.multinomial import Multinomial
from fastgd.objective.objective import Objective
from fastgd.penalties.separable import ElasticNet
from fastgd.rules.adaptive import Adagrad, Adam
from fastgd.rules.base import Rule
from fastgd.rules.classic import Gd, Momentum, Nesterov
from fastgd.rules.schedules import Schedule
from fastgd.solvers.base import State
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from fastgd.solvers.gradient.scheduled import AveragedFullBatch, ScheduledFullBatch, elastic_step
from fastgd.solvers.patience import Patience, PlateauMemory
from fastgd.solvers.stochastic.scheduled import Stochastic
from support import twins as reference
from support.components import ToyWeightedL1
from support.problems import Quartic, build, dense_problem, iterations, objective, started
from support.twins import members, sparse_problem, with_jit

RULES = pytest.mark.parametrize("rule", members(Rule), ids=lambda rule: rule.name)


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize(
    "penalty",
    [None, "l2", "l1", ElasticNet(0.4), ToyWeightedL1(np.arange(4.0)), Quartic()],
    ids=str,
)
@RULES
def test_a_scheduled_rule_is_its_textbook_twin(rule, penalty, fit_intercept):
    F = objective(LogLoss(), penalty, fit_intercept=fit_intercept)
    schedule = Schedule(0.2, 1.0, 0.5)
    solver = ScheduledFullBatch(F, rule, schedule)
    state = started(solver, 0.5 * np.arange(F.size))
    v, move, slots = (
        state.point.copy(),
        reference.twin_of_rule(rule),
        np.zeros((max(rule.slots, 1), F.size)),
    )
    for t in range(1, 21):
        solver.advance(state)
        rate = 0.2 / np.sqrt(1 + t)
        decay, whole = (
            np.zeros(F.size),
            F.l1 > 0 and rule.slots > 0,
        )  # the proximal step may take the L2 part as well
        if F.elastic and not whole:
            decay[:4] = F.l2 * v[:4]
        elif not F.elastic and F.penalty.smooth:
            decay[:4] = [0.1 * F.penalty.derivative(v[j], j) for j in range(4)]
        gradient = F.loss_and_gradient(v)[1]
        # The twin's memory is its own; how far a gradient of 1 would reach is asked of the rule.
        rule.step(slots, slice(None), gradient, decay, rate, rule.begin(t))
        reach = np.broadcast_to(rule.reach(slots, slice(None), rate, rule.begin(t)), (F.size,))
        v = v - move(gradient, decay, rate)
        if F.elastic:
            v[:4] = np.sign(v[:4]) * np.maximum(np.abs(v[:4]) - F.l1 * reach[:4], 0.0)
            v[:4] /= 1.0 + whole * F.l2 * reach[:4]
        elif not F.penalty.smooth:
            v[:4] = [F.penalty.prox(v[j], j, 0.1 * reach[j]) for j in range(4)]
        np.testing.assert_allclose(state.point, v, rtol=1e-9, atol=1e-12)
    assert (state.iteration, state.updates, state.rate) == (20, 20, pytest.approx(rate))
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == value
    np.testing.assert_array_equal(state.gradient, gradient)


@pytest.mark.parametrize(
    "storage", with_jit([sp.csr_array], [np.asarray, sp.csr_array]), ids=lambda s: s.__name__
)
@pytest.mark.parametrize(
    "penalty", with_jit(["l2"], [None, "l2", "l1", "elasticnet", Quartic()]), ids=str
)
@pytest.mark.parametrize(
    "rule", with_jit([Gd(), Momentum(), Adam()], members(Rule)), ids=lambda rule: rule.name
)
def test_a_mini_batch_of_all_rows_is_the_full_batch(rule, penalty, storage):
    F = objective(LogLoss(), penalty, alpha=1e-4, storage=storage)
    for schedule in (Schedule(0.2), Schedule(0.2, 1.0, 0.5)):
        full = iterations(ScheduledFullBatch(F, rule, schedule), 10)
        mini = iterations(Stochastic(F, rule, schedule, F.n_active, seed=0), 10)
        np.testing.assert_allclose(mini.point, full.point, rtol=1e-9, atol=1e-12)
        assert (mini.iteration, mini.updates) == (full.iteration, full.updates)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_visits_the_rows_that_count_in_its_order(shuffle, batch):
    X, y, weights, offsets = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, sample_weight=weights, offset=offsets, alpha=0.1)
    solver = Stochastic(F, Gd(), Schedule(0.1), batch, seed=5, shuffle=shuffle, average_from=30)
    state = started(solver)
    point, total, updates, averaged = np.zeros(7), np.zeros(7), 0, 0
    counted = np.flatnonzero(weights)
    for epoch in range(3):
        solver.advance(state)
        order = (
            np.random.Generator(np.random.PCG64([5, epoch])).permutation(counted)
            if shuffle
            else counted
        )
        point, sums, updates, number = reference.gd_epoch(
            X,
            y,
            weights / weights[counted].mean(),
            offsets,
            F.loss,
            reference.members(type(solver.step_length))[0],
            order,
            batch,
            point,
            lambda update: 0.1,
            0.0,
            0.1,
            1.0,
            30,
            updates,
        )
        total, averaged = total + sums, averaged + number
        np.testing.assert_allclose(state.point, point, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            solver.answer(state), total / averaged if averaged else point, rtol=1e-9
        )
    assert state.updates == updates == 3 * -(-22 // batch)
    assert F.passes == 3


COMBINATIONS = [
    (rule.name, batch, rate)
    for rule in with_jit([Gd(), Momentum(), Adam()], members(Rule))
    for batch in ("full", 1, 4)
    for rate in ("auto", "invscaling")
]
COMBINATIONS += [
    ("gd", "full", "line_search"),
    ("adam", "full", "line_search"),
    ("gd", 4, "adaptive"),
    ("adam", "full", "adaptive"),
]


@pytest.mark.parametrize("penalty", with_jit(["l2"], ["l2", "l1"]))
@pytest.mark.parametrize(("rule", "batch", "rate"), COMBINATIONS)
def test_k_iterations_and_m_more_are_k_plus_m(rule, batch, rate, penalty):
    X, y, weights, offsets = sparse_problem(LogLoss())
    points = []
    for parts in ((11,), (4, 7), (5, 5, 1)):
        state = None
        for part in parts:
            F = Objective(
                "log_loss", X, y, sample_weight=weights, offset=offsets, penalty=penalty, alpha=0.05
            )
            solver = build(F, rule, batch, rate)
            state = started(solver) if state is None else pickle.loads(pickle.dumps(state))
            solver.resume(state)
            result = Loop(solver, [], max_iter=part).run(state)
            state = result.state
        assert state.iteration == 11
        points.append(np.r_[state.point, solver.answer(state), state.updates])
    np.testing.assert_array_equal(points[1], points[0])
    np.testing.assert_array_equal(points[2], points[0])


def test_a_state_from_other_data_is_no_obstacle():
    first, other = objective(LogLoss(), seed=0), objective(LogLoss(), seed=1)
    for make in (BarzilaiBorwein, Accelerated, lambda F: RateBackoff(F, Adam())):
        state = iterations(make(first), 5)
        solver = make(other)
        solver.resume(state)
        result = Loop(solver, [], max_iter=300, tol=1e-6).run(state)
        assert result.reason is StopReason.CONVERGED


def sklearns_rates(objectives, eta0, tol, n_iter_no_change):
    """Rates before each iteration as in scikit-learn's _plain_sgd, and the iteration after which
    it stops.
    """
    best, count, eta, rates = np.inf, 0, eta0, []
    for iteration, value in enumerate(objectives):
        rates.append(eta)
        count = count + 1 if value > best - tol * abs(best if np.isfinite(best) else 0.0) else 0
        best = min(best, value)
        if count >= n_iter_no_change:
            if eta > 1e-6:
                eta, count = eta / 5, 0
            else:
                return rates, iteration + 1
    return rates, None


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_adaptive_divides_by_5_when_progress_stalls(n_iter_no_change):
    rng = np.random.default_rng(0)
    objectives = np.r_[np.exp(-np.arange(10.0)), 0.01 + 1e-3 * rng.standard_normal(100)]
    expected, last = sklearns_rates(objectives, 0.5, 1e-3, n_iter_no_change)
    patience, rates = Patience(0.5, 1e-3, n_iter_no_change), []
    state = State(np.zeros(1), 1, memory=PlateauMemory())
    for value in objectives:
        rates.append(0.5 / state.memory.divisor)
        patience.look(state, value)
        if state.done:
            break
    np.testing.assert_allclose(rates, expected)
    assert len(rates) == last
    patience = Patience(0.5, None, n_iter_no_change)
    state = State(np.zeros(1), 1, memory=PlateauMemory())
    for value in objectives:
        patience.look(state, value)
    assert state.memory.divisor == 1.0


@pytest.mark.parametrize("batch", ["full", 1])
def test_adaptive_runs_end_once_the_rate_is_spent(batch):
    F = objective(LogLoss())
    solver = build(F, "gd", batch, "adaptive")
    state = started(solver)
    result = Loop(solver, [], max_iter=2000, tol=1e-12).run(state)
    assert result.reason is StopReason.PLATEAU
    assert state.rate <= 1e-6
    assert solver.progress(state).done
    assert result.objective < 0.95 * F.value(F.start())


@pytest.mark.parametrize("made", [ScheduledFullBatch, AveragedFullBatch])
def test_a_run_that_had_stalled_goes_on_until_it_stalls_again(made):
    """Of all rows a second fit ended after one iteration, for it began as done."""
    F = objective(LogLoss())
    F.know_null_model()
    solver = made(F, Gd(), Schedule(0.05), Patience(0.05, 0.1, n_iter_no_change=4, cuts=False))
    state = started(solver)
    for _ in range(2):
        before = state.iteration
        while not state.done:
            solver.advance(state)
        assert state.iteration - before >= 4
        solver.resume(state)
    assert not state.done


@RULES
def test_a_line_search_never_goes_up(rule):
    X, y, weights, _ = dense_problem(LogLoss(), n=40)
    for penalty in ("l2", "l1"):
        F = Objective(
            "log_loss",
            X * [1.0, 1e2, 1e-2, 1.0],
            y,
            sample_weight=weights,
            penalty=penalty,
            alpha=0.01,
        )
        solver = Armijo(F, rule)
        state = started(solver)
        values = [F.value(state.point)]
        for _ in range(60):
            solver.advance(state)
            values.append(F.value(state.point))
        assert (np.diff(values) <= 1e-14).all()
        assert values[-1] < 0.99 * values[0]
        assert F.passes <= 1 + 61 + 60 * 4 + 60


def test_a_line_search_whose_memory_starts_anew_counts_from_there():
    """Adam's correction was that of all updates before, for slots that were empty again."""
    X, y, weights, _ = dense_problem(LogLoss(), n=40)
    F = Objective("log_loss", X, y, sample_weight=weights, alpha=0.01)
    solver = Armijo(F, Adam())
    state = started(solver)
    for _ in range(5):
        solver.advance(state)
    state.memory.slots[0] = -1e3 * np.sign(state.gradient)  # a direction uphill
    solver.advance(state)
    fresh = solver.start(state.point)
    fresh.memory.rate = state.memory.rate
    for one in (state, fresh):
        solver.advance(one)
    np.testing.assert_array_equal(state.point, fresh.point)


@pytest.mark.thinned(plain=2, compiled=7)
@pytest.mark.parametrize(
    ("rule", "penalty", "scales"),
    [
        (Gd(), "l2", None),
        (Gd(), None, None),
        (Adagrad(), "l2", None),
        (Adagrad(), "l2", 3.0),
        (Adagrad(), "l1", 3.0),
        (Momentum(), "l2", None),
        (Nesterov(), "l2", 3.0),
        (Adam(), "l2", None),
        (Gd(), "l1", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("average_from", [np.inf, 1.0, 7.0])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("loss", ["log_loss", Multinomial(3)], ids=["one", "three"])
def test_rows_of_few_columns_move_all_columns_as_before(
    rule, penalty, scales, average_from, batch, loss
):
    """What no row touches shrinks, and is averaged, as if it had been looked at."""
    rng = np.random.default_rng(0)
    X = np.zeros((12, 400))
    X[np.arange(12), rng.integers(0, 400, 12)] = rng.standard_normal(12)
    X[np.arange(12), rng.integers(0, 3, 12)] = 1.0
    X, y = sp.csr_array(X), np.where(rng.standard_normal(12) > 0.0, 1.0, -1.0)
    y = y if loss == "log_loss" else rng.integers(0, 3, 12)
    F = Objective(loss, X, y, penalty=penalty, alpha=0.3)
    found = []
    for narrow in (True, False):
        solver = Stochastic(F, rule, Schedule(0.4), batch, seed=1, average_from=average_from)
        solver.scales = None if scales is None else np.linspace(1.0, scales, 400)
        if not narrow:
            solver._narrowed = lambda: None
        state = started(solver, np.linspace(-1.0, 1.0, F.size))
        for _ in range(3):
            solver.advance(state)
        found.append([state.point, state.memory.iterate_sum, state.memory.counters])
        if state.memory.slots is not None:
            found[-1].append(state.memory.slots)
    assert F.rows.narrowed()[0].size < 20
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rates", ["one", "each"])
def test_a_proximal_step_on_all_of_an_elastic_net_is_that_of_the_penalty(rates):
    rng = np.random.default_rng(0)
    X, net = rng.standard_normal((20, 6)), ElasticNet(0.4)
    F = Objective("squared_error", X, X[:, 0], penalty=net, alpha=0.7)
    v = rng.standard_normal(F.size)
    before, reach = v.copy(), np.full(F.size, 0.8) if rates == "one" else rng.uniform(size=F.size)
    moved = elastic_step(F, v, 0.8 if rates == "one" else reach)
    expected = [net.prox(w, j, 0.7 * reach[j]) for j, w in enumerate(before[:6])]
    np.testing.assert_allclose(moved[:6], expected, rtol=1e-14)
    assert moved[6] == before[6]  # the intercept
