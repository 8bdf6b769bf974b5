"""Differences of a function of one number, and how far a derivative is from them."""

import numpy as np

from fastgd.linalg.precision import EPS

# near the cube root of the rounding error, which balances truncation against rounding
STEP = 6e-6
ROUNDING = 64 * EPS  # what a sum of a few values may lose, relative to the largest


def one_sided(function, t):
    """Return the second-order differences before and after t, and a bound of their rounding
    error.
    """
    step = STEP * max(1.0, abs(t))
    values = [function(t + k * step) for k in (-2, -1, 0, 1, 2)]
    two_before, before, here, after, two_after = values
    left = (3.0 * here - 4.0 * before + two_before) / (2.0 * step)
    right = (4.0 * after - 3.0 * here - two_after) / (2.0 * step)
    return left, right, ROUNDING * np.max(np.abs(values)) / step


def outside(found, left, right, rounding):
    """How far a number lies outside the span of two, less what differences cannot tell."""
    tolerance = rounding + 1e-6 * np.maximum(1.0, np.abs(found))
    return np.maximum(np.minimum(left, right) - found, found - np.maximum(left, right)) - tolerance
