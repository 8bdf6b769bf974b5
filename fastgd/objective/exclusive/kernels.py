"""Compiled loops over rows that hold at most one of some columns.

A column's code is its place among the others, or -1 less its place among the exclusive ones.
"""

from typing import NamedTuple

import numpy as np

from fastgd.objective.kernels import add_sparse_outer, squared_norm
from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import prefetch

# Rows in the order of their exclusive column lie anywhere: each is asked for so many ahead, and
# where it begins twice as many: 106 ms for a matrix of a million rows of 7 values, whose arithmetic
# takes 37; 226 without the latter, 124 with 24.
AHEAD = 8


@kernel
def survey(rows, n_rows, counts, nearest):
    """Count each column's nonzeros, and find the nearest column to its right in any row."""
    for i in range(n_rows):
        start, stop = rows.span(i)
        before = np.int64(-1)
        for k in range(start, stop):
            if rows.entry(i, k) != 0.0:
                j = np.int64(rows.column(k))
                counts[j] += 1
                if before >= 0 and j < nearest[before]:
                    nearest[before] = j
                before = j


@kernel
def thin(rows, n_rows, counts, free, most):
    """Of the `free` columns in each row keep the rarest, the first of equals; return how many were
    given up, more than `most` where that is too many to go on.

    What is given up stays so: in the end no row holds two that are free.
    """
    n_given_up = 0
    for i in range(n_rows):
        start, stop = rows.span(i)
        rarest = np.int64(-1)
        for k in range(start, stop):
            j = np.int64(rows.column(k))
            if free[j] and rows.entry(i, k) != 0.0:
                if rarest >= 0:
                    given_up = j
                    if counts[j] < counts[rarest]:
                        given_up = rarest
                        rarest = j
                    free[given_up] = False
                    n_given_up += 1
                else:
                    rarest = j
        if n_given_up > most:
            break
    return n_given_up


@kernel
def find_met(rows, n_rows, chosen, met):
    """Mark the columns that share a row with one that is `chosen`."""
    for i in range(n_rows):
        start, stop = rows.span(i)
        own = np.int64(-1)
        for k in range(start, stop):
            j = np.int64(rows.column(k))
            if chosen[j] and rows.entry(i, k) != 0.0:
                own = j
        if own >= 0:
            for k in range(start, stop):
                j = np.int64(rows.column(k))
                if j != own and rows.entry(i, k) != 0.0:
                    met[j] = True


@kernel
def group_rows(rows, codes, ranges, group, starts, order):
    """Put the rows of `ranges` in the order of their exclusive column, those without one last.

    Group g is order[starts[g]] to order[starts[g + 1] - 1], in ascending order; `group` is room
    for a number for each of them.
    """
    last = starts.size - 2
    m = 0
    for r in range(ranges.shape[0]):
        for i in range(ranges[r, 0], ranges[r, 1]):
            start, stop = rows.span(i)
            own = last
            for k in range(start, stop):
                code = codes[rows.column(k)]
                if code < 0 and rows.entry(i, k) != 0.0:
                    own = -1 - code
            group[m] = own
            starts[own + 1] += 1
            m += 1
    for g in range(1, starts.size):
        starts[g] += starts[g - 1]
    ends = starts[:-1].copy()
    m = 0
    for r in range(ranges.shape[0]):
        for i in range(ranges[r, 0], ranges[r, 1]):
            order[ends[group[m]]] = i
            ends[group[m]] += 1
            m += 1


@kernel
def ask_ahead(rows, order, p, end):
    """Ask for the rows that are read some time after the one at `p` of the order."""
    rows.prefetch_start(order[min(p + 2 * AHEAD, end - 1)])
    rows.prefetch(order[min(p + AHEAD, end - 1)])


@kernel
def gather_others(rows, i, codes, columns, values):
    """Write what row `i` has in the others, and where; return how many there are and the value of
    its exclusive column.
    """
    n_values = 0
    own = 0.0
    start, stop = rows.span(i)
    for k in range(start, stop):
        value = rows.entry(i, k)
        if value != 0.0:
            code = codes[rows.column(k)]
            if code >= 0:
                values[n_values] = value
                columns[n_values] = code
                n_values += 1
            else:
                own = value
    return n_values, own


class InOrder(NamedTuple):
    """Rows in the order of their exclusive column, and the blocks that they are read in.

    Attributes
    ----------
    order : ndarray of int, (n_rows,)
    starts : ndarray of int, (n_groups + 1,)
        Where the rows of each exclusive column begin in it; the last group has none.
    cuts : ndarray of int, (n_blocks + 1,)
        Where blocks begin.
    groups : ndarray of int, (n_blocks + 1,)
        The group of the first row of each.
    """

    order: np.ndarray
    starts: np.ndarray
    cuts: np.ndarray
    groups: np.ndarray


class Pairs(NamedTuple):
    """What exclusive columns have with the others, one after the other.

    Attributes
    ----------
    offsets : ndarray of int, (n_blocks + 1,)
        Where those of each block begin.
    lengths : ndarray of int, (n_exclusive,)
        How many each column has.
    places, values : ndarray, (offsets[-1],)
        Which of the others, and what.
    """

    offsets: np.ndarray
    lengths: np.ndarray
    places: np.ndarray
    values: np.ndarray


class Border(NamedTuple):
    """A bordered matrix and its inverse: B in compressed rows, D^-1 and S^-1.

    Attributes
    ----------
    begins, places, values : ndarray
        The rows of B, (n_exclusive, n_others).
    reciprocals : ndarray, (n_exclusive,)
        The diagonal of D^-1.
    inverse : ndarray, (n_others, n_others)
        S^-1.
    """

    begins: np.ndarray
    places: np.ndarray
    values: np.ndarray
    reciprocals: np.ndarray
    inverse: np.ndarray


@kernel
def add_bordered(
    rows, codes, intercept, curvatures, in_order, first, last, diagonal, pairs, blocks
):
    """Sum of curvatures[i] (x_i, 1)(x_i, 1)' over the blocks `first` to `last` - 1 of rows
    `in_order`.

    Of an exclusive column: its own entry into `diagonal`, and what it has with the others into
    `pairs`.  Of the others: the lower triangle into `blocks[b]`, whose last row is the intercept's
    where there is one.
    """
    order, starts, cuts, groups = in_order
    offsets, lengths, places, values = pairs
    size = blocks.shape[1]
    columns = np.empty(size + 1, np.uint64)
    row = np.empty(size + 1)
    sums = np.zeros(size)
    seen = np.zeros(size, np.bool_)
    touched = np.empty(size, np.int64)
    for b in range(first, last):
        position, end, written, g = cuts[b], cuts[b + 1], offsets[b], groups[b]
        while position < end:
            stop = min(starts[g + 1], end)
            exclusive = g < diagonal.size
            n_touched = 0
            total = 0.0
            for p in range(position, stop):
                ask_ahead(rows, order, p, end)
                prefetch(curvatures, order[min(p + 2 * AHEAD, end - 1)])
                i = order[p]
                curvature = curvatures[i]
                if curvature == 0.0:
                    continue
                n_values, own = gather_others(rows, i, codes, columns, row)
                if intercept:
                    columns[n_values] = size - 1
                    row[n_values] = 1.0
                    n_values += 1
                add_sparse_outer(columns, row, n_values, curvature, blocks[b])
                if exclusive:
                    multiple = curvature * own
                    total += multiple * own
                    for k in range(n_values):
                        j = columns[k]
                        if not seen[j]:
                            seen[j] = True
                            touched[n_touched] = j
                            n_touched += 1
                        sums[j] += multiple * row[k]
            if exclusive:
                diagonal[g] = total
                lengths[g] = n_touched
                for t in range(n_touched):
                    j = touched[t]
                    places[written] = j
                    values[written] = sums[j]
                    sums[j] = 0.0
                    seen[j] = False
                    written += 1
            position = stop
            g += 1


@kernel
def longest_rows(rows, codes, intercept, samples, in_order, first, last, border, longest, squares):
    """Greatest |(x_i, 1)|^2 in the inverse of a bordered matrix over the rows with weight of each
    block of the order, into `longest[b]`.

    With the matrices of a `Border` a row with v in exclusive column e and x in the others has

        v^2 / D_e + |x|^2 - 2 v x . u + v^2 u . b / D_e,    u = S^-1 b / D_e,

    b being row e of B, and |x| in S^-1.  u . b / D_e goes into `squares[e]`.
    """
    order, starts, cuts, groups = in_order
    begins, places, values, reciprocals, inverse = border
    size = inverse.shape[0]
    columns = np.empty(size + 1, np.uint64)
    row = np.empty(size + 1)
    u = np.empty(size)
    for b in range(first, last):
        position, end, g = cuts[b], cuts[b + 1], groups[b]
        greatest = 0.0
        while position < end:
            stop = min(starts[g + 1], end)
            own_inverse = 0.0
            square = 0.0
            u[:] = 0.0
            if g < reciprocals.size:
                own_inverse = reciprocals[g]
                for k in range(begins[g], begins[g + 1]):
                    multiple = values[k] * own_inverse
                    other = inverse[places[k]]
                    for j in range(size):
                        u[j] += multiple * other[j]
                for k in range(begins[g], begins[g + 1]):
                    square += values[k] * own_inverse * u[places[k]]
                squares[g] = square
            for p in range(position, stop):
                ask_ahead(rows, order, p, end)
                i = order[p]
                if samples.weight(i) > 0.0:
                    n_values, own = gather_others(rows, i, codes, columns, row)
                    if intercept:
                        columns[n_values] = size - 1
                        row[n_values] = 1.0
                        n_values += 1
                    norm = squared_norm(columns, row, n_values, inverse)
                    along = 0.0
                    for k in range(n_values):
                        along += row[k] * u[columns[k]]
                    norm += own * (own * (own_inverse + square) - 2.0 * along)
                    greatest = max(greatest, norm)
            position = stop
            g += 1
        longest[b] = greatest
