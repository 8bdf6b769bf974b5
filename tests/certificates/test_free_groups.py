"""Bounds where groups have no penalty: never above F*, and close to it where the gradient is."""

import numpy as np
import pytest

from fastgd import MultiTask, Objective, SparseGroupLasso
from fastgd.certificates.free_groups import free_groups, lower_bound
from fastgd.linalg.cholesky import Factor
from fastgd.losses.each_target import EachTarget
from fastgd.losses.regression import SquaredError

GROUPS = [[0, 3], [1], [2, 4], [5]]
PENALTIES = {
    "rows": MultiTask(1.0).weighed([0.0, 2.0, np.inf, 0.5, 0.0, 1.0]),
    "rows and L2": MultiTask(0.6).weighed([0.0, 2.0, np.inf, 0.5, 0.0, 1.0]),
    "groups": SparseGroupLasso(GROUPS, 0.0).weighed([1.0, 0.0, 2.0, 1.0, 2.0, 1.0]),
    "sparse groups": SparseGroupLasso(GROUPS, 0.3).weighed([0.0, 1.0, 2.0, 0.0, 2.0, 1.0]),
}


def least(F, steps=3000):
    """Proximal gradient steps of one length from 0."""
    v = F.start()
    table = np.column_stack([F.rows.part(slice(None)), np.ones(F.n_samples)])
    curvature = np.linalg.eigvalsh(table.T @ table / F.n_samples)[-1]
    rate = 1.0 / (curvature + float(np.max(F.term.curvature(v[:18]))))
    for _ in range(steps):
        v = F.proximal(v - rate * F.smooth_and_gradient(v)[1], rate)
    return v


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_it_is_below_the_least_and_close_to_it_near_there(penalty, fit_intercept):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 6)) + rng.normal(size=(40, 1))
    Y = X[:, :3] @ rng.normal(size=(3, 3)) + rng.normal(size=(40, 3)) + 2.0 * fit_intercept
    loss, given = EachTarget(SquaredError()), {"penalty": PENALTIES[penalty], "alpha": 0.2}
    F = Objective(loss, X, Y, fit_intercept=fit_intercept, **given)
    groups = F.term.feature_groups(6, 3)
    free = free_groups(groups)
    columns = X[:, groups.part(free).features]
    columns = np.column_stack([columns, np.ones(40)]) if fit_intercept else columns
    factor = Factor(columns.T @ columns / 40)
    best = least(F)
    lowest, held = F.value(best), F.term.fixed
    for size in (1.0, 1e-2, 1e-4, 1e-6, 0.0):
        v = best + size * rng.normal(size=best.size) * (best != 0.0)
        if held is not None:
            v[held] = 0.0
        bound = lower_bound(F, groups, free, factor, v, *F.smooth_and_gradient(v))
        assert bound <= lowest
        assert size > 1e-4 or lowest - bound <= 1e3 * size + 1e-10
