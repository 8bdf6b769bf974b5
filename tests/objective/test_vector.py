"""One prediction and K of them have the same methods, and say the same where K is 1."""

import inspect

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.objective.distances import slope_size
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective
from fastgd.objective.scalar import OnePrediction
from fastgd.objective.vector import KPredictions, kind_of
from support.components import ToyMultiSquared, ToySoftmax
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
    kinds = [kind_of(LogLoss(), np.ones(3)), kind_of(ToySoftmax(), np.array([[0.0], [2.0]]))]
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
        several.kind.slopes(predictions, several.samples.targets[3]),
        one.kind.slopes(predictions, target),
        rtol=1e-15,
    )


def test_slopes_at_the_constant_model_are_those_of_some_rows():
    for F in pair():
        F.loss = type("Unbounded", (type(F.loss),), {"infimum": -np.inf})()
        F.kind = kind_of(F.loss, F.samples.targets)
        rows = F.samples.active()
        expected = np.sqrt(np.mean((F.samples.offsets - F.samples.targets.ravel())[rows] ** 2))
        assert slope_size(F, 1.0, 1.0) == pytest.approx(expected, rel=1e-13)


def test_the_null_model_and_the_scale_of_targets():
    one, several = pair()
    assert null_model(one)[1] < one.value(np.zeros(one.size))
    shift, value = null_model(several)
    np.testing.assert_array_equal(shift, [0.0])
    assert value == pytest.approx(one.value(np.zeros(one.size)), rel=1e-14)
    assert one.kind.target_variance(np.array([1.0, 3.0])) == 1.0
    assert several.kind.target_variance(np.array([[1.0], [3.0]])) == 0.0
    assert OnePrediction(LogLoss()).target_variance(np.array([-1.0, 1.0])) == 0.0
