"""Newton's method for few columns: exact curvature, Cholesky, and as few passes as the answer
takes.

    step = -B^-1 g,    v+ = v + t step,    t = 1, less by a line search, or more far off

B is the curvature at the point or, while steps from an earlier one still gain enough, that one
corrected by the pairs (s, y) of the steps since, as in L-BFGS (Nocedal, 1980, with H_0 = B^-1).
"""

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from fastgd.certificates import corrected_dual
from fastgd.data.tile_sizes import ROWS
from fastgd.linalg.bordered import FROZEN_HEIGHT
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.line_search import armijo
from fastgd.linalg.precision import EPS
from fastgd.losses.base import steps_curve
from fastgd.objective.cost_model import (
    Cost,
    are_few,
    curvature_cost,
    pass_cost,
    reading_cost,
    solving_cost,
)
from fastgd.objective.distances import curvature_unit, gap_scale_at
from fastgd.objective.matrix_sizes import most_numbers
from fastgd.objective.moments import row_coupling
from fastgd.objective.refined_factor import factor_of
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import (
    EVERYWHERE,
    Curvature,
    Forecast,
    Progress,
    Solver,
    Traits,
    no_derivatives,
    several_predictions,
)
from fastgd.solvers.growing_batch import growth_pays
from fastgd.solvers.quasi_newton import is_curved, two_loops
from fastgd.solvers.rounding_left import Falls, notice_rounding

MIN_RATE = 1e-10  # of a step: what is left to fall is rounding
MAX_PAIRS = 10  # as L-BFGS keeps
# A new matrix is taken once the steps that the old one still needs cost as much as it and this many
# steps.
NEW_STEPS = 1.5
# Rows whose curvature changed by more than this factor since the matrix was taken make it doubtful;
# steps that cost this share of a new one are risked all the same.
CHANGED = 2.7
STALE_SHARE = 0.5
# Rows whose curvature is below this share of the mean are left out of a matrix: nine tenths of the
# products on rare binary features, a third on one-hot columns. The matrix is below the curvature by
# so little, and a decrement from it is no smaller than the true one, so that a proof stays one.
# With 1e-2 one-hot columns took 21 passes to 1e-4 instead of 11. A rare column may have no other
# rows, and then all steps along it are too long: where they may be more than `MISSED` of a column's
# curvature, matrices are of all rows from then on (one-hot columns at a hundredth of alpha 15
# passes instead of 35 to 54).
NEGLIGIBLE = 1e-3
MISSED = 0.5
# A sample shows a column where its mean square is at least this share of that over all rows.
SEEN = 0.1
# Far from the optimum, where a step promises more than this share of F, rows that are far out get
# more curvature than they have: without it a row that is wrong by 10 promises a step of 20,000
# under the log loss.
FAR_FROM_OPTIMUM = 1e-2
# Where a loss declares no bound of its curvature, and F after a step still falls as steeply as this
# share of where it began, twice the step is tried, of rows in memory: under exp(z) a Newton step
# moves a prediction by 1 at most.  With what `raised_curvature` makes of an infinite cap 30 of 219
# fits take other passes, 0.76 of them, none more than 1.15 times.
STEEP = 0.3
MAX_DOUBLINGS = 30  # 2^30 times a step overflows any exp(z)
# A matrix that follows from that of another alpha is expected to bring the decrement down by this
# factor, until a step has told.
PRESUMED_GAIN = float(np.log(10.0))
# In a matrix that follows from that of a much larger alpha digits have cancelled: from 1e10 to 1e-8
# a proof said 6.3e-5 where 2.8e-4 were left.  It is computed anew where its relative error may be
# above WORN, and so is the gradient, where its error in units of the matrix may have grown by more
# than a factor of BLURRED.
WORN = 1e-3
BLURRED = 4.0

ITERATIONS = Cost(
    2.0,
    "iterations",
    "Beside those for each digit: the log loss takes 3 to 6, 3 to 7, 4 to 8 to 1e-2, 1e-4, "
    "1e-6, where curvature jumps it is mostly 1 to 4.",
)
ITERATIONS_PER_DIGIT = Cost(
    0.5,
    "iterations a digit",
    "The same runs.",
)
MATRICES = Cost(
    3.0,
    "matrices",
    "Of all rows, in the same runs.",
)
MATRICES_AFTER_GROWTH = Cost(
    2.0,
    "matrices",
    "Of all rows, where a growing batch came before.",
)
# Up to twice as many rows as columns are separable whatever their signs are (Cover, 1965): the
# model grows until the penalty holds it, further the more rows are coupled.  What each factor of 10
# of the coupling adds under the log loss; root mean squares of forecast less taken, iterations and
# matrices: 54 problems of 100 to 300 rows that these numbers are from 3.3 and 1.1, 52 others 2.8
# and 0.9; by the numbers above, without the coupling, 11.0 and 2.1, 8.4 and 1.7.
ITERATIONS_PER_COUPLING = Cost(3.5, "iterations", "More for each factor of 10 of the coupling.")
MATRICES_PER_COUPLING = Cost(0.9, "matrices", "More for each factor of 10 of the coupling.")
MATRICES_PER_DIGIT = Cost(0.25, "matrices", "More for each digit, where rows are coupled.")
MAX_COUPLED = 1e8


@dataclass
@shaped(factor={"scale": "u"}, anchor="u", row_curvatures="n", pairs="u")
class NewtonMemory(Falls):
    """What Newton's method remembers, `idle` and `shortest` among it where F is not convex.

    Attributes
    ----------
    factor : Factor or None
        Of the curvature matrix that steps are taken with.
    anchor : ndarray or None
        The point whose curvature that is; None for a matrix of a sample of the rows.
    exact : bool
        Whether the matrix is the curvature of F there, none of it raised to `curvature_cap`.
    row_curvatures : ndarray or None, (n_samples,)
        What the matrix was made of; 0 for rows that were left out.
    singular : bool
        Whether directions without curvature were found to be what a factor does not resolve.
    omits_rows : bool or None
        Whether rows of next to no curvature are left out of a matrix; None before the first one.
    pairs : list of (ndarray, ndarray)
        Steps s from this matrix and the changes y of the gradient along them.
    n_steps : int
        Steps from this matrix.
    decrement : float or None
        Squared Newton decrement, g'B^-1 g, before the last step.
    gain : float
        Logarithm of the factor by which the last step brought the decrement down; 0 where it was
        shortened.
    curvature_cap : float or None
        That of `Objective.smooth_and_gradient`: the objective's far from the optimum, else 0.
    lower : float
        What a dual point has proved F to be nowhere below.
    """

    factor: Factor | None = None
    anchor: np.ndarray | None = None
    exact: bool = False
    row_curvatures: np.ndarray | None = None
    singular: bool = False
    omits_rows: bool | None = None
    pairs: list = field(default_factory=list)
    n_steps: int = 0
    decrement: float | None = None
    gain: float = 0.0
    curvature_cap: float | None = None
    lower: float = -np.inf


@shaped(_frozen="bool u", _curvatures="spare", _spare="spare")
class Newton(Solver):
    """`solver="newton"` for few columns: a loss of one prediction, a penalty that has a gradient.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for: tells how much work lies ahead.
    """

    name = "newton"
    traits = Traits(
        reads="sums",
        batch_sizes=("full", "growing"),
        begins_on_samples=EVERYWHERE,
        second_order=True,
        steps="newton",
        memory_needs_same_objective=True,
    )
    made_with = ("tol",)
    Memory = NewtonMemory
    workspace_names = ("_frozen", "_curvatures", "_spare")

    @classmethod
    def refusal(cls, objective):
        """Refuses several predictions, losses and penalties without a derivative, and L1 parts."""
        text = "with one matrix does not go with an L1 part"
        l1 = text if objective.l1 > 0.0 else None
        return several_predictions(objective) or no_derivatives(objective) or l1

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By the matrices that it forms and solves with; not where these would outgrow X."""
        F = objective
        if F.n_features**2 > most_numbers(F):
            return Forecast(np.inf)
        iterations, matrices = likely_steps(F, tol)
        passes = iterations + matrices * curvature_cost(F)
        # Each matrix is factored, and at most one more for the proof.
        passes += min(iterations, matrices + 1.0) * solving_cost(F, F.n_features)
        reason = (
            f"a curvature matrix costs about {curvature_cost(F):.2g} passes and saves many more"
        )
        last = not (steps_curve(F.loss) and F.term.certified)
        return Forecast(passes, reason, last, sure=True)

    def __init__(self, objective, tol=0.0):
        super().__init__(objective)
        self.tol = tol
        F = objective
        self.matrix_cost = curvature_cost(F)
        self.matrix_with_step = _goes_with_step(F)
        self._ahead = None  # the matrix of the point that a step has led to
        self._frozen = None
        self._curvatures = self._spare = np.empty(0)
        self._followed = None
        self._carried = None, 1.0  # a gradient of no pass, and how much more its rounding counts

    def resume(self, state):
        """Know the curvature of each row, too; it is raised where no cap is remembered."""
        self._allocate()
        curvature_cap = state.memory.curvature_cap
        if curvature_cap is None:
            curvature_cap = state.memory.curvature_cap = self.objective.curvature_cap
        super().resume(state)
        state.memory.curvature_cap = curvature_cap

    def _evaluate_point(self, state):
        state.value, state.gradient = self.objective.smooth_and_gradient(
            state.point, self._curvatures, state.memory.curvature_cap
        )

    def lengths(self, state):
        """That of curvatures of the rows, too."""
        return {**super().lengths(state), "spare": self._n_curvatures}

    @property
    def _n_curvatures(self):
        """Of how many rows curvatures are kept: of none where X is read in blocks, for they are
        evaluated again where a matrix is formed.
        """
        return self.objective.n_samples if self.objective.rows.in_memory else 0

    def _allocate(self):
        """Arrays of curvatures; a solver that waits for samples to be done has none."""
        if self._spare.size != self._n_curvatures:
            # Of a sample the other rows are never written: what memory held before must not count
            # as curvature.
            self._curvatures, self._spare = (np.zeros(self._n_curvatures) for _ in range(2))

    def advance(self, state):
        """One step, for one pass; one more where the curvature is taken anew, for each halving
        and each doubling.
        """
        F = self.objective
        memory = state.memory
        g = state.gradient
        close = self._close(state)
        if self._refresh_pays(state):
            self._take_curvature(state)
            if close and self._close(state) and self._proved(state):
                state.iteration += 1
                return
        step = two_loops(memory.pairs, g, memory.factor.solve)
        derivative = float(g @ step)
        total = state.value + F.rest_value(state.point)
        slack = 4.0 * EPS * abs(total) * math.sqrt(step.size + 10.0)
        if not derivative < 0.0 or not math.isfinite(derivative):
            step, derivative = -g, -float(g @ g)
        memory.curvature_cap = (
            F.curvature_cap if -derivative > 2.0 * FAR_FROM_OPTIMUM * abs(total) else 0.0
        )
        rate, found = self._search(state, step, derivative, total, slack)
        if found is None:
            # Nothing falls along the step from a matrix of this very point: rounding is what is
            # left.
            state.done = memory.anchor is state.point
            memory.factor = None
            memory.pairs = []
        else:
            point, value, gradient = found
            self._remember(memory, rate, point - state.point, gradient - g, -derivative)
            state.point, state.value, state.gradient = point, value, gradient
            if not F.convex and F.parent is None:
                # No proof ends it: with tol=0 400 iterations brought nothing after the first 8.
                notice_rounding(state, total, value + F.rest_value(point), gradient)
            if self._ahead is not None:
                matrix, self._ahead = self._ahead, None
                self._take_curvature(state, matrix)
        state.rate, state.iteration, state.updates = rate, state.iteration + 1, state.updates + 1

    def hand_over(self, memory):
        """The last matrix, and how fast steps from it get on; of constant curvature no matrix, for
        that of the sample would be kept to the end.
        """
        constant = self.objective.loss.self_concordance == 0.0
        return self.Memory(
            factor=None if constant else memory.factor,
            gain=memory.gain,
            decrement=memory.decrement,
            omits_rows=memory.omits_rows,
        )

    def follow(self, state, diagonal_shift):
        """Make a state of another alpha one of the present alpha: no pass, or one where the other
        alpha was so much larger that rounding shows.

        Value, gradient and curvature matrix of the mean loss are the same for every alpha, only the
        penalty's part follows.

        Parameters
        ----------
        state : State
        diagonal_shift : ndarray, (size,)
            What the penalty's curvature, a diagonal, has grown by.
        """
        memory, factor = state.memory, state.memory.factor
        seen = state.gradient is self._carried[0]
        change = 0.5 * float(state.point @ (diagonal_shift * state.point))
        state.value += change
        state.gradient = state.gradient + diagonal_shift * state.point
        memory.lower = -np.inf
        memory.pairs = [(s, y + diagonal_shift * s) for s, y in memory.pairs]
        if factor is None or not factor.full or self.objective.loss.self_concordance is None:
            # Where curvature jumps, a matrix from elsewhere tells nothing: the truth was up to 40
            # times its estimate.
            constant = self.objective.loss.self_concordance == 0.0  # may never have been looked at
            blurred = abs(change) > BLURRED**2 * abs(state.value)
            self._forget_matrix(state, look=constant or blurred)
            return
        if self._followed is None or self._followed[0] is not factor:
            self._followed = factor, factor.matrix()
        matrix = self._shifted(self._followed[1], diagonal_shift)
        followed = self._factor(matrix)
        followed.follow(factor)
        if not (followed.full and followed.doubt(0.0) < WORN):
            self._forget_matrix(state, look=True)
            return
        blurred = float((factor.scale / followed.scale).max())
        blurred *= followed.inverse_norm() / factor.inverse_norm()
        blurred = max(blurred, 1.0) * (self._carried[1] if seen else 1.0)
        if blurred > BLURRED or abs(change) > BLURRED**2 * abs(state.value):
            self._evaluate_point(state)
        else:
            self._carried = state.gradient, blurred
        memory.factor = followed
        self._followed = followed, matrix
        # As if the rate at which the matrix brings steps closer had been seen once more.
        memory.gain = max(memory.gain, PRESUMED_GAIN)
        memory.decrement = np.exp(memory.gain) * followed.norm_of(state.gradient) ** 2

    def _forget_matrix(self, state, look):
        """Take the next step with a new matrix; `look` where the point is read again, at which the
        curvature of the rows is then known, too.
        """
        state.memory.factor = None
        state.memory.pairs = []
        if look:
            self._evaluate_point(state)

    def progress(self, state):
        """The last curvature matrix where it is exact, and what `_proved` has shown."""
        memory = state.memory
        exact = memory.factor is not None and memory.exact
        return Progress(
            gap_estimate=np.inf if memory.decrement is None else 0.5 * memory.decrement,
            lower=memory.lower,
            curvature=Curvature(memory.factor, memory.anchor) if exact else Curvature(),
            done=state.done,
        )

    def _close(self, state):
        """Whether less than tol is left to gain as far as the last curvature matrix can tell.

        Where an iteration begins like this, the run goes on because the decrement has not proved
        it.
        """
        factor = state.memory.factor
        return (
            factor is not None
            and self.tol > 0.0
            and 0.5 * factor.norm_of(state.gradient) ** 2 <= self._target(state)
        )

    def _target(self, state):
        return self.tol * gap_scale_at(
            self.objective, state.value + self.objective.rest_value(state.point)
        )

    def _proved(self, state):
        """Whether the dual point of a step from a new matrix shows that less than tol is left, for
        1.5 passes.

        The rows that move most decide the decrement bound; they are next to nothing in this one.
        Standardised rare binary columns: certified 1e-6 after 13.5 to 14.7 passes instead of 17 to
        21.
        """
        F, memory = self.objective, state.memory
        if not (corrected_dual.applies(F) and F.parent is None and F.rows.in_memory):
            return False
        lower = corrected_dual.lower_bound(
            F, state.point, -memory.factor.solve(state.gradient), self._spare
        )
        memory.lower = max(lower, memory.lower)
        return state.value + F.rest_value(state.point) - lower <= self._target(state)

    def _refresh_pays(self, state):
        """Whether a new curvature matrix costs less than the steps that the old one would still
        take.
        """
        memory = state.memory
        if memory.factor is None:
            return True
        if self.objective.loss.self_concordance == 0.0 or memory.anchor is state.point:
            return False
        total = abs(state.value + self.objective.rest_value(state.point))
        target = max(self._target(state), 4.0 * EPS * total) + 1e-300
        ahead = math.log(max(memory.factor.norm_of(state.gradient) ** 2 / target, 1.0))
        # Close enough, as far as the old matrix can tell: steps from it may still bring the proof.
        risked = STALE_SHARE * self.matrix_cost if ahead > 0.0 else self.matrix_cost
        if memory.gain <= 0.0 or ahead / memory.gain > 1.0 + self.matrix_cost + NEW_STEPS:
            return True
        return memory.n_steps >= risked and self._curvature_changed(memory.row_curvatures)

    def _curvature_changed(self, before):
        """Whether some row's curvature is another than where the matrix was taken, by more than a
        factor of `CHANGED`.

        Rare columns show in few rows only: the decrement looks small in the old matrix when all
        they have is there.
        """
        if before is None:
            return True
        least = self._least()
        for start in range(0, before.size, ROWS):
            here = slice(start, start + ROWS)
            now, then = np.maximum(self._curvatures[here], least), np.maximum(before[here], least)
            if not ((now <= CHANGED * then).all() and (then <= CHANGED * now).all()):
                return True
        return False

    def _least(self):
        """The smallest curvature of a row that counts; 0 where the matrix is to be all that
        there is to know.
        """
        F = self.objective
        if F.loss.self_concordance == 0.0:
            return 0.0
        return NEGLIGIBLE * float(self._curvatures.sum()) / (F.share * F.n_samples)

    def _take_curvature(self, state, matrix=None):
        F, memory = self.objective, state.memory
        curvatures = self._curvatures
        memory.row_curvatures = None  # before there are others
        if F.rows.in_memory:
            matrix = self._matrix_of_rows(memory, curvatures)
        elif matrix is None:
            matrix = F.curvature_matrix(state.point, memory.curvature_cap)
        if not F.term.certified:  # else it is in the matrix
            diagonal_shift = np.zeros(F.size)
            diagonal_shift[: F.n_features] = np.maximum(F.penalty_curvature(state.point), 0.0)
            matrix = self._shifted(matrix, diagonal_shift)
        if F.parent is not None:
            matrix = self._with_frozen(matrix, self._unseen())
        of_rows = functools.partial(self._curvatures_at, state.point, memory.curvature_cap)
        memory.factor, memory.singular = self._factored(matrix, of_rows, memory.singular)
        memory.anchor = state.point
        memory.row_curvatures = curvatures if F.rows.in_memory else None
        memory.exact = memory.curvature_cap == 0.0 or F.loss.self_concordance == 0.0
        memory.pairs = []
        memory.n_steps = 0

    def _matrix_of_rows(self, memory, curvatures):
        """Curvature matrix of the rows, of which those that have next to none may be left out."""
        F = self.objective
        if memory.omits_rows is None:  # of dense and CSR rows alike
            memory.omits_rows = are_few(F.row_length, F.n_features)
        least = self._least() if memory.omits_rows else 0.0
        if least > 0.0:
            # In place: what is left out has no say in `_curvature_changed` either, and a copy
            # would be one more vector.
            np.multiply(curvatures, curvatures >= least, out=curvatures)
        matrix = self._matrix_of(curvatures)
        if least > 0.0:
            missed, has = least * F.moments().mean_squares, self._diagonal_of(matrix)
            memory.omits_rows = bool((missed <= MISSED * has[: missed.size]).all())
        return matrix

    def _curvatures_at(self, point, curvature_cap):
        """Curvature of each row at the point whose curvatures are the latest: a pass where none
        are kept.
        """
        F = self.objective
        if F.rows.in_memory:
            return self._curvatures
        curvatures = np.zeros(F.n_samples)
        F.smooth_and_gradient(point, curvatures, curvature_cap)
        return curvatures

    def _unseen(self):
        """Columns that a sample of the rows hardly shows, a mask: they are to stay where they are.

        A rare indicator, standardised, is a constant next to 0 in a sample without its rows, and
        would be used as one: one such column was left with predictions of -789 for the rows that it
        is about.
        """
        F = self.objective
        if self._frozen is None:
            seen, there = (one.mean_squares for one in (F.own_moments(), F.moments()))
            rare = np.repeat(seen < SEEN * there, F.n_predictions)
            self._frozen = np.append(rare, np.zeros(F.size - rare.size, np.bool_))
        return self._frozen

    # What a subclass with matrices of another form has its own of.

    def _matrix_of(self, curvatures):
        return self.objective.gram(curvatures)

    def _diagonal_of(self, matrix):
        return np.diag(matrix)

    def _shifted(self, matrix, diagonal_shift):
        matrix[np.diag_indices_from(matrix)] += diagonal_shift
        return matrix

    def _with_frozen(self, matrix, frozen):
        # Next to no step, whatever the gradient: of columns without any curvature, too.
        height = FROZEN_HEIGHT * (float(np.diag(matrix).max()) or 1.0)
        matrix[frozen] = matrix[:, frozen] = 0.0
        matrix[frozen, frozen] = height
        return matrix

    def _factor(self, matrix):
        return Factor(matrix.copy())

    def _factored(self, matrix, curvatures, singular=False):
        return factor_of(self.objective, curvatures, matrix, singular)

    def _search(self, state, step, derivative, total, slack):
        """(rate, (point, value, gradient)) with F low enough, or None where no rate is."""
        F = self.objective
        memory = state.memory
        rate = 1.0
        too_far = np.inf
        ahead = self.matrix_with_step and not self._close(state)
        while rate > MIN_RATE:
            point, matrix = state.point + rate * step, None
            with np.errstate(all="ignore"):
                if ahead and rate == 1.0:
                    value, gradient, matrix = F.smooth_and_curvature(point, memory.curvature_cap)
                else:
                    value, gradient = self._evaluated(point, memory)
                reached = value + F.rest_value(point)
            if armijo(total, reached, derivative, rate, slack):
                self._ahead = matrix
                self._curvatures, self._spare = self._spare, self._curvatures
                found = point, value, gradient
                if self.matrix_with_step or F.curvature_cap < np.inf:
                    return rate, found
                return self._further(state, step, derivative, (rate, too_far), reached, found)
            # A whole step that fails means rows far out, whose own curvature promises too much.
            memory.curvature_cap, too_far = F.curvature_cap, rate
            # The parabola through F, its derivative and the trial has its lowest point here.
            second = reached - total - rate * derivative
            lowest = (
                -0.5 * derivative * rate * rate / second
                if np.isfinite(second) and second > 0.0
                else 0.0
            )
            rate = float(np.clip(lowest, 0.1 * rate, 0.5 * rate))
        return rate, None

    def _further(self, state, step, derivative, rates, reached, found):
        """Twice as far, and again, while F falls as steeply as `STEEP` of where the step began:
        (rate, (point, value, gradient)).  `rates` are that of `found` and one that was too far.
        """
        F, (rate, too_far) = self.objective, rates
        for _ in range(MAX_DOUBLINGS):
            if 2.0 * rate >= too_far or not float(found[2] @ step) < STEEP * derivative:
                break
            point = state.point + 2.0 * rate * step
            with np.errstate(all="ignore"):
                value, gradient = self._evaluated(point, state.memory)
                there = value + F.rest_value(point)
            if not there < reached:
                break
            self._curvatures, self._spare = self._spare, self._curvatures
            rate = 2.0 * rate
            reached = there
            found = (point, value, gradient)
        return rate, found

    def _evaluated(self, point, memory):
        """Smooth part and gradient there; the rows' curvatures in `_spare`."""
        if self._spare is memory.row_curvatures:
            self._spare = np.zeros(self.objective.n_samples)
        return self.objective.smooth_and_gradient(point, self._spare, memory.curvature_cap)

    def _remember(self, memory, rate, s, y, decrement):
        """The pair of a step, and how much of the decrement it took."""
        if memory.anchor is not None and is_curved(s, y):
            memory.pairs = [*memory.pairs, (s, y)][-MAX_PAIRS:]
        memory.n_steps += 1
        before, memory.decrement = memory.decrement, decrement
        memory.gain = (
            math.log(before / decrement) if rate >= 1.0 and before and decrement > 0.0 else 0.0
        )


def _goes_with_step(F):
    """Whether the matrix of a point is made when its value is looked at: where X is read anew each
    time, and the matrix takes no longer than the reading that it would need for itself.

    A Poisson loss from an svmlight file (678,013 x 167) to 1e-12: 9 readings without, 6 with it.
    """
    if F.vector or F.rows.in_memory or F.loss.self_concordance == 0.0:
        return False
    if F.rows.most_workers > 1:  # a round of few workers takes less than their matrix
        return False
    return curvature_cost(F) * pass_cost(F) <= 2.0 * reading_cost(F, F.size**2)


def likely_steps(objective, tol):
    """(iterations, matrices) of all rows that Newton's method takes to `tol`, about."""
    F, digits = objective, -math.log10(tol or EPS)
    iterations = ITERATIONS + ITERATIONS_PER_DIGIT * digits
    grows = F.loss.classification and F.loss.self_concordance and F.n_active <= 2 * F.n_features
    if growth_pays(F) or not grows:
        return iterations, MATRICES_AFTER_GROWTH if growth_pays(F) else MATRICES
    coupling = math.log10(min(max(row_coupling(F) * curvature_unit(F), 1.0), MAX_COUPLED))
    matrices = 1.0 + MATRICES_PER_DIGIT * digits + MATRICES_PER_COUPLING * coupling
    return iterations + ITERATIONS_PER_COUPLING * coupling, matrices
