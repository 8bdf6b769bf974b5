"""Tables of targets and of labels: one model for each column."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import Ridge

from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV
from support.twins import with_jit

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
T = X @ rng.standard_normal((4, 3)) + 0.3 * rng.standard_normal((60, 3))
LABELS = (X @ rng.standard_normal((4, 3)) + 0.5 * rng.standard_normal((60, 3)) > 0.0).astype(int)
WEIGHTS = rng.integers(0, 3, 60).astype(float)
LOSSES = ["squared_error", "huber", "epsilon_insensitive", "quantile"]


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("loss", with_jit(LOSSES[:1], LOSSES))
def test_each_target_has_its_model(loss, penalty, storage):
    model = GDRegressor(loss, penalty=penalty, alpha=0.01, epsilon=0.5)
    model.fit(storage(X), T, sample_weight=WEIGHTS)
    assert (model.coef_.shape, model.intercept_.shape) == ((3, 4), (3,))
    assert str(model.plan_).startswith("target")
    for k in range(3):
        alone = clone(model).fit(storage(X), T[:, k], sample_weight=WEIGHTS)
        # Squares without an L1 part have one matrix and one product: the same but for rounding.
        close = {"rtol": 1e-11 if (loss, penalty) == ("squared_error", "l2") else 0.0}
        np.testing.assert_allclose(model.coef_[k], alone.coef_, **close)
        np.testing.assert_allclose(model.intercept_[k], alone.intercept_[0], **close)
        np.testing.assert_allclose(model.predict(X)[:, k], alone.predict(X), rtol=1e-13, atol=1e-14)
    assert len(model.history_) == 3


def test_equals_ridge_and_has_its_shapes():
    theirs = Ridge(alpha=2.0).fit(X, T)
    ours = GDRegressor(alpha=2.0 / 60, tol=1e-12).fit(X, T)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    assert ours.score(X, T) == pytest.approx(theirs.score(X, T), rel=1e-9)
    one = GDRegressor().fit(X, T[:, :1])
    assert (one.coef_.shape, one.predict(X).shape) == ((1, 4), (60, 1))
    assert GDRegressor().fit(X, T[:, 0]).predict(X).shape == (60,)
    kept = pickle.loads(pickle.dumps(ours.sparsify())).densify()
    np.testing.assert_allclose(kept.predict(X), ours.predict(X), rtol=1e-12)
    assert one.sparsify().densify().coef_.shape == (1, 4)


def test_chunks_starts_and_validation_rows_of_several_targets():
    model = GDRegressor(alpha=1e-3)
    for _ in range(with_jit(100, 20)):
        model.partial_fit(X, T)
    assert model.coef_.shape == (3, 4)
    assert model.score(X, T) > 0.8
    with pytest.raises(ValueError, match=r"y has shape \(60,\), not the number of targets"):
        model.partial_fit(X, T[:, 0])
    warm = GDRegressor(warm_start=True).fit(X, T).fit(X, T)
    given = GDRegressor().fit(X, T, coef_init=warm.coef_, intercept_init=warm.intercept_)
    np.testing.assert_allclose(given.coef_, warm.coef_, rtol=1e-3, atol=1e-4)
    watched = GDRegressor().fit(X, T, X_val=X, y_val=T)
    assert watched.coef_.shape == (3, 4)
    assert GDRegressor(early_stopping=True, random_state=0).fit(X, T).coef_.shape == (3, 4)
    with pytest.raises(ValueError, match="y"):
        GDRegressor().fit(X, np.where(T[3, 1] == T, np.nan, T))


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_each_label_has_its_model(loss):
    model = GDClassifier(loss, alpha=0.01).fit(X, LABELS, sample_weight=WEIGHTS)
    assert model.classes_.tolist() == [0, 1, 2]
    for k in range(3):
        alone = clone(model).fit(X, LABELS[:, k], sample_weight=WEIGHTS)
        np.testing.assert_array_equal(model.coef_[k], alone.coef_[0])
        np.testing.assert_array_equal(model.predict(X)[:, k], alone.predict(X))
        if loss == "log_loss":
            own = alone.predict_proba(X)[:, 1]
            np.testing.assert_allclose(model.predict_proba(X)[:, k], own, rtol=1e-12)
    assert model.decision_function(X).shape == (60, 3)
    assert model.score(X, LABELS) > 0.5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    again = model.fit(X, LABELS.argmax(axis=1))
    assert again.predict(X).shape == (60,)


def test_chunks_and_validation_rows_of_labels():
    model = GDClassifier()
    for part in np.array_split(np.arange(60), 4):
        model.partial_fit(X[part], LABELS[part])
    assert model.predict(X).shape == (60, 3)
    with pytest.raises(ValueError, match="not the labels of the first call"):
        model.partial_fit(X, LABELS[:, :2])
    assert GDClassifier(early_stopping=True, random_state=0).fit(X, LABELS).coef_.shape == (3, 4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("storage", [sp.csr_array, sp.csc_matrix, sp.lil_array])
def test_labels_may_be_sparse(storage):
    """As scikit-learn's indicators of labels are; they were refused."""
    few = storage(LABELS)
    model = GDClassifier().fit(X, LABELS, X_val=X, y_val=LABELS)
    same = GDClassifier().fit(X, few, X_val=X, y_val=few)
    np.testing.assert_array_equal(same.coef_, model.coef_)
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    assert same.score(X, few, WEIGHTS) == model.score(X, LABELS, WEIGHTS)
    chunks = [GDClassifier().partial_fit(X, y, classes=range(3)) for y in (few, LABELS)]
    chunks = [one.partial_fit(X, few, X_val=X, y_val=few) for one in chunks]
    np.testing.assert_array_equal(chunks[0].coef_, chunks[1].coef_)
    searches = [GDClassifierCV(alphas=3, cv=3).fit(X, y) for y in (few, LABELS)]
    np.testing.assert_array_equal(searches[0].coef_, searches[1].coef_)


def test_sparse_y_that_are_refused():
    for model, y, advice in (
        (GDClassifier(), LABELS[:, :1], r"y\.toarray\(\)\.ravel\(\)$"),
        (GDRegressor(), T[:, :1], r"y\.toarray\(\)\.ravel\(\)$"),
        (GDRegressor(), T, r"y\.toarray\(\)$"),
    ):
        with pytest.raises(ValueError, match=f"y must not be sparse; make it an array, {advice}"):
            model.fit(X, sp.csr_array(y))
    broken = sp.csr_array(LABELS)
    broken.indices[0] = 99
    with pytest.raises(ValueError, match="y"):
        GDClassifier().fit(X, broken)


def test_searches():
    search = GDRegressorCV(alphas=4, cv=3).fit(X, T)
    assert (search.scores_.shape, search.predict(X).shape) == ((4, 3), (60, 3))
    search = GDClassifierCV(alphas=4, cv=3).fit(X, LABELS)
    assert (search.scores_.shape, search.predict(X).shape) == ((4, 3), (60, 3))


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({}, np.c_[LABELS, np.zeros(60)], "label 3 is 0 in every row of y"),
        ({}, LABELS + 1, "must hold 0 and 1 alone"),
        ({"multi_class": "multinomial"}, LABELS, "takes one label a row"),
        ({"class_weight": "balanced"}, LABELS, "class_weight must be None where y is a table"),
    ],
)
def test_tables_of_labels_that_are_refused(parameters, y, message):
    with pytest.raises(ValueError, match=message):
        GDClassifier(**parameters).fit(X, y)


@pytest.mark.parametrize("weight", [2, 2.0, np.float64(2.0)])
def test_one_weight_for_all_rows_goes_with_a_table_of_labels(weight):
    """It was an index into the table, a TypeError."""
    expected = GDClassifier().fit(X, LABELS).coef_
    np.testing.assert_allclose(GDClassifier().fit(X, LABELS, weight).coef_, expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_label_needs_rows_that_count_but_in_folds():
    weights = np.where(LABELS[:, 1] == 1, 0.0, WEIGHTS)
    message = "label 1 is 0 in every row of y with a positive weight"
    for model in (GDClassifier(), GDClassifierCV(alphas=[0.1], cv=3, refit=False)):
        with pytest.raises(ValueError, match=message):
            model.fit(X, LABELS, sample_weight=weights)
    rare = LABELS.copy()
    rare[:, 1] = np.arange(60) < 10
    assert np.isfinite(GDClassifierCV(alphas=[0.1], cv=3).fit(X, rare, WEIGHTS).scores_).all()


@pytest.mark.parametrize("y", [T, LABELS], ids=["targets", "labels"])
def test_chunks_take_validation_rows_with_a_table(y):
    make = GDRegressor if y is T else GDClassifier
    model = make(random_state=0).partial_fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.best_validation_score_ == pytest.approx(model.score(X[40:], y[40:]))
    with pytest.raises(ValueError, match=r"y_val must have shape \(20, 3\)"):
        model.partial_fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:, :2])


RATES = np.random.default_rng(3).poisson(np.exp(0.5 * T)).astype(float)


@pytest.mark.parametrize("columns", [1, 3])
def test_a_search_scores_tables_of_counts(columns):
    y = RATES[:, :columns]
    search = GDRegressorCV("poisson", alphas=[1.0, 0.1], cv=3, tol=1e-8).fit(X, y)
    model = GDRegressor("poisson", alpha=search.alpha_, tol=1e-8).fit(X[20:], y[20:])
    scores = search.scores_[list(search.alphas_).index(search.alpha_)]
    assert scores[0] == pytest.approx(model.score(X[:20], y[:20]), rel=1e-3)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_one_column_and_a_vector_score_alike(loss):
    y = RATES[:, 0]
    model, table = GDRegressor(loss).fit(X, y), GDRegressor(loss).fit(X, y[:, None])
    scores = {one.score(X, given) for one in (model, table) for given in (y, y[:, None])}
    assert len(scores) == 1
    with pytest.raises(ValueError, match=r"shape \(60, 3\)|different number of output"):
        model.score(X, RATES)


@pytest.mark.parametrize("column", [0, 2])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_target_outside_the_domain_is_told_with_its_column(method, column):
    y = RATES.copy()
    y[4, column] = -1.0
    message = rf"column {column} of y must be in \[0, inf\).*got -1 \(first in row 4\)"
    with pytest.raises(ValueError, match=message):
        getattr(GDRegressor("poisson"), method)(X, y)
