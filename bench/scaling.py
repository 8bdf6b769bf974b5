"""Seconds of a fit with default settings against rows, columns and nonzeros, over three orders of
magnitude.

Slopes are of log seconds against log size, by least squares: over all sizes, and over the upper
half of them, where what a fit costs whatever its size no longer shows. Fits are warm, and the sizes
and threads take turns.
"""

import time
import warnings
from statistics import median

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from fastgd import GDClassifier

from .report import columns, progress

ROWS, COLUMNS = 2000, 20  # of the experiments that let the other one grow
SPARSE_ROWS, SPARSE_COLUMNS = 20_000, 50_000
THREADS = 1, 2


def _dense(n, d):
    random = np.random.default_rng(0)
    X = random.standard_normal((n, d))
    return X, np.where(X[:, :10].sum(axis=1) + 2.0 * random.standard_normal(n) > 0.0, 1.0, -1.0)


def _sparse(nonzeros):
    random = np.random.default_rng(0)
    each = max(round(nonzeros / SPARSE_ROWS), 1)
    rows = max(nonzeros // each, 1)
    indices = random.integers(SPARSE_COLUMNS, size=rows * each).astype(np.int32)
    X = sp.csr_array(
        (np.ones(rows * each), indices, np.arange(0, rows * each + 1, each)),
        shape=(rows, SPARSE_COLUMNS),
    )
    X.sum_duplicates()
    effects = random.standard_normal(SPARSE_COLUMNS)
    return X, np.where(X @ effects + np.sqrt(each) * random.standard_normal(rows) > 0.0, 1.0, -1.0)


EXPERIMENTS = {
    f"rows (dense, {COLUMNS} columns)": (lambda n: _dense(n, COLUMNS), 1e3, 1e6),
    f"columns (dense, {ROWS} rows)": (lambda d: _dense(ROWS, d), 10, 1e4),
    f"nonzeros (CSR, {SPARSE_ROWS} rows, {SPARSE_COLUMNS} columns)": (_sparse, 2e4, 2e7),
}


def run(rounds=5, most=np.inf, out=None):
    """Print a table of seconds and slopes, draw it, and return the figures; `most` caps the
    stored numbers.
    """
    figures = {}
    for name, (make, first, last) in EXPERIMENTS.items():
        sizes = [int(size) for size in np.geomspace(first, last, 7)]
        stored = {"rows": COLUMNS, "columns": ROWS}.get(name.split()[0], 1)
        few = [size for size in sizes if size * stored <= max(most, 2 * sizes[0] * stored)]
        few = few if len(few) > 1 else [sizes[0], 2 * sizes[0]]
        figures[name] = _measure(name, make, few, rounds)
        progress("")
        print(_text(name, figures[name]) + "\n")
    if out is not None and not np.isfinite(most):
        _draw(out / "scaling.png", figures)
    return {"experiments": figures}


def _measure(name, make, sizes, rounds):
    """For each size: seconds of every round by number of threads, passes, and the plan's solver."""
    found = []
    for k, size in enumerate(sizes):
        X, y = make(size)
        seconds = {str(threads): [] for threads in THREADS}
        for turn in range(rounds + 1):
            progress(f"{name}: {size}, round {turn} of {rounds}", k / len(sizes))
            for threads in THREADS:
                model = GDClassifier(alpha=1.0 / y.size, n_jobs=threads)
                with threadpool_limits(threads), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    begin = time.perf_counter()
                    model.fit(X, y)
                    # The first may compile.
                    seconds[str(threads)] += [time.perf_counter() - begin] if turn else []
            if turn and sum(map(sum, seconds.values())) > 10.0:
                break
        passes = float(model.history_["passes"][-1])
        plan = f"{model.plan_.solver}, {model.plan_.batch_size}"
        found.append({"size": size, "seconds": seconds, "passes": passes, "plan": plan})
    return found


def slope(sizes, seconds):
    """Of log seconds against log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _text(name, found):
    rows = []
    medians = {}
    sizes = [size["size"] for size in found]
    for size in found:
        times = {threads: median(values) for threads, values in size["seconds"].items()}
        for threads, value in times.items():
            medians.setdefault(threads, []).append(value)
        one, two = times.values()
        rows.append(
            [
                f"{size['size']:,}",
                f"{one:.4f}",
                f"{two:.4f}",
                f"{one / two:.2f}",
                f"{size['passes']:.1f}",
                size["plan"],
            ]
        )
    half = len(sizes) // 2
    slopes = [
        f"{threads} thread(s): slope {slope(sizes, times):.2f}, upper half "
        f"{slope(sizes[half:], times[half:]):.2f}"
        if len(sizes) > 3
        else f"{threads} thread(s): slope {slope(sizes, times):.2f}"
        for threads, times in medians.items()
    ]
    header = [name, "1 thread s", "2 threads s", "gain", "passes", "plan"]
    return "\n".join([columns(rows, header), *slopes])


def _draw(path, figures):
    """Seconds against size, a panel for each experiment; nothing without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(
        1, len(figures), figsize=(12, 3.6), sharey=True, layout="constrained"
    )
    for axis, (name, found) in zip(axes, figures.items(), strict=True):
        sizes = np.array([size["size"] for size in found])
        for threads, style in (("1", "o-"), ("2", "s--")):
            times = [median(size["seconds"][threads]) for size in found]
            axis.loglog(
                sizes,
                times,
                style,
                color="#0072B2" if threads == "1" else "#D55E00",
                ms=4,
                label=f"{threads} thread{'s' * (threads != '1')}",
            )
        axis.loglog(sizes, times[-1] * sizes / sizes[-1], ":", color="#777777", label="slope 1")
        what, _, rest = name.partition(" ")
        axis.set(xlabel=what)
        axis.set_title(rest.strip("()"), fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("seconds of a fit (tol 1e-4)")
    axes[0].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    plt.close(figure)


def samples(figures):
    return {
        f"scaling fastgd {name} {size['size']:,}, {threads} thread(s), s": values
        for name, found in figures["experiments"].items()
        for size in found
        for threads, values in size["seconds"].items()
    }
