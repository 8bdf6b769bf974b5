"""What dual ascent takes, as far as the data tell: visits to each row, by what rows have in
common.
"""

import math

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost, visit_cost
from fastgd.objective.distances import curvature_of_most
from fastgd.objective.measured import measured_once
from fastgd.objective.moments import row_coupling, row_freedom
from fastgd.solvers.base import LAST_RESORT, Forecast
from fastgd.solvers.krylov_iterations import counted_on, share_of_digits

# Where the loss is not smooth, with r the coupling of rows (`row_coupling`), visits to each row are
# about 3.2 + 17.9 r^0.575 to 1e-4, and where rows have much in common 1.9 times as many for each
# digit more.  Over 36 problems of all kinds to 1e-2, 1e-3 and 1e-4 the root mean square of
# log(forecast / taken) is 1.2 on the half that the numbers are from and 1.3 on the other; with 12 +
# 9 r, from fewer problems, it was 1.5 and 1.4.  Nothing that is cheap to measure tells more, and a
# run that takes more is left early by its pace, so that a plan hopes for the lower quartile: what
# `auto` takes over the better of this and the interior point method has a geometric mean of 1.15
# and 1.13 on the two halves instead of 1.17 and 1.19, and is above 2.5 for 4 % of the fits instead
# of 6 %. Dual ascent is chosen up to r = 1000.
HOPED_FOR = 0.42
MIN_VISITS_OF_KINKS = Cost(3.2, "visits", "To each row, to 1e-4, of rows that share nothing.")
VISITS_OF_KINKS = Cost(17.9, "visits", "More at a coupling of 1, to 1e-4.")
POWER_OF_COUPLING = 0.575
POWER_OF_TOL = 0.28
MAX_COUPLED = 1000.0
# Beyond that it comes last, but before what is told to take more than this many times as much: it
# was forecast 2,000, 4,002 and 14,518 passes to 1e-2, 1e-4 and 1e-6 and took 2,419, 3,781 and 5,193
# where an interior point method took 75,000 to 100,000; else 2,000 to 3,105, and took 9,600 to
# 30,300 beside 1,700 to 2,600.
FAR_MORE = 10.0
# Where rows are fewer than directions, dual variables end within their ends however weak the
# penalty is, and it takes about 6.5 / e to 1e-4, e the least eigenvalue of products of rows of
# length 1 (`row_freedom`).  Of hinges fewer rows count: a share of 1 / (1 + 0.7 q^2), q rows to a
# direction, up to 1.1 rows to a column.  Visits forecast and taken, alpha n = 1e-3, 400 rows of
# 432, 800 and 1,600 columns, hinge: normal 111 and 122, 53 and 48, 25 and 25; log-normal 190 and
# 157, 92 and 73, 46 and 43; ones, not centred, 175 and 185, 94 and 71, 46 and 43; quantile, of 800
# and 1,600: 75 and 75, 26 and 28; 157 and 120, 47 and 43; 159 and 132, 50 and 46.
VISITS_PER_INVERSE = Cost(6.5, "visits", "To 1e-4, by the inverse of the least eigenvalue.")
FEWER_OF_HINGES = 0.7
MAX_ROWS_OF_HINGES = 1.1
# Where the loss has a curvature c, about 3 + 4 sqrt(k) to 1e-4, k the condition number of the dual
# problem, and half as many again with an intercept, for which dual variables have to add up to 0.
# The root mean square of log(forecast / taken), over 79 problems of four kinds, 300 to 2,300 rows,
# squared and log loss, to 1e-2, 1e-4 and 1e-6, is 0.50; with the least eigenvalue by the mean
# overlap of two rows, which a direction that all of them share hides, it was 1.0.  With fewer
# columns about 6 + 6 sqrt(c r): 8, 16, 43, 135 visits with c r of 0.7, 2.2, 104, 287.  There the
# cost of matrices is sure, and a plan counts on 1.8 times as many visits: where this and another
# solver are close, the one that is chosen takes 1.70 and 1.02 times what the better one does, on
# two halves of 29 fits; 2.17 and 1.49 without.
MIN_VISITS = Cost(3.0, "visits", "To each row, to 1e-4, beside those below.")
VISITS_PER_ROOT = Cost(4.0, "visits", "By the root of the condition number of the dual problem.")
WITH_INTERCEPT = 1.5
MIN_VISITS_OF_MANY = Cost(6.0, "visits", "The same of more rows than columns.")
VISITS_PER_ROOT_OF_MANY = Cost(6.0, "visits", "By the root of curvature times coupling.")
# With fewer columns the root mean square of log(forecast / taken), of losses whose curvature jumps,
# is 2.8 on one half and 2.0 on the other by the bound of the curvature, 1.6 and 2.1 by that of most
# rows (`curvature_of_most`): a Huber loss of targets far beyond its epsilon was forecast 2,838
# passes and took 43. Where curvature has no bound (exponential links) and rows are fewer, so many
# times as many are taken: the mean of log(forecast / taken) is 0.11 on the half that the number is
# from and -0.42 on the other, 0.58 and 0.05 with 2.  What a plan takes over the best is less on
# both, for Newton steps among past gradients, the other choice there, are forecast too few as well.
MORE_WHERE_STEEP = 1.25
# With an L1 part, which is not in these numbers: 19 forecast and 792 taken, 16 and 104, 369 and
# 635.
MORE_WITH_L1 = 5.0
# Where rows are fewer than columns and the L1 part is no more than this share of the L2 part, most
# columns keep their part in what holds a row: forecast 13 and taken 15, 58 and 179, 10 and 6, where
# a working set took 324, 2,824 without a proof, and 6.  At a ratio of 0.5, 11 and 1,141.
LITTLE_L1 = 0.25
MORE_WITH_LITTLE_L1 = 2.0
# Where rows are coupled more than this it is worth looking whether they are apart.
WORTH_A_LOOK = 10.0


def of_smooth(objective, tol, cutoff, reason):
    """`Forecast` for a smooth loss."""
    F = objective
    # With an L1 part most runs on a working set of columns are there sooner; what nobody can tell
    # is left to accelerated descent.
    little = F.l1 <= LITTLE_L1 * F.l2 and F.n_active < F.n_features
    more = 1.0
    if F.l1 > 0.0:
        more = MORE_WITH_LITTLE_L1 if little else MORE_WITH_L1
    least = more * MIN_VISITS * share_of_digits(tol) * visit_cost(F)
    passes = least if cutoff <= least else more * dual_passes(F, tol)
    pays = F.l1 == 0.0 or passes < LAST_RESORT
    return Forecast(passes if pays else np.inf, reason, last=F.l1 > 0.0 and not little)


def of_kinks(objective, tol, cutoff, reason):
    """`Forecast` for a loss that is not smooth: rough, but each iteration tells how far it is.

    With an L1 part nobody has looked at how early it tells.
    """
    F = objective
    pays = row_coupling(F) <= MAX_COUPLED or _visits_of_free_rows(F) < LAST_RESORT
    passes = dual_passes(F, tol)
    if pays:
        return Forecast(passes, reason, tells_early=F.l1 == 0.0)
    # Slow, but nothing else that proves what is left may be open, or that is slower yet.
    passes = max(passes, 2.0 * LAST_RESORT)
    return Forecast(passes, reason, last=not FAR_MORE * passes < cutoff < np.inf)


def dual_passes(objective, tol):
    """What a run of dual ascent takes, in passes' worth of time."""
    return visit_cost(objective) * _visits(objective, tol)


def _visits(objective, tol):
    """Visits to each row."""
    F = objective
    if F.loss_smooth:
        steep = not F.loss.curvature_bound < np.inf and F.loss.self_concordance is not None
        more = MORE_WHERE_STEEP if steep else 1.0
        return more * _visits_of_smooth(F) * share_of_digits(tol)
    slower = (1e-4 / (tol or EPS)) ** POWER_OF_TOL
    coupling = row_coupling(F)
    apart = MIN_VISITS_OF_KINKS * share_of_digits(tol)
    forecast = apart + VISITS_OF_KINKS * coupling**POWER_OF_COUPLING * slower
    forecast *= HOPED_FOR
    if coupling > WORTH_A_LOOK:
        forecast = min(forecast, _visits_of_free_rows(F) * share_of_digits(tol))
    return forecast


def _visits_of_free_rows(objective):
    """Visits to each row to 1e-4 where rows are fewer than directions, inf where they are not."""
    F = objective
    hinge = F.loss.classification
    if F.n_active > (MAX_ROWS_OF_HINGES if hinge else 1.0) * F.n_features:
        return np.inf
    freedom = measured_once(F, row_freedom)
    crowded = F.n_active / freedom.directions
    counts = 1.0 / (1.0 + FEWER_OF_HINGES * crowded**2) if hinge else 1.0
    least = freedom.least(counts * F.n_active)
    return VISITS_PER_INVERSE / least if least > 0.0 else np.inf


def _visits_of_smooth(objective):
    """Visits to each row to 1e-4 where the loss has a curvature.

    By the condition number of the dual problem: 1 / r beside products of rows with ones on the
    diagonal, whose least eigenvalue some of the rows tell.
    """
    F = objective
    curved = max(curvature_of_most(F) * row_coupling(F), EPS)
    if F.n_features < F.n_active:
        return counted_on(MIN_VISITS_OF_MANY + VISITS_PER_ROOT_OF_MANY * math.sqrt(curved))
    least = measured_once(F, row_freedom).least(F.n_active)
    condition = (1.0 + 1.0 / curved) / (least + 1.0 / curved)
    visits = MIN_VISITS + VISITS_PER_ROOT * math.sqrt(condition)
    return WITH_INTERCEPT * visits if F.fit_intercept else visits
