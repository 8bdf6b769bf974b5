"""Newton's method and the growing batch: steps against their twins, optima of every loss, and
what holds on the way.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDRegressor, Objective, StopReason
from fastgd.fitting.build import make_solver
from fastgd.fitting.plan import Settings, make_plan
from fastgd.linalg.cholesky import Factor
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss, SquaredHinge
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.kernels import raised_curvature
from fastgd.objective.subset import on_groups
from fastgd.solvers.growing_batch import Growing, first_sample, growth_pays
from fastgd.solvers.newton import cholesky as newton_file
from fastgd.solvers.newton.cholesky import Newton
from fastgd.solvers.newton.least_squares import LeastSquares
from support.problems import iterations, optimum, proved
from support.twins import members, sparse_problem, with_jit

SMOOTH = [loss for loss in members(Loss) if loss.smooth and loss.convex]
LOSSES = pytest.mark.parametrize(
    "loss", with_jit([LogLoss(), Huber(0.7)], SMOOTH), ids=lambda loss: loss.name
)


def problem(loss, **given):
    X, y, weights, offsets = sparse_problem(loss, n=60, d=5)
    given = {"alpha": 0.02, "sample_weight": weights, "offset": offsets, **given}
    return Objective(loss, X, y, **given)


def rows_of_a_sorted_classifier(n=6000, d=6):
    """The second half of the rows is of the other class: what a sample from one end would never
    see.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.where(X @ rng.standard_normal(d) + rng.logistic(size=n) > 0.0, 1.0, -1.0)
    order = np.argsort(y, kind="stable")
    return X[order], y[order]


@LOSSES
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_newton_ends_at_the_optimum(loss, fit_intercept):
    F = problem(loss, fit_intercept=fit_intercept)
    state = iterations(Newton(F), 30)
    assert state.value <= optimum(F) + 1e-9
    assert np.abs(state.gradient).max() < 1e-7
    assert state.value == F.value(state.point)


def test_the_first_step_is_the_formula():
    F = problem(SquaredHinge())
    state = iterations(Newton(F), 1)
    _, g = F.value_and_gradient(F.start())
    np.testing.assert_allclose(
        state.point, -np.linalg.solve(F.curvature_matrix(F.start()), g), rtol=1e-9, atol=1e-11
    )


def test_squared_error_takes_one_step():
    F = problem(SquaredError())
    newton = Newton(F)
    state = iterations(newton, 1)
    assert np.abs(state.gradient).max() < 1e-12
    assert newton.progress(state).curvature[0].norm_of(state.gradient) < 1e-12


def test_dense_and_csr_take_the_same_way():
    X, y, weights, offsets = sparse_problem(LogLoss(), n=60, d=5)
    points = []
    for stored in (X, sp.csr_array(X), np.asfortranarray(X)):
        F = Objective("log_loss", stored, y, sample_weight=weights, offset=offsets, alpha=0.02)
        points.append(iterations(Newton(F), 8).point)
    np.testing.assert_allclose(points[1], points[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(points[2], points[0], rtol=0, atol=1e-12)


class Cone(Loss):
    """Smooth, convex and nearly straight far out, where differences of its derivative are
    rounding of either sign.
    """

    infimum = 0.0

    def value(self, prediction, target):
        return np.sqrt(1.0 + (prediction - target) ** 2) - 1.0

    def derivative(self, prediction, target):
        return (prediction - target) / np.sqrt(1.0 + (prediction - target) ** 2)


@pytest.mark.plain
def test_a_curvature_by_differences_is_not_negative():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, 2.0, 3.0] + np.where(np.arange(200) % 5 == 0, 1e5 * rng.standard_normal(200), 0.0)
    F = Objective(Cone(), X, y, alpha=1e-4)
    curvatures = np.empty(200)
    F.smooth_and_gradient(F.start(), curvatures, 0.0)
    assert curvatures.min() == 0.0, "no row of this problem shows what is tested"
    assert np.isfinite(F.gram(curvatures)).all()
    point = iterations(Newton(F), 40).point
    assert np.abs(F.gradient(point)).max() < 1e-9


def test_columns_without_values_and_twins_of_columns_do_no_harm():
    X, y, _, _ = sparse_problem(LogLoss(), n=60, d=5)
    X = np.c_[X, X[:, 0], np.zeros(60), 1e-9 * X[:, 1], 1e9 * X[:, 2]]
    for alpha in (0.0, 1e-3):
        F = Objective("log_loss", X, y, alpha=alpha)
        state = iterations(Newton(F), 60)
        assert np.isfinite(state.point).all()
        assert (
            np.abs(state.gradient / np.maximum(1.0, np.abs(np.r_[X.max(axis=0), 1.0]))).max() < 1e-6
        )


@pytest.mark.plain
def test_steps_from_far_off_are_as_long_as_f_falls():
    """Under a mean exp(z) a step brings predictions closer by 1, from wherever: twice as far, and
    again, is one pass each, and no matrix.
    """
    F = Objective("gamma", np.ones((50, 1)), np.full(50, 1000.0), penalty=None, fit_intercept=False)
    newton = Newton(F)
    state = newton.start(F.start())
    rates = []
    while F.gradient(state.point).max() < -1e-9:
        newton.advance(state)
        rates.append(state.rate)
    assert rates[0] >= 2.0
    assert len(rates) <= 12  # 38 by whole steps
    assert state.point[0] == pytest.approx(np.log(1000.0), rel=1e-6)


@pytest.mark.plain
@pytest.mark.parametrize(("intercept", "most"), [(True, 66.0), (False, 70.0)])
def test_counts_and_amounts_far_from_the_null_model_take_few_passes(intercept, most):
    """Passes over four losses: 85 with an intercept and 75 without, when curvature of rows far out
    was raised to twice that of a square and no step was longer than a whole one.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 5)) * rng.lognormal(size=(1000, 5))
    z = X @ [1.0, -1.0, 0.5, 0.5, 0.0]
    passes = 0.0
    for loss, level in [("gamma", 7), ("tweedie", 5), ("poisson", 5), ("negative_binomial", 6)]:
        y = rng.gamma(5.0, 0.2 * np.exp(level + 1.5 * z / z.std()))
        y = y if loss in ("gamma", "tweedie") else np.floor(y)
        settings = {"solver": "newton", "batch_size": "full", "fit_intercept": intercept}
        model = GDRegressor(loss, alpha=1e-4, tol=1e-6, **settings).fit(X, y)
        assert model.converged_
        passes += model.history_["passes"][-1]
    assert passes <= most


@pytest.mark.plain
def test_what_curvature_is_raised_to():
    """A square keeps its own; a loss that is straight there gets the square of its derivative over
    its value, a finite cap at most.
    """
    square, hinge = SquaredError(), SquaredHinge()
    for curvature_cap in (0.0, 1.0, np.inf):
        assert raised_curvature(square, 3.0, 1.0, 2.0, 2.0, curvature_cap) == 1.0
    for curvature_cap, raised in [(0.0, 0.0), (0.5, 0.5), (np.inf, 0.8)]:  # beyond its own
        assert raised_curvature(hinge, 3.0, 1.0, 5.0, -2.0, curvature_cap) == raised


def test_curvature_that_overflows_is_infinite():
    F = Objective("poisson", np.ones((3, 1)), np.ones(3), alpha=0.1, fit_intercept=False)
    curvatures = np.zeros(3)
    for curvature_cap in (0.0, np.inf):
        with np.errstate(all="ignore"):
            F.smooth_and_gradient(np.array([800.0]), curvatures, curvature_cap)
        assert (curvatures == np.inf).all()


def test_a_row_that_is_wrong_by_far_does_not_promise_a_step_of_thousands():
    """From a point where rows are wrong by 50, plain curvature asks for steps of e^50."""
    F = problem(LogLoss())
    newton = Newton(F)
    state = newton.start(np.full(F.size, -20.0))
    for _ in range(12):
        newton.advance(state)
    assert state.value <= optimum(F) * (1.0 + 1e-9)


@pytest.mark.jit  # for long in plain Python
@pytest.mark.parametrize("first", [3, 7])
def test_iterations_in_two_parts_are_the_same_iterations(first):
    X, y = rows_of_a_sorted_classifier()
    F = Objective("log_loss", X, y, alpha=1e-4)
    whole = iterations(Growing(F, Newton, 3, first=400), 10)
    part = iterations(Growing(F, Newton, 3, first=400), first)
    fresh = Growing(F, Newton, 3, first=400)
    fresh.resume(part)
    for _ in range(10 - first):
        fresh.advance(part)
    np.testing.assert_array_equal(part.point, whole.point)


@pytest.mark.jit
def test_a_batch_that_grows_saves_passes_and_ends_at_the_same_optimum():
    X, y = rows_of_a_sorted_classifier(n=20_000)
    F = Objective("log_loss", X, y, alpha=1e-4)
    best = iterations(Newton(F), 20).value
    passes = {}
    for name, solver in (
        ("full", Newton(F, 1e-6)),
        ("growing", Growing(F, lambda G: Newton(G, 1e-6), 0, first=500)),
    ):
        before = F.passes
        state = solver.start(F.start())
        while not (solver.progress(state).on_all_rows and state.value <= best * (1.0 + 1e-7)):
            solver.advance(state)
        passes[name] = F.passes - before
    assert passes["growing"] <= 0.7 * passes["full"]


@pytest.mark.jit
@pytest.mark.parametrize(
    ("loss", "first", "sizes"),
    [
        (LogLoss(), 1000, [1250, 5000, 20_000, 80_000]),
        (SquaredHinge(), 1200, [1250, 10_000, 80_000]),
    ],
)
def test_where_curvature_jumps_there_are_fewer_samples_of_more_rows(loss, first, sizes):
    """Steps by the matrix of one that began on other pieces were cut short: 33 passes' worth on
    108,642 x 146 one-hot columns, where all rows at once take 24, and now 20.
    """
    X = np.zeros((80_000, 60))
    F = Objective(loss, X, np.where(np.arange(80_000) % 2, 1.0, -1.0), alpha=1e-3)
    assert first_sample(F) == first
    assert Growing(F, Newton, 0).sizes == sizes
    assert growth_pays(F)
    few = Objective(loss, X[:5000], np.where(np.arange(5000) % 2, 1.0, -1.0), alpha=1e-3)
    assert growth_pays(few) == (loss == LogLoss())


@pytest.mark.parametrize("solver", [Newton, LeastSquares])
def test_the_matrix_of_a_sample_ends_with_it_where_curvature_is_constant(solver):
    """A column that the sample had hardly shown was held to the end: 19 iterations."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 8))
    X[:, 3] = 0.0
    X[rng.choice(4000, 3, replace=False), 3] = 1.0
    y = X @ rng.standard_normal(8) + rng.standard_normal(4000)
    F = Objective("squared_error", X, y, alpha=0.0)
    growing = Growing(F, lambda part: solver(part, 1e-6), 0, first=1000)
    state = growing.start(F.start())
    while not growing.progress(state).on_all_rows:
        growing.advance(state)
    state = iterations(growing, 1, state)
    assert np.abs(growing.evaluate(state).gradient).max() < 1e-12


class Lowered(LogLoss):
    """The log loss less 3: F is below 0."""

    infimum = -3.0

    def value(self, prediction, target):
        return np.log1p(np.exp(-prediction * target)) - 3.0


@pytest.mark.plain
def test_an_objective_below_0_takes_no_more_iterations():
    """No step was thought to be near the optimum, and stages on samples never to be close to
    theirs: 9 and 15 iterations instead of 6 and 8.
    """
    X, y = rows_of_a_sorted_classifier(n=3000)
    taken = []
    for loss in (LogLoss(), Lowered()):
        F = Objective(loss, X, y, alpha=1e-3)
        growing = Growing(F, lambda part: Newton(part, 1e-6), 0, first=300)
        results = [proved(solver, 1e-6, max_iter=30) for solver in (Newton(F, 1e-6), growing)]
        taken.append([len(result.history["objective"]) for result in results])
    assert taken[1][0] <= taken[0][0]
    assert taken[1][1] <= taken[0][1]


@pytest.mark.jit
def test_a_sample_that_explodes_is_left_for_all_rows():
    """That had ended the run, for Newton's method has no smaller steps."""
    X, y = rows_of_a_sorted_classifier(n=3000)
    F = Objective("log_loss", X, y, alpha=1e-3)
    growing = Growing(F, lambda part: Newton(part, 1e-6), 0, first=300)
    state = iterations(growing, 1)
    state.memory.inner.point = np.full(F.size, np.nan)
    growing._show(state)
    assert growing.retreat(state, F.start())
    assert growing.progress(state).on_all_rows
    np.testing.assert_array_equal(state.point, F.start())
    assert iterations(growing, 10, state).value <= optimum(F) * (1.0 + 1e-9)
    assert not growing.retreat(state, F.start())


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_columns_that_are_all_to_stay_do(value):
    """Without an intercept the matrix was 0, and the step that of gradient descent."""
    rng = np.random.default_rng(0)
    X = np.zeros((800, 3))
    for j in range(3):
        X[8 * (20 * j + np.arange(20)), j] = 1.0
    X[790:, 0] = value
    y = np.sign(rng.standard_normal(800))
    F = Objective("log_loss", X, y, alpha=1e-2, fit_intercept=False)
    part = on_groups(F, np.arange(60, 100), 0.1)
    solver = Newton(part, 1e-6)
    start = np.array([0.5, -0.5, 0.25])
    state = solver.start(start)
    solver._frozen = np.ones(3, np.bool_)
    for _ in range(3):
        solver.advance(state)
    np.testing.assert_allclose(state.point, start, atol=1e-12)


def test_a_part_counts_shares_of_passes_and_weights():
    X, y = rows_of_a_sorted_classifier(n=100)
    weights = np.arange(100.0)
    F = Objective("log_loss", X, y, sample_weight=weights, alpha=0.3)
    part = on_groups(F, np.array([1, 12]), 0.5)  # groups of 8 rows, the last one cut short
    chosen = np.r_[8:16, 96:100]
    alone = Objective("log_loss", X[chosen], y[chosen], sample_weight=weights[chosen], alpha=0.5)
    v = np.linspace(-1.0, 1.0, F.size)
    np.testing.assert_allclose(
        part.value_and_gradient(v)[1], alone.value_and_gradient(v)[1], rtol=1e-12
    )
    assert part.value(v) == pytest.approx(alone.value(v), rel=1e-13)
    assert F.passes == pytest.approx(2 * 12 / 100)
    F.moments()
    np.testing.assert_allclose(part.own_moments()[0][:3], alone.moments()[0][:3], rtol=1e-12)


def test_rows_outside_a_sample_have_no_curvature(monkeypatch):
    def dirty(shape, dtype=np.float64, **kwargs):
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype, **kwargs)

    monkeypatch.setattr(np, "empty", dirty)
    X, y = rows_of_a_sorted_classifier(80)
    F = on_groups(Objective("log_loss", X, y, alpha=1e-4), np.arange(5), 1e-3)
    state = iterations(Newton(F), 4)
    assert not state.memory.row_curvatures[40:].any()
    assert np.count_nonzero(state.memory.row_curvatures) > 30


def test_rows_of_next_to_no_curvature_are_left_out_and_the_decrement_stays_a_bound(monkeypatch):
    monkeypatch.setattr(newton_file, "are_few", lambda *_: True)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5)) * np.where(np.arange(400) < 40, 0.5, 10.0)[:, None]
    y = np.where(X @ np.ones(5) > 0.0, 1.0, -1.0)
    y[:40] = rng.choice([-1.0, 1.0], 40)
    F = Objective("log_loss", sp.csr_array(X), y, alpha=1e-3)
    newton = Newton(F)
    state = iterations(newton, 12)
    newton._take_curvature(state)
    factor, anchor = newton.progress(state).curvature
    assert np.count_nonzero(state.memory.row_curvatures == 0.0) > 100
    whole = F.curvature_matrix(anchor)
    left_out = whole - np.stack([factor.product(column) for column in np.eye(F.size)], axis=1)
    values = np.linalg.eigvalsh(left_out)
    assert values[0] > -1e-14
    assert np.trace(left_out) < 0.02 * np.trace(whole)
    for g in rng.standard_normal((20, F.size)):
        assert factor.norm_of(g) ** 2 >= g @ np.linalg.solve(whole, g) * (1.0 - 1e-12)


@pytest.mark.jit
def test_no_rows_are_left_out_where_a_rare_column_has_no_others(monkeypatch):
    """Steps along it were too long for good: 123 passes on `covtype_binary` in CSR, 17 with its
    rows.
    """
    monkeypatch.setattr(newton_file, "are_few", lambda *_: True)
    X, y = rows_of_a_sorted_classifier(n=4000)
    X[:, 0] = 0.0
    X[:3, 0], y[:3] = 1e3, 1.0
    F = Objective("log_loss", sp.csr_array(X), y, alpha=1e-6)
    newton = Newton(F)
    state = iterations(newton, 10)
    newton._take_curvature(state)
    assert not state.memory.omits_rows
    assert np.count_nonzero(state.memory.row_curvatures) == F.n_samples
    assert iterations(Newton(F), 20).memory.decrement < 1e-12


def test_columns_that_a_sample_does_not_show_stay():
    X, y = rows_of_a_sorted_classifier(n=4000)
    X[:, 0] = 0.0
    X[17, 0] = 1.0
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    F = Objective("log_loss", X, y, alpha=1e-5, fit_intercept=False)
    F.moments()
    part = on_groups(F, np.arange(100, 200), 1e-3)
    assert abs(iterations(Newton(part), 4).point[0]) < 1e-12


def test_factor_solves_and_measures():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((8, 5)) * 10.0 ** np.arange(-4, 1)
    H, g = A.T @ A, A.T @ rng.standard_normal(8)
    made = Factor(H)
    assert made.full
    np.testing.assert_allclose(made.solve(g), np.linalg.solve(H, g), rtol=1e-8)
    assert made.norm(made.solve(g)) == pytest.approx(made.norm_of(g))
    np.testing.assert_allclose(made.root() @ made.root().T @ H, np.eye(5), atol=1e-6)
    twin = np.c_[A, A[:, 0]]
    flat = Factor(twin.T @ twin)
    assert not flat.full
    g = twin.T @ np.ones(8)
    np.testing.assert_allclose(twin.T @ (twin @ flat.solve(g)), g, rtol=1e-7, atol=1e-10)
    assert flat.norm(flat.solve(g)) == pytest.approx(flat.norm_of(g))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(solver="newton", batch_size=5), "does not go with batch_size=5"),
        (Settings(solver="newton", learning_rate="constant"), "finds its own steps"),
        (Settings(solver="gd", batch_size="growing"), "does not go with batch_size='growing'"),
        (Settings(solver="nwton"), "unknown solver"),
    ],
)
def test_pairs_that_are_not_legal(settings, words):
    with pytest.raises(ValueError, match=words):
        make_plan(settings, problem(LogLoss()))


def test_the_plan_is_carried_out():
    F = problem(LogLoss())
    plan, rule = make_plan(Settings(solver="newton", batch_size="growing"), F)
    assert isinstance(make_solver(plan, rule, Settings(), F, 0), Growing)


@pytest.mark.parametrize("loss", [LogLoss(), Huber(0.7)], ids=lambda loss: loss.name)
def test_a_state_follows_to_another_alpha(loss):
    """Value and gradient are those that a pass would find, the matrix is that of the new alpha."""
    F = problem(loss, alpha=0.1)
    newton = Newton(F)
    state = iterations(newton, 3)
    factor, pairs = state.memory.factor, state.memory.pairs
    diagonal_shift, matrix = np.r_[np.full(5, -0.07), 0.0], factor.matrix()
    F.set_alpha(0.03)
    newton.follow(state, diagonal_shift)
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(state.gradient, gradient, atol=1e-12)
    if loss.self_concordance is None:  # curvature that jumps is not followed
        assert state.memory.factor is None
        return
    np.testing.assert_allclose(
        state.memory.factor.matrix(), matrix + np.diag(diagonal_shift), atol=1e-12
    )
    for (s, y), (_, before) in zip(state.memory.pairs, pairs, strict=True):
        np.testing.assert_allclose(y, before + diagonal_shift * s, atol=1e-15)
    for _ in range(10):
        newton.advance(state)
    assert np.abs(F.gradient(state.point)).max() < 1e-8


@pytest.mark.parametrize("kind", [Newton, LeastSquares])
def test_a_matrix_of_a_much_larger_alpha_is_not_followed(kind):
    F = problem(SquaredError() if kind is LeastSquares else LogLoss(), alpha=1e14)
    solver = kind(F, 1e-6)
    state = iterations(solver, 1)
    F.set_alpha(1e-3)
    solver.follow(state, np.r_[np.full(5, 1e-3 - 1e14), 0.0])
    assert state.memory.factor is None
    np.testing.assert_array_equal(state.gradient, F.smooth_and_gradient(state.point)[1])
    for _ in range(8):
        solver.advance(state)
    assert np.abs(F.gradient(state.point)).max() < 1e-10


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_a_loss_that_is_not_convex_ends_where_f_no_longer_falls(scale):
    """With tol=0, where no proof ends a run, 400 iterations went on among rounding after 8."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 5))
    y = scale * rng.wald(np.exp(0.3 * X[:, 0]), 2.0)
    model = GDRegressor("inverse_gaussian", solver="newton", alpha=1e-6, tol=0).fit(X, y)
    values = model.history_["objective"]
    lowest = values.min() + 8.0 * np.finfo(float).eps * abs(values.min())
    assert model.n_iter_ <= np.argmax(values <= lowest) + 20
    assert model.stop_reason_ is StopReason.CONVERGED
    assert model.bound_kind_ == "estimate"
