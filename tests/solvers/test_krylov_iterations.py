"""What plans expect of methods of past gradients."""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.krylov_iterations import (
    MAX_PASSES,
    fewest_iterations,
    lbfgs_iterations,
    newton_iterations,
    proof_cost,
    share_of_digits,
)
from fastgd.solvers.newton.column_subspace import choose_subspace
from support.problems import proved


def made(n, d, alpha):
    """Normal numbers, log loss."""
    X = np.random.default_rng(0).standard_normal((n, d))
    return Objective("log_loss", X, np.where(X[:, 0] > 0.0, 1.0, -1.0), alpha=alpha, n_jobs=1)


@pytest.mark.jit  # for long in plain Python
@pytest.mark.parametrize(
    ("told", "make", "shape", "common"),
    [
        *((lbfgs_iterations, LBFGS, (2000, 150), common) for common in (0.0, 1.0, 10.0)),
        *((newton_iterations, choose_subspace, (2000, 150), common) for common in (0.0, 1.0)),
        *((newton_iterations, choose_subspace, (150, 2000), common) for common in (0.0, 1.0)),
    ],
)
def test_iterations_are_those_that_are_taken(told, make, shape, common):
    rng = np.random.default_rng(1)
    X = rng.standard_normal(shape) + common * rng.standard_normal((shape[0], 1))
    y = np.where(X[:, 0] + rng.logistic(size=shape[0]) > 0.0, 1.0, -1.0)
    F = Objective("log_loss", X, y, alpha=1e-4, n_jobs=1)
    taken = proved(make(F), tol=1e-4).state.iteration
    assert 0.4 < told(F, 1e-4) / taken < 2.5


def test_nothing_is_known_of_fewer_rows_without_a_penalty():
    assert newton_iterations(made(20, 200, 0.0), 1e-4) == MAX_PASSES


def test_tolerances():
    assert share_of_digits(1e-4) == 1.0
    assert share_of_digits(1e-2) == pytest.approx(0.6)
    assert share_of_digits(None) == share_of_digits(0.0) > 3.0
    assert fewest_iterations(1e-4) == 3.0


def test_a_proof_takes_a_matrix_under_a_weak_penalty():
    weak, strong, wide = made(200, 20, 1e-6), made(200, 20, 0.1), made(20, 200, 1e-6)
    assert proof_cost(weak) == curvature_cost(weak) + solving_cost(weak, 20)
    assert proof_cost(strong) == proof_cost(wide) == 0.0
