"""Losses of counts, amounts and shares: half the deviance of a distribution with the mean
mean(prediction).

Each is written in u = prediction - link(target), how far the prediction is from where the loss is
0, so that nothing cancels near its infimum: half a deviance is a sum of terms that `above_tangent`
gives to full accuracy. scikit-learn's GLMs minimise the same, less what does not depend on the
prediction, so that one `alpha` means the same here and there.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaln

from fastgd.losses.base import Loss
from fastgd.losses.domain import REALS, Interval
from fastgd.losses.exponentials import (
    above_tangent,
    exp_of,
    exp_of_minus,
    log_1_plus,
    log_below_tangent,
    log_of,
)
from fastgd.losses.regression import SquaredError
from fastgd.runtime.component import python_only
from fastgd.runtime.in_words import require_positive
from fastgd.runtime.jit import callee
from fastgd.runtime.public import public

NOT_NEGATIVE = Interval(0.0, np.inf, low_closed=True)
POSITIVE = Interval(0.0, np.inf)
SHARES = Interval(0.0, 1.0, low_closed=True, high_closed=True)
# From here on a value above power 2 is infinite: both of its terms are.
FAR_BELOW = 700.0


@callee
def log_or_0(target):
    """Logarithm of a target, and 0 for the target 0."""
    return log_of(target if target > 0.0 else 1.0)


@callee
def soft_plus(t):
    """The soft plus log(1 + exp(t)), without overflow."""
    return max(t, 0.0) + log_1_plus(exp_of_minus(abs(t)))


@callee
def divergence(share, rest, above):
    """Divergence of a share q, 0 < q < 1, from the share p whose log odds are so far `above`.

    With `rest` = 1 - q it is q log(q / p) + (1 - q) log((1 - q) / (1 - p)) = log(1 - q + q
    exp(above)) - q above.
    """
    less, more = min(share, rest), max(share, rest)
    move = above if share < rest else -above
    curved = above_tangent(move)
    x = less * (move + curved)
    if x > 1.0:
        return more * move + log_of(less) + log_1_plus(more / less * exp_of_minus(move))
    return less * curved - log_below_tangent(x)


def exponential(predictions):
    """exp(predictions), infinite where that overflows."""
    with np.errstate(over="ignore"):
        return np.exp(predictions)


@public
class Poisson(Loss):
    """Counts: half the Poisson deviance, mean - target + target log(target / mean), mean =
    exp(prediction).

    For a rate, pass counts with `offset=np.log(exposure)`, or counts / exposure with the exposure
    as `sample_weight`, which is no number of rows: `summary(..., weights="precision")`.

    Examples
    --------
    >>> round(float(Poisson().value(0.0, 2.0)), 3)
    0.386
    """

    infimum: ClassVar[float] = 0.0
    self_concordance: ClassVar[float | None] = 1.0
    target_domain: ClassVar[Interval] = NOT_NEGATIVE

    def value(self, prediction, target):
        above = prediction - log_or_0(target)
        return target * above_tangent(above) if target > 0.0 else exp_of(prediction)

    def derivative(self, prediction, target):
        return exp_of(prediction) - target

    def curvature(self, prediction, target):
        return exp_of(prediction)

    @python_only
    def mean(self, predictions):
        return exponential(predictions)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        logs = targets * predictions - exponential(predictions) - gammaln(targets + 1.0)
        return float(weights @ logs)


@public
class Gamma(Loss):
    """Positive amounts: half the Gamma deviance, log(mean / target) + target / mean - 1, mean =
    exp(prediction).

    For the mean of n amounts, pass it with the weight n, and `weights="precision"` to `summary`.

    Examples
    --------
    >>> round(float(Gamma().value(0.0, 2.0)), 3)
    0.307
    """

    infimum: ClassVar[float] = 0.0
    estimates_dispersion: ClassVar[bool] = True
    self_concordance: ClassVar[float | None] = 1.0
    target_domain: ClassVar[Interval] = POSITIVE

    def value(self, prediction, target):
        return above_tangent(log_or_0(target) - prediction)

    def derivative(self, prediction, target):
        return 1.0 - self.curvature(prediction, target)

    def curvature(self, prediction, target):
        # Without a logarithm: a pass takes 0.7 of the time. In halves, which do not overflow before
        # the ratio does.
        half = exp_of(-0.5 * prediction)
        return target * half * half

    @python_only
    def mean(self, predictions):
        return exponential(predictions)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of the shape 1 / dispersion."""
        shape = 1.0 / dispersion
        ratios = shape * targets * exponential(-predictions)
        logs = shape * np.log(ratios) - ratios - np.log(targets) - gammaln(shape)
        return float(weights @ logs)


@public
class InverseGaussian(Loss):
    """Positive amounts with heavy tails: half the inverse Gaussian deviance, (target - mean)^2 /
    (2 target mean^2), mean = exp(prediction).

    Not convex: Newton's method steps by the expected curvature 1 / mean, and no bound is proved.

    Examples
    --------
    >>> round(float(InverseGaussian().value(0.0, 2.0)), 3)
    0.25
    """

    infimum: ClassVar[float] = 0.0
    estimates_dispersion: ClassVar[bool] = True
    convex: ClassVar[bool] = False
    target_domain: ClassVar[Interval] = POSITIVE

    def value(self, prediction, target):
        ratio = exp_of(log_or_0(target) - prediction)
        return 0.5 * (ratio - 1.0) * (ratio - 1.0) / target

    def derivative(self, prediction, target):
        ratio = exp_of(log_or_0(target) - prediction)
        return (1.0 - ratio) * ratio / target

    def curvature(self, prediction, target):
        ratio = exp_of(log_or_0(target) - prediction)
        return (2.0 * ratio - 1.0) * ratio / target

    def step_curvature(self, prediction, target):
        return exp_of(-prediction)

    @python_only
    def mean(self, predictions):
        return exponential(predictions)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        means = exponential(predictions)
        squares = (targets - means) ** 2 / (dispersion * means**2 * targets)
        logs = -0.5 * (squares + np.log(2.0 * np.pi * dispersion * targets**3))
        return float(weights @ logs)


class _OfPower:
    """A fact about `Tweedie` that depends on its power: of the class, that of the default."""

    def __init__(self, fact):
        self.fact = fact

    def __get__(self, loss, kind):
        return self.fact((kind if loss is None else loss).power)


def _of_power(fact) -> Any:
    # Not annotated in the class, where it would become a field.
    return _OfPower(fact)


def _domain(power):
    return REALS if power == 0.0 else NOT_NEGATIVE if power < 2.0 else POSITIVE


def _third_by_second(power):
    """Bound of the third derivative by the second."""
    return 0.0 if power == 0.0 else max(power - 1.0, 2.0 - power) if power <= 2.0 else None


@public
class Tweedie(Loss):
    """Amounts that are often 0: half the deviance of variance mean^power, mean = exp(prediction).

    Power 0 is least squares, with mean = prediction as in scikit-learn, 1 Poisson, 2 Gamma, 3
    inverse Gaussian; between 1 and 2 a sum of a Poisson number of Gamma amounts. With a = power -
    1, b = 2 - power and u = prediction - log(target) it is target^b times ((exp(-a u) - 1 + a u) /
    a + (exp(b u) - 1 - b u) / b); exp(b prediction) / b for the target 0.

    Above power 2 it is not convex: Newton's method steps by the expected curvature mean^b, and no
    bound is proved. Bent Jorgensen (1987), "Exponential dispersion models", section 4.

    Parameters
    ----------
    power : float, default=1.5
        0, or at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> Tweedie(power=1.5).mean(np.array([0.0, np.log(2.0)]))
    array([1., 2.])
    """

    infimum: ClassVar[float] = 0.0
    estimates_dispersion: ClassVar[bool] = True
    curvature_bound = _of_power(lambda power: 1.0 if power == 0.0 else np.inf)
    convex = _of_power(lambda power: power <= 2.0)
    self_concordance = _of_power(_third_by_second)
    target_domain = _of_power(_domain)

    power: float = 1.5

    def __post_init__(self):
        if not (self.power == 0.0 or 1.0 <= self.power < np.inf):
            raise ValueError(f"Tweedie power must be 0 or at least 1, got {self.power}")

    def value(self, prediction, target):
        if self.power == 0.0:
            return 0.5 * (prediction - target) * (prediction - target)
        a, b = self.power - 1.0, 2.0 - self.power
        if target <= 0.0:
            return exp_of(b * prediction) / b
        u = prediction - log_of(target)
        if b < 0.0 and -a * u > FAR_BELOW:
            return np.inf
        scale = exp_of(b * log_of(target))
        if b < 0.0 and -b * u > 1.0:
            # Above power 2 the tangents cancel: at predictions of 1e16 they left 8 % of error.
            return scale * ((exp_of_minus(-b * u) - 1.0) / b - (1.0 - exp_of_minus(a * u)) / a)
        low = above_tangent(-a * u) / a if a > 0.0 else 0.0
        high = above_tangent(b * u) / b if b != 0.0 else 0.0
        return scale * (low + high)

    def derivative(self, prediction, target):
        if self.power == 0.0:
            return prediction - target
        a, b = self.power - 1.0, 2.0 - self.power
        if target <= 0.0:
            return exp_of(b * prediction)
        u = prediction - log_of(target)
        derivative = exp_of(b * log_of(target)) * (1.0 - exp_of_minus(abs(u)))
        return -derivative * exp_of(-a * u) if u < 0.0 else derivative * exp_of(b * u)

    def curvature(self, prediction, target):
        if self.power == 0.0:
            return 1.0
        a, b = self.power - 1.0, 2.0 - self.power
        if target <= 0.0:
            return b * exp_of(b * prediction)
        u = prediction - log_of(target)
        scale, less = exp_of(b * log_of(target)), exp_of_minus(abs(u))
        if u < 0.0:
            return scale * exp_of(-a * u) * (a + b * less)
        return scale * exp_of(b * u) * (a * less + b)

    def step_curvature(self, prediction, target):
        if self.power > 2.0:
            return exp_of((2.0 - self.power) * prediction)
        return self.curvature(prediction, target)

    @python_only
    def mean(self, predictions):
        return predictions if self.power == 0.0 else exponential(predictions)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of the powers 0, 2 and 3 that of the loss that they are; NaN for others, whose density
        has no closed form, as counts have none of a dispersion that is estimated.
        """
        known = {0.0: SquaredError, 2.0: Gamma, 3.0: InverseGaussian}.get(self.power)
        given = predictions, targets, weights, dispersion
        return np.nan if known is None else known().log_likelihood(*given)


@public
class NegativeBinomial(Loss):
    """Counts that spread more than Poisson's: half the deviance of variance mean + dispersion
    mean^2, mean = exp(prediction).

    target log(target / mean) - (target + r) log((target + r) / (mean + r)), r = 1 / dispersion:
    that is target + r times the divergence of the shares target / (target + r) and mean / (mean +
    r).

    Parameters
    ----------
    dispersion : float, default=1.0
        Positive; it is given, not fitted. Poisson is the limit at 0.

    Examples
    --------
    >>> import numpy as np
    >>> NegativeBinomial(dispersion=0.5).mean(np.array([0.0, np.log(2.0)]))
    array([1., 2.])
    """

    infimum: ClassVar[float] = 0.0
    self_concordance: ClassVar[float | None] = 1.0
    target_domain: ClassVar[Interval] = NOT_NEGATIVE

    dispersion: float = 1.0

    def __post_init__(self):
        require_positive(self, "dispersion")

    def value(self, prediction, target):
        r = 1.0 / self.dispersion
        total = target + r
        if target <= 0.0:
            return r * soft_plus(prediction - log_of(r))
        return total * divergence(target / total, r / total, prediction - log_of(target))

    def derivative(self, prediction, target):
        r, small = 1.0 / self.dispersion, exp_of_minus(abs(prediction))
        if prediction > 0.0:
            return r * (1.0 - target * small) / (1.0 + r * small)
        return r * (small - target) / (r + small)

    def curvature(self, prediction, target):
        r, small = 1.0 / self.dispersion, exp_of_minus(abs(prediction))
        spread = 1.0 + r * small if prediction > 0.0 else r + small
        return r * (r + target) * small / (spread * spread)

    @python_only
    def mean(self, predictions):
        return exponential(predictions)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        r = 1.0 / self.dispersion
        counts = gammaln(targets + r) - gammaln(targets + 1.0) - gammaln(r)
        odds = predictions + np.log(self.dispersion)  # of the share mean / (mean + r)
        logs = counts - targets * np.logaddexp(0.0, -odds) - r * np.logaddexp(0.0, odds)
        return float(weights @ logs)


@public
class Binomial(Loss):
    """Shares from 0 to 1: half the binomial deviance of the share 1 / (1 + exp(-prediction)).

    For k successes of n trials, pass k / n with the weight n, and `weights="precision"` to
    `summary`: read as counts, the trials of a row would be as independent as rows are.

    Examples
    --------
    >>> round(float(Binomial().value(0.0, 1.0)), 3), float(Binomial().value(0.0, 0.5))
    (0.693, 0.0)
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 0.25
    self_concordance: ClassVar[float | None] = 1.0
    target_domain: ClassVar[Interval] = SHARES

    def value(self, prediction, target):
        rest = 1.0 - target
        if target <= 0.0 or rest <= 0.0:
            return soft_plus(prediction if target <= 0.0 else -prediction)
        return divergence(target, rest, prediction - (log_of(target) - log_of(rest)))

    def derivative(self, prediction, target):
        small, rest = exp_of_minus(abs(prediction)), 1.0 - target
        above = rest - target * small if prediction > 0.0 else rest * small - target
        return above / (1.0 + small)

    def curvature(self, prediction, target):
        small = exp_of_minus(abs(prediction))
        return small / ((1.0 + small) * (1.0 + small))

    @python_only
    def mean(self, predictions):
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-predictions))

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of single trials, the weight being how many: without the number of ways in which they can
        be ordered.
        """
        logs = targets * predictions - np.logaddexp(0.0, predictions)
        return float(weights @ logs)
