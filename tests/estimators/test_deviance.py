"""Regressors on the scale of the targets: predictions through the link, scores as D^2, offsets
everywhere.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_tweedie_score

from fastgd import (
    GDClassifier,
    GDRegressor,
    GDRegressorCV,
    Loss,
    NegativeBinomial,
    Objective,
    Poisson,
    Tweedie,
)
from fastgd.estimators.deviance import explained
from fastgd.losses.base import has_mean
from support.twins import members, targets_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Z = X @ [0.5, -0.3, 0.2, 0.0] + 0.4
COUNTS = RNG.poisson(np.exp(Z)).astype(float)
AMOUNTS = RNG.gamma(3.0, np.exp(Z) / 3.0)
WEIGHTS = RNG.uniform(0.5, 2.0, 120)
OFFSET = RNG.uniform(-1.0, 1.0, 120)
LINKED = [loss for loss in members(Loss) if has_mean(loss)]
each = pytest.mark.parametrize("loss", LINKED, ids=lambda loss: loss.name)

NAMES = {1.0: "poisson", 2.0: "gamma", 3.0: "inverse_gaussian"}

SCIKIT_LEARN = [
    ("poisson", PoissonRegressor(alpha=0.01, tol=1e-9, max_iter=1000), COUNTS),
    ("gamma", GammaRegressor(alpha=0.01, tol=1e-9, max_iter=1000), AMOUNTS),
    (Tweedie(0.0), TweedieRegressor(power=0.0, alpha=0.01, tol=1e-9, max_iter=1000), COUNTS),
    (Tweedie(1.0), TweedieRegressor(power=1.0, alpha=0.01, tol=1e-9, max_iter=1000), COUNTS),
    (Tweedie(1.5), TweedieRegressor(power=1.5, alpha=0.01, tol=1e-9, max_iter=1000), COUNTS),
    (Tweedie(2.0), TweedieRegressor(power=2.0, alpha=0.01, tol=1e-9, max_iter=1000), AMOUNTS),
    (Tweedie(2.5), TweedieRegressor(power=2.5, alpha=0.01, tol=1e-9, max_iter=1000), AMOUNTS),
    (
        "inverse_gaussian",
        TweedieRegressor(power=3.0, alpha=0.01, tol=1e-9, max_iter=1000),
        AMOUNTS,
    ),
]


@pytest.mark.parametrize(("loss", "twin", "y"), SCIKIT_LEARN, ids=lambda x: str(x)[:22])
def test_models_predictions_and_scores_are_those_of_scikit_learn(loss, twin, y):
    model = GDRegressor(loss, alpha=0.01, tol=1e-12, max_iter=3000).fit(X, y, WEIGHTS)
    twin.fit(X, y, WEIGHTS)
    np.testing.assert_allclose(model.coef_, twin.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.predict(X), twin.predict(X), rtol=1e-5)
    assert model.score(X, y, WEIGHTS) == pytest.approx(twin.score(X, y, WEIGHTS), rel=1e-6)
    assert model.score(X, y) == pytest.approx(twin.score(X, y), rel=1e-6)
    power = getattr(twin, "power", {"poisson": 1, "gamma": 2}.get(loss))
    assert model.score(X, y) == pytest.approx(
        d2_tweedie_score(y, model.predict(X), power=power), rel=1e-12
    )


@pytest.mark.plain
@each
def test_the_score_is_what_the_null_model_of_the_same_offsets_leaves(loss):
    y = targets_of(loss, 2.0 * Z)
    model = GDRegressor(loss, alpha=0.1).fit(X, y, WEIGHTS, offset=OFFSET)
    null = GDRegressor(loss, penalty=None, alpha=0.0, tol=1e-10, max_iter=3000)
    null.fit(np.zeros((120, 1)), y, WEIGHTS, offset=OFFSET)

    def deviance(scores):
        return np.average(list(map(loss.value, scores + OFFSET, y)), weights=WEIGHTS)

    expected = 1.0 - deviance(X @ model.coef_ + model.intercept_) / deviance(null.intercept_)
    assert model.score(X, y, WEIGHTS, offset=OFFSET) == pytest.approx(expected, rel=1e-9)
    shifted = loss.mean(X @ model.coef_ + model.intercept_ + OFFSET)
    np.testing.assert_allclose(model.predict(X, offset=OFFSET), shifted, rtol=1e-12)


def test_a_null_model_that_leaves_nothing():
    model = GDRegressor("poisson").fit(X, COUNTS)
    assert model.score(X, np.zeros(120)) == 0.0
    assert GDRegressor(Tweedie(0.0)).fit(X, COUNTS).score(X[:1], [3.0]) == 0.0


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 2.5, 3.0])
def test_the_score_does_not_depend_on_the_unit_of_the_targets(power, scale):
    """Inverse Gaussian amounts of 1e7 had a score of 0, as if their null model left nothing."""
    scores = (0.9 * Z + np.log(scale))[:, None]
    found = explained(Tweedie(power), scale * AMOUNTS, scores, WEIGHTS)
    means = np.exp(0.9 * Z)
    expected = d2_tweedie_score(AMOUNTS, means, sample_weight=WEIGHTS, power=power)
    assert found == pytest.approx(expected, rel=1e-9)
    if power in NAMES:
        named = Loss.named(NAMES[power])()
        assert explained(named, scale * AMOUNTS, scores, WEIGHTS) == pytest.approx(found, rel=1e-9)
    constant = np.full((120, 1), np.log(scale * AMOUNTS[0]))
    some = explained(Tweedie(power), np.full(120, scale * AMOUNTS[0]), constant + 0.1)
    assert some == 0.0


class Rates(Loss):
    """A user's Poisson loss, of the target's half deviance."""

    infimum = 0.0
    self_concordance = 1.0

    def value(self, prediction, target):
        return np.exp(prediction) - target - target * (prediction - np.log(max(target, 1e-300)))

    def derivative(self, prediction, target):
        return np.exp(prediction) - target

    def mean(self, predictions):
        return np.exp(predictions)


@pytest.mark.plain
def test_a_loss_of_ones_own_says_what_its_predictions_stand_for():
    y = COUNTS + 1.0
    own, ours = (
        GDRegressor(loss, alpha=0.01, tol=1e-10).fit(X, y) for loss in (Rates(), "poisson")
    )
    np.testing.assert_allclose(own.predict(X), ours.predict(X), rtol=1e-5)
    assert own.score(X, y) == pytest.approx(ours.score(X, y), rel=1e-8)


EXPOSURE = RNG.uniform(0.1, 3.0, 120)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("power", [1.0, 1.5, 1.9])
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_exposure_as_offset_and_as_weight(power, storage, solver):
    """Totals with the offset log e are rates of weight e^(2 - power), and alpha n / sum e^(2 -
    power).
    """
    total, part = EXPOSURE * COUNTS, EXPOSURE ** (2.0 - power)
    settings = {"solver": solver, "tol": 1e-11, "max_iter": 3000}
    given = storage(X)
    totals = GDRegressor(Tweedie(power), alpha=0.01, **settings)
    totals.fit(given, total, offset=np.log(EXPOSURE))
    rates = GDRegressor(Tweedie(power), alpha=0.01 * 120 / part.sum(), **settings)
    rates.fit(given, total / EXPOSURE, part)
    np.testing.assert_allclose(totals.coef_, rates.coef_, rtol=1e-4, atol=1e-6)
    assert totals.objective_ * 120 == pytest.approx(rates.objective_ * part.sum(), rel=1e-9)
    if power == 1.0:
        np.testing.assert_allclose(
            totals.predict(given, offset=np.log(EXPOSURE)),
            EXPOSURE * rates.predict(given),
            rtol=1e-4,
        )
        assert totals.score(given, total, offset=np.log(EXPOSURE)) == pytest.approx(
            rates.score(given, total / EXPOSURE, EXPOSURE), rel=1e-8
        )


@pytest.mark.thinned(plain=1, compiled=3)
@each
def test_offsets_in_chunks(loss):
    """Chunks with offsets take a model about as far as a fit to all rows does, dense or not."""
    y, offset = targets_of(loss, 2.0 * (Z + OFFSET)), OFFSET
    one, two = (GDRegressor(loss, random_state=0) for _ in range(2))
    for _ in range(6):
        one.partial_fit(X, y, WEIGHTS, offset=offset)
        two.partial_fit(sp.csr_array(X), y, WEIGHTS, offset=offset)
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-5, atol=1e-7)
    for _ in range(24):
        one.partial_fit(X, y, WEIGHTS, offset=offset)
    best = GDRegressor(loss, tol=1e-8, max_iter=3000).fit(X, y, WEIGHTS, offset=offset)
    reached = one.score(X, y, WEIGHTS, offset=offset)
    assert reached >= 0.9 * best.score(X, y, WEIGHTS, offset=offset)
    assert reached > one.score(X, y, WEIGHTS, offset=offset[::-1])
    with pytest.raises(ValueError, match="offset must have one entry for each of the 120 rows"):
        one.partial_fit(X, y, offset=offset[:5])


def test_offsets_of_squares_are_targets_less_the_offsets():
    one, two = (
        GDRegressor(solver="gd", batch_size=1, learning_rate="constant", random_state=0)
        for _ in range(2)
    )
    for _ in range(3):
        one.partial_fit(X, Z, offset=OFFSET)
        two.partial_fit(X, Z - OFFSET)
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-6, atol=1e-9)


def test_offsets_of_a_classifier_in_chunks_and_scores():
    labels = Z + 3.0 * OFFSET > 0.4
    model = GDClassifier(random_state=0)
    for _ in range(20):
        model.partial_fit(X, labels, classes=[False, True], offset=10.0 * OFFSET)
    assert model.score(X, labels, offset=10.0 * OFFSET) > model.score(X, labels)
    assert model.score(X, labels, WEIGHTS, 10.0 * OFFSET) == pytest.approx(
        np.average(model.predict(X, 10.0 * OFFSET) == labels, weights=WEIGHTS)
    )


def test_early_stopping_scores_by_deviance_with_the_offsets_of_its_rows():
    y = RNG.poisson(np.exp(Z + 3.0 * OFFSET)).astype(float)
    settings = {"loss": "poisson", "alpha": 0.01, "random_state": 0}
    held = GDRegressor(early_stopping=True, **settings).fit(X, y, offset=3.0 * OFFSET)
    assert held.score(X, y, offset=3.0 * OFFSET) > 0.5
    rows = {"X_val": X[:40], "y_val": y[:40]}
    model = GDRegressor(**settings)
    with pytest.raises(ValueError, match="offset_val needs X_val and y_val"):
        model.fit(X, y, offset_val=OFFSET)
    with pytest.raises(ValueError, match="offset_val must have one entry for each of the 40 rows"):
        model.fit(X, y, offset_val=OFFSET, **rows)
    model.fit(X[40:], y[40:], offset=3.0 * OFFSET[40:], offset_val=3.0 * OFFSET[:40], **rows)
    assert model.score(X, y, offset=3.0 * OFFSET) > 0.5
    for _ in range(5):
        model.partial_fit(
            X[40:], y[40:], offset=3.0 * OFFSET[40:], offset_val=3.0 * OFFSET[:40], **rows
        )
    assert model.best_validation_score_ > 0.4


def test_a_search_with_offsets_scores_with_them():
    y = RNG.poisson(np.exp(Z + 3.0 * OFFSET)).astype(float)
    search = GDRegressorCV("poisson", alphas=4, cv=3)
    search.fit(X, y, WEIGHTS, offset=3.0 * OFFSET)
    assert search.scores_.mean(axis=1).max() > 0.5
    assert search.score(X, y, WEIGHTS, offset=3.0 * OFFSET) == pytest.approx(
        search.best_estimator_.score(X, y, WEIGHTS, 3.0 * OFFSET)
    )
    assert search.score(X, y) < search.score(X, y, offset=3.0 * OFFSET)
    by_name = GDRegressorCV("poisson", alphas=4, cv=3, scoring="neg_mean_poisson_deviance")
    by_name.fit(X, y, offset=3.0 * OFFSET)
    assert by_name.scores_.mean(axis=1).max() > -2.0
    train = np.arange(120) >= 40
    alone = GDRegressor("poisson", alpha=by_name.alphas_[0]).fit(
        X[train], y[train], offset=3.0 * OFFSET[train]
    )
    mean = alone.predict(X[:40], offset=3.0 * OFFSET[:40])
    y = y[:40]
    deviance = 2.0 * np.mean(mean - y + y * np.log(np.where(y > 0, y / mean, 1.0)))
    assert by_name.scores_[0, 0] == pytest.approx(-deviance, rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("poisson", -1.0, r"y must be in \[0, inf\) for loss='poisson', got -1"),
        ("gamma", 0.0, r"y must be in \(0, inf\) for loss='gamma', got 0"),
        ("inverse_gaussian", 0.0, r"y must be in \(0, inf\) for loss='inverse_gaussian', got 0"),
        (Tweedie(1.5), -2.0, r"y must be in \[0, inf\) for loss='tweedie', got -2"),
        (Tweedie(2.5), 0.0, r"y must be in \(0, inf\) for loss='tweedie', got 0"),
        (NegativeBinomial(), -1.0, r"y must be in \[0, inf\) for loss='negative_binomial'"),
        ("binomial", 1.5, r"y must be in \[0, 1\] for loss='binomial', got 1.5"),
    ],
)
def test_targets_outside_the_domain(loss, y, message):
    targets = np.full(120, 0.5)
    targets[3:5] = y
    message += r".* \(first in row 3\)$"
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss).fit(X, targets)
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss).partial_fit(X, targets)
    with pytest.raises(ValueError, match=message):
        Objective(loss, X, targets)
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss).fit(X, np.linspace(0.2, 0.8, 120)).score(X, targets)


def test_a_mean_too_large_for_a_float_is_infinite():
    model = GDRegressor(Poisson()).fit(X, COUNTS)
    assert model.predict(X[:1], offset=[1e4])[0] == np.inf
