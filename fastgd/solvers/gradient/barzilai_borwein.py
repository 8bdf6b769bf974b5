"""Gradient descent on all rows with Barzilai-Borwein steps, kept safe by a line search that looks
back ten values.

With s = u - u_old and y = g - g_old, the two steps s's / s'y and s'y / y'y estimate 1 / curvature
along s (Barzilai and Borwein, 1988).  The short one is taken where they differ much (Frassoldati,
Zanni and Zanghirati, 2008, ABBmin), and a step is accepted when F falls below the greatest of its
last ten values by a little (Grippo, Lampariello and Lucidi, 1986).  L1 parts are met by a proximal
step (Wright, Nowak and Figueiredo, 2009, SpaRSA).
"""

from dataclasses import dataclass, field

import numpy as np

from fastgd.linalg.line_search import armijo
from fastgd.rules.barzilai_borwein import barzilai_borwein_rate
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory

# F may rise up to the greatest of so many values (Raydan, 1997).
LOOK_BACK = 10
# ABBmin: take the short step where it is less than this share of the long one, the least of the
# last few of them. `fastgd.scipy_method` has 0.5 and 3, chosen for functions that are not convex.
SHORT_SHARE = 0.8
SHORT_MEMORY = 5
# In coordinates of curvature about 1: beyond, steps and what they changed are rounding.
MIN_RATE = 1e-12
MAX_RATE = 1e12


@dataclass
class BarzilaiBorweinMemory(PreconditionedMemory):
    """What Barzilai-Borwein steps remember.

    Attributes
    ----------
    values : list of float
        F at the last `LOOK_BACK` points; empty before the first iteration.
    rate : float
        First rate that the next iteration tries.
    short_rates : list of float
        The last short steps s'y / y'y.
    """

    values: list[float] = field(default_factory=list)
    rate: float = 1.0
    short_rates: list[float] = field(default_factory=list)


class BarzilaiBorwein(Preconditioned):
    """`solver="gd"`, full batch, automatic steps."""

    Memory = BarzilaiBorweinMemory

    def advance(self, state):
        """One accepted step; each trial is one pass."""
        memory = state.memory
        u = memory.u
        g = self.own_gradient(state)
        rate = memory.rate
        values = memory.values or [self.total(state)]
        # F is known to about this much, so that less of a rise is no rise.
        slack = 4e-16 * abs(values[-1]) * np.sqrt(u.size + 10)
        while True:
            trial = self.proximal(u - rate * g, rate)
            step = trial - u
            v, total, smooth, gradient = self.evaluate_at(trial)
            still = not step.any() or rate <= MIN_RATE
            promise = -float(step @ step) / (2.0 * rate)
            if still or armijo(max(values), total, promise, slack=slack):
                break
            rate *= 0.25 if not np.isfinite(total) else 0.5
        if still:
            v, smooth, gradient = state.point, state.value, state.gradient
            trial, total = u, values[-1]
            state.done = True
        change = self.coordinates.gradient(gradient) - g
        self.move(state, trial, v, smooth, gradient)
        memory.values = [*values, total][-LOOK_BACK:]
        memory.rate = self._next_rate(memory, trial - u, change, rate)
        state.rate = rate
        state.iteration += 1
        state.updates += 1

    def _next_rate(self, memory, s, y, rate):
        if float(s @ s) == 0.0:
            return 1.0
        if float(y @ y) == 0.0:
            return min(4.0 * rate, MAX_RATE)
        chosen, memory.short_rates = barzilai_borwein_rate(
            s, y, memory.short_rates, share=SHORT_SHARE, memory=SHORT_MEMORY
        )
        return float(np.clip(chosen, MIN_RATE, MAX_RATE))
