"""The model of a proximal Newton step for K predictions, by coordinate descent on the columns.

    sum_i (d_i'm_i + m_i' H_i m_i / 2) / n + l2 |w + e|^2 / 2 + l1 |w + e|_1

m_i being what e adds to the predictions of row i.  H_i = diag(h_i) - r_i r_i' is the second
derivative of the row's loss, exactly: a coefficient that moves changes what its rows say of all K
predictions, which takes K numbers for each of its values.  Columns of text are met by few rows and
hardly alike: some epochs do.
"""

import numpy as np

from fastgd.objective import kernels as objective_kernels
from fastgd.objective.vector_map import samples_of
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.active_epochs import descend, hot_epoch

# Epochs at most: what they leave is for the next model.
MAX_EPOCHS = 20


def has_root(loss):
    """Whether the second derivative of a loss is diag(h) - r r'."""
    return loss.curvature_root(np.zeros((1, 2))) is not None


class VectorColumnModel:
    """The model at a point, in some coordinates.

    Parameters
    ----------
    F : Objective
    columns : ColumnSubset
        Of F, sorted as they are asked for.
    rows : VectorRowValues
        At the point.
    point : ndarray, (size,)
    chosen : ndarray of int
        Coefficients that move, ascending; intercepts do besides.
    damping : float
        Added to the curvature of each row, times its weight.
    """

    def __init__(self, F, columns, rows, point, chosen, damping=0.0):
        k, d = F.n_predictions, F.n_features
        intercepts = np.arange(d * k, F.size)
        self.F, self.n_penalised = F, chosen.size
        self.places = np.concatenate([chosen, intercepts])
        self.unknowns = point[self.places]
        own, which = np.unique(chosen // k, return_inverse=True)
        *data, found = columns.by_column(own)
        where = np.concatenate([found[which], np.full(intercepts.size, found[-1])])
        self.data = *data, where, self.places % k
        self.lengths = np.diff(data[2])[where].astype(np.float64)
        self.diagonal, self.changes = np.zeros(where.size), np.zeros(where.size)
        self.derivatives = rows.derivatives.copy()
        self.curved, self.roots = second_derivatives(F, rows, damping)

    def step(self, tolerance, rng):
        """The step to the minimum, (size,), up to changes of derivatives of `tolerance`; epochs
        have orders by `rng`.
        """
        before, every = self.unknowns.copy(), np.arange(self.unknowns.size)

        def epoch(active):
            return hot_epoch(lambda some: self._once(some, rng), active, self.changes, self.lengths)

        def moving():
            return np.flatnonzero((self.unknowns != 0.0) | (every >= self.n_penalised))

        descend(epoch, every, moving, tolerance, MAX_EPOCHS)
        step = np.zeros(self.F.size)
        step[self.places] = self.unknowns - before
        return step

    def _once(self, active, rng):
        F, order = self.F, rng.permutation(active)
        numbers = (
            self.diagonal,
            self.curved,
            self.roots,
            self.derivatives,
            self.unknowns,
            self.changes,
        )
        strengths = F.l1, F.l2, self.n_penalised
        largest = kernels.vector_column_epoch(self.data, order, *numbers, *strengths)
        return largest, 0.0  # what the model fell by, nobody asks


def second_derivatives(F, rows, damping):
    """Vectors h and r of each row, (n, K), by its weight and the number of rows."""
    data = F.loss, *samples_of(F.samples, slice(0, F.n_samples)), rows.intercept
    diagonal = np.empty(rows.products.shape)
    objective_kernels.vector_diagonals(*data, rows.products, diagonal)
    weights = np.broadcast_to(F.samples.weights, (F.n_samples,))[:, None] / F.n_active
    predictions = rows.products + rows.intercept + F.samples.offsets[:, None]
    roots = F.loss.curvature_root(predictions) * np.sqrt(weights)
    return diagonal / F.n_active + damping * weights + roots**2, roots
