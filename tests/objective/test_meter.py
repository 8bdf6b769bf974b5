"""Passes are counted where rows are read, and charged to whom they belong."""

import numpy as np
import pytest

from fastgd.objective.meter import Meter
from fastgd.objective.objective import Objective


def test_shares_are_charged_all_the_way_up():
    whole = Meter()
    part = Meter(whole, 0.5)
    columns = Meter(part, 0.1)
    columns.count(3.0)
    part.count()
    assert columns.passes == 3.0
    assert part.passes == pytest.approx(1.3)
    assert whole.passes == pytest.approx(0.65)


def test_passes_are_read_and_not_written():
    F = Objective("squared_error", np.eye(3), np.ones(3))
    F.value(F.start())
    assert F.passes == F.meter.passes == 1.0
    with pytest.raises(AttributeError):
        F.passes = 0.0
