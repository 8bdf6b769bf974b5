"""An elastic net whose strengths and bounds each feature may have of its own: what `positive`,
`bounds` and `penalty_weights` of the estimators make of a penalty.
"""

import numpy as np

from fastgd.penalties.base import Penalty
from fastgd.penalties.weighted_term import WeightedTerm
from fastgd.runtime.component import python_only, shown


class Weighted(Penalty, abstract=True):
    """l1_j |w| + l2_j w^2 / 2 for low_j <= w <= high_j, else infinite.

    Parameters
    ----------
    l1, l2, low, high : ndarray, (d,) or (1,)
        One number for each feature, or one for all.
    n_weights, n_bounds : int
        How many numbers `penalty_weights` and `bounds` were given as; 1 fits any X.

    Examples
    --------
    >>> zero, ends = np.zeros(1), (np.zeros(1), np.full(1, np.inf))
    >>> print(Weighted(np.ones(1), zero, *ends, 1, 1).prox(3.0, 0, 0.5))
    2.5
    """

    l1: np.ndarray
    l2: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_weights: int
    n_bounds: int

    name = "weighted"

    def __repr__(self):
        bounded = np.isfinite(self.low).any() or np.isfinite(self.high).any()
        parts = [
            name for name, has in (("penalty_weights", self.weighs), ("bounds", bounded)) if has
        ]
        return f"an elastic net with {' and '.join(parts) or 'weights'}"

    @property
    def weighs(self):
        """Whether features have weights of their own."""
        return self.n_weights > 1

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether there are neither L1 parts nor bounds."""
        bounded = np.isfinite(self.low).any() or np.isfinite(self.high).any()
        return not (bounded or self.l1.any())

    def value(self, coefficient, j):
        k = j if self.low.size > 1 else 0
        if coefficient < self.low[k] or coefficient > self.high[k]:
            return np.inf
        return self.l1[k] * abs(coefficient) + 0.5 * self.l2[k] * coefficient * coefficient

    def derivative(self, coefficient, j):
        k = j if self.low.size > 1 else 0
        sign = 1.0 if coefficient > 0.0 else (-1.0 if coefficient < 0.0 else 0.0)
        return self.l1[k] * sign + self.l2[k] * coefficient

    def prox(self, coefficient, j, rate):
        k = j if self.low.size > 1 else 0
        threshold = rate * self.l1[k]
        moved = coefficient - min(max(coefficient, -threshold), threshold)
        return min(max(moved / (1.0 + rate * self.l2[k]), self.low[k]), self.high[k])

    @python_only
    def check_columns(self, n_features):
        """ValueError where weights or bounds are not one for each of so many columns."""
        for name, length in (("penalty_weights", self.n_weights), ("bounds", self.n_bounds)):
            if length not in (1, n_features):
                raise ValueError(
                    f"{name} must have one number for each of the {n_features} features of X, "
                    f"got {length}"
                )

    @python_only
    def term(self, alpha, n_predictions=1):
        """The `WeightedTerm` of this penalty."""
        strengths = alpha * self.l1, alpha * self.l2
        return WeightedTerm(*strengths, self.low, self.high, n_predictions)

    @python_only
    def largest_alpha(self, gradient, gain):
        """As of the elastic net, by the coefficients that are penalised and may move."""
        l1, l2, low, high = (
            np.broadcast_to(one, len(gradient))[:, None]
            for one in (self.l1, self.l2, self.low, self.high)
        )
        nearest = np.clip(0.0, low, high)
        moves = np.where(gradient < 0.0, high > nearest, low < nearest)
        sizes = np.where(moves, np.abs(gradient), 0.0)
        if self.selects:
            return float((sizes / np.where(l1 > 0.0, l1, np.inf)).max(initial=0.0))
        if not self.l2.any():
            return None
        squares = float((sizes**2 / np.where(l2 > 0.0, l2, np.inf)).sum())
        return squares / (2.0 * gain) if gain > 0.0 else 0.0

    @python_only
    def limit(self, n_features):
        """Columns without a penalty keep their bounds, others are at 0 or the bound nearest."""
        low, high, free = (
            np.broadcast_to(one, n_features) for one in (self.low, self.high, self.unpenalised)
        )
        nearest = np.clip(0.0, low, high)
        return np.where(free, low, nearest), np.where(free, high, nearest)

    @property
    def unpenalised(self):
        """Which columns have no penalty, (d,) or (1,)."""
        return (self.l1 == 0.0) & (self.l2 == 0.0)

    @property
    def selects(self):
        """Whether some feature has an L1 part."""
        return bool(self.l1.any())


def weighted(penalty, positive=False, bounds=None, penalty_weights=None, always=False):
    """The penalty with these weights and bounds, which each feature may have of its own.

    Parameters
    ----------
    penalty : Penalty
        An elastic net, none, or where weights alone are given one of groups or rows.
    positive : bool
        Whether no coefficient may be negative.
    bounds : (low, high) or None
        Numbers, infinite ones among them, or arrays with one for each feature.
    penalty_weights : array-like, (n_features,), or None
        What the penalty of each feature is multiplied with; infinity makes a coefficient 0.
    always : bool
        Whether to return a `Weighted` even where nothing is given.

    Raises
    ------
    ValueError
        For numbers that are none of this, naming the argument.

    Examples
    --------
    >>> from fastgd.penalties.separable import L1
    >>> found = weighted(L1(), bounds=(-1.0, np.inf), penalty_weights=[0.0, 2.0, np.inf])
    >>> found.l1.tolist(), found.low.tolist(), found.high.tolist()
    ([0.0, 2.0, 0.0], [-1.0, -1.0, 0.0], [inf, inf, 0.0])
    """
    names = {"positive": positive or None, "bounds": bounds, "penalty_weights": penalty_weights}
    given = [name for name, value in names.items() if value is not None]
    if not (given or always):
        return penalty
    of_its_own = penalty.weighed(penalty_weights) if given == ["penalty_weights"] else None
    if of_its_own is not None:
        return of_its_own
    if penalty.shares is None:
        raise ValueError(
            f"{given[0]} goes with penalty 'l2', 'l1', 'elasticnet' or None, got {penalty!r}"
        )
    low, high = _checked_bounds(bounds, positive)
    weights = np.ones(1) if penalty_weights is None else checked_weights(penalty_weights)
    lengths = {array.size for array in (low, high, weights)} - {1}
    if len(lengths) > 1:
        raise ValueError(
            f"penalty_weights and bounds must be as many as X has features, got {weights.size} "
            f"weights and bounds of {low.size} and {high.size} numbers"
        )
    low, high, weights = (one.copy() for one in np.broadcast_arrays(low, high, weights))
    excluded = np.isinf(weights)
    if (excluded & ((low > 0.0) | (high < 0.0))).any():
        j = int(np.flatnonzero(excluded & ((low > 0.0) | (high < 0.0)))[0])
        raise ValueError(
            f"penalty_weights[{j}] is infinite, so coefficient {j} is 0, which bounds "
            f"({low[j]:g}, {high[j]:g}) do not allow"
        )
    low[excluded] = high[excluded] = weights[excluded] = 0.0
    n_weights = 1 if penalty_weights is None else weights.size
    n_bounds = max(np.size(one) for one in (bounds or (0.0,)))
    l1, l2 = penalty.shares
    return Weighted(l1 * weights, l2 * weights, low, high, n_weights, n_bounds)


def checked_weights(given):
    """Weights of features as an array, infinite ones among them; ValueError where they are none."""
    weights = _numbers(given, "penalty_weights")
    if np.isnan(weights).any() or (weights < 0.0).any():
        j = int(np.flatnonzero(~(weights >= 0.0))[0])
        raise ValueError(
            f"penalty_weights must not be negative or NaN, got {weights[j]:g} for feature {j}"
        )
    return weights


def _checked_bounds(given, positive):
    if given is None:
        low, high = np.full(1, -np.inf), np.full(1, np.inf)
    else:
        # With two features a list of their pairs would be read as low ends and high ends.
        if isinstance(given, list) and any(np.ndim(one) > 0 for one in given):
            raise ValueError(
                "bounds must be a tuple (low, high), not a list of pairs of the features; with one "
                f"pair for each, write tuple(numpy.array(bounds).T), got {shown(given)}"
            )
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise ValueError(
                "bounds must be a pair (low, high), each a number or one for each feature, got "
                f"{shown(given)}"
            )
        if any(one is None for one in given):
            raise ValueError(
                f"bounds must be numbers, got {given!r}; -numpy.inf and numpy.inf are no bound"
            )
        low, high = (_numbers(one, "bounds") for one in given)
        if low.size > 1 < high.size and low.size != high.size:
            raise ValueError(f"bounds hold {low.size} low ends and {high.size} high ends")
        low, high = (one.copy() for one in np.broadcast_arrays(low, high))
    negative = positive and given is not None and (low < 0.0).any()
    if positive:
        low = np.maximum(low, 0.0)  # -0.0 included
    wrong = ~((low <= high) & (low < np.inf) & (high > -np.inf))
    if wrong.any():
        j = int(np.flatnonzero(wrong)[0])
        where = f" for feature {j}" if low.size > 1 else ""
        more = " with positive=True" if positive else ""
        raise ValueError(
            f"bounds must be numbers low <= high, got low={low[j]:g} and high={high[j]:g}{where}"
            f"{more}"
        )
    if negative and not (low.any() or high.any()):
        raise ValueError(
            f"bounds={shown(given)} and positive=True leave no coefficient anything but 0: leave "
            "one of them out"
        )
    return low, high


def _numbers(given, name):
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None or numbers.ndim > 1 or not numbers.size:
        raise ValueError(f"{name} must be a number or one for each feature, got {shown(given)}")
    return numbers.reshape(-1)
