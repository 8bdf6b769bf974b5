"""Whatever is wrong with the arguments of the functions beside the estimators: a ValueError that
names them.
"""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from fastgd import (
    Adam,
    CoefficientDisplay,
    ConvergenceDisplay,
    GDClassifier,
    Objective,
    StoppingRule,
    gradient_descent,
    warmup,
)
from fastgd.fitting.stopping import user_rules

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.where(X[:, 0] > 0, 1.0, -1.0)


def bowl(x):
    return float(x @ x)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"rule": Adam},
            r"rule must be a string or a Rule component, got the class Adam: make it Adam\(...\)",
        ),
        ({"rule": None}, "rule must be a string or a Rule component, got None"),
        ({"momentum": "a"}, "momentum must be a number of at least 0 and below 1, got 'a'"),
        ({"eta0": "a"}, "eta0 must be a positive finite number, got 'a'"),
        ({"eta0": 1j}, "eta0 must be a positive finite number, got 1j"),
        ({"eta0": True}, "eta0 must be a positive finite number, got True"),
        ({"eta0": 10**400}, "eta0 must be a positive finite number, got 1000"),
        ({"power_t": None}, "power_t must be at least 0 and finite, got None"),
        ({"gtol": "a"}, r"gtol \(or tol\) must be a number of at least 0, got 'a'"),
        ({"gtol": np.ones(2)}, "gtol .* must be a number of at least 0, got array"),
        ({"tol": "a"}, "tol.* must be a number of at least 0, got 'a'"),
        ({"maxiter": True}, "maxiter must be an integer of at least 0, got True"),
        ({"learning_rate": np.ones(2)}, "learning_rate must be one of 'auto', .* got array"),
        ({"callback": 3}, "callback must be a callable or None, got 3"),
        ({"fun": 3}, "fun must be a callable, got 3"),
        ({"fun": lambda x: None}, "the objective must hold real numbers, got dtype object"),
        ({"fun": lambda x: "a"}, "the objective must hold real numbers, got dtype <U1"),
        ({"fun": lambda x: 1j}, "the objective must hold real numbers, got dtype complex"),
        ({"fun": lambda x: [1.0, [2.0]]}, "the objective must hold real numbers: .*inhomogeneous"),
        (
            {"fun": bowl, "jac": True},
            "with jac=True, fun must return the objective and its gradient, got 5.0",
        ),
        ({"jac": lambda x: None}, "the gradient must hold real numbers, got dtype object"),
        ({"jac": lambda x: 1j * x}, "the gradient must hold real numbers, got dtype complex"),
        ({"x0": "a"}, "x0 must hold real numbers, got dtype <U1"),
        ({"x0": [1j]}, "x0 must hold real numbers, got dtype complex"),
        ({"x0": sp.csr_array(np.ones((1, 2)))}, "x0 must hold real numbers, got dtype object"),
    ],
)
def test_gradient_descent(changed, message):
    arguments = {"fun": bowl, "x0": [1.0, 2.0], **changed}
    with pytest.raises(ValueError, match=message):
        gradient_descent(arguments.pop("fun"), arguments.pop("x0"), **arguments)


def test_gradients_that_gradient_descent_is_handed_stay_as_they_are():
    mine = np.array([2.0, 4.0])
    gradient_descent(bowl, start := np.array([1.0, 2.0]), jac=lambda x: mine, maxiter=3)
    np.testing.assert_array_equal(mine, [2.0, 4.0])
    np.testing.assert_array_equal(start, [1.0, 2.0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fit_intercept": "no"}, "fit_intercept must be True or False, got 'no'"),
        ({"fit_intercept": None}, "fit_intercept must be True or False, got None"),
        ({"fit_intercept": 1}, "fit_intercept must be True or False, got 1"),
        ({"alpha": True}, "alpha must be a finite number of at least 0, got True"),
        ({"alpha": 10**400}, "alpha must be a finite number of at least 0, got 1000"),
        ({"l1_ratio": "a"}, "l1_ratio must be a number from 0 to 1, got 'a'"),
        (
            {"loss": GDClassifier},
            "loss must be a string or a Loss or VectorLoss component, got the class GDClassifier",
        ),
    ],
)
def test_objective(changed, message):
    arguments = {"loss": "log_loss", **changed}
    with pytest.raises(ValueError, match=message):
        Objective(arguments.pop("loss"), X, Y, **arguments)


@pytest.mark.parametrize(
    "v", [["a"] * 4, np.ones(4) * 1j, [[1.0], [1.0, 2.0]], sp.csr_array(np.ones((1, 4))), None]
)
def test_vectors_of_unknowns(v):
    F = Objective("log_loss", X, Y)
    for function in (F.value, F.gradient, F.split, lambda p: F.hessian_product(F.start(), p)):
        with pytest.raises(ValueError, match="the vector of unknowns must hold"):
            function(v)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"losses": ["nope"]}, "losses must be a sequence of log_loss, .*, got .'nope'"),
        ({"losses": "log_loss"}, "losses must be a sequence of .*, got 'log_loss'"),
        ({"formats": ["coo"]}, "formats must be a sequence of dense, csr, got .'coo'"),
        ({"dtypes": ["int8"]}, "dtypes must be a sequence of float64, float32, got .'int8'"),
    ],
)
def test_what_warmup_cannot_compile_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        warmup(**changed)


def test_a_class_is_no_stopping_rule():
    with pytest.raises(ValueError, match="stop must be a StoppingRule, a function of the history"):
        user_rules(StoppingRule)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"what": ["bound"]},
            r"one of 'objective', 'bound', 'score', 'prequential', got \['bound'\]",
        ),
        ({"best": "a"}, "best must hold real numbers"),
        ({"best": []}, r"best must be a number, or one for each model, got \[\]"),
    ],
)
def test_what_a_display_cannot_draw_is_refused(options, message):
    history = {key: np.ones(2) for key in ("passes", "seconds", "objective", "bound")}
    with pytest.raises(ValueError, match=message):
        ConvergenceDisplay({"model": [history]}).plot(**options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GDClassifier, r"got the class GDClassifier: make it GDClassifier\(...\)"),
        (X, r"or a pipeline or a search that ends in one, got an array of shape \(12, 3\)"),
        (Ridge(), r"must be GDClassifier, GDRegressor or a search of theirs, .*, got Ridge\(\)"),
    ],
)
@pytest.mark.parametrize("display", [ConvergenceDisplay, CoefficientDisplay])
def test_what_is_no_estimator_of_ours_has_no_picture(display, given, message):
    with pytest.raises(ValueError, match=message):
        display.from_estimator(given)


def test_missing_values_of_a_frame_in_an_objective():
    frame = pd.DataFrame({"a": [0.5, 1.0], "b": pd.array([1, None], dtype="Int64")})
    with pytest.raises(TypeError, match="'NAType'; impute or drop missing values"):
        Objective("squared_error", frame, [0.0, 1.0])
