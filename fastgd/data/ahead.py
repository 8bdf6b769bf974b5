"""Blocks that another thread reads while one is worked on."""

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

# Seconds after which a waiting thread looks around: on Windows Ctrl-C does not interrupt it before.
LOOK = 0.2


def read_ahead(blocks: Iterator[Item]) -> Iterator[Item]:
    """The same blocks, each of which is read while the one before it is worked on.

    A thread reads one block ahead and then waits, so that two are in memory: that one, and the one
    that was handed out. What it raises, `KeyboardInterrupt` included, is raised here, in the place
    of the block. The thread ends with the blocks, or when the iterator is closed or forgotten; the
    block that is being read is read to its end then.

    Examples
    --------
    >>> list(read_ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    buffer = _Buffer()
    # What NumPy is to do about overflow, say, is as in this thread.
    context = contextvars.copy_context()
    reader = threading.Thread(
        target=context.run, args=(buffer.fill, blocks), name="fastgd-reader", daemon=True
    )
    reader.start()
    try:
        while (taken := buffer.take()) is not None:
            yield taken.pop()
    finally:
        buffer.close()
        reader.join()


class _Buffer:
    """Room for one block between two threads."""

    def __init__(self):
        self.changed = threading.Condition()
        self.block = []
        self.ended = False
        self.closed = False
        self.error = None

    def fill(self, blocks):
        """Put one block after the other here, as they are taken."""
        try:
            # No name for the block: it would keep it alive while the next is made.
            while not self.closed and self._put([next(blocks)]):
                pass
        except StopIteration:
            pass
        except BaseException as error:
            self.error = error
        finally:
            with contextlib.suppress(Exception):
                getattr(blocks, "close", bool)()
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def take(self):
        """A list with the next block, which the caller empties, or None at the end."""
        with self.changed:
            while not self.block and not self.ended:
                self.changed.wait(LOOK)
            taken, self.block = self.block, []
            self.changed.notify_all()
        if taken:
            return taken
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # or it would keep the frames alive that keep it alive
        return None

    def close(self):
        """Nothing more is taken."""
        with self.changed:
            self.closed = True
            self.block = []
            self.changed.notify_all()

    def _put(self, block):
        """Put a block here and wait until it is taken; whether another is wanted."""
        with self.changed:
            self.block = block
            self.changed.notify_all()
            while self.block is block and not self.closed:
                self.changed.wait()
            return not self.closed
