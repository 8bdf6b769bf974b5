"""Penalties that are infinite beyond bounds: the optimum inside them, and never a coefficient
one rounding outside.
"""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from fastgd import GDClassifier, GDRegressor, Objective, Penalty
from fastgd.solvers.gradient.preconditioner import Coordinates
from support.twins import with_jit


class Bounds(Penalty):
    """Each coefficient between two ends of its own, for nothing."""

    low: np.ndarray
    high: np.ndarray

    def value(self, coefficient, j):
        return 0.0 if self.low[j] <= coefficient <= self.high[j] else np.inf

    def derivative(self, coefficient, j):
        return 0.0

    def prox(self, coefficient, j, rate):
        return min(max(coefficient, self.low[j]), self.high[j])


class Around(Penalty):
    """Distance from a known coefficient: a kink that is not at 0."""

    center: float = 0.3

    def value(self, coefficient, j):
        return abs(coefficient - self.center)

    def derivative(self, coefficient, j):
        return np.sign(coefficient - self.center)

    def prox(self, coefficient, j, rate):
        return self.center + max(abs(coefficient - self.center) - rate, 0.0) * np.sign(
            coefficient - self.center
        )


def problem(seed, spread=2.0, n=120, d=6):
    """Columns on scales of their own, away from zero."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.normal(0.0, spread, d))
    X = (rng.normal(size=(n, d)) + rng.normal(size=d)) * scales
    return X, X @ (rng.normal(size=d) / scales) + 0.5 * rng.normal(size=n) + 2.0


def kinds(X, y):
    """Bounds by name, from those that hold some of the coefficients back to those that leave
    zeros out.
    """
    d, free = X.shape[1], np.linalg.lstsq(X - X.mean(0), y - y.mean(), rcond=None)[0]
    ends, odd, reach = np.full(d, np.inf), np.arange(d) % 2 == 1, 0.3 * np.abs(free).max()
    yield "box", np.full(d, -reach), np.full(d, reach)
    yield "nonnegative", np.zeros(d), ends
    yield "some fixed", np.where(odd, free / 3.0, -ends), np.where(odd, free / 3.0, ends)
    yield "without zero", np.full(d, reach), np.full(d, 3.0 * reach)


def lowest(X, y, low, high):
    """Mean squared error of the optimum, by SciPy."""
    fixed, centred, w = low == high, X - X.mean(0), low.copy()
    left = y - y.mean() - centred[:, fixed] @ low[fixed]
    bounds = low[~fixed], high[~fixed]
    w[~fixed] = lsq_linear(centred[:, ~fixed], left, bounds=bounds, tol=1e-14, max_iter=10_000).x
    return np.mean((y - y.mean() - centred @ w) ** 2)


def assert_at_the_optimum(model, X, y, low, high, name, tol=1e-5):
    assert (model.coef_ >= low).all(), name
    assert (model.coef_ <= high).all(), name
    assert np.mean((y - model.predict(X)) ** 2) <= lowest(X, y, low, high) * (1.0 + tol), name


@pytest.mark.parametrize("seed", with_jit(range(2), range(8)))
def test_the_default_finds_the_optimum(seed):
    X, y = problem(seed)
    for name, low, high in kinds(X, y):
        model = GDRegressor(penalty=Bounds(low, high), alpha=1.0, tol=1e-8, max_iter=5000).fit(X, y)
        assert_at_the_optimum(model, X, y, low, high, name)


WAYS = [
    *(
        {"solver": rule, "batch_size": "full"}
        for rule in ("gd", "momentum", "adagrad", "rmsprop", "adam")
    ),
    {"solver": "gd", "batch_size": "full", "learning_rate": "line_search"},
    {"solver": "saga"},
    {"solver": "svrg"},
]


@pytest.mark.jit
@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)  # saga is there, and not sure of it
@pytest.mark.parametrize("way", with_jit(WAYS[::3], WAYS), ids=lambda way: "-".join(way.values()))
def test_named_solvers_find_it(way):
    X, y = problem(3, spread=0.0 if "learning_rate" in way else 0.7)
    for name, low, high in kinds(X, y):
        model = GDRegressor(
            penalty=Bounds(low, high), alpha=1.0, tol=1e-9, max_iter=3000, random_state=0, **way
        )
        assert_at_the_optimum(model.fit(X, y), X, y, low, high, name)


@pytest.mark.plain
@pytest.mark.parametrize(
    "way",
    [
        {"solver": "gd", "batch_size": 1},
        {"solver": "adam", "batch_size": 16},
        {
            "solver": "gd",
            "batch_size": "full",
            "learning_rate": "constant",
            "eta0": 0.05,
            "average": True,
        },
    ],
    ids=str,
)
def test_averages_stay_inside(way):
    X, y = problem(4, spread=0.0)
    for name, low, high in kinds(X, y):
        model = GDRegressor(
            penalty=Bounds(low, high), alpha=1.0, tol=None, max_iter=30, random_state=0, **way
        )
        assert_at_the_optimum(model.fit(X, y), X, y, low, high, name, tol=1.0)
        for rows in np.array_split(np.arange(y.size), 3):
            model.partial_fit(X[rows], y[rows])
            assert ((model.coef_ >= low) & (model.coef_ <= high)).all(), name


@pytest.mark.plain
def test_a_classifier_and_a_non_smooth_loss():
    X, y = problem(5)
    labels = y > np.median(y)
    low, high = np.zeros(6), np.full(6, np.inf)
    for loss in ("log_loss", "hinge"):
        ways = {
            "penalty": Bounds(low, high),
            "alpha": 1.0,
            "random_state": 0,
            "batch_size": "full",
            "tol": None,
        }
        model = GDClassifier(loss, max_iter=200, **ways).fit(X, labels)
        assert (model.coef_ >= 0.0).all()
        assert model.score(X, labels) > 0.5
        assert np.isfinite(model.objective_)


@pytest.mark.plain
def test_a_warm_start_from_outside_the_bounds():
    X, y = problem(6)
    (_, low, high), (_, *others), *_ = kinds(X, y)
    for way in ({}, {"solver": "gd", "batch_size": "full"}, {"solver": "saga"}):
        model = GDRegressor(
            alpha=1.0, tol=1e-8, max_iter=5000, warm_start=True, random_state=0, **way
        )
        model.fit(X, y)
        for ends in ((low, high), others, (low, high)):  # the same class with other arrays, too
            model.set_params(penalty=Bounds(*ends)).fit(X, y)
            assert_at_the_optimum(model, X, y, *ends, way)


def test_what_a_proximal_step_gives_is_kept_to_the_last_bit():
    X, y = problem(7)
    F = Objective("squared_error", X, y, penalty=Around(0.3), alpha=10.0)
    model = GDRegressor(penalty=Around(0.3), alpha=10.0, tol=1e-8, max_iter=5000).fit(X, y)
    assert (model.coef_ == 0.3).any()
    coordinates = Coordinates.standard(F)
    coefficients = np.random.default_rng(0).standard_normal(F.size)
    there = coordinates.to_user(coordinates.from_user(coefficients))
    np.testing.assert_array_equal(there[:-1], coefficients[:-1])


def test_the_nearest_point_that_is_allowed():
    X, y = problem(8)
    low, high = np.full(6, -1.0), np.full(6, 2.0)
    F = Objective("squared_error", X, y, penalty=Bounds(low, high), alpha=1e-3)
    inside, outside = np.zeros(7), np.linspace(-3.0, 3.0, 7)
    assert F.allowed(inside) is inside
    np.testing.assert_array_equal(F.allowed(outside), [*np.clip(outside[:6], -1.0, 2.0), 3.0])
    plain = Objective("squared_error", X, y, penalty="l1", alpha=1e-3)
    assert plain.allowed(outside) is outside
