"""Newton steps among the last gradients in the span of the rows, for K predictions: the iterations
of `RowSubspace` (`fastgd.solvers.newton.subspace`) on W = X' A.

A direction is a table of as many numbers as there are predictions, (n_samples, K), and so is its
image X W; both are kept as one row.  With 20 classes and 1.28 million columns a direction is 3 MB
where its coefficients are 205 MB: inner products, trial steps and the Newton step on all
combinations cost next to nothing beside the two products of an iteration with X.

On a text of 18821 rows and 20 classes, alpha = 1 / n, a fit to a proved 1e-4 takes 7.5 passes and
6.9 s of a processor, where L-BFGS on coefficients takes 19.5 and 63.
"""

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.objective import kernels
from fastgd.objective.gram import merged, tiles
from fastgd.objective.vector_map import VectorMap, samples_of, summed_curvature
from fastgd.objective.vector_null_model import Shifts, lowest_shifts
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.base import Forecast, Solver, Traits
from fastgd.solvers.newton.subspace import RowSubspace, combining_cost, subspace_passes


class VectorRowSubspace(RowSubspace):
    """`RowSubspace` for losses of several predictions.

    Parameters
    ----------
    objective : Objective
    kept : int, optional
        Directions kept, the point included; None: what the length of the rows affords.
    """

    @staticmethod
    def fits(objective):
        """Whether gradients are X' A + l2 W, and W is smaller as A."""
        F = objective
        return F.vector and F.elastic and F.smooth and F.l1 == 0.0

    @staticmethod
    def _mapped(objective):
        return FlatMap(objective)

    def _balance(self, memory):
        """Move the intercepts to their best."""
        F = self.objective
        if F.fit_intercept and F.loss.convex:
            images = memory.images[0, :-1].reshape(F.n_samples, -1) + memory.intercept
            sums = Shifts(F.loss, F.samples, images, F.n_predictions)
            memory.intercept = memory.intercept + lowest_shifts(sums, F.loss.infimum)[0]

    def _curved(self, columns, curvatures):
        """Second derivative of the mean loss along columns and intercepts."""
        return curvatures.along(columns)

    def _summed(self, derivatives):
        """Derivatives of the mean loss in the intercepts."""
        return derivatives.reshape(self.objective.n_samples, -1).sum(axis=0)

    def _shift_of(self, step):
        """What the end of a step moves the intercepts by."""
        return step if step.size else np.zeros(self.objective.n_predictions)


class FlatMap:
    """The linear map of K predictions with tables as rows, as `LinearMap` has it.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective):
        self.objective = objective
        self.vector_map = VectorMap(objective)

    def matvec(self, coef):
        """X W, (n_samples K,)."""
        return self.vector_map.matvec(self._table(coef)).ravel()

    def rmatvec(self, derivatives, out):
        """X' A into `out`, (n_features K,)."""
        out[...] = self.vector_map.rmatvec(self._table(derivatives)).ravel()
        return out

    def derivatives(self, predictions, intercept, curvature_cap=0.0):
        """Mean loss, of each row weight * derivatives / n, and its `RowCurvatures`."""
        table = self._table(predictions)
        loss, found = self.vector_map.derivatives(table, intercept)
        return loss, found.ravel(), RowCurvatures(self.objective, table, intercept, curvature_cap)

    def loss(self, predictions, intercept):
        """Mean loss at these predictions, without derivatives."""
        return self.vector_map.loss(self._table(predictions), intercept)

    def _table(self, flat):
        return flat.reshape(-1, self.objective.n_predictions)


class RowCurvatures:
    """Second derivatives of the rows' losses at their predictions, or a bound of all of them.

    Parameters
    ----------
    objective : Objective
    predictions : ndarray, (n_samples, K)
    intercept : ndarray, (K,)
    curvature_cap : float
        Where it is positive, every second derivative is raised to this bound of them.
    """

    def __init__(self, objective, predictions, intercept, curvature_cap):
        self.objective = objective
        self.predictions, self.intercept, self.curvature_cap = predictions, intercept, curvature_cap

    def along(self, columns):
        """Second derivative of the mean loss along `columns`, (m, n_samples K), and along the
        intercepts, where there are any: (m + K, m + K).
        """
        F, m = self.objective, len(columns)
        k = F.n_predictions
        tables = columns.reshape(m, -1, k)
        length = max(16, VALUES // (2 * m * k))
        ranges, cuts = F.ranges, F.range_cuts
        matrices = np.zeros((cuts.size - 1, m + k, m + k))

        def work(first, last):
            for b in range(first, last):
                for chosen in tiles(merged(ranges[cuts[b] : cuts[b + 1]]), length):
                    self._add(chosen, tables[:, chosen], matrices[b])

        map_ranges(work, len(matrices), F.n_threads, int(F.share * F.n_samples) * k * m)
        matrix = matrices.sum(axis=0) / F.n_active
        matrix[m:, :m] = matrix[:m, m:].T
        return matrix if F.fit_intercept else matrix[:m, :m]

    def _add(self, chosen, parts, matrix):
        """Add what the rows `chosen` have."""
        F = self.objective
        m = len(parts)
        curvature_cap = self.curvature_cap
        own = samples_of(F.samples, chosen)
        predictions = self.predictions[chosen]
        if curvature_cap > 0.0:
            weights = np.broadcast_to(own[1], len(predictions))
            curved = parts * (curvature_cap * weights)[:, None]
            matrix[m:, m:] += np.eye(F.n_predictions) * (curvature_cap * weights.sum())
        else:
            curved = np.empty(parts.shape)
            for along, out in zip(parts, curved, strict=True):
                data = F.loss, *own, self.intercept, predictions
                kernels.vector_losses(*data, True, True, np.ascontiguousarray(along), out)
            matrix[m:, m:] += summed_curvature(F.loss, own, self.intercept, predictions)
        matrix[:m, :m] += parts.reshape(m, -1) @ curved.reshape(m, -1).T
        matrix[:m, m:] += curved.sum(axis=1)


class VectorSubspaceNewton(Solver):
    """`solver="newton"` for K predictions, at least as many columns as rows, and an L2 penalty or
    none.
    """

    name = "newton"
    traits = Traits(second_order=True, judged_by="falls")

    @classmethod
    def takes_several(cls, term):
        """Whether the penalty is an elastic net without an L1 part."""
        return term.elastic and term.smooth

    @classmethod
    def refusal(cls, objective):
        """Refuses what has no gradients of the form X' A + l2 W, or fewer columns than rows."""
        F = objective
        if not VectorRowSubspace.fits(F):
            return "among past gradients needs a smooth loss and an L2 penalty"
        if F.n_features < F.n_samples:
            return (
                "among past gradients of several predictions needs at least as many columns as "
                f"rows, got {F.n_features:,} and {F.n_samples:,}"
            )
        return None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By how many directions stand out."""
        reason = (
            "too many columns for a curvature matrix, so Newton steps are taken among past "
            "gradients"
        )
        F = objective
        return Forecast(subspace_passes(F, tol, cutoff), reason, last=not F.convex)

    @classmethod
    def overhead_passes(cls, objective):
        """The combinations of directions."""
        return combining_cost(objective)

    @classmethod
    def make(cls, objective, options):
        """Steps in the span of the rows."""
        return VectorRowSubspace(objective)
