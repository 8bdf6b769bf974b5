"""What the first call costs: imports, the first fit on an empty cache of kernels, and the first in a second process.

Everything is measured inside fresh processes, and the medians of some rounds are shown.
"""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

from .report import columns, progress

CLOCKS = """
import json, sys, time

def now():
    return time.perf_counter(), time.process_time()

def since(start, stop):
    return [b - a for a, b in zip(start, stop)]
"""

IMPORTS = """
a = now(); import sklearn.linear_model
b = now(); import fastgd
c = now(); from fastgd import GDClassifier
d = now()
print(json.dumps({"sklearn": since(a, b), "fastgd": since(b, c), "GDClassifier": since(b, d)}))
"""

FIRST_FIT = """
import sklearn.linear_model, sklearn.datasets
X, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
if sys.argv[1] == "csr":
    import scipy.sparse
    X, y = sklearn.datasets.load_digits(return_X_y=True)
    X, y = scipy.sparse.csr_array(X), y % 2
a = now()
from fastgd import GDClassifier
b = now()
from numba.core import event

class Compiled(event.Listener):
    depth, outer = 0, []
    def on_start(self, e):
        self.outer += [] if self.depth else [e.data["dispatcher"].py_func.__name__]
        self.depth += 1
    def on_end(self, e):
        self.depth -= 1

event.register("numba:compile", Compiled())
fits = []
for _ in range(8):
    c = now()
    GDClassifier().fit(X, y)
    fits.append(since(c, now()))
imported, warm = since(a, b), [sorted(times)[3] for times in zip(*fits[1:])]
extra = [i + f - w for i, f, w in zip(imported, fits[0], warm)]
print(json.dumps({"import": imported, "first": fits[0], "warm": warm, "extra": extra, "kernels": Compiled.outer}))
"""


def _child(code, *arguments, cache=None):
    environment = os.environ | ({} if cache is None else {"NUMBA_CACHE_DIR": cache})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLOCKS + code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"a process of the cold benchmark failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run(rounds=5, storages=("dense", "csr")):
    """Print the table and return the figures."""
    imports = []
    for r in range(rounds + 1):
        progress(f"imports, round {r} of {rounds}")
        imports.append(_child(IMPORTS))
    imports = _medians(imports[1:])  # the first process reads the files from the disk
    rows = [
        _row("import sklearn.linear_model", imports["sklearn"]),
        _row("import fastgd, after it", imports["fastgd"], 0.3),
        _row("from fastgd import GDClassifier, after it", imports["GDClassifier"], 0.3),
    ]
    figures = {"imports": imports, "fits": {}}
    for storage in storages:
        empty, second = [], []
        for r in range(rounds):
            progress(f"first fit, {storage}, round {r + 1} of {rounds}")
            with tempfile.TemporaryDirectory() as cache:
                empty.append(_child(FIRST_FIT, storage, cache=cache))
                second.append(_child(FIRST_FIT, storage, cache=cache))
        kernels = empty[0]["kernels"]
        empty, second = _medians(empty), _medians(second)
        figures["fits"][storage] = {"empty cache": empty, "second process": second, "kernels": kernels}
        rows += [
            _row(f"{storage}: first fit, empty cache", empty["first"], 5.0),
            _row(f"{storage}: second process, first fit", second["first"]),
            _row(f"{storage}: second process, import + first fit - warm fit", second["extra"], 0.6),
            _row(f"{storage}: warm fit", second["warm"]),
            [f"{storage}: kernels compiled by a fit", str(len(kernels)), "-", _verdict(len(kernels), 4)],
        ]
    progress("")
    print(columns(rows, ["what", "seconds", "cpu seconds", "target"]))
    for storage, found in figures["fits"].items():
        print(f"{storage}: compiled {', '.join(found['kernels'])}")
    return figures


def _row(what, times, target=None):
    """Seconds by the clock, which are judged, and of the processor, which others on the machine disturb less."""
    return [what, *(f"{seconds:.3f}" for seconds in times), _verdict(times[0], target)]


def _verdict(value, target):
    return "-" if target is None else f"<= {target:g} {'met' if value <= target else 'MISSED'}"


def _medians(results):
    """Of each pair of times over the rounds."""
    keys = [key for key in results[0] if key != "kernels"]
    return {key: [median(times) for times in zip(*(r[key] for r in results), strict=True)] for key in keys}
