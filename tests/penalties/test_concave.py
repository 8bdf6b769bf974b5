"""MCP and SCAD: their formulas, proximal steps on grids, and stationary points that a slow twin
finds too.
"""

import numpy as np
import pytest

from fastgd import MCP, SCAD, GDClassifier, GDRegressor, GDRegressorCV, Objective, from_chunks
from fastgd.certificates.estimates import fall_along_columns
from fastgd.model_selection.alpha_path import fit_path
from fastgd.penalties.concave import Concave
from fastgd.penalties.term import ElasticTerm
from support.penalties import kinds

PENALTIES = [MCP(), MCP(1.5), SCAD(), SCAD(2.5)]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
ALPHA = 0.4


def test_every_concave_penalty_is_here():
    assert {type(one) for one in PENALTIES} == kinds(Concave)


def problem(n=100, d=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    w = np.r_[3.0, -2.0, 1.0, 0.5, np.zeros(d - 4)]
    return X, X @ w + 0.5 * rng.normal(size=n) + 1.0


def derivative(penalty, size, alpha):
    """The derivative in |w| by the papers."""
    if isinstance(penalty, MCP):
        return max(alpha - size / penalty.gamma, 0.0)
    if size <= alpha:
        return alpha
    return max(penalty.gamma * alpha - size, 0.0) / (penalty.gamma - 1.0)


def value(penalty, coef, alpha):
    """The derivative, integrated."""
    total = 0.0
    for size in np.abs(coef):
        steps = (np.arange(20_000) + 0.5) * size / 20_000
        total += size * np.mean([derivative(penalty, step, alpha) for step in steps])
    return total


@every_penalty
def test_the_value_is_the_integral_of_the_slope(penalty):
    term, coef = penalty.term(ALPHA), np.array([0.1, -0.5, 1.0, -3.0])
    assert term.value(coef) == pytest.approx(value(penalty, coef, ALPHA), rel=1e-6)
    expected = [np.sign(w) * derivative(penalty, abs(w), ALPHA) for w in coef]
    np.testing.assert_allclose(term.subgradient(coef, np.zeros(4)), expected, rtol=1e-12)
    one = penalty.term(1.0)
    for w in coef:
        assert penalty.value(w, 0) == pytest.approx(one.value(np.array([w])))
        own = one.subgradient(np.array([w]), np.zeros(1))[0]
        assert penalty.derivative(w, 0) == pytest.approx(own)


@every_penalty
@pytest.mark.parametrize("rate", [0.3, 1.0, 2.2, 10.0])
def test_a_proximal_step_is_lowest_on_a_grid(penalty, rate):
    term, start = penalty.term(ALPHA), np.array([0.0, 0.05, -0.2, 0.41, -0.7, 1.2, -1.6, 5.0])
    moved = start.copy()
    term.prox(moved, np.full(8, rate))
    grid = np.linspace(-6.0, 6.0, 24_001)
    for before, after in zip(start, moved, strict=True):

        def height(u, before=before):
            return rate * term.sizes_value(np.abs(u)) + 0.5 * (u - before) ** 2

        assert height(after) <= height(grid).min() + 1e-12
        assert height(after) <= height(np.zeros(1))[0]


def twin(penalty, X, y, alpha, epochs=3_000):
    """Coordinate descent from 0 on columns of mean square 1, by the papers' formulas."""
    coef, left = np.zeros(X.shape[1]), y - y.mean()
    for _ in range(epochs):
        for j, x in enumerate(X.T):
            at = coef[j] + x @ left / len(x)
            new = np.sign(at) * max(abs(at) - alpha, 0.0)
            if isinstance(penalty, MCP):
                new = at if abs(at) > penalty.gamma * alpha else new / (1.0 - 1.0 / penalty.gamma)
            elif abs(at) > penalty.gamma * alpha:
                new = at
            elif abs(at) > 2.0 * alpha:
                bent = penalty.gamma - 1.0
                new = np.sign(at) * max(abs(at) - penalty.gamma * alpha / bent, 0.0)
                new /= 1.0 - 1.0 / bent
            left += (coef[j] - new) * x
            coef[j] = new
    return coef


@pytest.mark.parametrize("penalty", [MCP(3.0), SCAD(3.7)], ids=repr)
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_it_ends_where_coordinate_descent_does(penalty, alpha):
    X, y = problem()
    X = (X - X.mean(0)) / X.std(0)
    model = GDRegressor(penalty=penalty, alpha=alpha, tol=1e-11).fit(X, y)
    np.testing.assert_allclose(model.coef_, twin(penalty, X, y, alpha, 300), atol=1e-5)
    assert model.bound_kind_ == "stationarity"
    assert model.converged_
    large = np.abs(model.coef_) > penalty.gamma * alpha
    free = np.linalg.lstsq(X[:, model.coef_ != 0.0], y - y.mean(), rcond=None)[0]
    if large.sum() == free.size:  # nothing is shrunk
        np.testing.assert_allclose(model.coef_[large], free, atol=1e-5)


def test_skglm_ends_there_too():
    skglm = pytest.importorskip("skglm")
    import numba

    if numba.config.DISABLE_JIT:
        pytest.skip("skglm needs the JIT")
    X, y = problem()
    solver = skglm.solvers.AndersonCD(tol=1e-12, fit_intercept=True)
    pairs = (
        (MCP(3.0), skglm.penalties.MCPenalty(0.1, 3.0)),
        (SCAD(3.7), skglm.penalties.SCAD(0.1, 3.7)),
    )
    for own, theirs in pairs:
        there = skglm.GeneralizedLinearEstimator(skglm.datafits.Quadratic(), theirs, solver)
        model = GDRegressor(penalty=own, alpha=0.1, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(model.coef_, there.fit(X, y).coef_, atol=1e-6)


@pytest.mark.parametrize("solver", ["auto", "gd", "adam"])
def test_other_losses_and_rules_end_at_a_stationary_point(solver):
    X, y = problem()
    labels = (y > np.median(y)).astype(int)
    model = GDClassifier(penalty="scad", alpha=0.05, solver=solver, tol=1e-6).fit(X, labels)
    assert model.bound_kind_ == "stationarity"
    assert model.suboptimality_ <= 1e-6
    F = Objective("log_loss", X, np.where(labels == 1, 1.0, -1.0), penalty=SCAD(), alpha=0.05)
    v = np.append(model.coef_, model.intercept_)
    gradient = F.smooth_and_gradient(v)[1]
    assert np.abs(F.subgradient(v, gradient)).max() < 1e-3


def test_along_paths():
    X, y = problem()
    search = GDRegressorCV(penalty="mcp", alphas=6, cv=3).fit(X, y)
    at_it = GDRegressor(penalty="mcp", alpha=1.001 * search.alphas_[0]).fit(X, y)
    assert not at_it.coef_.any()
    assert (search.coef_ != 0.0).any()


@pytest.mark.parametrize("blocks", [False, True])
def test_a_search_keeps_the_minimum_that_it_scored(blocks):
    """Columns that are alike have several: a fit from zero ended 8 % above that of the path."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 16))
    for j in range(1, 16):
        X[:, j] = 0.8 * X[:, j - 1] + 0.6 * X[:, j]
    effects = np.zeros(16)
    effects[::4] = rng.choice([-2, 2], size=4)
    y = X @ effects + rng.standard_normal(40)
    alphas = [2.76, 1.03, 0.38, 0.14]
    given = (from_chunks(lambda: [(X, y)]),) if blocks else (X, y)
    search = GDRegressorCV(penalty=MCP(1.5), alphas=alphas, cv=3, tol=1e-8).fit(*given)
    *_, model = fit_path(GDRegressor(penalty=MCP(1.5), tol=1e-8), X, y, alphas)
    alone = GDRegressor(penalty=MCP(1.5), alpha=0.14, tol=1e-8).fit(X, y)
    assert search.alpha_ == 0.14
    assert alone.objective_ > 1.05 * model.objective_
    assert search.objective_ == pytest.approx(model.objective_, rel=1e-5)


def test_what_is_refused():
    X, y = problem()
    for made, message in (
        (lambda: MCP(1.0), "MCP gamma must be a finite number above 1, got 1"),
        (lambda: SCAD(2.0), "SCAD gamma must be a finite number above 2, got 2"),
        (lambda: GDRegressor(penalty="mcp", solver="saga").fit(X, y), "saga"),
        (lambda: GDRegressor(penalty="mcp", solver="sdca").fit(X, y), "sdca"),
        (lambda: GDRegressor(penalty="mcp", batch_size=4).fit(X, y), "needs batch_size='full'"),
        (lambda: GDRegressor(penalty="mcp", positive=True).fit(X, y), "positive goes with"),
    ):
        with pytest.raises(ValueError, match=message):
            made()


def test_without_strength_nothing_is_left():
    assert isinstance(MCP().term(0.0), ElasticTerm)


def test_what_is_told_of_a_run_cut_short():
    X, y = problem()
    with pytest.warns(match="would fall by about .* along single columns"):
        GDRegressor(penalty="mcp", alpha=0.1, max_iter=1, tol=1e-10).fit(X, y)


@every_penalty
def test_a_constant_column_is_no_place_to_rest(penalty):
    """Only the penalty holds its coefficient, and the intercept makes up for it: F falls by all
    that the penalty has. Such a model was called stationary, 1e-5 of F too high.
    """
    X, y = problem()
    F = Objective("squared_error", np.c_[X, np.full(len(y), 4.0)], y, penalty=penalty, alpha=ALPHA)
    least = np.r_[np.zeros(11), y.mean()]
    v = least + np.r_[np.zeros(10), 1e-3, -4e-3]
    fall = fall_along_columns(F, v, F.smooth_and_gradient(v)[1])
    more = fall - fall_along_columns(F, least, F.smooth_and_gradient(least)[1])
    assert more == pytest.approx(F.value(v) - F.value(least), rel=1e-2)


def test_nothing_is_told_of_how_stationary_a_model_is_that_is_worse_than_none():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = rng.poisson(np.exp(0.5 * X[:, 0])).astype(float)
    still = {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 1e-12}
    model = GDRegressor("poisson", penalty="mcp", max_iter=3, tol=None, **still)
    model.fit(X, y, coef_init=[9.0, 0.0, 0.0], intercept_init=0.0)
    assert model.bound_kind_ == "none"
    assert model.suboptimality_ == np.inf
