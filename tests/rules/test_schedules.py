"""Learning rates: those of scikit-learn, and what they need."""

import numpy as np
import pytest

from fastgd.losses.classification import LogLoss
from fastgd.losses.multinomial import Multinomial
from fastgd.rules.schedules import SCHEDULES, make_schedule
from support.components import ToySoftmax


@pytest.mark.parametrize("alpha", [1e-4, 1.0])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_scikit_learn(name, alpha):
    schedule = make_schedule(name, 0.3, 0.4, alpha, LogLoss())
    typical = np.sqrt(1.0 / np.sqrt(alpha))
    first = typical / max(1.0, LogLoss().derivative(-typical, 1.0))
    expected = {
        "invscaling": lambda t: 0.3 / t**0.4,
        "optimal": lambda t: 1.0 / (alpha * (1.0 / (first * alpha) + t - 1.0)),
    }.get(name, lambda t: 0.3)
    for t in (1, 2, 10, 1000):
        assert schedule.rate(t) == pytest.approx(expected(t), rel=1e-12)


def test_optimal_says_what_it_needs():
    with pytest.raises(ValueError, match="divides by alpha, which is 0"):
        make_schedule("optimal", 0.1, 0.5, 0.0, LogLoss())
    with pytest.raises(ValueError, match="needs a loss of one prediction or of classes"):
        make_schedule("optimal", 0.1, 0.5, 0.1, ToySoftmax())
    one, several = (
        make_schedule("optimal", 0.1, 0.5, 0.1, loss) for loss in (LogLoss(), Multinomial())
    )
    assert one == several
