"""Matrices with their scales taken out, against matrices that were made with known ones."""

import numpy as np
import pytest
import scipy.linalg

from fastgd.linalg.symmetric import eigenpairs, scaled_eigenpairs


def correlations(size, seed):
    """A positive definite matrix with ones on its diagonal."""
    root = np.random.default_rng(seed).standard_normal((size, 2 * size))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    return root @ root.T


@pytest.mark.parametrize("spread", [0.0, 6.0, 60.0])
@pytest.mark.parametrize("seed", range(3))
def test_eigenvalues_do_not_see_the_scales(seed, spread):
    plain = correlations(5, seed)
    given = 10.0 ** np.random.default_rng(seed).uniform(-spread, spread, 5)
    values, vectors, scale = scaled_eigenpairs(plain * given * given[:, None])
    np.testing.assert_allclose(values, np.linalg.eigvalsh(plain), rtol=1e-12)
    np.testing.assert_allclose(scale, given, rtol=1e-12)
    np.testing.assert_allclose((vectors * values) @ vectors.T, plain, atol=1e-12)


def test_a_column_of_zeros_has_eigenvalue_zero_and_a_scale_of_one():
    matrix = np.zeros((3, 3))
    matrix[:2, :2] = 9.0 * correlations(2, 1)
    values, vectors, scale = scaled_eigenpairs(matrix)
    assert values[0] == 0.0
    np.testing.assert_array_equal(np.abs(vectors[:, 0]), [0.0, 0.0, 1.0])
    assert scale[2] == 1.0


def test_directions_of_negative_curvature_stay_so():
    values, _, scale = scaled_eigenpairs(np.diag([4.0, -9.0]))
    np.testing.assert_array_equal(values, [-1.0, 1.0])
    np.testing.assert_array_equal(scale, [2.0, 3.0])


def test_another_driver_serves_where_the_default_one_fails(monkeypatch):
    eigh = scipy.linalg.eigh

    def fails(matrix, driver=None):
        if driver is None:
            raise scipy.linalg.LinAlgError("Internal Error.")
        return eigh(matrix, driver=driver)

    monkeypatch.setattr(scipy.linalg, "eigh", fails)
    matrix = correlations(6, 2)
    values, vectors = eigenpairs(matrix)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=1e-13)
    assert (np.diff(values) > 0.0).all()
