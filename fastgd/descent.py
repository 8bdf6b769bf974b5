"""The loop: start, gradient, update, stop?  The only place that runs solvers, and where a run gets its history and its ending.

state = solver.start(point)
until a stopping rule holds:
    solver.turn(state)                          the gradient and the update
    evaluate, bound, append to the history      where a check is due
"""

import time
from dataclasses import dataclass

import numpy as np

from fastgd.certificate import Bound, Certifier, best_constant, relative
from fastgd.solvers import State
from fastgd.stopping import History, StopReason, TimeLimit, Tolerance

# An explicit schedule is never altered: this many times the constant model's objective is called divergence.
DIVERGED = 1e10


class DivergenceError(ValueError, FloatingPointError):
    """The objective is not finite, or beyond 1e10 times that of the best constant model.

    Attributes
    ----------
    history : dict of ndarray
        What the checks before it saw.
    """

    def __init__(self, message, history):
        super().__init__(message)
        self.history = history


@dataclass
class Result:
    """What a run found.

    Attributes
    ----------
    point : ndarray
        Unknowns, in the user's units.
    objective : float
        F at the point.
    bound : Bound
        How far F can be above its minimum.
    suboptimality : float
        bound / max(F - bound, 1e-4 F0).
    reason : StopReason
    history : History
    state : State or None
        From which the run can be continued; None after an interruption.
    """

    point: np.ndarray
    objective: float
    bound: Bound
    suboptimality: float
    reason: StopReason
    history: History
    state: State | None


@dataclass
class _Check:
    """A point that was evaluated."""

    point: np.ndarray
    objective: float
    bound: Bound
    suboptimality: float
    score: float


class Descent:
    """One run of a solver.

    Parameters
    ----------
    solver : Solver
    rules : list of StoppingRule
    max_iter : int
        Most turns of this run.
    tol : float or None
        Relative suboptimality to certify; None or 0 runs max_iter.
    score : callable, optional
        Of the unknowns, for rules that need a score.
    on_check : callable, optional
        Called with the history after each check; something true ends the run.
    """

    def __init__(self, solver, rules, *, max_iter, tol=None, score=None, on_check=None):
        self.solver, self.rules, self.max_iter, self.tol = solver, list(rules), max_iter, tol or None
        self.score, self.on_check = score, on_check
        self.objective = solver.objective
        self.certifier = Certifier(self.objective, solver.inverse_root())
        self.constant, self.constant_value = best_constant(self.objective)
        if self.tol is not None:
            self.rules.insert(0, Tolerance(self.tol))
        self.every_turn = solver.exact or any("every_turn" in rule.needs for rule in self.rules)
        self.wants_loss = any("loss" in rule.needs for rule in self.rules)
        self.time_limit = min((rule.seconds for rule in self.rules if isinstance(rule, TimeLimit)), default=np.inf)

    def run(self, state):
        """Turn until a rule holds or `max_iter` turns are done.

        Raises
        ------
        DivergenceError
            Where an explicit schedule makes the objective explode.
        """
        self._clock, self._passes = time.perf_counter(), self.objective.passes
        self.history, self.best, self.best_scored, self.last = History(), None, None, None
        start_point = state.point.copy()
        reason = StopReason.MAX_ITER
        try:
            for turn in range(1, self.max_iter + 1):
                self.solver.turn(state)
                final = turn == self.max_iter
                timed_out = time.perf_counter() - self._clock >= self.time_limit
                if not self._due(state, final or timed_out):
                    self._watch(state, start_point)
                    continue
                reason = self._look(state, start_point)
                if reason is not None:
                    break
                reason = StopReason.MAX_ITER
        except KeyboardInterrupt:
            if self.last is None:
                raise
            return self._result(None, StopReason.INTERRUPTED)
        return self._result(state, reason)

    def _due(self, state, final):
        return final or self.every_turn or state.turn & (state.turn - 1) == 0

    def _watch(self, state, start_point):
        """Between checks: see to it that the point is finite."""
        if not np.isfinite(state.point).all():
            self._diverged(state, np.nan, start_point)

    def _look(self, state, start_point):
        """One check: evaluate the answer, bound it, note it, ask the rules."""
        F = self.objective
        with np.errstate(all="ignore"):
            v, smooth, gradient = self.solver.evaluate(state)
            value = smooth + F.rest_value(v)
        reference = self.constant_value if self.constant_value > 0.0 else 1.0
        if not np.isfinite(value) or value > DIVERGED * reference:
            self._note(state, value, Bound(np.inf, "none"), np.inf, np.nan)
            self._diverged(state, value, start_point)
            return None
        check = self._certified(v, value, smooth, gradient, final=False)
        check.score = self.score(check.point) if self.score is not None else np.nan
        loss = value - F.penalty_value(v) if self.wants_loss else np.nan
        self._note(state, check.objective, check.bound, check.suboptimality, check.score, loss)
        self.last = check
        if self.best is None or check.objective < self.best.objective:
            self.best = check
        if self.best_scored is None or check.score > self.best_scored.score:
            self.best_scored = check
        for rule in self.rules:
            reason = rule.check(self.history)
            if reason is not None:
                return reason
        if self.solver.finished(state):
            return StopReason.PLATEAU
        if self.on_check is not None and self.on_check(self.history):
            return StopReason.CALLBACK
        self.solver.review(state, check.objective, self.best.point, reference)
        return None

    def _certified(self, v, value, smooth, gradient, final):
        """The check with the best bound that is worth its passes; at the end, one more is affordable."""
        F, certifier = self.objective, self.certifier
        bound = certifier.cheap(v, smooth, gradient)
        close = relative(bound.value, value, self.constant_value)
        wanted = self.tol is not None and close > self.tol
        prove = wanted and certifier.worth_proving(value, gradient, self.tol, self.constant_value)
        if final and certifier.decrement_applies and close > 0.0:
            spent = F.passes - self._passes
            prove = wanted or certifier.matrix_passes <= max(0.5 * spent, 4.0) or F.rows.stored() < 1_000_000
        if prove and (self.solver.exact or final or certifier.matrix_passes <= 0.2 * (F.passes - self._passes)):
            proof = certifier.prove(v, gradient)
            bound = proof if proof.value < bound.value else bound
        elif wanted and not certifier.decrement_applies and certifier.centering_helps:
            hope = certifier.cheap(v, smooth, gradient, balanced=True)
            if final or relative(hope.value, value, self.constant_value) <= self.tol:
                v = certifier.centered(v)
                smooth, gradient = F.smooth_and_gradient(v)
                value = smooth + F.rest_value(v)
                bound = certifier.cheap(v, smooth, gradient)
        return _Check(v, value, bound, relative(bound.value, value, self.constant_value), np.nan)

    def _note(self, state, value, bound, suboptimality, score, loss=np.nan):
        self.history.append(
            passes=self.objective.passes - self._passes,
            seconds=time.perf_counter() - self._clock,
            objective=value,
            bound=bound.value,
            rate=state.rate,
            batch=state.batch,
            turn=state.turn,
            suboptimality=suboptimality,
            score=score,
            loss=loss,
        )

    def _diverged(self, state, value, start_point):
        """Back off where the solver chooses its steps, else raise."""
        if self.solver.adapts and self.solver.back_off(state, start_point if self.best is None else self.best.point):
            return
        what = f"the objective reached {value:.3g}" if np.isfinite(value) else "the coefficients became infinite"
        F = self.objective
        largest = float(F.moments()[0][2].max())
        raise DivergenceError(
            f"{what} in turn {state.turn} (rate {state.rate:.3g}; the best constant model has {self.constant_value:.3g}). "
            f"The largest |x| is {largest:.3g}: lower eta0, scale X, for example with StandardScaler, "
            "or leave the step to learning_rate='auto'.",
            self.history.arrays(),
        )

    def _result(self, state, reason):
        chosen = self.last
        if reason is StopReason.VALIDATION:
            chosen = self.best_scored
        elif self.solver.adapts and reason is not StopReason.CONVERGED and self.best.objective < chosen.objective:
            chosen = self.best
        if reason is not StopReason.CONVERGED:
            smooth, gradient = self._evaluated(state, chosen)
            score = chosen.score
            chosen = self._certified(chosen.point, chosen.objective, smooth, gradient, final=True)
            chosen.score = score
        return Result(chosen.point, chosen.objective, chosen.bound, chosen.suboptimality, reason, self.history, state)

    def _evaluated(self, state, check):
        if state is not None and self.solver.exact and state.point is check.point:
            return state.value, state.gradient
        return self.objective.smooth_and_gradient(check.point)


def ending(result, tol, max_iter):
    """How far a run that did not converge got, how fast it was closing in, and what to change: one sentence each."""
    history = result.history
    how_far = (
        f"the objective {result.objective:.6g} is proved to be within {result.suboptimality:.2g} (relative) of the optimum, tol is {tol:g}"
        if np.isfinite(result.suboptimality)
        else f"the objective is {result.objective:.6g}; no bound on its distance to the optimum applies, tol is {tol:g}"
    )
    half, fall = len(history) // 2, ""
    if half >= 1:
        before, after = history["objective"][half - 1], history["objective"][-1]
        fall = f"; over the last half of the run it fell by {max(before - after, 0.0) / max(abs(after), 1e-300):.2g} (relative)"
    change = {
        StopReason.MAX_ITER: f"raise max_iter (it was {max_iter}) or tol, or scale the columns of X",
        StopReason.TIME: "raise max_time or tol",
        StopReason.INTERRUPTED: "fit again to go on",
    }[result.reason]
    return f"Stopped because {result.reason.value}: {how_far}{fall}. To get further, {change}."
