"""Parquet and CSV files as sources of blocks."""

from __future__ import annotations

import copy
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastgd.data.readers.files import as_paths, marks_of
from fastgd.data.readers.table_blocks import RowBuilder
from fastgd.data.readers.table_encoding import (
    TableColumn,
    TableEncoder,
    TableEncoding,
    refuse_same_names,
)
from fastgd.data.readers.table_files import Kind, TableFile, open_table, require_pyarrow
from fastgd.data.readers.table_levels import Levels
from fastgd.data.readers.table_values import Where
from fastgd.data.sources import Block, BlockSource, Reading

# Rows that are decoded at once, where a block has more: twice as many took 15 MB more, and no less
# time.
BATCH = 1 << 13
# Bytes of a block whose values int32 can count.
MAX_BYTES = 12 * (np.iinfo(np.int32).max - 1)


def from_parquet(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | None = None,
    weight: str | None = None,
    offset: str | None = None,
    categories: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    unknown: Literal["zeros", "error"] = "zeros",
    format: Literal["parquet", "csv"] = "parquet",
) -> BlockSource:
    r"""Rows of Parquet or CSV files, block by block; it takes pyarrow.

    Numbers and booleans are columns as they are. Text and categories become one column of 0 and 1
    for each level, named `column=level`; levels are found in a pass of their own, and a fitted
    model keeps them. A column of text that has more numbers than words among its different values
    is an error that names the first word, unless it is a category by its type or by `categories`.
    Blocks are dense where there are only numbers, CSR otherwise. Missing values are refused, naming
    file, row and column. Beside the blocks, each column of a Parquet file takes about 2 MB while it
    is read.

    Parameters
    ----------
    paths : path-like or sequence of them
        One file, or several that are read one after the other. Columns are found by their names.
    target : str, optional
        The column that is to be predicted: numbers, booleans or text. None for rows to predict.
    weight, offset : str, optional
        Columns with the weight of each row, and with what is added to its prediction.
    categories : sequence of str, optional
        Columns whose integers are levels, not numbers, and those of text, the target included,
        whose levels are mostly numbers.
    columns : sequence of str, optional
        The columns to use, in this order. By default all but target, weight, offset and the names
        of rows (pandas' index; in CSV a first column without a name), in the order of the first
        file.
    unknown : {"zeros", "error"}, default="zeros"
        What becomes of a level that a model has not seen: its row has 0 in all columns of the
        category, or it is an error. An error, if asked for here or where the model was fitted.
    format : {"parquet", "csv"}, default="parquet"
        CSV files have names in their first line, and may be packed (.gz, .bz2). What a column holds
        is seen in the first 256 KB.

    Returns
    -------
    BlockSource

    Raises
    ------
    ImportError
        Without pyarrow: `pip install pyarrow`.
    ValueError
        For names that no column has, and when it is read: for files that are damaged, that lack a
        column or have it with other types, for missing values, NaN and infinity. A Parquet file of
        which only a number has changed is one where it was written with checksums of its pages.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "cars.csv"
    >>> _ = path.write_text("price,age,fuel\n9.5,3,diesel\n12,1,petrol\n8,7,diesel\n")
    >>> source = from_parquet(path, target="price", format="csv")
    >>> for block in source.blocks(n_bytes=1_000_000):
    ...     print(block.X.toarray(), block.y)
    [[3. 1. 0.]
     [1. 0. 1.]
     [7. 1. 0.]] [ 9.5 12.   8. ]
    >>> print(*source.feature_names)
    age fuel=diesel fuel=petrol
    >>> folder.cleanup()
    """
    if format not in ("parquet", "csv"):
        raise ValueError(f"format must be 'parquet' or 'csv', got {format!r}")
    if unknown not in ("zeros", "error"):
        raise ValueError(f"unknown must be 'zeros' or 'error', got {unknown!r}")
    require_pyarrow()
    roles = {"target": target, "weight": weight, "offset": offset}
    given = {"categories": categories, "columns": columns}
    for name, one in given.items():
        if isinstance(one, str):
            raise ValueError(f"{name} must be a list of names, got {one!r}; write [{one!r}]")
    columns = None if columns is None else list(columns)
    if columns == []:
        raise ValueError("columns must name a column at least, got []; leave it out for all")
    return TableSource(
        as_paths(paths),
        format,
        {role: name for role, name in roles.items() if name is not None},
        list(categories or ()),
        columns,
        unknown,
    )


class TableSource(BlockSource):
    """Rows of Parquet or CSV files, in blocks.

    Parameters
    ----------
    paths : list of Path
    format : {"parquet", "csv"}
    roles : dict of str to str
        The columns that are `target`, `weight` and `offset`, if there are.
    categories : list of str
    columns : list of str or None
    unknown : {"zeros", "error"}
        As `from_parquet` has them.

    Attributes
    ----------
    encoding : TableEncoding or None
        None until it is given or found.
    """

    # 3 million rows of 6 values: 0.55 and 0.96 of what they take from svmlight as Parquet and CSV.
    value_cost = 25.0
    lasting = True

    def __init__(
        self,
        paths: list[Path],
        format: str,
        roles: dict[str, str],
        categories: list[str],
        columns: list[str] | None,
        unknown: str,
    ) -> None:
        self.paths = paths
        self.format = format
        self.roles = roles
        self.categories = categories
        self.columns = columns
        self.unknown = unknown
        # The files whose columns are looked for; None where they are those of a model.
        self._marks: list | None = marks_of(paths)
        self._look_at(open_table(paths[0], format))

    def blocks(self, n_bytes: int) -> Iterator[Block]:
        """Dense blocks, or CSR without stored zeros, across the files; see `BlockSource.blocks`."""
        if self.encoding is None:
            found = self._found()
            self.feature_names, self.encoding = found.feature_names, found
        return self.blocks_from(0, n_bytes)

    def starts(self, n_bytes: int) -> list[int]:
        """The first block that begins in each row group, of Parquet files; see
        `BlockSource.starts`.
        """
        tables = (open_table(path, self.format) for path in self.paths)
        sizes = [size for table in tables for size in table.group_sizes()]
        step, ends = self._rows_of_block(n_bytes), list(itertools.accumulate(sizes))
        blocks = {-(-row // step) for row in ends}
        return [0, *sorted(block for block in blocks if block * step < ends[-1])]

    def blocks_from(self, first: int, n_bytes: int) -> Iterator[Block]:
        """The blocks from number `first` on; see `BlockSource.blocks_from`."""
        n_rows = self._rows_of_block(n_bytes)
        starts: list[int] = []

        def place(number: int, row: int) -> str:
            """The file and the row in it, in words for errors."""
            row += (first + number) * n_rows
            file = int(np.searchsorted(starts, row, side="right")) - 1
            return Where(self.paths[file], row - starts[file]).row(0)

        return Reading(self._blocks(self.encoding, n_rows, starts, first * n_rows), place)

    def _rows_of_block(self, n_bytes):
        """How many rows a block of so many bytes has."""
        width = len(self.encoding.columns)
        bytes_per_row = 8 * width if self.encoding.numeric else 12 * width + 8
        return max(int(min(n_bytes, MAX_BYTES)) // bytes_per_row, 1)

    def look_again(self) -> None:
        """Forget the columns of files that have changed; see `BlockSource.look_again`."""
        marks = marks_of(self.paths)
        if self._marks is not None and self._marks != marks:
            self._look_at(open_table(self.paths[0], self.format))
            self._marks, self.encoding = marks, None
            self.feature_names = None

    def encoded_as(self, encoding: Any) -> TableSource:
        """The same files with the columns of a model.

        Raises
        ------
        ValueError
            Where the model was fitted to no table, or `columns` are others.
        """
        if encoding is None:
            return self
        if not isinstance(encoding, TableEncoding):
            raise ValueError(
                "the model was fitted to svmlight files, whose columns have no names; it cannot "
                "predict the rows of a table"
            )
        names = [column.name for column in encoding.columns]
        if self.columns is not None and set(self.columns) != set(names):
            others = sorted(set(self.columns) ^ set(names))
            raise ValueError(f"columns are not those of the model; they differ in {others[:10]}")
        same = copy.copy(self)
        same._marks, same.encoding = None, encoding
        same.feature_names = encoding.feature_names
        return same

    def _look_at(self, first):
        """Know what the first file says of the columns that have a role."""
        self._check_names(first)
        self._kinds_of_roles = {
            role: _kind_of_target(first, name) if role == "target" else Kind.NUMBER
            for role, name in self.roles.items()
        }
        # Whether a target is text by its type, whatever it looks like.
        self._text_target = self.roles.get("target") in first.declared

    def _check_names(self, first):
        """Raise ValueError for names that the first file does not have, or that are there twice."""
        names = list(self.roles.values()) + (self.columns or [])
        first.require_names([*names, *self.categories])
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(
                    f"column {name!r} is named twice among target, weight, offset and columns"
                )
        allowed = {*(first.kinds if self.columns is None else self.columns)}
        allowed |= {name for role, name in self.roles.items() if role == "target"}
        for name in self.categories:
            if name not in allowed:
                raise ValueError(f"categories name {name!r}, which is not among columns")

    def _found(self):
        """The encoding by the types of the first file and the levels that all have."""
        first = open_table(self.paths[0], self.format)
        unused = first.index | set(self.roles.values())
        names = self.columns or [name for name in first.kinds if name not in unused]
        if not names:
            raise ValueError(f"{first.path} has no columns beside {sorted(unused)}")
        categories = {}
        for name in names:
            kind = first.kinds[name]
            if kind in (Kind.TEXT, Kind.CODE):
                categories[name] = Kind.TEXT if kind is Kind.TEXT else Kind.INTEGER
            elif name in self.categories and kind is Kind.INTEGER:
                categories[name] = kind
            elif name in self.categories or kind is Kind.OTHER:
                wanted = "integers or text, as categories have to be"
                raise ValueError(
                    f"{first.path}: column {name!r} holds {kind.value} ({first.types[name]})"
                    + (f", not {wanted}" if kind is not Kind.OTHER else "; leave it out (columns)")
                )
        declared = first.declared.union(self.categories)
        found = self._levels(categories, declared)
        columns = tuple(TableColumn(name, found.get(name)) for name in names)
        encoding = TableEncoding(columns, self.unknown)
        refuse_same_names(encoding, str(first.path))
        return encoding

    def _levels(self, categories, declared):
        """{column: its levels in order}, by a pass over these columns."""
        found = {name: Levels(name, name in declared) for name in categories}
        if categories:
            for batch, where in self._batches(categories, BATCH, []):
                for name, seen in found.items():
                    seen.add(batch.column(name), where)
        return {name: seen.ordered() for name, seen in found.items()}

    def _blocks(self, encoding, n_rows, starts, first):
        unknown = "error" if "error" in (self.unknown, encoding.unknown) else "zeros"
        rows = RowBuilder(n_rows, TableEncoder(encoding, unknown), self.roles)
        # Those of all rows were looked at by the first reading.
        labels = self._labels() if first == 0 else None
        wanted = {column.name: column.kind for column in encoding.columns}
        wanted |= {self.roles[role]: kind for role, kind in self._kinds_of_roles.items()}
        # A batch is a quarter of a block at most.
        size = max(min(BATCH, n_rows // 4), 1)
        for batch, where in self._batches(wanted, size, starts, first):
            if labels is not None:
                labels.add(batch.column(labels.name), where)
            taken = 0
            while taken < batch.num_rows:
                part = batch.slice(taken, n_rows - rows.n_rows)
                rows.add(part, Where(where.path, where.first + taken))
                taken += part.num_rows
                if rows.n_rows == n_rows:
                    yield rows.block()
        if labels is not None:
            labels.ordered()
        if rows.n_rows:
            yield rows.block()

    def _labels(self):
        """Levels of a target of text, None of other targets."""
        if self._kinds_of_roles.get("target") is not Kind.TEXT:
            return None
        name = self.roles["target"]
        return Levels(name, self._text_target or name in self.categories)

    def _batches(self, wanted, n_rows, starts, first=0):
        """Batches of all files from row `first` on, and where they are; `starts` gets the first row
        of each file.
        """
        before = 0
        for path in self.paths:
            table = open_table(path, self.format)
            table.require(wanted, str(self.paths[0]) if path != self.paths[0] else "the model")
            if self._marks is not None and self.encoding is not None:
                self._refuse_categories(table)
            starts.append(before)
            if first > before and (size := sum(table.group_sizes())) <= first - before:
                before += size
                continue
            row = max(first - before, 0)
            for batch in table.batches(wanted, n_rows, row):
                yield batch, Where(path, row)
                row += batch.num_rows
            if row == 0:
                raise ValueError(f"{path} has no rows")
            before += row

    def _refuse_categories(self, table):
        """Raise ValueError for a category where the first file had numbers."""
        for column in self.encoding.columns:
            if column.levels is None and table.kinds[column.name] is Kind.CODE:
                raise ValueError(
                    f"{table.path}: column {column.name!r} holds {Kind.CODE.value}, in "
                    f"{self.paths[0]} numbers; name it in categories, or write all files alike"
                )


def _kind_of_target(first: TableFile, name: str) -> Kind:
    kind = first.kinds[name]
    if kind is Kind.OTHER:
        raise ValueError(
            f"{first.path}: the target {name!r} holds {kind.value} ({first.types[name]})"
        )
    return {Kind.INTEGER: Kind.TARGET, Kind.CODE: Kind.INTEGER}.get(kind, kind)
