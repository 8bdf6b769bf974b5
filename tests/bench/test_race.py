"""Races: budgets, turns, and the judgement of what was found."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from bench import optimum, problems, race, rivals, suite


def test_race_finds_the_budgets_and_runs_in_iteration():
    problem = problems.make_problem(
        "sklearn:breast_cancer", "squared_error", alpha=1.0, scale=True, rows=30
    )
    optimum.solve(problem)
    best, calls = optimum.newton(problems.PlainObjective(problem), np.zeros(31)), []

    def rival(name):
        def run(problem, budget, threads):
            calls.append((name, budget))
            v = best * (1.0 - 0.7**budget)
            return rivals.Answer(v[:30], v[30])

        return rivals.Rival(name, run)

    started = race.Race(problem, [1e-2, 1e-4], threads=1)
    two = [rival("A"), rival("B")]
    for one in two:
        record = started.alone(one, seconds=10.0)
        errors = {run.budget: run.suboptimality for run in record.runs}
        first = min(budget for budget, error in errors.items() if error <= 1e-4)
        assert {1, 2, 4, 8} < set(errors)
        assert first <= 1.3 * max(budget for budget, error in errors.items() if error > 1e-4) + 1
    calls.clear()
    run = started.records["A"].runs[-1]
    started.in_turn([(one, run) for one in two], rounds=4, seconds=10.0)
    assert [name for name, _ in calls[:8]] == ["A", "B"] * 4

    def late(problem, budget, threads):
        raise TimeoutError("interrupted")

    before = list(run.seconds)
    started.in_turn([(rivals.Rival("late", late), run)], rounds=2, seconds=10.0, warm=True)
    assert run.seconds == before  # what was measured alone stays


def test_a_run_below_the_reference_judges_all():
    problem = problems.Problem(
        "made up", "squared_error", np.eye(2), np.ones(2), 1.0, optimum=1.0, constant=4.0
    )
    problem.reference = "a guess"
    found = race.Race(problem, [1e-4], threads=1)
    found.judge()
    values = {"first": 1.0, "second": 0.5, "third": 0.75}
    for name, value in values.items():
        found.records[name] = race.Record(name, [race.Run(1, value, [1.0], suboptimality=0.0)])
    found.judge()
    assert problem.optimum == 0.5
    assert problem.reference.startswith("found by second, 1e+00 below the reference (a guess)")
    assert [found.records[name].best for name in values] == [1.0, 0.0, 0.5]
    assert found.records["first"].reach(1e-4) is None


class _Table:
    """A rival whose seconds and errors of a run are formulas of its budget."""

    def __init__(self, name, budget, seconds, error):
        self.rival = rivals.Rival(name, None, budget=budget)
        self.seconds, self.error = seconds, error


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_rival_is_given_up_for_a_single_run(monkeypatch, order):
    """B looks for its budget in six runs of 0.9 s, the last of which is there: it was given up
    after four times the 1 s of A if it came after A, and was the best if it came before.
    """
    problem = problems.Problem(
        "made up", "squared_error", np.eye(2), np.ones(2), 1.0, optimum=1.0, constant=4.0
    )
    tables = {
        "A": _Table("A", "none", lambda budget: 1.0, lambda budget: 0.0),
        "B": _Table("B", "tol", lambda tol: 0.9, lambda tol: 10.0 * tol if tol > 2e-6 else 1e-8),
        "C": _Table("C", "iterations", lambda k: 0.3 * k, lambda k: 0.5 / k),
    }

    def run(self, rival, budget, patience=1.0):
        table = tables[rival.name]
        answer = rivals.Answer(table.error(budget), 0.0)
        return answer, table.seconds(budget), 0.0

    class Plain:
        joined = staticmethod(lambda answer: answer.coef)
        value = staticmethod(lambda error: 1.0 + error)

    monkeypatch.setattr(race.Race, "_run", run)
    monkeypatch.setattr(race, "objective_of", lambda problem: Plain())
    found = race.Race(problem, [1e-4, 1e-6], threads=1)
    ours = race.Run(1e-6, 1.0, [0.01])
    chosen = [tables[name].rival for name in [*order, "C"]]
    case = SimpleNamespace(sklearn_default="none of these")
    suite.search(case, found, chosen, time.perf_counter() + 60.0, 11.0, ours)
    assert found.records["A"].reach(1e-6).time == 1.0
    assert found.records["B"].reach(1e-6).time == 0.9
    # C ends with the first run of more than twice the best
    assert found.records["C"].ended == race.GIVEN_UP
    assert [run.time for run in found.records["C"].runs] == pytest.approx([0.3, 0.6, 1.2, 2.4])


def test_a_rival_that_came_before_anybody_was_there_is_tried_again(monkeypatch):
    """Given up after 40 times what fastgd takes, though the best of the others takes longer."""
    problem = problems.Problem("made up", "squared_error", np.eye(2), np.ones(2), 1.0)
    found, asked = race.Race(problem, [1e-6], threads=1), []

    def alone(rival, seconds, twice=False, single=np.inf):
        asked.append((rival.name, single))
        record = found.records[rival.name] = race.Record(rival.name, ended=race.GIVEN_UP)
        if single > 0.9:
            record.runs, record.ended = [race.Run(1, 1.0, [0.9], suboptimality=0.0)], ""
        return record

    monkeypatch.setattr(found, "alone", alone)
    case, ours = SimpleNamespace(sklearn_default="B"), race.Run(1e-6, 1.0, [0.01])
    chosen = [rivals.Rival(name, None) for name in "AB"]
    suite.search(case, found, chosen, time.perf_counter() + 60.0, 11.0, ours)
    assert asked == [("A", 0.4), ("B", 11.0), ("A", 1.8)]
