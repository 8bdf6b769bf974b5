"""How long a step of one row is: scheduled, capped or passive-aggressive."""

import numpy as np

from fastgd.runtime.component import Component


class StepLength(Component, family=True):
    """Family of one-sample step lengths, for plain gradient descent with one row per step.

    `multiple` is the multiple of the row that is subtracted from the coefficients.
    """

    def multiple(self, rate, value, derivative, squared_norm, weight):
        """Multiple of the row to subtract: from the scheduled rate, the row's loss and
        derivative, its squared norm and its weight.
        """
        return rate * derivative * weight

    def uses_row(self):
        """Whether `multiple` looks at the loss and the norm; when not, kernels compute neither."""
        return False


class Scheduled(StepLength):
    """The rate of the schedule, nothing else."""


# A row that counts more than once may go so many times as far: steps to a row's hyperplane
# converge below 2 times.  The geometric mean of what 20 epochs leave, of 24 problems with weights,
# with 1, 1.5 and no cap of the weighted step, with which one row of 1e9 among ones takes F to 1e55:
# hinge 6.1, 4.6 and 5.3e-3, squared error 1.13, 0.95 and 0.92e-4, three other losses within 7 %.
RELAXED = 1.5


class Capped(StepLength):
    """The scheduled rate times the weight, but never beyond where the row's own loss would be its
    infimum, (value - infimum) / (derivative^2 |x|^2), or `RELAXED` times as far where it counts
    more.

    A Polyak step (Loizou et al., 2021, equation 5 with c = 1): no rate, however large, makes one
    row explode. `intercept_rate` is what the intercept adds to the squared norm. With `looks` 0 it
    is known that no row comes near: an epoch takes half as long. Nor does any where there is no
    infimum, or nobody declared one.
    """

    intercept_rate: float = 0.0
    looks: float = 1.0
    infimum: float = 0.0

    def multiple(self, rate, value, derivative, squared_norm, weight):
        change = derivative * (squared_norm + self.intercept_rate)
        above = max(value - self.infimum, 0.0)
        most = above if weight <= 1.0 else min(weight, RELAXED) * above
        if self.looks > 0.0 and rate * weight * abs(derivative) * abs(change) > most:
            return most / change
        return rate * derivative * weight

    def uses_row(self):
        return self.looks > 0.0


class Pa1(StepLength):
    """Passive-aggressive I: min(rate, value / |x|^2) against the derivative's sign.

    Crammer et al. (2006), "Online passive-aggressive algorithms", equation 14.
    """

    def multiple(self, rate, value, derivative, squared_norm, weight):
        length = min(rate, value / max(squared_norm, 1e-300))
        # An empty row moves nothing, not even the intercept.
        return length * np.sign(derivative) * (squared_norm > 0.0) * weight

    def uses_row(self):
        return True


class Pa2(StepLength):
    """Passive-aggressive II: value / (|x|^2 + 1 / (2 rate)) against the derivative's sign.

    Crammer et al. (2006), "Online passive-aggressive algorithms", equation 15.
    """

    def multiple(self, rate, value, derivative, squared_norm, weight):
        return value / (squared_norm + 0.5 / rate) * np.sign(derivative) * weight

    def uses_row(self):
        return True
