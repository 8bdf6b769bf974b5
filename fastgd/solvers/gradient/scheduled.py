"""Any update rule on all rows with the rates of a schedule, and the average of its iterates."""

from dataclasses import dataclass, replace

import numpy as np

from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Solver, Traits
from fastgd.solvers.rule_memory import RENEWED, ScheduledMemory, empty_slots


def proximal_by_reach(objective, v, reach):
    """`v` after a proximal step at the rates `reach`, one number or one for each unknown."""
    n_coef = objective.n_features * objective.n_predictions
    return objective.proximal(v, reach[:n_coef] if np.ndim(reach) else reach)


def elastic_step(objective, v, reach):
    """The same on all of an elastic net with an L1 part: what is left is divided by 1 + l2 rates.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> given = {"penalty": "elasticnet", "alpha": 2.0, "l1_ratio": 0.5}
    >>> F = Objective("squared_error", np.ones((1, 1)), np.ones(1), **given)
    >>> elastic_step(F, np.array([3.0, 1.0]), 1.0).tolist()
    [1.0, 1.0]
    """
    n_coef = objective.n_features * objective.n_predictions
    moved = np.array(proximal_by_reach(objective, v, reach))
    moved[:n_coef] /= 1.0 + objective.l2 * (reach[:n_coef] if np.ndim(reach) else reach)
    return moved


@dataclass
@shaped(iterate_sum="u")
class AveragedMemory(ScheduledMemory):
    """What a scheduled rule with an average remembers.

    Attributes
    ----------
    iterate_sum : ndarray, (size,), or None
        Sum of the iterates that count.
    n_averaged : float
        How many these are.
    """

    iterate_sum: np.ndarray | None = None
    n_averaged: float = 0.0


class ScheduledFullBatch(Solver):
    """A rule with the rates of a schedule: nothing is altered, divergence is the caller's to see.

    Parameters
    ----------
    objective : Objective
    rule : Rule
    schedule : Schedule
    patience : Patience, optional
        Cuts the rate by 5 when progress stalls (`learning_rate="adaptive"`).
    """

    traits = Traits(chooses_steps=False, outlives_rows=True)
    Memory: type = ScheduledMemory

    def __init__(self, objective, rule, schedule, patience=None):
        super().__init__(objective)
        self.rule, self.schedule, self.patience = rule, schedule, patience

    def _fresh(self, point):
        """State with empty slots of the rule."""
        state = super()._fresh(point)
        state.memory.slots = empty_slots(self.rule, state.point.size)
        return state

    def resume(self, state):
        """What an iteration needs, and a run that had ended goes on until it stalls again."""
        super().resume(state)
        if self.patience is not None:
            self.patience.resume(state, self.objective)

    def advance(self, state):
        """One update: one pass."""
        F, memory = self.objective, state.memory
        update = state.updates + 1
        rate = self.schedule.rate(update - memory.faded) / memory.divisor
        scale = self.rule.begin(update)
        everything, slots = slice(None), memory.slots
        with np.errstate(all="ignore"):
            decay = F.penalty_gradient(state.point)
            gradient = state.gradient - decay
            # As in an epoch: rules with memory meet all of an elastic net by its proximal
            # step.
            elastic = F.l1 > 0.0 and self.rule.slots > 0
            move = self.rule.step(
                slots, everything, gradient, 0.0 if elastic else decay, rate, scale
            )
            reach = self.rule.reach(slots, everything, rate, scale)
            step = elastic_step if elastic else proximal_by_reach
            state.point = step(F, state.point - move, reach)
            state.value, state.gradient = F.smooth_and_gradient(state.point)
        state.rate, state.updates, state.iteration = rate, update, state.iteration + 1
        if self.patience is not None:
            self.patience.look(state, state.value + F.rest_value(state.point))

    def begin_chunk(self, state):
        """As in SGDClassifier, a chunk begins at eta0: `fit` had divided the rate until it was
        over.
        """
        if not self.traits.chooses_steps:
            state.memory.begin()

    def fade(self, state, share):
        """Rates fall no further than those of as many updates as count, and gradients that a rule
        adds up are those of the last rows.
        """
        memory = state.memory
        memory.fade(state.updates, share)
        if self.rule.accumulates:
            memory.slots = share * memory.slots


class AveragedFullBatch(ScheduledFullBatch):
    """The mean of the iterates since update `average_from` as the answer (Polyak and Juditsky,
    1992).
    """

    traits = replace(ScheduledFullBatch.traits, free_answers=False)
    Memory = AveragedMemory

    def __init__(self, objective, rule, schedule, patience=None, average_from=1.0):
        super().__init__(objective, rule, schedule, patience)
        self.average_from = average_from

    def _fresh(self, point):
        """State with an empty average."""
        state = super()._fresh(point)
        state.memory.iterate_sum = np.zeros_like(state.point)
        return state

    def _evaluate_point(self, state):
        """The gradient at the iterate, which an iteration needs; the answer is another point."""
        state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def advance(self, state):
        """One update and its share of the average."""
        super().advance(state)
        memory = state.memory
        if state.updates >= self.average_from:
            memory.iterate_sum = memory.iterate_sum + state.point
            memory.n_averaged += 1.0

    def fade(self, state, share):
        """As without an average, which is one of the last iterates."""
        super().fade(state, share)
        memory = state.memory
        memory.iterate_sum = share * memory.iterate_sum
        memory.n_averaged *= share

    def renew(self, state):
        """The average begins anew."""
        self.fade(state, RENEWED)
        state.memory.iterate_sum, state.memory.n_averaged = np.zeros_like(state.point), 0.0

    def answer(self, state):
        """The average once there is one, else the iterate."""
        memory = state.memory
        if memory.n_averaged == 0:
            return state.point
        return self.objective.allowed(memory.iterate_sum / memory.n_averaged)
