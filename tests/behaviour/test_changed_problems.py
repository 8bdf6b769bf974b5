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
from fastgd.fitting.choose_solver import batch_sizes

RNG = np.random.default_rng(0)
N, D = 60, 4
X = RNG.standard_normal((N, D))
OTHER = RNG.standard_normal((N, D))
Y = np.round(4.0 * (X @ [1.0, -1.0, 0.5, 0.2])) + 20.0
ORDER = RNG.permutation(N)
EMPTIED = X * [1.0, 0.0, 1.0, 1.0]
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
    "other rows": ((SMALL, X, Y, np.arange(N) % 2.0), (SMALL, X, Y, (np.arange(N) + 1) % 2.0)),
    "fewer rows": ((SMALL, X, Y, None), (SMALL, X[:40], Y[:40], None)),
    "order": ((SMALL, X, Y, None), (SMALL, X[ORDER], Y[ORDER], None)),
    "a column empties": ((SMALL, X, Y, None), (SMALL, EMPTIED, Y, None)),
}


def test_every_solver_with_a_name_is_here():
    named = {one["solver"] for one in FITS.values() if "solver" in one}
    assert set(batch_sizes()) <= named | {"newton"}  # which auto takes for least squares


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


@pytest.mark.thinned(plain=2, compiled=12)
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
    assert model.bound_kind_ == "proof"
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


def test_levels_that_are_paired_anew_are_other_data():
    """Sums over one-hot rows are the same however levels are paired: the old model was proved."""
    y = np.repeat([0.0, 1.0], 32)
    level = (RNG.random(64) < 0.3 + 0.5 * y).astype(float)
    other = level.copy()
    for value in (0.0, 1.0):
        index = np.flatnonzero(y == value)
        other[index] = level[RNG.permutation(index)]
    first, second = (np.c_[level, 1.0 - level, b, 1.0 - b] for b in (level, other))
    model = GDRegressor(alpha=1e-2, warm_start=True).fit(first, y).fit(second, y)
    cold = GDRegressor(alpha=1e-2).fit(second, y)
    np.testing.assert_allclose(model.coef_, cold.coef_, rtol=1e-6, atol=1e-9)


def test_rows_of_a_wide_table_in_another_order():
    wide = RNG.standard_normal((40, 200))
    labels = RNG.integers(0, 2, 40)
    order = RNG.permutation(40)
    model = GDClassifier(solver="newton", tol=1e-6, warm_start=True, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(wide, labels)
    assert model.set_params(max_iter=1000).fit(wide[order], labels[order]).converged_


@pytest.mark.jit
def test_growing_batches_of_other_numbers_of_rows():
    many = RNG.standard_normal((80_000, 4))
    labels = (many[:, 0] + RNG.standard_normal(80_000) > 0.0).astype(int)
    model = GDClassifier(batch_size="growing", warm_start=True)
    for n in (6_000, 80_000, 20_000):
        assert model.fit(many[:n], labels[:n]).converged_


def test_averages_are_of_one_problem():
    settings = {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 0.1}
    settings |= {"average": True, "max_iter": 50, "tol": None}
    y = (Y - 20.0) / 4.0
    model = GDRegressor(alpha=10.0, warm_start=True, **settings).fit(X, y)
    model.set_params(alpha=1e-3).fit(X, y)
    assert model.objective_ <= GDRegressor(alpha=1e-3, **settings).fit(X, y).objective_


@pytest.mark.parametrize("change", [{"solver": "saga"}, {"multi_class": "ovr"}], ids=str)
def test_probabilities_are_of_the_model_that_was_fitted(change):
    labels = np.digitize(Y, [18.0, 22.0])
    model = GDClassifier().fit(X, labels)
    before = model.predict_proba(X), model.predict_log_proba(X)
    model.set_params(**change)
    np.testing.assert_array_equal(model.predict_proba(X), before[0])
    np.testing.assert_array_equal(model.predict_log_proba(X), before[1])
