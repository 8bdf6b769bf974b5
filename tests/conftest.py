"""What every test may rely on: a headless backend, markers that follow the JIT, and the real
data where they are.
"""

import collections
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import numba
import pytest

from fastgd.certificates import vector_newton_proof
from fastgd.data import sources
from fastgd.objective import vector_gram
from fastgd.runtime import threads, workers
from support.thinning import THINNED, most_different, values_of

os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]
# The bench is no part of the package: its tests import it from the source tree, where there is one.
if (ROOT / "bench/__main__.py").is_file():
    sys.path.append(str(ROOT))
else:
    collect_ignore = ["bench"]

DATA = Path(os.environ.get("FASTGD_DATA", ROOT.parent / "shared" / "data"))


@pytest.hookimpl(tryfirst=True)  # before marks are looked at
def pytest_collection_modifyitems(config, items):
    plain = bool(numba.config.DISABLE_JIT)
    thinned = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("thinned") and not item.get_closest_marker("long"):
            thinned[item.nodeid.split("[")[0]].append(item)
    for cases in thinned.values():
        every = cases[0].get_closest_marker("thinned").kwargs["plain" if plain else "compiled"]
        stay = most_different([values_of(case) for case in cases], every)
        for number, case in enumerate(cases):
            if number not in stay:
                case.add_marker(pytest.mark.long)
    reason = "needs the JIT, or takes long without" if plain else "says the same without the JIT"
    skip = pytest.mark.skip(reason=reason)
    for item in items:
        marked = item.get_closest_marker("jit" if plain else "plain")
        if marked or (plain and "real_data" in getattr(item, "fixturenames", ())):
            item.add_marker(skip)
    config.stash[THINNED] = {name: values_that_run(cases) for name, cases in thinned.items()}
    if "FASTGD_THINNED" in os.environ:
        Path(os.environ["FASTGD_THINNED"]).write_text(json.dumps(config.stash[THINNED]))


def values_that_run(cases):
    runs = {}
    for case in cases:
        left_out = case.get_closest_marker("long") or case.get_closest_marker("skip")
        for value in values_of(case):
            runs[value] = runs.get(value, False) or not left_out
    return runs


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


@pytest.fixture
def heard():
    """Ctrl-C is heard: a shell that starts tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
