"""From checked data and parameters to results: one run for each target, targets on threads."""

import threading
from dataclasses import dataclass

import numpy as np
import threadpoolctl

from fastgd.blocks import map_ranges
from fastgd.builder import make_solver
from fastgd.certificate import provable
from fastgd.constant_model import best_constant
from fastgd.descent import DIVERGED, Descent, DivergenceError, continued
from fastgd.kernels.coefficients import shifted_sums
from fastgd.objective import Objective
from fastgd.plan import make_plan, next_plan
from fastgd.samples import WeightedSamples
from fastgd.stopping import Extrapolated, History, NoMistakes, Plateau, Stalled, StopReason, TimeLimit, Validation

_lock = threading.Lock()
_controllers: list = []


def one_blas_thread():
    """Context in which BLAS runs on one thread: its bits depend on how many it has, and blocks have threads already."""
    with _lock:
        if not _controllers:
            # Looking for the libraries takes 2 ms, limiting them 20 us.
            _controllers.append(threadpoolctl.ThreadpoolController())
    return _controllers[0].limit(limits=1, user_api="blas")


@dataclass
class Task:
    """What all targets of a fit share.

    Attributes
    ----------
    loss, penalty, rows, settings
        Components, `Rows` and `Settings`.
    alpha, fit_intercept, max_iter, max_time, stop_rules
        As the estimators' parameters; `stop_rules` the user's.
    score : callable or None
        `score(objective, v, k)` on validation rows, for early stopping.
    on_check : callable or None
        Of a history.
    """

    loss: object
    penalty: object
    rows: object
    settings: object
    alpha: float
    fit_intercept: bool
    max_iter: int = 1000
    max_time: float | None = None
    stop_rules: tuple = ()
    score: object = None
    on_check: object = None
    n_threads: int = 1


@dataclass
class Run:
    """One target's part of a fit: plan, result, updates so far, and the unknowns as coefficients and intercept."""

    plan: object
    result: object
    updates: int
    coef: np.ndarray
    intercept: object


@dataclass
class Part:
    """One target's part of a `partial_fit`."""

    plan: object
    state: object
    coef: np.ndarray
    intercept: object


def fit_targets(task, samples, seeds, starts, states):
    """Fit one model for each element of `samples`.

    Parameters
    ----------
    task : Task
    samples : list of Samples
    seeds : list of int
    starts : list of (coef, intercept) or None
        Where to start unless a run is continued; None: zeros, or the best constant model where steps are automatic.
    states : list of State or None
        Runs to continue where plan and data allow it.

    Returns
    -------
    list of Run
    """
    objectives = _objectives(task, samples)
    runs = [None] * len(samples)
    interrupted = threading.Event()

    def work(first, last):
        for k in range(first, last):
            runs[k] = _fit_one(task, objectives[k], seeds[k], starts[k], states[k], k, interrupted)

    with one_blas_thread():
        try:
            map_ranges(work, len(samples), task.n_threads if len(samples) > 1 else 1)
        except BaseException:
            interrupted.set()  # no thread goes on working on a fit that has failed
            raise
    return runs


def advance_targets(task, samples, seeds, starts, states):
    """One epoch of each target over a chunk of rows (`partial_fit`); parameters as for `fit_targets`.

    Returns
    -------
    list of Part
    """
    objectives = _objectives(task, samples)
    parts = [None] * len(samples)

    def work(first, last):
        for k in range(first, last):
            parts[k] = _advance_one(task, objectives[k], seeds[k], starts[k], states[k])

    with one_blas_thread():
        map_ranges(work, len(samples), task.n_threads if len(samples) > 1 else 1)
    return parts


def _objectives(task, samples):
    """Objective of each target; only the outermost of targets and blocks uses threads."""
    inner = task.n_threads if len(samples) == 1 else 1
    objectives = [
        Objective.of(task.loss, task.rows, one, task.penalty, task.alpha, task.fit_intercept, inner) for one in samples
    ]
    shared = isinstance(samples[0], WeightedSamples) and all(one.weights is samples[0].weights for one in samples)
    if shared and len(samples) > 1:
        moments = objectives[0].moments()
        for objective in objectives[1:]:
            objective.take_moments(moments)
    return objectives


def _fit_one(task, objective, seed, start, state, k, interrupted):
    settings = task.settings
    plan, rule = make_plan(settings, objective)
    solver = make_solver(plan, rule, settings, objective, seed)
    score = None if task.score is None else lambda v: task.score(objective, v, k)

    def on_check(history):
        # A key pressed during the fit of one target ends those of the others.
        return interrupted.is_set() or (task.on_check is not None and task.on_check(history))

    def go(plan, solver, start, state, max_iter):
        descent = Descent(
            solver, _rules(task, plan, solver), max_iter=max_iter, tol=settings.tol, score=score, on_check=on_check
        )
        return descent.run(_ready(solver, plan, objective, start, state, seed, lambda: descent.constant))

    try:
        result = go(plan, solver, start, state, task.max_iter)
        while settings.solver == "auto" and _stuck(result, settings.tol):
            turns = int(result.history["turn"][-1])
            changed = next_plan(plan, objective, turns)
            if changed is None or turns >= task.max_iter:
                break
            (plan, rule), before = changed, result
            solver = make_solver(plan, rule, settings, objective, seed)
            result = go(plan, solver, objective.split(before.point), None, task.max_iter - turns)
            result = continued(before, result)
    except KeyboardInterrupt:
        interrupted.set()
        raise
    if result.reason is StopReason.INTERRUPTED:
        interrupted.set()
    elif result.reason is StopReason.CALLBACK and interrupted.is_set():
        result.reason = StopReason.INTERRUPTED
    if result.state is not None:
        updates = result.state.updates
    else:  # a turn that was cut short leaves no state; the history knows the turns before it
        updates = int(result.history["turn"][-1]) * -(-objective.n_active // int(result.history["batch"][-1]))
    coef, intercept = objective.split(result.point)
    return Run(plan, result, updates, np.array(coef), intercept)


def _stuck(result, tol):
    """Whether a run ended because nothing fell any more, although it is not proved to be where it should."""
    return tol and result.reason is StopReason.PLATEAU and not result.suboptimality <= tol


def _advance_one(task, objective, seed, start, state):
    plan, rule = make_plan(task.settings, objective, streaming=True)
    solver = make_solver(plan, rule, task.settings, objective, seed)
    state = _ready(solver, plan, objective, start, state, seed, lambda: _constant_of_chunk(objective))
    before = state.point.copy()
    solver.turn(state)
    what = _exploded(objective, solver.answer(state))
    if what and not (solver.adapts and solver.back_off(state, before)):
        raise DivergenceError(
            f"{what} in epoch {state.turn} of partial_fit (rate {state.rate:.3g}): lower eta0, scale X, for example "
            "with StandardScaler, or leave the step to learning_rate='auto'.",
            History().arrays(),
        )
    coef, intercept = objective.split(solver.answer(state))
    return Part(plan, state, np.array(coef), intercept)


def _constant_of_chunk(objective):
    """Best intercept alone, 0 where the chunk holds one class only: other chunks hold the other one."""
    targets = objective.samples.targets[objective.samples.active()]
    if not objective.vector and objective.loss.classification and (targets == targets[0]).all():
        return 0.0
    return best_constant(objective)[0]


def _exploded(objective, v):
    """What is wrong with the unknowns after an epoch, in words, or "": by its predictions, at a fraction of a pass."""
    if not np.isfinite(v).all():
        return "the coefficients became infinite"
    if objective.vector:
        return ""
    coef, intercept = objective.split(v)
    samples, loss = objective.samples, objective.loss
    with np.errstate(all="ignore"):
        predictions = objective.rows.predictions(np.ascontiguousarray(coef)) + samples.offsets
        total = shifted_sums(samples, loss, predictions, intercept)[0]
        reference = shifted_sums(samples, loss, np.zeros(1) + samples.offsets, 0.0)[0] or float(objective.n_active)
    if np.isfinite(total) and total <= DIVERGED * reference:
        return ""
    reached, start = total / objective.n_active, reference / objective.n_active
    return f"the mean loss reached {reached:.3g} (with zero coefficients it is {start:.3g})"


def _ready(solver, plan, objective, start, state, seed, constant):
    """State to turn: the earlier one where it continues the same run, else a new one."""
    if state is not None and _continues(state, plan, objective):
        known = state.value
        solver.resume(state)
        # What a solver of all rows remembers (values, slopes, momentum) holds for one objective only; the value at
        # the same point tells whether this is the one, to the last bit.
        if not solver.exact or known == state.value:
            return state
    state = solver.start(_first_point(objective, solver, start, constant))
    state.memory["plan"] = (plan.solver, plan.batch_size, plan.learning_rate)
    state.memory["seed"] = seed
    solver.resume(state)
    return state


def _continues(state, plan, objective):
    """Whether a kept state belongs to the same plan and to unknowns of the same shape."""
    same = state.memory.get("plan") == (plan.solver, plan.batch_size, plan.learning_rate)
    return same and state.point.size == objective.size


def _first_point(objective, solver, start, constant):
    point = objective.start().reshape(-1, objective.n_predictions)
    if start is not None:
        coef, intercept = start
        point[: objective.n_features] = np.reshape(coef, (objective.n_features, -1))
        if objective.fit_intercept:
            point[-1] = intercept
    elif solver.adapts and objective.fit_intercept:
        point[-1] = constant()
    return point.ravel()


def _rules(task, plan, solver):
    settings, tol = task.settings, task.settings.tol or None
    rules: list = [] if task.max_time is None else [TimeLimit(task.max_time)]
    if task.score is not None:
        rules.append(Validation(tol or 0.0, settings.n_iter_no_change))
    elif tol is not None and task.loss.name == "perceptron" and settings.learning_rate == "auto":
        rules.append(NoMistakes())
    elif tol is not None:
        if not (solver.proves or (solver.exact and provable(solver.objective))):
            rules.append(Extrapolated(tol))
        if not solver.adapts and plan.learning_rate != "adaptive":
            rules.append(Plateau(tol, settings.n_iter_no_change))
        if settings.solver == "auto" and plan.solver in ("newton", "lbfgs"):
            rules.append(Stalled(tol))
    return [*rules, *task.stop_rules]
