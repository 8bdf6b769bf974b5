"""Rows of coefficients as groups, for several targets and for classes: scikit-learn's, and slow
twins.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import MultiTaskElasticNet, MultiTaskLasso

from fastgd import GDClassifier, GDRegressor, GDRegressorCV, MultiTask, Objective, from_chunks
from fastgd.losses import Huber, Multinomial, SquaredError
from fastgd.losses.each_target import EachTarget

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8))
W = np.zeros((8, 3))
W[:3] = RNG.normal(size=(3, 3))
Y = X @ W + 0.5 * RNG.normal(size=(60, 3)) + [1.0, 5.0, -3.0]
LABELS = np.argmax(X @ W + RNG.gumbel(size=(60, 3)), axis=1)
WEIGHTS = RNG.integers(0, 3, size=60)
# Of the features: two without a penalty, one whose coefficients are 0.
PENALTY_WEIGHTS = np.array([1.0, 0.0, 0.5, 2.0, 0.0, np.inf, 1.0, 3.0])
FREE, HELD = PENALTY_WEIGHTS == 0.0, np.isinf(PENALTY_WEIGHTS)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_equals_scikit_learn(l1_ratio, storage):
    theirs = MultiTaskElasticNet(alpha=0.2, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000)
    theirs.fit(X, Y)
    model = GDRegressor(penalty=MultiTask(l1_ratio), alpha=0.2, tol=1e-12).fit(storage(X), Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, theirs.intercept_, atol=1e-6)
    used = (model.coef_ != 0.0).any(axis=0)
    np.testing.assert_array_equal(used, (theirs.coef_ != 0.0).all(axis=0))
    assert 0 < used.sum() < 8
    assert model.bound_kind_ == "proof"
    residual = Y - theirs.predict(X)
    lengths = np.linalg.norm(theirs.coef_, axis=0).sum()
    penalty = l1_ratio * lengths + 0.5 * (1.0 - l1_ratio) * (theirs.coef_**2).sum()
    expected = 0.5 * (residual**2).sum() / 60 + 0.2 * penalty
    assert model.objective_ == pytest.approx(expected, rel=1e-10)
    assert model.score(X, Y) == pytest.approx(theirs.score(X, Y), rel=1e-5)


def by_steps(X, Y, alpha, l1_ratio, steps=2_000):
    """Proximal gradient descent on the squared loss with `PENALTY_WEIGHTS`, row after row."""
    centred, left = X - X.mean(0), Y - Y.mean(0)
    coef, rate = np.zeros((8, 3)), len(Y) / np.linalg.norm(centred, 2) ** 2
    for _ in range(steps):
        coef = coef - rate * centred.T @ (centred @ coef - left) / len(Y)
        coef[HELD] = 0.0
        for j in np.flatnonzero(~HELD):
            weight, length = rate * alpha * PENALTY_WEIGHTS[j], np.linalg.norm(coef[j])
            coef[j] *= max(1.0 - weight * l1_ratio / length, 0.0)
            coef[j] /= 1.0 + weight * (1.0 - l1_ratio)
    return coef.T


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, "blocks"], ids=str)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_penalty_weights_multiply_rows(l1_ratio, storage):
    given = (from_chunks(lambda: iter([(X[:25], Y[:25]), (X[25:], Y[25:])])),)
    given = given if storage == "blocks" else (storage(X), Y)
    options = {"penalty": MultiTask(l1_ratio), "penalty_weights": PENALTY_WEIGHTS, "alpha": 0.2}
    model = GDRegressor(tol=1e-12, **options).fit(*given)
    np.testing.assert_allclose(model.coef_, by_steps(X, Y, 0.2, l1_ratio), atol=1e-6)
    assert model.bound_kind_ == "proof"
    assert model.converged_
    assert not model.coef_[:, HELD].any()
    assert model.coef_[:, FREE].all()


def test_penalty_weights_are_scales_of_columns():
    """scikit-learn's lasso on columns over their weights, without what those that have no penalty
    explain: more columns than rows, too, and columns without a penalty that are alike.
    """
    rng = np.random.default_rng(3)
    for n, d in ((60, 8), (30, 50)):
        A = rng.normal(size=(n, d)) + rng.normal(size=(n, 1))
        A[:, 1] = A[:, 0] + 0.1 * A[:, 1]
        B = A[:, :4] @ rng.normal(size=(4, 3)) + rng.normal(size=(n, 3))
        weights = np.append([0.0, 0.0, np.inf], rng.uniform(0.3, 3.0, size=d - 3))
        model = GDRegressor(penalty=MultiTask(), penalty_weights=weights, alpha=0.05, tol=1e-9).fit(
            A, B
        )
        assert (model.bound_kind_, model.converged_) == ("proof", True)
        Q = np.linalg.qr(np.column_stack([np.ones(n), A[:, :2]]))[0]
        left = [one - Q @ (Q.T @ one) for one in (A[:, 3:] / weights[3:], B)]
        lasso = MultiTaskLasso(alpha=0.05, tol=1e-15, max_iter=100_000, fit_intercept=False)
        theirs = lasso.fit(*left).coef_ / weights[3:]
        np.testing.assert_allclose(model.coef_[:, 3:], theirs, atol=1e-5)
        residual = B - model.predict(A)
        np.testing.assert_allclose(Q.T @ residual, 0.0, atol=1e-5 * n)


def test_penalty_weights_of_the_classes_of_a_multinomial_model():
    given = {"penalty": MultiTask(), "penalty_weights": PENALTY_WEIGHTS}
    model = GDClassifier(alpha=0.08, tol=1e-7, **given).fit(X, LABELS)
    assert model.coef_[:, FREE].all()
    assert not model.coef_[:, HELD].any()
    finite = np.where(HELD, 0.0, PENALTY_WEIGHTS)

    def F(coef, intercept):
        z = X @ coef.T + intercept
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(60), LABELS]
        return losses.mean() + 0.08 * np.linalg.norm(coef, axis=0) @ finite

    at = F(model.coef_, model.intercept_)
    assert model.objective_ == pytest.approx(at, rel=1e-10)
    for _ in range(100):
        step = 1e-3 * RNG.normal(size=(3, 8)) * RNG.integers(0, 2, size=8) * ~HELD
        assert at <= F(model.coef_ + step, model.intercept_ + 1e-3 * RNG.normal(size=3)) + 1e-7


def test_penalty_weights_along_a_path():
    given = {"penalty": MultiTask(), "penalty_weights": PENALTY_WEIGHTS}
    search = GDRegressorCV(alphas=6, cv=3, **given).fit(X, Y, sample_weight=WEIGHTS)
    alone = GDRegressor(alpha=search.alpha_, tol=1e-9, **given).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(search.coef_, alone.coef_, atol=1e-2)
    for share in (1.001, 0.98):
        alpha = share * search.alphas_[0]
        model = GDRegressor(alpha=alpha, tol=1e-9, **given).fit(X, Y, sample_weight=WEIGHTS)
        assert (model.coef_[:, ~FREE].any() == (share < 1.0)).all()
    classes = GDClassifier(**given).fit(X, LABELS)
    assert classes.coef_.shape == (3, 8)
    with pytest.raises(ValueError, match="penalty_weights that penalise no feature"):
        GDRegressorCV(penalty=MultiTask(), penalty_weights=np.zeros(8)).fit(X, Y)


def test_one_prediction_with_penalty_weights_is_an_elastic_net():
    options = {"alpha": 0.05, "tol": 1e-10, "penalty_weights": PENALTY_WEIGHTS}
    ours = GDRegressor(penalty=MultiTask(0.5), **options).fit(X, Y[:, 0])
    net = GDRegressor(penalty="elasticnet", l1_ratio=0.5, **options).fit(X, Y[:, 0])
    np.testing.assert_array_equal(ours.coef_, net.coef_)


def test_weights_are_repeats_and_other_losses_are_summed():
    options = {"penalty": MultiTask(0.9), "alpha": 0.1, "tol": 1e-10}
    many = np.repeat(np.arange(60), WEIGHTS)
    for loss in (Huber(0.5), SquaredError()):
        weighted = GDRegressor(loss, **options).fit(X, Y, sample_weight=WEIGHTS)
        repeated = GDRegressor(loss, **options).fit(X[many], Y[many])
        np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-5)
        assert weighted.bound_kind_ == repeated.bound_kind_ == "proof"


def test_the_classes_of_a_multinomial_model():
    """No step leads down from the model, by F in plain NumPy."""
    model = GDClassifier(penalty=MultiTask(), alpha=0.08, tol=1e-9).fit(X, LABELS)
    assert model.suboptimality_ <= 1e-9
    assert model.bound_kind_ == "proof"
    used = (model.coef_ != 0.0).any(axis=0)
    assert 0 < used.sum() < 8

    def F(coef, intercept):
        z = X @ coef.T + intercept
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(60), LABELS]
        return losses.mean() + 0.08 * np.linalg.norm(coef, axis=0).sum()

    at = F(model.coef_, model.intercept_)
    assert model.objective_ == pytest.approx(at, rel=1e-10)
    for _ in range(100):
        step = 1e-3 * RNG.normal(size=(3, 8)) * RNG.integers(0, 2, size=8)
        assert at <= F(model.coef_ + step, model.intercept_ + 1e-3 * RNG.normal(size=3)) + 1e-9


def test_one_prediction_makes_it_an_elastic_net():
    options = {"alpha": 0.05, "tol": 1e-10}
    ours = GDRegressor(penalty=MultiTask(0.5), **options).fit(X, Y[:, 0])
    net = GDRegressor(penalty="elasticnet", l1_ratio=0.5, **options).fit(X, Y[:, 0])
    np.testing.assert_array_equal(ours.coef_, net.coef_)
    two = GDClassifier(penalty=MultiTask(), **options).fit(X, LABELS > 0)
    l1 = GDClassifier(penalty="l1", **options).fit(X, LABELS > 0)
    np.testing.assert_array_equal(two.coef_, l1.coef_)
    table = GDRegressor(penalty=MultiTask(), **options).fit(X, Y[:, :1])
    assert (table.coef_.shape, table.predict(X).shape) == ((1, 8), (60, 1))
    ridge = GDRegressor(penalty=MultiTask(0.0), **options).fit(X, Y)
    alone = GDRegressor(**options).fit(X, Y)
    np.testing.assert_allclose(ridge.coef_, alone.coef_, atol=1e-5)


def test_searches_starts_pickles_and_grids():
    search = GDRegressorCV(penalty=MultiTask(), alphas=6, cv=3).fit(X, Y)
    assert search.coef_.shape == (3, 8)
    largest = GDRegressor(penalty=MultiTask(), alpha=search.alphas_[0] * 1.001).fit(X, Y)
    assert not largest.coef_.any()
    smaller = GDRegressor(penalty=MultiTask(), alpha=search.alphas_[0] * 0.99).fit(X, Y)
    assert smaller.coef_.any()
    model = GDRegressor(penalty=MultiTask(0.7), warm_start=True).fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).fit(X, Y)
    np.testing.assert_allclose(again.coef_, model.coef_, atol=1e-3)
    assert clone(model).set_params(penalty__l1_ratio=0.2).penalty.l1_ratio == 0.2
    given = GDRegressor(penalty=MultiTask(0.7), early_stopping=True, random_state=0).fit(X, Y)
    assert given.best_validation_score_ > 0.5


@pytest.mark.parametrize(
    ("model", "y", "told"),
    [
        (GDRegressor("poisson"), np.abs(Y), "goes with losses without a link, got loss='poisson'"),
        (GDRegressor(solver="saga"), Y, "penalties of single coefficients"),
        (
            GDRegressor("huber", solver="newton"),
            Y,
            "needs a loss and a penalty with derivatives, got .* and MultiTask",
        ),
        (GDClassifier("hinge"), LABELS, "needs loss='log_loss'"),
        (GDClassifier(multi_class="ovr"), LABELS, "needs loss='log_loss' and multi_class"),
        (GDRegressor(positive=True), Y, "positive goes with penalty 'l2', 'l1'"),
        (GDRegressor(penalty_weights=[1.0, 2.0]), Y, "one number for each of the 8 features"),
        (GDRegressor(penalty_weights=[-1.0] * 8), Y, "must not be negative or NaN, got -1"),
        (GDClassifier(), np.eye(3)[LABELS], "a table of labels"),
    ],
)
def test_what_it_does_not_go_with(model, y, told):
    with pytest.raises(ValueError, match=told):
        model.set_params(penalty=MultiTask()).fit(X, y)


def test_chunks_are_refused():
    with pytest.raises(ValueError, match="none of single coefficients"):
        GDRegressor(penalty=MultiTask()).partial_fit(X, Y)


def test_a_share_is_one():
    with pytest.raises(ValueError, match="MultiTask l1_ratio must lie between 0 and 1, got 2"):
        MultiTask(2.0)


def test_the_sum_over_targets():
    joint = EachTarget(Huber(1.0))
    assert (joint.smooth, joint.convex, joint.curvature_bound) == (True, True, 1.0)
    z, y, out = np.array([0.3, -2.0]), np.array([0.0, 1.0]), np.empty(2)
    assert joint.value(z, y) == pytest.approx(0.045 + 2.5)
    joint.derivatives(z, y, out)
    np.testing.assert_allclose(out, [0.3, -1.0])
    joint.curvature_product(z, y, np.array([2.0, 2.0]), out)
    np.testing.assert_allclose(out, [2.0, 0.0], atol=1e-9)
    assert pickle.loads(pickle.dumps(joint)).infimum == 0.0
    F = Objective(joint, X, Y, penalty=MultiTask(0.5), alpha=0.1)
    G = Objective(Multinomial(3), X, LABELS, penalty=MultiTask(0.5), alpha=0.1)
    for one in (F, G):
        assert one.term.n_predictions == 3
        assert np.isfinite(one.value(one.start()))
