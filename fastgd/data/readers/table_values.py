"""Columns of a batch as arrays; what is missing is refused, with file, row and column."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Where(NamedTuple):
    """Where a batch is."""

    path: Path
    first: int

    def row(self, number: int) -> str:
        """Row `number` of the batch, in words."""
        return f"{self.path}, row {self.first + number} (the first is 0)"


def numbers(column: Any, name: str, where: Where) -> np.ndarray:
    """Finite numbers in double precision."""
    import pyarrow as pa

    refuse_missing(column, name, where)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return values
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(
            f"{where.row(row)}: column {name!r} is {values[row]}; impute it or drop the row"
        )
    return values


def integers(column: Any, name: str, where: Where) -> np.ndarray:
    """Integers, also where they are kept as a dictionary.

    Raises
    ------
    ValueError
        For one that no int64 can hold.
    """
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if pa.types.is_uint64(column.type):
        values = column.to_numpy(zero_copy_only=False)
        beyond = values > np.uint64(np.iinfo(np.int64).max)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise ValueError(
                f"{where.row(row)}: column {name!r} has {values[row]}, and integers must be below "
                "2**63; keep the column as text or as floats"
            )
    return column.cast(pa.int64()).to_numpy(zero_copy_only=False)


def parsed(column: Any, name: str, where: Where) -> Any:
    """Text as numbers: int64 where all are integers, else float64.

    Raises
    ------
    ValueError
        For what is no number.
    """
    import pyarrow as pa
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(column)
    # As an integer "0x10" would be 16, as a float, and in columns of X, it is no number.
    hexadecimal = any(compute.any(compute.match_substring(texts, x)).as_py() for x in "xX")
    for kind in (pa.float64(),) if hexadecimal else (pa.int64(), pa.float64()):
        found = _cast(texts, kind)
        if found is not None:
            return found
    row = next(row for row in range(len(texts)) if _cast(texts[row : row + 1], kind) is None)
    raise ValueError(
        f"{where.row(row)}: column {name!r} has {column[row].as_py()!r}, and held numbers before; "
        "mend or drop the row"
    )


def _cast(texts, kind):
    """Texts as numbers of a type, or None where not all are."""
    import pyarrow as pa

    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return None


def labels(column: Any, name: str, where: Where) -> np.ndarray:
    """Targets: numbers of int64, float64 or bool as they are, or text."""
    import pyarrow as pa

    kind = column.type.value_type if isinstance(column, pa.DictionaryArray) else column.type
    if is_text(kind):
        refuse_missing(column, name, where)
        column = as_dictionary(column)
        return np.array(column.dictionary.to_pylist(), np.str_)[column.indices.to_numpy()]
    values = numbers(column, name, where)
    if pa.types.is_boolean(kind):
        return values != 0.0
    return integers(column, name, where) if pa.types.is_integer(kind) else values


def as_dictionary(column: Any) -> Any:
    """Text as its different values and their numbers."""
    import pyarrow as pa

    return column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()


def is_text(kind: Any) -> bool:
    """Whether a type of pyarrow is text."""
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def levels(column: Any, name: str, where: Where) -> set:
    """The different values of a category."""
    import pyarrow as pa

    refuse_missing(column, name, where)
    found = column.unique()
    if isinstance(found, pa.DictionaryArray):
        found = found.dictionary_decode()
    return set(found.to_pylist())


def refuse_missing(column: Any, name: str, where: Where) -> None:
    """Raise ValueError for a missing value."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray) and column.dictionary.null_count:
        column = column.dictionary_decode()
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(
            f"{where.row(row)}: column {name!r} has no value; impute it or drop the row"
        )
