"""Compiling is announced once, in a terminal or a notebook, and not where it is short."""

import io
import sys
import time

from fastgd.runtime import announce
from fastgd.runtime.announce import Announcement


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """A stderr that is one; set in the test itself, as pytest sets its own before each."""
    monkeypatch.setattr("fastgd.runtime.announce.inside_worker", lambda: False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def compile_for(announcement, seconds, kernels=2):
    with announcement.call():
        for _ in range(kernels):
            announcement.compiling()
        time.sleep(seconds)


def test_it_is_said_while_the_compiler_works_and_once(monkeypatch):
    stderr = terminal(monkeypatch)
    monkeypatch.setattr(announce, "PATIENCE", 0.01)
    announcement = Announcement()
    with announcement.call():
        announcement.compiling()
        deadline = time.perf_counter() + 30.0
        while not stderr.getvalue() and time.perf_counter() < deadline:
            time.sleep(0.001)
        assert "python -m fastgd warmup" in stderr.getvalue()
    compile_for(announcement, 0.02)
    assert stderr.getvalue().count("\n") == 1


def test_short_compiles_add_up(monkeypatch):
    stderr = terminal(monkeypatch)
    monkeypatch.setattr(announce, "PATIENCE", 1000.0)
    announcement = Announcement()
    compile_for(announcement, 0.01)
    compile_for(announcement, 0.01)
    assert announcement.seconds >= 0.02
    assert stderr.getvalue() == ""
    with announcement.call():  # from the cache: nothing was compiled
        pass
    before = announcement.seconds
    with announcement.call():
        time.sleep(0.001)
    assert announcement.seconds == before


def test_nobody_is_told_where_nobody_reads(monkeypatch):
    stderr = terminal(monkeypatch)
    monkeypatch.setattr(announce, "PATIENCE", 0.0)
    for is_worker, stream in ((True, stderr), (False, io.StringIO()), (False, None)):
        monkeypatch.setattr("fastgd.runtime.announce.inside_worker", lambda told=is_worker: told)
        monkeypatch.setattr(sys, "stderr", stream)
        announcement = Announcement()
        compile_for(announcement, 0.005)
        assert announcement.seconds == 0.0
        assert not stream or stream.getvalue() == ""


def test_notebooks_are_told(monkeypatch):
    monkeypatch.setattr("fastgd.runtime.announce.inside_worker", lambda: False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    announcement = Announcement()
    announcement.compiling()
    announcement.say()
    assert sys.stderr.getvalue() == announce.TEXT
