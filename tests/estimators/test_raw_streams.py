"""Chunks of raw columns: automatic rates need no scaler, and later values may be larger."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes, load_wine
from sklearn.preprocessing import StandardScaler, scale

from fastgd import GDClassifier, GDRegressor

PARTS = 8


def diabetes():
    """In the units of a doctor, with a year and a pressure far from 0."""
    X, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    units = np.linspace(0.1, 40.0, X.shape[1])
    centers = np.where(np.arange(X.shape[1]) % 3 == 0, 1000.0 * units, 0.3 * units)
    return (scale(X) * units + centers)[order], y[order]


def stream(model, X, y, convert=np.asarray, **first):
    for part in np.array_split(np.arange(len(y)), PARTS):
        model.partial_fit(convert(X[part]), y[part], **first)
    return model


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_raw_columns_are_learnt_as_scaled_ones(loss):
    X, y = diabetes()
    kw = {"loss": loss, "random_state": 0, "epsilon": 10.0}
    raw = stream(GDRegressor(**kw), X, y)
    Z = StandardScaler().fit_transform(X)
    scaled = stream(GDRegressor(**kw), Z, y)
    errors = [np.mean((m.predict(A) - y) ** 2) for m, A in ((raw, X), (scaled, Z))]
    assert errors[0] < 1.1 * errors[1] < 0.7 * y.var()


@pytest.mark.plain
def test_classes_too():
    X, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order] + np.linspace(0.0, 3000.0, X.shape[1]), y[order]
    model = stream(GDClassifier(random_state=0), X, y, classes=[0, 1, 2])
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("convert", [sp.csr_array, np.asfortranarray], ids=["csr", "fortran"])
def test_storages_agree(convert):
    X, y = diabetes()
    X[X.shape[0] // 2 :: 7, 0] = 0.0  # a far column is 0 in later chunks
    dense = stream(GDRegressor(random_state=0), X, y)
    other = stream(GDRegressor(random_state=0), X, y, convert)
    np.testing.assert_allclose(other.coef_, dense.coef_, rtol=1e-7)
    np.testing.assert_allclose(other.intercept_, dense.intercept_, rtol=1e-7)


def test_a_stream_goes_on_from_a_pickle():
    X, y = diabetes()
    model = GDRegressor(random_state=0).partial_fit(X[:100], y[:100])
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(X[100:], y[100:])
    np.testing.assert_array_equal(model.coef_, again.coef_)


def test_larger_values_later_shorten_the_rates():
    """In a first chunk of values that are 1,000 times smaller, its scales made the model jump."""
    X, y = diabetes()
    X = X - X.mean(axis=0)
    first = X.copy()
    first[:40] *= 1e-3
    model = stream(GDRegressor(random_state=0), first, y)
    assert np.mean((model.predict(X) - y) ** 2) < 0.8 * y.var()


@pytest.mark.parametrize("seed", range(3))
def test_a_clock_in_chunks_of_few_rows(seed):
    """A time stamp does no harm to a model of few rows. What the first seconds told of it was
    extrapolated: R^2 of the next chunk 0.78 to -1.5.
    """
    rng, n = np.random.default_rng(seed), 3000
    X = np.c_[rng.normal(size=(n, 3)), 1.7e9 + 60.0 * np.arange(n)]
    y = X[:, :3] @ [1.0, -1.0, 0.5] + 2.0 * np.arange(n) / n + 0.5 * rng.normal(size=n)
    model, predicted = GDRegressor(random_state=0), np.zeros(n)
    for start in range(0, n, 7):
        rows = slice(start, start + 7)
        if start:
            predicted[rows] = model.predict(X[rows])
        model.partial_fit(X[rows], y[rows])
    late = slice(2000, None)
    assert np.mean((predicted - y)[late] ** 2) < 0.2 * y[late].var()


@pytest.mark.thinned(plain=1, compiled=9)
@pytest.mark.parametrize("solver", ["auto", "gd", "momentum"])
@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_clock_after_a_fit_and_with_every_rule(loss, fitted, solver):
    """A column that grows shortens the steps of every rule. Only those that are divided by
    gradients were shortened: others ended at 7e12 var(y).
    """
    rng, n = np.random.default_rng(0), 3000
    X = np.c_[rng.normal(size=(n, 3)), np.arange(n)]
    y = X @ [1.0, 2.0, 3.0, 1.0 / 900.0] + rng.normal(size=n)
    kind, first = GDRegressor, {}
    if loss == "log_loss":
        y, kind, first = (y > 1.0).astype(int), GDClassifier, {"classes": [0, 1]}
    model, wrong = kind(random_state=0), []
    if fitted:
        model.fit(X[:500], y[:500])
    model.set_params(solver=solver, batch_size="auto" if solver == "auto" else 1)
    for k in range(500, n - 50, 50):
        model.partial_fit(X[k : k + 50], y[k : k + 50], **first)
        coming = slice(k + 50, k + 100)
        wrong.append(np.mean((model.predict(X[coming]) - y[coming]) ** 2) / y.var())
    assert max(wrong[1:]) < 1.5
    assert np.mean(wrong[20:]) < 0.5
    assert model._states[0].memory.divisor == 1.0


@pytest.mark.parametrize("solver", ["gd", "momentum", "adam"])
def test_a_first_chunk_of_zeros_tells_nothing(solver):
    """Its rates were kept: momentum ended at 6e5 var(y)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 5))
    y = X @ [1.0, 2.0, 3.0, 4.0, 5.0] + rng.normal(size=1500)
    model = GDRegressor(solver=solver, batch_size=1, random_state=0)
    model.partial_fit(0.0 * X[:100], y[:100])
    for part in np.array_split(np.arange(100, 1500), 7):
        model.partial_fit(X[part], y[part])
    assert model.score(X, y) > 0.9


def test_an_outlier_leaves_what_many_rows_have_told():
    rng, n = np.random.default_rng(0), 4000
    X = rng.normal(size=(n, 3))
    X[3000, 0] = 50.0
    w = np.array([1.0, -1.0, 0.5])
    model = GDRegressor(random_state=0)
    for rows in np.array_split(np.arange(n), 200):
        model.partial_fit(X[rows], X[rows] @ w + 0.1 * rng.normal(size=rows.size))
    np.testing.assert_allclose(model.coef_, w, atol=0.02)


def test_explicit_schedules_see_the_columns_as_given():
    X, y = diabetes()
    X, kw = X[:, :3], {"learning_rate": "constant", "eta0": 1e-9, "shuffle": False}
    model = GDRegressor(**kw).partial_fit(X[:30], y[:30])
    w, b = np.zeros(X.shape[1]), 0.0
    for x, t in zip(X[:30], y[:30], strict=True):
        slope = x @ w + b - t
        w, b = w * (1.0 - 1e-9 * 1e-4) - 1e-9 * slope * x, b - 1e-9 * slope
    np.testing.assert_allclose(model.coef_, w, rtol=1e-9)


@pytest.mark.parametrize("kind", [GDRegressor, GDClassifier])
def test_larger_values_later_without_an_intercept(kind):
    """A model without an intercept takes a chunk of larger values. Adam's second chunk had raised:
    coefficients were lowered along with an intercept.
    """
    X = np.random.default_rng(0).normal(size=(40, 4))
    w = np.array([1.0, -1.0, 2.0, 0.0])
    y, first = (X @ w > 0.0, {"classes": [False, True]}) if kind is GDClassifier else (X @ w, {})
    model = kind(solver="adam", fit_intercept=False, random_state=0)
    model.partial_fit(X, y, **first).partial_fit(100.0 * X, y)
    assert model.coef_.size == 4
    assert model.history_["objective"].size == 2


def test_the_objective_of_a_retreat_is_that_of_the_model():
    """It had been that of the point that exploded: 2e246."""
    rng = np.random.default_rng(26)
    model = GDRegressor(alpha=1e-3, random_state=0, solver="gd")
    for X in [rng.normal(size=(30, 4)) + 10.0 ** rng.integers(0, 5, 4) for _ in range(3)]:
        y = np.round(4.0 * rng.normal(size=30))
        model.partial_fit(X, y)
        left = X @ model.coef_ + model.intercept_ - y
        expected = 0.5 * np.mean(left**2) + 5e-4 * model.coef_ @ model.coef_
        assert model.history_["objective"][-1] == pytest.approx(expected, rel=1e-6)
