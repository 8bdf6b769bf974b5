"""The loop: start, gradient, update, stop?  Only runs in this loop have a history and a reason to
end; solvers that run within another solver, or on chunks of rows, have neither.

state = solver.start(point)
until a stopping rule holds:
    solver.advance(state)                       the gradient and the update
    evaluate, judge, append to the history      where a check is due
"""

from dataclasses import dataclass, field
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
from fastgd.runtime.clock import clock
from fastgd.solvers.base import Progress, State

# The iteration at which the checks of a solver begin that tells when it is nearly done.
FIRST_CHECK = 8


@dataclass
@shaped(start_point="u")
class LoopRecord:
    """What a loop itself knows of its run.

    Attributes
    ----------
    passes_before : float
        The objective's passes that are not of this run.
    start_point : ndarray, (size,), or None
        None before the run.
    iteration : int
        Iterations of this run that are over.
    seconds : float
        How long they took: of a run that is saved.
    history : History
    best, best_scored, last : Check or None
        The lowest, the one of the best score, and the last one.
    scored_at : int
        Place of the best score in the history.
    progress : Progress
        At the last check.
    """

    passes_before: float
    start_point: Any = None
    iteration: int = 0
    seconds: float = 0.0
    history: History = field(default_factory=History)
    best: Check | None = None
    best_scored: Check | None = None
    last: Check | None = None
    scored_at: int = 0
    progress: Progress = field(default_factory=Progress)


@dataclass
class LoopState:
    """A run between two of its iterations, all that the rest of it follows from, by who knows it.

    Attributes
    ----------
    state : State
    workspace : dict
        What the solver holds beside it.
    record : LoopRecord
        What the loop knows.
    certifier : dict
        What the certifier knows.
    objective : Measured
        What the objective knows.
    """

    state: State
    workspace: dict[str, Any]
    record: LoopRecord
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
    time_limit : float
        Seconds after which the iteration under way is the last one.
    """

    rules: list
    every_iteration: bool
    loss: bool
    points: bool
    time_limit: float

    @classmethod
    def of(cls, rules):
        """What these rules ask for."""
        return cls(
            rules,
            any("every_iteration" in rule.needs for rule in rules),
            any("loss" in rule.needs for rule in rules),
            any(rule.needs_point for rule in rules),
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
        Whether the plan is to be left for one that is expected to be there first.
    to_go : float or None
        Passes' worth of time that this plan would still have taken at its rate so far, then.
    """

    likely: float | None = None
    handed_over: bool = False
    to_go: float | None = None


class Loop:
    """One run of a solver, which `run` begins, or `restore` knows and `run_restored` goes on with.

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
        self.record = LoopRecord(F.passes if passes_before is None else passes_before)
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol or None
        self.score = score
        self.watch = watch or Watch()
        self.saver = saver
        F.know_null_model()
        divergence.check_null_model(F)
        traits = self.traits = solver.traits
        its = {"chooses_steps": traits.chooses_steps, "free_answers": traits.free_answers}
        self.certifier = certifier or Certifier(F, self.tol, **its)
        proved = self.tol is not None and not traits.ends_itself
        self.needs = Needs.of([Tolerance(self.tol), *rules] if proved else list(rules))
        self.outlook = Outlook()
        self._clock = clock.now()

    def run(self, state):
        """Iterate until a rule holds or `max_iter` iterations are done.

        Raises
        ------
        DivergenceError
            Where an explicit schedule makes the objective explode.
        """
        self._begin()
        self.record.history.before = state.iteration
        self.record.best = self._remembered(state)
        first = state.point.copy() if self.traits.writes_points else state.point
        self.record.start_point = first
        return self._run(state)

    def run_restored(self, saved):
        """`run`, from its middle on: that of a `LoopState` that is restored."""
        return self._run(saved.state)

    def restore(self, saved):
        """Be in the middle of a run: a new solver, objective and certifier, of the same, become as
        those were.

        Raises
        ------
        WrongArray
            Where arrays are not what they are in such a run.
        """
        check_arrays(saved.record, self.objective.lengths())
        self._begin()
        self._clock -= saved.record.seconds
        self.record = saved.record
        self.solver.restore(saved.state, saved.workspace)
        self.certifier.restore(saved.certifier)
        self.objective.restore(saved.objective)

    def _saved(self, state):
        """The run as it is between two iterations."""
        self.record.seconds = clock.now() - self._clock
        return LoopState(
            state,
            self.solver.workspace(state),
            self.record,
            self.certifier.snapshot(),
            self.objective.snapshot(),
        )

    def _run(self, state):
        try:
            reason = self._iterate(state)
            history = self.record.history
            if reason in ending.ENDS and divergence.still_grows(self.solver, history):
                self._diverged(state, history["objective"][-1], " and still grows")
            return self._result(state, reason)
        except KeyboardInterrupt:
            if self.record.last is None:
                self.record.last = self._seen_so_far(state)
            if self.record.last is None:
                raise
            return self._result(None, StopReason.INTERRUPTED)

    def _begin(self):
        self._clock = clock.now()
        self.certifier.begin()

    def _iterate(self, state):
        """Iterations and checks, until one of them is the last: the reason."""

        def model():
            return self.objective.model(self.solver.answer(state))

        for iteration in range(self.record.iteration + 1, self.max_iter + 1):
            self.record.iteration = iteration - 1
            if self.saver is not None and self.saver.due():
                self.saver.save(self._saved(state))
            self.watch.iteration_begins(model)
            # What overflows is a value that the checks look at: a warning of NumPy's would be an
            # error before they can tell what it means where a user makes errors of warnings.
            with np.errstate(all="ignore"):
                self.solver.advance(state)
            if self.solver.on_update is not None and not self.traits.calls_on_update:
                self.solver.on_update(state.point)
            asked = self.watch.iteration_ends(model)
            timed_out = clock.now() - self._clock >= self.needs.time_limit
            final = iteration == self.max_iter or timed_out or asked
            progress = self.solver.progress(state)
            if not (progress.on_all_rows or final or self.needs.every_iteration):
                # The objective of the sample that the batch is at: a pass over all rows would cost
                # more than it.
                self._note(state, state.value, NO_BOUND, np.inf, np.nan, sampled=state.batch)
            elif not final and self._note_if_open(state, progress):
                continue
            elif final or self._due(state, progress):
                found = self._check(state)
                if found is not None:
                    return found
                if asked:
                    return asked if isinstance(asked, StopReason) else StopReason.CALLBACK
            elif not np.isfinite(state.point).all():
                self._diverged(state, np.nan)
        return StopReason.MAX_ITER

    def _seen_so_far(self, state):
        """The model where checks so far did without the point: evaluated, wherever the iteration
        was when the fit was interrupted.
        """
        if not len(self.record.history):
            return None
        with np.errstate(all="ignore"):
            check = self.certifier.evaluated(self.solver.answer(state))
        return check if np.isfinite(check.objective) else None

    def _remembered(self, state):
        """Best point of the run that is resumed, if it was one of the same objective."""
        if state.run.best is None or not self.traits.chooses_steps:
            return None
        value, point = state.run.best
        check = self.certifier.evaluated(point)
        return check if check.objective == value else None

    def _due(self, state, progress):
        """Whether a check is due: by the number of iterations, as these get dearer, as the solver
        is nearly done, or as what it estimates makes a rule end the run.
        """
        near = self._near(progress) if self.tol is not None else np.inf
        late = self._is_late(near)
        if self._regular(state) or late or progress.dearer:
            return True
        return self.tol is not None and (progress.done or near <= self.tol)

    def _is_late(self, near):
        """Whether what is `near`, estimated after this iteration, makes a rule end the run."""
        rules = [rule for rule in self.needs.rules if rule.reads_estimates]
        if rules:
            self.record.history.estimate(self._spent, near)
        return any(rule.check(self.record.history) is not None for rule in rules)

    def _regular(self, state):
        """Whether a check is due at this iteration however long the run is."""
        first = FIRST_CHECK if self.traits.proves_itself and self.tol is not None else 1
        k = state.iteration
        often = self.traits.free_answers or self.needs.every_iteration
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
        history = self.record.history
        if len(history) and any(rule.check(history) for rule in self.needs.rules):
            return False
        gap = self._near(progress)
        if self.tol is not None and (gap <= self.tol or progress.done):
            return False
        self._note(state, progress.value, NO_BOUND, gap, np.nan)
        return True

    def _check(self, state):
        """One check: evaluate the answer, judge it, note it, ask the rules."""
        F = self.objective
        with np.errstate(all="ignore"):
            found = self.solver.evaluate(state)
            value = found.smooth_value + F.rest_value(found.point)
        if divergence.exploded(self.solver, value, self.record.start_point):
            self._note(state, value, NO_BOUND, np.inf, np.nan)
            self._diverged(state, value)
            # The others look at values of F, which these are not.
            rules = self.needs.rules
            able = [one for one in rules if one.deadline < np.inf or one.reads_estimates]
            return self._asked_of(None, able)
        check_mean(F, found.point, value, F.null_value)
        loss = value - F.penalty_value(found.point) if self.needs.loss else np.nan
        self.record.progress = self.solver.progress(state)
        check = self.certifier.check(
            found.point, found.smooth_value, found.gradient, self.record.progress.doubt
        )
        del found  # a proof has arrays of that length of its own
        check = self.certifier.judge(check, self.record.progress, self._spent)
        check.score = self.score(check.point) if self.score is not None else np.nan
        self._note(state, check.objective, check.bound, check.suboptimality, check.score, loss)
        self._keep(state, check)
        return self._asked_of(check, self.needs.rules) or self._at_rest(state, check)

    def _keep(self, state, check):
        """Keep the check where it is the last, the lowest or the one of the best score."""
        record = self.record
        record.last = check
        # A check that is only due because this part of a run ends must not decide what the whole
        # run answers.
        lowest = record.best is None or check.objective < record.best.objective
        if self._regular(state) and lowest:
            record.best = check
            state.run.best = check.objective, check.point
        # Without held-out rows, where no score is a number, there is none to keep.
        best = record.best_scored
        if not np.isnan(check.score) and (best is None or check.score > best.score):
            record.best_scored, record.scored_at = check, len(record.history) - 1

    def _asked_of(self, check, rules):
        """The reason for which one of the `rules` ends the run, or None."""
        for rule in rules:
            reason = rule.check(self.record.history)
            if reason is not None and rule.extrapolates and self.traits.chooses_steps:
                reason = self._settled(check, rule)
            if reason is not None:
                self.outlook.handed_over = rule.hands_over
                self.outlook.to_go = rule.to_go(self.record.history) if rule.hands_over else None
                return reason
        return None

    def _settled(self, check, rule):
        """The reason where falls say that the run may end: a proof, an estimate, or None."""
        self.certifier.settle(check, self.record.progress, self._spent)
        self._amend(check)
        if check.suboptimality <= self.tol:
            return StopReason.CONVERGED
        if check.suboptimality < 1.0:
            return None
        fallen, best = rule.estimate(self.record.history), np.inf
        if self.record.best is not None:
            best = self.record.best.objective
        estimate = self.certifier.estimated(check, fallen, self._spent, best)
        if not estimate.ends:
            return None
        if estimate.gap < np.inf:
            self.outlook.likely = check.objective - estimate.gap
        return StopReason.PLATEAU

    def _at_rest(self, state, check):
        """PLATEAU where rounding is what is left, or the solver has nothing left to do."""
        proved = self.tol is not None and not self.traits.ends_itself
        if proved and is_rounding(check.bound, check.doubt + self._beyond_proof(check)):
            return StopReason.PLATEAU
        if self.tol is not None and self.record.progress.done:
            if self.traits.chooses_steps and not provable(self.objective):
                values = self.record.history["objective"]
                values = [values[0]] * (5 - len(values)) + values[-5:]  # sooner: it stood still
                fallen = extrapolated_fall(*values[::2])
                gap = self.certifier.gap_at_rest(check, self.record.progress, fallen)
                self.outlook.likely = check.objective - gap
            return StopReason.PLATEAU
        # Others depend on where a run was cut: k iterations and m more would not be k + m.
        if self._regular(state) and self.record.progress.on_all_rows:
            self._stay_below_null(state, check)
        return None

    def _beyond_proof(self, check):
        """What the solver's own bound lacks for rounding, where tol asks for less than that: then
        what follows hardly proves it.
        """
        rounded = self.record.progress.rounded
        return rounded if self.certifier.target_gap(check) < rounded < np.inf else 0.0

    def _stay_below_null(self, state, check):
        """Let a solver whose F may rise retreat where that is above the null model.

        The null model may be the optimum: what noise adds to it is no reason to step back.
        """
        if self.traits.free_answers or not self.traits.chooses_steps:
            return
        F = self.objective
        limit = divergence.reference(F) + (ending.highest(F) - F.null_value)
        limit += 0.5 * (self.tol or 0.0) * abs(limit)
        if check.objective > limit:
            self.solver.retreat(state, null_point(F, F.null_intercept))

    @property
    def _spent(self):
        return self.objective.passes - self.record.passes_before

    def _diverged(self, state, value, more=""):
        """Retreat where the solver chooses its steps, else raise; its best point counts, however
        bad the last one.
        """
        F = self.objective
        if self.traits.chooses_steps:
            best, safe_point = self.record.best, self.record.start_point
            if best is not None and best.objective <= divergence.reference(F):
                safe_point = best.point
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
            self.record.history.arrays(),
        )

    def _result(self, state, reason):
        """What the run found."""
        record = self.record
        scored = self.score is not None and reason is not StopReason.CONVERGED
        chosen = (record.best_scored if scored else None) or record.last
        if chosen is None:
            chosen = self.certifier.evaluated(record.start_point)
        if self.score is not None and len(record.history):
            record.history["kept"][-1 if chosen is record.last else record.scored_at] = 1.0
        if state is not None:  # None where the run was interrupted before its first
            state.run.model_is_earlier = scored and chosen is not record.last
        if self.traits.chooses_steps and not scored and reason is not StopReason.CONVERGED:
            checks = [chosen] if record.best is None else [chosen, record.best]
            chosen = ending.lowest_of(checks, self.objective, self.certifier.evaluated)
        last = chosen is record.last
        # One that is left has shown that it is not there: a proof would be in vain.
        ended = reason not in (StopReason.CONVERGED, StopReason.INTERRUPTED)
        if ended and not self.outlook.handed_over:
            told = record.progress, self._spent
            chosen = self.certifier.judge(chosen, *told, final=True, keeps=scored)
        if reason is not StopReason.CONVERGED:
            self._amend(chosen, last)
        at_the_end = chosen.objective if record.last is None else record.last.objective
        likely, to_go = self.outlook.likely, self.outlook.to_go
        bound, suboptimality = ending.claimed(self.objective, chosen, likely, at_the_end)
        if reason in ending.ENDS and self.tol is not None and suboptimality <= self.tol:
            reason = StopReason.CONVERGED
        about = record.history, self.tol, record.start_point
        advice = ending.advice(self.solver, chosen, reason, *about)
        found = chosen.objective, bound, suboptimality
        return Result(
            chosen.point, *found, reason, record.history, state, advice, chosen.doubt, to_go
        )

    def _note(self, state, value, bound, suboptimality, score, loss=np.nan, sampled=np.nan):
        self.record.history.append(
            passes=self._spent,
            seconds=clock.now() - self._clock,
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
        self.watch.checked(self.record.history)

    def _amend(self, chosen, last=True):
        """Let the last line of the history tell of the model that is returned, and what its
        certificate took.

        That is a line of its own unless it belongs to the `last` check.
        """
        history = self.record.history
        if not last:
            history.repeat()
        if len(history):
            history.replace_last(
                passes=self._spent,
                seconds=clock.now() - self._clock,
                objective=chosen.objective,
                bound=chosen.bound.value,
                suboptimality=chosen.suboptimality,
                score=chosen.score,
            )
            if not last:
                self.watch.checked(history)
