"""BLAS on one thread while blocks of rows have threads of their own: its bits depend on how many
it has.
"""

import contextlib
import os
import threading

import threadpoolctl

_lock = threading.Lock()
# Looking for the libraries takes 2 ms, setting their threads 5 us.
_libraries: list = []
_before: list = []
_inside = 0


@contextlib.contextmanager
def one_blas_thread():
    """Context in which BLAS runs on one thread, for all threads of the process, until the last one
    leaves it.

    The limit is the process's: of two fits that overlap, neither may lift it for the other, nor
    take the other's limit for what was there before.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    global _inside
    with _lock:
        if not _libraries:
            _libraries.extend(
                threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
            )
        if _inside == 0:
            _before[:] = [library.num_threads for library in _libraries]
            _set([1] * len(_libraries))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_before)


def _set(counts):
    for library, count in zip(_libraries, counts, strict=True):
        library.set_num_threads(count)


def _forget():
    """In a forked child no fit of the parent's other threads goes on; BLAS may stay on one
    thread there.
    """
    global _lock, _inside
    _lock = threading.Lock()
    _inside = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
