"""Group lasso and sparse group lasso in the estimators."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import (
    GDClassifier,
    GDRegressor,
    GDRegressorCV,
    GroupLasso,
    Multinomial,
    Objective,
    SparseGroupLasso,
)
from fastgd.penalties.groups import Grouped
from support.penalties import kinds

GROUPS = [[0, 5], [1, 2, 3], [4], [6, 7]]


def problem(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, 8)) + rng.normal(size=(n, 1))) * np.exp(0.5 * rng.normal(size=8))
    return X, X @ [1.0, 0, 0, 0, 0, -1.0, 0.2, 0] + 0.5 * rng.normal(size=n) + 1.0


def twin(X, y, strengths, l1, steps=20_000):
    """Least squares by plain proximal gradient descent, group after group."""
    centred, left = X - X.mean(0), y - y.mean()
    coef, rate = np.zeros(8), len(y) / np.linalg.norm(centred, 2) ** 2
    for _ in range(steps):
        coef = coef - rate * centred.T @ (centred @ coef - left) / len(y)
        for group, strength in zip(GROUPS, strengths, strict=True):
            own = np.sign(coef[group]) * np.maximum(np.abs(coef[group]) - rate * l1, 0.0)
            length = np.linalg.norm(own)
            coef[group] = own * max(1.0 - rate * strength / length, 0.0) if length else 0.0
    return coef


PENALTIES = [
    (GroupLasso(GROUPS), np.sqrt([2, 3, 1, 2]), 0.0),
    (SparseGroupLasso(GROUPS, 0.3), 0.7 * np.sqrt([2, 3, 1, 2]), 0.3),
    (SparseGroupLasso(GROUPS, 0.5, weights=[1, 0, 2, 1]), np.array([0.5, 0.0, 1.0, 0.5]), 0.5),
    (
        GroupLasso(GROUPS, weights=[1, 0, 2, 1]).weighed([2, 1, 1, 1, np.inf, 2, 0.5, 0.5]),
        np.array([2.0, 0.0, 1e9, 0.5]),
        0.0,
    ),
]
# Of the features, alike in each group: what multiplies its whole penalty.
WEIGHTS = np.array([2.0, 0.0, 0.0, 0.0, np.inf, 2.0, 0.5, 0.5])


def test_every_penalty_of_groups_is_here():
    assert {type(one) for one, _, _ in PENALTIES} == kinds(Grouped)


@pytest.mark.parametrize(("penalty", "strengths", "l1"), PENALTIES, ids=lambda p: repr(p)[:20])
@pytest.mark.parametrize("alpha", [0.03, 0.3])
def test_it_finds_what_proximal_gradient_descent_finds(penalty, strengths, l1, alpha):
    X, y = problem()
    expected = twin(X, y, alpha * strengths, alpha * l1)
    for given in (X, sp.csr_array(X)):
        model = GDRegressor(penalty=penalty, alpha=alpha, tol=1e-11).fit(given, y)
        np.testing.assert_allclose(model.coef_, expected, atol=2e-6)
        np.testing.assert_array_equal(model.coef_ == 0.0, expected == 0.0)
        assert model.bound_kind_ == "proof"
    slower = GDRegressor(penalty=penalty, alpha=alpha, solver="nesterov", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(slower.coef_, expected, atol=1e-4)
    assert slower.bound_kind_ == "proof"


@pytest.mark.parametrize("penalty", [GroupLasso(GROUPS), SparseGroupLasso(GROUPS, 0.3)])
def test_penalty_weights_multiply_groups(penalty):
    """A group without a penalty has any coefficients, one of infinite weight none: as if its
    columns were not there.
    """
    X, y = problem()
    model = GDRegressor(penalty=penalty, alpha=0.1, penalty_weights=WEIGHTS, tol=1e-12).fit(X, y)
    assert model.bound_kind_ == "proof"
    assert not model.coef_[4]
    others = [j for j in range(8) if j != 4]
    l1 = penalty.l1_ratio
    factors, roots = np.array([2.0, 0.0, 0.5]), np.sqrt([2, 3, 2])
    groups, coef, centred = (
        [[0, 4], [1, 2, 3], [5, 6]],
        np.zeros(7),
        X[:, others] - X.mean(0)[others],
    )
    rate = len(y) / np.linalg.norm(centred, 2) ** 2
    for _ in range(20_000):
        coef = coef - rate * centred.T @ (centred @ coef - (y - y.mean())) / len(y)
        for group, factor, root in zip(groups, 0.1 * rate * factors, roots, strict=True):
            own = np.sign(coef[group]) * np.maximum(np.abs(coef[group]) - factor * l1, 0.0)
            length = np.linalg.norm(own)
            coef[group] = own * max(1.0 - (1.0 - l1) * factor * root / length, 0.0) if length else 0
    np.testing.assert_allclose(model.coef_[others], coef, atol=2e-6)
    search = GDRegressorCV(penalty=penalty, penalty_weights=WEIGHTS, alphas=5, cv=3).fit(X, y)
    largest = GDRegressor(
        penalty=penalty, penalty_weights=WEIGHTS, alpha=1.001 * search.alphas_[0], tol=1e-9
    ).fit(X, y)
    assert ((largest.coef_ != 0.0) == (WEIGHTS == 0.0)).all()


def test_skglm_finds_the_same():
    skglm = pytest.importorskip("skglm")
    X, y = problem()
    groups = [list(group) for group in GROUPS]
    theirs = skglm.GroupLasso(groups, alpha=0.1, weights=np.ones(4), tol=1e-12).fit(X, y)
    penalty = GroupLasso(GROUPS, weights=np.ones(4))
    own = GDRegressor(penalty=penalty, alpha=0.1, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(own.coef_, theirs.coef_, atol=1e-6)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "modified_huber"])
def test_classes_are_proved(loss):
    X, y = problem()
    labels, penalty = (y > np.median(y)).astype(int), SparseGroupLasso(GROUPS)
    model = GDClassifier(loss, penalty=penalty, alpha=0.05, tol=1e-7).fit(X, labels)
    assert model.converged_
    F = Objective(loss, X, np.where(labels == 1, 1.0, -1.0), penalty=penalty, alpha=0.05)
    v = np.append(model.coef_, model.intercept_)
    assert F.value(v) == pytest.approx(model.objective_)
    for _ in range(100):
        assert F.value(v + 0.01 * np.random.default_rng(0).normal(size=9)) > model.objective_


def test_several_predictions():
    X, y = problem()
    labels = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    given = {"penalty": GroupLasso(GROUPS), "alpha": 0.1, "fit_intercept": False, "tol": 1e-3}
    model = GDClassifier(Multinomial(), **given).fit(X - X.mean(0), labels)
    zeros = [(model.coef_[:, group] == 0.0).mean() for group in GROUPS]
    assert set(zeros) == {0.0, 1.0}
    assert model.converged_


def test_along_paths():
    X, y = problem()
    for penalty in (GroupLasso(GROUPS), SparseGroupLasso(GROUPS)):
        search = GDRegressorCV(penalty=penalty, alphas=6, cv=3).fit(X, y)
        first = search.alphas_[0]
        at_it, below = (
            GDRegressor(penalty=penalty, alpha=share * first, tol=1e-8).fit(X, y).coef_
            for share in (1.001, 0.95)
        )
        assert not at_it.any()
        assert below.any()
        assert search.l1_ratio_ is None


WRONG = [
    ([[0, 1], [1, 2]], "groups must not overlap, feature 1 is in 2 of them"),
    ([[0, 1], [3]], "groups must hold every feature, 2 is in none of them"),
    ([[0, -1]], "groups must hold feature numbers, got -1"),
    ([[0], []], "groups must be lists of feature numbers, none of them empty"),
    ([[0.5]], "groups must be lists of feature numbers"),
    (3, "groups must be lists of feature numbers.*got 3"),
    ([], "groups must be lists"),
]


@pytest.mark.parametrize(("groups", "message"), WRONG)
def test_groups_that_are_none(groups, message):
    with pytest.raises(ValueError, match=message):
        GroupLasso(groups)


def test_what_else_is_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="GroupLasso groups hold 2 features, X has 8"):
        GDRegressor(penalty=GroupLasso([[0, 1]])).fit(X, y)
    with pytest.raises(ValueError, match=r"weights must be a finite number.*2 groups"):
        GroupLasso([[0], [1]], weights=[1.0, -1.0])
    with pytest.raises(ValueError, match="l1_ratio must lie between 0 and 1, got 2"):
        SparseGroupLasso([[0]], l1_ratio=2.0)
    penalty = GroupLasso(GROUPS)
    with pytest.raises(ValueError, match="bounds goes with penalty"):
        GDRegressor(penalty=penalty, bounds=(0.0, 1.0)).fit(X, y)
    with pytest.raises(ValueError, match=r"alike in each group of GroupLasso.* 0 and 5 .* 1 and 2"):
        GDRegressor(penalty=penalty, penalty_weights=[1, 1, 1, 1, 1, 2, 1, 1]).fit(X, y)
    with pytest.raises(ValueError, match="penalty_weights must have one number for each of the 8"):
        GDRegressor(penalty=penalty, penalty_weights=[1.0, 2.0]).fit(X, y)
    for given in ({"solver": "saga"}, {"solver": "sdca"}, {"solver": "lbfgs"}):
        with pytest.raises(ValueError, match=given["solver"]):
            GDRegressor(penalty=penalty, **given).fit(X, y)
    for given in ({"batch_size": 8}, {"learning_rate": "constant"}):
        with pytest.raises(ValueError, match="needs batch_size='full'"):
            GDRegressor(penalty=penalty, **given).fit(X, y)
    with pytest.raises(ValueError, match="needs batch_size='full'"):
        GDRegressor(penalty=penalty).partial_fit(X, y)


@pytest.mark.filterwarnings("ignore:.*:fastgd.ConvergenceWarning")
def test_a_loss_without_a_derivative():
    X, y = problem()
    model = GDRegressor("quantile", penalty=GroupLasso(GROUPS), alpha=0.05).fit(X, y)
    null = GDRegressor("quantile", penalty=GroupLasso(GROUPS), alpha=1e3).fit(X, y)
    assert model.objective_ < 0.8 * null.objective_
