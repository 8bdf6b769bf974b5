"""What past steps tell of the curvature of F: pairs (s, y) of a step and what it changed in the
gradient.

With B s = y for each of them, from an H that is given or (s'y / y'y) I, the inverse of B follows by

    H <- (I - s y' / s'y) H (I - y s' / s'y) + s s' / s'y

applied by two loops over the pairs, never formed (Nocedal, 1980; Nocedal and Wright, 2006,
algorithm 7.4).
"""

import math

# A pair counts where s'y is more than this share of |s| |y|: with less its H would be all rounding.
MIN_CURVATURE = 1e-10


def is_curved(s, y):
    """Whether F is convex along a step, as far as rounding tells; not where y'y is too small for a
    number.

    Examples
    --------
    >>> import numpy as np
    >>> is_curved(np.array([1.0, 0.0]), np.array([0.5, 3.0])), is_curved(np.ones(2), -np.ones(2))
    (True, False)
    """
    length = float(y @ y)
    return length > 0.0 and float(s @ y) > MIN_CURVATURE * math.sqrt(float(s @ s) * length)


def two_loops(pairs, gradient, solve=None):
    """-H g for the pairs (s, y), the oldest first; `solve` applies the H that they correct, (s'y /
    y'y) I without one.

    Examples
    --------
    >>> import numpy as np
    >>> two_loops([], np.array([2.0, -1.0]))
    array([-2.,  1.])
    """
    direction, shares = -gradient, []
    for s, y in reversed(pairs):
        share = float(s @ direction) / float(s @ y)
        direction = direction - share * y
        shares.append(share)
    if solve is not None:
        direction = solve(direction)
    elif pairs:
        s, y = pairs[-1]
        direction = direction * (float(s @ y) / float(y @ y))
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - float(y @ direction) / float(s @ y)) * s
    return direction
