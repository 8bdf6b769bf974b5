"""The losses: what one sample adds to the objective, as a function of its prediction.

Convention, for the whole package: the objective is

    F(w, b) = sum_i s_i loss(z_i, y_i) / sum_i s_i + alpha sum_j penalty(w_j),    z_i = x_i . w + b (+ offset_i)

with weights s, predictions z (before any link) and targets y; the intercept b is never penalised. A `derivative` is
d loss / d prediction, so a step *subtracts* it; a `curvature` is the second derivative (where the derivative has a
corner: the value on one of its sides). Every loss here has the infimum 0, and declares it. Where scikit-learn's
SGDClassifier or SGDRegressor has the loss too, the scaling and the choice of a subgradient at a corner are the same.

Bodies run compiled and as plain Python. They use np.exp, never math.exp, divide by nothing that can be 0, and prefer
min and max to branches: such bodies vectorise, and pass a NaN on, so that divergence is seen (a comparison may not).
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from fastgd.losses.exponentials import exp_of_minus, log_1_plus
from fastgd.runtime.component import Component, python_only, required


class Interval(NamedTuple):
    """The targets from `low` to `high`, or only these two numbers: what a loss accepts.

    Examples
    --------
    >>> print(Interval(low=0.0).text, Interval(low=0.0).contains([0.0, 2.5, float("nan")]))
    in (0, inf) [False  True False]
    >>> print(SIGNS.text, SIGNS.contains([-1, 0, 1]))
    -1 or 1 [ True False  True]
    """

    low: float = -np.inf
    high: float = np.inf
    low_closed: bool = False
    high_closed: bool = False
    ends_only: bool = False

    @property
    def text(self) -> str:
        """The domain as it reads in a message after "targets must be"."""
        if self.ends_only:
            return f"{self.low:g} or {self.high:g}"
        if self.low == -np.inf and self.high == np.inf:
            return "finite"
        return f"in {'[' if self.low_closed else '('}{self.low:g}, {self.high:g}{']' if self.high_closed else ')'}"

    def contains(self, targets) -> np.ndarray:
        """Whether each target lies in the domain, as an array of bool; NaN and infinity never do."""
        targets = np.asarray(targets, dtype=float)
        if self.ends_only:
            return (targets == self.low) | (targets == self.high)
        above = targets >= self.low if self.low_closed else targets > self.low
        below = targets <= self.high if self.high_closed else targets < self.high
        return above & below & np.isfinite(targets)


REALS = Interval()
SIGNS = Interval(-1.0, 1.0, low_closed=True, high_closed=True, ends_only=True)


class Loss(Component, family=True):
    """A loss of one prediction: a class with `value` and `derivative`, all else has defaults.

    Attributes
    ----------
    name : str
        What estimators call it; by default the class name in snake case.
    smooth : bool
        Whether the derivative is continuous.
    convex : bool
        Whether the value is convex in the prediction, for every target.
    curvature_bound : float
        The largest curvature (the Lipschitz constant of the derivative); inf if there is none.
    self_concordance : float or None
        M with abs(third derivative) <= M * curvature everywhere; None if there is none or it is unknown.
    infimum : float
        The largest lower bound of the value that holds for every target; -inf, as by default, where there is none or
        it is not known.  Proofs rest on it: a fit tries what is declared on its own targets.
    classification : bool
        Whether the targets are the signs -1 and +1 of two classes.
    target_domain : Interval
        The targets that the loss accepts.
    """

    smooth: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    curvature_bound: ClassVar[float] = np.inf
    self_concordance: ClassVar[float | None] = None
    infimum: ClassVar[float] = -np.inf
    classification: ClassVar[bool] = False
    target_domain: ClassVar[Interval] = REALS

    @required
    def value(self, prediction, target):
        """Loss of one sample with weight 1."""

    @required
    def derivative(self, prediction, target):
        """Derivative of the value with respect to the prediction; at a corner, any subgradient."""

    def curvature(self, prediction, target):
        """Second derivative; by default the central difference of `derivative` (about ten digits)."""
        step = 6e-6 * max(1.0, abs(prediction))  # the cube root of the rounding error balances both errors
        after = self.derivative(prediction + step, target)
        before = self.derivative(prediction - step, target)
        return (after - before) / (2.0 * step)


class VectorLoss(Component, family=True):
    """A loss of K predictions, for example of one score per class: `value` and `derivatives`, all else has defaults.

    The target is a row of numbers, (n_targets,) float: a class index, or several values to be predicted at once.
    Attributes as those of `Loss`, with these differences: `curvature_bound` bounds the largest eigenvalue of the
    (K, K) second derivative H, and `self_concordance` is M with abs(third derivative along v) <= M max_k abs(v_k) v'Hv
    for every direction v (squared 0, softmax 2).
    """

    smooth: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    curvature_bound: ClassVar[float] = np.inf
    self_concordance: ClassVar[float | None] = None
    infimum: ClassVar[float] = -np.inf
    classification: ClassVar[bool] = False
    target_domain: ClassVar[Interval] = REALS

    @required
    def value(self, predictions, target):
        """Loss of one sample with weight 1; predictions (K,) float, target (n_targets,) float."""

    @required
    def derivatives(self, predictions, target, out):
        """Write the K derivatives of the value with respect to the predictions to out, (K,) float."""

    def curvature_product(self, predictions, target, direction, out):
        """Write H @ direction to out, H the (K, K) second derivative; by default a central difference."""
        moved, before = np.empty(predictions.size), np.empty(predictions.size)
        largest, longest = 1.0, 1e-100
        for k in range(predictions.size):  # loops: array expressions take 3 s more to compile
            largest, longest = max(largest, abs(predictions[k])), max(longest, abs(direction[k]))
        step = 6e-6 * largest / longest
        for k in range(predictions.size):
            moved[k] = predictions[k] - step * direction[k]
        self.derivatives(moved, target, before)
        for k in range(predictions.size):
            moved[k] = predictions[k] + step * direction[k]
        self.derivatives(moved, target, out)
        for k in range(predictions.size):
            out[k] = (out[k] - before[k]) / (2.0 * step)

    @python_only
    def n_predictions(self, targets) -> int:
        """Return K, the number of predictions that targets, (n_samples, n_targets), ask for; by default n_targets."""
        return int(np.shape(targets)[1])


def _require_positive(loss: Loss, parameter: str, or_zero: bool = False) -> None:
    number = getattr(loss, parameter)
    if not (0.0 < number < np.inf or (or_zero and number == 0.0)):
        allowed = "non-negative" if or_zero else "positive"
        raise ValueError(f"{type(loss).__name__} {parameter} must be {allowed} and finite, got {number}")


class LogLoss(Loss):
    """Logistic regression: log(1 + exp(-margin)), margin = target * prediction.

    All methods start from exp(-abs(margin)): it cannot overflow, and inlined into one loop it is computed once.
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 0.25
    self_concordance: ClassVar[float | None] = 1.0
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        margin = target * prediction
        return max(-margin, 0.0) + log_1_plus(exp_of_minus(abs(margin)))

    def derivative(self, prediction, target):
        margin = target * prediction
        decay = exp_of_minus(abs(margin))
        return -target * (decay if margin > 0.0 else 1.0) / (1.0 + decay)

    def curvature(self, prediction, target):
        decay = exp_of_minus(abs(target * prediction))
        return decay / ((1.0 + decay) * (1.0 + decay))


class Hinge(Loss):
    """Support vector machine: max(0, 1 - margin), margin = target * prediction; derivative -target at margin 1."""

    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        return max(1.0 - target * prediction, 0.0)

    def derivative(self, prediction, target):
        return 0.0 if target * prediction > 1.0 else -target

    def curvature(self, prediction, target):
        return 0.0


class SquaredHinge(Loss):
    """Hinge with squared slack: max(0, 1 - margin)^2; curvature 2 below margin 1, else 0."""

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 2.0
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        slack = max(1.0 - target * prediction, 0.0)
        return slack * slack

    def derivative(self, prediction, target):
        return -2.0 * target * max(1.0 - target * prediction, 0.0)

    def curvature(self, prediction, target):
        return 2.0 if target * prediction < 1.0 else 0.0


class ModifiedHuber(Loss):
    """Squared hinge that is linear below margin -1: max(0, 1 - margin)^2 or -4 margin.

    Curvature 2 between the margins -1 and 1, else 0. Tong Zhang (2004), "Solving large scale linear prediction problems
    using stochastic gradient descent algorithms", section 2.
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 2.0
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        slack = max(1.0 - target * prediction, 0.0)
        near = min(slack, 2.0)
        return near * (2.0 * slack - near)

    def derivative(self, prediction, target):
        return -2.0 * target * min(max(1.0 - target * prediction, 0.0), 2.0)

    def curvature(self, prediction, target):
        return 2.0 if abs(prediction) < 1.0 else 0.0


class Perceptron(Loss):
    """Rosenblatt's rule as a loss: max(0, -margin), margin = target * prediction; derivative -target at margin 0."""

    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        return max(-target * prediction, 0.0)

    def derivative(self, prediction, target):
        return 0.0 if target * prediction > 0.0 else -target

    def curvature(self, prediction, target):
        return 0.0


class SquaredError(Loss):
    """Least squares: (prediction - target)^2 / 2; the best constant prediction is the mean."""

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 1.0
    self_concordance: ClassVar[float | None] = 0.0

    def value(self, prediction, target):
        residual = prediction - target
        return 0.5 * residual * residual

    def derivative(self, prediction, target):
        return prediction - target

    def curvature(self, prediction, target):
        return 1.0


class Huber(Loss):
    """Squared near the target, absolute beyond: r^2 / 2 or epsilon (abs(r) - epsilon / 2), r = prediction - target.

    Curvature 1 within epsilon, else 0. Peter J. Huber (1964), "Robust estimation of a location parameter", section 4.

    Parameters
    ----------
    epsilon : float, default=1.35
        Where the loss turns absolute; positive. The default keeps 95 % of the efficiency of least squares on Gaussian
        residuals of unit variance.
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 1.0

    epsilon: float = 1.35

    def __post_init__(self):
        _require_positive(self, "epsilon")

    def value(self, prediction, target):
        distance = abs(prediction - target)
        near = min(distance, self.epsilon)
        return near * (distance - 0.5 * near)

    def derivative(self, prediction, target):
        return min(max(prediction - target, -self.epsilon), self.epsilon)

    def curvature(self, prediction, target):
        return 1.0 if abs(prediction - target) <= self.epsilon else 0.0


class EpsilonInsensitive(Loss):
    """Support vector regression: max(0, abs(prediction - target) - epsilon).

    Not smooth; at the corners the derivative is 0. With epsilon 0 the best constant prediction is the median.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residuals up to this size cost nothing; 0 gives the absolute error.
    """

    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False

    epsilon: float = 0.1

    def __post_init__(self):
        _require_positive(self, "epsilon", or_zero=True)

    def value(self, prediction, target):
        return max(abs(prediction - target) - self.epsilon, 0.0)

    def derivative(self, prediction, target):
        residual = prediction - target
        return (1.0 if residual > self.epsilon else 0.0) - (1.0 if residual < -self.epsilon else 0.0)

    def curvature(self, prediction, target):
        return 0.0


class SquaredEpsilonInsensitive(Loss):
    """Support vector regression with squared slack: max(0, abs(prediction - target) - epsilon)^2.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residuals up to this size cost nothing; 0 gives twice `SquaredError`.
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 2.0

    epsilon: float = 0.1

    def __post_init__(self):
        _require_positive(self, "epsilon", or_zero=True)

    def value(self, prediction, target):
        slack = max(abs(prediction - target) - self.epsilon, 0.0)
        return slack * slack

    def derivative(self, prediction, target):
        residual = prediction - target
        return 2.0 * (residual - min(max(residual, -self.epsilon), self.epsilon))

    def curvature(self, prediction, target):
        return 2.0 if abs(prediction - target) >= self.epsilon else 0.0


class Quantile(Loss):
    """Quantile regression: quantile * r or (quantile - 1) * r, whichever is larger, r = target - prediction.

    Not smooth; at the corner the derivative is -quantile. The best constant prediction is the quantile of the targets.
    Koenker, Bassett (1978), "Regression quantiles", equation (3.1).

    Parameters
    ----------
    quantile : float, default=0.5
        Share of the targets to lie below the prediction, strictly between 0 and 1; 0.5 is half the absolute error.
    """

    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False

    quantile: float = 0.5

    def __post_init__(self):
        if not 0.0 < self.quantile < 1.0:
            raise ValueError(f"Quantile quantile must lie strictly between 0 and 1, got {self.quantile}")

    def value(self, prediction, target):
        residual = target - prediction
        return max(self.quantile * residual, (self.quantile - 1.0) * residual)

    def derivative(self, prediction, target):
        return 1.0 - self.quantile if prediction > target else -self.quantile

    def curvature(self, prediction, target):
        return 0.0
