"""SAGA and SVRG: epochs against textbook loops, optimum against L-BFGS, batches against the
theory by brute force.
"""

import itertools
import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import ConvergenceWarning, GDRegressor
from fastgd.fitting.loop import Loop
from fastgd.losses.base import Loss
from fastgd.losses.classification import Hinge, LogLoss
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.objective import Objective
from fastgd.penalties.separable import L1, L2, ElasticNet, NoPenalty
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.variance_reduced import expected_smoothness as formulas
from fastgd.solvers.variance_reduced import kernels
from fastgd.solvers.variance_reduced.row_curvature import (
    column_rates,
    mean_curvature,
    row_curvatures,
    touches,
)
from fastgd.solvers.variance_reduced.saga import Saga
from fastgd.solvers.variance_reduced.svrg import Svrg
from support.components import ToySoftmax, ToyWeightedL1
from support.problems import Quartic, iterations, started
from support.twins import members, samples, sparse_problem, stored, with_jit

SOLVERS = pytest.mark.parametrize("solver", [Saga, Svrg], ids=lambda solver: solver.name)
N, D = 23, 6
ACCEPTED = [loss for loss in members(Loss) if loss.smooth and np.isfinite(loss.curvature_bound)]
PENALTIES = [
    L2(),
    L1(),
    ElasticNet(0.4),
    NoPenalty(),
    ToyWeightedL1(np.arange(1.0, 7.0)),
    Quartic(),
]


def twin_epoch(
    X,
    y,
    weights,
    offsets,
    loss,
    order,
    batch,
    importance,
    table,
    w,
    b,
    mean,
    mean_derivative,
    anchor,
    step,
):
    """An epoch as the papers write it; `step(w_j, gradient_j, mean_j, j)` moves a touched
    coefficient.
    """
    n = np.count_nonzero(weights)
    w, mean, table, change = w.copy(), mean.copy(), None if table is None else table.copy(), 0.0
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        gradient, lift, found = np.zeros(w.size), 0.0, {}
        for i in rows:
            found[i] = weights[i] * loss.derivative(X[i] @ w + b + offsets[i], y[i])
            if table is None:
                known = weights[i] * loss.derivative(
                    X[i] @ anchor[:-1] + anchor[-1] + offsets[i], y[i]
                )
            else:
                known = table[i]
            gradient += importance[i] * (found[i] - known) * X[i] / len(rows)
            lift += importance[i] * (found[i] - known) / len(rows)
            change += (found[i] - known) ** 2
        for j in np.flatnonzero((X[rows] != 0.0).any(axis=0)):
            w[j] = step(w[j], gradient[j], mean[j], j)
        b -= 0.3 * (lift + mean_derivative)
        if table is not None:
            for i, derivative in found.items():
                mean += (derivative - table[i]) / n * X[i]
                mean_derivative += (derivative - table[i]) / n
                table[i] = derivative
    return w, b, mean, mean_derivative, table, change


def proximal_step(penalty, alpha, rates, rarity):
    """Gradient step on the rows and the mean, then a proximal one on the penalty; a smooth one
    by its derivative.
    """

    def step(coefficient, gradient, mean, j):
        if penalty.smooth and penalty.shares is None:
            mean = mean + alpha * penalty.derivative(coefficient, j)
            return coefficient - rates[j] * (gradient + rarity[j] * mean)
        moved = coefficient - rates[j] * (gradient + rarity[j] * mean)
        return penalty.prox(moved, j, alpha * rates[j] * rarity[j])

    return step


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("storage", "batch", "penalty"),
    with_jit(
        [("dense", 1, ElasticNet(0.4)), ("csr", 4, ElasticNet(0.4)), ("csr", 1, PENALTIES[4])],
        list(itertools.product(["dense", "csr"], [1, 4], PENALTIES)),
    ),
    ids=str,
)
@SOLVERS
def test_an_epoch_is_the_textbook_loop(solver, penalty, batch, storage):
    loss, alpha, rng = LogLoss(), 0.3, np.random.default_rng(4)
    X, y, weights, offsets = sparse_problem(loss, N, D)
    counted = np.flatnonzero(weights)
    order = rng.permutation(np.r_[counted, counted[:5], counted[2]])
    importance, rates, rarity = (
        rng.uniform(0.5, 1.5, N),
        rng.uniform(0.02, 0.1, D),
        rng.uniform(1.0, 5.0, D),
    )
    table = rng.standard_normal(N) if solver is Saga else None
    w, anchor, mean = rng.standard_normal(D), rng.standard_normal(D + 1), rng.standard_normal(D)
    step = proximal_step(penalty, alpha, rates, rarity)
    rest = (order, batch, importance, table, w, 0.2, mean, -0.1, anchor, step)
    expected = twin_epoch(X, y, weights, offsets, loss, *rest)
    l1, l2 = (alpha * share for share in penalty.shares or (0.0, 0.0))
    scale = 1.0 + rates * rarity * l2
    columns, ends = (
        np.array([w, mean, rates / scale, rates * rarity / scale]),
        np.array([0.2, -0.1, anchor[-1]]),
    )
    found = np.zeros(0) if table is None else table.copy()
    options = kernels.StepOptions(
        n=float(counted.size),
        l1=float(l1),
        l2=float(l2),
        alpha=alpha,
        elastic=penalty.shares is not None,
        smooth=penalty.smooth,
        intercept_rate=0.3,
    )
    columns = np.asarray(columns, order="F" if storage == "csr" else "C")
    data = (
        stored(X, storage),
        samples(y, weights, offsets),
        loss,
        L2() if penalty.shares else penalty,
        order,
    )
    numbers = importance, found, columns, anchor[:-1].copy(), ends, options
    one_row = batch == 1
    change = (
        kernels.row_epoch(*data, *numbers)
        if one_row
        else kernels.batch_epoch(*data, batch, *numbers)
    )
    np.testing.assert_allclose(columns[kernels.COEF], expected[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(columns[kernels.MEAN], expected[2], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ends[:2], [expected[1], expected[3]], rtol=1e-9)
    assert change == pytest.approx(expected[5], rel=1e-9)
    if table is not None:
        np.testing.assert_allclose(found, expected[4], rtol=1e-9)


def make(
    loss,
    penalty,
    alpha=1.0 / N,
    storage=np.asarray,
    fit_intercept=True,
    scales=1.0,
    seed=0,
    n_jobs=1,
):
    X, y, weights, offsets = sparse_problem(loss, N, D, seed)
    return Objective(
        loss,
        storage(X * scales),
        y,
        sample_weight=weights,
        offset=offsets,
        penalty=penalty,
        alpha=alpha,
        fit_intercept=fit_intercept,
        n_jobs=n_jobs,
    )


def least(F):
    """Least F by a method that has nothing in common with the solvers here."""
    if F.elastic and F.l1 == 0.0:
        options = {"maxiter": 20000, "maxfun": 50000, "ftol": 1e-16, "gtol": 1e-12}
        return scipy.optimize.minimize(
            F.value_and_gradient, F.start(), jac=True, method="L-BFGS-B", options=options
        ).fun
    solver = Accelerated(F)
    return solver.total(iterations(solver, 1500))


def suboptimality(F, state):
    return F.value(state.point) / least(F) - 1.0


def reached(F, solver, most, tol):
    """Whether a run comes as close to the least F as this, and no closer than that is, in so
    many iterations.
    """
    optimum, state = least(F), started(solver)
    while state.iteration < most and F.value(state.point) > optimum * (1.0 + tol):
        iterations(solver, 20, state)
    return -1e-9 <= F.value(state.point) / optimum - 1.0 <= tol


CASES = with_jit(
    [(LogLoss(), L2()), (SquaredError(), ElasticNet(0.4)), (LogLoss(), PENALTIES[4])],
    [
        *itertools.product(ACCEPTED, PENALTIES[:3]),
        *itertools.product([SquaredError()], PENALTIES[3:]),
    ],
)


@pytest.mark.thinned(plain=6, compiled=1)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize(("loss", "penalty"), CASES, ids=str)
@SOLVERS
def test_the_end_is_the_optimum(solver, loss, penalty, fit_intercept):
    F = make(loss, penalty, 0.05, sp.csr_array, fit_intercept)
    assert reached(F, solver(F, "auto", 1), 400, 1e-7)


@pytest.mark.parametrize("batch", [1, 3])
@SOLVERS
def test_nothing_is_tuned(solver, batch):
    for seed in range(6):
        scales = np.random.default_rng(seed).choice([1e-3, 1.0, 1e3], D) if seed % 2 else 1.0
        F = make(LogLoss(), "l2", scales=scales, storage=sp.csr_array, seed=seed)
        assert reached(F, solver(F, batch, seed), 1500, 1e-6), seed


@SOLVERS
def test_dense_is_csr(solver):
    for scales, batch in ((1.0, 1), (10.0 ** np.arange(6), with_jit(1, 3))):
        dense, csr = (
            iterations(solver(make(LogLoss(), "l1", 0.02, s, scales=scales), batch, 3), 7)
            for s in STORAGES
        )
        np.testing.assert_allclose(dense.point, csr.point, rtol=1e-9, atol=1e-12)


STORAGES = (np.asarray, sp.csr_array)


@pytest.mark.parametrize("batch", [1, 3])
@SOLVERS
def test_k_iterations_and_m_more_are_k_plus_m(solver, batch, shared_work):
    points = []
    for parts in ((11,), (4, 7), (5, 5, 1)):
        state = None
        for part in parts:
            F = make(LogLoss(), "elasticnet", storage=sp.csr_array, n_jobs=len(parts))
            one = solver(F, batch, 5)
            state = started(one) if state is None else pickle.loads(pickle.dumps(state))
            one.resume(state)
            state = Loop(one, [], max_iter=part).run(state).state
        assert state.iteration == 11
        points.append(np.r_[state.point, state.updates, state.rate])
    np.testing.assert_array_equal(points[1], points[0])
    np.testing.assert_array_equal(points[2], points[0])
    assert shared_work


@SOLVERS
def test_a_state_from_other_data_or_another_penalty_is_no_obstacle(solver):
    state = iterations(solver(make(LogLoss(), "l2", seed=0), 1, 0), 5)
    for other in (
        make(LogLoss(), "l2", seed=1),
        make(LogLoss(), "l2", 0.3, seed=1, storage=sp.csr_array),
    ):
        one = solver(other, 1, 0)
        one.resume(state)
        assert suboptimality(other, iterations(one, 300, state)) <= 1e-9


def test_the_table_is_kept_where_its_mean_gradient_is_rounding():
    """At an optimum without a penalty both means are 1e-16, and differ by as much: a run that went
    on began with an empty table. That of other rows is dropped.
    """
    rng = np.random.default_rng(0)
    X, noise = rng.standard_normal((200, 5)), rng.standard_normal(200)
    for rows, kept in ((X, True), (X[::-1], False)):
        F = Objective(SquaredError(), X, X[:, 0] + noise, alpha=0.0, n_jobs=1)
        state = iterations(Saga(F, seed=0), 60)
        F = Objective(SquaredError(), rows, X[:, 0] + noise, alpha=0.0, n_jobs=1)
        Saga(F, seed=0).resume(state)
        assert state.memory.table.any() == kept


def test_the_table_outlives_a_change_of_the_penalty():
    state = iterations(Saga(make(LogLoss(), "l2"), 1, 0), 5)
    table = state.memory.table.copy()
    F = make(LogLoss(), "l2", 0.3)
    one = Saga(F, 1, 0)
    one.resume(state)
    np.testing.assert_array_equal(state.memory.table, table)
    assert suboptimality(F, iterations(one, 300, state)) <= 1e-9


@SOLVERS
def test_a_step_much_too_long_is_backed_off(solver):
    for factor in (3.0, 30.0, 1e4):
        F = make(SquaredError(), "l2", storage=sp.csr_array)
        one = solver(F, 1, 0)
        state = started(one)
        tuning = state.memory.tuning
        state.memory.tuning = tuning._replace(step=factor * tuning.step)
        start = F.value(state.point)
        result = Loop(one, [], max_iter=600).run(state)
        assert state.memory.step_factor < 1.0
        assert result.objective <= start
        assert result.objective / least(F) - 1.0 <= 1e-6


@SOLVERS
def test_a_run_converges_and_says_so(solver):
    F = make(LogLoss(), "l2", storage=sp.csr_array)
    one = solver(F, "auto", 0)
    result = Loop(one, [], max_iter=1000, tol=1e-6).run(started(one))
    assert result.reason.name == "CONVERGED"
    assert 0.0 <= result.objective - least(F) <= result.bound.value + 1e-12
    assert one.traits.free_answers == (solver is Svrg)


@SOLVERS
def test_a_run_to_the_end_is_exhausted(solver):
    one = solver(make(LogLoss(), "l2"), 1, 0)
    state = started(one)
    for _ in range(600):
        one.advance(state)
        if one.progress(
            state
        ).done:  # a run ends here; later iterations may still gain what is rounding
            return
    raise AssertionError("not finished after 600 iterations")


@SOLVERS
def test_passes_are_all_rows_read(solver):
    F = make(LogLoss(), "l2")
    one = solver(F, 1, 0, shuffle=False)
    state = started(one)
    before = F.passes
    iterations(one, 3, state)
    assert F.passes - before == {Saga: 3, Svrg: 6}[solver]
    assert state.updates == 3 * F.n_active


@SOLVERS
def test_other_losses_are_refused(solver):
    class Unbounded(LogLoss):
        curvature_bound = np.inf

    X = np.eye(4)
    for loss, y, message in (
        (Hinge(), np.array([1.0, -1, 1, -1]), "smooth convex losses"),
        (Unbounded(), np.array([1.0, -1, 1, -1]), "curvature_bound is finite"),
        (ToySoftmax(), np.array([0.0, 1, 2, 0]), "one prediction"),
    ):
        with pytest.raises(ValueError, match=f"solver='{solver.name}'.*{message}.*use solver="):
            solver(Objective(loss, X, y))


# Formulas


@pytest.mark.parametrize(("whole", "longest"), [(2.0, 30.0), (1.0, 1.0), (0.5, 200.0)])
def test_expected_smoothness_is_the_mean_over_batches(whole, longest):
    """On scalar rows: E |grad f_B|^2 over all batches of b rows is at most 2 L(b) (f - f*), and
    L(b) is least such.
    """
    n = 7
    curvatures = (
        np.array([longest, *np.full(n - 1, (n * whole - longest) / (n - 1))])
        if longest < n * whole
        else None
    )
    if curvatures is None:
        curvatures = np.zeros(n)
        curvatures[0], whole = longest, longest / n
    for b in range(1, n + 1):
        # Orthogonal rows would have L = L_max / n; rows along one axis have L = mean: the largest
        # eigenvalue there.
        squares = [np.mean(np.array(rows)) ** 2 for rows in itertools.combinations(curvatures, b)]
        bound = formulas.expected_smoothness(b, n, whole, longest)
        assert np.mean(squares) <= bound * curvatures.mean() * (1.0 + 1e-12)
    assert formulas.expected_smoothness(1, n, whole, longest) == longest
    assert formulas.expected_smoothness(n, n, whole, longest) == pytest.approx(whole)
    assert formulas.residual(n, n, longest) == 0.0


def test_the_residual_is_the_variance_over_batches():
    """For gradients a_i of n rows, E |mean_B a - mean a|^2 <= residual(b) for |a_i|^2 of mean 1
    and L_max = 1.
    """
    rng, n = np.random.default_rng(0), 6
    a = rng.choice([-1.0, 1.0], n)
    for b in range(1, n + 1):
        spread = np.mean([(np.mean(rows) - a.mean()) ** 2 for rows in itertools.combinations(a, b)])
        assert spread == pytest.approx(formulas.residual(b, n, 1.0) * (1.0 - a.mean() ** 2))


CONSTANTS = [
    (n, whole, whole * longest, convexity * whole)
    for n in (2, 50, 300)
    for whole in (0.3, 4.0)
    for longest in (1.0, 1.7, 20.0, 200.0)
    for convexity in (0.0, 1e-4, 3e-3, 0.1, 0.9)
    if longest <= n
]


@pytest.mark.parametrize(("n", "whole", "longest", "convexity"), CONSTANTS)
def test_batches_are_those_with_the_fewest_visits(n, whole, longest, convexity):
    def saga(b):
        return b * formulas.saga_curvature(b, n, whole, longest, convexity)

    def svrg(b):
        updates = formulas.svrg_curvature(b, n, whole, longest) / convexity if convexity else np.inf
        return (1 + 2 * b) * max(updates, n)

    batches = range(1, n + 1)
    found = formulas.saga_batch(n, whole, convexity)
    # The formulas round down; the best whole number is one of the two neighbours.
    assert min(saga(found), saga(min(found + 1, n))) <= min(map(saga, batches)) * (1.0 + 1e-9)
    if convexity:
        found = formulas.svrg_batch(n, whole, longest, convexity)
        assert min(svrg(found), svrg(min(found + 1, n))) <= min(map(svrg, batches)) * (1.0 + 1e-9)


# What is measured


@pytest.mark.parametrize("storage", STORAGES)
def test_curvatures_touches_and_combinations_are_sums_over_rows(storage):
    F = make(Huber(), "l2", storage=storage)
    X, _, weights, _ = sparse_problem(Huber(), N, D)
    weights = weights / weights[weights > 0].mean()
    rates, rng = np.arange(1.0, 7.0), np.random.default_rng(0)
    np.testing.assert_allclose(row_curvatures(F, rates, 0.5), weights * (X**2 @ rates + 0.5))
    copies = rng.integers(1, 4, N)
    np.testing.assert_allclose(touches(F, copies), copies @ (X != 0))
    amounts = rng.standard_normal(N)
    np.testing.assert_allclose(LinearMap(F).rmatvec(amounts), amounts @ X, atol=1e-12)
    full = np.hstack([X * np.sqrt(rates), np.full((N, 1), np.sqrt(0.5))])
    greatest = np.linalg.eigvalsh(full.T @ (weights[:, None] * full) / F.n_active)[-1]
    found = mean_curvature(F, F.samples.active(), rates, 0.5, 0)
    assert 0.8 * greatest <= found <= greatest * (1.0 + 1e-9)


def test_rates_follow_the_columns_only_where_units_differ():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    y = rng.standard_normal(200)
    for scales, alike in (
        (1.0, True),
        (np.array([1, 1, 1, 1, 3.0]), True),
        (10.0 ** np.arange(5), False),
    ):
        F = Objective("squared_error", X * scales, y, alpha=1e-9)
        rates, intercept_rate = column_rates(F)
        assert (rates == rates[0]).all() == alike
        if not alike:
            np.testing.assert_allclose(rates * np.abs(X * scales).max(axis=0) ** 2, 1.0, rtol=1e-6)
            assert intercept_rate == 1.0


def test_long_rows_are_visited_more_often():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 5)) * np.where(np.arange(100) < 5, 20.0, 1.0)[:, None]
    F = Objective("squared_error", X, rng.standard_normal(100), alpha=0.01, fit_intercept=False)
    one = Saga(F, 1, 0)
    tuning = started(one).memory.tuning
    curvatures = (X**2).sum(axis=1)
    assert 100 < one.order_of.size <= 150
    counts = np.bincount(one.order_of, minlength=100)
    np.testing.assert_array_equal(
        counts, np.maximum(np.ceil(curvatures / (2.0 * curvatures.mean())), 1)
    )
    # On average over an epoch's visits a row counts once.
    np.testing.assert_allclose(tuning.importance * counts / one.order_of.size, 1.0 / 100)
    assert suboptimality(F, iterations(one, 100)) <= 1e-9


@pytest.mark.plain
@pytest.mark.parametrize("solver", ["saga", "svrg"])
@pytest.mark.parametrize(
    ("batch_size", "penalty"), [("auto", "l2"), ("auto", "l1"), ("growing", None)]
)
def test_columns_of_zeros_without_an_intercept(solver, batch_size, penalty):
    for X in (np.zeros((5, 2)), sp.csr_array((5, 2))):
        model = GDRegressor(
            solver=solver, batch_size=batch_size, penalty=penalty, fit_intercept=False
        )
        model.fit(X, np.arange(5.0))
        assert (model.coef_ == 0.0).all()
        assert model.objective_ == 3.0
        assert model.converged_


def test_saga_goes_on_where_derivatives_stay_as_they_are():
    """Most rows are on a line of the loss, where no derivative changes in an epoch that moves
    the point.
    """
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 3))
    y = 1000.0 * X[:, 0] + rng.normal(size=100)
    model = GDRegressor(
        loss="huber", solver="saga", alpha=1e-3, max_iter=30, tol=1e-2, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert model.n_iter_ == 30


def test_rows_that_begin_to_bend_do_not_shorten_the_steps():
    """Beyond epsilon the derivatives of a Huber loss stay as they are: what changes in the table
    is next to nothing until a row comes near, and had then grown a million times.
    """
    rng = np.random.default_rng(1)
    X = np.floor(rng.uniform(0.0, 10.0 ** rng.uniform(1, 5, 4), size=(200, 4)))
    y = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(4)
    y = 10.0 * (y + 0.3 * rng.standard_t(1.5, 200))
    options = {"solver": "saga", "max_iter": 64, "tol": None, "random_state": 0}
    model = GDRegressor("huber", epsilon=0.1, alpha=1e-6, **options).fit(X, y)
    assert model.history_["rate"][-1] >= 0.2 * model.history_["rate"][0]
    assert model.objective_ <= 1.5  # 1.9 with a step halved six times
