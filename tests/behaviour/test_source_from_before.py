"""Components as users wrote them before its modules were packages: their sources run unchanged."""

import importlib.util

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor, Loss, Momentum, Penalty, Rule, check_loss
from support.twins import with_jit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
T = X @ [1.0, -2.0, 0.0] + 0.3 * RNG.standard_normal(60)

# The loss is that of the README at 05c6c21; the others follow what it said of penalties and rules.
LOSSES = """
import numpy as np
from {losses} import Loss


class LogCosh(Loss):
    width: float = 1.0

    def value(self, prediction, target):
        r = abs(prediction - target) / self.width
        return r + np.log1p(np.exp(-2.0 * r)) - 0.6931471805599453

    def derivative(self, prediction, target):
        return np.tanh((prediction - target) / self.width) / self.width
"""
SIGNED = """
from typing import ClassVar

import numpy as np
from fastgd.losses import SIGNS, Interval, Loss


class Logistic(Loss):
    curvature_bound: ClassVar[float] = 0.25
    self_concordance: ClassVar[float | None] = 1.0
    infimum: ClassVar[float] = 0.0
    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        margin = prediction * target
        return np.log1p(np.exp(-abs(margin))) + max(-margin, 0.0)

    def derivative(self, prediction, target):
        return -target / (1.0 + np.exp(prediction * target))

    def curvature(self, prediction, target):
        e = np.exp(-abs(prediction))
        return e / (1.0 + e) ** 2
"""
PENALTIES = """
import numpy as np
from {penalties} import Penalty


class WeightedL1(Penalty):
    weights: np.ndarray

    def value(self, coefficient, j):
        return self.weights[j] * abs(coefficient)

    def derivative(self, coefficient, j):
        return self.weights[j] * np.sign(coefficient)

    def prox(self, coefficient, j, rate):
        excess = max(abs(coefficient) - rate * self.weights[j], 0.0)
        return excess if coefficient > 0.0 else -excess
"""
RULES = """
from typing import ClassVar

from {rules} import Rule


class Half(Rule):
    slots: ClassVar[int] = 1

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] = 0.5 * state[0, j] + (gradient + decay)
        return rate * state[0, j]

    def reach(self, state, j, rate, scale):
        return 2.0 * rate
"""


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """Classes of these sources are forgotten after each test: other tests list the members."""
    for family in (Loss, Penalty, Rule):
        monkeypatch.setattr(family, "_members", dict(family._members))


@pytest.fixture
def module(tmp_path):
    """A function that imports a text as a module of a user."""

    def imported(text):
        path = tmp_path / "written_before.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("written_before", path)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return imported


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("losses", ["fastgd", "fastgd.losses"])
def test_a_loss(module, losses):
    loss = module(LOSSES.format(losses=losses)).LogCosh(2.0)
    assert check_loss(loss).ok
    model = GDRegressor(loss=loss, alpha=1e-3, tol=1e-10).fit(X, T)
    residual = (X @ model.coef_ + model.intercept_ - T) / 2.0
    pull = np.tanh(residual) / 2.0
    np.testing.assert_allclose(X.T @ pull / T.size + 1e-3 * model.coef_, 0.0, atol=1e-6)
    assert abs(pull.mean()) < 1e-6
    F = np.log(np.cosh(residual)).mean() + 0.5e-3 * model.coef_ @ model.coef_
    assert model.objective_ == pytest.approx(F, rel=1e-12)


@pytest.mark.plain
def test_a_loss_of_signs(module):
    y = np.sign(T)
    own = GDClassifier(loss=module(SIGNED).Logistic(), alpha=1e-2, tol=1e-10).fit(X, y)
    shipped = GDClassifier(loss="log_loss", alpha=1e-2, tol=1e-10).fit(X, y)
    assert own.converged_
    assert own.bound_kind_ == "proof"
    np.testing.assert_allclose(own.coef_, shipped.coef_, rtol=1e-4)


@pytest.mark.parametrize("penalties", ["fastgd", "fastgd.penalties"])
def test_a_penalty(module, penalties):
    penalty = module(PENALTIES.format(penalties=penalties)).WeightedL1(np.ones(3))
    own = GDRegressor(penalty=penalty, alpha=0.1, tol=1e-10).fit(X, T)
    shipped = GDRegressor(penalty="l1", alpha=0.1, tol=1e-10).fit(X, T)
    np.testing.assert_allclose(own.coef_, shipped.coef_, atol=1e-5)
    assert own.objective_ == pytest.approx(shipped.objective_, rel=1e-9)


@pytest.mark.parametrize("rules", ["fastgd", "fastgd.rules"])
@pytest.mark.parametrize("batch_size", with_jit(["full"], ["full", 1, 8]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_rule(module, rules, batch_size):
    given = {"batch_size": batch_size, "max_iter": 5, "tol": None, "random_state": 0}
    given |= {"learning_rate": "constant", "eta0": 0.01}
    half = module(RULES.format(rules=rules)).Half()
    own = GDRegressor(solver=half, **given).fit(X, T)
    shipped = GDRegressor(solver=Momentum(0.5), **given).fit(X, T)
    np.testing.assert_allclose(own.coef_, shipped.coef_, rtol=1e-9)
