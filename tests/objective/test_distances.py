"""The unit of curvature of losses that have no bound of it."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.losses.deviances import Gamma, NegativeBinomial, Poisson, Tweedie
from fastgd.losses.regression import Huber
from fastgd.objective.distances import (
    FEW_ROWS,
    curvature_about,
    curvature_of_most,
    curvature_unit,
    gap_scale,
)
from fastgd.objective.objective import Objective

LOSSES = [Poisson(), Gamma(), Tweedie(1.5), Tweedie(2.5), NegativeBinomial(2.0)]


def row_by_row(F, intercept):
    """The greater of the mean curvature and of c in loss'^2 = 2 c (loss - infimum)."""
    loss = F.loss
    curvature = squares = values = total = 0.0
    rows = F.samples.some_active(FEW_ROWS)
    offsets = np.broadcast_to(F.samples.offsets, F.n_samples)
    for i in rows:
        z, y = float(intercept + offsets[i]), float(F.samples.targets[i])
        weight = float(np.broadcast_to(F.samples.weights, F.n_samples)[i])
        curvature += weight * max(float(loss.step_curvature(z, y)), 0.0)
        squares += weight * float(loss.derivative(z, y)) ** 2
        values += weight * (float(loss.value(z, y)) - loss.infimum)
        total += weight
    return max(curvature / total, 0.5 * squares / values)


@pytest.mark.thinned(plain=1, compiled=6)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array])
def test_rows_as_blocks_of_a_pass_are_rows_one_by_one(loss, weighted, storage):
    rng = np.random.default_rng(3)
    n = 3 * FEW_ROWS + 7
    more = {}
    if weighted:
        weights = np.maximum(rng.random(n) - 0.5, 0.0)
        more = {"sample_weight": weights, "offset": rng.standard_normal(n)}
    y = rng.gamma(1.0, 2.0, n)
    F = Objective(loss, storage(rng.standard_normal((n, 2))), y, n_jobs=1, **more)
    assert curvature_about(F, 0.3) == pytest.approx(row_by_row(F, 0.3), rel=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("loss", [Poisson(), Huber(0.1)], ids=repr)
def test_weights_are_repetitions(loss):
    """Each row counted once: gradient descent on counts took other steps than on repeated rows."""
    rng = np.random.default_rng(0)
    X, y, weights = np.zeros((9, 1)), rng.gamma(1.0, 2.0, 9), rng.integers(0, 4, 9)
    one = Objective(loss, X, y, sample_weight=weights, n_jobs=1)
    other = Objective(loss, np.zeros((weights.sum(), 1)), y.repeat(weights), n_jobs=1)
    found = curvature_of_most if loss.smooth and loss.curvature_bound < np.inf else curvature_unit
    for F in (one, other):
        F.know_null_model()
    assert found(one) == pytest.approx(found(other), rel=1e-12)


def test_what_overflows_says_nothing():
    F = Objective(Poisson(), np.ones((4, 1)), [0.0, 1.0, 2.0, 3.0], n_jobs=1)
    assert curvature_about(F, 1e4) == 1.0


def test_there_is_a_unit_where_columns_gain_nothing_of_nothing():
    assert gap_scale(0.0, 0.0, infimum=-np.inf) > 0.0
    assert gap_scale(0.0, 0.0) > 0.0
