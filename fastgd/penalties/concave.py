"""Penalties that stop growing, so that large coefficients are not shrunk: not convex, and no
optimum is proved.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.penalties.base import Penalty
from fastgd.penalties.concave_term import McpTerm, ScadTerm
from fastgd.penalties.term import ElasticTerm
from fastgd.runtime.component import python_only
from fastgd.runtime.public import public


class Concave(Penalty, abstract=True):
    """What the two share; `value` and `derivative` are those of alpha = 1."""

    convex: ClassVar[bool] = False
    single: ClassVar[bool] = False
    made: ClassVar[type]

    gamma: float

    @python_only
    def largest_alpha(self, gradient, gain):
        """The least alpha that keeps all coefficients at 0."""
        return float(np.abs(gradient).max())

    @property
    def selects(self):
        """Coefficients leave 0 one after the other."""
        return True

    @python_only
    def term(self, alpha, n_predictions=1):
        """The term of this penalty; alpha is where it bends, too, so that it is no multiple of
        `value`.
        """
        return self.made(float(alpha), self.gamma) if alpha > 0.0 else ElasticTerm(0.0, 0.0)


@public
class MCP(Concave):
    """Minimax concave penalty: alpha |w| - w^2 / (2 gamma) up to gamma alpha, and constant beyond.

    Zhang (2010), "Nearly unbiased variable selection under minimax concave penalty", equation
    (2.1).  As F is not convex nothing is proved: a fit ends near a stationary point, `bound_kind_`
    is `"stationarity"`, and full-batch solvers alone take it.

    Parameters
    ----------
    gamma : float, default=3.0
        Where it becomes constant, in units of alpha; more than 1.

    Examples
    --------
    >>> import numpy as np
    >>> term = MCP(2.0).term(0.5)
    >>> coef = np.array([0.3, 0.75, 4.0])
    >>> term.prox(coef, 1.0)
    >>> coef.tolist()
    [0.0, 0.5, 4.0]
    """

    name = "mcp"
    made: ClassVar[type] = McpTerm

    gamma: float = 3.0

    def __post_init__(self):
        if not 1.0 < self.gamma < np.inf:
            raise ValueError(f"MCP gamma must be a finite number above 1, got {self.gamma}")

    def value(self, coefficient, j):
        size = min(abs(coefficient), self.gamma)
        return size - 0.5 * size * size / self.gamma

    def derivative(self, coefficient, j):
        derivative = max(1.0 - abs(coefficient) / self.gamma, 0.0)
        return derivative if coefficient > 0.0 else (-derivative if coefficient < 0.0 else 0.0)


@public
class SCAD(Concave):
    """Smoothly clipped absolute deviation: derivative alpha up to alpha, falling to 0 at gamma
    alpha.

    Fan and Li (2001), "Variable selection via nonconcave penalized likelihood and its oracle
    properties", equation (2.7).  As F is not convex nothing is proved: a fit ends near a stationary
    point, `bound_kind_` is `"stationarity"`, and full-batch solvers alone take it.

    Parameters
    ----------
    gamma : float, default=3.7
        Where it becomes constant, in units of alpha; more than 2.

    Examples
    --------
    >>> import numpy as np
    >>> term = SCAD(3.0).term(1.0)
    >>> coef = np.array([0.5, 1.5, 9.0])
    >>> term.prox(coef, 1.0)
    >>> coef.tolist()
    [0.0, 0.5, 9.0]
    """

    name = "scad"
    made: ClassVar[type] = ScadTerm

    gamma: float = 3.7

    def __post_init__(self):
        if not 2.0 < self.gamma < np.inf:
            raise ValueError(f"SCAD gamma must be a finite number above 2, got {self.gamma}")

    def value(self, coefficient, j):
        size = min(abs(coefficient), self.gamma)
        if size <= 1.0:
            return size
        return (2.0 * self.gamma * size - size * size - 1.0) / (2.0 * (self.gamma - 1.0))

    def derivative(self, coefficient, j):
        size = abs(coefficient)
        derivative = 1.0 if size <= 1.0 else max(self.gamma - size, 0.0) / (self.gamma - 1.0)
        return derivative if coefficient > 0.0 else (-derivative if coefficient < 0.0 else 0.0)
