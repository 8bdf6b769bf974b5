"""Columns that are exact linear combinations of others, for example one of each group of
indicators: a model without a penalty does not need them.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from fastgd.runtime.array_shapes import shaped

# A column whose variance the others leave less than this share of is looked at, for one to three
# passes each; with more of them than this nothing is done.
LEFT = 1e-12
MAX_LOOKED_AT = 500
# What rounding may leave of such a linear combination, as a share of the greatest terms: 16
# units in the last place. With 450 of them, columns that differ by 1e-13 were proved to be copies.
# Of columns that are read as distances, the numbers as they were given are rounded: a sum of
# columns around 1e5 is one but for 1e-11.
ROUNDING = 4e-15
# Times that a combination is solved for, each with what the one before has left: a pass each.
REFINEMENTS = 3


@shaped(columns="int64 c in 0:u", directions="u c", residuals="c")
class Redundant(NamedTuple):
    """Redundant columns, and for each a direction, (size, k) in all, that moves its coefficient and
    changes no prediction by more than its entry of `residuals`.
    """

    columns: np.ndarray
    directions: np.ndarray
    residuals: np.ndarray

    @classmethod
    def none(cls, size):
        """No column of so many."""
        return cls(np.empty(0, dtype=int), np.empty((size, 0)), np.empty(0))

    def left_out(self, matrix):
        """A curvature matrix without them, in place."""
        matrix[self.columns] = matrix[:, self.columns] = 0.0
        return matrix


def redundant_columns(objective, linear_map, rows, free=None):
    """Columns that are sums of multiples of the others, to rounding in each of these rows; the
    intercept is none.  Of the `free` ones where these are given, (d,) bool.

    Three sweeps for each that is likely one.

    Parameters
    ----------
    objective : Objective
    linear_map : LinearMap
    rows : ndarray of bool, (n_samples,)

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> from fastgd.objective.linear_map import LinearMap
    >>> X = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0], [1.0, 0.0, 6.0], [0.0, 1.0, 7.0]])
    >>> F = Objective("quantile", X, np.ones(4))
    >>> redundant_columns(F, LinearMap(F), np.full(4, True)).columns.size
    1
    """
    F, d = objective, objective.n_features
    weights = np.where(rows, F.samples.weights, 0.0)
    matrix = F.gram(weights)
    diagonal = np.sqrt(np.diag(matrix))
    seen = diagonal > 0.0
    if free is not None:
        seen[:d] &= free
    seen = np.flatnonzero(seen)
    if seen.size == 0:
        return Redundant.none(F.size)
    scale = diagonal[seen]
    scaled = matrix[np.ix_(seen, seen)] / scale[:, None] / scale
    if F.fit_intercept:  # the pivot that is taken first
        scale[-1] *= 0.5
        scaled[-1] *= 2.0
        scaled[:, -1] *= 2.0
    factor, pivots, rank, _ = lapack.dpstrf(scaled, tol=LEFT, lower=1)
    order = seen[pivots - 1]
    kept, rest = order[:rank], order[rank:]
    if rest.size > MAX_LOOKED_AT:
        return Redundant.none(F.size)
    lower, scale = factor[:rank, :rank], scale[pivots - 1][:rank]
    largest = np.append(F.moments().largest, 1.0)
    found = []
    for j in rest:
        direction, target = np.zeros(F.size), matrix[j, kept]
        direction[j] = -1.0
        for more in reversed(range(REFINEMENTS)):
            direction[kept] += lapack.dpotrs(lower, target / scale, lower=1)[0] / scale
            left = linear_map.matvec(np.ascontiguousarray(direction[:d])) + (
                direction[d] if F.fit_intercept else 0.0
            )
            terms = np.abs(direction) @ largest[: F.size]
            terms += F.rows.taken_away(direction[:d, None])[0]
            most = float(np.abs(left[weights > 0.0]).max())
            close = most <= ROUNDING * float(terms)
            if close:
                found.append((j, direction, most))
            if close or more == 0:
                break
            residuals = -weights * left / F.n_active
            target = np.append(linear_map.rmatvec(residuals), residuals.sum())[kept]
    if not found:
        return Redundant.none(F.size)
    columns, directions, rests = zip(*found, strict=True)
    return Redundant(np.array(columns), np.column_stack(directions), np.array(rests))
