"""Paths of groups by one matrix: each model is that of a fit by itself, and reads no rows."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDRegressor, GroupLasso, MultiTask, SparseGroupLasso
from fastgd.model_selection.alpha_path import fit_path

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 9)) + RNG.normal(size=(150, 1))
Y = X[:, :4] @ RNG.normal(size=(4, 3)) + RNG.normal(size=(150, 3)) + 2.0
WEIGHTS = RNG.integers(0, 3, size=150).astype(float)
GROUPS = [[0, 4], [1, 2, 3], [5], [6, 7, 8]]
PENALTIES = {
    "rows": (MultiTask(0.8), None, Y),
    "weighted rows": (MultiTask(), [0.0, 1.0, np.inf, *[2.0] * 6], Y),
    "groups": (GroupLasso(GROUPS), None, Y[:, 0]),
    "sparse groups": (SparseGroupLasso(GROUPS, 0.3), None, Y[:, 0]),
}


@pytest.mark.plain
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_path_is_its_fits(penalty, storage):
    given, weights, y = PENALTIES[penalty]
    base = GDRegressor(penalty=given, penalty_weights=weights, tol=1e-9)
    alphas = np.geomspace(1.0, 1e-3, 6)
    rows = storage(X)
    models = list(fit_path(base, rows, y, alphas, WEIGHTS))
    assert "with the matrix, of the last alpha" in str(models[-1].plan_)
    for model, alpha in zip(models, alphas, strict=True):
        alone = GDRegressor(penalty=given, penalty_weights=weights, tol=1e-9, alpha=alpha)
        alone.fit(rows, y, sample_weight=WEIGHTS)
        np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-4)
        assert model.objective_ == pytest.approx(alone.objective_, rel=2e-9)
        assert (model.bound_kind_, model.suboptimality_ <= 1e-9) == ("proof", True)
    assert [model.history_["passes"][-1] for model in models[1:]] == [0.0] * 5
