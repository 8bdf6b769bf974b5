"""Threads that share the work on blocks of rows, and stay awake between two passes.

A pass takes milliseconds, often less. A thread that sleeps wakes up 50 us later, on a virtual
machine up to 4 ms, and Linux wakes it where it was woken from: two threads took turns on one
processor while the other was idle, 1.9 ms a pass over 50,000 sparse rows instead of 1.0, in every
other fit. So a worker watches for the next pass for a millisecond before it sleeps, may not run
where the thread that it works for runs, and finds the less left to do the later it comes. Fits of
20 to 50 ms take 0.83 to 0.9 of the time that they take with `concurrent.futures`.
"""

import atexit
import collections
import contextlib
import ctypes
import os
import queue
import threading
import time

import numpy as np
from numba import config

from fastgd.runtime.jit import kernel
from fastgd.runtime.memory import load, store

# Looks at 0.6 ns: longer than most of what happens between two passes; and until who posts is
# inside a kernel.
LOOKS, SETTLE = (0, 0) if config.DISABLE_JIT else (2_000_000, 50_000)
PAUSE = 2e-4  # seconds between looks at a thread that has been watched for longer
# Places of three numbers, 64 bytes apart: the two threads never write to one cache line.
POSTED = 0
BEGUN = 8
DONE = 16

_lock = threading.Lock()
_pools: dict[int, "Workers"] = {}


@kernel
def watch(numbers, own, number, other, seen, n_looks, n_more):
    """Set numbers[own], then look at numbers[other] until it is not `seen`, `n_looks` times at the
    most; return it.

    All without the interpreter's lock, and all are int64. `n_more` looks go by after a change:
    whoever made it holds the lock for some time yet, and a thread that asks for a lock that is held
    sleeps.
    """
    store(numbers, own, number)
    for _ in range(n_looks):
        if load(numbers, other) != seen:
            for _ in range(n_more):
                load(numbers, other)
            break
    return load(numbers, other)


class Job:
    """Calls of one function that nobody has begun, and the errors of those that were made."""

    def __init__(self, function, calls, end=None):
        self.function = function
        self.calls = collections.deque(calls)
        self.end = end
        self.errors = []

    def work(self, take):
        """Make the calls that `take()` takes, until there is none left or one fails."""
        while True:
            try:
                arguments = take()
            except IndexError:
                return
            try:
                self.function(*arguments)
            except BaseException as error:
                self.fail(error)

    def fail(self, error):
        """Have nobody begin another call, and those that are at one end early where they can."""
        self.errors.append(error)
        self.calls.clear()
        if self.end is not None:
            self.end()


IDLE = Job(None, ())


class Worker:
    """A thread that works on the job posted last."""

    def __init__(self):
        self._numbers = np.zeros(24, np.int64)
        self._posted = 0, IDLE
        self._asleep = self._ended = False
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Compiled here, not by the thread while the caller goes on: compilers set aside the
        # process's warnings, and a warning of the caller's was lost meanwhile.
        watch(self._numbers, POSTED, 0, DONE, 0, 0, 0)
        self._thread = threading.Thread(target=self._run, name="fastgd", daemon=True)
        self._thread.start()

    def post(self, job):
        """Have the thread take calls of `job` as soon as it can."""
        number = self._posted[0] + 1
        self._posted = number, job
        self._numbers[POSTED] = number
        if self._asleep:
            self._asleep = False
            _keep_apart(self._thread.native_id)
            self._wakeup.put(None)

    def wait(self):
        """Return once the thread makes no call of the job; nobody else may have calls of it to
        make.
        """
        number = self._posted[0]
        self._posted = number, IDLE  # what the job holds on to is not kept until the next one
        done = self._numbers[DONE]
        if self._numbers[BEGUN] == number != done:
            while watch(self._numbers, POSTED, number, DONE, done, LOOKS, 0) != number:
                time.sleep(PAUSE)

    def end(self):
        """Have the thread end: an interpreter that ends while a thread watches would abort."""
        self._ended = True
        self.post(IDLE)
        self._thread.join()

    def _run(self):
        seen = 0
        while not self._ended:
            while watch(self._numbers, DONE, seen, POSTED, seen, LOOKS, SETTLE) == seen:
                self._asleep = True
                if self._numbers[POSTED] == seen:
                    self._wakeup.get()
            seen, job = self._posted
            self._numbers[BEGUN] = seen
            job.work(job.calls.pop)
            del job


class Workers:
    """A pool of threads.

    Parameters
    ----------
    size : int
        How many there are; the one that calls `map` works with them.

    Examples
    --------
    >>> found = {}
    >>> workers(1).map(found.__setitem__, [(1, "one"), (2, "two")])
    >>> found[1], found[2]
    ('one', 'two')
    """

    def __init__(self, size):
        self._free = threading.Lock()
        self._workers = [Worker() for _ in range(size)]

    def map(self, function, calls, end=None):
        """Call `function(*arguments)` for the `calls`; the first error is raised when all threads
        are through.

        So is KeyboardInterrupt where this thread waits for the others.  `end()` is called at an
        error, to tell threads that are at long calls.

        Where the pool is in use, by a fit on another thread or because this is one of its own
        calls, it is all done on this thread.
        """
        job = Job(function, calls, end)
        if not self._free.acquire(blocking=False):
            job.work(job.calls.popleft)
        else:
            try:
                for worker in self._workers:
                    worker.post(job)
                job.work(job.calls.popleft)
                for worker in self._workers:
                    worker.wait()
            except KeyboardInterrupt as interrupt:
                job.fail(interrupt)
                for worker in self._workers:
                    worker.wait()
            finally:
                self._free.release()
        if job.errors:
            raise next(
                (error for error in job.errors if isinstance(error, KeyboardInterrupt)),
                job.errors[0],
            )

    def end(self):
        """End the threads of the pool."""
        for worker in self._workers:
            worker.end()


def workers(size):
    """The pool of `size` threads."""
    with _lock:
        if size not in _pools:
            _pools[size] = Workers(size)
        return _pools[size]


def _find_processor():
    """Function that says which processor the calling thread is on; None where threads cannot be
    told where to run.
    """
    if hasattr(os, "sched_setaffinity"):
        try:
            return ctypes.CDLL(None).sched_getcpu
        except (OSError, AttributeError):
            pass
    return None


_processor = _find_processor()


def _keep_apart(thread):
    """Keep a thread off the processor that the calling one is on, where that is allowed and
    there are others.
    """
    if _processor is not None:
        with contextlib.suppress(OSError):
            others = os.sched_getaffinity(0) - {_processor()}
            if others:
                os.sched_setaffinity(thread, others)


@atexit.register
def _end():
    while _pools:
        _pools.popitem()[1].end()


def _forget():
    """In a forked child the parent's threads are gone: start new pools."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
