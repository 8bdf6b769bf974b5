"""Proximal Newton with a working set: kernels against twins, optima against long proximal
gradient descent.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import fastgd.solvers.l1.working_set as sets
from fastgd import GDClassifier
from fastgd.data.targets import WeightedSamples
from fastgd.fitting.choose_solver import cheapest
from fastgd.fitting.default_rules import rules_of_run
from fastgd.fitting.leaving_rules import Slow, Stalled
from fastgd.fitting.loop import Loop
from fastgd.fitting.plan import Plan, Settings
from fastgd.fitting.replan import forecast_of_plan, next_plan
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.task import Task
from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.cost_model import COLUMN_VALUE, columns_cost, pass_cost, solving_cost
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective
from fastgd.penalties.separable import ElasticNet
from fastgd.penalties.term import ElasticTerm
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.l1 import column_subset, kernels
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.proximal_newton import RowValues, solve_support
from fastgd.solvers.l1.working_set import WorkingSet, null_gradient
from support.problems import iterations, proved, started
from support.twins import members, samples, stored, targets_of, with_jit, with_ones

SMOOTH = [loss for loss in members(Loss) if loss.smooth and loss.convex]
STORAGES = pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
FEW_LOSSES = pytest.mark.parametrize(
    "loss", with_jit([LogLoss(), Huber(0.7)], SMOOTH), ids=lambda loss: loss.name
)


def problem(
    loss,
    storage=np.asarray,
    l1_ratio=1.0,
    alpha=0.05,
    fit_intercept=True,
    n=60,
    d=12,
    seed=0,
    n_jobs=1,
):
    """Columns with zeros, some of them alike; weights with zeros, offsets."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)
    X[:, 1] += X[:, 0]
    z = X[:, :4] @ rng.standard_normal(4) + 0.5 * rng.standard_normal(n) + 0.3
    y = targets_of(loss, z)
    weights = rng.uniform(0.5, 1.5, n) * (rng.random(n) < 0.9)
    return Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        offset=0.1 * rng.standard_normal(n),
        penalty=ElasticNet(l1_ratio),
        alpha=alpha,
        fit_intercept=fit_intercept,
        n_jobs=n_jobs,
    )


def lowest(F, n_iterations=6000):
    """F after long proximal gradient descent, in NumPy alone: accelerated, anew where it goes
    up, steps by halving.
    """
    X = np.array(
        [
            F.rows.take(np.array([i])).ravel()
            if not F.rows.sparse
            else F.rows.take([i]).toarray().ravel()
            for i in range(F.n_samples)
        ]
    )
    if F.fit_intercept:
        X = with_ones(X)
    s, y = np.broadcast_to(F.samples.weights, F.n_samples), F.samples.targets
    decay = np.full(F.size, F.l2)
    decay[F.n_features :] = 0.0
    sharp = np.where(np.arange(F.size) < F.n_features, F.l1, 0.0)
    value_of = np.vectorize(F.loss.value, otypes=[float])
    derivative_of = np.vectorize(F.loss.derivative, otypes=[float])

    def smooth(v):
        z = X @ v + F.samples.offsets
        gradient = X.T @ (s * derivative_of(z, y)) / F.n_active + decay * v
        return s @ value_of(z, y) / F.n_active + 0.5 * decay @ v**2, gradient

    v = look = np.zeros(F.size)
    rate, t, best = 1.0, 1.0, np.inf
    for iteration in range(n_iterations):
        value, g = smooth(look)
        while True:
            new = look - rate * g
            new = np.sign(new) * np.maximum(np.abs(new) - rate * sharp, 0.0)
            e = new - look
            if smooth(new)[0] <= value + g @ e + 0.5 / rate * e @ e + 1e-15 * abs(value):
                break
            rate *= 0.5
        total = smooth(new)[0] + sharp @ np.abs(new)
        t = 1.0 if total > best else 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
        look = new + (t - 1.0) / (t + 1.0) * (new - v)
        if iteration > 50 and np.abs(new - v).max() < 1e-13 and t == 1.0:
            break
        v, best = new, min(best, total)
    return best


# --- kernels and their twins


def model_epochs(matrix, derivative, coef, l1, n_penalised, epochs):
    coef, start = coef.copy(), coef.copy()
    for _ in range(epochs):
        for j in range(coef.size):
            if matrix[j, j] > 0.0:
                new = coef[j] - (derivative + matrix @ (coef - start))[j] / matrix[j, j]
                if j < n_penalised:
                    new = np.sign(new) * max(abs(new) - l1 / matrix[j, j], 0.0)
                coef[j] = new
    return coef, derivative + matrix @ (coef - start)


def model(n_columns=7, n=30, l2=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X = with_ones(rng.standard_normal((n, n_columns - 1)) * (rng.random((n, n_columns - 1)) < 0.7))
    X[:, 2] = 0.0
    curvatures, derivatives = rng.uniform(0.0, 1.0, n), rng.standard_normal(n)
    coef = rng.standard_normal(n_columns) * (rng.random(n_columns) < 0.6)
    free = np.append(np.full(n_columns - 1, l2), 0.0)
    free[2] = 0.0
    matrix = X.T @ (curvatures[:, None] * X) / n + np.diag(free)
    return X, curvatures, derivatives, coef, matrix, X.T @ derivatives / n + free * coef


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_coordinate_descent_on_the_matrix_is_its_twin(epochs):
    _, _, _, coef, matrix, derivative = model()
    expected, model_derivative = model_epochs(matrix, derivative, coef, 0.2, 6, epochs)
    lower = np.full((9, 9), np.nan)  # kernels read the lower triangle of the leading part
    lower[:7, :7] = np.tril(matrix)
    found, found_derivative = coef.copy(), derivative.copy()
    taken = kernels.matrix_descent(lower, found_derivative, found, 0.2, 6, 0.0, epochs)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found_derivative, model_derivative, rtol=1e-11, atol=1e-13)
    assert taken == epochs + 1
    assert (
        kernels.matrix_descent(np.tril(matrix), derivative.copy(), coef.copy(), 0.2, 6, 1e-9, 1000)
        < 1000
    )


@pytest.mark.parametrize(
    "order", [np.arange(6), np.array([5, 0, 3, 1]), np.arange(5)[::-1]], ids=str
)
def test_an_epoch_on_columns_is_its_twin(order):
    X, curvatures, derivatives, coef, _, _ = model()
    X, coef = X[:, [0, 1, 3, 4, 5, 6]], coef[[0, 1, 3, 4, 5, 6]]  # l2 on each column but the last
    columns, places = sp.csc_array(X[:, [3, 0, 1, 2, 4, 5]]), np.array([1, 2, 3, 0, 4, 5])
    start, changes = coef, np.zeros(6)
    expected, l1, l2 = coef.copy(), np.append(np.full(5, 0.2), 0.0), np.append(np.full(5, 0.3), 0.0)
    bends = X.T**2 @ curvatures / 30 + l2
    for j in order:
        derivative = (
            X[:, j] @ (derivatives + curvatures * (X @ (expected - start))) / 30
            + l2[j] * expected[j]
        )
        new = expected[j] - derivative / bends[j]
        new = np.sign(new) * max(abs(new) - l1[j] / bends[j], 0.0)
        changes[j] = abs(new - expected[j]) * bends[j]
        expected[j] = new
    data = columns.data, columns.indices.astype(np.uint32), columns.indptr.astype(np.uint64), places
    found, amounts, diagonal = coef.copy(), derivatives.copy(), np.zeros(6)
    changed = np.zeros(6)
    numbers = diagonal, curvatures, amounts, found, changed, 0.2, 0.3, 30, 5
    moves = kernels.column_epoch(data, order, *numbers)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(
        amounts, derivatives + curvatures * (X @ (expected - coef)), rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(diagonal[order], bends[order], rtol=1e-12)
    np.testing.assert_allclose(changed, changes, rtol=1e-11, atol=1e-14)
    steps = np.divide(changes, bends, where=bends > 0.0, out=np.zeros(6))
    assert moves == pytest.approx((changes.max(), 0.5 * float(changes @ steps)), rel=1e-11)


def test_the_model_falls_by_at_least_what_an_epoch_tells():
    X, curvatures, derivatives, coef, _, _ = model()
    n, d = X.shape
    columns = sp.csc_array(X)
    data = columns.data, columns.indices.astype(np.uint32), columns.indptr.astype(np.uint64)

    def value(u):
        q = X @ (u - coef)
        smooth = derivatives @ q + 0.5 * curvatures @ q**2
        return smooth / n + 0.2 * np.abs(u[: d - 1]).sum() + 0.15 * u[: d - 1] @ u[: d - 1]

    found, amounts = coef.copy(), derivatives.copy()
    numbers = np.zeros(d), curvatures, amounts, found, np.zeros(d), 0.2, 0.3, n, d - 1
    for _ in range(4):
        before = value(found)
        fell = kernels.column_epoch((*data, np.arange(d)), np.arange(d), *numbers)[1]
        assert 0.0 < fell <= (before - value(found)) * (1.0 + 1e-12) + 1e-15


@pytest.mark.jit
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
def test_rough_steps_lead_to_the_same_optimum(fit_intercept, monkeypatch):
    """Under a weak penalty runs begin with a few epochs on many columns; they end where runs
    without do.
    """
    rng = np.random.default_rng(3)
    X = sp.random_array((300, 500), density=0.03, random_state=rng, format="csr")
    y = np.where(X @ rng.standard_normal(500) + 0.1 * rng.standard_normal(300) > 0.0, 1.0, -1.0)
    found, rough = [], []
    for closest, farest in ((sets.CLOSEST, sets.FAREST), (np.inf, np.inf)):
        monkeypatch.setattr(sets, "CLOSEST", closest)
        monkeypatch.setattr(sets, "FAREST", farest)
        F = Objective("log_loss", X, y, penalty="l1", alpha=2e-4, fit_intercept=fit_intercept)
        solver = WorkingSet(F, sampling=False)
        made, step = [], sets.newton_step

        def watched(*arguments, made=made, step=step):
            made.append(arguments[-1].rough)
            return step(*arguments)

        monkeypatch.setattr(sets, "newton_step", watched)
        result = proved(solver, tol=1e-6)
        monkeypatch.setattr(sets, "newton_step", step)
        assert result.suboptimality <= 1e-6
        found.append(F.value(result.point))
        rough.append(sum(made))
    assert rough[0] >= 2
    assert rough[1] == 0
    assert found[0] == pytest.approx(found[1], rel=2e-6)


def weak_problem(n=300, d=500, alpha=2e-4, seed=3, **given):
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, d), density=0.03, random_state=rng, format="csr")
    y = np.where(X @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n) > 0.0, 1.0, -1.0)
    return Objective("log_loss", X, y, penalty="l1", alpha=alpha, **given)


@pytest.mark.jit
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
def test_models_prove_what_the_gap_does_not_yet(fit_intercept, monkeypatch):
    """Runs end sooner by the dual points of models, and what these prove is true."""
    iterations = []
    lowest = proved(WorkingSet(weak_problem(fit_intercept=fit_intercept)), tol=1e-9)
    for applies in (lambda F: False, sets.scaled_dual.applies):
        monkeypatch.setattr(sets.scaled_dual, "applies", applies)
        F = weak_problem(fit_intercept=fit_intercept)
        solver = WorkingSet(F, tol=1e-4)
        result = proved(solver, tol=1e-4)
        assert result.suboptimality <= 1e-4
        iterations.append(len(result.history["objective"]))
    best, told = F.value(lowest.point), solver._lower
    assert 0.99 * best <= told <= best * (1.0 + 1e-12)
    lower = solver.progress(solver.start(result.point)).lower
    assert lower == -np.inf  # of another run nothing is known
    assert iterations[1] <= iterations[0]
    assert F.value(result.point) - F.value(lowest.point) <= 1e-4 * F.value(lowest.point)


def test_a_crowded_sample_is_left(monkeypatch):
    """Where the sample has more nonzero coefficients than its rows can tell, the run begins with
    none.
    """
    monkeypatch.setattr(sets, "MIN_SAMPLE", 20)
    starts = []
    for crowded in (0.0, np.inf):
        monkeypatch.setattr(sets, "CROWDED", crowded)
        X = np.random.default_rng(0).standard_normal((640, 4))
        F = Objective("log_loss", X, np.sign(X[:, 0]), penalty="l1", alpha=0.02)
        solver = WorkingSet(F, seed=1)
        state = solver.start(F.start())
        solver._start_on_sample(state)
        starts.append(np.count_nonzero(state.point))
    assert starts[0] == 0 < starts[1]


def test_what_a_sample_took_is_counted(monkeypatch):
    monkeypatch.setattr(sets, "MIN_SAMPLE", 20)
    X = np.random.default_rng(0).standard_normal((640, 4))
    F = Objective("log_loss", X, np.sign(X[:, 0]), penalty="l1", alpha=0.02)
    solver, advance, steps = WorkingSet(F, seed=1), WorkingSet.advance, []

    def ended(self, state):
        steps.append(self)
        advance(self, state)
        state.done = True

    monkeypatch.setattr(WorkingSet, "advance", ended)
    solver._start_on_sample(solver.start(F.start()))
    assert len(steps) == 1  # a solver that is done is not asked for more
    inner = steps[0]
    taken = inner.overhead_so_far * pass_cost(inner.objective)
    assert solver.overhead_so_far == pytest.approx(taken / pass_cost(F))
    assert taken > 0.0


def test_the_support_is_solved_for_exactly():
    *_, coef, matrix, derivative = model(seed=3)
    coef, derivative = np.delete(coef, 2), np.delete(derivative, 2)
    matrix = np.delete(np.delete(matrix, 2, 0), 2, 1)
    start = coef + 0.5 * np.sign(coef)

    def value(u):
        return (
            derivative @ (u - start)
            + 0.5 * (u - start) @ matrix @ (u - start)
            + 0.2 * np.abs(u[:5]).sum()
        )

    u, moved = start.copy(), derivative.copy()
    assert solve_support(matrix, moved, u, 0.2, 5)
    np.testing.assert_allclose(moved, derivative + matrix @ (u - start), rtol=1e-12, atol=1e-14)
    assert value(u) < value(start)
    assert (u[:5] * start[:5] >= 0.0).all()
    for _ in range(5):
        solve_support(matrix, moved, u, 0.2, 5)
    kept = np.append(u[:5] != 0.0, True)
    np.testing.assert_allclose(
        (moved + 0.2 * np.append(np.sign(u[:5]), 0.0))[kept], 0.0, atol=1e-13
    )
    singular = np.ones((2, 2))
    u, moved = np.array([1.0, 2.0]), np.array([0.3, 0.1])
    assert not solve_support(singular, moved, u, 0.1, 2)
    assert np.isfinite(u).all()


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("thin", [False, True])
def test_sweeps_are_their_twins(storage, thin):
    F = problem(LogLoss(), sp.csr_array if storage == "csr" else np.asarray)
    X = F.rows.take(np.arange(60))
    X = X.toarray() if storage == "csr" else X
    rng = np.random.default_rng(1)
    coef, kept = rng.standard_normal(12), RowValues.at(LinearMap(F), rng.standard_normal(60), 0.3)
    prediction = kept.products + 0.3 + F.samples.offsets
    for i in range(60):
        assert kept.derivatives[i] == pytest.approx(
            F.samples.weights[i] * F.loss.derivative(prediction[i], F.samples.targets[i])
        )
        assert kept.curvatures[i] == pytest.approx(
            F.samples.weights[i] * F.loss.curvature(prediction[i], F.samples.targets[i])
        )
    assert (kept.derivative, kept.curvature) == pytest.approx(
        (kept.derivatives.sum() / F.n_active, kept.curvatures.sum() / F.n_active)
    )
    columns, before = ColumnSubset(F, F.rows), F.passes
    np.testing.assert_allclose(columns.products(coef), X @ coef, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        columns.gradient(kept, coef), X.T @ kept.derivatives / F.n_active, rtol=1e-11, atol=1e-14
    )
    assert F.passes == before + 1  # half a one each
    chosen, order = np.array([1, 4, 5, 9]), np.array([3, 4, 17, 30, 55]) if thin else sets.NO_ROWS
    rows = order if thin else np.arange(60)
    part = with_ones(X[rows][:, chosen])
    expected = part.T @ (kept.curvatures[rows, None] * part) * 60 / len(rows) / F.n_active
    np.testing.assert_allclose(
        np.tril(columns.curvature(chosen, kept.curvatures, order)), np.tril(expected), rtol=1e-11
    )
    np.testing.assert_allclose(
        np.tril(columns.kept_curvature(chosen[:2], chosen, kept.curvatures)),
        np.tril(columns.curvature(chosen[:2], kept.curvatures)),
        rtol=1e-12,
    )


def test_gathered_columns_are_the_columns():
    X = np.random.default_rng(0).standard_normal((40, 600)) * (
        np.random.default_rng(1).random((40, 600)) < 0.4
    )
    index = np.array([0, 7, 8, 120, 299])
    for table in (X, sp.csr_array(X)):
        solver = WorkingSet(Objective("squared_error", table, X[:, 0], penalty="l1", alpha=0.1))
        columns, share = solver._gathered(index)
        np.testing.assert_array_equal(
            columns.products(np.arange(5.0)),
            solver._all.products(np.bincount(index, np.arange(5.0), 600)),
        )
        assert share <= 1.0
        assert columns.rows.shape() == (40, 5)
    # Columns that turn out to hold more are gathered again, fewer.
    solver._all.entries = lambda index: np.ones(index.size)
    assert 50 <= solver._gather(np.arange(600), 0).index.size < 105
    assert solver._gather(np.arange(600), 200).is_all
    assert solver._gathered(np.arange(600))[0] is None
    assert solver._gathered(np.arange(600))[1] > 1.0
    tall = sp.csr_array(
        np.arange(1.0, 4.0) * (np.random.default_rng(1).random((8192, 3)) < [0.1, 0.5, 0.9])
    )
    solver = WorkingSet(Objective("squared_error", tall, np.zeros(8192), penalty="l1", alpha=0.1))
    np.testing.assert_allclose(solver._all.entries(np.array([0, 2])), [819, 7373], rtol=0.2)


@pytest.mark.parametrize("gap", [slice(100), slice(700, 800)], ids=["first", "last"])
def test_a_block_without_room_has_its_entry(gap):
    """An entry of rows that are empty else was taken to fit where nothing does: it was that of
    another row, or there was no array for it.
    """
    rng = np.random.default_rng(0)
    X = sp.random_array((800, 1000), density=0.02, random_state=rng, format="lil")
    X[gap] = 0.0
    X[gap.start or 50, 3] = 2.0
    X = sp.csr_array(X)
    y = X[:, :8] @ np.arange(-4.0, 4.0) + 0.01 * rng.standard_normal(800)
    found = []
    for table in (X, X.toarray()):
        F = Objective("squared_error", table, y, penalty="l1", alpha=1e-2)
        assert WorkingSet(F)._gathered(np.arange(8))[0] is None or not F.rows.sparse
        result = proved(WorkingSet(F), tol=1e-7, max_iter=60)
        assert result.reason is StopReason.CONVERGED
        assert F.value(result.point) == pytest.approx(result.objective, rel=1e-12)
        found.append(result)
    assert found[0].objective == pytest.approx(found[1].objective, rel=2e-7)
    np.testing.assert_allclose(found[0].point, found[1].point, atol=1e-4)


def test_rows_of_no_weight_damp_no_step():
    """As it is in cross-validation: 1e8 in such a row made each step along its column a
    thousandth of what it should have been.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, 2.0, 0.0] + rng.standard_normal(200)
    weights, taken = (np.arange(200) != 7).astype(float), []
    for entry in (0.0, 1e8):
        X[7, 0] = entry
        F = Objective(Huber(1.35), X, y, sample_weight=weights, penalty="l1", alpha=1e-3)
        taken.append(F.value(iterations(WorkingSet(F), 8).point))
    assert taken[1] == pytest.approx(taken[0], rel=1e-9)


def test_violators_are_found():
    coef, gradient = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.5, 0.0, -2.0, 1.0])
    np.testing.assert_array_equal(ElasticTerm(1.0, 0.0).candidates(coef, gradient), [1, 2])
    np.testing.assert_array_equal(stored(np.eye(2), "csr").shape(), (2, 2))
    assert samples(np.zeros(3)).size() == 3


# --- optima


@pytest.mark.thinned(plain=4, compiled=1)
@FEW_LOSSES
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
def test_the_optimum_of_a_reference(loss, l1_ratio, fit_intercept):
    points = []
    for storage in (np.asarray, sp.csr_array):
        F = problem(loss, storage, l1_ratio, fit_intercept=fit_intercept)
        result = proved(WorkingSet(F), tol=1e-9, max_iter=60)
        assert result.reason is StopReason.CONVERGED, (result.suboptimality, result.reason)
        points.append(result.point)
    assert result.objective <= lowest(F, with_jit(1500, 1500)) * (1.0 + 1e-8)
    np.testing.assert_allclose(points[0], points[1], rtol=1e-6, atol=1e-7)


@pytest.mark.thinned(plain=8, compiled=1)
@pytest.mark.parametrize("loss", with_jit([LogLoss()], SMOOTH), ids=lambda loss: loss.name)
@STORAGES
@pytest.mark.parametrize(
    "room", ["gathered", "X itself", "gathered, too wide", "X itself, too wide", "X itself, sparse"]
)
def test_every_way_to_hold_the_set_leads_to_the_optimum(loss, storage, room, monkeypatch):
    F = problem(loss, storage, 0.8, alpha=0.02, n=50, d=60)
    expected = proved(WorkingSet(F), tol=1e-8, max_iter=60).objective
    monkeypatch.setattr(sets, "SHARE_OF_X", 0.0 if "itself" in room else 10.0)
    monkeypatch.setattr(sets, "SHARE_OF_COEF", 0.0)
    monkeypatch.setattr(sets, "MIN_COLUMNS", 4)
    if "wide" in room:
        monkeypatch.setattr(column_subset, "WIDEST_MATRIX", 12)
        monkeypatch.setattr(sets, "WIDEST_MATRIX", 12)
    if "sparse" in room:
        monkeypatch.setattr(column_subset, "NUMBERS_PER_ENTRY", 0.0)
    solver = WorkingSet(F)
    result = proved(solver, tol=1e-6, max_iter=400)
    assert solver._columns.is_all is ("itself" in room)
    assert result.objective <= expected * (1.0 + 2e-6)


@pytest.mark.thinned(plain=2, compiled=1)
@FEW_LOSSES
@STORAGES
def test_tall_data_begin_on_a_sample(loss, storage, monkeypatch):
    monkeypatch.setattr(sets, "MIN_SAMPLE", 10)
    monkeypatch.setattr(sets, "ROWS_PER_COLUMN", 2)
    F = problem(loss, storage, 0.9, n=400, alpha=0.02)
    sampled, whole = WorkingSet(F), WorkingSet(F, sampling=False)
    assert sampled.sampling
    state = started(sampled)
    assert F.passes == 0
    results = [
        Loop(solver, [], max_iter=60, tol=1e-9).run(s)
        for solver, s in ((sampled, state), (whole, started(whole)))
    ]
    assert [result.reason for result in results] == [StopReason.CONVERGED] * 2
    np.testing.assert_allclose(results[0].point, results[1].point, atol=1e-5)


@pytest.mark.parametrize("loss", [LogLoss(), SquaredError()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
def test_beyond_the_greatest_alpha_all_coefficients_are_0(loss, fit_intercept):
    F = problem(loss, alpha=0.0, fit_intercept=fit_intercept)
    F = Objective.of(F.loss, F.rows, F.samples, ElasticNet(0.0), 1e9, fit_intercept, 1)
    start = np.append(np.zeros(12), null_model(F)[0])[: F.size]
    greatest = np.abs(F.smooth_and_gradient(start)[1][:12]).max()
    for factor, zeros in ((1.0, True), (1.5, True), (0.99, False)):
        F = Objective.of(
            F.loss,
            F.rows,
            F.samples,
            ElasticNet(1.0),
            factor * greatest * (1 + 1e-9),
            fit_intercept,
            1,
        )
        result = proved(WorkingSet(F), tol=1e-8, max_iter=20)
        assert (result.point[:12] == 0.0).all() == zeros
        assert result.reason is StopReason.CONVERGED


# --- the contract


@pytest.mark.thinned(plain=4, compiled=1)
@pytest.mark.parametrize("storage", with_jit([sp.csr_array], [np.asarray, sp.csr_array]))
@pytest.mark.parametrize(
    ("loss", "tall"),
    with_jit(
        [(SquaredError(), False), (LogLoss(), True)],
        [(loss, tall) for loss in SMOOTH for tall in (False, True)],
    ),
)
def test_k_iterations_and_m_more_are_k_plus_m(loss, storage, tall, monkeypatch):
    monkeypatch.setattr(sets, "MIN_SAMPLE", 10 if tall else 10**9)
    monkeypatch.setattr(sets, "ROWS_PER_COLUMN", 2)
    monkeypatch.setattr(sets, "INNER", 0.5)
    monkeypatch.setattr(sets, "MAX_STEPS", 1)
    points = []
    for parts in ((5,), (2, 3), (1, 1, 3)):
        state = None
        for part in parts:
            F = problem(loss, storage, 0.9, alpha=1e-3, n=400 if tall else 50, d=30)
            solver = WorkingSet(F)
            state = started(solver) if state is None else pickle.loads(pickle.dumps(state))
            solver.resume(state)
            state = Loop(solver, [], max_iter=part).run(state).state
        assert state.iteration == 5
        points.append(np.r_[state.point, state.value, state.gradient, state.updates])
    np.testing.assert_array_equal(points[1], points[0])
    np.testing.assert_array_equal(points[2], points[0])


@STORAGES
def test_value_and_gradient_are_those_of_the_point(storage):
    F = problem(LogLoss(), storage, 0.7)
    solver = WorkingSet(F)
    state = iterations(solver, 2)
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(state.gradient, gradient, rtol=1e-12, atol=1e-15)
    totals = []
    for _ in range(4):
        totals.append(state.value + F.rest_value(state.point))
        solver.advance(state)
    assert (np.diff(totals) <= 1e-14).all()


@pytest.mark.jit
@STORAGES
def test_the_number_of_threads_changes_nothing(storage):
    points = []
    for n_jobs in (1, 2, 3):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((3000, 80)) * (rng.random((3000, 80)) < 0.5)
        y = np.where(X[:, 0] + X[:, 1] + rng.standard_normal(3000) > 0, 1.0, -1.0)
        F = Objective("log_loss", storage(X), y, penalty="l1", alpha=1e-2, n_jobs=n_jobs)
        points.append(iterations(WorkingSet(F), 3).point)
    np.testing.assert_array_equal(points[1], points[0])
    np.testing.assert_array_equal(points[2], points[0])


@pytest.mark.parametrize(
    "loss", [LogLoss(), SquaredError(), Huber(0.1)], ids=lambda loss: loss.name
)
def test_columns_as_they_come(loss):
    """Alike, constant, empty, on wild scales: none keeps it from the optimum."""
    F = problem(loss, alpha=1e-3)
    X = F.rows.take(np.arange(60))
    X = np.hstack(
        [
            X * 10.0 ** np.linspace(-3, 3, 12),
            X[:, :1],
            X[:, :1] + X[:, 1:2],
            np.zeros((60, 1)),
            np.full((60, 1), 7.0),
        ]
    )
    F = Objective.of(F.loss, stored(X, "csr"), F.samples, F.penalty, F.alpha, True, 1)
    result = proved(WorkingSet(F), tol=1e-6, max_iter=100)
    assert result.reason is StopReason.CONVERGED


def test_far_targets_of_a_loss_that_is_linear_there():
    F = problem(SquaredError())
    far = WeightedSamples(1e3 * F.samples.targets, F.samples.weights, F.samples.offsets)
    F = Objective.of(Huber(1.0), F.rows, far, ElasticNet(1.0), 0.01, True, 1)
    assert proved(WorkingSet(F), tol=1e-6, max_iter=200).reason is StopReason.CONVERGED


def test_it_ends_by_itself_where_rounding_is_all_that_is_left():
    F = problem(LogLoss(), alpha=1e-3)
    state = started(WorkingSet(F))
    result = Loop(WorkingSet(F), [], max_iter=200, tol=1e-300).run(state)
    assert result.reason in (StopReason.PLATEAU, StopReason.CONVERGED)
    assert state.iteration < 60


def test_a_state_from_other_data_is_no_obstacle():
    state = iterations(WorkingSet(problem(LogLoss(), seed=0)), 3)
    solver = WorkingSet(problem(LogLoss(), seed=1))
    solver.resume(state)
    assert Loop(solver, [], max_iter=50, tol=1e-8).run(state).reason is StopReason.CONVERGED


@STORAGES
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 40)])
def test_the_gradient_that_plans_look_at_is_that_of_the_null_model(storage, weights):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 90)) * (rng.random((40, 90)) < 0.5)
    y = rng.poisson(3.0, size=40).astype(float)
    F = Objective("poisson", storage(X), y, penalty="l1", alpha=0.0, sample_weight=weights)
    intercept = null_model(F)[0]
    slow = F.smooth_and_gradient(np.r_[np.zeros(90), intercept])[1][:90]
    np.testing.assert_allclose(null_gradient(F), np.abs(slow), rtol=1e-10, atol=1e-12)


@STORAGES
def test_dual_ascent_goes_first_where_more_coefficients_than_rows_are_likely(storage):
    """300 x 59,819, squared hinge, ratio 0.05: over 324 passes on a working set, 15 by dual
    ascent.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 400)), np.sign(rng.normal(size=60))
    chosen = {}
    for alpha, ratio in ((1e-3, 0.05), (1e-3, 0.9), (30.0, 0.05)):
        F = Objective(
            "squared_hinge", storage(X), y, penalty="elasticnet", alpha=alpha, l1_ratio=ratio
        )
        chosen[alpha, ratio] = cheapest(F, 1e-4)[0]
    assert list(chosen.values()) == [Sdca, WorkingSet, WorkingSet]


def test_what_steps_take_beside_passes_is_counted_and_restored():
    F = problem(Huber(0.7))
    solver = WorkingSet(F)
    state = solver.start(F.start())
    solver.advance(state)
    beside = solver.overhead_so_far
    # One matrix of some of the columns, and what solves for its minimum.
    matrix = columns_cost(F, F.n_features)
    systems = solving_cost(F, F.n_features)
    assert 0.5 * matrix < beside <= matrix + 30.0 * systems
    other = WorkingSet(F)
    other.restore(state, solver.workspace(state))
    solver.advance(state)
    assert other.overhead_so_far == beside < solver.overhead_so_far


def test_visits_to_columns_are_counted(monkeypatch):
    monkeypatch.setattr(column_subset, "FEW_COLUMNS", 0)
    monkeypatch.setattr(column_subset, "NUMBERS_PER_ENTRY", 0)
    monkeypatch.setattr(column_subset, "NUMBERS_PER_ENTRY_FAR", 0)
    visited = []
    epoch = kernels.column_epoch

    def counted(data, order, *rest):
        starts, places = data[2], data[3]
        visited.append(float((starts[places[order] + 1] - starts[places[order]]).sum()))
        return epoch(data, order, *rest)

    monkeypatch.setattr(kernels, "column_epoch", counted)
    F = problem(LogLoss(), sp.csr_array)
    solver = WorkingSet(F)
    state = solver.start(F.start())
    solver.advance(state)
    assert visited
    assert solver.overhead_so_far == pytest.approx(COLUMN_VALUE * sum(visited) / pass_cost(F))


def test_it_is_left_for_interior_points_by_what_both_take():
    F = problem(Huber(0.7), n=40, d=30)
    tried, solver = [Plan("newton", "full", "auto", method="WorkingSet")], WorkingSet(F)
    task = Task(F.loss, F.penalty, F.rows, Settings(tol=1e-4), F.alpha, True)
    rules = {type(rule): rule for rule in rules_of_run(task, tried, solver, task.max_iter, None)}
    rival = forecast_of_plan(next_plan(tried, F, "", tol=1e-4)[0], F, 1e-4).passes
    stalled, slow = rules[Stalled], rules[Slow]
    assert stalled.other() == slow.other() == rival > 100.0
    solver.overhead_so_far = 7.0
    assert stalled.so_far() == slow.so_far() == 7.0


@pytest.mark.parametrize("loss", [LogLoss(), Huber(0.7)], ids=["log_loss", "huber"])
def test_where_no_column_enters_the_model_there_is_nothing_to_do(loss):
    F = problem(loss, alpha=10.0)
    F.know_null_model()
    solver = WorkingSet(F)
    state = solver.start(np.r_[np.zeros(F.n_features), F.null_intercept])
    solver.advance(state)
    assert state.updates == 0
    assert F.passes == 1.5  # the gradient, and a look for columns to gather


@pytest.mark.parametrize("loss", [LogLoss(), Huber(0.7)], ids=["log_loss", "huber"])
def test_a_matrix_of_all_columns_that_takes_longer_than_a_step_serves_for_another(loss):
    F = problem(loss, n=200, d=4)
    assert columns_cost(F, F.n_features) >= 1.0
    solver = WorkingSet(F)
    state, steps, copies = solver.start(F.start()), [], []
    for _ in range(12):
        if state.memory.matrix is not None:
            copies.append((len(steps), pickle.dumps(state)))
        before, kept = F.passes, state.memory.matrix
        solver.advance(state)
        steps.append((kept is not None, F.passes - before))
    by_kept = {passes for kept, passes in steps if kept and passes > 0.0}
    assert by_kept == {1.0}  # products and a gradient
    # From the state alone a run goes on as it would have.
    done, copy = copies[0][0], pickle.loads(copies[0][1])
    other = WorkingSet(F)
    other.resume(copy)
    for _ in range(12 - done):
        other.advance(copy)
    np.testing.assert_array_equal(copy.point, state.point)


def test_what_rows_have_in_common_is_not_asked_for_where_even_the_least_would_be_too_much(
    monkeypatch,
):
    F = problem(Huber(0.7), n=40, d=60, l1_ratio=0.05)
    least = Sdca.forecast(F, 1e-4, cutoff=0.0).passes
    monkeypatch.setattr("fastgd.solvers.dual.dual_cost.dual_passes", None)
    assert Sdca.forecast(F, 1e-4, cutoff=least).passes == least


@pytest.mark.jit
def test_columns_that_are_alike_have_a_matrix_where_epochs_over_them_stand_still():
    """1,000 iterations proved no more than 4e-7: each left the violation where it was."""
    rng = np.random.default_rng(0)
    base, copies = sp.random(1000, 50, 0.05, format="csc", random_state=0), []
    for _ in range(40):
        copy = base.copy()
        copy.data *= rng.random(copy.data.size) < 0.98
        copy.data += 0.01 * rng.random(copy.data.size)
        copies.append(copy)
    X = sp.csr_array(sp.hstack(copies))
    scores = X @ (rng.standard_normal(2000) * (rng.random(2000) < 0.2))
    y = scores + scores.std() * rng.standard_normal(1000) > 0.0
    model = GDClassifier(penalty="l1", alpha=1e-4, solver="newton", tol=1e-8, max_iter=100)
    model.fit(X, y)
    assert model.stop_reason_ is StopReason.CONVERGED
    assert model.bound_kind_ == "proof"
