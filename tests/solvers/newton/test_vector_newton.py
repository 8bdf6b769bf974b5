"""Newton's method for K predictions, by one matrix and by one for each of them."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

from fastgd.fitting.loop import Loop
from fastgd.fitting.plan import Settings, make_plan
from fastgd.losses.multinomial import Multinomial
from fastgd.objective.objective import Objective
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.growing_batch import Growing, first_sample, growth_pays
from fastgd.solvers.newton.vector_blocks import BlockNewton, _some_ranges, add_grams, blocks_at
from fastgd.solvers.newton.vector_cholesky import VectorNewton
from support.components import ToyMultiSquared, ToySoftmax
from support.problems import Quartic, iterations

SOLVERS = pytest.mark.parametrize("solver", [VectorNewton, BlockNewton])
TOL = 1e-8


def problem(loss=None, storage=np.asarray, n=60, n_jobs=1, **more):
    loss = Multinomial(3) if loss is None else loss
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * (rng.random((n, 4)) < 0.8) * [1.0, 10.0, 0.1, 1.0]
    Z = X / [1.0, 10.0, 0.1, 1.0] @ rng.standard_normal((4, 3)) + rng.gumbel(size=(n, 3))
    y = Z if isinstance(loss, ToyMultiSquared) else Z.argmax(axis=1).astype(float)
    weights = rng.integers(0, 3, n).astype(float)
    given = {"sample_weight": weights, "offset": 0.1 * Z[:, 0], "alpha": 0.01, **more}
    F = Objective(loss, storage(X), y, n_jobs=n_jobs, **given)
    F.know_null_model()
    return F


def run(solver, F, tol=TOL, max_iter=100):
    made = solver(F, tol)
    return Loop(made, [], max_iter=max_iter, tol=tol).run(made.start(F.start()))


@SOLVERS
@pytest.mark.parametrize(
    "more", [{}, {"fit_intercept": False}, {"alpha": 0.0}, {"penalty": Quartic()}], ids=str
)
@pytest.mark.parametrize(
    "loss", [Multinomial(3), ToyMultiSquared(), ToySoftmax()], ids=lambda loss: loss.name
)
def test_ends_where_lbfgs_does(solver, loss, more):
    F = problem(loss, **more)
    found = run(solver, F, max_iter=25)
    other = Loop(LBFGS(F), [], max_iter=400, tol=1e-9)
    reference = other.run(LBFGS(F).start(F.start())).objective
    assert found.objective <= reference * (1.0 + 1e-7)
    assert np.abs(F.gradient(found.point)).max() < 1e-3


@SOLVERS
def test_storages_and_threads_agree(solver, shared_work):
    dense = iterations(solver(problem()), 4).point
    for storage in (sp.csr_array, np.asfortranarray):
        other = iterations(solver(problem(storage=storage)), 4).point
        np.testing.assert_allclose(other, dense, rtol=1e-7, atol=1e-9)
    one, two = (iterations(solver(problem(n=200, n_jobs=k)), 4).point for k in (1, 2))
    np.testing.assert_array_equal(two, one)
    assert shared_work


@SOLVERS
def test_resuming_is_running_at_once(solver):
    whole = iterations(solver(problem()), 6)
    part = iterations(solver(problem()), 3)
    for kept in (pickle.loads(pickle.dumps(part)), copy.deepcopy(part)):
        other = solver(problem())
        other.resume(kept)
        state = iterations(other, 3, kept)
        np.testing.assert_array_equal(state.point, whole.point)


@SOLVERS
def test_steps_are_orthogonal_to_common_shifts(solver):
    point = iterations(solver(problem()), 5).point.reshape(-1, 3)
    np.testing.assert_allclose(point.sum(axis=1), 0.0, atol=1e-9)


@SOLVERS
def test_a_growing_batch_ends_where_all_rows_do(solver):
    F = problem(n=3000)
    growing = Growing(F, lambda part: solver(part, 1e-6), seed=1, first=400)
    state = growing.start(F.start())
    assert not growing.progress(state).on_all_rows
    result = Loop(growing, [], max_iter=200, tol=1e-6).run(state)
    assert result.objective == pytest.approx(run(solver, F).objective, rel=1e-6)


def test_a_matrix_that_finds_no_step_is_followed_by_a_new_one(monkeypatch):
    """The run was done where that matrix was one step old."""
    F = problem()
    solver = VectorNewton(F, 1e-8)
    state = iterations(solver, 1)
    assert state.memory.n_steps == 1
    monkeypatch.setattr(solver, "_refresh_pays", lambda state: False)
    monkeypatch.setattr(solver, "_search", lambda *arguments: (0.0, None))
    solver.advance(state)
    assert not state.done
    monkeypatch.undo()
    value = state.value
    solver.advance(state)
    assert state.value < value


def test_blocks_of_a_sample_end_with_it():
    """They were handed on, to be dropped before the first step."""
    growing = Growing(problem(n=3000), BlockNewton, seed=1, first=400)
    state = iterations(growing, 1)
    while state.memory.stage == 0:
        growing.advance(state)
    assert state.memory.inner.memory.blocks is None


def test_nothing_left_and_steps_that_blocks_know_nothing_of_are_no_division_by_0():
    F = problem()
    solver = BlockNewton(F, 1e-6)
    state = iterations(solver, 3)
    memory, g = state.memory, state.gradient
    memory.gap_estimate = 0.0
    assert solver._nearly_there(state)
    memory.pairs = [(np.full(F.size, 1e200), np.full(F.size, 1e-200))]
    plain = solver._precondition(memory.blocks, g)
    np.testing.assert_array_equal(solver._scaled(memory)(g), plain)


def test_blocks_are_the_curvature_of_each_prediction():
    F = problem()
    v = np.cos(np.arange(F.size))
    matrix, p = F.curvature_matrix(v), np.sin(np.arange(5))
    for k, factor in enumerate(blocks_at(F, v)):
        block = matrix[k::3, k::3]
        np.testing.assert_allclose(block @ factor.solve(p), p, rtol=1e-6, atol=1e-8)


@pytest.mark.jit
@pytest.mark.parametrize("share", [0.0, 1e-12])
def test_blocks_of_rows_of_next_to_no_weight_are_of_all_rows(share):
    """Where the rows that were looked at had none, matrices were 0 / 0, and the run ended."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6000, 3)), rng.integers(0, 3, 6000)
    weights = np.full(6000, share)
    looked_at = _some_ranges(Objective(Multinomial(3), X, y, alpha=0.1))[0]
    weights[1::2] = 1.0
    for first, stop in looked_at:
        weights[first:stop] = share
    F = Objective(Multinomial(3), X, y, sample_weight=weights, alpha=0.1)
    matrix, p = F.curvature_matrix(F.start()), np.sin(np.arange(4))
    for k, factor in enumerate(blocks_at(F, F.start())):
        solved = factor.solve(p)
        np.testing.assert_allclose(matrix[k::3, k::3] @ solved, p, rtol=1e-6, atol=1e-8)
    result = run(BlockNewton, F, 1e-6)
    assert result.suboptimality <= 1e-6


def test_matrices_are_let_go_of_once_there_are_factors():
    """Six matrices and six factors at once had taken 12 of them and more."""
    rng = np.random.default_rng(0)
    n_columns, k = 250, 6
    F = Objective(Multinomial(k), rng.standard_normal((300, n_columns)), np.arange(300) % k)
    blocks_at(F, F.start())
    tracemalloc.start()
    blocks_at(F, F.start())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9.0 * 8 * (n_columns + 1) ** 2 + 8 * 300 * 4 * n_columns


def test_which_plan_there_is():
    assert make_plan(Settings(), problem())[0].solver == "newton"
    wide = Objective(Multinomial(3), np.ones((9, 3000)), np.arange(9) % 3, alpha=0.1)
    assert "fewer columns than 3,000" in BlockNewton.refusal(wide)
    assert "at most 1,500 unknowns" in VectorNewton.refusal(wide)
    assert "past gradients" in str(make_plan(Settings(), wide)[0])
    one = Objective("log_loss", np.ones((4, 1)), [1.0, -1.0, 1.0, 1.0])
    for solver in (VectorNewton, BlockNewton):
        assert "needs a loss of several predictions, got LogLoss()" in solver.refusal(one)
        assert "L1" in solver.refusal(problem(penalty="l1"))


@pytest.mark.jit
def test_steps_with_a_matrix_for_each_class_take_few_passes():
    """38 by conjugate gradients on the Newton system."""
    X, y = load_digits(return_X_y=True)
    F = Objective(Multinomial(10), X / 16.0, y, alpha=1.0 / len(y))
    F.know_null_model()
    found = run(BlockNewton, F, tol=1e-6)
    assert found.suboptimality <= 1e-6
    assert F.passes <= 25.0


def test_blocks_of_few_columns_are_applied_at_once(monkeypatch):
    F = problem()
    solver = BlockNewton(F)
    blocks, gradient = blocks_at(F, F.start()), F.gradient(F.start())
    at_once = solver._precondition(blocks, gradient)
    monkeypatch.setattr("fastgd.solvers.newton.vector_blocks.NARROW", 0)
    np.testing.assert_allclose(at_once, solver._precondition(blocks, gradient), rtol=1e-10)


def test_one_gram_does_where_rows_weigh_predictions_alike():
    rng = np.random.default_rng(0)
    table, rows = rng.standard_normal((20, 4)), rng.random((20, 1))
    for weights in (rows * [0.5, 1.0, 0.0], rows * rng.random((20, 3)), np.zeros((20, 3))):
        matrices = [np.ones((4, 4)) for _ in range(3)]
        add_grams(matrices, weights, table)
        for matrix, own in zip(matrices, weights.T, strict=True):
            np.testing.assert_allclose(matrix, 1.0 + table.T @ (own[:, None] * table), atol=1e-12)


def test_blocks_are_not_formed_for_the_last_steps():
    """Of 100 classes, 15,000 x 50, they cost as much as 4 passes, when 2 were left."""
    F = problem()
    solver = BlockNewton(F, 1e-4)
    state = iterations(solver, 1)
    memory = state.memory
    memory.n_steps, memory.first_gap_estimate = 9, 1.0
    near, far = 1.5e-6 * F.value(state.point), 0.5
    memory.gap_estimate = near
    assert solver._nearly_there(state)
    memory.gap_estimate = far
    assert not solver._nearly_there(state)
    memory.gap_estimate = 2.0  # steps from these blocks do not get on
    assert not solver._nearly_there(state)


def test_a_first_sample_tells_all_classes_apart():
    """With 5 rows a column, 100 classes, 15,000 x 50 took 1.3 times as long from samples as from
    all rows, blobs 1.5 times; at 20 rows for each coefficient both take as long.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8000, 40))
    few, many = (Objective(Multinomial(k), X, rng.integers(0, k, 8000)) for k in (3, 30))
    assert first_sample(few) == 1000
    assert first_sample(many) == 5 * 40 * 29
    assert growth_pays(few)
    assert not growth_pays(many)
