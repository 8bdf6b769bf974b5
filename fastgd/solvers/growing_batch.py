"""A batch that grows: a few rows at first, all of them at the end.

A stage works on one sample of the rows, nested in the next: most of the way is gone on few rows,
and the passes over all rows only have to bring what the sample could not know (Daneshmand, Lucchi
and Hofmann, 2016; Mokhtari, Daneshmand, Lucchi, Hofmann and Ribeiro, 2016).  A stage of m rows ends
when what is left to gain is 0.05 d / m of F, a tenth of what m rows can tell; it uses alpha_m =
max(alpha, 1 / m).
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgd.losses.base import has_mean
from fastgd.objective.blocks import GROUP
from fastgd.objective.subset import on_groups, on_sample
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Answer, Progress, Solver, State

# A stage ends at this many times d / m, relative to F, at this share of it where columns are many,
# and after so many iterations at the latest.  With 0.25 for 0.05 standardised columns of which many
# are rare took 8.5 to 14.7 passes to 1e-6 instead of 8.3 to 9.2: rare columns show late.
STRICT = 0.05
MAX_LEFT = 0.05
MAX_ITERATIONS = 8

# The first sample of a growing batch holds so many rows for each column, at least so many in all;
# each next one is so many times as large. With 20 rows for each column instead of 5 one-hot columns
# took 1.3 times as long.
ROWS_PER_COLUMN = 5
MIN_ROWS = 1000
GROWTH = 4
# Where curvature jumps, a step by the matrix of a sample that is on other pieces is cut short: more
# rows in the first sample, and fewer samples.  What Newton's method takes over the least of seven
# such choices and of all rows at once, geometric mean and greatest, on the even seeds that the
# numbers are from and on odd ones: 1.13 and 1.7, 1.09 and 1.6; by the numbers above 1.33 and 2.7,
# 1.21 and 1.9; all rows at once 1.31 and 2.8, 1.34 and 3.5 (98 fits to 1e-2 and 1e-5, four losses,
# 3 to 1,500 columns).  10 rows for each column are as good; samples 16 times as large are 1.12 and
# 1.20.  A gamma loss, whose curvature changes slowly, takes three times as long by these.
ROWS_PER_COLUMN_OF_JUMPS = 20
GROWTH_OF_JUMPS = 8
# Of fewer numbers a sample saves nothing. All rows and a growing batch, Newton's method, passes'
# worth of time: 22 and 11 on 5,695 x 20, 29 and 17 on 10,778 x 30, 39 and 39 on 20,196 x 25, 28 and
# 37 on 4,003 x 40; seconds 0.020 and 0.014, 0.019 and 0.018, 0.051 and 0.057, 0.039 and 0.041.
SMALL = 100_000
# A row of less than this part of the mean weight does not count as one.
SLIGHT = 0.01


@dataclass
@shaped(inner="any")
class GrowingMemory:
    """What a growing batch remembers.

    Attributes
    ----------
    stage : int
        Which of the samples it is at; the last one holds all rows.
    inner : State or None
        State of the solver on that sample; None before the first stage.
    """

    stage: int = 0
    inner: State | None = None


@shaped(objective="any", inner="any")
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

    Memory = GrowingMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses what has no curvature on a sample: losses that are not smooth, and L1 parts where
        X is in memory, for which a working set of columns does what a sample would.
        """
        F = objective
        if F.loss_smooth and (F.l1 == 0.0 or not F.rows.in_memory):
            return None
        return "grows its batch for smooth losses and penalties only; use batch_size='full'"

    def __init__(self, objective, make_inner, seed, first=None):
        super().__init__(objective)
        self.make_inner, self.seed = make_inner, seed
        objective.moments()
        self.inner = make_inner(objective)
        self.traits = replace(self.traits, free_answers=self.inner.traits.free_answers)
        self._order = self._part = None
        first = first_sample(objective) if first is None else first
        self.sizes = [objective.n_samples]
        kept, growth = at_hand(objective), growth_of(objective)
        if kept < objective.n_samples and kept >= first:
            self.sizes.insert(0, min(kept, objective.n_samples // growth))
        while self.sizes[0] >= growth * first and self.sizes[0] <= growth * kept:
            self.sizes.insert(0, self.sizes[0] // growth)

    @property
    def memory_tag(self):
        """That of the solver of all rows, on samples first."""
        return f"{type(self).__name__} {self.inner.memory_tag}"

    def resume(self, state):
        """Go on with the stage that the run is at, else with the first."""
        memory = state.memory
        if memory.inner is None:
            memory.stage = 0
            self._begin_stage(state)
        else:
            memory.inner.point = state.point
            self._solver(state).resume(memory.inner)
            self._show(state)

    def progress(self, state):
        """What the solver knows once all rows are in."""
        if not self._has_seen_all_rows(state):
            return Progress(on_all_rows=False)
        return self.inner.progress(state.memory.inner)

    def answer(self, state):
        """What the solver answers once all rows are in, before that the point."""
        if not self._has_seen_all_rows(state):
            return state.point
        return self.inner.answer(state.memory.inner)

    def evaluate(self, state):
        """The answer, evaluated; before all rows are in, for one pass."""
        if self._has_seen_all_rows(state):
            return self.inner.evaluate(state.memory.inner)
        return Answer(state.point, *self.objective.smooth_and_gradient(state.point))

    def retreat(self, state, safe_point):
        """What the solver does about a step that exploded; one on a sample is answered by all
        rows, from the safe point.
        """
        memory = state.memory
        if not self._on_all_rows(state):
            memory.stage = len(self.sizes) - 1
            state.point = np.array(safe_point, dtype=np.float64)
            self._begin_stage(state)
            return True
        able = self.inner.retreat(memory.inner, safe_point)
        self._show(state)
        return able

    def workspace(self, state):
        """That of the solver of the stage, and what its objective knows."""
        solver = self._solver(state)
        measured = solver.objective.snapshot()
        return {"objective": measured, "inner": solver.workspace(state.memory.inner)}

    def _restore(self, state, workspace):
        """Find the sample of the stage once more."""
        solver = self._solver(state)
        solver.objective.restore(workspace["objective"])
        solver.restore(state.memory.inner, workspace["inner"])

    def advance(self, state):
        """One iteration of the solver on the sample, or on all rows."""
        solver, inner = self._solver(state), state.memory.inner
        on_all_rows = self._on_all_rows(state)
        before = inner.updates
        solver.advance(inner)
        state.iteration += 1
        state.updates += inner.updates - before if on_all_rows else 1
        self._show(state)
        if on_all_rows:
            return
        state.value = inner.value + solver.objective.rest_value(inner.point)
        ended = inner.done or inner.iteration >= MAX_ITERATIONS or self._enough(solver, inner)
        if ended:
            del solver
            self._next_stage(state)

    def _on_all_rows(self, state):
        """Whether all rows are in, so that value and gradient are those of the objective."""
        return state.memory.stage == len(self.sizes) - 1

    def _has_seen_all_rows(self, state):
        """Whether the solver of all rows has looked at them: an interrupt may come before."""
        return self._on_all_rows(state) and state.memory.inner is not None

    def _enough(self, solver, inner):
        """Whether what is left of the sample's objective is less than what the sample can tell."""
        part = solver.objective
        n_rows = part.share * part.n_samples
        told = min(STRICT * part.size / n_rows, MAX_LEFT)
        total = inner.value + part.rest_value(inner.point)
        return solver.progress(inner).gap_estimate <= told * abs(total)

    def _next_stage(self, state):
        memory = state.memory
        learnt = memory.inner.memory
        memory.inner = self._part = None  # before the next one makes room for what it keeps
        memory.stage += 1
        self._begin_stage(state, learnt)

    def _begin_stage(self, state, learnt=None):
        """Begin a stage where the run is, with what the one before has learnt."""
        memory, solver = state.memory, self._solver(state)
        own = solver.Memory() if learnt is None else solver.hand_over(learnt)
        del learnt
        inner = State(state.point, self.sizes[memory.stage], rate=state.rate, memory=own)
        if self._on_all_rows(state):  # goes on counting
            inner.iteration, inner.updates = state.iteration, state.updates
        solver.resume(inner)
        memory.inner = inner
        self._show(state)

    def _show(self, state):
        """Let the state tell of the stage's."""
        inner, on_all_rows = state.memory.inner, self._on_all_rows(state)
        state.point, state.rate, state.done = inner.point, inner.rate, on_all_rows and inner.done
        if on_all_rows:
            state.value, state.gradient = inner.value, inner.gradient
        state.batch = inner.batch if on_all_rows else self.sizes[state.memory.stage]

    def _solver(self, state):
        """The solver of the stage that the run is at."""
        return self.inner if self._on_all_rows(state) else self._stage_solver(state.memory.stage)

    def _stage_solver(self, stage):
        if self._part is None or self._part[0] != stage:
            self._part = stage, self.make_inner(self._objective_of(self.sizes[stage]))
        return self._part[1]

    def _objective_of(self, n_rows):
        """The objective on so many of the rows: of a source, on rows that were kept."""
        F = self.objective
        alpha = max(F.alpha, 1.0 / n_rows)
        if not F.rows.in_memory:
            return on_sample(F, n_rows, alpha)
        if self._order is None:
            self._order = np.random.default_rng(self.seed).permutation(-(-F.n_samples // GROUP))
        return on_groups(F, np.sort(self._order[: -(-n_rows // GROUP)]), alpha)


def of_all_rows(state):
    """The state of the solver of all rows, where samples came first too."""
    return state.memory.inner if isinstance(state.memory, GrowingMemory) else state


def at_hand(objective):
    """Rows that samples can be taken from: all of them, or those that were kept of a source."""
    rows = objective.rows
    return objective.n_samples if rows.in_memory else rows.sampled.size


def drawn_from(objective):
    """Number of rows that samples are drawn from: of a source those that have a weight."""
    return objective.n_samples if objective.rows.in_memory else objective.n_active


def first_sample(objective):
    """Rows of the first sample of a growing batch.

    A row tells one class from the others, for each of which a column has a coefficient: of K
    classes it takes K - 1 times as many.  Newton's method from samples, drawn as for two classes,
    over that on all rows, seconds on 15 generated problems of 3 to 100 classes: 1.27 where rows
    are fewer than 20 for each of these coefficients, 0.86 where they are more; on 36 others seconds
    are 0.76 and 0.86 of what they were.
    """
    F = objective
    coefficients = F.n_features * (F.n_predictions - 1 if one_of_several(F) else 1)
    rows = ROWS_PER_COLUMN_OF_JUMPS if _jumps(F) else ROWS_PER_COLUMN
    return int(max(rows * coefficients, MIN_ROWS) / telling_share(F))


def growth_of(objective):
    """How many times as many rows the next sample has."""
    return GROWTH_OF_JUMPS if _jumps(objective) else GROWTH


def _jumps(objective):
    """Whether the curvature of a loss of one prediction jumps, or nothing is known of it."""
    return not objective.vector and objective.loss.self_concordance is None


def one_of_several(objective):
    """Whether a row's target is one of several classes."""
    return objective.vector and objective.loss.classification


def telling_share(objective):
    """Share of the rows that are worth as much as all of them: few may have a weight, and of counts
    and amounts few are above 0, or large.

    Of these it is (sum a)^2 / (n sum a^2) of a = weight * target.  Samples that did not look at it
    took Tweedie's deviance of insurance claims, 156 of 678,000 rows by this count, from 12.5 passes
    to 26.5.

    Examples
    --------
    >>> from fastgd import Objective
    >>> telling_share(Objective("poisson", [[1.0]] * 4, [0.0, 2.0, 0.0, 0.0]))
    0.25
    >>> weights = [2.0, 1.0, 0.0, 0.0]
    >>> telling_share(Objective("squared_error", [[1.0]] * 4, [1.0] * 4, sample_weight=weights))
    0.5
    """
    F, samples = objective, objective.samples
    n_drawn = drawn_from(F)
    share = counting(samples.weights) / n_drawn if samples.weights.size > 1 else 1.0
    if F.vector or not has_mean(F.loss) or F.loss.target_domain.low != 0.0:
        return share
    amounts = samples.targets * samples.weights
    squares = n_drawn * float(amounts @ amounts)
    return min(float(amounts.sum()) ** 2 / squares, share) if squares > 0.0 else share


def counting(weights):
    """How many rows have a weight that counts: all others together have less than `SLIGHT` of the
    sum of the weights.

    Not (sum w)^2 / sum w^2: that is 0.04 of the rows where class weights balance a class of 1 % and
    one of 99 %, which are worth looking at all the same.

    Examples
    --------
    >>> counting(np.array([50.0, 0.5, 0.5, 1e-300, 0.0])), counting(np.array([50.0, 0.05, 0.0]))
    (3, 1)
    """
    return int(np.count_nonzero(weights >= SLIGHT * weights.mean()))


def growth_pays(objective):
    """Whether a sample of the rows can bring a solver close: there are several times more than it
    needs.

    A loss of constant curvature needs one matrix, of all rows.
    """
    F = objective
    small = F.n_samples * F.n_features < SMALL
    constant = not F.vector and F.loss.self_concordance == 0.0
    first = first_sample(F)
    enough = drawn_from(F) >= growth_of(F) * first and at_hand(F) >= first
    return not constant and not small and enough
