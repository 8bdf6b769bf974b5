"""What hard problems add to their penalties: weights, bounds and signs of features, groups, a
quadratic form, rows of several predictions, MCP and SCAD; as parameters of the estimators, and
their value in double-double, apart from the package.

Coefficients are (K, d), those of each of K predictions in a row.
"""

import numpy as np
import scipy.sparse as sp

from fastgd import MCP, SCAD, GroupLasso, MultiTask, SparseGroupLasso

# Shares of the problems that have each.
SHARES = {
    "none": 0.7,
    "weights": 0.08,
    "positive": 0.05,
    "bounds": 0.05,
    "groups": 0.08,
    "sparse groups": 0.04,
}


def draw(rng, d):
    """A structure for so many features: a dict that JSON can hold, empty for none."""
    kind = str(rng.choice(list(SHARES), p=np.array(list(SHARES.values()))))
    if kind == "weights":
        weights = np.where(rng.random(d) < 0.2, 0.0, 10.0 ** rng.uniform(-2, 2, size=d))
        return {"weights": [float(one) if rng.random() > 0.1 else None for one in weights]}
    if kind == "positive":
        return {"positive": True}
    if kind == "bounds":
        ends = 10.0 ** rng.uniform(-3, 2, size=(2, d)) * (rng.random((2, d)) < 0.8)
        return {"low": (-ends[0]).tolist(), "high": ends[1].tolist()}
    if kind == "none":
        return {}
    order = rng.permutation(d)
    cuts = np.flatnonzero(rng.random(d - 1) < 0.4) + 1 if d > 1 else []
    groups = [sorted(part.tolist()) for part in np.split(order, cuts)]
    return {"groups": groups, "share": float(rng.uniform(0.0, 1.0)) if "sparse" in kind else 0.0}


def draw_form(rng, d):
    """The same of a quadratic form, exact in floats: of neighbours that are held together, or of a
    few directions, beside which coefficients are free.
    """
    if rng.random() < 0.5:
        parts = sp.diags_array([np.ones(d), -np.ones(max(d - 1, 0))], offsets=[0, 1], shape=(d, d))
        parts = sp.csr_array(parts)[: d if rng.random() < 0.5 else max(d - 1, 1)]
    else:
        parts = sp.csr_array(rng.integers(-3, 4, size=(int(rng.integers(1, 4)), d)), dtype=float)
    matrix = sp.csr_array(4.0 ** float(rng.integers(-3, 4)) * (parts.T @ parts))
    matrix.sort_indices()
    return {"form": [part.tolist() for part in (matrix.data, matrix.indices, matrix.indptr)]}


def form(structure):
    """P of a quadratic form, in CSR form."""
    size = len(structure["form"][2]) - 1
    return sp.csr_array(tuple(map(np.asarray, structure["form"])), shape=(size, size))


def parameters(structure, penalty, l1_ratio):
    """What an estimator is given: `penalty`, and others beside it."""
    if "rows" in structure:
        return {"penalty": MultiTask(l1_ratio)}
    if "concave" in structure:
        kind = {"mcp": MCP, "scad": SCAD}[structure["concave"]]
        return {"penalty": kind(structure["gamma"])}
    if "groups" in structure:
        groups, share = structure["groups"], structure["share"]
        return {
            "penalty": SparseGroupLasso(groups, l1_ratio=share) if share else GroupLasso(groups)
        }
    others = {"P2": form(structure)} if "form" in structure else {}
    if "weights" in structure:
        others["penalty_weights"] = [np.inf if w is None else w for w in structure["weights"]]
    if "positive" in structure:
        others["positive"] = True
    if "low" in structure:
        others["bounds"] = np.array(structure["low"]), np.array(structure["high"])
    return {"penalty": penalty, **others}


def allows(structure, coef):
    """Whether coefficients are within bounds, and those that are excluded are 0."""
    low, high = ends(structure, coef.shape[1])
    return bool(((coef >= low) & (coef <= high)).all())


def ends(structure, d):
    """(low, high) of the coefficients of each prediction; 0 for those that are excluded."""
    low = np.zeros(d) if "positive" in structure else np.full(d, -np.inf)
    high = np.full(d, np.inf)
    if "weights" in structure:
        excluded = [w is None for w in structure["weights"]]
        low[excluded], high[excluded] = 0.0, 0.0
    if "low" in structure:
        low, high = np.array(structure["low"]), np.array(structure["high"])
    return low, high


def of_groups(structure, coef):
    """(sum of |w|, sum of sqrt(size) |w_g|), in long doubles."""
    long = np.asarray(coef, dtype=np.longdouble)
    lengths = [
        np.longdouble(np.sqrt(len(group))) * np.sqrt(np.sum(long[:, group] ** 2))
        for group in structure["groups"]
    ]
    return np.sum(np.abs(long)), np.sum(lengths)


def of_rows(coef):
    """Sum of the lengths of what each feature has for all predictions, in long doubles."""
    return np.sum(np.sqrt(np.sum(np.asarray(coef, dtype=np.longdouble) ** 2, axis=0)))


def of_concave(structure, alpha, coef):
    """MCP or SCAD of all coefficients, in long doubles."""
    alpha, gamma = np.longdouble(alpha), np.longdouble(structure["gamma"])
    size = np.minimum(np.abs(np.asarray(coef, dtype=np.longdouble)), gamma * alpha)
    if structure["concave"] == "mcp":
        return np.sum(size * (alpha - size / (2 * gamma)))
    bent = size - (size - alpha) ** 2 / (2 * alpha * (gamma - 1))
    return alpha * np.sum(np.where(size <= alpha, size, bent))


def concave_slope(structure, alpha, size):
    """Its derivative in |w|."""
    gamma = structure["gamma"]
    if structure["concave"] == "mcp":
        return np.maximum(alpha - size / gamma, 0.0)
    return np.minimum(np.maximum(gamma * alpha - size, 0.0) / (gamma - 1.0), alpha)
