"""Columns of a table as columns of numbers: a number stays one, a category becomes one for each of
its levels.
"""

import itertools
from collections import Counter
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from fastgd.data.readers.table_files import Kind
from fastgd.data.readers.table_values import as_dictionary, integers, refuse_missing

# Integers are looked up in a table where it has fewer entries than this, 0.5 MB: a fifth of the
# time of a search among 300 levels.
WIDEST = 1 << 17


class TableColumn(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name : str
    levels : tuple of str or of int, or None
        Of a category, in order; None for numbers.
    """

    name: str
    levels: tuple[str, ...] | tuple[int, ...] | None = None

    @property
    def kind(self) -> Kind:
        """What the column has to hold."""
        if self.levels is None:
            return Kind.NUMBER
        return Kind.INTEGER if isinstance(self.levels[0], int) else Kind.TEXT

    @property
    def feature_names(self) -> list[str]:
        """Names of its columns of numbers."""
        if self.levels is None:
            return [self.name]
        return [f"{self.name}={level}" for level in self.levels]


class TableEncoding(NamedTuple):
    """What becomes of a table's columns; a fitted model keeps it.

    Attributes
    ----------
    columns : tuple of TableColumn
    unknown : {"zeros", "error"}
        What a level is that is not among those of its column.
    """

    columns: tuple[TableColumn, ...]
    unknown: str = "zeros"

    @property
    def numeric(self) -> bool:
        """Whether there are no categories."""
        return all(column.levels is None for column in self.columns)

    @property
    def starts(self) -> list[int]:
        """The first column of numbers of each column, and how many there are."""
        widths = [1 if one.levels is None else len(one.levels) for one in self.columns]
        return list(itertools.accumulate(widths, initial=0))

    @property
    def feature_names(self) -> np.ndarray:
        """Names of the columns of numbers: `column`, or `column=level`."""
        names = [name for one in self.columns for name in one.feature_names]
        return np.array(names, dtype=object)


def refuse_same_names(encoding: TableEncoding, place: str) -> None:
    """Raise ValueError where two columns of numbers would have one name."""
    counts = Counter(encoding.feature_names)
    name, count = max(counts.items(), key=itemgetter(1))
    if count > 1:
        own = [one.name for one in encoding.columns if name in one.feature_names]
        raise ValueError(
            f"{place}: columns {own[0]!r} and {own[1]!r} would both give a column {name!r} (a "
            "level of a category is named column=level); rename one of the two"
        )


class TableEncoder:
    """An encoding at work on batches of one file after the other.

    Parameters
    ----------
    encoding : TableEncoding
    unknown : {"zeros", "error"}
    """

    def __init__(self, encoding: TableEncoding, unknown: str) -> None:
        self.encoding = encoding
        self.unknown = unknown
        self._seen: dict = {}

    def codes(self, column, of, where):
        """Numbers of the levels of a batch, -1 for those that are not known."""
        refuse_missing(column, of.name, where)
        if of.kind is Kind.INTEGER:
            codes = self._integer_codes(column, of, where)
        else:
            codes = self._text_codes(column, of)
        if self.unknown == "error" and codes.size and codes.min() < 0:
            row = int(np.argmin(codes))
            raise ValueError(
                f"{where.row(row)}: column {of.name!r} has the level {column[row].as_py()!r}, "
                f"which is not among the {len(of.levels)} levels of the model (unknown='zeros' "
                "lets it pass)"
            )
        return codes

    def _integer_codes(self, column, of, where):
        values = integers(column, of.name, where)
        levels = np.array(of.levels, np.int64)
        if of.levels[-1] - of.levels[0] < WIDEST:
            table = self._table_of(of.name, levels)
            # Unsigned, so that what is below the first level is beyond the last.
            places = (values - levels[0]).view(np.uint64)
            return table[np.minimum(places, np.uint64(table.size - 1))]
        codes = np.searchsorted(levels, values)
        codes[levels[np.minimum(codes, levels.size - 1)] != values] = -1
        return codes

    def _table_of(self, name, levels):
        """Codes by the distance from the first level; -1 of what is between levels, and last."""
        if name not in self._seen:
            table = np.full(levels[-1] - levels[0] + 2, -1, np.int32)
            table[levels - levels[0]] = np.arange(levels.size)
            self._seen[name] = table
        return self._seen[name]

    def _text_codes(self, column, of):
        """Levels are looked up once for each dictionary, which many batches share."""
        column = as_dictionary(column)
        dictionary, known = self._seen.get(of.name, (None, None))
        if dictionary is None or not column.dictionary.equals(dictionary):
            numbers = {level: code for code, level in enumerate(of.levels)}
            dictionary = column.dictionary
            known = np.array([numbers.get(level, -1) for level in dictionary.to_pylist()], np.int32)
            self._seen[of.name] = dictionary, known
        return known[column.indices.to_numpy(zero_copy_only=False)]
