"""The curvature matrix of K predictions against Kronecker products, row by row."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.losses.multinomial import Multinomial
from fastgd.objective.objective import Objective
from fastgd.objective.subset import on_groups
from fastgd.objective.vector_gram import hold_shifts
from support.components import ToyMultiSquared


def problem(loss, storage, fit_intercept=True, alpha=0.1):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 4)) * (rng.random((40, 4)) < 0.7)
    y = rng.integers(0, 3, 40) if isinstance(loss, Multinomial) else rng.standard_normal((40, 3))
    weights = rng.uniform(0.5, 1.5, 40) * (rng.random(40) < 0.8)
    F = Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        offset=0.1 * rng.standard_normal(40),
        alpha=alpha,
        fit_intercept=fit_intercept,
        n_jobs=2,
    )
    return F, X, rng.standard_normal(F.size)


def by_kronecker(F, X, v):
    """Sum over the rows of (x, 1)(x, 1)' (x) H, H = diag(p) - p p'."""
    W = np.zeros((5, 3))
    W.ravel()[: v.size] = v
    total = np.zeros((15, 15))
    weights, offsets = F.samples.weights, F.samples.offsets
    for i, x in enumerate(X):
        row = np.append(x, 1.0)
        odds = np.exp(row @ W + offsets[i])
        p = odds / odds.sum()
        H = np.diag(p) - np.outer(p, p) if isinstance(F.loss, Multinomial) else np.eye(3)
        total += weights[i] * np.kron(np.outer(row, row), H)
    total /= F.n_active
    total[np.arange(12), np.arange(12)] += F.l2
    return total[: v.size, : v.size]


@pytest.mark.parametrize("loss", [Multinomial(), ToyMultiSquared()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_is_the_sum_of_kronecker_products(loss, storage, fit_intercept):
    F, X, v = problem(loss, storage, fit_intercept)
    matrix = F.curvature_matrix(v)
    atol = 1e-12 if isinstance(loss, Multinomial) else 1e-8
    np.testing.assert_allclose(matrix, by_kronecker(F, X, v), rtol=1e-9, atol=atol)
    p = np.cos(np.arange(F.size))
    np.testing.assert_allclose(matrix @ p, F.hessian_product(v, p), rtol=1e-6, atol=atol)


def test_a_part_has_its_own():
    F, _, v = problem(Multinomial(), np.asarray)
    part = on_groups(F, np.array([1, 4]), 0.3)
    p = np.cos(np.arange(F.size))
    found = part.curvature_matrix(v) @ p
    np.testing.assert_allclose(found, part.hessian_product(v, p), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_common_shifts_get_curvature_and_nothing_else_does(alpha):
    F, _, v = problem(Multinomial(), np.asarray, alpha=alpha)
    matrix = F.curvature_matrix(v)
    held = hold_shifts(F, matrix.copy())
    assert np.linalg.eigvalsh(held).min() > 1e-4
    rng = np.random.default_rng(0)
    across = rng.standard_normal((5, 3))
    across -= across.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(held @ across.ravel(), matrix @ across.ravel(), atol=1e-13)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_one_class_has_no_curvature(storage):
    """It ended in a division by zero."""
    F = Objective(Multinomial(), storage(np.ones((4, 2))), np.zeros(4), alpha=0.5)
    np.testing.assert_array_equal(F.curvature_matrix(F.start()), np.diag([0.5, 0.5, 0.0]))
