"""Stochastic descent without a number to set: rates from measured constants, averages over the last
half of the run.

With L the curvature of the mean loss, L_max that of the longest row, b rows per update and L(b) the
curvature that a batch sees (`solvers/variance_reduced/expected_smoothness.py`), plain descent and
momentum use min(1.5 / L(b), b r / sqrt(1 + 2 e)) in epoch e, r = 1 / (2 L_max): the first keeps it
stable, the second makes the noise, which is proportional to rate / b, fall. Rules that normalise
the gradient use a share of the scale of the targets, per unit of each column. The answer is the
mean of the iterates since the last epoch that is a power of two.

Measured on 32,561 rows of 123 binary columns (log loss, alpha = 1/n, tol=1e-3), epochs and relative
error of the objective at the end, for 1 and 64 rows per update: gd 32, 2e-4 and 64, 1e-4; momentum
16, 4e-4 and 64, 1e-4; Adagrad 8, 5e-4 and 8, 7e-4; RMSprop 8, 5e-4 and 8, 7e-4; Adam 8, 4e-4 and 8,
4e-4.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgd.losses.base import has_mean
from fastgd.objective.distances import curvature_about, curvature_unit, gap_scale_at
from fastgd.objective.moments import column_scales, sampled_curvature
from fastgd.objective.null_model import falls_for_ever, null_model
from fastgd.rules.one_sample import Capped
from fastgd.rules.schedules import Schedule
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import LAST_RESORT, Forecast
from fastgd.solvers.rule_memory import empty_slots
from fastgd.solvers.stochastic.kernels import Iterate, Problem, row_epoch, vector_row_epoch
from fastgd.solvers.stochastic.scheduled import Stochastic, StochasticMemory
from fastgd.solvers.variance_reduced.expected_smoothness import expected_smoothness

# Columns whose scales differ by less need no scaling, and plain descent keeps its fast kernel.
ALIKE = 4.0
# The largest row counts at most this many times the mean one; longer ones are held by the cap on a
# row's own step.
LONGEST_ROW = 4.0
BOOST = 3.0
# In `row_epoch` the penalty acts once in so many rows, or in an eighth as many as there are
# columns: a twentieth of the work on 500 binary columns of which 35 are 1 in a row. With many
# columns that is too seldom: accuracy 0.86 for 0.92 over 17 chunks of text.
SHORTEST_BLOCK = 16
NARROW = 1024
# Where less of the updates counts than this share (`forget`), the average is one of the last
# iterates by that, and begins no more anew.
WHOLE = 0.5
# So many times the scale of the targets that steps rest on is another one.
GROWN = 2.0
# By less than this larger values do not shorten steps that are not divided by gradients. Log loss
# of the next rows after one pass over 569 rows of 30 heavy-tailed columns (12 orders; gd): 0.277
# where nothing is shortened, 0.290 with 2, 0.297 with 1.
BEYOND = 2.0
# Rows of a later chunk that are looked at for larger values.
LOOKED_AT = 64


def is_power(epoch):
    """Whether an epoch is 0 or a power of two."""
    return epoch & (epoch - 1) == 0


@shaped(scales="d")
class RateTuning(NamedTuple):
    """What automatic rates know of the data: measured once and never changed, so that copies of a
    state share it.

    Attributes
    ----------
    scales : ndarray, (d,), or None
        Greatest |x| of each column; None where they are all alike.
    unit : float
        The largest scale.
    row_rate, batch_curvature : float
        1 / (2 L_max) and L(b).
    spread : float
        Scale of the targets, per unit of the columns where these are alike.
    passing : bool
        Whether these rows told next to nothing: all values 0, or all targets one end of their
        domain, as counts of 0 are.
    longest : float
        The greatest s (|x|^2 + what an intercept adds) of a row.
    """

    scales: np.ndarray | None
    unit: float
    row_rate: float
    batch_curvature: float
    spread: float
    passing: bool = False
    longest: float = np.inf


@dataclass
class AutomaticRatesMemory(StochasticMemory):
    """What automatic rates remember.

    Attributes
    ----------
    tuning : RateTuning or None
        What was measured of the data; None before that.
    boost : float
        Factor of the rates.
    last_objective : float
        Objective at the last epoch that is a power of two.
    targets : (float, float, float) or None
        Of the targets of a stream, less their offsets: total weight, mean, variance.
    """

    tuning: RateTuning | None = None
    boost: float = 1.0
    last_objective: float = np.inf
    targets: tuple[float, float, float] | None = None


class AutomaticRates(Stochastic):
    """A rule on `batch` rows per update with automatic rates.

    Parameters
    ----------
    objective : Objective
    rule : Rule
    batch, seed, shuffle
        As for `Stochastic`.
    average_from : float, optional
        First update of the average; None: the mean since the last epoch that is a power of two.
    tol : float
        Relative differences of the objective that do not matter.
    streaming : bool
        Whether each epoch is over other rows.
    """

    name = rule_name = "gd"
    traits = replace(Stochastic.traits, reads="blocks", batch_sizes=(1,), chooses_steps=True)
    Memory = AutomaticRatesMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses penalties that are not a sum over single coefficients."""
        if objective.penalty.single:
            return None
        return f"takes penalties of single coefficients, got {objective.penalty!r}"

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """Without a proof, and so last; with a derivative all rows suit."""
        reason = (
            "the loss is not smooth: averages of one-row steps get further than subgradients of "
            "all rows"
        )
        return Forecast(np.inf if objective.loss_smooth else LAST_RESORT, reason, last=True)

    def __init__(
        self,
        objective,
        rule,
        batch,
        seed,
        *,
        shuffle=True,
        average_from=None,
        tol=0.0,
        streaming=False,
    ):
        super().__init__(
            objective,
            rule,
            Schedule(1.0),
            batch,
            seed,
            shuffle=shuffle,
            average_from=1.0 if average_from is None else average_from,
            streaming=streaming,
        )
        self.restarts_average = average_from is None
        self.own_rule, self.tol = rule, tol
        self.longest = np.inf  # that of the tuning, where these rows were measured

    def resume(self, state):
        """Measure the data once; a resumed run keeps what the first one measured."""
        memory = state.memory
        tuning = memory.tuning
        if tuning is None or (tuning.passing and not self._tells_little()):
            memory.tuning, memory.n_measured = self._measure(), self.rows.size
        elif self._knows_few_rows(state):
            memory.tuning = self._measured_along(memory.tuning)
        elif self.streaming:  # a fit that goes on was measured by these rows
            self._widen(state)
        if self.streaming and self.rule.normalises:
            self._grow(memory)
        self._take(state)

    def _grow(self, memory):
        """Let steps that are a share of the scale of the targets grow with it, as it is known of
        all rows so far.

        By that of a first chunk of one row, which is none, targets of 1,000 were never learnt: R^2
        after 35 chunks of 100 rows -0.27, 0.935 with this.
        """
        known = memory.targets
        if not self._follows_targets():
            return
        memory.targets = self._moments_of_targets(known)
        deviation, tuning = math.sqrt(memory.targets[2]), memory.tuning
        spread = deviation / (tuning.unit if tuning.scales is None else 1.0)
        unknown = known is not None and known[2] == 0.0
        if spread > GROWN * tuning.spread or (unknown and spread > 0.0):
            memory.tuning = tuning._replace(spread=spread)

    def _follows_targets(self):
        """Whether the scale of predictions is that of the targets."""
        F = self.objective
        return not (has_mean(F.loss) or F.loss.classification or F.vector)

    def _moments_of_targets(self, known=None):
        """Total weight, mean and variance of the targets less their offsets, of those that are
        `known` and of these rows.
        """
        samples, rows = self.objective.samples, self.rows
        if rows.size < samples.size():
            samples = samples.part(rows)
        targets, weights = samples.targets - samples.offsets, samples.weights
        total = float(weights.sum()) * (targets.size / weights.size)
        mean = float((weights * targets).sum()) / total
        variance = float((weights * (targets - mean) ** 2).sum()) / total
        if known is None:
            return total, mean, variance
        share, apart = total / (total + known[0]), mean - known[1]
        between = share * (1.0 - share) * apart * apart
        variance = share * variance + (1.0 - share) * known[2] + between
        return total + known[0], known[1] + share * apart, variance

    def _take(self, state):
        """Take rates as was measured, with a memory for the rule where they need one: plain descent
        does in columns of unlike scales alone.
        """
        F, memory = self.objective, state.memory
        self._restore(state, {})
        if memory.slots is None and self._has_slots:
            memory.slots = empty_slots(self.rule, (F.n_features + 1) * F.n_predictions)

    def _restore(self, state, workspace):
        """Take rates as was measured."""
        F, tuning = self.objective, state.memory.tuning
        alike = tuning.scales is None
        self.plain = self.plain and alike
        self.power = 1.0 if self.rule.normalises else 2.0
        self.scales = tuning.scales
        if not self.streaming:
            self.longest = tuning.longest
        self.intercept_rate = tuning.unit**self.power if alike else 1.0
        if self._caps_steps:
            intercept, infimum = self.intercept_rate * F.fit_intercept, F.loss.infimum
            self.capped, self.short = Capped(intercept, 1.0, infimum), Capped(intercept, 0.0)
            self.step_length = self.capped

    def advance(self, state):
        """One epoch at one rate, so that lazy updates are exact."""
        memory, counts = state.memory, 1.0 - state.memory.faded / max(state.updates, 1)
        epoch = counts * state.iteration
        if self.restarts_average and is_power(state.iteration) and counts > WHOLE:
            memory.begin_average()
        rate = memory.boost * self._rate(memory.tuning, epoch)
        if self.streaming and not self.rule.normalises:
            rate = min(rate, self._stable_rate(memory.tuning))
        self.schedule = Schedule(rate)
        if self._caps_steps:
            self.step_length = self._step_length(self.schedule.c)
        self.rule = self.own_rule.after(max(self.rows.size / self.batch, 1.0) * max(epoch, 1))
        super().advance(state)
        if self.restarts_average and state.iteration >= 2 and is_power(state.iteration):
            self._adjust(state)

    @property
    def _caps_steps(self):
        """Whether steps end where the row's own loss would be its infimum."""
        return self.own_rule.plain and self.batch == 1

    def _step_length(self, rate):
        """Steps that end where the row's own loss is its infimum: none at this rate does so by
        itself where loss'^2 <= 2 c (loss - infimum) and rate s c |x|^2 <= 1 / 2.
        """
        loss = self.objective.loss
        if loss.infimum == -np.inf:
            return self.short
        known = loss.curvature_bound < np.inf and self.scales is None
        short = known and 2.0 * rate * loss.curvature_bound * self.longest <= 1.0
        return self.short if short else self.capped

    def _knows_few_rows(self, state):
        """Whether steps of a length of their own rest on fewer rows of a stream than are looked at
        elsewhere: lengths of the first few rows are those of no others.
        """
        few = min(self.batch, state.memory.n_measured) * state.updates < LOOKED_AT
        own = self.streaming and not self.rule.normalises
        return own and few and self.objective.n_features <= NARROW

    def _measured_along(self, tuning):
        """Constants of these rows and those before: the greatest scales and curvatures.

        Mean squared error, in variances of the target, after a fit to 500 rows of 10 normal columns
        and 1,000 chunks of one row, the worst of three seeds, without and with this: 1e7 and 0.55.
        """
        F = self.objective
        known = np.full(F.n_features, tuning.unit) if tuning.scales is None else tuning.scales
        seen = F.moments().mean_squares > 0.0
        found = self._measure(np.where(seen, np.maximum(column_scales(F), known), known))
        if (found.scales is None) != (tuning.scales is None):
            return found  # rates are in other units
        return found._replace(
            row_rate=min(found.row_rate, tuning.row_rate),
            batch_curvature=max(found.batch_curvature, tuning.batch_curvature),
        )

    def fade(self, state, share):
        """As of schedules; and what was measured of the data is measured anew once most of it is
        forgotten.
        """
        super().fade(state, share)
        memory = state.memory
        if memory.targets is not None:
            memory.targets = share * memory.targets[0], *memory.targets[1:]
        if memory.forget_share(share, self.rows.size):
            memory.tuning = self._measure(self._faded_scales(memory.tuning))
            self._take(state)

    def _faded_scales(self, tuning):
        """Scales of the columns in these rows, but no less than half of what they were: a few rows
        may lack the large values.
        """
        known = tuning.unit if tuning.scales is None else tuning.scales
        seen = self.objective.moments().mean_squares > 0.0
        return np.where(seen, np.maximum(column_scales(self.objective), 0.5 * known), known)

    def _widen(self, state):
        """Let values that are larger than any before shorten the rates of their columns, and lower
        their coefficients.

        Scales of the first chunk may be those of a few rows, and a clock leaves them: after a fit
        to 500 rows plain descent ended at 7e12 var(y). Of 1,000 rows of 54 columns the look at all
        of them took a quarter of the time of a call. With many columns, which are mostly hashed or
        weighted words, it would take longer than the epoch.
        """
        F, memory = self.objective, state.memory
        tuning = memory.tuning
        if F.vector or F.n_features > NARROW:
            return
        columns, sizes = F.rows.sizes_in(self.rows[:: -(-self.rows.size // LOOKED_AT)])
        alike = tuning.scales is None
        own = 1.0 if self.rule.normalises else BEYOND
        if (sizes <= (ALIKE * tuning.unit if alike else own * tuning.scales[columns])).all():
            return
        known = np.full(F.n_features, tuning.unit) if alike else tuning.scales
        scales = known.copy()
        np.maximum.at(scales, columns, sizes)
        unit = tuning.unit if alike else 1.0
        memory.tuning = tuning._replace(
            scales=scales,
            spread=tuning.spread * unit,
            row_rate=tuning.row_rate * unit**2,
            batch_curvature=tuning.batch_curvature / unit**2,
        )
        self._lower(state, known / scales)

    def _lower(self, state, narrower):
        """Lower coefficients that were learnt on values that were `narrower`: of so much larger
        values their errors would be as much larger.

        By the root of that; normalised gradients (Ross, Mineiro and Langford, 2013, algorithm 2)
        lower by all of it. But by no more than the share of these rows in all so far: what was
        learnt of many rows outlives an outlier. Mean squared error, in variances of the target, of
        the next chunk of 7 rows, one column a clock (4,000 rows, two seeds), and of 20 rows beside
        the noise, columns of Student's t with 3 degrees of freedom (60,000 rows): 2.46 and 0.29,
        1e-4 without this, 0.25 and 0.24, 1e-4 with it; the root alone 0.25 and 0.24, 0.08; all of
        it, limited, 0.28 and 0.26, 1e-4.
        """
        memory = state.memory
        before = self.batch * (state.updates - memory.faded)
        share = np.maximum(np.sqrt(narrower), before / (before + self.rows.size))
        share = np.append(share, 1.0)
        # Arrays of their own: an error takes back to those that there were.
        state.point = share[: state.point.size] * state.point
        memory.iterate_sum = share * memory.iterate_sum

    def _epoch(self, part, order, point, memory, options):
        """Adagrad, and what else accumulates, on one row of few columns takes the faster kernel,
        and so does plain descent in columns of unlike scales.
        """
        F, block = self.objective, self._rows_between()
        if not self._takes_row_kernel():
            return super()._epoch(part, order, point, memory, options)
        rates = np.ones(F.n_features) if self.scales is None else self._rates()
        problem = Problem(part.rows, part.samples, F.loss, F.penalty)
        iterate = Iterate(point, memory.slots, memory.iterate_sum, memory.counters)
        if F.vector:
            vector_row_epoch(problem, self.rule, order, block, iterate, rates, options)
        else:
            length = self.step_length
            row_epoch(problem, self.rule, length, order, block, iterate, rates, options)
        return 0.0

    def _takes_row_kernel(self):
        F = self.objective
        narrow = F.n_features <= NARROW
        own = self.rule.accumulates or (self.rule.plain and not self.plain)
        return own and self.batch == 1 and narrow

    def _asks_for_shares(self):
        """The faster kernel has the penalty act on all columns."""
        return not self._takes_row_kernel() and super()._asks_for_shares()

    def _narrowed(self):
        return None if self._takes_row_kernel() else super()._narrowed()

    def _rows_between(self):
        """The rows between two steps of the penalty, in the faster kernel."""
        few = max(self.objective.n_features // 8, SHORTEST_BLOCK)
        return few if self._takes_row_kernel() else self.batch

    def _adjust(self, state):
        """At epochs that are powers of two: larger steps while the run is slow rather than noisy.
        Two passes.

        Where the last iterate is better than the average of the last half of the run, the average
        lags behind a run that is still on its way: larger steps. Where it is worse by more than the
        average fell since the last look, the noise of the steps is what is left: back to smaller
        ones. Differences below tol F / 2 do not count. Measured on 569 rows of 30 correlated
        columns in units of their own, log loss, objective after 1000 epochs without and with this
        (optimum 0.0758): gd, 1 row 0.120 and 0.080; adam, 32 rows 0.167 and 0.077.
        """
        F, memory = self.objective, state.memory
        with np.errstate(all="ignore"):
            objective = F.value(self.answer(state))
            noise = F.value(state.point) - objective
        fall = memory.last_objective - objective
        negligible = 0.5 * self.tol * gap_scale_at(F, objective)
        if fall < 0.0 or (noise > fall and noise > negligible):
            memory.boost = max(memory.boost / BOOST, 1.0)
        elif noise < -negligible:
            memory.boost *= BOOST
        memory.last_objective = objective

    def _rate(self, tuning, epoch):
        falling = 1.0 / np.sqrt(1.0 + 2.0 * epoch)
        if self.rule.accumulates:
            return 0.5 * tuning.spread
        if self.rule.normalises:
            return 0.01 * self.batch**0.25 * tuning.spread * falling
        noise = self.batch * tuning.row_rate * falling * self.rule.newest_share()
        return min(self._stable_rate(tuning), noise)

    def _stable_rate(self, tuning):
        """The rate that a stream takes at most, however `_adjust` finds the run.

        It compares the last iterate with the average on rows that the iterate has just learnt from
        and the average has not, and so asks for larger steps in any stream. Rules that normalise
        gradients survive that, and follow data that drift the sooner. Mean squared error, in
        variances of the target, after 75 chunks of 40 rows of 10 normal columns, three seeds,
        without and with this: gd on 32 rows 4e12 and 0.505, on one row 0.500 and 0.500.
        """
        return 1.5 / tuning.batch_curvature * self.rule.newest_share()

    def _measure(self, scales=None):
        """Constants of the data: column scales (given, or those of these rows), curvature of a row
        and of a batch, scale of the targets.
        """
        F = self.objective
        n, batch = F.n_active, min(self.batch, F.n_active)
        moments = F.moments()
        scales = column_scales(F) if scales is None else scales
        curvature = self._curvature()
        used = scales[moments.mean_squares > 0.0]
        alike = used.size == 0 or used.max() <= ALIKE * used.min()
        unit = float(used.max()) if used.size else 1.0
        if alike:
            longest, mean = moments.largest_weighted_norm2, moments.mean_norm2
            intercept = unit**2 * F.fit_intercept
        else:
            mean = float((moments.mean_squares / scales**2).sum())
            longest, intercept = float(F.n_features), 1.0 * F.fit_intercept
        self.longest = longest + float(F.samples.weights.max()) * intercept
        row = curvature * (min(longest, LONGEST_ROW * mean) + intercept) or 1.0
        inverse = np.ones(scales.size) if alike else 1.0 / scales
        largest, _ = sampled_curvature(F, self.rows, inverse, unit if alike else 1.0, self.seed)
        whole = min(curvature * largest, row)
        spread = self._spread(curvature)
        return RateTuning(
            scales=None if alike else scales,
            unit=unit,
            row_rate=0.5 / row,
            batch_curvature=max(expected_smoothness(batch, n, whole, row), 1e-3 * row),
            spread=spread / (unit if alike else 1.0),
            passing=self._tells_little(),
            longest=self.longest,
        )

    def _tells_little(self):
        """Whether rates cannot be told of these rows for any others."""
        return self._at_end() or not self.objective.moments().mean_squares.any()

    def _at_end(self):
        """Whether the loss of these rows falls for ever with the intercept."""
        return falls_for_ever(self.objective.loss, self.objective.samples)

    def _constant(self):
        """Intercept and F of the null model; of the zero model where there is none but far out.

        About that of a first chunk of counts of 0, at -32, rates of 1e13 were measured.
        """
        F = self.objective
        return (0.0, F.value(F.start())) if self._at_end() else null_model(F)

    def _spread(self, curvature):
        """How far predictions are from one another, about: as targets are less their offsets, and
        where a link is between them, as far as the null model's loss is worth.
        """
        F = self.objective
        if self._follows_targets():
            return math.sqrt(self._moments_of_targets()[2]) or 1.0
        if not has_mean(F.loss):
            return 1.0
        above = self._constant()[1] - F.loss.infimum
        return math.sqrt(2.0 * above / curvature) if 0.0 < above < np.inf else 1.0

    def _curvature(self):
        """Curvature of the loss as seen from the null model: 2 F0 / var(y), no more than its bound.

        A loss that is linear far from its target has next to none there: steps of 1 / bound would
        take for ever.  With 8 raw columns and targets of 1e5, 256 epochs of gd with one row per
        update, relative error of the objective without and with this: quantile 1.3e-1 and 6e-5,
        Huber 9e-2 and 7e-4.  With a link targets are on another scale: by their variance steps on
        amounts of 2,000 overflowed, and on counts of 0.05 they were 40 times too short.
        """
        F = self.objective
        typical = curvature_unit(F)
        if has_mean(F.loss):
            bounded = F.loss.curvature_bound < np.inf
            return typical if bounded else curvature_about(F, self._constant()[0])
        variance = F.outputs.target_variance(F.samples.targets[self.rows])
        if variance == 0.0 or F.loss.infimum == -np.inf:
            return typical
        seen = 2.0 * (null_model(F)[1] - F.loss.infimum) / variance
        return min(seen, F.loss.curvature_bound) if seen > 0.0 else typical
