"""Solvers: how a state moves by one iteration of the loop.  One algorithm a file, one contract for
all.

An iteration is one iteration of a full-batch solver and one epoch of a stochastic one.  A solver
keeps nothing but what it was made from; what changes is in a `State`, which can be pickled and
continued: k iterations and then m iterations are k + m iterations, bit for bit.
"""

from dataclasses import dataclass, field

import numpy as np

OF_THE_RUN = ("plan", "seed", "stage")


@dataclass
class State:
    """Where a run is.

    Attributes
    ----------
    point : ndarray, (size,)
        Unknowns in the user's units.
    iteration, updates : int
        Iterations of the loop, and updates of the unknowns, done so far.
    rate : float
        Rate of the last update.
    batch : int
        Rows per update.
    value, gradient : float and ndarray or None
        Smooth part of F and its gradient at `point`, where the solver knows them.
    memory : dict
        What the solver needs beside: what can be pickled.
    """

    point: np.ndarray
    batch: int
    iteration: int = 0
    updates: int = 0
    rate: float = np.nan
    value: float | None = None
    gradient: np.ndarray | None = None
    memory: dict = field(default_factory=dict)

    def forget(self):
        """Keep of the memory only whose run this is; the rest held for other data or another
        objective.
        """
        self.memory = {key: self.memory[key] for key in OF_THE_RUN if key in self.memory}


class Solver:
    """Contract of all solvers.

    Attributes
    ----------
    objective : Objective
    exact : bool
        Whether each iteration leaves value and gradient at the point, so that a check costs no
        pass.
    adapts : bool
        Whether the solver chooses its own steps; if so the best point seen is the answer, and a
        diverging step backs off.
    keeps_curvature : bool
        Whether `known_curvature` has something most of the time, so that a certificate needs no
        matrix of its own.
    proves : bool
        Whether `lower_bound` goes to F* as F does.
    by_schedule : bool
        Whether a scheduled rate is how long steps are, so that too large a one makes F grow.
    passes_before : float
        The objective's passes when the solver was made: what it measures counts as part of its run.
    """

    exact = True
    adapts = True
    keeps_curvature = False
    proves = False
    by_schedule = True

    def __init__(self, objective):
        self.objective = objective
        self.passes_before = objective.passes

    @property
    def kind(self):
        """What this solver's memory is called: only a solver of the same kind goes on with it."""
        return type(self).__name__

    def start(self, point):
        """State before the first iteration."""
        return State(np.array(point, dtype=np.float64), self.objective.n_active)

    def resume(self, state):
        """Make a state of an earlier run fit for these data: evaluate its point again."""
        if self.exact:
            state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def advance(self, state):
        """Move the state by one iteration."""
        raise NotImplementedError

    def answer(self, state):
        """Unknowns to report, for example an average of iterates."""
        return state.point

    def evaluate(self, state):
        """(v, smooth part of F, its gradient) at the answer; free after an iteration of an exact
        solver, else one pass.

        Without the gradient where `lower_bound` mostly does: who needs it takes another pass.
        """
        if self.exact:
            return state.point, state.value, state.gradient
        v = self.answer(state)
        return (v, *self.objective.smooth_and_gradient(v))

    def preview(self, state):
        """(F, estimate of F - F*) where the solver knows them without having computed its point,
        else None.
        """
        return None

    def doubt(self, state):
        """What F at the answer may be wrong by where it does not come from a look at X, else
        None.
        """
        return None

    def lower_bound(self, state):
        """A number that F is nowhere below, proved by what the solver keeps, or -inf: no pass."""
        return -np.inf

    def nearly_done(self, state, tol):
        """Whether a check is worth its pass although the iterations have not doubled since the last
        one.
        """
        return False

    def hand_over(self, memory):
        """What a solver of more rows, from the same point on, can use of this one's memory."""
        return {}

    def settled(self, state):
        """Whether the state belongs to the whole objective; a batch that grows is not there yet."""
        return True

    def known_curvature(self, state):
        """(Factor of a curvature matrix of F, the point where it is exact), or None: what a
        certificate can use.
        """
        return None

    def inverse_root(self):
        """T with T T' about the inverse of the curvature, where the solver has one: tells a
        certifier when to try.
        """
        return None

    def finished(self, state):
        """Whether the solver itself has nothing left to do."""
        return bool(state.memory.get("exhausted", False))

    def review(self, state, objective, null_point, reference):
        """Look at a checked objective; a solver that chooses its steps may go back to the
        null model.
        """

    def back_off(self, state, safe_point):
        """Take smaller steps from `safe_point` on; whether that is possible."""
        return False
