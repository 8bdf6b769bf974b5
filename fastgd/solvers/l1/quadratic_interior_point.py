"""The minimum of a quadratic with an L1 part, by Newton steps on its central path.

    q(e) = gradient'e + e' H e / 2 + l1 |u + e|_1

Coordinate descent, and signs that are settled one after the other, take thousands of rounds where
columns are alike or as many as rows are nonzero.  With dual variables -l1 <= p <= l1 of the L1 part
(`fastgd.solvers.interior_point.bounded_duals`) it takes 5 to 15 factorisations of H + a diagonal,
whatever the columns are like (Mehrotra, 1992; `fastgd.solvers.interior_point.central_path`).
"""

import numpy as np

from fastgd.linalg.cholesky import Ridged
from fastgd.solvers.interior_point.bounded_duals import TO_THE_END, BoundedDuals, aimed_at

# Ends once no more than this share of what the model fell by can be left, or after so many steps.
EXACT = 1e-6
MAX_STEPS = 60
# A step of at least this share of its length leaves of the equations without mu no more than the
# rest of it.
WHOLE = 0.9


@np.errstate(all="ignore")  # values of 1e150 overflow in passing
def follow_central_path(matrix, gradient, unknowns, l1, n_penalised):
    """Move `unknowns` to the minimum, and `gradient`, the gradient of the quadratic there, along.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H, symmetric.
    gradient, unknowns : ndarray, (size,)
    l1 : float
        Positive.
    n_penalised : int
        The first so many unknowns have an L1 part.

    Examples
    --------
    >>> gradient, unknowns = np.array([-3.0, 0.5]), np.zeros(2)
    >>> follow_central_path(np.diag([1.0, 2.0]), gradient, unknowns, 1.0, 2)
    >>> unknowns.round(6)
    array([2., 0.])
    """
    penalised, bounded, fallen = slice(0, n_penalised), BoundedDuals(-l1, l1, 0.0), 0.0
    duals, ones = bounded.start(unknowns[penalised]), np.ones(n_penalised)
    for _ in range(MAX_STEPS):
        point = bounded.at(unknowns[penalised], duals)
        factor = Ridged(matrix, point.curvature)
        _, ahead = _step(factor, gradient, point)
        _, mu = aimed_at(point.products(ahead, ones) / (2.0 * n_penalised), point.longest(ahead))
        step, ahead = _step(factor, gradient, point, point.corrected(mu, ahead))
        share = min(1.0, TO_THE_END * point.longest(ahead))
        if not np.isfinite(step).all():
            break
        change = matrix @ (share * step)
        fallen -= share * float(step @ (gradient + 0.5 * change))
        unknowns += share * step
        gradient += change
        duals = duals + share * ahead
        if share >= WHOLE and float(
            point.products(ahead, ones) @ [1.0, share, share**2]
        ) <= EXACT * abs(fallen):
            break
    curvature = bounded.at(unknowns[penalised], duals).curvature
    held = np.flatnonzero(curvature > np.diag(matrix)[penalised])
    move = np.zeros(unknowns.size)
    move[held] = -unknowns[held]
    gradient += matrix @ move
    unknowns[held] = 0.0


def _step(factor, gradient, point, asked=None):
    """Steps of the unknowns and of the dual variables."""
    equations, penalised = point.equations(asked), slice(0, point.u.size)
    residual = gradient.copy()
    residual[penalised] += equations.target()
    step = -factor.solve(residual)
    return step, np.array(equations.step(step[penalised]))
