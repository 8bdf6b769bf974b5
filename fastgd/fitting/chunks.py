"""One epoch over a chunk of rows: the engine of `partial_fit`."""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgd.fitting.build import make_solver
from fastgd.fitting.divergence import DIVERGED
from fastgd.fitting.history import History
from fastgd.fitting.overtaken import is_overtaken
from fastgd.fitting.plan import Plan, Settings, make_plan
from fastgd.fitting.result import DivergenceError
from fastgd.fitting.resumed_state import resume_or_start
from fastgd.fitting.runs import target_objectives, threads_of_targets
from fastgd.objective.kernels import shifted_sums, vector_losses
from fastgd.objective.null_model import falls_for_ever, null_model
from fastgd.objective.vector_map import NO_TABLE, samples_of
from fastgd.rules.base import Rule
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.journal import Journal
from fastgd.solvers.stochastic.scheduled import Stochastic, StochasticMemory


@dataclass
class TargetEpoch:
    """One target's part of a `partial_fit`.

    Attributes
    ----------
    plan : Plan
    state : State
    coef : ndarray, (d,), or (d, K) for a vector loss, or None
        None where `model_of` makes it of the state once someone asks: of a million columns that
        takes as long as a call.
    intercept : float, or ndarray, (K,)
    objective : float
        F of the chunk after its epoch.
    """

    plan: object
    state: object
    coef: np.ndarray | None
    intercept: object
    objective: float


def model_of(state, columns=None):
    """Coefficients, (d,) or (d, K), and intercept that a state stands for whose epoch left no
    coefficients; of some columns, where no other thread moves the next state, those of these.
    """
    memory = state.memory
    of_all = columns is None
    coef, intercept = memory.known_answer(state) if of_all else memory.answer_in(state, columns)
    if coef.ndim == 2:
        return coef, intercept[0] if len(intercept) else np.zeros(coef.shape[1])
    return coef, float(intercept[0]) if len(intercept) else 0.0


def advance_targets(task, samples, seeds, starts, states, X):
    """One epoch of each target over a chunk of rows (`partial_fit`); parameters as for
    `fit_targets`, and the matrix.

    Returns
    -------
    list of TargetEpoch
    """
    task.n_models = len(samples)
    objective_of = target_objectives(task, samples)
    parts = [None] * len(samples)

    def work(first, last):
        for k in range(first, last):
            parts[k] = _advance_one(task, objective_of(k), seeds[k], starts[k], states[k], X)

    with one_blas_thread():
        map_ranges(work, len(samples), threads_of_targets(task))
    return parts


def _advance_one(task, objective, seed, start, state, X):
    stream = _stream(task, objective, start, None if state is None else state.run.stream)
    plan = stream.plan
    solver = make_solver(plan, stream.rule, task.settings, objective, seed, streaming=True)
    earlier, copied = state, None if state is None else _copied(state, task.in_place)
    state = resume_or_start(
        solver,
        plan,
        objective,
        None if start is None else lambda: _own_model(objective.rows, *start()),
        copied,
        seed,
        lambda: _null_intercept_of_chunk(objective),
        other_rows=True,
    )
    state.run.stream = stream
    solver.begin_chunk(state)
    if state is copied and task.keep < 1.0:
        _forget(solver, state, task.keep, X)
    before = earlier.point if state is copied else state.point.copy()
    solver.advance(state)
    model = _model_on_chunk(solver, state, X)
    value, what = _value_of_chunk(objective, model, state)
    if what and earlier is not None and state is copied:
        earlier.take_back()
    if what and not (solver.traits.chooses_steps and solver.retreat(state, before)):
        raise DivergenceError(
            f"{what} in epoch {state.iteration} of partial_fit (rate {state.rate:.3g}): lower "
            "eta0, scale X, for example with StandardScaler, or leave the step to "
            "learning_rate='auto'.",
            History().arrays(),
        )
    if what:
        model = _model_on_chunk(solver, state, X)
        value = _value_of_chunk(objective, model, state)[0]
    coef = None if model.of_known else model.coef
    # Of K predictions estimators make a table in another order, which is a copy.
    if coef is not None and coef.ndim == 1 and np.may_share_memory(coef, state.point):
        coef = coef.copy()
    if task.in_place and isinstance(state.memory, StochasticMemory):
        state.memory.journal = None  # that of the earlier state takes an error back
    return TargetEpoch(plan, state, coef, model.intercept, value)


def _own_model(rows, coef, intercept):
    """Coefficients and the intercept that goes with what the rows hand out."""
    return coef, rows.own_intercept(coef, intercept)


class ModelOnChunk(NamedTuple):
    """A model as far as a chunk of rows asks for it.

    Attributes
    ----------
    coef : ndarray
        The coefficients, or those alone that may be others than 0.
    of_known : bool
        Whether it is these.
    intercept : float, or ndarray, (K,)
    products : ndarray, (n_samples,) or (n_samples, K)
        X @ coefficients.
    """

    coef: np.ndarray
    of_known: bool
    intercept: object
    products: np.ndarray


@np.errstate(all="ignore")  # coefficients that exploded are told of by the value
def _model_on_chunk(solver, state, X):
    """The answer of a state after its epoch."""
    F, memory = solver.objective, state.memory
    if _few(solver) is None or memory.known is None:
        coef, intercept = F.model(solver.answer(state))
        return ModelOnChunk(coef, False, intercept, X @ coef)
    coef, intercept = _split(F, memory.answer_in(state, memory.known))
    return ModelOnChunk(coef, True, intercept, _few_products(solver, state, memory.answer_in)[0])


def _few(solver):
    """The columns that the rows of a chunk touch, and rows of these, where a solver takes those
    alone; else None.
    """
    return solver.few if isinstance(solver, Stochastic) else None


def _few_products(solver, state, model_in):
    """X @ coefficients and intercept, of columns that are few, `model_in` a state."""
    chosen, rows = solver.few
    coef, intercept = _split(solver.objective, model_in(state, chosen))
    return rows.matrix() @ coef, intercept


def _split(objective, model):
    """Coefficients and intercept in the shapes of the loss, of tables of these."""
    coef, intercept = (one.reshape(-1, objective.n_predictions) for one in model)
    return objective.outputs.split(coef, intercept)


@np.errstate(all="ignore")
def _forget(solver, state, keep, X):
    """Let what was learnt of earlier chunks count `keep`, or next to nothing where this chunk
    shows that the data have drifted.
    """
    solver.fade(state, keep)
    F = solver.objective
    v = state.point
    memory = state.memory
    if _few(solver) is not None:
        models = [_few_products(solver, state, m) for m in (memory.answer_in, memory.iterate_in)]
    elif (average := solver.answer(state)) is v:
        return
    else:
        models = [(X @ coef, intercept) for coef, intercept in map(F.model, (average, v))]
    if is_overtaken(F, *models):
        solver.renew(state)


class Stream(NamedTuple):
    """How chunks are taken: by the same plan as long as the settings are the same object.

    Attributes
    ----------
    settings : Settings
    plan : Plan
    rule : Rule or None
    fresh : bool
        Whether chunks are all that the model comes from.
    """

    settings: Settings
    plan: Plan
    rule: Rule | None
    fresh: bool


def _stream(task, objective, start, stream):
    """The stream so far where it goes on as it is, else one with a plan made for this chunk."""
    settings = task.settings
    if stream is not None and stream.settings is settings:
        return stream
    fresh = start is None if stream is None else stream.fresh
    plan, rule = make_plan(settings, objective, True, fresh, task.n_models)
    return Stream(settings, plan, rule, fresh)


# Arrays that solvers move in place where a journal takes it back.
SHARED = ("point", "iterate_sum", "slots", "touches", "known")


def _copied(state, in_place=False):
    """A state that can be moved while this one stays: a deep copy, at a fifth of the time of
    `copy.deepcopy`.

    With `in_place`, for a solver that keeps a journal, the two share the longest arrays, and what
    is moved in them is noted for both.
    """
    in_place = in_place and isinstance(state.memory, StochasticMemory)
    shared = SHARED if in_place else ("point",)
    if in_place:
        state.take_back()  # where a second interrupt came before that was done
        state.memory.journal = Journal()
    made = copy.copy(state)
    made.memory = copy.copy(state.memory)
    made.run = copy.copy(state.run)
    for named in (vars(made), vars(made.memory)):
        for key, one in named.items():
            if key in shared or isinstance(one, Journal):
                pass  # without a journal no solver moves the point in place
            elif isinstance(one, np.ndarray):
                named[key] = one.copy()
            elif key not in ("memory", "run") and not isinstance(one, int | float | tuple):
                named[key] = copy.deepcopy(one)
    return made


def _null_intercept_of_chunk(objective):
    """Best intercept alone, 0 where the chunk holds one class only, or zeros of counts: other
    chunks hold others.
    """
    targets = objective.samples.active_targets()
    if objective.loss.classification and (targets == targets[0]).all():
        return 0.0
    if objective.vector and np.unique(targets).size < objective.n_predictions:
        return np.zeros(objective.n_predictions)
    if falls_for_ever(objective.loss, objective.samples):
        return 0.0
    return null_model(objective)[0]


def _value_of_chunk(objective, model, state):
    """F of the chunk after its epoch, and what is wrong with it in words, or "": at a fraction
    of a pass.
    """
    coef, intercept = model.coef, model.intercept
    n_active, run = objective.n_active, state.run
    with np.errstate(all="ignore"):
        penalty = objective.term.value(coef.reshape(-1))
        # Squares that add up to a number say it too; else a sum takes a third of the time of
        # looking at each.
        squared = objective.elastic and objective.l2 > 0.0 and np.isfinite(penalty)
        known = np.sum(intercept) if squared else coef.sum() + np.sum(intercept)
        if not np.isfinite(known):
            return np.inf, "the coefficients became infinite"
        mean = _sum_of_losses(objective, model.products, intercept) / n_active
        value = mean + penalty
        # Of an earlier chunk: this one's need not be computed. The perceptron's loss has the unit
        # of |x|^2 (`divergence.exploded`).
        if mean <= DIVERGED * run.reference or (objective.loss.online and mean < np.inf):
            return value, ""
        zeros = np.zeros((1, *coef.shape[1:]))
        reference = _sum_of_losses(objective, zeros, 0.0 * intercept) / n_active
        reference = abs(reference) or 1.0
    if np.isfinite(mean) and mean <= DIVERGED * reference:
        run.reference = reference
        return value, ""
    return value, f"the mean loss reached {mean:.3g} (with zero coefficients it is {reference:.3g})"


def _sum_of_losses(objective, predictions, intercept):
    """Sum of weight * loss at predictions without intercept and offsets; one number, or (1, K),
    stands for all rows.
    """
    samples, loss = objective.samples, objective.loss
    if not objective.vector:
        return shifted_sums(samples, loss, predictions + samples.offsets, intercept)[0]
    predictions = np.zeros((samples.size(), objective.n_predictions)) + predictions
    data = samples_of(samples, slice(None))
    return vector_losses(loss, *data, intercept, predictions, False, False, NO_TABLE, NO_TABLE)
