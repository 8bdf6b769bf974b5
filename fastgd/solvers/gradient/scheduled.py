"""Any update rule on all rows: with a schedule as taught, with a line search, or with rates that
back off.
"""

from dataclasses import dataclass, field

import numpy as np

from fastgd.linalg.line_search import armijo, halvings
from fastgd.solvers.base import Solver
from fastgd.solvers.gradient.preconditioned import ScaledMemory, ScaledSolver

# After so many halvings a step, a share of 1e-12 of the first one tried, is no step.
TRIALS = 40
# A rate that works grows by a little, one that fails is halved.
GROWTH = 1.1
CUT = 0.5
# No rate comes near one that failed again: at the edge of stability each iteration lets rounding
# grow, until weights and repeated rows differed by 4e-6 (Adam; now 4e-14), and failures clear the
# memory (Adam on 123 binary columns: 124 passes for 151).
CEILING = 0.5
LOOK_BACK = 5

# What counts on of the rows before, each time that the iterate is found to be ahead of the average
# (`renew`): after two such chunks in a row a sixteenth.
RENEWED = 0.25


def proximal(objective, v, reach, whole=False):
    """`v` after a proximal step at the rates `reach`, one number or one for each unknown."""
    n_coef = objective.n_features * objective.n_predictions
    return objective.proximal(v, reach[:n_coef] if np.ndim(reach) else reach, whole)


def empty_slots(rule, size):
    """Memory of a rule for `size` unknowns, before its first update."""
    return np.zeros((max(rule.slots, 1), size))


@dataclass
class RuleMemory:
    """What a solver with an update rule remembers.

    Attributes
    ----------
    slots : ndarray, (slots of the rule, unknowns), or None
        Memory of the rule, for example its velocity; None where nothing was updated yet.
    """

    slots: np.ndarray | None = None


@dataclass
class Plateau:
    """What `Patience` remembers.

    Attributes
    ----------
    divisor : float
        The rates of the schedule are divided by it.
    best_objective : float
        Least objective so far.
    n_stalled : int
        Iterations in a row that brought less than tol.
    of : tuple or None
        What tells the objective that these are of from others; None where nobody asked.
    """

    divisor: float = 1.0
    best_objective: float = np.inf
    n_stalled: int = 0
    of: tuple | None = None


@dataclass
class ScheduledMemory(RuleMemory, Plateau):
    """What a scheduled rule remembers.

    Attributes
    ----------
    faded : float
        How many of the updates no longer count (`forget`): rates that fall are those of as many
        updates as are left.
    """

    faded: float = 0.0

    def fade(self, updates, share):
        """Let all of the `updates` so far count `share` of what they did."""
        self.faded = updates - share * (updates - self.faded)


@dataclass
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

    Memory: type = ScheduledMemory
    own_steps = False
    outlives_rows = True

    def __init__(self, objective, rule, schedule, patience=None):
        super().__init__(objective)
        self.rule, self.schedule, self.patience = rule, schedule, patience

    def _fresh(self, point):
        """State with empty slots of the rule."""
        state = super()._fresh(point)
        state.memory.slots = empty_slots(self.rule, state.point.size)
        return state

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
            # As in an epoch: rules with memory meet the whole of an elastic net by its proximal
            # step.
            whole = F.l1 > 0.0 and self.rule.slots > 0
            move = self.rule.step(slots, everything, gradient, 0.0 if whole else decay, rate, scale)
            reach = self.rule.reach(slots, everything, rate, scale)
            state.point = proximal(F, state.point - move, reach, whole)
            state.value, state.gradient = F.smooth_and_gradient(state.point)
        state.rate, state.updates, state.iteration = rate, update, state.iteration + 1
        if self.patience is not None:
            self.patience.look(state, state.value + F.rest_value(state.point))


class AveragedFullBatch(ScheduledFullBatch):
    """The mean of the iterates since update `average_from` as the answer (Polyak and Juditsky,
    1992).
    """

    Memory = AveragedMemory
    free_answers = False

    def __init__(self, objective, rule, schedule, patience=None, average_from=1.0):
        super().__init__(objective, rule, schedule, patience)
        self.average_from = average_from

    def _fresh(self, point):
        """State with an empty average."""
        state = super()._fresh(point)
        state.memory.iterate_sum = np.zeros_like(state.point)
        return state

    def _resume(self, state):
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
        """The average is one of the last iterates, and the rates fall no further."""
        memory = state.memory
        memory.fade(state.updates, share)
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


def divided(rate, divisor):
    """The rate over a divisor that grew by factors of 5, divided by one after the other as
    SGDClassifier does: a run of too long steps lets a difference in the last bit grow.

    Examples
    --------
    >>> divided(0.01, 25.0) == 0.01 / 5.0 / 5.0
    True
    """
    while divisor % 5.0 == 0.0:
        rate /= 5.0
        divisor /= 5.0
    return rate / divisor


class Patience:
    """What happens after `n_iter_no_change` iterations in a row that brought less than tol F: the
    rate is divided by 5 (`learning_rate="adaptive"`), until it is too small to go on.

    Parameters
    ----------
    eta0 : float
    tol : float or None
    n_iter_no_change : int
    cuts : bool
        Whether the rate is divided; if not, the run is done at once.
    relative : bool
        Whether tol is a share of F; if not it is a fall of the loss, as in scikit-learn's
        SGDClassifier, whose rule this is then (`BaseSGD`, release 1.9).
    """

    LEAST_RATE = 1e-6

    def __init__(self, eta0, tol, n_iter_no_change, cuts=True, relative=True):
        self.eta0, self.tol, self.n_iter_no_change = eta0, tol, n_iter_no_change
        self.cuts, self.relative = cuts, relative

    def resume(self, state, objective):
        """Begin anew where the run is of another objective than before; one that had ended on
        this one goes on until it stalls again.
        """
        memory, F = state.memory, objective
        of = F.null_value, F.alpha, F.l1, F.l2
        if memory.of != of:
            vars(memory).update(vars(Plateau(of=of)))
        elif state.done:
            memory.n_stalled = 0
        state.done = False

    def look(self, state, objective):
        """Note the objective of an iteration and cut the rate where it is due; `state.memory` is
        a `Plateau`.
        """
        memory = state.memory
        best = memory.best_objective
        margin = (self.tol or 0.0) * (abs(best) if self.relative else 1.0)
        stalled = self.tol is not None and objective > best - margin
        memory.n_stalled = memory.n_stalled + 1 if stalled else 0
        memory.best_objective = min(best, objective)
        if memory.n_stalled >= self.n_iter_no_change:
            memory.n_stalled = 0
            state.done = not self.cuts or self.eta0 / memory.divisor <= self.LEAST_RATE
            memory.divisor *= 5.0 if self.cuts else 1.0


@dataclass
class LineSearchMemory(RuleMemory):
    """What a rule with a line search remembers.

    Attributes
    ----------
    rate : float
        Of the last iteration; the next one tries twice as much first.
    """

    rate: float = 0.5


class LineSearch(Solver):
    """A rule's direction with a step found by halving until F falls enough (Armijo, 1966)."""

    Memory = LineSearchMemory
    outlives_rows = True

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def _fresh(self, point):
        """State with empty slots of the rule."""
        state = super()._fresh(point)
        state.memory.slots = empty_slots(self.rule, state.point.size)
        return state

    def advance(self, state):
        """One update; each trial is one pass."""
        F, memory = self.objective, state.memory
        decay, slots = F.penalty_gradient(state.point), memory.slots
        scale = self.rule.begin(state.updates + 1)
        direction = self.rule.step(slots, slice(None), state.gradient - decay, decay, 1.0, scale)
        reach = self.rule.reach(slots, slice(None), 1.0, scale)
        first = 2.0 * memory.rate
        found = None
        if float(direction @ state.gradient) > 0.0:
            found = self._search(state, direction, reach, first)
        if found is None:
            # The rule's memory points uphill: it starts anew.
            slots[:] = 0.0
            found = self._search(state, state.gradient, 1.0, first)
        if found is None:
            state.done, found = True, (state.point, state.value, state.gradient, first)
        state.point, state.value, state.gradient, state.rate = found
        memory.rate = state.rate
        state.iteration += 1
        state.updates += 1

    def _search(self, state, direction, reach, rate):
        """(point, value, gradient, rate) of the first of the rates, halved again and again, with
        enough of a fall.
        """
        F = self.objective
        total = state.value + F.rest_value(state.point)
        slack = 1e-15 * abs(total)
        for share in halvings(TRIALS, first=rate):
            with np.errstate(all="ignore"):
                point = proximal(F, state.point - share * direction, share * reach)
                value, gradient = F.smooth_and_gradient(point)
                step = state.point - point
                fall = min(float(step @ state.gradient), float(step @ step) / share)
                reached = value + F.rest_value(point)
            if not step.any():
                return None
            if armijo(total, reached, -max(fall, 0.0), slack=slack):
                return point, value, gradient, share
        return None


@dataclass
class BackingOffMemory(ScaledMemory, RuleMemory):
    """What a rule with rates that back off remembers.

    Attributes
    ----------
    values : list of float
        F at the last `LOOK_BACK` points; empty before the first iteration.
    rate : float or None
        First rate that the next iteration tries; None before the first iteration.
    ceiling : float
        No rate above this is tried.
    n_since_reset : int
        Updates since the slots of the rule were empty.
    """

    values: list[float] = field(default_factory=list)
    rate: float | None = None
    ceiling: float = np.inf
    n_since_reset: int = 0


class BackingOff(ScaledSolver):
    """A rule in the solver's coordinates: the rate grows while F falls, and is halved, the
    memory cleared, when not.
    """

    Memory = BackingOffMemory

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def advance(self, state):
        """One accepted update; each trial is one pass."""
        memory, u, g = state.memory, state.memory.u, self.own_gradient(state)
        values = memory.values or [self.total(state)]
        # The last of the gradients is always 1: what it moves tells how far the rule's memory has
        # filled.
        g = np.append(g, 1.0)
        if memory.slots is None:
            memory.slots = empty_slots(self.rule, g.size)
        slots = memory.slots
        rate = self._first_rate(state, u, g) if memory.rate is None else memory.rate
        while True:
            kept = slots.copy()
            scale = self.rule.begin(memory.n_since_reset + 1)
            step = self.rule.step(slots, slice(None), g, 0.0, rate, scale)
            reach = self.rule.reach(slots, slice(None), rate, scale)
            # A velocity that has just begun is matched by less of a threshold: 300 iterations were
            # lost to it with L1.
            trial = self.proximal(u - step[:-1], step[-1] / np.ravel(reach)[-1] * reach)
            v, total, smooth, gradient = self.evaluate_at(trial)
            if total <= max(values) + 1e-15 * abs(values[-1]):
                break
            slots[:] = kept if memory.n_since_reset == 0 else 0.0
            memory.n_since_reset = 0
            memory.ceiling = CEILING * rate
            rate *= CUT
            if rate < 1e-300 or not (trial - u).any():
                v, smooth, gradient = state.point, state.value, state.gradient
                trial, total = u, values[-1]
                state.done = True
                break
        self.move(state, trial, v, smooth, gradient)
        memory.values = [*values, total][-LOOK_BACK:]
        memory.n_since_reset += 1
        memory.rate = min(rate * GROWTH, memory.ceiling)
        state.rate = rate
        state.iteration += 1
        state.updates += 1

    def _first_rate(self, state, u, g):
        """Best of the rates 4^k for the first step of the rule, found by walking from 1 while F
        falls.
        """
        slots = np.zeros_like(state.memory.slots)
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, self.rule.begin(1))
        best, rate, factor = self.total(state), 1.0, 4.0
        direction = direction[:-1]
        if self.evaluate_at(self.allowed(u - direction))[1] > best:
            factor = 0.25
        for _ in range(60):
            total = self.evaluate_at(self.allowed(u - rate * factor * direction))[1]
            if total >= best and not (factor < 1.0 and best == self.total(state)):
                break
            best, rate = min(total, best), rate * factor
        return rate / 4.0


@dataclass
class SubgradientMemory(ScaledMemory, RuleMemory):
    """What rates by distance over gradients remember.

    Attributes
    ----------
    origin : ndarray or None
        u before the first iteration.
    distance : float or None
        r, the greatest distance from `origin` so far; None before the first iteration.
    sum_of_squares : float
        Sum of |p|^2.
    """

    origin: np.ndarray | None = None
    distance: float | None = None
    sum_of_squares: float = 0.0


class Subgradient(ScaledSolver):
    """A rule on a non-smooth loss: rates from the distance covered over the gradients seen, r /
    sqrt(sum |p|^2).

    Ivgi, Hinder and Carmon (2023, DoG, equation 2) for gradient descent, with p the step that the
    rule takes at rate 1; the answer is the best point seen.
    """

    Memory = SubgradientMemory

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def advance(self, state):
        """One update: one pass."""
        memory, u, g = state.memory, state.memory.u, self.own_gradient(state)
        if memory.origin is None:
            memory.slots, memory.origin = empty_slots(self.rule, u.size), u.copy()
            memory.distance = 1e-3 * (1.0 + float(np.linalg.norm(u)))
        slots = memory.slots
        state.updates += 1
        scale = self.rule.begin(state.updates)
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, scale)
        memory.sum_of_squares += float(direction @ direction)
        memory.distance = max(memory.distance, float(np.linalg.norm(u - memory.origin)))
        rate = memory.distance / np.sqrt(memory.sum_of_squares + 1e-300)
        trial = self.proximal(
            u - rate * direction, self.rule.reach(slots, slice(None), rate, scale)
        )
        v, _, smooth, gradient = self.evaluate_at(trial)
        self.move(state, trial, v, smooth, gradient)
        state.rate = rate
        state.iteration += 1
