"""What `check_loss` asks of methods on the scale of the targets, where a class has them: the mean
that predictions stand for, probabilities, the log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgd.losses.base import (
    Loss,
    VectorLoss,
    has_log_likelihood,
    has_mean,
    has_probabilities,
)

Faults = Iterator[tuple[float, str]]  # how bad, and the text

PREDICTIONS = np.linspace(-3.0, 3.0, 13)
# About the prediction that a target has as its mean.
NEAR = 1e-4
# Of differences of log-likelihoods, relative to the largest of them.
ROUNDING = 1e-8


def scale_checks(loss: Loss | VectorLoss) -> dict[str, Callable[[Any, Any], Faults]]:
    """Checks by name, each a function of the loss and of a target; those of methods that the class
    of the loss defines.

    Examples
    --------
    >>> from fastgd import Huber, Poisson
    >>> list(scale_checks(Huber())), list(scale_checks(Poisson()))
    ([], ['mean', 'log_likelihood'])
    """
    found: dict[str, Callable[[Any, Any], Faults]] = {}
    if has_mean(loss):
        found["mean"] = _wrong_mean
    if has_probabilities(loss):
        found["probability"] = _wrong_probability
    if has_log_likelihood(loss) and isinstance(loss, Loss):
        found["log_likelihood"] = _wrong_log_likelihood
    return found


def mean_note(loss: Loss | VectorLoss) -> tuple[str, ...]:
    """What is said of a loss whose value is not least where the target is the mean: predictions may
    be meant to be of something else, as of a median.
    """
    if not (isinstance(loss, Loss) and has_mean(loss)):
        return ()
    means = np.asarray(loss.mean(PREDICTIONS.copy()))
    if means.shape != PREDICTIONS.shape:
        return ()
    for prediction, mean in zip(PREDICTIONS, means, strict=True):
        if not (np.isfinite(mean) and loss.target_domain.contains(mean).all()):
            continue
        before, after = (loss.derivative(prediction + one, mean) for one in (-NEAR, NEAR))
        if before > ROUNDING or after < -ROUNDING:
            return (
                f"mean({prediction:g}) is {mean:.6g}, and of a row with this target the value is "
                f"not least at prediction {prediction:g} (derivative {before:.3g}): what predict "
                "returns is not the target that a prediction fits best",
            )
    return ()


def _tried(loss, target) -> np.ndarray:
    """Predictions, of any shape for a `Loss`, (n_samples, K) for a `VectorLoss`."""
    if isinstance(loss, Loss):
        return PREDICTIONS
    size = loss.n_predictions(np.array([target]))
    return np.random.default_rng(0).normal(0.0, 2.0, (PREDICTIONS.size, size))


def wrong_shape(name: str, found: Any, shape: tuple[int, ...]) -> str:
    """What is wrong with an array that a method returns for predictions of this shape, or ""."""
    if np.shape(found) == shape and np.asarray(found).dtype.kind in "biuf":
        return ""
    given = f"one of shape {np.shape(found)}" if np.ndim(found) else repr(found)
    return (
        f"{name} must return an array of the shape of predictions, which is {shape}, "
        f"got {given}; write it with NumPy's functions of arrays"
    )


def _wrong_mean(loss, target) -> Faults:
    predictions = _tried(loss, target)
    found = loss.mean(predictions.copy())
    wrong = wrong_shape("mean", found, predictions.shape)
    if wrong:
        yield np.inf, wrong
        return
    for prediction, mean in zip(predictions[np.isnan(found)], found[np.isnan(found)], strict=True):
        yield 0.0, f"mean is {mean:g} at prediction {prediction:g}; every prediction needs one"


def _wrong_probability(loss, target) -> Faults:
    predictions = _tried(loss, target)
    found = loss.probability(predictions.copy())
    wrong = wrong_shape("probability", found, predictions.shape)
    if wrong:
        yield np.inf, wrong
        return
    outside = ~((found >= 0.0) & (found <= 1.0))
    for prediction, share in zip(predictions[outside], found[outside], strict=True):
        yield (
            max(float(-share), float(share - 1.0)),
            f"probability is {share:.6g} at prediction {prediction:.6g}; it must lie between 0 and "
            "1, as 1 / (1 + np.exp(-predictions)) does",
        )
    if isinstance(loss, VectorLoss) and not outside.any():
        for total in found.sum(axis=1):
            if abs(total - 1.0) > ROUNDING:
                yield abs(total - 1.0), f"probability sums to {total:.6g} over the classes, not 1"


def _wrong_log_likelihood(loss, target) -> Faults:
    """It falls as the value rises: for a dispersion of 1 and a weight of 1, by the same.  A class
    that `estimates_dispersion` may put in the dispersion of greatest likelihood.
    """
    one, found = np.ones(1), []
    for prediction in PREDICTIONS:
        at = np.array([prediction])
        found.append(loss.log_likelihood(at, np.array([target]), one, 1.0))
    if any(np.ndim(one) or np.asarray(one).dtype.kind not in "biuf" for one in found):
        yield (
            np.inf,
            f"log_likelihood must return a number, the sum over the rows, got {found[0]!r}",
        )
        return
    if loss.estimates_dispersion:
        return
    values = np.array([loss.value(prediction, target) for prediction in PREDICTIONS])
    rises, falls = np.diff(found), -np.diff(values)
    known = np.isfinite(rises) & np.isfinite(falls)
    largest = max(np.abs(falls[known]).max(initial=0.0), np.abs(found).max(initial=0.0))
    for k in np.flatnonzero(known & (np.abs(rises - falls) > ROUNDING * largest)):
        yield (
            abs(rises[k] - falls[k]),
            f"log_likelihood changes by {rises[k]:.6g} where the prediction goes from "
            f"{PREDICTIONS[k]:g} to {PREDICTIONS[k + 1]:g}, target {target:g}, and minus the value "
            f"by {falls[k]:.6g}; with a dispersion of 1 both must change by the same",
        )
