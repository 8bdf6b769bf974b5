"""An objective whose loss has K predictions for each row: what differs from one
(`fastgd.objective.scalar`, with the same methods).
"""

import numpy as np

from fastgd.losses.base import VectorLoss, count_predictions
from fastgd.objective.scalar import OnePrediction
from fastgd.objective.vector_gram import vector_gram
from fastgd.objective.vector_map import VectorMap
from fastgd.objective.vector_null_model import best_shifts


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

    def loss_and_gradient(self, F, coef, intercept, curvatures, curvature_cap, alone):
        """As for one prediction; there are never curvatures, of which each row has (K, K)."""
        return VectorMap(F).loss_and_gradient(coef, intercept, alone)

    def curvature_product(self, F, at, along):
        """As for one prediction."""
        return VectorMap(F).curvature_product(*at, *along)

    def product_at(self, F, v):
        """Function p -> H p; the predictions at `v` are kept, for half a pass."""
        return VectorCurvatures(F, v).times

    def curvature_matrix(self, F, v, curvature_cap):
        """As for one prediction, but for the cap, which is left out."""
        return vector_gram(F, v)

    def null_model(self, F):
        """Intercepts, (K,), and value of the best model without columns."""
        return best_shifts(F)

    def derivatives(self, predictions, target):
        """Derivatives of one row's loss, (K,), in plain Python."""
        found = np.empty(self.n_predictions)
        self.loss.derivatives(predictions, target, found)
        return found

    def target_variance(self, targets):
        """0: targets may be numbers of classes."""
        return 0.0


def outputs_of(loss, targets):
    """How many predictions a loss has for these targets."""
    if isinstance(loss, VectorLoss):
        return KPredictions(loss, count_predictions(loss, targets))
    return OnePrediction(loss)


class VectorCurvatures:
    """Second derivative of an objective at `v`, for products: what each row predicts is kept.

    Parameters
    ----------
    objective : Objective
    v : ndarray, (size,)
    """

    def __init__(self, objective, v):
        F = self.objective = objective
        self.vector_map = VectorMap(F)
        self.coef, self.intercept = F.split(v)
        self.predictions = self.vector_map.matvec(self.coef)
        self.penalty = F.penalty_curvature_at(v)

    def times(self, p):
        """H @ p, (size,): one pass."""
        F = self.objective
        coef, shift = F.split(p)
        at = self.coef, self.intercept
        along = np.ascontiguousarray(coef), shift
        blocks = self.vector_map.curvature_product(*at, *along, self.predictions)
        product = blocks.sum(axis=0).ravel()[: F.size] / F.n_active
        product[: coef.size] += self.penalty(coef.ravel())
        return product
