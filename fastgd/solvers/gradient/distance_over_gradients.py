"""Any update rule on all rows of a non-smooth loss: rates by the distance so far over the gradients
so far (DoG).
"""

from dataclasses import dataclass

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory
from fastgd.solvers.rule_memory import RuleMemory, empty_slots


@dataclass
@shaped(origin="u")
class DistanceOverGradientsMemory(PreconditionedMemory, RuleMemory):
    """What rates by distance over gradients remember.

    Attributes
    ----------
    origin : ndarray or None
        u before the first iteration.
    distance : float or None
        r, the greatest distance from `origin` so far; None before the first iteration.
    sum_of_squares : float
        Sum of |p|^2.
    n_updates : int
        Updates that the rule's memory is of.
    """

    origin: np.ndarray | None = None
    distance: float | None = None
    sum_of_squares: float = 0.0
    n_updates: int = 0


class DistanceOverGradients(Preconditioned):
    """A rule on a non-smooth loss: rates from the distance covered over the gradients seen, r /
    sqrt(sum |p|^2).

    Ivgi, Hinder and Carmon (2023, DoG, equation 2) for gradient descent, with p the step that the
    rule takes at rate 1; the answer is the best point seen.
    """

    Memory = DistanceOverGradientsMemory

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def advance(self, state):
        """One update: one pass."""
        memory = state.memory
        u = memory.u
        g = self.own_gradient(state)
        if memory.origin is None:
            memory.slots, memory.origin = empty_slots(self.rule, u.size), u.copy()
            memory.distance = 1e-3 * (1.0 + float(np.linalg.norm(u)))
        slots = memory.slots
        state.updates += 1
        memory.n_updates += 1
        scale = self.rule.begin(memory.n_updates)
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, scale)
        memory.sum_of_squares += float(direction @ direction)
        memory.distance = max(memory.distance, float(np.linalg.norm(u - memory.origin)))
        rate = memory.distance / np.sqrt(memory.sum_of_squares + 1e-300)
        trial = self.proximal(
            u - rate * direction, self.rule.reach(slots, slice(None), rate, scale)
        )
        v, _, smooth, gradient = self.evaluate_at(trial)
        self.move(state, trial, v, smooth, gradient)
        state.rate = rate
        state.iteration += 1
