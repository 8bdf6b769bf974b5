"""The unit of curvature of losses that have no bound of it."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.losses.deviances import Gamma, NegativeBinomial, Poisson, Tweedie
from fastgd.objective.distances import FEW_ROWS, curvature_about, gap_scale
from fastgd.objective.objective import Objective

LOSSES = [Poisson(), Gamma(), Tweedie(1.5), Tweedie(2.5), NegativeBinomial(2.0)]


def row_by_row(F, intercept):
    """The greater of the mean curvature and of c in loss'^2 = 2 c (loss - infimum)."""
    loss = F.loss
    curvature = squares = values = 0.0
    rows = F.samples.some_active(FEW_ROWS)
    offsets = np.broadcast_to(F.samples.offsets, F.n_samples)
    for i in rows:
        z, y = float(intercept + offsets[i]), float(F.samples.targets[i])
        curvature += max(float(loss.step_curvature(z, y)), 0.0)
        squares += float(loss.derivative(z, y)) ** 2
        values += float(loss.value(z, y)) - loss.infimum
    return max(curvature / rows.size, 0.5 * squares / values)


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


def test_what_overflows_says_nothing():
    F = Objective(Poisson(), np.ones((4, 1)), [0.0, 1.0, 2.0, 3.0], n_jobs=1)
    assert curvature_about(F, 1e4) == 1.0


def test_there_is_a_unit_where_columns_gain_nothing_of_nothing():
    assert gap_scale(0.0, 0.0, infimum=-np.inf) > 0.0
    assert gap_scale(0.0, 0.0) > 0.0
