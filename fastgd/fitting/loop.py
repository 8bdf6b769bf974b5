"""The loop: start, gradient, update, stop?  Only runs in this loop have a history and a reason to
end; solvers that run within another solver, or on chunks of rows, have neither.

state = solver.start(point)
until a stopping rule holds:
    solver.advance(state)                       the gradient and the update
    evaluate, judge, append to the history      where a check is due
"""

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastgd.certificates.bound import NO_BOUND, Check, relative_gap_at
from fastgd.certificates.certifier import Certifier, provable
from fastgd.fitting import divergence, ending
from fastgd.fitting.extrapolation import extrapolated_fall
from fastgd.fitting.history import History
from fastgd.fitting.observers import Watch
from fastgd.fitting.result import DivergenceError, Result, is_rounding
from fastgd.fitting.stopping import StopReason, Tolerance
from fastgd.objective.infimum import check_mean
from fastgd.objective.null_model import null_point
from fastgd.runtime.array_shapes import check_arrays, shaped
from fastgd.solvers.base import Progress, State


@dataclass
@shaped(start_point="u")
class LoopState:
    """A run between two of its iterations: all that the rest of it follows from.

    Attributes
    ----------
    state : State
    workspace : dict
        What the solver holds beside it.
    iteration : int
        Iterations of this run so far.
    seconds : float
        How long it has taken.
    start_point : ndarray
    passes_before : float
        The objective's passes that are not of this run.
    history : History
    best, best_scored, last : Check or None
        The lowest, the one of the best score, and the last one.
    scored_at : int
        Place of the best score in the history.
    progress : Progress
        At the last check.
    certifier : dict
        What it knows.
    objective : Measured
        What the objective knows.
    """

    state: State
    workspace: dict[str, Any]
    iteration: int
    seconds: float
    start_point: np.ndarray
    passes_before: float
    history: History
    best: Check | None
    best_scored: Check | None
    last: Check | None
    scored_at: int
    progress: Progress
    certifier: dict[str, Any]
    objective: Any


class Needs(NamedTuple):
    """What the stopping rules of a run ask of it.

    Attributes
    ----------
    rules : list of StoppingRule
    every_iteration : bool
        Whether a rule looks at every iteration.
    loss : bool
        Whether one needs the mean loss without the penalty.
    points : bool
        Whether checks have to evaluate the point.
    first_check : int
        Iteration at which the checks of a solver begin that tells when it is nearly done.
    time_limit : float
        Seconds after which the iteration under way is the last one.
    """

    rules: list
    every_iteration: bool
    loss: bool
    points: bool
    first_check: int
    time_limit: float

    @classmethod
    def of(cls, rules):
        """What these rules ask for."""
        return cls(
            rules,
            any("every_iteration" in rule.needs for rule in rules),
            any("loss" in rule.needs for rule in rules),
            any(rule.needs_point for rule in rules),
            min((rule.first_check for rule in rules), default=1),
            min((rule.deadline for rule in rules), default=np.inf),
        )


@dataclass
class Outlook:
    """What is expected where a run ends.

    Attributes
    ----------
    likely : float or None
        F*, where an estimate ends the run.
    handed_over : bool
        Whether another plan is expected to be there first.
    to_go : float or None
        Passes' worth of time that this plan would still have taken at its rate so far, then.
    """

    likely: float | None = None
    handed_over: bool = False
    to_go: float | None = None


class Loop:
    """One run of a solver, which `run` begins, or `restore` knows and `take_up` goes on with.

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
    passes_before : float, optional
        The objective's passes that are not of this run; None: those until now.
    certifier : Certifier, optional
        One that knows the objective from an earlier run.
    saver : optional
        Who saves the run so that it can be restored: `due()` says when, `save(loop_state)` does it.
    """

    def __init__(
        self,
        solver,
        rules,
        *,
        max_iter,
        tol=None,
        score=None,
        watch=None,
        passes_before=None,
        certifier=None,
        saver=None,
    ):
        F = self.objective = solver.objective
        self.passes_before = F.passes if passes_before is None else passes_before
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol or None
        self.score = score
        self.watch = watch or Watch()
        self.saver = saver
        F.know_null_model()
        divergence.check_null_model(F)
        traits = {"chooses_steps": solver.chooses_steps, "free_answers": solver.free_answers}
        self.certifier = certifier or Certifier(F, self.tol, **traits)
        proved = self.tol is not None and not solver.ends_itself
        self.needs = Needs.of([Tolerance(self.tol), *rules] if proved else list(rules))
        self.history, self.progress = History(), Progress()
        self.last: Check | None = None
        self.best: Any = None  # a Check, the lowest one
        self.best_scored: Check | None = None
        self.scored_at = 0  # place in the history
        self.outlook = Outlook()
        self._clock = time.perf_counter()

    def run(self, state):
        """Iterate until a rule holds or `max_iter` iterations are done.

        Raises
        ------
        DivergenceError
            Where an explicit schedule makes the objective explode.
        """
        self._begin()
        self.history.before = state.iteration
        self.best = self._remembered(state)
        first = state.point.copy() if self.solver.writes_points else state.point
        return self._run(state, first, 0)

    def restore(self, underway):
        """Be in the middle of a run: a new solver, objective and certifier, of the same, become as
        those were.

        Raises
        ------
        WrongArray
            Where arrays are not what they are in such a run.
        """
        one = underway
        rest = replace(
            one, state=None, workspace={}, certifier={}, objective=None
        )  # say so themselves
        check_arrays(rest, self.objective.lengths())
        self._begin()
        self._clock -= one.seconds
        self.passes_before = one.passes_before
        self.history, self.progress = one.history, one.progress
        self.best, self.best_scored, self.last = one.best, one.best_scored, one.last
        self.scored_at = one.scored_at
        self.solver.restore(one.state, one.workspace)
        self.certifier.restore(one.certifier)
        self.objective.restore(one.objective)

    def take_up(self, underway):
        """`run`, from its middle on, which is known (`restore`)."""
        return self._run(underway.state, underway.start_point, underway.iteration)

    def _run(self, state, start_point, done):
        try:
            reason = self._iterate(state, start_point, done)
            if reason in ending.ENDS and divergence.still_grows(self.solver, self.history):
                value = self.history["objective"][-1]
                self._diverged(state, value, start_point, " and still grows")
            return self._result(state, reason, start_point)
        except KeyboardInterrupt:
            if self.last is None:
                self.last = self._seen_so_far(state)
            if self.last is None:
                raise
            return self._result(None, StopReason.INTERRUPTED, start_point)

    def _underway(self, state, start_point, iteration):
        """The run as it is between two iterations."""
        return LoopState(
            state=state,
            workspace=self.solver.workspace(state),
            iteration=iteration,
            seconds=time.perf_counter() - self._clock,
            start_point=start_point,
            passes_before=self.passes_before,
            history=self.history,
            best=self.best,
            best_scored=self.best_scored,
            last=self.last,
            scored_at=self.scored_at,
            progress=self.progress,
            certifier=self.certifier.snapshot(),
            objective=self.objective.snapshot(),
        )

    def _begin(self):
        self._clock = time.perf_counter()
        self.certifier.begin()

    def _iterate(self, state, start_point, done):
        """Iterations and checks after so many, until one of them is the last: the reason."""

        def model():
            return self.objective.model(self.solver.answer(state))

        for iteration in range(done + 1, self.max_iter + 1):
            if self.saver is not None and self.saver.due():
                self.saver.save(self._underway(state, start_point, iteration - 1))
            self.watch.iteration_begins(model)
            # What overflows is a value that the checks look at: a warning of NumPy's would be an
            # error before they can tell what it means where a user makes errors of warnings.
            with np.errstate(all="ignore"):
                self.solver.advance(state)
            if self.solver.on_update is not None and not self.solver.calls_on_update:
                self.solver.on_update(state.point)
            asked = self.watch.iteration_ends(model)
            timed_out = time.perf_counter() - self._clock >= self.needs.time_limit
            final = iteration == self.max_iter or timed_out or asked
            progress = self.solver.progress(state)
            if not (progress.on_all_rows or final or self.needs.every_iteration):
                # The objective of the sample that the batch is at: a pass over all rows would cost
                # more than it.
                self._note(state, state.value, NO_BOUND, np.inf, np.nan, sampled=state.batch)
            elif not final and self._note_if_open(state, progress):
                continue
            elif final or self._due(state, progress):
                found = self._check(state, start_point)
                if found is not None:
                    return found
                if asked:
                    return asked if isinstance(asked, StopReason) else StopReason.CALLBACK
            elif not np.isfinite(state.point).all():
                self._diverged(state, np.nan, start_point)
        return StopReason.MAX_ITER

    def _seen_so_far(self, state):
        """The model where checks so far did without the point: evaluated, wherever the iteration
        was when the fit was interrupted.
        """
        if not len(self.history):
            return None
        with np.errstate(all="ignore"):
            check = self.certifier.evaluated(self.solver.answer(state))
        return check if np.isfinite(check.objective) else None

    def _remembered(self, state):
        """Best point of the run that is resumed, if it was one of the same objective."""
        if state.run.best is None or not self.solver.chooses_steps:
            return None
        value, point = state.run.best
        check = self.certifier.evaluated(point)
        return check if check.objective == value else None

    def _due(self, state, progress):
        """Whether a check is due: by the number of iterations, or as the solver is nearly done."""
        if self._regular(state):
            return True
        return self.tol is not None and (progress.done or self._near(progress) <= self.tol)

    def _regular(self, state):
        """Whether a check is due at this iteration however long the run is."""
        first = self.needs.first_check if self.solver.proves_itself and self.tol is not None else 1
        k = state.iteration
        often = self.solver.free_answers or self.needs.every_iteration
        return often or (k >= first and k & (k - 1) == 0)

    def _near(self, progress):
        """What the solver estimates to be left, over the gap scale."""
        value = progress.lower + progress.gap_estimate if progress.value is None else progress.value
        if not np.isfinite(value):
            return np.inf
        return relative_gap_at(self.objective, progress.gap_estimate, value)

    def _note_if_open(self, state, progress):
        """Note a check without its point where value and estimate alone tell that no rule ends the
        run; whether they do.

        A solver may take half a pass to compute its point, which most iterations can do without.
        """
        if progress.value is None or self.needs.points or self.score is not None:
            return False
        if len(self.history) and any(rule.check(self.history) for rule in self.needs.rules):
            return False
        gap = self._near(progress)
        if self.tol is not None and (gap <= self.tol or progress.done):
            return False
        self._note(state, progress.value, NO_BOUND, gap, np.nan)
        return True

    def _check(self, state, start_point):
        """One check: evaluate the answer, judge it, note it, ask the rules."""
        F = self.objective
        with np.errstate(all="ignore"):
            found = self.solver.evaluate(state)
            value = found.smooth_value + F.rest_value(found.point)
        if divergence.exploded(self.solver, value, start_point):
            self._note(state, value, NO_BOUND, np.inf, np.nan)
            self._diverged(state, value, start_point)
            late = (rule.check(self.history) for rule in self.needs.rules if rule.deadline < np.inf)
            return next((reason for reason in late if reason is not None), None)
        check_mean(F, found.point, value, F.null_value)
        loss = value - F.penalty_value(found.point) if self.needs.loss else np.nan
        self.progress = self.solver.progress(state)
        check = self.certifier.check(
            found.point, found.smooth_value, found.gradient, self.progress.doubt
        )
        del found  # a proof has arrays of that length of its own
        check = self.certifier.judge(check, self.progress, self._spent)
        check.score = self.score(check.point) if self.score is not None else np.nan
        self._note(state, check.objective, check.bound, check.suboptimality, check.score, loss)
        self._keep(state, check)
        return self._asked_of(check) or self._at_rest(state, check)

    def _keep(self, state, check):
        """Keep the check where it is the last, the lowest or the one of the best score."""
        self.last = check
        # A check that is only due because this part of a run ends must not decide what the whole
        # run answers.
        if self._regular(state) and (self.best is None or check.objective < self.best.objective):
            self.best = check
            state.run.best = check.objective, check.point
        # Without held-out rows, where no score is a number, there is none to keep.
        best = self.best_scored
        if not np.isnan(check.score) and (best is None or check.score > best.score):
            self.best_scored, self.scored_at = check, len(self.history) - 1

    def _asked_of(self, check):
        """The reason for which a rule ends the run, or None."""
        for rule in self.needs.rules:
            reason = rule.check(self.history)
            if reason is not None and rule.extrapolates and self.solver.chooses_steps:
                reason = self._settled(check, rule)
            if reason is not None:
                self.outlook.handed_over = rule.hands_over
                self.outlook.to_go = rule.to_go(self.history) if rule.hands_over else None
                return reason
        return None

    def _settled(self, check, rule):
        """The reason where falls say that the run may end: a proof, an estimate, or None."""
        self.certifier.settle(check, self.progress, self._spent)
        self._amend(check)
        if check.suboptimality <= self.tol:
            return StopReason.CONVERGED
        if check.suboptimality < 1.0:
            return None
        fallen, best = rule.estimate(self.history), np.inf
        if self.best is not None:
            best = self.best.objective
        estimate = self.certifier.estimated(check, fallen, self._spent, best)
        if not estimate.ends:
            return None
        if estimate.gap < np.inf:
            self.outlook.likely = check.objective - estimate.gap
        return StopReason.PLATEAU

    def _at_rest(self, state, check):
        """PLATEAU where rounding is what is left, or the solver has nothing left to do."""
        proved = self.tol is not None and not self.solver.ends_itself
        if proved and is_rounding(check.bound, check.doubt + self._beyond_proof(check)):
            return StopReason.PLATEAU
        if self.tol is not None and self.progress.done:
            if self.solver.chooses_steps and not provable(self.objective):
                values = self.history["objective"]
                values = [values[0]] * (5 - len(values)) + values[-5:]  # sooner: it stood still
                fallen = extrapolated_fall(*values[::2])
                gap = self.certifier.gap_at_rest(check, self.progress, fallen)
                self.outlook.likely = check.objective - gap
            return StopReason.PLATEAU
        # Others depend on where a run was cut: k iterations and m more would not be k + m.
        if self._regular(state) and self.progress.on_all_rows:
            self._stay_below_null(state, check)
        return None

    def _beyond_proof(self, check):
        """What the solver's own bound lacks for rounding, where tol asks for less than that: then
        what follows hardly proves it.
        """
        rounded = self.progress.rounded
        return rounded if self.certifier.target_gap(check) < rounded < np.inf else 0.0

    def _stay_below_null(self, state, check):
        """Let a solver whose F may rise retreat where that is above the null model.

        The null model may be the optimum: what noise adds to it is no reason to step back.
        """
        if self.solver.free_answers or not self.solver.chooses_steps:
            return
        F = self.objective
        limit = divergence.reference(F) + (ending.highest(F) - F.null_value)
        limit += 0.5 * (self.tol or 0.0) * abs(limit)
        if check.objective > limit:
            self.solver.retreat(state, null_point(F, F.null_intercept))

    @property
    def _spent(self):
        return self.objective.passes - self.passes_before

    def _diverged(self, state, value, start_point, more=""):
        """Retreat where the solver chooses its steps, else raise; its best point counts, however
        bad the last one.
        """
        F = self.objective
        if self.solver.chooses_steps:
            good = self.best is not None and self.best.objective <= divergence.reference(F)
            safe_point = self.best.point if good else start_point
            if self.solver.retreat(state, safe_point) or np.isfinite(value):
                return
        what = (
            f"the objective reached {value:.3g}{more}"
            if np.isfinite(value)
            else "the coefficients became infinite"
        )
        raise DivergenceError(
            f"{what} in iteration {state.iteration} (rate {state.rate:.3g}; the null "
            f"model, without columns, has {F.null_value:.3g}). {divergence.how_to_lower(F)}",
            self.history.arrays(),
        )

    def _result(self, state, reason, start_point):
        """What the run found."""
        scored = self.score is not None and reason is not StopReason.CONVERGED
        chosen = (self.best_scored if scored else None) or self.last
        if chosen is None:
            chosen = self.certifier.evaluated(start_point)
        if self.score is not None and len(self.history):
            self.history["kept"][-1 if chosen is self.last else self.scored_at] = 1.0
        if state is not None:  # None where the run was interrupted before its first
            state.run.model_is_earlier = scored and chosen is not self.last
        if self.solver.chooses_steps and not scored and reason is not StopReason.CONVERGED:
            checks = [chosen] if self.best is None else [chosen, self.best]
            chosen = ending.lowest_of(checks, self.objective, self.certifier.evaluated)
        last = chosen is self.last
        # One that is left has shown that it is not there: a proof would be in vain.
        ended = reason not in (StopReason.CONVERGED, StopReason.INTERRUPTED)
        if ended and not self.outlook.handed_over:
            told = self.progress, self._spent
            chosen = self.certifier.judge(chosen, *told, final=True, keeps=scored)
        if reason is not StopReason.CONVERGED:
            self._amend(chosen, last)
        at_the_end = chosen.objective if self.last is None else self.last.objective
        likely, to_go = self.outlook.likely, self.outlook.to_go
        bound, suboptimality = ending.claimed(self.objective, chosen, likely, at_the_end)
        if reason in ending.ENDS and self.tol is not None and suboptimality <= self.tol:
            reason = StopReason.CONVERGED
        advice = ending.advice(self.solver, chosen, reason, self.history, self.tol, start_point)
        found = chosen.objective, bound, suboptimality
        return Result(
            chosen.point, *found, reason, self.history, state, advice, chosen.doubt, to_go
        )

    def _note(self, state, value, bound, suboptimality, score, loss=np.nan, sampled=np.nan):
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
            sampled=sampled,
        )
        self.watch.checked(self.history)

    def _amend(self, chosen, last=True):
        """Let the last line of the history tell of the model that is returned, and what its
        certificate took.

        That is a line of its own unless it belongs to the `last` check.
        """
        if not last:
            self.history.repeat()
        if len(self.history):
            self.history.replace_last(
                passes=self._spent,
                seconds=time.perf_counter() - self._clock,
                objective=chosen.objective,
                bound=chosen.bound.value,
                suboptimality=chosen.suboptimality,
                score=chosen.score,
            )
            if not last:
                self.watch.checked(self.history)
