"""A loss with corners, minimised by way of rounded ones: the corners get narrower as the optimum gets closer.

The solver of a smooth objective goes on until what is left of the rounded objective is less than what rounding took
away; then the width is divided by `NARROWER` (Nesterov, 2005, one width after the other).  The rounded objective is
never above the objective, so that its bound holds for both.
"""

import numpy as np

from fastgd.certificate import Certifier
from fastgd.objective import Objective
from fastgd.smoothing import smoothed
from fastgd.solvers import Solver, State

FIRST_WIDTH, NARROWER, LEAST_WIDTH = 0.5, 6.0, 1e-13
# The rounding that is left at the end takes this share of tol.
SHARE_OF_TOL = 0.5
MOST_TURNS = 30


class Rounded(Solver):
    """A smooth solver on rounded losses.

    Parameters
    ----------
    objective : Objective
        Of a loss that `fastgd.smoothing.smoothed` knows.
    make_inner : callable
        Solver for an objective with a derivative.
    tol : float
        Relative suboptimality that the run is for.
    """

    exact = False
    proves = True

    def __init__(self, objective, make_inner, tol=0.0):
        super().__init__(objective)
        self.make_inner, self.tol = make_inner, tol
        self._made = None

    def start(self, point):
        """State with the widest corners."""
        state = super().start(point)
        state.memory.update(width=FIRST_WIDTH * self._unit(), bound=-np.inf, inner=None)
        return state

    def resume(self, state):
        """Evaluate the point with the corners that the run is at."""
        if "width" not in state.memory:
            state.forget()
            state.memory.update(self.start(state.point).memory)
        state.memory["bound"] = -np.inf
        if state.memory["inner"] is None:
            state.memory["inner"] = State(state.point.copy(), state.batch)
        self._solver(state).resume(state.memory["inner"])

    def turn(self, state):
        """One turn on the rounded loss, then narrower corners where these have done their work."""
        memory, solver = state.memory, self._solver(state)
        inner = memory["inner"]
        solver.turn(inner)
        state.point, state.rate = inner.point.copy(), inner.rate
        state.turn, state.updates = state.turn + 1, state.updates + 1
        total = inner.value + solver.objective.rest_value(inner.point)
        gap = self._certifier.cheap(inner.point, inner.value, inner.gradient).value
        memory["bound"] = max(memory["bound"], total - gap)
        memory["near"] = total - memory["bound"] + 0.5 * memory["width"], total
        memory["turns"] = memory.get("turns", 0) + 1
        if solver.finished(inner) or gap <= 0.5 * memory["width"] or memory["turns"] >= MOST_TURNS:
            least = max(SHARE_OF_TOL * self.tol * abs(total), LEAST_WIDTH * self._unit())
            memory["width"] = max(memory["width"] / NARROWER, min(least, memory["width"]))
            memory["inner"], memory["turns"] = State(state.point.copy(), state.batch), 0
            self._solver(state).resume(memory["inner"])

    def lower_bound(self, state):
        """The greatest bound of all rounded objectives so far."""
        return state.memory["bound"]

    def nearly_done(self, state, tol):
        """Whether the rounded objective and its width leave no more than tol."""
        left, total = state.memory["near"]
        return left <= tol * abs(total)

    def _unit(self):
        """How far predictions have to move to matter: 1 for margins, the spread of the targets for regression."""
        F = self.objective
        return 1.0 if F.loss.classification else float(np.std(F.samples.targets)) or 1.0

    def _solver(self, state):
        width = state.memory["width"]
        if self._made is None or self._made[0] != width:
            F = self.objective
            G = Objective.of(
                smoothed(F.loss, width), F.rows, F.samples, F.penalty, F.alpha, F.fit_intercept, F.n_threads
            )
            G.take_moments(F.moments())
            G.whole, G.share = F, 1.0
            self._made, self._certifier = (width, self.make_inner(G)), Certifier(G)
        return self._made[1]
