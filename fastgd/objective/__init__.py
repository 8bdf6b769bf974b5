"""F and its derivatives, for all who minimise or bound it."""

from fastgd.objective.objective import Objective

__all__ = ["Objective"]
