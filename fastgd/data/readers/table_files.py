"""Parquet and CSV files as batches of columns, by pyarrow, which is imported when it is used."""

import contextlib
import enum
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from fastgd.data.readers.files import longest_line, open_quote
from fastgd.data.readers.table_levels import first_word
from fastgd.data.readers.table_values import Where, is_text, parsed

# Bytes of a file that are read at once. pyarrow holds up to 44 parts of a CSV file.
PARQUET_BUFFER = 1 << 18
CSV_BUFFER = 1 << 18


class Kind(enum.Enum):
    """What a column holds, in words for an error."""

    NUMBER = "numbers"
    FLAG = "booleans"
    INTEGER = "integers"
    # Integers that a CSV file has at first, and perhaps other numbers further down.
    TARGET = "numbers to predict"
    CODE = "a category of integers"
    TEXT = "text"
    OTHER = "neither numbers nor text"


# How pyarrow tells of a cell of a CSV file; its first row is that of the names, and 1.
CELL = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to (\w+): invalid value (.*)"
)
KINDS_OF_TYPES = {"double": "numbers", "int64": "integers", "bool": "booleans"}

# What may stand where a kind is expected.
NUMBERS = {Kind.NUMBER, Kind.FLAG, Kind.INTEGER, Kind.CODE}
FITTING = {
    Kind.NUMBER: NUMBERS,
    Kind.TARGET: NUMBERS,
    Kind.INTEGER: {Kind.INTEGER, Kind.CODE},
    Kind.FLAG: {Kind.FLAG},
    Kind.TEXT: {Kind.TEXT},
}


def require_pyarrow() -> None:
    """Raise ImportError, saying what to install, where pyarrow is not there."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError("reading tables takes pyarrow: pip install pyarrow") from error


def open_table(path: Path, format: str) -> "TableFile":
    """The columns of a file; its rows are not read yet.

    Raises
    ------
    ValueError
        For a file that is none of the format, naming it.
    """
    return CsvTable(path) if format == "csv" else ParquetTable(path)


class TableFile:
    """A file of columns.

    Attributes
    ----------
    path : Path
    kinds : dict of str to Kind
        In the order of the file.
    types : dict of str to str
        As the format calls them.
    index : set of str
        Columns that are names of rows.
    declared : set of str
        Columns that are categories by their type, whatever their levels look like.
    """

    path: Path
    kinds: dict[str, Kind]
    types: dict[str, str]
    index: set[str]
    declared: set[str]

    def batches(self, wanted: Mapping[str, Kind], n_rows: int, first: int = 0) -> Iterator[Any]:
        """Record batches of these columns of about `n_rows`, from row `first` on: text as
        dictionaries.
        """
        raise NotImplementedError

    def group_sizes(self) -> list[int]:
        """Numbers of rows of the groups that can be read without those before them; none where
        only the whole file can.
        """
        return []

    def require(self, wanted: Mapping[str, Kind], source: str) -> None:
        """Raise ValueError where a column is not there, or is of another kind than in `source`."""
        for name, kind in wanted.items():
            self.require_names([name])
            if not self.fits(name, kind):
                raise ValueError(
                    f"{self.path}: column {name!r} holds {self.kinds[name].value} "
                    f"({self.types[name]}){self.example(name)}, in {source} {kind.value}"
                )

    def fits(self, name: str, kind: Kind) -> bool:
        """Whether a column can be read as one of that kind."""
        return self.kinds[name] in FITTING[kind]

    def example(self, name: str) -> str:
        """Where a column of text has its first word, if that is known, for an error."""
        return ""

    def require_names(self, names: list[str]) -> None:
        """Raise ValueError where a column is not there."""
        for name in names:
            if name not in self.kinds:
                shown = ", ".join(map(repr, list(self.kinds)[:20]))
                more = ", ..." if len(self.kinds) > 20 else ""
                raise ValueError(f"{self.path} has no column {name!r}; it has {shown}{more}")

    def _describe(self, schema):
        name, count = max(Counter(schema.names).items(), key=itemgetter(1), default=("", 0))
        if count > 1:
            raise ValueError(f"{self.path} has several columns {name!r}")
        told = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        codes = {
            one["name"] for one in told.get("columns", ()) if one["pandas_type"] == "categorical"
        }
        self.index = {one for one in told.get("index_columns", ()) if isinstance(one, str)}
        self.types = {one.name: str(one.type) for one in schema}
        self.declared = {one.name for one in schema if _is_dictionary(one.type)} | codes
        self.kinds = {one.name: _kind(one.type, one.name in codes) for one in schema}


class ParquetTable(TableFile):
    """A Parquet file: batches are decoded one after the other, whatever its row groups are."""

    def __init__(self, path):
        import pyarrow.parquet as pq

        self.path = path
        with naming(path):
            self._describe(pq.read_schema(path))

    def group_sizes(self):  # noqa: D102
        import pyarrow.parquet as pq

        with naming(self.path):
            told = pq.read_metadata(self.path)
        return [told.row_group(k).num_rows for k in range(told.num_row_groups)]

    def batches(self, wanted, n_rows, first=0):  # noqa: D102
        import pyarrow.parquet as pq

        groups, left_out = None, 0
        if first:
            starts = np.cumsum([0, *self.group_sizes()])
            group = int(np.searchsorted(starts[1:], first, side="right"))
            groups, left_out = list(range(group, len(starts) - 1)), first - int(starts[group])
        names = list(wanted)
        texts = [name for name in names if wanted[name] is Kind.TEXT]
        with naming(self.path):
            file = pq.ParquetFile(
                self.path,
                read_dictionary=texts,
                buffer_size=PARQUET_BUFFER,
                pre_buffer=False,
                # Of pages that were written with one; a flipped bit is a number like any other.
                page_checksum_verification=True,
            )
        with contextlib.closing(file):
            # Its threads are no faster for a few columns, and keep 25 MB.
            found = file.iter_batches(n_rows, groups, columns=names, use_threads=False)
            for batch in _named(self.path, found):
                if batch.num_rows > left_out:
                    yield batch.slice(left_out)
                left_out = max(left_out - batch.num_rows, 0)


class CsvTable(TableFile):
    """A CSV file with names in its first line; kinds are those of its first 256 KB."""

    def __init__(self, path):
        self.path = path
        with naming(path):
            self._refuse_open_quote()
            # A part holds a few rows at least.
            self._buffer = max(CSV_BUFFER, 4 * longest_line(path, 2))
        with naming(path), self._opened() as file:
            self._describe(file.schema)
        # Row names, as pandas and R write them, have no name of their own.
        if next(iter(self.kinds)) == "":
            self.index.add("")
        bytes_in = (name for name, one in self.types.items() if one == "binary")
        self.types |= dict.fromkeys(bytes_in, "bytes that are not UTF-8")

    def fits(self, name, kind):
        """Whether a column can be read as one of that kind: as text, any can."""
        return kind is Kind.TEXT or super().fits(name, kind)

    def example(self, name):
        """The first word of a column of text, if it is in the first 256 KB."""
        if self.kinds[name] is not Kind.TEXT:
            return ""
        with self._opened(include_columns=[name]) as file:
            column = file.read_next_batch().column(0)
        row = first_word(column)
        if row is None:
            return ""
        return f", {column[row].as_py()!r} in row {row} (the first is 0)"

    def batches(self, wanted, n_rows, first=0):  # noqa: D102
        import pyarrow as pa

        types = {name: self._type_of(name, kind) for name, kind in wanted.items()}
        texts = [name for name, one in types.items() if one == pa.string()]
        row = 0
        with self._naming_cells():
            with naming(self.path):
                file = self._opened(include_columns=list(wanted), column_types=types)
            with file:
                for batch in _named(self.path, file):
                    for name in texts:
                        at = batch.schema.get_field_index(name)
                        numbers = parsed(batch.column(at), name, Where(self.path, row))
                        batch = batch.set_column(at, name, numbers)
                    yield batch
                    row += batch.num_rows
        # In a column of numbers it is none.
        if Kind.TEXT in self.kinds.values():
            self._refuse_open_quote(whole=True)

    def _refuse_open_quote(self, whole=False):
        """Raise ValueError where rows would be read as one value."""
        line = open_quote(self.path, whole)
        if line is not None:
            raise ValueError(
                f"{self.path}, line {line}: a quote is not closed where its value ends; mend it"
            )

    def _type_of(self, name, kind):
        """What pyarrow is to read a column as: integers to predict as text, of which float64 would
        merge those beyond 2**53.
        """
        import pyarrow as pa

        own = self.kinds[name]
        if kind is Kind.TARGET and own is Kind.INTEGER:
            return pa.string()
        if kind in (Kind.NUMBER, Kind.TARGET):
            return pa.bool_() if own is Kind.FLAG else pa.float64()
        text = pa.dictionary(pa.int32(), pa.string())
        return {Kind.INTEGER: pa.int64(), Kind.FLAG: pa.bool_(), Kind.TEXT: text}[kind]

    @contextlib.contextmanager
    def _naming_cells(self):
        """What cannot be converted is told with the name of its column, and rows from 0 on."""
        try:
            yield
        except ValueError as error:
            cell = CELL.search(str(error))
            if cell is None:
                raise
            column, row, kind, value = cell.groups()
            name, kind = list(self.kinds)[int(column)], KINDS_OF_TYPES.get(kind, kind)
            raise ValueError(
                f"{Where(self.path, int(row) - 2).row(0)}: column {name!r} has {value}, and held "
                f"{kind} before; mend or drop the row"
            ) from error

    def _opened(self, **options):
        import pyarrow as pa
        import pyarrow.csv

        return pa.csv.open_csv(
            self.path,
            # On one thread errors say in which row they are.
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=self._buffer),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(strings_can_be_null=True, **options),
            # pyarrow's own allocator keeps 30 MB of what these parts take.
            memory_pool=pa.system_memory_pool(),
        )


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """What pyarrow cannot read is a ValueError that names the file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not there, or not for us to read: it says so
        hint = "; text is read with format='csv'" if "magic bytes" in str(error) else ""
        raise ValueError(f"{path}: {str(error).splitlines()[0]}{hint}") from error


def _named(path, batches):
    batches = iter(batches)
    while True:
        with naming(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _is_dictionary(kind):
    from pyarrow import types

    return types.is_dictionary(kind)


def _kind(kind, code):
    from pyarrow import types

    if _is_dictionary(kind):
        kind, code = kind.value_type, True
    if types.is_integer(kind):
        return Kind.CODE if code else Kind.INTEGER
    if is_text(kind):
        return Kind.TEXT
    if code:
        return Kind.OTHER
    if types.is_boolean(kind):
        return Kind.FLAG
    numbers = types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    return Kind.NUMBER if numbers else Kind.OTHER
