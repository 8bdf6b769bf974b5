"""Squared losses of several targets: one curvature matrix, one product for their gradients."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier

from fastgd import GDClassifier, GDRegressor
from fastgd.data.check_X import as_rows
from fastgd.data.far_columns import read_shifted
from fastgd.data.targets import SamplesOfTargets, as_samples
from fastgd.linalg.cholesky import Factor
from fastgd.losses import SquaredError
from fastgd.objective.exclusive.matrix import BorderedCurvature
from fastgd.objective.objective import Objective
from fastgd.objective.squares_of_targets import SquaresOfTargets
from fastgd.penalties import L2
from support.twins import with_jit

N, D, K = 300, 6, 4
WEIGHTS = np.arange(N) % 4.0


def table(n=N, d=D, k=K, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5
    return X, X @ rng.standard_normal((d, k)) + 3.0 + noise * rng.standard_normal((n, k))


def levels(n=2000, n_levels=400, seed=0):
    """One-hot columns, and three that are full."""
    rng = np.random.default_rng(seed)
    one_hot = sp.csr_array(
        (np.ones(n), (np.arange(n), rng.integers(0, n_levels, n))), shape=(n, n_levels)
    )
    X = sp.hstack([one_hot, sp.csr_array(rng.standard_normal((n, 3)))], format="csr")
    return X, X @ rng.standard_normal((n_levels + 3, K)) + 0.1 * rng.standard_normal((n, K))


STORED = {
    "dense": np.asarray,
    "fortran": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sp.csr_array,
}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weights"])
@pytest.mark.parametrize("kind", [*with_jit(["dense", "csr"], [*STORED]), "far"])
def test_gradients_at_the_null_models_are_their_formula(kind, weights, fit_intercept):
    X, Y = table()
    offset = np.linspace(-1.0, 1.0, N)
    if kind == "far":
        X[:, 1] += 1e6
    first = as_samples(SquaredError(), Y[:, 0], N, weights, offset)
    rows = as_rows(STORED.get(kind, np.asarray)(X))
    if kind == "far" and fit_intercept:
        rows = read_shifted(rows, first)
    Z = X - (rows.centers if hasattr(rows, "centers") else 0.0)

    def objective_of(k):
        samples = first.with_targets(Y[:, k])
        return Objective.of(SquaredError(), rows, samples, L2(), 0.1, fit_intercept, 1)

    targets = SquaresOfTargets(objective_of, SamplesOfTargets(first, list(Y.T)))
    s = np.ones(N) if weights is None else weights
    close = {"rtol": 1e-5} if kind == "float32" else {"rtol": 1e-10}
    for k in range(K):
        left = Y[:, k] - offset
        residuals = (np.average(left, weights=s) if fit_intercept else 0.0) - left
        expected = Z.T @ (s * residuals) / s.sum()
        F = targets.objective_of(k)
        point, value, found = F.together.null_look(F)
        size = np.abs(expected).max()
        np.testing.assert_allclose(found[:D], expected, atol=1e-13 * size, **close)
        if fit_intercept:
            assert abs(found[-1]) <= 1e-13 * np.abs(left).max()
        assert value == pytest.approx(s @ residuals**2 / (2 * s.sum()), rel=1e-12)
        np.testing.assert_array_equal(point[:D], 0.0)
        assert F.passes == 0.5 / K


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weights"])
@pytest.mark.parametrize("kind", with_jit(["dense", "csr"], [*STORED]))
def test_one_matrix_and_half_a_pass_are_enough_for_all(kind, weights, n_jobs, monkeypatch):
    X, Y = table()
    matrices, factors, gram, make = [], [], Objective.gram, Factor.__init__
    monkeypatch.setattr(Objective, "gram", lambda *given: matrices.append(1) or gram(*given))
    monkeypatch.setattr(Factor, "__init__", lambda *given: factors.append(1) or make(*given))
    model = GDRegressor(alpha=1e-3, n_jobs=n_jobs).fit(STORED[kind](X), Y, sample_weight=weights)
    assert (len(matrices), len(factors)) == (1, 1)
    assert sum(one["passes"][-1] for one in model.history_) == pytest.approx(1.5)
    assert "one for all 4 models" in str(model.plan_)
    assert (model.bound_kind_, model.suboptimality_ <= 1e-9) == ("proof", True)
    for k in range(K):
        alone = clone(model).fit(STORED[kind](X), Y[:, k], sample_weight=weights)
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-11)
        np.testing.assert_allclose(model.intercept_[k], alone.intercept_[0], rtol=1e-11)
        assert model.history_[k]["objective"][-1] == pytest.approx(alone.objective_, rel=1e-13)


@pytest.mark.parametrize("kind", ["dense", *with_jit([], ["csr"])])
def test_residuals_of_many_targets_are_not_held_at_once(kind, monkeypatch):
    X, Y = table(k=8)
    together = GDRegressor(alpha=1e-3, tol=1e-12).fit(STORED[kind](X), Y, sample_weight=WEIGHTS)
    monkeypatch.setattr("fastgd.objective.squares_of_targets.FEW_NUMBERS", 1)
    in_groups = clone(together).fit(STORED[kind](X), Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(in_groups.coef_, together.coef_, rtol=1e-11)
    before, after = (
        sum(one["passes"][-1] for one in model.history_) for model in (together, in_groups)
    )
    assert after > before  # 6 and 2 targets


def test_threads_do_not_change_the_bits():
    X, Y = table(6000, 60, 5)
    models = [GDRegressor(n_jobs=n).fit(X, Y) for n in (1, 2, 5)]
    for one in models[1:]:
        np.testing.assert_array_equal(one.coef_, models[0].coef_)
        np.testing.assert_array_equal(one.intercept_, models[0].intercept_)
        assert one.suboptimality_ == models[0].suboptimality_


def test_exclusive_columns_are_found_and_eliminated_once(monkeypatch):
    X, Y = levels()
    matrices, at = [], BorderedCurvature.at
    monkeypatch.setattr(BorderedCurvature, "at", lambda *given: matrices.append(1) or at(*given))
    model = GDRegressor(alpha=1e-3, tol=1e-8).fit(X, Y)
    assert "by elimination" in str(model.plan_)
    assert len(matrices) == 1
    theirs = Ridge(alpha=1e-3 * 2000).fit(X.toarray(), Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-9)
    assert model.suboptimality_ <= 1e-8


@pytest.mark.jit
@pytest.mark.parametrize("shape", [(40, 300), (100, 3000)])
def test_more_columns_than_rows(shape):
    X, Y = table(*shape)
    model = GDRegressor(alpha=1e-2, tol=1e-8).fit(X, Y)
    theirs = Ridge(alpha=1e-2 * shape[0], solver="svd").fit(X, Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-4 * np.abs(theirs.coef_).max())
    assert model.suboptimality_ <= 1e-8


@pytest.mark.parametrize("seed", range(with_jit(30, 8)))
def test_what_is_claimed_is_true_of_each(seed):
    rng = np.random.default_rng(seed)
    n, scales = int(rng.integers(20, 300)), 10.0 ** rng.uniform(-6, 6, 5)
    X = (rng.standard_normal((n, 5)) + 0.5) * scales
    X[:, 1] += rng.choice([0.0, 10.0, 1e8]) * X[:, 0] * scales[1] / scales[0]
    noise = rng.choice([1.0, 1e-7, 0.0], 3)
    Y = X @ (rng.standard_normal((5, 3)) / scales[:, None]) + noise * rng.standard_normal((n, 3))
    Y[:, rng.integers(3)] = 4.0  # and one that is constant
    alpha = float(rng.choice([0.0, 1e-8, 1e-2]))
    model = GDRegressor(alpha=alpha, tol=1e-6).fit(X, Y)
    centred, L = X.astype(np.longdouble) - X.mean(axis=0, dtype=np.longdouble), np.longdouble
    for k in range(3):
        y = Y[:, k].astype(L)
        w, b = model.coef_[k].astype(L), L(model.intercept_[k])
        residuals = X.astype(L) @ w + b - y
        value = residuals @ residuals / (2 * n) + L(alpha) * w @ w / 2
        best = np.zeros(5, L)
        H = centred.T @ centred / n + L(alpha) * np.eye(5)
        roots = np.sqrt(np.diag(H))
        scaled = (H / np.outer(roots, roots)).astype(float)
        for _ in range(30):  # refinement: double precision solves, residuals are exact
            left = centred @ best + y.mean() - y
            gradient = centred.T @ left / n + L(alpha) * best
            best -= (
                np.linalg.lstsq(scaled, (gradient / roots).astype(float), rcond=1e-15)[0] / roots
            )
        left = centred @ best + y.mean() - y
        lowest = min(left @ left / (2 * n) + L(alpha) * best @ best / 2, value)
        bound = model.history_[k]["bound"][-1]
        assert float(value - lowest) <= bound
        assert model.history_[k]["objective"][-1] == pytest.approx(
            float(value), rel=1e-9, abs=bound
        )


def test_starts_and_resuming():
    X, Y = table()
    cold = GDRegressor(alpha=1e-3).fit(X, Y)
    started = clone(cold).fit(X, Y, coef_init=np.ones((K, D)), intercept_init=np.ones(K))
    np.testing.assert_allclose(started.coef_, cold.coef_, rtol=1e-10)
    warm = clone(cold).set_params(warm_start=True).fit(X, Y)
    again = warm.fit(X, Y)
    np.testing.assert_allclose(again.coef_, cold.coef_, rtol=1e-10)
    other = warm.fit(X[:100], Y[:100])
    np.testing.assert_allclose(other.coef_, clone(cold).fit(X[:100], Y[:100]).coef_, rtol=1e-10)


def test_near_copies_are_resolved_for_all():
    """The pass that tells columns apart which the matrix does not is taken once, too."""
    X, _ = table()
    X[:, 1] = X[:, 0] + 1e-9 * X[:, 2]
    Y = np.column_stack([X[:, 2], X[:, 3] + X[:, 2], X[:, 4]])
    model = GDRegressor(alpha=0.0, tol=1e-6).fit(X, Y + table(k=3, noise=0.0)[1] % 0.1)
    assert model.suboptimality_ <= 1e-6


def test_labels_against_the_rest():
    X, Y = table(k=3)
    theirs = RidgeClassifier(alpha=1.0).fit(X, Y.argmax(axis=1))
    ours = GDClassifier("squared_error", alpha=1.0 / N, tol=1e-10).fit(X, Y.argmax(axis=1))
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
    assert sum(one["passes"][-1] for one in ours.history_) == pytest.approx(1.5)
    several = GDClassifier("squared_error", alpha=1.0 / N).fit(X, (Y > 3.0).astype(int))
    alone = clone(several).fit(X, Y[:, 1] > 3.0)
    np.testing.assert_allclose(several.coef_[1], alone.coef_[0], rtol=1e-10)


def test_equals_linear_regression():
    X, Y = table()
    theirs = LinearRegression().fit(X, Y)
    ours = GDRegressor(alpha=0.0, tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)
