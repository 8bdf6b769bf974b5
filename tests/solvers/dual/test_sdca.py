"""Dual coordinate ascent: the one-row step and the epoch against slow twins, the optimum proved,
the bound tested.
"""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.fitting.loop import Loop
from fastgd.fitting.stopping import StopReason
from fastgd.losses.base import Loss, has_mean
from fastgd.losses.classification import Hinge, LogLoss, Perceptron, SquaredHinge
from fastgd.losses.regression import (
    EpsilonInsensitive,
    Huber,
    Quantile,
    SquaredEpsilonInsensitive,
)
from fastgd.objective.objective import Objective
from fastgd.penalties.separable import ElasticNet
from fastgd.solvers.base import State
from fastgd.solvers.dual import kernels as dual
from fastgd.solvers.dual.sdca import Sdca
from support.components import ToySoftmax
from support.problems import Quartic, iterations, objective, proved, started
from support.twins import members, samples, sparse_problem, stored, targets_of, with_jit


class Cornered(Loss):
    """A user's loss with a kink and curvature on both sides of it: abs(r) + r^2, r =
    prediction - target.
    """

    infimum = 0.0
    smooth = False

    def value(self, prediction, target):
        residual = prediction - target
        return abs(residual) + residual * residual

    def derivative(self, prediction, target):
        residual = prediction - target
        return 2.0 * residual + (1.0 if residual > 0.0 else -1.0)


class Steep(Loss):
    """A user's smooth loss without a curvature bound or a curvature: exp(r) - r - 1, r =
    prediction - target.
    """

    infimum = 0.0

    def value(self, prediction, target):
        residual = prediction - target
        return np.exp(min(residual, 700.0)) - residual - 1.0

    def derivative(self, prediction, target):
        return np.exp(min(prediction - target, 700.0)) - 1.0


class Bumpy(Loss):
    """A user's loss that is not convex."""

    infimum = 0.0
    convex = False

    def value(self, prediction, target):
        return 1.0 - np.exp(-((prediction - target) ** 2))

    def derivative(self, prediction, target):
        return 2.0 * (prediction - target) * np.exp(-((prediction - target) ** 2))


OWN = [loss for loss in members(Loss) if loss.convex and not isinstance(loss, Perceptron)]
ALL = [*OWN, Cornered(), Steep()]
FEW = [loss for loss in ALL if loss.name in ("log_loss", "hinge")]
LOSSES = pytest.mark.parametrize("loss", with_jit(FEW, ALL), ids=lambda loss: loss.name)
EVERY_LOSS = pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
STORAGES = pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))


def lowest(function, low, high):
    """The minimum of a convex function of one number, by ever finer grids."""
    for _ in range(40):
        grid = np.linspace(low, high, 21)
        k = int(np.argmin([function(z) for z in grid]))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, 20)]
    return function(0.5 * (low + high))


@pytest.mark.plain  # one number compiles quickly, but sixteen losses do not
@EVERY_LOSS
def test_the_step_of_one_row_is_the_best_one(loss):
    rng = np.random.default_rng(5)
    step = dual.smooth_step if loss.smooth else dual.nonsmooth_step
    for rate in (1e-4, 0.1, 1.0, 30.0, 1e4):
        for _ in range(6):
            target = (
                rng.choice([-1.0, 1.0])
                if loss.classification
                else float(targets_of(loss, rng.standard_normal()))
            )
            at, z0 = 2.0 * rng.standard_normal(2)
            u0 = -loss.derivative(at, target)

            def dual_value(
                u, conjugate, z0=z0, u0=u0, rate=rate
            ):  # less the squared length of w, as u moves it
                return conjugate - (u - u0) * z0 - 0.5 * rate * (u - u0) ** 2

            u, z, value, _ = step(loss, z0, target, u0, rate)
            before, after = (
                dual_value(u0, loss.value(at, target) + u0 * at),
                dual_value(u, value + u * z),
            )
            reach = 1.0 + abs(rate * (u0 + loss.derivative(z0, target)))
            best = lowest(
                lambda z, t=target, u0=u0, z0=z0, q=rate: (
                    loss.value(z, t) + u0 * z + (z - z0) ** 2 / (2.0 * q)
                ),
                z0 - reach,
                z0 + reach,
            )
            slack = 1e-9 * (1.0 + abs(best) + abs(u0 * z0))
            assert after <= best + slack
            assert after >= best - 0.01 * (best - before) - slack
            # Minus u is a derivative of the loss at z: the loss is above that line, which makes the
            # bound a proof.
            line = [
                value - u * (p - z) - loss.value(p, target) for p in z + rng.standard_normal(20)
            ]
            assert max(line) <= 1e-9 * (1.0 + abs(value) + abs(u))


@pytest.mark.plain
@EVERY_LOSS
def test_a_step_never_lowers_the_dual_however_long_the_row(loss):
    """Rates of 1e30, predictions of 1e20: a bracket that is halved fifty times has not come down
    to a root at 1.
    """
    rng = np.random.default_rng(7)
    step = dual.smooth_step if loss.smooth else dual.nonsmooth_step
    for k in range(400):
        rate, z0 = (
            10.0 ** rng.uniform(-6, 30),
            float(rng.choice([-1, 1]) * 10.0 ** rng.uniform(-6, 20)),
        )
        target = (
            rng.choice([-1.0, 1.0])
            if loss.classification
            else float(targets_of(loss, rng.standard_normal() * 10.0 ** rng.uniform(-3, 2)))
        )
        at = target * (1.0 + 10.0 ** rng.uniform(-3, 1) * rng.standard_normal())
        u0 = -loss.derivative(at, target) if k % 4 else 0.0
        before, size = (
            (loss.value(at, target) + u0 * at, abs(u0 * at)) if k % 4 else (loss.infimum, 0.0)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            u, z, value, size_after = (float(number) for number in step(loss, z0, target, u0, rate))
        assert np.isfinite(u)
        gain = (value + u * z) - before - (u - u0) * z0 - 0.5 * rate * (u - u0) ** 2
        # What rounds: u, in its last place or where no number is nearer, beside what it moves; and
        # both terms. exp(r) - 1 and 1 - y exp(-z) are rounded by a unit of 1.
        unit = 1.0 if loss.name in ("steep", "gamma") else 0.0
        near = rate * (1e-14 * (abs(u) + abs(u0)) + 4e-16 * unit) ** 2 + 1e-13 * (
            abs(z0 * (u - u0)) + size + size_after
        )
        # A share's root is left by 1e-3 where exp rounds otherwise: the tangent then takes a little
        # off the dual value, which is the safe side.
        near += 1e-6 if loss.name == "binomial" else 0.0
        assert gain >= -near - 1e-13 * abs(target) - 1e-15, (rate, z0, target, u0)


@STORAGES
@pytest.mark.parametrize("l1", [0.0, 0.02])
@LOSSES
def test_an_epoch_is_its_twin(loss, l1, storage):
    X, y, weights, offsets = sparse_problem(loss)
    n, d, l2, b_factor = 23, 6, 0.05, 0.3
    order = np.random.default_rng(1).permutation(np.flatnonzero(weights))
    point, duals, terms, sizes, moves = np.zeros(d + 1), *np.zeros((4, n))
    options = dual.DualOptions(1.0 / (l2 * n), l1 / l2, b_factor)
    corners = None if loss.smooth else True
    args = stored(X, storage), samples(y, weights, offsets), loss, corners, order, (X**2).sum(1)
    step = dual.smooth_step if loss.smooth else dual.nonsmooth_step
    u, t = np.zeros(n), np.zeros(n)
    for _ in range(3):
        total = dual.dual_epoch(*args, point, duals, terms, sizes, moves, options)
        moved = 0.0
        for i in order:
            v = X.T @ (weights * u) / (l2 * n)
            w, b = np.sign(v) * np.maximum(np.abs(v) - l1 / l2, 0.0), b_factor * (weights @ u)
            z = X[i] @ w + b + offsets[i]
            new, at, value, _ = step(
                loss, z, y[i], u[i], weights[i] * (X[i] @ X[i] / (l2 * n) + b_factor)
            )
            moved += (weights[i] * (new - u[i])) ** 2 * (X[i] @ X[i])
            u[i], t[i] = new, value + new * (at - offsets[i])
        # Tangents stop where the value is right to rounding, the place to its root.
        near = (
            {"rtol": 1e-6, "atol": 1e-7}
            if loss.name == "cornered"
            else {"rtol": 1e-9, "atol": 1e-11}
        )
        np.testing.assert_allclose(duals, u, **near)
        np.testing.assert_allclose(terms, t, **near)
        np.testing.assert_allclose(
            point, [*X.T @ (weights * u) / (l2 * n), b_factor * (weights @ u)], **near
        )
        assert total == pytest.approx(moved, rel=10.0 * near["rtol"])


@pytest.mark.thinned(plain=3, compiled=1)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("penalty", ["l2", ElasticNet(0.4)], ids=["l2", "elastic net"])
@LOSSES
def test_the_optimum_is_proved_by_its_own_bound(loss, penalty, fit_intercept):
    for seed, alpha in enumerate((0.3, 0.03)):
        F = objective(loss, penalty, alpha, fit_intercept=fit_intercept, seed=seed)
        solver = Sdca(F, seed=2)
        state, best = started(solver), -np.inf
        for _ in range(600):
            solver.advance(state)
            best = max(best, solver.lower_bound(state))
            gap = F.value(state.point) - best
            assert gap >= -1e-13
            if gap <= 1e-7 * best:
                break
        assert gap <= 1e-7 * best


@LOSSES
def test_the_bound_is_never_above_the_optimum(loss):
    for seed in range(with_jit(200, 8)):
        rng = np.random.default_rng(seed)
        alpha, fit_intercept = 10.0 ** rng.uniform(-4, 1), bool(rng.integers(2))
        F = objective(
            loss,
            ElasticNet(rng.choice([0.0, 0.5])),
            alpha,
            fit_intercept=fit_intercept,
            seed=seed,
            n=15,
        )
        solver = Sdca(F, seed=seed)
        state = started(solver)
        found = [solver.lower_bound(state)]
        for _ in range(25):
            with np.errstate(
                all="ignore"
            ):  # plain Python warns of inf / inf, compiled code does not
                solver.advance(state)
            found.append(solver.lower_bound(state))
        assert np.isfinite(found).all()
        assert max(found) <= F.value(state.point) * (1.0 + 1e-13)  # which is at least the optimum


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("penalty", ["l2", ElasticNet(0.4)], ids=["l2", "elastic net"])
@LOSSES
def test_the_gaps_of_all_rows_are_what_the_bound_leaves(loss, penalty, fit_intercept, monkeypatch):
    F = objective(loss, penalty, 0.05, fit_intercept=fit_intercept)
    solver = Sdca(F, seed=1)
    state = iterations(solver, 3)
    if state.memory.lower == -np.inf:
        assert solver.progress(state).gap_estimate == np.inf
        return
    left = F.value(state.point) - state.memory.lower
    size = abs(F.value(state.point)) + abs(state.memory.lower)
    monkeypatch.setattr(solver, "_sampled", lambda visits: solver.rows)
    assert abs(solver._gap(state) - left) <= 1e-12 * size


@pytest.mark.jit
@pytest.mark.parametrize("loss", FEW, ids=str)
def test_a_check_comes_when_the_bound_is_there(loss):
    """Some of the rows tell when: what the last iteration raised the bound by brought 15 and 60
    checks.
    """
    rng = np.random.default_rng(0)
    X = sp.random_array((800, 400), density=0.02, random_state=rng, format="csr")
    y = np.where(X @ rng.standard_normal(400) + 0.1 * rng.standard_normal(800) > 0.0, 1.0, -1.0)
    for tol in (1e-1, 1e-3):
        F = Objective(loss, X, y, alpha=0.1 / y.size, fit_intercept=False, n_jobs=1)
        solver = Sdca(F, seed=2)
        result = Loop(solver, [], max_iter=100, tol=tol).run(started(solver))
        assert 0.01 * tol <= result.suboptimality <= tol
        assert len(result.history) <= 6


def heavy_tails(loss, seed):
    """Fewer rows than columns, on scales that differ by 1e4: a row's first tangents are 1e10
    apart.
    """
    rng = np.random.default_rng(seed)
    X = np.exp(3.0 * rng.standard_normal((17, 60)))
    y = X @ (rng.standard_normal(60) * (rng.random(60) < 0.3) / X.std(axis=0))
    y = np.where(y > np.median(y), 1.0, -1.0) if loss.classification else y / y.std()
    return X, y


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize(
    "loss",
    [
        SquaredHinge(),
        SquaredEpsilonInsensitive(0.1),
        *with_jit([], [Huber(), LogLoss(), Steep(), Cornered()]),
    ],
)
def test_heavy_tails_under_a_weak_penalty_do_not_diverge(loss, fit_intercept):
    """The dual only rises, and what it is the bound of does not explode: rates of 1e12 to 1e22
    for a row.
    """
    for seed in range(with_jit(5, 2)):
        X, y = heavy_tails(loss, seed)
        F = Objective(loss, X, y, alpha=10.0 ** (-6 - seed), fit_intercept=fit_intercept, n_jobs=1)
        solver, bounds = Sdca(F, seed=seed), []
        state = started(solver)
        for _ in range(with_jit(20, 10)):
            solver.advance(state)
            bounds.append(solver.lower_bound(state))
            assert np.isfinite(state.point).all()
        least = F.value(np.zeros(F.size))
        if fit_intercept:
            continue  # between iterations the center moves
        assert np.diff(bounds).min() >= -1e-9 * least
        assert bounds[0] >= -1e-9 * least
        # The model is one that w = sum of u x / (l2 n) may have where the dual is positive.
        assert 0.5 * F.l2 * state.point @ state.point <= least


@pytest.mark.parametrize("penalty", ["l2", ElasticNet(0.4)], ids=["l2", "elastic net"])
def test_a_model_that_is_not_finite_is_left_for_a_safe_one(penalty):
    F = objective(FEW[0], penalty, 0.05)
    solver = Sdca(F, seed=1)
    state = iterations(solver, 3)
    there, visits = state.point.copy(), state.memory.visits
    assert solver.retreat(state, np.zeros(F.size))  # only F is not finite: w is on its way
    np.testing.assert_array_equal(state.point, there)
    state.point[0] = np.inf
    if state.memory.v is not None:
        state.memory.v[0] = np.inf
    state.memory.duals[0] = np.nan
    assert solver.retreat(state, there)
    assert np.isfinite(state.point).all()
    assert (state.iteration, state.memory.visits) == (3, visits)
    iterations(solver, 60, state)
    assert 0.0 <= F.value(state.point) - solver.lower_bound(state) <= 1e-6
    assert not solver.retreat(State(np.full(F.size, np.nan), 1), np.full(F.size, np.nan))


def exact_value(loss, X, y, alpha, v):
    """F without an intercept in extended precision, but for the losses, which are told how far
    they are from y.
    """
    w = v.astype(np.longdouble)
    z = X.astype(np.longdouble) @ w
    # Each loss is one of a margin or of a residual: near y a prediction that is rounded first would
    # lose it.
    losses = [
        loss.value(p * t, 1.0) if loss.classification else loss.value(p - t, 0.0)
        for p, t in zip(z, y, strict=True)
    ]
    return sum(losses) / len(y) + alpha * (w @ w) / 2


@pytest.mark.parametrize(
    "loss", [Quantile(0.2), Quantile(0.8), *with_jit([Hinge()], members(Loss))], ids=str
)
def test_the_bound_holds_where_rows_are_long_beside_the_penalty(loss):
    if loss.name in ("perceptron", "log_loss") or has_mean(loss):
        pytest.skip("no dual ascent, or no twin in extended precision")
    for seed in range(with_jit(6, 2)):
        X, y = heavy_tails(loss, seed)
        F = Objective(loss, X, y, alpha=1.6e-6, fit_intercept=False, n_jobs=1)
        solver, best, values = Sdca(F, seed=seed), -np.inf, []
        interpolating = X.T @ np.linalg.lstsq(X @ X.T, y, rcond=None)[0]
        state = started(solver)
        for _ in range(with_jit(60, 12)):
            solver.advance(state)
            best = max(best, solver.lower_bound(state))
            values.append(exact_value(loss, X, y, 1.6e-6, state.point))
        least = min(*values, exact_value(loss, X, y, 1.6e-6, interpolating))
        assert best <= least, seed


def test_the_value_at_a_corner_is_right_however_far_the_tangents():
    """Minus the conjugate of a quantile's loss is u y: its rounding is told by the size, which
    is of the order of y.
    """
    rng = np.random.default_rng(0)
    for _ in range(with_jit(2000, 300)):
        loss, y, z, rate = (
            Quantile(rng.uniform(0.1, 0.9)),
            rng.standard_normal(),
            10.0 * rng.standard_normal(),
            10.0,
        )
        rate **= rng.uniform(-2, 12)
        dual_before = rng.uniform(loss.quantile - 1.0, loss.quantile)
        u, at, value, size = dual.nonsmooth_step(loss, z, y, dual_before, rate)
        assert loss.quantile - 1.0 <= u <= loss.quantile
        wrong = abs(Fraction(value) + Fraction(u) * Fraction(at) - Fraction(u) * Fraction(y))
        assert wrong <= 2.0**-50 * size
        if abs(dual_before) < 0.9 * min(loss.quantile, 1.0 - loss.quantile) and rate > 1e4:
            assert size <= 4.0 * (1.0 + abs(y))


def minus_conjugate(loss, u, target):
    """The least of loss(z) + u z over z, in fractions: what a term of the bound must not exceed."""
    u, y = Fraction(u), Fraction(target)
    within = Fraction(getattr(loss, "epsilon", 0.0)) * abs(u)
    return {
        "hinge": u * y,
        "squared_hinge": u * y - u * u / 4,
        "quantile": u * y,
        "epsilon_insensitive": u * y - within,
        "squared_epsilon_insensitive": u * y - within - u * u / 4,
        "huber": u * y - u * u / 2,
    }[loss.name]


@pytest.mark.parametrize(
    "loss",
    [
        Hinge(),
        Quantile(0.3),
        EpsilonInsensitive(0.2),
        SquaredHinge(),
        SquaredEpsilonInsensitive(0.2),
        Huber(),
    ],
    ids=lambda loss: loss.name,
)
def test_the_size_of_a_term_tells_its_rounding(loss):
    """And of one at a kink no more: a row of little weight beside others has a dual variable of
    1e-9, and was said to be rounded by units of 1, which kept the bound that far below.
    """
    rng = np.random.default_rng(1)
    for _ in range(with_jit(2000, 400)):
        y = rng.choice([-1.0, 1.0]) if loss.classification else rng.standard_normal()
        rate, z = 10.0 ** rng.uniform(-2, 12), 10.0 * rng.standard_normal()
        before = -loss.derivative(10.0 * rng.standard_normal(), y) * 10.0 ** rng.uniform(-12, 0)
        if loss.smooth:
            low = y + rng.standard_normal()
            bracket = low, low + 10.0 ** rng.uniform(-15, -1)
            u, at, value, size = dual.between_tangents(loss, z, y, before, rate, *bracket)
        else:
            u, at, value, size = dual.nonsmooth_step(loss, z, y, before, rate)
        term = Fraction(float(value)) + Fraction(float(u)) * Fraction(float(at))
        assert term - minus_conjugate(loss, float(u), y) <= 2.0**-52 * size
        at_kink = loss.name in ("hinge", "epsilon_insensitive") and rate >= 1e9
        if at_kink and abs(before) <= 1e-9:
            assert size <= 1e-6


def test_a_row_that_outweighs_all_others_is_proved():
    """Terms at kinks were said to be rounded by a unit of 1, beside an F of 2e-8: 2,717 iterations
    had proved 1.1e-7.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    y = np.where(X[:, 0] + rng.standard_normal(20) > 0.0, 1.0, -1.0)
    weights = np.r_[1e9, np.ones(19)]
    F = Objective(Hinge(), X, y, sample_weight=weights, alpha=0.01, n_jobs=1)
    assert proved(Sdca(F, seed=0), tol=6e-8, max_iter=400).suboptimality <= 6e-8


@pytest.mark.parametrize(
    ("tol", "reason"), [(1e-9, StopReason.PLATEAU), (1e-7, StopReason.CONVERGED)]
)
def test_a_run_ends_where_rounding_of_its_bound_is_left(tol, reason):
    """Beside a weight of 1e9 the bound of a quantile's loss lacks 7e-16 for rounding, five times
    what F is rounded by: no run ended at 6e-8 by itself.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    y, weights = X[:, 0] + rng.standard_normal(20), np.r_[1e9, np.ones(19)]
    F = Objective(Quantile(0.3), X, y, sample_weight=weights, alpha=0.01, n_jobs=1)
    result = proved(Sdca(F, seed=0), tol, max_iter=600)
    assert result.reason is reason
    assert result.suboptimality <= 1e-7


def test_where_no_row_moved_most_none_is_visited_more_often():
    """Thirty visits to no row: each took its rounding into account."""
    solver = Sdca(objective(FEW[0], "l2", 0.05), seed=1)
    state = iterations(solver, 2)
    state.memory.moves[:], visits = 1.0, state.memory.visits
    solver.advance(state)
    assert state.memory.visits == visits + 1


def test_bound_of_unbalanced_duals():
    rng = np.random.default_rng(3)
    F = objective(FEW[0], "l2", 0.05, seed=1)
    solver = Sdca(F, seed=2)
    state = iterations(solver, 60)
    lowest_value = F.value(state.point)
    assert lowest_value - solver.lower_bound(state) <= 1e-9
    for _ in range(50):  # whatever the duals: between 0 and target for this loss
        u = rng.random(F.n_samples) * F.samples.targets
        p = np.abs(u)
        state.memory.duals = u
        state.memory.terms = -(p * np.log(p) + (1 - p) * np.log1p(-p)) - u * F.samples.offsets
        solver._put(state, solver._primal(u))
        assert solver.lower_bound(state) <= lowest_value


@pytest.mark.parametrize("penalty", ["l2", ElasticNet(0.4)], ids=["l2", "elastic net"])
def test_dense_is_csr_and_runs_can_be_cut(penalty):
    whole = iterations(Sdca(objective(FEW[0], penalty, 0.02), seed=7), 9)
    csr = iterations(Sdca(objective(FEW[0], penalty, 0.02, sp.csr_array), seed=7), 9)
    np.testing.assert_allclose(csr.point, whole.point, rtol=1e-10, atol=1e-13)
    part = pickle.loads(pickle.dumps(iterations(Sdca(objective(FEW[0], penalty, 0.02), seed=7), 4)))
    solver = Sdca(objective(FEW[0], penalty, 0.02), seed=7)
    solver.resume(part)
    iterations(solver, 5, part)
    np.testing.assert_array_equal(part.point, whole.point)
    assert (part.iteration, part.updates) == (9, whole.updates)


def test_weights_are_repetitions():
    X, y, _, offsets = sparse_problem(FEW[0])
    weights = np.random.default_rng(0).integers(0, 4, 23).astype(float)
    repeat = np.repeat(np.arange(23), weights.astype(int))
    weighted = Objective("hinge", X, y, sample_weight=weights, offset=offsets, alpha=0.1)
    repeated = Objective("hinge", X[repeat], y[repeat], offset=offsets[repeat], alpha=0.1)
    one, other = (iterations(Sdca(F, seed=1), 150) for F in (weighted, repeated))
    np.testing.assert_allclose(one.point[:-1], other.point[:-1], rtol=1e-5, atol=1e-6)
    assert weighted.value(one.point) == pytest.approx(repeated.value(other.point), rel=1e-7)


def test_a_start_or_another_strength_is_built_on():
    F = objective(FEW[0], "l2", 0.05)
    near = iterations(Sdca(F, seed=1), 40)
    solver = Sdca(F, seed=5)
    state = started(solver, near.point + 1e-4)
    assert 0.0 <= F.value(near.point) - solver.lower_bound(state) <= 1e-3
    far = started(solver, near.point + 100.0)
    assert -0.01 <= solver.lower_bound(far) <= F.value(near.point)  # the start alone: below -1e4
    iterations(solver, 40, state)
    np.testing.assert_allclose(state.point, near.point, rtol=1e-6, atol=1e-8)
    weaker = objective(FEW[0], "l2", 0.04)
    solver = Sdca(weaker, seed=1)
    solver.resume(near)
    assert solver.lower_bound(near) == -np.inf  # until an iteration has looked at all rows
    iterations(solver, 40, near)
    assert weaker.value(near.point) - solver.lower_bound(near) <= 1e-9
    larger = objective(FEW[0], "l2", 0.04, n=31)
    solver = Sdca(larger, seed=1)
    solver.resume(near)
    iterations(solver, 40, near)
    assert 0.0 <= larger.value(near.point) - solver.lower_bound(near) <= 1e-9


@pytest.mark.parametrize(
    ("loss", "penalty", "alpha", "message"),
    [
        (Perceptron(), "l2", 0.1, "convex loss of one prediction"),
        (Bumpy(), "l2", 0.1, "convex loss of one prediction"),
        (FEW[0], "l1", 0.1, "an L2 part"),
        (FEW[0], "l2", 0.0, "alpha > 0"),
        (FEW[0], Quartic(), 0.1, "an L2 part"),
    ],
    ids=["perceptron", "not convex", "l1", "alpha 0", "user's penalty"],
)
def test_what_it_cannot_do_is_refused(loss, penalty, alpha, message):
    with pytest.raises(ValueError, match=message):
        Sdca(objective(loss, penalty, alpha), seed=0)


def test_a_vector_loss_is_refused():
    F = Objective(ToySoftmax(), np.eye(3), np.array([[0.0], [1.0], [2.0]]), alpha=0.1)
    with pytest.raises(ValueError, match="convex loss of one prediction"):
        Sdca(F, seed=0)


def few_decide():
    """Binary columns, of which a rare class has more: next to none of the other's rows decide."""
    rng = np.random.default_rng(0)
    rare = rng.random(8000) < 0.03
    X = rng.random((8000, 300)) < np.where(rare, 0.1, 0.04)[:, None]
    y = np.where(rare, 1.0, -1.0)
    X = sp.csr_array(X.astype(float))
    return Objective("hinge", X, y, alpha=1.0 / 8000, fit_intercept=False)


@pytest.mark.jit
def test_the_gap_that_few_rows_make_is_estimated():
    F = few_decide()
    solver = Sdca(F, 0)
    state = solver.start(F.start())
    shares = []
    for _ in range(30):
        solver.advance(state)
        gap = F.value(state.point) - state.memory.last_lower
        shares.append(state.memory.gap_estimate / gap)
    # By a sample alone from 0 to 5 times the gap.
    assert 0.5 < min(shares) < max(shares) < 2.0


def test_a_forecast_of_kinks_gives_way_to_what_a_run_tells():
    F = few_decide()
    told = Sdca.forecast(F, 1e-4)
    assert told.tells_early
    assert Sdca.forecast(F, 1e-4, cutoff=0.5 * told.passes) == told
    assert F.passes < 1.0
    assert not Sdca.forecast(objective(FEW[0], "l2", 0.1), 1e-4).tells_early
