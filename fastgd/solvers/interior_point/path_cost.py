"""Where the central path is defined, and what its iterations take."""

import math

import numpy as np

from fastgd.linalg.precision import EPS
from fastgd.losses.piecewise import forms, has_pieces
from fastgd.objective.cost_model import (
    DENSE_COST,
    DUALS_LOOP,
    PATH_ROW,
    Cost,
    curvature_cost,
    pass_cost,
    solving_cost,
)
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
# Where the matrix takes this many times what a corrector does, which is a pass and two loops over
# the rows, steps have up to two.  On 70 random problems two of them took 1.08 of the time up to a
# ratio of 2, 1.05 up to 2.5, 1.03 up to 3, 0.99 up to 4, 0.96 up to 6 and 0.82 to 0.87 up to 20;
# one took 1.03, 0.98, 0.96, 1.00, 0.97 and 0.89, and three no less than two.
DEAR_MATRIX = 4.0
CORRECTORS = 2
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


def matrix_cost(objective):
    """The matrix of an iteration and its factor, in passes' worth of time."""
    F, size = objective, path_size(objective)
    matrix = DENSE_COST * size if size < F.n_features else curvature_cost(F)
    return matrix + solving_cost(F, size)


def correctors(objective):
    """How many correctors a step may have: `CORRECTORS` where they are cheap beside its matrix."""
    F = objective
    loops = 2.0 * DUALS_LOOP * len(forms(F.loss).of_pieces) * F.n_samples
    return CORRECTORS if matrix_cost(F) > DEAR_MATRIX * (1.0 + loops / pass_cost(F)) else 0


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
