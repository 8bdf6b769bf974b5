"""The bench in its tiny form: every rival minimises the same F, and the command line runs and
writes what it says.
"""

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
if not (ROOT / "bench/__main__.py").is_file():
    pytest.skip("tests of the source tree", allow_module_level=True)

from bench import (  # noqa: E402
    adapters,
    against,
    calibrate,
    cases,
    certify,
    concave_problems,
    data,
    exact,
    hard_problems,
    joint_problems,
    kernels,
    lowest,
    memory,
    multinomial,
    optimum,
    own_losses,
    paired,
    picture,
    problems,
    race,
    report,
    rivals,
    same,
    same_problems,
    scaling,
    standings,
    stationary,
    structures,
    suite,
)
from bench.__main__ import main, parse  # noqa: E402
from fastgd import (  # noqa: E402
    EpsilonInsensitive,
    GDClassifier,
    GDRegressor,
    Hinge,
    LogLoss,
    Loss,
    Multinomial,
    Objective,
    Quantile,
    SquaredError,
)
from fastgd.certificates import estimates  # noqa: E402
from fastgd.losses.base import has_mean  # noqa: E402
from fastgd.losses.domain import REALS, SIGNS  # noqa: E402
from fastgd.objective import cost_model  # noqa: E402
from fastgd.objective.cost_model import Cost, declared_in  # noqa: E402
from fastgd.runtime.fingerprint import is_ours  # noqa: E402

# Budgets with which a rival is there. Stochastic ones only get near, and so do sag and saga on
# sparse rows, where the intercept of scikit-learn takes a hundredth of the step.
ITERATIONS = {"none": 1, "tol": 1e-8, "iterations": 300}
ROUGH = (
    "sklearn/SGD",
    "sklearn/LogisticRegression/sag",
    "fastgd/gd/1",
    "fastgd/gd/64",
    "fastgd/adam",
)


@pytest.fixture(
    scope="module", params=[("log_loss", "csr"), ("squared_error", "dense")], ids="-".join
)
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
    if problem.loss != "log_loss" and name.startswith(
        ("fastgd/gd/1", "fastgd/gd/64", "fastgd/ad", "fastgd/saga")
    ):
        pytest.skip("scaled by the same function as for log_loss, and a kernel more to compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = rival.run(problem, ITERATIONS[rival.budget], 1)
    F = problems.PlainObjective(problem)
    value, _ = F.value_and_gradient(np.append(answer.coef, answer.intercept))
    assert problem.suboptimality(value) < (0.3 if name.startswith(ROUGH) else 1e-5)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_rivals_with_an_l1_norm(l1_ratio):
    problem = problems.make_problem(
        "sklearn:breast_cancer", "log_loss", 0.02, fit_intercept=False, scale=True, rows=99
    )
    problem.l1_ratio = l1_ratio
    optimum.solve(problem)
    assert optimum.proof(problem, np.zeros(30)) > 0.1 > 1e-8 > float(problem.reference.split()[-1])
    # Of those that are always there, saga; skglm compiles for ten seconds.
    names = (
        "sklearn/LogisticRegression/saga",
        "sklearn/LogisticRegression/liblinear",
        "celer",
        "glum/irls-cd",
        "cyanure/auto",
        "liblinear/primal",
    )
    able = [
        adapters.RIVALS[name] for name in names if adapters.RIVALS[name].why_not(problem) is None
    ]
    assert able[0].name.endswith("saga")
    for rival in able:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = rival.run(problem, ITERATIONS[rival.budget], 1)
        assert problem.suboptimality(problems.PlainObjective(problem).value(answer.coef)) < 1e-4, (
            rival.name
        )


def test_optimum_is_kept(tmp_path):
    problem, again = (
        problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50) for _ in range(2)
    )
    optimum.solve(problem, tmp_path / "optima.json")
    again.X = None  # not looked at, but for its description
    again.describe = problem.describe
    optimum.solve(again, tmp_path / "optima.json")
    assert again.optimum == problem.optimum


@pytest.mark.parametrize(
    "loss", [one for one in problems.CURVATURES if one not in problems.NOT_CONVEX]
)
def test_plain_derivatives(loss):
    data = "sklearn:diabetes" if loss == "gamma" else "sklearn:breast_cancer"
    problem = problems.make_problem(data, loss, scale=True, rows=50)
    F = problems.PlainObjective(problem)
    v, p = np.random.default_rng(0).standard_normal((2, F.start().size))
    assert (
        scipy.optimize.check_grad(
            lambda v: F.value_and_gradient(v)[0], lambda v: F.value_and_gradient(v)[1], v
        )
        < 1e-5
    )
    difference = (
        F.value_and_gradient(v + 1e-6 * p)[1] - F.value_and_gradient(v - 1e-6 * p)[1]
    ) / 2e-6
    np.testing.assert_allclose(F.hessian_product(v, p), difference, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(F.hessian(v) @ p, F.hessian_product(v, p), rtol=1e-10, atol=1e-12)


def test_optimum_of_a_hinge_by_either_way(monkeypatch):
    """Rows that are the same share what is known of them: of w8a nothing was proved to 1e-9."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = np.repeat(X / X.max(axis=0), 3, axis=0), np.repeat(2.0 * y - 1.0, 3)
    found = [problems.Problem("twice", "hinge", X, y, 1e-3, False, 0.0) for _ in range(2)]
    optimum.solve(found[0])
    monkeypatch.setattr(optimum, "_by_coordinates", lambda p: (np.zeros(30), 0.0 * y, 0.0 * y))
    optimum.solve(found[1])
    assert found[1].optimum == pytest.approx(found[0].optimum, rel=1e-9)
    assert all(one.uncertainty <= optimum.CERTAIN for one in found)
    assert found[0].reference.startswith("dual coordinate ascent")


def test_optimum_of_newton_and_of_the_way_for_many_features(monkeypatch):
    problem, other = (
        problems.make_problem("sklearn:breast_cancer", "log_loss", scale=True) for _ in range(2)
    )
    optimum.solve(problem)
    monkeypatch.setattr(optimum, "MOST_FOR_NEWTON", 10)
    optimum.solve(other)
    assert other.optimum == pytest.approx(problem.optimum, rel=1e-9)
    assert problem.optimum < problem.constant


@pytest.mark.parametrize("loss", problems.DEVIANCES)
def test_deviances_are_those_of_the_package_and_of_their_rivals(loss):
    problem = problems.make_problem("sklearn:diabetes", loss, alpha=0.01, scale=True, rows=150)
    F, own = problems.PlainObjective(problem), adapters._objective(problem, 1)
    v = 0.5 * np.random.default_rng(0).standard_normal(F.start().size)
    v[-1] = 4.5
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    if loss not in problems.NOT_CONVEX:  # where ours is the expected one
        np.testing.assert_allclose(F.hessian_product(v, v), own.hessian_product(v, v), rtol=1e-9)
    optimum.solve(problem)
    for name in ("sklearn/deviance/newton-cholesky", "glum/irls-ls", "fastgd/default"):
        rival = adapters.RIVALS[name]
        if rival.why_not(problem):
            assert name != "fastgd/default"
            continue
        budget = 1e-9 if rival.budget == "tol" else 100
        answer = rival.run(problem, budget, 1)
        value = F.value(np.append(answer.coef, answer.intercept))
        assert abs(problem.suboptimality(value)) < 1e-8


def test_shares_are_those_of_the_package():
    problem = problems.make_problem("sklearn:breast_cancer", "binomial", 0.01, rows=99, scale=True)
    problem.y = 0.1 + 0.8 * problem.y
    F, own = problems.PlainObjective(problem), adapters._objective(problem, 1)
    v = np.random.default_rng(0).standard_normal(F.start().size)
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.hessian_product(v, v), own.hessian_product(v, v), rtol=1e-9)
    with pytest.raises(SystemExit, match="binomial takes shares from 0 to 1"):
        problems.make_problem("sklearn:iris", "binomial")


@pytest.mark.parametrize("intercept", [True, False])
def test_several_classes_are_those_of_the_package_and_of_their_rivals(intercept, monkeypatch):
    problem = problems.make_problem(
        "sklearn:iris", "multinomial", 0.01, fit_intercept=intercept, scale=True
    )
    F, own = multinomial.objective_of(problem), adapters._objective(problem, 1)
    v, p = np.random.default_rng(0).standard_normal((2, F.start().size))
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.hessian_product(v, p), own.hessian_product(v, p), rtol=1e-9)
    np.testing.assert_allclose(F.hessian(v) @ p, F.hessian_product(v, p), rtol=1e-9)
    optimum.solve(problem)
    assert problem.uncertainty <= optimum.CERTAIN
    assert problem.optimum < problem.constant
    names = "sklearn/LogisticRegression/newton-cg", "fastgd/default", "cyanure/auto"
    for name in (*names, "scipy/L-BFGS-B/Objective", "scipy/L-BFGS-B/numpy"):
        rival = adapters.RIVALS[name]
        if rival.why_not(problem) == rivals.NOT_INSTALLED:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = rival.run(problem, 1e-8 if rival.budget == "tol" else 200, 1)
        assert abs(problem.suboptimality(F.value(F.joined(answer)))) < 1e-6, name
    value, gap = multinomial.proved(F, F.joined(answer))
    assert -1e-12 < value - problem.optimum <= gap + 1e-12
    assert gap < 1e-6
    monkeypatch.setattr(optimum, "MOST_FOR_NEWTON", 0)
    again = replace(problem)
    optimum.solve(again)
    assert "fastgd, proved to" in again.reference
    assert again.optimum == pytest.approx(problem.optimum, rel=1e-9)
    with pytest.raises(SystemExit, match="3 to 1000 classes, got 2"):
        problems.make_problem("sklearn:breast_cancer", "multinomial")


@pytest.mark.parametrize("loss", problems.CORNERED)
def test_optimum_of_a_non_smooth_loss(loss):
    problem = problems.make_problem("sklearn:iris", loss, alpha=0.05, rows=80)
    optimum.solve(problem)
    assert float(problem.reference.split()[-1]) < 1e-6
    y, z = np.random.default_rng(0).standard_normal((2, 200))
    (exact, _), (rounded, derivative) = (
        problems.LOSSES[loss](y, z),
        problems.rounded(loss, 0.1)[0](y, z),
    )
    assert np.all((exact - 0.05 <= rounded + 1e-12) & (rounded <= exact))
    slope = (problems.rounded(loss, 0.1)[0](y, z + 1e-7)[0] - rounded) / 1e-7
    np.testing.assert_allclose(derivative, slope, atol=1e-5)
    with pytest.raises(SystemExit, match="L2 penalty alone"):
        optimum.solve(problems.make_problem("sklearn:iris", loss, l1_ratio=0.5))


def test_optimum_with_an_l1_norm_and_an_intercept():
    problem = problems.make_problem(
        "sklearn:breast_cancer", "log_loss", 0.02, l1_ratio=0.5, scale=True, rows=99
    )
    optimum.solve(problem)
    F, d = problems.PlainObjective(problem), 30

    def split(u):  # w = p - m, both nonnegative, in which F has a gradient
        value, gradient = F.value_and_gradient(np.append(u[:d] - u[d : 2 * d], u[-1]))
        l1 = problem.l1
        return value + l1 * u[: 2 * d].sum(), np.concatenate(
            [gradient[:d] + l1, l1 - gradient[:d], gradient[d:]]
        )

    bounds = [(0, None)] * 2 * d + [(None, None)]
    found = scipy.optimize.minimize(
        split, np.zeros(2 * d + 1), jac=True, bounds=bounds, options={"ftol": 0.0}
    )
    assert problem.optimum <= found.fun <= problem.optimum * (1.0 + 1e-6)


def test_rivals_that_skip_and_fail_are_named():
    def breaks(problem, budget, threads):
        raise ValueError("not today")

    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", rows=40)
    optimum.solve(problem)
    started = race.Race(problem, [1e-2], threads=1)
    for rival in (
        rivals.Rival("broken", breaks),
        rivals.Rival("absent", None, lambda problem: "it is absent"),
    ):
        started.alone(rival, seconds=1.0)
    text = standings.left_out(
        {"cases": {"one": {"records": {n: r.as_dict() for n, r in started.records.items()}}}}
    )
    assert text == ["broken: ended, ValueError: not today", "absent: skipped, it is absent"]


def test_strategies_by_name():
    chosen = [
        rival.name for rival in adapters.choose(["fastgd/newton/growing", "fastgd/gd", "scipy/TNC"])
    ]
    assert chosen == [
        "fastgd/newton/growing",
        "fastgd/gd/full",
        "fastgd/gd/1",
        "fastgd/gd/64",
        "fastgd/gd",
        "scipy/TNC/numpy",
        "scipy/TNC/Objective",
    ]


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


def outliers(scale):
    """Prices of houses, some of them nonsense, whose columns are on scales of their own."""
    rng = np.random.default_rng(0)
    X = (
        np.column_stack(
            [rng.gamma(3.0, 4e4, 300), rng.integers(1, 7, 300), rng.normal(1e6, 3e5, 300)]
        )
        * scale
    )
    y = X @ [2.0, 3e4, 0.0] + 1e4 * rng.standard_normal(300)
    return X, np.where(rng.random(300) < 0.05, 1e5, y)


@pytest.mark.parametrize("loss", ["huber", "modified_huber", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_optimum_far_from_where_a_loss_is_curved(loss, scale):
    X, y = outliers(scale)
    y = data.signs(y > np.median(y)) if loss in problems.CLASSIFICATION else y
    problem = problems.Problem("prices", loss, X, y, 1e-3)
    optimum.solve(problem)
    assert problem.uncertainty <= optimum.CERTAIN
    assert problem.optimum < problem.constant
    F = problems.PlainObjective(problem)
    other = F.value(optimum._by_itself(F, F.start()))
    assert problem.suboptimality(other) >= -2e-9


@pytest.mark.parametrize("loss", problems.SECANTS)
def test_secants_touch_the_loss_and_are_nowhere_below_it(loss):
    y, z, other = np.random.default_rng(0).normal(0.0, 4.0, (3, 500))
    y = np.sign(y) if loss in problems.CLASSIFICATION else y
    (value, slope), (beyond, _) = (problems.LOSSES[loss](y, at) for at in (z, other))
    parabola = value + slope * (other - z) + 0.5 * problems.SECANTS[loss](y, z) * (other - z) ** 2
    assert (parabola >= beyond - 1e-12).all()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_gap_holds(l1_ratio, intercept):
    for loss in ("log_loss", "squared_error", "squared_hinge"):
        problem = problems.make_problem(
            "sklearn:breast_cancer", loss, 0.02, l1_ratio, intercept, scale=True, rows=99
        )
        optimum.solve(problem)
        F = problems.PlainObjective(problem)
        for v in np.random.default_rng(0).standard_normal((5, F.start().size)):
            assert F.value(v) - optimum.proof(problem, v) <= problem.optimum * (1.0 + 1e-9)


def test_without_a_proof_two_methods_have_to_agree(monkeypatch):
    problem = problems.make_problem("sklearn:diabetes", "squared_error", alpha=0.0)
    optimum.solve(problem)
    assert "L-BFGS-B alone" in problem.reference
    assert problem.uncertainty <= optimum.CERTAIN
    with monkeypatch.context() as patched:
        patched.setattr(optimum, "newton", lambda F, v: v)  # ends where it begins
        with pytest.raises(
            SystemExit, match=r"diabetes, squared_error, alpha 0: no reference to judge by.*--scale"
        ):
            optimum.solve(problem)
        proved = problems.make_problem("sklearn:diabetes", "squared_error", alpha=1.0)
        optimum.solve(proved)  # by the other one alone
        assert proved.uncertainty <= optimum.CERTAIN


def test_what_was_kept_without_its_uncertainty_is_solved_anew(tmp_path):
    problem = problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50)
    path = tmp_path / "optima.json"
    optimum.solve(problem, path)
    known = json.loads(path.read_text())
    ((key, right),) = known.items()
    path.write_text(json.dumps({key: {"optimum": 7.0, "constant": 8.0, "reference": "once"}}))
    optimum.solve(problem, path)
    assert problem.optimum == right["optimum"]
    assert json.loads(path.read_text()) == known


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


@pytest.mark.parametrize("sparse", [False, True])
def test_users_files(tmp_path, sparse):
    X, y = np.eye(4), np.array([1.0, 2.0, 2.0, 3.0])
    parts = {"X": X}
    if sparse:
        table = sp.csr_array(X)
        parts = {
            "data": table.data,
            "indices": table.indices,
            "indptr": table.indptr,
            "shape": table.shape,
        }
    np.savez(tmp_path / "own.npz", y=y, **parts)
    problem = problems.make_problem(str(tmp_path / "own.npz"), "log_loss")
    np.testing.assert_array_equal(problem.X @ np.ones(4), np.ones(4))
    np.testing.assert_array_equal(
        problem.y, [-1.0, 1.0, 1.0, -1.0]
    )  # the most frequent label against the rest
    (tmp_path / "own.svm").write_text("1 1:0.5\n-1 2:2\n")
    assert problems.make_problem(str(tmp_path / "own.svm"), "squared_error").shape == (2, 2)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_users_tables(tmp_path, kind):
    pandas = pytest.importorskip("pandas")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"own.{kind}"
    table = pandas.DataFrame(
        {"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"], "sold": ["no", "yes", "no"]}
    )
    write = (
        (lambda t: t.to_csv(path, index=False)) if kind == "csv" else (lambda t: t.to_parquet(path))
    )
    write(table)
    problem = problems.make_problem(str(path), "log_loss", target="sold")
    np.testing.assert_array_equal(problem.X, [[1, 0, 1], [2, 1, 0], [3, 0, 1]])
    np.testing.assert_array_equal(problem.y, [-1, 1, -1])
    with pytest.raises(SystemExit, match="has the columns size, colour, sold"):
        problems.make_problem(str(path), "log_loss")
    with pytest.raises(SystemExit, match="squared_error takes numbers as targets"):
        problems.make_problem(str(path), "squared_error", target="sold")
    write(table.assign(size=[1.0, None, 2.0]))
    with pytest.raises(SystemExit, match="missing values in size"):
        problems.make_problem(str(path), "log_loss", target="sold")


def test_tables_without_pandas(tmp_path, monkeypatch):
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SystemExit, match="pip install pandas pyarrow"):
        data.load(str(tmp_path / "own.csv"), "b")


def test_unknown_names():
    for arguments in (
        ("sklearn:nothing", "log_loss"),
        ("sklearn:linnerud", "log_loss"),
        ("sklearn:iris", "nothing"),
    ):
        with pytest.raises(SystemExit):
            problems.make_problem(*arguments)
    with pytest.raises(SystemExit, match="known: fastgd/default"):
        adapters.choose(["nothing"])


def test_cases_skip_by_name_without_their_data(monkeypatch, tmp_path, capsys):
    (tmp_path / "load.py").write_text("def load(name): raise KeyError(f'no data set {name!r}')")
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    cases._loaded.cache_clear()
    options = parse(["suite", "--cases", "a9a", "--out", str(tmp_path)])
    assert suite.run(options) is None
    assert "a9a log 1/n: skipped, no data set 'a9a'" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="known: protein"):
        suite.chosen_cases(["nothing"])


@pytest.mark.jit
def test_suite_and_its_reuse(tmp_path, capsys):
    shared = [
        "suite",
        "--smoke",
        "--threads",
        "1",
        "--seconds",
        "1",
        "--rounds",
        "2",
        "--out",
        str(tmp_path),
    ]
    shared += [
        "--solvers",
        "scipy/L-BFGS-B/numpy,sklearn/LogisticRegression/newton-cholesky,sklearn/LinearSVC",
    ]
    path = suite.run(parse([*shared, "--markdown"]))
    (case,) = json.loads(path.read_text())["cases"].values()
    row = case["row"]
    assert row["case"].startswith("breast_cancer")
    assert not row["broken"]
    assert (tmp_path / "suite.md").read_text() in capsys.readouterr().out
    (tmp_path / "suite.json").rename(tmp_path / "earlier.json")
    suite.run(parse([*shared, "--reuse", str(tmp_path / "earlier.json")]))
    earlier, again = (
        json.loads((tmp_path / f"{name}.json").read_text())["cases"]
        for name in ("earlier", "suite")
    )
    theirs, ours = (next(iter(found.values()))["records"] for found in (earlier, again))
    name = "scipy/L-BFGS-B/numpy"
    assert [run["objective"] for run in ours[name]["runs"]] == [
        run["objective"] for run in theirs[name]["runs"]
    ]


def test_kernels_skip_by_name_without_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    assert kernels.run(["w8a"]) == {"epochs": [], "passes": []}
    assert "w8a: skipped" in capsys.readouterr().out


def test_calibrate_measures_every_shipped_cost(capsys):
    figures = calibrate.run(1, 0.002)
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    for name, cost in declared_in(cost_model).items():
        assert name in lines
        found = figures["costs"][name]
        assert (found["shipped"], found["unit"]) == (cost, cost.unit)
        assert np.isfinite(found["measured"]), name
    assert set(calibrate.samples(figures)) >= {"calibrate ROW, ns a row"}


def test_what_calibrate_cannot_measure_stands_there_as_it_is_shipped():
    costs = {"PASSES": Cost(12.0, "passes", "To 1e-4.")}
    figures = calibrate.measured(costs, rounds=1)
    assert figures == {"PASSES": {"unit": "passes", "shipped": 12.0, "measured": None}}
    assert calibrate.text(figures).splitlines()[-1].split() == ["PASSES", "passes", "12", "-", "-"]


def test_scaling_finds_the_slope():
    assert scaling.slope([10, 100, 1000], [1.0, 10.0, 100.0]) == pytest.approx(1.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
def test_memory(capsys, monkeypatch):
    found = {
        "peaks": [290.0],
        "X": 200.0,
        "shape": (10_000, 50),
        "plan": "rows are copied once",
        "solver": "newton",
    }
    monkeypatch.setattr(memory, "_child", lambda case, threads: dict(found))
    figures = memory.run(["own", "own F"], 1)
    first, second = figures["cases"].values()
    assert (first["met"], second["met"], second["named"]) == (False, False, True)
    assert memory.samples(figures) == {
        "memory own fastgd, MB": [290.0],
        "memory own F fastgd, MB": [290.0],
    }
    assert "own F: a copy of X, named in plan_" in capsys.readouterr().out


def test_what_is_slower_by_more_than_noise():
    assert against.slower([1.0, 1.1, 1.2], [1.5, 1.6, 1.7], "s")
    assert not against.slower([1.0, 1.1, 1.9], [1.0, 1.5, 1.7], "s")  # the middle halves overlap
    assert not against.slower([1.0, 1.1, 1.2], [1.15, 1.16, 1.17], "s")  # by less than a tenth
    assert not against.slower([1.0], [1.4], "s")
    assert against.slower([10.0], [11.0], "passes")


def test_two_runs_are_compared(tmp_path, capsys):
    old = {
        "case: fastgd/default to 1e-06, s": [1.0, 1.0, 1.1],
        "case: other to 1e-06, s": [2.0],
        "gone, s": [1.0],
    }
    new = {"case: fastgd/default to 1e-06, s": [2.0, 2.0, 2.1], "case: other to 1e-06, s": [2.0]}
    with pytest.raises(SystemExit):
        parse(["compare", "old.json"])
    with pytest.raises(SystemExit):
        parse(["compare", "old.json", "new.json"])
    paths = [
        report.save(tmp_path, name, {}, samples) for name, samples in (("old", old), ("new", new))
    ]
    assert main(["compare", *map(str, paths)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-2:] == ["2.00", "SLOWER"]
    assert "Not compared: 1 figures of the old run" in lines[-2]
    assert lines[-1] == "1 of 2 got slower or larger by more than noise"
    assert main(["compare", str(paths[0]), str(paths[0])]) == 0


def test_a_tree_finds_the_same_models_as_itself(capsys):
    fits = [same_problems.one_random(0, index) for index in (0, 4, 20)]
    refused = replace(fits[0], name="refused", parameters={"loss": "none"})
    assert same.run(ROOT, fits=[*fits, refused])
    text = capsys.readouterr().out
    assert "4 fits, 3 the same bit for bit, 1 refused by both" in text
    assert "every bar holds" in text


def test_a_tree_is_paired_with_itself(capsys):
    fit = same_problems.one_random(0, 0)
    refused = replace(fit, name="refused", parameters={"loss": "none"})
    paired.run(ROOT, rounds=3, fits=[fit, refused])
    text = capsys.readouterr().out
    assert "refused: ValueError" in text
    assert "2 fits, new over old" in text


def test_what_is_slower_than_a_pass_allows():
    def answers(*seconds, passes):
        return [{"processor": one, "passes": passes} for one in seconds]

    old = answers(1.0, 1.01, 0.99, passes=5.0)
    assert paired.judged("k", old, answers(1.2, 1.25, 1.3, passes=6.0))[0][-1] == ""
    row, ratio = paired.judged("k", old, answers(1.5, 1.51, 1.52, passes=5.0))
    assert row[-1] == "SLOWER"
    assert ratio == pytest.approx(1.51)
    assert paired.judged("k", old, answers(0.5, 0.51, 0.52, passes=5.0))[0][-1] == "faster"
    assert paired.judged("k", old, [{"refused": "too large"}] * 3)[1] is None


def test_a_folder_without_the_package_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        main(["same"])
    with pytest.raises(SystemExit):
        main(["paired"])
    with pytest.raises(SystemExit):
        main(["same", str(tmp_path / "nothing")])
    with pytest.raises(SystemExit, match="no package fastgd"):
        main(["same", str(tmp_path)])


def _found(**others):
    """An answer of one side of `same`."""
    numbers = {
        "coef_": np.array([[1.0, 2.0]]),
        "intercept_": np.zeros(1),
        "objective_": 0.5,
        "suboptimality_": float("nan"),
        "bound_kind_": "proof",
        "n_iter_": 10,
        "stop_reason_": "CONVERGED",
        "first": 1.0,
        "passes": 100.0,
        "between": 4.0,
        "seconds": 0.1,
    }
    return numbers | others


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, []),
        ({"n_iter_": 11, "passes": 101.9}, []),
        ({"n_iter_": 12}, ["iterations"]),
        ({"passes": 104.5}, ["passes", "sum of passes"]),
        ({"objective_": 0.5 * (1 + 2e-4)}, ["objective"]),
        ({"objective_": 0.5 * (1 + 5e-5)}, []),
        ({"stop_reason_": "PLATEAU"}, ["stop reason"]),
    ],
)
def test_bars_of_the_same_models(other, words):
    tally = same.Tally()
    tally.add("case", 1e-4, _found(), _found(coef_=np.array([[1.0, 2.5]]), **other))
    assert tally.furthest == 0.2
    assert tally.kinds == {"other": 1}
    assert tally.holds == (not words)
    broken = [line for line in same.table(tally).splitlines() if line.startswith("BROKEN")]
    assert [line.split(" ", 1)[1].split(":")[0] for line in broken] == words


def test_what_is_the_same_bit_for_bit():
    one, negative = _found(), _found(intercept_=np.array([-0.0]))
    assert same.compare(one, _found(seconds=9.0)) == "same bits"
    assert same.compare(one, negative) == same.compare(one, _found(passes=101.0)) == "other"
    tally = same.Tally()
    tally.add("case", 1e-4, one, {"refused": "ValueError: no"})
    tally.add("case", 1e-4, {"refused": "ValueError: no"}, {"refused": "ValueError: never"})
    assert tally.kinds == {"refused by one": 1, "refused by both": 1}
    assert "BROKEN refused by one: 1" in same.table(tally)
    assert not tally.holds


def test_random_problems_are_the_same_each_time():
    for index in (0, 9, 50, 130):
        one, two = (same_problems.one_random(1, index).request() for _ in range(2))
        assert one["parameters"] == two["parameters"]
        assert abs(one["X"] - two["X"]).max() == 0.0
        np.testing.assert_array_equal(one["y"], two["y"])


def test_picture_without_answers(tmp_path):
    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", rows=40)
    assert picture.draw(tmp_path / "none.png", problem, [], 1).exists()


def test_hard_problems_are_the_same_each_time(tmp_path):
    assert set(hard_problems.losses()) >= set(Loss.members()) - {"perceptron"} - {*_own_losses()}
    for index in range(0, 100, 7):
        one, two = (hard_problems.make(4, index) for _ in range(2))
        assert one.print_of_data() == two.print_of_data()
        assert hard_problems.settings(one) == hard_problems.settings(two)
        assert one.describe() == two.describe()
        one.save(tmp_path / "one.npz")
        read = hard_problems.load(
            tmp_path / "one.npz", json.loads(json.dumps(one.describe())), 4, index
        )
        assert read.print_of_data() == one.print_of_data()
        assert (read.describe(), read.X.dtype) == (one.describe(), one.X.dtype)
        assert one.X.shape[0] == one.y.size
        assert one.stored <= hard_problems.MOST_VALUES
    assert one.print_of_data() != hard_problems.make(5, index).print_of_data()


def test_problems_of_several_predictions_are_the_same_each_time(tmp_path):
    numbers = list(islice(certify.order(), 200))
    first, concave = joint_problems.FIRST, concave_problems.FIRST
    assert [one for one in numbers if one < first] == list(range(168))
    assert [one - first for one in numbers if first <= one < concave] == list(range(24))
    assert [one - concave for one in numbers if one >= concave] == list(range(8))
    seen = set()
    for index in range(first, first + 40, 7):
        one, two = (certify.problem_of(4, index) for _ in range(2))
        assert one.print_of_data() == two.print_of_data()
        assert (one.describe(), one.X.shape[0]) == (two.describe(), len(one.y))
        one.save(tmp_path / "one.npz")
        told = json.loads(json.dumps(one.describe()))
        read = hard_problems.load(tmp_path / "one.npz", told, 4, index)
        assert (read.print_of_data(), read.describe()) == (one.print_of_data(), one.describe())
        seen.add(one.loss.name == "multinomial")
        if one.loss.name == "multinomial":
            assert (np.bincount(one.y.astype(int), one.weights) > 0.0).all()
    assert seen == {True, False}


def test_problems_with_mcp_and_scad(tmp_path):
    """They are the same each time, F is the package's, and so is the claim of how far from
    stationary a model is.
    """
    rng, seen = np.random.default_rng(0), Counter()
    for index in range(concave_problems.FIRST, concave_problems.FIRST + 400, 9):
        one, two = (certify.problem_of(4, index) for _ in range(2))
        assert (one.print_of_data(), one.describe()) == (two.print_of_data(), two.describe())
        if one.stored > 2000 or one.storage == "float32" or seen[one.structure["concave"]] > 1:
            continue
        one.save(tmp_path / "one.npz")
        told = json.loads(json.dumps(one.describe()))
        read = hard_problems.load(tmp_path / "one.npz", told, 4, index)
        assert (read.print_of_data(), read.describe()) == (one.print_of_data(), one.describe())
        one = replace(one, loss=SquaredError(), y=rng.normal(size=len(one.y)), fit_intercept=False)
        coef = rng.normal(size=one.X.shape[1]) * one.alpha * (rng.random(one.X.shape[1]) < 0.7)
        penalty = structures.parameters(one.structure, None, 0.0)["penalty"]
        F = Objective(
            one.loss,
            *(one.X, one.y),
            penalty=penalty,
            alpha=one.alpha,
            sample_weight=one.sample_weight,
            offset=one.offset,
            fit_intercept=False,
        )
        assert exact.value(one, coef, 0.0).high == pytest.approx(F.value(coef), rel=1e-12)
        fall = estimates.fall_along_columns(F, coef, F.smooth_and_gradient(coef)[1])
        assert stationary.least_fall(one, coef, 0.0) == pytest.approx(fall, rel=1e-6)
        seen[one.structure["concave"]] += 1
    assert set(seen) == {"mcp", "scad"}


def test_what_is_claimed_under_mcp_and_scad_is_judged():
    index = concave_problems.FIRST
    problem = replace(
        certify.problem_of(4, index),
        X=np.random.default_rng(0).normal(size=(60, 4)),
        y=np.arange(60.0),
        loss=SquaredError(),
        sample_weight=None,
        offset=None,
        alpha=0.1,
        tol=1e-6,
    )
    good = certify.fit(problem, {"solver": "auto"})
    short = certify.fit(problem, {"solver": "nesterov", "batch_size": "full", "max_iter": 1})
    assert good.claims["bound_kind_"] == "stationarity"
    fits = [good, short]
    truth = certify.truth_of(problem, fits)
    assert certify.judge(problem, fits, truth) == []
    assert truth.error(good) <= problem.tol < truth.error(short)
    for claims, warned, kind in (
        ({"suboptimality_": 0.9 * short.claims["suboptimality_"]}, [], "false stationarity"),
        ({"bound_kind_": "proof"}, [], "false proof"),
        ({}, [], "silent failure"),
        ({"objective_": 2.0 * short.value.high}, short.warned, "wrong objective_"),
    ):
        boasting = replace(short, claims=short.claims | claims, warned=warned)
        assert [one.kind for one in certify.judge(problem, [boasting], truth)][:1] == [kind]
    assert certify.apart(problem, truth) == ""


def test_losses_of_several_predictions_in_double_double():
    problem = hard_problems.HardProblem(
        0,
        0,
        None,
        np.array([0.0, 2.0, 1.0]),
        Multinomial(3),
        "l2",
        0,
        0,
        True,
        1e-3,
        None,
        None,
        "",
    )
    scores = np.array([[50.0, 1.0, 3.0], [0.0, 1.0, -40.0], [0.0, 1.0, 7.0]])
    found, slopes, rounding = exact.losses(problem, [exact.number(z) for z in scores])
    far = 2.0 * np.exp(-50.0)  # below the last place of 50
    want = [far, np.log(3.0), 47.0 + np.log1p(np.exp(-4.0) + np.exp(-47.0))]
    np.testing.assert_allclose(found[0], want, rtol=1e-15)
    assert ((rounding > 0.0) & (rounding < 1e-17)).all()
    out = np.empty(3)
    for row, (z, y) in enumerate(zip(scores.T, problem.y, strict=True)):
        problem.loss.derivatives(z, np.array([y]), out)
        np.testing.assert_allclose([one[row] for one in slopes], out, rtol=1e-14)
    targets = replace(problem, y=scores.T[:, :2], loss=SquaredError())
    found, slopes, _ = exact.losses(targets, [exact.number(np.zeros(3))] * 2)
    np.testing.assert_allclose(found[0], 0.5 * (scores[:2] ** 2).sum(axis=0), rtol=1e-15)
    np.testing.assert_array_equal(slopes, -scores[:2])


@pytest.mark.parametrize("kind", ["form", "rows", *sorted(structures.SHARES)])
@pytest.mark.parametrize("n_predictions", [1, 3])
def test_structures_of_penalties_in_double_double(kind, n_predictions, monkeypatch):
    monkeypatch.setattr(structures, "SHARES", {"none" if kind in ("form", "rows") else kind: 1.0})
    draw = structures.draw_form if kind == "form" else structures.draw
    structure = json.loads(json.dumps(draw(np.random.default_rng(3), 7)))
    assert draw(np.random.default_rng(3), 7) == structure
    structure |= {"rows": True} if kind == "rows" else {}
    problem = replace(
        hard_problems.make(4, 0),
        penalty="elasticnet",
        alpha=0.3,
        l1_ratio=0.25,
        structure=structure,
    )
    free = [w is not None for w in structure.get("weights", [1.0] * 7)]
    coef = np.where(free, np.linspace(0.1, 0.7, 7), 0.0)
    low, high = structure.get("low", [0.0] * 7), structure.get("high", [1.0] * 7)
    coef = np.clip(coef * [[1.0], [0.5], [0.25]][:n_predictions], low, high)
    parameters = {**problem.penalty_parameters, "solver": "newton", "tol": 1e-2}
    model = GDRegressor(**parameters)
    term = model._components()[1].term(0.3, n_predictions)
    own = term.value(coef.T.ravel())
    assert sum(exact._penalty(problem, coef)[0]) == pytest.approx(own, rel=1e-12)
    if kind in ("positive", "bounds", "weights"):
        beyond = np.full((1, 7), -1e3) if kind != "weights" else np.ones((1, 7))
        inside = kind == "weights" and all(free)
        assert structures.allows(structure, beyond) == inside


def _own_losses():
    """Losses that tests have made."""
    return {name for name, one in Loss.members().items() if not is_ours(one)}


EXACT = {
    "squared_error": lambda p, y, z: (z - y) ** 2 / 2,
    "hinge": lambda p, y, z: max(1 - y * z, 0),
    "squared_hinge": lambda p, y, z: max(1 - y * z, 0) ** 2,
    "modified_huber": lambda p, y, z: max(1 - y * z, 0) ** 2 if y * z > -1 else -4 * y * z,
    "huber": lambda p, y, z: min(abs(z - y), p) * (abs(z - y) - min(abs(z - y), p) / 2),
    "epsilon_insensitive": lambda p, y, z: max(abs(z - y) - p, 0),
    "squared_epsilon_insensitive": lambda p, y, z: max(abs(z - y) - p, 0) ** 2,
    "quantile": lambda p, y, z: max(p * (y - z), (p - 1) * (y - z)),
    "expectile": lambda p, y, z: (p if z < y else Fraction(1.0 - float(p))) * (z - y) ** 2,
}
PARAMETERS = "epsilon", "quantile", "share"


def _in_fractions(problem, coef, intercept):
    X = problem.X.toarray() if sp.issparse(problem.X) else problem.X
    coef, alpha, ratio = (
        list(map(Fraction, coef.tolist())),
        Fraction(problem.alpha),
        Fraction(problem.l1_ratio),
    )
    fields = [
        Fraction(getattr(problem.loss, name)) for name in PARAMETERS if hasattr(problem.loss, name)
    ]
    total = Fraction(0)
    for i in range(problem.y.size):
        z = Fraction(intercept) + sum(
            Fraction(x) * w for x, w in zip(X[i].tolist(), coef, strict=True)
        )
        z += 0 if problem.offset is None else Fraction(problem.offset[i])
        total += Fraction(problem.weights[i]) * EXACT[problem.loss.name](
            *(fields or [0]), Fraction(problem.y[i]), z
        )
    penalty = ratio * sum(map(abs, coef)) + (1 - ratio) * sum(w * w for w in coef) / 2
    return total / sum(map(Fraction, problem.weights.tolist())) + alpha * penalty


def test_double_double_agrees_with_fractions():
    seen, rng = set(), np.random.default_rng(0)
    for index in range(0, 4000, 3):
        if index > 400 and seen == set(EXACT):
            break
        problem = replace(hard_problems.make(5, index), structure={})
        if problem.X.shape[0] * problem.X.shape[1] > 500 or problem.loss.name not in EXACT:
            continue
        coef = rng.normal(size=problem.X.shape[1]) * 10.0 ** rng.uniform(-4, 3)
        value, right = exact.value(problem, coef, 0.3), _in_fractions(problem, coef, 0.3)
        assert (
            abs(Fraction(value.high) + Fraction(value.low) - right)
            <= value.rounding
            <= 1e-20 * right + 1e-300
        )
        seen.add(problem.loss.name)
    assert seen == set(EXACT)


def test_log_loss_and_counts_in_long_doubles():
    problem = next(
        one
        for one in map(hard_problems.make, [6] * 99, range(0, 990, 8))
        if one.loss.name == "log_loss"
    )
    problem = replace(
        problem,
        X=np.array([[1e8], [-1e8], [3.0]]),
        y=np.array([1.0, -1.0, -1.0]),
        sample_weight=None,
        offset=None,
        alpha=0.0,
        l1_ratio=0.0,
    )
    value = exact.value(problem, [1e-8], 0.0)
    want = (2.0 * np.log1p(np.exp(-1.0)) + np.log1p(np.exp(3e-8))) / 3.0
    assert value.high == pytest.approx(want, rel=1e-15)
    assert 0.0 < value.rounding < 1e-15
    y = np.array([0.0, 3.0, 3.0])
    value = exact.value(replace(problem, y=y, loss=hard_problems.OWN["counts"]()), [1e-8], 0.0)
    want = np.exp([1.0, -1.0, 3e-8]) - y * [1.0, -1.0, 3e-8] + [0.0, *[3.0 * np.log(3.0) - 3.0] * 2]
    assert value.high == pytest.approx(want.mean(), rel=1e-14)


def test_deviances_in_long_doubles_agree_with_the_package():
    rng, seen = np.random.default_rng(2), set()
    for index in range(0, 1200, 4):
        problem = hard_problems.make(7, index)
        if problem.loss.target_domain in (REALS, SIGNS):
            continue
        z = rng.normal(size=problem.y.size) * 10.0 ** rng.uniform(-9, 1) + (
            np.log(problem.y.clip(1e-3)) if problem.loss.target_domain.high > 1.0 else 0.0
        )
        with np.errstate(all="ignore"):
            value, slope, rounding = exact.LOSSES[problem.loss.name](
                problem.loss, problem.y, exact.number(z)
            )
        rows = zip(z, problem.y, value[0], slope, rounding, strict=True)
        for one, y, high, derivative, wrong in rows:
            own = problem.loss.value(one, y)
            size = 1e-15 * (abs(one) + abs(np.log(y or 1.0)) + 2.0) * abs(derivative)
            assert own == pytest.approx(high, rel=1e-13, abs=size + 1e-300)
            assert problem.loss.derivative(one, y) == pytest.approx(
                derivative, rel=1e-9, abs=1e-12 * (1.0 + problem.loss.step_curvature(one, y))
            )
            assert 0.0 <= wrong <= 1e-14 * (1.0 + high + abs(derivative * (abs(one) + 20.0)))
        seen.add(problem.loss.name)
    named = {name: one for name, one in Loss.members().items() if is_ours(one)}
    assert seen == {name for name, one in named.items() if has_mean(one())} | {"counts"}


class _Boasting:
    """An estimator that claims to be closer than it is."""

    def fit(self, X, y, **rows):
        super().fit(X, y, **rows)
        self.coef_ = self.coef_ * 1.5
        self.suboptimality_, self.bound_kind_ = 1e-9, "proof"
        return self


def test_a_false_claim_is_found_and_runs_again(monkeypatch, tmp_path, capsys):
    def few(problem):
        return [
            {"solver": "auto"},
            {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 1e9},
        ]

    def easy(seed, index):
        rng = np.random.default_rng([seed, index])
        X = rng.normal(size=(40, 3))
        return hard_problems.HardProblem(
            seed,
            index,
            X,
            X @ [1.0, 2.0, 3.0] + rng.normal(size=40),
            SquaredError(),
            "l2",
            1e-3,
            0.0,
            True,
            1e-4,
            None,
            None,
            "dense",
        )

    monkeypatch.setattr(hard_problems, "settings", few)
    monkeypatch.setattr(hard_problems, "make", easy)
    words = ["certify", "--seed", "3", "--fits", "3", "--out", str(tmp_path)]
    assert main(words) == 0
    assert "refused, for example" in capsys.readouterr().out  # DivergenceError is no finding
    boasting = type(
        "GDRegressor", (_Boasting, certify.GDRegressor), {"__init__": certify.GDRegressor.__init__}
    )
    with monkeypatch.context() as patched:
        patched.setitem(certify.ESTIMATORS, False, boasting)
        assert main(words) == 1
        text = capsys.readouterr().out
        assert "BROKEN false proof: 2" in text
        assert "wrong objective_" in text
        recipe = tmp_path / "certify" / "false_proof_3-0_auto.json"
        assert main(["certify", "--again", str(recipe)]) == 1
        assert "found again" in capsys.readouterr().out
    assert main(["certify", "--again", str(recipe)]) == 0
    monkeypatch.setattr(hard_problems, "make", lambda seed, index: easy(seed, index + 1))
    assert main(["certify", "--again", str(recipe)]) == 0  # the data are beside it
    recipe.with_suffix(".npz").unlink()
    with pytest.raises(SystemExit, match="other data now"):
        main(["certify", "--again", str(recipe)])


def test_a_mistake_that_raises_a_value_error_is_no_refusal(monkeypatch):
    problem = hard_problems.make(3, 0)

    def mistaken(self, *_, **__):
        np.zeros(0).max()

    def refusing(self, *_, **__):
        raise ValueError("not such data")

    for fit, attribute in ((mistaken, "crash"), (refusing, "refused")):
        estimator = certify.ESTIMATORS[problem.classification]
        patched = type(
            estimator.__name__, (estimator,), {"fit": fit, "__init__": estimator.__init__}
        )
        monkeypatch.setitem(certify.ESTIMATORS, problem.classification, patched)
        assert "ValueError" in getattr(certify.fit(problem, {"solver": "auto"}), attribute)


@pytest.mark.jit
def test_a_warning_of_numpy_is_a_finding_of_solvers_with_their_own_steps(monkeypatch):
    problem = hard_problems.make(3, 0)
    estimator = certify.ESTIMATORS[problem.classification]

    def overflowing(self, *arguments, **parameters):
        np.array([1e300]) * 1e300
        return estimator.fit(self, *arguments, **parameters)

    patched = type(
        estimator.__name__, (estimator,), {"fit": overflowing, "__init__": estimator.__init__}
    )
    monkeypatch.setitem(certify.ESTIMATORS, problem.classification, patched)
    settings = {"solver": "auto"}, {"solver": "gd", "learning_rate": "constant", "eta0": 1e-3}
    fits = [certify.fit(problem, one) for one in settings]
    found = certify.judge(problem, fits, certify.Truth(problem, fits))
    assert [one.fit for one in found if one.kind == "stray warning"] == fits[:1]
    assert "RuntimeWarning at project/test_bench.py:" in fits[0].stray[0]
    assert "overflow" in fits[0].stray[0]


def test_what_is_counted_apart():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    problem = hard_problems.HardProblem(
        0, 0, X, np.sign(X[:, 0]), LogLoss(), None, 0.0, 0.0, True, 1e-4, None, None, "dense"
    )
    assert certify.apart(problem, certify.Truth(problem, [])) == "separable"
    near = replace(
        problem,
        X=np.column_stack([X[:, 0], X[:, 0] + 1e-9 * X[:, 1]]),
        y=X[:, 1],
        loss=SquaredError(),
    )
    assert certify.apart(near, certify.Truth(near, [])) == "ill-conditioned"
    copies = replace(
        near, X=np.column_stack([X[:, 0] + 1e6, X[:, 0] + 1e6])
    )  # a direction that is not there
    assert certify.apart(copies, certify.Truth(copies, [])) == ""
    constant = replace(near, X=X, y=np.full(30, 7.0))
    assert certify.apart(constant, certify.Truth(constant, [])) == "a constant fits"
    none = replace(near, X=X, y=np.zeros(30), loss=own_losses.Counts())
    assert certify.apart(none, certify.Truth(none, [])) == "a constant fits"


@pytest.mark.parametrize("structure", [{}, {"rows": True}, {"groups": [[0, 2], [1]], "share": 0.3}])
def test_the_lowest_of_several_predictions(structure):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 3)) + 1e4, rng.permutation(40) % 3.0
    penalty = "l2" if structure else "elasticnet"
    parts = penalty, 1e-2, 0.5, True, 1e-4, None, None, "dense", [], structure
    problem = hard_problems.HardProblem(0, 0, X, y, Multinomial(3), *parts)
    model = GDClassifier(**problem.penalty_parameters, tol=1e-8).fit(X, y)
    start = model.coef_ * (1.0 + 0.1 * rng.random((3, 3))), model.intercept_
    found = [exact.value(problem, *one) for _, *one in lowest.candidates(problem, [start])]
    assert min(found).high == pytest.approx(model.objective_, rel=1e-7)
    own = exact.value(problem, model.coef_, model.intercept_)
    assert own.high == pytest.approx(model.objective_, rel=1e-12)
    shares = np.bincount(y.astype(int)) / 40.0
    assert lowest.best_constant(problem).high == pytest.approx(-shares @ np.log(shares))


def test_the_lowest_of_a_linear_program():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 3)) + 1e6, rng.normal(size=40)
    for loss in (Quantile(0.3), EpsilonInsensitive(0.1), Hinge()):
        targets = np.sign(y) if loss.classification else y
        problem = hard_problems.HardProblem(
            0, 0, X, targets, loss, "l1", 1e-3, 1.0, True, 1e-4, None, rng.normal(size=40), "dense"
        )
        found = {
            name: exact.value(problem, *model) for name, *model in lowest.candidates(problem, [])
        }
        model = certify.ESTIMATORS[loss.classification](
            loss=loss, penalty="l1", alpha=1e-3, tol=1e-8
        )
        moved = model.fit(X - 1e6, targets, offset=problem.offset)
        assert found["program"].high == pytest.approx(moved.objective_, rel=1e-7)


@pytest.mark.jit
def test_smoke(tmp_path):
    command = [sys.executable, "-m", "bench", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fastgd/default" in done.stdout
    assert "one gradient with its value" in done.stdout
    content = json.loads(next(tmp_path.glob("sklearn*.json")).read_text())
    assert content["machine"]["numpy"] == np.__version__
    runs = [
        run
        for case in content["cases"].values()
        for record in case["records"].values()
        for run in record["runs"]
    ]
    assert {run["passes"] is None for run in runs} == {False, True}
    assert {path.stem for path in tmp_path.glob("*.json")} >= {
        "calibrate",
        "cold",
        "kernels",
        "memory",
        "scaling",
        "search",
        "suite",
    }
    assert json.loads((tmp_path / "suite.json").read_text())["cases"]
    assert list(tmp_path.glob("*.png"))


def test_generated_data_stand_in_for_the_data_folder(tmp_path, monkeypatch):
    from bench import data, generated, suite
    from bench.cases import CASES

    monkeypatch.setattr(data, "FOLDER", tmp_path)
    assert {case.data for case in CASES} <= (generated.SHAPES | generated.OWN).keys()
    columns = {"protein": 9, "a9a": 123, "census": 510, "covtype_binary": 54, "mnist": 784}
    for name, width in columns.items():
        X, y = data.load(name, n=300)
        again, _ = data.load(name, n=300)
        assert X.shape == (300, width)
        assert y.shape == (300,)
        assert abs(X - again).max() == 0.0
        assert np.unique(y).size == {"protein": 300, "mnist": 10}.get(name, 2)
    X, y = data.load("flights", n=300)
    assert X.shape == (300, 497)
    assert X.format == "csr"
    X, y, beside = data.load_all("french_motor", n=3000)
    assert X.shape == (3000, 167)
    assert ((beside["claim_amount"] > 0.0) == (y > 0.0)).all()
    assert np.bincount(data.load("covtype", n=700)[1]).tolist() == [100] * 7
    with pytest.raises(SystemExit, match=r"no file 'nothing'.* FASTGD_DATA.* covtype_binary"):
        data.load("nothing")
    names = [case.data for case in suite.chosen_cases(["digits odd", "a9a log 1/n"])]
    assert names == ["sklearn:digits", "a9a", "a9a"]


def test_a_path_on_another_drive_is_shown_as_it_is(monkeypatch):
    from bench import report

    def refuse(path):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    assert report.shown_path(Path("x").absolute()) == "x"
    monkeypatch.setattr("os.path.relpath", refuse)
    assert report.shown_path(Path("x")) == "x"
