"""What a run found, and the error where it found nothing."""

from dataclasses import dataclass
from typing import Any

from fastgd.certificates.bound import Bound
from fastgd.fitting.history import History
from fastgd.fitting.stopping import StopReason
from fastgd.runtime.array_shapes import shaped
from fastgd.runtime.public import public
from fastgd.solvers.base import State


@public
class DivergenceError(ValueError, FloatingPointError):
    """The objective is not finite, beyond 1e10 times that of the null model (the best one without
    columns), or above it and still growing.

    Parameters
    ----------
    message : str
    history : dict of ndarray

    Attributes
    ----------
    history : dict of ndarray
        What the checks before it saw, as `history_` of a fitted estimator.

    Examples
    --------
    >>> from fastgd import GDRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 4.0]
    >>> try:
    ...     GDRegressor(solver="gd", learning_rate="constant", eta0=10.0).fit(X, y)
    ... except DivergenceError as error:
    ...     print("objective" in error.history)
    True
    """

    def __init__(self, message, history):
        super().__init__(message)
        self.history = history

    def __reduce__(self):  # a worker of joblib that raises it sends it as a pickle
        return type(self), (self.args[0], self.history), self.__dict__


@dataclass
@shaped(point="u")
class Result:
    """What a run found.

    Attributes
    ----------
    point : ndarray or None
        Unknowns, in the user's units; None once the coefficients are kept elsewhere.
    objective : float
        F at the point.
    bound : Bound
        How far F can be above its minimum: a proof, or the estimate on which the run ended.
    suboptimality : float
        bound / max(F - bound, 1e-4 F0).
    reason : StopReason
    history : History
        Its bounds are proved.
    state : State or None
        From which the run can be resumed; None after an interruption.
    advice : str
        For the warning of a fit that did not reach tol: a remedy for this run, "" for none.
    doubt : float
        What the objective may be wrong by; the bound takes it in.
    to_go : float or None
        What was left at its own pace, in passes' worth of time, where the plan was left for one
        that is expected to be there first.
    """

    point: Any
    objective: float
    bound: Bound
    suboptimality: float
    reason: StopReason
    history: History
    state: State | None
    advice: str = ""
    doubt: float = 0.0
    to_go: float | None = None

    @property
    def rounded(self):
        """Whether what is proved to be left is no more than what F is rounded by: nothing brings
        it closer.
        """
        return is_rounding(self.bound, self.doubt)


def is_rounding(bound, doubt):
    """Whether what is proved to be left is no more than what F is rounded by."""
    return bound.proved and bound.value <= 2.0 * doubt
