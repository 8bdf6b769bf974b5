"""Proximal Newton steps for few columns, each with strengths and bounds of its own.

With the curvature matrix H of the smooth part of F at w, and g its gradient, the model

    q(e) = g'e + e' H e / 2 + sum_j l1_j |w_j + e_j|,    low_j <= w_j + e_j <= high_j

is minimised by coordinate descent and linear systems (`fastgd.solvers.newton.box_model`), or with a
penalty on groups in their place by `fastgd.solvers.newton.group_model`; the step is halved until F
falls by a share of what the model promises (Lee, Sun and Saunders, 2014, equation 2.20).
"""

from dataclasses import dataclass

import numpy as np

from fastgd.linalg.cholesky import Factor
from fastgd.linalg.line_search import OF_MODEL, armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import Cost, curvature_cost, solving_cost
from fastgd.objective.distances import gap_scale_at
from fastgd.objective.matrix_sizes import WIDEST_PROOF, most_numbers
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.base import (
    Curvature,
    Forecast,
    Progress,
    Solver,
    TooLarge,
    Traits,
    several_predictions,
)
from fastgd.solvers.interior_point.path_cost import central_path_applies
from fastgd.solvers.newton import box_model, group_model

HALVINGS = 40  # 1e-12 of a step: what is left to fall is rounding
# The model is minimised to this share of the decrement, or of what tol asks for.
TIGHT = 1e-3
# Where a step promises more than this share of F, rows that are far out get more curvature than
# they have, as in Newton's method (`fastgd.solvers.newton.cholesky`).
FAR_FROM_OPTIMUM = 1e-2
ITERATIONS = Cost(
    8.0,
    "iterations",
    "To 1e-4, with a matrix each, hardly ever more: 1 to 7 on 108 random fits with bounds or "
    "weights of 20 to 300 features.",
)
SYSTEMS = Cost(
    4.0,
    "systems",
    "For each matrix, hardly ever more: up to 2 on 54 such fits.",
)
# Columns from which on its matrix has to have fewer numbers than X: 200 MB, and twice that beside
# it. Of 19 rows and 20,000 columns it took 20 GB.
WIDE = 5000


@dataclass
@shaped(factor={"scale": "u"}, anchor="u", matrix="u u")
class ProximalNewtonMemory:
    """What proximal Newton steps remember.

    Attributes
    ----------
    factor : Factor or None
        Of the last curvature matrix, where it is positive definite; for proofs.
    anchor : ndarray or None
        The point where it is exact.
    matrix : ndarray or None
        The matrix of a loss of constant curvature, which is taken once.
    singular : bool
        Whether a matrix was found not to be positive definite.
    curvature_cap : float or None
        That of `Objective.smooth_and_gradient`: the objective's far from the optimum, else 0.
    n_failed : int
        Steps in a row of which no share made F fall.
    """

    factor: Factor | None = None
    anchor: np.ndarray | None = None
    matrix: np.ndarray | None = None
    singular: bool = False
    curvature_cap: float | None = None
    n_failed: int = 0


@shaped(_curvatures="spare", _spare="spare")
class ProximalNewton(Solver):
    """`solver="newton"` for weights and bounds of each feature, and few columns.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.
    """

    name = "newton"
    form = "by proximal steps"
    traits = Traits(
        reads="sums",
        begins_on_samples=("blocks", "elsewhere"),  # where a pass is a reading or a round
        second_order=True,
        memory_needs_same_objective=True,
    )
    made_with = ("tol",)
    Memory = ProximalNewtonMemory
    workspace_names = ("_curvatures", "_spare")

    @classmethod
    def refusal(cls, objective):
        """Refuses several predictions, losses without a derivative, and penalties without
        proximal steps in closed form.
        """
        F = objective
        if not F.loss_smooth:
            return f"by proximal steps needs a loss with a derivative, got {F.loss!r}"
        # The working set has L1 parts of rows in memory.
        elsewhere = F.elastic and F.l1 > 0.0 and not F.rows.in_memory
        if not (F.term.separable or F.term.grouped or elsewhere):
            return "by proximal steps is for weights and bounds of each feature, and for groups"
        several = several_predictions(F)
        if several is None and F.n_features > WIDE and F.n_features**2 > F.rows.stored():
            return TooLarge(
                f"keeps a matrix of {F.n_features} x {F.n_features} numbers for this penalty, more "
                f"than X has, which it does up to {WIDE} columns only"
            )
        return several

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """By the matrices that it forms and solves with; not where these would outgrow X."""
        F = objective
        if F.n_features**2 > most_numbers(F):
            return Forecast(np.inf)
        once = F.loss.self_concordance == 0.0
        matrices = 1.0 if once else ITERATIONS
        passes = matrices * (1.0 + curvature_cost(F) + SYSTEMS * solving_cost(F, F.n_features))
        reason = (
            f"a curvature matrix costs about {curvature_cost(F):.2g} passes, and the steps in it "
            "meet kinks and bounds"
        )
        return Forecast(passes, reason, last=not F.loss.convex)

    def __init__(self, objective, tol=0.0):
        super().__init__(objective)
        self.tol = tol
        self.box = None if objective.term.grouped else _box(objective)
        self._curvatures = self._spare = np.empty(0)

    def resume(self, state):
        """Know the curvature of each row, too; it is raised where no cap is remembered."""
        F = self.objective
        if self._spare.size == 0 and F.rows.in_memory:
            self._curvatures, self._spare = (np.zeros(F.n_samples) for _ in range(2))
        state.point = F.allowed(state.point)
        curvature_cap = state.memory.curvature_cap
        if curvature_cap is None:
            curvature_cap = state.memory.curvature_cap = F.curvature_cap
        super().resume(state)
        state.memory.curvature_cap = curvature_cap

    def lengths(self, state):
        """That of the spare arrays, too."""
        F = self.objective
        return {**super().lengths(state), "spare": F.n_samples if F.rows.in_memory else 0}

    def _evaluate_point(self, state):
        state.value, state.gradient = self.objective.smooth_and_gradient(
            state.point, self._curvatures, state.memory.curvature_cap
        )

    def advance(self, state):
        """One step: a matrix, and a pass for each trial."""
        F = self.objective
        memory = state.memory
        g = state.gradient
        curvature_cap, matrix = memory.curvature_cap, self._take_curvature(state)
        target = self._minimum(state, matrix)
        move = target - state.point
        total = state.value + F.rest_value(state.point)
        if self.box is None:
            rest = F.rest_value(target) - F.rest_value(state.point)
            promised = float(g @ move) + rest
        else:  # term by term, for near the optimum the sums would be rounding alone
            kinks = self.box.l1 * (np.abs(target) - np.abs(state.point))
            promised = float((g * move + kinks).sum())
        memory.curvature_cap = (
            F.curvature_cap if -promised > 2.0 * FAR_FROM_OPTIMUM * abs(total) else 0.0
        )
        found = self._search(state, target, promised, total) if promised < 0.0 else None
        if found is None:
            self._try_other_curvature(state, curvature_cap, promised, total)
        else:
            memory.n_failed = 0
            state.rate, state.point, state.value, state.gradient = found
        state.iteration += 1
        state.updates += 1

    def _try_other_curvature(self, state, curvature_cap, promised, total):
        """Go on where no step was found, with the rows' own curvature after more than that, or with
        more; done where the step promised what F is rounded by, where the other one fails too, and
        where the interior point method goes on: at kinks both may find next to nothing, in turn.
        """
        F, memory = self.objective, state.memory
        memory.n_failed += 1
        rounding = curvature_cap == 0.0 and -_slack(total, state.point.size) <= promised < 0.0
        once = F.loss.self_concordance == 0.0
        if rounding or once or memory.n_failed > 1 or central_path_applies(F):
            state.done = True
            return
        memory.curvature_cap = 0.0 if curvature_cap > 0.0 else F.curvature_cap
        self._evaluate_point(state)

    def progress(self, state):
        """The last curvature matrix where it is exact, at a point nearby."""
        memory = state.memory
        return Progress(curvature=Curvature(memory.factor, memory.anchor), done=state.done)

    def _take_curvature(self, state):
        F, memory = self.objective, state.memory
        if memory.matrix is not None:
            return memory.matrix
        matrix = (
            F.gram(self._curvatures)
            if F.rows.in_memory
            else F.curvature_matrix(state.point, memory.curvature_cap)
        )
        once = F.loss.self_concordance == 0.0
        if once:
            memory.matrix = matrix
        memory.factor = memory.anchor = None
        exact = once or (memory.curvature_cap == 0.0 and F.loss.self_concordance is not None)
        if exact and not memory.singular and self._may_be_definite(matrix):
            factor = Factor(matrix)
            memory.singular = not factor.full
            if factor.full:
                memory.factor, memory.anchor = factor, state.point
        return matrix

    def _may_be_definite(self, matrix):
        F = self.objective
        curved = np.broadcast_to(F.term.curvature(np.zeros(F.n_features)), F.n_features)
        rank = F.n_active + np.count_nonzero(curved)
        return len(matrix) <= min(WIDEST_PROOF, rank) and bool((np.diag(matrix) > 0.0).all())

    def _minimum(self, state, matrix):
        """Where the model is least."""
        F = self.objective
        point = state.point.copy()
        gradient = state.gradient.copy()
        diagonal = np.diag(matrix)
        subgradient = F.subgradient(state.point, state.gradient)
        seen = diagonal > 0.0
        rough = float(np.sqrt((subgradient[seen] ** 2 / diagonal[seen]).max(initial=0.0)))
        total = abs(state.value + F.rest_value(state.point))
        target = self.tol * gap_scale_at(F, total) / max(point.size, 1)
        tolerance = min(TIGHT * rough, 0.1 * np.sqrt(target)) if target > 0.0 else TIGHT * rough
        tolerance = max(tolerance, np.sqrt(1e-3 * EPS * total))
        if self.box is None:
            group_model.minimise(matrix, gradient, point, F.term, tolerance)
        else:
            box_model.minimise(matrix, gradient, point, self.box, tolerance)
        return point

    def _search(self, state, target, promised, total):
        """(rate, point, value, gradient) with F low enough, or None where no rate is."""
        F, memory = self.objective, state.memory
        slack = _slack(total, target.size)
        for share in halvings(HALVINGS):
            # The whole step ends exactly where the model is least, at kinks and bounds.
            point = target if share == 1.0 else state.point + share * (target - state.point)
            point = F.allowed(point)
            with np.errstate(all="ignore"):
                value, gradient = F.smooth_and_gradient(point, self._spare, memory.curvature_cap)
                reached = value + F.rest_value(point)
            if armijo(total, reached, promised, share, slack, OF_MODEL):
                self._curvatures, self._spare = self._spare, self._curvatures
                return share, point, value, gradient
            memory.curvature_cap = F.curvature_cap
        return None


def _slack(total, size):
    """What F of so many unknowns is rounded by."""
    return 4.0 * EPS * abs(total) * np.sqrt(size + 10.0)


def _box(objective):
    """Kinks and bounds of the coefficients, and of an intercept none."""
    term, none = objective.term, np.inf
    box = box_model.Box(*(np.zeros(objective.size) for _ in range(3)))
    own = (term.l1, -none, none) if term.elastic else (term.thresholds, term.low, term.high)
    for array, of_features, of_intercept in zip(box, own, (0.0, -none, none), strict=True):
        array[: objective.n_features] = of_features
        array[objective.n_features :] = of_intercept
    return box
