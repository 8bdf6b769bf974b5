"""Rounding errors of sums over rows, of gradients and of F."""

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.objective.distances import curvature_unit, derivative_size, largest_derivative
from fastgd.objective.null_model import is_exact


def sum_rounding(F):
    """What a sum over the rows is wrong by, relative to its terms: roundings go either way."""
    return EPS * float(np.sqrt(F.n_samples + F.size))


def derivative_rounding(F, value):
    """What the mean derivative times a column of mean square 1 is wrong by, where F is `value`:
    terms and sum.
    """
    return 2.0 * sum_rounding(F) * derivative_size(F, value, curvature_unit(F))


def value_rounding(F, v, value, allowed, gradient=None):
    """What F at `v`, which is `value`, may be wrong by: the sum over the rows, the predictions in
    it, and the penalty.

    A prediction is wrong by u |x_i| . |w|, and F by that times |loss'|, in the mean no more than
    the roots of the mean squares multiplied (Cauchy and Schwarz), and by its square, which is all
    where derivatives are 0: roughly where that is no more than `allowed`.  Where columns are read
    as distances from their centers, the intercept that is returned is rounded in units of its own.
    Where all targets are one number that is the intercept, nothing rounds.
    """
    if F.null_value == F.loss.infimum and is_exact(F, v):
        return 0.0
    smooth = F.loss.smooth
    curvature = curvature_unit(F) if smooth else 0.0
    derivative = derivative_size(F, value, curvature) if smooth else largest_derivative(F)

    def wrong(prediction):
        return prediction * (derivative + curvature * prediction)

    of_intercepts = (
        derivative
        if gradient is None
        else float(np.abs(gradient[F.n_features * F.n_predictions :]).max(initial=0.0))
    )
    known = sum_rounding(F) * abs(value) + intercept_rounding(F, v, of_intercepts)
    known += F.term.value_rounding(v[: F.n_features * F.n_predictions])
    known += wrong(2.0 * EPS * offset_size(F))
    rounded = known + wrong(2.0 * EPS * prediction_size(F, v, rough=True))
    return rounded if rounded <= allowed else known + wrong(2.0 * EPS * prediction_size(F, v))


def intercept_rounding(F, v, derivative):
    """What F may rise by as the intercept at `v` is rounded in the units of far columns;
    `derivative` is F's in it.
    """
    if not F.fit_intercept or not F.rows.mark:
        return 0.0
    moved = EPS * float(np.abs(F.model(v)[1]).max())
    return moved * (derivative + curvature_unit(F) * moved)


def column_sizes(F):
    """Root mean square of each column, the intercept's 1 included."""
    sizes = np.sqrt(F.moments().mean_squares)
    return np.append(sizes, 1.0) if F.fit_intercept else sizes


def prediction_size(F, v, rough=False):
    """Sum over the columns of their root mean square times |v_j|: what predictions at `v` are made
    of, or more.

    Without moments the columns' norms do, for half a pass, kept, or the `rough` product of lengths
    |x_i| |w|.
    """
    table = np.abs(v).reshape(-1, F.n_predictions).sum(axis=1)
    coef, shift = table[: F.n_features], float(table[F.n_features :].sum())
    if rough and not F.knows_columns:
        return F.row_size() * float(np.linalg.norm(coef)) + shift
    return float(F.root_mean_squares() @ coef) + shift


def offset_size(F):
    """The greatest |offset|: what predictions are rounded in beside `prediction_size`."""
    return F.samples.largest(F.samples.offsets)


def gradient_rounding(F, value, size):
    """What the mean derivative times a column of mean square 1 is wrong by, where F is `value`.

    As `derivative_rounding` says, and through predictions of `prediction_size` `size` and offsets,
    by way of the curvature.
    """
    return derivative_rounding(F, value) + EPS * curvature_unit(F) * (size + offset_size(F))
