"""The disk cache of kernels within one process: never stale, and never fatal."""

import hashlib
import logging
import os
import pickle
import sys
import threading
import time

import numba
import numpy as np
import pytest

from fastgd.runtime import jit as _jit
from fastgd.runtime.component import Component, required
from fastgd.runtime.jit import cache_folder, kernel

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
    monkeypatch.setattr(_jit, "__file__", str(package / "runtime" / "jit.py"))
    seen = set()
    for name, text in [
        ("_jit.py", "1"),
        ("kernels/a.py", "1"),
        ("kernels/a.py", "2"),
        ("kernels/b.py", "2"),
    ]:
        (package / name).write_text(text)
        seen.add(_jit._source_hash.__wrapped__())
    (package / "kernels" / "a.py").unlink()
    seen.add(_jit._source_hash.__wrapped__())
    assert len(seen) == 5


@jit
def test_superseded_folders_are_removed_when_a_new_one_is_made(folder):
    root, now = folder / "fastgd", time.time()
    ages = {"a" * 16: 31, "b" * 16: 29, "not ours": 99, "c" * 15: 99} | {
        f"{i:016x}": 1 + i for i in range(12)
    }
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
@pytest.mark.parametrize("missing", [False, True])
def test_what_the_code_calls_is_there_before_it_is_linked(folder, monkeypatch, missing):
    kernel(moved)(Up(2), 1.0)
    made, refreshed = kernel(moved), []
    monkeypatch.setattr(made.targetctx, "refresh", lambda: refreshed.append(1))
    if missing:
        monkeypatch.setattr(_jit, "address_of_symbol", lambda name: None)
    assert made(Up(2), 1.0) == 3.0
    assert counts(made) == (1, 0)
    assert len(refreshed) == missing


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
    source = (
        "@kernel\ndef helper(x):\n    return x + NUMBER\n@kernel\ndef user(x):\n    return "
        "helper(x)\n"
    )

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
@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "garbage", "flipped", "not a kernel", "a folder"]
)
def test_a_damaged_file_costs_a_compile(folder, damage):
    kernel(moved)(Up(2), 1.0)
    (path,) = files(folder)
    good = path.read_bytes()
    half = len(good) // 2
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    elif damage == "not a kernel":
        data = pickle.dumps((1, 2))
        path.write_bytes(hashlib.sha256(data).digest() + data)
    else:
        flipped = good[:half] + bytes([good[half] ^ 1]) + good[half + 1 :]
        path.write_bytes(
            {"empty": b"", "truncated": good[:half], "garbage": b"x" * 99, "flipped": flipped}[
                damage
            ]
        )
    made = kernel(moved)
    assert made(Up(2), 1.0) == 3.0
    assert counts(made) == (0, 1)
    again = kernel(moved)
    assert again(Up(2), 1.0) == 3.0
    assert counts(again) == ((0, 1) if damage == "a folder" else (1, 0))


@jit
def test_where_nothing_can_be_written_it_works_with_one_line_in_the_log(
    folder, monkeypatch, caplog
):
    (folder / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder / "file" / "below"))
    for _ in range(2):
        assert kernel(moved)(Up(2), 1.0) == 3.0
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == [
        "fastgd"
    ]
    assert "NUMBA_CACHE_DIR" in caplog.text


@jit
def test_a_file_that_another_process_is_reading_is_left_as_it_is(folder, monkeypatch, caplog):
    """As Windows has it: what is open cannot be replaced."""

    def refuse(*paths):
        raise PermissionError(13, "access is denied")

    kernel(moved)(Up(2), 1.0)
    monkeypatch.setattr(_jit, "_read", refuse)
    monkeypatch.setattr(_jit.os, "replace", refuse)
    assert kernel(moved)(Up(2), 1.0) == 3.0
    assert caplog.text == ""
    assert len(files(folder)) == 1
    assert not list(folder.rglob("*.tmp"))


@jit
def test_without_a_home_it_works_with_one_line_in_the_log(folder, monkeypatch, caplog):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for _ in range(2):
        assert kernel(moved)(Up(2), 1.0) == 3.0
    assert [
        record.getMessage()[:44] for record in caplog.records if record.levelno >= logging.WARNING
    ] == ["no cache of compiled kernels: no home folder"]


@jit
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_warm_cache_that_cannot_be_written_is_read(folder):
    kernel(moved)(Up(2), 1.0)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555)
    made = kernel(moved)
    assert made(Up(2), 1.0) == 3.0
    assert counts(made) == (1, 0)


# ---- threads


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
