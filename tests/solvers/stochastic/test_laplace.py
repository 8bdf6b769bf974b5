"""Chunks of rows by Newton steps beside a quadratic for those before (Laplace propagation)."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from fastgd import Gamma, GDRegressor, Objective, Poisson, Tweedie
from fastgd.solvers.stochastic import laplace
from fastgd.solvers.stochastic.laplace import Laplace
from support.twins import with_jit


def amounts(seed=0, n=1200, noise=0.2):
    """Amounts whose noise is far above what the columns tell; a gamma law of a small shape."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5)) * [1.0, 10.0, 0.1, 1.0, 1.0]
    means = np.exp(X @ [0.5, -0.03, 3.0, 0.1, 0.0] + 2.0)
    return X, means * rng.gamma(noise, 1.0 / noise, n) + 1e-3


def twin(X, y, alpha, chunks):
    """The same for Poisson's loss, each chunk's minimum by a method that knows no curvature."""
    X1, strengths = np.c_[X, np.ones(len(X))], np.append(np.full(X.shape[1], alpha), 0.0)
    v = np.append(np.zeros(X.shape[1]), np.log(y[chunks[0]].mean()))
    matrix = np.zeros((v.size, v.size))
    for t, rows in enumerate(chunks):
        A, b, n, before = X1[rows], y[rows], len(rows), v
        matrix = matrix * (t / (t + 1.0)) ** laplace.AGEING

        def whole(v, A=A, b=b, n=n, before=before, matrix=matrix):
            own = (np.exp(A @ v) - b * (A @ v)).sum() + 0.5 * n * strengths @ v**2
            derivatives = A.T @ (np.exp(A @ v) - b) + n * strengths * v
            quadratic = 0.5 * (v - before) @ matrix @ (v - before)
            return own + quadratic, derivatives + matrix @ (v - before)

        v = minimize(whole, v, jac=True, method="BFGS", options={"gtol": 1e-8}).x
        matrix = matrix + (A.T * np.exp(A @ v)) @ A + n * np.diag(strengths)
    return v


def test_it_is_a_minimum_beside_a_quadratic(monkeypatch):
    monkeypatch.setattr(laplace, "STEPS", 50)
    monkeypatch.setattr(laplace, "MIN_FALL", 0.0)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((90, 3))
    y = rng.poisson(np.exp(X @ [0.4, -0.2, 0.1])).astype(float)
    chunks = [np.arange(0, 40), np.arange(40, 60), np.arange(60, 90)]
    model = GDRegressor("poisson", alpha=0.01)
    for rows in chunks:
        model.partial_fit(X[rows], y[rows])
    expected = twin(X, y, 0.01, chunks)
    np.testing.assert_allclose(
        np.append(model.coef_, model.intercept_), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.jit
@pytest.mark.parametrize(
    "loss",
    with_jit([Poisson()], [Gamma(), Tweedie(1.5), Poisson()]),
    ids=lambda loss: loss.name,
)
@pytest.mark.parametrize("order", ["shuffled", "sorted"])
def test_streams_of_noisy_amounts_get_what_the_columns_tell(loss, order):
    X, y = amounts()
    y = y if loss.name != "tweedie" else np.where(np.arange(1200) % 3 == 0, y, 0.0)
    rows = np.arange(1200) if order == "shuffled" else np.argsort(X[:, 0], kind="stable")
    model, best = GDRegressor(loss), GDRegressor(loss, tol=1e-8).fit(X, y)
    for _ in range(2):
        for start in range(0, 1200, 100):
            chunk = rows[start : start + 100]
            model.partial_fit(X[chunk], y[chunk])
    assert "by chunks" in str(model.plan_)
    F = Objective(loss, X, y, alpha=1e-4)
    constant = GDRegressor(loss, tol=1e-8).fit(0.0 * X, y).objective_
    gain = constant - F.value(np.append(model.coef_, model.intercept_))
    assert gain >= 0.9 * (constant - best.objective_)


def test_a_chunk_lowers_no_prediction_by_more_than_its_steps_may():
    """Whatever follows for rows far out: the first amount that comes there would be the dearer."""
    rng = np.random.default_rng(0)
    x = np.append(rng.standard_normal(500), 10.0)
    y = np.append(rng.gamma(1.0, 500.0, 500), 500.0)
    model = GDRegressor(Tweedie(1.9)).partial_fit(x[:100, None], y[:100])
    before = np.log(model.predict(x[:, None]))
    model.partial_fit(x[:, None], np.where(x < 0.0, y, 0.0))
    fallen = before - np.log(model.predict(x[:, None]))
    assert 2.0 < fallen.max() <= 3.0 + 1e-9


@pytest.mark.jit  # for long in plain Python
@pytest.mark.parametrize("far", [80.0, 1000.0])
def test_a_row_far_out_is_not_remembered(far):
    """Its curvature was, and froze the model."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 4))
    y = rng.poisson(np.exp(X @ [0.5, -0.3, 0.2, 0.1] - 0.5)).astype(float)
    usual, model = GDRegressor("poisson"), GDRegressor("poisson")
    for number, rows in enumerate(np.array_split(np.arange(2000), 20)):
        if number == 5:
            bad = X[rows].copy()
            bad[3, 0] = far
            model.partial_fit(bad, y[rows])
        usual.partial_fit(X[rows], y[rows])
        model.partial_fit(X[rows], y[rows])
    np.testing.assert_allclose(model.coef_, usual.coef_, atol=0.02)
    assert np.isfinite(model._states[0].memory.matrix).all()


@pytest.mark.plain
def test_dense_and_sparse_rows_pickles_and_weights():
    X, y = amounts(n=300)
    weights = np.random.default_rng(0).integers(0, 3, 300).astype(float)
    dense, sparse = GDRegressor("gamma"), GDRegressor("gamma")
    for start in range(0, 300, 100):
        rows = np.arange(start, start + 100)
        given = weights[rows] * 100.0 / weights[rows].sum()
        dense.partial_fit(X[rows], y[rows], given)
        sparse = pickle.loads(pickle.dumps(sparse))
        sparse.partial_fit(sp.csr_array(X[rows]), y[rows], given)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9)
    assert np.isfinite(dense.coef_).all()


def test_wide_rows_l1_parts_and_bounded_curvature_are_left_to_one_row_steps():
    X, y = amounts(n=60)
    assert Laplace.suits(Objective("gamma", X, y))
    wide = np.zeros((60, laplace.MAX_UNKNOWNS))
    assert not Laplace.suits(Objective("gamma", wide, y))
    assert not Laplace.suits(Objective("gamma", X, y, alpha=0.1, penalty="l1"))
    assert not Laplace.suits(Objective("squared_error", X, y))


def test_a_count_far_beyond_the_model_is_learnt():
    """A step that was to move its prediction by a million is taken to 2e-6 of that: to move it by
    2. That was too short a step, and eight chunks left the prediction at 0.
    """
    model = GDRegressor("poisson", alpha=1e-6).partial_fit([[1.0]], [1.0])
    for _ in range(8):
        model.partial_fit([[1.0]], [1e6])
    assert model.predict([[1.0]])[0] == pytest.approx(1e6, rel=0.1)
