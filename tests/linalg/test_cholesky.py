"""Factors of curvature matrices."""

import numpy as np
import pytest

from fastgd.linalg.cholesky import Factor


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
