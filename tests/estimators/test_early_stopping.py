"""Rows held out: every check has its score, and the best one's model is kept."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import scale

from fastgd import ConvergenceDisplay, GDClassifier, GDRegressor, Loss, MultiTask, StopReason

pytestmark = pytest.mark.filterwarnings("ignore:.*max_iter was reached")
STEPS = {"solver": "adam", "batch_size": 32, "random_state": 0}
QUICK = {"early_stopping": True, **STEPS}


def halves(X, y):
    return (X[::2], y[::2]), (X[1::2], y[1::2])


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.mark.parametrize("max_iter", [3, 1000])
def test_the_best_check_is_kept_and_told(max_iter):
    (X, y), (X_val, y_val) = halves(*cancer())
    model = GDClassifier(max_iter=max_iter, n_iter_no_change=3, tol=1e-3, **STEPS)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    history = model.history_
    assert np.isfinite(history["score"]).all()
    assert history["score"].size == history["kept"].size == history["passes"].size
    assert model.stop_reason_ in (StopReason.VALIDATION, StopReason.MAX_ITER)
    assert history["score"][history["kept"]] == [history["score"].max()]
    assert model.best_validation_score_ == history["score"].max()
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))


@pytest.mark.parametrize("seed", [0, 3, 5, 8])
def test_the_model_that_was_scored_is_kept(seed):
    """At the end it was given a better intercept, beside the score of the other: -0.172 in R
    squared, which had -0.150.
    """
    rng = np.random.default_rng(seed)
    tables = (rng.standard_normal((n, 6)) for n in (25, 15))
    (X, y), (X_val, y_val) = (
        (X, X @ rng.standard_normal(6) + 2.0 * rng.standard_normal(len(X))) for X in tables
    )
    model = GDRegressor(
        "huber", epsilon=0.5, alpha=0.1, solver="lbfgs", n_iter_no_change=3, tol=1e-3
    )
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.stop_reason_ is StopReason.VALIDATION
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val), rel=1e-12)


def test_a_regressor_is_scored_by_r_squared():
    (X, y), (X_val, y_val) = halves(*load_diabetes(return_X_y=True))
    model = GDRegressor(max_iter=50, **STEPS).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))


def test_each_class_has_its_scores():
    X, y = load_iris(return_X_y=True)
    model = GDClassifier(multi_class="ovr", **QUICK, max_iter=20).fit(scale(X), y)
    best = [history["score"].max() for history in model.history_]
    assert all(history["kept"].sum() == 1 for history in model.history_)
    assert model.best_validation_score_ == pytest.approx(np.mean(best))


def test_without_held_out_rows_there_are_none():
    X, y = cancer()
    model = GDClassifier(**QUICK, max_iter=5).fit(X, y)
    model.set_params(early_stopping=False).fit(X, y)
    assert "score" not in model.history_
    assert not hasattr(model, "best_validation_score_")


def test_lines_end_with_the_score(capsys):
    X, y = cancer()
    model = GDClassifier(**QUICK, max_iter=2, verbose=1).fit(X, y)
    _, header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.endswith("  score")
    assert first.endswith(f"  {model.history_['score'][0]:.6g}")


def test_scores_are_drawn_with_a_star_where_one_was_kept():
    X, y = cancer()
    model = GDClassifier(**QUICK, max_iter=6).fit(X, y)
    display = ConvergenceDisplay.from_estimator(model, what="score", ax=Figure().subplots())
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), model.history_["score"])
    assert display.ax_.get_yscale() == "linear"
    star = display.ax_.lines[-1]
    assert star.get_ydata() == [model.best_validation_score_]
    other = GDClassifier(max_iter=20).fit(X, y)
    with pytest.raises(ValueError, match=r"no check has a finite score .* early_stopping=True"):
        ConvergenceDisplay.from_estimator(other, what="score", ax=Figure().subplots())


def test_several_targets_are_scored_as_by_score():
    """The mean of R^2 over the targets: by their variances one target was all of it."""
    X, y = load_diabetes(return_X_y=True)
    table = np.column_stack([100.0 * y, np.random.default_rng(0).permutation(y)])
    (X, y), (X_val, y_val) = halves(20.0 * X, table)
    model = GDRegressor(penalty=MultiTask(), alpha=0.1).fit(X, y, X_val=X_val, y_val=y_val)
    kept = model.history_["score"][model.history_["kept"]]
    assert kept == pytest.approx([model.score(X_val, y_val)], rel=1e-9)


class Counts(Loss):
    """A link, and no infimum: its score is R^2 on the scale of the targets."""

    def value(self, prediction, target):
        return np.exp(prediction) - target * prediction

    def derivative(self, prediction, target):
        return np.exp(prediction) - target

    def mean(self, predictions):
        return np.exp(predictions)


@pytest.mark.plain
def test_a_link_is_applied_before_scores():
    X, y = load_diabetes(return_X_y=True)
    (X, y), (X_val, y_val) = halves(20.0 * X, np.floor(y / 50.0))
    model = GDRegressor(Counts(), alpha=0.1).fit(X, y, X_val=X_val, y_val=y_val)
    kept = model.history_["score"][model.history_["kept"]]
    assert kept == pytest.approx([model.score(X_val, y_val)], rel=1e-9)


def test_class_weights_do_not_weigh_scores():
    X, y = cancer()
    weights = np.random.default_rng(0).integers(1, 3, y.size).astype(float)
    settings = {"class_weight": {0: 50.0}, "alpha": 0.1, "max_iter": 1, "tol": None}
    model = GDClassifier(**settings, **QUICK).fit(X, y, sample_weight=weights)
    split = StratifiedShuffleSplit(
        test_size=0.1, random_state=np.random.RandomState(0).randint(2**31 - 1)
    )
    held = np.sort(next(split.split(X, y))[1])
    expected = model.score(X[held], y[held], weights[held])
    assert model.best_validation_score_ == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "y", "y_val", "message"),
    [
        (GDClassifier(), ["a", "b"], ["a", "z"], r"y_val holds labels .* \['a' 'b'\]: \['z'\]$"),
        (
            GDRegressor("poisson"),
            [0.0, 2.0],
            [0.0, -2.0],
            r"y_val must be in \[0, inf\) .* \(first in row 30\)$",
        ),
    ],
)
def test_what_is_wrong_with_held_out_targets_is_told_of_them(model, y, y_val, message):
    X = np.random.default_rng(0).normal(size=(60, 3))
    with pytest.raises(ValueError, match=message):
        model.fit(X, np.repeat(y, 30), X_val=X, y_val=np.repeat(y_val, 30))


@pytest.mark.parametrize("model", [GDRegressor(), GDRegressor(penalty=MultiTask()), GDClassifier()])
def test_held_out_targets_have_as_many_columns(model):
    X = np.random.default_rng(0).normal(size=(60, 3))
    Y = X > 0.0 if isinstance(model, GDClassifier) else X
    with pytest.raises(ValueError, match=r"y_val must have shape \(60, 3\), .* got \(60, 1\)"):
        model.fit(X, Y, X_val=X, y_val=Y[:, :1])
    model.fit(X, Y[:, 0], X_val=X, y_val=Y[:, :1])
    assert model.best_validation_score_ > 0.9


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": "constant", "eta0": 0.05},
        {"solver": "gd", "batch_size": 1},
        {"solver": "adam", "batch_size": 8},
        {"solver": "momentum", "batch_size": "full", "learning_rate": "constant", "eta0": 0.05},
    ],
    ids=str,
)
def test_chunks_go_on_from_the_model_that_was_kept(options):
    """They went on from the last iterate: R^2 on held-out rows of -0.93 for -0.08."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 30))
    y = X[:, 0] + 3.0 * rng.normal(size=300)
    model = GDRegressor(random_state=0, max_iter=50, n_iter_no_change=20, **options)
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    assert not model.history_["kept"][-1]
    kept = model.coef_
    model.partial_fit(np.zeros((1, 30)), y[:1])
    np.testing.assert_allclose(model.coef_, kept, rtol=1e-4)
