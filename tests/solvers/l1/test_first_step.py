"""Columns that seldom meet in a row all move in the first step under an L1 penalty."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier
from fastgd.objective.objective import Objective
from fastgd.solvers.l1.working_set import WorkingSet


def even_columns(n=4000, d=2000, per_row=10):
    """Normal numbers in columns that are equally frequent."""
    rng = np.random.default_rng(0)
    columns, values = rng.integers(d, size=(n, per_row)), rng.standard_normal((n, per_row))
    X = sp.csr_array((values.ravel(), columns.ravel(), np.arange(0, n * per_row + 1, per_row)))
    X.sum_duplicates()
    y = np.where(X @ rng.standard_normal(X.shape[1]) + rng.logistic(size=n) > 0.0, 1.0, -1.0)
    return X, y


def test_columns_that_seldom_meet_all_move_in_the_first_step():
    X, y = even_columns()
    alpha = 0.03 * np.abs(X.T @ y).max() / (2.0 * y.size)

    def first(X):
        problem = {"penalty": "l1", "alpha": alpha, "fit_intercept": False}
        solver = WorkingSet(Objective("log_loss", X, y, **problem), tol=1e-2)
        state = solver.start(solver.objective.start())
        solver.advance(state)
        return np.count_nonzero(state.point)

    assert first(X) > 1000  # it was 200 times what the set held
    assert first(sp.csr_array(sp.hstack([X[:, :20]] * 100))) <= 200


@pytest.mark.jit
def test_a_fit_that_all_columns_begin_is_proved_and_repeats():
    X, y = even_columns()
    alpha = 0.003 * np.abs(X.T @ y).max() / (2.0 * y.size)
    fits = [
        GDClassifier(
            penalty="l1", alpha=alpha, fit_intercept=False, tol=1e-6, n_jobs=jobs, solver="newton"
        ).fit(X, y)
        for jobs in (1, 2)
    ]
    assert all(fit.converged_ and fit.bound_kind_ == "proof" for fit in fits)
    assert fits[0].coef_.tolist() == fits[1].coef_.tolist()
