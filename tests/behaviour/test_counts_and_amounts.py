"""Losses with a link, end to end: the optimum of a slow twin, far starts, targets without a finite
optimum.
"""

import functools
import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.base import clone

from fastgd import Gamma, GDRegressor, GDRegressorCV, Loss, NegativeBinomial, Poisson, Tweedie
from fastgd.losses.base import has_mean
from support.twins import members, targets_of, with_jit

RNG = np.random.default_rng(1)
X = RNG.standard_normal((90, 3))
Z = X @ [0.6, -0.4, 0.1]
WEIGHTS = RNG.uniform(0.5, 2.0, 90) * (RNG.random(90) < 0.9)
OFFSET = RNG.uniform(-0.5, 0.5, 90)
LINKED = [
    *(loss for loss in members(Loss) if has_mean(loss)),
    Tweedie(1.2),
    Tweedie(2.5),
    NegativeBinomial(0.3),
]


def deviance(loss, y, z):
    """Half the deviance, without what the prediction does not change, as a textbook has it."""
    mean = np.exp(z)
    if loss.name == "binomial":
        return np.log1p(np.exp(-z)) + (1.0 - y) * z
    if loss.name == "negative_binomial":
        r = 1.0 / loss.dispersion
        return (y + r) * np.log(mean + r) - y * z
    known = {"poisson": 1.0, "gamma": 2.0, "inverse_gaussian": 3.0}.get(loss.name)
    p = loss.power if known is None else known
    if p == 1.0:
        return mean - y * z
    if p == 2.0:
        return z + y / mean
    return mean ** (2.0 - p) / (2.0 - p) - y * mean ** (1.0 - p) / (1.0 - p)


@pytest.mark.thinned(plain=1, compiled=7)
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("loss", LINKED, ids=repr)
def test_the_optimum_is_that_of_a_slow_twin(loss, storage):
    y = targets_of(loss, 2.0 * (Z + OFFSET) + RNG.standard_normal(90))

    def objective(v):
        z = X @ v[:3] + v[3] + OFFSET
        return np.average(deviance(loss, y, z), weights=WEIGHTS) + 0.025 * v[:3] @ v[:3]

    found = scipy.optimize.minimize(objective, np.zeros(4), method="Nelder-Mead", tol=1e-13)
    found = scipy.optimize.minimize(objective, found.x, method="BFGS", tol=1e-9)
    model = GDRegressor(loss, alpha=0.05, tol=1e-10, max_iter=3000)
    model.fit(storage(X), y, WEIGHTS, offset=OFFSET)
    assert model.bound_kind_ == ("proof" if loss.convex else "estimate")
    own = np.r_[model.coef_, model.intercept_]
    np.testing.assert_allclose(own, found.x, rtol=1e-4, atol=1e-5)
    assert objective(own) <= found.fun + 1e-9 * abs(found.fun)


SOLVERS = [
    {"solver": "newton"},
    {"solver": "lbfgs"},
    {"solver": "nesterov", "batch_size": "full"},
    {"solver": "gd", "batch_size": "full"},
]
FAR = {
    "rates of a million": lambda rng, z: np.floor(1e6 * np.exp(z) * rng.gamma(5.0, 0.2, z.size)),
    "nearly all 0": lambda rng, z: 1.0 * (np.arange(z.size) == 7),
    "over 14 orders of magnitude": lambda rng, z: np.exp(4.0 * rng.standard_normal(z.size)),
}


@functools.cache
def far(kind, loss, fit_intercept):
    """A table, its targets and the default model, which serves the tests of all solvers."""
    rng = np.random.default_rng(3)
    table = rng.standard_normal((100, 4))
    y = FAR[kind](rng, table @ [0.5, -0.3, 0.2, 0.0])
    settings = {"alpha": 1e-3, "tol": 1e-6, "fit_intercept": fit_intercept, "max_iter": 3000}
    if not loss.target_domain.contains(y).all():
        return None
    return table, y, GDRegressor(loss, **settings).fit(table, y)


@pytest.mark.thinned(plain=2, compiled=1)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("given", SOLVERS, ids=lambda given: given["solver"])
@pytest.mark.parametrize("kind", FAR)
def test_far_starts_arrive(kind, given, fit_intercept):
    """No step needs a bound of the curvature, which there is none of."""
    for loss in with_jit([Poisson()], [Poisson(), Gamma(), Tweedie(1.5), NegativeBinomial()]):
        if (found := far(kind, loss, fit_intercept)) is None:
            continue
        table, y, best = found
        model = clone(best).set_params(**given).fit(table, y)
        assert best.bound_kind_ == model.bound_kind_ == "proof"
        assert model.objective_ == pytest.approx(best.objective_, rel=3e-6)


@pytest.mark.thinned(plain=1, compiled=5)
@pytest.mark.parametrize(
    ("loss", "end"),
    [
        ("poisson", 0.0),
        (Tweedie(1.5), 0.0),
        ("negative_binomial", 0.0),
        *(("binomial", y) for y in (0.0, 1.0)),
    ],
    ids=str,
)
def test_where_there_is_no_finite_optimum(loss, end):
    y = np.full(90, end)
    message = f"y is {end:g} in every row that counts: loss .* has no finite optimum"
    for model in (GDRegressor(loss), GDRegressorCV(loss, cv=3)):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
    y[5] = 0.5
    weights = np.ones(90)
    weights[5] = 0.0
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss).fit(X, y, weights)
    counting = np.where(np.arange(90) < 40, end, 0.5)
    for table in (np.c_[counting, y], np.c_[y, counting]):
        with pytest.raises(ValueError, match=f"column [01] of {message}"):
            GDRegressor(loss).fit(X, table, weights)
    y[5] = end
    assert GDRegressor(loss, fit_intercept=False, alpha=0.1).fit(X, y).converged_
    chunks = GDRegressor(loss, random_state=0).partial_fit(X, y)
    assert np.isfinite(chunks.intercept_).all()
    chunks.partial_fit(X, targets_of(Tweedie(), Z) * (end == 0.0) * 0.1)


def test_where_every_target_is_the_same_there_may_be_one():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GDRegressor("poisson", alpha=0.1, tol=1e-8).fit(X, np.full(90, 4.0))
    np.testing.assert_allclose(model.predict(X), 4.0, rtol=1e-4)


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.parametrize("loss", [Poisson(), Gamma(), Tweedie(1.5)], ids=lambda loss: loss.name)
def test_rates_on_a_stream_do_not_depend_on_the_unit_of_amounts(loss):
    """Targets are on another scale than predictions: by their variance steps overflowed on amounts
    of 2,000.
    """
    rng = np.random.default_rng(0)
    table = rng.standard_normal((600, 3))
    y = rng.gamma(1.0, np.exp(table @ [0.5, -0.3, 0.2]))
    scores = []
    for unit in (1.0, 2000.0):
        model = GDRegressor(loss, alpha=1e-6, solver="gd", random_state=0)
        for start in range(0, 600, 150):
            model.partial_fit(table[start : start + 150], unit * y[start : start + 150])
        scores.append(model.score(table, unit * y))
    best = GDRegressor(loss, alpha=1e-6).fit(table, y).score(table, y)
    assert min(scores) > 0.6 * best


@pytest.mark.jit  # for long in plain Python
def test_counts_in_chunks_do_not_end_where_the_loss_is_steep():
    """Adagrad would: rare counts with a raw column sent it far out at once."""
    rng = np.random.default_rng(0)
    table = np.c_[rng.standard_normal((3000, 3)), 6.0 + 2.0 * rng.standard_normal(3000)]
    y = rng.poisson(0.1 * np.exp(table @ [0.5, -0.3, 0.2, 0.1])).astype(float)
    best = GDRegressor("poisson", alpha=1e-6).fit(table, y)
    model = GDRegressor("poisson", alpha=1e-6, random_state=0)
    for start in [*range(0, 3000, 500)] * 2:
        model.partial_fit(table[start : start + 500], y[start : start + 500])
    assert model.plan_.solver == "newton"
    assert model.score(table, y) > 0.98 * best.score(table, y)


@pytest.mark.thinned(plain=1, compiled=12)
@pytest.mark.parametrize("solver", ["gd", "adam"])
@pytest.mark.parametrize("first", [1, 60])
@pytest.mark.parametrize(
    "loss", [Poisson(), NegativeBinomial(), Tweedie(1.5)], ids=lambda loss: loss.name
)
def test_a_stream_whose_first_rows_are_all_0(loss, first, solver):
    """The rates are not those of a chunk of zeros. They were measured about its null model, at -32:
    1e13, and a score of -inf for ever.
    """
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 4))
    y = rng.poisson(np.exp(X @ [0.5, -0.3, 0.2, 0.1])).astype(float)
    y[:first] = 0.0
    model = GDRegressor(loss, solver=solver, batch_size=1, random_state=0)
    model.partial_fit(X[:first], y[:first])
    assert model._states[0].memory.tuning.passing
    for rows in np.array_split(np.arange(first, 600), 10):
        model.partial_fit(X[rows], y[rows])
    memory = model._states[0].memory
    assert memory.divisor == 1.0
    assert not memory.tuning.passing
    best = GDRegressor(loss).fit(X, y).score(X, y)
    assert model.score(X, y) > 0.6 * best > 0.1
