"""Stochastic dual coordinate ascent: rows one after the other, each with the best step for it, and
a bound for free.

An iteration visits all rows once, in random order; from the second iteration on it first visits
again and again those rows that moved w most in the iteration before, while that moves w faster than
visits to all rows did. (Rows that hardly move are most of the rows where classes are well apart:
shrinking, without a rule of its own for each loss.)

The unpenalised intercept is a proximal point: with (rho / 2) (b - center)^2 in F, b = center +
mean_i s_i u_i / rho, and each iteration makes b the center. At the end the mean is 0, and nothing
has been added.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.losses.base import typical_curvature
from fastgd.objective.cost_model import visit_cost
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.subset import on_sample
from fastgd.rules.batches import row_order
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Answer, Progress, Solver, State, Traits
from fastgd.solvers.dual import kernels as dual
from fastgd.solvers.dual.dual_cost import of_kinks, of_smooth

# Between, only rows are visited whose squared move of w is above this many times the mean. Passes
# to a certified 1e-6 with 0.05, 0.2, 1 and without such visits (one seed, log loss): 34, 23, 13 and
# 96 on text at alpha = 0.01 / n, 14, 13, 12 and 42 on rare binary features and 26, 24, 23 and 31 on
# one-hot columns at 1 / n.
SMALL_MOVE = 1.0
# Visits to the active rows go on while they move w at least this many times as fast as visits to
# all rows did, for as many rows read. Beyond MAX_ACTIVE of all rows there is little to be won.
FAST_ENOUGH = 0.5
MAX_ACTIVE = 0.6
MAX_VISITS = 30
# The intercept as a column whose square is a tenth of a row's. Passes to a certified 1e-4 with 0.1,
# 1, 10 here: over 200, 26, 18 on one-hot columns at alpha = 1 / n (log loss), over 200, 101, 63
# (hinge), and 5, 5, 12 on rare binary features at 100 / n (log loss).
RHO = 10.0
# A check takes a pass.  After each iteration one row of so many, and no fewer than MIN_SAMPLED if
# these are no more than a quarter, tell whether it is due: their gaps are never negative, and add
# up to that of the bound.  What an iteration raised the bound by does not tell: on text it left
# from 0.4 to 0.01 of that.  Passes to a certified 1e-2 with what was raised and with the rows, at
# alpha = 1 / n and 0.01 / n: log loss 4.4 and 4.5, 5.6 and 5.7 on generated text, 5.7 and 4.7, 9.5
# and 9.8 on code; hinge 9.0 and 7.1, 41.6 and 24.1, 12.4 and 8.8, 40.7 and 33.6.
SAMPLED = 32
MIN_SAMPLED = 512
MAX_SAMPLED = 0.25
# Rows that moved w more than so many times the mean, at most one of 8, are all looked at: late in a
# run, of a few hundred rows that still move, a sample meets some or none. Hinges of 48,842 and
# 49,749 rows, between 1e-5 and 1e-6: 0.09 to 5 times the gap by the sample, 0.77 to 2.1 with 1 %
# of the rows looked at beside it, at least 0.8 and at most 1.5 in 36 of 40 iterations.
LARGE_MOVE = 8.0
# w is made anew from the duals at doubling iterations from this one on, and where what it may have
# lost to rounding is this share of what the last iteration raised the bound by.
REBUILT = 8
VISIBLE = 0.1
# Units of rounding of a sum that NumPy makes of halves of halves, and of its terms.
SUMMED = 8.0


@dataclass
@shaped(duals="n", terms="n", sizes="n", moves="n", v="d")
class SdcaMemory:
    """What dual ascent remembers; see `fastgd.solvers.dual.kernels` for the three arrays of rows.

    Attributes
    ----------
    duals : ndarray or None, (n_samples,)
        Dual variables u.
    terms : ndarray or None, (n_samples,)
        Terms t of the dual objective; -inf where they may be those of other targets.
    sizes : ndarray or None, (n_samples,)
        What the terms are sums of, in magnitude: tells their rounding.
    moves : ndarray or None, (n_samples,)
        How much w moved, squared, at the last visit to each row.
    visits : int
        Visits to many rows so far: each has an order of its own.
    center : float
        Center of the proximal term of the intercept.
    v : ndarray or None, (n_features,)
        sum s u x / (l2 n), of which w is the soft threshold; None without an L1 part, where it is
        w.
    rounding : float
        How far v may be from that of u, in |w|.
    last_lower : float
        What the last iteration has proved F to be nowhere below.
    lower : float
        The same where it holds for the data at hand.
    rounded : float
        What `lower` would be higher by if nothing rounded.
    raised : float
        What the last iteration raised the bound by.
    gap_estimate : float
        An estimate of F - F* after the last iteration, by some of the rows.
    """

    duals: np.ndarray | None = None
    terms: np.ndarray | None = None
    sizes: np.ndarray | None = None
    moves: np.ndarray | None = None
    visits: int = 0
    center: float = 0.0
    v: np.ndarray | None = None
    rounding: float = 0.0
    last_lower: float = -np.inf
    lower: float = -np.inf
    rounded: float = 0.0
    raised: float = np.inf
    gap_estimate: float = np.inf


class Sdca(Solver):
    """`solver="sdca"`: any convex loss of one prediction with an L2 part in the penalty.

    Parameters
    ----------
    objective : Objective
    seed : int
        Of the order of the rows: visit number k orders them by (seed, k) alone.
    shuffle : bool

    Raises
    ------
    ValueError
        For a loss or a penalty that it cannot handle.

    References
    ----------
    Shalev-Shwartz and Zhang (2013), "Stochastic dual coordinate ascent methods for regularized loss
    minimization"; (2016), "Accelerated proximal stochastic dual coordinate ascent", for the L1
    part. Hsieh et al. (2008), "A dual coordinate descent method for large-scale linear SVM", for
    shrinking.
    """

    name = "sdca"
    traits = Traits(
        reads="blocks", batch_sizes=(1,), random=True, judged_by="bound", free_answers=False
    )
    made_with = "seed", "shuffle"
    Memory = SdcaMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses losses that are not convex or of several predictions, and penalties without an
        L2 part.
        """
        F = objective
        if F.vector or F.loss.online or not F.loss.convex:
            return (
                "needs a convex loss of one prediction other than 'perceptron', got "
                f"{F.loss!r}; use solver='auto'"
            )
        if not F.elastic or F.l2 <= 0.0:
            return (
                "needs a penalty with an L2 part and alpha > 0, got penalty "
                f"{F.penalty!r} and alpha={F.alpha:g}; use penalty='l2' or 'elasticnet', or "
                "solver='auto'"
            )
        return None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By what rows have in common: a step on one row's dual variable must not be undone by
        those on the others, else a one-row descent with a rate for each column is ahead.

        Without an L1 part smooth losses have others that are as good, but where rows have little
        in common.
        """
        F = objective
        reason = (
            "rows have little in common, so that their dual variables move freely"
            if F.loss_smooth
            else "the loss is not smooth, and each row's dual variable gets the best step for it"
        )
        if F.loss_smooth:
            return of_smooth(F, tol, cutoff, reason)
        return of_kinks(F, tol, cutoff, reason)

    @classmethod
    def overhead_passes(cls, objective):
        """What a visit in random order to as many rows as a pass reads takes longer."""
        return visit_cost(objective) - 1.0

    def __init__(self, objective, seed, *, shuffle=True):
        self.refuse_unsuitable(objective)
        super().__init__(objective)
        self.seed, self.shuffle = seed, shuffle
        F = objective
        # An intercept asks for dual variables that sum to 0, which without an infimum they cannot
        # be made to.
        proves = not F.fit_intercept or F.loss.infimum > -np.inf
        self.traits = replace(self.traits, proves_itself=proves)
        self.rows = F.samples.active()
        self.norms, self.linear_map = np.zeros(F.n_samples), LinearMap(F)
        for _ in F.over_parts(_squared_norms, rows=(self.norms,)):
            pass
        self.weights = np.broadcast_to(F.samples.weights, (F.n_samples,))
        self.rho = self._intercept_strength() if F.fit_intercept else np.inf

    def _fresh(self, point):
        """State with the dual variables that belong to `point`, times the c in [0, 1] that is
        best for the bound.
        """
        F = self.objective
        coef, intercept = F.split(np.array(point, dtype=np.float64))
        duals, sizes = np.zeros(F.n_samples), np.zeros(F.n_samples)
        terms = np.full(F.n_samples, F.loss.infimum)
        memory = SdcaMemory(
            duals, terms, sizes, moves=np.zeros(F.n_samples), center=float(intercept)
        )
        state = State(np.array(point, dtype=np.float64), 1, memory=memory)
        if coef.any():
            at, arrays = np.r_[coef, intercept], (duals, terms, sizes)
            for _ in F.over_parts(_duals_at, at, rows=arrays):
                pass
        v = self._rebuilt(state)
        self._put(state, v)
        # c t + (1 - c) inf loss is a term for c u, and |w|^2 shrinks by c^2 at least.
        squared = F.l2 * float(state.point[: F.n_features] @ state.point[: F.n_features])
        gain = (
            float(self.weights @ (terms - F.loss.infimum)) / F.n_active
            if F.loss.infimum > -np.inf
            else np.inf
        )
        if gain < squared:
            share = max(gain / squared, 0.0)
            duals *= share
            memory.rounding *= share
            sizes[:] = share * sizes + abs((1.0 - share) * F.loss.infimum)
            terms[:] = share * terms + (1.0 - share) * F.loss.infimum
            self._put(state, share * v)
        return state

    def resume(self, state):
        """Make w that of the duals, which suit any alpha and weights; where it already is, the run
        just goes on.

        The terms may be those of other targets: there is no bound until an iteration has visited
        all rows.
        """
        F, memory = self.objective, state.memory
        if state.iteration == 0:
            return
        if memory.duals.size != F.n_samples or memory.sizes is None:
            fresh = self._fresh(state.point)
            state.forget()
            state.point = fresh.point
            state.memory = fresh.memory
            return
        memory.terms[:] = -np.inf
        memory.lower = -np.inf
        rounding = memory.rounding
        v = self._rebuilt(state)
        known = memory.v if F.l1 > 0.0 else state.point[: F.n_features]
        if known is None or np.abs(v - known).max(initial=0.0) > 1e-9 * np.abs(v).max(initial=0.0):
            self._put(state, v)
        else:
            memory.rounding = rounding

    def advance(self, state):
        """Visits to the rows that moved most, then one to all rows."""
        F, memory = self.objective, state.memory
        point = self._padded(state)
        if state.iteration >= REBUILT and (
            state.iteration & (state.iteration - 1) == 0 or self._blurred(state)
        ):
            point[:-1] = self._rebuilt(state)
        if state.iteration > 0 and F.rows.in_memory:
            self._visit_active(state, point)
        self._visit(state, point, self.rows)
        self._put(state, point[:-1])
        memory.center += self._imbalance(memory.duals) / self.rho
        if F.fit_intercept:
            state.point[-1] = memory.center
        state.iteration += 1
        bound, memory.rounded = self._proved(state)
        memory.raised = bound - memory.last_lower
        memory.last_lower = memory.lower = bound
        memory.gap_estimate = self._gap(state)

    def retreat(self, state, safe_point):
        """Begin anew from `safe_point` where w is not finite; where F alone is not, w is on its
        way: go on.
        """
        if np.isfinite(state.point).all():
            return True
        fresh = self._fresh(safe_point)
        if not np.isfinite(fresh.point).all():
            return False
        state.point = fresh.point
        fresh.memory.visits = state.memory.visits
        state.memory = fresh.memory
        return True

    def progress(self, state):
        """The bound of the dual variables, and how far F is above it as some rows tell."""
        memory = state.memory
        return Progress(
            gap_estimate=memory.gap_estimate,
            lower=memory.lower,
            rounded=memory.rounded,
            done=state.done,
        )

    def evaluate(self, state):
        """(v, smooth part of F, None): the dual variables are a proof that needs no gradient."""
        F, v = self.objective, state.point
        coef = v[: F.n_features]
        smooth = F.loss_and_gradient(v, alone=True)[0] + 0.5 * F.l2 * float(coef @ coef)
        return Answer(v, smooth, None)

    def lower_bound(self, state):
        """A number that F is nowhere below, from the dual variables, or -inf: no pass over X."""
        return self._proved(state)[0]

    def _proved(self, state):
        """(Bound, what is taken off it for rounding).

        An intercept needs sum s u = 0: the heavier sign is scaled down by c, and loss*(c a) <= c
        loss*(a) - (1 - c) inf loss. That moves v by at most (1 - c) sum s |u| |x| / (l2 n) over
        that sign, and w by no more.

        What rounds, and where it is added:

        - t, by a few units of its size, not of itself: `sizes`, in the slack.
        - v, by `_rounding_if_rebuilt` where it was made from the duals and by `_visit` since:
          `rounding`, in |w|.
        - sum s u, by a few units of sum s |u|: in the share by which the heavier sign is scaled
          down.
        - F, with which the bound is compared, by a few units of mean |loss'| (|x| |w| + |b|): in
          the slack, where the duals stand for the derivatives.
        """
        F, memory = self.objective, state.memory
        # Of all rows there are views: to pick each out took half of this.
        here = slice(None) if self.rows.size == F.n_samples else self.rows
        u, t, s = memory.duals[here], memory.terms[here], self.weights[here]
        if not np.isfinite(t).all():
            return -np.inf, 0.0
        n = F.n_active
        length = float(np.linalg.norm(state.point[: F.n_features]))
        total, size = float((s * t).sum()), float((s * memory.sizes[here]).sum())
        signed = s * u
        magnitudes = np.abs(signed)
        share = known_share = lost = reach = 0.0
        if F.fit_intercept and magnitudes.any():
            if F.loss.infimum == -np.inf:
                return -np.inf, 0.0
            heavy = signed > 0.0 if signed.sum() > 0.0 else signed < 0.0
            excess = abs(float(signed.sum()))
            mass = float(magnitudes[heavy].sum())
            share = known_share = 1.0
            if mass > 0.0:
                known_share = min(excess / mass, 1.0)
                rounded = excess + SUMMED * EPS * float(magnitudes.sum())
                share = min(rounded / mass + SUMMED * EPS, 1.0)
            lost = float(s[heavy] @ (t[heavy] - F.loss.infimum))
            reach = float(magnitudes[heavy] @ np.sqrt(self.norms[here][heavy])) / (F.l2 * n)

        def dual_value(share, moved):
            squared = (length + (moved + share * reach)) ** 2
            return (total - share * lost) / n - 0.5 * F.l2 * squared

        slack = SUMMED * EPS * (size / n + float(magnitudes.sum()) / n * abs(memory.center))
        slack += F.l2 * length * self._rounding_if_rebuilt(memory)
        bound = dual_value(share, memory.rounding) - slack
        return bound, dual_value(known_share, 0.0) - bound

    def _sampled(self, visits):
        """Some of the rows, with repetitions, in order."""
        n_rows = self.rows.size
        size = min(max(n_rows // SAMPLED, MIN_SAMPLED), max(int(MAX_SAMPLED * n_rows), 1))
        rng = np.random.Generator(np.random.PCG64([self.seed, visits, size]))
        return self.rows[np.sort(rng.integers(0, n_rows, size))]

    def _gap(self, state):
        """About F less the bound of this iteration, as some rows tell; inf without a bound.

        With w of the dual variables F less mean s t - l2 |w|^2 / 2 is the mean of the rows' gaps,
        less what an intercept adds to them where the mean of s u is not 0; what it costs the bound
        to make it 0 is known.
        """
        F = self.objective
        memory = state.memory
        here = self.rows
        if memory.last_lower == -np.inf:
            return np.inf
        coef, intercept = F.split(state.point)
        at = np.append(coef, intercept)
        of_rows = self._mean_gap_of_rows if F.rows.in_memory else self._mean_gap_at_hand
        gap = of_rows(memory, at)
        if F.fit_intercept:
            gap -= float(intercept) * self._imbalance(memory.duals)
            unbalanced = float(self.weights[here] @ memory.terms[here]) / F.n_active
            gap += unbalanced - 0.5 * F.l2 * float(coef @ coef) - memory.last_lower
        return gap

    def _mean_gap_of_rows(self, memory, at):
        """Mean gap of rows at the unknowns `at`: all that moved much, and some of the others."""
        F = self.objective
        here = self.rows
        arrays = (memory.duals, memory.terms)
        limit = LARGE_MOVE * float(memory.moves[here].mean())
        large = here[memory.moves[here] > limit]
        others = self._sampled(memory.visits)
        others = others[memory.moves[others] <= limit]

        def total(chosen):
            return dual.sum_of_gaps(F.rows, F.samples, F.loss, chosen, at, *arrays)

        F.meter.count((large.size + others.size) / here.size)
        of_others = total(others) * (here.size - large.size) / max(others.size, 1)
        return (total(large) + of_others) / F.n_active

    def _mean_gap_at_hand(self, memory, at):
        """The same by the rows of a source that are in memory."""
        F, sampled = self.objective, self.objective.rows.sampled
        some = on_sample(F, sampled.size, F.alpha)
        chosen, arrays = some.samples.active(), (memory.duals[sampled], memory.terms[sampled])
        total = dual.sum_of_gaps(some.rows, some.samples, F.loss, chosen, at, *arrays)
        F.meter.count(chosen.size / self.rows.size)
        return total * self.rows.size / chosen.size / F.n_active

    def _rounding_if_rebuilt(self, memory):
        """What v, made from the duals, may be wrong by: a sum of s u x / (l2 n), whose terms may
        cancel.
        """
        F = self.objective
        lengths = float(np.abs(self.weights * memory.duals) @ np.sqrt(self.norms))
        return EPS * (4.0 + np.sqrt(F.n_samples)) * lengths / (F.l2 * F.n_active)

    def _rebuilt(self, state):
        """V made from the duals, half a pass."""
        memory = state.memory
        memory.rounding = self._rounding_if_rebuilt(memory)
        return self._primal(memory.duals)

    def _blurred(self, state):
        """Whether rounding of v since it was made from the duals shows beside what the last
        iteration brought.
        """
        memory, coef = state.memory, state.point[: self.objective.n_features]
        lost = self.objective.l2 * float(np.linalg.norm(coef)) * memory.rounding
        return lost > VISIBLE * abs(
            memory.raised
        ) and memory.rounding > 4.0 * self._rounding_if_rebuilt(memory)

    def _visit_active(self, state, point):
        moves = state.memory.moves
        mean = float(moves[self.rows].mean())
        active = self.rows[moves[self.rows] > SMALL_MOVE * mean]
        if not 0 < active.size <= MAX_ACTIVE * self.rows.size:
            return
        for _ in range(MAX_VISITS):
            moved = self._visit(state, point, active)
            if moved < FAST_ENOUGH * mean * active.size:
                break

    def _visit(self, state, point, rows):
        """One visit to each of `rows`; how much they moved w."""
        F, memory = self.objective, state.memory
        n = F.n_active
        numbers = 1.0 / (F.l2 * n), F.l1 / F.l2, 1.0 / (self.rho * n)
        options = dual.DualOptions(*map(float, numbers))
        nonsmooth = None if F.loss.smooth else True
        before = float(np.linalg.norm(point[:-1]))
        block = itertools.count()

        def visit(part, norms, duals, terms, sizes, moves):
            chosen = rows if part is F else part.samples.active()
            number = () if part is F else (next(block),)
            order = row_order(chosen, self.seed, memory.visits, self.shuffle, number)
            return dual.dual_epoch(
                part.rows,
                part.samples,
                F.loss,
                nonsmooth,
                order,
                norms,
                point,
                duals,
                terms,
                sizes,
                moves,
                options,
            )

        arrays = self.norms, memory.duals, memory.terms, memory.sizes, memory.moves
        moved = sum(F.over_parts(visit, rows=arrays))
        # Each update rounds v by a unit of what it is then, which is no longer than before and all
        # moves since.
        longest = before + options.factor * np.sqrt(rows.size * moved)
        memory.rounding = float(np.hypot(memory.rounding, EPS * np.sqrt(4.0 * rows.size) * longest))
        memory.visits += 1
        state.updates += rows.size
        F.meter.count(rows.size / n)
        return moved

    def _padded(self, state):
        """The unknowns of the kernel, (d + 1,): v and the intercept that belongs to center and
        duals.
        """
        F, memory = self.objective, state.memory
        point = np.zeros(F.n_features + 1)
        point[:-1] = memory.v if F.l1 > 0.0 else state.point[: F.n_features]
        point[-1] = memory.center + self._imbalance(memory.duals) / self.rho
        return point

    def _put(self, state, v):
        """Make `v`, and w with it, that of the state."""
        F = self.objective
        threshold = F.l1 / F.l2
        if threshold > 0.0:
            state.memory.v = v.copy()
            v = np.maximum(v - threshold, 0.0) + np.minimum(v + threshold, 0.0)
        state.point = np.r_[v, state.point[F.n_features :]]

    def _primal(self, duals):
        """V = sum s u x / (l2 n), (d,)."""
        F = self.objective
        if not duals.any():
            return np.zeros(F.n_features)
        return self.linear_map.rmatvec(self.weights * duals) / (F.l2 * F.n_active)

    def _imbalance(self, duals):
        """Mean of s u, which an unpenalised intercept makes 0."""
        return float(self.weights @ duals) / self.objective.n_active

    def _intercept_strength(self):
        F = self.objective
        mean_norm = float(self.weights @ self.norms) / F.n_active
        return min(RHO * F.l2 / mean_norm if mean_norm > 0.0 else np.inf, typical_curvature(F.loss))


def _squared_norms(part, norms):
    part.map_blocks(lambda a, b: dual.squared_norms(part.rows, part.cuts, a, b, norms))


def _duals_at(part, at, duals, terms, sizes):
    dual.duals_at(part.rows, part.samples, part.loss, at, duals, terms, sizes)
    part.meter.count()
