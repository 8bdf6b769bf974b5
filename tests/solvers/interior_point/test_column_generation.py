"""The central path on a few columns at a time, against that of all columns and against linear
programming.
"""

import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.data.check_X import as_rows
from fastgd.losses.base import Loss
from fastgd.losses.classification import Hinge
from fastgd.losses.piecewise import has_pieces
from fastgd.losses.regression import EpsilonInsensitive, Quantile
from fastgd.solvers.interior_point import column_generation as path_on_columns
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_generation import ColumnGeneration
from fastgd.solvers.interior_point.path_cost import likely_iterations
from support.problems import nearly_done
from support.twins import members, sparse_problem, with_jit

KNOWN = [loss for loss in members(Loss) if has_pieces(loss)]
CORNERED = [Hinge(), EpsilonInsensitive(0.2), Quantile(0.7)]
LOSSES = pytest.mark.parametrize("loss", with_jit(CORNERED, KNOWN), ids=lambda loss: loss.name)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Stages of a few columns, whatever share of all they are."""
    monkeypatch.setattr(path_on_columns, "MIN_COLUMNS", 4)
    monkeypatch.setattr(path_on_columns, "MAX_SHARE", np.inf)


def problem(loss, n=60, d=30, **given):
    X, y, weights, offsets = sparse_problem(loss, n=n, d=d)
    given = {"penalty": "l1", "alpha": 0.02, "sample_weight": weights, "offset": offsets, **given}
    return Objective(loss, X, y, **given)


def run(make, F, most=150, tol=1e-9):
    solver = make(F)
    state = solver.start(F.start())
    bounds = []
    for _ in range(most):
        solver.advance(state)
        bounds.append(solver.progress(state).lower)
        if nearly_done(solver, state, tol):
            break
    return F.value(solver.answer(state)), bounds, state


@LOSSES
@pytest.mark.parametrize(
    "given", [{}, {"penalty": "elasticnet", "l1_ratio": 0.9}, {"fit_intercept": False}], ids=str
)
def test_the_end_is_that_of_all_columns(loss, given):
    F = problem(loss, **given)
    expected, _, _ = run(CentralPath, F)
    found, bounds, _ = run(ColumnGeneration, F)
    assert found == pytest.approx(expected, rel=1e-6)
    assert max(bounds) <= min(found, expected) * (1.0 + 1e-12)
    assert found - bounds[-1] <= 1e-6 * found


def test_few_columns_are_taken_where_few_are_nonzero():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 60))
    F = Objective("quantile", X, X[:, 7] - 2.0 * X[:, 40], penalty="l1", alpha=0.05)
    _, _, state = run(ColumnGeneration, F)
    assert np.isin([7, 40], state.memory.columns).all()
    assert state.memory.columns.size <= 12


def test_a_set_of_most_columns_is_followed_by_all(monkeypatch):
    F = problem(Hinge(), alpha=1e-3)
    assert 4 < run(ColumnGeneration, F)[2].memory.columns.size < 30
    monkeypatch.setattr(path_on_columns, "MAX_SHARE", 0.3)
    assert run(ColumnGeneration, F)[2].memory.columns.size == 30


def test_hinge_is_a_linear_program():
    F = problem(Hinge(), n=30, d=12, sample_weight=None, offset=None)
    X, y, n, d = F.rows.values, F.samples.targets, F.n_samples, F.n_features
    # min mean(t) + l1 (p + q), t >= 1 - y (X (p - q) + b), t, p, q >= 0
    cost = np.r_[np.full(2 * d, F.l1), 0.0, np.full(n, 1.0 / n)]
    bounds = [(0, None)] * (2 * d) + [(None, None)] + [(0, None)] * n
    rows = np.column_stack([-y[:, None] * X, y[:, None] * X, -y, -np.eye(n)])
    expected = scipy.optimize.linprog(cost, A_ub=rows, b_ub=-np.ones(n), bounds=bounds).fun
    assert run(ColumnGeneration, F)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("loss", CORNERED, ids=lambda loss: loss.name)
def test_iterations_in_two_parts_are_the_same_iterations(loss):
    F = problem(loss)
    whole = ColumnGeneration(F)
    state = whole.start(F.start())
    for _ in range(25):
        whole.advance(state)
    first = ColumnGeneration(F)
    other = first.start(F.start())
    for _ in range(11):
        first.advance(other)
    other, second = pickle.loads(pickle.dumps(other)), ColumnGeneration(F)
    second.resume(other)
    for _ in range(14):
        second.advance(other)
    np.testing.assert_array_equal(state.point, other.point)
    np.testing.assert_array_equal(state.memory.columns, other.memory.columns)


def test_another_problem_begins_anew():
    F, G = problem(Hinge()), problem(Hinge(), alpha=0.05)
    state = run(ColumnGeneration, F)[2]
    solver = ColumnGeneration(G)
    solver.resume(state)
    for _ in range(60):
        solver.advance(state)
    assert G.value(solver.answer(state)) == pytest.approx(run(CentralPath, G)[0], rel=1e-6)
    assert solver.progress(state).lower <= G.value(solver.answer(state)) * (1.0 + 1e-12)


def test_dense_and_csr_agree():
    F, G = problem(Quantile()), problem(Quantile())
    G.use_rows(as_rows(sp.csr_array(F.rows.values)))
    assert run(ColumnGeneration, F)[0] == pytest.approx(run(ColumnGeneration, G)[0], rel=1e-9)


@pytest.mark.jit
def test_a_set_beyond_the_limit_is_left_for_rows_one_by_one(monkeypatch):
    monkeypatch.setattr(path_on_columns, "WIDEST_PATH", 6)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 420))
    y = np.where(X[:, :20].sum(axis=1) > 0, 1, -1)
    with pytest.warns(Warning, match="tol"):
        model = GDClassifier("hinge", penalty="l1", alpha=1e-3, random_state=0, max_iter=40).fit(
            X, y
        )
    assert "one-row steps" in str(model.plan_)


@pytest.mark.jit
def test_defaults_prove_their_answer_where_neither_rows_nor_columns_are_few(monkeypatch):
    monkeypatch.undo()
    X = sp.random_array((2050, 2100), density=0.02, random_state=0, format="csr")
    model = GDRegressor("quantile", penalty="l1", alpha=1e-3).fit(
        X, X[:, :30].sum(axis=1) - X[:, 30:60].sum(axis=1)
    )
    assert (model.bound_kind_, model.converged_) == ("proof", True)
    assert "as they are needed" in str(model.plan_)


def test_where_a_loss_is_smooth_columns_that_are_likely_to_be_in_the_model_are_told():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 500)), np.sign(rng.normal(size=60))
    told = []
    for alpha in (1e-4, 0.6):
        F = Objective("squared_hinge", X, y, penalty="l1", alpha=alpha)
        forecast = ColumnGeneration.forecast(F, 1e-4)
        assert forecast.last
        assert forecast.sure
        told.append(forecast.passes)
    assert told[0] > 1.3 * told[1]
    # Twice as many to a digit where the loss has corners, from fewer on.
    corners = Objective("hinge", X, y, penalty="l1", alpha=1e-4)
    smooth = Objective("squared_hinge", X, y, penalty="l1", alpha=1e-4)
    assert likely_iterations(corners, 1e-4) == 11.0
    assert likely_iterations(smooth, 1e-4) == 22.0


def test_where_a_loss_has_kinks_stages_up_to_columns_that_are_steep_are_told(monkeypatch):
    """However weak the L1 part was, it was told the passes of 400 columns: 2,230 for 92,070."""
    monkeypatch.undo()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(900, 1000)), rng.normal(size=900)
    strong, weak = (Objective("quantile", X, y, penalty="l1", alpha=a) for a in (1.0, 1e-4))
    cost = path_on_columns._iteration_cost
    n_last, n_stage = likely_iterations(strong, 1e-4), path_on_columns.ITERATIONS_OF_STAGE
    told = ColumnGeneration.forecast(strong, 1e-4)
    assert told.passes == pytest.approx(n_last * cost(strong, 200))
    assert (told.last, told.sure) == (False, False)
    # 200 and 400 columns, and then all, for 800 are most of those that a matrix holds.
    expected = n_stage * (cost(weak, 200) + cost(weak, 400)) + n_last * cost(weak, 1000)
    assert ColumnGeneration.forecast(weak, 1e-4).passes == pytest.approx(expected)
    assert expected > 10.0 * told.passes


def test_a_stage_of_more_columns_is_told_to_be_dearer():
    F = problem(Hinge(), penalty="elasticnet", l1_ratio=0.5)
    solver = ColumnGeneration(F)
    state = solver.start(F.start())
    assert not solver.progress(state).dearer
    seen = [(state.memory.columns.size, solver.passes_left(1e-4))]
    while state.memory.columns.size == seen[0][0]:
        assert not solver.progress(state).dearer
        assert solver.passes_left(1e-4) <= seen[-1][1]
        seen.append((state.memory.columns.size, solver.passes_left(1e-4)))
        solver.advance(state)
    assert len(seen) > 2
    assert seen[-1][1] < seen[0][1]
    assert solver.progress(state).dearer
    assert solver.passes_left(1e-4) > seen[0][1]
    solver.advance(state)
    again = ColumnGeneration(F)
    again.restore(pickle.loads(pickle.dumps(state)), solver.workspace(state))
    assert again.passes_left(1e-4) == solver.passes_left(1e-4)
    assert not solver.progress(state).dearer


def test_an_interrupt_between_two_stages_leaves_the_point(monkeypatch):
    """The columns were those of the next stage, the state that of the last: a ValueError."""
    F = problem(Hinge())
    solver = ColumnGeneration(F)
    state = solver.start(F.start())
    before = state.memory.columns.size

    def start(self, *given):
        raise KeyboardInterrupt

    monkeypatch.setattr(CentralPath, "start", start)

    def go_on():
        for _ in range(50):
            solver.advance(state)

    with pytest.raises(KeyboardInterrupt):
        go_on()
    assert state.memory.columns.size > before
    np.testing.assert_array_equal(solver.answer(state), state.point)
