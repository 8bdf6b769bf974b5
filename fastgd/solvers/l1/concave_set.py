"""Coordinate descent in a model on a working set: `solver="newton"` where the penalty is MCP or
SCAD, which stop growing.

An iteration takes the nonzero coefficients and the columns whose |gradient| is greatest, forms
their curvature matrix H, and goes over the coefficients of

    q(e) = g'e + e' H e / 2 + sum_j penalty(|u_j + e_j|)

one by one, each to the lowest point along it, whatever the penalty's bends (Breheny and Huang,
2011, "Coordinate descent algorithms for nonconvex penalized regression").  Where F does not fall by
a share of what the model fell by, H is raised: with enough curvature it does.  A pass brings the
gradient of all columns; the run ends where no coordinate moves.

Processor milliseconds, squared loss, MCP and SCAD at 0.3, 0.1 and 0.03 of the greatest alpha,
accelerated descent and this, beside skglm: 1000 x 300 dense 7 to 12, 4 to 6, 2 to 4; 5000 pictures
of 500 pixels 85 to 245, 23 to 56, 19 to 86, at objectives that are no higher than skglm's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.linalg.line_search import OF_MODEL, armijo
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost
from fastgd.objective.distances import curvature_unit
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Forecast, Solver, Traits, several_predictions
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.column_subset import WIDEST_MATRIX, ColumnSubset
from fastgd.solvers.l1.proximal_newton import ROUNDING, RowValues

# A working set holds so many columns, or twice the nonzero ones.
MIN_COLUMNS = 20
GROWTH = 2
# Coordinate descent ends at this share of the violation, or after so many epochs.
TIGHT = 1e-3
MAX_EPOCHS = 200
# Where F falls by too little of what the model fell by, H is raised to so many times itself.
RAISED = 4.0
MAX_RAISES = 60
TYPICAL_PASSES = Cost(
    40.0,
    "passes",
    "To 1e-4, hardly ever more: 3 to 25, in the middle 9, on 96 random problems of 50 to "
    "2,000 columns.",
)


@dataclass
class ConcaveSetMemory:
    """What the solver remembers.

    Attributes
    ----------
    raised : float
        What H was multiplied with in the last step.
    """

    raised: float = 1.0


@shaped(point="u")
class ConcaveSet(Solver):
    """Coordinate descent on a working set, for smooth convex losses of one prediction.

    Parameters
    ----------
    objective : Objective

    Examples
    --------
    >>> from fastgd import MCP, Objective
    >>> X = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> solver = ConcaveSet(Objective("squared_error", X, y, penalty=MCP(3.0), alpha=0.1))
    >>> state = solver.start(solver.objective.start())
    >>> for _ in range(3):
    ...     solver.advance(state)
    >>> abs(state.point).round(3)
    array([1., 0., 0.])
    """

    name = "newton"
    form = "on a working set of columns"
    traits = Traits(second_order=True, memory_needs_same_objective=True)
    Memory = ConcaveSetMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses other penalties, losses that have no derivative or are not convex, and several
        predictions.
        """
        F = objective
        if not F.term.stationary:
            return "on a working set of columns is for penalties that are concave in |w|"
        if not (F.loss_smooth and F.loss.convex):
            return f"needs a convex loss with a derivative, got {F.loss!r}"
        return several_predictions(F)

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """Some ten iterations of a pass, and the matrices of few columns."""
        reason = "most coefficients are 0: coordinate descent on the columns that are not"
        return Forecast(TYPICAL_PASSES, reason)

    def __init__(self, objective):
        super().__init__(objective)
        self._columns = ColumnSubset(objective, objective.rows)
        self._pieces = objective.term.pieces()
        self._rows: Any = None
        self._point: Any = None

    def workspace(self, state):
        """What the rows are at the point."""
        return {"rows": self._rows, "point": self._point}

    def _restore(self, state, workspace):
        """Know the rows once more."""
        self._rows, self._point = workspace["rows"], workspace["point"]

    def _evaluate_point(self, state):
        F = self.objective
        coef, intercept = F.split(state.point)
        products = self._columns.products(np.ascontiguousarray(coef))
        self._settle(
            state, state.point, RowValues.at(self._columns.linear_map, products, intercept)
        )

    def _settle(self, state, point, rows):
        F = self.objective
        gradient = self._columns.gradient(rows, point[: F.n_features])
        state.point, state.value = point, rows.loss
        state.gradient = np.append(gradient, rows.derivative) if F.fit_intercept else gradient
        self._rows, self._point = rows, point

    def advance(self, state):
        """A matrix of some columns, coordinate descent in it, and a pass for each trial."""
        F, d = self.objective, self.objective.n_features
        if self._point is not state.point:
            self._evaluate_point(state)
        violations = F.term.violation(state.point[:d], state.gradient[:d])
        chosen = self._chosen(state.point[:d], violations)
        off = float(violations.max(initial=0.0))
        if F.fit_intercept:
            off = max(off, abs(self._rows.derivative))
        state.iteration += 1
        if off == 0.0:
            state.done = True
            return
        lower = np.tril(self._columns.curvature(chosen, self._rows.curvatures))
        matrix = lower + np.tril(lower, -1).T
        found = self._search(state, chosen, matrix, TIGHT * off)
        if found is None:
            state.done = True
            self._rows.evaluate(self._columns.linear_map)
            return
        state.updates += 1
        self._settle(state, *found)

    def _chosen(self, coef, violations):
        """Nonzero coefficients, then those that are farthest from their optimum, in order."""
        n_nonzero = int(np.count_nonzero(coef))
        most = min(max(MIN_COLUMNS, GROWTH * n_nonzero), WIDEST_MATRIX)
        found = np.flatnonzero((coef != 0.0) | (violations > 0.0))
        if found.size <= most:
            return found
        first = np.inf if n_nonzero <= most else violations[found]
        score = np.where(coef[found] != 0.0, first, violations[found])
        return np.sort(found[np.argpartition(-score, most)[:most]])

    def _search(self, state, chosen, matrix, tolerance):
        """A point with F low enough, and the rows there; None where the model does not fall."""
        F = self.objective
        memory = state.memory
        d = F.n_features
        size, rows = chosen.size, self._rows
        lows, derivatives, bends, heights = self._pieces
        n_unknowns = size + F.fit_intercept
        start = np.append(state.point[chosen], rows.intercept)[:n_unknowns]
        begun = np.append(state.gradient[chosen], rows.derivative)[:n_unknowns]
        before = F.term.rest_value(start[:size])
        total = rows.loss + before
        memory.raised = max(memory.raised / RAISED, 1.0)
        unit = 1e-12 * curvature_unit(F)
        for _ in range(MAX_RAISES):
            raised = memory.raised * matrix[:n_unknowns, :n_unknowns]
            raised[np.diag_indices(n_unknowns)] += unit * (memory.raised - 1.0)
            unknowns, gradient = start.copy(), begun.copy()
            pieces = lows, derivatives, bends, heights
            kernels.concave_descent(
                raised, gradient, unknowns, *pieces, size, tolerance, MAX_EPOCHS
            )
            move = unknowns - start
            after = F.term.rest_value(unknowns[:size])
            fall = -float(move @ (begun + gradient)) / 2.0 + before - after
            if not fall > 4.0 * EPS * abs(total):
                return None
            point = state.point.copy()
            point[chosen] = unknowns[:size]
            if F.fit_intercept:
                point[d] = unknowns[size]
            products = self._columns.products(point[:d])
            shift = point[d] if F.fit_intercept else rows.intercept
            with np.errstate(all="ignore"):
                found = rows.at_others(self._columns.linear_map, products, float(shift))
            reached, slack = found.loss + after, ROUNDING * EPS * abs(total)
            if armijo(total, reached, -fall, slack=slack, sufficient=OF_MODEL):
                return point, found
            memory.raised *= RAISED
        return None
