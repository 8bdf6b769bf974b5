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


class Capped(StepLength):
    """The scheduled rate times the weight, but never beyond where the row's own loss would be its
    infimum: (value - infimum) / (derivative^2 |x|^2).

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
        if self.looks > 0.0 and rate * weight * abs(derivative) * abs(change) > above:
            return above / change
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
