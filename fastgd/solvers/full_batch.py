"""Any update rule on all rows: with a schedule as taught, with a line search, or with rates that back off by themselves."""

import numpy as np

from fastgd.solvers import Solver
from fastgd.solvers.scaled import ScaledSolver

SUFFICIENT = 1e-4
# A rate that works grows by a little, one that fails is halved.
GROWTH, CUT = 1.1, 0.5
LOOK_BACK = 5


def decay_of(objective, v, gradient):
    """Derivative of the smooth part of the penalty at `v`, and the gradient of the loss alone."""
    decay = np.zeros_like(gradient)
    n_coef = objective.n_features * objective.n_predictions
    if objective.elastic:
        decay[:n_coef] = objective.l2 * v[:n_coef]
    return gradient - decay, decay


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

    adapts = False

    def __init__(self, objective, rule, schedule, patience=None):
        super().__init__(objective)
        self.rule, self.schedule, self.patience = rule, schedule, patience

    def start(self, point):
        """State with empty slots of the rule."""
        state = super().start(point)
        state.memory["slots"] = np.zeros((max(self.rule.slots, 1), state.point.size))
        state.memory["divisor"] = 1.0
        return state

    def turn(self, state):
        """One update: one pass."""
        F, memory = self.objective, state.memory
        update = state.updates + 1
        rate = self.schedule.rate(update) / memory["divisor"]
        scale = self.rule.begin(update)
        gradient, decay = decay_of(F, state.point, state.gradient)
        with np.errstate(all="ignore"):
            point = state.point - self.rule.step(memory["slots"], slice(None), gradient, decay, rate, scale)
            reach = self.rule.reach(memory["slots"], slice(None), rate, scale)
            n_coef = F.n_features * F.n_predictions
            state.point = F.proximal(point, reach[:n_coef] if np.ndim(reach) else reach)
        state.value, state.gradient = F.smooth_and_gradient(state.point)
        state.rate, state.updates, state.turn = rate, update, state.turn + 1
        if self.patience is not None:
            self.patience.look(memory, state.value + F.rest_value(state.point))


class Patience:
    """`learning_rate="adaptive"`: the rate is divided by 5 after `n_iter_no_change` turns without an improvement by tol F.

    As in scikit-learn's SGDClassifier, `exhausted` says that the rate has become too small to go on.
    """

    LEAST_RATE = 1e-6

    def __init__(self, eta0, tol, n_iter_no_change):
        self.eta0, self.tol, self.n_iter_no_change = eta0, tol, n_iter_no_change

    def look(self, memory, objective):
        """Note the objective of a turn and cut the rate where it is due."""
        best = memory.get("best_objective", np.inf)
        stalled = self.tol is not None and objective > best - self.tol * abs(best)
        memory["stalled"] = memory.get("stalled", 0) + 1 if stalled else 0
        memory["best_objective"] = min(best, objective)
        if memory["stalled"] >= self.n_iter_no_change:
            memory["stalled"] = 0
            memory["exhausted"] = self.eta0 / memory["divisor"] <= self.LEAST_RATE
            memory["divisor"] *= 5.0


class LineSearch(Solver):
    """A rule's direction with a step found by halving until F falls enough (Armijo, 1966)."""

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def start(self, point):
        """State with empty slots of the rule."""
        state = super().start(point)
        state.memory["slots"] = np.zeros((max(self.rule.slots, 1), state.point.size))
        return state

    def turn(self, state):
        """One update; each trial is one pass."""
        F, memory = self.objective, state.memory
        gradient, decay = decay_of(F, state.point, state.gradient)
        scale = self.rule.begin(state.updates + 1)
        direction = self.rule.step(memory["slots"], slice(None), gradient, decay, 1.0, scale)
        if float(direction @ state.gradient) <= 0.0:
            memory["slots"][:] = 0.0
            direction = state.gradient.copy()
        total = state.value + F.rest_value(state.point)
        rate = 2.0 * memory.get("rate", 0.5)
        while True:
            point = F.proximal(state.point - rate * direction, rate)
            value, new_gradient = F.smooth_and_gradient(point)
            step = state.point - point
            fall = SUFFICIENT * min(float(step @ state.gradient), float(step @ step) / rate)
            if value + F.rest_value(point) <= total - max(fall, 0.0) + 1e-15 * abs(total):
                break
            rate *= CUT
            if rate < 1e-300 or not step.any():
                point, value, new_gradient, rate = state.point, state.value, state.gradient, 1.0
                memory["slots"][:] = 0.0
                break
        state.point, state.value, state.gradient = point, value, new_gradient
        state.rate = memory["rate"] = rate
        state.turn += 1
        state.updates += 1


class BackingOff(ScaledSolver):
    """A rule in standard coordinates whose rate grows while F falls and is halved, the rule's memory cleared, when F rises."""

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def turn(self, state):
        """One accepted update; each trial is one pass."""
        memory, u, g = state.memory, state.memory["u"], self.own_gradient(state)
        values = memory.setdefault("values", [self.total(state)])
        slots = memory.setdefault("slots", np.zeros((max(self.rule.slots, 1), u.size)))
        memory.setdefault("since", 0)
        rate = memory["rate"] if "rate" in memory else self._first_rate(state, u, g)
        while True:
            kept = slots.copy()
            scale = self.rule.begin(memory["since"] + 1)
            trial = u - self.rule.step(slots, slice(None), g, 0.0, rate, scale)
            reach = self.rule.reach(slots, slice(None), rate, scale)
            trial = self.proximal(
                trial, reach[: trial.size - self.objective.fit_intercept] if np.ndim(reach) else reach
            )
            v, total, smooth, gradient = self.evaluate_at(trial)
            if total <= max(values) + 1e-15 * abs(values[-1]):
                break
            slots[:] = kept if memory["since"] == 0 else 0.0
            memory["since"] = 0
            rate *= CUT
            if rate < 1e-300:
                trial, v, smooth, gradient, total = u, state.point, state.value, state.gradient, values[-1]
                break
        self.move(state, trial, v, smooth, gradient)
        memory["values"] = [*values, total][-LOOK_BACK:]
        memory["since"] += 1
        memory["rate"] = rate * GROWTH
        state.rate, state.turn, state.updates = rate, state.turn + 1, state.updates + 1

    def _first_rate(self, state, u, g):
        """Best of the rates 4^k for the first step of the rule, found by walking from 1 while F falls."""
        slots = np.zeros_like(state.memory["slots"])
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, self.rule.begin(1))
        best, rate, factor = self.total(state), 1.0, 4.0
        if self.evaluate_at(u - direction)[1] > best:
            factor = 0.25
        for _ in range(60):
            total = self.evaluate_at(u - rate * factor * direction)[1]
            if total >= best and not (factor < 1.0 and best == self.total(state)):
                break
            best, rate = min(total, best), rate * factor
        return rate / 4.0


class Subgradient(ScaledSolver):
    """A rule on a loss with corners: rates from the distance covered over the gradients seen, r / sqrt(sum |p|^2).

    Ivgi, Hinder and Carmon (2023, DoG, equation 2) for gradient descent, with p the step that the rule takes at rate 1; the answer is
    the best point seen.
    """

    def __init__(self, objective, rule):
        super().__init__(objective)
        self.rule = rule

    def turn(self, state):
        """One update: one pass."""
        memory, u, g = state.memory, state.memory["u"], self.own_gradient(state)
        slots = memory.setdefault("slots", np.zeros((max(self.rule.slots, 1), u.size)))
        origin = memory.setdefault("origin", u.copy())
        state.updates += 1
        direction = self.rule.step(slots, slice(None), g, 0.0, 1.0, self.rule.begin(state.updates))
        memory["seen"] = memory.get("seen", 0.0) + float(direction @ direction)
        reach = max(memory.get("reach", 1e-3 * (1.0 + float(np.linalg.norm(u)))), float(np.linalg.norm(u - origin)))
        memory["reach"] = reach
        rate = reach / np.sqrt(memory["seen"] + 1e-300)
        trial = self.proximal(u - rate * direction, rate)
        v, _, smooth, gradient = self.evaluate_at(trial)
        self.move(state, trial, v, smooth, gradient)
        state.rate = rate
        state.turn += 1
