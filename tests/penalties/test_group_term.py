"""Lengths of groups on arrays, against searches in the plane and slow twins."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fastgd.penalties.group_term import GroupTerm, least_strength
from fastgd.penalties.groups import GroupLasso, SparseGroupLasso

GROUPS = [[3, 0], [1], [2, 5, 4]]
STRENGTHS = np.array([0.5, 0.8, 0.3])


def made(l1=0.0, strengths=STRENGTHS):
    return GroupTerm(np.concatenate(GROUPS), np.array([2, 1, 3]), strengths, l1)


def value(coef, l1):
    return l1 * sum(abs(coef)) + sum(
        strength * np.sqrt(sum(coef[j] ** 2 for j in group))
        for group, strength in zip(GROUPS, STRENGTHS, strict=True)
    )


@pytest.mark.parametrize("l1", [0.0, 0.4])
def test_the_value(l1):
    coef = np.random.default_rng(0).normal(size=6)
    assert made(l1).value(coef) == pytest.approx(value(coef, l1))
    assert made(l1).add_gradient(coef, np.ones(6)) == 0.0


@pytest.mark.parametrize("l1", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_a_proximal_step_is_where_no_way_leads_down(l1, seed):
    """With one rate and with one for each coefficient: the shortest subgradient there is 0."""
    rng = np.random.default_rng(seed)
    for rates in (0.8, rng.uniform(0.1, 2.0, 6)):
        start = rng.normal(size=6) * rng.choice([0.2, 1.0, 3.0], 6)
        moved = start.copy()
        made(l1).prox(moved, rates)
        derivatives = made(l1).subgradient(moved, (moved - start) / rates)
        np.testing.assert_allclose(derivatives, 0.0, atol=1e-12)

        def height(u, start=start, rates=rates):
            return value(u, l1) + np.sum((u - start) ** 2 / (2.0 * rates))

        for _ in range(200):
            assert height(moved) <= height(moved + 1e-3 * rng.normal(size=6)) + 1e-14


def test_groups_without_a_strength_and_of_zeros():
    coef = np.array([1.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    made(strengths=np.array([0.0, 0.5, 1.0])).prox(coef, np.full(6, 1.0))
    np.testing.assert_allclose(coef, [1.0, 1.5, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("l1", [0.0, 0.4])
def test_the_steepest_subgradient_is_the_shortest(l1):
    """|subgradient| is the steepest descent that a search over directions finds, or more."""
    rng = np.random.default_rng(1)
    for zeros in ([], [2, 5, 4], [0, 3, 1], [5], [0, 1, 2, 3, 4, 5]):
        coef, gradient = rng.normal(size=6), rng.normal(size=6)
        coef[zeros] = 0.0
        found = made(l1).subgradient(coef, gradient)
        ways = [rng.normal(size=6) for _ in range(300)]
        if found.any():
            ways.append(-found)
        steepest = 0.0
        for way in ways:
            way = way / np.linalg.norm(way)
            fall = (value(coef + 1e-7 * way, l1) - value(coef, l1)) / 1e-7 + gradient @ way
            steepest = max(steepest, -fall)
        assert steepest == pytest.approx(np.linalg.norm(found), abs=1e-5)


@pytest.mark.parametrize("l1", [0.0, 0.4])
def test_the_gap(l1):
    """Inside the dual set it is w.g + value(w), and never negative; outside g is scaled down to
    its border.
    """
    rng = np.random.default_rng(2)
    coef, gradient = rng.normal(size=6), rng.normal(size=6)
    inside = 0.01 * gradient
    assert made(l1).gap(coef, inside) == pytest.approx(coef @ inside + value(coef, l1))
    share = made(l1)._feasible_share(gradient)
    assert 0.0 < share < 1.0
    for scaled, fits in ((share * gradient, True), (1.001 * share * gradient, False)):
        # The conjugate is 0 or infinite: the supremum over the unit ball tells which.
        highest = max(
            -minimize(
                lambda u, g=scaled: value(u, l1) - g @ u,
                0.1 * rng.normal(size=6),
                bounds=[(-1.0, 1.0)] * 6,
                method="Powell",
                options={"xtol": 1e-10, "ftol": 1e-14},
            ).fun
            for _ in range(3)
        )
        assert (highest <= 1e-9) == fits
    found = made(l1).gap(coef, gradient, 3.0)
    scaled = share * gradient
    assert found == pytest.approx(3.0 * (1.0 - share) + coef @ scaled + value(coef, l1))


def test_the_least_strength_is_where_a_group_leaves_zero():
    gradient = np.array([0.5, -2.0, 1.0])
    for l1, strength in ((0.0, 1.3), (0.4, 0.9), (1.0, 0.0)):
        alpha = least_strength(gradient, l1, strength)
        for share, held in ((1.0001, True), (0.9999, False)):
            term = GroupTerm(
                np.arange(3),
                np.array([3]),
                np.array([share * alpha * strength]),
                share * alpha * l1,
            )
            assert (not term.subgradient(np.zeros(3), gradient).any()) == held


def test_the_curvature_is_that_of_differences():
    coef, index = np.random.default_rng(3).normal(size=6), np.array([0, 2, 3, 4])
    found = made().rest_curvature(coef, index)
    for a, j in enumerate(index):
        step = 1e-6 * np.eye(6)[j]
        ahead, behind = (made().subgradient(coef + s, np.zeros(6)) for s in (step, -step))
        np.testing.assert_allclose(found[a], ((ahead - behind) / 2e-6)[index], atol=1e-7)


def test_several_predictions_are_in_one_group():
    coef = np.random.default_rng(4).normal(size=(6, 2))
    term = GroupLasso(GROUPS, weights=STRENGTHS).term(1.0, 2)
    expected = sum(s * np.linalg.norm(coef[g]) for g, s in zip(GROUPS, STRENGTHS, strict=True))
    assert term.value(coef.ravel()) == pytest.approx(expected)


def test_facts():
    term = SparseGroupLasso(GROUPS, 0.25).term(2.0)
    assert (term.l1_strengths == 0.5).all()
    np.testing.assert_allclose(term.strengths, 1.5 * np.sqrt([2, 1, 3]))
    assert not term.smooth
    assert term.gap_vanishes(True)
    assert not made(strengths=np.array([0.0, 1.0, 1.0])).gap_vanishes(True)


@pytest.mark.parametrize("size", [1e-200, 1e-165, 1e200])
def test_lengths_do_not_underflow_or_overflow(size):
    """Squares below 1e-308 are 0: derivatives of 1e-170 were within a strength of 1e-172."""
    term = GroupTerm(np.arange(5), np.array([2, 2, 1]), np.array([0.01 * size, 1.0, 1.0]), 0.0)
    values = np.array([3.0 * size, 4.0 * size, 6.0, 8.0, 0.0])
    np.testing.assert_allclose(term.lengths(values), [5.0 * size, 10.0, 0.0], rtol=1e-15)
    derivatives = np.array([3.0 * size, 4.0 * size, 0.0, 0.0, 0.0])
    assert term.gap(np.zeros(5), derivatives, 1.0) == pytest.approx(1.0 - 0.01 / 5.0)
