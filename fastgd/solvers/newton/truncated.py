"""Truncated Newton: conjugate gradients on the Newton system, in coordinates that take the columns'
scales away.

An iteration solves H p = -g, H the second derivative at the point, by conjugate gradients until |H
p + g| <= eta |g|, and steps along p.  Working on u_j = s_j w_j with s_j^2 = c var_j + l2 is
Jacobi's preconditioner (`Coordinates.standard`). How well the system is solved follows from how
well the last model told the gradient (Eisenstat and Walker, 1996, choice 2):

    eta_k = 0.9 (|g_k| / |g_{k-1}|)^2, at least 0.9 eta_{k-1}^2 where that is > 0.1, at most 0.5

Where H has a direction of no or negative curvature, the steps so far are taken (Steihaug, 1983), or
-g if there are none.  Curvatures and predictions are kept, so that a product is two sweeps over the
rows and a trial of the line search none.
"""

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.objective.linear_map import LinearMap
from fastgd.solvers.gradient.lbfgs import check_smooth, notice_rounding
from fastgd.solvers.gradient.preconditioned import ScaledSolver
from fastgd.solvers.gradient.preconditioner import Coordinates

LOOSEST = 0.5
TIGHTEST = 1e-8
MOST_PRODUCTS = 200
SUFFICIENT = 1e-4
TRIALS = 60


class NewtonCG(ScaledSolver):
    """`solver="newton"` for many columns: any smooth loss and penalty.

    Parameters
    ----------
    objective : Objective
    curvature : Objective, optional
        Whose second derivative is used: `on_groups(objective, ...)` for that of a sample of its
        rows; None: the objective's.
    """

    def __init__(self, objective, curvature=None):
        check_smooth(objective)
        super(ScaledSolver, self).__init__(objective)
        self.coordinates = Coordinates.standard(objective)
        self.curvature = objective if curvature is None else curvature

    def advance(self, state):
        """One Newton step: a pass, and one for each product of the curvature."""
        memory, g = state.memory, self.own_gradient(state)
        length = float(np.sqrt(g @ g))
        eta = self._forcing(memory, length)
        direction = self._solve(self._product_at(state.point), g, eta) if length > 0.0 else None
        found = None if direction is None else self._search(state, g, direction)
        if found is None and direction is not None:
            found = self._search(state, g, -g)
        memory["length"], memory["eta"] = length, eta
        if found is None:
            state.done = True
        else:
            state.rate = found[0]
            notice_rounding(state, state.value, found[3], self.coordinates.gradient(found[4]))
            self.move(state, *found[1:])
        state.iteration += 1
        state.updates += 1

    def _forcing(self, memory, length):
        """Relative residual at which to stop."""
        before, eta = memory.get("length", 0.0), memory.get("eta", LOOSEST)
        if before <= 0.0:
            return LOOSEST
        chosen = 0.9 * (length / before) ** 2
        if 0.9 * eta**2 > 0.1:
            chosen = max(chosen, 0.9 * eta**2)
        return float(np.clip(chosen, TIGHTEST, LOOSEST))

    def _product_at(self, v):
        """Function p -> H p in own coordinates, H at `v`."""
        curved = Curved(self.curvature, v)
        return lambda p: self.coordinates.gradient(curved.times(self.coordinates.to_user(p)))

    def _solve(self, product, g, eta):
        """Conjugate gradients from 0 for H p = -g; None where not even -g has curvature."""
        step, rest = np.zeros(g.size), -g
        direction, height = rest, float(rest @ rest)
        enough = (eta**2) * height
        for iteration in range(min(MOST_PRODUCTS, 2 * g.size)):
            curved = product(direction)
            bend = float(direction @ curved)
            if not bend > 1e-15 * float(direction @ direction):
                return step if iteration else -g
            share = height / bend
            step = step + share * direction
            rest = rest - share * curved
            before, height = height, float(rest @ rest)
            if height <= enough:
                break
            direction = rest + (height / before) * direction
        return step

    def _search(self, state, g, direction):
        """(share, u, v, smooth, gradient) of the first share 1, 1/2, 1/4, ... that lowers F
        enough, or None.
        """
        slope, value, start = float(g @ direction), state.value, state.memory["u"]
        if not slope < 0.0:
            return None
        share = 1.0
        for _ in range(TRIALS):
            u = start + share * direction
            v, _, smooth, gradient = self.evaluate_at(u)
            fell = smooth <= value + SUFFICIENT * share * slope
            if fell or (smooth <= value + 4.0 * EPS * abs(value) and self._flatter(gradient, g)):
                return share, u, v, smooth, gradient
            share *= 0.5
            if not (start + share * direction != start).any():
                break
        return None

    def _flatter(self, gradient, g):
        """Whether the gradient is shorter: what tells progress where F does not, for rounding."""
        own = self.coordinates.gradient(gradient)
        return float(own @ own) < float(g @ g)


class Curved:
    """Second derivative of an objective at `v`, for products; for one prediction, what each row
    needs is kept.

    Parameters
    ----------
    objective : Objective
    v : ndarray, (size,)
    """

    def __init__(self, objective, v):
        F = self.objective = objective
        self.v = v
        if F.vector:
            return
        self.linear_map = LinearMap(F)
        coef, intercept = F.split(v)
        self.curvatures = self.linear_map.derivatives(
            self.linear_map.matvec(np.ascontiguousarray(coef)), intercept
        )[2]
        n_coef = F.n_features
        if F.elastic:
            self.diagonal = np.full(n_coef, F.l2)
        else:
            self.diagonal = F.penalty_curvature(v) if F.penalty.smooth else np.zeros(n_coef)

    def times(self, p):
        """H @ p, (size,): one pass."""
        F = self.objective
        if F.vector:
            return F.hessian_product(self.v, p)
        coef, intercept = F.split(p)
        amounts = self.curvatures * (self.linear_map.matvec(np.ascontiguousarray(coef)) + intercept)
        product = np.empty(F.size)
        self.linear_map.rmatvec(amounts, product[: F.n_features])
        product[: F.n_features] += self.diagonal * coef
        if F.fit_intercept:
            product[-1] = amounts.sum()
        return product
