"""Paths of alphas and the searches along them: the same as fitting and scoring one by one."""

import copy
import pickle
import threading

import numba
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import threadpoolctl
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import get_scorer, make_scorer, max_error, mean_pinball_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgd import (
    L1,
    ConvergenceWarning,
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    GDRegressorCV,
    GroupLasso,
    Quantile,
    from_chunks,
)
from fastgd.losses.base import Loss
from fastgd.losses.deviances import Tweedie
from fastgd.model_selection import alpha_grid as alpha_grids
from fastgd.model_selection.alpha_grid import alpha_grid
from fastgd.model_selection.alpha_path import fit_path
from fastgd.model_selection.base import score_name
from fastgd.model_selection.cross_validate import choose
from fastgd.objective import distances, null_model
from fastgd.runtime.threads import count_threads
from support.twins import members, targets_of

# At alphas of 7e-6 pairs of past Newton steps let rounding grow to 5e-8 of a prediction on the way
# to tol=1e-4; at the optimum it is gone.
SMALL = [GDClassifierCV(alphas=2, cv=2, tol=1e-8), GDRegressorCV(alphas=[1.0, 0.1], cv=2)]


def test_a_column_of_targets_is_warned_of_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    with pytest.warns(DataConversionWarning) as told:
        GDClassifierCV(alphas=2, cv=2).fit(X, X[:, :1] + rng.normal(size=(40, 1)) > 0.0)
    assert sum(one.category is DataConversionWarning for one in told) == 1


def test_a_score_that_is_no_number_is_told():
    """One in one fold took its alpha, the best, out of the choice without a word."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, 2.0]

    def score(model, X, y):
        return np.nan if model.alpha < 0.1 and X[0, 0] == X_first else model.score(X, y)

    X_first = X[0, 0]  # held out in the first fold
    said = "1 of 6 scores are not finite, in 1 of 2 folds, first in fold 0: 1 of 3 alphas"
    with pytest.warns(UserWarning, match=said):
        search = GDRegressorCV(alphas=[1.0, 0.5, 0.01], cv=KFold(2), scoring=score).fit(X, y)
    assert search.alpha_ == 0.5


def test_splitters_and_scorers_of_ones_own_get_frames():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"], index=range(100, 140))
    y = rng.normal(size=40)

    class Halves(KFold):
        def split(self, X, y=None, groups=None):
            low = X["a"].to_numpy() < X["a"].median()
            yield np.flatnonzero(low), np.flatnonzero(~low)
            yield np.flatnonzero(~low), np.flatnonzero(low)

    def score(model, X, y):
        return -np.abs(model.predict(X) - y)[X["b"] > 0.0].mean()

    search = GDRegressorCV(alphas=[1.0, 0.1, 0.01], cv=Halves(2), scoring=score).fit(X, y)
    same = GridSearchCV(GDRegressor(), {"alpha": search.alphas_}, cv=Halves(2), scoring=score)
    found = same.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_allclose(search.scores_.mean(axis=1), found, rtol=1e-3)
    with pytest.raises(ValueError, match="fold 1 of cv names rows that there are not: index 400"):
        GDRegressorCV(alphas=2, cv=[([0, 1, 2], [3, 4]), ([0, 1], [400])]).fit(X, y)


def test_a_scorer_that_calls_score():
    """A scorer gets the chosen model. It was handed the search, whose score it is, and never came
    to an end.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    search = GDRegressorCV(alphas=2, scoring=lambda model, X, y: model.score(X, y)).fit(X, y)
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    shift = np.linspace(0.0, 1.0, 40)
    assert search.score(X, y, offset=shift) == search.best_estimator_.score(X, y, offset=shift)
    unfit = GDRegressorCV(alphas=2, refit=False).fit(X, y)
    for call in (
        lambda: unfit.score(X, y),
        lambda: unfit.predict(X),
        unfit.coefficients,
        unfit.sparsify,
        lambda: unfit.best_estimator_,
    ):
        with pytest.raises(AttributeError, match="refit=False and has no model"):
            call()
    with pytest.raises(AttributeError, match="no attribute 'coeff_'"):
        search.coeff_  # noqa: B018


@parametrize_with_checks(SMALL)
@pytest.mark.thinned(plain=6, compiled=1)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_scikit_learn_check(estimator, check):
    check(estimator)


def table(n=90, d=6, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.logspace(0, 1, d)
    z = X @ rng.standard_normal(d) / 5.0 + rng.standard_normal(n)
    return X, (
        z if classes == 0 else np.digitize(z, np.quantile(z, np.arange(1, classes) / classes))
    )


CASES = [
    (GDClassifier(), 2),
    (GDClassifier(), 3),
    (GDClassifier(penalty="elasticnet", l1_ratio=0.5), 2),
    (GDRegressor(loss="huber", epsilon=1.0), 0),
]
WIDE = [
    (GDClassifier(loss="squared_hinge"), 2),
    (GDClassifier(loss="hinge"), 2),
    (GDClassifier(fit_intercept=False), 2),
    (GDClassifier(solver="lbfgs"), 2),
    (GDRegressor(), 0),
    (GDRegressor(penalty="l1"), 0),
]


@pytest.mark.parametrize(("estimator", "classes"), CASES + WIDE * bool(numba.config.DISABLE_JIT))
def test_a_path_equals_independent_cold_fits(estimator, classes):
    X, y = table(classes=classes)
    tol = 1e-3 if estimator.loss == "hinge" else 1e-6
    estimator = clone(estimator).set_params(tol=tol, random_state=0)
    alphas = alpha_grid(estimator, X, y, 6)
    for alpha, model in zip(alphas, fit_path(estimator, X, y, alphas), strict=True):
        cold = clone(estimator).set_params(alpha=alpha).fit(X, y)
        assert model.alpha == alpha
        assert model.converged_
        assert model.suboptimality_ <= tol
        np.testing.assert_allclose(model.objective_, cold.objective_, rtol=2.0 * tol)
        scale = np.abs(cold.coef_).max() + 1e-3
        np.testing.assert_allclose(model.coef_, cold.coef_, atol=20.0 * np.sqrt(tol) * scale)


NOT_CONVEX = [loss for loss in members(Loss) if not loss.convex and loss.smooth]


@pytest.mark.parametrize("loss", [*NOT_CONVEX, Tweedie(3.0)], ids=lambda loss: loss.name)
def test_a_path_of_a_loss_that_is_not_convex_ends(loss):
    """No bound is proved of it, and each alpha but the first had run to `max_iter`."""
    X, z = table(n=60, d=3, classes=0)
    y = targets_of(loss, 0.3 * z)
    for model in fit_path(GDRegressor(loss, max_iter=60), X, y, [1.0, 0.1, 0.01]):
        cold = GDRegressor(loss, alpha=model.alpha, tol=1e-8).fit(X, y)
        assert model.converged_
        assert model.bound_kind_ == "estimate"
        assert model.objective_ == pytest.approx(cold.objective_, rel=1e-3)


@pytest.mark.parametrize("loss", ["log_loss", *["squared_hinge"] * bool(numba.config.DISABLE_JIT)])
def test_what_a_path_tells_is_no_less_than_the_truth(loss):
    X, y = table(n=150, d=8)
    for tol in (1e-2, 1e-4):
        estimator = GDClassifier(loss, tol=tol)
        for model in fit_path(estimator, X, y, alpha_grid(estimator, X, y, 12)):
            exact = GDClassifier(loss, alpha=model.alpha, tol=1e-9).fit(X, y)
            told = model.suboptimality_ * exact.objective_
            assert model.objective_ - exact.objective_ <= 1.001 * told + 1e-9 * exact.objective_
            assert model.bound_kind_ in ("proof", "estimate")


@pytest.mark.parametrize("given", [{"tol": 1e-3}, {"tol": None, "max_iter": 3}])
@pytest.mark.filterwarnings("ignore::fastgd.ConvergenceWarning")
def test_a_matrix_of_a_sample_proves_nothing_of_all_rows(given):
    """A squared loss has one matrix, which a batch that grows takes from a sample: of a column that
    is rarely nonzero that knows little.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 4))
    X[:, 0] = 30.0 * (rng.random(5000) < 0.002)
    y = X @ np.array([3.0, 1.0, 1.0, 1.0]) + rng.standard_normal(5000)
    Z, centred = X - X.mean(axis=0), y - y.mean()
    growing = GDRegressor(solver="newton", batch_size="growing", random_state=0, **given)
    for model in fit_path(growing, X, y, [1.0, 0.3, 0.1]):
        best = np.linalg.solve(Z.T @ Z / 5000 + model.alpha * np.eye(4), Z.T @ centred / 5000)
        F, lowest = (
            0.5 * np.mean((centred - Z @ w) ** 2) + 0.5 * model.alpha * w @ w
            for w in (model.coef_, best)
        )
        if model.bound_kind_ == "proof":
            assert F - lowest <= model.suboptimality_ * model.objective_ * 1.01 + 1e-12


def test_a_path_takes_fewer_passes_than_cold_fits():
    X, y = table(n=150, d=8)
    estimator = GDClassifier(tol=1e-6)
    alphas = alpha_grid(estimator, X, y, 20)
    warm = sum(model.history_["passes"][-1] for model in fit_path(estimator, X, y, alphas))
    cold = sum(
        GDClassifier(alpha=alpha, tol=1e-6).fit(X, y).history_["passes"][-1] for alpha in alphas
    )
    assert warm < 0.5 * cold


@pytest.mark.parametrize("penalty", ["elasticnet", "l2"])
def test_what_no_alpha_changes_is_measured_once(penalty, monkeypatch):
    """The null model of counts took a fifth of each fit of a path."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = rng.poisson(np.exp(X[:, 0])).astype(np.float64)
    asked, best_shift = [], null_model.best_shift
    monkeypatch.setattr(null_model, "best_shift", lambda F: asked.append(1) or best_shift(F))
    estimator = GDRegressor("poisson", penalty=penalty, n_jobs=1, tol=1e-8)
    models = list(fit_path(estimator, X, y, [0.3, 0.1, 0.03, 0.01]))
    assert len(asked) == 1
    for model in models:
        cold = clone(estimator).set_params(alpha=model.alpha).fit(X, y)
        assert model.objective_ == pytest.approx(cold.objective_, rel=1e-7)


def test_what_most_rows_curve_by_is_measured_once(monkeypatch):
    X = np.random.default_rng(0).standard_normal((30, 60))
    asked, measure = [], distances._curvature_met
    monkeypatch.setattr(distances, "_curvature_met", lambda F: asked.append(1) or measure(F))
    list(fit_path(GDRegressor("huber", n_jobs=1), X, X[:, 0] + X[:, 1], [0.1, 0.03, 0.01]))
    assert len(asked) == 1


def test_dense_and_sparse_rows_and_threads_give_one_path():
    X, y = table(classes=3)
    X[np.abs(X) < 0.3] = 0.0
    estimator = GDClassifier(tol=1e-9)
    alphas = alpha_grid(estimator, X, y, 3)
    np.testing.assert_array_equal(alphas, alpha_grid(estimator, sp.csr_array(X), y, 3, n_threads=2))
    paths = [
        list(fit_path(estimator, rows, y, alphas, n_threads=n_threads))
        for rows, n_threads in ((X, 1), (X, 3), (sp.csr_array(X), 1))
    ]
    for one, three, sparse in zip(*paths, strict=True):
        np.testing.assert_array_equal(one.coef_, three.coef_)
        np.testing.assert_allclose(one.coef_, sparse.coef_, rtol=1e-3, atol=1e-5)


def test_alphas_are_computed_on_one_thread_of_blas(monkeypatch):
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
    seen: list = []
    own = alpha_grids._largest

    def looked_at(fits, k):
        seen.extend(library["num_threads"] for library in blas.info())
        return own(fits, k)

    monkeypatch.setattr(alpha_grids, "_largest", looked_at)
    X, y = table(classes=2)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        alpha_grid(GDClassifier(), X, y, 3)
    assert set(seen) <= {1}


@pytest.mark.parametrize(("kind", "classes"), [(GDClassifier, 3), (GDRegressor, 0)])
def test_the_largest_alpha_is_the_smallest_without_a_nonzero_coefficient(kind, classes):
    X, y = table(classes=classes)
    estimator = kind(penalty="elasticnet", l1_ratio=0.3, tol=1e-8)
    largest = alpha_grid(estimator, X, y, 2)[0]
    assert not clone(estimator).set_params(alpha=1.0001 * largest).fit(X, y).coef_.any()
    assert clone(estimator).set_params(alpha=0.99 * largest).fit(X, y).coef_.any()


HALF = {"penalty": "elasticnet", "l1_ratio": 0.5, "penalty_weights": [0, 1, 2, 0, 1, np.inf]}


@pytest.mark.parametrize("kind", [GDRegressor, GDClassifier])
@pytest.mark.parametrize(
    "given",
    [
        HALF,
        {**HALF, "bounds": (-0.05, 0.3)},
        {"penalty": "l1", "bounds": ([-2.0, -2.0, -2.0, -2.0, 0.2, -2.0], 2.0)},
        {**HALF, "P2": np.diag([0.0, 1, 1, 0, 2, 1])},
        {"penalty": GroupLasso([[0, 3], [1, 5], [2], [4]], [0.0, 1.0, 2.0, 1.0])},
    ],
    ids=["weights", "and bounds", "bounds without 0", "P2", "groups"],
)
def test_grids_begin_where_columns_without_a_penalty_have_what_they_take(kind, given):
    """At the null model the derivative of a column that goes with one of these began a grid at 700
    times the alpha that matters.
    """
    X, y = table(n=80, d=6, classes=0 if kind is GDRegressor else 3)
    X[:, 1] = X[:, 0] + 0.5 * X[:, 1]
    y = y + 5.0 * X[:, 0] if kind is GDRegressor else y
    estimator = kind(**given, tol=1e-9)
    largest = alpha_grid(estimator, X, y, 2)[0]
    low, high = estimator._components()[1].limit(6)

    def moved(share):
        coef = clone(estimator).set_params(alpha=share * largest).fit(X, y).coef_
        return (np.atleast_2d(coef) != low)[:, low == high].any()

    assert not moved(1.0001)
    assert moved(0.99)


def test_a_grid_of_l2_leaves_one_percent_of_what_columns_without_a_penalty_leave():
    X, y = table(n=80, d=6, classes=0)
    y = y + 30.0 * X[:, 0]
    estimator = GDRegressor(penalty_weights=[0.0, 1, 1, 1, 1, 1], tol=1e-9)
    largest = alpha_grid(estimator, X, y, 2)[0]
    only = GDRegressor(alpha=0.0, tol=1e-9).fit(X[:, :1], y).objective_
    best = clone(estimator).set_params(alpha=largest).fit(X, y).objective_
    assert 0.99 * only <= best < 0.9999 * only


def test_the_largest_alpha_of_l2_leaves_at_most_one_percent_to_gain():
    X, y = table()
    estimator = GDClassifier(tol=1e-8)
    alphas = alpha_grid(estimator, X, y, 30)
    np.testing.assert_allclose(alphas[[0, -1]] / alphas[0], [1.0, 1e-6])
    constant = GDClassifier(alpha=1e9, tol=1e-8).fit(X, y).objective_
    best = clone(estimator).set_params(alpha=alphas[0]).fit(X, y).objective_
    assert 0.99 * constant <= best < 0.9999 * constant


def test_a_fold_without_a_class_knows_the_weights_of_the_others():
    X, y = table(classes=2)
    y = np.where(np.arange(90) < 20, 2, y)
    splits = [(np.arange(20, 90), np.arange(20))]
    given = {"class_weight": {0: 1.0, 1: 2.0, 2: 3.0}, "alphas": [0.1], "cv": splits}
    assert GDClassifierCV(**given).fit(X, y).scores_ == 0.0
    given["class_weight"] = {0: 1.0, 3: 2.0}
    with pytest.raises(ValueError, match=r"class_weight names \[3\]"):
        GDClassifierCV(**given).fit(X, y)


@pytest.mark.parametrize("kind", [GDClassifierCV, GDRegressorCV])
def test_a_fold_that_scores_rows_without_weight_is_named(kind):
    X, y = table()
    weights = np.where((np.arange(90) >= 30) & (np.arange(90) < 60), 0.0, 1.0)
    cv = KFold(3)
    with pytest.raises(ValueError, match="fold 1 of cv scores 30 rows that all have weight 0"):
        kind(alphas=[0.1], cv=cv).fit(X, y, weights)


def test_a_target_that_is_constant_still_has_a_grid():
    X, _ = table()
    assert np.isfinite(GDRegressorCV(alphas=3, cv=2).fit(X, np.ones(len(X))).alphas_).all()


@pytest.mark.parametrize(
    ("search", "cv", "scoring"),
    [
        (GDClassifierCV(), StratifiedKFold(3), None),
        (GDClassifierCV(penalty="l1"), ShuffleSplit(2, random_state=0), "neg_log_loss"),
        (GDRegressorCV(), 3, "neg_mean_squared_error"),
    ],
)
def test_scores_are_those_of_cross_val_score(search, cv, scoring):
    X, y = table(classes=2 if isinstance(search, GDClassifier) else 0)
    search = clone(search).set_params(alphas=4, cv=cv, scoring=scoring, tol=1e-9).fit(X, y)
    assert search.alphas_.shape == (4,)
    for alpha, scores in zip(search.alphas_, search.scores_, strict=True):
        one = clone(search.best_estimator_).set_params(alpha=alpha)
        np.testing.assert_allclose(
            scores, cross_val_score(one, X, y, cv=cv, scoring=scoring), atol=1e-4
        )
    assert search.alpha_ == search.alphas_[search.scores_.mean(axis=1).argmax()]
    assert search.score(X, y) == get_scorer(scoring or "accuracy")(search.best_estimator_, X, y)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (Quantile(0.9), "share of the loss"),
        ("poisson", "share of the deviance"),
        ("huber", "r2"),
    ],
)
def test_a_loss_says_whether_searches_go_by_it(loss, name):
    assert score_name(GDRegressorCV(loss)) == name


def test_quantiles_are_chosen_by_their_loss():
    """R^2 chooses the largest alpha here, whose predictions are nearest to the mean."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.0, 1.0, (200, 2))
    y = (0.2 + 3.0 * X[:, 1]) * rng.standard_normal(200)  # the mean is the same everywhere
    loss, folds = Quantile(0.7), KFold(2)
    settings = {"alphas": [1.0, 1e-2], "cv": folds, "tol": 1e-6}
    search = GDRegressorCV(loss, **settings).fit(X, y)
    for k, (train, test) in enumerate(folds.split(X)):
        for alpha, scores in zip(search.alphas_, search.scores_, strict=True):
            model = GDRegressor(loss, alpha=alpha, tol=1e-6).fit(X[train], y[train])
            own = mean_pinball_loss(y[test], model.predict(X[test]), alpha=0.7)
            null = min(mean_pinball_loss(y[test], np.full(100, t), alpha=0.7) for t in y[test])
            assert scores[k] == pytest.approx(1.0 - own / null, abs=1e-4)
    by_squares = GDRegressorCV(loss, scoring="r2", **settings).fit(X, y)
    assert search.alpha_ < by_squares.alpha_
    assert search.score(X, y) == search.best_estimator_._explained(
        search.best_estimator_._linear(X), y, None, None
    )


def test_the_refitted_model_is_that_of_the_chosen_alpha():
    X, y = table(classes=3)
    search = GDClassifierCV(alphas=4, cv=3).fit(X, y)
    model = GDClassifier(alpha=search.alpha_).fit(X, y)
    np.testing.assert_array_equal(search.coef_, model.coef_)
    np.testing.assert_array_equal(search.best_estimator_.coef_, model.coef_)
    for method in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        np.testing.assert_array_equal(getattr(search, method)(X), getattr(model, method)(X))
    assert search.n_iter_ == model.n_iter_
    assert search.bound_kind_ == "proof"
    assert not hasattr(GDClassifierCV(loss="hinge"), "predict_proba")


def test_without_refit_there_are_scores_and_no_model():
    X, y = table()
    search = GDClassifierCV(alphas=3, cv=2).fit(X, y)
    search.set_params(refit=False).fit(X, y)
    assert search.scores_.shape == (3, 2)
    for name in ("coef_", "best_estimator_", "n_iter_"):
        assert not hasattr(search, name)
    with pytest.raises(AttributeError, match="refit=False"):
        search.predict(X)


def test_shares_of_the_l1_part():
    X, y = table()
    shape = {"alphas": 3, "cv": 2, "penalty": "elasticnet"}
    search = GDClassifierCV(l1_ratios=[0.2, 0.9], **shape).fit(X, y)
    assert search.scores_.shape == (2, 3, 2)
    assert search.alphas_.shape == (2, 3)
    for scores, alphas, ratio in zip(search.scores_, search.alphas_, (0.2, 0.9), strict=True):
        alone = GDClassifierCV(l1_ratio=ratio, **shape).fit(X, y)
        assert alone.l1_ratio_ == ratio
        np.testing.assert_array_equal(alone.alphas_, alphas)
        np.testing.assert_allclose(alone.scores_, scores)
    p, k = np.unravel_index(search.scores_.mean(axis=2).argmax(), (2, 3))
    assert (search.l1_ratio_, search.alpha_) == ((0.2, 0.9)[p], search.alphas_[p, k])
    assert search.best_estimator_.l1_ratio == search.l1_ratio_
    assert GDClassifierCV(alphas=2, cv=2).fit(X, y).l1_ratio_ == 0.0
    assert GDClassifierCV(alphas=2, cv=2, penalty=L1()).fit(X, y).l1_ratio_ == 1.0


def test_one_standard_error_is_the_largest_alpha_near_the_best():
    scores = np.array([[[0.1, 0.3], [0.6, 0.7], [0.6, 0.9], [0.5, 0.6]]])
    assert choose(scores, False) == (0, 2)
    assert choose(scores, True) == (0, 1)
    assert choose(np.array([[[0.5], [0.5]], [[0.2], [np.nan]]]), False) == (0, 0)
    with pytest.raises(ValueError, match="finite mean score"):
        choose(np.full((1, 2, 2), np.nan), False)
    X, y = table(seed=3)
    loose, best = (
        GDClassifierCV(one_standard_error=se, alphas=10).fit(X, y) for se in (True, False)
    )
    np.testing.assert_array_equal(loose.scores_, best.scores_)
    means = best.scores_.mean(axis=-1)
    error = best.scores_[means.argmax()].std(ddof=1) / np.sqrt(best.scores_.shape[-1])
    assert best.alpha_ == best.alphas_[means.argmax()]
    assert loose.alpha_ == best.alphas_[means >= means.max() - error].max()
    assert loose.alpha_ > best.alpha_


@pytest.mark.parametrize(("kind", "classes"), [(GDClassifierCV, 2), (GDRegressorCV, 0)])
def test_weights_are_repeats_in_fits_and_scores(kind, classes):
    X, y = table(n=80, classes=classes)
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    first = np.arange(len(y)) < 40
    again = np.repeat(np.arange(len(y)), counts)

    def splits(half):
        index = np.arange(len(half))
        return [(index[half], index[~half]), (index[~half], index[half])]

    shape = {"alphas": 4, "tol": 1e-9}
    weighted = kind(cv=splits(first), **shape).fit(X, y, sample_weight=counts)
    repeated = kind(cv=splits(first[again]), **shape).fit(X[again], y[again])
    np.testing.assert_allclose(weighted.alphas_, repeated.alphas_)
    np.testing.assert_allclose(weighted.scores_, repeated.scores_, atol=1e-5)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-3, atol=1e-5)
    assert weighted.score(X, y, counts) == pytest.approx(
        repeated.score(X[again], y[again]), abs=1e-5
    )


def test_a_fold_that_draws_rows_twice_counts_them_twice():
    X, y = table()
    train = np.r_[np.arange(50), np.arange(30)]
    test = np.arange(50, 90)
    search = GDClassifierCV(alphas=[0.1], cv=[(train, test)], tol=1e-9).fit(X, y)
    model = GDClassifier(alpha=0.1, tol=1e-9).fit(X[train], y[train])
    assert search.scores_[0, 0] == pytest.approx(model.score(X[test], y[test]))


def test_groups_and_masks_make_folds():
    X, y = table()
    groups = np.arange(len(y)) % 4
    search = GDClassifierCV(alphas=2, cv=GroupKFold(4)).fit(X, y, groups=groups)
    assert search.scores_.shape == (2, 4)
    masks = [(groups != g, groups == g) for g in range(4)]
    by_masks = GDClassifierCV(alphas=2, cv=masks).fit(X, y)
    assert sorted(by_masks.scores_[0]) == pytest.approx(sorted(search.scores_[0]))


def test_labels_that_a_fold_does_not_see():
    X, y = table(classes=3)
    order = np.argsort(y, kind="stable")
    search = GDClassifierCV(alphas=2, cv=KFold(3)).fit(X[order], y[order])
    assert (search.scores_ == 0.0).all()
    assert search.coef_.shape[0] == 3
    X, y = table(classes=2)
    order = np.argsort(y, kind="stable")
    with pytest.raises(ValueError, match=r"fold . .* cannot be fitted.*1 class"):
        GDClassifierCV(alphas=[0.1], cv=KFold(2)).fit(X[order], y[order])


def test_threads_change_nothing_and_are_no_more_than_asked():
    X, y = table(classes=3)
    most = count_threads(3)
    models = []
    for asked, wanted in ((1, 1), (1, 1), (3, most)):
        seen, together = set(), threading.Barrier(wanted)

        def score(model, X, y, seen=seen, together=together):
            if threading.get_ident() not in seen:
                seen.add(threading.get_ident())
                together.wait(60.0)  # an error where there are fewer threads
            return model.score(X, y)

        models.append(GDClassifierCV(alphas=3, cv=4, scoring=score, n_jobs=asked).fit(X, y))
        assert len(seen) == wanted
    one, two, three = models
    np.testing.assert_array_equal(one.scores_, three.scores_)
    np.testing.assert_array_equal(one.coef_, three.coef_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_metadata_routing():
    X, y = table()
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    plain = GDClassifierCV(alphas=3, cv=3).fit(X, y, weights)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = GDClassifierCV(alphas=3, cv=3, n_jobs=2).fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(routed.scores_, plain.scores_)
        without = get_scorer("accuracy").set_score_request(sample_weight=False)
        unweighted = GDClassifierCV(alphas=3, cv=3, scoring=without).fit(
            X, y, sample_weight=weights
        )
        assert (unweighted.scores_ != plain.scores_).any()
        groups = np.arange(len(y)) % 3
        grouped = GDClassifierCV(alphas=3, cv=GroupKFold(3)).fit(X, y, groups=groups)
        assert grouped.scores_.shape == (3, 3)
        asks = (
            GDClassifierCV(alphas=2, cv=2)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True)
        )
        outer = GridSearchCV(asks, {"loss": ["log_loss", "squared_hinge"]}, cv=2).fit(
            X, y, sample_weight=weights
        )
        assert outer.best_estimator_.alpha_ > 0.0
    with pytest.raises(ValueError, match="metadata routing"):
        GDClassifierCV().fit(X, y, colour="red")


def test_pipelines_pickles_clones_and_frames():
    pd = pytest.importorskip("pandas")
    X, y = table()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    search = GDClassifierCV(alphas=3, cv=2, random_state=0)
    assert clone(search).get_params() == search.get_params()
    assert "alpha" not in search.get_params()
    fitted = clone(search).fit(frame, y)
    assert list(fitted.feature_names_in_) == list("abcdef")
    again = pickle.loads(pickle.dumps(fitted))
    for one in (fitted, again, fitted.best_estimator_):
        np.testing.assert_array_equal(one.predict(frame), fitted.predict(frame))
    pipeline = make_pipeline(StandardScaler(), search).fit(frame, y)
    assert pipeline.score(frame, y) > 0.6
    assert "GDClassifierCV" in search._repr_html_()
    assert not hasattr(search, "partial_fit")


@pytest.mark.jit
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alphas": 0}, "alphas must be"),
        ({"alphas": True}, "alphas must be"),
        ({"alphas": 0.1}, "alphas must be"),
        ({"alphas": []}, "alphas must be"),
        ({"alphas": [0.1, -1.0]}, "alphas must be"),
        ({"alphas": [[0.1]]}, "alphas must be"),
        ({"alphas": "many"}, "alphas must be"),
        ({"l1_ratios": [0.5]}, "l1_ratios needs penalty='elasticnet'"),
        ({"l1_ratios": [1.5], "penalty": "elasticnet"}, "l1_ratios must be"),
        ({"l1_ratios": [], "penalty": "elasticnet"}, "l1_ratios must be"),
        ({"penalty": None}, "got None; pass an array of alphas"),
        ({"penalty_weights": [0.0, 0.0, np.inf]}, "got penalty_weights that penalise no feature"),
        ({"refit": 3}, "refit must be"),
        ({"one_standard_error": None}, "one_standard_error must be"),
        ({"one_standard_error": True, "cv": ShuffleSplit(1)}, "at least 2 folds"),
        ({"scoring": ["accuracy"]}, "scoring must be"),
        ({"scoring": "accuracies"}, "accuracies"),
        ({"scoring": lambda model, X, y: "good"}, "must give a number"),
        ({"scoring": lambda model, X, y: np.nan}, "finite mean score"),
        ({"cv": []}, "at least one fold"),
        ({"cv": [(np.arange(5), [])]}, "fold 0 of cv has 5 rows"),
        ({"cv": "five"}, "cv"),
        ({"tol": -1.0}, "tol must be"),
        ({"solver": "newtonian"}, "unknown solver"),
    ],
)
def test_bad_parameters_are_refused_and_nothing_changes(given, message):
    X, y = table()
    search = GDClassifierCV(alphas=2, cv=2).fit(X, y)
    search.set_params(**given)
    before = copy.copy(vars(search))
    with pytest.raises(ValueError, match=message):
        search.fit(X[:, :3], y)
    assert vars(search).keys() == before.keys()
    assert all(vars(search)[name] is before[name] for name in before)


def test_a_score_without_weights_is_refused_where_there_are_some():
    X, y = table(classes=0)
    search = GDRegressorCV(alphas=2, cv=2, scoring="neg_max_error").fit(X, y)
    assert search.scores_.max() < 0.0
    with pytest.raises(ValueError, match="takes no sample_weight"):
        search.fit(X, y, np.ones(len(y)))
    search.set_params(scoring=lambda model, X, y: -max_error(y, model.predict(X))).fit(
        X, y, np.ones(len(y))
    )
    assert (
        search.set_params(scoring=make_scorer(max_error, greater_is_better=False))
        .fit(X, y)
        .scores_.max()
        < 0.0
    )


@pytest.mark.parametrize(
    ("scoring", "said"),
    [
        ("neg_log_loss", "'hinge' does not give.* Probabilities come with loss='log_loss'"),
        (lambda model, X, y: "good", "scoring must give a number, got 'good'"),
    ],
    ids=["probabilities", "word"],
)
def test_a_score_that_cannot_be_had_is_refused(scoring, said):
    X, y = table()
    with pytest.raises(ValueError, match=said):
        GDClassifierCV("hinge", alphas=2, cv=2, scoring=scoring).fit(X, y)


def test_one_warning_for_all_fits_that_end_too_early():
    X, y = table()
    with pytest.warns(ConvergenceWarning) as caught:
        GDClassifierCV(alphas=3, cv=2, solver="gd", max_iter=1, refit=False, tol=1e-10).fit(X, y)
    assert len(caught) == 1
    assert "of 6 fits along the paths" in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("source", [False, True])
def test_warnings_of_paths_and_of_the_refit_name_the_line_of_the_call(source):
    X, y = table()
    search = GDClassifierCV(alphas=3, cv=2, solver="lbfgs", max_iter=2, memory=1e6)
    with pytest.warns(ConvergenceWarning) as caught:
        search.fit(from_chunks(lambda: iter([(X, y)]))) if source else search.fit(X, y)
    assert [warning.filename for warning in caught] == [__file__, __file__]


def test_a_key_pressed_leaves_the_search_as_it_was():
    X, y = table()

    def score(model, X, y):
        raise KeyboardInterrupt

    search = GDClassifierCV(alphas=2, cv=4, scoring=score, n_jobs=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "alphas_")


def test_early_stopping_takes_its_validation_rows_from_those_a_fold_trains_on():
    X, y = table(n=200)
    first = np.arange(len(y)) < 120

    def models(targets, **given):
        found = []

        def score(model, X, y):
            found.append((model.coef_.copy(), model.history_["score"].tolist()))
            return model.score(X, y)

        search = GDClassifierCV(
            alphas=[1e-1, 1e-2],
            cv=[(first, ~first)],
            scoring=score,
            refit=False,
            random_state=0,
            **given,
        )
        assert search.fit(X, targets).scores_.shape == (2, 1)
        return found

    stopped = models(y, early_stopping=True)
    assert [len(scores) > 0 for _, scores in stopped] == [True, True]
    # Labels of the rows that are held out for the score are not seen.
    other = models(np.where(first, y, y[::-1]), early_stopping=True)
    for (coef, scores), (coef_then, scores_then) in zip(stopped, other, strict=True):
        np.testing.assert_array_equal(coef_then, coef)
        assert scores_then == scores


def test_callbacks_look_on_while_the_chosen_model_is_fitted():
    callback = pytest.importorskip("sklearn.callback")
    X, y = table()
    search = GDClassifierCV(alphas=2, cv=2)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    search.set_callbacks(monitor).fit(X, y)
    assert len(monitor.get_logs().data) >= 1


def test_a_tolerance_that_ends_the_first_fit_on_some_of_the_rows():
    """Least squares on a sample leave what Newton's method remembers: an AttributeError before."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 10))
    y = X @ rng.standard_normal(10) + rng.standard_normal(3000)
    found = [GDRegressorCV(tol=tol, alphas=4, cv=3).fit(X, y) for tol in (np.inf, 1e-10)]
    np.testing.assert_allclose(*(one.coef_ for one in found), rtol=1e-6)


@pytest.mark.parametrize("seed", [44, 71])
def test_a_path_from_a_large_alpha_proves_no_more_than_is_true(seed):
    """The matrix of 1e10 less 1e10 has lost what columns differ by: 6.3e-5 were told of 2.8e-4."""
    rng = np.random.default_rng(seed)
    n, eps = 300, 10.0 ** rng.uniform(-5.5, -3.5)
    u, v = rng.normal(size=n), rng.normal(size=n)
    X = np.c_[u, u + eps * v, rng.normal(size=(n, 2))]
    y = u + 3.0 * v + 0.3 * rng.normal(size=n)
    for model in fit_path(GDRegressor(tol=1e-4), X, y, [1e10, 1e-3, 1e-7, 1e-8]):
        roots = np.sqrt(model.alpha) * np.eye(5)[:4]
        A, b = np.r_[np.c_[X, np.ones(n)] / np.sqrt(n), roots], np.r_[y / np.sqrt(n), np.zeros(4)]
        rest = A @ np.linalg.lstsq(A, b, rcond=None)[0] - b
        assert model.objective_ / (0.5 * rest @ rest) - 1.0 <= model.suboptimality_ + 1e-12
        assert model.bound_kind_ == "proof"
