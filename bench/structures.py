"""What hard problems add to their penalties: weights, bounds and signs of features, groups; as
parameters of the estimators, and their value in double-double, apart from the package.
"""

import numpy as np

from fastgd import GroupLasso, SparseGroupLasso

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


def parameters(structure, penalty):
    """What an estimator is given: `penalty`, and others beside it."""
    if "groups" in structure:
        groups, share = structure["groups"], structure["share"]
        return {
            "penalty": SparseGroupLasso(groups, l1_ratio=share) if share else GroupLasso(groups)
        }
    others = {}
    if "weights" in structure:
        others["penalty_weights"] = [np.inf if w is None else w for w in structure["weights"]]
    if "positive" in structure:
        others["positive"] = True
    if "low" in structure:
        others["bounds"] = np.array(structure["low"]), np.array(structure["high"])
    return {"penalty": penalty, **others}


def allows(structure, coef):
    """Whether coefficients are within bounds, and those that are excluded are 0."""
    if "weights" in structure:
        return all(c == 0.0 for c, w in zip(coef, structure["weights"], strict=True) if w is None)
    if "positive" in structure:
        return bool((coef >= 0.0).all())
    if "low" in structure:
        return bool(((coef >= structure["low"]) & (coef <= structure["high"])).all())
    return True


def of_groups(structure, coef):
    """(sum of |w|, sum of sqrt(size) |w_g|), in long doubles."""
    long = np.asarray(coef, dtype=np.longdouble)
    lengths = [
        np.longdouble(np.sqrt(len(group))) * np.sqrt(np.sum(long[group] ** 2))
        for group in structure["groups"]
    ]
    return np.sum(np.abs(long)), np.sum(lengths)
