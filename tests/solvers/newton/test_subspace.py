"""Newton steps among past gradients, `RowSubspace` and `ColumnSubspace`, against the same steps on
explicit vectors.
"""

import numpy as np
import pytest

from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import Huber, SquaredError
from fastgd.objective.objective import Objective
from fastgd.solvers.gradient.preconditioner import Coordinates
from fastgd.solvers.newton.column_subspace import ColumnSubspace, choose_subspace
from fastgd.solvers.newton.subspace import RowSubspace
from support.components import LowHuber
from support.problems import iterations, optimum, started, wide
from support.twins import sparse_problem


def span_twin(F, kept, count, scales=1.0):
    """The same steps on explicit vectors, with full Newton steps: value after each iteration."""
    v, moves, values = F.start(), [], []
    for _ in range(count):
        value, g = F.smooth_and_gradient(v)
        basis = np.stack([v, *moves, g / scales**2], axis=1)
        basis = basis[:, np.linalg.norm(basis, axis=0) > 0.0]
        basis /= np.linalg.norm(basis, axis=0)
        H = basis.T @ F.curvature_matrix(v) @ basis
        step = -basis @ np.linalg.pinv(H, rcond=1e-12, hermitian=True) @ (basis.T @ g)
        assert F.value(v + step) < value or np.abs(g).max() < 1e-6
        v = v + step
        moves = [*moves, step][-(kept - 2) :]
        values.append(F.value(v))
    return np.array(values)


@pytest.mark.parametrize("kept", [4, 20])
@pytest.mark.parametrize("span", [RowSubspace, ColumnSubspace])
def test_steps_in_a_span_are_those_on_explicit_vectors(span, kept):
    F = wide(LogLoss(), fit_intercept=False, alpha=0.05)
    solver = span(F, kept)
    state, values = started(solver), []
    for _ in range(8):
        solver.advance(state)
        values.append(state.value)
    expected = span_twin(
        F, kept, 8, Coordinates.standard(F).scales[:, 0] if span is ColumnSubspace else 1.0
    )
    np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_a_quadratic_takes_as_many_iterations_as_it_has_curvatures():
    F = wide(SquaredError(), n=6, fit_intercept=False)
    state = iterations(RowSubspace(F), 7)
    assert np.abs(F.gradient(state.point)).max() < 1e-12


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("span", [RowSubspace, ColumnSubspace])
def test_a_start_elsewhere_leads_to_the_same_optimum(span, fit_intercept):
    F = wide(LogLoss(), fit_intercept=fit_intercept)
    best = iterations(span(F), 40)
    solver = span(F)
    point = np.random.default_rng(0).standard_normal(F.size)
    state = started(solver, point)
    np.testing.assert_array_equal(state.point, point)
    assert state.value == pytest.approx(F.value(point), rel=1e-12)
    iterations(solver, 60, state)
    assert state.value == pytest.approx(best.value, rel=1e-12)
    np.testing.assert_allclose(state.point, best.point, atol=1e-5)


@pytest.mark.parametrize("span", [RowSubspace, ColumnSubspace])
def test_points_are_new_arrays_so_that_a_start_need_not_be_copied(span):
    F = wide(LogLoss())
    solver = span(F)
    point = np.random.default_rng(0).standard_normal(F.size)
    state, seen = started(solver, point), [(point, point.copy())]
    assert span is ColumnSubspace or np.shares_memory(state.memory.origin, point)
    for _ in range(12):
        solver.advance(state)
        seen.append((state.point, state.point.copy()))
        solver.evaluate(state)
    for there, then in seen:
        np.testing.assert_array_equal(there, then)


def test_far_targets_where_the_loss_has_no_curvature():
    X, y, weights, offsets = sparse_problem(Huber(0.1), n=30, d=40)
    F = Objective(
        Huber(0.1),
        X,
        1000.0 + 100.0 * y,
        sample_weight=weights,
        offset=offsets,
        alpha=1e-3,
        n_jobs=1,
    )
    state = iterations(RowSubspace(F), 40)
    assert state.value <= optimum(F) * (1.0 + 1e-3)


@pytest.mark.parametrize("loss", [Huber(1.0), LowHuber()], ids=["known", "unknown"])
def test_the_intercept_is_at_its_best_whatever_is_known_of_the_infimum(loss):
    F = wide(loss, fit_intercept=True, alpha=0.05)
    state = iterations(RowSubspace(F), 1)
    assert abs(state.gradient[-1]) <= 1e-12


def test_the_span_follows_the_shape_and_the_lengths_of_the_rows():
    assert type(choose_subspace(wide(LogLoss()))) is RowSubspace
    assert type(choose_subspace(wide(LogLoss(), n=60, d=6))) is ColumnSubspace
    X, y, _, _ = sparse_problem(LogLoss(), n=100, d=120)
    X[3] *= 1000.0
    assert type(choose_subspace(Objective("log_loss", X, y, alpha=0.01))) is ColumnSubspace


def test_progress_needs_no_point_and_holds_each_iteration():
    F = wide(LogLoss(), n=60, d=200)
    best = iterations(RowSubspace(F), 60).value
    solver = RowSubspace(F)
    state = started(solver)
    before = F.passes
    for _ in range(8):
        solver.advance(state)
        known = solver.progress(state)
        assert known.value == state.value
        assert known.value - best <= known.gap_estimate + 1e-15
    assert "point" not in state.__dict__
    assert F.passes == before + 8
    gradient = F.gradient(state.point)
    assert known.gap_estimate == pytest.approx(
        float(gradient[:-1] @ gradient[:-1]) / (2.0 * F.l2), rel=1e-4
    )


def test_threads_do_not_change_the_bits():
    points = []
    for n_jobs in (1, 3):
        F = wide(LogLoss(), n=600, d=400, n_jobs=n_jobs)
        solver = RowSubspace(F)
        solver.objective.n_threads = n_jobs
        points.append(iterations(solver, 6).point)
    np.testing.assert_array_equal(points[1], points[0])
