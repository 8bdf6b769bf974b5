"""A penalty with its strength on a whole array of coefficients, as the objective, the solvers and
the certificates use it.

A `Term` is split as solvers meet it: a smooth part, whose gradient goes with that of the loss, and
a rest, which has proximal steps only. An elastic net has closed forms in NumPy; any other penalty
is one of single coefficients, which compiled loops go over. Another kind of penalty is another
member with the same methods, which its `Penalty.term` makes.
"""

import numpy as np

from fastgd.penalties import kernels

# A proximal step so short that only coefficients with an infinite penalty move.
TINY_STEP = 1e-100
# The step of the difference that gives the least subgradient, as a share of the coefficient, or of
# 1 where that is more: rounding and curvature then take half of the digits each.
SHORT = 1e-8
# Columns that are compared at once: a million of them in half the time.
AT_ONCE = 1 << 16


class Term:
    """A penalty with its strength, on arrays of coefficients, (d * K,) float, contiguous.

    What is said here of `gradient`, where it is given, is the gradient of the smooth part of the
    objective: of the mean loss and of the smooth part of this penalty.

    Attributes
    ----------
    smooth : bool
        Whether all of it has a gradient, and nothing is left to proximal steps.
    convex : bool
        Whether the value is convex.
    elastic : bool
        Whether it is `l1` |w|_1 + `l2` |w|^2 / 2 and nothing else.
    certified : bool
        Whether it is convex and what it says of subgradients, curvature and gap is exact, so that
        certificates may rest on it; of a user's penalty nobody knows.
    separable : bool
        Whether it has arrays `thresholds`, `curvatures`, `low` and `high`, with which the closed
        forms of each coefficient are those of an elastic net within bounds.
    coupled : bool
        Whether its smooth part is a quadratic form, whose second derivative is not diagonal.
    stationary : bool
        Whether it is not convex, and what it says of subgradients is exact.
    grouped : bool
        Whether it is that of `fastgd.penalties.group_term`, whose groups move as one.
    l1, l2 : float
        The strengths of these parts; 0 where it is not elastic.
    bent_or_free : bool
        Whether each coefficient has an L2 part, no penalty at all, or one value only.
    fixed : ndarray of int, slice or None
        Coefficients that can have one value only; None where there are none.
    """

    smooth = True
    convex = True
    elastic = False
    certified = False
    separable = False
    grouped = False
    coupled = False
    stationary = False
    bent_or_free = False
    l1 = 0.0
    l2 = 0.0
    fixed: np.ndarray | slice | None = None

    @property
    def strong_convexity(self):
        """The greatest m for which it is known that value - m |w|^2 / 2 is convex."""
        return self.l2

    @property
    def penalises(self):
        """Whether there is anything that makes a duality gap finite."""
        return False

    def gap_vanishes(self, has_infimum):
        """Whether the duality gap is 0 at the optimum, where the loss has an infimum or not."""
        return False

    def feature_groups(self, n_features, n_predictions):
        """The `FeatureGroups` (`fastgd.penalties.group_term`) whose lengths are the rest of this
        penalty, the smooth part being an L2 part; None where it is another one.
        """
        return None

    def value(self, coef):
        """The penalty, a float."""
        return self.smooth_value(coef) + self.rest_value(coef)

    def smooth_value(self, coef):
        """The part of the value that has a gradient."""
        raise NotImplementedError

    def value_rounding(self, coef):
        """What the value may be wrong by, where its terms cancel; 0 where they do not."""
        return 0.0

    def rest_value(self, coef):
        """The part of the value that `smooth_value` leaves out."""
        raise NotImplementedError

    def gradient(self, coef):
        """Gradient of the smooth part, a new array."""
        raise NotImplementedError

    def add_gradient(self, coef, gradient):
        """Add the gradient of the smooth part to `gradient`, in place, and return the value of that
        part.
        """
        raise NotImplementedError

    def curvature(self, coef):
        """Second derivative of the smooth part in each coefficient: an array, or one number for
        all.
        """
        raise NotImplementedError

    def curvature_at(self, coef):
        """Function p -> the second derivative of the smooth part times p, for many p."""
        diagonal = self.curvature(coef)
        return lambda p: diagonal * p

    def add_curvature(self, matrix):
        """Add the curvature that is the same for all coefficients, of a quadratic part, to the
        (d K, d K) matrix, in place.
        """

    def prox(self, coef, rates):
        """Move `coef`, in place, to the u that minimises rest_value(u) + sum (u - coef)^2 / (2
        rates).

        `rates` is a number or one for each coefficient.
        """

    def allowed(self, coef):
        """`coef` itself, or where the value is infinite, the nearest coefficients at which it is
        not: 0 in those that are `fixed`, unless a penalty has other bounds.
        """
        if self.fixed is None or not coef[self.fixed].any():
            return coef
        moved = coef.copy()
        moved[self.fixed] = 0.0
        return moved

    def subgradient(self, coef, gradient):
        """The subgradient of least norm of the objective, an array; `gradient` itself where all of
        the penalty is smooth.
        """
        return gradient

    def violation(self, coef, gradient):
        """Distance of 0 from the subdifferential of the objective in each coefficient, a new
        array: the sizes in the subgradient of least norm.
        """
        return np.abs(self.subgradient(coef, gradient))

    def candidates(self, coef, gradient, share=1.0):
        """Ascending indices of the coefficients that are not 0, or that `share` of the penalty
        would not hold there.
        """
        return np.flatnonzero((coef != 0.0) | (self.violation(0.0 * coef, gradient / share) > 0.0))

    def gap(self, coef, gradient, above=np.inf):
        """The duality gap: w.g + value(w) + conjugate(-g), g being the gradient of the mean loss;
        inf where the conjugate is infinite or not known.

        Where it is finite only at c g with c < 1, the dual point is scaled by c, which costs the
        loss (1 - c) `above`, how far the mean loss is above its infimum.
        """
        return np.inf


class ElasticTerm(Term):
    """`l1` |w|_1 + `l2` |w|^2 / 2, either of them 0 or both.

    Examples
    --------
    >>> term = ElasticTerm(1.0, 0.5)
    >>> coef = np.array([2.0, 0.0, -4.0])
    >>> term.value(coef), term.gradient(coef).tolist()
    (11.0, [1.0, 0.0, -2.0])
    >>> term.violation(coef, np.array([-1.0, 1.5, 0.0])).tolist()
    [0.0, 0.5, 1.0]
    >>> term.prox(coef, 3.0)
    >>> coef.tolist()
    [0.0, 0.0, -1.0]
    """

    elastic = True
    certified = True

    def __init__(self, l1, l2):
        self.l1, self.l2 = float(l1), float(l2)
        self.smooth = self.l1 == 0.0

    def __repr__(self):
        return f"ElasticTerm({self.l1!r}, {self.l2!r})"

    @property
    def penalises(self):
        """Whether one of the parts is there."""
        return self.l1 + self.l2 > 0.0

    def gap_vanishes(self, has_infimum):
        """With an L2 part; without one derivatives are scaled down until no column is beyond l1,
        which needs an infimum.
        """
        return self.l2 > 0.0 or (self.l1 > 0.0 and has_infimum)

    def add_curvature(self, matrix):
        """Add l2 to the diagonal."""
        matrix[np.diag_indices_from(matrix)] += self.l2

    def smooth_value(self, coef):
        """The value of the L2 part, l2 |w|^2 / 2."""
        return 0.5 * self.l2 * float(coef @ coef)

    def rest_value(self, coef):
        """The value of the L1 part, l1 |w|_1."""
        return self.l1 * float(np.abs(coef).sum()) if self.l1 else 0.0

    def gradient(self, coef):
        """The gradient of the L2 part, l2 w."""
        return self.l2 * coef

    def add_gradient(self, coef, gradient):
        """Add l2 w to `gradient`, in place, and return the value of the L2 part."""
        gradient += self.l2 * coef
        return self.smooth_value(coef)

    def curvature(self, coef):
        """The number l2, the same for all coefficients."""
        return self.l2

    def prox(self, coef, rates):
        """Soft thresholding at l1 rates."""
        if self.l1 > 0.0:
            left = np.abs(coef)
            left -= self.l1 * rates
            np.maximum(left, 0.0, out=left)
            np.sign(coef, out=coef)
            coef *= left

    def subgradient(self, coef, gradient):
        """The gradient plus l1 sign(w), or where w is 0 what of it is beyond l1."""
        if self.smooth:
            return gradient
        return np.copysign(self.violation(coef, gradient), gradient + self.l1 * np.sign(coef))

    def violation(self, coef, gradient):
        """|g + l1 sign(w)|, or how far |g| is above l1 where w is 0."""
        if self.smooth:
            return np.abs(gradient)
        found = np.sign(coef)
        at_zero = found == 0.0
        found *= self.l1
        found += gradient
        np.abs(found, out=found)
        np.subtract(found, self.l1, out=found, where=at_zero)
        return np.maximum(found, 0.0, out=found)

    def candidates(self, coef, gradient, share=1.0):
        """Where w is not 0 or |g| is above share l1."""
        parts, threshold = [], share * self.l1
        for first in range(0, max(coef.size, 1), AT_ONCE):
            w, g = coef[first : first + AT_ONCE], gradient[first : first + AT_ONCE]
            parts.append(first + np.flatnonzero((w != 0.0) | (g > threshold) | (g < -threshold)))
        return np.concatenate(parts)

    def gap(self, coef, gradient, above=np.inf):
        """A sum of terms that are never negative; most of a million columns have none.

        With an L2 part the conjugate is |max(|g| - l1, 0)|^2 / (2 l2) for every g; without one it
        is 0 where no |g| is above l1, else infinite.
        """
        if self.l2 > 0.0:
            if self.l1 == 0.0:
                return float(gradient @ gradient) / (2.0 * self.l2)
            moving = np.flatnonzero((coef != 0.0) | (np.abs(gradient) > self.l1))
            coef = coef[moving]
            loss_gradient = gradient[moving] - self.l2 * coef
            conjugate = np.maximum(np.abs(loss_gradient) - self.l1, 0.0) ** 2 / (2.0 * self.l2)
            terms = (
                coef * loss_gradient + self.l1 * np.abs(coef) + 0.5 * self.l2 * coef**2 + conjugate
            )
            return float(np.maximum(terms, 0.0).sum())
        largest = max(float(gradient.max(initial=0.0)), -float(gradient.min(initial=0.0)))
        share = min(1.0, self.l1 / largest) if largest > 0.0 else 1.0
        moving = np.flatnonzero(coef)
        coef = coef[moving]
        terms = share * coef * gradient[moving] + self.l1 * np.abs(coef)
        rest = (1.0 - share) * above if share < 1.0 else 0.0
        return float(np.maximum(terms, 0.0).sum()) + rest


class SeparableTerm(Term):
    """`alpha` times a `Penalty` of single coefficients, (d, K) of them: j is the row.

    Where the penalty is not smooth it is the rest as a whole.

    Examples
    --------
    >>> from fastgd.penalties.separable import L1
    >>> SeparableTerm(L1(), 2.0).value(np.array([2.0, 0.0, -4.0]))
    12.0
    """

    def __init__(self, penalty, alpha, n_predictions=1):
        self.penalty = penalty
        self.alpha = float(alpha)
        self.n_predictions = n_predictions
        self.smooth, self.convex = penalty.smooth, penalty.convex

    def __repr__(self):
        return f"SeparableTerm({self.penalty!r}, {self.alpha!r}, {self.n_predictions!r})"

    def value(self, coef):
        """Alpha times the sum of the values."""
        return self._sum(coef)[0]

    def smooth_value(self, coef):
        """All of it or 0."""
        return self._sum(coef)[0] if self.smooth else 0.0

    def rest_value(self, coef):
        """0 or all of it."""
        return 0.0 if self.smooth else self._sum(coef)[0]

    def gradient(self, coef):
        """Alpha times the derivatives, or zeros."""
        return self._sum(coef)[1] if self.smooth else np.zeros(coef.size)

    def add_gradient(self, coef, gradient):
        """Add alpha times the derivatives, or nothing."""
        if not self.smooth:
            return 0.0
        total, derivatives = self._sum(coef)
        gradient += derivatives
        return total

    def curvature(self, coef):
        """Central differences of the derivative, or 0."""
        if not self.smooth:
            return 0.0
        step = 1e-6 * np.maximum(1.0, np.abs(coef))
        ahead, behind = self._sum(coef + step)[1], self._sum(coef - step)[1]
        return (ahead - behind) / (2.0 * step)

    def prox(self, coef, rates):
        """The proximal step of each coefficient."""
        if not self.smooth:
            rates = self._table(np.broadcast_to(rates, coef.shape))
            kernels.proximal_step(self.penalty, self._table(coef), self.alpha * rates)

    def allowed(self, coef):
        """A proximal step of next to no length, where the value is infinite.

        Averages and steps with momentum leave bounds, by a rounding or by far, and zeros may lie
        outside.
        """
        if self.smooth or self.rest_value(coef) != np.inf:
            return coef
        moved = coef.copy()
        self.prox(moved, TINY_STEP)
        return moved

    def subgradient(self, coef, gradient):
        """The limit of (w - prox(w - t g; t)) / t as t goes to 0.

        Brezis (1973), "Operateurs maximaux monotones", proposition 2.6: these quotients are never
        longer.  Coefficients beyond bounds have no subgradient, and get large numbers.
        """
        if self.smooth:
            return gradient
        sizes = np.abs(gradient) + np.abs(self._sum(coef)[1])
        rates = SHORT * np.maximum(1.0, np.abs(coef)) / np.maximum(sizes, 1.0)
        moved = coef - rates * gradient
        self.prox(moved, rates)
        return (coef - moved) / rates

    def _sum(self, coef):
        """Alpha times the sum of the values, and times the derivatives."""
        derivatives = np.empty((coef.size // self.n_predictions, self.n_predictions))
        total = kernels.penalty_sum(self.penalty, self._table(coef), derivatives)
        return self.alpha * float(total), self.alpha * derivatives.ravel()

    def _table(self, coef):
        return np.ascontiguousarray(coef).reshape(-1, self.n_predictions)
