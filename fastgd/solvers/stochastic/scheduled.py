"""Any update rule on few rows at a time: an epoch is one iteration."""

import math
from dataclasses import dataclass

import numpy as np

from fastgd.objective.mixing import mixed_parts
from fastgd.penalties.separable import ElasticNet
from fastgd.rules.batches import row_order
from fastgd.rules.one_sample import Scheduled
from fastgd.solvers.base import Solver, State
from fastgd.solvers.gradient.scheduled import RENEWED, ScheduledMemory, divided, empty_slots
from fastgd.solvers.stochastic.kernels import (
    AVERAGED,
    UPDATES,
    Options,
    coast_others,
    gd_epoch,
    rule_epoch,
    vector_epoch,
    vector_rule_epoch,
)


@dataclass
class StochasticMemory(ScheduledMemory):
    """What stochastic descent remembers.

    Attributes
    ----------
    iterate_sum : ndarray, (d + 1,) or (d + 1, K), or None
        Sum of the iterates that count, the intercepts last, as kernels see them.
    counters : ndarray, (2,), or None
        Updates done, and how many iterates the sum holds (`UPDATES` and `AVERAGED` of
        `kernels.py`).
    n_measured : int
        Rows of the chunk that was measured for the rates.
    stale : float
        Share of it that is forgotten (`forget`).
    """

    iterate_sum: np.ndarray | None = None
    counters: np.ndarray | None = None
    n_measured: int = 0
    stale: float = 0.0

    def is_stale(self, share, n_rows):
        """Whether half of what was measured is forgotten, all of it counting `share` of
        what it did, and these rows tell as much; then it is as if measured anew.
        """
        self.stale += (1.0 - self.stale) * (1.0 - share)
        if self.stale < 0.5 or n_rows < self.n_measured:
            return False
        self.stale = 0.0
        return True


class Stochastic(Solver):
    """A rule with the rates of a schedule, `batch` rows per update, and the average of the iterates
    if asked for.

    Parameters
    ----------
    objective : Objective
    rule : Rule
    schedule : Schedule
    batch : int
    seed : int
        Of the order of the rows: epoch e visits them in an order that depends on (seed, e) alone.
    shuffle : bool
    pace : Pace
        One-sample step lengths, for `Gd`.
    average_from : float
        First update whose iterate enters the average; inf for none.
    patience : Patience, optional
        Ends the run, or divides its rate, by the training loss of epochs; None: it runs on.
    """

    Memory: type = StochasticMemory
    free_answers = False
    own_steps = False
    tells = True

    def __init__(
        self,
        objective,
        rule,
        schedule,
        batch,
        seed,
        *,
        shuffle=True,
        pace=None,
        average_from=np.inf,
        patience=None,
    ):
        super().__init__(objective)
        self.rule, self.schedule, self.batch, self.seed = rule, schedule, batch, seed
        self.shuffle = shuffle
        self.pace = pace or Scheduled()
        self.scheduled = not self.pace.uses_row()
        self.average_from = average_from
        self.patience = patience
        self.ends_itself = patience is not None
        self.rows = objective.samples.active()
        closed = objective.elastic
        self.plain = rule.plain and closed
        steady = schedule.p == 0.0
        self.lazily_exact = rule.coasts and steady and closed and objective.l1 == 0.0
        self.scales: np.ndarray | None = None
        self.power = 1.0
        self.intercept_rate = 1.0

    def _fresh(self, point):
        """State with an empty average and empty slots of the rule."""
        F = self.objective
        memory = self.Memory(iterate_sum=np.zeros(F.kind.shape(F.n_features)), counters=np.zeros(2))
        if self._has_slots:
            memory.slots = empty_slots(self.rule, (F.n_features + 1) * F.n_predictions)
        return State(np.array(point, dtype=np.float64), self.batch, memory=memory)

    @property
    def _closed(self):
        """Whether plain descent has a kernel of its own: for K predictions not with an L1 part."""
        return not self.objective.vector or self.objective.l1 == 0.0

    @property
    def _has_slots(self):
        """Whether the kernel of an epoch keeps the rule's memory."""
        return not (self.plain and self._closed)

    def _resume(self, state):
        """Nothing to evaluate: an epoch needs the point only."""
        if self.patience is not None:
            self.patience.resume(state, self.objective)

    def advance(self, state):
        """One epoch."""
        F, memory, lost = self.objective, state.memory, 0.0
        point = self._padded(state.point)
        parts = mixed_parts(F, self.seed, state.iteration, self.shuffle)
        for number, part in enumerate(parts):
            here = (self.rows, ()) if part is F else (part.samples.active(), (number,))
            order = row_order(here[0], self.seed, state.iteration, self.shuffle, here[1])
            with np.errstate(all="ignore"):
                options = self._options(memory)
                if self.tell is None:
                    lost += self._epoch(part, order, point, memory, options)
                else:
                    lost += self._told_epoch(self.tell, part, order, point, memory, options)
        state.point = point.ravel()[: F.size]
        F.meter.count(self.rows.size / F.n_active)
        state.updates = int(memory.counters[UPDATES])
        state.rate = divided(self.schedule.rate(state.updates - memory.faded), memory.divisor)
        state.iteration += 1
        if self.patience is not None:
            self.patience.look(state, lost / self.rows.size)

    def _epoch(self, part, order, point, memory, options):
        """Move `point` and what is in `memory` by the kernel for this rule and these rows of a
        part; what it tells of the loss.
        """
        F, total, counters = self.objective, memory.iterate_sum, memory.counters
        narrowed = self._narrowed()
        if narrowed is not None:
            return self._narrow_epoch(narrowed, order, point, memory, options)
        data = part.rows, part.samples, F.loss
        if F.vector and not self._has_slots:
            return vector_epoch(*data, order, self.batch, point, total, counters, options)
        if not self._has_slots:
            return gd_epoch(*data, self.pace, order, self.batch, point, total, counters, options)
        penalty = ElasticNet(0.0) if self.lazily_exact else F.penalty
        epoch = vector_rule_epoch if F.vector else rule_epoch
        return epoch(
            *data,
            self.rule,
            penalty,
            order,
            self.batch,
            point,
            memory.slots,
            total,
            self._columns(),
            counters,
            options,
        )

    def _told_epoch(self, tell, part, order, point, memory, options):
        """`_epoch`, a few rows at a time, with the point told in between."""
        size, rows, lost = self.objective.size, self._rows_between(), 0.0
        for first in range(0, order.size, rows):
            lost += self._epoch(part, order[first : first + rows], point, memory, options)
            tell(point.ravel()[:size])
        return lost

    def _rows_between(self):
        """Rows between two points that can be told."""
        return self.batch

    def _narrowed(self):
        """The columns that the rows touch, and rows of these alone, where they are few and all
        others can be told at once; else None.
        """
        others = self.plain and self.objective.l1 == 0.0
        others = others or (self.rule.accumulates and not self.objective.vector)
        if self.patience is not None or self.objective.vector or not others:
            return None
        return self.objective.rows.narrowed()

    def _narrow_epoch(self, narrowed, order, point, memory, options):
        """`_epoch` for rows that touch few columns: no array as long as there are columns is
        made, and others are gone over once.
        """
        F, counters, (chosen, rows) = self.objective, memory.counters, narrowed
        coef, total, data = point[:-1], memory.iterate_sum[:-1], (rows, F.samples, F.loss)
        begun, averaged = counters
        at = np.append(chosen, coef.size)
        if self.plain:
            # One more coefficient, which no row touches, tells what becomes of all others.
            at = np.insert(at, chosen.size, coef.size)
            few, few_total = point[at], memory.iterate_sum[at]
            few[-2], few_total[-2] = 1.0, 0.0
            gd_epoch(*data, self.pace, order, self.batch, few, few_total, counters, options)
            if few_total[-2] != 0.0:
                total += few_total[-2] * coef
            coef *= few[-2]
            few[-2], few_total[-2] = few[-1], few_total[-1]
        else:
            few, few_total, slots = point[at], memory.iterate_sum[at], memory.slots[:, at]
            columns = self._columns(chosen)
            rule, penalty = self.rule, ElasticNet(0.0) if self.lazily_exact else F.penalty
            epoch = order, self.batch, few, slots, few_total, columns, counters, options
            rule_epoch(*data, rule, penalty, *epoch)
            if self.lazily_exact:
                scales = np.zeros(0) if self.scales is None else self.scales
                span = chosen, int(begun), int(counters[UPDATES]), options.l2
                rates = scales, self.power, options.c, options.average_from
                coast_others(rule, memory.slots, coef, total, *span, *rates)
            elif counters[AVERAGED] != averaged:
                total += (counters[AVERAGED] - averaged) * coef
            memory.slots[:, at] = slots
        point[at], memory.iterate_sum[at] = few, few_total
        return 0.0

    def fade(self, state, share):
        """The average is one of the last iterates, gradients that a rule adds up are those of the
        last rows, and rates fall no further than those of as many updates as count.
        """
        memory = state.memory
        memory.fade(state.updates, share)
        memory.iterate_sum *= share
        memory.counters[AVERAGED] *= share
        if memory.slots is not None and self.rule.accumulates:
            memory.slots *= share

    def renew(self, state):
        """The average begins anew."""
        self.fade(state, RENEWED)
        state.memory.iterate_sum[:] = 0.0
        state.memory.counters[AVERAGED] = 0.0

    def retreat(self, state, safe_point):
        """Halve the rate and go on from a point that is known to be good."""
        memory = state.memory
        if memory.divisor > 1e100:
            return False
        memory.divisor *= 2.0
        memory.iterate_sum[:] = 0.0
        memory.counters[AVERAGED] = 0.0
        if memory.slots is not None:
            memory.slots[:] = 0.0
        state.point = safe_point.copy()
        return True

    def answer(self, state):
        """The average of the iterates once there is one, else the point."""
        memory = state.memory
        averaged = memory.counters[AVERAGED]
        if averaged == 0.0:
            return state.point
        return self.objective.allowed(memory.iterate_sum.ravel()[: self.objective.size] / averaged)

    def _options(self, memory):
        F, schedule = self.objective, self.schedule
        return Options(
            c=float(divided(schedule.c, memory.divisor)),
            t0=float(schedule.t0 - memory.faded),
            p=float(schedule.p),
            l1=float(F.l1),
            l2=float(F.l2),
            alpha=float(F.alpha),
            intercept_rate=float(self.intercept_rate * F.fit_intercept),
            average_from=float(self.average_from),
            exact=bool(self.lazily_exact),
            smooth=bool(F.term.smooth),
            told=self.patience is not None,
        )

    def _rates(self, chosen=slice(None)):
        """Rates of some coefficients in units of the schedule's: an array, or one for all."""
        return 1.0 if self.scales is None else 1.0 / self.scales[chosen] ** self.power

    def _columns(self, chosen=slice(None)):
        """Rates of the coefficients, and how much rarer than once per update a batch touches
        each (1 / P(touched)).
        """
        rates = self._rates(chosen)
        count = self.objective.n_features if isinstance(chosen, slice) else chosen.size
        columns = np.ones((2, count))
        columns[0] = rates
        if not self.lazily_exact:
            share = self.objective.moments()[0][3][chosen]
            touched = -np.expm1(self.batch * np.log1p(-np.minimum(share, 1.0 - 1e-16)))
            columns[1] = 1.0 / np.where(share > 0.0, np.minimum(touched, 1.0), 1.0)
        return columns

    def _padded(self, v):
        """The point with an intercept of 0 where the objective has none, in the shape of the
        kernels.
        """
        shape = self.objective.kind.shape(self.objective.n_features)
        if v.size == math.prod(shape):
            return v.copy().reshape(shape)
        padded = np.zeros(shape)
        padded.reshape(-1)[: v.size] = v
        return padded
