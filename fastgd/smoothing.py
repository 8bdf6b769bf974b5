"""Losses with corners, rounded from below: what solvers that need a derivative minimise in their stead.

With x the slack of a piecewise linear loss and s the derivative in it,

    value = x s - width s^2 / 2,    s = x / width, kept within the slopes of the loss

is never above the loss and at most width * slope^2 / 2 below it (Nesterov, 2005, "Smooth minimization of non-smooth
functions", section 2), so that a lower bound for the rounded objective is one for the objective itself.
"""

from typing import ClassVar

from fastgd.losses import SIGNS, EpsilonInsensitive, Hinge, Interval, Loss, Quantile


class SmoothedLoss(Loss, abstract=True):
    """A loss whose corners are rounded over `width`."""

    width: float = 1.0

    def __post_init__(self):
        if not self.width > 0.0:
            raise ValueError(f"{type(self).__name__} width must be positive, got {self.width}")

    @property
    def curvature_bound(self):  # type: ignore[override]
        """1 / width."""
        return 1.0 / self.width


class SmoothedHinge(SmoothedLoss):
    """Hinge with its corner rounded over a `width` below margin 1: x = 1 - margin, 0 <= s <= 1.

    Shalev-Shwartz and Zhang (2013), "Stochastic dual coordinate ascent methods", section 5.

    Parameters
    ----------
    width : float, default=1.0
        Positive; the loss is at most width / 2 below the hinge.
    """

    classification: ClassVar[bool] = True
    target_domain: ClassVar[Interval] = SIGNS

    def value(self, prediction, target):
        slack = max(1.0 - target * prediction, 0.0)
        share = min(slack / self.width, 1.0)
        return share * (slack - 0.5 * self.width * share)

    def derivative(self, prediction, target):
        return -target * min(max(1.0 - target * prediction, 0.0) / self.width, 1.0)

    def curvature(self, prediction, target):
        slack = 1.0 - target * prediction
        return 1.0 / self.width if 0.0 < slack < self.width else 0.0


class SmoothedEpsilonInsensitive(SmoothedLoss):
    """Epsilon-insensitive loss with its corners rounded outwards: x = abs(prediction - target) - epsilon, 0 <= s <= 1.

    Parameters
    ----------
    width : float, default=1.0
        Positive; the loss is at most width / 2 below the one with corners.
    epsilon : float, default=0.1
    """

    epsilon: float = 0.1

    def value(self, prediction, target):
        excess = max(abs(prediction - target) - self.epsilon, 0.0)
        share = min(excess / self.width, 1.0)
        return share * (excess - 0.5 * self.width * share)

    def derivative(self, prediction, target):
        residual = prediction - target
        share = min(max(abs(residual) - self.epsilon, 0.0) / self.width, 1.0)
        return share if residual > 0.0 else -share

    def curvature(self, prediction, target):
        excess = abs(prediction - target) - self.epsilon
        return 1.0 / self.width if 0.0 < excess < self.width else 0.0


class SmoothedQuantile(SmoothedLoss):
    """Quantile loss with its corner rounded: x = target - prediction, quantile - 1 <= s <= quantile.

    Parameters
    ----------
    width : float, default=1.0
        Positive; the loss is at most width / 2 below the one with the corner.
    quantile : float, default=0.5
    """

    quantile: float = 0.5

    def value(self, prediction, target):
        residual = target - prediction
        share = min(max(residual / self.width, self.quantile - 1.0), self.quantile)
        return share * (residual - 0.5 * self.width * share)

    def derivative(self, prediction, target):
        return -min(max((target - prediction) / self.width, self.quantile - 1.0), self.quantile)

    def curvature(self, prediction, target):
        share = (target - prediction) / self.width
        return 1.0 / self.width if self.quantile - 1.0 < share < self.quantile else 0.0


def smoothed(loss, width):
    """`loss` with its corners rounded over `width`, or None for a loss that this module does not know.

    Examples
    --------
    >>> smoothed(Hinge(), 0.1)
    SmoothedHinge(width=0.1)
    """
    if type(loss) is Hinge:
        return SmoothedHinge(width)
    if type(loss) is EpsilonInsensitive:
        return SmoothedEpsilonInsensitive(width, loss.epsilon)
    if type(loss) is Quantile:
        return SmoothedQuantile(width, loss.quantile)
    return None
