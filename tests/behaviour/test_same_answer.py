"""One answer: however X is stored, whatever the number of threads, weights or repeated rows, at
once or in parts.
"""

import functools

import numba
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor
from fastgd.rules.base import Rule
from support.twins import members

FULL = {"batch_size": "full"}
# Named solver and batch.  Few iterations: steps that follow the data in jumps let rounding grow
# from iteration to iteration.
NAMED = [
    {"solver": "gd", "learning_rate": "constant", "eta0": 0.05, **FULL},
    {"solver": "gd", "learning_rate": "line_search", **FULL},
    {"solver": "adam", "learning_rate": "constant", "eta0": 0.05, **FULL},
    {"solver": "gd", "learning_rate": "invscaling", "eta0": 0.1, "batch_size": 1},
    {"solver": "gd", **FULL},
    {"solver": "nesterov", **FULL},
    {"solver": "momentum", **FULL},
    {"solver": "adam", **FULL},
    {"solver": "gd", "batch_size": 16},
    {"solver": "nesterov", "learning_rate": "constant", "eta0": 0.01, "batch_size": 16},
    {"solver": "adam", "batch_size": 1},
    {"solver": "adagrad", "batch_size": 16},
]
# Each float32 storage compiles kernels of its own.
NARROW, CHUNKED = NAMED[:1] + NAMED[3:4], NAMED[-4:]
if numba.config.DISABLE_JIT:
    NAMED = NAMED[1::2]  # compiled, those between them


def name(parameters):
    return "-".join(str(value) for value in parameters.values())


@functools.cache
def data(n=120, d=7, n_classes=2):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)
    X[:, 1] = 0.0
    scores = X @ rng.standard_normal((d, n_classes)) + 0.5 * rng.standard_normal((n, n_classes))
    return X, scores.argmax(axis=1), X @ rng.standard_normal(d) + 0.3 * rng.standard_normal(n) + 1.0


def int64(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def unsorted(X):
    """CSR with the columns of each row backwards, each value in two halves, and zeros that are
    stored.
    """
    order = np.arange(X.shape[1])[::-1].repeat(2)
    indices, indptr = np.tile(order, X.shape[0]), np.arange(X.shape[0] + 1) * order.size
    return sp.csr_array((0.5 * X[:, order].ravel(), indices, indptr), shape=X.shape)


def memmap(X, folder):
    path = folder / "X.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


STORAGES = {
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "csr_int64": lambda X: int64(sp.csr_array(X)),
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "bsr": lambda X: sp.bsr_array(sp.csr_array(X)),
    "dok": sp.dok_array,
    "unsorted": unsorted,
    "fortran": np.asfortranarray,
    "strided": strided,
    "backwards": lambda X: X[::-1].copy()[::-1],
    "big_endian": lambda X: X.astype(">f8"),
    "pandas": lambda X: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
    "polars": lambda X: pl.DataFrame(X),
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "csr_float32": lambda X: sp.csr_array(X.astype(np.float32)),
}


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("parameters", NAMED, ids=name)
def test_the_model_is_the_same_however_X_is_stored(parameters, tmp_path):
    X, labels, target = data()
    for model, y in ((GDClassifier(), labels), (GDRegressor(), target)):
        model.set_params(max_iter=10, tol=None, random_state=0, **parameters)
        expected = model.fit(X, y)
        coef, intercept, scores = (
            expected.coef_.copy(),
            expected.intercept_.copy(),
            expected.predict(X),
        )
        for storage, make in {**STORAGES, "memmap": lambda X: memmap(X, tmp_path)}.items():
            if "float32" in storage and parameters not in NARROW:
                continue
            stored = make(X)
            tolerance = 1e-4 if "float32" in storage else 1e-10
            model.fit(stored, y)
            np.testing.assert_allclose(
                model.coef_, coef, rtol=tolerance, atol=tolerance, err_msg=storage
            )
            np.testing.assert_allclose(
                model.intercept_, intercept, rtol=tolerance, atol=tolerance, err_msg=storage
            )
            np.testing.assert_allclose(
                model.predict(stored), scores, rtol=1e-4, atol=1e-4, err_msg=storage
            )


@pytest.mark.parametrize("parameters", [{}, {"solver": "gd", **FULL}], ids=name)
def test_storage_with_automatic_steps(parameters):
    X, labels, target = data()
    for model, y in ((GDClassifier(alpha=1e-2), labels), (GDRegressor(alpha=1e-2), target)):
        model.set_params(tol=1e-10, **parameters)
        coef = model.fit(X, y).coef_.copy()
        for storage in ("csr_array", "csc", "unsorted", "fortran", "csr_int64"):
            model.fit(STORAGES[storage](X), y)
            np.testing.assert_allclose(model.coef_, coef, rtol=1e-5, atol=1e-6, err_msg=storage)


def test_integers_are_numbers():
    X = np.random.default_rng(0).integers(-3, 4, (60, 4))
    y = X @ [1, -2, 0, 1]
    coef = GDRegressor().fit(X.astype(float), y).coef_
    for integers in (X, X.astype(np.int8), sp.csr_array(X)):
        np.testing.assert_allclose(
            GDRegressor().fit(integers, y).coef_, coef, rtol=1e-10, atol=1e-12
        )
    positive = X > 0
    np.testing.assert_array_equal(
        GDRegressor().fit(positive, y).coef_, GDRegressor().fit(positive.astype(float), y).coef_
    )


@pytest.mark.thinned(plain=2, compiled=2)
@pytest.mark.parametrize(
    "parameters", [{}, {"solver": "adam", "batch_size": 16}, {"penalty": "l1"}], ids=name
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_threads(parameters, n_classes):
    rng = np.random.default_rng(0)
    # Wide enough that a pass is worth a thread and has blocks to share.
    X = (
        rng.standard_normal((400, 40))
        if numba.config.DISABLE_JIT
        else rng.standard_normal((20_000, 40))
    )
    y = (X[:, :n_classes] + rng.standard_normal((X.shape[0], n_classes))).argmax(axis=1)
    kw = {"random_state": 0, "max_iter": 5, "tol": None, **parameters}
    one = GDClassifier(n_jobs=1, **kw).fit(X, y)
    for n_jobs in (2, 3, 5, 8, None):
        other = GDClassifier(n_jobs=n_jobs, **kw).fit(X, y)
        np.testing.assert_array_equal(other.coef_, one.coef_)
        np.testing.assert_array_equal(other.intercept_, one.intercept_)
        assert other.objective_ == one.objective_
    parts = [
        GDClassifier(n_jobs=n_jobs, **kw).partial_fit(X[:300], y[:300], np.arange(n_classes))
        for n_jobs in (1, 4)
    ]
    np.testing.assert_array_equal(parts[0].coef_, parts[1].coef_)


LOSSES = [
    (GDClassifier, "log_loss"),
    (GDClassifier, "squared_hinge"),
    (GDClassifier, "modified_huber"),
    (GDRegressor, "squared_error"),
    (GDRegressor, "huber"),
    (GDRegressor, "squared_epsilon_insensitive"),
]


# Without the JIT each solver with another loss.
@pytest.mark.thinned(plain=7, compiled=1)
@pytest.mark.parametrize(("cls", "loss"), LOSSES)
@pytest.mark.parametrize("solver", [rule.name for rule in members(Rule)])
def test_weights_are_repeated_rows_however_rows_are_stored_and_ordered(cls, loss, solver):
    X, labels, target = data()
    y = labels if cls is GDClassifier else target
    weights = np.random.default_rng(1).integers(0, 4, y.size)
    model = cls(
        loss=loss,
        solver=solver,
        batch_size="full",
        tol=1e-10,
        alpha=0.1,
        epsilon=0.5,
        max_iter=10_000,
    )
    model.fit(X, y, sample_weight=weights)
    assert model.converged_
    coef, intercept = model.coef_.copy(), model.intercept_.copy()
    kept = weights > 0
    same = {
        "repeated": (X.repeat(weights, axis=0), y.repeat(weights), None),
        "removed": (X[kept], y[kept], weights[kept]),
        "scaled": (X, y, 1e-3 * weights),
        "scaled up": (X, y, 1e200 * weights),
        "sparse": (sp.csr_array(X), y, weights),
        "shuffled": (X[::-1], y[::-1], weights[::-1]),
    }
    for what, (X_same, y_same, weight) in same.items():
        model.fit(X_same, y_same, sample_weight=weight)
        # A tol of 1e-10 leaves them up to 6e-5 apart; where proofs are tried at other checks 6e-7.
        np.testing.assert_allclose(model.coef_, coef, rtol=0, atol=2e-6, err_msg=what)
        np.testing.assert_allclose(model.intercept_, intercept, rtol=0, atol=2e-6, err_msg=what)


@pytest.mark.parametrize("solver", ["nesterov", "gd"])
@pytest.mark.parametrize("seed", range(4))
def test_repeated_rows_take_the_same_path_with_more_columns_than_rows(seed, solver):
    """In coordinates of the curvature, directions that no row sees let rounding decide what the
    others do.
    """
    rng = np.random.default_rng(seed)
    X, y, weights = rng.random((15, 30)), np.arange(15) % 2, rng.integers(1, 5, 15)
    one = GDClassifier(solver=solver, batch_size="full").fit(X, y, sample_weight=weights)
    two = GDClassifier(solver=solver, batch_size="full").fit(
        X.repeat(weights, axis=0), y.repeat(weights)
    )
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-9, atol=1e-9)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("parameters", CHUNKED, ids=name)
def test_scale_of_weights_and_rows_without_any(parameters):
    X, labels, _ = data()
    weights = np.random.default_rng(1).uniform(0.1, 3.0, labels.size)
    weights[::5] = 0.0
    kw = {"random_state": 0, "max_iter": 4, "tol": None, "shuffle": False, **parameters}
    one = GDClassifier(**kw).fit(X, labels, sample_weight=weights)
    for scale in (1e-3, 7.0):
        other = GDClassifier(**kw).fit(X, labels, sample_weight=scale * weights)
        np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-7, atol=1e-9)
    kept = weights > 0
    other = GDClassifier(**kw).fit(X[kept], labels[kept], sample_weight=weights[kept])
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-7, atol=1e-9)
    assert other.t_ == one.t_


def test_class_weights_are_sample_weights():
    X, labels, _ = data(n_classes=3)
    chosen = {0: 2.0, 1: 1.0, 2: 0.5}
    a = GDClassifier(class_weight=chosen, tol=1e-8).fit(X, labels)
    b = GDClassifier(tol=1e-8).fit(X, labels, sample_weight=np.array([2.0, 1.0, 0.5])[labels])
    np.testing.assert_array_equal(a.coef_, b.coef_)
    a = GDClassifier(class_weight="balanced").fit(X, labels, sample_weight=np.arange(labels.size))
    totals = np.bincount(labels, weights=np.arange(labels.size))
    b = GDClassifier().fit(X, labels, sample_weight=np.arange(labels.size) / totals[labels])
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-9, atol=1e-11)
