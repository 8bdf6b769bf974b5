"""How fast files are read as blocks, against scikit-learn and pandas, and against reading the bytes
alone.

Files are written to a temporary folder: an svmlight file of the first rows of a data set (`--data`,
or random levels of categories), one of random numbers with 16 digits, and a table of numbers and
text as CSV and Parquet. Readers take turns, and the best of the rounds counts. fastgd reads on one
thread; its blocks of 16 MB are thrown away. The files are in the system's cache: the bytes alone
are read at the speed of memory.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .data import folder_loader, load
from .report import columns, progress

BLOCK = 16_000_000
NUMBERS = 50
LEVELS = (300, 300, 24, 12, 7)


def run(name=None, rounds=3, rows=300_000):
    """Print the table and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {}
        for case, (path, n_rows, readers) in _cases(Path(folder), name, rows).items():
            seconds = {reader: [] for reader in readers}
            for _ in range(rounds + 1):
                for reader, read in readers.items():
                    progress(f"{case}: {reader}")
                    start = time.perf_counter()
                    read(path)
                    seconds[reader].append(time.perf_counter() - start)
            figures[case] = {
                "rows": n_rows,
                "MB": path.stat().st_size / 1e6,
                # The first round compiles.
                "seconds": {reader: found[1:] for reader, found in seconds.items()},
            }
    progress("")
    print(columns(_lines(figures), ["file", "reader", "rows/s", "MB/s", "fastgd is faster by"]))
    return {"cases": figures}


def _lines(figures):
    lines = []
    for case, found in figures.items():
        best = {reader: min(seconds) for reader, seconds in found["seconds"].items()}
        for reader, seconds in best.items():
            lines.append(
                [
                    f"{case}, {found['MB']:.0f} MB",
                    reader,
                    f"{found['rows'] / seconds:,.0f}",
                    f"{found['MB'] / seconds:,.0f}",
                    "" if reader == "fastgd" else f"{seconds / best['fastgd']:.1f}",
                ]
            )
    return lines


def _cases(folder, name, rows):
    """{name: (file, its rows, {reader: function of the path})}."""
    from sklearn.datasets import load_svmlight_file

    from fastgd import from_parquet, from_svmlight

    random = np.random.default_rng(0)
    if name is None and folder_loader():
        name = "flights"
    X, y = _levels(random, rows) if name is None else load(name)
    X, y = sp.csr_array(X)[:rows], np.asarray(y, dtype=np.float64)[:rows]
    numbers = random.standard_normal((max(rows // 10, 1), NUMBERS))
    svmlight = {
        "fastgd": lambda path: _all(from_svmlight(path, n_features=10**6, zero_based=True)),
        "fastgd, n_features found first": lambda path: _all(from_svmlight(path)),
        "sklearn": lambda path: load_svmlight_file(str(path)),
        "bytes": _bytes,
    }
    cases = {
        f"svmlight, {name or 'random levels'}": (
            _svmlight(folder / "levels.svm", X, y),
            X.shape[0],
            svmlight,
        ),
        f"svmlight, {NUMBERS} numbers a row": (
            _svmlight(folder / "numbers.svm", sp.csr_array(numbers), numbers[:, 0]),
            numbers.shape[0],
            svmlight,
        ),
    }
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        print(f"tables: skipped, {error}")
        return cases
    table = pandas.DataFrame(
        {f"number{j}": random.standard_normal(rows).round(3) for j in range(4)}
    )
    for j, levels in enumerate(LEVELS[:2]):
        table[f"text{j}"] = np.char.add("level ", random.integers(levels, size=rows).astype(str))
    readers = {"csv": pandas.read_csv, "parquet": pandas.read_parquet}
    for form, theirs in readers.items():
        path = folder / f"table.{form}"
        if form == "csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
        source = from_parquet(path, target="number0", format=form)
        next(source.blocks(BLOCK))  # its levels are known
        cases[f"{form}, 4 numbers and 2 texts"] = (
            path,
            rows,
            {
                "fastgd": lambda path, source=source: _all(source),
                "fastgd, levels found first": lambda path, form=form: _all(
                    from_parquet(path, target="number0", format=form)
                ),
                "pandas, text left as it is": theirs,
                "bytes": _bytes,
            },
        )
    return cases


def _levels(random, rows):
    """A number and a level of each of several categories."""
    starts = 1 + np.cumsum([0, *LEVELS])
    codes = [random.integers(n, size=rows) + at for n, at in zip(LEVELS, starts[:-1], strict=True)]
    indices = np.column_stack([np.zeros(rows, np.int64), *codes])
    values = np.ones(indices.shape)
    values[:, 0] = random.uniform(0.1, 3.0, rows).round(3)
    indptr = np.arange(rows + 1) * indices.shape[1]
    X = sp.csr_array((values.ravel(), indices.ravel(), indptr), shape=(rows, int(starts[-1])))
    return X, random.integers(-30, 200, rows)


def _svmlight(path, X, y):
    from sklearn.datasets import dump_svmlight_file

    dump_svmlight_file(X, y, str(path))
    return path


def _all(source):
    for _ in source.blocks(BLOCK):
        pass


def _bytes(path):
    with open(path, "rb", buffering=0) as file:
        part = bytearray(1 << 20)
        while file.readinto(part):
            pass


def samples(figures):
    """Seconds of each reader."""
    return {
        f"readers {case}, {reader}, s": seconds
        for case, found in figures["cases"].items()
        for reader, seconds in found["seconds"].items()
    }
