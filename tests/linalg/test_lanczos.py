"""The outer part of a spectrum, against all of it."""

import numpy as np
import pytest

from fastgd.linalg.lanczos import ritz_values


@pytest.mark.parametrize("rank", [8, 3])
def test_all_steps_find_all_that_is_different(rank):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((8, rank))
    A = root @ root.T + 0.1 * np.eye(8)
    found = ritz_values(lambda v: A @ v, rng.standard_normal(8), 20)
    # Of an eigenvalue that is there five times one is found.
    different = np.linalg.eigvalsh(A)[::-1][: min(rank + 1, 8)]
    np.testing.assert_allclose(found, different, rtol=1e-9)


def test_few_steps_stay_within():
    rng = np.random.default_rng(1)
    values = np.geomspace(1e-3, 1e3, 200)
    found = ritz_values(lambda v: values * v, rng.standard_normal(200), 10)
    assert found.size == 10
    assert (np.diff(found) < 0.0).all()
    assert values[0] <= found[-1] < found[0] <= values[-1] * (1.0 + 1e-12)
    assert found[0] > 0.9 * values[-1]


def test_nothing_to_begin_with():
    assert ritz_values(lambda v: v, np.zeros(3), 5).tolist() == [0.0]
    assert ritz_values(lambda v: 0.0 * v, np.ones(3), 5).tolist() == [0.0]
