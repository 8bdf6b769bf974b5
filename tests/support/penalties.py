"""Every penalty of the package, made: classes that need groups, bounds or a matrix are no members
by name.
"""

import functools

import numpy as np

from fastgd.penalties.base import Penalty
from fastgd.penalties.concave import MCP, SCAD
from fastgd.penalties.groups import GroupLasso, SparseGroupLasso
from fastgd.penalties.multi_task import MultiTask
from fastgd.penalties.quadratic import with_quadratic
from fastgd.penalties.separable import L1, L2, ElasticNet, NoPenalty
from fastgd.penalties.weighted import weighted
from fastgd.runtime.fingerprint import is_ours


def every_penalty(d):
    """{name: penalty} for an even number of columns."""
    return dict(_every_penalty(d))


@functools.cache
def _every_penalty(d):
    """Made once: of 450 columns, eigenvalues of the matrix take 0.1 s, and hundreds ask."""
    pairs = np.arange(d).reshape(-1, 2).tolist()
    differences = np.diff(np.eye(d), axis=0)
    weights = np.array([0.0, 1.0, np.inf, 0.5])[np.arange(d) % 4]
    of_groups = np.repeat([0.5, np.inf, 0.0, 2.0], 2)[np.arange(d) % 8]
    return {
        "l2": L2(),
        "l1": L1(),
        "elasticnet": ElasticNet(0.4),
        "none": NoPenalty(),
        "groups": GroupLasso(pairs),
        "sparse groups": SparseGroupLasso(pairs, 0.4),
        "weighted groups": SparseGroupLasso(pairs, 0.4).weighed(of_groups),
        "multi task": MultiTask(0.7),
        "weighted rows": MultiTask(0.7).weighed(weights),
        "mcp": MCP(),
        "scad": SCAD(),
        "bounds": weighted(L1(), bounds=(-0.1, 0.3)),
        "matrix": with_quadratic(L2(), differences.T @ differences),
    }


def kinds(family):
    """The classes of the package below one of its classes that have no class below them."""
    below = [cls for cls in family.__subclasses__() if is_ours(cls)]
    return {family} if not below else set().union(*map(kinds, below))


def without_an_example():
    """Classes of penalties that `every_penalty` lacks."""
    return kinds(Penalty) - {type(one) for one in every_penalty(4).values()}
