"""Loops over coefficients, for penalties that are not elastic nets."""

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
