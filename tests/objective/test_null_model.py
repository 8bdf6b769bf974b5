"""The null model as a point: what F is there is what it has."""

import numpy as np
import pytest

from fastgd import from_chunks
from fastgd.linalg.scalar_minimum import lowest
from fastgd.losses.deviances import Gamma, InverseGaussian, Poisson, Tweedie
from fastgd.losses.each_target import EachTarget
from fastgd.objective.null_model import (
    _is_near,
    _likely_shift,
    _shift_of,
    loss_of_shift,
    null_model,
    null_point,
)
from fastgd.objective.objective import Objective
from support.components import CountLikelihood, ToyMultiSquared


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "huber"])
def test_it_has_no_columns_and_the_value_of_the_null_model(loss, fit_intercept):
    X = np.random.default_rng(0).standard_normal((30, 3))
    F = Objective(loss, X, np.where(X[:, 0] > 0.5, 1.0, -1.0), fit_intercept=fit_intercept)
    intercept, value = null_model(F)
    point = null_point(F, intercept)
    np.testing.assert_array_equal(point, [0.0, 0.0, 0.0, intercept][: F.size])
    assert F.value(point) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("tiny", [1e-15, 1e-100, 1e-300])
@pytest.mark.parametrize("offset", [None, 0.5], ids=["no offset", "offset"])
def test_a_class_that_weighs_next_to_nothing_has_its_share(tiny, offset):
    """The search ended at 3e-18 where 1e-98 is the least, and a model was proved in that unit."""
    y = np.resize([1.0, -1.0, -1.0], 30)
    weights = np.where(y > 0.0, tiny, 1.0)
    offset = None if offset is None else np.full(30, offset)
    F = Objective("log_loss", np.ones((30, 1)), y, sample_weight=weights, offset=offset)
    share = 0.5 * tiny
    intercept, value = null_model(F)
    assert intercept + (0.0 if offset is None else 0.5) == pytest.approx(np.log(share), abs=1e-9)
    assert value == pytest.approx(share * (1.0 - np.log(share)), rel=1e-9)


def test_several_predictions_have_an_intercept_each():
    F = Objective(ToyMultiSquared(), np.ones((4, 2)), np.eye(3)[[0, 1, 2, 2]])
    point = null_point(F, np.array([0.1, 0.2, 0.3]))
    coef, intercept = F.split(point)
    assert not coef.any()
    np.testing.assert_array_equal(intercept, [0.1, 0.2, 0.3])


def counting(sums):
    """A list of the shifts that are asked for, and a function that adds to it."""
    asked = []

    def counted(shift):
        asked.append(shift)
        return sums(shift)

    return asked, counted


@pytest.mark.parametrize("loss", [Poisson(), Gamma(), Tweedie(1.5), CountLikelihood()], ids=repr)
def test_deviances_are_searched_from_the_mean_of_their_targets(loss):
    """From 0 amounts of 2,000 took 15 evaluations, and rounding of the sums many more."""
    rng = np.random.default_rng(0)
    y = 1000.0 * rng.gamma(1.0, 2.0, 3000)
    weights, offsets = rng.random(3000), 0.1 * rng.standard_normal(3000)
    F = Objective(
        loss, np.zeros((3000, 1)), y, sample_weight=weights, offset=offsets, alpha=0.0, n_jobs=1
    )
    sums = loss_of_shift(F, F.samples.offsets)
    asked, counted = counting(sums)
    shift, value = lowest(counted, 1.0, loss.infimum, _likely_shift(F))
    assert len(asked) <= 8
    assert value == pytest.approx(sums(shift)[0], rel=1e-15)
    assert abs(sums(shift)[1]) < 1e-12 * abs(value)


@pytest.mark.parametrize("loss", [Poisson(), Gamma(), Tweedie(1.5)], ids=lambda loss: loss.name)
def test_where_the_mean_is_the_optimum_one_evaluation_does(loss):
    """Telling roundings of its derivative apart took 4 to 11 of them, a quarter of a fit's time."""
    rng = np.random.default_rng(1)
    y, weights = rng.gamma(1.0, 2.0, 5000), rng.random(5000)
    F = Objective(loss, np.zeros((5000, 1)), y, sample_weight=weights, alpha=0.0, n_jobs=1)
    sums = loss_of_shift(F, F.samples.offsets)
    asked, counted = counting(sums)
    shift, _ = lowest(counted, 0.0, 0.0, _likely_shift(F))
    assert len(asked) == 1
    assert shift == pytest.approx(np.log(np.average(y, weights=weights)), abs=1e-12)


@pytest.mark.parametrize("unit", [1e-100, 1e-30, 1e30, 1e100])
@pytest.mark.parametrize(
    "loss", [Poisson(), Tweedie(1.5), Gamma(), Tweedie(2.5), InverseGaussian()], ids=str
)
def test_amounts_in_any_unit_have_their_mean(loss, unit):
    """From 0 a search ended where losses are flat or too steep: at -4 for inverse Gaussian amounts
    of 1e-30, and at 86 for Gamma amounts of 1e100, in whose unit any model was proved.
    """
    y = unit * np.random.default_rng(2).gamma(2.0, 1.0, 300)
    shift, _ = null_model(Objective(loss, np.zeros((300, 1)), y, alpha=0.0, n_jobs=1))
    assert shift == pytest.approx(np.log(y.mean()), abs=1e-7)


@pytest.mark.parametrize("weights", [[0, 0, 0, 0, 1, 1, 1, 1, 2], [1, 2, 1, 1, 1, 1, 1, 1, 0]])
def test_rows_of_a_source_that_all_weigh_nothing_are_left_out(weights, monkeypatch):
    """262,144 of them, one after the other, ended in a division by zero."""
    monkeypatch.setattr("fastgd.objective.null_model.PIECE", 4)
    rng = np.random.default_rng(0)
    X, y, offset = rng.standard_normal((9, 2)), rng.standard_normal(9), rng.standard_normal(9)
    beside = np.array(weights, dtype=float), offset
    blocks = Objective("huber", from_chunks(lambda: [(X, y, *beside)]))
    whole = Objective("huber", X, y, sample_weight=beside[0], offset=offset)
    assert null_model(blocks) == pytest.approx(null_model(whole), rel=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("far", [50.0, 100.0, 600.0])
@pytest.mark.parametrize("loss", [Poisson(), Gamma()], ids=lambda loss: loss.name)
def test_far_offsets_do_not_end_the_search(loss, far):
    """It ended at 1e-14 of the loss at its start, 9e16 where 211 are right, and F of 9e16 was
    proved to be within 7e-5 of the optimum.
    """
    y, offset = np.random.default_rng(0).gamma(2.0, 1.0, 40), np.zeros(40)
    offset[:3] = far if loss.name == "poisson" else -far
    if loss.name == "poisson":
        best = np.log(y.sum()) - np.logaddexp.reduce(offset)
    else:
        best = np.logaddexp.reduce(np.log(y) - offset) - np.log(40)
    F = Objective(loss, np.zeros((40, 1)), y, offset=offset)
    assert null_model(F)[0] == pytest.approx(best, rel=1e-9)
    both = Objective(EachTarget(loss), np.zeros((40, 1)), np.stack([y, 2.0 * y], 1), offset=offset)
    np.testing.assert_allclose(null_model(both)[0], [best, best + np.log(2.0)], rtol=1e-7)


def test_a_loss_that_overflows_is_an_end_of_the_bracket():
    def sums(shift):
        if shift >= 5.0:
            return np.inf, np.nan, np.nan
        return (shift - 2.0) ** 2, 2.0 * (shift - 2.0), 0.1  # too little: Newton goes too far

    assert lowest(sums, 0.0, 0.0)[0] == pytest.approx(2.0)


@pytest.mark.parametrize("mean", [1e-40, 1e-13, 1e-12, 0.3, 2e3, 1e13, 1e40])
@pytest.mark.parametrize("loss", [Poisson(), Gamma(), InverseGaussian()], ids=str)
def test_a_mean_that_is_near_needs_no_halving(loss, mean):
    assert _is_near(loss, mean) == (abs(np.log(mean)) <= 30.0)
    assert _shift_of(loss, mean) == pytest.approx(np.log(mean), abs=1e-9)
