"""Estimates of F - F*, where nothing is proved: by the curvature, and by falls along columns."""

import numpy as np

from fastgd.certificates.newton_decrement import likely_gain
from fastgd.linalg.scalar_minimum import lowest
from fastgd.losses.base import typical_curvature
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.moments import column_variances
from fastgd.objective.null_model import loss_of_shift

# The estimate is half the squared decrement times this, the second number where curvature jumps:
# it may be that of another point, or fall on the way.  With 3 the truth was once 1.25 times the
# estimate (log loss on four data sets, along regularisation paths); with 12 it was once 1.6 times
# as much (Huber), hence 25.
LIKELY = 5.0
LIKELY_WHERE_IT_JUMPS = 25.0
# Steepest columns along which F is tried, and powers of 2 of the steps, in units of what the
# predictions are off by.  On 73 problems (hinge, quantile, epsilon-insensitive; 20 to 150 rows,
# half of them log-normal), after 4 or 16 epochs of one-row steps, they find 31 % of what is left in
# the median, in 4 passes: 1 column 23 %, 3 columns 30 % in 2 passes, 30 as much in 5.7.  Powers
# from -7 or up to 0 find as much, from -4 to 1 28 %; without the intercept's best 26 %.
STEEPEST = 8
LENGTHS = (-14, 3)
# And along all columns at once, each by its own variance: of 1,266 columns that have a row or two
# each no single one gained anything, and 0.1 % were told where 35 % were left; all at once gain
# 2 %, at 2^-19 of the mean distance from the targets, for their values have heavy tails.
ALL_LENGTHS = (-24, 3)
# Of these some with the best intercept for them, a search of 40 values, in so many operations.
FEW_LENGTHS = (0, -4, -8, -12, 2)
SEARCHED = 40
FEW_OPERATIONS = 2e7


def caution(loss):
    """How many times half the squared decrement an estimate for this loss is."""
    return LIKELY if loss.self_concordance is not None else LIKELY_WHERE_IT_JUMPS


def estimated_gap(F, v, gradient, times=None):
    """An estimate of F - F* at a point where no bound goes to 0: half the squared decrement, some
    `times`, by default `caution`.

    For a convex loss with a derivative and an elastic net or none; inf where conjugate gradients do
    not arrive.
    """
    return (caution(F.loss) if times is None else times) * likely_gain(F, v, gradient)


def fall_along_columns(F, v, gradient):
    """What F would fall by if each column, and the intercept, made the step to its own minimum: 0
    at stationary points alone.

    By curvatures that columns have without each other; no bound, and no pass where there are
    moments.  A column without any is worth its derivative times the coefficient, which the penalty
    alone holds: a constant one kept 1e-5 of F, and was told to be stationary.
    """
    d = F.n_features
    subgradient = F.subgradient(v, gradient).reshape(-1, F.n_predictions)
    curvature = typical_curvature(F.loss)
    variances = curvature * column_variances(F)
    squares = np.square(subgradient[:d]).sum(axis=1)
    sizes = np.abs(v.reshape(subgradient.shape)[:d] * subgradient[:d]).sum(axis=1)
    along = np.where(variances > 0.0, squares / np.where(variances > 0.0, variances, 1.0), sizes)
    return float(along.sum() + np.square(subgradient[d:]).sum() / curvature)


def sure_fall(F, v, gradient):
    """What F falls by along one of the steepest columns, by their variances, or along all of them:
    F - F* is no less.

    For a loss of one prediction.  A few passes; along all columns at once F hardly falls where
    tails are heavy, along single ones where each has few rows.  With the mean of the predictions
    held F may not fall where a row lies on a kink: of two rows the one that is met moves as the
    other one does, and costs what that gains.
    """
    d, variances = F.n_features, column_variances(F)
    means = F.moments().means * F.fit_intercept
    coef, intercept = F.split(v)
    centered = gradient[:d] - means * (float(gradient[d]) if F.fit_intercept else 0.0)
    positive = np.where(variances > 0.0, variances, 1.0)
    centered = np.where(variances > 0.0, centered, 0.0)
    steepness = np.abs(centered) / np.sqrt(positive)
    linear_map = LinearMap(F)
    predictions = linear_map.matvec(coef) + (F.samples.offsets + intercept)
    here = loss_of_shift(F, predictions)(0.0)[0] + F.penalty_value(v)
    off, least = float(np.abs(predictions - F.samples.targets)[F.samples.active()].mean()), here
    steepest = np.argsort(-steepness, kind="stable")[:STEEPEST]
    steepest = steepest[variances[steepest] > 0.0]
    ways = [np.zeros(d) for _ in steepest]
    for j, way in zip(steepest, ways, strict=True):
        way[j] = -1.0 if centered[j] > 0.0 else 1.0
    tried = []
    for way, lengths in [*((way, LENGTHS) for way in ways), (-centered / positive, ALL_LENGTHS)]:
        moves = linear_map.matvec(way) - means @ way
        size = float(np.abs(moves).mean())
        unit = off / size if size > 0.0 else 0.0
        tried.append((way, moves, unit))
        for length in unit * 2.0 ** np.arange(*lengths) if unit > 0.0 else ():
            ahead = v.copy()
            ahead[:d] += length * way
            least = min(
                least,
                loss_of_shift(F, predictions + length * moves)(0.0)[0] + F.penalty_value(ahead),
            )
    return here - min(least, _least_recentered(F, v, predictions, tried[:-1]))


def _least_recentered(F, v, predictions, tried):
    """The least F along these ways, of some lengths, where the intercept is the best for it.

    Back, too: at a kink the derivative that is known may be 0, or point the other way.
    """
    least = np.inf
    if not F.fit_intercept or F.loss_smooth:
        return least
    searches = int(FEW_OPERATIONS / (SEARCHED * F.n_samples))
    shares = [sign * 2.0**power for power in FEW_LENGTHS for sign in (1.0, -1.0)]
    pairs = [(one, share) for share in shares for one in tried]
    for (way, moves, unit), share in pairs[:searches]:
        length = share * unit
        there = predictions + length * moves
        _, value = lowest(loss_of_shift(F, there), float(np.abs(there).max()), F.loss.infimum)
        ahead = v.copy()
        ahead[: way.size] += length * way
        least = min(least, value + F.penalty_value(ahead))
    return least
