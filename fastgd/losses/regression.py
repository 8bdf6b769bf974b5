"""Losses of real targets."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.losses.base import Loss
from fastgd.runtime.component import python_only
from fastgd.runtime.in_words import require_positive
from fastgd.runtime.public import public

# How others call what is twice the loss of quantile 0.5.
ABSOLUTE_ERROR = (
    *("mae", "mean_absolute_error", "absolute_error", "absolute"),
    *("least_absolute_deviation", "lad", "l1"),
)
# What is twice the squared error.
SQUARED_DIFFERENCE = ("mse", "mean_squared_error")


@public
class SquaredError(Loss):
    """Least squares: (prediction - target)^2 / 2; the best constant prediction is the mean.

    Examples
    --------
    >>> loss = SquaredError()
    >>> loss.value(3.0, 1.0), loss.derivative(3.0, 1.0)
    (2.0, 2.0)
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        *SQUARED_DIFFERENCE,
        "rmse",
        "gaussian",
        "normal",
        "squared",
        "squared_loss",
        "least_squares",
        "ols",
        "ls",
        "l2",
    )
    _differs_from: ClassVar[dict[str, str]] = dict.fromkeys(
        SQUARED_DIFFERENCE,
        " It is half the squared difference: give half the alpha that stands beside that.",
    )
    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 1.0
    self_concordance: ClassVar[float | None] = 0.0
    squared: ClassVar[bool] = True
    estimates_dispersion: ClassVar[bool] = True

    def value(self, prediction, target):
        residual = prediction - target
        return 0.5 * residual * residual

    def derivative(self, prediction, target):
        return prediction - target

    def curvature(self, prediction, target):
        return 1.0

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of normal residuals, at their most likely variance, or variances in these ratios."""
        total = weights.sum()
        ratios = dispersion / np.mean(dispersion) if np.ndim(dispersion) else np.ones(1)
        variance = np.sum(weights * np.square(targets - predictions) / ratios) / total
        logs = total * (np.log(2.0 * np.pi * variance) + 1.0) + np.sum(weights * np.log(ratios))
        return float(-0.5 * logs)


@public
class Huber(Loss):
    """Squared near the target, absolute beyond: r^2 / 2 or epsilon (abs(r) - epsilon / 2), r =
    prediction - target.

    Curvature 1 within epsilon, else 0. Peter J. Huber (1964), "Robust estimation of a location
    parameter", section 4.

    Parameters
    ----------
    epsilon : float, default=1.35
        Where the loss turns absolute; positive. The default keeps 95 % of the efficiency of least
        squares on Gaussian residuals of unit variance. `loss="huber"` takes the estimator's
        epsilon, which is 0.1 as in scikit-learn's `SGDRegressor`, so it is `Huber(0.1)`.

    Examples
    --------
    >>> loss = Huber(epsilon=1.0)
    >>> loss.value(0.5, 0.0), loss.value(3.0, 0.0), loss.derivative(3.0, 0.0)
    (0.125, 2.5, 1.0)
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 1.0

    epsilon: float = 1.35

    def __post_init__(self):
        require_positive(self, "epsilon")

    def value(self, prediction, target):
        distance = abs(prediction - target)
        near = min(distance, self.epsilon)
        return near * (distance - 0.5 * near)

    def derivative(self, prediction, target):
        return min(max(prediction - target, -self.epsilon), self.epsilon)

    def curvature(self, prediction, target):
        return 1.0 if abs(prediction - target) <= self.epsilon else 0.0


@public
class EpsilonInsensitive(Loss):
    """Support vector regression: max(0, abs(prediction - target) - epsilon).

    Not smooth; where it has no derivative, 0 is taken. With epsilon 0 the best constant prediction
    is the median.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residuals up to this size cost nothing; 0 gives the absolute error.

    Examples
    --------
    >>> loss = EpsilonInsensitive(epsilon=0.5)
    >>> loss.value(0.4, 0.0), loss.value(3.0, 0.0), loss.derivative(3.0, 0.0)
    (0.0, 2.5, 1.0)
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "svr",
        "linear_svr",
    )
    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    passive_aggressive: ClassVar[bool] = True

    epsilon: float = 0.1

    def __post_init__(self):
        require_positive(self, "epsilon", or_zero=True)

    def value(self, prediction, target):
        return max(abs(prediction - target) - self.epsilon, 0.0)

    def derivative(self, prediction, target):
        residual = prediction - target
        return (1.0 if residual > self.epsilon else 0.0) - (
            1.0 if residual < -self.epsilon else 0.0
        )

    def curvature(self, prediction, target):
        return 0.0


@public
class SquaredEpsilonInsensitive(Loss):
    """Support vector regression with squared slack: max(0, abs(prediction - target) - epsilon)^2.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residuals up to this size cost nothing; 0 gives twice `SquaredError`.

    Examples
    --------
    >>> loss = SquaredEpsilonInsensitive(epsilon=0.5)
    >>> loss.value(0.4, 0.0), loss.value(2.5, 0.0), loss.derivative(2.5, 0.0)
    (0.0, 4.0, 4.0)
    """

    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 2.0

    epsilon: float = 0.1

    def __post_init__(self):
        require_positive(self, "epsilon", or_zero=True)

    def value(self, prediction, target):
        slack = max(abs(prediction - target) - self.epsilon, 0.0)
        return slack * slack

    def derivative(self, prediction, target):
        residual = prediction - target
        return 2.0 * (residual - min(max(residual, -self.epsilon), self.epsilon))

    def curvature(self, prediction, target):
        return 2.0 if abs(prediction - target) >= self.epsilon else 0.0


@public
class Quantile(Loss):
    """Quantile regression: quantile * r or (quantile - 1) * r, whichever is larger, r = target -
    prediction.

    Not smooth; where it has no derivative, -quantile is taken. The best constant prediction is the
    quantile of the targets. Koenker, Bassett (1978), "Regression quantiles", equation (3.1).

    Parameters
    ----------
    quantile : float, default=0.5
        Share of the targets to lie below the prediction, strictly between 0 and 1; 0.5 is half the
        absolute error.

    Examples
    --------
    >>> loss = Quantile(quantile=0.75)
    >>> loss.value(0.0, 4.0), loss.value(4.0, 0.0), loss.derivative(4.0, 0.0)
    (3.0, 1.0, 0.25)
    """

    _also_called: ClassVar[tuple[str, ...]] = (*ABSOLUTE_ERROR, "pinball", "median")
    _differs_from: ClassVar[dict[str, str]] = dict.fromkeys(
        ABSOLUTE_ERROR,
        " With quantile=0.5 it is half the absolute error: give half the alpha that stands beside "
        "that.",
    )
    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    scored_by_value: ClassVar[bool] = True

    quantile: float = 0.5

    def __post_init__(self):
        if not 0.0 < self.quantile < 1.0:
            raise ValueError(
                f"Quantile quantile must lie strictly between 0 and 1, got {self.quantile}"
            )

    def value(self, prediction, target):
        residual = target - prediction
        return max(self.quantile * residual, (self.quantile - 1.0) * residual)

    def derivative(self, prediction, target):
        return 1.0 - self.quantile if prediction > target else -self.quantile

    def curvature(self, prediction, target):
        return 0.0
