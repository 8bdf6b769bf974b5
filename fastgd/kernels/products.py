"""The two halves of a pass, each on its own: X p, and X' a, with what the loss makes of predictions between them.

Between the halves everything is as long as there are rows. With many columns, and more of them than rows, what a solver
does there is next to free, so that predictions and curvatures are kept and no trial of a step reads X.

Block b is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`, each from its first row to one past its last.
"""

from fastgd._jit import kernel
from fastgd.kernels.passes import raised_curvature


@kernel
def images(rows, coef, ranges, cuts, first, last, out):
    """Rows of the blocks times `coef`, into `out`, one number for each row of X."""
    for b in range(first, last):
        for r in range(cuts[b], cuts[b + 1]):
            start, stop = ranges[r, 0], ranges[r, 1]
            rows.dot_rows(start, stop, coef, out[start:stop])


@kernel
def combinations(rows, amounts, ranges, cuts, first, last, sums):
    """Sum of amounts[i] x_i over each block, into `sums[b]`, (d,)."""
    for b in range(first, last):
        total = sums[b]
        for r in range(cuts[b], cuts[b + 1]):
            start, stop = ranges[r, 0], ranges[r, 1]
            rows.add_rows(start, stop, amounts[start:stop], total)


@kernel
def derivatives(samples, loss, predictions, intercept, floor, ranges, cuts, first, last, totals, amounts, curvatures):
    """Sum of weight * loss over each block, into `totals[b]`, and of each row weight * derivative and * curvature.

    Predictions are without `intercept` and offsets; curvatures are raised as in `passes`.
    """
    for b in range(first, last):
        total = 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                prediction = predictions[i] + intercept + samples.offset(i)
                target, weight = samples.target(i), samples.weight(i)
                value, derivative = loss.value(prediction, target), loss.derivative(prediction, target)
                total += weight * value
                amounts[i] = weight * derivative
                curvatures[i] = weight * raised_curvature(loss, prediction, target, value, derivative, floor)
        totals[b] = total
