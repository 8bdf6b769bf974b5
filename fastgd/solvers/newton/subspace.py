"""Newton steps among the last gradients, in the span of the rows: for many columns and an L2
penalty.

Every gradient is X' c + l2 w, so that from the start w0 on all points are w = X' a + a0 w0: (a, a0)
is as long as there are rows, however many columns there are.  With the image X w of a point beside
it, inner products are those of a with an image, and F along any combination of kept directions
costs no look at X.  An iteration is one pass, in two halves,

    u = X' g,    g = loss'(z) / n + l2 a        the gradient
    X u                                         its image

and then a Newton step on all combinations of the point, of the last moves, of u and of the
intercept: that is sequential subspace optimisation (Narkiss and Zibulevsky, 2005) with every inner
product for nothing.  For a quadratic it takes the steps of conjugate gradients; for the rest it has
no inner iterations to end and no step to search.

Measured on a text of 18821 rows and 1.28 million columns, passes to a relative error of 1e-4 and
1e-6: log loss with alpha = 1 / n 5.5 and 7.5 (prototypes in the same form: L-BFGS with a nearly
exact line search 7 and 9, truncated Newton with a fixed forcing rule, at the ends of its steps, 19
and 24), with alpha = 0.01 / n 14.5 and 19.5 (20 and 29; 82 and 96), squared hinge with alpha = 1 /
n 13.5 and 17.5 (19 and 24; 46 and 57).  Curvature of 100 to 1000 sampled rows as a preconditioner
(Woodbury, no sweep of its own in this form) saved one pass at best, and took many more where it was
trusted further.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.data.tile_sizes import ROWS
from fastgd.linalg.line_search import armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.linalg.scalar_minimum import lowest
from fastgd.linalg.symmetric import scaled_eigenpairs
from fastgd.objective.cost_model import COMBINATIONS, pass_cost
from fastgd.objective.linear_map import LinearMap
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import Answer, Progress, Solver, State, Traits
from fastgd.solvers.krylov_iterations import (
    counted_on,
    fewest_iterations,
    newton_iterations,
    proof_cost,
)
from fastgd.solvers.rounding_left import Falls, notice_rounding

# Directions kept: their Newton step, as many operations a row as its square, is about a tenth of a
# pass, or 1 ms.
MIN_DIRECTIONS = 10
MAX_DIRECTIONS = 24
AFFORDABLE = 5e6
# Combinations of directions, each at scale 1, with less than this share of the greatest curvature
# are left out: a step along them would multiply what rounding set apart points and images by the
# root of its inverse.
ROUNDING = 1e-9
# An inner product a'XX'a of less than this share of |a| |XX'a| has lost its digits.
UNSEEN = 1e-10
STEPS = 4
# Images are moved along with the points: every so many iterations they are computed anew, and
# wherever F or its gradient at the point, computed from X, are off by more than these shares.
# Beside one raw column, one-hot columns took images so far away that F was 49 where 0.04 was kept.
REFRESH = 32
VALUE_OFF = 1e-9
GRADIENT_OFF = 0.1
# A run that rounding has taken to where F overflows begins anew so many times.
MAX_BEGINNINGS = 3
# Directions with which `COMBINATIONS` was measured.
MEASURED_WITH = 10.0


@dataclass
@shaped(
    moves="kept images | kept d",
    images="kept images",
    origin="coefs | 0",
    intercept="k",
    row_gradient="images",
)
class SubspaceMemory(Falls):
    """What Newton's method in a subspace remembers.

    Attributes
    ----------
    moves : ndarray or None, (n_directions, n_samples + 1) or (n_directions, n_features)
        The point, then the last moves: (a, a0) of w = X'a + a0 w0, or w itself.
    images : ndarray or None, (n_directions, n_samples + 1)
        X w of each, and w0 . w last.
    origin : ndarray or None
        w0, empty where it is 0.
    intercept : float, or ndarray (K,) for K predictions
    row_gradient : ndarray or None, (n_samples + 1,)
        The gradient in the form of the moves.
    n_steps : int
        Steps since the images were new.
    inexact : bool
        Whether rounding was found in the images; the next iteration computes them anew.
    lowest : float
        Smallest value that was computed from X.
    n_retreats : int
        How often it began anew from a safe point.
    """

    moves: np.ndarray | None = None
    images: np.ndarray | None = None
    origin: np.ndarray | None = None
    intercept: float | np.ndarray = 0.0
    row_gradient: np.ndarray | None = None
    n_steps: int = 0
    inexact: bool = False
    lowest: float = np.inf
    n_retreats: int = 0


class SubspaceState(State):
    """State whose `point` is computed when somebody asks for it: half a pass that most iterations
    need not take.

    Attributes
    ----------
    solver : Solver or None
        Who computes it; it holds X, and is no part of what is kept of a state.
    """

    solver: Any = None

    def __getattr__(self, name):
        """Compute `point` where it is missing, which is all that can be."""
        if name != "point" or self.solver is None:
            raise AttributeError(name)
        self.point = self.solver.located(self)
        return self.point

    def __getstate__(self):
        """Everything but the solver, the point included."""
        _ = self.point
        return {name: value for name, value in self.__dict__.items() if name != "solver"}


class RowSubspace(Solver):
    """Newton steps among the last gradients; one pass an iteration.

    For losses of one prediction with a derivative everywhere and an L2 penalty, or none.

    Parameters
    ----------
    objective : Objective
    kept : int, optional
        Directions kept, the point included; None: what the length of the rows affords.
    """

    # Each point is a new array: the first one, what directions are told by and what the run keeps
    # are one, of 10 MB where there are 1.28 million columns.
    traits = Traits(writes_points=False)
    Memory = SubspaceMemory

    def __init__(self, objective, kept=None):
        super().__init__(objective)
        if not self.fits(objective):
            raise ValueError(
                "steps in the span of the rows need a loss with a derivative, of one prediction "
                "or of several as the solver's name says, and an L2 penalty or "
                f"none, got {objective.loss!r} and {objective.penalty!r}; use solver='lbfgs'"
            )
        self.linear_map = self._mapped(objective)
        # Coefficients, and predictions of all rows.
        self.n_coef = objective.n_features * objective.n_predictions
        self.n_images = objective.n_samples * objective.n_predictions
        self.kept = affordable(objective, objective.n_samples) if kept is None else kept

    @staticmethod
    def fits(objective):
        """Whether an objective can be minimised in the span of the rows: its gradients are X' c +
        l2 w.
        """
        F = objective
        return not F.vector and F.elastic and F.smooth

    @staticmethod
    def _mapped(objective):
        return LinearMap(objective)

    def _fresh(self, point):
        """State before the first iteration."""
        state = super()._fresh(point)
        return SubspaceState(**state.__dict__)

    def resume(self, state):
        """Go on where data and objective are those of the earlier run, else start from its
        point.
        """
        _ = state.point  # computed by the solver it belongs to, before its memory is forgotten
        if state.memory.moves is None or not self._is_ours(state):
            state.forget()
            self._evaluate_point(state)
        self._locate(state)

    def lengths(self, state):
        """The directions kept and their images, too."""
        own = {"kept": self.kept, "images": self.n_images + 1, "coefs": self.n_coef}
        return {**super().lengths(state), **own}

    def _restore(self, state, workspace):
        """Locate the point of the state, where it is asked for."""
        self._locate(state)

    def _locate(self, state):
        """Be the one that computes the point; another kind of state has it at hand."""
        if isinstance(state, SubspaceState):
            state.solver = self

    def advance(self, state):
        """One Newton step among the directions kept and the gradient: one pass."""
        memory = state.memory
        if memory.inexact:
            memory.inexact = False
            memory.moves[1:] = memory.images[1:] = 0.0  # theirs have drifted as well
            memory.images[0] = self._image(state.point[: self.n_coef], memory)
            self._evaluate(state)
        elif memory.n_steps % REFRESH == REFRESH - 1:
            memory.images[0] = self._image(state.point[: self.n_coef], memory)
        value = state.value
        slot = 1 + memory.n_steps % (self.kept - 1)
        memory.moves[slot], memory.images[slot] = self._direction(state)
        self._step(state, slot, min(memory.n_steps + 2, self.kept), value)
        self._balance(memory)
        self._evaluate(state)
        notice_rounding(state, value, state.value, state.gradient)
        memory.n_steps += 1
        state.rate = 1.0
        state.iteration += 1
        state.updates += 1

    def _step(self, state, slot, used, value):
        """Move the point by the best combination of the first `used` directions, and keep the
        move in their `slot`.
        """
        memory = state.memory
        moves, images = memory.moves[:used], memory.images[:used]
        inner, shares = self._products(moves, images)
        seen = shares > UNSEEN
        if not seen[slot]:  # the gradient is rounding
            state.done = True
            return
        inner = 0.5 * (inner + inner.T)[np.ix_(seen, seen)]
        step, rounding = np.zeros(used), max(ROUNDING, 10.0 * EPS / shares[seen].min())
        shown = images if seen.all() else images[seen]
        step[seen], shift = self._newton(memory, shown, inner, seen[0], value, rounding)
        moves[slot], images[slot] = step @ moves, step @ images
        moves[0] += moves[slot]
        images[0] += images[slot]
        memory.intercept = memory.intercept + shift

    def _direction(self, state):
        """The gradient and its image."""
        memory = state.memory
        return memory.row_gradient, self._image(state.gradient[: self.n_coef], memory)

    def _products(self, moves, images):
        """Inner products of the coefficients, and what share of its digits each direction's own
        has kept.
        """
        inner = moves @ images.T
        lengths = np.sqrt(
            np.einsum("ij,ij->i", moves, moves) * np.einsum("ij,ij->i", images, images)
        )
        return inner, np.diag(inner) / np.where(lengths > 0.0, lengths, np.inf)

    def located(self, state):
        """Unknowns in the units of the data, from what they are combined of: half a pass."""
        F, memory = self.objective, state.memory
        point = np.empty(F.size)
        self._combine(memory.moves[0], memory.origin, point[: self.n_coef])
        if F.fit_intercept:
            point[self.n_coef :] = memory.intercept
        return point

    def progress(self, state):
        """F, and |grad_w F|^2 / (2 l2) as an estimate of F - F*: no need to compute the point.

        Both follow from kept images: a claim is made of what `evaluate` finds.
        """
        F, gap = self.objective, np.inf
        if F.convex and F.l2 > 0.0:
            gradient = state.gradient[: self.n_coef]
            gap = float(gradient @ gradient) / (2.0 * F.l2)
        return Progress(value=state.value, gap_estimate=gap, done=state.done)

    def evaluate(self, state):
        """(v, smooth part of F, its gradient) at the point, all from X: one pass.

        Where the kept images are found to have drifted away, the next iteration begins with new
        ones.
        """
        F = self.objective
        memory = state.memory
        point = state.point
        coef, intercept = F.split(point)
        coef = np.ascontiguousarray(coef).ravel()
        loss, derivatives = self.linear_map.derivatives(self.linear_map.matvec(coef), intercept)[:2]
        gradient = np.empty(F.size)
        self.linear_map.rmatvec(derivatives, gradient[: self.n_coef])
        value = loss + F.term.add_gradient(coef, gradient[: self.n_coef])
        if F.fit_intercept:
            gradient[self.n_coef :] = self._summed(derivatives)
        off, length = (float(np.linalg.norm(one)) for one in (gradient - state.gradient, gradient))
        # A gradient that is all rounding is never right: it matters where the gap that it makes
        # does.
        matters = (
            off > GRADIENT_OFF * length
            and off * (off + length) > VALUE_OFF * F.l2 * abs(value) > 0.0
        )
        if not abs(value - state.value) <= VALUE_OFF * abs(value) or matters:
            memory.inexact = True
            if value < (1.0 - VALUE_OFF) * memory.lowest:  # else rounding is what is left
                state.done = False
        memory.lowest = min(value, memory.lowest)
        return Answer(point, value, gradient)

    def retreat(self, state, safe_point):
        """Begin anew from `safe_point`; the third time nothing is left to do here, and another
        plan goes on.
        """
        n_retreats = state.memory.n_retreats + 1
        self._begin_anew(state, safe_point)
        state.memory.n_retreats = n_retreats
        state.done = n_retreats >= MAX_BEGINNINGS
        return True

    def _evaluate_point(self, state):
        """Value and gradient at the point, from which directions begin anew."""
        coef, intercept = self.objective.split(state.point)
        memory = state.memory
        memory.moves, memory.images = self._allocated(np.ascontiguousarray(coef).ravel(), memory)
        memory.intercept = np.array(intercept) if self.objective.vector else float(intercept)
        memory.n_steps = 0
        point = state.point
        self._evaluate(state)
        state.point = point

    def _allocated(self, coef, memory):
        """Arrays for directions and images, with the point as the first direction."""
        memory.origin = coef if coef.any() else np.empty(0)
        moves, images = np.zeros((2, self.kept, self.n_images + 1))
        if coef.any():
            moves[0, -1] = 1.0
            images[0] = self._image(coef, memory)
        return moves, images

    def _is_ours(self, state):
        """Whether the point has the images and the value that are remembered.  Half a pass."""
        F, memory = self.objective, state.memory
        if len(memory.moves) != self.kept or memory.images.shape[1] != self.n_images + 1:
            return False
        if state.point.size != F.size:
            return False
        coef, intercept = F.split(state.point)
        coef = np.ascontiguousarray(coef).ravel()
        images = self.linear_map.matvec(coef)
        loss = self.linear_map.derivatives(images, intercept)[0]
        value = loss + F.term.smooth_value(coef)
        return abs(value - state.value) <= 1e-9 * abs(state.value)

    def _image(self, coef, memory):
        """X w, and w0 . w last: what (a, a0) has to be multiplied by for an inner product with
        w.
        """
        last = float(memory.origin @ coef) if memory.origin.size else 0.0
        return np.r_[self.linear_map.matvec(coef), last]

    def _combine(self, derivatives, origin, out):
        self.linear_map.rmatvec(derivatives[:-1], out)
        if origin.size:
            out += derivatives[-1] * origin

    def _evaluate(self, state):
        """Value and gradient at the point: half a pass."""
        F, memory, state.gradient = self.objective, state.memory, None  # before there is another
        images = memory.images[0, :-1]
        loss, derivatives = self.linear_map.derivatives(images, memory.intercept)[:2]
        state.value = loss + 0.5 * F.l2 * self._squared_length(memory)
        gradient = np.empty(F.size)
        self._gradient(derivatives, memory, gradient[: self.n_coef])
        if F.fit_intercept:
            gradient[self.n_coef :] = self._summed(derivatives)
        state.gradient = gradient
        if isinstance(state, SubspaceState):
            state.__dict__.pop("point", None)
        else:
            state.point = self.located(state)

    def _squared_length(self, memory):
        """|w|^2 at the point."""
        return float(memory.moves[0] @ memory.images[0])

    def _gradient(self, derivatives, memory, out):
        """Gradient in the coefficients: half a pass; here in the form of the moves as well."""
        memory.row_gradient = np.r_[derivatives, 0.0] + self.objective.l2 * memory.moves[0]
        self._combine(memory.row_gradient, memory.origin, out)

    def _balance(self, memory):
        """Move the intercept to its best: the gap holds there, and each iteration's Newton step is
        on a smaller problem.
        """
        F = self.objective
        if F.fit_intercept and F.loss.convex:
            predictions = memory.images[0, :-1]

            def sums(shift):
                loss, derivatives, curvatures = self.linear_map.derivatives(
                    predictions, memory.intercept + shift
                )
                return loss, float(derivatives.sum()), float(curvatures.sum())

            size = abs(memory.intercept) + np.abs(predictions).max()
            memory.intercept += lowest(sums, size, F.loss.infimum)[0]

    def _newton(self, memory, images, inner, has_point, value, rounding):
        """Combination of the moves, and shift of the intercept, that a Newton step with a line
        search takes.

        Where a full step goes too far (curvature that vanishes or jumps), curvature is raised and
        another step follows; no trial reads X.
        """
        F = self.objective
        linear_map = self.linear_map
        intercept = memory.intercept
        columns, start = images[:, :-1], np.zeros(len(images))
        start[0] = has_point  # the point is the first direction, unless it is 0
        point = start
        shift = 0.0
        predictions = start @ columns
        curvature_cap = 0.0
        for _ in range(STEPS):
            _, derivatives, curvatures = linear_map.derivatives(
                predictions, intercept + shift, curvature_cap
            )
            gradient = columns @ derivatives + F.l2 * (inner @ point)
            matrix = self._curved(columns, curvatures)
            matrix[: point.size, : point.size] += F.l2 * inner
            if F.fit_intercept:
                gradient = np.r_[gradient, self._summed(derivatives)]
            if not (np.isfinite(matrix).all() and np.isfinite(gradient).all()):
                break  # a curvature that overflows tells nothing
            step = -_solve(matrix, gradient, rounding)
            del derivatives, curvatures
            share, value = self._line(
                predictions, columns, inner, point, step, intercept + shift, gradient, value
            )
            if share == 0.0 and curvature_cap == F.curvature_cap:
                break
            point = point + share * step[: point.size]
            predictions += share * (step[: point.size] @ columns)
            shift = shift + share * self._shift_of(step[point.size :])
            if share == 1.0:
                break
            curvature_cap = F.curvature_cap
        return point - start, shift

    def _curved(self, columns, curvatures):
        """Second derivative of the mean loss along columns and intercept."""
        matrix = _weighted_products(columns, curvatures)
        if not self.objective.fit_intercept:
            return matrix
        size = len(columns)
        bordered = np.empty((size + 1, size + 1))
        bordered[:size, :size] = matrix
        bordered[size, :size] = bordered[:size, size] = columns @ curvatures
        bordered[size, size] = curvatures.sum()
        return bordered

    def _summed(self, derivatives):
        """Derivative of the mean loss in the intercept."""
        return derivatives.sum()

    def _shift_of(self, step):
        """What the end of a step moves the intercept by."""
        return float(step[0]) if step.size else 0.0

    def _line(self, predictions, columns, inner, point, step, intercept, gradient, value):
        """Share of the step that lowers F enough, 0 if none does, and F there."""
        F = self.objective
        along, move = step[: point.size] @ columns, step[: point.size]
        extra = self._shift_of(step[point.size :])
        derivative, slack = float(gradient @ step), 2.0 * EPS * abs(value)
        if not derivative < 0.0:
            return 0.0, value
        for share in halvings():
            there = point + share * move
            with np.errstate(all="ignore"):
                loss = self.linear_map.loss(predictions + share * along, intercept + share * extra)
                trial = loss + 0.5 * F.l2 * float(there @ inner @ there)
            if armijo(value, trial, derivative, share, slack):
                return share, trial
        return 0.0, value


def affordable(objective, length):
    """Directions that are worth keeping where each is so long."""
    found = np.sqrt(max(2.0 * objective.n_nonzeros, AFFORDABLE) / length)
    return int(np.clip(found, MIN_DIRECTIONS, MAX_DIRECTIONS))


def subspace_passes(objective, tol, cutoff=np.inf):
    """What Newton's method among past gradients takes, in passes' worth of time: a number above
    `cutoff` where it is above that anyway.
    """
    F = objective
    least = _passes_of(F, fewest_iterations(tol))
    if cutoff <= least:  # what follows reads rows
        return least
    # Also where curvature jumps: counted on three times as many of them, plans of 201 fits with
    # fewer rows than columns took 1.13 times as many passes.
    return _passes_of(F, counted_on(newton_iterations(F, tol))) + proof_cost(F)


def _passes_of(F, iterations):
    """So many iterations in passes' worth of time: more directions are combined the longer it
    takes.
    """
    return iterations * (1.0 + combining_cost(F, 0.5 * iterations + 1.0))


def combining_cost(F, used=np.inf):
    """What an iteration takes beside its pass, in passes' worth of time: combinations of so many
    directions, or as many as are kept.
    """
    used = min(affordable(F, F.n_samples), used)
    return COMBINATIONS * F.n_samples * used / MEASURED_WITH / pass_cost(F)


def _weighted_products(columns, weights):
    """Sum of weights[i] columns[:, i] columns[:, i]', a few rows of X at a time: images times
    weights are as large.
    """
    matrix = np.zeros((len(columns), len(columns)))
    for start in range(0, weights.size, ROWS):
        part = columns[:, start : start + ROWS]
        matrix += (part * weights[start : start + ROWS]) @ part.T
    return matrix


def _solve(matrix, gradient, rounding):
    """Newton step of a small problem, with scales taken out and directions of no curvature left
    out.
    """
    values, vectors, scale = scaled_eigenpairs(matrix)
    # Where F is not convex, a direction of negative curvature is gone down as well.
    sizes = np.abs(values)
    keep = sizes > rounding * sizes.max(initial=0.0)
    own = vectors[:, keep].T @ (gradient / scale)
    return vectors[:, keep] @ (own / sizes[keep]) / scale
