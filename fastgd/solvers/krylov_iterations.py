"""How many iterations take the methods whose steps combine past gradients: what plans expect of
Newton steps among them and of L-BFGS.

The gradients of a quadratic span a Krylov space, and the error falls by a factor for each root of
the condition number that iterations come to.  Both ends of the spectrum are known from a sample of
the rows: that of standardised columns (`standard_spectrum`) where these are fewer than rows, else
that of products of rows (`row_spectrum`).
"""

import math

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost, curvature_cost, solving_cost
from fastgd.objective.distances import curvature_unit
from fastgd.objective.matrix_sizes import WIDEST_PROOF
from fastgd.objective.moments import row_coupling, standard_spectrum
from fastgd.objective.row_spectrum import row_spectrum

# Where columns are fewer: to 1e-4 about c sqrt(k) iterations, with k the condition number of
# standardised columns, c of L-BFGS and of Newton steps among past gradients; a few greatest
# curvatures cost a direction or two each instead of being in k.  Over 160 problems of seven kinds,
# 30 to 3,900 columns, the root mean square of log(forecast / taken) is 0.71 and 0.57 on the half
# that the numbers are from and 0.61 and 0.52 on the other; by the spread of raw columns it was 1.43
# and 1.37.
LBFGS_PER_ROOT = Cost(5.5, "iterations", "To 1e-4, by the root of the condition number.")
NEWTON_PER_ROOT = Cost(4.5, "iterations", "The same, Newton steps among past gradients.")
PER_GREATEST = Cost(2.0, "iterations", "For each of the greatest curvatures that is left out.")
# A plan counts on so many times as many, a standard deviation more: matrices of curvature cost two
# or three times too much at worst, past gradients 5 to 100 times (near copies of counts). Where
# rows are fewer, too: of 390 dense problems of up to 700 rows 117 change plan by it, and take 0.82
# of the seconds on the third that it was looked at, 0.76 and 0.82 on the others.
CAUTION = 1.8
# Where rows are coupled more than this a gap does not come down to tol, and the proof at the end
# takes a curvature matrix and its factor: on 12,018 x 895 one-hot columns and counts, at a coupling
# of 3,700, 0.26 s of the 0.31 of a fit by L-BFGS.
WEAK = 1e3
# Where rows are fewer, c with k that of products of rows beside the penalty (`row_spectrum`).  Over
# 79 problems of four kinds, 300 to 2,300 rows, squared and log loss, to 1e-2, 1e-4 and 1e-6, the
# root mean square of log(forecast / taken) is 0.67; by the greatest curvature over that of the
# penalty alone it was 1.1.
PER_ROOT_OF_ROWS = Cost(3.5, "iterations", "To 1e-4, by the root of that of products of rows.")
# Hardly any problem takes fewer, and nothing is known of those without an L2 part whose rows are
# fewer.
MIN_PASSES = 3.0
MAX_PASSES = 83.0
# What other tolerances take: 0.6 of it to 1e-2, 1.4 of it to 1e-6.
DIGITS = 4.0
AT_ONCE = 0.2


def fewest_iterations(tol):
    """The iterations below which hardly any problem ends; no row is read for it."""
    return MIN_PASSES * share_of_digits(tol)


def newton_iterations(objective, tol):
    """About how many Newton steps among past gradients lead to `tol`."""
    F = objective
    if F.n_features < F.n_active:
        iterations = _by_spectrum(standard_spectrum(F), NEWTON_PER_ROOT)
    else:
        iterations = _by_rows(F)
    return max(iterations, MIN_PASSES) * share_of_digits(tol)


def _by_rows(objective):
    """Iterations to 1e-4 where rows are fewer than columns."""
    F = objective
    if F.l2 == 0.0:
        return MAX_PASSES
    curved = curvature_unit(F) * row_coupling(F)
    return _by_spectrum(1.0 + curved * row_spectrum(F), PER_ROOT_OF_ROWS)


def counted_on(iterations):
    """Iterations that a plan counts on where so many are likely."""
    return CAUTION * iterations


def proof_cost(objective):
    """What the proof at the end takes where columns are fewer than rows, in passes' worth of
    time.
    """
    F = objective
    no_matrix = F.n_features > WIDEST_PROOF or F.n_features >= F.n_active
    if no_matrix or row_coupling(F) * curvature_unit(F) <= WEAK:
        return 0.0
    return curvature_cost(F) + solving_cost(F, F.n_features)


def lbfgs_iterations(objective, tol):
    """Iterations of L-BFGS in standardised coordinates to `tol`, about; columns are fewer than
    rows.
    """
    return max(
        _by_spectrum(standard_spectrum(objective), LBFGS_PER_ROOT), MIN_PASSES
    ) * share_of_digits(tol)


def _by_spectrum(values, per_root):
    """Iterations to 1e-4 by the greatest eigenvalues and, last, the least one."""
    greatest = values[:-1] if values.size > 1 else values
    counts = PER_GREATEST * np.arange(greatest.size)
    return float((counts + per_root * np.sqrt(greatest / values[-1])).min())


def share_of_digits(tol):
    """Iterations to `tol` over those to 1e-4, where the error falls by a factor in each of them."""
    digits = -math.log10(tol) if tol else -math.log10(EPS)
    return AT_ONCE + (1.0 - AT_ONCE) * max(digits, 0.0) / DIGITS
