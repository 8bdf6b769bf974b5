"""Which plan one is left for, and what becomes of the results of both."""

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastgd import solvers
from fastgd.certificates.bound import Bound, relative_gap_at
from fastgd.fitting import zero_tol
from fastgd.fitting.choose_solver import batch_sizes, is_open, is_unknown, of_plan, takeovers
from fastgd.fitting.ending import ENDS, NO_MORE, OR_AUTO, below_rounding, smallest_tol
from fastgd.fitting.plan import INTERIOR_POINT, Plan, make_plan
from fastgd.fitting.result import Result
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.successor import may_be_succeeded, successor
from fastgd.rules.base import Rule, find_rule
from fastgd.runtime.clock import clock
from fastgd.solvers.base import LAST_RESORT, Forecast

# An interior point run that ends farther off than this was lost in rounding; else rounding is just
# its end.
LOST_IN_ROUNDING = 0.1
_copying = threading.Lock()


@dataclass
class PlanRecord:
    """The plans of a run so far.

    Attributes
    ----------
    tried : list of Plan
        The last one is under way.
    result : Result or None
        What came of those before it.
    updates : int
        Updates of all plans before the last.
    seconds : float
        How long these took, of what they share.
    to_go : list of float or None
        What each of those before had left at its own pace, in passes' worth of time, where it was
        left for another one; None where it brought no more.
    """

    tried: list[Plan]
    result: Result | None = None
    updates: int = 0
    seconds: float = 0.0
    to_go: list[float | None] = field(default_factory=list)


def run_by_plans(task, objective, go, start, state, saved=None):
    """(plan, result, updates) of a run whose plan may be left for another one.

    `go(record, rule, start, state, saved)` gives the result of the last of the plans, within what
    is `remaining` for it.  A `saved` run is restored.
    """
    plans = _PlanRun(task, objective, saved)
    try:
        plans.take(go(plans.record, plans.rule, start, state, saved))
        while plans.change():
            plans.take(go(plans.record, plans.rule, plans.result.point, None, None))
    except KeyboardInterrupt:
        if plans.result is None:
            raise
        # Before a check of a later plan: there is the model of the earlier one.
        plans.result = replace(plans.result, reason=StopReason.INTERRUPTED)
    _judge_ending(plans.result, task.settings.tol)
    if plans.result.advice == NO_MORE and task.settings.solver != "auto":
        plans.result.advice += OR_AUTO
    return plans.record.tried[-1], plans.result, plans.record.updates


class _PlanRun:
    """A run by one plan after the other: `record` of them, `rule` of the last one, and the `result`
    of those that are over, or None.
    """

    def __init__(self, task, objective, saved):
        self.task, self.objective = task, objective
        self.begun = clock.now()
        settings = task.settings
        # What a loss without a bound curves by is known there: plans ask for it.
        objective.know_null_model()
        if saved is None:
            plan, self.rule = _planned(task, objective)
            if task.notes:
                plan = replace(plan, reasons=(*plan.reasons, *task.notes))
            self.record = PlanRecord([_with_rows_in_order(task, objective, plan)])
        else:
            self.record = saved.record
            self.begun -= self.record.seconds + saved.loop_state.record.seconds
            for plan in self.record.tried:
                _with_rows_in_order(task, objective, plan)
            self.rule = _rule_of(settings, self.record.tried)
        self.result: Any = self.record.result
        # An interior point method is still Newton's method: open to whoever asked for that, too.
        # An explicit schedule ends as it ends.
        automatic = settings.solver == "auto" and settings.learning_rate == "auto"
        first = self.record.tried[0]
        becomes = is_open(first.solver, INTERIOR_POINT, objective)
        self.may_change = automatic or becomes or may_be_succeeded(settings, first, objective)

    def take(self, result):
        """Join what came of the last plan to the result so far."""
        self.record.updates += _updates(self.objective, result)
        if self.result is not None:
            tol = self.task.settings.tol
            result = joined(self.objective, self.result, result, tol)
        self.result = result

    def change(self):
        """Leave the plan for another one, where there is one; whether there is."""
        task, record, result = self.task, self.record, self.result
        tol = task.settings.tol
        if not (self.may_change and _stuck(record.tried[-1], self.objective, result, tol)):
            return False
        if below_rounding(result, tol):
            advice = smallest_tol(result)
            self.result = replace(result, reason=StopReason.PLATEAU, advice=advice)
            return False
        record.to_go.append(result.to_go)
        changed = _changed(task, self.objective, record, result)
        if changed is None:
            return False
        seconds = clock.now() - self.begun
        if task.max_time is not None and seconds >= task.max_time:
            result.reason = StopReason.TIME
            if result.advice == NO_MORE:  # another plan would have brought more
                result.advice = ""
            return False
        plan, self.rule = changed
        record.tried.append(_with_rows_in_order(task, self.objective, plan))
        record.result, record.seconds = replace(result, state=None), seconds
        return True


def _planned(task, objective):
    """Plan and rule; one for all targets that are fitted together, whose plans look at rows and
    weights alone: a third of what each of 100 targets took of 1,000 rows.
    """

    def plan(_=None):
        return make_plan(task.settings, objective, n_models=task.n_models)

    together = objective.together
    return plan() if together is None else together.once(objective, "plan", plan)


def remaining(task, record):
    """Iterations and seconds, which all plans share, that are left for the last of them."""
    if record.result is None:
        return task.max_iter, task.max_time
    left = None if task.max_time is None else task.max_time - record.seconds
    return task.max_iter - record.result.history.done, left


def _rule_of(settings, tried):
    """The update rule of the last of the plans, or None, as `make_plan` and `next_plan` gave it."""
    name = tried[-1].solver
    if name in batch_sizes():
        return None
    if len(tried) > 1:
        return Rule.named(name)()
    return find_rule(name if settings.solver == "auto" else settings.solver, settings.momentum)


def _changed(task, objective, record, result):
    """Plan and rule to go on with, or None."""
    settings, tried = task.settings, record.tried
    if result.history.done >= task.max_iter:
        return None
    succeeded = may_be_succeeded(settings, tried[0], objective)
    if succeeded and len(tried) == 1:
        return successor(settings, objective, tried[0], result.history.done)
    automatic = settings.solver == "auto" or succeeded
    why = _brought_no_more(tried[-1], result, settings.tol)
    slow = record.to_go[-1] is not None
    return next_plan(tried, objective, why, automatic, settings.tol, record.to_go, slow)


def _judge_ending(result, tol):
    """Let the reason tell of what is known of the point that is reported."""
    if not tol:
        return
    if result.reason in ENDS and result.suboptimality <= tol:
        result.reason = StopReason.CONVERGED  # by what one plan proved of another one's point
    elif result.reason is StopReason.CONVERGED and not (
        result.rounded or result.suboptimality <= tol
    ):
        # The last plan's estimate was of a point that is higher than where it began.
        result.reason, result.advice = StopReason.PLATEAU, NO_MORE


def _with_rows_in_order(task, objective, plan):
    """The plan; where it is one of single rows, an array in Fortran order or with steps is
    copied, once for all.
    """
    if plan.batch_size in ("full", "growing") or not objective.rows.storage.strided:
        return plan
    with _copying:
        if task.rows.storage.strided:
            task.rows = task.rows.in_c_order()
    objective.use_rows(task.rows)
    return replace(
        plan,
        reasons=(*plan.reasons, "X was copied once, into C order, for single rows of it are read"),
    )


def joined(objective, before, after, tol=0.0):
    """One result for a plan that was left and one that went on from its point; the better of the
    two points.
    """
    fell = after.objective <= before.objective
    history = before.history.joined(after.history, fell)
    better, other = (after, before) if fell else (before, after)
    if other.bound.proved:
        # What was proved of the optimum at the other point holds for this one, which is lower.
        gained = other.objective - better.objective
        bound = Bound(max(other.bound.value - gained, 0.0) + better.doubt, other.bound.kind)
        suboptimality = relative_gap_at(objective, bound.value, better.objective)
        proved = not better.bound.proved and suboptimality <= tol
        if proved or bound.value < better.bound.value:
            better = replace(better, bound=bound, suboptimality=suboptimality)
    if better is not after:
        history.repeat()
        history.replace_last(
            objective=better.objective,
            bound=better.bound.value if better.bound.proved else np.inf,
            suboptimality=better.suboptimality,
        )
    return replace(
        better,
        reason=after.reason,
        history=history,
        state=after.state,
        advice=after.advice,
        to_go=after.to_go,
    )


def _updates(objective, result):
    """Updates that led to a result."""
    if result.state is not None:
        return result.state.updates
    # An iteration that was cut short leaves no state; the history knows the iterations before it.
    iterations, batch = int(result.history["iteration"][-1]), int(result.history["batch"][-1])
    return iterations * -(-objective.n_active // batch)


def _stuck(plan, objective, result, tol):
    """Whether a run ended because nothing fell any more, although it is not proved to be where it
    should.

    For the interior point method rounding is just its end, unless it ended far off.
    """
    if not tol or result.reason not in (StopReason.PLATEAU, StopReason.CONVERGED):
        return False
    target = zero_tol.SETTLED if tol <= zero_tol.MIN_TOL else tol
    if result.suboptimality <= target or result.rounded:
        # An estimate is not the last word where the interior point would bring a proof.
        no_rule = plan.solver in batch_sizes() and not plan.form
        estimated = result.bound.kind == "estimate"
        return no_rule and estimated and is_open("newton", INTERIOR_POINT, objective)
    lost_in_rounding = objective.l1 + objective.l2 > 0.0 and result.suboptimality > LOST_IN_ROUNDING
    return plan.form != INTERIOR_POINT or lost_in_rounding or objective.loss_smooth


def _brought_no_more(plan, result, tol):
    """Why a plan is left, in words."""
    iterations, passes = result.history.done, result.history["passes"][-1]
    proved = result.suboptimality < 1.0 and result.bound.proved
    far = f"{result.suboptimality:.1g}" if proved else "nothing"
    solver = f"{plan.solver} {plan.form}" if plan.form else plan.solver
    return (
        f"after {iterations} iteration{'s' * (iterations != 1)} {solver} brought no more "
        f"({passes:.0f} passes, {far} proved, tol is {tol:g})"
    )


def next_plan(tried, F, why, automatic=True, tol=None, to_go=(), slow=False):
    """Plan and rule for which the last of `tried` is left; None where all others were tried, too.

    Before those whose need nobody can tell, one that was left for another plan is taken up again,
    that with least `to_go` at its own pace, if that is less than they are feared to take: it did
    come closer, and the forecast for which it was left was wrong.

    One that is left as it is `slow` is not followed by one that takes the same steps, as Newton's
    method by one matrix does after that by elimination.

    `why` says in words why it is left; not `automatic` is a solver that was named, and has but the
    interior point method left.
    """
    known = set(map(_name, tried))
    before, least = _cheapest_left_plan(tried, to_go) if automatic else (None, np.inf)
    if slow:
        known |= _of_the_same_steps(tried[-1], F, tol)
    for solver, forecast in _after(tried[-1], takeovers(F, tol)):
        name = solver.rule_name or solver.name
        if (name, solver.form) in known or not (automatic or _follows_a_name(solver, forecast, F)):
            continue
        if is_unknown(forecast) and least < forecast.passes:
            break
        rule = Rule.named(name)() if solver.rule_name else None
        along = "one-row steps" if name == "gd" else f"{name} {solver.form}".rstrip()
        reasons = (*tried[-1].reasons, f"{why}, so {along} went on from there")
        return Plan(name, solver.traits.batch_sizes[0], "auto", reasons, solver.form), rule
    if before is None:
        return None
    along = f"{before.solver} {before.form}".rstrip()
    reasons = (*tried[-1].reasons, f"{why}, so {along} was taken up again")
    return replace(before, batch_size=batch_sizes()[before.solver][0], reasons=reasons), None


def _of_the_same_steps(plan, F, tol):
    """Names and forms of the solvers that take the steps of this plan."""
    if plan.solver not in batch_sizes():
        return set()
    steps = of_plan(plan, F, tol).traits.steps
    return {(one.name, one.form) for one in solvers.REGISTRY if steps and one.traits.steps == steps}


def _cheapest_left_plan(tried, to_go):
    """What had least left at its own pace of the plans that were left for another one, and how
    much; None and inf where there is none but the last, or one was taken up again before.
    """
    places = [place for place, least in enumerate(to_go[:-1]) if least is not None]
    if not places or len(set(map(_name, tried))) < len(tried):
        return None, np.inf
    place = min(places, key=lambda place: to_go[place])
    return tried[place], to_go[place]


def is_again(tried):
    """Whether the last plan was left before: no other one is better, so it goes on as if it had
    been named.
    """
    return _name(tried[-1]) in map(_name, tried[:-1])


def _name(plan):
    return plan.solver, plan.form


def _follows_a_name(solver, forecast, F):
    """Whether one that was named may be left for a solver: for the interior point method, and of
    non-smooth losses for what is expected to get there.
    """
    if F.loss_smooth:
        return solver.form == INTERIOR_POINT
    return bool(solver.rule_name) or not forecast.last


def _after(plan, takers):
    """Those that may follow a plan: all of them, but after an update rule only what comes later."""
    if plan.solver in batch_sizes():
        return takers
    rules = [solver.rule_name for solver, _ in takers]
    return takers[rules.index(plan.solver) + 1 :] if plan.solver in rules else []


def forecast_of_plan(plan, F, tol):
    """What a run of a plan takes, a `Forecast`; one of a rule is there for the worst case."""
    if plan.solver not in batch_sizes():
        return Forecast(LAST_RESORT, last=True)
    return of_plan(plan, F, tol).forecast(F, tol)
