"""Newton steps for K predictions with the curvature of each prediction by itself; what they have in
common comes from the steps themselves, as in L-BFGS.

    step = -H g,    H from P^-1 by the pairs (s, y) of the last steps

P is block-diagonal: for each prediction k the matrix X' D_k X + l2 of some of the rows, D_k the (k,
k) entries of their second derivatives.  An iteration is a pass.  Conjugate gradients on the Newton
system, which know the curvature between predictions exactly, took more passes to a proved 1e-6:
images of 784 pixels, 10,000 and 70,000 rows, 299 and 87 where these steps take 52 and 53 (9.8 s
and 14.2 s of a processor, 3.5 and 14.3), dense rows of 50, 200 and 600 columns, 100, 30 and 5
classes 200, 242 and 188 (114, 164 and 96), one-hot columns 32 (16).  Where a common shift of all
predictions changes nothing, it is taken out of steps.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.line_search import armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.objective import kernels
from fastgd.objective.cost_model import DENSE_COST, MULTIPLICATIONS, Cost, pass_cost
from fastgd.objective.distances import gap_scale_at
from fastgd.objective.gram import merged, tiles
from fastgd.objective.matrix_sizes import MAX_OF_PREDICTIONS
from fastgd.objective.subset import on_sample, represent
from fastgd.objective.vector_map import samples_of
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import (
    EVERYWHERE,
    Forecast,
    Progress,
    Solver,
    TooLarge,
    Traits,
    no_derivatives,
    one_prediction,
    several_strengths,
)
from fastgd.solvers.growing_batch import growth_pays
from fastgd.solvers.quasi_newton import is_curved, two_loops
from fastgd.solvers.rounding_left import Falls, notice_rounding

# Columns of which K grams are formed.
MAX_COLUMNS = 2000
# Rows that grams are of: so many for each column, at least so many.
ROWS_PER_COLUMN = 8
MIN_ROWS = 2000
# The diagonal has at least this share of what mean curvature and all rows would give it: a sample
# may not show a column at all.
MIN_SHARE = 1e-4
# Of 5, 10, 20 and 40 pairs, 10,000 x 784, 10 classes, took 42, 39, 37 and 37 passes to 1e-6.
MAX_PAIRS = 20
# P is formed anew after so many passes: that of the null model is of other curvatures (the same
# problem takes 157 passes with it alone, 45, 38, 37 and 43 where a second one comes after 3, 5, 8
# and 12).
STEPS = 8
# Later ones come after so many times as many as they cost.
PATIENCE = 3.0
# Blocks of no more columns are applied by their inverses, all at once: of 100 classes and 50
# columns one by one took 2.3 ms, three times an iteration whose pass takes 16; so 0.3.
NARROW = 100
# Weights of rows that differ by less are alike.
ALIKE = 1e-12
TINY = 1e-300
# A proof of tol comes where about this share of it is left: a matrix that costs more than the
# passes until then is not formed.
PROVED = 0.01
PASSES = Cost(40.0, "passes", "To 1e-4, from the null model; images, 10 classes, 37 to 52 to 1e-6.")
PASSES_AFTER_GROWTH = Cost(25.0, "passes", "To 1e-4, from samples of the rows.")
MATRICES = Cost(3.0, "matrices", "For each prediction, as often as they are formed in such a run.")


@dataclass
@shaped(pairs="u")
class BlockMemory(Falls):
    """What Newton steps with blocks remember.

    Attributes
    ----------
    blocks : list of Factor or None
        One for each prediction; None before the first iteration.
    n_steps, n_matrices : int
        Passes of the steps since they were formed, and how often they were.
    pairs : list of (ndarray, ndarray)
        The last steps and the changes of the gradient along them, the oldest first.
    gap_estimate : float
        g' P^-1 g / 2 at the point, P as long as the last step says: about F - F*.
    first_gap_estimate : float
        The same after the first step from these blocks.
    """

    blocks: Any = None
    n_steps: int = 0
    n_matrices: int = 0
    pairs: list = field(default_factory=list)
    gap_estimate: float = np.inf
    first_gap_estimate: float = np.inf


class BlockNewton(Solver):
    """`solver="newton"` for K predictions: a smooth loss, a penalty that has a gradient.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.
    """

    name = "newton"
    traits = Traits(
        reads="sums",
        batch_sizes=("full", "growing"),
        begins_on_samples=EVERYWHERE,
        second_order=True,
        memory_needs_same_objective=True,
    )
    made_with = ("tol",)
    Memory = BlockMemory

    @classmethod
    def takes_several(cls, term):
        """Whether the penalty is an elastic net without an L1 part."""
        return term.elastic and term.smooth

    @classmethod
    def refusal(cls, objective):
        """Refuses losses of one prediction, losses and penalties without a derivative, L1 parts,
        and many columns.
        """
        F = objective
        if several := one_prediction(F):
            return several
        text = "by products does not go with an L1 part"
        l1 = text if F.l1 > 0.0 else None
        if other := no_derivatives(F) or several_strengths(F) or l1:
            return other
        values = F.n_predictions * (F.n_features + 1) ** 2
        if F.n_features > MAX_COLUMNS or values > MAX_OF_PREDICTIONS:
            return TooLarge(
                f"for {F.n_predictions} predictions takes fewer columns than {F.n_features:,}; use "
                "solver='lbfgs'"
            )
        return None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """About so many passes, and a few matrices."""
        F = objective
        one = refresh_cost(F)
        passes = (PASSES_AFTER_GROWTH if growth_pays(F) else PASSES) + MATRICES * one
        reason = (
            f"a curvature matrix for each prediction costs about {one:.2g} passes and saves many "
            "more"
        )
        return Forecast(passes, reason, last=not (F.convex and F.elastic))

    def __init__(self, objective, tol=0.0):
        super().__init__(objective)
        self.tol = tol
        self.refresh_cost = refresh_cost(objective)
        self._inverses: tuple = (None, None)  # of which blocks, and these of them

    def hand_over(self, memory):
        """Nothing: with blocks and pairs of a sample to begin with 12 problems took 0.79 to 1.26
        of the passes, 0.98 in the mean; with blocks alone 1.03.
        """
        return self.Memory()

    def advance(self, state):
        """One step: a pass, and one for each halving."""
        F = self.objective
        memory = state.memory
        g = state.gradient
        tired = memory.n_steps >= self._patience(memory) and not self._nearly_there(state)
        if memory.blocks is None or tired:
            memory.blocks = None  # before there are others: 49 MB of 784 columns, 10 classes
            memory.blocks, memory.n_steps = blocks_at(F, state.point), 0
            memory.n_matrices += 1
        fresh = memory.n_steps == 0 and not memory.pairs
        solve, before = self._scaled(memory), F.passes
        found = self._search(state, two_loops(memory.pairs, g, solve))
        if found is None:
            # Where nothing falls along a step from matrices of this very point, and from no pairs,
            # rounding is what is left.
            memory.blocks, memory.pairs, state.done = None, [], fresh
        else:
            notice_rounding(state, state.value, found[2], found[3])
            s, y = found[1] - state.point, found[3] - g
            if is_curved(s, y):
                memory.pairs = [*memory.pairs, (s, y)][-MAX_PAIRS:]
            state.rate, state.point, state.value, state.gradient = found
            memory.gap_estimate = 0.5 * float(state.gradient @ solve(state.gradient))
        if memory.n_steps == 0:
            memory.first_gap_estimate = memory.gap_estimate
        memory.n_steps += round((F.passes - before) / F.share)
        state.iteration += 1
        state.updates += 1

    def _scaled(self, memory):
        """P^-1, as long as the last step says: curvatures that fell since P was formed made three
        passes of a step (5,000 x 200, 30 classes).
        """
        solve = partial(self._precondition, memory.blocks)
        if not memory.pairs:
            return solve
        s, y = memory.pairs[-1]
        along = float(y @ solve(y))
        if not along > 0.0:  # the blocks know nothing of that step
            return solve
        share = float(s @ y) / along
        return lambda rest: share * solve(rest)

    def _patience(self, memory):
        """Passes of steps from the same matrices: whole ones, so that rows which are repeated take
        those of rows with weights, where costs hardly differ.
        """
        return STEPS if memory.n_matrices < 2 else max(STEPS, round(PATIENCE * self.refresh_cost))

    def _nearly_there(self, state):
        """Whether steps from these blocks, as fast as so far, cost less than new ones."""
        memory = state.memory
        target_gap = PROVED * self.tol * gap_scale_at(self.objective, state.value)
        if not target_gap > 0.0 or not memory.gap_estimate < memory.first_gap_estimate < np.inf:
            return False
        if memory.gap_estimate == 0.0:
            return True
        fall = np.log(memory.first_gap_estimate / memory.gap_estimate) / max(memory.n_steps - 1, 1)
        return bool(np.log(memory.gap_estimate / target_gap) <= self.refresh_cost * fall)

    def progress(self, state):
        """Half the squared decrement as the preconditioner sees it."""
        return Progress(gap_estimate=state.memory.gap_estimate, done=state.done)

    def retreat(self, state, safe_point):
        """Begin anew from `safe_point`."""
        self._begin_anew(state, safe_point)
        return True

    def _precondition(self, blocks, gradient):
        """P^-1 g; common shifts have the curvature of the penalty alone, or none."""
        F, k = self.objective, self.objective.n_predictions
        table = np.array(gradient.reshape(-1, k))
        # Under a penalty of one's own coefficients do not shift alike.
        shifts = slice(0 if F.elastic else F.n_features, None if F.loss.shift_invariant else 0)
        mean = table[shifts].mean(axis=1, keepdims=True)
        table[shifts] -= mean
        solved = self._solved(blocks, table)
        solved[shifts] -= solved[shifts].mean(axis=1, keepdims=True)
        if F.loss.shift_invariant and F.elastic and F.l2 > 0.0:
            solved[: F.n_features] += mean[: F.n_features] / F.l2
        return solved.ravel()

    def _solved(self, blocks, table):
        """Each prediction's column solved with its block."""
        if len(table) > NARROW:
            return np.column_stack(
                [one.solve(own) for one, own in zip(blocks, table.T, strict=True)]
            )
        if self._inverses[0] is not blocks:
            self._inverses = blocks, np.stack([one.inverse() for one in blocks])
        return np.matmul(self._inverses[1], table.T[:, :, None])[:, :, 0].T

    def _search(self, state, step):
        """(share, point, value, gradient) of the first share that lowers F enough, or None."""
        F, derivative = self.objective, float(state.gradient @ step)
        if not derivative < 0.0:
            return None
        slack = 4.0 * EPS * abs(state.value)
        for share in halvings(start=state.point, direction=step):
            point = state.point + share * step
            with np.errstate(all="ignore"):
                value, gradient = F.smooth_and_gradient(point)
            if armijo(state.value, value, derivative, share):
                return share, point, value, gradient
            if value <= state.value + slack:
                flatter = np.linalg.norm(gradient) < np.linalg.norm(state.gradient)
                return (share, point, value, gradient) if flatter else None
        return None


def blocks_at(F, v):
    """A `Factor` of the curvature of each prediction by itself at `v`, of some of the rows."""
    coef, intercept = F.split(v)
    coef = np.ascontiguousarray(coef)
    d, k = F.n_features, F.n_predictions
    size = d + F.fit_intercept
    matrices, total = [np.zeros((d + 1, d + 1)) for _ in range(k)], np.zeros(k)
    n_rows = 0.0
    # As many rows as columns at least: a matrix is read and written for each tile, and with 82
    # rows of 784 columns that took longer than the products, 1.5 s for 0.6.
    length = max(64, VALUES // (d + 1), d + 1)
    some = F if F.rows.in_memory else on_sample(F, min(_most_rows(F), F.rows.sampled.size), F.alpha)
    for ranges in _some_ranges(some):
        for chosen in tiles(ranges, length):
            part = some.rows.part(chosen).astype(np.float64, copy=False)
            weights = np.empty((part.shape[0], k))
            data = F.loss, *samples_of(some.samples, chosen), intercept
            kernels.vector_diagonals(*data, np.ascontiguousarray(part @ coef), weights)
            table = np.empty((len(weights), d + 1))
            table[:, :d], table[:, d] = part.toarray() if some.rows.sparse else part, 1.0
            add_grams(matrices, np.maximum(weights, 0.0), table)
            total += weights.sum(axis=0)
            own = some.samples.weights
            n_rows += float(own[chosen].sum()) if own.size > 1 else len(weights)
    F.meter.count(n_rows / F.n_active)
    squares = F.moments().mean_squares if F.n_features else np.empty(0)
    factors = []
    diagonal = np.broadcast_to(F.penalty_curvature(v), (d * k,)).reshape(d, k)
    for c in range(k):
        matrix = matrices.pop(0)[:size, :size]  # each is let go once there is its factor
        matrix /= n_rows
        least = MIN_SHARE * (total[c] / n_rows) * np.append(squares, 1.0)[:size]
        own = np.diag(matrix)
        matrix[np.diag_indices(size)] = np.maximum(own, least) * (1.0 + 1e-10)
        matrix[np.arange(d), np.arange(d)] += np.maximum(diagonal[:, c], 0.0)
        factors.append(Factor(matrix))
    return factors


def add_grams(matrices, weights, table):
    """Add table' diag(weights[:, c]) table to each of the matrices.

    Where all rows weigh predictions alike, as in the null model, one of them has all: 44 ms of 100
    classes, 2,000 x 51.

    Examples
    --------
    >>> matrices = [np.zeros((2, 2)), np.zeros((2, 2))]
    >>> add_grams(matrices, np.array([[1.0, 3.0], [2.0, 6.0]]), np.array([[1.0, 1.0], [0.0, 3.0]]))
    >>> [matrix.round(9).tolist() for matrix in matrices]
    [[[1.0, 1.0], [1.0, 19.0]], [[3.0, 3.0], [3.0, 57.0]]]
    """
    sums = weights.sum(axis=1, keepdims=True)
    shares = weights.sum(axis=0) / max(float(sums.sum()), TINY)
    alike = bool((np.abs(weights - sums * shares) <= ALIKE * weights).all())
    scaled = np.sqrt(sums) * table if alike else table
    gram = scaled.T @ scaled if alike else None
    for c, matrix in enumerate(matrices):
        if alike:
            matrix += shares[c] * gram
        else:
            scaled = np.sqrt(weights[:, c])[:, None] * table
            matrix += scaled.T @ scaled


def refresh_cost(objective):
    """K grams of some rows and their factors, in passes' worth of time."""
    F = objective
    rows = min(F.share * F.n_samples, _most_rows(F))
    grams = DENSE_COST * rows * (F.n_features + 1) ** 2
    factors = (F.n_features + 1) ** 3 / 3.0 / MULTIPLICATIONS
    return 1.0 + F.n_predictions * (grams + factors) / (F.share * pass_cost(F))


def _most_rows(F):
    return max(ROWS_PER_COLUMN * F.n_features, MIN_ROWS)


def _some_ranges(F):
    """Ranges of rows that grams are of: evenly spread blocks of the objective's own, or all rows
    where these have next to no weight.
    """
    ranges = F.ranges
    n_rows, most = float(np.diff(ranges).sum()), _most_rows(F)
    if n_rows <= most:
        return [merged(ranges)]
    if len(ranges) * 8 > most:
        some = merged(ranges[:: max(int(n_rows // most), 1)])
        return [some if represent(F, some) else merged(ranges)]
    shares = most / n_rows
    lengths = np.maximum(((ranges[:, 1] - ranges[:, 0]) * shares).astype(np.int64), 8)
    stops = np.minimum(ranges[:, 0] + lengths, ranges[:, 1])
    some = np.stack([ranges[:, 0], stops], axis=1)
    return [some if represent(F, some) else merged(ranges)]
