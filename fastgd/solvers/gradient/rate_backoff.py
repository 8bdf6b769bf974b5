"""Any update rule on all rows, with rates that grow while F falls and are halved where it grows."""

from dataclasses import dataclass, field

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory
from fastgd.solvers.rule_memory import RuleMemory, empty_slots

# A rate that works grows by a little, one that fails is halved.
GROWTH = 1.1
CUT = 0.5
# No rate comes near one that failed again: at the edge of stability each iteration lets rounding
# grow, until weights and repeated rows differed by 4e-6 (Adam; now 4e-14), and failures clear the
# memory (Adam on 123 binary columns: 124 passes for 151).
CEILING = 0.5
LOOK_BACK = 5


@dataclass
@shaped(slots="slots u+1")
class RateBackoffMemory(PreconditionedMemory, RuleMemory):
    """What a rule with rates that back off remembers.

    Attributes
    ----------
    values : list of float
        F at the last `LOOK_BACK` points; empty before the first iteration.
    rate : float or None
        First rate that the next iteration tries; None before the first iteration.
    ceiling : float
        No rate above this is tried.
    n_since_reset : int
        Updates since the slots of the rule were empty.
    """

    values: list[float] = field(default_factory=list)
    rate: float | None = None
    ceiling: float = np.inf
    n_since_reset: int = 0


class RateBackoff(Preconditioned):
    """A rule in the solver's coordinates: the rate grows while F falls, and is halved, the
    memory cleared, when not.
    """

    Memory = RateBackoffMemory

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def advance(self, state):
        """One accepted update; each trial is one pass."""
        memory = state.memory
        u = memory.u
        g = self.own_gradient(state)
        values = memory.values or [self.total(state)]
        # The last of the gradients is always 1: what it moves tells how far the rule's memory has
        # filled.
        g = np.append(g, 1.0)
        if memory.slots is None:
            memory.slots = empty_slots(self.rule, g.size)
        slots = memory.slots
        rate = self._first_rate(state, u, g) if memory.rate is None else memory.rate
        while True:
            kept = slots.copy()
            scale = self.rule.begin(memory.n_since_reset + 1)
            step = self.rule.step(slots, slice(None), g, 0.0, rate, scale)
            reach = self.rule.reach(slots, slice(None), rate, scale)
            # A velocity that has just begun is matched by less of a threshold: 300 iterations were
            # lost to it with L1.
            trial = self.proximal(u - step[:-1], step[-1] / np.ravel(reach)[-1] * reach)
            v, total, smooth, gradient = self.evaluate_at(trial)
            if total <= max(values) + 1e-15 * abs(values[-1]):
                break
            slots[:] = kept if memory.n_since_reset == 0 else 0.0
            memory.n_since_reset = 0
            memory.ceiling = CEILING * rate
            rate *= CUT
            if rate < 1e-300 or not (trial - u).any():
                v, smooth, gradient = state.point, state.value, state.gradient
                trial, total = u, values[-1]
                state.done = True
                break
        self.move(state, trial, v, smooth, gradient)
        memory.values = [*values, total][-LOOK_BACK:]
        memory.n_since_reset += 1
        memory.rate = min(rate * GROWTH, memory.ceiling)
        state.rate = rate
        state.iteration += 1
        state.updates += 1

    def _first_rate(self, state, u, g):
        """Best of the rates 4^k for the first step of the rule, found by walking from 1 while F
        falls.
        """
        slots = np.zeros_like(state.memory.slots)
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, self.rule.begin(1))
        best = self.total(state)
        rate = 1.0
        factor = 4.0
        direction = direction[:-1]
        if not self.evaluate_at(self.allowed(u - direction))[1] <= best:  # NaN is no better
            factor = 0.25
        for _ in range(60):
            total = self.evaluate_at(self.allowed(u - rate * factor * direction))[1]
            if not total < best and not (factor < 1.0 and best == self.total(state)):
                break
            best, rate = min(best, total), rate * factor
        return rate / 4.0
