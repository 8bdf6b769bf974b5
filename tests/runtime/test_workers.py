"""Workers: every call is made once, errors arrive, nothing is kept, and no thread is in the way
of fork or exit.
"""

import gc
import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from fastgd.runtime.threads import map_ranges
from fastgd.runtime.workers import Workers, workers


@pytest.fixture
def pool():
    pool = Workers(3)
    yield pool
    pool.end()


@pytest.mark.parametrize("pause", [0.0, 2e-3])  # the threads are watching, or asleep
def test_every_call_is_made_once(pool, pause):
    for n_calls in (1, 2, 7, 50):
        made = np.zeros(n_calls, int)

        def call(i, made=made):
            made[i] += 1
            time.sleep(1e-4)

        pool.map(call, [(i,) for i in range(n_calls)])
        assert made.tolist() == [1] * n_calls
        time.sleep(pause)


def test_calls_run_at_once(pool):
    meeting = threading.Barrier(4, timeout=30)
    pool.map(meeting.wait, [()] * 4)


def test_a_thread_that_comes_late_finds_less(pool):
    began = time.perf_counter()
    by = []

    def call():
        by.append(threading.current_thread())
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)

    pool.map(call, [()] * 1000)
    assert by.count(threading.main_thread()) >= 990
    assert time.perf_counter() - began < 30


def test_errors_arrive_once_all_threads_are_through(pool):
    running = []

    def call(i):
        if i == 3:
            raise ValueError("three")
        running.append(i)
        time.sleep(0.02)
        running.remove(i)

    for _ in range(5):
        with pytest.raises(ValueError, match="three"):
            pool.map(call, [(i,) for i in range(8)])
        assert not running
    done = []
    pool.map(done.append, [(1,), (2,)])
    assert sorted(done) == [1, 2]


def test_calls_within_calls_are_made_on_the_same_thread(pool):
    found = []

    def outer(i):
        own = threading.current_thread()
        pool.map(lambda j: found.append((i, j, threading.current_thread() is own)), [(0,), (1,)])

    pool.map(outer, [(i,) for i in range(6)])
    assert sorted(found) == [(i, j, True) for i in range(6) for j in range(2)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinities on this platform")
@pytest.mark.parametrize("error", [PermissionError, None])
def test_where_threads_may_not_be_placed_they_run_all_the_same(pool, monkeypatch, error):
    asked = []

    def refuse(thread, processors):
        asked.append(processors)
        if error:
            raise error

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    pool.map(abs, [(0,)] * 8)  # `watch` is compiled
    time.sleep(0.2)  # until they sleep
    done = []
    pool.map(done.append, [(i,) for i in range(9)])
    assert sorted(done) == list(range(9))
    assert bool(asked) == (len(os.sched_getaffinity(0)) > 1)
    assert all(processors < os.sched_getaffinity(0) for processors in asked)


def test_nothing_of_a_job_is_kept(pool):
    class Data:
        pass

    data = Data()
    kept = weakref.ref(data)
    pool.map(lambda i, data=data: None, [(i,) for i in range(8)])
    del data
    end = time.perf_counter() + 5
    while (
        kept() is not None and time.perf_counter() < end
    ):  # a late thread may look at it once more
        gc.collect()
        time.sleep(1e-3)
    assert kept() is None


def test_ranges_cover_the_items():
    for n_items, n_threads, n_values in (
        (10, 3, None),
        (10, 2, 10**6),
        (3, 8, 10**7),
        (1, 4, 0),
        (64, 2, 10**5),
    ):
        found = []
        map_ranges(
            lambda first, last, found=found: found.append((first, last)),
            n_items,
            n_threads,
            n_values,
        )
        found.sort()
        assert found[0][0] == 0
        assert found[-1][1] == n_items
        assert all(a[1] == b[0] and a[0] < a[1] for a, b in itertools.pairwise(found))


def _in_a_child():
    done = []
    workers(1).map(done.append, [(1,), (2,)])
    os._exit(0 if sorted(done) == [1, 2] else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    workers(1).map(time.sleep, [(0.0,), (0.0,)])
    child = multiprocessing.get_context("fork").Process(target=_in_a_child)
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_a_process_may_end_while_threads_watch():
    code = "from fastgd.runtime.workers import workers; workers(2).map(abs, [(1,)] * 3)"
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
