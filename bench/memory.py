"""Peak memory of a fit beyond its input, each in a process of its own.

A process reads the data, fits a corner of them (imports and kernels are not the fit's), gives back
what is free, and then watches its peak during the fit. Allowed is a tenth of X, four vectors of
length n, what the method needs in d (`in d`), and a copy of X where it is neither in C order nor
CSR, which `plan_` has to name.
"""

import contextlib
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

from .data import folder_loader, note
from .report import columns, cores, progress

VECTORS, MATRICES = 12, 6  # what a method may need in d: vectors, and where d is small, matrices
MAX_FOR_MATRIX = 4000
RANDOM = "dense", "small", "sparse"  # cases that are random numbers
CLEAR = Path("/proc/self/clear_refs")
SLACK = 4.0  # MB: the resolution of a process's pages, the stacks of threads

CHILD = """
import json, sys, warnings
import numpy as np, scipy.sparse as sp
from bench.memory import make, megabytes, start_of_peak
from fastgd import GDClassifier

X, y = make(sys.argv[1])
threads = int(sys.argv[2])
warnings.simplefilter("ignore")
corner = np.linspace(0, y.size - 1, min(y.size, 3000)).astype(int)
part = X[corner]
part = np.asfortranarray(part) if not sp.issparse(X) and not X.flags.c_contiguous else part
model = GDClassifier(alpha=1.0 / y.size, n_jobs=threads).fit(part, y[corner])
peaks = []
for _ in range(3):
    del model
    before = start_of_peak()
    model = GDClassifier(alpha=1.0 / y.size, n_jobs=threads).fit(X, y)
    peaks.append(megabytes("VmHWM") - before)
parts = (X.data, X.indices, X.indptr) if sp.issparse(X) else (X,)
print(json.dumps({"peaks": peaks, "X": sum(part.size * part.itemsize for part in parts) / 1e6,
                  "shape": X.shape,
                  "plan": str(model.plan_), "solver": str(model.plan_.solver),
                  "suboptimality": model.suboptimality_}))
"""


def megabytes(key):
    """What /proc says of this process by this word."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) * 1024 / 1e6


def start_of_peak():
    """MB that this process holds, when it has given back what is free and its peak starts again;
    None where there is no /proc of Linux.
    """
    if not CLEAR.exists():
        return None
    gc.collect()
    with contextlib.suppress(OSError):  # of other systems' libraries
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    CLEAR.write_text("5")
    return megabytes("VmRSS")


def make(name):
    """X and y of a case: data in the folder, or `dense` or `sparse` numbers at random, with a
    form of storage.
    """
    import numpy as np
    import scipy.sparse as sp

    from .data import load, signs

    data, _, form = name.partition(" ")
    random = np.random.default_rng(0)
    if data in RANDOM[:2]:
        X = random.standard_normal((500_000 if data == "dense" else 2000, 40))
        y = np.sign(X[:, 0] + random.standard_normal(X.shape[0]))
    elif data == "sparse":
        n, d, k = 200_000, 100_000, 30
        indices = np.sort(random.integers(d, size=(n, k)), axis=1).astype(np.int32).ravel()
        X = sp.csr_array(
            (random.standard_normal(n * k), indices, np.arange(0, n * k + 1, k, dtype=np.int32)),
            shape=(n, d),
        )
        X.sum_duplicates()
        y = np.sign(X[:, :1000].sum(axis=1) + random.standard_normal(n))
    else:
        X, y = load(data)
        y = signs(y)
    if form == "F":
        X = np.asfortranarray(X)
    elif form == "strided":
        X = np.repeat(X, 2, axis=1)[:, ::2]
    elif form == "float32":
        X = X.astype(np.float32)
    return X, np.asarray(y, dtype=np.float64)


def run(names=None, threads=None):
    """Print the table and return its figures; by default of random numbers and, where it is, the
    data folder.
    """
    if not CLEAR.exists():
        print("memory: skipped, it takes Linux, whose /proc can start a process's peak again")
        return {"cases": {}}
    cases = ["dense", "dense F", "dense strided", "dense float32", "sparse"]
    cases += (
        ["covtype_binary", "covtype_binary F", "news20_binary", "census"] if folder_loader() else []
    )
    figures, rows = {}, []
    for case in names or cases:
        progress(f"memory: {case}")
        data = case.partition(" ")[0]
        if data not in RANDOM:
            note(data)  # which a process of its own reads
        figures[case] = found = _child(case, threads or cores())
        rows.append(_row(case, found))
    progress("")
    print(
        columns(
            rows,
            [
                "fit (log loss, alpha 1/n)",
                "X MB",
                "peak beyond it MB",
                "0.1 X + 4 n MB",
                "copy MB",
                "in d MB",
                "allowed",
                "solver",
            ],
        )
    )
    for case, found in figures.items():
        if found["copied"]:
            print(f"{case}: a copy of X, {'named' if found['named'] else 'NOT NAMED'} in plan_")
    return {"cases": figures}


def _child(case, threads):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, case, str(threads)],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the process that fits {case} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _row(case, found):
    """Cells of a case; adds to its figures what is allowed."""
    (n, d), X, peak = found["shape"], found["X"], max(found["peaks"])
    always = 0.1 * X + 4 * 8 * n / 1e6
    in_d = (VECTORS * d + (MATRICES * d * d if d <= MAX_FOR_MATRIX else 0)) * 8 / 1e6
    found["copied"] = case.endswith((" F", " strided")) and peak > always + in_d + SLACK
    found["named"] = (
        "copy" in found["plan"] or "copies" in found["plan"] or "copied" in found["plan"]
    )
    allowed = always + in_d + (X if found["copied"] else 0.0) + SLACK
    found["met"] = peak <= allowed
    return [
        case,
        f"{X:.1f}",
        f"{peak:.1f}",
        f"{always:.1f}",
        f"{X:.1f}" if found["copied"] else "-",
        f"{in_d:.1f}",
        "met" if found["met"] else f"MISSED by {peak - allowed:.0f} MB",
        found["solver"],
    ]


def samples(figures):
    return {
        f"memory {case} fastgd, MB": [max(found["peaks"])]
        for case, found in figures["cases"].items()
    }
