"""Stopping: why a fit ends, and the rules for it.  Plain Python, applied once per check."""

import enum
import itertools

import numpy as np

from fastgd.runtime.public import public

# The largest ratio of falls that extrapolation believes. Falls are noisy: where they seem not to
# shrink, what is left is taken for 19 more of the last one.
GREATEST_RATIO = 0.95


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


@public
class StoppingRule:
    """A rule that ends a fit, for `stop=` of an estimator: a class with `check`.

    Attributes
    ----------
    needs : frozenset of str
        What is measured for it: "every_iteration" (a check after every iteration, which costs
        stochastic solvers a pass each), "score" (of the validation rows) and "loss" (the mean loss
        without the penalty).
    needs_point : bool
        Whether checks have to evaluate the point; if not, what a solver knows of F will do, and
        such checks cost no pass.
    first_look : int
        Iteration at which the checks of a solver begin that tells when it is nearly done.
    deadline : float
        Seconds after which the iteration under way is the last one.
    extrapolates : bool
        Whether its reason rests on falls of F alone: where steps are the solver's own a proof is
        tried first, and else its `estimate(history)` of F - F* is held against others.
    hands_over : bool
        Whether its reason is that another plan is expected to be there first: no proof is tried
        then.

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

    needs: frozenset = frozenset()
    needs_point = True
    first_look = 8
    deadline = np.inf
    extrapolates = False
    hands_over = False

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

    def to_go(self, history):
        """What a rule that `hands_over` expects to be left, in passes' worth of time; None where it
        does not know.
        """
        return None


class Tolerance(StoppingRule):
    """Certified relative suboptimality of at most `tol`."""

    needs_point = False

    def __init__(self, tol):
        self.tol = tol

    def check(self, history):
        """CONVERGED once the last suboptimality is small enough."""
        return StopReason.CONVERGED if history["suboptimality"][-1] <= self.tol else None


class Extrapolated(StoppingRule):
    """What is left to fall, judged from the falls while the number of iterations doubled, is at
    most tol F / 2.

    `unit(F)` is the unit of falls: |F| itself by default.

    With f1 and f2 the last two of these falls and q = f2 / f1, a geometric series leaves f2 q / (1
    - q), which is f2 where errors fall as 1 / iterations; the larger of that and f2 is compared.
    The `estimate` is twice that: in 47 runs of one-row steps the truth was 0.4 of it in the median,
    and 6 times as much in one of twenty.
    """

    extrapolates = True

    def __init__(self, tol, unit=abs):
        self.tol, self.unit = tol, unit

    def check(self, history):
        """PLATEAU by the checks at e, e / 2 and e / 4 iterations."""
        left = self.left(history)
        enough = 0.5 * self.tol / (1.0 + self.tol) * self.unit(history["objective"][-1])
        return StopReason.PLATEAU if left <= enough else None

    def estimate(self, history):
        """F - F* by estimate."""
        return 2.0 * self.left(history)

    def left(self, history):
        """What is left to fall after the last check, inf where checks before it tell nothing."""
        last = self._last(history)
        return np.inf if last is None else left_to_fall(*last)

    @staticmethod
    def _last(history):
        """Objectives after e / 4, e / 2 and e iterations, or None."""
        objective = dict(zip(history["iteration"], history["objective"], strict=True))
        rate = dict(zip(history["iteration"], history["rate"], strict=True))
        iteration = history["iteration"][-1]
        if iteration % 4 or iteration // 2 not in objective or iteration // 4 not in objective:
            return None
        # Falls at rates that differ by more than a schedule's sqrt(2) per doubling cannot be
        # compared.
        if not 0.5 <= rate[iteration] / rate[iteration // 2] <= 2.0:
            return None
        return [objective[one] for one in (iteration // 4, iteration // 2, iteration)]


class Cautious(Extrapolated):
    """For full batches, whose F may stand still for long before it falls on: estimates are larger.

    That is 19 times the last fall, as if the series hardly converged: steps over gradients that do
    not go to 0 were once 560 times as far from the optimum as estimated (hinge).  The `patient` go
    on until that is at most tol F, which takes steps that converge a few iterations more; others
    would take 19 times as many, and end where `Extrapolated` does.
    """

    def __init__(self, tol, patient, unit=abs):
        super().__init__(tol, unit)
        self.patient = patient

    def check(self, history):
        """PLATEAU by the checks at e, e / 2 and e / 4 iterations."""
        enough = self.tol / (1.0 + self.tol) * self.unit(history["objective"][-1])
        return (
            super().check(history) if not self.patient or self.estimate(history) <= enough else None
        )

    def estimate(self, history):
        """F - F* by estimate."""
        last = self._last(history)
        return (
            np.inf
            if last is None
            else GREATEST_RATIO / (1.0 - GREATEST_RATIO) * abs(last[1] - last[2])
        )


def left_to_fall(first, second, third):
    """What is left to fall after three objectives that lie as far apart as one step of a series.

    Examples
    --------
    >>> left_to_fall(1.75, 1.25, 1.125)
    0.125
    """
    earlier, fall = first - second, abs(second - third)
    ratio = min(fall / earlier, GREATEST_RATIO) if earlier > 0.0 else GREATEST_RATIO
    return fall * max(1.0, ratio / (1.0 - ratio))


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


class Stalled(StoppingRule):
    """Neither the objective nor its bound has come closer in a dozen checks, though tol is not
    proved: a wrong plan.

    So are more than `most` checks, where there is another plan that needs fewer.
    """

    CHECKS = 12
    needs_point = False

    def __init__(self, tol, most=np.inf, unit=abs):
        self.tol, self.most, self.unit = tol, most, unit

    def check(self, history):
        """PLATEAU where a dozen checks brought less than a tenth of tol, and the bound has not
        even halved.
        """
        objective, left = history["objective"], history["suboptimality"]
        if len(objective) >= self.most:
            return StopReason.PLATEAU
        # Values on samples of the rows are of other objectives, and may be lower.
        last = history["batch"][-2 * self.CHECKS - 1 :]
        whole = sum(1 for _ in itertools.takewhile(lambda batch: batch == last[-1], last[::-1]))
        objective, left = objective[-whole:], left[-whole:]
        if len(objective) <= self.CHECKS or not np.isfinite(left[-self.CHECKS - 1]):
            return None
        # The least of either dozen: where rounding makes F jump up and down, the last ones differ
        # by that alone.
        earlier, later = slice(None, -self.CHECKS), slice(-self.CHECKS, None)
        fall = min(objective[earlier]) - min(objective[later])
        closer = min(left[later]) <= 0.5 * min(left[earlier])
        return (
            None
            if closer or fall > 0.1 * self.tol * self.unit(objective[-1])
            else StopReason.PLATEAU
        )


class Overdue(StoppingRule):
    """More than was forecast, and by its own pace more is left than another plan takes: a wrong
    plan.

    The pace is the rate at which the bound came closer, as a geometric series, since the last check
    with half as many passes. Whatever it promises, `MOST` times what the two plans are said to take
    are enough; where it promises more than `HOPELESS` times the other plan, that forecast is not
    waited for once `TRIED` of what the other one takes is spent.

    Parameters
    ----------
    tol : float
    forecast : float
        What this plan takes, in passes' worth of time.
    other : callable
        What another plan takes, inf where there is none: asked for once there is a pace, for the
        answer may read rows (4 % of a fit to texts in which dual ascent takes three checks).
    worth : float
        What a pass of this plan takes in that unit.
    """

    MOST = 8.0
    HOPELESS = 2.0
    TRIED = 0.25
    # Iterations tell of a pace only if they are looked at.
    first_look = 4
    hands_over = True

    def __init__(self, tol, forecast, other, worth=1.0):
        self.tol, self.forecast, self.other, self.worth = tol, forecast, other, worth

    def check(self, history):
        """PLATEAU where the other plan is expected to be there first."""
        spent = self.worth * history["passes"][-1]
        left = self.left(history)
        if left == 0.0 and spent <= self.MOST * self.forecast:
            return None
        other = self.other()
        if spent > self.MOST * max(self.forecast, other):
            return StopReason.PLATEAU
        if spent > min(self.forecast, other):
            return StopReason.PLATEAU if left > other else None
        tried = spent > self.TRIED * other
        hopeless = tried and self.HOPELESS * other < left < np.inf
        return StopReason.PLATEAU if hopeless else None

    def to_go(self, history):
        """What is left at its own pace; None where nothing came closer."""
        left = self.left(history)
        return left if left < np.inf else None

    def left(self, history):
        """What is left at the pace of the last passes, in passes' worth of time; inf where nothing
        came closer, 0 where there is nothing yet to compare a bound with.
        """
        passes, far = np.array(history["passes"]), np.array(history["suboptimality"])
        half = passes <= 0.5 * passes[-1]
        if not half.any() and np.isfinite(far[-1]):
            return 0.0
        before = np.flatnonzero(half & np.isfinite(far))
        if not before.size or not 0.0 < far[-1] < far[before[-1]]:
            return np.inf
        pace = np.log(far[before[-1]] / far[-1]) / (passes[-1] - passes[before[-1]])
        return float(self.worth * np.log(max(far[-1] / self.tol, 1.0)) / pace)


class Outpaced(StoppingRule):
    """The passes so far, and the epochs that noise alone adds to them, are worth the whole of
    another plan.

    Parameters
    ----------
    other : float
        What the other plan takes, in passes' worth of time.
    noise : float
        Epochs after which noise alone is as small as `tol` asks for.
    most : int
        Most iterations of both: the last one is nobody else's.
    """

    # Where noise alone comes down in so many epochs, these updates have eight times as many of
    # their own: 426 and 569 rows of 30 columns are proved to be within 1 % after 32 to 128 of them.
    FEW, OWN = 32, 256
    hands_over = True

    def __init__(self, other, noise, most):
        self.other, self.noise, self.most = other, noise, most
        self.least = self.OWN if noise <= self.FEW else 0

    def check(self, history):
        """PLATEAU where the other plan is expected to be there first."""
        epochs = history["iteration"][-1]
        if not self.least <= epochs < self.most:
            return None
        to_come = max(self.noise - epochs, 0.0)
        return StopReason.PLATEAU if history["passes"][-1] + to_come >= self.other else None


class Slow(StoppingRule):
    """By the pace at which F falls more is left than another plan takes: a wrong plan.

    That of Newton's method where curvature jumps: its steps tell nothing of the next ones, and it
    either finds the pieces that rows are on, in a dozen iterations, or goes on for hundreds. And
    that of methods of past gradients which have taken what was forecast: matrices are forecast
    well, they are not. The pace is that of the falls of the last checks, as a geometric series.

    Parameters
    ----------
    tol : float
    other : float
        What the other plan takes, in passes' worth of time.
    more : float
        What an iteration takes beside its passes, in that unit.
    unit : callable
        Of distances at a value of F.
    forecast : float
        What it takes, in that unit, before which this plan is not looked at.
    """

    CHECKS = 4
    LEAST = 10
    needs_point = False
    hands_over = True

    def __init__(self, tol, other, more, unit=abs, forecast=0.0):
        self.tol, self.other, self.more, self.unit = tol, other, more, unit
        self.forecast = forecast

    def check(self, history):
        """PLATEAU where the other plan is expected to be there first."""
        batch, passes = history["batch"], history["passes"]
        if not passes or passes[-1] + self.more * len(passes) < self.forecast:
            return None
        # Values on samples of the rows are of other objectives.
        last = batch[-2 * self.CHECKS - 1 :]
        if len(batch) < max(self.LEAST, 2 * self.CHECKS + 1) or last[0] != last[-1]:
            return None
        return StopReason.PLATEAU if self.left(history) > self.other else None

    def to_go(self, history):
        """What is left at its own pace; 0 where falls have grown of late, which no pace tells."""
        left = self.left(history)
        return left if left < np.inf else 0.0

    def left(self, history):
        """What is left at the pace of the last falls, in passes' worth of time."""
        values, passes = history["objective"], history["passes"]
        k = self.CHECKS
        before, fallen = values[-2 * k - 1] - values[-k - 1], values[-k - 1] - values[-1]
        target = self.tol * self.unit(values[-1])
        if fallen <= target:  # it is there, or stands still, of which others tell
            return 0.0
        if not fallen < before:
            return np.inf
        rest = fallen * fallen / (before - fallen)
        checks = k * np.log(max(rest / target, 1.0)) / np.log(before / fallen)
        each = (passes[-1] - passes[-k - 1]) / k + self.more
        return float(checks * each)


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
        recent = max(score[-self.n_iter_no_change :])
        return (
            StopReason.VALIDATION
            if recent <= max(score[: -self.n_iter_no_change]) + self.tol
            else None
        )


class TimeLimit(StoppingRule):
    """At most `seconds` of wall clock: the only rule that looks at it."""

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
