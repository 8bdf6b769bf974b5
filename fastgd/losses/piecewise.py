"""Losses made of linear and quadratic pieces, each as a supremum over a dual variable.

With u = center + sign * prediction, such a loss is a sum of pieces

    sup over low <= s <= high of  s u - bend s^2 / 2

(Aravkin, Burke and Pillonetto, 2013, "Sparse/robust estimation and Kalman smoothing with nonsmooth
log-concave densities", definition 1).  The s are the dual variables of the row: sign * s, summed
over the pieces, is a derivative.
"""

from typing import NamedTuple

import numpy as np

from fastgd.losses.classification import Hinge, ModifiedHuber, SquaredHinge
from fastgd.losses.regression import (
    EpsilonInsensitive,
    Huber,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
)


class Pieces(NamedTuple):
    """The pieces of a loss for given targets: center and sign, (n_pieces, n), and three numbers
    for all of them.
    """

    center: np.ndarray
    sign: np.ndarray
    low: float
    high: float
    bend: float

    def value(self, u):
        """Sum of the pieces at `u`, (n_pieces, n)."""
        s = self.dual(u)
        return (s * u - 0.5 * self.bend * s * s).sum(axis=0)

    def dual(self, u):
        """Where the supremum is taken; where that is an interval, at one of its ends."""
        if self.bend > 0.0:
            return np.clip(u / self.bend, self.low, self.high)
        return np.where(u > 0.0, self.high, self.low)


def has_pieces(loss):
    """Whether the loss is one of pieces that `pieces` knows."""
    return type(loss) in _PIECES


def pieces(loss, targets):
    """`Pieces` of a loss that `has_pieces`.

    Examples
    --------
    >>> hinge = pieces(Hinge(), np.array([-1.0, 1.0]))
    >>> hinge.value(hinge.center + hinge.sign * 0.5)
    array([1.5, 0.5])
    """
    return _PIECES[type(loss)](loss, np.asarray(targets, dtype=np.float64))


def _margin(targets, high, bend):
    return Pieces(np.ones((1, targets.size)), -targets[None], 0.0, high, bend)


def _residual(targets, low, high, bend):
    return Pieces(targets[None], np.full((1, targets.size), -1.0), low, high, bend)


def _beyond(targets, epsilon, high, bend):
    return Pieces(
        np.stack([targets - epsilon, -targets - epsilon]), _opposite(targets.size), 0.0, high, bend
    )


def _opposite(n):
    return np.repeat([[-1.0], [1.0]], n, axis=1)


_PIECES = {
    Hinge: lambda loss, y: _margin(y, 1.0, 0.0),
    SquaredHinge: lambda loss, y: _margin(y, np.inf, 0.5),
    ModifiedHuber: lambda loss, y: _margin(y, 4.0, 0.5),
    SquaredError: lambda loss, y: _residual(y, -np.inf, np.inf, 1.0),
    Huber: lambda loss, y: _residual(y, -loss.epsilon, loss.epsilon, 1.0),
    Quantile: lambda loss, y: _residual(y, loss.quantile - 1.0, loss.quantile, 0.0),
    EpsilonInsensitive: lambda loss, y: _beyond(y, loss.epsilon, 1.0, 0.0),
    SquaredEpsilonInsensitive: lambda loss, y: _beyond(y, loss.epsilon, np.inf, 0.5),
}
