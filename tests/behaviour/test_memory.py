"""Peak memory of a fit beyond X: a tenth of X, four vectors of length n, and what the method
needs in d.
"""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.certificates.newton_decrement import longest_row
from fastgd.objective.subset import on_groups

# What a method may need in d: vectors, and where d is small, matrices; and buffers of 2^16 values,
# in bytes.
VECTORS, MATRICES, SLACK = 12, 6, 1_500_000

pytestmark = pytest.mark.jit


def dense(n=80_000, d=40):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, np.where(X[:, 0] + rng.standard_normal(n) > 0, 1.0, -1.0)


def sparse(n, d, k=24):
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(d, size=(n, k)), axis=1).astype(np.int32).ravel()
    X = sp.csr_array(
        (rng.standard_normal(n * k), indices, np.arange(0, n * k + 1, k, dtype=np.int32)),
        shape=(n, d),
    )
    X.sum_duplicates()
    return X, np.where(X[:, : d // 10].sum(axis=1) + rng.standard_normal(n) > 0, 1.0, -1.0)


def peak_beyond(model, X, y):
    """Bytes at the peak of a fit, beside X and y, once kernels are compiled."""
    model.fit(X[:2000], y[:2000])
    model.fit(X, y)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        model.fit(X, y)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def allowed(X, copies=0):
    (n, d), parts = X.shape, (X.data, X.indices, X.indptr) if sp.issparse(X) else (X,)
    size = sum(part.nbytes for part in parts)
    in_d = VECTORS * d + (MATRICES * d * d if d <= 1000 else 0)
    return (0.1 + copies) * size + 8 * (4 * n + in_d) + SLACK


FORMS = {
    "dense": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_dense_fit(form):
    X, y = dense()
    model = GDClassifier(alpha=1.0 / y.size, n_jobs=1)
    peak, most = peak_beyond(model, FORMS[form](X), y), allowed(FORMS[form](X))
    assert peak <= most
    assert "copied" not in str(model.plan_)


@pytest.mark.parametrize("solver", ["nesterov", "newton"])
def test_full_batch_solvers_read_fortran_order_where_it_is(solver):
    X, y = dense()
    model = GDRegressor(solver=solver, batch_size="full", alpha=1e-3, n_jobs=1, tol=1e-3)
    peak, most = peak_beyond(model, np.asfortranarray(X), y), allowed(X)
    assert peak <= most
    assert "copied" not in str(model.plan_)


def test_solvers_of_single_rows_take_one_copy_and_say_so():
    X, y = dense(20_000)
    model = GDClassifier(
        solver="gd", batch_size=1, learning_rate="constant", max_iter=2, tol=None, n_jobs=1
    )
    peak, most = peak_beyond(model, np.asfortranarray(X), y), allowed(X, copies=1)
    assert X.nbytes <= peak <= most
    assert "copied once" in str(model.plan_)


@pytest.mark.parametrize("shape", [(60_000, 300), (2_000, 20_000)])
def test_a_sparse_fit(shape):
    X, y = sparse(*shape)
    peak, most = peak_beyond(GDClassifier(alpha=1.0 / y.size, n_jobs=1), X, y), allowed(X)
    assert peak <= most


def test_one_against_the_rest_keeps_one_table_of_coefficients():
    """Points, coefficients and the array that was made of these were three of them."""
    n_classes, width = 60, 20_000
    X, _ = sparse(600, width)
    y = np.arange(600) % n_classes
    model = GDClassifier("hinge", n_jobs=1)
    peak = peak_beyond(model, X, y)
    assert peak <= 8 * width * (n_classes + VECTORS) + SLACK
    assert model.coef_.shape == (n_classes, width)


@pytest.mark.parametrize("looked_at", ["moments", "norms"])
def test_the_rows_are_not_copied_for_their_norms(looked_at):
    X, y = sparse(60_000, 40)
    F = Objective("log_loss", X, y, alpha=1e-4)
    if looked_at == "moments":
        F.moments()
    longest_row(on_groups(F, np.arange(8), 1e-4), np.eye(41))
    tracemalloc.start()
    try:
        longest_row(F, np.eye(41))
        assert (
            tracemalloc.get_traced_memory()[1]
            < 0.1 * (X.data.nbytes + X.indices.nbytes) + 8 * 4 * y.size + SLACK
        )
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(
        F.rows.column_norms(), np.sqrt(X.multiply(X).sum(axis=0)).ravel(), rtol=1e-12
    )


@pytest.mark.jit
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_one_class_after_the_other(loss):
    """All at once they held 2 and 5.6 numbers for each row and class; now some vectors in all."""
    X, _ = dense(20_000)
    y = np.digitize(X[:, 0], np.linspace(-2.0, 2.0, 19))
    model = GDClassifier(loss, multi_class="ovr", n_jobs=1, max_iter=4, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter was reached
        peak = peak_beyond(model, X, y)
    assert peak <= 8 * 30 * y.size
    assert len(model.plan_) == len(model.history_) == 20
    assert str(model.plan_).count("\n") <= 4
    assert model.plan_._repr_html_().startswith("<table><tr><td>")
