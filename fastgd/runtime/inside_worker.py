"""Whether this process, or thread, is one of many that somebody else has started."""

import os
import sys
import threading


def inside_worker():
    """Whether this is a worker of joblib, multiprocessing, Dask or pytest-xdist."""
    import multiprocessing

    import joblib

    if multiprocessing.parent_process() is not None or "PYTEST_XDIST_WORKER" in os.environ:
        return True
    # Dask's tasks run on threads that nothing public marks; a fit of one's own on another thread is
    # the rarer case.
    if "dask" in sys.modules and threading.current_thread() is not threading.main_thread():
        return True
    backend = joblib.parallel.get_active_backend()[0]
    return (getattr(backend, "nesting_level", 0) or 0) > 0
