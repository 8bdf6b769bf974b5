"""Nesterov's accelerated descent on all rows, with restarts and a curvature that is measured on the
way.

y is the look-ahead point, at which the gradient is taken and which is also the answer, x = prox(y -
g / L):

    y+ = x + (t - 1) / t+ (x - x_old),    t+ = (1 + sqrt(1 + 4 t^2)) / 2

(Beck and Teboulle, 2009, FISTA).  Momentum starts anew when it points uphill, (y - x)'(x - x_old) >
0 (O'Donoghue and Candes, 2015, the gradient scheme), which gives the linear rate without knowing
the strong convexity.  L follows the curvature seen between successive gradients, up at once and
down slowly, so that no bound on the loss's curvature is needed.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import LAST_RESORT, Forecast
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory

# The measured curvature is along the step only: forgetting it slowly lets the step grow where the
# loss has become flat. Passes to 1e-6 with 0.98 against never forgetting: 176 and 233 on 123 binary
# columns, 1021 and 838 on 30 correlated columns in units of their own. The first guess is forgotten
# at once: 45 passes to 1e-6 for 329 with a Huber loss of targets of 1e5, and never more.
FORGET = 0.98
# F may rise on the way, but not above so many times its value where momentum began: where the
# curvature jumps, that along the step says little of the next one's, and squared hinges of 300 rows
# and 3,000 columns went to 1e10.
RISE = 2.0
EXPLODED = 1e3
MIN_CURVATURE = 1e-30
MAX_CURVATURE = 1e30


@dataclass
@shaped(iterate="u")
class AcceleratedMemory(PreconditionedMemory):
    """What accelerated descent remembers; `u` is the look-ahead point y.

    Attributes
    ----------
    iterate : ndarray or None
        x, the last proximal point; None before the first iteration.
    momentum : float
        t of the last extrapolation; 1 means none.
    curvature : float or None
        L; None before the first iteration.
    ceiling : float or None
        F that iterates with this momentum may not exceed; None before the first iteration.
    """

    iterate: np.ndarray | None = None
    momentum: float = 1.0
    curvature: float | None = None
    ceiling: float | None = None


class Accelerated(Preconditioned):
    """`solver="nesterov"`, full batch, automatic steps."""

    name = rule_name = "nesterov"
    traits = replace(Preconditioned.traits, reads="sums")
    Memory = AcceleratedMemory

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """A forecast that nobody can make: beyond `LAST_RESORT`, and last where F is convex."""
        F = objective
        if not F.loss_smooth:
            return Forecast(np.inf)
        what = "the penalty is not smooth" if F.convex else "the loss or the penalty is not convex"
        reason = f"{what}: accelerated descent with restarts finds a low point of either kind"
        return Forecast(2.0 * LAST_RESORT, reason, last=F.convex)

    def advance(self, state):
        """One look-ahead point: one pass, more where the curvature was underrated."""
        memory = state.memory
        y, g = memory.u, self.own_gradient(state)
        total = self.total(state)
        curvature = 1.0 if memory.curvature is None else memory.curvature
        x_old = y if memory.iterate is None else memory.iterate
        risen = total + (RISE - 1.0) * abs(total)
        ceiling = risen if memory.ceiling is None else memory.ceiling
        t = memory.momentum
        while True:
            x = self.proximal(y - g / curvature, 1.0 / curvature)
            if float((y - x) @ (x - x_old)) > 0.0:
                x_old = y
                t = 1.0
                ceiling = min(ceiling, risen)
            t_next = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
            y_next = self.allowed(x + (t - 1.0) / t_next * (x - x_old))
            v, total_next, smooth, gradient = self.evaluate_at(y_next)
            step = y_next - y
            length = float(step @ step)
            with np.errstate(all="ignore"):  # of gradients that overflowed
                change = float(step @ (self.coordinates.gradient(gradient) - g))
            seen = change / length if length > 0.0 else 0.0
            slack = 1e-13 * abs(total)
            if total_next <= total + slack or (seen <= curvature and total_next <= ceiling):
                break
            if seen <= curvature and t > 1.0:  # momentum alone carries it too far
                x_old, t = y, 1.0
                continue
            if curvature > MAX_CURVATURE:
                y_next = x = y
                v, smooth, gradient = state.point, state.value, state.gradient
                t_next, seen = 1.0, 0.0
                break
            # Where an exponential loss has exploded, the curvature on the way says nothing of that
            # here: counts of 1e6 had seen 1e200 of it.
            told = np.isfinite(seen) and total_next <= EXPLODED * abs(total)
            curvature = max(2.0 * curvature, seen) if told else 4.0 * curvature
        self.move(state, y_next, v, smooth, gradient)
        if memory.curvature is not None:
            least = FORGET * curvature
        else:
            least = 0.0 if seen > 0.0 else 0.25 * curvature
        memory.curvature = max(seen, least, MIN_CURVATURE)
        memory.iterate, memory.momentum, memory.ceiling = x, t_next, ceiling
        if not (y_next - y).any() and not (x - x_old).any():
            state.done = True
        state.rate = 1.0 / curvature
        state.iteration += 1
        state.updates += 1
