"""Loops over one row, or a few, of dense and of compressed data: what the methods of `Rows` are made of.

They are kernels of their own, compiled once for each storage: inlined into every kernel as the methods are, they made
half of what a kernel takes to compile. Arrays come in as `Rows` holds them; CSR positions are unsigned.
"""

import numpy as np

from fastgd._jit import kernel
from fastgd._prefetch import prefetch

# Lines of 64 bytes that `prefetch` asks for: the processor itself fetches what follows (8 lines of one CSR row were no
# faster than 4 on w8a and news20_binary; 2 of 7 lines of a dense row took 1.5 times as long on covtype_binary).
CSR_LINES, DENSE_LINES = 4, 8


@kernel(relaxed=True)
def dense_dot(values, i, coef):
    total = 0.0
    for j in range(coef.shape[0]):
        total += values[i, j] * coef[j]
    return total


@kernel
def dense_add(values, i, amount, vector):
    for j in range(vector.shape[0]):
        vector[j] += amount * values[i, j]


@kernel
def dense_dot_rows(values, first, stop, coef, out):
    # Each sum goes from left to right, as a compressed row's does, so that a full-batch run takes the same path, bit
    # for bit, over dense and CSR rows; eight rows at a time hide the latency of the additions.
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
def dense_add_rows(values, first, stop, amounts, vector):
    # Four rows at once read and write the vector a quarter as often: 0.6 of the time of a pass over covtype_binary.
    # They are added one after the other, as compressed rows are.
    whole = stop - (stop - first) % 4
    for i in range(first, whole, 4):
        m = i - first
        a, b, c, d = amounts[m], amounts[m + 1], amounts[m + 2], amounts[m + 3]
        for j in range(vector.shape[0]):
            total = vector[j] + a * values[i, j]
            total = total + b * values[i + 1, j]
            total = total + c * values[i + 2, j]
            vector[j] = total + d * values[i + 3, j]
    for i in range(whole, stop):
        dense_add(values, i, amounts[i - first], vector)


@kernel(relaxed=True)
def dense_squared_norm(values, i):
    total = 0.0
    for j in range(values.shape[1]):
        total += values[i, j] * values[i, j]
    return total


@kernel
def dense_prefetch(values, i):
    width = values.shape[1]
    for line in range(min((width + 7) // 8, DENSE_LINES)):
        prefetch(values, i * width + 8 * line)


@kernel
def csr_dot(values, columns, start, stop, coef):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * coef[columns[k]]
    return total


@kernel
def csr_dot_rows(values, columns, starts, first, stop, coef, out):
    for i in range(first, stop):
        out[i - first] = csr_dot(values, columns, starts[i], starts[i + 1], coef)


@kernel
def csr_add(values, columns, start, stop, amount, vector):
    for k in range(start, stop):
        vector[columns[k]] += amount * values[k]


@kernel
def csr_add_rows(values, columns, starts, first, stop, amounts, vector):
    for i in range(first, stop):
        csr_add(values, columns, starts[i], starts[i + 1], amounts[i - first], vector)


@kernel
def csr_squared_norm(values, start, stop):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * values[k]
    return total


@kernel
def csr_prefetch(values, columns, start):
    for line in range(CSR_LINES):
        prefetch(values, start + np.uint64(8 * line))
        if line % 2 == 0:  # an index is half as long as a value
            prefetch(columns, start + np.uint64(8 * line))


@kernel
def dots(rows, i, coef, out):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(out.shape[0]):
            out[c] += value * coef[j, c]


@kernel
def adds(rows, i, amounts, matrix):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(amounts.shape[0]):
            matrix[j, c] += value * amounts[c]
