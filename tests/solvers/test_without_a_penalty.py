"""Answers without a penalty are proved too: kinks, columns that others make up, levels that
only one class has.
"""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.losses.base import Loss
from fastgd.losses.piecewise import has_pieces
from fastgd.objective.collinear import redundant_columns
from fastgd.objective.linear_map import LinearMap
from fastgd.solvers.interior_point.central_path import CentralPath
from support.twins import members, sparse_problem, with_jit

KNOWN = [loss for loss in members(Loss) if has_pieces(loss)]


def indicators(rng, n, *levels):
    """One-hot columns, rare levels last; each group's columns sum to 1."""
    parts = []
    for m in levels:
        p = 1.0 / np.arange(1, m + 1) ** 1.5
        parts.append(np.eye(m)[rng.choice(m, n, p=p / p.sum())])
    return np.hstack(parts)


def test_redundant_columns_are_those_that_the_others_make_up():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5)) * 10.0 ** rng.uniform(-4.0, 4.0, 5)
    near = X[:, 2] * (1.0 + 1e-9 * rng.standard_normal(60))
    X = np.column_stack([X, X[:, 0] - 3.0 * X[:, 1], np.zeros(60), np.full(60, 7.0), near])
    for data in (X, sp.csr_array(X)):
        F = Objective("quantile", data, X[:, 0])
        found, ways, _ = redundant_columns(F, LinearMap(F), np.full(60, True))
        assert found.size == 2  # neither the zeros nor, by 1e-9, the last one
        assert 7 in found
        left = np.abs(X @ ways[:-1] + ways[-1]).max(axis=0)
        assert (left <= 1e-12 * np.abs(ways).T @ np.append(np.abs(X).max(axis=0), 1.0)).all()
        assert (ways[found, np.arange(2)] == -1.0).all()
        few = redundant_columns(F, LinearMap(F), np.arange(60) < 3)  # three rows have a rank of 3
        assert few.columns.size == 6
    F = Objective("quantile", np.zeros((60, 2)), X[:, 0], fit_intercept=False)
    assert redundant_columns(F, LinearMap(F), np.full(60, True)).columns.size == 0


def test_the_last_look_at_a_column_reads_the_rows_once():
    class Counting(LinearMap):
        looks, sums = 0, 0

        def matvec(self, coef):
            self.looks += 1
            return super().matvec(coef)

        def rmatvec(self, *given):
            self.sums += 1
            return super().rmatvec(*given)

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    X[:, 2] = X[:, 1] * (1.0 + 1e-9 * rng.standard_normal(60))
    F = Objective("quantile", X, X[:, 0])
    linear_map = Counting(F)
    assert redundant_columns(F, linear_map, np.full(60, True)).columns.size == 0
    assert (linear_map.looks, linear_map.sums) == (3, 2)


@pytest.mark.parametrize("loss", with_jit(KNOWN[:3], KNOWN), ids=lambda loss: loss.name)
@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_what_completed_dual_variables_prove_is_true(loss, penalty, fit_intercept):
    """At every iteration of the path the bound is below the optimum, which the end of the path is
    close to.
    """
    X, y, weights, offsets = sparse_problem(loss, n=60, d=5)
    X = np.column_stack([X.toarray() if sp.issparse(X) else X, np.arange(60) % 3 == 0])
    F = Objective(
        loss,
        X,
        y,
        alpha=0.01,
        penalty=penalty,
        sample_weight=weights,
        offset=offsets,
        fit_intercept=fit_intercept,
    )
    solver = CentralPath(F)
    state = solver.start(F.start())
    bounds, totals = [], []
    for _ in range(25):
        solver.advance(state)
        bounds.append(solver.progress(state).lower)
        totals.append(state.memory.total)
        if state.memory.gap <= 1e-9 * totals[-1]:
            break
    assert max(bounds) <= min(totals) * (1.0 + 1e-13)
    assert max(bounds) >= min(totals) * (1.0 - 1e-6)


@pytest.mark.parametrize(
    "loss", with_jit(["hinge"], ["hinge", "squared_hinge", "modified_huber", "log_loss"])
)
def test_indicators_with_levels_of_one_class_are_proved(loss):
    """Coefficients of such levels go to infinity: nothing but 0 is left for the dual variables
    of their rows.
    """
    rng = np.random.default_rng(1)
    X = indicators(rng, 300, 40, 12)
    y = np.where(X[:, 0] + 0.8 * rng.standard_normal(300) > 0.5, 1, -1)
    model = GDClassifier(loss, penalty=None, random_state=0).fit(sp.csr_array(X), y)
    assert model.suboptimality_ <= 1e-4
    assert model.bound_kind_ == "proof"
    assert model.n_iter_ < 50
    F = Objective(loss, X, y)
    if loss != "hinge":
        start = np.append(model.coef_[0], model.intercept_)
        best = scipy.optimize.minimize(F.value_and_gradient, start, jac=True, method="L-BFGS-B").fun
    else:
        n, Z = 300, np.column_stack([X, -X, np.ones(300), -np.ones(300)]) * y[:, None]
        price = np.append(np.zeros(Z.shape[1]), np.full(n, 1.0 / n))
        best = scipy.optimize.linprog(
            price, A_ub=-np.column_stack([Z, np.eye(n)]), b_ub=-np.ones(n)
        ).fun
    lower = model.objective_ / (1.0 + model.suboptimality_)
    assert lower <= best * (1.0 + 1e-12) <= model.objective_ * (1.0 + 1e-9)


@pytest.mark.jit
@pytest.mark.parametrize(
    "loss", with_jit(["quantile"], ["quantile", "huber", "squared_error", "epsilon_insensitive"])
)
def test_more_indicators_than_rows_can_tell_apart_are_proved(loss):
    rng = np.random.default_rng(2)
    X = np.hstack([indicators(rng, 250, *[3] * 30, 50), np.zeros((250, 70))])
    y = X[:, :20] @ rng.standard_normal(20) + rng.standard_t(2, 250)
    model = GDRegressor(loss, penalty=None, random_state=0).fit(X, y)
    assert model.suboptimality_ <= 1e-4
    assert model.n_iter_ < 60


def test_a_single_predictor_at_two_levels_is_its_medians():
    """By hand: without a penalty the quantile loss fits each level's own median."""
    x, y = (
        np.repeat([0.0, 1.0], 5)[:, None],
        np.array([1.0, 2.0, 3.0, 9.0, 10.0, -4.0, 0.0, 5.0, 6.0, 50.0]),
    )
    model = GDRegressor("quantile", penalty=None).fit(x, y)
    best = 0.05 * (np.abs(y[:5] - 3.0).sum() + np.abs(y[5:] - 5.0).sum())
    assert model.objective_ == pytest.approx(best, rel=1e-4)
    assert model.objective_ / (1.0 + model.suboptimality_) <= best * (1.0 + 1e-12)
    assert model.suboptimality_ <= 1e-4


@pytest.mark.jit
def test_rare_classes_are_proved():
    """The path began with as much pull from each row, and was lost: an objective of 1.004 times
    the optimum.
    """
    rng = np.random.default_rng(3)
    X = rng.standard_normal((1000, 20))
    nearest = np.argmax(X @ rng.standard_normal((20, 50)), axis=1)
    rows = np.bincount(nearest, minlength=50)
    for rare in np.argsort(rows)[10:14]:
        model = GDClassifier("hinge", penalty=None, random_state=0).fit(X, nearest == rare)
        assert model.suboptimality_ <= 1e-4
        assert model.n_iter_ < 50
