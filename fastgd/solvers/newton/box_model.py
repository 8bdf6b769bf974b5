"""The minimum of a quadratic with a kink and two bounds for each coordinate.

    g'e + e' H e / 2 + sum_j l1_j |w_j + e_j|,    low_j <= w_j + e_j <= high_j

Coordinate descent finds out in a few epochs which coordinates are at a kink or a bound; then a
linear system has the others, which would take it thousands of epochs where columns are alike.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from fastgd.solvers.newton import kernels

# Epochs of coordinate descent between two linear systems, and the most systems.
EPOCHS = 8
ROUNDS = 30


class Box(NamedTuple):
    """Strengths of the kinks at 0, and the bounds, one for each coordinate."""

    l1: np.ndarray
    low: np.ndarray
    high: np.ndarray


def minimise(matrix, gradient, point, box, tolerance):
    """Move `point`, and the quadratic's `gradient` with it, in place, to the minimum; whether no
    coordinate's step gains more than half the square of `tolerance` any more.

    Examples
    --------
    >>> free = Box(np.zeros(2), np.zeros(2), np.full(2, np.inf))
    >>> point = np.zeros(2)
    >>> minimise(np.eye(2), np.array([1.0, -3.0]), point, free, 1e-9), point
    (True, array([0., 3.]))
    """
    l1, low, high = box
    for _ in range(ROUNDS):
        if kernels.box_descent(matrix, gradient, point, l1, low, high, tolerance, EPOCHS) <= EPOCHS:
            return True
        settle(matrix, gradient, point, box)
    return False


def settle(matrix, gradient, point, box):
    """Move the coordinates that are at no kink and no bound to their minimum for the others.

    Those that would cross one end there; if that makes the quadratic larger, the step ends where
    the first of them meets it.  Where the system is singular nothing moves.
    """
    inside = (point > box.low) & (point < box.high) & ((point != 0.0) | (box.l1 == 0.0))
    moving = np.flatnonzero(inside & (np.diag(matrix) > 0.0))
    if not moving.size:
        return
    old, sign = point[moving], np.sign(point[moving]) * (box.l1[moving] > 0.0)
    part = matrix[np.ix_(moving, moving)]
    with_l1 = gradient[moving] + box.l1[moving] * sign
    scale = np.sqrt(np.diag(part))
    try:
        factor = scipy.linalg.cho_factor(
            part / scale / scale[:, None], lower=True, overwrite_a=True, check_finite=False
        )
    except np.linalg.LinAlgError:
        return
    step = scipy.linalg.cho_solve(factor, -with_l1 / scale, check_finite=False) / scale
    # The piece of the line that each coordinate may move on.
    low = np.where(sign > 0.0, np.maximum(box.low[moving], 0.0), box.low[moving])
    high = np.where(sign < 0.0, np.minimum(box.high[moving], 0.0), box.high[moving])
    for new in (np.clip(old + step, low, high), _to_the_first(old, step, low, high)):
        everywhere = np.zeros(point.size)
        everywhere[moving] = new - old
        change = matrix @ everywhere
        if float((new - old) @ (with_l1 + 0.5 * change[moving])) <= 0.0:
            point[moving] = new
            gradient += change
            return


def _to_the_first(old, step, low, high):
    """Along the step until the first coordinate meets an end."""
    ends = np.where(step > 0.0, high, low)
    crossing = np.flatnonzero(np.where(step > 0.0, old + step > high, old + step < low))
    shares = (ends[crossing] - old[crossing]) / step[crossing]
    share = float(shares.min(initial=1.0))
    new = np.clip(old + share * step, low, high)
    first = crossing[shares <= share]
    new[first] = ends[first]
    return new
