"""Losses of the signs -1 and 1 of two classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.losses.base import Loss
from fastgd.losses.domain import SIGNS, Interval
from fastgd.losses.exponentials import exp_of_minus, log_1_plus
from fastgd.losses.multinomial import Multinomial
from fastgd.runtime.component import python_only
from fastgd.runtime.public import public


@public
class LogLoss(Loss):
    """Logistic regression: log(1 + exp(-margin)), margin = target * prediction.

    All methods start from exp(-abs(margin)): it cannot overflow, and inlined into one loop it is
    computed once.

    Examples
    --------
    >>> loss = LogLoss()
    >>> round(float(loss.value(0.0, 1.0)), 3), float(loss.derivative(0.0, 1.0))
    (0.693, -0.5)
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "log",
        "logistic",
        "logloss",
        "logit",
        "bernoulli",
        "crossentropy",
        "cross_entropy",
        "binary_crossentropy",
        "categorical_crossentropy",
        "bce",
        "deviance",
        "softmax",
        "multinomial",
    )
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

    @python_only
    def probability(self, predictions):
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-predictions))

    @python_only
    def of_all_classes(self, n_classes):
        """The multinomial loss of so many classes."""
        return Multinomial(n_classes)

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of the classes: minus the loss."""
        return float(-weights @ np.logaddexp(0.0, -targets * predictions))


@public
class Hinge(Loss):
    """Support vector machine: max(0, 1 - margin), margin = target * prediction; derivative
    -target at margin 1.

    Examples
    --------
    >>> Hinge().value(0.25, 1.0)
    0.75
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "svm",
        "linear_svm",
        "svc",
    )
    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    classification: ClassVar[bool] = True
    passive_aggressive: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        return max(1.0 - target * prediction, 0.0)

    def derivative(self, prediction, target):
        return 0.0 if target * prediction > 1.0 else -target

    def curvature(self, prediction, target):
        return 0.0


@public
class SquaredHinge(Loss):
    """Hinge with squared slack: max(0, 1 - margin)^2; curvature 2 below margin 1, else 0.

    Examples
    --------
    >>> SquaredHinge().value(0.5, 1.0)
    0.25
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "l2_svm",
        "hinge_squared",
    )
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


@public
class ModifiedHuber(Loss):
    """Squared hinge that is linear below margin -1: max(0, 1 - margin)^2 or -4 margin.

    Curvature 2 between the margins -1 and 1, else 0. Tong Zhang (2004), "Solving large scale linear
    prediction problems using stochastic gradient descent algorithms", section 2.

    Examples
    --------
    >>> loss = ModifiedHuber()
    >>> loss.value(0.5, 1.0), loss.value(-2.0, 1.0)
    (0.25, 8.0)
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

    @python_only
    def probability(self, predictions):
        return (np.clip(predictions, -1.0, 1.0) + 1.0) / 2.0


@public
class Perceptron(Loss):
    """Rosenblatt's rule as a loss: max(0, -margin), margin = target * prediction; derivative
    -target at margin 0.

    Examples
    --------
    >>> Perceptron().value(-0.5, 1.0), Perceptron().value(0.5, 1.0)
    (0.5, 0.0)
    """

    infimum: ClassVar[float] = 0.0
    smooth: ClassVar[bool] = False
    classification: ClassVar[bool] = True
    online: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        return max(-target * prediction, 0.0)

    def derivative(self, prediction, target):
        return 0.0 if target * prediction > 0.0 else -target

    def curvature(self, prediction, target):
        return 0.0
