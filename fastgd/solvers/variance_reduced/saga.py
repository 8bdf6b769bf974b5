"""SAGA: variance-reduced descent with a table of the last derivative of each row.

Defazio, Bach and Lacoste-Julien (2014), "SAGA: a fast incremental gradient method with support for
non-strongly convex composite objectives", on the rows' support (Pedregosa, Leblond and
Lacoste-Julien, 2017, "Breaking the nonsmooth barrier"). Errors fall by a constant factor per epoch,
at the cost of one number for each row. The table starts at 0, whose mean gradient is 0: the first
epoch is plain stochastic descent, and no pass is made to fill it.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgd.objective.linear_map import LinearMap
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.variance_reduced import expected_smoothness as formulas
from fastgd.solvers.variance_reduced import kernels
from fastgd.solvers.variance_reduced.base import VarianceReduced, VarianceReducedMemory

# The sum of squared differences from the table tells a step too long: a run oscillates where it is
# 4 times the least so far, and diverges where it is 1e6 times that.
OSCILLATES = 4.0
DIVERGES = 1e6
# Below this share of the sum of squared derivatives it is negligible: where few rows have another
# curvature it grows for a while (7 epochs, to 1000 times, on 54 standardised columns, where half
# the step costs 15 epochs more), and where the curvature jumps a row that begins to bend brings
# more than all others changed: of 54 Huber losses 64 epochs ended up to 35 % lower with the second
# number. Below the last share it is rounding.
NEGLIGIBLE = 1e-6
NEGLIGIBLE_WHERE_IT_JUMPS = 1e-2
ROUNDING = 1e-26
# What mean gradients differ by for rounding alone, as a share of what they are means of.
ROUNDED_MEAN = 1e-13
# A point that an epoch moves by no more than this share of it counts as not moved.
MIN_MOVE = 1e-9


@dataclass
@shaped(table="n", safe_point="u")
class SagaMemory(VarianceReducedMemory):
    """What SAGA remembers.

    Attributes
    ----------
    table : ndarray, (n,), or None
        Last derivative of each row; None before the first iteration.
    safe_point : ndarray or None
        Where a diverging run goes back to.
    least_change : float
        Least sum of squared differences from the table so far.
    rose : bool
        Whether F rose between the last two checks at epochs that are powers of two.
    last_value : float
        F at the last of these checks.
    """

    table: np.ndarray | None = None
    safe_point: np.ndarray | None = None
    least_change: float = np.inf
    rose: bool = False
    last_value: float = np.inf


class Saga(VarianceReduced):
    """`solver="saga"`: see the docstrings of this module and of `base.py`.

    An iteration is one epoch: each row that counts once, in another order every time, a long row
    more often. With `batch` rows per update the rate is `step` / K(b), K of
    `expected_smoothness.saga_curvature`; proved is 1 / (4 K). Epochs to 1e-6 with a `step` of 1/2,
    3/4, 1 and 5/4: 11, 14, 21, > 30 on 123 binary columns; > 30, > 30, 27, 25 on 500 binary ones;
    25, 16, 16, 24 on 54 columns, the measured ones among them in units of their own. The step is
    halved when the differences from the table, which shrink in a run that converges, grow.
    """

    name = "saga"
    traits = replace(VarianceReduced.traits, free_answers=False)
    Memory = SagaMemory
    step = 0.75

    def resume(self, state):
        """Measure the data; keep the table if its mean gradient is that of these rows."""
        F, memory = self.objective, state.memory
        table = memory.table
        if table is None or not (table.size == F.n_samples and self._belongs(memory)):
            self._empty_table(memory)
            memory.tuning, memory.last_value = None, np.inf
            memory.safe_point = state.point.copy()
        self.prepare(state)

    def advance(self, state):
        """Run one epoch over all rows."""
        memory = state.memory
        if memory.rose:
            memory.rose = False
            self.shorten(state)
        if state.iteration & (state.iteration - 1) == 0:
            memory.safe_point = state.point.copy()
        before = state.point
        point, change = self.visit(state, memory.table, np.zeros(0), 0.0)
        state.point = point
        state.iteration += 1
        self._judge(state, change)
        # Derivatives that stay as they are, of a loss that is a line far from the targets, may
        # still move the point.
        with np.errstate(all="ignore"):
            moved = np.abs(point - before).max() > MIN_MOVE * np.abs(point).max()
        state.done = state.done and not moved
        if (
            self.objective.parent is not None
        ):  # a sample, on which a batch that grows wants to know F
            state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def _judge(self, state, change):
        """Shorter steps where the differences grow."""
        memory, table = state.memory, state.memory.table
        with np.errstate(all="ignore"):
            size = float(table @ table)
        state.done = change <= ROUNDING * size
        jumps = self.objective.loss.self_concordance is None
        negligible = (NEGLIGIBLE_WHERE_IT_JUMPS if jumps else NEGLIGIBLE) * size
        too_long = max(DIVERGES * memory.least_change, jumps * negligible)
        if not np.isfinite(change) or change > too_long:
            self.retreat(state, memory.safe_point)
        elif change > max(OSCILLATES * memory.least_change, negligible):
            memory.least_change = np.inf
            self.shorten(state)
        else:
            memory.least_change = min(memory.least_change, change)

    def evaluate(self, state):
        """As all solvers do; where F rose between checks, the next epoch takes shorter steps."""
        found, memory = super().evaluate(state), state.memory
        if state.iteration & (state.iteration - 1) == 0:  # others depend on where a run was cut
            value = found.smooth_value + self.objective.rest_value(found.point)
            memory.rose = value > memory.last_value * (1.0 + 1e-12)
            memory.last_value = value
        return found

    def retreat(self, state, safe_point):
        """Halve the step and go on from a good point with an empty table."""
        self._empty_table(state.memory)
        state.memory.rose = False
        state.point = safe_point.copy()
        return self.shorten(state)

    def _empty_table(self, memory):
        """Begin with a table of zeros, whose mean gradient is 0."""
        memory.table, memory.columns = np.zeros(self.objective.n_samples), None
        memory.intercept_mean, memory.least_change = 0.0, np.inf
        self._written = None

    def _belongs(self, memory):
        """Whether the mean gradient that was kept is that of the table, over these rows.

        At an optimum without a penalty both are rounding, 1e-16 of what they are sums of.
        """
        if not memory.table.any():
            return True
        mean = LinearMap(self.objective).rmatvec(memory.table) / self.objective.n_active
        kept = memory.columns[kernels.MEAN]
        if kept.size != mean.size:
            return False
        apart = np.abs(kept - mean)
        if apart.max() <= 1e-8 * np.abs(mean).max():
            return True
        sizes = float(np.abs(memory.table).mean()) * self.objective.largest()
        return bool((apart <= ROUNDED_MEAN * sizes).all())

    def best_batch(self, n, whole, longest, convexity):
        return formulas.saga_batch(n, whole, convexity)

    def seen_curvature(self, batch, n, whole, longest, convexity):
        return formulas.saga_curvature(batch, n, whole, longest, convexity)
