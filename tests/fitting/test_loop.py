"""The loop: when it looks, what it keeps, how it ends."""

import re
import time

import numpy as np
import pytest

from fastgd import GDRegressor
from fastgd.certificates import newton_proof as certificate
from fastgd.certificates.certifier import Certifier
from fastgd.fitting.ending import how_it_ended
from fastgd.fitting.extrapolation import Extrapolated
from fastgd.fitting.loop import Loop
from fastgd.fitting.observers import Watch
from fastgd.fitting.result import DivergenceError
from fastgd.fitting.stopping import (
    NoMistakes,
    Plateau,
    StoppingRule,
    StopReason,
    TimeLimit,
    UserRule,
    Validation,
)
from fastgd.losses.classification import LogLoss, Perceptron
from fastgd.losses.regression import Huber
from fastgd.objective.objective import Objective
from fastgd.rules.classic import Gd
from fastgd.rules.schedules import Schedule
from fastgd.solvers.base import Progress, Solver, Traits
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.scheduled import ScheduledFullBatch
from fastgd.solvers.stochastic.scheduled import Stochastic
from support.twins import sparse_problem, with_jit


class Scripted(Solver):
    """Goes to the given points one by one: an iteration for each."""

    def __init__(self, objective, points, *, exact=True, adapts=True, act=None):
        super().__init__(objective)
        self.points, self.act = points, act
        self.traits = Traits(free_answers=exact, chooses_steps=adapts)
        self.safe_points = []

    def advance(self, state):
        if self.act is not None:
            self.act(state.iteration)
        state.point = np.array(self.points[min(state.iteration, len(self.points) - 1)], dtype=float)
        state.iteration += 1
        state.updates += 1
        state.rate = 0.5
        if self.traits.free_answers:
            with np.errstate(all="ignore"):
                state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def retreat(self, state, safe_point):
        self.safe_points.append(safe_point.copy())
        return True


def parabola(**options):
    """F(w) = (w - 1)^2 / 2 + 1/2 for one unknown: targets 0 and 2 with x = 1."""
    return Objective("squared_error", np.ones((2, 1)), [0.0, 2.0], fit_intercept=False, **options)


def hard(fit_intercept=True, alpha=1e-3, loss=None, n=60, **options):
    """A logistic problem that takes gradient descent many iterations."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * [1.0, 1.0, 1.0, 0.1]
    y = np.where(X @ [1.0, -1.0, 0.5, 20.0] + rng.standard_normal(n) > 0, 1.0, -1.0)
    return Objective(
        loss or "log_loss", X, y, alpha=alpha, fit_intercept=fit_intercept, n_jobs=1, **options
    )


def run(solver, rules=(), start=None, **options):
    state = solver.start(
        solver.objective.start() if start is None else np.asarray(start, dtype=float)
    )
    descent = Loop(solver, rules, **{"max_iter": 100, **options})
    return descent.run(state), state


def test_it_stops_at_the_first_point_that_is_proved_to_be_close():
    F = parabola(alpha=1e-12)
    result, state = run(Scripted(F, [[1 + 0.5**k] for k in range(60)]), tol=1e-4)
    assert result.reason is StopReason.CONVERGED
    assert result.suboptimality <= 1e-4
    assert result.bound.kind == "proof"
    assert result.history["suboptimality"][-2] > 1e-4
    assert state.iteration == len(result.history) == result.history["iteration"][-1]
    np.testing.assert_array_equal(result.point, state.point)
    assert 0 <= result.objective - 0.5 <= result.bound.value + 1e-11


@pytest.mark.parametrize("tol", [None, 0, 0.0])
def test_without_tol_it_runs_max_iter(tol):
    result, state = run(Scripted(parabola(), [[1.0]]), tol=tol, max_iter=7)
    assert (result.reason, state.iteration) == (StopReason.MAX_ITER, 7)
    assert result.suboptimality < 1e-12
    result, state = run(BarzilaiBorwein(parabola()), tol=tol, max_iter=7)
    assert (result.reason, state.iteration) == (StopReason.MAX_ITER, 7)


@pytest.mark.parametrize("needs_point", [True, False])
def test_points_are_evaluated_for_rules_that_ask_for_them(needs_point):
    class Knowing(Scripted):
        """Knows F without a look at the rows."""

        looks = 0

        def progress(self, state):
            return Progress(value=state.value, gap_estimate=1.0)

        def evaluate(self, state):
            self.looks += 1
            return super().evaluate(state)

    class Mine(StoppingRule):
        def check(self, history):
            return None

    rule = Mine()
    assert rule.needs_point  # where nothing is declared
    rule.needs_point = needs_point
    solver = Knowing(parabola(), [[2.0]], adapts=False)
    result, _ = run(solver, [rule], max_iter=7)
    assert len(result.history) == 7
    assert solver.looks == (7 if needs_point else 1)


def test_a_rule_that_hands_over_says_what_is_left():
    class Left(StoppingRule):
        hands_over = True

        def check(self, history):
            return StopReason.PLATEAU

        def to_go(self, history):
            return 3.0

    result, _ = run(Scripted(parabola(), [[2.0]]), [Left()], tol=1e-9)
    assert result.reason is StopReason.PLATEAU
    assert result.to_go == 3.0
    assert result.history["iteration"] == [1]


def test_stochastic_runs_are_checked_at_doubling_epochs_and_at_the_end():
    points = [[0.0]] * 21
    result, _ = run(Scripted(parabola(), points, exact=False), max_iter=21)
    assert result.history["iteration"] == [1, 2, 4, 8, 16, 21]
    result, _ = run(
        Scripted(parabola(), points, exact=False), [UserRule(lambda history: False)], max_iter=5
    )
    assert result.history["iteration"] == [1, 2, 3, 4, 5]
    # A continued run is checked where the whole would have been.
    solver = Scripted(parabola(), points, exact=False)
    state = solver.start(np.zeros(1))
    state.iteration = 5
    assert Loop(solver, [], max_iter=12).run(state).history["iteration"] == [8, 16, 17]


def test_passes_are_counted_and_few():
    F = hard(alpha=0.0, n=40)
    iterations = 20
    result, _ = run(Stochastic(F, Gd(), Schedule(0.01), 1, seed=0), max_iter=iterations)
    checks = len(result.history)
    assert checks == 6
    at_the_end = (
        4  # for data this small: the curvatures, their matrix, the longest row, the moments
    )
    assert F.passes <= iterations + checks + at_the_end
    assert result.history["passes"][-1] == F.passes
    F = hard()
    solver = BarzilaiBorwein(F)
    made = F.passes
    assert made >= 1
    result, state = run(solver, max_iter=10, passes_before=0.0)
    assert state.iteration == 10
    evaluations = 1 + result.history["passes"][-2] - made
    assert 10 <= evaluations <= 16
    assert result.history["passes"][-1] == F.passes
    assert F.passes - result.history["passes"][-2] <= 2 + at_the_end


def test_a_certificate_that_nobody_asked_for_is_left_out_where_it_is_dear(monkeypatch):
    monkeypatch.setattr("fastgd.certificates.certifier.UNASKED_TIME", 0.0)
    F = hard(alpha=0.05)
    result, _ = run(ScheduledFullBatch(F, Gd(), Schedule(4.0)), max_iter=10)
    assert F.passes == 11
    assert result.bound.value == pytest.approx(
        result.objective, rel=1e-13
    )  # and what it is rounded by
    result, _ = run(ScheduledFullBatch(F, Gd(), Schedule(4.0)), max_iter=100)
    assert result.bound.value < 0.5 * result.objective
    assert F.passes <= 11 + 101 + 4.5  # the norms of the columns, before there are moments


@pytest.mark.jit
@pytest.mark.parametrize("loss", [LogLoss(), Huber(0.7)], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_runs_are_certified_with_a_matrix_with_products_and_with_the_gap(
    loss, fit_intercept, monkeypatch
):
    for widest in (1500, 0):
        monkeypatch.setattr(certificate, "WIDEST_PROOF", widest)
        F = hard(fit_intercept, alpha=0.05, loss=loss)
        result, _ = run(BarzilaiBorwein(F), tol=1e-6, max_iter=500)
        assert result.reason is StopReason.CONVERGED
        best, _ = run(BarzilaiBorwein(F), max_iter=500)
        assert result.objective - best.objective <= result.bound.value + 1e-11
        assert result.suboptimality <= 1e-6
        # Certificates were tried when they were likely to do, not at every iteration.
        iterations = result.history["iteration"][-1]
        assert result.history["passes"][-1] <= 2 * iterations + 25


def test_what_was_proved_at_one_point_holds_for_all():
    F = parabola(alpha=1e-12)
    monitored = [[3.0], [1.001], [2.0], [1.5]]
    result, _ = run(Scripted(F, monitored, adapts=False), tol=1e-9, max_iter=4)
    bounds, objectives = result.history["bound"], result.history["objective"]
    lower = max(value - bound for value, bound in zip(objectives[:2], bounds[:2], strict=True))
    assert bounds[2] <= objectives[2] - lower + 1e-15
    assert bounds[3] <= objectives[3] - lower + 1e-15
    assert all(
        bound >= value - 0.5 - 1e-11 for value, bound in zip(objectives, bounds, strict=True)
    )


def test_tries_that_fail_do_not_go_on_for_ever():
    F = hard(alpha=1e-7, loss=Huber(0.7))
    result, state = run(ScheduledFullBatch(F, Gd(), Schedule(1e-3)), tol=1e-6, max_iter=200)
    assert result.reason is StopReason.MAX_ITER
    assert F.passes <= 1.2 * state.iteration + 10


def test_divergence_is_reported_not_returned():
    F = parabola()
    solver = ScheduledFullBatch(F, Gd(), Schedule(50.0))
    with pytest.raises(
        DivergenceError, match=r"the objective reached .* in iteration \d+ .*lower eta0, scale X"
    ) as caught:
        run(solver, start=[0.0])
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FloatingPointError)
    history = caught.value.history
    assert history["objective"][-1] > 1e9
    assert len({column.shape for column in history.values()}) == 1
    # Between the checks of a stochastic run, coefficients are watched.
    points = [[0.0], [0.0], [np.inf]]
    with pytest.raises(DivergenceError, match="the coefficients became infinite in iteration 3"):
        run(Scripted(parabola(), points, exact=False, adapts=False))
    with pytest.raises(DivergenceError, match="the coefficients became infinite in iteration 2"):
        run(Scripted(parabola(), [[0.0], [np.nan]], adapts=False))


def test_numbers_that_overflow_are_divergence_and_no_warning():
    # Warnings are errors here, and one of NumPy's came before the DivergenceError.
    rng = np.random.default_rng(0)
    X, y = 1e5 * rng.normal(size=(40, 6)), rng.normal(size=40)
    for loss in ("squared_error", "squared_epsilon_insensitive"):
        model = GDRegressor(
            loss, penalty=None, solver="gd", batch_size=1, learning_rate="adaptive", eta0=1e-3
        )
        with pytest.raises(DivergenceError):
            model.set_params(random_state=0).fit(X, y)


def test_far_from_the_start_is_not_divergence():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 1))
    F = Objective("squared_error", x, 1e9 + x[:, 0])
    result, _ = run(ScheduledFullBatch(F, Gd(), Schedule(0.5)), max_iter=60)
    assert result.history["objective"][0] > 1e10 * 0.5
    assert result.objective < 1.0
    with pytest.raises(DivergenceError):
        run(ScheduledFullBatch(F, Gd(), Schedule(50.0)), max_iter=60)


def test_a_solver_that_chooses_its_steps_backs_off_to_a_good_point():
    points = [[0.5], [1e12], [0.9], [np.nan], [1.1]]
    solver = Scripted(parabola(), points)
    result, _ = run(solver, max_iter=5)
    assert [list(point) for point in solver.safe_points] == [[0.5], [0.9]]
    assert result.objective == pytest.approx(0.505)
    assert result.history["objective"][1] > 1e20
    assert len(result.history) == 5
    # Where nothing good was found, the start is safe.
    solver = Scripted(parabola(), [[np.inf], [100.0], [np.inf], [1.0]])
    run(solver, start=[0.25], max_iter=4)
    assert [list(point) for point in solver.safe_points] == [[0.25], [0.25]]


def test_a_run_that_keeps_backing_off_is_left_for_another_plan():
    class Left(StoppingRule):
        hands_over = True
        reads_estimates = True

        def check(self, history):
            return StopReason.PLATEAU if len(history) >= 3 else None

    def never(history):
        raise AssertionError("values that exploded are no values of F")

    others = StoppingRule()
    others.check = never
    solver = Scripted(parabola(), [[1e12]] * 9)
    result, _ = run(solver, [others, Left()], start=[0.25], max_iter=9)
    assert result.reason is StopReason.PLATEAU
    assert result.history["iteration"][-1] == 3
    np.testing.assert_array_equal(result.point, [0.25])


def test_the_answer_is_never_worse_than_the_constant_model():
    rng = np.random.default_rng(2)
    F = Objective("squared_error", rng.standard_normal((20, 2)), 5.0 + rng.standard_normal(20))
    for points in ([[9.0, 9.0, 9.0]], [[np.nan] * 3]):
        result, _ = run(Scripted(F, points), max_iter=3)
        assert np.isfinite(result.point).all()
        np.testing.assert_allclose(result.point, [0.0, 0.0, F.samples.targets.mean()])
        assert result.objective == pytest.approx(0.5 * F.samples.targets.var())
    # An explicit schedule is answered for as it is.
    result, _ = run(Scripted(F, [[9.0, 9.0, 9.0]], adapts=False), max_iter=3)
    np.testing.assert_array_equal(result.point, [9.0, 9.0, 9.0])


def test_the_best_point_is_kept_or_the_last_one():
    points = [[0.0], [0.9], [0.2]]
    result, _ = run(Scripted(parabola(), points), max_iter=3)
    np.testing.assert_array_equal(result.point, [0.9])
    result, _ = run(Scripted(parabola(), points, adapts=False), max_iter=3)
    np.testing.assert_array_equal(result.point, [0.2])
    rules = [Validation(0.0, 2)]
    score = {0.0: 0.5, 0.9: 0.4, 0.2: 0.3}
    result, _ = run(Scripted(parabola(), points), rules, score=lambda v: score[v[0]])
    assert result.reason is StopReason.VALIDATION
    np.testing.assert_array_equal(result.point, [0.0])


def test_only_scores_that_are_numbers_keep_a_point():
    """The first one was kept whatever it was, and was in every checkpoint where there are none."""
    descent = Loop(Scripted(parabola(), [[0.0], [0.9]]), [], max_iter=2)
    descent.run(descent.solver.start(np.zeros(1)))
    assert descent.record.best_scored is None
    score = {0.0: np.nan, 0.9: 0.4, 0.2: 0.3}
    points = [[0.0], [0.9], [0.2]]
    result, _ = run(Scripted(parabola(), points), max_iter=3, score=lambda v: score[v[0]])
    np.testing.assert_array_equal(result.point, [0.9])


def test_where_an_estimate_would_end_a_run_a_proof_has_the_last_word():
    def stopped(points, **options):
        solver = Scripted(parabola(alpha=1e-12), points, exact=False, **options)
        result, state = run(solver, [Extrapolated(1e-3)], tol=1e-3, max_iter=100)
        return result.reason, state.iteration

    assert stopped([[1.5]]) == (StopReason.MAX_ITER, 100)  # a quarter too high, and proved to be
    assert stopped([[1.5]] * 20 + [[1.01]]) == (StopReason.CONVERGED, 32)
    assert stopped([[1.5]], adapts=False) == (StopReason.PLATEAU, 4)


@pytest.mark.parametrize("exact", [True, False])
def test_time_ends_a_run_between_checks_too(exact):
    began = time.perf_counter()
    solver = Scripted(parabola(), [[0.0]], exact=exact, act=lambda iteration: time.sleep(0.01))
    result, state = run(solver, [TimeLimit(0.25)], max_iter=10_000)
    assert result.reason is StopReason.TIME
    assert time.perf_counter() - began < 2.0
    assert 3 <= state.iteration <= 26
    solver = Scripted(parabola(), [[np.nan]], exact=exact, act=lambda iteration: time.sleep(0.01))
    assert run(solver, [TimeLimit(0.05)], max_iter=10_000)[0].reason is StopReason.TIME


def test_callbacks_and_rules_end_a_run():
    seen = []

    class Third(Watch):
        def iteration_begins(self, model):
            seen.append("iteration")

        def iteration_ends(self, model):
            return len(seen) == 5

        def checked(self, history):
            seen.append(len(history))

    result, state = run(Scripted(parabola(), [[0.0]]), watch=Third())
    assert (result.reason, state.iteration, seen) == (
        StopReason.CALLBACK,
        3,
        ["iteration", 1, "iteration", 2, "iteration", 3],
    )
    result, state = run(
        Scripted(parabola(), [[0.0]]), [UserRule(lambda history: len(history["passes"]) == 4)]
    )
    assert (result.reason, state.iteration) == (StopReason.RULE, 4)
    result, state = run(Scripted(parabola(), [[0.0]]), [Plateau(1e-3, 5)])
    assert (result.reason, state.iteration) == (StopReason.PLATEAU, 6)


def test_a_solver_with_nothing_left_to_do_ends_the_run_where_there_is_a_tol():
    class Exhausted(Scripted):
        def progress(self, state):
            return Progress(done=state.iteration >= 3)

    for exact in (True, False):
        result, state = run(Exhausted(parabola(), [[0.0]], exact=exact), tol=1e-4)
        assert (result.reason, state.iteration) == (StopReason.PLATEAU, 3)
        result, state = run(Exhausted(parabola(), [[0.0]], exact=exact), tol=None, max_iter=6)
        assert (result.reason, state.iteration) == (StopReason.MAX_ITER, 6)


def test_a_run_that_the_end_proves_has_converged(monkeypatch):
    """Log loss without a penalty and a level of one class: PLATEAU, although 2.5e-5 was proved."""

    class Exhausted(Scripted):
        def progress(self, state):
            return Progress(done=True)

    judge = Certifier.judge

    def judge_at_the_end(certifier, check, progress, spent, final=False, **more):
        return judge(certifier, check, progress, spent, final, **more) if final else check

    monkeypatch.setattr(Certifier, "judge", judge_at_the_end)
    result, _ = run(Exhausted(parabola(), [[1.0]]), tol=1e-4)
    assert result.suboptimality <= 1e-4
    assert result.reason is StopReason.CONVERGED
    result, _ = run(Exhausted(parabola(), [[0.0]]), tol=1e-4)
    assert result.reason is StopReason.PLATEAU


def test_a_key_ends_the_run_with_what_there_is():
    def interrupt_at(moment):
        def act(iteration):
            if iteration == moment:
                raise KeyboardInterrupt

        return act

    result, _ = run(Scripted(parabola(), [[0.0], [0.9], [0.5]], act=interrupt_at(3)))
    assert (result.reason, result.state) == (StopReason.INTERRUPTED, None)
    np.testing.assert_array_equal(result.point, [0.9])
    with pytest.raises(KeyboardInterrupt):
        run(Scripted(parabola(), [[0.0]], act=interrupt_at(0)))


def test_the_perceptron_ends_after_an_epoch_without_mistakes():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 3))
    y = np.where(X @ [1.0, 2.0, -1.0] + 0.3 > 0, 1.0, -1.0)
    X += 0.2 * y[:, None] * np.array([1.0, 2.0, -1.0])
    F = Objective(Perceptron(), X, y, penalty=None)
    result, state = run(
        Stochastic(F, Gd(), Schedule(1.0), 1, seed=0), [NoMistakes()], max_iter=1000
    )
    assert result.reason is StopReason.PLATEAU
    assert state.iteration < 1000
    assert (y * (X @ result.point[:3] + result.point[3]) > 0).all()
    assert result.history["iteration"] == list(range(1, state.iteration + 1))
    assert result.bound.kind == "none"


def test_the_last_line_of_the_history_tells_what_the_end_found():
    F = hard()
    result, _ = run(ScheduledFullBatch(F, Gd(), Schedule(0.5)), max_iter=30, tol=1e-9)
    assert result.reason is StopReason.MAX_ITER
    assert result.history["bound"][-1] == result.bound.value
    assert result.history["suboptimality"][-1] == result.suboptimality
    assert result.history["objective"][-1] == result.objective
    assert len({column.shape for column in result.history.arrays().values()}) == 1
    assert (np.diff(result.history["passes"]) > 0).all()


def test_weights_of_0_cost_nothing_and_change_nothing():
    X, y, weights, _ = sparse_problem(LogLoss())
    counted = weights > 0
    results = []
    for rows in (slice(None), counted):
        F = Objective("log_loss", X[rows], y[rows], sample_weight=weights[rows], alpha=0.01)
        results.append(run(BarzilaiBorwein(F), tol=1e-10, max_iter=200)[0])
    np.testing.assert_allclose(results[0].point, results[1].point, atol=1e-6)


def test_endings_say_how_far_how_fast_and_what_to_change():
    F = hard(alpha=0.05)
    result, _ = run(ScheduledFullBatch(F, Gd(), Schedule(4.0)), max_iter=50, tol=1e-14)
    text = how_it_ended(result, 1e-14, 50)
    assert text.startswith("Stopped because max_iter was reached: the objective 0.")
    assert "is proved to be within" in text
    assert re.search(r"the last half of the checks it fell by [\d.e-]+ \(relative\)", text)
    assert text.endswith(
        "To get further, raise max_iter (it was 50), scale the columns of X, or accept less with a "
        "larger tol."
    )
    F = hard(loss="hinge")
    result, _ = run(
        Stochastic(F, Gd(), Schedule(0.01), 1, seed=0), [TimeLimit(0.0)], max_iter=50, tol=1e-9
    )
    text = how_it_ended(result, 1e-9, 50)
    assert "has no useful bound on its distance to the optimum, tol is 1e-09" in text
    assert text.endswith("To get further, raise max_time, or accept less with a larger tol.")
    for reason in StopReason:
        result.reason = reason
        assert reason.value in how_it_ended(result, 1e-9, 50)


@pytest.mark.skipif(with_jit(False, True), reason="the same in plain Python, slowly")
def test_a_long_run_reaches_rounding_and_stops_there():
    F = hard(alpha=1e-2)
    result, state = run(BarzilaiBorwein(F), tol=1e-30, max_iter=3000)
    assert result.reason in (StopReason.PLATEAU, StopReason.CONVERGED)
    assert state.iteration < 3000
    assert result.suboptimality < 1e-12
