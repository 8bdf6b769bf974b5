"""The largest eigenvalue of a matrix that is known by its products alone."""

import math


def largest_eigenvalue(product, start, n_steps):
    """Of a symmetric positive semidefinite matrix A, from below, by power iteration.

    v <- A v / |A v|, and |A v| for a v of length 1 is at most the eigenvalue, whatever v is.

    Parameters
    ----------
    product : callable
        v -> A v.
    start : ndarray, (size,)
        Of any length; an eigenvector that it has no part in is not found.
    n_steps : int
        Products that are taken.

    Returns
    -------
    float
        0 where a product vanishes: A is 0 then, or all that is known of it.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, section 7.3.1.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> round(largest_eigenvalue(lambda v: A @ v, np.array([1.0, 0.0]), 20), 6)
    3.0
    """
    direction = start
    value = 0.0
    length = math.sqrt(direction @ direction)
    for _ in range(n_steps):
        if length == 0.0:
            return 0.0
        direction = product(direction / length)
        value = length = math.sqrt(direction @ direction)
    return value
