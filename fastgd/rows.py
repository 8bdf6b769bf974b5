"""Rows of data as kernels read them: dense or CSR behind the same methods, and everything that can be wrong with an X.

`as_rows` is the only place that casts, copies or refuses a matrix. It hands out C-contiguous read-only views in few
dtypes, so that few kernels are compiled, and it checks whatever could make a kernel read out of bounds: kernels trust
their input.
"""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from fastgd import _row_loops
from fastgd._component import Component, python_only, required


class Rows(Component, family=True):
    """Family of storages: row `i` as a whole by `dot` and `add`, position by position by `span`, `column`, `entry`."""

    sparse: ClassVar[bool] = False

    @required
    def dot(self, i, coef):
        """Row `i` times `coef`."""

    @required
    def add(self, i, amount, vector):
        """Add `amount` times row `i` to `vector`."""

    @required
    def dot_rows(self, first, stop, coef, out):
        """Rows `first` to `stop` - 1 times `coef`, into `out`; left to right, so that dense and CSR agree exactly."""

    @required
    def add_rows(self, first, stop, amounts, vector):
        """Add rows `first` to `stop` - 1, times `amounts[0]`, `amounts[1]`, ..., to `vector`."""

    def dots(self, i, coef, out):
        """Add row `i` times each column of `coef`, (d, K), to `out`, (K,)."""
        _row_loops.dots(self, i, coef, out)

    def adds(self, i, amounts, matrix):
        """Add row `i` times `amounts`, (K,), to `matrix`, (d, K)."""
        _row_loops.adds(self, i, amounts, matrix)

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
        return _row_loops.dense_dot(self.values, i, coef)

    def add(self, i, amount, vector):
        _row_loops.dense_add(self.values, i, amount, vector)

    def dot_rows(self, first, stop, coef, out):
        _row_loops.dense_dot_rows(self.values, first, stop, coef, out)

    def add_rows(self, first, stop, amounts, vector):
        _row_loops.dense_add_rows(self.values, first, stop, amounts, vector)

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
    def nonzeros(self):
        """Number of values that are not 0."""
        return sum(int(np.count_nonzero(self.values[i : i + 8192])) for i in range(0, self.values.shape[0], 8192))

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

    Both index arrays are unsigned, which spares a kernel the test for negative indices (measured, X @ w: 0.34 of the
    time with signed ones on a text of 1.3 million columns, 0.65 on a census); the sums are not reordered, because
    gathers do not vectorise anyway.
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    width: float
    sparse: ClassVar[bool] = True

    def dot(self, i, coef):
        return _row_loops.csr_dot(self.values, self.columns, self.starts[i], self.starts[i + 1], coef)

    def add(self, i, amount, vector):
        _row_loops.csr_add(self.values, self.columns, self.starts[i], self.starts[i + 1], amount, vector)

    def dot_rows(self, first, stop, coef, out):
        _row_loops.csr_dot_rows(self.values, self.columns, self.starts, first, stop, coef, out)

    def add_rows(self, first, stop, amounts, vector):
        _row_loops.csr_add_rows(self.values, self.columns, self.starts, first, stop, amounts, vector)

    def squared_norm(self, i):
        return _row_loops.csr_squared_norm(self.values, self.starts[i], self.starts[i + 1])

    def prefetch(self, i):
        _row_loops.csr_prefetch(self.values, self.columns, self.starts[i])

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
    def nonzeros(self):
        """Number of values that are not 0: `as_rows` stores no others."""
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
        float64 and float32 are kept, every other real dtype becomes float64. Sparse indices may be unsorted and
        repeated.
    name : str
        What messages call it.
    check_finite : bool
        Whether NaN and infinity are looked for, and for CSR whether indices point out of bounds; False where the caller
        has (`check_structure`).

    Returns
    -------
    Rows
        `DenseRows` or `CSRRows` over read-only, C-contiguous arrays.

    Raises
    ------
    ValueError
        For anything but a non-empty two-dimensional table of finite real numbers, and for a sparse structure that
        points out of bounds.
    TypeError
        For an object in the table that no number can be made of.

    Examples
    --------
    >>> import numpy as np
    >>> as_rows(np.eye(2)).shape()
    (2, 2)
    """
    rows = _csr_rows(X, name, check_finite) if sp.issparse(X) else DenseRows(_dense_values(X, name))
    if check_finite:
        _refuse_non_finite(rows, name)
    return rows


def check_structure(X, name="X"):
    """Raise ValueError where a sparse X would make compiled code, SciPy's or ours, read out of bounds; others pass."""
    if not sp.issparse(X):
        return
    if X.ndim != 2:
        raise ValueError(_wrong_shape(X.shape, name))
    if X.format in ("csr", "csc", "bsr"):
        _check_compressed(X, name)
    elif X.format == "coo":
        for axis, index in enumerate(X.coords):
            if index.shape != X.data.shape:
                raise ValueError(f"{name}.coords[{axis}] must be as long as {name}.data: {index.shape}, {X.data.shape}")
            _check_indices(index, X.shape[axis], f"{name}.coords[{axis}]")
    elif X.format == "dia" and X.data.shape[:1] != X.offsets.shape:
        raise ValueError(f"{name}.data must have one row for each of the {X.offsets.size} offsets, got {X.data.shape}")


def _check_compressed(X, name):
    height, width = X.blocksize if X.format == "bsr" else (1, 1)
    n_major, n_minor = X.shape[0] // height, X.shape[1] // width
    if X.format == "csc":
        n_major, n_minor = n_minor, n_major
    starts, n_stored = X.indptr, min(X.indices.shape[0], X.data.shape[0])
    if starts.shape != (n_major + 1,):
        raise ValueError(f"{name}.indptr must hold {n_major + 1} numbers for shape {X.shape}, got {starts.shape}")
    if starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        raise ValueError(f"{name}.indptr must start at 0 and never decrease; build the matrix again")
    if starts[-1] > n_stored:
        raise ValueError(
            f"{name}.indptr ends at {starts[-1]}, past the {n_stored} stored values; build the matrix again"
        )
    _check_indices(X.indices[: starts[-1]], n_minor, f"{name}.indices")


def _check_indices(indices, stop, name):
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a one-dimensional array of integers, got {indices.dtype} {indices.shape}")
    if indices.size and (indices.min() < 0 or indices.max() >= stop):
        raise ValueError(f"{name} has indices from {indices.min()} to {indices.max()}, allowed are 0 to {stop - 1}")


def _dense_values(X, name):
    values = np.asarray(X)
    _check_dtype(values.dtype, name, "fiubO")
    if values.ndim != 2:
        raise ValueError(_wrong_shape(values.shape, name))
    _refuse_empty(values.shape, name)
    if values.dtype.kind == "O" and any(isinstance(value, str | bytes | complex) for value in values.flat):
        raise ValueError(f"{name} holds strings or complex numbers; encode them as real numbers first")
    try:
        values = np.ascontiguousarray(values, dtype=_kept(values.dtype))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must hold numbers, got dtype {values.dtype}: {error}") from error
    return _read_only(values)


def _csr_rows(X, name, check=True):
    _check_dtype(X.dtype, name, "fiub")
    if check or X.format != "csr":
        check_structure(X, name)
    _refuse_empty(X.shape, name)
    if not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))  # SciPy's compiled code refuses it
    if X.format not in ("csr", "csc", "bsr", "coo"):
        X = X.tocoo()
        check_structure(X, name)  # only now can the keys of a dok and the lists of a lil be seen
    csr = X.tocsr()
    end = int(csr.indptr[-1])
    if not _canonical(csr, end):
        csr = sp.csr_array((csr.data[:end], csr.indices[:end], csr.indptr), shape=csr.shape, copy=True)
        csr.has_sorted_indices = csr.has_canonical_format = False
        csr.sum_duplicates()
        csr.eliminate_zeros()
        end = int(csr.indptr[-1])
    narrow = csr.shape[1] <= np.iinfo(np.int32).max
    columns = np.ascontiguousarray(csr.indices[:end], dtype=np.int32 if narrow else np.int64)
    return CSRRows(
        _read_only(np.ascontiguousarray(csr.data[:end], dtype=_kept(csr.dtype))),
        _read_only(columns.view(np.uint32 if narrow else np.uint64)),
        _read_only(np.ascontiguousarray(csr.indptr, dtype=np.int64).view(np.uint64)),
        float(csr.shape[1]),
    )


def _canonical(csr, end, chunk=1 << 18):
    """Whether the indices rise within each row and no stored value is 0; SciPy's own flags can be out of date."""
    for first in range(0, end, chunk):
        last = min(first + chunk, end)
        if np.count_nonzero(csr.data[first:last] != 0.0) < last - first:
            return False
        indices = csr.indices[first : last + 1][: end - first]
        falls = indices[1:] <= indices[:-1]
        begin, stop = np.searchsorted(csr.indptr, [first + 1, first + indices.size])
        falls[csr.indptr[begin:stop] - first - 1] = False  # a new row may begin anywhere
        if falls.any():
            return False
    return True


def _kept(dtype):
    native = dtype.newbyteorder("=")
    return native if native in (np.float64, np.float32) else np.dtype(np.float64)


def _check_dtype(dtype, name, kinds):
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {dtype}; pass real numbers")
    if dtype.kind not in kinds:
        raise ValueError(f"{name} must hold real numbers, got dtype {dtype}; encode the columns as numbers first")


def _wrong_shape(shape, name):
    return f"{name} must be two-dimensional, got shape {shape}. Reshape your data to (n_samples, n_features)."


def _refuse_empty(shape, name):
    if shape[0] == 0:
        raise ValueError(f"{name} has 0 sample(s) (shape={shape}) while a minimum of 1 is required.")
    if shape[1] == 0:
        raise ValueError(f"{name} has 0 feature(s) (shape={shape}) while a minimum of 1 is required.")


def _refuse_non_finite(rows, name, chunk=1 << 18):
    values = rows.values.reshape(-1)
    for first in range(0, values.size, chunk):
        finite = np.isfinite(values[first : first + chunk])
        if not finite.all():
            k = first + int(np.argmin(finite))
            i = int(np.searchsorted(rows.starts, k, side="right") - 1) if rows.sparse else k // rows.values.shape[1]
            j = int(rows.columns[k]) if rows.sparse else k % rows.values.shape[1]
            raise ValueError(
                f"{name} contains NaN or infinity (first in row {i}, column {j}): {values[k]}; impute or drop it"
            )


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view
