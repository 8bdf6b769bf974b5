"""The lowest F that is known of a problem."""

import numpy as np
import pytest

from bench import certify, exact, hard_problems, lowest
from fastgd import EpsilonInsensitive, GDClassifier, Hinge, Multinomial, Quantile


@pytest.mark.parametrize("structure", [{}, {"rows": True}, {"groups": [[0, 2], [1]], "share": 0.3}])
def test_the_lowest_of_several_predictions(structure):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 3)) + 1e4, rng.permutation(40) % 3.0
    penalty = "l2" if structure else "elasticnet"
    parts = penalty, 1e-2, 0.5, True, 1e-4, None, None, "dense", [], structure
    problem = hard_problems.HardProblem(0, 0, X, y, Multinomial(3), *parts)
    model = GDClassifier(**problem.penalty_parameters, tol=1e-8).fit(X, y)
    start = model.coef_ * (1.0 + 0.1 * rng.random((3, 3))), model.intercept_
    found = [exact.value(problem, *one) for _, *one in lowest.candidates(problem, [start])]
    assert min(found).high == pytest.approx(model.objective_, rel=1e-7)
    own = exact.value(problem, model.coef_, model.intercept_)
    assert own.high == pytest.approx(model.objective_, rel=1e-12)
    shares = np.bincount(y.astype(int)) / 40.0
    assert lowest.best_constant(problem).high == pytest.approx(-shares @ np.log(shares))


def test_the_lowest_of_a_linear_program():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 3)) + 1e6, rng.normal(size=40)
    for loss in (Quantile(0.3), EpsilonInsensitive(0.1), Hinge()):
        targets = np.sign(y) if loss.classification else y
        problem = hard_problems.HardProblem(
            0, 0, X, targets, loss, "l1", 1e-3, 1.0, True, 1e-4, None, rng.normal(size=40), "dense"
        )
        found = {
            name: exact.value(problem, *model) for name, *model in lowest.candidates(problem, [])
        }
        model = certify.ESTIMATORS[loss.classification](
            loss=loss, penalty="l1", alpha=1e-3, tol=1e-8
        )
        moved = model.fit(X - 1e6, targets, offset=problem.offset)
        assert found["program"].high == pytest.approx(moved.objective_, rel=1e-7)
