"""The duality gap as a bound on F - F*: from the smooth part of F and its gradient alone.

The dual point is -loss'(z), whose conjugate is never written out: loss*(loss'(z)) = z loss'(z) -
loss(z).  It needs sum_i s_i loss'(z_i) = 0 where there is an intercept; with an L2 penalty alone
the gap is |grad_w F|^2 / (2 l2).  Where the loss declares an infimum, F less that is a bound too.
"""

import numpy as np

from fastgd.certificates.bound import NO_BOUND, Bound
from fastgd.certificates.rounding import gradient_rounding, prediction_size
from fastgd.linalg.precision import EPS
from fastgd.linalg.scalar_minimum import lowest
from fastgd.objective.distances import curvature_unit, derivative_size, gap_scale_at
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.null_model import loss_of_shift
from fastgd.objective.vector_map import VectorMap
from fastgd.objective.vector_null_model import Shifts, lowest_shifts

# Rounding that is less than this share of a gap, or of what tol allows, is not looked at more
# closely.
NEGLIGIBLE = 0.05
# A gap below this share of the gap scale is worth knowing how far rounding has taken it:
# above, it ends no run.
PROMISING = 0.1


class DualityGap:
    """Bounds from F and its gradient, for convex losses, and penalties whose conjugate is known.

    Parameters
    ----------
    objective : Objective
    negligible : float
        Rounding up to this share of the gap scale is not looked at more closely.
    """

    def __init__(self, objective, negligible=0.0):
        self.objective = objective
        self.negligible = negligible

    def bound(self, v, smooth_value, gradient, balanced=False):
        """Bound from the smooth part of F and its gradient alone: no pass, but for half a one at
        the first promising.

        What rounds: the gradient, as a sum and through the predictions, and sums whose terms
        cancel; `blurred` adds both to the gap where that is small enough to be of use.

        `balanced` takes the best intercept for granted, which tells whether finding it is worth two
        passes: not where rounding is what keeps the gap from `tol`, as far as that is free to tell
        (two times in a fit of a text to 1e-12, a reading of its file and two vectors of 10 MB
        each).
        """
        F = self.objective
        if not F.convex or not F.term.certified or F.loss.online:
            return NO_BOUND
        least = smooth_value + F.rest_value(v) - F.loss.infimum
        if F.term.penalises:
            unbalanced = 0.0 if balanced else self._unbalanced(smooth_value, gradient)
            if unbalanced < np.inf:
                n_coef = F.n_features * F.n_predictions
                above = smooth_value - F.loss.infimum
                gap = F.term.gap(v[:n_coef], gradient[:n_coef], above)
                gap += self._price(v, unbalanced)
                promising = gap < PROMISING * gap_scale_at(F, smooth_value)
                if promising and (F.knows_columns or not balanced):
                    gap += self.blurred(v, smooth_value, gap)
                least = min(least, gap)
        return Bound(least, "proof") if least < np.inf else NO_BOUND

    @property
    def centering_helps(self):
        """Whether `centered` makes the duality gap apply: an intercept, a smooth loss, a
        penalty.
        """
        F = self.objective
        known = F.convex and F.term.certified and F.term.penalises
        return F.fit_intercept and F.loss.smooth and known

    def centered(self, v):
        """`v` with the best intercept for its coefficients, which the duality gap needs.  Half a
        pass.
        """
        F = self.objective
        coef, intercept = F.split(v)
        if F.vector:
            predictions = VectorMap(F).matvec(coef) + intercept
            sums = Shifts(F.loss, F.samples, predictions, F.n_predictions)
            moved = v.copy()
            moved[F.size - F.n_predictions :] += lowest_shifts(sums, F.loss.infimum)[0]
            return moved
        predictions = LinearMap(F).matvec(coef, often=False)
        predictions += F.samples.offsets + intercept
        largest = max(predictions.max(), -predictions.min())
        shift, _ = lowest(loss_of_shift(F, predictions), largest, F.loss.infimum)
        moved = v.copy()
        moved[-1] += shift
        return moved

    def _unbalanced(self, smooth_value, gradient):
        """Size of the mean derivative, which has to be 0 for an unpenalised intercept; inf where it
        is not rounding.

        The unit of that rounding is the mean |loss'|, at most `derivative_size`.
        """
        F = self.objective
        if not F.fit_intercept:
            return 0.0
        usual = derivative_size(F, smooth_value, curvature_unit(F))
        derivatives = gradient[F.size - F.n_predictions :]
        mean = float(np.abs(derivatives).max())
        return mean if mean <= 1e-12 * usual else np.inf

    def _price(self, v, unbalanced):
        """What it costs the gap to scale the heavier sign of the derivatives down until they sum
        to 0 exactly.
        """
        if unbalanced == 0.0:
            return 0.0
        F = self.objective
        table = np.abs(v).reshape(-1, F.n_predictions)
        predictions = float((F.largest() @ table[:-1] + table[-1]).max())
        return 4.0 * unbalanced * (1.0 + predictions + F.samples.largest(F.samples.targets))

    def blurred(self, v, smooth_value, gap):
        """What rounding may have taken from the gap at `v`: of w.g, and of w*.g for an optimum w*
        of twice w at most.

        A gradient that is wrong by e_j leaves min over w of g.w + penalty(w) wrong by no more than
        sum_j e_j |w*_j|.  |e|^2 / (2 l2) would hold for any w*, and be 1e4 times too large where
        columns are on raw scales.
        """
        F = self.objective
        sums = 4.0 * EPS * F.rest_value(v) + (4.0 * EPS * abs(smooth_value) if F.l2 == 0.0 else 0.0)
        for rough in (True, False):
            size = prediction_size(F, v, rough)
            taken = 3.0 * gradient_rounding(F, smooth_value, size) * size
            if taken <= max(NEGLIGIBLE * gap, self.negligible * gap_scale_at(F, smooth_value)):
                break
        return taken + sums
