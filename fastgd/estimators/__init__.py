"""The public estimators: `GDClassifier` and `GDRegressor`."""

from fastgd.estimators.classifier import GDClassifier
from fastgd.estimators.regressor import GDRegressor

__all__ = ["GDClassifier", "GDRegressor"]
