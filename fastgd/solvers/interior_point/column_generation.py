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

from fastgd.objective.cost_model import DENSE_COST, Cost, columns_cost, pass_cost, solving_cost
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
from fastgd.solvers.l1.working_set import likely_size, steep_columns

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
# Where the loss is not smooth, about as many coefficients are likely not to be 0 as there are
# columns whose gradient at the null model is beyond this many times l1; iterations of a stage that
# others follow; and what systems by way of the rows take, in factorisations of as many columns (1
# to 5).  Of 140 fits to 51 problems, 300 to 136,000 rows, the root mean square of log(forecast /
# taken) is 1.0 on the half that the numbers are from and 1.0 on the other, one problem of it apart
# (targets without noise, where 202 of 3,400 steep columns are in the model: forecast 21,800 passes,
# taken 33); with 400 columns for all it was 2.0 and 1.6.  (Quantiles of 3,598 rows of 6,150
# columns, of which 6,057 are in the model, were forecast 2,230 passes and took 92,070.)
STEEP = 2.0
ITERATIONS_OF_STAGE = Cost(5.0, "iterations", "Of a stage that others follow.")
ROWS_SOLVED = Cost(2.0, "factorisations", "A system by way of the rows takes 1 to 5.")


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

    traits = replace(CentralPath.traits, reads="rows", judged_by="forecast")
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
        """By the columns that are likely to be in the model: stages up to as many of them, the
        last one to `tol`; where the loss is smooth by twice as many, all at once.
        """
        F = objective
        reason = (
            "the loss is not smooth, which an interior point method does not mind; with an L1 part "
            "most coefficients are 0, so columns are taken as they are needed"
        )
        if F.loss_smooth:
            return Forecast(_passes_where_smooth(F, tol), reason, last=True, sure=True)
        passes, n_columns = 0.0, min(MIN_COLUMNS, F.n_features)
        while n_columns < steep_columns(F, STEEP):
            passes += ITERATIONS_OF_STAGE * _iteration_cost(F, n_columns)
            n_columns = _stage_size(F, 2 * n_columns)
        return Forecast(passes + likely_iterations(F, tol) * _iteration_cost(F, n_columns), reason)

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
        self._done_in_stage += 1
        state.point, state.rate = self._spread(inner.point, memory.columns), inner.rate
        state.iteration, state.updates = state.iteration + 1, state.updates + 1
        gradient, ended = self._update_gap(state), inner.done
        own, all_columns = (one.total - one.dual_objective for one in (inner.memory, memory))
        if ended or own <= SHARE * all_columns:
            more = self._others(gradient, memory.columns)
            columns, F = np.union1d(memory.columns, more), self.objective
            if _stage_size(F, columns.size) == F.n_features:
                columns = np.arange(F.n_features)
            too_many = min(columns.size, F.n_active) > WIDEST_PATH
            state.done = too_many if more.size else ended
            if more.size and not state.done:
                self._begin_stage(state, columns)

    def progress(self, state):
        """As of `CentralPath`; a larger set makes iterations dearer."""
        inner = state.memory.inner
        begun = inner is not None and inner.iteration == 0 and state.iteration > 0
        return super().progress(state)._replace(dearer=begun)

    def passes_left(self, tol):
        """Those of the stage, as if it were the last one."""
        iterations = max(likely_iterations(self.objective, tol) - self._done_in_stage, 1.0)
        return iterations * _iteration_cost(self.objective, self._solver.objective.n_features)

    def workspace(self, state):
        """That of the solver on these columns, and what its objective knows."""
        measured = self._solver.objective.snapshot()
        return {"objective": measured, "inner": self._solver.workspace(state.memory.inner)}

    def _restore(self, state, workspace):
        """Gather the columns once more."""
        self._solver = self._made(state.memory.columns)
        self._done_in_stage = state.memory.inner.iteration
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
        """Begin a stage on these columns where the last one ended, with new dual variables: one
        pass.

        With those of the central path where the gap is 100 times what the last stage left, the best
        of 11 such numbers, fits of 13 problems took 0.83 of the passes but for one, which took 2.9
        times as many, and of 11 others 0.8 to 1.9 times as many.
        """
        state.memory.inner = None
        self._solver, self._done_in_stage = self._made(columns), 0
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
        self._done_in_stage = inner.iteration
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


def _stage_size(objective, n_columns):
    """How many columns a stage takes where so many should be in it: all, if that is affordable and
    hardly more.
    """
    F, of_all = objective, path_size(objective)
    many = min(n_columns, F.n_active) > MAX_SHARE * of_all and of_all <= WIDEST_PATH
    return F.n_features if many else min(n_columns, F.n_features)


def _iteration_cost(objective, n_columns):
    """What an iteration on so many columns takes, in passes' worth of time."""
    F = objective
    if n_columns <= F.n_active:
        return sweeps(F) + columns_cost(F, n_columns) + solving_cost(F, n_columns)
    return sweeps(F) + DENSE_COST * F.n_active + ROWS_SOLVED * solving_cost(F, F.n_active)


def _passes_where_smooth(objective, tol):
    F = objective
    n_columns = min(2 * max(MIN_COLUMNS, likely_size(F)), F.n_features)
    size = min(n_columns, F.n_active)
    matrix = DENSE_COST * F.n_active * size * n_columns / pass_cost(F)
    return likely_iterations(F, tol) * (sweeps(F) + matrix + solving_cost(F, size))
