"""The gap scale: `suboptimality_` is a bound on the gap F - F* divided by it.

Where the infimum of the loss is known, the scale is how far F is above it, or 1e-4 of how far the
null model is.  Where it is unknown, F may have any sign and any size: the scale is F0 - F, what the
columns have gained.
"""

import contextlib

import numpy as np

from fastgd.data.rows import DenseRows
from fastgd.data.targets import WeightedSamples
from fastgd.losses.base import typical_curvature
from fastgd.objective import kernels
from fastgd.objective.measured import measured_once
from fastgd.objective.null_model import null_model

# The least scale, as shares of the null model's objective, where the infimum is known and where
# it is not: columns that gain nothing at all leave none but rounding.  The last is for null models
# that leave nothing: targets whose own would be below it are refused.
MIN_SCALE_SHARE = 1e-4
MIN_SHARE_BELOW_NULL = 1e-9
MIN_SCALE = 1e-300
# Rows of which the derivatives are measured, where no infimum bounds them.
MAX_ROWS = 1000
# Rows whose curvature is.
FEW_ROWS = 200

# What Python's math raises for a number, where compiled code has NaN or infinity.
REFUSED = (ArithmeticError, ValueError)


def gap_scale(value, null_value, infimum=0.0, bound=0.0):
    """What a bound at F = `value` is divided by, F0 being `null_value`.

    Examples
    --------
    >>> gap_scale(1.5, 2.0, bound=0.5), gap_scale(0.0, 2.0), gap_scale(-3.0, 2.0, infimum=-np.inf)
    (1.0, 0.0002, 5.0)
    """
    if infimum == -np.inf:
        return max(null_value - value, MIN_SHARE_BELOW_NULL * abs(null_value), MIN_SCALE)
    return max(value - bound - infimum, MIN_SCALE_SHARE * (null_value - infimum), MIN_SCALE)


def largest_gap(tol, value, null_value, infimum=0.0):
    """The greatest bound at F = `value` that is no more than `tol` times the gap scale.

    Examples
    --------
    >>> largest_gap(0.25, 2.5, 2.0), largest_gap(0.25, 0.0, 2.0)
    (0.5, 5e-05)
    >>> largest_gap(0.25, -3.0, 2.0, infimum=-np.inf)
    1.25
    """
    if infimum > -np.inf:
        return tol * max((value - infimum) / (1.0 + tol), MIN_SCALE_SHARE * (null_value - infimum))
    return tol * gap_scale(value, null_value, infimum)


def largest_gap_at(objective, tol, value):
    """`largest_gap` where F is `value`; the objective knows its null model."""
    return largest_gap(tol, value, objective.null_value, objective.loss.infimum)


def gap_scale_at(objective, value):
    """`gap_scale` for a solver, which learns from `Loop` what the null model has; without it F
    itself.
    """
    infimum = objective.loss.infimum
    if objective.null_value is None:
        return abs(value - infimum) if infimum > -np.inf else abs(value)
    return gap_scale(value, objective.null_value, infimum)


def derivative_size(objective, value, curvature):
    """About the root mean square of loss' where F is `value` and losses curve by no more than
    `curvature`: no pass.

    A loss of infimum 0 has loss'^2 <= 2 c loss.  Without one it is what some rows have at the
    null model, and where F is above that, what the difference may add.
    """
    F = objective
    if F.loss.infimum > -np.inf:
        return float(np.sqrt(2.0 * curvature * max(value - F.loss.infimum, 0.0)))
    more = 0.0 if F.null_value is None else max(value - F.null_value, 0.0)
    return measured_once(F, _derivatives) + float(np.sqrt(2.0 * curvature * more))


def largest_derivative(objective):
    """About the greatest |loss'| of a loss with kinks, at least 1: that of the package's own."""
    F = objective
    return 1.0 if F.vector else measured_once(F, _largest_of_some)


def _largest_of_some(objective):
    """The greatest |loss'| of some rows, at the null model and as far from it on either side as the
    targets reach.
    """
    F = objective
    rows, known = F.samples.some_active(FEW_ROWS), F.null_intercept
    middle = 0.0 if known is None else float(np.ravel(known)[0])
    reach = 1.0 + 2.0 * float(np.abs(F.samples.targets[rows]).max(initial=0.0))
    found = [losses_about(F, rows, middle + move)[1] for move in (-reach, 0.0, reach)]
    largest = float(np.abs(found).max(initial=1.0))
    return largest if largest < np.inf else 1.0


def curvature_unit(objective):
    """The curvature bound of the loss; where there is none, what curvature it has about the null
    model.

    The latter is a unit, not a promise: the greater one of the mean curvature of some rows and of
    c in loss'^2 = 2 c (loss - infimum), in plain Python. Counts of 1e6 have a curvature of 1e6.
    """
    F = objective
    known = F.null_intercept is not None and not F.vector
    if F.loss.curvature_bound < np.inf or not F.loss_smooth or not known:
        return typical_curvature(F.loss)
    return measured_once(F, _null_curvature)


def _null_curvature(objective):
    """`curvature_about` the null model."""
    return curvature_about(objective, objective.null_intercept)


def curvature_about(objective, intercept):
    """`curvature_unit` of a loss without a bound, about a model without columns."""
    F, rows = objective, objective.samples.some_active(FEW_ROWS)
    curvatures, derivatives, values = losses_about(F, rows, intercept)
    shares = _shares(F, rows)
    found = shares @ curvatures
    above = shares @ (values - F.loss.infimum)
    if 0.0 < above < np.inf:
        found = max(found, 0.5 * float(shares @ derivatives**2) / above)
    return float(found) if 0.0 < found < np.inf else 1.0


def _shares(objective, rows):
    """What each of these rows has of their weights."""
    weights = np.broadcast_to(objective.samples.weights, objective.n_samples)[rows]
    return weights / weights.sum()


def curvature_of_most(objective):
    """`typical_curvature`, or less where rows are on a straight piece of a loss whose curvature
    jumps: the mean of c in loss'^2 = 2 c (loss - infimum) at the null model, of some rows.

    A Huber loss with epsilon 0.001 and targets of about 1 has 0.001 instead of 1.
    """
    F = objective
    typical = typical_curvature(F.loss)
    jumps = F.loss.self_concordance is None and F.loss.curvature_bound < np.inf
    if F.vector or not jumps or F.loss.infimum == -np.inf:
        return typical
    return min(typical, measured_once(F, _curvature_met))


def _curvature_met(objective):
    """Mean of c in loss'^2 = 2 c (loss - infimum) at the null model, of some rows; inf where none
    is above the infimum.
    """
    F, rows = objective, objective.samples.some_active(FEW_ROWS)
    _, derivatives, values = losses_about(F, rows, null_model(F)[0])
    above = values - F.loss.infimum
    bent = above > 0.0
    if not bent.any():
        return np.inf
    return float(_shares(F, rows[bent]) @ (0.5 * derivatives[bent] ** 2 / above[bent]))


def losses_about(objective, index, intercept):
    """Curvatures, derivatives and values of the losses of these rows in a model without columns,
    each without its weight: by the pass that is compiled anyway, with each row as a block.

    One by one in Python 200 rows of counts took 4 ms, a tenth of a fit to 25,000.
    """
    F = objective
    few = F.samples.part(index)
    few = WeightedSamples(few.targets, np.ones(1), few.offsets)
    n = index.size
    empty = F.rows.without_columns() if F.rows.in_memory else DenseRows(np.empty((n, 0)))
    curvatures, values, derivatives = np.zeros(n), np.zeros(n), np.zeros((n, 1))
    each = np.stack([np.arange(n), np.arange(1, n + 1)], axis=1)
    with np.errstate(all="ignore"):
        kernels.loss_and_gradient(
            empty,
            few,
            F.loss,
            np.empty(0),
            float(intercept),
            each,
            np.arange(n + 1),
            0,
            n,
            1,
            values,
            derivatives,
            curvatures,
            0.0,
        )
    return curvatures, derivatives[:, 0], values


def _derivatives(objective):
    """Root mean square of loss' at the null model, of some of the rows, in plain Python."""
    F = objective
    squares = 0.0
    rows = F.samples.some_active(MAX_ROWS)
    intercept = np.broadcast_to(
        0.0 if F.null_intercept is None else F.null_intercept, F.n_predictions
    )
    offsets = np.broadcast_to(F.samples.offsets, F.n_samples)
    for i in rows:
        with np.errstate(all="ignore"), contextlib.suppress(*REFUSED):
            derivatives = F.outputs.derivatives(intercept + offsets[i], F.samples.targets[i])
            squares += float(derivatives @ derivatives)
    return float(np.sqrt(squares / max(rows.size, 1)))
