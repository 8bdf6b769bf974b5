"""Proximal Newton steps on a few columns, with predictions that are kept.

Where the losses of the rows have derivatives d_i and curvatures c_i, the model of F around the
coefficients u of the columns X_S is

    q(e) = g'e + e'(X_S' C X_S / n + l2) e / 2 + l1 |u + e|_1,    g = X_S' d / n + l2 u

an intercept being one more column, of ones, that is not penalised.  Coordinate descent minimises it
with exact steps (Friedman, Hastie and Tibshirani, 2010, section 2), on the matrix of the model or,
where there are too many columns for that, on the columns.  The step is halved until F falls by a
share of what the model promises (Lee, Sun and Saunders, 2014, equation 2.20), which takes no pass:
products x_i . w are linear in w.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgd.linalg.line_search import OF_MODEL, armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import (
    COLUMN_VALUE,
    Cost,
    columns_cost,
    pass_cost,
    solving_cost,
)
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.column_subset import NO_ROWS
from fastgd.solvers.l1.column_sweep import ColumnSweep
from fastgd.solvers.l1.quadratic_interior_point import follow_central_path
from fastgd.solvers.l1.settled_signs import solve_support

HALVINGS = 30  # 1e-9 of a step: what is left to fall is rounding
# Units in the last place by which F may seem to rise.
ROUNDING = 32.0
# Coordinate descent finds out in a few epochs which coefficients are nonzero; then a linear system
# has their values, which would take it thousands of epochs where columns are alike.  After so many
# rounds the central path of the model is followed, which costs about as much as 15 of them.
EPOCHS = 10
ROUNDS = 8
# What steps take beside passes and visits to columns: systems of the size of a matrix, those of the
# central path among them where that is followed.  What a run took is 0.7 to 1.1 times what is told
# for 12 of 16 problems, 2.4 and 2.9 times for matrices of 54 and 111 columns, 0.6 and 0.8 times for
# two.
SYSTEMS = Cost(2.0, "systems", "For a model whose signs are settled.")
SYSTEMS_OF_PATH = Cost(20.0, "systems", "For one whose central path is followed.")
# By a matrix it ends at a small share of the violation.  Where there are more columns than this
# share of the rows, which is where rounds cost more than the matrix, it ends at a larger one unless
# it is there in the first round: 1000 x 2000 with half as many nonzero coefficients as rows took
# twice as long without, one-hot columns of 300,000 rows up to 1.5 times with.
TIGHT = 1e-3
LOOSE = 0.1
MANY = 0.25


@dataclass
@shaped(products="n", derivatives="n", curvatures="n")
class RowValues:
    """Rows at some coefficients: products x_i . w, and the weighted derivatives and curvatures of
    their losses.

    `loss`, `derivative` and `curvature` are the means of loss, derivative and curvature.
    """

    products: np.ndarray
    derivatives: np.ndarray
    curvatures: np.ndarray
    intercept: float
    loss: float = np.nan
    derivative: float = np.nan
    curvature: float = np.nan

    @classmethod
    def at(cls, linear_map, products, intercept):
        """Evaluated at these products and this intercept."""
        rows = cls(products, np.empty(products.size), np.empty(products.size), intercept)
        rows.evaluate(linear_map)
        return rows

    def at_others(self, linear_map, products, intercept):
        """Evaluated elsewhere, in the arrays of these derivatives and curvatures, which `evaluate`
        brings back.
        """
        rows = RowValues(products, self.derivatives, self.curvatures, intercept)
        rows.evaluate(linear_map)
        return rows

    def evaluate(self, linear_map):
        """Look at the losses where products and intercept are now: not a pass, for X is not
        read.
        """
        rows = self.derivatives, self.curvatures
        self.loss = linear_map.fill(self.products, self.intercept, *rows)
        n_active = linear_map.objective.n_active
        self.derivative, self.curvature = (float(part.sum()) / n_active for part in rows)

    def centre(self, linear_map, most=4):
        """Move the intercept to where the derivatives sum to 0, which the duality gap needs:
        Newton steps, no pass.
        """
        for _ in range(most):
            if not (
                linear_map.objective.fit_intercept
                and self.curvature > 0.0
                and abs(self.derivative) > 4.0 * EPS * self.curvature
            ):
                return
            before, derivative, loss = self.intercept, self.derivative, self.loss
            self.intercept -= derivative / self.curvature
            self.evaluate(linear_map)
            if not (
                abs(self.derivative) < abs(derivative) and self.loss <= loss * (1.0 + 4.0 * EPS)
            ):
                self.intercept = before
                self.evaluate(linear_map)
                return


class Model(NamedTuple):
    """How the model of a step is made.

    Attributes
    ----------
    chosen : ndarray
        Which of the columns move.
    damping : float
        Added to the curvature of each row, times its weight.
    violation : float
        How far the coefficients are from their optimum, of which coordinate descent leaves a share.
    order : ndarray
        Rows that stand for all in its matrix; all where empty.
    kept_columns : ndarray or None
        Columns whose curvature is kept, the chosen among them, where it changes little or not at
        all.
    rng : Generator or None
        Of the orders in which the columns themselves are gone over; None where a matrix of them is.
    rough : bool
        Whether going over the columns ends early, far from the optimum.
    goal : float
        Change of a derivative at which going over them ends else.
    """

    chosen: np.ndarray
    damping: float
    violation: float
    order: np.ndarray = NO_ROWS
    kept_columns: np.ndarray | None = None
    rng: np.random.Generator | None = None
    rough: bool = False
    goal: float = 0.0


class StepTaken(NamedTuple):
    """A step that was made.

    Attributes
    ----------
    coef : ndarray
        Of the columns.
    rows : RowValues
        The rows there.
    share : float
        Of the step to the model's minimum, 0 where F fell nowhere.
    converged : bool
        Whether coordinate descent found that minimum; it does not where columns are alike, or many
        as rows.
    fall : float
        What F fell by.
    time : float
        About what it took beside its passes, in ns.
    """

    coef: np.ndarray
    rows: RowValues
    share: float
    converged: bool
    fall: float = 0.0
    time: float = 0.0


def newton_step(columns, coef, gradient, rows, model):
    """One step from these coefficients of the columns, a `StepTaken`; the arrays of `rows` but its
    products go into it.
    """
    F = columns.objective
    linear_map = columns.linear_map
    size = model.chosen.size
    target, converged, time = _minimum(columns, coef, gradient, rows, model)
    trial = coef.copy()
    trial[model.chosen] = target[:size]
    shift = target[size] - rows.intercept if F.fit_intercept else 0.0
    move = target[:size] - coef[model.chosen]
    weight, weight_before = (F.term.value(u[model.chosen]) for u in (trial, coef))
    # Term by term, for near the optimum the sums would be rounding alone.
    terms = gradient[model.chosen] * move + F.l1 * (
        np.abs(trial[model.chosen]) - np.abs(coef[model.chosen])
    )
    promised = float(terms.sum()) + rows.derivative * shift
    if not promised < 0.0:
        rows.evaluate(linear_map)
        return StepTaken(coef, rows, 0.0, converged, time=time)
    found = rows.at_others(linear_map, columns.products(trial), rows.intercept + shift)
    slack = ROUNDING * EPS * abs(rows.loss + weight_before)
    for share in halvings(HALVINGS):
        if share < 1.0:
            trial[model.chosen] = coef[model.chosen] + share * move
            weight = F.term.value(trial[model.chosen])
            found.products += rows.products
            found.products *= 0.5
            found.intercept = rows.intercept + share * shift
            found.evaluate(linear_map)
        change = found.loss - rows.loss + weight - weight_before
        if armijo(0.0, change, promised, share, slack, OF_MODEL):
            break
    else:
        rows.evaluate(linear_map)
        return StepTaken(coef, rows, 0.0, converged, time=time)
    if share < 1.0:  # the products that a run resumed from here would find
        found.products = columns.products(trial)
        found.evaluate(linear_map)
    found.centre(linear_map)
    return StepTaken(trial, found, share, converged, max(-change, 0.0), time)


def _minimum(columns, coef, gradient, rows, model):
    """Where the model is least: the chosen coefficients, and the intercept if there is one;
    whether coordinate descent found it, and what it took beside passes, in ns.
    """
    F = columns.objective
    chosen = model.chosen
    size = model.chosen.size
    n_unknowns = size + F.fit_intercept
    curvatures = rows.curvatures
    if model.damping > 0.0:
        curvatures += model.damping * F.samples.weights
    unknowns = np.append(coef[chosen], rows.intercept)[:n_unknowns]
    model_gradient = np.append(gradient[chosen], rows.derivative)[:n_unknowns]
    if model.rng is not None:
        of_rows = rows.derivatives.copy(), curvatures
        sweep = ColumnSweep(columns, unknowns, model_gradient, *of_rows, model)
        sweep.run()
        return unknowns, True, COLUMN_VALUE * sweep.visited
    time = _time_of_matrix(columns, model)
    if model.kept_columns is None:
        matrix = columns.curvature(chosen, curvatures, model.order)
    else:
        matrix = columns.kept_curvature(chosen, model.kept_columns, curvatures)
        matrix = matrix.copy()
    matrix[np.arange(size), np.arange(size)] += F.l2
    tolerance = TIGHT * model.violation
    loose = LOOSE * model.violation if size > MANY * F.n_samples else tolerance
    least = matrix, model_gradient, unknowns, F.l1, size
    converged = minimise_with_l1(*least, tolerance, loose)
    systems = SYSTEMS if converged else SYSTEMS_OF_PATH
    return unknowns, converged, time + systems * solving_cost(F, size) * pass_cost(F)


def _time_of_matrix(columns, model):
    """Ns of the matrix that a model asks for; 0 for one that is kept."""
    F, kept = columns.objective, model.kept_columns
    if kept is not None and columns.knows(kept):
        return 0.0
    size = model.chosen.size if kept is None else kept.size
    share = model.order.size / F.n_samples if model.order.size else 1.0
    return share * columns_cost(F, size) * pass_cost(F)


def minimise_with_l1(matrix, gradient, unknowns, l1, size, tolerance, loose):
    """Move the unknowns to the minimum of gradient'e + e' matrix e / 2 + l1 |unknowns + e|_1, the
    sum of the first `size` of them; whether coordinate descent found it.

    It ends at changes of a derivative of `tolerance`, after its first round at `loose`.
    """
    n_unknowns = unknowns.size
    least = matrix, gradient, unknowns, l1, size
    if _descend(*least, tolerance, loose):
        return True
    follow_central_path(matrix[:n_unknowns, :n_unknowns], *least[1:])
    _descend(*least, tolerance, tolerance)
    return False


def _descend(matrix, gradient, unknowns, l1, size, tolerance, loose):
    """Coordinate descent and signs that are settled in turn, for some rounds; whether it reached
    its tolerance.

    That is `loose` after the first round.
    """
    n_unknowns = unknowns.size
    for _ in range(ROUNDS):
        if (
            kernels.matrix_descent(matrix, gradient, unknowns, l1, size, tolerance, EPOCHS)
            <= EPOCHS
        ):
            return True
        tolerance = loose
        if not solve_support(matrix[:n_unknowns, :n_unknowns], gradient, unknowns, l1, size):
            return False  # nor will it be in the next rounds
    return False
