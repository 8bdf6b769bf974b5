"""What a fit is asked for, and what is stored of its runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.fitting.loop import LoopState
from fastgd.fitting.observers import Watch
from fastgd.fitting.plan import Settings
from fastgd.fitting.replan import PlanRecord
from fastgd.objective.objective import Measured
from fastgd.runtime.array_shapes import shaped


@dataclass
class Task:
    """What all targets of a fit share.

    Attributes
    ----------
    loss : Loss or VectorLoss
    penalty : Penalty
    rows : Rows
    settings : Settings
    alpha : float
    fit_intercept : bool
    max_iter : int
        Iterations at most.
    max_time : float or None
        Seconds at most.
    stop_rules : tuple of StoppingRule
        The user's own.
    score : callable or None
        `score(objective, v, k)` on validation rows, for early stopping.
    watch : callable or None
        `watch(k)` is the Watch of target `k`.
    n_threads : int
    notes : tuple of str
        What else plans are to tell.
    keeps_states : bool
        Whether a later fit may go on with what solvers keep.
    data : str or None
        A hash of X, where one may.
    checkpoint : Checkpoint or None
        Where runs are saved, and restored from.
    keep : float
        What earlier chunks still count as in a stream that forgets.
    in_place : bool
        Whether the states are of chunks, whose arrays nobody else holds.
    records : bool
        Whether the models after each update are kept.
    n_models : int
        How many targets are fitted.
    """

    loss: Any
    penalty: Any
    rows: Any
    settings: Settings
    alpha: float
    fit_intercept: bool
    max_iter: int = 1000
    max_time: float | None = None
    stop_rules: tuple = ()
    score: Callable | None = None
    watch: Callable[[int], Watch] | None = None
    n_threads: int = 1
    notes: tuple = ()
    keeps_states: bool = True
    data: str | None = None
    checkpoint: Any = None
    keep: float = 1.0
    in_place: bool = False
    records: bool = False
    n_models: int = 1


@dataclass
@shaped(coef="d | d k", intercept="k")
class Run:
    """One target's part of a fit.

    Attributes
    ----------
    plan : Plan
        The last one.
    result : Result
    updates : int
        Of the unknowns so far, by all plans.
    coef : ndarray, (d,), or (d, K) for a vector loss
    intercept : float, or ndarray, (K,)
    path : list of tuple, or None
        (coef, intercept) after each update, where they are recorded.
    """

    plan: object
    result: object
    updates: int
    coef: np.ndarray
    intercept: object
    path: list | None = None


@dataclass
class SavedRun:
    """One target's run that is under way.

    Attributes
    ----------
    record : PlanRecord
        Its plans so far.
    begun : Measured
        What the objective knew when the solver of the last one was made.
    loop_state : LoopState
        That one.
    """

    record: PlanRecord
    begun: Measured
    loop_state: LoopState
