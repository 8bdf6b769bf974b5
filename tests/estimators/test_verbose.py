"""What a fit prints: one readable line every so many checks, whole ones whatever the number of
threads.
"""

import re

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgd import GDClassifier, GDClassifierCV, GDRegressor, StopReason
from fastgd.certificates.bound import Bound
from fastgd.fitting.history import History
from fastgd.fitting.lines import Lines
from fastgd.fitting.result import Result
from fastgd.model_selection.progress import SearchProgress

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y3 = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
NUMBER = r"[-+0-9.e]+"
LINE = re.compile(rf" +(\d+) +({NUMBER}) +({NUMBER}) +({NUMBER}) +({NUMBER})( +on a sample .*)?")
HEADER = "iteration     passes       objective     bound  seconds"


def checks_of(text, name=""):
    """The lines of checks between plan and ending, matched."""
    plan, header, *lines, end = [one.removeprefix(name) for one in text.splitlines()]
    assert plan.startswith("plan: ")
    assert header == HEADER
    assert end.startswith("ended: ")
    found = [LINE.fullmatch(one) for one in lines]
    assert all(found)
    return found


@pytest.mark.parametrize("every", [1, 3, True])
@pytest.mark.parametrize(
    "solver", [{"solver": "lbfgs"}, {"solver": "sdca"}, {"solver": "gd", "batch_size": 1}], ids=str
)
def test_lines_are_checks(solver, every, capsys):
    model = GDClassifier(verbose=every, max_iter=12, tol=None, **solver).fit(X, Y3 == "a")
    text = capsys.readouterr().out
    found = checks_of(text)
    objective = model.history_["objective"]
    shown = objective[int(every) - 1 :: int(every)]
    if shown[-1] != objective[-1]:  # the last check is always there
        shown = np.append(shown, objective[-1])
    np.testing.assert_allclose([float(one[3]) for one in found], shown, rtol=1e-6)
    assert model.stop_reason_.value in text.splitlines()[-1]
    assert str(model.plan_) in text


@pytest.mark.jit
def test_a_line_of_its_own_for_the_best_point_of_the_run(capsys):
    """A run that ends above its best point returns that point, as one more check."""
    X, y = load_iris(return_X_y=True)
    counts = set()
    for seed in range(6):
        model = GDClassifier(
            "hinge", solver="sdca", verbose=1, max_iter=12, tol=None, random_state=seed
        ).fit(X, y == 1)
        iterations = checks_of(capsys.readouterr().out)
        assert len(iterations) == model.history_["passes"].size
        counts.add(len(iterations))
    assert len(counts) == 2  # some of these runs end above their best point


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_against_the_rest_says_which_class(n_jobs, capsys):
    model = GDClassifier(verbose=1, n_jobs=n_jobs, solver="lbfgs", multi_class="ovr").fit(X, Y3)
    lines = capsys.readouterr().out.splitlines()
    for name, history in zip("abc", model.history_, strict=True):
        own = [k for k, one in enumerate(lines) if one.startswith(f"class {name}  ")]
        assert own == list(range(own[0], own[-1] + 1))  # one after the other
        text = "\n".join(lines[k] for k in own)
        assert len(checks_of(text, f"class {name}  ")) == history["passes"].size
    assert len(lines) == sum(3 + history["passes"].size for history in model.history_)


def test_values_on_samples_are_marked(capsys):
    rows = RNG.standard_normal((6000, 2))
    y = rows[:, 0] + RNG.standard_normal(6000) > 0.0
    GDClassifier(batch_size="growing", verbose=1).fit(rows, y)
    found = checks_of(capsys.readouterr().out)
    marked = [bool(one[6]) for one in found]
    assert marked[0]
    assert not marked[-1]
    assert re.search(r"on a sample of [\d,]+ rows", found[0][0])
    assert found[0][4] == "-"  # no bound


def test_a_change_of_plan_is_told(capsys):
    history = History()
    history.append(iteration=1, passes=1.0, objective=0.5, bound=np.inf, seconds=0.0)
    lines = Lines(2)
    lines.planned("gd")
    lines.checked(history)
    history.append(iteration=2, passes=2.0, objective=0.4, bound=0.1, seconds=0.0)
    lines.checked(history)
    lines.planned("newton")
    result = Result(None, 0.4, Bound(0.1, "proof"), 0.25, StopReason.CONVERGED, history, None)
    lines.ended(result, None)
    assert capsys.readouterr().out.splitlines() == [
        "plan: gd",
        HEADER,
        "        2        2.0             0.4  1.00e-01     0.00",
        "goes on by newton",
        "ended: the objective is within tol of the optimum; objective 0.4, proved to be within "
        "0.25 (relative) of the optimum",
    ]


def test_a_bound_that_says_nothing_useful_is_a_dash(capsys):
    """Before a proof it was the objective itself, line after line."""
    history = History()
    history.append(iteration=1, objective=0.5, bound=0.5, suboptimality=1e4, passes=1, seconds=0)
    lines = Lines(1)
    lines.checked(history)
    history.append(iteration=2, objective=0.4, bound=0.1, suboptimality=0.33, passes=2, seconds=0)
    lines.checked(history)
    result = Result(None, 0.4, Bound(0.4, "proof"), 1e4, StopReason.MAX_ITER, history, None)
    lines.ended(result, None)
    _, first, second, end = capsys.readouterr().out.splitlines()
    assert first.split()[3] == "-"
    assert second.split()[3] == "1.00e-01"
    assert end == (
        "ended: max_iter was reached; objective 0.4 has no useful bound on its distance to the "
        "optimum"
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_shows_its_paths_and_the_choice(n_jobs, capsys):
    alphas = [0.1, 0.01]
    search = GDClassifierCV(alphas=alphas, cv=3, verbose=1, n_jobs=n_jobs).fit(X, Y3 == "a")
    first, *paths, chosen, plan = capsys.readouterr().out.splitlines()[:6]
    assert first == "search: 6 fits of 1 path on 3 folds"
    assert sorted(one.partition(":")[0] for one in paths) == [
        f"alpha 0.1 to 0.01, fold {f} of 3" for f in (1, 2, 3)
    ]
    assert chosen.startswith(f"chosen: alpha {search.alpha_:.4g}, mean score ")
    assert plan.startswith("plan: ")
    GDClassifierCV(alphas=alphas, cv=3).fit(X, Y3 == "a")
    assert capsys.readouterr().out == ""


def test_a_search_has_a_bar_in_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    progress = SearchProgress(1, 4, ["alpha 1 to 0.1"], 2)
    assert progress.bar is not None
    with progress:
        for _ in range(4):
            progress.model_scored()
        progress.path_done(0, 0, [1.0])
    assert progress.bar.tasks[0].completed == 4
    assert "best score" not in capsys.readouterr().out


def test_chunks(capsys):
    model = GDRegressor(verbose=2)
    for _ in range(5):
        model.partial_fit(X, X[:, 0])
    model.partial_fit(X, X[:, 0], X_val=X, y_val=X[:, 0])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["chunk", "passes", "objective"]
    assert [one.split()[0] for one in lines] == ["2", "4", "6"]
    assert [len(one.split()) for one in lines] == [5, 5, 6]  # the last with its score


def test_silence(capsys):
    GDRegressor().fit(X, X[:, 0]).partial_fit(X, X[:, 0])
    assert capsys.readouterr().out == ""
