"""Squared losses of several targets over the same rows: what they have in common.

    F_k(v) = sum_i s_i (z_i - y_ik)^2 / (2 sum_i s_i) + l2 |w|^2 / 2

has one curvature matrix for all k, so that one is formed and factored, and two looks at the rows
serve all of them: at the null models, and where the steps from there lead.  A look is a product
X W and a product X'R of residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgd.data.targets import WeightedSamples
from fastgd.data.tile_sizes import ROWS
from fastgd.losses.each_target import EachTarget
from fastgd.objective.null_model import null_model, null_point
from fastgd.objective.objective import Objective
from fastgd.objective.vector_map import VectorMap
from fastgd.penalties.separable import NoPenalty

# Residuals of targets that are looked at at once: as many numbers as X has, or 80 MB.  Targets of
# classes against the rest are made one by one, so that 1,000 of them take no more than these.
FEW_NUMBERS = 10_000_000


class Look(NamedTuple):
    """Points of K targets, (K, size), and values, (K,), and gradients, (K, size), of F there."""

    points: np.ndarray
    values: np.ndarray
    gradients: np.ndarray

    def of(self, k):
        """Point, value and gradient of one target, in arrays of its own."""
        return self.points[k].copy(), float(self.values[k]), self.gradients[k].copy()


class SquaresOfTargets:
    """What the objectives of several targets ask for together: made when the first of them asks,
    kept for the others, who are fitted after it.

    What it reads counts for each of K objectives as a K-th of its passes, whichever asks first.

    Parameters
    ----------
    objective_of : callable
        Objective of the target of a number: a squared loss of rows in memory, and an elastic net
        without an L1 part.
    samples : sequence of WeightedSamples
        Those of the K targets.

    Attributes
    ----------
    objective : Objective
        Of the first target, for what follows from rows and weights alone.
    n_targets : int
        K.

    Examples
    --------
    >>> X, Y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0, 2.0, 6.0], [0.0, 3.0, 0.0]])
    >>> objective_of = lambda k: Objective("squared_error", X, Y[k])
    >>> targets = SquaresOfTargets(objective_of, [objective_of(k).samples for k in (0, 1)])
    >>> F = targets.objective_of(0)
    >>> F.together.null_look(F)[2].round(3), F.passes
    (array([-1.667,  0.   ]), 0.25)
    """

    def __init__(
        self, objective_of: Callable[[int], Objective], samples: Sequence[WeightedSamples]
    ) -> None:
        self.objective, self.samples, self.n_targets = objective_of(0), samples, len(samples)
        self._objective_of = objective_of
        self._null_models: list[dict[str, Any]] = []
        self._found: dict[Any, tuple[Any, float]] = {}

    def objective_of(self, k: int) -> Objective:
        """The objective of target `k`, which asks this for what it has in common with others."""
        F = self._objective_of(k)
        F.together = OneOfSquares(self, k)
        if self._null_models:
            F.measured |= self._null_models[k]
        return F

    def once(self, F, name, make):
        """What `make(objective)` gives, the first time; F is charged its share of the passes."""
        if name not in self._found:
            before = self.objective.passes
            made = make(self.objective)
            self._found[name] = made, (self.objective.passes - before) / self.n_targets
        made, passes = self._found[name]
        F.meter.count(passes)
        return made

    def look_at_null_models(self, J):
        """The first `Look`, where the columns play no part."""
        points = np.empty((self.n_targets, J.size))
        objectives = map(self._objective_of, range(self.n_targets))
        self._null_models = []
        for point, F in zip(points, objectives, strict=True):
            point[:] = null_point(F, null_model(F)[0])
            self._null_models.append(F.measured)
        return self._look(J, points)

    def look_after_steps(self, J, factor):
        """The second `Look`; `factor` is that of the curvature matrix."""
        first = self.once(J, "null", self.look_at_null_models)
        steps = np.array([factor.solve(-gradient) for gradient in first.gradients])
        return self._look(J, first.points + steps)

    def _look(self, J, points):
        """A pass, or half of one where the columns play no part, for as many targets at once as
        there is room for.
        """
        values, gradients = np.empty(self.n_targets), np.empty(points.shape)
        at_once = max(max(J.rows.stored(), FEW_NUMBERS) // J.n_samples, 1)
        for first in range(0, self.n_targets, at_once):
            self._look_at(J, slice(first, first + at_once), points, values, gradients)
        return Look(points, values, gradients)

    def _look_at(self, J, some, points, values, gradients):
        """Values and gradients of `some` of the targets, into the arrays."""
        samples, d = J.samples, J.n_features
        numbers = range(self.n_targets)[some]
        coefs, shifts = points[some, :d], points[some, d:]
        # Products ask for no targets.
        none = WeightedSamples(np.zeros((1, len(numbers))), samples.weights, samples.offsets)
        same = J.rows, none, NoPenalty(), 0.0, J.fit_intercept, J.n_threads, J.n_nonzeros
        products = VectorMap(Objective.of(EachTarget(J.loss), *same))
        # A row for each target: columns of a table would be written 8 bytes here and there.
        residuals = np.zeros((len(numbers), J.n_samples))
        if coefs.any():
            _predict(products, coefs.T, residuals)
        weights = samples.weights
        for k, row, shift in zip(numbers, residuals, shifts, strict=True):
            row += shift if J.fit_intercept else 0.0
            row += samples.offsets
            row -= self.samples[k].targets
            weighted = row if weights.size == 1 else weights * row
            # In pairs: rounding of equal terms goes one way in a product of BLAS.
            values[k] = 0.5 * float((weighted * row).sum()) / J.n_active
            row[:] = weighted
        table = np.ascontiguousarray(residuals.T) if J.rows.sparse else residuals.T
        gradients[some, :d] = products.rmatvec(table).T
        gradients[some, d:] = residuals.sum(axis=1)[:, None]
        gradients[some] /= J.n_active
        for k in numbers:
            values[k] += J.term.add_gradient(points[k, :d], gradients[k, :d])
        J.meter.count(products.objective.passes)


def _predict(products, table, out):
    """X table, transposed, into `out`, (K, n)."""
    if not products.objective.rows.sparse:
        products.matvec(table, out.T)  # tile by tile
        return
    found = products.matvec(table)
    for first in range(0, len(found), ROWS):
        out[:, first : first + ROWS] = found[first : first + ROWS].T


class OneOfSquares(NamedTuple):
    """One of several targets; F is its objective.

    Attributes
    ----------
    squares : SquaresOfTargets
    k : int
        Its number.
    """

    squares: SquaresOfTargets
    k: int

    @property
    def objective(self):
        """Of the first target, for what follows from rows and weights alone."""
        return self.squares.objective

    @property
    def n_targets(self):
        """K, the number of targets."""
        return self.squares.n_targets

    def once(self, F, name, make):
        """What `make(objective)` gives of rows and weights alone."""
        return self.squares.once(F, name, make)

    def null_look(self, F):
        """The null model of F as a point, and value and gradient there."""
        return self.squares.once(F, "null", self.squares.look_at_null_models).of(self.k)

    def look_after_step(self, F, factor):
        """The point to which a whole step from there leads, and value and gradient there."""

        def look(J):
            return self.squares.look_after_steps(J, factor)

        return self.squares.once(F, "step", look).of(self.k)
