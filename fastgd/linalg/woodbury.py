"""Systems with a curvature matrix of more columns than rows, by way of one of the rows.

(M + sum_i c_i (x_i, 1)(x_i, 1)') (w, b) = (X' a + g, sum a) with a diagonal M, which leaves b
alone, is, with r_i = a_i - c_i (x_i . w + b) and the columns in two groups, P and A,

    B r = C^-1 a - X_P M_P^-1 g_P - X_A w_A - b,    B = X_P M_P^-1 X_P' + C^-1,    w_P = M_P^-1 (g_P
    + X_P' r) (M_A + X_A' B^-1 X_A) w_A = g_A + X_A' B^-1 (...)

(Woodbury, 1950), the intercept being one more column of A, with M = 0.  Both matrices are about as
large as there are rows.  Columns whose entry of M is small go to A: in B the rounding of their
products would hide all others.  Derivatives a of the rows' losses are kept apart from g, for in
X' a - X' t no digit would be left where |x|^2 c / M is 1e16.
"""

import numpy as np

from fastgd.linalg.cholesky import Ridged

# Columns whose |x|^2 / M is above this many times the median go to A; at most as many as there are
# rows. With all in P, quantiles of 300 rows with an L1 part on 3000 columns ended at a gap of 0.01,
# now 1.6e-7; by way of a matrix of the columns, at the same gap, 15 to 30 times as much time.
STANDS_OUT = 100.0
# Rows have at least this share of the largest curvature: next to none, but of 0, which is what
# weights of 1e-300 beside 1e9 leave, the inverse would be infinite.
MIN_CURVATURE = 1e-200
# Times that what a solution misses is solved for once more, which takes products with the matrices
# only.
REFINEMENTS = 2


class RowSystem:
    """What `fastgd.linalg.cholesky.Factor` is for the columns.

    Parameters
    ----------
    X : ndarray or sparse array, (n, d)
    fit_intercept : bool

    Examples
    --------
    >>> X = np.array([[1.0, 2.0, 0.0]])
    >>> system = RowSystem(X, False)
    >>> system.factorise(np.ones(3), np.ones(1))  # X was read
    True
    >>> system.solve(np.array([6.0]), np.array([0.0, -12.0, 1.0]))
    (array([ 5., -2.,  1.]), array([1.]))
    """

    def __init__(self, X, fit_intercept):
        self.X, self.fit_intercept = X, fit_intercept
        self._by_column = X if isinstance(X, np.ndarray) else X.tocsc()
        self._squared = X * X
        self.metric = self._products = None

    def squares(self, weights=None):
        """Weighted squares of the columns, (d,)."""
        return self._squared.T @ (np.ones(self.X.shape[0]) if weights is None else weights)

    def factorise(self, metric, curvatures):
        """Factor the matrices for M, (d,), positive, and c, (n,), not negative; whether X was
        read.
        """
        read = self.metric is None or not np.array_equal(metric, self.metric)
        if read:
            self.take_metric(metric)
        least = max(MIN_CURVATURE * float(curvatures.max()), float(np.finfo(np.float64).tiny))
        self._curvatures = np.maximum(curvatures, least)
        self._rows = Ridged(self._products, 1.0 / self._curvatures)
        self._within = None
        if self._wide.shape[1]:
            self._within = Ridged(self._wide.T @ self._rows.solve(self._wide), self._own)
        return read

    def solve(self, derivatives, rest):
        """(w, b) for a = `derivatives`, (n,), and g = `rest`, (d,), and x_i . w + b.

        The latter is (a_i - r_i) / c_i: a product with w would lose the digits of r where c is
        large.
        """
        right = derivatives / self._curvatures - self.X @ (self._inverse * rest)
        known = np.r_[rest[self._apart], np.zeros(self._own.size - self._apart.size)]
        r, own = self._solved(right, known)
        for _ in range(REFINEMENTS):
            missed = right - self._products @ r - r / self._curvatures - self._wide @ own
            more, others = self._solved(missed, known + self._wide.T @ r - self._own * own)
            r, own = r + more, own + others
        coef = self._inverse * (rest + self.X.T @ r)
        coef[self._apart] = own[: self._apart.size]
        return np.r_[coef, own[self._apart.size :]], (derivatives - r) / self._curvatures

    def _solved(self, right, known):
        """r, and w_A with b, of B r + X_A w_A + b = `right`, M_A w_A = `known` + X_A' r."""
        if self._within is None:
            return self._rows.solve(right), np.zeros(0)
        own = self._within.solve(known + self._wide.T @ self._rows.solve(right))
        return self._rows.solve(right - self._wide @ own), own

    def take_metric(self, metric):
        """Find which columns are in A, and the products of the others."""
        n, sizes = self.X.shape[0], self.squares() / metric
        apart = np.flatnonzero(sizes > STANDS_OUT * np.median(sizes))
        if apart.size > n:
            apart = np.sort(apart[np.argpartition(-sizes[apart], n)[:n]])
        self.metric, self._apart = metric, apart
        self._inverse = 1.0 / metric
        self._inverse[apart] = 0.0
        self._products = _products(self.X, self._inverse)
        wide = self._by_column[:, apart]
        wide = wide if isinstance(wide, np.ndarray) else wide.toarray()
        self._wide = np.column_stack([wide, np.ones(n)]) if self.fit_intercept else wide
        self._own = np.append(metric[apart], np.zeros(int(self.fit_intercept)))


def _products(X, inverse):
    """X M^-1 X', (n, n)."""
    if isinstance(X, np.ndarray):
        scaled = X * np.sqrt(inverse)
        return scaled @ scaled.T
    return np.asarray((X.multiply(inverse) @ X.T).todense())
