"""What a user's loss declares of its curvature, tried on targets of the fit: steps are as long as
`curvature_bound` lets them be, and the null model is looked for along each prediction alone where
a loss is `separable`.
"""

from itertools import pairwise

import numpy as np

from fastgd.linalg.power_iteration import largest_eigenvalue
from fastgd.losses.base import VectorLoss
from fastgd.losses.in_python import in_python
from fastgd.runtime.in_words import in_words

# A bound may be approximate, and so may curvatures by differences: less than this share is
# `check_loss`'s to tell.
APPROXIMATE = 1e-3
# Of the derivatives, per unit of the prediction.
OF_DERIVATIVES = 1e-8
# Distances from 0, and from the target: curvatures at them, slopes of the derivative between.
ALONG = (-30.0, -10.0, -3.0, -1.3, -0.4, 0.0, 0.3, 1.1, 4.0, 12.0, 40.0)
# Targets beyond are too far from 0 for differences to resolve what is about them.
MAX_TARGET = 1e3
# A softmax is steepest where two classes have half of all each: the others are so far below.
FAR_BELOW = -12.0
SIZES = 0.4, 1.0, 3.0
# Matrices of so many predictions are formed: of more, products along the steepest of some lines.
MAX_FORMED = 16
PRODUCTS = 3


def try_curvature_bound(loss, targets, n_predictions):
    """ValueError where a loss curves by more than its `curvature_bound` for one of these targets:
    "log_loss" by 0.25, for which 0.05 was believed, and steps of five times the length taken.
    """
    bound = loss.curvature_bound
    if not bound < np.inf:
        return
    vector = isinstance(loss, VectorLoss)
    for target in targets:
        found = _of_several(loss, target, n_predictions) if vector else _of_one(loss, target)
        known = [one for one in found if np.isfinite(one[1] - one[2])]
        if not known:
            continue
        where, curvature, rounding = max(known, key=lambda one: one[1] - one[2])
        if curvature > (1.0 + APPROXIMATE) * bound + rounding:
            raise ValueError(
                f"{type(loss).__name__} curves by {curvature:.6g} at prediction{'s' * vector} "
                f"{in_words(where)}, target {in_words(target)}, more than its curvature_bound "
                f"{bound:g} says: declare no less than the largest curvature, or leave it out "
                "where that is not known"
            )


def _of_one(loss, target):
    """Triples of a prediction, the curvature about it, and what that may be rounded by."""
    near = (target,) if 0.0 < abs(target) <= MAX_TARGET else ()
    for center in (0.0, *near):
        places = [np.float64(center + one) for one in ALONG]
        derivatives = [float(in_python(loss.derivative, at, target)) for at in places]
        for at, derivative in zip(places, derivatives, strict=True):
            curvature = abs(float(in_python(loss.curvature, at, target)))
            yield at, np.nan_to_num(curvature), OF_DERIVATIVES * abs(derivative)
        for (low, before), (high, after) in pairwise(zip(places, derivatives, strict=True)):
            slope = abs(after - before) / (high - low)
            larger = max(abs(before), abs(after))
            yield 0.5 * (low + high), np.nan_to_num(slope), OF_DERIVATIVES * larger


def _of_several(loss, target, size):
    """The same of K predictions: the largest eigenvalues of their curvature, at some places."""
    for at in _places(size):
        derivatives = np.zeros(size)
        in_python(loss.derivatives, at, target, derivatives)
        steepest = np.abs(_largest_eigenvalue(loss, at, target))
        rounding = OF_DERIVATIVES * float(np.linalg.norm(derivatives))
        yield at, np.nan_to_num(steepest), np.nan_to_num(rounding)


def _places(size):
    yield np.zeros(size)
    for pair in {(0, size - 1), (0, min(1, size - 1)), (max(size - 2, 0), size - 1)}:
        at = np.full(size, FAR_BELOW)
        at[list(pair)] = 0.0
        yield at
    line = np.linspace(-0.9, 1.1, size)
    for length in SIZES:
        yield from (length * line, -length * line)


def _largest_eigenvalue(loss, at, target):
    """About the largest |eigenvalue| of the (K, K) second derivative, no more than it."""
    size = at.size

    def product(direction):
        out = np.zeros(size)
        in_python(loss.curvature_product, at, target, direction, out)
        return out

    if size <= MAX_FORMED:
        matrix = np.stack([product(unit) for unit in np.eye(size)])
        if not np.isfinite(matrix).all():
            return 0.0
        return np.abs(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))).max()
    directions = np.cos(np.arange(size) + 0.5), np.eye(1, size)[0] - np.eye(1, size, 1)[0]
    found = [largest_eigenvalue(product, one, PRODUCTS) for one in directions]
    return max(filter(np.isfinite, found), default=0.0)


def try_separable(loss, targets, n_predictions):
    """ValueError where a derivative of a loss that says that it is a sum of one function of each
    prediction changes with another prediction.
    """
    if not loss.separable or n_predictions == 1:
        return
    at = np.linspace(-0.9, 1.1, n_predictions)
    chosen = sorted({0, n_predictions // 2, n_predictions - 1})
    for target in targets:
        here, there = np.zeros(n_predictions), np.zeros(n_predictions)
        loss.derivatives(at, target, here)
        for k in chosen:
            moved = np.cos(np.arange(n_predictions) + 0.5)
            moved[k] = at[k]
            loss.derivatives(moved, target, there)
            if abs(here[k] - there[k]) > APPROXIMATE * max(abs(here[k]), abs(there[k])):
                raise ValueError(
                    f"{type(loss).__name__}.derivatives goes from {here[k]:.6g} to {there[k]:.6g} "
                    f"in out[{k}] where predictions other than {k} change, target "
                    f"{in_words(target)}, and it says that its value is a sum of one function of "
                    "each: declare `separable = False` in the class"
                )
