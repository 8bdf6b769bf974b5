"""Any update rule on all rows: its direction, and a line search for the rate."""

from dataclasses import dataclass

import numpy as np

from fastgd.linalg.line_search import armijo, halvings
from fastgd.solvers.base import Solver, Traits
from fastgd.solvers.gradient.scheduled import proximal_by_reach
from fastgd.solvers.rule_memory import RuleMemory, empty_slots

# After so many halvings a step, a share of 1e-12 of the first one tried, is no step.
TRIALS = 40


@dataclass
class ArmijoMemory(RuleMemory):
    """What a rule with a line search remembers.

    Attributes
    ----------
    rate : float
        Of the last iteration; the next one tries twice as much first.
    n_since_reset : int
        Updates that the slots are of.
    """

    rate: float = 0.5
    n_since_reset: int = 0


class Armijo(Solver):
    """A rule's direction with a step found by halving until F falls enough (Armijo, 1966)."""

    traits = Traits(outlives_rows=True)
    Memory = ArmijoMemory

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def _fresh(self, point):
        """State with empty slots of the rule."""
        state = super()._fresh(point)
        state.memory.slots = empty_slots(self.rule, state.point.size)
        return state

    def advance(self, state):
        """One update; each trial is one pass."""
        F, memory = self.objective, state.memory
        decay, slots = F.penalty_gradient(state.point), memory.slots
        memory.n_since_reset += 1
        scale = self.rule.begin(memory.n_since_reset)
        direction = self.rule.step(slots, slice(None), state.gradient - decay, decay, 1.0, scale)
        reach = self.rule.reach(slots, slice(None), 1.0, scale)
        first = 2.0 * memory.rate
        found = None
        if float(direction @ state.gradient) > 0.0:
            found = self._search(state, direction, reach, first)
        if found is None:
            # The rule's memory points uphill: it starts anew.
            slots[:] = 0.0
            memory.n_since_reset = 0
            found = self._search(state, state.gradient, 1.0, first)
        if found is None:
            state.done, found = True, (state.point, state.value, state.gradient, first)
        state.point, state.value, state.gradient, state.rate = found
        memory.rate = state.rate
        state.iteration += 1
        state.updates += 1

    def _search(self, state, direction, reach, rate):
        """(point, value, gradient, rate) of the first of the rates, halved again and again, with
        enough of a fall.
        """
        F = self.objective
        total = state.value + F.rest_value(state.point)
        slack = 1e-15 * abs(total)
        for share in halvings(TRIALS, first=rate):
            with np.errstate(all="ignore"):
                point = proximal_by_reach(F, state.point - share * direction, share * reach)
                value, gradient = F.smooth_and_gradient(point)
                step = state.point - point
                fall = min(float(step @ state.gradient), float(step @ step) / share)
                reached = value + F.rest_value(point)
            if not step.any():
                return None
            if armijo(total, reached, -max(fall, 0.0), slack=slack):
                return point, value, gradient, share
        return None
