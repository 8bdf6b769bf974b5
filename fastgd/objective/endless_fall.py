"""Whether a user's loss falls for ever with the intercept: F then has no minimum, and nothing that
is told of a distance to it is true.
"""

import numpy as np

from fastgd.losses.in_python import in_python
from fastgd.objective.null_model import EXTREME_PREDICTION, loss_of_shift
from fastgd.objective.vector_null_model import Shifts
from fastgd.runtime.fingerprint import is_ours

# So many times farther than targets and offsets reach, what a convex loss does it does for ever.
BEYOND = 4.0


def endless(objective):
    """Whether a convex loss that is not ours falls for ever along an intercept: where the search
    for the null model, which is known, ended far beyond the targets, and the derivative there has
    one sign on either side.

    Of losses that are ours it is known from the targets (`null_model.check_optimum`).  Costs
    nothing where the null model is not far.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("huber", [[0.0], [1.0]], [3.0, 4.0])
    >>> F.know_null_model()
    >>> endless(F)
    False
    """
    F = objective
    if is_ours(type(F.loss)) or not F.fit_intercept or not F.convex or F.loss.online:
        return False
    shifts = np.atleast_1d(np.asarray(F.null_intercept, dtype=float))
    reach = _reach(F)
    far = np.flatnonzero(~(np.abs(shifts) <= reach))
    if not far.size:
        return False
    along = _along_one(F) if not F.vector else _along_each(F, shifts)
    with np.errstate(all="ignore"):
        return any(_falls(along(k), reach, BEYOND * abs(float(shifts[k]))) for k in far)


def _reach(F):
    """How far from 0 a prediction is beyond the targets and offsets of rows that count."""
    largest = max(map(F.samples.largest, (F.samples.targets, F.samples.offsets)))
    return EXTREME_PREDICTION + BEYOND * largest


def _falls(derivative, reach, farther):
    """Whether a derivative that never falls has one sign at both of two distances, and no other one
    where it is farther: 0 there may be an exponential that is too small for floats.
    """
    near = np.sign([in_python(derivative, one) for one in (-reach, reach)])
    far = np.sign([in_python(derivative, one) for one in (-farther, farther)])
    return near[0] * near[1] > 0.0 and not bool((far * near[0] < 0.0).any())


def _along_one(F):
    sums = loss_of_shift(F, F.samples.offsets)
    return lambda k: lambda shift: sums(shift)[1]


def _along_each(F, shifts):
    sums = Shifts(F.loss, F.samples, None, F.n_predictions)

    def along(k):
        def derivative(shift):
            moved = shifts.copy()
            moved[k] = shift
            return float(sums.at(moved, curved=False)[1][k])

        return derivative

    return along
