"""`ConvergenceDisplay`: how fits got where they are, drawn from `history_`; matplotlib is
imported when drawing.
"""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fastgd.data.check_parameters import as_floats
from fastgd.runtime.public import public

AXES = {"passes": "passes over the rows", "seconds": "seconds"}
VALUES = {
    "objective": "F - best known F",
    "bound": "bound on F - F*",
    "score": "score on held-out rows",
}
# Told apart in grey by the dashes and the markers; the colours are those of the user's matplotlib
# style.
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"


@public
class ConvergenceDisplay:
    """Picture of how the objective, or the bound on what is left, fell in one fit or several, or of
    how the score on held-out rows rose.

    Make it with `from_estimator` or `from_estimators`; draw it again in another way with `plot`.  A
    line is one model; one-vs-rest has one for each class.

    Parameters
    ----------
    histories : dict of str to list of dict
        For each name the `history_` of its models: arrays `passes`, `seconds`, `objective`,
        `bound`, with held-out rows `score` and `kept`.
    classes : dict of str to sequence, optional
        For each name the labels of its models, where it has several.

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

    def __init__(self, histories, *, classes=None):
        self.histories, self.classes = histories, classes or {}

    @classmethod
    def from_estimator(cls, estimator, X=None, y=None, *, name=None, **options):
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
            Of `plot`: `what`, `against`, `best`, `ax`, and what matplotlib's `Axes.plot` takes.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        NotFittedError
            Where the estimator is not fitted and there is no X.
        """
        return cls.from_estimators(
            {name or type(_fitted(estimator)).__name__: estimator}, X, y, **options
        )

    @classmethod
    def from_estimators(cls, estimators, X=None, y=None, **options):
        """Several fits in one picture.

        Parameters
        ----------
        estimators : dict of str to estimator
            Names for the legend; each estimator as in `from_estimator`.  Objectives compare only
            where loss, penalty and rows are the same.
        X, y : array-like, optional
            Rows to fit clones of the estimators to.
        **options
            Of `plot`: `what`, `against`, `best`, `ax`, and what matplotlib's `Axes.plot` takes.

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
        histories, classes = {}, {}
        for name, estimator in estimators.items():
            model = _fitted(estimator if X is None else clone(estimator).fit(X, y))
            check_is_fitted(model, "history_", msg=_NO_HISTORY)
            several = isinstance(model.history_, list)
            plans = model.plan_ if several else [model.plan_]
            runs = model.history_ if several else [model.history_]
            histories[name] = [
                _on_all_rows(run, plan) for run, plan in zip(runs, plans, strict=True)
            ]
            classes[name] = model.classes_ if several else ()
        return cls(histories, classes=classes).plot(**options)

    def plot(self, ax=None, *, what="objective", against="passes", best=None, **line_kw):
        """Draw the lines, on a logarithmic axis but for scores.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        what : {"objective", "bound", "score"}, default="objective"
            "objective": how far F was above `best`; a check that found `best` itself has no place
            on a logarithmic axis and is left out; after `partial_fit`, F is that of each chunk.
            "bound": how far F could be above its minimum, as far as the fit knew then.
            "score": on the rows held out for early stopping; a star is the check that was kept.
        against : {"passes", "seconds"}, default="passes"
        best : float or sequence of float, optional
            The lowest objective known, of each class for one-vs-rest; None: the lowest of these
            fits.
        **line_kw
            What matplotlib's `Axes.plot` takes, for all lines.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            For another `what` or `against`, or where no check has a value to show.
        """
        for given, allowed, parameter in ((what, VALUES, "what"), (against, AXES, "against")):
            if not isinstance(given, str) or given not in allowed:
                raise ValueError(
                    f"{parameter} must be one of {', '.join(map(repr, allowed))}, got {given!r}"
                )
        if ax is not None and not hasattr(ax, "plot"):
            raise ValueError(f"ax must be matplotlib Axes or None, got {ax!r}")
        curves = self._curves(what, against, best)
        if not curves:
            remedies = {
                "objective": "take more iterations or a smaller tol, give best, or use "
                "what='bound'",
                "bound": "fit anew with a tol, or use what='objective'",
                "score": "fit with early_stopping=True, or with X_val and y_val",
            }
            found = "finite" if what == "score" else "positive"
            raise ValueError(f"no check has a {found} {VALUES[what]}: {remedies[what]}")
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        self.lines_, line_kw = [], _spelled_out(line_kw)
        for style, label, x, y, star in curves:
            look = {
                "linestyle": DASHES[style % len(DASHES)],
                "marker": MARKERS[style % len(MARKERS)],
                "markersize": 4,
            }
            self.lines_ += self.ax_.plot(
                x, y, **{"color": f"C{style % 10}", **look, "label": label, **line_kw}
            )
            if star.any():
                color = self.lines_[-1].get_color()
                self.ax_.plot(x[star], y[star], "*", color=color, markersize=12)
        scale = "linear" if what == "score" else "log"
        self.ax_.set(yscale=scale, xlabel=AXES[against], ylabel=VALUES[what])
        self.ax_.legend()
        return self

    def _curves(self, what, against, best):
        """(style, label, x, y, star) of each line; `x` and `y` without what a logarithmic axis
        cannot show, `star` where a score was kept.
        """
        alone = len(self.histories) == 1
        curves = []
        style = -1
        lowest = self._lowest() if best is None else np.atleast_1d(as_floats(best, "best"))
        if not lowest.size:
            raise ValueError(f"best must be a number, or one for each class, got {best!r}")
        for name, runs in self.histories.items():
            style, labels = style + (not alone), self.classes.get(name, ())
            shown = False
            for k, run in enumerate(runs):
                style += alone
                y = _values(run, what, lowest[min(k, lowest.size - 1)])
                kept = np.isfinite(y) & ((y > 0.0) | (what == "score"))
                if not kept.any():
                    continue
                label = (
                    name if len(runs) == 1 else f"{name}, class {labels[k] if len(labels) else k}"
                )
                # One entry in the legend for all classes of an estimator.
                if len(runs) > 1 and not alone:
                    label = "_" if shown else f"{name}, {len(runs)} classes"
                star = run.get("kept", np.zeros(y.size, dtype=bool)) & (what == "score")
                curves.append((style, label, run[against][kept], y[kept], star[kept]))
                shown = True
        return curves

    def _lowest(self):
        """The lowest objective of each class over all fits."""
        count = max(len(runs) for runs in self.histories.values())
        runs = [(k, run) for several in self.histories.values() for k, run in enumerate(several)]
        return np.array(
            [min(run["objective"].min() for j, run in runs if j == k) for k in range(count)]
        )


def _values(run, what, lowest):
    """What a line shows at each check; NaN where a run has no such numbers."""
    if what == "objective":
        return run["objective"] - lowest
    return run.get(what, np.full(run["objective"].size, np.nan))


_NO_HISTORY = (
    "This %(name)s has no history_ to draw: call fit (of a search with refit=True), or give X and y"
)


def _fitted(estimator):
    """The estimator that did the fit: the winner of a search, the end of a pipeline."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator


def _on_all_rows(history, plan):
    """The checks whose objective is that of all rows: the early ones of a growing batch are of a
    sample.
    """
    kept = np.ones(history["objective"].size, dtype=bool)
    if plan.batch_size == "growing":
        # Of a sample nothing is proved, of all rows something always is.
        kept = np.isfinite(history["bound"])
    return {key: column[kept] for key, column in history.items()}


def _spelled_out(line_kw):
    """The arguments with long names: `ls` given beside our `linestyle` would be an error."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return normalize_kwargs(line_kw, Line2D)


def _new_axes():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return plt.subplots()[1]
