"""What a run of the bench leaves behind: progress and tables in the terminal, and a JSON file."""

import atexit
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from .data import USED

TIMES = "s", "ns"  # units of figures that have noise
UNITS = *TIMES, "passes", "MB"
PACKAGES = ("fastgd", "numba", "numpy", "scipy", "scikit-learn")
RIVALS = (
    "celer",
    "python-glmnet",
    "cyanure",
    "glum",
    "liblinear-official",
    "scikit-learn-intelex",
    "skglm",
    "snapml",
)


def progress(text, share=None):
    """One line that is written over where a terminal is there, else nothing; an empty text takes
    it away.
    """
    if not sys.stderr.isatty():
        return
    bar = _bar()
    if bar is None:
        text = text if share is None else f"{100.0 * share:3.0f} % {text}"
        print(f"\r{text[:78]:78s}", end="\r" if not text else "", file=sys.stderr, flush=True)
    elif text:
        bar.start()
        bar.update(
            bar.task_ids[0],
            description=text[:60],
            completed=share,
            total=None if share is None else 1.0,
        )
        bar.refresh()
    else:
        bar.stop()


@cache
def _bar():
    """The line of rich, or None where it is not installed; drawn by hand, for a thread would
    disturb the clocks.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    columns = (
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    bar.add_task("")
    atexit.register(bar.stop)  # the cursor comes back after Ctrl-C too
    return bar


def machine():
    """Kind of machine and versions; no names and no paths."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    kinds = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    blas = {
        f"{lib['internal_api']} {lib['version']}"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    }
    return {
        "processor": kinds[0] if kinds else platform.processor() or platform.machine(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "blas": sorted(blas),
        **{name: _version(name) for name in PACKAGES},
        **{name: version for name in RIVALS if (version := _version(name))},
    }


def about(content):
    """The machine and the versions of a saved run, as a line."""
    parts = [
        f"{name} {value}"
        for name, value in content["machine"].items()
        if name not in ("blas", "cores") and value
    ]
    return f"{content['date'][:10]}, {content['machine']['cores']} cores; {', '.join(parts)}"


def shown_path(path):
    """A path as seen from here; as it is where that cannot be said, on another drive of Windows."""
    try:
        return os.path.relpath(path)
    except ValueError:
        return os.fspath(path)


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # A checkout of fastgd need not be installed.
        return __import__(package).__version__ if package == "fastgd" else None


def columns(rows, header):
    """Text in columns: the first to the left, the rest to the right."""
    widths = [max(len(row[c]) for row in [header, *rows]) for c in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if c == 0 else cell.rjust(w)
            for c, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows, header):
    """The same as a table of Markdown."""
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]
    )


def number(value, digits=3):
    """A number short enough for a column; `-` for None."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if value < 1000 or not np.isfinite(value) else f"{value:.0f}"


def save(folder, name, content, samples, tried=None):
    """Write the date, the machine, the content and the samples as JSON; returns the path.

    `samples` maps a name, which ends in its unit (`UNITS`) and holds the word fastgd where the
    figure is fastgd's, to the values measured: what a later run is compared with. `tried` are the
    beginnings of the names that this run tried to measure; all names where it is None. Which data
    sets are real and which are generated is written beside them.
    """
    unknown = [name for name in samples if name.split()[-1] not in UNITS]
    if unknown:
        raise ValueError(f"names of samples end in one of {', '.join(UNITS)}, got {unknown}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    head = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    content = head | {"data": dict(USED)} | content | {"samples": samples}
    content |= {} if tried is None else {"tried": list(tried)}
    path.write_text(json.dumps(content, indent=1))
    return path
