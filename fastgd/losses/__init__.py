"""What one row adds to the objective, as a function of its prediction."""

from fastgd.losses.base import Loss, VectorLoss
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
    "Binomial",
    "EpsilonInsensitive",
    "Gamma",
    "Hinge",
    "Huber",
    "Interval",
    "InverseGaussian",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "Multinomial",
    "NegativeBinomial",
    "Perceptron",
    "Poisson",
    "Quantile",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "Tweedie",
    "VectorLoss",
]
