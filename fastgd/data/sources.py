"""Rows that are read block by block, because they do not fit in memory: the contract of those who
read them.
"""

from __future__ import annotations

import bisect
import mmap
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.data.check_parameters import as_offset, as_weights, refuse_masked
from fastgd.data.check_X import check_structure
from fastgd.runtime.public import public

# Chunks are joined up to so many bytes: a block costs about 0.3 ms beside its numbers, 20,000 rows
# of 20 columns took 0.16 s in chunks of 1,000 rows and 69 s in chunks of one.
GATHERED = 1 << 22
# Of a chunk that waits, beside its numbers: four arrays, or a compressed matrix.
BESIDE_EACH = 1 << 11


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

    def copy(self):
        """The same block in memory of its own."""
        return Block(*map(_copied, self))


def _copied(part):
    if part is None:
        return None
    return part.copy() if sp.issparse(part) else np.array(part, subok=True)


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
    lasting : bool
        Whether the arrays of a block are its own, which nothing writes over as the reading goes on.
        If not, they are copied: one block is worked on while the next is read.

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
    lasting = False

    def blocks(self, n_bytes: int) -> Iterator[Block]:
        """A fresh iterator over all rows: the same blocks in the same order each time, all with the
        same number of columns.

        Parameters
        ----------
        n_bytes : int
            What a block may take at most, about.

        Returns
        -------
        iterator of Block

        Raises
        ------
        ValueError
            For what cannot be read, naming the file and the line, or the block.
        """
        raise NotImplementedError

    def starts(self, n_bytes: int) -> list[int]:
        """Numbers of the blocks at which a reading may begin, increasing from 0 on.  By default a
        source is read from its first block alone.

        It is asked once `blocks(n_bytes)` was read to its end.  Solvers that visit rows one by one
        read what is between two of these in random order, another one in each epoch; where there
        are no more than one, they mix no rows but those that are near each other in the source.  A
        source that has several hands out no blocks without rows.

        Parameters
        ----------
        n_bytes : int
            As of `blocks`.

        Returns
        -------
        list of int
        """
        return [0]

    def blocks_from(self, first: int, n_bytes: int) -> Iterator[Block]:
        """The blocks of `blocks(n_bytes)` from number `first` on, one of `starts` that is not 0.

        Parameters
        ----------
        first : int
        n_bytes : int

        Returns
        -------
        iterator of Block
        """
        raise NotImplementedError

    def place(self, number: int, row: int) -> str:
        """Where a row is, in words for an error: file and line if known.  It is asked for row 0 of
        each block, also where there is no error.

        What only a reading knows is asked of its iterator, where that is a `Reading`: others may go
        on at the same time.  Its blocks are counted from the first that it reads.

        Parameters
        ----------
        number : int
            Of the block, from 0 on.
        row : int
            Of its rows, from 0 on.

        Returns
        -------
        str
        """
        return f"row {row} of block {number}"

    def encoded_as(self, encoding: Any) -> BlockSource:
        """The same source with columns as another source, of a fitted model, has them; by default
        itself.

        Parameters
        ----------
        encoding : object
            That source's `encoding`.

        Returns
        -------
        BlockSource
        """
        return self

    def look_again(self) -> None:
        """A fit begins: forget the columns that were found, where files have changed since then."""


def refuse_beside_source(y: Any, sample_weight: Any, offset: Any) -> None:
    """Raise ValueError where one of them is given beside a source."""
    for name, given in (("y", y), ("sample_weight", sample_weight), ("offset", offset)):
        if given is not None:
            raise ValueError(
                f"{name} is given beside a source of blocks; a source hands out {name} together "
                "with its rows, so leave the argument out"
            )


class Reading:
    """An iterator over the blocks of one reading that knows where they are.

    Parameters
    ----------
    blocks : iterator of Block
    place : callable
        As `BlockSource.place`.
    parts : callable, optional
        Gives the first rows of the parts that block `number` consists of, the first of which is 0:
        where such a block is refused, the place is that of the first part that is.
    """

    def __init__(self, blocks, place, parts=None):
        self._blocks, self.place = blocks, place
        self.parts = parts or (lambda number: [0])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._blocks)


class _Chunks(BlockSource):
    """The source of blocks that `from_chunks` returns."""

    lasting = True

    def __init__(self, factory):
        self.factory = factory

    def blocks(self, n_bytes):
        """The chunks: small ones joined, those that are larger cut into pieces."""
        # Of each block, the first row of each chunk in it, and the chunk and the row in that which
        # it is.
        starts: list[list[tuple[int, int, int]]] = []

        def place(number, row):
            first, chunk, within = starts[number][
                bisect.bisect_right(starts[number], row, key=lambda one: one[0]) - 1
            ]
            return f"row {row - first + within} of chunk {chunk}"

        def parts(number):
            return [first for first, _, _ in starts[number]]

        return Reading(self._joined(n_bytes, starts), place, parts)

    def _joined(self, n_bytes, starts):
        waiting = _Waiting(min(GATHERED, int(n_bytes) // 2))
        pieces = self._pieces(n_bytes)
        while True:
            try:
                number, first, piece, ours = next(pieces)
            except StopIteration:
                break
            except Exception:
                # What came before it is looked at first, as if each had been a block.
                yield from waiting.joined(starts)
                raise
            if not waiting.takes(piece):
                yield from waiting.joined(starts)
            waiting.add(number, first, piece, ours)
            if waiting.n_bytes >= waiting.most_bytes:
                yield from waiting.joined(starts)
        yield from waiting.joined(starts)

    def _pieces(self, n_bytes):
        """The number of each chunk, the first row in it, the chunk or a piece of it, and whether
        nobody else has its arrays; the source gets the names of its columns.
        """
        chunks = self.factory()
        if not isinstance(chunks, Iterable):
            raise ValueError(
                "the factory of from_chunks must return an iterator of (X, y), got "
                f"{type(chunks).__name__}"
            )
        number, usual = -1, ()
        for chunk in chunks:
            number += 1  # `enumerate` would hold on to the chunk
            names, block = _names_of(chunk, number), _block_of(chunk, number)
            del chunk  # or it would have the arrays, too
            if block.X.shape[0] > 0:
                usual = usual or (number, names)
                self._check_names(number, names, *usual)
            ours = _is_ours(block)
            for first, piece in _cut(block, n_bytes):
                yield number, first, piece, ours and piece is block

    def _check_names(self, number, names, first, usual):
        """Refuse names of columns that are not those of chunk `first`, the first with rows, which
        are the source's.
        """
        if number == first:
            self.feature_names = None if names is None else np.asarray(names, dtype=object)
        elif names != usual:
            raise ValueError(
                f"chunk {number}: X has {_in_words(names, usual)}, chunk {first} has "
                f"{_in_words(usual, names)}; all chunks need the same columns in the same order"
            )


class _Waiting:
    """Chunks that wait to become one block, copies of them where who made them may write over
    their arrays.

    Parameters
    ----------
    most_bytes : int
        No more are joined than that.
    """

    def __init__(self, most_bytes):
        self.most_bytes = most_bytes
        self._empty()

    def _empty(self):
        self.places, self.starts, self.per_row = [], [], []
        self.values, self.columns = _GrowingVector(), _GrowingVector()
        self.n_rows = self.n_bytes = 0
        self.layout: Any = None
        self.only: Block | None = None

    def takes(self, block):
        """Whether the block can be joined to those that wait: its layout is the same, and there is
        room.
        """
        room = self.n_bytes + _size(block.X) + BESIDE_EACH <= self.most_bytes
        return not self.places or (room and _layout(block) == self.layout)

    def add(self, number, first, block, ours):
        """Let the piece of chunk `number` that begins with its row `first` wait; one that is `ours`
        alone is copied only where another is joined to it.
        """
        if ours and not self.places:
            self.only = block
        elif self.only is not None:
            self._copy(self.only)
            self.only = None
        if self.only is None:
            self._copy(block)
        self.layout = self.layout or _layout(block)
        self.places.append((self.n_rows, number, first))
        self.n_rows += block.X.shape[0]
        self.n_bytes += _size(block.X) + BESIDE_EACH

    def joined(self, starts):
        """The block that they make, if there are any; `starts` gets their places."""
        if not self.places:
            return
        starts.append(self.places)
        # In a list, that nothing here has it while the next is made.
        block = [self._copies() if self.only is None else self.only]
        self._empty()
        yield block.pop()

    def _copy(self, block):
        X, *per_row = block
        self.per_row.append([None if one is None else np.array(one) for one in per_row])
        room = self.most_bytes // _bytes_of_value(X)
        if sp.issparse(X):
            self.starts.append(X.indptr[1 if self.starts else 0 :] + self.values.size)
            self.columns.add(X.indices[: X.nnz], room)
            self.values.add(X.data[: X.nnz], room)
        else:
            self.values.add(X, room)

    def _copies(self):
        sparse, width, *_ = self.layout
        shape = self.n_rows, width
        values = self.values.taken()
        if sparse:
            own = values, self.columns.taken(), _concatenated(self.starts)
            X = sp.csr_array(own, shape=shape)
        else:
            X = values.reshape(shape)
        return Block(X, *map(_concatenated, zip(*self.per_row, strict=True)))


class _GrowingVector:
    """Values one after the other in a vector."""

    def __init__(self):
        self.vector: Any = None
        self.size = 0

    def add(self, values, room):
        """Copy values, in C order, behind those that are there; the first make room for so many."""
        if self.vector is None:
            self.vector = np.empty(max(room, values.size), values.dtype)
        own = slice(self.size, self.size + values.size)
        self.vector[own].reshape(values.shape)[...] = values
        self.size += values.size

    def taken(self):
        """All values that were added, in not much more memory than they need."""
        values = self.vector[: self.size]
        return values if 2 * self.size >= self.vector.size else values.copy()


def _concatenated(parts):
    """One array of several, or None where none is there."""
    return parts[0] if len(parts) == 1 or parts[0] is None else np.concatenate(parts)


def from_chunks(factory: Callable[[], Iterable[Any]]) -> BlockSource:
    """Rows that a function hands out in chunks, to be fitted without all of them in memory.

    Parameters
    ----------
    factory : callable
        Returns a fresh iterator of `(X, y)`, `(X, y, sample_weight)` or `(X, y, sample_weight,
        offset)` each time, or of `X` alone for predictions: the same rows in the same order,
        float64 but for rounding by about 1e-12 of a number, zeros and float32 the same.  Each X is
        an array, a frame of numbers or a SciPy sparse matrix, (n_rows, n_features).  It is called
        on a thread of its own, which reads one block ahead: connections to a database are best
        opened in it.  Chunks are copied, but for those that nothing else refers to, and may be in
        the same arrays each time; small ones are joined.

    Returns
    -------
    BlockSource
        What `fit`, `predict`, `score` and `Objective` take in place of X.

    Raises
    ------
    ValueError
        Once it is read: for chunks of other shapes than these, of different columns, or other rows
        at a later reading; for frames whose columns have other names, or another order, than those
        of the first chunk, of the first reading, or of the model that predicts.

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

    lasting = True

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
        return self.blocks_from(0, n_bytes)

    def starts(self, n_bytes):
        """Numbers of all blocks, each of which is a range of rows."""
        return list(range(-(-self.arrays[0].shape[0] // self._step(n_bytes))))

    def blocks_from(self, first, n_bytes):
        """The same from block `first` on."""
        X, *per_row = self.arrays
        step = self._step(n_bytes)
        for row in range(first * step, X.shape[0], step):
            own = slice(row, row + step)
            self._check_files()
            yield Block(np.array(X[own]), *(None if one is None else one[own] for one in per_row))

    def _check_files(self):
        """Raise ValueError where a file was cut off since it was mapped: what reads on there ends
        the process (SIGBUS).
        """
        for name, array in zip(Block._fields, self.arrays, strict=True):
            memory, path = array, ""
            while isinstance(memory, np.ndarray):
                path = getattr(memory, "filename", path)
                memory = memory.base
            if isinstance(memory, mmap.mmap) and memory.size() < len(memory):
                raise ValueError(
                    f"the file of {name}, {path}, was cut off since it was mapped: it has "
                    f"{memory.size()} bytes, the memory map {len(memory)}"
                )

    def _step(self, n_bytes):
        """Rows of a block."""
        X = self.arrays[0]
        return max(int(n_bytes // max(X.shape[1] * max(X.itemsize, 8), 1)), 1)


def _names_of(chunk, number):
    """The names of the columns of a chunk's X where it is a frame with names, else None."""
    X = chunk[0] if isinstance(chunk, tuple | list) and len(chunk) else chunk
    names = list(getattr(X, "columns", ())) if hasattr(X, "dtypes") else []
    if not names or not all(isinstance(name, str) for name in names):
        return None
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"chunk {number}: X has {names.count(twice)} columns named {twice!r}; names of columns "
            "have to be unique"
        )
    return names


def _in_words(names, others):
    """What tells the names of columns from others that are not the same."""
    if names is None:
        return "no names"
    if others is None or len(names) != len(others):
        return f"{len(names)} named columns"
    k = next(k for k, pair in enumerate(zip(names, others, strict=True)) if pair[0] != pair[1])
    return f"{names[k]!r} as column {k}"


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
    X, *per_row = given
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
    found = [None if one is None else np.asarray(one) for one in per_row]
    for name, one in zip(Block._fields[1:], found, strict=False):
        if one is not None and one.shape[:1] != X.shape[:1]:
            raise ValueError(
                f"chunk {number}: {name} has shape {one.shape}, X has {X.shape[0]} rows"
            )
    return Block(X, *found)


def _references(get, holder, key):
    return sys.getrefcount(get(holder, key))


# To what only its holder has.
REFERENCES_OF_ONE_HOLDER = _references(operator.getitem, (np.empty(1),), 0)


def _is_ours(block):
    """Whether nobody else has the arrays of a block, or views of them: none can write over them.

    A pass over 400,000 x 20 in fresh chunks of 20,000 rows took 18 ms, and 25 with copies of them.
    """
    held: list[tuple] = [(operator.getitem, block, k) for k in range(4) if block[k] is not None]
    if sp.issparse(block.X):
        held[:1] = [(getattr, block.X, name) for name in ("data", "indices", "indptr")]
    return all(_has_alone(*one) for one in held)


def _has_alone(get, holder, key):
    """Whether only its holder has an array, and only that the one of which it is a view, which is
    not much larger.
    """
    if _references(get, holder, key) > REFERENCES_OF_ONE_HOLDER:
        return False
    array = get(holder, key)
    if type(array.base) is np.ndarray:
        near = array.base.nbytes <= 2 * array.nbytes
        return near and _has_alone(getattr, array, "base")
    return array.flags.owndata


def _floats_of(objects, number):
    """Objects or text as floats; what is of another type is cast, or refused, where it is read."""
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError) as error:
        text = str(error).startswith("could not convert string")
        instead = "; encode text as numbers first, all chunks alike" if text else ""
        raise ValueError(f"chunk {number}: X must hold numbers: {error}{instead}") from error


def _cut(block, n_bytes):
    """The block, or pieces of it that are not larger than that, with their first rows."""
    X, *per_row = block
    n = X.shape[0]
    count = max(-(-_size(X) // n_bytes), 1)
    if count == 1:
        yield 0, block
        return
    step = max(-(-n // count), 1)
    for first in range(0, n, step):
        own = slice(first, first + step)
        yield first, Block(X[own], *(None if one is None else one[own] for one in per_row))


def _size(X):
    """Bytes of a matrix; what is read as float64 counts as that."""
    if sp.issparse(X):
        return _bytes_of_value(X) * X.nnz + 8 * X.shape[0]
    return _bytes_of_value(X) * X.size


def _bytes_of_value(X):
    return 12 if sp.issparse(X) else 4 if X.dtype == np.float32 else 8


def _layout(block):
    """What chunks have in common that can be joined without a change to what they hold: the dtypes
    of X and of its indices, and whether what is beside it is numbers.
    """
    X, *per_row = block
    return (
        sp.issparse(X),
        X.shape[1],
        X.dtype,
        X.indices.dtype if sp.issparse(X) else None,
        *(
            one if one is None else (one.dtype.kind in "fiub" or one.dtype.kind, one.shape[1:])
            for one in per_row
        ),
    )
