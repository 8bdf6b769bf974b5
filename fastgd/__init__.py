"""Linear models fitted by gradient descent in compiled loops, on dense and sparse data, as
scikit-learn estimators.

Importing the package compiles nothing; the public names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.2.0"

_HOMES = {
    "GDClassifier": "estimators",
    "GDRegressor": "estimators",
    "GDClassifierCV": "model_selection.search",
    "GDRegressorCV": "model_selection.search",
    **dict.fromkeys(
        ("ConvergenceDisplay", "PathDisplay", "SearchDisplay", "CoefficientDisplay"), "display"
    ),
    "ConvergenceWarning": "estimators.base",
    "DivergenceError": "fitting.result",
    "Objective": "objective",
    "from_parquet": "data.readers.tables",
    "from_svmlight": "data.readers.svmlight",
    "StopReason": "fitting.stopping",
    "StoppingRule": "fitting.stopping",
    "gradient_descent": "scipy_method",
    "check_loss": "losses.check",
    "BlockSource": "data.sources",
    "from_chunks": "data.sources",
    "Summary": "inference.summary",
    "Coefficients": "inference.summary",
    "warmup": "warm_up",
    "show_versions": "versions",
    **dict.fromkeys(
        ("Loss", "VectorLoss", "LogLoss", "Hinge", "SquaredHinge", "ModifiedHuber", "Perceptron"),
        "losses",
    ),
    "Multinomial": "losses",
    **dict.fromkeys(
        ("SquaredError", "Huber", "EpsilonInsensitive", "SquaredEpsilonInsensitive", "Quantile"),
        "losses",
    ),
    **dict.fromkeys(
        ("Poisson", "Gamma", "Tweedie", "InverseGaussian", "NegativeBinomial", "Binomial"),
        "losses",
    ),
    **dict.fromkeys(("Penalty", "L2", "L1", "ElasticNet", "NoPenalty"), "penalties"),
    **dict.fromkeys(("GroupLasso", "SparseGroupLasso", "MCP", "SCAD", "MultiTask"), "penalties"),
    **dict.fromkeys(("Rule", "Gd", "Momentum", "Nesterov", "Adagrad", "Rmsprop", "Adam"), "rules"),
}

__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:  # "X as X" tells type checkers that X is public
    from fastgd.data.readers.svmlight import from_svmlight as from_svmlight
    from fastgd.data.readers.tables import from_parquet as from_parquet
    from fastgd.data.sources import BlockSource as BlockSource
    from fastgd.data.sources import from_chunks as from_chunks
    from fastgd.display.coefficients import CoefficientDisplay as CoefficientDisplay
    from fastgd.display.convergence import ConvergenceDisplay as ConvergenceDisplay
    from fastgd.display.path import PathDisplay as PathDisplay
    from fastgd.display.search import SearchDisplay as SearchDisplay
    from fastgd.estimators import GDClassifier as GDClassifier
    from fastgd.estimators import GDRegressor as GDRegressor
    from fastgd.estimators.base import ConvergenceWarning as ConvergenceWarning
    from fastgd.fitting.result import DivergenceError as DivergenceError
    from fastgd.fitting.stopping import StoppingRule as StoppingRule
    from fastgd.fitting.stopping import StopReason as StopReason
    from fastgd.inference.summary import Coefficients as Coefficients
    from fastgd.inference.summary import Summary as Summary
    from fastgd.losses.base import Loss as Loss
    from fastgd.losses.base import VectorLoss as VectorLoss
    from fastgd.losses.check import check_loss as check_loss
    from fastgd.losses.classification import Hinge as Hinge
    from fastgd.losses.classification import LogLoss as LogLoss
    from fastgd.losses.classification import ModifiedHuber as ModifiedHuber
    from fastgd.losses.classification import Perceptron as Perceptron
    from fastgd.losses.classification import SquaredHinge as SquaredHinge
    from fastgd.losses.deviances import Binomial as Binomial
    from fastgd.losses.deviances import Gamma as Gamma
    from fastgd.losses.deviances import InverseGaussian as InverseGaussian
    from fastgd.losses.deviances import NegativeBinomial as NegativeBinomial
    from fastgd.losses.deviances import Poisson as Poisson
    from fastgd.losses.deviances import Tweedie as Tweedie
    from fastgd.losses.multinomial import Multinomial as Multinomial
    from fastgd.losses.regression import EpsilonInsensitive as EpsilonInsensitive
    from fastgd.losses.regression import Huber as Huber
    from fastgd.losses.regression import Quantile as Quantile
    from fastgd.losses.regression import SquaredEpsilonInsensitive as SquaredEpsilonInsensitive
    from fastgd.losses.regression import SquaredError as SquaredError
    from fastgd.model_selection.search import GDClassifierCV as GDClassifierCV
    from fastgd.model_selection.search import GDRegressorCV as GDRegressorCV
    from fastgd.objective.objective import Objective as Objective
    from fastgd.penalties.base import Penalty as Penalty
    from fastgd.penalties.concave import MCP as MCP
    from fastgd.penalties.concave import SCAD as SCAD
    from fastgd.penalties.groups import GroupLasso as GroupLasso
    from fastgd.penalties.groups import SparseGroupLasso as SparseGroupLasso
    from fastgd.penalties.multi_task import MultiTask as MultiTask
    from fastgd.penalties.separable import L1 as L1
    from fastgd.penalties.separable import L2 as L2
    from fastgd.penalties.separable import ElasticNet as ElasticNet
    from fastgd.penalties.separable import NoPenalty as NoPenalty
    from fastgd.rules.adaptive import Adagrad as Adagrad
    from fastgd.rules.adaptive import Adam as Adam
    from fastgd.rules.adaptive import Rmsprop as Rmsprop
    from fastgd.rules.base import Rule as Rule
    from fastgd.rules.classic import Gd as Gd
    from fastgd.rules.classic import Momentum as Momentum
    from fastgd.rules.classic import Nesterov as Nesterov
    from fastgd.scipy_method import gradient_descent as gradient_descent
    from fastgd.versions import show_versions as show_versions
    from fastgd.warm_up import warmup as warmup


def __getattr__(name):
    if name not in _HOMES:
        import difflib

        close = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module 'fastgd' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(f"fastgd.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
