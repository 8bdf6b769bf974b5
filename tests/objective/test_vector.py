"""One prediction and K of them have the same methods, and say the same where K is 1."""

import inspect

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.certificates.rounding import value_rounding
from fastgd.losses.classification import LogLoss
from fastgd.losses.each_target import EachTarget
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import Huber, Quantile, SquaredError
from fastgd.objective.distances import derivative_size
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective
from fastgd.objective.scalar import OnePrediction
from fastgd.objective.subset import on_groups
from fastgd.objective.vector import KPredictions, outputs_of
from fastgd.objective.vector_map import VectorMap
from fastgd.objective.vector_null_model import Shifts, lowest_shifts
from support.components import LowHuber, ToyMultiSquared, ToySoftmax
from support.twins import sparse_problem


def public(cls):
    """{method: its parameters}."""
    return {
        name: list(inspect.signature(method).parameters)
        for name, method in vars(cls).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


def pair(storage=np.asarray, fit_intercept=True, penalty="l2"):
    """The same least squares, of one prediction and of K = 1."""
    X, y, weights, offsets = sparse_problem(SquaredError())
    options = {
        "sample_weight": weights,
        "offset": offsets,
        "penalty": penalty,
        "alpha": 0.3,
        "fit_intercept": fit_intercept,
    }
    one = Objective(SquaredError(), storage(X), y, **options)
    return one, Objective(ToyMultiSquared(), storage(X), y[:, None], **options)


def test_both_offer_the_same_methods_and_facts():
    assert public(OnePrediction) == public(KPredictions)
    kinds = [outputs_of(LogLoss(), np.ones(3)), outputs_of(ToySoftmax(), np.array([[0.0], [2.0]]))]
    assert [kind.vector for kind in kinds] == [False, True]
    assert [kind.n_predictions for kind in kinds] == [1, 3]
    assert [kind.shape(4) for kind in kinds] == [(5,), (5, 3)]
    assert [kind.smooth for kind in kinds] == [True, True]


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
def test_with_one_prediction_both_give_the_same_numbers(storage, fit_intercept):
    one, several = pair(storage, fit_intercept)
    v, p = np.random.default_rng(0).standard_normal((2, one.size))
    assert one.size == several.size
    for F in (one, several):
        coef, intercept = F.split(v)
        np.testing.assert_array_equal(np.ravel(coef), v[:6])
        np.testing.assert_array_equal(np.ravel(intercept), v[6:] if fit_intercept else [0.0])
    assert several.value(v) == pytest.approx(one.value(v), rel=1e-13)
    for expected, found in (
        (one.gradient(v), several.gradient(v)),
        (one.hessian_product(v, p), several.hessian_product(v, p)),
        (one.product_at(v)(p), several.product_at(v)(p)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    target, predictions = one.samples.targets[3], np.array([0.7])
    np.testing.assert_allclose(
        several.outputs.derivatives(predictions, several.samples.targets[3]),
        one.outputs.derivatives(predictions, target),
        rtol=1e-15,
    )


def test_slopes_at_the_constant_model_are_those_of_some_rows():
    for F in pair():
        F.loss = type("Unbounded", (type(F.loss),), {"infimum": -np.inf})()
        F.outputs = outputs_of(F.loss, F.samples.targets)
        rows = F.samples.active()
        expected = np.sqrt(np.mean((F.samples.offsets - F.samples.targets.ravel())[rows] ** 2))
        assert derivative_size(F, 1.0, 1.0) == pytest.approx(expected, rel=1e-13)


def test_the_null_model_and_the_scale_of_targets():
    one, several = pair()
    assert null_model(one)[1] < one.value(np.zeros(one.size))
    shift, value = null_model(several)
    best, least = null_model(one)
    np.testing.assert_allclose(shift, [best], rtol=1e-12)
    assert value == pytest.approx(least, rel=1e-14)
    assert one.outputs.target_variance(np.array([1.0, 3.0])) == 1.0
    assert several.outputs.target_variance(np.array([[1.0], [3.0]])) == 0.0
    assert OnePrediction(LogLoss()).target_variance(np.array([-1.0, 1.0])) == 0.0


def test_kinks_of_several_targets_are_kinks():
    """Their F was told to be smooth, and to round by less than that of each target."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)) + 1e6, rng.standard_normal((20, 1))
    alone = Objective(Quantile(0.5), X, y[:, 0])
    both = Objective(EachTarget(Quantile(0.5)), X, y)
    assert not both.smooth
    v = np.array([1e-6, -1e-6, 0.0])
    rounded = [value_rounding(F, v, F.value(v), 0.0) for F in (alone, both)]
    assert rounded[1] == pytest.approx(rounded[0])


@pytest.mark.parametrize("epsilon", [1e-3, 1.35])
def test_each_target_has_its_own_null_model_where_losses_have_no_curvature(epsilon):
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((7, 3)) * [1e-2, 1.0, 1e3] + [0.0, 5.0, -1e4]
    X, offset = np.ones((7, 1)), rng.standard_normal(7)
    joint = Objective(EachTarget(Huber(epsilon)), X, targets, alpha=0.1, offset=offset)
    shifts, value = null_model(joint)
    alone = [Objective(Huber(epsilon), X, y, alpha=0.1, offset=offset) for y in targets.T]
    assert value == pytest.approx(sum(null_model(one)[1] for one in alone), rel=1e-12)
    assert [one.value(np.array([0.0, b])) for one, b in zip(alone, shifts, strict=True)] == (
        pytest.approx([null_model(one)[1] for one in alone], rel=1e-9)
    )


@pytest.mark.plain
def test_so_it_has_where_no_infimum_is_known():
    """Values below 0 were taken for an end of the search: where it began, F0 was 3,000 too high."""
    targets = np.array([[1e4, 0.0], [1e4 + 1.0, 1.0], [1e4 + 2.0, 2.0]])
    shifts, value = null_model(Objective(EachTarget(LowHuber()), np.ones((3, 1)), targets))
    np.testing.assert_allclose(shifts, [1e4 + 1.0, 1.0])
    assert value == pytest.approx(2.0 / 3.0 - 200.0)


def log_softmax_loss(Z, y, weights):
    """Mean multinomial loss by np.exp on shifted margins."""
    shifted = Z - Z.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]
    return weights @ losses / weights.sum()


def multinomial_problem(n=31, d=4, k=3):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.7)
    y = rng.integers(0, k, n)
    weights = rng.uniform(0.5, 1.5, n) * (rng.random(n) < 0.8)
    return X, y, weights, 0.1 * rng.standard_normal(n)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array])
def test_a_pass_is_the_formula_on_any_storage(storage, dtype):
    X, y, weights, offsets = multinomial_problem()
    X = X.astype(dtype)
    F = Objective(
        Multinomial(), storage(X), y, sample_weight=weights, offset=offsets, alpha=0.2, n_jobs=1
    )
    rng = np.random.default_rng(1)
    v, p = rng.standard_normal((2, F.size))

    def value(v):
        W = v.reshape(5, 3)
        Z = X.astype(float) @ W[:4] + W[4] + offsets[:, None]
        return log_softmax_loss(Z, y, weights) + 0.1 * (W[:4] ** 2).sum()

    step = 1e-6 * np.eye(F.size)
    derivatives = [(value(v + e) - value(v - e)) / 2e-6 for e in step]
    found, gradient = F.value_and_gradient(v)
    assert found == pytest.approx(value(v), rel=1e-13)
    assert F.value(v) == pytest.approx(found, rel=1e-14)
    np.testing.assert_allclose(gradient, derivatives, atol=1e-8)
    ahead, behind = F.gradient(v + 1e-5 * p), F.gradient(v - 1e-5 * p)
    np.testing.assert_allclose(F.hessian_product(v, p), (ahead - behind) / 2e-5, atol=1e-8)
    np.testing.assert_allclose(F.product_at(v)(p), F.hessian_product(v, p), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_a_part_reads_its_own_rows_alone(storage):
    X, y, weights, offsets = multinomial_problem(n=40)
    data = {"sample_weight": weights, "offset": offsets}
    F = Objective(Multinomial(3), storage(X), y, **data)
    part = on_groups(F, np.array([0, 3]), 0.0)
    own = np.r_[0:8, 24:32]
    data = {"sample_weight": weights[own], "offset": offsets[own]}
    alone = Objective(Multinomial(3), storage(X[own]), y[own], **data)
    v, p = np.random.default_rng(1).standard_normal((2, F.size))
    scale = weights[own].sum() / np.count_nonzero(weights[own])
    scale *= (
        np.count_nonzero(weights) / weights.sum() / (part.n_active / np.count_nonzero(weights[own]))
    )
    for here, there in (
        (part.value(v), alone.value(v)),
        (part.gradient(v), alone.gradient(v)),
        (part.hessian_product(v, p), alone.hessian_product(v, p)),
        (part.product_at(v)(p), alone.hessian_product(v, p)),
    ):
        np.testing.assert_allclose(here, np.multiply(scale, there), rtol=1e-10, atol=1e-13)


def test_the_null_model_of_classes_is_their_shares():
    X, y, weights, _ = multinomial_problem()
    F = Objective(Multinomial(), X, y, sample_weight=weights)
    shares = np.bincount(y, weights=weights) / weights.sum()
    shifts, value = null_model(F)
    np.testing.assert_allclose(shifts, np.log(shares) - np.log(shares).mean(), rtol=1e-10)
    assert value == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-14)
    with_offsets = Objective(Multinomial(), X, y, sample_weight=weights, offset=X[:, 0])
    np.testing.assert_allclose(null_model(with_offsets)[0], shifts, rtol=1e-8, atol=1e-9)
    without = Objective(Multinomial(), X, y, fit_intercept=False)
    assert null_model(without)[1] == pytest.approx(np.log(3.0), rel=1e-14)


@pytest.mark.parametrize("far", [1e-6, 1e-3, 3.0])
def test_shifts_of_a_matrix_that_is_kept_end_where_slopes_are_0(far):
    rng = np.random.default_rng(0)
    F = Objective(Multinomial(4), np.zeros((200, 1)), rng.integers(0, 4, 200), n_jobs=1)
    predictions = rng.standard_normal((200, 4))
    best = lowest_shifts(Shifts(F.loss, F.samples, predictions, 4))[0]
    off = predictions + best + far * np.array([1.0, -1.0, 0.5, -0.5])
    sums = Shifts(F.loss, F.samples, off, 4)
    asked = []
    at = sums.at
    sums.at = lambda shifts, curved=True: asked.append(curved) or at(shifts, curved)
    shifts = lowest_shifts(sums)[0]
    assert np.abs(at(shifts)[1]).max() < 1e-14
    assert far > 0.01 or asked.count(True) == 1


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_products_have_the_same_bits_on_any_number_of_threads(storage, monkeypatch):
    """Dense ones were cut by the ranges that each thread had."""
    monkeypatch.setattr("fastgd.runtime.threads.MIN_PER_THREAD", 1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2999, 30)), rng.integers(0, 3, 2999)
    table, values = rng.normal(size=(30, 3)), rng.normal(size=(2999, 3))
    found = []
    for n_threads in (1, 2, 3):
        vector_map = VectorMap(Objective(Multinomial(3), storage(X), y, n_jobs=n_threads))
        found.append((vector_map.matvec(table), vector_map.rmatvec(values)))
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_array_equal(other[1], found[0][1])
