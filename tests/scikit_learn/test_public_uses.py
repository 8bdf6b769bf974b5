"""What scikit-learn's guide and examples do with SGDClassifier and SGDRegressor: change the
import, score as well.
"""

import functools
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import (
    load_diabetes,
    load_digits,
    load_iris,
    make_blobs,
    make_classification,
    make_regression,
)
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.kernel_approximation import Nystroem, PolynomialCountSketch, RBFSampler
from sklearn.linear_model import QuantileRegressor, SGDClassifier, SGDRegressor
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    mean_absolute_error,
    mean_pinball_loss,
)
from sklearn.model_selection import RandomizedSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from fastgd import GDClassifier, GDRegressor, Quantile

# Fits of hundreds of rows in plain Python, many times over, would take a minute.
pytestmark = pytest.mark.jit


def classifiers(score, noise, n=1):
    """Ours scores at least as well, but for noise; `score` gives one number or `n` of them for a
    class.
    """
    theirs, ours = (np.reshape(quietly(score, kind), -1) for kind in (SGDClassifier, GDClassifier))
    assert ours.size == theirs.size == n
    assert (ours >= theirs - noise).all(), (theirs, ours)


def regressors(score, noise, n=1):
    theirs, ours = (np.reshape(quietly(score, kind), -1) for kind in (SGDRegressor, GDRegressor))
    assert ours.size == theirs.size == n
    assert (ours >= theirs - noise).all(), (theirs, ours)


def quietly(score, kind):
    with warnings.catch_warnings():
        if kind in (SGDClassifier, SGDRegressor):
            warnings.simplefilter("ignore")  # of convergence, and about versions to come
        return score(kind)


@functools.cache
def documents(n=600, n_topics=4, seed=0):
    """Documents of 20 words, half of them of the topic, and their topics."""
    rng = np.random.default_rng(seed)
    topics = 0.5 * rng.dirichlet(np.full(400, 0.05), n_topics) + 0.5 / 400
    y = rng.integers(n_topics, size=n)
    texts = [" ".join(f"word{j}" for j in rng.choice(400, 20, p=topics[k])) for k in y]
    return texts, y


@functools.cache
def digits(scaled=True):
    X, y = load_digits(return_X_y=True)
    return X / 16.0 if scaled else X, y


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "loss": "hinge",
            "penalty": "l2",
            "alpha": 1e-3,
            "random_state": 42,
            "max_iter": 5,
            "tol": None,
        },
        {
            "loss": "log_loss",
            "alpha": 1e-4,
            "n_iter_no_change": 3,
            "early_stopping": True,
            "random_state": 0,
        },
        {
            "loss": "modified_huber",
            "penalty": "elasticnet",
            "alpha": 1e-3,
            "l1_ratio": 0.25,
            "random_state": 0,
        },
    ],
    ids=lambda parameters: parameters["loss"],
)
def test_text_classification(parameters):
    texts, y = documents()

    def score(Classifier):
        model = Pipeline(
            [
                ("vect", CountVectorizer()),
                ("tfidf", TfidfTransformer()),
                ("clf", Classifier(**parameters)),
            ]
        )
        model.fit(texts[:400], y[:400])
        model["clf"].sparsify()
        return model.score(texts[400:], y[400:])

    classifiers(score, 0.03)


def test_out_of_core_classification():
    texts, y = documents(n_topics=2)
    vectorizer = HashingVectorizer(n_features=2**12, alternate_sign=False)
    X_test, y_test = vectorizer.transform(texts[:100]), y[:100]

    def score(Classifier):
        model = Classifier(max_iter=5, random_state=0)
        scores = []
        for k in range(100, 600, 50):
            model.partial_fit(
                vectorizer.transform(texts[k : k + 50]), y[k : k + 50], classes=np.array([0, 1])
            )
            scores.append(model.score(X_test, y_test))
        return np.mean(scores[3:]), scores[-1]

    classifiers(score, 0.05, 2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_iter_no_change": 3},
        {"early_stopping": False, "n_iter_no_change": 3, "tol": 0.1},
        {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-4, "validation_fraction": 0.2},
    ],
    ids=["none", "training loss", "validation score"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_early_stopping(parameters):
    X, y = digits()
    two = np.isin(y, [3, 8])
    X_train, X_test, y_train, y_test = train_test_split(
        X[two], y[two].astype(str), test_size=0.5, random_state=0
    )

    def score(Classifier):
        model = Classifier(**parameters)
        scores = []
        for max_iter in (2, 10, 50):
            model.set_params(max_iter=max_iter, random_state=0).fit(X_train, y_train)
            assert 1 <= model.n_iter_ <= max_iter
            scores.append(model.score(X_test, y_test))
        return scores

    classifiers(score, 0.03, 3)


@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_few_epochs(loss, max_iter):
    X, y = digits()
    X_train, X_test, y_train, y_test = train_test_split(X, y > 4, test_size=0.3, random_state=0)

    def score(Classifier):
        models = [
            Classifier(loss=loss, max_iter=max_iter, tol=None, random_state=k) for k in range(3)
        ]
        return np.mean([model.fit(X_train, y_train).score(X_test, y_test) for model in models])

    classifiers(score, 0.01)


def test_one_vs_rest_on_iris():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, :2])

    def score(Classifier):
        model = Classifier(alpha=0.001, max_iter=100, random_state=0).fit(X, y)
        # The example draws the line of each class against the rest, and the regions.
        lines = -(model.coef_[:, 0] + model.intercept_) / model.coef_[:, 1]
        assert lines.shape == model.classes_.shape
        display = DecisionBoundaryDisplay.from_estimator(
            model, X, response_method="predict", grid_resolution=20
        )
        assert set(np.unique(display.response)) == {0, 1, 2}
        return cross_val_score(model, X, y, cv=5).mean()

    classifiers(score, 0.02)


def test_maximum_margin():
    X, y = make_blobs(n_samples=50, centers=2, random_state=0, cluster_std=0.60)

    def score(Classifier):
        model = Classifier(loss="hinge", alpha=0.01, max_iter=200, fit_intercept=True).fit(X, y)
        objective = (
            np.maximum(0.0, 1.0 - (2 * y - 1) * model.decision_function(X)).mean()
            + 0.005 * model.coef_ @ model.coef_.T
        )
        return model.score(X, y), -float(objective.squeeze())

    classifiers(score, 1e-6, 2)


def test_weighted_samples_and_classes():
    rng = np.random.RandomState(0)
    X = np.r_[rng.randn(10, 2) + 1.0, rng.randn(10, 2)]
    y = [1] * 10 + [-1] * 10
    weights = 100 * np.abs(rng.randn(20))
    weights[:10] *= 10  # weights of about 1000 make steps of scikit-learn's that large
    wide = np.r_[1.5 * rng.randn(400, 2), 0.5 * rng.randn(40, 2) + 2.0]
    rare = np.repeat([0.0, 1.0], [400, 40])

    def score(Classifier):
        model = Classifier(alpha=0.01, max_iter=100, random_state=0).fit(
            X, y, sample_weight=weights
        )
        scores = [model.score(X, y, sample_weight=weights)]
        for class_weight in ({1: 10}, "balanced"):
            model = Classifier(
                alpha=0.01, max_iter=100, class_weight=class_weight, random_state=0
            ).fit(wide, rare)
            scores.append(balanced_accuracy_score(rare, model.predict(wide)))
        return scores

    classifiers(score, 0.03, 3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "huber"},
        {"loss": "huber", "epsilon": 1.35, "penalty": "l1", "alpha": 1e-3},
        {"loss": "epsilon_insensitive", "epsilon": 0.2},
        {"loss": "epsilon_insensitive", "epsilon": 0.0, "average": True},
        {"loss": "squared_epsilon_insensitive", "early_stopping": True},
    ],
    ids=str,
)
def test_robust_regression(parameters):
    X, y, _ = make_regression(400, 6, noise=10.0, coef=True, random_state=0)
    y = y / y[:300].std()
    bad = np.arange(300) % 20 == 0
    y[:300][bad] = 20.0 if parameters["loss"] != "squared_epsilon_insensitive" else 2.0

    def score(Regressor):
        model = make_pipeline(StandardScaler(), Regressor(random_state=0, **parameters)).fit(
            X[:300], y[:300]
        )
        return -mean_absolute_error(y[300:], model.predict(X[300:]))

    regressors(score, 0.01)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_regression(penalty):
    X, y = load_diabetes(return_X_y=True)

    def score(Regressor):
        model = Regressor(penalty=penalty, max_iter=1000, tol=1e-3, random_state=0)
        return cross_val_score(make_pipeline(StandardScaler(), model), X, y).mean()

    regressors(score, 0.01)


@pytest.mark.parametrize("loss", ["hinge", "log_loss", "modified_huber"])
def test_calibration(loss):
    X, y = make_classification(
        n_samples=1500, n_features=20, n_informative=2, n_redundant=10, random_state=42
    )

    def score(Classifier):
        scores = []
        for method in ("sigmoid", "isotonic"):
            model = CalibratedClassifierCV(
                Classifier(loss=loss, random_state=0), method=method, cv=3
            )
            proba = model.fit(X[:500], y[:500]).predict_proba(X[500:])[:, 1]
            scores.append(-brier_score_loss(y[500:], proba))
        return scores

    classifiers(score, 0.02, 2)


@pytest.mark.parametrize(
    "features",
    [
        Nystroem(gamma=0.2, random_state=1, n_components=60),
        RBFSampler(gamma=0.2, random_state=1, n_components=60),
        PolynomialCountSketch(degree=2, random_state=0, n_components=60),
    ],
    ids=lambda features: type(features).__name__,
)
def test_kernel_approximation(features):
    X, y = digits()
    X = X - X.mean(axis=0)
    half = X.shape[0] // 2

    def score(Classifier):
        model = make_pipeline(features, Classifier(max_iter=1000, tol=1e-3, random_state=0))
        return model.fit(X[:half], y[:half] > 4).score(X[half:], y[half:] > 4)

    classifiers(score, 0.03)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantile_regression(quantile):
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 10.0, 300)
    y = 10.0 + 0.5 * x + rng.standard_normal(300) * (0.5 + 0.5 * x)
    X = x[:, None]
    theirs = QuantileRegressor(quantile=quantile, alpha=0).fit(X, y)
    ours = GDRegressor(loss=Quantile(quantile), alpha=1e-4).fit(X, y)
    pinball = [mean_pinball_loss(y, model.predict(X), alpha=quantile) for model in (theirs, ours)]
    assert pinball[1] <= 1.001 * pinball[0]
    assert np.mean(y < ours.predict(X)) == pytest.approx(quantile, abs=0.01)
    if quantile == 0.5:  # what SGDRegressor has for a median

        def median(kind):
            return kind(loss="epsilon_insensitive", epsilon=0.0, random_state=0).fit(X, y)

        regressors(lambda kind: -mean_absolute_error(y, median(kind).predict(X)), 0.0)


@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 0.1])
def test_comparing_penalties(alpha):
    X, y = digits(scaled=False)
    X, y = StandardScaler().fit_transform(X), y > 4

    def score(Classifier):
        scores, zeros = [], []
        for penalty in ("l1", "l2", "elasticnet"):
            model = Classifier(
                loss="log_loss", penalty=penalty, alpha=alpha, l1_ratio=0.5, random_state=0
            ).fit(X, y)
            scores.append(model.score(X, y))
            zeros.append(np.mean(model.coef_ == 0))
        assert zeros[0] > zeros[2] >= zeros[1]
        return scores

    classifiers(score, 0.01, 3)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"average": True},
        {"loss": "perceptron", "eta0": 1.0, "learning_rate": "constant", "penalty": None},
        {"loss": "hinge", "learning_rate": "pa1", "eta0": 1.0, "penalty": None},
        {"loss": "hinge", "learning_rate": "pa2", "eta0": 1.0, "penalty": None},
    ],
    ids=["SGD", "ASGD", "perceptron", "PA I", "PA II"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_comparing_online_solvers(parameters):
    X, y = digits()

    def score(Classifier):
        rng = np.random.RandomState(42)
        scores = []
        for test_size in (0.9, 0.5):
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=test_size, random_state=rng
            )
            model = Classifier(max_iter=110, random_state=0, **parameters).fit(X_train, y_train)
            scores.append(model.score(X_test, y_test))
        return scores

    classifiers(score, 0.03, 2)


def test_randomized_search():
    X, y = digits()
    X, y = X[:400], y[:400] % 2
    options = {
        "average": [True, False],
        "l1_ratio": np.linspace(0, 1, 10),
        "alpha": np.logspace(-3, 0, 10),
    }

    def score(Classifier):
        model = Classifier(
            loss="log_loss", penalty="elasticnet", fit_intercept=True, random_state=0
        )
        return (
            RandomizedSearchCV(model, options, n_iter=5, cv=3, random_state=0).fit(X, y).best_score_
        )

    classifiers(score, 0.02)


def test_self_training():
    texts, y = documents()
    known = np.where(np.arange(400) % 5, -1, y[:400])

    def score(Classifier):
        model = Classifier(alpha=1e-5, penalty="l2", loss="log_loss", random_state=0)
        model = make_pipeline(TfidfVectorizer(), SelfTrainingClassifier(model))
        return model.fit(texts[:400], known).score(texts[400:], y[400:])

    classifiers(score, 0.04)


@pytest.mark.parametrize(
    "schedule",
    [
        {"learning_rate": "invscaling"},
        pytest.param({"learning_rate": "adaptive"}),
        {"learning_rate": "constant", "eta0": 1e-3},
    ],
    ids=lambda schedule: schedule["learning_rate"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_learning_rates(schedule):
    X, y = load_diabetes(return_X_y=True)

    def score(Regressor):
        return cross_val_score(
            make_pipeline(StandardScaler(), Regressor(random_state=0, **schedule)), X, y
        ).mean()

    regressors(score, 0.01)


@pytest.mark.parametrize("way", ["partial_fit", pytest.param("warm_start")])
def test_early_stopping_by_hand(way):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y = (y - y.mean()) / y.std()

    def score(Regressor):
        model = Regressor(penalty=None, eta0=0.001, learning_rate="constant", random_state=42)
        model.set_params(
            **({"max_iter": 1, "tol": None, "warm_start": True} if way == "warm_start" else {})
        )
        scores = []
        for _ in range(20):
            model = (
                model.partial_fit(X[:300], y[:300])
                if way == "partial_fit"
                else model.fit(X[:300], y[:300])
            )
            scores.append(model.score(X[300:], y[300:]))
        assert scores[0] < max(scores)
        return max(scores)

    regressors(score, 0.01)
