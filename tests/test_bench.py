"""The bench in its tiny form: every rival minimises the same F, and the command line runs and writes what it says."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import adapters, cases, cold, curves, kernels, optimum, problems, race, report, rivals, suite  # noqa: E402
from bench.__main__ import parse  # noqa: E402

# Budgets with which a rival is there. Stochastic ones only get near, and so do sag and saga on sparse rows, where the
# intercept of scikit-learn takes a hundredth of the step.
TURNS = {"none": 1, "tol": 1e-8, "turns": 300}
ROUGH = (
    "sklearn/SGD",
    "sklearn/LogisticRegression/sag",
    "fastgd/gd/1",
    "fastgd/gd/64",
    "fastgd/adam",
    "fastgd/adagrad",
)


@pytest.fixture(scope="module", params=[("log_loss", "csr"), ("squared_error", "dense")], ids="-".join)
def problem(request):
    loss, storage = request.param
    found = problems.make_problem("sklearn:breast_cancer", loss, alpha=0.05, scale=True, rows=60)
    optimum.solve(found)
    if storage == "csr":
        found.X = sp.csr_array(found.X)
    return found


@pytest.mark.jit
@pytest.mark.parametrize("name", adapters.RIVALS)
def test_rival_minimises_the_same_objective(problem, name):
    rival = adapters.RIVALS[name]
    if rival.why_not(problem):
        pytest.skip(rival.why_not(problem))
    if problem.loss != "log_loss" and name.startswith(("fastgd/gd/1", "fastgd/gd/64", "fastgd/ad")):
        pytest.skip("scaled by the same function as for log_loss, and a kernel more to compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = rival.run(problem, TURNS[rival.budget], 1)
    F = problems.PlainObjective(problem)
    value, _ = F.value_and_gradient(np.append(answer.coef, answer.intercept))
    assert problem.suboptimality(value) < (0.3 if name.startswith(ROUGH) else 1e-5)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_rivals_with_an_l1_norm(l1_ratio):
    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", 0.02, fit_intercept=False, scale=True, rows=99)
    problem.l1_ratio = l1_ratio
    optimum.solve(problem)
    assert optimum.proof(problem, np.zeros(30)) > 0.1 > 1e-8 > float(problem.reference.split()[-1])
    # Of those that are always there, saga; skglm compiles for ten seconds.
    names = ("sklearn/LogisticRegression/saga", "sklearn/LogisticRegression/liblinear", "celer", "glum/irls-cd",
             "cyanure/auto", "liblinear/primal")  # fmt: skip
    able = [adapters.RIVALS[name] for name in names if adapters.RIVALS[name].why_not(problem) is None]
    assert able[0].name.endswith("saga")
    for rival in able:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = rival.run(problem, TURNS[rival.budget], 1)
        assert problem.suboptimality(problems.PlainObjective(problem).value(answer.coef)) < 1e-4, rival.name


def test_optimum_is_kept(tmp_path):
    problem, again = (problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50) for _ in range(2))
    optimum.solve(problem, tmp_path / "optima.json")
    again.X = None  # not looked at, but for its description
    again.describe = problem.describe
    optimum.solve(again, tmp_path / "optima.json")
    assert again.optimum == problem.optimum


@pytest.mark.parametrize("loss", problems.LOSSES)
def test_plain_derivatives(loss):
    problem = problems.make_problem("sklearn:breast_cancer", loss, scale=True, rows=50)
    F = problems.PlainObjective(problem)
    v, p = np.random.default_rng(0).standard_normal((2, F.start().size))
    assert (
        scipy.optimize.check_grad(lambda v: F.value_and_gradient(v)[0], lambda v: F.value_and_gradient(v)[1], v) < 1e-5
    )
    difference = (F.value_and_gradient(v + 1e-6 * p)[1] - F.value_and_gradient(v - 1e-6 * p)[1]) / 2e-6
    np.testing.assert_allclose(F.hessian_product(v, p), difference, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(F.hessian(v) @ p, F.hessian_product(v, p), rtol=1e-10, atol=1e-12)


def test_optimum_of_newton_and_of_the_way_for_many_features(monkeypatch):
    problem, other = (problems.make_problem("sklearn:breast_cancer", "log_loss", scale=True) for _ in range(2))
    optimum.solve(problem)
    monkeypatch.setattr(optimum, "MOST_FOR_NEWTON", 10)
    optimum.solve(other)
    assert other.optimum == pytest.approx(problem.optimum, rel=1e-9)
    assert problem.optimum < problem.constant


def test_reach_is_between_the_rungs():
    points = [curves.Point(1, 0.0, 2.0, [1.0, 9.0, 1.0], 1e-2), curves.Point(2, 0.0, 4.0, [3.0], 1e-4)]
    curve = curves.Curve("a rival", points)
    assert curve.reach(1e-2) == (1.0, 2.0)
    assert curve.reach(1e-3) == pytest.approx((2.0, 3.0))
    assert curve.reach(1e-5) is None


def test_rivals_that_skip_and_fail_are_rows():
    def breaks(problem, budget, threads):
        raise ValueError("not today")

    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", rows=40)
    optimum.solve(problem)
    some = [rivals.Rival("broken", breaks), rivals.Rival("absent", None, lambda problem: "it is absent")]
    text = report.table(curves.measure(problem, some, [1e-2]), [1e-2])
    assert "broken: failed, ValueError: not today" in text
    assert "absent: skipped, it is absent" in text


def test_race_finds_the_budgets_and_runs_in_turn():
    problem = problems.make_problem("sklearn:breast_cancer", "squared_error", alpha=1.0, scale=True, rows=30)
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


@pytest.mark.parametrize("sparse", [False, True])
def test_users_files(tmp_path, sparse):
    X, y = np.eye(4), np.array([1.0, 2.0, 2.0, 3.0])
    parts = {"X": X}
    if sparse:
        table = sp.csr_array(X)
        parts = {"data": table.data, "indices": table.indices, "indptr": table.indptr, "shape": table.shape}
    np.savez(tmp_path / "own.npz", y=y, **parts)
    problem = problems.make_problem(str(tmp_path / "own.npz"), "log_loss")
    np.testing.assert_array_equal(problem.X @ np.ones(4), np.ones(4))
    np.testing.assert_array_equal(problem.y, [-1.0, 1.0, 1.0, -1.0])  # the most frequent label against the rest
    (tmp_path / "own.svm").write_text("1 1:0.5\n-1 2:2\n")
    assert problems.make_problem(str(tmp_path / "own.svm"), "squared_error").shape == (2, 2)


def test_unknown_names():
    for arguments in (("sklearn:nothing", "log_loss"), ("sklearn:linnerud", "log_loss"), ("sklearn:iris", "hinge")):
        with pytest.raises(SystemExit):
            problems.make_problem(*arguments)
    with pytest.raises(SystemExit, match="known: fastgd/default"):
        adapters.choose(["nothing"])


def test_cases_skip_by_name_without_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(problems, "DATA", tmp_path)
    cases._loaded.cache_clear()
    options = parse(["suite", "--cases", "a9a", "--out", str(tmp_path)])
    assert suite.run(options) == []
    assert "a9a log 1/n: skipped, no file 'a9a'" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="known: protein"):
        suite.chosen_cases(["nothing"])


@pytest.mark.jit
def test_suite_and_its_reuse(tmp_path, capsys):
    shared = ["suite", "--smoke", "--threads", "1", "--seconds", "1", "--rounds", "2", "--out", str(tmp_path)]
    shared += ["--solvers", "scipy/L-BFGS-B/numpy,sklearn/LogisticRegression/newton-cholesky,sklearn/LinearSVC"]
    (row,) = suite.run(parse(shared))
    assert row["case"].startswith("breast_cancer")
    assert not row["broken"]
    assert "has no loss log_loss (every case)" in capsys.readouterr().out
    assert (tmp_path / "suite.md").read_text().startswith("| case |")
    (tmp_path / "suite.json").rename(tmp_path / "earlier.json")
    suite.run(parse([*shared, "--reuse", str(tmp_path / "earlier.json")]))
    earlier, again = (json.loads((tmp_path / f"{name}.json").read_text())["cases"] for name in ("earlier", "suite"))
    theirs, ours = (next(iter(found.values()))["records"] for found in (earlier, again))
    name = "scipy/L-BFGS-B/numpy"
    assert [run["objective"] for run in ours[name]["runs"]] == [run["objective"] for run in theirs[name]["runs"]]


def test_kernels_skip_by_name_without_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(problems, "DATA", tmp_path)
    assert kernels.run(["w8a"]) == {"epochs": [], "passes": []}
    assert "w8a: skipped" in capsys.readouterr().out


@pytest.mark.jit
def test_cold():
    found = cold.run(rounds=1, storages=())
    assert set(found["imports"]) == {"sklearn", "fastgd", "GDClassifier"}


def test_smoke(tmp_path):
    command = [sys.executable, "-m", "bench", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "Agg"}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fastgd/default" in done.stdout
    assert "one gradient with its value" in done.stdout
    content = json.loads(next(tmp_path.glob("sklearn*.json")).read_text())
    assert content["machine"]["numpy"] == np.__version__
    assert {point["passes"] is None for curve in content["curves"] for point in curve["points"]} == {False, True}
    assert (tmp_path / "kernels.json").exists()
    assert json.loads((tmp_path / "suite.json").read_text())["cases"]
    assert list(tmp_path.glob("*.png"))
