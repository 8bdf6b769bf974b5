"""Stopping rules on histories made by hand."""

import math

import numpy as np
import pytest

from fastgd.fitting.extrapolation import Extrapolated
from fastgd.fitting.history import History
from fastgd.fitting.leaving_rules import (
    EarlyOverdue,
    Outgrown,
    Outpaced,
    Overdue,
    Slow,
    Stalled,
)
from fastgd.fitting.stopping import (
    NoMistakes,
    Plateau,
    StoppingRule,
    StopReason,
    TimeLimit,
    Tolerance,
    UserRule,
    Validation,
    user_rules,
)


def history_of(**columns):
    """A history whose checks come at iterations 1, 2, 3, ... unless told otherwise."""
    history = History()
    length = len(next(iter(columns.values())))
    columns = {"iteration": range(1, length + 1), "rate": [1.0] * length, **columns}
    for k in range(length):
        history.append(**{name: column[k] for name, column in columns.items()})
    return history


def first_stop(rule, **columns):
    """Number of checks after which the rule first gives a reason, and the reason; None if it
    never does.
    """
    length = len(next(iter(columns.values())))
    for k in range(1, length + 1):
        reason = rule.check(history_of(**{name: column[:k] for name, column in columns.items()}))
        if reason is not None:
            return k, reason
    return None


def test_tolerance_stops_at_the_first_suboptimality_that_is_small_enough():
    assert first_stop(Tolerance(1e-3), suboptimality=[np.inf, 1e-2, 1e-3, 1e-4]) == (
        3,
        StopReason.CONVERGED,
    )
    assert first_stop(Tolerance(1e-3), suboptimality=[np.inf, np.nan, 2e-3]) is None


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_extrapolated_knows_what_is_left_of_a_power_law(power, tol):
    iterations = [2**k for k in range(60)]
    objective = [1.0 + iteration**-power for iteration in iterations]
    stop, reason = first_stop(Extrapolated(tol), iteration=iterations, objective=objective)
    assert reason is StopReason.PLATEAU
    assert objective[stop - 1] - 1.0 <= tol
    assert objective[stop - 2] - 1.0 > 0.01 * tol  # and not long after it was true


def test_extrapolated_waits_for_falls_that_can_be_compared():
    iterations = [1, 2, 4, 8, 16, 32]
    flat = [1.0] * 6
    rule = Extrapolated(1e-3)
    assert first_stop(rule, iteration=iterations, objective=flat) == (3, StopReason.PLATEAU)
    assert first_stop(rule, iteration=[3, 6, 12, 24], objective=[1.0] * 4) == (
        3,
        StopReason.PLATEAU,
    )
    assert first_stop(rule, iteration=[1, 2, 3, 5, 6, 7], objective=flat) is None
    # A warm start: checks before iteration 8 belong to another run.
    assert first_stop(rule, iteration=[9, 16, 32], objective=[1.0] * 3) is None
    # A run whose rate was cut between the checks stands still for another reason.
    assert first_stop(
        rule, iteration=iterations, objective=flat, rate=[1, 1, 0.1, 0.1, 0.1, 0.1]
    ) == (
        4,
        StopReason.PLATEAU,
    )
    # Rising objectives are no convergence.
    assert first_stop(rule, iteration=iterations, objective=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5]) is None


def test_outpaced_counts_the_epochs_that_noise_alone_takes():
    given = {"iteration": [1, 4, 16, 64, 128, 256], "passes": [4, 10, 26, 78, 146, 278]}
    assert first_stop(Outpaced(310.0, 300.0, 1000), **given) == (3, StopReason.PLATEAU)
    assert first_stop(Outpaced(20.0, 300.0, 1000), **given) == (1, StopReason.PLATEAU)
    assert first_stop(Outpaced(np.inf, 300.0, 1000), **given) is None
    assert first_stop(Outpaced(310.0, 300.0, 16), **given) is None
    # What comes down soon has some time of its own.
    assert first_stop(Outpaced(20.0, 3.0, 1000), **given) == (6, StopReason.PLATEAU)


def test_no_mistakes_means_a_loss_of_0():
    assert first_stop(NoMistakes(), loss=[0.3, 1e-300, 0.0]) == (3, StopReason.PLATEAU)
    assert {"every_iteration", "loss"} <= NoMistakes.needs


def test_plateau_counts_checks_without_enough_of_a_fall():
    rule = Plateau(1e-2, 3)
    falling = [2.0**-k for k in range(20)]
    assert first_stop(rule, objective=falling) is None
    assert first_stop(rule, objective=[1.0, 0.5, 0.5, 0.5, 0.5]) == (5, StopReason.PLATEAU)
    assert first_stop(rule, objective=[1.0, 0.5, 0.499, 0.498, 0.497, 0.1]) == (
        5,
        StopReason.PLATEAU,
    )
    assert first_stop(rule, objective=[1.0, 0.5, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6]) == (
        8,
        StopReason.PLATEAU,
    )


def test_validation_counts_checks_without_a_better_score():
    rule = Validation(0.01, 2)
    assert first_stop(rule, score=[0.5, 0.6, 0.7, 0.8]) is None
    assert first_stop(rule, score=[0.5, 0.6, 0.6, 0.605]) == (4, StopReason.VALIDATION)
    assert first_stop(rule, score=[0.5, 0.6, 0.59, 0.62, 0.61, 0.6]) == (6, StopReason.VALIDATION)
    assert first_stop(rule, score=[np.nan, 0.6, 0.6, 0.6]) == (4, StopReason.VALIDATION)
    assert {"every_iteration", "score"} <= Validation.needs


def test_time_limit_looks_at_the_clock():
    assert first_stop(TimeLimit(2.0), seconds=[0.5, 1.9, 2.0, 3.0]) == (3, StopReason.TIME)


def test_a_users_function_sees_the_public_columns():
    seen = []

    def enough(history):
        seen.append(history)
        return history["objective"][-1] < 0.5

    assert first_stop(UserRule(enough), objective=[1.0, 0.6, 0.4]) == (3, StopReason.RULE)
    assert sorted(seen[-1]) == sorted(["passes", "seconds", "objective", "bound", "rate", "batch"])
    assert all(
        isinstance(column, np.ndarray) and column.shape == (3,) for column in seen[-1].values()
    )


def test_what_may_be_given_as_stop():
    class Mine(StoppingRule):
        def check(self, history):
            return StopReason.RULE

    rule, function = Mine(), lambda history: True
    assert user_rules(None) == []
    assert user_rules(rule) == [rule]
    assert user_rules([rule, rule]) == [rule, rule]
    assert [type(one) for one in user_rules((rule, function))] == [Mine, UserRule]
    with pytest.raises(
        ValueError, match="stop must be a StoppingRule, a function of the history, or a list"
    ):
        user_rules([3])
    with pytest.raises(NotImplementedError):
        StoppingRule().check(None)


def test_columns_are_equally_long_and_missing_numbers_are_nan():
    history = history_of(objective=[1.0, 2.0], bound=[np.inf, 1.0])
    arrays = history.arrays()
    assert {column.shape for column in arrays.values()} == {(2,)}
    assert math.isnan(arrays["seconds"][0])
    assert len(history) == 2


def test_every_reason_is_a_clause():
    for reason in StopReason:
        assert reason.value == reason.value.strip().rstrip(".")
        assert len(reason.value.split()) >= 3


def test_what_was_proved_before_a_jump_counts():
    """A value kept along the way drifts, and the bound with it: computed anew, F is higher than
    it was.
    """
    history = History()
    for iteration in range(41):
        objective = 2.0 - 0.05 * iteration if iteration < 20 else 1.0 if iteration < 40 else 100.0
        history.append(
            iteration=iteration,
            objective=objective,
            suboptimality=5.0 if iteration < 20 else 1e12 if iteration < 40 else 50.0,
            batch=1000.0,
        )
    assert Stalled(1e-4).check(history) is StopReason.PLATEAU


def test_values_on_samples_are_no_part_of_a_standstill():
    falls = [1.0 - 0.01 * k for k in range(13)]
    history = seen([0.4] * 12 + falls, range(25), [np.inf] * 12 + falls, [100.0] * 12 + [1e3] * 13)
    assert Stalled(1e-4).check(history) is None
    history = seen([0.4] * 12 + [1.0] * 13, range(25), [1.0] * 25, [100.0] * 12 + [1e3] * 13)
    assert Stalled(1e-4).check(history) is StopReason.PLATEAU


def seen(objective=(), passes=(), suboptimality=(), batch=None):
    """A history of these checks."""
    batch = [1000.0] * len(objective) if batch is None else batch
    checks = {"objective": objective, "passes": passes, "suboptimality": suboptimality}
    return {**checks, "batch": batch}


def estimated(passes, suboptimality):
    """What a solver estimated: after three iterations nothing, then this."""
    made = History()
    for p, s in zip([0.0] * 3 + passes, [np.inf] * 3 + suboptimality, strict=True):
        made.estimate(p, s)
    return made


@pytest.mark.parametrize("rule", [Overdue, EarlyOverdue])
def test_a_plan_is_left_where_its_pace_promises_more_than_another_one_takes(rule):
    overdue = rule(1e-4, forecast=20.0, other=lambda: 30.0, worth=2.0)
    assert overdue.check(estimated([4.0], [0.1])) is None  # no pace yet
    # A factor of 10 in 4 passes, two more to go: 8 passes, each worth 2.
    fast = estimated([4.0, 8.0], [0.1, 0.01])
    assert overdue.remaining_passes(fast) == overdue.to_go(fast) == pytest.approx(16.0)
    assert overdue.to_go(estimated([4.0, 8.0], [0.1, 0.1])) is None
    assert overdue.check(fast) is None
    # In 4 passes a factor of 1.1: hundreds more, and a quarter of the other plan is spent.
    slow = estimated([4.0, 8.0], [0.1, 0.09])
    assert overdue.check(slow) is StopReason.PLATEAU
    early = estimated([0.5, 1.0], [0.1, 0.09])
    assert overdue.check(early) is None
    # Nor is a bound that did not come closer yet trusted before the forecast is spent.
    assert overdue.check(estimated([4.0, 8.0], [0.1, 0.1])) is None
    assert overdue.check(estimated([10.0, 20.0], [0.1, 0.1])) is StopReason.PLATEAU
    late = estimated([10.0, 20.0], [0.01, 0.0022])
    assert 30.0 < overdue.remaining_passes(late) < 45.0
    assert overdue.check(late) is (StopReason.PLATEAU if rule is Overdue else None)
    late = estimated([10.0, 20.0], [0.01, 0.0035])
    assert 45.0 < overdue.remaining_passes(late) < 90.0
    assert overdue.check(late) is StopReason.PLATEAU
    far = estimated([100.0, 200.0], [1.0, 1e-9])
    assert overdue.check(far) is StopReason.PLATEAU


def test_a_plan_is_left_where_its_iterations_hardly_hold_what_is_left():
    """They ended at 2.4e-4 for 1e-4, and the plan that would have proved it was not begun."""
    given = {"forecast": 20.0, "other": lambda: 100.0}
    made = History()
    for iteration in range(1, 41):
        made.estimate(float(iteration), 0.1 if iteration <= 20 else 0.01)
    # A factor of 10 in 20 passes, or 20 iterations: 40 more.
    assert Overdue(1e-4, **given).check(made) is None
    assert Overdue(1e-4, **given, most=121).check(made) is None
    assert Overdue(1e-4, **given, most=119).check(made) is StopReason.PLATEAU
    # Not before a quarter of what the other plan takes, nor without one.
    given["other"] = lambda: 161.0
    assert Overdue(1e-4, **given, most=119).check(made) is None
    given["other"] = lambda: np.inf
    assert Overdue(1e-4, **given, most=119).check(made) is None


def test_estimates_that_jump_back_are_no_reason_to_leave():
    made = estimated([29.0, 40.0, 56.0, 69.0, 111.0, 133.0], [0.3, 0.06, 0.047, 0.3, 0.021, 0.036])
    overdue = EarlyOverdue(1e-2, forecast=30.0, other=lambda: 2437.0)
    assert overdue.remaining_passes(made) < 200.0
    assert overdue.check(made) is None
    # One that is far too low, or below 0, is not believed for ever.
    for wrong in (5e-5, -1e-6):
        made = estimated([*range(1, 9)], [1.0, 0.5, 0.25, wrong, 0.06, 0.03, 0.015, 0.0075])
        assert 0.0 < Overdue(1e-4, 8.0, lambda: 9.0).remaining_passes(made) < 20.0
    # Nor is any pace, before a tenth of the other plan is spent; but a run that is stuck is left.
    assert overdue.check(estimated([40.0, 133.0], [0.9, 0.899])) is None
    assert overdue.check(estimated([40.0, 133.0], [0.9, 0.9])) is None
    assert overdue.check(estimated([40.0, 250.0], [0.9, 0.9])) is StopReason.PLATEAU
    few = EarlyOverdue(1e-2, forecast=30.0, other=lambda: 2437.0, most=9)
    assert few.check(estimated([40.0, 133.0], [0.9, 0.9])) is StopReason.PLATEAU


def test_what_was_estimated_long_ago_tells_no_pace():
    long_ago, of_late = [0.5, 0.4, 0.3], [0.02, 0.015, 0.01]
    overdue = Overdue(1e-4, forecast=20.0, other=lambda: 30.0)
    made = estimated([*range(1, 39)], long_ago + [np.inf] * 32 + of_late)
    assert overdue.remaining_passes(made) == np.inf
    made = estimated([*range(1, 39)], [np.inf] * 16 + long_ago + [np.inf] * 16 + of_late)
    pace = np.log(0.4 / 0.015) / (37.0 - 18.0)
    assert overdue.remaining_passes(made) == pytest.approx(np.log(0.015 / 1e-4) / pace)


def test_one_that_tells_early_is_judged_early():
    made = estimated([1.0, 2.0], [0.1, 0.09])  # 4 of 30 spent, hundreds left
    given = {"forecast": 20.0, "other": lambda: 30.0, "worth": 2.0}
    assert Overdue(1e-4, **given).check(made) is None
    assert EarlyOverdue(1e-4, **given).check(made) is StopReason.PLATEAU


def test_a_pace_takes_four_estimates():
    overdue = Overdue(1e-4, forecast=20.0, other=lambda: 30.0)
    made = History()
    for passes in (10.0, 100.0, 1000.0):
        made.estimate(passes, 0.1)
        assert overdue.check(made) is None
    made.estimate(2000.0, 0.1)
    assert overdue.check(made) is StopReason.PLATEAU


def test_what_another_plan_takes_is_asked_for_once_there_is_a_pace():
    asked = []

    def other():
        asked.append(True)
        return np.inf

    overdue = Overdue(1e-4, forecast=20.0, other=other)
    made = History()
    for passes, far in ((9.0, 0.4), (11.0, 0.2), (13.0, 0.1), (16.0, 0.01)):
        made.estimate(passes, far)
        assert overdue.check(made) is None
    assert not asked
    # Where there is no other plan this one is never left.
    made.estimate(900.0, 0.09)
    assert overdue.check(made) is None
    made.estimate(1900.0, np.inf)
    assert overdue.check(made) is None
    assert asked


def test_a_plan_is_left_where_its_forecast_has_grown_beyond_another_one():
    asked = []

    def other():
        asked.append(True)
        return 50.0

    left = iter([90.0, 101.0, 49.0])
    outgrown = Outgrown(100.0, other, lambda: next(left))
    # As was forecast: the other plan is not asked for. Passes alone are not what it took.
    assert outgrown.check(seen(passes=[4.0, 80.0])) is None
    assert not asked
    assert outgrown.check(seen(passes=[4.0, 80.0])) is StopReason.PLATEAU
    assert asked
    assert outgrown.check(seen(passes=[600.0])) is None
    assert Outgrown(100.0, other, lambda: 80.0).to_go(seen(passes=[60.0])) == 80.0


def test_newton_is_left_where_falls_promise_more_than_another_plan_takes():
    k = np.arange(12)
    slow = Slow(1e-4, other=50.0, more=3.0)
    # Falls of 10 % less each time: what is left is 9 times the last one.
    values = [*(1.0 + 0.9**k)]
    left = 0.9**11
    checks = np.log(left / (1e-4 * values[-1])) / np.log(1.0 / 0.9)
    history = seen(objective=values, passes=[*(2.0 * k)])
    assert slow.remaining_passes(history) == pytest.approx(checks * (2.0 + 3.0))
    assert slow.check(history) is StopReason.PLATEAU
    assert slow.check(seen(objective=values[:8], passes=[*(2.0 * k[:8])])) is None
    quick = seen(objective=[*(1.0 + 0.3**k)], passes=[*(2.0 * k)])
    assert slow.check(quick) is None
    # Not before what was forecast is spent.
    spent = 22.0 + 12 * 3.0
    assert Slow(1e-4, other=50.0, more=3.0, forecast=spent + 1.0).check(history) is None
    assert Slow(1e-4, other=50.0, more=3.0, forecast=spent).check(history) is StopReason.PLATEAU
    grows = seen(objective=[*(1.0 - 0.01 * k**2)], passes=[*(2.0 * k)])
    assert slow.remaining_passes(grows) == np.inf
    assert slow.to_go(grows) == 0.0
    # These tell no pace: a quarter of what the other plan takes is to be spent first.
    assert slow.check(grows) is StopReason.PLATEAU
    assert Slow(1e-4, other=4.0 * spent, more=3.0).check(grows) is StopReason.PLATEAU
    assert Slow(1e-4, other=4.0 * spent + 1.0, more=3.0).check(grows) is None
    # The objectives of samples are other ones.
    samples = seen(objective=values, passes=[*(2.0 * k)], batch=[100.0] * 4 + [1000.0] * 8)
    assert slow.check(samples) is None


def test_a_dozen_checks_more_are_waited_for_where_the_other_plan_takes_long():
    history = seen([0.5**k for k in range(9)], range(9), [0.5**k for k in range(9)])

    def stalled(beside, other):
        return Stalled(1e-4, 9, so_far=lambda: beside, other=lambda: other).check(history)

    assert Stalled(1e-4, 9).check(history) is StopReason.PLATEAU
    assert stalled(beside=92.0, other=200.0) is StopReason.PLATEAU
    assert stalled(beside=92.0, other=202.0) is None
    assert Stalled(1e-4, 10, so_far=lambda: 92.0, other=lambda: 0.0).check(history) is None


def test_a_pace_is_in_what_was_counted_beside_passes():
    history = seen([1.0 + 0.9**k for k in range(12)], [2.0 * k for k in range(12)])
    told = Slow(1e-4, 50.0, more=3.0)
    counted = Slow(1e-4, 50.0, more=0.0, so_far=lambda: 36.0)
    assert counted.remaining_passes(history) == told.remaining_passes(history)
    spent = 22.0 + 36.0
    for forecast, found in ((spent, StopReason.PLATEAU), (spent + 1.0, None)):
        slow = Slow(1e-4, 50.0, 0.0, forecast=forecast, so_far=lambda: 36.0)
        assert slow.check(history) is found
    # A quarter of what the other one takes is to be spent, and nobody is asked before a pace.
    asked = []
    for other, found in ((4.0 * spent, StopReason.PLATEAU), (4.0 * spent + 1.0, None)):
        slow = Slow(1e-4, lambda told=other: asked.append(told) or told, 0.0, so_far=lambda: 36.0)
        slow.remaining_passes = lambda history: 1e9
        assert slow.check({name: one[:9] for name, one in history.items()}) is None
        assert not asked
        assert slow.check(history) is found
        asked.clear()
