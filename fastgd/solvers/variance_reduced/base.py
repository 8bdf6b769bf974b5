"""What SAGA and SVRG share: how often each row is visited, and the run of an epoch.

A row whose curvature (see `row_curvature.py`) is more than `LONGEST` times the mean is visited that
much more often in an epoch, and counts that much less each time, so that no row dictates the step
of all others: on 300 rare binary columns epochs to 1e-4 and 1e-6 fell from 50 and 95 to 15 and 30,
for 1.14 n visits. There are never more than 1.5 n.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.objective.cost_model import BATCH_COST
from fastgd.penalties.separable import L2
from fastgd.rules.batches import row_order
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Solver, State, Traits
from fastgd.solvers.variance_reduced import kernels
from fastgd.solvers.variance_reduced.row_curvature import (
    column_rates,
    longest_dense_rates,
    mean_curvature,
    row_curvatures,
    touches,
)

# How many times the mean curvature a row may have that is visited once in an epoch.
LONGEST = 2.0
# Steps that are halved more often than that move nothing.
MIN_FACTOR = 2.0**-40


@shaped(rates="d", visits="int64 n | 1", importance="n | 1", rarity="d", longest_dense_rate="d | 1")
class StepTuning(NamedTuple):
    """What was measured of the data: never changed, so that copies of a state share it.

    Attributes
    ----------
    key : tuple
        What the measurements depend on.
    batch : int
        Rows per update.
    step : float
        Factor of the rates that follows from the curvature.
    rates : ndarray, (d,)
        Of the columns, up to `step`.
    intercept_rate, greatest_rate : float
        That of the intercept, and the greatest of the columns'.
    visits : ndarray of int, (n,) or (1,)
        How often an epoch visits each row; one 1 where all are visited once.
    importance : ndarray, (n,) or (1,)
        e_i of `kernels.py`: what a visit counts.
    rarity : ndarray, (d,)
        D_j of `kernels.py`: 1 / P(an update touches column j).
    longest_dense_rate : ndarray, (d,) or (1,)
        Bound of the rates of mean and penalty.
    """

    key: tuple
    batch: int
    step: float
    rates: np.ndarray
    intercept_rate: float
    greatest_rate: float
    visits: np.ndarray
    importance: np.ndarray
    rarity: np.ndarray
    longest_dense_rate: np.ndarray


@dataclass
@shaped(columns="4 d")
class VarianceReducedMemory:
    """What SAGA and SVRG remember.

    Attributes
    ----------
    tuning : StepTuning or None
        What was measured; None before that.
    step_factor : float
        Share of the measured step that is taken.
    columns : ndarray, (4, d), or None
        Coefficients, mean gradient and rates, as kernels see them.
    intercept_mean : float
        Mean gradient of the intercept.
    """

    tuning: StepTuning | None = None
    step_factor: float = 1.0
    columns: np.ndarray | None = None
    intercept_mean: float = 0.0


class VarianceReduced(Solver):
    """Base of SAGA and SVRG.

    Parameters
    ----------
    objective : Objective
        Of a smooth, convex loss of one prediction whose curvature is bounded.
    batch : int or "auto"
        Rows per update; "auto" is the number with the fewest visits in theory, or 1 if they are not
        `BATCH_COST` times fewer than with one row.
    seed : int
        Of the order of the rows: epoch e visits them in an order that depends on (seed, e) alone.
    shuffle : bool
        False visits them as they come, each once.

    Raises
    ------
    ValueError
        For other losses.
    """

    traits = Traits(batch_sizes=("auto", "growing"), random=True)
    Memory: type = VarianceReducedMemory
    step: float

    @classmethod
    def refusal(cls, objective):
        """Refuses losses that are not smooth, convex, of one prediction and of bounded curvature,
        and penalties that are not a sum over single coefficients.
        """
        if not objective.penalty.single:
            return f"takes penalties of single coefficients, got {objective.penalty!r}"
        return _unsuitable(objective.loss)

    @classmethod
    def make(cls, objective, options):
        """With the rows per update that were asked for."""
        batch = "auto" if options.batch == "growing" else options.batch
        return cls(objective, batch, options.seed, shuffle=options.shuffle)

    def __init__(self, objective, batch="auto", seed=0, *, shuffle=True):
        self.refuse_unsuitable(objective)
        super().__init__(objective)
        self.asked, self.seed, self.shuffle = batch, seed, shuffle
        self.active = _active_rows(objective)
        self.order_of, self._written = None, None

    def _fresh(self, point):
        """State that knows nothing of the data yet."""
        F, point = self.objective, np.array(point, dtype=np.float64)
        batch = 1 if self.asked == "auto" else min(self.asked, F.n_active)
        coef = point[: F.n_features]
        if F.elastic and F.l1 + F.l2 > 0.0 and coef.any():
            # No visit moves what a column of zeros has: it is 0 at the optimum.
            coef[F.moments().largest == 0.0] = 0.0
        return State(point, batch, memory=self.Memory())

    def prepare(self, state):
        """Measure the data, unless an earlier part of the run did."""
        F, memory = self.objective, state.memory
        key = (
            F.n_samples,
            F.n_active,
            F.n_features,
            F.loss.curvature_bound,
            F.alpha,
            F.l1,
            F.l2,
            str(self.asked),
        )
        if memory.tuning is None or memory.tuning.key != key:
            memory.tuning = self._measure(key)
        self._restore(state, {})

    def _restore(self, state, workspace):
        """Take rows as was measured."""
        tuning = state.memory.tuning
        self.batch = state.batch = tuning.batch
        visits = tuning.visits
        self.order_of = (
            self.active if visits.size == 1 else np.repeat(self.active, visits[self.active])
        )
        self._written = None

    def visit(self, state, table, anchor, anchor_intercept):
        """One epoch from the point of the state; returns the new point and the sum of the
        squared differences.
        """
        F = self.objective
        memory = state.memory
        tuning = memory.tuning
        order = row_order(self.order_of, self.seed, state.iteration, self.shuffle)
        step = tuning.step * memory.step_factor
        columns = self._columns(state, step)
        ends = np.array(
            [
                state.point[-1] * F.fit_intercept,
                memory.intercept_mean * F.fit_intercept,
                anchor_intercept,
            ]
        )
        options = kernels.StepOptions(
            n=float(F.n_active),
            l1=float(F.l1),
            l2=float(F.l2),
            alpha=float(F.alpha),
            elastic=bool(F.elastic),
            smooth=bool(F.elastic or F.term.smooth),
            intercept_rate=float(step * tuning.intercept_rate),
        )
        penalty = L2() if F.elastic else F.penalty
        data = F.rows, F.samples, F.loss, penalty, order
        numbers = tuning.importance, table, columns, anchor, ends, options
        with np.errstate(all="ignore"):
            if self.batch == 1:
                change = kernels.row_epoch(*data, *numbers)
            else:
                change = kernels.batch_epoch(*data, self.batch, *numbers)
        point = np.empty(F.size)
        point[: F.n_features] = columns[kernels.COEF]
        if F.fit_intercept:
            point[-1] = ends[kernels.INTERCEPT]
        memory.intercept_mean = float(ends[kernels.INTERCEPT_MEAN])
        self._written = point
        F.meter.count(order.size / self.active.size)
        state.updates += -(-order.size // self.batch)
        state.rate = step * tuning.greatest_rate
        return point, float(change)

    def shorten(self, state):
        """Halve the steps; whether there is any use."""
        memory = state.memory
        memory.step_factor *= 0.5
        self._written = None
        return memory.step_factor > MIN_FACTOR

    def _columns(self, state, step):
        """Coefficients, mean and rates as the kernels want them, up to date."""
        memory, tuning = state.memory, state.memory.tuning
        if self._written is None or memory.columns is None:
            memory.columns = columns = self._laid_out(memory.columns)
            dense = step * tuning.rates * tuning.rarity
            scale = 1.0 + dense * self.objective.l2
            columns[kernels.RATE] = step * tuning.rates / scale
            columns[kernels.DENSE_RATE] = np.minimum(dense / scale, tuning.longest_dense_rate)
        if self._written is not state.point:
            memory.columns[kernels.COEF] = state.point[: self.objective.n_features]
        return memory.columns

    def _laid_out(self, columns):
        """The same numbers, (4, d): by rows for dense data, and for CSR data four to half a line of
        the cache.

        A row of CSR data then misses the cache once per value, not four times, and only if no
        column straddles two lines: an epoch over 1.3 million columns of text takes 1.5 times as
        long as plain SGD's, 2.8 unaligned and 4.6 by rows.
        """
        d, sparse = self.objective.n_features, self.objective.rows.sparse
        if (
            columns is not None
            and columns.ctypes.data % 64 == 0
            and columns.flags.f_contiguous == sparse
        ):
            return columns
        raw = np.zeros(4 * d + 8)
        first = -raw.ctypes.data % 64 // 8
        held = raw[first : first + 4 * d]
        table = held.reshape(d, 4).T if sparse else held.reshape(4, d)
        if columns is not None:
            table[:] = columns
        return table

    def best_batch(self, n, whole, longest, convexity):
        """Batch with the fewest visits."""
        raise NotImplementedError

    def seen_curvature(self, batch, n, whole, longest, convexity):
        """What the solver's `step` is divided by."""
        raise NotImplementedError

    def _measure(self, key):
        """Rates of the columns and the intercept, visits of each row, how rare a touch is, batch
        and step.
        """
        F = self.objective
        rates, intercept_rate = column_rates(F)
        visits, importance, longest, share = self._visits(row_curvatures(F, rates, intercept_rate))
        n, used = self.active.size, rates[share > 0.0]
        convexity = F.l2 * float(used.min()) if used.size else 0.0
        whole = self._whole(rates, intercept_rate, longest, convexity)
        batch = (
            self._few_visits(n, whole, longest, convexity)
            if self.asked == "auto"
            else min(self.asked, n)
        )
        touched = np.minimum(-np.expm1(batch * np.log1p(-np.minimum(share, 1.0 - 1e-16))), 1.0)
        # Columns of zeros have no curvature, and nothing moves.
        seen = self.seen_curvature(batch, n, whole, longest, convexity) or 1.0
        return StepTuning(
            key=key,
            batch=batch,
            step=self.step / seen,
            rates=rates,
            intercept_rate=intercept_rate * F.fit_intercept,
            greatest_rate=float(rates.max()),
            visits=visits,
            importance=importance,
            rarity=1.0 / np.where(share > 0.0, touched, 1.0),
            longest_dense_rate=longest_dense_rates(F),
        )

    def _visits(self, curvatures):
        """Visits of each row in an epoch, what each counts, the greatest curvature then, and P(a
        visit touches j).
        """
        F = self.objective
        own = curvatures[self.active]
        mean, longest = float(own.mean()), float(own.max())
        if not self.shuffle or longest <= LONGEST * mean:
            importance = np.full(1, self.active.size / F.n_active)
            return np.ones(1, np.int64), importance, longest, F.moments().nonzero_shares
        visits = np.zeros(F.n_samples, np.int64)
        # The rounding of a curvature must not tell dense rows from CSR rows.
        visits[self.active] = np.maximum(np.ceil(own / (LONGEST * mean) * (1.0 - 1e-9)), 1.0)
        n_visits = int(visits.sum())
        importance = n_visits / (F.n_active * np.maximum(visits, 1))
        return (
            visits,
            importance,
            float((curvatures * importance)[self.active].max()),
            touches(F, visits) / n_visits,
        )

    def _few_visits(self, n, whole, longest, convexity):
        """The best batch in theory, or 1 where it does not save enough: visits are as b K(b)."""
        batch = self.best_batch(n, whole, longest, convexity)
        one, some = (b * self.seen_curvature(b, n, whole, longest, convexity) for b in (1, batch))
        return batch if BATCH_COST * some <= one else 1

    def _whole(self, rates, intercept_rate, longest, convexity):
        """L, by the power method on a sample of rows; its lower bound where that settles that
        one row is best.
        """
        F = self.objective
        if self.asked == 1:
            return longest
        diagonal = F.moments().mean_squares * rates
        least = F.loss.curvature_bound * max(
            float(diagonal.max()), intercept_rate * F.fit_intercept
        )
        if (
            self.asked == "auto"
            and self._few_visits(self.active.size, least, longest, convexity) == 1
        ):
            return longest
        largest = mean_curvature(F, self.active, rates, intercept_rate, self.seed)
        return min(F.loss.curvature_bound * largest, longest)


def _active_rows(objective):
    """Rows of positive weight, those of the objective's ranges only where it is a part of
    another.
    """
    active = objective.samples.active()
    if objective.parent is None:
        return active
    inside = np.concatenate([np.arange(first, stop) for first, stop in objective.ranges])
    return np.intersect1d(active, inside)


def _unsuitable(loss):
    """Why a loss is not for these solvers, in words, or None."""
    if isinstance(loss, VectorLoss):
        return f"takes losses of one prediction, got {loss.name!r}; use solver='nesterov'"
    if not (loss.smooth and loss.convex):
        return f"takes smooth convex losses, got {loss.name!r}; use solver='gd', or a smooth loss"
    if not 0.0 < loss.curvature_bound < np.inf:
        return (
            f"needs a loss whose curvature_bound is finite, {loss.name!r} has "
            f"{loss.curvature_bound:g}; use solver='lbfgs', 'newton' or 'nesterov'"
        )
    return None
