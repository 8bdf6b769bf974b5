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


class Forms(NamedTuple):
    """What the pieces of a loss are, whatever the targets: for each of them four numbers, with
    center = first + second * target and sign = third + fourth * target, and three for all of them.
    """

    of_pieces: np.ndarray
    low: float
    high: float
    bend: float


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
    return type(loss) in _FORMS


def forms(loss):
    """`Forms` of a loss that `has_pieces`."""
    return _FORMS[type(loss)](loss)


def pieces(loss, targets):
    """`Pieces` of a loss that `has_pieces`.

    Examples
    --------
    >>> hinge = pieces(Hinge(), np.array([-1.0, 1.0]))
    >>> hinge.value(hinge.center + hinge.sign * 0.5)
    array([1.5, 0.5])
    """
    made, targets = forms(loss), np.asarray(targets, dtype=np.float64)
    shift, slope, sign, turn = made.of_pieces.T[:, :, None]
    return Pieces(shift + slope * targets, sign + turn * targets, made.low, made.high, made.bend)


def _margin(high, bend):
    return Forms(np.array([[1.0, 0.0, 0.0, -1.0]]), 0.0, high, bend)


def _residual(low, high, bend):
    return Forms(np.array([[0.0, 1.0, -1.0, 0.0]]), low, high, bend)


def _beyond(epsilon, high, bend):
    above, below = [-epsilon, 1.0, -1.0, 0.0], [-epsilon, -1.0, 1.0, 0.0]
    return Forms(np.array([above, below]), 0.0, high, bend)


_FORMS = {
    Hinge: lambda loss: _margin(1.0, 0.0),
    SquaredHinge: lambda loss: _margin(np.inf, 0.5),
    ModifiedHuber: lambda loss: _margin(4.0, 0.5),
    SquaredError: lambda loss: _residual(-np.inf, np.inf, 1.0),
    Huber: lambda loss: _residual(-loss.epsilon, loss.epsilon, 1.0),
    Quantile: lambda loss: _residual(loss.quantile - 1.0, loss.quantile, 0.0),
    EpsilonInsensitive: lambda loss: _beyond(loss.epsilon, 1.0, 0.0),
    SquaredEpsilonInsensitive: lambda loss: _beyond(loss.epsilon, np.inf, 0.5),
}
