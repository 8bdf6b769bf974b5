"""Small components that only tests use."""

import math
from typing import ClassVar

import numpy as np

from fastgd.losses.base import Loss, VectorLoss
from fastgd.losses.domain import Interval
from fastgd.penalties.base import Penalty


class ToySoftmax(VectorLoss):
    """Multinomial: log(sum_k exp(p_k)) - p_c, c = target[0] the class as a float; K scores for K
    classes.
    """

    infimum = 0.0
    curvature_bound = 0.5
    self_concordance = 2.0
    target_domain = Interval(low=0.0, low_closed=True)

    def value(self, predictions, target):
        largest = np.max(predictions)
        total = 0.0
        for k in range(predictions.size):
            total += np.exp(predictions[k] - largest)
        return np.log(total) + largest - predictions[int(target[0])]

    def derivatives(self, predictions, target, out):
        largest = np.max(predictions)
        total = 0.0
        for k in range(predictions.size):
            out[k] = np.exp(predictions[k] - largest)
            total += out[k]
        for k in range(predictions.size):
            out[k] /= total
        out[int(target[0])] -= 1.0

    def curvature_product(self, predictions, target, direction, out):
        largest = np.max(predictions)
        total, mean = 0.0, 0.0
        for k in range(predictions.size):
            out[k] = np.exp(predictions[k] - largest)
            total += out[k]
            mean += out[k] * direction[k]
        for k in range(predictions.size):
            out[k] *= (direction[k] - mean / total) / total

    def n_predictions(self, targets):
        return int(np.max(targets)) + 1


class ToyMultiSquared(VectorLoss):
    """Half the squared distance of K predictions from K targets; its curvature_product is the
    family's.
    """

    infimum = 0.0
    curvature_bound = 1.0
    self_concordance = 0.0

    def value(self, predictions, target):
        total = 0.0
        for k in range(predictions.size):
            residual = predictions[k] - target[k]
            total += 0.5 * residual * residual
        return total

    def derivatives(self, predictions, target, out):
        for k in range(predictions.size):
            out[k] = predictions[k] - target[k]


class ToyWeightedL1(Penalty):
    """A weight for each feature times abs(w); its prox is the family's."""

    weights: np.ndarray

    def value(self, coefficient, j):
        return self.weights[j] * abs(coefficient)

    def derivative(self, coefficient, j):
        return self.weights[j] * (
            1.0 if coefficient > 0.0 else (-1.0 if coefficient < 0.0 else 0.0)
        )


class LowHuber(Loss):
    """Huber's loss less 100, of which no infimum is declared."""

    curvature_bound = 1.0

    def value(self, prediction, target):
        distance = abs(prediction - target)
        near = min(distance, 1.0)
        return near * (distance - 0.5 * near) - 100.0

    def derivative(self, prediction, target):
        return min(max(prediction - target, -1.0), 1.0)

    def curvature(self, prediction, target):
        return 1.0 if abs(prediction - target) <= 1.0 else 0.0


class CountLikelihood(Loss):
    """Minus the logarithm of Poisson's likelihood, but for what predictions do not change."""

    def value(self, prediction, target):
        return math.exp(prediction) - target * prediction

    def derivative(self, prediction, target):
        return math.exp(prediction) - target

    def curvature(self, prediction, target):
        return math.exp(prediction)

    def mean(self, predictions):
        return np.exp(predictions)


class HalfSquare(Loss):
    """Half the squared error, of which no bound of the curvature is declared."""

    infimum: ClassVar[float] = 0.0
    self_concordance: ClassVar[float] = 0.0

    def value(self, prediction, target):
        return 0.5 * (prediction - target) * (prediction - target)

    def derivative(self, prediction, target):
        return prediction - target

    def curvature(self, prediction, target):
        return 1.0


class SquareWithoutConstant(HalfSquare):
    """Half the squared error, less what predictions do not change."""

    infimum: ClassVar[float] = -np.inf
    self_concordance: ClassVar[float] = 0.0

    def value(self, prediction, target):
        return 0.5 * prediction * prediction - target * prediction


class SquareOfLargeTargets(Loss):
    """Half the squared error, times more for larger targets, which are at most 5."""

    infimum: ClassVar[float] = 0.0
    self_concordance: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 26.0

    def value(self, prediction, target):
        off = prediction - target
        return 0.5 * off * off * (1.0 + target * target)

    def derivative(self, prediction, target):
        return (prediction - target) * (1.0 + target * target)

    def curvature(self, prediction, target):
        return 1.0 + target * target
