"""An objective whose loss has K predictions for each row: what differs from one
(`fastgd.objective.scalar`, with the same methods).
"""

import functools

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.objective import kernels
from fastgd.objective.scalar import OnePrediction


class KPredictions:
    """What an `Objective` F, whose loss is a `VectorLoss`, asks of its rows.

    Parameters
    ----------
    loss : VectorLoss
    n_predictions : int
        K.
    """

    vector = True
    smooth = True  # non-smooth losses of several predictions are not told apart

    def __init__(self, loss, n_predictions):
        self.loss, self.n_predictions = loss, n_predictions

    def shape(self, n_features):
        """(d + 1, K)."""
        return n_features + 1, self.n_predictions

    def split(self, coef, intercept):
        """Coefficients, (d, K), and intercepts, (K,)."""
        return coef, intercept[0] if len(intercept) else np.zeros(self.n_predictions)

    def loss_and_gradient(self, F, coef, intercept, curvatures, floor, alone):
        """As for one prediction; there are always gradients, and never curvatures."""
        totals = np.zeros(F.range_cuts.size - 1)
        gradients = np.zeros((totals.size, *self.shape(F.n_features)))
        data = F.rows, F.samples, F.loss, coef, intercept, F.cuts
        F.map_blocks(
            lambda first, last: kernels.vector_loss_and_gradient(
                *data, first, last, totals, gradients
            )
        )
        return totals, gradients

    def curvature_product(self, F, at, along):
        """As for one prediction."""
        products = np.zeros((F.cuts.size - 1, *self.shape(F.n_features)))
        (coef, intercept), (direction, shift) = at, along
        data = F.rows, F.samples, F.loss, coef, intercept, direction, shift, F.cuts
        F.map_blocks(
            lambda first, last: kernels.vector_curvature_product(*data, first, last, products)
        )
        return products

    def product_at(self, F, v):
        """Function p -> H p; nothing is kept of the rows, whose curvatures are (K, K) each."""
        return functools.partial(F.hessian_product, v)

    def null_model(self, F):
        """Zeros, and the value there."""
        return np.zeros(self.n_predictions), F.loss_and_gradient(F.start())[0]

    def slopes(self, predictions, target):
        """Derivatives of one row's loss, (K,), in plain Python."""
        found = np.empty(self.n_predictions)
        self.loss.derivatives(predictions, target, found)
        return found

    def target_variance(self, targets):
        """0: targets may be numbers of classes."""
        return 0.0


def kind_of(loss, targets):
    """How many predictions a loss has for these targets."""
    if isinstance(loss, VectorLoss):
        return KPredictions(loss, loss.n_predictions(targets))
    return OnePrediction(loss)
