"""The table of `examples/guide/migration.md` for those who come from other estimators.

With its values both sides have the same optimum.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    MultiTaskElasticNet,
    Perceptron,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from fastgd import GDClassifier, GDRegressor, MultiTask, Quantile

RNG = np.random.default_rng(0)
N = 80
X = RNG.standard_normal((N, 4)) * [1.0, 2.0, 0.5, 1.0] + 0.5
SCORES = (X - 0.5) @ RNG.standard_normal((4, 3)) + RNG.standard_normal((N, 3))
Y = (SCORES[:, 0] > 0).astype(int)
Y3 = SCORES.argmax(axis=1)
T = SCORES[:, 0] + 2.0
WEIGHTS = RNG.uniform(0.2, 3.0, N)
TOTAL = WEIGHTS.sum()
C, A = 0.3, 2.0
NEW = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)


def logistic(l1_ratio=0.0, **kw):
    """LogisticRegression with a share of L1, as releases before 1.8 and since then spell it."""
    kw = {"tol": 1e-10, "max_iter": 100_000, "C": C, **kw}
    if l1_ratio == 0.0:
        return LogisticRegression(solver="newton-cholesky", **kw)
    if NEW:
        return LogisticRegression(l1_ratio=l1_ratio, solver="saga", **kw)
    return LogisticRegression(penalty="elasticnet", l1_ratio=l1_ratio, solver="saga", **kw)


def assert_same(theirs, ours, y, weights=None, tol=1e-5):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about versions to come
        theirs.fit(X, y, **({} if weights is None else {"sample_weight": weights}))
    # What a non-smooth loss costs in iterations grows with the accuracy.
    ours.set_params(tol=1e-7 if ours.loss == "hinge" or "epsilon" in ours.loss else 1e-9)
    ours.fit(X, y, sample_weight=weights)
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(
        np.ravel(ours.coef_), np.ravel(theirs.coef_), rtol=tol, atol=tol * scale
    )
    np.testing.assert_allclose(
        ours.intercept_, np.ravel(theirs.intercept_), rtol=tol, atol=tol * scale
    )
    return theirs, ours


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_logistic_regression(weights):
    total = N if weights is None else TOTAL
    assert_same(logistic(), GDClassifier(alpha=1 / (C * total)), Y, weights)
    ours = GDClassifier(penalty="elasticnet", l1_ratio=0.6, alpha=1 / (C * total))
    assert_same(logistic(0.6), ours, Y, weights)
    assert_same(logistic(1.0), GDClassifier(penalty="l1", alpha=1 / (C * total)), Y, weights)


def test_class_weights_count_in_the_sum():
    balanced = GDClassifier(class_weight="balanced", alpha=1 / (C * N))
    assert_same(logistic(class_weight="balanced"), balanced, Y)
    chosen = {0: 1.0, 1: 3.0}
    total = np.where(Y, 3.0, 1.0).sum()
    assert_same(
        logistic(class_weight=chosen), GDClassifier(class_weight=chosen, alpha=1 / (C * total)), Y
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_several_classes_are_one_multinomial_model(weights):
    total = N if weights is None else TOTAL
    theirs = logistic().fit(X, Y3, sample_weight=weights)
    ours = GDClassifier(alpha=1 / (C * total), tol=1e-12).fit(X, Y3, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6)
    shift = theirs.intercept_ - theirs.intercept_.mean()
    np.testing.assert_allclose(ours.intercept_, shift, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_one_against_the_rest_is_asked_for():
    theirs = OneVsRestClassifier(logistic()).fit(X, Y3)
    ours = GDClassifier(alpha=1 / (C * N), tol=1e-12, multi_class="ovr").fit(X, Y3)
    for k in range(3):
        np.testing.assert_allclose(ours.coef_[k], theirs.estimators_[k].coef_[0], rtol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_least_squares(weights):
    total = N if weights is None else TOTAL
    assert_same(LinearRegression(), GDRegressor(alpha=0), T, weights)
    assert_same(Ridge(alpha=A), GDRegressor(alpha=A / total), T, weights)
    assert_same(
        RidgeClassifier(alpha=A), GDClassifier(loss="squared_error", alpha=A / total), Y, weights
    )
    # These two divide weights by their mean, too.
    assert_same(Lasso(alpha=0.1, tol=1e-12), GDRegressor(penalty="l1", alpha=0.1), T, weights)
    theirs = ElasticNet(alpha=0.1, l1_ratio=0.3, tol=1e-12)
    assert_same(theirs, GDRegressor(penalty="elasticnet", alpha=0.1, l1_ratio=0.3), T, weights)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_support_vectors(loss):
    """LinearSVC penalises the intercept: it is the same without one, or with a column of ones
    instead.
    """
    ours = GDClassifier(loss=loss, alpha=1 / (C * N), fit_intercept=False)
    theirs = LinearSVC(C=C, loss=loss, fit_intercept=False, tol=1e-9, max_iter=1_000_000, dual=True)
    assert_same(theirs, ours, Y, WEIGHTS * N / TOTAL, tol=1e-3)
    theirs.set_params(fit_intercept=True).fit(X, Y)
    ours.fit(np.column_stack([X, np.ones(N)]), Y)
    np.testing.assert_allclose(ours.coef_[0, :4], theirs.coef_[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.coef_[0, 4], theirs.intercept_[0], rtol=1e-3, atol=1e-3)
    if loss == "hinge":
        assert_same(
            SVC(kernel="linear", C=C, tol=1e-9),
            GDClassifier(loss=loss, alpha=1 / (C * N)),
            Y,
            tol=1e-3,
        )


def test_support_vector_regression():
    for loss in ("epsilon_insensitive", "squared_epsilon_insensitive"):
        theirs = LinearSVR(
            C=C,
            loss=loss,
            epsilon=0.2,
            fit_intercept=False,
            tol=1e-9,
            max_iter=1_000_000,
            dual=True,
        )
        ours = GDRegressor(loss=loss, epsilon=0.2, alpha=1 / (C * N), fit_intercept=False)
        assert_same(theirs, ours, T, tol=1e-3)
    theirs = SVR(kernel="linear", C=C, epsilon=0.2, tol=1e-9)
    assert_same(
        theirs, GDRegressor(loss="epsilon_insensitive", epsilon=0.2, alpha=1 / (C * N)), T, tol=1e-3
    )


# Of its options for SciPy, with scikit-learn before 1.8.
@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")
def test_huber_regressor():
    """It fits a scale too; with that scale the rest is the same."""
    y = np.where(np.arange(N) % 10, T, 30.0)
    theirs = HuberRegressor(epsilon=1.35, alpha=A, tol=1e-9, max_iter=10_000).fit(X, y)
    ours = GDRegressor(loss="huber", epsilon=1.35 * theirs.scale_, alpha=A * theirs.scale_ / N)
    assert_same(theirs, ours, y, tol=1e-4)


@pytest.mark.parametrize("quantile", [0.2, 0.5])
def test_quantile_regressor(quantile):
    theirs = QuantileRegressor(quantile=quantile, alpha=0.05).fit(X, T)
    ours = GDRegressor(loss=Quantile(quantile), penalty="l1", alpha=0.05, tol=1e-6).fit(X, T)
    found, best = (
        np.mean(np.maximum(quantile * r, (quantile - 1) * r)) + 0.05 * np.abs(model.coef_).sum()
        for model, r in ((ours, T - ours.predict(X)), (theirs, T - theirs.predict(X)))
    )
    assert found <= best * (1 + 1e-5)
    assert ours.objective_ == pytest.approx(found)


def test_glmnet():
    """Its columns have variance 1, and so has a target; the L1 part alone does not care about
    the latter.
    """
    Z, spread = StandardScaler().fit_transform(X), X.std(axis=0)
    ours = GDClassifier(penalty="elasticnet", alpha=0.05, l1_ratio=0.5, tol=1e-9).fit(Z, Y)
    theirs = logistic(0.5, C=1 / (0.05 * N)).fit(
        Z, Y
    )  # mean log loss + lambda (share |b| + (1 - share) / 2 |b|^2)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-6)
    # In the units of X a penalty of Z divides each column's by its standard deviation: not what
    # alpha does on X.
    plain = GDClassifier(penalty="elasticnet", alpha=0.05, l1_ratio=0.5, tol=1e-9).fit(X, Y)
    assert np.abs(plain.coef_ - ours.coef_ / spread).max() > 1e-2
    lasso = GDRegressor(penalty="l1", alpha=0.1, tol=1e-9).fit(Z, T).coef_
    unit = GDRegressor(penalty="l1", alpha=0.1 / T.std(), tol=1e-9).fit(Z, T / T.std()).coef_
    np.testing.assert_allclose(unit * T.std(), lasso, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.6])
def test_several_targets_together(l1_ratio):
    theirs = MultiTaskElasticNet(alpha=0.1, l1_ratio=l1_ratio, tol=1e-12, max_iter=10_000)
    ours = GDRegressor(penalty=MultiTask(l1_ratio), alpha=0.1, tol=1e-11)
    ours.fit(X, SCORES)
    np.testing.assert_allclose(ours.coef_, theirs.fit(X, SCORES).coef_, atol=1e-5)


CLASSIFICATION = [
    (GDClassifier, SGDClassifier, loss)
    for loss in ("log_loss", "hinge", "squared_hinge", "modified_huber")
]
REGRESSION = [
    (GDRegressor, SGDRegressor, loss)
    for loss in ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
]


@pytest.mark.parametrize(("ours", "theirs", "loss"), CLASSIFICATION + REGRESSION)
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_sgd_has_the_same_objective(ours, theirs, loss, penalty):
    """No model of scikit-learn's is below ours, and a long run of it comes close: alpha and
    epsilon mean the same.
    """
    y = Y if ours is GDClassifier else T
    kw = {"loss": loss, "penalty": penalty, "alpha": 0.05, "l1_ratio": 0.4, "epsilon": 0.3}
    best = ours(tol=1e-6, **kw).fit(X, y).objective_
    slowly = {"learning_rate": "invscaling", "eta0": 0.05, "power_t": 0.6}
    model = theirs(max_iter=1000, tol=None, random_state=0, **slowly, **kw).fit(X, y)
    # A step of next to nothing from there tells the value of F.
    still = {
        "solver": "gd",
        "batch_size": 1,
        "learning_rate": "constant",
        "eta0": 1e-300,
        "tol": None,
        "max_iter": 1,
    }
    value = (
        ours(**kw, **still)
        .fit(X, y, coef_init=model.coef_, intercept_init=model.intercept_)
        .objective_
    )
    assert best * (1 - 1e-6) <= value <= best * 1.05


@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
def test_perceptron(y):
    kw = {"max_iter": 4, "tol": None, "shuffle": False}
    theirs = Perceptron(**kw).fit(X, y)
    ours = GDClassifier(loss="perceptron", penalty=None, **kw).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)


def test_weights_and_sparse_intercepts_of_sgd():
    """The two differences that one sees in numbers: scikit-learn's model depends on the unit of
    weights and on CSR.
    """
    for model, same in (
        (SGDClassifier(alpha=0.05, tol=None, max_iter=20, shuffle=False), False),
        (GDClassifier(), True),
    ):
        model.fit(X, Y)
        dense = model.coef_.copy()
        for other in (
            model.fit(sp.csr_array(X), Y).coef_.copy(),
            model.fit(X, Y, sample_weight=np.full(N, 5.0)).coef_,
        ):
            assert np.allclose(other, dense, rtol=1e-6) == same


def test_every_parameter_of_sgd_is_taken_with_its_default():
    """Names, kinds and defaults, but for the loss, the learning rate and tol of the table."""
    other = {"loss", "learning_rate", "tol"}
    for theirs, ours in ((SGDClassifier(), GDClassifier()), (SGDRegressor(), GDRegressor())):
        mine = ours.get_params()
        for name, value in theirs.get_params().items():
            assert name in mine
            if name not in other and not (name == "eta0" and not NEW):
                assert mine[name] == value, name
