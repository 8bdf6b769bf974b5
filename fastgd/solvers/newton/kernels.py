"""Coordinate descent on a quadratic with kinks and bounds, all columns in one matrix."""

from fastgd.runtime.jit import kernel


@kernel
def box_descent(matrix, gradient, coef, l1, low, high, tolerance, most):
    """Coordinate descent on gradient'e + e' matrix e / 2 + sum_j l1_j |coef_j + e_j| over e with
    coef + e between `low` and `high`; the number of epochs.

    `gradient`, that of the quadratic, and `coef` move along. Ends once no coordinate's step gains
    more than half the square of `tolerance`, or after `most` epochs, which count as one more. A
    coordinate without curvature, whose column is 0, goes where its penalty is least.
    """
    size = coef.shape[0]
    for epoch in range(most):
        largest = 0.0
        for j in range(size):
            old, curvature = coef[j], matrix[j, j]
            new = old
            if curvature > 0.0:
                new, threshold = old - gradient[j] / curvature, l1[j] / curvature
                new -= min(max(new, -threshold), threshold)
            elif l1[j] > 0.0:
                new = 0.0
            new = min(max(new, low[j]), high[j])
            step = new - old
            if step != 0.0:
                coef[j] = new
                line = matrix[j]
                for k in range(size):
                    gradient[k] += step * line[k]
                largest = max(largest, step * step * curvature)
        if largest <= tolerance * tolerance:
            return epoch + 1
    return most + 1
