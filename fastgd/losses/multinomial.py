"""The multinomial loss: one score for each of K classes, and their softmax as probabilities."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.losses.domain import Interval
from fastgd.losses.exponentials import exp_of_minus
from fastgd.runtime.component import python_only
from fastgd.runtime.public import public


@public
class Multinomial(VectorLoss):
    """Multinomial logistic regression: log(sum_k exp(z_k)) - z_y, target y the index of the class,
    from 0 on.

    All methods subtract the largest score first: no exponential overflows, and probabilities sum
    to one at any scores.  The same number added to all scores changes nothing.  With p the
    probabilities the second derivative is diag(p) - p p', whose greatest eigenvalue is at most 1/2;
    its change along u is a third cumulant, at most max_k |u_k - u'p| <= 2 max_k |u_k| times it.

    Parameters
    ----------
    n_classes : float, default=0.0
        K; 0 where the largest target is to tell.

    Examples
    --------
    >>> import numpy as np
    >>> loss = Multinomial(3)
    >>> loss.value(np.zeros(3), np.array([2.0])).round(4)
    np.float64(1.0986)
    >>> loss.probability(np.array([[1e4, 1e4, -1e4]])).tolist()
    [[0.5, 0.5, 0.0]]
    """

    n_classes: float = 0.0  # type: ignore[misc]
    infimum: ClassVar[float] = 0.0
    curvature_bound: ClassVar[float] = 0.5
    self_concordance: ClassVar[float | None] = 2.0
    classification: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = Interval(low=0.0, low_closed=True)

    def value(self, predictions, target):
        largest, rest = predictions[0], 0.0
        own = int(target[0])
        for k in range(predictions.size):
            largest = max(largest, predictions[k])
        for k in range(predictions.size):
            rest += exp_of_minus(largest - predictions[k]) if k != own else 0.0
        return self.of_odds(rest, largest - predictions[own])

    def of_odds(self, rest, behind):
        """log(rest + exp(-behind)) + behind: the loss, from the exponentials of the other scores
        and how far the own one is behind the largest.

        Where it is that, the loss may be as small as rest, of which log(1 + rest) would keep no
        digit below 1e-16: a model of classes that are apart had its F, and the bound that is F,
        wrong by 5 %.
        """
        if behind == 0.0:
            return np.log1p(rest)
        return np.log(rest + exp_of_minus(behind)) + behind

    def derivatives(self, predictions, target, out):
        self.value_and_derivatives(predictions, target, out)

    def value_and_derivatives(self, predictions, target, out):
        largest = predictions[0]
        total = 0.0
        rest = 0.0
        for k in range(predictions.size):
            largest = max(largest, predictions[k])
        for k in range(predictions.size):
            out[k] = exp_of_minus(largest - predictions[k])
        own = int(target[0])
        for k in range(predictions.size):
            total += out[k]
            rest += out[k] if k != own else 0.0
        for k in range(predictions.size):
            out[k] /= total
        out[own] = -rest / total  # p - 1, its digits kept where p is close to 1
        return self.of_odds(rest, largest - predictions[own])

    def curvature_product(self, predictions, target, direction, out):
        largest = predictions[0]
        total = 0.0
        mean = 0.0
        for k in range(predictions.size):
            largest = max(largest, predictions[k])
        for k in range(predictions.size):
            out[k] = exp_of_minus(largest - predictions[k])
        for k in range(predictions.size):
            total += out[k]
            mean += out[k] * direction[k]
        for k in range(predictions.size):
            out[k] *= (direction[k] - mean / total) / total

    def curvature_diagonal(self, predictions, target, out):
        largest, total = predictions[0], 0.0
        for k in range(predictions.size):
            largest = max(largest, predictions[k])
        for k in range(predictions.size):
            out[k] = exp_of_minus(largest - predictions[k])
        for k in range(predictions.size):
            total += out[k]
        for k in range(predictions.size):
            out[k] = out[k] / total * ((total - out[k]) / total)

    @python_only
    def summed_curvature(self, predictions, targets, weights):
        """diag(sum p) - sum p p', by one product."""
        shares = self.probability(predictions)
        weighted = weights[:, None] * shares
        return np.diag(weighted.sum(axis=0)) - weighted.T @ shares

    @python_only
    def best_shifts(self, shares):
        """Their logarithms, of sum 0."""
        logarithms = np.log(shares)
        return logarithms - logarithms.mean()

    @python_only
    def curvature_root(self, predictions):
        """The probabilities p: the curvature is diag(p) - p p'."""
        return self.probability(predictions)

    @python_only
    def n_predictions(self, targets) -> int:
        largest = np.max(targets)
        if not (np.shape(targets)[1] == 1 and (np.floor(targets) == targets).all()):
            raise ValueError(
                "targets of the multinomial loss must be numbers of classes, one a row"
            )
        if self.n_classes and largest >= self.n_classes:
            raise ValueError(
                f"targets of Multinomial(n_classes={self.n_classes:g}) must be whole numbers below "
                f"it, got {largest:g}"
            )
        return int(self.n_classes) or int(largest) + 1

    @python_only
    def log_likelihood(self, predictions, targets, weights, dispersion):
        """Of the classes: minus the loss."""
        largest = predictions.max(axis=1)
        total = largest + np.log(np.exp(predictions - largest[:, None]).sum(axis=1))
        own = np.take_along_axis(predictions, targets.astype(np.int64), axis=1)[:, 0]
        return float(weights @ (own - total))

    @python_only
    def probability(self, predictions):
        shifted = predictions - np.max(predictions, axis=1, keepdims=True)
        odds = np.exp(shifted)
        return odds / odds.sum(axis=1, keepdims=True)

    @python_only
    def log_probability(self, predictions):
        """Finite at any scores."""
        shifted = predictions - np.max(predictions, axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @python_only
    def of_all_classes(self, n_classes):
        return dataclasses.replace(self, n_classes=n_classes)
