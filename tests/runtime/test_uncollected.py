"""The collector is paused inside and as it was after it: nested, after errors, where it was off."""

import gc

import pytest

from fastgd.runtime.uncollected import Pause


def test_the_collector_is_as_it_was():
    pause, was_on = Pause(), gc.isenabled()
    try:
        for on in (True, False):
            (gc.enable if on else gc.disable)()
            with pause.here():
                with pytest.raises(ZeroDivisionError), pause.here():
                    raise ZeroDivisionError
                assert not gc.isenabled()
            assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
