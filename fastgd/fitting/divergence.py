"""Whether a run diverges, and how to lower a rate that makes it."""

import numpy as np

from fastgd.certificates.rounding import value_rounding
from fastgd.objective.endless_fall import endless
from fastgd.objective.null_model import null_point

# An explicit schedule is never altered: this many times the null model's objective is called
# divergence.
DIVERGED = 1e10
# It still grows where the last three checks have doubled it and the last iterations no slower than
# those before: powers of the number of iterations, as of a run that will turn round, bring 0.5
# between checks at doubling iterations.
DOUBLED = 2.0
NO_SLOWER = 0.75
# F0 is rounding where it is no more than so many times what it may be wrong by.
MAX_ROUNDINGS = 100.0


def reference(objective):
    """F of the null model, or 1 where that is 0."""
    return objective.null_value or 1.0


def check_null_model(objective):
    """Raise ValueError where offsets make the loss overflow, beside an infinite F0 nothing can be
    told, and where a user's loss falls for ever with the intercept.
    """
    F, offsets = objective, objective.samples.offsets
    if offsets.any() and not np.isfinite(F.null_value):
        raise ValueError(
            f"{F.loss!r} overflows with offsets from {offsets.min():.3g} to {offsets.max():.3g}: "
            "they are added to predictions, before the link; for exposures give their logarithms, "
            "offset=np.log(exposure)"
        )
    if endless(F):
        raise ValueError(
            f"{F.loss!r} has no finite optimum for these targets: it falls for ever with the "
            f"intercept, from {np.abs(F.null_intercept).max():.3g} on; add rows with other "
            "targets, or leave the intercept out (fit_intercept=False)"
        )


def exploded(solver, value, start_point):
    """Whether F = `value` means divergence; a start far from the optimum may have had as much."""
    F = solver.objective
    if not np.isfinite(value):
        return True  # whatever the null model has: offsets may make that infinite, too
    # Mistakes of the perceptron move by a row each: its loss has the unit of |x|^2, and grows no
    # faster than the root of their number.
    if F.loss.online:
        return False
    # A dual solver's F may rise on the way.
    if value <= DIVERGED * abs(reference(F)) or solver.traits.proves_itself:
        return False
    with np.errstate(all="ignore"):
        return not value <= DIVERGED * max(scale(F), abs(F.value(start_point)))


def still_grows(solver, history):
    """Whether an explicit schedule leaves F above the null model and growing.

    Not where rates fall: a run that began with long steps may turn round.
    """
    F = solver.objective
    scheduled = solver.traits.scheduled and not solver.traits.chooses_steps
    if not scheduled or F.loss.online or len(history) < 3:
        return False
    if history["rate"][-1] < history["rate"][-3]:
        return False
    values, iterations = (np.array(history[key][-3:]) for key in ("objective", "iteration"))
    if not reference(F) < values[2] or not values[2] >= DOUBLED * values[0]:
        return False
    if not values.min() > 0.0:  # on the way a loss without infimum was below the null model
        return False
    before, after = np.diff(np.log(values)) / np.diff(iterations)
    return before > 0.0 and after >= NO_SLOWER * before and scale(F) < values[2]


def scale(objective):
    """What an objective beyond all reason is measured by: F0, and where that is rounding, F of the
    zero model.

    A constant fits one row, or equal targets: any step is 1e10 times what is left then.
    """
    F = objective
    if not null_model_is_rounding(F):
        return abs(F.null_value)
    with np.errstate(all="ignore"):
        at_zero = abs(F.value(F.start()))
    return at_zero if 0.0 < at_zero < np.inf else 1.0


def null_model_is_rounding(objective):
    """Whether a constant fits: F0 is no more than what it may be wrong by."""
    F, value = objective, abs(objective.null_value)
    with np.errstate(all="ignore"):
        rounding = value_rounding(F, null_point(F, F.null_intercept), value, np.inf)
    return not value > MAX_ROUNDINGS * rounding


def how_to_lower(objective):
    """What to do about steps that are too long, in words."""
    largest = float(objective.moments().largest.max())
    return (
        f"The largest |x| is {largest:.3g}: lower eta0, scale X, for example with "
        "StandardScaler, or leave the step to learning_rate='auto'."
    )
