"""Coordinates in which the curvature is about 1 in every direction that a column spans by itself.

Descent on raw columns is slow because of their units, not because of the problem.  A solver that
chooses its own step works on

    u_j = s_j w_j,    u_b = s_b (b + sum_j m_j w_j)

with m the column means (without intercept 0): implicit standardisation.  Where there are few
columns, u = H^(1/2) v with H the curvature of the objective, which takes correlations away as well.
X is never touched, so sparse rows stay sparse, and results are reported in the user's units.
"""

import hashlib

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import eigenpairs, scaled_eigenpairs
from fastgd.objective.distances import curvature_unit
from fastgd.objective.moments import VARIANCE_ROUNDING, column_variances

# A curvature matrix costs about as many passes as a row has values, and each iteration d^2
# operations on top.
LONGEST_ROW = 128
MAX_COLUMNS = 512


class Coordinates:
    """Linear change of variables v = T u, with the gradient T' g and the proximal rates that go
    with it.

    `mark` tells two of them apart; `inverse_root` is T where T T' is about the inverse of the
    curvature, else None.

    Parameters
    ----------
    scales : ndarray, (d,)
        s_j > 0.
    centers : ndarray, (d,)
        m_j.
    intercept_scale : float
        s_b.
    n_predictions : int
    """

    def __init__(self, scales, centers, intercept_scale, n_predictions=1):
        self.scales, self.centers = scales[:, None], centers
        self.intercept_scale, self.n_predictions = intercept_scale, n_predictions
        self.mark = _mark(np.r_[scales, centers])
        self.inverse_root = None

    @classmethod
    def standard(cls, objective):
        """From the columns' moments: s_j^2 = c var_j + l2, with c the curvature bound of the
        loss (1 without one).
        """
        means = objective.moments().means
        centers = means if objective.fit_intercept else np.zeros(objective.n_features)
        curvature = curvature_unit(objective)
        scales = np.sqrt(
            curvature * column_variances(objective, least=VARIANCE_ROUNDING) + objective.l2
        )
        scales[scales == 0.0] = 1.0
        if not (objective.elastic or objective.term.smooth):
            # Powers of two divide out again exactly: a coefficient on its bound, or where else a
            # penalty of the user's put it, stays there. One rounding beyond it the penalty may be
            # infinite.
            scales = np.ldexp(1.0, np.rint(np.log2(scales)).astype(np.int64))
        return cls(scales, centers, np.sqrt(curvature), objective.n_predictions)

    def to_user(self, u):
        """Unknowns v = T u in the units of the data."""
        table = u.reshape(-1, self.n_predictions)
        d = self.centers.size
        v = table.copy()
        v[:d] /= self.scales
        if table.shape[0] > d:
            v[d] = table[d] / self.intercept_scale - self.centers @ v[:d]
        return v.ravel()

    def from_user(self, v):
        """Unknowns u with v = T u."""
        table = v.reshape(-1, self.n_predictions)
        d = self.centers.size
        u = table.copy()
        u[:d] *= self.scales
        if table.shape[0] > d:
            u[d] = self.intercept_scale * (table[d] + self.centers @ table[:d])
        return u.ravel()

    def gradient(self, g):
        """Gradient in u from the gradient in v."""
        table = g.reshape(-1, self.n_predictions)
        d = self.centers.size
        own = table.copy()
        if table.shape[0] > d:
            own[:d] -= self.centers[:, None] * table[d]
            own[d] /= self.intercept_scale
        own[:d] /= self.scales
        return own.ravel()

    def proximal(self, objective, u, rates):
        """`u` after a proximal step, `rates` in u: coefficients move, the intercept of the
        centered columns stays.
        """
        if objective.term.smooth:
            return u
        scales = np.repeat(self.scales[:, 0], self.n_predictions)
        return self._with_coef(u, lambda coef: objective.proximal(coef, rates / scales**2))

    def allowed(self, objective, u):
        """`u`, or the nearest point where the penalty is finite; the intercept of the centered
        columns stays.
        """
        if objective.elastic or objective.term.smooth:
            return u
        return self._with_coef(u, objective.allowed)

    def _with_coef(self, u, change):
        """`u` with its coefficients, in the units of the data, changed."""
        n_coef = self.centers.size * self.n_predictions
        scales = np.repeat(self.scales[:, 0], self.n_predictions)
        moved = u.copy()
        moved[:n_coef] = change(u[:n_coef] / scales)[:n_coef] * scales
        return moved


class CurvatureCoordinates:
    """Coordinates u = H^(1/2) v: in them the curvature H is the identity.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H, positive semidefinite; directions without curvature keep a unit of their own.
    n_coef : int
        How many of the unknowns are penalised: the first ones.
    l2 : float
        What the penalty adds to their diagonal in H.
    """

    def __init__(self, matrix, n_coef, l2):
        values, vectors, scale = scaled_eigenpairs(matrix)
        # Beyond rounding, 1e-12 of the largest, a direction has no curvature that could be trusted.
        roots = np.sqrt(np.maximum(values, 1e-12 * values[-1] if values[-1] > 0.0 else 1.0))
        # The symmetric root, unlike the eigenvectors, moves little when rounding moves the matrix a
        # little (dense against CSR): Adam and its kin see the axes.
        self._to_user = (vectors / roots) @ vectors.T / scale[:, None]
        self._from_user = (vectors * roots) @ vectors.T * scale
        if l2 > 0.0:
            rounding = 8.0 * EPS * values.size * (roots[-1] / roots[0]) ** 2
            self._leave_out_pure_penalty(n_coef, l2, max(rounding, 1e-12))
        self.mark = _mark(self._to_user)
        self.inverse_root = self._to_user

    def _leave_out_pure_penalty(self, n_coef, l2, rounding):
        """Keep 0 the directions in which the penalty is all the curvature there is: their minimum,
        whatever the loss.

        Elsewhere the loss can flatten and steps become long, which would let rounding grow here:
        with 15 rows and 30 columns from 1e-13 to 1e-2 in 50 iterations, until it decided what the
        other directions did; now 25 iterations do.
        """
        part = self._to_user[:n_coef]
        shares, axes = eigenpairs(l2 * part.T @ part)
        kept = axes[:, shares < 1.0 - rounding]
        if kept.shape[1] < shares.size:
            self._to_user = self._to_user @ kept @ kept.T
            self._from_user = kept @ kept.T @ self._from_user

    def to_user(self, u):
        """Unknowns v = T u in the units of the data."""
        return self._to_user @ u

    def from_user(self, v):
        """Unknowns u with v = T u."""
        return self._from_user @ v

    def gradient(self, g):
        """Gradient in u from the gradient in v."""
        return self._to_user.T @ g

    def proximal(self, objective, u, rates):
        """Nothing: these coordinates are for objectives with a gradient everywhere."""
        return u

    def allowed(self, objective, u):
        """Nothing: such objectives are finite everywhere."""
        return u


def curvature_pays(objective):
    """Whether F has a gradient and rows are short enough to afford curvature coordinates."""
    F = objective
    few = F.n_features <= MAX_COLUMNS and F.n_nonzeros <= LONGEST_ROW * F.n_samples
    return not F.vector and few and F.elastic and F.l1 == 0.0 and F.loss.convex


def choose_coordinates(objective):
    """Curvature coordinates where these pay, else standardised ones."""
    F = objective
    if not curvature_pays(F):
        return Coordinates.standard(F)
    # What the curvature is where each row's loss has its greatest.
    curvatures = curvature_unit(F) * np.broadcast_to(F.samples.weights, F.n_samples)
    matrix = F.gram(np.ascontiguousarray(curvatures), alike=True)
    return CurvatureCoordinates(matrix, F.n_features, F.l2)


def _mark(numbers):
    """A few bytes that tell these numbers from others."""
    return np.frombuffer(
        hashlib.blake2b(np.ascontiguousarray(numbers).tobytes(), digest_size=16).digest(), np.uint8
    )
