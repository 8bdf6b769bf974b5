"""Epochs of dual coordinate ascent: each row in turn gets its best dual variable while all others
stay.

With u_i in minus the subdifferential of row i's loss, v = sum_i s_i u_i x_i / (l2 n) and w =
soft(v, l1 / l2), the dual

    D(u) = sum_i s_i t_i / n - l2 |w|^2 / 2,    t_i = -loss*(-u_i) - u_i offset_i

is at most F(w).  Beside each t_i stands its size, the sum of what it is made of in magnitude: t_i
is wrong by a few roundings of that, not of itself.  With q = s_i |x_i|^2 / (l2 n), a step on row i
moves its prediction from z to z + q (u_new - u_old), so that the best u_new = -loss'(z_new) belongs
to the proximal point of q * loss at z - q u_old (Shalev-Shwartz and Zhang, 2013, section 5, and
2016). It is found from values and derivatives of the loss alone, and t_i as well, because
loss*(loss'(z)) = z loss'(z) - loss(z).
"""

from typing import NamedTuple

import numpy as np

from fastgd.objective.kernels import kahan_add
from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import prefetch
from fastgd.solvers.stochastic.kernels import AHEAD

# Tangents that lie this many times farther out than the place between them are taken anew beside
# it.
MAX_DISTANCE_OF_TANGENT = 64.0
# A step ends where it misses this share of its length: of what the dual can gain, the square of it
# is left.
SHARE = 0.05
MAX_STEPS = 150
ROUNDING = 1e-14
# A bracket wider than this is halved by exponents, and none is wider than to MAX_BRACKET; closed
# where its ends differ by so many units in the last place, of no less than MIN_MAGNITUDE.
WIDE = 64.0
MAX_BRACKET = 1e300
CLOSED_WIDTH = 8.0 * 2.0**-52
MIN_MAGNITUDE = 1e-200


@kernel
def middle(low, high):
    """A place between two others: their middle, and where they are far apart that of their
    exponents, 0 between signs.

    So a bracket 1e20 wide, as of a row that is long beside the penalty, is down to a root at 1
    after ten such steps.
    """
    if high - low <= WIDE:
        return 0.5 * (low + high)
    if low < 0.0 < high:
        return 0.0
    sign = -1.0 if high <= 0.0 else 1.0
    near, far = min(abs(low), abs(high)), max(abs(low), abs(high))
    return sign * (
        0.5 * near + 0.5 * far if far <= 4.0 * near else np.sqrt(max(near, 1.0)) * np.sqrt(far)
    )


@kernel
def smooth_step(loss, prediction, target, dual, rate):
    """(-loss'(z), z, loss(z), size), z about the root of z + rate loss'(z) = prediction - rate
    dual, by Newton steps.

    The excess of the left side grows by at least 1, so that the root lies between the prediction
    and the prediction less its excess. Where a Newton step leaves what is known of that bracket, or
    gains too little, the bracket is halved; where it ends beside an end of it, the next look is at
    the other side of the root, so that kinks of the derivative close it as well. Then, and where
    derivatives of numbers next to each other are all too far from it, the answer lies
    `between_tangents` at both ends. Exact after as many steps as there are pieces for a piecewise
    quadratic loss.  The size is |loss| + |u| (|z| + |target|): losses of a residual or a margin
    round what they are told by so much.  NaN where there is no finite step: no step is better than
    one that is not known to raise the dual.
    """
    z, derivative, curvature = (
        prediction,
        loss.derivative(prediction, target),
        loss.curvature(prediction, target),
    )
    excess = rate * (dual + derivative)
    low, high = max(min(z, z - excess), -MAX_BRACKET), min(max(z, z - excess), MAX_BRACKET)
    slow = False
    for _ in range(MAX_STEPS):
        rounding = ROUNDING * (abs(z) + abs(prediction) + rate * (abs(dual) + abs(derivative)))
        if (
            abs(excess) <= max(SHARE * abs(rate * (dual + derivative)), rounding)
            and abs(excess) < MAX_BRACKET
        ):
            value = loss.value(z, target)
            return -derivative, z, value, abs(value) + abs(derivative) * (abs(z) + abs(target))
        z -= excess / (1.0 + rate * curvature)
        if slow or not low < z < high:
            if high - low <= 2.0 * CLOSED_WIDTH * max(abs(low), abs(high)):
                return between_tangents(loss, prediction, target, dual, rate, low, high)
            least, most = (
                low + CLOSED_WIDTH * max(abs(low), MIN_MAGNITUDE),
                high - CLOSED_WIDTH * max(abs(high), MIN_MAGNITUDE),
            )
            if not slow and most <= z <= high:
                z = most
            elif not slow and low <= z <= least:
                z = least
            else:
                z = middle(low, high)
        # Side by side they share their exp.
        derivative, curvature = loss.derivative(z, target), loss.curvature(z, target)
        before, excess = abs(excess), (z - prediction) + rate * (dual + derivative)
        if excess > 0.0:
            high = z
        else:
            low = z
        slow = not abs(excess) <= 0.25 * before
    return np.nan, z, excess, excess


@kernel
def between_tangents(loss, prediction, target, dual, rate, low, high):
    """`smooth_step` where the root is known as nearly as numbers tell: u = dual + (z - prediction)
    / rate.

    That has digits which -loss'(z) has not. Minus loss* is at least what lies between its values at
    both ends.
    """
    z = 0.5 * (low + high)
    derivative_a, derivative_b = loss.derivative(low, target), loss.derivative(high, target)
    value_a, value_b = loss.value(low, target), loss.value(high, target)
    derivative = min(max((prediction - z) / rate - dual, derivative_a), derivative_b)
    value, size = of_tangents(
        target, z, derivative, low, derivative_a, value_a, high, derivative_b, value_b
    )
    return -derivative, z, value, size


@kernel
def of_tangents(target, z, derivative, a, derivative_a, value_a, b, derivative_b, value_b):
    """(Value, size) at `z` of the line with this `derivative`, between those of two tangents, that
    is below a loss.

    Minus loss* is at least what lies between the two tangents' values at 0, at the same share as
    the derivative.
    """
    if derivative_a == derivative_b:
        return value_a + derivative_a * (z - a), abs(value_a) + abs(derivative_a) * (
            abs(a) + abs(z) + abs(target)
        )
    share = (derivative - derivative_a) / (derivative_b - derivative_a)
    at_a, at_b = value_a + derivative_a * (z - a), value_b + derivative_b * (z - b)
    value, size = 0.0, abs(at_b - at_a)  # the share is wrong by a few units of itself
    if share < 1.0:
        value += (1.0 - share) * at_a
        size += (1.0 - share) * (abs(value_a) + abs(derivative_a) * (abs(a) + abs(z) + abs(target)))
    if share > 0.0:
        value += share * at_b
        size += share * (abs(value_b) + abs(derivative_b) * (abs(b) + abs(z) + abs(target)))
    return value, size if size < np.inf else np.inf


@kernel
def nonsmooth_step(loss, prediction, target, dual, rate):
    """`smooth_step` for a non-smooth loss, by tangents at `a` and `b`, on either side of the
    root.

    The larger of the two tangents has its proximal point on one of them or where they cross, in
    closed form; while the loss is larger there, its tangent there replaces one of them. Exact for
    piecewise linear losses, and since tangents are never above the loss, the value returned makes a
    proved bound for every convex one.

    What rounds: a tangent's value at z, value_a + derivative_a (z - a), by its parts, whose
    magnitudes make the size. A row that is long beside the penalty has its first b 1e10 away, where
    that would be 1e-6: then the tangents are taken anew at both sides of z, as near as the first
    ones can tell where it is. Where the loss is curved as well, so wide a bracket is halved by
    exponents.  NaN where there is no finite step.
    """
    derivative_a, value_a = loss.derivative(prediction, target), loss.value(prediction, target)
    a, b = prediction, prediction - rate * (dual + derivative_a)
    derivative_b, value_b = loss.derivative(b, target), loss.value(b, target)
    z, derivative, nearer, slow, found = b, derivative_b, False, False, False
    for _ in range(MAX_STEPS):
        if derivative_a == derivative_b:
            break
        root_a, root_b = (
            prediction - rate * (dual + derivative_a),
            prediction - rate * (dual + derivative_b),
        )
        crossing = a + ((value_b - value_a) - derivative_b * (b - a)) / (
            derivative_a - derivative_b
        )
        z = min(max(crossing, min(root_a, root_b)), max(root_a, root_b))
        derivative = (prediction - z) / rate - dual
        if z == root_a:
            derivative = derivative_a
        elif z == root_b:
            derivative = derivative_b
        derivative = min(
            max(derivative, min(derivative_a, derivative_b)), max(derivative_a, derivative_b)
        )
        value = max(value_a + derivative_a * (z - a), value_b + derivative_b * (z - b))
        loss_z, derivative_z = loss.value(z, target), loss.derivative(z, target)
        far = abs(value_a) + abs(value_b) + abs(derivative * (b - a))
        if loss_z - value <= ROUNDING * far:
            margin = max(ROUNDING * far / abs(derivative_a - derivative_b), CLOSED_WIDTH * abs(z))
            if (
                nearer
                or far <= MAX_DISTANCE_OF_TANGENT * (loss_z + abs(derivative * z))
                or margin >= 0.25 * abs(b - a)
            ):
                found = True
                break
            nearer = True
            side = margin if b > a else -margin
            near_a, near_b = z - side, z + side
            derivative_near, value_near = (
                loss.derivative(near_a, target),
                loss.value(near_a, target),
            )
            if ((near_a - prediction) + rate * (dual + derivative_near) < 0.0) == (b > a):
                a, derivative_a, value_a = near_a, derivative_near, value_near
            derivative_near, value_near = (
                loss.derivative(near_b, target),
                loss.value(near_b, target),
            )
            if ((near_b - prediction) + rate * (dual + derivative_near) > 0.0) == (b > a):
                b, derivative_b, value_b = near_b, derivative_near, value_near
            continue
        width = abs(b - a)
        if width <= 2.0 * CLOSED_WIDTH * max(abs(a), abs(b)):
            z = 0.5 * (a + b)
            derivative, found = (prediction - z) / rate - dual, True
            break
        if slow and width > WIDE:
            z = middle(min(a, b), max(a, b))
            loss_z, derivative_z = loss.value(z, target), loss.derivative(z, target)
        if ((z - prediction) + rate * (dual + derivative_z) > 0.0) == (b > a):
            b, derivative_b, value_b = z, derivative_z, loss_z
        else:
            a, derivative_a, value_a = z, derivative_z, loss_z
        slow = not abs(b - a) <= 0.25 * width
    if derivative_a == derivative_b:
        if abs(a) < abs(b):
            b, value_b = a, value_a
        return -derivative_b, b, value_b, abs(value_b) + abs(derivative_b) * (abs(b) + abs(target))
    if not found:
        return np.nan, z, value_a, value_b
    derivative = min(
        max(derivative, min(derivative_a, derivative_b)), max(derivative_a, derivative_b)
    )
    value, size = of_tangents(
        target, z, derivative, a, derivative_a, value_a, b, derivative_b, value_b
    )
    return -derivative, z, value, size


@kernel
def _shrunk_dot(rows, i, coef, threshold):
    """Row `i` times the soft-thresholded `coef`."""
    total = 0.0
    start, stop = rows.span(i)
    for k in range(start, stop):
        value = coef[rows.column(k)]
        total += rows.entry(i, k) * (max(value - threshold, 0.0) + min(value + threshold, 0.0))
    return total


class DualOptions(NamedTuple):
    """Numbers of the penalty; kernels are compiled for these types.

    Attributes
    ----------
    factor : float
        1 / (l2 n).
    threshold : float
        l1 / l2.
    intercept_factor : float
        What a dual variable adds to the intercept, over its row's weight.
    """

    factor: float
    threshold: float
    intercept_factor: float


@kernel
def dual_epoch(
    rows, samples, loss, nonsmooth, order, norms, point, duals, terms, sizes, moves, options
):
    """One visit to each row of `order`; returns the sum of the `moves` made, (s_i |u_new - u_old|
    |x_i|)^2.

    `nonsmooth` is None for a smooth loss, else True: so Numba compiles one of the two steps only.
    `point`, (d + 1,), holds v and the intercept, `duals` u, `terms` t, `sizes` those of t and
    `norms` |x_i|^2.
    """
    factor, intercept_factor = options.factor, options.intercept_factor
    threshold = options.threshold
    coef, d, n = point[:-1], point.size - 1, order.size
    intercept, total = point[d], 0.0
    for m in range(n):
        i = order[m]
        ahead = order[min(m + AHEAD, n - 1)]
        rows.prefetch(ahead)
        for numbers in (duals, terms, sizes, moves, norms):
            prefetch(numbers, ahead)
        target, offset, weight, dual = (
            samples.target(i),
            samples.offset(i),
            samples.weight(i),
            duals[i],
        )
        prediction = (
            _shrunk_dot(rows, i, coef, threshold) if threshold > 0.0 else rows.dot(i, coef)
        ) + intercept
        rate = weight * (factor * norms[i] + intercept_factor)
        if nonsmooth is None:
            new, z, value, size = smooth_step(loss, prediction + offset, target, dual, rate)
        else:
            new, z, value, size = nonsmooth_step(loss, prediction + offset, target, dual, rate)
        if not abs(new * z) < np.inf:
            continue
        duals[i] = new
        terms[i] = value + new * (z - offset)
        sizes[i] = size + abs(new * offset)
        amount = weight * (new - dual)
        moves[i] = amount * amount * norms[i]
        total += moves[i]
        if amount != 0.0:
            rows.add(i, factor * amount, coef)
            intercept += intercept_factor * amount
    point[d] = intercept
    return total


@kernel
def duals_at(rows, samples, loss, point, duals, terms, sizes):
    """Dual variables u_i = -loss' at `point`, (d + 1,), their terms t_i and the sizes of these."""
    for i in range(duals.size):
        prediction, target = rows.dot(i, point[:-1]) + point[-1], samples.target(i)
        derivative = loss.derivative(prediction + samples.offset(i), target)
        duals[i] = -derivative
        value = loss.value(prediction + samples.offset(i), target)
        terms[i] = value - derivative * prediction
        sizes[i] = abs(value) + abs(derivative) * (
            abs(prediction) + abs(samples.offset(i)) + abs(target)
        )


@kernel
def sum_of_gaps(rows, samples, loss, chosen, point, duals, terms):
    """Sum of s_i (loss(z_i + offset_i) - t_i + u_i z_i) over the `chosen` rows, at w and the
    intercept in `point`, (d + 1,): no term is negative.
    """
    coef, intercept, total, compensation = point[:-1], point[point.size - 1], 0.0, 0.0
    for m in range(chosen.size):
        i = chosen[m]
        rows.prefetch(chosen[min(m + AHEAD, chosen.size - 1)])
        z = rows.dot(i, coef) + intercept
        value = loss.value(z + samples.offset(i), samples.target(i))
        gap = samples.weight(i) * (value - terms[i] + duals[i] * z)
        total, compensation = kahan_add(total, compensation, gap)
    return total


@kernel
def squared_norms(rows, cuts, first, last, norms):
    """|x_i|^2 of each row, into `norms`."""
    for i in range(cuts[first], cuts[last]):
        norms[i] = rows.squared_norm(i)
