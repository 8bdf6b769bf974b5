"""The share of the deviance that predictions explain, D^2: the score where a loss has a link."""

import numpy as np

from fastgd.losses.base import has_mean
from fastgd.objective.null_model import falls_for_ever, loss_of_shift, null_model
from fastgd.objective.objective import Objective

# The null model leaves nothing where it leaves so little of what is usual: targets that are 4e-7 of
# themselves from its means. A value that cancels is wrong by 1e-16 times its terms.
MIN_NULL_SHARE = 1e-13


def is_deviance(loss):
    """Whether the value of a loss component is a deviance, up to a factor and its infimum: it has
    a link, and an infimum that is known.
    """
    return has_mean(loss) and loss.infimum > -np.inf


def explained(loss, y, scores, sample_weight=None, offset=None):
    """1 - loss / that of the null model, the best constant for the same offsets.

    Of scikit-learn's generalised linear models and `d2_tweedie_score` it is the score. Where the
    null model leaves nothing it is 1 for predictions that do so too, else 0, as of R^2.

    Parameters
    ----------
    loss : Loss or VectorLoss
        With an infimum that is known; a deviance where `is_deviance` holds.
    y : array-like, (n_samples,)
    scores : ndarray, (n_samples, n_outputs)
        Predictions before the link, without offsets.
    sample_weight, offset : array-like, (n_samples,), optional

    Returns
    -------
    float

    Examples
    --------
    >>> from fastgd.losses import Poisson
    >>> explained(Poisson(), [0.0, 4.0], np.log([[1.0], [3.0]]))
    0.584...
    """
    # Their own columns, each with the coefficient 1, are the predictions.
    F = Objective(
        loss, scores, y, sample_weight=sample_weight, offset=offset, penalty=None, n_jobs=1
    )
    table = F.start().reshape(-1, F.n_predictions)
    np.fill_diagonal(table, 1.0)
    with np.errstate(over="ignore"):
        shift, null = null_model(F)
        own, null = F.value(table.ravel()) - loss.infimum, null - loss.infimum
        if null > MIN_NULL_SHARE * _usual(F, shift) and not _has_no_least(F):
            return float(1.0 - own / null)
    return 1.0 if own <= 0.0 else 0.0


def _usual(objective, shift):
    """Twice what is left by predictions that are a unit off those of the null model: 1 under a
    link, else the size of predictions.

    What a prediction of 0 leaves is no unit: it says where 1 is among the targets. Of inverse
    Gaussian amounts of 1e7 it is 1e14 times what the null model leaves.
    """
    F = objective
    if F.vector:
        return F.value(F.start()) - F.loss.infimum
    curvature = loss_of_shift(F, F.samples.offsets)(shift)[2]
    linked = float(F.loss.mean(np.array([shift]))[0]) != shift
    size = 1.0 if linked else abs(shift) + float(np.abs(F.samples.offsets).max())
    return curvature * size**2


def _has_no_least(objective):
    """Whether the null model lies at infinity, and leaves nothing there."""
    return not objective.vector and falls_for_ever(objective.loss, objective.samples)
