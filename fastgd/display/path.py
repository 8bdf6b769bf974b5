"""`PathDisplay`: coefficients along a regularisation path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from fastgd.data.check_parameters import as_offset, as_weights, check_parameters
from fastgd.display.axes import axes_for, look, scale_of_alphas, spelled_out
from fastgd.display.inner_estimator import last_step
from fastgd.estimators.base import GDEstimator
from fastgd.estimators.names import column_names, output_names
from fastgd.estimators.reports import standard_deviations
from fastgd.model_selection.alpha_grid import alpha_grid
from fastgd.model_selection.alpha_path import fit_path
from fastgd.model_selection.base import PathSearch, checked_alphas
from fastgd.model_selection.cross_validate import warn_about_short
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.public import public
from fastgd.runtime.threads import count_threads


@public
class PathDisplay:
    """Picture of the coefficients along a regularisation path, from strong penalties to weak ones.

    Make it with `from_estimator`; draw it again in another way with `plot`.

    Parameters
    ----------
    alphas : ndarray, (n_alphas,)
    coefs : ndarray, (n_alphas, n_outputs, n_features)
        Of the model of each alpha.
    names : list of str
        Of the columns.
    outputs : list of str
        Of the classes or targets; [""] where there is one.
    scale : ndarray, (n_features,), optional
        Standard deviations of the columns.
    chosen : float, optional
        The alpha to be marked.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each column shown, the largest coefficient first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    SearchDisplay : How well the models of a path predict.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastgd import GDRegressor, PathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> from matplotlib.figure import Figure  # leave `ax` out to have pyplot make one
    >>> lasso = GDRegressor(penalty="l1")
    >>> display = PathDisplay.from_estimator(lasso, X, y, ax=Figure().subplots())
    >>> display.coefs.shape, display.lines_[0].get_label()
    ((30, 1, 10), 's5')
    """

    def __init__(
        self,
        alphas: Floats,
        coefs: Floats,
        *,
        names: Sequence[str],
        outputs: Sequence[str] = ("",),
        scale: Floats | None = None,
        chosen: float | None = None,
    ) -> None:
        self.alphas, self.coefs, self.names = alphas, coefs, names
        self.outputs, self.scale, self.chosen = outputs, scale, chosen

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix,
        y: Labels,
        *,
        alphas: int | Vector | None = None,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
        **options: Any,
    ) -> Self:
        """Fit a path to these rows, from the largest alpha to the smallest, and draw it.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor, GDClassifierCV or GDRegressorCV
            Or a pipeline that ends in one.  It stays as it is: copies are fitted.  Of a fitted
            search the alphas are its own, and the alpha that it chose is marked; of another
            estimator its `alpha` is.
        X : array-like or sparse, (n_samples, n_features)
        y : array-like, (n_samples,)
        alphas : int or array-like, optional
            As in `GDClassifierCV`; None: those of a fitted search, else 30.
        sample_weight, offset : array-like, (n_samples,), optional
            As in `fit`.
        **options
            Of `plot`: `columns`, `output`, `standardised`, `ax`, and what matplotlib's `Axes.plot`
            takes.

        Returns
        -------
        PathDisplay
        """
        estimator, X = last_step(estimator, X, y)
        base, own_alphas, chosen = _base_of(estimator)
        if alphas is None:
            alphas = own_alphas
        check_parameters(vars(base))
        n_threads = count_threads(estimator.n_jobs)
        X, y = base._checked(X, y, reset=True)
        weights = None if sample_weight is None else as_weights(sample_weight, X.shape[0])
        offset = None if offset is None else as_offset(offset, X.shape[0])
        rows, alphas = base._rows_of(X), checked_alphas(alphas)
        given = {"rows": rows, "offset": offset}
        if isinstance(alphas, int):
            alphas = alpha_grid(base, X, y, alphas, weights, n_threads, **given)
        alphas = np.sort(alphas)[::-1]
        coefs, short = [], []
        for model in fit_path(base, X, y, alphas, weights, n_threads, **given):
            coefs.append(np.atleast_2d(model.coef_))
            if model.tol and model._falls_short:
                short.append((model.suboptimality_, model.alpha))
        if short:
            warn_about_short(short, alphas.size, base)
        display = cls(
            alphas,
            np.array(coefs),
            names=column_names(base),
            outputs=output_names(model, len(coefs[0])),
            scale=standard_deviations(X),
            chosen=chosen,
        )
        return display.plot(**options)

    def plot(
        self,
        ax: Any = None,
        *,
        columns: int | Sequence[str] = 10,
        output: Any = None,
        standardised: bool = False,
        **line_kw: Any,
    ) -> Self:
        """Draw a line for each column.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        columns : int or sequence of str, default=10
            Names of the columns to show, or how many: those with the largest coefficients anywhere
            on the path.
        output : label, optional
            One of several classes or targets; None: the length of a column's coefficients over all
            of them.
        standardised : bool, default=False
            Whether to show what one standard deviation of a column adds to the prediction.
        **line_kw
            What matplotlib's `Axes.plot` takes, for all lines.

        Returns
        -------
        self
        """
        values, ylabel = self._values(output, standardised)
        shown = self._shown(values, columns)
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        self.lines_, line_kw = [], spelled_out(line_kw)
        for style, j in enumerate(shown):
            own = {**look(style), "marker": "", "label": self.names[j]}
            self.lines_ += self.ax_.plot(self.alphas, values[:, j], **{**own, **line_kw})
        scale_of_alphas(self.ax_, self.alphas)
        if self.chosen is not None and self.alphas[-1] <= self.chosen <= self.alphas[0]:
            self.ax_.axvline(self.chosen, color="0.5", linewidth=0.8, linestyle=":")
        self.ax_.set(ylabel=ylabel)
        self.ax_.legend(fontsize="small", ncols=2)
        return self

    def _values(self, output, standardised):
        """(values, (n_alphas, n_features), and their label)."""
        coefs, what = self.coefs, "coefficient"
        if standardised:
            if self.scale is None:
                raise ValueError(
                    "standardised coefficients take the standard deviations of the columns: give "
                    "them as scale, or make the picture with from_estimator"
                )
            coefs, what = coefs * self.scale, "standardised coefficient"
        if output is not None:
            labels = list(map(str, self.outputs))
            if len(labels) == 1 or str(output) not in labels:
                known = ", ".join(labels) if len(labels) > 1 else "none, as there is one output"
                raise ValueError(f"output must be None or one of {known}, got {output!r}")
            return coefs[:, labels.index(str(output))], f"{what}, {output}"
        if len(self.outputs) == 1:
            return coefs[:, 0], what
        return np.linalg.norm(coefs, axis=1), f"length of {what}s of {len(self.outputs)} outputs"

    def _shown(self, values, columns):
        """Indices of the columns to show."""
        largest = np.argsort(-np.abs(values).max(axis=0), kind="stable")
        if isinstance(columns, int | np.integer) and not isinstance(columns, bool) and columns > 0:
            return largest[:columns]
        columns = columns.tolist() if hasattr(columns, "tolist") else columns  # an Index
        if isinstance(columns, list | tuple) and columns:
            unknown = [one for one in columns if one not in self.names]
            if not unknown:
                wanted = {self.names.index(one) for one in columns}
                return [j for j in largest if j in wanted]
            raise ValueError(f"columns must be names of columns, {unknown[0]!r} is none")
        raise ValueError(
            f"columns must be a positive number or a list of names of columns, got {columns!r}"
        )


def _base_of(estimator):
    """(an estimator that is not fitted, alphas, the alpha to mark) for a path."""
    if not isinstance(estimator, GDEstimator):
        raise ValueError(
            "estimator must be GDClassifier, GDRegressor or a search of theirs, or a pipeline that "
            f"ends in one, got {estimator!r}"
        )
    if not isinstance(estimator, PathSearch):
        return clone(estimator), 30, float(estimator.alpha)
    if not hasattr(estimator, "alphas_"):
        return clone(estimator._base()), estimator.alphas, None
    ratios = estimator.l1_ratios
    if ratios is None:
        return clone(estimator._base()), estimator.alphas_, estimator.alpha_
    row = [float(one) for one in ratios].index(float(estimator.l1_ratio_ or 0.0))
    base = estimator._base(l1_ratio=estimator.l1_ratio_)
    return clone(base), estimator.alphas_[row], estimator.alpha_
