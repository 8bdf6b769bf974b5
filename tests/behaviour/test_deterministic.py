"""Without a random_state whatever `auto` chooses repeats, bit for bit; what was asked for by
name is drawn anew.
"""

# ruff: noqa: NPY002 - NumPy's global generator is what these are about

import pickle

import joblib
import numba
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from fastgd import GDClassifier, GDClassifierCV, GDRegressor
from fastgd.fitting.choose_solver import batch_sizes
from fastgd.fitting.plan import Settings, random_by_name
from fastgd.losses.classification import LogLoss


def table(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d)
    return X, np.where(z + 0.5 * z.std() * rng.standard_normal(n) > 0.0, 1.0, -1.0)


class Untouched:
    """Fails where NumPy's global generator was drawn from."""

    def __enter__(self):
        np.random.seed(5)
        self.before = np.random.get_state()

    def __exit__(self, *error):
        after = np.random.get_state()
        assert after[2:] == self.before[2:]
        np.testing.assert_array_equal(after[1], self.before[1])


def fitted(model, X, y):
    fit = model.fit(X, y)
    return np.r_[np.ravel(fit.coef_), np.ravel(fit.intercept_), fit.n_iter_]


COMPILED = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
# A growing batch, dual ascent, one-row steps, a sampled working set, and the central path.
CHOSEN = [
    pytest.param(GDClassifier(), (60_000, 20), "growing", marks=COMPILED),
    (GDClassifier("hinge", alpha=0.1), (200, 5), "sdca"),
    (GDClassifier(max_iter=1), (1500, 5), "adagrad"),
    (GDClassifier("hinge", max_iter=1, tol=None), (200, 5), "adagrad"),
    (GDClassifier("perceptron", max_iter=20), (200, 5), "gd"),
    pytest.param(GDClassifier(penalty="l1", alpha=1e-3), (5000, 30), "newton", marks=COMPILED),
    (GDRegressor("quantile"), (200, 5), "interior point"),
    (GDRegressor(solver="newton", batch_size="growing", loss="huber"), (3000, 5), "growing"),
]


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.filterwarnings("ignore:Stopped because")
@pytest.mark.parametrize(("model", "shape", "word"), CHOSEN)
def test_what_is_chosen_repeats(model, shape, word):
    X, y = table(*shape)
    with Untouched():
        first = fitted(model, X, y)
        assert word in str(model.plan_)
        again = fitted(model, X, y)
        other = fitted(pickle.loads(pickle.dumps(clone(model))), X, y)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(other, first)
    np.testing.assert_array_equal(fitted(clone(model).set_params(random_state=0), X, y), first)


@pytest.mark.plain
def test_classes_and_chunks_repeat():
    X, y = table(300, 4)
    y = y + (X[:, 0] > 1.0)
    with Untouched():
        first, again = (fitted(GDClassifier("hinge", alpha=0.1), X, y) for _ in range(2))
        streams = [GDClassifier(), GDClassifier()]
        for model in streams:
            for rows in np.array_split(np.arange(300), 4):
                model.partial_fit(X[rows], y[rows], classes=np.unique(y))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(streams[0].coef_, streams[1].coef_)


def test_workers_and_searches_repeat():
    X, y = table(200, 5)
    model = GDClassifier("hinge", alpha=0.1)
    first = fitted(model, X, y)
    for found in joblib.Parallel(n_jobs=2)(
        joblib.delayed(fitted)(clone(model), X, y) for _ in range(2)
    ):
        np.testing.assert_array_equal(found, first)
    with Untouched():
        grids = [
            GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=3).fit(X, y).cv_results_ for _ in range(2)
        ]
        paths = [GDClassifierCV("hinge", alphas=[1.0, 0.1], cv=3).fit(X, y) for _ in range(2)]
    np.testing.assert_array_equal(grids[0]["mean_test_score"], grids[1]["mean_test_score"])
    np.testing.assert_array_equal(paths[0].scores_, paths[1].scores_)
    np.testing.assert_array_equal(paths[0].coef_, paths[1].coef_)
    np.testing.assert_array_equal(
        paths[0].coef_, GDClassifier("hinge", alpha=paths[0].alpha_).fit(X, y).coef_
    )


NAMED = [
    {"solver": "saga"},
    {"solver": "svrg"},
    {"solver": "sdca"},
    {"solver": "gd", "batch_size": 8},
    {"solver": "adam", "batch_size": 0.1},
    {"batch_size": 16},
    {"learning_rate": "constant"},
    {"solver": "adagrad", "loss": "hinge"},
]


@pytest.mark.thinned(plain=1, compiled=4)
@pytest.mark.filterwarnings("ignore:Stopped because")
@pytest.mark.parametrize("given", NAMED)
def test_what_was_named_is_drawn_by_numpy_s_convention(given):
    X, y = table(200, 5)
    model = GDClassifier(**given, alpha=0.1, max_iter=3, tol=None)
    np.random.seed(1)
    first, second = (fitted(model, X, y) for _ in range(2))
    np.random.seed(1)
    np.testing.assert_array_equal(fitted(model, X, y), first)
    assert (first != second).any()
    with Untouched():
        seeded = [fitted(clone(model).set_params(random_state=3), X, y) for _ in range(2)]
    np.testing.assert_array_equal(seeded[0], seeded[1])


@pytest.mark.plain
def test_a_search_by_name_draws_once_for_all_paths_and_folds():
    X, y = table(120, 4)
    search = GDClassifierCV(
        solver="sdca", penalty="elasticnet", l1_ratios=[0.5, 0.5], alphas=[0.1], cv=3, max_iter=2
    )
    search.set_params(tol=None)
    np.random.seed(1)
    first = search.fit(X, y).coef_
    assert (search.scores_[0] == search.scores_[1]).all()
    assert (search.fit(X, y).coef_ != first).any()
    np.random.seed(1)
    np.testing.assert_array_equal(search.fit(X, y).coef_, first)


def test_rows_held_out_are_drawn_as_scikit_learn_does():
    X, y = table(300, 4)
    for kind in (GDClassifier, SGDClassifier):
        np.random.seed(1)
        before = np.random.get_state()[2]
        kind(early_stopping=True).fit(X, y)
        assert np.random.get_state()[2] != before
    with Untouched():
        models = [GDClassifier(early_stopping=True, random_state=2).fit(X, y) for _ in range(2)]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)


def test_all_rows_are_not_random():
    for solver in ("newton", "lbfgs", "gd", "adam", "auto"):
        assert not random_by_name(Settings(solver=solver), LogLoss())
        for batch in ("full", "growing", 1.0):
            assert not random_by_name(Settings(solver=solver, batch_size=batch), LogLoss())
    random = {name for name in batch_sizes() if random_by_name(Settings(solver=name), LogLoss())}
    assert random == {"saga", "svrg", "sdca"}
    assert not random_by_name(Settings(learning_rate="line_search"), LogLoss())
    assert not random_by_name(Settings(), LogLoss(), streaming=True)
    assert random_by_name(Settings(solver="gd"), LogLoss(), streaming=True)
