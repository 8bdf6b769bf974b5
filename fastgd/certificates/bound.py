"""A bound on F - F*, and the unit in which it is told."""

from typing import NamedTuple

import numpy as np

from fastgd.objective.distances import unit


class Bound(NamedTuple):
    """Upper bound on F - F*, with "proof", "estimate" or "none" as its kind."""

    value: float
    kind: str


NO_BOUND = Bound(np.inf, "none")


def relative(bound, value, null_value, infimum=0.0):
    """Bound / max(F - bound, 1e-4 F0): `suboptimality_`, with F0 the objective of the null
    model.

    F and F0 count from the infimum of the loss; where that is unknown, bound / (F0 - F): see
    `fastgd.objective.distances`.

    Examples
    --------
    >>> relative(0.5, 1.5, 2.0)
    0.5
    """
    if bound <= 0.0:
        return 0.0
    floor = unit(value, null_value, infimum, bound)
    return bound / floor if floor > 0.0 else np.inf
