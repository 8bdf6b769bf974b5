"""Observers of a fit: told about iterations and checks, between kernels and never from one."""

import numpy as np

from fastgd.fitting.stopping import StopReason


class Watch:
    """Is told what happens while one target is fitted; this one, the base class, ignores it all.

    `model` is a function that gives (coef, intercept) as they are, so that nobody pays for what
    nobody asks for.
    """

    def planned(self, plan):
        """Hear by which plan the run begins, or goes on."""

    def iteration_begins(self, model):
        """Hear that an iteration of the loop begins."""

    def iteration_ends(self, model):
        """Hear that it has ended; something true ends the run, after a check, a `StopReason` for
        that reason.
        """
        return False

    def checked(self, history):
        """Hear that the history has one more entry."""

    def ended(self, result, model):
        """Hear what the run has found; `model` is the one that will be reported."""


class Together(Watch):
    """Several watches, told one after the other, that act as one."""

    def __init__(self, *watches):
        self.watches = watches

    def planned(self, plan):
        """Tell each watch the plan."""
        for one in self.watches:
            one.planned(plan)

    def iteration_begins(self, model):
        """Tell each watch that an iteration begins."""
        for one in self.watches:
            one.iteration_begins(model)

    def iteration_ends(self, model):
        """Tell each watch that an iteration has ended; the first true answer ends the run."""
        answers = [one.iteration_ends(model) for one in self.watches]
        return next(filter(None, answers), False)

    def checked(self, history):
        """Tell each watch that the history has one more entry."""
        for one in self.watches:
            one.checked(history)

    def ended(self, result, model):
        """Tell each watch what the run has found."""
        for one in self.watches:
            one.ended(result, model)


class Ended(Watch):
    """Ends a run at the next iteration once an event is set."""

    def __init__(self, event):
        self.event = event

    def iteration_ends(self, model):
        """`StopReason.INTERRUPTED` once the event is set, else False."""
        return StopReason.INTERRUPTED if self.event.is_set() else False


class Recorder:
    """Keeps the model after each update of a run, the one that it begins with first.

    Attributes
    ----------
    models : list of (coef, intercept)
        In the units of the user's columns.
    """

    def __init__(self, objective):
        self.objective = objective
        self.models: list = []

    def attach(self, solver, state):
        """Hear of the points of a run that begins, or of one with another plan that goes on."""
        if not self.models:
            self._keep(state.point)
        solver.on_update = self._keep

    def _keep(self, point):
        coef, intercept = self.objective.model(point.copy())
        self.models.append((np.array(coef), intercept))
