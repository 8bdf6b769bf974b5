"""What plans expect of methods of past gradients."""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.objective.moments import row_coupling, spread, standard_spread
from fastgd.solvers.krylov_iterations import fewest_iterations, likely_iterations, share_of_digits


def made(n, d, alpha):
    """Normal numbers, log loss."""
    X = np.random.default_rng(0).standard_normal((n, d))
    return Objective("log_loss", X, np.where(X[:, 0] > 0.0, 1.0, -1.0), alpha=alpha, n_jobs=1)


@pytest.mark.parametrize(("n", "d", "alpha"), [(200, 20, 1e-9), (200, 20, 10.0), (20, 200, 0.1)])
def test_iterations_by_hand(n, d, alpha):
    F = made(n, d, alpha)
    s = spread(F)
    greatest = s * 0.25 * row_coupling(F) * n / min(n, d)
    expected = 3.0 + 0.6 * np.sqrt(greatest)
    if d < n:
        expected = min(expected, 3.0 + 3.0 * np.sqrt(s) / (1.0 - np.sqrt(d / n)))
    assert likely_iterations(F, 1e-4) == pytest.approx(min(expected, 150.0))


def test_iterations_in_standardised_coordinates_follow_their_spread():
    F = made(200, 20, 1e-9)
    expected = 3.0 + 3.0 * np.sqrt(standard_spread(F)) / (1.0 - np.sqrt(0.1))
    assert likely_iterations(F, 1e-4, standardised=True) == pytest.approx(expected)


def test_the_greatest_curvature_is_about_that_of_the_matrix():
    F = made(400, 30, 1e-3)
    X = F.rows.part(slice(None))
    greatest = 0.25 * np.linalg.eigvalsh(X.T @ X / 400)[-1] / F.l2
    told = spread(F) * 0.25 * row_coupling(F) * 400 / 30
    assert 0.5 < told / greatest < 2.0


def test_tolerances():
    assert share_of_digits(1e-4) == 1.0
    assert share_of_digits(1e-2) == pytest.approx(0.6)
    assert share_of_digits(None) == share_of_digits(0.0) > 3.0
    assert fewest_iterations(1e-4) == 5.0
