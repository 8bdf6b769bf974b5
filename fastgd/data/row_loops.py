"""Loops over one row, or a few, of dense and of compressed data: what the methods of `Rows` are
made of.

They are kernels of their own, compiled once for each storage: inlined into every kernel as the
methods are, they made half of what a kernel takes to compile. Arrays come in as `Rows` holds them;
CSR positions are unsigned.
"""

import numpy as np

from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import prefetch

# Lines of 64 bytes that `prefetch` asks for: the processor itself fetches what follows (8 lines of
# one CSR row were no faster than 4 with 12 values a row and on text; 2 of 7 lines of a dense row of
# 54 columns took 1.5 times as long).
CSR_LINES = 4
DENSE_LINES = 8
# A vector of this many numbers is far larger than an L2 cache: what compressed rows meet in it is
# asked for so many values ahead. Value and gradient of a text of 1.3 million columns take 0.87 of
# the time, 0.66 where others use the cache too; on random rows the same with 600,000 columns and
# more, nothing with 400,000 and fewer.
WIDE = 1 << 19
VALUES_AHEAD = np.uint64(256)


@kernel(relaxed=True)
def dense_dot(values, i, coef):
    total = 0.0
    for j in range(coef.shape[0]):
        total += values[i, j] * coef[j]
    return total


@kernel
def dense_add(values, i, multiple, vector):
    for j in range(vector.shape[0]):
        vector[j] += multiple * values[i, j]


@kernel
def dense_dot_rows(values, first, stop, coef, out):
    # Each sum goes from left to right, as a compressed row's does, so that a full-batch run takes
    # the same path, bit for bit, over dense and CSR rows; eight rows at a time hide the latency of
    # the additions.
    whole = stop - (stop - first) % 8
    for i in range(first, whole, 8):
        a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(coef.shape[0]):
            w = coef[j]
            a += values[i, j] * w
            b += values[i + 1, j] * w
            c += values[i + 2, j] * w
            d += values[i + 3, j] * w
            e += values[i + 4, j] * w
            f += values[i + 5, j] * w
            g += values[i + 6, j] * w
            h += values[i + 7, j] * w
        m = i - first
        out[m], out[m + 1], out[m + 2], out[m + 3] = a, b, c, d
        out[m + 4], out[m + 5], out[m + 6], out[m + 7] = e, f, g, h
    for i in range(whole, stop):
        total = 0.0
        for j in range(coef.shape[0]):
            total += values[i, j] * coef[j]
        out[i - first] = total


@kernel
def dense_prefetch(values, i):
    width = values.shape[1]
    for line in range(min((width + 7) // 8, DENSE_LINES)):
        prefetch(values, i * width + 8 * line)


@kernel
def dense_add_rows(values, first, stop, multiples, vector, ahead):
    # Four rows at once read and write the vector a quarter as often: 0.6 of the time of a pass over
    # 54 columns. They are added one after the other, as compressed rows are. Rows are asked for
    # whole or not at all: to ask for a part of 784 columns makes a pass 1.3 times as long, not to
    # ask for 19 columns 1.4 times.
    fetched = ahead > 0 and vector.shape[0] <= 8 * DENSE_LINES
    whole = stop - (stop - first) % 4
    for i in range(first, whole, 4):
        m = i - first
        if fetched:
            for row in range(i + ahead, min(i + ahead + 4, values.shape[0])):
                dense_prefetch(values, row)
        a, b, c, d = multiples[m], multiples[m + 1], multiples[m + 2], multiples[m + 3]
        for j in range(vector.shape[0]):
            total = vector[j] + a * values[i, j]
            total = total + b * values[i + 1, j]
            total = total + c * values[i + 2, j]
            vector[j] = total + d * values[i + 3, j]
    for i in range(whole, stop):
        dense_add(values, i, multiples[i - first], vector)


@kernel(relaxed=True)
def dense_squared_norm(values, i):
    total = 0.0
    for j in range(values.shape[1]):
        total += values[i, j] * values[i, j]
    return total


@kernel
def strided_dot(memory, start, step, coef):
    total = 0.0
    for j in range(coef.shape[0]):
        total += memory[start + j * step] * coef[j]
    return total


@kernel
def strided_add(memory, start, step, multiple, vector):
    for j in range(vector.shape[0]):
        vector[j] += multiple * memory[start + j * step]


@kernel
def strided_squared_norm(memory, start, step, width):
    total = 0.0
    for j in range(width):
        total += memory[start + j * step] * memory[start + j * step]
    return total


@kernel
def strided_dot_rows(memory, first, stop, row_step, column_step, coef, out):
    # Columns of a wider table, whose last row may end early.
    if column_step == 1 and row_step >= coef.shape[0]:
        whole = min(memory.size // row_step, stop)
        dense_dot_rows(memory[: whole * row_step].reshape(whole, row_step), first, whole, coef, out)
        for i in range(max(whole, first), stop):
            out[i - first] = strided_dot(memory, i * row_step, 1, coef)
        return
    # Column by column, so that what is contiguous in Fortran order is read as such, four at once,
    # as `out` is read and written for each; positions are unsigned, which spares the test for
    # negative ones. Sums go from left to right.
    n, begin = stop - first, np.uint64(first * row_step)
    down, right = np.uint64(row_step), np.uint64(column_step)
    for m in range(n):
        out[m] = 0.0
    whole = coef.shape[0] - coef.shape[0] % 4
    for j in range(0, whole, 4):
        start = begin + np.uint64(j) * right
        a, b, c, d = coef[j], coef[j + 1], coef[j + 2], coef[j + 3]
        for m in range(n):
            k = start + np.uint64(m) * down
            total = out[m] + memory[k] * a
            total = total + memory[k + right] * b
            total = total + memory[k + right + right] * c
            out[m] = total + memory[k + right + right + right] * d
    for j in range(whole, coef.shape[0]):
        start = begin + np.uint64(j) * right
        for m in range(n):
            out[m] += memory[start + np.uint64(m) * down] * coef[j]


@kernel
def strided_add_rows(memory, first, stop, row_step, column_step, multiples, vector):
    if column_step == 1 and row_step >= vector.shape[0]:
        whole = min(memory.size // row_step, stop)
        dense_add_rows(
            memory[: whole * row_step].reshape(whole, row_step), first, whole, multiples, vector, 0
        )
        for i in range(max(whole, first), stop):
            strided_add(memory, i * row_step, 1, multiples[i - first], vector)
        return
    # Eight columns at once hide the latency of the additions, which go from one row to the next.
    n, begin = stop - first, np.uint64(first * row_step)
    down, right = np.uint64(row_step), np.uint64(column_step)
    whole = vector.shape[0] - vector.shape[0] % 8
    for j in range(0, whole, 8):
        start = begin + np.uint64(j) * right
        a, b, c, d = vector[j], vector[j + 1], vector[j + 2], vector[j + 3]
        e, f, g, h = vector[j + 4], vector[j + 5], vector[j + 6], vector[j + 7]
        for m in range(n):
            k, multiple = start + np.uint64(m) * down, multiples[m]
            a += multiple * memory[k]
            b += multiple * memory[k + right]
            c += multiple * memory[k + np.uint64(2) * right]
            d += multiple * memory[k + np.uint64(3) * right]
            e += multiple * memory[k + np.uint64(4) * right]
            f += multiple * memory[k + np.uint64(5) * right]
            g += multiple * memory[k + np.uint64(6) * right]
            h += multiple * memory[k + np.uint64(7) * right]
        vector[j], vector[j + 1], vector[j + 2], vector[j + 3] = a, b, c, d
        vector[j + 4], vector[j + 5], vector[j + 6], vector[j + 7] = e, f, g, h
    for j in range(whole, vector.shape[0]):
        start, total = begin + np.uint64(j) * right, vector[j]
        for m in range(n):
            total += multiples[m] * memory[start + np.uint64(m) * down]
        vector[j] = total


@kernel
def csr_dot(values, columns, start, stop, coef):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * coef[columns[k]]
    return total


@kernel
def csr_dot_while(values, columns, start, stop, coef, there, n_there):
    # What the positions `there`, `there` + 1, ... meet is asked for value by value: in a loop of
    # its own it would wait.
    middle = start + min(stop - start, n_there)
    total = 0.0
    for k in range(start, middle):
        prefetch(coef, columns[there + (k - start)])
        total += values[k] * coef[columns[k]]
    for k in range(middle, stop):
        total += values[k] * coef[columns[k]]
    return total


@kernel
def csr_dot_wide(values, columns, starts, first, stop, coef, out):
    end = starts[starts.size - 1]
    for i in range(first, stop):
        there = min(starts[i] + VALUES_AHEAD, end)
        out[i - first] = csr_dot_while(
            values, columns, starts[i], starts[i + 1], coef, there, end - there
        )


@kernel
def csr_dot_rows(values, columns, starts, first, stop, coef, out):
    for i in range(first, stop):
        out[i - first] = csr_dot(values, columns, starts[i], starts[i + 1], coef)


@kernel
def csr_add(values, columns, start, stop, multiple, vector):
    for k in range(start, stop):
        vector[columns[k]] += multiple * values[k]


@kernel
def csr_prefetch(values, columns, start):
    for line in range(CSR_LINES):
        prefetch(values, start + np.uint64(8 * line))
        if line % 2 == 0:  # an index is half as long as a value
            prefetch(columns, start + np.uint64(8 * line))


@kernel
def csr_add_wide(values, columns, starts, first, stop, multiples, vector):
    end = starts[starts.size - 1]
    for i in range(first, stop):
        start, multiple = starts[i], multiples[i - first]
        middle = min(max(end, start + VALUES_AHEAD) - VALUES_AHEAD, starts[i + 1])
        for k in range(start, middle):
            prefetch(vector, columns[k + VALUES_AHEAD])
            vector[columns[k]] += multiple * values[k]
        for k in range(middle, starts[i + 1]):
            vector[columns[k]] += multiple * values[k]


@kernel
def csr_add_rows(values, columns, starts, first, stop, multiples, vector, ahead):
    n = starts.size - 1
    if vector.shape[0] < WIDE:
        for i in range(first, stop):
            if ahead > 0:
                csr_prefetch(values, columns, starts[min(i + ahead, n - 1)])
            csr_add(values, columns, starts[i], starts[i + 1], multiples[i - first], vector)
    else:
        csr_add_wide(values, columns, starts, first, stop, multiples, vector)


@kernel
def renumber(keys, shift, renumbered):
    """The columns of stored values, in order, and in `renumbered` the place of each value's among
    these: of keys in order, column * 2^shift + place of the value.
    """
    columns, n = np.empty(keys.size, np.int64), 0
    places = (np.uint64(1) << shift) - np.uint64(1)
    for key in keys:
        column = np.int64(key >> shift)
        if n == 0 or columns[n - 1] != column:
            columns[n] = column
            n += 1
        renumbered[key & places] = n - 1
    return columns[:n]


@kernel
def csr_squared_norm(values, start, stop):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * values[k]
    return total


@kernel
def add_products(rows, i, coef, out):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(out.shape[0]):
            out[c] += value * coef[j, c]


@kernel
def add_outer(rows, i, multiples, matrix):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(multiples.shape[0]):
            matrix[j, c] += value * multiples[c]


@kernel
def shifted_dot(rows, centers, i, coef):
    # The difference first: of numbers close to each other it is exact, and nothing is left to
    # cancel.
    start, stop = rows.span(i)
    total = 0.0
    for k in range(start, stop):
        j = rows.column(k)
        total += (rows.entry(i, k) - centers[j]) * coef[j]
    return total


@kernel
def shifted_add(rows, centers, i, multiple, vector):
    start, stop = rows.span(i)
    for k in range(start, stop):
        j = rows.column(k)
        vector[j] += multiple * (rows.entry(i, k) - centers[j])


@kernel
def shifted_dot_columns(rows, centers, first, stop, coef, out):
    # As `strided_dot_rows`, four columns at once.
    n = stop - first
    for m in range(n):
        out[m] = 0.0
    whole = coef.shape[0] - coef.shape[0] % 4
    for j in range(0, whole, 4):
        a, b, c, d = coef[j], coef[j + 1], coef[j + 2], coef[j + 3]
        p, q, r, s = centers[j], centers[j + 1], centers[j + 2], centers[j + 3]
        for m in range(n):
            i = first + m
            total = out[m] + (rows.entry(i, j) - p) * a
            total = total + (rows.entry(i, j + 1) - q) * b
            total = total + (rows.entry(i, j + 2) - r) * c
            out[m] = total + (rows.entry(i, j + 3) - s) * d
    for j in range(whole, coef.shape[0]):
        for m in range(n):
            out[m] += (rows.entry(first + m, j) - centers[j]) * coef[j]


@kernel
def shifted_add_columns(rows, centers, first, stop, multiples, vector):
    # As `strided_add_rows`, four columns at once.
    n = stop - first
    whole = vector.shape[0] - vector.shape[0] % 4
    for j in range(0, whole, 4):
        a, b, c, d = vector[j], vector[j + 1], vector[j + 2], vector[j + 3]
        p, q, r, s = centers[j], centers[j + 1], centers[j + 2], centers[j + 3]
        for m in range(n):
            i, multiple = first + m, multiples[m]
            a += multiple * (rows.entry(i, j) - p)
            b += multiple * (rows.entry(i, j + 1) - q)
            c += multiple * (rows.entry(i, j + 2) - r)
            d += multiple * (rows.entry(i, j + 3) - s)
        vector[j], vector[j + 1], vector[j + 2], vector[j + 3] = a, b, c, d
    for j in range(whole, vector.shape[0]):
        total = vector[j]
        for m in range(n):
            total += multiples[m] * (rows.entry(first + m, j) - centers[j])
        vector[j] = total


@kernel
def shifted_dot_rows(rows, centers, first, stop, coef, out):
    # Sums from left to right and, where rows are dense, eight rows at a time, as in
    # `dense_dot_rows`.
    if rows.by_column():
        shifted_dot_columns(rows, centers, first, stop, coef, out)
        return
    whole = first if rows.sparse else stop - (stop - first) % 8
    for i in range(first, whole, 8):
        a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(coef.shape[0]):
            w, center = coef[j], centers[j]
            a += (rows.entry(i, j) - center) * w
            b += (rows.entry(i + 1, j) - center) * w
            c += (rows.entry(i + 2, j) - center) * w
            d += (rows.entry(i + 3, j) - center) * w
            e += (rows.entry(i + 4, j) - center) * w
            f += (rows.entry(i + 5, j) - center) * w
            g += (rows.entry(i + 6, j) - center) * w
            h += (rows.entry(i + 7, j) - center) * w
        m = i - first
        out[m], out[m + 1], out[m + 2], out[m + 3] = a, b, c, d
        out[m + 4], out[m + 5], out[m + 6], out[m + 7] = e, f, g, h
    for i in range(whole, stop):
        out[i - first] = shifted_dot(rows, centers, i, coef)


@kernel
def shifted_add_rows(rows, centers, first, stop, multiples, vector, ahead):
    # As `dense_add_rows`; past the last row there is nothing to ask for, which does no harm.
    if rows.by_column():
        shifted_add_columns(rows, centers, first, stop, multiples, vector)
        return
    fetched = ahead > 0 and vector.shape[0] <= 8 * DENSE_LINES
    whole = first if rows.sparse else stop - (stop - first) % 4
    for i in range(first, whole, 4):
        m = i - first
        if fetched:
            for row in range(i + ahead, i + ahead + 4):
                rows.prefetch(row)
        a, b, c, d = multiples[m], multiples[m + 1], multiples[m + 2], multiples[m + 3]
        for j in range(vector.shape[0]):
            center = centers[j]
            total = vector[j] + a * (rows.entry(i, j) - center)
            total = total + b * (rows.entry(i + 1, j) - center)
            total = total + c * (rows.entry(i + 2, j) - center)
            vector[j] = total + d * (rows.entry(i + 3, j) - center)
    for i in range(whole, stop):
        shifted_add(rows, centers, i, multiples[i - first], vector)


@kernel
def shifted_squared_norm(rows, centers, i):
    start, stop = rows.span(i)
    total = 0.0
    for k in range(start, stop):
        value = rows.entry(i, k) - centers[rows.column(k)]
        total += value * value
    return total
