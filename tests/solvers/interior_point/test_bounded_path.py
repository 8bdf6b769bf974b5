"""The central path with weights and bounds of each coefficient, against linear programs."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective, Quantile
from fastgd.objective.collinear import redundant_columns
from fastgd.objective.linear_map import LinearMap
from fastgd.penalties.separable import L1
from fastgd.penalties.weighted import weighted
from fastgd.penalties.weighted_term import WeightedTerm
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_duals import STAND_IN_FOR_INFINITY, ColumnDuals

SHAPES = [(80, 6), (30, 60)]
LOSSES = ["hinge", "quantile", "epsilon_insensitive"]
KINDS = ["positive", "box", "one end", "weights", "fixed", "mixed"]


def problem(loss, shape, seed):
    """Columns on scales from 1e-2 to 1e2."""
    rng = np.random.default_rng(seed)
    n, d = shape
    X = rng.standard_normal(shape) * 10.0 ** rng.uniform(-2.0, 2.0, d)
    z = X @ (rng.standard_normal(d) * (rng.random(d) < 0.5) / X.std(axis=0))
    z += 0.5 * z.std() * rng.standard_normal(n)
    z -= z.mean()
    return X, np.where(z > 0.0, 1.0, -1.0) if loss == "hinge" else z


def structure(kind, X, rng):
    """`bounds` and `penalty_weights` of a kind."""
    d, unit = X.shape[1], 1.0 / X.std(axis=0)
    if kind == "positive":
        return {"bounds": (0.0, np.inf)}
    if kind == "box":
        return {"bounds": (-0.3 * unit, 0.5 * unit)}
    if kind == "one end":
        return {"bounds": (-np.inf, -0.1 * unit)}
    if kind == "weights":
        return {"penalty_weights": rng.choice([0.0, 1.0, 3.0], d)}
    if kind == "fixed":
        return {"penalty_weights": rng.choice([1.0, np.inf], d), "bounds": (0.0, np.inf)}
    low = np.where(rng.random(d) < 0.5, -np.inf, 0.1 * unit)
    high = np.where(rng.random(d) < 0.5, np.inf, 0.4 * unit)
    return {"bounds": (low, high), "penalty_weights": rng.choice([0.0, 1.0, 3.0], d)}


def least(loss, X, y, alpha, bounds=(-np.inf, np.inf), penalty_weights=1.0):
    """The minimum of F, by a linear program: w as a difference of two parts, b, and a loss above
    each of its pieces for each row.
    """
    (n, d), weights = X.shape, np.broadcast_to(penalty_weights, X.shape[1])
    low, high = (np.broadcast_to(one, d).copy() for one in bounds)
    low[np.isinf(weights)] = high[np.isinf(weights)] = 0.0
    weights = np.where(np.isinf(weights), 0.0, weights)
    A = np.column_stack([X, -X, np.ones(n), np.zeros((n, n))])
    rows = np.column_stack([np.zeros((n, 2 * d + 1)), np.eye(n)])
    if loss == "hinge":  # t >= 1 - y z
        above, right = [-y[:, None] * A - rows], [-np.ones(n)]
    elif loss == "quantile":
        above, right = [0.3 * -A - rows, 0.7 * A - rows], [-0.3 * y, 0.7 * y]
    else:
        above, right = [-A - rows, A - rows], [0.1 - y, 0.1 + y]
    # low <= w+ - w- <= high
    both = np.column_stack([np.eye(d), -np.eye(d), np.zeros((d, 1 + n))])
    above += [both[high < np.inf], -both[low > -np.inf]]
    right += [high[high < np.inf], -low[low > -np.inf]]
    cost = np.concatenate([alpha * weights, alpha * weights, [0.0], np.full(n, 1.0 / n)])
    parts = [(0.0, None)] * (2 * d) + [(None, None)] + [(0.0, None)] * n
    found = scipy.optimize.linprog(cost, np.vstack(above), np.concatenate(right), bounds=parts)
    assert found.status == 0
    return found.fun


def test_a_point_beyond_its_bounds_is_not_the_end():
    """Losses there were below the minimum within bounds: the run was done after its first step,
    0.04 % of F above what it had proved.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 1))
    y = -4.0 * X[:, 0] + 0.1 * rng.standard_normal(9)
    penalty = weighted(L1(), bounds=(np.array([2.0]), np.array([2.0 + 1e-5])))
    F = Objective("squared_error", X, y, penalty=penalty, alpha=0.01)
    solver = CentralPath(F)
    state = solver.start(F.allowed(F.start()))
    for _ in range(8):
        solver.advance(state)
    value = F.value(solver.answer(state))
    assert 0.0 <= value - solver.progress(state).lower <= 2e-9 * value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_loss_without_a_derivative_is_proved_to_be_at_its_minimum_within_bounds(
    shape, loss, kind
):
    """One-row steps had ended 399 of 426 such fits without a proof of 1e-4."""
    X, y = problem(loss, shape, seed=len(kind))
    given = structure(kind, X, np.random.default_rng(1))
    classes = loss == "hinge"
    for alpha in (1e-3, 0.1):
        estimator = GDClassifier if classes else GDRegressor
        name = Quantile(0.3) if loss == "quantile" else loss
        model = estimator(name, penalty="l1", alpha=alpha, tol=1e-6, **given).fit(X, y)
        optimum = least(loss, X, y, alpha, **given)
        assert model.bound_kind_ == "proof"
        assert model.suboptimality_ <= 1e-6
        unit = max(optimum, 1e-4 * np.abs(y).mean())
        assert -1e-8 * unit <= model.objective_ - optimum <= 1.01e-6 * unit


def test_what_is_proved_on_the_way_is_no_more_than_the_minimum():
    for seed, loss in enumerate(LOSSES):
        for kind in KINDS:
            X, y = problem(loss, (40, 8), seed)
            given = structure(kind, X, np.random.default_rng(seed))
            name = Quantile(0.3) if loss == "quantile" else loss
            estimator = GDClassifier if loss == "hinge" else GDRegressor
            penalty = estimator(name, penalty="l1", alpha=0.01, **given)
            model = penalty.fit(X, y)
            optimum = least(loss, X, y, 0.01, **given)
            lowest = model.history_["objective"] - model.history_["bound"]
            assert np.nanmax(lowest) <= optimum * (1.0 + 1e-9) + 1e-12


def test_unpenalised_columns_alone_make_up_each_other():
    """Penalised ones may not be left out for others, nor others for them: 100 of 300 columns had
    no penalty, which 60 rows could not tell apart, and the loss stayed at 5 where 0 is the least.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 300))
    y = X[:, :5].sum(axis=1) + rng.standard_normal(60)
    weights = rng.choice([0.0, 1.0, 3.0], 300)
    given = {"penalty": "l1", "alpha": 0.1, "penalty_weights": weights}
    model = GDRegressor(Quantile(0.5), **given).fit(X, y)
    assert model.objective_ <= 1e-6 * np.abs(y).mean()
    F = Objective("quantile", X, y)
    assert redundant_columns(F, LinearMap(F), np.full(60, True), weights == 0.0).columns.size > 0
    left_out = redundant_columns(F, LinearMap(F), np.full(60, True), weights == 0.0).columns
    assert (weights[left_out] == 0.0).all()


def test_coefficients_are_at_their_bounds_exactly():
    X, y = problem("quantile", (200, 8), seed=3)
    model = GDRegressor("quantile", penalty="l1", alpha=0.01, positive=True).fit(X, y)
    assert model.coef_.min() == 0.0
    assert (model.coef_ == 0.0).any()


def test_pieces_are_the_penalty():
    rng = np.random.default_rng(0)
    l1 = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 0.3, 3.0])
    low = np.array([0.0, -np.inf, 0.5, -2.0, -np.inf, -1.0, 1.0])
    high = np.array([np.inf, np.inf, 2.0, -1.0, -0.2, 1.5, 1.0])
    term = WeightedTerm(l1, np.zeros(1), low, high)
    duals = ColumnDuals(term, 7)
    for _ in range(20):
        coef = np.clip(rng.normal(0.0, 2.0, 7), low, high)
        distances = coef[duals.columns] - duals.kinks
        ends = duals.pieces
        # An end that is infinite is never the best within the bounds.
        reached = np.where(distances > 0.0, ends.high, ends.low)
        assert (np.abs(reached[distances != 0.0]) < STAND_IN_FOR_INFINITY).all()
        value = float((reached * distances)[distances != 0.0].sum()) + duals.constant
        fixed = 3.0  # the last one has one value only
        assert value == pytest.approx(term.value(coef) - fixed)


def test_dual_variables_go_on_where_an_earlier_run_has_left_them():
    X, y = problem("epsilon_insensitive", (60, 5), seed=0)
    given = {"alpha": 0.01, "penalty": "l1", "positive": True, "warm_start": True, "tol": 1e-9}
    model = GDRegressor("epsilon_insensitive", **given).fit(X, y)
    taken = model.n_iter_  # all iterations count
    assert model.fit(X, y).n_iter_ <= taken + 1
    model.set_params(bounds=(-1.0, 1.0)).fit(X, y)  # other dual variables than before
    assert model.bound_kind_ == "proof"


def test_a_quadratic_form_is_refused():
    X, y = problem("quantile", (60, 5), seed=0)
    F = Objective("quantile", X, y)
    assert CentralPath.refusal(F) is None
    with pytest.raises(ValueError, match="solver='newton'"):
        GDRegressor("quantile", alpha=0.01, P2=np.eye(5), solver="newton").fit(X, y)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("structure", [{"positive": True}, {"bounds": (-1.0, 1.0)}], ids=str)
def test_columns_of_zeros_and_targets_that_a_constant_meets(loss, structure):
    """Such problems are proved, too. Neither says how far from an end to begin: coefficients had
    become infinite.
    """
    X = sp.eye_array(3, 40, format="csr")
    for y in ([1.0, -1.0, 1.0], np.zeros(3)):
        model = GDRegressor(loss, solver="newton", alpha=0.1, **structure).fit(X, y)
        assert model.bound_kind_ == "proof"
        assert model.suboptimality_ <= 1e-4
        assert not model.coef_[3:].any()
    bare = GDRegressor(loss, penalty=None, fit_intercept=False, **structure)
    assert bare.fit(X[:2], np.zeros(2)).objective_ == 0.0
    assert bare.converged_


@pytest.mark.parametrize("weight", [1e-300, 1e-309])
@pytest.mark.filterwarnings("ignore:.*:fastgd.ConvergenceWarning")
def test_an_l1_part_of_next_to_nothing_is_as_none(weight):
    """Between its ends a dual variable has no room: the first step was infinite."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.3 * rng.normal(size=100)
    found = []
    for first in (0.0, weight):
        model = GDRegressor("quantile", penalty="elasticnet", alpha=0.01, solver="newton")
        model.set_params(penalty_weights=[first, 1.0, 1.0], l1_ratio=0.5)
        found.append(model.fit(X, y).objective_)
    assert found[1] == pytest.approx(found[0], rel=1e-3)
