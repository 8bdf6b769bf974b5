"""What plans expect of methods of past gradients."""

import numpy as np
import pytest

from fastgd import GDClassifier, Objective
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.moments import row_coupling, standard_spectrum
from fastgd.objective.row_spectrum import row_spectrum
from fastgd.solvers.krylov_iterations import (
    MOST,
    counted_on,
    fewest_iterations,
    lbfgs_iterations,
    newton_iterations,
    proof_cost,
    share_of_digits,
)


def made(n, d, alpha):
    """Normal numbers, log loss."""
    X = np.random.default_rng(0).standard_normal((n, d))
    return Objective("log_loss", X, np.where(X[:, 0] > 0.0, 1.0, -1.0), alpha=alpha, n_jobs=1)


@pytest.mark.parametrize("alpha", [1e-9, 10.0])
def test_iterations_by_the_spectrum_of_columns(alpha):
    F = made(200, 20, alpha)
    *greatest, least = standard_spectrum(F)
    told = [
        min(2.0 * j + c * np.sqrt(value / least) for j, value in enumerate(greatest))
        for c in (5.5, 4.5)
    ]
    assert lbfgs_iterations(F, 1e-4) == pytest.approx(max(told[0], 3.0))
    assert newton_iterations(F, 1e-4) == pytest.approx(max(told[1], 3.0))


def test_iterations_by_products_of_rows_where_these_are_fewer():
    F = made(20, 200, 0.1)
    *greatest, least = 1.0 + 0.25 * row_coupling(F) * row_spectrum(F)
    told = min(2.0 * j + 3.5 * np.sqrt(value / least) for j, value in enumerate(greatest))
    assert newton_iterations(F, 1e-4) == pytest.approx(max(told, 3.0))
    assert newton_iterations(made(20, 200, 0.0), 1e-4) == MOST


@pytest.mark.parametrize("common", [0.0, 1.0, 10.0])
def test_iterations_are_those_that_are_taken(common):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((2000, 150)) + common * rng.standard_normal((2000, 1))
    y = np.where(X[:, 0] + rng.logistic(size=2000) > 0.0, 1, -1)
    F = Objective("log_loss", X, y, alpha=1e-4, n_jobs=1)
    model = GDClassifier(alpha=1e-4, solver="lbfgs", tol=1e-4, n_jobs=1).fit(X, y)
    assert 0.4 < lbfgs_iterations(F, 1e-4) / model.n_iter_ < 2.5


def test_tolerances():
    assert share_of_digits(1e-4) == 1.0
    assert share_of_digits(1e-2) == pytest.approx(0.6)
    assert share_of_digits(None) == share_of_digits(0.0) > 3.0
    assert fewest_iterations(1e-4) == 3.0


def test_plans_count_on_more_where_a_matrix_would_do():
    assert counted_on(10.0) == pytest.approx(18.0)


def test_a_proof_takes_a_matrix_under_a_weak_penalty():
    weak, strong, wide = made(200, 20, 1e-6), made(200, 20, 0.1), made(20, 200, 1e-6)
    assert proof_cost(weak) == curvature_cost(weak) + solving_cost(weak, 20)
    assert proof_cost(strong) == proof_cost(wide) == 0.0
