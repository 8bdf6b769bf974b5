"""A factored curvature matrix: by Cholesky where it is positive definite, else by the eigenvectors
of its range.
"""

import math

import numpy as np
from scipy.linalg import blas, lapack

from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import eigenpairs
from fastgd.runtime.array_shapes import shaped

# A pivot, of ones on the diagonal, above this is known to a thousandth of its square.
RESOLVED = 3e-6
# Roots of a diagonal below this are of sums that have lost digits to the smallest numbers.
FAINT = 1e-150

# Added to a diagonal of ones for each unknown: a few units in the last place, and a hundred times
# as much as often as that is not enough.
RIDGE = 1e-15
# Where this is not enough the matrix is not one of finite numbers, and no ridge will do.
MAX_RIDGE = 1e3


@shaped(
    diagonal="m",
    scale="m",
    border="m",
    _zeros="int64 * in 0:m",
    _lower="m m",
    _pairs=("m", "m m"),
    _root="m r",
    _values="r",
    _vectors="m r",
)
class Factor:
    """H as (D L)(D L)' with D the roots of its diagonal, so that the rounding of large columns
    does not hide small ones.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H, symmetric, positive semidefinite up to rounding.

    Attributes
    ----------
    entry_rounding : float
        What an entry may be wrong by beside the sums that it is made of, in units of the diagonal.

    Examples
    --------
    >>> Factor(np.array([[4.0, 0.0], [0.0, 1e-12]])).solve(np.array([2.0, 1e-12]))
    array([0.5, 1. ])
    """

    entry_rounding = 0.0

    def __init__(self, matrix):
        self._take_diagonal(matrix)
        scaled = self._scaled(matrix)
        # LAPACK itself: scipy.linalg's checks take longer than a small factorisation. In place, and
        # with what is above the diagonal left as it is: 0.35 of the time with 300 columns, 0.4 with
        # 510.
        lower, failed = lapack.dpotrf(scaled.T, lower=1, clean=0, overwrite_a=1)
        # A pivot this small is rounding: the direction that it stands for has no curvature to go
        # by.
        self.weakest = float(lower.diagonal().min()) if failed == 0 else 0.0
        if self.weakest > 1e-7:
            self._lower = lower
        else:
            self._lower = None
            values, vectors = self._pairs = self._eigenpairs(matrix)
            kept = values > 10.0 * EPS * values.size * self._largest(values)
            self._root = vectors[:, kept] / np.sqrt(values[kept])
            self._values, self._vectors = values[kept], vectors[:, kept]
        self._inverse_norm = None

    def _take_diagonal(self, matrix):
        diagonal = self.diagonal = np.sqrt(np.maximum(matrix.diagonal(), 0.0))
        self._zeros = np.flatnonzero(diagonal == 0.0)
        self.scale = np.where(diagonal > 0.0, diagonal, 1.0)
        self.border = matrix[:, -1].copy()

    def _largest(self, values):
        """What the eigenvalues are rounded in units of."""
        return max(values[-1], 0.0)

    def eigenpairs(self, matrix):
        """Eigenvalues, ascending, and eigenvectors of H with ones on its diagonal; columns of
        zeros have no part.
        """
        return self._eigenpairs(matrix) if self.regular else self._pairs

    def _eigenpairs(self, matrix):
        # LAPACK never comes back from NaN; a matrix that is not finite has no direction to go by.
        scaled = self._scaled(matrix)
        finite = bool(np.isfinite(scaled).all())
        values, vectors = (
            eigenpairs(scaled) if finite else (np.zeros(len(scaled)), np.eye(len(scaled)))
        )
        vectors[self._zeros] = 0.0
        return values, vectors

    def _scaled(self, matrix):
        scaled = matrix / self.scale
        scaled /= self.scale[:, None]
        scaled[self._zeros, self._zeros] = 1.0
        return scaled

    def _right(self, gradient):
        scaled = gradient / self.scale
        if self._zeros.size:
            scaled[self._zeros] = 0.0
        return scaled

    @property
    def full(self):
        """Whether H is positive definite beyond rounding, so that its inverse bounds what F can
        still fall.
        """
        return self.regular and bool((self.diagonal > FAINT).all())

    @property
    def resolved(self):
        """Whether rounding of the matrix hardly shows in any direction."""
        return self.weakest > RESOLVED

    def doubt(self, rounding):
        """What a matrix whose sums are wrong by `rounding` may be wrong by, in units of itself."""
        return (rounding + self.entry_rounding) * self.inverse_norm() ** 2

    def follow(self, before):
        """Know how this matrix is rounded, which is that of the factor `before` with another
        diagonal: what that one was wrong by stays, and is more in units of a smaller diagonal.
        """
        fallen = float((before.scale / self.scale).max()) ** 2
        self.entry_rounding = before.entry_rounding * fallen + EPS * self.scale.size * max(
            fallen, 1.0
        )

    @property
    def regular(self):
        """Whether H is positive definite beyond rounding but for columns of zeros, which no step
        moves along.
        """
        return self._lower is not None

    def solve(self, gradient):
        """H^-1 times `gradient`; of the range of H where it has a kernel."""
        scaled = self._right(gradient)
        if self.regular:
            return lapack.dpotrs(self._lower, scaled, lower=1)[0] / self.scale
        return self._root @ (self._root.T @ scaled) / self.scale

    def inverse(self):
        """H^-1, or that of its range where H has a kernel, (size, size)."""
        roots = np.where(self.diagonal > 0.0, 1.0 / self.scale, 0.0)
        if not self.regular:
            root = self._root / self.scale[:, None]
            return root @ root.T
        return lapack.dpotrs(self._lower, np.diag(roots), lower=1)[0] * roots[:, None]

    def norm(self, step):
        """Length of a step in H: sqrt(step' H step)."""
        scaled = step * self.scale
        if self._lower is not None:
            return float(np.linalg.norm(blas.dtrmv(self._lower, scaled, lower=1, trans=1)))
        return float(np.linalg.norm(np.sqrt(self._values) * (self._vectors.T @ scaled)))

    def norm_of(self, gradient):
        """Length of a gradient in H^-1: sqrt(gradient' H^-1 gradient)."""
        scaled = self._right(gradient)
        solved = (
            lapack.dtrtrs(self._lower, scaled, lower=1)[0]
            if self.regular
            else self._root.T @ scaled
        )
        # A small fit asks 30 times, and NumPy's norm looks at its argument first.
        return math.sqrt(solved @ solved)

    def matrix(self):
        """H itself, multiplied out again, where it is positive definite."""
        root = self.scale[:, None] * np.tril(self._lower)
        return root @ root.T

    def product(self, step):
        """H times `step`, where H is positive definite."""
        upper = blas.dtrmv(self._lower, step * self.scale, lower=1, trans=1)
        return self.scale * blas.dtrmv(self._lower, upper, lower=1)

    def inverse_norm(self):
        """At least the norm of (D L)^-1 D, by which an error of a scaled gradient becomes one of
        the decrement.
        """
        if self._inverse_norm is None:
            self._inverse_norm = float(
                np.linalg.norm(np.tril(lapack.dtrtri(self._lower, lower=1)[0]))
            )
        return self._inverse_norm

    def root(self):
        """T with T T' = H^-1, (size, size); of the range of H where it has a kernel."""
        if self._lower is None:
            return self._root / self.scale[:, None]
        upper = lapack.dtrtrs(self._lower, np.eye(self.scale.size), lower=1, trans=1)[0]
        return upper / self.scale[:, None]


class Ridged:
    """(H + diagonal)^-1, scaled so that the rounding of large columns does not hide small ones.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H, symmetric, positive semidefinite up to rounding.
    diagonal_shift : ndarray, up to (size,)
        Of the first places of the diagonal.

    Examples
    --------
    >>> ridged = Ridged(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([3.0, 1e-3]))
    >>> ridged.solve(np.array([4.0, 1.0])).round(3)
    array([1., 0.])
    """

    def __init__(self, matrix, diagonal_shift):
        diagonal = np.diag(matrix).copy()
        diagonal[: diagonal_shift.size] += diagonal_shift
        self._scale = np.where(diagonal > 0.0, np.sqrt(diagonal), 1.0)
        ridge = RIDGE * diagonal.size
        failed = 1
        while failed and ridge < MAX_RIDGE:
            scaled = matrix / self._scale[:, None]
            scaled /= self._scale
            scaled[np.diag_indices_from(scaled)] = 1.0 + ridge
            # Transposed it is in the order of LAPACK, which needs no copy of it then.
            self._upper, failed = lapack.dpotrf(scaled.T, lower=0, clean=0, overwrite_a=1)
            ridge *= 100.0
        if failed:
            self._upper[:] = np.nan  # so are solutions, at which callers stop

    def solve(self, right):
        """The unknowns for `right`, (size,) or (size, k)."""
        scale = self._scale if right.ndim == 1 else self._scale[:, None]
        return lapack.dpotrs(self._upper, right / scale, lower=0)[0] / scale
