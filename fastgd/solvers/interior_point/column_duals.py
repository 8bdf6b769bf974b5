"""Kinks and bounds of coefficients as dual variables, for the central path.

l1 |w| within low <= w <= high is a sum of suprema over s between two ends of s (w - kink): of
those of

    the kink at 0, -l1 <= s <= l1,    low, s <= 0,    and high, s >= 0,

that are there.  A bound that leaves w one sign has the L1 part within it: low >= 0 has s <= l1, and
l1 low beside it.  An end that is infinite is one at `STAND_IN_FOR_INFINITY`, where a multiplier is
next to nothing.  (A quadratic part is the business of others, and so are coefficients with one
value only.)
"""

import numpy as np

from fastgd.solvers.interior_point.bounded_duals import TINY, BoundedDuals

# Where an infinite end is: beyond any derivative, and no product with it overflows.
STAND_IN_FOR_INFINITY = 1e100
# An L1 part below this has no room for a variable between its ends, which rounding leaves `TINY`
# from either: of 1e-300 the first step was infinite.  The kink is left to those who bound F.
NARROW = 100.0 * TINY


class ColumnDuals:
    """The dual variables of the kinks and bounds of a `WeightedTerm`.

    Parameters
    ----------
    term : WeightedTerm
    n_features : int

    Attributes
    ----------
    columns, kinks : ndarray, (m,)
        The column of each variable, and where its kink is.
    constant : float
        What the penalty has beside all suprema.

    Examples
    --------
    >>> from fastgd.penalties.weighted_term import WeightedTerm
    >>> term = WeightedTerm(np.array([2.0]), np.zeros(1), np.zeros(1), np.array([np.inf]))
    >>> duals = ColumnDuals(term, 3)
    >>> duals.columns.tolist(), duals.pieces.high.tolist(), bool((duals.pieces.low < -1e9).all())
    ([0, 1, 2], [2.0, 2.0, 2.0], True)
    """

    def __init__(self, term, n_features):
        l1, low, high = (
            np.broadcast_to(one, n_features) for one in (term.thresholds, term.low, term.high)
        )
        free = low < high
        positive, negative = free & (low >= 0.0), free & (high <= 0.0)
        kink = free & ~positive & ~negative & (l1 > NARROW)
        # Each: which columns, where the kink is, and the ends.
        kinds = (
            (kink, np.zeros(n_features), -l1, l1),
            (
                free & (low > -np.inf),
                low,
                np.full(n_features, -STAND_IN_FOR_INFINITY),
                np.where(positive, l1, 0.0),
            ),
            (
                free & (high < np.inf),
                high,
                np.where(negative, -l1, 0.0),
                np.full(n_features, STAND_IN_FOR_INFINITY),
            ),
        )
        found = [(np.flatnonzero(which), *arrays) for which, *arrays in kinds]
        own = [[one[columns] for one in arrays] for columns, *arrays in found]
        self.columns = np.concatenate([columns for columns, *_ in found])
        self.kinks, least, greatest = map(np.concatenate, zip(*own, strict=True))
        self.pieces = BoundedDuals(least, greatest, 0.0)
        self.n_features = n_features
        self.constant = float((l1 * np.where(positive, low, np.where(negative, -high, 0.0))).sum())

    def start(self, coef, derivatives, mu):
        """Variables well inside, (3, m): as far from an end as gradients of the size `derivatives`,
        (d,), ask for, with multipliers that make the products of all ends `mu`, or more.
        """
        low, high = self.pieces.low, self.pieces.high
        strength = np.where(low > -STAND_IN_FOR_INFINITY, np.abs(low), np.abs(high))
        inside = np.maximum(derivatives[self.columns], strength)
        # A column of zeros asks for nothing.
        inside[inside == 0.0] = inside.max(initial=0.0) or 1.0
        one_end = np.where(low > -STAND_IN_FOR_INFINITY, low + inside, high - inside)
        s = np.where(
            (low > -STAND_IN_FOR_INFINITY) & (high < STAND_IN_FOR_INFINITY),
            0.5 * (low + high),
            one_end,
        )
        u = self.distances(coef)
        return np.stack(
            [s, mu / (s - low) + np.maximum(-u, 0.0), mu / (high - s) + np.maximum(u, 0.0)]
        )

    def at(self, coef, variables):
        """The `ColumnPoint` with these variables, s first, at these coefficients."""
        return ColumnPoint(self, self.pieces.at(self.distances(coef), variables))

    def summed(self, values):
        """Sums over the variables of each column, (d,)."""
        return np.bincount(self.columns, values, self.n_features)

    def nearest(self, coef):
        """Each coefficient's nearest kink, or itself where it has none."""
        found, order = coef.copy(), np.argsort(-np.abs(self.distances(coef)), kind="stable")
        found[self.columns[order]] = self.kinks[order]  # the nearest one is the last
        return found

    def distances(self, coef):
        """How far each variable's coefficient is above its kink."""
        return coef[self.columns] - self.kinks


class ColumnPoint:
    """Where these dual variables are between their ends: what `InteriorPoint` is, with curvatures
    and derivatives of the coefficients, (d,).

    Attributes
    ----------
    curvature : ndarray, (d,)
    variables : InteriorPoint
    """

    def __init__(self, duals, variables):
        self.duals, self.variables = duals, variables
        self.curvature = duals.summed(variables.curvature)

    def equations(self, asked=None):
        """The `ColumnEquations` of a step to what is asked for."""
        return ColumnEquations(self.duals, self.variables.equations(asked))

    def corrected(self, mu, step):
        """As of an `InteriorPoint`."""
        return self.variables.corrected(mu, step)

    def centred(self, asked, step, mu, share):
        """As of an `InteriorPoint`."""
        return self.variables.centred(asked, step, mu, share)

    def products(self, step, weights):
        """As of an `InteriorPoint`; `weights` is a number."""
        return self.variables.products(step, weights)

    def longest(self, step):
        """As of an `InteriorPoint`."""
        return self.variables.longest(step)


class ColumnEquations:
    """What a Newton step of these dual variables has to solve."""

    def __init__(self, duals, equations):
        self.duals, self.equations = duals, equations

    def target(self):
        """What the variables of each column are to be, summed, where w does not change."""
        return self.duals.summed(self.equations.target())

    def step(self, change):
        """Steps of the variables where w changes by `change`, (d,)."""
        return self.equations.step(change[self.duals.columns])
