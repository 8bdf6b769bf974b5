"""What things cost, counted in operations and told in ns or in passes: the constants that plans rest on.

They were measured once, on two machines' worth of AMD EPYC cores, and are shipped: a plan depends on the data and never
on a clock, so that the same fit takes the same path everywhere.
"""

import math

import numpy as np

from fastgd.losses.piecewise import known
from fastgd.objective.coordinates import typical_curvature
from fastgd.objective.gram import loops

EPS = float(np.finfo(float).eps)
# A pass takes about 1 ns for each stored value and this many for each row: 27 ns a row with 54 dense columns, 30 to 45
# with 12 or 14 nonzeros, 48 with 35.
ROW = 25.0
# A curvature matrix takes so many ns for each pair of a value and a column (by BLAS) or of two nonzeros of a row (by a
# loop), and solving with d columns d^3 / 3 multiplications at so many of them a ns.
DENSE_COST, LOOP_COST, MULTIPLICATIONS = 0.03, 0.3, 15.0
# Newton's method takes about so many turns and matrices of all rows, fewer matrices where a batch grows.
TURNS, MATRICES, MATRICES_AFTER_GROWTH = 8.0, 6.0, 3.0
# A turn among past gradients takes so many ns for each row beside its pass, and there are about 5 + 15 sqrt(r) of them,
# at most 100, where r is the loss's curvature times the say of other rows. Turns to 1e-4: news text 5 (r = 0.25), w8a
# 24 (2.9), census 43 to 106 (9), mnist 74 to 92 (25); with alpha 100 times as large 2, 5, 7 to 19, 13 to 24.
COMBINATIONS, FEWEST_TURNS, TURNS_PER_ROOT, MOST_TURNS = 120.0, 5.0, 15.0, 100.0
# Nor are there many where no direction stands out: about 5 + 10 sqrt(s), with s the greatest curvature over the mean
# one, 1.4 for 784 columns of normal numbers, 53 to 390 on a9a, w8a, census, mnist.
TURNS_PER_SPREAD, FEWEST_ROWS, SAMPLE_ROWS, POWER_STEPS = 10.0, 100, 1000, 10
# Turns on the central path, sweeps of one beside its matrix in passes, and how large the matrix may be: 32 MB.
PATH_TURNS, PATH_SWEEPS, WIDEST_PATH = 20.0, 3.0, 2000
# With an L1 part more columns than this are taken by need.
COLUMNS_AT_ONCE = 400
# Dual ascent takes about 12 + 9 r passes to 1e-4, with r the say of other rows in a row's prediction: with r of 0.3, 3,
# 30, 200 it took 10 to 32, 27 to 90, 191 to 753, over 970 (hinge, quantile, epsilon-insensitive; text, census, protein,
# covtype_binary), and four to five times as many to 1e-6. Where the central path takes more by count, it took 1 to 11
# times as long by the clock. Where that is not open, dual ascent is chosen up to r = 1000.
DUAL_PASSES, DUAL_PASSES_PER_SAY, MOST_SAY = 12.0, 9.0, 1000.0
# It takes about 25 + 220 o where o, the squared cosines of a row with all others, each times how many times as long the
# row is, squared, if it is longer, adds up to no more than 2, estimated from some: 300 rows of 20,000 normal numbers
# have r = 20,000, and take 37 ms by dual ascent and 750 on the central path (squared hinge). With o of 0.1, 0.24, 0.34,
# 0.96, 1.1, 1.5 it took 45, 69, 105, 216, 72, 206 passes, and with 5 to 80 (log-normal columns, sigma 2 and 3) 204 to
# over 1,900, while squared cosines alone were 0.3 to 1.5 (hinge, alpha = 1e-4).
DUAL_PASSES_APART, DUAL_PASSES_PER_OVERLAP, MOST_OVERLAP, OVERLAP_ROWS = 25.0, 220.0, 2.0, 64
# Beyond so many by the say of other rows it is worth looking whether rows are apart.
WORTH_A_LOOK = 100.0
# The first sample of a growing batch holds so many rows for each column, at least so many in all; each next one is four
# times as large. With 20 rows for each column instead of 5 census took 1.3 times as long.
ROWS_PER_COLUMN, LEAST_ROWS, GROWTH = 5, 1000, 4


def pass_cost(objective):
    """Time of a pass in ns."""
    return objective.rows.stored() + ROW * objective.n_samples


def curvature_cost(objective):
    """A curvature matrix in passes' worth of time."""
    F = objective
    stored = max(F.rows.stored(), F.n_samples)
    nonzeros = min(F.row_length, stored / F.n_samples)
    time = LOOP_COST * nonzeros**2 * F.n_samples if loops(F.rows, nonzeros) else DENSE_COST * stored * F.n_features
    return time / pass_cost(F)


def solving_cost(objective, size):
    """A Cholesky factorisation of a matrix of so many columns in passes' worth of time."""
    return size**3 / 3.0 / MULTIPLICATIONS / pass_cost(objective)


def newton_pays(objective):
    """Whether forming and solving with curvature matrices takes less than the turns that past gradients would."""
    F = objective
    if F.n_features**2 > max(0.5 * F.rows.stored(), 4e6):
        return False
    matrices = MATRICES_AFTER_GROWTH if growth_pays(F) else MATRICES
    time = TURNS * (1.0 + solving_cost(F, F.n_features)) + matrices * curvature_cost(F)
    paid = time / (1.0 + COMBINATIONS * F.n_samples / pass_cost(F))
    if paid <= FEWEST_TURNS or paid > MOST_TURNS:  # what follows reads rows
        return paid <= FEWEST_TURNS
    if paid > FEWEST_TURNS + TURNS_PER_ROOT * math.sqrt(typical_curvature(F.loss) * say(F)):
        return False
    return paid <= FEWEST_TURNS + TURNS_PER_SPREAD * math.sqrt(spread(F))


def span_cost(objective):
    """What Newton's method among past gradients takes at most, in passes' worth of time."""
    F = objective
    return MOST_TURNS * (1.0 + COMBINATIONS * F.n_samples / pass_cost(F))


def spread(objective):
    """Greatest curvature of the columns over the mean one, from some of the rows by the power method."""
    return _once(objective, _spread)


def _once(objective, measure):
    """What `measure` finds of the rows, the first time that it is asked for."""
    if measure.__name__ not in objective.measured:
        objective.measured[measure.__name__] = measure(objective)
    return objective.measured[measure.__name__]


def _sample(objective):
    """A tenth of the rows, within limits."""
    n = objective.n_samples
    chosen = np.unique(np.linspace(0, n - 1, min(max(n // 10, FEWEST_ROWS), SAMPLE_ROWS)).astype(int))
    return objective.rows.take(chosen)


def _mean_square(objective):
    sample = _sample(objective)
    return float((sample * sample).sum()) / sample.shape[0]


def _spread(objective):
    sample = _sample(objective)
    total = float((sample * sample).sum())
    direction = sample.sum(axis=0) + np.sqrt(total) / sample.shape[1]
    for _ in range(POWER_STEPS):
        length = float(np.linalg.norm(direction))
        if length == 0.0:
            return 1.0
        direction = sample.T @ (sample @ (direction / length))
    return float(np.linalg.norm(direction)) * min(sample.shape) / total


def say(objective):
    """Mean |x|^2 / (l2 n): how much all other rows have a say in a row's prediction.

    1 to 100 on text and scaled columns, 1e5 on raw ones.
    """
    F = objective
    if F.l2 == 0.0:
        return np.inf
    if F.has_moments:
        return float(F.moments()[1][2]) / (F.l2 * F.n_active)
    return _once(F, _mean_square) / (F.l2 * F.n_active)


def dual_pays(objective):
    """Whether dual ascent gets on: a step on one row's dual variable is not undone by those on the others.

    Where it is, a one-row descent with a rate for each column is ahead.
    """
    return say(objective) <= MOST_SAY or rows_apart(objective)


def rows_apart(objective):
    """Whether rows have so little in common that a step for one leaves the predictions for others as they are."""
    return objective.n_features >= objective.n_active and _once(objective, _overlap) <= MOST_OVERLAP


def _overlap(objective):
    """How much the others' steps undo a row's, added up: the mean over some of the rows that count.

    A step that moves the prediction for row j by 1 moves that for row i by cos |x_i| / |x_j|: squared cosines tell of
    rows of one length, and of the longer row in other pairs.
    """
    F = objective
    chosen = F.samples.active()
    sample = F.rows.take(chosen[np.unique(np.linspace(0, chosen.size - 1, OVERLAP_ROWS).astype(int))])
    products = sample @ sample.T
    products = np.asarray(products.toarray() if F.rows.sparse else products)
    lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(float).tiny))
    with np.errstate(over="ignore"):
        shares = np.square(products / lengths / np.minimum(lengths, lengths[:, None]))
    np.fill_diagonal(shares, 0.0)
    return float(shares.sum()) / max(len(shares) * (len(shares) - 1), 1) * F.n_active


def dual_cost(objective, tol):
    """What a run of dual ascent takes, in passes' worth of time."""
    passes = DUAL_PASSES + DUAL_PASSES_PER_SAY * say(objective)
    if passes > WORTH_A_LOOK and rows_apart(objective):
        passes = min(passes, DUAL_PASSES_APART + DUAL_PASSES_PER_OVERLAP * _once(objective, _overlap))
    return passes * (1e-4 / (tol or EPS)) ** (1.0 / 3.0)


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


def path_size(objective):
    """Size of the matrices on the central path of all columns: by way of the rows where these are fewer."""
    F = objective
    return min(F.n_features, F.n_active) if F.l1 + F.l2 > 0.0 else F.n_features


def central_path_applies(objective):
    """Whether Newton steps on the central path are defined here, and their matrix is affordable.

    With an L1 part it is one of the columns that matter; for a smooth loss there is another way to take these.
    """
    F = objective
    few = path_size(F) <= WIDEST_PATH or (F.l1 > 0.0 and not F.loss_smooth)
    return not F.vector and F.elastic and known(F.loss) and few


def takes_columns_by_need(objective):
    """Whether the central path begins on some of the columns, of many that an L1 part may hold at 0."""
    return objective.l1 > 0.0 and objective.n_features > COLUMNS_AT_ONCE


def central_path_cost(objective):
    """What a run on the central path takes, in passes' worth of time; `central_path_applies`."""
    F = objective
    size = path_size(F)
    matrix = DENSE_COST * size if size < F.n_features else curvature_cost(F)
    return PATH_TURNS * (PATH_SWEEPS + matrix + solving_cost(F, size))
