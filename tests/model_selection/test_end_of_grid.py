"""A choice at an end of the grid is told, where there may be something beyond it."""

import warnings

import numpy as np
import pytest

from fastgd import GDRegressorCV
from fastgd.model_selection.end_of_grid import end_of_grid

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=60)


@pytest.mark.parametrize(
    ("alphas", "y", "told"),
    [
        ([10.0, 1.0], Y, "alpha=1 is the smallest of the grid.*further down"),
        ([1e6, 1e5], RNG.permutation(Y), r"alpha=1e\+06 is the largest of the grid.*further up"),
        (5, RNG.permutation(Y), "largest of the grid, next to a model without columns"),
    ],
)
def test_an_end_that_is_chosen_is_told_once(alphas, y, told):
    with pytest.warns(UserWarning, match=told) as caught:
        GDRegressorCV(alphas=alphas, cv=3).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("alphas", [[1.0], [1.0, 0.0], [10.0, 1e-2, 1e-9], [1e-12, 1e-13], 30])
def test_no_word_without_anything_beyond(alphas):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GDRegressorCV(alphas=alphas, cv=3).fit(X, Y)


def test_scores_that_are_flat_or_not_finite():
    alphas = np.array([1.0, 0.1, 0.01])
    assert end_of_grid(alphas, np.array([0.1, 0.8, 0.8001]), 2, False) == ""
    assert end_of_grid(alphas, np.array([0.8, 0.8, 0.5]), 0, True) == ""
    assert end_of_grid(alphas, np.array([-np.inf, 0.8, 0.9]), 2, False) != ""
    assert end_of_grid(alphas, np.array([0.9, 0.8, np.nan]), 0, False) != ""
    assert end_of_grid(alphas, np.array([0.9, -np.inf, -np.inf]), 0, False) != ""
