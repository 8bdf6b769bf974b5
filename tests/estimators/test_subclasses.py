"""Subclasses that override a public method as most would write it: without what nobody gave."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score

from fastgd import GDClassifier, GDClassifierCV, GDRegressor

X, LABELS = load_iris(return_X_y=True)


class Plain(GDClassifier):
    """Takes X alone wherever it can."""

    def fit(self, X, y):
        return super().fit(np.asarray(X), y)

    def decision_function(self, X):
        return super().decision_function(np.asarray(X))

    def predict(self, X):
        return super().predict(np.asarray(X))

    def predict_proba(self, X):
        return super().predict_proba(np.asarray(X))

    def score(self, X, y):
        return super().score(X, y)


class PlainRegressor(GDRegressor):
    def predict(self, X):
        return super().predict(np.asarray(X))

    def score(self, X, y):
        return super().score(X, y)


class PlainSearch(GDClassifierCV):
    def decision_function(self, X):
        return super().decision_function(np.asarray(X))

    def predict(self, X):
        return super().predict(np.asarray(X))


def test_a_classifier():
    model, usual = Plain().fit(X, LABELS), GDClassifier().fit(X, LABELS)
    assert model.score(X, LABELS) == usual.score(X, LABELS)
    np.testing.assert_array_equal(model.predict_log_proba(X), usual.predict_log_proba(X))
    assert clone(model).fit(X, LABELS).score(X, LABELS) == usual.score(X, LABELS)
    assert cross_val_score(Plain(), X, LABELS, cv=3).min() > 0.8
    assert "Plain" in model._repr_html_()


def test_what_is_given_arrives():
    model = GDClassifier().fit(X, LABELS == 1)
    offset = np.linspace(-5.0, 5.0, LABELS.size)
    np.testing.assert_array_equal(
        model.predict(X, offset), model.decision_function(X, offset=offset) > 0.0
    )
    np.testing.assert_array_equal(
        model.predict_log_proba(X, offset), np.log(model.predict_proba(X, offset))
    )
    with pytest.raises(TypeError, match="offset"):
        Plain().fit(X, LABELS == 1).predict_log_proba(X, offset)


@pytest.mark.parametrize("watched", [False, True])
def test_chunks_with_rows_to_watch(watched):
    numbers = load_diabetes(return_X_y=True)
    for model, (rows, y), first in (
        (Plain(random_state=0), (X, LABELS), {"classes": [0, 1, 2]}),
        (PlainRegressor(random_state=0), numbers, {}),
    ):
        given = {"X_val": rows[::5], "y_val": y[::5]} if watched else {}
        model.partial_fit(rows, y, **first, **given).partial_fit(rows, y, **given)
        assert np.isfinite(model.score(rows, y))


def test_a_search():
    search = PlainSearch(alphas=3, cv=3).fit(X, LABELS)
    assert search.score(X, LABELS) > 0.9
    assert search.best_estimator_.score(X, LABELS) == search.score(X, LABELS)
