"""Every update rule and every step length against its twin, and `coast` against the loop it stands
for.
"""

import numpy as np
import pytest

from fastgd.rules.adaptive import Adagrad, Adam, Rmsprop
from fastgd.rules.base import Rule, coast_linear, coast_shrinking
from fastgd.rules.classic import Gd, Momentum, Nesterov
from fastgd.rules.one_sample import Capped, StepLength
from support.twins import members, twin_of_rule, twin_of_step_length

RULES = pytest.mark.parametrize("rule", members(Rule), ids=lambda rule: rule.name)
COASTING = pytest.mark.parametrize(
    "rule", [r for r in members(Rule) if r.coasts], ids=lambda rule: rule.name
)


@RULES
def test_fifty_steps_are_those_of_the_twin(rule):
    rng = np.random.default_rng(0)
    state, move = np.zeros((rule.slots, 3)), twin_of_rule(rule)
    for step in range(1, 51):
        gradient, decay, rate = (
            rng.standard_normal(3),
            0.1 * rng.standard_normal(3),
            rng.uniform(0.01, 1.0),
        )
        moved = rule.step(state, slice(None), gradient, decay, rate, rule.begin(step))
        np.testing.assert_allclose(moved, move(gradient, decay, rate), rtol=1e-12, atol=1e-14)


@RULES
def test_one_coefficient_moves_as_the_whole_array(rule):
    rng = np.random.default_rng(1)
    whole, single = np.zeros((rule.slots, 4)), np.zeros((rule.slots, 4))
    for step in range(1, 6):
        gradient, decay, scale = rng.standard_normal(4), rng.standard_normal(4), rule.begin(step)
        together = rule.step(whole, slice(None), gradient, decay, 0.3, scale)
        apart = [rule.step(single, j, gradient[j], decay[j], 0.3, scale) for j in range(4)]
        np.testing.assert_allclose(together, apart, rtol=1e-15)
        reach = rule.reach(whole, slice(None), 0.3, scale)
        np.testing.assert_allclose(
            np.broadcast_to(reach, 4), [rule.reach(single, j, 0.3, scale) for j in range(4)]
        )
    np.testing.assert_array_equal(whole, single)


@RULES
def test_a_zero_gradient_moves_nothing_on_a_fresh_state(rule):
    state = np.zeros((rule.slots, 2))
    for step in range(1, 4):
        np.testing.assert_array_equal(
            rule.step(state, slice(None), np.zeros(2), np.zeros(2), 0.5, rule.begin(step)), 0.0
        )
    np.testing.assert_array_equal(state, 0.0)


@RULES
def test_reach_is_what_a_lasting_gradient_moves(rule):
    state = np.zeros((rule.slots, 1))
    for step in range(1, 400):
        moved = rule.step(state, 0, 1.0, 0.0, 0.1, rule.begin(step))
    assert rule.reach(state, 0, 0.1, rule.begin(step)) == pytest.approx(moved, rel=1e-6)


@COASTING
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.05])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_coasting_is_the_loop(rule, alpha, count):
    state = np.full((rule.slots, 1), 0.7)
    looped, coef, total = state.copy(), 2.0, 0.0
    for _ in range(count):
        coef -= rule.step(looped, 0, 0.0, rule.decay(looped, 0, coef, alpha, 0.3), 0.3, 1.0)
        total += coef
    coasted, way = rule.coast(state, 0, 2.0, alpha, 0.3, count)
    np.testing.assert_allclose([coasted, way], [coef, total], rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(state, looped, rtol=1e-11, atol=1e-14)


@COASTING
def test_coasting_keeps_a_coefficient_that_no_row_touches_at_zero(rule):
    state = np.zeros((rule.slots, 1))
    assert rule.coast(state, 0, 0.0, 1e3, 10.0, 100_000) == (0.0, 0.0)
    np.testing.assert_array_equal(state, 0.0)


@pytest.mark.parametrize("rule", [Gd(), Adagrad()], ids=lambda r: r.name)
def test_decay_alone_takes_no_coefficient_past_zero(rule):
    state = np.full((rule.slots, 1), 1e-16)
    for alpha in (1e-2, 1.0, 1e6):
        coef = 3.0 - rule.step(state, 0, 0.0, rule.decay(state, 0, 3.0, alpha, 0.5), 0.5, 1.0)
        coasted, _ = rule.coast(state, 0, 3.0, alpha, 0.5, 1)
        assert 0.0 <= coef < 3.0
        assert coasted == pytest.approx(coef, abs=1e-15)


def test_adagrad_leaves_a_coefficient_alone_that_no_gradient_has_reached():
    rule, state = Adagrad(), np.zeros((1, 2))
    assert rule.step(state, 0, 0.0, 0.4, 1.0, 1.0) == 0.0
    assert rule.reach(state, 0, 1.0, 1.0) == 0.0
    assert rule.coast(state, 0, 2.0, 0.1, 1.0, 10) == (2.0, 20.0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 37])
def test_coast_linear_is_the_power_of_the_matrix_and_the_sum_of_powers(count):
    a, b, c, d = 0.9, -0.2, 0.3, 0.8
    vector, total = np.array([2.0, -1.0]), 0.0
    for _ in range(count):
        vector = np.array([[a, b], [c, d]]) @ vector
        total += vector[0]
    np.testing.assert_allclose(
        coast_linear(a, b, c, d, 2.0, -1.0, count), [*vector, total], rtol=1e-12
    )


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 37, 1000])
@pytest.mark.parametrize("shrink", [0.0, 1e-200, 1e-12, 1e-3, 0.019, 0.4, 0.9999, 1.0, 7.0])
def test_coast_shrinking_is_a_loop(shrink, count):
    coefficient, total = 3.0, 0.0
    for _ in range(count):
        coefficient -= min(shrink, 1.0) * coefficient
        total += coefficient
    expected = coefficient, total
    np.testing.assert_allclose(
        coast_shrinking(shrink, 3.0, count), expected, rtol=1e-11, atol=1e-200
    )


STEP_LENGTHS = {"scheduled": (), "capped": (0.5,), "pa1": (), "pa2": ()}


@pytest.mark.parametrize("name", [step_length.name for step_length in members(StepLength)])
@pytest.mark.parametrize("rate", [1e-3, 0.3, 1e6])
def test_every_pace_is_its_twin(name, rate):
    rng = np.random.default_rng(2)
    step_length = StepLength.named(name)(*STEP_LENGTHS[name])
    twin = twin_of_step_length(step_length)
    for value, derivative, squared_norm, weight in [
        *rng.standard_normal((20, 4)) ** 2 * [1, -1, 1, 10],
        (0.0, 0.0, 2.0, 1.0),
    ]:
        for sign in (-1.0, 1.0):
            row = value, sign * derivative, squared_norm, weight
            expected, found = twin(step_length, rate, *row), step_length.multiple(rate, *row)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_a_cap_is_where_the_infimum_is():
    """Values below 0 made every step as long as value / change, and uphill."""
    for infimum in (-20.0, -10.0, -10.0 + 1e-15):
        step_length = Capped(0.5, 1.0, infimum)
        for rate in (1e-3, 1e6):
            row = -10.0 + 1e-14, 0.3, 2.0, 1.0
            expected = twin_of_step_length(step_length)(step_length, rate, *row)
            found = step_length.multiple(rate, *row)
            assert found == pytest.approx(expected, rel=1e-12)
    assert Capped(0.5, 1.0, -np.inf).multiple(3.0, -10.0, 0.3, 2.0, 1.0) == 3.0 * 0.3
    assert Capped(0.5, 1.0, -10.0).multiple(3.0, -10.0 - 1e-15, 0.0, 2.0, 1.0) == 0.0


def test_paces_stand_empty_rows():
    for name, fields in STEP_LENGTHS.items():
        assert np.isfinite(StepLength.named(name)(*fields).multiple(0.1, 0.7, -0.5, 0.0, 1.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Momentum(1.0), "Momentum momentum must be at least 0 and below 1, got 1.0"),
        (lambda: Nesterov(-0.1), "Nesterov momentum"),
        (lambda: Adagrad(0.0), "Adagrad epsilon must be positive and finite, got 0.0"),
        (lambda: Rmsprop(1.5), "Rmsprop rho"),
        (lambda: Rmsprop(0.9, np.inf), "Rmsprop epsilon"),
        (lambda: Adam(1.0), "Adam beta1"),
        (lambda: Adam(0.9, 1.0), "Adam beta2"),
        (lambda: Adam(0.9, 0.99, np.nan), "Adam epsilon"),
    ],
)
def test_rules_refuse_wrong_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_momentum_zero_is_gradient_descent():
    for rule in (Momentum(0.0), Nesterov(0.0)):
        assert rule.step(np.zeros((1, 1)), 0, 2.0, 0.5, 0.1, 1.0) == Gd().step(
            np.zeros((0, 1)), 0, 2.0, 0.5, 0.1, 1.0
        )


def test_what_rules_declare_for_automatic_rates():
    declared = {
        rule.name: (rule.plain, rule.normalises, rule.accumulates, rule.newest_share())
        for rule in members(Rule)
    }
    assert declared == {
        "gd": (True, False, False, 1.0),
        "momentum": (False, False, False, 1.0 - 0.9),
        "nesterov": (False, False, False, 1.0 - 0.9),
        "adagrad": (False, True, True, 1.0),
        "rmsprop": (False, True, False, 1.0),
        "adam": (False, True, False, 1.0),
    }


@RULES
def test_only_a_short_memory_of_squares_is_lengthened(rule):
    later = rule.after(1000)
    if rule.name != "rmsprop":
        assert later is rule
        return
    assert (later.rho, later.epsilon) == (0.999, rule.epsilon)
    assert Rmsprop(0.99999).after(1000).rho == 0.99999
    assert rule.after(1).rho == 0.9


@RULES
def test_newest_share_and_normalises_are_what_steps_show(rule):
    """Of lasting gradients, of size 1 and a million times as large."""
    first, last = np.empty(2), np.empty(2)
    for k, size in enumerate((1.0, 1e6)):
        state = np.zeros((max(rule.slots, 1), 1))
        steps = [rule.step(state, 0, size, 0.0, 1.0, rule.begin(t)) for t in range(1, 201)]
        first[k], last[k] = steps[0], steps[-1]
    assert rule.normalises == (abs(last[1] / last[0] - 1.0) < 1e-3)
    assert rule.accumulates == (rule.normalises and last[0] < 0.1 * first[0])
    if not rule.normalises:
        assert last[0] * rule.newest_share() == pytest.approx(1.0, rel=1e-6)
