"""A quadratic form in place of the L2 part of an elastic net, with weights and bounds.

w'P w / 2 + sum_j l1_j |w_j|,    low_j <= w_j <= high_j
"""

import numpy as np
import scipy.sparse as sp

from fastgd.linalg.precision import EPS
from fastgd.penalties.weighted_term import WeightedTerm


def with_ones(matrix):
    """S P S with ones on its diagonal, where that is not 0, and the scale S, (d,).

    Examples
    --------
    >>> scaled, scale = with_ones(sp.csr_array([[4.0, 1.0], [1.0, 1.0]]))
    >>> scaled.toarray().tolist(), scale.tolist()
    ([[1.0, 0.5], [0.5, 1.0]], [0.5, 1.0])
    """
    diagonal = np.abs(matrix.diagonal())
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    S = sp.diags_array(scale)
    return sp.csr_array(S @ matrix @ S), scale


class QuadraticTerm(WeightedTerm):
    """The penalty of the first lines of this file.

    Parameters
    ----------
    matrix : csr_array, (d, d)
        P, symmetric and positive semi-definite, with its strength.
    l1, low, high : ndarray, (d,) or (1,)
    n_predictions : int
        Each of which has a form of its own.
    below : float
        How far rounding has taken eigenvalues below 0, in units in which the diagonal is 1.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> P = sp.csr_array([[1.0, -1.0], [-1.0, 1.0]])
    >>> ends = np.zeros(1), np.full(1, -np.inf), np.full(1, np.inf)
    >>> term = QuadraticTerm(P, *ends)
    >>> term.value(np.array([1.0, 3.0])), term.gradient(np.array([1.0, 3.0])).tolist()
    (2.0, [-2.0, 2.0])
    """

    coupled = True

    def __init__(self, matrix, l1, low, high, n_predictions=1, below=0.0):
        super().__init__(l1, np.zeros(1), low, high, n_predictions)
        self.matrix, self.n_predictions, self.below = matrix, n_predictions, below
        self.sizes = abs(matrix)
        self.diagonal = np.repeat(matrix.diagonal(), n_predictions)

    def __repr__(self):
        return f"QuadraticTerm of {self.matrix.shape[0]} columns"

    @property
    def strong_convexity(self):
        """The number 0: the least eigenvalue of P is not known."""
        return 0.0

    def smooth_value(self, coef):
        """The value of the form, w'P w / 2."""
        return 0.5 * float(coef @ self.gradient(coef))

    def value_rounding(self, coef):
        """Of products that cancel where w is large and P w small: 7e-15 of a true 7e-15, with which
        F was negative, and so proved to be at its infimum.  And of eigenvalues that are below 0 by
        rounding: what is claimed is claimed of a form that is nowhere below 0.
        """
        table = np.abs(coef).reshape(-1, self.n_predictions)
        products = EPS * float(np.sum(table * (self.sizes @ table)))
        return products + 0.5 * self.below * float(self.diagonal @ (coef * coef))

    def gradient(self, coef):
        """The gradient of the form, P w."""
        return (self.matrix @ coef.reshape(-1, self.n_predictions)).ravel()

    def add_gradient(self, coef, gradient):
        """Add P w to `gradient`, in place, and return w'P w / 2."""
        own = self.gradient(coef)
        gradient += own
        return 0.5 * float(coef @ own)

    def curvature(self, coef):
        """The diagonal of P; products have all of it."""
        return self.diagonal

    def curvature_at(self, coef):
        """A function that multiplies with P."""
        return self.gradient

    def add_curvature(self, matrix):
        """Add P, of each prediction."""
        k, form = self.n_predictions, self.matrix.toarray()
        for own in range(k):
            matrix[own::k, own::k] += form

    def flat(self):
        """Directions along which the form is 0 but for rounding, (d, m), orthonormal."""
        scaled, scale = with_ones(self.matrix)
        values, vectors = np.linalg.eigh(scaled.toarray())
        kept = vectors[:, values <= EPS * values.size * np.abs(values).max(initial=0.0)]
        return np.linalg.qr(scale[:, None] * kept)[0]

    def prox(self, coef, rates):
        """That of kinks and bounds."""
        super().prox(coef, rates)

    def gap(self, coef, gradient, above=np.inf):
        """That of kinks and bounds, with P w for the form.

        The conjugate at -g is at most that of the form at P w, w'P w / 2, and that of the rest at
        -g - P w. Where all is scaled by c, what this adds is (1 - c)^2 w'P w / 2, and w'P w / 2 is
        in `above`, to which the form belongs.
        """
        return super().gap(coef, gradient, above) + 4.0 * self.value_rounding(coef)
