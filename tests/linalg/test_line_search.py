"""Line searches against their conditions written out."""

import numpy as np
import pytest

from fastgd.linalg.line_search import armijo, halvings, weak_wolfe


@pytest.mark.parametrize(
    ("trial", "slack", "enough"),
    [
        (0.5, 0.0, True),
        (2.0 - 1e-4 * 0.25 * 8.0, 0.0, True),
        (2.0 - 0.9e-4 * 0.25 * 8.0, 0.0, False),
        (2.0, 0.0, False),
        (2.0, 1e-3, True),
        (np.nan, 1.0, False),
        (np.inf, 1.0, False),
    ],
)
def test_enough_is_a_share_of_the_promise(trial, slack, enough):
    assert armijo(2.0, trial, -8.0, 0.25, slack) is enough


def test_shares_are_halved_so_often_and_no_further_than_they_move():
    assert list(halvings(4, first=6.0)) == [6.0, 3.0, 1.5, 0.75]
    start, direction = np.array([1.0, 1e8]), np.array([1.0, 1.0])
    shares = list(halvings(start=start, direction=direction))
    assert (start + shares[-1] * direction != start).any()
    assert (start + 0.5 * shares[-1] * direction == start).all()
    assert list(halvings(start=start, direction=np.zeros(2))) == [1.0]


def functions():
    """(name, f, derivative) on t >= 0, all with derivative -1 at 0."""
    yield "parabola", lambda t: 0.5 * (t - 1.0) ** 2, lambda t: t - 1.0
    yield "narrow", lambda t: 5e3 * (t - 1e-4) ** 2, lambda t: 1e4 * (t - 1e-4)
    yield "wide", lambda t: 5e-4 * (t - 1e3) ** 2, lambda t: 1e-3 * (t - 1e3)
    yield "quartic", lambda t: 0.25 * (t - 1.0) ** 4, lambda t: (t - 1.0) ** 3
    yield "wave", lambda t: -np.sin(t) + 0.05 * t * t, lambda t: -np.cos(t) + 0.1 * t
    yield "corner", lambda t: abs(t - 2.1), lambda t: 1.0 if t > 2.1 else -1.0


@pytest.mark.parametrize("first", [1e-3, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("case", functions(), ids=lambda case: case[0])
def test_a_step_meets_both_conditions(case, first):
    _, f, derivative = case
    tried = []

    def look(t):
        tried.append(t)
        return f(t), derivative(t), 2.0 * t

    share, kept = weak_wolfe(look, f(0.0), derivative(0.0), first, np.zeros(1), np.ones(1))
    assert kept == 2.0 * share
    assert tried[0] == first
    assert len(tried) < 25
    assert f(share) <= f(0.0) + 1e-4 * share * derivative(0.0)
    assert derivative(share) >= 0.9 * derivative(0.0)


def test_without_end_the_lowest_is_taken():
    share, _ = weak_wolfe(lambda t: (-t, -1.0, None), 0.0, -1.0, 1.0, np.zeros(1), np.ones(1))
    assert share == 2.0**39


def test_uphill_there_is_no_step():
    tried = []

    def look(t):
        tried.append(t)
        return 1.0 + t, 1.0, None

    assert weak_wolfe(look, 1.0, -1.0, 1.0, np.ones(1), np.ones(1)) is None
    assert len(tried) == 40
    assert weak_wolfe(look, 1.0, -1.0, 1.0, np.array([1e20]), np.ones(1)) is None
    assert len(tried) == 41


def test_within_rounding_the_slope_decides():
    def search(steepness):
        after = 1.0 + 4e-16, steepness, None
        return weak_wolfe(lambda t: after, 1.0, -1e-12, 1.0, np.zeros(1), np.ones(1), 1e-15)

    assert search(-0.5) is None
    assert search(-1e-13) == (1.0, None)
