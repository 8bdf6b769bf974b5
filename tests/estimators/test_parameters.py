"""What parameters may be, which go together, and what happens to numbers that do not suit the
data.
"""

import copy
import inspect
import itertools
import warnings

import numba
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import SGDClassifier, SGDRegressor

from fastgd import (
    ConvergenceWarning,
    DivergenceError,
    GDClassifier,
    GDRegressor,
    Momentum,
    Quantile,
)
from fastgd.rules.base import Rule
from support.twins import members

X = np.random.default_rng(0).standard_normal((40, 3))
Y = (X[:, 0] > 0).astype(int)
T = X @ [1.0, 2.0, 3.0]

TIMES = "sample_weight times class_weight, and its sum, must be within double precision, got"

WRONG = [
    ({"alpha": -1.0}, "alpha must be a finite number of at least 0, got -1.0"),
    ({"alpha": np.inf}, "alpha must be"),
    ({"alpha": "1"}, "alpha must be a finite number of at least 0, got '1'"),
    ({"alpha": True}, "alpha must be"),
    ({"l1_ratio": 1.5}, "l1_ratio must be a number from 0 to 1"),
    ({"penalty": "elasticnet", "l1_ratio": None}, "needs l1_ratio"),
    ({"fit_intercept": "yes"}, "fit_intercept must be True or False"),
    ({"max_iter": 0}, "max_iter must be an integer of at least 1, got 0"),
    ({"max_iter": 10.0}, "max_iter must be"),
    ({"max_iter": None}, "max_iter must be"),
    ({"tol": -1e-3}, "tol must be None or a number of at least 0"),
    ({"tol": np.nan}, "tol must be"),
    ({"shuffle": "yes"}, "shuffle must be True or False"),
    ({"verbose": -1}, "verbose must be"),
    ({"epsilon": -0.1}, "epsilon must be"),
    ({"n_jobs": 0}, "n_jobs must be"),
    ({"n_jobs": 1.5}, "n_jobs must be"),
    ({"random_state": "seed"}, "seed"),
    (
        {"learning_rate": "fast"},
        "learning_rate must be one of 'auto', 'constant'.*'line_search', got 'fast'",
    ),
    ({"learning_rate": 0.1}, "learning_rate must be one of"),
    ({"learning_rate": ["auto"]}, "learning_rate must be one of"),
    ({"eta0": 0.0}, "eta0 must be a positive finite number, got 0.0"),
    ({"eta0": np.nan}, "eta0 must be"),
    ({"power_t": np.inf}, "power_t must be"),
    ({"learning_rate": np.array([0.1, 0.2])}, "learning_rate must be the name of a schedule"),
    ({"batch_size": np.array([1.0, 2.0])}, "batch_size must be 'auto', 'full', 'growing'"),
    ({"early_stopping": 1}, "early_stopping must be True or False"),
    ({"validation_fraction": 1.0}, "validation_fraction must be a number between 0 and 1"),
    ({"n_iter_no_change": 0}, "n_iter_no_change must be"),
    ({"warm_start": None}, "warm_start must be True or False"),
    ({"average": -1}, "average must be"),
    ({"average": 0.5}, "average must be"),
    ({"solver": "lbgfs"}, "unknown solver 'lbgfs'.*adagrad, adam, gd, momentum, nesterov, rmsprop"),
    ({"solver": 3}, "solver must be a string or a Rule.*adagrad, adam"),
    (
        {"batch_size": 0},
        "batch_size must be 'auto', 'full', 'growing', an integer of at least 1 or a frac",
    ),
    ({"batch_size": 1.5}, "batch_size must be"),
    ({"batch_size": "half"}, "batch_size must be"),
    ({"batch_size": True}, "batch_size must be"),
    ({"momentum": 1.0}, "momentum must be a number of at least 0 and below 1"),
    ({"max_time": 0}, "max_time must be None or a positive number of seconds"),
    ({"stop": 3}, "stop must be a StoppingRule, a function"),
    ({"loss": "log"}, "unknown loss 'log'.*log_loss"),
    ({"loss": None}, "loss must be a string or a Loss"),
    ({"penalty": "l3"}, "unknown penalty 'l3'"),
    ({"penalty": 2}, "penalty must be a string, None or a Penalty"),
    ({"positive": 1}, "positive must be True or False, got 1"),
    ({"bounds": 3}, r"bounds must be a pair \(low, high\)"),
    ({"bounds": (1, 0)}, "bounds must be numbers low <= high, got low=1 and high=0"),
    ({"penalty_weights": [1.0, -1.0, 1.0]}, "penalty_weights must not be .* -1 for feature 1"),
    ({"penalty_weights": [1.0] * 4}, "each of the 3 features of X, got 4"),
    ({"P2": "x"}, "P2 must be a square matrix of numbers, got 'x'"),
    ({"P2": np.eye(4)}, r"P2 must be of shape \(3, 3\)"),
    ({"P2": -np.eye(3)}, "P2 must be positive semi-definite, it has the eigenvalue -1"),
    ({"forget": -1}, "forget must be None or a positive number of rows"),
    ({"forget": "a"}, "forget must be None or a positive number of rows"),
    ({"memory": 0}, "memory must be a number of bytes, at least 1e6, or None, got 0"),
    ({"checkpoint": 3}, "checkpoint must be None or the path of a file, got 3"),
    ({"checkpoint_every": -1}, "checkpoint_every must be a number of seconds, at least 0"),
    ({"record": "x"}, "record must be None or 'coef', got 'x'"),
]
WRONG_CLASSIFIER = [
    ({"multi_class": "ovo"}, "multi_class must be 'auto', 'multinomial' or 'ovr'"),
    ({"class_weight": "even"}, "class_weight must be None, 'balanced' or a dict"),
    (
        {"class_weight": {7: 1.0}},
        r"class_weight names \[7\], which is not among the classes \[0 1\]",
    ),
    ({"class_weight": {0: "a"}}, "class_weight must hold"),
    ({"class_weight": {0: np.nan}}, "class_weight must hold"),
]
PAIRS = [
    (
        {"learning_rate": "line_search", "batch_size": 1},
        "line_search' needs batch_size='full', got 1",
    ),
    ({"learning_rate": "pa1", "batch_size": "full"}, "pa1' needs solver='gd' and batch_size=1"),
    ({"learning_rate": "pa2", "solver": "adam"}, "pa2' needs solver='gd' and batch_size=1"),
    (
        {"learning_rate": "pa1", "loss": "squared_error"},
        "needs loss 'hinge' or 'epsilon_insensitive'",
    ),
    ({"learning_rate": "optimal", "alpha": 0.0}, "divides by alpha, which is 0"),
]


@pytest.mark.parametrize(
    ("estimator", "wrong"), [(GDRegressor, WRONG), (GDClassifier, WRONG + WRONG_CLASSIFIER)]
)
def test_every_parameter_has_a_wrong_value(estimator, wrong):
    names = set().union(*(given for given, _ in wrong))
    assert names == set(inspect.signature(estimator).parameters)


def assert_refused(model, y, message, error=ValueError, fit=("fit", "partial_fit")):
    for fitted in (False, True):
        state = copy.deepcopy(model)
        if fitted:
            state = type(model)(max_iter=2, tol=None).fit(X, y)
            state.set_params(**model.get_params())
        for method in fit:
            before = dict(vars(state))
            first = (
                {"classes": [0, 1]}
                if method == "partial_fit" and isinstance(model, GDClassifier)
                else {}
            )
            with pytest.raises(error, match=message):
                getattr(state, method)(X, y, **first)
            assert vars(state) == before or all(vars(state)[key] is before[key] for key in before)
            assert vars(state).keys() == before.keys()


@pytest.mark.parametrize(("wrong", "message"), WRONG + PAIRS, ids=lambda value: str(value)[:30])
def test_wrong_parameters_of_a_regressor_are_refused(wrong, message):
    late = {"stop", "max_iter"} & wrong.keys() and wrong.get("max_iter", 1) != 0
    assert_refused(
        GDRegressor(**wrong),
        T,
        message,
        fit=("fit",) if "stop" in wrong or late else ("fit", "partial_fit"),
    )


@pytest.mark.parametrize(
    ("wrong", "message"), WRONG + WRONG_CLASSIFIER + PAIRS, ids=lambda value: str(value)[:30]
)
def test_wrong_parameters_of_a_classifier_are_refused(wrong, message):
    assert_refused(GDClassifier(**wrong), Y, message, fit=("fit",))


def test_partial_fit_says_what_it_cannot_do():
    for model, y in ((GDRegressor(early_stopping=True), T), (GDClassifier(early_stopping=True), Y)):
        message = "early_stopping must be False with partial_fit.*give X_val and y_val"
        assert_refused(model, y, message, fit=("partial_fit",))


@pytest.mark.plain
def test_components_and_strings_are_the_same():
    a = GDRegressor(
        solver="momentum",
        momentum=0.5,
        batch_size=4,
        loss="quantile",
        random_state=0,
        max_iter=3,
        tol=None,
    )
    b = GDRegressor(
        solver=Momentum(0.5),
        batch_size=4,
        loss=Quantile(0.5),
        random_state=0,
        max_iter=3,
        tol=None,
        penalty="l2",
    )
    np.testing.assert_array_equal(a.fit(X, T).coef_, b.fit(X, T).coef_)
    assert (
        GDRegressor(penalty=None).fit(X, T).objective_
        == GDRegressor(penalty="none").fit(X, T).objective_
    )


@pytest.mark.plain
@pytest.mark.parametrize("batch", ["full", 1, 8])
@pytest.mark.parametrize("solver", ["gd", "momentum", "adam"])
def test_an_explicit_rate_that_explodes_raises(solver, batch):
    big = 1e4 * X
    y = big @ [1.0, 2.0, 3.0] + 1e4 * np.random.default_rng(1).standard_normal(40)
    rate = 1e300 if solver == "adam" else 10.0
    model = GDRegressor(solver=solver, batch_size=batch, learning_rate="constant", eta0=rate)
    fitted = (
        copy.deepcopy(model).set_params(learning_rate="auto", max_iter=2, tol=None).fit(big, -y)
    )
    fitted.set_params(**model.get_params())
    for state in (model, fitted):
        before = dict(vars(state))
        for method in ("fit", "partial_fit"):
            with pytest.raises(
                DivergenceError, match=r"eta0.*StandardScaler.*learning_rate='auto'"
            ) as caught:
                getattr(state, method)(big, y)
            assert isinstance(caught.value, ValueError)
            assert isinstance(caught.value, FloatingPointError)
            assert set(caught.value.history) == {
                "passes",
                "seconds",
                "objective",
                "bound",
                "rate",
                "batch",
            }
            assert vars(state).keys() == before.keys()
            assert all(vars(state)[key] is before[key] for key in before)


def test_one_class_that_explodes_leaves_all_classes_as_they_were():
    y = np.arange(40) % 3
    model = GDClassifier(
        loss="squared_error", batch_size="full", solver="gd", learning_rate="constant", eta0=1e6
    )
    with pytest.raises(DivergenceError):
        model.fit(X, y)
    assert not hasattr(model, "classes_")


RULES = [rule.name for rule in members(Rule)]
STRATEGIES = list(itertools.product(RULES, ("full", 32, 1)))
if numba.config.DISABLE_JIT:
    STRATEGIES = [("nesterov", "full"), ("gd", "full"), ("gd", 32)]


# Compiled each rule with one of the losses: it is compiled for each of them.
@pytest.mark.thinned(plain=1, compiled=9)
@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_loss"])
@pytest.mark.parametrize(("solver", "batch"), STRATEGIES)
def test_automatic_steps_on_raw_columns(solver, batch, loss):
    rng = np.random.default_rng(1)
    raw = rng.standard_normal((300, 5)) * np.geomspace(1.0, 1e4, 5) + 10.0 * np.geomspace(
        1e-2, 1e4, 5
    )
    y = raw @ (rng.standard_normal(5) / np.geomspace(1.0, 1e4, 5)) + 3.0
    kind = GDRegressor
    if loss == "log_loss":
        kind, y = GDClassifier, np.where(y > np.median(y), "yes", "no")
    model = kind(loss, solver=solver, batch_size=batch, random_state=0, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(raw, y)
    alone = kind(loss, alpha=1e-4).fit(np.zeros((300, 1)), y)
    assert np.isfinite(model.coef_).all()
    assert model.objective_ <= alone.objective_ * (1 + 1e-12)
    if batch == "full":
        assert model.score(raw, y) > 0.99
    elif kind is GDRegressor:
        assert model.score(raw, y) > 0.5


@pytest.mark.parametrize("extreme", [1e-150, 1e-8, 1e8, 1e150])
def test_extreme_units(extreme):
    for model, y in ((GDRegressor(), T), (GDClassifier(), Y)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(extreme * X, y)
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.objective_)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(GDClassifier, SGDClassifier), (GDRegressor, SGDRegressor)]
)
def test_every_parameter_of_sgd_is_there(ours, theirs):
    mine, names = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    assert set(names) <= set(mine)
    assert {name: kind.kind for name, kind in names.items()} == {
        name: mine[name].kind for name in names
    }
    differ = {name for name, one in names.items() if mine[name].default != one.default}
    assert differ <= {"loss", "tol", "learning_rate", "eta0"}  # eta0 since 1.8
    for method in ("fit", "partial_fit"):
        there, here = (
            inspect.signature(getattr(kind, method)).parameters for kind in (theirs, ours)
        )
        assert set(there) <= set(here)
    assert list(inspect.signature(theirs.partial_fit).parameters) == list(here)[: len(there)]


# l1_ratio=None is newer than the oldest scikit-learn that will do.
BEFORE_1_8 = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8)
VALUES = {
    "penalty": ["l2", "l1", "elasticnet", None],
    "alpha": [0.0, 1e-3, 1],
    "l1_ratio": [0, 0.3, 1.0, None],
    "fit_intercept": [True, False, np.True_],
    "max_iter": [1, np.int64(3)],
    "tol": [None, 0.0, 1e-3],
    "shuffle": [True, False],
    "verbose": [0, 2, True],
    "epsilon": [0.0, 0.5],
    "random_state": [None, 0, np.random.RandomState(0)],
    "learning_rate": [
        "constant",
        "invscaling",
        "adaptive",
    ],  # and "optimal", which makes squares explode, as eta0 of 1 does
    "eta0": [1e-3, 0.05],
    "power_t": [0.5, -0.1, 0.0],
    "early_stopping": [True, False],
    "validation_fraction": [0.05, 0.5],
    "n_iter_no_change": [1, 10],
    "warm_start": [True, False],
    "average": [True, False, 1, 10],
}
OF_A_CLASSIFIER = {
    "loss": [
        "hinge",
        "log_loss",
        "modified_huber",
        "squared_hinge",
        "perceptron",
        "squared_error",
        "huber",
        "epsilon_insensitive",
        "squared_epsilon_insensitive",
    ],
    "class_weight": [None, "balanced", {0: 1.0, 1: 2.0}, {1: 3}],
    "n_jobs": [None, 1, -1, 2, -2],
    "learning_rate": ["constant", "optimal", "invscaling", "adaptive"],
    "eta0": [1e-3, 1],
}
OF_A_REGRESSOR = {
    "loss": ["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"]
}


def assert_both_take(ours, theirs, y, values):
    assert set(values) == set(inspect.signature(theirs).parameters)
    for name, allowed in values.items():
        for value in allowed:
            settings = {"learning_rate": "constant", "max_iter": 3, "eta0": 1e-3, name: value}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ours(**copy.deepcopy(settings)).fit(X, y)
                if (name, value) != ("l1_ratio", None) or not BEFORE_1_8:
                    theirs(**copy.deepcopy(settings)).fit(X, y)


@pytest.mark.plain
@pytest.mark.parametrize(
    ("ours", "theirs", "y", "values"),
    [
        (GDRegressor, SGDRegressor, T, VALUES | OF_A_REGRESSOR),
        (GDClassifier, SGDClassifier, Y, VALUES | OF_A_CLASSIFIER),
    ],
)
def test_every_value_of_sgd_is_accepted(ours, theirs, y, values):
    assert_both_take(ours, theirs, y, values)


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize("rate", ["pa1", "pa2"])
def test_passive_aggressive_rates(rate):
    for model, y in ((GDClassifier(loss="hinge"), Y), (GDRegressor(loss="epsilon_insensitive"), T)):
        model.set_params(learning_rate=rate, eta0=0.5, max_iter=3, tol=None).fit(X, y)
        assert model.score(X, y) > 0.5


@pytest.mark.parametrize(
    ("weight", "of_class", "said"),
    [
        (10.0, {1: 1e308}, "10 times 1e[+]308 in row"),
        (1e-200, {1: 1e-200}, "1e-200 times 1e-200 in row"),
        (None, {1: 1e308}, "1 times 1e[+]308 in row"),
    ],
)
def test_weights_of_classes_beyond_doubles(weight, of_class, said):
    """Products with weights of rows that no double holds are told with both factors: a weight of 10
    had contained NaN or infinity, and small ones were 0 without a word.
    """
    model = GDClassifier(class_weight=of_class)
    with pytest.raises(ValueError, match=f"{TIMES} {said}"):
        model.fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match=f"{TIMES} {said}"):
        model.partial_fit(X, Y, [0, 1], sample_weight=weight)
