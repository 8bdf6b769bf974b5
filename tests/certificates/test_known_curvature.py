"""Bounds from a curvature matrix near by, and the sums over rows that they are made of, with
twins.
"""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.certificates.newton_decrement import longest_row
from fastgd.certificates.newton_proof import NewtonProof
from fastgd.linalg.cholesky import Factor
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.solvers.newton.cholesky import Newton
from support.twins import sparse_problem, stored


def objective(loss, storage, seed, **given):
    X, y, weights, _ = sparse_problem(loss, n=80, d=5, seed=seed)
    X = X * 10.0 ** np.random.default_rng(seed).uniform(-2, 2, 5)
    rows = stored(X, storage)
    return Objective(
        loss, rows.matrix() if storage == "csr" else X, y, sample_weight=weights, **given
    )


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", [LogLoss(), SquaredError()], ids=lambda loss: loss.name)
def test_the_bound_holds_near_the_matrix_and_far_from_it(loss, fit_intercept, storage):
    proved = 0
    for seed in range(6):
        F = objective(
            loss, storage, seed, alpha=10.0 ** -(seed % 4 + 1), fit_intercept=fit_intercept
        )
        newton = Newton(F)
        state = newton.start(F.start())
        points = []
        for _ in range(12):
            points.append((state.point, state.value, state.gradient))
            newton.advance(state)
        best = state.value
        for k, (anchor, _, _) in enumerate(points):
            known = Factor(F.curvature_matrix(anchor)), anchor
            certifier = NewtonProof(F)
            for v, value, gradient in points[k:]:
                bound = certifier.from_known(known, v, gradient, target_gap=np.inf).value
                assert bound >= (value - best) * (1.0 - 1e-9) - 1e-14 * abs(best)
                proved += bound < 1e-6
    assert proved > 20


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_longest_row_is_that_of_a_loop(storage, fit_intercept):
    F = objective(LogLoss(), storage, 1, alpha=0.1, fit_intercept=fit_intercept)
    factor = Factor(F.curvature_matrix(F.start()))
    inverse, active = np.linalg.inv(F.curvature_matrix(F.start())), F.samples.active()
    X = F.rows.matrix().toarray() if storage == "csr" else F.rows.values
    rows = np.c_[X, np.ones(len(X))][active, : F.size]
    expected = np.sqrt(max(x @ inverse @ x for x in rows))
    assert longest_row(F, factor.root()) == pytest.approx(expected, rel=1e-6)
