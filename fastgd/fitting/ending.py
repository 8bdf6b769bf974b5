"""What is reported of a run that has ended: which point, which bound or estimate, which advice."""

import math

from fastgd.certificates.bound import Bound, relative_gap_at
from fastgd.fitting import zero_tol
from fastgd.fitting.divergence import how_to_lower, null_model_is_rounding, reference
from fastgd.fitting.stopping import StopReason
from fastgd.linalg.precision import EPS
from fastgd.objective.distances import gap_scale_at
from fastgd.objective.null_model import is_exact, null_point

# Reasons for which a run ends by itself.
ENDS = (StopReason.PLATEAU, StopReason.MAX_ITER, StopReason.TIME)
# What everybody can do who gets no further; a larger tol changes what is asked, not what is got.
ACCEPT = "or accept less with a larger tol"
# What is told of steps of a solver's own that came to an end without a proof.
NO_MORE = (
    "Its steps bring no more: what is left is rounding, or too little for them. To get "
    f"further, scale the columns of X or raise alpha, {ACCEPT}."
)
# What is said of a bound of half of F or more, a suboptimality of 1 or more.
NO_USEFUL_BOUND = "has no useful bound on its distance to the optimum"
# This is added to the advice where the user named the solver.
OR_AUTO = " Or leave the choice to solver='auto'."
# Rounding that leaves more than so many times tol is told, unless tol asks for no more than
# rounding.
EXCUSED = 10.0
# A proof comes down to a few times what F is rounded by: a Huber fit to 3 million rows to 4.2 times
# at best, by the third of six plans, with 15 times by the first.  So where tol asks for less than
# the first and so much is proved as the second says, no other plan is tried.
PROVABLE = 4.0
PROVED = 32.0
# A schedule may end at so many times its lowest check: noise, not too large a rate.
NOISE = 2.0
# Above the null model by more than this share a run has shown nothing.
ABOVE = 1e-9


def highest(objective):
    """F of the null model; its penalty counts where it is not 0, infinite where bounds rule it
    out.
    """
    F = objective
    if F.elastic:
        return F.null_value
    return F.null_value + F.penalty_value(null_point(F, F.null_intercept))


def lowest_of(checks, objective, evaluated):
    """The lowest of the checks, or the null model where none is below it.

    Nothing is below a null model at the infimum of the loss, which is known without rounding: of
    others whose F is 0 too it is told what their predictions are wrong by.
    """
    F = objective
    null = null_point(F, F.null_intercept)
    if F.elastic and F.null_value == F.loss.infimum and is_exact(F, null):
        return evaluated(null)
    if not min(check.objective for check in checks) <= F.null_value:
        checks = [*checks, evaluated(null)]
    return min(checks, key=lambda check: check.objective)


def claimed(objective, check, likely, at_the_end):
    """(bound, suboptimality) that is told of a check: its proof, or the estimate that ended the
    run where that is smaller.

    Parameters
    ----------
    objective : Objective
    check : Check
    likely : float or None
        F*, where an estimate ended the run.
    at_the_end : float
        F at the last check of the run.
    """
    F = objective
    # Above the null model, but for rounding, a run has shown nothing that an estimate could be
    # made of.
    most = highest(F) + ABOVE * abs(highest(F))
    if likely is None or check.objective > most or at_the_end > most:
        return check.bound, check.suboptimality
    # The lowest point is not closer for having been passed by.
    passed = at_the_end - check.objective
    gap = max(check.objective - likely, passed, EPS * abs(check.objective))
    suboptimality = relative_gap_at(F, gap, check.objective)
    if not suboptimality < 0.5 * check.suboptimality:
        return check.bound, check.suboptimality
    return Bound(gap, "estimate"), suboptimality


def advice(solver, check, reason, history, tol, start_point):
    """What is to be told of a run that ended by itself: a rate that is too large or too small,
    steps that bring no more; "" for nothing.
    """
    F = solver.objective
    # Of F that is no more than what it is rounded by there is nothing to be told, but for a tol
    # that rounding keeps far away, unless the null model is rounding itself.
    rounding = check.objective - F.loss.infimum <= 4.0 * check.doubt
    far_away = zero_tol.MIN_TOL < (tol or 0.0) < check.suboptimality / EXCUSED
    rounding = rounding and (not far_away or null_model_is_rounding(F))
    if reason not in ENDS or F.loss.online or rounding:
        return ""
    if solver.traits.chooses_steps:
        return NO_MORE if reason is StopReason.PLATEAU else ""
    lowest, size = min(history["objective"]), abs(reference(F))
    # What noise may double is how far F is above its infimum; where none is known, what it gained.
    above = gap_scale_at(F, lowest)
    near = check.objective <= lowest + (NOISE - 1.0) * above + 1e-4 * size
    if check.objective <= reference(F) + (tol or 0.0) * size and near:
        return ""
    if _was_falling(history["objective"], F.value(start_point)):
        return (
            f"The rate ({history['rate'][-1]:.3g} at the end) is too small for so few iterations: "
            f"the objective was falling, and is still above {F.null_value:.6g}, that of the null "
            "model, without columns. Raise eta0 or max_iter, or leave the step to "
            "learning_rate='auto'."
        )
    return (
        f"The rate ({history['rate'][-1]:.3g} at the end) is too large: the null model, without "
        f"columns, has {F.null_value:.6g}, the lowest check had {lowest:.6g}. {how_to_lower(F)}"
    )


def _was_falling(values, at_start):
    """Whether F was never above that of the start, and in the second half of the checks always
    below the first: too long a step makes it grow, or go to and fro.
    """
    half = len(values) // 2
    return max(values) <= at_start and max(values[half:]) <= min([at_start, *values[:half]])


def below_rounding(result, tol):
    """Whether tol asks for less than rounding lets anybody prove, and little more was proved, while
    F has stood still for half of the checks.
    """
    if not result.bound.proved or not zero_tol.MIN_TOL < (tol or 0.0) < result.suboptimality:
        return False
    target = tol * result.bound.value / result.suboptimality
    values = result.history["objective"]
    still = len(values) > 1 and abs(values[len(values) // 2] - result.objective) <= result.doubt
    near = result.bound.value <= PROVED * result.doubt
    return still and near and target < PROVABLE * result.doubt


def smallest_tol(result):
    """What is to be told then."""
    unit = result.suboptimality / result.bound.value
    power = 10.0 ** math.floor(math.log10(result.suboptimality))
    reached = math.ceil(result.suboptimality / power) * power
    return (
        f"F is a sum that is rounded by about {result.doubt * unit:.1g} (relative), and tol asks "
        f"for a proof below that: tol={reached:.0e} is about the smallest that can be reached here."
    )


def falls_short(result, tol):
    """Whether a run ended so that a warning is due: neither proved to `tol`, nor as a schedule may
    end.
    """
    if tol == 0.0 and result.reason is StopReason.PLATEAU:
        tol = zero_tol.SETTLED
    if tol is None or result.suboptimality <= tol:
        return False
    if result.reason is StopReason.PLATEAU:
        return bool(result.advice)
    return result.reason in (StopReason.MAX_ITER, StopReason.TIME)


def how_it_ended(result, tol, max_iter):
    """How far a run that did not converge got, how fast F was falling, and what to change: one
    sentence each.
    """
    history, value = result.history, f"the objective {result.objective:.6g}"
    # A bound of more than F itself only means that losses are not negative.
    if result.bound.kind == "stationarity":
        how_far = (
            f"{value} would fall by about {result.suboptimality:.2g} (relative) along single "
            f"columns, tol is {tol:g}"
        )
    elif result.suboptimality < 1.0:
        how = "estimated" if result.bound.kind == "estimate" else "proved"
        how_far = (
            f"{value} is {how} to be within {result.suboptimality:.2g} (relative) of the "
            f"optimum, tol is {tol:g}"
        )
    else:
        how_far = f"{value} {NO_USEFUL_BOUND}, tol is {tol:g}"
    half = len(history) // 2
    fall = ""
    if half >= 1:
        before, after = history["objective"][half - 1], history["objective"][-1]
        if math.isfinite(before) and math.isfinite(after):
            share = max(before - after, 0.0) / max(abs(before), 1e-300)
            fall = f"; over the last half of the checks it fell by {share:.2g} (relative)"
    change = f"raise max_iter (it was {max_iter}), scale the columns of X, {ACCEPT}"
    if result.reason is StopReason.TIME:
        change = f"raise max_time, {ACCEPT}"
    advice = result.advice or f"To get further, {change}."
    return f"Stopped because {result.reason.value}: {how_far}{fall}. {advice}"
