"""What the coefficients add to the objective."""

from fastgd.penalties.base import Penalty
from fastgd.penalties.concave import MCP, SCAD
from fastgd.penalties.groups import GroupLasso, SparseGroupLasso
from fastgd.penalties.multi_task import MultiTask
from fastgd.penalties.separable import L1, L2, ElasticNet, NoPenalty

__all__ = [
    "L1",
    "L2",
    "MCP",
    "SCAD",
    "ElasticNet",
    "GroupLasso",
    "MultiTask",
    "NoPenalty",
    "Penalty",
    "SparseGroupLasso",
]
