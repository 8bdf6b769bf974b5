"""Warm starts where the data or the parameters have changed: nothing of the earlier problem is
claimed of the later one.
"""

import copy
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastgd import ConvergenceWarning, GDClassifier, GDRegressor, GroupLasso

RNG = np.random.default_rng(0)
N, D = 60, 4
X = RNG.standard_normal((N, D))
OTHER = RNG.standard_normal((N, D))
Y = np.round(4.0 * (X @ [1.0, -1.0, 0.5, 0.2])) + 20.0
USELESS = np.zeros((N, D))
USELESS[:, 0] = 1e3 * np.sign(RNG.standard_normal(N))
FITS = {
    "least squares": {},
    "least squares, sparse": {},
    "to 1e-9": {"tol": 1e-9},
    "l1": {"penalty": "l1"},
    "positive": {"positive": True},
    "groups": {"penalty": GroupLasso([[0, 1], [2, 3]])},
    "lbfgs": {"solver": "lbfgs"},
    "gd": {"solver": "gd", "batch_size": "full"},
    "saga": {"solver": "saga"},
    "svrg": {"solver": "svrg"},
    "sdca": {"solver": "sdca"},
    "adam": {"solver": "adam", "batch_size": 8},
    "quantile": {"loss": "quantile"},
    "huber": {"loss": "huber"},
    "poisson": {"loss": "poisson"},
}
SMALL, LARGE, ENOUGH = {"alpha": 1e-3}, {"alpha": 10.0}, {"alpha": 1e6}
# Each of two fits: parameters, X, y and weights.
CHANGES = {
    "alpha up": ((SMALL, X, Y, None), (LARGE, X, Y, None)),
    "alpha down": ((LARGE, X, Y, None), (SMALL, X, Y, None)),
    "alpha down from 0": ((ENOUGH, X, Y, None), (SMALL, X, Y, None)),
    "other X": ((SMALL, X, Y, None), (SMALL, OTHER, Y, None)),
    "useful X": ((LARGE, USELESS, Y, None), (SMALL, X, Y, None)),
    "other y": ((SMALL, X, Y, None), (SMALL, X, Y[::-1].copy(), None)),
    "weights": ((SMALL, X, Y, None), (SMALL, X, Y, np.arange(N) % 3.0)),
}


def fitted(model, params, X, y, weights, make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.set_params(**params).fit(make(X), y, sample_weight=weights)


def value(model, params, X, y, weights):
    """F at a model, with no data or state of its own: by a fit that makes no step."""
    start = {"coef_init": model.coef_, "intercept_init": model.intercept_}
    still = clone(model).set_params(warm_start=False, max_iter=1, tol=None, **params)
    still.set_params(solver="gd", batch_size="full", learning_rate="constant", eta0=1e-300)
    return still.fit(X, y, sample_weight=weights, **start).objective_


@pytest.mark.thinned(plain=1, compiled=7)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FITS)
def test_claims_are_of_the_later_problem(name, change):
    make = sp.csr_array if "sparse" in name else np.asarray
    first, second = CHANGES[change]
    model = GDRegressor(warm_start=True, random_state=0, **FITS[name])
    model = fitted(fitted(model, *first, make), *second, make)
    cold = fitted(
        clone(model).set_params(warm_start=False, solver="auto", batch_size="auto"), *second, make
    )
    assert model.objective_ == pytest.approx(value(model, *second), rel=1e-9)
    if model.bound_kind_ == "proof":
        least = cold.objective_ * (1.0 + 1e-12)
        unit = max(model.objective_, 1e-300)
        assert model.objective_ <= least + 1.01 * model.suboptimality_ * unit


@pytest.mark.parametrize("alpha", [1e-4, 10.0])
def test_a_changed_alpha_is_fitted(alpha):
    """The one-pass fit of least squares remembered a matrix at the null model, where F is the same
    for every X and alpha: the old model came back, with a proof.
    """
    model = GDRegressor(alpha=1e-2, warm_start=True).fit(X, Y).set_params(alpha=alpha).fit(X, Y)
    np.testing.assert_allclose(model.coef_, GDRegressor(alpha=alpha).fit(X, Y).coef_, rtol=1e-6)


def test_classes_and_a_changed_alpha():
    labels = np.digitize(Y, [18.0, 22.0])
    for solver in ("auto", "newton", "lbfgs"):
        model = GDClassifier(alpha=1e-2, warm_start=True, solver=solver, tol=1e-8).fit(X, labels)
        model = copy.deepcopy(model).set_params(alpha=1.0).fit(X, labels)
        cold = GDClassifier(alpha=1.0, tol=1e-8).fit(X, labels)
        assert model.objective_ == pytest.approx(cold.objective_, rel=1e-7)
