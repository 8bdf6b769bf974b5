"""How far from stationary a model under MCP or SCAD is, apart from the package: what F would fall
by if each column, and the intercept, made the step to its own minimum.

The curvature along a column is its variance (without an intercept its mean square) times the
greatest of the loss, or 1 where that has no bound: this is what `bound_kind_` "stationarity" tells
of.  Predictions and sums are double-double (`exact`), slopes of rows are right to a few units of
rounding, and what these may add is taken off.
"""

import numpy as np
import scipy.sparse as sp

from . import exact, lowest, structures

EPS = float(np.finfo(float).eps)
SLOPES = 8.0 * EPS  # what the weighted slope of a row is wrong by, of itself
ROUNDING = 64.0 * EPS  # of a mean: a column spread no wider is constant


class Stationary:
    """What is known of a problem that is not convex: F0, and the lowest F that a fit has found."""

    def __init__(self, problem, fits):
        of_constant = lowest.best_constant(problem)
        self.problem, self.constant = problem, of_constant.high
        self.nothing_left = lowest.is_rounding(problem, of_constant)
        known = [(one.value, one.setting["solver"], one.model) for one in fits if one.value]
        known = [one for one in known if np.isfinite(one[0].high)]
        self.value, self.by, self.model = min(
            known, key=lambda one: one[0][:2], default=(None, "nothing", None)
        )

    def error(self, one):
        """A lower bound of what F would fall by from a fit's model, in the unit of
        `suboptimality_`; 0 where the loss has corners, of which no claim is made.
        """
        unit = max(one.value.high, 1e-4 * self.constant)
        return self._fall(one) / unit if unit > 0.0 else 0.0

    def is_false(self, one):
        """Whether a fit claims less than F would fall by, by more than 1 %, or NaN."""
        claim = one.claims["suboptimality_"]
        if not np.isfinite(claim):
            return bool(np.isnan(claim))
        told = claim * max(one.value.high / (1.0 + claim), 1e-4 * self.constant)
        return not self._fall(one) <= 1.01 * told

    def _fall(self, one):
        """No more than all of F, whatever the columns say one by one."""
        if not self.problem.loss.smooth:
            return 0.0
        return min(least_fall(self.problem, *one.model), one.value.high)


def least_fall(problem, coef, intercept):
    """The fall along all columns and the intercept, with rounding taken off.

    A column's slope is taken with the intercept held or moved along, whichever is less steep, and
    less what the latter is worth a standard deviation away: columns far from zero are read as
    distances from about their means.  A column that is constant is worth its slope times the
    coefficient.
    """
    p, weights = problem, problem.weights / problem.weights.sum()
    coef, intercept = np.ravel(coef), float(np.ravel(intercept)[0])
    with np.errstate(all="ignore"):
        z, _ = exact.products(p.X, coef)
        z = exact.add(z, exact.number(np.full(weights.size, intercept)))
        z = z if p.offset is None else exact.add(z, exact.number(p.offset))
        slope = np.where(weights > 0.0, weights * exact.losses(p, [z])[1][0], 0.0)
    columns = sp.csr_array(p.X.T) if sp.issparse(p.X) else p.X.T
    gradient, sizes = exact.products(columns, slope)
    gradient, total = gradient[0] + gradient[1], float(np.sum(slope, dtype=np.longdouble))
    means, variances = _moments(columns, weights, p.fit_intercept)
    bound = getattr(p.loss, "curvature_bound", np.inf)
    curvature = bound if 0.0 < bound < np.inf else 1.0
    wrong = SLOPES * (sizes + np.abs(means) * np.abs(slope).sum() + p.alpha)
    wrong = wrong + np.sqrt(variances) * abs(total) * p.fit_intercept
    slopes = [_steepness(p, coef, one) for one in (gradient, gradient - means * total)]
    slopes = np.maximum(np.minimum(*slopes) - wrong, 0.0)
    seen = variances > (ROUNDING * means) ** 2
    along = float(np.sum(slopes[seen] ** 2 / (curvature * variances[seen])))
    along += float(np.sum(slopes[~seen] * np.abs(coef[~seen])))
    if p.fit_intercept:
        along += max(abs(total) - SLOPES * np.abs(slope).sum(), 0.0) ** 2 / curvature
    return along


def _moments(columns, weights, centred):
    """Means and variances of columns, or zeros and mean squares; both right to 1e-6 and better."""
    if sp.issparse(columns):
        means = columns @ weights if centred else np.zeros(columns.shape[0])
        # Stored values as distances from the means, and the rest at that distance from 0.
        stored = columns.tocoo()
        off = (stored.data - means[stored.row]) ** 2 * weights[stored.col]
        rest = 1.0 - np.bincount(stored.row, weights[stored.col], minlength=means.size)
        squares = np.bincount(stored.row, off, minlength=means.size)
        return means, squares + np.maximum(rest, 0.0) * means**2
    X = np.asarray(columns, dtype=np.float64)
    if not centred:
        return np.zeros(len(X)), X**2 @ weights
    shifted = X - X[:, :1]
    means = shifted @ weights
    return X[:, 0] + means, (shifted - means[:, None]) ** 2 @ weights


def _steepness(problem, coef, gradient):
    """|slope| of F along each column."""
    bent = structures.concave_slope(problem.structure, problem.alpha, np.abs(coef))
    at_zero = np.maximum(np.abs(gradient) - problem.alpha, 0.0)
    return np.where(coef == 0.0, at_zero, np.abs(gradient + bent * np.sign(coef)))
