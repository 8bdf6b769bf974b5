"""A loss of one prediction, summed over several targets: for models of all targets at once."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.losses.base import Loss, VectorLoss
from fastgd.runtime.component import python_only


class EachTarget(VectorLoss, abstract=True):
    """sum_k loss(z_k, y_k) over the targets of a row.

    What is true of the loss is true of the sum: its second derivative is diagonal.

    Examples
    --------
    >>> from fastgd.losses.regression import SquaredError
    >>> joint = EachTarget(SquaredError())
    >>> joint.value(np.array([1.0, 2.0]), np.array([0.0, 0.0])).item(), joint.infimum
    (2.5, 0.0)
    """

    loss: Loss

    name: ClassVar[str] = "each_target"
    separable: ClassVar[bool] = True

    def __post_init__(self):
        for trait in ("smooth", "convex", "curvature_bound", "self_concordance", "target_domain"):
            object.__setattr__(self, trait, getattr(self.loss, trait))
        infimum = self.loss.infimum
        # The sum of several infima is known where each is 0, or unknown.
        object.__setattr__(self, "infimum", infimum if infimum in (0.0, -np.inf) else -np.inf)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__post_init__()

    def value(self, predictions, target):
        total = 0.0
        for k in range(predictions.size):
            total += self.loss.value(predictions[k], target[k])
        return total

    def derivatives(self, predictions, target, out):
        for k in range(predictions.size):
            out[k] = self.loss.derivative(predictions[k], target[k])

    def curvature_product(self, predictions, target, direction, out):
        for k in range(predictions.size):
            out[k] = self.loss.curvature(predictions[k], target[k]) * direction[k]

    def curvature_diagonal(self, predictions, target, out):
        for k in range(predictions.size):
            out[k] = self.loss.curvature(predictions[k], target[k])

    @python_only
    def curvature_root(self, predictions):
        """0: H is diagonal."""
        return np.zeros(predictions.shape)

    @python_only
    def n_predictions(self, targets) -> int:
        return int(np.shape(targets)[1])


def is_square(loss):
    """Whether a loss is half the squared difference, or the sum of it over targets.

    Examples
    --------
    >>> from fastgd.losses.regression import SquaredError
    >>> is_square(SquaredError()), is_square(EachTarget(SquaredError()))
    (True, True)
    """
    one = loss.loss if isinstance(loss, EachTarget) else loss
    return isinstance(one, Loss) and bool(one.squared)


def of_one_target(loss, targets):
    """The loss that is summed over the targets of a row, with all of them in one array; any other
    loss and its targets as they are.

    Examples
    --------
    >>> from fastgd.losses.regression import SquaredError
    >>> of_one_target(EachTarget(SquaredError()), np.array([[1.0, 2.0]]))
    (SquaredError(), array([1., 2.]))
    """
    return (loss.loss, targets.ravel()) if isinstance(loss, EachTarget) else (loss, targets)
