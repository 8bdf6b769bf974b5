"""`PathDisplay`: its lines are the coefficients of one fit for each alpha."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import GDClassifier, GDRegressor, GDRegressorCV, PathDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) * [1.0, 2.0, 3.0, 4.0]
Y = X @ [1.0, -2.0, 0.0, 0.5] + RNG.normal(size=60)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]
ALPHAS = [1.0, 0.1, 0.01]


def cold(model, X=X, y=Y):
    return np.array([model.set_params(alpha=alpha, tol=1e-10).fit(X, y).coef_ for alpha in ALPHAS])


def test_lines_are_the_coefficients_of_one_fit_for_each_alpha(ax):
    model = GDRegressor(penalty="l1", tol=1e-10, alpha=0.1)
    display = PathDisplay.from_estimator(model, X, Y, alphas=ALPHAS[::-1], ax=ax, ls="--")
    assert not hasattr(model, "coef_")
    coefs = cold(GDRegressor(penalty="l1"))
    np.testing.assert_allclose(display.coefs[:, 0], coefs, atol=1e-6)
    assert [line.get_label() for line in display.lines_] == ["x1", "x0", "x3", "x2"]
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), ALPHAS)
    np.testing.assert_allclose(display.lines_[0].get_ydata(), coefs[:, 1], atol=1e-6)
    assert {line.get_linestyle() for line in display.lines_} == {"--"}
    assert ax.get_xscale() == "log"
    assert len(ax.lines) == 5  # the alpha of the estimator has its own


def test_columns_can_be_chosen_and_standardised(ax):
    model = GDRegressor(tol=1e-10)
    display = PathDisplay.from_estimator(model, X, Y, alphas=ALPHAS, columns=2, ax=ax)
    assert [line.get_label() for line in display.lines_] == ["x1", "x0"]
    display.plot(Figure().subplots(), columns=["x3", "x0"], standardised=True)
    assert [line.get_label() for line in display.lines_] == ["x3", "x0"]
    expected = cold(GDRegressor())[:, 3] * X[:, 3].std()
    np.testing.assert_allclose(display.lines_[0].get_ydata(), expected, rtol=1e-5)
    display.plot(Figure().subplots(), columns=np.array(["x3", "x0"]), standardised=True)
    for columns in (0, True, ["x9"], "x1", np.array([])):
        with pytest.raises(ValueError, match="columns must be"):
            display.plot(columns=columns)


def test_several_classes_show_lengths_or_one_of_them(ax):
    model = GDClassifier(tol=1e-10)
    display = PathDisplay.from_estimator(model, X, LABELS, alphas=ALPHAS, ax=ax)
    coefs = cold(GDClassifier(), y=LABELS)
    lengths = np.linalg.norm(coefs, axis=1)
    first = np.argmax(np.abs(lengths).max(axis=0))
    np.testing.assert_allclose(display.lines_[0].get_ydata(), lengths[:, first], atol=1e-4)
    display.plot(Figure().subplots(), output="b", columns=["x1"])
    np.testing.assert_allclose(display.lines_[0].get_ydata(), coefs[:, 1, 1], atol=1e-4)
    with pytest.raises(ValueError, match="output must be None or one of a, b, c, got 'd'"):
        display.plot(output="d")


def test_of_a_search_the_alphas_are_its_own_and_its_choice_is_marked(ax):
    options = {"penalty": "elasticnet", "l1_ratios": [0.5, 1.0], "alphas": 4, "cv": 2}
    search = GDRegressorCV(**options).fit(X, Y)
    display = PathDisplay.from_estimator(search, X, Y, ax=ax)
    row = [0.5, 1.0].index(search.l1_ratio_)
    np.testing.assert_array_equal(display.alphas, search.alphas_[row])
    assert display.chosen == search.alpha_
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [search.alpha_] * 2)
    k = list(display.alphas).index(search.alpha_)
    np.testing.assert_allclose(display.coefs[k, 0], search.coef_, atol=1e-2)


def test_a_pipeline_shows_the_columns_that_its_last_step_sees(ax):
    pipeline = make_pipeline(StandardScaler(), GDRegressor(tol=1e-10))
    display = PathDisplay.from_estimator(pipeline, X, Y, alphas=[*ALPHAS, 0.0], ax=ax)
    scaled = cold(GDRegressor(), StandardScaler().fit_transform(X))
    np.testing.assert_allclose(display.coefs[:3, 0], scaled, rtol=1e-5)
    assert ax.get_xscale() == "symlog"  # alpha = 0 has a place
    assert not hasattr(pipeline[-1], "coef_")


def test_weights_are_repeats(ax):
    weights = np.arange(60) % 3
    options = {"alphas": ALPHAS, "ax": ax}
    model = GDRegressor(tol=1e-10)
    weighted = PathDisplay.from_estimator(model, X, Y, sample_weight=weights, **options)
    many = np.repeat(np.arange(60), weights)
    repeated = PathDisplay.from_estimator(model, X[many], Y[many], **options)
    np.testing.assert_allclose(weighted.coefs, repeated.coefs, rtol=1e-6)


def test_other_estimators_are_refused(ax):
    with pytest.raises(ValueError, match="must be GDClassifier, GDRegressor"):
        PathDisplay.from_estimator(Ridge(), X, Y, ax=ax)


def test_standardised_coefficients_take_the_sizes_of_columns():
    display = PathDisplay(np.array([1.0, 0.1]), np.ones((2, 1, 1)), names=["a"])
    with pytest.raises(ValueError, match="give them as scale"):
        display.plot(Figure().subplots(), standardised=True)
