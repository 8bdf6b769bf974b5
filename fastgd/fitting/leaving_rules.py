"""Rules by which `auto` leaves a plan: where it brings no more, and where another one is expected
to be there first.
"""

import bisect
import itertools
import statistics

import numpy as np

from fastgd.fitting.stopping import StoppingRule, StopReason

# A rule that is asked after each iteration reads no more of them: of 50,000 it took 8 ms.
LOOKED_AT = 16


class Stalled(StoppingRule):
    """Neither the objective nor its bound has come closer in a dozen checks, though tol is not
    proved: a wrong plan.

    So are more than `most` checks, where there is another plan that needs fewer; where `so_far()`
    tells what they took beside their passes, not before all that is `WAITED` times what the other
    plan takes, `other()`, in passes' worth of time.
    """

    CHECKS = 12
    # By checks alone working sets with few rows were left for interior points after a worth of 48
    # passes, which then took 7,100 where another 1,360 would have done, after 180 (2,300; 110) and
    # after 50 (600; 5).
    WAITED = 0.5
    needs_point = False

    def __init__(self, tol, most=np.inf, gap_scale=abs, so_far=None, other=None):
        self.tol, self.most, self.gap_scale = tol, most, gap_scale
        self.so_far, self.other = so_far, other

    def check(self, history):
        """PLATEAU where a dozen checks brought less than a tenth of tol, and the bound has not
        even halved.
        """
        objective, gaps = history["objective"], history["suboptimality"]
        if len(objective) >= self.most and self._waited(history["passes"][-1]):
            return StopReason.PLATEAU
        # Values on samples of the rows are of other objectives, and may be lower.
        last = history["batch"][-2 * self.CHECKS - 1 :]
        alike = sum(1 for _ in itertools.takewhile(lambda batch: batch == last[-1], last[::-1]))
        objective, gaps = objective[-alike:], gaps[-alike:]
        if len(objective) <= self.CHECKS or not np.isfinite(gaps[-self.CHECKS - 1]):
            return None
        # The least of either dozen: where rounding makes F jump up and down, the last ones differ
        # by that alone.
        earlier, later = slice(None, -self.CHECKS), slice(-self.CHECKS, None)
        fall = min(objective[earlier]) - min(objective[later])
        closer = min(gaps[later]) <= 0.5 * min(gaps[earlier])
        return (
            None
            if closer or fall > 0.1 * self.tol * self.gap_scale(objective[-1])
            else StopReason.PLATEAU
        )

    def _waited(self, passes):
        if self.so_far is None:
            return True
        return passes + self.so_far() >= self.WAITED * self.other()


class LeavingRule(StoppingRule):
    """A rule by which the plan is left for one that is expected to be there first."""

    hands_over = True


class Overdue(LeavingRule):
    """More than was forecast, and by its own pace more is left than another plan takes: a wrong
    plan.

    The pace is the rate at which the bound came closer by the solver's estimates, as a geometric
    series, since the last iteration with half as many passes. Whatever it promises, `MAX_TIMES`
    times what the two plans are said to take are enough; where it promises more than
    `HOPELESS_TIMES` times the other plan, the forecast is not waited for. Nor is it where `most`
    iterations hardly hold what is left at this pace. No pace counts before `TRIED` of what the
    other plan takes is spent.

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
    most : float
        Iterations that the run of this plan may take.
    """

    # A pace slows: dual ascent on 17,680 columns was at 0.068 after 256 iterations and promised to
    # be at 1e-4 after 411 more; after 1,000 it was at 2.4e-4.
    SLOWER = 2.0
    MAX_TIMES = 8.0
    HOPELESS_TIMES = 2.0
    LATE_TIMES = 1.0
    TRIED = 0.25
    # Estimates of so many iterations tell of a pace.
    MIN_ESTIMATES = 4
    reads_estimates = True

    def __init__(self, tol, forecast, other, worth=1.0, most=np.inf):
        self.tol, self.forecast, self.other, self.worth = tol, forecast, other, worth
        self.most = most

    def check(self, history):
        """PLATEAU where the plan is left for the other one."""
        passes = history.estimates["passes"]
        if len(passes) < self.MIN_ESTIMATES:
            return None
        spent = self.worth * passes[-1]
        remaining = self.remaining_passes(history)
        if remaining == 0.0 and spent <= self.MAX_TIMES * self.forecast:
            return None
        other = self.other()
        if spent > self.MAX_TIMES * max(self.forecast, other):
            return StopReason.PLATEAU
        # Before, to leave costs more than to look on: quantiles of 4,437 rows, told 30 passes, were
        # left at 133 for what is told 2,437, and were there after 216.
        tried = spent > self.TRIED * other
        due = spent > min(self.forecast, other)
        if remaining == np.inf:  # which early on tells nothing
            half_done = 2 * len(passes) > self.most and other < np.inf
            return StopReason.PLATEAU if due and (tried or half_done) else None
        if not tried:
            return None
        times = self.LATE_TIMES if due else self.HOPELESS_TIMES
        late = remaining > times * other or self._lasts_too_long(history, remaining)
        return StopReason.PLATEAU if late else None

    def _lasts_too_long(self, history, remaining):
        """Whether the run may end before what is left at its pace, which slows, is done."""
        passes = history.estimates["passes"]
        done = len(passes)
        return done + self.SLOWER * remaining / self.worth * done / passes[-1] > self.most

    def to_go(self, history):
        """What is left at its own pace; None where nothing came closer."""
        remaining = self.remaining_passes(history)
        return remaining if remaining < np.inf else None

    def remaining_passes(self, history):
        """What is left at the pace of the last passes, in passes' worth of time; inf where nothing
        came closer, 0 where there is nothing yet to compare a bound with.
        """
        passes, far = history.estimates["passes"], history.estimates["suboptimality"]
        half = bisect.bisect_right(passes, 0.5 * passes[-1])
        if half == 0 and np.isfinite(far[-1]):
            return 0.0
        earlier, recent = _some_of_last(far, 0, half), _some_of_last(far, half, len(far))
        if not (earlier and recent):
            return np.inf
        fell_from = statistics.median(far[k] for k in earlier)
        left = statistics.median(far[k] for k in recent)
        if not left < fell_from:
            return np.inf
        # The middle places: both lists go backwards.
        took = passes[recent[len(recent) // 2]] - passes[earlier[len(earlier) // 2]]
        pace = np.log(fell_from / left) / took
        return float(self.worth * np.log(max(left / self.tol, 1.0)) / pace)


def _some_of_last(far, start, stop):
    """Places of the last three estimates there, whose middle one counts, for one of them may be far
    off; of fewer the last one. Those before the last `LOOKED_AT` are too old to tell.
    """
    places = []
    for k in range(stop - 1, max(start, stop - LOOKED_AT) - 1, -1):
        if 0.0 < far[k] < np.inf:
            places.append(k)
        if len(places) == 3:
            return places
    return places[:1]


class EarlyOverdue(Overdue):
    """`Overdue` for a plan that was tried first since its iterations tell early what it takes.

    The fits of `EARLY_MARGIN` in `choose_solver` decided the numbers. Others are not judged so: a
    modified Huber loss of 1,295 rows was left at 110 passes by these, and proved after 519.
    """

    HOPELESS_TIMES = 1.5
    LATE_TIMES = 1.5
    TRIED = 0.1


class Outgrown(LeavingRule):
    """What the solver forecasts anew, by what its run has found out, is more than its forecast and
    more than another plan takes: a wrong plan.

    That of an interior point method on a few columns, of which more join: an iteration on all of
    them may take a thousand times as much as one of the first.

    Parameters
    ----------
    forecast : float
        What it was to take, in passes' worth of time.
    other : callable
        What another plan takes, in that unit.
    left : callable
        What is left, as the solver forecasts it now.
    """

    def __init__(self, forecast, other, left):
        self.forecast, self.other, self.left = forecast, other, left

    def check(self, history):
        """PLATEAU where the plan is left for the other one."""
        left = self.left()
        grown = left > self.forecast
        return StopReason.PLATEAU if grown and left > self.other() else None

    def to_go(self, history):
        """What is left, as the solver forecasts it."""
        return self.left()


class Outpaced(LeavingRule):
    """The passes so far, and the epochs that noise alone adds to them, are worth the whole of
    another plan.

    Parameters
    ----------
    other : float
        What the other plan takes, in passes' worth of time.
    noise : float
        Epochs after which noise alone is as small as `tol` asks for.
    most : int
        Most iterations of both in this fit: the last one is nobody else's.
    """

    # Where noise alone comes down in so many epochs, these updates have eight times as many of
    # their own: 426 and 569 rows of 30 columns are proved to be within 1 % after 32 to 128 of them.
    FEW_NOISE_EPOCHS = 32
    MIN_OWN_EPOCHS = 256

    def __init__(self, other, noise, most):
        self.other, self.noise, self.most = other, noise, most
        self.least = self.MIN_OWN_EPOCHS if noise <= self.FEW_NOISE_EPOCHS else 0

    def check(self, history):
        """PLATEAU where the plan is left for the other one."""
        if not self.least <= history.done < self.most:
            return None
        # A warm start goes on with the averages of the fit before.
        to_come = max(self.noise - history["iteration"][-1], 0.0)
        return StopReason.PLATEAU if history["passes"][-1] + to_come >= self.other else None


class Slow(LeavingRule):
    """By the pace at which F falls more is left than another plan takes: a wrong plan.

    That of Newton's method where curvature jumps: its steps tell nothing of the next ones, and it
    either finds the pieces that rows are on, in a dozen iterations, or goes on for hundreds. And
    that of methods of past gradients which have taken what was forecast: matrices are forecast
    well, they are not. The pace is that of the falls of the last checks, as a geometric series.

    Parameters
    ----------
    tol : float
    other : float, or callable
        What the other plan takes, in passes' worth of time; a callable is asked once there is a
        pace, for the answer may read rows.
    more : float
        What an iteration takes beside its passes, in that unit.
    gap_scale : callable
        Of a value of F: what falls are compared with.
    forecast : float
        What it takes, in that unit, before which this plan is not looked at.
    so_far : callable, optional
        In place of `more`: what all iterations took beside their passes.  Then the pace is not
        trusted before `TRIED` of what the other plan takes is spent.

    Notes
    -----
    Falls that grow tell no pace: with them the plan is not left before that, either.  Of 160 fits
    of losses whose curvature jumps, with what else the same day brought, 7 changed: to 0.12 to 0.83
    of their passes' worth, 0.95 and 0.98 of all on two halves.  Of 100 of fresh seeds 2 changed, to
    1.00 and 1.03.
    """

    CHECKS = 4
    MIN_CHECKS = 10
    TRIED = 0.25
    needs_point = False

    def __init__(self, tol, other, more, gap_scale=abs, forecast=0.0, so_far=None):
        self.tol, self.other, self.more, self.gap_scale = tol, other, more, gap_scale
        self.forecast, self.so_far = forecast, so_far

    def check(self, history):
        """PLATEAU where the plan is left for the other one."""
        batch, passes = history["batch"], history["passes"]
        if not passes or passes[-1] + self._overhead(passes) < self.forecast:
            return None
        # Values on samples of the rows are of other objectives.
        last = batch[-2 * self.CHECKS - 1 :]
        if len(batch) < max(self.MIN_CHECKS, 2 * self.CHECKS + 1) or last[0] != last[-1]:
            return None
        other = self.other() if callable(self.other) else self.other
        remaining = self.remaining_passes(history)
        tried = passes[-1] + self._overhead(passes) >= self.TRIED * other
        if not tried and (self.so_far is not None or remaining == np.inf):
            return None
        return StopReason.PLATEAU if remaining > other else None

    def to_go(self, history):
        """What is left at its own pace; 0 where falls have grown of late, which no pace tells."""
        remaining = self.remaining_passes(history)
        return remaining if remaining < np.inf else 0.0

    def remaining_passes(self, history):
        """What is left at the pace of the last falls, in passes' worth of time."""
        values, passes = history["objective"], history["passes"]
        k = self.CHECKS
        before, fallen = values[-2 * k - 1] - values[-k - 1], values[-k - 1] - values[-1]
        target = self.tol * self.gap_scale(values[-1])
        if fallen <= target:  # it is there, or stands still, of which others tell
            return 0.0
        if not fallen < before:
            return np.inf
        rest = fallen * fallen / (before - fallen)
        checks = k * np.log(max(rest / target, 1.0)) / np.log(before / fallen)
        each = (passes[-1] - passes[-k - 1]) / k + self._overhead(passes) / len(passes)
        return float(checks * each)

    def _overhead(self, passes):
        """What the iterations took beside their passes."""
        return self.more * len(passes) if self.so_far is None else self.so_far()
