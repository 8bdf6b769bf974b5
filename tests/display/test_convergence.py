"""`ConvergenceDisplay`: what the lines show, which estimators it takes, and what it says where
it cannot draw.
"""

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgd
from fastgd import ConvergenceDisplay, GDClassifier, GDRegressor, InverseGaussian

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=60)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]


@pytest.fixture(scope="module")
def models():
    slow = GDRegressor(
        solver="gd", batch_size="full", learning_rate="constant", eta0=0.1, tol=None, max_iter=8
    )
    return {"slow": slow.fit(X, Y), "auto": GDRegressor(tol=1e-8).fit(X, Y)}


@pytest.fixture(scope="module")
def one_vs_rest():
    return GDClassifier(alpha=0.1, multi_class="ovr").fit(X, LABELS)


@pytest.mark.parametrize("against", ["passes", "seconds"])
def test_objective_is_drawn_above_the_lowest_of_all_fits(models, ax, against):
    display = ConvergenceDisplay.from_estimators(models, against=against, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_yscale() == "log"
    line, history = display.lines_[0], models["slow"].history_
    np.testing.assert_array_equal(line.get_xdata(), history[against])
    np.testing.assert_array_equal(
        line.get_ydata(), history["objective"] - models["auto"].history_["objective"].min()
    )
    assert [line.get_label() for line in display.lines_] == ["slow", "auto"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slow", "auto"]


def test_bound_is_drawn_as_it_was_known(models, ax):
    display = ConvergenceDisplay.from_estimator(models["slow"], what="bound", ax=ax)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), models["slow"].history_["bound"])
    assert display.lines_[0].get_label() == "GDRegressor"


def test_best_can_be_given_and_a_display_drawn_again(models, ax):
    display = ConvergenceDisplay.from_estimator(
        models["auto"], best=0.0, ax=ax, c="k", name="newton"
    )
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata(), models["auto"].history_["objective"]
    )
    assert display.lines_[0].get_color() == "k"
    assert display.plot(Figure().subplots(), what="bound", against="seconds") is display
    assert display.ax_ is not ax
    assert display.ax_.get_xlabel() == "seconds"


def test_one_vs_rest_has_a_line_for_each_class(one_vs_rest, ax):
    display = ConvergenceDisplay.from_estimator(one_vs_rest, what="bound", ax=ax)
    assert [line.get_label() for line in display.lines_] == [
        f"GDClassifier, class {label}" for label in "abc"
    ]
    both = {"one": one_vs_rest, "two": one_vs_rest}
    display = ConvergenceDisplay.from_estimators(both, what="bound", ax=Figure().subplots())
    assert len(display.lines_) == 6
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "one, 3 models",
        "two, 3 models",
    ]
    assert len({line.get_linestyle() for line in display.lines_}) == 2


def test_early_stages_of_a_growing_batch_are_left_out(ax):
    many = RNG.normal(size=(4000, 3))
    model = GDRegressor(batch_size="growing", random_state=0).fit(
        many, many[:, 0] + RNG.normal(size=4000)
    )
    display = ConvergenceDisplay.from_estimator(model, best=0.0, ax=ax)
    history = model.history_
    assert (history["batch"] < 4000).any()
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata(), history["objective"][history["batch"] == 4000]
    )


def test_the_last_check_of_a_growing_batch_is_there_without_a_bound(ax):
    y = np.exp(0.3 * X[:, 0]) * RNG.gamma(3.0, size=len(X))
    model = GDRegressor(InverseGaussian(), batch_size="growing", tol=None, max_iter=3).fit(X, y)
    assert not np.isfinite(model.history_["bound"]).any()
    display = ConvergenceDisplay.from_estimator(model, best=0.0, ax=ax)
    assert display.lines_[0].get_ydata().tolist() == [model.history_["objective"][-1]]
    with pytest.raises(ValueError, match="no check has a positive F - best known F"):
        ConvergenceDisplay.from_estimator(model)


def test_a_fit_of_one_step_is_drawn_at_its_bound(models, ax):
    at_once = GDRegressor(alpha=0.1).fit(X, Y)
    assert at_once.history_["objective"].size == 1
    display = ConvergenceDisplay.from_estimator(at_once, ax=ax)
    (line,) = display.lines_
    assert line.get_marker() == "v"
    np.testing.assert_array_equal(line.get_ydata(), at_once.history_["bound"])
    with pytest.raises(ValueError, match="no check has a positive"):
        # Far from the best that is given, its own bound tells nothing of the distance to it.
        ConvergenceDisplay.from_estimator(at_once, best=at_once.objective_ + 1.0, ax=ax)


def test_many_checks_have_few_markers_and_passes_may_be_spaced_by_their_logarithm(ax):
    checks = np.arange(1.0, 101.0)
    history = {"passes": checks, "objective": 1.0 + 0.9**checks, "bound": np.inf * checks}
    display = ConvergenceDisplay({"model": [history]}).plot(ax, best=1.0, xscale="log")
    assert ax.get_xscale() == "log"
    assert 0.0 < display.lines_[0].get_markevery() < 0.1
    display.plot(Figure().subplots(), best=1.0, markevery=2)
    assert display.lines_[0].get_markevery() == 2
    with pytest.raises(ValueError, match="xscale must be one of 'linear', 'log', got 'lin'"):
        display.plot(xscale="lin")


def test_pipelines_searches_and_estimators_to_fit(models, ax):
    pipeline = make_pipeline(StandardScaler(), GDRegressor())
    display = ConvergenceDisplay.from_estimator(pipeline, X, Y, what="bound", ax=ax)
    assert display.lines_[0].get_label() == "GDRegressor"
    assert not hasattr(pipeline[-1], "coef_")
    search = GridSearchCV(GDRegressor(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    display = ConvergenceDisplay.from_estimator(search, what="bound", ax=ax)
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata(), search.best_estimator_.history_["bound"]
    )


def test_what_cannot_be_drawn_is_said(models, ax):
    with pytest.raises(ValueError, match="'score', 'prequential', got 'loss'"):
        ConvergenceDisplay.from_estimator(models["auto"], what="loss", ax=ax)
    with pytest.raises(
        ValueError, match="against must be one of 'passes', 'seconds', got 'epochs'"
    ):
        ConvergenceDisplay.from_estimator(models["auto"], against="epochs", ax=ax)
    with pytest.raises(ValueError, match=r"no check has a positive F - best known F.*what='bound'"):
        ConvergenceDisplay.from_estimator(models["auto"], best=1e9, ax=ax)
    with pytest.raises(ValueError, match="dict of name to estimator"):
        ConvergenceDisplay.from_estimators(models["auto"])
    with pytest.raises(ValueError, match="X and y go together"):
        ConvergenceDisplay.from_estimator(GDRegressor(), X)
    with pytest.raises(NotFittedError, match="has no history_ to draw"):
        ConvergenceDisplay.from_estimator(GDRegressor(), ax=ax)
    with pytest.raises(ValueError, match=r"must be GDClassifier, .*, got Ridge"):
        ConvergenceDisplay.from_estimator(Ridge().fit(X, Y), ax=ax)


def test_a_figure_is_made_where_there_is_none(models):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    display = ConvergenceDisplay.from_estimator(models["slow"])
    assert display.figure_.axes == [display.ax_]
    plt.close(display.figure_)


def test_matplotlib_is_imported_when_drawing_and_missed_by_name(models, monkeypatch):
    assert fastgd.ConvergenceDisplay is ConvergenceDisplay
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        ConvergenceDisplay.from_estimator(models["slow"])


def test_targets_are_numbered(ax):
    model = GDRegressor().fit(X, np.column_stack([Y, -(Y**2)]))
    display = ConvergenceDisplay.from_estimator(model, ax=ax, what="bound")
    assert [line.get_label() for line in display.lines_] == [
        "GDRegressor, target 0",
        "GDRegressor, target 1",
    ]


def test_chunks_of_several_models_have_one_line(ax):
    """`history_` is one dict there, beside a list of plans: an AttributeError."""
    model = GDClassifier(multi_class="ovr", forget=0.5, random_state=0)
    for rows in np.split(np.arange(60), 2):
        model.partial_fit(X[rows], LABELS[rows], ["a", "b", "c"])
    display = ConvergenceDisplay.from_estimator(model, ax=ax)
    assert [line.get_label() for line in display.lines_] == ["GDClassifier"]
    display.plot(what="prequential", ax=ax)
    assert display.lines_[0].get_ydata().size == 1
