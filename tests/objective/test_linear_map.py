"""X w and X' a against NumPy, for every storage, for some of the rows and for some columns."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.losses.classification import LogLoss
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.objective import Objective
from fastgd.objective.subset import on_groups
from support.problems import wide

STORAGES = pytest.mark.parametrize(
    "stored", [np.asarray, np.asfortranarray, sp.csr_array], ids=["C", "Fortran", "CSR"]
)


def problem(stored, n=100, d=30, n_jobs=1):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.3)
    y = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    weights = rng.integers(0, 3, n).astype(float)
    offset = rng.standard_normal(n)
    return X, Objective(
        "log_loss",
        stored(X),
        y,
        sample_weight=weights,
        offset=offset,
        alpha=0.1,
        n_jobs=n_jobs,
    )


@STORAGES
def test_products_are_those_of_numpy_and_count_half_a_pass(stored):
    X, F = problem(stored)
    rng = np.random.default_rng(1)
    coef, derivatives, linear_map = rng.standard_normal(30), rng.standard_normal(100), LinearMap(F)
    np.testing.assert_allclose(linear_map.matvec(coef), X @ coef, rtol=1e-12, atol=1e-13)
    assert F.passes == 0.5
    np.testing.assert_allclose(
        linear_map.rmatvec(derivatives), X.T @ derivatives, rtol=1e-12, atol=1e-13
    )
    assert F.passes == 1.0
    out, total = np.full(100, np.nan), np.full(30, np.nan)
    assert linear_map.matvec(np.repeat(coef, 2)[::2], out) is out
    np.testing.assert_array_equal(out, linear_map.matvec(coef))
    assert linear_map.rmatvec(derivatives, total) is total
    np.testing.assert_array_equal(total, linear_map.rmatvec(derivatives))


@STORAGES
def test_losses_at_predictions_are_means_and_read_no_rows(stored):
    X, F = problem(stored)
    coef, linear_map, loss = np.linspace(-1.0, 1.0, 30), LinearMap(F), LogLoss()
    weights, n = F.samples.weights, F.n_active
    predictions = X @ coef + 0.3 + F.samples.offsets
    rows = list(zip(predictions, F.samples.targets, strict=True))
    found, derivatives, curvatures = linear_map.derivatives(X @ coef, 0.3)
    expected = weights * [loss.value(*row) for row in rows]
    assert found == pytest.approx(expected.sum() / n, rel=1e-12)
    assert linear_map.loss(X @ coef, 0.3) == pytest.approx(found, rel=1e-15)
    np.testing.assert_allclose(
        derivatives, weights * [loss.derivative(*row) for row in rows] / n, rtol=1e-12
    )
    np.testing.assert_allclose(
        curvatures, weights * [loss.curvature(*row) for row in rows] / n, rtol=1e-9
    )
    assert F.passes == 0.0
    given = np.full((2, 100), np.nan)
    assert linear_map.fill(X @ coef, 0.3, *given) == found
    np.testing.assert_array_equal(given[0] / n, derivatives)
    np.testing.assert_array_equal(given[1] / n, curvatures)


@STORAGES
def test_rows_outside_a_part_have_no_product(stored):
    X, F = problem(stored)
    part = on_groups(F, np.array([1, 4, 12]), 0.1)
    chosen = np.r_[8:16, 32:40, 96:100]
    coef, derivatives = np.linspace(-1.0, 1.0, 30), np.linspace(1.0, 2.0, 100)
    expected = np.zeros(100)
    expected[chosen] = X[chosen] @ coef
    linear_map = LinearMap(part)
    np.testing.assert_allclose(linear_map.matvec(coef), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        linear_map.rmatvec(derivatives), X[chosen].T @ derivatives[chosen], rtol=1e-12, atol=1e-13
    )
    assert F.passes == pytest.approx(20 / 100)


@STORAGES
def test_columns_count_what_they_store(stored):
    X, F = problem(stored)
    columns = np.array([3, 17, 29])
    rows = as_rows(stored(X[:, columns]), checked=True)
    linear_map = LinearMap(F, rows)
    np.testing.assert_allclose(
        linear_map.matvec(np.arange(3.0)), X[:, columns] @ np.arange(3.0), rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(
        linear_map.rmatvec(np.ones(100)), X[:, columns].sum(axis=0), rtol=1e-12, atol=1e-13
    )
    assert F.passes == pytest.approx(rows.stored() / F.rows.stored())


@pytest.mark.jit
@pytest.mark.parametrize(("n", "d"), [(20_000, 50), (300, 4000)])
def test_the_number_of_threads_changes_no_bit(n, d):
    X, F = problem(sp.csr_array, n, d)
    _, others = problem(sp.csr_array, n, d, n_jobs=2)
    coef, derivatives = np.linspace(-1.0, 1.0, d), np.linspace(1.0, 2.0, n)
    for one, other in ((LinearMap(F), LinearMap(others)),):
        np.testing.assert_array_equal(one.matvec(coef), other.matvec(coef))
        np.testing.assert_array_equal(one.rmatvec(derivatives), other.rmatvec(derivatives))
        np.testing.assert_allclose(
            one.rmatvec(derivatives), X.T @ derivatives, rtol=1e-10, atol=1e-10
        )
        assert one.loss(np.ones(n), 0.1) == other.loss(np.ones(n), 0.1)


def test_sweeps_are_products_and_count_half_a_pass():
    F = wide(LogLoss(), n=100)
    X = F.rows.matrix().toarray()
    linear_map, coef, amounts = LinearMap(F), np.arange(60.0), np.arange(100.0)
    np.testing.assert_allclose(linear_map.matvec(coef), X @ coef, atol=1e-10)
    np.testing.assert_allclose(linear_map.rmatvec(amounts), X.T @ amounts, atol=1e-9)
    assert F.passes == 1.0
