"""Every loss of the registry: what it says is true, its numbers are right, and they stay right
far away.
"""

import copy
import dataclasses
import importlib
import itertools
import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom
from sklearn._loss import _loss as sklearn_loss
from sklearn.base import clone
from sklearn.linear_model import _sgd_fast as sklearn_sgd

from fastgd.losses.base import Loss, VectorLoss, has_mean, has_probabilities
from fastgd.losses.check import check_loss
from fastgd.losses.classification import Hinge, LogLoss, ModifiedHuber, Perceptron, SquaredHinge
from fastgd.losses.deviances import (
    Binomial,
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    Tweedie,
)
from fastgd.losses.domain import REALS, SIGNS, Interval
from fastgd.losses.regression import (
    EpsilonInsensitive,
    Huber,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
)
from fastgd.runtime.fingerprint import is_ours

# Every loss of the package by its registry: a new one is tested from the day it is written.
MEMBERS = {name: cls for name, cls in Loss.members().items() if is_ours(cls)}
LOSSES = [
    *(cls() for cls in MEMBERS.values()),
    Huber(0.1),
    Huber(20.0),
    Quantile(0.05),
    Quantile(0.9),
    EpsilonInsensitive(0.0),
    EpsilonInsensitive(2.0),
    SquaredEpsilonInsensitive(0.0),
    SquaredEpsilonInsensitive(2.0),
    *(Tweedie(power) for power in (0.0, 1.0, 1.01, 1.9, 2.0, 2.5, 3.0)),
    NegativeBinomial(0.01),
    NegativeBinomial(5.0),
]
TARGETS = [-2.5, -1.0, 0.0, 0.25, 1.0, 3.0]

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)


def targets_of(loss):
    return [target for target in TARGETS if loss.target_domain.contains(target)]


def perfect(loss, target):
    """Prediction that stands for the target, by bisection where the loss has a link; far out where
    none does.
    """
    if not has_mean(loss):
        return target
    if target in (loss.target_domain.low, loss.target_domain.high):
        return -1e4 if target == loss.target_domain.low else 1e4
    low, high = -80.0, 80.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if loss.mean(middle) < target else (low, middle)
    return high


@pytest.mark.thinned(plain=1, compiled=2)
@every_loss
def test_is_what_it_says(loss):
    """Derivative, curvature, smooth, convex, infimum, bounds, and compiled as in Python."""
    report = check_loss(loss)
    assert report.ok, str(report)


@every_loss
def test_derivative_is_the_difference_of_value(loss):
    step = 1e-6
    for target in targets_of(loss):
        for prediction in target + np.arange(-40, 40) * 0.17 + 0.0123:  # no corner within a step
            difference = (
                loss.value(prediction + step, target) - loss.value(prediction - step, target)
            ) / (2 * step)
            assert loss.derivative(prediction, target) == pytest.approx(
                difference, rel=1e-7, abs=1e-8
            )


@every_loss
def test_curvature_bound_is_the_least(loss):
    grid = [
        (p, t) for t in targets_of(loss) for p in np.concatenate([[t], np.linspace(-9, 9, 181)])
    ]
    largest = max(loss.curvature(p, t) for p, t in grid)
    if loss.smooth and loss.curvature_bound == np.inf:
        # It grows with the prediction, or with the target.
        assert max(largest, loss.curvature(5.0, 1e6)) > 50.0
    else:
        assert largest == (loss.curvature_bound if loss.smooth else 0.0)


@every_loss
def test_default_curvature_agrees(loss):
    for target in targets_of(loss):
        for prediction in target + np.arange(-40, 40) * 0.17 + 0.0123:
            by_differences = Loss.curvature(loss, prediction, target)
            assert loss.curvature(prediction, target) == pytest.approx(
                by_differences, rel=1e-8, abs=1e-8
            )


@every_loss
def test_perfect_prediction_costs_nothing(loss):
    for target in targets_of(loss):
        prediction = 1e4 * target if loss.classification else perfect(loss, target)
        linked = has_mean(loss) and loss.mean(0.0) != 0.0
        # a logarithm is rounded: by that much a prediction is off
        assert 0.0 <= loss.value(prediction, target) <= (1e-28 if linked else 0.0)
        if loss.smooth:
            assert abs(loss.derivative(prediction, target)) <= (1e-13 if linked else 0.0)


@every_loss
@pytest.mark.filterwarnings("error")
def test_extreme_predictions(loss):
    """Finite at 1e4; at 1e300 finite or truly overflowed, and never a warning."""
    for size, target in itertools.product([1e4, -1e4, 1e300, -1e300], targets_of(loss)):
        value, derivative, curvature = (
            f(size, target) for f in (loss.value, loss.derivative, loss.curvature)
        )
        assert value >= 0.0
        if loss.curvature_bound < np.inf or not loss.smooth:
            assert np.isfinite([derivative, curvature]).all()
        assert not np.isnan([derivative, curvature]).any()
        assert np.isfinite(value) or (abs(size) > 1e3 and abs(derivative) > 1e100)


@every_loss
def test_nan_prediction_gives_nan(loss):
    """Divergence must reach the objective."""
    for target in targets_of(loss):
        assert np.isnan(loss.value(np.nan, target))


@pytest.mark.jit
@every_loss
def test_compiled_is_python_far_away(loss):
    scan = importlib.import_module(
        "fastgd.losses.check"
    )._scan  # already compiled for this loss by check_loss
    predictions = np.array([0.0, 1e-300, 1.0, 36.0, 40.0, 745.0, 1e4, 1e300, np.inf, np.nan])
    predictions = np.concatenate([predictions, -predictions])
    for target in targets_of(loss):
        found = np.empty((3, predictions.size))
        scan(loss, predictions, np.float64(target), *found)
        with np.errstate(over="ignore", invalid="ignore"):  # inf - inf is nan in both
            methods = (loss.value, loss.derivative, loss.curvature)
            expected = [[method(p, target) for p in predictions] for method in methods]
        np.testing.assert_allclose(found, expected, rtol=2e-15, atol=0.0)  # fused multiply-add


@every_loss
def test_pickle_copy_clone_and_repr(loss):
    fields = dataclasses.asdict(loss)
    for twin in (
        pickle.loads(pickle.dumps(loss)),
        copy.deepcopy(loss),
        clone(loss, safe=False),
        eval(repr(loss)),
    ):
        assert type(twin) is type(loss)
        assert dataclasses.asdict(twin) == fields
        assert twin.value(0.3, 1.0) == loss.value(0.3, 1.0)


HAND = [  # prediction, target: value, derivative, curvature
    (LogLoss(), 0.0, 1.0, np.log(2.0), -0.5, 0.25),
    (LogLoss(), np.log(3.0), -1.0, np.log(4.0), 0.75, 0.1875),
    (Hinge(), 0.5, 1.0, 0.5, -1.0, 0.0),
    (Hinge(), 0.5, -1.0, 1.5, 1.0, 0.0),
    (Hinge(), 1.0, 1.0, 0.0, -1.0, 0.0),
    (Hinge(), 1.5, 1.0, 0.0, 0.0, 0.0),
    (SquaredHinge(), -1.0, 1.0, 4.0, -4.0, 2.0),
    (SquaredHinge(), 2.0, 1.0, 0.0, 0.0, 0.0),
    (ModifiedHuber(), 0.5, 1.0, 0.25, -1.0, 2.0),
    (ModifiedHuber(), -1.0, 1.0, 4.0, -4.0, 0.0),
    (ModifiedHuber(), 3.0, -1.0, 12.0, 4.0, 0.0),
    (Perceptron(), 0.0, 1.0, 0.0, -1.0, 0.0),
    (Perceptron(), -2.0, 1.0, 2.0, -1.0, 0.0),
    (Perceptron(), -2.0, -1.0, 0.0, 0.0, 0.0),
    (SquaredError(), 3.0, 1.0, 2.0, 2.0, 1.0),
    (Huber(1.0), 1.5, 1.0, 0.125, 0.5, 1.0),
    (Huber(1.0), -2.0, 1.0, 2.5, -1.0, 0.0),
    (EpsilonInsensitive(0.5), 1.25, 1.0, 0.0, 0.0, 0.0),
    (EpsilonInsensitive(0.5), 3.0, 1.0, 1.5, 1.0, 0.0),
    (SquaredEpsilonInsensitive(0.5), -1.0, 1.0, 2.25, -3.0, 2.0),
    (Poisson(), np.log(2.0), 1.0, 1.0 - np.log(2.0), 1.0, 2.0),
    (Poisson(), np.log(2.0), 0.0, 2.0, 2.0, 2.0),
    (Gamma(), np.log(2.0), 1.0, np.log(2.0) - 0.5, 0.5, 0.5),
    (InverseGaussian(), np.log(2.0), 1.0, 0.125, 0.25, 0.0),
    (InverseGaussian(), np.log(2.0), 4.0, 0.125, -0.5, 1.5),
    (Tweedie(0.0), 3.0, 1.0, 2.0, 2.0, 1.0),
    (Tweedie(1.5), np.log(4.0), 1.0, 1.0, 1.5, 1.25),
    (Tweedie(1.5), np.log(4.0), 0.0, 4.0, 2.0, 1.0),
    (Tweedie(3.0), np.log(2.0), 4.0, 0.125, -0.5, 1.5),
    (NegativeBinomial(1.0), np.log(3.0), 1.0, 2.0 * np.log(2.0) - np.log(3.0), 0.5, 0.375),
    (NegativeBinomial(1.0), np.log(3.0), 0.0, np.log(4.0), 0.75, 0.1875),
    (Binomial(), np.log(3.0), 0.5, 0.5 * np.log(4.0 / 3.0), 0.25, 0.1875),
    (Binomial(), np.log(3.0), 0.0, np.log(4.0), 0.75, 0.1875),
    (Binomial(), np.log(3.0), 1.0, np.log(4.0 / 3.0), -0.25, 0.1875),
    (Quantile(0.75), 1.0, 3.0, 1.5, -0.75, 0.0),
    (Quantile(0.75), 3.0, 1.0, 0.5, 0.25, 0.0),
]


@pytest.mark.parametrize(("loss", "prediction", "target", "value", "derivative", "curvature"), HAND)
def test_hand_computed(loss, prediction, target, value, derivative, curvature):
    # a prediction that is a logarithm is rounded
    near = {"rel": 4e-15, "abs": 1e-15} if has_mean(loss) else {"rel": 1e-15}
    assert loss.value(prediction, target) == pytest.approx(value, **near)
    assert loss.derivative(prediction, target) == pytest.approx(derivative, **near)
    assert loss.curvature(prediction, target) == pytest.approx(curvature, **near)


@pytest.mark.parametrize("power", [2.01, 2.5, 3.0, 7.0])
@pytest.mark.parametrize("above", [1e-3, 0.5, 0.99, 1.01, 30.0, 1e6, 1e16])
def test_tweedie_above_power_2_far_out(power, above):
    """The twin without tangents, in long doubles: 8 % of a schedule's F at predictions of 1e16."""
    loss, target, prediction = Tweedie(power), 0.7, above / (power - 2.0) + np.log(0.7)
    a, b = np.longdouble(power) - 1, 2 - np.longdouble(power)
    u = np.longdouble(prediction) - np.log(np.longdouble(target))
    right = target**b * (np.expm1(-a * u) / a + np.expm1(b * u) / b)
    assert loss.value(prediction, target) == pytest.approx(float(right), rel=1e-12)


def test_every_loss_has_hand_computed_values():
    assert {type(row[0]) for row in HAND} == set(MEMBERS.values())


@pytest.mark.parametrize(
    "margin", [1e-300, 1e-8, 0.1, 1.0, 2.5, 10.0, 18.5, 33.5, 36.5, 37.5, 50.0, 700.0]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_log_loss_against_sixty_digits(margin, sign):
    with localcontext() as context:
        context.prec = 60 + int(margin)
        odds = (-Decimal(margin * sign)).exp()
        value, share = (1 + odds).ln(), odds / (1 + odds)
        expected = [float(value), float(-share), float(share * (1 - share))]
    for target in (1.0, -1.0):
        prediction = target * sign * margin
        found = [
            f(prediction, target)
            for f in (LogLoss().value, LogLoss().derivative, LogLoss().curvature)
        ]
        np.testing.assert_allclose(
            found, [expected[0], target * expected[1], expected[2]], rtol=8e-16
        )


ORACLES = [  # ours, scikit-learn's, whether its targets are 0 and 1
    (LogLoss(), sklearn_loss.CyHalfBinomialLoss(), True),
    (Hinge(), sklearn_sgd.Hinge(1.0), False),
    (SquaredHinge(), sklearn_sgd.SquaredHinge(1.0), False),
    (ModifiedHuber(), sklearn_sgd.ModifiedHuber(), False),
    (Perceptron(), sklearn_sgd.Hinge(0.0), False),
    (SquaredError(), sklearn_loss.CyHalfSquaredError(), False),
    (Huber(0.1), sklearn_loss.CyHuberLoss(0.1), False),
    (Huber(1.35), sklearn_loss.CyHuberLoss(1.35), False),
    (EpsilonInsensitive(0.1), sklearn_sgd.EpsilonInsensitive(0.1), False),
    (EpsilonInsensitive(0.0), sklearn_sgd.EpsilonInsensitive(0.0), False),
    (SquaredEpsilonInsensitive(0.1), sklearn_sgd.SquaredEpsilonInsensitive(0.1), False),
    (Quantile(0.5), sklearn_loss.CyPinballLoss(0.5), False),
    (Quantile(0.9), sklearn_loss.CyPinballLoss(0.9), False),
]


def scikit_learns(oracle, predictions, targets):
    """Values and derivatives by the oracle; the two modules of scikit-learn have different
    Python faces.
    """
    if hasattr(oracle, "py_loss"):
        pairs = list(zip(predictions, targets, strict=True))
        return np.array([[oracle.py_loss(*pair), oracle.py_dloss(*pair)] for pair in pairs]).T
    values, derivatives = np.empty((2, predictions.size))
    oracle.loss(targets, predictions, None, values, 1)
    oracle.gradient(targets, predictions, None, derivatives, 1)
    return np.array([values, derivatives])


@pytest.mark.parametrize(
    ("loss", "oracle", "zero_one"), ORACLES, ids=lambda x: repr(x) if isinstance(x, Loss) else ""
)
def test_equals_scikit_learn(loss, oracle, zero_one):
    """Derivatives to the last bit, so that the coefficients of SGD agree too; those of log loss
    to 4 units of it.
    """
    grid = np.concatenate(
        [np.linspace(-5, 5, 401), [1e4, -1e4, 0.1, -0.1, 1.35, -1.35, 36.9, -36.9, 37.1, -37.1]]
    )
    targets = np.tile(targets_of(loss), grid.size)
    predictions = np.repeat(grid, len(targets_of(loss)))
    expected = scikit_learns(oracle, predictions, (targets + 1.0) / 2.0 if zero_one else targets)
    values = np.array([loss.value(p, t) for p, t in zip(predictions, targets, strict=True)])
    derivatives = np.array(
        [loss.derivative(p, t) for p, t in zip(predictions, targets, strict=True)]
    )
    # scikit-learn's log loss subtracts the prediction from a number of its size
    np.testing.assert_allclose(values, expected[0], rtol=1e-14, atol=1e-14 if zero_one else 0.0)
    np.testing.assert_array_max_ulp(derivatives, expected[1], maxulp=4 if zero_one else 0)


@every_loss
def test_equals_scikit_learns_generalised_linear_models(loss):
    """Up to what does not depend on the prediction."""
    if not has_mean(loss):
        return
    oracle = {
        "poisson": lambda: sklearn_loss.CyHalfPoissonLoss(),
        "gamma": lambda: sklearn_loss.CyHalfGammaLoss(),
        "inverse_gaussian": lambda: sklearn_loss.CyHalfTweedieLoss(3.0),
        "tweedie": lambda: (
            sklearn_loss.CyHalfTweedieLoss(loss.power)
            if loss.power
            else sklearn_loss.CyHalfSquaredError()
        ),
        "binomial": lambda: sklearn_loss.CyHalfBinomialLoss(),
    }.get(loss.name)
    if oracle is None:
        assert loss.name == "negative_binomial"  # scikit-learn has none
        return
    grid = np.linspace(-5.0, 5.0, 81)
    for target in targets_of(loss):
        values, derivatives = scikit_learns(oracle(), grid, np.full(grid.size, target))
        own = np.array([loss.value(z, target) for z in grid])
        np.testing.assert_allclose(
            own - own[0], values - values[0], rtol=1e-12, atol=1e-12 * abs(values).max()
        )
        np.testing.assert_allclose(
            [loss.derivative(z, target) for z in grid],
            derivatives,
            rtol=1e-13,
            atol=1e-14 * abs(derivatives).max(),
        )


def test_negative_binomial_is_its_likelihood():
    """Up to what does not depend on the prediction."""
    for dispersion, target in itertools.product([0.1, 1.0, 4.0], [0.0, 1.0, 7.0]):
        loss, r = NegativeBinomial(dispersion), 1.0 / dispersion
        z = np.linspace(-4.0, 4.0, 33)
        likely = nbinom.logpmf(target, r, r / (r + np.exp(z)))
        own = np.array([loss.value(one, target) for one in z])
        np.testing.assert_allclose(own - own[0], likely[0] - likely, rtol=1e-11, atol=1e-12)
    near = NegativeBinomial(1e-9)
    assert near.value(1.3, 2.0) == pytest.approx(Poisson().value(1.3, 2.0), rel=1e-7)


@pytest.mark.parametrize("away", [1e-9, 1e-4, 0.1, 0.7, 5.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    "loss",
    [
        Poisson(),
        Gamma(),
        InverseGaussian(),
        Tweedie(1.5),
        Tweedie(1.01),
        Tweedie(2.5),
        NegativeBinomial(0.5),
        Binomial(),
    ],
    ids=repr,
)
def test_deviances_against_a_hundred_digits(loss, away, sign):
    """Near its infimum too, where a deviance as it is defined would cancel."""
    for target in (0.3, 0.9) if loss.name == "binomial" else (1e-3, 1.0, 3.0, 4e5):
        prediction = perfect(loss, target) + sign * away
        with localcontext() as context:
            context.prec = 100
            expected = _exact_deviance(loss, Decimal(float(prediction)), Decimal(target))
        # What the rounding of the logarithm of the target changes.
        rounded = 4e-16 * (abs(prediction) + 2.0) * abs(loss.derivative(prediction, target))
        assert loss.value(prediction, target) == pytest.approx(expected, rel=1e-14, abs=rounded)


def _exact_deviance(loss, z, y):
    """Half the deviance as it is defined, at the mean that the prediction stands for."""
    if loss.name == "binomial":
        p = 1 / (1 + (-z).exp())
        return float(y * (y / p).ln() + (1 - y) * ((1 - y) / (1 - p)).ln())
    mean = z.exp()
    if loss.name == "negative_binomial":
        r = 1 / Decimal(loss.dispersion)
        return float(y * (y / mean).ln() - (y + r) * ((y + r) / (mean + r)).ln())
    known = {"poisson": 1.0, "gamma": 2.0, "inverse_gaussian": 3.0}.get(loss.name)
    p = Decimal(loss.power if known is None else known)
    if p == 1:
        return float(mean - y + y * (y / mean).ln())
    if p == 2:
        return float((mean / y).ln() + y / mean - 1)
    return float(
        y ** (2 - p) / ((1 - p) * (2 - p))
        - y * mean ** (1 - p) / (1 - p)
        + mean ** (2 - p) / (2 - p)
    )


@every_loss
def test_steps_are_taken_with_a_curvature_that_is_never_negative(loss):
    """Where the loss is not convex, with the mean of its curvature over targets of the mean that is
    predicted: the derivative is 0 there, and so the curvature is the same one.
    """
    for z in np.linspace(-6.0, 6.0, 25):
        for target in targets_of(loss):
            curvature = loss.step_curvature(z, target)
            assert curvature >= 0.0
            if loss.convex:
                assert curvature == loss.curvature(z, target)
        if not loss.convex:
            assert curvature == pytest.approx(loss.curvature(z, float(loss.mean(z))), rel=1e-12)


SAMPLE = np.random.default_rng(3).gamma(2.0, size=301)


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        (SquaredError(), SAMPLE.mean()),
        (Huber(1e3), SAMPLE.mean()),
        (SquaredEpsilonInsensitive(0.0), SAMPLE.mean()),
        *(
            (loss, np.log(SAMPLE.mean()))
            for loss in (
                Poisson(),
                Gamma(),
                InverseGaussian(),
                Tweedie(1.3),
                Tweedie(2.6),
                NegativeBinomial(2.0),
            )
        ),
        (EpsilonInsensitive(0.0), np.median(SAMPLE)),
        (Quantile(), np.median(SAMPLE)),
        (Huber(1e-9), np.median(SAMPLE)),
        (Quantile(0.9), np.quantile(SAMPLE, 0.9)),
        (Quantile(0.05), np.quantile(SAMPLE, 0.05)),
    ],
    ids=repr,
)
def test_best_constant_prediction_of_numbers(loss, best):
    def mean_loss(prediction):
        return np.mean([loss.value(prediction, target) for target in SAMPLE])

    found = minimize_scalar(mean_loss, bounds=(0.0, 20.0), options={"xatol": 1e-9})
    assert found.x == pytest.approx(
        best, abs=2e-3
    )  # a median is any number between two neighbours in the sample
    assert mean_loss(best) <= found.fun + 1e-12


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        (LogLoss(), np.log(3.0)),
        (SquaredHinge(), 0.5),
        (ModifiedHuber(), 0.5),
        (SquaredError(), 0.5),
        (Hinge(), 1.0),
    ],
    ids=repr,
)
def test_best_constant_prediction_of_signs(loss, best):
    """Three positive samples of four: the log odds, the mean, the majority."""
    found = minimize_scalar(
        lambda p: 3 * loss.value(p, 1.0) + loss.value(p, -1.0), bounds=(-5.0, 5.0)
    )
    assert found.x == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(-1.0), r"^Huber epsilon must be positive and finite, got -1\.0$"),
        (lambda: Huber(0), r"^Huber epsilon must be positive and finite, got 0\.0$"),
        (lambda: Huber(np.inf), r"^Huber epsilon must be positive and finite, got inf$"),
        (lambda: Huber(np.nan), r"^Huber epsilon must be positive and finite, got nan$"),
        (
            lambda: EpsilonInsensitive(-0.5),
            r"^EpsilonInsensitive epsilon must be non-negative and finite, got -0\.5$",
        ),
        (
            lambda: SquaredEpsilonInsensitive(np.nan),
            r"^SquaredEpsilonInsensitive epsilon must be non-negative",
        ),
        (lambda: Quantile(1.5), r"^Quantile quantile must lie strictly between 0 and 1, got 1\.5$"),
        (lambda: Tweedie(0.5), r"^Tweedie power must be 0 or at least 1, got 0\.5$"),
        (lambda: Tweedie(np.inf), r"^Tweedie power must be 0 or at least 1, got inf$"),
        (
            lambda: NegativeBinomial(0),
            r"^NegativeBinomial dispersion must be positive and finite, got 0\.0$",
        ),
        (lambda: Quantile(0), r"^Quantile quantile must lie strictly between 0 and 1, got 0\.0$"),
        (
            lambda: Loss.named("hubber"),
            r"^unknown loss 'hubber'; did you mean 'huber'\?.*squared_hinge",
        ),
    ],
)
def test_wrong_parameters_and_names_of_losses_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_and_lookup():
    assert set(MEMBERS) >= {
        "log_loss",
        "hinge",
        "squared_hinge",
        "modified_huber",
        "perceptron",
        "squared_error",
        "huber",
        "epsilon_insensitive",
        "squared_epsilon_insensitive",
        "quantile",
        "poisson",
        "gamma",
        "tweedie",
        "inverse_gaussian",
        "negative_binomial",
        "binomial",
    }
    for name, cls in MEMBERS.items():
        assert Loss.named(name) is cls
        assert cls.name == name


@every_loss
def test_facts_are_declared_alike_on_class_and_object(loss):
    """Lists of losses (documentation, messages) read the class, solvers the object."""
    default = type(loss)() if loss.name == "tweedie" else loss  # whose facts depend on the power
    for fact in ("smooth", "convex", "infimum", "classification", "target_domain"):
        assert getattr(type(loss), fact) == getattr(default, fact)
    assert loss.infimum == 0.0
    assert loss.classification == (loss.target_domain == SIGNS)
    assert loss.smooth or loss.curvature_bound == np.inf
    assert not loss.smooth or has_mean(loss) or loss.curvature_bound < np.inf


@every_loss
def test_a_probability_is_where_the_loss_expected_with_it_is_least(loss):
    """Else what `predict_proba` says would not be what the fit has learnt."""
    has = type(loss).probability is not Loss.probability
    assert has == has_probabilities(loss) == has_probabilities(loss.name)
    assert has == (loss.name in ("log_loss", "modified_huber"))
    if not has:
        return
    predictions = np.linspace(-0.95, 0.95, 20)
    for z, p in zip(predictions, loss.probability(predictions), strict=True):
        expected = p * loss.derivative(z, 1.0) + (1.0 - p) * loss.derivative(z, -1.0)
        assert expected == pytest.approx(0.0, abs=1e-15)


def test_passive_aggressive_steps_are_for_slopes_of_one():
    found = {name for name, kind in MEMBERS.items() if kind.passive_aggressive}
    assert found == {"hinge", "epsilon_insensitive"}
    for name in found:
        loss = MEMBERS[name]()
        for z, y in itertools.product(np.linspace(-3.0, 3.0, 13), targets_of(loss)):
            if loss.value(z, y) > 0.0:
                assert abs(loss.derivative(z, y)) == 1.0


def test_the_perceptron_alone_is_an_online_rule():
    assert {name for name, kind in MEMBERS.items() if kind.online} == {"perceptron"}
    assert not VectorLoss.online


def test_target_domains():
    everywhere = np.array([-np.inf, -1.0, -0.5, 0.0, 1.0, 2.0, np.inf, np.nan])
    assert REALS.contains(everywhere).tolist() == [
        False,
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert SIGNS.contains(everywhere).tolist() == [
        False,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    counts = Interval(low=0.0, low_closed=True)
    assert counts.contains(everywhere).tolist() == [
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert Interval(0.0, 1.0).contains([[0.0, 0.5], [1.0, np.nan]]).tolist() == [
        [False, True],
        [False, False],
    ]
    texts = [REALS.text, SIGNS.text, counts.text, Interval(0.0, 1.0, high_closed=True).text]
    assert texts == ["finite", "-1 or 1", "in [0, inf)", "in (0, 1]"]
