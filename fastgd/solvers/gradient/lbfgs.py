"""Limited-memory BFGS on all rows, in coordinates of about unit curvature, with a weak Wolfe line
search.

The direction is -H g, where H follows from the steps and changes of the gradient of the last
iterations (`fastgd.solvers.quasi_newton`; Liu and Nocedal, 1989).  Of the steps of the line search
1 is tried first and nearly always does.  Pairs along which F is not convex are left out.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from fastgd.linalg.line_search import weak_wolfe
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import (
    QUASI_NEWTON,
    Cost,
    curvature_cost,
    eigenvector_cost,
    pass_cost,
)
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import LAST_RESORT, Forecast, no_derivatives
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory
from fastgd.solvers.gradient.preconditioner import curvature_pays
from fastgd.solvers.krylov_iterations import (
    counted_on,
    fewest_iterations,
    lbfgs_iterations,
    proof_cost,
)
from fastgd.solvers.quasi_newton import is_curved, two_loops
from fastgd.solvers.rounding_left import Falls, notice_rounding

# Pairs of past steps: as many as L-BFGS-B of SciPy keeps.
MEMORY = 10
AROUND = Cost(
    8.0,
    "passes",
    "Beside the iterations, for the proof and what a line search halves: 6 to 13.",
)
AROUND_SQUARES = Cost(
    3.0,
    "passes",
    "The same for a squared loss: 2 to 3.",
)


@dataclass
@shaped(pairs="u")
class LBFGSMemory(PreconditionedMemory, Falls):
    """What L-BFGS remembers.

    Attributes
    ----------
    pairs : list of (ndarray, ndarray)
        (s, y) of the last iterations, the oldest first.
    first_rate : float
        First step that is tried along -g, without pairs.
    """

    pairs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    first_rate: float = 1.0


class LBFGS(Preconditioned):
    """`solver="lbfgs"`: any smooth loss and penalty; one pass an iteration, more where a step of 1
    will not do.

    Parameters
    ----------
    objective : Objective
    memory : int
        Pairs kept.
    """

    name = "lbfgs"
    traits = replace(
        Preconditioned.traits, reads="sums", batch_sizes=("full", "growing"), judged_by="falls"
    )
    Memory = LBFGSMemory

    @classmethod
    def takes_several(cls, term):
        """As with one prediction."""
        return True

    @classmethod
    def refusal(cls, objective):
        """Refuses L1 parts, and losses and penalties that are not smooth."""
        l1 = "does not go with an L1 part" if objective.l1 > 0.0 else None
        return no_derivatives(objective) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """With fewer columns than rows about as many iterations as Newton steps among past
        gradients; else unknown, and Newton steps come first where they are known to get there.
        """
        F, reason = objective, "pairs of past steps stand in for a curvature matrix"
        newton = not F.vector and F.elastic
        if not (newton and F.smooth and F.convex and F.n_features <= F.n_active):
            return Forecast(LAST_RESORT, reason, last=newton or not F.convex)
        one = 1.0 + QUASI_NEWTON * F.n_features / pass_cost(F)
        around = AROUND_SQUARES if F.loss.self_concordance == 0.0 else AROUND
        least = one * (around + fewest_iterations(tol))
        if cutoff <= least:  # what follows reads rows
            return Forecast(least, reason)
        if curvature_pays(F):
            matrix = curvature_cost(F) + eigenvector_cost(F, F.n_features)
            return Forecast(least + matrix, reason)
        iterations = counted_on(lbfgs_iterations(F, tol))
        return Forecast(one * (around + iterations) + proof_cost(F), reason)

    def __init__(self, objective, memory=MEMORY):
        self.refuse_unsuitable(objective)
        super().__init__(objective)
        self.n_pairs = memory

    def advance(self, state):
        """Take one step that the line search accepts, if there is one."""
        memory, g = state.memory, self.own_gradient(state)
        pairs = memory.pairs
        direction = two_loops(pairs, g)
        derivative = float(g @ direction)
        if not derivative < 0.0 and pairs:
            pairs, direction = [], -g
            derivative = float(g @ direction)
        rate = 1.0 if pairs else memory.first_rate
        found = self._search(state, direction, derivative, rate) if derivative < 0.0 else None
        if found is not None:
            share, u, v, smooth, gradient = found
            s, y = u - memory.u, self.coordinates.gradient(gradient) - g
            notice_rounding(state, state.value, smooth, y + g)
            self.move(state, u, v, smooth, gradient)
            if is_curved(s, y):
                pairs = [*pairs, (s, y)][-self.n_pairs :]
            elif not pairs:
                memory.first_rate = 2.0 * share
            state.rate = share
        elif pairs:
            pairs = []  # rounding may have spoilt them: the next iteration goes straight down
        else:
            state.done = True
        memory.pairs = pairs
        state.iteration += 1
        state.updates += 1

    def _search(self, state, direction, derivative, share):
        """(share, u, v, smooth, gradient) of a step that meets both conditions or, failing that,
        lowers F; or None.
        """
        start, value = state.memory.u, state.value

        def look(share):
            u = start + share * direction
            v, _, smooth, gradient = self.evaluate_at(u)
            with np.errstate(all="ignore"):
                steepness = float(self.coordinates.gradient(gradient) @ direction)
            return smooth, steepness, (u, v, smooth, gradient)

        # F is known to about this much.
        slack = 4.0 * EPS * abs(value)
        found = weak_wolfe(look, value, derivative, share, start, direction, slack)
        return None if found is None else (found[0], *found[1])
