"""Which earlier state a run resumes, and where it begins else."""

import hashlib

import numpy as np

from fastgd.data.digest import hash_of
from fastgd.objective.null_model import null_point
from fastgd.rules.base import Rule
from fastgd.runtime.component import Component
from fastgd.solvers.base import RunRecord
from fastgd.solvers.rule_memory import ScheduledMemory


def resume_or_start(
    solver, plan, objective, start, state, seed, null_intercept, problem=None, other_rows=False
):
    """State to iteration: the earlier one where the run resumes it, else a new one.

    With `other_rows` they are those of another chunk, over which some memories go on; not those of
    a run whose model is an earlier one.
    """
    signature = _signature(solver, plan, objective)
    same = (
        state is not None
        and state.run.signature == signature
        and state.point.size == objective.size
    )
    same = same and not (other_rows and state.run.model_is_earlier)
    if same and None not in (problem, state.run.problem):
        same = problem == state.run.problem
    if same and objective.allowed(state.point) is state.point:
        known = state.value, state.gradient
        solver.resume(state)
        # What a solver of all rows remembers (values, derivatives, momentum) holds for one
        # objective only; value and gradient at the same point tell whether this is the one, to the
        # last bit. The value alone did not: with all coefficients 0 it is the same whatever X is.
        outlives = other_rows and solver.traits.outlives_rows
        if not solver.traits.free_answers or outlives or _are_of(known, state):
            state.run.problem = problem or state.run.problem
            return state
    begun = solver.start(_first_point(objective, solver, start, null_intercept))
    begun.run = RunRecord(signature, problem, seed)
    if same and other_rows:
        # Steps that rest on the values of one chunk begin anew with each; updates count on.
        begun.iteration, begun.updates = state.iteration, state.updates
    elif state is not None and other_rows and _counts_on(solver, state):
        begun.iteration, begun.updates = state.iteration, state.updates
        begun.memory.count_on(state.updates, state.memory)
    return begun


def _counts_on(solver, state):
    """Whether the rates of a stream whose settings were changed go on falling, as SGDClassifier's
    do.

    A rule that looks at the number of updates begins anew with its memory: of a memory of zeros
    Adam's first steps would be three times as long.
    """
    scheduled = issubclass(solver.Memory, ScheduledMemory) and not solver.traits.chooses_steps
    counts = scheduled and type(solver.rule).begin is Rule.begin
    return counts and isinstance(state.memory, ScheduledMemory)


def _are_of(known, state):
    """Whether value and gradient, as far as they were known, are those of a state."""
    value, gradient = known
    same = gradient is None or state.gradient is None or np.array_equal(gradient, state.gradient)
    return value == state.value and same


def _signature(solver, plan, objective):
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
        if solver.traits.free_answers
        else None
    )
    return (
        plan.solver,
        plan.batch_size,
        plan.learning_rate,
        plan.form,
        solver.memory_tag,
        _named(F.loss),
        _arrays(F.loss),
        penalty,
        strength,
        F.rows.mark,
    )


def problem_of(solver, objective, rows):
    """What tells the data of an objective from others, `rows` being a hash of X; where explicit
    rates lead somewhere between the iterates so far, its penalty too.

    What solvers looked at themselves did not tell all: sums of a one-hot matrix are those of any
    other, and rows in another order have the same F at every point.
    """
    F = objective
    data = rows, hash_of([F.samples.targets, F.samples.weights, F.samples.offsets])
    return data if solver.traits.chooses_steps else (*data, F.alpha, F.l1, F.l2, _arrays(F.penalty))


def _named(component):
    """Class and numbers of a component, and of those it is made of, without its arrays."""
    values = [one for name, one in vars(component).items() if not name.startswith("_")]
    numbers = tuple(one for one in values if isinstance(one, int | float))
    parts = tuple(_named(one) for one in values if isinstance(one, Component))
    return type(component).__module__, type(component).__qualname__, *numbers, *parts


def _arrays(component):
    """Bytes that tell the arrays, texts and tuples of a component, and of those it is made of, from
    others.
    """
    told = hashlib.blake2b(digest_size=16)
    for name, value in sorted(vars(component).items()):
        if not name.startswith("_") and isinstance(value, np.ndarray | Component | str | tuple):
            told.update(name.encode() + b" " + _bytes_of(value))
    return told.digest()


def _bytes_of(value):
    """Bytes of a value of a component; of a tuple those of its entries, whose repr shortens long
    arrays.
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} ".encode() + value.tobytes()
    if isinstance(value, Component):
        return _bytes_of(_named(value)) + _arrays(value)
    if isinstance(value, tuple):
        return f"({len(value)} ".encode() + b"".join(map(_bytes_of, value))
    # NumPy's floats are floats, with a repr of their own.
    return f"{float(value) if isinstance(value, float) else value!r} ".encode()


def _first_point(objective, solver, start, null_intercept):
    start = start() if callable(start) else start
    if isinstance(start, np.ndarray):
        point = start
    elif start is not None:
        point = unknowns(objective, *start)
    elif solver.traits.chooses_steps and objective.fit_intercept:
        point = null_point(objective, null_intercept())
    else:
        point = objective.start()
    return objective.allowed(point)


def unknowns(objective, coef, intercept):
    """Coefficients and, where there is one, an intercept as one vector."""
    table = objective.start().reshape(-1, objective.n_predictions)
    table[: objective.n_features] = np.reshape(coef, (objective.n_features, -1))
    if objective.fit_intercept:
        table[-1] = intercept
    return table.ravel()
