"""From checked data and parameters to results: one run for each target, targets on threads."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgd.certificates.bound import NO_BOUND
from fastgd.data.digest import hash_of
from fastgd.fitting.build import make_solver
from fastgd.fitting.choose_solver import batch_sizes
from fastgd.fitting.default_rules import rules_of_run
from fastgd.fitting.history import History
from fastgd.fitting.loop import Descent, Underway
from fastgd.fitting.observers import Ended, Recorder, Together, Watch
from fastgd.fitting.replan import Trail, remaining, run_by_plans
from fastgd.fitting.result import Result
from fastgd.fitting.separation import SEPARATED, is_separated
from fastgd.fitting.stopping import StopReason
from fastgd.objective.cost_model import PYTHON, VALUE
from fastgd.objective.infimum import check_infimum
from fastgd.objective.null_model import null_model, null_point
from fastgd.objective.objective import Measured, Objective
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.component import Component
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.base import RunRecord

# From so many stored values on an iteration's two looks at them take longer than its Python.
LEAST_FOR_THREADS = PYTHON / (2.0 * VALUE)


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
    keeps_states : bool
        Whether a later fit may go on with what solvers keep.
    data : str or None
        A hash of X, where one may.
    checkpoint : Checkpoint or None
        Where runs are kept, and taken up from.
    keep : float
        What earlier chunks still count as in a stream that forgets.
    in_place : bool
        Whether the states are of chunks, whose arrays nobody else holds.
    records : bool
        Whether the models after each update are kept.
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
    keeps_states: bool = True
    data: str | None = None
    checkpoint: Any = None
    keep: float = 1.0
    in_place: bool = False
    records: bool = False


@dataclass
class Run:
    """One target's part of a fit: plan, result, updates so far, and the unknowns as coefficients
    and intercept; in `path` those after each update, where they are recorded.
    """

    plan: object
    result: object
    updates: int
    coef: np.ndarray
    intercept: object
    path: list | None = None


@dataclass
class KeptRun:
    """One target's run that is under way.

    Attributes
    ----------
    trail : Trail
        Its plans so far.
    begun : Measured
        What the objective knew when the solver of the last one was made.
    underway : Underway
        That one.
    """

    trail: Trail
    begun: Measured
    underway: Underway


class Keeper:
    """Keeps the run of target `k` in a checkpoint."""

    def __init__(self, checkpoint, k, trail, begun):
        self.checkpoint, self.k, self.trail, self.begun = checkpoint, k, trail, begun

    def due(self):
        """Whether it is time to write the run to the checkpoint."""
        return self.checkpoint.due(self.k)

    def keep(self, underway):
        """Write the run, which is `underway`, to the checkpoint now."""
        self.checkpoint.keep(self.k, KeptRun(self.trail, self.begun, underway))


def fit_targets(task, samples, seeds, starts, states):
    """Fit one model for each element of `samples`.

    Parameters
    ----------
    task : Task
    samples : list of Samples
    seeds : list of int
    starts : list of (coef, intercept) or None
        Where to start unless a run is continued; None: zeros, or the null model where steps are
        automatic.
    states : list of State or None
        Runs to continue where plan and data allow it.

    Returns
    -------
    list of Run
        Where the fit was interrupted after a check, with `StopReason.INTERRUPTED` for at least one
        of them.

    Raises
    ------
    KeyboardInterrupt
        Where the fit was interrupted before any check.
    """
    # One target after the other, about one a thread at a time: all at once would hold a few numbers
    # for each row and target.
    objective_of = target_objectives(task, samples)
    runs: list = [None] * len(samples)
    ended = threading.Event()
    interrupts: list[KeyboardInterrupt] = []

    def work(first, last):
        for k in range(first, last):
            if ended.is_set():
                return
            try:
                runs[k] = None if task.checkpoint is None else task.checkpoint.ended(k)
                if runs[k] is not None:
                    continue
                check_infimum(task.loss, samples[k].targets)
                run = fit_target(task, objective_of(k), seeds[k], starts[k], states[k], k, ended)
                runs[k] = run if task.keeps_states else _without_state(run)
                if task.checkpoint is not None and not ended.is_set():
                    task.checkpoint.end(k, runs[k])
            except KeyboardInterrupt as interrupt:
                interrupts.append(interrupt)
                ended.set()

    with one_blas_thread():
        try:
            # No thread goes on working on a fit that has failed.
            map_ranges(work, len(samples), target_threads(task, len(samples)), end=ended.set)
        except KeyboardInterrupt as interrupt:
            # Between two targets, or while the main thread waited for the others.
            interrupts.append(interrupt)
            ended.set()
    if not ended.is_set():
        return runs
    if task.checkpoint is not None:
        task.checkpoint.flush()
    begun = next((run for run in runs if run is not None), None)
    if begun is None:
        raise interrupts[0]
    for k, run in enumerate(runs):
        runs[k] = run or _not_begun(objective_of(k), starts[k], begun.plan)
    if all(run.result.reason is not StopReason.INTERRUPTED for run in runs):
        runs[-1].result.reason = StopReason.INTERRUPTED
    return runs


def target_threads(task, n_targets):
    """Threads for the targets: one where iterations are mostly Python, which runs on one thread at
    a time.
    """
    many = n_targets > 1 and task.rows.in_memory and task.rows.stored() >= LEAST_FOR_THREADS
    return task.n_threads if many else 1


def _without_state(run):
    """The run without what solvers with steps of their own keep, vectors as long as there are
    rows, where nobody is to go on with it.
    """
    if run.plan.solver in batch_sizes():
        run.result.state = None
    return run


def target_objectives(task, samples):
    """A function that makes the objective of a target; only the outermost of targets and blocks
    uses threads.
    """
    inner = task.n_threads if len(samples) == 1 or not task.rows.in_memory else 1

    def bare(k):
        problem = task.loss, task.rows, samples[k], task.penalty
        return Objective.of(*problem, task.alpha, task.fit_intercept, inner)

    if len(samples) == 1:
        return bare
    # Of rows and weights, which all share.
    moments = bare(0).moments()

    def objective_of(k):
        objective = bare(k)
        objective.take_moments(moments)
        return objective

    return objective_of


def _not_begun(objective, start, plan):
    """What a target gets where the fit was interrupted before its run was begun: the null
    model, or the model to start from where it is better.
    """
    intercept, value = null_model(objective)
    point = null_point(objective, intercept)
    if start is not None:
        given = _unknowns(objective, start[0], objective.rows.own_intercept(*start))
        with np.errstate(all="ignore"):
            at_start = objective.value(given)
        if at_start < value:
            point, value = given, at_start
    history = History()
    history.append(
        passes=0.0,
        seconds=0.0,
        objective=value,
        bound=np.inf,
        batch=objective.n_active,
        iteration=0,
        suboptimality=np.inf,
    )
    result = Result(point, value, NO_BOUND, np.inf, StopReason.INTERRUPTED, history, None)
    coef, intercept = objective.model(result.point)
    plan = replace(plan, reasons=("the fit was interrupted before this model was begun",))
    return Run(plan, result, 0, np.array(coef), intercept)


def fit_target(task, objective, seed, start, state, k, interrupted):
    """Run of target `k`; `start` and `state` as in `fit_targets`, and `interrupted` ends it
    once it is set.
    """
    score = None if task.score is None else lambda v: task.score(objective, v, k)
    # An interrupt during the fit of one target ends those of the others.
    watch = (
        Ended(interrupted) if task.watch is None else Together(Ended(interrupted), task.watch(k))
    )

    if start is not None:
        start = start[0], objective.rows.own_intercept(*start)

    kept = None if task.checkpoint is None else task.checkpoint.under_way(k)
    recorder = Recorder(objective) if task.records else None

    def go(trail, rule, start, state, kept):
        if kept is not None:
            objective.recall(kept.begun)
        begun, plan = objective.known(), trail.tried[-1]
        watch.planned(plan)
        scored = score is not None
        solver = make_solver(plan, rule, task.settings, objective, seed, scored=scored)
        max_iter, max_time = remaining(task, trail)
        rules = rules_of_run(task, trail.tried, solver, max_time)
        descent = Descent(
            solver,
            rules,
            max_iter=max_iter,
            tol=task.settings.tol,
            score=score,
            watch=watch,
            passes_before=begun.passes,
            keeper=None if task.checkpoint is None else Keeper(task.checkpoint, k, trail, begun),
        )
        if kept is not None:
            return descent.take_up(kept.underway)
        problem = None if task.data is None else _problem(solver, objective, task.data)
        ready = ready_state(
            solver, plan, objective, start, state, seed, lambda: objective.null_intercept, problem
        )
        if recorder is not None:
            recorder.tell(solver, ready)
        return descent.run(ready)

    try:
        plan, result, updates = run_by_plans(task, objective, go, start, state, kept)
    except KeyboardInterrupt:
        interrupted.set()
        raise
    if is_separated(objective, result.objective):
        plan = replace(plan, reasons=(*plan.reasons, SEPARATED))
        # A schedule that ended by its rule stays silent.
        if result.advice or result.reason is not StopReason.PLATEAU:
            result.advice = f"{SEPARATED[0].upper()}{SEPARATED[1:]}."
    coef, intercept = objective.model(result.point)
    try:
        watch.ended(result, lambda: (coef, intercept))
    except KeyboardInterrupt:
        result.reason = StopReason.INTERRUPTED
    if result.reason is StopReason.INTERRUPTED:
        interrupted.set()
    path = None if recorder is None else recorder.models
    return Run(plan, result, updates, np.array(coef), intercept, path)


def ready_state(
    solver, plan, objective, start, state, seed, null_intercept, problem=None, other_rows=False
):
    """State to iteration: the earlier one where it continues the same run, else a new one.

    With `other_rows` they are those of another chunk, over which some memories go on.
    """
    kind = _kind(solver, plan, objective)
    same = state is not None and state.run.kind == kind and state.point.size == objective.size
    if same and None not in (problem, state.run.problem):
        same = problem == state.run.problem
    if same and objective.allowed(state.point) is state.point:
        known = state.value, state.gradient
        solver.start(state.point, state)
        # What a solver of all rows remembers (values, slopes, momentum) holds for one objective
        # only; value and gradient at the same point tell whether this is the one, to the last bit.
        # The value alone did not: with all coefficients 0 it is the same whatever X is.
        goes_on = other_rows and solver.outlives_rows
        if not solver.free_answers or goes_on or _are_of(known, state):
            state.run.problem = problem or state.run.problem
            return state
    begun = solver.start(_first_point(objective, solver, start, null_intercept))
    begun.run = RunRecord(kind, problem, seed)
    if same and other_rows:
        # Steps that rest on the values of one chunk begin anew with each; updates count on.
        begun.iteration, begun.updates = state.iteration, state.updates
    return begun


def _are_of(known, state):
    """Whether value and gradient, as far as they were known, are those of a state."""
    value, gradient = known
    same = gradient is None or state.gradient is None or np.array_equal(gradient, state.gradient)
    return value == state.value and same


def _kind(solver, plan, objective):
    """What two runs must have in common for one to go on with what the other keeps: plan, solver
    and objective.

    One plan has several solvers, each with a memory of its own (Newton's method with an L1 part and
    without, a schedule with an average and without), and what a solver keeps of one loss may mean
    nothing for another (dual variables have the ends of their loss).  The strength of the penalty
    is the solver's to look at where it does not keep values of F, which a part without a gradient
    changes unseen, and any part where coefficients are 0.
    """
    F = objective
    penalty = ("elastic net", F.l1 > 0.0) if F.elastic else _named(F.penalty)
    strength = (
        (F.l1, F.l2, None if F.elastic else (F.alpha, _arrays(F.penalty)))
        if solver.free_answers
        else None
    )
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


def _problem(solver, objective, rows):
    """What tells the data of an objective from others, `rows` being a hash of X; where explicit
    rates lead somewhere between the iterates so far, its penalty too.

    What solvers looked at themselves did not tell all: sums of a one-hot matrix are those of any
    other, and rows in another order have the same F at every point.
    """
    F = objective
    data = rows, hash_of([F.samples.targets, F.samples.weights, F.samples.offsets])
    return data if solver.own_steps else (*data, F.alpha, F.l1, F.l2, _arrays(F.penalty))


def _named(component):
    """Class and numbers of a component, and of those it is made of, without its arrays."""
    values = [one for name, one in vars(component).items() if not name.startswith("_")]
    numbers = tuple(one for one in values if isinstance(one, int | float))
    parts = tuple(_named(one) for one in values if isinstance(one, Component))
    return type(component).__module__, type(component).__qualname__, *numbers, *parts


def _arrays(component):
    """Bytes that tell the arrays of a component from others."""
    arrays = (one for one in vars(component).values() if isinstance(one, np.ndarray))
    return hashlib.blake2b(b"".join(one.tobytes() for one in arrays), digest_size=16).digest()


def _first_point(objective, solver, start, null_intercept):
    if isinstance(start, np.ndarray):
        point = start
    elif start is not None:
        point = _unknowns(objective, *start)
    elif solver.own_steps and objective.fit_intercept:
        point = null_point(objective, null_intercept())
    else:
        point = objective.start()
    return objective.allowed(point)


def _unknowns(objective, coef, intercept):
    """Coefficients and, where there is one, an intercept as one vector."""
    table = objective.start().reshape(-1, objective.n_predictions)
    table[: objective.n_features] = np.reshape(coef, (objective.n_features, -1))
    if objective.fit_intercept:
        table[-1] = intercept
    return table.ravel()
