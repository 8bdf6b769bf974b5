"""Proximal Newton with a working set: `solver="newton"` where the penalty has an L1 part.

An iteration looks at the gradient of all columns and picks the working set: nonzero coefficients,
and the columns whose |gradient| is greatest.  One sweep over the rows gathers these columns; on
them proximal Newton steps (`fastgd.solvers.l1.proximal_newton`) are repeated until they are some
thirty times as close to their optimum, and a sweep over all rows brings the next gradient, which
also is what the duality gap needs.  (Johnson and Guestrin, 2015, "Blitz"; Massias, Gramfort and
Salmon, 2018, "Celer".)

Where the working set would take a tenth of what X takes, as it does for tall data, nothing is
gathered and an iteration is one step on X itself.  Tall data can be sampled, though: the run begins
with the solution on 1/16 of the rows, and the curvature of 1/8 of them stands for that of all as
long as steps with it get on.

Measured, processor seconds on one thread of a busy machine, the best of skglm and LIBLINEAR over a
grid of tolerances that reach the error / ours, which is certified; log loss, l1 at 0.1 and 0.01 of
the greatest alpha.  A text of 1.3 million columns: to 1e-4 1.8 and 2.4, to 1e-6 2.2 and 2.9;
one-hot columns of 300,000 rows: 6.2 and 5.5, 8.3 and 5.5.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgd.certificates import scaled_dual
from fastgd.data.rows import CSRRows, DenseRows
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost, columns_cost, pass_cost
from fastgd.objective.distances import curvature_unit, gap_scale_at, losses_about
from fastgd.objective.measured import measured_once
from fastgd.objective.moments import SAMPLE_ROWS
from fastgd.objective.null_model import null_model
from fastgd.objective.subset import on_rows
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import (
    Forecast,
    Progress,
    Solver,
    Traits,
    no_derivatives,
    several_predictions,
)
from fastgd.solvers.interior_point.path_cost import central_path_applies
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.column_subset import NO_ROWS, WIDEST_MATRIX, ColumnSubset
from fastgd.solvers.l1.proximal_newton import (
    LOOSE,
    ROUNDING,
    Model,
    RowValues,
    StepTaken,
    newton_step,
)

# The dual point of a model leaves 0.7 to 1 times the duality gap after a rough step, 0.05 to 1
# times after another: it is not looked at where that proves nothing, for it takes as long as a
# fifth of an iteration.
PROVED_ROUGHLY = 2.0
PROVED = 50.0
# A working set holds at least so many columns, or twice the nonzero ones, with |gradient| above
# this share of l1.
MIN_COLUMNS = 200
GROWTH = 2.0
NEAR = 0.5
# Steps on columns themselves are rough until one of them has brought F down by less than
# ROUGH_TIMES_TOL times tol, within these ends.  Rough ones move up to FAR_GROWTH times as many
# columns as are nonzero, by coordinate descent that ends early.  The others solve the model, over
# columns with |gradient| above NEARLY l1 too, until no derivative changes by more than a share of
# l1: what tol allows, or TIGHT times what F fell by, or than AT_ONCE times the violation, for the
# next model is another.  The dual point of such a model is what a proof is made from.  Processor
# seconds to a certified 1e-4 beside LIBLINEAR's to a true one, geometric mean over code, generated
# text and uniform columns at 0.03 to 0.001 of the greatest alpha: ROUGH_TIMES_TOL 3, 10, 30: 0.93,
# 0.89, 0.97; NEARLY 0.5, 0.7, 0.9: 0.96, 0.89, 0.92; rough steps that ended by violations, and
# proofs by the duality gap: 1.11.  To a certified 0.1, FAREST 0.01 and 0.002: 0.64 and 0.61.
ROUGH_TIMES_TOL = 10.0
CLOSEST = 1e-5
FAREST = 2e-3
NEARLY = 0.7
TIGHT = 0.01
AT_ONCE = 0.02
FAR_GROWTH = 10.0
# An iteration ends once the steps on its set have brought its violation down to this share, or
# after so many steps.  (With 0.01 an elastic net on the text took 1.4 times as long to 1e-4.)  A
# curvature matrix whose step left less than a share of `REUSED` serves for another, which is cheap
# enough to go on to a share of `INNER_REUSED`.  So does one of all columns that takes as long as a
# step: 29 problems of 2 to 54 columns took 0.87 of what they did without, to 1e-2, 1e-4 and 1e-6.
INNER = 0.03
MAX_STEPS = 8
REUSED = 0.15
INNER_REUSED = 1e-4
# Where the columns that violate before the first step outgrow the gathered ones, all move in
# it if the curvature along their derivatives is at most so many times what it were if they never
# met in a row: 1.5 to 1.9 where columns are equally frequent and in generated text, 50 to 230 in
# text.  40,000 x 20,000 with 30 numbers a row took two iterations more from a sample and 1,800
# columns.
APART = 4.0
# Gathered columns may hold this share of the values of X, and as many more as there are
# coefficients.
SHARE_OF_X = 0.1
SHARE_OF_COEF = 1.2
GATHER_BLOCKS = 8
# The run begins on 1/16 of the rows if there are enough, and ends there with a violation of 0.1 l1,
# or where more coefficients than CROWDED times these rows are nonzero: then it begins with none
# (code at 0.001 of the greatest alpha had 1,800 for 3,125 rows, and 1.7 F* there); curvature is
# that of 1/8 of the rows where these are 40 times as many as the columns that move, until a step
# brings less than a fifth.
SAMPLE = 16
MIN_SAMPLE = 2000
SAMPLE_ITERATIONS = 12
SAMPLE_TOL = 0.01
CROWDED = 0.1
ROUGH = 0.1
THIN = 8
ROWS_PER_COLUMN = 40
POOR = 0.2
# Coordinate descent on the columns that leaves this share of the violation, where it should leave
# `AT_ONCE`, has met columns that are alike: from then on they have a matrix, if they are no more
# than may have one.  Text of 6,533 x 14,293 with 600 nonzero coefficients stood still at 2e-6 l1
# and was not proved to 1e-8 in 1,000 iterations.
STALLED = 0.5
# A violation that may be rounding of the mean derivative is none, if it is below this share of l1:
# where no column enters the model steps on it took half of the run, 4 passes of 8.
NEGLIGIBLE_VIOLATION = 1e-6
# Damping, in units of the loss's curvature: none for losses whose curvature is known to change
# slowly, until a step is cut; others may have none at all where they are linear.
FIRST_DAMPING = 1e-2
RAISED_DAMPING = 1e-3
MIN_DAMPING = 1e-10
MAX_IDLE = 3
TYPICAL_PASSES = Cost(
    30.0,
    "passes",
    "To 1e-4, where nothing is known beforehand: 10 to 60 on small problems.",
)
# Where rows are fewer than columns and dual ascent is open it is told by how many coefficients
# are likely not to be 0, as a share of the rows: so many iterations at a share of 0 and more at 1,
# of so many passes beside the matrix of these columns.  Told and taken to 1e-4: shares of 0 and
# 0.41, 8 and 2, 9 and 7, 44 and 6; shares of 1, 98 and over 324, 656 and over 2,824, which dual
# ascent proved in 15 and 179.
ITERATIONS = Cost(3.0, "iterations", "To 1e-4, at a share of 0.")
MORE_WHERE_CROWDED = Cost(25.0, "iterations", "More at a share of 1.")
AN_ITERATION = Cost(2.5, "passes", "An iteration beside the matrix of these columns.")


@dataclass
@shaped(
    working_set="int64 * in 0:d",
    kept_columns="int64 * in 0:width",
    matrix=("int64 m in 0:d", "m+1 m+1"),
)
class WorkingSetMemory:
    """What the working-set solver remembers.

    Attributes
    ----------
    working_set : ndarray or None
        Columns of the last iteration; None for X itself.
    kept_columns : ndarray or None
        Columns of the working set whose curvature is computed once, for a loss of constant
        curvature.
    damping : float or None
        Added to the curvature of each row, in units of the loss's; None before the first step.
    sampled_curvature : bool
        Whether curvature may be that of a sample of the rows: until a step with it brings little.
    correlated : bool
        Whether coordinate descent has failed to find a minimum: columns that are alike take each
        other's place.
    stalled : bool
        Whether it has hardly come closer on the columns themselves, so that they have a matrix.
    n_sweeps : int
        Steps by coordinate descent on the columns themselves: each has an order of its own.
    fall : float
        What F fell by in the last step, as a share of what it has above the infimum of its loss.
    matrix : (ndarray, ndarray) or None
        Columns and their curvature matrix, of an earlier point, where the last step by it left so
        little that it serves for another.
    least_violation : float
        Of all iterations, before their steps.
    idle : int
        Iterations in a row in which neither F nor the violation fell.
    """

    working_set: np.ndarray | None = None
    kept_columns: np.ndarray | None = None
    damping: float | None = None
    sampled_curvature: bool = True
    correlated: bool = False
    stalled: bool = False
    n_sweeps: int = 0
    fall: float = np.inf
    matrix: tuple[np.ndarray, np.ndarray] | None = None
    least_violation: float = np.inf
    idle: int = 0


class LastStep(NamedTuple):
    """A step, where it began (products of X and the intercept, `before`, and `coef`), and whether
    its model was minimised roughly.
    """

    step: StepTaken
    before: tuple
    coef: np.ndarray
    rough: bool


class StepsTaken(NamedTuple):
    """What Newton steps on some columns led to.

    Attributes
    ----------
    coef, gradient : ndarray, (n_columns,)
    rows : RowValues
    n_steps : int
    first_violation : float
        Before them.
    last : LastStep or None
        Where its model was one that a dual point can be made of.
    """

    coef: np.ndarray
    gradient: np.ndarray
    rows: RowValues
    n_steps: int
    first_violation: float
    last: LastStep | None


@shaped(point="u", known=("int64 c in 0:width", "c+1 c+1"), of_all=("int64 e in 0:d", "e+1 e+1"))
class WorkingSet(Solver):
    """Proximal Newton with a working set, for smooth convex losses of one prediction and l1 > 0.

    Parameters
    ----------
    objective : Objective
    seed : int
        Of the rows that are sampled.
    sampling : bool
        Whether rows are sampled where there are many.
    tol : float
        Relative suboptimality that the run is for; 0: no proof is tried.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> solver = WorkingSet(Objective("squared_error", X, y, penalty="l1", alpha=0.25))
    >>> state = solver.start(solver.objective.start())
    >>> solver.advance(state)
    >>> [round(float(v), 3) for v in state.point]
    [0.8, 0.0, 0.3]
    """

    name = "newton"
    traits = Traits(second_order=True, judged_by="falls", memory_needs_same_objective=True)
    made_with = "seed", "tol"
    Memory = WorkingSetMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses all but smooth losses of one prediction with an L1 part."""
        l1 = None if objective.l1 > 0.0 else "on a working set is for penalties with an L1 part"
        return several_predictions(objective) or no_derivatives(objective) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """About ten iterations of three passes; where dual ascent may be ahead, by what is likely
        not to be 0.
        """
        F = objective
        reason = (
            "with an L1 part most coefficients are 0: Newton's method on the columns that are not"
        )
        passes = passes_of_set(F) if is_crowded(F) else TYPICAL_PASSES
        return Forecast(passes, reason, last=not F.convex)

    @classmethod
    def overhead_passes(cls, objective):
        """The matrix of the set, where it is told by that."""
        return matrix_of_set(objective) if is_crowded(objective) else 0.0

    def __init__(self, objective, seed=0, sampling=True, tol=0.0):
        super().__init__(objective)
        self.tol, self._lower = tol, -np.inf
        self.overhead_so_far = 0.0
        self.seed, self.sampling = seed, sampling and objective.n_samples // SAMPLE >= MIN_SAMPLE
        self._all = ColumnSubset(objective, objective.rows)
        # What follows from X and the state, kept so as not to be computed again.
        self._rows: Any = None
        self._point: Any = None
        self._columns: Any = None
        self._apart: bool | None = None

    def resume(self, state):
        """Evaluate the point, unless the first iteration moves away without a look at all rows."""
        self._columns, self._apart, self._lower = None, None, -np.inf
        at_zero = not state.point[: self.objective.n_features].any()
        if not (state.iteration == 0 and self.sampling and at_zero):
            super().resume(state)

    def workspace(self, state):
        """What the rows are at the point, and curvatures of columns."""
        subsets = [self._columns or self._all, self._all]
        # Of other losses it is forgotten before the next step.
        constant = self.objective.loss.self_concordance == 0.0
        known, of_all = (one.known if constant else None for one in subsets)
        return {
            "rows": self._rows,
            "point": self._point,
            "known": known,
            "of_all": of_all,
            "lower": self._lower,
            "overhead_so_far": self.overhead_so_far,
        }

    def lengths(self, state):
        """The columns at hand, too."""
        working_set = state.memory.working_set
        width = self.objective.n_features if working_set is None else np.size(working_set)
        return {**super().lengths(state), "width": width}

    def _restore(self, state, workspace):
        """Gather the columns at hand once more."""
        self._rows, self._point = workspace["rows"], workspace["point"]
        self._lower = workspace["lower"]
        self.overhead_so_far = workspace["overhead_so_far"]
        working_set = state.memory.working_set
        self._columns = self._all if working_set is None else self._gathered(working_set)[0]
        self._columns.known, self._all.known = workspace["known"], workspace["of_all"]

    def advance(self, state):
        """Steps on the working set, then the gradient of all columns: a pass and a half, and what
        the set takes.
        """
        F = self.objective
        memory = state.memory
        d = F.n_features
        if state.iteration == 0 and state.value is None:
            self._start(state)
        elif self._point is not state.point:
            self._evaluate_point(state)
        before = state.point
        columns = self._working_set(state)
        part = slice(0, d) if columns.is_all else columns.index
        taken = self._steps(columns, before[part], state.gradient[part], state)
        state.updates += taken.n_steps
        total, penalty = state.value, F.term.rest_value(before[part])
        if taken.rows is not self._rows:
            point = np.zeros(F.size)
            point[part] = taken.coef
            point[d:] = taken.rows.intercept
            self._settle(state, point, taken.rows, taken.gradient if columns.is_all else None)
        now = F.term.rest_value(taken.coef)
        fall = total - state.value + penalty - now
        fell = fall > ROUNDING * EPS * (abs(total) + penalty)
        if taken.n_steps:
            uncut = taken.last is None or taken.last.step.share == 1.0
            memory.fall = self._share_of(fall, state.value + now) if uncut else np.inf
            if taken.last is not None:
                self._try_proof(state, columns, taken.last)
        closer = taken.first_violation < 0.5 * memory.least_violation
        memory.least_violation = min(taken.first_violation, memory.least_violation)
        memory.idle = 0 if fell or closer else memory.idle + 1
        if memory.idle >= MAX_IDLE:
            state.done = True
        state.iteration += 1

    def _share_of(self, fall, value):
        """`fall` as a share of what F is above the infimum of its loss, where that is known."""
        infimum = self.objective.loss.infimum
        above = value - infimum if infimum > -np.inf else abs(value)
        return fall / above if above > 0.0 else np.inf

    def _try_proof(self, state, columns, last):
        """The dual point of the last step's model, where that may prove tol and the duality gap
        does not; half a pass.

        Not after a step on some of the rows.
        """
        F = self.objective
        d = F.n_features
        fallen = state.memory.fall
        step = last.step
        if step.share < 1.0 or not fallen <= np.sqrt(self.tol):
            return
        if not scaled_dual.applies(F):
            return
        value, above = state.value + F.rest_value(state.point), state.value - F.loss.infimum
        target = self.tol * gap_scale_at(F, value)
        gap = F.term.gap(state.point[:d], state.gradient[:d], above)
        if not 0.5 * target < gap <= (PROVED_ROUGHLY if last.rough else PROVED) * target:
            return
        after = step.rows.products, step.rows.intercept
        index = slice(None) if columns.is_all else columns.index
        found = scaled_dual.lower_bound(F, last.before, after, last.coef, step.coef, index)
        self._lower = max(self._lower, found)

    def progress(self, state):
        """What the dual points of models have proved."""
        return Progress(lower=self._lower, done=state.done)

    def _evaluate_point(self, state):
        """Products at the point, and all that follows from them: one pass, half a one where all
        coefficients are 0.
        """
        coef, intercept = self.objective.split(state.point)
        coef, self._rows = np.ascontiguousarray(coef), None  # before there are others
        products = self._all.products(coef) if coef.any() else np.zeros(self.objective.n_samples)
        self._settle(state, state.point, RowValues.at(self._all.linear_map, products, intercept))

    def _settle(self, state, point, rows, gradient=None):
        """Make `point` the point of the state; without its gradient, half a pass."""
        F, coef = self.objective, point[: self.objective.n_features]
        if gradient is None:
            gradient = self._all.gradient(rows, coef)
        state.point = point
        state.value = rows.loss + (F.term.smooth_value(coef) if F.l2 > 0.0 else 0.0)
        state.gradient = np.append(gradient, rows.derivative) if F.fit_intercept else gradient
        self._rows, self._point = rows, point

    def _steps(self, columns, u, gradient, state):
        """Newton steps on some columns, from coefficients `u`: `StepsTaken`."""
        F = self.objective
        rows = self._rows
        steps = 0
        kept_columns = None
        memory, last = state.memory, None
        fall = memory.fall
        u, first = u.copy(), _violation(F, u, gradient, rows)
        left = first
        if columns.is_all and memory.matrix is not None:
            columns.known = memory.matrix
            kept_columns = memory.matrix[0]
        # That of an intercept at its best.
        size = float(np.abs(rows.derivatives).sum()) / F.n_active
        nothing = min(ROUNDING * EPS * size, NEGLIGIBLE_VIOLATION * F.l1)
        while steps < (1 if columns.is_all else MAX_STEPS) and left > nothing:
            model = self._model(columns, u, gradient, left, fall, memory)
            if model.kept_columns is None and self._may_keep(columns, model):
                if (
                    kept_columns is None
                    or not np.isin(model.chosen, kept_columns, assume_unique=True).all()
                ):
                    if left <= INNER * first and not columns.is_all:
                        break
                    columns.forget_curvature()
                    kept_columns = model.chosen
                model = model._replace(kept_columns=kept_columns)
            before, began = (rows.products, rows.intercept), u
            value = rows.loss + F.term.value(u)
            step = newton_step(columns, u, gradient, rows, model)
            self.overhead_so_far += step.time / pass_cost(F)
            u, rows = step.coef, step.rows
            self._learn(memory, step)
            # The central path of F costs little more than this one model's did:
            # `fastgd.fitting.replan` goes on along it.
            state.done = not step.converged and self._rows_are_few(model.chosen.size)
            if step.share == 0.0:
                kept_columns = None
                break
            last = None if model.rng is None else LastStep(step, before, began, model.rough)
            # After a step that was cut, curvatures are others: rough steps do.
            fall = self._share_of(step.fall, value - step.fall) if step.share == 1.0 else np.inf
            steps += 1
            gradient = columns.gradient(rows, u)
            left, left_before = _violation(F, u, gradient, rows), left
            whole = last is not None and not last.rough and step.share == 1.0
            memory.stalled = memory.stalled or (whole and left > STALLED * left_before)
            if (
                model.order.size
                and _violation(F, u[model.chosen], gradient[model.chosen], rows)
                > POOR * left_before
            ):
                memory.sampled_curvature = False
            if left > REUSED * left_before:
                kept_columns = None
            if left <= (INNER if kept_columns is None else INNER_REUSED) * first or state.done:
                break
        if columns.is_all:
            memory.matrix = None if kept_columns is None else columns.known
        return StepsTaken(u, gradient, rows, steps, first, last)

    def _may_keep(self, columns, model):
        """Whether the matrix of a model may serve for another step: of gathered columns within an
        iteration, of all of them where it takes longer than a step.
        """
        if model.rng is not None or model.order.size:
            return False
        if not columns.is_all:
            return model.damping == 0.0
        F = self.objective
        return columns_cost(F, model.chosen.size) >= 1.0

    def _rows_are_few(self, size):
        """Whether steps on the central path of all columns, by way of the rows, cost what they
        do on so many.
        """
        F = self.objective
        return central_path_applies(F) and F.n_active < min(F.n_features, GROWTH * size)

    def _model(self, columns, u, gradient, left, fall, memory):
        """How the next step is made: columns that are not at their optimum, damping, sampled
        curvature or not.  F fell by the share `fall` in the last one.
        """
        F = self.objective
        far = fall > np.clip(ROUGH_TIMES_TOL * self.tol, CLOSEST, FAREST) and columns.rows.sparse
        chosen = F.term.candidates(u, gradient, NEAR if memory.correlated else 1.0)
        n_nonzero = int(np.count_nonzero(u))
        swept = columns.are_swept(chosen, far, n_nonzero, memory.stalled)
        if swept and not far and not memory.correlated:
            chosen = F.term.candidates(u, gradient, NEARLY)
        growth = FAR_GROWTH if swept else GROWTH
        most = max(MIN_COLUMNS, int(growth * n_nonzero))
        if columns.is_all and chosen.size > WIDEST_MATRIX and not swept:
            most = min(most, WIDEST_MATRIX)
        if columns.is_all and self._begins_with_all(u, gradient):
            most = chosen.size
        if chosen.size > most:
            if n_nonzero < most:
                off = np.where(u[chosen] != 0.0, np.inf, np.abs(gradient[chosen]))
            else:  # not even the nonzero ones have a matrix: the worst of them
                off = F.term.violation(u[chosen], gradient[chosen])
            chosen = np.sort(chosen[np.argpartition(-off, most)[:most]])
        if memory.damping is None:
            memory.damping = FIRST_DAMPING if F.loss.self_concordance is None else 0.0
        damping = memory.damping * curvature_unit(F)
        if columns.are_swept(chosen, far, n_nonzero, memory.stalled):
            memory.n_sweeps += 1
            rng = np.random.Generator(np.random.PCG64([self.seed, memory.n_sweeps]))
            goal = max(F.l1 * max(0.25 * self.tol, TIGHT * fall), AT_ONCE * left)
            goal = min(goal, LOOSE * left)
            return Model(chosen, damping, left, rng=rng, rough=far, goal=goal)
        if F.loss.self_concordance == 0.0 and damping == 0.0:
            kept_columns = memory.kept_columns
            if kept_columns is None or not np.isin(chosen, kept_columns, assume_unique=True).all():
                near = F.term.candidates(u, gradient, NEAR)
                kept_columns = memory.kept_columns = near if near.size <= WIDEST_MATRIX else chosen
            return Model(chosen, 0.0, left, kept_columns=kept_columns)
        thin = self.sampling and memory.sampled_curvature
        order = (
            self._sampled(THIN)
            if thin and F.n_samples >= THIN * ROWS_PER_COLUMN * chosen.size
            else NO_ROWS
        )
        return Model(chosen, damping, left, order)

    def _learn(self, memory, step):
        """Adapt the damping to how much of a step was taken; columns that are alike take each
        other's place.
        """
        damping, share = memory.damping, step.share
        memory.correlated = memory.correlated or not step.converged
        if share < 1.0:
            memory.damping = max(10.0 * damping, RAISED_DAMPING)
            memory.sampled_curvature = memory.sampled_curvature and share > 0.0
        else:
            least = MIN_DAMPING if self.objective.loss.self_concordance is None else 0.0
            memory.damping = max(0.1 * damping if damping > RAISED_DAMPING else 0.0, least)

    def _working_set(self, state):
        """Columns of this iteration: those of the last one if they hold all that violate, else
        others, else X itself.
        """
        F = self.objective
        memory = state.memory
        d = F.n_features
        coef, gradient = state.point[:d], state.gradient[:d]
        working_set = memory.working_set
        if (
            working_set is not None
            and np.isin(F.term.candidates(coef, gradient), working_set, assume_unique=True).all()
        ):
            if self._columns is None:
                self._columns = self._gathered(working_set)[0]
            return self._columns
        begins = self._begins_with_all(coef, gradient)
        self._columns = self._all if begins else self._gather(*_ranked(F, coef, gradient))
        if memory.working_set is not None or not self._columns.is_all:
            memory.kept_columns = None  # these were numbers of other columns
        memory.working_set = self._columns.index
        return self._columns

    def _begins_with_all(self, coef, gradient):
        """Whether all columns that violate move in the first step."""
        if not self.objective.rows.sparse or coef.any():
            return False
        if self._apart is None:
            self._apart = self._are_apart(gradient)
        return self._apart

    @np.errstate(all="ignore")  # values of 1e200: not apart
    def _are_apart(self, gradient):
        """Whether columns that violate at 0 answer little to one another, and outgrow the gathered
        ones.
        """
        F = self.objective
        moved = F.term.candidates(np.zeros(F.n_features), gradient)
        if moved.size <= MIN_COLUMNS or self._all.entries(moved).sum() <= self._capacity():
            return False
        step = np.zeros(F.n_features)
        step[moved] = gradient[moved] - F.l1 * np.sign(gradient[moved])
        sample = F.samples.some_active(SAMPLE_ROWS)
        F.meter.count(sample.size / F.n_samples)
        rows = F.rows.take(sample)
        products, squares = rows @ step, rows.multiply(rows) @ step**2
        return bool(products @ products <= APART * squares.sum())

    def _capacity(self):
        """How many values gathered columns may hold."""
        return SHARE_OF_X * self._all.rows.stored() + SHARE_OF_COEF * self.objective.n_features

    def _gather(self, ranked, n_nonzero):
        """As many of the ranked columns as there is room for, the nonzero ones first, or X
        itself.
        """
        least = min(n_nonzero + MIN_COLUMNS // 4, ranked.size)
        fitting = int(np.searchsorted(np.cumsum(self._all.entries(ranked)), 0.9 * self._capacity()))
        while fitting >= least:
            columns, share = self._gathered(np.sort(ranked[:fitting]))
            if columns is not None:
                return columns
            fitting = int(0.8 * fitting / share)
        return self._all

    def _gathered(self, index):
        """The columns `index`, or None where they outgrow the capacity, and the share of it
        that they take.
        """
        F, rows = self.objective, self.objective.rows
        if not rows.sparse:
            F.meter.count()
            return ColumnSubset(
                F, DenseRows(np.ascontiguousarray(rows.part(slice(None), index))), index
            ), 1.0
        n_blocks = min(F.n_samples, GATHER_BLOCKS)
        cuts = np.arange(n_blocks + 1) * F.n_samples // n_blocks
        limit = SHARE_OF_X + SHARE_OF_COEF * F.n_features / max(rows.stored(), 1)
        capacity = np.floor(limit * rows.storage.starts[cuts]).astype(np.int64)
        member = np.zeros(F.n_features, dtype=np.uint8)
        member[index] = 1
        values = np.empty(capacity[-1], rows.dtype)
        columns = np.empty(capacity[-1], rows.storage.columns.dtype)
        ends, counts = np.zeros(F.n_samples + 1, np.int64), np.zeros(n_blocks, np.int64)
        slots = self._all.slots(index)

        def work(first, last):
            kernels.gather_entries(
                rows, member, slots, cuts, capacity, first, last, values, columns, ends, counts
            )

        F.map_blocks(work, n_blocks)
        room = np.diff(capacity)
        share = float((counts / np.maximum(room, 1)).max())
        if (counts > room).any():  # one entry where there is room for none is a share of 1, too
            return None, share
        total = 0
        for begin, count in zip(
            capacity[:-1], counts, strict=True
        ):  # closing the gaps in place: a copy is a tenth of X
            for array in (values, columns):
                array[total : total + count] = array[begin : begin + count]
            total += count
        values, columns = values[:total], columns[:total]
        starts = np.cumsum(ends).view(np.uint64)
        return ColumnSubset(F, CSRRows(values, columns, starts, float(index.size)), index), share

    def _sampled(self, every):
        """One row of each `every` that follow one another."""
        rng = np.random.Generator(np.random.PCG64([self.seed, every]))
        m = self.objective.n_samples // every
        return np.arange(m) * every + rng.integers(0, every, m)

    def _start(self, state):
        """Begin on a sample, unless all columns may move at once, as those may do that crowd it."""
        F, d = self.objective, self.objective.n_features
        if F.rows.sparse and d > CROWDED * (F.n_samples // SAMPLE):
            self._evaluate_point(state)
            if self._begins_with_all(state.point[:d], state.gradient[:d]):
                return
        self._start_on_sample(state)

    def _start_on_sample(self, state):
        """Begin at the solution on a sample of the rows, unless F is lower with no columns at
        all.
        """
        F, d = self.objective, self.objective.n_features
        sample = on_rows(F, self._sampled(SAMPLE))
        solver = WorkingSet(sample, self.seed, sampling=False, tol=SAMPLE_TOL)
        inner = solver.start(state.point)
        for _ in range(SAMPLE_ITERATIONS):
            solver.advance(inner)
            crowded = np.count_nonzero(inner.point[:d]) > CROWDED * sample.n_samples
            off = _violation(sample, inner.point[:d], inner.gradient[:d], solver._rows)
            if crowded or inner.done or off <= ROUGH * F.l1:
                break
        self.overhead_so_far += solver.overhead_so_far * pass_cost(sample) / pass_cost(F)
        if crowded:
            self._evaluate_point(state)
            return
        intercept = float(state.point[-1]) if F.fit_intercept else 0.0
        nothing = RowValues.at(self._all.linear_map, np.zeros(F.n_samples), intercept).loss
        start, state.point = state.point, inner.point
        self._evaluate_point(state)
        if not state.value + F.rest_value(state.point) <= nothing:
            state.point = start
            self._evaluate_point(state)


def is_crowded(objective):
    """Whether about as many coefficients as rows may not be 0: an L2 part, and rows are fewer than
    columns.
    """
    F = objective
    return F.l2 > 0.0 and F.n_active < F.n_features and F.rows.in_memory


def passes_of_set(objective):
    """What a run takes that `is_crowded`, in passes' worth of time."""
    F = objective
    iterations = ITERATIONS + MORE_WHERE_CROWDED * likely_size(F) / F.n_active
    return iterations * (AN_ITERATION + matrix_of_set(F))


def matrix_of_set(objective):
    """What a matrix of the columns takes whose coefficients are likely not to be 0, in passes'
    worth of time.
    """
    return columns_cost(objective, likely_size(objective))


def likely_size(objective):
    """How many coefficients are likely not to be 0, of which there is a matrix."""
    return min(steep_columns(objective), objective.n_active, WIDEST_MATRIX)


def steep_columns(objective, times=1.0):
    """How many columns have a gradient of more than so many times l1 at the null model."""
    F = objective
    return int(np.count_nonzero(measured_once(F, null_gradient) > times * F.l1))


def null_gradient(objective):
    """|gradient| of the mean loss in each column at the null model, of some of the rows."""
    F = objective
    rows = F.samples.some_active(SAMPLE_ROWS)
    derivatives = losses_about(F, rows, null_model(F)[0])[1]
    derivatives = derivatives * F.samples.part(rows).weights
    with np.errstate(all="ignore"):
        return np.abs(np.asarray(F.rows.take(rows).T @ derivatives)).ravel() / max(rows.size, 1)


def _ranked(F, coef, gradient):
    """Candidates for the working set, nonzero ones first, then by |gradient|, and the number of
    nonzero ones.
    """
    found = F.term.candidates(coef, gradient, NEAR)
    score = np.where(coef[found] != 0.0, np.inf, np.abs(gradient[found]))
    return found[np.lexsort((found, -score))], int(np.count_nonzero(score == np.inf))


def _violation(F, coef, gradient, rows):
    """The greatest distance of 0 from a component of the subdifferential, the intercept's
    included.
    """
    free = abs(rows.derivative) if F.fit_intercept else 0.0
    return max(float(F.term.violation(coef, gradient).max(initial=0.0)), free)
