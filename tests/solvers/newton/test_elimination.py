"""Newton's method with columns eliminated that never meet: the same steps as with one matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, GDRegressorCV
from fastgd.fitting.choose_solver import cheapest
from fastgd.fitting.default_rules import rules_of_rivals
from fastgd.fitting.leaving_rules import Slow
from fastgd.fitting.plan import Plan, Settings
from fastgd.fitting.replan import forecast_of_plan, next_plan
from fastgd.objective.cost_model import solving_cost
from fastgd.objective.exclusive.columns import find_exclusive
from fastgd.objective.exclusive.matrix import bordered_cost
from fastgd.objective.objective import Objective
from fastgd.solvers.base import SolverOptions
from fastgd.solvers.growing_batch import Growing
from fastgd.solvers.newton.cholesky import Newton
from fastgd.solvers.newton.elimination import (
    Eliminating,
    Elimination,
    EliminationOfSquares,
)
from fastgd.solvers.newton.least_squares import LeastSquares
from support.categories import categories
from support.problems import Quartic, proved, started
from support.twins import with_jit

STORAGES = with_jit({"csr": sp.csr_array}, {"csr": sp.csr_array, "dense": np.asarray})


def problem(loss, storage=sp.csr_array, n=300, levels=(30, 6, 4), **parameters):
    X = categories(n, levels)
    rng = np.random.default_rng(1)
    z = X @ rng.standard_normal(X.shape[1]) + rng.standard_normal(n)
    y = z if loss in ("squared_error", "huber") else np.where(z > 0.0, 1.0, -1.0)
    given = {"alpha": 1.0 / n, "n_jobs": 1, "sample_weight": np.arange(n) % 3, **parameters}
    return Objective(loss, storage(X), y, **given)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("loss", with_jit(["log_loss"], ["log_loss", "squared_hinge", "huber"]))
def test_the_steps_are_those_with_one_matrix(loss, storage, fit_intercept):
    F = problem(loss, STORAGES[storage], fit_intercept=fit_intercept)
    mine, other = Elimination(F, 1e-6), Newton(F, 1e-6)
    mine.matrix_cost = other.matrix_cost  # else one takes a new matrix where the other does not
    a, b = started(mine), started(other)
    for _ in range(5):
        mine.advance(a)
        other.advance(b)
        np.testing.assert_allclose(a.point, b.point, rtol=1e-7, atol=1e-9)
        assert np.isclose(a.value, b.value, rtol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-2, 1e-5])
def test_squares_need_one_matrix(alpha, fit_intercept):
    F = problem("squared_error", alpha=alpha, fit_intercept=fit_intercept)
    mine, other = proved(EliminationOfSquares(F, 1e-8), 1e-9), proved(LeastSquares(F, 1e-8), 1e-9)
    assert mine.suboptimality <= 1e-8
    assert mine.bound.kind == "proof"
    np.testing.assert_allclose(mine.point, other.point, rtol=1e-6, atol=1e-8)
    assert mine.objective <= other.objective * (1.0 + 1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_without_a_penalty_the_levels_and_the_intercept_are_collinear(loss):
    """A proof is not in sight, and 4,000 iterations had run: F moves no more after 50."""
    n = 300
    X = categories(n, (30, 6, 4))
    X[:, :30] = X[:, :30] > 0.0
    rng = np.random.default_rng(0)
    y = X @ rng.standard_normal(X.shape[1]) + 5.0 * rng.standard_normal(n)
    y = y if loss == "squared_error" else np.where(y > 0.0, 1.0, -1.0)
    F = Objective(loss, sp.csr_array(X), y, penalty="none", n_jobs=1)
    solver = Elimination if loss == "log_loss" else EliminationOfSquares
    found, other = (proved(one(F, 1e-8), 1e-9, 50) for one in (solver, Newton))
    assert found.objective <= other.objective + 1e-8 * abs(other.objective)


def test_a_proof_needs_no_matrix_in_one_piece(monkeypatch):
    F = problem("log_loss")
    monkeypatch.setattr(F, "gram", None)
    found = proved(Elimination(F, 1e-6), 1e-6)
    assert found.suboptimality <= 1e-6
    assert found.bound.kind == "proof"


def test_a_smooth_penalty_of_ones_own():
    """Nothing is proved of it: 50 iterations find F to the last digit, 4,000 had run."""
    X = categories(200, (20, 5))
    y = np.where(X @ np.linspace(-1.0, 1.0, X.shape[1]) > 0.0, 1.0, -1.0)
    F = Objective("log_loss", sp.csr_array(X), y, penalty=Quartic(), alpha=0.01, n_jobs=1)
    found, other = (proved(solver(F, 1e-8), 1e-9, 50) for solver in (Elimination, Newton))
    np.testing.assert_allclose(found.objective, other.objective, rtol=1e-7)


@pytest.mark.jit  # for long in plain Python
def test_samples_come_first_where_the_batch_grows():
    F = problem("log_loss", n=4000, levels=(60, 8))
    grown = proved(Growing(F, lambda part: Elimination(part, 1e-8), 0, first=500), 1e-8)
    whole = proved(Elimination(F, 1e-8), 1e-8)
    np.testing.assert_allclose(grown.objective, whole.objective, rtol=1e-7)
    assert grown.suboptimality <= 1e-8


def many_levels(n=20_000, levels=(1500, 20, 7), seed=0):
    rng = np.random.default_rng(seed)
    begins = np.cumsum([0, *levels])
    columns = [rng.permutation(n) % m + b for m, b in zip(levels, begins, strict=False)]
    columns = np.stack([*columns, np.full(n, begins[-1])], axis=1).ravel()
    values = np.ones((n, len(levels) + 1))
    values[:, -1] = rng.standard_normal(n)
    X = sp.csr_array((values.ravel(), columns, np.arange(n + 1) * len(values[0])))
    w = rng.standard_normal(X.shape[1])
    z = X @ w + rng.standard_normal(n)
    return X, z


def test_the_plan_takes_it_where_it_costs_least():
    X, z = many_levels()
    F = Objective("squared_error", X, z, alpha=1.0 / z.size)
    chosen, forecast = cheapest(F, 1e-6)
    assert chosen is Eliminating
    assert "1,500 of them never meet" in forecast.reason
    assert isinstance(Eliminating.make(F, SolverOptions(1e-6)), EliminationOfSquares)
    assert type(Eliminating.make(F, SolverOptions(0.0))) is Elimination
    signs = np.where(z > 0.0, 1.0, -1.0)
    log = Objective("log_loss", X, signs, alpha=1.0 / z.size)
    assert cheapest(log, 1e-6)[0] is Eliminating
    assert cheapest(Objective("log_loss", X, signs, penalty="l1", alpha=1e-4), 1e-6)[0] is not (
        Eliminating
    )


def test_other_data_are_not_searched():
    rng = np.random.default_rng(0)
    text = sp.random_array((3000, 2000), density=0.02, random_state=rng, format="csr")
    for X in (rng.standard_normal((2000, 300)), text, categories(2000, (100, 5))):
        F = Objective("squared_error", X, rng.standard_normal(X.shape[0]), alpha=1e-3)
        assert cheapest(F, 1e-6)[0] is not Eliminating
        assert F.measured.get("exclusive", (0, None))[1] is None


@pytest.mark.jit
def test_estimators_say_what_they_did():
    X, z = many_levels(6000, (700, 9))
    model = GDRegressor(alpha=1e-4, tol=1e-8).fit(X, z)
    assert "newton by elimination" in str(model.plan_)
    named = GDRegressor(alpha=1e-4, tol=1e-8, solver="newton").fit(X, z)
    np.testing.assert_array_equal(named.coef_, model.coef_)
    dense = GDRegressor(alpha=1e-4, tol=1e-8).fit(X.toarray(), z)
    np.testing.assert_allclose(dense.predict(X), model.predict(X), atol=1e-4)
    classifier = GDClassifier(alpha=1e-4, tol=1e-6).fit(X, z > 0.0)
    assert classifier.suboptimality_ <= 1e-6


@pytest.mark.jit  # for long in plain Python
def test_a_path_goes_on_with_its_matrices():
    X, z = many_levels(6000, (700, 9))
    alphas = [1e-2, 1e-3, 1e-4]
    search = GDRegressorCV(alphas=alphas, cv=2, tol=1e-7).fit(X, z)
    alone = GDRegressor(alpha=search.alpha_, tol=1e-7).fit(X, z)
    np.testing.assert_allclose(search.predict(X), alone.predict(X), atol=1e-2)


@pytest.mark.jit
def test_many_columns_of_full_rank_are_proved_without_a_penalty():
    X, z = many_levels(9000, (1600,))
    for loss, y in (("squared_error", z), ("log_loss", np.where(z > 0.0, 1.0, -1.0))):
        solver = EliminationOfSquares if loss == "squared_error" else Elimination
        flipped = np.arange(y.size) % 3 == 0  # every level has both signs
        y = np.where(flipped, -y, y)
        F = Objective(loss, X, y, penalty="none", fit_intercept=False, n_jobs=1)
        found = proved(solver(F, 1e-6), 1e-6, 40)  # only squares are proved
        gradient = F.gradient(found.point)
        assert float(np.abs(gradient).max()) < 1e-5
        if loss == "squared_error":
            assert found.suboptimality <= 1e-6
            assert found.bound.kind == "proof"


def test_an_iteration_is_told_what_its_own_matrix_takes():
    """It was told the matrix of all columns: 84 passes' worth for 10 (450 columns, 310 of them
    levels), so that what was left at its pace was more than any other plan.
    """
    F = problem("squared_hinge", n=2000, levels=(300, 100))
    own, whole = Eliminating.overhead_passes(F), Newton.overhead_passes(F)
    columns = find_exclusive(F)
    assert own == bordered_cost(F, columns) + solving_cost(F, columns.rest.size)
    assert own < 0.3 * whole


def test_where_it_is_slow_one_matrix_is_no_way_out():
    """Its steps are the same: 376 passes' worth for a Huber loss, 185 now."""
    F = problem("squared_hinge", n=2000, levels=(300, 100))
    tried = [Plan("newton", "full", "auto", (), "by elimination")]
    assert next_plan(tried, F, "", tol=1e-6)[0].form == ""
    assert next_plan(tried, F, "", tol=1e-6, slow=True)[0].form != ""
    (rule,) = [r for r in rules_of_rivals(Settings(), tried, F) if isinstance(r, Slow)]
    assert (
        rule.other
        == forecast_of_plan(
            next_plan(tried, F, "", tol=Settings().tol, slow=True)[0], F, Settings().tol
        ).passes
    )
