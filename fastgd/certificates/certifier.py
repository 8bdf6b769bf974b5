"""Certificates: how far F can be from its minimum, proved from quantities that a fit has at hand.

Of these bounds the smallest that applies is reported:

- F itself less the infimum of the loss, where the loss declares one.
- The duality gap at the dual point -loss'(z), whose conjugate is never written out:
  loss*(loss'(z)) = z loss'(z) - loss(z).  It needs sum_i s_i loss'(z_i) = 0 where there is an
  intercept; with an L2 penalty alone it is |grad_w F|^2 / (2 l2).
- For losses with |loss'''| <= M loss'' (self-concordant in the sense of Bach, 2010), the Newton
  decrement
  lambda^2 = g' H^-1 g: with r = M max_i |(x_i, 1)|_{H^-1} and r lambda < 1, F - F* <= [(1 - r
  lambda) ln(1 - r lambda) + r lambda] / r^2. With few columns H is formed, else both numbers are
  bounded from products with it.  Where r lambda >= 1, Newton steps lead to a point p for which it
  holds: F - F* = F - F(p) + (F(p) - F*).
"""

import math

import numpy as np
import scipy.linalg

from fastgd.certificates.bound import NO_BOUND, Bound, relative
from fastgd.certificates.newton_decrement import (
    decrement_bound,
    likely_gain,
    longest_row,
    product_bound,
    stretched_bound,
)
from fastgd.certificates.rounding import (
    column_sizes,
    gradient_rounding,
    offset_size,
    prediction_size,
    slope_rounding,
    sum_rounding,
    value_rounding,
)
from fastgd.data.targets import WeightedSamples
from fastgd.losses.base import typical_curvature
from fastgd.losses.classification import Perceptron
from fastgd.objective.collinear import redundant_columns
from fastgd.objective.distances import slope_size, unit_at
from fastgd.objective.linear_map import Sweeps
from fastgd.objective.null_model import lowest, shifted_sums
from fastgd.objective.objective import LARGEST, SUM, SUM_OF_SQUARES

# A curvature matrix takes about d/2 passes' worth of arithmetic; beyond this many it is never worth
# a certificate.
WIDEST_MATRIX = 1500
# A rough r that is too large by less than this is mended by the next Newton step, which brings the
# decrement down more.
HOPELESS = 100.0
# Half the squared decrement is told this many times as an estimate, the second number where
# curvature jumps: it may be that of another point, or fall on the way.  With 3 the truth was at
# most 0.69 of what was told (log loss on three data sets, along paths of alphas); with 12 it was
# once 1.6 of it (Huber), hence 25.
LIKELY = 3.0
LIKELY_WHERE_IT_JUMPS = 25.0
# Rounding that is less than this share of a gap is not looked at more closely.
NEGLIGIBLE = 0.05
# Rows whose slopes are together less than this share of the bound that is asked for are left out
# where no proof holds.
SETTLED = 0.25
# A gap below this share of the unit of distances is worth knowing how far rounding has taken it:
# above, it ends no run.
PROMISING = 0.1
# Steepest columns along which F is tried, and powers of 2 of the steps, in units of what the
# predictions are off by.
STEEPEST = 8
LENGTHS = (-14, 3)
# Of these some with the best intercept for them, a search of 40 values, in so many operations.
FEW_LENGTHS = (0, -4, -8, -12, 2)
SEARCHED = 40
FEW_OPERATIONS = 2e7
EPS = float(np.finfo(float).eps)


def provable(objective):
    """Whether some bound goes to 0 as the gradient does, so that a run can go on until it is
    proved to be close.
    """
    F, certifier = objective, Certifier(objective)
    # Without an L2 part derivatives are scaled down until no column is beyond l1, which needs an
    # infimum.
    penalised = F.l2 > 0.0 or (F.l1 > 0.0 and F.loss.infimum > -np.inf)
    gap = F.elastic and penalised and (not F.fit_intercept or certifier.centering_helps)
    return F.loss_smooth and F.convex and (certifier.decrement_applies or gap)


class Certifier:
    """Bounds for the points of one fit; keeps the last curvature matrix to know when a proof is
    worth its cost.

    Parameters
    ----------
    objective : Objective
    factor : ndarray, optional
        T with T T' about the inverse of the curvature matrix, for judging whether a proof would
        succeed.
    """

    # Half the decrement with a factor from elsewhere in space is taken this many times: curvature
    # falls on the way.
    CAUTION = 4.0
    NEWTON_STEPS = 4
    # Whether `from_known` may take a pass to find the longest row.
    measures_rows = True
    # Rounding up to this share of the unit of distances is not looked at more closely: a run says
    # what tol allows.
    negligible = 0.0

    def __init__(self, objective, factor=None):
        self.objective = objective
        self._factor, self._rough = factor, True
        self._tried_at, self._products, self._wait = 0.0, 10.0, 0.0
        self._known, self._known_reach = None, np.inf

    @property
    def decrement_applies(self):
        """Whether the Newton-decrement bound holds for this loss and penalty, and is affordable."""
        F = self.objective
        holds = (
            not F.vector
            and F.elastic
            and F.l1 == 0.0
            and F.loss.convex
            and F.loss.self_concordance is not None
        )
        return holds and (not self.wide or F.l2 > 0.0)

    @property
    def wide(self):
        """Whether there are too many columns to form a curvature matrix."""
        return self.objective.n_features > WIDEST_MATRIX

    @property
    def proof_passes(self):
        """What `prove` costs, in passes' worth of time."""
        return self._products if self.wide else 3.0 + self.objective.row_length

    def cheap(self, v, smooth_value, gradient, balanced=False):
        """Bound from the smooth part of F and its gradient alone: no pass, but for half a one at
        the first promising.

        What rounds: the gradient, as a sum and through the predictions, and sums whose terms
        cancel; `_blurred` adds both to the gap where that is small enough to be of use.

        `balanced` takes the best intercept for granted, which tells whether finding it is worth two
        passes.
        """
        F = self.objective
        if not F.convex or not F.elastic or isinstance(F.loss, Perceptron):
            return NO_BOUND
        bound = smooth_value + F.rest_value(v) - F.loss.infimum
        if F.l1 + F.l2 > 0.0:
            unbalanced = 0.0 if balanced else self._unbalanced(smooth_value, gradient)
            if unbalanced < np.inf:
                gap = self._dual_gap(v, smooth_value, gradient) + self._price(v, unbalanced)
                if gap < PROMISING * unit_at(F, smooth_value) and not balanced:
                    gap += self._blurred(v, smooth_value, gap)
                bound = min(bound, gap)
        return Bound(bound, "proof") if bound < np.inf else NO_BOUND

    def estimate(self, gradient):
        """Half the squared Newton decrement with the last curvature matrix, or inf: worth a
        proof or not.
        """
        if self._factor is None:
            return np.inf
        return 0.5 * float(gradient @ self._solve(gradient))

    def worth_proving(self, value, gradient, tol, constant_value):
        """Whether to try the decrement bound now: it would likely do, or enough passes went by
        since the last try.
        """
        if not self.decrement_applies:
            return False
        spent, infimum = self.objective.passes - self._tried_at, self.objective.loss.infimum
        if self.wide:
            likely = (
                relative(self._diagonal_estimate(gradient), value, constant_value, infimum) <= tol
            )
            return likely and spent >= max(self._wait, 2.0 * self._products)
        if self._factor is None:
            return spent >= 2.0 * self.proof_passes
        gap = self.estimate(gradient) * (self.CAUTION if self._rough else 1.0 / 0.7)
        likely = relative(gap, value, constant_value, infimum) <= tol
        due = self._rough or spent >= max(self._wait, 0.25 * self.proof_passes)
        return (likely and due) or spent >= 20.0 * self.proof_passes

    def prove(self, v, value, gradient, enough=0.0):
        """Bound from the Newton decrement at `v`, or none; `enough` is a bound that need not be
        improved on.

        With enough = inf the first bound is taken, for three passes.
        """
        F, before = self.objective, self.objective.passes
        if self.wide:
            found = product_bound(F, v, value, gradient, enough)
            bound = Bound(found, "proof") if found < np.inf else NO_BOUND
        else:
            bound = self._curvature_proof(v, value, gradient, enough)
            if F.l1 + F.l2 == 0.0 and F.loss.infimum == 0.0 and enough < min(bound.value, np.inf):
                bound = min(bound, self._proof_by_others(v, value, enough))
        self._tried_at = self.objective.passes
        self._products = max(self._tried_at - before, 1.0)
        # A try that failed is not repeated before twice its passes went by, the next one not before
        # four times.
        self._wait = 2.0 * max(self._wait, self._products) if bound.value > enough else 0.0
        return bound

    def likely_left(self, v, gradient, caution=None):
        """An estimate of F - F* at a point where no bound goes to 0: half the squared decrement,
        times `caution`.

        For a convex loss with a derivative and an elastic net or none; inf where conjugate
        gradients do not arrive.
        """
        if caution is None:
            caution = (
                LIKELY
                if self.objective.loss.self_concordance is not None
                else LIKELY_WHERE_IT_JUMPS
            )
        return caution * likely_gain(self.objective, v, gradient)

    def sure_fall(self, v, gradient):
        """What F falls by along one of the steepest columns, by their variances: F - F* is no less.

        For a loss of one prediction.  A few passes; along all columns at once F does not fall where
        tails are heavy.  With the mean of the predictions held F may not fall where a row lies on a
        corner: of two rows the one that is met moves as the other one does, and costs what that
        gains.
        """
        F = self.objective
        moments, d = F.moments()[0], F.n_features
        means = moments[SUM] * F.fit_intercept
        variances = np.maximum(moments[SUM_OF_SQUARES] - means**2, 0.0)
        coef, intercept = F.split(v)
        slopes = gradient[:d] - means * (float(gradient[d]) if F.fit_intercept else 0.0)
        steepness = np.where(variances > 0.0, np.abs(slopes), 0.0) / np.sqrt(
            np.where(variances > 0.0, variances, 1.0)
        )
        predictions = F.rows.predictions(np.ascontiguousarray(coef)) + (
            F.samples.offsets + intercept
        )
        here = shifted_sums(F, predictions)(0.0)[0] + F.penalty_value(v)
        off, least = float(np.abs(predictions - F.samples.targets)[F.samples.active()].mean()), here
        steepest = np.argsort(-steepness, kind="stable")[:STEEPEST]
        F.passes += 0.5 + 0.5 * steepest.size
        tried = []
        for j in steepest[variances[steepest] > 0.0]:
            way = np.zeros(d)
            way[j] = -np.sign(slopes[j]) or 1.0
            moves = F.rows.predictions(way) - means @ way
            size = float(np.abs(moves).mean())
            for length in off / size * 2.0 ** np.arange(*LENGTHS) if size > 0.0 else ():
                ahead = v.copy()
                ahead[j] += length * way[j]
                least = min(
                    least,
                    shifted_sums(F, predictions + length * moves)(0.0)[0] + F.penalty_value(ahead),
                )
            tried.append((way, moves, off / size if size > 0.0 else 0.0))
        return here - min(least, self._least_recentered(v, predictions, tried))

    def _least_recentered(self, v, predictions, tried):
        """The least F along these ways, of some lengths, where the intercept is the best for it.

        Back, too: at a corner the slope that is known may be 0, or point the other way.
        """
        F, least = self.objective, np.inf
        if not F.fit_intercept or F.loss_smooth:
            return least
        searches = int(FEW_OPERATIONS / (SEARCHED * F.n_samples))
        shares = [sign * 2.0**power for power in FEW_LENGTHS for sign in (1.0, -1.0)]
        pairs = [(one, share) for share in shares for one in tried]
        for (way, moves, unit), share in pairs[:searches]:
            length = share * unit
            there = predictions + length * moves
            _, value = lowest(shifted_sums(F, there), float(np.abs(there).max()), F.loss.infimum)
            ahead = v.copy()
            ahead[: way.size] += length * way
            least = min(least, value + F.penalty_value(ahead))
        return least

    def from_known(self, known, v, gradient, enough, value=0.0):
        """Bound from `known`, a curvature matrix and the point nearby, the anchor, where it is
        exact.

        On the way s = v - anchor each row's curvature falls by a factor of at most exp(-c), c = M
        max_i |x_i . s| <= r |s|_H: norms in the inverse curvature at v are at most exp(c / 2) times
        those at the anchor.  r is bounded by the longest row and the penalty; where that is
        hopeless, it is computed, for one pass.  `value` is F at `v`, for what is rounded: see
        `fastgd.certificates.newton_decrement`; the matrix widens norms by its doubt, what the
        gradient and the predictions lose is added to the decrement (`_unsure`), and eps F to the
        bound.
        """
        factor, anchor = known
        F = self.objective
        if not (self.decrement_applies and factor.full):
            return NO_BOUND
        doubt = factor.doubt(sum_rounding(F))
        if doubt >= 1.0:
            return NO_BOUND
        wider, least = 1.0 / math.sqrt(1.0 - doubt), EPS * abs(value)
        decrement = wider * (
            factor.norm_of(gradient) + self._unsure(v, value, factor.scale, factor.inverse_norm())
        )
        if F.loss.self_concordance == 0.0 or decrement == 0.0:
            return Bound(0.5 * decrement**2 + least, "proof")
        if self._known is not factor:
            self._known, self._known_reach = factor, self._rough_reach(factor) * wider
        moved = 0.0 if v is anchor else factor.norm(v - anchor) * wider
        bound = stretched_bound(decrement, self._known_reach, moved)
        likely = np.exp(min(moved, 50.0)) * 0.6 * decrement**2 <= enough
        far = self._known_reach * max(decrement, moved) > HOPELESS
        if bound > enough and likely and far and self.measures_rows:
            self._known_reach = F.loss.self_concordance * longest_row(F, factor.root()) * wider
            bound = stretched_bound(decrement, self._known_reach, moved)
        return Bound(bound + least, "proof") if bound < np.inf else NO_BOUND

    def _unsure(self, v, value, scale, inverse_norm):
        """What rounding of the gradient at `v`, where F is `value`, may have taken from the
        decrement.

        `scale` holds the roots of the diagonal of H, `inverse_norm` is |L^-1| for H so scaled.
        """
        F, stretch = self.objective, 1.0
        if F.loss.self_concordance != 0.0:
            sizes = math.sqrt(typical_curvature(F.loss)) * column_sizes(F)
            stretch = float((sizes[scale > 0.0] / scale[scale > 0.0]).max(initial=0.0))
        root = math.sqrt(typical_curvature(F.loss))
        predicted = 2.0 * EPS * (float(scale @ np.abs(v)) + root * offset_size(F))
        return slope_rounding(F, value) / root * stretch * inverse_norm + predicted

    def _rough_reach(self, factor):
        """M max_i |(x_i, 1)|_{H^-1} from the longest row and H >= l2, the intercept eliminated."""
        F = self.objective
        if F.l2 == 0.0:
            return np.inf
        longest, corner = np.sqrt(F.moments()[1][0]), 0.0
        if F.fit_intercept:
            corner = 1.0 / factor.border[-1]
            longest += float(np.linalg.norm(factor.border[:-1])) * corner
        return F.loss.self_concordance * np.sqrt(longest**2 / F.l2 + corner)

    def centered(self, v):
        """`v` with the best intercept for its coefficients, which the duality gap needs.  One
        pass.
        """
        F = self.objective
        coef, intercept = F.split(v)
        predictions = F.rows.predictions(coef)
        predictions += F.samples.offsets + intercept
        F.passes += 1.0
        largest = max(predictions.max(), -predictions.min())
        shift, _ = lowest(shifted_sums(F, predictions), largest, F.loss.infimum)
        moved = v.copy()
        moved[-1] += shift
        return moved

    @property
    def centering_helps(self):
        """Whether `centered` makes the duality gap apply: an intercept, a smooth loss of one
        prediction, a penalty.
        """
        F = self.objective
        return (
            F.fit_intercept
            and not F.vector
            and F.loss.smooth
            and F.convex
            and F.elastic
            and F.l1 + F.l2 > 0.0
        )

    def _unbalanced(self, smooth_value, gradient):
        """Size of the mean derivative, which has to be 0 for an unpenalised intercept; inf where it
        is not rounding.

        The unit of that rounding is the mean |loss'|, at most `slope_size`.
        """
        F = self.objective
        if not F.fit_intercept:
            return 0.0
        usual = slope_size(F, smooth_value, typical_curvature(F.loss))
        slopes = gradient[F.size - F.n_predictions :]
        mean = float(np.abs(slopes).max()) if F.vector else abs(float(slopes[0]))
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
        return 4.0 * unbalanced * (1.0 + predictions + float(np.abs(F.samples.targets).max()))

    def _dual_gap(self, v, smooth_value, gradient):
        """Duality gap for an elastic net: F + mean loss*(loss') + penalty*(-gradient of the mean
        loss).
        """
        F = self.objective
        n_coef = F.n_features * F.n_predictions
        coef, coef_gradient = v[:n_coef], gradient[:n_coef]
        if F.l2 > 0.0:
            if F.l1 > 0.0:
                return self._gap_with_l2(coef, coef_gradient)
            return float(coef_gradient @ coef_gradient) / (2.0 * F.l2)
        # A dual point scaled by c <= 1 has loss*(c a) <= c loss*(a) - (1 - c) inf loss.
        conjugate = float(coef @ coef_gradient) - smooth_value
        largest = max(float(coef_gradient.max(initial=0.0)), -float(coef_gradient.min(initial=0.0)))
        share = min(1.0, F.l1 / largest) if largest > 0.0 else 1.0
        if share < 1.0 and F.loss.infimum == -np.inf:
            return np.inf
        rest = (1.0 - share) * F.loss.infimum if share < 1.0 else 0.0
        return smooth_value + share * conjugate - rest + F.l1 * float(np.abs(coef).sum())

    def _blurred(self, v, smooth_value, gap):
        """What rounding may have taken from the gap at `v`: of w.g, and of w*.g for an optimum w*
        of twice w at most.

        A gradient that is wrong by e_j leaves min over w of g.w + penalty(w) wrong by no more than
        sum_j e_j |w*_j|.
        |e|^2 / (2 l2) would hold for any w*, and be 1e4 times too large where columns are on raw
        scales.
        """
        F = self.objective
        sums = 4.0 * EPS * F.rest_value(v) + (4.0 * EPS * abs(smooth_value) if F.l2 == 0.0 else 0.0)
        for rough in (True, False):
            size = prediction_size(F, v, rough)
            taken = 3.0 * gradient_rounding(F, smooth_value, size) * size
            if taken <= max(NEGLIGIBLE * gap, self.negligible * unit_at(F, smooth_value)):
                break
        return taken + sums

    def _gap_with_l2(self, coef, gradient):
        """w.g + penalty(w) + penalty*(-g), a sum of terms that are never negative; most of a
        million columns have 0.
        """
        F = self.objective
        moving = np.flatnonzero((coef != 0.0) | (np.abs(gradient) > F.l1))
        coef = coef[moving]
        loss_gradient = gradient[moving] - F.l2 * coef
        conjugate = np.maximum(np.abs(loss_gradient) - F.l1, 0.0) ** 2 / (2.0 * F.l2)
        terms = np.maximum(
            coef * loss_gradient + F.l1 * np.abs(coef) + 0.5 * F.l2 * coef**2 + conjugate, 0.0
        )
        return float(terms.sum())

    def _curvature_proof(self, v, value, gradient, enough, matrices=2):
        """Bound from the exact curvature matrix; three passes, and two more for each direction
        without curvature.
        """
        F = self.objective
        matrix = F.curvature_matrix(v)
        diagonal = np.diag(matrix)
        scale = np.where(
            diagonal > 0.0, 1.0 / np.sqrt(np.maximum(diagonal, np.finfo(float).tiny)), 0.0
        )
        values, vectors = scipy.linalg.eigh(matrix * scale[:, None] * scale)
        rounding = EPS * values.size * values[-1] + sum_rounding(F) * math.sqrt(values.size)
        keep = values > 10.0 * rounding
        vectors *= scale[:, None]
        self._factor, self._rough = vectors[:, keep] / np.sqrt(values[keep] - rounding), False
        if not keep.all() and not self._unseen(vectors[:, ~keep], diagonal):
            return NO_BOUND
        inverse_norm = math.sqrt(float((1.0 / (values[keep] - rounding)).sum()))

        def unsure(point, value):
            return self._unsure(point, value, np.sqrt(np.maximum(diagonal, 0.0)), inverse_norm)

        decrement, least = self._decrement(gradient) + unsure(v, value), EPS * abs(value)
        concordance = F.loss.self_concordance
        if concordance == 0.0 or decrement == 0.0:
            return Bound(0.5 * decrement**2 + least, "proof")
        reach = (
            concordance * np.sqrt(F.moments()[1][0] / F.l2)
            if F.l2 > 0.0 and not F.fit_intercept
            else np.inf
        )
        if reach * decrement > 0.5:
            reach = concordance * longest_row(F, self._factor)
        bound = (
            Bound(decrement_bound(decrement, reach) + least, "proof")
            if reach * decrement < 1.0
            else NO_BOUND
        )
        # Not enough yet, but not far: what is proved about the minimum serves the points to come.
        hopeless = 0.0 < enough < 0.02 * decrement**2
        if hopeless or enough == np.inf or bound.value <= max(enough, 0.6 * decrement**2):
            return bound
        return min(
            bound, self._proof_from_elsewhere(v, value, gradient, reach, enough, matrices, unsure)
        )

    def _proof_from_elsewhere(self, v, value, gradient, reach, enough, matrices, unsure):
        """Bound at `v` by way of a point p that Newton steps with its curvature lead to; two passes
        for each step.

        On the way s = p - v each row's curvature falls by a factor of at most exp(-c), c = M max_i
        |x_i . s|: norms in the inverse curvature at p are at most exp(c / 2) times those at v.
        `reach` is M max_i |x_i| in the latter. Where c is too large, p gets a matrix of its own, if
        `matrices` more are allowed.  `unsure` tells what rounding took from a decrement.
        """
        F, point, best = self.objective, v, NO_BOUND
        active = F.samples.active()
        for _ in range(self.NEWTON_STEPS):
            point = point - self._solve(gradient)
            lower, gradient = F.smooth_and_gradient(point)
            coef, intercept = F.split(point - v)
            moved = np.abs(F.rows.predictions(np.ascontiguousarray(coef))[active] + intercept).max()
            F.passes += 1.0
            stretch = np.exp(min(0.5 * F.loss.self_concordance * float(moved), 50.0))
            decrement = self._decrement(gradient) + unsure(point, lower)
            if stretch**2 * reach * decrement < 1.0:
                rest = decrement_bound(stretch * decrement, stretch * reach)
                rounded = sum_rounding(F) * abs(value)
                rounded += value_rounding(F, point, lower, 0.0, gradient)
                best = min(best, Bound(value - lower + rest + rounded, "proof"))
                if best.value <= enough or rest <= max(0.05 * best.value, 0.3 * enough):
                    return best
        if matrices > 0 and reach * decrement < 2.0 and value - lower < max(enough, best.value):
            onward = self._curvature_proof(
                point, lower, gradient, max(enough - value + lower, 0.0), matrices - 1
            )
            rounded = value_rounding(F, point, lower, 0.0, gradient)
            best = min(best, Bound(value - lower + onward.value + rounded, onward.kind))
        return best

    def _unseen(self, directions, diagonal):
        """Whether F changes along none of these columns, which have no curvature beyond rounding.

        So it is where there are as many of them as columns of zeros and columns that others make
        up.
        """
        F = self.objective
        blind = diagonal[: F.n_features] <= 0.0
        if F.l2 > 0.0 or F.moments()[0][LARGEST][blind].any():
            return False
        counted = np.broadcast_to(F.samples.weights, (F.n_samples,)) > 0.0
        others = redundant_columns(F, Sweeps(F), counted).columns.size
        return directions.shape[1] == int(blind.sum()) + others

    def _proof_by_others(self, v, value, enough):
        """Bound without the rows whose losses are next to nothing: F is nowhere below what the
        others are at least.

        Along columns that only such rows have F may fall for ever, and the decrement bound never
        holds.
        """
        F, weights = self.objective, np.zeros(self.objective.n_samples)
        coef, intercept = F.split(v)
        _, slopes, _ = Sweeps(F).derivatives(
            F.rows.predictions(np.ascontiguousarray(coef)), intercept
        )
        F.passes += 0.5
        order = np.argsort(np.abs(slopes))
        matter = order[np.cumsum(np.abs(slopes)[order]) > SETTLED * enough]
        if not 0 < matter.size < F.n_active:
            return NO_BOUND
        weights[matter] = np.broadcast_to(F.samples.weights, weights.shape)[matter]
        share = float(weights.sum()) / F.n_active
        weights *= matter.size / weights.sum()
        samples = WeightedSamples(F.samples.targets, weights, F.samples.offsets)
        part = F.of(F.loss, F.rows, samples, F.penalty, 0.0, F.fit_intercept, F.n_threads)
        lower, gradient = part.smooth_and_gradient(v)
        bound = Certifier(part)._curvature_proof(v, lower, gradient, enough / share)
        F.passes += part.passes
        rounded = sum_rounding(F) * abs(value)
        rounded += share * value_rounding(part, v, lower, 0.0, gradient)
        return Bound(value - share * (lower - bound.value) + rounded, bound.kind)

    def _diagonal_estimate(self, gradient):
        """Half the squared decrement if the columns were uncorrelated: a hint, no bound."""
        F = self.objective
        moments = F.moments()[0]
        variance = np.maximum(moments[SUM_OF_SQUARES] - moments[SUM] ** 2 * F.fit_intercept, 0.0)
        coef_gradient = gradient[: F.n_features]
        return 0.5 * float(
            coef_gradient @ (coef_gradient / (typical_curvature(F.loss) * variance + F.l2))
        )

    def _decrement(self, gradient):
        return np.sqrt(max(float(gradient @ self._solve(gradient)), 0.0))

    def _solve(self, gradient):
        assert self._factor is not None
        return self._factor @ (self._factor.T @ gradient)
