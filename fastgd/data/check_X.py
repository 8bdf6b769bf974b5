"""Rows of data as kernels read them, and everything that can be wrong with an X.

`as_rows` is the only place that casts, copies or refuses a matrix. It hands out read-only views in
few dtypes, so that few kernels are compiled, and it checks whatever could make a kernel read out of
bounds: kernels trust their input.
"""

import contextlib
import itertools

import numpy as np
import scipy.sparse as sp

from fastgd.data.check_parameters import refuse_masked
from fastgd.data.rows import CSRRows, DenseRows, StridedRows
from fastgd.runtime.blas import one_blas_thread

# Up to so many values BLAS takes longer to wake its threads than to add up their squares: 5 ms of
# processor time for 17,000.
FEW_VALUES = 1_000_000
# What has to be an array in a sparse matrix of each format.
COMPRESSED = ("data", "indices", "indptr")
# A column whose greatest |x| is below this, times the root of the number of rows, has a mean square
# that double precision does not keep, beside weights and curvatures of 1e-4: with |x| of 1e-160
# objectives were wrong, and so were proofs.
TINIEST = 1e-152
# Rows of a first sample: most columns show there that they are larger.
FIRST_ROWS = 64
PARTS = {
    "csr": COMPRESSED,
    "csc": COMPRESSED,
    "bsr": COMPRESSED,
    "coo": ("data",),
    "dia": ("data", "offsets"),
    "lil": ("rows", "data"),
    "dok": (),  # SciPy itself looks at the keys of a dok
}


def as_rows(X, *, name="X", checked=False, in_place=False, columns=None):
    """Turn a matrix into `Rows`, copying only what has to be copied.

    Parameters
    ----------
    X : array-like or SciPy sparse matrix or array, (n_samples, n_features)
        float64 and float32 are kept, every other real dtype becomes float64. Sparse indices may be
        unsorted and repeated.
    name : str
        What messages call it.
    checked : bool
        Whether the caller has seen to it that no sparse index points out of bounds
        (`check_structure`).
    in_place : bool
        Whether an array in Fortran order, or with steps, is left where it is, for those who read
        all rows.
    columns : array-like of str, optional
        Names of the columns, for messages.

    Returns
    -------
    Rows
        `DenseRows` or `CSRRows` over read-only, C-contiguous arrays; `StridedRows` over what stays
        where it is.

    Raises
    ------
    ValueError
        For anything but a non-empty two-dimensional table of finite real numbers whose squares have
        a finite sum, and for a sparse structure that points out of bounds.
    TypeError
        For an object in the table that no number can be made of.

    Examples
    --------
    >>> import numpy as np
    >>> as_rows(np.eye(2)).shape()
    (2, 2)
    """
    rows = _csr_rows(X, name, not checked) if sp.issparse(X) else _dense_rows(X, name, in_place)
    few = one_blas_thread() if rows.stored() <= FEW_VALUES else contextlib.nullcontext()
    with np.errstate(all="ignore"), few:
        if not np.isfinite(rows.sum_of_squares()):
            refuse_not_finite(rows.matrix() if rows.sparse else rows.values, name, columns)
            _refuse_overflow(rows.values, name)
    return rows


def check_structure(X, name="X"):
    """Raise ValueError where a sparse X would make compiled code, SciPy's or ours, read out of
    bounds; others pass.
    """
    if not sp.issparse(X):
        return
    if X.ndim != 2:
        raise ValueError(_wrong_shape(X.shape, name))
    for part in PARTS[X.format]:
        given = getattr(X, part)
        if not isinstance(given, np.ndarray):
            raise ValueError(
                f"{name}.{part} must be an array, got a {type(given).__name__}; build the matrix "
                "again"
            )
    if X.format in ("csr", "csc", "bsr"):
        _check_compressed(X, name)
    elif X.format == "coo":
        for axis, index in enumerate(X.coords):
            if index.shape != X.data.shape:
                raise ValueError(
                    f"{name}.coords[{axis}] must be as long as {name}.data: {index.shape}, "
                    f"{X.data.shape}"
                )
            _check_indices(index, X.shape[axis], f"{name}.coords[{axis}]")
    elif X.format == "dia" and (X.data.ndim != 2 or X.data.shape[:1] != X.offsets.shape):
        raise ValueError(
            f"{name}.data must have one row for each of the {X.offsets.size} offsets, got "
            f"{X.data.shape}"
        )
    elif X.format == "lil":
        _check_lists(X, name)


def _check_lists(X, name):
    if X.rows.shape != X.shape[:1] or X.data.shape != X.shape[:1]:
        shapes = f"{X.rows.shape} and {X.data.shape}"
        raise ValueError(
            f"{name}.rows and {name}.data must hold {X.shape[0]} lists each, got shapes {shapes}"
        )
    for i, (columns, values) in enumerate(zip(X.rows, X.data, strict=True)):
        if len(columns) != len(values):
            raise ValueError(
                f"{name}.rows[{i}] has {len(columns)} columns for the {len(values)} values of "
                f"data[{i}]"
            )
    columns = list(itertools.chain.from_iterable(X.rows))
    _check_indices(np.asarray(columns or [0]), X.shape[1], f"{name}.rows")


def _check_compressed(X, name):
    height, width = X.blocksize if X.format == "bsr" else (1, 1)
    n_major, n_minor = X.shape[0] // height, X.shape[1] // width
    if X.format == "csc":
        n_major, n_minor = n_minor, n_major
    starts, n_stored = X.indptr, min(X.indices.shape[0], X.data.shape[0])
    if starts.shape != (n_major + 1,) or not _are_indices(starts):
        raise ValueError(
            f"{name}.indptr must hold {n_major + 1} integers for shape {X.shape}, got "
            f"{starts.dtype} {starts.shape}"
        )
    if X.data.ndim != (3 if X.format == "bsr" else 1):
        raise ValueError(
            f"{name}.data of format {X.format} cannot have shape {X.data.shape}; build the matrix "
            "again"
        )
    if starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        raise ValueError(
            f"{name}.indptr must start at 0 and never decrease; build the matrix again"
        )
    if starts[-1] > n_stored:
        raise ValueError(
            f"{name}.indptr ends at {starts[-1]}, past the {n_stored} stored values; build the "
            "matrix again"
        )
    _check_indices(X.indices[: starts[-1]], n_minor, f"{name}.indices")


def _check_indices(indices, stop, name):
    if indices.ndim != 1 or not _are_indices(indices):
        raise ValueError(
            f"{name} must be a one-dimensional array of integers, got {indices.dtype} "
            f"{indices.shape}"
        )
    if indices.size and (indices.min() < 0 or indices.max() >= stop):
        raise ValueError(
            f"{name} has indices from {indices.min()} to {indices.max()}, allowed are 0 to "
            f"{stop - 1}"
        )


def _are_indices(array):
    """Whether SciPy's compiled code takes these integers: it refuses uint64, in words that name
    no array.
    """
    return array.dtype.kind in "iu" and np.can_cast(array.dtype, np.int64)


def _dense_rows(X, name, in_place):
    refuse_masked(X, name)
    values = np.asarray(X)
    _check_dtype(values.dtype, name, "fiubO")
    if values.ndim != 2:
        raise ValueError(_wrong_shape(values.shape, name))
    _refuse_empty(values.shape, name)
    # Their types alone: 76 ms of 1,000,000 objects, as a frame of numbers and booleans has them,
    # where a look at each took 570.
    kinds = set(map(type, values.flat)) if values.dtype.kind == "O" else ()
    if any(issubclass(kind, str | bytes | complex) for kind in kinds):
        raise ValueError(
            f"{name} holds strings or complex numbers; encode them as real numbers first"
        )
    if (
        in_place
        and values.dtype == _kept(values.dtype)
        and values.flags.aligned
        and not values.flags.c_contiguous
    ):
        steps, odd = np.divmod(values.strides, values.itemsize)
        if steps.min() >= 0 and not odd.any():
            last = int((np.subtract(values.shape, 1) * steps).sum())
            memory = np.lib.stride_tricks.as_strided(
                values, (last + 1,), (values.itemsize,), writeable=False
            )
            return StridedRows(memory, *values.shape, *steps.tolist())
    try:
        values = np.ascontiguousarray(values, dtype=_kept(values.dtype))
    except (TypeError, ValueError) as error:
        missing = any(one in str(error) for one in ("NAType", "NoneType"))
        instead = "; impute or drop missing values" if missing else ""
        raise type(error)(
            f"{name} must hold numbers, got dtype {values.dtype}: {error}{instead}"
        ) from error
    return DenseRows(_read_only(values))


def _csr_rows(X, name, check):
    if check or X.format != "csr":
        check_structure(X, name)
    _check_dtype(X.dtype, name, "fiub")
    _refuse_empty(X.shape, name)
    if not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))  # SciPy's compiled code refuses it
    csr = X.tocsr()
    end = int(csr.indptr[-1])
    if not _canonical(csr, end):
        csr = sp.csr_array(
            (csr.data[:end], csr.indices[:end], csr.indptr), shape=csr.shape, copy=True
        )
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


def _canonical(csr, end, n_values=1 << 18):
    """Whether the indices rise within each row and no stored value is 0; SciPy's own flags can
    be out of date.
    """
    for first in range(0, end, n_values):
        last = min(first + n_values, end)
        if np.count_nonzero(csr.data[first:last] != 0.0) < last - first:
            return False
        indices = csr.indices[first : last + 1][: end - first]
        falls = indices[1:] <= indices[:-1]
        # Keys of another dtype would have all of indptr cast, each time: 7 ms of a fit of a
        # million rows.
        begin, stop = np.searchsorted(
            csr.indptr, np.array([first + 1, first + indices.size], csr.indptr.dtype)
        )
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
        raise ValueError(
            f"{name} must hold real numbers, got dtype {dtype}; encode the columns as numbers first"
        )


def _wrong_shape(shape, name):
    return (
        f"{name} must be two-dimensional, got shape {shape}. Reshape your data to (n_samples, "
        "n_features)."
    )


def _refuse_empty(shape, name):
    if shape[0] == 0:
        raise ValueError(
            f"{name} has 0 sample(s) (shape={shape}) while a minimum of 1 is required."
        )
    if shape[1] == 0:
        raise ValueError(
            f"{name} has 0 feature(s) (shape={shape}) while a minimum of 1 is required."
        )


def refuse_not_finite(X, name="X", columns=None):
    """Raise ValueError for NaN and infinity in a float array or CSR; one reading."""
    values = X.data if sp.issparse(X) else X
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    for first, part in _parts(values):
        finite = np.isfinite(part)
        if finite.all():
            continue
        k = np.unravel_index(int(np.argmin(finite)), finite.shape)
        i, j = first + int(k[0]), int(k[-1])
        value = values[i] if sp.issparse(X) else values[i, j]
        if sp.issparse(X):
            i, j = int(np.searchsorted(X.indptr, i, side="right") - 1), int(X.indices[i])
        column = f"column {j}" if columns is None else f"column {columns[j]!r}"
        raise ValueError(
            f"{name} contains NaN or infinity (first in row {i}, {column}): {value}; impute or "
            "drop it"
        )


def _refuse_overflow(values, name):
    """Raise ValueError where the sum of squares is not finite in double precision."""
    total = 0.0
    for _, part in _parts(values):
        total += float(np.square(part).sum())
        if not np.isfinite(total):
            raise ValueError(
                f"{name} holds values of up to {np.abs(part).max():.3g}, whose squares overflow; "
                "give its columns other units, for example with MaxAbsScaler"
            )


def refuse_tiny(rows, largest=None, columns=None):
    """Raise ValueError where a column is not 0, but so small that its squares underflow.

    Parameters
    ----------
    rows : Rows
    largest : ndarray, (d,), optional
        The greatest |x| of each column, where it is known.
    columns : array-like of str, optional
        Names, for the message.

    Examples
    --------
    >>> refuse_tiny(as_rows(np.array([[1.0, 0.0], [2.0, 1e-140]])))
    """
    least = TINIEST * np.sqrt(rows.shape()[0])
    if largest is None:
        if not rows.in_memory or np.finfo(rows.dtype).tiny > least:  # float32 has none
            return
        largest = _largest_of_small(rows, least)
    tiny = np.flatnonzero((largest > 0.0) & (largest < least))
    if tiny.size:
        j = tiny[0]
        column = f"column {j}" if columns is None else f"column {columns[j]!r}"
        raise ValueError(
            f"X has no value beyond {largest[j]:.3g} in {column}, whose squares underflow; give it "
            "another unit, for example with MaxAbsScaler, or leave it out"
        )


def _largest_of_small(rows, least):
    """The greatest |x| of each column where it is below `least`, else some value that is not."""
    n, d = rows.shape()
    found = np.full(d, np.inf)
    if rows.sparse:
        # In the cache: a fifth of the time of all values at once.
        parts = (np.abs(rows.values[i : i + (1 << 15)]) for i in range(0, rows.stored(), 1 << 15))
        if any(part.min() < least for part in parts):
            found = np.zeros(d)
            np.maximum.at(found, rows.columns.astype(np.int64), np.abs(rows.values))
        return found
    left = np.arange(d)
    found[:] = 0.0
    first, length = 0, FIRST_ROWS
    while first < n and left.size:
        part = np.abs(rows.part(slice(first, first + length), left if left.size < d else None))
        found[left] = np.maximum(found[left], part.max(axis=0))
        left = left[found[left] < least]
        first, length = first + length, max((1 << 18) // max(left.size, 1), 1)
    return found


def _parts(values, n_values=1 << 18):
    """Where parts of an array begin, and these parts in double precision."""
    length = max(n_values // (values.shape[1] if values.ndim == 2 else 1), 1)
    for first in range(0, len(values), length):
        yield first, values[first : first + length].astype(np.float64)


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view
