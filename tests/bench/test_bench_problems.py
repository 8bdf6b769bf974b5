"""Problems of the bench: values and derivatives in plain NumPy, against differences, the package
and its rivals.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from bench import adapters, multinomial, optimum, problems, rivals


@pytest.mark.parametrize(
    "loss", [one for one in problems.CURVATURES if one not in problems.NOT_CONVEX]
)
def test_plain_derivatives(loss):
    data = "sklearn:diabetes" if loss == "gamma" else "sklearn:breast_cancer"
    problem = problems.make_problem(data, loss, scale=True, rows=50)
    F = problems.PlainObjective(problem)
    v, p = np.random.default_rng(0).standard_normal((2, F.start().size))
    # Relative: of a gradient of length 368 they are off by 0.9e-5 or 1.05e-5, by the machine.
    off = scipy.optimize.check_grad(
        lambda v: F.value_and_gradient(v)[0], lambda v: F.value_and_gradient(v)[1], v
    )
    assert off < 1e-5 * max(np.linalg.norm(F.value_and_gradient(v)[1]), 1.0)
    difference = (
        F.value_and_gradient(v + 1e-6 * p)[1] - F.value_and_gradient(v - 1e-6 * p)[1]
    ) / 2e-6
    np.testing.assert_allclose(F.hessian_product(v, p), difference, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(F.hessian(v) @ p, F.hessian_product(v, p), rtol=1e-10, atol=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("loss", problems.DEVIANCES)
def test_deviances_are_those_of_the_package_and_of_their_rivals(loss):
    problem = problems.make_problem("sklearn:diabetes", loss, alpha=0.01, scale=True, rows=150)
    F, own = problems.PlainObjective(problem), adapters._objective(problem, 1)
    v = 0.5 * np.random.default_rng(0).standard_normal(F.start().size)
    v[-1] = 4.5
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    if loss not in problems.NOT_CONVEX:  # where ours is the expected one
        np.testing.assert_allclose(F.hessian_product(v, v), own.hessian_product(v, v), rtol=1e-9)
    optimum.solve(problem)
    for name in ("sklearn/deviance/newton-cholesky", "glum/irls-ls", "fastgd/default"):
        rival = adapters.RIVALS[name]
        if rival.why_not(problem):
            assert name != "fastgd/default"
            continue
        budget = 1e-9 if rival.budget == "tol" else 100
        answer = rival.run(problem, budget, 1)
        value = F.value(np.append(answer.coef, answer.intercept))
        assert abs(problem.suboptimality(value)) < 1e-8


@pytest.mark.plain
def test_shares_are_those_of_the_package():
    problem = problems.make_problem("sklearn:breast_cancer", "binomial", 0.01, rows=99, scale=True)
    problem.y = 0.1 + 0.8 * problem.y
    F, own = problems.PlainObjective(problem), adapters._objective(problem, 1)
    v = np.random.default_rng(0).standard_normal(F.start().size)
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.hessian_product(v, v), own.hessian_product(v, v), rtol=1e-9)
    with pytest.raises(SystemExit, match="binomial takes shares from 0 to 1"):
        problems.make_problem("sklearn:iris", "binomial")


@pytest.mark.parametrize("intercept", [True, False])
def test_several_classes_are_those_of_the_package_and_of_their_rivals(intercept, monkeypatch):
    problem = problems.make_problem(
        "sklearn:iris", "multinomial", 0.01, fit_intercept=intercept, scale=True
    )
    F, own = multinomial.objective_of(problem), adapters._objective(problem, 1)
    v, p = np.random.default_rng(0).standard_normal((2, F.start().size))
    for found, expected in zip(F.value_and_gradient(v), own.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.hessian_product(v, p), own.hessian_product(v, p), rtol=1e-9)
    np.testing.assert_allclose(F.hessian(v) @ p, F.hessian_product(v, p), rtol=1e-9)
    optimum.solve(problem)
    assert problem.uncertainty <= optimum.CERTAIN
    assert problem.optimum < problem.constant
    names = "sklearn/LogisticRegression/newton-cg", "fastgd/default", "cyanure/auto"
    for name in (*names, "scipy/L-BFGS-B/Objective", "scipy/L-BFGS-B/numpy"):
        rival = adapters.RIVALS[name]
        if rival.why_not(problem) == rivals.NOT_INSTALLED:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = rival.run(problem, 1e-8 if rival.budget == "tol" else 200, 1)
        assert abs(problem.suboptimality(F.value(F.joined(answer)))) < 1e-6, name
    value, gap = multinomial.proved(F, F.joined(answer))
    assert -1e-12 < value - problem.optimum <= gap + 1e-12
    assert gap < 1e-6
    monkeypatch.setattr(optimum, "MAX_FOR_NEWTON", 0)
    again = replace(problem)
    optimum.solve(again)
    assert "fastgd, proved to" in again.reference
    assert again.optimum == pytest.approx(problem.optimum, rel=1e-9)
    with pytest.raises(SystemExit, match="3 to 1000 classes, got 2"):
        problems.make_problem("sklearn:breast_cancer", "multinomial")


class _Counted:
    """X that counts its products."""

    def __init__(self, X):
        self.X, self.T, self.shape, self.products = X, X.T, X.shape, 0

    def __matmul__(self, other):
        self.products += 1
        return self.X @ other


def test_products_with_curvature_keep_the_shares_of_their_point():
    """The shares of the classes were computed anew for each: half as many products with X."""
    problem = problems.make_problem("sklearn:iris", "multinomial", 0.01, scale=True)
    expected = multinomial.PlainMultinomial(problem)
    F = multinomial.PlainMultinomial(replace(problem, X=_Counted(problem.X)))
    v, w, p = np.random.default_rng(0).standard_normal((3, F.start().size))
    F.value_and_gradient(v)
    for _ in range(3):
        F.hessian_product(v, p)
    assert F.problem.X.products == F.passes == 4
    np.testing.assert_array_equal(F.hessian_product(w, p), expected.hessian_product(w, p))
    assert F.problem.X.products == F.passes == 6


@pytest.mark.parametrize("loss", problems.SECANTS)
def test_secants_touch_the_loss_and_are_nowhere_below_it(loss):
    y, z, other = np.random.default_rng(0).normal(0.0, 4.0, (3, 500))
    y = np.sign(y) if loss in problems.CLASSIFICATION else y
    (value, derivative), (beyond, _) = (problems.LOSSES[loss](y, at) for at in (z, other))
    parabola = (
        value + derivative * (other - z) + 0.5 * problems.SECANTS[loss](y, z) * (other - z) ** 2
    )
    assert (parabola >= beyond - 1e-12).all()


def test_unknown_names():
    for arguments in (
        ("sklearn:nothing", "log_loss"),
        ("sklearn:linnerud", "log_loss"),
        ("sklearn:iris", "nothing"),
    ):
        with pytest.raises(SystemExit):
            problems.make_problem(*arguments)
    with pytest.raises(SystemExit, match="known: fastgd/default"):
        adapters.choose(["nothing"])
