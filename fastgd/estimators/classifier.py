"""`GDClassifier`: labels in, signs as targets, labels and probabilities out."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastgd.data.check_parameters import as_offset, only_given, refuse_negative
from fastgd.data.sources import BlockSource
from fastgd.data.targets import refuse_shift
from fastgd.estimators.block_fits import scored, source_of
from fastgd.estimators.chunk_estimator import ChunkEstimator, validation_rows
from fastgd.estimators.class_weights import chunk_weights, class_totals, with_class_weight
from fastgd.estimators.input import columns_of
from fastgd.estimators.labels import distinct, indicator_targets, targets_of
from fastgd.estimators.offered import offered_if
from fastgd.estimators.refused_input import explained_labels
from fastgd.estimators.rollback import restores_on_error
from fastgd.estimators.unknown_parameters import explains_unknown_arguments, explains_unknown_names
from fastgd.fitting.choose_solver import takes_several
from fastgd.fitting.plan import takes_chunks
from fastgd.fitting.runs import stacked
from fastgd.fitting.stopping import Stop
from fastgd.losses.base import Loss, VectorLoss, has_all_classes, has_probabilities
from fastgd.penalties.base import Penalty
from fastgd.penalties.separable import NoPenalty
from fastgd.penalties.weighted import weighted
from fastgd.rules.base import Rule
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.component import shown
from fastgd.runtime.public import public


def _gives_probabilities(estimator):
    if has_probabilities(estimator.loss):
        return True
    known = " or ".join(repr(name) for name in Loss.members() if has_probabilities(name))
    raise AttributeError(
        f"probabilities need loss={known} or a loss with a method probability, got "
        f"{estimator.loss!r}"
    )


@public
class GDClassifier(ClassifierMixin, ChunkEstimator):
    """Linear classifier fitted by gradient descent, to a proved accuracy and without a number to
    tune.

    Minimises F(w, b) = sum_i s_i loss(y_i, x_i . w + b) / sum_i s_i + alpha (l1_ratio |w|_1 + (1 -
    l1_ratio) / 2 |w|_2^2), one model for two classes; for more one of all of them, with the
    multinomial loss log(sum_k exp(z_k)) - z_y, or one for each class against the rest
    (`multi_class`).

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        `"log_loss"`, `"hinge"`, `"squared_hinge"`, `"modified_huber"`, `"perceptron"`, a regression
        loss on the signs -1 and 1, or a component of your own.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
        What is added to the mean loss: |w|_2^2 / 2, |w|_1, a mixture of the two, nothing, or a
        component such as `GroupLasso` or one of your own.
    alpha : float, default=1e-4
        Strength of the penalty; it multiplies a mean loss, so that C = 1 / (alpha * n_samples).
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
        `loss` is one of these strings.
    n_jobs : int, optional
        Threads; None: what the process may use, one inside a worker.  The result does not depend on
        it.
    random_state : int, RandomState or None, default=None
        Seeds samples and orders of rows.  With None whatever `auto` chooses repeats bit for bit, as
        with 0, and NumPy's global generator is left alone; it is drawn from for steps on some of
        the rows that were asked for (`saga`, `svrg`, `sdca`, an update rule with `batch_size` or an
        explicit `learning_rate`) and for `early_stopping`.
    learning_rate : str, default="auto"
        `"auto"`, `"constant"`, `"invscaling"`, `"optimal"`, `"adaptive"`, `"pa1"`, `"pa2"` or, full
        batch, `"line_search"`.
    eta0, power_t : float, default=0.01, 0.5
        The rate of update t is eta0 (`"constant"`), eta0 / t^power_t (`"invscaling"`), or eta0
        divided by 5 whenever progress stalls (`"adaptive"`); `"pa1"` and `"pa2"` take eta0 as their
        C.  Other learning rates do not use them.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the rows and stop when the score on them has
        not improved by `tol` for `n_iter_no_change` iterations, of which the best is kept.  A fit
        that is at its optimum before that keeps the optimum.
    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out, above 0 and below 1.
    n_iter_no_change : int, default=5
        So many iterations in a row without progress end a fit with held-out rows or an explicit
        learning rate; `"adaptive"` divides its rate then.  With validation rows in `partial_fit`:
        so many calls.
    class_weight : dict, "balanced" or None
        Weights of the classes; balanced: such that the classes' total weights are equal.
    warm_start : bool, default=False
        Whether `fit` goes on where the last one ended: k iterations and then m are k + m
        iterations, bit for bit.  With other data a run begins anew, at the model that there is.
    average : bool or int, default=False
        Report the mean of the iterates, from that update on; full-batch steps that end at the
        optimum by themselves (`"auto"`, `"line_search"`) are not averaged.
    forget : float, optional
        Half-life in rows of what `partial_fit` has learnt: after so many more rows a chunk counts
        half as much in averages, in the gradients that Adagrad adds up, in class counts and in
        what rates were measured on; rates that fall with the number of rows fall no further than
        after 1.44 half-lives.  `history_` then has the score of each chunk before it was learnt
        from; infinity gives this alone.  None forgets nothing; `fit` forgets nothing.
    solver : str or Rule, default="auto"
        `"gd"`, `"momentum"`, `"nesterov"`, `"adagrad"`, `"rmsprop"`, `"adam"`, or a rule with
        parameters of its own; `"newton"`, `"lbfgs"`, `"saga"`, `"svrg"`, `"sdca"` find their own
        steps.
    batch_size : {"auto", "full", "growing"}, int or float, default="auto"
        Rows per step: all (batch descent), 1 (stochastic), k or a fraction (mini-batch), few at
        first and all at the end (growing).  As many as there are rows, or more, are all; in
        `partial_fit` a shorter chunk is one mini-batch.
    momentum : float, default=0.9
        Share of the step before that `solver="momentum"` and `"nesterov"` keep, from 0 to below 1.
        With automatic steps on all rows `"nesterov"` finds its own.
    multi_class : {"auto", "multinomial", "ovr"}, default="auto"
        With more than two classes: one multinomial model of all classes, for `"log_loss"`, or one
        model of each class against the rest.  Auto: multinomial for `"log_loss"`, whatever the
        solver, but for those that take one prediction: `"saga"`, `"svrg"`, `"sdca"`, and
        `"newton"` with a penalty that is no elastic net; else one against the rest.
    max_time : float, optional
        Seconds after which the best model so far is kept; those in which code is compiled, once
        per machine, do not count, here as in `history_`.
    stop : callable, StoppingRule or list of them, optional
        Your own reason to stop: a function of `history_`.
    memory : float, optional
        Bytes that a fit or a prediction from a source of blocks may take, about; None: a quarter of
        what is free.  Of no account for data in memory.
    checkpoint : str or path, optional
        File in which `fit` keeps where it is; where there is one of the same fit, it goes on from
        there, to the same bits.  Removed when a fit ends, kept where it is killed, interrupted or
        fails.  Each fit needs a path of its own.
    checkpoint_every : float, default=60.0
        Seconds between two writes of it, which come between two iterations.
    record : {None, "coef"}, default=None
        "coef": keep the model after each update, for pictures of the way.

    Attributes
    ----------
    coef_ : ndarray, (1 or n_classes, n_features)
    intercept_ : ndarray, (1 or n_classes,)
        Of the multinomial model, which a common shift does not change, the sum is 0; so are the
        sums of `coef_` over the classes in columns that have neither a penalty nor bounds.
    classes_ : ndarray, (n_classes,)
        Of a table of labels (y of shape (n_samples, n_labels), 0 or 1), which has one model for
        each label, their numbers.
    n_features_in_, feature_names_in_
        Of the X that was fitted.
    n_iter_ : int
        Iterations of the loop.
    t_ : float
        1 + updates.
    objective_ : float
        F at the model; the sum over the classes of one-vs-rest.
    suboptimality_ : float
        bound / max(F - bound, 1e-4 F0), with F0 the objective of the null model (the best one
        without columns), both less the infimum of the loss; of a loss whose infimum is unknown
        bound / (F0 - F).  The greatest over the classes.  Of 1 or more: nothing useful is known
        yet, however sure the bound is.
    bound_kind_ : {"proof", "estimate", "stationarity", "none"}
        What the bound is: proved, or the estimate on which the fit ended (`history_["bound"]` keeps
        what is proved), or with a penalty that is not convex what steps along single columns would
        gain, which is 0 at every stationary point; of several classes the worst.
    converged_ : bool
        Whether `suboptimality_` is at most `tol` (1e-12 where that is 0), and nothing else; False
        without a `tol`.
    stop_reason_ : StopReason
        Of several classes the one that tells most: what cut one short, then a plateau.
    history_ : dict of ndarray, or a list of them
        Equally long arrays `passes seconds objective bound rate batch`, one entry for each check,
        with held-out rows `score`, and `kept`, which check the model is of; from `partial_fit` one
        dict, an entry for each call, the objective that of its rows after it, `score` on the
        validation rows, and with `forget` `prequential`, the score of each chunk by the model
        before it.  What is read once for K squared losses counts for each as a K-th of a pass.
    plan_ : Plan or list of Plan
        What was done and why; print it.
    coef_path_ : ndarray, (1 + n_updates, 1 or n_classes, n_features), or a list of them
        With `record="coef"`: the coefficients that `fit` began with, and those after each update of
        a rule (by automatic rates Adagrad's, and those of `"gd"` in columns of unlike scales, in
        steps of max(16, n_features / 8) rows), epoch of another stochastic solver, or iteration; of
        one-vs-rest a list of arrays without the second axis.  An average is of these.
    intercept_path_ : ndarray, (1 + n_updates, 1 or n_classes), or a list of them
    class_count_ : ndarray, (n_classes,)
        `partial_fit` with `class_weight="balanced"`: total weight of each class in all chunks so
        far, which the weights of the next one follow.
    best_validation_score_ : float
        With rows held out, or validation rows: the best score on them, that of the model that is
        kept, but where `fit` ends at the optimum, which is kept whatever it scores; of one-vs-rest
        `fit` the mean of the classes' (shares of signs that are right).

    References
    ----------
    Bottou, Curtis and Nocedal (2018), Optimization methods for large-scale machine learning, SIAM
    Review 60.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = GDClassifier().fit(X, y)
    >>> model.score(X, y) > 0.97, model.suboptimality_ <= 1e-4
    (True, True)
    """

    classes_: npt.NDArray[Any]

    @explains_unknown_names
    def __init__(
        self,
        loss: str | Loss | VectorLoss = "log_loss",
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
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict[Any, float] | str | None = None,
        warm_start: bool = False,
        average: bool | int = False,
        forget: float | None = None,
        solver: str | Rule = "auto",
        batch_size: int | float | str = "auto",
        momentum: float = 0.9,
        multi_class: str = "auto",
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
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.forget = forget
        self.solver = solver
        self.batch_size = batch_size
        self.momentum = momentum
        self.multi_class = multi_class
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
        classes: Labels | None = None,
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
            Labels of any kind, or a table of several that are 0 or 1 each, dense or sparse.
        classes : array-like, (n_classes,), optional
            All labels there will be; needed in the first call.
        sample_weight : array-like, (n_samples,), optional
            Only ratios matter, within a chunk and between chunks.
        offset : array-like, (n_samples,), optional
            Added to the predictions.
        X_val, y_val, sample_weight_val, offset_val : array-like, optional
            Rows to watch, the same in each call: the model that predicts is the one of the best
            `score` on them so far, while the next call goes on from the latest.  `stop_reason_` is
            `StopReason.VALIDATION` once `n_iter_no_change` calls in a row have not improved it by
            `tol`, None before.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a label that is not in `classes`, and as `fit`; the estimator is left as it was.

        Notes
        -----
        A chunk whose classes all have the weight 0 (`class_weight`) teaches nothing. A call goes on
        from where the last one ended: a `coef_` that was set in between is not looked at; set it on
        a `clone`, before its first chunk.
        """
        task, given = self._task_of_chunks(), X
        X, y = self._checked(X, y, reset=not self._is_begun())
        self._take_classes(y, classes)
        self._check_multi_class()
        task.loss = self._joint_loss(task.loss)
        targets = self._targets(y, hint="; pass all in classes")
        weights = super()._weights(sample_weight, y, X.shape[0])
        self._check_class_weight()
        task.keep = self._share_kept(weights, X.shape[0])
        earlier = task.keep * getattr(self, "class_count_", 0.0)
        weights, totals = chunk_weights(self.class_weight, self.classes_, y, weights, earlier)
        if totals is not None:
            self.class_count_ = totals
        validation = validation_rows(X_val, y_val, sample_weight_val, offset_val)
        if weights is not None and not weights.any():
            self._check_weightless(X, offset, task.loss, validation)
            return self
        before = functools.partial(self._score_before, given, y, sample_weight, offset)
        self._advance(task, X, targets, weights, validation, offset, before)
        return self

    def _take_classes(self, y, classes):
        """Know the classes from the first call to `partial_fit` on; ValueError where `classes` or
        the labels `y` are not those of that call.
        """
        if not hasattr(self, "classes_") and np.ndim(y) == 2:
            self._columns_of_y = np.shape(y)[1]
            self.classes_ = np.arange(self._columns_of_y)
        if self._columns_of_y != columns_of(y):
            raise ValueError(
                f"y has shape {np.shape(y)}, not the labels of the first call to partial_fit: "
                f"{self.classes_.size}"
            )
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: all labels there "
                    "will be"
                )
            if isinstance(classes, str):
                raise ValueError(f"classes must be a list of all labels, got {classes!r}")
            self.classes_ = distinct(classes, "classes")
            if self.classes_.size < 2:
                raise ValueError(
                    f"classes must hold at least 2 labels, got {self.classes_.size} class"
                )
        elif classes is not None and not np.array_equal(
            self.classes_, distinct(classes, "classes")
        ):
            raise ValueError(
                f"classes={classes} is not what the first call to partial_fit got: {self.classes_}"
            )

    def _check_weightless(self, X, offset, loss, validation):
        """Refuse a first chunk that has no weight, and rows that no chunk may have."""
        if not self._is_begun():
            raise ValueError(
                f"class_weight={self.class_weight} gives every row of the first chunk the weight "
                "0, so that no model can begin with it: begin with rows of other classes"
            )
        self._rows_of(X)
        if offset is not None:
            refuse_shift(loss, as_offset(offset, X.shape[0]))
        if validation is not None:
            self._held_out(*validation)

    def decision_function(self, X: Matrix | BlockSource, offset: Vector | None = None) -> Floats:
        """Predictions before any link.  For two classes: the score of the second, less that of the
        first if the loss gives one for each.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
        offset : array-like, (n_samples,), optional
            Added to the predictions before any link; a BlockSource has its own.  Without one 0 is
            added, by a model that was fitted with offsets, too; so it is in the other predictions.

        Returns
        -------
        ndarray, (n_samples,) for two classes, (n_samples, n_classes) for more
        """
        scores = self._scores(X, offset)
        if scores.shape[1] == 2 and not self._is_multilabel():
            return scores[:, 1] - scores[:, 0]
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Matrix | BlockSource, offset: Vector | None = None) -> npt.NDArray[Any]:
        """Label of each row: that of the highest score.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
        offset : array-like, (n_samples,), optional
            Added to the predictions before any link; a BlockSource has its own.

        Returns
        -------
        ndarray, (n_samples,), or (n_samples, n_labels) of 0 and 1 where y was a table of labels
        """
        if self._is_multilabel() or isinstance(X, BlockSource):
            return self._labels(self._scores(X, offset))
        return self._labels(self.decision_function(X, **only_given(offset=offset)))

    def _labels(self, scores):
        """Labels by scores, (n_samples,) or (n_samples, n_outputs)."""
        if self._is_multilabel():
            return (scores > 0.0).astype(int)
        scores = scores.ravel() if scores.ndim == 2 and scores.shape[1] == 1 else scores
        chosen = (scores > 0.0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[chosen]

    def score(
        self,
        X: Matrix | BlockSource,
        y: Labels | None = None,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
    ) -> float:
        """Share of the labels that are right.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
            A source brings its own y, weights and offsets.
        y : array-like, (n_samples,) or (n_samples, n_targets)
            Labels; of a table all those of a row have to be right.
        sample_weight, offset : array-like, (n_samples,), optional

        Returns
        -------
        float
        """
        source = source_of(X, y, sample_weight, offset, self.memory)
        if source is not None:
            return self._score_of(*scored(self, source))
        if y is None:
            raise ValueError("y is missing: score(X, y) needs what there was to predict")
        refuse_negative(sample_weight)
        if offset is None:
            return super().score(X, y, sample_weight)
        return float(accuracy_score(y, self.predict(X, offset), sample_weight=sample_weight))

    def _score_of(self, linear, y, sample_weight, offset):
        """The score of rows whose predictions without offsets are known: (n_samples, n_outputs)."""
        refuse_negative(sample_weight)
        scores = self._with_offset(linear, offset)
        return float(accuracy_score(y, self._labels(scores), sample_weight=sample_weight))

    @offered_if(_gives_probabilities)
    def predict_proba(self, X: Matrix | BlockSource, offset: Vector | None = None) -> Floats:
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
        offset : array-like, (n_samples,), optional
            Added to the predictions before any link; a BlockSource has its own.

        Returns
        -------
        ndarray, (n_samples, n_classes)
            Rows sum to 1, however large the scores are, but for a table of labels, each of which
            has a probability of its own.
        """
        scores = self._scores(X, offset)
        loss = self._fitted_loss()
        own = np.asarray(loss.probability(scores))
        if isinstance(loss, VectorLoss) or self._is_multilabel():
            return own
        if own.shape[1] == 1:
            return np.hstack([1.0 - own, own])
        total = own.sum(axis=1, keepdims=True)
        best = np.zeros_like(own)
        best[np.arange(own.shape[0]), scores.argmax(axis=1)] = 1.0
        return np.where(total > 1e-300, own / np.where(total > 1e-300, total, 1.0), best)

    @offered_if(_gives_probabilities)
    def predict_log_proba(self, X: Matrix | BlockSource, offset: Vector | None = None) -> Floats:
        """Logarithm of `predict_proba`; of the multinomial model finite at any scores.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
        offset : array-like, (n_samples,), optional
            Added to the predictions before any link; a BlockSource has its own.

        Returns
        -------
        ndarray, (n_samples, n_classes)
        """
        check_is_fitted(self)
        loss = self._fitted_loss()
        if isinstance(loss, VectorLoss):
            return loss.log_probability(self._scores(X, offset))
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, **only_given(offset=offset)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _y_options(self):
        return {}

    def _several_targets(self, y):
        """A table of labels is one of several; a single column is a vector, with a warning."""
        shape = getattr(y, "shape", None) or np.asarray(y, dtype=object).shape
        return len(shape) == 2 and shape[1] > 1

    def _is_multilabel(self):
        """Whether a row may have any number of labels."""
        return self._columns_of_y is not None

    def _start_targets(self, y, loss):
        self._columns_of_y = columns_of(y)
        if self._columns_of_y is not None:
            self.classes_ = np.arange(self._columns_of_y)
            self._check_multi_class()
            targets = self._targets(y)
            for k, one in enumerate(targets):
                if (one == one[0]).all():
                    raise ValueError(
                        f"label {k} is {int(one[0] > 0.0)} in every row of y, which leaves nothing "
                        "to learn: leave out its column"
                    )
            return targets
        try:
            self.classes_ = distinct(y)
            # Whole numbers that repeat are labels; scikit-learn looks at them for 0.3 ms.
            if y.dtype.kind not in "biu" or 2 * self.classes_.size > y.size:
                check_classification_targets(y)
        except ValueError as error:
            raise explained_labels(error, y) or error from None
        if self.classes_.size < 2:
            raise ValueError(
                "a classifier needs at least 2 classes in y, got 1 class: "
                f"{self.classes_.tolist()[0]!r}"
            )
        self._check_multi_class()
        return self._targets(y)

    def _targets(self, y, name="y", hint=""):
        return self._targets_for(self._is_joint(), y, name, hint)

    def _fitted_targets(self, y):
        return self._targets_for(self._was_joint(), y)

    def _targets_for(self, joint, y, name="y", hint=""):
        if self._is_multilabel():
            return indicator_targets(y, self.classes_.size, name)
        return targets_of(y, self.classes_, joint, name, hint)

    def _is_joint(self):
        """Whether one loss takes all classes at once."""
        if self._is_multilabel():
            return False
        if isinstance(self.loss, VectorLoss):
            return True
        joint = self.multi_class != "ovr" and has_all_classes(self.loss)
        if self.classes_.size <= 2 or not joint:
            return False
        if self._base_penalty().joins or not isinstance(self.solver, str):
            return True
        return takes_several(self.solver, self._components()[1].term(1.0))

    def _check_multi_class(self):
        """Refuse losses, penalties and solvers that do not go with these classes."""
        joins, asked = self._base_penalty().joins, self.multi_class == "multinomial"
        if self._is_multilabel():
            if joins:
                raise ValueError(
                    f"penalty={self.penalty!r} joins the classes of one model, got a table of "
                    "labels in y"
                )
            if isinstance(self.loss, VectorLoss) or asked:
                raise ValueError(
                    "a loss of all classes takes one label a row, got a table of labels in y: use "
                    "multi_class='auto' and a loss of one prediction"
                )
            return
        if isinstance(self.loss, VectorLoss):
            return
        if asked and not has_all_classes(self.loss):
            raise ValueError(
                f"multi_class='multinomial' needs loss='log_loss', got {shown(self.loss)}; use "
                "'ovr'"
            )
        if self.classes_.size <= 2 or self._is_joint():
            return
        if joins:
            raise ValueError(
                f"penalty={self.penalty!r} joins the classes of one model, which needs "
                f"loss='log_loss' and multi_class='auto' or 'multinomial', got "
                f"{shown(self.loss)} and {self.multi_class!r}"
            )
        if asked:
            raise ValueError(
                f"solver={self.solver!r} with penalty={shown(self.penalty)} takes one prediction; "
                "with multi_class='multinomial' use solver='auto', or multi_class='ovr'"
            )

    def _joint_loss(self, loss):
        """The loss of all classes at once where there is one, else `loss`."""
        return self._loss_of_all(loss) if self._is_joint() else loss

    def _loss_of_all(self, loss):
        if isinstance(loss, VectorLoss) or has_all_classes(loss):
            return loss.of_all_classes(self.classes_.size)
        return loss

    def _fitted_loss(self):
        """The loss of the model that was fitted: parameters may be others by now."""
        return self._loss_of_all(self._loss()) if self._was_joint() else self._loss()

    def _was_joint(self):
        """Whether one model of all classes was fitted."""
        check_is_fitted(self)
        return self._is_joint() if self._joint is None else self._joint

    def _weights(self, sample_weight, y, n_samples):
        """Sample weights times class weights, or None."""
        self._check_class_weight()
        if self._is_multilabel():
            return super()._weights(sample_weight, y, n_samples)
        return with_class_weight(
            self.class_weight, self.classes_, y, super()._weights(sample_weight, y, n_samples)
        )

    def _check_class_weight(self):
        if self._is_multilabel() and self.class_weight is not None:
            raise ValueError(
                "class_weight must be None where y is a table of labels; use sample_weight"
            )

    def _check_rows(self, y, weights):
        if weights is None or self._is_multilabel():
            return
        totals = class_totals(self.classes_, y, weights)
        missing = self.classes_[totals == 0.0].tolist()
        if np.count_nonzero(totals) == 1:
            raise ValueError(
                "a classifier needs at least 2 classes, got 1 class with a positive weight: no row "
                f"of class {', '.join(map(repr, missing[:5]))} has one; check sample_weight and "
                "class_weight"
            )
        if missing:
            raise ValueError(
                f"class {missing[0]!r} of y has no row with a positive weight, and nothing to be "
                "told by; check sample_weight and class_weight, or leave its rows out"
            )

    def _check_labels(self, y, sample_weight):
        # A single weight, like none, leaves out no row.
        if not self._is_multilabel() or np.ndim(sample_weight) == 0:
            return
        counting = np.asarray(y)[np.asarray(sample_weight) > 0.0]
        alike = np.flatnonzero((counting == counting[0]).all(axis=0))
        if alike.size:
            raise ValueError(
                f"label {alike[0]} is {int(counting[0, alike[0]])} in every row of y with a "
                "positive weight, which leaves nothing to learn: leave out its column, or check "
                "sample_weight"
            )

    def _shaped(self, runs):
        self._joint = self._is_joint()
        if self._joint:
            return self._without_shift(runs[0].coef.T.copy(), np.array(runs[0].intercept))
        # A list of one long array is copied by NumPy at ten times the time of the array itself.
        several = [run.coef for run in runs]
        coef = several[0][None] if len(runs) == 1 else stacked(several)
        return coef, np.array([float(run.intercept) for run in runs])

    def _without_shift(self, coef, intercept):
        """Coefficients, (K, d), and intercepts with what shifts all scores alike taken out; those
        that a penalty, P2 at all, or bounds hold stay.
        """
        if not self._joint_loss(self._loss()).shift_invariant:
            return coef, intercept
        if self.alpha == 0.0 or (self.P2 is None and not self._holds_all()):
            net = self._base_penalty() if self.alpha > 0.0 else NoPenalty()
            penalty = weighted(net, self.positive, self.bounds, self.penalty_weights)
            free = np.isinf(penalty.limit(coef.shape[1])).all(axis=0)
            if free.any():
                coef[:, free] -= coef[:, free].mean(axis=0)
        return coef, intercept - intercept.mean()

    def _holds_all(self):
        """Whether one elastic net holds all columns alike: to look for free ones takes several
        vectors of their length, in each call of `partial_fit`.
        """
        shares = self._base_penalty().shares
        return self.penalty_weights is None and shares is not None and any(shares)

    def _dense_shape(self, coef):
        return coef
