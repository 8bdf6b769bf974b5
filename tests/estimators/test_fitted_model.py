"""A fitted model from all sides: what it predicts and reports, how it is stored, and when its
fit ends.
"""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import (
    ConvergenceWarning,
    GDClassifier,
    GDRegressor,
    Hinge,
    LogLoss,
    Loss,
    Penalty,
    StoppingRule,
    StopReason,
)
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.twins import with_jit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 4))
SCORES = X @ RNG.standard_normal((4, 3)) + RNG.standard_normal((150, 3))
Y = (SCORES[:, 0] > 0).astype(int)
Y3 = np.array(["ant", "bee", "cat"])[SCORES.argmax(axis=1)]
T = SCORES[:, 0]
KEYS = ["passes", "seconds", "objective", "bound", "rate", "batch"]
STRATEGIES = [{}, {"solver": "gd", "batch_size": 1}, {"solver": "adam", "batch_size": 16}]


class LogCosh(Loss):
    """A user's loss: log(cosh(r))."""

    infimum = 0.0

    curvature_bound = 1.0

    def value(self, prediction, target):
        r = abs(prediction - target)
        return r + np.log1p(np.exp(-2.0 * r)) - np.log(2.0)

    def derivative(self, prediction, target):
        return np.tanh(prediction - target)


class Ridge4(Penalty):
    """A user's penalty: w^4 / 4."""

    smooth = True

    def value(self, coefficient, j):
        return coefficient**4 / 4.0

    def derivative(self, coefficient, j):
        return coefficient**3


@pytest.mark.filterwarnings("ignore:.*would take more than max_iter iterations")
@pytest.mark.parametrize("parameters", STRATEGIES, ids=str)
def test_history(parameters):
    for model, y in (
        (GDClassifier(), Y),
        (GDRegressor(), T),
        (GDClassifier(multi_class="ovr"), Y3),
    ):
        model.set_params(random_state=0, **parameters).fit(X, y)
        several = isinstance(model.history_, list)
        assert several == (y is Y3)
        histories = model.history_ if several else [model.history_]
        plans = model.plan_ if several else [model.plan_]
        for history, plan in zip(histories, plans, strict=True):
            assert list(history) == KEYS
            assert len({len(column) for column in history.values()}) == 1
            assert (np.diff(history["passes"]) > 0).all()
            assert (np.diff(history["seconds"]) >= 0).all()
            assert plan.solver in str(plan)
            assert np.isfinite(history["objective"]).all()
        assert model.objective_ == pytest.approx(
            sum(min(history["objective"]) for history in histories), rel=1e-3
        )
        assert model.n_iter_ >= 1
        assert model.t_ >= 2
        assert model.converged_ == (model.suboptimality_ <= model.tol)
        assert model.converged_ == (model.stop_reason_ is StopReason.CONVERGED)
        assert model.bound_kind_ in ("proof", "estimate", "none")


def test_labels_and_shapes():
    two = GDClassifier().fit(X, np.where(Y, "yes", "no"))
    assert two.coef_.shape == (1, 4)
    assert two.intercept_.shape == (1,)
    assert two.decision_function(X).shape == (150,)
    assert set(two.predict(X)) == {"yes", "no"}
    np.testing.assert_array_equal(two.predict(X) == "yes", two.decision_function(X) > 0)
    three = GDClassifier().fit(X, Y3)
    assert three.coef_.shape == (3, 4)
    assert three.decision_function(X).shape == (150, 3)
    np.testing.assert_array_equal(
        three.predict(X), three.classes_[three.decision_function(X).argmax(axis=1)]
    )
    one = OneVsRestClassifier(GDClassifier()).fit(X, Y3)
    rest = GDClassifier(multi_class="ovr").fit(X, Y3)
    np.testing.assert_allclose(one.estimators_[1].coef_[0], rest.coef_[1], rtol=1e-8)
    assert GDRegressor().fit(X, T).coef_.shape == (4,)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
def test_probabilities_at_extreme_scores(loss, y):
    model = GDClassifier(loss=loss).fit(X, y)
    with np.errstate(all="raise", under="ignore"):
        for scale in (0.0, 1.0, 1e4, 1e8):
            proba = model.predict_proba(scale * X)
            assert np.isfinite(proba).all()
            assert (proba >= 0).all()
            np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    own = proba[np.arange(150), np.searchsorted(model.classes_, model.predict(scale * X))]
    np.testing.assert_allclose(
        own, proba.max(axis=1), rtol=1e-12
    )  # of several classes that are certain, any
    assert (model.predict_log_proba(X) <= 0).all()
    scores = np.full((150, 4), -1e4) * np.sign(model.coef_.sum(axis=0))
    np.testing.assert_allclose(model.predict_proba(scores).sum(axis=1), 1.0)
    assert not hasattr(GDClassifier(loss="hinge"), "predict_proba")


class Cloglog(Loss):
    """A user's loss with a link of its own: minus the logarithm of the probability 1 -
    exp(-exp(z)).
    """

    infimum = 0.0
    classification = True
    target_domain = LogLoss.target_domain

    def value(self, prediction, target):
        mass = np.exp(min(prediction, 30.0))
        return mass if target < 0.0 else -np.log(max(-np.expm1(-mass), 1e-300))

    def derivative(self, prediction, target):
        mass = np.exp(min(prediction, 30.0))
        return mass if target < 0.0 else -mass / max(np.expm1(min(mass, 700.0)), 1e-300)

    def probability(self, predictions):
        return -np.expm1(-np.exp(np.minimum(predictions, 30.0)))


class SoftmaxWithProbabilities(ToySoftmax):
    """As a `VectorLoss` may say it, too."""

    def probability(self, predictions):
        shares = np.exp(predictions - predictions.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.plain
@pytest.mark.parametrize("loss", [Cloglog(), "cloglog"], ids=["component", "name"])
def test_a_loss_with_probabilities_of_its_own_has_predict_proba(loss):
    model = GDClassifier(loss, alpha=1e-3).fit(X, Y)
    own = Cloglog().probability(model.decision_function(X))
    np.testing.assert_array_equal(model.predict_proba(X), np.c_[1.0 - own, own])
    assert abs(own.mean() - np.mean(model.classes_[1] == Y)) < 0.05
    three = GDClassifier(loss, alpha=1e-3).fit(X, Y3)
    shares = Cloglog().probability(three.decision_function(X))
    expected = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(three.predict_proba(X), expected, rtol=1e-14)


@pytest.mark.plain
def test_so_has_a_loss_of_several_predictions():
    model = GDClassifier(SoftmaxWithProbabilities(), alpha=1e-3).fit(X, Y3)
    expected = SoftmaxWithProbabilities().probability(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-14)
    assert not hasattr(GDClassifier(ToySoftmax()), "predict_proba")


def test_who_has_no_probabilities_is_told_who_has():
    for loss in ("hinge", Hinge(), "unheard_of", None, ["log_loss"]):
        with pytest.raises(AttributeError) as raised:
            GDClassifier(loss).predict_proba  # noqa: B018
        told = str(raised.value.__cause__ or raised.value)
        assert "'log_loss' or 'modified_huber'" in told
        assert told.endswith(f"got {loss!r}")


def test_storing_and_copying():
    stages = [GDClassifier(random_state=0), GDClassifier(random_state=0).fit(X, Y3)]
    stages.append(copy.deepcopy(stages[1]).partial_fit(X, Y3))
    stages.append(copy.deepcopy(stages[1]).sparsify())
    for model in stages:
        for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert vars(twin).keys() == vars(model).keys()
            if hasattr(model, "coef_"):
                np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        assert not hasattr(clone(model), "coef_")
        assert clone(model).get_params() == model.get_params()
    sparse, dense = stages[3], stages[1]
    assert isinstance(sparse.coef_, sp.csr_array)
    for data in (X, sp.csr_array(X)):
        np.testing.assert_allclose(
            sparse.decision_function(data), dense.decision_function(data), rtol=1e-12
        )
    np.testing.assert_array_equal(sparse.densify().coef_, dense.coef_)
    regressor = GDRegressor().fit(X, T)
    predicted = regressor.predict(X)
    np.testing.assert_allclose(regressor.sparsify().predict(X), predicted, rtol=1e-12)
    assert regressor.densify().coef_.shape == (4,)
    assert regressor.sparsify().partial_fit(X, T).coef_.shape == (4,)


def test_names_of_columns_and_repr():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = GDRegressor().fit(frame, pd.Series(T))
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])
    page = model._repr_html_()
    assert "GDRegressor" in page
    assert "fastgd" in page
    assert repr(GDClassifier(alpha=0.1)) == "GDClassifier(alpha=0.1)"


def test_inside_scikit_learn():
    pipeline = make_pipeline(StandardScaler(), GDClassifier())
    assert cross_val_score(pipeline, X, Y3, cv=3).mean() > 0.6
    search = GridSearchCV(
        GDClassifier(),
        {"alpha": [1e-4, 1e-1], "loss": ["log_loss", "squared_hinge"]},
        cv=2,
        n_jobs=2,
    )
    assert search.fit(X, Y).best_score_ > 0.7
    bagged = BaggingClassifier(
        GDClassifier(early_stopping=True), n_estimators=3, random_state=0
    ).fit(X, Y3)
    assert bagged.score(X, Y3) > 0.6


def test_metadata_routing():
    weights = RNG.uniform(0.1, 1.0, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            GDRegressor()
            .set_fit_request(sample_weight=True, offset=True)
            .set_score_request(sample_weight=True, offset=True)
        )
        search = GridSearchCV(model, {"alpha": [1e-3, 1.0]}, cv=2)
        search.fit(X, T, sample_weight=weights, offset=np.zeros(150))
        model = GDClassifier().set_partial_fit_request(sample_weight=True)
        assert model.get_metadata_routing().partial_fit.requests["sample_weight"] is True
    alone = GDRegressor(alpha=search.best_params_["alpha"]).fit(X, T, sample_weight=weights)
    np.testing.assert_allclose(search.best_estimator_.coef_, alone.coef_, rtol=1e-10)


def test_without_an_offset_a_unit_of_exposure_is_predicted():
    exposure = RNG.uniform(0.5, 2.0, 150)
    counts = RNG.poisson(exposure * np.exp(0.3 * X[:, 0])).astype(float)
    model = GDRegressor("poisson").fit(X, counts, offset=np.log(exposure))
    rates = model.predict(X)
    np.testing.assert_array_equal(rates, model.predict(X, offset=np.zeros(150)))
    np.testing.assert_allclose(rates * exposure, model.predict(X, offset=np.log(exposure)))
    assert model.score(X, counts) == model.score(X, counts, offset=np.zeros(150))


def test_offset():
    offset = RNG.standard_normal(150)
    model = GDRegressor(tol=1e-10).fit(X, T + offset, offset=offset)
    plain = GDRegressor(tol=1e-10).fit(X, T)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(X, offset=offset), plain.predict(X) + offset, rtol=1e-6, atol=1e-6
    )
    stopped = GDRegressor(early_stopping=True, random_state=0).fit(
        X, T + 100 * offset, offset=100 * offset
    )
    assert stopped.score(X, T) > 0.2
    classifier = GDClassifier().fit(X, Y, offset=offset)
    np.testing.assert_allclose(
        classifier.decision_function(X, offset=offset),
        classifier.decision_function(X) + offset,
        rtol=1e-12,
    )
    assert classifier.predict_proba(X, offset=offset).shape == (150, 2)


def test_components_of_a_user():
    tight = GDRegressor(loss=LogCosh(), tol=1e-8, max_iter=5000).fit(X, T)
    assert tight.objective_ < GDRegressor(loss=LogCosh()).fit(np.zeros_like(X), T).objective_
    gradient = X.T @ np.tanh(tight.predict(X) - T) / 150 + 1e-4 * tight.coef_
    assert np.abs(gradient).max() < 1e-4
    bent = GDRegressor(penalty=Ridge4(), alpha=0.1, tol=1e-8, max_iter=5000).fit(X, T)
    gradient = X.T @ (bent.predict(X) - T) / 150 + 0.1 * bent.coef_**3
    assert np.abs(gradient).max() < 1e-4
    kept = GDRegressor(penalty=ToyWeightedL1(np.array([100.0, 0.0, 0.0, 100.0])), alpha=0.1).fit(
        X, T
    )
    assert (kept.coef_ == 0).tolist() == [True, False, False, True]
    for model in (tight, bent, kept):
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(model)).predict(X), model.predict(X)
        )


def test_losses_of_several_predictions():
    model = GDClassifier(loss=ToySoftmax(), tol=1e-6).fit(X, Y3)
    assert model.coef_.shape == (3, 4)
    assert model.decision_function(X).shape == (150, 3)
    assert model.score(X, Y3) >= GDClassifier().fit(X, Y3).score(X, Y3) - 0.03
    warm = clone(model).set_params(warm_start=True, max_iter=3, tol=None).fit(X, Y3)
    warm.set_params(max_iter=4).fit(X, Y3)
    np.testing.assert_array_equal(
        warm.coef_, clone(model).set_params(max_iter=7, tol=None).fit(X, Y3).coef_
    )
    both = GDRegressor(loss=ToyMultiSquared(), alpha=0.01, tol=1e-10).fit(X, SCORES)
    assert both.predict(X).shape == (150, 3)
    for k in range(3):
        alone = GDRegressor(alpha=0.01, tol=1e-10).fit(X, SCORES[:, k])
        np.testing.assert_allclose(both.coef_[k], alone.coef_, rtol=1e-4, atol=1e-5)
    stopped = GDRegressor(loss=ToyMultiSquared()).fit(X, SCORES, X_val=X, y_val=SCORES)
    assert np.isfinite(stopped.coef_).all()
    chunked = GDRegressor(loss=ToyMultiSquared(), alpha=0.01)
    for _ in range(with_jit(200, 30)):
        chunked.partial_fit(X, SCORES)
    assert chunked.coef_.shape == (3, 4)
    assert chunked.score(X, SCORES) > both.score(X, SCORES) - 0.02


@pytest.mark.parametrize("average", [True, 5])
def test_average_of_full_batches(average):
    kw = {
        "batch_size": "full",
        "solver": "momentum",
        "learning_rate": "constant",
        "eta0": 0.3,
        "tol": None,
    }
    path = [GDRegressor(max_iter=k, **kw).fit(X, T).coef_ for k in range(max(average, 1), 9)]
    model = GDRegressor(max_iter=8, average=average, **kw).fit(X, T)
    np.testing.assert_allclose(model.coef_, np.mean(path, axis=0), rtol=1e-12)
    assert "nothing is averaged" in str(GDRegressor(average=True).fit(X, T).plan_)


@pytest.mark.parametrize("parameters", STRATEGIES, ids=str)
def test_early_stopping(parameters):
    for model, y in ((GDClassifier(), Y3), (GDRegressor(), T)):
        model.set_params(
            random_state=0, early_stopping=True, n_iter_no_change=3, tol=1e-3, **parameters
        ).fit(X, y)
        assert model.stop_reason_ in (
            StopReason.VALIDATION,
            StopReason.CONVERGED,
            StopReason.PLATEAU,
        )
        assert model.score(X, y) > (0.4 if y is Y3 else 0.3)
        again = clone(model).fit(X, y)
        np.testing.assert_array_equal(again.coef_, model.coef_)


def test_own_validation_rows():
    model = GDClassifier(solver="gd", batch_size=1, random_state=0, n_iter_no_change=2, tol=1e-3)
    weights = np.ones(50)
    model.fit(X[:100], Y[:100], X_val=X[100:], y_val=Y[100:], sample_weight_val=weights)
    assert model.stop_reason_ is StopReason.VALIDATION
    other = clone(model).fit(X[:100], Y[:100], X_val=sp.coo_array(X[100:]), y_val=Y[100:].tolist())
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-12)
    weights[1:] = 0.0  # one row decides, and it is right from the start
    other = clone(model).fit(
        X[:100], Y[:100], X_val=X[100:], y_val=Y[100:], sample_weight_val=weights
    )
    assert other.n_iter_ <= model.n_iter_


class AfterTwo(StoppingRule):
    def check(self, history):
        return StopReason.RULE if len(history) >= 2 else None


def test_stop_rules():
    seen = []

    def stop(history):
        return seen.append({key: column.size for key, column in history.items()}) or len(seen) == 4

    model = GDRegressor(loss="huber", stop=stop, tol=1e-12).fit(X, T)
    assert model.stop_reason_ is StopReason.RULE
    assert model.n_iter_ == 4
    assert [list(row) for row in seen] == 4 * [KEYS]
    assert [set(row.values()) for row in seen] == [{1}, {2}, {3}, {4}]
    model = GDRegressor(loss="huber", stop=[AfterTwo(), lambda history: False], tol=1e-12).fit(X, T)
    assert (model.stop_reason_, model.n_iter_) == (StopReason.RULE, 2)


def test_an_error_in_a_rule_leaves_the_estimator_as_it_was():
    def fail(history):
        raise RuntimeError("mine")

    for model in (
        GDRegressor(stop=fail, tol=1e-12),
        GDRegressor(tol=1e-12).fit(X, T).set_params(stop=fail),
    ):
        before = dict(vars(model))
        with pytest.raises(RuntimeError, match="mine"):
            model.set_params(loss="huber").fit(X, T)
        assert vars(model) == {**before, "loss": "huber"}


def test_max_time():
    model = GDClassifier(max_time=1e-9, alpha=1e-12, max_iter=10**6, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="max_time was reached.*raise max_time"):
        model.fit(X, Y3)
    assert (model.stop_reason_, model.n_iter_) == (StopReason.TIME, 1)
    assert not model.converged_


def test_one_warning_in_numbers():
    for y in (Y, Y3):
        with pytest.warns(
            ConvergenceWarning,
            match=r"max_iter was reached: the objective.*raise max_iter \(it was 2\)",
        ) as got:
            GDClassifier(max_iter=2, tol=1e-9).fit(X, y)
        assert len(got) == 1
        assert got[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GDClassifier(max_iter=2, tol=None).fit(X, Y)


def test_verbose(capsys):
    GDRegressor(loss="huber", verbose=2, tol=None, max_iter=10).fit(X, T)
    lines = capsys.readouterr().out.splitlines()
    # The plan, a header and the ending; the last check once more where its proof moved the point.
    assert len(lines) in (3 + 5, 3 + 6)
    GDRegressor().fit(X, T)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
@pytest.mark.parametrize("tol", [1e-12, None])
def test_keyboard_interrupt(y, tol):
    def stop(history):
        if history["passes"].size == 3:
            raise KeyboardInterrupt
        return False

    model = GDClassifier(
        stop=stop,
        tol=tol,
        alpha=1e-9,
        max_iter=10_000,
        solver="adam",
        batch_size=16,
        random_state=0,
    )
    with pytest.raises(KeyboardInterrupt, match="the best model so far is stored: objective"):
        model.fit(X, y)
    assert model.stop_reason_ is StopReason.INTERRUPTED
    assert not model.converged_
    # Ten updates an epoch; with a tol that noise keeps away the second plan makes one an iteration.
    epochs = model.n_iter_ if tol is None else 1
    assert model.t_ == 1 + 10 * epochs + (model.n_iter_ - epochs)
    assert model.score(X, y) > 0.4
    pickle.loads(pickle.dumps(model.set_params(stop=None))).partial_fit(X, y)
    coef = model.coef_.copy()
    model.set_params(warm_start=True, max_iter=1, tol=None).fit(X, y)
    assert np.abs(model.coef_ - coef).max() < 1.0
