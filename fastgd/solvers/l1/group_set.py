"""Block coordinate descent on a working set of groups: `solver="newton"` for a squared loss and a
penalty on groups of features, or on the rows of K targets' coefficients.

The loss is a quadratic, whose matrix is that of the columns whatever the targets are.  An iteration
takes its part of the groups that are not 0 and of those whose gradient is greatest, finds the
minimum over these, intercepts included, in no pass (`fastgd.solvers.l1.group_descent`), and then
the gradient of all columns, which also is what the duality gap needs.  Where a matrix of all
columns takes no longer than some iterations, and more than few are likely to be in the model, it is
formed once, for all alphas of a path, and an iteration or two are all.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastgd.certificates.free_groups import free_groups, lower_bound
from fastgd.certificates.rounding import intercept_rounding, offset_size, sum_rounding
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import mirror
from fastgd.losses.each_target import is_square
from fastgd.objective.cost_model import Cost, curvature_cost, pass_cost
from fastgd.objective.distances import gap_scale_at
from fastgd.objective.gram import gram_sum
from fastgd.objective.measured import is_measured, measured_once
from fastgd.objective.null_model import null_point
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Forecast, Progress, Solver, TooLarge, Traits
from fastgd.solvers.l1.column_subset import WIDEST_MATRIX, ColumnSubset
from fastgd.solvers.l1.group_descent import GroupDescent
from fastgd.solvers.l1.group_models import DenseColumns, MatrixModel, SparseColumns

# All columns have a matrix where there are no more than WIDEST_MATRIX, and it costs so many passes
# at most.
ALL_AT_ONCE = 10.0
# It is not formed while the columns that are in the model or violate take so many passes less.
EXTRA_PASSES = 2.0
# A working set has so many columns at least, and so many times those that are not 0.
MIN_COLUMNS = 200
GROWTH = 2
# The minimum over a set is found to this share of the greatest violation, or of what tol asks for.
INNER = 0.05
SHARE = 0.2
# What a matrix of m dense columns takes, 0.05 n m^2 ns, is some 30 epochs, of which one takes 0.25
# m^2 K ns with it and 0.5 n m K by columns, where m is so many times K.
COLUMNS_PER_PREDICTION = 150
# So many values of dense columns are gathered for a matrix: 300 x 200 take 1 ms, 3.8 by tiles of
# rows.
FEW_VALUES = 1_000_000
# A value that follows from a matrix is as good as one from a pass where it is off by less than this
# share, and than this share of tol.
EXTRAPOLATED = 1e-9
NEGLIGIBLE = 0.02
# Iterations in a row of which none brings more than rounding, after which it is done.
MAX_IDLE = 2
TYPICAL_PASSES = Cost(
    20.0,
    "passes",
    "To 1e-4, hardly ever more: 2.5 to 9.5, in the middle 5.6, on 72 random problems of 1,500 "
    "to 6,000 columns.",
)


@dataclass
@shaped(anchor="u")
class GroupSetMemory:
    """What the solver remembers.

    Attributes
    ----------
    idle : int
        Iterations in a row in which F fell by rounding at most, and the violation by no half.
    least_violation : float
        The least of the greatest violations before a step.
    anchor, anchor_value : ndarray and float, or None
        A point and the smooth part of F there, from which value and gradient follow by the matrix
        of all columns; None where they are from a pass.
    rounding : float
        What a value that follows may be wrong by.
    """

    idle: int = 0
    least_violation: float = np.inf
    anchor: np.ndarray | None = None
    anchor_value: float | None = None
    rounding: float = 0.0


@shaped(_features="int64 m in 0:d", _matrix="m m", _means="m")
class GroupSet(Solver):
    """Block coordinate descent on a working set, for a squared loss of one prediction or several.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.

    Examples
    --------
    >>> from fastgd import GroupLasso, Objective
    >>> X = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> F = Objective("squared_error", X, y, penalty=GroupLasso([[0], [1]]), alpha=0.5)
    >>> solver = GroupSet(F, 1e-9)
    >>> state = solver.start(F.start())
    >>> solver.advance(state)
    >>> state.point.round(3)
    array([0.6, 0. , 0.6])
    """

    name = "newton"
    form = "by block coordinate descent"
    traits = Traits(reads="sums", second_order=True, memory_needs_same_objective=True)
    made_with = ("tol",)
    Memory = GroupSetMemory
    workspace_names = "_features", "_matrix", "_means"

    @classmethod
    def refusal(cls, objective):
        """Refuses other losses and penalties, and many columns that are not in memory."""
        F = objective
        if groups_of(F) is None:
            return "by block coordinate descent is for penalties on groups of features"
        if not is_square(F.loss):
            return f"by block coordinate descent is for a squared loss, got {F.loss!r}"
        if not F.rows.in_memory and F.n_features > WIDEST_MATRIX:
            return TooLarge(f"has a matrix of {WIDEST_MATRIX} columns at most, got {F.n_features}")
        return None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """A pass and the matrix of all columns, or some iterations on those that are not 0."""
        if takes_all(objective):
            cost = curvature_cost(objective)
            reason = f"one matrix for all targets costs about {cost:.2g} passes"
            return Forecast(1.0 + cost, reason, sure=True)
        reason = "most groups are 0: block coordinate descent on the others"
        return Forecast(TYPICAL_PASSES, reason)

    def __init__(self, objective, tol=0.0):
        super().__init__(objective)
        F = objective
        self.tol, self.groups = tol, groups_of(F)
        self.places = np.empty(F.n_features, dtype=np.int64)
        self.places[self.groups.features] = np.repeat(
            np.arange(self.groups.sizes.size), self.groups.sizes
        )
        self._may_take_all, self._elsewhere = takes_all(F), not F.rows.in_memory
        self._all = self._knows_all
        self._columns: Any = None if self._elsewhere else ColumnSubset(F, F.rows)
        # Of the last matrix, and of the last columns that were gathered.
        self._features = np.empty(0, dtype=np.int64)
        self._matrix, self._means = np.empty((0, 0)), np.empty(0)
        self._gathered: tuple = (self._features, None, None)
        self._free = free_groups(self.groups)
        self._free_factor = self._factor_of_free()
        if self._free_factor is not None:
            self.traits = replace(self.traits, proves_itself=True)

    def advance(self, state):
        """The minimum over a working set, and a pass."""
        F, d = self.objective, self.objective.n_features
        table, gradient = (
            one.reshape(-1, F.n_predictions) for one in (state.point, state.gradient)
        )
        violations = self._violations(table[:d], gradient[:d])
        off = float(violations.max(initial=0.0))
        total = state.value + F.rest_value(state.point)
        self._all = self._knows_all or self._needs_all(table[:d], violations)
        groups = self.groups if self._all else self._chosen(table[:d], gradient[:d], violations)
        whole = groups.sizes.size == self.groups.sizes.size
        goal = self._goal(state, total)
        goals = max(goal, 0.0 if whole else INNER * off), goal
        before = state.point, state.value, state.gradient
        by_pass = state.memory.anchor is None
        state.point = self._lowest(table, gradient, groups, goals)
        if not ((by_pass and self._follow(state, *before)) or self._follow_null(state)):
            self._evaluate_by_pass(state)
        fall, memory = total - state.value - F.rest_value(state.point), state.memory
        # Near the optimum F falls by less than its rounding, and violations still tell.
        closer = off < 0.5 * memory.least_violation
        memory.least_violation = min(off, memory.least_violation)
        memory.idle = 0 if closer or fall > 4.0 * EPS * abs(total) else memory.idle + 1
        state.done = memory.idle >= MAX_IDLE
        state.iteration += 1
        state.updates += 1

    @property
    def _knows_all(self):
        """Whether the matrix of all columns is there, or has to be."""
        known = is_measured(self.objective, mean_products)
        return self._elsewhere or (self._may_take_all and known)

    def _needs_all(self, coef, violations):
        """Whether it is worth its passes: the columns that are in the model, or violate, are not
        few.

        40,000 x 167 with 3 targets and 8 columns in the model took 91 ms with it and takes 56,
        scikit-learn 72 to 91.
        """
        if not self._may_take_all:
            return False
        moving = (np.bincount(self.places, coef.any(axis=1)) > 0.0) | (violations > 0.0)
        share = float(self.groups.sizes[moving].sum()) / self.objective.n_features
        return curvature_cost(self.objective) * (1.0 - share**2) <= EXTRA_PASSES

    def resume(self, state):
        """Value and gradient at a point; those that follow from an anchor hold where its value is
        what it was, as in `fastgd.solvers.newton.least_squares`.
        """
        known = state.memory.anchor_value
        if known is None:
            super().resume(state)
        elif self.objective.smooth_and_gradient(state.memory.anchor)[0] != known:
            self._evaluate_point(state)
            state.forget()

    def progress(self, state):
        """What a value that follows from an anchor may be wrong by, and where groups have no
        penalty what F is nowhere below.
        """
        memory, lower = state.memory, -np.inf
        doubt = None if memory.anchor is None else memory.rounding
        if self._free_factor is not None:
            free = self.groups, self._free, self._free_factor
            here = state.point, state.value, state.gradient
            lower = lower_bound(self.objective, *free, *here) - (doubt or 0.0)
        return Progress(doubt=doubt, done=state.done, lower=lower, by_gap=True)

    def _factor_of_free(self):
        """Of the matrix of the columns without a penalty and of the intercept; None where there
        are none, or it is singular.
        """
        groups = self.groups.part(self._free)
        if not 0 < groups.features.size <= WIDEST_MATRIX:
            return None
        matrix, means = self._curvature(groups)
        if self.objective.fit_intercept:
            matrix += np.outer(means, means)
            matrix = np.block([[matrix, means[:, None]], [means, np.ones(1)]])
        factor = Factor(matrix)
        return factor if factor.full else None

    def _evaluate_point(self, state):
        """By the matrix of all columns, or a pass."""
        if not self._follow_null(state):
            self._evaluate_by_pass(state)

    def _evaluate_by_pass(self, state):
        """Nothing follows from an anchor then."""
        state.memory.anchor = state.memory.anchor_value = None
        super()._evaluate_point(state)

    def _follow_null(self, state):
        """Value and gradient at the point by those at the null model, which a path has one pass
        for; False as of `_follow`.
        """
        if not (self._may_take_all and self.tol > 0.0):
            return False
        known = self._knows_all or is_measured(self.objective, null_gradient)
        if not known and not self._is_null(state.point):
            return False
        point, value, gradient = measured_once(self.objective, null_gradient)
        if not np.array_equal(state.point, point):
            return self._follow(state, point, value, gradient)
        state.value, state.gradient = value, gradient.copy()
        state.memory.anchor = state.memory.anchor_value = None
        return True

    def _is_null(self, point):
        """Whether this is the null model."""
        F = self.objective
        F.know_null_model()
        return np.array_equal(point, null_point(F, F.null_intercept))

    def _follow(self, state, anchor, anchor_value, anchor_gradient):
        """Value and gradient at the point by those at an anchor and the matrix of all columns;
        False where there is none, or rounding would show.

        As in `fastgd.solvers.newton.least_squares`: with u the rounding of a sum, a derivative is
        wrong by u sqrt(H_jj) s, and the value by u s^2, where s = sqrt(2 F) + sum_k sqrt(H_kk)
        (|step_k| + |w_k|) + max_i |offset_i|.
        """
        F = self.objective
        memory = state.memory
        point = state.point
        if not (self._knows_all and self._may_take_all and self.tol > 0.0):
            return False
        matrix = measured_once(F, mean_products)
        matrix = matrix[: F.n_features + F.fit_intercept, : F.n_features + F.fit_intercept]
        step, old = (one.reshape(-1, F.n_predictions) for one in (point - anchor, anchor))
        change = matrix @ step
        change[self.groups.features] += self.groups.l2[:, None] * step[self.groups.features]
        change = change.ravel()
        value = anchor_value + float((point - anchor) @ (anchor_gradient + 0.5 * change))
        lengths = np.sqrt(np.square(step).sum(axis=1)) + np.sqrt(np.square(old).sum(axis=1))
        size = np.sqrt(2.0 * anchor_value) + float(np.sqrt(matrix.diagonal()) @ lengths)
        rounding = 4.0 * sum_rounding(F) * (size + offset_size(F)) ** 2
        allowed = min(NEGLIGIBLE * self.tol, EXTRAPOLATED) * value
        if not (value > 1e-3 * anchor_value and rounding <= allowed):
            return False
        memory.anchor, memory.anchor_value = anchor, anchor_value
        state.value, state.gradient = value, anchor_gradient + change
        unbalanced = float(
            np.abs(state.gradient[F.n_features * F.n_predictions :]).max(initial=0.0)
        )
        memory.rounding = rounding + intercept_rounding(F, point, unbalanced)
        return True

    def _violations(self, coef, gradient):
        """How far each group is from its optimum: the length of its subgradient of least norm."""
        F = self.objective
        found = F.term.subgradient(coef.ravel(), gradient.ravel()).reshape(coef.shape)
        return np.sqrt(np.bincount(self.places, np.square(found).sum(axis=1)))

    def _chosen(self, coef, gradient, violations):
        """The part of the groups that are not 0 and of those with the greatest violation."""
        groups = self.groups
        used = np.bincount(self.places, coef.any(axis=1)) > 0.0
        n_used = int(groups.sizes[used].sum())
        most = max(MIN_COLUMNS, GROWTH * n_used)
        score = np.where(used, np.inf, violations)
        order = np.argsort(-score, kind="stable")
        fitting = int(np.searchsorted(np.cumsum(groups.sizes[order]), most, side="right"))
        order = order[: max(fitting, np.count_nonzero(used) + 1)]  # one more, however large
        return groups.part(np.sort(order[score[order] > 0.0]))

    def _goal(self, state, total):
        """The violation at which the duality gap is SHARE of what tol asks for."""
        F, groups = self.objective, self.groups
        strengths = groups.strengths + groups.l1
        penalised = (strengths > 0.0) & (strengths < np.inf)
        strength = float(strengths[penalised].min(initial=np.inf))
        target = SHARE * self.tol * gap_scale_at(F, total)
        rest = F.rest_value(state.point)
        rounding = 1e-2 * EPS * float(np.abs(state.gradient).max())
        curved = float(groups.l2[np.repeat(penalised, groups.sizes)].min(initial=np.inf))
        if 0.0 < curved < np.inf:
            own = 0.5 * target * strength / rest if rest > 0.0 else np.inf
            return max(min(own, np.sqrt(target * curved / groups.sizes.size)), rounding)
        return max(target * strength / (2.0 * rest + total), rounding)

    def _lowest(self, table, gradient, groups, goals):
        """Unknowns, (size,), where F is least over these groups, from `table` on: to the first goal
        at least, and to the second while that takes less than a pass.
        """
        F = self.objective
        d = F.n_features
        features = groups.features
        coef = table[features].T.copy()
        model = self._model(groups, coef, gradient)
        least, tighter = goals
        GroupDescent(model, coef, groups).minimise(least, tighter, pass_cost(F))
        moved = table.copy()
        moved[features] = coef.T
        if F.fit_intercept:
            moved[d] -= gradient[d] + (coef - table[features].T) @ model.means
        return moved.ravel()

    def _model(self, groups, coef, gradient):
        """F over the columns of these groups, intercepts at their best: a matrix where it is the
        shorter one.
        """
        F, features = self.objective, groups.features
        if not self._all and by_columns(self._columns, features):
            if F.rows.sparse:
                return sparse_columns(self._columns, groups, coef)
            if not np.array_equal(self._gathered[0], features):
                self._gathered = features, *gathered(F, features)
            _, columns, means = self._gathered
            return dense_columns(F, columns, means, groups.l2, coef)
        if not np.array_equal(self._features, features):
            self._features = features
            self._matrix, self._means = self._curvature(groups)
        along = gradient[features].T.copy()
        if F.fit_intercept:
            along -= gradient[F.n_features][:, None] * self._means
        return MatrixModel(self._matrix, along, coef, self._means)

    def _curvature(self, groups):
        """The matrix of the columns of these groups, less that of their means where there are
        intercepts, and these means.
        """
        F, features = self.objective, groups.features
        if not self._all and not F.rows.sparse and features.size * F.n_samples <= FEW_VALUES:
            columns, means = gathered(F, features)
            F.meter.count(features.size / F.n_features)
            matrix = columns @ columns.T
            matrix[np.diag_indices_from(matrix)] += groups.l2
            return matrix, means
        if self._all:
            found, where = measured_once(F, mean_products), np.append(features, F.n_features)
        else:
            chosen = np.sort(features)
            found = self._columns.curvature(chosen, weights_of(F))
            mirror(found)
            where = np.append(np.searchsorted(chosen, features), chosen.size)
        matrix = found[np.ix_(where, where)]
        means, matrix = matrix[-1, :-1].copy(), matrix[:-1, :-1].copy()
        if F.fit_intercept:
            matrix -= np.outer(means, means)
        matrix[np.diag_indices_from(matrix)] += groups.l2
        return matrix, means


def by_columns(subset, features):
    """Whether epochs over these columns themselves are shorter than a matrix of them and epochs
    over it.
    """
    if subset.rows.sparse:
        return subset.are_swept(features)
    F, size = subset.objective, features.size
    n, k = F.n_samples, F.n_predictions
    return size * n > COLUMNS_PER_PREDICTION * k * (2 * n - size)


def gathered(F, features):
    """Dense columns, (m, n), less their means where there are intercepts and times the roots of the
    rows' weights, and these means.
    """
    weights = shares_of(F)
    columns = np.ascontiguousarray(F.rows.part(slice(None), features).T, dtype=np.float64)
    means = columns @ weights if F.fit_intercept else np.zeros(features.size)
    columns -= means[:, None]
    columns *= np.sqrt(weights)
    return columns, means


def dense_columns(F, columns, means, l2, coef):
    """The model of gathered columns with coefficients (K, m): those of others are 0."""
    residuals = coef @ columns - targets_of(F).T * np.sqrt(shares_of(F))
    return DenseColumns(columns, residuals, l2, means)


def sparse_columns(subset, groups, coef):
    """The same of the compressed columns of some groups, as they are."""
    F, features = subset.objective, groups.features
    values, rows, starts, places = subset.by_column(features)
    every = sp.csc_array((values, rows, starts), shape=(F.n_samples, starts.size - 1))
    columns = every[:, places[:-1]]
    residuals = np.ascontiguousarray(columns @ coef.T - targets_of(F))
    return SparseColumns(columns, shares_of(F), residuals, groups.l2, F.fit_intercept)


def weights_of(F):
    """Weights of the rows, one for each, which also are their curvatures."""
    return np.ascontiguousarray(np.broadcast_to(F.samples.weights, (F.n_samples,)), np.float64)


def shares_of(F):
    """Weights of the rows, which sum to 1."""
    return weights_of(F) / F.n_active


def targets_of(F):
    """Targets less offsets, (n, K), less their mean where there are intercepts."""
    targets = F.samples.targets.reshape(F.n_samples, -1)
    targets = targets - np.reshape(F.samples.offsets, (-1, 1))
    return targets - shares_of(F) @ targets if F.fit_intercept else targets


def groups_of(objective):
    """The groups that the penalty of an objective has, or None."""
    return objective.term.feature_groups(objective.n_features, objective.n_predictions)


def takes_all(objective):
    """Whether the matrix of all columns is formed."""
    F = objective
    if not F.rows.in_memory:
        return True
    return F.n_features <= WIDEST_MATRIX and curvature_cost(F) <= ALL_AT_ONCE


def mean_products(objective):
    """Weighted mean of (x_i, 1)(x_i, 1)', (d + 1, d + 1): a pass."""
    F = objective
    return F.sum_over_parts(gram_sum, False, rows=(weights_of(F),)) / F.n_active


def null_gradient(objective):
    """The null model, the mean loss there and its gradient: a pass."""
    F = objective
    F.know_null_model()
    point = null_point(F, F.null_intercept)
    return point, *F.loss_and_gradient(point)
