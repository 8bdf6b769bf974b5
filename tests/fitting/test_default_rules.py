"""Which stopping rules a run gets by itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastgd.fitting.default_rules import rules_along_path
from fastgd.fitting.history import History
from fastgd.fitting.leaving_rules import Stalled
from fastgd.fitting.plan import Settings
from fastgd.fitting.stopping import StopReason, TimeLimit, Validation
from fastgd.fitting.task import Task


def task(**given):
    return Task(None, None, None, Settings(), 0.1, True, **given)


@pytest.mark.parametrize(("gained", "reason"), [(1.0, None), (1e4, StopReason.PLATEAU)])
def test_along_a_path_falls_count_by_what_the_columns_gain(gained, reason):
    """Without an infimum |F| is no unit: of a mean loss near 1e6, all of which is the constant,
    falls of 1e-3 were a standstill.
    """
    F = SimpleNamespace(loss=SimpleNamespace(infimum=-np.inf), null_value=1e6)
    (rule,) = rules_along_path(task(), F)
    assert isinstance(rule, Stalled)
    history = History()
    for check in range(30):
        value = F.null_value - gained - 1e-3 * check
        history.append(objective=value, suboptimality=1.0, batch=100.0)
    assert rule.check(history) is reason


def test_along_a_path_time_and_scores_count_as_in_a_fit():
    mine = object()
    rules = rules_along_path(task(max_time=1.0, score=print, stop_rules=(mine,)), None)
    assert [type(one) for one in rules] == [TimeLimit, Validation, object]
