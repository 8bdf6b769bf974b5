"""The clock of a fit stands while kernels are compiled, nested and on other threads too; `max_time`
and the seconds of a history go by it.
"""

import os
import threading
import time

import numpy as np
import pytest
from numba import config

from fastgd import GDClassifier, GDRegressor
from fastgd.fitting.stopping import StopReason
from fastgd.runtime.clock import Clock, clock
from fastgd.runtime.jit import kernel


def test_it_stands_within_and_goes_on_after():
    own = Clock()
    begun = own.now()
    with own.stands():
        with pytest.raises(ZeroDivisionError), own.stands():
            raise ZeroDivisionError
        inside = own.now()
        time.sleep(0.02)
        assert own.now() == inside
    after = own.now()
    assert begun <= inside <= after
    time.sleep(0.02)
    assert own.now() >= after + 0.02


def test_it_stands_until_the_last_of_two_threads_is_done():
    own, entered, go = Clock(), threading.Event(), threading.Event()

    def work():
        with own.stands():
            entered.set()
            go.wait(30.0)

    thread = threading.Thread(target=work)
    with own.stands():
        thread.start()
        assert entered.wait(30.0)
    before = own.now()
    time.sleep(0.01)
    assert own.now() == before
    go.set()
    thread.join()
    time.sleep(0.01)
    assert own.now() >= before + 0.01


def test_what_another_process_compiled_is_left_out():
    own = Clock()
    begun = own.now()
    own.leave_out(1000.0)
    assert own.now() < begun - 900.0
    with own.stands():
        own.leave_out(10.0)
        assert own.now() < begun - 910.0


class Hands:
    """What the clock reads, moved by the test."""

    def __init__(self):
        self.at = 0.0

    def perf_counter(self):
        return self.at


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "hinge"},
        {"solver": "gd", "batch_size": 4, "max_iter": 5, "tol": None},
        {"multi_class": "ovr"},
    ],
)
def test_max_time_and_history_leave_compiling_out(settings, monkeypatch):
    hands = Hands()
    monkeypatch.setattr("fastgd.runtime.clock.time", hands)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.digitize(X[:, 0] + rng.normal(size=60), [-0.5, 0.5])

    def works(history):
        hands.at += 1.0
        return False

    def compiles(history):
        with clock.stands():
            hands.at += 100.0
        return works(history)

    def histories(**more):
        model = GDClassifier(random_state=0, **settings, **more).fit(X, y)
        known = model.history_
        return model, known if isinstance(known, list) else [known]

    plain, counted = histories(stop=works, max_time=1e6)
    cold, seen = histories(stop=compiles, max_time=1e6)
    assert (cold.coef_ == plain.coef_).all()
    for one, other in zip(counted, seen, strict=True):
        # To rounding: the clock stood for fractions of seconds in tests before this one.
        np.testing.assert_allclose(one["seconds"], other["seconds"], rtol=0.0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::fastgd.ConvergenceWarning")
def test_max_time_is_not_met_by_compiling_and_met_by_work(monkeypatch):
    hands, X, y = Hands(), np.arange(20.0)[:, None], np.arange(20.0) ** 2
    monkeypatch.setattr("fastgd.runtime.clock.time", hands)

    def compiles(history):
        with clock.stands():
            hands.at += 100.0
        return False

    def works(history):
        hands.at += 100.0
        return False

    settings = {"solver": "gd", "batch_size": "full", "tol": None, "max_iter": 5, "max_time": 1.0}
    model = GDRegressor(stop=compiles, **settings).fit(X, y)
    assert (model.stop_reason_, model.n_iter_) == (StopReason.MAX_ITER, 5)
    model = GDRegressor(stop=works, **settings).fit(X, y)
    assert (model.stop_reason_, model.n_iter_) == (StopReason.TIME, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_goes_in_a_child_that_was_forked_while_another_thread_compiled():
    """There is nobody there who would let it go on: no `max_time` ended a fit."""
    with clock.stands():
        child = os.fork()
        if child == 0:
            begun = clock.now()
            time.sleep(0.01)
            os._exit(0 if clock.now() > begun else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_kernels_are_compiled_while_it_stands():
    @kernel
    def fresh(x):
        return 3.0 * x + 0.25

    began, begun = time.perf_counter(), clock.now()
    assert fresh(1.0) == 3.25
    counted, wall = clock.now() - begun, time.perf_counter() - began
    assert counted < 0.5 * wall
