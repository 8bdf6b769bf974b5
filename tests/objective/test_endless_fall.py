"""Losses that fall for ever: refused with an intercept, and nowhere told to be converged."""

import warnings

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor, Loss, Objective, VectorLoss
from fastgd.objective.endless_fall import endless
from support.components import CountLikelihood


class Linear(Loss):
    def value(self, prediction, target):
        return -prediction * target

    def derivative(self, prediction, target):
        return -target


class Logarithm(Loss):
    """It falls as a logarithm does: the derivative is 1e-12 where F is far from any minimum."""

    def value(self, prediction, target):
        return -np.log(1.0 + prediction) if prediction > 0.0 else -prediction

    def derivative(self, prediction, target):
        return -1.0 / (1.0 + prediction) if prediction > 0.0 else -1.0


class Share(Loss):
    """It falls to -1, which is not declared, and was proved to be 3e-6 above it at 1.8e19."""

    def value(self, prediction, target):
        return -prediction / (1.0 + prediction) if prediction > 0.0 else -prediction

    def derivative(self, prediction, target):
        return -1.0 / (1.0 + prediction) ** 2 if prediction > 0.0 else -1.0


class Exponential(Loss):
    def value(self, prediction, target):
        return np.exp(-prediction)

    def derivative(self, prediction, target):
        return -np.exp(-prediction)


class OneOf(VectorLoss):
    """Squares, and beside them a prediction without a minimum."""

    def n_predictions(self, targets):
        return 2

    def value(self, predictions, target):
        at = predictions[1]
        fall = -at / (1.0 + at) if at > 0.0 else -at
        return 0.5 * (predictions[0] - target[0]) ** 2 + fall

    def derivatives(self, predictions, target, out):
        out[0] = predictions[0] - target[0]
        at = predictions[1]
        out[1] = -1.0 / (1.0 + at) ** 2 if at > 0.0 else -1.0


def problem(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    return X, X @ [1.0, -1.0] + rng.normal(size=n)


@pytest.mark.thinned(plain=1, compiled=6)
@pytest.mark.parametrize("given", [{}, {"alpha": 0.0}, {"penalty": "l1"}], ids=str)
@pytest.mark.parametrize("loss", [Linear(), Logarithm(), Share(), Exponential()], ids=repr)
def test_a_loss_that_falls_with_the_intercept_is_refused(loss, given):
    """Of 24 such fits 13 were told to be converged, 7 of them proved."""
    X, y = problem()
    with pytest.raises(ValueError, match=r"no finite optimum.*falls for ever with the intercept"):
        GDRegressor(loss, **given).fit(X, y)


@pytest.mark.plain
def test_so_is_one_of_several_predictions():
    X, y = problem()
    F = Objective(OneOf(), X, y[:, None])
    F.know_null_model()
    assert endless(F)


@pytest.mark.plain
def test_counts_of_nothing_are_refused_as_those_of_our_own_loss():
    X, _ = problem()
    for loss in (CountLikelihood(), "poisson"):
        with pytest.raises(ValueError, match="no finite optimum"):
            GDRegressor(loss).fit(X, np.zeros(len(X)))
    assert GDRegressor(CountLikelihood()).fit(X, (X[:, 0] > 0.0).astype(float)).converged_


@pytest.mark.plain
def test_targets_far_away_are_no_endless_fall():
    """The null model is where the targets are, or where their logarithm is."""
    X, y = problem()

    class Squares(Loss):
        def value(self, prediction, target):
            return 0.5 * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return prediction - target

    for shift in (1e8, -1e8):
        F = Objective(Squares(), X, y + shift)
        F.know_null_model()
        assert not endless(F)
    for size in (1e-20, 1e20):
        F = Objective(CountLikelihood(), X, size * np.exp(0.1 * y))
        F.know_null_model()
        assert not endless(F)


@pytest.mark.jit
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_a_linear_loss_without_a_penalty_is_never_told_to_be_converged(solver):
    """At -3e154 squares overflowed, derivatives were no more than rounding of such predictions, and
    an estimate told 2e-16.
    """
    X, y = problem()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = GDRegressor(Linear(), alpha=0.0, fit_intercept=False, solver=solver).fit(X, y)
    assert not model.converged_
    assert told


def test_with_a_penalty_it_has_a_minimum_which_is_proved():
    X, y = problem()
    model = GDRegressor(Linear(), alpha=1e-4, fit_intercept=False, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(model.coef_, X.T @ y / len(y) / 1e-4, rtol=1e-4)
    assert model.bound_kind_ == "proof"
    assert model.suboptimality_ <= 1e-8


@pytest.mark.plain
def test_classes_of_a_loss_of_signs_are_both_there():
    class Sided(Loss):
        classification = True

        def value(self, prediction, target):
            return np.logaddexp(0.0, -target * prediction)

        def derivative(self, prediction, target):
            return -target / (1.0 + np.exp(target * prediction))

    X, y = problem()
    model = GDClassifier(Sided()).fit(X, y > 0.0)
    assert model.converged_
    with pytest.raises(ValueError, match="at least 2 classes"):
        GDClassifier(Sided(), class_weight={False: 0.0, True: 1.0}).fit(X, y > 0.0)


@pytest.mark.plain
def test_targets_of_rows_without_weight_hide_no_fall():
    X, y, weights = np.ones((4, 1)), np.array([3.0, 4.0, 5.0, 1e30]), [1.0, 1.0, 1.0, 0.0]
    F = Objective(Exponential(), X, y, sample_weight=weights, alpha=0.1)
    F.know_null_model()
    assert endless(F)
