"""Classes that are separated, and targets at one end of their domain: without a penalty F falls for
ever as coefficients grow.
"""

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.losses.in_python import in_python
from fastgd.objective.null_model import EXTREME_PREDICTION, falls_for_ever

SEPARATED = (
    "the classes are separated and nothing is penalised, so no finite optimum exists: the "
    "coefficients would grow for ever; give alpha above 0"
)
# A margin at which a loss that has its minimum at a finite prediction has reached it.
LARGE_MARGIN = 30.0


def why_endless(objective, value):
    """In words, why F = `value` is on its way to no finite optimum; "" where that is not seen.

    Examples
    --------
    >>> from fastgd import Objective
    >>> F = Objective("poisson", [[1.0], [2.0]], [0.0, 0.0], fit_intercept=False)
    >>> print(why_endless(F, 1e-6)[:24])
    y is 0 in every row that
    """
    if is_separated(objective, value):
        return SEPARATED
    if is_at_one_end(objective, value):
        end = objective.samples.targets[objective.samples.active()[0]]
        return (
            f"y is {end:g} in every row that counts and nothing is penalised, so no finite optimum "
            "exists: the coefficients would grow for ever; give alpha above 0, or add rows with "
            "another target"
        )
    return ""


def is_at_one_end(objective, value):
    """Whether all targets are the end of their domain, and F = `value` shows that the columns take
    each row nearer to it, however far: as an intercept would, which is refused, a constant column
    does, or the levels of a category together.

    By F n / w, as for `is_separated`.
    """
    F = objective
    if _is_held(F):
        return False
    if not falls_for_ever(F.loss, F.samples):
        return False
    counts = F.samples.active()
    end = float(F.samples.targets[counts[0]])
    offsets = np.broadcast_to(F.samples.offsets, F.samples.size())[counts]
    rises = in_python(F.loss.derivative, EXTREME_PREDICTION, end) > 0.0
    nearest = float(offsets.min() if rises else offsets.max())
    least = float(np.broadcast_to(F.samples.weights, F.samples.size())[counts].min())
    return value * F.n_active < least * float(in_python(F.loss.value, nearest, end))


def is_separated(objective, value):
    """Whether F = `value` shows that each row is on its side, and going on would lower F for ever.

    With F n / w below the loss of a row that is on no side, w the least weight, no row has more.
    Where offsets put rows on their sides, that is the loss at the farthest of them: what is beyond
    it is what columns do. Costs no pass.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import Objective
    >>> F = Objective("log_loss", np.array([[-1.0], [1.0]]), [-1.0, 1.0])
    >>> is_separated(F, 1e-3), is_separated(F, 0.6)
    (True, False)
    """
    F = objective
    if _is_held(F):
        return False
    if isinstance(F.loss, VectorLoss):
        known = F.loss.classification and (F.loss.shift_invariant or not F.samples.offsets.any())
        on_no_side = np.log(2.0) if known else 0.0
    elif F.loss.classification and abs(in_python(F.loss.derivative, LARGE_MARGIN, 1.0)) > 0.0:
        farthest = _farthest_offset(F.samples)
        on_no_side = float(in_python(F.loss.value, farthest, 1.0))
    else:
        return False
    weights = F.samples.weights[F.samples.weights > 0.0]
    return value * F.n_active < on_no_side * float(weights.min())


def _is_held(objective):
    """Whether a penalty, or a loss that does not end at 0, keeps this from being told."""
    F = objective
    return not F.elastic or F.l1 > 0.0 or F.l2 > 0.0 or F.loss.infimum != 0.0


def _farthest_offset(samples):
    """The greatest y_i * offset_i of the rows that count: how far offsets put one on its side."""
    if not samples.offsets.any():
        return 0.0
    counts = np.broadcast_to(samples.weights, samples.size()) > 0.0
    return float((samples.targets * samples.offsets)[counts].max())
