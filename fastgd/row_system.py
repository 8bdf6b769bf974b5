"""A curvature matrix solved with by way of the rows: for more columns than rows.

(M + sum_i c_i (x_i, 1)(x_i, 1)') (w, b) = g with a diagonal M, which leaves b alone, is, with t_i = c_i (x_i . w + b),

    (X M^-1 X' + C^-1) t = X M^-1 g_w + b,    sum t = g_b,    w = M^-1 (g_w - X' t)

(Woodbury, 1950): a matrix as large as there are rows.
"""

import numpy as np

from fastgd.factor import Factor

REFINEMENTS = 2


class RowSystem:
    """What `fastgd.factor.Factor` is for the columns.

    Parameters
    ----------
    X : ndarray or sparse array, (n, d)
    products : ndarray, (n, n)
        X M^-1 X'.
    metric : ndarray, (d,)
        Diagonal of M, positive.
    curvatures : ndarray, (n,)
        c, positive.
    fit_intercept : bool

    Examples
    --------
    >>> X = np.array([[1.0, 2.0, 0.0]])
    >>> RowSystem(X, X @ X.T, np.ones(3), np.ones(1), False).solve(np.array([6.0, 0.0, 1.0]))
    array([ 5., -2.,  1.])
    """

    def __init__(self, X, products, metric, curvatures, fit_intercept):
        self.X, self.metric, self.curvatures, self.fit_intercept = X, metric, curvatures, fit_intercept
        matrix = products.copy()
        matrix[np.diag_indices_from(matrix)] += 1.0 / curvatures
        self._factor = Factor(matrix)
        self._ones = self._factor.solve(np.ones(curvatures.size))

    def solve(self, gradient):
        """(w, b) for g = `gradient`, refined: differences g_w - X' t lose digits where M is small."""
        found = self._once(gradient)
        for _ in range(REFINEMENTS):
            found = found + self._once(gradient - self._times(found))
        return found

    def _times(self, v):
        d = self.metric.size
        t = self.curvatures * (self.X @ v[:d] + v[d:].sum())
        return np.r_[self.metric * v[:d] + self.X.T @ t, [t.sum()] * self.fit_intercept]

    def _once(self, gradient):
        d = self.metric.size
        own = gradient[:d] / self.metric
        t, end = self._factor.solve(self.X @ own), []
        if self.fit_intercept:
            shift = (gradient[d] - t.sum()) / self._ones.sum()
            t, end = t + shift * self._ones, [shift]
        return np.r_[own - (self.X.T @ t) / self.metric, end]


def row_products(X, metric):
    """X M^-1 X', (n, n)."""
    if isinstance(X, np.ndarray):
        scaled = X / np.sqrt(metric)
        return scaled @ scaled.T
    return np.asarray((X.multiply(1.0 / metric) @ X.T).todense())
