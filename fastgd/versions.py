"""What a report of a problem should tell: versions, threads, and where compiled code is kept."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from fastgd import __version__
from fastgd.runtime.jit import cache_folder
from fastgd.runtime.threads import count_threads

PACKAGES = ("numba", "llvmlite", "numpy", "scipy", "scikit-learn")


def show_versions() -> None:
    """Print versions, threads, and the folder and size of the cache of compiled code.

    Examples
    --------
    >>> show_versions()  # doctest: +SKIP
    """
    lines = [("python", sys.version.split()[0]), ("platform", platform.platform())]
    lines += [("fastgd", __version__), *((name, _version(name)) for name in PACKAGES)]
    lines += [("threads", str(count_threads(None))), ("cache", cache_in_words())]
    for name, value in lines:
        print(f"{name:<13} {value}")


def cache_in_words():
    """Folder, files and size of the cache of compiled code."""
    folder = cache_folder()
    if folder is None:
        return "none: no folder can be written to, or FASTGD_CACHE=0"
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files) / 1e6
    return f"{folder}: {len(files)} files, {size:.1f} MB"


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
