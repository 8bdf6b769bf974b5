"""Passes over the rows against sums written in NumPy, and against differences of each other."""

import re

import llvmlite.binding
import numba
import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.linalg.precision import EPS
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.each_target import EachTarget
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective import kernels
from fastgd.objective.gram import ALL, add_gram
from fastgd.objective.kernels import NO_ARRAY
from fastgd.objective.objective import Objective
from fastgd.runtime.jit import STRICT
from support.components import ToyMultiSquared, ToySoftmax
from support.twins import (
    column_moments,
    curvature_sum,
    gradient_sum,
    loss_sum,
    members,
    samples,
    sparse_problem,
    stored,
    vector_gradient_sum,
    vector_loss_sum,
    with_jit,
)

SMOOTH = [loss for loss in members(Loss) if loss.smooth]
LOSSES = pytest.mark.parametrize(
    "loss", with_jit([LogLoss(), Huber(0.7)], members(Loss)), ids=lambda loss: loss.name
)
STORAGE = pytest.mark.parametrize("storage", ["dense", "csr"])


def blocks(*cuts):
    return np.array(cuts, dtype=np.int64)


def whole(cuts):
    """Blocks as ranges of rows, one for each block."""
    return np.stack([cuts[:-1], cuts[1:]], axis=1), np.arange(cuts.size)


def loss_and_gradient(rows, labels, loss, point, cuts, chunk=4, curvatures=NO_ARRAY):
    totals, gradients = np.zeros(cuts.size - 1), np.zeros((cuts.size - 1, point.size))
    where = *whole(cuts), 0, totals.size, chunk
    kernels.loss_and_gradient(
        rows, labels, loss, point[:-1], point[-1], *where, totals, gradients, curvatures, 0.0
    )
    return totals, gradients


def curvature_product(rows, labels, loss, point, direction, cuts):
    products = np.zeros((cuts.size - 1, point.size))
    kernels.curvature_product(
        rows,
        labels,
        loss,
        point[:-1],
        point[-1],
        direction[:-1],
        direction[-1],
        cuts,
        0,
        cuts.size - 1,
        products,
    )
    return products.sum(axis=0)


def curvature_matrix(rows, labels, loss, point, cuts):
    matrices, curvatures = (
        np.zeros((cuts.size - 1, point.size, point.size)),
        np.zeros(labels.size()),
    )
    loss_and_gradient(rows, labels, loss, point, cuts, curvatures=curvatures)
    kernels.gram(rows, ALL, curvatures, *whole(cuts), 0, cuts.size - 1, matrices, NO_ARRAY)
    lower = np.tril(matrices.sum(axis=0))
    return lower + np.tril(lower, -1).T


@pytest.mark.boundscheck
@STORAGE
@LOSSES
def test_value_and_gradient_are_the_sums(loss, storage):
    X, y, weights, offsets = sparse_problem(loss)
    point = np.random.default_rng(1).standard_normal(7)
    totals, gradients = loss_and_gradient(
        stored(X, storage), samples(y, weights, offsets), loss, point, blocks(0, 23)
    )
    assert totals[0] == pytest.approx(loss_sum(X, y, weights, offsets, loss, point), rel=1e-13)
    expected = gradient_sum(X, y, weights, offsets, loss, point)
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("loss", with_jit([LogLoss()], SMOOTH), ids=lambda loss: loss.name)
def test_gradient_is_the_difference_of_the_value(loss):
    X, y, weights, offsets = sparse_problem(loss)
    point, step = 0.3 * np.random.default_rng(2).standard_normal(7), 1e-6
    data = stored(X, "csr"), samples(y, weights, offsets), loss

    def value(k, sign):
        moved = point.copy()
        moved[k] += sign * step
        return loss_and_gradient(*data, moved, blocks(0, 23))[0][0]

    differences = [(value(k, 1) - value(k, -1)) / (2 * step) for k in range(7)]
    gradient = loss_and_gradient(*data, point, blocks(0, 23))[1][0]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


@STORAGE
def test_any_cut_into_blocks_and_chunks_gives_the_same_sum(storage):
    loss = LogLoss()
    X, y, weights, offsets = sparse_problem(loss)
    point = np.random.default_rng(3).standard_normal(7)
    data = stored(X, storage), samples(y, weights, offsets), loss, point
    total, gradient = loss_and_gradient(*data, blocks(0, 23), chunk=23)
    for cuts in (blocks(0, 23), blocks(0, 1, 2, 23), blocks(0, 11, 11, 23), blocks(*range(24))):
        for chunk in (1, 2, 5, 23, 100):
            totals, gradients = loss_and_gradient(*data, cuts, chunk)
            assert totals.sum() == pytest.approx(total[0], rel=1e-14)
            np.testing.assert_allclose(gradients.sum(axis=0), gradient[0], rtol=1e-12, atol=1e-14)


def test_a_range_of_blocks_leaves_the_others_alone():
    loss = LogLoss()
    X, y, _, _ = sparse_problem(loss)
    rows, labels, point, cuts = stored(X, "csr"), samples(y), np.ones(7), blocks(0, 5, 10, 23)
    expected = loss_and_gradient(rows, labels, loss, point, cuts)
    totals, gradients = np.zeros(3), np.zeros((3, 7))
    for first, last in ((2, 3), (0, 2)):  # as two threads would
        where = *whole(cuts), first, last, 4
        kernels.loss_and_gradient(
            rows, labels, loss, point[:-1], point[-1], *where, totals, gradients, NO_ARRAY, 0.0
        )
    np.testing.assert_array_equal(totals, expected[0])
    np.testing.assert_array_equal(gradients, expected[1])


@pytest.mark.boundscheck
@STORAGE
def test_a_sample_of_the_rows_is_those_rows_alone(storage):
    """Value, gradient and each row's curvature, and the curvature matrix made of these."""
    loss = LogLoss()
    X, y, weights, offsets = sparse_problem(loss)
    point = np.random.default_rng(5).standard_normal(7)
    ranges, cuts = np.array([[0, 3], [5, 6], [9, 23]]), np.array([0, 2, 3])
    chosen = np.r_[0:3, 5:6, 9:23]
    rows, labels = stored(X, storage), samples(y, weights, offsets)
    totals, gradients, curvatures = np.zeros(2), np.zeros((2, 7)), np.zeros(23)
    where = ranges, cuts, 0, 2, 4
    kernels.loss_and_gradient(
        rows, labels, loss, point[:-1], point[-1], *where, totals, gradients, curvatures, 0.0
    )
    few = X[chosen], y[chosen], weights[chosen], offsets[chosen], loss, point
    assert totals.sum() == pytest.approx(loss_sum(*few), rel=1e-13)
    np.testing.assert_allclose(gradients.sum(axis=0), gradient_sum(*few), rtol=1e-12, atol=1e-13)
    matrices = np.zeros((2, 7, 7))
    add_gram(rows, ALL, curvatures, ranges, cuts, 0, 2, matrices)
    lower = np.tril(matrices.sum(axis=0))
    np.testing.assert_allclose(
        lower + np.tril(lower, -1).T, curvature_sum(*few), rtol=1e-12, atol=1e-13
    )


@STORAGE
def test_weight_k_is_the_row_k_times(storage):
    loss = LogLoss()
    X, y, _, _ = sparse_problem(loss)
    times = np.arange(23) % 4
    point = np.random.default_rng(4).standard_normal(7)
    weighted = loss_and_gradient(
        stored(X, storage), samples(y, times.astype(float)), loss, point, blocks(0, 23)
    )
    again = np.repeat(np.arange(23), times)
    repeated = loss_and_gradient(
        stored(X[again], storage), samples(y[again]), loss, point, blocks(0, again.size)
    )
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-13)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-12, atol=1e-13)


@pytest.mark.boundscheck
@STORAGE
@LOSSES
def test_curvature_matrix_and_product_agree_with_each_other_and_with_the_sum(loss, storage):
    X, y, weights, offsets = sparse_problem(loss)
    rng = np.random.default_rng(5)
    point, direction, cuts = rng.standard_normal(7), rng.standard_normal(7), blocks(0, 9, 23)
    data = stored(X, storage), samples(y, weights, offsets), loss, point
    true, of_steps = (
        curvature_sum(X, y, weights, offsets, loss, point, steps) for steps in (False, True)
    )
    matrix = curvature_matrix(*data, cuts)
    np.testing.assert_allclose(matrix, of_steps, rtol=1e-11, atol=1e-12)
    product = curvature_product(*data, direction, cuts)
    np.testing.assert_allclose(product, true @ direction, rtol=1e-11, atol=1e-12)


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    "lie", [np.asfortranarray, lambda X: np.column_stack([X, X])[:, :6]], ids=["fortran", "wider"]
)
def test_passes_over_an_array_as_it_lies(lie):
    loss, cuts = LogLoss(), blocks(0, 9, 23)
    X, y, weights, offsets = sparse_problem(loss)
    point, found = np.random.default_rng(5).standard_normal(7), []
    for rows in (as_rows(X), as_rows(lie(X), in_place=True)):
        curvatures, moments, norms = np.zeros(23), np.zeros((2, 4, 6)), np.zeros((2, 3))
        data = rows, samples(y, weights, offsets), loss, point
        kernels.column_moments(*data[:2], *whole(cuts), 0, 2, moments, norms)
        sums = loss_and_gradient(*data, cuts, curvatures=curvatures)
        product = curvature_product(*data, point[::-1].copy(), cuts)
        found.append((*sums, curvatures, curvature_matrix(*data, cuts), product, moments, norms))
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-14, atol=1e-14)


def test_curvature_product_is_the_difference_of_gradients():
    loss = LogLoss()
    X, y, weights, offsets = sparse_problem(loss)
    rng = np.random.default_rng(6)
    point, direction, step = rng.standard_normal(7), rng.standard_normal(7), 1e-5
    data = stored(X, "csr"), samples(y, weights, offsets), loss
    after, before = (
        loss_and_gradient(*data, point + sign * step * direction, blocks(0, 23))[1][0]
        for sign in (1, -1)
    )
    product = curvature_product(*data, point, direction, blocks(0, 23))
    np.testing.assert_allclose(product, (after - before) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    "loss", [ToySoftmax(), ToyMultiSquared()], ids=["softmax", "multi_squared"]
)
@pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))
def test_vector_passes(loss, storage):
    X, _, weights, offsets = sparse_problem(LogLoss())
    rng = np.random.default_rng(7)
    Y = (
        rng.integers(0, 3, (23, 1)).astype(float)
        if isinstance(loss, ToySoftmax)
        else rng.standard_normal((23, 3))
    )
    point, direction = rng.standard_normal((7, 3)), rng.standard_normal((7, 3))
    data, cuts = (stored(X, storage), samples(Y, weights, offsets), loss), blocks(0, 4, 23)

    totals, gradients = np.zeros(2), np.zeros((2, 7, 3))
    where = *whole(cuts), 0, 2
    kernels.vector_loss_and_gradient(*data, point[:-1], point[-1], *where, totals, gradients)
    assert totals.sum() == pytest.approx(
        vector_loss_sum(X, Y, weights, offsets, loss, point), rel=1e-13
    )
    gradient = vector_gradient_sum(X, Y, weights, offsets, loss, point)
    np.testing.assert_allclose(gradients.sum(axis=0), gradient, rtol=1e-12, atol=1e-13)

    images, moves = np.zeros((2, 1, 23, 3))
    kernels.vector_product(data[0], False, point[:-1], *where, images)
    kernels.vector_product(data[0], False, direction[:-1], *where, moves)
    np.testing.assert_allclose(images[0], X @ point[:-1], rtol=1e-13, atol=1e-14)
    changes = moves[0] + direction[-1]
    rows = loss, Y, weights, offsets, point[-1], images[0]
    kernels.vector_losses(*rows, True, True, changes, changes)
    products = np.zeros((2, 7, 3))
    kernels.vector_product(data[0], True, changes, *where, products[:, :-1])
    products[0, -1] = changes.sum(axis=0)
    curvatures = np.empty((23, 3, 3))
    kernels.vector_curvatures(*rows, curvatures)
    steps = moves[0] + direction[-1]
    by_matrix = np.einsum("ikc,ik->ic", curvatures, steps)
    np.testing.assert_allclose(by_matrix, changes, rtol=1e-6, atol=1e-9)
    after, before = (
        vector_gradient_sum(X, Y, weights, offsets, loss, point + sign * 1e-5 * direction)
        for sign in (1, -1)
    )
    np.testing.assert_allclose(products.sum(axis=0), (after - before) / 2e-5, rtol=1e-6, atol=1e-7)


@pytest.mark.boundscheck
@STORAGE
@pytest.mark.parametrize("weighted", [True, False])
def test_column_moments_are_numpys(storage, weighted):
    X, y, weights, _ = sparse_problem(LogLoss())
    X[1] = 50.0  # its weight is 0: it must not count
    weights = weights if weighted else np.ones(23)
    rows, cuts = stored(X, storage), blocks(0, 2, 23)
    moments, norms = np.zeros((2, 4, 6)), np.zeros((2, 3))
    kernels.column_moments(rows, samples(y, weights), *whole(cuts), 0, 2, moments, norms)
    expected_moments, expected_norms = column_moments(X, weights)
    sums = moments.sum(axis=0)
    np.testing.assert_allclose(sums[[0, 1, 3]], expected_moments[[0, 1, 3]], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(moments[:, 2].max(axis=0), expected_moments[2])
    np.testing.assert_allclose(
        [norms[:, 0].max(), norms[:, 1].max(), norms[:, 2].sum()], expected_norms, rtol=1e-13
    )


@pytest.mark.jit
def test_compiled_passes_are_the_python_they_were_written_in():
    loss, cuts = LogLoss(), blocks(0, 9, 23)
    X, y, weights, offsets = sparse_problem(loss)
    point = np.random.default_rng(8).standard_normal(7)
    for storage in ("dense", "csr"):
        data = stored(X, storage), samples(y, weights, offsets), loss, point[:-1], point[-1]
        rows, where = data[0], (*whole(cuts), 0, 2)
        compiled, plain = (
            [np.zeros(2), np.zeros((2, 7)), np.zeros(23), np.zeros((2, 7, 7))] for _ in range(2)
        )
        kernels.loss_and_gradient(*data, *where, 4, *compiled[:3], 1.0)
        kernels.loss_and_gradient.py_func(*data, *where, 4, *plain[:3], 1.0)
        kernels.gram(rows, ALL, plain[2], *where, compiled[3], NO_ARRAY)
        kernels.gram.py_func(rows, ALL, plain[2], *where, plain[3], NO_ARRAY)
        for a, b in zip(compiled, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@pytest.mark.boundscheck
@STORAGE
@pytest.mark.parametrize("chosen", [[1, 3, 4], [0, 1, 2, 3, 4, 5]])
def test_curvature_of_some_columns_is_a_part_of_the_whole(storage, chosen):
    X, _, weights, _ = sparse_problem(LogLoss())
    slots, size = np.full(6, -1, dtype=np.int32), len(chosen)
    slots[chosen] = np.arange(size)
    ranges, cuts = np.array([[0, 9], [9, 23]]), np.array([0, 1, 2])
    matrices = np.zeros((2, size + 1, size + 1))
    add_gram(stored(X, storage), slots, weights, ranges, cuts, 0, 2, matrices)
    columns = np.column_stack([X[:, chosen], np.ones(23)])
    np.testing.assert_allclose(
        np.tril(matrices.sum(axis=0)), np.tril(columns.T @ (weights[:, None] * columns)), rtol=1e-12
    )


@pytest.mark.jit
# The loop with curvatures has all of the other one.
@pytest.mark.parametrize("curved", [pytest.param(False, marks=pytest.mark.long), True])
@pytest.mark.parametrize(
    "loss", [one for one in SMOOTH if one.self_concordance is not None], ids=lambda loss: loss.name
)
def test_losses_of_rows_are_evaluated_several_at_a_time(loss, curved):
    """One by one a row of Gamma took 36 ns for 7, a binomial one 75 for 16: what a loss calls had
    been left a call where it was long.
    """
    evaluate = numba.njit(error_model="numpy", fastmath=set(STRICT))(kernels.evaluate.py_func)
    x = np.full(512, 0.5)
    x.flags.writeable = False
    evaluate(loss, np.zeros(512), x, *np.zeros((3, 512)), curved, 0.0)
    (code,) = evaluate.inspect_llvm().values()
    called = re.findall(r"call [^\n]*?@(_ZN6fastgd[^(]*)\(", code)
    assert [name for name in called if "evaluate" not in name] == []
    # Without the masks of AVX-512 a loss of two formulas, such as the binomial one, stays scalar.
    masks = llvmlite.binding.get_host_cpu_features().get("avx512f", False)
    assert "llvm.loop.isvectorized" in code or not masks


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "multi_target"])
def test_rounding_of_equal_terms_does_not_add_up(loss):
    """It goes one way: 3e5 rows alike had a sum that was 4e-12 of itself too low."""
    n, several = 20_000, loss == "multi_target"
    X, y = sp.csr_array((n, 1)), np.full((n, 2) if several else n, 0.7)
    component = EachTarget(SquaredError()) if several else loss
    F = Objective(component, X, y, alpha=0.0, fit_intercept=False, n_jobs=1)
    row = y[0] if several else y[:1]
    one = Objective(component, X[:1], row[None] if several else row, alpha=0.0, n_jobs=1)
    found = F.smooth_and_gradient(np.zeros(F.size))[0]
    expected = one.smooth_and_gradient(np.zeros(one.size))[0]
    assert found == pytest.approx(expected, rel=4.0 * EPS, abs=0.0)
