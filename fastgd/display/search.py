"""`SearchDisplay`: the validation curve of a search along regularisation paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgd.display.axes import axes_for, look, scale_of_alphas, spelled_out
from fastgd.display.inner_estimator import last_step
from fastgd.model_selection.base import PathSearch, score_name
from fastgd.runtime.array_types import Floats
from fastgd.runtime.public import public


@public
class SearchDisplay:
    """Picture of the scores of a search: their mean over the folds for each alpha, one standard
    error up and down, and what was chosen.

    Make it with `from_estimator`; draw it again in another way with `plot`.

    Parameters
    ----------
    alphas : ndarray, (n_paths, n_alphas)
    scores : ndarray, (n_paths, n_alphas, n_folds)
    chosen : (int, float)
        Path and alpha of the choice.
    l1_ratios : sequence of float, optional
        Of the paths, where there are several.
    score_name : str, default="score"
        For the axis.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each path.
    bands_ : list of matplotlib PolyCollection
        One for each path; empty where there is one fold.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    PathDisplay : The coefficients along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastgd import GDRegressorCV, SearchDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = GDRegressorCV(penalty="l1").fit(X, y)
    >>> from matplotlib.figure import Figure  # leave `ax` out to have pyplot make one
    >>> display = SearchDisplay.from_estimator(search, ax=Figure().subplots())
    >>> display.ax_.get_ylabel(), display.ax_.get_xscale()
    ('r2, mean of 5 folds', 'log')
    """

    def __init__(
        self,
        alphas: Floats,
        scores: Floats,
        *,
        chosen: tuple[int, float],
        l1_ratios: Sequence[float] | None = None,
        score_name: str = "score",
    ) -> None:
        self.alphas, self.scores, self.chosen = np.atleast_2d(alphas), scores, chosen
        self.l1_ratios, self.score_name = l1_ratios, score_name

    @classmethod
    def from_estimator(cls, estimator: Any, **options: Any) -> Self:
        """The picture of a fitted search.

        Parameters
        ----------
        estimator : GDClassifierCV or GDRegressorCV
            Fitted, or a pipeline that ends in a fitted one.
        **options
            Of `plot`: `ax`, and what matplotlib's `Axes.plot` takes.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        NotFittedError
            Where the search is not fitted.
        """
        search, _ = last_step(estimator)
        if not isinstance(search, PathSearch):
            raise ValueError(
                "estimator must be GDClassifierCV or GDRegressorCV, or a pipeline that ends in "
                f"one, got {search!r}; of others scikit-learn's ValidationCurveDisplay is a picture"
            )
        check_is_fitted(search, "scores_")
        several = search.l1_ratios is not None
        ratios = [float(one) for one in search.l1_ratios] if several else None
        path = 0 if ratios is None else ratios.index(float(search.l1_ratio_ or 0.0))
        display = cls(
            search.alphas_,
            search.scores_ if several else search.scores_[None],
            chosen=(path, search.alpha_),
            l1_ratios=ratios,
            score_name=score_name(search),
        )
        return display.plot(**options)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw a line for each path; the star is the choice.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        **line_kw
            What matplotlib's `Axes.plot` takes, for all lines.

        Returns
        -------
        self
        """
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        self.lines_, self.bands_, line_kw = [], [], spelled_out(line_kw)
        n_folds = self.scores.shape[2]
        for p, (alphas, scores) in enumerate(zip(self.alphas, self.scores, strict=True)):
            label = f"l1_ratio={self.l1_ratios[p]:g}" if self.l1_ratios else "mean score"
            mean = scores.mean(axis=1)
            line = self.ax_.plot(alphas, mean, **{**look(p), "label": label, **line_kw})
            self.lines_ += line
            if n_folds > 1:
                error = scores.std(axis=1, ddof=1) / np.sqrt(n_folds)
                band = self.ax_.fill_between(
                    alphas, mean - error, mean + error, color=line[0].get_color(), alpha=0.15
                )
                self.bands_.append(band)
        self._mark_choice()
        scale_of_alphas(self.ax_, np.ravel(self.alphas))
        folds = f", mean of {n_folds} folds" if n_folds > 1 else ""
        self.ax_.set(ylabel=f"{self.score_name}{folds}")
        self.ax_.legend()
        return self

    def _mark_choice(self):
        path, alpha = self.chosen
        k = int(np.flatnonzero(self.alphas[path] == alpha)[0])
        best, color = self.scores[path, k].mean(), self.lines_[path].get_color()
        label = f"chosen: alpha={alpha:.3g}"
        self.ax_.plot(alpha, best, "*", color=color, markersize=12, label=label)
