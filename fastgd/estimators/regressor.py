"""`GDRegressor`: numbers in, numbers out."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from fastgd.estimators.partial_fit import ChunkEstimator, validation_rows
from fastgd.estimators.rollback import whole_or_nothing
from fastgd.fitting.plan import takes_chunks
from fastgd.losses.base import VectorLoss
from fastgd.runtime.public import public


@public
class GDRegressor(RegressorMixin, ChunkEstimator):
    """Linear regression fitted by gradient descent, to a proved accuracy and without a number to
    tune.

    Minimises F(w, b) = sum_i s_i loss(y_i, x_i . w + b) / sum_i s_i + alpha (l1_ratio |w|_1 + (1 -
    l1_ratio) / 2 |w|_2^2).

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        `"squared_error"`, `"huber"`, `"epsilon_insensitive"`, `"squared_epsilon_insensitive"`,
        `"quantile"`, or a component, for example `Quantile(0.9)` or one of your own.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
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
        coefficient 0.  These three go with `"l2"`, `"l1"`, `"elasticnet"` and None.
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
        Print a line every so many checks.
    epsilon : float, default=0.1
        Of the Huber and the insensitive losses.
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
        Of the explicit learning rates.
    early_stopping : bool, default=False
        As in `GDClassifier`; the score is R^2.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    warm_start : bool, default=False
        Whether `fit` goes on where the last one ended.
    average : bool or int, default=False
        Report the mean of the iterates, from that update on.
    solver : str or Rule, default="auto"
        As in `GDClassifier`, and so is `batch_size`.
    batch_size : {"auto", "full", "growing"}, int or float, default="auto"
        Rows per step.
    momentum : float, default=0.9
    max_time : float, optional
        Seconds after which the best model so far is kept.
    stop : callable, StoppingRule or list of them, optional
        Your own reason to stop: a function of `history_`.

    Attributes
    ----------
    coef_ : ndarray, (n_features,)
    intercept_ : ndarray, (1,)
    n_features_in_, feature_names_in_, n_iter_, t_, objective_, suboptimality_, bound_kind_,
    converged_
        As in `GDClassifier`.
    stop_reason_, history_, plan_, best_validation_score_
        As in `GDClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GDRegressor(alpha=0).fit(X, y)
    >>> round(model.score(X, y), 3), model.bound_kind_
    (0.518, 'proof')
    """

    def __init__(
        self,
        loss="squared_error",
        *,
        penalty="l2",
        alpha=1e-4,
        l1_ratio=0.15,
        positive=False,
        bounds=None,
        penalty_weights=None,
        P2=None,
        fit_intercept=True,
        max_iter=1000,
        tol=1e-4,
        shuffle=True,
        verbose=0,
        epsilon=0.1,
        n_jobs=None,
        random_state=None,
        learning_rate="auto",
        eta0=0.01,
        power_t=0.25,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        average=False,
        solver="auto",
        batch_size="auto",
        momentum=0.9,
        max_time=None,
        stop=None,
    ):
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
        self.solver = solver
        self.batch_size = batch_size
        self.momentum = momentum
        self.max_time = max_time
        self.stop = stop

    @available_if(takes_chunks)
    @whole_or_nothing
    def partial_fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ):
        """One epoch over these rows, from the model as it is; as that of `GDClassifier`, without
        classes.
        """
        task = self._prepared()
        X, y = self._checked(X, y, reset=not hasattr(self, "coef_"))
        weights = self._weights(sample_weight, y, X.shape[0])
        self._advance(
            task, X, self._targets(y), weights, validation_rows(X_val, y_val, sample_weight_val)
        )
        return self

    def predict(self, X, offset=None):
        """Predictions, (n_samples,), or (n_samples, n_targets) for a vector loss."""
        scores = self._scores(X, offset)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def _y_options(self):
        return {"y_numeric": True}

    def _start_targets(self, y, loss):
        return self._targets(y)

    def _targets(self, y):
        y = np.asarray(y)
        if y.dtype.kind not in "fiub":
            raise ValueError(
                f"y must hold real numbers, got dtype {y.dtype}; encode it as numbers first"
            )
        return [y.astype(np.float64, copy=False)]

    def _shaped(self, runs):
        if isinstance(self.loss, VectorLoss):
            return runs[0].coef.T.copy(), np.array(runs[0].intercept)
        return runs[0].coef, np.array([float(runs[0].intercept)])

    def _dense_shape(self, coef):
        return coef.ravel() if coef.shape[0] == 1 else coef
