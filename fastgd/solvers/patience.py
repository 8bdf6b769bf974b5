"""What happens where progress stalls: the rate is divided, or the run ends."""

from dataclasses import dataclass

import numpy as np


@dataclass
class PlateauMemory:
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

    def begin(self, of=None):
        """Know nothing of an objective, which is told from others by `of`, or of none."""
        vars(self).update(vars(PlateauMemory(of=of)))


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

    MIN_RATE = 1e-6

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
            memory.begin(of)
        elif state.done:
            memory.n_stalled = 0
        state.done = False

    def look(self, state, objective):
        """Note the objective of an iteration and cut the rate where it is due; `state.memory` is
        a `PlateauMemory`.
        """
        memory = state.memory
        best = memory.best_objective
        margin = (self.tol or 0.0) * (abs(best) if self.relative else 1.0)
        stalled = self.tol is not None and objective > best - margin
        memory.n_stalled = memory.n_stalled + 1 if stalled else 0
        memory.best_objective = min(best, objective)
        if memory.n_stalled >= self.n_iter_no_change:
            memory.n_stalled = 0
            state.done = not self.cuts or self.eta0 / memory.divisor <= self.MIN_RATE
            memory.divisor *= 5.0 if self.cuts else 1.0


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
