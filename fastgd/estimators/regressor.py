"""`GDRegressor`: numbers in, numbers out."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from fastgd.data.check_parameters import refuse_negative
from fastgd.data.sources import BlockSource
from fastgd.data.targets import as_samples, name_of_target
from fastgd.estimators.block_fits import scored, source_of
from fastgd.estimators.chunk_estimator import ChunkEstimator, validation_rows
from fastgd.estimators.deviance import explained, is_deviance
from fastgd.estimators.input import columns_of
from fastgd.estimators.offered import offered_if
from fastgd.estimators.rollback import restores_on_error
from fastgd.estimators.unknown_parameters import explains_unknown_arguments, explains_unknown_names
from fastgd.fitting.plan import takes_chunks
from fastgd.fitting.runs import stacked
from fastgd.fitting.stopping import Stop
from fastgd.losses.base import Loss, VectorLoss, has_mean
from fastgd.losses.each_target import EachTarget
from fastgd.penalties.base import Penalty
from fastgd.rules.base import Rule
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.component import shown
from fastgd.runtime.public import public


@public
class GDRegressor(RegressorMixin, ChunkEstimator):
    """Linear regression fitted by gradient descent, to a proved accuracy and without a number to
    tune.

    Minimises F(w, b) = sum_i s_i loss(y_i, x_i . w + b) / sum_i s_i + alpha (l1_ratio |w|_1 + (1 -
    l1_ratio) / 2 |w|_2^2), for y of shape (n_samples, n_targets) that of each target by itself, but
    for the penalty `MultiTask`, which has one model of all.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        `"squared_error"`, `"huber"`, `"epsilon_insensitive"`, `"squared_epsilon_insensitive"`,
        `"quantile"`; for counts, amounts and shares `"poisson"`, `"negative_binomial"`, `"gamma"`,
        `"inverse_gaussian"`, `"tweedie"`, `"binomial"`; or a component, for example
        `Tweedie(1.7)` or one of your own.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
        What is added to the mean loss: |w|_2^2 / 2, |w|_1, a mixture of the two, nothing, or a
        component such as `GroupLasso` or one of your own.
    alpha : float, default=1e-4
        Strength of the penalty; it multiplies a mean loss.
    l1_ratio : float, default=0.15
        Share of the L1 part for `"elasticnet"`.
    positive : bool, default=False
        Whether no coefficient may be negative.
    bounds : (low, high), optional
        Ends of the coefficients, met exactly: numbers, infinite ones among them, or arrays of one
        for each feature.
    penalty_weights : array-like, (n_features,), optional
        What the penalty of each feature is multiplied with: 0 leaves it out, infinity makes the
        coefficient 0.  These three go with `"l2"`, `"l1"`, `"elasticnet"` and None; weights also
        with `MultiTask`, and with groups, where those of a group are one number.
    P2 : array-like or sparse, (n_features, n_features), optional
        Symmetric, positive semi-definite: the L2 part is then w'P2 w / 2, which holds, say,
        neighbouring levels of a category together.  Weights are then of the L1 part.
    fit_intercept : bool, default=True
        The intercept is never penalised.
    max_iter : int, default=1000
        Most iterations of the loop: steps of a full-batch solver, epochs of a stochastic one.
    tol : float or None, default=1e-4
        Relative suboptimality to reach; 0 goes on until rounding is what is left, None runs
        `max_iter` iterations.  With an explicit learning rate on some of the rows, the fall of the
        mean training loss without which `n_iter_no_change` epochs in a row end the fit.
    shuffle : bool, default=True
        Whether stochastic epochs visit the rows in a new random order.
    verbose : int, default=0
        0 prints nothing; k prints the plan, a line every k checks, and how the fit ended.
    epsilon : float, default=0.1
        Parameter of `"huber"`, `"epsilon_insensitive"` and `"squared_epsilon_insensitive"`, where
        `loss` is one of these strings; 0.1 as in `SGDRegressor`.  A component has its
        own, so `loss="huber"` is `Huber(0.1)`, not `Huber()`, whose 1.35 suits residuals of unit
        variance.
    n_jobs : int, optional
        Threads; None: what the process may use, one inside a worker.  The result does not depend on
        it.
    random_state : int, RandomState or None, default=None
        Seeds samples and orders of rows.  With None whatever `auto` chooses repeats bit for bit, as
        with 0, and NumPy's global generator is left alone; it is drawn from for steps on some of
        the rows that were asked for (`saga`, `svrg`, `sdca`, an update rule with `batch_size` or an
        explicit `learning_rate`) and for `early_stopping`.
    learning_rate : str, default="auto"
        As in `GDClassifier`.
    eta0, power_t : float, default=0.01, 0.25
        The rate of update t is eta0 (`"constant"`), eta0 / t^power_t (`"invscaling"`), or eta0
        divided by 5 whenever progress stalls (`"adaptive"`); `"pa1"` and `"pa2"` take eta0 as their
        C.  Other learning rates do not use them.
    early_stopping : bool, default=False
        As in `GDClassifier`; the score is that of `score`.
    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out, above 0 and below 1.
    n_iter_no_change : int, default=5
        So many iterations in a row without progress end a fit with held-out rows or an explicit
        learning rate; `"adaptive"` divides its rate then.  With validation rows in `partial_fit`:
        so many calls.
    warm_start : bool, default=False
        Whether `fit` goes on where the last one ended.
    average : bool or int, default=False
        Report the mean of the iterates, from that update on.
    forget : float, optional
        Half-life in rows of what `partial_fit` has learnt, as in `GDClassifier`.
    solver : str or Rule, default="auto"
        As in `GDClassifier`, and so is `batch_size`.
    batch_size : {"auto", "full", "growing"}, int or float, default="auto"
        Rows per step.
    momentum : float, default=0.9
        Share of the step before that `solver="momentum"` and `"nesterov"` keep, from 0 to below 1.
        With automatic steps on all rows `"nesterov"` finds its own.
    max_time : float, optional
        Seconds after which the best model so far is kept; those of compiling do not count.
    stop : callable, StoppingRule or list of them, optional
        Your own reason to stop: a function of `history_`.
    memory : float, optional
        Bytes that a fit or a prediction from a source of blocks may take, about; None: a quarter of
        what is free.  Of no account for data in memory.
    checkpoint : str or path, optional
    checkpoint_every : float, default=60.0
        As in `GDClassifier`: a file from which `fit` goes on where it was killed, and the seconds
        between two writes of it.
    record : {None, "coef"}, default=None
        "coef": keep the model after each update, for pictures of the way.

    Attributes
    ----------
    coef_ : ndarray, (n_features,), or (n_targets, n_features) where y is a table
    intercept_ : ndarray, (1,) or (n_targets,)
    n_features_in_, feature_names_in_, n_iter_, t_, objective_, suboptimality_, bound_kind_,
    converged_
        As in `GDClassifier`; with several targets those of one-vs-rest, for each target.
    stop_reason_, history_, plan_, best_validation_score_
        As in `GDClassifier`.
    coef_path_, intercept_path_
        With `record="coef"`, as in `GDClassifier`: `coef_path_[i]` has the shape of `coef_`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GDRegressor(alpha=0).fit(X, y)
    >>> round(model.score(X, y), 3), model.bound_kind_
    (0.518, 'proof')
    """

    @explains_unknown_names
    def __init__(
        self,
        loss: str | Loss | VectorLoss = "squared_error",
        *,
        penalty: str | Penalty | None = "l2",
        alpha: float = 1e-4,
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
        forget: float | None = None,
        solver: str | Rule = "auto",
        batch_size: int | float | str = "auto",
        momentum: float = 0.9,
        max_time: float | None = None,
        stop: Stop | Sequence[Stop] | None = None,
        memory: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        record: str | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
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
        self.forget = forget
        self.solver = solver
        self.batch_size = batch_size
        self.momentum = momentum
        self.max_time = max_time
        self.stop = stop
        self.memory = memory
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.record = record

    @offered_if(takes_chunks)
    @explains_unknown_arguments
    @restores_on_error
    def partial_fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Vector | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: Labels | None = None,
        sample_weight_val: Vector | None = None,
        offset: Vector | None = None,
        offset_val: Vector | None = None,
    ) -> Self:
        """One epoch over these rows, from the model as it is.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features)
            float64 or float32; other numbers become float64.
        y : array-like, (n_samples,) or (n_samples, n_targets)
            Numbers.
        sample_weight : array-like, (n_samples,), optional
            Only ratios matter, within a chunk and between chunks.
        X_val, y_val, sample_weight_val, offset_val : array-like, optional
            Rows to watch, as in `GDClassifier.partial_fit`.
        offset : array-like, (n_samples,), optional
            Added to the predictions.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`; the estimator is left as it was.

        Notes
        -----
        A call goes on from where the last one ended: a `coef_` that was set in between is not
        looked at; set it on a `clone`, before its first chunk.
        """
        task, given = self._task_of_chunks(), X
        X, y = self._checked(X, y, reset=not self._is_begun())
        weights = self._weights(sample_weight, y, X.shape[0])
        if not self._is_begun():
            self._columns_of_y = columns_of(y)
        targets = self._targets(y)
        if self._columns_of_y != columns_of(y):
            raise ValueError(
                f"y has shape {np.shape(y)}, not the number of targets that the model has: "
                f"{'one' if self._columns_of_y is None else self._columns_of_y}"
            )
        task.loss = self._joint_loss(task.loss)
        targets = self._checked_targets(task.loss, targets)
        validation = validation_rows(X_val, y_val, sample_weight_val, offset_val)
        task.keep = self._share_kept(weights, X.shape[0])
        before = functools.partial(self._score_before, given, y, sample_weight, offset)
        self._advance(task, X, targets, weights, validation, offset, before)
        return self

    def predict(self, X: Matrix | BlockSource, offset: Vector | None = None) -> Floats:
        """Predictions on the scale of the targets: `mean` of the loss at X @ coef + intercept +
        offset.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
        offset : array-like, (n_samples,), optional
            Added to the predictions before any link; a BlockSource has its own.  Without one 0 is
            added, by a model that was fitted with offsets, too: where these were log(exposure),
            that predicts what one unit of exposure has.

        Returns
        -------
        ndarray, (n_samples,), or (n_samples, n_targets) where y was a table
        """
        return self._means(self._scores(X, offset))

    def _means(self, scores):
        """Predictions on the scale of the targets by scores, (n_samples, n_outputs)."""
        means = self._components()[0].mean(scores)
        return means.ravel() if self._columns_of_y is None else means

    def score(
        self,
        X: Matrix | BlockSource,
        y: Labels | None = None,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
    ) -> float:
        """R^2 of the predictions, or D^2 where the loss has a link and a declared infimum.

        D^2 is the share of the deviance, the value of the loss, that the null model leaves and this
        one does not; of Poisson, Gamma and Tweedie losses that of scikit-learn's generalised linear
        models. The null model has the best constant, as R^2's has the mean, with
        `fit_intercept=False`, too: a model without an intercept may be below 0.

        Of quantiles it is R^2, as scikit-learn's `QuantileRegressor` has it; `d2_pinball_score`
        there tells how well they are met, and searches along alpha go by that.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
            A source brings its own y, weights and offsets.
        y : array-like, (n_samples,) or (n_samples, n_targets)
            Numbers, a column for each target.
        sample_weight, offset : array-like, (n_samples,), optional
            Without offsets 0 is added to the predictions, as in `predict`: rows of unlike exposures
            are scored with theirs.

        Returns
        -------
        float
        """
        loss = self._components()[0]
        source = source_of(X, y, sample_weight, offset, self.memory)
        if source is not None:
            return self._score_of(*scored(self, source))
        if y is None:
            raise ValueError("y is missing: score(X, y) needs what there was to predict")
        refuse_negative(sample_weight)
        if is_deviance(loss):
            return self._explained(self._linear(X), y, sample_weight, self._own_offset(offset))
        if offset is None:
            return super().score(X, y, sample_weight)
        return r2_score(y, self.predict(X, offset), sample_weight=sample_weight)

    def _score_of(self, linear, y, sample_weight, offset):
        """The score of rows whose predictions without offsets are known: (n_samples, n_outputs)."""
        refuse_negative(sample_weight)
        loss = self._components()[0]
        if is_deviance(loss):
            return self._explained(linear, y, sample_weight, offset)
        scores = self._with_offset(linear, offset)
        return float(r2_score(y, self._means(scores), sample_weight=sample_weight))

    def _explained(self, linear, y, sample_weight, offset):
        """D^2 by predictions before the link, without offsets; of several targets the mean."""
        loss = self._components()[0]
        if isinstance(loss, VectorLoss):
            return explained(loss, y, linear, sample_weight, offset)
        y = np.asarray(y)
        table = y[:, None] if y.ndim == 1 else y
        if table.shape[1:] != linear.shape[1:]:
            raise ValueError(
                f"y has shape {y.shape}, the model has {linear.shape[1]} target"
                f"{'s' * (linear.shape[1] > 1)}"
            )
        shares = [
            explained(loss, one, linear[:, [k]], sample_weight, offset)
            for k, one in enumerate(table.T)
        ]
        return float(np.mean(shares))

    def _y_options(self):
        return {"y_numeric": True}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _several_targets(self, y):
        return True

    def _checked_targets(self, loss, targets):
        found = [targets[0]]
        for k, one in enumerate(targets[1:], 1):
            name = name_of_target(k, len(targets))
            found.append(as_samples(loss, one, one.shape[0], name=name).targets)
        return found

    def _start_targets(self, y, loss):
        self._columns_of_y = columns_of(y)
        return self._targets(y)

    def _is_joint(self):
        """Whether one model has all targets."""
        if isinstance(self.loss, VectorLoss):
            return True
        return self._columns_of_y is not None and self._base_penalty().joins

    def _joint_loss(self, loss):
        """The loss of all targets at once where one model has them, else `loss`."""
        if not self._is_joint() or isinstance(loss, VectorLoss):
            return loss
        if has_mean(loss):
            raise ValueError(
                f"penalty={self.penalty!r} with several targets goes with losses without a link, "
                f"got loss={shown(self.loss)}"
            )
        return EachTarget(loss)

    def _targets(self, y, name="y"):
        y = np.asarray(y)
        if y.dtype.kind not in "fiub":
            raise ValueError(
                f"{name} must hold real numbers, got dtype {y.dtype}; encode it as numbers first, "
                "or let GDClassifier predict labels"
            )
        y = y.astype(np.float64, copy=False)
        if y.ndim == 1 or self._is_joint():
            return [y]
        return [np.ascontiguousarray(column) for column in y.T]

    def _shaped(self, runs):
        if self._is_joint():
            return runs[0].coef.T.copy(), np.array(runs[0].intercept)
        intercept = np.array([float(run.intercept) for run in runs])
        if self._columns_of_y is None:
            return runs[0].coef, intercept
        return stacked([run.coef for run in runs]), intercept

    def _dense_shape(self, coef):
        return coef.ravel() if self._columns_of_y is None else coef
