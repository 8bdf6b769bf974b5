"""How long a step, and how many rows per update, a variance-reduced solver can afford: formulas
from the curvature.

L is the curvature of the mean loss, L_max that of the row with the greatest one, mu the strong
convexity, all in the metric of the steps; n rows, b of them per update. A batch sees the curvature

    L(b) = n (b - 1) / (b (n - 1)) L + (n - b) / (b (n - 1)) L_max

between L_max at b = 1 and L at b = n (Gower, Loizou, Qian, Sailanbayev, Shulgin and Richtarik,
2019, "SGD: general analysis and improved rates", proposition 3.8).
"""

import numpy as np


def expected_smoothness(batch, n, whole, longest):
    """Curvature L(b) that a batch of `batch` rows sees; `whole` is L and `longest` L_max.

    Examples
    --------
    >>> expected_smoothness(1, 100, 2.0, 30.0), expected_smoothness(100, 100, 2.0, 30.0)
    (30.0, 2.0)
    """
    if n == 1:
        return longest
    return (n * (batch - 1) * whole + (n - batch) * longest) / (batch * (n - 1))


def residual(batch, n, longest):
    """Variance of a batch's gradient per unit of curvature, (n - b) / (b (n - 1)) L_max.

    Examples
    --------
    >>> residual(1, 100, 30.0), residual(100, 100, 30.0)
    (30.0, 0.0)
    """
    return (n - batch) * longest / (batch * (n - 1)) if n > 1 else longest


def saga_curvature(batch, n, whole, longest, convexity):
    """Curvature K for SAGA, whose proved step is 1 / (4 K): max(L(b), residual + n mu / (4 b)).

    Gazagnadou, Gower and Salmon (2019), "Optimal mini-batch and step sizes for SAGA", equation
    (13).

    Examples
    --------
    >>> saga_curvature(1, 100, 2.0, 30.0, 0.4)
    40.0
    """
    spread = residual(batch, n, longest) + n * convexity / (4.0 * batch)
    return max(expected_smoothness(batch, n, whole, longest), spread)


def svrg_curvature(batch, n, whole, longest):
    """Curvature K for SVRG with n visits per anchor, whose proved step is 1 / (2 K): L(b) + 2
    residual.

    Sebbouh, Gazagnadou, Jelassi, Bach and Gower (2019), "Towards closing the gap between the theory
    and practice of SVRG", theorem 4.1.

    Examples
    --------
    >>> svrg_curvature(1, 100, 2.0, 30.0)
    90.0
    """
    return expected_smoothness(batch, n, whole, longest) + 2.0 * residual(batch, n, longest)


def saga_batch(n, whole, convexity):
    """Batch with the fewest visits for SAGA, where both terms of `saga_curvature` are equal: 1 + mu
    (n - 1) / (4 L).

    Examples
    --------
    >>> saga_batch(1000, 2.0, 0.04)
    5
    """
    if whole <= 0.0:
        return n
    return int(min(max(np.floor(1.0 + convexity * (n - 1) / (4.0 * whole)), 1.0), n))


def svrg_batch(n, whole, longest, convexity):
    """Batch with the fewest visits for SVRG with n visits per anchor.

    It minimises (1 + 2 b) max(K(b) / mu, n), K of `svrg_curvature`: the anchor's pass and two
    predictions a visit, times the anchors that are needed. The first term is least at b^ = sqrt(n
    (3 L_max - L) / (2 (n L - 3 L_max))), the second takes over at b~ = n (3 L_max - L) / (n (n - 1)
    mu - n L + 3 L_max) (Sebbouh et al., 2019, proposition 5.3).

    Examples
    --------
    >>> svrg_batch(1000, 2.0, 40.0, 0.004)
    5
    """
    if n == 1 or n * convexity >= 3.0 * longest:
        return 1
    rise, fall = n * whole - 3.0 * longest, n * (3.0 * longest - whole)
    best = np.sqrt(fall / (2.0 * rise)) if rise > 0.0 else float(n)
    if n * convexity >= whole:
        best = min(best, fall / (n * (n - 1) * convexity - rise))
    return int(min(max(np.floor(best), 1.0), n))
