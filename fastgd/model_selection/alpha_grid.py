"""The grid of alphas that a search tries by default."""

import numpy as np

from fastgd.model_selection.alpha_path import PathFits
from fastgd.objective.null_model import null_model, null_point
from fastgd.runtime.blas import one_blas_thread

# With the largest alpha and no L1 part, the best model is proved to gain no more than this share of
# F0.
GAIN = 0.01
# The smallest alpha as a share of the largest: coefficients leave 0 one after the other, but shrink
# all at once.
RATIO_L1 = 1e-3
RATIO_L2 = 1e-6
# Columns whose greatest |x| differ by no more than this factor are on the same scale.
ALIKE = 30.0


@one_blas_thread()  # of 120,000 rows alphas had other last bits on two threads
def alpha_grid(estimator, X, y, count, weights=None, n_threads=1, *, rows=None, offset=None):
    """`count` alphas spaced logarithmically down from the largest one that is of interest,
    (count,).

    With an L1 part the largest is the smallest alpha for which all coefficients that are penalised
    are 0 (near it for a non-smooth loss, which has several subgradients there),

        max_j |mean_i s_i loss'(y_i, z0_i) x_ij| / l1_ratio,

    and the smallest is 1e-3 q of it. Without one it is |g|^2 / (2 * 0.01 F0), g being the gradient
    at the predictions z0 and F0 the mean loss there: under an L2 penalty F falls by at most |g|^2
    / (2 alpha), here 1 % of F0. The smallest is 1e-6 q^2 of it. z0 are those of the null model, or
    where some columns have no penalty or bounds without 0, of the best model with the others at 0
    or the bound nearest to it. Without an L1 part g_j^2 is divided by its weight, with P2 by the
    diagonal of that. Of several models (one-vs-rest) the greatest value counts. q is for
    columns on wild scales: 30 times the greatest |x| of the median column over that of all columns,
    at most 1.

    Parameters are those of `fit_path`.

    Raises
    ------
    ValueError
        For a penalty that is no elastic net.
    """
    fits = PathFits(estimator, X, y, weights, n_threads, rows=rows, offset=offset)
    penalty = fits.task.penalty
    if penalty.largest_alpha(np.ones((X.shape[1], 1)), 1.0) is None:
        given = repr(estimator.penalty)
        if estimator.P2 is not None:
            given = "a P2 of zeros"
        elif estimator.penalty_weights is not None and _penalises(estimator._base_penalty()):
            given = "penalty_weights that penalise no feature"
        raise ValueError(
            f"alphas={count} are spaced for penalty 'l2', 'l1' or 'elasticnet', got {given}; pass "
            "an array of alphas"
        )
    largest = max(_largest(fits, k) for k in range(len(fits.samples)))
    if not 0.0 < largest < np.inf:
        # X tells nothing about y: any alpha will do.
        return np.logspace(0.0, np.log10(RATIO_L2), count)
    columns = fits.objective(fits.samples[0], 1.0).moments().largest
    columns = columns[columns > 0.0]
    scale = min(ALIKE * float(np.median(columns) / columns.max()), 1.0)
    ratio = RATIO_L1 * scale if penalty.selects else RATIO_L2 * scale**2
    return largest * np.logspace(0.0, np.log10(ratio), count)


def _largest(fits, k):
    """The largest alpha of interest for target `k`."""
    F = fits.objective(fits.samples[k], 1.0)
    low, high = F.penalty.limit(F.n_features)
    if low.any() or high.any():
        gradient, value = fits.gradient_within(k, low, high)
    else:
        intercept, value = null_model(F)
        whole_gradient = F.loss_and_gradient(null_point(F, intercept))[1]
        gradient = whole_gradient[: F.n_features * F.n_predictions].reshape(F.n_features, -1)
    above = abs(value) if F.loss.infimum == -np.inf else value - F.loss.infimum
    return F.penalty.largest_alpha(gradient, GAIN * above)


def _penalises(penalty):
    """Whether a penalty without weights holds some feature."""
    return penalty.shares is None or any(penalty.shares)
