"""Newton steps on the central path: pieces against losses, steps against the whole linear
system, bounds against F.
"""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.datasets import load_diabetes

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.certificates.rounding import prediction_size
from fastgd.fitting.choose_solver import cheapest
from fastgd.linalg.woodbury import RowSystem
from fastgd.losses.base import Loss
from fastgd.losses.classification import Hinge
from fastgd.losses.piecewise import has_pieces, pieces
from fastgd.losses.regression import EpsilonInsensitive, Quantile, SquaredError
from fastgd.objective.null_model import null_point
from fastgd.solvers.interior_point import central_path, row_steps, row_tiles
from fastgd.solvers.interior_point.bounded_duals import BoundedDuals
from fastgd.solvers.interior_point.central_path import CentralPath
from support.problems import nearly_done
from support.twins import members, sparse_problem, with_jit

KNOWN = [loss for loss in members(Loss) if has_pieces(loss)]
CORNERED = [Hinge(), EpsilonInsensitive(0.2), Quantile(0.7)]
LOSSES = pytest.mark.parametrize("loss", with_jit(CORNERED, KNOWN), ids=lambda loss: loss.name)
PENALTIES = pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])


def problem(loss, n=60, d=5, **given):
    X, y, weights, offsets = sparse_problem(loss, n=n, d=d)
    return Objective(
        loss, X, y, **{"alpha": 0.02, "sample_weight": weights, "offset": offsets, **given}
    )


def run(F, most=60, tol=1e-9):
    solver = CentralPath(F)
    state = solver.start(F.start())
    for _ in range(most):
        solver.advance(state)
        if nearly_done(solver, state, tol):
            break
    return solver, state


def value(F, v):
    return F.loss_and_gradient(v)[0] + F.penalty_value(v)


@pytest.mark.parametrize("mu", [1e-12, 0.3, 1e12])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.3, 0.7)])
def test_centred_variables_are_on_the_central_path(low, high, mu):
    u = np.r_[-np.logspace(-8, 8, 9), 0.0, np.logspace(-8, 8, 9)]
    s, a, b = BoundedDuals(low, high, 0.0).centred(u, mu)
    np.testing.assert_allclose(u + a - b, 0.0, atol=1e-12 * (mu + np.abs(u)).max())
    # Next to an end s has no more digits than the end.
    np.testing.assert_allclose(s, np.clip(s, low, high))
    inside = np.minimum(s - low, high - s) > 1e-6
    np.testing.assert_allclose((a * (s - low))[inside], mu, rtol=1e-9)
    np.testing.assert_allclose((b * (high - s))[inside], mu, rtol=1e-9)


def test_a_point_that_another_run_has_brought_is_a_start():
    """15 iterations led from the null model and 17 from there, now 10: 90 of 3,000 rows are of the
    rarer class.
    """
    rng = np.random.default_rng(0)
    X = sp.random_array((3000, 40), density=0.1, random_state=rng, format="csr")
    X.data[:] = 1.0
    scores = X @ rng.standard_normal(40) + 0.5 * rng.standard_normal(3000)
    y = np.where(scores > np.quantile(scores, 0.97), 1, -1)
    settings = {"loss": "hinge", "alpha": 1.0 / 3000, "fit_intercept": False}
    near = GDClassifier(**settings, solver="sdca", tol=1e-2, random_state=0).fit(X, y)
    cold = GDClassifier(**settings, solver="newton", tol=1e-6).fit(X, y)
    warm = GDClassifier(**settings, solver="newton", tol=1e-6).fit(X, y, coef_init=near.coef_)
    assert warm.converged_
    assert warm.n_iter_ <= 0.8 * cold.n_iter_


@pytest.mark.parametrize("n", [40, 41])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
def test_where_no_column_enters_the_start_is_proved(loss, fit_intercept, n):
    """A run took all its iterations: 399 passes' worth of time, where now 5 passes do."""
    done = []
    for alpha in np.geomspace(1e-2, 1e2, 9):
        F = problem(loss, n=n, penalty="l1", alpha=alpha, fit_intercept=fit_intercept)
        F.know_null_model()
        solver = CentralPath(F)
        state = solver.start(null_point(F, F.null_intercept))
        done.append(state.done)
        if state.done:
            assert solver.progress(state).lower >= F.null_value * (1.0 - 1e-10)
            solver.advance(state)
            np.testing.assert_array_equal(solver.answer(state)[: F.n_features], 0.0)
            # What the whole run proves is no other optimum.
            solver._no_column_enters = lambda state: False
            whole = solver.start(null_point(F, F.null_intercept))
            for _ in range(40):
                solver.advance(whole)
            lower = solver.progress(whole).lower
            assert lower == pytest.approx(F.null_value, rel=1e-8)
    assert done == sorted(done)  # a stronger penalty holds all columns, too
    assert done[-1]
    assert not done[0]


@pytest.mark.parametrize("loss", KNOWN, ids=lambda loss: loss.name)
def test_pieces_are_the_loss(loss):
    for target in (-1.0, 1.0):
        predictions = np.linspace(-4.0, 4.0, 81)
        made = pieces(loss, np.full(81, target))
        u = made.center + made.sign * predictions
        expected = [loss.value(prediction, target) for prediction in predictions]
        np.testing.assert_allclose(made.value(u), expected, atol=1e-14)
        s = made.dual(u)
        assert ((s >= made.low) & (s <= made.high)).all()
        if loss.smooth:
            derivatives = [loss.derivative(prediction, target) for prediction in predictions]
            np.testing.assert_allclose((made.sign * s).sum(axis=0), derivatives, atol=1e-14)


@LOSSES
@PENALTIES
def test_a_step_solves_the_whole_linear_system(loss, penalty):
    """All equations at once, the twin of eliminating what belongs to one row."""
    F = problem(loss, n=20, penalty=penalty)
    solver, state = run(F, most=2)
    memory, mu = state.memory, 0.07
    (tile,), rows = solver._tiles(state), solver.row_steps
    l1_point = None
    if solver.l1_duals is not None:
        l1_point = solver.l1_duals.at(state.point[:5], memory.l1_duals)
    curvatures, derivatives, spare = np.zeros((3, 20))
    rows.begin(memory.products, float(state.point[-1]), memory.duals, derivatives, curvatures)
    factor = solver._factor(memory, curvatures, l1_point)
    # A step to 0, and one to mu less the products of its changes.
    first = solver._step(state, factor, derivatives, spare, l1_point)
    rows.correct(first.of_rows(), solver.row_scale * mu, derivatives)
    asked = None if l1_point is None else l1_point.corrected(mu, first.l1_duals)
    step = solver._step(state, factor, derivatives, derivatives, l1_point, asked)
    before, variables = memory.duals.copy(), memory.duals[:, :, tile.rows].copy()
    rows.move(step.of_rows(), 1.0, memory.duals)
    duals, moves = (memory.duals - before)[:, :, tile.rows], step.unknowns
    X = np.column_stack([F.rows.values[tile.rows], np.ones(F.n_active)])
    np.testing.assert_allclose(step.products[tile.rows], X[:, :5] @ moves[:5], atol=1e-9)
    gradient = X.T @ tile.derivatives(variables[0] + duals[0])
    gradient[:5] += F.l2 * (state.point + moves)[:5]
    ahead, u = (tile.pieces.sign * (X @ one.unknowns) for one in (first, step))
    place = solver.row_duals.at(tile.u, variables)
    every = [(place, variables, duals, tile.u + u, place.equations().step(ahead))]
    if l1_point is not None:
        gradient[:5] += memory.l1_duals[0] + step.l1_duals[0]
        u = l1_point.u + moves[:5]
        every.append((l1_point, memory.l1_duals, step.l1_duals, u, first.l1_duals))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)
    for place, found, changes, u, last in every:
        one, (s, a, b), (ds, da, db) = place.duals, found, changes
        product = mu * (1.0 if place is l1_point else solver.row_scale)
        np.testing.assert_allclose(u - one.bend * (s + ds) + a + da - b - db, 0.0, atol=1e-8)
        if np.isfinite(one.low):
            np.testing.assert_allclose(
                a * (s - one.low) + a * ds + (s - one.low) * da,
                product - last[0] * last[1],
                atol=1e-9,
            )
        if np.isfinite(one.high):
            np.testing.assert_allclose(
                b * (one.high - s) - b * ds + (one.high - s) * db,
                product + last[0] * last[2],
                atol=1e-9,
            )


@LOSSES
@PENALTIES
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_what_the_dual_variables_prove_holds_everywhere(loss, penalty, fit_intercept):
    F = problem(loss, penalty=penalty, fit_intercept=fit_intercept)
    rng, (solver, state) = np.random.default_rng(0), run(F)
    optimum = value(F, solver.answer(state))
    low, high = max(solver.row_duals.low, -3.0), min(solver.row_duals.high, 3.0)
    for _ in range(30):
        state.memory.duals[0] = rng.uniform(low, high, solver.shape[1:])
        total, bound, _ = solver._primal_and_dual(state)
        assert total == pytest.approx(value(F, state.point), rel=1e-12)
        assert bound <= optimum * (1.0 + 1e-8)


def test_rows_by_tiles_are_the_rows(monkeypatch):
    """Tiles of 7 of 60 rows, some without weight, take the path that one tile takes."""
    for loss in CORNERED:
        F = problem(loss, penalty="elasticnet")
        expected = run(F, most=6, tol=0.0)[1]
        with monkeypatch.context() as patch:
            patch.setattr(row_tiles, "ROWS", 7)
            patch.setattr(row_steps, "BLOCK", 7)
            found = run(F, most=6, tol=0.0)[1]
        np.testing.assert_allclose(found.point, expected.point, rtol=1e-6, atol=1e-9)
        assert found.memory.lower == pytest.approx(expected.memory.lower, rel=1e-8)


@LOSSES
@PENALTIES
def test_the_end_is_proved(loss, penalty):
    F = problem(loss, penalty=penalty)
    solver, state = run(F)
    found = value(F, solver.answer(state))
    assert 0.0 <= found - solver.progress(state).lower <= 2e-8 * found
    assert state.iteration <= 40
    if F.l1 > 0.0:
        assert (solver.answer(state)[:5] == 0.0).any()  # one column is empty


def test_quantiles_without_a_penalty_are_a_linear_program():
    X, y, _, _ = sparse_problem(Quantile(), n=40, d=3)
    F = Objective(Quantile(0.3), X, y)
    n, ones = 40, np.ones(40)
    program = scipy.optimize.linprog(
        np.r_[np.zeros(4), 0.3 * ones / n, 0.7 * ones / n],
        A_eq=np.column_stack([X, ones, np.eye(n), -np.eye(n)]),
        b_eq=y,
        bounds=[(None, None)] * 4 + [(0.0, None)] * (2 * n),
    )
    assert value(F, run(F, most=40)[1].point) == pytest.approx(program.fun, rel=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loose", [0, 3, 9])
def test_a_system_by_way_of_the_rows_is_the_one_of_the_columns(fit_intercept, loose):
    rng = np.random.default_rng(0)
    X, metric, curvatures = (
        rng.standard_normal((7, 20)),
        rng.uniform(0.5, 2.0, 20),
        rng.uniform(0.1, 3.0, 7),
    )
    metric[:loose] *= 1e-4  # 3 of these are apart, and of 9 as many as there are rows
    wide = np.column_stack([X, np.ones(7)]) if fit_intercept else X
    matrix = wide.T @ (curvatures[:, None] * wide) + np.diag(np.r_[metric, [0.0] * fit_intercept])
    amounts, rest = rng.standard_normal(7), rng.standard_normal(20)
    expected = np.linalg.solve(matrix, wide.T @ amounts + np.r_[rest, [0.0] * fit_intercept])
    for stored in (X, sp.csr_array(X)):
        system = RowSystem(stored, fit_intercept)
        assert system.factorise(metric, 2.0 * curvatures)
        assert not system.factorise(metric, curvatures)  # the same M: its products are there
        found, predictions = system.solve(amounts, rest)
        np.testing.assert_allclose(found, expected, rtol=1e-8)
        np.testing.assert_allclose(predictions, wide @ expected, rtol=1e-8)
        np.testing.assert_allclose(system.squares(curvatures), (X * X).T @ curvatures)


def test_wide_problems_with_few_nonzero_coefficients_are_proved():
    """Once lost in rounding, or going in circles: as many columns are free as there are rows,
    the others held.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 300))
    z = 2.0 * X[:, :5] @ rng.standard_normal(5) + 0.3 * rng.standard_normal(40)
    wild = X * 10.0 ** rng.uniform(-5.0, 5.0, 300)
    for loss, target in [
        ("quantile", z),
        ("squared_hinge", np.where(z > 0.0, 1.0, -1.0)),
        ("huber", z),
    ]:
        for data in (X, wild):
            F = Objective(loss, data, target, alpha=1e-4, penalty="l1")
            state = run(F)[1]
            assert state.memory.gap <= 1e-6 * state.memory.total


@PENALTIES
@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
def test_correctors_lead_to_the_same_end_in_fewer_iterations(loss, penalty):
    found = []
    for n_correctors in (0, 2):
        F = problem(loss, n=200, d=8, penalty=penalty, alpha=1e-3)
        solver = CentralPath(F)
        solver.n_correctors = n_correctors
        state = solver.start(F.start())
        while not nearly_done(solver, state, 1e-9):
            solver.advance(state)
        found.append((state.iteration, value(F, solver.answer(state))))
    (most, expected), (fewest, reached) = found
    assert fewest < most <= 40
    assert reached == pytest.approx(expected, rel=2e-9)


def test_correctors_are_for_matrices_that_are_dear_beside_a_pass():
    rng = np.random.default_rng(0)
    for d, expected in ((5, 0), (200, 2)):
        X = rng.standard_normal((1000, d))
        F = Objective("hinge", X, np.where(X[:, 0] > 0.0, 1.0, -1.0))
        assert CentralPath(F).n_correctors == expected


def test_what_is_asked_for_of_columns_is_what_is_asked_for_of_rows():
    """By hand: products at half a step are brought to between 0.1 and 10 times mu, but for 10."""
    point = BoundedDuals(-1.0, 1.0, 0.0).at(
        np.zeros(3), np.array([[0.0] * 3, [1.0] * 3, [2.0] * 3])
    )
    step = np.array([[-1.0, 0.0, 1.0], [0.0, -2.0, 98.0], [0.0, 4.0, -4.0]])
    asked = point.corrected(0.1, step)
    np.testing.assert_allclose(asked, [[0.1, 0.1, -97.9], [0.1, 0.1, -3.9]])
    # Products at half a step: 0.5 * 1, 1 * 0, 1.5 * 50 and 1.5 * 2, 1 * 4, 0.5 * 0.
    found = point.centred(asked, step, 0.1, 0.5) - asked
    np.testing.assert_allclose(found, [[0.0, 0.01, -1.0], [-1.0, -1.0, 0.01]])


@pytest.mark.parametrize("largest", [1e3, 1e6])
def test_more_columns_than_rows_on_wild_scales(largest):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 40))
    y = X[:, :3].sum(axis=1) + rng.standard_normal(20)
    X[:, 0] *= largest
    model = GDRegressor("quantile", random_state=0).fit(X, y)
    assert model.suboptimality_ <= 1e-4
    assert GDClassifier("hinge", random_state=0).fit(X * 1e4, y > 0.0).suboptimality_ <= 1e-4


def test_a_constant_target_is_met():
    rng = np.random.default_rng(2)
    X, target = rng.standard_normal((3, 4)), float(rng.standard_normal())
    assert GDRegressor("quantile", alpha=1e-4).fit(X, np.full(3, target)).objective_ < 1e-9


def test_newton_that_was_asked_for_may_take_the_central_path():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4))
    y = X @ [1.0, 2.0, 0.0, -1.0] + rng.standard_normal(30)
    found, best = (
        GDRegressor("huber", alpha=0, solver=solver).fit(X, y).objective_
        for solver in ("newton", "auto")
    )
    assert found == pytest.approx(best, rel=1e-8)


def test_newton_that_stands_still_leaves_for_the_central_path():
    X, y = load_diabetes(return_X_y=True)
    model = GDRegressor("huber", penalty=None, solver="newton").fit(
        (X - X.mean(axis=0)) / X.std(axis=0), y
    )
    assert model.converged_
    assert model.n_iter_ < 300


@pytest.mark.parametrize("loss", ["hinge", "log_loss", "squared_hinge"])
def test_rows_without_a_value_give_the_constant_model(loss):
    model = GDClassifier(loss).fit(sp.csr_array((30, 4)), np.arange(30) % 3 == 0)
    assert not model.coef_.any()
    assert model.suboptimality_ <= 1e-4


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_more_columns_than_rows(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 80))
    y = np.where(X[:, 0] + rng.standard_normal(30) > 0.0, 1.0, -1.0)
    F = Objective("hinge", X, y, alpha=1e-3, penalty=penalty)
    solver, state = run(F)
    assert solver.by_rows
    assert state.memory.gap <= 1e-7 * state.memory.total
    solver.by_rows = False
    state = solver.start(F.start())
    for _ in range(25):
        solver.advance(state)
    assert state.memory.total == pytest.approx(value(F, solver.answer(state)), rel=1e-6)


def test_dense_and_csr_and_weights_and_repeats_agree():
    rng = np.random.default_rng(0)
    X, y, times = rng.standard_normal((50, 4)), rng.choice([-1.0, 1.0], 50), np.arange(50) % 3
    kw = {"alpha": 1e-2, "tol": 1e-8}
    weighted = GDClassifier("hinge", **kw).fit(X, y, times)
    repeated = GDClassifier("hinge", **kw).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    sparse = GDClassifier("hinge", **kw).fit(sp.csr_array(X), y, times)
    np.testing.assert_allclose(sparse.coef_, weighted.coef_, atol=1e-9)


def test_iterations_in_two_parts_are_the_same_iterations():
    F = problem(Hinge(), penalty="elasticnet")
    points = []
    for parts in ((9,), (4, 5)):
        state = CentralPath(F).start(F.start())
        for iterations in parts:
            solver = CentralPath(F)
            solver.resume(state)
            for _ in range(iterations):
                solver.advance(state)
        points.append(state.point)
    np.testing.assert_array_equal(*points)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
def test_proves_its_answer_and_agrees_with_dual_ascent(loss):
    X, y, weights, offsets = sparse_problem(loss, n=60, d=5)
    kind = GDClassifier if loss.classification else GDRegressor
    given = {"alpha": 0.05, "tol": 1e-6, "random_state": 0}
    other = kind(loss, solver="sdca", max_iter=5000, **given).fit(X, y, weights, offset=offsets)
    for solver in ("auto", "newton"):
        found = kind(loss, solver=solver, **given).fit(X, y, weights, offset=offsets)
        assert found.bound_kind_ == "proof"
        assert found.suboptimality_ <= 1e-6
        assert found.objective_ == pytest.approx(other.objective_, rel=3e-6)


@pytest.mark.jit  # half a minute in plain Python
def test_a_newton_run_that_does_not_arrive_goes_on_along_the_central_path():
    """Fewer rows than columns and next to no penalty: which rows are on the bend changes with
    every step.
    """
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((50, 40)), 5, axis=1) + 0.1 * rng.standard_normal((50, 200))
    y = rng.standard_normal(50) * 100.0
    model = GDRegressor(penalty="l1", alpha=1e-4).fit(X, y)
    assert model.suboptimality_ <= 1e-4
    assert model.n_iter_ < 150
    assert has_pieces(SquaredError())


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber"])
@PENALTIES
def test_separable_classes_with_next_to_no_penalty(loss, penalty):
    """F is next to nothing, and which rows are at the margin changes with every step: 1,000
    iterations without this path.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 60))
    y = np.where(rng.random(40) < 0.5, -1, 1)
    model = GDClassifier(loss, penalty=penalty, alpha=1e-5, random_state=0).fit(X, y)
    assert model.suboptimality_ <= 1e-4
    assert model.n_iter_ < 150


def test_more_than_2_000_rows_and_columns_have_a_way_to_a_proof_on_all_rows():
    """Weighted hinges, `batch_size="full"`: accelerated descent was left, which proves nothing."""
    n, d = 2700, 2500
    X = sp.csr_array((np.ones(n), (np.arange(n), np.arange(n) % d)), shape=(n, d))
    F = Objective("hinge", X, np.where(np.arange(n) % 3, 1.0, -1.0), alpha=1e-4)
    solver, forecast = cheapest(F, 1e-6, "full")
    assert solver is CentralPath
    assert forecast.passes < np.inf


@pytest.mark.parametrize("least", [0.0, 1e-310, 1e-300])
def test_rows_of_no_curvature_leave_the_others_theirs(least):
    rng = np.random.default_rng(0)
    X, c = rng.standard_normal((6, 9)), np.array([1.0, 2.0, least, 3.0, least, 4.0])
    M, a, g = rng.uniform(1.0, 2.0, 9), c * rng.standard_normal(6), rng.standard_normal(9)
    system = RowSystem(X, True)
    system.factorise(M, c)
    found, predictions = system.solve(a, g)
    Z = np.column_stack([X, np.ones(6)])
    H = Z.T @ (c[:, None] * Z) + np.diag(np.append(M, 0.0))
    np.testing.assert_allclose(found, np.linalg.solve(H, Z.T @ a + np.append(g, 0.0)), rtol=1e-9)
    np.testing.assert_allclose(predictions, Z @ found, rtol=1e-9)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_weights_next_to_0_beside_large_ones_are_no_end(penalty):
    """The coefficients had become infinite."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 60))
    y = X[:, 0] + rng.standard_normal(30) > 0.0
    weights = np.where(np.arange(30) < 6, 1e9, 1e-300)
    model = GDClassifier("hinge", penalty=penalty, alpha=1e-3, tol=1e-8, solver="newton")
    model.fit(X, y, sample_weight=weights)
    assert model.suboptimality_ <= 1e-8
    few = GDClassifier("hinge", penalty=penalty, alpha=5e-3, tol=1e-8, solver="newton")
    few.fit(X[:6], y[:6])
    np.testing.assert_allclose(5.0 * model.objective_, few.objective_, rtol=1e-7)


def test_rounding_is_counted_far_from_the_optimum_too(monkeypatch):
    """The greatest bound is kept: one from where the gap was large became a claim as it was."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    F = Objective("quantile", X, X @ [1.0, 2.0, -3.0] + rng.standard_normal(60), alpha=1e-3)
    solver = CentralPath(F)
    state = solver.start(F.start())
    for _ in range(2):
        solver.advance(state)
    assert state.memory.gap > 0.1 * state.memory.total
    before = solver._primal_and_dual(state)[1]
    monkeypatch.setattr(central_path, "sum_rounding", lambda F: 1e-3)
    after = solver._primal_and_dual(state)[1]
    assert after < before - 1e-3 * prediction_size(F, state.point) * state.memory.total
