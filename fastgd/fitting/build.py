"""From a plan to the solver that carries it out."""

from fastgd.fitting.choose_solver import of_plan
from fastgd.rules.one_sample import Pa1, Pa2, Scheduled
from fastgd.rules.schedules import SCHEDULES, make_schedule
from fastgd.solvers.base import SolverOptions
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.distance_over_gradients import DistanceOverGradients
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from fastgd.solvers.gradient.scheduled import AveragedFullBatch, ScheduledFullBatch
from fastgd.solvers.growing_batch import Growing
from fastgd.solvers.patience import Patience
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from fastgd.solvers.stochastic.bottou_rates import BottouRates
from fastgd.solvers.stochastic.laplace import Laplace
from fastgd.solvers.stochastic.scheduled import Stochastic


def make_solver(plan, rule, settings, objective, seed, *, scored=False, streaming=False):
    """Solver that carries out a plan.

    Parameters
    ----------
    plan, rule, settings, objective, seed
        As `make_plan` and `Task` have them.
    scored : bool
        Whether held-out rows end the run.
    streaming : bool
        Whether these rows are a chunk: nothing ends there.
    """
    if plan.batch_size == "chunk":
        return Laplace(objective)
    if rule is None:
        return _make_named_solver(plan, settings, objective, seed)
    patience = None if streaming else _patience(plan, settings, scored)
    if plan.batch_size == "full":
        if plan.learning_rate == "line_search":
            return Armijo(objective, rule)
        if plan.learning_rate == "auto":
            return _automatic_full_batch(rule, objective)
        schedule = _schedule(plan, settings, objective)
        if settings.average:
            return AveragedFullBatch(objective, rule, schedule, patience, float(settings.average))
        return ScheduledFullBatch(objective, rule, schedule, patience)
    average_from = float(settings.average) if settings.average else float("inf")
    if plan.learning_rate == "auto":
        return AutomaticRates(
            objective,
            rule,
            plan.batch_size,
            seed,
            shuffle=settings.shuffle,
            average_from=average_from if settings.average else None,
            tol=settings.tol or 0.0,
            streaming=streaming,
        )
    if plan.learning_rate == "optimal" and settings.learning_rate == "auto":
        return BottouRates(objective, seed, shuffle=settings.shuffle, average_from=average_from)
    step_length = {"pa1": Pa1(), "pa2": Pa2()}.get(plan.learning_rate, Scheduled())
    return Stochastic(
        objective,
        rule,
        _schedule(plan, settings, objective),
        plan.batch_size,
        seed,
        shuffle=settings.shuffle,
        step_length=step_length,
        average_from=average_from,
        patience=patience,
        streaming=streaming,
    )


def _patience(plan, settings, scored):
    """What ends an explicit schedule on some of the rows, as SGDClassifier's, and what divides the
    rate of `"adaptive"`.
    """
    cuts, explicit = plan.learning_rate == "adaptive", settings.learning_rate in SCHEDULES
    if settings.tol is None or not explicit or (scored and not cuts):
        return None
    full = plan.batch_size == "full"
    if full and not cuts:
        return None
    return Patience(settings.eta0, settings.tol, settings.n_iter_no_change, cuts, relative=full)


def _schedule(plan, settings, objective):
    if objective.loss.online and settings.learning_rate == "auto":
        return make_schedule("constant", 1.0, 0.0, 0.0, None)
    return make_schedule(
        plan.learning_rate, settings.eta0, settings.power_t, objective.alpha, objective.loss
    )


def _automatic_full_batch(rule, objective):
    if not objective.loss_smooth:
        return DistanceOverGradients(objective, rule)
    if rule.plain:
        return BarzilaiBorwein(objective)
    if rule.name == Accelerated.rule_name:
        return Accelerated(objective)
    return RateBackoff(objective, rule)


def _make_named_solver(plan, settings, objective, seed):
    """A solver that finds its own steps."""
    solver = of_plan(plan, objective, settings.tol)
    options = SolverOptions(settings.tol or 0.0, seed, settings.shuffle, plan.batch_size)
    if plan.batch_size == "growing":
        return Growing(objective, lambda F: solver.make(F, options), seed)
    return solver.make(objective, options)
