"""What a search costs: a path of alphas against one fit, and scikit-learn's grid search against
SGDClassifier's.

- the path: seconds of `fit_path` over 30 alphas, and of one `GDClassifier` fit from zero at the
  smallest of them, in the same warm process, in turns; one and two threads.
- the grid: seconds of `GridSearchCV` over 20 settings with `n_jobs=2`, in a process of its own,
  from its start to the last score, imports and joblib's workers included but not the reading of
  the data, for `GDClassifier` and `SGDClassifier`; the best mean score of each, and the processor
  seconds of all these processes against the seconds (more than `n_jobs` would be more threads than
  were asked for).
"""

import json
import subprocess
import sys
import time
import warnings
from statistics import median

import numpy as np

from .data import load

ALPHAS = 30
THREADS = (1, 2)
JOBS = 2
GRID = {"alpha": np.logspace(-6, -2, 10).tolist(), "loss": ["log_loss", "squared_hinge"]}
NAMES = "fastgd", "sklearn"


def run(data="a9a", rounds=5, of=NAMES):
    """Print both tables, the grid searches `of` these estimators, and return the figures."""
    figures = {"path": path(*load(data), rounds), "grid": grid(data, max(rounds // 2, 1), of)}
    for threads, seen in figures["path"].items():
        print(
            f"path of {ALPHAS} alphas, {threads} threads: {seen['path']:.3f} s; a fit at the "
            f"smallest {seen['fit']:.3f} s; ratio {seen['ratio']:.2f} (rounds: "
            f"{', '.join(f'{r:.2f}' for r in seen['ratios'])})"
        )
    for name, seen in figures["grid"].items():
        print(
            f"grid search, {name}: {seen['seconds']:.2f} s, best mean score {seen['score']:.5f} "
            f"with {seen['best']}, processor seconds / seconds {seen['use']:.2f}"
        )
    return figures


def path(X, y, rounds=5):
    """Seconds of a path and of a fit, by number of threads: medians, and the ratio of each
    round.
    """
    from fastgd import GDClassifier
    from fastgd.model_selection.alpha_grid import alpha_grid
    from fastgd.model_selection.alpha_path import fit_path

    figures = {}
    for threads in THREADS:
        estimator = GDClassifier(n_jobs=threads)
        alphas = alpha_grid(estimator, X, y, ALPHAS, n_threads=threads)
        seconds = []
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            GDClassifier(alpha=alphas[-1], n_jobs=threads).fit(X, y)
            middle = time.perf_counter()
            for _model in fit_path(estimator, X, y, alphas, n_threads=threads):
                pass
            seconds.append((middle - begin, time.perf_counter() - middle))
        fits, paths = zip(*seconds[1:], strict=True)  # the first round compiles
        ratios = [p / f for f, p in seconds[1:]]
        figures[str(threads)] = {
            "fit": median(fits),
            "path": median(paths),
            "ratio": median(ratios),
            "ratios": ratios,
            "paths": list(paths),
        }
    return figures


def grid(data, rounds=2, of=NAMES):
    """Figures of the grid searches, each in a process of its own; the median of a few rounds, in
    iterations.
    """
    seen = {name: [] for name in of}
    for _ in range(rounds):
        for name in of:
            before, begin = _spent(), time.perf_counter()
            command = [
                sys.executable,
                "-c",
                "import sys; from bench.search import alone; alone(*sys.argv[1:])",
            ]
            output = subprocess.run(
                [*command, name, data], check=True, capture_output=True, text=True
            ).stdout
            seconds = time.perf_counter() - begin
            found = json.loads(output.splitlines()[-1])
            use = (_spent() - before) / seconds
            seen[name].append({**found, "seconds": seconds - found["loading"], "use": use})
    return {
        name: sorted(rows, key=lambda row: row["seconds"])[len(rows) // 2]
        for name, rows in seen.items()
    }


def _spent():
    """Processor seconds of the processes that this one started and that have ended; NaN on Windows,
    which does not tell.
    """
    try:
        import resource
    except ImportError:
        return float("nan")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def alone(name, data):
    """One grid search, its figures as JSON; reading the data is timed apart."""
    begin = time.perf_counter()
    X, y = load(data)
    loading = time.perf_counter() - begin
    from sklearn.model_selection import GridSearchCV

    warnings.simplefilter("ignore")
    if name == "fastgd":
        from fastgd import GDClassifier

        estimator = GDClassifier(random_state=0)
    else:
        from sklearn.linear_model import SGDClassifier

        estimator = SGDClassifier(random_state=0)
    search = GridSearchCV(estimator, GRID, n_jobs=JOBS, cv=5, error_score="raise").fit(X, y)
    print(
        json.dumps(
            {"score": float(search.best_score_), "best": search.best_params_, "loading": loading}
        )
    )


def samples(figures):
    """Seconds of paths and of grid searches."""
    found = {
        f"search path fastgd, {threads} threads, s": seen["paths"]
        for threads, seen in figures["path"].items()
    }
    return found | {
        f"search grid {name}, s": [seen["seconds"]] for name, seen in figures["grid"].items()
    }
