"""The outer part of the spectrum of a matrix that is known by its products alone."""

import numpy as np

# A direction that is left shorter than this share of the greatest eigenvalue ends the space.
INVARIANT = 1e-10


def ritz_values(product, start, n_steps):
    """Values that stand for the eigenvalues of a symmetric positive semidefinite matrix A, the
    greatest first, by Lanczos' method with full orthogonalisation.

    In an orthonormal basis V of the span of v, A v, A^2 v, ... the matrix V'AV is tridiagonal.  Its
    eigenvalues are within the spectrum of A, and the outer ones are close first.

    Parameters
    ----------
    product : callable
        v -> A v.
    start : ndarray, (size,)
        v; eigenvectors that it has no part in are not found.
    n_steps : int
        Products that are taken, at most `size`.

    Returns
    -------
    ndarray
        As many as there were steps; one 0 where v is 0.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, section 10.1.

    Examples
    --------
    >>> A = np.diag([1.0, 2.0, 5.0])
    >>> ritz_values(lambda v: A @ v, np.ones(3), 3).round(9)
    array([5., 2., 1.])
    """
    length = float(np.linalg.norm(start))
    if length == 0.0:
        return np.zeros(1)
    basis = [start / length]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for _ in range(min(n_steps, start.size)):
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        for known in (*basis, *basis):  # twice: rounding of the first time is taken away as well
            image = image - (known @ image) * known
        length = float(np.linalg.norm(image))
        if not length > INVARIANT * max(diagonal):
            break
        off_diagonal.append(length)
        basis.append(image / length)
    inner = off_diagonal[: len(diagonal) - 1]
    matrix = np.diag(diagonal) + np.diag(inner, 1) + np.diag(inner, -1)
    return np.linalg.eigvalsh(matrix)[::-1]
