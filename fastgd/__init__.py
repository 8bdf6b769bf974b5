"""Linear models fitted by gradient descent in compiled loops, for dense and sparse data, behind scikit-learn estimators.

Importing the package compiles nothing; the public names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "GDClassifier": "estimators",
    "GDRegressor": "estimators",
    "ConvergenceWarning": "gd_estimator",
    "DivergenceError": "descent",
    "Objective": "objective",
    "StopReason": "stopping",
    "StoppingRule": "stopping",
    "gradient_descent": "scipy_method",
    "check_loss": "check_loss",
    "warmup": "warmup",
    **dict.fromkeys(
        ("Loss", "VectorLoss", "LogLoss", "Hinge", "SquaredHinge", "ModifiedHuber", "Perceptron"), "losses"
    ),
    **dict.fromkeys(("SquaredError", "Huber", "EpsilonInsensitive", "SquaredEpsilonInsensitive", "Quantile"), "losses"),
    **dict.fromkeys(("Penalty", "L2", "L1", "ElasticNet", "NoPenalty"), "penalties"),
    **dict.fromkeys(("Rule", "Gd", "Momentum", "Nesterov", "Adagrad", "Rmsprop", "Adam"), "rules"),
}

__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:
    from fastgd.check_loss import check_loss
    from fastgd.descent import DivergenceError
    from fastgd.estimators import GDClassifier, GDRegressor
    from fastgd.gd_estimator import ConvergenceWarning
    from fastgd.losses import (
        EpsilonInsensitive,
        Hinge,
        Huber,
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
    from fastgd.objective import Objective
    from fastgd.penalties import L1, L2, ElasticNet, NoPenalty, Penalty
    from fastgd.rules import Adagrad, Adam, Gd, Momentum, Nesterov, Rmsprop, Rule
    from fastgd.scipy_method import gradient_descent
    from fastgd.stopping import StoppingRule, StopReason
    from fastgd.warmup import warmup


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'fastgd' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fastgd.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
