"""Newton's method for columns that never meet in a row, as many as they are: these are eliminated,
and only the others need a Cholesky factor.

One-hot coded levels of a category have a diagonal block in the curvature matrix
(`fastgd.linalg.bordered`).  With 3,810 columns of which 3,328 are routes, a squared loss on a
million rows is at its minimum after one matrix.
"""

import numpy as np

from fastgd.linalg.bordered import BorderedFactor
from fastgd.objective.cost_model import Cost, solving_cost
from fastgd.objective.exclusive.columns import fewest_others, find_exclusive
from fastgd.objective.exclusive.matrix import BorderedCurvature, bordered_cost
from fastgd.objective.matrix_sizes import most_numbers
from fastgd.solvers.base import EVERYWHERE, Forecast, Solver, Traits, several_strengths
from fastgd.solvers.newton.cholesky import Newton, likely_steps
from fastgd.solvers.newton.least_squares import LeastSquares, least_squares_applies

# Up to so many columns a matrix of all of them is factored in a millisecond.
FEW_COLUMNS = 256
ITERATIONS_OF_SQUARES = Cost(
    2.0,
    "iterations",
    "A squared loss takes one matrix, and a step or two.",
)
# With more of the columns left over their factor would take half of what one of all columns does.
MAX_LEFT = 0.8
# The search for these columns in passes' worth of time: what it may save is worth it from twice as
# many passes on.  Of dense rows it reads all values, up to five times: 70,000 x 784, a fifth of
# them not 0, 0.42 s, a pass 0.04.
SEARCH = 2.0
SEARCH_OF_DENSE = 10.0


class Elimination(Newton):
    """Newton's method with a matrix whose exclusive columns are apart; `Newton`'s parameters."""

    def __init__(self, objective, tol=0.0):
        super().__init__(objective, tol)
        F = objective
        self._bordered = BorderedCurvature(F)
        self.matrix_cost = bordered_cost(F, self._bordered.columns)

    def _matrix_of(self, curvatures):
        return self._bordered.at(curvatures)

    def _diagonal_of(self, matrix):
        return matrix.diagonal_of_all()

    def _shifted(self, matrix, diagonal_shift):
        return matrix.shifted(diagonal_shift)

    def _with_frozen(self, matrix, frozen):
        return matrix.with_frozen(frozen)

    def _factor(self, matrix):
        return BorderedFactor(matrix)

    def _factored(self, matrix, curvatures, singular=False):
        return BorderedFactor(matrix), singular


class EliminationOfSquares(Elimination, LeastSquares):
    """The same for a loss of constant curvature: `least_squares_applies`."""

    def _quadratic(self, point):
        value, gradient = self.objective.smooth_and_gradient(point, self._curvatures)
        return value, gradient, self._matrix_of(self._curvatures)


class Eliminating(Solver):
    """`solver="newton"` where many columns never meet: `Elimination`, or `EliminationOfSquares`."""

    name = "newton"
    form = "by elimination"
    traits = Traits(
        batch_sizes=("full", "growing"),
        begins_on_samples=EVERYWHERE,
        second_order=True,
        steps=Newton.traits.steps,
    )

    @classmethod
    def refusal(cls, objective):
        """Refuses what `Newton` refuses, and penalties whose strength differs between features."""
        return Newton.refusal(objective) or several_strengths(objective)

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By the matrices that it forms and what is left of them; for few columns no look is taken
        at the rows, nor where even a matrix of few others would take too long.
        """
        F, n_targets = objective, 1
        if F.together is not None:  # one matrix of rows and weights alone
            F, n_targets = F.together.objective, F.together.n_targets
        constant = F.loss.self_concordance == 0.0
        squares = ITERATIONS_OF_SQUARES, 1.0 / n_targets
        iterations, matrices = squares if constant else likely_steps(F, tol)

        def passes(size, columns=None):
            solving = min(iterations, matrices + 1.0) * solving_cost(F, size)
            return iterations + solving + matrices * bordered_cost(F, columns)

        search = SEARCH if F.rows.sparse else SEARCH_OF_DENSE
        if F.n_features <= FEW_COLUMNS or passes(0) + search >= cutoff:
            return Forecast(np.inf)
        most = _most_others(F, passes, cutoff)
        if fewest_others(F, most) > most:
            return Forecast(np.inf)
        columns = find_exclusive(F, most)
        if columns is None:
            return Forecast(np.inf)
        reason = (
            f"{columns.first.size:,} of them never meet in a row: without these a curvature matrix "
            f"costs about {bordered_cost(F, columns):.2g} passes and saves many more"
        )
        last = not (F.convex and F.elastic)
        return Forecast(passes(columns.rest.size, columns), reason, last, sure=True)

    @classmethod
    def overhead_passes(cls, objective):
        """A matrix and its factor, of what is left of them."""
        columns = find_exclusive(objective)
        if columns is None:
            return super().overhead_passes(objective)
        return bordered_cost(objective, columns) + solving_cost(objective, columns.rest.size)

    @classmethod
    def make(cls, objective, options):
        """For the tolerance of the run."""
        applies = least_squares_applies(objective, options.tol)
        return (EliminationOfSquares if applies else Elimination)(objective, options.tol)


def _most_others(F, passes, cutoff):
    """How many columns may be left over: a matrix of them has no more than `most_numbers`, and all
    of it takes no longer than `cutoff`.
    """
    least, most = 0, int(np.sqrt(most_numbers(F)))
    most = min(most, int(MAX_LEFT * F.n_features))
    while least < most:
        size = (least + most + 1) // 2
        least, most = (size, most) if passes(size) < cutoff else (least, size - 1)
    return least
