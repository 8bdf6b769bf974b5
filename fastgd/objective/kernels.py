"""Passes: each reads every row of its blocks once and never sees the penalty.

A pass works on blocks of rows `cuts[b]` to `cuts[b + 1]` and writes what it sums into row `b` of
its outputs, so that the caller can add blocks in order: the same bits for any number of threads.
Where a sample of the rows may be read, a block is `ranges[cuts[b]]` to `ranges[cuts[b + 1]] - 1`,
each from its first row to one past its last.

Inside a range a pass goes by tiles of rows: predictions, then losses and derivatives, then the
sums over the tile, whose rows are still in the cache, while those of the next tile are fetched,
row by row (10 to 25 % of a pass where X is larger than the cache). A tile as long as the block
makes it two sweeps, which is faster once the coefficients and the gradient together miss the L2
cache.
"""

import numpy as np

from fastgd.runtime.jit import callee, kernel

# An array that is not asked for.
NO_ARRAY = np.empty(0)
# Rows that losses are evaluated for at once: log loss with its curvature in 6 ns a row, one by one
# in 40.
TILE = 512
# Rows whose losses are added by themselves before they are added to the others: tiles are
# multiples of it, so that dense and CSR rows have the same sums.
TOGETHER = 8


@callee
def kahan_add(total, compensation, term):
    """(total + term, its compensation): Kahan's sum. The compensation, 0 at first, is what the last
    rounding has added to the total, and is subtracted from the next term.

    Rounding of equal terms goes one way, and grows as their number, not as its root: of 3e5 rows
    alike F was 4e-12 of itself too low.
    """
    own = term - compensation
    there = total + own
    return there, ((there - total) - own if abs(there) < np.inf else 0.0)


@callee
def raised_curvature(loss, prediction, target, value, derivative, curvature_cap):
    """Curvature c of one row's loss, at least 0, and raised to derivative^2 / value, or to
    `curvature_cap` where that is less; what is above it anyway stays.

    With a finite cap a Newton step for the row alone ends no further than where its tangent is 0.
    With an infinite one, of losses that declare no bound of their curvature, c is at least
    derivative^2 / value - c, and the step may be twice that long: of a square it then ends at the
    minimum.  Differences of derivatives, which stand in for a curvature that is not given, may fall
    below 0.
    """
    curvature = max(loss.step_curvature(prediction, target), 0.0)
    if curvature_cap > 0.0:
        to_zero = derivative * derivative / (value + 1e-300)
        if curvature_cap < np.inf:
            curvature = max(curvature, min(to_zero, curvature_cap))
        elif to_zero > 2.0 * curvature:
            curvature = to_zero - curvature
    return curvature


@kernel
def evaluate(loss, predictions, targets, values, derivatives, curvatures, curved, curvature_cap):
    """Value, derivative and, where `curved`, `raised_curvature` of each row.

    Sums, weights and prefetches are done elsewhere: this loop goes four or eight rows at a time,
    log loss in 2 ns a row instead of 11.
    """
    for m in range(predictions.size):
        prediction, target = predictions[m], targets[m]
        value, derivative = loss.value(prediction, target), loss.derivative(prediction, target)
        values[m] = value
        derivatives[m] = derivative
        if curved:
            curvatures[m] = raised_curvature(
                loss, prediction, target, value, derivative, curvature_cap
            )


@kernel
def loss_and_gradient(
    rows,
    samples,
    loss,
    coef,
    intercept,
    ranges,
    cuts,
    first,
    last,
    tile,
    totals,
    gradients,
    curvatures,
    curvature_cap,
):
    """Sum of weight * loss over each block, into `totals[b]`, and its gradient, into
    `gradients[b]`, (d + 1,).

    `curvatures`, where it is not empty, gets weight * `raised_curvature` of each row. Where
    `gradients[b]` has room for the intercept's only, the rest is not formed.
    """
    predictions, values, derivatives, own = (
        np.empty(tile),
        np.empty(tile),
        np.empty(tile),
        np.empty(tile),
    )
    curved = curvatures.size > 0
    # `evaluate` stores by masks: all false, on pages that nobody has written to, they cost the
    # processor 20 ns a row.
    own[:] = 0.0
    for b in range(first, last):
        gradient = gradients[b, :-1]
        total, sum_of_derivatives, compensation, derivative_compensation = 0.0, 0.0, 0.0, 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for start in range(ranges[r, 0], ranges[r, 1], tile):
                stop = min(start + tile, ranges[r, 1])
                n = stop - start
                rows.dot_rows(start, stop, coef, predictions)
                for m in range(n):
                    predictions[m] += intercept + samples.offset(start + m)
                evaluate(
                    loss,
                    predictions[:n],
                    samples.targets_of(start, stop),
                    values,
                    derivatives,
                    own,
                    curved,
                    curvature_cap,
                )
                for few in range(0, n, TOGETHER):
                    value_of_few, derivative_of_few = 0.0, 0.0
                    for m in range(few, min(few + TOGETHER, n)):
                        weight = samples.weight(start + m)
                        if weight == 0.0:  # whatever its loss is, infinite too, it does not count
                            values[m] = derivatives[m] = own[m] = 0.0
                        value_of_few += weight * values[m]
                        derivative = weight * derivatives[m]
                        derivative_of_few += derivative
                        derivatives[m] = derivative
                        if curved:
                            curvatures[start + m] = weight * own[m]
                    total, compensation = kahan_add(total, compensation, value_of_few)
                    sum_of_derivatives, derivative_compensation = kahan_add(
                        sum_of_derivatives, derivative_compensation, derivative_of_few
                    )
                if gradient.size > 0:
                    rows.add_rows(start, stop, derivatives, gradient, tile)
        totals[b] = total
        gradients[b, -1] = sum_of_derivatives


@kernel
def vector_losses(
    loss, targets, weights, offsets, intercept, predictions, kept, curved, moves, out
):
    """Sum of weight * loss of some rows, and of each weight * derivatives, into `out`, (n, K),
    where they are `kept`.

    Where `curved`, `out` gets weight * H @ moves instead, H the (K, K) second derivative of the
    row's loss.  Predictions, (n, K), are without `intercept` and offsets; `out` may be `moves`.
    """
    total, compensation = 0.0, 0.0
    n_predictions = intercept.size
    at, along = np.empty(n_predictions), np.empty(n_predictions)
    written = np.empty(n_predictions)
    for m in range(predictions.shape[0]):
        weight = weights[m] if weights.size > 1 else weights[0]
        offset = offsets[m] if offsets.size > 1 else offsets[0]
        for c in range(n_predictions):
            at[c] = predictions[m, c] + intercept[c] + offset
        if weight == 0.0:
            for c in range(n_predictions):
                written[c] = 0.0
        elif curved:
            for c in range(n_predictions):
                along[c] = moves[m, c]
            loss.curvature_product(at, targets[m], along, written)
        elif kept:
            value = loss.value_and_derivatives(at, targets[m], written)
            total, compensation = kahan_add(total, compensation, weight * value)
        else:
            total, compensation = kahan_add(
                total, compensation, weight * loss.value(at, targets[m])
            )
        if kept:
            for c in range(n_predictions):
                out[m, c] = weight * written[c] if weight > 0.0 else 0.0
    return total


@kernel
def vector_curvatures(loss, targets, weights, offsets, intercept, predictions, out):
    """Weight * H of some rows, (n, K, K) into `out`: the second derivatives of their losses."""
    n_predictions = intercept.size
    at, along = np.empty(n_predictions), np.zeros(n_predictions)
    written = np.empty(n_predictions)
    for m in range(predictions.shape[0]):
        weight = weights[m] if weights.size > 1 else weights[0]
        offset = offsets[m] if offsets.size > 1 else offsets[0]
        for c in range(n_predictions):
            at[c] = predictions[m, c] + intercept[c] + offset
        for k in range(n_predictions):
            along[k] = 1.0
            if weight > 0.0:
                loss.curvature_product(at, targets[m], along, written)
            along[k] = 0.0
            for c in range(n_predictions):
                out[m, k, c] = weight * written[c] if weight > 0.0 else 0.0


@kernel
def vector_diagonals(loss, targets, weights, offsets, intercept, predictions, out):
    """Weight * diagonal of H of some rows, (n, K) into `out`."""
    n_predictions = intercept.size
    at, written = np.empty(n_predictions), np.empty(n_predictions)
    for m in range(predictions.shape[0]):
        weight = weights[m] if weights.size > 1 else weights[0]
        offset = offsets[m] if offsets.size > 1 else offsets[0]
        for c in range(n_predictions):
            at[c] = predictions[m, c] + intercept[c] + offset
            written[c] = 0.0
        if weight > 0.0:
            loss.curvature_diagonal(at, targets[m], written)
        for c in range(n_predictions):
            out[m, c] = weight * written[c]


@kernel
def vector_outer(values, columns, starts, curvatures, d, n_formed, matrix):
    """Lower triangle of the sum over compressed rows of (x_i, 1)(x_i, 1)' times the first
    `n_formed` rows and columns of curvatures[i], added to `matrix`: unknown j, k at j n_formed + k.
    """
    for i in range(starts.size - 1):
        first, stop = starts[i], starts[i + 1]
        for a in range(first, stop + 1):
            left = values[a] if a < stop else 1.0
            row = (columns[a] if a < stop else d) * n_formed
            for b in range(first, stop + 1):
                right = left * (values[b] if b < stop else 1.0)
                column = (columns[b] if b < stop else d) * n_formed
                if column <= row:
                    for k in range(n_formed):
                        for c in range(n_formed):
                            matrix[row + k, column + c] += right * curvatures[i, k, c]


@kernel
def vector_product(rows, transposed, table, ranges, cuts, first, last, out):
    """`product` for K columns: rows of the blocks times `table`, (d, K), into `out[0]`, (n, K), or
    `transposed` the sum of x_i table[i]' into `out[b]`, (d, K).
    """
    for b in range(first, last):
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                if transposed:
                    rows.add_outer(i, table[i], out[b])
                else:
                    rows.add_products(i, table, out[0, i])


@kernel
def vector_loss_and_gradient(
    rows, samples, loss, coef, intercept, ranges, cuts, first, last, totals, gradients
):
    """`loss_and_gradient` for K predictions, row by row: `coef` is (d, K), `intercept` (K,),
    `gradients[b]` (d + 1, K).
    """
    predictions = np.empty(intercept.size)
    derivatives = np.empty(intercept.size)
    for b in range(first, last):
        gradient = gradients[b]
        total, compensation = 0.0, 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                target, weight = samples.target(i), samples.weight(i)
                if weight == 0.0:
                    continue
                for c in range(predictions.size):
                    predictions[c] = intercept[c] + samples.offset(i)
                rows.add_products(i, coef, predictions)
                value = loss.value_and_derivatives(predictions, target, derivatives)
                total, compensation = kahan_add(total, compensation, weight * value)
                for c in range(derivatives.size):
                    derivatives[c] *= weight
                    gradient[-1, c] += derivatives[c]
                rows.add_outer(i, derivatives, gradient)
        totals[b] = total


@kernel
def curvature_product(
    rows,
    samples,
    loss,
    coef,
    intercept,
    direction,
    direction_intercept,
    cuts,
    first,
    last,
    products,
):
    """Second derivative of each block's loss times [direction, direction_intercept], into
    `products[b]`, (d + 1,).
    """
    for b in range(first, last):
        product = products[b, :-1]
        derivative = 0.0
        for i in range(cuts[b], cuts[b + 1]):
            if samples.weight(i) == 0.0:
                continue
            prediction = rows.dot(i, coef) + intercept + samples.offset(i)
            change = rows.dot(i, direction) + direction_intercept
            change *= samples.weight(i) * loss.curvature(prediction, samples.target(i))
            derivative += change
            rows.add(i, change, product)
        products[b, -1] = derivative


@kernel
def gather_row(rows, i, slots, columns, values, last):
    """Write the values of (x_i, 1) that are not 0 and their columns, `last` for the 1; return how
    many there are.

    Column j is at `slots[j]`, or left out where that is negative; at j where `slots` is empty.
    """
    n_values = 0
    picked = slots.size > 0
    start, stop = rows.span(i)
    for k in range(start, stop):
        value = rows.entry(i, k)
        if value != 0.0:
            j = rows.column(k)
            slot = slots[j] if picked else np.int64(j)
            if slot >= 0:
                values[n_values] = value
                columns[n_values] = slot
                n_values += 1
    values[n_values] = 1.0
    columns[n_values] = last
    return n_values + 1


@kernel
def add_sparse_outer(columns, values, n_values, curvature, matrix):
    """Add the lower triangle of curvature x x' to `matrix`, x being `values` at `columns`."""
    for k in range(n_values):
        own = matrix[columns[k]]
        multiple = curvature * values[k]
        for m in range(k + 1):
            own[columns[m]] += multiple * values[m]


@kernel
def squared_norm(columns, values, n_values, matrix):
    """Square norm x' M x, by the lower triangle of M, x being `values` at `columns`."""
    norm = 0.0
    for k in range(n_values):
        own = matrix[columns[k]]
        total = 0.5 * values[k] * own[columns[k]]
        for m in range(k):
            total += values[m] * own[columns[m]]
        norm += 2.0 * values[k] * total
    return norm


@kernel
def gram(rows, slots, curvatures, ranges, cuts, first, last, matrices, norms):
    """Lower triangle of the sum of curvatures[i] (x_i, 1)(x_i, 1)' over each block, into
    `matrices[b]`.

    Where `norms` is not empty, the other way round: it gets (x_i, 1)' M (x_i, 1) of each row with a
    curvature, by the lower triangle of M = `matrices[0]`.
    """
    columns = np.empty(matrices.shape[1], np.uint64)
    values = np.empty(matrices.shape[1])
    for b in range(first, last):
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                if curvatures[i] != 0.0:
                    n_values = gather_row(rows, i, slots, columns, values, matrices.shape[1] - 1)
                    if norms.size > 0:
                        norms[i] = squared_norm(columns, values, n_values, matrices[0])
                    else:
                        add_sparse_outer(columns, values, n_values, curvatures[i], matrices[b])


@kernel
def column_moments(rows, samples, ranges, cuts, first, last, moments, row_norms):
    """Weighted sum and sum of squares, greatest magnitude, number of nonzeros of each column:
    `moments[b]`, (4, d).

    Rows of weight 0 do not count. `row_norms[b]`, (3,), gets the greatest squared norm of a row,
    the greatest times its weight, and their weighted sum.
    """
    for b in range(first, last):
        sums = moments[b]
        longest, heaviest, mean = 0.0, 0.0, 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for i in range(ranges[r, 0], ranges[r, 1]):
                weight = samples.weight(i)
                if weight > 0.0:
                    start, stop = rows.span(i)
                    for k in range(start, stop):
                        value = rows.entry(i, k)
                        if value != 0.0:
                            j = rows.column(k)
                            sums[0, j] += weight * value
                            sums[1, j] += weight * value * value
                            sums[2, j] = max(sums[2, j], abs(value))
                            sums[3, j] += 1.0
                    squared_norm = rows.squared_norm(i)
                    longest = max(longest, squared_norm)
                    heaviest = max(heaviest, weight * squared_norm)
                    mean += weight * squared_norm
        row_norms[b, 0], row_norms[b, 1], row_norms[b, 2] = longest, heaviest, mean


@kernel
def product(rows, transposed, vector, ranges, cuts, first, last, out):
    """Rows of the blocks times `vector`, into `out[0]`, or `transposed` the sum of vector[i] x_i,
    into `out[b]`, (d,).

    One kernel, for whoever needs one half needs the other, and two take 1.3 times as long to
    compile.
    """
    for b in range(first, last):
        for r in range(cuts[b], cuts[b + 1]):
            start, stop = ranges[r, 0], ranges[r, 1]
            if transposed:
                rows.add_rows(start, stop, vector[start:stop], out[b], 0)
            else:
                rows.dot_rows(start, stop, vector, out[0, start:stop])


@kernel
def loss_and_derivatives(
    samples,
    loss,
    predictions,
    intercept,
    curvature_cap,
    ranges,
    cuts,
    first,
    last,
    totals,
    derivatives,
    curvatures,
):
    """Sum of weight * loss over each block, into `totals[b]`, and of each row weight * derivative
    and * curvature.

    Predictions are without `intercept` and offsets; curvatures are raised as in
    `loss_and_gradient`. Where `derivatives` is empty, the loss is all that is asked for.
    """
    kept = derivatives.size > 0
    shifted, values, unweighted, own = (
        np.empty(TILE),
        np.empty(TILE),
        np.empty(TILE),
        np.empty(TILE),
    )
    own[:] = 0.0  # as in `loss_and_gradient`
    for b in range(first, last):
        total, compensation = 0.0, 0.0
        for r in range(cuts[b], cuts[b + 1]):
            for start in range(ranges[r, 0], ranges[r, 1], TILE):
                stop = min(start + TILE, ranges[r, 1])
                n = stop - start
                for m in range(n):
                    shifted[m] = predictions[start + m] + intercept + samples.offset(start + m)
                evaluate(
                    loss,
                    shifted[:n],
                    samples.targets_of(start, stop),
                    values,
                    unweighted,
                    own,
                    kept,
                    curvature_cap,
                )
                for few in range(0, n, TOGETHER):
                    value_of_few = 0.0
                    for m in range(few, min(few + TOGETHER, n)):
                        weight = samples.weight(start + m)
                        if weight == 0.0:
                            values[m] = unweighted[m] = own[m] = 0.0
                        value_of_few += weight * values[m]
                        if kept:
                            derivatives[start + m] = weight * unweighted[m]
                            curvatures[start + m] = weight * own[m]
                    total, compensation = kahan_add(total, compensation, value_of_few)
        totals[b] = total


@kernel
def shifted_sums(samples, loss, predictions, shift):
    """Sums of weight * (loss, derivative, curvature) at `predictions`, one number or one for
    each row, + `shift`.
    """
    value, derivative, curvature, compensation = 0.0, 0.0, 0.0, 0.0
    for i in range(samples.size()):
        prediction = (predictions[i] if predictions.size > 1 else predictions[0]) + shift
        weight, target = samples.weight(i), samples.target(i)
        if weight > 0.0:
            value, compensation = kahan_add(
                value, compensation, weight * loss.value(prediction, target)
            )
            derivative += weight * loss.derivative(prediction, target)
            curvature += weight * loss.curvature(prediction, target)
    return value, derivative, curvature
