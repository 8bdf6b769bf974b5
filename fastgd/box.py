"""Dual variables between two ends, and their part of a Newton step on the central path.

sup over low <= s <= high of s u - bend s^2 / 2 is where u - bend s + a - b = 0 with multipliers a, b >= 0 of the two
ends; on the central path a (s - low) = b (high - s) = mu.
"""

import numpy as np

# Share of the way to the nearest end that a step may go.
TO_THE_END = 0.995
# What is left between a variable and its end when rounding has taken it away.
TINY = 1e-30


class Box:
    """Dual variables between two ends: their part of a Newton step.

    Parameters
    ----------
    low, high : float
        May be infinite.
    bend : float
    """

    def __init__(self, low, high, bend):
        self.low, self.high, self.bend = low, high, bend

    def start(self, u, weights):
        """(s, a, b) well inside, with u - bend s + a - b = 0 where both ends are there; `weights` sum to 1."""
        if np.isfinite(self.low) and np.isfinite(self.high):
            s = np.full(u.shape, 0.5 * (self.low + self.high))
        elif np.isfinite(self.low):
            s = self.low + np.maximum(u / self.bend - self.low, 0.0) + _size(u, weights) / self.bend
        else:
            s = u / self.bend
        left = u - self.bend * s
        room = _size(left, weights)
        none = np.zeros_like(u)
        a = np.maximum(-left, 0.0) + room if np.isfinite(self.low) else none
        b = np.maximum(left, 0.0) + room if np.isfinite(self.high) else none
        return np.stack([s, a, b])

    def look(self, u, duals):
        """Note where the variables are; `direction` and what follows belong there."""
        self.u, (self.s, self.a, self.b) = u, duals
        # An end that is infinitely far needs no multiplier.
        self.to_low = np.maximum(self.s - self.low, TINY) if np.isfinite(self.low) else np.ones(1)
        self.to_high = np.maximum(self.high - self.s, TINY) if np.isfinite(self.high) else np.ones(1)
        self.curvature = 1.0 / (self.bend + self.a / self.to_low + self.b / self.to_high)

    def products(self, duals=None):
        """What should be mu: a (s - low) and b (high - s), (2, ...); empty where an end is infinite."""
        s, a, b = (self.s, self.a, self.b) if duals is None else duals
        ends = [a * (s - self.low)] if np.isfinite(self.low) else []
        ends += [b * (self.high - s)] if np.isfinite(self.high) else []
        return np.stack(ends) if ends else np.zeros((0, *s.shape))

    def aim(self, mu, last=None):
        """What s is to be at unchanged u by at unchanged u; `last` is a step whose products are taken into account."""
        below, above = (0.0, 0.0) if last is None else (last[0] * last[1], last[0] * last[2])
        self._below = (mu - below) / self.to_low if np.isfinite(self.low) else 0.0
        self._above = (mu + above) / self.to_high if np.isfinite(self.high) else 0.0
        self._pull = self.u - self.bend * self.s + self._below - self._above
        return self.s + self.curvature * self._pull

    def step(self, change):
        """Steps of (s, a, b) where u changes by `change`."""
        s = self.curvature * (change + self._pull)
        return np.stack([
            s,
            self._below - self.a * (1.0 + s / self.to_low) if np.isfinite(self.low) else np.zeros_like(s),
            self._above - self.b * (1.0 - s / self.to_high) if np.isfinite(self.high) else np.zeros_like(s),
        ])  # fmt: skip

    def longest(self, step):
        """Share of a step at which the first variable reaches its end, at most 1."""
        share, (s, a, b) = 1.0, step
        pairs = [(self.to_low, s), (self.a, a)] if np.isfinite(self.low) else []
        pairs += [(self.to_high, -s), (self.b, b)] if np.isfinite(self.high) else []
        for room, change in pairs:
            falls = change < 0.0
            if falls.any():
                share = min(share, float(np.min(np.broadcast_to(room, change.shape)[falls] / -change[falls])))
        return share


def _size(u, weights):
    return float((np.abs(u) @ weights).mean()) or 1.0
