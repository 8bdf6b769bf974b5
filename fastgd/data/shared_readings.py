"""One reading of a source for several runs, each of which asks for readings as if it were alone.

Runs have threads, but take turns: one works until it needs a block, then the next one does; when
all of them need one, it is read.  What each finds is what it would find alone, to the last bit.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator

# Seconds after which a waiting thread looks around: on Windows Ctrl-C does not interrupt it before.
LOOK = 0.2


class SharedReadings:
    """Readings that several runs take part in.

    Parameters
    ----------
    read : callable
        Gives an iterator over all blocks, in the order that its argument stands for.

    Examples
    --------
    >>> readings = SharedReadings(lambda order: iter(print("read") or [1, 2, 3]))
    >>> found = []
    >>> works = [lambda: found.append(sum(readings.blocks())) for _ in range(3)]
    >>> readings.together(works, end=list)
    read
    >>> found
    [6, 6, 6]
    """

    def __init__(self, read: Callable[[int | None], Iterator]) -> None:
        self.read = read
        self._runs: dict[int, _Run] = {}
        self._interrupt: BaseException | None = None

    def blocks(self, order: int | None = None) -> Iterator:
        """A reading in this order: shared where a run of `together` asks, and has none at hand."""
        run = self._runs.get(threading.get_ident())
        if run is None or run.reads:
            yield from self.read(order)
            return
        run.reads = run.begins = True
        run.order = order
        try:
            # No name for the block: it would keep it alive while the next is read.
            while taken := run.next_block():
                yield taken.pop()
        finally:
            run.reads = False

    def together(self, works: list[Callable[[], None]], end: Callable[[], None]) -> None:
        """Call all of `works`, each on a thread of its own, one at a time.

        At an error or an interrupt `end()` is called, and the others should end soon; when all have
        ended, it is raised. Where a run waits for a block, an interrupt is raised there as well.
        """
        runs = [_Run(work, self._runs, end) for work in works]
        ended = threading.Event()
        threading.Thread(
            target=self._conduct, args=(runs, ended), name="fastgd-runs", daemon=True
        ).start()
        # Not by `join`: interrupted, Python 3.11 takes a thread for one that has ended.
        while not ended.is_set():
            try:
                while not ended.wait(LOOK):
                    pass
            except KeyboardInterrupt as interrupt:
                self._interrupt = interrupt
                end()
        error = next((run.error for run in runs if run.error is not None), self._interrupt)
        try:
            if error is not None:
                raise error
        finally:
            del error, runs  # or they would keep the frames alive that keep them alive

    def _conduct(self, runs, ended):
        for run in runs:
            run.go()
        # Each that has not ended asks for the first block of a reading.
        while asking := [run for run in runs if not run.ended]:
            self._serve(asking)
        for run in runs:
            run.thread.join()
        ended.set()

    def _serve(self, asking):
        """One reading, for those runs that ask for one in the order of the first."""
        order = asking[0].order
        asking = [run for run in asking if run.order == order]
        try:
            for block in self.read(order):
                if self._interrupt is not None:
                    break
                asking = [run for run in asking if run.go([block])]
                del block
                if not asking:
                    return
        except BaseException as error:
            for run in asking:
                run.go(error=error)
            return
        for run in asking:
            run.go(error=self._interrupt)


class _Run:
    """A thread that works while it is its turn.

    Attributes
    ----------
    reads, begins, ended : bool
        Whether it is at a shared reading, at one that it has just asked for, and at its end.
    order : int or None
        Of the reading that it has asked for.
    error : BaseException or None
        By which it has ended.
    """

    def __init__(self, work, runs, end):
        self.work, self.runs, self.end = work, runs, end
        self.reads = self.begins = self.ended = False
        self.order = self.error = None
        # What it is handed: a list with a block, empty at the end of a reading; or an error.
        self._handed, self._thrown = [], None
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        # What NumPy is to do about overflow, say, is as in this thread.
        context = contextvars.copy_context()
        self.thread = threading.Thread(
            target=context.run, args=(self._work,), name="fastgd-run", daemon=True
        )
        self.thread.start()

    def go(self, handed=(), error=None):
        """Have it work until it asks for a block, or has ended; whether it asks for the next one of
        the same reading.
        """
        self._handed, self._thrown, self.begins = list(handed), error, False
        self._turn.release()
        self._back.acquire()
        return not self.ended and not self.begins

    def next_block(self):
        """A list with the next block, which the caller empties; an empty one at the end."""
        self._back.release()
        self._turn.acquire()
        thrown, self._thrown = self._thrown, None
        if thrown is not None:
            raise thrown
        handed, self._handed = self._handed, []
        return handed

    def _work(self):
        self._turn.acquire()
        self.runs[threading.get_ident()] = self
        try:
            self.work()
        except BaseException as error:
            self.error = error
            self.end()
        finally:
            del self.runs[threading.get_ident()]
            self.ended = True
            self._back.release()
