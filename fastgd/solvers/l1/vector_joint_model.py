"""The model of a proximal Newton step for K predictions, by one matrix of all coefficients that
move.

    g'e + e' H e / 2 + l1 |w + e|_1

H is the curvature itself: of the coefficients (j, k) and (m, l), of columns j and m for the
predictions k and l,

    sum_i x_ij x_im (h_ik [k = l] - r_ik r_il) / n

where diag(h_i) - r_i r_i' is the second derivative of the row's loss.  Steps converge as Newton's
do: 4 to 12 of them where matrices of each prediction take 16 to 150 (nine problems of 15 to 20,000
rows, 3 to 20 classes, 0.1 to 0.001 of the greatest alpha, to a proved 1e-4), and to 1e-9 or less
where those came to rest at 1e-7.
"""

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.objective.blocks import coarser
from fastgd.objective.cost_model import (
    DENSE_COST,
    MATRIX_ENTRY,
    MODEL_PATH,
    VECTOR_STEP,
    vector_pass_cost,
)
from fastgd.objective.gram import merged, tiles
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.l1.proximal_newton import minimise_with_l1
from fastgd.solvers.l1.vector_column_model import second_derivatives

# Matrices that threads add to: 72 MB where they are widest.
MAX_MATRICES = 4


def joint_cost(F, size):
    """What the matrix and its model take, in steps with a matrix for each prediction."""
    time = size**2 * (DENSE_COST * F.n_samples + MATRIX_ENTRY + MODEL_PATH * size)
    return time / (vector_pass_cost(F) + VECTOR_STEP)


class VectorJointModel:
    """The model at a point, in some coordinates.

    Parameters
    ----------
    F : Objective
    rows : VectorRowValues
        At the point.
    point, gradient : ndarray, (size,)
        Unknowns, and the gradient of the smooth part of F.
    chosen : ndarray of int
        Coefficients that move, ascending; intercepts do besides.
    """

    def __init__(self, F, rows, point, gradient, chosen):
        k, intercepts = F.n_predictions, np.arange(F.n_features * F.n_predictions, F.size)
        self.F, self.n_penalised = F, chosen.size
        self.places = np.concatenate([chosen, intercepts])
        self.unknowns, self.gradient = point[self.places], gradient[self.places]
        self.matrix = self._curvature(rows)
        diagonal = np.arange(chosen.size)
        self.matrix[diagonal, diagonal] += F.l2
        if F.loss.shift_invariant:  # a shift of all intercepts changes nothing
            own = slice(chosen.size, None)
            self.matrix[own, own] += self.matrix.diagonal()[own].sum() / k**2

    def _curvature(self, rows):
        """Curvature of the mean loss in these coordinates."""
        F = self.F
        k = F.n_predictions
        size = self.places.size
        columns, place = np.unique(self.places // k, return_inverse=True)
        which = self.places % k
        of_predictions = [np.flatnonzero(which == c) for c in range(k)]
        data = second_derivatives(F, rows, 0.0)
        cuts = coarser(F.range_cuts, MAX_MATRICES)
        matrices = np.zeros((cuts.size - 1, size, size))
        length = max(size, VALUES // size)  # by 32 rows of 800 coefficients, six times as long

        def work(first, last):
            for b in range(first, last):
                for chosen in tiles(merged(F.ranges[cuts[b] : cuts[b + 1]]), length):
                    curved, roots = (part[chosen] for part in data)
                    table = _columns(F, chosen, columns)
                    shared = table[:, place] * roots[:, which]
                    matrices[b] -= shared.T @ shared
                    for c, own in enumerate(of_predictions):
                        part = table[:, place[own]]
                        matrices[b][np.ix_(own, own)] += part.T @ (part * curved[:, c, None])

        map_ranges(work, len(matrices), F.n_threads, F.n_samples * size)
        F.meter.count(columns.size / F.n_features)
        return matrices.sum(axis=0)

    def step(self, tolerance):
        """The step to the minimum, (size,), up to changes of derivatives of `tolerance`."""
        before, numbers = self.unknowns.copy(), (self.matrix, self.gradient, self.unknowns)
        minimise_with_l1(*numbers, self.F.l1, self.n_penalised, tolerance, tolerance)
        step = np.zeros(self.F.size)
        step[self.places] = self.unknowns - before
        return step


def _columns(F, chosen, columns):
    """Some rows of some columns, dense; a column of ones for one that is beyond the last."""
    inside = columns[columns < F.n_features]
    part = F.rows.part(chosen, inside)
    part = part.toarray() if F.rows.sparse else part
    if inside.size == columns.size:
        return part
    return np.append(part, np.ones((len(part), 1)), axis=1)
