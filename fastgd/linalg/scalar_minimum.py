"""The minimum of a convex function of one number, of which value, derivative and curvature cost a
pass over n numbers.
"""

import numpy as np

from fastgd.linalg.precision import EPS

# Values of F closer than this share are told apart by their derivatives: sums of 678,000 rows are
# wrong by 2e-13, and with 1e-14 Newton steps went on for 22 evaluations at an optimum.
TIED = 1e-12
# So many ties in a row that do not halve the derivative are rounding.
MAX_TIES = 3
# A Newton step that gains no more than this share of F is rounding: sums of 50,000 rows had
# derivatives of which steps gained 1e-27 to 1e-24, and 4 to 11 evaluations went into telling these
# apart.
NO_GAIN = 1e-24
# A loss that falls to this share of what it may have had is taken to fall for ever.
ENDLESS_FALL = 1e-14
# Newton's steps down an exponential are 1 long, however far it is: after so many in a row that do
# not halve each is twice as long as the one before.
MAX_ALIKE = 8


def lowest(sums, size, infimum, start=0.0, usual=np.inf):
    """Where a convex function of a shift is least, and its value there: Newton inside a bracket of
    the sign change.

    Among values that are equal up to rounding the one with the least derivative is taken: a
    thousand times as exact.

    Parameters
    ----------
    sums : callable
        (value, derivative, curvature) at a shift.
    size : float
        The greatest |number| that the shift is added to.
    infimum : float
        What no value is below, or -inf.
    start : float
        A shift to begin with.
    usual : float
        A value that the one at the start may be far above.

    Examples
    --------
    >>> lowest(lambda shift: ((shift - 2.0) ** 2, 2.0 * (shift - 2.0), 2.0), 0.0, 0.0)
    (2.0, 0.0)
    """
    value, derivative, curvature = sums(start)
    best = (value, abs(derivative), start)
    shift = start
    low = -np.inf
    high = np.inf
    reach = 1.0
    # Where every target is the same class a loss falls for ever.
    known = infimum > -np.inf
    enough = infimum + ENDLESS_FALL * (min(value, usual) - infimum) if known else -np.inf
    ties = alike = 0
    last = 0.0
    # A shift this small changes no prediction (near an optimum 1 evaluation for 56, each of them a
    # pass over n).
    least = EPS * float(size)
    for _ in range(200):
        if derivative == 0.0 or not np.isfinite(best[0]) or best[0] <= enough:
            break
        finite = np.isfinite(value)
        above = derivative > 0.0 if finite else shift > best[2]
        low, high = (low, shift) if above else (shift, high)
        newton = shift - derivative / curvature if finite and curvature > 0.0 else np.nan
        if 0.5 * derivative * (shift - newton) <= NO_GAIN * abs(value):
            break
        if abs(newton - shift) <= least + EPS * abs(shift) or ties == MAX_TIES:
            break
        step = newton - shift
        alike = alike + 1 if step * last > 0.0 and abs(step) >= 0.5 * abs(last) else 0
        last = step
        newton = shift + step * 2.0 ** max(alike - MAX_ALIKE, 0)
        if np.isinf(low) or np.isinf(high):
            trusted = abs(step) < 4.0 * reach
            shift = newton if trusted else shift - (reach if above else -reach)
            reach *= 4.0
        else:
            shift = newton if low < newton < high else 0.5 * (low + high)
        if shift in (low, high) or not abs(shift) < 1e150:
            break
        value, derivative, curvature = sums(shift)
        tied = abs(value - best[0]) <= TIED * abs(best[0])
        ties = ties + 1 if tied and abs(derivative) > 0.5 * best[1] else 0
        if abs(derivative) < best[1] if tied else value < best[0]:
            best = (value, abs(derivative), shift)
    return best[2], best[0]
