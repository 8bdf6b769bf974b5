"""What is left to fall, judged from the falls so far: how runs end that no proof ends."""

import numpy as np

from fastgd.fitting.stopping import StoppingRule, StopReason

# The largest ratio of falls that extrapolation believes. Falls are noisy: where they seem not to
# shrink, what is left is taken for 19 more of the last one.
MAX_RATIO = 0.95


class Extrapolated(StoppingRule):
    """What is left to fall, judged from the falls while the number of iterations doubled, is at
    most tol F / 2.

    `gap_scale(F)` is what falls are compared with: |F| itself by default.

    With f1 and f2 the last two of these falls and q = f2 / f1, a geometric series leaves f2 q / (1
    - q), which is f2 where errors fall as 1 / iterations; the larger of that and f2 is compared.
    The `estimate` is twice that: in 47 runs of one-row steps the truth was 0.4 of it in the median,
    and 6 times as much in one of twenty.
    """

    extrapolates = True

    def __init__(self, tol, gap_scale=abs):
        self.tol, self.gap_scale = tol, gap_scale

    def check(self, history):
        """PLATEAU by the checks at e, e / 2 and e / 4 iterations."""
        fall = self.remaining_fall(history)
        target_gap = 0.5 * self.tol / (1.0 + self.tol) * self.gap_scale(history["objective"][-1])
        return StopReason.PLATEAU if fall <= target_gap else None

    def estimate(self, history):
        """F - F* by estimate."""
        return 2.0 * self.remaining_fall(history)

    def remaining_fall(self, history):
        """What is left to fall after the last check, inf where checks before it tell nothing."""
        last = self._last(history)
        return np.inf if last is None else extrapolated_fall(*last)

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

    def __init__(self, tol, patient, gap_scale=abs):
        super().__init__(tol, gap_scale)
        self.patient = patient

    def check(self, history):
        """PLATEAU by the checks at e, e / 2 and e / 4 iterations."""
        target_gap = self.tol / (1.0 + self.tol) * self.gap_scale(history["objective"][-1])
        return (
            super().check(history)
            if not self.patient or self.estimate(history) <= target_gap
            else None
        )

    def estimate(self, history):
        """F - F* by estimate."""
        last = self._last(history)
        return np.inf if last is None else MAX_RATIO / (1.0 - MAX_RATIO) * abs(last[1] - last[2])


def extrapolated_fall(first, second, third):
    """What is left to fall after three objectives that lie as far apart as one step of a series.

    Examples
    --------
    >>> extrapolated_fall(1.75, 1.25, 1.125)
    0.125
    """
    earlier, fall = first - second, abs(second - third)
    ratio = min(fall / earlier, MAX_RATIO) if earlier > 0.0 else MAX_RATIO
    return fall * max(1.0, ratio / (1.0 - ratio))
