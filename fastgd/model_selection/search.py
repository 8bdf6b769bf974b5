"""`GDClassifierCV` and `GDRegressorCV`: alpha, and the share of the L1 part, chosen by
cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastgd.estimators import GDClassifier, GDRegressor
from fastgd.estimators.unknown_parameters import explains_unknown_names
from fastgd.fitting.stopping import Stop
from fastgd.losses.base import Loss, VectorLoss
from fastgd.model_selection.base import PathSearch
from fastgd.penalties.base import Penalty
from fastgd.rules.base import Rule
from fastgd.runtime.array_types import Matrix, Vector
from fastgd.runtime.public import public


@public
class GDClassifierCV(PathSearch, GDClassifier):
    """Linear classifier whose alpha is chosen by cross-validation along a regularisation path.

    On each fold one model after the other is fitted, from the largest alpha to the smallest, each
    from where the last one ended; the folds share X and run on threads.  The alpha with the best
    mean score is then fitted to all rows, from zero: `best_estimator_` is what
    `GDClassifier(alpha=alpha_)` would be; with a penalty that is not convex from where the path of
    all rows comes, for other starts lead to other minima than those that were scored.

    Fits along a path end where their suboptimality is estimated to be within `tol`; that of
    `best_estimator_` is proved wherever `GDClassifier` proves it.

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        As in `GDClassifier`.
    alphas : int or array-like, default=30
        The alphas, or how many.  A number of them is spaced logarithmically.  With an L1 part: from
        the smallest alpha for which all coefficients are 0 to 1e-3 of it.  With L2 alone: from
        where the best model is proved to gain at most 1 % over the null model (the best one
        without columns) to 1e-6 of that.  Columns of very different scales extend it downwards,
        until the small ones count.  Where features have no penalty, these are fitted first.  The
        grid follows from all rows and is the same in all folds.
    l1_ratios : array-like, optional
        Shares of the L1 part to choose from, with `penalty="elasticnet"`; None: `l1_ratio` alone.
    cv : int, "loo", splitter or iterable, default=5
        As in scikit-learn's searches; a number means stratified folds. "loo" scores each row by
        the model without it (`loo_predictions`), at the price of one path; of more than two
        classes with `multi_class="ovr"`.
    scoring : str or callable, optional
        One score, higher is better; None: accuracy.
    one_standard_error : bool, default=False
        Whether to choose the largest alpha whose mean score is within one standard error of the
        best one.
    refit : bool, default=True
        Whether to fit the chosen model to all rows; without it there is nothing to predict with.
    penalty : {"l2", "l1", "elasticnet"} or Penalty, default="l2"
    n_jobs : int, optional
        Threads, for the folds and for the refitted model; None: what the process may use, one
        inside a worker.  The result does not depend on it.
    verbose : int, default=0
        Print progress: a line for each path and fold, or a bar in a terminal where rich is
        installed; then as in `GDClassifier` for the refitted model.
    warm_start : bool, default=False
        Of `best_estimator_`; the search begins anew with each `fit`.
    l1_ratio, positive, bounds, penalty_weights, P2, fit_intercept, max_iter, tol, shuffle,
    epsilon, random_state, learning_rate, eta0, power_t, early_stopping
        As in `GDClassifier`; `max_iter` and `tol` hold for each fit.
    validation_fraction, n_iter_no_change, class_weight, average, solver, batch_size, momentum,
    multi_class
        As in `GDClassifier`.
    max_time, stop
        As in `GDClassifier`, for each fit.
    memory : float, optional
        As in `GDClassifier`: bytes that reading a source of blocks may take.

    Attributes
    ----------
    alpha_ : float
        The alpha that was chosen.
    l1_ratio_ : float or None
        The share of the L1 part: what was chosen, 0 with `"l2"`, 1 with `"l1"`; None with a penalty
        that is no elastic net.
    alphas_ : ndarray, (n_alphas,) or (n_l1_ratios, n_alphas)
        From the largest to the smallest; one row for each of `l1_ratios` where these are given.
    scores_ : ndarray, (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        The score of each model on the rows that its fold held out.
    best_estimator_ : GDClassifier
        Fitted to all rows; with `refit`, as all that follows.
    coef_, intercept_, n_iter_, t_, objective_, suboptimality_, bound_kind_, converged_,
    stop_reason_, history_, plan_
        Those of `best_estimator_`.
    classes_ : ndarray, (n_classes,)
    n_features_in_, feature_names_in_
        Of the X that was fitted.

    References
    ----------
    Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via
    coordinate descent, Journal of Statistical Software 33.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> search = GDClassifierCV(alphas=10, cv=3).fit(scale(X), y)
    >>> search.scores_.shape, search.best_estimator_.alpha == search.alpha_
    ((10, 3), True)
    >>> bool(search.score(scale(X), y) > 0.98)
    True
    """

    _estimator_class = GDClassifier

    @explains_unknown_names
    def __init__(
        self,
        loss: str | Loss | VectorLoss = "log_loss",
        *,
        alphas: int | Vector = 30,
        l1_ratios: Vector | None = None,
        cv: Any = 5,
        scoring: str | Callable[..., float] | None = None,
        one_standard_error: bool = False,
        refit: bool = True,
        penalty: str | Penalty | None = "l2",
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        bounds: tuple[float | Vector, float | Vector] | None = None,
        penalty_weights: Vector | None = None,
        P2: Matrix | None = None,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-4,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str = "auto",
        eta0: float = 0.01,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict[Any, float] | str | None = None,
        warm_start: bool = False,
        average: bool | int = False,
        solver: str | Rule = "auto",
        batch_size: int | float | str = "auto",
        momentum: float = 0.9,
        multi_class: str = "auto",
        max_time: float | None = None,
        stop: Stop | Sequence[Stop] | None = None,
        memory: float | None = None,
    ) -> None:
        self.loss = loss
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.refit = refit
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.bounds = bounds
        self.penalty_weights = penalty_weights
        self.P2 = P2
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.solver = solver
        self.batch_size = batch_size
        self.momentum = momentum
        self.multi_class = multi_class
        self.max_time = max_time
        self.stop = stop
        self.memory = memory


@public
class GDRegressorCV(PathSearch, GDRegressor):
    """Linear regression whose alpha is chosen by cross-validation along a regularisation path.

    As `GDClassifierCV`, which says what a regularisation path is.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        As in `GDRegressor`.
    alphas, l1_ratios, one_standard_error, refit
        As in `GDClassifierCV`.
    cv : int, "loo", splitter or iterable, default=5
        As in scikit-learn's searches; a number means folds of rows that follow one another. "loo"
        scores each row by the model without it (`loo_predictions`), at the price of one path.
    scoring : str or callable, optional
        One score, higher is better; None: R^2, or D^2 where the loss has a link, or is of a
        quantile, which R^2 does not tell from the mean: scikit-learn's `d2_pinball_score`.
    penalty, l1_ratio, positive, bounds, penalty_weights, P2, n_jobs, verbose, warm_start
        As in `GDClassifierCV`.
    fit_intercept, max_iter, tol, shuffle, epsilon, random_state, learning_rate, eta0, power_t,
    early_stopping
        As in `GDRegressor`; `max_iter` and `tol` hold for each fit.
    validation_fraction, n_iter_no_change, average, solver, batch_size, momentum, max_time, stop
        As in `GDRegressor`, for each fit.
    memory : float, optional
        As in `GDRegressor`: bytes that reading a source of blocks may take.

    Attributes
    ----------
    alpha_, l1_ratio_, alphas_, scores_
        As in `GDClassifierCV`.
    best_estimator_ : GDRegressor
        Fitted to all rows; with `refit`, as all that follows.
    coef_, intercept_, n_iter_, t_, objective_, suboptimality_, bound_kind_, converged_,
    stop_reason_, history_, plan_
        Those of `best_estimator_`.
    n_features_in_, feature_names_in_
        Of the X that was fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = GDRegressorCV(penalty="l1", one_standard_error=True).fit(X, y)
    >>> int((search.coef_ != 0).sum()), search.scores_.shape
    (5, (30, 5))
    """

    _estimator_class = GDRegressor

    @explains_unknown_names
    def __init__(
        self,
        loss: str | Loss | VectorLoss = "squared_error",
        *,
        alphas: int | Vector = 30,
        l1_ratios: Vector | None = None,
        cv: Any = 5,
        scoring: str | Callable[..., float] | None = None,
        one_standard_error: bool = False,
        refit: bool = True,
        penalty: str | Penalty | None = "l2",
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        bounds: tuple[float | Vector, float | Vector] | None = None,
        penalty_weights: Vector | None = None,
        P2: Matrix | None = None,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-4,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        solver: str | Rule = "auto",
        batch_size: int | float | str = "auto",
        momentum: float = 0.9,
        max_time: float | None = None,
        stop: Stop | Sequence[Stop] | None = None,
        memory: float | None = None,
    ) -> None:
        self.loss = loss
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.refit = refit
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.bounds = bounds
        self.penalty_weights = penalty_weights
        self.P2 = P2
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.solver = solver
        self.batch_size = batch_size
        self.momentum = momentum
        self.max_time = max_time
        self.stop = stop
        self.memory = memory
