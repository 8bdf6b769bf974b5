"""How many iterations take the methods whose steps combine past gradients: what plans expect of
Newton steps among them and of L-BFGS.

The gradients of a quadratic span a Krylov space, and the error falls by a factor for each root of
the condition number that iterations come to.  Of the eigenvalues of the mean of x x' the greatest
and the mean one are known from a sample of the rows (`spread`), and with an L2 part the least that
curvature can be.
"""

import math

import numpy as np

from fastgd.objective.distances import curvature_unit
from fastgd.objective.moments import row_coupling, spread, standard_spread

# About 3 + 0.6 sqrt(k) to 1e-4, with k the greatest curvature over that of the penalty. Iterations
# beside these numbers, rows fewer than columns: 2 (3), 4 (5), 9 (12), 14 (39), 20 (7), 73 (86), 153
# (143).
FEWEST = 3.0
PER_ROOT = 0.6
# Where columns are fewer, and scaled to equal curvature, not many more than 3 + 3 sqrt(s) / (1 -
# sqrt(d / n)), s the greatest curvature over the mean one; the least one is by the second factor
# below it where directions are random: 8 (10), 9 (13), 11 (33), 12 (12), 14 (17), 17 (10), 34 (41),
# 65 (150).
PER_ROOT_OF_SPREAD = 3.0
MOST = 150.0
FEWEST_MORE = 2.0
# What other tolerances take: 0.6 of it to 1e-2, 1.4 of it to 1e-6.
DIGITS = 4.0
AT_ONCE = 0.2


def fewest_iterations(tol):
    """What hardly any problem is below: no row is read for it."""
    return (FEWEST + FEWEST_MORE) * share_of_digits(tol)


def likely_iterations(objective, tol, standardised=False):
    """Iterations to `tol`, about; where it is so, of a method in standardised coordinates."""
    F, most = objective, MOST
    if F.n_features < F.n_active:
        least = 1.0 - math.sqrt(F.n_features / F.n_active)
        known = standard_spread(F) if standardised else spread(F)
        most = min(most, FEWEST + PER_ROOT_OF_SPREAD * math.sqrt(known) / least)
    if F.l2 > 0.0:
        coupling = curvature_unit(F) * row_coupling(F)
        directions = min(F.n_features, F.n_active) / F.n_active
        condition = spread(F) * coupling / directions
        most = min(most, FEWEST + PER_ROOT * math.sqrt(condition))
    return most * share_of_digits(tol)


def share_of_digits(tol):
    """Iterations to `tol` over those to 1e-4, where the error falls by a factor in each of them."""
    digits = -math.log10(tol) if tol else -math.log10(np.finfo(float).eps)
    return AT_ONCE + (1.0 - AT_ONCE) * max(digits, 0.0) / DIGITS
