"""Which solvers an objective is open to, and what each would take: asked of the solvers."""

import functools

import numpy as np

from fastgd import solvers
from fastgd.solvers.base import LAST_RESORT, Forecast, OtherPredictions, TooLarge

# What solvers may ask of X that is in memory, in blocks of a source, and on other machines.
READ = {
    "memory": ("rows", "blocks", "sums"),
    "blocks": ("blocks", "sums"),
    "elsewhere": ("sums",),
}
NEEDS_MEMORY = "reads single rows in any order and needs X in memory"
# A solver whose forecast is sure is taken where it is at most so many times the least. Of 169
# fits to random problems with fewer columns than rows, where such a solver and another one are
# close, what is chosen takes 1.094 and 1.089 times the better one on two halves, at most 2.9 times;
# by the least alone 1.080 and 1.122, at most 32 times (dense rows of 784 columns to 1e-2: past
# gradients were forecast 25 passes and took 62, matrices 27).
SURE_MARGIN = 1.3
# A solver whose iterations tell early what it will take is tried first up to so many times the
# least, and left by its pace. What plans take over the better one, dual ascent or interior points
# for hinge, epsilon-insensitive and quantile losses, is 1.16 in the geometric mean of 87 fits, on
# two other sets, of 78 and 60, 1.20 and 1.24; 1.15, 1.21 and 1.26 with 1, and then up to 8 times,
# 1.19, 1.19 and 1.27 with 3. A run on one row of 16, where two forecasts left doubt, made it 1.22,
# 1.16 and 1.26.
EARLY_MARGIN = 1.5
# One that follows a plan that was left is on a hard problem, where a sure forecast is right
# and others are not: of elastic nets with fewer rows than columns, Huber and squared losses with
# insensitivity, dual ascent was forecast 35 to 600 passes and took 120 to 13,600.  So a sure one
# goes first up to so many times the other's forecast.  Over the passes that 48 such fits, and 48
# others, took while the interior point method was forecast too few iterations: 1.03 and 0.94;
# without this rule 1.27 and 1.20.
SURE_TAKEOVER_MARGIN = 4.0
# A forecast beyond so many passes that is not sure says that nothing is known to get there: those
# whose need nobody can tell come first, and no other plan gives way to it.  (Squared hinges of raw
# columns up to 1e7 beside one-hot ones, fewer rows than columns: dual ascent was forecast 4e8
# passes, Newton steps among past gradients 2e11, and 1,000 iterations of the first left F at the
# null model; accelerated descent proves 1e-3 in 152 passes.)
HOPELESS_PASSES = 1e4


def batch_sizes():
    """What each solver with steps of its own takes as `batch_size`, by name, the first where none
    is given.
    """
    return _batch_sizes(solvers.REGISTRY)


@functools.lru_cache(maxsize=1)  # asked for a dozen times a fit, 30 us each
def _batch_sizes(registry):
    own = (solver for solver in registry if not solver.rule_name)
    found: dict[str, tuple[int | str, ...]] = {}
    for solver in own:
        found.setdefault(solver.name, solver.traits.batch_sizes)
    return found


def takes_several(name, term):
    """Whether a solver of this name, or the update rule, takes a loss of several predictions
    beside this `Term` of a penalty.
    """
    return name not in batch_sizes() or any(
        one.takes_several(term) for one in solvers.REGISTRY if one.name == name
    )


def refusal(solver, objective):
    """Why a solver does not take an objective, in words that follow its name, or None."""
    if solver.traits.reads not in READ[objective.rows.location]:
        return NEEDS_MEMORY
    return solver.refusal(objective)


def takers_of(objective):
    """Names of the solvers that take an objective, with the rules that do so on all rows."""
    open_to = (one for one in solvers.REGISTRY if refusal(one, objective) is None)
    return tuple(dict.fromkeys(one.rule_name or one.name for one in open_to))


def random_names():
    """Names of those whose steps look at some of the rows."""
    return tuple(dict.fromkeys(one.name for one in solvers.REGISTRY if one.traits.random))


def of_name(name, objective, tol, form=None):
    """The solver of this name, and of this form where that is given, that an objective gets.

    Raises
    ------
    ValueError
        Where all of them refuse it, saying why.
    """
    all_of_them = [one for one in solvers.REGISTRY if one.name == name and not one.rule_name]
    fitting = [one for one in all_of_them if form is None or one.form == form]
    open_to = [one for one in fitting if refusal(one, objective) is None]
    if not open_to:
        raise ValueError(f"solver={name!r} {_refusal_of_all(fitting, objective)}")
    # A forecast may read rows.
    return open_to[0] if len(open_to) == 1 else _least(open_to, objective, tol)[0]


def _refusal_of_all(fitting, objective):
    """Why all forms of a solver refuse an objective, and what to use: that X is not in memory where
    a form has nothing else against it.
    """
    reasons = [one.refusal(objective) for one in fitting]
    if None in reasons:
        others = ", ".join(map(repr, takers_of(objective))) or "solver='auto'"
        return f"{NEEDS_MEMORY}; from blocks use {others}"
    reason = min(reasons, key=_rank_of_refusal)
    return str(reason) if "use " in str(reason) else f"{reason}; use solver='auto'"


def _rank_of_refusal(reason):
    """Sort key of refusals, the smallest reported first: `TooLarge` is -1, `OtherPredictions` 1 and
    all others 0.
    """
    return isinstance(reason, OtherPredictions) - isinstance(reason, TooLarge)


def of_plan(plan, objective, tol):
    """The solver that a plan is of."""
    for solver in solvers.REGISTRY:
        if plan.method == solver.__name__:
            return solver
    return of_name(plan.solver, objective, tol, plan.form)


def cheapest(objective, tol, batch="auto"):
    """(solver, forecast) of what takes least, of the solvers that take this batch size."""
    return compared(objective, tol, batch)[:2]


def compared(objective, tol, batch="auto"):
    """(solver, forecast, forecasts): `cheapest`, and the forecasts of all of them, ((name, passes),
    ...), the least first.

    Others that are above the least anyway are forecast roughly, for rows are not read for them.
    """
    open_to = [
        one
        for one in solvers.REGISTRY
        if (batch == "auto" or batch in one.traits.batch_sizes) and refusal(one, objective) is None
    ]
    forecasts: list[tuple[float, str]] = []
    solver, forecast = _least(open_to, objective, tol, forecasts)
    return solver, forecast, tuple((name, passes) for passes, name in sorted(forecasts))


def takeovers(objective, tol):
    """(solver, forecast) of those that `auto` may take, in the order in which one is left for the
    next: by their forecasts; then those whose need is unknown, where losses are not smooth
    update rules after all but the hopeless ones, for they prove nothing of them.  Hopeless ones are
    left out where there are others.
    """
    open_to = [one for one in solvers.REGISTRY if refusal(one, objective) is None]
    pairs = [(one, one.forecast(objective, tol)) for one in open_to]
    pairs = [(one, forecast) for one, forecast in pairs if forecast.passes < np.inf]
    hopeful = [pair for pair in pairs if not _is_hopeless(objective, pair[1])]
    return sorted(
        hopeful or pairs, key=functools.partial(_order_of_takeover, objective.loss_smooth)
    )


def _order_of_takeover(smooth, pair):
    """Those whose need is known by their forecasts, sure ones up to `SURE_TAKEOVER_MARGIN` times
    that of others.
    """
    solver, forecast = pair
    margin = SURE_TAKEOVER_MARGIN if forecast.sure else 1.0
    unknown = is_unknown(forecast)
    unproving = unknown and bool(solver.rule_name) and not smooth
    return unknown, HOPELESS_PASSES if unproving else forecast.passes / margin


def _rank(objective, forecast):
    """The order in which solvers are chosen."""
    return forecast.last or _is_hopeless(objective, forecast), forecast.passes


def _is_hopeless(objective, forecast):
    """Whether others are better whose need nobody can tell, which prove what is left of smooth
    losses alone.
    """
    return objective.loss_smooth and not forecast.sure and forecast.passes > HOPELESS_PASSES


def is_unknown(forecast):
    """Whether nobody can tell what a solver needs."""
    return forecast.last and not forecast.sure and forecast.passes >= LAST_RESORT


def is_open(name, form, objective):
    """Whether a solver of this name and form would take the objective."""
    return any(
        (one.name, one.form) == (name, form) and refusal(one, objective) is None
        for one in solvers.REGISTRY
    )


def _least(open_to, objective, tol, forecasts=None):
    """(solver, forecast) of the lowest forecast: ties go to the first, one that tells early within
    `EARLY_MARGIN` of it wins, else a sure one within `SURE_MARGIN`.  Appends (passes, name) of each
    to `forecasts`.
    """
    found, least = open_to[0], Forecast(np.inf, last=True)
    surest = earliest = found, least
    for solver in open_to:
        cutoff = np.inf if least.last else least.passes
        forecast = solver.forecast(objective, tol, cutoff)
        if not forecast.passes < np.inf:
            continue
        if forecasts is not None:
            name = f"{solver.rule_name or solver.name} {solver.form}".rstrip()
            forecasts.append((float(forecast.passes), name))
        if _rank(objective, forecast) < _rank(objective, least):
            found, least = solver, forecast
        if forecast.sure and _rank(objective, forecast) < _rank(objective, surest[1]):
            surest = solver, forecast
        if forecast.tells_early and _rank(objective, forecast) < _rank(objective, earliest[1]):
            earliest = solver, forecast
    if earliest[1].last == least.last and earliest[1].passes <= EARLY_MARGIN * least.passes:
        return earliest
    close = surest[1].last == least.last and surest[1].passes <= SURE_MARGIN * least.passes
    return surest if close and not least.sure else (found, least)
