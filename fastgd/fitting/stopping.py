"""Stopping: why a fit ends, and the rules for it.  Plain Python, applied once per check."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fastgd.runtime.public import public


@public
class StopReason(enum.Enum):
    """Why a fit ended; the value is the sentence for people.

    Examples
    --------
    >>> StopReason.TIME.value
    'max_time was reached'
    """

    CONVERGED = "the objective is within tol of the optimum"
    PLATEAU = "the objective no longer falls by more than tol"
    VALIDATION = "the score on the validation rows no longer improves"
    MAX_ITER = "max_iter was reached"
    TIME = "max_time was reached"
    CALLBACK = "a callback asked to stop"
    RULE = "the rule given as stop was met"
    INTERRUPTED = "the fit was interrupted from the keyboard"


class LoopRule:
    """Attributes that the loop reads of a rule; a user's rule inherits these defaults.

    Attributes
    ----------
    deadline : float
        Seconds after which the iteration under way is the last one.
    extrapolates : bool
        Whether its reason rests on falls of F alone: where steps are the solver's own a proof is
        tried first, and else its `estimate(history)` of F - F* is held against others.
    hands_over : bool
        Whether by its reason the plan is left for one that is expected to be there first: no proof
        is tried then.
    reads_estimates : bool
        Whether it looks at what the solver estimates after each iteration (`History.estimates`):
        where it would end the run, a check is due.
    """

    deadline = np.inf
    extrapolates = False
    hands_over = False
    reads_estimates = False

    def to_go(self, history):
        """What a rule that `hands_over` expects to be left, in passes' worth of time; None where it
        does not know.
        """
        return None


@public
class StoppingRule(LoopRule):
    """A rule that ends a fit, for `stop=` of an estimator: a class with `check`.

    Attributes
    ----------
    needs : frozenset of str
        What is measured for it: "every_iteration" (a check after every iteration, which costs
        stochastic solvers a pass each), "score" (of the validation rows) and "loss" (the mean loss
        without the penalty).
    needs_point : bool
        Whether checks have to evaluate the point, as by default; if not, what a solver knows of F
        will do, and such checks cost no pass.

    Examples
    --------
    The end of a fit whose objective fell by less than a tenth:

    >>> from fastgd import GDRegressor
    >>> class Slower(StoppingRule):
    ...     needs = frozenset({"every_iteration"})
    ...
    ...     def check(self, history):
    ...         F = history["objective"]
    ...         return StopReason.RULE if len(F) > 1 and F[-1] > 0.9 * F[-2] else None
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 9.0]
    >>> steps = {"solver": "gd", "batch_size": "full", "learning_rate": "constant", "eta0": 0.05}
    >>> GDRegressor(**steps, stop=Slower()).fit(X, y).stop_reason_
    <StopReason.RULE: 'the rule given as stop was met'>
    """

    needs: frozenset[str] = frozenset()
    needs_point = True

    def check(self, history):
        """Why the fit ends here, asked at each check.

        Parameters
        ----------
        history : mapping of str to list of float
            What was measured at each check so far: "iteration", "passes", "seconds", "objective",
            "bound", "suboptimality", "rate" and "batch"; "score" and "loss", NaN where nothing
            needs them.  Its length is the number of checks.

        Returns
        -------
        StopReason or None
            None to go on.
        """
        raise NotImplementedError


# One of those that `stop=` takes.
Stop: TypeAlias = StoppingRule | Callable[[dict[str, Any]], Any]


class Tolerance(StoppingRule):
    """Certified relative suboptimality of at most `tol`."""

    needs_point = False

    def __init__(self, tol):
        self.tol = tol

    def check(self, history):
        """CONVERGED once the last suboptimality is small enough."""
        return StopReason.CONVERGED if history["suboptimality"][-1] <= self.tol else None


class NoMistakes(StoppingRule):
    """A mean loss of 0: no row is on the wrong side."""

    needs = frozenset({"every_iteration", "loss"})

    def check(self, history):
        """PLATEAU when the last epoch left no mistake."""
        return StopReason.PLATEAU if history["loss"][-1] == 0.0 else None


class Plateau(StoppingRule):
    """No improvement of the best objective by more than tol F in `n_iter_no_change` checks in a
    row.
    """

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change

    def check(self, history):
        """PLATEAU when the last checks brought nothing."""
        objective = history["objective"]
        if len(objective) <= self.n_iter_no_change:
            return None
        before = min(objective[: -self.n_iter_no_change])
        return (
            StopReason.PLATEAU
            if before - min(objective[-self.n_iter_no_change :]) <= self.tol * abs(before)
            else None
        )


class Validation(StoppingRule):
    """No improvement of the best validation score by more than `tol` in `n_iter_no_change`
    checks in a row.
    """

    needs = frozenset({"every_iteration", "score"})

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change

    def check(self, history):
        """VALIDATION when the last scores brought nothing."""
        score = history["score"]
        if len(score) <= self.n_iter_no_change:
            return None
        # Beside numbers a score that is none is passed over.
        before = np.fmax.reduce(score[: -self.n_iter_no_change])
        recent = np.fmax.reduce(score[-self.n_iter_no_change :])
        return StopReason.VALIDATION if recent <= before + self.tol else None


class TimeLimit(StoppingRule):
    """At most `seconds`, compiling aside: the only rule that looks at a clock."""

    needs_point = False

    def __init__(self, seconds):
        self.deadline = seconds

    def check(self, history):
        """TIME once the last check came later."""
        return StopReason.TIME if history["seconds"][-1] >= self.deadline else None


class UserRule(StoppingRule):
    """A function of the history arrays that says whether to stop."""

    needs = frozenset({"every_iteration"})

    def __init__(self, function):
        self.function = function

    def check(self, history):
        """RULE when the user's function returns something true."""
        return StopReason.RULE if self.function(history.arrays()) else None


def user_rules(stop):
    """Turn the `stop` argument (None, a function, a rule, or several) into a list of rules."""
    rules = []
    for one in stop if isinstance(stop, list | tuple) else [] if stop is None else [stop]:
        if isinstance(one, StoppingRule):
            rules.append(one)
        elif callable(one) and not isinstance(one, type):
            rules.append(UserRule(one))
        else:
            raise ValueError(
                "stop must be a StoppingRule, a function of the history, or a list of them, got "
                f"{one!r}"
            )
    return rules
