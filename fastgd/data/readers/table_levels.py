"""Levels of a category as they are found; a column of numbers with a stray word is none."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgd.data.readers.table_values import Where, levels

# Different numbers from which on they are not waited for to the end: a long column of numbers in
# which a word has strayed would be kept whole.
MANY = 10_000


class Levels:
    """Different values of one column.

    Parameters
    ----------
    name : str
        Of the column.
    declared : bool
        Whether it is known to be a category, by its type or because the user says so.  Otherwise
        words among more numbers are refused.
    values : iterable of str or of int
        Those that are known already.
    """

    def __init__(self, name: str, declared: bool, values: Iterable = ()) -> None:
        self.name = name
        self.declared = declared
        self.values = set(values)
        self._n_numbers = 0
        # The first value that is no number, and where it is.
        self._word: tuple[str, str] | None = None

    def add(self, column: Any, where: Where) -> None:
        """Take the values of a batch.

        Raises
        ------
        ValueError
            For a missing value, and for a word among many numbers.
        """
        new = levels(column, self.name, where) - self.values
        if not self.declared:
            words = {level for level in new if not is_number(level)}
            self._n_numbers += _count_numbers(new)
            if words and self._word is None:
                row = next(row for row, value in enumerate(column) if value.as_py() in words)
                self._word = column[row].as_py(), where.row(row)
        self.values |= new
        if self._n_numbers > MANY:
            self._refuse_words()

    def include(self, other: "Levels") -> None:
        """Take the levels of rows that follow."""
        self.declared = self.declared or other.declared
        if not self.declared:
            self._n_numbers += _count_numbers(other.values - self.values)
        self._word = self._word or other._word
        self.values |= other.values

    def ordered(self) -> tuple:
        """All levels in order.

        Raises
        ------
        ValueError
            Where most are numbers and some are not, naming the first that is not.
        """
        if not self.declared:
            self._refuse_words()
        return tuple(sorted(self.values))

    def _refuse_words(self):
        """Raise ValueError where words are there, but fewer than numbers."""
        if self._word is not None and 2 * self._n_numbers > len(self.values):
            word, place = self._word
            raise ValueError(
                f"{place}: column {self.name!r} has the word {word!r}, and most of its different "
                "values are numbers; mend or drop the row, or, where these are levels of a "
                "category, name the column in categories (of a frame: make it a category, "
                "astype('category'))"
            )


def _count_numbers(texts):
    """How many are numbers to whoever wrote them: 1,5 and 1,500, too."""
    return sum(is_number(text.replace(",", "")) for text in texts)


def is_number(text: str) -> bool:
    """Whether a text is a number as files have them.

    Examples
    --------
    >>> is_number("-1e3"), is_number("1_000"), is_number("3M")
    (True, False, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def first_word(column: Any) -> int | None:
    """Row of the first value of a column of text that is no number, or None."""
    texts = column.to_pylist()
    wrong = np.array([text is not None and not is_number(text) for text in texts], bool)
    return int(np.argmax(wrong)) if wrong.any() else None
