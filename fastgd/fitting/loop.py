"""The loop: start, gradient, update, stop?  The only place that runs solvers; here a run gets its
history and ending.

state = solver.start(point)
until a stopping rule holds:
    solver.advance(state)                          the gradient and the update
    evaluate, bound, append to the history      where a check is due
"""

import time
from dataclasses import dataclass

import numpy as np

from fastgd.certificates.bound import NO_BOUND, Bound, relative
from fastgd.certificates.certifier import EPS, LIKELY, LIKELY_WHERE_IT_JUMPS, Certifier, provable
from fastgd.certificates.rounding import value_rounding
from fastgd.fitting.history import History
from fastgd.fitting.observers import Watch
from fastgd.fitting.result import DivergenceError, Result, is_rounding
from fastgd.fitting.stopping import (
    Extrapolated,
    Stalled,
    StopReason,
    TimeLimit,
    Tolerance,
    left_to_fall,
)
from fastgd.objective.distances import enough
from fastgd.objective.infimum import check_mean
from fastgd.objective.null_model import best_constant

# An explicit schedule is never altered: this many times the constant model's objective is called
# divergence.
DIVERGED = 1e10
# It still grows where the last three checks have doubled it and the last iterations no slower than
# those before: powers of the number of iterations, as of a run that will turn round, bring 0.5
# between checks at doubling iterations.
DOUBLED = 2.0
NO_SLOWER = 0.75
# Reasons for which a run ends by itself.
ENDS = (StopReason.PLATEAU, StopReason.MAX_ITER, StopReason.TIME)
# What is told of steps of a solver's own that came to an end without a proof.
NO_MORE = (
    "Its steps bring no more: what is left is rounding, or too small for them to see. To get "
    "further, scale the "
    "columns of X, raise alpha or tol, or leave the choice to solver='auto'."
)
# F0 is rounding where it is no more than so many times what it may be wrong by.
ROUNDED = 100.0
# Rounding that leaves more than so many times tol is told, unless tol asks for no more than
# rounding.
EXCUSED = 10.0
LEAST = 1e-14
# A schedule may end at so many times its lowest check: noise, not too large a rate.
NOISE = 2.0
# A certificate at the end may take this share of the run's passes, less if no tolerance asks for
# it, or so many operations (20 ms).
ASKED_SHARE = 2.0
UNASKED_SHARE = 0.1
UNASKED_WORK = 2e7
# Rounding of F that is less than this share of what tol allows is not looked at more closely.
NEGLIGIBLE = 0.05
# A solver that keeps a bound of its own tells when it is nearly done: until then checks begin at
# this iteration.
FIRST_LOOK = 8


@dataclass
class _Check:
    """A point that was evaluated; `smooth` is the part of F that has the gradient.

    `doubt` is what F may be wrong by, which each bound on F - F* takes in.
    """

    point: np.ndarray
    objective: float
    smooth: float
    gradient: np.ndarray | None
    doubt: float = 0.0
    bound: Bound = NO_BOUND
    suboptimality: float = np.inf
    score: float = np.nan


class Descent:
    """One run of a solver.

    Parameters
    ----------
    solver : Solver
    rules : list of StoppingRule
    max_iter : int
        Most iterations of this run.
    tol : float or None
        Relative suboptimality to certify; None runs max_iter.
    score : callable, optional
        Of the unknowns, for rules that need a score.
    watch : Watch, optional
        Told about iterations and checks; it may end the run.
    """

    def __init__(self, solver, rules, *, max_iter, tol=None, score=None, watch=None):
        self.solver, self.rules, self.max_iter, self.tol = (
            solver,
            list(rules),
            max_iter,
            tol or None,
        )
        self.score, self.watch = score, watch or Watch()
        self.objective = solver.objective
        self.certifier = Certifier(self.objective, solver.inverse_root())
        self.certifier.negligible = NEGLIGIBLE * (tol or 0.0)
        self.constant, self.constant_value = best_constant(self.objective)
        self.objective.constant, self.objective.constant_value = self.constant, self.constant_value
        if self.tol is not None:
            self.rules.insert(0, Tolerance(self.tol))
        self.watched = any("every_iteration" in rule.needs for rule in self.rules)
        self.every_iteration = solver.exact or self.watched
        self.wants_loss = any("loss" in rule.needs for rule in self.rules)
        others = [
            rule for rule in self.rules if not isinstance(rule, Tolerance | TimeLimit | Stalled)
        ]
        self.stalled = [rule for rule in self.rules if isinstance(rule, Stalled)]
        self.asks_for_points = bool(others) or score is not None
        self.time_limit = min(
            (rule.seconds for rule in self.rules if isinstance(rule, TimeLimit)), default=np.inf
        )

    def run(self, state):
        """Iterate until a rule holds or `max_iter` iterations are done.

        Raises
        ------
        DivergenceError
            Where an explicit schedule makes the objective explode.
        """
        self._clock, self._hoped, self._floor, self.known = (
            time.perf_counter(),
            np.inf,
            -np.inf,
            None,
        )
        self.history, self.best, self.best_scored, self.last = (
            History(),
            self._remembered(state),
            None,
            None,
        )
        self.likely, self._asked = (
            None,
            0.0,
        )  # F*, where an estimate ends the run; when one was asked for
        start_point = state.point.copy()
        reason = StopReason.MAX_ITER

        def model():
            return self.objective.model(self.solver.answer(state))

        try:
            for iteration in range(1, self.max_iter + 1):
                self.watch.iteration_begins(model)
                self.solver.advance(state)
                asked = self.watch.iteration_ends(model)
                timed_out = time.perf_counter() - self._clock >= self.time_limit
                final = iteration == self.max_iter or timed_out or asked
                if not (self.solver.settled(state) or final or self.watched):
                    # The objective of the sample that the batch is at: a pass over all rows would
                    # cost more than it.
                    self._note(state, state.value, NO_BOUND, np.inf, np.nan)
                elif not final and self._goes_on(state):
                    pass
                elif self._due(state, final):
                    found = self._look(state, start_point)
                    if found is not None or asked:
                        reason = found or (
                            asked if isinstance(asked, StopReason) else StopReason.CALLBACK
                        )
                        break
                elif not np.isfinite(state.point).all():
                    self._diverged(state, np.nan, start_point)
            if reason in ENDS and self._still_grows():
                self._diverged(
                    state, self.history["objective"][-1], start_point, " and still grows"
                )
            return self._result(state, reason, start_point)
        except KeyboardInterrupt:
            if self.last is None:
                self.last = self._seen_so_far(state)
            if self.last is None:
                raise
            return self._result(None, StopReason.INTERRUPTED, start_point)

    def _seen_so_far(self, state):
        """The model where checks so far did without the point: evaluated, wherever the iteration
        was when a key came.
        """
        if not len(self.history):
            return None
        with np.errstate(all="ignore"):
            check = self._evaluated(self.solver.answer(state))
        return check if np.isfinite(check.objective) else None

    def _remembered(self, state):
        """Best point of the run that is continued, if it was one of the same objective."""
        value, point = state.memory.get("best", (None, None))
        if value is None or not self.solver.adapts:
            return None
        check = self._evaluated(point)
        return check if check.objective == value else None

    def _due(self, state, final):
        finished = self.tol is not None and self.solver.finished(state)
        nearly = self.tol is not None and self.solver.nearly_done(state, self.tol)
        return final or finished or nearly or self._regular(state)

    def _goes_on(self, state):
        """Whether value and bound alone tell that no rule ends the run; then the check is noted
        without the point.

        A solver may take half a pass to compute its point (`Solver.preview`), which most iterations
        can do without.
        """
        preview = None if self.asks_for_points else self.solver.preview(state)
        if preview is None or any(rule.check(self.history) for rule in self.stalled):
            return False
        value, bound = preview
        suboptimality = self._relative(bound.value, value)
        if self.tol is not None and (suboptimality <= self.tol or self.solver.finished(state)):
            return False
        self._note(
            state, value, bound if bound.kind == "proof" else NO_BOUND, suboptimality, np.nan
        )
        return True

    def _regular(self, state):
        """Whether a check is due at this iteration however long the run is."""
        first = FIRST_LOOK if self.solver.proves and self.tol is not None else 1
        return self.every_iteration or (
            state.iteration >= first and state.iteration & (state.iteration - 1) == 0
        )

    def _look(self, state, start_point):
        """One check: evaluate the answer, bound it, note it, ask the rules."""
        F = self.objective
        with np.errstate(all="ignore"):
            v, smooth, gradient = self.solver.evaluate(state)
            value = smooth + F.rest_value(v)
        if self._exploded(value, start_point):
            self._note(state, value, NO_BOUND, np.inf, np.nan)
            self._diverged(state, value, start_point)
            late = (rule.check(self.history) for rule in self.rules if isinstance(rule, TimeLimit))
            return next((reason for reason in late if reason is not None), None)
        check_mean(F, v, value, self.constant_value)
        self.known = self.solver.known_curvature(state)
        self._floor = max(self._floor, self.solver.lower_bound(state))
        doubt = self.solver.doubt(state)
        doubt = self._rounding(v, value, gradient) if doubt is None else doubt
        check = self._certified(_Check(v, value, smooth, gradient, doubt), final=False)
        check.score = self.score(check.point) if self.score is not None else np.nan
        loss = value - F.penalty_value(v) if self.wants_loss else np.nan
        self._note(state, check.objective, check.bound, check.suboptimality, check.score, loss)
        self.last = check
        # A check that is only due because this part of a run ends must not decide what the whole
        # run answers.
        if self._regular(state) and (self.best is None or check.objective < self.best.objective):
            self.best = check
            state.memory["best"] = check.objective, check.point
        if self.best_scored is None or check.score > self.best_scored.score:
            self.best_scored = check
        for rule in self.rules:
            reason = rule.check(self.history)
            if reason is not None and isinstance(rule, Extrapolated) and self.solver.adapts:
                reason = self._second_opinion(check, reason)
                if reason is StopReason.PLATEAU:
                    reason = self._by_estimate(check, rule)
            if reason is not None:
                return reason
        if self.tol is not None and is_rounding(check.bound, check.doubt):
            return StopReason.PLATEAU
        if self.tol is not None and self.solver.finished(state):
            if self.solver.adapts and not provable(F):
                self.likely = check.objective - self._left_at_rest(check)
            return StopReason.PLATEAU
        if self._regular(state) and self.solver.settled(
            state
        ):  # else k iterations and m more would not be k + m iterations
            # The constant model may be the optimum: what noise adds to it is no reason to step
            # back.
            limit = self._reference + (self._highest - self.constant_value)
            limit += 0.5 * (self.tol or 0.0) * abs(limit)
            self.solver.review(state, check.objective, self._constant_point(), limit)
        return None

    def _by_estimate(self, check, rule):
        """PLATEAU where an estimate ends the run, `likely` being what it says of F*; None where it
        goes on.

        That F no longer falls says little: steps along it may be too short.  Where the curvature
        can be asked, its decrement is the estimate, looked at whenever the passes have doubled.
        """
        if self._curvature_tells:
            if self._spent < 2.0 * self._asked:
                return None
            self._asked, gradient = self._spent, self._gradient(check)
            if self.solver.exact:
                left = self.certifier.likely_left(check.point, gradient)
            else:
                # where noise ends the run the falls and the decrement have to agree: the lesser
                # caution does
                left = max(
                    self.certifier.likely_left(check.point, gradient, LIKELY),
                    rule.estimate(self.history),
                )
            if not self._relative(left, check.objective) <= self.tol:
                return None
        elif self.objective.convex and self.objective.elastic and self.solver.exact:
            # Subgradients of all rows: no falls tell how far the optimum is.
            return StopReason.PLATEAU
        elif self.best is not None and self.best.objective < check.objective - self._enough(check):
            return None  # what falls is the noise
        else:
            left = rule.estimate(self.history)
            if not self.objective.vector:
                # Steps that heavy tails keep short hardly move F at all: one of a fit's own rows
                # had gained 3e-4 of the 2 % that the columns are good for. Looked at whenever the
                # passes have doubled.
                if self._spent < 2.0 * self._asked:
                    return None
                self._asked = self._spent
                left = max(left, self.certifier.sure_fall(check.point, self._gradient(check)))
                if not self._relative(left, check.objective) <= self.tol:
                    return None
        self.likely = check.objective - left
        return StopReason.PLATEAU

    def _left_at_rest(self, check):
        """An estimate of what a solver with nothing left to do has left, where no bound goes to
        0.
        """
        F = self.objective
        if (
            self.known is not None
            and F.convex
            and self.known[0].full
            and check.gradient is not None
        ):
            caution = LIKELY if F.loss.self_concordance is not None else LIKELY_WHERE_IT_JUMPS
            return 0.5 * caution * self.known[0].norm_of(check.gradient) ** 2
        if self._curvature_tells:
            return self.certifier.likely_left(check.point, self._gradient(check))
        if F.convex and F.elastic:
            return np.inf
        values = self.history["objective"]
        values = [values[0]] * (5 - len(values)) + values[
            -5:
        ]  # a run that ended sooner stood still at once
        return left_to_fall(*values[::2])

    @property
    def _curvature_tells(self):
        """Whether the Newton decrement at a point is an estimate of what is left."""
        F = self.objective
        return F.convex and F.loss_smooth and F.elastic

    @property
    def _spent(self):
        return self.objective.passes - self.solver.passes_before

    def _gradient(self, check):
        if check.gradient is None:
            check.gradient = self.objective.smooth_and_gradient(check.point)[1]
        return check.gradient

    def _still_grows(self):
        """Whether an explicit schedule leaves F above the best constant model and growing.

        Not where rates fall: a run that began with long steps may turn round.
        """
        scheduled = self.solver.by_schedule and not self.solver.adapts
        if not scheduled or self.objective.loss.name == "perceptron" or len(self.history) < 3:
            return False
        if self.history["rate"][-1] < self.history["rate"][-3]:
            return False
        values, iterations = (
            np.array(self.history[key][-3:]) for key in ("objective", "iteration")
        )
        if not self._reference < values[2] or not values[2] >= DOUBLED * values[0] > 0.0:
            return False
        before, after = np.diff(np.log(values)) / np.diff(iterations)
        return before > 0.0 and after >= NO_SLOWER * before and self._scale < values[2]

    @property
    def _highest(self):
        """F of the best constant model; its penalty counts where it is not 0, infinite where
        bounds rule it out.
        """
        F = self.objective
        return (
            self.constant_value
            if F.elastic
            else self.constant_value + F.penalty_value(self._constant_point())
        )

    @property
    def _reference(self):
        return self.constant_value or 1.0

    @property
    def _scale(self):
        """What an objective beyond all reason is measured by: F0, and where that is rounding, F of
        the zero model.

        A constant fits one row, or equal targets: any step is 1e10 times what is left then.
        """
        F, value = self.objective, abs(self.constant_value)
        with np.errstate(all="ignore"):
            if value > ROUNDED * value_rounding(F, self._constant_point(), value, np.inf):
                return value
            at_zero = abs(F.value(F.start()))
        return at_zero if 0.0 < at_zero < np.inf else 1.0

    def _safe_point(self, start_point):
        """Where to go back to: the best point, unless even that is worse than the constant
        model.
        """
        return (
            start_point
            if self.best is None or self.best.objective > self._reference
            else self.best.point
        )

    def _exploded(self, value, start_point):
        """Whether F is beyond all reason; far from the start it may have been beyond before the
        first iteration.
        """
        # A dual solver's F may rise on the way.
        if value <= DIVERGED * abs(self._reference) or (self.solver.proves and np.isfinite(value)):
            return False
        if np.isfinite(value):
            with np.errstate(all="ignore"):
                return not value <= DIVERGED * max(
                    self._scale, abs(self.objective.value(start_point))
                )
        return True

    def _certified(self, check, final):
        """The check with the best bound that is worth its passes; its point may get a better
        intercept on the way.
        """
        F, certifier = self.objective, self.certifier
        if (
            self.known is not None and F.loss.self_concordance == 0.0
        ):  # exact, but for rounding, and for no pass
            exact = self._known_bound(check)
            self._bound(check, Bound(max(exact.value, EPS * abs(check.objective)), exact.kind))
        # What was proved at an earlier point holds for all: F* >= F - bound there.
        self._bound(
            check, Bound(max(check.objective - self._floor, EPS * abs(check.objective)), "proof")
        )
        if check.suboptimality > (self.tol or 0.0):
            if check.gradient is None:
                check.gradient = F.smooth_and_gradient(check.point)[1]
            self._bound(check, certifier.cheap(check.point, check.smooth, check.gradient))
        if self.known is not None and check.suboptimality > (self.tol or 0.0):
            self._bound(check, self._known_bound(check))
        if check.suboptimality > (self.tol or 0.0) and self._centering_pays(check, final):
            centered = self._evaluated(certifier.centered(check.point))
            v, smooth, gradient = centered.point, centered.smooth, centered.gradient
            self._bound(centered, certifier.cheap(v, smooth, gradient))
            if self.solver.adapts:
                check = centered
            else:
                # what the rule and the schedule give is never altered; how far it is follows from
                # the better point
                above = check.objective - centered.objective + centered.bound.value
                self._bound(check, Bound(above, centered.bound.kind))
        if check.suboptimality > (self.tol or 0.0) and self._proof_pays(check, final):
            self._prove(check)
        return check

    def _known_bound(self, check):
        enough = self._enough(check)
        return self.certifier.from_known(
            self.known, check.point, check.gradient, enough, check.objective
        )

    def _second_opinion(self, check, reason):
        """What a proof says where an estimate would end the run: converged, not yet (None), or
        nothing (the reason).
        """
        if self._proof_pays(check, final=True):
            self._prove(check)
            self._amend(check)
        if check.suboptimality <= self.tol:
            return StopReason.CONVERGED
        return reason if check.suboptimality >= 1.0 else None

    def _prove(self, check):
        self._bound(
            check,
            self.certifier.prove(check.point, check.objective, check.gradient, self._enough(check)),
        )

    def _enough(self, check):
        """The bound that tol asks for; without one the first bound there is."""
        if self.tol is None:
            return np.inf
        asked = enough(self.tol, check.objective, self.constant_value, self.objective.loss.infimum)
        return max(asked - check.doubt, 0.0)

    def _relative(self, bound, value):
        return relative(bound, value, self.constant_value, self.objective.loss.infimum)

    def _bound(self, check, bound):
        """Let a bound on F as it was computed, less F*, be that of the check where it is the
        smallest.
        """
        bound = Bound(bound.value + check.doubt, bound.kind)
        if bound.value < check.bound.value:
            check.bound = bound
            check.suboptimality = self._relative(bound.value, check.objective)
            if bound.kind == "proof":
                self._floor = max(self._floor, check.objective - bound.value)

    def _centering_pays(self, check, final):
        """Whether two passes for the best intercept would likely bring the gap below tol, or
        bring a gap at the end.
        """
        certifier = self.certifier
        if not certifier.centering_helps or (self.tol is None and not final):
            return False
        hope = certifier.cheap(check.point, check.smooth, check.gradient, balanced=True).value
        likely = self.tol is not None and self._relative(hope, check.objective) <= self.tol
        if final:
            return likely or (hope < 0.5 * check.bound.value and not certifier.decrement_applies)
        # Where it did not do, it is tried again once the gap has halved.
        if likely and hope <= 0.5 * self._hoped:
            self._hoped = hope
            return True
        return False

    def _proof_pays(self, check, final):
        """Whether the Newton decrement is worth its passes: the run goes on until it is proved,
        or ends here.
        """
        F, certifier = self.objective, self.certifier
        if not certifier.decrement_applies or (self.tol is None and not final):
            return False
        spent, cost = self._spent, certifier.proof_passes
        if final:
            if self.tol is None and certifier.wide:
                return False
            share = UNASKED_SHARE if self.tol is None else ASKED_SHARE
            return (
                cost <= max(share * spent, 2.0) or cost * F.row_length * F.n_samples <= UNASKED_WORK
            )
        if self.solver.keeps_curvature:
            return False
        worth = certifier.worth_proving(
            check.objective, check.gradient, self.tol, self.constant_value
        )
        return worth and (self.solver.exact or cost <= 0.2 * spent)

    def _note(self, state, value, bound, suboptimality, score, loss=np.nan):
        self.history.append(
            passes=self._spent,
            seconds=time.perf_counter() - self._clock,
            objective=value,
            bound=bound.value,
            rate=state.rate,
            batch=state.batch,
            iteration=state.iteration,
            suboptimality=suboptimality,
            score=score,
            loss=loss,
        )
        self.watch.checked(self.history)

    def _diverged(self, state, value, start_point, more=""):
        """Back off where the solver chooses its steps, else raise; its best point counts,
        however bad the last one.
        """
        if self.solver.adapts and (
            self.solver.back_off(state, self._safe_point(start_point)) or np.isfinite(value)
        ):
            return
        what = (
            f"the objective reached {value:.3g}{more}"
            if np.isfinite(value)
            else "the coefficients became infinite"
        )
        raise DivergenceError(
            f"{what} in iteration {state.iteration} (rate {state.rate:.3g}; the best constant "
            "model has "
            f"{self.constant_value:.3g}). {self._how_to_lower()}",
            self.history.arrays(),
        )

    def _how_to_lower(self):
        largest = float(self.objective.moments()[0][2].max())
        return (
            f"The largest |x| is {largest:.3g}: lower eta0, scale X, for example with "
            "StandardScaler, or leave the "
            "step to learning_rate='auto'."
        )

    def _result(self, state, reason, start_point):
        chosen = self.best_scored if reason is StopReason.VALIDATION else self.last
        if chosen is None:
            chosen = self._evaluated(start_point)
        if self.solver.adapts and reason not in (StopReason.CONVERGED, StopReason.VALIDATION):
            others = [] if self.best is None else [self.best]
            if (
                not min(chosen.objective, *(check.objective for check in others), np.inf)
                <= self.constant_value
            ):
                others.append(self._evaluated(self._constant_point()))
            chosen = min([chosen, *others], key=lambda check: check.objective)
        last = chosen is self.last
        if reason not in (StopReason.CONVERGED, StopReason.INTERRUPTED):
            score, chosen = chosen.score, self._certified(chosen, final=True)
            chosen.score = score
        if reason is not StopReason.CONVERGED:
            self._amend(chosen, last)
        bound, suboptimality = self._claimed(chosen)
        if reason in ENDS and self.tol is not None and suboptimality <= self.tol:
            reason = StopReason.CONVERGED
        advice = self._advice(chosen, reason)
        found = chosen.objective, bound, suboptimality
        return Result(chosen.point, *found, reason, self.history, state, advice, chosen.doubt)

    def _claimed(self, check):
        """What is told of a check: its proof, or the estimate that ended the run where that is
        smaller.
        """
        # Above the constant model, but for rounding, a run has shown nothing that an estimate could
        # be made of.
        if self.likely is None or check.objective > self._highest + 1e-9 * abs(self._highest):
            return check.bound, check.suboptimality
        at_the_end = self.last.objective if self.last is not None else check.objective
        if at_the_end > self._highest + 1e-9 * abs(self._highest):
            return check.bound, check.suboptimality
        # The lowest point is not closer for having been passed by.
        passed = at_the_end - check.objective
        left = max(check.objective - self.likely, passed, EPS * abs(check.objective))
        suboptimality = self._relative(left, check.objective)
        if not suboptimality < 0.5 * check.suboptimality:
            return check.bound, check.suboptimality
        return Bound(left, "estimate"), suboptimality

    def _advice(self, check, reason):
        """What is to be told of a run that ended by itself: a rate that is too large, steps that
        bring no more.
        """
        # Of F that is no more than what it is rounded by there is nothing to be told, but for a
        # tol that rounding keeps far away from a constant model that is more than rounding itself.
        infimum = self.objective.loss.infimum
        rounding = check.objective - infimum <= 4.0 * check.doubt
        if self.constant_value - infimum > ROUNDED * check.doubt:
            rounding &= not LEAST < (self.tol or 0.0) < check.suboptimality / EXCUSED
        if reason not in ENDS or self.objective.loss.name == "perceptron" or rounding:
            return ""
        if self.solver.adapts:
            if reason is not StopReason.PLATEAU:
                return ""
            return NO_MORE
        lowest, limit = min(self.history["objective"]), self._reference * (1.0 + (self.tol or 0.0))
        if check.objective <= limit and check.objective <= NOISE * lowest + 1e-4 * self._reference:
            return ""
        return (
            f"The rate ({self.history['rate'][-1]:.3g} at the end) is too large: the best constant "
            "model has "
            f"{self.constant_value:.6g}, the lowest check had {lowest:.6g}. {self._how_to_lower()}"
        )

    def _evaluated(self, v):
        smooth, gradient = self.objective.smooth_and_gradient(v)
        value = smooth + self.objective.rest_value(v)
        return _Check(v, value, smooth, gradient, self._rounding(v, value, gradient))

    def _rounding(self, v, value, gradient):
        """What F at `v` may be wrong by; roughly where that is far below tol."""
        F = self.objective
        allowed = NEGLIGIBLE * enough(self.tol or 1e-4, value, self.constant_value, F.loss.infimum)
        with np.errstate(all="ignore"):
            return value_rounding(F, v, value, allowed, gradient if F.loss_smooth else None)

    def _constant_point(self):
        table = self.objective.start().reshape(-1, self.objective.n_predictions)
        if self.objective.fit_intercept:
            table[-1] = self.constant
        return table.ravel()

    def _amend(self, chosen, last=True):
        """Let the last line of the history tell of the model that is returned, and what its
        certificate took.

        That is a line of its own unless it belongs to the `last` check.
        """
        if not last:
            self.history.repeat()
        if len(self.history):
            found = {
                "passes": self._spent,
                "seconds": time.perf_counter() - self._clock,
                "objective": chosen.objective,
                "bound": chosen.bound.value,
                "suboptimality": chosen.suboptimality,
                "score": chosen.score,
            }
            for key, number in found.items():
                self.history[key][-1] = number
