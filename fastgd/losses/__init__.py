"""What one row adds to the objective, as a function of its prediction."""

from fastgd.losses.base import Loss, VectorLoss
from fastgd.losses.classification import Hinge, LogLoss, ModifiedHuber, Perceptron, SquaredHinge
from fastgd.losses.domain import REALS, SIGNS, Interval
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import (
    EpsilonInsensitive,
    Huber,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
)

__all__ = [
    "REALS",
    "SIGNS",
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "Interval",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "Multinomial",
    "Perceptron",
    "Quantile",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "VectorLoss",
]
