"""What belongs to each row beside its features: target, weight and offset, and all that can be wrong with them."""

import numbers

import numpy as np

from fastgd.losses.base import REALS
from fastgd.runtime.component import Component, python_only, required


class Samples(Component, family=True):
    """Family of what belongs to each row: its target, weight and offset."""

    @required
    def size(self):
        """Number of rows."""

    @required
    def target(self, i):
        """Target of row `i`: a number, or the row's array of targets for a vector loss."""

    @required
    def targets_of(self, first, stop):
        """Targets of the rows `first` to `stop` - 1, an array."""

    @required
    def weight(self, i):
        """Weight of row `i`; the rows that count have mean weight 1."""

    @required
    def offset(self, i):
        """What is added to the prediction of row `i`."""


class WeightedSamples(Samples):
    """Targets with weights and offsets; `weights` and `offsets` hold one number for all rows, or one for each."""

    targets: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    def size(self):
        return self.targets.shape[0]

    def target(self, i):
        return self.targets[i]

    def targets_of(self, first, stop):
        return self.targets[first:stop]

    def weight(self, i):
        return self.weights[i] if self.weights.size > 1 else self.weights[0]

    def offset(self, i):
        return self.offsets[i] if self.offsets.size > 1 else self.offsets[0]

    @python_only
    def n_active(self):
        """Number of rows with a positive weight."""
        return int(np.count_nonzero(self.weights)) if self.weights.size > 1 else self.targets.shape[0]

    @python_only
    def total_weight(self, ranges):
        """Sum of the weights of the rows in `ranges`, each from its first row to one past its last."""
        if self.weights.size == 1:
            return float((ranges[:, 1] - ranges[:, 0]).sum())
        running = np.concatenate([[0.0], np.cumsum(self.weights)])
        return float((running[ranges[:, 1]] - running[ranges[:, 0]]).sum())

    @python_only
    def with_targets(self, targets):
        """The same weights and offsets with other targets, one number for each row, that the loss accepts."""
        return WeightedSamples(np.asarray(targets, dtype=np.float64), self.weights, self.offsets)

    @python_only
    def active(self):
        """Indices of the rows with a positive weight."""
        return np.flatnonzero(self.weights) if self.weights.size > 1 else np.arange(self.targets.shape[0])


def as_samples(loss, y, n_samples, sample_weight=None, offset=None):
    """Targets, weights and offsets, checked against the loss and the number of rows.

    Weights are divided by their mean over the rows that have any, so that their scale changes nothing.

    Raises
    ------
    ValueError
        For wrong shapes, NaN and infinity, targets outside the loss's domain, negative weights and weights that sum
        to 0.

    Examples
    --------
    >>> from fastgd.losses.base import SquaredError
    >>> as_samples(SquaredError(), [1.0, 2.0], 2, sample_weight=[1.0, 3.0]).weights
    array([0.5, 1.5])
    """
    targets = as_numbers(y, "y", n_samples)
    domain = loss.target_domain
    if targets.ndim != (2 if hasattr(loss, "derivatives") else 1):
        if targets.ndim == 1:
            targets = targets[:, None]
        else:
            raise ValueError(f"y must have shape ({n_samples},), got {targets.shape}; pass one target per row")
    if domain != REALS:
        allowed = domain.contains(targets)
        if not allowed.all():
            bad = targets[~allowed].flat[0]
            hint = "; GDClassifier takes labels of any kind" if getattr(loss, "classification", False) else ""
            raise ValueError(f"loss {loss.name!r} takes targets that are {domain.text}, got {bad:g}{hint}")
    with np.errstate(over="ignore"):
        if not np.isfinite(np.vdot(targets, targets)):
            raise ValueError(f"y holds values of up to {np.abs(targets).max():.3g}, whose squares overflow; scale it")
    weights = np.ones(1)
    if sample_weight is not None:
        weights = as_weights(sample_weight, n_samples)
        weights = weights / weights.max()
        weights = weights / weights[weights > 0].mean()
        if (weights == weights[0]).all():
            weights = np.ones(1)
    offsets = np.zeros(1)
    if offset is not None:
        offsets = as_offset(offset, n_samples)
    return WeightedSamples(targets, weights, offsets)


def as_weights(sample_weight, n_samples, name="sample_weight", of="X"):
    """Weights as given, (n_samples,) float64, one number repeated; checked: finite, none negative, not all zero.

    `name` and `of` are what messages call the weights and the matrix whose rows they belong to.

    Examples
    --------
    >>> as_weights(2, 3)
    array([2., 2., 2.])
    """
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_samples, float(sample_weight))
    weights = as_numbers(sample_weight, name, n_samples, of)
    if weights.ndim != 1:
        raise ValueError(f"{name} must have shape ({n_samples},), got {weights.shape}")
    if (weights < 0).any():
        raise ValueError(f"{name} must not be negative, got {weights.min():g}")
    if not weights.any():
        raise ValueError(f"{name} is zero for every row; give some rows a positive weight")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(f"{name} adds up to more than a float can hold; divide it by {weights.max():g}")
    return weights


def as_offset(offset, n_samples):
    """Offsets as float64, (n_samples,), all finite; ValueError else."""
    offsets = as_numbers(offset, "offset", n_samples)
    if offsets.ndim != 1:
        raise ValueError(f"offset must have shape ({n_samples},), got {offsets.shape}")
    return offsets


def as_numbers(values, name, n_samples, of="X"):
    """`values` as float64, (n_samples, ...), all finite; ValueError else."""
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiubO":
            raise TypeError("neither floating point nor integer")
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must hold one real number for each row of {of}, got {_kind(values)}: {error}"
        ) from error
    if array.ndim == 0 or array.shape[0] != n_samples:
        raise ValueError(
            f"{name} must have one entry for each of the {n_samples} rows of {of}, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        i = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"{name} contains NaN or infinity (first in row {i}); drop such rows")
    return array


def as_floats(values, name):
    """`values` as float64; ValueError for anything but real numbers.

    Examples
    --------
    >>> as_floats([1, 2], "x0")
    array([1., 2.])
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise ValueError(f"{name} must hold real numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def refuse_masked(values, name):
    """Raise ValueError for a masked array with masked values, which NumPy would read as if they were not."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; fill them in or drop their rows")


def _kind(values):
    return f"dtype {values.dtype}" if hasattr(values, "dtype") else f"a {type(values).__name__}"
