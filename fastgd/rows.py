"""Rows of data as kernels read them: dense or CSR behind the same methods, and everything that can be wrong with an X.

`as_rows` is the only place that casts, copies or refuses a matrix. It hands out C-contiguous read-only views in few
dtypes, so that few kernels are compiled, and it checks whatever could make a kernel read out of bounds: kernels trust
their input.
"""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from fastgd._component import Component, python_only, required
from fastgd._jit import kernel
from fastgd._prefetch import prefetch
from fastgd.samples import Samples, WeightedSamples, as_samples

__all__ = ["CSRRows", "DenseRows", "Rows", "Samples", "WeightedSamples", "as_rows", "as_samples", "check_structure"]

# Lines of 64 bytes that `prefetch` asks for: the processor itself fetches what follows (8 lines of one CSR row were no
# faster than 4 on w8a and news20_binary; 2 of 7 lines of a dense row took 1.5 times as long on covtype_binary).
CSR_LINES, DENSE_LINES = 4, 8


# The loops are kernels of their own, compiled once per storage, not methods inlined into each kernel.


@kernel(relaxed=True)
def _dense_dot(values, i, coef):
    total = 0.0
    for j in range(coef.shape[0]):
        total += values[i, j] * coef[j]
    return total


@kernel
def _dense_add(values, i, amount, vector):
    for j in range(vector.shape[0]):
        vector[j] += amount * values[i, j]


@kernel(relaxed=True)
def _dense_squared_norm(values, i):
    total = 0.0
    for j in range(values.shape[1]):
        total += values[i, j] * values[i, j]
    return total


@kernel
def _dense_prefetch(values, i):
    width = values.shape[1]
    for line in range(min((width + 7) // 8, DENSE_LINES)):
        prefetch(values, i * width + 8 * line)


@kernel
def _csr_dot(values, columns, start, stop, coef):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * coef[columns[k]]
    return total


@kernel
def _csr_add(values, columns, start, stop, amount, vector):
    for k in range(start, stop):
        vector[columns[k]] += amount * values[k]


@kernel
def _csr_squared_norm(values, start, stop):
    total = 0.0
    for k in range(start, stop):
        total += values[k] * values[k]
    return total


@kernel
def _csr_prefetch(values, columns, start):
    for line in range(CSR_LINES):
        prefetch(values, start + np.uint64(8 * line))
        if line % 2 == 0:  # an index is half as long as a value
            prefetch(columns, start + np.uint64(8 * line))


@kernel
def _dots(rows, i, coef, out):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(out.shape[0]):
            out[c] += value * coef[j, c]


@kernel
def _adds(rows, i, amounts, matrix):
    start, stop = rows.span(i)
    for k in range(start, stop):
        value, j = rows.entry(i, k), rows.column(k)
        for c in range(amounts.shape[0]):
            matrix[j, c] += value * amounts[c]


class Rows(Component, family=True):
    """Family of storages; row `i` is reached by `dot`, `add` and, position by position, by `span`, `column`, `entry`."""

    sparse: ClassVar[bool] = False

    @required
    def dot(self, i, coef):
        """Row `i` times `coef`."""

    @required
    def add(self, i, amount, vector):
        """Add `amount` times row `i` to `vector`."""

    def dots(self, i, coef, out):
        """Add row `i` times each column of `coef`, (d, K), to `out`, (K,)."""
        _dots(self, i, coef, out)

    def adds(self, i, amounts, matrix):
        """Add row `i` times `amounts`, (K,), to `matrix`, (d, K)."""
        _adds(self, i, amounts, matrix)

    @required
    def squared_norm(self, i):
        """Sum of the squares of row `i`."""

    def prefetch(self, i):
        """Ask for row `i` to be in the cache by the time it is read."""

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
        return _dense_dot(self.values, i, coef)

    def add(self, i, amount, vector):
        _dense_add(self.values, i, amount, vector)

    def squared_norm(self, i):
        return _dense_squared_norm(self.values, i)

    def prefetch(self, i):
        _dense_prefetch(self.values, i)

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
    def take(self, chosen):
        """These rows as a float64 array of their own."""
        return self.values[chosen].astype(np.float64)

    @python_only
    def predictions(self, coef):
        """X @ coef in float64, (n_samples,)."""
        if self.values.dtype == np.float64:
            return self.values @ coef
        n = self.values.shape[0]
        return np.concatenate([self.values[a : a + 8192].astype(np.float64) @ coef for a in range(0, n, 8192)])


class CSRRows(Rows):
    """Compressed rows: `values` and `columns` between `starts[i]` and `starts[i + 1]` are row `i`.

    Both index arrays are unsigned, which spares a kernel the test for negative indices (measured, X @ w: 0.34 of the time
    with signed ones on a text of 1.3 million columns, 0.65 on a census); the sums are not reordered, because gathers do
    not vectorise anyway.
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    width: float
    sparse: ClassVar[bool] = True

    def dot(self, i, coef):
        return _csr_dot(self.values, self.columns, self.starts[i], self.starts[i + 1], coef)

    def add(self, i, amount, vector):
        _csr_add(self.values, self.columns, self.starts[i], self.starts[i + 1], amount, vector)

    def squared_norm(self, i):
        return _csr_squared_norm(self.values, self.starts[i], self.starts[i + 1])

    def prefetch(self, i):
        _csr_prefetch(self.values, self.columns, self.starts[i])

    def span(self, i):
        return self.starts[i], self.starts[i + 1]

    def column(self, k):
        return self.columns[k]

    def entry(self, i, k):
        return self.values[k]

    @python_only
    def shape(self):
        """Number of rows and of columns."""
        return self.starts.size - 1, int(self.width)

    @python_only
    def stored(self):
        """Number of stored values."""
        return self.values.size

    @python_only
    def matrix(self):
        """The same rows as a SciPy array, without a copy of the values."""
        signed = np.int32 if self.columns.dtype == np.uint32 else np.int64
        starts = self.starts.view(np.int64)
        if signed == np.int32 and self.values.size <= np.iinfo(np.int32).max:
            starts = starts.astype(np.int32)
        return sp.csr_array((self.values, self.columns.view(signed), starts), shape=self.shape())

    @python_only
    def take(self, chosen):
        """These rows as a float64 SciPy array of their own."""
        return self.matrix()[chosen].astype(np.float64)

    @python_only
    def predictions(self, coef):
        """X @ coef in float64, (n_samples,)."""
        return self.matrix() @ coef


def as_rows(X, *, name="X", check_finite=True):
    """Turn a matrix into `Rows`, copying only what has to be copied.

    Parameters
    ----------
    X : array-like or SciPy sparse matrix or array, (n_samples, n_features)
        float64 and float32 are kept, every other real dtype becomes float64.
    name : str
        What messages call it.
    check_finite : bool
        Whether NaN and infinity are looked for.

    Returns
    -------
    Rows
        `DenseRows` or `CSRRows` over read-only, C-contiguous arrays.

    Raises
    ------
    ValueError
        For anything but a non-empty two-dimensional table of finite real numbers, and for a sparse structure that points out of bounds.

    Examples
    --------
    >>> import numpy as np
    >>> as_rows(np.eye(2)).shape()
    (2, 2)
    """
    rows = _csr_rows(X, name) if sp.issparse(X) else DenseRows(_dense_values(X, name))
    if check_finite:
        _refuse_non_finite(rows, name)
    return rows


def check_structure(X, name="X"):
    """Raise ValueError where a sparse X would make compiled code, SciPy's or ours, read out of bounds; dense input passes."""
    if not sp.issparse(X):
        return
    if X.ndim != 2:
        raise ValueError(f"{name} must be two-dimensional, got shape {X.shape}; reshape it to (n_samples, n_features)")
    if X.format in ("csr", "csc", "bsr"):
        block = X.blocksize if X.format == "bsr" else (1, 1)
        major, minor = X.shape if X.format != "csc" else X.shape[::-1]
        _check_compressed(X, name, major // block[0], minor // block[1])
    elif X.format == "coo":
        for axis, index in enumerate(X.coords):
            if index.size and (index.min() < 0 or index.max() >= X.shape[axis]):
                raise ValueError(
                    f"{name} has a {('row', 'column')[axis]} index outside 0 to {X.shape[axis] - 1}: from {index.min()} to {index.max()}"
                )


def _check_compressed(X, name, major, minor):
    starts, indices = X.indptr, X.indices
    if starts.ndim != 1 or starts.size != major + 1:
        raise ValueError(f"{name}.indptr must hold {major + 1} numbers for shape {X.shape}, got {starts.size}")
    if starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        raise ValueError(
            f"{name}.indptr must start at 0 and never decrease; build the matrix again, for example with scipy.sparse.csr_array"
        )
    if starts[-1] > min(indices.size, X.data.shape[0]):
        raise ValueError(
            f"{name}.indptr ends at {starts[-1]}, past the {min(indices.size, X.data.shape[0])} stored values; build the matrix again"
        )
    stored = indices[: starts[-1]]
    if stored.size and (stored.min() < 0 or stored.max() >= minor):
        raise ValueError(f"{name} has indices from {stored.min()} to {stored.max()}, allowed are 0 to {minor - 1}")


def _dense_values(X, name):
    values = np.asarray(X)
    if values.dtype.kind == "c":
        raise ValueError(f"{name} holds complex numbers; complex data not supported, pass real columns")
    if values.dtype not in (np.float64, np.float32):
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must hold numbers, got dtype {values.dtype}: {error}") from error
    if values.ndim != 2:
        raise ValueError(
            f"{name} must be two-dimensional, got shape {values.shape}; reshape it to (n_samples, n_features)"
        )
    _refuse_empty(values.shape, name)
    return _read_only(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))


def _csr_rows(X, name):
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got a sparse matrix of dtype {X.dtype}")
    check_structure(X, name)
    _refuse_empty(X.shape, name)
    csr = X.tocsr()
    end = int(csr.indptr[-1])
    if not _canonical(csr, end):
        csr = sp.csr_array((csr.data[:end], csr.indices[:end], csr.indptr), shape=csr.shape, copy=True)
        csr.has_sorted_indices = csr.has_canonical_format = False
        csr.sum_duplicates()
        csr.eliminate_zeros()
        end = int(csr.indptr[-1])
    values = csr.data[:end]
    if values.dtype not in (np.float64, np.float32):
        values = values.astype(np.float64)
    narrow = csr.shape[1] <= np.iinfo(np.int32).max
    columns = np.ascontiguousarray(csr.indices[:end], dtype=np.int32 if narrow else np.int64)
    return CSRRows(
        _read_only(np.ascontiguousarray(values)),
        _read_only(columns.view(np.uint32 if narrow else np.uint64)),
        _read_only(np.ascontiguousarray(csr.indptr, dtype=np.int64).view(np.uint64)),
        float(csr.shape[1]),
    )


def _canonical(csr, end, chunk=1 << 20):
    """Whether the indices rise within each row and no stored value is 0; SciPy's own flags can be out of date."""
    row_starts = csr.indptr
    for first in range(0, end, chunk):
        last = min(first + chunk, end)
        if np.count_nonzero(csr.data[first:last]) < last - first:
            return False
        falls = np.flatnonzero(np.diff(csr.indices[first : last + 1 if last < end else last]) <= 0) + first + 1
        if falls.size and not np.isin(falls, row_starts).all():
            return False
    return True


def _refuse_empty(shape, name):
    if shape[0] == 0:
        raise ValueError(f"{name} has 0 sample(s) (shape={shape}) while a minimum of 1 is required.")
    if shape[1] == 0:
        raise ValueError(f"{name} has 0 feature(s) (shape={shape}) while a minimum of 1 is required.")


def _refuse_non_finite(rows, name):
    values = rows.values.reshape(-1)
    for first in range(0, values.size, 1 << 20):
        bad = np.flatnonzero(~np.isfinite(values[first : first + (1 << 20)]))
        if bad.size:
            k = first + int(bad[0])
            i = int(np.searchsorted(rows.starts, k, side="right") - 1) if rows.sparse else k // rows.values.shape[1]
            j = int(rows.columns[k]) if rows.sparse else k % rows.values.shape[1]
            raise ValueError(
                f"{name} contains NaN or infinity (first in row {i}, column {j}): {values[k]}; impute or drop it"
            )


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view
