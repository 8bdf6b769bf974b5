"""What is said of an X or a y that is refused: which of them, where in it, and what to do."""

import os
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sp

from fastgd.runtime.component import shown

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


def refuse_no_table(X):
    """Raise ValueError for an X that is no rows of numbers: none, the name of a file, a dictionary,
    what has its rows elsewhere, dates, or columns of one name.
    """
    if X is None:
        raise ValueError("X is None; give rows of numbers, (n_samples, n_features)")
    kind = type(X).__name__
    if isinstance(X, Mapping) and not sp.issparse(X):  # a sparse matrix of keys is a dictionary
        raise ValueError(f"X is a {kind}; make a table of it, for example pandas.DataFrame(X)")
    if isinstance(X, Iterator):
        raise ValueError(
            f"X is a {kind}, which can be read once; make it an array, numpy.array(list(X)), or "
            "read blocks of rows, fastgd.from_chunks"
        )
    if hasattr(X, "collect") and not hasattr(X, "__array__"):
        raise ValueError(f"X is a {kind}, which holds no rows yet: X.collect() reads them")
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is {str(X)!r}, not rows of numbers; read the file first, for example with "
            "pandas.read_csv, or see fastgd.from_parquet"
        )
    _refuse_one_name(X)
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
    if isinstance(error, OverflowError):
        return ValueError(f"X holds a whole number that float64 cannot hold: {text}; scale it")
    if text.startswith("Expected 2D array, got 1D array"):
        return ValueError(_one_dimensional(X, y))
    if text.startswith("Expected 2D array, got scalar"):
        return ValueError(
            f"Expected 2D array, got scalar array instead: X is {shown(X)}; give rows of numbers, "
            "(n_samples, n_features)"
        )
    if text.startswith("Found array with dim"):
        return ValueError(
            f"{text} X has shape {np.shape(X)}: X.reshape(len(X), -1) makes one row of each entry"
        )
    if text.startswith("setting an array element with a sequence"):
        return ValueError(_uneven(X, "X") or _uneven(y, "y") or text)
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
        told = text if len(text) <= LONGEST else f"{text[:LONGEST]}...'"
        return ValueError(f"{told}{column}: encode text as numbers first, for example with {maker}")
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


def _refuse_one_name(X):
    """Raise ValueError for a frame with two columns of one name, which older releases of
    scikit-learn let pass and newer ones refuse in words of another library.
    """
    names = list(getattr(X, "columns", ()))
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise ValueError(f"X has {names.count(twice)} columns named {str(twice)!r}; rename them")


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


def _uneven(rows, name):
    """What is said of rows of different lengths, or ""."""
    sizes = [np.size(one) if np.ndim(one) < 2 else 0 for one in rows] if rows is not None else []
    other = next((k for k, size in enumerate(sizes) if size != sizes[0]), None)
    if other is None:
        return ""
    return (
        f"{name} has rows of different lengths: row 0 has {sizes[0]}, row {other} has "
        f"{sizes[other]}; all need the same"
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
