"""Data by name: scikit-learn's data sets, those of the data folder, and the user's files."""

import importlib.util
import os
import re
from datetime import date
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .generated import OWN, SHAPES, generated

MAX_DENSE = 1e8  # values of X that a table becomes, 0.8 GB
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?")
GENERATED, REAL = "generated", "real"
USED = {}  # names of data sets that this process has read, and which of these they were

FOLDER = Path(
    os.environ.get("FASTGD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def load_all(data, **options):
    """X, y and what the data folder has beside them, by name; nothing for scikit-learn's data."""
    if data.startswith("sklearn:"):
        return *_of_sklearn(data.removeprefix("sklearn:")), {}
    if is_generated(data):
        found = _generated(data, **options)
        note(data)
        return found
    try:
        found = folder_loader()(data, **options)
    except KeyError as error:
        raise SystemExit(str(error.args[0])) from error
    note(data)
    return *found[:2], found[3] if len(found) > 3 else {}


def is_generated(data):
    """Whether a name that is neither a file nor scikit-learn's stands for generated data."""
    return data in OWN or folder_loader() is None


def note(data):
    """Record of which kind the data of this name are; a line the first time that others stand in
    for the real ones.
    """
    if data.startswith("sklearn:") or Path(data).is_file():
        return  # the same for everybody, or the user's own
    kind = GENERATED if is_generated(data) else REAL
    if kind == GENERATED and USED.get(data) != kind and data not in OWN:
        print(f"{data}: generated data of its shape, for there is no data folder (FASTGD_DATA)")
    USED[data] = kind


def load(data, target=None, **options):
    """X and y of `sklearn:NAME`, of a name in the data folder (with options), or of a file; where
    there is no data folder, generated data of the same shape.

    Files are .npz (y, and X or the parts of a CSR matrix), .csv, .parquet (both with the name of
    the target column; text becomes a column of 0 and 1 for each value), and svmlight for all other
    names.
    """
    if Path(data).is_file():
        return _from_file(Path(data), target)
    return load_all(data, **options)[:2]


def _generated(data, **options):
    """Generated data of the same shape."""
    found = generated(data, **options)
    if found is None:
        raise SystemExit(
            f"no file {data!r}, and no load.py in the data folder (set FASTGD_DATA, or use "
            f"sklearn:NAME, or a name of generated data: {', '.join(SHAPES | OWN)})"
        )
    return found


def folder_loader():
    """The function `load` of the data folder's load.py, or None where there is none."""
    if not (FOLDER / "load.py").is_file():
        return None
    spec = importlib.util.spec_from_file_location("data_folder", FOLDER / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load


def scaled(X):
    """X with each column divided by its greatest magnitude."""
    largest = abs(X).max(axis=0)
    largest = largest.toarray().ravel() if sp.issparse(X) else largest
    largest = np.where(largest > 0.0, largest, 1.0)
    if not sp.issparse(X):
        return X / largest
    return sp.csr_array((X.data / largest[X.indices], X.indices, X.indptr), shape=X.shape)


def signs(y):
    """-1 and 1: two classes as they are, more as the most frequent (of several, the last)
    against the rest.
    """
    labels, counts = np.unique(y, return_counts=True)
    chosen = labels[1] if labels.size == 2 else labels[counts == counts.max()][-1]
    return np.where(y == chosen, 1.0, -1.0)


def _of_sklearn(name):
    import sklearn.datasets

    loader = getattr(sklearn.datasets, f"load_{name}", None)
    if loader is None:
        raise SystemExit(f"scikit-learn has no load_{name}; try sklearn:breast_cancer")
    X, y = loader(return_X_y=True)
    if np.ndim(y) != 1:
        raise SystemExit(f"sklearn:{name} has several targets; take one with a single one")
    return X, y


def _from_file(path, target):
    if {".csv", ".parquet"} & set(path.suffixes):
        return _from_table(path, target)
    if path.suffix != ".npz":
        from sklearn.datasets import load_svmlight_file

        return load_svmlight_file(str(path))
    with np.load(path) as arrays:
        if "y" not in arrays or ("X" not in arrays and "indptr" not in arrays):
            raise SystemExit(
                f"{path} must hold y, and X or CSR's data, indices, indptr and shape; it has "
                f"{[*arrays]}"
            )
        if "X" in arrays:
            return arrays["X"], arrays["y"]
        parts = arrays["data"], arrays["indices"], arrays["indptr"]
        return sp.csr_array(parts, shape=tuple(arrays["shape"])), arrays["y"]


def _from_table(path, target):
    """Columns of a .csv (also compressed) or .parquet file; both are optional imports."""
    try:
        import pandas

        table = pandas.read_csv(path) if ".csv" in path.suffixes else pandas.read_parquet(path)
    except ImportError as error:
        raise SystemExit(
            f"reading {path.name} takes pandas, and pyarrow for Parquet: pip install pandas "
            f"pyarrow ({str(error).splitlines()[0]})"
        ) from error
    if target not in table.columns:
        raise SystemExit(
            f"--target must name the column to predict, got {target!r}; {path.name} has the "
            f"columns {', '.join(map(str, table.columns))}"
        )
    empty = [str(name) for name in table.columns[table.isna().any()]]
    if empty:
        raise SystemExit(
            f"{path.name} has missing values in {', '.join(empty)}: fill them or drop the rows "
            "first"
        )
    return _coded(pandas, path, table.drop(columns=target)), table[target].to_numpy()


def _coded(pandas, path, table):
    """Numbers as they are, then a column of 0 and 1 for each value of each column of text; CSR
    where a dense X would have more than `MAX_DENSE` values.
    """
    dates = [str(name) for name in table.columns if _are_dates(table[name])]
    if dates:
        raise SystemExit(
            f"{path.name} has dates in {', '.join(dates)}, which are neither numbers nor a few "
            "kinds of text: write numbers in their place first (the days since one of them; "
            "year, month and weekday as columns), or drop them"
        )
    text = table.select_dtypes(include=["object", "string", "category"])
    levels = {name: pandas.Categorical(text[name]) for name in text.columns}
    width = table.shape[1] - len(levels) + sum(len(one.categories) for one in levels.values())
    if table.shape[0] * width <= MAX_DENSE:
        return pandas.get_dummies(table).to_numpy(dtype=np.float64)
    parts = [sp.csr_array(table.drop(columns=text.columns).to_numpy(dtype=np.float64))]
    starts = np.arange(table.shape[0] + 1, dtype=np.int32)
    for one in levels.values():
        shape = table.shape[0], len(one.categories)
        codes = one.codes.astype(np.int32)
        parts.append(sp.csr_array((np.ones(shape[0]), codes, starts), shape=shape))
    return sp.csr_array(sp.hstack(parts, format="csr"))


def _are_dates(column):
    """Whether a column of a table is of times, or of text all of which looks like dates."""
    if column.dtype.kind in "mM":
        return True
    first = column.drop_duplicates().head(100)
    return all(isinstance(value, str | date) for value in first) and all(
        DATE.fullmatch(str(value)) for value in first
    )
