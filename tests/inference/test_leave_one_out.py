"""Predictions without a row, against fits without it."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import r2_score

from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:60] * 20.0, Y[:60] / 50.0
WEIGHTS = np.random.default_rng(0).integers(1, 5, len(Y)).astype(float)


def refits(make, X, y, weights, predict):
    """Prediction for each row by a model fitted without it."""
    found = np.empty(len(y))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        found[i] = predict(make().fit(X[rest], y[rest], sample_weight=weights[rest]), X[i : i + 1])[
            0
        ]
    return found


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-2, 1.0])
def test_squared_loss_is_exact(alpha, fit_intercept, storage):
    def make():
        return GDRegressor(alpha=alpha, fit_intercept=fit_intercept, tol=1e-13)

    expected = refits(make, X, Y, WEIGHTS, lambda model, x: model.predict(x))
    model = make().fit(storage(X), Y, sample_weight=WEIGHTS)
    found = model.loo_predictions(storage(X), Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(Y).max())


DIFFERENCES = np.diff(np.eye(10), axis=0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        {"penalty_weights": [0.0, 1.0, 4.0, 0.0, 1.0, 1.0, 0.5, 1.0, 1.0, 100.0]},
        {"penalty_weights": np.ones(10), "alpha": 0.0},
        {"P2": DIFFERENCES.T @ DIFFERENCES},
    ],
    ids=["weights", "no strength", "P2"],
)
def test_any_quadratic_penalty_is_exact(given, fit_intercept):
    def make():
        return GDRegressor(**{"alpha": 0.05, **given}, fit_intercept=fit_intercept, tol=1e-13)

    expected = refits(make, X, Y, WEIGHTS, lambda model, x: model.predict(x))
    found = make().fit(X, Y, WEIGHTS).loo_predictions(X, Y, WEIGHTS)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(Y).max())


@pytest.mark.parametrize("loss", ["poisson", "inverse_gaussian"])
def test_weights_that_are_alike_are_an_l2_penalty(loss):
    rows, rng = X[:25, [2, 8]], np.random.default_rng(1)
    y = rng.wald(np.exp(rows @ [0.4, 0.3] + 0.3), 2.0)
    alike = [
        GDRegressor(loss, alpha=0.01, tol=1e-10, **given).fit(rows, y).loo_predictions(rows, y)
        for given in ({}, {"penalty_weights": [1.0, 1.0]}, {"P2": np.eye(2)})
    ]
    for found in alike[1:]:
        np.testing.assert_allclose(found, alike[0], rtol=1e-5)


def test_a_search_leaves_rows_out_of_a_model_with_weights():
    given = {"penalty_weights": np.arange(10.0), "alphas": [1.0, 0.1]}
    search = GDRegressorCV(cv="loo", **given).fit(X, Y)
    assert np.isfinite(search.scores_).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-2])
def test_squared_loss_is_exact_wherever_the_fit_ended(alpha, fit_intercept):
    settings = {"alpha": alpha, "fit_intercept": fit_intercept}
    model = GDRegressor(tol=1e-13, **settings).fit(X, Y, WEIGHTS)
    expected = model.loo_predictions(X, Y, WEIGHTS)
    model.coef_, model.intercept_ = model.coef_ + 0.1, model.intercept_ + 0.1 * fit_intercept
    np.testing.assert_allclose(model.loo_predictions(X, Y, WEIGHTS), expected, rtol=1e-8)


@pytest.mark.parametrize("loss", ["gamma", "inverse_gaussian"])
def test_losses_with_a_link_are_close(loss):
    """With Fisher's curvature a fifth of the price was missing of losses that are not convex."""
    rows, rng = X[:25, [2, 8]], np.random.default_rng(1)
    y = rng.wald(np.exp(rows @ [0.4, 0.3] + 0.3), 2.0)
    component = GDRegressor(loss)._components()[0]

    def make():
        return GDRegressor(loss, alpha=0.0, tol=1e-8)

    def score(means):
        return np.mean(list(map(component.value, np.log(means), y)))

    model = make().fit(rows, y)
    refitted = [
        make().fit(np.delete(rows, i, 0), np.delete(y, i)).predict(rows[[i]])[0] for i in range(25)
    ]
    optimism = score(refitted) - score(model.predict(rows))
    assert abs(score(model.loo_predictions(rows, y)) - score(refitted)) <= 0.05 * optimism


@pytest.mark.jit
@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 1e-1])
def test_other_losses_are_close(alpha):
    X, y = load_breast_cancer(return_X_y=True)
    X, y = (X - X.mean(0)) / X.std(0), y
    X, y = X[:150], y[:150]
    signs = 2.0 * y - 1.0

    def make():
        return GDClassifier(alpha=alpha, tol=1e-8)

    def score(predictions):
        return np.logaddexp(0.0, -signs * predictions).mean()

    model = make().fit(X, y)
    refitted = refits(make, X, y, np.ones(len(y)), lambda model, x: model.decision_function(x))
    training = score(model.decision_function(X))
    optimism = score(refitted) - training
    assert abs(score(model.loo_predictions(X, y)) - score(refitted)) <= 0.05 * optimism


def test_a_row_that_alone_holds_a_coefficient():
    wide = np.column_stack([X, np.eye(len(Y))[:, 3]])
    with pytest.raises(ValueError, match="row 3 cannot be left out"):
        GDRegressor(alpha=0.0).fit(wide, Y).loo_predictions(wide, Y)
    ridge = GDRegressor(alpha=0.1).fit(wide, Y)
    assert np.isfinite(ridge.loo_predictions(wide, Y)).all()


@pytest.mark.parametrize("options", [{"loss": "quantile"}, {"penalty": "l1"}])
def test_refused_by_name(options):
    with pytest.raises(ValueError, match="loo_predictions needs a loss with a derivative"):
        GDRegressor(**options).fit(X, Y).loo_predictions(X, Y)


def test_a_search_scores_each_row_without_it():
    alphas = [1.0, 1e-1, 1e-2, 1e-3]
    search = GDRegressorCV(
        alphas=alphas, cv="loo", scoring="neg_mean_squared_error", tol=1e-13
    ).fit(X, Y, sample_weight=WEIGHTS)
    for alpha, score in zip(search.alphas_, search.scores_[:, 0], strict=True):
        model = GDRegressor(alpha=alpha, tol=1e-13).fit(X, Y, sample_weight=WEIGHTS)
        left_out = model.loo_predictions(X, Y, sample_weight=WEIGHTS)
        assert score == pytest.approx(-np.average((Y - left_out) ** 2, weights=WEIGHTS), rel=1e-6)
    assert search.alpha_ == search.alphas_[np.argmax(search.scores_[:, 0])]
    # The refitted model predicts as any other.
    np.testing.assert_allclose(
        search.predict(X),
        GDRegressor(alpha=search.alpha_, tol=1e-13).fit(X, Y, sample_weight=WEIGHTS).predict(X),
    )


def test_a_search_of_a_classifier_scores_probabilities():
    labels = np.where(Y > 3.0, "high", "low")
    search = GDClassifierCV(alphas=[1.0, 1e-2], cv="loo", scoring="neg_log_loss").fit(X, labels)
    assert search.scores_.shape == (2, 1)
    assert np.isfinite(search.scores_).all()
    with pytest.raises(ValueError, match="cv must be a number of folds, 'loo'"):
        GDClassifierCV(cv="leave-one-out").fit(X, labels)
    with pytest.raises(ValueError, match="loo_predictions needs a loss with a derivative"):
        GDClassifierCV("hinge", cv="loo", alphas=[1.0]).fit(X, labels)


COUNTS = np.random.default_rng(1).poisson(np.exp(0.4 * X[:, 2] + 1.0)).astype(float)
OFFSET = np.random.default_rng(2).uniform(-2.0, 2.0, len(COUNTS))


def counts(**options):
    return GDRegressor("poisson", alpha=1e-2, tol=1e-10, **options)


def test_with_a_link_they_are_on_the_scale_of_predict():
    expected = refits(counts, X, COUNTS, WEIGHTS, lambda model, x: model.predict(x))
    found = counts().fit(X, COUNTS, WEIGHTS).loo_predictions(X, COUNTS, WEIGHTS)
    np.testing.assert_allclose(found, expected, rtol=0.1)  # one step each; means are 1 to 6


def test_a_search_with_offsets_scores_against_the_null_model_with_them():
    def deviance(means):
        logs = np.where(COUNTS > 0.0, COUNTS * np.log(np.maximum(COUNTS, 1.0) / means), 0.0)
        return (logs + means - COUNTS).mean()

    search = GDRegressorCV("poisson", alphas=[1e-2], cv="loo", tol=1e-10)
    search.fit(X, COUNTS, offset=OFFSET)
    left_out = search.loo_predictions(X, COUNTS, offset=OFFSET)
    null = np.exp(OFFSET) * COUNTS.sum() / np.exp(OFFSET).sum()
    expected = 1.0 - deviance(left_out) / deviance(null)
    assert search.scores_[0, 0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", ["summary", "loo_predictions"])
def test_a_search_reports_of_the_model_that_it_chose(name):
    search = GDRegressorCV(alphas=[1.0, 0.1], cv=3).fit(X, Y)
    found = getattr(search, name)(X, Y)
    expected = getattr(search.best_estimator_, name)(X, Y)
    assert str(found) == str(expected)
    with pytest.raises(AttributeError, match="refit=False"):
        getattr(GDRegressorCV(alphas=[1.0, 0.1], cv=3, refit=False).fit(X, Y), name)(X, Y)


def test_a_search_leaves_rows_out_of_several_targets_and_labels():
    targets = np.column_stack([Y, -Y + X[:, 0]])
    search = GDRegressorCV(alphas=[0.1], cv="loo", refit=False).fit(X, targets, offset=Y / 2)
    model = GDRegressor(alpha=0.1).fit(X, targets, offset=Y / 2)
    left_out = [model.loo_predictions(X, targets, offset=Y / 2, output=k) for k in (0, 1)]
    assert search.scores_[0, 0] == pytest.approx(r2_score(targets, np.transpose(left_out)))

    labels = (targets > np.median(targets, axis=0)).astype(int)
    search = GDClassifierCV(alphas=[0.1], cv="loo", refit=False).fit(X, labels)
    rows = GDClassifier(alpha=0.1).fit(X, labels)
    left_out = [rows.loo_predictions(X, labels, output=k) > 0.0 for k in (0, 1)]
    assert search.scores_[0, 0] == np.mean((np.transpose(left_out) == labels).all(axis=1))


def test_a_search_that_cannot_leave_rows_out_says_so():
    classes = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
    with pytest.raises(ValueError, match=r"cv='loo' cannot score .* has 3; or give cv a number"):
        GDClassifierCV(alphas=[0.1], cv="loo").fit(X, classes)
