"""Cross-validation of paths: folds on threads, held-out rows as rows of weight 0, scores by any
scorer.
"""

import copy
import itertools
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from sklearn.base import is_classifier

from fastgd.estimators.base import ConvergenceWarning
from fastgd.estimators.names import target_names
from fastgd.fitting.ending import ACCEPT
from fastgd.model_selection.alpha_path import PathFits
from fastgd.model_selection.held_out import predicting, with_predictions
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.call_warnings import warn_at_call
from fastgd.runtime.threads import map_ranges


@dataclass
class CheckedData:
    """Checked data: X, (n_samples, n_features), and the `Rows` made of it, y, and weights and
    offsets, (n_samples,), or None; of rows that are not in memory, `RowsElsewhere` as X, and the
    bytes that a fit may take.
    """

    X: Any
    rows: Any
    y: np.ndarray
    weights: np.ndarray | None
    offset: np.ndarray | None = None
    memory: int = 0

    @property
    def in_memory(self):
        """Whether X is in memory, and not in blocks."""
        return self.rows.in_memory


def score_paths(estimators, alphas, data, splits, score, n_threads, progress, left_out=False):
    """Scores of all models of all paths on the rows that their folds hold out.

    No fold has rows of its own: it has all of them, with weight 0 where they are held out.

    Parameters
    ----------
    estimators : list of GDClassifier or of GDRegressor
        One for each path, not fitted.
    alphas : ndarray, (n_paths, n_alphas)
        In decreasing order.
    data : CheckedData
    splits : list of (train, test)
        Indices of rows.
    score : callable
        `score(model, X_test, y_test, test)`, a float.
    n_threads : int
        Threads for the paths of the folds; one path alone has them for its passes, and so has one
        after the other where X is not in memory: each reads all of it.
    progress : SearchProgress
        Told about each model.
    left_out : bool
        Whether the one fold has all rows, each of which is scored by the model without it.

    Returns
    -------
    scores : ndarray, (n_paths, n_alphas, n_folds)

    Raises
    ------
    ValueError
        For a fold that cannot be fitted or scored.
    """
    scores = np.full((len(estimators), alphas.shape[1], len(splits)), np.nan)
    work = list(itertools.product(range(len(estimators)), range(len(splits))))
    at_once = min(n_threads, len(work)) if data.in_memory else 1
    inner = n_threads if at_once == 1 else 1
    stop = threading.Event()
    lock = threading.Lock()
    queue = iter(work)
    failures: list[BaseException] = []
    short: list[tuple[float, float]] = []
    config = sklearn.get_config()  # each thread has its own

    def score_path(p, f):
        test = splits[f][1]
        X_test, y_test = data.X[test], data.y[test]
        models = _fold(estimators[p], alphas[p], data, splits[f], f, inner, stop)
        for k, model in enumerate(models):
            if left_out:
                model = predicting(model, _left_out(model, data))
            if data.offset is not None:
                model._set_offset(data.offset[test])
            scores[p, k, f] = score(model, X_test, y_test, test)
            progress.model_scored()
            if model.tol and model._falls_short:
                short.append((model.suboptimality_, model.alpha))
        progress.path_done(p, f, scores[p, :, f])

    def drain(first, last):
        try:
            with sklearn.config_context(**config):
                while not stop.is_set():
                    with lock:
                        item = next(queue, None)
                    if item is None:
                        return
                    score_path(*item)
        except BaseException as error:
            failures.append(error)
            stop.set()

    try:
        with one_blas_thread():
            map_ranges(drain, at_once, at_once, end=stop.set)
    except BaseException:
        stop.set()
        raise
    if failures:
        raise failures[0]
    if short:
        warn_about_short(short, scores.size, estimators[0])
    return scores


def _left_out(model, data):
    """Prediction for each row by the model without it, (n_samples, n_outputs), without offsets."""
    n_models = np.size(model.intercept_)
    outputs = [None] if n_models == 1 else target_names(model, n_models)
    given = data.X, data.y, data.weights, data.offset
    try:
        found = np.column_stack([model._left_out(*given, output) for output in outputs])
    except ValueError as error:
        raise ValueError(
            f"cv='loo' cannot score these models: {error}; or give cv a number of folds"
        ) from error
    # Scores add the offsets, and the null model of D^2 has them too.
    return found if data.offset is None else found - data.offset[:, None]


def _fold(estimator, alphas, data, split, f, n_threads, stop):
    """The models of one fold's path, one after the other, that can predict the rows held out."""
    train, test = split
    n_samples = data.y.shape[0]
    weights = np.bincount(train, minlength=n_samples).astype(np.float64)
    if data.weights is not None:
        weights *= data.weights
    y = data.y
    if is_classifier(estimator):
        # Labels that only held-out rows have are unknown to this fold.
        classes = np.unique(y[train])
        y = np.where(np.isin(y, classes), y, classes[0])
        if isinstance(estimator.class_weight, dict):
            others = np.setdiff1d(data.y, classes).tolist()
            own = {k: w for k, w in estimator.class_weight.items() if k not in others}
            estimator = copy.copy(estimator).set_params(class_weight=own)
    try:
        fits = PathFits(
            estimator,
            data.X,
            y,
            weights,
            n_threads,
            rows=data.rows,
            stop=stop,
            offset=data.offset,
        )
        models = (fits.model(float(alpha)) for alpha in alphas)
        if not data.in_memory:
            models = with_predictions(fits, models, test, data.memory)
        yield from models
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ValueError(f"fold {f} of the cross-validation cannot be fitted: {error}") from error


def warn_about_short(short, n_fits, estimator):
    """One warning about all fits that ended too early."""
    worst, alpha = max(short)
    warn_at_call(
        f"{len(short)} of {n_fits} fits along the paths ended before their objective was within "
        f"tol={estimator.tol:g} of the optimum; the farthest, with alpha={alpha:.3g}, has no "
        f"better bound than {worst:.2g} (relative). Raise max_iter (it was {estimator.max_iter}), "
        f"scale the columns of X, leave out the smallest alphas, {ACCEPT}.",
        ConvergenceWarning,
    )


def choose(scores, one_standard_error):
    """(path, alpha) of the best mean score over the folds, the largest alpha of those that are
    equally good.

    With `one_standard_error`, the largest alpha on the best one's path whose mean is within a
    standard error of it, that of the best mean: standard deviation (n - 1) over the root of the
    number of folds.

    Parameters
    ----------
    scores : ndarray, (n_paths, n_alphas, n_folds)
    one_standard_error : bool

    Examples
    --------
    >>> scores = np.array([[[0.5, 0.5], [0.7, 0.8], [0.7, 0.9], [0.6, 0.6]]])
    >>> choose(scores, False), choose(scores, True)
    ((0, 2), (0, 1))
    """
    means = scores.mean(axis=2)
    means = np.where(np.isnan(means), -np.inf, means)
    if not np.isfinite(means).any():
        raise ValueError("no model has a finite mean score; look at scoring, cv and the data")
    p, k = (int(i) for i in np.unravel_index(np.argmax(means), means.shape))
    if one_standard_error:
        n_folds = scores.shape[2]
        if n_folds < 2:
            raise ValueError(
                f"one_standard_error=True needs cv with at least 2 folds, got {n_folds}"
            )
        error = scores[p, k].std(ddof=1) / np.sqrt(n_folds)
        k = int(np.argmax(means[p] >= means[p, k] - error))
    return p, k
