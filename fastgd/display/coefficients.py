"""`CoefficientDisplay`: the coefficients of a fitted model, with intervals where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastgd.display.axes import axes_for, spelled_out
from fastgd.display.inner_estimator import inner_estimator, last_step
from fastgd.estimators.names import kind_of_models
from fastgd.inference.summary import Coefficients, Summary
from fastgd.runtime.array_types import Matrix, Vector
from fastgd.runtime.public import public


@public
class CoefficientDisplay:
    """Picture of the coefficients of a fitted model with the names of their columns.

    Make it with `from_estimator`, or with `from_summary`, which has intervals; draw it again in
    another way with `plot`.

    Parameters
    ----------
    names : list of str
        Of the coefficients.
    values : ndarray, (n_coefficients,)
    low, high : ndarray, (n_coefficients,), optional
        Ends of the intervals.
    xlabel : str, default="coefficient"

    Attributes
    ----------
    container_ : matplotlib ErrorbarContainer
        The points, and the intervals where there are some.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastgd import CoefficientDisplay, GDRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = GDRegressor(alpha=0.0).fit(X, y)
    >>> from matplotlib.figure import Figure  # leave `ax` out to have pyplot make one
    >>> display = CoefficientDisplay.from_summary(model.summary(X, y), ax=Figure().subplots())
    >>> [text.get_text() for text in display.ax_.get_yticklabels()][:3]
    ['s1', 's5', 'bmi']
    """

    def __init__(
        self,
        names: Sequence[str],
        values: Vector,
        *,
        low: Vector | None = None,
        high: Vector | None = None,
        xlabel: str = "coefficient",
    ) -> None:
        if (low is None) != (high is None):
            raise ValueError("low and high go together: give both ends of the intervals, or none")
        self.names, self.values, self.xlabel = list(names), np.asarray(values), xlabel
        self.low = None if low is None else np.asarray(low)
        self.high = None if high is None else np.asarray(high)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Matrix | None = None, **options: Any) -> Self:
        """The coefficients of a fitted model.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor or a search of theirs
            Fitted, or a pipeline or a search that ends in a fitted one.
        X : array-like or sparse, (n_samples, n_features), optional
            Rows, for standardised coefficients: what one standard deviation of a column adds to
            the prediction.
        **options
            Of `plot`: `most`, `ax`, and what matplotlib's `Axes.errorbar` takes.

        Returns
        -------
        CoefficientDisplay
        """
        if X is not None:
            estimator, X = last_step(getattr(estimator, "best_estimator_", estimator), X)
        model = inner_estimator(estimator)
        if not hasattr(model, "coefficients"):
            raise ValueError(
                "estimator must be GDClassifier, GDRegressor or a search of theirs, or a pipeline "
                f"that ends in one, got {model!r}"
            )
        table: Coefficients = model.coefficients(X)
        names = with_outputs(table, kind_of_models(model))
        values, xlabel = table.values, "coefficient"
        if table.standardised is not None:
            values, xlabel = table.standardised, "standardised coefficient"
        return cls(names, values, xlabel=xlabel + of_whom(table)).plot(**options)

    @classmethod
    def from_summary(cls, summary: Summary, *, intercept: bool = False, **options: Any) -> Self:
        """Coefficients with the intervals of a summary.

        Parameters
        ----------
        summary : Summary
        intercept : bool, default=False
            Whether to show it too.
        **options
            Of `plot`: `most`, `ax`, and what matplotlib's `Axes.errorbar` takes.

        Returns
        -------
        CoefficientDisplay
        """
        if not isinstance(summary, Summary):
            raise ValueError(f"summary must be what summary() gives, got {summary!r}")
        shown = np.array([intercept or name != "intercept" for name in summary.names])
        order = np.flatnonzero(shown)
        order = order[np.argsort(-np.abs(summary.coef[order]), kind="stable")]
        labels = with_outputs(summary, "class")
        names = [labels[k] for k in order]
        low, high = summary.low[order], summary.high[order]
        xlabel = f"coefficient{of_whom(summary)}, {100 * summary.level:g} % intervals"
        return cls(names, summary.coef[order], low=low, high=high, xlabel=xlabel).plot(**options)

    def plot(self, ax: Any = None, *, most: int = 20, **line_kw: Any) -> Self:
        """Draw a point for each coefficient, the first on top.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        most : int, default=20
            How many to show; the others are left out.
        **line_kw
            What matplotlib's `Axes.errorbar` takes.

        Returns
        -------
        self
        """
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
            raise ValueError(f"most must be a positive whole number, got {most!r}")
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        values, names = self.values[:most], self.names[:most]
        places, spread = np.arange(len(values)), None
        if self.low is not None and self.high is not None:
            spread = np.array([values - self.low[:most], self.high[:most] - values])
        own = {"fmt": "o", "markersize": 4, "capsize": 2, **spelled_out(line_kw)}
        self.container_ = self.ax_.errorbar(values, places, xerr=spread, **own)
        self.ax_.axvline(0.0, color="0.5", linewidth=0.8)
        self.ax_.set_yticks(places, names)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel=self.xlabel)
        return self


def with_outputs(table, kind):
    """Names of the coefficients of a table, with the class or target of each where there are
    several.
    """
    pairs = zip(table.names, table.outputs, strict=True)
    return [f"{name}, {kind} {output}" if output else name for name, output in pairs]


def of_whom(table):
    """Whose coefficients a table has, as an axis says it."""
    return f" of {table.about}" if table.about else ""
