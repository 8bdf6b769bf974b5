"""A curvature matrix solved with by way of the rows: for more columns than rows.

(M + sum_i c_i (x_i, 1)(x_i, 1)') (w, b) = (X' a + g, sum a) with a diagonal M, which leaves b alone, is, with
r_i = a_i - c_i (x_i . w + b),

    (X M^-1 X' + C^-1) r = C^-1 a - X M^-1 g - b,    sum r = 0,    w = M^-1 (g + X' r)

(Woodbury, 1950): a matrix as large as there are rows. Amounts a of the rows are kept apart from g, for in X' a - X' t
no digit would be left where |x|^2 c / M is 1e16.
"""

import numpy as np

from fastgd.factor import Factor


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
    >>> RowSystem(X, X @ X.T, np.ones(3), np.ones(1), False).solve(np.array([6.0]), np.array([0.0, -12.0, 1.0]))
    array([ 5., -2.,  1.])
    """

    def __init__(self, X, products, metric, curvatures, fit_intercept):
        self.X, self.metric, self.curvatures, self.fit_intercept = X, metric, curvatures, fit_intercept
        matrix = products.copy()
        matrix[np.diag_indices_from(matrix)] += 1.0 / curvatures
        self._factor = Factor(matrix)
        self._ones = self._factor.solve(np.ones(curvatures.size))

    def solve(self, amounts, rest):
        """(w, b) for a = `amounts`, (n,), and g = `rest`, (d,)."""
        r, end = self._factor.solve(amounts / self.curvatures - self.X @ (rest / self.metric)), []
        if self.fit_intercept:
            shift = r.sum() / self._ones.sum()
            r, end = r - shift * self._ones, [shift]
        return np.r_[(rest + self.X.T @ r) / self.metric, end]


def row_products(X, metric):
    """X M^-1 X', (n, n)."""
    if isinstance(X, np.ndarray):
        scaled = X / np.sqrt(metric)
        return scaled @ scaled.T
    return np.asarray((X.multiply(1.0 / metric) @ X.T).todense())
