"""From data to results: plans that are changed share iterations, time and updates."""

import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from fastgd import GDClassifier
from fastgd.certificates.bound import NO_BOUND, Bound
from fastgd.fitting import default_rules
from fastgd.fitting import runs as fitting
from fastgd.fitting.ending import NO_MORE
from fastgd.fitting.history import History
from fastgd.fitting.plan import Settings
from fastgd.fitting.replan import joined, remaining
from fastgd.fitting.result import Result
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.task import Task
from fastgd.objective.objective import Objective
from fastgd.solvers.base import State
from fastgd.solvers.newton.cholesky import Newton


def classes(n, d):
    """A logistic problem with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, np.where(X @ rng.standard_normal(d) + rng.standard_normal(n) > 0, 1, -1)


@pytest.fixture
def stuck(monkeypatch):
    """Newton's method makes one step, and then waits for 20 ms and has nothing left to do."""
    advance = Newton.advance

    def stuck(self, state):
        if state.iteration == 0:
            advance(self, state)
        else:
            time.sleep(0.02)
            state.iteration += 1
            state.done = True

    monkeypatch.setattr(Newton, "advance", stuck)


def test_updates_of_all_plans_count(stuck):
    X, y = classes(300, 6)
    model = GDClassifier(alpha=1e-2, tol=1e-6).fit(X, y)
    assert model.plan_.solver == "lbfgs"
    iterations = int(re.search(r"after (\d+) iterations newton", str(model.plan_)).group(1))
    steps_of_newton, steps_of_lbfgs = 1, model.n_iter_ - iterations
    assert model.t_ == 1 + steps_of_newton + steps_of_lbfgs
    assert steps_of_lbfgs > 1


def test_a_changed_plan_has_the_time_that_is_left(stuck, monkeypatch):
    given, limit = [], default_rules.TimeLimit

    def noted(seconds):
        given.append(seconds)
        return limit(seconds)

    monkeypatch.setattr(default_rules, "TimeLimit", noted)
    X, y = classes(300, 6)
    model = GDClassifier(alpha=1e-2, tol=1e-6, max_time=100.0).fit(X, y)
    assert model.converged_
    assert given[0] == 100.0
    assert 90.0 < given[1] <= 100.0 - 0.02


@pytest.mark.parametrize(
    ("max_time", "reason"), [(0.01, StopReason.TIME), (None, StopReason.MAX_ITER)]
)
def test_no_plan_is_begun_when_the_time_is_up(max_time, reason):
    F = Objective("log_loss", np.eye(2), [1.0, -1.0], alpha=0.1)
    task = Task(F.loss, F.penalty, F.rows, Settings(), 0.1, True, max_iter=5, max_time=max_time)
    asked = []

    def go(record, rule, start, state, kept):
        asked.append((record.tried[-1].solver, *remaining(task, record)))
        time.sleep(0.02)
        history = History()
        history.append(passes=1.0, seconds=0.02, iteration=3, objective=1.0, batch=2)
        ending = StopReason.PLATEAU if len(asked) == 1 else StopReason.MAX_ITER
        state = State(F.start(), 2, iteration=3, updates=3)
        return Result(F.start(), 1.0, NO_BOUND, np.inf, ending, history, state, NO_MORE)

    _, result, updates = fitting.run_by_plans(task, F, go, None, None)
    assert result.reason is reason
    if max_time:  # another plan would have brought more
        assert result.advice == ""
    assert updates == 3 * len(asked)
    assert asked == [("newton", 5, 0.01)] if max_time else [("newton", 5, None), ("lbfgs", 2, None)]


def test_what_the_second_plan_proves_holds_for_the_lower_point_of_the_first():
    histories = History(), History()
    for history in histories:
        history.append(passes=1.0, seconds=0.0, iteration=1)
    before = Result(
        np.zeros(1), 1.0, Bound(0.5, "proof"), 1.0, StopReason.PLATEAU, histories[0], None
    )
    after = Result(
        np.ones(1), 1.1, Bound(0.11, "proof"), 0.11 / 0.99, StopReason.CONVERGED, histories[1], None
    )
    known = SimpleNamespace(loss=SimpleNamespace(infimum=0.0), null_value=2.0)
    found = joined(known, before, after)
    assert found.point is before.point
    assert found.bound.value == pytest.approx(0.01)
    assert found.suboptimality == pytest.approx(0.01 / 0.99)
    # Both checks, and the lower point once more; those that were joined stay as they were.
    assert found.history["passes"] == [1.0, 2.0, 2.0]
    np.testing.assert_array_equal(found.history["kept"], [np.nan, 0.0, 0.0])
    assert all(history["passes"] == [1.0] for history in histories)
    np.testing.assert_array_equal(histories[1]["kept"], [np.nan])


def test_tol_0_ends_at_rounding_and_none_runs_every_iteration():
    X, y = load_breast_cancer(return_X_y=True)
    exact = GDClassifier(tol=0).fit(X, y)
    assert exact.stop_reason_ is StopReason.CONVERGED
    assert exact.suboptimality_ <= 1e-12
    assert GDClassifier(tol=None, max_iter=exact.n_iter_ + 3).fit(X, y).n_iter_ == exact.n_iter_ + 3
