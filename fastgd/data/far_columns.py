"""Columns far from zero, read as distances from their means: timestamps, Julian dates, years, two
sensors alike.

A column of mean m and standard deviation s is, next to an intercept, a copy of it but for s / m: a
matrix of products keeps 52 - 2 log2(m / s) bits of how the column varies.  With x - c, c near
m, the intercept b + c . w takes the place of b, and everything that reads rows sees a column like
others.
"""

import functools

import numpy as np
import scipy.sparse as sp

from fastgd.data.rows import CSRRows, ShiftedRows
from fastgd.data.tile_sizes import VALUES

# A column is far where |m| is more than so many times s: 3 of the 16 digits of a matrix are lost by
# then. Ordinary columns are not far, and cost nothing: an age has 3, heights in a mountain range
# 10.6, for which passes would read shifted rows with 10 here. Where s is below the last share of
# |m|, the column is constant but for rounding, and stays a copy of the intercept: in
# predictions the rounding of m times its coefficient would exceed all that it varies by.
FAR_RATIO = 30.0
CONSTANT = 1e-13
# Rows, and values, of a first sample: only columns that are far in it, by half of `FAR_RATIO`, are
# measured in all rows. It has at least so many rows, and compressed columns have to be stored in
# so many rows first.
SAMPLE_ROWS = 256
SAMPLE_VALUES = 1 << 16
MIN_ROWS = 8


@np.errstate(all="ignore")  # values of 1e154 overflow in passing
def read_shifted(rows, samples):
    """The rows, as distances from a number for each column that is far from 0; as they are where
    there is none.

    Far can be only a column without a zero in all the rows, so that compressed rows stay what they
    are.

    Parameters
    ----------
    rows : Rows
        As they are stored.
    samples : Samples
        Rows of weight 0 do not count.

    Examples
    --------
    >>> from fastgd.data.check_X import as_rows
    >>> from fastgd.data.targets import as_samples
    >>> from fastgd.losses import SquaredError
    >>> X, y = np.array([[1e6, 0.0], [1e6 + 1.0, 1.0], [1e6 + 2.0, 1.0]]), np.zeros(3)
    >>> read_shifted(as_rows(X), as_samples(SquaredError(), y, 3)).centers
    array([1000001.,       0.])
    """
    active = samples.active()
    size = min(max(SAMPLE_VALUES // rows.shape()[1], MIN_ROWS), SAMPLE_ROWS, active.size)
    chosen = active[np.arange(size) * active.size // size]
    columns, values = _without_zeros(rows, chosen)
    if columns.size == 0:
        return rows
    means = values.mean(axis=0)
    # Columns that are constant here may be far from 0 elsewhere.
    near = np.abs(means) <= 0.5 * FAR_RATIO * np.sqrt(np.square(values - means).mean(axis=0))
    columns, means = columns[~near], means[~near]
    far = _far(rows, samples, columns, means) if columns.size else near[:0]
    if not far.any():
        return rows
    centers = np.zeros(rows.shape()[1])
    centers[columns[far]] = means[far]
    return ShiftedRows(rows, centers)


def read_from(rows, centers):
    """Later rows as distances from the same numbers; compressed rows store what is 0 in a column
    that has one.

    Examples
    --------
    >>> from fastgd.data.check_X import as_rows
    >>> rows = read_from(as_rows(sp.csr_array([[0.0, 1.0], [9.0, 0.0]])), np.array([8.0, 0.0]))
    >>> rows.take(slice(None)).toarray()
    array([[-8.,  1.],
           [ 1.,  0.]])
    """
    if rows.sparse:
        rows = _with_zeros(rows, np.flatnonzero(centers))
    return ShiftedRows(rows, centers)


def _with_zeros(rows, columns):
    """Compressed rows that store a value in each of the columns."""
    n, d = rows.shape()
    where = np.searchsorted(columns, rows.columns)
    here = columns[np.minimum(where, columns.size - 1)] == rows.columns
    if np.count_nonzero(here) == n * columns.size:
        return rows
    stored = np.zeros((n, columns.size), dtype=bool)
    of_row = np.repeat(np.arange(n), np.diff(rows.starts).astype(np.int64))
    stored[of_row[here], where[here]] = True
    more, which = np.nonzero(~stored)
    row = np.concatenate([of_row, more])
    column = np.concatenate([rows.columns, columns[which].astype(rows.columns.dtype)])
    values = np.concatenate([rows.values, np.zeros(more.size, rows.values.dtype)])
    order = np.lexsort((column, row))
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))])
    return CSRRows(values[order], column[order], starts.astype(rows.starts.dtype), float(d))


def _without_zeros(rows, chosen):
    """Columns that have no zero in these rows, and their values there, in C order."""
    if not rows.sparse:
        values = rows.take(chosen)
        columns = np.flatnonzero((values != 0.0).all(axis=0))
        return columns, np.ascontiguousarray(values[:, columns])
    stored = [
        rows.columns[int(rows.starts[i]) : int(rows.starts[i + 1])]
        for i in chosen[:MIN_ROWS].tolist()
    ]
    columns = functools.reduce(
        functools.partial(np.intersect1d, assume_unique=True), stored
    ).astype(np.int64)
    values = rows.part(chosen, columns).toarray().astype(np.float64)
    full = (values != 0.0).all(axis=0)
    return columns[full], np.ascontiguousarray(values[:, full])


def _far(rows, samples, columns, means):
    """Which of the columns are far from 0 and have no zero, in all rows; `means` are of some."""
    n, d = rows.shape()
    table = rows.values.reshape(n, d) if rows.sparse and rows.stored() == n * d else None
    counts = samples.weights > 0.0 if samples.weights.size > 1 else None
    full = np.full(columns.size, True)
    sums = np.zeros((2, columns.size))
    n_active = 0
    step = max(VALUES // columns.size, 1)
    for first in range(0, n, step):
        here = slice(first, first + step)
        # Compressed rows without zeros are a dense table: to pick columns of it takes a twentieth.
        part = rows.part(here, columns) if table is None else table[here][:, columns]
        part = np.ascontiguousarray(part.toarray() if sp.issparse(part) else part, dtype=np.float64)
        full &= (part != 0.0).all(axis=0)
        part = (part if counts is None else part[counts[here]]) - means
        sums += part.sum(axis=0), np.square(part).sum(axis=0)
        n_active += len(part)
    shift, square = sums / n_active
    spread = np.sqrt(np.maximum(square - shift**2, 0.0))
    size = np.abs(means + shift)
    return full & (size > FAR_RATIO * spread) & (spread > CONSTANT * size)


@np.errstate(all="ignore")
def centers_of(sample, means, full):
    """What is to be taken from each column, or None where none is far from 0: by a sample of the
    rows, and the means of all; columns that are not `full` have a zero somewhere.
    """
    columns = np.flatnonzero(full)
    table = sample.part(slice(None), columns)
    table = np.asarray(table.toarray() if sp.issparse(table) else table, dtype=np.float64)
    spread = np.sqrt(np.square(table - means[columns]).mean(axis=0))
    size = np.abs(means[columns])
    far = columns[(size > FAR_RATIO * spread) & (spread > CONSTANT * size)]
    if far.size == 0:
        return None
    centers = np.zeros(means.size)
    centers[far] = means[far]
    return centers


class FarColumns:
    """The same for rows that come in blocks, each once: sums of distances from the means of the
    first block.
    """

    def __init__(self):
        self._columns: np.ndarray | None = None
        self._n = 0

    @np.errstate(all="ignore")
    def add(self, rows):
        """The rows of one more block."""
        if self._columns is None:
            some = np.arange(min(rows.shape()[0], SAMPLE_ROWS))
            self._columns, values = _without_zeros(rows, some)
            self._means = values.mean(axis=0)
            self._sums = np.zeros((2, self._columns.size))
        if self._columns.size == 0:
            return
        n = rows.shape()[0]
        step = max(VALUES // self._columns.size, 1)
        for first in range(0, n, step):
            part = rows.part(slice(first, first + step), self._columns)
            table = np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float64)
            full = (table != 0.0).all(axis=0)
            if not full.all():
                table = table[:, full]
                self._columns, self._means = self._columns[full], self._means[full]
                self._sums = self._sums[:, full]
            table = table - self._means
            self._sums += table.sum(axis=0), np.square(table).sum(axis=0)
        self._n += n

    @np.errstate(all="ignore")
    def centers(self, n_features):
        """What is to be taken from each column, or None where none is far from 0."""
        if self._columns is None or self._columns.size == 0:
            return None
        shift, square = self._sums / self._n
        spread = np.sqrt(np.maximum(square - shift**2, 0.0))
        size = np.abs(self._means + shift)
        far = (size > FAR_RATIO * spread) & (spread > CONSTANT * size)
        if not far.any():
            return None
        centers = np.zeros(n_features)
        centers[self._columns[far]] = self._means[far]
        return centers
