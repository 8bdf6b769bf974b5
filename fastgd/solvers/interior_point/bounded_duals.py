"""Dual variables between two ends, and their part of a Newton step on the central path.

sup over low <= s <= high of s u - bend s^2 / 2 is where u - bend s + a - b = 0 with multipliers a,
b >= 0 of the two ends; on the central path a (s - low) = b (high - s) = mu.
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
        self.ends = bool(np.isfinite(low)), bool(np.isfinite(high))

    def start(self, u):
        """Variables well inside, s first, an array."""
        weights = np.full(u.shape[-1], 1.0 / max(u.shape[-1], 1))
        ((_, variables),) = self.starts(lambda: [(..., u, weights)])
        return np.array(variables)

    def starts(self, looks):
        """For each (where, u, weights) that `looks()` gives: where, and a list of the variables
        well inside.

        There u - bend s + a - b = 0 if both ends are there; all weights sum to 1.
        """
        size = sum(_size(u, weights) for _, u, weights in looks()) or 1.0
        room = (
            sum(_size(u - self.bend * self._middle(u, size), weights) for _, u, weights in looks())
            or 1.0
        )
        for where, u, _ in looks():
            s = self._middle(u, size)
            left = u - self.bend * s
            a, b = (np.maximum(side, 0.0) + room for side in (-left, left))
            yield where, self._listed(s, a, b)

    def _middle(self, u, size):
        if all(self.ends):
            return np.full(u.shape, 0.5 * (self.low + self.high))
        if self.ends[0]:
            return self.low + np.maximum(u / self.bend - self.low, 0.0) + size / self.bend
        return u / self.bend

    def look(self, u, variables):
        """Note where the variables are; what follows belongs there."""
        self.u, (self.s, self.a, self.b) = u, self._padded(variables)
        self._to_low = np.maximum(self.s - self.low, TINY) if self.ends[0] else 1.0
        self._to_high = np.maximum(self.high - self.s, TINY) if self.ends[1] else 1.0
        # Divisions are what all this takes: each is made once.
        self._low_inverse, self._high_inverse = 1.0 / self._to_low, 1.0 / self._to_high
        self._low_bend, self._high_bend = self.a * self._low_inverse, self.b * self._high_inverse
        self.curvature = np.broadcast_to(
            1.0 / (self.bend + self._low_bend + self._high_bend), u.shape
        )

    def aim(self, mu, last=None):
        """What s is to be at unchanged u by at unchanged u; `last` is a step whose products are
        taken into account.
        """
        self._below = self._above = 0.0
        if mu != 0.0 or last is not None:
            s, a, b = (0.0, 0.0, 0.0) if last is None else self._padded(last)
            self._below = (mu - s * a) * self._low_inverse if self.ends[0] else 0.0
            self._above = (mu + s * b) * self._high_inverse if self.ends[1] else 0.0
        self._pull = self.u - self.bend * self.s + self._below - self._above
        return self.s + self.curvature * self._pull

    def step(self, change):
        """Steps of the variables where u changes by `change`, a list."""
        s = self.curvature * (change + self._pull)
        a, b = self._below - self.a - self._low_bend * s, self._above - self.b + self._high_bend * s
        return self._listed(s, a, b)

    def products(self, step, weights):
        """Sum of what should be mu, a (s - low) and b (high - s), after a share t of a step: c0
        + c1 t + c2 t^2.
        """
        sums = np.zeros(3)
        for room, move, multiplier, change in self._ends(step):
            own, other = multiplier * weights, change * weights
            sums += [
                np.vdot(own, room),
                np.vdot(own, move) + np.vdot(other, room),
                np.vdot(other, move),
            ]
        return sums

    def longest(self, step):
        """Share of a step at which the first variable reaches its end, at most 1."""
        fastest = 1.0
        for room, move, multiplier, change in self._ends(step):
            # A multiplier of 0 that stays there is no number here, which `fmax` leaves out.
            for left, way in ((room, move), (multiplier, change)):
                fastest = np.fmax.reduce(-way / left, axis=None, initial=fastest)
        return 1.0 / float(fastest)

    def _ends(self, step):
        """Of each end: how far it is, its multiplier, and how a step changes both."""
        s, a, b = self._padded(step)
        both = (self._to_low, s, self.a, a), (self._to_high, -s, self.b, b)
        return [end for end, there in zip(both, self.ends, strict=True) if there]

    def _listed(self, s, a, b):
        """The variables in a list: s, and the multipliers of the ends that there are."""
        return [s, *([a] if self.ends[0] else []), *([b] if self.ends[1] else [])]

    def _padded(self, variables):
        """(s, a, b), 0 for the multiplier of an end that is infinitely far."""
        s, *others = variables
        a = others.pop(0) if self.ends[0] else 0.0
        return s, a, others[0] if self.ends[1] else 0.0


def aimed_at(means, share):
    """Where mu is, and where the second step is to aim at: told by how far one to mu = 0 gets.

    Parameters
    ----------
    means : ndarray, (3,)
        `Box.products` of that step, over the number of ends.
    share : float
        How much of it can be taken.
    """
    mu, ahead = float(means[0]), float(means @ [1.0, share, share**2])
    return mu, mu * (max(ahead, 0.0) / mu) ** 3 if mu > 0.0 else 0.0


def _size(u, weights):
    return float((np.abs(u) @ weights).mean())
