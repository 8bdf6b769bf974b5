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

from dataclasses import dataclass, replace

import numpy as np

from fastgd.linalg.conjugate_gradients import ConjugateGradients
from fastgd.linalg.line_search import armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost
from fastgd.solvers.base import Forecast, no_derivatives, several_predictions
from fastgd.solvers.gradient.preconditioned import Preconditioned, PreconditionedMemory
from fastgd.solvers.gradient.preconditioner import Coordinates
from fastgd.solvers.newton.subspace import RowSubspace, subspace_passes
from fastgd.solvers.rounding_left import Falls, notice_rounding

# Residuals that end the solution of a system, relative to the gradient: 0.9 (|g| / |g before|)^2
# between these (Eisenstat and Walker, 1996, choice 2).
LOOSEST = 0.5
TIGHTEST = 1e-8
TIMES_SUBSPACE = Cost(
    4.0,
    "times the passes",
    "Of Newton steps among past gradients: two texts to 1e-4 and 1e-6 took 19 and 24 for 5.5 and "
    "7.5, 82 and 96 for 14.5 and 19.5.",
)
# A direction has no curvature where p'H p is below this share of |p|^2, in units of about 1.
FLAT = 1e-15
# What so many products have found is a direction of descent, and is taken as it is.
MAX_PRODUCTS = 200


@dataclass
class NewtonCGMemory(PreconditionedMemory, Falls):
    """What truncated Newton remembers.

    Attributes
    ----------
    gradient_norm : float
        |g| of the last iteration in own coordinates; 0 before the first.
    eta : float
        Relative residual at which the last system was left.
    """

    gradient_norm: float = 0.0
    eta: float = LOOSEST


class NewtonCG(Preconditioned):
    """`solver="newton"` for many columns: any smooth loss and penalty.

    Parameters
    ----------
    objective : Objective
    """

    name = "newton"
    traits = replace(Preconditioned.traits, reads="sums", second_order=True)
    Memory = NewtonCGMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses several predictions, losses and penalties without a derivative, and L1 parts."""
        text = "by products does not go with an L1 part"
        l1 = text if objective.l1 > 0.0 else None
        return several_predictions(objective) or no_derivatives(objective) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """About four times what Newton steps among past gradients take, where these apply."""
        passes = subspace_passes(objective, tol, cutoff)
        return Forecast(
            TIMES_SUBSPACE * passes if RowSubspace.fits(objective) else passes, last=True
        )

    def __init__(self, objective):
        self.refuse_unsuitable(objective)
        super().__init__(objective, Coordinates.standard(objective))

    def advance(self, state):
        """One Newton step: a pass, and one for each product of the curvature."""
        memory, g = state.memory, self.own_gradient(state)
        length = float(np.sqrt(g @ g))
        eta = self._forcing(memory, length)
        direction = self._solve(self._product_at(state.point), g, eta) if length > 0.0 else None
        found = None if direction is None else self._search(state, g, direction)
        if found is None and direction is not None:
            same = np.array_equal(direction, -g) or self._is_rounding(state, g, direction)
            found = None if same else self._search(state, g, -g)
        memory.gradient_norm, memory.eta = length, eta
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
        before, eta = memory.gradient_norm, memory.eta
        if before <= 0.0:
            return LOOSEST
        chosen = 0.9 * (length / before) ** 2
        if 0.9 * eta**2 > 0.1:
            chosen = max(chosen, 0.9 * eta**2)
        return float(np.clip(chosen, TIGHTEST, LOOSEST))

    def _product_at(self, v):
        """Function p -> H p in own coordinates, H at `v`."""
        times = self.objective.product_at(v)
        return lambda p: self.coordinates.gradient(times(self.coordinates.to_user(p)))

    def _solve(self, product, g, eta):
        """What conjugate gradients find of H p = -g; -g where not even that has curvature."""
        system = ConjugateGradients(product, -g)
        enough = (eta**2) * system.height
        for iteration in range(min(MAX_PRODUCTS, 2 * g.size)):
            if not system.advance(FLAT):
                return system.step if iteration else -g
            if system.height <= enough:
                break
        return system.step

    def _search(self, state, g, direction):
        """(share, u, v, smooth, gradient) of the first share 1, 1/2, 1/4, ... that lowers F
        enough, or None.
        """
        derivative = float(g @ direction)
        value = state.value
        start = state.memory.u
        if not derivative < 0.0:
            return None
        for share in halvings(start=start, direction=direction):
            u = start + share * direction
            v, _, smooth, gradient = self.evaluate_at(u)
            fell = armijo(value, smooth, derivative, share)
            if fell or (smooth <= value + 4.0 * EPS * abs(value) and self._flatter(gradient, g)):
                return share, u, v, smooth, gradient
            if self._is_rounding(state, g, direction):
                return None
        return None

    def _is_rounding(self, state, g, direction):
        """Whether F is rounded by more than a step promises: if the whole step brings nothing, no
        share of it does, nor -g.
        """
        return -float(g @ direction) <= 4.0 * EPS * abs(state.value)

    def _flatter(self, gradient, g):
        """Whether the gradient is shorter: what tells progress where F does not, for rounding."""
        own = self.coordinates.gradient(gradient)
        return float(own @ own) < float(g @ g)
