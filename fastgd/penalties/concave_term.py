"""MCP and SCAD on whole arrays: piecewise quadratic in |w|, flat beyond gamma alpha."""

import itertools

import numpy as np

from fastgd.penalties.term import Term
from fastgd.penalties.weighted_term import soft


class ConcaveTerm(Term):
    """A penalty of |w| that is quadratic between `knots`.

    Parameters
    ----------
    alpha : float
        The derivative at 0, positive.
    gamma : float
    """

    smooth = False
    convex = False
    stationary = True
    knots: tuple[float, ...]

    def __init__(self, alpha, gamma):
        self.alpha, self.gamma = alpha, gamma

    def __repr__(self):
        return f"{type(self).__name__}({self.alpha!r}, {self.gamma!r})"

    def sizes_value(self, size):
        """The penalty of each |w|."""
        raise NotImplementedError

    def derivative(self, size):
        """The derivative of the penalty in each |w|."""
        raise NotImplementedError

    def pieces(self):
        """Of each piece in |w| where it begins, the derivative there, the second derivative, and
        the value where it begins: four arrays.
        """
        lows = np.array([0.0, *self.knots])
        derivatives = np.array([float(self.derivative(np.float64(low))) for low in lows])
        bends = np.append(np.diff(derivatives) / np.diff(lows), 0.0)
        return lows, derivatives, bends, self.sizes_value(lows)

    def smooth_value(self, coef):
        """The number 0, for no part of it is smooth."""
        return 0.0

    def rest_value(self, coef):
        """The whole penalty: no part of it is smooth."""
        return float(self.sizes_value(np.abs(coef)).sum())

    def gradient(self, coef):
        """Zeros, for no part of it is smooth."""
        return np.zeros(coef.size)

    def add_gradient(self, coef, gradient):
        """Leave `gradient` as it is and return 0: no part of it is smooth."""
        return 0.0

    def curvature(self, coef):
        """The number 0, for no part of it is smooth."""
        return 0.0

    def prox(self, coef, rates):
        """The lowest of what is least in each of the pieces, 0 of equally low ones.

        In a piece, rate (derivative u + bend u^2 / 2) + (u - c)^2 / 2 is least at one point where
        it is convex, else at an end.
        """
        size, rates = np.abs(coef), np.broadcast_to(rates, coef.shape)
        best, lowest = np.zeros(coef.size), 0.5 * size**2
        ends = (0.0, *self.knots, np.inf)
        for low, high in itertools.pairwise(ends):
            derivative = float(self.derivative(np.float64(low)))
            bend = (
                (float(self.derivative(np.float64(high))) - derivative) / (high - low)
                if high < np.inf
                else 0.0
            )
            curved = 1.0 + rates * bend
            inner = np.where(curved > 0.0, size - rates * (derivative - bend * low), 0.0)
            inner = np.clip(inner / np.where(curved > 0.0, curved, 1.0), low, high)
            for there in (inner, np.full(size.size, high if high < np.inf else low)):
                height = rates * self.sizes_value(there) + 0.5 * (there - size) ** 2
                better = height < lowest
                best[better], lowest[better] = there[better], height[better]
        np.copyto(coef, np.copysign(best, coef))
        coef[best == 0.0] = 0.0

    def subgradient(self, coef, gradient):
        """The gradient plus derivative sign(w), or at 0 what of it is beyond alpha."""
        found = gradient + self.derivative(np.abs(coef)) * np.sign(coef)
        at_zero = coef == 0.0
        found[at_zero] = soft(gradient, self.alpha)[at_zero]
        return found


class McpTerm(ConcaveTerm):
    """The minimax concave penalty, MCP.

    Examples
    --------
    >>> McpTerm(1.0, 2.0).value(np.array([1.0, -5.0]))
    1.75
    """

    @property
    def knots(self):  # type: ignore[override]
        """The |w| at which the penalty becomes constant."""
        return (self.gamma * self.alpha,)

    def sizes_value(self, size):
        """Alpha |w| - w^2 / (2 gamma), or gamma alpha^2 / 2."""
        size = np.minimum(size, self.gamma * self.alpha)
        return self.alpha * size - 0.5 * size**2 / self.gamma

    def derivative(self, size):
        """Alpha - |w| / gamma, or 0."""
        return np.maximum(self.alpha - size / self.gamma, 0.0)


class ScadTerm(ConcaveTerm):
    """The smoothly clipped absolute deviation, SCAD.

    Examples
    --------
    >>> ScadTerm(1.0, 3.0).value(np.array([1.0, -5.0]))
    3.0
    """

    @property
    def knots(self):  # type: ignore[override]
        """The |w| at which the derivative begins to fall, and that at which the penalty becomes
        constant.
        """
        return self.alpha, self.gamma * self.alpha

    def sizes_value(self, size):
        """Alpha |w|, then a parabola, then a constant."""
        size = np.minimum(size, self.gamma * self.alpha)
        bent = 2.0 * self.gamma * self.alpha * size - size**2 - self.alpha**2
        return np.where(size <= self.alpha, self.alpha * size, bent / (2.0 * (self.gamma - 1.0)))

    def derivative(self, size):
        """Alpha, then falling, then 0."""
        falling = np.maximum(self.gamma * self.alpha - size, 0.0) / (self.gamma - 1.0)
        return np.minimum(falling, self.alpha)
