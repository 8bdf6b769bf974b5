"""The plan: which solver, which batch, which steps and which end, with the reasons in words.

`auto` looks at the loss for now: accelerated descent on all rows where the loss has a derivative, averaged one-row
descent where it has corners, and the perceptron's own rule.
"""

from dataclasses import dataclass, field

from fastgd.batches import rows_per_update
from fastgd.losses import Perceptron
from fastgd.rules import Gd, Pa1, Pa2, Rule, Scheduled
from fastgd.schedules import LEARNING_RATES, make_schedule
from fastgd.solvers.accelerated import Accelerated
from fastgd.solvers.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.full_batch import (
    AveragedFullBatch,
    BackingOff,
    LineSearch,
    Patience,
    ScheduledFullBatch,
    Subgradient,
)
from fastgd.solvers.self_tuned import SelfTuned
from fastgd.solvers.stochastic import Stochastic

LEGAL = "solver 'auto' or one of {rules} (or a Rule) with batch_size 'full', a number of rows, a fraction or 'auto'"


@dataclass(frozen=True)
class Plan:
    """What a fit does, and why; `str(plan)` is a few sentences.

    Examples
    --------
    >>> print(Plan("nesterov", "full", "auto", ("the loss has a derivative everywhere",)))
    nesterov on all rows per update, learning rate auto: the loss has a derivative everywhere.
    """

    solver: str
    batch_size: int | str
    learning_rate: str
    reasons: tuple[str, ...] = field(default=())

    def __str__(self):
        rows = (
            "all rows" if self.batch_size == "full" else f"{self.batch_size} row{'s' if self.batch_size != 1 else ''}"
        )
        text = f"{self.solver} on {rows} per update, learning rate {self.learning_rate}"
        return f"{text}: {'; '.join(self.reasons)}." if self.reasons else f"{text}."


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator that decide how it descends."""

    solver: object = "auto"
    batch_size: object = "auto"
    learning_rate: str = "auto"
    eta0: float = 0.01
    power_t: float = 0.5
    momentum: float = 0.9
    average: object = False
    shuffle: bool = True
    tol: float | None = 1e-4
    n_iter_no_change: int = 5


def make_plan(settings, objective, streaming=False):
    """Plan and rule for these settings and data.

    Parameters
    ----------
    settings : Settings
    objective : Objective
    streaming : bool
        Whether rows come in chunks (`partial_fit`): then `auto` is plain descent, one row at a time.

    Returns
    -------
    plan : Plan
    rule : Rule

    Raises
    ------
    ValueError
        For pairs that are not legal; the message lists those that are.
    """
    batch = rows_per_update(settings.batch_size, objective.n_active)
    rate = settings.learning_rate
    if rate not in LEARNING_RATES:
        raise ValueError(f"learning_rate must be one of {', '.join(map(repr, LEARNING_RATES))}, got {rate!r}")
    solver, reasons = settings.solver, []
    one_row_rate = rate in ("pa1", "pa2")
    if isinstance(objective.loss, Perceptron) and solver == "auto":
        solver, reasons = (
            "gd",
            ["the perceptron is an online rule: one row at a time, until an epoch brings no mistake"],
        )
        batch = 1 if batch == "auto" else batch
        rate = "constant" if rate == "auto" else rate
    elif solver == "auto" and (streaming or one_row_rate):
        solver, reasons = "gd", ["rows come in chunks" if streaming else f"{rate} is a one-row step"]
        if batch == "auto":
            batch = "full" if rate == "line_search" else 1
    elif solver == "auto" and batch == "auto":
        full = objective.loss_smooth or rate == "line_search"
        solver, batch = ("nesterov", "full") if full else ("gd", 1)
        reasons = [
            "the loss has a derivative everywhere, so that every step can use all rows and the end can be proved"
            if full
            else "the loss has corners, where averages of one-row steps get further than subgradients of all rows"
        ]
    elif solver == "auto":
        solver, reasons = ("nesterov" if batch == "full" else "gd"), [f"batch_size={settings.batch_size!r} was given"]
    if batch == "auto":
        batch = "full" if rate == "line_search" or (rate == "auto" and objective.loss_smooth and not streaming) else 1
        reasons.append(
            f"{'all rows' if batch == 'full' else 'one row'} per update suits the loss and the learning rate"
        )
    if settings.average and batch == "full" and rate in ("auto", "line_search"):
        reasons.append("nothing is averaged, for these steps end at the optimum by themselves")
    rule = _rule(solver, settings.momentum)
    _check_pair(rule, batch, rate, objective)
    return Plan(rule.name, batch, rate, tuple(reasons)), rule


def make_solver(plan, rule, settings, objective, seed):
    """Solver that carries out a plan."""
    patience = None
    if plan.learning_rate == "adaptive":
        patience = Patience(settings.eta0, settings.tol, settings.n_iter_no_change)
    if plan.batch_size == "full":
        if plan.learning_rate == "line_search":
            return LineSearch(objective, rule)
        if plan.learning_rate == "auto":
            return _automatic_full_batch(rule, objective)
        schedule = _schedule(plan, settings, objective)
        if settings.average:
            return AveragedFullBatch(objective, rule, schedule, patience, float(settings.average))
        return ScheduledFullBatch(objective, rule, schedule, patience)
    average_from = float(settings.average) if settings.average else float("inf")
    if plan.learning_rate == "auto":
        return SelfTuned(
            objective, rule, plan.batch_size, seed, shuffle=settings.shuffle,
            average_from=average_from if settings.average else None, tol=settings.tol or 0.0,
        )  # fmt: skip
    pace = {"pa1": Pa1(), "pa2": Pa2()}.get(plan.learning_rate, Scheduled())
    return Stochastic(
        objective, rule, _schedule(plan, settings, objective), plan.batch_size, seed, shuffle=settings.shuffle,
        pace=pace, average_from=average_from, patience=patience,
    )  # fmt: skip


def _schedule(plan, settings, objective):
    if isinstance(objective.loss, Perceptron) and settings.learning_rate == "auto":
        return make_schedule("constant", 1.0, 0.0, 0.0, None)
    return make_schedule(plan.learning_rate, settings.eta0, settings.power_t, objective.alpha, objective.loss)


def _automatic_full_batch(rule, objective):
    if not objective.loss_smooth:
        return Subgradient(objective, rule)
    if isinstance(rule, Gd):
        return BarzilaiBorwein(objective)
    if rule.name == "nesterov":
        return Accelerated(objective)
    return BackingOff(objective, rule)


def _rule(solver, momentum):
    if isinstance(solver, Rule):
        return solver
    if not isinstance(solver, str):
        raise ValueError(f"solver must be a string or a Rule component, got {solver!r}; legal: {_legal()}")
    if solver not in Rule.members():
        raise ValueError(f"unknown solver {solver!r}; legal: {_legal()}")
    found = Rule.named(solver)
    return found(momentum) if "momentum" in found.__annotations__ else found()


def _legal():
    return LEGAL.format(rules=", ".join(sorted(Rule.members())))


def _check_pair(rule, batch, rate, objective):
    if rate == "line_search" and batch != "full":
        raise ValueError(f"learning_rate='line_search' needs batch_size='full', got {batch!r}")
    if rate in ("pa1", "pa2"):
        if batch != 1 or not isinstance(rule, Gd):
            raise ValueError(
                f"learning_rate={rate!r} needs solver='gd' and batch_size=1, got {rule.name!r} and {batch!r}"
            )
        if objective.loss.name not in ("hinge", "epsilon_insensitive") or not objective.elastic:
            raise ValueError(
                f"learning_rate={rate!r} needs loss 'hinge' or 'epsilon_insensitive' and an elastic-net penalty, "
                f"got {objective.loss.name!r} and {objective.penalty!r}"
            )
    if (
        objective.vector
        and batch != "full"
        and not (isinstance(rule, Gd) and objective.elastic and objective.l1 == 0.0)
    ):
        raise ValueError(
            f"a loss of several predictions runs with batch_size='full', or with solver='gd' and an L2 penalty; "
            f"got {rule.name!r} with batch_size={batch!r}"
        )
