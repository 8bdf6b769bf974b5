"""`ConvergenceDisplay`: how fits got where they are, drawn from `history_`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fastgd.data.check_parameters import as_floats
from fastgd.display.axes import axes_for, look, spelled_out
from fastgd.display.inner_estimator import inner_estimator
from fastgd.estimators.base import GDEstimator
from fastgd.estimators.names import model_names
from fastgd.runtime.array_types import Labels, Matrix, Vector
from fastgd.runtime.public import public

AXES = {"passes": "passes over the rows", "seconds": "seconds"}
VALUES = {
    "objective": "F - best known F",
    "bound": "bound on F - F*",
    "score": "score on held-out rows",
    "prequential": "score on rows before they were learnt from",
}
SCORES = "score", "prequential"
SCALES = ("linear", "log")
REMEDIES = {
    "objective": "take more iterations or a smaller tol, give best, or use what='bound'",
    "bound": "fit anew with a tol, or use what='objective'",
    "score": "fit with early_stopping=True, or with X_val and y_val",
    "prequential": "give forget, and call partial_fit more than once",
}
# With more checks than this a line has markers at about so many places, evenly spaced.
MAX_MARKERS = 15


@public
class ConvergenceDisplay:
    """Picture of how the objective, or the bound on what is left, fell in one fit or several, or of
    how the score on held-out rows rose.

    Make it with `from_estimator` or `from_estimators`; draw it again in another way with `plot`.  A
    line is one model; one-vs-rest has one for each class, and one for all after `partial_fit`.

    Parameters
    ----------
    histories : dict of str to list of dict
        For each name the `history_` of its models: arrays `passes`, `seconds`, `objective`,
        `bound`, with held-out rows `score` and `kept`.
    models : dict of str to sequence of str, optional
        For each name what its models are called, where it has several: "class a", "target 0".

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each model that has something to show, in the order of `histories`.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ConvergenceDisplay.from_estimator : The picture of one fit.
    ConvergenceDisplay.from_estimators : Several fits in one picture.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastgd import ConvergenceDisplay, GDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = GDClassifier().fit(X, y)
    >>> from matplotlib.figure import Figure  # leave `ax` out to have pyplot make one
    >>> display = ConvergenceDisplay.from_estimator(model, what="bound", ax=Figure().subplots())
    >>> len(display.lines_), display.ax_.get_yscale(), display.ax_.get_xlabel()
    (1, 'log', 'passes over the rows')
    """

    def __init__(
        self,
        histories: dict[str, list[dict[str, Any]]],
        *,
        models: dict[str, Sequence[str]] | None = None,
    ) -> None:
        self.histories, self.models = histories, models or {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix | None = None,
        y: Labels | None = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """The picture of one fit.

        Parameters
        ----------
        estimator : estimator
            Fitted, a pipeline or a search that ends in a fitted one, or, with `X` and `y`, anything
            to fit a clone of.
        X, y : array-like, optional
            Rows to fit a clone of the estimator to; None: the estimator is fitted.
        name : str, optional
            For the legend; None: the name of the class.
        **options
            Of `plot`: `what`, `against`, `best`, `xscale`, `ax`, and what matplotlib's `Axes.plot`
            takes.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        NotFittedError
            Where the estimator is not fitted and there is no X.
        """
        return cls.from_estimators(
            {name or type(inner_estimator(estimator)).__name__: estimator}, X, y, **options
        )

    @classmethod
    def from_estimators(
        cls,
        estimators: dict[str, Any],
        X: Matrix | None = None,
        y: Labels | None = None,
        **options: Any,
    ) -> Self:
        """Several fits in one picture.

        Parameters
        ----------
        estimators : dict of str to estimator
            Names for the legend; each estimator as in `from_estimator`.  Objectives compare only
            where loss, penalty and rows are the same.
        X, y : array-like, optional
            Rows to fit clones of the estimators to.
        **options
            Of `plot`: `what`, `against`, `best`, `xscale`, `ax`, and what matplotlib's `Axes.plot`
            takes.

        Returns
        -------
        ConvergenceDisplay
        """
        if not (isinstance(estimators, dict) and estimators):
            raise ValueError(
                "estimators must be a dict of name to estimator with one at least, got "
                f"{estimators!r}"
            )
        if (X is None) != (y is None):
            raise ValueError(
                "X and y go together: give both to fit clones, or none for estimators that are "
                "fitted"
            )
        histories, models = {}, {}
        for name, estimator in estimators.items():
            model = inner_estimator(estimator if X is None else clone(estimator).fit(X, y))
            if not (hasattr(model, "history_") or isinstance(model, GDEstimator)):
                raise ValueError(
                    "estimator must be GDClassifier, GDRegressor or a search of theirs, or a "
                    f"pipeline that ends in one, got {model!r}"
                )
            check_is_fitted(model, "history_", msg=_NO_HISTORY)
            several = isinstance(model.history_, list)
            runs = model.history_ if several else [model.history_]
            # Of `partial_fit` the models have one history, of one batch size.
            plans = model.plan_ if isinstance(model.plan_, list) else [model.plan_]
            plans = plans if several else plans[:1]
            histories[name] = [
                _on_all_rows(run, plan) for run, plan in zip(runs, plans, strict=True)
            ]
            models[name] = model_names(model, len(runs)) if several else []
        return cls(histories, models=models).plot(**options)

    def plot(
        self,
        ax: Any = None,
        *,
        what: str = "objective",
        against: str = "passes",
        best: float | Vector | None = None,
        xscale: str = "linear",
        **line_kw: Any,
    ) -> Self:
        """Draw the lines, on a logarithmic axis but for scores.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        what : {"objective", "bound", "score", "prequential"}, default="objective"
            "objective": how far F was above `best`; a check that found `best` itself has no place
            on a logarithmic axis and is left out; after `partial_fit`, F is that of each chunk.
            A fit that found it at its first check is a triangle that points downwards, at the
            bound on what is left: it is at most so far.
            "bound": how far F could be above its minimum, as far as the fit knew then.
            "score": on the rows held out for early stopping; a star is the check that was kept.
            "prequential": of each chunk of a stream that forgets, before it was learnt from.
        against : {"passes", "seconds"}, default="passes"
        best : float or sequence of float, optional
            The lowest objective known, of each class for one-vs-rest; None: the lowest of these
            fits.
        xscale : {"linear", "log"}, default="linear"
            "log" shows fits that take very different times.
        **line_kw
            What matplotlib's `Axes.plot` takes, for all lines.  With many checks only some have a
            marker; `markevery=1` is for all.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            For another `what`, `against` or `xscale`, or where no check has a value to show.
        """
        choices = (what, VALUES, "what"), (against, AXES, "against"), (xscale, SCALES, "xscale")
        for given, allowed, parameter in choices:
            if not isinstance(given, str) or given not in allowed:
                raise ValueError(
                    f"{parameter} must be one of {', '.join(map(repr, allowed))}, got {given!r}"
                )
        curves = self._curves(what, against, best)
        if not curves:
            found = "finite" if what in SCORES else "positive"
            raise ValueError(f"no check has a {found} {VALUES[what]}: {REMEDIES[what]}")
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        self.lines_: list[Any] = []
        line_kw = spelled_out(line_kw)
        for curve in curves:
            self._draw(curve, line_kw)
        scale = "linear" if what in SCORES else "log"
        self.ax_.set(yscale=scale, xscale=xscale, xlabel=AXES[against], ylabel=VALUES[what])
        self.ax_.legend()
        return self

    def _draw(self, curve, line_kw):
        """Add one line, and the star of what was kept."""
        own = look(curve.style)
        if curve.at_most:
            own["marker"] = "v"
        if curve.x.size > MAX_MARKERS:
            own["markevery"] = 1.0 / MAX_MARKERS
        own = {**own, "label": curve.label, **line_kw}
        self.lines_ += self.ax_.plot(curve.x, curve.y, **own)
        if curve.star.any():
            x = curve.x[curve.star]
            y = curve.y[curve.star]
            color = self.lines_[-1].get_color()
            self.ax_.plot(x, y, "*", color=color, markersize=12)

    def _curves(self, what, against, best):
        """The `Curve` of each model that has something to show."""
        alone = len(self.histories) == 1
        curves = []
        style = -1
        lowest = self._lowest() if best is None else np.atleast_1d(as_floats(best, "best"))
        if not lowest.size:
            raise ValueError(f"best must be a number, or one for each model, got {best!r}")
        for name, runs in self.histories.items():
            style, labels = style + (not alone), self.models.get(name, ())
            shown = False
            for k, run in enumerate(runs):
                style += alone
                y = _values(run, what, lowest[min(k, lowest.size - 1)])
                kept = np.isfinite(y) & ((y > 0.0) | (what in SCORES))
                at_most = not kept.any() and what == "objective"
                if at_most:
                    y, kept = _within_bound(y, run["bound"])
                if not kept.any():
                    continue
                label = name if len(runs) == 1 else f"{name}, {labels[k] if len(labels) else k}"
                # One entry in the legend for all models of an estimator.
                if len(runs) > 1 and not alone:
                    label = "_" if shown else f"{name}, {len(runs)} models"
                star = run.get("kept", np.zeros(y.size, dtype=bool)) & (what == "score")
                curves.append(Curve(style, label, run[against][kept], y[kept], star[kept], at_most))
                shown = True
        return curves

    def _lowest(self):
        """The lowest objective of each class over all fits."""
        count = max(len(runs) for runs in self.histories.values())
        runs = [(k, run) for several in self.histories.values() for k, run in enumerate(several)]
        return np.array(
            [min(run["objective"].min() for j, run in runs if j == k) for k in range(count)]
        )


class Curve(NamedTuple):
    """One line: `x` and `y` without what a logarithmic axis cannot show, `star` where a score was
    kept; `at_most` where `y` is a bound on it.
    """

    style: int
    label: str
    x: np.ndarray
    y: np.ndarray
    star: np.ndarray
    at_most: bool


def _within_bound(above, bound):
    """(y, kept) of a run that found the best F, or is as near to it as its bound tells: where the
    bound is known, as the only thing that a logarithmic axis can show of it.
    """
    kept = np.isfinite(bound) & (bound > 0.0) & (np.abs(above) <= bound)
    return bound, kept


def _values(run, what, lowest):
    """What a line shows at each check; NaN where a run has no such numbers."""
    if what == "objective":
        return run["objective"] - lowest
    return run.get(what, np.full(run["objective"].size, np.nan))


_NO_HISTORY = (
    "This %(name)s has no history_ to draw: call fit (of a search with refit=True), or give X and y"
)


def _on_all_rows(history, plan):
    """The checks whose objective is that of all rows: the early ones of a growing batch are of a
    sample.
    """
    kept = np.ones(history["objective"].size, dtype=bool)
    if plan.batch_size == "growing":
        # Of a sample nothing is proved, of all rows something is for most losses; the last check is
        # of all rows.
        kept = np.isfinite(history["bound"])
        kept[-1:] = True
    return {key: column[kept] for key, column in history.items()}
