"""Columns that proximal Newton steps move: how they are kept, and when they have no matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.objective.objective import Objective
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.settled_signs import settle, solve_support
from support.twins import with_ones


def objective(n, d, density, storage=sp.csr_array):
    X = sp.random_array(
        (n, d), density=density, random_state=np.random.default_rng(0), format="csr"
    ) + sp.eye_array(n, d, format="csr")
    return X.toarray(), Objective("squared_error", storage(X), np.zeros(n), penalty="l1", alpha=0.1)


@pytest.mark.parametrize("whole", [True, False], ids=["X itself", "gathered"])
def test_columns_are_kept_one_after_the_other(whole):
    X, F = objective(60, 12, 0.3)
    X, columns = with_ones(X), ColumnSubset(F, F.rows, None if whole else np.arange(12))
    for chosen in ([1, 4, 5, 9], [4, 9], [4, 10]):
        values, rows, starts, places = columns.by_column(np.array(chosen))
        for place, j in zip(places, [*chosen, 12], strict=True):
            column, part = np.zeros(60), slice(int(starts[place]), int(starts[place + 1]))
            column[rows[part]] = values[part]
            np.testing.assert_array_equal(column, X[:, j])


def test_columns_of_few_entries_have_no_matrix():
    _, F = objective(300, 200, 0.02)
    columns = ColumnSubset(F, F.rows)
    assert columns.are_swept(np.arange(200))  # 40,000 numbers for 1,400 entries
    assert not columns.are_swept(np.arange(36))  # 1,296 for 250
    assert not columns.are_swept(np.arange(30))  # fewer than there are rows
    assert not columns.are_swept(np.arange(36), far=True)  # too few to cost anything
    _, F = objective(300, 200, 0.02, lambda X: X.toarray())
    assert not ColumnSubset(F, F.rows).are_swept(np.arange(200))
    _, F = objective(300, 200, 0.2)
    columns = ColumnSubset(F, F.rows)
    assert not columns.are_swept(np.arange(110))  # 12,100 for 6,600: a matrix serves again
    assert columns.are_swept(np.arange(110), far=True)


@pytest.mark.parametrize("seed", range(5))
def test_the_support_is_settled_on_columns_as_on_the_matrix(seed):
    rng = np.random.default_rng(seed)
    X = with_ones(rng.standard_normal((30, 6)) * (rng.random((30, 6)) < 0.7))
    curvatures, amounts = rng.uniform(0.1, 1.0, 30), rng.standard_normal(30)
    coef = rng.standard_normal(7) * (np.arange(7) != 2)
    decay = np.append(np.full(6, 0.3), 0.0)
    matrix = X.T @ (curvatures[:, None] * X) / 30 + np.diag(decay)
    expected, derivative = coef.copy(), X.T @ amounts / 30 + decay * coef
    solve_support(matrix, derivative, expected, 0.2, 6)
    found, support, moved = coef.copy(), np.flatnonzero(coef), amounts.copy()
    settle(
        sp.csc_array(X[:, support]),
        support,
        np.diag(matrix),
        curvatures,
        moved,
        found,
        0.2,
        0.3,
        30,
        6,
    )
    np.testing.assert_allclose(
        found, expected, atol=0.05 * np.abs(expected - coef).max()
    )  # 3 % of the residual
    np.testing.assert_allclose(
        moved, amounts + curvatures * (X @ (found - coef)), rtol=1e-12, atol=1e-14
    )

    def model(u):
        e = u - coef
        return (
            (X.T @ amounts / 30 + decay * coef) @ e
            + 0.5 * e @ matrix @ e
            + 0.2 * np.abs(u[:6]).sum()
        )

    assert model(found) < model(coef)
    assert (found[:6] * coef[:6] >= 0.0).all()
