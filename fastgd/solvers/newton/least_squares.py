"""Least squares by one curvature matrix: one pass gives value, gradient and curvature of F at a
point, and with them F everywhere.

Where the loss is a square, with L2 or no penalty, a Newton step is the answer, and

    F(v + step) = F(v) + g'step + step'H step / 2

needs no pass.  Where rounding would show in that, the rows are read again, and steps go on as those
of `fastgd.solvers.newton.cholesky`.
"""

from dataclasses import dataclass

import numpy as np

from fastgd.certificates.rounding import intercept_rounding, sum_rounding
from fastgd.linalg.line_search import armijo
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.objective.gram import quadratic
from fastgd.objective.null_model import null_model, null_point
from fastgd.solvers.newton.cholesky import Newton, NewtonMemory

# An extrapolated value is as good as one from a pass where it is off by less than this share.
EXTRAPOLATED = 1e-10


@dataclass
class LeastSquaresMemory(NewtonMemory):
    """What a run of least squares remembers.

    Attributes
    ----------
    anchor_value : float or None
        Smooth part of F at the anchor, from which value and gradient at the point were
        extrapolated; None where they are from a pass.
    rounding : float or None
        What an extrapolated value may be wrong by.
    """

    anchor_value: float | None = None
    rounding: float | None = None


class LeastSquares(Newton):
    """`solver="newton"` for a loss of constant curvature: `least_squares_applies`.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 2.0, 4.0])
    >>> F = Objective("squared_error", X, y)
    >>> solver = LeastSquares(F, 1e-6)
    >>> state = solver.start(F.start())
    >>> solver.advance(state)
    >>> state.point.round(3), F.passes
    (array([1.5  , 0.833]), 1.0)
    """

    Memory = LeastSquaresMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses what `Newton` refuses, an L1 part among it, losses whose curvature is not
        constant, and penalties that are no elastic net.
        """
        reason = super().refusal(objective)
        if reason is None and not _is_quadratic(objective):
            return "of least squares needs a squared loss and an L2 penalty or none"
        return reason

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """One matrix, one step, and a pass where rounding would show."""
        F, known = objective, super().forecast(objective, tol, cutoff)
        if not known.passes < np.inf:
            return known
        cost = curvature_cost(F) + solving_cost(F, F.n_features)
        if F.together is None:
            return known._replace(passes=1.0 + cost)
        n_targets = F.together.n_targets
        reason = f"{known.reason}, one for all {n_targets} models"
        return known._replace(passes=1.0 + cost / n_targets, reason=reason)

    @classmethod
    def make(cls, objective, options):
        """Newton's method where values are not to be extrapolated: `least_squares_applies`."""
        method = cls if least_squares_applies(objective, options.tol) else Newton
        return method(objective, options.tol)

    def resume(self, state):
        """Value, gradient and curvature at a point; those of an extrapolated point hold where the
        value at its anchor is what it was: that rows and alpha are the same is for who goes on with
        a state to see (`fastgd.fitting.resumed_state`).
        """
        memory, before = state.memory, state.memory.anchor_value
        new = state.value is None and memory.factor is None
        if not new and before is None:
            super().resume(state)
            return
        self._allocate()
        look = self._quadratic if self.objective.together is None else self._without_matrix
        value, gradient, matrix = look(state.point if before is None else memory.anchor)
        if value == before:
            return
        if before is not None:
            value, gradient, matrix = look(state.point)
        state.value = value
        state.gradient = gradient
        state.forget()
        memory = state.memory
        memory.factor, memory.singular = self._factor_at(state.point, matrix)
        memory.anchor = state.point
        memory.exact = True
        memory.curvature_cap = 0.0

    def _evaluate_point(self, state):
        """By a pass: nothing is extrapolated then."""
        state.memory.anchor_value = None
        super()._evaluate_point(state)

    def _quadratic(self, point):
        """Value, gradient and curvature matrix at a point."""
        return quadratic(self.objective, point)

    def _without_matrix(self, point):
        """Value and gradient at a point, beside None: the matrix of several targets is one."""
        F = self.objective
        if self._is_null(point):
            return *F.together.null_look(F)[1:], None
        return *F.smooth_and_gradient(point), None

    def _is_null(self, point):
        F = self.objective
        return np.array_equal(point, null_point(F, null_model(F)[0]))

    def _factor_at(self, point, matrix):
        """Factor of the curvature matrix of a point, and whether it is `singular`."""
        F = self.objective
        if F.together is None:
            return self._factored(matrix, lambda: self._evaluated_at(point))
        kind, tol = type(self), self.tol
        return F.together.once(F, kind, lambda objective: kind(objective, tol).factor_of_weights())

    def factor_of_weights(self):
        """The same where the curvature of each row is its weight."""
        F = self.objective
        weights = np.array(np.broadcast_to(F.samples.weights, F.n_samples))
        return self._factored(self._matrix_of(weights), lambda: weights)

    def _evaluated_at(self, point):
        """Curvature of each row: a pass."""
        F = self.objective
        curvatures = self._curvatures if F.rows.in_memory else np.zeros(F.n_samples)
        F.smooth_and_gradient(point, curvatures)
        return curvatures

    def progress(self, state):
        """As Newton's, and what an extrapolated value may be wrong by."""
        memory = state.memory
        known = super().progress(state)
        return known._replace(doubt=None if memory.anchor_value is None else memory.rounding)

    def _search(self, state, step, derivative, total, slack):
        """A whole step without a pass where the matrix is of this very point and rounding does not
        show, else as Newton's.
        """
        if state.memory.anchor is state.point:
            found = self._extrapolated(state, step, derivative)
            if found is not None:
                return 1.0, found
            state.memory.anchor_value = None
            found = self._looked_at_together(state, step)
            if found is not None and armijo(total, found[1], derivative, 1.0, slack):
                return 1.0, found
        state.memory.anchor_value = None
        return super()._search(state, step, derivative, total, slack)

    def _looked_at_together(self, state, step):
        """(point, value, gradient) after a whole step from the null model, by a look for all
        targets, else None.
        """
        F = self.objective
        if F.together is None or not self._is_null(state.point):
            return None
        found = F.together.look_after_step(F, state.memory.factor)
        return found if np.array_equal(found[0], state.point + step) else None

    def _extrapolated(self, state, step, derivative):
        """(point, value, gradient) after a whole step by the parabola that F is, or None where
        rounding would show.

        With u the rounding of a sum over n rows, each entry of the gradient is wrong by at most u
        sqrt(H_jj) (sqrt(2 F) + sum_k sqrt(H_kk) |s_k| + max_i |offset_i|), by Cauchy and Schwarz,
        and the value by u times the square of what stands in the brackets.
        """
        factor, before = state.memory.factor, state.value
        value = before + derivative + 0.5 * factor.norm(step) ** 2 if factor.full else 0.0
        if not value > 1e-3 * before:
            return None
        size = np.sqrt(2.0 * before) + float(factor.scale @ (np.abs(step) + np.abs(state.point)))
        # An intercept may cancel offsets, of which each residual keeps the rounding.
        size += float(np.abs(self.objective.samples.offsets).max())
        wrong = (
            2.0 * EPS * self.objective.n_samples * np.sqrt(step.size) * size * factor.inverse_norm()
        )
        doubt = 2.0 * sum_rounding(self.objective) * size**2
        if 0.5 * wrong**2 > EPS * value or doubt > min(0.1 * self.tol, EXTRAPOLATED) * value:
            return None
        point, gradient = state.point + step, state.gradient + factor.product(step)
        doubt += intercept_rounding(self.objective, point, abs(float(gradient[-1])))
        state.memory.anchor_value = before
        state.memory.rounding = doubt
        return point, value, gradient


def least_squares_applies(objective, tol):
    """Whether a step to the minimum can be taken without a look at it: a loss of constant
    curvature, an L2 penalty or none, all rows.

    Only where a tolerance ends the run: a run of so many iterations is to reach rounding.
    """
    return tol > 0.0 and _is_quadratic(objective) and objective.parent is None


def _is_quadratic(objective):
    """Whether F is a quadratic, but for an L1 part."""
    F = objective
    return not F.vector and F.loss.self_concordance == 0.0 and F.elastic
