"""The minimum of a quadratic with a penalty on groups of its coordinates.

    g'e + e' H e / 2 + rest(w + e)

Accelerated proximal steps find out in some epochs which groups are 0; then Newton's method has the
others, on which the penalty has two derivatives.
"""

import numpy as np
import scipy.linalg

from fastgd.linalg.line_search import halvings

# Proximal steps between two Newton steps, and the most of these.
EPOCHS = 15
ROUNDS = 60
HALVINGS = 12


def minimise(matrix, gradient, point, term, tolerance):
    """Move `point`, and the quadratic's `gradient` with it, in place, to the minimum; whether the
    subgradient of least norm is at most `tolerance` in units of the roots of H's diagonal.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H; the last coordinate may be an intercept, which is not penalised.
    gradient, point : ndarray, (size,)
    term : Term
        With `prox`, `subgradient` and `rest_curvature`, of the first coordinates.
    tolerance : float
    """
    model = GroupModel(matrix, gradient, point, term)
    for _ in range(ROUNDS):
        model.descend()
        if model.off() <= tolerance:
            return True
        model.settle()
        if model.off() <= tolerance:
            return True
    return False


class GroupModel:
    """The quadratic and where it is looked at; `gradient` and `point` are written over."""

    def __init__(self, matrix, gradient, point, term):
        self.matrix, self.gradient, self.point, self.term = matrix, gradient, point, term
        self.n_coef = term.members.size
        diagonal = np.diag(matrix)
        self.scale = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        alike = matrix / self.scale / self.scale[:, None]
        largest = scipy.linalg.eigvalsh(alike, subset_by_index=[len(matrix) - 1] * 2)[0]
        self.rates = 1.0 / (max(largest, 1e-300) * (1.0 + 1e-9) * self.scale**2)

    def off(self):
        """The longest subgradient in units of the diagonal's roots."""
        return float((np.abs(self._subgradient()) / self.scale).max(initial=0.0))

    def descend(self):
        """Accelerated proximal steps, begun anew where momentum points uphill."""
        start, before = self.point.copy(), self.point.copy()
        here, momentum = before, 1.0
        gradient_before, own = self.gradient.copy(), self.gradient.copy()
        for _ in range(EPOCHS):
            moved = here - self.rates * own
            self.term.prox(moved[: self.n_coef], self.rates[: self.n_coef])
            gradient = self.gradient + self.matrix @ (moved - start)
            if float((here - moved) @ (moved - before)) > 0.0:
                momentum = 1.0
            after = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            share = (momentum - 1.0) / after
            here = moved + share * (moved - before)
            own = gradient + share * (gradient - gradient_before)
            before, gradient_before, momentum = moved, gradient, after
        self.point[:], self.gradient[:] = before, gradient_before

    def settle(self):
        """One Newton step of the coordinates that are not 0, halved until the quadratic with its
        penalty falls.
        """
        n = self.n_coef
        moving = np.flatnonzero(self.point[:n])
        index = np.append(moving, np.arange(n, self.point.size))
        part = self.matrix[np.ix_(index, index)].copy()
        k = moving.size
        part[:k, :k] += self.term.rest_curvature(self.point[:n], moving)
        scale = np.sqrt(np.maximum(np.diag(part), 1e-300))
        subgradient = self._subgradient()[index]
        try:
            factor = scipy.linalg.cho_factor(part / scale / scale[:, None], check_finite=False)
        except np.linalg.LinAlgError:
            return
        step = np.zeros(self.point.size)
        step[index] = (
            -scipy.linalg.cho_solve(factor, subgradient / scale, check_finite=False) / scale
        )
        change = self.matrix @ step
        rest = self.term.rest_value(self.point[:n])
        for share in halvings(HALVINGS):
            point = self.point + share * step
            gain = share * float(step @ (self.gradient + 0.5 * share * change))
            if gain + self.term.rest_value(point[:n]) - rest <= 0.0:
                self.point[:] = point
                self.gradient += share * change
                return

    def _subgradient(self):
        subgradient, n = self.gradient.copy(), self.n_coef
        subgradient[:n] = self.term.subgradient(self.point[:n], self.gradient[:n])
        return subgradient
