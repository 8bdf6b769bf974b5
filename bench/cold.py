"""What the first call costs: imports, the first fit on an empty cache of kernels, in a second
process, and later ones.

Everything is measured inside fresh processes, and the medians of some rounds are shown.
scikit-learn beside it is the LogisticRegression that minimises the same objective (LinearSVC for
squared hinge, which penalises the intercept), with its default solver and tolerance, where that has
one.
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
print(json.dumps({"sklearn": since(a, b), "fastgd": since(b, c), "GDClassifier": since(c, d)}))
"""

# What is fitted: a storage, and what asks for other kernels than a fit of tabular data with an L2
# penalty does.
CASES = ("dense", "csr", "dense, l1", "csr, l1", "csr, l1, wide", "csr, rare columns")

# Of the estimator that sys.argv[2] names: import, first fit, warm fits, the first fit of other data
# with another loss, squared hinge, which scikit-learn has in LinearSVC.
FITS = """
import functools, numpy, scipy.sparse, sklearn.datasets
X, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
digits = sklearn.datasets.load_digits()
other = scipy.sparse.csr_array(digits.data), digits.target % 2
if sys.argv[1].startswith("csr"):
    (X, y), other = other, (X, y)
given = {"alpha": 1 / y.size, "random_state": 0}
if "l1" in sys.argv[1]:
    given |= {"alpha": 1e-3, "penalty": "l1"}
if "rare" in sys.argv[1] or "wide" in sys.argv[1]:
    n, d, given["alpha"] = (3000, 20_000, 1e-3) if "wide" in sys.argv[1] else (5000, 100, 1e-4)
    rng = numpy.random.default_rng(0)
    density = 30 / d if d > 100 else 0.01
    X = scipy.sparse.random_array((n, d), density=density, format="csr", random_state=rng)
    y = X @ rng.standard_normal(d) + 0.1 * rng.logistic(size=n) > 0.0
ours = sys.argv[2] == "fastgd"
if ours:
    import sklearn.linear_model
a = now()
if ours:
    from fastgd import GDClassifier
else:
    from sklearn.linear_model import LogisticRegression
b = now()
kind = functools.partial(GDClassifier, **given) if ours else LogisticRegression
if ours:
    another = functools.partial(kind, loss="squared_hinge")
else:
    from sklearn.svm import LinearSVC as another
names = []
if ours:
    from numba.core import event

    class Compiled(event.Listener):
        depth = 0
        def on_start(self, e):
            names.extend([] if self.depth else [e.data["dispatcher"].py_func.__name__])
            self.depth += 1
        def on_end(self, e):
            self.depth -= 1

    event.register("numba:compile", Compiled())

def timed(kind, X, y):
    c = now()
    kind().fit(X, y)
    return since(c, now())

fits = [timed(kind, X, y) for _ in range(8)]
kernels = list(names)
imported, warm = since(a, b), [sorted(times)[3] for times in zip(*fits[1:])]
extra = [i + f - w for i, f, w in zip(imported, fits[0], warm)]
print(json.dumps({"import": imported, "first": fits[0], "warm": warm, "extra": extra,
                  "other": timed(another, *other),
                  "kernels": kernels}))
"""


def _child(code, *arguments, cache=None):
    environment = os.environ | ({} if cache is None else {"NUMBA_CACHE_DIR": cache})
    # As installed packages are, sources are compiled to bytecode once: three quarters of our import
    # would be that.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
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


def run(rounds=5, cases=CASES):
    """Print the table and return the figures: for each line, (wall, processor) seconds of every
    round.
    """
    imports = []
    for r in range(rounds + 1):
        progress(f"imports, round {r} of {rounds}")
        imports.append(_child(IMPORTS))
    imports = imports[1:]  # the first process reads the files from the disk
    lines = {
        "import sklearn.linear_model": (None, [r["sklearn"] for r in imports], None),
        "import fastgd, after it": ([r["fastgd"] for r in imports], None, 0.3),
        "from fastgd import GDClassifier, after both": (
            [r["GDClassifier"] for r in imports],
            None,
            0.3,
        ),
    }
    kernels = {}
    for case in cases:
        kernels[case], of_case = _fits(case, rounds)
        lines |= of_case
    progress("")
    rows = [_row(what, *line) for what, line in lines.items()]
    print(columns(rows, ["what", "fastgd s", "cpu s", "scikit-learn s", "target"]))
    for case, names in kernels.items():
        verdict = "met" if len(names) <= 4 else "MISSED"
        print(f"{case}: a fit compiles {len(names)} kernels (<= 4 {verdict}): {', '.join(names)}")
    return {"lines": lines, "kernels": kernels}


def _fits(case, rounds):
    empty, second, theirs = [], [], []
    for r in range(rounds):
        progress(f"first fit, {case}, round {r + 1} of {rounds}")
        with tempfile.TemporaryDirectory() as cache:
            empty.append(_child(FITS, case, "fastgd", cache=cache))
            second.append(_child(FITS, case, "fastgd", cache=cache))
        if case in ("dense", "csr"):
            theirs.append(_child(FITS, case, "sklearn"))

    def of(results, key):
        return [r[key] for r in results]

    return empty[0]["kernels"], {
        f"{case}: first fit, empty cache": (of(empty, "first"), of(theirs, "first"), 3.0),
        f"{case}: first fit of a second process": (of(second, "first"), of(theirs, "first"), None),
        f"{case}: the same with the import, beyond a warm fit": (of(second, "extra"), None, 0.6),
        f"{case}: first fit of the other storage and another loss, warm process": (
            of(second, "other"),
            of(theirs, "other"),
            None,
        ),
        f"{case}: steady state": (of(second, "warm"), of(theirs, "warm"), None),
    }


def _row(what, ours, theirs, target):
    """Seconds by the clock, which are judged, and of the processor, which others on the machine
    disturb less.
    """
    clock, cpu = (median(column) for column in zip(*ours, strict=True)) if ours else (None, None)
    other = median(pair[0] for pair in theirs) if theirs else None
    verdict = "-" if target is None else f"<= {target:g} {'met' if clock <= target else 'MISSED'}"
    return [
        what,
        *("-" if seconds is None else f"{seconds:.4f}" for seconds in (clock, cpu, other)),
        verdict,
    ]


def samples(figures):
    """Only the rounds of fastgd: seconds by the clock."""
    return {
        f"cold fastgd, {what}, s": [pair[0] for pair in line[0]]
        for what, line in figures["lines"].items()
        if line[0]
    }
