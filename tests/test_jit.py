"""Kernels: what the flags promise, and a disk cache that is never stale, never fatal and shared by processes."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import fastgd
from fastgd import _jit
from fastgd._component import Component, required
from fastgd._jit import cache_folder, kernel

jit = pytest.mark.jit
BIAS = 1.0


class Shift(Component, family=True):
    @required
    def move(self, x):
        """`x`, moved."""


class Up(Shift):
    by: float = 1.0

    def move(self, x):
        return x + self.by * BIAS


@kernel
def add(a, b):
    return a + b


def sum_of(x):
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


def moved(shift, x):
    return add(shift.move(x), 0.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache for this test, as the user would set it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    _jit._warn_once.cache_clear()
    _jit._touch.cache_clear()
    return tmp_path


def files(folder, function=moved):
    return sorted(folder.rglob(f"{function.__qualname__}-*.nbc"))


def counts(made):
    return sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values())


# ---- the decorator


def test_without_the_jit_a_kernel_is_the_function(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert kernel(moved) is moved
    assert kernel(relaxed=True)(moved) is moved


def test_kernels_call_each_other_and_components():
    assert kernel(moved)(Up(2), 3.0) == 5.0
    assert kernel()(sum_of)(np.ones(3)) == 3.0


@jit
def test_flags():
    strict, relaxed = kernel(sum_of), kernel(relaxed=True)(sum_of)
    assert strict.targetoptions["nogil"]
    assert strict.targetoptions["fastmath"] == {"contract", "nsz"}
    assert relaxed.targetoptions["fastmath"] == {"contract", "nsz", "reassoc"}
    x = np.tile([1e16, 1.0, -1e16, 1.0], 64)  # a sum that depends on its order
    assert strict(x) == sum_of(x)  # to the bit
    assert relaxed(x) != sum_of(x) or numba.config.BOUNDSCHECK
    assert relaxed(np.ones(9)) == 9.0


@jit
@pytest.mark.parametrize("relaxed", [False, True])
def test_nan_and_division_by_zero_keep_their_meaning(relaxed):
    @kernel(relaxed=relaxed)
    def odd(x, y):
        return np.isfinite(x), np.isnan(x), x / y, x == x

    assert odd(np.nan, 1.0)[:2] == (False, True)
    assert not odd(np.nan, 1.0)[3]
    assert odd(np.inf, 1.0)[:2] == (False, False)
    assert odd(1.0, 0.0)[2] == np.inf


# ---- the folder


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTGD_CACHE", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    default = cache_folder()
    if sys.platform != "darwin":
        assert default.parent == tmp_path / "fastgd"
    assert not list(tmp_path.iterdir())  # asking makes nothing
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1 - int(numba.config.BOUNDSCHECK or 0))
    assert cache_folder() != default
    assert cache_folder().parent == default.parent
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder().parent == tmp_path / "mine" / "fastgd"
    monkeypatch.setenv("FASTGD_CACHE", "0")
    assert cache_folder() is None


def test_all_sources_are_in_the_key(monkeypatch, tmp_path):
    package = tmp_path / "package"
    (package / "kernels").mkdir(parents=True)
    monkeypatch.setattr(_jit, "__file__", str(package / "_jit.py"))
    seen = set()
    for name, text in [("_jit.py", "1"), ("kernels/a.py", "1"), ("kernels/a.py", "2"), ("kernels/b.py", "2")]:
        (package / name).write_text(text)
        seen.add(_jit._source_hash.__wrapped__())
    (package / "kernels" / "a.py").unlink()
    seen.add(_jit._source_hash.__wrapped__())
    assert len(seen) == 5


@jit
def test_superseded_folders_are_removed_when_a_new_one_is_made(folder):
    root, now = folder / "fastgd", time.time()
    ages = {"a" * 16: 31, "b" * 16: 29, "not ours": 99, "c" * 15: 99} | {f"{i:016x}": 1 + i for i in range(12)}
    for name, days in ages.items():
        (root / name).mkdir(parents=True)
        (root / name / "f-0.nbc").write_bytes(b"")
        os.utime(root / name, (now - 86400 * days,) * 2)
    kernel(moved)(Up(), 1.0)
    kept = {path.name for path in root.iterdir()}
    assert kept == {"not ours", "c" * 15, cache_folder().name} | {f"{i:016x}" for i in range(8)}


@jit
def test_a_folder_in_use_is_marked(folder):
    kernel(moved)(Up(), 1.0)
    os.utime(cache_folder(), (0, 0))
    _jit._touch.cache_clear()
    kernel(moved)(Up(), 1.0)
    assert time.time() - cache_folder().stat().st_mtime < 60


# ---- hits and misses; a second dispatcher of the same function stands for a second process


@jit
def test_the_second_time_is_a_hit(folder):
    before = numba.config.CACHE_DIR
    first, second = kernel(moved), kernel(moved)
    assert first(Up(2), 1.0) == 3.0
    assert counts(first) == (0, 1)
    assert second(Up(3), 1.0) == 4.0
    assert counts(second) == (1, 0)
    assert second(Up(3), 1) == 4.0  # another type
    assert counts(second) == (1, 1)
    assert len(files(folder)) == 2
    assert first.stats.cache_path == str(cache_folder())
    assert before == numba.config.CACHE_DIR
    assert not list(folder.rglob("*.tmp"))


@jit
def test_flags_and_fastmath_have_their_own_files(folder, monkeypatch):
    x = np.ones(4)
    for _ in range(2):
        assert kernel(sum_of)(x) == kernel(relaxed=True)(sum_of)(x) == 4.0
    assert len(files(folder, sum_of)) == 2
    monkeypatch.setattr(numba.config, "OPT", 1)
    kernel(sum_of)(x)
    assert len(files(folder, sum_of)) == 3
    assert len({path.parent for path in files(folder, sum_of)}) == 2


@jit
def test_a_constant_changed_between_typing_and_compiling_is_not_cached(folder, monkeypatch):
    shift = Up(2)
    assert kernel(moved)(shift, 1.0) == 3.0
    monkeypatch.setattr(sys.modules[__name__], "BIAS", 10.0)
    kernel(moved)(shift, 1.0)  # an instance keeps what it was first compiled with
    assert len(files(folder)) == 1
    assert kernel(moved)(Up(2), 1.0) == 21.0
    assert len(files(folder)) == 2
    monkeypatch.undo()
    assert kernel(moved)(Up(2), 1.0) == 3.0


@jit
def test_helpers_of_a_users_kernel_are_in_its_key(folder):
    source = "@kernel\ndef helper(x):\n    return x + NUMBER\n@kernel\ndef user(x):\n    return helper(x)\n"

    def user(number):
        scope = {"kernel": kernel, "NUMBER": number, "__name__": __name__}
        exec(source, scope)
        return scope["user"]

    one, two, again = user(1.0), user(2.0), user(1.0)
    assert (one(0.0), two(0.0), again(0.0)) == (1.0, 2.0, 1.0)
    assert (counts(one), counts(two), counts(again)) == ((0, 1), (0, 1), (1, 0))


@jit
def test_the_cache_can_be_switched_off(folder, monkeypatch, caplog):
    monkeypatch.setenv("FASTGD_CACHE", "0")
    for _ in range(2):
        made = kernel(moved)
        assert made(Up(2), 1.0) == 3.0
        assert counts(made) == (0, 1)
    assert made.stats.cache_path is None
    assert not list(folder.iterdir())
    assert not caplog.records


@jit
def test_recompile_removes_what_is_on_disk(folder):
    made = kernel(moved)
    made(Up(2), 1.0)
    (old,) = files(folder)
    os.utime(old, (0, 0))
    made.recompile()
    assert made(Up(2), 1.0) == 3.0
    assert files(folder)[0].stat().st_mtime > 0


# ---- when the disk is not what it should be


@jit
@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "flipped", "not a kernel", "a folder"])
def test_a_damaged_file_costs_a_compile(folder, damage):
    kernel(moved)(Up(2), 1.0)
    (path,) = files(folder)
    good = path.read_bytes()
    half = len(good) // 2
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    elif damage == "not a kernel":
        import hashlib
        import pickle

        data = pickle.dumps((1, 2))
        path.write_bytes(hashlib.sha256(data).digest() + data)
    else:
        flipped = good[:half] + bytes([good[half] ^ 1]) + good[half + 1 :]
        path.write_bytes({"empty": b"", "truncated": good[:half], "garbage": b"x" * 99, "flipped": flipped}[damage])
    made = kernel(moved)
    assert made(Up(2), 1.0) == 3.0
    assert counts(made) == (0, 1)
    again = kernel(moved)
    assert again(Up(2), 1.0) == 3.0
    assert counts(again) == ((0, 1) if damage == "a folder" else (1, 0))


@jit
def test_where_nothing_can_be_written_it_works_with_one_line_in_the_log(folder, monkeypatch, caplog):
    (folder / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder / "file" / "below"))
    for _ in range(2):
        assert kernel(moved)(Up(2), 1.0) == 3.0
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["fastgd"]
    assert "NUMBA_CACHE_DIR" in caplog.text


@jit
def test_without_a_home_it_works_with_one_line_in_the_log(folder, monkeypatch, caplog):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for _ in range(2):
        assert kernel(moved)(Up(2), 1.0) == 3.0
    assert [record.getMessage()[:44] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "no cache of compiled kernels: no home folder"
    ]


@jit
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_warm_cache_that_cannot_be_written_is_read(folder):
    kernel(moved)(Up(2), 1.0)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555)
    made = kernel(moved)
    assert made(Up(2), 1.0) == 3.0
    assert counts(made) == (1, 0)


# ---- threads and processes


@jit
def test_threads_that_make_the_first_call_at_once(folder):
    made, results, start = kernel(moved), [], threading.Barrier(4)

    def call(k):
        start.wait()
        results.append(made(Up(k), 1.0) - k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1.0] * 4
    assert counts(made) == (0, 1)
    assert len(made.signatures) == 1


USER_MODULE = """
import numpy as np
from fastgd._component import Component, required
from fastgd._jit import kernel
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
from fastgd._jit import kernel
BIAS = 1.0
@kernel
def softened(x):
    return x * 2.0
"""
SCRIPT = """
import os, sys, threading
import fastgd, fastgd._jit, fastgd._component
assert not [d for d in vars(fastgd._jit).values() if getattr(d, "signatures", None)], "import compiles something"
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


@jit
def test_a_users_script_is_cached_across_processes_and_never_stale(tmp_path):
    for name, text in [("user", USER_MODULE), ("constants", CONSTANTS), ("script", SCRIPT)]:
        (tmp_path / f"{name}.py").write_text(text)
    paths = [str(tmp_path), str(Path(fastgd.__file__).parents[1])]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("FASTGD_CACHE", None)

    def start(*arguments, seed, script="script.py"):
        return subprocess.Popen(
            [sys.executable, "-W", "error", script, *arguments],
            cwd=tmp_path,
            env={**environment, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(process):
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        return output.split()

    both = [start("imported", seed=seed) for seed in (1, 2)]  # two processes that write the same files
    for process in both:
        assert read(process)[2:] == ["6.0", "9.0"]
    assert read(start("imported", "fork", "ship", seed=3)) == ["2", "0", "6.0", "9.0", "6"]
    (tmp_path / "worker.py").write_text(WORKER)
    assert read(start(seed=4, script="worker.py")) == ["1", "0", "6.0", "Own(scale=2.0)"]

    (tmp_path / "constants.py").write_text(CONSTANTS.replace("x * 2.0", "x * 3.0").replace("BIAS = 1.0", "BIAS = 2.0"))
    (tmp_path / "script.py").write_text("# moves every line\n" + SCRIPT)
    assert read(start("imported", seed=4)) == ["1", "1", "6.0", "15.0"]

    # a module that is gone, whose classes were in the cache
    (tmp_path / "constants.py").write_text("BIAS = softened = None")
    assert read(start(seed=5)) == ["1", "0", "6.0"]
