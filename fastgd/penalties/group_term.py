"""Lengths of groups of coefficients as a penalty, with an L1 part, on whole arrays.

sum_g l1_g |w_g|_1 + strength_g |w_g|
"""

from typing import NamedTuple

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.penalties.term import Term
from fastgd.penalties.weighted_term import soft

# Newton steps for the length of a group after a proximal step, and halvings of a strength.
STEPS = 50
HALVINGS = 60
# Sums of squares between these have lost nothing to numbers that are too small, or too large.
SMALL, LARGE = 1e-280, 1e300


def lengths_of(values, sum_groups, largest, spread):
    """Roots of the sums of squares that `sum_groups` gives; where these under- or overflow, in
    units of the greatest magnitude, which `largest` finds and `spread` hands back to the values.

    Examples
    --------
    >>> tiny = np.array([3e-200, 4e-200])
    >>> float(lengths_of(tiny, np.sum, np.max, lambda found: found))
    5e-200
    """
    with np.errstate(over="ignore"):
        found = sum_groups(np.square(values))
    unsafe = ~((found > SMALL) & (found < LARGE))
    if np.any(unsafe):
        sizes = largest(np.abs(values))
        units = np.where(unsafe & (sizes > 0.0) & np.isfinite(sizes), sizes, 1.0)
        if np.any(units != 1.0):  # else these values are 0
            with np.errstate(over="ignore"):
                return units * np.sqrt(sum_groups(np.square(values / spread(units))))
    return np.sqrt(found)


class FeatureGroups(NamedTuple):
    """Groups of features, whose coefficients for all predictions have one length.

    Attributes
    ----------
    features : ndarray of int, (d,)
        Those of a group one after the other.
    sizes : ndarray of int, (n_groups,)
    strengths : ndarray, (n_groups,)
        An infinite one holds a group at 0.
    l1 : ndarray, (n_groups,)
        Strengths of the L1 part of each coefficient.
    l2 : ndarray, (d,)
        Strengths of the L2 part of each feature, in this order.
    """

    features: np.ndarray
    sizes: np.ndarray
    strengths: np.ndarray
    l1: np.ndarray
    l2: np.ndarray

    def part(self, chosen):
        """The groups `chosen`, ascending: their features keep their numbers."""
        own = np.zeros(self.sizes.size, dtype=bool)
        own[chosen] = True
        features = np.repeat(own, self.sizes)
        of_groups = self.sizes[chosen], self.strengths[chosen], self.l1[chosen]
        return FeatureGroups(self.features[features], *of_groups, self.l2[features])


class GroupTerm(Term):
    """The penalty of the first lines of this file.

    Parameters
    ----------
    members : ndarray of int, (size,)
        Coefficients, those of a group one after the other.
    sizes : ndarray of int, (n_groups,)
    strengths : ndarray, (n_groups,)
        An infinite one holds a group at 0.
    l1 : float or ndarray, (n_groups,)
        Kept as `l1_strengths`, for `l1` is that of an elastic net.

    Examples
    --------
    >>> term = GroupTerm(np.array([0, 2, 1]), np.array([2, 1]), np.array([1.0, 2.0]), 0.0)
    >>> coef = np.array([3.0, -1.0, 4.0])
    >>> term.value(coef)
    7.0
    >>> term.prox(coef, 1.0)
    >>> coef.round(2).tolist()
    [2.4, 0.0, 3.2]
    """

    smooth = False
    certified = True
    grouped = True

    def __init__(self, members, sizes, strengths, l1):
        self.members, self.sizes, self.strengths = members, sizes, strengths
        self.l1_strengths = np.broadcast_to(np.asarray(l1, dtype=np.float64), sizes.shape)
        self.starts = np.cumsum(sizes) - sizes
        # The group of each coefficient, in the order of the coefficients.
        self.group = np.empty(members.size, dtype=np.int64)
        self.group[members] = np.repeat(np.arange(sizes.size), sizes)
        self.own_l1 = self.l1_strengths[self.group]
        held = np.isinf(strengths)
        self.fixed = np.flatnonzero(held[self.group]) if held.any() else None
        # What a group costs by its length: one that is held is 0.
        self.prices = np.where(held, 0.0, strengths)

    def __repr__(self):
        return f"GroupTerm({self.sizes.size} groups, {self.strengths!r}, {self.l1_strengths!r})"

    @property
    def penalises(self):
        """Whether some group has a strength."""
        return bool(self.l1_strengths.any() or self.strengths.any())

    def feature_groups(self, n_features, n_predictions):
        """The groups, whose members are all coefficients of their features."""
        features = self.members[::n_predictions] // n_predictions
        strengths = self.strengths, self.l1_strengths
        return FeatureGroups(
            features, self.sizes // n_predictions, *strengths, np.zeros(features.size)
        )

    def gap_vanishes(self, has_infimum):
        """Whether every group is penalised and the loss has an infimum: derivatives are then scaled
        down until none is beyond.
        """
        held = (self.strengths > 0.0) | (self.l1_strengths > 0.0)
        return bool(has_infimum and held.all())

    def lengths(self, values):
        """|values_g| of each group."""
        return lengths_of(
            values,
            lambda found: np.add.reduceat(found[self.members], self.starts),
            lambda found: np.maximum.reduceat(found[self.members], self.starts),
            lambda found: found[self.group],
        )

    def smooth_value(self, coef):
        """The number 0, for no part of it is smooth."""
        return 0.0

    def rest_value(self, coef):
        """The whole penalty: no part of it is smooth.  Infinite where a group that is held is not
        0.
        """
        if self.allowed(coef) is not coef:
            return np.inf
        return float(self.prices @ self.lengths(coef)) + float(self.own_l1 @ np.abs(coef))

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
        """Soft thresholding at l1 rates, then u_j = t c_j / (t + strength_g rate_j), t = |u_g|.

        With one rate for a group t is |c_g| less strength_g rate; else it solves
        sum_j (c_j / (t + strength_g rate_j))^2 = 1, by Newton steps on one over the root, which is
        concave in t.
        """
        moved = soft(coef, self.own_l1 * rates)
        pulls = self.strengths[self.group] * rates
        if np.ndim(rates) == 0:
            lengths = self.lengths(moved)
            left = np.maximum(lengths - self.strengths * rates, 0.0)
        else:
            left = self._lengths_left(moved, pulls)
        left = left[self.group]
        np.divide(moved * left, left + pulls, out=moved, where=left > 0.0)
        np.copyto(coef, np.where(left > 0.0, moved, 0.0))

    def _lengths_left(self, moved, pulls):
        """|u_g| after a proximal step with rates of its own for each coefficient."""
        with np.errstate(all="ignore"):
            shares = np.where(pulls > 0.0, moved / pulls, np.where(moved != 0.0, np.inf, 0.0))
        open_ = self.lengths(shares) > 1.0
        left = np.zeros(self.sizes.size)
        free = open_ & (self.strengths == 0.0)
        left[free] = self.lengths(moved)[free]
        open_ &= ~free
        for _ in range(STEPS):
            there = np.where(open_, left, 1.0)[self.group] + pulls
            squares = np.square(moved / np.where(there > 0.0, there, 1.0))
            total = np.add.reduceat(squares[self.members], self.starts)
            derivative = np.add.reduceat(
                (squares / np.where(there > 0.0, there, 1.0))[self.members], self.starts
            )
            size = np.sqrt(np.maximum(total, 0.0))
            with np.errstate(all="ignore"):
                # The root of the tangent of 1 / size - 1, whose derivative is `derivative` /
                # size^3.
                step = np.where(open_ & (derivative > 0.0), (size - 1.0) * total / derivative, 0.0)
            left = np.where(open_, np.maximum(left + step, 0.0), left)
            if (np.abs(step) <= 2.0 * EPS * left).all():
                break
        return left

    def subgradient(self, coef, gradient):
        """The gradient plus l1 sign(w) + strength w_g / |w_g|; of a group at 0 what is beyond both
        parts.
        """
        lengths = self.lengths(coef)
        found = gradient.copy()
        away = lengths > 0.0
        pulls = np.divide(self.prices, lengths, out=np.zeros_like(lengths), where=away)
        found += pulls[self.group] * coef + self.own_l1 * np.sign(coef)
        at_zero = coef == 0.0
        found[at_zero] = soft(gradient, self.own_l1)[at_zero]
        beyond = self.lengths(found)
        still = ~away & (beyond <= self.strengths)
        kept = np.ones(lengths.size)
        np.divide(beyond - self.strengths, beyond, out=kept, where=~away & (beyond > 0.0))
        kept[still] = 0.0
        return found * kept[self.group]

    def gap(self, coef, gradient, above=np.inf):
        """W.g + value(w) where every group of g is within the penalty, for which it is scaled
        down.
        """
        share = self._feasible_share(gradient)
        own = share * gradient
        rest = (1.0 - share) * above if share < 1.0 else 0.0
        values = self.own_l1 * np.abs(coef)
        terms = np.add.reduceat((coef * own + values)[self.members], self.starts)
        lengths = self.prices * self.lengths(coef)
        rounded = 8.0 * EPS * float(np.abs(coef * own).sum() + values.sum() + lengths.sum())
        return float(np.maximum(terms + lengths, 0.0).sum()) + rest + rounded

    def _feasible_share(self, gradient):
        """The greatest share of g, at most 1 and but for a few halvings, within the penalty."""

        def within(share):
            lengths = self.lengths(soft(share * gradient, self.own_l1))
            return bool((lengths <= self.strengths).all())

        if within(1.0):
            return 1.0
        if not self.l1_strengths.any():
            lengths = self.lengths(gradient)
            beyond = lengths > self.strengths
            return float((self.strengths[beyond] / lengths[beyond]).min())
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if within(middle) else (low, middle)
        return low

    def rest_curvature(self, coef, index):
        """Second derivative among the coefficients `index`, which are not 0, as a matrix."""
        lengths = self.lengths(coef)[self.group[index]]
        pulls = self.strengths[self.group[index]] / lengths
        unit = coef[index] / lengths
        alike = self.group[index][:, None] == self.group[index]
        return np.diag(pulls) - alike * (np.sqrt(pulls) * unit)[:, None] * (np.sqrt(pulls) * unit)


def least_strength(gradient, l1, strength):
    """The least alpha for which alpha (l1 |.|_1 + strength |.|) holds a group at 0, with this
    gradient.

    Examples
    --------
    >>> least_strength(np.array([3.0, 4.0]), 0.0, 2.0), least_strength(np.array([3.0]), 1.0, 0.0)
    (2.5, 3.0)
    """
    if l1 == 0.0:
        return float(np.linalg.norm(gradient)) / strength
    low, high = 0.0, float(np.abs(gradient).max()) / l1
    if strength == 0.0:
        return high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        beyond = np.linalg.norm(soft(gradient, middle * l1)) > middle * strength
        low, high = (middle, high) if beyond else (low, middle)
    return high
