"""Newton steps on the central path: losses of linear and quadratic pieces, with L2, L1 or no
penalty at all, with weights and bounds of each coefficient.

Each piece is sup over low <= s <= high of s u - bend s^2 / 2 (`fastgd.losses.piecewise`), and so is
l1 |w_j|, with u = w_j and s between -l1 and l1; bounds are more of these
(`fastgd.solvers.interior_point.column_duals`).  With multipliers a, b >= 0 for the two ends the
conditions of the optimum are

    mean of s_i sign x_i + l2 w + p = 0,   u - bend s + a - b = 0,   a (s - low) = b (high - s) = mu

at mu = 0, where mu is n times as large for rows as for coefficients: so all ends count alike in the
gap.  (With one mu for both the iterates went in circles where columns were many.)  A Newton step on
all of them at once costs one curvature matrix, of row curvatures 1 / (bend + a / (s - low) + b /
(high - s)), and where it is aimed at is chosen by a first step with mu = 0 (Mehrotra, 1992, "On the
implementation of a primal-dual interior point method").  Where a matrix is dear, products that
this leaves far from mu are corrected, for another solution with it (Gondzio, 1996, "Multiple
centrality corrections in a primal-dual method for linear programming").  That takes 10 to 30
steps, however little penalty there is and however many rows are at a kink of their loss at the
optimum, where Newton's method on smoothed losses took hundreds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgd.certificates import completed_dual
from fastgd.certificates.rounding import offset_size, prediction_size, sum_rounding
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.linalg.woodbury import RowSystem
from fastgd.losses.piecewise import forms
from fastgd.objective.collinear import Redundant, redundant_columns
from fastgd.objective.distances import curvature_unit, derivative_size
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.refined_factor import factor_of
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Forecast, Progress, Solver, Traits
from fastgd.solvers.interior_point.bounded_duals import TO_THE_END, BoundedDuals, aimed_at
from fastgd.solvers.interior_point.column_duals import ColumnDuals
from fastgd.solvers.interior_point.path_cost import (
    by_rows,
    central_path_applies,
    correctors,
    is_penalised,
    likely_iterations,
    matrix_cost,
    sweeps,
    takes_columns_by_need,
)
from fastgd.solvers.interior_point.row_steps import NO_PIECES, RowSteps
from fastgd.solvers.interior_point.row_tiles import row_tiles

# So many iterations without a smaller gap or mu, down to a share of F, are the last.
MAX_IDLE = 10
ROUNDING = 1e-14
# Dual variables that change by less than this share of what they do elsewhere are held by their
# ends; once the gap is likely below this share of F they are moved there, if that is what a proof
# needs.
FREE_SHARE = 1e-3
CLOSING = 1e-4
# Derivatives that sum to less than this share of their sizes sum to 0 but for rounding.
SUM_ROUNDING = 1e-12
# A row that is off its kink by less than this share of the mean of all is there.
OFF_KINK = 1e-7
# A corrector is to lead this much farther than the last step, and is taken where it does so by at
# least that share of it.  Hinges with one row in 33 of the rarer class took 40 iterations to 1e-6,
# with two correctors 26; where these were to lead 0.1 farther 30, to the end 32.
FARTHER = 0.3
GAINED = 0.1
# Products X w are computed anew where F, computed from X, is off by more than this share.
DRIFTED = 1e-9


class PathStep(NamedTuple):
    """A Newton step on the central path.

    Attributes
    ----------
    unknowns : ndarray, (size,)
    products : ndarray, (n_samples,)
        X times the step of the coefficients.
    intercept : float
    predictions : ndarray or None, (n_samples,)
        The two together, where rows were solved for: more exact there.
    l1_duals : ndarray or None
        Steps of the dual variables of the L1 part and the bounds.
    """

    unknowns: np.ndarray
    products: np.ndarray
    intercept: float
    predictions: np.ndarray | None
    l1_duals: np.ndarray | None

    def of_rows(self):
        """How predictions change: of each row, and of all."""
        if self.predictions is None:
            return self.products, self.intercept
        return self.predictions, 0.0


@dataclass
@shaped(products="n", duals="3 pieces n", l1_duals="3 columns", at_ends="int64 * in 0:d")
class CentralPathMemory:
    """What a run on the central path remembers.

    Attributes
    ----------
    products : ndarray or None, (n_samples,)
        X w at the point: moved along with it.
    inexact : bool
        Whether rounding was found in them; the next iteration computes them anew.
    duals : ndarray or None, (3, n_pieces, n_samples)
        Dual variables s of the rows and the multipliers of their ends.
    l1_duals : ndarray or None, (3, n_features)
        The same of the L1 part, and of bounds; None without either.
    at_ends : ndarray or None
        Columns whose coefficients the L1 part holds at 0, or a bound at its end.
    total : float
        F at the point.
    dual_objective : float
        What the dual variables prove F to be nowhere below.
    lower : float
        The greatest that was proved so far.
    gap : float
        `total` less `lower`.
    least_gap, mu : float
        The smallest so far.
    idle : int
        Iterations in a row in which neither fell.
    tried_mu : float
        Where dual variables were moved to their ends for a proof: tried again at 0.01 of the mu.
    singular : bool
        Whether directions without curvature were found to be what a factor does not resolve.
    """

    products: np.ndarray | None = None
    inexact: bool = False
    duals: np.ndarray | None = None
    l1_duals: np.ndarray | None = None
    at_ends: np.ndarray | None = None
    total: float = np.nan
    dual_objective: float = -np.inf
    lower: float = -np.inf
    gap: float = np.inf
    least_gap: float = np.inf
    mu: float = np.inf
    idle: int = 0
    tried_mu: float = np.inf
    singular: bool = False


@shaped(metric="d")
class CentralPath(Solver):
    """Primal-dual Newton steps, for losses that `fastgd.losses.piecewise` knows and an elastic net,
    with weights and bounds or without.

    Parameters
    ----------
    objective : Objective

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X, y = np.arange(5.0)[:, None], np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    >>> solver = CentralPath(Objective("quantile", X, y))
    >>> state = solver.start(np.zeros(2))
    >>> for _ in range(10):
    ...     solver.advance(state)
    >>> state.point.round(3)
    array([1., 1.])
    """

    name = "newton"
    form = "by an interior point method"
    traits = Traits(reads="blocks", second_order=True, free_answers=False, proves_itself=True)
    Memory: type = CentralPathMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses losses that are not made of straight and parabolic pieces, penalties without a
        closed form, and matrices that are too large.
        """
        F = objective
        if not central_path_applies(F):
            return f"needs a loss and a penalty with derivatives, got {F.loss!r} and {F.penalty!r}"
        if not F.rows.in_memory and by_rows(F):
            return "solves for the rows, where columns are more, which need X in memory"
        return "takes few columns at once" if takes_columns_by_need(F) else None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By the size of its matrices; smooth losses have Newton's method, which comes first, but
        then this, before what nobody can tell, however much it is.
        """
        F = objective
        passes = likely_iterations(F, tol) * (sweeps(F) + matrix_cost(F))
        reason = "the loss is not smooth, which an interior point method does not mind"
        if F.loss_smooth:
            return Forecast(passes, reason, last=True, sure=True)
        return Forecast(passes, reason)

    @classmethod
    def most_checks(cls, objective):
        """Any number: this is the interior point method."""
        return np.inf

    def __init__(self, objective):
        super().__init__(objective)
        F = objective
        self.linear_map = LinearMap(F)
        # All ends are alike on the central path: a row's product counts for its share of the mean,
        # a column's for all of it.
        self.l1_duals = _column_duals(F)
        self.row_scale = float(F.n_active) if self.l1_duals is not None else 1.0
        one = forms(F.loss)
        n_pieces = len(one.of_pieces)
        self.row_duals = BoundedDuals(one.low, one.high, one.bend)
        self.row_steps = RowSteps(F)
        self.n_correctors = correctors(F)
        # Variables of a row: s for each of its pieces, and what each has for its two ends.
        self.shape = 3, n_pieces, F.n_samples
        of_columns = 0 if self.l1_duals is None else 2 * F.n_features
        if F.term.separable and self.l1_duals is not None:
            of_columns = 2 * self.l1_duals.columns.size
        self.row_ends = sum(self.row_duals.ends) * n_pieces * self.row_scale
        self.n_ends = self.row_ends + of_columns
        self.by_rows, self._system, self._workspace = by_rows(F), None, None
        # For proofs without an L2 part; columns that others make up exactly stay where they are if
        # there is no penalty.
        finite = self.by_rows or F.term.strong_convexity > 0.0
        self.curvature = NO_PIECES if finite else np.zeros(self.shape[1:])
        self._redundant, self._searched = Redundant.none(F.size), False

    @np.errstate(all="ignore")  # values of 1e150 overflow in passing
    def resume(self, state):
        """Go on where data and objective are those of the earlier run, else from its point with
        new dual variables.
        """
        F, memory = self.objective, state.memory
        coef = np.ascontiguousarray(F.split(state.point)[0])
        products = self.linear_map.matvec(coef) if coef.any() else np.zeros(F.n_samples)
        if not self._may_resume(state, products):
            state.forget()
            memory = state.memory
            memory.products = products
            memory.duals = np.zeros(self.shape)
            if not coef.any() and self._no_column_enters(state):
                return

            self._start_rows(state)
            if F.elastic and self.l1_duals is not None:
                memory.l1_duals = self.l1_duals.start(coef)
            elif self.l1_duals is not None:
                memory.l1_duals = self._started(state, coef)
        memory.lower = -np.inf
        memory.least_gap = np.inf
        memory.mu = np.inf
        memory.idle = 0
        self._update_gap(state)
        if memory.total <= F.loss.infimum:  # from there mu would be 0 at once
            memory.lower, state.done = F.loss.infimum, True

    def _start_rows(self, state):
        """Let the dual variables of the rows begin.

        A point with columns was brought by another run, and they begin on the central path, with
        the mean loss as their mu: the products of variables well inside are the further from each
        other the better the point is.  46 runs to 1e-6 from where dual ascent had proved 0.05 took
        0.96 of the iterations (0.93 and 0.99 on two halves), 16 instead of 34 where one row in 33
        is of the rarer class.  From the null model they take as many either way.
        """
        F, duals, mu = self.objective, self.row_duals, 0.0
        if F.split(state.point)[0].any() and all(duals.ends) and duals.bend == 0.0:
            mu = sum(float(one.shares @ one.pieces.value(one.u)) for one in self._tiles(state))
        if mu > 0.0:
            for tile in self._tiles(state):
                state.memory.duals[:, :, tile.rows] = duals.centred(tile.u, mu)
            return

        def tiles():
            return ((one.rows, one.u, one.shares) for one in self._tiles(state))

        for rows, variables in duals.starts(tiles):
            state.memory.duals[:, :, rows] = variables
        if duals.ends[1] and F.fit_intercept:
            self._balance(state)

    def _no_column_enters(self, state):
        """Whether a point without columns is the optimum, which derivatives there then prove: those
        that sum to 0, where there is an intercept, and over each column to no more than l1.  Half a
        pass.

        Epsilon-insensitive loss, 300 x 100 one-hot columns: 231 and 399 passes' worth of time to
        1e-2 and 1e-6, now 5.
        """
        F, memory, sums, share = self.objective, state.memory, np.zeros(3), 0.5
        if F.loss_smooth or not F.elastic or F.l1 == 0.0:  # smooth losses have other solvers
            return False
        if F.fit_intercept:
            self._move_to_kink(state)
            for tile in self._tiles(state):
                least, most = tile.steepest()
                parts = least, most, np.maximum(-least, most)
                sums += [tile.shares @ part.sum(axis=0) for part in parts]
            least, most, size = sums
            if not max(least, -most) <= SUM_ROUNDING * size:
                return False
            share = float(np.clip(-least / (most - least), 0.0, 1.0)) if least < most else 0.5
        for tile in self._tiles(state):
            least, most = tile.steepest()
            memory.duals[0][:, tile.rows] = tile.pieces.sign * (least + share * (most - least))
        memory.total, memory.dual_objective, gradient = self._primal_and_dual(state)
        state.done = bool(gradient.max(initial=0.0) <= F.l1)
        if state.done:
            memory.lower, memory.gap = memory.dual_objective, memory.total - memory.dual_objective
        return state.done

    def _move_to_kink(self, state):
        """Let a row be at its kink that is there but for what a search for the intercept leaves."""
        tiles = list(self._tiles(state))
        move = min((tile.to_kink() for tile in tiles), key=abs)
        size = sum(float(tile.shares @ np.abs(tile.u).sum(axis=0)) for tile in tiles)
        if abs(move) <= OFF_KINK * size:
            state.point[-1] += move

    def _started(self, state, coef):
        """Dual variables of kinks and bounds, about as far along the central path as the rows'
        own.
        """
        products, value = 0.0, self._primal_and_dual(state)[0]
        for tile in self._tiles(state):
            point = self.row_duals.at(tile.u, state.memory.duals[:, :, tile.rows])
            products += float(point.products(np.zeros((3, *tile.u.shape)), tile.shares)[0])
        # Rows without ends say nothing: then the gap of the columns is F.
        mu = products / self.row_ends if products > 0.0 else abs(value) / self.n_ends
        return self.l1_duals.start(coef, self._derivatives(value), mu or 1.0)

    def _derivatives(self, value):
        """About how steep F may be along each coefficient where it is `value`, (d,)."""
        F, ends = self.objective, self.row_duals
        straight = ends.bend == 0.0
        derivative = (
            max(-ends.low, ends.high) if straight else derivative_size(F, value, curvature_unit(F))
        )
        return derivative * F.root_mean_squares()

    def workspace(self, state):
        """Columns that others make up, and the metric of the matrix of the rows."""
        metric = None if self._system is None else self._system.metric
        return {"redundant": self._redundant, "searched": self._searched, "metric": metric}

    def lengths(self, state):
        """Those of the dual variables, too."""
        _, pieces, _ = self.shape
        columns = getattr(self.l1_duals, "columns", None)
        own = self.objective.n_features if columns is None else columns.size
        named = {"pieces": pieces, "columns": own}
        return {**super().lengths(state), **named}

    def _restore(self, state, workspace):
        """Form the matrix of the rows once more."""
        self._redundant, self._searched = workspace["redundant"], workspace["searched"]
        if workspace["metric"] is not None:
            self._system = RowSystem(self._matrix(), self.objective.fit_intercept)
            self._system.take_metric(workspace["metric"])

    def _may_resume(self, state, products):
        """Whether the dual variables of an earlier run are of these rows and this objective."""
        memory = state.memory
        if np.shape(memory.duals) != self.shape:
            return False
        if (memory.l1_duals is None) != (self.l1_duals is None):
            return False
        columns = getattr(self.l1_duals, "columns", None)
        if columns is not None and np.shape(memory.l1_duals)[1:] != columns.shape:
            return False
        near = 1e-9 * np.abs(products).max(initial=0.0)
        if not np.allclose(products, memory.products, rtol=0.0, atol=near):
            return False
        return abs(self._primal_and_dual(state)[0] - memory.total) <= 1e-9 * memory.total

    @np.errstate(all="ignore")
    def advance(self, state):
        """A step that tells where to aim at, and the one that goes there: one curvature matrix
        and four halves of a pass.  Where two more, a corrector, are cheap beside the matrix, the
        step is corrected while that leads farther.
        """
        if state.done:
            state.iteration += 1
            return
        F, memory = self.objective, state.memory
        coef = F.split(state.point)[0]
        if memory.inexact:
            memory.products = self.linear_map.matvec(np.ascontiguousarray(coef))
            memory.inexact = False
        l1_point = None if self.l1_duals is None else self.l1_duals.at(coef, memory.l1_duals)
        (curvatures, derivatives), rows = self._arrays(), self.row_steps
        point = memory.products, self._intercept(state), memory.duals
        rows.begin(*point, derivatives, curvatures, self.curvature)
        factor = self._factor(memory, curvatures, l1_point)
        first = self._step(state, factor, derivatives, curvatures, l1_point)
        mu, aim = self._aim(first, l1_point)
        rows.correct(first.of_rows(), self.row_scale * aim, derivatives)
        asked = None if l1_point is None else l1_point.corrected(aim, first.l1_duals)
        step = self._step(state, factor, derivatives, derivatives, l1_point, asked)
        step, share = self._centred(state, factor, step, l1_point, asked, aim)
        share = min(1.0, TO_THE_END * share)
        rows.move(step.of_rows(), share, memory.duals)
        memory.products += np.multiply(share, step.products, out=step.products)
        if l1_point is not None:
            memory.l1_duals = memory.l1_duals + share * step.l1_duals
        state.point = state.point + share * step.unknowns
        state.rate, state.iteration, state.updates = share, state.iteration + 1, state.updates + 1
        self._update_gap(state)
        if self.curvature.size:
            ahead = (1.0 - share) * mu + share * aim
            self._prove(state, factor, ahead, self.curvature, l1_point)
        self._notice_end(state, mu)

    def _centred(self, state, factor, step, l1_point, asked, aim):
        """The step and how much of it can be taken, after correctors that lead farther."""
        rows, (spare, held) = self.row_steps, self._arrays()
        share = self._measured(rows.measure, step, l1_point)[1]
        for _ in range(self.n_correctors):
            if share + GAINED * FARTHER > 1.0:
                break
            reach, more = min(share + FARTHER, 1.0), None
            rows.centre(step.of_rows(), self.row_scale * aim, reach, spare)
            if l1_point is not None:
                more = l1_point.centred(asked, step.l1_duals, aim, reach)
            other = self._step(state, factor, spare, spare, l1_point, more)
            farther = self._measured(rows.measure, other, l1_point)[1]
            if farther < share + GAINED * FARTHER:
                rows.undo()
                break
            # The products of the step that is left are in the array for the next ones.
            step, share, asked, spare, held = other, farther, more, held, spare
        return step, share

    def _notice_end(self, state, mu):
        """Make the run end where the gap is rounding, or where neither it nor mu falls."""
        memory, point = state.memory, state.point
        beyond = np.abs(self.objective.allowed(point) - point).max(initial=0.0)
        # Losses beyond the bounds may be below the minimum within them.
        gap = memory.gap if beyond <= ROUNDING * np.abs(point).max(initial=0.0) else np.inf
        # From a point beside the central path F rises at first, while mu falls.
        rounding = ROUNDING * abs(memory.total)
        closer = gap < memory.least_gap - rounding or rounding < mu < 0.9 * memory.mu
        memory.least_gap = min(gap, memory.least_gap)
        memory.mu = min(mu, memory.mu)
        memory.idle = 0 if closer else memory.idle + 1
        state.done = memory.idle >= MAX_IDLE or gap <= 4.0 * EPS * abs(memory.total)

    def progress(self, state):
        """The dual objective at the dual variables, the greatest so far, and the gap to F."""
        memory = state.memory
        return Progress(gap_estimate=memory.gap, lower=memory.lower, done=state.done)

    def answer(self, state):
        """The unknowns, with the coefficients that an L1 part holds at 0 there, and within their
        bounds.
        """
        if self.l1_duals is None:
            return state.point
        F, v, at_ends = self.objective, state.point.copy(), state.memory.at_ends
        coef = v[: F.n_features]
        if at_ends is not None and F.elastic:
            coef[at_ends] = 0.0
        elif at_ends is not None:
            # Where no row is at a kink, what is next to nothing holds a coefficient more: those
            # that are moved together change F by no more than the gap.
            nearest, sizes = self.l1_duals.nearest(coef), self._derivatives(abs(state.memory.total))
            moves = (sizes * np.abs(coef - nearest))[at_ends]
            order = np.argsort(moves, kind="stable")
            moved = at_ends[order][np.cumsum(moves[order]) <= state.memory.gap]
            coef[moved] = nearest[moved]
        return F.allowed(v)

    def evaluate(self, state):
        """(v, smooth part of F, its gradient) at the answer, from X: one pass.

        Where rounding shows in the products that move along with the point, the next iteration
        begins with new ones.
        """
        found, memory, path = super().evaluate(state), state.memory, self._path_memory(state)
        if path is None:
            return found
        F = self.objective
        total = found.smooth_value + F.rest_value(found.point)
        before = memory.total - F.penalty_value(F.allowed(state.point))
        change = total - F.penalty_value(found.point) - before
        # What the losses may change by where coefficients are moved to their kinks or ends.
        moved = np.abs(found.point - state.point)[: F.n_features]
        near = float(self._derivatives(abs(total)) @ moved) if moved.any() else 0.0
        path.inexact = not abs(change) <= DRIFTED * abs(total) + near
        return found

    def _path_memory(self, state):
        """What remembers the products that move along with the point."""
        return state.memory

    def _balance(self, state):
        """Scale down the derivatives of the heavier sign: from the middle the central path of
        rare classes was lost at once.
        """
        s, sums = state.memory.duals[0], np.zeros(2)
        for tile in self._tiles(state):
            derivatives = tile.shares * tile.pieces.sign * s[:, tile.rows]
            sums += np.maximum(derivatives, 0.0).sum(), np.maximum(-derivatives, 0.0).sum()
        side, share = 1.0 if sums[0] > sums[1] else -1.0, sums.min() / max(sums.max(), 1e-300)
        for tile in self._tiles(state):
            heavier = side * tile.pieces.sign * s[:, tile.rows] > 0.0
            s[:, tile.rows] *= np.where(heavier, share, 1.0)

    def _tiles(self, state):
        """The rows that count, at the point of a state: each a `RowTile`."""
        return row_tiles(self.objective, state.memory.products, self._intercept(state))

    def _intercept(self, state):
        return float(state.point[-1]) if self.objective.fit_intercept else 0.0

    def _arrays(self):
        """Two arrays as long as there are rows."""
        if self._workspace is None:
            self._workspace = np.zeros((2, self.objective.n_samples))
        return self._workspace

    def _aim(self, first, l1_point):
        """Mean of what should be mu over all ends, a row's times its share of the mean loss, and
        where to aim at.
        """
        sums, share = self._measured(self.row_steps.predict, first, l1_point)
        return aimed_at(sums / max(self.n_ends, 1.0), share)

    def _measured(self, of_rows, step, l1_point):
        """Sums of what should be mu after a share of a step, as of `InteriorPoint.products`, and
        the share at which the first variable reaches its end; `of_rows` tells both of the rows.
        """
        sums, share = of_rows(step.of_rows())
        if l1_point is None:
            return sums, share
        own = l1_point.products(step.l1_duals, 1.0)
        return sums + own, min(share, l1_point.longest(step.l1_duals))

    def _factor(self, memory, curvatures, l1_point):
        """Curvature of the step, made ready to be solved with."""
        F = self.objective
        if self.by_rows:
            active = curvatures[F.samples.active()] / F.n_active
            return self._row_system(memory, active, l1_point)
        factor = self._factor_of(curvatures, self._redundant, memory, l1_point)
        if not (factor.regular or self._searched or is_penalised(F).all()):
            self._redundant = redundant_columns(
                F, self.linear_map, curvatures > 0.0, ~is_penalised(F)
            )
            self._searched = True
            factor = self._factor_of(curvatures, self._redundant, memory, l1_point)
        return factor

    def _factor_of(self, curvatures, redundant, memory, l1_point=None):
        """Factor of the curvature of F where rows have these; `memory` notes which columns are
        held at 0.
        """
        F = self.objective
        matrix = F.gram(curvatures)
        if F.term.fixed is not None:  # coefficients that are nowhere else
            own = np.arange(F.n_features)[F.term.fixed]
            matrix[own] = matrix[:, own] = 0.0
        if l1_point is not None:
            d = np.arange(F.n_features)
            memory.at_ends = _at_ends(l1_point, matrix[d, d])
            matrix[d, d] += l1_point.curvature
            return Factor(redundant.left_out(matrix))
        factor, memory.singular = factor_of(
            F, lambda: curvatures, redundant.left_out(matrix), memory.singular
        )
        return factor

    def _row_system(self, memory, curvatures, l1_point):
        F = self.objective
        if self._system is None:
            self._system = RowSystem(self._matrix(), F.fit_intercept)
        metric = np.zeros(F.n_features) + F.term.curvature(np.zeros(F.n_features))
        if l1_point is not None:
            memory.at_ends = _at_ends(l1_point, metric + self._system.squares(curvatures))
            metric += l1_point.curvature
        if F.term.fixed is not None:
            metric[F.term.fixed] = np.inf
        F.meter.count(1.0 * self._system.factorise(metric, curvatures))
        return self._system

    def _matrix(self):
        F = self.objective
        chosen = slice(None) if F.n_active == F.n_samples else F.samples.active()
        return F.rows.part(chosen).astype(np.float64, copy=False)

    def _step(self, state, factor, derivatives, out, l1_point, asked=None):
        """The `PathStep` that these derivatives of the rows ask for; its products go into `out`.

        `asked` are the products that the L1 part's dual variables are to have.
        """
        F, predictions, equations = self.objective, None, None
        rest = F.term.gradient(state.point[: F.n_features])
        if l1_point is not None:
            equations = l1_point.equations(asked)
            rest = rest + equations.target()
        if self.by_rows:
            active, predictions = F.samples.active(), np.zeros(F.n_samples)
            step, predictions[active] = (-part for part in factor.solve(derivatives[active], rest))
        else:
            gradient = self._gradient(derivatives)
            gradient[: F.n_features] += rest
            step = -factor.solve(gradient)
        coef, intercept = F.split(step)
        products = self.linear_map.matvec(np.ascontiguousarray(coef), out)
        l1_duals = None if equations is None else np.array(equations.step(coef))
        return PathStep(step, products, intercept, predictions, l1_duals)

    def _gradient(self, derivatives):
        """Sum of derivative * (x, 1): half a pass."""
        F = self.objective
        gradient = np.empty(F.size)
        self.linear_map.rmatvec(derivatives, gradient[: F.n_features])
        if F.fit_intercept:
            gradient[-1] = derivatives.sum()
        return gradient

    def _update_gap(self, state):
        """F here, the bound, and the gap between them; the gradient that is left, in magnitude:
        half a pass.
        """
        memory = state.memory
        memory.total, memory.dual_objective, gradient = self._primal_and_dual(state)
        memory.lower = max(memory.lower, memory.dual_objective)
        memory.gap = memory.total - memory.lower
        return gradient

    def _primal_and_dual(self, state):
        """F, and what it is nowhere below: the least of what the dual variables leave of it, made
        feasible first.

        An intercept asks for derivatives that sum to 0: those of the heavier sign are scaled down.
        Without an L2 part no column may have a gradient beyond l1: all rows are scaled down. The
        gradient before that comes third.

        What rounds: the rows' terms, by a few units of their sizes, in which targets and offsets
        may have canceled; and the gradient, which leaves the bound wrong by no more than sum_j e_j
        |w*_j|, w* being an optimum, which is taken for twice w at most.  From the first iteration
        on: the greatest bound is kept, and is a claim once F has fallen; where w is next to
        nothing yet, bounds are far below later ones.
        """
        F, memory, derivatives = self.objective, state.memory, self._arrays()[0]
        point = memory.products, self._intercept(state), memory.duals[0]
        losses, sums = self.row_steps.losses_and_duals(*point, derivatives)
        share, sizes = np.ones(2), np.abs(sums[:, 0])
        if F.fit_intercept:
            heavier = int(np.argmax(sizes))
            share[heavier] = sizes.min() / max(sizes.max(), 1e-300)
            np.multiply(
                derivatives,
                share[heavier],
                out=derivatives,
                where=(derivatives > 0.0) == (heavier == 0),
            )
        linear, size, squares = share @ sums[:, 1], share @ sums[:, 2], share**2 @ sums[:, 3]
        gradient_of_losses = self._gradient(derivatives)[: F.n_features]
        gradient = np.abs(gradient_of_losses)
        beyond, scale = np.maximum(gradient - F.l1, 0.0), 1.0
        if F.term.separable:
            scale, least = F.term.least(gradient_of_losses)
            rest = -least
        elif F.l2 > 0.0:
            rest = 0.5 * float(beyond @ beyond) / F.l2
        else:
            rest, scale = 0.0, min(1.0, F.l1 / max(float(gradient.max(initial=0.0)), 1e-300))
        lower = scale * (linear - scale * squares) - rest - 8.0 * EPS * (size + squares + abs(rest))
        lower -= 4.0 * EPS * float(sizes.sum()) * offset_size(F)
        total = losses + F.penalty_value(F.allowed(state.point))
        size = float(np.linalg.norm(derivatives)) * np.sqrt(F.n_samples)
        lower -= 3.0 * sum_rounding(F) * size * prediction_size(F, state.point)
        return total, float(lower), gradient

    def _prove(self, state, factor, mu, curvature, l1_point):
        """Raise the bound to what completed dual variables prove, `factor` being that of the
        iteration: half a pass.

        Where that is nothing although the gap is closing, some may not be free to move: a level
        that only rows of one class have leaves them nothing but 0.  Then those that the ends hold
        are moved there, for a matrix of the others.
        """
        F, memory, bounds, s = self.objective, state.memory, self.row_duals, state.memory.duals[0]
        value = self._completed(state, s, curvature, factor, self._redundant, l1_point)
        closing = mu <= min(CLOSING * abs(memory.total), memory.tried_mu)
        if value == -np.inf and closing and l1_point is None:
            memory.tried_mu = 0.01 * mu
            sizes = [
                [tile.shares @ abs(one).sum(axis=0) for one in (s[:, tile.rows], tile.u)]
                for tile in self._tiles(state)
            ]
            free = curvature >= FREE_SHARE * np.divide(*np.sum(sizes, axis=0))
            nearest = np.where(s - bounds.low < bounds.high - s, bounds.low, bounds.high)
            s = np.where(free, s, nearest)
            curvature = np.where(free, curvature, 0.0)
            curvatures = F.samples.weights * curvature.sum(axis=0)
            redundant = redundant_columns(F, self.linear_map, curvatures > 0.0, ~is_penalised(F))
            factor = self._factor_of(curvatures, redundant, memory)
            value = self._completed(state, s, curvature, factor, redundant)
        memory.lower = max(memory.lower, value)
        memory.gap = memory.total - memory.lower

    def _completed(self, state, s, curvature, factor, redundant, l1_point=None):
        """What dual variables near `s` prove, `curvature` being that of `factor`, or -inf."""
        if not factor.regular:
            return -np.inf
        derivatives = self._arrays()[0]
        derivatives[:] = 0.0
        for tile in self._tiles(state):
            derivatives[tile.rows] = tile.derivatives(s[:, tile.rows])
        rows = ((tile, s[:, tile.rows], curvature[:, tile.rows]) for tile in self._tiles(state))
        l1 = None if l1_point is None else self._column_parts(state, l1_point)
        data = self.objective, self.row_duals, rows, state.point, self._gradient(derivatives)
        return completed_dual.lower_bound(*data, factor, redundant, l1)

    def _column_parts(self, state, l1_point):
        """The dual variables of kinks and bounds, as completed ones need them."""
        duals, s = self.l1_duals, state.memory.l1_duals[0]
        coef = self.objective.split(state.point)[0]
        if self.objective.elastic:
            slack, nothing = duals.high - np.abs(s), np.zeros(0)
            return completed_dual.ColumnParts(coef, l1_point.curvature, slack, nothing, s)
        ends, curvature = duals.pieces, l1_point.variables.curvature
        slack = np.minimum(s - ends.low, ends.high - s)
        parts = duals.distances(coef), curvature, slack, -s * duals.kinks, duals.summed(s)
        return completed_dual.ColumnParts(*parts, duals.constant)


def _column_duals(objective):
    """Dual variables of what a penalty has of kinks and bounds, or None."""
    F = objective
    if F.elastic:
        return BoundedDuals(-F.l1, F.l1, 0.0) if F.l1 > 0.0 else None
    duals = ColumnDuals(F.term, F.n_features)
    return duals if duals.columns.size else None


def _at_ends(l1_point, curvature):
    """Where the ends hold a coefficient more than the data do: it is 0 but for less than sqrt(mu /
    curvature).
    """
    return np.flatnonzero(l1_point.curvature > curvature)
