"""The largest eigenvalue by power iteration, against LAPACK's."""

import numpy as np
import pytest
import scipy.linalg

from fastgd.linalg.power_iteration import largest_eigenvalue


def matrix(size, rank, seed):
    root = np.random.default_rng(seed).standard_normal((size, rank))
    return root @ root.T


@pytest.mark.parametrize(("size", "rank"), [(1, 1), (5, 5), (9, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_lapack_after_enough_products(size, rank, seed):
    A, start = matrix(size, rank, seed), np.random.default_rng(seed + 9).standard_normal(size)
    found = largest_eigenvalue(lambda v: A @ v, start, 2000)
    assert found == pytest.approx(scipy.linalg.eigvalsh(A)[-1], rel=1e-6)


@pytest.mark.parametrize("n_steps", [1, 2, 5, 20])
def test_it_comes_from_below_and_takes_so_many_products(n_steps):
    A, asked = matrix(6, 6, 0), []

    def product(v):
        asked.append(float(np.linalg.norm(v)))
        return A @ v

    found = largest_eigenvalue(product, np.full(6, 1e9), n_steps)
    assert found <= scipy.linalg.eigvalsh(A)[-1] * (1.0 + 1e-14)
    np.testing.assert_allclose(asked, np.ones(n_steps))


def test_powers_written_out():
    A, start = matrix(4, 4, 3), np.array([1.0, 0.0, -2.0, 0.5])
    found = largest_eigenvalue(lambda v: A @ v, start, 3)
    ratio = np.linalg.norm(A @ A @ A @ start) / np.linalg.norm(A @ A @ start)
    assert found == pytest.approx(ratio, rel=1e-12)


@pytest.mark.parametrize("start", [np.zeros(3), np.ones(3)])
def test_nothing_is_found_of_nothing(start):
    assert largest_eigenvalue(np.zeros_like, start, 10) == 0.0
