"""Limited-memory BFGS on all rows, in coordinates of about unit curvature, with a weak Wolfe line
search.

With s_k = u_{k+1} - u_k, y_k = g_{k+1} - g_k of the last iterations the direction is -H g, where H
starts as (s'y / y'y) I and each pair adds

    H <- (I - s y' / s'y) H (I - y s' / s'y) + s s' / s'y

applied by two loops over the pairs, never formed (Nocedal, 1980; Nocedal and Wright, 2006,
algorithm 7.4).  Of the steps of the line search 1 is tried first and nearly always does.  Pairs
along which F is not convex are left out.
"""

from dataclasses import dataclass, field

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import curvature_cost, eigenvector_cost, pass_cost
from fastgd.solvers.base import LAST_RESORT, Forecast, no_derivatives
from fastgd.solvers.gradient.preconditioned import ScaledMemory, ScaledSolver
from fastgd.solvers.gradient.preconditioner import curvature_pays
from fastgd.solvers.krylov_iterations import (
    counted_on,
    fewest_iterations,
    lbfgs_iterations,
    proof_cost,
)
from fastgd.solvers.line_search import weak_wolfe

MEMORY = 10
# A pair counts where s'y is more than this share of |s| |y|: with less its H would be all rounding.
LEAST_CURVATURE = 1e-10
IDLE_ITERATIONS = 4
# Passes around the iterations, for the proof and what a line search halves: 2 to 3 for a squared
# loss, 6 to 13 for others.
AROUND = 8.0
AROUND_SQUARES = 3.0
# ns a column that an iteration takes beside its passes, with ten pairs: texts of 20,000 and 100,000
# columns.
VECTORS = 35.0


@dataclass
class Falls:
    """What `notice_rounding` remembers; memories of solvers that call it derive from this.

    Attributes
    ----------
    idle : int
        Iterations in a row in which neither F fell nor the gradient got shorter.
    shortest : float
        Least squared length of a gradient so far.
    """

    idle: int = 0
    shortest: float = np.inf


@dataclass
class LBFGSMemory(ScaledMemory, Falls):
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


class LBFGS(ScaledSolver):
    """`solver="lbfgs"`: any smooth loss and penalty; one pass an iteration, more where a step of 1
    will not do.

    Parameters
    ----------
    objective : Objective
    memory : int
        Pairs kept.
    """

    reads = "sums"
    Memory = LBFGSMemory
    name = "lbfgs"
    judged_by = "falls"
    batch_sizes = ("full", "growing")

    @classmethod
    def takes_several(cls, term):
        """As with one prediction."""
        return True

    @classmethod
    def refusal(cls, objective):
        """L1 parts and non-smooth losses and penalties."""
        l1 = "does not go with an l1 part" if objective.l1 > 0.0 else None
        return no_derivatives(objective) or l1

    @classmethod
    def cost(cls, objective, tol, best=np.inf):
        """With fewer columns than rows about as many iterations as Newton steps among past
        gradients; else unknown, and Newton steps come first where they are known to get there.
        """
        F, reason = objective, "pairs of past steps stand in for a curvature matrix"
        newton = not F.vector and F.elastic
        if not (newton and F.smooth and F.convex and F.n_features <= F.n_active):
            return Forecast(LAST_RESORT, reason, last=newton or not F.convex)
        one = 1.0 + VECTORS * F.n_features / pass_cost(F)
        around = AROUND_SQUARES if F.loss.self_concordance == 0.0 else AROUND
        least = one * (around + fewest_iterations(tol))
        if best <= least:  # what follows reads rows
            return Forecast(least, reason)
        if curvature_pays(F):
            matrix = curvature_cost(F) + eigenvector_cost(F, F.n_features)
            return Forecast(least + matrix, reason)
        iterations = counted_on(lbfgs_iterations(F, tol))
        return Forecast(one * (around + iterations) + proof_cost(F), reason)

    def __init__(self, objective, memory=MEMORY):
        check_smooth(objective)
        super().__init__(objective)
        self.pairs = memory

    def advance(self, state):
        """One accepted step."""
        memory, g = state.memory, self.own_gradient(state)
        pairs = memory.pairs
        direction = two_loops(pairs, g)
        slope = float(g @ direction)
        if not slope < 0.0 and pairs:
            pairs, direction = [], -g
            slope = float(g @ direction)
        rate = 1.0 if pairs else memory.first_rate
        found = self._search(state, direction, slope, rate) if slope < 0.0 else None
        if found is not None:
            share, u, v, smooth, gradient = found
            s, y = u - memory.u, self.coordinates.gradient(gradient) - g
            notice_rounding(state, state.value, smooth, y + g)
            self.move(state, u, v, smooth, gradient)
            if float(s @ y) > LEAST_CURVATURE * np.sqrt(float(s @ s) * float(y @ y)):
                pairs = [*pairs, (s, y)][-self.pairs :]
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

    def _search(self, state, direction, slope, share):
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
        found = weak_wolfe(look, value, slope, share, start, direction, slack)
        return None if found is None else (found[0], *found[1])


def check_smooth(objective):
    """Raise ValueError where loss or penalty are non-smooth: at kinks a quadratic model is worth
    nothing.
    """
    if not objective.smooth:
        raise ValueError(
            "solver='lbfgs' and solver='newton' with conjugate gradients need a loss and a "
            "penalty with continuous "
            f"derivatives, got {objective.loss!r} and {objective.penalty!r}; use a smooth loss and "
            "penalty='l2'"
        )


def notice_rounding(state, before, value, gradient):
    """Make a run end once neither F falls nor the gradient gets shorter for some iterations;
    `state.memory` is a `Falls`.
    """
    falls, length = state.memory, float(gradient @ gradient)
    idle = before - value <= 4.0 * EPS * abs(before) and not length < 0.25 * falls.shortest
    falls.idle = falls.idle + 1 if idle else 0
    falls.shortest = min(length, falls.shortest)
    if falls.idle >= IDLE_ITERATIONS:
        state.done = True


def two_loops(pairs, gradient, solve=None):
    """-H g for the pairs (s, y), the oldest first; `solve` applies the H that they correct, (s'y /
    y'y) I without one.

    Examples
    --------
    >>> import numpy as np
    >>> two_loops([], np.array([2.0, -1.0]))
    array([-2.,  1.])
    """
    direction, shares = -gradient, []
    for s, y in reversed(pairs):
        share = float(s @ direction) / float(s @ y)
        direction = direction - share * y
        shares.append(share)
    if solve is not None:
        direction = solve(direction)
    elif pairs:
        s, y = pairs[-1]
        direction = direction * (float(s @ y) / float(y @ y))
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - float(y @ direction) / float(s @ y)) * s
    return direction
