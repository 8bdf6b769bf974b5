"""The public estimators: `GDClassifier` and `GDRegressor`."""

from fastgd.classifier import GDClassifier
from fastgd.regressor import GDRegressor

__all__ = ["GDClassifier", "GDRegressor"]
