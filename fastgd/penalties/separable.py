"""The penalties: what one coefficient adds to the objective.

The objective is mean loss + alpha * sum_j penalty(w_j) (see `fastgd.losses.base`); a penalty does
not know alpha, which reaches it as part of `rate`. The index j of the coefficient lets a penalty
hold weights or bounds for each feature.
"""

from __future__ import annotations

from typing import ClassVar

from fastgd.penalties.base import Penalty
from fastgd.runtime.component import shown
from fastgd.runtime.public import public


@public
class L2(Penalty):
    """Ridge: w^2 / 2.

    Examples
    --------
    >>> print(L2().prox(3.0, 0, 0.5))
    2.0
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "ridge",
        "tikhonov",
        "weight_decay",
    )
    smooth: ClassVar[bool] = True
    shares: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def value(self, coefficient, j):
        return 0.5 * coefficient * coefficient

    def derivative(self, coefficient, j):
        return coefficient

    def prox(self, coefficient, j, rate):
        return coefficient / (1.0 + rate)


@public
class L1(Penalty):
    """Lasso: the penalty abs(w).

    Examples
    --------
    >>> print(L1().prox(3.0, 0, 0.5), L1().prox(-0.25, 0, 0.5))
    2.5 0.0
    """

    _also_called: ClassVar[tuple[str, ...]] = ("lasso",)
    shares: ClassVar[tuple[float, float] | None] = (1.0, 0.0)

    def value(self, coefficient, j):
        return abs(coefficient)

    def derivative(self, coefficient, j):
        return 1.0 if coefficient > 0.0 else (-1.0 if coefficient < 0.0 else 0.0)

    def prox(self, coefficient, j, rate):
        return coefficient - min(max(coefficient, -rate), rate)


@public
class ElasticNet(Penalty):
    """Elastic net: l1_ratio abs(w) + (1 - l1_ratio) w^2 / 2.

    Zou, Hastie (2005), "Regularization and variable selection via the elastic net", equation (3),
    in scikit-learn's scaling.

    Parameters
    ----------
    l1_ratio : float, default=0.15
        Share of the L1 part, from 0 (as `L2`) to 1 (as `L1`).

    Examples
    --------
    >>> print(ElasticNet(0.5).prox(3.0, 0, 2.0))
    1.0
    """

    _also_called: ClassVar[tuple[str, ...]] = (
        "elastic_net",
        "elastic",
        "enet",
        "l1_l2",
    )
    name = "elasticnet"

    l1_ratio: float = 0.15

    def __post_init__(self):
        if not 0.0 <= self.l1_ratio <= 1.0:
            raise ValueError(f"ElasticNet l1_ratio must lie between 0 and 1, got {self.l1_ratio}")

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether there is no L1 part."""
        return self.l1_ratio == 0.0

    @property
    def shares(self) -> tuple[float, float]:  # type: ignore[override]
        """The shares of the L1 and the L2 part."""
        return self.l1_ratio, 1.0 - self.l1_ratio

    def value(self, coefficient, j):
        return (
            self.l1_ratio * abs(coefficient)
            + 0.5 * (1.0 - self.l1_ratio) * coefficient * coefficient
        )

    def derivative(self, coefficient, j):
        sign = 1.0 if coefficient > 0.0 else (-1.0 if coefficient < 0.0 else 0.0)
        return self.l1_ratio * sign + (1.0 - self.l1_ratio) * coefficient

    def prox(self, coefficient, j, rate):
        threshold = rate * self.l1_ratio
        return (coefficient - min(max(coefficient, -threshold), threshold)) / (
            1.0 + rate * (1.0 - self.l1_ratio)
        )


@public
class NoPenalty(Penalty):
    """No penalty, as for `penalty=None`.

    Examples
    --------
    >>> NoPenalty().value(3.0, 0), NoPenalty().prox(3.0, 0, 0.5)
    (0.0, 3.0)
    """

    name = "none"
    smooth: ClassVar[bool] = True
    shares: ClassVar[tuple[float, float] | None] = (0.0, 0.0)

    def value(self, coefficient, j):
        return 0.0

    def derivative(self, coefficient, j):
        return 0.0

    def prox(self, coefficient, j, rate):
        return coefficient


def find_penalty(penalty, l1_ratio=0.15):
    """Component of a penalty given as a string, None or a component."""
    if isinstance(penalty, Penalty):
        return penalty
    if penalty is None:
        return NoPenalty()
    if not isinstance(penalty, str):
        raise ValueError(
            f"penalty must be a string, None or a Penalty component, got {shown(penalty)}"
        )
    found = Penalty.named(penalty)
    return found(l1_ratio) if found is ElasticNet else found()
