"""The Newton decrement as a bound: how far F can be above its minimum where the loss is
self-concordant.

For losses with |loss'''| <= M loss'' (Bach, 2010), lambda^2 = g' H^-1 g and r = M max_i |(x_i,
1)|_{H^-1}: if r lambda < 1 then F - F* <= [(1 - r lambda) ln(1 - r lambda) + r lambda] / r^2.

Both g and H are sums over rows, rounded.  With D_j^2 = H_jj, u = `sum_rounding` and c the greatest
curvature, by Cauchy and Schwarz:

- H is wrong by u D_i D_j, and H = D L L' D: squared norms in its inverse may be 1 / (1 - u
  |L^-1|^2) times as large.
- g is wrong by u sqrt(2 c F) |x_j| as a sum, x_j being column j's root mean square: |(D L)^-1|
  times that in lambda.
- Predictions are wrong by u' (sum_j |x_j v_j| + |offset|), u' without the number of rows; as the
  derivatives that this brings are those of rows, lambda changes by no more than that: H^-1/2 X' is
  as small as H is large.
"""

import numpy as np

from fastgd.certificates.rounding import (
    column_sizes,
    derivative_rounding,
    gradient_rounding,
    prediction_size,
    sum_rounding,
)
from fastgd.data.tile_sizes import ROWS
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.conjugate_gradients import ConjugateGradients
from fastgd.linalg.precision import EPS
from fastgd.objective import kernels
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.distances import curvature_unit
from fastgd.objective.gram import ALL, largest_norm
from fastgd.objective.matrix_sizes import WIDEST_PROOF
from fastgd.objective.moments import column_variances
from fastgd.objective.refined_factor import factor_of
from fastgd.runtime.threads import map_ranges

# A proof by products: the share of lambda^2 that may be slack, which makes the bound larger by a
# tenth at most, and the most products it may take.
SLACK = 0.1
MAX_PRODUCTS = 200
# An estimate by products: the share of the first residual's square that may be left, and the most
# products.  Along what copies of a column differ by, a residual of 1e-5 was worth 2 % of F, and one
# of 1e-9 8 % (Huber, 1,531 rows of 422 columns, SAGA: the estimate said 0.4 %).  A matrix leaves
# nothing: it is made where a proof may make one and takes no longer than these products, 14 passes
# for those 422 columns.  Else products go on as far as they may where so many operations do (20
# ms).
SOLVED = 1e-4
WELL_SOLVED = 1e-10
FEW_PRODUCTS = 60
FEW_OPERATIONS = 2e7


def decrement_bound(decrement, reach):
    """[(1 - x) ln(1 - x) + x] / reach^2 with x = reach * decrement < 1; decrement^2 / 2 as x goes
    to 0.

    Examples
    --------
    >>> round(decrement_bound(0.1, 1e-9), 6), round(decrement_bound(0.1, 5.0), 6)
    (0.005, 0.006137)
    """
    x = reach * decrement
    if x < 1e-4:
        return 0.5 * decrement**2 * (1.0 + x / 3.0 + x * x)
    return float(((1.0 - x) * np.log1p(-x) + x) / reach**2)


def stretched_bound(decrement, reach, moved):
    """`decrement_bound` with norms of a matrix that is exact at a distance of `moved`; inf where
    it does not hold.
    """
    stretch = np.exp(min(0.5 * reach * moved, 50.0))
    if not stretch**2 * reach * decrement < 1.0:
        return np.inf
    return decrement_bound(stretch * decrement, stretch * reach)


def longest_row(F, root):
    """Greatest |(x_i, 1)| in the norm of the inverse curvature, `root` times its transpose.  One
    pass.
    """
    root = np.ascontiguousarray(root)
    lengths = np.sqrt(np.square(root).sum(axis=1))
    corner = float(lengths[-1]) if F.fit_intercept else 0.0
    norm = max(F.over_parts(_longest_of_part, root))
    # The terms of a row's norm cancel where columns are far from 0: their rounding counts, that of
    # a row of the greatest |x| of all columns.
    terms = float(F.largest() @ lengths[: F.n_features]) + corner
    return float(np.sqrt(norm + 4.0 * EPS * terms**2))


def _longest_of_part(part, root):
    """Greatest |(x_i, 1) root|^2 over the rows of a part that have a weight."""
    part.meter.count()
    by = _longest_by_nonzeros if part.rows.sparse else _longest_by_blas
    return by(part, root)


def _longest_by_blas(F, root):
    """Greatest |(x_i, 1) root|^2 over the rows with weight, by BLAS."""
    largest = np.zeros(F.cuts.size - 1)

    def work(first, last):
        for b in range(first, last):
            largest[b] = largest_norm(
                F.rows, F.samples.weights, root, int(F.cuts[b]), int(F.cuts[b + 1])
            )

    map_ranges(work, F.cuts.size - 1, F.n_threads)
    return largest.max()


def _longest_by_nonzeros(F, root):
    """The same by the loop over nonzeros that has formed the curvature."""
    norms, weights = np.zeros(F.n_samples), F.samples.weights + np.zeros(F.n_samples)
    matrix, size = np.zeros((1, F.n_features + 1, F.n_features + 1)), len(root)
    matrix[0, :size, :size] = root @ root.T
    data = F.rows, ALL, weights, np.stack([F.cuts[:-1], F.cuts[1:]], axis=1), np.arange(F.cuts.size)
    map_ranges(
        lambda first, last: kernels.gram(*data, first, last, matrix, norms),
        F.cuts.size - 1,
        F.n_threads,
    )
    return norms.max()


def product_bound(F, v, value, gradient, target_gap):
    """Bound from products with the curvature: both r and lambda from above, the latter by conjugate
    gradients.

    With H >= l2, any p and e = g - H p:  lambda^2 <= 2 g.p - p.H p + |e|^2 / l2.  An intercept is
    eliminated first, H_b = H e_b being one product: the Schur complement S of H_bb is >= l2 as
    well, and r^2 <= M^2 (1 / H_bb + max_i |x_i - h / H_bb|^2 / l2).
    """
    # Arrays as long as there are columns (10 MB each of 1.28 million) are made when they are
    # needed, and a piece at a time where that does.
    d, longest = F.n_features, np.sqrt(F.moments().largest_norm2)
    known, corner, derivative, centers = 0.0, 0.0, 0.0, None
    curvature = curvature_unit(F)
    # Rounding of the gradient and, through predictions that are wrong by a few units, of the
    # derivatives in it.
    sizes = column_sizes(F)
    unsure = gradient_rounding(F, value, float(sizes @ np.abs(v)))
    unsure *= float(np.linalg.norm(sizes))
    del sizes
    if F.fit_intercept:
        centers = F.hessian_product(v, np.eye(1, F.size, d)[0])
        corner = curvature = float(centers[d])
        if not corner > 0.0:
            return np.inf
        centers /= corner
        derivative = float(gradient[d])
        known = derivative**2 / corner
        longest += float(np.linalg.norm(centers[:d]))
    squared_reach = longest**2 / F.l2 + (1.0 / corner if corner > 0.0 else 0.0)
    reach = F.loss.self_concordance * np.sqrt(squared_reach)

    def target(own):
        return gradient[own] - (centers[own] * derivative if centers is not None else 0.0)

    def product(p):
        curved = F.hessian_product(v, p)
        if centers is not None:
            curved -= centers * curved[d]
        return curved

    best, likely_inverse = np.inf, _likely_inverse(F, curvature)
    right = target(slice(F.size))
    system = ConjugateGradients(product, right, likely_inverse, overwrite_right=True)
    del right
    for _ in range(MAX_PRODUCTS):
        proved = known + sum(
            float(system.step[own] @ (target(own) + system.residual[own]))
            for own in _pieces(F.size)
        )
        slack = float(system.residual @ system.residual) / F.l2
        decrement = np.sqrt(proved + slack) + unsure / np.sqrt(F.l2)
        if reach * decrement < 1.0:
            best = min(best, decrement_bound(decrement, reach) + EPS * abs(value))
        hopeless = reach**2 * proved >= 1.0 or (target_gap > 0.0 and 0.5 * proved > target_gap)
        if best <= target_gap or hopeless or slack <= SLACK * proved or system.height <= 0.0:
            break
        if not system.advance():
            break
    return best


def _likely_inverse(F, curvature):
    """Function r -> r over a likely diagonal of a curvature of this size, 0 for an intercept."""

    def divided(rest):
        found = np.zeros(rest.size)
        for own in _pieces(F.n_features):
            found[own] = 1.0 / (curvature * column_variances(F, own) + F.l2) * rest[own]
        return found

    return divided


def _pieces(size):
    """Slices of a long array that a cache holds."""
    return (slice(first, min(first + ROWS, size)) for first in range(0, size, ROWS))


@np.errstate(all="ignore")  # next to no curvature makes steps that overflow
def likely_gain(F, v, gradient):
    """Half the squared Newton decrement at `v`, by a matrix or conjugate gradients, or inf where
    they do not arrive: no bound.

    For a smooth part with a curvature that may jump, where no bound on F - F* is known.  A
    direction without curvature along which F falls leads to inf: nothing tells how far it falls.
    With an L1 part that is among the coefficients that move: those that are not 0, and those that
    the gradient takes away from it.  An intercept is eliminated first, as in `product_bound`: two
    constant columns of 3e10 had outweighed all others in the residual.
    """
    value, work = F.value(v), F.row_length * F.n_samples
    if not F.vector and F.size <= WIDEST_PROOF and _matrix_passes(F) <= FEW_PRODUCTS:
        return _gain_by_matrix(F, v, value, F.subgradient(v, gradient))
    unsure = derivative_rounding(F, value)
    eliminated = _without_intercept(F, v, gradient, unsure)
    if eliminated is None:
        return np.inf
    gradient, centers, known = eliminated
    gradient = F.subgradient(v, gradient)
    shrink, sizes = _inverse_diagonal(F)
    if not F.term.smooth:
        shrink[(v == 0.0) & (gradient == 0.0)] = 0.0
    if centers is not None:
        shrink[-1] = 0.0

    def product(p):
        curved = F.hessian_product(v, p)
        return curved if centers is None else curved - centers * curved[-1]

    system = ConjugateGradients(product, gradient, lambda rest: shrink * rest)
    noise, gain = unsure**2 * float(shrink @ sizes), np.inf
    enough, most = max(SOLVED * system.height, noise), WELL_SOLVED * system.height
    if FEW_PRODUCTS * work > FEW_OPERATIONS:
        most = enough
    for _ in range(FEW_PRODUCTS):
        if system.height <= enough:
            gain = 0.5 * float(system.step @ (gradient + system.residual)) + 0.5 * system.height
        if system.height <= max(most, noise) or not system.advance():
            break
    return known + gain if np.isfinite(gain) else np.inf


def _matrix_passes(F):
    """What a curvature matrix and a system with it take, in passes' worth of time."""
    return curvature_cost(F) + solving_cost(F, F.size)


def _gain_by_matrix(F, v, value, gradient):
    """`likely_gain` with few columns, for three passes or four; inf where F falls, beyond
    rounding, along what has no curvature.

    What the matrix does not resolve the rows do: gradient descent on 20 rows of 30 columns around
    1e6 had told 4e-13 of a Huber loss, and 2e-6 was left.
    """
    curvatures = None  # of each row: those of blocks are not kept
    if F.rows.in_memory:
        curvatures = np.zeros(F.n_samples)
        F.loss_and_gradient(v, curvatures)
        matrix = F.gram(curvatures)
    else:
        matrix = F.curvature_matrix(v)
    noise = 4.0 * gradient_rounding(F, value, prediction_size(F, v)) * column_sizes(F)
    if not np.isfinite(matrix).all():
        return np.inf
    if not F.term.smooth:
        moving = np.flatnonzero((v != 0.0) | (gradient != 0.0))
        matrix = matrix[np.ix_(moving, moving)]
        gradient = gradient[moving]
        noise = noise[moving]
        factor = Factor(matrix) if moving.size else None
    else:
        factor, _ = factor_of(F, lambda: curvatures, matrix, singular=curvatures is None)
    if factor is None:
        return 0.0
    step, scale = factor.solve(gradient), np.sqrt(np.diag(matrix))
    noise += 8.0 * EPS * scale * float(scale @ np.abs(step))
    if (np.abs(gradient - matrix @ step) > noise).any():
        return np.inf
    return 0.5 * factor.norm_of(gradient) ** 2 + _hidden(F, v, noise)


def _hidden(F, v, noise):
    """What noise of this size in the gradient at `v` may hide of F - F* where no infimum of the
    loss is known, F may fall for ever: a linear loss was told to be converged at -3e154, where
    derivatives were no more than what predictions of 1e154 were rounded by.
    """
    return float(noise @ np.abs(v)) if F.loss.infimum == -np.inf else 0.0


def _without_intercept(F, v, gradient, unsure):
    """(gradient, centers, half the squared decrement) with the intercept eliminated; None where F
    falls along it without curvature.

    Centers are None where there is no intercept of its own to eliminate.
    """
    if F.vector or not F.fit_intercept:
        return gradient, None, 0.0
    column, derivative = F.hessian_product(v, np.append(np.zeros(F.n_features), 1.0)), gradient[-1]
    if not column[-1] > 0.0:
        still = abs(derivative) <= unsure
        return (np.append(gradient[:-1], 0.0), np.zeros(F.size), 0.0) if still else None
    centers = column / column[-1]
    rest = gradient - centers * derivative
    rest[-1] = 0.0
    return rest, centers, 0.5 * float(derivative) ** 2 / float(column[-1])


def _inverse_diagonal(F):
    """One over a likely diagonal of the curvature, and the mean squares of the columns, (size,).

    A column that does not differ from a constant by more than rounding moves nothing that the
    intercept does not.
    """
    squares, variance = F.moments().mean_squares, column_variances(F)
    table = np.ones((F.n_features + F.fit_intercept, F.n_predictions))
    sizes = np.ones_like(table)
    table[: F.n_features] = (curvature_unit(F) * variance + F.l2)[:, None]
    sizes[: F.n_features] = squares[:, None]
    shrink = 1.0 / np.where(table > 0.0, table, 1.0)
    shrink[: F.n_features][variance <= 8.0 * sum_rounding(F) * squares] = 0.0
    return shrink.ravel(), sizes.ravel()
