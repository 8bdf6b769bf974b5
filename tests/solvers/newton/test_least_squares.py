"""Losses of constant curvature: one look at the rows gives value, gradient and curvature; one
step is the answer.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDRegressor
from fastgd.linalg.cholesky import Factor
from fastgd.objective.gram import quadratic
from fastgd.objective.objective import Objective
from fastgd.solvers.newton.least_squares import least_squares_applies
from support.twins import with_jit


def line(n=200, d=5, noise=1.0, scales=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * scales + 0.5
    return X, X @ rng.standard_normal(d) + 2.0 + noise * rng.standard_normal(n)


def exact(X, y, alpha, fit_intercept=True):
    """Lowest F, and where, in extended precision."""
    Z = np.column_stack([X, np.ones(len(X))]) if fit_intercept else np.asarray(X)
    Z, y = Z.astype(np.longdouble), y.astype(np.longdouble)
    H = Z.T @ Z / len(y)
    H[np.arange(X.shape[1]), np.arange(X.shape[1])] += alpha
    v = np.zeros(H.shape[0], np.longdouble)
    for _ in range(6):  # refinement: the double solves, the residual is exact
        v += np.linalg.solve(H.astype(float), (Z.T @ y / len(y) - H @ v).astype(float))
    return value(X, y, v, alpha, fit_intercept), v


def value(X, y, v, alpha, fit_intercept=True):
    d, X = X.shape[1], X.astype(np.longdouble)
    v = np.asarray(v, dtype=np.longdouble)
    residuals = X @ v[:d] + (v[d] if fit_intercept else 0) - y.astype(np.longdouble)
    return residuals @ residuals / (2 * len(y)) + alpha * v[:d] @ v[:d] / 2


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", ["dense", "offset", "weights", *with_jit([], ["csr", "float32"])])
def test_value_gradient_and_curvature_are_their_formulas(kind, fit_intercept):
    X, y = line()
    weights = np.arange(200) % 3 if kind == "weights" else np.ones(200)
    offset = np.linspace(-1, 1, 200) if kind == "offset" else np.zeros(200)
    stored = {"csr": sp.csr_array(X), "float32": X.astype(np.float32)}.get(kind, X)
    F = Objective(
        "squared_error",
        stored,
        y,
        sample_weight=weights,
        offset=offset,
        alpha=0.3,
        fit_intercept=fit_intercept,
    )
    Z, v = (
        np.column_stack([X, np.ones(200)])[:, : F.size],
        np.random.default_rng(1).standard_normal(F.size),
    )
    penalty = 0.3 * (np.arange(F.size) < 5)
    for point in (v, F.start(), np.r_[np.zeros(5), v[5:]]):
        residuals, share = Z @ point + offset - y, weights / weights.sum()
        value, gradient, matrix = quadratic(F, point)
        close = (
            {"rtol": 1e-5, "atol": 1e-5} if kind == "float32" else {"rtol": 1e-12, "atol": 1e-12}
        )
        np.testing.assert_allclose(
            value, share @ residuals**2 / 2 + penalty @ point**2 / 2, **close
        )
        np.testing.assert_allclose(gradient, Z.T @ (share * residuals) + penalty * point, **close)
        np.testing.assert_allclose(matrix, Z.T @ (share[:, None] * Z) + np.diag(penalty), **close)


def test_threads_do_not_change_the_bits():
    X, y = line(6000, 60)
    problems = [Objective("squared_error", X, y, alpha=0.1, n_jobs=n) for n in (1, 2, 5)]
    answers = [quadratic(F, np.ones(61)) for F in problems]
    for one in answers[1:]:
        assert one[0] == answers[0][0]
        np.testing.assert_array_equal(one[1], answers[0][1])
        np.testing.assert_array_equal(one[2], answers[0][2])


def test_a_row_by_itself_has_its_offset():
    F = Objective("squared_error", [[1.0]], [2.0], offset=[5.0])
    value, gradient, _ = quadratic(F, [0.5, 0.25])
    assert value == F.value([0.5, 0.25]) == 0.5 * 3.75**2
    np.testing.assert_array_equal(gradient, [3.75, 3.75])


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_pass_is_enough(fit_intercept):
    X, y = line()
    model = GDRegressor(alpha=1e-3, fit_intercept=fit_intercept).fit(X, y)
    lowest, v = exact(X, y, 1e-3, fit_intercept)
    assert (model.n_iter_, model.t_, list(model.history_["passes"])) == (1, 2.0, [1.0])
    assert (model.bound_kind_, model.suboptimality_ <= 1e-12) == ("proof", True)
    assert model.objective_ == pytest.approx(float(lowest), rel=1e-13)
    np.testing.assert_allclose(model.coef_, v[:5].astype(float), rtol=1e-11)


@pytest.mark.parametrize(("given", "alpha"), [({"noise": 0.0}, 1e-12), ({"noise": 1e-6}, 0.0)])
def test_where_rounding_would_show_the_rows_are_read_again(given, alpha):
    X, y = line(**given)
    model = GDRegressor(alpha=alpha, tol=1e-6).fit(X, y)
    assert model.history_["passes"][-1] >= 2.0
    lowest = float(exact(X, y, alpha)[0])
    true = float(value(X, y, np.r_[model.coef_, model.intercept_], alpha))
    assert model.objective_ == pytest.approx(true, rel=1e-9, abs=1e-25)
    assert true - lowest <= max(model.suboptimality_ * true, 1e-25)


@pytest.mark.parametrize("scales", [1e-6, [1, 1, 1, 1, 1e-6]])
def test_far_columns_are_read_as_distances_from_their_means_and_bring_no_rounding(scales):
    X, y = line(scales=scales)
    model = GDRegressor(alpha=0.0, tol=1e-6).fit(X, y)
    assert model.history_["passes"][-1] == 1.0
    Z = X - X.mean(axis=0)
    lowest = float(exact(Z, y, 0.0)[0])
    true = float(
        value(Z, y, np.r_[model.coef_, model.intercept_ + X.mean(axis=0) @ model.coef_], 0.0)
    )
    assert model.objective_ == pytest.approx(true, rel=1e-9)
    assert true - lowest <= 1e-9 * true


@pytest.mark.parametrize("seed", range(60))
def test_what_is_extrapolated_is_true(seed):
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-6, 6, 5)
    X = (rng.standard_normal((int(rng.integers(20, 400)), 5)) + 0.5) * scales
    X[:, 1] += rng.choice([0.0, 10.0]) * X[:, 0] * scales[1] / scales[0]
    y = X @ (rng.standard_normal(5) / scales) + 2.0 + rng.standard_normal(len(X))
    alpha = float(rng.choice([0.0, 1e-8, 1e-2]))
    model = GDRegressor(alpha=alpha, tol=1e-8).fit(X, y)
    assert model.history_["passes"][-1] == 1.0
    lowest = exact(X, y, alpha)[0]
    true = value(X, y, np.r_[model.coef_, model.intercept_], alpha)
    assert float(true - lowest) <= model.suboptimality_ * float(lowest)
    assert model.objective_ == pytest.approx(float(true), rel=1e-12)


def test_a_run_goes_on_from_an_extrapolated_point():
    X, y = line()
    warm = GDRegressor(alpha=1e-3, warm_start=True).fit(X, y)
    first = warm.coef_.copy()
    again = warm.fit(X, y)
    assert again.suboptimality_ <= 1e-12
    np.testing.assert_allclose(again.coef_, first, rtol=1e-12)
    other = warm.fit(X[:100], y[:100])  # other data: nothing that was remembered holds
    np.testing.assert_allclose(
        other.coef_, exact(X[:100], y[:100], 1e-3)[1][:5].astype(float), rtol=1e-11
    )
    assert other.suboptimality_ <= 1e-12


def test_a_number_of_iterations_ends_at_rounding():
    X, y = line(scales=[1e-6, 1.0, 1.0, 1e6, 1.0])
    model = GDRegressor(alpha=0.0, tol=None, max_iter=3).fit(X, y)
    assert model.n_iter_ == 3
    assert model.objective_ == pytest.approx(float(exact(X, y, 0.0)[0]), rel=1e-10)
    assert not least_squares_applies(Objective("squared_error", X, y), 0.0)
    assert not least_squares_applies(Objective("log_loss", X, np.sign(y)), 1e-4)


def test_the_factor_multiplies_and_bounds_its_inverse():
    matrix = np.cov(np.random.default_rng(0).standard_normal((4, 9)))
    factor, step = Factor(matrix), np.arange(4.0)
    np.testing.assert_allclose(factor.product(step), matrix @ step)
    scaled = matrix / np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    assert factor.inverse_norm() ** 2 >= 1.0 / np.linalg.eigvalsh(scaled)[0]


@pytest.mark.parametrize("size", [1e6, 1e10])
def test_what_offsets_round_is_counted(size):
    """Residuals are intercept - target + offset, and were as exact as if there were no offset."""
    rng = np.random.default_rng(0)
    X, offset = rng.standard_normal((60, 3)), size * rng.standard_normal(60)
    y = X @ [1.0, -1.0, 0.5] + offset + rng.standard_normal(60)
    model = GDRegressor(alpha=1e-3).fit(X, y, offset=offset)
    left = y.astype(np.longdouble) - offset.astype(np.longdouble)
    residuals = X @ model.coef_.astype(np.longdouble) + model.intercept_[0] - left
    exact = (residuals**2).mean() / 2 + 0.5e-3 * (model.coef_**2).sum()
    assert abs(model.objective_ - exact) <= model.history_["bound"][-1]
