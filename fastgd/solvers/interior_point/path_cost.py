"""Where the central path is defined, and what its iterations take."""

import math

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.losses.piecewise import has_pieces
from fastgd.objective.cost_model import PATH_ROW, Cost, pass_cost
from fastgd.objective.matrix_sizes import WIDEST_PATH

PATH_ITERATIONS = Cost(
    3.0,
    "iterations",
    "On the central path, beside those for each digit: the middle of 10 runs of non-smooth "
    "losses to 1e-2, 1e-4, 1e-6 is 7, 12, 15.",
)
PATH_ITERATIONS_PER_DIGIT = Cost(
    2.0,
    "iterations a digit",
    "The same runs.",
)
# Smooth losses with an L1 part take this path where a working set does not get on, and that is next
# to interpolation: most digits are between the null model and an optimum that is small beside it.
SMOOTH_ITERATIONS = Cost(
    18.0,
    "iterations",
    "On the central path of smooth losses, to 1e-2, 1e-4, 1e-6: 20, 22 and 23, means of 13 to 16 "
    "runs (7 to 34); on even seeds 22 and 25 to 1e-2 and 1e-6, on odd ones 19 and 22.",
)
SMOOTH_ITERATIONS_PER_DIGIT = Cost(
    1.0,
    "iterations a digit",
    "The same runs.",
)
PATH_SWEEPS = Cost(
    3.0,
    "passes an iteration",
    "Beside its matrix and `PATH_ROW`: two products and the losses at a new point.",
)
# With an L1 part more columns than this are taken by need.
COLUMNS_AT_ONCE = 400


def by_rows(objective):
    """Whether steps are solved for by way of the rows: there are more columns, and a penalty
    holds them all.
    """
    F = objective
    return F.n_active < F.n_features and is_penalised(F).all()


def is_penalised(objective):
    """Whether each coefficient has a penalty or a bound, (d,)."""
    F, term = objective, objective.term
    if not term.separable:
        return np.full(F.n_features, F.l1 + F.l2 > 0.0)
    found = (term.thresholds > 0.0) | (term.curvatures > 0.0)
    return np.broadcast_to(found | np.isfinite(term.low) | np.isfinite(term.high), F.n_features)


def likely_iterations(objective, tol):
    """Iterations to `tol`, about."""
    digits = -math.log10(tol or EPS)
    if objective.loss_smooth and objective.l1 > 0.0:
        return SMOOTH_ITERATIONS + SMOOTH_ITERATIONS_PER_DIGIT * digits
    return PATH_ITERATIONS + PATH_ITERATIONS_PER_DIGIT * digits


def sweeps(objective):
    """What an iteration takes beside its matrix, in passes' worth of time."""
    return PATH_SWEEPS + PATH_ROW * objective.n_samples / pass_cost(objective)


def path_size(objective):
    """Size of the matrices on the central path of all columns: by way of the rows where these
    are fewer.
    """
    F = objective
    return min(F.n_features, F.n_active) if is_penalised(F).all() else F.n_features


def central_path_applies(objective):
    """Whether Newton steps on the central path are defined here, and their matrix is affordable.

    With an L1 part it is one of the columns that matter; for a smooth loss there is another way to
    take these.
    """
    F = objective
    closed = F.elastic or (F.term.separable and not F.term.coupled)
    if F.vector or not closed or not has_pieces(F.loss):
        return False
    return path_size(F) <= WIDEST_PATH or (F.l1 > 0.0 and not F.loss_smooth)


def takes_columns_by_need(objective):
    """Whether the central path begins on some of the columns, of many that an L1 part may hold
    at 0.
    """
    return objective.l1 > 0.0 and objective.n_features > COLUMNS_AT_ONCE
