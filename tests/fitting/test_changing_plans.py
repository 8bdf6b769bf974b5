"""A plan that does not get there is left for the next one, by counts, until none remains; the
best of all is kept.
"""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Huber, MultiTask, Objective, Quantile, solvers
from fastgd.certificates.bound import Bound
from fastgd.fitting import runs as fitting
from fastgd.fitting.choose_solver import takeovers
from fastgd.fitting.default_rules import rules_of_rivals
from fastgd.fitting.history import History
from fastgd.fitting.leaving_rules import Overdue, Slow
from fastgd.fitting.plan import INTERIOR_POINT, Plan, Settings, make_plan
from fastgd.fitting.replan import forecast_of_plan, is_again, joined, next_plan
from fastgd.fitting.result import Result
from fastgd.fitting.stopping import StopReason
from fastgd.objective.cost_model import visit_cost
from fastgd.objective.distances import curvature_unit
from fastgd.objective.moments import row_freedom
from fastgd.solvers.base import LAST_RESORT, Forecast, Progress
from fastgd.solvers.dual.dual_cost import dual_passes
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.interior_point import column_generation
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_generation import ColumnGeneration
from fastgd.solvers.newton.cholesky import Newton
from fastgd.solvers.newton.column_subspace import SubspaceNewton
from fastgd.solvers.newton.subspace import combining_cost


def raw(n, d, sigma=3.0, seed=0):
    """Log-normal columns, and a score in their logarithms."""
    rng = np.random.default_rng(seed)
    X = np.exp(sigma * rng.normal(size=(n, d)))
    z = np.log(X) @ rng.normal(size=d)
    z /= z.std()
    return X, z, z + rng.logistic(size=n) > 0.0


def estimator(loss, **given):
    regression = isinstance(loss, Quantile) or loss in (
        "epsilon_insensitive",
        "huber",
        "squared_epsilon_insensitive",
    )
    return (GDRegressor if regression else GDClassifier)(loss, random_state=0, **given)


LOSSES = [
    "hinge",
    Quantile(0.5),
    "epsilon_insensitive",
    "squared_hinge",
    "modified_huber",
    "huber",
    "log_loss",
]


@pytest.mark.jit  # for long in plain Python
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_no_other_plan_is_ahead_on_raw_wide_tables(loss, penalty):
    for seed, (n, d, alpha) in enumerate([(50, 60, 1e-4), (60, 75, 1e-6), (30, 200, 1e-3)]):
        X, z, labels = raw(n, d, seed=seed)
        given = {"penalty": penalty, "alpha": alpha}
        model = estimator(loss, **given)
        y = labels if isinstance(model, GDClassifier) else z
        model.fit(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rounding may leave more than 1e-8 to be proved
            tight = estimator(loss, tol=1e-8, **given).fit(X, y)
        assert model.bound_kind_ == "proof"
        assert model.suboptimality_ <= model.tol
        assert model.objective_ <= tight.objective_ + 2.0 * model.tol * max(tight.objective_, 1e-4)


def history(passes, far):
    """Checks, and what a solver estimated: after three iterations nothing, then the same."""
    made = History()
    for _ in range(3):
        made.estimate(0.0, np.inf)
    for iteration, (p, s) in enumerate(zip(passes, far, strict=True)):
        made.append(passes=p, suboptimality=s, objective=1.0, iteration=iteration + 1)
        made.estimate(p, s)
    return made


def test_a_run_is_overdue_once_another_plan_is_ahead_by_count():
    rule = Overdue(1e-4, forecast=50.0, other=lambda: 100.0)
    assert rule.check(history([49.0], [np.inf])) is None  # not before it was to be there
    assert rule.check(history([51.0], [np.inf])) is StopReason.PLATEAU
    assert rule.check(history([30.0, 60.0], [1.0, 1.0])) is StopReason.PLATEAU
    assert rule.check(history([30.0, 60.0], [1.0, 0.1])) is None  # three digits at 30 passes each
    assert rule.check(history([30.0, 60.0], [1.0, 0.11])) is None
    assert rule.check(history([30.0, 60.0], [1.0, 0.2])) is StopReason.PLATEAU
    assert rule.remaining_passes(history([30.0, 60.0], [1.0, 0.1])) == pytest.approx(90.0)
    # Whatever the pace promises, eight times what was forecast are enough.
    assert rule.check(history([400.0, 801.0], [1.0, 1.1e-4])) is StopReason.PLATEAU


@pytest.fixture
def hopeful(monkeypatch):
    """Dual ascent said to take next to nothing, everywhere."""
    told = classmethod(lambda cls, F, tol, cutoff=np.inf: Forecast(1.0, "said to be quick"))
    monkeypatch.setattr(Sdca, "forecast", told)


@pytest.mark.parametrize("loss", ["hinge", Quantile(0.5), "squared_hinge", "huber"], ids=str)
def test_dual_ascent_that_stalls_is_left(hopeful, loss):
    X, z, labels = raw(50, 60)
    model = estimator(loss, alpha=1e-6)
    y = labels if isinstance(model, GDClassifier) else z
    histories = []
    for _ in range(2):
        model.fit(X, y)
        histories.append(model.history_)
        assert model.plan_.solver == "newton"
        assert "iterations sdca brought no more" in str(model.plan_)
        assert model.converged_
        assert model.suboptimality_ <= 1e-4
    np.testing.assert_array_equal(histories[0]["objective"], histories[1]["objective"])
    assert (np.diff(histories[0]["passes"]) >= 0.0).all()
    assert histories[0]["passes"][-1] < 400.0


@pytest.mark.filterwarnings("ignore:Stopped because")
@pytest.mark.parametrize("max_iter", [1000, 9])
def test_iterations_are_shared(hopeful, max_iter):
    X, _, labels = raw(50, 60)
    model = estimator("hinge", alpha=1e-6, max_iter=max_iter).fit(X, labels)
    assert model.n_iter_ <= max_iter
    assert (model.stop_reason_ is StopReason.MAX_ITER) == (max_iter == 9)


def test_iterations_of_earlier_fits_do_not_count():
    """After 20 epochs of a fit before, 20 more of this one were too many for another plan."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2))
    y = X @ [1.0, 2.0] + 0.3 * rng.standard_normal(40)
    model = GDRegressor(
        solver="gd",
        batch_size=1,
        alpha=0.01,
        tol=None,
        max_iter=20,
        random_state=0,
        warm_start=True,
    )
    model.fit(X, y).set_params(tol=1e-7).fit(X, y)
    assert model.converged_
    assert "newton went on" in str(model.plan_)
    assert 20 < model.n_iter_ <= 40


def test_a_named_solver_is_not_left():
    X, _, labels = raw(50, 60)
    with pytest.warns(match="max_iter was reached"):
        model = estimator("hinge", alpha=1e-6, solver="sdca", max_iter=40).fit(X, labels)
    assert model.plan_.solver == "sdca"
    assert "went on" not in str(model.plan_)


def stuck(monkeypatch, *kinds):
    """Solvers that have nothing left to do after their first iteration, and do nothing in it."""
    for kind in kinds:
        monkeypatch.setattr(kind, "advance", lambda self, state: idle(state))
        monkeypatch.setattr(kind, "progress", lambda self, state: Progress(done=state.done))


def idle(state):
    state.iteration += 1
    state.done = True


def test_every_plan_has_its_iteration_once(monkeypatch):
    stuck(monkeypatch, Newton, CentralPath, LBFGS)
    X, _, labels = raw(60, 5, sigma=0.5)
    model = GDClassifier("squared_hinge", alpha=1e-3).fit(X, labels)
    assert model.plan_.solver == "nesterov"
    words = str(model.plan_)
    plans = [
        words.index(f"so {one} went on")
        for one in ("lbfgs", f"newton {INTERIOR_POINT}", "sdca", "nesterov")
    ]
    assert plans == sorted(plans)
    assert words.count("went on") == 4
    assert model.suboptimality_ <= 1e-4


@pytest.mark.plain
@pytest.mark.filterwarnings("ignore:Stopped because")
def test_non_smooth_losses_end_with_one_row_steps(monkeypatch):
    stuck(monkeypatch, Sdca, CentralPath)
    X, _, labels = raw(60, 5, sigma=0.5)
    model = GDClassifier("hinge", alpha=1e-2, max_iter=100, random_state=0)
    model.fit(X, labels)
    words = str(model.plan_)
    assert model.plan_.solver == "gd"
    assert words.count("went on") == 2
    assert "one-row steps" in words
    assert model.objective_ < 1.0


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("loss", ["hinge", "huber", "log_loss", "squared_hinge"])
def test_no_plan_comes_twice(loss, penalty):
    X, z, labels = raw(40, 6, sigma=0.5)
    F = Objective(
        loss, X, z if loss == "huber" else np.where(labels, 1.0, -1.0), penalty=penalty, alpha=1e-3
    )
    tried = [make_plan(Settings(), F)[0]]
    while (following := next_plan(tried, F, "it ended")) is not None:
        assert forecast_of_plan(following[0], F, 1e-4).passes > 0.0
        tried.append(following[0])
    assert len({(one.solver, one.form) for one in tried}) == len(tried) <= 5
    assert tried[-1].solver in ("gd", "nesterov")
    assert next_plan([Plan("gd", 1, "auto")], F, "") is None


def test_what_was_left_early_is_taken_up_again_before_plans_whose_need_nobody_can_tell():
    rng = np.random.default_rng(0)
    F = Objective("poisson", rng.normal(size=(40, 60)), rng.poisson(1.0, 40) * 1.0, alpha=1e-3)
    newton, sdca = Plan("newton", "growing", "auto", method="Newton"), Plan("sdca", 1, "auto")

    def following(tried, to_go, **settings):
        return next_plan(tried, F, "it ended", to_go=to_go, **settings)[0]

    # Neither what brought no more, nor the last one at once, nor anything for who named a solver.
    assert following([newton, sdca], [None, None]).solver == "lbfgs"
    assert following([newton, sdca], [None, 50.0]).solver == "lbfgs"
    again = following([newton, sdca], [100.0, 50.0])
    assert (again.solver, again.batch_size, again.method) == ("newton", "full", "Newton")
    assert "it ended, so newton was taken up again" in str(again)
    assert following([newton], [100.0]).solver == "sdca"
    lbfgs = Plan("lbfgs", "full", "auto")
    assert following([newton, sdca, lbfgs], [1500.0, 900.0, None]).solver == "sdca"
    # What has more left than the unknown is feared to take comes after it.
    assert following([newton, sdca], [1500.0, None]).solver == "lbfgs"
    assert following([newton, sdca, lbfgs], [2500.0, None, None]).solver == "nesterov"
    nesterov = Plan("nesterov", "full", "auto")
    assert following([newton, sdca, lbfgs, nesterov], [2500.0] + 3 * [None]).solver == "newton"
    # It goes on as if it had been named, and is the only one that comes twice.
    tried = [newton, sdca, again]
    assert is_again(tried)
    assert not is_again([*tried, lbfgs])
    assert not rules_of_rivals(Settings(), tried, F)
    assert following(tried, [100.0, 50.0, None]).solver == "lbfgs"
    assert following([*tried, lbfgs], [100.0, 50.0, None, None]).solver == "nesterov"


def test_a_known_forecast_is_a_rival_however_much_it_tells():
    """Counts of 898 rows on 4,269 one-hot columns beside a raw one, no penalty: past gradients took
    1,411 passes and proved 1e-2, for elimination, which takes 29, was told to be worth 1,713.
    """
    rng = np.random.default_rng(0)
    n = 900
    levels = (
        sp.csr_array((np.ones(n), (np.arange(n), rng.integers(size, size=n))), shape=(n, size))
        for size in (3300, 500, 450)
    )
    X = sp.csr_array(sp.hstack([*levels, np.floor(rng.uniform(0.0, 500.0, (n, 1)))]))
    F = Objective("poisson", X, rng.poisson(0.7, n).astype(float), penalty=None)
    tried = [Plan("newton", "full", "auto")]
    other = next_plan(tried, F, "")[0]
    assert other.form == "by elimination"
    assert forecast_of_plan(other, F, 1e-4).passes > LAST_RESORT
    rule = rules_of_rivals(Settings(), tried, F)[0]
    assert isinstance(rule, Slow)
    assert rule.forecast == forecast_of_plan(tried[0], F, 1e-4).passes
    # An iteration's combinations are of the same unit.
    assert rule.more == pytest.approx(combining_cost(F))
    assert not rules_of_rivals(Settings(), [*tried, other, Plan("lbfgs", "full", "auto")], F)


@pytest.mark.plain
@pytest.mark.parametrize("seed", [0, 1])
def test_newton_steps_for_k_predictions_are_left_where_no_row_has_curvature(seed):
    """Three rows of raw columns, Huber's lines nearly all the way: 730 and 1,000 iterations, the
    latter unproved, before; 119 and 98 now.
    """
    rng = np.random.default_rng(seed)
    X = np.floor(rng.uniform(0.0, 10.0 ** rng.uniform(1, 8, size=281), size=(3, 281)))
    y = rng.normal(size=(3, 3))
    model = GDRegressor(Huber(1e-3), penalty=MultiTask(0.0), alpha=0.0, tol=6e-4, random_state=0)
    model.fit(X, y)
    assert model.converged_
    assert model.n_iter_ < 300
    assert model.plan_.solver == "lbfgs"
    assert "went on" in str(model.plan_)


def test_dual_ascent_is_the_last_where_it_is_not_expected_to_pay():
    rng = np.random.default_rng(0)
    X = rng.lognormal(0.0, 1.0, (4000, 4)) * 1e3
    F = Objective("quantile", X, rng.standard_normal(4000), alpha=1e-6, fit_intercept=False)
    assert Sdca.forecast(F, 1e-4).last
    tried = [make_plan(Settings(), F)[0]]
    while (following := next_plan(tried, F, "it ended")) is not None:
        tried.append(following[0])
    assert [one.solver for one in tried[-2:]] == ["gd", "sdca"]
    # But not after what is told to take far more: 92,070 passes beside 3,781.
    passes = Sdca.forecast(F, 1e-4).passes
    assert Sdca.forecast(F, 1e-4, 5.0 * passes).last
    assert not Sdca.forecast(F, 1e-4, 20.0 * passes).last
    named = [Plan("newton", "full", "auto", (), INTERIOR_POINT)]
    while (following := next_plan(named, F, "", automatic=False)) is not None:
        named.append(following[0])
    assert "sdca" not in [one.solver for one in named]


def test_a_named_newton_has_the_central_path_left():
    X, _, labels = raw(40, 6, sigma=0.5)
    F = Objective("squared_hinge", X, np.where(labels, 1.0, -1.0), alpha=1e-3)
    tried = [Plan("newton", "full", "auto")]
    tried.append(next_plan(tried, F, "", automatic=False)[0])
    assert tried[-1].form == INTERIOR_POINT
    assert next_plan(tried, F, "", automatic=False) is None


@pytest.mark.parametrize("first", [True, False])
def test_the_best_point_and_the_best_proof_are_kept(first):
    """What was proved by one plan counts for the better point of the other."""
    results = []
    for value, bound in ((1.0, 0.3), (1.1, 0.11)) if first else ((1.1, 0.11), (1.0, 0.3)):
        checks = history([1.0], [np.nan])
        ending = StopReason.PLATEAU
        results.append(
            Result(
                np.zeros(1),
                value,
                Bound(bound, "proof"),
                bound / (value - bound),
                ending,
                checks,
                None,
            )
        )
    known = SimpleNamespace(loss=SimpleNamespace(infimum=0.0), null_value=2.0)
    found = joined(known, *results)
    assert found.objective == 1.0
    assert found.bound.value == pytest.approx(0.01)
    assert found.suboptimality == pytest.approx(0.01 / 0.99)


def test_a_proof_of_another_point_is_told_in_the_unit_of_the_better_one():
    """Without an infimum that is what columns gained: nothing at the first point, all at the other.

    2.8e179 was told of a model that was proved to 1e-14, and no warning given.
    """
    before, after = (
        Result(
            np.zeros(1),
            value,
            Bound(bound, "proof"),
            bound / max(-value, 1e-175),
            StopReason.PLATEAU,
            history([1.0], [np.nan]),
            None,
        )
        for value, bound in ((-1e-175, 28.0), (-28.0, 1e-3))
    )
    known = SimpleNamespace(loss=SimpleNamespace(infimum=-np.inf), null_value=0.0)
    found = joined(known, before, after)
    assert found.bound.value <= 1e-3
    assert found.suboptimality == pytest.approx(found.bound.value / 28.0)


def test_a_proof_of_two_plans_together_is_a_proof(monkeypatch):
    X, y = raw(40, 6, sigma=0.5)[::2]
    F = Objective("log_loss", X, np.where(y, 1.0, -1.0), alpha=0.1)
    task = fitting.Task(F.loss, F.penalty, F.rows, Settings(), 0.1, True)
    ends = iter([(1.1, 0.10001), (1.0, 0.5)])

    def go(record, rule, start, state, kept):
        value, bound = next(ends)
        checks = history([1.0], [bound])
        checks["batch"][-1] = 40
        return Result(
            F.start(), value, Bound(bound, "proof"), bound, StopReason.PLATEAU, checks, None
        )

    _, result, _ = fitting.run_by_plans(task, F, go, None, None)
    assert result.reason is StopReason.CONVERGED
    assert result.suboptimality <= 1e-4


def test_dual_ascent_knows_on_which_piece_of_the_loss_rows_are():
    """Told by the curvature that few rows have, 2,838 passes, a Huber loss of targets far beyond
    its epsilon went another way and took 2,687 instead of 43.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 60)), 100.0 * rng.normal(size=120)
    y -= np.median(y)
    told = {}
    for epsilon in (0.1, 1e4):
        F = Objective(Huber(epsilon), X, y, alpha=1e-4, fit_intercept=False)
        F.know_null_model()
        told[epsilon] = dual_passes(F, 1e-4) / visit_cost(F)
    # Of the second all rows are on the parabola.
    assert told[0.1] < 60.0 < 500.0 < told[1e4]


def test_plans_know_what_a_loss_curves_by_at_the_null_model():
    """Of counts of 1,000 the curvature is 1,000: a plan that was made before it was known took it
    to be 1.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 90)), rng.poisson(1e3, size=60).astype(float)
    seen = []

    class Watched(SubspaceNewton):
        @classmethod
        def forecast(cls, objective, tol, cutoff=np.inf):
            seen.append(curvature_unit(objective))
            return super().forecast(objective, tol, cutoff)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solvers, "REGISTRY", (Watched,))
        GDRegressor(loss="poisson", alpha=1.0, max_iter=100).fit(X, y)
    assert min(seen) > 100.0


def test_dual_ascent_knows_how_free_rows_are():
    """That it was told 7e6 passes took one-row steps, which prove nothing, on 2,694 x 2,912."""
    rng = np.random.default_rng(0)
    y = np.tile([-1.0, 1.0], 50)
    # Ones, never centred, are as long again along one direction.
    kinds = {110: (80, 320), 400: (20, 45)}  # 152, 178 and 27, 34 visits to each row
    for n_columns, (least, most) in kinds.items():
        for X in (rng.normal(size=(100, n_columns)), rng.random((100, n_columns)) < 0.3):
            F = Objective("hinge", X.astype(float), y, alpha=1e-5, fit_intercept=False)
            assert least < dual_passes(F, 1e-4) / visit_cost(F) < most
            assert not Sdca.forecast(F, 1e-4).last
    # Rows of wild lengths undo more of each other's steps: over 500 visits.
    wild = Objective("hinge", raw(100, 400)[0], y, alpha=1e-4)
    assert row_freedom(wild).least(100) < 0.05


@pytest.mark.jit
def test_a_working_set_that_nearly_all_columns_are_in_is_left():
    """1,885 rows of 12,452 columns like these were not proved after 295 iterations.

    Its forecast counts matrices, and so must what it has taken: 600 x 4,000 took 5.3 s, now 0.5.
    """
    rng = np.random.default_rng(0)
    X = (rng.random((200, 1200)) < 0.1).astype(float)
    score = X @ rng.standard_normal(1200)
    y = rng.poisson(np.exp(3.0 + 2.0 * score / score.std())).astype(float)
    given = {"penalty": "elasticnet", "l1_ratio": 0.5, "alpha": 14.0 / 200, "tol": 1e-2}
    model = GDRegressor("poisson", fit_intercept=False, **given).fit(sp.csr_array(X), y)
    assert model.plan_.solver == "sdca"
    assert "newton brought no more" in str(model.plan_)
    assert model.bound_kind_ == "proof"
    assert model.converged_


@pytest.mark.parametrize("seed", [3, 4])
def test_past_gradients_go_on_where_only_the_curvature_tells_how_far_the_optimum_is(seed):
    """Nobody can tell what accelerated descent takes, which had ended at `max_iter`."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, 6))
    Y = X @ rng.standard_normal((6, 3)) + rng.standard_t(2, (120, 3))
    model = GDRegressor(Huber(0.001), penalty=MultiTask(), alpha=0.0).fit(X, Y)
    assert model.plan_.solver == "lbfgs"
    assert model.converged_
    each = [GDRegressor(Huber(0.001), alpha=0.0, tol=1e-8).fit(X, y).objective_ for y in Y.T]
    assert model.objective_ == pytest.approx(sum(each), rel=1e-4)


def weak_elastic_net(seed=0):
    """Rows that are fewer than columns, and an L1 part that holds hardly any of them at 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 450))
    given = {"penalty": "elasticnet", "l1_ratio": 0.05, "alpha": 1e-3}
    return X, X[:, :30].sum(axis=1) + rng.normal(size=60), given


def test_columns_by_need_are_left_where_they_become_more_than_dual_ascent_takes(monkeypatch):
    """They were never left, and took 92,070 passes where they were forecast 2,230 and dual ascent
    takes 3,781.
    """
    monkeypatch.setattr(column_generation, "MIN_COLUMNS", 4)
    monkeypatch.setattr(ColumnGeneration, "forecast", lambda *given: Forecast(20.0, "few"))
    X, y, given = weak_elastic_net()
    told = {"passes": 1e9}
    monkeypatch.setattr(Sdca, "forecast", lambda *given: Forecast(**told, last=True))
    model = GDRegressor(Quantile(0.5), **given, random_state=0).fit(X, y)
    assert (model.plan_.solver, model.converged_) == ("newton", True)
    told["passes"] = 5.0
    model = GDRegressor(Quantile(0.5), **given, random_state=0).fit(X, y)
    assert (model.plan_.solver, model.converged_) == ("sdca", True)
    assert "so sdca went on from there" in str(model.plan_)


def test_dual_ascent_that_took_over_is_not_left_for_what_proves_nothing():
    X, y, given = weak_elastic_net()
    settings = Settings()
    F = Objective(Quantile(0.5), X, y, **given)
    dual, columns = Plan("sdca", 1, "auto"), Plan("newton", "full", "auto", (), INTERIOR_POINT)
    first, second = (rules_of_rivals(settings, tried, F)[0] for tried in ([dual], [columns, dual]))
    assert first.other() == ColumnGeneration.forecast(F, 1e-4).passes
    assert second.other() == np.inf


def test_what_proves_nothing_of_kinks_takes_over_last(monkeypatch):
    X, y, given = weak_elastic_net()
    F = Objective(Quantile(0.5), X, y, **given)
    for passes, order in ((5.0 * LAST_RESORT, ["sdca", "gd"]), (1e5, ["gd", "sdca"])):
        told = Forecast(passes, last=True)
        monkeypatch.setattr(Sdca, "forecast", lambda *given, told=told: told)
        names = [one.rule_name or one.name for one, _ in takeovers(F, 1e-4)]
        assert names[-2:] == order
