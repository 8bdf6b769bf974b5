"""The metric of one-row steps, and what the rows weigh in it: curvature of each row and of all of
them, touches.

Steps are taken in a diagonal metric, at rate r_j for column j. Where no column is at a
disadvantage, all r_j are equal, because equal rates stay in the span of the rows, where the optimum
of an L2 penalty is; where the columns' units differ so much that one would take `DISADVANTAGE`
times as long as in a metric of its own, r_j = 1 / (c max_i x_ij^2 + l2). Measured epochs of SAGA to
1e-4 and 1e-6, log loss, alpha = 1/n, equal rates and rates by column: 54 columns, the measured ones
among them in units of their own, never and 9 and 16; the same standardised 35 and never; binary
columns are the same in both.

Row i has curvature L_i = c s_i (sum_j r_j x_ij^2 + r_b), c the bound of the loss's. What follows is
plain NumPy on a few rows at a time: it runs once, and a kernel would cost more to compile.
"""

import numpy as np

from fastgd.data.tile_sizes import STREAMED
from fastgd.objective.moments import sampled_curvature

# So many times the iterations that equal rates may cost a column before rates go by its squares.
DISADVANTAGE = 16.0


def column_rates(objective):
    """Rates of the columns and of the intercept, up to a common factor: equal, or by the
    columns' greatest squares.
    """
    F = objective
    moments = F.moments()
    square, largest = moments.mean_squares, moments.largest**2
    c, unit = F.loss.curvature_bound, float(largest.max()) or 1.0
    own = 1.0 / np.where(largest > 0.0, c * largest + F.l2, c * unit)
    # What equal rates cost column j: its share of the step then, relative to that in the metric of
    # its own.
    cost = c * square.sum() * own / max(c * float(square @ own), 1e-300)
    counts = c * square > F.l2
    if counts.any() and cost[counts].max() > DISADVANTAGE:
        return own, 1.0 / c
    return np.ones(F.n_features), unit


def row_curvatures(objective, rates, intercept_rate):
    """L_i of each row, 0 for rows of weight 0: one pass."""
    F = objective
    norms = np.concatenate([part**2 @ rates for _, part in _tiles(F.rows)])
    F.meter.count(1.0 / F.share)  # all rows are read, those of a part or not
    return F.loss.curvature_bound * F.samples.weights * (norms + intercept_rate * F.fit_intercept)


def touches(objective, visits):
    """Number of visits that touch each column, `visits` of them to each row: one pass."""
    total = np.zeros(objective.n_features)
    for first, part in _tiles(objective.rows):
        total += (part != 0.0).T @ visits[first : first + part.shape[0]].astype(np.float64)
    objective.meter.count(1.0 / objective.share)
    return total


def mean_curvature(objective, active, rates, intercept_rate, seed):
    """Largest eigenvalue of the mean of s_i x_i x_i' in the metric of the rates, intercept
    included, over a sample of `active`.
    """
    value, read = sampled_curvature(
        objective, active, np.sqrt(rates), np.sqrt(intercept_rate), seed
    )
    objective.meter.count(read)
    return value


def longest_dense_rates(objective):
    """How long a smooth penalty lets the rates of mean and penalty be: 1 / curvature, seen between
    -1 and 1.
    """
    F = objective
    if F.elastic or not F.term.smooth:
        return np.full(1, np.inf)
    ones = np.ones(F.size)
    curvature = 0.5 * (F.penalty_gradient(ones) - F.penalty_gradient(-ones))[: F.n_features]
    return 1.0 / np.maximum(curvature, 1e-300)


def _tiles(rows):
    """(first row, float64 rows from there on), a few at a time."""
    n = rows.shape()[0]
    length = max(1, STREAMED * n // max(rows.stored(), 1))
    for first in range(0, n, length):
        yield first, rows.take(slice(first, first + length))
