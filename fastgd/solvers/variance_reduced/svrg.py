"""SVRG: variance-reduced descent with an anchor, a point whose gradient over all rows is known.

Johnson and Zhang (2013), "Accelerating stochastic gradient descent using predictive variance
reduction", with n visits per anchor, the last iterate as the next anchor, and steps on the rows'
support (Pedregosa, Leblond and Lacoste-Julien, 2017). Nothing is kept for each row; an iteration
costs two passes, one of visits and one over all rows at the new anchor. The latter gives F and its
gradient, so that each iteration is checked for nothing, and one that went up is taken back.
"""

from dataclasses import dataclass

import numpy as np

from fastgd.solvers.variance_reduced import expected_smoothness as formulas
from fastgd.solvers.variance_reduced import kernels
from fastgd.solvers.variance_reduced.base import VarianceReduced, VarianceReducedMemory

# F may rise by its own rounding.
SLACK = 1e-13
# So many iterations in a row without a fall end a run: what is left is rounding.
MAX_STALLED = 3


@dataclass
class SvrgMemory(VarianceReducedMemory):
    """What SVRG remembers.

    Attributes
    ----------
    n_stalled : int
        Iterations in a row in which F did not fall.
    """

    n_stalled: int = 0


class Svrg(VarianceReduced):
    """`solver="svrg"`: see the docstrings of this module and of `base.py`.

    With `batch` rows per update the rate is 3 `step` / K(b), K of
    `expected_smoothness.svrg_curvature`; proved is 1 / (2 K). Passes to 1e-6 with a `step` of 1/2,
    3/4, 1 and 5/4: 20, 24, 26, 28 on 123 binary columns; > 60, > 60, 52, > 60 on 500 binary ones;
    46, 32, 24, 20 on 54 columns, the measured ones among them in units of their own.
    """

    Memory = SvrgMemory
    name = "svrg"
    step = 1.0

    def resume(self, state):
        """Measure the data and the anchor; keep what an earlier run measured if F at the anchor
        is the same.
        """
        value = state.value
        super().resume(state)
        if value != state.value:
            state.memory.tuning = None
        self.prepare(state)

    def advance(self, state):
        """Visits from the anchor, then the next anchor; taken back, with half the step, if F
        went up.
        """
        F, memory = self.objective, state.memory
        before, value, gradient = state.point, state.value, state.gradient
        total = value + F.rest_value(before)
        mean = gradient - F.penalty_gradient(before)
        coef = before[: F.n_features].copy()
        intercept = float(before[-1]) if F.fit_intercept else 0.0
        memory.intercept_mean = float(mean[-1]) if F.fit_intercept else 0.0
        memory.columns = self._laid_out(memory.columns)
        memory.columns[kernels.MEAN] = mean[: F.n_features]
        point, _ = self.visit(state, np.zeros(0), coef, intercept)
        with np.errstate(all="ignore"):
            smooth, gradient = F.smooth_and_gradient(point)
            reached = smooth + F.rest_value(point)
        state.iteration += 1
        if not reached <= total + SLACK * abs(total):
            state.done = not self.shorten(state)
            return
        state.point, state.value, state.gradient = point, smooth, gradient
        memory.n_stalled = 0 if reached < total else memory.n_stalled + 1
        state.done = memory.n_stalled >= MAX_STALLED

    def retreat(self, state, safe_point):
        """Halve the step and go on from a good point."""
        state.point = safe_point.copy()
        self._evaluate_point(state)
        return self.shorten(state)

    def best_batch(self, n, whole, longest, convexity):
        return formulas.svrg_batch(n, whole, longest, convexity)

    def seen_curvature(self, batch, n, whole, longest, convexity):
        return formulas.svrg_curvature(batch, n, whole, longest) / 3.0
