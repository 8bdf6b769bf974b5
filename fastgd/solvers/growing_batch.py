"""A batch that grows: a few rows at first, all of them at the end.

A stage works on one sample of the rows, nested in the next: most of the way is gone on few rows,
and the passes over all rows only have to bring what the sample could not know (Daneshmand, Lucchi
and Hofmann, 2016; Mokhtari, Daneshmand, Lucchi, Hofmann and Ribeiro, 2016).  A stage of m rows ends
when what is left to gain is 0.1 d / m of F, a fifth of what m rows can tell; it uses alpha_m =
max(alpha, 1 / m).
"""

import numpy as np

from fastgd.objective.blocks import GROUP
from fastgd.objective.subset import on_groups
from fastgd.solvers.base import Solver, State

# A stage ends at this many times d / m, relative to F, and after so many iterations at the latest.
# With
# 0.5 for 0.1 standardised `covtype_binary` took 8.5 to 14.7 passes to 1e-6 instead of 8.3 to 9.2:
# rare columns show late.
STRICT = 0.1
MOST_ITERATIONS = 8

# The first sample of a growing batch holds so many rows for each column, at least so many in all;
# each next one is four times as large. With 20 rows for each column instead of 5 census took 1.3
# times as long.
ROWS_PER_COLUMN = 5
LEAST_ROWS = 1000
GROWTH = 4


class Growing(Solver):
    """`batch_size="growing"`: a solver of all rows, run on samples first.

    Parameters
    ----------
    objective : Objective
    make_inner : callable
        Solver for an objective.
    seed : int
        Of the permutation that the samples are taken from.
    first : int, optional
        Rows of the first sample; None: `first_sample`.
    """

    def __init__(self, objective, make_inner, seed, first=None):
        super().__init__(objective)
        self.make_inner, self.seed = make_inner, seed
        objective.moments()
        self.inner = make_inner(objective)
        self.exact, self.keeps_curvature = self.inner.exact, self.inner.keeps_curvature
        self._order = self._part = None
        n = objective.n_samples
        first = first_sample(objective) if first is None else first
        self.sizes = [n]
        while self.sizes[0] >= GROWTH * first:
            self.sizes.insert(0, self.sizes[0] // GROWTH)

    @property
    def kind(self):
        """That of the solver of all rows, on samples first."""
        return f"{type(self).__name__} {self.inner.kind}"

    def settled(self, state):
        """Whether all rows are in, so that value and gradient are those of the objective."""
        return state.memory["stage"] == len(self.sizes) - 1

    def resume(self, state):
        """Evaluate the point, on all rows or on the sample that the run is at."""
        state.memory.setdefault("stage", 0)
        stage = state.memory["stage"]
        if self.settled(state):
            self.inner.resume(state)
        else:
            self._stage_solver(stage).resume(self._inner_state(state))

    def answer(self, state):
        """What the solver answers once all rows are in, before that the point."""
        return self.inner.answer(state) if self.settled(state) else state.point

    def evaluate(self, state):
        """(v, smooth part of F, its gradient); before all rows are in, for one pass."""
        if self.settled(state):
            return self.inner.evaluate(state)
        return state.point, *self.objective.smooth_and_gradient(state.point)

    def doubt(self, state):
        """That of the solver once all rows are in."""
        return self.inner.doubt(state) if self.settled(state) else None

    def known_curvature(self, state):
        """What the solver knows once all rows are in."""
        return self.inner.known_curvature(state) if self.settled(state) else None

    def lower_bound(self, state):
        """What the solver has proved once all rows are in."""
        return self.inner.lower_bound(state) if self.settled(state) else -np.inf

    def finished(self, state):
        """Whether the solver has nothing left to do on all rows."""
        return self.settled(state) and self.inner.finished(state)

    def review(self, state, objective, null_point, reference):
        """What the solver does about a checked objective."""
        self.inner.review(state, objective, null_point, reference)

    def back_off(self, state, safe_point):
        """What the solver does about a step that exploded; samples are given up on."""
        state.memory["stage"] = len(self.sizes) - 1
        return self.inner.back_off(state, safe_point)

    def advance(self, state):
        """One iteration of the solver on the sample, or on all rows."""
        if self.settled(state):
            self.inner.advance(state)
            return
        solver, inner = self._stage_solver(state.memory["stage"]), self._inner_state(state)
        solver.advance(inner)
        state.point, state.rate, state.batch = (
            inner.point,
            inner.rate,
            self.sizes[state.memory["stage"]],
        )
        state.value = inner.value + solver.objective.rest_value(inner.point)
        state.iteration, state.updates = state.iteration + 1, state.updates + 1
        ended = (
            solver.finished(inner)
            or inner.iteration >= MOST_ITERATIONS
            or self._enough(solver, inner)
        )
        del solver, inner
        if ended:
            self._next_stage(state)

    def _enough(self, solver, inner):
        """Whether what is left of the sample's objective is less than what the sample can tell."""
        part = solver.objective
        n_rows = part.share * part.n_samples
        left = min(STRICT * part.size / n_rows, 0.1) * (inner.value + part.rest_value(inner.point))
        return inner.memory.get("decrement", np.inf) <= left

    def _next_stage(self, state):
        memory = state.memory
        handed = self._stage_solver(memory["stage"]).hand_over(memory.pop("inner").memory)
        self._part = None  # before the next one makes room for what it keeps of each row
        memory["stage"] += 1
        if self.settled(state):
            state.value, memory["handed"] = None, handed
            self.inner.resume(state)
            state.batch = self.objective.n_active
        else:
            inner = self._inner_state(state)
            inner.memory["handed"] = handed
            self._stage_solver(memory["stage"]).resume(inner)

    def _inner_state(self, state):
        if "inner" not in state.memory:
            state.memory["inner"] = State(state.point.copy(), self.sizes[state.memory["stage"]])
        return state.memory["inner"]

    def _stage_solver(self, stage):
        if self._part is None or self._part[0] != stage:
            F, n_rows = self.objective, self.sizes[stage]
            if self._order is None:
                self._order = np.random.default_rng(self.seed).permutation(-(-F.n_samples // GROUP))
            chosen = np.sort(self._order[: -(-n_rows // GROUP)])
            self._part = stage, self.make_inner(on_groups(F, chosen, max(F.alpha, 1.0 / n_rows)))
        return self._part[1]


def first_sample(objective):
    """Rows of the first sample of a growing batch."""
    return max(ROWS_PER_COLUMN * objective.n_features, LEAST_ROWS)


def growth_pays(objective):
    """Whether a sample of the rows can bring a solver close: there are several times more than it
    needs.

    A loss of constant curvature needs one matrix, of all rows.
    """
    F = objective
    small = F.n_samples * F.n_features < 1_000_000
    constant = not F.vector and F.loss.self_concordance == 0.0
    return not constant and not small and F.n_samples >= GROWTH * first_sample(F)
