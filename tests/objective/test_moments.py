"""What plans and steps ask of the rows, against matrices that are written out."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import from_chunks
from fastgd.objective.moments import (
    _means_of_columns,
    row_freedom,
    sample_of_rows,
    sampled_curvature,
    standard_spectrum,
)
from fastgd.objective.objective import Objective


def rows(n=40, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6), rng.standard_normal(n)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sampled_curvature_is_the_eigenvalue_of_the_matrix(storage, fit_intercept):
    X, y = rows()
    weights, scales = (
        np.random.default_rng(1).integers(0, 4, len(X)).astype(float),
        1.0 / (1 + y[:5]),
    )
    F = Objective("huber", storage(X), y, fit_intercept=fit_intercept, sample_weight=weights)
    Z = np.hstack([X * scales, np.full((len(X), int(fit_intercept)), 2.0)])
    greatest = np.linalg.eigvalsh(Z.T @ (weights[:, None] * Z) / weights.sum())[-1]
    found, passes = sampled_curvature(F, F.samples.active(), scales, 2.0, 0)
    assert 0.98 * greatest <= found <= greatest * (1.0 + 1e-12)
    assert passes == 40.0  # 20 products, each of them forth and back, with all rows


@pytest.mark.parametrize("d", [3, 400])
@pytest.mark.parametrize("weighted", [True, False])
def test_moments_of_blocks_are_those_of_all_rows(d, weighted):
    """With 400 columns blocks of 5 rows have fewer values than columns: they share one table."""
    X, y = rows(40, d)
    X = sp.csr_array(X if d < 10 else X * (np.arange(d) % 7 == 0))
    weights = np.arange(40) % 3 if weighted else np.ones(40)
    own = [slice(first, first + 5) for first in range(0, 40, 5)]
    source = from_chunks(lambda: ((X[part], y[part], weights[part]) for part in own))
    F = Objective("huber", X, y, sample_weight=weights)
    others = Objective("huber", source, memory=1e5)
    for truth, found in zip(F.moments(), others.moments(), strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-13, atol=1e-15)
    if not weighted:
        assert others.moments().columns is others.rows.moments.columns  # not kept twice


def test_weights_are_repeated_rows_in_sampled_curvature():
    X, y = rows()
    times = np.where(np.arange(len(X)) < 4, 30, 1)
    weighted = Objective("huber", X, y, sample_weight=times.astype(float))
    repeated = Objective("huber", np.repeat(X, times, axis=0), np.repeat(y, times))
    one, other = (
        sampled_curvature(F, F.samples.active(), np.ones(5), 1.0, 3)[0]
        for F in (weighted, repeated)
    )
    assert one == pytest.approx(other, rel=0.02)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_spectrum_of_standardised_columns(storage, alpha):
    X, y = rows(n=90)  # all of the rows are looked at
    X[:, 1] = 50.0 * (X[:, 0] + 0.1 * X[:, 1])
    F = Objective("squared_error", storage(X), y, alpha=alpha)
    curvature = np.cov(X.T, bias=True) + F.l2 * np.eye(5)
    scales = 1.0 / np.sqrt(np.diag(curvature))
    values = np.linalg.eigvalsh(scales[:, None] * curvature * scales)[::-1]
    found = standard_spectrum(F)
    np.testing.assert_allclose(found[[0, -1]], values[[0, -1]], rtol=1e-6)
    np.testing.assert_allclose(found[1:-1], np.maximum(values[1:-1], 1.0), rtol=1e-6)
    if alpha == 0.0:  # shifts and units are of no account
        moved = Objective("squared_error", storage(1e3 * (X + np.arange(5.0))), y)
        np.testing.assert_allclose(standard_spectrum(moved), found, rtol=1e-3)


def test_what_few_rows_show_is_no_spread():
    X = np.random.default_rng(0).standard_normal((20_000, 400))
    y = X[:, 0].copy()
    values = np.linalg.eigvalsh(np.corrcoef(X.T))[::-1]
    found = standard_spectrum(Objective("huber", X, y))
    assert found[0] == pytest.approx(values[0], rel=0.2)
    assert 0.8 * values[-1] < found[-1] <= 1.0  # ten products do not reach the lower end
    assert standard_spectrum(Objective("huber", np.zeros((3, 2)), np.ones(3))).tolist() == [1.0]


@pytest.mark.parametrize("n_columns", [400, 1200])
def test_some_rows_tell_the_least_eigenvalue_of_all_products(n_columns):
    rng = np.random.default_rng(0)
    X = (rng.random((300, n_columns)) < 0.3).astype(float)
    X = X[:, X.any(axis=0)]
    products = X / np.linalg.norm(X, axis=1)[:, None]
    least = np.linalg.eigvalsh(products @ products.T)[0]
    dense, sparse = (
        row_freedom(Objective("hinge", rows, np.sign(X[:, 0] - 0.5)))
        for rows in (X, sp.csr_array(X))
    )
    assert dense.least(300) == pytest.approx(sparse.least(300))
    assert 0.5 * least < dense.least(300) < 2.0 * least
    twice = Objective("hinge", np.repeat(X[:2], 20, axis=0), np.tile([-1.0, 1.0], 20))
    assert row_freedom(twice).least(40) == pytest.approx(0.0)


def test_a_sample_is_of_rows_that_count():
    """Rows of weight 0 were drawn, too: what plans knew was theirs where few rows count."""
    X = np.arange(400.0)[:, None]
    weights = np.where(X[:, 0] % 40 == 7, 2.0, 0.0)
    F = Objective("squared_error", X, X[:, 0], sample_weight=weights)
    np.testing.assert_array_equal(sample_of_rows(F), X[7::40])


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_means_of_columns_are_their_formula(storage):
    X = np.random.default_rng(0).standard_normal((40, 5)) * [1.0, 0.0, 2.0, 1e-3, 5.0]
    means, squares = _means_of_columns(storage(X))
    np.testing.assert_allclose(means, X.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(squares, (X**2).mean(axis=0), rtol=1e-12)
