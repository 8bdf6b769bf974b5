"""Proximal Newton with a working set for K predictions: `solver="newton"` where the penalty has an
L1 part.

An iteration picks the working set, columns with a coefficient that is not 0 or whose gradient is
greatest, gathers it and takes steps on it, each a pass over these columns alone, until they are
much closer to their optimum; a reading of all rows brings the next gradient, which also is what the
duality gap needs.  Where the set would take a tenth of what X takes, as it does for tall data,
nothing is gathered and an iteration is one step on X itself.

A step minimises a quadratic model, and is halved until F falls by a share of what the model
promises, which takes no pass.  On compressed columns the model has the curvature of each row
(`fastgd.solvers.l1.vector_column_model`), else one matrix where few coefficients are not 0
(`fastgd.solvers.l1.vector_joint_model`), else a matrix for each prediction, and past steps for what
they share (`fastgd.solvers.l1.vector_matrix_model`).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgd.linalg.line_search import OF_MODEL, armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost
from fastgd.objective.distances import curvature_unit
from fastgd.objective.matrix_sizes import MAX_OF_PREDICTIONS, WIDEST_PROOF
from fastgd.objective.subset import on_columns
from fastgd.objective.vector_map import VectorMap
from fastgd.objective.vector_null_model import Shifts, lowest_shifts
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Forecast, Progress, Solver, Traits, no_derivatives, one_prediction
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.proximal_newton import ROUNDING
from fastgd.solvers.l1.vector_column_model import VectorColumnModel, has_root
from fastgd.solvers.l1.vector_joint_model import VectorJointModel, joint_cost
from fastgd.solvers.l1.vector_matrix_model import VectorMatrixModel, blocks_at

# The set may hold columns with a gradient above this share of l1, as long as they take no more than
# this share of X; a model moves coefficients above NEARLY l1, so many for each prediction or for
# each that is not 0.
NEAR = 0.5
NEARLY = 0.8
SHARE_OF_X = 0.1
MIN_COLUMNS = 200
GROWTH = 2
SPARE = 50
# A model is minimised to this share of the violation.  Steps on a gathered set end where they have
# left INNER of its violation, or after so many.
TIGHT = 0.05
INNER = 0.05
MAX_STEPS = 30
MAX_COLUMN_STEPS = 4
# Matrices are formed anew after so many steps, the first ones sooner, and where others have to
# move; with so many pairs (`fastgd.solvers.newton.vector_blocks`).
STEPS = 8
PATIENCE = 25
MAX_PAIRS = 20
# Coordinate descent on columns is for more of them than this, and for sets whose coefficients have
# no more than so many times the values of X.
FEW_COLUMNS = 100
MAX_ENTRIES = 4.0
# Intercepts are balanced, which takes a third of a step's time on small data, from this share of l1
# on: proofs do not come before.
BALANCED_FROM = 0.1
# Curvature that is added after a step that was cut, in units of the loss's.
RAISED_DAMPING = 1e-3
MAX_IDLE = 3
# One matrix of all predictions is for so many coefficients at least, and for GROWTH times those
# that are not 0; of the most that it can hold, ROOM may be these.  It is taken once steps with a
# matrix for each prediction are AFTER times as many as it costs: nobody can tell beforehand where
# the others take 10 steps or 300.  Processor s without and with it: 50,000 x 54 and 7 classes
# 20 -> 4.3, 5,000 x 100 and 5 classes 1.0 -> 0.25, images 6.0 -> 7.5 and 13.8 -> 14.
MIN_JOINT = 100
AFTER = 0.5
ROOM = 0.8
TYPICAL_PASSES = Cost(
    40.0,
    "passes",
    "To 1e-4, where nothing is known beforehand: 7 on a text of 1.3 million columns, 20 to 65 "
    "on images, 3 to 30 on small problems.",
)


@dataclass
@shaped(products="n k", intercept="k", derivatives="n k")
class VectorRowValues:
    """Rows at some unknowns: products X W, (n, K), intercepts, (K,), mean loss, and of each row
    weight * derivatives by the number of rows, (n, K).
    """

    products: np.ndarray
    intercept: np.ndarray
    loss: float = np.nan
    derivatives: Any = None

    @classmethod
    def at(cls, vector_map, products, intercept):
        """Evaluated at these products and intercepts."""
        rows = cls(products, np.array(intercept))
        rows.evaluate(vector_map)
        return rows

    def evaluate(self, vector_map):
        """Look at the losses where products and intercepts are now: not a pass."""
        self.loss, self.derivatives = vector_map.derivatives(self.products, self.intercept)

    def centre(self, vector_map):
        """Move the intercepts to where the derivatives sum to 0, which the duality gap needs."""
        F = vector_map.objective
        if not (F.fit_intercept and F.loss.convex):
            return
        before = self.intercept, self.loss, self.derivatives
        sums = Shifts(F.loss, F.samples, self.products + self.intercept, F.n_predictions)
        self.intercept = self.intercept + lowest_shifts(sums, F.loss.infimum)[0]
        self.evaluate(vector_map)
        if not self.loss <= before[1] * (1.0 + 4.0 * EPS):
            self.intercept, self.loss, self.derivatives = before


@dataclass
@shaped(working_set="int64 * in 0:d", pairs="p")
class VectorWorkingSetMemory:
    """What the working-set solver for K predictions remembers.

    Attributes
    ----------
    working_set : ndarray or None
        Columns of the last iteration; None for X itself, or before the first.
    all_columns : bool
        Whether steps are on X itself, of which the set would be too large a part.
    blocks : Blocks or None
        Matrices of the last model that has some.
    n_steps, n_matrices : int
        Steps since they were formed, and how often they were.
    pairs : list of (ndarray, ndarray)
        The last steps on this set and the changes of the gradient along them, the oldest first.
    n_apart : int
        Steps with a matrix for each prediction.
    n_sweeps : int
        Models on columns so far: each has orders of its own.
    damping : float
        Added to the curvature of each row of these, in units of the loss's.
    least_violation : float
        Of all iterations, before their steps.
    idle : int
        Iterations in a row in which neither F nor the violation fell.
    """

    working_set: np.ndarray | None = None
    all_columns: bool = False
    blocks: Any = None
    n_steps: int = 0
    n_matrices: int = 0
    pairs: list = field(default_factory=list)
    n_apart: int = 0
    n_sweeps: int = 0
    damping: float = 0.0
    least_violation: float = np.inf
    idle: int = 0


@shaped(point="u", objective="any")
class VectorWorkingSet(Solver):
    """Proximal Newton with a working set, for smooth losses of K predictions and l1 > 0.

    Parameters
    ----------
    objective : Objective
    seed : int
        Of the orders in which columns are gone over.

    Examples
    --------
    >>> from fastgd.losses import Multinomial
    >>> from fastgd.objective.objective import Objective
    >>> X = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    >>> F = Objective(Multinomial(3), X, [0, 1, 1, 2], penalty="l1", alpha=0.1)
    >>> solver = VectorWorkingSet(F)
    >>> state = solver.start(F.start())
    >>> for _ in range(20):
    ...     solver.advance(state)
    >>> state.point[:6].reshape(2, 3).round(2).tolist()
    [[-1.44, 0.0, 1.44], [0.36, 0.0, -0.36]]
    """

    name = "newton"
    traits = Traits(second_order=True, memory_needs_same_objective=True)
    made_with = ("seed",)
    Memory = VectorWorkingSetMemory

    @classmethod
    def takes_several(cls, term):
        """Whether the penalty is an elastic net."""
        return term.elastic

    @classmethod
    def refusal(cls, objective):
        """Refuses all but smooth losses of several predictions with an L1 part."""
        F = objective
        l1 = None if F.l1 > 0.0 else "on a working set is for penalties with an L1 part"
        return one_prediction(F) or no_derivatives(F) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """The passes that a typical run takes, whatever the data."""
        reason = (
            "with an L1 part most coefficients are 0: Newton's method on the columns that are not"
        )
        return Forecast(TYPICAL_PASSES, reason, last=not objective.convex)

    def __init__(self, objective, seed=0):
        super().__init__(objective)
        self.seed, self._all = seed, MovedColumns(objective)
        # What follows from X and the state, kept so as not to be computed again.
        self._part: Any = None
        self._rows: Any = None
        self._point: Any = None

    def resume(self, state):
        """Evaluate the point, in the columns of no earlier run."""
        self._part = None
        super().resume(state)

    def workspace(self, state):
        """What the rows are at the point, and what is known of the columns at hand."""
        measured = None if self._part is None else self._part.objective.snapshot()
        return {"rows": self._rows, "point": self._point, "objective": measured}

    def _restore(self, state, workspace):
        """Gather the columns at hand once more."""
        self._rows, self._point = workspace["rows"], workspace["point"]
        self._part = None
        if workspace["objective"] is not None:
            self._part = MovedColumns(self.objective, state.memory.working_set)
            self._part.objective.restore(workspace["objective"])

    def progress(self, state):
        """Whether it has come to rest."""
        return Progress(done=state.done)

    def retreat(self, state, safe_point):
        """Begin anew from `safe_point`."""
        self._begin_anew(state, safe_point)
        return True

    def advance(self, state):
        """Steps on the working set, then the gradient of all columns."""
        F, memory = self.objective, state.memory
        if self._point is not state.point:
            self._evaluate_point(state)
        total = state.value + F.rest_value(state.point)
        part = self._working_set(state)
        first, steps, found = self._steps(part, state)
        if steps:
            self._take(state, part, *found)
        fall = total - state.value - F.rest_value(state.point)
        fell = fall > ROUNDING * EPS * abs(total)
        closer = first < 0.5 * memory.least_violation
        memory.least_violation = min(first, memory.least_violation)
        memory.idle = 0 if fell or closer else memory.idle + 1
        state.done = memory.idle >= MAX_IDLE
        state.iteration += 1
        state.updates += steps

    def _evaluate_point(self, state):
        """Products at the point, and all that follows from them: one pass."""
        every, point = self._all, state.point
        intercept = self.objective.split(point)[1]
        rows = VectorRowValues.at(every.vector_map, every.products(point), intercept)
        self._settle(state, point, rows, every.gradient(rows, point))

    def _settle(self, state, point, rows, gradient):
        """Make `point` the point of the state."""
        state.point, state.gradient = point, gradient
        state.value = rows.loss + self._all.smooth_value(point)
        self._rows, self._point = rows, point

    def _take(self, state, part, point, gradient, rows):
        """Make a point of a part the point of the state."""
        if part.is_all:
            self._settle(state, point, rows, gradient)
            return
        moved = state.point.copy()
        moved[part.places] = point
        if not self.objective.rows.sparse:  # products of a few columns have other bits
            state.point = moved
            self._evaluate_point(state)
            return
        rows.evaluate(self._all.vector_map)
        self._settle(state, moved, rows, self._all.gradient(rows, moved))

    def _working_set(self, state):
        """The part of this iteration: that of the last one if it holds all that violate, else
        another, else X itself.
        """
        F = self.objective
        memory = state.memory
        k = F.n_predictions
        if memory.all_columns:
            return self._all
        coef, gradient = (one[: F.n_features * k] for one in (state.point, state.gradient))
        working_set = memory.working_set
        if working_set is not None:
            wanted = np.unique(F.term.candidates(coef, gradient) // k)
            if np.isin(wanted, working_set, assume_unique=True).all():
                self._part = self._part or MovedColumns(F, working_set)
                return self._part
        memory.blocks, memory.pairs = None, []
        memory.working_set = self._largest(coef, gradient)
        memory.all_columns = memory.working_set is None
        self._part = None if memory.all_columns else MovedColumns(F, memory.working_set)
        return self._part or self._all

    def _largest(self, coef, gradient):
        """As many columns as there is room for, nonzero ones first, or None where that is too
        few.
        """
        F, k = self.objective, self.objective.n_predictions
        found = F.term.candidates(coef, gradient, NEAR)
        if not found.size:  # intercepts alone have to move: any column goes with them
            return np.array([int(np.abs(gradient).argmax()) // k])
        columns, which = np.unique(found // k, return_inverse=True)
        score = np.zeros(columns.size)
        np.maximum.at(score, which, np.where(coef[found] != 0.0, np.inf, np.abs(gradient[found])))
        order = np.lexsort((columns, -score))
        if F.rows.sparse:
            entries = np.cumsum(self._all.columns.counts()[columns[order]])
            fitting = int(np.searchsorted(entries, SHARE_OF_X * F.rows.stored()))
        else:
            fitting = int(SHARE_OF_X * F.n_features)
        if fitting < min(int(np.isinf(score).sum()) + SPARE, columns.size):
            return None
        return np.sort(columns[order[:fitting]])

    def _steps(self, part, state):
        """Newton steps on a part: the violation before them, their number, and where they end."""
        point, gradient = state.point[part.places], state.gradient[part.places]
        found = point, gradient, self._rows
        first = left = part.violation(point, gradient)
        steps, most, inner_goal = 0, 1, 0.0
        while steps < most and left > inner_goal:
            after, swept = self._step(part, state.memory, found, left)
            if after is None:
                break
            found = after
            steps += 1
            inner_goal = INNER * first
            if not part.is_all:
                most = MAX_COLUMN_STEPS if swept else MAX_STEPS
            left = part.violation(*found[:2])
        return first, steps, found

    def _step(self, part, memory, at, left):
        """One step from `at`: point, gradient and rows there, or None, and whether it was by
        columns.
        """
        F, k = part.objective, part.objective.n_predictions
        point, gradient, rows = at
        n_nonzero = int(np.count_nonzero(point[: part.n_coef]))
        chosen = part.chosen(point, gradient, max(MIN_COLUMNS * k, GROWTH * n_nonzero))
        swept = part.is_swept(chosen)
        if swept:
            memory.n_sweeps += 1
            rng = np.random.Generator(np.random.PCG64([self.seed, memory.n_sweeps]))
            damping = memory.damping * curvature_unit(F)
            model = VectorColumnModel(F, part.columns, rows, point, chosen, damping)
            step = model.step(TIGHT * left, rng)
        elif joint := self._joint_size(part, memory, n_nonzero):
            chosen = part.chosen(point, gradient, joint)
            step = VectorJointModel(F, rows, point, gradient, chosen).step(TIGHT * left)
        else:
            blocks = self._blocks(part, memory, point, gradient, chosen)
            step = VectorMatrixModel(F, blocks, point, gradient, memory.pairs).step(TIGHT * left)
            memory.n_steps += 1
            memory.n_apart += 1
        if F.loss.shift_invariant and F.fit_intercept:
            step[part.n_coef :] -= step[part.n_coef :].mean()
        after, share = part.search(point, gradient, rows, step, left <= BALANCED_FROM * F.l1)
        low = memory.damping <= RAISED_DAMPING
        raised = max(10.0 * memory.damping, RAISED_DAMPING)
        memory.damping = raised if share < 1.0 else (0.0 if low else 0.1 * memory.damping)
        if after is None:
            memory.blocks, memory.pairs = None, []
        elif swept:
            memory.pairs = []
        else:
            pair = after[0] - point, after[1] - gradient
            memory.pairs = [*memory.pairs, pair][-MAX_PAIRS:]
        return after, swept

    def _joint_size(self, part, memory, n_nonzero):
        """Coefficients of one matrix of all predictions, 0 where it is not worth its time: it is
        where steps with a matrix for each bring nothing.
        """
        F, most = part.objective, WIDEST_PROOF - part.objective.n_predictions
        if not has_root(F.loss) or n_nonzero > ROOM * most:
            return 0
        size = min(max(MIN_JOINT, GROWTH * n_nonzero), part.n_coef, most)
        pays = memory.n_apart >= AFTER * joint_cost(F, size + F.n_predictions)
        return size if pays or memory.idle else 0

    def _blocks(self, part, memory, point, gradient, chosen):
        """Matrices that hold all coefficients that have to move."""
        F, k = part.objective, part.objective.n_predictions
        most = int(np.sqrt(MAX_OF_PREDICTIONS / k)) * k
        if chosen.size > most:
            chosen = part.chosen(point, gradient, most)
        needed = chosen[(point[chosen] != 0.0) | (np.abs(gradient[chosen]) > F.l1)]
        old = memory.n_steps >= (STEPS if memory.n_matrices < 2 else PATIENCE)
        if memory.blocks is None or old or not memory.blocks.hold(_by_prediction(needed, k)):
            memory.blocks = blocks_at(F, point, _by_prediction(chosen, k))
            memory.n_matrices += 1
            memory.n_steps = 0
        return memory.blocks


class MovedColumns:
    """Columns that steps move, and an objective on them.

    Parameters
    ----------
    objective : Objective
        Of all columns.
    index : ndarray or None
        Which columns; None for X itself.
    """

    def __init__(self, objective, index=None):
        self.is_all = index is None
        self.n_columns, self.stored = objective.n_features, objective.rows.stored()
        F = self.objective = objective if self.is_all else on_columns(objective, index)
        self.vector_map, self.columns = VectorMap(F), ColumnSubset(F, F.rows)
        self.n_coef, k = F.n_features * F.n_predictions, F.n_predictions
        # Of its unknowns among all.
        self.places: Any = slice(None)
        if not self.is_all:
            ends = objective.n_features + np.arange(int(F.fit_intercept))
            self.places = (np.append(index, ends)[:, None] * k + np.arange(k)).ravel()

    def products(self, point):
        """X W, (n, K): half a pass, none where all coefficients are 0."""
        F, coef = self.objective, np.ascontiguousarray(self.objective.split(point)[0])
        return (
            self.vector_map.matvec(coef) if coef.any() else np.zeros((F.n_samples, coef.shape[1]))
        )

    def gradient(self, rows, point):
        """Gradient of the smooth part of F: half a pass."""
        F, found = self.objective, np.empty(self.objective.size)
        found[: self.n_coef] = self.vector_map.rmatvec(rows.derivatives).ravel()
        if F.fit_intercept:
            found[self.n_coef :] = rows.derivatives.sum(axis=0)
        F.term.add_gradient(point[: self.n_coef], found[: self.n_coef])
        return found

    def smooth_value(self, point):
        """The smooth part of the penalty."""
        F = self.objective
        return F.term.smooth_value(point[: self.n_coef]) if F.l2 > 0.0 else 0.0

    def violation(self, point, gradient):
        """The greatest distance of 0 from a component of the subdifferential."""
        n = self.n_coef
        found = float(self.objective.term.violation(point[:n], gradient[:n]).max(initial=0.0))
        return max(found, float(np.abs(gradient[n:]).max(initial=0.0)))

    def chosen(self, point, gradient, most):
        """Coefficients that a model moves, ascending: nonzero ones and others whose gradient is
        greatest, or where the nonzero ones are more than `most`, the worst of all.
        """
        term, coef = self.objective.term, point[: self.n_coef]
        found = term.candidates(coef, gradient[: self.n_coef], NEARLY)
        if found.size <= most:
            return found
        score = np.where(coef[found] != 0.0, np.inf, np.abs(gradient[found]))
        if np.count_nonzero(coef) > most:
            score = term.violation(coef[found], gradient[found])
        return np.sort(found[np.argpartition(-score, most)[:most]])

    def is_swept(self, chosen):
        """Whether coordinate descent goes over the columns themselves, not over matrices."""
        F = self.objective
        if not F.rows.sparse or self.n_columns <= FEW_COLUMNS or not has_root(F.loss):
            return False
        entries = float(self.columns.counts()[chosen // F.n_predictions].sum())
        return entries <= MAX_ENTRIES * self.stored

    def search(self, point, gradient, rows, step, close=True):
        """(point, gradient, rows) after the first share of a step that brings enough, and that
        share; None and 0 where there is none.  A pass.

        `close` to the optimum intercepts are those that a proof needs.
        """
        F, n, vector_map = self.objective, self.n_coef, self.vector_map
        before = self.smooth_value(point), F.rest_value(point)
        end = point + step
        # Term by term, for near the optimum the sums would be rounding alone: steps of 1e-10 were
        # not taken, and proofs ended at 2e-8.
        rest = F.l1 * (np.abs(end[:n]) - np.abs(point[:n]))
        promised = float((gradient[:n] * step[:n] + rest).sum() + gradient[n:] @ step[n:])
        if not promised < 0.0:
            return None, 0.0
        slack = ROUNDING * EPS * abs(rows.loss + sum(before))
        end_products = self.products(end)
        for share in halvings(start=point, direction=step):
            there = point + share * step
            products = end_products
            if share < 1.0:
                products = rows.products + share * (end_products - rows.products)
            with np.errstate(all="ignore"):
                found = VectorRowValues.at(vector_map, products, F.split(there)[1])
            change = found.loss - rows.loss + self.smooth_value(there) - before[0]
            change += F.rest_value(there) - before[1]
            if armijo(0.0, change, promised, share, slack, OF_MODEL):
                break
        else:
            return None, 0.0
        if share < 1.0:  # the products that a run resumed from here would find
            found.products = self.products(there)
            found.evaluate(vector_map)
        if close:
            found.centre(vector_map)
        if F.fit_intercept:
            there[n:] = found.intercept
        return (there, self.gradient(found, there), found), share


def _by_prediction(chosen, k):
    """Columns of some coefficients, for each prediction."""
    return [chosen[chosen % k == c] // k for c in range(k)]
