"""Dual variables between two ends, and their part of a Newton step on the central path.

sup over low <= s <= high of s u - bend s^2 / 2 is where u - bend s + a - b = 0 with multipliers a,
b >= 0 of the two ends; on the central path a (s - low) = b (high - s) = mu.  Each object follows
from the one before: `BoundedDuals` are the ends, `InteriorPoint` is where the variables are between
them, `Equations` are what a Newton step from there has to solve for a given mu.
"""

import numpy as np

# Share of the way to the nearest end that a step may go.
TO_THE_END = 0.995
# What is left between a variable and its end when rounding has taken it away.
TINY = 1e-30
# Between which multiples of mu the products that a step reaches are left as they are.
LEAST, MOST = 0.1, 10.0


class BoundedDuals:
    """Dual variables between two ends.

    Parameters
    ----------
    low, high : float or ndarray
        May be infinite; the multiplier of such an end is 0.
    bend : float

    Examples
    --------
    >>> duals, u = BoundedDuals(-1.0, 1.0, 0.0), np.array([0.0, 3.0])
    >>> point = duals.at(u, duals.start(u))
    >>> equations = point.equations(np.full((2, 2), 0.1))
    >>> change = equations.step(np.zeros(2))
    >>> round(point.longest(change), 2), (point.s + change[0]).round(2)
    (0.7, array([0. , 0.5]))
    """

    def __init__(self, low, high, bend):
        self.low, self.high, self.bend = low, high, bend
        self.ends = bool(np.isfinite(low).all()), bool(np.isfinite(high).all())

    def start(self, u):
        """Variables well inside, s first, an array."""
        weights = np.full(u.shape[-1], 1.0 / max(u.shape[-1], 1))
        ((_, variables),) = self.starts(lambda: [(..., u, weights)])
        return np.array(variables)

    def starts(self, tiles):
        """For each (where, u, weights) that `tiles()` gives: where, and a list of the variables
        well inside: s, and the multipliers of the two ends.

        There u - bend s + a - b = 0 if both ends are there; all weights sum to 1.
        """
        size = sum(_size(u, weights) for _, u, weights in tiles()) or 1.0
        least = (
            sum(_size(u - self.bend * self._middle(u, size), weights) for _, u, weights in tiles())
            or 1.0
        )
        for where, u, _ in tiles():
            s = self._middle(u, size)
            rest = u - self.bend * s
            sides = zip((-rest, rest), self.ends, strict=True)
            yield where, [s, *((np.maximum(one, 0.0) + least) * there for one, there in sides)]

    def centred(self, u, mu):
        """The variables on the central path at this u, whose products are all `mu` > 0: a list, for
        ends of which none is infinitely far and a bend of 0.

        Examples
        --------
        >>> s, a, b = BoundedDuals(0.0, 1.0, 0.0).centred(np.array([-2.0, 0.0, 2.0]), 0.5)
        >>> s.round(2), (b - a).round(2)
        (array([0.19, 0.5 , 0.81]), array([-2.,  0.,  2.]))
        """
        width = self.high - self.low
        far = 0.5 * width * np.abs(u) / mu
        root = np.hypot(1.0, far)
        # From the end that u pulls towards: without a difference, for it may be next to nothing.
        near = 0.5 * width * (1.0 + 1.0 / (root + far)) / (1.0 + root)
        above, pulled, other = u > 0.0, mu / near, mu / (width - near)
        s = np.where(above, self.high - near, self.low + near)
        return [s, np.where(above, other, pulled), np.where(above, pulled, other)]

    def _middle(self, u, size):
        if all(self.ends):
            return np.full(u.shape, 0.5 * (self.low + self.high))
        if self.ends[0]:
            return self.low + np.maximum(u / self.bend - self.low, 0.0) + size / self.bend
        return u / self.bend

    def at(self, u, variables):
        """The `InteriorPoint` with these variables, s first, at this u."""
        return InteriorPoint(self, u, variables)


class InteriorPoint:
    """Where dual variables are between their ends.

    Attributes
    ----------
    curvature : ndarray
        How much s changes with u where mu stays: the curvature of the smoothed supremum.
    """

    def __init__(self, duals, u, variables):
        self.duals, self.u, (self.s, self.a, self.b) = duals, u, variables
        self.to_low = np.maximum(self.s - duals.low, TINY)
        self.to_high = np.maximum(duals.high - self.s, TINY)
        # Divisions are what all this takes: each is made once.
        self.low_inverse, self.high_inverse = 1.0 / self.to_low, 1.0 / self.to_high
        self.low_curvature = self.a * self.low_inverse
        self.high_curvature = self.b * self.high_inverse
        self.curvature = 1.0 / (duals.bend + self.low_curvature + self.high_curvature)

    def equations(self, asked=None):
        """The `Equations` of a step to products a (s - low) and b (high - s) of 0, or as `asked`,
        (2, n).
        """
        return Equations(self, asked)

    def corrected(self, mu, step):
        """What to ask for: products of `mu`, where those of the changes of `step` count."""
        s, a, b = step
        return np.stack([mu - s * a, mu + s * b])

    def centred(self, asked, step, mu, share):
        """The same with more, or less, where the products at that share of a step to `asked` are
        far from `mu`; of ends none of which is infinitely far, as those of coefficients.
        """
        s, a, b = step
        reached = np.stack(
            [
                (self.to_low + share * s) * (self.a + share * a),
                (self.to_high - share * s) * (self.b + share * b),
            ]
        )
        return asked + centring(reached, mu)

    def products(self, step, weights):
        """Sum of what should be mu, a (s - low) and b (high - s), after a share t of a step: c0
        + c1 t + c2 t^2.
        """
        sums = np.zeros(3)
        for distance, move, multiplier, change in self._ends(step):
            own, other = multiplier * weights, change * weights
            sums += [
                np.vdot(own, distance),
                np.vdot(own, move) + np.vdot(other, distance),
                np.vdot(other, move),
            ]
        return sums

    def longest(self, step):
        """Share of a step at which the first variable reaches its end, at most 1."""
        fastest = 1.0
        for distance, move, multiplier, change in self._ends(step):
            # A multiplier of 0 that stays there is no number here, which `fmax` leaves out.
            for left, moved in ((distance, move), (multiplier, change)):
                fastest = np.fmax.reduce(-moved / left, axis=None, initial=fastest)
        return 1.0 / float(fastest)

    def _ends(self, step):
        """Of each end: how far it is, its multiplier, and how a step changes both."""
        s, a, b = step
        both = (self.to_low, s, self.a, a), (self.to_high, -s, self.b, b)
        return [end for end, there in zip(both, self.duals.ends, strict=True) if there]


class Equations:
    """What a Newton step of the variables has to solve: u + change - bend s + a - b = 0 and the
    products at mu, both to first order.
    """

    def __init__(self, point, asked=None):
        self.point, self.low_rest, self.high_rest = point, 0.0, 0.0
        if asked is not None:
            self.low_rest = asked[0] * point.low_inverse
            self.high_rest = asked[1] * point.high_inverse
        self.residual = point.u - point.duals.bend * point.s + self.low_rest - self.high_rest

    def target(self):
        """What s is to be where u does not change."""
        return self.point.s + self.point.curvature * self.residual

    def step(self, change):
        """Steps of the variables where u changes by `change`, a list."""
        point = self.point
        s = point.curvature * (change + self.residual)
        a = self.low_rest - point.a - point.low_curvature * s
        b = self.high_rest - point.b + point.high_curvature * s
        return [s, a, b]


def aimed_at(means, share):
    """Where mu is, and where the second step is to aim at: told by how far one to mu = 0 gets.

    Parameters
    ----------
    means : ndarray, (3,)
        `InteriorPoint.products` of that step, over the number of ends.
    share : float
        How much of it can be taken.
    """
    mu, ahead = float(means[0]), float(means @ [1.0, share, share**2])
    return mu, mu * (max(ahead, 0.0) / mu) ** 3 if mu > 0.0 else 0.0


def centring(products, mu):
    """How much more to ask for where a step reaches these products (Gondzio, 1996, "Multiple
    centrality corrections in a primal-dual method for linear programming").
    """
    return np.maximum(np.clip(products, LEAST * mu, MOST * mu) - products, -MOST * mu)


def _size(u, weights):
    return float((np.abs(u) @ weights).mean())
