"""Stochastic descent without a number to set: rates from measured constants, averages over the last
half of the run.

With L the curvature of the mean loss, L_max that of the longest row, and b rows per update, the
curvature that a batch sees is

    L(b) = L_max (n - b) / (b (n - 1)) + L n (b - 1) / (b (n - 1))

(Gower et al., 2019, expected smoothness). Plain descent and momentum use min(1.5 / L(b), b r /
sqrt(1 + 2 e)) in epoch e, r = 1 / (2 L_max): the first keeps it stable, the second makes the noise,
which is proportional to rate / b, fall. Rules that normalise the gradient use a share of the scale
of the targets, per unit of each column. The answer is the mean of the iterates since the last epoch
that is a power of two.

Measured on `a9a` (log loss, alpha = 1/n, tol=1e-3), epochs and relative error of the objective at
the end, for 1 and 64 rows per update: gd 32, 2e-4 and 64, 1e-4; momentum 16, 4e-4 and 64, 1e-4;
Adagrad 8, 5e-4 and 8, 7e-4; RMSprop 8, 5e-4 and 8, 7e-4; Adam 8, 4e-4 and 8, 4e-4.
"""

from typing import NamedTuple

import numpy as np

from fastgd.losses.base import typical_curvature
from fastgd.objective.distances import unit_at
from fastgd.objective.moments import column_scales
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import SUM_OF_SQUARES
from fastgd.rules.adaptive import Adagrad, Adam, Rmsprop
from fastgd.rules.classic import Gd, Momentum, Nesterov
from fastgd.rules.one_sample import Capped
from fastgd.rules.schedules import Schedule
from fastgd.solvers.stochastic.kernels import AVERAGED, row_epoch
from fastgd.solvers.stochastic.scheduled import Stochastic

# Columns whose scales differ by less need no scaling, and plain descent keeps its fast kernel.
ALIKE = 4.0
# The largest row counts at most this many times the mean one; longer ones are held by the cap on a
# row's own step.
LONGEST_ROW = 4.0
BOOST = 3.0
SAMPLE_ROWS = 1000
POWER_STEPS = 20
# In `row_epoch` the penalty acts once in so many rows, or in an eighth as many as there are
# columns: a twentieth of the work on census. With many columns that is too seldom: accuracy 0.86
# for 0.92 over 17 chunks of news text.
SHORTEST_BLOCK = 16
NARROW = 1024


class Tuning(NamedTuple):
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
    """

    scales: np.ndarray | None
    unit: float
    row_rate: float
    batch_curvature: float
    spread: float


class SelfTuned(Stochastic):
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
    """

    own_steps = True

    def __init__(self, objective, rule, batch, seed, *, shuffle=True, average_from=None, tol=0.0):
        super().__init__(
            objective,
            rule,
            Schedule(1.0),
            batch,
            seed,
            shuffle=shuffle,
            average_from=1.0 if average_from is None else average_from,
        )
        self.restarts_average = average_from is None
        self.own_rule, self.tol = rule, tol

    def _resume(self, state):
        """Measure the data once; a continued run keeps what the first one measured."""
        memory = state.memory
        if "tuning" not in memory:
            memory["tuning"] = self._measure()
        tuning = memory["tuning"]
        alike = tuning.scales is None
        self.plain = self.plain and alike
        if "slots" not in memory and not self.plain and not self.objective.vector:
            memory["slots"] = np.zeros((max(self.rule.slots, 1), self.objective.n_features + 1))
        self.normalised = isinstance(self.rule, Adagrad | Rmsprop | Adam)
        power = 1.0 if self.normalised else 2.0
        if alike:
            self.intercept_rate = tuning.unit**power
            self.rates = np.ones(self.objective.n_features)
        else:
            self.rates = 1.0 / tuning.scales**power
        if isinstance(self.rule, Gd) and self.plain and self.batch == 1:
            self.pace = Capped(self.intercept_rate * self.objective.fit_intercept)

    def advance(self, state):
        """One epoch at one rate, so that lazy updates are exact."""
        memory, epoch = state.memory, state.iteration
        if self.restarts_average and epoch & (epoch - 1) == 0:
            memory["total"][:] = 0.0
            memory["book"][AVERAGED] = 0.0
        self.schedule = Schedule(memory.get("boost", 1.0) * self._rate(memory["tuning"], epoch))
        if isinstance(self.own_rule, Rmsprop):
            # A short memory of squared gradients is correlated with the gradient and biases the
            # fixed point; Mukkamala and Hein (2017), theorem 4, need rho_t -> 1 as 1 - 1/t.
            updates = max(self.rows.size / self.batch, 1.0) * max(epoch, 1)
            self.rule = Rmsprop(
                max(self.own_rule.rho, 1.0 - 1.0 / max(updates, 2.0)), self.own_rule.epsilon
            )
        super().advance(state)
        if (
            self.restarts_average
            and state.iteration >= 2
            and state.iteration & (state.iteration - 1) == 0
        ):
            self._adjust(state)

    def _epoch(self, order, point, memory, options):
        """Where no formula is asked for, Adagrad on one row of few columns takes the faster
        kernel.
        """
        F = self.objective
        if (
            not isinstance(self.rule, Adagrad)
            or self.batch > 1
            or F.vector
            or F.n_features > NARROW
        ):
            super()._epoch(order, point, memory, options)
            return
        block = max(F.n_features // 8, SHORTEST_BLOCK)
        row_epoch(
            F.rows,
            F.samples,
            F.loss,
            self.rule,
            F.penalty,
            order,
            block,
            point,
            memory["slots"],
            memory["total"],
            self.rates,
            memory["book"],
            options,
        )

    def _adjust(self, state):
        """At epochs that are powers of two: larger steps while the run is slow rather than noisy.
        Two passes.

        Where the last iterate is better than the average of the last half of the run, the average
        lags behind a run that is still on its way: larger steps. Where it is worse by more than the
        average fell since the last look, the noise of the steps is what is left: back to smaller
        ones. Differences below tol F / 2 do not count. Measured on raw breast cancer columns, log
        loss, objective after 1000 epochs without and with this (optimum 0.0758): gd, 1 row 0.120
        and 0.080; adam, 32 rows 0.167 and 0.077.
        """
        memory, boost = state.memory, state.memory.get("boost", 1.0)
        with np.errstate(all="ignore"):
            objective, last = (
                self.objective.value(self.answer(state)),
                self.objective.value(state.point),
            )
        noise, fall = last - objective, memory.get("reviewed", np.inf) - objective
        if fall < 0.0 or (
            noise > fall and noise > 0.5 * self.tol * unit_at(self.objective, objective)
        ):
            memory["boost"] = max(boost / BOOST, 1.0)
        elif noise < -0.5 * self.tol * unit_at(self.objective, objective):
            memory["boost"] = boost * BOOST
        memory["reviewed"] = objective

    def _rate(self, tuning, epoch):
        falling = 1.0 / np.sqrt(1.0 + 2.0 * epoch)
        if isinstance(self.rule, Adagrad):
            return 0.5 * tuning.spread
        if self.normalised:
            return 0.01 * self.batch**0.25 * tuning.spread * falling
        rate = min(1.5 / tuning.batch_curvature, self.batch * tuning.row_rate * falling)
        return (
            rate * (1.0 - self.rule.momentum)
            if isinstance(self.rule, Momentum | Nesterov)
            else rate
        )

    def _measure(self):
        """Constants of the data: column scales, curvature of a row and of a batch, scale of the
        targets.
        """
        F = self.objective
        n, batch = F.n_active, min(self.batch, F.n_active)
        moments, norms = F.moments()
        scales = column_scales(F)
        curvature = self._curvature()
        used = scales[moments[SUM_OF_SQUARES] > 0.0]
        alike = used.size == 0 or used.max() <= ALIKE * used.min()
        unit = float(used.max()) if used.size else 1.0
        if alike:
            longest, mean = norms[1], norms[2]
            intercept = unit**2 * F.fit_intercept
        else:
            mean = float((moments[SUM_OF_SQUARES] / scales**2).sum())
            longest, intercept = float(F.n_features), 1.0 * F.fit_intercept
        row = curvature * (min(longest, LONGEST_ROW * mean) + intercept) or 1.0
        whole = min(curvature * self._largest_eigenvalue(None if alike else scales, unit), row)
        others = max(n - 1, 1)
        seen = row * (n - batch) / (batch * others) + whole * n * (batch - 1) / (batch * others)
        targets = F.samples.targets
        spread = 1.0 if F.loss.classification or F.vector else float(np.std(targets)) or 1.0
        return Tuning(
            scales=None if alike else scales,
            unit=unit,
            row_rate=0.5 / row,
            batch_curvature=max(seen, 1e-3 * row),
            spread=spread / (unit if alike else 1.0),
        )

    def _curvature(self):
        """Curvature of the loss as seen from the null model: 2 F0 / var(y), no more than
        its bound.

        A loss that is linear far from its target has next to none there: steps of 1 / bound would
        take for ever.  On `california` as it comes (targets of 1e5), 256 epochs of gd with one row
        per update, relative error of the objective without and with this: quantile 1.3e-1 and 6e-5,
        Huber 9e-2 and 7e-4.
        """
        F = self.objective
        typical = typical_curvature(F.loss)
        if F.loss.classification or F.vector or F.loss.infimum == -np.inf:
            return typical
        variance = float(np.var(F.samples.targets[self.rows]))
        seen = 2.0 * (null_model(F)[1] - F.loss.infimum) / variance if variance > 0.0 else 0.0
        return min(seen, F.loss.curvature_bound) if seen > 0.0 else typical

    def _largest_eigenvalue(self, scales, unit):
        """Of the mean of x x' over a sample of rows, columns scaled, the intercept's included,
        by the power method.
        """
        F = self.objective
        rng = np.random.Generator(np.random.PCG64([self.seed, 2**31]))
        chosen = np.sort(rng.permutation(self.rows)[:SAMPLE_ROWS])
        sample = F.rows.take(chosen)
        inverse = np.ones(F.n_features) if scales is None else 1.0 / scales
        constant = (unit if scales is None else 1.0) * F.fit_intercept
        direction, last, value = rng.standard_normal(F.n_features), rng.standard_normal(), 0.0
        for _ in range(POWER_STEPS):
            length = np.sqrt(direction @ direction + last * last)
            direction, last = direction / length, last / length
            projected = sample @ (inverse * direction) + constant * last
            direction = inverse * (sample.T @ projected) / chosen.size
            last = constant * float(projected.sum()) / chosen.size
            value = np.sqrt(direction @ direction + last * last)
            if value == 0.0:
                break
        return float(value)
