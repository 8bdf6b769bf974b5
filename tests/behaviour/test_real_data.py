"""Data as the world has it: raw columns, rare features, collinear groups."""

import warnings

import numpy as np
import pytest

from fastgd import ConvergenceWarning, GDClassifier, GDRegressor, Objective
from fastgd.fitting.stopping import StopReason
from fastgd.losses.base import find_loss
from fastgd.objective.null_model import null_model
from fastgd.rules.base import Rule
from support.twins import members

RULES = [rule.name for rule in members(Rule)]


@pytest.fixture(scope="module")
def a9a(real_data):
    X, y, _, _ = real_data("a9a")
    return X, y


@pytest.fixture(scope="module")
def a9a_optimum(a9a):
    """F at the optimum of log loss with alpha = 1/n, proved to 1e-9."""
    X, y = a9a
    model = GDClassifier(
        alpha=1 / len(y), solver="gd", batch_size="full", tol=1e-9, max_iter=1000
    ).fit(X, y)
    assert model.suboptimality_ <= 1e-9
    return model.objective_


def fitted(model, X, y):
    """The model and the warnings of its fit, which may be one that it did not converge."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert all(issubclass(one.category, ConvergenceWarning) for one in caught)
    return model, len(caught)


@pytest.mark.parametrize("solver", ["nesterov", "gd"])
def test_a9a_is_certified_to_1e_6(solver, a9a, a9a_optimum):
    X, y = a9a
    model = GDClassifier(
        alpha=1 / len(y), solver=solver, batch_size="full", tol=1e-6, max_iter=10_000
    ).fit(X, y)
    assert model.stop_reason_ is StopReason.CONVERGED
    assert model.bound_kind_ == "proof"
    assert model.suboptimality_ <= 1e-6
    assert (model.objective_ - a9a_optimum) / a9a_optimum <= model.suboptimality_ * (1 + 1e-3)
    assert model.history_["passes"][-1] <= 100


@pytest.mark.thinned(plain=1, compiled=4)
@pytest.mark.parametrize("batch_size", [1, 16, 64, 256])
@pytest.mark.parametrize("solver", RULES)
def test_a9a_a_few_rows_at_a_time(solver, batch_size, a9a, a9a_optimum):
    X, y = a9a
    model = GDClassifier(
        alpha=1 / len(y),
        solver=solver,
        batch_size=batch_size,
        tol=1e-3,
        max_iter=100,
        random_state=0,
    )
    model, n_warnings = fitted(model, X, y)
    assert (model.objective_ - a9a_optimum) / a9a_optimum <= 1e-3
    assert n_warnings == (0 if model.converged_ else 1)
    assert model.converged_


def sane(model, X, y):
    """Finite, no worse than the null model, certified or with the one warning."""
    model, n_warnings = fitted(model, X, y)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    assert np.isfinite(model.objective_)
    assert n_warnings == (0 if model.converged_ else 1)
    loss = find_loss(model.loss, epsilon=model.epsilon)
    targets = np.where(y == y.max(), 1.0, -1.0) if loss.classification else y
    constant = null_model(Objective(loss, np.zeros((len(y), 1)), targets))[1]
    assert model.objective_ <= constant * (1 + 1e-9)
    return model, constant


SETTINGS = [
    ("auto", "auto"),
    ("gd", "full"),
    ("nesterov", "full"),
    ("gd", 1),
    ("adam", 32),
    ("adagrad", 1),
    ("rmsprop", 64),
]


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_california_as_it_comes(solver, batch_size, real_data):
    X, y, _, _ = real_data("california")
    model, _ = sane(
        GDRegressor(solver=solver, batch_size=batch_size, max_iter=200, random_state=0), X, y
    )
    assert model.score(X, y) > 0.5
    if batch_size in ("auto", "full"):
        assert model.suboptimality_ <= 1e-4
        assert model.score(X, y) == pytest.approx(0.637, abs=1e-3)


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_covtype_as_it_comes(solver, batch_size, real_data):
    X, y, _, _ = real_data("covtype_binary")
    chosen = np.random.default_rng(0).permutation(len(y))[:20_000]
    model, _ = sane(
        GDClassifier(solver=solver, batch_size=batch_size, max_iter=100, random_state=0),
        X[chosen],
        y[chosen],
    )
    assert model.score(X[chosen], y[chosen]) > 0.72
    if batch_size in ("auto", "full"):
        assert model.suboptimality_ <= 1e-4


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.parametrize(
    "loss", ["huber", "epsilon_insensitive", "quantile", "squared_epsilon_insensitive"]
)
@pytest.mark.parametrize(("solver", "batch_size"), [("auto", "auto"), ("gd", "full"), ("adam", 32)])
def test_california_with_other_losses(loss, solver, batch_size, real_data):
    X, y, _, _ = real_data("california")
    model, constant = sane(
        GDRegressor(loss, solver=solver, batch_size=batch_size, max_iter=100, random_state=0), X, y
    )
    assert model.objective_ < 0.95 * constant


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber", "perceptron"])
def test_covtype_with_other_losses(loss, real_data):
    X, y, _, _ = real_data("covtype_binary")
    chosen = np.random.default_rng(0).permutation(len(y))[:20_000]
    model = GDClassifier(loss, max_iter=20, random_state=0)
    if loss == "perceptron":
        model, _ = fitted(model, X[chosen], y[chosen])  # an online rule: it minimises nothing
        assert np.isfinite(model.coef_).all()
    else:
        model, _ = sane(model, X[chosen], y[chosen])
        assert model.score(X[chosen], y[chosen]) > 0.7
