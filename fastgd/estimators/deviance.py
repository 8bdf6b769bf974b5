"""The share of the deviance that predictions explain, D^2: the score where a loss has a link."""

import numpy as np

from fastgd.losses.base import has_mean
from fastgd.objective.null_model import null_model
from fastgd.objective.objective import Objective

# The null model leaves nothing where it leaves so little of what a prediction of 0 does: at an
# infimum that is far out it is looked for no further.
NOTHING = 1e-13


def is_deviance(loss):
    """Whether the value of a loss component is a deviance, up to a factor and its infimum: it has
    a link, and an infimum that is known.
    """
    return has_mean(loss) and loss.infimum > -np.inf


def explained(loss, y, scores, sample_weight=None, offset=None):
    """1 - deviance / that of the null model, the best one without columns for the same offsets.

    Of scikit-learn's generalised linear models and `d2_tweedie_score` it is the score. Where the
    null model leaves nothing it is 1 for predictions that do so too, else 0, as of R^2.

    Parameters
    ----------
    loss : Loss or VectorLoss
        For which `is_deviance` holds.
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
        points = F.value(table.ravel()), null_model(F)[1], F.value(F.start())
    own, null, usual = (value - loss.infimum for value in points)
    if null > NOTHING * usual:
        return float(1.0 - own / null)
    return 1.0 if own <= 0.0 else 0.0
