"""Storages of rows as kernels read them: dense, as it lies in memory, or compressed, behind the
same methods.

What comes in here is trusted: `fastgd.data.check_X.as_rows` makes them from whatever is given.
"""

import functools
import math
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from fastgd.data import row_loops as _row_loops
from fastgd.data.tile_sizes import ROWS, STREAMED
from fastgd.runtime.component import Component, python_only, required
from fastgd.runtime.memory import prefetch

# Rows of one column that are read together where columns are what is contiguous (measured with 784
# columns: 0.7 of the time of 27 rows at once).
MIN_OF_COLUMN = 512
# Columns are few where there are so many times as many as stored values: to number those that occur
# takes the time of a few passes over the values.
FEW_COLUMNS = 4
# Bits of a number that tell the place of a value, beside its column.
PLACES = 32
# A dot product of over 10,000 numbers has BLAS wake its threads, which takes 22 ms where others
# use the processors; by one thread 60,000 squares take 26 us, and so many as these 0.5 ms.
MAX_ONE_THREAD = 1 << 20


class Rows(Component, family=True):
    """Family of storages: row `i` as a whole by `dot` and `add`, position by position by `span`,
    `column`, `entry`.
    """

    sparse: ClassVar[bool] = False
    # Whether the values of a row are apart in memory, so that single rows are better read of a copy
    # in C order.
    strided: ClassVar[bool] = False
    in_memory: ClassVar[bool] = True
    location: ClassVar[str] = "memory"

    # Data are compared by identity: numbers of a whole X would have to be looked at.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @required
    def dot(self, i, coef):
        """Row `i` times `coef`."""

    @required
    def add(self, i, multiple, vector):
        """Add `multiple` of row `i` to `vector`."""

    @required
    def dot_rows(self, first, stop, coef, out):
        """Rows `first` to `stop` - 1 times `coef`, into `out`; left to right, so that dense and
        CSR agree exactly.
        """

    @required
    def add_rows(self, first, stop, multiples, vector, ahead):
        """Add rows `first` to `stop` - 1, times `multiples[0]`, `multiples[1]`, ..., to `vector`.

        Where `ahead` is not 0, the row that is so many rows further on is asked for with each.
        """

    def add_products(self, i, coef, out):
        """Add row `i` times each column of `coef`, (d, K), to `out`, (K,)."""
        _row_loops.add_products(self, i, coef, out)

    def add_outer(self, i, multiples, matrix):
        """Add row `i` times `multiples`, (K,), to `matrix`, (d, K)."""
        _row_loops.add_outer(self, i, multiples, matrix)

    def by_column(self):
        """Whether neighbours in a column are closer in memory than neighbours in a row."""
        return False

    @required
    def squared_norm(self, i):
        """Sum of the squares of row `i`."""

    def prefetch(self, i):
        """Ask for row `i` to be in the cache by the time it is read."""

    def prefetch_start(self, i):
        """Ask for where row `i` begins, which `prefetch` reads."""

    @property
    def storage(self: Any) -> Any:
        """The rows as they are stored."""
        return self

    @property
    def dtype(self: Any):
        """Of what the rows hand out."""
        return self.values.dtype

    @property
    def mark(self):
        """Bytes that tell the centers of the columns from others; empty without any."""
        return b""

    @python_only
    def narrowed(self) -> Any:
        """The columns with a stored value, in order, and rows of these alone, where they are few;
        else None.
        """
        return None

    @python_only
    def part(self: Any, chosen, columns=None):
        """These rows, a slice or indices, of all columns or of these, as an array: a view of a
        slice.
        """
        return self.values[chosen] if columns is None else self.values[chosen][:, columns]

    @python_only
    def take(self: Any, chosen):
        """These rows as a float64 array, or SciPy array, of their own."""
        return np.array(self.part(chosen), dtype=np.float64, order="C")

    @python_only
    def sizes_in(self: Any, chosen):
        """(columns, |x| in them) of these few rows: all columns and the greatest, or stored
        values, which may be several of a column.
        """
        largest = abs(self.take(chosen)).max(axis=0)
        return slice(None), largest.toarray().ravel() if self.sparse else largest

    @python_only
    def taken_away(self, directions):
        """How much was taken from rows along `directions`, (d, k): sums of magnitudes, (k,)."""
        return np.zeros(directions.shape[1])

    @python_only
    def user_intercept(self, coef, intercept):
        """Intercept that goes with the columns as they were given; `coef` is (d,), or (d, K) for
        K intercepts.
        """
        return intercept

    @python_only
    def own_intercept(self, coef, intercept):
        """Intercept that goes with what the rows hand out."""
        return intercept

    @python_only
    def sum_of_squares(self: Any):
        """Of all values, in their precision."""
        values = self.values
        if values.size <= MAX_ONE_THREAD:
            axes = "ij"[: values.ndim]
            return float(np.einsum(f"{axes},{axes}->", values, values))
        return float(np.vdot(values, values))

    @python_only
    def column_norms(self: Any):
        """Root of the sum of squares of each column, in float64: bounds on rounding rest on it."""
        return np.sqrt(np.einsum("ij,ij->j", self.values, self.values, dtype=np.float64))

    @python_only
    def least_tile(self):
        """Rows that a pass should take together at least."""
        return 16

    @required
    def span(self, i):
        """First and one-past-last storage position of row `i`."""

    @required
    def column(self, k):
        """Column of storage position `k`."""

    @required
    def entry(self, i, k):
        """Value at storage position `k` of row `i`."""


class DenseRows(Rows):
    """A C-contiguous `(n_samples, n_features)` array of float64 or float32."""

    values: np.ndarray

    def dot(self, i, coef):
        return _row_loops.dense_dot(self.values, i, coef)

    def add(self, i, multiple, vector):
        _row_loops.dense_add(self.values, i, multiple, vector)

    def dot_rows(self, first, stop, coef, out):
        _row_loops.dense_dot_rows(self.values, first, stop, coef, out)

    def add_rows(self, first, stop, multiples, vector, ahead):
        _row_loops.dense_add_rows(self.values, first, stop, multiples, vector, ahead)

    def squared_norm(self, i):
        return _row_loops.dense_squared_norm(self.values, i)

    def prefetch(self, i):
        _row_loops.dense_prefetch(self.values, i)

    def span(self, i):
        return 0, self.values.shape[1]

    def column(self, k):
        return k

    def entry(self, i, k):
        return self.values[i, k]

    @python_only
    def shape(self):
        """Number of rows and of columns."""
        return self.values.shape

    @python_only
    def stored(self):
        """Number of stored values."""
        return self.values.size

    @python_only
    def nonzeros(self, part=0, parts=1):
        """Number of values that are not 0, or how many there are in one of some parts of them."""
        return _count_nonzeros(self.values, part, parts)

    @python_only
    def without_columns(self):
        """As many rows of the same type, with nothing in them."""
        return DenseRows(self.values[:, :0])

    @python_only
    def matvec(self, coef):
        """X @ coef in float64, (n_samples,)."""
        return (
            self.values @ coef if self.values.dtype == np.float64 else _products(self.values, coef)
        )


class StridedRows(Rows):
    """A dense array as it lies in memory, in Fortran order or with steps: passes over all rows need
    no copy of it.

    Measured, a pass in Fortran order takes 0.8 to 1.4 of one in C order, with steps in both
    directions 1.2 to 2.6, and the copy 3 to 6 passes; sums have the same bits, but for the latter.

    `memory` is what the array spans, in which row i, column j is at i * row_step + j * column_step.
    """

    strided: ClassVar[bool] = True
    memory: np.ndarray
    height: int
    width: int
    row_step: int
    column_step: int

    @functools.cached_property
    def values(self):
        """The array in these steps, (height, width), read only."""
        size = self.memory.itemsize
        steps = self.row_step * size, self.column_step * size
        return np.lib.stride_tricks.as_strided(
            self.memory, (self.height, self.width), steps, writeable=False
        )

    @python_only
    def least_tile(self):
        """Rows that a pass should take together at least."""
        return MIN_OF_COLUMN if self.row_step < self.column_step else 16

    def dot(self, i, coef):
        return _row_loops.strided_dot(self.memory, i * self.row_step, self.column_step, coef)

    def add(self, i, multiple, vector):
        _row_loops.strided_add(self.memory, i * self.row_step, self.column_step, multiple, vector)

    def dot_rows(self, first, stop, coef, out):
        _row_loops.strided_dot_rows(
            self.memory, first, stop, self.row_step, self.column_step, coef, out
        )

    def add_rows(self, first, stop, multiples, vector, ahead):
        _row_loops.strided_add_rows(
            self.memory, first, stop, self.row_step, self.column_step, multiples, vector
        )

    def by_column(self):
        return self.row_step < self.column_step

    def squared_norm(self, i):
        return _row_loops.strided_squared_norm(
            self.memory, i * self.row_step, self.column_step, self.width
        )

    def span(self, i):
        return 0, self.width

    def column(self, k):
        return k

    def entry(self, i, k):
        return self.memory[i * self.row_step + k * self.column_step]

    @python_only
    def shape(self):
        """Number of rows and of columns."""
        return self.height, self.width

    @python_only
    def stored(self):
        """Number of stored values."""
        return self.height * self.width

    @python_only
    def nonzeros(self, part=0, parts=1):
        """Number of values that are not 0, or how many there are in one of some parts of them."""
        return _count_nonzeros(self.values, part, parts)

    @python_only
    def without_columns(self):
        """As many rows of the same type, with nothing in them."""
        return StridedRows(self.memory[:0], self.height, 0, 0, 0)

    @python_only
    def matvec(self, coef):
        """X @ coef in float64, (n_samples,)."""
        return _products(self.values, coef)

    @python_only
    def sum_of_squares(self):
        """Of all values, in their precision."""
        parts = (self.values[i : i + ROWS] for i in range(0, self.height, ROWS))
        return sum(float(np.einsum("ij,ij->", part, part)) for part in parts)

    @python_only
    def in_c_order(self):
        """A copy in C order, for solvers that read single rows."""
        return DenseRows(np.ascontiguousarray(self.values))


class CSRRows(Rows):
    """Compressed rows: `values` and `columns` between `starts[i]` and `starts[i + 1]` are row `i`.

    Both index arrays are unsigned, which spares a kernel the test for negative indices (measured, X
    @ w: 0.34 of the time with signed ones on a text of 1.3 million columns, 0.65 with 510 columns).
    The sums are not reordered, because gathers do not vectorise anyway.
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    width: float
    sparse: ClassVar[bool] = True

    def dot(self, i, coef):
        return _row_loops.csr_dot(
            self.values, self.columns, self.starts[i], self.starts[i + 1], coef
        )

    def add(self, i, multiple, vector):
        _row_loops.csr_add(
            self.values, self.columns, self.starts[i], self.starts[i + 1], multiple, vector
        )

    def dot_rows(self, first, stop, coef, out):
        # Asked here, for with both loops in one function that is no longer inlined: 0.75 of the
        # time of rows by eights.
        if coef.shape[0] < _row_loops.WIDE:
            _row_loops.csr_dot_rows(self.values, self.columns, self.starts, first, stop, coef, out)
        else:
            _row_loops.csr_dot_wide(self.values, self.columns, self.starts, first, stop, coef, out)

    def add_rows(self, first, stop, multiples, vector, ahead):
        _row_loops.csr_add_rows(
            self.values, self.columns, self.starts, first, stop, multiples, vector, ahead
        )

    def squared_norm(self, i):
        return _row_loops.csr_squared_norm(self.values, self.starts[i], self.starts[i + 1])

    def prefetch(self, i):
        _row_loops.csr_prefetch(self.values, self.columns, self.starts[i])

    def prefetch_start(self, i):
        prefetch(self.starts, i)

    def span(self, i):
        return self.starts[i], self.starts[i + 1]

    def column(self, k):
        return self.columns[k]

    def entry(self, i, k):
        return self.values[k]

    @python_only
    def narrowed(self):
        """As for all rows.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> from fastgd.data.check_X import as_rows
        >>> row = np.zeros((1, 20))
        >>> row[0, [3, 7]] = 1.0
        >>> columns, rows = as_rows(csr_array(row)).narrowed()
        >>> columns, rows.shape()
        (array([3, 7]), (1, 2))
        """
        if FEW_COLUMNS * self.values.size > self.width or self.width >= 1 << (64 - PLACES):
            return None
        # Columns and places in one number are sorted at once: of 100,000 values in 80,000 columns
        # `np.searchsorted` took five times as long, `np.unique` ten times.
        keys = self.columns.astype(np.uint64) << np.uint64(PLACES)
        keys |= np.arange(keys.size, dtype=np.uint64)
        keys.sort()
        renumbered = np.empty(keys.size, self.columns.dtype)
        columns = _row_loops.renumber(keys, np.uint64(PLACES), renumbered)
        return columns, CSRRows(self.values, renumbered, self.starts, float(columns.size))

    @python_only
    def among(self, places, width):
        """The same rows in a wider table, whose columns are at these places of it."""
        columns = places.astype(self.columns.dtype)[self.columns]
        return CSRRows(self.values, columns, self.starts, float(width))

    @python_only
    def shape(self):
        """Number of rows and of columns."""
        return self.starts.size - 1, int(self.width)

    @python_only
    def stored(self):
        """Number of stored values."""
        return self.values.size

    @python_only
    def nonzeros(self, part=0, parts=1):
        """Number of values that are not 0, which `as_rows` does not store; they count for the
        first part.
        """
        return self.values.size if part == 0 else 0

    @python_only
    def column_norms(self):
        """Root of the sum of squares of each column."""
        (n, width), total = self.shape(), np.zeros(int(self.width))
        step = max(n * max(STREAMED // 4, 4 * width) // max(self.values.size, 1), 1)
        for first in range(0, n, step):
            starts = self.starts[first : min(first + step, n) + 1]
            here = slice(int(starts[0]), int(starts[-1]))
            values = np.square(self.values[here], dtype=np.float64)
            squares = CSRRows(values, self.columns[here], starts - starts[0], self.width)
            # SciPy's power and sum take twice as long.
            total += squares.matrix().T @ np.ones(starts.size - 1)
        return np.sqrt(total)

    @python_only
    def matrix(self):
        """The same rows as a SciPy array, without a copy of the values."""
        signed = np.int32 if self.columns.dtype == np.uint32 else np.int64
        starts = self.starts.view(np.int64)
        if signed == np.int32 and self.values.size <= np.iinfo(np.int32).max:
            starts = starts.astype(np.int32)
        return sp.csr_array((self.values, self.columns.view(signed), starts), shape=self.shape())

    @python_only
    def part(self, chosen, columns=None):
        """These rows, a slice or indices, of all columns or of these, as a SciPy array; a view
        of a slice.
        """
        if isinstance(chosen, slice):
            first, stop, _ = chosen.indices(self.starts.size - 1)
            starts = self.starts[first : max(first, stop) + 1]
            here = slice(int(starts[0]), int(starts[-1]))
            table = CSRRows(
                self.values[here], self.columns[here], starts - starts[0], self.width
            ).matrix()
        else:
            table = self.matrix()[chosen]
        return table if columns is None else table[:, columns]

    @python_only
    def take(self, chosen):
        """These rows as a float64 SciPy array of their own."""
        return self.part(chosen).astype(np.float64)

    @python_only
    def sizes_in(self, chosen):
        """As for all rows; SciPy would take twenty times as long."""
        starts = self.starts.view(np.int64)
        counts = starts[chosen + 1] - starts[chosen]
        stops = np.cumsum(counts)
        at = np.arange(counts.sum()) + np.repeat(starts[chosen] - stops + counts, counts)
        return self.columns[at], np.abs(self.values[at])

    @python_only
    def without_columns(self):
        """As many rows of the same type, with nothing in them."""
        return CSRRows(self.values[:0], self.columns[:0], np.zeros_like(self.starts), 0.0)

    @python_only
    def matvec(self, coef):
        """X @ coef in float64, (n_samples,)."""
        return self.matrix() @ coef


class ShiftedRows(Rows):
    """Rows read as distances from a number for each column: what is far from 0 in all rows loses no
    digits.

    In sums of squares a column of mean m and standard deviation s loses (m / s)^2 of 2^52. Values
    near the number are subtracted from it without rounding (within a factor of two, Sterbenz,
    1974), before anything is multiplied. X stays where it is. Storages agree bit for bit.

    Parameters
    ----------
    inner : Rows
        Dense, strided or compressed.
    centers : ndarray, (n_features,)
        0 for columns that are read as they are, among them all that are not stored in every row.

    Examples
    --------
    >>> dense = DenseRows(np.array([[1e9, 1.0], [1e9 + 2.0, 0.0]]))
    >>> rows = ShiftedRows(dense, np.array([1e9 + 1.0, 0.0]))
    >>> rows.take(slice(None))
    array([[-1.,  1.],
           [ 1.,  0.]])
    """

    inner: Any
    centers: np.ndarray

    def dot(self, i, coef):
        return _row_loops.shifted_dot(self.inner, self.centers, i, coef)

    def add(self, i, multiple, vector):
        _row_loops.shifted_add(self.inner, self.centers, i, multiple, vector)

    def dot_rows(self, first, stop, coef, out):
        _row_loops.shifted_dot_rows(self.inner, self.centers, first, stop, coef, out)

    def add_rows(self, first, stop, multiples, vector, ahead):
        _row_loops.shifted_add_rows(self.inner, self.centers, first, stop, multiples, vector, ahead)

    def squared_norm(self, i):
        return _row_loops.shifted_squared_norm(self.inner, self.centers, i)

    def prefetch(self, i):
        self.inner.prefetch(i)

    def prefetch_start(self, i):
        self.inner.prefetch_start(i)

    def span(self, i):
        return self.inner.span(i)

    def column(self, k):
        return self.inner.column(k)

    def entry(self, i, k):
        return self.inner.entry(i, k) - self.centers[self.inner.column(k)]

    @property
    def sparse(self):  # type: ignore[override]
        """Whether the rows are compressed."""
        return self.inner.sparse

    @property
    def storage(self):
        """The rows as they are stored."""
        return self.inner

    @property
    def dtype(self):
        """Of what the rows hand out."""
        return np.dtype(np.float64)

    @property
    def mark(self):
        """Bytes that tell the centers of the columns from others; empty without any."""
        return self.centers.tobytes()

    @python_only
    def least_tile(self):
        """Rows that a pass should take together at least."""
        return self.inner.least_tile()

    @python_only
    def shape(self):
        """Number of rows and of columns."""
        return self.inner.shape()

    @python_only
    def stored(self):
        """Number of stored values."""
        return self.inner.stored()

    @python_only
    def nonzeros(self, part=0, parts=1):
        """Number of values that are not 0 as they are stored, the same for all storages."""
        return self.inner.nonzeros(part, parts)

    @python_only
    def part(self, chosen, columns=None):
        """These rows, a slice or indices, of all columns or of these: a float64 array, or SciPy
        array, of its own.
        """
        table = self.inner.part(chosen, columns)
        centers = self.centers if columns is None else self.centers[columns]
        if not self.inner.sparse:
            return table - centers
        table = table.astype(np.float64)
        table.data -= centers[table.indices]
        return table

    @python_only
    def take(self, chosen):
        """These rows as a float64 array, or SciPy array, of their own."""
        table = self.part(chosen)
        return table if self.inner.sparse else np.ascontiguousarray(table)

    @python_only
    def matrix(self):
        """All rows as a SciPy array of their own."""
        return self.part(slice(None))

    @python_only
    def sum_of_squares(self):
        """Of all that the rows hand out."""
        return float(np.square(self.column_norms()).sum())

    @python_only
    def column_norms(self):
        """Root of the sum of squares of each column."""
        (n, width), total = self.shape(), 0.0
        step = max(n * max(STREAMED // 4, 4 * width) // max(self.stored(), 1), 1)
        for first in range(0, n, step):
            part = self.part(slice(first, first + step))
            total = total + (part * part).sum(axis=0)
        return np.sqrt(total)

    @python_only
    def without_columns(self):
        """As many rows with nothing in them."""
        return self.inner.without_columns()

    @python_only
    def in_c_order(self):
        """A copy of what is stored in C order, read the same way."""
        return ShiftedRows(self.inner.in_c_order(), self.centers)

    @python_only
    def matvec(self, coef):
        """What the rows hand out @ coef in float64, (n_samples,)."""
        out, n = np.empty(self.shape()[0]), self.shape()[0]
        _row_loops.shifted_dot_rows(
            self.inner, self.centers, 0, n, np.ascontiguousarray(coef, np.float64), out
        )
        return out

    @python_only
    def taken_away(self, directions):
        """How much was taken from rows along `directions`, (d, k): sums of magnitudes, (k,)."""
        return np.abs(self.centers) @ np.abs(directions)

    @python_only
    def user_intercept(self, coef, intercept):
        """Intercept b - c . coef that goes with the columns as they were given, rounded once."""
        return moved_intercept(self.centers, coef, intercept, -1.0)

    @python_only
    def own_intercept(self, coef, intercept):
        """Intercept b + c . coef that goes with what the rows hand out, rounded once."""
        return moved_intercept(self.centers, coef, intercept, 1.0)


def moved_intercept(centers, coef, intercept, sign):
    """Intercept b + sign * centers . coef, or K of them, rounded once."""
    far = np.flatnonzero(centers)
    table = np.reshape(np.asarray(coef, np.float64), (centers.size, -1))[far]
    moved = [
        _exact_sum(b, sign * centers[far], w)
        for b, w in zip(np.ravel(intercept), table.T, strict=True)
    ]
    return moved[0] if np.ndim(intercept) == 0 else np.array(moved)


def _exact_sum(number, left, right):
    """Number + left . right, rounded once (Veltkamp and Dekker, 1971); the plain sum where that
    overflows.
    """
    with np.errstate(all="ignore"):
        products = left * right
        (a, b), (c, d) = _halves(left), _halves(right)
        rest = ((a * c - products) + a * d + b * c) + b * d
        if not np.isfinite(rest).all():
            return float(number + products.sum())
    return math.fsum([number, *products, *rest])


def _halves(numbers):
    """Two numbers of 26 bits each that add up to a double."""
    spread = 134217729.0 * numbers
    high = spread - (spread - numbers)
    return high, numbers - high


def _count_nonzeros(values, part, parts):
    values = values.T if values.strides[0] < values.strides[1] else values
    first, last = len(values) * part // parts, len(values) * (part + 1) // parts
    step = max(STREAMED // values.shape[1], 1)
    # Of booleans: 0.4 of the time, or 0.65 from main memory.
    return sum(
        int(np.count_nonzero(values[i : min(i + step, last)] != 0.0))
        for i in range(first, last, step)
    )


def _products(values, coef):
    """Values @ coef in float64, without a copy of all values."""
    out = np.empty(len(values))
    for i in range(0, len(values), ROWS):
        out[i : i + ROWS] = values[i : i + ROWS].astype(np.float64, copy=False) @ coef
    return out
