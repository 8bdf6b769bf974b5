"""What things cost in terms of a pass, counted in operations: the constants that plans rest on.

They were measured once, on two machines' worth of AMD EPYC cores, and are shipped: a plan depends on the data and never
on a clock, so that the same fit takes the same path everywhere.
"""

import numpy as np

from fastgd.gram import loops
from fastgd.pieces import known

# A curvature matrix takes this many passes' worth of time for each column (by BLAS) or for each nonzero of a row (by a
# loop): 2 passes with 54 dense columns, 21 with 784; 4 with 14 nonzeros a row, 11 with 35.
DENSE_COST, LOOP_COST = 0.03, 0.3
# A row that one pass reads takes about 1 ns for each stored value; solving with d columns takes d^3 / 3 multiplications
# at 10 of them a ns.
MULTIPLICATIONS_PER_VALUE = 10.0
# Newton's method takes about this many matrices of all rows, fewer where a batch grows; descent by gradients takes this
# many passes (a9a 20 in curvature coordinates, census 130, mnist 280), often ten times as many.
MATRICES, MATRICES_AFTER_GROWTH, GRADIENT_PASSES = 8.0, 3.0, 100.0
# Turns on the central path, sweeps of one beside its matrix in passes, and how large the matrix may be: 32 MB.
PATH_TURNS, PATH_SWEEPS, WIDEST_PATH = 20.0, 3.0, 2000
# A pass of dual ascent, row by row, takes as long as so many others; where it is chosen it takes some hundred.
DUAL_PASSES = 1000.0
# Dual ascent is chosen up to this share of the other rows in a row's prediction.
MOST_SAY = 1000.0
# The first sample of a growing batch holds so many rows for each column, at least so many in all; each next one is four
# times as large.
ROWS_PER_COLUMN, LEAST_ROWS, GROWTH = 20, 1000, 4


def curvature_cost(objective):
    """A curvature matrix in passes' worth of time."""
    F = objective
    stored = max(F.rows.stored() / F.n_samples, 1.0)
    # Where X is dense the zeros are known once there are moments.
    nonzeros = F.row_length if F.has_moments else stored
    if loops(F.rows, nonzeros):
        return LOOP_COST * nonzeros**2 / stored
    return DENSE_COST * F.n_features


def newton_pays(objective):
    """Whether forming and solving with curvature matrices takes less than the passes that gradients would."""
    F = objective
    solving = F.n_features**3 / 3.0 / MULTIPLICATIONS_PER_VALUE / max(F.rows.stored(), 1)
    memory = F.n_features**2 <= max(0.5 * F.rows.stored(), 4e6)
    matrices = MATRICES_AFTER_GROWTH if growth_pays(F) else MATRICES
    return memory and MATRICES * (1.0 + solving) + matrices * curvature_cost(F) <= GRADIENT_PASSES


def dual_pays(objective):
    """Whether dual ascent gets on: a step on one row's dual variable is not undone by those on the others.

    mean |x|^2 / (l2 n) is how much all other rows have a say in a row's prediction: 1 to 100 on text and scaled
    columns, 1e5 on raw ones, where a one-row descent with a rate for each column is ahead.
    """
    F = objective
    values = F.rows.values.ravel()
    return float(np.vdot(values, values)) / F.n_samples <= MOST_SAY * F.l2 * F.n_active


def first_sample(objective):
    """Rows of the first sample of a growing batch."""
    return max(ROWS_PER_COLUMN * objective.n_features, LEAST_ROWS)


def growth_pays(objective):
    """Whether a sample of the rows can bring a solver close: there are several times more than it needs.

    A loss of constant curvature needs one matrix, of all rows.
    """
    F = objective
    small = F.n_samples * F.n_features < 1_000_000
    constant = not F.vector and F.loss.self_concordance == 0.0
    return not constant and not small and F.n_samples >= GROWTH * first_sample(F)


def central_path_applies(objective):
    """Whether Newton steps on the central path are defined here, and their matrix is affordable."""
    F = objective
    fewest = min(F.n_features, F.n_active) if F.l1 + F.l2 > 0.0 else F.n_features
    return not F.vector and F.elastic and known(F.loss) and fewest <= WIDEST_PATH


def central_path_cost(objective):
    """What a run on the central path takes, in passes' worth of time; `central_path_applies`."""
    F = objective
    size = F.n_features if F.n_features <= WIDEST_PATH else F.n_active
    solving = size**3 / 3.0 / MULTIPLICATIONS_PER_VALUE / max(F.rows.stored(), 1)
    matrix = DENSE_COST * size if size < F.n_features else curvature_cost(F)
    return PATH_TURNS * (PATH_SWEEPS + matrix + solving)
