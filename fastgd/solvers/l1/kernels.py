"""Loops of the working-set solver: rows with predictions that are kept, gathered columns,
coordinate descent.

They go block by block, as in `fastgd.objective.kernels`, for the same bits with any number of
threads. Sums over a row or a column have the order of that file too: a prediction from gathered
columns, in ascending order, has the bits of one from the whole row, whose other coefficients are 0.
"""

import numpy as np

from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import prefetch

# Entries of a row that are looked at together; unsigned, as positions in compressed rows are.
PIECE = np.uint64(256)
# Columns in random order are asked for so many ahead, and of each so many values; the processor
# itself fetches what follows.  Nanoseconds for each value of an epoch with and without: 2.3 and 4.2
# with 40 values a column, 2.8 and 3.5 on generated text, 1.9 and 2.0 with 600 values a column.
AHEAD = 2
FETCHED = np.uint64(64)
VALUES_PER_LINE = np.uint64(8)
NUMBERS_PER_LINE = np.uint64(16)


@kernel
def gather_entries(rows, member, slots, cuts, capacity, first, last, values, columns, ends, counts):
    """Entries of the rows of each block whose column is a `member`, at `slots[column]`, from
    `capacity[b]` on.

    `ends[i + 1]` gets how many there are of row i; `counts[b]` how many in the block. Those beyond
    `capacity[b + 1]` are counted only.
    """
    # Which entries are wanted is noted first, a piece of a row at a time, without a branch that
    # could be mispredicted.
    wanted = np.empty(PIECE, np.uint64)
    for b in range(first, last):
        position, end, count = capacity[b], capacity[b + 1], 0
        for i in range(cuts[b], cuts[b + 1]):
            begin = count
            start, stop = rows.span(i)
            for low in range(start, stop, PIECE):
                n_wanted = 0
                for k in range(low, min(low + PIECE, stop)):
                    wanted[n_wanted] = k
                    n_wanted += 1 if member[rows.column(k)] else 0
                count += n_wanted
                if position + n_wanted <= end:
                    for p in range(n_wanted):
                        values[position] = rows.entry(i, wanted[p])
                        columns[position] = slots[rows.column(wanted[p])]
                        position += 1
                else:
                    position = end
            ends[i + 1] = count - begin
        counts[b] = count


@kernel
def count_columns(rows, n_rows, counts):
    """How many stored values each column has, added to `counts`."""
    for i in range(n_rows):
        start, stop = rows.span(i)
        for k in range(start, stop):
            counts[rows.column(k)] += np.uint32(1)


@kernel
def sort_columns(rows, n_rows, slots, positions, values, numbers):
    """Values of columns and the rows that they are in, one column after the other; those at slot -1
    are left out.

    `positions[slot]` is where the next value of that column goes.
    """
    wanted = np.empty(PIECE, np.uint64)  # without a branch, as in `gather_entries`
    for i in range(n_rows):
        start, stop = rows.span(i)
        for low in range(start, stop, PIECE):
            n_wanted = 0
            for k in range(low, min(low + PIECE, stop)):
                wanted[n_wanted] = k
                n_wanted += 1 if slots[rows.column(k)] >= 0 else 0
            for p in range(n_wanted):
                slot = slots[rows.column(wanted[p])]
                position = positions[slot]
                values[position] = rows.entry(i, wanted[p])
                numbers[position] = i
                positions[slot] = position + np.uint64(1)


@kernel
def coordinate_minimum(coefficient, derivative, curvature, l1):
    """Where derivative e + curvature e^2 / 2 + l1 |coefficient + e| is least, as coefficient +
    e.
    """
    new, threshold = coefficient - derivative / curvature, l1 / curvature
    return new - min(max(new, -threshold), threshold)


@kernel
def matrix_descent(matrix, gradient, coef, l1, n_penalised, tolerance, most):
    """Coordinate descent on the model gradient'e + e' matrix e / 2 + l1 |coef + e|_1, over e; the
    number of epochs.

    `matrix` comes with its lower triangle alone, and may be larger. `gradient`, the model's, and
    `coef` move along. Ends once no coordinate's step changes its derivative by more than
    `tolerance`, or after `most` epochs, which count as one more.
    """
    size = coef.shape[0]
    for j in range(size):
        for k in range(j):
            matrix[k, j] = matrix[j, k]
    for epoch in range(most):
        largest = 0.0
        for j in range(size):
            curvature = matrix[j, j]
            if curvature > 0.0:
                old = coef[j]
                new = coordinate_minimum(
                    old, gradient[j], curvature, l1 if j < n_penalised else 0.0
                )
                step = new - old
                if step != 0.0:
                    coef[j] = new
                    line = matrix[j]
                    for k in range(size):
                        gradient[k] += step * line[k]
                    largest = max(largest, abs(step) * curvature)
        if largest <= tolerance:
            return epoch + 1
    return most + 1


@kernel
def concave_minimum(center, curvature, lows, derivatives, bends, heights):
    """The u with the lowest curvature (u - center)^2 / 2 + penalty(|u|), 0 of equally low ones.

    The penalty is `heights` + `derivatives` t + `bends` t^2 / 2, t = |u| - `lows`, from each of the
    `lows` to the next one.  In a piece it is least at one point where it is convex, else at an end.
    """
    size, best = abs(center), 0.0
    lowest = 0.5 * curvature * size * size
    for p in range(lows.shape[0]):
        low = lows[p]
        high = lows[p + 1] if p + 1 < lows.shape[0] else np.inf
        curved = curvature + bends[p]
        inner = low
        if curved > 0.0:
            inner = (curvature * size - derivatives[p] + bends[p] * low) / curved
            inner = min(max(inner, low), high)
        for there in (inner, low):
            t = there - low
            height = heights[p] + (derivatives[p] + 0.5 * bends[p] * t) * t
            height += 0.5 * curvature * (there - size) * (there - size)
            if height < lowest:
                best, lowest = there, height
    return best if center > 0.0 else -best


@kernel
def concave_descent(
    matrix, gradient, coef, lows, derivatives, bends, heights, n_penalised, tolerance, most
):
    """Coordinate descent on gradient'e + e' matrix e / 2 + a penalty of |coef + e|, each coordinate
    to its lowest point; `gradient` and `coef` move along.

    Ends once no step changes its derivative by more than `tolerance`, or after `most` epochs.
    """
    size = coef.shape[0]
    for _ in range(most):
        largest = 0.0
        for j in range(size):
            curvature = matrix[j, j]
            if curvature > 0.0:
                old = coef[j]
                new = old - gradient[j] / curvature
                if j < n_penalised:
                    new = concave_minimum(new, curvature, lows, derivatives, bends, heights)
                step = new - old
                if step != 0.0:
                    coef[j] = new
                    line = matrix[j]
                    for k in range(size):
                        gradient[k] += step * line[k]
                    largest = max(largest, abs(step) * curvature)
        if largest <= tolerance:
            break


@kernel
def prefetch_column(values, rows, start, stop):
    """Ask for the first values and row numbers of a column."""
    end = min(stop, start + FETCHED)
    for k in range(start, end, VALUES_PER_LINE):
        prefetch(values, k)
    for k in range(start, end, NUMBERS_PER_LINE):
        prefetch(rows, k)


@kernel(relaxed=True)  # sums over a column take 0.7 of the time
def column_epoch(
    data, order, diagonal, curvatures, derivatives, coef, changes, l1, l2, n_active, n_penalised
):
    """Coordinate descent on the model on its columns, once in this order; the largest change of a
    derivative, and a number that the model has fallen by at least.

    `data` are values, row numbers, starts and places: column j is between the start at its place
    and the next one. `derivatives[i]`, the derivative of row i's loss + curvature * change of its
    prediction, `coef`, and `diagonal`, 0 where it is not known yet, move along. `changes[j]` is
    how much column j's step changed its derivative.
    """
    values, rows, starts, places = data
    largest, fallen, n = 0.0, 0.0, order.shape[0]
    for m in range(n):
        j = order[m]
        ahead = places[order[min(m + AHEAD, n - 1)]]
        prefetch_column(values, rows, starts[ahead], starts[ahead + 1])
        start, stop = starts[places[j]], starts[places[j] + 1]
        derivative = 0.0
        for k in range(start, stop):
            derivative += values[k] * derivatives[rows[k]]
        if diagonal[j] == 0.0:
            for k in range(start, stop):
                diagonal[j] += values[k] * values[k] * curvatures[rows[k]]
            diagonal[j] = diagonal[j] / n_active + (l2 if j < n_penalised else 0.0)
        curvature, old = diagonal[j], coef[j]
        derivative = derivative / n_active + (l2 * old if j < n_penalised else 0.0)
        if curvature > 0.0:
            coef[j] = coordinate_minimum(old, derivative, curvature, l1 if j < n_penalised else 0.0)
            step = coef[j] - old
            changes[j] = abs(step) * curvature
            if step != 0.0:
                for k in range(start, stop):
                    derivatives[rows[k]] += step * values[k] * curvatures[rows[k]]
                largest = max(largest, abs(step) * curvature)
                fallen += 0.5 * curvature * step * step
    return largest, fallen


@kernel
def vector_matrix_descent(matrices, starts, ranks, gradient, coef, strengths, tolerance, most):
    """Coordinate descent on gradient'e + e' B e / 2 + sum strengths |coef + e|, B being matrices of
    each prediction and `ranks`, (rows, numbers): B = P + sum_r numbers[r] rows[r] rows[r]'.

    `matrices` are those of P, one after the other; `gradient`, which leaves out the ranks, and
    `coef` move along.  Ends once no coordinate's step changes its derivative by more than
    `tolerance`, or after `most` epochs.  Those that are 0 are looked at first, and whenever the
    others have come to rest.
    """
    rows, numbers = ranks
    n_ranks, n_blocks = numbers.shape[0], starts.shape[0] - 1
    along, diagonal = np.zeros(n_ranks), np.empty(coef.shape[0])
    offset = 0
    for b in range(n_blocks):
        size = starts[b + 1] - starts[b]
        for a in range(size):
            c = starts[b] + a
            diagonal[c] = matrices[offset + a * size + a]
            for r in range(n_ranks):
                diagonal[c] += numbers[r] * rows[c, r] * rows[c, r]
        offset += size * size
    include_zeros = True
    for _ in range(most):
        largest, offset = 0.0, 0
        for b in range(n_blocks):
            first, size = starts[b], starts[b + 1] - starts[b]
            for a in range(size):
                c = first + a
                old, curvature = coef[c], diagonal[c]
                if curvature > 0.0 and (include_zeros or old != 0.0 or strengths[c] == 0.0):
                    derivative = gradient[c]
                    for r in range(n_ranks):
                        derivative += rows[c, r] * along[r]
                    coef[c] = coordinate_minimum(old, derivative, curvature, strengths[c])
                    step = coef[c] - old
                    if step != 0.0:
                        for r in range(n_ranks):
                            along[r] += numbers[r] * step * rows[c, r]
                        line = offset + a * size
                        for m in range(size):
                            gradient[first + m] += step * matrices[line + m]
                        largest = max(largest, abs(step) * curvature)
            offset += size * size
        if largest <= tolerance and include_zeros:
            break
        include_zeros = largest <= tolerance


@kernel(relaxed=True)
def vector_column_epoch(
    data, order, diagonal, curved, roots, derivatives, coef, changes, l1, l2, n_penalised
):
    """Coordinate descent on the model of K predictions on its columns, once in this order; the
    largest change of a derivative.

    `data` are values, row numbers and starts of columns; of each coordinate the place of its
    column, and its prediction.  The second derivative of row i is diag(curved[i]) - roots[i]
    roots[i]'; its first, `derivatives`, (n, K), `coef` and `diagonal`, 0 where it is not known yet,
    move along.  `changes[c]` is how much coordinate c's step changed its derivative.
    """
    values, rows, starts, places, which = data
    largest, k = 0.0, derivatives.shape[1]
    for m in range(order.shape[0]):
        c = order[m]
        own, start, stop = which[c], starts[places[c]], starts[places[c] + 1]
        derivative = 0.0
        for a in range(start, stop):
            derivative += values[a] * derivatives[rows[a], own]
        if diagonal[c] == 0.0:
            for a in range(start, stop):
                root = roots[rows[a], own]
                diagonal[c] += values[a] * values[a] * (curved[rows[a], own] - root * root)
            diagonal[c] += l2 if c < n_penalised else 0.0
        curvature, old = diagonal[c], coef[c]
        derivative += l2 * old if c < n_penalised else 0.0
        if curvature > 0.0:
            coef[c] = coordinate_minimum(old, derivative, curvature, l1 if c < n_penalised else 0.0)
            step = coef[c] - old
            changes[c] = abs(step) * curvature
            if step != 0.0:
                for a in range(start, stop):
                    i, move = rows[a], step * values[a]
                    share = move * roots[i, own]
                    for p in range(k):
                        derivatives[i, p] -= share * roots[i, p]
                    derivatives[i, own] += move * curved[i, own]
                largest = max(largest, abs(step) * curvature)
    return largest


@kernel
def moves(coef, first, stop):
    """Whether a coefficient of these features of a (K, d) table is not 0."""
    for k in range(coef.shape[0]):
        for j in range(first, stop):
            if coef[k, j] != 0.0:
                return True
    return False


@kernel
def group_step(gradient, at, coef, ends, g, curvature, l1, strength, moved):
    """Coefficients of group g, features from `ends[g]` to `ends[g + 1]` - 1 of a (K, d) table,
    after a proximal step of length 1 / curvature, into `moved`; whether they were 0, and are.

    `gradient[k, at]` belongs to the first of them.
    """
    first, stop = ends[g], ends[g + 1]
    threshold, square, was_zero = l1 / curvature, 0.0, True
    for k in range(coef.shape[0]):
        for j in range(first, stop):
            old = coef[k, j]
            new = old - gradient[k, at + j - first] / curvature
            new -= min(max(new, -threshold), threshold)
            moved[k, j - first] = new
            square += new * new
            was_zero = was_zero and old == 0.0
    length, pull = np.sqrt(square), strength / curvature
    kept = 1.0 - pull / length if length > pull else 0.0
    for k in range(coef.shape[0]):
        for j in range(stop - first):
            moved[k, j] *= kept
    return was_zero, kept == 0.0


@kernel
def group_epoch(matrix, gradient, coef, ends, strengths, curvatures, l1, every):
    """Block coordinate descent on sum_k gradient_k'e_k + e_k' matrix e_k / 2 + sum_g l1_g |(coef +
    e)_g|_1 + strengths_g |(coef + e)_g| over tables (K, d), once over the groups, `every` one or
    those that are not 0; the largest change of a derivative, and whether a group became 0 or left
    it.

    `gradient` and `coef` move along.
    """
    n_predictions, size = coef.shape
    moved, largest, changed = np.empty((n_predictions, size)), 0.0, False
    for g in range(ends.shape[0] - 1):
        curvature = curvatures[g]
        if curvature <= 0.0 or not (every or moves(coef, ends[g], ends[g + 1])):
            continue
        was_zero, is_zero = group_step(
            gradient, ends[g], coef, ends, g, curvature, l1[g], strengths[g], moved
        )
        changed = changed or was_zero != is_zero
        if was_zero and is_zero:
            continue
        for k in range(n_predictions):
            own = gradient[k]
            for j in range(ends[g], ends[g + 1]):
                step = moved[k, j - ends[g]] - coef[k, j]
                if step != 0.0:
                    coef[k, j] = moved[k, j - ends[g]]
                    line = matrix[j]
                    for m in range(size):
                        own[m] += step * line[m]
                    largest = max(largest, abs(step) * curvature)
    return largest, changed


@kernel(relaxed=True)  # sums over a column vectorise
def group_column_epoch(columns, residuals, l2, coef, ends, strengths, curvatures, l1, every):
    """The same with the matrix columns columns' + diag(l2), columns (d, n), and the gradient
    columns residuals + l2 coef; `residuals`, (K, n), move along.
    """
    n_predictions, n = residuals.shape
    moved, gradient = np.empty(coef.shape), np.empty(coef.shape)
    largest, changed = 0.0, False
    for g in range(ends.shape[0] - 1):
        first, curvature = ends[g], curvatures[g]
        if curvature <= 0.0 or not (every or moves(coef, first, ends[g + 1])):
            continue
        for k in range(n_predictions):
            for j in range(first, ends[g + 1]):
                column, own, total = columns[j], residuals[k], 0.0
                for i in range(n):
                    total += column[i] * own[i]
                gradient[k, j - first] = total + l2[j] * coef[k, j]
        was_zero, is_zero = group_step(
            gradient, 0, coef, ends, g, curvature, l1[g], strengths[g], moved
        )
        changed = changed or was_zero != is_zero
        if was_zero and is_zero:
            continue
        for k in range(n_predictions):
            for j in range(first, ends[g + 1]):
                step = moved[k, j - first] - coef[k, j]
                if step != 0.0:
                    coef[k, j] = moved[k, j - first]
                    column, own = columns[j], residuals[k]
                    for i in range(n):
                        own[i] += step * column[i]
                    largest = max(largest, abs(step) * curvature)
    return largest, changed


@kernel(relaxed=True)
def group_sparse_epoch(data, residuals, shift, l2, coef, ends, strengths, curvatures, l1, every):
    """The same for compressed columns, less their means: residuals are `residuals`, (n, K), +
    `shift`, (K,), whose weighted mean is 0.

    `data` are values, row numbers and starts of the columns, weights of the rows that sum to 1, and
    the means.
    """
    values, rows, starts, weights, means = data
    n_predictions = coef.shape[0]
    moved, gradient = np.empty(coef.shape), np.empty(coef.shape)
    steps, largest, changed = np.empty(n_predictions), 0.0, False
    for g in range(ends.shape[0] - 1):
        first, curvature = ends[g], curvatures[g]
        if curvature <= 0.0 or not (every or moves(coef, first, ends[g + 1])):
            continue
        for j in range(first, ends[g + 1]):
            for k in range(n_predictions):
                gradient[k, j - first] = l2[j] * coef[k, j] + means[j] * shift[k]
            for a in range(starts[j], starts[j + 1]):
                share = values[a] * weights[rows[a]]
                for k in range(n_predictions):
                    gradient[k, j - first] += share * residuals[rows[a], k]
        was_zero, is_zero = group_step(
            gradient, 0, coef, ends, g, curvature, l1[g], strengths[g], moved
        )
        changed = changed or was_zero != is_zero
        if was_zero and is_zero:
            continue
        for j in range(first, ends[g + 1]):
            for k in range(n_predictions):
                steps[k] = moved[k, j - first] - coef[k, j]
                coef[k, j] = moved[k, j - first]
                shift[k] -= means[j] * steps[k]
                largest = max(largest, abs(steps[k]) * curvature)
            for a in range(starts[j], starts[j + 1]):
                for k in range(n_predictions):
                    residuals[rows[a], k] += values[a] * steps[k]
    return largest, changed


@kernel
def group_violations(gradient, coef, ends, strengths, l1):
    """Lengths of the groups' subgradients of least norm, for the penalty of `group_epoch`."""
    found = np.zeros(ends.shape[0] - 1)
    for g in range(found.shape[0]):
        square = 0.0
        for k in range(coef.shape[0]):
            for j in range(ends[g], ends[g + 1]):
                square += coef[k, j] * coef[k, j]
        length, total = np.sqrt(square), 0.0
        for k in range(coef.shape[0]):
            for j in range(ends[g], ends[g + 1]):
                own = gradient[k, j]
                if length > 0.0:
                    own += strengths[g] * coef[k, j] / length
                if coef[k, j] == 0.0:
                    own -= min(max(own, -l1[g]), l1[g])
                else:
                    own += l1[g] if coef[k, j] > 0.0 else -l1[g]
                total += own * own
        found[g] = np.sqrt(total) if length > 0.0 else max(np.sqrt(total) - strengths[g], 0.0)
    return found
