"""The multinomial loss against np.exp on shifted margins, and far away."""

import numpy as np
import pytest

from fastgd import Multinomial, Objective, check_loss
from fastgd.objective import kernels
from fastgd.objective.vector_map import summed_curvature
from support.components import ToyMultiSquared, ToySoftmax

CASES = [
    (np.zeros(3), 0),
    (np.array([0.3, -1.2, 2.0, 0.1]), 2),
    (np.array([0.3, -1.2, 2.0, 0.1]), 1),
    (np.array([30.0, -30.0]), 0),
    (np.array([30.0, -30.0]), 1),
]


def softmax(z):
    odds = np.exp(z - z.max())
    return odds / odds.sum()


def test_is_what_it_says():
    report = check_loss(Multinomial(4), np.array([[0.0], [1.0], [3.0]]))
    assert report.ok, str(report)


@pytest.mark.parametrize(("z", "own"), CASES)
def test_formulas(z, own):
    loss, target, p = Multinomial(), np.array([float(own)]), softmax(z)
    assert loss.value(z, target) == pytest.approx(-np.log(p[own]), rel=1e-13, abs=1e-15)
    derivatives, again, product = np.empty((3, z.size))
    loss.derivatives(z, target, derivatives)
    assert loss.value_and_derivatives(z, target, again) == loss.value(z, target)
    expected = p - np.eye(z.size)[own]
    expected[own] = -np.delete(p, own).sum()
    np.testing.assert_allclose(derivatives, expected, rtol=1e-13)
    np.testing.assert_array_equal(again, derivatives)
    direction = np.cos(np.arange(z.size))
    loss.curvature_product(z, target, direction, product)
    np.testing.assert_allclose(product, (np.diag(p) - np.outer(p, p)) @ direction, atol=1e-15)


def test_a_loss_far_below_1e_16_keeps_its_digits():
    z, derivatives = np.array([0.0, 40.0, 0.5]), np.empty(3)
    want = np.log1p(np.exp(-40.0) + np.exp(-39.5))
    assert Multinomial().value(z, np.ones(1)) == pytest.approx(want, rel=1e-14)
    assert Multinomial().value_and_derivatives(z, np.ones(1), derivatives) == pytest.approx(
        want, rel=1e-14
    )


@pytest.mark.parametrize("loss", [Multinomial(4), ToySoftmax(), ToyMultiSquared()], ids=str)
def test_second_derivatives_at_once_are_those_by_products(loss):
    rng = np.random.default_rng(0)
    z, weights = 2.0 * rng.standard_normal((6, 4)), np.array([1.0, 2.0, 0.0, 1.0, 0.5, 3.0])
    y = rng.standard_normal((6, 4)) if loss.name == "toy_multi_squared" else np.ones((6, 1))
    matrices = np.empty((6, 4, 4))
    kernels.vector_curvatures(loss, y, weights, np.zeros(1), np.zeros(4), z, matrices)
    diagonals = np.empty((6, 4))
    kernels.vector_diagonals(loss, y, weights, np.zeros(1), np.zeros(4), z, diagonals)
    np.testing.assert_allclose(diagonals, np.einsum("ikk->ik", matrices), rtol=1e-9, atol=1e-14)
    found = summed_curvature(loss, (y, weights, np.zeros(1)), np.zeros(4), z)
    np.testing.assert_allclose(found, matrices.sum(axis=0), rtol=1e-9, atol=1e-13)


def test_scores_of_1e4_have_probabilities_that_sum_to_one():
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4], [0.0, 709.0, 710.0]])
    p = Multinomial().probability(z)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(p[1], 1.0 / 3.0, rtol=1e-15)
    loss, derivatives = Multinomial(), np.empty(3)
    for own, value in ((0, 0.0), (1, 2e4), (2, 1e4)):
        assert loss.value(z[0], np.array([float(own)])) == value
        loss.derivatives(z[0], np.array([float(own)]), derivatives)
        np.testing.assert_allclose(derivatives, np.eye(3)[0] - np.eye(3)[own])


def test_third_derivatives_are_bounded_by_the_range():
    """abs(D3 along u) <= (max u - min u) u'Hu: what the decrement bound rests on."""
    rng, step = np.random.default_rng(0), 1e-4
    for _ in range(50):
        z, u = 3.0 * rng.standard_normal((2, 4))
        H = [np.diag(p) - np.outer(p, p) for p in (softmax(z + step * u), softmax(z - step * u))]
        third = u @ (H[0] - H[1]) @ u / (2.0 * step)
        p = softmax(z)
        assert abs(third) <= np.ptp(u) * (u @ (np.diag(p) - np.outer(p, p)) @ u) * (1.0 + 1e-6)


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [
        ([0.0, 0.5], Multinomial(), "numbers of classes, one a row"),
        ([0.0, 3.0], Multinomial(3), r"whole numbers below it, got 3"),
        ([0.0, -1.0], Multinomial(3), r"y must be in \[0, inf\) for loss=.*, got -1"),
    ],
)
def test_targets_that_are_no_classes_are_refused(y, loss, message):
    with pytest.raises(ValueError, match=message):
        Objective(loss, np.ones((2, 1)), y)
