"""Newton steps among the last preconditioned gradients: the iterations of `RowSubspace` on
coefficients written out.

Where there are fewer columns than rows, or their scales differ much, gradients are divided by the
curvature that each column has by itself, s_j^2 = c var_j + l2, which leads out of the span of the
rows: directions are as long as there are columns, their images as long as there are rows.  An
iteration is still one pass in two halves, and a trial of a step none.

Measured on random sparse problems, log loss, passes to a relative error of 1e-6 with this, with
L-BFGS in the same coordinates and with `RowSubspace`.  20000 rows, 3000 columns, alpha = 1 / n (one
seed): 12, 27 and 96, with column scales lognormal (sigma 1.5) 10, 20 and more than 400.  3000 rows,
20000 columns, three seeds, 24 directions kept in each: alpha = 0.01 / n 148 to 189, 175 to 227 and
58 to 64; sigma 1, alpha = 1 / n 76 to 115, 96 to 138 and 90 to 104.  On the text that `RowSubspace`
tells of the preconditioner does harm: 10 iterations for 7, 38 for 17.
"""

import numpy as np

from fastgd.objective.cost_model import is_full
from fastgd.solvers.base import Forecast, Solver, Traits
from fastgd.solvers.gradient.preconditioner import Coordinates
from fastgd.solvers.newton.subspace import (
    AFFORDABLE,
    MAX_DIRECTIONS,
    RowSubspace,
    combining_cost,
    subspace_passes,
)

# Directions and images together take a tenth of X, or 2.5 MB; three are the least: point, gradient,
# last move. With 3 instead of 10 passes to 1e-6 were 18.5 (18.5), 50 (50), 66.5 (65) on 200,000
# rows and 100,000 columns, 30 values in a row; 13.5 to 17.5 (the same), 86.5 (88.5), 115 (119) on
# others, but 79.5 (63) on 20,000 rows and 3,000 columns on wild scales, for which 4 MB were enough
# for as many as are worth their time.
MIN_LONG = 3
MIN_BYTES = 2.5e6
# Greatest squared length of a row over the mean beyond which `RowSubspace` is not tried, judged by
# so many rows. At 11.6, 20.6 and 35.6 it was behind once and ahead twice; at 87 it did not arrive
# in 400 passes (one problem). Lengths do not tell all: with rows scaled to 1 after columns on wild
# scales (sigma 2) it took 10 to 14 passes, `ColumnSubspace` 4 to 8.
ALIKE = 50.0
SAMPLE_ROWS = 1000


class ColumnSubspace(RowSubspace):
    """Newton steps among the last preconditioned gradients; one pass an iteration.

    For the objectives that `RowSubspace` is for, where columns are fewer than rows or on scales of
    their own.

    Parameters
    ----------
    objective : Objective
    kept : int, optional
        Directions kept, the point included; None: what the values in X afford, in time and in
        memory.
    """

    def __init__(self, objective, kept=None):
        F = objective
        length = F.n_samples + F.n_features
        affordable = np.sqrt(max(2.0 * F.n_nonzeros, AFFORDABLE) / length)
        value = 8.0 if is_full(F) else 12.0  # bytes, with the column's number where it is stored
        fitting = max(0.1 * value * F.n_nonzeros, MIN_BYTES) / (8.0 * length)
        super().__init__(
            F,
            int(np.clip(min(affordable, fitting), MIN_LONG, MAX_DIRECTIONS))
            if kept is None
            else kept,
        )
        self._inverse = 1.0 / Coordinates.standard(F).scales[:, 0] ** 2

    def located(self, state):
        """Unknowns in the units of the data: no pass."""
        memory = state.memory
        intercept = [memory.intercept] if self.objective.fit_intercept else []
        return np.r_[memory.moves[0], intercept]

    def _direction(self, state):
        """The gradient over the columns' own curvatures, and its image."""
        direction = state.gradient[: self.objective.n_features] * self._inverse
        return direction, self._image(direction, state.memory)

    def _products(self, moves, images):
        inner = moves @ moves.T
        return inner, np.where(np.diag(inner) > 0.0, 1.0, 0.0)

    def _allocated(self, coef, memory):
        F = self.objective
        moves, images = np.zeros((self.kept, F.n_features)), np.zeros((self.kept, F.n_samples + 1))
        if coef.any():
            moves[0], images[0] = coef, self._image(coef, memory)
        return moves, images

    def _image(self, coef, memory):
        return np.r_[self.linear_map.matvec(coef), 0.0]

    def _squared_length(self, memory):
        return float(memory.moves[0] @ memory.moves[0])

    def _gradient(self, derivatives, memory, out):
        self.linear_map.rmatvec(derivatives, out)
        out += self.objective.l2 * memory.moves[0]


class SubspaceNewton(Solver):
    """`solver="newton"` for many columns and an L2 penalty or none: `RowSubspace` or
    `ColumnSubspace`.
    """

    name = "newton"
    traits = Traits(reads="blocks", second_order=True, judged_by="falls")

    @classmethod
    def refusal(cls, objective):
        """Refuses what has no gradients of the form X' c + l2 w."""
        if RowSubspace.fits(objective):
            return None
        return "among past gradients needs a smooth loss of one prediction and an L2 penalty"

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By how many directions stand out."""
        F = objective
        passes = subspace_passes(F, tol, cutoff)
        reason = (
            "too many columns for a curvature matrix, so Newton steps are taken among past "
            "gradients"
        )
        return Forecast(passes, reason, last=not F.convex)

    @classmethod
    def overhead_passes(cls, objective):
        """The combinations of directions."""
        return combining_cost(objective)

    @classmethod
    def make(cls, objective, options):
        """`RowSubspace` where columns are at least as many as rows, and no row far longer than the
        mean, else `ColumnSubspace`.
        """
        return choose_subspace(objective)


def choose_subspace(objective):
    """`RowSubspace` where columns are at least as many as rows, and no row far longer than the
    mean, else `ColumnSubspace`.
    """
    F = objective
    if F.n_features < F.n_samples:
        return ColumnSubspace(F)
    chosen = F.samples.active()
    chosen = chosen[np.linspace(0, chosen.size - 1, min(SAMPLE_ROWS, chosen.size)).astype(int)]
    sample = F.rows.take(chosen)
    lengths = np.asarray((sample * sample).sum(axis=1)).ravel()
    return RowSubspace(F) if lengths.max() <= ALIKE * lengths.mean() else ColumnSubspace(F)
