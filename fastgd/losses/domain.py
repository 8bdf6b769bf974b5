"""The targets that a loss accepts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """The targets from `low` to `high`, or only these two numbers: what a loss accepts.

    Examples
    --------
    >>> print(Interval(low=0.0).text, Interval(low=0.0).contains([0.0, 2.5, float("nan")]))
    in (0, inf) [False  True False]
    >>> print(SIGNS.text, SIGNS.contains([-1, 0, 1]))
    -1 or 1 [ True False  True]
    """

    low: float = -np.inf
    high: float = np.inf
    low_closed: bool = False
    high_closed: bool = False
    ends_only: bool = False

    @property
    def text(self) -> str:
        """The domain as it reads in a message after "y must be"."""
        if self.ends_only:
            return f"{self.low:g} or {self.high:g}"
        if self.low == -np.inf and self.high == np.inf:
            return "finite"
        return (
            f"in {'[' if self.low_closed else '('}{self.low:g}, "
            f"{self.high:g}{']' if self.high_closed else ')'}"
        )

    def contains(self, targets) -> np.ndarray:
        """Whether each target lies in the domain, as an array of bool; NaN and infinity never
        do.
        """
        targets = np.asarray(targets, dtype=float)
        if self.ends_only:
            return (targets == self.low) | (targets == self.high)
        above = targets >= self.low if self.low_closed else targets > self.low
        below = targets <= self.high if self.high_closed else targets < self.high
        return above & below & np.isfinite(targets)


REALS = Interval()


SIGNS = Interval(-1.0, 1.0, low_closed=True, high_closed=True, ends_only=True)
