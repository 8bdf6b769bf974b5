"""From checked data and parameters to results: one run for each target, targets on threads."""

import threading
from dataclasses import dataclass

import numpy as np
import threadpoolctl

from fastgd.blocks import map_ranges
from fastgd.certificate import provable
from fastgd.descent import Descent
from fastgd.objective import Objective
from fastgd.plan import make_plan, make_solver
from fastgd.samples import WeightedSamples
from fastgd.stopping import Extrapolated, NoMistakes, Plateau, TimeLimit, Validation

_lock = threading.Lock()
_controllers: list = []


def one_blas_thread():
    """Context in which BLAS runs on one thread: its bits depend on how many it has, and the blocks have threads of their own."""
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
    """One target's part of a fit: its plan, its result and the unknowns split into coefficients and intercept."""

    plan: object
    result: object
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
        Where to start; None: zeros, or the best constant model where steps are automatic.
    states : list of State or None
        Runs to continue.

    Returns
    -------
    list of Run
    """
    inner = task.n_threads if len(samples) == 1 else 1
    objectives = [
        Objective.of(task.loss, task.rows, one, task.penalty, task.alpha, task.fit_intercept, inner) for one in samples
    ]
    shared = isinstance(samples[0], WeightedSamples) and all(one.weights is samples[0].weights for one in samples)
    if shared and len(samples) > 1:
        moments = objectives[0].moments()
        for objective in objectives[1:]:
            objective.take_moments(moments)
    runs = [None] * len(samples)

    def work(first, last):
        for k in range(first, last):
            runs[k] = _fit_one(task, objectives[k], seeds[k], starts[k], states[k], k)

    with one_blas_thread():
        map_ranges(work, len(samples), task.n_threads if len(samples) > 1 else 1)
    return runs


def _fit_one(task, objective, seed, start, state, k):
    settings = task.settings
    plan, rule = make_plan(settings, objective)
    solver = make_solver(plan, rule, settings, objective, seed)
    score = None if task.score is None else lambda v: task.score(objective, v, k)
    descent = Descent(
        solver,
        _rules(task, plan, solver),
        max_iter=task.max_iter,
        tol=settings.tol,
        score=score,
        on_check=task.on_check,
    )
    if state is None or not _continues(state, plan, objective):
        state = solver.start(_first_point(objective, solver, start, descent.constant))
        state.memory["plan"] = (plan.solver, plan.batch_size, plan.learning_rate)
    solver.resume(state)
    result = descent.run(state)
    coef, intercept = objective.split(result.point)
    return Run(plan, result, np.array(coef), intercept)


def advance(task, samples, seed, start, state):
    """One epoch of one target over a chunk of rows (`partial_fit`): the new state and the answer's coefficients and intercept."""
    objective = Objective.of(
        task.loss, task.rows, samples, task.penalty, task.alpha, task.fit_intercept, task.n_threads
    )
    plan, rule = make_plan(task.settings, objective, streaming=True)
    with one_blas_thread():
        solver = make_solver(plan, rule, task.settings, objective, seed)
        if state is None:
            state = solver.start(_first_point(objective, solver, start, None))
            state.memory["plan"] = (plan.solver, plan.batch_size, plan.learning_rate)
        solver.resume(state)
        solver.turn(state)
        coef, intercept = objective.split(solver.answer(state))
    return plan, state, np.array(coef), intercept


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
    elif solver.adapts and objective.fit_intercept and constant is not None:
        point[-1] = constant
    return point.ravel()


def _rules(task, plan, solver):
    settings, tol = task.settings, task.settings.tol or None
    rules = [] if task.max_time is None else [TimeLimit(task.max_time)]
    if task.score is not None:
        rules.append(Validation(tol or 0.0, settings.n_iter_no_change))
    elif tol is not None and task.loss.name == "perceptron" and settings.learning_rate == "auto":
        rules.append(NoMistakes())
    elif tol is not None:
        if not (solver.exact and provable(solver.objective)):
            rules.append(Extrapolated(tol))
        if not solver.adapts and plan.learning_rate != "adaptive":
            rules.append(Plateau(tol, settings.n_iter_no_change))
    return [*rules, *task.stop_rules]
