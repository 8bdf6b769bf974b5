"""Certificates: how far F can be from its minimum, proved from quantities that a fit has at hand.

Three bounds, of which the smallest is reported (DESIGN of the objective: every loss has infimum 0):

- F itself.
- The duality gap at the dual point -loss'(z), whose conjugate is never written out: loss*(loss'(z)) = z loss'(z) - loss(z).  It needs
  sum_i s_i loss'(z_i) = 0 where there is an intercept; with an L2 penalty alone it is |grad_w F|^2 / (2 l2).
- For losses with |loss'''| <= M loss'' (self-concordant in the sense of Bach, 2010), the Newton decrement lambda^2 = g' H^-1 g:
  with r = M max_i |(x_i, 1)|_{H^-1} and r lambda < 1,  F - F* <= [(1 - r lambda) ln(1 - r lambda) + r lambda] / r^2.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from fastgd.blocks import map_ranges
from fastgd.coordinates import typical_curvature
from fastgd.kernels import coefficients, passes
from fastgd.losses import Perceptron

# A curvature matrix takes about d/2 passes' worth of arithmetic; beyond this many it is never worth a certificate.
WIDEST_MATRIX = 1500


class Bound(NamedTuple):
    """Upper bound on F - F*, with "proof", "estimate" or "none" as its kind."""

    value: float
    kind: str


def relative(bound, value, constant_value):
    """Bound / max(F - bound, 1e-4 F0): `suboptimality_`, with F0 the objective of the best constant model."""
    floor = max(value - bound, 1e-4 * constant_value)
    if bound <= 0.0:
        return 0.0
    return bound / floor if floor > 0.0 else np.inf


def best_constant(objective):
    """Intercept and objective of the best model without columns: (b, F0), b = 0 where there is no intercept."""
    if objective.vector:
        start = objective.start()
        return np.zeros(objective.n_predictions), objective.loss_and_gradient(start)[0]
    samples = objective.samples
    value, derivative, _ = coefficients.shifted_sums(samples, objective.loss, np.zeros(1) + samples.offsets, 0.0)
    shift = 0.0
    if objective.fit_intercept and derivative != 0.0:
        shift, value = _lowest_shift(samples, objective.loss, np.zeros(1) + samples.offsets)
    return shift, value / objective.n_active


def _lowest_shift(samples, loss, predictions):
    """Shift of all predictions with the least summed loss, and that sum: Newton kept inside a bracket of the sign change."""
    value, slope, curvature = coefficients.shifted_sums(samples, loss, predictions, 0.0)
    best, shift, low, high, reach = (value, 0.0), 0.0, -np.inf, np.inf, 1.0
    for _ in range(200):
        low, high = (low, shift) if slope > 0 else (shift, high)
        newton = shift - slope / curvature if curvature > 0.0 else np.nan
        if np.isinf(low) or np.isinf(high):
            towards = shift - np.sign(slope) * reach
            reach *= 4.0
            shift = newton if abs(newton - shift) < 4 * reach else towards
        else:
            shift = newton if low < newton < high else 0.5 * (low + high)
        if shift in (low, high) or not np.isfinite(shift) or abs(shift) > 1e150:
            break
        value, slope, curvature = coefficients.shifted_sums(samples, loss, predictions, shift)
        if value < best[0] or (value == best[0] and slope == 0.0):
            best = (value, shift)
        if slope == 0.0 or not np.isfinite(value):
            break
    return best[1], best[0]


def provable(objective):
    """Whether some bound goes to 0 as the gradient does, so that a run can go on until it is proved to be close."""
    F, certifier = objective, Certifier(objective)
    gap = F.elastic and F.l1 + F.l2 > 0.0 and (not F.fit_intercept or certifier.centering_helps)
    return F.loss_smooth and F.convex and (certifier.decrement_applies or gap)


class Certifier:
    """Bounds for the points of one fit; keeps the last curvature matrix to know when a proof is worth its cost.

    Parameters
    ----------
    objective : Objective
    factor : ndarray, optional
        T with T T' about the inverse of the curvature matrix, for judging whether a proof would succeed.
    """

    # Half the decrement with a factor from elsewhere in space is taken this many times, for curvature falls on the way.
    CAUTION = 4.0

    def __init__(self, objective, factor=None):
        self.objective = objective
        self._factor, self._rough = factor, True
        self._tried_at = 0.0

    @property
    def decrement_applies(self):
        """Whether the Newton-decrement bound holds for this loss and penalty, and the matrix is affordable."""
        F = self.objective
        return (
            not F.vector
            and F.elastic
            and F.l1 == 0.0
            and F.loss.convex
            and F.loss.self_concordance is not None
            and F.n_features <= WIDEST_MATRIX
        )

    @property
    def matrix_passes(self):
        """What a curvature matrix and the rows' norms cost, in passes."""
        return 2.0 + self.objective.rows.stored() / self.objective.n_samples

    def cheap(self, v, smooth_value, gradient, balanced=False):
        """Bound from the smooth part of F and its gradient alone: no pass.

        `balanced` takes the best intercept for granted, which tells whether finding it is worth two passes.
        """
        F = self.objective
        value = smooth_value + F.rest_value(v)
        if not F.convex or F.loss.infimum < 0.0 or isinstance(F.loss, Perceptron):
            return Bound(np.inf, "none")
        gap = np.inf
        if F.elastic and F.l1 + F.l2 > 0.0 and (balanced or self._balanced(smooth_value, gradient)):
            gap = self._dual_gap(v, smooth_value, gradient)
        return Bound(min(gap, value), "proof")

    def estimate(self, gradient):
        """Half the squared Newton decrement with the last curvature matrix, or inf: worth a proof or not."""
        if self._factor is None:
            return np.inf
        return 0.5 * float(gradient @ self._solve(gradient))

    def worth_proving(self, value, gradient, tol, constant_value):
        """Whether the decrement bound should be tried now: it would likely succeed, or enough passes went by since the last try."""
        if not self.decrement_applies:
            return False
        spent = self.objective.passes - self._tried_at
        if self._factor is None:
            return spent >= 2.0 * self.matrix_passes
        gap = self.estimate(gradient) * (self.CAUTION if self._rough else 1.0 / 0.7)
        likely = relative(gap, value, constant_value) <= tol
        return (likely and (self._rough or spent >= 0.25 * self.matrix_passes)) or spent >= 20.0 * self.matrix_passes

    def prove(self, v, gradient):
        """Bound from the Newton decrement with the curvature at `v`, inf where it does not hold.  Two passes at most."""
        F = self.objective
        matrix = F.curvature_matrix(v)
        scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
        scale[np.diag(matrix) <= 0.0] = 0.0
        values, vectors = scipy.linalg.eigh(matrix * scale[:, None] * scale)
        keep = values > values[-1] * len(values) * 1e-14
        self._factor, self._rough = scale[:, None] * vectors[:, keep] / np.sqrt(values[keep]), False
        self._tried_at = F.passes
        left_out = vectors[:, ~keep].T @ (scale * gradient)
        if np.abs(left_out).max(initial=0.0) > 1e-9 * np.abs(scale * gradient).max(initial=0.0):
            return Bound(np.inf, "none")
        decrement = np.sqrt(max(float(gradient @ self._solve(gradient)), 0.0))
        concordance = F.loss.self_concordance
        if concordance == 0.0:
            return Bound(0.5 * decrement**2, "proof")
        if not keep.all():
            return Bound(np.inf, "none")
        reach = concordance * np.sqrt(F.moments()[1][0] / F.l2) if F.l2 > 0.0 and not F.fit_intercept else np.inf
        if reach * decrement > 0.5:
            reach = concordance * self._longest_row()
        if not reach * decrement < 1.0:
            return Bound(np.inf, "none")
        return Bound(decrement_bound(decrement, reach), "proof")

    def centered(self, v):
        """`v` with the best intercept for its coefficients, which the duality gap needs.  One pass."""
        F = self.objective
        coef, intercept = F.split(v)
        predictions = F.rows.predictions(coef) + F.samples.offsets
        F.passes += 1.0
        shift, _ = _lowest_shift(F.samples, F.loss, predictions + intercept)
        moved = v.copy()
        moved[-1] += shift
        return moved

    @property
    def centering_helps(self):
        """Whether `centered` makes the duality gap apply: an intercept, a differentiable loss of one prediction, a penalty."""
        F = self.objective
        return F.fit_intercept and not F.vector and F.loss.smooth and F.convex and F.elastic and F.l1 + F.l2 > 0.0

    def _balanced(self, smooth_value, gradient):
        """Whether the derivatives sum to 0 up to rounding, as the dual of an unpenalised intercept demands.

        Mean |loss'| is at most sqrt(2 c F) for a loss with curvature bound c and infimum 0: the unit of that rounding.
        """
        F = self.objective
        if not F.fit_intercept:
            return True
        unit = np.sqrt(2.0 * typical_curvature(F.loss) * max(smooth_value, 0.0))
        return bool(np.abs(gradient[F.size - F.n_predictions :]).max() <= 1e-12 * unit)

    def _dual_gap(self, v, smooth_value, gradient):
        """Duality gap for an elastic net: F + mean loss*(loss') + penalty*(-gradient of the mean loss)."""
        F = self.objective
        n_coef = F.n_features * F.n_predictions
        coef = v[:n_coef]
        slope = gradient[:n_coef] - F.l2 * coef
        loss_value = smooth_value - 0.5 * F.l2 * float(coef @ coef)
        if F.samples.offsets.any():
            return np.inf if F.l1 > 0.0 and F.l2 == 0.0 else self._gap_with_l2(coef, slope)
        conjugate = float(coef @ slope) - loss_value
        if F.l2 > 0.0:
            return self._gap_with_l2(coef, slope)
        largest = float(np.abs(slope).max(initial=0.0))
        share = min(1.0, F.l1 / largest) if largest > 0.0 else 1.0
        return loss_value + share * conjugate + F.l1 * float(np.abs(coef).sum())

    def _gap_with_l2(self, coef, slope):
        """w.g + penalty(w) + penalty*(-g), written as a sum of terms that are never negative, one for each coefficient."""
        F = self.objective
        excess = np.maximum(np.abs(slope) - F.l1, 0.0)
        conjugate = excess**2 / (2.0 * F.l2)
        terms = coef * slope + F.l1 * np.abs(coef) + 0.5 * F.l2 * coef**2 + conjugate
        if F.l1 == 0.0:
            terms = (slope + F.l2 * coef) ** 2 / (2.0 * F.l2)
        return float(np.maximum(terms, 0.0).sum())

    def _solve(self, gradient):
        return self._factor @ (self._factor.T @ gradient)

    def _longest_row(self):
        F = self.objective
        d = F.n_features
        inverse = self._factor @ self._factor.T
        cross = inverse[:d, d] if F.fit_intercept else np.zeros(d)
        corner = inverse[d, d] if F.fit_intercept else 0.0
        largest = np.zeros(F.cuts.size - 1)
        table = np.ascontiguousarray(inverse[:d, :d])

        def work(first, last):
            passes.largest_norm(F.rows, F.samples, table, cross, corner, F.cuts, first, last, largest)

        map_ranges(work, largest.size, F.n_threads)
        F.passes += 1.0
        return float(np.sqrt(largest.max()))


def decrement_bound(decrement, reach):
    """[(1 - x) ln(1 - x) + x] / reach^2 with x = reach * decrement < 1; decrement^2 / 2 as x goes to 0.

    Examples
    --------
    >>> round(decrement_bound(0.1, 1e-9), 6), round(decrement_bound(0.1, 5.0), 6)
    (0.005, 0.006137)
    """
    x = reach * decrement
    if x < 1e-4:
        return 0.5 * decrement**2 * (1.0 + x / 3.0 + x * x)
    return ((1.0 - x) * np.log1p(-x) + x) / reach**2
