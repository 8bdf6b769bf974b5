"""Whether the last iterate predicts better than the average on rows that neither has seen: the data
have drifted away from what the average was learnt from.
"""

import numpy as np

from fastgd.objective.kernels import evaluate, vector_losses
from fastgd.objective.vector_map import NO_TABLE, samples_of

# Rows are compared in so many groups; with fewer rows nothing is told.
GROUPS = 32
# The mean difference has to be so many of its standard errors. Of 200 chunks of 500 rows that drift
# at once half-way, two to five are told with this, half-lives of 2 to 20 chunks, and nothing of the
# accuracy before the drift is lost (0.863).
ERRORS = 2.0


def is_overtaken(objective, average, iterate):
    """Whether the loss of the iterate is lower than that of the average, beyond chance.

    Parameters
    ----------
    objective : Objective
        Of rows that neither has learnt from.
    average, iterate : (ndarray, float or ndarray)
        X @ coefficients, (n_samples,) or (n_samples, K), of these rows, and the intercept.
    """
    n_samples = objective.samples.size()
    if n_samples < GROUPS:
        return False
    starts = np.linspace(0, n_samples, GROUPS, endpoint=False).astype(np.int64)
    with np.errstate(all="ignore"):
        of_average, of_iterate = (_losses(objective, one, starts) for one in (average, iterate))
        gains = of_average - of_iterate
        return bool(gains.mean() > ERRORS * gains.std(ddof=1) / np.sqrt(GROUPS))


def _losses(objective, model, starts):
    """Sum of weight * loss over each group of rows, (n_groups,)."""
    F, samples, (products, intercept) = objective, objective.samples, model
    if F.vector:
        stops = [*starts[1:], samples.size()]
        groups = [slice(*ends) for ends in zip(starts, stops, strict=True)]
        options = False, False, NO_TABLE, NO_TABLE
        return np.array(
            [
                vector_losses(F.loss, *samples_of(samples, g), intercept, products[g], *options)
                for g in groups
            ]
        )
    predictions = products + intercept + samples.offsets
    values, derivatives = np.empty((2, samples.size()))
    evaluate(F.loss, predictions, samples.targets, values, derivatives, derivatives, False, 0.0)
    return np.add.reduceat(samples.weights * values, starts)
