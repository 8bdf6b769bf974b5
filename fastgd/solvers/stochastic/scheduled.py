"""Any update rule on few rows at a time: an epoch is one iteration."""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from fastgd.objective.mixing import mixed_parts
from fastgd.penalties.separable import ElasticNet
from fastgd.rules.batches import row_order
from fastgd.rules.one_sample import Scheduled
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Solver, State, Traits
from fastgd.solvers.journal import Journal
from fastgd.solvers.patience import divided
from fastgd.solvers.rule_memory import RENEWED, ScheduledMemory, empty_slots
from fastgd.solvers.stochastic.kernels import (
    AVERAGED,
    UPDATES,
    EpochOptions,
    Iterate,
    Problem,
    apart_and_together,
    coast_others,
    gd_epoch,
    move_others,
    rule_epoch,
    vector_epoch,
    vector_rule_epoch,
)

# With fewer of the columns than one in so many known not to be 0, a model is made of these alone.
NARROW_FACTOR = 8
# Shares of touched columns are of the last so many rows: what one more changes is 8 units in the
# last place of single precision.
MAX_COUNTED = 2.0**20
# Below this the common factor of these shares is folded into them.
MIN_FACTOR = 2.0**-20


@dataclass
@shaped(
    slots="slots padded",
    iterate_sum="d+1 | d+1 k",
    counters="2",
    touches="float32 d",
    known="int64 * in 0:d",
)
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
    touches : ndarray, (d,), or None
        Of a stream, which share of the rows has touched each column, over `touch_factor`, in half a
        vector; None where nobody asks, or all have touched all of them.
    touch_factor : float
    n_touching : float
        How many rows these are of.
    known : ndarray, (n,), or None
        In order the columns beside which coefficients, sums and slots are all 0, where rows touch
        few columns; None where nobody knows.
    journal : Journal or None
        Where a state is one of two that share their arrays: what the later one has moved.
    """

    iterate_sum: np.ndarray | None = None
    counters: np.ndarray | None = None
    n_measured: int = 0
    stale: float = 0.0
    touches: np.ndarray | None = None
    touch_factor: float = 1.0
    n_touching: float = 0.0
    known: np.ndarray | None = None
    journal: Journal | None = None

    def begin_average(self):
        """Forget the iterates so far; the sum is an array of its own (`journal`)."""
        assert self.iterate_sum is not None
        assert self.counters is not None
        self.iterate_sum = np.zeros(self.iterate_sum.shape)
        self.counters[AVERAGED] = 0.0

    def count_on(self, updates, earlier):
        """As of schedules, for kernels too."""
        super().count_on(updates, earlier)
        assert self.counters is not None
        self.counters[UPDATES] = updates

    def note_touches(self, columns, shares, n_rows, n_features):
        """Note which shares of so many more rows touch these columns, all or few; no other is
        touched.
        """
        if self.touches is None and (shares.size < n_features or (shares < 1.0).any()):
            self.touches = np.ones(n_features, np.float32)
        self.n_touching = min(self.n_touching + n_rows, MAX_COUNTED)
        if self.touches is None:
            return
        share = np.float32(min(n_rows / self.n_touching, 1.0))
        before = self.shares_in(columns)
        after = before + share * (shares - before)
        factor = self.touch_factor * float(np.float32(1.0) - share)
        if isinstance(columns, slice):
            self.touches, self.touch_factor = after, 1.0
            return
        if factor < MIN_FACTOR:  # an array of its own: an error takes back to the one there was
            self.touches, factor = np.float32(factor) * self.touches, 1.0
        elif self.journal is not None:
            self.journal.note(self.touches, columns)
        else:
            self.touches = self.touches.copy()
        self.touches[columns], self.touch_factor = after / np.float32(factor), factor

    def shares_in(self, columns):
        """Which share of the rows has touched each of these columns, float32."""
        if self.touches is None:
            return np.float32(1.0)
        return np.float32(self.touch_factor) * self.touches[columns]

    def answer_in(self, state, columns):
        """Coefficients of the answer in these columns, (n,) or (n, K), and its intercepts, (1,) or
        (1, K), or none: of the average of the iterates once there is one, else of the point.
        """
        return self._of_answer(self._answer_table(state), columns)

    def iterate_in(self, state, columns):
        """The same of the point."""
        table = self._table(state.point)
        return table.take(columns, axis=0), table[self.n_features :]

    def known_answer(self, state):
        """All coefficients of the answer, which are 0 but in the columns that are known, and its
        intercepts; also while another thread moves the next state in place (`journal`).
        """
        table = self._answer_table(state)
        found = self._of_answer(table, self.known)
        if self.journal is not None:
            found = self._of_answer(self.journal.before(table), self.known)
        coef = np.zeros((self.n_features, *found[0].shape[1:]))
        coef[self.known] = found[0]
        return coef, found[1]

    @property
    def n_features(self):
        """The number of columns."""
        assert self.iterate_sum is not None
        return len(self.iterate_sum) - 1

    def _table(self, held):
        """Unknowns as a table, (d,) or (d, K), with a row more for an intercept."""
        assert self.iterate_sum is not None
        return held.reshape(-1, *self.iterate_sum.shape[1:])

    def _answer_table(self, state):
        """What the answer is made of: the sum of the iterates, or the point."""
        assert self.counters is not None
        return self.iterate_sum if self.counters[AVERAGED] > 0.0 else self._table(state.point)

    def _of_answer(self, table, columns):
        assert self.counters is not None
        found = table.take(columns, axis=0), table[self.n_features :]
        averaged = self.counters[AVERAGED]
        return tuple(one / averaged for one in found) if averaged > 0.0 else found

    def forget_share(self, share, n_rows):
        """Let what was measured count `share` of what it did; whether half of it is forgotten by
        now and these rows tell as much, so that it is to be measured anew.
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
    step_length : StepLength
        One-sample step lengths, for `Gd`.
    average_from : float
        First update whose iterate enters the average; inf for none.
    patience : Patience, optional
        Ends the run, or divides its rate, by the training loss of epochs; None: it runs on.
    streaming : bool
        Whether each epoch is over other rows.
    """

    traits = Traits(chooses_steps=False, free_answers=False, calls_on_update=True)
    Memory: type = StochasticMemory

    def __init__(
        self,
        objective,
        rule,
        schedule,
        batch,
        seed,
        *,
        shuffle=True,
        step_length=None,
        average_from=np.inf,
        patience=None,
        streaming=False,
    ):
        super().__init__(objective)
        self.rule, self.schedule, self.batch, self.seed = rule, schedule, batch, seed
        self.shuffle = shuffle
        self.step_length = step_length or Scheduled()
        self.average_from = average_from
        self.patience, self.streaming = patience, streaming
        by_rows = self.step_length.uses_row()
        ends = patience is not None
        self.traits = replace(self.traits, scheduled=not by_rows, ends_itself=ends)
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
        memory = self.Memory(
            iterate_sum=np.zeros(F.outputs.shape(F.n_features)), counters=np.zeros(2)
        )
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

    def resume(self, state):
        """Nothing to evaluate: an epoch needs the point only, and no average that is no longer
        asked for.
        """
        if self.average_from == np.inf and state.memory.counters[AVERAGED] > 0.0:
            state.memory.begin_average()
        if self.patience is not None:
            self.patience.resume(state, self.objective)

    def advance(self, state):
        """Run one epoch over all rows."""
        F = self.objective
        memory = state.memory
        loss_sum = 0.0
        if memory.journal is not None and self.few is None:
            self._part(memory)
        memory.known = None if self.few is None else self._known(state.point, memory)
        if self.streaming and self._asks_for_shares():
            memory.note_touches(*self._touched_here(), F.n_active, F.n_features)
        point = self._padded(state.point, memory.journal is not None)
        parts = mixed_parts(F, self.seed, state.iteration, self.shuffle)
        for number, part in enumerate(parts):
            here = (self.rows, ()) if part is F else (part.samples.active(), (number,))
            order = row_order(here[0], self.seed, state.iteration, self.shuffle, here[1])
            with np.errstate(all="ignore"):
                options = self._options(memory)
                if self.on_update is None:
                    loss_sum += self._epoch(part, order, point, memory, options)
                else:
                    loss_sum += self._epoch_with_updates(
                        self.on_update, part, order, point, memory, options
                    )
        state.point = point.ravel()[: F.size]
        F.meter.count(self.rows.size / F.n_active)
        state.updates = int(memory.counters[UPDATES])
        state.rate = divided(self.schedule.rate(state.updates - memory.faded), memory.divisor)
        state.iteration += 1
        if self.patience is not None:
            self.patience.look(state, loss_sum / self.rows.size)

    def _epoch(self, part, order, point, memory, options):
        """Move `point` and what is in `memory` by the kernel for this rule and these rows of a
        part; what it tells of the loss.
        """
        F = self.objective
        total = memory.iterate_sum
        counters = memory.counters
        if self.few is not None:
            return self._narrow_epoch(self.few, order, point, memory, options)
        data = part.rows, part.samples, F.loss
        if not self._has_slots:
            return self._plain_epoch(data, order, point, total, counters, options)
        problem = Problem(*data, self._penalty)
        iterate = Iterate(point, memory.slots, total, counters)
        epoch = vector_rule_epoch if F.vector else rule_epoch
        columns = self._columns(memory)
        return epoch(problem, self.rule, order, self.batch, iterate, columns, options)

    @property
    def _penalty(self):
        """That of the objective; one that is not asked anything where it acts in closed form."""
        return ElasticNet(0.0) if self.lazily_exact else self.objective.penalty

    def _epoch_with_updates(self, on_update, part, order, point, memory, options):
        """`_epoch`, a few rows at a time, with the point told in between."""
        size = self.objective.size
        rows = self._rows_between()
        loss_sum = 0.0
        for first in range(0, order.size, rows):
            loss_sum += self._epoch(part, order[first : first + rows], point, memory, options)
            on_update(point.ravel()[:size])
        return loss_sum

    def _rows_between(self):
        """Rows between two points that can be told."""
        return self.batch

    @functools.cached_property
    def few(self):
        """As `_narrowed`: known once the rule's steps are."""
        return self._narrowed()

    def _narrowed(self):
        """The columns that the rows touch, and rows of these alone, where they are few and all
        others can be told at once; else None.

        A penalty that is none of an elastic net may be another one in each column: it would have to
        be renumbered with them.
        """
        told = self.objective.elastic and self.patience is None
        return self.objective.rows.narrowed() if told else None

    def _narrow_epoch(self, narrowed, order, point, memory, options):
        """`_epoch` for rows that touch few columns: others are gone over once."""
        F, (chosen, rows), total = self.objective, narrowed, memory.iterate_sum
        others, known = apart_and_together(memory.known, chosen)
        thresholds = not self._has_slots and F.l1 > 0.0
        if thresholds:
            # What a soft threshold takes depends on the coefficient: all known ones go along.
            rows = rows.among(np.searchsorted(known, chosen), known.size)
            chosen, others = known, others[:0]
        at, averages = np.append(chosen, F.n_features), self.average_from < np.inf
        if memory.journal is not None:
            self._note(memory, (point, total) if averages else (point,), at, others)
        few, few_total = point.take(at, axis=0), total.take(at, axis=0)
        data = rows, F.samples, F.loss
        if self._has_slots:
            self._narrow_rule_epoch(
                data, order, chosen, others, point, memory, (few, few_total), options
            )
        else:
            # One more coefficient, which no row touches, tells what becomes of all others.
            told = slice(chosen.size, chosen.size + min(others.size, 1))
            few = np.insert(few, told.start, np.ones((told.stop - told.start, *few.shape[1:])), 0)
            few_total = np.insert(few_total, told.start, np.zeros_like(few[told]), 0)
            self._plain_epoch(data, order, few, few_total, memory.counters, options)
            if others.size:
                flat = point.reshape(-1), total.reshape(-1), others
                move_others(*flat, few[told].reshape(-1), few_total[told].reshape(-1))
            few, few_total = np.delete(few, told, 0), np.delete(few_total, told, 0)
        point[at] = few
        if averages:
            total[at] = few_total
        if thresholds:
            known = known[(few[:-1] != 0.0) | (few_total[:-1] != 0.0)]
        memory.known = known
        return 0.0

    def _narrow_rule_epoch(self, data, order, chosen, others, point, memory, few, options):
        """The same of a rule with slots: moves `few`, the unknowns and sums of the chosen columns,
        and others where they are.
        """
        F = self.objective
        total = memory.iterate_sum
        counters = memory.counters
        begun, averaged = counters
        slots, at = memory.slots.reshape(-1, *total.shape), np.append(chosen, F.n_features)
        few_slots = slots.take(at, axis=1)
        rows, samples, loss = data
        problem, columns = (
            Problem(rows, samples, loss, self._penalty),
            self._columns(memory, chosen),
        )
        iterate = Iterate(few[0], few_slots.reshape(len(slots), -1), few[1], counters)
        epoch = vector_rule_epoch if F.vector else rule_epoch
        epoch(problem, self.rule, order, self.batch, iterate, columns, options)
        slots[:, at] = few_slots
        if self.lazily_exact:
            flat = Iterate(point.reshape(-1), memory.slots, total.reshape(-1), counters)
            scales = np.zeros(0) if self.scales is None else self.scales
            span = F.n_predictions, others, int(begun), scales, self.power
            coast_others(self.rule, flat, *span, options)
        elif counters[AVERAGED] != averaged:
            more = np.full(F.n_predictions, counters[AVERAGED] - averaged)
            move_others(point.reshape(-1), total.reshape(-1), others, np.ones(more.size), more)

    def _plain_epoch(self, data, order, point, total, counters, options):
        """Plain descent by its own kernels."""
        rows, samples, loss = data
        moved = order, self.batch, point, total, counters, options
        if self.objective.vector:
            return vector_epoch(rows, samples, loss, *moved)
        return gd_epoch(rows, samples, loss, self.step_length, *moved)

    def begin_chunk(self, state):
        """As in SGDClassifier, a chunk begins at eta0: `fit` had divided the rate until it was
        over.
        """
        if not self.traits.chooses_steps:
            state.memory.begin()

    def fade(self, state, share):
        """The average is one of the last iterates, gradients that a rule adds up are those of the
        last rows, and rates fall no further than those of as many updates as count.
        """
        memory = state.memory
        memory.fade(state.updates, share)
        memory.n_touching *= share
        memory.counters[AVERAGED] *= share
        slots = memory.slots if self.rule.accumulates else None
        if memory.journal is None or memory.known is None:
            memory.iterate_sum = share * memory.iterate_sum
            memory.slots = memory.slots if slots is None else share * slots
            return
        at, shape = np.append(memory.known, self.objective.n_features), memory.iterate_sum.shape
        for table in (memory.iterate_sum, *(() if slots is None else slots.reshape(-1, *shape))):
            memory.journal.note(table, at)
            table[at] *= share

    def renew(self, state):
        """The average begins anew."""
        self.fade(state, RENEWED)
        state.memory.begin_average()

    def retreat(self, state, safe_point):
        """Halve the rate and go on from a point that is known to be good."""
        memory = state.memory
        if memory.divisor > 1e100:
            return False
        memory.divisor *= 2.0
        memory.begin_average()
        if memory.slots is not None:
            memory.slots = np.zeros(memory.slots.shape)
        state.point = safe_point.copy()
        return True

    def answer(self, state):
        """The average of the iterates once there is one, else the point."""
        memory = state.memory
        F, averaged = self.objective, memory.counters[AVERAGED]
        if averaged == 0.0:
            return state.point
        if memory.known is None or NARROW_FACTOR * memory.known.size > F.n_features:
            return F.allowed(memory.iterate_sum.ravel()[: F.size] / averaged)
        found = np.zeros(memory.iterate_sum.shape)  # pages that nobody writes to are not made
        for here in (memory.known, slice(F.n_features, None)):
            found[here] = memory.iterate_sum[here] / averaged
        return F.allowed(found.ravel()[: F.size])

    def _options(self, memory):
        F, schedule = self.objective, self.schedule
        return EpochOptions(
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
            sums_losses=self.patience is not None,
        )

    def _rates(self, chosen=slice(None)):
        """Rates of some coefficients in units of the schedule's: an array, or one for all."""
        return 1.0 if self.scales is None else 1.0 / self.scales[chosen] ** self.power

    def _asks_for_shares(self):
        """Whether the penalty acts on the columns that rows touch alone, and so has to know how
        rarely they do.
        """
        return self._has_slots and not self.lazily_exact and self.objective.alpha > 0.0

    def _columns(self, memory, chosen=slice(None)):
        """Rates of the coefficients, and how much rarer than once per update a batch touches
        each (1 / P(touched)).

        In a stream by the rows of all chunks: in one of a single row P is 1. A column that is not 0
        in a row of 50, 4,000 rows one at a time, Adam with alpha = 0.05: a coefficient of 2.46 by
        the chunk's own P, 0.84 with all rows at once, 0.86 at the optimum.
        """
        rates = self._rates(chosen)
        count = self.objective.n_features if isinstance(chosen, slice) else chosen.size
        columns = np.ones((2, count))
        columns[0] = rates
        if self._asks_for_shares():
            share = self._shares(memory, chosen).astype(np.float64)
            batch = min(self.batch, self.rows.size)
            touched = -np.expm1(batch * np.log1p(-np.minimum(share, 1.0 - 1e-16)))
            columns[1] = 1.0 / np.where(share > 0.0, np.minimum(touched, 1.0), 1.0)
        return columns

    def _shares(self, memory, chosen):
        """Which share of the rows touches each of some columns."""
        return memory.shares_in(chosen) if self.streaming else self._shares_here()[chosen]

    def _shares_here(self):
        """The same of these rows; in single precision for a stream of one chunk and a fit alike."""
        return self.objective.moments().nonzero_shares.astype(np.float32)

    def _touched_here(self):
        """Columns, and which shares of these rows touch them: where these are few, of no others.

        Moments of a million columns take 7 ms, as long as the rest of a call with 1,000 rows.
        """
        if self.few is None:
            return slice(None), self._shares_here()
        (columns, rows), counts = self.few, self.objective.samples.weights > 0.0
        places, lengths = rows.columns.astype(np.intp), np.diff(rows.starts).astype(np.intp)
        per_value = np.repeat(np.broadcast_to(counts, lengths.size), lengths)
        touching = np.bincount(places, per_value, columns.size)
        return columns, (touching / self.objective.n_active).astype(np.float32)

    def _note(self, memory, tables, at, others):
        """Note what is to be moved in these tables where rows touch it, and by the penalty
        alone.
        """
        for table in tables:
            memory.journal.note(table, at)
            memory.journal.note(table, others)
        if not self._has_slots:
            return
        coasting = self.lazily_exact and self.rule.slots > 0 and not self.rule.accumulates
        for slot in memory.slots.reshape(-1, *memory.iterate_sum.shape):
            memory.journal.note(slot, at)
            if coasting:
                memory.journal.note(slot, others)

    def _known(self, point, memory):
        """The columns beside which coefficients, sums and slots are 0: those of the epoch before,
        or looked for.
        """
        if memory.known is not None:
            return memory.known
        F = self.objective
        size = F.n_features * F.n_predictions
        moving = (point[:size] != 0.0) | (memory.iterate_sum.ravel()[:size] != 0.0)
        if memory.slots is not None:
            moving |= memory.slots[:, :size].any(axis=0)
        return np.flatnonzero(moving.reshape(F.n_features, -1).any(axis=1))

    def _part(self, memory):
        """Have arrays of its own: most of them is to be moved."""
        if self.average_from < np.inf:
            memory.iterate_sum = memory.iterate_sum.copy()
        memory.slots = None if memory.slots is None else memory.slots.copy()
        memory.journal = None

    def _padded(self, v, in_place=False):
        """The point with an intercept of 0 where the objective has none, in the shape of the
        kernels; a copy, or `v` itself where it may be moved.
        """
        shape = self.objective.outputs.shape(self.objective.n_features)
        size = math.prod(shape)
        if in_place:
            # Of an objective without an intercept it is what the last epoch had padded.
            for whole in (v, v.base):
                if isinstance(whole, np.ndarray) and whole.size == size:
                    return whole.reshape(shape)
        padded = np.zeros(shape)
        padded.reshape(-1)[: v.size] = v
        return padded
