"""Curvature matrices with exclusive columns apart, against those in one piece."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.certificates.newton_decrement import longest_row
from fastgd.data.rows import CSRRows, ShiftedRows
from fastgd.linalg.bordered import BorderedFactor
from fastgd.linalg.cholesky import Factor
from fastgd.objective.exclusive.columns import find_exclusive
from fastgd.objective.exclusive.matrix import BorderedCurvature, bordered_cost, rows_by_column
from fastgd.objective.objective import Objective
from fastgd.objective.subset import on_groups
from support.categories import categories
from support.twins import with_jit

STORAGES = {"dense": np.asarray, "csr": sp.csr_array, "fortran": np.asfortranarray}


def objective(X, *, n_jobs=1, alpha=0.01, **parameters):
    y = np.where(np.arange(X.shape[0]) % 3, 1.0, -1.0)
    return Objective("log_loss", X, y, alpha=alpha, n_jobs=n_jobs, **parameters)


def shifted(X):
    """With its last column, which is nowhere 0, read as distances."""
    F = objective(X)
    centers = np.zeros(X.shape[1])
    centers[-1] = 2.0
    F.use_rows(ShiftedRows(F.rows, centers))
    return F


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
def test_it_is_the_matrix_in_one_piece(storage, fit_intercept):
    X, rng = categories(), np.random.default_rng(0)
    F = objective(STORAGES[storage](X), fit_intercept=fit_intercept)
    for curvatures in (np.ones(90), rng.random(90) * (rng.random(90) < 0.8), np.zeros(90)):
        mine, whole = BorderedCurvature(F).at(curvatures), F.gram(curvatures)
        np.testing.assert_allclose(mine.toarray(), whole, rtol=1e-12, atol=1e-15)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("storage", [sp.csr_array, np.asarray], ids=["csr", "dense"])
def test_columns_far_from_zero_are_read_as_distances(storage):
    X = categories()
    X[:, -1] += 10.0
    F = shifted(storage(X))
    curvatures = np.linspace(0.1, 1.0, 90)
    mine = BorderedCurvature(F).at(curvatures).toarray()
    np.testing.assert_allclose(mine, F.gram(curvatures), rtol=1e-12, atol=1e-15)
    assert isinstance(F.rows.storage, CSRRows) == (storage is sp.csr_array)


def test_of_some_of_the_rows():
    X = categories(400)
    F = objective(sp.csr_array(X))
    part = on_groups(F, np.array([0, 2, 3, 11, 40]), 0.1)
    curvatures = np.zeros(400)
    for first, stop in part.ranges:
        curvatures[first:stop] = np.random.default_rng(first).random(stop - first)
    order, _ = rows_by_column(part)
    assert sorted(order) == np.flatnonzero(curvatures).tolist()
    mine = BorderedCurvature(part).at(curvatures).toarray()
    np.testing.assert_allclose(mine, part.gram(curvatures), rtol=1e-12, atol=1e-15)


def test_rows_are_in_the_order_of_their_exclusive_column():
    X = categories()
    F = objective(sp.csr_array(X))
    order, starts = rows_by_column(F)
    for k, column in enumerate(find_exclusive(F).first):
        assert order[starts[k] : starts[k + 1]].tolist() == np.flatnonzero(X[:, column]).tolist()
    assert order[starts[-2] :].tolist() == [4, 5, 6, 7, 8, 11]


def test_storages_and_threads_do_not_change_the_bits():
    X, curvatures = categories(3000, (40, 6, 3)), np.random.default_rng(0).random(3000)
    found = [
        BorderedCurvature(objective(storage(X), n_jobs=n)).at(curvatures)
        for storage in (np.asarray, sp.csr_array)
        for n in with_jit((1, 2), (1, 3))
    ]
    dense, sparse = found[0], found[2]
    for one in found[1:]:
        np.testing.assert_allclose(one.toarray(), dense.toarray(), rtol=1e-12)
    for alike in (found[:2], found[2:]):
        np.testing.assert_array_equal(alike[0].toarray(), alike[1].toarray())
    np.testing.assert_array_equal(dense.coupling.toarray(), sparse.coupling.toarray())


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
def test_the_longest_row_is_that_of_the_matrix_in_one_piece(storage, fit_intercept):
    X, weights = categories(), np.arange(90) % 4
    F = objective(STORAGES[storage](X), fit_intercept=fit_intercept, sample_weight=weights)
    curvatures = np.random.default_rng(0).random(90) * F.samples.weights
    mine = BorderedFactor(BorderedCurvature(F).at(curvatures))
    expected = longest_row(F, Factor(F.gram(curvatures)).root())
    np.testing.assert_allclose(BorderedCurvature(F).longest_row(mine), expected, rtol=1e-9)


def test_the_cost_rises_with_what_is_left():
    few, many = (objective(sp.csr_array(categories(500, (40, k)))) for k in (3, 300))
    costs = [bordered_cost(F, find_exclusive(F)) for F in (few, many)]
    assert costs[0] > 0.0
    assert np.isfinite(costs).all()
