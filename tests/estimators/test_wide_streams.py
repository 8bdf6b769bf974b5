"""Chunks that touch few of many columns: these are moved in place, and an error takes it back."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor
from fastgd.data.rows import CSRRows
from fastgd.solvers.stochastic.scheduled import MAX_COUNTED, Stochastic, StochasticMemory
from support.components import ToyWeightedL1

D = 3000
RNG = np.random.default_rng(0)
SETTINGS = {
    "adagrad": {},
    "gd": {"solver": "gd", "alpha": 1e-3},
    "averaged": {"learning_rate": "constant", "eta0": 0.1, "average": True, "alpha": 1e-3},
    "forgetting": {"forget": 20},
    "elastic": {"penalty": "elasticnet", "alpha": 1e-3},
    "elastic gd": {"penalty": "elasticnet", "solver": "gd", "alpha": 1e-3},
    "no intercept": {"fit_intercept": False},
    "rates that fall": {"alpha": 0.1},
    "rates that fall, L1": {"alpha": 0.1, "penalty": "elasticnet"},
    "adam": {"solver": "adam", "alpha": 1e-3},
    "adam, L1, 4 rows": {"solver": "adam", "penalty": "l1", "alpha": 1e-3, "batch_size": 4},
    "momentum, forgetting": {"solver": "momentum", "alpha": 1e-3, "forget": 20},
    "a schedule without intercept": {
        "learning_rate": "constant",
        "eta0": 0.1,
        "fit_intercept": False,
    },
    "three classes": {"alpha": 0.1, "average": True},
    "three classes, adagrad, forgetting": {"forget": 20},
    "three classes, momentum": {"solver": "momentum", "alpha": 1e-3},
    "three classes, one against the rest": {"loss": "hinge"},
}
OF_TWO = [name for name in SETTINGS if not name.startswith("three")]


def chunk(n=8, row_length=5, width=D):
    index = RNG.integers(0, 300, (n, row_length)) * 9 + RNG.integers(0, 2, (n, 1))
    values = RNG.uniform(0.5, 1.5, n * row_length)
    starts = np.arange(0, n * row_length + 1, row_length)
    X = sp.csr_array((values, index.ravel(), starts), shape=(n, width))
    X.sum_duplicates()
    return X, np.arange(n)


CHUNKS = [chunk() for _ in range(12)]
WIDE = 200_000
WIDE_CHUNKS = [chunk(width=WIDE) for _ in range(7)]


def stream(model, chunks, n_classes=2):
    for X, y in chunks:
        model.partial_fit(X, y % n_classes, classes=np.arange(n_classes))
    return model


def stream_of(name, chunks=CHUNKS, **options):
    model = GDClassifier(random_state=0, **SETTINGS[name] | options)
    return stream(model, chunks, 3 if name.startswith("three") else 2)


@pytest.mark.thinned(plain=1, compiled=4)
@pytest.mark.parametrize("name", SETTINGS)
def test_only_some_columns_moved_in_place_are_all_columns_moved_in_copies(name, monkeypatch):
    of_few = stream_of(name)
    monkeypatch.setattr(CSRRows, "narrowed", lambda self: None)
    of_all = stream_of(name)
    # Shares of touched columns are in single precision.
    rtol = 1e-5 if SETTINGS[name].get("solver") == "adam" else 1e-9
    np.testing.assert_allclose(of_few.coef_, of_all.coef_, rtol=rtol, atol=1e-15)
    np.testing.assert_allclose(of_few.intercept_, of_all.intercept_, rtol=rtol)
    objective = of_few.history_["objective"]
    np.testing.assert_allclose(objective, of_all.history_["objective"], rtol=rtol)


WEIGHTS = np.where(np.arange(D) < D // 2, 1.0, 0.0)
LOWEST = np.where(np.arange(D) < D // 2, -np.inf, 0.0)
OF_COLUMNS = {
    "penalty_weights": {"penalty": "l1", "alpha": 0.02, "penalty_weights": WEIGHTS},
    "bounds": {"bounds": (LOWEST, np.inf)},
    "a user's own": {"penalty": ToyWeightedL1(WEIGHTS), "alpha": 0.02},
}


@pytest.mark.thinned(plain=1, compiled=9)
@pytest.mark.parametrize("name", OF_COLUMNS)
@pytest.mark.parametrize("solver", ["auto", "adagrad", "gd"])
def test_strengths_and_bounds_are_those_of_the_column(name, solver):
    """Chunks of few columns looked them up by a column's place among these."""
    batch = {"batch_size": 4} if solver == "adagrad" else {}
    of_few, of_all = (
        GDRegressor(solver=solver, random_state=0, **batch, **OF_COLUMNS[name]) for _ in range(2)
    )
    for X, y in CHUNKS:
        of_few.partial_fit(X, y - 3.5)
        of_all.partial_fit(X.toarray(), y - 3.5)
    np.testing.assert_allclose(of_few.coef_, of_all.coef_, rtol=1e-9, atol=1e-15)
    if name == "bounds":
        assert (of_few.coef_ >= LOWEST).all()


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "eta0": 0.01},
        {"solver": "rmsprop", "eta0": 0.01},
        {"solver": "adagrad", "eta0": 0.5, "penalty": "l1", "alpha": 0.03},
        {"solver": "nesterov", "eta0": 0.01, "penalty": "elasticnet", "l1_ratio": 0.5},
        {"solver": "adam", "eta0": 0.01, "batch_size": 4},
    ],
    ids=str,
)
def test_a_penalty_is_as_strong_in_small_chunks_as_in_large_ones(options):
    """It acts where rows are not 0, the rarer the harder: rarer than in one row is never."""
    rng = np.random.default_rng(0)
    n, kw = 1500, {"learning_rate": "constant", "alpha": 0.05, "batch_size": 1} | options
    X = rng.normal(size=(n, 3))
    X[:, 1] = rng.random(n) < 0.05
    y, found = X @ [1.0, 3.0, 0.0] + 0.1 * rng.normal(size=n), {}
    for size in (kw["batch_size"], 20, n):
        model = GDRegressor(**kw, average=n // 2, shuffle=False, random_state=0)
        for k in range(0, n, size):
            model.partial_fit(X[k : k + size], y[k : k + size])
        found[size] = model.coef_[1]
    small, _, large = found.values()
    np.testing.assert_allclose(list(found.values()), large, rtol=0.15)
    assert small < 2.5
    touches = model._states[0].memory.shares_in(slice(None))
    np.testing.assert_allclose(touches, (X != 0.0).mean(axis=0), rtol=1e-6)


def test_shares_of_touched_columns_follow_the_rows_without_end():
    memory = StochasticMemory()
    for shares in (np.ones(2, np.float32), np.array([1.0, 0.001], np.float32)):
        for _ in range(2000):
            memory.note_touches(slice(None), shares, 10_000, 2)
        assert (memory.touches is None) == (shares[1] == 1.0)
    np.testing.assert_allclose(memory.touches, [1.0, 0.001], rtol=1e-3)
    before = memory.touches[1]
    rng = np.random.default_rng(0)
    few = copy.deepcopy(memory)
    for touched in rng.random(20_000) < 0.001:
        memory.note_touches(slice(None), np.array([1.0, touched], np.float32), 1, 2)
        columns = np.flatnonzero([True, touched])
        few.note_touches(columns, np.ones(columns.size, np.float32), 1, 2)
    assert memory.n_touching == MAX_COUNTED
    np.testing.assert_allclose(memory.touches[1], before, rtol=0.05)
    np.testing.assert_allclose(few.shares_in(slice(None)), memory.touches, rtol=1e-3)


def test_shares_of_a_few_columns_are_those_of_all(monkeypatch):
    """Rows of weight 0 touch nothing, and others count alike."""

    def touches():
        model = GDClassifier(penalty="elasticnet", random_state=0)
        for X, y in CHUNKS[:4]:
            model.partial_fit(X, y % 2, classes=[0, 1], sample_weight=np.r_[0.0, y[1:] + 0.5])
        return model._states[0].memory.shares_in(slice(None))

    few = touches()
    monkeypatch.setattr(CSRRows, "narrowed", lambda self: None)
    np.testing.assert_allclose(few, touches(), rtol=1e-6)
    assert 0.0 < few.max() < 1.0


@pytest.mark.parametrize("name", SETTINGS)
def test_an_error_after_an_epoch_leaves_the_stream_as_it_was(name):
    model = stream_of(name, CHUNKS[:5])
    apart, coef = pickle.loads(pickle.dumps(model)), model.coef_.copy()
    X, y = CHUNKS[5]
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X, y % 2, X_val=np.ones((2, 3)), y_val=[0, 1])
    np.testing.assert_array_equal(model.coef_, coef)
    n_classes = len(model.classes_)
    after = [stream(one, CHUNKS[6:], n_classes).coef_ for one in (model, apart)]
    np.testing.assert_array_equal(*after)


@pytest.mark.parametrize("name", SETTINGS)
def test_coefficients_are_made_once_someone_asks(name):
    """A call made a vector as long as there are columns, and `predict` a copy of it."""
    model, seen = stream_of(name), stream_of(name, CHUNKS[:0])
    for X, y in CHUNKS:
        stream(seen, [(X, y)], len(model.classes_))
        assert seen.coef_ is seen.coef_
    assert "coef_" not in vars(model)
    X, _ = chunk(20)
    scores = model.decision_function(X)
    assert model._made == (None, {})
    np.testing.assert_array_equal(scores, seen.decision_function(X))
    np.testing.assert_array_equal(model.coef_, seen.coef_)
    np.testing.assert_array_equal(model.intercept_, seen.intercept_)
    assert "_made" not in model.__getstate__()


@pytest.mark.parametrize("name", SETTINGS)
def test_another_thread_sees_the_model_after_the_last_call(name, monkeypatch):
    """Also while the next call moves its arrays."""
    model = stream_of(name, CHUNKS[:5])
    expected, seen, advance = pickle.loads(pickle.dumps(model)), [], Stochastic.advance
    X, _ = CHUNKS[6]

    def watched(self, state):
        advance(self, state)
        seen.append((model.decision_function(X), model.coef_, model.intercept_))

    with monkeypatch.context() as patched:
        patched.setattr(Stochastic, "advance", watched)
        stream(model, CHUNKS[5:6], len(model.classes_))
    for scores, coef, intercept in seen:
        np.testing.assert_array_equal(coef, expected.coef_)
        np.testing.assert_array_equal(intercept, expected.intercept_)
        np.testing.assert_array_equal(scores, expected.decision_function(X))
    assert seen
    assert (model.coef_ != expected.coef_).any()


def test_a_model_that_was_set_by_hand_predicts_until_the_next_call():
    model = stream_of("adagrad", CHUNKS[:3])
    X, y = CHUNKS[3]
    expected, model.coef_ = model.coef_, np.zeros((1, D))
    assert np.ptp(model.decision_function(X)) == 0.0
    stored = pickle.loads(pickle.dumps(model))
    assert not stored.coef_.any()
    del model.coef_
    np.testing.assert_array_equal(model.coef_, expected)
    np.testing.assert_array_equal(stream(stored, [(X, y)]).coef_, stream(model, [(X, y)]).coef_)
    with pytest.raises(AttributeError, match="'GDClassifier' object has no attribute 'coef_'"):
        GDClassifier().coef_  # noqa: B018


# Rows of few classes under a strong penalty keep a row of K sums beside each column.
@pytest.mark.parametrize("name", OF_TWO)
def test_a_call_makes_no_vectors_as_long_as_there_are_columns(name):
    """And at most five are kept."""
    # What rates rest on is measured anew once in a half-life.
    half_life = {"forget": 500} if "forget" in SETTINGS[name] else {}
    model, vector = stream_of(name, WIDE_CHUNKS[:5], **half_life), 8 * WIDE
    assert len(pickle.dumps(model)) < 5.1 * vector
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        stream(model, WIDE_CHUNKS[5:7])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 0.25 * vector


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy])
def test_copies_go_their_own_ways(made):
    model = stream_of("adagrad", CHUNKS[:4])
    other, stored = made(model), pickle.dumps(model)
    stream(model, CHUNKS[4:8])
    expected = stream(pickle.loads(stored), CHUNKS[8:]).coef_
    np.testing.assert_array_equal(stream(other, CHUNKS[8:]).coef_, expected)


def test_a_model_is_not_moved_by_later_chunks():
    model = GDClassifier(random_state=0).fit(*CHUNKS[0])
    for X, y in CHUNKS[1:4]:
        held, before = model.coef_, model.coef_.copy()
        model.partial_fit(X, y)
        np.testing.assert_array_equal(held, before)


@pytest.mark.plain
def test_a_stream_that_stepped_too_far_goes_on_from_where_it_was():
    X, y = chunk(40)
    model = GDRegressor(solver="gd", random_state=0)
    for _ in range(3):
        model.partial_fit(X, 1.0 * y)
    before = model.coef_.copy()
    model.partial_fit(1e6 * X, 1.0 * y)
    assert np.isfinite(model.coef_).all()
    np.testing.assert_allclose(model.coef_, before, rtol=1.0, atol=1.0)
