"""Three losses as users write them, for `certify`: each says what its infimum is."""

from typing import ClassVar

import numpy as np

from fastgd import Loss
from fastgd.losses.domain import Interval


class Expectile(Loss):
    """Squares weighted by `share` below the target and by 1 - share above it."""

    curvature_bound: ClassVar[float] = 2.0
    infimum: ClassVar[float] = 0.0

    share: float = 0.5

    def value(self, prediction, target):
        residual = prediction - target
        return (self.share if residual < 0.0 else 1.0 - self.share) * residual * residual

    def derivative(self, prediction, target):
        residual = prediction - target
        return 2.0 * (self.share if residual < 0.0 else 1.0 - self.share) * residual


class UnevenSquares(Loss):
    """Half the squared error, four times as much for targets above 0: of constant curvature, whose
    bound is not declared.
    """

    self_concordance: ClassVar[float | None] = 0.0
    infimum: ClassVar[float] = 0.0

    def value(self, prediction, target):
        residual = prediction - target
        return (2.0 if target > 0.0 else 0.5) * residual * residual

    def derivative(self, prediction, target):
        return (4.0 if target > 0.0 else 1.0) * (prediction - target)

    def curvature(self, prediction, target):
        return 4.0 if target > 0.0 else 1.0


class Counts(Loss):
    """Half the Poisson deviance of the mean exp(prediction), so written that nothing cancels
    near its infimum.
    """

    self_concordance: ClassVar[float | None] = 1.0
    infimum: ClassVar[float] = 0.0
    target_domain: ClassVar[Interval] = Interval(0.0, np.inf, low_closed=True)

    def value(self, prediction, target):
        if target <= 0.0:
            return np.exp(prediction)
        above = prediction - np.log(target)
        return target * (np.expm1(above) - above)

    def derivative(self, prediction, target):
        return np.exp(prediction) - target

    def curvature(self, prediction, target):
        return np.exp(prediction)
