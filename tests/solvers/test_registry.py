"""A solver is a class and a line in the registry: nothing else has to know it."""

import dataclasses
import re

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor, MultiTask, solvers
from fastgd.fitting.choose_solver import batch_sizes, cheapest, takeovers
from fastgd.fitting.default_rules import rules_of_run
from fastgd.fitting.leaving_rules import Outgrown, Overdue, Slow, Stalled
from fastgd.fitting.plan import Plan, Settings
from fastgd.fitting.stored_classes import SOLVERS
from fastgd.fitting.task import Task
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.objective import Objective
from fastgd.solvers.base import MAX_CHECKS, Forecast, Solver, Traits
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.newton.cholesky import Newton
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from support.components import ToyWeightedL1


class Halving(Solver):
    """Steps along the gradient, halved until F falls; nothing else."""

    name = "halving"

    @classmethod
    def refusal(cls, objective):
        return None if objective.loss_smooth else "needs a loss with a derivative"

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        return Forecast(0.5, "steps are said to be enough")

    def advance(self, state):
        F, rate = self.objective, 1.0
        total = state.value + F.rest_value(state.point)
        for _ in range(60):
            point = state.point - rate * state.gradient
            value, gradient = F.smooth_and_gradient(point)
            if value + F.rest_value(point) < total:
                state.point, state.value, state.gradient = point, value, gradient
                break
            rate *= 0.5
        else:
            state.done = True
        state.rate = rate
        state.iteration += 1
        state.updates += 1


def test_what_a_class_declares_is_one_of_the_traits_and_each_is_explained():
    """As attributes of classes they had defaults in one place, meanings in another, and one that
    was misspelt was nobody's to read.
    """
    explained = re.findall(r"^    (\w+) : ", Traits.__doc__, flags=re.MULTILINE)
    assert explained == [one.name for one in dataclasses.fields(Traits)]
    with pytest.raises(TypeError, match="free_answer"):
        Traits(free_answer=False)
    for solver in SOLVERS:
        assert not set(explained) & set(dir(solver)), f"{solver.__name__} declares past its traits"


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(solvers, "REGISTRY", (*solvers.REGISTRY, Halving))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    return X, X @ [1.0, -1.0, 0.5] + 0.1 * rng.standard_normal(60)


def test_it_is_found_by_its_name(registered, data):
    X, y = data
    model = GDRegressor(solver="halving", alpha=0.1, tol=1e-8).fit(X, y)
    assert model.plan_.solver == "halving"
    assert model.converged_
    np.testing.assert_allclose(model.coef_, GDRegressor(alpha=0.1, tol=1e-8).fit(X, y).coef_, 1e-3)
    again = GDRegressor(solver="halving", alpha=0.1, tol=None, max_iter=3, warm_start=True)
    at_once = GDRegressor(solver="halving", alpha=0.1, tol=None, max_iter=6).fit(X, y)
    np.testing.assert_array_equal(again.fit(X, y).fit(X, y).coef_, at_once.coef_)


def test_auto_takes_it_where_it_says_that_it_is_cheap(registered, data):
    X, y = data
    model = GDClassifier(alpha=0.1).fit(X, y > 0.0)
    assert model.plan_.solver == "halving"
    assert "said to be enough" in str(model.plan_)


@pytest.mark.parametrize(("told", "chosen"), [(1.1, "newton"), (1.4, "halving")])
def test_of_two_that_are_close_the_sure_one_is_taken(registered, data, monkeypatch, told, chosen):
    X, y = data
    F = Objective("log_loss", X, np.sign(y), alpha=0.1)
    passes = Newton.forecast(F, 1e-4).passes / told
    monkeypatch.setattr(Halving, "forecast", lambda *given: Forecast(passes, "it is said so"))
    assert cheapest(F, 1e-4)[0].name == chosen


@pytest.mark.parametrize(
    ("told", "loss", "first"),
    [
        (Forecast(9e3), "log_loss", "halving"),
        (Forecast(2e4), "log_loss", "lbfgs"),
        (Forecast(2e4, sure=True), "log_loss", "halving"),
        (Forecast(2e4), "hinge", "halving"),
    ],
)
def test_what_is_told_far_too_many_passes_gives_way_to_what_nobody_can_tell(
    data, monkeypatch, told, loss, first
):
    """Where that proves what is left, as it does for smooth losses."""
    unknown = Forecast(1000.0, last=True)
    monkeypatch.setattr(solvers, "REGISTRY", (Halving, LBFGS, Accelerated))
    monkeypatch.setattr(Halving, "refusal", lambda objective: None)
    monkeypatch.setattr(Halving, "forecast", lambda *given: told)
    monkeypatch.setattr(LBFGS, "refusal", lambda objective: None)
    monkeypatch.setattr(LBFGS, "forecast", lambda *given: unknown)
    X, y = data
    F = Objective(loss, X, np.sign(y), alpha=0.1)
    assert cheapest(F, 1e-4)[0].name == first
    order = [solver.name for solver, _ in takeovers(F, 1e-4)]
    assert order[0] == first
    assert ("halving" in order) == (first == "halving")


def rules(F):
    plan = Plan("halving", "full", "auto")
    task = Task(F.loss, F.penalty, F.rows, Settings(), F.alpha, True)
    return rules_of_run(task, [plan], Halving(F), task.max_iter, None)


@pytest.mark.parametrize(("by", "rule", "told"), [("falls", Slow, 3.0), ("bound", Overdue, 4.0)])
def test_it_is_left_early_by_what_it_declares(registered, data, monkeypatch, by, rule, told):
    X, y = data
    F = Objective("log_loss", X, np.sign(y), alpha=0.1)
    assert not any(isinstance(one, Slow | Overdue) for one in rules(F))
    monkeypatch.setattr(Halving, "traits", Traits(judged_by=by))
    monkeypatch.setattr(Halving, "overhead_passes", lambda objective: 3.0)
    found = next(one for one in rules(F) if isinstance(one, rule))
    assert found.forecast == 0.5
    assert (found.more if by == "falls" else found.worth) == told


@pytest.mark.parametrize("few", [True, False])
def test_a_plan_that_took_over_is_judged_by_the_iterations_that_are_left(
    registered, data, monkeypatch, few
):
    """By all those of the fit, it had those of the plan before as well."""
    settings = Settings(most_iterations=9) if few else Settings()  # a warm start may go on
    F = Objective("log_loss", data[0], np.sign(data[1]), alpha=0.1)
    monkeypatch.setattr(Halving, "traits", Traits(judged_by="bound"))
    plans = [Plan("lbfgs", "full", "auto"), Plan("halving", "full", "auto")]
    task = Task(F.loss, F.penalty, F.rows, settings, F.alpha, True, max_iter=9)
    found = rules_of_run(task, plans, Halving(F), 4, None)
    assert next(one for one in found if isinstance(one, Overdue)).most == (4 if few else np.inf)


@pytest.mark.parametrize("loss", ["huber", "quantile"])
def test_by_a_forecast_made_anew_it_is_left_for_what_proves_what_is_left(
    registered, data, monkeypatch, loss
):
    F = Objective(loss, *data, alpha=0.1)
    monkeypatch.setattr(Halving, "refusal", lambda objective: None)
    monkeypatch.setattr(Halving, "traits", Traits(judged_by="forecast"))
    monkeypatch.setattr(Halving, "passes_left", lambda solver, tol: 1e5 * tol)
    found = [one for one in rules(F) if isinstance(one, Outgrown)]
    if loss == "huber":
        assert not found
        return
    assert (found[0].forecast, found[0].left()) == (0.5, pytest.approx(10.0))
    assert found[0].other() < np.inf
    monkeypatch.setattr(solvers, "REGISTRY", (Halving, AutomaticRates))
    found = next(one for one in rules(F) if isinstance(one, Outgrown))
    assert found.other() == np.inf


def test_steps_by_curvature_are_judged_at_once_where_that_jumps(registered, data, monkeypatch):
    F = Objective("huber", *data, alpha=0.1)
    assert not any(isinstance(one, Slow) for one in rules(F))
    monkeypatch.setattr(Halving, "traits", Traits(second_order=True))
    found = next(one for one in rules(F) if isinstance(one, Slow))
    assert found.forecast == 0.0
    assert found.more == curvature_cost(F) + solving_cost(F, F.n_features)


def test_it_says_after_how_many_checks_an_interior_point_method_takes_over(
    registered, data, monkeypatch
):
    F = Objective("huber", *data, alpha=0.1)
    for told in (MAX_CHECKS, 7):
        assert [one.most for one in rules(F) if isinstance(one, Stalled)] == [told]
        monkeypatch.setattr(Halving, "most_checks", lambda objective: 7)
    X, y = data
    F = Objective("log_loss", X, np.sign(y), alpha=0.1)  # to which none is open
    assert [one.most for one in rules(F) if isinstance(one, Stalled)] == [np.inf]


def test_what_it_refuses_is_refused_in_its_words(registered, data):
    X, y = data
    with pytest.raises(ValueError, match="solver='halving' needs a loss with a derivative"):
        GDRegressor("quantile", solver="halving").fit(X, y)
    with pytest.raises(ValueError, match=r"does not go with batch_size=7; legal: .*halving"):
        GDRegressor(solver="halving", batch_size=7).fit(X, y)
    assert GDRegressor("quantile", alpha=0.1).fit(X, y).plan_.solver != "halving"


def test_without_its_line_it_is_unknown(data):
    with pytest.raises(ValueError, match="unknown solver 'halving'"):
        GDRegressor(solver="halving").fit(*data)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_every_objective_has_a_solver(loss, penalty, data):
    F = Objective(loss, *data, penalty=penalty, alpha=0.0 if penalty is None else 0.1)
    solver, forecast = cheapest(F, 1e-4)
    assert solver.refusal(F) is None
    assert forecast.passes < np.inf
    assert forecast.reason
    assert solver in [one for one, _ in takeovers(F, 1e-4)]


def test_what_only_its_name_chooses_is_not_chosen(data):
    """A weighted L1 norm is refused by all that come first; SAGA was taken, for 1,000 epochs."""
    X, y = data
    F = Objective("log_loss", X, np.sign(y), penalty=ToyWeightedL1(np.ones(3)), alpha=0.01)
    assert cheapest(F, 1e-4)[0] is Accelerated


def test_names_and_batch_sizes_go_together():
    for solver in solvers.REGISTRY:
        assert solver.name
        if not solver.rule_name:
            assert set(solver.traits.batch_sizes) <= set(batch_sizes()[solver.name])


@pytest.mark.parametrize(
    ("given", "width", "told"),
    [
        ({"alpha": 0.1}, 2100, "newton' for 3 predictions takes fewer columns than 2,100; use"),
        (
            {"penalty": MultiTask()},
            4,
            "newton' needs a loss and a penalty with derivatives, got Mu",
        ),
    ],
)
def test_of_several_forms_that_refuse_the_most_telling_is_heard(given, width, told):
    """The first that was asked takes one prediction: that is no news to several classes."""
    X = np.zeros((2200, width))
    X[np.arange(2200), np.arange(2200) % width] = 1.0
    model = GDClassifier(solver="newton", multi_class="multinomial", **given)
    with pytest.raises(ValueError, match=told):
        model.fit(X, np.arange(2200) % 3)
