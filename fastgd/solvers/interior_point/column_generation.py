"""The central path on a few columns at a time: where an L1 part holds most coefficients at 0.

A stage is a run of `fastgd.solvers.interior_point.central_path` on a working set of columns.  The
dual variables of the rows tell after each iteration what all columns leave of the gap: once that is
mostly due to columns outside the set, those whose gradients are largest join it, up to as many as
it holds, and the next stage begins.  (Dedieu, Antonucci and Mazumder, 2022, "Solving L1-regularized
SVMs and related linear programs: revisiting the effectiveness of column and constraint generation",
section 2.)
"""

from dataclasses import dataclass, replace

import numpy as np

from fastgd.objective.cost_model import DENSE_COST, pass_cost, solving_cost
from fastgd.objective.matrix_sizes import WIDEST_PATH
from fastgd.objective.subset import on_columns
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Forecast, State
from fastgd.solvers.interior_point.central_path import CentralPath, CentralPathMemory
from fastgd.solvers.interior_point.path_cost import (
    central_path_applies,
    likely_iterations,
    path_size,
    sweeps,
    takes_columns_by_need,
)
from fastgd.solvers.l1.working_set import likely_size

# Columns of the first set.  Those whose gradients are above this share of l1 may join, and a stage
# ends with this share of the gap: with 1.0 for 0.9 a text of 6,000 rows and 10,000 columns took 1.5
# to 2 times as long, with 0.8 1.3 times.
MIN_COLUMNS = 200
NEAR = 0.9
SHARE = 0.1
# A set beyond this share of the matrix of all columns is followed by all, where that is affordable:
# 20,000 rows and 1,000 columns, nearly all nonzero at 0.001 of the greatest l1, took five times as
# long as all at once without this.
MAX_SHARE = 0.5
# Iterations over those of all columns at once: 17 to 29 for 12 to 21.
MORE = 1.4


@dataclass
@shaped(columns="int64 * in 0:d", inner="any")
class ColumnGenerationMemory:
    """What a run on a few columns at a time remembers.

    Attributes
    ----------
    columns : ndarray or None
        The working set; None before the first stage.
    inner : State or None
        That of `CentralPath` on these columns.
    total : float
        F at the point.
    dual_objective : float
        What the dual variables of the stage prove F of all columns to be nowhere below.
    lower : float
        The greatest that was proved so far.
    gap : float
        `total` less `lower`.
    """

    columns: np.ndarray | None = None
    inner: State | None = None
    total: float = np.nan
    dual_objective: float = -np.inf
    lower: float = -np.inf
    gap: float = np.inf


@shaped(objective="any", inner="any")
class ColumnGeneration(CentralPath):
    """`CentralPath` for l1 > 0, with curvature matrices of the columns that may be nonzero.

    Text of 6,000 rows and 10,000 columns, l1 of 1e-3 and 1e-4, certified 1e-4: hinge 0.14 and 3.9
    s, quantile 0.04 and 1.2 s, epsilon-insensitive 0.15 and 2.4 s, where averaged one-row steps
    were 0.1 to 2 % above that after 20 s.

    Parameters
    ----------
    objective : Objective
        With l1 > 0.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X, y = np.eye(3, 500), np.array([3.0, 2.0, 1.0])
    >>> F = Objective("quantile", X, y, penalty="l1", alpha=0.1, fit_intercept=False)
    >>> solver = ColumnGeneration(F)
    >>> state = solver.start(np.zeros(500))
    >>> for _ in range(10):
    ...     solver.advance(state)
    >>> state.point[:4].round(3)
    array([3., 2., 1., 0.])
    """

    traits = replace(CentralPath.traits, reads="rows")
    Memory = ColumnGenerationMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses what `CentralPath` does not apply to, and problems of few columns or without an
        L1 part.
        """
        if not central_path_applies(objective):
            return super().refusal(objective)
        return None if takes_columns_by_need(objective) else "takes many columns with an L1 part"

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """That of twice as many columns as the first set holds, or as are likely to be in the model
        of a smooth loss, for more iterations.
        """
        F, smooth = objective, objective.loss_smooth
        n_columns = min(2 * max(MIN_COLUMNS, likely_size(F) if smooth else 0), F.n_features)
        size = min(n_columns, F.n_active)
        matrix = DENSE_COST * F.n_active * size * n_columns / pass_cost(F)
        passes = likely_iterations(F, tol) * (sweeps(F) + matrix + solving_cost(F, size))
        reason = (
            "the loss is not smooth, which an interior point method does not mind; with an L1 part "
            "most coefficients are 0, so columns are taken as they are needed"
        )
        return Forecast(passes if smooth else MORE * passes, reason, smooth, sure=smooth)

    def __init__(self, objective):
        super().__init__(objective)
        self._size = path_size(objective)

    @np.errstate(all="ignore")
    def resume(self, state):
        """Go on with the columns of the earlier run, else with those that matter most at its
        point.
        """
        if not self._resumes_stage(state.memory):
            state.forget()
            d = self.objective.n_features
            gradient = np.abs(self.objective.loss_and_gradient(state.point)[1][:d])
            gradient[state.point[:d] != 0.0] = np.inf
            order = np.argsort(-gradient, kind="stable")
            n_first = max(MIN_COLUMNS, np.count_nonzero(gradient == np.inf))
            self._begin_stage(state, np.sort(order[:n_first]))
        state.memory.lower = -np.inf
        self._update_gap(state)

    @np.errstate(all="ignore")
    def advance(self, state):
        """An iteration on the columns, and half a pass over all."""
        memory, inner = state.memory, state.memory.inner
        self._solver.advance(inner)
        state.point, state.rate = self._spread(inner.point, memory.columns), inner.rate
        state.iteration, state.updates = state.iteration + 1, state.updates + 1
        gradient, ended = self._update_gap(state), inner.done
        own, all_columns = (one.total - one.dual_objective for one in (inner.memory, memory))
        if ended or own <= SHARE * all_columns:
            more = self._others(gradient, memory.columns)
            columns = np.union1d(memory.columns, more)
            size = min(columns.size, self.objective.n_active)
            if size > MAX_SHARE * self._size and self._size <= WIDEST_PATH:
                columns = np.arange(self.objective.n_features)
            state.done = size > WIDEST_PATH if more.size else ended
            if more.size and not state.done:
                self._begin_stage(state, columns)

    def workspace(self, state):
        """That of the solver on these columns, and what its objective knows."""
        measured = self._solver.objective.snapshot()
        return {"objective": measured, "inner": self._solver.workspace(state.memory.inner)}

    def _restore(self, state, workspace):
        """Gather the columns once more."""
        self._solver = self._made(state.memory.columns)
        self._solver.objective.restore(workspace["objective"])
        self._solver.restore(state.memory.inner, workspace["inner"])

    def answer(self, state):
        """The unknowns, with the coefficients that the L1 part holds at 0 there; the point where an
        interrupt came between two stages.
        """
        if state.memory.inner is None:
            return state.point
        return self._spread(self._solver.answer(state.memory.inner), state.memory.columns)

    def _path_memory(self, state):
        """That of the stage, which has the products of its columns; None between two stages."""
        inner = state.memory.inner
        return None if inner is None else inner.memory

    def _others(self, gradient, columns):
        """Columns outside the set that should join it: none unless one of them is beyond l1."""
        F, gradient = self.objective, gradient.copy()
        gradient[columns] = 0.0
        if not gradient.max() > F.l1 * (1.0 + 1e-9):
            return columns[:0]
        found = np.flatnonzero(gradient > NEAR * F.l1)
        return found[np.argsort(-gradient[found], kind="stable")[: max(MIN_COLUMNS, columns.size)]]

    def _begin_stage(self, state, columns):
        """Begin a stage on these columns where the last one ended: one pass."""
        state.memory.inner = None
        self._solver = self._made(columns)
        state.memory.columns = columns
        state.memory.inner = self._solver.start(state.point[np.append(columns, self._free)])

    def _resumes_stage(self, memory):
        """Resume the stage of an earlier run; whether that was possible: not where its dual
        variables are of other data.
        """
        if memory.columns is None:
            return False
        inner = memory.inner
        before, self._solver = inner.memory, self._made(memory.columns)
        self._solver.resume(inner)
        return inner.memory is before

    def _made(self, columns):
        return CentralPath(on_columns(self.objective, columns))

    @property
    def _free(self):
        """Place of the intercept among the unknowns, in an array that is empty where there is
        none.
        """
        return np.arange(self.objective.n_features, self.objective.size)

    def _spread(self, point, columns):
        """The unknowns of all columns, from those of some."""
        spread = np.zeros(self.objective.size)
        spread[np.append(columns, self._free)] = point
        return spread

    def _primal_and_dual(self, state):
        inner = state.memory.inner.memory
        rows = CentralPathMemory(products=inner.products, duals=inner.duals)
        return super()._primal_and_dual(State(state.point, state.batch, memory=rows))
