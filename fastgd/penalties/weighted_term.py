"""An elastic net with strengths and bounds of its own for each coefficient, on whole arrays.

    sum_j  l1_j |w_j| + l2_j w_j^2 / 2,    low_j <= w_j <= high_j

The quadratic part has a gradient; the rest has proximal steps: a soft threshold, then the nearest
number within the bounds, which are met exactly.
"""

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.penalties.term import Term


def soft(values, thresholds):
    """Values moved towards 0 by their thresholds, and no further.

    Examples
    --------
    >>> soft(np.array([3.0, -1.0, 0.5]), 1.0).tolist()
    [2.0, 0.0, 0.0]
    """
    return values - np.clip(values, -thresholds, thresholds)


class WeightedTerm(Term):
    """The penalty of the first lines of this file.

    Parameters
    ----------
    l1, l2, low, high : ndarray, (d,) or (1,)
        One number for each column, or one for all of them.
    n_predictions : int
        Coefficients of each column.

    Examples
    --------
    >>> ends = np.array([0.0]), np.array([np.inf])
    >>> term = WeightedTerm(np.array([1.0, 0.0, 2.0]), np.array([0.5]), *ends)
    >>> coef = np.array([3.0, -2.0, 1.0])
    >>> term.prox(coef, 1.0)
    >>> coef.tolist()
    [2.0, 0.0, 0.0]
    >>> term.value(coef), round(term.gap(coef, np.array([-1.0, 0.0, 1.0])), 6)
    (3.0, 0.0)
    """

    certified = True
    separable = True

    def __init__(self, l1, l2, low, high, n_predictions=1):
        def each(numbers):
            return np.repeat(numbers, n_predictions) if numbers.size > 1 else numbers

        self.thresholds, self.curvatures = each(l1), each(l2)
        self.low, self.high = each(low), each(high)
        self.bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        self.smooth = not (self.bounded or self.thresholds.any())
        fixed = self.low == self.high
        if fixed.any():
            self.fixed = np.flatnonzero(fixed) if fixed.size > 1 else slice(None)
        unheld = (self.low == -np.inf) & (self.high == np.inf) & (self.thresholds == 0.0)
        self.bent_or_free = bool((fixed | unheld | (self.curvatures > 0.0)).all())
        own = np.where(fixed, np.inf, self.curvatures)
        self.least_curvature = float(own.min()) if np.isfinite(own).any() else 0.0

    def __repr__(self):
        return (
            f"WeightedTerm({self.thresholds!r}, {self.curvatures!r}, {self.low!r}, {self.high!r})"
        )

    @property
    def strong_convexity(self):
        """The least of the quadratic parts; coefficients that are fixed do not count."""
        return self.least_curvature

    @property
    def penalises(self):
        """Whether there is anything that makes a duality gap finite."""
        return bool(self.bounded or self.thresholds.any() or self.curvatures.any())

    def gap_vanishes(self, has_infimum):
        """Whether the duality gap is 0 at the optimum and small near it: every coefficient has a
        quadratic part, two bounds, or where the loss has an infimum, an L1 part.
        """
        held = (self.curvatures > 0.0) | (np.isfinite(self.low) & np.isfinite(self.high))
        if has_infimum:
            held |= self.thresholds > 0.0
        return bool(held.all())

    def smooth_value(self, coef):
        """Sum of l2_j w_j^2 / 2."""
        return 0.5 * float(coef @ (self.curvatures * coef))

    def rest_value(self, coef):
        """Sum of l1_j |w_j|, infinite beyond the bounds."""
        if self.bounded and ((coef < self.low) | (coef > self.high)).any():
            return np.inf
        return float((self.thresholds * np.abs(coef)).sum())

    def gradient(self, coef):
        """The gradient of the L2 part, l2_j w_j."""
        return self.curvatures * coef

    def add_gradient(self, coef, gradient):
        """Add l2_j w_j to `gradient`, in place, and return the value of the L2 part."""
        own = self.curvatures * coef
        gradient += own
        return 0.5 * float(coef @ own)

    def curvature(self, coef):
        """The strengths l2_j of the L2 part, (d,)."""
        return self.curvatures

    def add_curvature(self, matrix):
        """Add l2_j to the diagonal."""
        matrix[np.diag_indices_from(matrix)] += self.curvatures

    def prox(self, coef, rates):
        """Soft thresholding at l1_j rates, and the nearest number within the bounds."""
        np.clip(soft(coef, self.thresholds * rates), self.low, self.high, out=coef)

    def allowed(self, coef):
        """`coef`, or the nearest coefficients within the bounds."""
        if self.rest_value(coef) < np.inf:
            return coef
        return np.clip(coef, self.low, self.high)

    def subgradient(self, coef, gradient):
        """The gradient plus l1_j sign(w_j) or what is beyond l1_j at 0, without what a bound
        holds.
        """
        found = gradient + self.thresholds * np.sign(coef)
        at_zero = coef == 0.0
        found[at_zero] = soft(gradient, self.thresholds)[at_zero]
        # Where a bound is met a coefficient moves in one direction, and uphill is nowhere.  At 0
        # that is one side of the kink.
        found[(coef <= self.low) & (found > 0.0)] = 0.0
        found[(coef >= self.high) & (found < 0.0)] = 0.0
        return found

    def gap(self, coef, gradient, above=np.inf):
        """A sum of terms w_j g_j + l1_j |w_j| + l2_j w_j^2 / 2 + conjugate_j(-g_j), g being the
        gradient of the mean loss: none is negative.

        The conjugate is the supremum over u within the bounds of -g_j u - l1_j |u| - l2_j u^2 / 2;
        where it would be infinite, all of g is scaled down until it is finite.
        """
        own = gradient - self.curvatures * coef
        share, beyond = self._feasible_share(own)
        own *= share
        here = self._weighed(own, coef)
        there = self._weighed(own, self._lowest(own, beyond))
        rounded = 8.0 * EPS * float(np.abs(here).sum() + np.abs(there).sum())
        rest = (1.0 - share) * above if share < 1.0 else 0.0
        return float(np.maximum(here - there, 0.0).sum()) + rest + rounded

    def least(self, gradient):
        """(c, what c g.w + value(w) is nowhere below), with the greatest share c of g, at most 1,
        for which that is finite.
        """
        share, beyond = self._feasible_share(gradient)
        own = share * gradient
        there = self._weighed(own, self._lowest(own, beyond))
        return share, float(there.sum()) - 8.0 * EPS * float(np.abs(there).sum())

    def _weighed(self, own, w):
        """g_j w_j + l1_j |w_j| + l2_j w_j^2 / 2."""
        # Half of the least number above 0 is 0: l2_j is not halved by itself.
        return w * own + self.thresholds * np.abs(w) + 0.5 * w * (self.curvatures * w)

    def _lowest(self, own, beyond=None):
        """Where these are lowest within the bounds, infinite where they fall for ever; near 0
        where they are `beyond`, which scaling has made flat.
        """
        farthest = soft(-own, self.thresholds)
        curved = self.curvatures > 0.0
        with np.errstate(all="ignore"):
            most = np.where(curved, farthest / np.where(curved, self.curvatures, 1.0), 0.0)
        flat = ~curved & (farthest != 0.0)
        most[flat] = np.where(farthest > 0.0, np.inf, -np.inf)[flat]
        if beyond is not None:  # scaling leaves a rounding
            most[beyond] = 0.0
        return np.clip(most, self.low, self.high)

    def _feasible_share(self, own):
        """The greatest share of -g, at most 1, whose conjugate is a finite number, and where it is
        less: (share, mask of these coefficients).

        A quadratic part whose conjugate is beyond all numbers bounds as little as none. It had
        counted as a conjugate of 0: l2_j = 1e-308 and derivatives of 1e4 proved any model.
        """
        with np.errstate(all="ignore"):
            deepest = soft(-own, self.thresholds) * self._lowest(own)
        # An infinite place times a derivative of 0 is that of a coefficient which nothing pulls.
        beyond = np.isinf(deepest)
        if not beyond.any():
            return 1.0, beyond
        thresholds = np.broadcast_to(self.thresholds, own.size)
        return float((thresholds[beyond] / np.abs(own[beyond])).min()), beyond
