"""Blocks that another thread reads ahead."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from fastgd.data.ahead import read_ahead


class Block:
    """Something that can be watched."""


def readers():
    return [one for one in threading.enumerate() if one.name == "fastgd-reader"]


def interrupted(blocks):
    for _ in blocks:
        raise KeyboardInterrupt


def soon(condition):
    end = time.monotonic() + 10.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def test_the_same_blocks_in_order():
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert list(read_ahead(iter([]))) == []
    assert readers() == []


def test_one_block_is_read_ahead_and_two_are_alive():
    alive = weakref.WeakSet()
    made = []

    def blocks():
        for number in range(5):
            block = Block()
            alive.add(block)
            made.append(number)
            yield block
            del block

    for number, _block in enumerate(read_ahead(blocks())):
        assert soon(lambda: len(made) == min(number + 2, 5))  # noqa: B023
        time.sleep(0.01)
        assert len(made) == min(number + 2, 5)
        assert len(alive) <= 2


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_the_reader_raises_is_raised_in_its_place(kind):
    def blocks():
        yield 1
        yield 2
        raise kind("file.svm, line 7")

    found = []
    with pytest.raises(kind, match="line 7"):
        found.extend(read_ahead(blocks()))
    assert found == [1, 2]
    assert readers() == []


def test_the_thread_ends_with_its_consumer():
    closed = []

    def blocks():
        try:
            yield from range(10)
        finally:
            closed.append(threading.current_thread().name)

    ahead = read_ahead(blocks())
    assert next(ahead) == 0
    assert len(readers()) == 1
    ahead.close()
    assert readers() == []
    forgotten = read_ahead(blocks())
    next(forgotten)
    del forgotten
    gc.collect()
    assert readers() == []
    with pytest.raises(KeyboardInterrupt):
        interrupted(read_ahead(blocks()))
    gc.collect()
    assert readers() == []
    assert closed == ["fastgd-reader"] * 3


def test_numpy_errors_are_treated_as_in_the_thread_that_asks():
    def blocks():
        yield np.geterr()["over"]

    with np.errstate(over="raise"):
        assert list(read_ahead(blocks())) == ["raise"]
