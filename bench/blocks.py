"""Fits to files, block by block, beside the same fit in memory: objective, predictions, peak memory
and seconds, each in a process of its own.

Files are written to a temporary folder: data sets as svmlight, Parquet and CSV files, and 4 GB of
random numbers that are a memory map.  A process fits twice, for the first fit compiles; what counts
are the seconds of the second, with `memory=64e6`.  A reading of the file alone is timed too, for
each pass reads it again.  Another process, which finds all compiled, fits 1,000 rows, for what
imports and kernels take; its peak (Linux) above that is the one of its first fit to all rows: a
second one would find the memory that the first has left.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import fastgd
from fastgd import from_parquet, from_svmlight

from .data import folder_loader
from .memory import megabytes, start_of_peak
from .report import columns, number, progress

MEMORY = 64e6
TOL = 1e-12

CHILD = "import sys; from bench import blocks; getattr(blocks, sys.argv[1])(*sys.argv[2:])"
FEW_ROWS = 1000


def run(name=None, gigabytes=4.0, rows=None, processes=True):
    """Print the table and return its figures; without `processes`, which have to import and to load
    all again, only fits in memory have one of their own.
    """
    figures = {}
    load = folder_loader()
    _refuse_unknown(load, name)
    with tempfile.TemporaryDirectory() as folder:
        for case in _cases(load, name, rows):
            ways = _write(case, Path(folder))
            for way in ("memory", *ways):
                progress(f"{case['name']}: {way}")
                fit = _child if processes or way == "memory" else _here
                figures[f"{case['name']}, {way}"] = {
                    **fit("alone", case, folder, way),
                    **fit("peak_alone", case, folder, way),
                }
            models = {way: np.load(Path(folder) / f"model-{way}.npz") for way in ("memory", *ways)}
            for way in ways:
                own = figures[f"{case['name']}, {way}"]
                whole = figures[f"{case['name']}, memory"]
                own["gap"] = abs(own["objective"] / whole["objective"] - 1.0)
                own["moved"] = _moved(case, folder, way, models)
        throughput = _throughput(Path(folder), gigabytes) if gigabytes else None
    progress("")
    print(columns(_lines(figures), ["fit", "seconds", "passes", "a reading", "peak MB", "F", "z"]))
    if throughput:
        print(
            "{gigabytes:.1f} GB of random numbers: read plainly at {plain:.2f} GB/s, a pass of a "
            "fit at {fit:.2f} GB/s".format(**throughput)
        )
    return {"fits": figures, "throughput": throughput}


def alone(case, folder, way):
    """One fit in a process of its own: its figures as JSON, and its model as a file."""
    case = json.loads(case)
    warnings.simplefilter("ignore")
    estimator = getattr(fastgd, case["estimator"])(memory=MEMORY, **case["settings"])
    source = source_of(case, folder, way)
    rows = in_memory(source) if way == "memory" else (_of_known_levels(source),)
    estimator.fit(*rows)  # compiles all that the second one needs
    if way != "memory":
        rows = (_of_known_levels(source_of(case, folder, way)),)  # nothing is known from the first
    start = time.perf_counter()
    estimator.fit(*rows)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    for _ in source.blocks(int(MEMORY / 8)):
        pass
    reading = time.perf_counter() - start
    model = {"coef": estimator.coef_, "intercept": estimator.intercept_}
    np.savez(Path(folder) / f"model-{way}.npz", **model)
    found = {
        "seconds": seconds,
        "reading": reading,
        "objective": estimator.objective_,
        "suboptimality": estimator.suboptimality_,
        "kind": estimator.bound_kind_,
        "passes": float(estimator.history_["passes"][-1]),
        "plan": str(estimator.plan_),
    }
    print(json.dumps(found))


def peak_alone(case, folder, way):
    """The peak of a fit to all rows above what a process holds after one to a few, as JSON."""
    case = json.loads(case)
    warnings.simplefilter("ignore")
    estimator = getattr(fastgd, case["estimator"])(memory=MEMORY, **case["settings"])
    source = source_of(case, folder, way)
    rows = in_memory(source) if way == "memory" else (source,)
    few = source_of(case, folder, way, few=True)
    estimator.fit(*(in_memory(few) if way == "memory" else (few,)))
    before = start_of_peak()
    if before is not None:
        estimator.fit(*rows)
    print(json.dumps({"peak": None if before is None else megabytes("VmHWM") - before}))


def _of_known_levels(source):
    """The same source, once it has read what the levels of its categories are."""
    next(iter(source.blocks(1 << 22)))
    return source


def source_of(case, folder, way, few=False):
    """The source of a case, or of a few of its rows; in memory what its first file holds."""
    way = case["ways"][0] if way == "memory" else way
    path = Path(folder) / f"{case['name']}{'-few' if few else ''}.{way}"
    if way == "svm":
        return from_svmlight(path, n_features=case["n_features"])
    return from_parquet(path, format=way, **case["columns"])


def in_memory(source):
    """X and y of all blocks together."""
    blocks = list(source.blocks(1 << 26))
    stack = sp.vstack if sp.issparse(blocks[0].X) else np.concatenate
    X = stack([block.X for block in blocks])
    return (sp.csr_array(X) if sp.issparse(X) else X), np.concatenate([b.y for b in blocks])


# Data set, estimator, its settings, and the files.
OF_FOLDER = [
    # Not Huber's loss: rounding keeps its proof from 1e-12; it ends at 6e-12 after 55 passes.
    ("flights", "GDRegressor", {"loss": "squared_error"}, ("svm", "parquet", "csv")),
    ("french_motor", "GDRegressor", {"loss": "poisson"}, ("svm",)),
    ("mnist", "GDClassifier", {}, ("svm",)),
    ("news20_binary", "GDClassifier", {}, ("svm",)),
]
GENERATED = [("generated", "GDRegressor", {"loss": "huber"}, ("svm", "parquet", "csv"))]


def _refuse_unknown(load, name):
    """Where a name stands for no case nothing would be measured."""
    known = [one[0] for one in (GENERATED if load is None else [*OF_FOLDER, *GENERATED])]
    if name is not None and name not in known:
        without = " without a data folder (FASTGD_DATA)" if load is None else ""
        raise SystemExit(f"--data: blocks has {', '.join(known)}{without}, got {name!r}")


def _cases(load, name, rows):
    """What is fitted: data sets of the folder, where there is one, else generated ones."""
    cases = GENERATED if load is None or name == "generated" else OF_FOLDER
    for one, estimator, settings, ways in cases:
        if name is not None and one != name:
            continue
        X, y, table = _data(load, one)
        n = X.shape[0] if rows is None else min(rows, X.shape[0])
        yield {
            "name": one,
            "estimator": estimator,
            "settings": {**settings, "alpha": 1.0 / n, "tol": TOL, "max_iter": 100},
            "ways": ways,
            "n_features": X.shape[1],
            "levels": [float(level) for level in np.unique(y)]
            if estimator == "GDClassifier"
            else [],
            "columns": {}
            if table is None
            else {"target": "y", "categories": [c for c in table if c not in ("y", "number")]},
            "data": (X[:n], y[:n], None if table is None else {c: v[:n] for c, v in table.items()}),
        }


def _data(load, name):
    """X, y and a table of codes or None."""
    if name == "generated":
        rng = np.random.default_rng(0)
        n = 200_000
        table = {f"c{k}": rng.integers(0, levels, n) for k, levels in enumerate((7, 12, 24, 300))}
        parts = [
            sp.csr_array(np.eye(levels))[table[f"c{k}"]]
            for k, levels in enumerate((7, 12, 24, 300))
        ]
        table["number"] = rng.standard_normal(n)
        table["y"] = table["number"] + table["c0"] + rng.standard_t(2, n)
        return sp.csr_array(sp.hstack([*parts, table["number"][:, None]])), table["y"], table
    data = load(name)
    X, y = sp.csr_array(data.X), np.asarray(data.y, dtype=float)
    if name != "flights":
        return X, y, None
    table = {"y": y}
    values, places = X.data.reshape(X.shape[0], -1), X.indices.reshape(X.shape[0], -1)
    for k in range(values.shape[1]):
        if (values[:, k] == 1.0).all():
            table[f"c{k}"] = places[:, k] - places[:, k].min()
        else:
            table["number"] = values[:, k]
    return X, y, table


def _write(case, folder):
    """Write a case's files; the ways of reading them."""
    X, y, table = case.pop("data")
    # Evenly: of rows in the order of their classes the first have one alone.
    few = slice(None, None, -(-len(y) // FEW_ROWS))
    for way in case["ways"]:
        progress(f"{case['name']}: writing {way}")
        for name, own in ((case["name"], slice(None)), (f"{case['name']}-few", few)):
            path = folder / f"{name}.{way}"
            if way == "svm":
                _write_svmlight(path, sp.csr_array(X)[own], y[own])
            else:
                _write_table(path, way, {column: values[own] for column, values in table.items()})
    return case["ways"]


def _write_table(path, way, table):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    made = pa.table(table)
    if way == "csv":
        pyarrow.csv.write_csv(made, path)
    else:
        pyarrow.parquet.write_table(made, path, row_group_size=100_000)


def _write_svmlight(path, X, y):
    with path.open("w") as file:
        for i in range(X.shape[0]):
            own = slice(X.indptr[i], X.indptr[i + 1])
            pairs = zip(X.indices[own].tolist(), X.data[own].tolist(), strict=True)
            file.write(f"{y[i]:.17g} " + " ".join(f"{j + 1}:{v:.17g}" for j, v in pairs) + "\n")


def _child(work, case, folder, way):
    """The figures of one process."""
    root = Path(__file__).resolve().parent.parent
    path = f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, work, json.dumps(case), str(folder), way],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{case['name']}, {way}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _here(work, case, folder, way):
    """The same of this process."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        {"alone": alone, "peak_alone": peak_alone}[work](json.dumps(case), folder, way)
    return json.loads(printed.getvalue().splitlines()[-1])


def _moved(case, folder, way, models):
    """How far predictions for some rows are from those of memory, as a share of their spread."""
    source = source_of(case, folder, way)
    X = next(iter(source.blocks(1 << 22))).X
    if models[way]["coef"].shape != models["memory"]["coef"].shape:
        return np.nan
    scores = [
        X @ np.atleast_2d(model["coef"]).T + model["intercept"]
        for model in (models["memory"], models[way])
    ]
    return float(np.abs(scores[0] - scores[1]).max() / np.ptp(scores[0]))


def _throughput(folder, gigabytes):
    """GB/s of a plain reading of a large file, and of a pass of a fit to it."""
    from fastgd import Objective
    from fastgd.data.sources import ArraySource

    d = 50
    n = int(gigabytes * 1e9 / (8 * d))
    path = folder / "numbers"
    rng, step = np.random.default_rng(0), 1 << 16
    with path.open("wb") as file:
        for first in range(0, n, step):
            progress(f"writing {first / n:.0%}")
            rng.standard_normal((min(step, n - first), d)).tofile(file)
    X = np.memmap(path, dtype=np.float64, mode="r", shape=(n, d))
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(8_000_000)
        while file.readinto(buffer):
            pass
    plain = time.perf_counter() - start
    few = Objective("squared_error", ArraySource(X[:1000], np.zeros(1000)), memory=MEMORY)
    few.value_and_gradient(few.start())
    F = Objective("squared_error", ArraySource(X, np.zeros(n)), memory=MEMORY)
    v = np.ones(F.size)
    start = time.perf_counter()
    F.value_and_gradient(v)
    fit = time.perf_counter() - start
    size = X.nbytes / 1e9
    path.unlink()
    return {"gigabytes": size, "plain": size / plain, "fit": size / fit}


def _lines(figures):
    return [
        [
            name,
            f"{one['seconds']:.2f}",
            f"{one['passes']:.1f}",
            f"{one['reading']:.2f}",
            number(one["peak"]),
            f"{one['gap']:.0e}" if "gap" in one else f"{one['objective']:.12g}",
            f"{one['moved']:.0e}" if "moved" in one else "",
        ]
        for name, one in figures.items()
    ]


def samples(figures):
    """Seconds of each fit, for comparisons."""
    return {f"blocks fastgd {name}, s": [one["seconds"]] for name, one in figures["fits"].items()}
