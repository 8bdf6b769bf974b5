"""`CoefficientDisplay`: names, values, and the intervals of a summary."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import CoefficientDisplay, GDClassifier, GDRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) * [1.0, 2.0, 3.0, 4.0]
Y = X @ [1.0, -2.0, 0.0, 0.5] + RNG.normal(size=60)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]


def names_on(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_the_largest_coefficient_is_on_top(ax):
    model = GDRegressor(alpha=0.1).fit(X, Y)
    display = CoefficientDisplay.from_estimator(model, ax=ax, c="k")
    assert names_on(ax) == ["x1", "x0", "x3", "x2"]
    np.testing.assert_array_equal(display.container_[0].get_xdata(), model.coef_[[1, 0, 3, 2]])
    assert display.container_[0].get_color() == "k"
    assert ax.yaxis_inverted()
    display.plot(Figure().subplots(), most=2)
    assert names_on(display.ax_) == ["x1", "x0"]
    for most in (0, True, 1.5):
        with pytest.raises(ValueError, match="most must be a positive whole number"):
            display.plot(most=most)


def test_rows_give_standardised_coefficients_also_through_a_pipeline(ax):
    pipeline = make_pipeline(StandardScaler(), GDRegressor(alpha=0.1)).fit(X, Y)
    display = CoefficientDisplay.from_estimator(pipeline, X, ax=ax)
    np.testing.assert_allclose(np.sort(display.values), np.sort(pipeline[-1].coef_))
    assert ax.get_xlabel() == "standardised coefficient"


def test_classes_are_named(ax):
    model = GDClassifier(alpha=0.1).fit(X, LABELS)
    display = CoefficientDisplay.from_estimator(model, ax=ax, most=3)
    k, j = np.unravel_index(np.argmax(np.abs(model.coef_)), model.coef_.shape)
    assert names_on(ax)[0] == f"x{j}, class {'abc'[k]}"
    assert display.values.size == 12
    summary = model.summary(X, LABELS)
    display = CoefficientDisplay.from_summary(summary, ax=Figure().subplots(), most=1)
    assert re.fullmatch("x[0-3], class [abc]", names_on(display.ax_)[0])
    targets = GDRegressor(alpha=0.1).fit(X, np.column_stack([Y, -Y]))
    display = CoefficientDisplay.from_estimator(targets, ax=Figure().subplots(), most=1)
    assert re.fullmatch("x1, target [01]", names_on(display.ax_)[0])


def test_an_axis_says_whose_coefficients_are_drawn(ax):
    model = GDClassifier(alpha=0.1).fit(X, Y > 0.0)
    CoefficientDisplay.from_estimator(model, ax=ax)
    assert ax.get_xlabel() == "coefficient of class True, against class False"
    summary = model.summary(X, Y > 0.0)
    CoefficientDisplay.from_summary(summary, ax=ax)
    assert ax.get_xlabel().startswith("coefficient of class True, against class False, 95 %")


def test_a_summary_has_intervals(ax):
    table = GDRegressor(alpha=0.0).fit(X, Y).summary(X, Y, level=0.9)
    display = CoefficientDisplay.from_summary(table, ax=ax)
    assert names_on(ax) == ["x1", "x0", "x3", "x2"]
    assert ax.get_xlabel() == "coefficient, 90 % intervals"
    (bars,) = display.container_[2]
    ends = np.array(bars.get_segments())[:, :, 0]
    order = [1, 0, 3, 2]
    np.testing.assert_allclose(ends, np.column_stack([table.low, table.high])[order])
    CoefficientDisplay.from_summary(table, intercept=True, ax=Figure().subplots())


def test_other_things_are_refused():
    with pytest.raises(ValueError, match="must be GDClassifier, GDRegressor"):
        CoefficientDisplay.from_estimator(Ridge().fit(X, Y))
    with pytest.raises(ValueError, match="summary must be what summary"):
        CoefficientDisplay.from_summary(GDRegressor())


def test_an_interval_has_two_ends():
    with pytest.raises(ValueError, match="low and high go together"):
        CoefficientDisplay(["a"], [1.0], low=[0.5])
    display = CoefficientDisplay(["a"], [1.0], low=[0.5], high=[2.0]).plot(Figure().subplots())
    assert display.container_.has_xerr
