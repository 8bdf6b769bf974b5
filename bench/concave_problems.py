"""Hard problems whose penalty is MCP or SCAD, for `certify`: F is not convex, and what is claimed
is how far from stationary a model is (`stationary`).

Their numbers begin at `FIRST`, and they are drawn by themselves: other problems keep theirs.
"""

import numpy as np
import scipy.sparse as sp

from fastgd.losses.domain import REALS

from . import exact, hard_problems
from .hard_problems import IN_A_ROW, HardProblem

FIRST = 2_000_000
MAX_VALUES = 1e6  # of X
GAMMAS = {"mcp": (1.01, 1.5, 3.0, 30.0), "scad": (2.01, 3.7, 30.0)}


def make(seed, index):
    """Problem number `index`, at least `FIRST`, of `seed`."""
    of_block = np.random.default_rng([seed, (index - FIRST) // IN_A_ROW, 9])
    storage = hard_problems.one_of(of_block, hard_problems.STORAGES)
    name = str(of_block.choice(hard_problems.losses()))
    rng = np.random.default_rng([seed, index, 10])
    loss = hard_problems.loss_named(rng, name)
    while True:
        X, kinds = hard_problems.matrix_of(rng, storage, 2 if loss.classification else 1)
        if (X.nnz if storage.startswith("csr") else X.size) <= MAX_VALUES:
            break
    y = hard_problems.targets_of(rng, loss, hard_problems.score_of(rng, X))
    weights = hard_problems.weights_of(rng, y.size)
    if loss.classification and weights is not None:
        hard_problems.count_each_class(y, weights)
    kind = str(rng.choice(list(GAMMAS)))
    structure = {"concave": kind, "gamma": float(rng.choice(GAMMAS[kind]))}
    alpha = _greatest(X, y, loss, weights) * float(10.0 ** -rng.uniform(0.0, 3.0))
    if not 0.0 < alpha < np.inf or rng.random() < 0.3:
        alpha = float(10.0 ** rng.uniform(-9, 3))
    offset = None
    if rng.random() < 0.1:
        reach = y.std() + 1e-3 if loss.target_domain == REALS else 1.0
        offset = rng.normal(size=y.size) * reach
    tol = float(10.0 ** rng.choice([-rng.uniform(2, 6), -rng.uniform(6, 10)], p=[0.75, 0.25]))
    intercept = bool(rng.random() < 0.75)
    stored = hard_problems.stored_as(X, storage)
    parts = stored, y, loss, None, alpha, 0.0, intercept, tol, weights, offset, storage
    return HardProblem(seed, index, *parts, kinds, structure)


def _greatest(X, y, loss, weights):
    """About the least alpha that keeps all coefficients at 0: the greatest derivative along a
    centred column at predictions of 0.
    """
    weights = np.ones(y.size) if weights is None else weights
    with np.errstate(all="ignore"):
        derivative = weights * exact.LOSSES[loss.name](loss, y, exact.number(np.zeros(y.size)))[1]
    derivative = (derivative - derivative.mean()) / weights.sum()
    columns = sp.csr_array(X).T if sp.issparse(X) else X.T
    return float(np.abs(columns @ derivative).max(initial=0.0))
