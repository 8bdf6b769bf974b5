"""Certificates: never below the true distance to the optimum, and close to it where they can be."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor
from fastgd.certificates import newton_proof as certificate
from fastgd.certificates.bound import Bound, relative_gap
from fastgd.certificates.certifier import Certifier, provable
from fastgd.certificates.duality_gap import DualityGap
from fastgd.certificates.estimates import sure_fall
from fastgd.certificates.newton_decrement import decrement_bound, likely_gain
from fastgd.certificates.newton_proof import NewtonProof
from fastgd.linalg.scalar_minimum import lowest
from fastgd.losses.base import Loss
from fastgd.losses.classification import Hinge, LogLoss, ModifiedHuber, Perceptron, SquaredHinge
from fastgd.losses.domain import REALS, SIGNS
from fastgd.losses.regression import (
    EpsilonInsensitive,
    Huber,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
)
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.null_model import loss_of_shift, null_model
from fastgd.objective.objective import Objective
from fastgd.penalties.quadratic import with_quadratic
from fastgd.penalties.separable import L2
from fastgd.penalties.weighted import weighted
from fastgd.solvers.base import Progress
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.twins import members, sparse_problem, targets_of, with_jit

SMOOTH = [
    LogLoss(),
    SquaredError(),
    Huber(0.7),
    SquaredHinge(),
    ModifiedHuber(),
    SquaredEpsilonInsensitive(0.1),
]


def random_problem(seed, loss, penalty, fit_intercept):
    """Problems with whatever makes bounds fail: collinear, constant, empty and wild columns,
    weights, offsets.
    """
    rng = np.random.default_rng(seed)
    d, n = int(rng.integers(1, 6)), int(rng.integers(8, 24))
    X = rng.standard_normal((n, d)) + rng.choice([0.0, 0.0, 5.0])
    kind = rng.choice(["plain", "collinear", "empty", "constant", "wild", "sparse"])
    if kind == "collinear" and d > 1:
        X[:, -1] = 2.0 * X[:, 0] if d == 2 else X[:, 0] + X[:, 1]
    elif kind == "wild":
        X *= 10.0 ** rng.uniform(-3, 3, d)
    elif kind == "sparse":
        X *= rng.random((n, d)) < 0.4
    elif kind in ("empty", "constant"):
        X[:, 0] = 3.0 * (kind == "constant")
    z = X @ rng.standard_normal(d)
    z = z / (z.std() or 1.0) + rng.choice([0.3, 2.0]) * rng.standard_normal(n)
    if loss.target_domain == REALS:
        y = z * rng.choice([1.0, 1e-3, 1e4]) + rng.choice([0, 100])
    else:
        y = targets_of(loss, z)
    weights = rng.uniform(0.1, 3, n) * (rng.random(n) < 0.9) if rng.random() < 0.5 else None
    if weights is not None:
        weights[0] = 1.0
    return Objective(
        loss,
        X,
        y,
        sample_weight=weights,
        offset=2 * rng.standard_normal(n) if rng.random() < 0.4 else None,
        penalty=penalty,
        alpha=float(rng.choice([0.0, 1e-8, 1e-4, 1e-2, 1.0])),
        l1_ratio=0.4,
        fit_intercept=fit_intercept,
        n_jobs=1,
    )


def total(F, v):
    return F.value(v)


def descend(F, iterations):
    """A run's points: the first 20 and the last, polished by Newton steps where F has a gradient
    everywhere.
    """
    solver = BarzilaiBorwein(F)
    state = solver.start(F.start())
    points = []
    for _ in range(iterations):
        solver.advance(state)
        points = [*points, state.point][:20]
        if solver.progress(state).done:
            break
    v = state.point
    for _ in range(30 if F.l1 == 0.0 else 0):
        matrix = F.curvature_matrix(v)
        unit = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300)) * (np.diag(matrix) > 0)
        step = (
            unit
            * np.linalg.lstsq(matrix * unit[:, None] * unit, unit * F.gradient(v), rcond=1e-13)[0]
        )
        lower = [
            v - share * step for share in (1.0, 0.5, 0.1) if F.value(v - share * step) < F.value(v)
        ]
        if not lower:
            break
        v = lower[0]
    return [*points, state.point, v]


def around(v, seed):
    """Points near `v`, and points anywhere."""
    rng = np.random.default_rng(seed)
    near = [
        v + size * rng.standard_normal(v.size) * (np.abs(v) + 1e-3) for size in (1e-5, 1e-3, 1e-1)
    ]
    return near + [size * rng.standard_normal(v.size) for size in (0.1, 1.0, 10.0)]


def bounds_at(F, v, monkeypatch):
    """(name, bound, point) for each bound that applies at `v`, at `v` or with its best
    intercept.
    """
    smooth, gradient = F.smooth_and_gradient(v)
    gap, newton = DualityGap(F), NewtonProof(F)
    yield "gap", gap.bound(v, smooth, gradient), v
    if newton.applies:
        yield "curvature", newton.prove(v, smooth, gradient), v
    if newton.applies and F.l2 > 0.0:
        with monkeypatch.context() as patch:
            patch.setattr(certificate, "WIDEST_PROOF", 0)
            yield "products", NewtonProof(F).prove(v, smooth, gradient), v
    if gap.centering_helps:
        moved = gap.centered(v)
        yield "centered", gap.bound(moved, *F.smooth_and_gradient(moved)), moved


def rounding(F, value):
    """What F is known to: residuals are as exact as the predictions and targets they are
    differences of.
    """
    return 1e-12 * value + 1e-15 * np.abs(F.samples.targets).max() * np.sqrt(2.0 * value)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", with_jit(SMOOTH[:2], SMOOTH), ids=lambda loss: loss.name)
def test_no_bound_is_below_the_truth(loss, penalty, monkeypatch):
    ratios = {}
    for seed in range(with_jit(60, 12)):
        F = random_problem(1000 * len(penalty) + seed, loss, penalty, fit_intercept=seed % 5 > 1)
        points = descend(F, with_jit(1000, 100))
        points += around(points[-1], seed)
        values = [total(F, v) for v in points]
        best = min(values)
        for v, value in zip(points, values, strict=True):
            for name, bound, at in bounds_at(F, v, monkeypatch):
                distance = (value if at is v else total(F, at)) - best
                assert bound.value >= distance - rounding(F, value), (
                    seed,
                    name,
                    F.alpha,
                    bound,
                    distance,
                    value,
                )
                assert (bound.kind == "proof") == np.isfinite(bound.value)
                if 1e-9 * best < distance < 1e-3 * best:
                    ratios.setdefault(name, []).append(bound.value / distance)
    for name in {"curvature", "products"} & set(ratios) if penalty == "l2" else ():
        assert np.median(ratios[name]) <= 1.1, (name, np.median(ratios[name]))


def dual_optimum(loss, X, y, l2):
    """Coefficients of the best dual point, by L-BFGS-B on its box; without intercept, offset and
    weights.
    """
    n = y.size
    if isinstance(loss, Hinge):
        low, high, linear = np.minimum(-y, 0.0), np.maximum(-y, 0.0), y
    else:
        low, high, linear = np.full(n, -loss.quantile), np.full(n, 1.0 - loss.quantile), y

    def objective(a):
        u = X.T @ a / n
        return linear @ a / n + u @ u / (2 * l2), linear / n + X @ u / (n * l2)

    found = scipy.optimize.minimize(
        objective,
        0.5 * (low + high),
        jac=True,
        bounds=list(zip(low, high, strict=True)),
        method="L-BFGS-B",
        options={"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-12},
    )
    return -X.T @ found.x / (n * l2)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize(
    "loss", [Hinge(), *with_jit([], [Quantile(0.3)])], ids=lambda loss: loss.name
)
def test_the_gap_holds_for_non_smooth_losses(loss, penalty):
    for seed in range(with_jit(20, 5)):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((20, 3))
        y = X[:, 0] + rng.standard_normal(20)
        y = targets_of(loss, y)
        F = Objective(
            loss, X, y, penalty=penalty, alpha=0.05, l1_ratio=0.4, fit_intercept=False, n_jobs=1
        )
        best = dual_optimum(loss, X, y, F.l2) if F.l1 == 0.0 else F.start()
        points = [best, F.start(), *around(best, seed), *(0.1 * rng.standard_normal((20, 3)))]
        values = [total(F, v) for v in points]
        for v, value in zip(points, values, strict=True):
            bound = DualityGap(F).bound(v, *F.smooth_and_gradient(v))
            assert bound.kind == "proof"
            assert bound.value >= value - min(values) - 1e-12 * value


def test_exactly_collinear_columns_are_no_obstacle():
    """Directions that no row sees do not change F; directions that some row hardly sees do."""
    rng = np.random.default_rng(0)
    groups = np.eye(3)[rng.integers(0, 3, 60)]
    x = rng.standard_normal((60, 2))
    y = np.where(x[:, 0] + rng.standard_normal(60) > 0, 1.0, -1.0)
    for loss in (LogLoss(), SquaredError()):
        hardly = x[:, :1] + 1e-9 * rng.standard_normal((60, 1))
        nothing = np.zeros((60, 1))
        twins = np.hstack([nothing, x, nothing])
        for extra, provable_there in (
            (groups, True),
            (x[:, :1], True),
            (nothing, True),
            (twins, True),
            (hardly, False),
        ):
            F = Objective(loss, np.hstack([x, extra]), y, n_jobs=1)
            v = descend(F, with_jit(300, 60))[-1]
            bound = NewtonProof(F).prove(v, F.value(v), F.gradient(v))
            assert bound.value == (pytest.approx(0.0, abs=1e-12) if provable_there else np.inf), (
                loss,
                extra.shape,
            )


def test_a_column_seen_only_where_the_loss_is_flat_is_an_obstacle_until_its_row_is_left_out():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
    F = Objective("log_loss", X, [1.0, -1.0, 1.0, -1.0], fit_intercept=False)
    v = np.array([0.1, 800.0])  # exp(-800) is 0: the curvature matrix has a zero where F has none
    assert NewtonProof(F)._curvature_proof(v, F.value(v), F.gradient(v), 0.0) == Bound(
        np.inf, "none"
    )
    best = scipy.optimize.minimize(F.value_and_gradient, v, jac=True, options={"gtol": 1e-10}).fun
    assert F.value(v) - NewtonProof(F).prove(v, F.value(v), F.gradient(v), 1e-3).value <= best


def rare_features(n=300):
    """Rows that nothing resembles are far from all others in the norm of the inverse curvature."""
    rng = np.random.default_rng(5)
    X = np.hstack([rng.standard_normal((n, 2)), np.eye(n)[:, :6], (rng.random((n, 3)) < 0.02)])
    y = np.where(
        X[:, 0] + X[:, 2:] @ rng.standard_normal(9) + rng.standard_normal(n) > 0, 1.0, -1.0
    )
    return Objective("log_loss", X, y, alpha=1.0 / n, n_jobs=1)


def test_far_rows_are_met_by_way_of_a_better_point(monkeypatch):
    F = rare_features(with_jit(300, 60))
    points = descend(F, 60)
    optimum = min(total(F, v) for v in points)
    by_way = [NewtonProof(F).prove(v, F.value(v), F.gradient(v)).value for v in points]
    monkeypatch.setattr(
        NewtonProof, "_proof_from_elsewhere", lambda self, *arguments: Bound(np.inf, "none")
    )
    direct = [NewtonProof(F).prove(v, F.value(v), F.gradient(v)).value for v in points]
    for v, near, far in zip(points, direct, by_way, strict=True):
        distance = total(F, v) - optimum
        assert far >= distance - 1e-14
        if 1e-12 < distance < 1e-2:
            assert far <= 1.2 * distance
        assert far <= near
    assert any(np.isinf(near) and far < 1e-2 for near, far in zip(direct, by_way, strict=True))
    # For three passes, if no more is asked for.
    before = F.passes
    v = points[8]
    NewtonProof(F).prove(v, F.value(v), F.gradient(v), target_gap=np.inf)
    assert F.passes - before <= 2 + 3


def test_products_prove_what_the_matrix_proves_on_wide_data(monkeypatch):
    rng = np.random.default_rng(1)
    X = sp.random_array((200, 400), density=0.05, random_state=rng, format="csr")
    y = np.where(X @ rng.standard_normal(400) + 0.3 * rng.standard_normal(200) > 0, 1.0, -1.0)
    if with_jit(False, True):
        X, y = X[:40], y[:40]
    for fit_intercept in (True, False):
        F = Objective("log_loss", X, y, alpha=0.01, fit_intercept=fit_intercept, n_jobs=1)
        solver = BarzilaiBorwein(F)
        state = solver.start(F.start())
        exact = Bound(np.inf, "none")
        while exact.value > 1e-3:
            solver.advance(state)
            exact = NewtonProof(F).prove(state.point, state.value, state.gradient)
        monkeypatch.setattr(certificate, "WIDEST_PROOF", 100)
        before, newton = F.passes, NewtonProof(F)
        proof = newton.prove(state.point, state.value, state.gradient)
        assert exact.value <= proof.value <= 1.3 * exact.value
        assert F.passes - before <= 30
        assert newton.passes == F.passes - before
        # Where a coarse bound is enough, and where the best of bounds would not do, it takes fewer.
        before = F.passes
        assert (
            NewtonProof(F)
            .prove(state.point, state.value, state.gradient, target_gap=100 * exact.value)
            .value
            <= 100 * exact.value
        )
        NewtonProof(F).prove(
            state.point, state.value, state.gradient, target_gap=0.01 * exact.value
        )
        assert F.passes - before <= 20
        monkeypatch.undo()


class Concave(Loss):
    """Not convex, and it says so: 1 - exp(-r^2 / 2)."""

    infimum = 0.0
    convex = False

    def value(self, prediction, target):
        return 1.0 - np.exp(-0.5 * (prediction - target) ** 2)

    def derivative(self, prediction, target):
        return (prediction - target) * np.exp(-0.5 * (prediction - target) ** 2)


class Shifted(Loss):
    """Squared error less 3: its infimum is not 0."""

    infimum = -3.0

    def value(self, prediction, target):
        return 0.5 * (prediction - target) ** 2 - 3.0

    def derivative(self, prediction, target):
        return prediction - target


class Linear(Loss):
    """Not bounded from below, but F with an L2 penalty is."""

    infimum = -np.inf

    def value(self, prediction, target):
        return prediction * target

    def derivative(self, prediction, target):
        return target + 0.0 * prediction


@pytest.mark.plain
def test_what_is_not_known_is_not_claimed():
    X, y, _, _ = sparse_problem(LogLoss())
    Y = np.arange(23.0)[:, None] % 3
    for loss, penalty in (
        (Concave(), "l2"),
        (Perceptron(), "l2"),
        (LogLoss(), ToyWeightedL1(np.ones(6))),
    ):
        F = Objective(loss, X, y, penalty=penalty, alpha=0.1)
        at_start = F.start(), *F.smooth_and_gradient(F.start())
        assert DualityGap(F).bound(*at_start) == Bound(np.inf, "none")
        assert not NewtonProof(F).applies
        assert not provable(F)
    for loss in (ToySoftmax(), ToyMultiSquared()):
        F = Objective(loss, X, Y if isinstance(loss, ToySoftmax) else np.hstack([Y, Y]), alpha=0.1)
        bound = DualityGap(F).bound(F.start(), *F.smooth_and_gradient(F.start()))
        assert bound == Bound(pytest.approx(F.value(F.start())), "proof")


@pytest.mark.plain
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_an_infimum_other_than_0_counts(penalty):
    X, y, _, _ = sparse_problem(SquaredError())
    v = 0.1 * np.arange(6.0)
    for loss in (Shifted(), *with_jit([], [Linear()])):
        F = Objective(loss, X, y, penalty=penalty, alpha=0.1, fit_intercept=False)
        points = [*descend(F, 200), v] if isinstance(loss, Shifted) or F.l2 > 0 else [v]
        values = [total(F, point) for point in points]
        for point, value in zip(points, values, strict=True):
            bound = DualityGap(F).bound(point, *F.smooth_and_gradient(point)).value
            assert bound >= value - min(values) - 1e-12
        if isinstance(loss, Shifted):
            assert DualityGap(F).bound(points[-2], *F.smooth_and_gradient(points[-2])).value < 1e-2
        elif F.l2 == 0.0:
            assert bound == np.inf


def test_the_best_intercept_never_makes_it_worse_and_balances_the_derivatives():
    for loss in with_jit([LogLoss(), Huber(0.7)], SMOOTH):
        X, y, weights, offsets = sparse_problem(loss)
        F = Objective(loss, X, y, sample_weight=weights, offset=offsets, alpha=0.1)
        for v in np.random.default_rng(2).standard_normal((5, 7)):
            moved = DualityGap(F).centered(v)
            np.testing.assert_array_equal(moved[:-1], v[:-1])
            assert F.value(moved) <= F.value(v) * (1 + 1e-14)
            smooth, gradient = F.smooth_and_gradient(moved)
            assert abs(gradient[-1]) <= 1e-12 * np.sqrt(2 * loss.curvature_bound * smooth)


@pytest.mark.thinned(plain=3, compiled=1)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss", with_jit([LogLoss(), Quantile(0.8)], members(Loss)), ids=lambda loss: loss.name
)
@pytest.mark.parametrize(("center", "spread"), [(0.0, 1.0), (1e6, 1.0), (-1e6, 1e3), (1e-6, 1e-9)])
def test_the_best_constant_is_the_best(loss, center, spread, weighted):
    rng = np.random.default_rng(3)
    if loss.target_domain == SIGNS:
        y = rng.choice([-1.0, 1.0], 30, p=[0.2, 0.8])
    elif loss.target_domain == REALS:
        y = center + spread * rng.standard_normal(30)
    else:
        y, spread = targets_of(loss, rng.standard_normal(30)), min(spread, 1.0)
    weights = (
        rng.uniform(0, 3, 30) * (rng.random(30) < 0.8) + 0.01 * (np.arange(30) == 0)
        if weighted
        else None
    )
    for offset in (None, spread * rng.standard_normal(30)):
        F = Objective(loss, np.zeros((30, 1)), y, sample_weight=weights, offset=offset)
        shift, value = null_model(F)
        assert value == pytest.approx(F.value([0.0, shift]), rel=1e-12, abs=1e-300)
        tried = [0.0, *y, *(y - (0 if offset is None else offset)), *rng.normal(shift, spread, 50)]
        assert value <= min(F.value([0.0, b]) for b in tried) * (1 + 1e-12) + 1e-15 * spread
        F = Objective(
            loss, np.zeros((30, 1)), y, sample_weight=weights, offset=offset, fit_intercept=False
        )
        assert null_model(F) == (0.0, pytest.approx(F.value([0.0]), rel=1e-14))


def test_a_shift_below_rounding_is_not_looked_for():
    rng = np.random.default_rng(6)
    for loss in with_jit([LogLoss(), Huber(0.7)], SMOOTH):
        z = 10.0 * rng.standard_normal(300)
        y = (
            np.where(rng.random(300) < 0.8, 1.0, -1.0)
            if loss.classification
            else targets_of(loss, np.abs(z + rng.standard_normal(300)))
        )
        F, size, tried = Objective(loss, np.zeros((300, 1)), y), float(np.abs(z).max()), []
        shift, _ = lowest(loss_of_shift(F, z), size, 0.0)
        sums = loss_of_shift(F, z + shift)
        again, value = lowest(
            lambda b, sums=sums, tried=tried: tried.append(b) or sums(b), size, 0.0
        )
        assert len(tried) <= 6
        _, derivative, curvature = sums(again)
        assert abs(derivative) <= 1e-13 * (curvature * size + np.sqrt(value))


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_the_losses_at_shifted_predictions_are_their_sums(storage):
    rng = np.random.default_rng(7)
    y, z, weights = (
        rng.standard_normal(23),
        rng.standard_normal(23),
        rng.uniform(0, 2, 23) * (np.arange(23) % 5 > 0),
    )
    X = np.zeros((23, 3)) if storage == "dense" else sp.csr_array((23, 3))
    for loss in with_jit([Huber(0.7)], SMOOTH):
        t = np.where(y > 0, 1.0, -1.0) if loss.classification else targets_of(loss, np.abs(y))
        F = Objective(loss, X, t, sample_weight=weights)
        kinds = loss.value, loss.derivative, loss.curvature
        expected = [
            np.average([kind(p + 0.3, one) for p, one in zip(z, t, strict=True)], weights=weights)
            for kind in kinds
        ]
        np.testing.assert_allclose(loss_of_shift(F, z)(0.3), expected, rtol=1e-12, atol=1e-14)


def test_the_best_constants_that_have_names():
    rng = np.random.default_rng(4)
    y, zeros = 1e6 + rng.standard_normal(41), np.zeros((41, 1))
    assert null_model(Objective("squared_error", zeros, y))[0] == pytest.approx(y.mean(), rel=1e-15)
    assert null_model(Objective(EpsilonInsensitive(0.0), zeros, y))[0] == pytest.approx(
        np.median(y), rel=1e-12
    )
    assert null_model(Objective(Quantile(0.25), zeros, y))[0] == pytest.approx(
        np.quantile(y, 0.25), rel=1e-12
    )
    signs = np.where(np.arange(41) < 10, 1.0, -1.0)
    assert null_model(Objective("log_loss", zeros, signs))[0] == pytest.approx(
        np.log(10 / 31), rel=1e-12
    )
    assert null_model(Objective("hinge", zeros, signs))[0] == pytest.approx(-1.0)
    assert null_model(Objective("perceptron", zeros, signs)) == (0.0, 0.0)
    shift, value = null_model(Objective("log_loss", zeros, np.ones(41)))
    assert 20 < shift < 100
    assert 0.0 <= value < 1e-10
    assert null_model(Objective("squared_error", zeros, np.full(41, 7.0))) == (7.0, 0.0)


def test_relative_to_what():
    assert relative_gap(0.1, 1.1, 1.0) == pytest.approx(0.1)
    # All of F: measured against the null model.
    assert relative_gap(1.0, 1.0, 5.0) == pytest.approx(1.0 / 5e-4)
    assert relative_gap(0.0, 0.0, 0.0) == 0.0
    assert relative_gap(-1e-18, 1.0, 1.0) == 0.0
    assert relative_gap(np.inf, 1.0, 1.0) == np.inf
    assert relative_gap(1.0, 1.0, 0.0) > 1e50


def test_the_decrement_bound_is_its_formula_without_cancellation():
    for reach in (1e-12, 1e-6, 1e-3, 1.0, 1e3):
        for x in (1e-12, 1e-6, 9e-5, 1.1e-4, 1e-2, 0.5, 0.999):
            # (1 - x) ln(1 - x) + x = sum_k x^k / (k (k - 1)), k = 2, 3, ...
            series = sum(x**k / (k * (k - 1)) for k in range(2, 20_000 if x > 0.9 else 200))
            bound = decrement_bound(x / reach, reach)
            assert bound == pytest.approx(series / reach**2, rel=1e-3 if x > 0.9 else 1e-7)
            assert bound >= series / reach**2 * (1 - 1e-11)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_the_decrement_estimates_what_is_left_near_the_optimum(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    y = np.where(X[:, 0] - X[:, 1] + rng.logistic(size=200) > 0.0, 1.0, -1.0)
    F = Objective("log_loss", X, y, penalty=penalty, alpha=2e-2)
    best = GDClassifier(penalty=penalty, alpha=2e-2, tol=1e-12).fit(X, y)
    optimum = np.append(best.coef_[0], best.intercept_)
    v = np.where(optimum != 0.0, optimum * 1.02, 0.0)
    gradient = F.smooth_and_gradient(v)[1]
    left = F.value(v) - F.value(optimum)
    assert 0.8 * left <= likely_gain(F, v, gradient) <= 1.25 * left
    v[0] = -v[0]
    gradient = F.smooth_and_gradient(v)[1]
    assert likely_gain(F, v, gradient) >= 0.3 * (F.value(v) - F.value(optimum))


@pytest.mark.thinned(plain=3, compiled=1)
@pytest.mark.parametrize("more", [0, 80, 320])
@pytest.mark.parametrize("level", [0.0, 3.6e10])
@pytest.mark.parametrize("loss", [ModifiedHuber(), SquaredHinge()], ids=str)
def test_the_estimate_sees_copies_beside_constant_columns(loss, level, more):
    """Constant columns far from zero made up all of the residual: the first product took it away,
    and what two copies were good for, 2 % of F, was not looked at.
    """
    rng = np.random.default_rng(0)
    # More columns than 300 were left to products, which do not see copies that are as near as this.
    n, apart = {0: (300, 1e-4), 80: (300, 1e-2), 320: (600, 1e-4)}[more]
    x, other = rng.standard_normal(n), rng.standard_normal(n)
    X = np.column_stack([x, np.full(n, level), x + apart * other, np.full(n, level)])
    X = np.column_stack([X, 0.01 * rng.standard_normal((n, more))])
    y = np.where(x + other + rng.logistic(size=n) > 0.0, 1.0, -1.0)
    F = Objective(loss, X, y, alpha=1e-6 if more else 1e-9)
    # Of the columns that vary: beside 3.6e10 rounding decides how much of a fit is proved.
    best = GDClassifier(loss, alpha=F.l2, tol=1e-3).fit(np.delete(X, [1, 3], axis=1), y)
    v = np.append(np.insert(best.coef_[0], [1, 2], 0.0), best.intercept_)
    v[[0, 2]] += np.array([0.1, -0.1]) / apart
    v[4:-1] *= 1.001
    gradient = F.smooth_and_gradient(v)[1]
    kept = np.delete(np.arange(F.size), [1, 3])
    H = F.curvature_matrix(v)[np.ix_(kept, kept)]
    left = 0.5 * gradient[kept] @ np.linalg.solve(H, gradient[kept])
    assert left > 1e-4
    assert likely_gain(F, v, gradient) == pytest.approx(left, rel=0.05)


def test_the_estimate_tells_of_an_intercept_without_curvature():
    """All rows are right by more than 1, or wrong by more than 1: F is flat or straight along the
    intercept.
    """
    X = np.array([[1.0], [1.1], [-1.0]])
    y = np.array([1.0, 1.0, -1.0])
    F = Objective("modified_huber", X, y, alpha=1e-3)
    for derivative, expected in ((4.0, 0.5e-3 * 16.0), (-9.0, np.inf)):
        v = np.array([derivative, 0.1])
        gradient = F.smooth_and_gradient(v)[1]
        assert likely_gain(F, v, gradient) == pytest.approx(expected, rel=1e-12)


def test_the_estimate_sees_what_the_rows_tell_beyond_the_matrix():
    """Columns around 1e6: a matrix of products knows them to 1e-4 of what they differ by."""
    rng = np.random.default_rng(0)
    X = 1e6 + rng.standard_normal((40, 30))
    y = X @ rng.standard_normal(30)
    y /= y.std()
    F = Objective(Huber(1e3), X, y, alpha=0.0, fit_intercept=False)
    best = np.linalg.lstsq(X, y)[0]
    coef = best + np.append([1e-3, -1e-3], np.zeros(28))
    left = F.value(coef) - F.value(best)
    assert likely_gain(F, coef, F.gradient(coef)) == pytest.approx(left, rel=0.01)


@pytest.mark.parametrize("loss", [Quantile(0.2), EpsilonInsensitive(0.0)], ids=str)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_fall_is_seen_where_a_row_lies_on_a_corner(loss, sign):
    """The best constant meets the heavier row: as the mean is held, what one row gains the other
    one costs.
    """
    X, y = sign * np.array([[3.0], [5.0]]), np.array([-0.3, 0.4])
    F = Objective(loss, X, y, penalty=None, sample_weight=np.array([0.2, 0.9]))
    constant, value = null_model(F)
    assert constant == pytest.approx(0.4)
    v = np.array([0.0, constant])
    fall = sure_fall(F, v, F.smooth_and_gradient(v)[1])
    assert fall >= 0.7 * value
    assert fall <= value * (1.0 + 1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("seed", [0, 2])
def test_a_fall_is_seen_where_each_column_has_a_row_or_two(seed):
    """Along no single column F falls; one-row steps had ended there, and told that 0.1 % was left
    where a third was.
    """
    rng, n, d = np.random.default_rng(seed), 400, 500
    values = np.exp(3.0 * rng.standard_normal(n)) * rng.choice([-1.0, 1.0], n)
    X = sp.csr_array((values, rng.integers(0, d, n), np.arange(n + 1)), shape=(n, d))
    y = 5.0 * rng.standard_normal(n)
    settings = {"solver": "gd", "batch_size": 16, "tol": None, "max_iter": 100, "random_state": 0}
    model = GDRegressor(Quantile(0.95), alpha=1.0 / n, **settings).fit(X, y)
    best = GDRegressor(Quantile(0.95), alpha=1.0 / n, tol=1e-8).fit(X, y)
    F = Objective(Quantile(0.95), X, y, alpha=1.0 / n)
    v = np.append(model.coef_, model.intercept_)
    fall = sure_fall(F, v, F.smooth_and_gradient(v)[1])
    assert fall >= 1e-3 * model.objective_
    assert fall <= model.objective_ - best.objective_


def test_beside_a_dual_point_of_the_solver_no_pass_is_spent_on_a_gradient():
    X = np.random.default_rng(0).standard_normal((30, 4))
    F = Objective("hinge", X, np.sign(X[:, 0]), alpha=0.1, fit_intercept=False)
    F.know_null_model()
    certifier, v = Certifier(F, 1e-6, free_answers=False), np.zeros(4)
    for progress, final, passes in (
        (Progress(lower=0.1), False, 0.0),
        (Progress(lower=0.1), True, 1.0),
        (Progress(), False, 1.0),
    ):
        check, before = certifier.check(v, F.smooth_and_gradient(v)[0], None), F.passes
        judged = certifier.judge(check, progress, 10.0, final)
        assert (judged.gradient is None) == (passes == 0.0)
        assert F.passes - before >= passes
        assert judged.bound.value <= F.value(v) - 0.1 + 1e-9 or not progress.lower > -np.inf


def test_the_root_of_an_inverse_is_no_less_than_that_of_any_matrix_so_near():
    """Eigenvectors for proofs of L-BFGS took 31,800 of 33,400 passes' worth."""
    rng = np.random.default_rng(0)
    A, E = rng.standard_normal((60, 20)), rng.standard_normal((20, 20))
    lengths = np.linalg.norm(A, axis=0)
    matrix, error = (A / lengths).T @ (A / lengths), E + E.T
    error /= np.linalg.norm(error, 2)
    for size, wider in ((1e-6, 1e-3), (2e-4, 0.2)):
        root = certificate._root_of_inverse(matrix, size)
        np.testing.assert_allclose(root @ root.T @ matrix, np.eye(20), atol=wider)
        for by in (-error, error, -np.eye(20)):
            near = matrix + size * by
            assert np.linalg.eigvalsh(root @ root.T - np.linalg.inv(near))[0] > 0.0
    assert certificate._root_of_inverse(matrix, 1e-2) is None  # rounding would show
    matrix[:, 0] = matrix[0] = matrix[1]
    matrix[0, 0] = 1.0
    assert certificate._root_of_inverse(matrix, 1e-15) is None


def test_a_first_proof_that_nothing_speaks_for_waits_for_what_its_matrix_takes():
    """Five tries in 430 passes, each 277 passes' worth of time, had proved nothing."""
    rng = np.random.default_rng(0)
    X = sp.random_array((400, 200), density=0.01, random_state=rng, format="csr")
    F = Objective("log_loss", X, np.tile([-1.0, 1.0], 200), alpha=1e-3)
    F.know_null_model()
    proof, v = NewtonProof(F), F.start()
    value, gradient = F.smooth_and_gradient(v)
    matrix = curvature_cost(F) + solving_cost(F, F.size)
    F.meter.count(2.0 * proof.passes)
    assert proof.worth_trying(value, 1e-6 * gradient, 1e-2)
    assert not proof.worth_trying(value, gradient, 1e-9)
    F.meter.count(2.0 * matrix)
    assert proof.worth_trying(value, gradient, 1e-9)


def test_a_better_intercept_is_not_looked_for_where_rounding_is_what_is_left(monkeypatch):
    """It took two passes each time, seven times in this fit and twice in one of a text to 1e-12."""
    moved = []
    own = DualityGap.centered

    def centered(self, v):
        moved.append(own(self, v)[-1] - v[-1])
        return own(self, v)

    monkeypatch.setattr(DualityGap, "centered", centered)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 60)), rng.random(40) < 0.5
    model = GDClassifier(alpha=1.0 / 40, tol=1e-13, solver="newton", n_jobs=1).fit(X, y)
    assert model.converged_
    assert len(moved) <= 1


@pytest.mark.parametrize("penalty", ["weights", "P2"])
def test_copies_of_a_column_are_seen_by_any_quadratic_part(penalty):
    """Directions that the matrix does not resolve were left out where the penalty was no plain L2,
    although F changes along them: 13 of 14 were proved to be 1e-15.
    """
    strengths = np.array([1.0, 2.0])
    made = {
        "weights": weighted(L2(), penalty_weights=strengths),
        "P2": with_quadratic(L2(), np.diag(strengths)),
    }[penalty]
    x = 1e5 * np.random.default_rng(0).standard_normal(200)
    y = 1e-5 * x + np.random.default_rng(1).standard_normal(200)
    F = Objective("squared_error", np.column_stack([x, x]), y, penalty=made, alpha=1e-4)
    F.know_null_model()
    v, lower = np.array([300.0, -300.0, y.mean()]), F.value(np.array([0.0, 0.0, y.mean()]))
    value, gradient = F.value_and_gradient(v)
    bound = NewtonProof(F).prove(v, value, gradient, np.inf)
    assert bound.value >= value - lower
