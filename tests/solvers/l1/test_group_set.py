"""Block coordinate descent for a squared loss and groups: slow twins, scikit-learn's models, and
that matrices and columns say the same.
"""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import MultiTaskElasticNet

from fastgd import GDRegressor, GDRegressorCV, GroupLasso, MultiTask, Objective, SparseGroupLasso
from fastgd.fitting.loop import Loop
from fastgd.losses.each_target import EachTarget
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.measured import is_measured, measured_once
from fastgd.penalties.group_term import FeatureGroups
from fastgd.solvers.l1 import group_set, kernels
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.group_descent import GroupDescent, inverse_of
from fastgd.solvers.l1.group_models import DenseColumns, MatrixModel, SparseColumns
from fastgd.solvers.l1.group_set import GroupSet

N, D = 40, 12
GROUPS = [[0, 3], [1], [2, 5, 4], [6, 7, 8, 9], [10, 11]]
PENALTIES = {
    "rows": MultiTask(1.0),
    "rows and L2": MultiTask(0.6),
    "groups": GroupLasso(GROUPS),
    "sparse groups": SparseGroupLasso(GROUPS, 0.3),
    "free group": GroupLasso(GROUPS, weights=[1.0, 0.0, 1.0, 2.0, 0.5]),
    "weighted rows": MultiTask(1.0).weighed([0.0, 2.0, np.inf, 0.5, 0.0, *[1.0] * 7]),
    "weighted rows and L2": MultiTask(0.6).weighed([0.0, 2.0, np.inf, 0.5, 0.0, *[1.0] * 7]),
    "weighted groups": SparseGroupLasso(GROUPS, 0.3).weighed(
        [0.5, 0.0, 1.0, 0.5, 1.0, 1.0, *[np.inf] * 4, 0.0, 0.0]
    ),
}


def data(n_predictions, n=N, d=D, seed=0):
    """Columns that are alike, some values 0, rows of weight 0, targets far from 0."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + rng.standard_normal((n, 1))
    X *= rng.random((n, d)) < 0.8
    Y = X[:, :4] @ rng.standard_normal((4, n_predictions)) + 3.0
    Y += 0.5 * rng.standard_normal(Y.shape)
    weights = rng.integers(0, 3, n).astype(float)
    return X, Y, weights, 0.3 * rng.standard_normal(n)


def objective(penalty, n_predictions=3, fit_intercept=True, storage=np.asarray, **shape):
    X, Y, weights, offsets = data(n_predictions, **shape)
    one = n_predictions == 1
    return Objective(
        SquaredError() if one else EachTarget(SquaredError()),
        storage(X),
        Y[:, 0] if one else Y,
        sample_weight=weights,
        offset=offsets,
        penalty=PENALTIES[penalty] if isinstance(penalty, str) else penalty,
        alpha=0.2,
        fit_intercept=fit_intercept,
    )


@functools.cache
def twin(*problem, steps=2000):
    """The least F that proximal gradient steps find: all rows, all coefficients, one length."""
    F = objective(*problem)
    v = F.start()
    table = np.column_stack([F.rows.part(slice(None)), np.ones(F.n_samples)])
    weights = F.samples.weights / F.n_active
    curvature = np.linalg.eigvalsh(table.T @ (weights[:, None] * table))[-1]
    rate = 1.0 / (curvature + F.term.strong_convexity)
    here, momentum = v, 1.0
    for _ in range(steps):
        moved = F.proximal(here - rate * F.smooth_and_gradient(here)[1], rate)
        after = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        if (here - moved) @ (moved - v) > 0.0:
            after = momentum = 1.0
        here = moved + (momentum - 1.0) / after * (moved - v)
        v, momentum = moved, after
    return F.value(v)


def solved(F, tol=1e-10, most=60):
    solver = GroupSet(F, tol)
    F.know_null_model()
    return Loop(solver, [], max_iter=most, tol=tol).run(solver.start(F.start()))


@pytest.fixture(params=["whole", "matrix", "columns"])
def way(request, monkeypatch):
    """One matrix of all columns, or working sets, by matrices or by columns."""
    if request.param != "whole":
        monkeypatch.setattr(group_set, "ALL_AT_ONCE", -1.0)
        monkeypatch.setattr(group_set, "MIN_COLUMNS", 3)
    if request.param == "columns":
        monkeypatch.setattr(group_set, "by_columns", lambda subset, features: True)
    return request.param


@pytest.mark.thinned(plain=3, compiled=2)
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "none"])
@pytest.mark.parametrize("n_predictions", [1, 3])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_is_its_twin(penalty, n_predictions, fit_intercept, storage, way):
    if n_predictions == 1 and "rows" in penalty:
        pytest.skip("an elastic net")
    F = objective(penalty, n_predictions, fit_intercept, storage)
    found = solved(F)
    lowest = twin(penalty, n_predictions, fit_intercept)
    assert found.objective <= lowest * (1.0 + 1e-9)
    assert found.objective == pytest.approx(F.value(found.point), rel=1e-9)
    assert found.objective == pytest.approx(lowest, rel=1e-9)
    assert found.bound.proved
    assert found.suboptimality <= 1e-10
    assert found.objective - found.bound.value <= lowest


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_equals_scikit_learn(l1_ratio, dtype, way):
    X, Y, weights, _ = data(4, n=80)
    X = X.astype(dtype)
    theirs = MultiTaskElasticNet(alpha=0.1, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000)
    theirs.fit(X.astype(float), Y)
    ours = GDRegressor(penalty=MultiTask(l1_ratio), alpha=0.1, tol=1e-12).fit(X, Y)
    assert (ours.plan_.solver, ours.plan_.form) == ("newton", GroupSet.form)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8 if l1_ratio == 1.0 else 1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    assert ours.bound_kind_ == "proof"
    weighted = GDRegressor(penalty=MultiTask(l1_ratio), alpha=0.1, tol=1e-12)
    weighted.fit(X, Y, sample_weight=weights)
    many = np.repeat(np.arange(80), weights.astype(int))
    repeated = GDRegressor(penalty=MultiTask(l1_ratio), alpha=0.1, tol=1e-12).fit(X[many], Y[many])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


def groups_of(sizes, l1=0.0, seed=0):
    sizes = np.array(sizes)
    strengths = np.random.default_rng(seed).uniform(0.1, 0.5, sizes.size)
    l1s, l2 = np.full(sizes.size, l1), np.zeros(sizes.sum())
    return FeatureGroups(np.arange(sizes.sum()), sizes, strengths, l1s, l2)


def models(groups, n_predictions, seed=0):
    """One quadratic as matrix, as dense and as compressed columns; coefficients of each."""
    rng, d = np.random.default_rng(seed), groups.features.size
    l2 = rng.uniform(0.1, 0.4, d)
    X = rng.standard_normal((30, d)) * (rng.random((30, d)) < 0.7)
    Y, weights = rng.standard_normal((30, n_predictions)), rng.uniform(0.1, 1.0, 30)
    weights /= weights.sum()
    coef = rng.standard_normal((n_predictions, d)) * np.repeat(
        rng.random(groups.sizes.size) < 0.6, groups.sizes
    )
    means, roots = weights @ X, np.sqrt(weights)
    centred = (X - means) * roots[:, None]
    residuals = centred @ coef.T - (Y - weights @ Y) * roots[:, None]
    matrix = centred.T @ centred + np.diag(l2)
    gradient = (centred.T @ residuals).T + l2 * coef
    dense = np.ascontiguousarray(centred.T), np.ascontiguousarray(residuals.T)
    apart = X @ coef.T - (Y - weights @ Y)
    return coef, (
        MatrixModel(matrix, gradient, coef, means),
        DenseColumns(*dense, l2, means),
        SparseColumns(sp.csc_array(X), weights, apart, l2, True),
    )


@pytest.mark.parametrize("l1", [0.0, 0.1])
@pytest.mark.parametrize("n_predictions", [1, 3])
def test_epochs_are_proximal_steps_of_one_group_after_the_other(n_predictions, l1):
    groups = groups_of([1, 2, 1, 3], l1)
    coef, found = models(groups, n_predictions)
    matrix, begun, start = found[0].matrix, found[0].gradient(coef).copy(), coef.copy()
    ends = np.append(0, np.cumsum(groups.sizes))
    expected = coef.copy()
    for every in (True, False):
        for g, strength in enumerate(groups.strengths):
            own = slice(ends[g], ends[g + 1])
            if not every and not expected[:, own].any():
                continue
            rate = 1.0 / np.linalg.eigvalsh(matrix[own, own])[-1]
            gradient = begun + (expected - start) @ matrix
            moved = expected[:, own] - rate * gradient[:, own]
            moved = np.sign(moved) * np.maximum(np.abs(moved) - rate * l1, 0.0)
            length = np.linalg.norm(moved)
            kept = max(1.0 - rate * strength / length, 0.0) if length else 0.0
            expected[:, own] = kept * moved
    after = begun + (expected - start) @ matrix
    values = []
    for model in found:
        descent = GroupDescent(model, coef.copy(), groups)
        options = descent.ends, groups.strengths, descent.curvatures, groups.l1
        before = model.value(descent.coef)
        for every in (True, False):
            model.epoch(descent.coef, *options, every)
        np.testing.assert_allclose(descent.coef, expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(model.gradient(descent.coef), after, rtol=1e-6, atol=1e-7)
        values.append(model.value(descent.coef) - before)
    np.testing.assert_allclose(values, values[0], rtol=1e-6)


@pytest.mark.parametrize(("n_predictions", "l1"), [(1, 0.0), (3, 0.0), (1, 0.1)])
def test_a_newton_step_solves_the_whole_system(n_predictions, l1):
    groups = groups_of([1, 2, 1, 3, 1], l1, seed=1)
    coef, found = models(groups, n_predictions, seed=1)
    moving = np.flatnonzero(coef.any(axis=0))
    group = np.repeat(np.arange(groups.sizes.size), groups.sizes)[moving]
    own, k = coef[:, moving], n_predictions
    hessian = np.kron(found[0].matrix[np.ix_(moving, moving)], np.eye(k))
    subgradient = found[0].gradient(coef)[:, moving] + l1 * np.sign(own)
    flat = own.T.ravel()
    for g in np.unique(group):
        which = np.repeat(group == g, k)
        u = np.where(which, flat, 0.0)
        length, strength = np.linalg.norm(u), groups.strengths[g]
        hessian += strength / length * (np.diag(which.astype(float)) - np.outer(u, u) / length**2)
        subgradient += strength / length * u.reshape(-1, k).T
    expected = -np.linalg.solve(hessian, subgradient.T.ravel()).reshape(-1, k).T
    for model in found:
        descent = GroupDescent(model, coef.copy(), groups)
        step = descent._newton_step(moving, model.gradient(coef)[:, moving])
        np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-8)
        before = model.value(descent.coef) + descent._rest(own, moving)
        descent.settle()
        after = model.value(descent.coef) + descent._rest(descent.coef[:, moving], moving)
        assert after <= before


def test_violations_are_those_of_the_term():
    for penalty in ("groups", "sparse groups"):
        F = objective(penalty, 3)
        groups = group_set.groups_of(F)
        rng = np.random.default_rng(0)
        coef = rng.standard_normal((D, 3)) * (rng.random((D, 1)) < 0.5) * (rng.random((D, 3)) < 0.8)
        gradient = 0.3 * rng.standard_normal((D, 3))
        expected = F.term.subgradient(coef.ravel(), gradient.ravel()).reshape(D, 3)
        ends = np.append(0, np.cumsum(groups.sizes))
        tables = (np.ascontiguousarray(one[groups.features].T) for one in (gradient, coef))
        found = kernels.group_violations(*tables, ends, groups.strengths, groups.l1)
        lengths = [np.linalg.norm(expected[part]) for part in np.split(groups.features, ends[1:-1])]
        np.testing.assert_allclose(found, lengths, rtol=1e-10, atol=1e-12)


def test_inverses():
    A = np.random.default_rng(0).standard_normal((9, 5))
    np.testing.assert_allclose(inverse_of(A.T @ A), np.linalg.inv(A.T @ A), rtol=1e-8)
    assert inverse_of(np.zeros((2, 2))) is None
    assert inverse_of(np.array([[1.0, 2.0], [2.0, 1.0]])) is None


def test_values_that_follow_from_a_matrix_are_those_of_a_pass():
    F = objective("rows and L2")
    F.know_null_model()
    solver = GroupSet(F, 1e-6)
    state = solver.start(F.start())
    solver.advance(state)
    assert state.memory.anchor is not None
    assert F.passes == 2.0  # of the null model and of the matrix
    value, gradient = F.smooth_and_gradient(state.point)
    assert state.value == pytest.approx(value, abs=state.memory.rounding)
    np.testing.assert_allclose(state.gradient, gradient, atol=1e-12)
    exact = GroupSet(F, 0.0)
    moved = exact.start(F.start())
    exact.advance(moved)
    assert moved.memory.anchor is None
    other = objective("rows and L2", seed=5)
    other.know_null_model()
    resumed = GroupSet(other, 1e-6)
    resumed.resume(state)
    assert state.memory.anchor is None
    assert state.value == pytest.approx(other.smooth_and_gradient(state.point)[0], rel=1e-12)


@pytest.mark.parametrize("penalty", ["rows and L2", "weighted rows"])
def test_few_columns_have_no_matrix_of_all(penalty, monkeypatch):
    monkeypatch.setattr(group_set, "EXTRA_PASSES", -1.0)
    F = objective(penalty)
    found = solved(F)
    assert found.objective == pytest.approx(twin(penalty), rel=1e-9)
    assert found.bound.proved
    assert found.suboptimality <= 1e-10
    assert not is_measured(F, group_set.mean_products)
    measured_once(F, group_set.mean_products)  # a path forms it
    again = solved(F, 1e-6)
    assert again.objective == pytest.approx(found.objective, rel=1e-6)
    solver = GroupSet(F, 1e-6)
    state = solver.start(found.point)
    passes = F.passes
    solver.advance(state)
    assert F.passes == passes


def test_columns_are_for_wide_sets():
    wide, tall = (objective("rows", n=n, d=60) for n in (20, 2000))
    chosen = np.arange(50)
    assert group_set.by_columns(ColumnSubset(wide, wide.rows), chosen)
    assert not group_set.by_columns(ColumnSubset(tall, tall.rows), chosen)


def test_a_path_has_one_matrix():
    X, Y, _, _ = data(3, n=200)
    counted, made = [], group_set.gram_sum

    def counting(*arguments):
        counted.append(1)
        return made(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_set, "gram_sum", counting)
        search = GDRegressorCV(penalty=MultiTask(), alphas=8, cv=3).fit(X, Y)
    assert len(counted) <= 4  # of each fold and of all rows
    alone = GDRegressor(penalty=MultiTask(), alpha=search.alpha_, tol=1e-6).fit(X, Y)
    np.testing.assert_allclose(search.coef_, alone.coef_, atol=1e-3)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_set_takes_one_more_group_however_large(size, monkeypatch):
    """Of groups as large as the whole set only the first was ever worked on."""
    monkeypatch.setattr(group_set, "ALL_AT_ONCE", -1.0)
    monkeypatch.setattr(group_set, "MIN_COLUMNS", size)
    groups = np.arange(D)[: D - D % size].reshape(-1, size).tolist()
    groups += [[j] for j in range(D - D % size, D)]
    found = solved(objective(GroupLasso(groups), 1))
    assert found.bound.proved
    assert found.suboptimality <= 1e-10


def test_what_it_refuses():
    assert "squared loss" in GroupSet.refusal(
        Objective(EachTarget(Huber()), *data(3)[:2], penalty=MultiTask(), alpha=0.1)
    )
    assert "groups of features" in GroupSet.refusal(
        Objective("squared_error", *data(1)[:1], data(1)[1][:, 0], alpha=0.1)
    )
