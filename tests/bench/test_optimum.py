"""The optimum that runs are judged by, and how sure it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer

from bench import data, optimum, problems


def test_optimum_is_kept(tmp_path, monkeypatch):
    problem, again = (
        problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50) for _ in range(2)
    )
    optimum.solve(problem, tmp_path / "optima.json")
    monkeypatch.setattr(optimum, "_solve", None)  # not called
    optimum.solve(again, tmp_path / "optima.json")
    assert again.optimum == problem.optimum


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_a_kept_optimum_is_that_of_the_same_data(tmp_path, storage):
    """Generated data of the real ones' name and shape had their optimum."""
    problem = problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50)
    others = [
        replace(problem, X=storage(X), y=y)
        for X, y in (
            (problem.X, problem.y),
            (problem.X[::-1] * 1.5, problem.y),
            (problem.X, -problem.y),
        )
    ]
    for one in others:
        optimum.solve(one, tmp_path / "optima.json")
    assert len({one.optimum for one in others}) == 3
    assert len(json.loads((tmp_path / "optima.json").read_text())) == 3


@pytest.mark.jit
def test_optimum_of_a_hinge_by_either_way(monkeypatch):
    """Rows that are the same share what is known of them: of w8a nothing was proved to 1e-9."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = np.repeat(X / X.max(axis=0), 3, axis=0), np.repeat(2.0 * y - 1.0, 3)
    found = [problems.Problem("twice", "hinge", X, y, 1e-3, False, 0.0) for _ in range(2)]
    optimum.solve(found[0])
    monkeypatch.setattr(optimum, "_by_coordinates", lambda p: (np.zeros(30), 0.0 * y, 0.0 * y))
    optimum.solve(found[1])
    assert found[1].optimum == pytest.approx(found[0].optimum, rel=1e-9)
    assert all(one.uncertainty <= optimum.CERTAIN for one in found)
    assert found[0].reference.startswith("dual coordinate ascent")


def test_optimum_of_newton_and_of_the_way_for_many_features(monkeypatch):
    problem, other = (
        problems.make_problem("sklearn:breast_cancer", "log_loss", scale=True) for _ in range(2)
    )
    optimum.solve(problem)
    monkeypatch.setattr(optimum, "MAX_FOR_NEWTON", 10)
    optimum.solve(other)
    assert other.optimum == pytest.approx(problem.optimum, rel=1e-9)
    assert problem.optimum < problem.constant


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_optimum_with_an_l1_norm_and_many_features_is_found_by_fastgd(monkeypatch, l1_ratio):
    """And proved by NumPy; where it is not, SciPy looks for it."""
    settings = {"alpha": 0.02, "l1_ratio": l1_ratio, "scale": True, "rows": 99}
    found = [
        problems.make_problem("sklearn:breast_cancer", "log_loss", **settings) for _ in range(3)
    ]
    optimum.solve(found[0])
    monkeypatch.setattr(optimum, "MAX_FOR_NEWTON", 10)
    optimum.solve(found[1])
    monkeypatch.setattr(optimum, "_by_fastgd", lambda F: [F.start()])
    optimum.solve(found[2])
    assert [one.reference.split(",")[0] for one in found] == [
        "working sets of L-BFGS-B and Newton",
        "fastgd",
        "working sets of L-BFGS-B and Newton",
    ]
    for one in found[1:]:
        assert one.optimum == pytest.approx(found[0].optimum, rel=1e-9)
        assert one.uncertainty <= optimum.CERTAIN


@pytest.mark.parametrize("loss", problems.CORNERED)
def test_optimum_of_a_non_smooth_loss(loss):
    problem = problems.make_problem("sklearn:iris", loss, alpha=0.05, rows=80)
    optimum.solve(problem)
    assert float(problem.reference.split()[-1]) < 1e-6
    y, z = np.random.default_rng(0).standard_normal((2, 200))
    (exact, _), (rounded, derivative) = (
        problems.LOSSES[loss](y, z),
        problems.rounded(loss, 0.1)[0](y, z),
    )
    assert np.all((exact - 0.05 <= rounded + 1e-12) & (rounded <= exact))
    slope = (problems.rounded(loss, 0.1)[0](y, z + 1e-7)[0] - rounded) / 1e-7
    np.testing.assert_allclose(derivative, slope, atol=1e-5)
    with pytest.raises(SystemExit, match="L2 penalty alone"):
        optimum.solve(problems.make_problem("sklearn:iris", loss, l1_ratio=0.5))


def test_optimum_with_an_l1_norm_and_an_intercept():
    problem = problems.make_problem(
        "sklearn:breast_cancer", "log_loss", 0.02, l1_ratio=0.5, scale=True, rows=99
    )
    optimum.solve(problem)
    F, d = problems.PlainObjective(problem), 30

    def split(u):  # w = p - m, both nonnegative, in which F has a gradient
        value, gradient = F.value_and_gradient(np.append(u[:d] - u[d : 2 * d], u[-1]))
        l1 = problem.l1
        return value + l1 * u[: 2 * d].sum(), np.concatenate(
            [gradient[:d] + l1, l1 - gradient[:d], gradient[d:]]
        )

    bounds = [(0, None)] * 2 * d + [(None, None)]
    found = scipy.optimize.minimize(
        split, np.zeros(2 * d + 1), jac=True, bounds=bounds, options={"ftol": 0.0}
    )
    assert problem.optimum <= found.fun <= problem.optimum * (1.0 + 1e-6)


def outliers(scale):
    """Prices of houses, some of them nonsense, whose columns are on scales of their own."""
    rng = np.random.default_rng(0)
    X = (
        np.column_stack(
            [rng.gamma(3.0, 4e4, 300), rng.integers(1, 7, 300), rng.normal(1e6, 3e5, 300)]
        )
        * scale
    )
    y = X @ [2.0, 3e4, 0.0] + 1e4 * rng.standard_normal(300)
    return X, np.where(rng.random(300) < 0.05, 1e5, y)


@pytest.mark.parametrize("loss", ["huber", "modified_huber", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_optimum_far_from_where_a_loss_is_curved(loss, scale):
    X, y = outliers(scale)
    y = data.signs(y > np.median(y)) if loss in problems.CLASSIFICATION else y
    problem = problems.Problem("prices", loss, X, y, 1e-3)
    optimum.solve(problem)
    assert problem.uncertainty <= optimum.CERTAIN
    assert problem.optimum < problem.constant
    F = problems.PlainObjective(problem)
    other = F.value(optimum._by_itself(F, F.start()))
    assert problem.suboptimality(other) >= -2e-9


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_gap_holds(l1_ratio, intercept):
    for loss in ("log_loss", "squared_error", "squared_hinge"):
        problem = problems.make_problem(
            "sklearn:breast_cancer", loss, 0.02, l1_ratio, intercept, scale=True, rows=99
        )
        optimum.solve(problem)
        F = problems.PlainObjective(problem)
        for v in np.random.default_rng(0).standard_normal((5, F.start().size)):
            assert F.value(v) - optimum.proof(problem, v) <= problem.optimum * (1.0 + 1e-9)


def test_without_a_proof_two_methods_have_to_agree(monkeypatch):
    problem = problems.make_problem("sklearn:diabetes", "squared_error", alpha=0.0)
    optimum.solve(problem)
    assert "L-BFGS-B alone" in problem.reference
    assert problem.uncertainty <= optimum.CERTAIN
    with monkeypatch.context() as patched:
        patched.setattr(optimum, "newton", lambda F, v: v)  # ends where it begins
        with pytest.raises(
            SystemExit, match=r"diabetes, squared_error, alpha 0: no reference to judge by.*--scale"
        ):
            optimum.solve(problem)
        proved = problems.make_problem("sklearn:diabetes", "squared_error", alpha=1.0)
        optimum.solve(proved)  # by the other one alone
        assert proved.uncertainty <= optimum.CERTAIN


def test_what_was_kept_without_its_uncertainty_is_solved_anew(tmp_path):
    problem = problems.make_problem("sklearn:breast_cancer", "squared_hinge", rows=50)
    path = tmp_path / "optima.json"
    optimum.solve(problem, path)
    known = json.loads(path.read_text())
    ((key, right),) = known.items()
    path.write_text(json.dumps({key: {"optimum": 7.0, "constant": 8.0, "reference": "once"}}))
    optimum.solve(problem, path)
    assert problem.optimum == right["optimum"]
    assert json.loads(path.read_text()) == known
