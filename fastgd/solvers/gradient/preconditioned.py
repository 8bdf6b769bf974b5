"""What the full-batch solvers that choose their own steps share: they work in coordinates of
their own.
"""

from dataclasses import dataclass

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Progress, Solver, Traits
from fastgd.solvers.gradient.preconditioner import choose_coordinates


@dataclass
@shaped(u="u", mark="uint8 *")
class PreconditionedMemory:
    """What a solver in coordinates of its own remembers.

    Attributes
    ----------
    u : ndarray, (size,), or None
        The point in these coordinates.
    mark : ndarray of bytes or None
        Tells the coordinates that `u` is in from others.
    """

    u: np.ndarray | None = None
    mark: np.ndarray | None = None


class Preconditioned(Solver):
    """Full-batch solver on u with v = T u (see `fastgd.solvers.gradient.preconditioner`).

    Parameters
    ----------
    objective : Objective
    coordinates : Coordinates, optional
        T; None: `choose_coordinates`.
    """

    traits = Traits(memory_needs_same_objective=True)
    Memory: type = PreconditionedMemory

    def __init__(self, objective, coordinates=None):
        super().__init__(objective)
        self.coordinates = choose_coordinates(objective) if coordinates is None else coordinates

    def resume(self, state):
        """Keep what is remembered if coordinates, too, are those of the earlier run, else start
        from its point.
        """
        super().resume(state)
        mark = self.coordinates.mark
        if state.memory.mark is None or not np.array_equal(state.memory.mark, mark):
            state.forget()
            state.memory.mark = mark
            state.memory.u = self.coordinates.from_user(state.point)

    def progress(self, state):
        """The change of variables tells of the curvature, where it was made from a matrix."""
        return Progress(inverse_root=self.coordinates.inverse_root, done=state.done)

    def own_gradient(self, state):
        """Gradient of the smooth part of F in u."""
        return self.coordinates.gradient(state.gradient)

    def proximal(self, u, rates):
        """Proximal step in u."""
        n_coef = self.objective.n_features * self.objective.n_predictions
        return self.coordinates.proximal(
            self.objective, u, rates[:n_coef] if np.ndim(rates) else rates
        )

    def allowed(self, u):
        """`u`, or where the penalty is infinite there, the nearest point at which it is not."""
        return self.coordinates.allowed(self.objective, u)

    def evaluate_at(self, u):
        """(v, F, smooth part of F, its gradient in v) at `u`: one pass."""
        with np.errstate(all="ignore"):  # a step too long overflows, which the solver sees in F
            v = self.coordinates.to_user(u)
            smooth, gradient = self.objective.smooth_and_gradient(v)
            return v, smooth + self.objective.rest_value(v), smooth, gradient

    def move(self, state, u, v, smooth, gradient):
        """Make `u` the point of the state."""
        state.point, state.value, state.gradient = v, smooth, gradient
        state.memory.u = u

    def total(self, state):
        """F at the point of the state."""
        return state.value + self.objective.rest_value(state.point)
