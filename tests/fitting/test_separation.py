"""Of separated classes, and of targets at one end of their domain, it is told without a penalty
that no finite optimum exists.
"""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.fitting.separation import is_at_one_end, is_separated

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


RANDOM = np.random.default_rng(0)
NOISE = RANDOM.standard_normal((40, 3))
CONSTANT = np.column_stack([NOISE, np.ones(40)])
LEVELS = np.eye(4)[RANDOM.integers(0, 4, 40)]


@pytest.mark.plain
@pytest.mark.parametrize("columns", [CONSTANT, LEVELS], ids=["constant", "levels"])
@pytest.mark.parametrize(("loss", "end"), [("poisson", 0.0), ("tweedie", 0.0), ("binomial", 1.0)])
def test_columns_that_take_all_rows_to_one_end(columns, loss, end):
    """As an intercept, which is refused; a coefficient of -19.8 was a model like others."""
    parameters = {"loss": loss, "fit_intercept": False}
    model = GDRegressor(alpha=0.0, **parameters).fit(columns, np.full(40, end))
    assert f"y is {end:g} in every row that counts and nothing is penalised" in str(model.plan_)
    some = np.r_[np.full(39, end), 0.5]
    assert WORDS in str(GDRegressor(alpha=0.0, **parameters).fit(columns, some, some == end).plan_)
    assert WORDS not in str(GDRegressor(alpha=0.0, **parameters).fit(columns, some).plan_)
    assert WORDS not in str(
        GDRegressor(alpha=1e-3, **parameters).fit(columns, some * 0 + end).plan_
    )


def test_columns_of_both_signs_take_no_row_to_an_end():
    """exp(w) + exp(-w) has its minimum at 0."""
    columns = np.array([[1.0], [-1.0]])
    model = GDRegressor("poisson", alpha=0.0, fit_intercept=False).fit(columns, np.zeros(2))
    assert WORDS not in str(model.plan_)


def test_offsets_that_are_at_one_end():
    far = np.r_[-5.0, np.zeros(39)]
    F = Objective("poisson", LEVELS, np.zeros(40), offset=far, fit_intercept=False)
    assert is_at_one_end(F, 0.9 * np.exp(-5.0) / 40)
    assert not is_at_one_end(F, 1.1 * np.exp(-5.0) / 40)
    heavy = Objective("poisson", LEVELS, np.zeros(40), sample_weight=far < 0.0, fit_intercept=False)
    assert is_at_one_end(heavy, 0.9)
