"""`positive`, `bounds` and `penalty_weights` of the estimators: what they find, on every way, and
what they refuse.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression

from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, Huber, Penalty
from fastgd.penalties.separable import L1
from fastgd.penalties.weighted import Weighted, weighted


def problem(n=90, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 0.5 * rng.normal(size=(n, 1)) + 1.0
    return X, X @ np.array([2.0, -1.0, 0.5, 0.0, 0.3, -0.2])[:d] + rng.normal(size=n)


TIGHT = {"tol": 1e-10, "max_iter": 20_000}


@pytest.mark.parametrize("sparse", [False, True])
def test_positive_is_that_of_scikit_learn(sparse):
    X, y = problem()
    given = sp.csr_array(X) if sparse else X
    pairs = [
        (GDRegressor(alpha=0.0, positive=True, **TIGHT), LinearRegression(positive=True)),
        (
            GDRegressor(penalty="l1", alpha=0.1, positive=True, **TIGHT),
            Lasso(alpha=0.1, positive=True, tol=1e-12, max_iter=100_000),
        ),
        (
            GDRegressor(penalty="elasticnet", l1_ratio=0.5, alpha=0.1, positive=True, **TIGHT),
            ElasticNet(alpha=0.1, positive=True, tol=1e-12, max_iter=100_000),
        ),
    ]
    for own, theirs in pairs:
        np.testing.assert_allclose(own.fit(given, y).coef_, theirs.fit(X, y).coef_, atol=1e-7)
        assert own.bound_kind_ == "proof"


def test_weights_are_columns_on_another_scale():
    """A weight of an L1 part is the inverse of a column's unit, that of an L2 part its square."""
    X, y = problem()
    weights = np.array([0.5, 2.0, 1.0, 4.0, 0.25, 1.0])
    for penalty, power in (("l1", 1.0), ("l2", 0.5)):
        own = GDRegressor(penalty=penalty, alpha=0.1, penalty_weights=weights, **TIGHT).fit(X, y)
        scaled = GDRegressor(penalty=penalty, alpha=0.1, **TIGHT).fit(X / weights**power, y)
        np.testing.assert_allclose(own.coef_, scaled.coef_ / weights**power, atol=1e-7)
        assert own.objective_ == pytest.approx(scaled.objective_, rel=1e-10)


def test_0_is_without_a_penalty_and_infinity_without_the_column():
    X, y = problem()
    weights = np.array([0.0, 1.0, np.inf, 1.0, 1.0, np.inf])
    kept = np.isfinite(weights)
    own = GDRegressor(penalty="l1", alpha=0.05, penalty_weights=weights, **TIGHT).fit(X, y)
    part = GDRegressor(penalty="l1", alpha=0.05, penalty_weights=weights[kept], **TIGHT)
    assert (own.coef_[~kept] == 0.0).all()
    np.testing.assert_allclose(own.coef_[kept], part.fit(X[:, kept], y).coef_, atol=1e-8)
    strong = GDRegressor(penalty="l1", alpha=1e3, penalty_weights=weights, **TIGHT).fit(X, y)
    alone = LinearRegression().fit(X[:, :1], y)
    np.testing.assert_allclose(strong.coef_, np.r_[alone.coef_, np.zeros(5)], atol=1e-8)


SOLVERS = [
    {"solver": name} for name in ("gd", "momentum", "nesterov", "adam", "saga", "svrg", "newton")
]
STEPS = [
    {"solver": "gd", "learning_rate": "constant", "eta0": 1e-3, "batch_size": 8, "average": True},
    {"solver": "adam", "learning_rate": "constant", "eta0": 1e-2, "batch_size": 8},
    {"solver": "gd", "learning_rate": "line_search", "batch_size": "full"},
]


@pytest.mark.plain
@pytest.mark.parametrize("how", SOLVERS + STEPS, ids=str)
@pytest.mark.filterwarnings("ignore:.*:fastgd.ConvergenceWarning")
def test_bounds_hold_exactly_on_every_way(how):
    X, y = problem()
    weights = np.array([0.0, 1.0, np.inf, 1.0, 1.0, 2.0])
    high = np.array([0.7, np.inf, 1.0, 0.1, 0.3, 0.3])
    given = {"bounds": (-0.3, high), "penalty_weights": weights, "alpha": 0.1, "penalty": "l1"}
    best = GDRegressor(**given, **TIGHT).fit(X, y)
    tol = 1e-6 if how in SOLVERS else 1e-4
    model = GDRegressor(**given, **how, tol=tol, max_iter=500, random_state=0).fit(X, y)
    assert model.coef_[2] == 0.0
    assert (model.coef_ >= -0.3).all()
    assert (model.coef_ <= high).all()
    if how in SOLVERS:
        assert model.objective_ <= best.objective_ * (1.0 + 1e-5)


def test_losses_without_a_derivative_and_several_classes():
    X, y = problem()
    labels = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    model = GDClassifier(positive=True, alpha=0.01).fit(X, labels)
    assert model.coef_.shape == (3, 6)
    assert model.coef_.min() == 0.0
    assert model.bound_kind_ == "proof"
    # What shifts all scores alike is not taken out where it would leave the bounds.
    assert GDClassifier(positive=True, alpha=0.0).fit(X, labels).coef_.min() >= 0.0
    hinge = GDClassifier("hinge", positive=True, alpha=0.01).fit(X, labels > 0)
    assert hinge.coef_.min() >= 0.0
    assert hinge.bound_kind_ == "proof"
    assert hinge.converged_
    robust = GDRegressor(Huber(0.5), alpha=0.01, bounds=(0.1, 1.0)).fit(X, y)
    assert robust.coef_.min() == 0.1


def test_columns_that_make_up_each_other():
    """Levels of a category beside an intercept: no proof without a penalty, and no warning."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 6, 300)
    X = np.hstack([np.eye(6)[levels], rng.normal(size=(300, 2))])
    y = np.sin(levels) + X[:, 6] + rng.normal(size=300)
    model = GDRegressor(alpha=0.0, positive=True, tol=1e-8).fit(X, y)
    best = LinearRegression(positive=True).fit(X, y)
    assert model.objective_ <= 0.5 * np.mean((y - best.predict(X)) ** 2) * (1.0 + 1e-12)
    assert model.bound_kind_ == "estimate"
    labels = (y > 0.5).astype(int)
    weights = np.r_[np.zeros(6), 1.0, 1.0]
    GDClassifier(penalty="l1", alpha=0.01, penalty_weights=weights, tol=1e-6).fit(X, labels)


@pytest.mark.filterwarnings("ignore:.*:fastgd.ConvergenceWarning")
def test_chunks():
    X, y = problem()
    model = GDRegressor(positive=True, penalty_weights=[1.0, np.inf, 1.0, 1.0, 1.0, 1.0])
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.coef_.min() >= 0.0
    assert model.coef_[1] == 0.0
    with pytest.raises(ValueError, match="penalty_weights must have one number for each of the 5"):
        GDRegressor(penalty_weights=np.ones(6)).partial_fit(X[:, :5], y)


def test_along_paths():
    X, y = problem()
    weights = np.array([0.0, 1.0, np.inf, 1.0, 1.0, 1.0])
    search = GDRegressorCV(penalty="l1", alphas=8, penalty_weights=weights, bounds=(-1.0, 0.8))
    search.fit(X, y)
    assert search.l1_ratio_ == 1.0
    strongest = GDRegressor(
        penalty="l1",
        alpha=search.alphas_[0],
        penalty_weights=weights,
        bounds=(-1.0, 0.8),
        tol=1e-10,
    ).fit(X, y)
    assert search.coef_[2] == 0.0
    assert search.coef_.max() <= 0.8
    assert np.flatnonzero(strongest.coef_).size <= 2
    labels = (y > np.median(y)).astype(int)
    ridge = GDClassifierCV(alphas=5, positive=True, cv=3).fit(X, labels)
    assert ridge.coef_.min() >= 0.0
    with pytest.raises(ValueError, match="pass an array of alphas"):
        GDRegressorCV(penalty=None, positive=True, alphas=5).fit(X, y)


class Own(Penalty):
    def value(self, coefficient, j):
        return coefficient**4

    def derivative(self, coefficient, j):
        return 4.0 * coefficient**3


WRONG = [
    ({"positive": 1}, "positive must be True or False, got 1"),
    ({"bounds": 3.0}, "bounds must be a pair .low, high.,.* got 3.0"),
    *(
        ({"bounds": [(0.0, 1.0)] * size}, r"a tuple \(low, high\), not a list of pairs")
        for size in (2, 6)
    ),
    ({"bounds": (1.0, 0.0)}, "bounds must be numbers low <= high, got low=1 and high=0"),
    ({"bounds": (0.0, [1.0, 1.0, -2.0, 1.0, 1.0, 1.0])}, "low=0 and high=-2 for feature 2"),
    ({"bounds": (np.nan, 1.0)}, "bounds must be numbers"),
    ({"bounds": (np.inf, np.inf)}, "bounds must be numbers"),
    ({"bounds": ("a", 1.0)}, "bounds must be a number or one"),
    ({"bounds": (-2.0, -1.0), "positive": True}, "low=0 and high=-1 with positive=True"),
    ({"bounds": (-1, 0), "positive": True}, r"bounds=\(-1, 0\) and positive=True leave no coef"),
    ({"bounds": (np.zeros(5), 1.0)}, "bounds must have one number for each of the 6 .*, got 5"),
    ({"bounds": (np.zeros(5), np.ones(6))}, "bounds hold 5 low ends and 6 high ends"),
    ({"penalty_weights": np.ones(5)}, "penalty_weights must have one .* the 6 features.*, got 5"),
    ({"penalty_weights": [1, 1, 1, 1, 1, -2]}, "must not be negative or NaN, got -2 for feature 5"),
    ({"penalty_weights": [1, 1, 1, 1, 1, np.nan]}, "penalty_weights must not be negative or NaN"),
    ({"penalty_weights": "many"}, "penalty_weights must be a number or one"),
    ({"penalty_weights": np.ones((2, 3))}, "penalty_weights must be a number or one"),
    (
        {"penalty_weights": np.ones(6), "bounds": (np.zeros(5), 1.0)},
        "as many as X has features, got 6 weights and bounds of 5",
    ),
    (
        {"penalty_weights": [1, np.inf, 1, 1, 1, 1], "bounds": (0.5, 1.0)},
        r"penalty_weights\[1\] is infinite, so coefficient 1 is 0, which bounds",
    ),
    ({"positive": True, "penalty": Own()}, "positive goes with penalty 'l2', 'l1'"),
    ({"positive": True, "solver": "sdca"}, "sdca.*needs a penalty with an L2 part"),
    ({"positive": True, "solver": "lbfgs"}, "lbfgs.*needs a loss and a penalty with derivatives"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_refused(given, message):
    X, y = problem()
    with pytest.raises(ValueError, match=message):
        GDRegressor(**given).fit(X, y)


def test_what_reports_say():
    X, y = problem()
    model = GDRegressor(positive=True).fit(X, y)
    with pytest.raises(ValueError, match="penalty=an elastic net with bounds; coefficients"):
        model.summary(X, y)


def test_nothing_given_is_nothing_changed():
    net = L1()
    assert weighted(net) is net
    assert repr(weighted(net, positive=True)) == "an elastic net with bounds"
    assert isinstance(weighted(net, penalty_weights=[1.0, 2.0]), Weighted)
