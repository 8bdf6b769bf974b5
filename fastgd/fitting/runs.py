"""From checked data and parameters to results: one run for each target, targets on threads."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgd.certificates.bound import NO_BOUND
from fastgd.fitting.build import make_solver
from fastgd.fitting.choose_solver import batch_sizes
from fastgd.fitting.default_rules import rules_of_run
from fastgd.fitting.history import History
from fastgd.fitting.loop import Loop
from fastgd.fitting.observers import Ended, Recorder, Together, Watch
from fastgd.fitting.replan import remaining, run_by_plans
from fastgd.fitting.result import Result
from fastgd.fitting.resumed_state import problem_of, resume_or_start, unknowns
from fastgd.fitting.separation import why_endless
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.task import Run, SavedRun, Task
from fastgd.losses.base import VectorLoss
from fastgd.objective.cost_model import PYTHON, VALUE
from fastgd.objective.infimum import check_infimum
from fastgd.objective.null_model import null_model, null_point
from fastgd.objective.objective import Objective
from fastgd.objective.squares_of_targets import SquaresOfTargets
from fastgd.runtime.array_shapes import check_arrays
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.threads import map_ranges

# What a run on blocks holds for each row while others have their turn: 0 to 1.05 was measured.
NUMBERS_PER_ROW = 2
# From so many stored values on an iteration's two looks at them take longer than its Python.
MIN_FOR_THREADS = PYTHON / (2.0 * VALUE)


class Saver:
    """Saves the run of target `k` in a checkpoint."""

    def __init__(self, checkpoint, k, record, begun):
        self.checkpoint, self.k, self.record, self.begun = checkpoint, k, record, begun

    def due(self):
        """Whether it is time to write the run to the checkpoint."""
        return self.checkpoint.due(self.k)

    def save(self, loop_state):
        """Write the run, which is `loop_state`, to the checkpoint now."""
        self.checkpoint.save(self.k, SavedRun(self.record, self.begun, loop_state))


def fit_targets(task, samples, seeds, starts, states):
    """Fit one model for each element of `samples`.

    Parameters
    ----------
    task : Task
    samples : list of Samples
    seeds : list of int
    starts : list of (coef, intercept) or None
        Where to start unless a run is resumed; None: zeros, or the null model where steps are
        automatic.
    states : list of State or None
        Runs to resume where plan and data allow it.

    Returns
    -------
    list of Run
        Those of several targets without their points, and with coefficients that are the rows of
        one table.  Where the fit was interrupted after a check, with `StopReason.INTERRUPTED` for
        at least one of them.

    Raises
    ------
    KeyboardInterrupt
        Where the fit was interrupted before any check.
    """
    # One target after the other, about one a thread at a time: all at once would hold a few numbers
    # for each row and target.
    task.n_models = len(samples)
    at_once = runs_at_once(task, len(samples))
    shared: Any = None
    if not task.rows.in_memory and at_once > 1:
        task.rows = task.rows.for_several_runs()
        shared = task.rows.readings
    together = len(samples) > 1 and task.rows.in_memory and shares_matrix(task)
    objective_of = target_objectives(task, samples, together)
    runs: list = [None] * len(samples)
    # Coefficients of all targets, which estimators take as they are: a list of them, made one array
    # in the end, and the points of all runs were three such tables.
    several = len(samples) > 1
    table = np.empty((len(samples), task.rows.shape()[1])) if several else None
    ended = threading.Event()
    interrupts: list[KeyboardInterrupt] = []

    def work(first, last):
        for k in range(first, last):
            if ended.is_set():
                return
            try:
                runs[k] = None if task.checkpoint is None else task.checkpoint.ended(k)
                if runs[k] is not None:
                    with task.checkpoint.restoring():
                        check_arrays(runs[k], objective_of(k).lengths())
                    _move_coef(runs[k], table, k)
                    continue
                check_infimum(task.loss, samples[k].targets)
                run = fit_target(task, objective_of(k), seeds[k], starts[k], states[k], k, ended)
                runs[k] = run if task.keeps_states else _without_state(run)
                if task.checkpoint is not None and not ended.is_set():
                    task.checkpoint.end(k, runs[k])
                _move_coef(runs[k], table, k)
            except KeyboardInterrupt as interrupt:
                interrupts.append(interrupt)
                ended.set()

    with one_blas_thread():
        try:
            # No thread goes on working on a fit that has failed.
            if shared is None:
                map_ranges(work, len(samples), at_once, end=ended.set)
            for first in range(0, 0 if shared is None else len(samples), at_once):
                group = range(first, min(first + at_once, len(samples)))
                shared.together([functools.partial(work, k, k + 1) for k in group], ended.set)
        except KeyboardInterrupt as interrupt:
            # Between two targets, or while the main thread waited for the others.
            interrupts.append(interrupt)
            ended.set()
    if ended.is_set():
        if task.checkpoint is not None:
            task.checkpoint.flush()
        if not any(runs):
            raise interrupts[0]
        _complete(runs, objective_of, starts, table)
    return runs


def _complete(runs, objective_of, starts, table):
    """Give each target of a fit that was interrupted a run."""
    plan = next(run for run in runs if run is not None).plan
    for k, run in enumerate(runs):
        runs[k] = run or _not_begun(objective_of(k), starts[k], plan)
        _move_coef(runs[k], table, k)
    if all(run.result.reason is not StopReason.INTERRUPTED for run in runs):
        runs[-1].result.reason = StopReason.INTERRUPTED


def runs_at_once(task, n_targets):
    """How many targets are fitted at once.

    In memory one where all have one curvature matrix, for it is formed on all threads, and where
    iterations are mostly Python. Blocks of a source are read once for as many as fit into half of
    the memory, or into what their targets take, by what a run holds for each row.
    """
    rows = task.rows
    if n_targets == 1:
        return 1
    if rows.in_memory:
        return 1 if shares_matrix(task) else threads_of_targets(task)
    if rows.location != "blocks":
        return 1
    n_bytes = 8 * rows.shape()[0]
    room = max(rows.memory // 2, n_bytes * n_targets)
    return int(np.clip(room // (NUMBERS_PER_ROW * n_bytes), 1, n_targets))


def threads_of_targets(task):
    """On how many threads targets are fitted side by side, of rows in memory."""
    return task.n_threads if task.rows.stored() >= MIN_FOR_THREADS else 1


def shares_matrix(task):
    """Whether several targets have one curvature matrix, by which a step is the answer."""
    settings, term = task.settings, task.penalty.term(task.alpha, 1)
    asked = isinstance(settings.solver, str) and settings.solver in ("auto", "newton")
    squares = not isinstance(task.loss, VectorLoss) and task.loss.squared
    return asked and squares and bool(settings.tol) and term.elastic and term.l1 == 0.0


def _without_state(run):
    """The run without what solvers with steps of their own keep, vectors as long as there are
    rows, where nobody is to go on with it.
    """
    if run.plan.solver in batch_sizes():
        run.result.state = None
    return run


def _move_coef(run, table, k):
    """Keep the coefficients of one of several targets in its row of a table, and nothing else as
    long as there are columns.
    """
    if table is not None:
        table[k] = run.coef
        run.coef, run.result.point = table[k], None


def stacked(rows):
    """Arrays of the same length as a table: the one that they are the rows of, where they are."""
    table = rows[0].base
    shape = len(rows), rows[0].size
    if isinstance(table, np.ndarray) and table.shape == shape:
        starts = [row.__array_interface__["data"][0] for row in rows]
        first = table.__array_interface__["data"][0]
        if starts == [first + table.strides[0] * k for k in range(len(rows))]:
            return table
    return np.array(rows)


def target_objectives(task, samples, together=False):
    """A function that makes the objective of a target; only the outermost of targets and blocks
    uses threads.  With `together` they have one curvature matrix, of rows in memory.
    """
    alone = len(samples) == 1 or not task.rows.in_memory or together
    inner = task.n_threads if alone else 1

    def bare(k, n_nonzeros=None):
        problem = task.loss, task.rows, samples[k], task.penalty
        return Objective.of(*problem, task.alpha, task.fit_intercept, inner, n_nonzeros)

    if len(samples) == 1:
        return bare
    # Of rows and weights, which all share.
    first = bare(0)
    n_nonzeros = first.n_nonzeros
    if together:
        one = functools.partial(bare, n_nonzeros=n_nonzeros)
        return SquaresOfTargets(one, samples).objective_of
    moments = first.moments()

    def objective_of(k):
        objective = bare(k, n_nonzeros)
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
        given = unknowns(objective, start[0], objective.rows.own_intercept(*start))
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


@dataclass
class _Target:
    """One target while it is fitted, by one plan after the other."""

    task: Task
    objective: Objective
    seed: int
    k: int
    score: Callable | None
    watch: Watch
    recorder: Recorder | None

    def run(self, record, rule, start, state, saved):
        """The run of the last plan of a `PlanRecord`, restored where it was `saved`: a `Result`."""
        task, objective = self.task, self.objective
        if saved is not None:
            with task.checkpoint.restoring():
                objective.restore(saved.begun)
                check_arrays(record, objective.lengths())
        begun, plan = objective.snapshot(), record.tried[-1]
        self.watch.planned(plan)
        scored = self.score is not None
        solver = make_solver(plan, rule, task.settings, objective, self.seed, scored=scored)
        max_iter, max_time = remaining(task, record)
        saves = task.checkpoint is not None
        loop = Loop(
            solver,
            rules_of_run(task, record.tried, solver, max_iter, max_time),
            max_iter=max_iter,
            tol=task.settings.tol,
            score=self.score,
            watch=self.watch,
            passes_before=begun.passes,
            saver=Saver(task.checkpoint, self.k, record, begun) if saves else None,
        )
        if saved is not None:
            with task.checkpoint.restoring():
                loop.restore(saved.loop_state)
            return loop.run_restored(saved.loop_state)
        ready = resume_or_start(
            solver,
            plan,
            objective,
            start,
            state,
            self.seed,
            lambda: objective.null_intercept,
            None if task.data is None else problem_of(solver, objective, task.data),
        )
        if self.recorder is not None:
            self.recorder.attach(solver, ready)
        return loop.run(ready)


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

    saved = None if task.checkpoint is None else task.checkpoint.saved_run(k)
    recorder = Recorder(objective) if task.records else None
    target = _Target(task, objective, seed, k, score, watch, recorder)
    try:
        plan, result, updates = run_by_plans(task, objective, target.run, start, state, saved)
    except KeyboardInterrupt:
        interrupted.set()
        raise
    if endless := why_endless(objective, result.objective):
        plan = replace(plan, reasons=(*plan.reasons, endless))
        # A schedule that ended by its rule stays silent.
        if result.advice or result.reason is not StopReason.PLATEAU:
            result.advice = f"{endless[0].upper()}{endless[1:]}."
    coef, intercept = objective.model(result.point)
    try:
        watch.ended(result, lambda: (coef, intercept))
    except KeyboardInterrupt:
        result.reason = StopReason.INTERRUPTED
    if result.reason is StopReason.INTERRUPTED:
        interrupted.set()
    path = None if recorder is None else recorder.models
    return Run(plan, result, updates, np.array(coef), intercept, path)
