"""`python -m bench regret`: what fits do is counted, and `auto` is told from the best solver."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
if not (ROOT / "bench/__main__.py").is_file():
    pytest.skip("tests of the source tree", allow_module_level=True)

import fastgd.solvers  # noqa: E402
from bench import broad_problems, regret  # noqa: E402
from bench.__main__ import main  # noqa: E402
from bench.operations import TooMuch, counted  # noqa: E402
from fastgd import Loss, Objective  # noqa: E402
from fastgd.objective import cost_model as cost  # noqa: E402
from fastgd.objective.exclusive.columns import find_exclusive  # noqa: E402
from fastgd.objective.exclusive.matrix import BorderedCurvature  # noqa: E402
from fastgd.solvers import LBFGS, Sdca  # noqa: E402


@pytest.fixture
def problem():
    """Iris, log loss, 150 x 4."""
    return next(broad_problems.of_sklearn())


def test_a_pass_and_a_matrix_are_counted(problem):
    p = problem
    F = Objective(p.loss, p.X, p.y, penalty="l2", alpha=p.alpha, n_jobs=1)
    with counted(p) as count:
        F.value_and_gradient(np.zeros(F.size))
        assert count.passes == 1.0
        F.curvature_matrix(np.zeros(F.size))
    ones = 150 * 4 * cost.VALUE + 150 * cost.ROW + 4 * cost.COLUMN
    around = cost.MATRIX_ROW * 150 + cost.MATRIX_ENTRY * 5**2
    by_blas = cost.DENSE_COST * 150 * 5**2 + around
    nonzeros = np.count_nonzero(p.X, axis=1) + 1.0
    by_loop = cost.LOOP_COST * float((nonzeros**2).sum()) + around
    others = count.passes - count.read
    assert others == pytest.approx(by_blas / ones) or others == pytest.approx(by_loop / ones)
    F.value_and_gradient(np.zeros(F.size))  # no longer counted
    assert count.read == F.passes - 1.0


def test_an_elimination_is_counted():
    X = np.hstack([np.eye(20)[np.arange(60) % 20], np.arange(60.0)[:, None]])
    F = Objective("squared_error", X, X[:, -1], alpha=0.1, n_jobs=1)
    with counted(SimpleNamespace(X=X, stored=X.size)) as count:
        find_exclusive(F)
        searched = count.passes
        matrix = BorderedCurvature(F).at(np.full(60, 1.0))
        formed = count.passes
        matrix.complement(1.0 / matrix.diagonal)
        assert 0.0 < searched < formed < count.passes
        # A level, the number and the intercept in each row but the first, whose number is 0.
        pairs = cost.LOOP_COST * (59 * 9.0 + 4.0)
        assert (formed - searched) * count.one >= cost.OUT_OF_ORDER * 60 + pairs


def test_a_fit_counts_the_same_again_and_ends_where_it_may_do_no_more(problem):
    one, two = (regret.measure(problem, 1e-6, Sdca, 1) for _ in range(2))
    assert one["proved"]
    assert one["passes"] == two["passes"] > one["read"]
    cut = regret.measure(problem, 1e-6, Sdca, 1, most=0.5 * one["passes"])
    assert cut["ended"] == "cut off"
    assert not cut["proved"]
    with counted(problem, 0.5) as count, pytest.raises(TooMuch, match=r"0\.5 passes"):
        count.add_pass(1.0)


def test_a_registry_of_one():
    whole = fastgd.solvers.REGISTRY
    with regret.only(LBFGS):
        assert fastgd.solvers.REGISTRY == (LBFGS,)
    assert whole is fastgd.solvers.REGISTRY


def test_problems_are_the_same_each_time(monkeypatch):
    assert set(broad_problems.losses()) <= set(Loss.members())
    kinds = set()
    monkeypatch.setattr(broad_problems, "SIZES", (((3.3, 4.0), 1.0),))
    for index in range(0, 120, 8):
        one, two = (broad_problems.make(4, index) for _ in range(2))
        assert one.print_of_data() == two.print_of_data()
        assert one.describe() == two.describe()
        assert one.X.shape[0] >= broad_problems.ROWS[0]
        assert one.stored <= 2e7
        kinds.add(one.kinds[0])
    assert kinds == set(broad_problems.KINDS)


def test_rows_are_told_and_read_again(problem, monkeypatch, tmp_path, capsys):
    one = replace(problem, index=3)
    monkeypatch.setattr(regret, "problems", lambda options: [one])
    words = ["--accuracy", "1e-2,1e-4", "--rounds", "1", "--out", str(tmp_path)]
    assert main(["regret", *words]) == 0
    first = capsys.readouterr().out
    path = next(tmp_path.glob("*.jsonl"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["tol"] for row in rows] == [1e-2, 1e-4]
    for row in rows:
        assert row["auto"]["proved"]
        assert {"Newton", "LBFGS", "Sdca"} <= set(row["own"])
        assert "Newton" in row["forecasts"]
        passes = [own["passes"] for own in row["own"].values() if own["proved"]]
        assert row["regret"] == max(1.0, row["auto"]["passes"] / min(passes))
        assert row["regret_seconds"] > 0.0
    assert main(["regret", "--again", str(path)]) == 0
    assert capsys.readouterr().out.strip() in first
    assert "2 rows, unproved 0; operations: geometric mean" in first


def test_what_auto_refuses_is_unproved_where_another_proves_it(problem, monkeypatch):
    """Such rows were left out of the count."""

    def measure(problem, tol, solver, batch, most=np.inf):
        told = {"passes": 3.0, "proved": solver is LBFGS, "first_seconds": 1.0}
        assert most == np.inf  # nothing is known of what `auto` takes
        return {**told, "ended": "refused" if solver is None else "CONVERGED"}

    monkeypatch.setattr(regret, "measure", measure)
    (row,) = regret.rows_of(problem, (1e-3,), rounds=0)
    assert row["unproved"]
    assert row["best"] == "LBFGS"
    text = regret.text([row])
    assert text.startswith("tol 0.001: 1 rows, unproved 1")  # of the rows, whatever they are
    assert "tol 0.01" not in text


def test_kinds_of_problems_that_do_not_exist_are_refused(tmp_path):
    """A report of 0 rows came of a misspelt one."""
    with pytest.raises(SystemExit, match=r"nothing is called \['suites'\]; known: sklearn, random"):
        main(["regret", "--cases", "sklearn,suites", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_what_auto_does_not_prove_is_told(capsys, problem):
    auto = {"passes": 5.0, "proved": False, "first_seconds": 1.0}
    own = {"Sdca": {"passes": 4.0, "proved": True}, "LBFGS": {"passes": 3.0, "proved": False}}
    row = regret._row(problem, 1e-2, auto, own, {}, {})
    assert row["unproved"]
    assert row["best"] == "Sdca"
    assert "regret" not in row
    assert "Unproved where an own solver proves: 1" in regret.text([row])
