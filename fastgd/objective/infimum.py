"""Whether a loss stays above the infimum that it declares: proofs that F is near its minimum
rest on it.

Losses of this package are known to; a user's is tried on targets of the fit, where each row's loss
is a function of one prediction, and at each check of a run.
"""

import numpy as np

from fastgd.losses.base import VectorLoss, count_predictions
from fastgd.losses.each_target import of_one_target
from fastgd.losses.in_python import in_python
from fastgd.runtime.fingerprint import is_ours
from fastgd.runtime.in_words import in_words

# Values this far below the infimum, as a share of what the null model has, are rounding, with six
# digits to spare.
ROUNDING = 1e-9
# Targets that are tried, the least and the greatest among them, and steps of a search: 2 ms.
MAX_TARGETS = 32
MAX_VECTORS = 4
DOUBLINGS = 50
HALVINGS = 25
DESCENTS = 15


def counts(loss):
    """Whether the infimum of a loss is one that somebody declares, and has to be believed or
    checked.
    """
    return not is_ours(type(loss)) and loss.infimum > -np.inf


def check_infimum(loss, targets):
    """Raise ValueError where a user's loss falls below its infimum at one of some of these
    targets.
    """
    loss, targets = of_one_target(loss, targets)
    if not counts(loss):
        return
    vector = isinstance(loss, VectorLoss)
    chosen = np.unique(targets, axis=0)
    places = np.linspace(
        0, len(chosen) - 1, min(len(chosen), MAX_VECTORS if vector else MAX_TARGETS)
    )
    chosen = chosen[np.unique(places.astype(int))]
    with np.errstate(all="ignore"):
        if isinstance(loss, VectorLoss):
            size = count_predictions(loss, targets)
            found = [_lowest_of_vector(loss, target, np.zeros(size)) for target in chosen]
        else:
            found = [_lowest(loss, float(target)) for target in chosen]
        center = np.median([place for place, _ in found], axis=0)
        usual = np.nanmean([abs(float(in_python(loss.value, center, target))) for target in chosen])
    for target, (place, value) in zip(chosen, found, strict=True):
        if value < loss.infimum - ROUNDING * usual:
            where = f"at target {in_words(target)} (prediction {in_words(place)})"
            _refuse(loss, f"falls to {value:.6g} {where}")


def check_mean(objective, v, value, null_value):
    """Raise ValueError where the mean loss at `v`, where F is `value`, is below the infimum that
    a user declared.
    """
    F = objective
    if not counts(of_one_target(F.loss, F.samples.targets)[0]):
        return
    if value >= F.loss.infimum - ROUNDING * abs(null_value) + F.penalty_value(v):
        return
    _refuse(F.loss, f"falls to {value - F.penalty_value(v):.6g} in the mean over the rows")


def _refuse(loss, what):
    name = type(loss).__name__
    raise ValueError(
        f"the value of {name} {what}, below the infimum {loss.infimum:g} that it declares, on "
        "which proofs rest; declare a lower one in the class, or infimum = -np.inf where there is "
        "none or it is not known"
    )


def _lowest(loss, target):
    """(Prediction, value) about where one row's loss is least: downhill by doubling steps, then
    between two of them.
    """
    here = 0.0
    value = float(in_python(loss.value, 0.0, target))
    derivative = float(in_python(loss.derivative, 0.0, target))
    before, step = here, -np.sign(derivative)
    for _ in range(DOUBLINGS if derivative != 0.0 else 0):
        ahead = float(in_python(loss.value, here + step, target))
        if not ahead < value:
            break
        before = here
        here = here + step
        value = ahead
        step = 2.0 * step
        if value < loss.infimum - 1.0 - abs(loss.infimum):
            return here, value
    low, high = min(before, here + step), max(before, here + step)
    best = value, here
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        derivative = in_python(loss.derivative, middle, target)
        low, high = (low, middle) if derivative > 0.0 or np.isnan(derivative) else (middle, high)
        value = float(in_python(loss.value, middle, target))
        best = min(best, (value, middle))
    return best[1], best[0]


def _lowest_of_vector(loss, target, here):
    """(Predictions, value) of a loss of several after some steps down its derivatives."""
    value = float(in_python(loss.value, here, target))
    step = 1.0
    derivatives = np.full(here.size, np.nan)
    for _ in range(DESCENTS):
        in_python(loss.derivatives, here, target, derivatives)
        while step > 1e-6:
            ahead = float(in_python(loss.value, here - step * derivatives, target))
            if ahead < value:
                break
            step *= 0.5
        else:
            break
        here, value = here - step * derivatives, ahead
        step *= 2.0
    return here, value
