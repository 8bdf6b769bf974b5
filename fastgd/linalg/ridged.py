"""Cholesky's factor of a matrix on a central path, where some directions have next to no curvature by design.

`fastgd.linalg.cholesky.Factor` leaves such directions out, for what it makes is to be believed.  Here a step is all that is
wanted: on the path many follow, and each brings what the one before missed.
"""

import numpy as np
from scipy.linalg import lapack

# Added to a diagonal of ones for each unknown, and a hundred times as much as often as that is not enough.
RIDGE = 1e-15
# Where this is not enough the matrix is not one of finite numbers, and no ridge will do.
LARGEST_RIDGE = 1e3


class Ridged:
    """(H + diagonal)^-1, scaled so that columns on wild scales do not drown each other.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H, symmetric, positive semidefinite up to rounding.
    added : ndarray, up to (size,)
        Of the first places of the diagonal.

    Examples
    --------
    >>> Ridged(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([3.0, 1e-3])).solve(np.array([4.0, 1.0])).round(3)
    array([1., 0.])
    """

    def __init__(self, matrix, added):
        diagonal = np.diag(matrix).copy()
        diagonal[: added.size] += added
        self._scale = np.where(diagonal > 0.0, np.sqrt(diagonal), 1.0)
        ridge, failed = RIDGE * diagonal.size, 1
        while failed and ridge < LARGEST_RIDGE:
            scaled = matrix / self._scale[:, None]
            scaled /= self._scale
            scaled[np.diag_indices_from(scaled)] = 1.0 + ridge
            # Transposed it is in the order of LAPACK, which needs no copy of it then.
            self._upper, failed = lapack.dpotrf(scaled.T, lower=0, clean=0, overwrite_a=1)
            ridge *= 100.0
        if failed:
            self._upper[:] = np.nan  # so is what is solved with it, and whoever asks stops there

    def solve(self, right):
        """The unknowns for `right`, (size,) or (size, k)."""
        scale = self._scale if right.ndim == 1 else self._scale[:, None]
        return lapack.dpotrs(self._upper, right / scale, lower=0)[0] / scale
