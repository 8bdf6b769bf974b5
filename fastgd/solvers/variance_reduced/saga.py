"""SAGA: variance-reduced descent with a table of the last derivative of each row.

Defazio, Bach and Lacoste-Julien (2014), "SAGA: a fast incremental gradient method with support for
non-strongly convex composite objectives", on the rows' support (Pedregosa, Leblond and
Lacoste-Julien, 2017, "Breaking the nonsmooth barrier"). Errors fall by a constant factor per epoch,
at the cost of one number for each row. The table starts at 0, whose mean gradient is 0: the first
epoch is plain stochastic descent, and no pass is made to fill it.
"""

import numpy as np

from fastgd.objective.linear_map import LinearMap
from fastgd.solvers.variance_reduced import expected_smoothness as formulas
from fastgd.solvers.variance_reduced import kernels as kernels
from fastgd.solvers.variance_reduced.base import VarianceReduced

# Sums of squared differences that are this many times the least so far are those of a step too
# long; unless they are small beside the squared derivatives: where few rows bend another way they
# grow for a while (7 epochs, to 1000 times, on standardised `covtype_binary`, where half the step
# costs 15 epochs more), and where the curvature jumps a row that begins to bend brings more than
# all others changed: of 54 Huber losses 64 epochs ended up to 35 % lower with the second number.
# Smallest of all is rounding.
SWINGS = 4.0
EXPLODES = 1e6
HARMLESS = 1e-6
HARMLESS_WHERE_IT_JUMPS = 1e-2
ROUNDING = 1e-26
# A point that an epoch moves by no more than this share of it stands still.
STILL = 1e-9


class Saga(VarianceReduced):
    """`solver="saga"`: see the modules here and `solvers/variance_reduced.py`.

    An iteration is one epoch: each row that counts once, in another order every time, a long row
    more often. With `batch` rows per update the rate is `step` / K(b), K of
    `expected_smoothness.saga_curvature`; proved is 1 / (4 K). Epochs to 1e-6 with a `step` of 1/2,
    3/4, 1 and 5/4: 11, 14, 21, > 30 on `a9a`; > 30, > 30, 27, 25 on `census`; 25, 16, 16, 24 on raw
    `covtype_binary`. The step is halved when the differences from the table, which shrink in a run
    that settles, grow.
    """

    name = "saga"
    step = 0.75
    free_answers = False

    def _resume(self, state):
        """Measure the data; keep the table if its mean gradient is that of these rows."""
        F, memory = self.objective, state.memory
        table = memory.get("table")
        if table is not None and not (table.size == F.n_samples and self._belongs(memory)):
            self._forget(state)
            for key in ("tuning", "least", "checked"):
                memory.pop(key, None)
        if "table" not in memory:
            memory.update(table=np.zeros(F.n_samples), slope=0.0, safe=state.point.copy())
        memory.setdefault("least", np.inf)
        self.prepare(state)

    def advance(self, state):
        """One epoch."""
        memory = state.memory
        if memory.pop("rose", False):
            self.shorten(state)
        if state.iteration & (state.iteration - 1) == 0:
            memory["safe"] = state.point.copy()
        before = state.point
        point, change = self.visit(state, memory["table"], np.zeros(0), 0.0)
        state.point = point
        state.iteration += 1
        self._judge(state, change)
        # Derivatives that stay as they are, of a loss that is a line far from the targets, may
        # still move the point.
        with np.errstate(all="ignore"):
            moved = np.abs(point - before).max() > STILL * np.abs(point).max()
        state.done = state.done and not moved
        if (
            self.objective.whole is not None
        ):  # a sample, on which a batch that grows wants to know F
            state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def _judge(self, state, change):
        """Shorter steps where the differences grow."""
        memory, table = state.memory, state.memory["table"]
        with np.errstate(all="ignore"):
            size = float(table @ table)
        state.done = change <= ROUNDING * size
        jumps = self.objective.loss.self_concordance is None
        harmless = (HARMLESS_WHERE_IT_JUMPS if jumps else HARMLESS) * size
        if not np.isfinite(change) or change > max(EXPLODES * memory["least"], jumps * harmless):
            self.retreat(state, memory["safe"])
        elif change > max(SWINGS * memory["least"], harmless):
            memory["least"] = np.inf
            self.shorten(state)
        else:
            memory["least"] = min(memory["least"], change)

    def evaluate(self, state):
        """As all solvers do; where F rose between checks, the next epoch takes shorter steps."""
        found, memory = super().evaluate(state), state.memory
        if state.iteration & (state.iteration - 1) == 0:  # others depend on where a run was cut
            value = found.smooth + self.objective.rest_value(found.point)
            memory["rose"] = value > memory.get("checked", np.inf) * (1.0 + 1e-12)
            memory["checked"] = value
        return found

    def retreat(self, state, safe_point):
        """Halve the step and go on from a good point with an empty table."""
        self._forget(state)
        memory = state.memory
        memory.pop("rose", None)
        memory.update(table=np.zeros(self.objective.n_samples), slope=0.0, least=np.inf)
        state.point = safe_point.copy()
        return self.shorten(state)

    def _forget(self, state):
        for key in ("table", "columns"):
            state.memory.pop(key, None)
        self._written = None

    def _belongs(self, memory):
        """Whether the mean gradient that was kept is that of the table, over these rows."""
        if not memory["table"].any():
            return True
        mean = LinearMap(self.objective).rmatvec(memory["table"]) / self.objective.n_active
        kept = memory["columns"][kernels.MEAN]
        largest = float(np.abs(mean).max())
        return kept.size == mean.size and bool(np.abs(kept - mean).max() <= 1e-8 * largest)

    def best_batch(self, n, whole, longest, convexity):
        return formulas.saga_batch(n, whole, convexity)

    def seen_curvature(self, batch, n, whole, longest, convexity):
        return formulas.saga_curvature(batch, n, whole, longest, convexity)
