"""Coordinates in which full-batch solvers move: linear, and those of the curvature."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.losses.base import Loss, typical_curvature
from fastgd.losses.classification import LogLoss
from fastgd.losses.domain import REALS
from fastgd.losses.regression import Huber
from fastgd.objective.moments import column_scales
from fastgd.objective.objective import Objective
from fastgd.solvers.gradient.preconditioner import (
    Coordinates,
    CurvatureCoordinates,
    choose_coordinates,
)
from support.twins import members, sparse_problem, with_jit


def coordinates_of(loss, penalty, storage, fit_intercept):
    X, y, weights, _ = sparse_problem(loss)
    X[:, 3] = X[:, 2] ** 2 - 1.0
    X = X * 10.0 ** np.arange(-3.0, 3.0)
    return Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        penalty=penalty,
        alpha=0.1,
        fit_intercept=fit_intercept,
    )


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize(
    "loss", with_jit([LogLoss()], [LogLoss(), Huber(0.7)]), ids=lambda loss: loss.name
)
def test_coordinates_are_linear_and_gradients_go_with_them(loss, penalty, storage, fit_intercept):
    F = coordinates_of(loss, penalty, storage, fit_intercept)
    rng = np.random.default_rng(1)
    for made in (Coordinates.standard(F), choose_coordinates(F)):
        u, direction = rng.standard_normal((2, F.size))
        v = made.to_user(u)
        np.testing.assert_allclose(made.from_user(v), u, rtol=1e-6, atol=1e-8)
        moved = made.to_user(u + direction) - v
        np.testing.assert_allclose(
            moved, made.to_user(direction), rtol=1e-7, atol=1e-9 * np.abs(moved).max()
        )
        g = rng.standard_normal(F.size)
        assert made.gradient(g) @ direction == pytest.approx(g @ made.to_user(direction), rel=1e-9)


def test_a_proximal_step_in_coordinates_is_one_in_the_users_units():
    F = coordinates_of(LogLoss(), "l1", np.asarray, True)
    made = Coordinates.standard(F)
    u = np.random.default_rng(2).standard_normal(7)
    found = made.to_user(made.proximal(F, u, 0.3))
    # argmin over coefficients of F.l1 |w|_1 + |u(w) - u|^2 / (2 * 0.3), one by one: w_j = u_j /
    # s_j.
    scales = made.scales[:, 0]
    expected = np.sign(u[:6]) * np.maximum(np.abs(u[:6] / scales) - F.l1 * 0.3 / scales**2, 0.0)
    np.testing.assert_allclose(found[:6], expected, rtol=1e-12)
    assert made.from_user(found)[6] == pytest.approx(u[6])


@pytest.mark.parametrize(
    "loss",
    with_jit([LogLoss(), Huber()], [one for one in members(Loss) if one.smooth and one.convex]),
    ids=lambda loss: loss.name,
)
def test_in_curvature_coordinates_the_curvature_bound_is_the_identity(loss):
    """Whatever the targets: far from 0 a Huber loss has no curvature of its own to go by."""
    X, y, weights, offsets = sparse_problem(loss)
    X[:, 3] = X[:, 2] ** 2 - 1.0
    if loss.target_domain == REALS:
        y = y + 1e5
    for given in (None, offsets + 50.0):
        F = Objective(loss, X, y, sample_weight=weights, offset=given, alpha=0.1)
        made = choose_coordinates(F)
        assert isinstance(made, CurvatureCoordinates)
        G = Objective(
            "squared_error", X, y, sample_weight=weights, alpha=0.1 / typical_curvature(loss)
        )
        matrix = typical_curvature(loss) * G.curvature_matrix(G.start())
        basis = np.array([made.to_user(e) for e in np.eye(7)]).T
        np.testing.assert_allclose(basis.T @ matrix @ basis, np.eye(7), atol=1e-6)


def test_columns_of_zeros_have_a_scale():
    F = Objective("log_loss", [[0.0, 2.0], [0.0, -4.0]], [1.0, -1.0], fit_intercept=False)
    np.testing.assert_array_equal(column_scales(F), [1.0, 4.0])
    for made in (Coordinates.standard(F), choose_coordinates(F)):
        assert np.isfinite(made.to_user(np.ones(2))).all()
    empty = Objective("squared_error", np.zeros((3, 2)), np.ones(3), fit_intercept=False)
    assert np.isfinite(choose_coordinates(empty).to_user(np.ones(2))).all()
