"""The objective as one object: its value, gradient and curvature at a vector of unknowns, and how
many passes it took.

    F(w, b) = sum_i s_i loss(y_i, z_i) / sum_i s_i + alpha * sum_j penalty(w_j),
    z_i = x_i . w + b (+ offset_i)

Solvers, certificates and SciPy's optimisers all take this object.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgd.data.block_rows import memory_of
from fastgd.data.check_parameters import as_floats, check_parameters
from fastgd.data.check_X import as_rows, refuse_tiny
from fastgd.data.component_trial import try_components
from fastgd.data.sources import BlockSource, refuse_beside_source
from fastgd.data.targets import as_samples, refuse_tiny_targets
from fastgd.losses.base import Loss, VectorLoss, find_loss
from fastgd.objective.blocks import NARROW, count_nonzeros, cut, tile_length
from fastgd.objective.gram import assemble, gram_sum
from fastgd.objective.kernels import NO_ARRAY
from fastgd.objective.measured import measured_once
from fastgd.objective.meter import Meter
from fastgd.objective.moment_sums import (
    Moments,
    added_moments,
    largest_known,
    moment_sums,
    moments_of,
)
from fastgd.objective.scalar import Curvatures
from fastgd.objective.subset import on_block
from fastgd.objective.survey import survey
from fastgd.objective.vector import outputs_of
from fastgd.penalties.base import Penalty
from fastgd.penalties.separable import find_penalty
from fastgd.runtime.array_shapes import check_arrays, shaped
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.public import public
from fastgd.runtime.threads import count_threads, map_ranges

# Norms of all rows, with the greatest weight, stand in for weighted ones where that is no more than
# so many times the mean.
HEAVY = 100.0


@shaped(
    norms="d",
    matrix_cuts="any",
    others={
        "exclusive": None,
        "fastgd.objective.exclusive.matrix rows_by_column": (
            "int32 * in 0:n",
            "int64 exclusive+2 in 0:n+1",
        ),
        "fastgd.solvers.l1.group_set mean_products": "d+1 d+1",
        "*": "any",
    },
)
class Measured(NamedTuple):
    """What an objective has measured of its rows so far, and the passes."""

    moments: Moments | None
    norms: np.ndarray | None
    row_size: float | None
    matrix_cuts: np.ndarray | None
    others: dict[str, Any]
    passes: float


@public
class Objective:
    """The penalised mean loss of a linear model, for any optimiser that wants a value and a
    gradient.

        F(w, b) = sum_i s_i loss(y_i, z_i) / sum_i s_i + alpha * sum_j penalty(w_j),
        z_i = x_i . w + b (+ offset_i)

    The unknowns are one vector v = [w, b] (w alone without intercept); for K predictions it is the
    (d + 1, K) matrix in C order.

    Parameters
    ----------
    loss : str or Loss or VectorLoss
        `"log_loss"`, `"squared_error"`, ... or a component, one of your own included.
    X : array-like or sparse, (n_samples, n_features), or BlockSource
        float64 or float32, dense or any SciPy sparse format.  A source brings y, weights and
        offsets.
    y : array-like, (n_samples,) or (n_samples, n_targets) for a vector loss, optional
        -1 or 1 for the classification losses; left out beside a source.
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
    memory : float, optional
        Bytes that reading a source of blocks may take; None: a quarter of what is free.

    Attributes
    ----------
    loss : Loss or VectorLoss
    penalty : Penalty
    alpha, l1, l2 : float
        Strength of the penalty, and of its two parts where it is an elastic net.
    fit_intercept : bool
    n_samples, n_features, n_predictions : int
        n, d and K; K is 1 for a `Loss`.
    size : int
        Length of v.
    n_active : float
        Sum of the weights, which are scaled so that those that count have a mean of 1: the number
        of rows that count.
    smooth, convex : bool
        Whether F has a continuous derivative, and whether it is convex.
    rows, samples : object
        X behind the methods of any storage; targets, weights and offsets.
    term : object
        The penalty with its strength, as a function of all coefficients.
    n_threads : int
        Threads of a pass.
    passes : float
        Passes over the rows so far.

    Raises
    ------
    ValueError
        For data, targets, weights or parameters outside what is stated above.

    Notes
    -----
    What optimisers ask for: `start`; `value`, `gradient`, `value_and_gradient`, `hessian_product`
    (a pass each), `product_at`; `proximal` where the penalty has a kink; `split` or `model` for
    coefficients and intercept.  The other methods serve the solvers of this package, and may change
    with them.

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
        loss: str | Loss | VectorLoss,
        X: Matrix | BlockSource,
        y: Labels | None = None,
        *,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
        penalty: str | Penalty | None = "l2",
        alpha: float = 0.0,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        n_jobs: int | None = None,
        memory: float | None = None,
    ) -> None:
        check_parameters(
            {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept, "n_jobs": n_jobs}
        )
        loss = find_loss(loss)
        if isinstance(X, BlockSource):
            refuse_beside_source(y, sample_weight, offset)
            rows, y, sample_weight, offset = survey(X, memory_of(memory), count_threads(n_jobs))
            if y is None:
                raise ValueError("the source has no targets: an objective needs blocks of (X, y)")
        else:
            rows = as_rows(X, in_place=True)
        refuse_tiny(rows, largest_known(rows))
        samples = as_samples(loss, y, rows.shape()[0], sample_weight, offset)
        refuse_tiny_targets(loss, [samples.targets])
        penalty = find_penalty(penalty, l1_ratio)
        try_components(loss, penalty, samples.targets, rows.shape()[1])
        self._set(loss, rows, samples, penalty, alpha, fit_intercept, count_threads(n_jobs))

    @classmethod
    def of(cls, loss, rows, samples, penalty, alpha, fit_intercept, n_threads, n_nonzeros=None):
        """Objective of parts that are already checked: how the estimators, and one-vs-rest,
        share one X.

        Parameters
        ----------
        loss : Loss or VectorLoss
        rows : Rows
        samples : WeightedSamples
        penalty : Penalty
        alpha : float
        fit_intercept : bool
        n_threads : int
        n_nonzeros : int, optional
            Of the rows, as another objective of them knows it: to count them in a wide dense X
            takes a pass.

        Returns
        -------
        Objective
        """
        self = cls.__new__(cls)
        self._set(loss, rows, samples, penalty, alpha, fit_intercept, n_threads, n_nonzeros)
        return self

    def derived(self, *, rows=None, samples=None, penalty=None, alpha=None, fit_intercept=None):
        """The same with some of the parts exchanged: an objective that has measured nothing yet.

        Parameters
        ----------
        rows, samples, penalty, alpha, fit_intercept : object, optional
            Checked, as `of` takes them; those that are left out stay.

        Returns
        -------
        Objective
        """
        return self.of(
            self.loss,
            self.rows if rows is None else rows,
            self.samples if samples is None else samples,
            self.penalty if penalty is None else penalty,
            self.alpha if alpha is None else alpha,
            self.fit_intercept if fit_intercept is None else fit_intercept,
            self.n_threads,
            self.n_nonzeros if rows is None else None,
        )

    def _set(self, loss, rows, samples, penalty, alpha, fit_intercept, n_threads, n_nonzeros=None):
        self.loss, self.rows, self.samples, self.penalty = loss, rows, samples, penalty
        self.fit_intercept, self.n_threads = bool(fit_intercept), n_threads
        self.n_samples, self.n_features = rows.shape()
        self.n_stored = rows.stored()
        self.outputs = outputs_of(loss, samples.targets)
        self.vector, self.n_predictions = self.outputs.vector, self.outputs.n_predictions
        self.size = (self.n_features + self.fit_intercept) * self.n_predictions
        self.n_active = samples.n_active()
        self.meter = Meter()
        # What follows from the size of the data must not tell dense from CSR rows.
        if n_nonzeros is None:
            narrow = self.n_features <= NARROW
            every = self.n_samples * self.n_features
            n_nonzeros = every if narrow else count_nonzeros(rows, n_threads)
        self.n_nonzeros = n_nonzeros
        self.cuts = cut(self.n_samples, self.n_nonzeros, self.n_features * self.n_predictions)
        self.ranges = np.stack([self.cuts[:-1], self.cuts[1:]], axis=1)
        self.range_cuts = np.arange(self.cuts.size)
        self.share = 1.0
        self.parent = None
        self.together = None  # an `OneOfSquares` where several targets are fitted together
        self.use_rows(rows)
        self.set_alpha(alpha)
        self._moments = self._norms = self._row_size = self.matrix_cuts = self.matrices = None
        self.vector_cuts = None
        # `know_null_model` sets them.  Chunks of a stream and parts that are fitted on the way have
        # none: F itself is their scale (`gap_scale_at`).
        self.null_intercept = self.null_value = None
        self.measured = {}  # what `measured_once` found

    @property
    def passes(self) -> float:
        """Passes over the rows so far."""
        return self.meter.passes

    def lengths(self):
        """How long arrays are, by the names that `shapes` of classes have: unknowns, columns, rows,
        predictions, and unknowns as kernels see them.
        """
        d, k = self.n_features, self.n_predictions
        return {"u": self.size, "d": d, "n": self.n_samples, "k": k, "padded": (d + 1) * k}

    def snapshot(self):
        """What has been measured so far: a `Measured`."""
        moments, norms = self._moments, self._norms
        others, passes = dict(self.measured), self.meter.passes
        return Measured(moments, norms, self._row_size, self.matrix_cuts, others, passes)

    def restore(self, snapshot):
        """Know this, no more and no less, of the same rows: what follows, and what it costs, may
        depend on it.

        Raises
        ------
        WrongArray
            Where arrays are not what they are of these rows.
        """
        columns = snapshot.others.get("exclusive", (None, None))[1]
        first = 0 if columns is None else np.size(columns.first)
        check_arrays(snapshot, {**self.lengths(), "exclusive": first})
        self._moments, self._norms = snapshot.moments, snapshot.norms
        self._row_size = snapshot.row_size
        self.matrix_cuts = None  # made anew, of numbers alone
        self.measured = dict(snapshot.others)
        self.meter.passes = snapshot.passes

    def take_measured(self, measured):
        """Know what another objective of the same rows, targets and loss knows, its `Measured`: no
        penalty changes it.
        """
        self._moments, self._norms = measured.moments, measured.norms
        self._row_size = measured.row_size
        self.matrix_cuts = measured.matrix_cuts
        self.measured |= measured.others

    def know_null_model(self):
        """Compute `null_intercept` and `null_value`, once, which `gap_scale_at` counts from."""
        self.null_intercept, self.null_value = measured_once(self, self.outputs.null_model)

    def set_alpha(self, alpha: float) -> None:
        """Change the strength of the penalty.

        Parameters
        ----------
        alpha : float
            At least 0.
        """
        self.alpha = float(alpha)
        self.term = self.penalty.term(self.alpha, self.n_predictions)

    @property
    def elastic(self) -> bool:
        """Whether the penalty is `l1` |w|_1 + `l2` |w|^2 / 2."""
        return self.term.elastic

    @property
    def l1(self) -> float:
        """Strength of the L1 part of an elastic net."""
        return self.term.l1

    @property
    def l2(self) -> float:
        """Strength of its L2 part."""
        return self.term.l2

    @property
    def smooth(self) -> bool:
        """Whether loss and penalty have continuous derivatives."""
        return self.loss.smooth and self.term.smooth

    @property
    def loss_smooth(self):
        """Whether the loss has a continuous derivative, for those who choose a solver: those for
        several predictions do not tell losses apart.
        """
        return self.outputs.smooth

    @property
    def curvature_cap(self):
        """What far from the optimum the curvature of a row is raised to, at most: the greatest that
        the loss declares, infinity where it declares none.  0 where curvature is the same
        everywhere: nothing is raised, and matrices are exact.  It cuts nothing off: curvature that
        is above it stays.
        """
        return 0.0 if self.loss.self_concordance == 0.0 else self.loss.curvature_bound

    @property
    def convex(self) -> bool:
        """Whether loss and penalty are convex."""
        return self.loss.convex and self.term.convex

    def start(self) -> Floats:
        """Zeros: where descent starts by default.

        Returns
        -------
        ndarray, (size,)
        """
        return np.zeros(self.size)

    def split(self, v: Vector) -> tuple[Floats, Any]:
        """Coefficients and intercept in a vector of unknowns.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        coef : ndarray, (d,), or (d, K) for a vector loss
        intercept : float, or ndarray, (K,)

        Raises
        ------
        ValueError
            Where `v` does not hold `size` numbers.
        """
        v = as_floats(v, "the vector of unknowns")
        if v.size != self.size:
            raise ValueError(
                f"the vector of unknowns must hold {self.size} numbers, got shape {v.shape}"
            )
        table = v.reshape(-1, self.n_predictions)
        return self.outputs.split(table[: self.n_features], table[self.n_features :])

    def model(self, v: Vector) -> tuple[Floats, Any]:
        """As `split`, with the intercept that goes with the columns as they were given, far from
        0 or not.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        coef : ndarray, (d,), or (d, K) for a vector loss
        intercept : float, or ndarray, (K,)
        """
        coef, intercept = self.split(v)
        return coef, self.rows.user_intercept(coef, intercept)

    def value(self, v: Vector) -> float:
        """F at `v`: one pass.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        float
        """
        return self.loss_and_gradient(v, alone=True)[0] + self.penalty_value(v)

    def gradient(self, v: Vector) -> Floats:
        """Gradient of F at `v`: one pass.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        ndarray, (size,)
            A new array.

        Raises
        ------
        ValueError
            Where the penalty is not smooth.
        """
        return self.value_and_gradient(v)[1]

    def value_and_gradient(self, v: Vector) -> tuple[float, Floats]:
        """F and its gradient at `v`: one pass.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        value : float
        gradient : ndarray, (size,)
            A new array.

        Raises
        ------
        ValueError
            Where the penalty is not smooth (an L1 part).
        """
        if not self.term.smooth:
            raise ValueError(
                f"penalty {self.penalty!r} has no gradient at 0; use value(), an estimator, or "
                "penalty='l2'"
            )
        return self.smooth_and_gradient(v)

    def hessian_product(self, v: Vector, p: Vector) -> Floats:
        """Second derivative of F at `v` times `p`; of the smooth part where F is not smooth.  One
        pass.

        Parameters
        ----------
        v, p : array-like, (size,)

        Returns
        -------
        ndarray, (size,)
            A new array.
        """
        v, p = _vector(v), _vector(p)
        at, along = self._contiguous(v), self._contiguous(p)
        products = self.sum_over_parts(_curvature_product, at, along)
        product, n_coef = self._mean(products), self._n_coef
        product[:n_coef] += self.penalty_curvature_at(v)(p[:n_coef])
        return product

    def product_at(self, v: Vector) -> Callable[[Vector], Floats]:
        """`hessian_product` at `v` for many p: where one prediction is made, what rows need is
        kept, for half a pass.  Of a loss that is not convex it is what steps of Newton's method
        take, as `curvature_matrix`.

        Parameters
        ----------
        v : ndarray, (size,)

        Returns
        -------
        callable
            Function p -> `hessian_product(v, p)`.
        """
        if self.rows.in_memory:
            return self.outputs.product_at(self, v)
        # Both halves of a product in one reading.
        exact = self.vector or self.loss.convex
        return functools.partial(self.hessian_product if exact else self._step_product, v)

    def _step_product(self, v, p):
        """`hessian_product` by the `step_curvature` of the loss."""
        product, n_coef = self.sum_over_parts(_step_product, v, p), self._n_coef
        product[:n_coef] += self.penalty_curvature_at(v)(p[:n_coef])
        return product

    def loss_and_gradient(self, v, curvatures=NO_ARRAY, curvature_cap=0.0, alone=False):
        """Mean loss, without the penalty, and its gradient at `v`: one pass.

        Parameters
        ----------
        v : array-like, (size,)
        curvatures, curvature_cap : ndarray, (n_samples,), and float
            As those of `smooth_and_gradient`.
        alone : bool
            Whether the gradient is left out.

        Returns
        -------
        loss : float
        gradient : ndarray, (size,), or None
            A new array.

        Raises
        ------
        ValueError
            Where `v` does not hold `size` numbers.
        """
        coef, intercept = self._contiguous(v)
        arguments = coef, intercept, curvature_cap, alone
        found = self.sum_over_parts(_loss_and_gradient, *arguments, rows=(curvatures,))
        return float(found[0]) / self.n_active, None if alone else self._mean(found[1])

    def smooth_and_gradient(self, v, curvatures=NO_ARRAY, curvature_cap=0.0):
        """The part of F that has a gradient (mean loss, L2, a smooth penalty) and that gradient:
        one pass.

        Parameters
        ----------
        v : array-like, (size,)
        curvatures : ndarray, (n_samples,), optional
            Filled with weight * curvature of each row's loss, at least 0.
        curvature_cap : float
            What the curvature of rows far from the optimum is raised to, at most: see
            `fastgd.objective.kernels.raised_curvature`.

        Returns
        -------
        value : float
        gradient : ndarray, (size,)
            A new array.

        Raises
        ------
        ValueError
            Where `v` does not hold `size` numbers.
        """
        value, gradient = self.loss_and_gradient(v, curvatures, curvature_cap)
        value += self.term.add_gradient(_vector(v)[: self._n_coef], gradient[: self._n_coef])
        return value, gradient

    def rest_value(self, v):
        """The part of F that `smooth_and_gradient` leaves out: an L1 part, or a penalty that
        is not smooth.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        float
        """
        if self.term.smooth:
            return 0.0
        return self.term.rest_value(_vector(v)[: self._n_coef])

    def penalty_value(self, v: Vector) -> float:
        """Alpha * sum of the penalty at `v`.

        Parameters
        ----------
        v : array-like, (size,)

        Returns
        -------
        float
        """
        return self.term.value(_vector(v)[: self._n_coef])

    def subgradient(self, v: Floats, gradient: Floats) -> Floats:
        """The subgradient of least norm of F at `v`.

        Parameters
        ----------
        v : ndarray, (size,)
        gradient : ndarray, (size,)
            Of the smooth part of F there.

        Returns
        -------
        ndarray, (size,)
            The gradient itself where all of F has one.
        """
        if self.term.smooth:
            return gradient
        found, n = gradient.copy(), self._n_coef
        found[:n] = self.term.subgradient(v[:n], gradient[:n])
        return found

    def penalty_gradient(self, v: Vector) -> Floats:
        """Gradient of the smooth part of the penalty at `v`: what rules call the decay.

        Parameters
        ----------
        v : ndarray, (size,)

        Returns
        -------
        ndarray, (size,)
            0 for the intercept.
        """
        decay = np.zeros(self.size)
        decay[: self._n_coef] = self.term.gradient(_vector(v)[: self._n_coef])
        return decay

    def penalty_curvature(self, v):
        """Second derivative of the smooth part of the penalty, its diagonal.

        Parameters
        ----------
        v : ndarray, (size,)

        Returns
        -------
        float or ndarray, (d K,)
            One number for all coefficients, or one for each.
        """
        return self.term.curvature(_vector(v)[: self._n_coef])

    def penalty_curvature_at(self, v):
        """Second derivative of the smooth part of the penalty, which need not be diagonal.

        Parameters
        ----------
        v : ndarray, (size,)

        Returns
        -------
        callable
            Function p -> that second derivative times p, both (d K,).
        """
        return self.term.curvature_at(_vector(v)[: self._n_coef])

    def proximal(self, v, rates):
        """`v` after a proximal step on the part of F without a gradient.

        Parameters
        ----------
        v : ndarray, (size,)
        rates : float or ndarray, (d K,)
            How long the step is, for all coefficients or for each.

        Returns
        -------
        ndarray, (size,)
            `v` itself where there is no such part.
        """
        if self.term.smooth:
            return v
        moved = v.copy()
        self.term.prox(moved[: self._n_coef], np.asarray(rates, dtype=np.float64))
        return moved

    def allowed(self, v):
        """The nearest unknowns at which the penalty is not infinite, as it is beyond bounds.

        Parameters
        ----------
        v : ndarray, (size,)

        Returns
        -------
        ndarray, (size,)
            `v` itself where it is not.
        """
        coef = v[: self._n_coef]
        found = self.term.allowed(coef)
        if found is coef:
            return v
        moved = v.copy()
        moved[: self._n_coef] = found
        return moved

    def curvature_matrix(self, v, curvature_cap=0.0):
        """Second derivative of the mean loss plus L2 at `v`: two passes and the arithmetic of about
        d / 2, or for K predictions d K / 4.

        Of a loss that is not convex, by its `step_curvature`; the penalty is an elastic net.

        Parameters
        ----------
        v : array-like, (size,)
        curvature_cap : float
            For one prediction curvatures are raised as `smooth_and_gradient` raises them.

        Returns
        -------
        ndarray, (size, size)
        """
        return self.outputs.curvature_matrix(self, v, curvature_cap)

    def smooth_and_curvature(self, v, curvature_cap=0.0):
        """What `smooth_and_gradient` and `curvature_matrix` give at `v`, for one prediction: two
        passes, one reading where X is not in memory.

        Parameters
        ----------
        v : array-like, (size,)
        curvature_cap : float
            As that of `smooth_and_gradient`.

        Returns
        -------
        value : float
        gradient : ndarray, (size,)
        curvature : ndarray, (size, size)
        """
        coef, intercept = self._contiguous(v)
        total, gradient, matrix = self.sum_over_parts(_expansion, coef, intercept, curvature_cap)
        gradient = self._mean(gradient)
        value = float(total) / self.n_active + self.term.add_gradient(coef, gradient[: coef.size])
        return value, gradient, assemble(self, matrix)

    def gram(self, curvatures, alike=False):
        """Mean of curvatures[i] (x_i, 1)(x_i, 1)' plus L2, for one prediction: one pass.

        Parameters
        ----------
        curvatures : ndarray, (n_samples,)
            What `smooth_and_gradient` filled at a point gives the second derivative of F there.
        alike : bool
            Whether dense and CSR rows give the same bits, by the loop over nonzeros.

        Returns
        -------
        ndarray, (size, size)
            A new array.
        """
        return assemble(self, self.sum_over_parts(gram_sum, alike, rows=(curvatures,)))

    def moments(self):
        """Statistics of columns and rows, a `Moments`: one pass, kept."""
        self._moments = self._moments or self._of_rows(Objective.own_moments)
        return self._moments

    def own_moments(self):
        """`moments` of the rows of a part by themselves, while those that it has are of all
        rows.
        """
        known = None if self.rows.in_memory or self.samples.weights.size > 1 else self.rows.moments
        if known is not None:
            return known
        return moments_of(added_moments(self.over_parts(_moments_of_part)), self.n_active)

    def largest(self):
        """The greatest |x| of each column where there are moments, else no less: its norm, for
        half a pass, kept.

        Returns
        -------
        ndarray, (d,)
            Not to be written over.
        """
        if self._moments is None and self._norms is None and not self._even:
            self.moments()
        if self._moments is None and self._norms is None:
            self._norms = self._of_rows(Objective._column_norms)
        return self._norms if self._moments is None else self._moments.largest

    def _column_norms(self):
        self.meter.count(0.5 / self.share)  # of all rows, those of a part or not
        return self.rows.column_norms()

    def _sum_of_squares(self):
        return self.rows.sum_of_squares() if self.rows.dtype == np.float64 else np.inf

    def _of_rows(self, measure):
        """What `measure` finds of an objective, from rows and weights alone."""
        if self.together is None:
            return measure(self)
        return self.together.once(self, measure.__qualname__, measure)

    def row_size(self):
        """Root of the mean of s_i |x_i|^2, or more: without moments for a look at the values,
        kept.
        """
        if self.knows_columns or not self._even:
            return float(np.linalg.norm(self.root_mean_squares()))
        if self._row_size is None:
            total = self._of_rows(Objective._sum_of_squares)
            if not np.isfinite(total):
                return float(np.linalg.norm(self.root_mean_squares()))
            self._row_size = float(
                np.sqrt(total * float(self.samples.weights.max()) / self.n_active)
            )
        return self._row_size

    def root_mean_squares(self):
        """Root of the mean of s_i x_ij^2 of each column, or more: without moments for half a
        pass, kept.

        Returns
        -------
        ndarray, (d,)
        """
        if self._moments is not None or not self._even:
            return np.sqrt(self.moments().mean_squares)
        return self.largest() * np.sqrt(float(self.samples.weights.max()) / self.n_active)

    @property
    def _even(self):
        """Whether norms of all rows tell of the weighted ones: no row has the weight 0, and none
        far more than most.

        Rows of weight 0 with x = 1e8 beside ones had made F look rounded in 1e-8.
        """
        return measured_once(self, _weighs_evenly)

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
        return float(self._moments.nonzero_shares.sum())

    def use_rows(self, rows):
        """Read the same rows from another place from now on."""
        self.rows = rows
        self.tile = tile_length(rows, self.n_features * self.n_predictions)

    def take_moments(self, moments):
        """Take over the moments of an objective with the same rows and weights."""
        self._moments = moments

    def _contiguous(self, v):
        coef, intercept = self.split(v)
        return np.ascontiguousarray(coef), intercept

    @property
    def _n_coef(self):
        return self.n_features * self.n_predictions

    def _mean(self, total):
        """A sum over the rows, which is written over, by the number of rows, cut to what is
        unknown.
        """
        total /= self.n_active
        return total.reshape(-1)[: self.size]

    def over_parts(self, work, *arguments, rows=()):
        """What `work` gives for each part of the rows that is in memory at once, in order: the
        objective itself, or those of the blocks that a source is read in.

        Parameters
        ----------
        work : callable
            `work(part, *arguments, *own)`, the part being an objective; found by its module and
            name where rows are on a cluster.
        *arguments : object
            The same for all parts.
        rows : tuple of ndarray, (n_samples, ...)
            `own` are their entries that belong to the part.

        Yields
        ------
        object
        """
        if self.rows.in_memory:
            yield work(self, *arguments, *rows)
        else:
            yield from self.rows.over_parts(self, work, arguments, rows)

    def sum_over_parts(self, work, *arguments, rows=()):
        """Sum of what `work` gives for the parts, added in order.

        Parameters
        ----------
        work, *arguments, rows
            As those of `over_parts`; `work` gives numbers, arrays or tuples of them.

        Returns
        -------
        float, ndarray or tuple
        """
        if self.rows.in_memory:
            return work(self, *arguments, *rows)
        return self.rows.sum_over_parts(self, work, arguments, rows)

    def on_block(self, rows, facts):
        """The losses on one block of the rows, as a part.

        Parameters
        ----------
        rows : Rows
            The block's.
        facts : BlockFacts
            Which of all rows they are.

        Returns
        -------
        Objective
        """
        return on_block(self, rows, facts)

    def map_blocks(self, work, n_blocks=None, n_values=None, passes=1.0):
        """Call `work(first, last)` over the blocks that threads share, on threads.

        Parameters
        ----------
        work : callable
            Of the numbers of the first block and of the one after the last.
        n_blocks : int, optional
            None: as many as `range_cuts` has.
        n_values : int, optional
            It takes as long as reading so many; None: all that are stored.
        passes : float
            What it counts as.
        """
        n_values = int(self.share * self.rows.stored()) if n_values is None else n_values
        map_ranges(work, n_blocks or self.range_cuts.size - 1, self.n_threads, n_values)
        self.meter.count(passes)


def _sum_of_blocks(blocks):
    """Sum of what the blocks found, in order."""
    return blocks.sum(axis=0) if len(blocks) > 1 else blocks[0]


def _loss_and_gradient(part, coef, intercept, curvature_cap, alone, curvatures):
    """Sum of the losses of a part, and their gradient: 0 where losses are asked for `alone`."""
    totals, gradients = part.outputs.loss_and_gradient(
        part, coef, intercept, curvatures, curvature_cap, alone
    )
    return _sum_of_blocks(totals), 0.0 if alone else _sum_of_blocks(gradients)


def _expansion(part, coef, intercept, curvature_cap):
    """Sum of the losses of a part, their gradient and their second derivative."""
    curvatures = np.zeros(part.n_samples)
    total, gradient = _loss_and_gradient(part, coef, intercept, curvature_cap, False, curvatures)
    return total, gradient, gram_sum(part, False, curvatures)


def _curvature_product(part, at, along):
    """Second derivative of the losses of a part at `at` times `along`."""
    return _sum_of_blocks(part.outputs.curvature_product(part, at, along))


def _step_product(part, v, p):
    """The same of the mean loss, by its `step_curvature`."""
    return Curvatures(part, v).of_rows(p)


def _moments_of_part(part):
    """`moment_sums` of the rows of a part: one pass."""
    F = part
    part.meter.count()
    return moment_sums(F.rows, F.samples, F.ranges, F.range_cuts, F.n_nonzeros, F.n_threads)


def _vector(v):
    return np.ravel(as_floats(v, "the vector of unknowns"))


def _weighs_evenly(objective):
    """Whether each row weighs something, and none more than `HEAVY` times the mean, which is 1."""
    weights = objective.samples.weights
    return weights.size == 1 or bool(weights.min() > 0.0 and weights.max() <= HEAVY)
