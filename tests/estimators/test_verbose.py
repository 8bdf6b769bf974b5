"""What a fit prints: one readable line every so many checks, whole ones whatever the number of
threads.
"""

import re

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgd import GDClassifier, GDRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y3 = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
NUMBER = r"[-+0-9.e]+|inf"
LINE = re.compile(
    rf"iteration +\d+  passes +({NUMBER})  objective ({NUMBER})  bound ({NUMBER})  seconds "
    rf"({NUMBER})",
)


@pytest.mark.parametrize("every", [1, 3, True])
@pytest.mark.parametrize(
    "solver", [{"solver": "lbfgs"}, {"solver": "sdca"}, {"solver": "gd", "batch_size": 1}], ids=str
)
def test_lines_are_checks(solver, every, capsys):
    model = GDClassifier(verbose=every, max_iter=12, tol=None, **solver).fit(X, Y3 == "a")
    found = [LINE.fullmatch(one) for one in capsys.readouterr().out.splitlines()]
    assert all(found)
    history = {key: column[int(every) - 1 :: int(every)] for key, column in model.history_.items()}
    assert len(found) == history["passes"].size > 0
    objective = [float(one[2]) for one in found]
    np.testing.assert_allclose(objective, history["objective"], rtol=1e-6)


def test_a_line_of_its_own_for_the_best_point_of_the_run(capsys):
    """A run that ends above its best point returns that point, as one more check."""
    X, y = load_iris(return_X_y=True)
    counts = set()
    for seed in range(6):
        model = GDClassifier(
            "hinge", solver="sdca", verbose=1, max_iter=12, tol=None, random_state=seed
        ).fit(X, y == 1)
        iterations = [int(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
        assert len(iterations) == model.history_["passes"].size
        counts.add(len(iterations))
    assert len(counts) == 2  # some of these runs end above their best point


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_against_the_rest_says_which_class(n_jobs, capsys):
    model = GDClassifier(verbose=1, n_jobs=n_jobs, solver="lbfgs", multi_class="ovr").fit(X, Y3)
    lines = capsys.readouterr().out.splitlines()
    for name, history in zip("abc", model.history_, strict=True):
        own = [one for one in lines if one.startswith(f"class {name}  iteration")]
        assert len(own) == history["passes"].size
        assert all(LINE.fullmatch(one.removeprefix(f"class {name}  ")) for one in own)
    assert len(lines) == sum(history["passes"].size for history in model.history_)


def test_chunks(capsys):
    model = GDRegressor(verbose=2)
    for _ in range(5):
        model.partial_fit(X, X[:, 0])
    model.partial_fit(X, X[:, 0], X_val=X, y_val=X[:, 0])
    lines = capsys.readouterr().out.splitlines()
    assert [one.split()[:2] for one in lines] == [["chunk", "2"], ["chunk", "4"], ["chunk", "6"]]
    assert all("objective" in one and "seconds" in one for one in lines)
    assert "score" in lines[2]
    assert "score" not in lines[1]


def test_silence(capsys):
    GDRegressor().fit(X, X[:, 0]).partial_fit(X, X[:, 0])
    assert capsys.readouterr().out == ""
