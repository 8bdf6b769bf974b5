"""The objective against NumPy, against differences, and in the hands of SciPy's optimisers."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import from_chunks
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.deviances import InverseGaussian
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.objective import Objective
from fastgd.penalties.base import Penalty
from fastgd.penalties.separable import ElasticNet
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.twins import (
    curvature_sum,
    gradient_sum,
    loss_sum,
    members,
    sparse_problem,
    vector_gradient_sum,
    vector_loss_sum,
    with_jit,
)

LOSSES = pytest.mark.parametrize(
    "loss", with_jit([LogLoss(), Huber(0.7)], members(Loss)), ids=lambda loss: loss.name
)
# Others are no multiple of the sum of `value`, and have tests of their terms.
SINGLE = [penalty for penalty in members(Penalty) if penalty.single]
PENALTIES = pytest.mark.parametrize("penalty", SINGLE, ids=lambda penalty: penalty.name)
STORAGE = pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
INTERCEPT = pytest.mark.parametrize(
    "fit_intercept", [True, False], ids=["intercept", "no intercept"]
)


class Quartic(Penalty):
    """A user's smooth penalty: w^4 / 4 for even columns, nothing for odd ones."""

    smooth = True

    def value(self, coefficient, j):
        return 0.25 * coefficient**4 * (1 - j % 2)

    def derivative(self, coefficient, j):
        return coefficient**3 * (1 - j % 2)


class Cosh(Loss):
    """A user's loss with nothing but value and derivative: log(cosh(r))."""

    infimum = 0.0

    def value(self, prediction, target):
        distance = abs(prediction - target)
        return distance + np.log1p(np.exp(-2.0 * distance)) - np.log(2.0)

    def derivative(self, prediction, target):
        return np.tanh(prediction - target)


def whole(v, fit_intercept):
    return v if fit_intercept else np.append(v, 0.0)


def differences(function, v, step=1e-6):
    return np.array(
        [(function(v + e) - function(v - e)) / (2 * step) for e in step * np.eye(v.size)]
    )


@INTERCEPT
@STORAGE
@PENALTIES
@LOSSES
def test_value_is_the_formula(loss, penalty, storage, fit_intercept):
    X, y, weights, offsets = sparse_problem(loss)
    F = Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        offset=offsets,
        penalty=penalty,
        alpha=0.3,
        fit_intercept=fit_intercept,
    )
    v = np.random.default_rng(1).standard_normal(F.size)
    expected = loss_sum(X, y, weights, offsets, loss, whole(v, fit_intercept)) / weights.sum()
    expected += 0.3 * sum(penalty.value(w, j) for j, w in enumerate(v[:6]))
    assert F.value(v) == pytest.approx(expected, rel=1e-13)
    if penalty.smooth:
        value, gradient = F.value_and_gradient(v)
        assert value == pytest.approx(expected, rel=1e-13)
        derivative = (
            gradient_sum(X, y, weights, offsets, loss, whole(v, fit_intercept))[: F.size]
            / weights.sum()
        )
        derivative[:6] += [0.3 * penalty.derivative(w, j) for j, w in enumerate(v[:6])]
        np.testing.assert_allclose(gradient, derivative, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(gradient, F.gradient(v))


@INTERCEPT
@STORAGE
@pytest.mark.parametrize(
    "loss", with_jit([LogLoss()], [*members(Loss), Cosh()]), ids=lambda loss: loss.name
)
def test_curvature_is_that_of_numpy(loss, storage, fit_intercept):
    X, y, weights, offsets = sparse_problem(loss)
    F = Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        offset=offsets,
        alpha=0.3,
        fit_intercept=fit_intercept,
    )
    v, p = np.random.default_rng(1).standard_normal((2, F.size))
    data = X, y, weights, offsets, loss, whole(v, fit_intercept)
    true, of_steps = (
        curvature_sum(*data, steps)[: F.size, : F.size] / weights.sum() for steps in (False, True)
    )
    for matrix in (true, of_steps):
        matrix[range(6), range(6)] += 0.3
    np.testing.assert_allclose(F.hessian_product(v, p), true @ p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(F.curvature_matrix(v), of_steps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "loss", [Cosh(), *with_jit([], [LogLoss(), SquaredError()])], ids=lambda loss: loss.name
)
def test_derivatives_are_differences_for_a_users_components(loss):
    X, y, weights, offsets = sparse_problem(loss)
    F = Objective(loss, X, y, sample_weight=weights, offset=offsets, penalty=Quartic(), alpha=0.3)
    v, p = np.random.default_rng(2).standard_normal((2, F.size))
    np.testing.assert_allclose(F.gradient(v), differences(F.value, v), rtol=1e-6, atol=1e-8)
    product = differences(lambda moved: F.gradient(moved) @ p, v)
    np.testing.assert_allclose(F.hessian_product(v, p), product, rtol=1e-6, atol=1e-7)


@pytest.mark.plain
@INTERCEPT
@STORAGE
@pytest.mark.parametrize("loss", [ToySoftmax(), ToyMultiSquared()], ids=lambda loss: loss.name)
def test_several_predictions_are_a_matrix_in_c_order(loss, storage, fit_intercept):
    rng = np.random.default_rng(3)
    X, _, weights, offsets = sparse_problem(SquaredError())
    Y = (
        rng.integers(0, 3, (23, 1)).astype(float)
        if isinstance(loss, ToySoftmax)
        else rng.standard_normal((23, 3))
    )
    F = Objective(
        loss,
        storage(X),
        Y,
        sample_weight=weights,
        offset=offsets,
        alpha=0.3,
        fit_intercept=fit_intercept,
    )
    assert F.size == (6 + fit_intercept) * 3
    table = rng.standard_normal((6 + fit_intercept, 3))
    coef, intercept = F.split(table.ravel())
    np.testing.assert_array_equal(coef, table[:6])
    np.testing.assert_array_equal(intercept, table[6] if fit_intercept else np.zeros(3))
    point = np.vstack([coef, intercept])
    value, gradient = F.value_and_gradient(table.ravel())
    expected = (
        vector_loss_sum(X, Y, weights, offsets, loss, point) / weights.sum()
        + 0.15 * (coef**2).sum()
    )
    assert value == pytest.approx(expected, rel=1e-13)
    derivative = vector_gradient_sum(X, Y, weights, offsets, loss, point) / weights.sum()
    derivative[:6] += 0.3 * coef
    np.testing.assert_allclose(
        gradient, derivative[: 6 + fit_intercept].ravel(), rtol=1e-12, atol=1e-13
    )
    p = rng.standard_normal(F.size)
    product = differences(lambda moved: F.gradient(moved) @ p, table.ravel())
    np.testing.assert_allclose(F.hessian_product(table.ravel(), p), product, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet", ToyWeightedL1(np.arange(6.0))], ids=str)
def test_a_non_smooth_penalty_has_a_value_and_no_gradient(penalty):
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, penalty=penalty, alpha=0.1)
    v = np.arange(7.0)
    smooth, gradient = F.smooth_and_gradient(v)
    assert F.value(v) == pytest.approx(smooth + F.rest_value(v), rel=1e-14)
    assert np.isfinite(gradient).all()
    for function in (F.gradient, F.value_and_gradient):
        with pytest.raises(ValueError, match=r"has no gradient at 0; use value\(\)"):
            function(v)
    assert Objective("log_loss", X, y, penalty=penalty, alpha=0.0).gradient(v).shape == (7,)


@pytest.mark.parametrize(
    "penalty", [ElasticNet(0.4), ToyWeightedL1(np.arange(6.0)), Quartic()], ids=lambda p: p.name
)
def test_proximal_steps_move_coefficients_one_by_one(penalty):
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, penalty=penalty, alpha=0.2)
    rng = np.random.default_rng(4)
    v, rates = rng.standard_normal(7), rng.uniform(0.1, 2.0, 6)
    moved = F.proximal(v.copy(), rates)
    if penalty.smooth:
        expected = v[:6]
    elif isinstance(penalty, ElasticNet):  # its L2 part belongs to the smooth part of F
        expected = np.sign(v[:6]) * np.maximum(np.abs(v[:6]) - 0.2 * 0.4 * rates, 0.0)
    else:
        expected = [penalty.prox(v[j], j, 0.2 * rates[j]) for j in range(6)]
    np.testing.assert_allclose(moved, [*expected, v[6]], rtol=1e-15)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize(
    "method", ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "Newton-CG", "trust-ncg"]
)
def test_scipys_optimisers_run_on_it(method, loss):
    X, y, weights, offsets = sparse_problem(LogLoss())
    F = Objective(loss, X, y, sample_weight=weights, offset=offsets, alpha=0.05)
    options = {"hessp": F.hessian_product} if method in ("Newton-CG", "trust-ncg") else {}
    tol = 1e-12 if method == "SLSQP" else 1e-9
    found = scipy.optimize.minimize(
        F.value_and_gradient, F.start(), jac=True, method=method, tol=tol, **options
    )
    assert np.abs(F.gradient(found.x)).max() < 1e-5
    np.testing.assert_allclose(found.x, _newton(F), atol=1e-4)


def _newton(F):
    v = F.start()
    for _ in range(30):
        v = v - np.linalg.solve(F.curvature_matrix(v), F.gradient(v))
    return v


def test_no_array_is_handed_out_twice():
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, alpha=0.1)
    v = np.ones(7)
    arrays = [
        F.gradient(v),
        F.gradient(v),
        F.value_and_gradient(v)[1],
        F.hessian_product(v, v),
        F.start(),
        F.start(),
    ]
    for i, one in enumerate(arrays):
        assert one.flags.writeable
        assert one.flags.c_contiguous
        assert not np.shares_memory(one, v)
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    before = F.gradient(v)
    arrays[0][:] = np.nan
    np.testing.assert_array_equal(F.gradient(v), before)
    np.testing.assert_array_equal(v, np.ones(7))


def test_each_call_is_one_pass():
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, alpha=0.1)
    v = F.start()
    assert F.passes == 0
    for k, function in enumerate(
        [F.value, F.gradient, F.value_and_gradient, lambda v: F.hessian_product(v, v)], 1
    ):
        function(v)
        assert F.passes == k
    F.moments()
    F.moments()
    assert F.passes == 5
    F.curvature_matrix(v)
    assert F.passes == 7  # one for the rows' curvatures


@STORAGE
def test_threads_change_no_bit(storage):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((1500, 300)) * (rng.random((1500, 300)) < 0.7)
    y, v = rng.choice([-1.0, 1.0], 1500), 0.1 * rng.standard_normal(301)
    if with_jit(False, True):
        X, y = X[:40], y[:40]
    results = []
    for n_threads in (1, 2, 3, 8):
        F = Objective("log_loss", storage(X), y, alpha=0.1, n_jobs=n_threads)
        value, gradient = F.value_and_gradient(v)
        moments, norms = F.moments()
        results.append(np.r_[value, gradient, F.hessian_product(v, v), moments.ravel(), norms])
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_float32_rows_are_summed_in_float64():
    X, y, weights, offsets = sparse_problem(LogLoss())
    v = np.random.default_rng(6).standard_normal(7)
    kept = {"sample_weight": weights, "offset": offsets, "alpha": 0.1}
    for storage in (np.asarray, sp.csr_array):
        single = Objective("log_loss", storage(X.astype(np.float32)), y, **kept)
        double = Objective("log_loss", storage(X.astype(np.float32).astype(np.float64)), y, **kept)
        assert single.gradient(v).dtype == np.float64
        np.testing.assert_allclose(single.gradient(v), double.gradient(v), rtol=1e-12, atol=1e-14)
        assert single.value(v) == pytest.approx(double.value(v), rel=1e-13)


def test_the_vector_may_be_a_list_float32_or_a_matrix():
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y, alpha=0.1)
    v = np.arange(7) / 8
    for same in (list(v), v.astype(np.float32), v[:, None], v[::-1][::-1]):
        assert F.value(same) == F.value(v)
        np.testing.assert_array_equal(F.gradient(same), F.gradient(v))
        np.testing.assert_array_equal(F.hessian_product(same, same), F.hessian_product(v, v))


def test_split_takes_the_vector_apart():
    X, y, _, _ = sparse_problem(LogLoss())
    coef, intercept = Objective("log_loss", X, y).split(np.arange(7))
    np.testing.assert_array_equal(np.append(coef, intercept), np.arange(7.0))
    assert isinstance(intercept, float)
    coef, intercept = Objective("log_loss", X, y, fit_intercept=False).split(np.arange(6))
    np.testing.assert_array_equal(coef, np.arange(6.0))
    assert intercept == 0.0


def test_moments_are_those_of_the_rows_that_count():
    X, y, weights, _ = sparse_problem(LogLoss())
    for given in (weights, None):
        F = Objective("log_loss", X, y, sample_weight=given)
        s = np.ones(23) if given is None else given
        moments, norms = F.moments()
        counted, squares = s > 0, (X**2).sum(axis=1)
        np.testing.assert_allclose(moments[0], s @ X / s.sum(), atol=1e-15)
        np.testing.assert_allclose(moments[1], s @ X**2 / s.sum(), atol=1e-15)
        np.testing.assert_array_equal(moments[2], np.abs(X[counted]).max(axis=0))
        np.testing.assert_allclose(moments[3], (X[counted] != 0).mean(axis=0))
        unit = s / s[counted].mean()
        np.testing.assert_allclose(
            norms, [squares[counted].max(), (unit * squares).max(), s @ squares / s.sum()]
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "log_los"}, "did you mean 'log_loss'"),
        ({"loss": 3}, "loss must be a string or a Loss"),
        ({"penalty": "l3"}, "unknown penalty 'l3'"),
        ({"penalty": 3}, "penalty must be a string, None or a Penalty"),
        ({"alpha": -1.0}, "alpha must be a finite number of at least 0, got -1.0"),
        ({"alpha": np.inf}, "alpha must be a finite number"),
        ({"alpha": np.nan}, "alpha must be a finite number"),
        ({"alpha": "1"}, "alpha must be a finite number"),
        ({"l1_ratio": 2.0, "penalty": "elasticnet"}, "l1_ratio"),
        ({"n_jobs": 0}, "n_jobs must be a positive number"),
        ({"n_jobs": 1.5}, "n_jobs must be a positive number"),
        ({"y": np.zeros(23)}, "y must be -1 or 1 for loss=.*, got 0"),
        ({"y": np.ones(22)}, "one entry for each of the 23 rows"),
        ({"sample_weight": -np.ones(23)}, "must not be negative"),
        ({"sample_weight": np.zeros(23)}, "for every row"),
        ({"offset": np.full(23, np.nan)}, "NaN or infinity"),
        ({"X": np.full((23, 6), np.inf)}, "infinity"),
        ({"X": np.ones(23)}, "two-dimensional"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_refused(changed, message):
    X, y, _, _ = sparse_problem(LogLoss())
    arguments = {"loss": "log_loss", "X": X, "y": y, **changed}
    with pytest.raises(ValueError, match=message):
        Objective(arguments.pop("loss"), arguments.pop("X"), arguments.pop("y"), **arguments)


def test_a_vector_of_the_wrong_length_is_refused():
    X, y, _, _ = sparse_problem(LogLoss())
    F = Objective("log_loss", X, y)
    for function in (F.value, F.gradient, F.split, lambda v: F.hessian_product(F.start(), v)):
        with pytest.raises(ValueError, match="must hold 7 numbers"):
            function(np.ones(6))


@pytest.mark.parametrize("storage", ["dense", "csr", "fortran"])
def test_columns_are_nowhere_larger_than_told_with_moments_and_without(storage):
    X = np.random.default_rng(0).standard_normal((30, 4)) * [1.0, 100.0, 1e-3, 0.0]
    y = np.arange(30.0)
    given = {"dense": X, "csr": sp.csr_array(X), "fortran": np.asfortranarray(X)}[storage]
    F = Objective("squared_error", given, y)
    np.testing.assert_allclose(F.largest(), np.linalg.norm(X, axis=0), rtol=1e-13)
    F.moments()
    np.testing.assert_array_equal(F.largest(), np.abs(X).max(axis=0))


@pytest.mark.parametrize("loss", [InverseGaussian(), LogLoss()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_products_for_steps_are_those_of_the_matrix_in_memory_and_from_blocks(loss, fit_intercept):
    """From blocks those of a loss that is not convex were by its second derivative, below 0."""
    rng = np.random.default_rng(0)
    X, offset = rng.standard_normal((9, 2)), rng.standard_normal(9)
    y = np.sign(X[:, 0]) if loss.classification else rng.gamma(1.0, 2.0, 9)
    parts = [(X[own], y[own], None, offset[own]) for own in (slice(5), slice(5, 9))]
    options = {"alpha": 0.1, "fit_intercept": fit_intercept}
    blocks = Objective(loss, from_chunks(lambda: parts), **options)
    whole = Objective(loss, X, y, offset=offset, **options)
    v, p = rng.standard_normal((2, whole.size))
    expected = whole.curvature_matrix(v) @ p
    np.testing.assert_allclose(whole.product_at(v)(p), expected, rtol=1e-12)
    np.testing.assert_allclose(blocks.product_at(v)(p), expected, rtol=1e-12)
