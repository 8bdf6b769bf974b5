"""What is said of an X or a y that is refused: which of them, where in it, and what to do."""

import os

import numpy as np

# How names of types begin that NumPy, pandas, Arrow and Polars have for dates and durations.
TIMES = ("date", "time", "duration")
# How scikit-learn and NumPy speak of numbers that are none; other TypeErrors speak for themselves.
NO_NUMBERS = ("float()", "int()", "must be", "can't convert", "cannot")

# What is missing or infinite, as it prints.
MISSING = ("None", "nan", "NaN", "<NA>", "NaT", "inf", "-inf")
# Characters of a text that a message repeats, its first words included.
LONGEST = 100


class NotNumbersError(ValueError, TypeError):
    """Data of a type that is no number: a ValueError, like all that can be wrong with data, and
    a TypeError.
    """


def refuse_files_and_dates(X):
    """Raise ValueError for an X that is the name of a file, or holds dates."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is {str(X)!r}, not rows of numbers; read the file first, for example with "
            "pandas.read_csv, or see fastgd.from_parquet"
        )
    for name, kind in _kinds_of_columns(X):
        if str(kind).lower().startswith(TIMES):
            raise ValueError(
                f"X holds dates or durations ({kind}{name}); turn them into numbers, for example "
                "days"
            )


def explained(error, X, y=None):
    """An exception in better words than scikit-learn's about X and y, or None for lack of them."""
    text = str(error)
    if isinstance(error, TypeError) and text.startswith("Feature names"):
        return ValueError(text)
    if isinstance(error, TypeError):
        words = "X and y must hold numbers (y of a classifier: labels): "
        return NotNumbersError(f"{words if text.startswith(NO_NUMBERS) else ''}{text}")
    if text.startswith("Expected 2D array, got 1D array"):
        return ValueError(_one_dimensional(X, y))
    if text.startswith("Complex data"):
        name = "X" if np.iscomplexobj(X) else "y"
        return ValueError(f"{text.splitlines()[0]}: {name} holds complex numbers")
    if text.startswith("could not convert string to float"):
        column = _column_of_text(X)
        if column is None:
            return ValueError(f"y holds text ({text}); GDClassifier predicts labels of any kind")
        # A one-dimensional X holds documents, and the message would repeat a whole document.
        documents = np.ndim(X) == 1
        maker = "HashingVectorizer or TfidfVectorizer" if documents else "OneHotEncoder"
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}...'"
        return ValueError(
            f"{shown}{column}: encode text as numbers first, for example with {maker}"
        )
    return explained_labels(error, y)


def explained_labels(error, y):
    """The same, of what is wrong with y."""
    text = str(error)
    missing = None if y is None else first_missing(y)
    if missing is not None and ("contains" in text or "cannot be ordered" in text):
        row, value = missing
        what = "NaN or infinity" if isinstance(value, float | np.floating) else "missing values"
        return ValueError(f"y contains {what} (first in row {row}): {value}; drop such rows")
    if text.startswith("Unknown label type: unknown"):
        kind = type(np.ravel(y)[0]).__name__
        return ValueError(
            f"Unknown label type: y holds Python objects ({kind}) that are no text; make labels "
            "integers or text, for example y.astype(int)"
        )
    return None


def first_missing(y):
    """(row, what stands there) of the first y that is None, NaN or infinite; None without one.

    Examples
    --------
    >>> first_missing(["a", None]), first_missing([1.0, 2.0])
    ((1, None), None)
    """
    for row, one in enumerate(np.atleast_1d(np.asarray(y, dtype=object))):
        for value in np.ravel(one):
            if not isinstance(value, str) and str(value) in MISSING:
                return row, value
    return None


def _one_dimensional(X, y):
    """What is said of an X of one dimension, and perhaps a y of two."""
    if y is not None and np.ndim(y) == 2 and np.shape(y)[1] > 1:
        return (
            f"X has one dimension, {np.shape(X)}, and y has two, {np.shape(y)}: they seem to be "
            "swapped, fit(X, y) takes the features first"
        )
    return (
        f"Expected 2D array, got 1D array instead: X has shape {np.shape(X)}. Reshape your data: "
        "X.reshape(-1, 1) if it is one feature, X.reshape(1, -1) if it is one row"
    )


def _kinds_of_columns(X):
    """(" in column 'name'", type) of each column of a frame; ("", dtype) of an array."""
    kinds = np.ravel(np.asarray(getattr(X, "dtypes", getattr(X, "dtype", "")), dtype=object))
    names = getattr(X, "columns", ())
    if len(names) != len(kinds):
        return [("", kind) for kind in kinds]
    return [(f" in column {name!r}", kind) for name, kind in zip(names, kinds, strict=True)]


def _column_of_text(X):
    """Words for the first column of a frame that is no numbers, empty for an array of text; None
    where X holds numbers.
    """
    for name in getattr(X, "columns", ()):
        try:
            np.asarray(X[name], dtype=np.float64)
        except (TypeError, ValueError):
            return f" in column {name!r}"
    try:
        np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        return ""
    return None
