"""Stopping rules that a run gets without being asked: by its plan, its solver, and the plans that
are left.
"""

import functools

import numpy as np

from fastgd.certificates.certifier import provable
from fastgd.fitting.choose_solver import is_open, is_unknown, of_name
from fastgd.fitting.plan import INTERIOR_POINT
from fastgd.fitting.replan import forecast, is_again, next_plan
from fastgd.fitting.stopping import (
    Cautious,
    Extrapolated,
    NoMistakes,
    Outpaced,
    Overdue,
    Plateau,
    Slow,
    Stalled,
    TimeLimit,
    Validation,
)
from fastgd.fitting.successor import may_be_succeeded, worth_of_successor
from fastgd.objective.cost_model import curvature_cost, solving_cost, visit_cost
from fastgd.objective.distances import unit_at
from fastgd.rules.base import Rule
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.l1.working_set import WorkingSet, is_crowded, matrix_of_set
from fastgd.solvers.newton.column_subspace import SubspaceNewton
from fastgd.solvers.newton.subspace import combining_cost
from fastgd.solvers.newton.vector_cholesky import VectorNewton, matrix_cost
from fastgd.solvers.newton.vector_subspace import VectorSubspaceNewton

# Newton's method is there within a dozen iterations or two; where the central path is open, it is
# taken after these checks.
NEWTON_CHECKS = 50
WORKING_SET_CHECKS = 20
# What takes up to a hundred times what was forecast where matrices take two or three times that.
FORECAST_BY_GUESS = (LBFGS, SubspaceNewton, VectorSubspaceNewton, WorkingSet)


def rules_of_run(task, tried, solver, max_time):
    """Rules for the last of the plans that were `tried`, which `solver` carries out."""
    return [*_limits(task, max_time), *_rules_of_tol(task, tried, solver), *task.stop_rules]


def rules_along_path(task, objective):
    """Rules for a step along a regularisation path: where it stalls a fit may change the plan."""
    tol = task.settings.tol
    rules = _limits(task, task.max_time)
    if tol and task.score is None:
        rules.append(Stalled(tol, unit=_unit(objective)))
    return [*rules, *task.stop_rules]


def _limits(task, max_time):
    """Rules of every run: of time, and of the score on held-out rows."""
    rules: list = [] if max_time is None else [TimeLimit(max_time)]
    if task.score is not None:
        rules.append(Validation(task.settings.tol or 0.0, task.settings.n_iter_no_change))
    return rules


def _rules_of_tol(task, tried, solver):
    """What ends a run that is for a tolerance, and what leaves its plan for another one."""
    settings, F = task.settings, solver.objective
    if not settings.tol or task.score is not None:
        return []
    if F.loss.online and settings.learning_rate == "auto":
        return [NoMistakes()]
    if solver.ends_itself:
        return []
    return [
        *_rules_of_falls(task, tried[-1], solver),
        *_rules_of_standstill(settings, tried, F),
        *rules_of_rivals(settings, tried, F),
    ]


def _unit(objective):
    """The unit of falls, as a function of F."""
    return functools.partial(unit_at, objective)


def _rules_of_falls(task, plan, solver):
    """Rules by which falls of F end a run that no proof ends."""
    settings, F = task.settings, solver.objective
    tol = settings.tol
    rules: list = []
    if not (solver.proves_itself or (solver.free_answers and provable(F))):
        cautious = solver.free_answers and solver.own_steps
        rules.append(
            Cautious(tol, F.loss_smooth, _unit(F)) if cautious else Extrapolated(tol, _unit(F))
        )
    if may_be_succeeded(settings, plan, F):
        noise = min(F.size, F.n_active * F.n_predictions) / (F.n_active * tol)
        rules.append(Outpaced(worth_of_successor(settings, F), noise, task.max_iter))
    if not solver.own_steps and plan.learning_rate != "adaptive":
        rules.append(Plateau(tol, settings.n_iter_no_change))
    return rules


def _rules_of_standstill(settings, tried, objective):
    """A rule by which a plan is left that brings no more, where another one may follow."""
    F, plan, tol = objective, tried[-1], settings.tol
    if plan.solver not in ("newton", "lbfgs", "nesterov"):
        return []
    automatic = settings.solver == "auto" and not (is_again(tried) or _is_last(tried, F, tol))
    path = is_open("newton", INTERIOR_POINT, F)
    # Newton's method that was named, too, may become an interior point method, once it brings no
    # more.
    if not (automatic or (plan.solver == "newton" and path and plan.form != INTERIOR_POINT)):
        return []
    patient = plan.form == INTERIOR_POINT or plan.solver == "nesterov" or not (automatic and path)
    most = WORKING_SET_CHECKS if F.l1 > 0.0 else NEWTON_CHECKS
    return [Stalled(tol, np.inf if patient else most, _unit(F))]


def _is_last(tried, objective, tol):
    """Whether no other plan is left for accelerated descent, the last resort, to be left for: it
    then goes on as if it had been named.

    So does L-BFGS where no bound goes to 0, but the curvature tells how far the optimum is, and
    accelerated descent is all that is left: of 12 Huber losses next to absolute ones, of 3 and 4
    targets without a penalty, none was proved or estimated when it was left for that (1,280 to
    1,560 passes), now all are (330 to 660).
    """
    F, plan = objective, tried[-1]
    if plan.solver not in ("nesterov", "lbfgs"):
        return False
    other = next_plan(tried, F, "", tol=tol)
    if plan.solver == "nesterov":
        return other is None
    estimated = F.convex and F.loss_smooth and F.term.certified and not provable(F)
    return estimated and (other is None or is_unknown(forecast(other[0], F, tol)))


def rules_of_rivals(settings, tried, objective):
    """Rules by which `auto` leaves a plan early, where another one is expected to be there first.

    How much rows undo of each other's steps decides dual ascent, how many change the piece of
    their loss Newton's method where curvature jumps, how curvature is spread methods of past
    gradients, and how many coefficients are not 0 a working set; none is known before.
    """
    F, plan, tol = objective, tried[-1], settings.tol
    if settings.solver != "auto" or plan.solver in Rule.members() or is_again(tried):
        return []
    solver = of_name(plan.solver, F, tol, plan.form)
    jumps = F.loss_smooth and F.loss.self_concordance is None and plan.form != INTERIOR_POINT
    newton, guessed = plan.solver == "newton" and jumps, solver in FORECAST_BY_GUESS
    if not (newton or guessed or solver is Sdca):
        return []
    if solver is Sdca:
        rival_passes = functools.cache(lambda: _rival_passes(tried, F, tol))
        return [Overdue(tol, forecast(plan, F, tol).passes, rival_passes, visit_cost(F))]
    other = next_plan(tried, F, "", tol=tol)
    if other is None:
        return []
    rival = forecast(other[0], F, tol)
    if not newton and is_unknown(rival):
        return []
    least = forecast(plan, F, tol).passes if guessed and not newton else 0.0
    return [Slow(tol, rival.passes, _beside_passes(solver, F), _unit(F), least)]


def _rival_passes(tried, objective, tol):
    """What the next plan takes, in passes' worth of time; inf where there is none."""
    other = next_plan(tried, objective, "", tol=tol)
    return np.inf if other is None else forecast(other[0], objective, tol).passes


def _beside_passes(solver, objective):
    """What an iteration of a plan takes beside its passes, in passes' worth of time."""
    F = objective
    if solver in (SubspaceNewton, VectorSubspaceNewton):
        return combining_cost(F)
    if solver is VectorNewton:
        return matrix_cost(F)
    if solver is WorkingSet and is_crowded(F):
        return matrix_of_set(F)
    matrices = solver.name == "newton" and not F.vector and F.l1 == 0.0
    if not (matrices and F.n_features <= F.n_active):
        return 0.0
    return curvature_cost(F) + solving_cost(F, F.n_features)
