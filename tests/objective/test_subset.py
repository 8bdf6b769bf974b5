"""An objective on some rows or columns is that of these rows or columns, and charges the whole."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDRegressor, GDRegressorCV
from fastgd.objective.blocks import count_nonzeros
from fastgd.objective.objective import Objective
from fastgd.objective.subset import (
    on_columns,
    on_groups,
    on_other_rows,
    on_rows,
    represent,
    reweighted,
)

STORAGES = pytest.mark.parametrize("stored", [np.asarray, sp.csr_array], ids=["dense", "CSR"])


def problem(stored, weighted=True):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 6)) * (rng.random((100, 6)) < 0.6)
    y = np.where(rng.random(100) < 0.5, 1.0, -1.0)
    more = {"sample_weight": rng.integers(0, 3, 100)} if weighted else {}
    more["offset"] = rng.standard_normal(100)
    return X, y, more, Objective("log_loss", stored(X), y, alpha=0.1, penalty="l2", **more)


def alone(X, y, more, chosen, **parameters):
    rows = {name: values[chosen] for name, values in more.items()}
    return Objective("log_loss", X[chosen], y[chosen], **rows, **parameters)


@STORAGES
@pytest.mark.parametrize("weighted", [False, True])
def test_some_rows_are_an_objective_of_their_own(stored, weighted):
    X, y, more, F = problem(stored, weighted)
    chosen, v = np.r_[8:16, 40:48, 96:100], np.linspace(-1.0, 1.0, 7)
    expected = alone(X, y, more, chosen, alpha=0.1).value_and_gradient(v)
    own = on_rows(F, chosen)
    others = on_other_rows(F, own.rows, own.samples, 0.1)
    for some in (own, others, on_groups(F, np.array([1, 5, 12]), 0.1)):
        before = F.passes
        value, gradient = some.value_and_gradient(v)
        assert value == pytest.approx(expected[0], rel=1e-13)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-12)
        assert some.passes == 1.0
        assert F.passes - before == pytest.approx(0.2)


def test_rows_of_which_none_counts_all_count():
    X, y, more, F = problem(np.asarray)
    none = np.flatnonzero(F.samples.weights == 0.0)
    more["sample_weight"] = np.ones(100)
    v = np.linspace(-1.0, 1.0, 7)
    expected = alone(X, y, more, none, alpha=0.1).value(v)
    assert on_rows(F, none).value(v) == pytest.approx(expected, rel=1e-13)


@STORAGES
def test_other_weights_matter_by_their_ratios(stored):
    X, y, more, F = problem(stored)
    weights = np.arange(100.0) * (np.arange(100) > 60)
    some, v = reweighted(F, 7.0 * weights, 0.3), np.linspace(-1.0, 1.0, 7)
    expected = Objective("log_loss", X, y, alpha=0.3, **{**more, "sample_weight": weights})
    assert some.value(v) == pytest.approx(expected.value(v), rel=1e-13)
    assert F.passes == 1.0


@STORAGES
def test_some_columns_are_the_others_at_0(stored):
    _, _, _, F = problem(stored)
    chosen = np.array([1, 4])
    some = on_columns(F, chosen)
    assert F.passes == 1.0  # which it takes to copy them
    v = np.array([0.5, -0.25, 0.1])
    spread = np.zeros(7)
    spread[[1, 4, 6]] = v
    assert some.value(v) == pytest.approx(F.value(spread), rel=1e-13)
    assert F.passes == pytest.approx(2.0 + some.rows.stored() / F.rows.stored())


def test_rows_of_next_to_no_weight_stand_for_none():
    weights = np.r_[np.zeros(8), np.full(8, 1e-3), np.ones(84)]
    F = Objective("squared_error", np.ones((100, 1)), np.ones(100), sample_weight=weights)
    assert not represent(F, np.array([[0, 8]]))
    assert not represent(F, np.array([[0, 16]]))
    assert represent(F, np.array([[0, 24]]))
    assert represent(F, np.array([[0, 100]]))


def test_nonzeros_of_the_same_rows_are_counted_once(monkeypatch):
    """For each target, alpha and set of weights they were counted anew: a pass over a wide X."""
    counted = []

    def counting(rows, n_threads):
        counted.append(rows.shape())
        return count_nonzeros(rows, n_threads)

    monkeypatch.setattr("fastgd.objective.objective.count_nonzeros", counting)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 150)), rng.standard_normal((30, 3))
    F = Objective("squared_error", X, Y[:, 0])
    assert reweighted(F, np.arange(30.0), 0.3).n_nonzeros == F.n_nonzeros
    assert counted == [(30, 150)]
    counted.clear()
    GDRegressor("huber").fit(X, Y)
    assert counted == [(30, 150)]
    counted.clear()
    GDRegressorCV(alphas=[1.0, 0.1], cv=2).fit(X, Y)
    assert len(counted) == 3  # two folds and the whole
    model = GDRegressor(alpha=1.0).fit(X, Y[:, 0])
    counted.clear()
    model.summary(X, Y[:, 0], covariance="HC0")
    assert counted == [(30, 150)]
