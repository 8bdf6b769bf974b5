"""Rows that are read block by block, because they do not fit in memory: the contract of those who
read them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.data.check_parameters import as_offset, as_weights, refuse_masked
from fastgd.data.check_X import check_structure
from fastgd.runtime.public import public


class Block(NamedTuple):
    """Some rows, in memory.

    Attributes
    ----------
    X : ndarray or csr_array, (n_rows, n_features)
    y : ndarray, (n_rows,), or None
        None where a source has no targets: it can be predicted, not fitted.
    sample_weight, offset : ndarray, (n_rows,), or None
    """

    X: np.ndarray | sp.csr_array
    y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    offset: np.ndarray | None = None


@public
class BlockSource:
    """Rows that are read block by block: estimators take it in place of X.

    Attributes
    ----------
    feature_names : ndarray of str or None
        Names of the columns of the blocks, once they are known.
    encoding : object
        What turns the columns of a file into columns of numbers, levels of categories included; it
        can be pickled.  None where columns are numbers.
    value_cost : float
        Ns that a reading takes for each value beside computing: plans weigh passes by it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import GDRegressor
    >>> from fastgd.data.sources import Block
    >>> X, y = np.arange(8.0)[:, None], 2.0 * np.arange(8.0) + 1.0
    >>> class Halves(BlockSource):
    ...     def blocks(self, n_bytes):
    ...         yield Block(X[:4], y[:4])
    ...         yield Block(X[4:], y[4:])
    >>> GDRegressor(alpha=0.0).fit(Halves()).predict(Halves()).round(2).tolist()
    [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]
    """

    feature_names: np.ndarray | None = None
    encoding: Any = None
    # Memory maps are read at 4.0 GB/s while the block before is worked on.  Models of one block are
    # those of memory, bit for bit.
    value_cost = 0.0

    def blocks(self, n_bytes: int) -> Iterator[Block]:
        """A fresh iterator over all rows: the same blocks in the same order each time, each of at
        most about `n_bytes`, all with the same number of columns.

        Raises
        ------
        ValueError
            For what cannot be read, naming the file and the line, or the block.
        """
        raise NotImplementedError

    def place(self, number: int, row: int) -> str:
        """Where row `row` of block `number` of the last reading is, in words for an error: file and
        line if known.  It is asked for row 0 of each block, also where there is no error.
        """
        return f"row {row} of block {number}"

    def encoded_as(self, encoding: Any) -> "BlockSource":
        """The same source with columns as another source, of a fitted model, has them."""
        return self

    def look_again(self) -> None:
        """A fit begins: forget the columns that were found, where files have changed since then."""


class _Chunks(BlockSource):
    """The source of blocks that `from_chunks` returns."""

    def __init__(self, factory):
        self.factory = factory
        # (number of the chunk, its first row) of each piece of the last reading.
        self._pieces: list[tuple[int, int]] = []

    def blocks(self, n_bytes):
        """The chunks, those that are larger cut into pieces."""
        self._pieces = read = []
        chunks = self.factory()
        if not isinstance(chunks, Iterable):
            raise ValueError(
                "the factory of from_chunks must return an iterator of (X, y), got "
                f"{type(chunks).__name__}"
            )
        for number, chunk in enumerate(chunks):
            for first, piece in _pieces(_block_of(chunk, number), n_bytes):
                read.append((number, first))
                yield piece

    def place(self, number, row):
        """The chunk and the row in it, in words for errors."""
        chunk, first = self._pieces[number]
        return f"row {first + row} of chunk {chunk}"


def from_chunks(factory: Callable[[], Iterable[Any]]) -> BlockSource:
    """Rows that a function hands out in chunks, to be fitted without all of them in memory.

    Parameters
    ----------
    factory : callable
        Returns a fresh iterator of `(X, y)`, `(X, y, sample_weight)` or `(X, y, sample_weight,
        offset)` each time, or of `X` alone for predictions: the same rows in the same order.  Each
        X is an array, a frame of numbers or a SciPy sparse matrix, (n_rows, n_features).  It is
        called on a thread of its own, which reads one block ahead: connections to a database are
        best opened in it.

    Returns
    -------
    BlockSource
        What `fit`, `predict`, `score` and `Objective` take in place of X.

    Raises
    ------
    ValueError
        Once it is read: for chunks of other shapes than these, of different columns, or other rows
        at a later reading.

    Examples
    --------
    >>> from fastgd import GDRegressor, from_chunks
    >>> def chunks():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(10):
    ...         X = rng.standard_normal((1000, 3))
    ...         yield X, X @ [1.0, 2.0, 3.0]
    >>> GDRegressor(alpha=0.0).fit(from_chunks(chunks)).coef_.round(6)
    array([1., 2., 3.])
    """
    if not callable(factory):
        raise ValueError(
            f"from_chunks takes a function that returns a fresh iterator each time, got "
            f"{type(factory).__name__}; an iterator can be read only once, so wrap what makes it "
            "in a function"
        )
    return _Chunks(factory)


class ArraySource(BlockSource):
    """Arrays as long as there are rows, memory maps among them: read from the first row to the
    last.
    """

    def __init__(self, X, y=None, sample_weight=None, offset=None):
        n_rows = X.shape[0]
        if y is not None:
            refuse_masked(y, "y")
            y = np.asarray(y)
            if y.shape[:1] != (n_rows,):
                raise ValueError(f"y has shape {y.shape}, X has {n_rows} rows")
        if sample_weight is not None:
            sample_weight = as_weights(sample_weight, n_rows)
        if offset is not None:
            offset = as_offset(offset, n_rows)
        self.arrays = X, y, sample_weight, offset

    def blocks(self, n_bytes):
        """Copies of so many rows at a time."""
        X, *beside = self.arrays
        step = max(int(n_bytes // max(X.shape[1] * max(X.itemsize, 8), 1)), 1)
        for first in range(0, X.shape[0], step):
            own = slice(first, first + step)
            yield Block(np.array(X[own]), *(None if one is None else one[own] for one in beside))


def _block_of(chunk, number):
    """A `Block` of what a factory gives."""
    given = tuple(chunk) if isinstance(chunk, tuple | list) else (chunk,)
    if not 1 <= len(given) <= 4:
        raise ValueError(
            f"chunk {number} has {len(given)} parts; a chunk is (X, y), (X, y, sample_weight) or "
            "(X, y, sample_weight, offset)"
        )
    for name, one in zip(Block._fields, given, strict=False):
        refuse_masked(one, f"chunk {number}: {name}")
    X, *beside = given
    if sp.issparse(X):
        check_structure(X, f"chunk {number}: X")  # before SciPy follows it
        X = sp.csr_array(X)
    else:
        X = np.asarray(X)
        if (
            X.dtype.kind in "OUS"
        ):  # a frame of several types, and numbers as text, as fits take them
            X = _floats_of(X, number)
        if X.ndim != 2:
            raise ValueError(
                f"chunk {number}: X must have two dimensions, rows and columns, got shape {X.shape}"
            )
    found = [None if one is None else np.asarray(one) for one in beside]
    for name, one in zip(Block._fields[1:], found, strict=False):
        if one is not None and one.shape[:1] != X.shape[:1]:
            raise ValueError(
                f"chunk {number}: {name} has shape {one.shape}, X has {X.shape[0]} rows"
            )
    return Block(X, *found)


def _floats_of(objects, number):
    """Objects or text as floats; what is of another type is cast, or refused, where it is read."""
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"chunk {number}: X must hold numbers: {error}") from error


def _pieces(block, n_bytes):
    """The block, or pieces of it that are not larger than that, with their first rows."""
    X, *beside = block
    n = X.shape[0]
    # What is read as float64 counts as that.
    size = 12 * X.nnz + 8 * n if sp.issparse(X) else X.size * (4 if X.dtype == np.float32 else 8)
    count = max(-(-size // n_bytes), 1)
    if count == 1:
        yield 0, block
        return
    step = max(-(-n // count), 1)
    for first in range(0, n, step):
        own = slice(first, first + step)
        yield first, Block(X[own], *(None if one is None else one[own] for one in beside))
