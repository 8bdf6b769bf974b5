"""Linear models fitted by gradient descent in compiled loops, on dense and sparse data, as scikit-learn estimators.

Importing the package compiles nothing; the public names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "GDClassifier": "estimators",
    "GDRegressor": "estimators",
    "GDClassifierCV": "search",
    "GDRegressorCV": "search",
    "ConvergenceDisplay": "display",
    "ConvergenceWarning": "gd_estimator",
    "DivergenceError": "descent",
    "Objective": "objective",
    "StopReason": "stopping",
    "StoppingRule": "stopping",
    "gradient_descent": "scipy_method",
    "check_loss": "loss_report",
    "warmup": "warmup",
    **dict.fromkeys(
        ("Loss", "VectorLoss", "LogLoss", "Hinge", "SquaredHinge", "ModifiedHuber", "Perceptron"), "losses"
    ),
    **dict.fromkeys(("SquaredError", "Huber", "EpsilonInsensitive", "SquaredEpsilonInsensitive", "Quantile"), "losses"),
    **dict.fromkeys(("Penalty", "L2", "L1", "ElasticNet", "NoPenalty"), "penalties"),
    **dict.fromkeys(("Rule", "Gd", "Momentum", "Nesterov", "Adagrad", "Rmsprop", "Adam"), "rules"),
}

__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:  # "X as X" tells type checkers that X is public
    from fastgd.descent import DivergenceError as DivergenceError
    from fastgd.display import ConvergenceDisplay as ConvergenceDisplay
    from fastgd.estimators import GDClassifier as GDClassifier
    from fastgd.estimators import GDRegressor as GDRegressor
    from fastgd.gd_estimator import ConvergenceWarning as ConvergenceWarning
    from fastgd.loss_report import check_loss as check_loss
    from fastgd.losses import EpsilonInsensitive as EpsilonInsensitive
    from fastgd.losses import Hinge as Hinge
    from fastgd.losses import Huber as Huber
    from fastgd.losses import LogLoss as LogLoss
    from fastgd.losses import Loss as Loss
    from fastgd.losses import ModifiedHuber as ModifiedHuber
    from fastgd.losses import Perceptron as Perceptron
    from fastgd.losses import Quantile as Quantile
    from fastgd.losses import SquaredEpsilonInsensitive as SquaredEpsilonInsensitive
    from fastgd.losses import SquaredError as SquaredError
    from fastgd.losses import SquaredHinge as SquaredHinge
    from fastgd.losses import VectorLoss as VectorLoss
    from fastgd.objective import Objective as Objective
    from fastgd.penalties import L1 as L1
    from fastgd.penalties import L2 as L2
    from fastgd.penalties import ElasticNet as ElasticNet
    from fastgd.penalties import NoPenalty as NoPenalty
    from fastgd.penalties import Penalty as Penalty
    from fastgd.rules import Adagrad as Adagrad
    from fastgd.rules import Adam as Adam
    from fastgd.rules import Gd as Gd
    from fastgd.rules import Momentum as Momentum
    from fastgd.rules import Nesterov as Nesterov
    from fastgd.rules import Rmsprop as Rmsprop
    from fastgd.rules import Rule as Rule
    from fastgd.scipy_method import gradient_descent as gradient_descent
    from fastgd.search import GDClassifierCV as GDClassifierCV
    from fastgd.search import GDRegressorCV as GDRegressorCV
    from fastgd.stopping import StoppingRule as StoppingRule
    from fastgd.stopping import StopReason as StopReason
    from fastgd.warmup import warmup as warmup


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'fastgd' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fastgd.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
