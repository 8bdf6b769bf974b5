"""What plans and steps ask of the rows, against matrices that are written out."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.objective.moments import sampled_curvature, spread, standard_spread
from fastgd.objective.objective import Objective


def rows(n=40, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6), rng.standard_normal(n)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sampled_curvature_is_the_eigenvalue_of_the_matrix(storage, fit_intercept):
    X, y = rows()
    weights, scales = (
        np.random.default_rng(1).integers(0, 4, len(X)).astype(float),
        1.0 / (1 + y[:5]),
    )
    F = Objective("huber", storage(X), y, fit_intercept=fit_intercept, sample_weight=weights)
    Z = np.hstack([X * scales, np.full((len(X), int(fit_intercept)), 2.0)])
    greatest = np.linalg.eigvalsh(Z.T @ (weights[:, None] * Z) / weights.sum())[-1]
    found, passes = sampled_curvature(F, F.samples.active(), scales, 2.0, 0)
    assert 0.98 * greatest <= found <= greatest * (1.0 + 1e-12)
    assert passes == 40.0  # 20 products, each of them forth and back, with all rows


def test_weights_are_repeated_rows_in_sampled_curvature():
    X, y = rows()
    times = np.where(np.arange(len(X)) < 4, 30, 1)
    weighted = Objective("huber", X, y, sample_weight=times.astype(float))
    repeated = Objective("huber", np.repeat(X, times, axis=0), np.repeat(y, times))
    one, other = (
        sampled_curvature(F, F.samples.active(), np.ones(5), 1.0, 3)[0]
        for F in (weighted, repeated)
    )
    assert one == pytest.approx(other, rel=0.02)


def test_spread_is_greatest_curvature_over_the_mean_one():
    X, y = rows(n=90)
    X[:, 0] *= 3.0  # far from the second one, ten products are many
    values = np.linalg.eigvalsh(X.T @ X)
    assert spread(Objective("huber", X, y)) == pytest.approx(values[-1] / values.mean(), rel=1e-6)
    assert spread(Objective("huber", np.zeros((3, 2)), np.ones(3))) == 1.0


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
def test_spread_of_standardised_columns(storage):
    X, y = rows(n=90)  # all of the rows are looked at
    X[:, 1] = 50.0 * (X[:, 0] + 0.1 * X[:, 1])
    told = standard_spread(Objective("huber", storage(X), y))
    shown = np.linalg.eigvalsh(np.corrcoef(X.T))[-1]
    # The value that a sample of 90 rows shows as this one.
    assert told * (1.0 + 5 / 90 / (told - 1.0)) == pytest.approx(shown, rel=1e-3)
    # Shifts and units are of no account.
    moved = 1e3 * (X + np.arange(5.0))
    assert standard_spread(Objective("huber", moved, y)) == pytest.approx(told, rel=1e-3)


def test_what_few_rows_show_is_not_spread():
    X = np.random.default_rng(0).standard_normal((20_000, 400))
    y = X[:, 0].copy()
    by_chance = (1.0 + np.sqrt(400 / 20_000)) ** 2
    assert standard_spread(Objective("huber", X, y)) == pytest.approx(by_chance)
    common = X + 0.5 * y[:, None]
    greatest = np.linalg.eigvalsh(np.corrcoef(common.T))[-1]
    assert standard_spread(Objective("huber", common, y)) == pytest.approx(greatest, rel=0.1)
    assert standard_spread(Objective("huber", np.zeros((3, 2)), np.ones(3))) == 1.0
