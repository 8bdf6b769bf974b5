"""Penalties on groups of features: all coefficients of a group are 0, or none has to be.

Their proximal step, which takes whole groups, is `GroupTerm.prox`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from fastgd.penalties.base import Penalty
from fastgd.penalties.group_term import GroupTerm, least_strength
from fastgd.penalties.weighted import checked_weights
from fastgd.runtime.array_types import HasArray, Vector
from fastgd.runtime.component import python_only, shown
from fastgd.runtime.public import public

Groups: TypeAlias = Sequence[Sequence[int] | HasArray] | HasArray


class Grouped(Penalty, abstract=True):
    """l1_ratio |w|_1 + (1 - l1_ratio) sum_g weight_g |w_g|, over groups that every feature is in
    once.

    Parameters
    ----------
    features : ndarray of int, (d,)
        Features, those of a group one after the other.
    sizes : ndarray of int, (n_groups,)
        How many a group has.
    weights : ndarray, (n_groups,)
    l1_ratio : float
    """

    features: np.ndarray
    sizes: np.ndarray
    weights: np.ndarray
    l1_ratio: float

    single: ClassVar[bool] = False

    def _read(self, groups, weights, l1_ratio):
        """Set the fields from what a user gives."""
        name = type(self).__name__
        members, sizes = _checked_groups(name, groups)
        if weights is None:
            weights = np.sqrt(sizes)
        try:
            weights = np.asarray(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} weights must hold a number for each of the {sizes.size} groups, got "
                f"{weights!r}"
            ) from None
        if weights.shape != sizes.shape or not (np.isfinite(weights) & (weights >= 0.0)).all():
            raise ValueError(
                f"{name} weights must be a finite number of at least 0 for each of the "
                f"{sizes.size} groups, got {weights}"
            )
        fields = {"features": members, "sizes": sizes, "weights": weights, "l1_ratio": l1_ratio}
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        Penalty.__post_init__(self)
        if not 0.0 <= self.l1_ratio <= 1.0:
            raise ValueError(f"{name} l1_ratio must lie between 0 and 1, got {l1_ratio}")

    @python_only
    def constructor_arguments(self):
        """Weights that are the default remain so for other groups."""
        lists = np.split(self.features, np.cumsum(self.sizes)[:-1])
        groups = [members.tolist() for members in lists]
        usual = bool((self.weights == np.sqrt(self.sizes)).all())
        return {"groups": groups, "weights": None if usual else self.weights}

    def value(self, coefficient, j):
        """Of a coefficient that is a group by itself, of weight 1."""
        return abs(coefficient)

    def derivative(self, coefficient, j):
        return 1.0 if coefficient > 0.0 else (-1.0 if coefficient < 0.0 else 0.0)

    @python_only
    def check_columns(self, n_features):
        """ValueError where the groups are of another number of features."""
        if self.features.size != n_features:
            raise ValueError(
                f"{type(self).__name__} groups hold {self.features.size} features, X has "
                f"{n_features}"
            )

    @python_only
    def largest_alpha(self, gradient, gain):
        """The least alpha that keeps all groups that are penalised at 0; None where none is."""
        parts = np.split(gradient[self.features], np.cumsum(self.sizes)[:-1])
        ends = [
            least_strength(part, l1, strength)
            for part, l1, strength in zip(parts, *self._strengths(), strict=True)
            if l1 > 0.0 or strength > 0.0
        ]
        return max(ends) if ends else None

    @python_only
    def limit(self, n_features):
        """Groups without a penalty are free, the others at 0."""
        l1, strengths = self._strengths()
        free = (l1 == 0.0) & (strengths == 0.0)
        high = np.zeros(n_features)
        high[self.features] = np.where(np.repeat(free, self.sizes), np.inf, 0.0)
        return -high, high

    def _strengths(self):
        """Strengths of the L1 part and of the length of each group, where alpha is 1."""
        return np.full(self.sizes.size, self.l1_ratio), (1.0 - self.l1_ratio) * self.weights

    @python_only
    def weighed(self, penalty_weights):
        """Return it with weights, which are alike in a group, as a `WeightedGroups`."""
        name, weights = type(self).__name__, checked_weights(penalty_weights)
        if weights.size not in (1, self.features.size):
            raise ValueError(
                f"penalty_weights must have one number for each of the {self.features.size} "
                f"features of X, got {weights.size}"
            )
        own = np.broadcast_to(weights, self.features.size)[self.features]
        starts = np.cumsum(self.sizes) - self.sizes
        apart = own != np.repeat(own[starts], self.sizes)
        if apart.any():
            there = int(np.flatnonzero(apart)[0])
            first = starts[np.searchsorted(starts, there, side="right") - 1]
            raise ValueError(
                f"penalty_weights must be alike in each group of {name}, whose length they "
                f"multiply: features {self.features[first]} and {self.features[there]} of one have "
                f"{own[first]:g} and {own[there]:g}"
            )
        fields = self.features, self.sizes, self.weights, self.l1_ratio
        return WeightedGroups(*fields, own[starts])

    @property
    def selects(self):
        """Groups leave 0 one after the other."""
        return True

    @python_only
    def term(self, alpha, n_predictions=1):
        """The `GroupTerm` of this penalty; the coefficients of a feature for all predictions are in
        one group.
        """
        members = (n_predictions * self.features[:, None] + np.arange(n_predictions)).ravel()
        l1, strengths = self._strengths()
        held = np.isinf(strengths)
        strengths = np.where(held, np.inf, alpha * np.where(held, 0.0, strengths))
        return GroupTerm(members, n_predictions * self.sizes, strengths, alpha * l1)


class WeightedGroups(Grouped, abstract=True):
    """A penalty on groups times a number for each, of which an infinite one holds a group at 0:
    what `penalty_weights` of the estimators make of it.
    """

    multipliers: np.ndarray

    @python_only
    def constructor_arguments(self):
        """Its fields, which are what it is made of."""
        return Penalty.constructor_arguments(self)

    def __repr__(self) -> str:
        return f"groups with penalty_weights, {self.sizes.size} of them"

    def _strengths(self):
        held = np.isinf(self.multipliers)
        factors, (l1, strengths) = np.where(held, 0.0, self.multipliers), super()._strengths()
        return factors * l1, np.where(held, np.inf, factors * strengths)


@public
class GroupLasso(Grouped, abstract=True):
    """Group lasso: sum_g weight_g |w_g|, which keeps whole groups of features at 0.

    Yuan and Lin (2006), "Model selection and estimation in regression with grouped variables",
    equation (2.1).

    Parameters
    ----------
    groups : list of lists of int
        Numbers of the features in each group; every feature is in one.
    weights : array-like, (n_groups,), optional
        None: the root of how many features a group has.

    Attributes
    ----------
    features : ndarray of int, (n_features,)
        The features, those of a group one after the other.
    sizes : ndarray of int, (n_groups,)
        How many a group has.
    weights : ndarray, (n_groups,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import GDRegressor
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = GDRegressor(penalty=GroupLasso([[0, 1], [2, 3]]), alpha=0.5).fit(X, 2.0 * X[:, 0])
    >>> (model.coef_ != 0.0).tolist()
    [True, True, False, False]
    """

    def __init__(self, groups: Groups, weights: Vector | None = None) -> None:
        self._read(groups, weights, 0.0)

    def __repr__(self) -> str:
        return f"GroupLasso of {self.sizes.size} groups"


@public
class SparseGroupLasso(Grouped, abstract=True):
    """Sparse group lasso: l1_ratio |w|_1 + (1 - l1_ratio) sum_g weight_g |w_g|, which keeps groups
    at 0 and features within the others.

    Simon, Friedman, Hastie and Tibshirani (2013), "A sparse-group lasso", equation (3).

    Parameters
    ----------
    groups : list of lists of int
        Numbers of the features in each group; every feature is in one.
    l1_ratio : float, default=0.5
        Share of the L1 part, from 0 (as `GroupLasso`) to 1 (as `L1`).
    weights : array-like, (n_groups,), optional
        None: the root of how many features a group has.

    Attributes
    ----------
    features : ndarray of int, (n_features,)
        The features, those of a group one after the other.
    sizes : ndarray of int, (n_groups,)
        How many a group has.
    weights : ndarray, (n_groups,)

    Examples
    --------
    >>> penalty = SparseGroupLasso([[0, 2], [1]], l1_ratio=0.25)
    >>> print(penalty.l1_ratio, penalty)
    0.25 SparseGroupLasso of 2 groups, l1_ratio=0.25
    """

    def __init__(
        self, groups: Groups, l1_ratio: float = 0.5, weights: Vector | None = None
    ) -> None:
        self._read(groups, weights, l1_ratio)

    @python_only
    def constructor_arguments(self):
        return {**super().constructor_arguments(), "l1_ratio": self.l1_ratio}

    def __repr__(self) -> str:
        return f"SparseGroupLasso of {self.sizes.size} groups, l1_ratio={self.l1_ratio:g}"


def _checked_groups(name, groups):
    """(members, sizes) of lists of feature numbers that hold 0 to d - 1, each once."""
    try:
        lists = [np.asarray(group) for group in groups]
    except TypeError:
        lists = []
    wrong = [one for one in lists if one.ndim != 1 or not one.size or one.dtype.kind not in "iu"]
    if not lists or wrong:
        raise ValueError(
            f"{name} groups must be lists of feature numbers, none of them empty, as [[0, 1], [2]] "
            f"of three features, got {shown(groups)}"
        )
    members = np.concatenate(lists).astype(np.int64)
    if members.min() < 0:
        raise ValueError(f"{name} groups must hold feature numbers, got {members.min()}")
    counts = np.bincount(members)
    if (counts > 1).any():
        j = int(np.flatnonzero(counts > 1)[0])
        raise ValueError(f"{name} groups must not overlap, feature {j} is in {counts[j]} of them")
    if (counts == 0).any():
        j = int(np.flatnonzero(counts == 0)[0])
        raise ValueError(f"{name} groups must hold every feature, {j} is in none of them")
    return members, np.array([one.size for one in lists], dtype=np.int64)
