"""What a comparison leaves behind: a table in the terminal, a JSON with the raw points, a picture."""

import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

PACKAGES = ("fastgd", "numba", "numpy", "scipy", "scikit-learn")
RIVALS = ("celer", "cyanure", "glum", "liblinear-official", "scikit-learn-intelex", "skglm", "snapml")


def progress(text):
    """One line that is written over where a terminal is there, else nothing."""
    if sys.stderr.isatty():
        print(f"\r{text[:78]:78s}", end="\r" if not text else "", file=sys.stderr, flush=True)


def machine():
    """Kind of machine and versions; no names and no paths."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    kinds = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = {f"{lib['internal_api']} {lib['version']}" for lib in threadpool_info() if lib["user_api"] == "blas"}
    return {
        "processor": kinds[0] if kinds else platform.processor() or platform.machine(), "cores": cores,
        "system": platform.system(), "python": platform.python_version(), "blas": sorted(blas),
        **{name: _version(name) for name in PACKAGES},
        **{name: version for name in RIVALS if (version := _version(name))},
    }  # fmt: skip


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return __import__(package).__version__ if package == "fastgd" else None  # run from a checkout


def columns(rows, header):
    """Text in columns: the first to the left, the rest to the right."""
    widths = [max(len(row[c]) for row in [header, *rows]) for c in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def number(value, digits=3):
    """A number short enough for a column; `-` for None."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if value < 1000 or not np.isfinite(value) else f"{value:.0f}"


def table(curves, accuracies):
    """Seconds and passes to each accuracy, the quickest to the finest accuracy first."""
    header = ["solver", "compile s", *(text for a in accuracies for text in (f"s to {a:g}", "passes")), "best"]

    def rank(curve):
        reached = [curve.reach(a) for a in accuracies]
        return [(r is None, r[0] if r else 0.0) for r in reversed(reached)], curve.best

    rows = []
    for curve in sorted((c for c in curves if c.points), key=rank):
        cells = [c for a in accuracies for c in map(number, curve.reach(a) or (None, None))]
        rows.append([curve.name, number(curve.compile, 2), *cells, f"{curve.best:.0e}"])
    left_out = [f"{c.name}: skipped, {c.skipped}" for c in curves if c.skipped]
    left_out += [f"{c.name}: failed, {c.failed}" for c in curves if c.failed]
    return "\n".join([columns(rows, header), *left_out])


def save(folder, name, content):
    """Write `content` and the machine as JSON; returns the path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    about = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    path.write_text(json.dumps(about | content, indent=1))
    return path


def picture(path, problem, curves):
    """Suboptimality against seconds and passes; returns the path, or None without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return None
    # By family: a colour (told apart by the colour-blind), a line style (told apart in grey); by solver: a marker.
    styles = {
        "fastgd": ("#0072B2", "-"),
        "Objective": ("#D55E00", "--"),
        "numpy": ("#777777", ":"),
        "sklearn": ("#009E73", "-."),
    }
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), sharey=True, layout="constrained")
    for k, curve in enumerate(c for c in curves if c.points):
        family = next(key for key in styles if key in curve.name.split("/"))
        colour, line = styles[family]
        for axis, x in ((axes[0], [p.seconds for p in curve.points]), (axes[1], [p.passes for p in curve.points])):
            y = [max(p.suboptimality, 1e-15) for p in curve.points]
            if None not in x:
                axis.loglog(x, y, line, color=colour, marker="osv^D<>px*hP8dX"[k % 15], ms=4, lw=1.2, label=curve.name)
    axes[0].set(xlabel="seconds (median, without compiling)", ylabel="(F - F*) / F*", ylim=(1e-15, None))
    axes[1].set(xlabel="passes over the data")
    figure.suptitle(f"{problem.name}, {problem.loss}, alpha = {problem.alpha:.3g}")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
