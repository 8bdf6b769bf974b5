"""Newton's method along a regularisation path: value, gradient and curvature of the mean loss are
kept from one alpha to the next.

They are the same for every alpha, only the penalty's part changes.  So a step from the last optimum
with the last matrix is a step along the path, for one pass, and the matrix still estimates how far
the next optimum is.
"""

from dataclasses import replace

import numpy as np

from fastgd.certificates.bound import NO_BOUND, Bound
from fastgd.certificates.certifier import Certifier
from fastgd.certificates.estimates import caution
from fastgd.linalg.bordered import BorderedFactor
from fastgd.model_selection.path_run import PathRuns
from fastgd.solvers.base import Curvature
from fastgd.solvers.growing_batch import of_all_rows
from fastgd.solvers.newton.cholesky import Newton, NewtonMemory
from fastgd.solvers.newton.elimination import Elimination, EliminationOfSquares
from fastgd.solvers.newton.least_squares import (
    LeastSquares,
    LeastSquaresMemory,
    least_squares_applies,
)


class NewtonPath(PathRuns):
    """Runs of Newton's method for one target, for one alpha after the other.

    Parameters
    ----------
    plan : Plan
        Of the run that comes before.
    task : Task
    objective : Objective
        Of that run; its alpha changes from now on.
    state : State
        Where that run ended.
    k : int
        Number of the target.
    stop : threading.Event
        Ends a run.
    """

    def __init__(self, plan, task, objective, state, k, stop):
        reasons = (
            *plan.reasons,
            "steps begin at the model, and with the curvature, of the last alpha",
        )
        plan = replace(plan, batch_size="full", reasons=reasons)
        super().__init__(plan, task, objective, k, stop)
        self.state = state
        tol = task.settings.tol or 0.0
        self.solver = _solver(state.memory, objective, tol)
        self.certifier = PathCertifier(objective, tol or None)
        self.solver.resume(state)

    @classmethod
    def after(cls, run, task, objective, k, stop):
        """What goes on from a run of `objective`; None where it did not end with a positive
        definite matrix, and for losses that are not convex.
        """
        F = objective
        if run.plan.solver != Newton.name or run.result.state is None:
            return None
        if not F.elastic or Newton.refusal(F) is not None:
            return None
        # The matrix of such a loss bounds nothing, so that these runs went on to `max_iter`: 1000
        # iterations where a fit takes 16, whose stopping rules look at its falls.
        if not F.convex:
            return None
        state = of_all_rows(run.result.state)
        memory = state.memory
        factor = memory.factor if isinstance(memory, NewtonMemory) else None
        if factor is None or not factor.full:
            return None
        return cls(run.plan, task, objective, state, k, stop)

    def run(self, alpha):
        """Fit with another alpha, from where the last fit ended: a `fastgd.fitting.task.Run`."""
        self._follow(alpha)
        return self.descend(self.solver, self.state, self.certifier, self.objective.passes)

    def _follow(self, alpha):
        """Make what is remembered that of the objective with this alpha: no pass."""
        F = self.objective
        state = self.state
        before = F.l2
        F.set_alpha(alpha)
        diagonal_shift = np.zeros(F.size)
        diagonal_shift[: F.n_features] = F.l2 - before
        self.solver.follow(state, diagonal_shift)
        state.iteration = state.updates = 0
        state.run.best = None


class PathNewton(Newton):
    """Newton's method whose matrix is known even where it is not exact: good enough for an
    estimate.
    """

    def progress(self, state):
        """As Newton's, with the matrix at hand where it is not exact."""
        memory = state.memory
        anchor = memory.anchor if memory.exact else None
        return super().progress(state)._replace(curvature=Curvature(memory.factor, anchor))


class PathElimination(PathNewton, Elimination):
    """The same where exclusive columns are eliminated."""


def _solver(memory, objective, tol):
    """Newton's method with matrices of the form that the last one has, and with what it remembers:
    of some of the rows, where a run may end, least squares are no more than another loss.
    """
    bordered = isinstance(memory.factor, BorderedFactor)
    if isinstance(memory, LeastSquaresMemory) and least_squares_applies(objective, tol):
        return (EliminationOfSquares if bordered else LeastSquares)(objective, tol)
    return (PathElimination if bordered else PathNewton)(objective, tol)


class PathCertifier(Certifier):
    """A certifier that is content with an estimate where a proof would cost passes of its own."""

    may_center = False  # the next step brings more than the best intercept

    def __init__(self, objective, tol):
        super().__init__(objective, tol)
        self.newton.measures_rows = False

    def _from_known(self, known, check):
        """As `Certifier._from_known` without a pass; else, with caution, half the squared decrement
        as an estimate.
        """
        F, (factor, anchor) = self.objective, known
        if not factor.full:
            return NO_BOUND
        if anchor is not None:  # else the matrix may be that of a sample of the rows
            proved = super()._from_known(known, check)
            if proved.value <= self.target_gap(check) or F.loss.self_concordance == 0.0:
                return proved
        likely = 0.5 * caution(F.loss) * factor.norm_of(check.gradient) ** 2
        return Bound(likely, "estimate") if likely <= self.target_gap(check) else NO_BOUND
