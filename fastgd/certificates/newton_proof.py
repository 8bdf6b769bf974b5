"""Proofs by the Newton decrement: from the curvature matrix at a point, from one that a solver
keeps, or from products where columns are too many for a matrix.

With lambda^2 = g' H^-1 g and r = M max_i |(x_i, 1)|_{H^-1}, `fastgd.certificates.newton_decrement`
bounds F - F* where r lambda < 1.  Where r lambda >= 1, a Newton step leads to a point p for which
it may hold: F - F* = F - F(p) + (F(p) - F*).

Where the penalty has kinks or bounds, g is the subgradient of F of least norm: a convex penalty is
nowhere below its value at the point plus the subgradient times the way, and what is left of F is
the mean loss with its quadratic part, which H is the curvature of.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack

from fastgd.certificates.bound import NO_BOUND, Bound, relative_gap_at
from fastgd.certificates.newton_decrement import (
    decrement_bound,
    longest_row,
    product_bound,
    stretched_bound,
)
from fastgd.certificates.rounding import (
    column_sizes,
    derivative_rounding,
    offset_size,
    sum_rounding,
    value_rounding,
)
from fastgd.linalg.bordered import BorderedFactor
from fastgd.linalg.cholesky import FAINT
from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import eigenpairs
from fastgd.objective.collinear import redundant_columns
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.distances import curvature_unit
from fastgd.objective.exclusive.matrix import BorderedCurvature
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.matrix_sizes import WIDEST_PROOF
from fastgd.objective.moments import column_variances
from fastgd.objective.subset import reweighted

# Cholesky factors are taken where rounding changes a matrix by no more than this share of itself,
# which the bound makes up for: beyond it is wider by half of that, and eigenvectors, which take 35
# times as long, tell more.
MAX_DOUBT = 0.1
# A rough r that is too large by less than this is mended by the next Newton step, which brings the
# decrement down more.
ROUGH_REACH = 100.0
# Rows whose derivatives are together less than this share of the bound that is asked for are left
# out where no proof holds: without that 10 of 440 fits by lbfgs, nesterov, saga and others had
# ended without one (log loss and Poisson, half of them on raw, far or heavy columns); 0.7 is as
# good.
SETTLED = 0.25
# Half the squared decrement by a factor of another point, which a solver hints at, counts so many
# times until a proof is tried: curvature falls on the way.  In those 440 fits 4 took 0.7 % more
# passes, 1.5 another 0.5 %, 25 as many.
HINTED = 12.0
# After so many times its passes a proof is tried although it does not seem likely: the factor may
# be of a point far away.  5 takes 0.4 % more passes, never 0.1 % less.
OVERDUE = 20.0
# With r lambda up to NEAR_RADIUS a bound is within 23 % of half the squared decrement, the least
# that it can be at a point, and no more than TIGHT_SHARE times the square; beyond, a better r is
# looked for and a better point.  A NEAR_RADIUS of 0 takes 0.1 % more passes, a TIGHT_SHARE of 0.5
# or of 1 0.5 %.
NEAR_RADIUS = 0.5
TIGHT_SHARE = 0.6
# F - F* may be less than half the squared decrement, but not less than this share of the square up
# to r lambda = 49 (Bach, 2010): for a bound below that the run goes on instead, which 93 of 440
# fits did with 16 % fewer passes.
OUT_OF_REACH = 0.02


@dataclass
class ProofRecord:
    """What a `NewtonProof` knows of a run.

    Attributes
    ----------
    factor : ndarray or None, (size, n_kept)
        A root of the inverse of the last curvature matrix.
    rough : bool
        Whether that is a hint of a solver, and not from a proof.
    tried_at : float
        The objective's passes at the last proof.
    passes : float
        Passes that it took.
    wait : float
        Passes before another one.
    measured : Factor or None
        Of the curvature matrix whose `reach` is known.
    reach : float
        No less than the greatest |(x_i, 1)| in the norm of the inverse of that matrix: so much at
        most a prediction changes by in a step of length 1.
    """

    factor: Any = None
    rough: bool = True
    tried_at: float = 0.0
    passes: float = 10.0
    wait: float = 0.0
    measured: Any = None
    reach: float = np.inf


class NewtonProof:
    """Bounds by the Newton decrement for the points of one run; keeps the last curvature matrix to
    know when a proof is worth its cost.

    Parameters
    ----------
    objective : Objective
    measures_rows : bool
        Whether `from_known` may take a pass to find the longest row.
    """

    def __init__(self, objective, measures_rows=True):
        self.objective = objective
        self.measures_rows = measures_rows
        self._run = ProofRecord()

    def snapshot(self):
        """What is known of the run so far, for `restore`."""
        return {**vars(self._run)}

    def restore(self, snapshot):
        """Know what another one of the same run did."""
        self._run = ProofRecord(**snapshot)

    @property
    def applies(self):
        """Whether the Newton-decrement bound holds for this loss and penalty, and is affordable."""
        return self.holds and (not self.wide or self.objective.l2 > 0.0)

    @property
    def holds(self):
        """Whether it holds for this loss and penalty, whatever a matrix would cost."""
        F = self.objective
        return (
            not F.vector
            and F.term.certified
            and F.l1 == 0.0
            and F.loss.convex
            and F.loss.self_concordance is not None
        )

    @property
    def wide(self):
        """Whether there are too many columns to form a curvature matrix."""
        return self.objective.n_features > WIDEST_PROOF

    @property
    def passes(self):
        """What `prove` costs, in passes' worth of time: the matrix of dense rows is made by BLAS,
        that of sparse ones a row's length at a time.
        """
        if self.wide:
            return self._run.passes
        return min(3.0 + self.objective.row_length, self._passes_of_matrix)

    @functools.cached_property
    def _passes_of_matrix(self):
        """The same with the matrix and its factor: what a try that nothing speaks for would take.

        On 16,859 rows of 1,136 columns, two values in a row, five tries in 430 passes, 277 passes'
        worth of time each, proved nothing.
        """
        F = self.objective
        return 3.0 + curvature_cost(F) + solving_cost(F, F.size)

    def expect(self, inverse_root):
        """Judge by T with T T' about the inverse of the curvature, until there is a matrix,
        whether a proof would succeed.
        """
        if self._run.factor is None:
            self._run.factor = inverse_root

    def estimate(self, gradient):
        """Half the squared Newton decrement with the last curvature matrix, or inf: worth a
        proof or not.
        """
        if self._run.factor is None:
            return np.inf
        return 0.5 * float(gradient @ self._solve(gradient))

    def worth_trying(self, value, gradient, tol):
        """Whether to try the decrement bound now: it would likely do, or enough passes went by
        since the last try.
        """
        if not self.applies:
            return False
        spent = self.objective.passes - self._run.tried_at
        known = self._run.factor is not None and not self.wide
        gap = self.estimate(gradient) if known else self._diagonal_estimate(gradient)
        gap *= HINTED if known and self._run.rough else 1.0
        likely = relative_gap_at(self.objective, gap, value) <= tol
        if self.wide:
            return likely and spent >= max(self._run.wait, 2.0 * self._run.passes)
        if not known:
            return spent >= 2.0 * (self.passes if likely else self._passes_of_matrix)
        overdue = spent >= OVERDUE * self._passes_of_matrix
        return (likely and (self._run.rough or spent >= self._run.wait)) or overdue

    def prove(self, v, value, gradient, target_gap=0.0):
        """Bound from the Newton decrement at `v`, or none; `target_gap` is a bound that need not be
        improved on.

        With target_gap = inf the first bound is taken, for three passes.
        """
        F, before = self.objective, self.objective.passes
        if self.wide:
            found = product_bound(F, v, value, gradient, target_gap)
            bound = Bound(found, "proof") if found < np.inf else NO_BOUND
        else:
            bound = self._curvature_proof(v, value, gradient, target_gap)
            if (
                F.elastic
                and F.l1 + F.l2 == 0.0
                and F.loss.infimum == 0.0
                and target_gap < min(bound.value, np.inf)
            ):
                bound = min(bound, self._proof_by_others(v, value, target_gap))
        run = self._run
        run.tried_at = self.objective.passes
        run.passes = max(run.tried_at - before, 1.0)
        # A try that failed is not repeated before twice its passes went by, the next one not before
        # four times.
        run.wait = 2.0 * max(run.wait, run.passes) if bound.value > target_gap else 0.0
        return bound

    def from_known(self, known, v, gradient, target_gap, value=0.0):
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
        if not (self.holds and factor.full):
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
        if self._run.measured is not factor:
            self._run.measured, self._run.reach = factor, self._rough_reach(factor) * wider
        moved = 0.0 if v is anchor else factor.norm(v - anchor) * wider
        bound = stretched_bound(decrement, self._run.reach, moved)
        likely = np.exp(min(moved, 50.0)) * TIGHT_SHARE * decrement**2 <= target_gap
        far = self._run.reach * max(decrement, moved) > ROUGH_REACH
        if bound > target_gap and likely and far and self._measuring_pays(factor):
            self._run.reach = self._longest(factor) * wider
            bound = stretched_bound(decrement, self._run.reach, moved)
        return Bound(bound + least, "proof") if bound < np.inf else NO_BOUND

    def _measuring_pays(self, factor):
        """Whether to look for the longest row.

        With exclusive columns apart it takes as long as a matrix, 7 passes, and where a column has
        few rows brings nothing that a corrected dual point does not bring in 1.5: on one-hot rows
        it proved nothing in five runs of five.
        """
        dual_comes = isinstance(factor, BorderedFactor) and self.objective.l2 > 0.0
        return self.measures_rows and not dual_comes

    def _unsure(self, v, value, scale, inverse_norm):
        """What rounding of the gradient at `v`, where F is `value`, may have taken from the
        decrement.

        `scale` holds the roots of the diagonal of H, `inverse_norm` is |L^-1| for H so scaled.
        """
        F, stretch = self.objective, 1.0
        if F.loss.self_concordance != 0.0:
            sizes = math.sqrt(curvature_unit(F)) * np.repeat(column_sizes(F), F.n_predictions)
            stretch = float((sizes[scale > 0.0] / scale[scale > 0.0]).max(initial=0.0))
        root = math.sqrt(curvature_unit(F))
        predicted = 2.0 * EPS * (float(scale @ np.abs(v)) + root * offset_size(F))
        return derivative_rounding(F, value) / root * stretch * inverse_norm + predicted

    def _rough_reach(self, factor):
        """M max_i |(x_i, 1)|_{H^-1} from the longest row and H >= l2, the intercept eliminated."""
        F = self.objective
        if F.l2 == 0.0:
            return np.inf
        longest, corner = np.sqrt(F.moments().largest_norm2), 0.0
        if F.fit_intercept:
            corner = 1.0 / factor.border[-1]
            longest += float(np.linalg.norm(factor.border[:-1])) * corner
        return F.loss.self_concordance * np.sqrt(longest**2 / F.l2 + corner)

    def _longest(self, factor):
        """The same from the rows themselves: one pass."""
        F = self.objective
        if isinstance(factor, BorderedFactor):
            return F.loss.self_concordance * BorderedCurvature(F).longest_row(factor)
        return F.loss.self_concordance * longest_row(F, factor.root())

    def _curvature_proof(self, v, value, gradient, target_gap):
        """Bound from the exact curvature matrix; three passes, and two more for each direction
        without curvature.
        """
        F = self.objective
        matrix = F.curvature_matrix(v)
        sizes, fixed = np.sqrt(np.maximum(np.diag(matrix), 0.0)), F.term.fixed
        if fixed is not None:  # coefficients that are nowhere else
            matrix[fixed] = matrix[:, fixed] = 0.0
        diagonal = np.diag(matrix)
        if not (sizes[diagonal > 0.0] > FAINT).all():
            return NO_BOUND
        scale = np.where(diagonal > 0.0, 1.0 / np.where(sizes > 0.0, sizes, 1.0), 0.0)
        scaled = matrix * scale[:, None] * scale
        root = _root_of_inverse(scaled, sum_rounding(F))
        if root is not None:
            self._run.factor, self._run.rough = root * scale[:, None], False
            inverse_norm = float(np.linalg.norm(root))
        else:
            values, vectors = eigenpairs(scaled)
            rounding = EPS * values.size * values[-1] + sum_rounding(F) * math.sqrt(values.size)
            keep = values > 10.0 * rounding
            vectors *= scale[:, None]
            self._run.factor = vectors[:, keep] / np.sqrt(values[keep] - rounding)
            self._run.rough = False
            if not keep.all() and not self._unseen(vectors[:, ~keep], diagonal, gradient):
                return NO_BOUND
            inverse_norm = math.sqrt(float((1.0 / (values[keep] - rounding)).sum()))

        def unsure(point, value):
            return self._unsure(point, value, sizes, inverse_norm)

        decrement, least = self._decrement(gradient) + unsure(v, value), EPS * abs(value)
        concordance = F.loss.self_concordance
        if concordance == 0.0 or decrement == 0.0:
            return Bound(0.5 * decrement**2 + least, "proof")
        reach = (
            concordance * np.sqrt(F.moments().largest_norm2 / F.l2)
            if F.l2 > 0.0 and not F.fit_intercept
            else np.inf
        )
        if reach * decrement > NEAR_RADIUS:
            reach = concordance * longest_row(F, self._run.factor)
        bound = (
            Bound(decrement_bound(decrement, reach) + least, "proof")
            if reach * decrement < 1.0
            else NO_BOUND
        )
        # Not enough yet, but not far: what is proved about the minimum serves the points to come. A
        # bound from here is never below half the square of the decrement: with 0.6 of it there is
        # little to win, and where 0.02 of it would not do the run goes on instead.
        hopeless = 0.0 < target_gap < OUT_OF_REACH * decrement**2
        settled = bound.value <= max(target_gap, TIGHT_SHARE * decrement**2)
        if hopeless or target_gap == np.inf or settled or not F.term.smooth:
            return bound
        return min(bound, self._proof_from_elsewhere(v, value, gradient, reach, unsure))

    def _proof_from_elsewhere(self, v, value, gradient, reach, unsure):
        """Bound at `v` by way of the point p that a Newton step leads to; two passes.

        On the way s = p - v each row's curvature falls by a factor of at most exp(-c), c = M max_i
        |x_i . s|: norms in the inverse curvature at p are at most exp(c / 2) times those at v.
        `reach` is M max_i |x_i| in the latter.  `unsure` tells what rounding took from a decrement;
        what F at p is wrong by is added, F at `v` being that which was computed.

        More steps, and matrices for points beyond, proved nothing in 195 fits that this one had
        not, for 0.5 % more passes.
        """
        F, point = self.objective, v - self._solve(gradient)
        lower, gradient = F.smooth_and_gradient(point)
        moved = max(F.over_parts(_largest_move, *F.split(point - v)))
        stretch = np.exp(min(0.5 * F.loss.self_concordance * float(moved), 50.0))
        decrement = self._decrement(gradient) + unsure(point, lower)
        if not stretch**2 * reach * decrement < 1.0:
            return NO_BOUND
        rest = decrement_bound(stretch * decrement, stretch * reach)
        rounded = sum_rounding(F) * abs(value) + value_rounding(F, point, lower, 0.0, gradient)
        return Bound(value - lower + rest + rounded, "proof")

    def _unseen(self, directions, diagonal, gradient):
        """Whether F changes along none of these columns, which have no curvature beyond rounding.

        So it is where there are as many of them as columns of zeros and columns that others make
        up.
        """
        F = self.objective
        blind = diagonal[: F.n_features] <= 0.0
        if not F.term.smooth:  # along columns that others make up a penalty has kinks
            still = not gradient[: F.n_features][blind].any()
            return still and directions.shape[1] == int(blind.sum())
        if self._penalised(directions) or F.moments().largest[blind].any():
            return False
        counted = np.broadcast_to(F.samples.weights, (F.n_samples,)) > 0.0
        others = redundant_columns(F, LinearMap(F), counted).columns.size
        return directions.shape[1] == int(blind.sum()) + others

    def _penalised(self, directions):
        """Whether the quadratic part of the penalty is more than rounding along some of these
        columns.
        """
        d, term = self.objective.n_features, self.objective.term
        zeros = np.zeros(d)
        product, sizes = term.curvature_at(zeros), np.sqrt(term.curvature(zeros) + zeros)
        for one in np.ascontiguousarray(directions[:d].T):
            # By Cauchy and Schwarz no product of entries is larger.
            largest = EPS * d * sizes * float(sizes @ np.abs(one))
            if np.any(np.abs(product(one)) > largest):
                return True
        return False

    def _proof_by_others(self, v, value, target_gap):
        """Bound without the rows whose losses are next to nothing: F is nowhere below what the
        others are at least.

        Along columns that only such rows have F may fall for ever, and the decrement bound never
        holds.
        """
        F, weights = self.objective, np.zeros(self.objective.n_samples)
        coef, intercept = F.split(v)
        linear_map = LinearMap(F)
        _, derivatives, _ = linear_map.derivatives(linear_map.matvec(coef, often=False), intercept)
        order = np.argsort(np.abs(derivatives))
        matter = order[np.cumsum(np.abs(derivatives)[order]) > SETTLED * target_gap]
        if not 0 < matter.size < F.n_active:
            return NO_BOUND
        weights[matter] = np.broadcast_to(F.samples.weights, weights.shape)[matter]
        share = float(weights.sum()) / F.n_active
        part = reweighted(F, weights, 0.0)
        # Without a null model the curvature of counts of 1e6 would be taken for 1.
        part.null_intercept, part.null_value = F.null_intercept, F.null_value
        lower, gradient = part.smooth_and_gradient(v)
        bound = NewtonProof(part)._curvature_proof(v, lower, gradient, target_gap / share)
        rounded = sum_rounding(F) * abs(value)
        rounded += share * value_rounding(part, v, lower, 0.0, gradient)
        return Bound(value - share * (lower - bound.value) + rounded, bound.kind)

    def _diagonal_estimate(self, gradient):
        """Half the squared decrement if the columns were uncorrelated: a hint, no bound."""
        F = self.objective
        coef_gradient = gradient[: F.n_features]
        diagonal = curvature_unit(F) * column_variances(F) + F.l2
        return 0.5 * float(coef_gradient @ (coef_gradient / diagonal))

    def _decrement(self, gradient):
        return np.sqrt(max(float(gradient @ self._solve(gradient)), 0.0))

    def _solve(self, gradient):
        assert self._run.factor is not None
        return self._run.factor @ (self._run.factor.T @ gradient)


def _root_of_inverse(matrix, of_sums):
    """T with T T' no less than the inverse of a matrix with ones on its diagonal, whose sums are
    wrong by `of_sums`; None where the matrix is so nearly singular that eigenvectors tell more.

    On 16,859 rows of 1,136 columns, two values in a row, four proofs by eigenvectors took 31,800
    passes' worth of the 33,400 of a fit.
    """
    size = len(matrix)
    lower, failed = lapack.dpotrf(matrix, lower=1)
    if failed or not np.diag(lower).min() > 0.0:
        return None
    inverse = lapack.dtrtri(lower, lower=1)[0]
    doubt = (EPS * size**2 + of_sums * math.sqrt(size)) * float((inverse**2).sum())
    return inverse.T / math.sqrt(1.0 - doubt) if doubt <= MAX_DOUBT else None


def _largest_move(part, coef, intercept):
    """The greatest |x_i . coef + intercept| over the rows of a part that have a weight."""
    moves = LinearMap(part).matvec(coef, often=False) + intercept
    return np.abs(moves[part.samples.active()]).max(initial=0.0)
