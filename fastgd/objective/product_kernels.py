"""The two halves of a pass, each on its own: X p, and X' a; and the losses between them.

Between the halves everything is as long as there are rows. With many columns, and more of them than rows, what a solver
does there is next to free, so that predictions and curvatures are kept and no trial of a step reads X.

Block b is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`, each from its first row to one past its last.
"""

import numpy as np

from fastgd.objective.kernels import evaluate
from fastgd.runtime.jit import kernel

# Rows that losses are evaluated for at once: log loss with its curvature in 6 ns a row, one by one in 40.
CHUNK = 512


@kernel
def product(rows, transposed, vector, ranges, cuts, first, last, out):
    """Rows of the blocks times `vector`, into `out[0]`, or `transposed` the sum of vector[i] x_i, into `out[b]`, (d,).

    One kernel, for whoever needs one half needs the other, and two take 1.3 times as long to compile.
    """
    for b in range(first, last):
        for r in range(cuts[b], cuts[b + 1]):
            start, stop = ranges[r, 0], ranges[r, 1]
            if transposed:
                rows.add_rows(start, stop, vector[start:stop], out[b], 0)
            else:
                rows.dot_rows(start, stop, vector, out[0, start:stop])


@kernel
def derivatives(samples, loss, predictions, intercept, floor, ranges, cuts, first, last, totals, amounts, curvatures):
    """Sum of weight * loss over each block, into `totals[b]`, and of each row weight * derivative and * curvature.

    Predictions are without `intercept` and offsets; curvatures are raised as in `passes`. Where `amounts` is empty, the
    loss is all that is asked for.
    """
    kept = amounts.size > 0
    shifted, values, slopes, own = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    own[:] = 0.0  # as in `passes.loss_and_gradient`
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
                    if weight == 0.0:
                        values[m] = slopes[m] = own[m] = 0.0
                    total += weight * values[m]
                    if kept:
                        amounts[start + m] = weight * slopes[m]
                        curvatures[start + m] = weight * own[m]
        totals[b] = total
