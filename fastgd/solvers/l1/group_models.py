"""A squared loss on some columns, for all K predictions: what block coordinate descent moves.

Intercepts are at their best for any coefficients, so that columns count less their means.  A model
is one matrix, of which an epoch takes a line for each coefficient, or where that is longer the
columns and the residuals of all rows.
"""

import numpy as np
import scipy.sparse as sp

from fastgd.solvers.l1 import kernels

# A value of a compressed column takes so many times as long as one of a line of a matrix.
FAR = 4.0
# A product of two columns by BLAS takes so many times what one of a Newton step does.
BLAS = 0.3


class MatrixModel:
    """<g, E> + <E, E H> / 2 over (K, d) tables E.

    Parameters
    ----------
    matrix : ndarray, (d, d)
        H, symmetric.
    gradient, coef : ndarray, (K, d)
        g, which is written over, and the coefficients where E is 0.
    means : ndarray, (d,)
        Of the columns, less which they count; 0 where there is no intercept.
    """

    def __init__(self, matrix, gradient, coef, means):
        self.matrix, self.means, self._gradient = matrix, means, gradient
        self._begun, self._coef = gradient.copy(), coef.copy()
        # What an epoch reads for each coefficient, and what `part` takes for each entry, in the
        # products of a Newton step.
        self.length, self.forming = len(matrix), 0.0

    def epoch(self, coef, *groups):
        """What `fastgd.solvers.l1.kernels.group_epoch` does and returns."""
        return kernels.group_epoch(self.matrix, self._gradient, coef, *groups)

    def state(self):
        """Arrays that move along with the coefficients, as an affine map of these."""
        return (self._gradient,)

    def value(self, coef):
        """The quadratic there, but for a constant."""
        return 0.5 * float(((coef - self._coef) * (self._begun + self._gradient)).sum())

    def gradient(self, coef):
        """Gradient at these coefficients."""
        return self._gradient

    def diagonal(self):
        """Of H, a new array."""
        return self.matrix.diagonal().copy()

    def part(self, features):
        """H of these features, a new array."""
        return self.matrix[np.ix_(features, features)]

    def change(self, step, features):
        """<E, E H> of a step E of these features, and what `move` takes."""
        change = step @ self.matrix[features]
        return float((step * change[:, features]).sum()), change

    def move(self, share, change):
        """Follow so much of a step."""
        self._gradient += share * change


class DenseColumns:
    """The same by columns, (d, n), less their means and times the roots of the rows' weights, by
    residuals, (K, n), times these roots, and with an L2 part of strengths (d,).
    """

    def __init__(self, columns, residuals, l2, means):
        self.columns, self.residuals, self.l2, self.means = columns, residuals, l2, means
        self.length, self.forming = 2 * columns.shape[1], BLAS * columns.shape[1]

    def epoch(self, coef, *groups):
        """As that of `MatrixModel`."""
        return kernels.group_column_epoch(self.columns, self.residuals, self.l2, coef, *groups)

    def state(self):
        """As that of `MatrixModel`."""
        return (self.residuals,)

    def value(self, coef):
        """As that of `MatrixModel`."""
        return 0.5 * float(np.square(self.residuals).sum() + (self.l2 * np.square(coef)).sum())

    def gradient(self, coef):
        """As that of `MatrixModel`."""
        return self.residuals @ self.columns.T + self.l2 * coef

    def diagonal(self):
        """As that of `MatrixModel`."""
        return np.einsum("ji,ji->j", self.columns, self.columns) + self.l2

    def part(self, features):
        """As that of `MatrixModel`."""
        own = self.columns[features]
        found = own @ own.T
        found[np.diag_indices_from(found)] += self.l2[features]
        return found

    def change(self, step, features):
        """As that of `MatrixModel`."""
        change = step @ self.columns[features]
        own = float((self.l2[features] * np.square(step)).sum())
        return float(np.square(change).sum()) + own, change

    def move(self, share, change):
        """As that of `MatrixModel`."""
        self.residuals += share * change


class SparseColumns:
    """The same by compressed columns as they are, (n, d), weights of the rows that sum to 1, and
    residuals, (n, K), without weights.
    """

    def __init__(self, columns, weights, residuals, l2, centred):
        self.columns, self.weights, self.residuals, self.l2 = columns, weights, residuals, l2
        self.means = columns.T @ weights if centred else np.zeros(columns.shape[1])
        self.shift = -(weights @ residuals) if centred else np.zeros(residuals.shape[1])
        n, d = columns.shape
        self.length, self.forming = FAR * columns.nnz / d, FAR * (columns.nnz / d) ** 2 / n

    def epoch(self, coef, *groups):
        """As that of `MatrixModel`."""
        X = self.columns
        data = X.data, X.indices, X.indptr, self.weights, self.means
        rows = self.residuals, self.shift
        return kernels.group_sparse_epoch(data, *rows, self.l2, coef, *groups)

    def state(self):
        """As that of `MatrixModel`."""
        return self.residuals, self.shift

    def value(self, coef):
        """As that of `MatrixModel`."""
        squares = self.weights @ np.square(self.residuals + self.shift)
        return 0.5 * float(squares.sum() + (self.l2 * np.square(coef)).sum())

    def gradient(self, coef):
        """As that of `MatrixModel`."""
        weighted = (self.residuals + self.shift) * self.weights[:, None]
        return (self.columns.T @ weighted).T + self.l2 * coef

    def diagonal(self):
        """As that of `MatrixModel`."""
        squares = self.columns.copy()
        squares.data **= 2
        return squares.T @ self.weights - self.means**2 + self.l2

    def part(self, features):
        """As that of `MatrixModel`."""
        own, means = self.columns[:, features], self.means[features]
        found = (own.T @ sp.diags_array(self.weights) @ own).toarray() - np.outer(means, means)
        found[np.diag_indices_from(found)] += self.l2[features]
        return found

    def change(self, step, features):
        """As that of `MatrixModel`."""
        change = (self.columns[:, features] @ step.T, -(step @ self.means[features]))
        squares = self.weights @ np.square(change[0] + change[1])
        own = float((self.l2[features] * np.square(step)).sum())
        return float(squares.sum()) + own, change

    def move(self, share, change):
        """As that of `MatrixModel`."""
        self.residuals += share * change[0]
        self.shift += share * change[1]
