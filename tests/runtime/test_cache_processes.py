"""The disk cache of kernels across processes: shared by all, and never stale."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd


@pytest.fixture
def start(tmp_path):
    """A function that starts a script of the test's folder in a process with the test's cache."""
    paths = [str(tmp_path), str(Path(fastgd.__file__).parents[1])]
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    environment.pop("FASTGD_CACHE", None)

    def start(*arguments, seed=0, script="script.py"):
        return subprocess.Popen(
            [sys.executable, "-W", "error", script, *arguments],
            cwd=tmp_path,
            env={**environment, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def read(process):
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return output.split()


USER_MODULE = """
import numpy as np
from fastgd.runtime.component import Component, required
from fastgd.runtime.jit import kernel
from constants import BIAS, softened

class Loss(Component, family=True):
    @required
    def value(self, x):
        "Value."

class Imported(Loss):
    scale: float = 1.0
    def value(self, x):
        return self.scale * softened(x) + BIAS

@kernel
def total(loss, x):
    result = 0.0
    for i in range(x.size):
        result += loss.value(x[i])
    return result
"""
CONSTANTS = """
from fastgd.runtime.jit import kernel
BIAS = 1.0
@kernel
def softened(x):
    return x * 2.0
"""
SCRIPT = """
import os, sys, threading
import fastgd, fastgd.runtime.jit, fastgd.runtime.component
dispatchers = vars(fastgd.runtime.jit).values()
assert not [d for d in dispatchers if getattr(d, "signatures", None)], "import compiles something"
import numpy as np
from user import Loss, total
if "imported" in sys.argv:
    from user import Imported

class Own(Loss):
    scale: float = 1.0
    def value(self, x):
        return self.scale * np.sqrt(x)

results = [total(Own(2.0), np.ones(3))]
if "imported" in sys.argv:
    results.append(total(Imported(), np.ones(3)))
hits, misses = (sum(c.values()) for c in (total.stats.cache_hits, total.stats.cache_misses))
if "ship" in sys.argv:  # as joblib's workers get it
    try:
        import cloudpickle
    except ImportError:
        from joblib.externals import cloudpickle

    with open("shipped", "wb") as file:
        cloudpickle.dump(Own(2.0), file)
if hasattr(os, "fork") and "fork" in sys.argv:
    child = os.fork()
    if child == 0:
        os._exit(int(total(Own(1.0), np.ones(3)) + total(Own(1.0), np.ones(3, np.float32))))
    results.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(hits, misses, *results)
"""

WORKER = """
import pickle
import numpy as np
from user import total
with open("shipped", "rb") as file:
    own = pickle.load(file)
result = total(own, np.ones(3))
print(*(sum(c.values()) for c in (total.stats.cache_hits, total.stats.cache_misses)), result, own)
"""


@pytest.mark.jit
def test_a_users_script_is_cached_across_processes_and_never_stale(tmp_path, start):
    for name, text in [("user", USER_MODULE), ("constants", CONSTANTS), ("script", SCRIPT)]:
        (tmp_path / f"{name}.py").write_text(text)
    both = [
        start("imported", seed=seed) for seed in (1, 2)
    ]  # two processes that write the same files
    for process in both:
        assert read(process)[2:] == ["6.0", "9.0"]
    assert read(start("imported", "fork", "ship", seed=3)) == ["2", "0", "6.0", "9.0", "6"]
    (tmp_path / "worker.py").write_text(WORKER)
    assert read(start(seed=4, script="worker.py")) == ["1", "0", "6.0", "Own(scale=2.0)"]

    (tmp_path / "constants.py").write_text(
        CONSTANTS.replace("x * 2.0", "x * 3.0").replace("BIAS = 1.0", "BIAS = 2.0")
    )
    (tmp_path / "script.py").write_text("# moves every line\n" + SCRIPT)
    assert read(start("imported", seed=4)) == ["1", "1", "6.0", "15.0"]

    # a module that is gone, whose classes were in the cache
    (tmp_path / "constants.py").write_text("BIAS = softened = None")
    assert read(start(seed=5)) == ["1", "0", "6.0"]


BEYOND_ARITHMETIC = """
import numpy as np
from fastgd.runtime.jit import kernel

@kernel
def mixed(text, n):
    return hash(text), np.full(n, 2.0)

hashed, values = mixed("abc", 2)
print(hashed == hash("abc"), *values, sum(mixed.stats.cache_hits.values()))
"""


@pytest.mark.jit
def test_code_that_needs_more_of_numba_than_arithmetic_runs_from_the_cache(tmp_path, start):
    (tmp_path / "script.py").write_text(BEYOND_ARITHMETIC)
    assert read(start()) == ["True", "2.0", "2.0", "0"]
    assert read(start(seed=1)) == ["True", "2.0", "2.0", "1"]
