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

from bench import adapters, cold, curves, kernels, problems, report  # noqa: E402

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
    problems.solve(found)
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
    problems.solve(problem)
    monkeypatch.setattr(problems, "MOST_FOR_NEWTON", 10)
    problems.solve(other)
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
    problems.solve(problem)
    rivals = [adapters.Rival("broken", breaks), adapters.Rival("absent", None, lambda problem: "it is absent")]
    text = report.table(curves.measure(problem, rivals, [1e-2]), [1e-2])
    assert "broken: failed, ValueError: not today" in text
    assert "absent: skipped, it is absent" in text


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
    assert list(tmp_path.glob("*.png"))
