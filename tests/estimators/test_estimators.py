"""scikit-learn's own checks of what an estimator has to be, in every batch strategy."""

import numba
import pytest
from sklearn.base import is_regressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgd import GDClassifier, GDRegressor
from fastgd.fitting.choose_solver import batch_sizes
from fastgd.rules.base import Rule
from fastgd.solvers import REGISTRY
from support.twins import members

SETS = [
    {},
    {"solver": "gd", "batch_size": "full"},
    {"solver": "adam", "batch_size": 8, "max_iter": 20},
    {"solver": "lbfgs"},
    {"solver": "newton", "batch_size": "growing"},
    {"solver": "sdca", "max_iter": 8},
    {"solver": "newton", "penalty": "l1", "tol": 1e-10},
    # With twice as many columns as rows and l1, momentum's restarts let rounding grow to 1e-5 in a
    # thousand iterations.
    {"penalty": "elasticnet", "batch_size": "full", "max_iter": 40},
]
# Others of the same kinds: a long form.
MORE = [
    {"solver": "saga", "batch_size": 1},
    {"solver": "gd", "batch_size": 1, "max_iter": 8},
    {"solver": "adam", "batch_size": "full"},
    {"learning_rate": "line_search"},
    {"solver": "momentum", "batch_size": "full"},
    {"solver": "adagrad", "batch_size": "full", "learning_rate": "constant", "eta0": 0.5},
    {"solver": "nesterov", "batch_size": "full", "learning_rate": "line_search"},
    {"solver": "gd", "batch_size": 8, "max_iter": 8},
    {"solver": "nesterov", "batch_size": 0.5, "max_iter": 20},
    {"solver": "adagrad", "batch_size": 1, "max_iter": 8},
    {"solver": "lbfgs", "batch_size": "growing"},
    {"solver": "saga", "max_iter": 8},
    {"solver": "svrg", "batch_size": 4, "max_iter": 8},
]
CLASSIFIERS_ONLY = [
    {"loss": "hinge", "learning_rate": "pa1", "eta0": 1.0, "max_iter": 8},
    {"loss": "hinge", "max_iter": 8},
]
MORE_CLASSIFIERS = [
    # Where it lets rounding grow, on three classes at once, 20 iterations do not.
    {"solver": "rmsprop", "batch_size": 1.0, "max_iter": 20},
    {"solver": "gd", "batch_size": 1, "learning_rate": "optimal", "max_iter": 8},
    {"loss": "modified_huber", "max_iter": 20},
]
REGRESSORS_ONLY = [{"loss": "epsilon_insensitive", "max_iter": 8}]
MORE_REGRESSORS = [
    {"loss": "huber", "max_iter": 30},
    # Its rates are halfway up after 20 updates, with a score of 0.4: of 0.81 after 40.
    {"solver": "rmsprop", "batch_size": 1.0, "max_iter": 40},
]
# Every set runs compiled, `MORE` in the long form.  The Python around them is the same for all: of
# each kind of solver one runs without the JIT.
PLAIN = [
    {},
    {"solver": "gd", "batch_size": 1, "max_iter": 8},
    {"solver": "adam", "batch_size": 8, "max_iter": 20},
]

if numba.config.DISABLE_JIT:
    FOR_CLASSIFIERS = FOR_REGRESSORS = PLAIN
else:
    FOR_CLASSIFIERS, FOR_REGRESSORS = SETS + CLASSIFIERS_ONLY, SETS + REGRESSORS_ONLY
ESTIMATORS = [GDClassifier(**chosen) for chosen in FOR_CLASSIFIERS]
ESTIMATORS += [GDRegressor(**chosen) for chosen in FOR_REGRESSORS]


RANDOM = {solver.name for solver in REGISTRY if solver.traits.random and not solver.rule_name}


def test_every_solver_and_every_rule_is_checked():
    chosen = SETS + MORE + MORE_CLASSIFIERS + MORE_REGRESSORS
    named = {parameters["solver"] for parameters in chosen if "solver" in parameters}
    assert named == {*batch_sizes(), *(rule.name for rule in members(Rule))}


def stochastic(estimator):
    """Whether updates see some of the rows, in an order that depends on how many rows there are."""
    if estimator.solver in RANDOM:
        return True
    if estimator.solver in Rule.members() and exact_in_the_end(estimator):
        return False
    if estimator.batch_size == "auto":
        return estimator.learning_rate in ("pa1", "pa2", "optimal")
    if estimator.batch_size == "growing":
        return False  # these few rows leave nothing to grow
    return estimator.batch_size != "full" and not (
        isinstance(estimator.batch_size, float) and estimator.batch_size == 1
    )


def exact_in_the_end(estimator):
    """Whether automatic steps on few rows are succeeded by a plan that solves least squares."""
    automatic = estimator.learning_rate == "auto" and estimator.tol is not None
    return automatic and is_regressor(estimator) and estimator.loss == "squared_error"


def expected_failures(estimator):
    if estimator.loss == "modified_huber":
        return {
            "check_classifiers_multilabel_output_format_predict_proba": (
                "far from the boundary its probabilities are 0 and 1, as those of SGDClassifier"
            )
        }
    if not stochastic(estimator):
        return {}
    why = "a repeated row is visited more often than a weighted one"
    return dict.fromkeys(
        (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weight_equivalence_on_sparse_data",
        ),
        why,
    )


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
# Checks run few iterations, of raw columns: the warning that more would help is right.
@pytest.mark.thinned(plain=1, compiled=8)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.long
@parametrize_with_checks(
    [GDClassifier(**chosen) for chosen in MORE + MORE_CLASSIFIERS]
    + [GDRegressor(**chosen) for chosen in MORE + MORE_REGRESSORS],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_scikit_learn_check_of_more(estimator, check):
    check(estimator)
