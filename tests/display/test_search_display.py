"""`SearchDisplay`: means and standard errors of the scores, and the choice."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import GDClassifierCV, GDRegressor, GDRegressorCV, SearchDisplay
from fastgd.model_selection.base import score_name

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = X @ [1.0, -2.0, 0.0, 0.5] + RNG.normal(size=60)


def test_the_line_is_the_mean_and_the_band_a_standard_error(ax):
    search = GDRegressorCV(alphas=[1.0, 0.1, 0.01], cv=3).fit(X, Y)
    display = SearchDisplay.from_estimator(search, ax=ax)
    mean = search.scores_.mean(axis=1)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), mean)
    band = display.bands_[0].get_paths()[0].vertices
    error = search.scores_.std(axis=1, ddof=1) / np.sqrt(3.0)
    assert band[:, 1].max() == (mean + error).max()
    assert band[:, 1].min() == (mean - error).min()
    star = ax.lines[-1]
    assert (star.get_xdata(), star.get_ydata()) == ([search.alpha_], [mean.max()])
    assert f"{search.alpha_:.3g}" in star.get_label()
    assert ax.get_ylabel() == "r2, mean of 3 folds"


def test_each_share_has_a_line(ax):
    shares = [0.2, 0.9]
    search = GDRegressorCV(penalty="elasticnet", l1_ratios=shares, alphas=3, cv=2).fit(X, Y)
    display = SearchDisplay.from_estimator(make_pipeline(StandardScaler(), search), ax=ax)
    assert [line.get_label() for line in display.lines_] == ["l1_ratio=0.2", "l1_ratio=0.9"]
    star, own = ax.lines[-1], display.lines_[shares.index(search.l1_ratio_)]
    assert star.get_color() == own.get_color()


def test_one_fold_has_no_band(ax):
    search = GDRegressorCV(alphas=[1.0, 0.1, 0.0], cv="loo").fit(X, Y)
    display = SearchDisplay.from_estimator(search, ax=ax)
    assert display.bands_ == []
    assert (ax.get_ylabel(), ax.get_xscale()) == ("r2", "symlog")


@pytest.mark.parametrize(
    ("search", "name"),
    [
        (GDClassifierCV(), "accuracy"),
        (GDClassifierCV(scoring="roc_auc"), "roc_auc"),
        (GDClassifierCV(scoring=lambda model, X, y: 0.0), "<lambda>"),
        (GDRegressorCV("poisson"), "share of the deviance"),
    ],
)
def test_names_of_scores(search, name):
    assert score_name(search) == name


def test_what_is_no_fitted_search_is_refused(ax):
    with pytest.raises(NotFittedError):
        SearchDisplay.from_estimator(GDRegressorCV(), ax=ax)
    with pytest.raises(ValueError, match="ValidationCurveDisplay"):
        SearchDisplay.from_estimator(GridSearchCV(GDRegressor(), {}), ax=ax)
    search = GDRegressorCV(alphas=[1.0], cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="ax must be matplotlib Axes or None"):
        SearchDisplay.from_estimator(search, ax=3)
