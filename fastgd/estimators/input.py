"""X and y as an estimator is given them: float arrays or CSR, or a ValueError."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from fastgd.data.check_parameters import refuse_masked
from fastgd.data.check_X import check_structure
from fastgd.data.sources import BlockSource

# How names of types begin that NumPy, pandas, Arrow and Polars have for dates and durations.
TIMES = ("date", "time", "duration")


class NotNumbersError(ValueError, TypeError):
    """Data of a type that is no number: a ValueError, like all that can be wrong with data, and
    a TypeError.
    """


def validated(estimator, X, *y, **options):
    """X, and y if there is one, as float arrays or CSR; ValueError for whatever compiled code must
    not see, but for NaN and infinity in X, which `fastgd.data.check_X` refuses.
    """
    if isinstance(X, BlockSource):
        raise ValueError(
            "a source of blocks goes into fit, predict, predict_proba, decision_function and "
            "score; here X has to be an array"
        )
    check_structure(X)
    if not options["reset"] and _is_plain(estimator, X) and all(map(_are_plain, y)):
        check_consistent_length(X, *y)
        return (X, *y) if y else X
    if y and sp.issparse(y[0]):
        raise ValueError("y must not be sparse; make it an array, y.toarray().ravel()")
    for name, values in zip(("X", "y"), (X, *y), strict=False):
        refuse_masked(values, name)
    for name, kind in _kinds_of_columns(X):
        if str(kind).lower().startswith(TIMES):
            raise ValueError(
                f"X holds dates or durations ({kind}{name}); turn them into numbers, for example "
                "days"
            )
    options.update(accept_sparse="csr", accept_large_sparse=True, dtype=[np.float64, np.float32])
    options["ensure_all_finite"] = False
    try:
        return validate_data(estimator, X, *y, **options)
    except ValueError as error:
        if str(error).startswith("Expected 2D array, got 1D array"):
            raise ValueError(_one_dimensional(X, *y)) from None
        if str(error).startswith("could not convert string to float"):
            raise ValueError(
                f"{error}{_column_of_text(X)}: encode text as numbers first, for example with "
                "OneHotEncoder"
            ) from error
        raise
    except TypeError as error:
        raise NotNumbersError(
            f"X and y must hold numbers (y of a classifier: labels): {error}"
        ) from error


def _one_dimensional(X, y=None):
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


def _is_plain(estimator, X):
    """Whether X is a float array or CSR of the columns that were fitted: nothing that
    `validate_data` would change.

    It looks at the same things, at 100 us more: a fifth of what `partial_fit` may take for a
    chunk.
    """
    dense = type(X) is np.ndarray and X.ndim == 2
    if not (dense or (sp.issparse(X) and X.format == "csr")) or hasattr(
        estimator, "feature_names_in_"
    ):
        return False
    same = X.shape[0] > 0 and X.shape[1] == getattr(estimator, "n_features_in_", -1)
    return same and X.dtype in (np.float64, np.float32)


def _are_plain(y):
    """Whether y is a vector of finite numbers: nothing that `validate_data` would change."""
    return (
        type(y) is np.ndarray
        and y.ndim == 1
        and (y.dtype.kind in "iub" or (y.dtype.kind == "f" and _finite(y)))
    )


def _finite(values):
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum(dtype=np.float64)))


def _kinds_of_columns(X):
    """(" in column 'name'", type) of each column of a frame; ("", dtype) of an array."""
    kinds = np.ravel(np.asarray(getattr(X, "dtypes", getattr(X, "dtype", "")), dtype=object))
    names = getattr(X, "columns", ())
    if len(names) != len(kinds):
        return [("", kind) for kind in kinds]
    return [(f" in column {name!r}", kind) for name, kind in zip(names, kinds, strict=True)]


def _column_of_text(X):
    """Words for the first column of a frame that is no numbers; empty for an array."""
    for name in getattr(X, "columns", ()):
        try:
            np.asarray(X[name], dtype=np.float64)
        except (TypeError, ValueError):
            return f" in column {name!r}"
    return ""
