"""Races: budgets, turns, and the judgement of what was found."""

import numpy as np

from bench import optimum, problems, race, rivals


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
