"""One line on stderr where a user waits for the compiler: in a terminal or a notebook, once a
process.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from fastgd.runtime.inside_worker import inside_worker

# Seconds of compiling, all in all, before anything is said.
PATIENCE = 1.0
TEXT = (
    "fastgd is compiling for this kind of data: some seconds, once per machine (`python -m fastgd "
    "warmup` does it ahead)\n"
)


class Announcement:
    """Says that kernels are being compiled, while they are, once they have taken a second."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.done = False
        self._timer: threading.Timer | None = None
        self._begun = 0.0

    def compiling(self) -> None:
        """Hear that a kernel is not in the cache, and is compiled now."""
        if self.done or self._timer is not None or not _is_read():
            return
        self._begun = time.perf_counter()
        self._timer = threading.Timer(max(PATIENCE - self.seconds, 0.0), self.say)
        self._timer.daemon = True
        self._timer.start()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Around a call that may compile."""
        try:
            yield
        finally:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
                self.seconds += time.perf_counter() - self._begun

    def say(self) -> None:
        """Print the line to stderr, once a process."""
        if not self.done:
            self.done = True
            sys.stderr.write(TEXT)
            sys.stderr.flush()


def _is_read() -> bool:
    """Whether somebody reads stderr as it is written: of this process, not of a worker."""
    there = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    return there and not inside_worker()


announcement = Announcement()
