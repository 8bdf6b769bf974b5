"""Proofs hold where rounding is all that is left: columns on wild scales, nearly collinear, next to
no noise.
"""

from fractions import Fraction

import numba
import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.certificates import newton_decrement, newton_proof
from fastgd.certificates.bound import Bound
from fastgd.certificates.duality_gap import DualityGap
from fastgd.certificates.newton_decrement import decrement_bound, longest_row, product_bound
from fastgd.certificates.newton_proof import NewtonProof
from fastgd.certificates.rounding import (
    gradient_rounding,
    offset_size,
    prediction_size,
    sum_rounding,
    value_rounding,
)
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.losses.regression import Quantile
from fastgd.objective.distances import curvature_unit, largest_derivative
from fastgd.solvers.newton.cholesky import Newton
from support.extended import (
    LONG,
    above_the_minimum,
    extended,
    logistic_minimum,
    newton_points,
    problem,
    without_rounding,
)


def unknowns(model):
    return np.r_[model.coef_.ravel(), np.ravel(model.intercept_)[: model.fit_intercept]].astype(
        LONG
    )


def constant_model(y, fit_intercept):
    return float(np.square(y - fit_intercept * y.mean()).mean()) / 2


@extended
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_proof_for_squares_is_never_below_the_truth():
    proved = 0
    for seed in range(80):
        X, y, alpha, rng = problem(seed)
        fit_intercept, rows = bool(rng.random() < 0.5), sp.csr_array(X) if rng.random() < 0.2 else X
        model = GDRegressor(
            alpha=alpha, fit_intercept=fit_intercept, tol=float(10.0 ** rng.uniform(-10, -2))
        )
        model.fit(rows, y)
        above, least = above_the_minimum(X, y, alpha, fit_intercept, unknowns(model))
        truth = above / max(least, 1e-4 * constant_model(y, fit_intercept))
        if model.bound_kind_ == "proof":
            assert truth <= 1.1 * model.suboptimality_ + 4.0 * EPS, seed
            proved += model.converged_
    assert proved >= 30


@pytest.mark.jit
@extended
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_proof_for_the_log_loss_is_never_below_the_truth():
    proved = 0
    for seed in range(20):
        X, y, alpha, rng = problem(seed)
        alpha, fit_intercept = max(alpha, 1e-10), bool(rng.random() < 0.5)
        z = y / np.abs(y).mean() + rng.standard_normal(len(y))
        labels = np.where(z > np.median(z), 1.0, -1.0)
        model = GDClassifier(
            alpha=alpha, fit_intercept=fit_intercept, tol=float(10.0 ** rng.uniform(-10, -2))
        )
        model.fit(X, labels)
        above, least = logistic_minimum(X, labels, alpha, fit_intercept, unknowns(model))
        if model.bound_kind_ == "proof":
            assert above / least <= 1.1 * model.suboptimality_ + 16.0 * EPS, seed
            proved += model.converged_
    assert proved >= 15


@extended
def test_the_bound_from_a_matrix_counts_what_the_matrix_is_wrong_by():
    """At the start the bound is all of F - F*, of which rounding of the matrix takes a visible
    share.
    """
    visible = 0
    for seed in range(60):
        X, y, alpha, _ = problem(seed)
        F = Objective("squared_error", X, y, alpha=alpha, fit_intercept=False, n_jobs=1)
        newton = Newton(F)
        state = newton.start(F.start())
        factor = Factor(F.curvature_matrix(state.point))
        for _ in range(3):
            above, _ = above_the_minimum(X, y, alpha, False, state.point.astype(LONG))
            value, gradient = F.smooth_and_gradient(state.point)
            bound = NewtonProof(F).from_known(
                (factor, state.point), state.point, gradient, 0.0, value
            )
            if bound.kind == "proof":
                assert above <= bound.value * (1.0 + 1e-12) + 2.0 * EPS * value
                visible += 0.5 * factor.norm_of(gradient) ** 2 < above - 2.0 * EPS * value
            newton.advance(state)
    assert visible >= 5  # what the bound would be without rounding is too little


def known(F, v, value, gradient, anchor):
    return NewtonProof(F).from_known(anchor, v, gradient, 0.0, value).value


def by_products(F, v, value, gradient, anchor):
    return product_bound(F, v, value, gradient, 0.0)


def proved(F, v, value, gradient, anchor):
    return NewtonProof(F).prove(v, value, gradient).value


@pytest.mark.jit  # of sums as they are compiled
@extended
@pytest.mark.parametrize("bound", [known, by_products, proved])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_bound_counts_what_is_rounded(loss, bound, monkeypatch):
    """From a matrix here or nearby, from products, or at the end of more Newton steps: with offsets
    that predictions are rounded in, and wild columns, with and without an intercept.
    """
    visible = 0
    for seed in range(35 if loss == "squared_error" else 12):
        F, points, minimum = newton_points(loss, seed, n_iterations=7)
        anchor = Factor(F.curvature_matrix(points[0])), points[0]
        for v in points:
            value, gradient = F.smooth_and_gradient(v)
            here = Factor(F.curvature_matrix(v)), v
            above, _ = minimum(v)
            # what F itself is wrong by is added by whoever tells of its difference
            doubt = value_rounding(F, v, value, 0.0, gradient) if bound is proved else 0.0
            for near in (here, anchor):
                assert above <= bound(F, v, value, gradient, near) * (1.0 + 1e-9) + doubt, seed
            with monkeypatch.context() as patched:
                without_rounding(patched, newton_proof, newton_decrement)
                visible += above > bound(F, v, value, gradient, here)
            anchor = here
    # of a log loss even extended precision shows less than a unit of F
    assert visible >= 5 or loss == "log_loss"


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_ordinary_problems_keep_their_bounds(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 6)) * 10.0 ** rng.uniform(-3, 3, 6)
    y = rng.standard_normal(500) if loss == "squared_error" else rng.choice([-1.0, 1.0], 500)
    F = Objective(loss, X, y, alpha=1e-6, n_jobs=1)
    newton = Newton(F)
    state = newton.start(F.start())
    for _ in range(4):
        v, value, gradient = state.point, state.value, state.gradient
        factor = Factor(F.curvature_matrix(v))
        decrement = factor.norm_of(gradient)
        reach = longest_row(F, factor.root()) * F.loss.self_concordance
        plain = decrement_bound(decrement, reach) if reach * decrement < 1.0 else np.inf
        bound = NewtonProof(F).from_known((factor, v), v, gradient, 0.9 * plain, value).value
        most = plain * (1.0 + 1e-9 if loss == "squared_error" else 1.5) + 2.0 * EPS * value
        assert plain <= bound <= most or reach * decrement > 1e-3
        newton.advance(state)
    assert reach * decrement < 1e-3


def test_a_matrix_that_is_all_rounding_proves_nothing():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((100_000, 2))
    X[:, 1] = X[:, 0] * (1.0 + 3e-7 * rng.standard_normal(100_000))
    F = Objective("squared_error", X, X[:, 0], alpha=0.0, fit_intercept=False, n_jobs=1)
    v = F.start()
    factor = Factor(F.curvature_matrix(v))
    assert factor.full
    assert sum_rounding(F) * factor.inverse_norm() ** 2 > 0.1
    value, gradient = F.value_and_gradient(v)
    assert (
        NewtonProof(F).from_known((factor, v), v, gradient, 0.0, value).value
        > 0.55 * factor.norm_of(gradient) ** 2
    )


@extended
def test_the_gap_counts_what_the_gradient_is_wrong_by():
    """Columns of 1e6 that make up each other: along those ways F has the curvature of a weak
    penalty alone.
    """
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, d, alpha = 60, 5, 1e-9
        X = rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)) * 10.0 ** rng.uniform(4, 7)
        X *= 10.0 ** rng.uniform(-3, 3, d)
        y = rng.standard_normal(n)
        F = Objective("squared_error", X, y, alpha=alpha, fit_intercept=False, n_jobs=1)
        values, ways = np.linalg.eigh(F.gram(np.ones(n)))
        v = ways[:, -2:] @ ((ways[:, -2:].T @ (X.T @ y / n)) / values[-2:])
        for _ in range(4):
            value, gradient = F.smooth_and_gradient(v)
            exact = X.T.astype(LONG) @ (X.astype(LONG) @ v.astype(LONG) - y) / n + LONG(alpha) * v
            wrong, size = np.abs(exact - gradient).astype(float), prediction_size(F, v)
            assert (
                wrong
                <= gradient_rounding(F, value, size) * np.sqrt((X**2).mean(axis=0))
                + EPS * alpha * abs(v)
            ).all()
            above, _ = above_the_minimum(X, y, alpha, False, v.astype(LONG))
            bound = DualityGap(F).bound(v, value, gradient).value
            assert above <= bound
            if bound < 0.05 * value:
                assert bound >= float(gradient @ gradient) / (2.0 * alpha) + float(
                    wrong @ np.abs(v)
                )
            v = v - ways @ ((ways.T @ gradient) / np.maximum(values, alpha))


def test_an_objective_of_zero_may_be_a_rounding_away_from_it():
    """0.7 * 1.4285714285714286 is 1 but for rounding: a margin that is met in floats alone."""
    X, v = np.array([[0.7]]), np.array([1.4285714285714286])
    for loss, target in (("squared_error", X[0] * v), ("modified_huber", np.ones(1))):
        F = Objective(loss, X, target, alpha=0.0, fit_intercept=False)
        value, gradient = F.value_and_gradient(v)
        left = Fraction(float(target[0])) - Fraction(0.7) * Fraction(1.4285714285714286)
        assert value == 0.0
        assert left > 0
        assert value_rounding(F, v, value, 0.0, gradient) >= float(left**2)


class Steep(Quantile):
    """100 |z - y|."""

    smooth = False
    infimum = 0.0

    def value(self, prediction, target):
        return 100.0 * abs(prediction - target)

    def derivative(self, prediction, target):
        return 100.0 * np.sign(prediction - target)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="the same compiled, for longer")
def test_rounding_of_predictions_counts_times_the_slope_of_a_loss_with_kinks():
    """A derivative of 1 was taken for every such loss."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    steep, plain = (Objective(loss, X, X[:, 0]) for loss in (Steep(0.5), Quantile(0.5)))
    assert largest_derivative(plain) == 1.0
    assert largest_derivative(steep) == 100.0
    v = np.array([1.0, 1e8, -1e8, 0.0])
    assert value_rounding(steep, v, 1.0, 0.0) > 50.0 * value_rounding(plain, v, 1.0, 0.0)


def test_rows_that_matter_have_the_curvature_of_the_null_model(monkeypatch):
    """Counts of 1e6 have a curvature of 1e6, which was taken for 1 where it was not known."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.full(60, 1e6)
    y[:20] *= np.where(rng.random(20) < 0.5, 0.9, 1.1)
    F = Objective("poisson", X, y, alpha=0.0)
    F.know_null_model()
    found = []

    def proof(self, *given):
        found.append(curvature_unit(self.objective))
        return Bound(0.0, "proof")

    monkeypatch.setattr(NewtonProof, "_curvature_proof", proof)
    v = np.array([0.0, 0.0, np.log(1e6)])
    NewtonProof(F)._proof_by_others(v, F.value(v), 1e-3)
    assert found
    assert found[0] > 1e5


def with_idle_rows(form, heavy=1.0):
    """A problem, and the same with rows of weight 0 that are 1e8 away; one of its own may weigh
    more.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = X @ [1.0, -1.0, 0.5] + rng.normal(size=300)
    weights, offset = np.r_[heavy, np.ones(299)], rng.normal(size=300)
    more = 1e8 * rng.normal(size=(9, 3))
    bare = form(X), y, weights, offset
    idle = form(np.vstack([X, more])), np.r_[y, more[:, 0]], np.r_[weights, np.zeros(9)]
    return bare, (*idle, np.r_[offset, more[:, 1]])


@pytest.mark.parametrize("heavy", [1.0, 1e6])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_rows_of_weight_0_count_nowhere(form, heavy):
    """With x = 1e8 in 20 rows of weight 0 beside 400 proofs were out of reach of "nesterov" and
    "lbfgs", or cost three times the passes: 66 of 160 fits.
    """
    bare, idle = (
        Objective("huber", X, y, sample_weight=w, offset=o, alpha=1e-3)
        for X, y, w, o in with_idle_rows(form, heavy)
    )
    for F in (bare, idle):
        F.know_null_model()
    for asked in (offset_size, Objective.row_size, lambda F: prediction_size(F, np.ones(4))):
        # A heavy row was taken for as heavy as all are long.
        assert asked(idle) == pytest.approx(asked(bare), rel=1e-12)
    np.testing.assert_allclose(idle.root_mean_squares(), bare.root_mean_squares())
    assert idle.samples.largest(idle.samples.targets) < 10.0
    true = np.sqrt(bare.moments().mean_squares)
    np.testing.assert_allclose(bare.root_mean_squares(), true)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
def test_targets_of_rows_that_count_may_be_one_number(loss):
    """Told 3e269 times the minimum, for the others have other targets."""
    rng = np.random.default_rng(0)
    y, w = np.full(60, 1.3), np.repeat([1.0, 0.0], 30)
    y[30:] = rng.standard_normal(30)
    model = GDRegressor(loss).fit(rng.standard_normal((60, 3)), y, w)
    assert model.converged_
    assert model.suboptimality_ <= 1e-4


def test_fits_beside_them_take_the_same_steps():
    bare, idle = (
        GDRegressor("huber", solver="lbfgs", tol=1e-6).fit(X, y, w, offset=o)
        for X, y, w, o in with_idle_rows(np.asarray)
    )
    assert idle.bound_kind_ == "proof"
    assert idle.suboptimality_ <= 1e-6
    assert idle.n_iter_ == bare.n_iter_
