"""What every test may rely on: a headless backend, markers that follow the JIT, and the real
data where they are.
"""

import collections
import importlib.util
import os
import sys
from pathlib import Path

import numba
import pytest

from fastgd.certificates import vector_newton_proof
from fastgd.data import sources
from fastgd.objective import vector_gram
from fastgd.runtime import threads, workers

os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]
# The bench is no part of the package: its tests import it from the source tree, where there is one.
if (ROOT / "bench/__main__.py").is_file():
    sys.path.append(str(ROOT))
else:
    collect_ignore = ["bench"]

DATA = Path(os.environ.get("FASTGD_DATA", ROOT.parent / "shared" / "data"))


@pytest.hookimpl(tryfirst=True)  # before marks are looked at
def pytest_collection_modifyitems(items):
    plain, of_test = bool(numba.config.DISABLE_JIT), collections.Counter()
    for item in items:
        thinned = item.get_closest_marker("thinned")
        if thinned:
            name = item.nodeid.split("[")[0]
            if of_test[name] % thinned.kwargs["plain" if plain else "compiled"]:
                item.add_marker(pytest.mark.long)
            of_test[name] += 1
    skip = pytest.mark.skip(reason="needs the JIT" if plain else "says the same without the JIT")
    for item in items:
        marked = item.get_closest_marker("jit" if plain else "plain")
        if marked or (plain and "real_data" in getattr(item, "fixturenames", ())):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def small_chunks_are_blocks(monkeypatch):
    """Chunks of a few rows are not joined: what is done for many blocks is done for them."""
    monkeypatch.setattr(sources, "GATHERED", 0)


@pytest.fixture
def shared_work(monkeypatch):
    """Work on any number of values is shared by threads, as that on 100,000 is: a list of the
    numbers of threads that were woken.
    """
    woken = []

    def noted(size):
        woken.append(size)
        return workers.workers(size)

    monkeypatch.setattr(threads, "workers", noted)
    for module in (threads, vector_gram, vector_newton_proof):
        monkeypatch.setattr(module, "MIN_PER_THREAD", 1)
    return woken


@pytest.fixture(scope="session")
def real_data():
    """A function name -> (X, y, n_train, extra) that reads a data set once; skips where the
    folder is absent.
    """
    if not (DATA / "load.py").is_file():
        pytest.skip(f"no real data: {DATA} has no load.py (set FASTGD_DATA)")
    spec = importlib.util.spec_from_file_location("real_data_loader", DATA / "load.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    kept = {}

    def load(name):
        if name not in kept:
            kept[name] = loader.load(name)
        return kept[name]

    return load
