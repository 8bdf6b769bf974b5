"""One row per update in the same order: the coefficients of scikit-learn's SGD, to rounding."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import SGDClassifier, SGDRegressor

from fastgd import GDClassifier, GDRegressor

CLASSIFICATION = ("log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron")
REGRESSION = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
EPOCHS = 5
# Both: the same rows in the same order, and no stopping.
COMMON = {"shuffle": False, "tol": None, "max_iter": EPOCHS}
OURS = {"solver": "gd", "batch_size": 1}
BEFORE_1_8 = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8)


def data(n_classes=2, n=80, d=5):
    rng = np.random.default_rng(n_classes)
    X = rng.standard_normal((n, d)) + 0.3
    scores = X @ rng.standard_normal((d, n_classes)) + rng.standard_normal((n, n_classes))
    return X, scores.argmax(axis=1), X @ rng.standard_normal(d) + 0.5 * rng.standard_normal(n) + 2.0


def assert_parity(theirs, ours, rtol=1e-9):
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol * scale)
    assert ours.t_ == theirs.t_


def fitted(estimator, X, y, **fit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about versions to come
        return estimator.fit(X, y, **fit)


@pytest.mark.parametrize("average", [False, True, 30])
@pytest.mark.parametrize("penalty", ["l2", None])
@pytest.mark.parametrize("loss", CLASSIFICATION)
def test_a_classifier_has_the_coefficients_of_SGDClassifier(loss, penalty, average):
    X, y, _ = data()
    kw = {
        "loss": loss,
        "penalty": penalty,
        "alpha": 1e-2,
        "learning_rate": "constant",
        "eta0": 0.02,
        "average": average,
    }
    assert_parity(
        fitted(SGDClassifier(**kw, **COMMON), X, y), GDClassifier(**kw, **COMMON, **OURS).fit(X, y)
    )


@pytest.mark.parametrize("average", [False, True, 30])
@pytest.mark.parametrize("penalty", ["l2", None])
@pytest.mark.parametrize("loss", REGRESSION)
def test_a_regressor_has_the_coefficients_of_SGDRegressor(loss, penalty, average):
    X, _, y = data()
    kw = {
        "loss": loss,
        "penalty": penalty,
        "alpha": 1e-2,
        "learning_rate": "constant",
        "eta0": 0.02,
        "average": average,
    }
    assert_parity(
        fitted(SGDRegressor(**kw, **COMMON), X, y), GDRegressor(**kw, **COMMON, **OURS).fit(X, y)
    )


@pytest.mark.parametrize(
    "schedule",
    [
        {"learning_rate": "optimal", "alpha": 1e-2},
        {"learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.5},
        {"learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.25, "average": True},
        {"learning_rate": "adaptive", "eta0": 0.05},
    ],
    ids=lambda schedule: schedule["learning_rate"],
)
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_schedules(loss, schedule):
    X, y, _ = data()
    kw = {"loss": loss, **schedule}
    assert_parity(
        fitted(SGDClassifier(**kw, **COMMON), X, y), GDClassifier(**kw, **COMMON, **OURS).fit(X, y)
    )


def test_optimal_of_a_regressor():
    X, _, y = data()
    kw = {"learning_rate": "optimal", "alpha": 1.0, "loss": "huber"}
    assert_parity(
        fitted(SGDRegressor(**kw, **COMMON), X, y), GDRegressor(**kw, **COMMON, **OURS).fit(X, y)
    )


@pytest.mark.skipif(
    BEFORE_1_8, reason="eta0 is the aggressiveness since scikit-learn 1.8, before it C was"
)
@pytest.mark.parametrize("rate", ["pa1", "pa2"])
def test_passive_aggressive(rate):
    X, y, target = data()
    kw = {"learning_rate": rate, "eta0": 0.7, "penalty": None}
    theirs = fitted(SGDClassifier(loss="hinge", **kw, **COMMON), X, y)
    assert_parity(theirs, GDClassifier(loss="hinge", **kw, **COMMON).fit(X, y))
    theirs = fitted(SGDRegressor(loss="epsilon_insensitive", **kw, **COMMON), X, target)
    assert_parity(theirs, GDRegressor(loss="epsilon_insensitive", **kw, **COMMON).fit(X, target))


@pytest.mark.parametrize("average", [False, 100])
def test_one_vs_rest(average):
    X, y, _ = data(n_classes=4)
    kw = {
        "learning_rate": "constant",
        "eta0": 0.05,
        "average": average,
        "fit_intercept": average is not False,
    }
    assert_parity(
        fitted(SGDClassifier(loss="log_loss", **kw, **COMMON), X, y),
        GDClassifier(multi_class="ovr", **kw, **COMMON, **OURS).fit(X, y),
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_partial_fit(n_classes):
    X, y, _ = data(n_classes)
    kw = {
        "loss": "log_loss",
        "learning_rate": "invscaling",
        "eta0": 0.1,
        "average": 100,
        "shuffle": False,
    }
    theirs, ours = (
        SGDClassifier(**kw),
        GDClassifier(multi_class="ovr", **kw),
    )  # batch_size and solver are "auto": one row per update
    for k in range(4):
        rows = slice(20 * k, 20 * k + 20)
        classes = np.arange(n_classes) if k == 0 else None
        theirs.partial_fit(X[rows], y[rows], classes=classes)
        ours.partial_fit(X[rows], y[rows], classes=classes)
        assert_parity(theirs, ours)


def test_partial_fit_of_a_regressor():
    X, _, y = data()
    kw = {"learning_rate": "constant", "eta0": 0.02, "shuffle": False}
    theirs, ours = SGDRegressor(**kw), GDRegressor(**kw)
    for k in range(4):
        rows = slice(20 * k, 20 * k + 20)
        assert_parity(theirs.partial_fit(X[rows], y[rows]), ours.partial_fit(X[rows], y[rows]))


def test_weights_are_divided_by_their_mean():
    X, y, _ = data()
    weights = np.random.default_rng(0).uniform(0.5, 2.0, y.size)
    kw = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.05}
    theirs = fitted(SGDClassifier(**kw, **COMMON), X, y, sample_weight=weights / weights.mean())
    assert_parity(theirs, GDClassifier(**kw, **COMMON, **OURS).fit(X, y, sample_weight=weights))


def test_starting_point():
    X, _, y = data()
    kw = {"learning_rate": "constant", "eta0": 0.02}
    coef, intercept = np.arange(5.0), np.array([0.5])
    ours = GDRegressor(**kw, **COMMON, **OURS).fit(X, y, coef_init=coef, intercept_init=intercept)
    np.testing.assert_array_equal(coef, np.arange(5.0))  # scikit-learn writes into it
    assert_parity(
        fitted(SGDRegressor(**kw, **COMMON), X, y, coef_init=coef, intercept_init=intercept), ours
    )
