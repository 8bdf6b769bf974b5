"""The last iterate against the average on rows that neither has seen."""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.fitting import overtaken
from fastgd.fitting.overtaken import is_overtaken
from fastgd.losses import Multinomial

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 5.0, 0.0], size=(200, 3))
Y = X @ [1.0, -2.0, 0.5] + 10.0 + RNG.normal(size=200)
CLASSES = np.digitize(Y, [-1.0, 1.0])
WEIGHTS = RNG.integers(0, 3, size=200).astype(float)


def objective(loss, y, rows=slice(None), **options):
    return Objective(loss, X[rows], y[rows], alpha=0.0, **options)


def model(v, rows=slice(None)):
    """X @ coefficients and intercept."""
    return X[rows] @ v[:3], v[3]


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_the_better_one_is_told_from_chance(loss):
    F = objective(loss, Y, sample_weight=WEIGHTS)
    truth = np.array([1.0, -2.0, 0.5, 10.0])
    far, near, next_to_it = truth + 0.5, truth + 1e-3, truth + 1.1e-3
    assert is_overtaken(F, model(far), model(truth))
    assert not is_overtaken(F, model(truth), model(far))
    assert not is_overtaken(F, model(truth), model(truth))
    assert not is_overtaken(F, model(near), model(next_to_it))
    assert not is_overtaken(F, model(truth), model(np.full(4, np.nan)))


def test_few_rows_tell_nothing():
    few = slice(0, overtaken.GROUPS - 1)
    F = objective("squared_error", Y, few)
    truth = np.array([1.0, -2.0, 0.5, 10.0])
    assert not is_overtaken(F, model(np.full(4, 9.0), few), model(truth, few))


def test_groups_are_sums_of_weighted_losses():
    starts = np.array([0, 50, 120])
    v = RNG.normal(size=4)
    F = objective("squared_error", Y, sample_weight=WEIGHTS)
    losses = F.samples.weights * 0.5 * (X @ v[:3] + v[3] - Y) ** 2
    expected = [losses[:50].sum(), losses[50:120].sum(), losses[120:].sum()]
    np.testing.assert_allclose(overtaken._losses(F, model(v), starts), expected, rtol=1e-12)
    table = RNG.normal(size=(4, 3))
    F = objective(Multinomial(3), CLASSES, sample_weight=WEIGHTS)
    z = X @ table[:3] + table[3]
    losses = np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) + z.max(axis=1)
    losses = F.samples.weights * (losses - z[np.arange(200), CLASSES])
    expected = [losses[:50].sum(), losses[50:120].sum(), losses[120:].sum()]
    found = overtaken._losses(F, model(table), starts)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
