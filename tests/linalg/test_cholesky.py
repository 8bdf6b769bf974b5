"""Factors of curvature matrices."""

import numpy as np
import pytest

from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS


@pytest.mark.parametrize("rank", [5, 3], ids=["definite", "singular"])
def test_the_inverse_is_what_solves(rank):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((5, rank)) * [[1e4], [1.0], [1e-3], [1.0], [1.0]]
    factor = Factor(root @ root.T)
    assert factor.regular == (rank == 5)
    gradient = root @ rng.standard_normal(rank)
    np.testing.assert_allclose(factor.inverse() @ gradient, factor.solve(gradient), rtol=1e-6)


def test_columns_of_zeros_have_no_part_in_the_inverse():
    factor = Factor(np.diag([4.0, 0.0, 2.0]))
    np.testing.assert_allclose(factor.inverse(), np.diag([0.25, 0.0, 0.5]))


def test_what_a_smaller_diagonal_has_lost_is_counted():
    """A matrix whose diagonal was 1e10 is known to 1e-6, whatever is taken away from it again."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 40))
    H = root @ root.T
    before, after = Factor(H + 1e10 * np.eye(6)), Factor(H)
    after.follow(before)
    assert 1e10 * EPS / H.max() < after.entry_rounding < 1e13 * EPS / np.diag(H).min()
    assert after.doubt(0.0) == after.entry_rounding * after.inverse_norm() ** 2
    again = Factor(1e10 * H)  # what was lost is next to nothing where a diagonal grows again
    again.follow(after)
    assert again.entry_rounding < 1e-14
