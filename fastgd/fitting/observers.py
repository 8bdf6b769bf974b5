"""Who looks on while a fit runs: told about iterations and checks, between kernels and never from
one.
"""

import sys

import numpy as np

from fastgd.fitting.stopping import StopReason


class Watch:
    """Looks on while one target is fitted; this one sees nothing and stops nothing.

    `model` is a function that gives (coef, intercept) as they are, so that nobody pays for what
    nobody asks for.
    """

    def iteration_begins(self, model):
        """Hear that an iteration of the loop begins."""

    def iteration_ends(self, model):
        """Hear that it has ended; something true ends the run, after a check, a `StopReason` for
        that reason.
        """
        return False

    def checked(self, history):
        """Hear that the history has one more entry."""

    def run_ends(self, model):
        """Hear that this is the model that will be reported."""


class Together(Watch):
    """Several as one."""

    def __init__(self, *watches):
        self.watches = watches

    def iteration_begins(self, model):
        """Tell all."""
        for one in self.watches:
            one.iteration_begins(model)

    def iteration_ends(self, model):
        """Tell all; one is enough to end the run."""
        answers = [one.iteration_ends(model) for one in self.watches]
        return next(filter(None, answers), False)

    def checked(self, history):
        """Tell all."""
        for one in self.watches:
            one.checked(history)

    def run_ends(self, model):
        """Tell all."""
        for one in self.watches:
            one.run_ends(model)


class Ended(Watch):
    """Ends a run at the next iteration once an event is set."""

    def __init__(self, event):
        self.event = event

    def iteration_ends(self, model):
        """INTERRUPTED once the event is set."""
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

    def tell(self, solver, state):
        """Hear of the points of a run that begins, or of one with another plan that goes on."""
        if not self.models:
            self._keep(state.point)
        solver.tell = self._keep

    def _keep(self, point):
        coef, intercept = self.objective.model(point.copy())
        self.models.append((np.array(coef), intercept))


class NoRecorder:
    """Keeps nothing."""

    models = None

    def tell(self, solver, state):
        """Hear nothing."""


def line(begin, passes, objective, bound, seconds, end=""):
    """Print a line about a check in one write, so that lines of several threads stay whole."""
    sys.stdout.write(
        f"{begin}  passes {passes:8.1f}  objective {objective:.8g}  bound {bound:.2e}  seconds "
        f"{seconds:.2f}{end}\n"
    )
    sys.stdout.flush()


class Lines(Watch):
    """Prints a line at each `every`-th check.

    Parameters
    ----------
    every : int
    name : str
        What the line begins with where several models are fitted at once.

    Examples
    --------
    >>> from fastgd.fitting.history import History
    >>> history = History()
    >>> history.append(iteration=3, passes=4.5, objective=0.25, bound=1e-3, seconds=0.02)
    >>> Lines(1, "class 2  ").checked(history)
    class 2  iteration     3  passes      4.5  objective 0.25  bound 1.00e-03  seconds 0.02

    With held-out rows a line ends with the score on them.
    """

    def __init__(self, every, name=""):
        self.every, self.name = every, name

    def checked(self, history):
        """Print what the last check found, if its turn has come."""
        if len(history) % self.every == 0:
            begin = f"{self.name}iteration {int(history['iteration'][-1]):5d}"
            score = history["score"][-1]
            found = [history[key][-1] for key in ("passes", "objective", "bound", "seconds")]
            line(begin, *found, *([] if np.isnan(score) else [f"  score {score:.6g}"]))
