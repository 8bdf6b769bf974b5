"""Quadratics with an L1 part where coordinate descent is lost: conditions of the minimum, and
fits by way of them.
"""

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor
from fastgd.linalg.cholesky import Ridged
from fastgd.solvers.l1.quadratic_interior_point import follow_central_path


def columns(kind, n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if kind == "alike":
        X = rng.standard_normal((n, 4)) @ rng.standard_normal((4, d)) + 1e-3 * X
    return X * 10.0 ** rng.uniform(-4.0, 4.0, d) if kind == "wild" else X


@pytest.mark.parametrize("kind", ["plain", "alike", "wild"])
@pytest.mark.parametrize("shape", [(60, 20), (20, 50)])
@pytest.mark.parametrize("free", [0, 1])
def test_conditions_of_the_minimum(kind, shape, free):
    X = columns(kind, *shape)
    n, d = shape
    wide = np.column_stack([X, np.ones(n)])[:, : d + free]
    target = X[:, :3] @ (1.0 / np.abs(X[:, :3]).max(axis=0)) + 0.1 * np.random.default_rng(
        1
    ).standard_normal(n)
    H, unknowns = wide.T @ wide / n, np.zeros(d + free)
    unknowns[:2] = 0.1 / np.abs(X[:, :2]).max(axis=0)
    derivative, start = H @ unknowns - wide.T @ target / n, 0.5 * np.mean(target**2)
    l1 = 0.01 * np.abs(derivative[:d]).max()
    follow_central_path(H, derivative, unknowns, l1, d)
    np.testing.assert_allclose(derivative, H @ unknowns - wide.T @ target / n, atol=1e-7 * l1)
    coef, own = unknowns[:d], derivative[:d]
    off = np.where(coef != 0.0, np.abs(own + l1 * np.sign(coef)), np.maximum(np.abs(own) - l1, 0.0))
    # How far the quadratic can be from its minimum: what each condition is missed by, times the way
    # to 0.
    assert off @ np.abs(coef) + np.abs(derivative[d:]) @ np.abs(unknowns[d:]) <= 1e-4 * start
    assert off.max() <= 0.1 * l1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_ridged_factor_of_what_is_not_finite_ends_and_says_so(bad):
    matrix = np.eye(3)
    matrix[0, 1] = matrix[1, 0] = bad
    with np.errstate(all="ignore"):
        assert not np.isfinite(Ridged(matrix, np.zeros(3)).solve(np.ones(3))).all()


def test_a_ridged_factor_solves_and_takes_what_is_singular():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 6)) * 10.0 ** np.arange(6.0)
    H, diagonal_shift = root.T @ root, rng.uniform(0.1, 1.0, 4)
    whole = H + np.diag(np.append(diagonal_shift, [0.0, 0.0]))
    right = rng.standard_normal((6, 2))
    np.testing.assert_allclose(
        Ridged(H, diagonal_shift).solve(right), np.linalg.solve(whole, right), rtol=1e-7
    )
    np.testing.assert_allclose(
        Ridged(H, diagonal_shift).solve(right[:, 0]), np.linalg.solve(whole, right[:, 0]), rtol=1e-7
    )
    assert np.isfinite(Ridged(np.ones((3, 3)), np.zeros(0)).solve(np.ones(3))).all()
    assert np.isfinite(Ridged(np.zeros((3, 3)), np.zeros(3)).solve(np.ones(3))).all()


@pytest.mark.jit
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize(
    ("kind", "shape"), [("alike", (80, 150)), ("wild", (300, 20)), ("shifted", (300, 20))]
)
def test_log_loss_is_proved_in_few_iterations(kind, shape, penalty):
    """At max_iter without a bound where steps were taken with models that coordinate descent had
    not minimised.
    """
    X = columns("wild" if kind == "shifted" else kind, *shape)
    rng = np.random.default_rng(3)
    target = (X / X.std(axis=0))[:, :5] @ rng.standard_normal(5) + 0.3 * rng.standard_normal(
        shape[0]
    ) > 0.0
    if kind == "shifted":
        X = X + 1e3 * X.std(axis=0)
    model = GDClassifier(penalty=penalty, random_state=0).fit(X, target)
    assert model.suboptimality_ <= 1e-4
    assert model.n_iter_ <= 20


@pytest.mark.jit
def test_few_rows_go_on_along_the_central_path_of_all_columns():
    X = columns("plain", 40, 400)
    target = X[:, :5].sum(axis=1) + 0.1 * np.random.default_rng(1).standard_normal(40)
    net = {"penalty": "elasticnet", "l1_ratio": 0.5, "random_state": 0}
    model = GDRegressor("huber", **net).fit(X, target)
    assert "interior point" in model.plan_.form
    # By way of dual ascent, which was told far too little, it took three times as many passes.
    assert "sdca" not in str(model.plan_)
    assert model.suboptimality_ <= 1e-4
    path = GDRegressor("huber", **net, tol=1e-8).fit(X, target)
    assert path.objective_ <= model.objective_ <= path.objective_ * (1.0 + 1e-4) + 1e-12
