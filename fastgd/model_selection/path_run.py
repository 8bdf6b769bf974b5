"""A run for one alpha of a regularisation path, by a solver that goes on from the last alpha."""

import numpy as np

from fastgd.fitting.default_rules import rules_along_path
from fastgd.fitting.loop import Loop
from fastgd.fitting.observers import Ended
from fastgd.fitting.task import Run


class PathRuns:
    """Runs for one target, or several with one model, for one alpha after the other.

    Parameters
    ----------
    plan : Plan
    task : Task
    objective : Objective
        Its alpha changes from run to run.
    k : int
        Number of the target.
    stop : threading.Event
        Ends a run.
    """

    def __init__(self, plan, task, objective, k, stop):
        self.plan, self.task, self.objective = plan, task, objective
        self.k, self.stop = k, stop

    def descend(self, solver, state, certifier, passes_before):
        """The `Run` from a state, whose result keeps none."""
        task, F = self.task, self.objective
        descent = Loop(
            solver,
            rules_along_path(task, F),
            max_iter=task.max_iter,
            tol=task.settings.tol,
            score=None if task.score is None else lambda v: task.score(F, v, self.k),
            watch=Ended(self.stop),
            passes_before=passes_before,
            certifier=certifier,
        )
        result = descent.run(state)
        result.state = None
        coef, intercept = F.model(result.point)
        return Run(self.plan, result, state.updates, np.array(coef), intercept)
