"""From checked data and parameters to results: one run for each target, targets on threads."""

import contextlib
import copy
import functools
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgd.certificates.certifier import NO_BOUND, Bound, provable
from fastgd.data.rows import StridedRows
from fastgd.data.targets import WeightedSamples
from fastgd.fitting.build import make_solver
from fastgd.fitting.loop import DIVERGED, ENDS, NO_MORE, Descent, DivergenceError, Result
from fastgd.fitting.observers import Ended, Together, Watch
from fastgd.fitting.plan import CENTRAL_PATH, Plan, Settings, forecast, make_plan, next_plan
from fastgd.fitting.stopping import (
    Cautious,
    Extrapolated,
    History,
    NoMistakes,
    Overdue,
    Plateau,
    Stalled,
    StopReason,
    TimeLimit,
    Validation,
)
from fastgd.objective.blocks import map_ranges
from fastgd.objective.cost_model import central_path_applies
from fastgd.objective.distances import unit_at
from fastgd.objective.infimum import check_infimum
from fastgd.objective.null_model import best_constant
from fastgd.objective.objective import Objective
from fastgd.penalties.kernels import shifted_sums
from fastgd.rules.classic import Rule
from fastgd.runtime.blas import one_blas_thread

# A turn takes about 0.1 ms of Python, and about 2 ns for each stored value.
LEAST_FOR_THREADS = 50_000
# Newton's method is there within a dozen turns or two; where the central path is open, it is taken after these checks.
NEWTON_CHECKS, WORKING_SET_CHECKS = 50, 20
# A run on the central path that ends farther off than this was lost in rounding; else rounding is just its end.
LOST = 0.1

# What tol=0 asks for, and what no other plan is asked to improve on then.
LEAST, SETTLED = 1e-14, 1e-8

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
        Where a key was pressed after a check, with `StopReason.INTERRUPTED` for at least one of them.

    Raises
    ------
    KeyboardInterrupt
        Where a key was pressed before any check.
    """
    for one in samples:
        check_infimum(task.loss, one.targets)
    objectives = _objectives(task, samples)
    runs: list = [None] * len(samples)
    ended = threading.Event()
    keys: list[KeyboardInterrupt] = []

    def work(first, last):
        for k in range(first, last):
            if ended.is_set():
                return
            try:
                runs[k] = fit_target(task, objectives[k], seeds[k], starts[k], states[k], k, ended)
            except KeyboardInterrupt as key:
                keys.append(key)
                ended.set()

    with one_blas_thread():
        try:
            # No thread goes on working on a fit that has failed.
            map_ranges(work, len(samples), _threads(task, len(samples)), end=ended.set)
        except KeyboardInterrupt as key:  # between two targets, or while the main thread waited for the others
            keys.append(key)
            ended.set()
    if not ended.is_set():
        return runs
    begun = next((run for run in runs if run is not None), None)
    if begun is None:
        raise keys[0]
    for k, run in enumerate(runs):
        runs[k] = run or _not_begun(objectives[k], starts[k], begun.plan)
    if all(run.result.reason is not StopReason.INTERRUPTED for run in runs):
        runs[-1].result.reason = StopReason.INTERRUPTED
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


def _not_begun(objective, start, plan):
    """What a target gets that a key came before: the constant model, or the model to start from where it is better."""
    constant, value = best_constant(objective)
    point = objective.start().reshape(-1, objective.n_predictions)
    if objective.fit_intercept:
        point[-1] = constant
    if start is not None:
        own = objective.rows.own_intercept(*start)
        given = np.vstack([np.reshape(start[0], (objective.n_features, -1)), np.atleast_2d(own)])[: len(point)]
        with np.errstate(all="ignore"):
            at_start = objective.value(given.ravel())
        if at_start < value:
            point, value = given, at_start
    history = History()
    history.append(
        passes=0.0, seconds=0.0, objective=value, bound=np.inf, batch=objective.n_active, turn=0, suboptimality=np.inf
    )
    result = Result(point.ravel(), value, NO_BOUND, np.inf, StopReason.INTERRUPTED, history, None)
    coef, intercept = objective.model(result.point)
    plan = replace(plan, reasons=("a key was pressed before it began",))
    return Run(plan, result, 0, np.array(coef), intercept)


def fit_target(task, objective, seed, start, state, k, interrupted):
    """Run of target `k`; `start` and `state` as in `fit_targets`, and `interrupted` ends it like a key pressed."""
    score = None if task.score is None else lambda v: task.score(objective, v, k)
    # A key pressed during the fit of one target ends those of the others.
    watch = Ended(interrupted) if task.watch is None else Together(Ended(interrupted), task.watch(k))

    if start is not None:
        start = start[0], objective.rows.own_intercept(*start)

    def go(tried, rule, start, state, max_iter, max_time):
        plan = tried[-1]
        solver = make_solver(plan, rule, task.settings, objective, seed)
        rules = _rules(task, tried, solver, max_time)
        descent = Descent(solver, rules, max_iter=max_iter, tol=task.settings.tol, score=score, watch=watch)
        return descent.run(_ready(solver, plan, objective, start, state, seed, lambda: descent.constant))

    try:
        plan, result, updates = _by_plans(task, objective, go, start, state)
    except KeyboardInterrupt:
        interrupted.set()
        raise
    coef, intercept = objective.model(result.point)
    try:
        watch.run_ends(lambda: (coef, intercept))
    except KeyboardInterrupt:
        result.reason = StopReason.INTERRUPTED
    if result.reason is StopReason.INTERRUPTED:
        interrupted.set()
    return Run(plan, result, updates, np.array(coef), intercept)


def _by_plans(task, objective, go, start, state):
    """(plan, result, updates) of a run that goes on by another plan where the first turns out wrong.

    `go(plans, rule, start, state, max_iter, max_time)` gives the result of the last of the plans; all have to share
    turns and time.
    """
    begin, settings = time.perf_counter(), task.settings
    plan, rule = make_plan(settings, objective)
    if task.notes:
        plan = replace(plan, reasons=(*plan.reasons, *task.notes))
    plan = _with_rows_in_order(task, objective, plan)
    tried = [plan]
    result = go(tried, rule, start, state, task.max_iter, task.max_time)
    updates = _updates(objective, result)
    # On the central path it is still Newton's method: open to whoever asked for that, too.
    may_change = settings.solver == "auto" or (plan.solver == "newton" and central_path_applies(objective))
    while may_change and _stuck(plan, objective, result, settings.tol):
        turns = int(result.history["turn"][-1])
        try:
            changed = next_plan(tried, objective, _ending(plan, result, settings.tol), settings.solver == "auto")
            if changed is None or turns >= task.max_iter:
                break
            left = None if task.max_time is None else task.max_time - (time.perf_counter() - begin)
            if left is not None and left <= 0.0:
                result.reason = StopReason.TIME
                break
            plan, rule = _with_rows_in_order(task, objective, changed[0]), changed[1]
            tried.append(plan)
            after = go(tried, rule, objective.split(result.point), None, task.max_iter - turns, left)
        except KeyboardInterrupt:  # before a check of the later plan: there is the model of the earlier one
            result.reason = StopReason.INTERRUPTED
            break
        updates += _updates(objective, after)
        result = continued(result, after, settings.tol)
    if settings.tol and result.reason in ENDS and result.suboptimality <= settings.tol:
        result.reason = StopReason.CONVERGED  # by what one plan proved of another one's point
    elif (
        settings.tol
        and result.reason is StopReason.CONVERGED
        and not (result.rounded or result.suboptimality <= settings.tol)
    ):
        # The last plan's estimate was of a point that is higher than where it began.
        result.reason, result.advice = StopReason.PLATEAU, NO_MORE
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


def continued(before, after, tol=0.0):
    """One result for a run and the one that went on from its point by another plan; the better of the two points."""
    passes = before.history["passes"][-1]
    before.history.extend(after.history, passes)
    better, other = (after, before) if after.objective <= before.objective else (before, after)
    if other.bound.kind == "proof":
        # What was proved of the optimum at the other point holds for this one, which is lower.
        gained = other.objective - better.objective
        bound = Bound(max(other.bound.value - gained, 0.0) + better.doubt, other.bound.kind)
        # Both bounds end at the same number, so each makes up the same multiple of what it is compared with.
        share = bound.value / other.bound.value if other.bound.value > 0.0 else 1.0
        proved = better.bound.kind != "proof" and share * other.suboptimality <= tol
        if proved or bound.value < better.bound.value:
            better = replace(better, bound=bound, suboptimality=share * other.suboptimality)
    if better is not after:
        before.history.repeat()
        before.history["objective"][-1] = better.objective
        before.history["bound"][-1] = better.bound.value if better.bound.kind == "proof" else np.inf
        before.history["suboptimality"][-1] = better.suboptimality
    return replace(better, reason=after.reason, history=before.history, state=after.state, advice=after.advice)


def _updates(objective, result):
    """Updates that led to a result."""
    if result.state is not None:
        return result.state.updates
    # A turn that was cut short leaves no state; the history knows the turns before it.
    turns, batch = int(result.history["turn"][-1]), int(result.history["batch"][-1])
    return turns * -(-objective.n_active // batch)


def _stuck(plan, objective, result, tol):
    """Whether a run ended because nothing fell any more, although it is not proved to be where it should.

    For the central path of a loss with corners rounding is just its end, unless it ended far off.
    """
    if not tol or result.reason not in (StopReason.PLATEAU, StopReason.CONVERGED):
        return False
    if result.suboptimality <= max(tol, SETTLED if tol <= LEAST else 0.0) or result.rounded:
        # An estimate is not the last word where the central path would bring a proof.
        newton = plan.solver in ("newton", "lbfgs") and not plan.form
        return newton and result.bound.kind == "estimate" and central_path_applies(objective)
    lost = objective.l1 + objective.l2 > 0.0 and result.suboptimality > LOST
    return plan.form != CENTRAL_PATH or lost or objective.loss_smooth


def _ending(plan, result, tol):
    """How a run ended that another plan goes on from, in words."""
    turns, passes = int(result.history["turn"][-1]), result.history["passes"][-1]
    proved = result.suboptimality < 1.0 and result.bound.kind == "proof"
    far = f"{result.suboptimality:.1g}" if proved else "nothing"
    solver = f"{plan.solver} {plan.form}" if plan.form else plan.solver
    return f"after {turns} turns {solver} brought no more ({passes:.0f} passes, {far} proved, tol is {tol:g})"


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
    kind = _kind(solver, plan, objective)
    same = state is not None and state.memory.get("plan") == kind and state.point.size == objective.size
    if same and objective.allowed(state.point) is state.point:
        known = state.value
        solver.resume(state)
        # What a solver of all rows remembers (values, slopes, momentum) holds for one objective only; the value at
        # the same point tells whether this is the one, to the last bit.
        if not solver.exact or known == state.value:
            return state
    state = solver.start(_first_point(objective, solver, start, constant))
    state.memory["plan"] = kind
    state.memory["seed"] = seed
    solver.resume(state)
    return state


def _kind(solver, plan, objective):
    """What two runs must have in common for one to go on with what the other keeps: plan, solver and objective.

    One plan has several solvers, each with a memory of its own (Newton's method with an L1 part and without, a
    schedule with an average and without), and what a solver keeps of one loss may mean nothing for another (dual
    variables have the ends of their loss).  Data and weights are the solver's to look at; so is the strength of the
    penalty where the solver does not keep values of F, which a part without a gradient changes unseen.
    """
    F = objective
    penalty = ("elastic net", F.l1 > 0.0) if F.elastic else _named(F.penalty)
    strength = (F.l1, None if F.elastic else (F.alpha, _arrays(F.penalty))) if solver.exact else None
    return (
        plan.solver,
        plan.batch_size,
        plan.learning_rate,
        plan.form,
        solver.kind,
        _named(F.loss),
        penalty,
        strength,
        F.rows.mark,
    )


def _named(component):
    """Class and numbers of a component, without its arrays."""
    values = vars(component).items()
    numbers = tuple(one for name, one in values if not name.startswith("_") and isinstance(one, int | float))
    return type(component).__module__, type(component).__qualname__, *numbers


def _arrays(component):
    """Bytes that tell the arrays of a component from others."""
    arrays = (one for one in vars(component).values() if isinstance(one, np.ndarray))
    return hashlib.blake2b(b"".join(one.tobytes() for one in arrays), digest_size=16).digest()


def _first_point(objective, solver, start, constant):
    point = objective.start().reshape(-1, objective.n_predictions)
    if start is not None:
        coef, intercept = start
        point[: objective.n_features] = np.reshape(coef, (objective.n_features, -1))
        if objective.fit_intercept:
            point[-1] = intercept
    elif solver.adapts and objective.fit_intercept:
        point[-1] = constant()
    return objective.allowed(point.ravel())


def _rules(task, tried, solver, max_time):
    """Stopping rules of a run by the last of the plans that were `tried`."""
    settings, tol, plan = task.settings, task.settings.tol or None, tried[-1]
    rules: list = [] if max_time is None else [TimeLimit(max_time)]
    unit = functools.partial(unit_at, solver.objective)
    if task.score is not None:
        rules.append(Validation(tol or 0.0, settings.n_iter_no_change))
    elif tol is not None and task.loss.name == "perceptron" and settings.learning_rate == "auto":
        rules.append(NoMistakes())
    elif tol is not None:
        if not (solver.proves or (solver.exact and provable(solver.objective))):
            cautious = solver.exact and solver.adapts
            rules.append(Cautious(tol, solver.objective.loss_smooth, unit) if cautious else Extrapolated(tol, unit))
        if not solver.adapts and plan.learning_rate != "adaptive":
            rules.append(Plateau(tol, settings.n_iter_no_change))
        if plan.solver in ("newton", "lbfgs", "nesterov"):
            automatic, path = settings.solver == "auto", central_path_applies(solver.objective)
            # Newton's method that was named, too, may leave for the central path, once it stands still.
            if automatic or (plan.solver == "newton" and path and plan.form != CENTRAL_PATH):
                patient = plan.form == CENTRAL_PATH or plan.solver == "nesterov" or not (automatic and path)
                most = WORKING_SET_CHECKS if solver.objective.l1 > 0.0 else NEWTON_CHECKS
                rules.append(Stalled(tol, np.inf if patient else most, unit))
        other = next_plan(tried, solver.objective, "") if settings.solver == "auto" and plan.solver == "sdca" else None
        if other is not None:
            rules.append(Overdue(tol, *(forecast(one, solver.objective, tol) for one in (plan, other[0]))))
    return [*rules, *task.stop_rules]
