"""What holds for every solver of the registry, on every small problem that it does not refuse; on
wide ones, or rows in blocks, where it is for these alone.
"""

import copy
import functools
import json
import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import from_chunks, solvers
from fastgd.fitting.loop import Loop
from fastgd.fitting.plain_values import Decoder, Encoder
from fastgd.fitting.stored_classes import REGISTERED
from fastgd.losses.base import Loss
from fastgd.losses.each_target import EachTarget
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import SquaredError
from fastgd.objective import vector_map
from fastgd.objective.objective import Objective
from fastgd.rules.base import Rule
from fastgd.solvers.base import SolverOptions
from fastgd.solvers.growing_batch import Growing
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from support.penalties import every_penalty, without_an_example
from support.problems import Quartic, dense_problem
from support.twins import members, with_jit

# Iterations of the runs that are compared, and of those that are to end at the optimum.
SHORT = 5
EARLY = 2
ON_THE_WAY = 3  # later some steps are of rounding
LONG = with_jit(3000, 600)
# One-row steps end on estimates, the others within tol of the optimum.
TOL = 1e-6
REFERENCES: dict = {}
# What an estimate of the distance to the optimum may be short by: five iterations into a central
# path on 450 columns F at the answer, whose small coefficients are set to 0, is 6 times as far.
UNDERSTATED = 10.0
# Whose steps may raise F, or whose memory may drift away from X.
RETREAT = {
    solvers.BlockNewton,
    solvers.SubspaceNewton,
    solvers.VectorSubspaceNewton,
    solvers.VectorWorkingSet,
    solvers.Sdca,
    AutomaticRates,
    solvers.Saga,
    solvers.Svrg,
}
# Whose dual variables of rows are held against those of columns by how many rows there are.
BY_NUMBER = {solvers.CentralPath, solvers.ColumnGeneration, solvers.RowGeneration}


def strided(X):
    return np.repeat(X, 2, axis=1)[:, ::2]


STORAGES = {"dense": np.asarray, "csr": sp.csr_array, "strided": strided}
ROUGH = [one for one in solvers.REGISTRY if one.traits.random or one is AutomaticRates]
# Compiled, a few of them; all in plain Python.
EACH = [loss for loss in members(Loss) if not loss.online]
FEW = [loss for loss in EACH if loss.name in ("log_loss", "squared_error", "hinge")]
SEVERAL = with_jit([Multinomial(3)], [Multinomial(3), EachTarget(SquaredError())])
LOSSES = [*with_jit(FEW, EACH), *SEVERAL]
PENALTIES = with_jit(["l2", "l1", "groups", "mcp"], [*every_penalty(4), "own"])


# Rows and columns.  A solver meets the problems of the first shape of which it takes any.
SHAPES = {"small": (23, 4), "wide": (23, 450), "blocks": (300, 4), "long": (4000, 4)}
ROWS_OF_SEVERAL = 150  # a pass is over several ranges of them for three predictions, too


def problem(loss, penalty, shape="small", storage=np.asarray, repeat=None, n_threads=1, n=None):
    """Some rows have no weight; `repeat` gives weights as repetitions of rows."""
    n, d = n or SHAPES[shape][0], SHAPES[shape][1]
    X, y, weights, offsets = dense_problem(loss, n=n, d=d)
    weights = np.ceil(2.0 * weights)
    if repeat:
        chosen = np.repeat(np.arange(n), weights.astype(int))
        X, y, offsets, weights = X[chosen], y[chosen], offsets[chosen], np.ones(chosen.size)
    penalties = every_penalty(d) | {"own": Quartic()}
    rows = {"X": storage(X), "y": y, "sample_weight": weights, "offset": offsets}
    if shape == "blocks":
        rows = {"X": in_blocks(*rows.values()), "memory": 1e6}
    return Objective(
        loss,
        **rows,
        penalty=penalties[penalty],
        alpha=0.0 if penalty == "none" else 0.05,
        n_jobs=n_threads,
    )


def in_blocks(*arrays):
    """The same rows, 70 at a time."""

    def chunks():
        for first in range(0, arrays[0].shape[0], 70):
            yield tuple(one[first : first + 70] for one in arrays)

    return from_chunks(chunks)


def make(solver, F):
    """A solver with its usual options; one that carries out a rule gets it."""
    F.know_null_model()
    if solver is AutomaticRates:
        return AutomaticRates(F, Rule.named(solver.rule_name)(), 1, seed=3)
    return solver.make(F, SolverOptions(tol=TOL, seed=3, batch=solver.traits.batch_sizes[0]))


def moved(solver, count, state=None):
    state = solver.start(solver.objective.start()) if state is None else state
    for _ in range(count):
        if not state.done:
            solver.advance(state)
    return state


def usual(loss, penalty):
    """Every loss with L2 and a few with every penalty; what is left of the product is long."""
    if penalty == "multi task" and loss not in SEVERAL:
        return False  # an elastic net
    return penalty == "l2" or loss in FEW or loss in SEVERAL


@functools.cache
def one_problem(loss, penalty, shape):
    """To be asked about, not solved: all solvers ask about 800 problems."""
    return problem(loss, penalty, shape)


def problems(solver):
    """Loss, penalty and shape of the problems that a solver does not refuse."""
    for shape in SHAPES:
        found = [
            (loss, penalty, shape)
            for loss in LOSSES
            for penalty in PENALTIES
            # Of more columns than rows without a penalty there is no optimum to be found.
            if not (shape == "wide" and penalty == "none")
            and solver.refusal(one_problem(loss, penalty, shape)) is None
        ]
        if found:
            return found
    return []


CASES = [
    pytest.param(
        solver,
        loss,
        penalty,
        shape,
        id=f"{solver.__name__}-{loss.name}-{penalty}-{shape}",
        marks=() if usual(loss, penalty) else pytest.mark.long,
    )
    for solver in solvers.REGISTRY
    for loss, penalty, shape in problems(solver)
]

# A third of them without the JIT, and half of the fewer compiled ones: what a solver does hardly
# depends on which loss meets which penalty. The same ones for all tests, so that a reference value
# serves two of them, and what is compiled all; storages compile anew.
each = pytest.mark.parametrize(("solver", "loss", "penalty", "shape"), CASES)


def test_every_kind_of_penalty_is_among_the_problems():
    assert without_an_example() == set()
    assert {case.values[2] for case in CASES} == set(PENALTIES)


def test_every_solver_has_a_problem():
    assert {case.values[0] for case in CASES} == set(solvers.REGISTRY)


def through_a_file(solver, state):
    """A state, and what its solver holds beside it, as a checkpoint has them: JSON and arrays."""
    encoder = Encoder(REGISTERED)
    tree = encoder.tree([state, solver.workspace(state), solver.objective.snapshot()])
    tree = json.loads(json.dumps(tree, allow_nan=False))
    return Decoder(REGISTERED, [one.copy() for one in encoder.arrays]).value(tree)


def described(state):
    """All numbers of a state, as words and bytes."""
    encoder = Encoder(REGISTERED)
    tree = encoder.tree(state)
    return tree, [(one.shape, one.tobytes()) for one in encoder.arrays]


@pytest.mark.thinned(plain=5, compiled=2)
@each
def test_resuming_is_running_at_once(solver, loss, penalty, shape):
    """Through a pickle and a copy; and from a file, whose run has the same passes as well."""
    at_once = make(solver, problem(loss, penalty, shape))
    whole = moved(at_once, 2 * SHORT)
    ending, passes = described(whole), at_once.objective.passes  # a look at the point may be one
    in_parts = make(solver, problem(loss, penalty, shape))
    part = in_parts.start(in_parts.objective.start())
    begun = in_parts.objective.snapshot()
    stored = through_a_file(in_parts, moved(in_parts, EARLY, part))
    moved(in_parts, SHORT - EARLY, part)
    for kept in (pickle.loads(pickle.dumps(part)), copy.deepcopy(part)):
        other = make(solver, problem(loss, penalty, shape))
        other.resume(kept)
        state = moved(other, SHORT, kept)
        np.testing.assert_array_equal(state.point, whole.point)
        assert (state.iteration, state.updates) == (whole.iteration, whole.updates)
    state, beside, known = stored
    other = make(solver, problem(loss, penalty, shape))
    other.objective.restore(begun)
    other.restore(state, beside)
    other.objective.restore(known)
    assert described(moved(other, 2 * SHORT - EARLY, state)) == ending
    assert other.objective.passes == passes


@pytest.mark.thinned(plain=5, compiled=8)
@each
def test_storages_agree(solver, loss, penalty, shape):
    points = {
        name: moved(make(solver, problem(loss, penalty, shape, storage)), SHORT).point
        for name, storage in STORAGES.items()
        # For one-row steps fits copy such arrays into C order: no kernel of these reads them.
        if not (name == "strided" and solver in ROUGH)
    }
    scale = 1.0 + np.abs(points["dense"]).max()
    for point in points.values():
        np.testing.assert_allclose(point, points["dense"], rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.plain
@pytest.mark.thinned(plain=8, compiled=1)
@each
def test_weights_are_repetitions_on_the_way(solver, loss, penalty, shape):
    if solver in ROUGH or solver in BY_NUMBER:
        pytest.skip("rows are drawn, or counted")
    weighted, repeated = (
        moved(make(solver, problem(loss, penalty, shape, repeat=repeat)), ON_THE_WAY).point
        for repeat in (False, True)
    )
    scale = 1.0 + np.abs(weighted).max()
    np.testing.assert_allclose(repeated, weighted, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.thinned(plain=5, compiled=4)
@each
def test_threads_agree(solver, loss, penalty, shape, shared_work, monkeypatch):
    monkeypatch.setattr(vector_map, "VALUES", 1)  # blocks of 64 dense rows
    n = ROWS_OF_SEVERAL if loss in SEVERAL else None
    alone, both = (
        moved(make(solver, problem(loss, penalty, shape, n_threads=n_threads, n=n)), SHORT)
        for n_threads in (1, 2)
    )
    assert 1 in shared_work
    assert described(both) == described(alone)


@pytest.mark.thinned(plain=6, compiled=2)
@each
def test_progress_and_answers_tell_the_truth(solver, loss, penalty, shape):
    F = problem(loss, penalty, shape)
    made = make(solver, F)
    state = moved(made, SHORT)
    known = made.progress(state)
    found = made.evaluate(state)
    value = found.smooth_value + F.rest_value(found.point)
    assert value == pytest.approx(F.value(found.point), rel=1e-9, abs=1e-12)
    np.testing.assert_array_equal(found.point, made.answer(state))
    if known.value is not None:
        assert known.value == pytest.approx(value, rel=1e-9, abs=1e-12)
    lowest = reference_value(loss, penalty, shape)
    rounding = 1e-9 * abs(lowest) + 1e-12
    assert known.lower <= lowest + rounding
    assert known.gap_estimate >= 0.0
    assert value - lowest <= UNDERSTATED * known.gap_estimate + rounding
    if found.gradient is not None:
        gradient = F.smooth_and_gradient(found.point)[1]
        np.testing.assert_allclose(found.gradient, gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.thinned(plain=5, compiled=2)
@each
def test_a_retreat_leads_to_the_safe_point(solver, loss, penalty, shape):
    F = problem(loss, penalty, shape)
    made = make(solver, F)
    state = moved(made, 2)
    safe = F.start()
    state.point = np.full(F.size, np.inf)
    assert made.retreat(state, safe) == (solver in RETREAT)
    if solver in RETREAT:
        assert np.isfinite(state.point).all()
        assert np.isfinite(F.value(moved(made, 2, state).point))


@pytest.mark.thinned(plain=5, compiled=2)
@each
def test_steps_of_its_own_end_at_the_optimum(solver, loss, penalty, shape):
    if not loss.smooth and not make(solver, problem(loss, penalty, shape)).traits.proves_itself:
        pytest.skip("averages of one-row steps get there like 1 / iterations")
    ends = []
    for repeat in (False, True):
        made = make(solver, problem(loss, penalty, shape, repeat=repeat))
        result = Loop(made, [], max_iter=LONG, tol=TOL).run(made.start(made.objective.start()))
        ends.append(result.objective)
        reference = reference_value(loss, penalty, shape)
        slack = 1e-5 * max(abs(reference), 1e-4 * abs(made.objective.null_value)) + 1e-9
        # Where F is not convex solvers may come to rest at points that differ.
        rough = solver in ROUGH or not made.objective.convex
        assert result.objective <= reference + (100.0 if rough else 1.0) * slack
    assert ends[0] == pytest.approx(ends[1], rel=1e-3, abs=1e-6)


def reference_value(loss, penalty, shape):
    """The lowest F that solvers find until two of them have proved theirs to 1e-9.

    The others get no nearer to F*, and took most of the time in plain Python; a proof of one alone
    would be its own judge. So would be the only solver that takes a problem: there it runs from
    another start, too, and SciPy looks for less around what it found. Rows in blocks are those of
    arrays, which more solvers take.
    """
    if shape == "blocks":
        shape, n = "small", SHAPES[shape][0]
    else:
        n = None
    key = repr(loss), penalty, shape, n
    if key not in REFERENCES:
        values, proofs = [], 0
        for solver in solvers.REGISTRY:
            F = problem(loss, penalty, shape, n=n)
            if solver not in ROUGH and solver.refusal(F) is None:
                made = make(solver, F)
                run = Loop(made, [], max_iter=LONG, tol=1e-9)
                result = run.run(made.start(F.start()))
                values.append(result.objective)
                proofs += result.bound.kind == "proof" and result.suboptimality <= 1e-9
                if proofs == 2:
                    break
        if len(values) == 1:
            elsewhere = np.random.default_rng(0).standard_normal(F.size)
            other = run.run(made.start(elsewhere))
            simplex = scipy.optimize.minimize(F.value, result.point, method="Nelder-Mead")
            values += [other.objective, simplex.fun]
        assert len(values) >= 2
        REFERENCES[key] = min(values)
    return REFERENCES[key]


@pytest.mark.jit  # for long in plain Python
@pytest.mark.parametrize(
    "solver", [one for one in solvers.REGISTRY if "growing" in one.traits.batch_sizes]
)
def test_a_growing_batch_ends_where_all_rows_do(solver):
    loss = next(one for one in LOSSES if one.name == "log_loss")
    several = Multinomial(3)
    if solver.refusal(problem(loss, "l2")) and not solver.refusal(problem(several, "l2")):
        loss = several
    F = problem(loss, "l2", "long")
    options = SolverOptions(tol=TOL, seed=3, batch="growing")
    growing = Growing(F, lambda part: solver.make(part, options), seed=1, first=500)
    state = growing.start(F.start())
    assert not growing.progress(state).on_all_rows
    result = Loop(growing, [], max_iter=500, tol=TOL).run(state)
    made = make(solver, F)
    whole = Loop(made, [], max_iter=500, tol=TOL).run(made.start(F.start()))
    assert result.objective == pytest.approx(whole.objective, rel=1e-4)
