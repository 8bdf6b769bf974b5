"""Inside what scikit-learn builds around an estimator: ensembles, searches, selection,
calibration, several outputs.
"""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, RANSACRegressor
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from fastgd import GDClassifier, GDRegressor

# What is around the estimators is the same without the JIT, at some ten times the time.
pytestmark = pytest.mark.jit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 5))
SCORES = X @ RNG.standard_normal((5, 3)) + 0.5 * RNG.standard_normal((120, 3))
Y = np.where(SCORES[:, 0] > 0, "yes", "no")
Y3 = np.array(["ant", "bee", "cat"])[SCORES.argmax(axis=1)]
T = SCORES[:, 0]
SEVERAL = (SCORES > 0).astype(int)
WEIGHTS = RNG.uniform(0.1, 2.0, 120)
CUT = GDClassifier(loss="hinge", alpha=0.01)
SOFT = GDClassifier(alpha=0.01)
REGRESSOR = GDRegressor(alpha=0.01)

CLASSIFIERS = {
    "bagging": BaggingClassifier(
        SOFT, n_estimators=3, max_samples=0.7, max_features=0.8, random_state=0
    ),
    "bagging of stopped fits": BaggingClassifier(
        GDClassifier(early_stopping=True, random_state=0), n_estimators=3, random_state=0
    ),
    "adaboost": AdaBoostClassifier(SOFT, n_estimators=3, random_state=0),
    "sigmoid": CalibratedClassifierCV(CUT, cv=3),
    "isotonic": CalibratedClassifierCV(SOFT, method="isotonic", cv=3, ensemble=False),
    "grid": GridSearchCV(SOFT, {"alpha": [1e-3, 1e-1], "penalty": ["l2", "l1"]}, cv=2),
    "random": RandomizedSearchCV(
        SOFT, {"alpha": np.logspace(-4, 0, 9)}, n_iter=3, cv=2, random_state=0
    ),
    "halving grid": HalvingGridSearchCV(SOFT, {"alpha": [1e-4, 1e-2, 1.0]}, cv=2, random_state=0),
    "halving max_iter": HalvingGridSearchCV(
        GDClassifier(solver="gd", batch_size=1, tol=None, random_state=0),
        {"alpha": [1e-4, 1e-2, 1.0]},
        cv=2,
        resource="max_iter",
        max_resources=9,
        random_state=0,
    ),
    "halving random": HalvingRandomSearchCV(
        SOFT, {"alpha": np.logspace(-4, 0, 30)}, cv=2, random_state=0
    ),
    "selection": make_pipeline(SelectFromModel(GDClassifier(penalty="l1", alpha=0.02)), SOFT),
    "selection before": make_pipeline(
        SelectFromModel(SOFT, max_features=3, threshold=-np.inf), SOFT
    ),
    "rfe": RFE(SOFT, n_features_to_select=3),
    "rfecv": RFECV(SOFT, cv=2),
    "sequential": make_pipeline(
        SequentialFeatureSelector(SOFT, n_features_to_select=2, cv=2), SOFT
    ),
    "stacking": StackingClassifier([("a", SOFT), ("b", CUT)], GDClassifier(), cv=2),
    "passthrough": StackingClassifier([("a", SOFT)], GDClassifier(), cv=2, passthrough=True),
    "soft voting": VotingClassifier(
        [("a", SOFT), ("b", LogisticRegression(solver="newton-cholesky"))], voting="soft"
    ),
    "hard voting": VotingClassifier([("a", SOFT), ("b", CUT)]),
    "one against rest": OneVsRestClassifier(CUT),
    "one against one": OneVsOneClassifier(CUT),
    "codes": OutputCodeClassifier(SOFT, random_state=0),
    "polynomials": make_pipeline(StandardScaler(), PolynomialFeatures(2), SOFT),
}
FOR_TWO_CLASSES = {
    "tuned threshold": TunedThresholdClassifierCV(SOFT, cv=2, scoring="balanced_accuracy"),
    "tuned threshold of scores": TunedThresholdClassifierCV(CUT, cv=2, scoring="balanced_accuracy"),
    "fixed threshold": FixedThresholdClassifier(SOFT, threshold=0.4),
    "fixed threshold of scores": FixedThresholdClassifier(
        CUT, threshold=0.1, response_method="decision_function"
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
def test_meta_classifiers_fit_score_and_tell_probabilities(name, y):
    model = sklearn.clone(CLASSIFIERS[name]).fit(X, y)
    assert model.score(X, y) > (0.8 if y is Y else 0.7)
    if hasattr(model, "predict_proba"):
        proba = model.predict_proba(X)
        assert proba.shape == (120, np.unique(y).size)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert set(model.predict(X)) <= set(model.classes_.tolist())


@pytest.mark.parametrize("name", FOR_TWO_CLASSES)
def test_classifiers_with_a_chosen_threshold_score(name):
    model = sklearn.clone(FOR_TWO_CLASSES[name]).fit(X, Y)
    assert model.score(X, Y) > 0.7


WEIGHTED = {
    "bagging": BaggingClassifier(SOFT, n_estimators=3, random_state=0),
    "boosting": AdaBoostClassifier(SOFT, n_estimators=2, random_state=0),
    "calibration": CalibratedClassifierCV(CUT, cv=2),
    "voting": VotingClassifier([("a", SOFT), ("b", CUT)]),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_reach_the_estimator(name):
    """Of most rows the label is wrong, and the weight next to nothing; weights are those of fit
    alone.
    """
    wrong = np.arange(120) % 5 < 3
    told, weights = (
        np.where(wrong, np.where(Y == "yes", "no", "yes"), Y),
        np.where(wrong, 1e-6, 1.0),
    )
    model = sklearn.clone(WEIGHTED[name])
    assert model.fit(X, told).score(X, Y) < 0.5
    assert model.fit(X, told, sample_weight=weights).score(X, Y) > 0.8


def test_weights_reach_a_boosted_regressor():
    wrong = np.arange(120) % 5 < 3
    model = AdaBoostRegressor(REGRESSOR, n_estimators=2, random_state=0)
    told = np.where(wrong, -T, T)
    assert model.fit(X, told).score(X, T) < 0.0
    assert model.fit(X, told, sample_weight=np.where(wrong, 1e-6, 1.0)).score(X, T) > 0.7


def test_weights_are_routed_to_one_against_rest():
    with sklearn.config_context(enable_metadata_routing=True):
        routed = sklearn.clone(SOFT).set_fit_request(sample_weight=True)
        many = OneVsRestClassifier(routed).fit(X, Y3, sample_weight=WEIGHTS)
        own = sklearn.clone(SOFT).set_params(multi_class="ovr").fit(X, Y3, sample_weight=WEIGHTS)
    np.testing.assert_allclose(many.estimators_[2].coef_[0], own.coef_[2], rtol=1e-6, atol=1e-8)


def test_a_frozen_model_is_calibrated_and_selects_as_it_is():
    fitted = sklearn.clone(SOFT).fit(X, Y)
    before = fitted.coef_.copy()
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X, Y)
    assert calibrated.score(X, Y) > 0.8
    np.testing.assert_array_equal(fitted.coef_, before)
    chosen = SelectFromModel(fitted, prefit=True, max_features=2, threshold=-np.inf).transform(X)
    np.testing.assert_array_equal(chosen, X[:, np.sort(np.abs(before[0]).argsort()[-2:])])


def test_self_training():
    known = np.where(np.arange(120) % 3, "unknown", Y)
    labels = np.select([known == "yes", known == "no"], [1, 0], -1)
    model = SelfTrainingClassifier(SOFT).fit(X, labels)
    assert model.score(X, (Y == "yes").astype(int)) > 0.8
    assert (model.transduction_ >= 0).sum() > 40


def test_chunks_through_meta_estimators():
    model = OneVsRestClassifier(GDClassifier(random_state=0))
    for _ in range(20):
        model.partial_fit(X, Y3, classes=np.unique(Y3))
    assert model.score(X, Y3) > 0.7
    several = MultiOutputClassifier(GDClassifier(random_state=0))
    for _ in range(20):
        several.partial_fit(X, SEVERAL, classes=[np.array([0, 1])] * 3)
    assert several.score(X, SEVERAL) > 0.5
    selected = SelectFromModel(GDClassifier(random_state=0), max_features=2, threshold=-np.inf)
    assert selected.partial_fit(X, Y, classes=["no", "yes"]).transform(X).shape == (120, 2)
    assert not hasattr(OneVsRestClassifier(GDClassifier(solver="newton")), "partial_fit")


def test_several_outputs():
    for model in (
        MultiOutputClassifier(SOFT),
        ClassifierChain(SOFT, random_state=0),
        ClassifierChain(CUT, cv=2),
        OneVsRestClassifier(SOFT),
    ):
        assert model.fit(X, SEVERAL).predict(X).shape == (120, 3)
        assert (model.predict(X) == SEVERAL).mean() > 0.8
    for model in (MultiOutputRegressor(REGRESSOR), RegressorChain(REGRESSOR)):
        assert model.fit(X, SCORES).score(X, SCORES) > 0.7


@pytest.mark.parametrize(
    "model",
    [
        BaggingRegressor(REGRESSOR, n_estimators=3, random_state=0),
        StackingRegressor(
            [("a", REGRESSOR), ("b", GDRegressor(loss="huber"))], GDRegressor(), cv=2
        ),
        RANSACRegressor(REGRESSOR, min_samples=20, random_state=0),
        RFE(REGRESSOR, n_features_to_select=4),
        GridSearchCV(REGRESSOR, {"loss": ["squared_error", "huber"], "alpha": [1e-3, 0.1]}, cv=2),
        SelectFromModel(GDRegressor(penalty="l1", alpha=0.3)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_regressors(model):
    model = sklearn.clone(model).fit(X, T)
    if isinstance(model, SelectFromModel):
        assert 1 <= model.transform(X).shape[1] < 5
    else:
        assert model.score(X, T) > 0.7


def test_validation_tools():
    found = cross_validate(
        SOFT, X, Y3, cv=3, scoring=["accuracy", "neg_log_loss"], return_estimator=True
    )
    assert found["test_accuracy"].mean() > 0.7
    assert all(model.converged_ for model in found["estimator"])
    assert cross_val_predict(SOFT, X, Y3, cv=3, method="decision_function").shape == (120, 3)
    sizes, _, test = learning_curve(SOFT, X, Y, cv=2, train_sizes=[0.5, 1.0])
    assert test[-1].mean() > 0.8
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", sklearn.exceptions.ConvergenceWarning
        )  # what curves of max_iter are for
        stepwise = GDClassifier(solver="gd", batch_size=1, random_state=0)
        incremental = learning_curve(
            stepwise, X, Y, cv=2, train_sizes=sizes, exploit_incremental_learning=True
        )
        assert incremental[2].shape == (2, 2)
        _, test = validation_curve(stepwise, X, Y, param_name="max_iter", param_range=[1, 20], cv=2)
    assert test[1].mean() > 0.8
    important = permutation_importance(
        SOFT.fit(X, Y), X, Y, n_repeats=2, random_state=0
    ).importances_mean
    assert important.argmax() == np.abs(SOFT.coef_[0]).argmax()


def test_validation_rows_through_a_pipeline():
    """`X_val` is transformed like X, without leaking into the scaler."""
    with sklearn.config_context(enable_metadata_routing=True):
        model = GDClassifier(
            solver="gd", batch_size=1, random_state=0, n_iter_no_change=2, tol=1e-3
        )
        model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(X[:80], Y[:80], X_val=X[80:], y_val=Y[80:])
    scaler = StandardScaler().fit(X[:80])
    alone = sklearn.clone(model).fit(
        scaler.transform(X[:80]), Y[:80], X_val=scaler.transform(X[80:]), y_val=Y[80:]
    )
    np.testing.assert_array_equal(pipeline[-1].coef_, alone.coef_)
    np.testing.assert_array_equal(pipeline[0].mean_, X[:80].mean(axis=0))
