"""Stopping rules that a run gets without being asked: by its plan, its solver, and the plans that
are left.
"""

import functools

import numpy as np

from fastgd.certificates.certifier import provable
from fastgd.fitting.choose_solver import batch_sizes, is_open, is_unknown, of_plan
from fastgd.fitting.extrapolation import Cautious, Extrapolated
from fastgd.fitting.leaving_rules import (
    EarlyOverdue,
    Outgrown,
    Outpaced,
    Overdue,
    Slow,
    Stalled,
)
from fastgd.fitting.plan import INTERIOR_POINT
from fastgd.fitting.replan import forecast_of_plan, is_again, next_plan
from fastgd.fitting.stopping import NoMistakes, Plateau, TimeLimit, Validation
from fastgd.fitting.successor import may_be_succeeded, worth_of_successor
from fastgd.objective.distances import gap_scale_at

# A forecast of the plan that would follow counts so many times where it is not sure: see
# `SURE_TAKEOVER_MARGIN` of `fastgd.fitting.choose_solver`.
DOUBTED = 3.0


def rules_of_run(task, tried, solver, max_iter, max_time):
    """Rules for the last of the plans that were `tried`, which `solver` carries out within these
    iterations and seconds.
    """
    # What a warm start may go on with has no last iteration.
    most = max_iter if task.settings.most_iterations < np.inf else np.inf
    rules = _rules_of_tol(task, tried, solver, most)
    return [*_limits(task, max_time), *rules, *task.stop_rules]


def rules_along_path(task, objective):
    """Rules for a step along a regularisation path: a fit may leave the plan where that brings no
    more.
    """
    tol = task.settings.tol
    rules = _limits(task, task.max_time)
    if tol and task.score is None:
        rules.append(Stalled(tol, gap_scale=_gap_scale(objective)))
    return [*rules, *task.stop_rules]


def _limits(task, max_time):
    """Rules of every run: of time, and of the score on held-out rows."""
    rules: list = [] if max_time is None else [TimeLimit(max_time)]
    if task.score is not None:
        rules.append(Validation(task.settings.tol or 0.0, task.settings.n_iter_no_change))
    return rules


def _rules_of_tol(task, tried, solver, most):
    """What ends a run that is for a tolerance, and what leaves its plan for another one."""
    settings, F = task.settings, solver.objective
    if not settings.tol or task.score is not None:
        return []
    if F.loss.online and settings.learning_rate == "auto":
        return [NoMistakes()]
    if solver.traits.ends_itself:
        return []
    return [
        *_rules_of_falls(task, tried[-1], solver),
        *_rules_of_standstill(settings, tried, F, _overhead_so_far(solver)),
        *rules_of_rivals(settings, tried, F, _overhead_so_far(solver), solver.passes_left, most),
    ]


def _overhead_so_far(solver):
    """A function that tells what the solver took beside its passes, None where it does not."""
    return None if solver.overhead_so_far is None else lambda: solver.overhead_so_far


def _gap_scale(objective):
    """The gap scale, as a function of F."""
    return functools.partial(gap_scale_at, objective)


def _rules_of_falls(task, plan, solver):
    """Rules by which falls of F end a run that no proof ends."""
    settings, F = task.settings, solver.objective
    tol = settings.tol
    rules: list = []
    if not (solver.traits.proves_itself or (solver.traits.free_answers and provable(F))):
        cautious = solver.traits.free_answers and solver.traits.chooses_steps
        rules.append(
            Cautious(tol, F.loss_smooth, _gap_scale(F))
            if cautious
            else Extrapolated(tol, _gap_scale(F))
        )
    if may_be_succeeded(settings, plan, F):
        noise = min(F.size, F.n_active * F.n_predictions) / (F.n_active * tol)
        rules.append(Outpaced(worth_of_successor(settings, F), noise, task.max_iter))
    if not solver.traits.chooses_steps and plan.learning_rate != "adaptive":
        rules.append(Plateau(tol, settings.n_iter_no_change))
    return rules


def _rules_of_standstill(settings, tried, objective, so_far=None):
    """A rule by which a plan of all rows is left that brings no more, where another may follow."""
    F = objective
    plan = tried[-1]
    tol = settings.tol
    if F.loss.online or plan.batch_size not in ("full", "growing"):
        return []
    method = _method(plan, F, tol)
    automatic = settings.solver == "auto" and not (
        is_again(tried) or _is_last(tried, method, F, tol)
    )
    # A solver that was named, too, may become an interior point method that shares its name, once
    # it brings no more.
    becomes = plan.form != INTERIOR_POINT and is_open(plan.solver, INTERIOR_POINT, F)
    if not (automatic or becomes):
        return []
    waits = method is None or not automatic or not is_open("newton", INTERIOR_POINT, F)
    most = np.inf if waits else method.most_checks(F)
    return [Stalled(tol, most, _gap_scale(F), so_far, lambda: _rival_passes(tried, F, tol))]


def _method(plan, objective, tol):
    """The solver that a plan is of; None for an update rule."""
    return of_plan(plan, objective, tol) if plan.solver in batch_sizes() else None


def _is_last(tried, method, objective, tol):
    """Whether no other plan is left for accelerated descent, the last resort, to be left for: it
    then goes on as if it had been named.

    So does L-BFGS where no bound goes to 0, but the curvature tells how far the optimum is, and
    accelerated descent is all that is left: of 12 Huber losses next to absolute ones, of 3 and 4
    targets without a penalty, none was proved or estimated when it was left for that (1,280 to
    1,560 passes), now all are (330 to 660).
    """
    F = objective
    if method is not None and method.traits.second_order:
        return False
    other = next_plan(tried, F, "", tol=tol)
    if method is None:
        return other is None
    estimated = F.convex and F.loss_smooth and F.term.certified and not provable(F)
    return estimated and (other is None or is_unknown(forecast_of_plan(other[0], F, tol)))


def rules_of_rivals(settings, tried, objective, so_far=None, left=None, most=np.inf):
    """Rules by which `auto` leaves a plan early, for one that is expected to be there first.

    How much rows undo of each other's steps decides dual ascent, how many change the piece of
    their loss Newton's method where curvature jumps, how curvature is spread methods of past
    gradients, and how many coefficients are not 0 a working set, and an interior point method on
    a few columns; none is known before.
    """
    F = objective
    plan = tried[-1]
    tol = settings.tol
    if settings.solver != "auto" or plan.solver not in batch_sizes() or is_again(tried):
        return []
    method = of_plan(plan, F, tol)
    jumps = F.loss_smooth and F.loss.self_concordance is None and plan.form != INTERIOR_POINT
    at_once = method.traits.second_order and jumps
    if not (at_once or method.traits.judged_by):
        return []
    if method.traits.judged_by == "forecast":
        if F.loss_smooth:  # others were tried before it
            return []
        proving = functools.cache(lambda: DOUBTED * _proving_rival_passes(tried, F, tol))
        told = forecast_of_plan(plan, F, tol).passes
        return [Outgrown(told, proving, functools.partial(left, tol))]
    if method.traits.judged_by == "bound":
        # Where another plan was left for it, what nobody can tell is no better.
        unknown = F.loss_smooth or len(tried) == 1
        rival_passes = functools.cache(lambda: _rival_passes(tried, F, tol, unknown))
        worth = 1.0 + method.overhead_passes(F)
        own = forecast_of_plan(plan, F, tol)
        rule = EarlyOverdue if own.tells_early else Overdue
        return [rule(tol, own.passes, rival_passes, worth, most)]
    least = 0.0 if at_once else forecast_of_plan(plan, F, tol).passes
    if so_far is not None:
        # Runs are short where it is told by itself: asked at once, what few rows have in common
        # took 8 passes of 11.
        known = functools.cache(lambda: _rival_passes(tried, F, tol, at_once, DOUBTED, slow=True))
        return [Slow(tol, known, 0.0, _gap_scale(F), least, so_far)]
    rival = _rival_passes(tried, F, tol, at_once, slow=True)
    if rival == np.inf:
        return []
    return [Slow(tol, rival, method.overhead_passes(F), _gap_scale(F), least)]


def _rival_passes(tried, objective, tol, unknown=True, doubted=1.0, slow=False):
    """What the next plan takes, in passes' worth of time, `doubted` times that where its forecast
    is not sure; inf where there is none, or nobody can tell and the `unknown` do not count.

    The next plan of one that is left as it is `slow`, where that is said.
    """
    other = next_plan(tried, objective, "", tol=tol, slow=slow)
    if other is None:
        return np.inf
    found = forecast_of_plan(other[0], objective, tol)
    if is_unknown(found) and not unknown:
        return np.inf
    return found.passes if found.sure else doubted * found.passes


def _proving_rival_passes(tried, objective, tol):
    """What the next plan takes, in passes' worth of time, slow or not; inf where there is none, or
    an update rule, which proves nothing of a loss that is not smooth.
    """
    other = next_plan(tried, objective, "", tol=tol)
    if other is None or other[0].solver not in batch_sizes():
        return np.inf
    return forecast_of_plan(other[0], objective, tol).passes
