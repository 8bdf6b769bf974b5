"""A bound on F - F*, relative to the gap scale, and a point with its bound."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgd.objective.distances import gap_scale
from fastgd.runtime.array_shapes import shaped

# From worst to best.
KINDS_OF_BOUNDS = "none", "stationarity", "estimate", "proof"


class Bound(NamedTuple):
    """What F - F* is said to be at most, and by what `kind` of claim.

    "proof": it is no more; "estimate": it is likely no more; "stationarity": single columns would
    bring no more than this; "none": nothing is known.
    """

    value: float
    kind: str

    @property
    def proved(self):
        """Whether F - F* is no more than `value`, beyond doubt."""
        return self.kind == "proof"


NO_BOUND = Bound(np.inf, "none")


@dataclass
@shaped(point="u", gradient="u")
class Check:
    """A point that was evaluated, and what is known of it.

    Attributes
    ----------
    point : ndarray, (size,)
    objective, smooth_value : float
        F, and the part of it that has the gradient.
    gradient : ndarray or None
    doubt : float
        What F may be wrong by, which each bound on F - F* takes in.
    bound : Bound
        On F - F*.
    suboptimality : float
        The bound over the gap scale: `relative_gap`.
    score : float
        On validation rows.
    """

    point: np.ndarray
    objective: float
    smooth_value: float
    gradient: np.ndarray | None
    doubt: float = 0.0
    bound: Bound = NO_BOUND
    suboptimality: float = np.inf
    score: float = np.nan


def relative_gap(bound, value, null_value, infimum=0.0):
    """Bound / max(F - bound, 1e-4 F0): `suboptimality_`, with F0 the objective of the null
    model.

    F and F0 count from the infimum of the loss; where that is unknown, bound / (F0 - F): see
    `fastgd.objective.distances`.

    Examples
    --------
    >>> relative_gap(0.5, 1.5, 2.0)
    0.5
    """
    if bound <= 0.0:
        return 0.0
    scale = gap_scale(value, null_value, infimum, bound)
    return bound / scale if scale > 0.0 else np.inf


def relative_gap_at(objective, gap, value):
    """`relative_gap` of a bound where F is `value`; the objective knows its null model."""
    return relative_gap(gap, value, objective.null_value, objective.loss.infimum)
