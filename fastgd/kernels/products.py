"""The two halves of a pass, each on its own: X p, and X' a, with what the loss makes of predictions between them.

Between the halves everything is as long as there are rows. With many columns, and more of them than rows, what a solver
does there is next to free, so that predictions and curvatures are kept and no trial of a step reads X.

Block b is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`, each from its first row to one past its last.
"""

import numpy as np

from fastgd._jit import kernel
from fastgd.kernels.passes import evaluate

# Rows that losses are evaluated for at once: log loss with its curvature in 6 ns a row, one by one in 40.
CHUNK = 512


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
            rows.add_rows(start, stop, amounts[start:stop], total, 0)


@kernel
def derivatives(samples, loss, predictions, intercept, floor, ranges, cuts, first, last, totals, amounts, curvatures):
    """Sum of weight * loss over each block, into `totals[b]`, and of each row weight * derivative and * curvature.

    Predictions are without `intercept` and offsets; curvatures are raised as in `passes`. Where `amounts` is empty, the
    loss is all that is asked for.
    """
    kept = amounts.size > 0
    shifted, values, slopes, own = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for b in range(first, last):
        total = 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for start in range(ranges[r, 0], ranges[r, 1], CHUNK):
                stop = min(start + CHUNK, ranges[r, 1])
                n = stop - start
                for m in range(n):
                    shifted[m] = predictions[start + m] + intercept + samples.offset(start + m)
                evaluate(loss, shifted[:n], samples.targets_of(start, stop), values, slopes, own, kept, floor)
                for m in range(n):
                    weight = samples.weight(start + m)
                    total += weight * values[m]
                    if kept:
                        amounts[start + m] = weight * slopes[m]
                        curvatures[start + m] = weight * own[m]
        totals[b] = total


@kernel
def conjugates(samples, loss, predictions, moves, intercept, shift, ranges, cuts, first, last, totals, bends, amounts):
    """Dual variables that the step `moves` corrects, weight * a_i into `amounts`, as `fastgd.corrected_dual` has them.

    `totals[b]` gets the sum of weight * (loss - gap) after the step, `bends[b]` that of weight * curvature before it.
    Where no derivative beyond reaches what the step asks for, the last one that is known stands in.
    """
    for b in range(first, last):
        total, bend = 0.0, 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                before, target = predictions[i] + intercept + samples.offset(i), samples.target(i)
                move, weight = moves[i] + shift, samples.weight(i)
                there = before + move
                curvature = loss.curvature(before, target)
                value, derivative = loss.value(there, target), loss.derivative(there, target)
                asked = loss.derivative(before, target) + curvature * move - derivative
                dual, gap = derivative, 0.0
                own = loss.curvature(there, target)
                if asked != 0.0 and own > 0.0:
                    beyond = there + 2.0 * asked / own
                    far = loss.derivative(beyond, target)
                    if far != derivative:
                        share = min(max(asked / (far - derivative), 0.0), 1.0)
                        dual = derivative + share * (far - derivative)
                        gap = share * max(value - loss.value(beyond, target) + far * (beyond - there), 0.0)
                total += weight * (value - gap)
                bend += weight * curvature
                amounts[i] = weight * dual
        totals[b], bends[b] = total, bend
