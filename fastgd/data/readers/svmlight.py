"""svmlight files (libsvm's format, too) as sources of blocks."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.data.readers import kernels, pages
from fastgd.data.readers.files import PACKED, as_paths, marks_of, whole_lines
from fastgd.data.sources import Block, BlockSource, Reading

WORD = re.compile(rb"[^\0-\x20]+|.", re.DOTALL)
# Columns that int32 can count.
MAX_FEATURES = np.iinfo(np.int32).max
# Bytes of a block whose values int32 can count.
MAX_BYTES = 12 * MAX_FEATURES - 12
# What the first block has room for, before it grows.
MIN_ROWS = 1 << 10
MIN_HARD = 1 << 6

NOT_FINITE = (b"nan", b"inf", b"infinity")
BEYOND_DOUBLES = "is beyond the range of double precision"


class SvmlightColumns(NamedTuple):
    """How indices become columns.

    Attributes
    ----------
    n_features : int
    zero_based : bool
        Whether the first column has index 0, not 1.
    """

    n_features: int
    zero_based: bool


def from_svmlight(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = "auto",
) -> BlockSource:
    r"""Rows of svmlight files, which scikit-learn and libsvm write and read, block by block.

    A line is `target index:value index:value ...`, with indices that rise. Words behind a # and
    `qid:number` in front of the first pair are passed over. Files whose names end with .gz or .bz2
    are unpacked as they are read, at the pace of Python's modules.

    Parameters
    ----------
    paths : path-like or sequence of them
        One file, or several that are read one after the other.
    n_features : int, optional
        Number of columns. By default it is found in a pass of its own before the first block is
        made, which looks at indices alone, or taken from the model that predicts.
    zero_based : bool or "auto", default="auto"
        Whether the first column has the index 0. "auto": if index 0 occurs in any of the files,
        found in the same pass; where `n_features` is given, up to the first index that is 0 or
        `n_features`.

    Returns
    -------
    BlockSource

    Raises
    ------
    ValueError
        When it is read: for what is no such line, a number that is not finite, indices that do not
        rise or are out of range, naming file and line; for a file without rows.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "rows.svm"
    >>> _ = path.write_text("1 1:0.5 3:2\n-1 2:1e-1  # a remark\n")
    >>> for block in from_svmlight(path).blocks(n_bytes=1_000_000):
    ...     print(block.X.toarray(), block.y)
    [[0.5 0.  2. ]
     [0.  0.1 0. ]] [ 1. -1.]
    >>> folder.cleanup()
    """
    whole = isinstance(n_features, Integral) and not isinstance(n_features, bool)
    if n_features is not None and not (whole and 0 < n_features <= MAX_FEATURES):
        raise ValueError(
            f"n_features must be an int from 1 to {MAX_FEATURES}, or None, got {n_features!r}"
        )
    if zero_based not in (True, False, "auto"):
        raise ValueError(f"zero_based must be True, False or 'auto', got {zero_based!r}")
    return SvmlightSource(as_paths(paths), n_features, zero_based)


class SvmlightSource(BlockSource):
    """Rows of svmlight files.

    Parameters
    ----------
    paths : list of Path
    n_features : int or None
    zero_based : bool or "auto"
        As `from_svmlight` has them.

    Attributes
    ----------
    encoding : SvmlightColumns or None
        None until it is given or found.
    """

    # 3 million rows of 6 values, 0.60 s.
    value_cost = 33.0
    lasting = True

    def __init__(self, paths: list[Path], n_features: int | None, zero_based: bool | str) -> None:
        self.paths = paths
        self.n_features = n_features
        self.zero_based = zero_based
        if n_features is not None and zero_based != "auto":
            self.encoding = SvmlightColumns(n_features, bool(zero_based))
        # The files whose columns were found.
        self._marks: list | None = None
        # By the bytes of a block: marks of the files that were read, and where each block began, by
        # file, line and byte.
        self._known: dict[int, tuple[list, list[tuple[int, int, int]]]] = {}

    def blocks(self, n_bytes: int) -> Iterator[Block]:
        """CSR blocks without stored zeros, across the files; see `BlockSource.blocks`."""
        if self.encoding is None:
            self._marks = marks_of(self.paths)
            self.encoding = self._scanned()
        return self._reading(n_bytes, self.encoding, (0, 0, 0))

    def starts(self, n_bytes: int) -> list[int]:
        """All blocks, of files that are not packed; see `BlockSource.starts`."""
        marks, begins = self._known.get(n_bytes, (None, [(0, 0, 0)]))
        packed = any(path.suffix.lower() in PACKED for path in self.paths)
        same = not packed and marks == marks_of(self.paths)
        return list(range(len(begins))) if same else [0]

    def blocks_from(self, first: int, n_bytes: int) -> Iterator[Block]:
        """The blocks from number `first` on; see `BlockSource.blocks_from`."""
        return self._reading(n_bytes, self.encoding, self._known[n_bytes][1][first])

    def _reading(self, n_bytes, columns, begin):
        """The blocks from file, line and byte on where one of them begins."""
        # Of each block, the number of the file and the line of its first row, and how many it has.
        starts: list[tuple[int, int, int]] = []

        def place(number: int, row: int) -> str:
            return self._found_at(*starts[number][:2], row)

        # Each row can be told of.
        return Reading(
            self._blocks(n_bytes, columns, begin, starts),
            place,
            lambda number: range(starts[number][2]),
        )

    def _found_at(self, file: int, first: int, row: int) -> str:
        """File and line of the row that is so many after one in line `first` of a file: found by
        reading on.
        """
        if row == 0:
            return _line(self.paths[file], first)
        rows = (
            (path, line)
            for number, path in enumerate(self.paths[file:])
            for line, text in enumerate(_lines(path))
            if (number > 0 or line >= first) and text.strip() and text.lstrip()[:1] != b"#"
        )
        return _line(*next(itertools.islice(rows, row, None)))

    def look_again(self) -> None:
        """Forget the columns of files that have changed; see `BlockSource.look_again`."""
        if self._marks is not None and self._marks != marks_of(self.paths):
            self.encoding = None

    def encoded_as(self, encoding: Any) -> SvmlightSource:
        """The same files with the columns of a model; `zero_based` stays where it was given.

        Raises
        ------
        ValueError
            Where `n_features` was given and is not the model's, or the model was fitted to tables.
        """
        if encoding is None:
            return self
        if not isinstance(encoding, SvmlightColumns):
            raise ValueError(
                "the model was fitted to tables, whose columns have names; it cannot predict the "
                "rows of svmlight files"
            )
        if self.n_features not in (None, encoding.n_features):
            raise ValueError(
                f"the files were given {self.n_features} features (n_features), the model has "
                f"{encoding.n_features}"
            )
        based = encoding.zero_based if self.zero_based == "auto" else self.zero_based
        return SvmlightSource(self.paths, encoding.n_features, based)

    def _scanned(self):
        """Columns by the indices that occur, as scikit-learn has them."""
        found = np.array([MAX_FEATURES, -1])
        last = self.n_features or kernels.MAX_INDEX  # with it the first column has index 1
        for text in itertools.chain.from_iterable(map(whole_lines, self.paths)):
            kernels.note_indices(text, found)
            if self.n_features and (found[0] == 0 or found[1] >= last):
                break
        based = found[0] == 0 if self.zero_based == "auto" else self.zero_based
        n_features = min(max(int(found[1]) + (1 if based else 0), 1), MAX_FEATURES)
        return SvmlightColumns(self.n_features or n_features, bool(based))

    def _blocks(self, n_bytes, columns, begin, starts):
        marks, begins = marks_of(self.paths), [begin]
        rows, (first, line, byte) = _RowBuilder(n_bytes, columns), begin
        for number, path in enumerate(self.paths[first:], first):
            rows.begin(number, path, line)
            for text in whole_lines(path, first=byte):
                while rows.take(text) == kernels.FULL:
                    begins.append((number, *rows.position(byte)))
                    starts.append((*rows.start, rows.n_rows))
                    yield rows.block()
                byte += text.size
            if rows.n_rows_of_file == 0 and line == 0:
                raise ValueError(f"{path} has no rows")
            line = byte = 0
        if begin == (0, 0, 0):
            self._known[n_bytes] = marks, begins
        if rows.n_rows:
            starts.append((*rows.start, rows.n_rows))
            yield rows.block()


class _RowBuilder:
    """The arrays of a block while lines are read into them."""

    def __init__(self, n_bytes, columns):
        self.n_bytes = min(n_bytes, MAX_BYTES)
        self.columns = columns
        self.number, self.path = 0, None  # of the file
        self.start: Any = None
        self._rows_before = 0  # of this file, in blocks that were handed out
        self.counts = np.zeros(kernels.N_COUNTS, np.int64)
        self.hard = np.empty((MIN_HARD, 4), np.int64)
        self.room: Any = None
        self.most_rows = MIN_ROWS

    @property
    def n_rows_of_file(self):
        """Rows that the file has had so far."""
        return self._rows_before + self.n_rows

    @property
    def n_rows(self):
        """Rows of the block so far."""
        return int(self.counts[kernels.ROWS])

    def begin(self, number, path, line):
        """Begin to read a file from this line on: its rows are counted from 0."""
        self.number, self.path = number, path
        self._rows_before = -self.n_rows
        self.counts[kernels.LINES] = line

    def position(self, byte):
        """Line and byte of what is read next, of a text that begins with this byte."""
        return int(self.counts[kernels.LINES]), byte + int(self.counts[kernels.POSITION])

    def take(self, text):
        """Read lines until the text ends or the block is full: `DONE` or `FULL`."""
        if self.room is None:  # not earlier: the last block may still be in use
            self.room = self._new_room()
        status = self._parsed(text)
        while status in (kernels.MORE_VALUES, kernels.MORE_ROWS, kernels.MORE_HARD):
            self._grow(status)
            status = self._parsed(text)
        if status == kernels.DONE:
            self.counts[kernels.POSITION] = 0
        elif status != kernels.FULL:
            raise ValueError(self._wrong(status, text))
        if self.start is None and self.counts[kernels.ROWS] > 0:
            self.start = self.number, int(self.counts[kernels.FIRST_LINE])
        return status

    def block(self):
        """What was read; the next block gets arrays of its own."""
        n_rows = self.n_rows
        n_values = int(self.counts[kernels.VALUES])
        room, self.room = self.room, None
        self.counts[kernels.ROWS] = self.counts[kernels.VALUES] = 0
        self._rows_before += n_rows
        self.start = None
        self.most_rows = max(MIN_ROWS, n_rows + n_rows // 8)
        parts = room.data[:n_values], room.indices[:n_values], room.indptr[: n_rows + 1]
        X = sp.csr_array(parts, shape=(n_rows, self.columns.n_features))
        return Block(X, room.targets[:n_rows])

    def _new_room(self):
        # More values are too many bytes. What is not written to takes no memory.
        most = self.n_bytes // 12 + 1
        data, indices = pages.empty(most), pages.empty(most, np.int32)
        indptr, targets = pages.empty(self.most_rows + 1, np.int32), pages.empty(self.most_rows)
        indptr[0] = 0
        return kernels.RowArrays(data, indices, indptr, targets, self.hard)

    def _grow(self, status):
        """Twice the room that is missing."""
        room = self.room
        if status == kernels.MORE_ROWS:
            room = room._replace(targets=_doubled(room.targets), indptr=_doubled(room.indptr))
        elif status == kernels.MORE_VALUES:
            room = room._replace(data=_doubled(room.data), indices=_doubled(room.indices))
        else:
            self.hard = np.empty((2 * len(self.hard), 4), np.int64)
            room = room._replace(hard=self.hard)
        self.room = room

    def _parsed(self, text):
        status = kernels.parse_rows(
            text,
            self.n_bytes,
            0 if self.columns.zero_based else 1,
            self.columns.n_features,
            self.room,
            self.counts,
        )
        for place, first, last, line in self.hard[: self.counts[kernels.HARD_NUMBERS]].tolist():
            word = text[first:last].tobytes()
            value = float(word)
            if np.isinf(value):
                raise ValueError(f"{_line(self.path, line)}: {_shown(word)} {BEYOND_DOUBLES}")
            if place < 0:
                self.room.targets[-1 - place] = value
            else:
                self.room.data[place] = value
        self.counts[kernels.HARD_NUMBERS] = 0
        return status

    def _wrong(self, status, text):
        """What is wrong with a line, and where."""
        first = int(self.counts[kernels.TOKEN])
        word = _word(text, first)
        shown = _shown(word)
        number = word.split(b":")[-1].lstrip(b"+-").lower()
        if status in (kernels.BAD_TARGET, kernels.BAD_VALUE) and number in NOT_FINITE:
            reason = f"{shown} is not finite; drop the row or put a number there"
        elif status == kernels.BAD_TARGET and b"," in word:
            reason = f"{shown} are several targets, and rows must have one"
        elif status == kernels.BAD_TARGET:
            reason = f"the target {shown} is no number"
        elif status in (kernels.TARGET_BEYOND_DOUBLES, kernels.VALUE_BEYOND_DOUBLES):
            reason = f"{shown} {BEYOND_DOUBLES}"
        elif status == kernels.BEYOND:
            reason = f"the index of {shown} is beyond {self.columns.n_features} columns"
        elif status == kernels.ZERO_INDEX:
            reason = f"{shown} has index 0, where the first is 1 (zero_based=False)"
        elif status == kernels.FALLING_INDEX:
            reason = f"the index of {shown} does not rise, as indices must within a row"
        else:
            reason = f"{shown} is not index:value"
        return f"{_line(self.path, int(self.counts[kernels.LINES]))}: {reason}"


def _line(path, number):
    return f"{path}, line {number + 1}"


def _lines(path):
    for text in whole_lines(path):
        yield from text.tobytes()[:-1].split(b"\n")


def _doubled(array):
    grown = pages.empty(2 * array.size, array.dtype.type)
    grown[: array.size] = array
    return grown


def _word(text, first):
    """The bytes from there to where kernels end a word; one that ends words itself is alone."""
    return WORD.findall(text[first : first + 200].tobytes())[0]


def _shown(word):
    text = word.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")
