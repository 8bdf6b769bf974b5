"""A path of alphas: one model for each, from the largest alpha to the smallest, each fit begun where the last ended."""

import copy
import threading
from dataclasses import replace

import numpy as np

from fastgd.data.as_rows import as_rows
from fastgd.estimators.base import fitted_copy, prepare
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.targets import fit_target
from fastgd.model_selection.newton_warm_start import NewtonPath
from fastgd.objective.blocks import map_ranges
from fastgd.objective.null_model import best_constant
from fastgd.objective.objective import LARGEST, Objective
from fastgd.runtime.blas import one_blas_thread

# With the largest alpha and no L1 part, the best model is proved to gain no more than this share of F0.
GAIN = 0.01
# The smallest alpha as a share of the largest: coefficients leave 0 one after the other, but shrink all at once.
RATIO_L1, RATIO_L2 = 1e-3, 1e-6
# Columns whose greatest |x| differ by no more than this factor are on the same scale.
ALIKE = 30.0


def fit_path(estimator, X, y, alphas, weights=None, n_threads=1, *, rows=None, stop=None):
    """Yield a fitted copy of `estimator` for each alpha.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Not fitted; its `alpha` is not used.
    X : ndarray or CSR, (n_samples, n_features)
        Checked.
    y : ndarray, (n_samples,)
        Labels or targets, checked.
    alphas : array-like, (n_alphas,)
        In decreasing order.
    weights : ndarray, (n_samples,), optional
        Rows with weight 0 do not count.
    n_threads : int
    rows : Rows, optional
        What `as_rows` made of X, where it is there.
    stop : threading.Event, optional
        Ends the path once it is set.

    Raises
    ------
    KeyboardInterrupt
        Where a fit was interrupted.

    Examples
    --------
    >>> from fastgd import GDRegressor
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> [round(float(model.coef_[0]), 2) for model in fit_path(GDRegressor(), X, y, [1.0, 0.1, 0.0])]
    [0.8, 1.74, 2.0]
    """
    fits = PathFits(estimator, X, y, weights, n_threads, rows=rows, stop=stop)
    for alpha in alphas:
        yield fits.model(float(alpha))


def alpha_grid(estimator, X, y, count, weights=None, n_threads=1, *, rows=None):
    """`count` alphas spaced logarithmically down from the largest one that is of interest, (count,).

    With an L1 part the largest is the smallest alpha for which all coefficients are 0 (near it for a loss with corners,
    which has several gradients there),

        max_j |mean_i s_i loss'(y_i, b0) x_ij| / l1_ratio,

    and the smallest is 1e-3 q of it. Without one it is |g|^2 / (2 * 0.01 F0), g being the gradient at the best constant
    model b0 and F0 its objective: under an L2 penalty F falls by at most |g|^2 / (2 alpha), here 1 % of F0. The
    smallest is 1e-6 q^2 of it. Of several models (one-vs-rest) the greatest value counts. q is for columns on wild
    scales: 30 times the greatest |x| of the median column over that of all columns, at most 1.

    Parameters are those of `fit_path`.

    Raises
    ------
    ValueError
        For a penalty that is no elastic net.
    """
    fits = PathFits(estimator, X, y, weights, n_threads, rows=rows)
    shares = fits.task.penalty.shares
    if shares is None or not sum(shares) > 0.0:
        raise ValueError(
            f"alphas={count} are spaced for penalty 'l2', 'l1' or 'elasticnet', got {estimator.penalty!r}; pass an "
            "array of alphas"
        )
    objectives = [fits.objective(samples, 1.0) for samples in fits.samples]
    largest = max(_largest(one, *shares) for one in objectives)
    if not 0.0 < largest < np.inf:
        return np.logspace(0.0, np.log10(RATIO_L2), count)  # X tells nothing about y: any alpha will do
    columns = objectives[0].moments()[0][LARGEST]
    columns = columns[columns > 0.0]
    scale = min(ALIKE * float(np.median(columns) / columns.max()), 1.0)
    ratio = RATIO_L1 * scale if shares[0] > 0.0 else RATIO_L2 * scale**2
    return largest * np.logspace(0.0, np.log10(ratio), count)


def _largest(objective, l1, l2):
    """The largest alpha of interest for one objective; `l1` and `l2` are the shares of the penalty."""
    F = objective
    constant, value = best_constant(F)
    table = F.start().reshape(-1, F.n_predictions)
    if F.fit_intercept:
        table[-1] = constant
    gradient = F.loss_and_gradient(table.ravel())[1][: F.n_features * F.n_predictions]
    if l1 > 0.0:
        return float(np.abs(gradient).max()) / l1
    above = abs(value) if F.loss.infimum == -np.inf else value - F.loss.infimum
    return float(gradient @ gradient) / (2.0 * GAIN * above * l2) if above > 0.0 else 0.0


class PathFits:
    """The fits along one path, asked for one alpha after the other; parameters are those of `fit_path`."""

    def __init__(self, estimator, X, y, weights=None, n_threads=1, *, rows=None, stop=None):
        self.estimator, self.n_threads = copy.copy(estimator), n_threads
        self.estimator.n_features_in_, self.estimator.alpha = X.shape[1], 1.0
        self.stop = threading.Event() if stop is None else stop
        rows = as_rows(X, checked=True) if rows is None else rows
        no_validation = None, None, None
        self.task, self.samples, self.seeds = prepare(
            self.estimator, X, y, weights, None, no_validation, rows, n_threads
        )
        self._runs: list = [None] * len(self.samples)
        self._newton: list = [None] * len(self.samples)
        self._moments = None

    def objective(self, samples, alpha):
        """The objective of one target."""
        task, n_threads = self.task, 1 if len(self.samples) > 1 else self.n_threads
        objective = Objective.of(task.loss, task.rows, samples, task.penalty, alpha, task.fit_intercept, n_threads)
        if self._moments is not None:
            objective.take_moments(self._moments)
        return objective

    def model(self, alpha):
        """Copy of the estimator, fitted with this alpha."""
        if len(self.samples) > 1 and self._moments is None:
            self._moments = self.objective(self.samples[0], alpha).moments()

        def work(first, last):
            for k in range(first, last):
                self._runs[k] = self._run(k, alpha)

        try:
            with one_blas_thread():
                map_ranges(work, len(self.samples), self.n_threads, end=self.stop.set)
        except BaseException:
            self.stop.set()
            raise
        if any(run.result.reason is StopReason.INTERRUPTED for run in self._runs):
            raise KeyboardInterrupt
        return fitted_copy(self.estimator, self._runs, alpha)

    def _run(self, k, alpha):
        """Fit target `k` with this alpha, from where it is."""
        task, last = replace(self.task, alpha=alpha), self._runs[k]
        start = None
        if self._newton[k] is not None:
            run = self._newton[k].run(alpha)
            if run.result.reason is not StopReason.PLATEAU or not task.settings.tol:
                return run
            start = run.coef, run.intercept  # the plan was wrong for this alpha: a fit may change it
        elif last is not None:
            start = last.coef, last.intercept
        if start is not None and last.plan.batch_size == "growing" and task.settings.batch_size == "auto":
            # From a good start on, a sample of the rows has nothing to tell.
            task.settings = replace(task.settings, batch_size="full")
        objective = self.objective(self.samples[k], alpha)
        run = fit_target(task, objective, self.seeds[k], start, None, k, self.stop)
        self._newton[k] = NewtonPath.after(run, task, objective, k, self.stop)
        run.result.state = None  # what belongs to the rows is not kept with each model
        if self._moments is None and objective.has_moments:
            self._moments = objective.moments()
        return run
