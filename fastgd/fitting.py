"""From checked data and parameters to results: one run for each target, targets on threads."""

import contextlib
import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgd.blas import one_blas_thread
from fastgd.blocks import map_ranges
from fastgd.builder import make_solver
from fastgd.certificate import Bound, provable
from fastgd.constant_model import best_constant
from fastgd.costs import central_path_applies
from fastgd.descent import DIVERGED, Descent, DivergenceError
from fastgd.kernels.coefficients import shifted_sums
from fastgd.objective import Objective
from fastgd.plan import CENTRAL_PATH, Plan, Settings, make_plan, next_plan
from fastgd.progress import Ended, Together, Watch
from fastgd.rules import Rule
from fastgd.samples import WeightedSamples
from fastgd.stopping import Extrapolated, History, NoMistakes, Plateau, Stalled, StopReason, TimeLimit, Validation
from fastgd.storages import StridedRows

# A turn takes about 0.1 ms of Python, and about 2 ns for each stored value.
LEAST_FOR_THREADS = 50_000
# Newton's method is there within a dozen turns or two; where the central path is open, it is taken after these checks.
NEWTON_CHECKS, WORKING_SET_CHECKS = 50, 20
# A run on the central path that ends farther off than this was lost in rounding; else rounding is just its end.
LOST = 0.1

_copying = threading.Lock()


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
    watch : callable or None
        `watch(k)` is the Watch of target `k`.
    notes : tuple of str
        What else plans are to tell.
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
    watch: Callable[[int], Watch] | None = None
    n_threads: int = 1
    notes: tuple = ()


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
    """One target's part of a `partial_fit`; the objective is that of the chunk after its epoch."""

    plan: object
    state: object
    coef: np.ndarray
    intercept: object
    objective: float


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
            runs[k] = fit_target(task, objectives[k], seeds[k], starts[k], states[k], k, interrupted)

    with one_blas_thread():
        try:
            map_ranges(work, len(samples), _threads(task, len(samples)))
        except BaseException:
            interrupted.set()  # no thread goes on working on a fit that has failed
            raise
    return runs


def advance_targets(task, samples, seeds, starts, states, X):
    """One epoch of each target over a chunk of rows (`partial_fit`); parameters as for `fit_targets`, and the matrix.

    Returns
    -------
    list of Part
    """
    objectives = _objectives(task, samples)
    parts = [None] * len(samples)

    def work(first, last):
        for k in range(first, last):
            parts[k] = _advance_one(task, objectives[k], seeds[k], starts[k], states[k], X)

    # Sparse products do not call BLAS.
    with contextlib.nullcontext() if task.rows.sparse else one_blas_thread():
        map_ranges(work, len(samples), _threads(task, len(samples)))
    return parts


def _threads(task, n_targets):
    """Threads for the targets: one where turns are mostly Python, which runs on one thread at a time."""
    return task.n_threads if n_targets > 1 and task.rows.stored() >= LEAST_FOR_THREADS else 1


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


def fit_target(task, objective, seed, start, state, k, interrupted):
    """Run of target `k`; `start` and `state` as in `fit_targets`, and `interrupted` ends it like a key pressed."""
    score = None if task.score is None else lambda v: task.score(objective, v, k)
    # A key pressed during the fit of one target ends those of the others.
    watch = Ended(interrupted) if task.watch is None else Together(Ended(interrupted), task.watch(k))

    if start is not None:
        start = start[0], objective.rows.own_intercept(*start)

    def go(plan, rule, start, state, max_iter, max_time):
        solver = make_solver(plan, rule, task.settings, objective, seed)
        rules = _rules(task, plan, solver, max_time)
        descent = Descent(solver, rules, max_iter=max_iter, tol=task.settings.tol, score=score, watch=watch)
        return descent.run(_ready(solver, plan, objective, start, state, seed, lambda: descent.constant))

    try:
        plan, result, updates = _by_plans(task, objective, go, start, state)
    except KeyboardInterrupt:
        interrupted.set()
        raise
    if result.reason is StopReason.INTERRUPTED:
        interrupted.set()
    elif result.reason is StopReason.CALLBACK and interrupted.is_set():
        result.reason = StopReason.INTERRUPTED
    coef, intercept = objective.model(result.point)
    watch.run_ends(lambda: (coef, intercept))
    return Run(plan, result, updates, np.array(coef), intercept)


def _by_plans(task, objective, go, start, state):
    """(plan, result, updates) of a run that goes on by another plan where the first turns out wrong.

    `go(plan, rule, start, state, max_iter, max_time)` gives the result of one plan; all have to share turns and time.
    """
    begin, settings = time.perf_counter(), task.settings
    plan, rule = make_plan(settings, objective)
    if task.notes:
        plan = replace(plan, reasons=(*plan.reasons, *task.notes))
    plan = _with_rows_in_order(task, objective, plan)
    result = go(plan, rule, start, state, task.max_iter, task.max_time)
    updates = _updates(objective, result)
    # On the central path it is still Newton's method: open to whoever asked for that, too.
    may_change = settings.solver == "auto" or (plan.solver == "newton" and central_path_applies(objective))
    while may_change and _stuck(result, settings.tol):
        turns = int(result.history["turn"][-1])
        changed = next_plan(plan, objective, turns)
        lost = plan.form != CENTRAL_PATH or (objective.l1 + objective.l2 > 0.0 and result.suboptimality > LOST)
        if changed is None or turns >= task.max_iter or not lost:
            break
        left = None if task.max_time is None else task.max_time - (time.perf_counter() - begin)
        if left is not None and left <= 0.0:
            result.reason = StopReason.TIME
            break
        plan, rule = _with_rows_in_order(task, objective, changed[0]), changed[1]
        after = go(plan, rule, objective.split(result.point), None, task.max_iter - turns, left)
        updates += _updates(objective, after)
        result = continued(result, after)
    return plan, result, updates


def _with_rows_in_order(task, objective, plan):
    """The plan; where it is one of single rows, an array in Fortran order or with steps is copied, once for all."""
    if plan.batch_size in ("full", "growing") or not isinstance(objective.rows.storage, StridedRows):
        return plan
    with _copying:
        if isinstance(task.rows.storage, StridedRows):
            task.rows = task.rows.in_c_order()
    objective.use_rows(task.rows)
    return replace(plan, reasons=(*plan.reasons, "X was copied once, into C order, for single rows of it are read"))


def continued(before, after):
    """One result for a run and the one that went on from its point by another plan; the better of the two points."""
    passes = before.history["passes"][-1]
    before.history.extend(after.history, passes)
    better = after if after.objective <= before.objective else before
    if better is before and np.isfinite(after.bound.value):
        # What was proved of the optimum at the later point holds for the earlier one, which is lower.
        bound = Bound(max(after.bound.value - (after.objective - before.objective), 0.0), after.bound.kind)
        if bound.value < before.bound.value:
            share = bound.value / after.bound.value if after.bound.value > 0.0 else 1.0
            better = replace(before, bound=bound, suboptimality=share * after.suboptimality)
    return replace(better, reason=after.reason, history=before.history, state=after.state)


def _updates(objective, result):
    """Updates that led to a result."""
    if result.state is not None:
        return result.state.updates
    # A turn that was cut short leaves no state; the history knows the turns before it.
    turns, batch = int(result.history["turn"][-1]), int(result.history["batch"][-1])
    return turns * -(-objective.n_active // batch)


def _stuck(result, tol):
    """Whether a run ended because nothing fell any more, although it is not proved to be where it should."""
    return tol and result.reason is StopReason.PLATEAU and not result.suboptimality <= tol


def _advance_one(task, objective, seed, start, state, X):
    stream = _stream(task.settings, objective, start, None if state is None else state.memory.get("stream"))
    plan = stream.plan
    solver = make_solver(plan, stream.rule, task.settings, objective, seed)
    earlier, copied = state, None if state is None else _copied(state)
    state = _ready(solver, plan, objective, start, copied, seed, lambda: _constant_of_chunk(objective))
    state.memory["stream"] = stream
    before = earlier.point if state is copied else state.point.copy()
    solver.turn(state)
    v = solver.answer(state)
    value, what = _value_of_chunk(objective, v, X, state.memory)
    if what and not (solver.adapts and solver.back_off(state, before)):
        raise DivergenceError(
            f"{what} in epoch {state.turn} of partial_fit (rate {state.rate:.3g}): lower eta0, scale X, for example "
            "with StandardScaler, or leave the step to learning_rate='auto'.",
            History().arrays(),
        )
    coef, intercept = objective.split(solver.answer(state) if what else v)
    return Part(plan, state, coef, intercept, value)


class Stream(NamedTuple):
    """How chunks are taken: by the same plan as long as the settings are the same object."""

    settings: Settings
    plan: Plan
    rule: Rule | None
    fresh: bool  # whether chunks are all that the model comes from


def _stream(settings, objective, start, stream):
    """The stream so far where it goes on as it is, else one with a plan made for this chunk."""
    if stream is not None and stream.settings is settings:
        return stream
    fresh = start is None if stream is None else stream.fresh
    plan, rule = make_plan(settings, objective, streaming=True, fresh=fresh)
    return Stream(settings, plan, rule, fresh)


def _copied(state):
    """A state that can be moved while this one stays: a deep copy, at a fifth of the time of `copy.deepcopy`."""
    made = copy.copy(state)
    made.memory = dict(state.memory)
    for named in (vars(made), made.memory):
        for key, one in named.items():
            if isinstance(one, np.ndarray):
                named[key] = one.copy()
            elif key != "memory" and not isinstance(one, int | float | tuple):
                named[key] = copy.deepcopy(one)
    return made


def _constant_of_chunk(objective):
    """Best intercept alone, 0 where the chunk holds one class only: other chunks hold the other one."""
    targets = objective.samples.targets[objective.samples.active()]
    if objective.loss.classification and (targets == targets[0]).all():
        return 0.0
    return best_constant(objective)[0]


def _value_of_chunk(objective, v, X, memory):
    """F of the chunk after its epoch, and what is wrong with it in words, or "": at a fraction of a pass."""
    coef, intercept = objective.split(v)
    samples, loss, n_active = objective.samples, objective.loss, objective.n_active
    with np.errstate(all="ignore"):
        if not np.isfinite(v.sum()):  # a third of the time of looking at each
            return np.inf, "the coefficients became infinite"
        mean = shifted_sums(samples, loss, X @ coef + samples.offsets, intercept)[0] / n_active
        value = mean + objective.penalty_value(v)
        if mean <= DIVERGED * memory.get("reference", 0.0):  # of an earlier chunk: this one's need not be computed
            return value, ""
        reference = shifted_sums(samples, loss, np.zeros(1) + samples.offsets, 0.0)[0] / n_active or 1.0
    if np.isfinite(mean) and mean <= DIVERGED * reference:
        memory["reference"] = reference
        return value, ""
    return value, f"the mean loss reached {mean:.3g} (with zero coefficients it is {reference:.3g})"


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
    state.memory["plan"] = _run_of(plan, objective)
    state.memory["seed"] = seed
    solver.resume(state)
    return state


def _continues(state, plan, objective):
    """Whether a kept state belongs to the same plan and to unknowns of the same shape."""
    return state.memory.get("plan") == _run_of(plan, objective) and state.point.size == objective.size


def _run_of(plan, objective):
    """What a run has in common with those that may go on from its state: the unknowns mean the same, too."""
    return plan.solver, plan.batch_size, plan.learning_rate, plan.form, objective.rows.mark


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


def _rules(task, plan, solver, max_time):
    settings, tol = task.settings, task.settings.tol or None
    rules: list = [] if max_time is None else [TimeLimit(max_time)]
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
            patient = plan.form == CENTRAL_PATH or not central_path_applies(solver.objective)
            most = WORKING_SET_CHECKS if solver.objective.l1 > 0.0 else NEWTON_CHECKS
            rules.append(Stalled(tol) if patient else Stalled(tol, most))
    return [*rules, *task.stop_rules]
