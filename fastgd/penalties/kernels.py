"""Loops over coefficients, for penalties that are not elastic nets, and over targets without looking at X."""

from fastgd.runtime.jit import kernel


@kernel
def penalty_sum(penalty, coef, gradient):
    """Sum of the penalty over `coef`, (d, K), whose derivative is written to `gradient`, (d, K)."""
    total = 0.0
    for j in range(coef.shape[0]):
        for c in range(coef.shape[1]):
            total += penalty.value(coef[j, c], j)
            gradient[j, c] = penalty.derivative(coef[j, c], j)
    return total


@kernel
def proximal_step(penalty, coef, rates):
    """Replace each entry of `coef`, (d, K), by its proximal point at its own rate, (d, K)."""
    for j in range(coef.shape[0]):
        for c in range(coef.shape[1]):
            coef[j, c] = penalty.prox(coef[j, c], j, rates[j, c])


@kernel
def shifted_sums(samples, loss, predictions, shift):
    """Sums of weight * (loss, derivative, curvature) at `predictions`, one number or one for each row, + `shift`."""
    value, derivative, curvature = 0.0, 0.0, 0.0
    for i in range(samples.size()):
        prediction = (predictions[i] if predictions.size > 1 else predictions[0]) + shift
        weight, target = samples.weight(i), samples.target(i)
        if weight > 0.0:
            value += weight * loss.value(prediction, target)
            derivative += weight * loss.derivative(prediction, target)
            curvature += weight * loss.curvature(prediction, target)
    return value, derivative, curvature
