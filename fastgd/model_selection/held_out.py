"""Rows that folds hold out of an X that is not in memory: their predictions are brought here, of as
many models in one reading as fit in memory.
"""

import copy
import itertools

import numpy as np

# Share of the memory of a fit that predictions of held-out rows may take.
PREDICTIONS = 1.0 / 8.0


class RowsElsewhere:
    """Stands for X, or for some of its rows, where a splitter or a scorer takes one: how large it
    is can be told, what it holds cannot.
    """

    def __init__(self, n_samples, n_features):
        self.shape = n_samples, n_features
        self.ndim = 2

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, chosen):
        return RowsElsewhere(np.arange(self.shape[0])[chosen].size, self.shape[1])

    def __array__(self, *args, **kwargs):
        raise ValueError(
            "the splitter or the scorer reads X, whose rows are not in memory; choose one that "
            "asks for targets and predictions alone"
        )


def with_predictions(fits, models, chosen, memory):
    """The models of a path, each of which predicts what it is for the `chosen` rows of blocks,
    whatever it is asked.

    Parameters
    ----------
    fits : PathFits
    models : iterator of GDClassifier or GDRegressor
    chosen : ndarray of int
        Which rows the models are scored on.
    memory : int
        Bytes that a fit may take.
    """
    for first in models:
        n_outputs, n_features = np.atleast_2d(first.coef_).shape
        one = 8 * n_outputs * (chosen.size + n_features)
        at_once = max(int(PREDICTIONS * memory / one), 1)
        batch = [first, *itertools.islice(models, at_once - 1)]
        found = _linear(fits, batch, chosen).reshape(chosen.size, len(batch), n_outputs)
        for k, model in enumerate(batch):
            yield predicting(model, found[:, k])


def predicting(model, linear):
    """A copy of a model that predicts this, (n_samples, n_outputs), without offsets, for any
    rows.
    """
    model = copy.copy(model)
    model._set_linear(linear)
    return model


def _linear(fits, models, chosen):
    """X @ coef + intercept of the models, side by side, for some rows: one reading."""
    F = fits.objective(fits.samples[0], 1.0)
    coef = np.concatenate([np.atleast_2d(model.coef_) for model in models]).T
    intercept = np.concatenate([np.ravel(model.intercept_) for model in models])
    intercept = F.rows.own_intercept(coef, intercept)
    asked = np.zeros(F.n_samples, dtype=bool)
    asked[chosen] = True
    parts = F.over_parts(_linear_of_part, np.ascontiguousarray(coef), intercept, rows=(asked,))
    found = np.concatenate(list(parts))
    return found[(np.cumsum(asked) - 1)[chosen]]


def _linear_of_part(part, coef, intercept, asked):
    part.meter.count(float(asked.mean()))
    return part.rows.take(np.flatnonzero(asked)) @ coef + intercept
