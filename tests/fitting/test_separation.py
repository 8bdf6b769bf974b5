"""Of separated classes without a penalty it is told that no finite optimum exists."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgd import GDClassifier, Objective
from fastgd.fitting.separation import is_separated

X, Y = load_iris(return_X_y=True)
WORDS = "no finite optimum exists"


@pytest.mark.parametrize(
    "given", [{"penalty": None}, {"alpha": 0.0}, {"solver": "lbfgs", "alpha": 0}]
)
def test_it_is_told(given, capsys):
    model = GDClassifier(verbose=1, **given).fit(X[:100], Y[:100])
    assert WORDS in str(model.plan_)
    assert WORDS in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({}, slice(100)),  # a penalty
        ({"loss": "squared_hinge", "alpha": 0.0}, slice(100)),  # its minimum is reached
        ({"alpha": 0.0, "tol": 1e-2}, slice(50, 150)),  # not separated
    ],
)
def test_it_is_not_told(given, rows):
    assert WORDS not in str(GDClassifier(**given).fit(X[rows], Y[rows]).plan_)


def test_a_row_of_little_weight_may_be_on_the_wrong_side():
    y = np.where(Y[:100] == 1, 1.0, -1.0)
    even = Objective("log_loss", X[:100], y)
    odd = Objective("log_loss", X[:100], y, sample_weight=np.r_[1e-6, np.ones(99)])
    assert is_separated(even, 6e-3)
    assert not is_separated(even, 8e-3)
    assert not is_separated(odd, 6e-3)
    assert not is_separated(Objective("squared_error", X, Y * 1.0), 0.0)


def test_offsets_may_separate_what_columns_do_not():
    """The columns are noise beside offsets of 10 on the side of each row: an optimum is there."""
    rng = np.random.default_rng(0)
    noise, y = rng.standard_normal((40, 2)), np.where(rng.random(40) < 0.5, -1.0, 1.0)
    model = GDClassifier(alpha=0.0, tol=1e-6).fit(noise, y, offset=10.0 * y)
    assert model.converged_
    assert WORDS not in str(model.plan_)
    separated = GDClassifier(alpha=0.0).fit(noise + 9.0 * y[:, None], y, offset=0.1 * y)
    assert WORDS in str(separated.plan_)
