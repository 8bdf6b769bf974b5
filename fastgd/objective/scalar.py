"""An objective whose loss has one prediction for each row: what differs from K of them
(`fastgd.objective.vector`, with the same methods).
"""

import numpy as np

from fastgd.losses.base import has_mean
from fastgd.objective import kernels, null_model
from fastgd.objective.linear_map import LinearMap


class OnePrediction:
    """What an `Objective` F, whose loss is a `Loss`, asks of its rows.

    Parameters
    ----------
    loss : Loss

    Attributes
    ----------
    vector : bool
        Whether there are K predictions.
    n_predictions : int
    smooth : bool
        Whether the loss has a continuous derivative.
    """

    vector = False
    n_predictions = 1

    def __init__(self, loss):
        self.loss, self.smooth = loss, loss.smooth

    def shape(self, n_features):
        """Shape of coefficients and intercept in one array, as kernels see them."""
        return (n_features + 1,)

    def split(self, coef, intercept):
        """Coefficients, (d,), and intercept, a float, of the rows of the table of unknowns, (d, 1)
        and (1, 1) or none.
        """
        return coef[:, 0], float(intercept[0, 0]) if len(intercept) else 0.0

    def loss_and_gradient(self, F, coef, intercept, curvatures, curvature_cap, alone):
        """Sums of the losses in the blocks of rows, and their gradients; with `alone` no gradients
        that mean anything.  One pass.
        """
        totals = np.zeros(F.range_cuts.size - 1)
        gradients = np.zeros((totals.size, *((1,) if alone else self.shape(F.n_features))))
        data, blocks = (F.rows, F.samples, F.loss, coef, intercept), (F.ranges, F.range_cuts)
        found = totals, gradients, curvatures, curvature_cap
        F.map_blocks(
            lambda first, last: kernels.loss_and_gradient(
                *data, *blocks, first, last, F.tile, *found
            )
        )
        return totals, gradients

    def curvature_product(self, F, at, along):
        """Sums over the blocks of the second derivative at `at` times `along`, both coefficients
        and intercept.  One pass.
        """
        products = np.zeros((F.cuts.size - 1, *self.shape(F.n_features)))
        (coef, intercept), (direction, shift) = at, along
        data = F.rows, F.samples, F.loss, coef, intercept, direction, shift, F.cuts
        F.map_blocks(lambda first, last: kernels.curvature_product(*data, first, last, products))
        return products

    def product_at(self, F, v):
        """Function p -> H p, H the second derivative of F at `v`, for many p: the curvatures of the
        rows are kept.
        """
        return Curvatures(F, v).times

    def curvature_matrix(self, F, v, curvature_cap):
        """Second derivative of the mean loss plus L2 at `v`, (size, size), of curvatures raised to
        `curvature_cap` at most.
        """
        return F.smooth_and_curvature(v, curvature_cap)[2]

    def null_model(self, F):
        """Intercept and value of the best model without columns."""
        return null_model.best_shift(F)

    def derivatives(self, predictions, target):
        """Derivatives of one row's loss, (1,), in plain Python."""
        return np.array([self.loss.derivative(float(predictions[0]), float(target))])

    def target_variance(self, targets):
        """Square of the scale that targets give to predictions; 0 where they have none."""
        alike = self.loss.classification or has_mean(self.loss)
        return 0.0 if alike else float(np.var(targets))


class Curvatures:
    """Second derivative of an objective at `v`, for products: what each row needs is kept.  Of a
    loss that is not convex it is by its `step_curvature`.

    Parameters
    ----------
    objective : Objective
    v : ndarray, (size,)
    """

    def __init__(self, objective, v):
        F = self.objective = objective
        self.linear_map = LinearMap(F)
        coef, intercept = F.split(v)
        self.curvatures = self.linear_map.derivatives(
            self.linear_map.matvec(np.ascontiguousarray(coef)), intercept
        )[2]
        self.penalty = F.penalty_curvature_at(v)

    def times(self, p):
        """H @ p, (size,): one pass."""
        n_coef, product = self.objective.n_features, self.of_rows(p)
        product[:n_coef] += self.penalty(p[:n_coef])
        return product

    def of_rows(self, p):
        """`times` without the penalty, of the rows of a part."""
        F = self.objective
        coef, intercept = F.split(p)
        changes = self.curvatures * (self.linear_map.matvec(np.ascontiguousarray(coef)) + intercept)
        product = np.empty(F.size)
        self.linear_map.rmatvec(changes, product[: F.n_features])
        if F.fit_intercept:
            product[-1] = changes.sum()
        return product
