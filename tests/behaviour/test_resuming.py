"""A run in parts is the run at once, bit for bit: warm starts, `partial_fit`, and both after
other things happened.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastgd import Adam, GDClassifier, GDRegressor, Penalty
from fastgd.losses.regression import SquaredError
from fastgd.rules.base import Rule
from support.twins import members, with_jit

RULES = [rule.name for rule in members(Rule)]
STEPS = ({}, {"learning_rate": "invscaling", "eta0": 0.05})
EVERY = [
    {"solver": solver, "batch_size": batch, **steps}
    for solver, batch, steps in itertools.product(RULES, ("full", 1, 32), STEPS)
]
MORE = [
    {},
    {"learning_rate": "line_search"},
    {"solver": "adam", "batch_size": "full", "learning_rate": "line_search"},
    {"solver": "gd", "batch_size": 1, "average": True},
    {"solver": "adam", "batch_size": "full", "average": 3, "learning_rate": "constant"},
    {"solver": "gd", "batch_size": 32, "average": 5, "learning_rate": "constant"},
    {"solver": "adam", "batch_size": 1, "average": 100, "learning_rate": "constant"},
    {"solver": "gd", "batch_size": 1, "learning_rate": "optimal"},
    {"solver": "gd", "batch_size": 32, "learning_rate": "adaptive", "n_iter_no_change": 1},
    {"solver": "gd", "batch_size": "full", "learning_rate": "adaptive", "n_iter_no_change": 1},
    {"solver": "gd", "batch_size": 1, "penalty": "l1", "learning_rate": "constant"},
    {"solver": "adam", "batch_size": 32, "penalty": "elasticnet"},
    {"penalty": "l1"},
    {"loss": "hinge"},
    {"loss": "hinge", "batch_size": "full"},
    {"loss": "perceptron"},
    {"loss": "hinge", "learning_rate": "pa1"},
    {"solver": "gd", "batch_size": 0.3, "shuffle": False},
    {"solver": Adam(0.5, 0.9), "batch_size": 32, "fit_intercept": False},
]


def name(parameters):
    return "-".join(str(value) for value in parameters.values()) or "default"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((70, 6)) * (rng.random((70, 6)) < 0.7) * [1, 2, 5, 0.1, 1, 1]
    scores = X @ rng.standard_normal((6, 3)) + rng.standard_normal((70, 3))
    return X, scores.argmax(axis=1), scores[:, 0]


def assert_same(a, b):
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)


@pytest.mark.thinned(plain=1, compiled=6)
@pytest.mark.parametrize("parameters", EVERY + MORE, ids=name)
def test_warm_start(parameters, data):
    X, labels, _ = data
    y = labels == 0
    kw = {"tol": None, "random_state": 7, **parameters}
    whole = GDClassifier(max_iter=7, **kw).fit(X, y)
    parts = GDClassifier(max_iter=3, warm_start=True, **kw).fit(X, y)
    parts.set_params(max_iter=4).fit(X, y)
    assert_same(whole, parts)
    again = GDClassifier(max_iter=1, warm_start=True, **kw)
    for _ in range(7):
        again = pickle.loads(pickle.dumps(again)).fit(X, y)
    assert_same(whole, again)


@pytest.mark.thinned(plain=1, compiled=6)
@pytest.mark.parametrize(
    "parameters", [p for p in EVERY + MORE[3:] if p.get("batch_size") != "full"], ids=name
)
def test_partial_fit_of_all_rows(parameters, data):
    X, labels, _ = data
    y = labels == 0
    kw = {"tol": None, "random_state": 7, **parameters}
    if kw.get("loss") == "hinge" and "learning_rate" not in kw:
        kw.update(solver="gd", batch_size=1)
    if kw == {"tol": None, "random_state": 7, "penalty": "l1"}:
        pytest.skip("full batch by itself")
    if kw.get("learning_rate") == "adaptive":
        pytest.skip("partial_fit counts no stalls: it does not know the objective")
    # After two epochs a fit may take longer steps, which in a stream are bounded by what is stable.
    bounded = kw.get("solver") in ("gd", "momentum", "nesterov") and kw.get("batch_size") != 1
    epochs = 2 if bounded and "learning_rate" not in kw else 5
    whole = GDClassifier(max_iter=epochs, **kw).fit(X, y)
    parts = GDClassifier(**kw)
    for _ in range(epochs):
        parts.partial_fit(X, y, classes=[False, True])
    assert_same(whole, parts)
    # And on from a fit.
    parts = GDClassifier(max_iter=epochs // 2, **kw).fit(X, y)
    for _ in range(epochs - epochs // 2):
        parts.partial_fit(X, y)
    assert_same(whole, parts)


@pytest.mark.plain
def test_several_classes_and_regression(data):
    X, labels, target = data
    X = with_jit(X, sp.csr_array(X))
    for model, y, first in (
        (GDClassifier(), labels, {"classes": [0, 1, 2]}),
        (GDRegressor(), target, {}),
    ):
        model.set_params(tol=None, random_state=3, solver="adam", batch_size=8)
        whole = clone(model).set_params(max_iter=6).fit(X, y)
        warm = clone(model).set_params(max_iter=2, warm_start=True)
        parts = clone(model)
        for _ in range(3):
            warm.fit(X, y)
        for k in range(6):
            parts.partial_fit(X, y, **(first if k == 0 else {}))
        assert_same(whole, warm)
        assert_same(whole, parts)


def test_automatic_partial_fit_is_adagrad_one_row_at_a_time(data):
    X, labels, _ = data
    kw = {"multi_class": "ovr", "random_state": 0}
    model = GDClassifier(**kw).partial_fit(X, labels, classes=[0, 1, 2])
    assert {(plan.solver, plan.batch_size) for plan in model.plan_} == {("adagrad", 1)}
    named = GDClassifier(solver="adagrad", batch_size=1, **kw)
    named.partial_fit(X, labels, classes=[0, 1, 2])
    assert_same(model, named)


def test_partial_fit_after_a_fit_starts_from_its_model(data):
    X, labels, _ = data
    y = labels == 0
    model = GDClassifier().fit(X, y)
    coef, score = model.coef_.copy(), model.score(X, y)
    model.partial_fit(X[:10], y[:10])
    assert (model.plan_.solver, model.t_, model.n_iter_) == ("gd", 11.0, 1)
    assert np.abs(model.coef_ - coef).max() < 0.3 * np.abs(coef).max()
    assert model.score(X, y) > score - 0.1
    # What the fit proved no longer holds.
    assert not {"objective_", "suboptimality_", "converged_"} & set(vars(model))
    assert model.history_["objective"].size == 1


def test_zero_weights_move_neither_rows_nor_the_clock(data):
    X, _, target = data
    model = GDRegressor(solver="gd", batch_size=1).partial_fit(X, target)
    weights = np.zeros(70)
    weights[:3] = 1.0
    t = model.t_
    model.partial_fit(X, target, sample_weight=weights)
    assert model.t_ == t + 3


def test_chunks_that_lack_classes(data):
    X, labels, _ = data
    model = GDClassifier(random_state=0)
    for k in range(3):
        rows = labels == k
        model.partial_fit(X[rows], labels[rows], classes=[0, 1, 2])
        assert np.isfinite(model.coef_).all()
        assert np.abs(model.intercept_).max() < 10


def test_warm_start_goes_on_where_data_or_parameters_differ(data):
    X, _, target = data
    model = GDRegressor(warm_start=True, tol=1e-6, loss="huber", epsilon=1.0).fit(X, target)
    assert model.fit(X, target).n_iter_ <= 2 + model.n_iter_
    for change in (
        lambda: (X, -target),
        lambda: (2 * X, target),
        lambda: (X[:50], target[:50]),
        lambda: model.set_params(alpha=0.1) and (X, target),
        lambda: model.set_params(solver="gd", batch_size="full") and (X, target),
        lambda: model.set_params(penalty="l1") and (X, target),
        lambda: model.set_params(fit_intercept=False) and (X, target),
        lambda: model.set_params(loss=SquaredError()) and (sp.csr_array(X), target),
    ):
        X_new, y_new = change()
        model.fit(X_new, y_new)
        fresh = clone(model).set_params(warm_start=False).fit(X_new, y_new)
        assert model.converged_
        assert model.objective_ <= fresh.objective_ * (1 + 3e-6)
        coef = model.coef_.copy()
        start = clone(model).set_params(max_iter=1, tol=None)
        start.fit(X_new, y_new, coef_init=coef, intercept_init=model.intercept_)
        assert start.objective_ <= fresh.objective_ * (1 + 3e-6)


def test_updates_of_a_warm_start_are_counted_on_where_the_problem_is_the_same(data):
    """As the row of `warm_start` in the guide to migration says."""
    X, labels, _ = data
    y, n = labels == 0, len(labels)
    parameters = {"solver": "gd", "batch_size": 1, "learning_rate": "optimal", "tol": None}
    for changes, updates in (
        ({"max_iter": 3}, 5 * n),
        ({"alpha": 0.1}, 2 * n),
        ({"loss": "hinge"}, 2 * n),
        ({"learning_rate": "constant"}, 2 * n),
    ):
        model = GDClassifier(max_iter=2, warm_start=True, eta0=1e-3, **parameters).fit(X, y)
        assert model.set_params(**changes).fit(X, y).t_ == updates + 1
    assert model.fit(X[1:], y[1:]).t_ == 2 * (n - 1) + 1


def test_warm_start_takes_up_a_model_without_a_run(data):
    X, labels, _ = data
    y = labels == 0
    model = GDClassifier(
        warm_start=True, tol=None, max_iter=1, learning_rate="constant", eta0=1e-9
    ).fit(X, y)
    model.set_params(solver="momentum").sparsify()
    before = model.coef_.toarray()
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, before, atol=1e-6)


def test_models_of_other_shapes_are_refused(data):
    X, labels, _ = data
    model = GDClassifier(warm_start=True, max_iter=3, tol=None).fit(X, labels)
    for X_new, y_new in ((X[:, :2], labels), (X, labels == 0)):
        with pytest.raises(ValueError, match=r"coef_ of shape \(3, 6\).*warm_start=False"):
            model.fit(X_new, y_new)


def test_copies_do_not_share_state(data):
    X, labels, _ = data
    y = labels == 0
    model = GDClassifier(
        solver="adam", batch_size=1, warm_start=True, max_iter=2, tol=None, random_state=0
    ).fit(X, y)
    twin, coef = copy.deepcopy(model), model.coef_.copy()
    first = twin.fit(X, y).coef_.copy()
    np.testing.assert_array_equal(model.coef_, coef)
    np.testing.assert_array_equal(model.fit(X, y).coef_, first)


class Ends(Penalty):
    """Coefficients between two ends, for nothing."""

    low: float = -0.2
    high: float = 0.3

    def value(self, coefficient, j):
        return 0.0 if self.low <= coefficient <= self.high else np.inf

    def derivative(self, coefficient, j):
        return 0.0

    def prox(self, coefficient, j, rate):
        return min(max(coefficient, self.low), self.high)


KINDS = [
    {},
    {"penalty": "l1"},
    {"penalty": "elasticnet", "l1_ratio": 0.5},
    {"penalty": None},
    {"alpha": 0.0},
    {"alpha": 1e-6, "tol": 1e-10},
    {"fit_intercept": False},
    {"penalty": Ends()},
    {"solver": "lbfgs"},
    {"solver": "nesterov", "batch_size": "full", "penalty": "l1"},
    {"solver": "gd", "batch_size": "full", "penalty": "l1", "alpha": 0.1},
    {"solver": "gd", "batch_size": "full", "penalty": "l1"},
    {"solver": "sdca", "batch_size": 1},
    {"solver": "saga"},
    {"solver": "newton", "batch_size": "growing"},
    {"solver": "gd", "batch_size": 1, "penalty": Ends()},
    {"solver": "gd", "batch_size": 1},
    {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 0.1},
    {
        "solver": "gd",
        "batch_size": "full",
        "learning_rate": "constant",
        "eta0": 0.1,
        "average": True,
    },
]
OF_LABELS = [
    {"loss": "hinge"},
    {"loss": "hinge", "penalty": "l1"},
    {"loss": "squared_hinge"},
    {"loss": "hinge", "solver": "sdca", "batch_size": 1},
    {"class_weight": "balanced"},
]
OF_NUMBERS = [
    {"loss": "huber"},
    {"loss": "huber", "epsilon": 1.0},
    {"loss": "huber", "epsilon": 1.0, "solver": "sdca", "batch_size": 1},
    {"loss": "huber", "solver": "sdca", "batch_size": 1},
    {"loss": "quantile"},
]


@pytest.mark.thinned(plain=2, compiled=1)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", [GDClassifier, GDRegressor])
def test_a_run_of_one_kind_goes_on_as_any_other(estimator, data):
    """What a solver keeps is used by the same solver of the same objective alone; others start
    from its point.
    """
    X, labels, target = data
    y, more = (labels == 0, OF_LABELS) if estimator is GDClassifier else (target, OF_NUMBERS)
    base = {"alpha": 1e-2, "tol": 1e-6, "max_iter": 100, "random_state": 0, "warm_start": True}
    kinds = [*with_jit(KINDS[:4], KINDS), *with_jit(more[:1], more)]
    cold = [estimator(**{**base, **kind}).fit(X, y) for kind in kinds]
    usual = estimator().get_params()
    pairs = list(itertools.product(cold, zip(kinds, cold, strict=True)))
    for one, (kind, right) in pairs[
        :: 1 if len(pairs) < 50 else 11
    ]:  # all of them hold, and take a minute
        model = copy.deepcopy(one).set_params(**{**usual, **base, **kind}).fit(X, y)
        # Where rates are given, or rows are taken one by one, the end depends on the start.
        near = 0.1 if kind.get("solver") in ("gd", "saga") else 2e-4
        assert model.objective_ <= right.objective_ * (
            1.0 + (10.0 if "learning_rate" in kind else near)
        ), (one, kind)
