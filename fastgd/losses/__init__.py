"""What one row adds to the objective, as a function of its prediction."""

from fastgd.losses.base import (
    REALS,
    SIGNS,
    EpsilonInsensitive,
    Hinge,
    Huber,
    Interval,
    LogLoss,
    Loss,
    ModifiedHuber,
    Perceptron,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
    VectorLoss,
)

__all__ = [
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "Interval",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "Perceptron",
    "Quantile",
    "REALS",
    "SIGNS",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "VectorLoss",
]
