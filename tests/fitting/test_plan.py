"""Plans: what is chosen for which problem, that it is carried out, and that every choice ends at
the same optimum.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.fitting.build import make_solver
from fastgd.fitting.choose_solver import batch_sizes, cheapest
from fastgd.fitting.plan import Plan, Settings, make_plan
from fastgd.objective.cost_model import curvature_cost
from fastgd.objective.moments import row_coupling, row_freedom, standard_spectrum
from fastgd.solvers.dual.dual_cost import MAX_COUPLED
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.growing_batch import Growing, growth_pays
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_generation import ColumnGeneration
from fastgd.solvers.l1.working_set import WorkingSet
from fastgd.solvers.newton.cholesky import Newton, likely_steps
from fastgd.solvers.newton.column_subspace import SubspaceNewton
from fastgd.solvers.newton.least_squares import LeastSquares
from fastgd.solvers.newton.vector_blocks import BlockNewton
from fastgd.solvers.newton.vector_cholesky import VectorNewton
from fastgd.solvers.newton.vector_subspace import VectorRowSubspace
from support.components import ToySoftmax
from support.problems import Quartic


def classes(n, d, density=1.0, seed=0):
    rng = np.random.default_rng(seed)
    if density < 1.0:
        X = sp.random_array((n, d), density=density, random_state=rng, format="csr")
    else:
        X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d)
    return X, np.where(z + 0.5 * z.std() * rng.standard_normal(n) > 0.0, 1.0, -1.0)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("shape", "loss", "given", "solver", "batch", "kind"),
    [
        ((200, 5), "log_loss", {}, "newton", "full", Newton),
        ((60_000, 20), "log_loss", {}, "newton", "growing", Growing),
        ((60_000, 20), "squared_error", {}, "newton", "full", LeastSquares),
        ((300, 5000, 0.005), "log_loss", {}, "sdca", 1, Sdca),
        ((6000, 4000, 0.002), "log_loss", {}, "lbfgs", "full", LBFGS),
        ((300, 5000, 0.005), "squared_hinge", {}, "sdca", 1, Sdca),
        ((200, 5), "hinge", {}, "newton", "full", CentralPath),
        ((200, 5), "hinge", {"alpha": 0.1}, "sdca", 1, Sdca),
        ((200, 5), "hinge", {"alpha": 0.1, "tol": 1e-9}, "newton", "full", CentralPath),
        ((300, 5000, 0.005), "hinge", {}, "sdca", 1, Sdca),
        ((20, 500, 0.1), "hinge", {"penalty": "l1"}, "newton", "full", ColumnGeneration),
        ((200, 5), "log_loss", {"penalty": "l1"}, "newton", "full", WorkingSet),
        ((200, 5), ToySoftmax(), {}, "newton", "full", VectorNewton),
        ((1000, 900), ToySoftmax(), {}, "newton", "full", BlockNewton),
        ((400, 900), ToySoftmax(), {}, "newton", "full", VectorRowSubspace),
        ((100, 3000, 0.01), ToySoftmax(), {}, "newton", "full", VectorRowSubspace),
        ((3100, 3000, 0.001), ToySoftmax(), {}, "lbfgs", "full", LBFGS),
    ],
)
def test_what_is_chosen(shape, loss, given, solver, batch, kind):
    X, y = classes(*shape)
    given = {"alpha": 1e-3, **given}
    settings = Settings(tol=given.pop("tol", 1e-4))
    F = Objective(loss, X, (y > 0).astype(float) if isinstance(loss, ToySoftmax) else y, **given)
    plan, rule = make_plan(settings, F)
    assert (plan.solver, plan.batch_size, rule) == (solver, batch, None)
    assert plan.reasons
    assert type(make_solver(plan, rule, settings, F, 0)) is kind


def test_a_plan_tells_what_others_would_have_cost():
    F = Objective("hinge", *classes(200, 5), alpha=0.1)
    told = make_plan(Settings(), F)[0].forecasts
    assert told[0][0] == "sdca"
    assert told[0][1] == Sdca.forecast(F, 1e-4).passes
    assert dict(told)["newton by an interior point method"] == CentralPath.forecast(F, 1e-4).passes
    assert [passes for _, passes in told] == sorted(passes for _, passes in told)
    assert make_plan(Settings(solver="sdca"), F)[0].forecasts == ()


def test_a_matrix_costs_more_the_more_columns_there_are():
    few, many = (Objective("log_loss", *classes(100, d), alpha=0.1) for d in (5, 50))
    assert curvature_cost(few) < curvature_cost(many)
    assert cheapest(few, 1e-4)[0] is Newton
    wide = Objective("log_loss", *classes(200, 6000), alpha=0.1)
    assert cheapest(wide, 1e-4)[0] is SubspaceNewton
    assert not growth_pays(few)


def test_rows_without_weight_make_no_sample():
    """A sample in which no row had any ended in a ZeroDivisionError."""
    X, y = classes(5100, 20)
    weights = np.where(np.arange(len(y)) % 2, 1e-300, 0.0)
    weights[::500] = 1.0
    few, all_rows = (Objective("log_loss", X, y, sample_weight=w) for w in (weights, None))
    assert growth_pays(all_rows)
    assert not growth_pays(few)
    assert Growing(few, LBFGS, 0).sizes == [5100]
    balanced = np.where(np.arange(len(y)) % 100, 0.505, 50.0)
    assert growth_pays(Objective("log_loss", X, y, sample_weight=balanced))


def test_no_matrix_where_the_penalty_is_strong_or_no_direction_stands_out():
    X, y = classes(4000, 300)
    X[:, 1:] += 3.0 * X[:, :1]
    weak, strong = (
        Objective("log_loss", X, y, alpha=alpha, fit_intercept=False) for alpha in (1e-5, 10.0)
    )
    assert cheapest(weak, 1e-4)[0] is Newton
    assert cheapest(strong, 1e-4)[0] in (Sdca, SubspaceNewton)  # 13 and 20 ms
    even = Objective(
        "log_loss", np.random.default_rng(0).standard_normal((4000, 300)), y, alpha=1e-5
    )
    assert standard_spectrum(even)[0] < 4.0 < 100.0 < standard_spectrum(weak)[0]
    assert cheapest(even, 1e-4)[0] is SubspaceNewton


@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-5])
def test_newton_takes_longer_where_a_weak_penalty_holds_a_separable_model(alpha):
    """4 iterations were told under any penalty, for 12 that were taken with 784 columns."""
    X = np.random.default_rng(0).standard_normal((60, 50))
    F = Objective("log_loss", X, np.tile([-1.0, 1.0], 30), alpha=alpha)
    told, n_iterations = likely_steps(F, 1e-4)[0], 0
    solver = Newton(F, 1e-4)
    state = solver.start(F.start())
    while n_iterations == 0 or 0.5 * state.memory.decrement > 1e-4 * state.value:
        solver.advance(state)
        n_iterations += 1
    assert 0.5 * told <= n_iterations <= 2.0 * told


@pytest.mark.jit
@pytest.mark.parametrize("solver", [*batch_sizes(), "auto"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_every_solver_ends_at_the_same_optimum(solver, fit_intercept):
    X, y = classes(300, 6)
    given = {"alpha": 1e-2, "tol": 1e-8, "fit_intercept": fit_intercept, "random_state": 0}
    reference = GDClassifier(solver="newton", **given).fit(X, y)
    found = GDClassifier(solver=solver, **given).fit(X, y)
    assert found.converged_
    assert found.objective_ <= reference.objective_ * (1.0 + 2e-8)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_storages_agree_within_tol(loss):
    X, y = classes(300, 40, density=0.2)
    objectives = [
        GDClassifier(loss, alpha=1e-2, tol=1e-6).fit(stored, y).objective_
        for stored in (X, X.toarray(), X.tocsc())
    ]
    np.testing.assert_allclose(objectives, objectives[0], rtol=1e-6)


def test_small_smooth_problems_end_at_rounding():
    X, y = classes(200, 6)
    model = GDClassifier(alpha=1e-2, tol=1e-12).fit(X, y)
    assert model.plan_.solver == "newton"
    assert model.suboptimality_ <= 1e-12
    line = GDRegressor(alpha=0.0, tol=1e-12).fit(X, X @ np.arange(6.0))
    np.testing.assert_allclose(line.coef_, np.arange(6.0), atol=1e-10)


@pytest.mark.jit
def test_history_tells_how_the_batch_grows():
    X, y = classes(60_000, 20)
    model = GDClassifier(alpha=1e-4, random_state=0).fit(X, y)
    batch = model.history_["batch"]
    assert batch[0] < batch[-1] == y.size
    assert (np.diff(batch) >= 0).all()
    assert np.isinf(model.history_["bound"][batch < y.size]).all()
    assert model.suboptimality_ <= 1e-4
    assert "grows" in str(model.plan_)


def test_only_newton_begins_on_samples_by_itself():
    X, y = classes(60_000, 20)
    F = Objective("log_loss", X, y, alpha=1e-4)
    several = Objective(ToySoftmax(), X, (y > 0).astype(float), alpha=1e-4)
    own = Objective("log_loss", X, y, penalty=Quartic(), alpha=1e-4)
    for objective, solver, batch in (
        (F, "newton", "growing"),
        (F, "lbfgs", "full"),
        (several, "lbfgs", "full"),
        (several, "auto", "growing"),
        (own, "newton", "growing"),
        (own, "auto", "full"),
    ):
        assert make_plan(Settings(solver), objective)[0].batch_size == batch


def test_rows_in_chunks_need_a_rule():
    X, y = classes(50, 3)
    for solver in batch_sizes():
        assert not hasattr(GDClassifier(solver=solver), "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
            GDClassifier(solver=solver).partial_fit(X, y)
    GDClassifier().partial_fit(X, y, classes=[-1, 1])


def test_a_model_keeps_vectors_as_long_as_the_rows_only_to_go_on():
    X, y = classes(2000, 3)
    small = len(pickle.dumps(GDClassifier("hinge", max_iter=2, tol=None).fit(X, y)))
    assert small < 16_000
    warm = GDClassifier("hinge", max_iter=2, tol=None, warm_start=True).fit(X, y)
    assert len(pickle.dumps(warm)) > 16_000


def test_a_plan_reads_at_a_prompt_as_it_prints():
    plan = Plan("gd", 8, "auto", ("few rows",))
    assert repr(plan) == str(plan) == "gd on 8 rows per update, learning rate auto: few rows."


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_a_plan_that_is_wrong_is_changed(monkeypatch, penalty):
    X, y = classes(300, 6)
    given = {"penalty": penalty, "alpha": 1e-2, "tol": 1e-6}
    right = GDClassifier(**given).fit(X, y)
    kind = Newton if penalty == "l2" else WorkingSet
    advance = kind.advance

    def stuck(self, state):
        if state.iteration == 0:
            advance(self, state)
        else:
            state.iteration += 1
            state.done = True

    monkeypatch.setattr(kind, "advance", stuck)
    model = GDClassifier(**given).fit(X, y)
    assert model.plan_.solver == ("lbfgs" if penalty == "l2" else "nesterov")
    assert "newton brought no more" in str(model.plan_)
    assert model.converged_
    assert model.suboptimality_ <= 1e-6
    assert model.objective_ <= right.objective_ * (1.0 + 2e-6)
    passes = model.history_["passes"]
    assert (np.diff(passes) >= 0.0).all()
    assert passes.size > model.n_iter_ - 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": "perceptron", "solver": "newton"}, "derivatives"),
        ({"loss": "hinge", "solver": "newton", "batch_size": "growing"}, "smooth losses"),
        ({"loss": "hinge", "solver": "lbfgs"}, "derivatives"),
        ({"solver": "lbfgs", "penalty": "l1"}, "an L1 part"),
        ({"solver": "saga", "loss": "hinge"}, "saga"),
        ({"solver": "sdca", "penalty": "l1"}, "L2 part"),
    ],
)
def test_what_a_solver_is_not_for_is_refused(given, words):
    X, y = classes(50, 3)
    with pytest.raises(ValueError, match=words):
        GDClassifier(**given).fit(X, y)


def test_a_copy_of_x_is_named(monkeypatch):
    X, y = classes(50, 3)
    assert "copied once" in str(GDClassifier().fit(np.asfortranarray(X), y).plan_)  # few values
    monkeypatch.setattr("fastgd.estimators.base.FEW_VALUES", 0)
    lying = np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]
    for given in (X[::-1], X.astype(int)):
        assert "copied once" in str(GDClassifier().fit(given, y).plan_)
    for given in (X, X.astype(np.float32), X[10:], sp.csr_array(X), *lying):
        assert "copied" not in str(GDClassifier().fit(given, y[-given.shape[0] :]).plan_)
    for (
        given
    ) in lying:  # passes over all rows read them where they are, steps on single rows do not
        model = GDClassifier(
            solver="gd",
            batch_size=1,
            learning_rate="constant",
            tol=None,
            max_iter=3,
            random_state=0,
        )
        coef = clone(model).fit(X, y).coef_
        assert "copied once" in str(model.fit(given, y).plan_)
        np.testing.assert_array_equal(model.coef_, coef)


def test_dual_ascent_goes_with_rows_that_have_little_in_common():
    X, y = classes(60, 3000)
    alike = X + 3.0 * X[:1]
    apart, together = (
        Objective("squared_hinge", rows, y, alpha=1 / 60, fit_intercept=False)
        for rows in (X, alike)
    )
    assert row_coupling(apart) > MAX_COUPLED  # by lengths alone they would be coupled
    sparse = Objective("squared_hinge", sp.csr_array(X), y, alpha=1 / 60, fit_intercept=False)
    for F in (apart, sparse):
        assert row_freedom(F).least(60) == pytest.approx((1.0 - np.sqrt(60 / 3000)) ** 2, rel=0.1)
    assert row_freedom(together).share < 0.3  # nine tenths of their squares are one direction
    assert make_plan(Settings(), apart)[0].solver == "sdca"


@pytest.mark.jit
@pytest.mark.parametrize("given", [200, 1000, np.int64(201), 0.999])
@pytest.mark.parametrize(
    "more", [{}, {"solver": "gd"}, {"loss": "hinge"}, {"solver": "adam"}, {"solver": "lbfgs"}]
)
def test_a_batch_of_all_rows_is_batch_descent(more, given):
    X, y = classes(200, 5)
    model = GDClassifier(batch_size=given, random_state=0, **more).fit(X, y)
    full = GDClassifier(batch_size="full", random_state=0, **more).fit(X, y)
    assert model.plan_.batch_size == full.plan_.batch_size == "full"
    assert f"batch_size={given} is all 200 rows" in str(model.plan_)
    np.testing.assert_array_equal(model.coef_, full.coef_)


def test_what_keeps_its_number_of_rows():
    X, y = classes(200, 5)
    model = GDClassifier(solver="saga", batch_size=1000, alpha=0.1, random_state=0).fit(X, y)
    assert model.plan_.batch_size == 200
    assert "batch_size=1000 is all 200 rows" in str(model.plan_)
    for n, given in ((1, 1), (1, 5), (200, 1)):
        plan = GDRegressor(solver="sdca", batch_size=given).fit(X[:n], X[:n, 0]).plan_
        assert plan.batch_size == 1
        assert "all" not in str(plan)
    for solver, given in (("sdca", 1000), ("lbfgs", 199), ("newton", 0.5)):
        with pytest.raises(ValueError, match=f"does not go with batch_size={given}; legal"):
            GDClassifier(solver=solver, batch_size=given).fit(X, y)
    model = GDClassifier(batch_size=0.25, random_state=0, tol=None, max_iter=2).fit(X, y)
    assert "batch_size=0.25 was given" in str(model.plan_)


def test_rows_without_a_weight_are_no_rows_of_a_batch():
    X, y = classes(200, 5)
    weights = (np.arange(200) < 50) * 1.0
    model = GDClassifier(batch_size=50, random_state=0).fit(X, y, weights)
    assert "batch_size=50 is all 50 rows" in str(model.plan_)


@pytest.mark.plain
@pytest.mark.parametrize("rule", ["auto", "gd", "momentum", "adam"])
def test_a_short_chunk_is_one_mini_batch_and_the_next_is_cut_as_asked(rule):
    X, y = classes(200, 5)
    model = GDClassifier(solver=rule, batch_size=32, random_state=0, shuffle=False)
    model.partial_fit(X[:7], y[:7], classes=[-1.0, 1.0])
    assert model.t_ == 2.0
    model.partial_fit(X, y)
    assert model.plan_.batch_size == 32
    assert model.t_ == 2.0 + 7.0
    assert np.isfinite(model.coef_).all()
    assert (
        GDClassifier(solver="gd", batch_size=10**30).partial_fit(X, y, classes=[-1.0, 1.0]).t_
        == 2.0
    )
