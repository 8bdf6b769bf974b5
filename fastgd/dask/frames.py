"""Frames on a worker as blocks of numbers, by an encoding that all blocks share: that of tables in
files.
"""

from pathlib import Path

from fastgd.data.readers.table_blocks import RowBuilder
from fastgd.data.readers.table_encoding import (
    TableColumn,
    TableEncoder,
    TableEncoding,
    refuse_same_names,
)
from fastgd.data.readers.table_files import Kind, TableFile, naming, require_pyarrow
from fastgd.data.readers.table_levels import Levels
from fastgd.data.readers.table_values import Where
from fastgd.data.sources import Block, BlockSource

CATEGORIES = Kind.TEXT, Kind.CODE


def is_frame(X):
    """Whether X is a frame of pandas, or something like it."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


class Frame(TableFile):
    """A frame of pandas, or Polars, as columns of Arrow; `place` is what errors call it."""

    def __init__(self, frame, place):
        require_pyarrow()
        import pyarrow as pa

        self.path = Path(place)
        names = list(map(str, frame.columns))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{place} has more than one column called {twice[0]!r}; rename them")
        with naming(self.path):
            if hasattr(frame, "to_arrow"):
                table = frame.to_arrow()
            else:
                table = pa.Table.from_pandas(frame, preserve_index=False)
            table = table.combine_chunks()
        self._describe(table.schema)
        self.table = table

    def levels(self):
        """{name: (kind, `Levels` or None)} of the columns."""
        found = {}
        for name, kind in self.kinds.items():
            if kind is Kind.OTHER:
                raise ValueError(
                    f"{self.path}: column {name!r} holds {kind.value} ({self.types[name]}); drop it"
                )
            seen = None
            if kind in CATEGORIES:
                seen = Levels(name, kind is Kind.CODE or name in self.declared)
                for one, where in self._parts():
                    seen.add(one.column(name), where)
            found[name] = kind, seen
        return found

    def encoded(self, encoding):
        """The rows as columns of numbers, an array or CSR."""
        self.require({one.name: one.kind for one in encoding.columns}, "the model")
        rows = RowBuilder(self.table.num_rows, TableEncoder(encoding, encoding.unknown), {})
        for batch, where in self._parts():
            rows.add(batch, where)
        return rows.block().X

    def _parts(self):
        first = 0
        for batch in self.table.to_batches():
            yield batch, Where(self.path, first)
            first += batch.num_rows


class FrameSource(BlockSource):
    """A frame as a source of one block, for a model that keeps an encoding; `per_row` are y,
    weights and offsets.
    """

    lasting = True

    def __init__(self, frame, place, per_row):
        self.frame, self._place, self.per_row = frame, place, per_row

    def blocks(self, n_bytes):
        """The encoded frame, as the only block."""
        yield Block(Frame(self.frame, self._place).encoded(self.encoding), *self.per_row)

    def place(self, number, row):
        """What errors call the block."""
        return self._place

    def encoded_as(self, encoding):
        """The frame with the columns of a model."""
        same = FrameSource(self.frame, self._place, self.per_row)
        same.encoding = encoding
        return same


def shared_encoding(told):
    """One encoding for all frames; `told` has (place, `Frame.levels()`) of each.

    Raises
    ------
    ValueError
        For a frame of other columns than the first, and for a word in a column of numbers, naming
        the block.
    """
    first, usual = told[0]
    found = {name: Levels(name, False) for name, (kind, _) in usual.items() if kind in CATEGORIES}
    for place, columns in told:
        if set(columns) != set(usual):
            others = sorted(set(columns) ^ set(usual))
            raise ValueError(
                f"{place} has other columns than {first}, they differ in {others[:10]}; all blocks "
                "need the same"
            )
        for name, (kind, seen) in columns.items():
            if _family(kind) is not _family(usual[name][0]):
                other = usual[name][0].value
                raise ValueError(f"{place}: column {name!r} holds {kind.value}, in {first} {other}")
            if seen is not None:
                found[name].include(seen)
    own = {name: seen.ordered() for name, seen in found.items()}
    encoding = TableEncoding(tuple(TableColumn(name, own.get(name)) for name in usual))
    refuse_same_names(encoding, first)
    return encoding


def united(encodings):
    """One encoding for sources that have found their own; `encodings` has (place, encoding).

    Raises
    ------
    ValueError
        Where they do not go together.
    """
    first, usual = encodings[0]
    if all(one == usual for _, one in encodings):
        return usual
    if all(isinstance(one, TableEncoding) for _, one in encodings):
        told = [(place, _levels_of(one)) for place, one in encodings]
        return shared_encoding(told)._replace(unknown=usual.unknown)
    place = next(place for place, one in encodings if one != usual)
    raise ValueError(
        f"{place} has other columns than {first}: {dict(encodings)[place]!r}, not "
        f"{usual!r}; tell the sources what columns there are"
    )


def _levels_of(encoding):
    """As `Frame.levels` tells it; words among numbers were looked for in each."""
    return {
        one.name: (
            Kind.CODE if one.kind is Kind.INTEGER else one.kind,
            None if one.levels is None else Levels(one.name, True, one.levels),
        )
        for one in encoding.columns
    }


def _family(kind):
    return kind if kind in CATEGORIES else Kind.NUMBER
