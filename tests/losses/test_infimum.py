"""The infimum of a loss: tried where a user declares it, and never used where it is not known."""

import math

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from fastgd import GDRegressor, Huber, Loss, VectorLoss, check_loss
from fastgd.certificates.bound import relative_gap
from fastgd.losses.regression import SquaredError
from fastgd.objective.distances import derivative_size, gap_scale, largest_gap
from fastgd.objective.infimum import MAX_TARGETS, check_infimum, check_mean
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective
from fastgd.solvers.dual.sdca import Sdca
from support.twins import members, with_jit


class Counts(Loss):
    """Poisson as textbooks have it: its values fall far below 0, and no infimum is declared."""

    def value(self, prediction, target):
        return np.exp(prediction) - target * prediction

    def derivative(self, prediction, target):
        return np.exp(prediction) - target


class Positive(Counts):
    infimum = 0.0


class Few(VectorLoss):
    infimum = 0.0

    def value(self, predictions, target):
        total = -1.0
        for k in range(predictions.size):
            total += (predictions[k] - target[k]) ** 2
        return total

    def derivatives(self, predictions, target, out):
        for k in range(predictions.size):
            out[k] = 2.0 * (predictions[k] - target[k])


class Sunk(Huber):
    """Declares the infimum of `Huber`, and falls below it."""

    infimum = 0.0

    def value(self, prediction, target):
        return Huber.value(self, prediction, target) - 0.01


def counts(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = 0.4 * rng.standard_normal((n, 3))
    return X, rng.poisson(20 * np.exp(X @ [1.0, -1.0, 0.5])).astype(float)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("infimum", None, "a number, or -np.inf where"),
        ("infimum", "0", "a number"),
        ("infimum", np.nan, "a number"),
        ("self_concordance", -1.0, "a finite number of at least 0, or None"),
        ("curvature_bound", None, "a number of at least 0, or np.inf"),
        ("target_domain", (0, 1), r"an Interval, as fastgd\.losses\.Interval\(low=0"),
        ("convex", "no", "True or False"),
    ],
)
def test_declarations_of_another_kind_are_told_when_the_class_is_made(name, value, allowed):
    for kind in (Counts, Few):
        with pytest.raises(TypeError, match=rf"^Wrong\.{name} must be {allowed}.*, got "):
            type("Wrong", (kind,), {name: value})
    assert type("Right", (Counts,), {name: getattr(Counts, name)}, abstract=True)().convex


def test_every_loss_here_declares_0_and_the_families_nothing():
    assert Loss.infimum == VectorLoss.infimum == -np.inf
    assert all(
        loss.infimum == 0.0 and "infimum" in vars(type(loss))
        for loss in [*members(Loss), *members(VectorLoss)]
    )


@pytest.mark.plain
@pytest.mark.parametrize("solver", with_jit(["auto", "lbfgs"], ["auto", "newton", "lbfgs", "gd"]))
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_without_an_infimum_a_fit_ends_at_the_optimum_without_a_word(solver, fit_intercept):
    X, y = counts()
    batch_size = "full" if solver == "gd" else "auto"
    best = PoissonRegressor(alpha=1e-3, tol=1e-10, max_iter=1000, fit_intercept=fit_intercept).fit(
        X, y
    )
    model = GDRegressor(
        loss=Counts(), alpha=1e-3, fit_intercept=fit_intercept, solver=solver, batch_size=batch_size
    )
    model.fit(X, y)
    assert model.n_iter_ < 1000
    np.testing.assert_allclose(model.coef_, best.coef_, rtol=2e-2, atol=2e-2)


class Shallow(Loss):
    """Squares less what the target says: curvature 1, no infimum declared."""

    curvature_bound = 1.0

    def value(self, prediction, target):
        return 0.5 * prediction * prediction - target * prediction

    def derivative(self, prediction, target):
        return prediction - target


@pytest.mark.plain
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", ["auto", "sdca"])
def test_a_loss_less_a_constant_gives_the_same_model(solver, fit_intercept):
    X, y = counts()
    y = y / 10.0
    settings = {
        "alpha": 1e-3,
        "fit_intercept": fit_intercept,
        "random_state": 0,
        "tol": 1e-5,
        "solver": solver,
    }
    plain, shallow = (
        GDRegressor(loss=one, **settings).fit(X, y) for one in (SquaredError(), Shallow())
    )
    np.testing.assert_allclose(shallow.coef_, plain.coef_, rtol=1e-2)
    gained = 0.5 * np.square(y - fit_intercept * y.mean()).mean() - plain.objective_
    assert plain.objective_ - 0.5 * np.square(y).mean() == pytest.approx(
        shallow.objective_, abs=1e-4 * gained
    )


class Deep(Loss):
    """Squares minus 10, with their infimum or without one."""

    def value(self, prediction, target):
        return 0.5 * (prediction - target) ** 2 - 10.0

    def derivative(self, prediction, target):
        return prediction - target


class KnownDeep(Deep):
    infimum = -10.0


@pytest.mark.thinned(plain=1, compiled=4)
@pytest.mark.parametrize("loss", [Deep(), KnownDeep()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_chunks_of_a_loss_below_0_do_not_go_uphill(loss, first):
    """Steps were capped where the value itself is 0: coefficients of 8 for 1; and the mean loss of
    a chunk was held against a negative one: nothing was learnt of it.
    """
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((900, 4)), np.array([1.0, 2.0, 3.0, -1.0])
    y = X @ w + 0.1 * rng.standard_normal(900)
    kw = {} if first == "fit" else {"solver": "gd", "batch_size": 1}
    model = GDRegressor(loss, random_state=0, **kw)
    getattr(model, first)(X[:300], y[:300])
    for rows in np.array_split(np.arange(300, 900), 2):
        model.partial_fit(X[rows], y[rows])
    assert model._states[0].memory.divisor == 1.0
    np.testing.assert_allclose(model.coef_, w, atol=0.05)


@pytest.mark.plain
def test_a_penalty_that_leaves_nothing_to_gain_ends_too():
    X, y = counts()
    for penalty in ("l1", "l2"):
        model = GDRegressor(loss=Counts(), penalty=penalty, alpha=1e6).fit(X, y)
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-4)


@pytest.mark.parametrize("loss", [Positive(), Sunk(1.0)], ids=lambda loss: loss.name)
def test_a_declared_infimum_that_does_not_hold_is_refused(loss):
    X, y = counts()
    with pytest.raises(
        ValueError,
        match=rf"{type(loss).__name__} falls to -\S+ at target \S+ .*infimum 0.*-np\.inf",
    ):
        GDRegressor(loss=loss).fit(X, y)


class Python(Loss):
    """Log loss by `math.exp`, which plain Python overflows and compiled code does not."""

    infimum = 0.0

    def value(self, prediction, target):
        return math.log(1.0 + math.exp(-target * prediction))

    def derivative(self, prediction, target):
        return -target / (1.0 + math.exp(target * prediction))


class Exponential(Counts):
    infimum = 1.0

    def value(self, prediction, target):
        return math.exp(target * prediction) + math.exp(-target * prediction) - 2.0

    def derivative(self, prediction, target):
        return target * (math.exp(target * prediction) - math.exp(-target * prediction))


class FewInPython(Few):
    def value(self, predictions, target):
        return math.exp(1e4 * (predictions[0] - target[0]) ** 2) - 1.0

    def derivatives(self, predictions, target, out):
        out[0] = 2e4 * (predictions[0] - target[0]) * (self.value(predictions, target) + 1.0)


def test_numbers_that_only_plain_python_refuses():
    """An OverflowError of the search for the lowest value was all that a fit said."""
    check_infimum(Python(), np.array([-1.0, 1.0]))
    check_infimum(FewInPython(), np.array([[1.0], [0.0]]))
    with pytest.raises(ValueError, match="Exponential falls to 0 at target"):
        check_infimum(Exponential(), np.array([1.0, 30.0, 1000.0]))


def test_so_is_that_of_several_predictions():
    with pytest.raises(ValueError, match=r"Few falls to -1 at target .* infimum 0"):
        check_infimum(Few(), np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_what_holds_is_left_alone_and_few_targets_are_tried():
    rng = np.random.default_rng(0)
    targets = rng.standard_normal(100_000) * 10.0 ** rng.uniform(-3, 6, 100_000)
    tried = set()

    class Own(Huber, abstract=True):
        infimum = 0.0

        def value(self, prediction, target):
            tried.add(target)
            return Huber.value(self, prediction, target)

    check_infimum(Own(1.0), targets)
    assert 2 <= len(tried) <= MAX_TARGETS
    assert {targets.min(), targets.max()} <= tried
    check_infimum(Counts(), targets)


def test_a_mean_below_it_is_refused_at_a_check():
    F = Objective(Positive(), np.zeros((3, 1)), np.array([5.0, 5.0, 5.0]), alpha=1.0)
    v = np.array([2.0, 1.5])
    check_mean(F, v, F.penalty_value(v) + 0.5, 1.0)
    check_mean(F, v, F.penalty_value(v) - 1e-12, 1.0)
    with pytest.raises(ValueError, match=r"Positive falls to -0\.5 in the mean"):
        check_mean(F, v, F.penalty_value(v) - 0.5, 1.0)


def test_units():
    assert gap_scale(3.0, 5.0, infimum=2.0) == pytest.approx(1.0)
    assert gap_scale(-7.0, -5.0, infimum=-np.inf) == 2.0
    assert gap_scale(-5.0, -5.0, infimum=-np.inf) > 0.0
    assert relative_gap(0.5, -7.0, -5.0, -np.inf) == 0.25
    for value, infimum in ((3.0, 0.0), (1e-9, 0.0), (-1.0, -2.0), (1.0, -np.inf)):
        bound = largest_gap(0.1, value, 4.0, infimum)
        assert relative_gap(bound, value, 4.0, infimum) == pytest.approx(0.1)


@pytest.mark.plain
def test_the_best_constant_is_found_below_0():
    _, y = counts()
    F = Objective(Counts(), np.zeros((y.size, 1)), y)
    shift, value = null_model(F)
    assert shift == pytest.approx(np.log(y.mean()), rel=1e-9)
    assert value == pytest.approx(y.mean() * (1.0 - shift), rel=1e-12)
    F.null_intercept, F.null_value = shift, value
    assert derivative_size(F, value, 1.0) == pytest.approx(
        np.sqrt(np.square(y - y.mean()).mean()), rel=0.1
    )


@pytest.mark.plain
def test_dual_ascent_claims_nothing_that_needs_one():
    X, y = counts()
    for fit_intercept in (True, False):
        solver = Sdca(Objective(Shallow(), X, y, alpha=0.1, fit_intercept=fit_intercept), seed=0)
        state = solver.start(np.zeros(3 + fit_intercept))
        assert solver.progress(state).lower == -np.inf
        for _ in range(20):
            solver.advance(state)
        assert (
            (solver.progress(state).lower > -np.inf)
            == solver.traits.proves_itself
            == (not fit_intercept)
        )


def test_a_report_says_what_is_not_declared(monkeypatch):
    report = check_loss(Shallow())
    assert report.ok
    assert "infimum" not in report.checks
    assert "no infimum is declared" in str(report)
