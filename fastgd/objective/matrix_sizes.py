"""How large matrices may be: limits that several solvers and proofs share."""

# Columns, or unknowns of several predictions, of a matrix for a proof: 18 MB.  It takes about half
# as many passes' worth of arithmetic, 0.1 s for a factor, and 35 times that for the eigenvectors
# that a factor which fails is followed by.
WIDEST_PROOF = 1500
# Columns, or rows where these are fewer, of a matrix of the central path: 128 MB, and about half a
# second an iteration.  Where rows and columns are more and no single rows may be read, there is
# accelerated descent: of 8,706 weighted hinges in 2,528 columns it proved nothing in 1,000 passes,
# 45 iterations of this all of 1.1e-6 in 9 s.
WIDEST_PATH = 4000
# Numbers of the matrices of all predictions together, one for each: 134 MB.
MAX_OF_PREDICTIONS = 1 << 24
# Numbers of a matrix that may be kept whatever X is: 32 MB, of 2,000 columns.
AFFORDABLE = 4e6


def most_numbers(objective):
    """How many numbers a curvature matrix may have beside X: half as many as X, or 32 MB.

    Examples
    --------
    >>> from fastgd import Objective
    >>> most_numbers(Objective("squared_error", [[1.0, 2.0]], [1.0]))
    4000000.0
    """
    return max(0.5 * objective.rows.stored(), AFFORDABLE)
