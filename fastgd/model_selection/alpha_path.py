"""A regularisation path: one model for each, from the largest alpha to the smallest, each fit begun
where the last ended.
"""

import copy
import threading
from dataclasses import replace

import numpy as np

from fastgd.estimators.base import fitted_copy
from fastgd.fitting.plan import Settings
from fastgd.fitting.runs import fit_target
from fastgd.fitting.stopping import StopReason
from fastgd.model_selection.group_path import GroupPath
from fastgd.model_selection.newton_warm_start import NewtonPath
from fastgd.objective.infimum import check_infimum
from fastgd.objective.objective import Objective
from fastgd.objective.survey import Surveyed
from fastgd.penalties.weighted import Weighted
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.threads import map_ranges

# To this the model without the penalised columns is found, at whose gradient alphas begin:
# derivatives are then exact to about the root of it.
EXACT = 1e-12


def fit_path(
    estimator, X, y, alphas, weights=None, n_threads=1, *, rows=None, stop=None, offset=None
):
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
    offset : ndarray, (n_samples,), optional
        Added to the predictions.

    Raises
    ------
    KeyboardInterrupt
        Where a fit was interrupted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import GDRegressor
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> models = fit_path(GDRegressor(), X, y, [1.0, 0.1, 0.0])
    >>> [round(float(model.coef_[0]), 2) for model in models]
    [0.8, 1.74, 2.0]
    """
    fits = PathFits(estimator, X, y, weights, n_threads, rows=rows, stop=stop, offset=offset)
    for alpha in alphas:
        yield fits.model(float(alpha))


class PathFits:
    """The fits along one path, made for one alpha after the other; parameters are those of
    `fit_path`.
    """

    def __init__(
        self, estimator, X, y, weights=None, n_threads=1, *, rows=None, stop=None, offset=None
    ):
        self.estimator, self.n_threads = copy.copy(estimator), n_threads
        self.estimator.n_features_in_ = X.shape[1]
        self.estimator.alpha = 1.0
        self.stop = threading.Event() if stop is None else stop
        rows = self.estimator._rows_of(X) if rows is None else rows
        found, no_validation = Surveyed(rows, y, weights, offset), (None, None, None, None)
        self.task, self.samples, rng = self.estimator._prepared(found, X, no_validation, n_threads)
        self.seeds = self.estimator._seeds(rng, [None] * len(self.samples))
        for k in range(len(self.samples)):
            check_infimum(self.task.loss, self.samples[k].targets)
        self._runs: list = [None] * len(self.samples)
        self._paths: list = [None] * len(self.samples)
        self._measured: list = [None] * len(self.samples)
        self._moments = self._n_nonzeros = None

    def objective(self, samples, alpha, measured=None):
        """The objective of one target; `measured` is the snapshot of an earlier one."""
        objective = self._bare(samples, self.task.penalty, alpha)
        if measured is not None:
            objective.take_measured(measured)
        elif self._moments is not None:
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
                map_ranges(work, len(self.samples), self._target_threads(), end=self.stop.set)
        except BaseException:
            self.stop.set()
            raise
        if any(run.result.reason is StopReason.INTERRUPTED for run in self._runs):
            raise KeyboardInterrupt
        return fitted_copy(self.estimator, self._runs, alpha)

    def gradient_within(self, k, low, high):
        """Gradient of the mean loss of target `k`, (d, K), and that loss, at the best model without
        a penalty whose coefficients are between these ends.
        """
        zeros = np.zeros(low.size)
        penalty = Weighted(zeros, zeros, low, high, 1, low.size)
        task = replace(self.task, penalty=penalty, settings=Settings(tol=EXACT), stop_rules=())
        F = self._bare(self.samples[k], penalty, 0.0)
        found = fit_target(task, F, self.seeds[k], None, None, k, self.stop).result
        if found.reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        value, gradient = F.loss_and_gradient(found.point)
        return gradient[: F.n_features * F.n_predictions].reshape(F.n_features, -1), value

    def _bare(self, samples, penalty, alpha):
        """An objective that has measured nothing; only the outermost of targets and blocks uses
        threads.
        """
        task, inner = self.task, self.n_threads if self._target_threads() == 1 else 1
        problem = task.loss, task.rows, samples, penalty, alpha
        objective = Objective.of(*problem, task.fit_intercept, inner, self._n_nonzeros)
        self._n_nonzeros = objective.n_nonzeros
        return objective

    def _target_threads(self):
        """Threads for the targets; one where each reads an X that is not in memory."""
        several = len(self.samples) > 1 and self.task.rows.in_memory
        return self.n_threads if several else 1

    def _run(self, k, alpha):
        """Fit target `k` with this alpha, from where it is."""
        task, last = replace(self.task, alpha=alpha), self._runs[k]
        start = None
        if self._paths[k] is not None:
            run = self._paths[k].run(alpha)
            if run.result.reason is not StopReason.PLATEAU or not task.settings.tol:
                return run
            # The plan was wrong for this alpha: a fit may change it.
            start = run.coef, run.intercept
        elif last is not None:
            start = last.coef, last.intercept
        if (
            start is not None
            and last.plan.batch_size == "growing"
            and task.settings.batch_size == "auto"
        ):
            # From a good start on, a sample of the rows has nothing to tell.
            task.settings = replace(task.settings, batch_size="full")
        objective = self.objective(self.samples[k], alpha, self._measured[k])
        run = fit_target(task, objective, self.seeds[k], start, None, k, self.stop)
        given = run, task, objective, k, self.stop
        self._paths[k] = NewtonPath.after(*given) or GroupPath.after(*given)
        self._measured[k] = objective.snapshot()
        run.result.state = None  # what belongs to the rows is not kept with each model
        if self._moments is None and objective.has_moments:
            self._moments = objective.moments()
        return run
