"""The working set for K predictions: its models against slow twins, and where its runs end."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier
from fastgd.fitting.loop import Loop
from fastgd.losses.each_target import EachTarget
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import SquaredError
from fastgd.objective.objective import Objective
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.vector_column_model import VectorColumnModel
from fastgd.solvers.l1.vector_joint_model import VectorJointModel
from fastgd.solvers.l1.vector_matrix_model import VectorMatrixModel, _some_rows, blocks_at
from fastgd.solvers.l1.vector_working_set import MovedColumns, VectorRowValues, VectorWorkingSet

RNG_SEED = 5


def text(n=80, d=400, k=3):
    """Rows that hold a few of many columns, and classes that depend on some."""
    rng = np.random.default_rng(RNG_SEED)
    X = sp.random_array((n, d), density=0.03, random_state=rng, format="csr")
    scores = X @ (6.0 * rng.normal(size=(d, k))) + rng.gumbel(size=(n, k))
    return X, np.argmax(scores, axis=1)


def small(loss=None, penalty="l1", n=40, d=6, alpha=0.02, storage=np.asarray, **options):
    rng = np.random.default_rng(RNG_SEED)
    X = rng.normal(size=(n, d))
    loss = loss or Multinomial(3)
    y = rng.integers(0, 3, n) if isinstance(loss, Multinomial) else X @ rng.normal(size=(d, 3))
    weights = rng.uniform(0.0, 2.0, n)
    options |= {"penalty": penalty, "alpha": alpha, "sample_weight": weights}
    return Objective(loss, storage(X), y, **options)


def solved(F, solver=None, tol=1e-8, max_iter=500):
    F.know_null_model()
    made = solver(F) if solver else VectorWorkingSet(F)
    return Loop(made, [], max_iter=max_iter, tol=tol).run(made.start(F.start()))


def rows_at(F, v):
    part = MovedColumns(F)
    rows = VectorRowValues.at(part.vector_map, part.products(v), F.split(v)[1])
    return part, rows, part.gradient(rows, v)


def off(F, matrix, v, gradient, step):
    """The violation at the end of a step in the quadratic with this matrix."""
    n = F.n_features * F.n_predictions
    derivatives, there = gradient + matrix @ step, v + step
    found = F.term.violation(there[:n], derivatives[:n])
    return max(found.max(), np.abs(derivatives[n:]).max(initial=0.0))


@pytest.mark.parametrize("loss", [Multinomial(3), EachTarget(SquaredError())])
def test_the_root_completes_the_curvature_to_a_diagonal(loss):
    z = np.random.default_rng(0).normal(size=(4, 3))
    for row, root in zip(z, loss.curvature_root(z), strict=True):
        H, out = np.empty((3, 3)), np.empty(3)
        target = np.zeros(3)
        for k in range(3):
            loss.curvature_product(row, target, np.eye(3)[k], out)
            H[k] = out
        whole = H + np.outer(root, root)
        np.testing.assert_allclose(whole, np.diag(np.diag(whole)), atol=1e-15)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", [Multinomial(3), EachTarget(SquaredError())])
def test_the_model_on_columns_is_the_second_order_model(loss, penalty):
    F = small(loss, penalty)
    v = 0.1 * np.random.default_rng(1).normal(size=F.size)
    part, rows, gradient = rows_at(F, v)
    every = np.arange(F.n_features * F.n_predictions)
    model = VectorColumnModel(F, ColumnSubset(F, F.rows), rows, v, every)
    rng = np.random.default_rng(2)
    step = sum_of_steps(model, rng)
    matrix = F.curvature_matrix(v)
    assert off(F, matrix, v, gradient, step) < 1e-8
    np.testing.assert_allclose(
        part.vector_map.rmatvec(model.derivatives).ravel() + F.l2 * (v + step)[: every.size],
        (gradient + matrix @ step)[: every.size],
        atol=1e-10,
    )


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", [Multinomial(3), EachTarget(SquaredError())])
def test_the_joint_model_is_the_second_order_model(loss, penalty, fit_intercept, storage):
    F = small(loss, penalty, storage=storage, fit_intercept=fit_intercept)
    v = 0.1 * np.random.default_rng(1).normal(size=F.size)
    _, rows, gradient = rows_at(F, v)
    chosen = np.array([0, 1, 5, 6, 10, 16])
    model = VectorJointModel(F, rows, v, gradient, chosen)
    places = np.append(chosen, np.arange(18, F.size))
    matrix, shifts = F.curvature_matrix(v)[np.ix_(places, places)], np.zeros(places.size)
    shifts[chosen.size :] = 1.0
    # Along a shift of all intercepts it may have curvature: nothing moves there.
    along = model.matrix - matrix
    np.testing.assert_allclose(along, along[-1, -1] * np.outer(shifts, shifts), atol=1e-14)
    step = model.step(1e-12)
    assert not np.delete(step, places).any()
    derivatives, n = gradient[places] + matrix @ step[places], chosen.size
    assert F.term.violation((v + step)[chosen], derivatives[:n]).max() < 1e-10
    assert np.abs(derivatives[n:]).max(initial=0.0) < 1e-10


def test_few_coefficients_of_several_classes_take_newton_steps():
    """With a matrix for each class 75 steps had come to rest at 8e-8."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(15, 10)), rng.integers(0, 3, 15)
    model = GDClassifier(solver="newton", penalty="l1", tol=1e-9).fit(X, y)
    assert model.converged_
    assert model.bound_kind_ == "proof"
    assert model.n_iter_ <= 30


def sum_of_steps(model, rng):
    """One model is left off after some epochs, and goes on where it was."""
    step = model.step(0.0, rng)
    for _ in range(8):
        step = step + model.step(0.0, rng)
    return step


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_model_by_matrices_knows_past_steps(fit_intercept):
    F = small(fit_intercept=fit_intercept)
    rng = np.random.default_rng(1)
    v = 0.1 * rng.normal(size=F.size)
    gradient = F.smooth_and_gradient(v)[1]
    matrix = F.curvature_matrix(v)
    pairs = [(s, matrix @ s) for s in rng.normal(size=(3, F.size))]
    blocks = blocks_at(F, v, [np.arange(F.n_features)] * 3)
    model = VectorMatrixModel(F, blocks, v, gradient, pairs)
    B = bfgs_matrix(F, model, pairs)
    s, y = pairs[-1]
    np.testing.assert_allclose(B @ s, y, rtol=1e-9, atol=1e-12)
    step = model.step(1e-12)
    assert off(F, B, v, gradient, step) < 1e-9


def bfgs_matrix(F, model, pairs):
    """P of the model, and the formula of each pair."""
    B = np.zeros((F.size, F.size))
    for k, matrix in enumerate(model.matrices):
        own = np.arange(k, F.size, 3)
        B[np.ix_(own, own)] = matrix
    for s, y in pairs:
        image = B @ s
        B += np.outer(y, y) / (s @ y) - np.outer(image, image) / (s @ image)
    return B


def test_blocks_are_the_curvature_of_each_prediction():
    F = small(penalty="l1")
    v = 0.1 * np.random.default_rng(1).normal(size=F.size)
    blocks = blocks_at(F, v, [np.array([0, 2]), np.array([1]), np.empty(0, np.int64)])
    matrix = F.curvature_matrix(v)
    for k, (own, found) in enumerate(zip(blocks.columns, blocks.matrices, strict=True)):
        places = np.append(own, F.n_features).astype(int) * 3 + k
        np.testing.assert_allclose(found, matrix[np.ix_(places, places)], rtol=1e-8)
    assert blocks.hold([np.array([2]), np.array([1]), np.empty(0, np.int64)])
    assert not blocks.hold([np.array([2]), np.array([3]), np.empty(0, np.int64)])


def test_blocks_of_rows_of_next_to_no_weight_are_of_all_rows(monkeypatch):
    """Their curvature was divided by 1 where they weigh less."""
    monkeypatch.setattr("fastgd.solvers.l1.vector_matrix_model.MIN_ROWS", 64)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((800, 4)), rng.integers(0, 3, 800)
    weights = np.ones(800)
    for first, stop in _some_rows(800, 64):
        weights[first:stop] = 1e-9
    F = Objective(Multinomial(3), X, y, sample_weight=weights, penalty="l1", alpha=0.01)
    matrix = F.curvature_matrix(F.start())
    for k, found in enumerate(blocks_at(F, F.start(), [np.arange(4)] * 3).matrices):
        np.testing.assert_allclose(found, matrix[k::3, k::3], rtol=1e-8)


@pytest.mark.parametrize(
    ("storage", "penalty"), [("csr", "l1"), ("csr", "elasticnet"), ("dense", "l1")]
)
def test_many_columns_end_at_a_proved_optimum(storage, penalty):
    """On gathered columns, by columns and by matrices."""
    X, y = text()
    X = X if storage == "csr" else X.toarray()
    F = Objective(Multinomial(3), X, y, penalty=penalty, alpha=0.006)
    found = solved(F, tol=1e-6)
    assert found.suboptimality <= 1e-6
    assert F.passes < 60.0


def test_a_set_of_columns_is_taken_up_with_its_passes():
    X, y = text()
    F = Objective(Multinomial(3), X, y, penalty="l1", alpha=0.03)
    whole = VectorWorkingSet(F)
    state = whole.start(F.start())
    begun = F.snapshot()
    whole.advance(state)
    assert state.memory.working_set is not None
    kept, beside, known = copy.deepcopy((state, whole.workspace(state), F.snapshot()))
    whole.advance(state)
    G = Objective(Multinomial(3), X, y, penalty="l1", alpha=0.03)
    other = VectorWorkingSet(G)
    G.restore(begun)
    other.restore(kept, beside)
    G.restore(known)
    other.advance(kept)
    np.testing.assert_array_equal(kept.point, state.point)
    assert G.passes == F.passes


def test_targets_that_share_nothing_are_as_by_themselves():
    loss = EachTarget(SquaredError())
    F = small(loss, alpha=0.3)
    point = solved(F, tol=1e-10).point.reshape(-1, 3)
    rng = np.random.default_rng(RNG_SEED)
    X = rng.normal(size=(40, 6))
    Y, weights = X @ rng.normal(size=(6, 3)), rng.uniform(0.0, 2.0, 40)
    for k in range(3):
        own = Objective("squared_error", X, Y[:, k], penalty="l1", alpha=0.3, sample_weight=weights)
        own.know_null_model()
        alone = Loop(Accelerated(own), [], max_iter=2000, tol=1e-10)
        found = alone.run(alone.solver.start(own.start()))
        np.testing.assert_allclose(point[:, k], found.point, atol=1e-4)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_where_all_coefficients_are_0_intercepts_move(storage):
    """No column was worth a look, and a part without columns was refused."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), rng.integers(0, 3, 60)
    settings = {"penalty": "l1", "alpha": 10.0, "tol": 1e-8}
    model = GDClassifier(solver="newton", **settings)
    model.fit(storage(X), y, intercept_init=[1.0, 0.0, -1.0], coef_init=np.zeros((3, 3)))
    shares = np.bincount(y) / 60
    assert not model.coef_.any()
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], shares, rtol=1e-4)
