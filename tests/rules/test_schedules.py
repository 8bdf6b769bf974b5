"""What decides without reading X: schedules, batches, blocks of rows, coordinates and the plan."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.fitting.build import make_solver
from fastgd.fitting.plan import Plan, Settings, make_plan
from fastgd.losses.base import Loss, typical_curvature
from fastgd.losses.classification import LogLoss
from fastgd.losses.domain import REALS
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.blocks import MAX_BLOCKS, chunk_length, cut
from fastgd.objective.moments import column_scales
from fastgd.objective.objective import Objective
from fastgd.rules.adaptive import Adam
from fastgd.rules.batches import row_order, rows_per_update
from fastgd.rules.classic import Momentum
from fastgd.rules.schedules import SCHEDULES, make_schedule
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.distance_over_gradients import DistanceOverGradients
from fastgd.solvers.gradient.preconditioner import (
    Coordinates,
    CurvatureCoordinates,
    choose_coordinates,
)
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from fastgd.solvers.gradient.scheduled import ScheduledFullBatch
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from fastgd.solvers.stochastic.scheduled import Stochastic
from support.components import ToySoftmax, ToyWeightedL1
from support.twins import members, sparse_problem, with_jit

# Schedules


@pytest.mark.parametrize("alpha", [1e-4, 1.0])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_scikit_learn(name, alpha):
    schedule = make_schedule(name, 0.3, 0.4, alpha, LogLoss())
    typical = np.sqrt(1.0 / np.sqrt(alpha))
    first = typical / max(1.0, LogLoss().derivative(-typical, 1.0))
    expected = {
        "invscaling": lambda t: 0.3 / t**0.4,
        "optimal": lambda t: 1.0 / (alpha * (1.0 / (first * alpha) + t - 1.0)),
    }.get(name, lambda t: 0.3)
    for t in (1, 2, 10, 1000):
        assert schedule.rate(t) == pytest.approx(expected(t), rel=1e-12)


def test_optimal_says_what_it_needs():
    with pytest.raises(ValueError, match="divides by alpha, which is 0"):
        make_schedule("optimal", 0.1, 0.5, 0.0, LogLoss())
    with pytest.raises(ValueError, match="needs a loss of one prediction or of classes"):
        make_schedule("optimal", 0.1, 0.5, 0.1, ToySoftmax())
    one, several = (
        make_schedule("optimal", 0.1, 0.5, 0.1, loss) for loss in (LogLoss(), Multinomial())
    )
    assert one == several


# Batches


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ("auto", "auto"),
        ("full", "full"),
        (1.0, "full"),
        (1, 1),
        (7, 7),
        (30, 25),
        (np.int64(3), 3),
        (0.1, 3),
        (0.999, 25),
        (np.float32(0.5), 13),
        (1e-9, 1),
    ],
)
def test_a_batch_is_a_number_a_share_or_a_word(given, rows):
    assert rows_per_update(given, 25) == rows


@pytest.mark.parametrize("given", [0, -1, 0.0, 1.5, -0.1, True, None, "half", np.nan, [1]])
def test_other_batches_are_refused(given):
    with pytest.raises(
        ValueError, match="batch_size must be 'auto', 'full', 'growing', an integer"
    ):
        rows_per_update(given, 25)


def test_the_order_is_a_function_of_seed_and_epoch():
    rows = np.arange(50)
    orders = {
        (seed, epoch): row_order(rows, seed, epoch, True) for seed in (0, 1) for epoch in (0, 1)
    }
    for (seed, epoch), order in orders.items():
        np.testing.assert_array_equal(np.sort(order), rows)
        np.testing.assert_array_equal(order, row_order(rows, seed, epoch, True))
    assert len({tuple(order) for order in orders.values()}) == 4
    assert row_order(rows, 0, 3, False) is rows


# Blocks


def test_cuts_cover_the_rows_and_depend_on_the_data_alone():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, d = int(rng.integers(1, 2000)), int(rng.integers(1, 300))
        stored = int(rng.integers(0, n * d + 1))
        cuts = cut(n, stored, d)
        assert cuts.dtype == np.int64
        assert (cuts[0], cuts[-1]) == (0, n)
        assert (np.diff(cuts) > 0).all()
        assert cuts.size - 1 == min(max(stored // (8 * d), 1), MAX_BLOCKS, n)


def test_chunks_fit_the_cache():
    rng = np.random.default_rng(0)
    for X in (
        rng.standard_normal((5000, 40)),
        sp.random(5000, 40, 0.1, format="csr"),
        np.ones((3, 2)),
    ):
        F = Objective("squared_error", X, np.ones(X.shape[0]))
        length = chunk_length(as_rows(X), F.n_features)
        assert 1 <= length <= min(1024, X.shape[0])


def test_ranges_cover_every_item_once_and_errors_come_out():
    for n_items in (1, 2, 7, 64):
        for n_threads in (1, 2, 3, 8, 100):
            seen, threads = np.zeros(n_items, dtype=int), set()

            def work(first, last, seen=seen, threads=threads):
                seen[first:last] += 1
                threads.add(threading.get_ident())

            map_ranges(work, n_items, n_threads)
            assert (seen == 1).all()
            assert len(threads) <= min(n_items, n_threads)

    def fail(first, last):
        raise RuntimeError(f"range {first}")

    with pytest.raises(RuntimeError, match="range"):
        map_ranges(fail, 4, 2)


# Coordinates


def coordinates_of(loss, penalty, storage, fit_intercept):
    X, y, weights, _ = sparse_problem(loss)
    X[:, 3] = X[:, 2] ** 2 - 1.0
    X = X * 10.0 ** np.arange(-3.0, 3.0)
    return Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        penalty=penalty,
        alpha=0.1,
        fit_intercept=fit_intercept,
    )


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize(
    "loss", with_jit([LogLoss()], [LogLoss(), Huber(0.7)]), ids=lambda loss: loss.name
)
def test_coordinates_are_linear_and_gradients_go_with_them(loss, penalty, storage, fit_intercept):
    F = coordinates_of(loss, penalty, storage, fit_intercept)
    rng = np.random.default_rng(1)
    for made in (Coordinates.standard(F), choose_coordinates(F)):
        u, direction = rng.standard_normal((2, F.size))
        v = made.to_user(u)
        np.testing.assert_allclose(made.from_user(v), u, rtol=1e-6, atol=1e-8)
        moved = made.to_user(u + direction) - v
        np.testing.assert_allclose(
            moved, made.to_user(direction), rtol=1e-7, atol=1e-9 * np.abs(moved).max()
        )
        g = rng.standard_normal(F.size)
        assert made.gradient(g) @ direction == pytest.approx(g @ made.to_user(direction), rel=1e-9)


def test_a_proximal_step_in_coordinates_is_one_in_the_users_units():
    F = coordinates_of(LogLoss(), "l1", np.asarray, True)
    made = Coordinates.standard(F)
    u = np.random.default_rng(2).standard_normal(7)
    found = made.to_user(made.proximal(F, u, 0.3))
    # argmin over coefficients of F.l1 |w|_1 + |u(w) - u|^2 / (2 * 0.3), one by one: w_j = u_j /
    # s_j.
    scales = made.scales[:, 0]
    expected = np.sign(u[:6]) * np.maximum(np.abs(u[:6] / scales) - F.l1 * 0.3 / scales**2, 0.0)
    np.testing.assert_allclose(found[:6], expected, rtol=1e-12)
    assert made.from_user(found)[6] == pytest.approx(u[6])


@pytest.mark.parametrize(
    "loss",
    with_jit([LogLoss(), Huber()], [one for one in members(Loss) if one.smooth and one.convex]),
    ids=lambda loss: loss.name,
)
def test_in_curvature_coordinates_the_curvature_bound_is_the_identity(loss):
    """Whatever the targets: far from 0 a Huber loss has no curvature of its own to go by."""
    X, y, weights, offsets = sparse_problem(loss)
    X[:, 3] = X[:, 2] ** 2 - 1.0
    if loss.target_domain == REALS:
        y = y + 1e5
    for given in (None, offsets + 50.0):
        F = Objective(loss, X, y, sample_weight=weights, offset=given, alpha=0.1)
        made = choose_coordinates(F)
        assert isinstance(made, CurvatureCoordinates)
        G = Objective(
            "squared_error", X, y, sample_weight=weights, alpha=0.1 / typical_curvature(loss)
        )
        matrix = typical_curvature(loss) * G.curvature_matrix(G.start())
        basis = np.array([made.to_user(e) for e in np.eye(7)]).T
        np.testing.assert_allclose(basis.T @ matrix @ basis, np.eye(7), atol=1e-6)


def test_columns_of_zeros_have_a_scale():
    F = Objective("log_loss", [[0.0, 2.0], [0.0, -4.0]], [1.0, -1.0], fit_intercept=False)
    np.testing.assert_array_equal(column_scales(F), [1.0, 4.0])
    for made in (Coordinates.standard(F), choose_coordinates(F)):
        assert np.isfinite(made.to_user(np.ones(2))).all()
    empty = Objective("squared_error", np.zeros((3, 2)), np.ones(3), fit_intercept=False)
    assert np.isfinite(choose_coordinates(empty).to_user(np.ones(2))).all()


# The plan


def small(loss="log_loss", penalty="l2", alpha=0.1):
    X, y, _, _ = sparse_problem(
        SquaredError() if loss in ("squared_error", "huber", "epsilon_insensitive") else LogLoss()
    )
    return Objective(loss, X, y, penalty=penalty, alpha=alpha)


@pytest.mark.parametrize(
    ("settings", "loss", "expected"),
    [
        (Settings(), "log_loss", ("newton", "full", "auto")),
        (Settings(solver="newton"), "log_loss", ("newton", "full", "auto")),
        (Settings(solver="lbfgs", batch_size="growing"), "log_loss", ("lbfgs", "growing", "auto")),
        (Settings(), "hinge", ("sdca", 1, "auto")),
        (Settings(), "perceptron", ("gd", 1, "constant")),
        (Settings(solver="adam"), "log_loss", ("adam", "full", "auto")),
        (Settings(solver="adam"), "hinge", ("adam", 1, "auto")),
        (Settings(batch_size=5), "log_loss", ("gd", 5, "auto")),
        (Settings(batch_size="full"), "hinge", ("newton", "full", "auto")),
        (Settings(batch_size=0.5), "log_loss", ("gd", 12, "auto")),
        (Settings(learning_rate="line_search"), "log_loss", ("nesterov", "full", "line_search")),
        (Settings(learning_rate="pa1"), "hinge", ("gd", 1, "pa1")),
        (Settings(solver=Adam(0.5, 0.9, 1e-3), batch_size=2), "log_loss", ("adam", 2, "auto")),
    ],
)
def test_what_auto_means(settings, loss, expected):
    plan, rule = make_plan(settings, small(loss))
    assert (plan.solver, plan.batch_size, plan.learning_rate) == expected
    assert rule is None or rule.name == plan.solver
    assert str(plan).endswith(".")
    assert all(reason in str(plan) for reason in plan.reasons)
    if settings.solver == "auto":
        assert plan.reasons


def test_rows_in_chunks_are_met_one_by_one():
    for loss in ("log_loss", "hinge"):
        plan, _ = make_plan(Settings(), small(loss), streaming=True)
        assert (plan.solver, plan.batch_size) == ("adagrad", 1)


def test_the_momentum_parameter_goes_to_rules_that_have_one():
    for name in ("momentum", "nesterov"):
        assert make_plan(Settings(solver=name, momentum=0.3), small())[1].momentum == 0.3
    assert make_plan(Settings(solver=Momentum(0.7), momentum=0.3), small())[1].momentum == 0.7


@pytest.mark.parametrize(
    ("settings", "loss", "kind"),
    [
        (Settings("gd", "full"), "log_loss", BarzilaiBorwein),
        (Settings("nesterov", "full"), "log_loss", Accelerated),
        (Settings("adam", "full"), "log_loss", RateBackoff),
        (Settings("gd", "full"), "hinge", DistanceOverGradients),
        (Settings("momentum", "full", "line_search"), "log_loss", Armijo),
        (Settings("adam", "full", "constant"), "log_loss", ScheduledFullBatch),
        (Settings("adam", 3, "constant"), "log_loss", Stochastic),
        (Settings("adam", 3), "log_loss", AutomaticRates),
        (Settings(), "perceptron", Stochastic),
    ],
)
def test_which_solver_carries_a_plan_out(settings, loss, kind):
    F = small(loss)
    plan, rule = make_plan(settings, F)
    solver = make_solver(plan, rule, settings, F, seed=0)
    assert type(solver) is kind


@pytest.mark.parametrize(
    ("settings", "loss", "penalty", "message"),
    [
        (Settings(solver="sgd"), "log_loss", "l2", "unknown solver 'sgd'; write .*adagrad, adam"),
        (Settings(solver=3), "log_loss", "l2", "solver must be a string or a Rule"),
        (Settings(learning_rate="fast"), "log_loss", "l2", "learning_rate must be one of 'auto'"),
        (
            Settings(batch_size=3, learning_rate="line_search"),
            "log_loss",
            "l2",
            "needs batch_size='full'",
        ),
        (
            Settings(solver="adam", batch_size=1, learning_rate="pa1"),
            "hinge",
            "l2",
            "needs solver='gd' and batch_size=1",
        ),
        (
            Settings(batch_size=2, learning_rate="pa2"),
            "hinge",
            "l2",
            "needs solver='gd' and batch_size=1",
        ),
        (
            Settings(learning_rate="pa1"),
            "log_loss",
            "l2",
            "needs loss 'hinge' or 'epsilon_insensitive'",
        ),
        (
            Settings(learning_rate="pa1"),
            "hinge",
            ToyWeightedL1(np.ones(6)),
            "an elastic-net penalty",
        ),
    ],
)
def test_pairs_that_are_not_legal_are_refused(settings, loss, penalty, message):
    with pytest.raises(ValueError, match=message):
        make_plan(settings, small(loss, penalty))


def test_a_plan_is_text():
    assert str(Plan("gd", 1, "auto")) == "gd on 1 row per update, learning rate auto."
    assert (
        str(Plan("adam", 8, "constant", ("why", "and why")))
        == "adam on 8 rows per update, learning rate constant: why; and why."
    )
