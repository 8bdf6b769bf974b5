"""Runs that share readings find what each would find alone."""

import _thread
import threading
import time

import numpy as np
import pytest

from fastgd.data.shared_readings import SharedReadings


class Source:
    """Readings of a few blocks, counted."""

    def __init__(self, blocks=range(1, 5)):
        self.given, self.count, self.closed = blocks, 0, 0

    def read(self, order=None):
        self.count += 1
        try:
            yield from self.given if order is None else [order]
        finally:
            self.closed += 1


def together(source, *works):
    """What each of several functions of the readings returns, and how often `end` was called."""
    readings, found, ended = SharedReadings(source.read), [None] * len(works), []

    def put(k, work):
        found[k] = work(readings)

    calls = [lambda k=k, one=one: put(k, one) for k, one in enumerate(works)]
    try:
        readings.together(calls, lambda: ended.append(True))
    finally:
        together.ended = len(ended)
    return found


def total(n_times):
    return lambda readings: [sum(readings.blocks()) for _ in range(n_times)]


def test_there_are_as_many_readings_as_the_run_with_most_of_them_asks_for():
    source = Source()
    assert together(source, total(3), total(1), total(2), total(0)) == [
        [10] * 3,
        [10],
        [10] * 2,
        [],
    ]
    assert source.count == source.closed == 3


def test_a_run_may_leave_a_reading_and_ask_for_another():
    def first_two(readings):
        return [next(readings.blocks()) for _ in range(2)]

    source = Source()
    assert together(source, first_two, total(1)) == [[1, 1], [10]]
    # It takes part in the next reading, not in the rest of this one.
    assert source.count == source.closed == 2
    alone = Source([1, 2])
    assert together(alone, first_two, first_two) == [[1, 1], [1, 1]]
    assert alone.count == alone.closed == 2


def test_a_reading_is_shared_by_those_that_want_its_order():
    def of_orders(*orders):
        return lambda readings: [list(readings.blocks(order)) for order in orders]

    source, usual = Source(), [1, 2, 3, 4]
    found = together(source, of_orders(7, None, 8), of_orders(7, 8), of_orders(None, 8))
    assert found == [[[7], usual, [8]], [[7], [8]], [usual, [8]]]
    assert source.count == source.closed == 3


def test_a_reading_within_another_is_its_own():
    def products(readings):
        return [a * sum(readings.blocks()) for a in readings.blocks()]

    source = Source()
    assert together(source, products, total(2)) == [[10, 20, 30, 40], [10, 10]]
    assert source.count == 2 + 4


def test_who_takes_no_part_reads_alone():
    source = Source()
    readings = SharedReadings(source.read)
    assert list(readings.blocks()) == [1, 2, 3, 4]


def test_one_runs_at_a_time_and_with_the_caller_s_ways():
    inside, most = [0], []

    def work(readings):
        for _ in readings.blocks():
            inside[0] += 1
            time.sleep(0.001)
            most.append(inside[0])
            inside[0] -= 1
        return np.geterr()["over"]

    with np.errstate(over="raise"):
        assert together(Source(), work, work, work) == ["raise"] * 3
    assert set(most) == {1}


def test_an_error_of_the_source_is_that_of_all_runs():
    def broken():
        yield 1
        raise ValueError("damaged")

    source = Source(broken())
    with pytest.raises(ValueError, match="damaged"):
        together(source, total(1), total(1))


def test_an_error_of_a_run_ends_the_others():
    stop = threading.Event()

    def fails(readings):
        for _ in readings.blocks():
            raise ArithmeticError("diverged")

    def goes_on(readings):
        n_readings = 0
        while not stop.is_set():
            n_readings += len(list(readings.blocks())) > 0
        return n_readings

    readings, found = SharedReadings(Source().read), []
    works = [lambda: fails(readings), lambda: found.append(goes_on(readings))]
    with pytest.raises(ArithmeticError):
        readings.together(works, stop.set)
    assert found == [1]


@pytest.mark.usefixtures("heard")
def test_an_interrupt_is_raised_where_runs_wait():
    seen, until = [], time.monotonic() + 30.0

    def endless(readings):
        try:
            while time.monotonic() < until:
                for _ in readings.blocks():
                    time.sleep(0.01)
        except KeyboardInterrupt:
            seen.append(True)

    def interrupt(readings):
        next(readings.blocks())
        threading.Timer(0.05, _thread.interrupt_main).start()

    with pytest.raises(KeyboardInterrupt):
        together(Source(), endless, endless, interrupt)
    assert seen == [True, True]
    assert together.ended == 1
