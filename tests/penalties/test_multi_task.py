"""Rows of coefficients as groups, for several targets and for classes: scikit-learn's, and slow
twins.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import MultiTaskElasticNet

from fastgd import GDClassifier, GDRegressor, GDRegressorCV, MultiTask, Objective
from fastgd.losses import Huber, Multinomial, SquaredError
from fastgd.losses.each_target import EachTarget

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8))
W = np.zeros((8, 3))
W[:3] = RNG.normal(size=(3, 3))
Y = X @ W + 0.5 * RNG.normal(size=(60, 3)) + [1.0, 5.0, -3.0]
LABELS = np.argmax(X @ W + RNG.gumbel(size=(60, 3)), axis=1)
WEIGHTS = RNG.integers(0, 3, size=60)


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
