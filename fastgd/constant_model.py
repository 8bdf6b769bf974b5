"""The best model without columns: where automatic descent starts, and the unit in which suboptimality is told."""

import numpy as np

from fastgd.kernels import coefficients
from fastgd.losses import SquaredError
from fastgd.samples import WeightedSamples

EPS = float(np.finfo(float).eps)
# So many ties in a row that do not halve the slope are rounding.
MOST_TIES = 3


def best_constant(objective):
    """Intercept and objective of the best model without columns: (b, F0), b = 0 where there is no intercept."""
    if objective.vector:
        start = objective.start()
        return np.zeros(objective.n_predictions), objective.loss_and_gradient(start)[0]
    if type(objective.loss) is SquaredError:
        shift, value = _mean(objective.samples, objective.fit_intercept)
        return shift, value / objective.n_active
    samples = _few_samples(objective)
    predictions = np.zeros(1) + samples.offsets
    if objective.fit_intercept:
        shift, value = lowest_shift(samples, objective.loss, predictions)
    else:
        shift, value = 0.0, _shifted_sums(samples, objective.loss, predictions, 0.0)[0]
    return shift, value / objective.n_active


def _mean(samples, fit_intercept):
    """The best constant of squares and their sum, without a kernel to compile for them."""
    weights = samples.weights if samples.weights.size > 1 else None
    left = samples.targets - samples.offsets if samples.offsets.any() else samples.targets
    shift = float(np.average(left, weights=weights)) if fit_intercept else 0.0
    left = left - shift if shift else left
    return shift, 0.5 * float(left @ left if weights is None else (weights * left) @ left)


def _few_samples(objective):
    """One sample for each class, with the weight of its rows, where a constant model cannot tell them apart."""
    samples = objective.samples
    if not objective.loss.classification or samples.offsets.any():
        return samples
    positive = samples.targets > 0.0
    if samples.weights.size > 1:
        weights = samples.weights[positive].sum(), samples.weights[~positive].sum()
    else:
        weights = samples.weights[0] * positive.sum(), samples.weights[0] * (~positive).sum()
    return WeightedSamples(np.array([1.0, -1.0]), np.array(weights, dtype=np.float64), np.zeros(1))


def _shifted_sums(samples, loss, predictions, shift):
    """`coefficients.shifted_sums`, as plain Python for a handful of samples: not worth compiling."""
    kernel = coefficients.shifted_sums
    if samples.size() <= 8:
        kernel = getattr(kernel, "py_func", kernel)
    return kernel(samples, loss, predictions, shift)


def lowest_shift(samples, loss, predictions):
    """Shift of all predictions with the least summed loss, and that sum: Newton inside a bracket of the sign change.

    Among sums that are equal up to rounding the one with the least slope is taken, which is a thousand times as exact.
    """
    value, slope, curvature = _shifted_sums(samples, loss, predictions, 0.0)
    best, shift, low, high, reach = (value, abs(slope), 0.0), 0.0, -np.inf, np.inf, 1.0
    # Where every target is the same class the sum falls for ever: 1e-14 of it is far enough.
    enough, ties = 1e-14 * value, 0
    # A shift this small changes no prediction (near an optimum 1 evaluation for 56, each of them a pass over n).
    least = EPS * float(np.abs(predictions).max())
    for _ in range(200):
        if slope == 0.0 or not np.isfinite(value) or best[0] <= enough:
            break
        low, high = (low, shift) if slope > 0.0 else (shift, high)
        newton = shift - slope / curvature if curvature > 0.0 else np.nan
        if abs(newton - shift) <= least + EPS * abs(shift) or ties == MOST_TIES:
            break
        if np.isinf(low) or np.isinf(high):
            trusted = abs(newton - shift) < 4.0 * reach
            shift = newton if trusted else shift - np.sign(slope) * reach
            reach *= 4.0
        else:
            shift = newton if low < newton < high else 0.5 * (low + high)
        if shift in (low, high) or not abs(shift) < 1e150:
            break
        value, slope, curvature = _shifted_sums(samples, loss, predictions, shift)
        tied = abs(value - best[0]) <= 1e-14 * abs(best[0])
        ties = ties + 1 if tied and abs(slope) > 0.5 * best[1] else 0
        if abs(slope) < best[1] if tied else value < best[0]:
            best = (value, abs(slope), shift)
    return best[2], best[0]
