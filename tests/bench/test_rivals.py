"""Every rival minimises the same F, and is named where it cannot."""

import sys
import types
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from bench import adapters, optimum, problems, race, rivals, standings

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


def test_intels_package_is_told_the_number_of_threads(monkeypatch):
    """Its threads are TBB's: what limits those of BLAS and OpenMP left it all cores."""
    told = []

    class Fitted:
        def __init__(self, n_jobs=None, **settings):
            told.append(n_jobs)

        def fit(self, X, y):
            self.coef_, self.intercept_ = np.zeros(X.shape[1]), 0.0

    module = types.ModuleType("sklearnex.linear_model")
    module.LogisticRegression = module.Ridge = Fitted
    monkeypatch.setitem(sys.modules, "sklearnex", types.ModuleType("sklearnex"))
    monkeypatch.setitem(sys.modules, "sklearnex.linear_model", module)
    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", rows=40)
    for name in ("sklearnex/LogisticRegression", "sklearnex/Ridge"):
        adapters.RIVALS[name].run(problem, 3, 1)
    assert told == [1, 1]


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
