"""A penalty on arrays against one that is asked coefficient by coefficient, with suprema and
distances looked for on grids.
"""

import pickle

import numpy as np
import pytest

from fastgd.objective.objective import Objective
from fastgd.penalties.base import Penalty
from fastgd.penalties.separable import L1, L2, ElasticNet, NoPenalty
from fastgd.penalties.term import ElasticTerm, SeparableTerm, Term
from support.components import ToyWeightedL1
from support.twins import members

ALPHA = 0.7
D, K = 5, 2


class Quartic(Penalty):
    """Smooth, and no elastic net: w^4 / 4 for even columns, nothing for odd ones."""

    smooth = True

    def value(self, coefficient, j):
        return 0.25 * coefficient**4 * (1 - j % 2)

    def derivative(self, coefficient, j):
        return coefficient**3 * (1 - j % 2)


class Bounds(Penalty):
    """Each coefficient between -1 and 2, for a tenth of its square."""

    def value(self, coefficient, j):
        return 0.05 * coefficient * coefficient if -1.0 <= coefficient <= 2.0 else np.inf

    def derivative(self, coefficient, j):
        return 0.1 * coefficient

    def prox(self, coefficient, j, rate):
        return min(max(coefficient / (1.0 + 0.1 * rate), -1.0), 2.0)


PENALTIES = [
    L1(),
    L2(),
    ElasticNet(0.4),
    NoPenalty(),
    ToyWeightedL1(np.array([0.0, 1.0, 2.5, 0.5, 3.0])),
    Quartic(),
    Bounds(),
]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda one: type(one).__name__)
NETS = pytest.mark.parametrize(("l1", "l2"), [(0.7, 0.0), (0.0, 0.6), (0.7, 0.6)])


def test_every_penalty_of_single_coefficients_is_here():
    singles = {type(one) for one in members(Penalty) if one.single}
    assert singles <= {type(one) for one in PENALTIES}


def coefficients(seed, d=D * K):
    """Some of them 0; inside the bounds of `Bounds`."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.9, 1.9, d) * (rng.random(d) < 0.6), rng.standard_normal(d)


def plain_value(penalty, coef):
    table = coef.reshape(-1, K)
    return ALPHA * sum(penalty.value(table[j, c], j) for j in range(D) for c in range(K))


def rest_at(penalty, w, j):
    """What has proximal steps only, by the definition in `Term`."""
    if penalty.shares is not None:
        return ALPHA * penalty.shares[0] * abs(w)
    return 0.0 if penalty.smooth else ALPHA * penalty.value(w, j)


@every_penalty
def test_the_value_is_that_of_each_coefficient_and_has_two_parts(penalty):
    term, (coef, _) = penalty.term(ALPHA, K), coefficients(0)
    assert term.value(coef) == pytest.approx(plain_value(penalty, coef), rel=1e-14)
    rest = sum(rest_at(penalty, w, m // K) for m, w in enumerate(coef))
    assert term.rest_value(coef) == pytest.approx(rest, rel=1e-14)
    assert term.smooth_value(coef) == pytest.approx(term.value(coef) - rest, rel=1e-13, abs=1e-15)
    assert term.smooth == (term.rest_value(np.ones(D * K)) == 0.0)


@every_penalty
def test_gradient_and_curvature_are_differences_of_the_smooth_part(penalty):
    term, (coef, before) = penalty.term(ALPHA, K), coefficients(1)
    step, unit = 1e-5, np.eye(D * K)
    differences = [
        (term.smooth_value(coef + step * e) - term.smooth_value(coef - step * e)) / (2.0 * step)
        for e in unit
    ]
    np.testing.assert_allclose(term.gradient(coef), differences, atol=1e-8)
    total = before.copy()
    assert term.add_gradient(coef, total) == term.smooth_value(coef)
    np.testing.assert_array_equal(total, before + term.gradient(coef))
    bends = [
        ((term.gradient(coef + step * e) - term.gradient(coef - step * e)) @ e) / (2.0 * step)
        for e in unit
    ]
    np.testing.assert_allclose(np.broadcast_to(term.curvature(coef), D * K), bends, atol=1e-7)


@every_penalty
@pytest.mark.parametrize("rates", [0.8, np.linspace(0.1, 2.0, D * K)], ids=["one", "each"])
def test_a_proximal_step_minimises_on_a_grid(penalty, rates):
    term, (coef, move) = penalty.term(ALPHA, K), coefficients(2)
    coef = coef + move
    moved = coef.copy()
    assert term.prox(moved, rates) is None
    if term.smooth:
        np.testing.assert_array_equal(moved, coef)
        return
    for m, rate in enumerate(np.broadcast_to(rates, D * K)):
        grid = np.r_[0.0, coef[m], np.linspace(-1.0, 2.0, 301)]

        def height(u, m=m, rate=rate):
            return rest_at(penalty, u, m // K) + 0.5 * (u - coef[m]) ** 2 / rate

        assert height(moved[m]) <= min(map(height, grid)) + 1e-13


@every_penalty
def test_the_steepest_subgradient_is_the_one_nearest_to_zero(penalty):
    """Of subgradients s, known by rest(u) >= rest(w) + s (u - w) for the u of a fine grid."""
    term, (coef, gradient) = penalty.term(ALPHA, K), coefficients(4)
    coef[:4] = 0.0, 2.0, -1.0, 1.5
    gradient[8] = 0.0
    found = term.subgradient(coef, gradient)
    for m, w in enumerate(coef):
        steps = np.geomspace(1e-6, 3.0, 200)
        above = min(
            (rest_at(penalty, w + h, m // K) - rest_at(penalty, w, m // K)) / h for h in steps
        )
        below = max(
            (rest_at(penalty, w, m // K) - rest_at(penalty, w - h, m // K)) / h for h in steps
        )
        nearest = np.clip(-gradient[m], below, above)
        assert found[m] == pytest.approx(gradient[m] + nearest, abs=2e-6)
    np.testing.assert_array_equal(term.violation(coef, gradient), np.abs(found))


@NETS
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_candidates_are_what_the_definition_says(l1, l2, share):
    term, (coef, gradient) = ElasticTerm(l1, l2), coefficients(5, 100)
    found = term.candidates(coef, gradient, share)
    expected = [j for j in range(100) if coef[j] != 0.0 or abs(gradient[j]) > share * l1]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, Term.candidates(term, coef, gradient, share))
    assert ElasticTerm(1.0, 0.0).candidates(np.empty(0), np.empty(0)).size == 0


def test_candidates_beyond_one_block_have_their_own_numbers():
    gradient = np.zeros(3 << 16)
    gradient[[5, 70_000, 140_000]] = 1.0, -2.0, 0.5
    found = ElasticTerm(0.6, 0.0).candidates(np.zeros(gradient.size), gradient)
    np.testing.assert_array_equal(found, [5, 70_000])


@NETS
def test_the_gap_is_the_sum_of_value_and_conjugate(l1, l2):
    """w.g + value(w) + sup_u (-g u - value(u)) by a grid of u."""
    term, (coef, derivatives) = ElasticTerm(l1, l2), coefficients(6)
    if l2 == 0.0:
        derivatives *= 0.99 * l1 / np.abs(derivatives).max()  # else the supremum is infinite
    grid = np.linspace(-8.0, 8.0, 160_001)
    conjugate = sum(np.max(-g * grid - l1 * np.abs(grid) - 0.5 * l2 * grid**2) for g in derivatives)
    expected = coef @ derivatives + term.value(coef) + conjugate
    found = term.gap(coef, derivatives + l2 * coef, 3.0)
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-8)
    assert found >= 0.0


def test_the_gap_scales_a_dual_point_that_is_outside():
    """By c at the border: (1 - c) of how far the loss is above its infimum, and the gap at c g."""
    term, (coef, gradient) = ElasticTerm(0.7, 0.0), coefficients(7)
    gradient *= 1.4 / np.abs(gradient).max()
    inside = term.gap(coef, 0.5 * gradient, 0.0)
    assert term.gap(coef, gradient, 3.0) == pytest.approx(1.5 + inside, rel=1e-14)
    assert term.gap(coef, gradient) == np.inf
    assert term.gap(coef, 0.5 * gradient) == pytest.approx(inside, rel=1e-14)


def test_no_penalty_leaves_how_far_the_loss_is_above_its_infimum():
    term = ElasticTerm(0.0, 0.0)
    assert term.gap(np.ones(3), np.array([0.0, -0.5, 0.1]), 3.0) == 3.0
    assert term.gap(np.ones(3), np.zeros(3), 3.0) == 0.0


@pytest.mark.parametrize("penalty", PENALTIES[4:], ids=lambda one: type(one).__name__)
def test_where_no_conjugate_is_known_there_is_no_gap(penalty):
    term = penalty.term(ALPHA, K)
    assert term.gap(*coefficients(8), 1.0) == np.inf
    assert not term.elastic
    assert term.strong_convexity == 0.0


def test_what_is_allowed():
    term = Bounds().term(ALPHA)
    inside, outside = np.array([-1.0, 0.0, 2.0]), np.array([-3.0, 0.5, 2.1])
    assert term.allowed(inside) is inside
    np.testing.assert_array_equal(term.allowed(outside), [-1.0, 0.5, 2.0])
    np.testing.assert_array_equal(outside, [-3.0, 0.5, 2.1])
    assert ElasticTerm(1.0, 1.0).allowed(outside) is outside


def test_facts():
    net = ElasticNet(0.25).term(2.0)
    assert (net.l1, net.l2, net.strong_convexity) == (0.5, 1.5, 1.5)
    assert net.elastic
    assert net.convex
    assert not net.smooth
    assert L2().term(1.0).smooth
    assert isinstance(Bounds().term(0.0), ElasticTerm)  # of strength 0 nothing is left
    twin = pickle.loads(pickle.dumps(SeparableTerm(Quartic(), 0.5, 3)))
    assert (twin.alpha, twin.n_predictions, twin.smooth) == (0.5, 3, True)
    assert repr(net) == "ElasticTerm(0.5, 1.5)"
    assert repr(Bounds().term(0.5)) == "SeparableTerm(Bounds(), 0.5, 1)"


class PairsTerm(Term):
    """Alpha times the lengths of pairs of coefficients: no sum over single ones."""

    smooth = False

    def __init__(self, alpha):
        self.alpha = alpha

    def smooth_value(self, coef):
        return 0.0

    def rest_value(self, coef):
        return self.alpha * float(np.hypot(coef[::2], coef[1::2]).sum())

    def add_gradient(self, coef, gradient):
        return 0.0

    def prox(self, coef, rates):
        lengths = np.hypot(coef[::2], coef[1::2])
        coef *= np.repeat(np.maximum(1.0 - self.alpha * rates / lengths, 0.0), 2)


class Pairs(Penalty):
    """Its `value` and `derivative` are nobody's: the term is all that the objective asks."""

    def value(self, coefficient, j):
        return abs(coefficient)

    def derivative(self, coefficient, j):
        return np.sign(coefficient)

    def term(self, alpha, n_predictions=1):
        return PairsTerm(alpha)


def test_a_penalty_may_bring_a_term_of_its_own():
    rng = np.random.default_rng(9)
    X, y, v = rng.standard_normal((9, 4)), rng.standard_normal(9), np.array([3.0, 4.0, 0.3, 0.4, 1])
    F = Objective("squared_error", X, y, penalty=Pairs(), alpha=0.5)
    assert F.penalty_value(v) == pytest.approx(0.5 * (5.0 + 0.5), rel=1e-15)
    smooth, _ = F.smooth_and_gradient(v)
    assert F.value(v) == pytest.approx(smooth + 2.75, rel=1e-15)
    np.testing.assert_allclose(F.proximal(v, 2.0), [2.4, 3.2, 0.0, 0.0, 1.0], rtol=1e-15)
    assert not F.smooth
    assert F.convex
    with pytest.raises(ValueError, match="has no gradient at 0"):
        F.gradient(v)
