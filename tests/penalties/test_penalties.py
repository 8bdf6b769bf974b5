"""Every penalty of the registry: its prox minimises, its derivative is one, and compiled code
agrees.
"""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest

from fastgd.penalties.base import Penalty
from fastgd.penalties.separable import L1, L2, ElasticNet, NoPenalty
from fastgd.runtime.fingerprint import is_ours
from fastgd.runtime.jit import kernel
from support.components import ToyWeightedL1

# Those that are no sum of `value` over coefficients have tests of their terms.
OURS = {name: cls for name, cls in Penalty.members().items() if is_ours(cls)}
MEMBERS = {name: cls for name, cls in OURS.items() if cls.single}
WEIGHTED = ToyWeightedL1(np.array([0.0, 1.0, 2.5]))
PENALTIES = [
    *(cls() for cls in MEMBERS.values()),
    ElasticNet(0.0),
    ElasticNet(0.5),
    ElasticNet(1.0),
    WEIGHTED,
]
COEFFICIENTS = [0.0, 1e-3, -0.25, 0.5, -1.0, 3.0, 17.5, -1e4]
RATES = [1e-6, 0.3, 1.0, 20.0]

every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=repr)


@every_penalty
def test_prox_minimises_on_a_grid(penalty):
    for coefficient, rate, j in itertools.product(COEFFICIENTS, RATES, range(3)):

        def target(u, rate=rate, coefficient=coefficient, j=j):
            return rate * penalty.value(u, j) + 0.5 * (u - coefficient) ** 2

        best = target(penalty.prox(coefficient, j, rate))
        grid = np.concatenate([np.linspace(-1.0, 1.0, 41) * 1.2 * abs(coefficient), [0.0]])
        assert best <= min(target(u) for u in grid) + 1e-12 * (1.0 + best)


@every_penalty
def test_prox_at_rate_zero_is_the_identity(penalty):
    for coefficient in COEFFICIENTS:
        assert penalty.prox(coefficient, 1, 0.0) == coefficient


@every_penalty
def test_prox_never_moves_two_points_apart(penalty):
    assert penalty.convex
    for rate in RATES:
        moved = np.array([penalty.prox(coefficient, 1, rate) for coefficient in COEFFICIENTS])
        before = np.abs(np.subtract.outer(COEFFICIENTS, COEFFICIENTS))
        assert (np.abs(np.subtract.outer(moved, moved)) <= before * (1.0 + 1e-15)).all()


@pytest.mark.parametrize(
    "penalty", [one for one in PENALTIES if type(one).prox is not Penalty.prox], ids=repr
)
def test_the_default_prox_is_that_of_penalties_with_their_own(penalty):
    for coefficient, rate in itertools.product(COEFFICIENTS, RATES):
        found = Penalty.prox(penalty, coefficient, 1, rate)
        assert found == pytest.approx(penalty.prox(coefficient, 1, rate), rel=1e-14, abs=1e-14)
        assert (found == 0.0) == (penalty.prox(coefficient, 1, rate) == 0.0)  # thresholds exactly


@every_penalty
def test_derivative_is_the_difference_of_value(penalty):
    step = 1e-6
    for coefficient, j in itertools.product([-3.0, -0.5, 0.01, 2.0], range(3)):
        difference = (
            penalty.value(coefficient + step, j) - penalty.value(coefficient - step, j)
        ) / (2 * step)
        assert penalty.derivative(coefficient, j) == pytest.approx(difference, rel=1e-8, abs=1e-9)
    jump = penalty.derivative(1e-12, 1) - penalty.derivative(-1e-12, 1)
    assert penalty.smooth == (abs(jump) < 1e-9)


@every_penalty
def test_nothing_at_zero(penalty):
    for j in range(3):
        assert penalty.value(0.0, j) == 0.0
        assert penalty.derivative(0.0, j) == 0.0
        assert penalty.prox(0.0, j, 0.7) == 0.0


@every_penalty
def test_shares_say_what_it_is(penalty):
    if penalty.shares is None:
        return
    l1, l2 = penalty.shares
    for coefficient in COEFFICIENTS:
        assert penalty.value(coefficient, 0) == pytest.approx(
            l1 * abs(coefficient) + l2 * coefficient**2 / 2, rel=1e-15
        )


@every_penalty
def test_nan_and_infinity_pass(penalty):
    assert np.isnan(penalty.prox(np.nan, 1, 0.1))
    if penalty.shares is not None:
        assert penalty.prox(-np.inf, 1, 0.1) == -np.inf


@every_penalty
def test_pickle(penalty):
    twin = pickle.loads(pickle.dumps(penalty))
    assert type(twin) is type(penalty)
    assert repr(twin) == repr(penalty)
    for field in dataclasses.fields(penalty):
        np.testing.assert_array_equal(getattr(twin, field.name), getattr(penalty, field.name))


@kernel
def _scan(penalty, coefficients, rate, out):
    for i in range(coefficients.size):
        for j in range(3):
            out[i, j, 0] = penalty.value(coefficients[i], j)
            out[i, j, 1] = penalty.derivative(coefficients[i], j)
            out[i, j, 2] = penalty.prox(coefficients[i], j, rate)


@pytest.mark.jit
@pytest.mark.parametrize("penalty", [*(cls() for cls in MEMBERS.values()), WEIGHTED], ids=repr)
def test_compiled_is_python(penalty):
    coefficients = np.array([*COEFFICIENTS, np.nan])
    found = np.empty((coefficients.size, 3, 3))
    expected = np.empty_like(found)
    _scan(penalty, coefficients, 0.3, found)
    for i, j in np.ndindex(coefficients.size, 3):
        arguments = coefficients[i], j
        expected[i, j] = (
            penalty.value(*arguments),
            penalty.derivative(*arguments),
            penalty.prox(*arguments, 0.3),
        )
    np.testing.assert_allclose(found, expected, rtol=2e-15)  # fused multiply-add


def test_hand_computed():
    assert L2().value(3.0, 0) == 4.5
    assert L2().prox(3.0, 0, 2.0) == 1.0
    assert [L1().prox(w, 0, 0.5) for w in (3.0, 0.5, -0.25, -1.0)] == [2.5, 0.0, 0.0, -0.5]
    assert ElasticNet(0.5).value(-2.0, 0) == 2.0
    assert ElasticNet(0.5).derivative(-2.0, 0) == -1.5
    assert ElasticNet(0.5).prox(-4.0, 0, 2.0) == -1.5
    assert NoPenalty().value(3.0, 0) == 0.0
    assert WEIGHTED.prox(3.0, 2, 0.5) == pytest.approx(1.75)


def test_names_and_shares():
    assert set(MEMBERS) >= {"l2", "l1", "elasticnet", "none"}
    shares = {name: cls().shares for name, cls in MEMBERS.items()}
    assert shares["l2"] == (0.0, 1.0)
    assert shares["l1"] == (1.0, 0.0)
    assert shares["elasticnet"] == (0.15, 0.85)
    assert shares["none"] == (0.0, 0.0)
    assert Penalty.shares is None
    smooth = {name for name, cls in MEMBERS.items() if cls().smooth}
    assert smooth >= {"l2", "none"}


@pytest.mark.parametrize("l1_ratio", [-0.1, 1.5, np.nan])
def test_l1_ratio_message(l1_ratio):
    with pytest.raises(ValueError, match=r"^ElasticNet l1_ratio must lie between 0 and 1, got "):
        ElasticNet(l1_ratio)


def test_unknown_penalty():
    with pytest.raises(
        ValueError, match=r"^unknown penalty 'elastic_net'; did you mean 'elasticnet'\?"
    ):
        Penalty.named("elastic_net")
