"""The clock of a fit, which stands still while kernels are compiled or loaded.

Compiling is paid once per machine: a fit of 0.05 s with `max_time=1` on an empty cache compiled for
1.5 s after its first check, ended there, and was another model than the second fit of the same.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator


class Clock:
    """Seconds, without those in which one thread at least compiles.

    A pass on other threads waits for the compiler or shares the interpreter with it: which of its
    seconds were its own nobody knows.

    Examples
    --------
    >>> clock = Clock()
    >>> with clock.stands():
    ...     begun = clock.now()
    ...     clock.now() - begun
    0.0
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Go, whoever compiles: in a child of a fork the threads that did are gone."""
        self._lock = threading.Lock()
        self._inside = 0
        # Seconds that it stood so far, and where it stands: replaced at once, read without a lock.
        self._state: tuple[float, float | None] = (0.0, None)

    def now(self) -> float:
        """Seconds from an unknown beginning: only differences mean something."""
        stood, at = self._state
        return (time.perf_counter() if at is None else at) - stood

    def leave_out(self, seconds: float) -> None:
        """Count the last `seconds` as compiling: that of a process that was waited for."""
        with self._lock:
            stood, at = self._state
            self._state = stood + seconds, at

    @contextlib.contextmanager
    def stands(self) -> Iterator[None]:
        """Within, no time passes."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._state = self._state[0], time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                stood, at = self._state
                if self._inside == 0 and at is not None:
                    self._state = stood + (time.perf_counter() - at), None


clock = Clock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=clock.begin)
