"""Newton's method for K predictions and few unknowns: the (dK, dK) curvature, Cholesky, and steps
from one matrix while they gain enough, as for one prediction (`fastgd.solvers.newton.cholesky`).

Along common shifts of all predictions, which change nothing, the matrix gets curvature: gradients
are orthogonal to them, and so are steps.
"""

import numpy as np

from fastgd.linalg.cholesky import Factor
from fastgd.objective.cost_model import (
    DENSE_COST,
    LOOP_COST,
    is_full,
    on_workers,
    reading_cost,
    solving_cost,
    values_of,
    vector_pass_cost,
)
from fastgd.objective.matrix_sizes import WIDEST_PROOF
from fastgd.objective.vector_gram import hold_shifts
from fastgd.solvers.base import Forecast, no_derivatives, one_prediction, several_strengths
from fastgd.solvers.growing_batch import growth_pays
from fastgd.solvers.newton.cholesky import ITERATIONS, MATRICES, MATRICES_AFTER_GROWTH, Newton
from fastgd.solvers.rounding_left import brought_nothing

# Products of two different columns take BLAS so many times what those of a column with itself do.
PAIRS = 1.5


class VectorNewton(Newton):
    """`solver="newton"` for K predictions and few unknowns, a penalty that has a gradient.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.
    """

    @classmethod
    def takes_several(cls, term):
        """Whether the penalty is an elastic net without an L1 part."""
        return term.elastic and term.smooth

    @classmethod
    def refusal(cls, objective):
        """Refuses losses of one prediction, losses and penalties without a derivative, L1 parts,
        and many unknowns.
        """
        F = objective
        if several := one_prediction(F):
            return several
        if F.size > WIDEST_PROOF:
            return f"with one matrix takes at most {WIDEST_PROOF:,} unknowns, got {F.size:,}"
        l1 = "with one matrix does not go with an L1 part" if F.l1 > 0.0 else None
        return no_derivatives(F) or several_strengths(F) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By the matrices that it forms and solves with."""
        F = objective
        matrices = MATRICES_AFTER_GROWTH if growth_pays(F) else MATRICES
        one = matrix_cost(F)
        reason = f"a curvature matrix costs about {one:.2g} passes and saves many more"
        return Forecast(ITERATIONS + matrices * one, reason, last=not (F.convex and F.elastic))

    @classmethod
    def overhead_passes(cls, objective):
        """A matrix and its factor."""
        return matrix_cost(objective)

    def __init__(self, objective, tol=0.0):
        super().__init__(objective, tol)
        self.matrix_cost = matrix_cost(objective)

    def advance(self, state):
        """One step; where neither F nor the gradient falls the matrix is taken anew, and what is
        left after that is rounding.
        """
        value, length = state.value, float(state.gradient @ state.gradient)
        super().advance(state)
        now = float(state.gradient @ state.gradient)
        if brought_nothing(value, state.value, length, now):
            memory = state.memory
            # Without a factor no step was found: the next one has a new matrix.
            fresh = memory.factor is not None and memory.n_steps <= 1
            memory.factor = None if not fresh else memory.factor
            state.done = state.done or fresh

    @property
    def _n_curvatures(self):
        """None: a curvature of a row would be a matrix."""
        return 0

    def _take_curvature(self, state, matrix=None):
        F, memory = self.objective, state.memory
        matrix = F.curvature_matrix(state.point) if matrix is None else matrix
        if F.parent is not None:
            matrix = self._with_frozen(matrix, self._unseen())
        memory.factor = Factor(hold_shifts(F, matrix))
        memory.anchor, memory.exact = state.point, True
        memory.pairs, memory.n_steps = [], 0


def matrix_cost(objective):
    """A curvature matrix and its factor in passes' worth of time."""
    F, size = objective, objective.size
    formed = F.n_predictions * (F.n_predictions + 1) / 2.0
    stored = max(values_of(F), F.n_samples)
    nonzeros = stored / F.n_samples
    if F.rows.sparse and not is_full(F):
        time = LOOP_COST * nonzeros**2 * F.n_samples * formed
    else:
        time = PAIRS * DENSE_COST * stored * F.n_features * formed
    made = on_workers(F, time) + reading_cost(F, size**2)
    return made / vector_pass_cost(F) + solving_cost(F, size)
