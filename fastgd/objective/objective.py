"""The objective as one object: its value, gradient and curvature at a vector of unknowns, and how
many passes it took.

    F(w, b) = sum_i s_i loss(y_i, z_i) / sum_i s_i + alpha * sum_j penalty(w_j),    z_i = x_i . w +
    b (+ offset_i)

Solvers, certificates and SciPy's optimisers are all handed this object.
"""

import numpy as np

from fastgd.data.as_rows import as_rows
from fastgd.data.checks import as_floats, check_parameters
from fastgd.data.targets import as_samples
from fastgd.data.trial import try_components
from fastgd.losses.base import VectorLoss, find_loss
from fastgd.objective import kernels as passes
from fastgd.objective.blocks import chunk_length, coarser, count_nonzeros, cut
from fastgd.objective.gram import ALL, add_gram, assemble, loops, matrix_cuts
from fastgd.objective.meter import Meter
from fastgd.penalties import kernels as coefficients
from fastgd.penalties.separable import find_penalty
from fastgd.runtime.public import public
from fastgd.runtime.threads import count_threads, map_ranges

# Up to this many columns all values count as nonzeros: counting them in a dense X takes a pass.
NARROW = 128
NOTHING = np.empty(0)
# A proximal step that changes nothing but what no finite penalty allows.
NO_WAY = 1e-100
# Values in the blocks' matrices where they may not depend on the storage: 8 MB.
ALIKE_VALUES = 1_000_000
# Rows of the array that `Objective.moments` returns.
SUM, SUM_OF_SQUARES, LARGEST, NONZEROS = range(4)


@public
class Objective:
    """The penalised mean loss of a linear model, for any optimiser that wants a value and a
    gradient.

    The unknowns are one vector v = [w, b] (w alone without intercept); for K predictions it is the
    (d + 1, K) matrix in C order.

    Parameters
    ----------
    loss : str or Loss or VectorLoss
        `"log_loss"`, `"squared_error"`, ... or a component, one of your own included.
    X : array-like or sparse, (n_samples, n_features)
        float64 or float32, dense or any SciPy sparse format.
    y : array-like, (n_samples,) or (n_samples, n_targets) for a vector loss
        -1 or 1 for the classification losses.
    sample_weight, offset : array-like, (n_samples,), optional
        Weights of the rows (only their ratios matter), and what is added to each prediction.
    penalty : {"l2", "l1", "elasticnet", "none"}, None or Penalty, default="l2"
    alpha : float, default=0.0
        Strength of the penalty, at least 0.
    l1_ratio : float, default=0.15
        Share of the L1 part in `"elasticnet"`.
    fit_intercept : bool, default=True
        Whether b is among the unknowns.  It is never penalised.
    n_jobs : int, optional
        Threads of a pass; None: all that the process may use.  The bits do not depend on it.

    Attributes
    ----------
    passes : float
        Passes over the rows so far.

    Raises
    ------
    ValueError
        For data, targets, weights or parameters outside what is stated above.

    Examples
    --------
    >>> import numpy as np, scipy.optimize
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> F = Objective("squared_error", X, y)
    >>> options = {"jac": True, "method": "L-BFGS-B"}
    >>> found = scipy.optimize.minimize(F.value_and_gradient, F.start(), **options)
    >>> [round(float(x), 3) for x in found.x]
    [2.0, 1.0]
    """

    def __init__(
        self,
        loss,
        X,
        y,
        *,
        sample_weight=None,
        offset=None,
        penalty="l2",
        alpha=0.0,
        l1_ratio=0.15,
        fit_intercept=True,
        n_jobs=None,
    ):
        check_parameters(
            {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept, "n_jobs": n_jobs}
        )
        loss = find_loss(loss)
        rows = as_rows(X, in_place=True)
        samples = as_samples(loss, y, rows.shape()[0], sample_weight, offset)
        penalty = find_penalty(penalty, l1_ratio)
        try_components(loss, penalty, samples.targets, rows.shape()[1])
        self._set(loss, rows, samples, penalty, alpha, fit_intercept, count_threads(n_jobs))

    @classmethod
    def of(cls, loss, rows, samples, penalty, alpha, fit_intercept, n_threads):
        """Objective of parts that are already checked: how the estimators, and one-vs-rest,
        share one X.
        """
        self = cls.__new__(cls)
        self._set(loss, rows, samples, penalty, alpha, fit_intercept, n_threads)
        return self

    def _set(self, loss, rows, samples, penalty, alpha, fit_intercept, n_threads):
        self.loss, self.rows, self.samples, self.penalty = loss, rows, samples, penalty
        self.fit_intercept, self.n_threads = bool(fit_intercept), n_threads
        self.n_samples, self.n_features = rows.shape()
        self.vector = isinstance(loss, VectorLoss)
        self.n_predictions = loss.n_predictions(samples.targets) if self.vector else 1
        self.size = (self.n_features + self.fit_intercept) * self.n_predictions
        self.n_active = samples.n_active()
        self.meter = Meter()
        # What follows from the size of the data must not tell dense from CSR rows.
        narrow = self.n_features <= NARROW
        self.n_nonzeros = (
            self.n_samples * self.n_features if narrow else count_nonzeros(rows, n_threads)
        )
        self.cuts = cut(self.n_samples, self.n_nonzeros, self.n_features * self.n_predictions)
        self.ranges = np.stack([self.cuts[:-1], self.cuts[1:]], axis=1)
        self.range_cuts, self.share, self.whole = np.arange(self.cuts.size), 1.0, None
        self.use_rows(rows)
        self.set_alpha(alpha)
        self._moments = self._norms = self._row_size = self.matrix_cuts = self._matrices = None
        # The null model, once a run has looked for it.
        self.null_intercept = self.null_value = None
        self.measured = {}  # what plans have measured of the rows, for the solver that comes after

    @property
    def passes(self):
        """Passes over the rows so far."""
        return self.meter.passes

    def set_alpha(self, alpha):
        """Change the strength of the penalty."""
        self.alpha = float(alpha)
        shares = (0.0, 0.0) if self.alpha == 0.0 else self.penalty.shares
        self.elastic = shares is not None
        self.l1, self.l2 = (
            (self.alpha * share for share in shares) if shares is not None else (0.0, 0.0)
        )

    @property
    def smooth(self):
        """Whether loss and penalty have continuous derivatives."""
        return self.loss_smooth and (self.l1 == 0.0 if self.elastic else self.penalty.smooth)

    @property
    def loss_smooth(self):
        """Whether the loss has a continuous derivative."""
        return self.vector or self.loss.smooth

    @property
    def convex(self):
        """Whether loss and penalty are convex."""
        return self.loss.convex and (self.elastic or self.penalty.convex)

    def start(self):
        """Zeros: where descent starts unless told otherwise."""
        return np.zeros(self.size)

    def split(self, v):
        """Coefficients and intercept in `v`: (d,) and a float, or (d, K) and (K,) for a vector
        loss.
        """
        v = as_floats(v, "the vector of unknowns")
        if v.size != self.size:
            raise ValueError(
                f"the vector of unknowns must hold {self.size} numbers, got shape {v.shape}"
            )
        table = v.reshape(-1, self.n_predictions)
        coef, intercept = table[: self.n_features], table[self.n_features :]
        if self.vector:
            return coef, intercept[0] if self.fit_intercept else np.zeros(self.n_predictions)
        return coef[:, 0], float(intercept[0, 0]) if self.fit_intercept else 0.0

    def model(self, v):
        """As `split`, with the intercept that goes with the columns as they were given, far from
        0 or not.
        """
        coef, intercept = self.split(v)
        return coef, self.rows.user_intercept(coef, intercept)

    def value(self, v):
        """F at `v`, a float."""
        return self.loss_and_gradient(v, alone=True)[0] + self.penalty_value(v)

    def gradient(self, v):
        """Gradient of F at `v`, a new array of the same length; ValueError where the penalty has
        corners.
        """
        return self.value_and_gradient(v)[1]

    def value_and_gradient(self, v):
        """F and its gradient at `v` in one pass; ValueError where the penalty has corners (an L1
        part).
        """
        if self.alpha > 0.0 and (self.l1 > 0.0 if self.elastic else not self.penalty.smooth):
            raise ValueError(
                f"penalty {self.penalty!r} has no gradient at 0; use value(), an estimator, or "
                "penalty='l2'"
            )
        return self.smooth_and_gradient(v)

    def hessian_product(self, v, p):
        """Second derivative of F at `v` times `p`, a new array; of the smooth part where F has
        corners.  One pass.
        """
        v, p = _vector(v), _vector(p)
        coef, intercept = self.split(v)
        direction, direction_intercept = self.split(p)
        products = np.zeros((self.cuts.size - 1, *self._shape()))
        kernel = passes.vector_curvature_product if self.vector else passes.curvature_product
        coef, direction = np.ascontiguousarray(coef), np.ascontiguousarray(direction)
        data = (
            self.rows,
            self.samples,
            self.loss,
            coef,
            intercept,
            direction,
            direction_intercept,
            self.cuts,
        )
        self.map_blocks(lambda first, last: kernel(*data, first, last, products))
        product, n_coef = self._mean(products), self._n_coef
        product[:n_coef] += self.l2 * p[:n_coef]
        if not self.elastic and self.penalty.smooth:
            product[:n_coef] += self.penalty_curvature(v) * p[:n_coef]
        return product

    def loss_and_gradient(self, v, curvatures=NOTHING, floor=0.0, alone=False):
        """Mean loss, without the penalty, and its gradient at `v`; with `alone` there is no
        gradient.  One pass.
        """
        coef, intercept = self.split(v)
        coef = np.ascontiguousarray(coef)
        totals = np.zeros(self.range_cuts.size - 1)
        gradients = np.zeros((totals.size, *((1,) if alone and not self.vector else self._shape())))

        def work(first, last):
            data = self.rows, self.samples, self.loss, coef, intercept
            if self.vector:
                passes.vector_loss_and_gradient(*data, self.cuts, first, last, totals, gradients)
            else:
                where = self.ranges, self.range_cuts, first, last, self._chunk
                passes.loss_and_gradient(*data, *where, totals, gradients, curvatures, floor)

        self.map_blocks(work)
        return float(_added(totals)) / self.n_active, None if alone else self._mean(gradients)

    def smooth_and_gradient(self, v, curvatures=NOTHING, floor=0.0):
        """The part of F that has a gradient (mean loss, L2, a smooth penalty) and that gradient:
        one pass.

        `curvatures`, (n_samples,), is filled with weight * curvature of each row's loss, at least 0
        and at least min(derivative^2 / value, `floor`).
        """
        value, gradient = self.loss_and_gradient(v, curvatures, floor)
        coef = _vector(v)[: self._n_coef]
        if self.elastic:
            value += 0.5 * self.l2 * float(coef @ coef)
            gradient[: self._n_coef] += self.l2 * coef
        elif self.penalty.smooth:
            total, derivative = self._penalty_sum(coef)
            value += total
            gradient[: self._n_coef] += derivative
        return value, gradient

    def rest_value(self, v):
        """The part of F that `smooth_and_gradient` leaves out: an L1 part, or a penalty with
        corners.
        """
        coef = _vector(v)[: self._n_coef]
        if self.elastic:
            return self.l1 * float(np.abs(coef).sum()) if self.l1 else 0.0
        return 0.0 if self.penalty.smooth else self._penalty_sum(coef)[0]

    def penalty_value(self, v):
        """Alpha * sum of the penalty at `v`."""
        coef = _vector(v)[: self._n_coef]
        if self.elastic:
            return 0.5 * self.l2 * float(coef @ coef) + self.rest_value(v)
        return self._penalty_sum(coef)[0]

    def penalty_gradient(self, v):
        """Gradient of the smooth part of the penalty at `v`, 0 for the intercept: what rules
        call the decay.
        """
        v = _vector(v)
        decay, n_coef = np.zeros(self.size), self._n_coef
        if self.elastic:
            decay[:n_coef] = self.l2 * v[:n_coef]
        elif self.penalty.smooth:
            decay[:n_coef] = self._penalty_sum(v[:n_coef])[1]
        return decay

    def proximal(self, v, rates, whole=False):
        """`v` after a proximal step on the part without a gradient; `rates` is a number or one for
        each coefficient.

        With `whole`, a step on all of an elastic net, its L2 part included.
        """
        rates = np.broadcast_to(np.asarray(rates, dtype=np.float64), (self._n_coef,))
        if (self.l1 == 0.0 and not whole) if self.elastic else self.penalty.smooth:
            return v
        moved = v.copy()
        coef = moved[: self._n_coef]
        if self.elastic:
            coef[:] = np.sign(coef) * np.maximum(np.abs(coef) - self.l1 * rates, 0.0)
            if whole:
                coef /= 1.0 + self.l2 * rates
        else:
            coefficients.proximal_step(
                self.penalty, self._table(coef), self.alpha * self._table(rates)
            )
        return moved

    def allowed(self, v):
        """`v`, or where the penalty is infinite there (beyond bounds), the nearest coefficients at
        which it is not.

        Averages and steps with momentum leave bounds, by a rounding or by far, and zeros may lie
        outside: a proximal step of next to no length leads back.
        """
        if self.elastic or self.penalty.smooth or self.rest_value(v) != np.inf:
            return v
        return self.proximal(v, NO_WAY)

    def curvature_matrix(self, v):
        """Second derivative of the mean loss plus L2 at `v`, (size, size): two passes and the
        arithmetic of about d/2.

        For losses of one prediction; the penalty is an elastic net.
        """
        curvatures = np.zeros(self.n_samples)
        self.loss_and_gradient(v, curvatures)
        return self.gram(curvatures)

    def gram(self, curvatures, alike=False):
        """Mean of curvatures[i] (x_i, 1)(x_i, 1)' plus L2, (size, size): the curvature of F.  One
        pass.

        What `smooth_and_gradient` filled at a point gives the second derivative there. With `alike`
        dense and CSR rows give the same bits, by the loop over nonzeros.
        """
        cuts, length = matrix_cuts(self), self.row_length
        if alike:
            cuts, length = (
                coarser(self.range_cuts, max(ALIKE_VALUES // (self.n_features + 1) ** 2, 1)),
                0.0,
            )
        # In the room of the last ones: new pages took 7 of the 10 ms of a matrix of 4,680 rows and
        # 510 columns.
        if self._matrices is None or len(self._matrices) != cuts.size - 1:
            self._matrices = np.empty((cuts.size - 1, self.n_features + 1, self.n_features + 1))
        data, matrices = (self.rows, ALL, curvatures, self.ranges, cuts), self._matrices

        def work(first, last):
            matrices[first:last] = 0.0  # here, so that threads share the faults of new pages
            add_gram(*data, first, last, matrices, length)

        self.map_blocks(work, len(matrices))
        return assemble(self, matrices, loops(self.rows, length))

    def moments(self):
        """Weighted means of x and x^2, greatest |x| and share of nonzeros of each column, (4, d),
        and three norms.

        The norms are of rows: the greatest |x_i|^2 and s_i |x_i|^2, and the mean of s_i |x_i|^2.
        One pass, kept.
        """
        self._moments = self._moments or self.own_moments()
        return self._moments

    def own_moments(self):
        """`moments` of the rows of a part by themselves, while those that it has are of all
        rows.
        """
        cuts = coarser(
            self.range_cuts, max(2, self.n_nonzeros // (40 * self.n_features))
        )  # tables: 0.1 X, or two
        table, norms = np.zeros((cuts.size - 1, 4, self.n_features)), np.zeros((cuts.size - 1, 3))
        data = self.rows, self.samples, self.ranges, cuts
        self.map_blocks(lambda a, b: passes.column_moments(*data, a, b, table, norms), len(table))
        largest, moments = table[:, LARGEST].max(axis=0), _added(table)
        moments /= self.n_active
        moments[LARGEST] = largest
        return moments, np.r_[norms[:, :2].max(axis=0), norms[:, 2].sum() / self.n_active]

    def largest(self):
        """The greatest |x| of each column where there are moments, else no less: its norm, for
        half a pass, kept.
        """
        if self._moments is None and self._norms is None:
            self.meter.count(0.5 / self.share)  # of all rows, those of a part or not
            self._norms = self.rows.column_norms()
        return self._norms if self._moments is None else self._moments[0][LARGEST]

    def row_size(self):
        """Root of the mean of s_i |x_i|^2, or more: without moments for a look at the values,
        kept.
        """
        if self.knows_columns:
            return float(np.linalg.norm(self.root_mean_squares()))
        if self._row_size is None:
            total = self.rows.sum_of_squares() if self.rows.dtype == np.float64 else np.inf
            if not np.isfinite(total):
                return float(np.linalg.norm(self.root_mean_squares()))
            self._row_size = float(
                np.sqrt(total * float(self.samples.weights.max()) / self.n_active)
            )
        return self._row_size

    def root_mean_squares(self):
        """Root of the mean of s_i x_ij^2 of each column, or more: without moments for half a
        pass, kept.
        """
        if self._moments is not None:
            return np.sqrt(self._moments[0][SUM_OF_SQUARES])
        return self.largest() * np.sqrt(float(self.samples.weights.max()) / self.n_active)

    @property
    def knows_columns(self):
        """Whether `root_mean_squares` costs nothing."""
        return self._moments is not None or self._norms is not None

    @property
    def has_moments(self):
        """Whether the moments are there."""
        return self._moments is not None

    @property
    def row_length(self):
        """Mean number of nonzeros of a row: exact once there are moments, else what the size of
        the data says.
        """
        if self._moments is None:
            return self.n_nonzeros / self.n_samples
        return float(self._moments[0][NONZEROS].sum())

    def use_rows(self, rows):
        """Read the same rows from another place from now on."""
        self.rows, self._chunk = rows, chunk_length(rows, self.n_features * self.n_predictions)

    def take_moments(self, moments):
        """Take over the moments of an objective with the same rows and weights."""
        self._moments = moments

    @property
    def _n_coef(self):
        return self.n_features * self.n_predictions

    def _shape(self):
        return (self.n_features + 1, self.n_predictions) if self.vector else (self.n_features + 1,)

    def _table(self, coef):
        return np.ascontiguousarray(coef).reshape(self.n_features, self.n_predictions)

    def _mean(self, blocks):
        """Sum of what the blocks found, which is written over, by the number of rows, cut to
        what is unknown.
        """
        total = _added(blocks)
        total /= self.n_active
        return total.reshape(-1)[: self.size]

    def _penalty_sum(self, coef):
        """Alpha * sum of the penalty, and its derivative in each coefficient."""
        derivative = np.empty((self.n_features, self.n_predictions))
        total = coefficients.penalty_sum(self.penalty, self._table(coef), derivative)
        return self.alpha * total, self.alpha * derivative.ravel()

    def penalty_curvature(self, v):
        """Second derivative of a smooth penalty, which is diagonal, by central differences."""
        coef = _vector(v)[: self._n_coef]
        step = 1e-6 * np.maximum(1.0, np.abs(coef))
        ahead, behind = self._penalty_sum(coef + step)[1], self._penalty_sum(coef - step)[1]
        return (ahead - behind) / (2.0 * step)

    def map_blocks(self, work, n_blocks=None, n_values=None, passes=1.0):
        """Call `work(first, last)` over the blocks, on threads: it takes as long as reading
        `n_values`, and counts as so many passes.
        """
        n_values = int(self.share * self.rows.stored()) if n_values is None else n_values
        map_ranges(work, n_blocks or self.range_cuts.size - 1, self.n_threads, n_values)
        self.meter.count(passes)


def _added(blocks):
    """Sum of what the blocks found, in order."""
    return blocks.sum(axis=0) if len(blocks) > 1 else blocks[0]


def _vector(v):
    return np.ravel(as_floats(v, "the vector of unknowns"))
