"""A lower bound on F from a dual point that a Newton step has corrected: as close to F* as the step
is to the optimum.

The duality gap at the derivatives of a point is |grad F|^2 / (2 l2): where columns are rare and the
penalty is weak it is a thousand times what is left to gain. With the step p = -H^-1 g from w, z = X
w and q = X p, the dual point

    a_i = loss'(z_i) + loss''(z_i) q_i    has    X' a / n + l2 (w + p) = g + H p = 0,

and what remains of the gap at w + p are the rows' own gaps, loss(z + q) + loss*(a) - a (z + q), of
the order q^4:

    F* >= mean(loss(z + q)) - mean(gaps) + l2 |w + p|^2 / 2 - |X' a / n + l2 (w + p)|^2 / (2 l2).

loss* is convex: between the derivatives at z + q and at a point beyond it is below its chord, so
that a gap is no more than a share of a tangent's distance, in values and derivatives of the loss
alone.

What rounds, with u = `sum_rounding`, x_j the root mean square of column j and a that of the dual
point (Cauchy and Schwarz), is taken off:

- the values and gaps, as terms and as sums, by 4 u of them;
- the predictions, by 4 eps (sum_j x_j (|w_j| + |p_j|) + |offset|) times a: for whatever z + q is in
  floats the bound holds but for a times what that is off by;
- X' a, by 2 u a x_j, and l2 (w + p), by eps of it, in the length of the rest;
- an intercept's mean of a, that is not quite 0, by what scaling the heavier sign down costs.
"""

import numpy as np

from fastgd.certificates.rounding import (
    column_sizes,
    derivative_rounding,
    offset_size,
    sum_rounding,
)
from fastgd.linalg.precision import EPS
from fastgd.objective.linear_map import LinearMap

# Shifts of the intercept until the mean of the dual point is 0 but for rounding.
MAX_SHIFTS = 8
# Dual variables up to here have squares.
HUGE = 1e140


def applies(objective):
    """Whether the bound is defined: a convex loss of one prediction that has a curvature, and an
    L2 penalty.
    """
    F = objective
    return (
        not F.vector
        and F.elastic
        and F.l1 == 0.0
        and F.l2 > 0.0
        and F.loss.convex
        and F.loss_smooth
    )


def lower_bound(objective, v, step, workspace=None):
    """A number that F is nowhere below, proved at the Newton `step` from `v`; -inf where an
    intercept does not balance.

    A pass and a half.

    Parameters
    ----------
    objective : Objective
        For which it `applies`.
    v, step : ndarray, (size,)
    workspace : ndarray, (n_samples,), optional
        For predictions; written over.
    """
    F, linear_map = objective, LinearMap(objective)
    (coef, intercept), (move, shift) = F.split(v), F.split(step)
    predictions, moves = linear_map.matvec(coef, workspace), linear_map.matvec(move)
    found = balanced_duals(F, predictions, moves, intercept, shift)
    if found is None:
        return -np.inf
    below, duals, shift, tiny = found
    there = coef + move
    value = below + 0.5 * F.l2 * float(there @ there)
    sizes = column_sizes(F)
    derivative = root_mean_square(F, duals)
    of_sums = max(derivative_rounding(F, value), 2.0 * sum_rounding(F) * derivative)
    wrong = of_sums * float(np.linalg.norm(sizes)) + EPS * F.l2 * float(np.linalg.norm(there))
    # What is left of the mean goes where its heavier sign is scaled down: no sum moves by more.
    wrong += tiny * float(np.sqrt(F.moments().largest_norm2))
    rest = float(np.linalg.norm(linear_map.rmatvec(duals) + F.l2 * there)) + wrong
    largest = F.samples.largest(predictions) + F.samples.largest(moves) + abs(intercept + shift)
    predicted = float(sizes @ (np.abs(v) + np.abs(step)))
    rounded = dual_rounding(F, value, derivative, predicted, largest, tiny)
    return value - rest**2 / (2.0 * F.l2) - rounded


def balanced_duals(objective, predictions, moves, intercept, shift):
    """The mean of loss less gap, the dual point over n, the shift of the intercept that makes its
    sum 0 where there is one, and what may be left of that sum.

    None where it does not balance, or where a step is so long that the loss overflows, an
    exponential one soon: that proves nothing.
    """
    F, linear_map = objective, LinearMap(objective)
    excess = tiny = 0.0
    for _ in range(MAX_SHIFTS):
        duals = np.empty(0)  # gone before there are others
        below, duals, curvature = linear_map.conjugates(predictions, moves, intercept, shift)
        if not F.fit_intercept or not np.isfinite(below):
            break
        excess = abs(float(duals.sum()))
        tiny = 1e-14 * float(np.linalg.norm(duals)) * float(np.sqrt(F.n_samples))
        if excess <= tiny or not curvature > 0.0:
            break
        shift -= float(duals.sum()) / curvature
    if not (excess <= tiny and np.isfinite(below) and np.abs(duals).max(initial=0.0) < HUGE):
        return None
    return below, duals, shift, tiny


def dual_rounding(objective, value, derivative, predicted, largest, tiny):
    """What the values and gaps, which come to `value`, may be wrong by for rounding, and what
    scaling the heavier sign down costs them.

    `derivative` is the root mean square of the dual point, `predicted` what predictions are made
    of, `largest` the greatest of them, `tiny` what is left of the dual point's sum.
    """
    F = objective
    rounded = 4.0 * sum_rounding(F) * abs(value) + 4.0 * EPS * derivative * (
        predicted + offset_size(F)
    )
    scaled = 1.0 + float(largest) + offset_size(F) + F.samples.largest(F.samples.targets)
    return rounded + 4.0 * tiny * scaled


def root_mean_square(F, duals):
    """That of the dual variables by the weights of the rows, which `duals` have as factors."""
    weights = np.broadcast_to(F.samples.weights, duals.shape)
    squares = np.divide(duals**2, weights, out=np.zeros_like(duals), where=weights > 0.0)
    return float(np.sqrt(F.n_active * squares.sum()))
