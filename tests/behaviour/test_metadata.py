"""Weights, offsets and validation rows that scikit-learn routes to a fit, and what it shows of
an estimator.
"""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import GDClassifier, GDRegressor, StopReason

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 3)) * [1.0, 10.0, 0.1]
SCORE = X @ [1.0, -0.1, 5.0] + 0.5 * RNG.standard_normal(200)
Y = np.where(SCORE > 0, "yes", "no")
WEIGHTS, OFFSET = RNG.uniform(0.5, 2.0, 200), RNG.standard_normal(200)
VAL = {"X_val": X[150:], "y_val": SCORE[150:], "sample_weight_val": WEIGHTS[150:]}
TRAIN = X[:150], SCORE[:150]
ALL = dict.fromkeys(("sample_weight", "X_val", "y_val", "sample_weight_val", "offset"), True)


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_requests(kind):
    model = kind().set_fit_request(**ALL)
    kept = clone(model).get_metadata_routing()
    assert {name for name, ask in kept.fit.requests.items() if ask is True} == set(ALL)
    model.set_partial_fit_request(
        sample_weight=True, X_val=True, y_val=True, sample_weight_val=True
    )
    model.set_predict_request(offset=True)
    model.set_score_request(sample_weight=True)
    assert model.get_metadata_routing().predict.requests == {"offset": True}


def test_validation_rows_through_a_pipeline():
    scale = StandardScaler().set_fit_request(sample_weight=False)
    steps = [
        ("scale", scale),
        ("model", GDRegressor(solver="gd", batch_size=1, random_state=0, tol=1e-3)),
    ]
    steps[1][1].set_fit_request(**ALL)
    pipeline = Pipeline(steps, transform_input=["X_val"])
    pipeline.fit(*TRAIN, sample_weight=WEIGHTS[:150], offset=OFFSET[:150], **VAL)
    scaler = StandardScaler().fit(TRAIN[0])
    alone = clone(steps[1][1]).fit(
        scaler.transform(TRAIN[0]),
        TRAIN[1],
        sample_weight=WEIGHTS[:150],
        offset=OFFSET[:150],
        **{**VAL, "X_val": scaler.transform(X[150:])},
    )
    np.testing.assert_array_equal(pipeline[-1].coef_, alone.coef_)
    assert pipeline[-1].stop_reason_ is StopReason.VALIDATION


def test_everything_through_a_search():
    model = (
        GDRegressor(tol=1e-8)
        .set_fit_request(sample_weight=True, offset=True)
        .set_score_request(sample_weight=True, offset=True)
    )
    search = GridSearchCV(model, {"alpha": [1e-3, 1.0]}, cv=3)
    search.fit(X, SCORE + 3 * OFFSET, sample_weight=WEIGHTS, offset=3 * OFFSET)
    assert search.best_params_ == {"alpha": 1e-3}
    alone = GDRegressor(alpha=1e-3, tol=1e-8).fit(X, SCORE + 3 * OFFSET, WEIGHTS, offset=3 * OFFSET)
    np.testing.assert_allclose(search.best_estimator_.coef_, alone.coef_, rtol=1e-6)
    classifier = (
        GDClassifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    )
    done = cross_validate(classifier, X, Y, params={"sample_weight": WEIGHTS}, cv=3)
    assert done["test_score"].mean() > 0.8


def test_what_was_not_asked_for_is_refused():
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        GridSearchCV(GDRegressor(), {"alpha": [1.0]}, cv=2).fit(X, SCORE, sample_weight=WEIGHTS)


def test_tags_names_and_links():
    tags = GDClassifier().__sklearn_tags__()
    assert (tags.estimator_type, tags.input_tags.sparse, tags.target_tags.required) == (
        "classifier",
        True,
        True,
    )
    assert (tags.classifier_tags.multi_class, tags.classifier_tags.multi_label) == (True, True)
    tags = GDRegressor().__sklearn_tags__()
    assert (tags.estimator_type, tags.input_tags.sparse, tags.target_tags.required) == (
        "regressor",
        True,
        True,
    )
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for model, y in ((GDClassifier(), Y), (GDRegressor(), SCORE)):
        first = {"classes": ["no", "yes"]} if y is Y else {}
        for fitted in (clone(model).fit(frame, y), clone(model).partial_fit(frame, y, **first)):
            assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
            assert fitted.n_features_in_ == 3
            with pytest.raises(ValueError, match="feature names"):
                fitted.predict(frame[["b", "a", "c"]])
            with pytest.warns(UserWarning, match="does not have valid feature names"):
                fitted.predict(X)
            name = type(model).__name__
            assert f"https://pypi.org/project/fastgd/#{name}" in fitted._repr_html_()
            assert not hasattr(clone(fitted), "coef_")


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_each_parameter_is_documented(kind):
    lines = kind.__doc__.split("Attributes\n")[0].splitlines()
    named = [
        name for line in lines if " : " in line for name in line.strip().split(" : ")[0].split(", ")
    ]
    assert sorted(named) == sorted(kind().get_params())
