"""`GDClassifier` with several classes at once: the optimum, in every way to get there."""

import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer

from fastgd import (
    GDClassifier,
    GDClassifierCV,
    GroupLasso,
    LogLoss,
    Multinomial,
    MultiTask,
    from_chunks,
)
from fastgd.penalties.base import Penalty
from fastgd.penalties.weighted import Weighted
from support.twins import with_jit

rng = np.random.default_rng(0)
N = 90
X = rng.standard_normal((N, 4)) * (rng.random((N, 4)) < 0.8)
SCORES = X @ rng.standard_normal((4, 3)) + rng.gumbel(size=(N, 3))
Y = np.array(["ant", "bee", "cat"])[SCORES.argmax(axis=1)]
WEIGHTS = rng.integers(0, 3, N).astype(float)
ALPHA = 0.02


def softmax(Z):
    odds = np.exp(Z - Z.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def objective(coef, intercept, weights=None, alpha=ALPHA, l1=0.0):
    """F by np.exp on shifted scores."""
    weights = np.ones(N) if weights is None else weights
    p = softmax(X @ coef.T + intercept)
    losses = -np.log(p[np.arange(N), np.searchsorted(["ant", "bee", "cat"], Y)])
    penalty = alpha * (l1 * np.abs(coef).sum() + 0.5 * (1.0 - l1) * (coef**2).sum())
    return weights @ losses / weights.sum() + penalty


def best(weights=None):
    """The optimum by scipy on the formula."""

    def F(v):
        return objective(v[:12].reshape(3, 4), v[12:], weights)

    return scipy.optimize.minimize(F, np.zeros(15), tol=1e-12).fun


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_the_default_proves_the_optimum(storage, weights):
    model = GDClassifier(alpha=ALPHA, tol=1e-9).fit(storage(X), Y, sample_weight=weights)
    assert model.bound_kind_ == "proof"
    assert model.converged_
    assert model.coef_.shape == (3, 4)
    assert abs(model.intercept_.sum()) < 1e-12
    assert model.objective_ == pytest.approx(best(weights), rel=1e-7)
    assert model.objective_ == pytest.approx(
        objective(model.coef_, model.intercept_, weights), rel=1e-12
    )
    repeated = GDClassifier(alpha=ALPHA, tol=1e-9).fit(
        np.repeat(X, WEIGHTS.astype(int), axis=0), np.repeat(Y, WEIGHTS.astype(int))
    )
    if weights is not None:
        np.testing.assert_allclose(repeated.coef_, model.coef_, rtol=1e-6, atol=1e-7)


WAYS = [
    {"solver": "newton"},
    {"solver": "newton", "batch_size": "growing"},
    {"solver": "lbfgs"},
    {"solver": "lbfgs", "batch_size": "growing"},
    *({"solver": rule, "batch_size": "full"} for rule in ("gd", "momentum", "nesterov", "adam")),
    *({"solver": rule, "batch_size": 8} for rule in ("gd", "momentum", "nesterov", "adagrad")),
    *({"solver": rule, "batch_size": 1} for rule in ("gd", "adagrad", "rmsprop", "adam")),
    {"learning_rate": "optimal"},
    {"learning_rate": "constant", "eta0": 0.02, "average": True},
    {"learning_rate": "invscaling", "eta0": 0.5, "batch_size": 8},
    {"learning_rate": "adaptive", "eta0": 0.1, "batch_size": 8},
    {"learning_rate": "line_search"},
]


@pytest.mark.thinned(plain=4, compiled=8)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("penalty", with_jit(["l2"], ["l2", "l1", "elasticnet", None]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_way_leads_there(way, penalty):
    settings = {"alpha": ALPHA, "l1_ratio": 0.4, "random_state": 0, "max_iter": 60}
    model = GDClassifier(multi_class="multinomial", penalty=penalty, **settings, **way)
    smooth_only = "growing" in way.values() or way.get("solver") == "lbfgs"
    if penalty in ("l1", "elasticnet") and smooth_only:
        with pytest.raises(ValueError, match=r"solver=|grows"):
            model.fit(X, Y)
        return
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": 0.4, None: 0.0}[penalty]
    alpha = 0.0 if penalty is None else ALPHA
    dense = clone(model).fit(X, Y)
    least = reference(penalty).objective_
    found = objective(dense.coef_, dense.intercept_, alpha=alpha, l1=share)
    assert found == pytest.approx(dense.objective_, rel=1e-9)
    assert least * (1.0 - 1e-9) <= found <= 1.05 * least
    assert abs(dense.intercept_.sum()) < 1e-10
    if penalty is None:
        np.testing.assert_allclose(dense.coef_.sum(axis=0), 0.0, atol=1e-10)
    compressed = clone(model).fit(sp.csr_array(X), Y)
    if way.get("learning_rate") == "line_search":  # what is accepted may hang on the last digit
        assert compressed.objective_ <= 1.05 * least
        return
    np.testing.assert_allclose(compressed.coef_, dense.coef_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_newton_with_corners_takes_all_classes_at_once(penalty):
    """It was one model against the rest, from a time when no solver took corners of classes."""
    settings = {"penalty": penalty, "alpha": 0.01, "l1_ratio": 0.5, "tol": 1e-6}
    model = GDClassifier(solver="newton", **settings).fit(X, Y)
    best = GDClassifier(**settings).fit(X, Y)
    assert model.converged_
    assert abs(model.intercept_.sum()) < 1e-10
    assert model.objective_ == pytest.approx(best.objective_, rel=1e-6)


def test_newton_for_stationary_points_is_one_against_the_rest_unless_asked_otherwise():
    model = GDClassifier(solver="newton", penalty="mcp", alpha=0.01).fit(X, Y)
    assert len(model.plan_) == len(model.history_) == 3
    with pytest.raises(ValueError, match="takes one prediction; with multi_class='multinomial'"):
        model.set_params(multi_class="multinomial").fit(X, Y)


def test_a_penalty_that_joins_classes_is_never_one_against_the_rest():
    model = GDClassifier(solver="saga", penalty=MultiTask(), alpha=0.01)
    with pytest.raises(ValueError, match="solver='saga'"):
        model.fit(X, Y)


REFERENCES: dict = {}


def reference(penalty):
    if penalty not in REFERENCES:
        model = GDClassifier(alpha=ALPHA, penalty=penalty, l1_ratio=0.4, tol=1e-7, max_iter=5000)
        REFERENCES[penalty] = model.fit(X, Y)
    return REFERENCES[penalty]


def test_agrees_with_logistic_regression():
    model = GDClassifier(alpha=ALPHA, tol=1e-12, class_weight={"bee": 2.0}).fit(X, Y)
    total = N + (Y == "bee").sum()
    theirs = LogisticRegression(
        C=1.0 / (ALPHA * total), tol=1e-10, max_iter=10_000, class_weight={"bee": 2.0}
    ).fit(X, Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-7)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X))


def test_probabilities_of_scores_of_1e4():
    model = GDClassifier(alpha=ALPHA).fit(X, Y)
    far = 1e5 * X
    p = model.predict_proba(far)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-14)
    logs = model.predict_log_proba(far)
    assert np.isfinite(logs).all()
    scores = model.decision_function(far)
    np.testing.assert_allclose(
        np.take_along_axis(logs, scores.argsort(axis=1)[:, ::2], axis=1)[:, 0],
        scores.min(axis=1) - scores.max(axis=1),
        rtol=1e-9,
    )


def test_two_classes_and_other_losses_are_as_before():
    two = GDClassifier(multi_class="multinomial").fit(X, Y == "ant")
    np.testing.assert_array_equal(two.coef_, GDClassifier().fit(X, Y == "ant").coef_)
    one, other = (
        GDClassifier(loss="hinge", multi_class=way, alpha=0.1).fit(X, Y) for way in ("auto", "ovr")
    )
    np.testing.assert_array_equal(one.coef_, other.coef_)
    for loss in (LogLoss(), Multinomial(), Multinomial(3)):
        own = GDClassifier(loss=loss, alpha=ALPHA).fit(X, Y)
        np.testing.assert_array_equal(own.coef_, GDClassifier(alpha=ALPHA).fit(X, Y).coef_)
    saga = GDClassifier(solver="saga", random_state=0).fit(X, Y)
    assert len(saga.history_) == 3


def test_coefficients_that_are_set_by_hand_predict_what_the_parameters_say():
    for way in ("auto", "ovr"):
        fitted = GDClassifier(alpha=ALPHA, multi_class=way).fit(X, Y)
        model = GDClassifier(alpha=ALPHA, multi_class=way)
        for name in ("coef_", "intercept_", "classes_", "n_features_in_"):
            setattr(model, name, getattr(fitted, name))
        np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))


def test_two_classes_of_a_loss_of_all_have_one_decision():
    """It had a column for each, which scikit-learn's scorers of two classes refuse."""
    model = GDClassifier(Multinomial())
    model.classes_, model.n_features_in_ = np.array(["ant", "bee"]), 4
    model.coef_ = np.array([[1.0, -1.0, 0.0, 1.0], [0.5, 0.0, 2.0, 1.0]])
    model.intercept_ = np.array([0.25, -0.25])
    decisions = model.decision_function(X)
    np.testing.assert_allclose(decisions, X @ [-0.5, 1.0, 2.0, 0.0] - 0.5)
    np.testing.assert_array_equal(model.predict(X) == "bee", decisions > 0.0)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1.0 / (1.0 + np.exp(-decisions)))
    auc = get_scorer("roc_auc")(model, X, np.where(decisions > 0.0, "bee", "ant"))
    assert auc == 1.0


@pytest.mark.plain
def test_a_loss_of_ones_own_is_of_all_classes_where_it_says_so():
    class Logistic(LogLoss, abstract=True):
        """Told from the rest, as a class that derives from one of these may be another loss."""

    class Joined(Logistic, abstract=True):
        def of_all_classes(self, n_classes):
            return Multinomial(n_classes)

    class Other(Multinomial, abstract=True):
        """Stays of its class, which may be another loss, too."""

    apart = GDClassifier(loss=Logistic(), alpha=ALPHA).fit(X, Y)
    assert len(apart.history_) == 3
    with pytest.raises(ValueError, match="multi_class='multinomial' needs"):
        GDClassifier(loss=Logistic(), multi_class="multinomial").fit(X, Y)
    joined, ours = (GDClassifier(loss=one, alpha=ALPHA).fit(X, Y) for one in (Joined(), LogLoss()))
    np.testing.assert_array_equal(joined.coef_, ours.coef_)
    np.testing.assert_array_equal(joined.predict_log_proba(X), ours.predict_log_proba(X))
    assert Other().of_all_classes(3) == Other(3)


@pytest.mark.parametrize(
    ("parameters", "y", "weights", "message"),
    [
        ({}, np.full(N, "ant"), None, "at least 2 classes in y, got 1 class: 'ant'"),
        ({}, Y, np.where(Y == "bee", 0.0, 1.0), "class 'bee' of y has no row with a positive"),
        ({"multi_class": "ovr"}, Y, np.where(Y == "bee", 0.0, 1.0), "class 'bee' of y has no row"),
        ({"class_weight": {"cat": 0.0}}, Y, None, "class 'cat' of y has no row"),
        ({"loss": "hinge", "multi_class": "multinomial"}, Y, None, "needs loss='log_loss'"),
        ({"solver": "saga", "multi_class": "multinomial"}, Y, None, "takes one prediction"),
        ({"solver": "sdca", "multi_class": "multinomial"}, Y, None, "takes one prediction"),
        ({"learning_rate": "pa1"}, Y, None, "pa1"),
    ],
)
def test_what_does_not_go_with_several_classes_is_refused(parameters, y, weights, message):
    with pytest.raises(ValueError, match=message):
        GDClassifier(**parameters).fit(X, y, sample_weight=weights)


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("parameters", [{}, {"solver": "adam"}, {"batch_size": 8, "average": True}])
def test_chunks_may_lack_classes(parameters, storage):
    model = GDClassifier(alpha=1e-3, random_state=0, **parameters)
    order = np.argsort(Y, kind="stable")
    for _ in range(with_jit(20, 6)):
        for part in np.array_split(order, 6):
            model.partial_fit(storage(X[part]), Y[part], classes=["ant", "bee", "cat"])
    assert model.coef_.shape == (3, 4)
    assert abs(model.intercept_.sum()) < 1e-10
    assert np.isfinite(model.coef_).all()
    assert model.predict_proba(X).shape == (N, 3)
    mixed = GDClassifier(alpha=1e-3, random_state=0, **parameters)
    for _ in range(with_jit(40, 10)):
        for part in np.array_split(np.arange(N), 6):
            mixed.partial_fit(storage(X[part]), Y[part], classes=["ant", "bee", "cat"])
    assert mixed.score(X, Y) > GDClassifier(alpha=1e-3).fit(X, Y).score(X, Y) - 0.1


@pytest.mark.parametrize(
    "way", [{}, {"solver": "lbfgs"}, {"solver": "adam", "batch_size": 8}], ids=str
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_starts_pickles_and_starts(way):
    once = GDClassifier(alpha=1e-3, max_iter=6, tol=None, random_state=0, **way).fit(X, Y)
    parts = clone(once).set_params(warm_start=True, max_iter=3).fit(X, Y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, Y)
    np.testing.assert_array_equal(parts.coef_, once.coef_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(once)).predict(X), once.predict(X))
    there = GDClassifier(alpha=ALPHA, tol=1e-6).fit(X, Y)
    again = clone(there).fit(X, Y, coef_init=there.coef_, intercept_init=there.intercept_)
    assert again.n_iter_ <= there.n_iter_
    with pytest.raises(ValueError, match=r"of shapes \(3, 4\) and \(3,\)"):
        clone(there).fit(X, Y, coef_init=np.zeros((2, 4)))


OFFSET = np.linspace(-1.0, 1.0, N)
FITTED = GDClassifier(alpha=ALPHA).fit(X, Y)
SHIFTED = from_chunks(lambda: [(X, Y, WEIGHTS, OFFSET)])


@pytest.mark.parametrize(
    "use",
    [
        lambda: GDClassifier().fit(X, Y, offset=OFFSET),
        lambda: GDClassifier().fit(SHIFTED),
        lambda: GDClassifierCV(alphas=[0.1], cv=3).fit(X, Y, offset=OFFSET),
        lambda: GDClassifier().fit(X, Y, X_val=X, y_val=Y, offset_val=OFFSET),
        lambda: GDClassifier().partial_fit(X, Y, classes=np.unique(Y), offset=OFFSET),
        lambda: FITTED.predict(X, offset=OFFSET),
        lambda: FITTED.predict_proba(SHIFTED),
        lambda: FITTED.score(X, Y, offset=OFFSET),
        lambda: FITTED.score(SHIFTED),
        lambda: FITTED.summary(X, Y, offset=OFFSET),
    ],
)
def test_what_is_added_to_all_classes_alike_is_refused(use):
    with pytest.raises(ValueError, match=r"offset.* to the predictions of all classes alike"):
        use()


def test_offsets_that_change_nothing_or_something_are_taken():
    constant = np.full(N, 0.3)
    same = clone(FITTED).fit(X, Y, offset=constant)
    np.testing.assert_allclose(same.coef_, FITTED.coef_, atol=1e-10)
    np.testing.assert_allclose(FITTED.predict_proba(X, constant), FITTED.predict_proba(X))
    against_rest = GDClassifier(multi_class="ovr").fit(X, Y, offset=OFFSET)
    assert against_rest.predict_proba(X, offset=OFFSET).shape == (N, 3)


@pytest.mark.parametrize(
    ("given", "free"),
    [
        ({"penalty_weights": [0.0, 1.0, 0.0, np.inf]}, [0, 2]),
        ({"penalty_weights": [0.0, 1, 1, 1], "penalty": "l1"}, [0]),
        ({"penalty_weights": [0.0, 1, 1, 1], "bounds": (-np.inf, [9.0, np.inf, 9, 9])}, []),
        ({"penalty": GroupLasso([[0, 1], [2, 3]], [0.0, 1.0])}, [0, 1]),
        ({"penalty": None}, [0, 1, 2, 3]),
        ({"alpha": 0.0, "positive": True}, []),
    ],
    ids=str,
)
def test_columns_that_nothing_holds_are_told_without_what_classes_share(given, free):
    """They had kept what they began with: sums of 15."""
    model = GDClassifier(**{"alpha": ALPHA, "tol": 1e-8, **given})
    beginning = 5.0 * np.isin(np.arange(4), free) * np.ones((3, 1))
    model.fit(X, Y, coef_init=beginning, intercept_init=np.zeros(3))
    sums = np.abs(model.coef_.sum(axis=0))
    assert (sums[free] < 1e-12).all()
    assert model.objective_ == pytest.approx(clone(model).fit(X, Y).objective_, rel=1e-6)
    if model.positive:
        assert (model.coef_ >= 0.0).all()


def test_early_stopping_and_validation_rows():
    model = GDClassifier(early_stopping=True, random_state=0).fit(X, Y)
    assert 0.3 < model.score(X, Y) <= 1.0
    watched = GDClassifier().fit(X, Y, X_val=X[:30], y_val=Y[:30])
    assert watched.score(X[:30], Y[:30]) > 0.5


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search(penalty):
    search = GDClassifierCV(alphas=6, cv=3, penalty=penalty).fit(X, Y)
    assert search.scores_.shape == (6, 3)
    assert search.coef_.shape == (3, 4)
    own = GDClassifier(penalty=penalty, alpha=search.alpha_).fit(X, Y)
    np.testing.assert_array_equal(search.coef_, own.coef_)


def test_callbacks_see_all_classes():
    monitor = pytest.importorskip("sklearn.callback").ScoringMonitor(scoring="neg_log_loss")
    model = GDClassifier(alpha=ALPHA).set_callbacks(monitor).fit(X, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert len(rows) == model.history_["passes"].size
    assert max(row["neg_log_loss"] for row in rows) > np.log(1.0 / 3.0)


@pytest.mark.parametrize(
    ("options", "looks"),
    [
        ({}, False),
        ({"positive": True}, False),
        ({"penalty": "elasticnet"}, False),
        ({"penalty": None}, True),
        ({"alpha": 0.0}, True),
        ({"penalty_weights": np.r_[0.0, np.ones(3)]}, True),
    ],
    ids=str,
)
def test_columns_that_nothing_holds_sum_to_0_and_are_looked_for_where_there_may_be(
    options, looks, monkeypatch
):
    """Each call made vectors of all columns for a penalty that holds them all."""
    model = GDClassifier(random_state=0, **{"alpha": 0.1} | options)
    model.classes_ = np.arange(3)
    looked, limit = [], {kind: kind.limit for kind in (Penalty, Weighted)}

    def noted(penalty, n_features):
        looked.append(penalty)
        return limit[Weighted if isinstance(penalty, Weighted) else Penalty](penalty, n_features)

    for kind in limit:
        monkeypatch.setattr(kind, "limit", noted)
    coef, intercept = model._without_shift(np.ones((3, 4)), np.ones(3))
    np.testing.assert_array_equal(intercept, 0.0)
    free = [looks and (j == 0 or "penalty_weights" not in options) for j in range(4)]
    np.testing.assert_array_equal(coef, np.where(free, 0.0, np.ones((3, 4))))
    assert bool(looked) is looks
