"""What belongs to each row beside its features: target, weight and offset, and all that can be
wrong with them.
"""

from collections.abc import Sequence

import numpy as np

from fastgd.data.check_parameters import as_numbers, as_offset, as_weights
from fastgd.losses.base import VectorLoss, has_mean
from fastgd.losses.domain import REALS
from fastgd.runtime.component import Component, python_only, required

# Targets that are all below this have squares with few digits, or of 0: a null model of 1e-300 has
# no gap scale.
TINIEST_TARGET = 1e-145


class Samples(Component, family=True):
    """Family of what belongs to each row: its target, weight and offset."""

    # Data are compared by identity: numbers of a whole X would have to be looked at.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @required
    def size(self):
        """Number of all rows, those of weight 0 included."""

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
    """Targets with weights and offsets; `weights` and `offsets` hold one number for all rows, or
    one for each: of a part of a single row one number is its own, 0 or not.
    """

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
        if self.weights.size > 1:
            return int(np.count_nonzero(self.weights))
        return self.targets.shape[0] if self.weights[0] > 0.0 else 0

    @python_only
    def total_weight(self, ranges):
        """Sum of the weights of the rows in `ranges`, each from its first row to one past its
        last.
        """
        if self.weights.size == 1:
            return float(self.weights[0]) * float((ranges[:, 1] - ranges[:, 0]).sum())
        running = np.concatenate([[0.0], np.cumsum(self.weights)])
        return float((running[ranges[:, 1]] - running[ranges[:, 0]]).sum())

    @python_only
    def part(self, own):
        """Those of some of the rows: of a slice as views, else of an array of their numbers."""
        weights, offsets = (
            array[own] if array.size > 1 else array for array in (self.weights, self.offsets)
        )
        return WeightedSamples(self.targets[own], weights, offsets)

    @python_only
    def with_targets(self, targets):
        """The same weights and offsets with other targets, one number for each row, that the
        loss accepts.
        """
        return WeightedSamples(np.asarray(targets, dtype=np.float64), self.weights, self.offsets)

    @python_only
    def some_active(self, most):
        """Indices of at most so many of the rows with a positive weight, evenly spread."""
        if self.weights.size > 1:
            rows = np.flatnonzero(self.weights)
            return rows[:: -(-rows.size // most)]
        n = self.targets.shape[0]
        return np.arange(0, n, -(-n // most))

    @python_only
    def largest(self, values):
        """The greatest |value| of the rows with a positive weight; `values` are of all rows, or one
        for all.
        """
        values = np.asarray(values)
        if len(values) > 1 and self.weights.size > 1 and not self.weights.all():
            values = values[self.weights > 0.0]
        return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))

    @python_only
    def active(self):
        """Indices of the rows with a positive weight."""
        if self.weights.size > 1:
            return np.flatnonzero(self.weights)
        return np.arange(self.n_active())

    @python_only
    def active_targets(self):
        """Targets of the rows with a positive weight; a view where all rows have one."""
        if self.weights.size > 1:
            return self.targets[self.weights > 0.0]
        return self.targets[: self.n_active()]


class SamplesOfTargets(Sequence):
    """Samples for each of several targets, made whenever they are asked for.

    Parameters
    ----------
    first : WeightedSamples
        Of the first target; the others have its weights and offsets.
    targets : sequence of ndarray, (n_samples,)
    """

    def __init__(self, first, targets):
        self.first, self.targets = first, targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, k):
        return self.first if k == 0 else self.first.with_targets(self.targets[k])


def refuse_tiny_targets(loss, targets):
    """Raise ValueError where a column of y is so small that its squares underflow, and is not 0
    everywhere. Where predictions stand for a mean behind a link, squares play no part.

    Parameters
    ----------
    loss : Loss or VectorLoss
    targets : sequence of ndarray, (n_samples,) or (n_samples, n_predictions)
        For each model.

    Examples
    --------
    >>> from fastgd.losses import SquaredError
    >>> refuse_tiny_targets(SquaredError(), [np.array([0.0, 1e-140])])
    """
    if has_mean(loss):
        return
    largest = np.ravel([np.maximum(one.max(axis=0), -one.min(axis=0)) for one in targets])
    tiny = np.flatnonzero((largest > 0.0) & (largest < TINIEST_TARGET))
    if tiny.size:
        k = tiny[0]
        name = name_of_target(k, largest.size)
        raise ValueError(
            f"{name} holds values of up to {largest[k]:.3g} only, whose squares underflow; scale it"
        )


def name_of_target(k, n_targets):
    """What messages call target `k` of so many.

    Examples
    --------
    >>> name_of_target(0, 1), name_of_target(0, 3)
    ('y', 'column 0 of y')
    """
    return "y" if n_targets == 1 else f"column {k} of y"


def as_samples(loss, y, n_samples, sample_weight=None, offset=None, name="y"):
    """Targets, weights and offsets, checked against the loss and the number of rows; `name` is
    what messages call the targets.

    Weights are divided by their mean over the rows that have any, so that their scale changes
    nothing.

    Raises
    ------
    ValueError
        For wrong shapes, NaN and infinity, targets outside the loss's domain, negative weights and
        weights that sum to 0.

    Examples
    --------
    >>> from fastgd.losses import SquaredError
    >>> as_samples(SquaredError(), [1.0, 2.0], 2, sample_weight=[1.0, 3.0]).weights
    array([0.5, 1.5])
    """
    targets = as_numbers(y, name, n_samples)
    if targets.ndim != (2 if isinstance(loss, VectorLoss) else 1):
        if targets.ndim == 1:
            targets = targets[:, None]
        else:
            raise ValueError(
                f"y must have shape ({n_samples},), got {targets.shape}; pass one target per row"
            )
    check_domain(loss, targets, name)
    with np.errstate(over="ignore"):
        # Not by BLAS, whose threads it would wake.
        if not np.isfinite(np.einsum("i,i->", targets.ravel(), targets.ravel())):
            raise ValueError(
                f"{name} holds values of up to {np.abs(targets).max():.3g}, whose squares "
                "overflow; scale it"
            )
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


def refuse_shift(loss, offset, name="offset"):
    """Raise ValueError for offsets that differ where a loss of several predictions is not changed
    by what all of them have in common; `name` is what the message calls them. Only rows that are
    seen together are compared: chunks may have an offset each.
    """
    if offset is None or not isinstance(loss, VectorLoss) or not loss.shift_invariant:
        return
    if (offset != np.ravel(offset)[0]).any():
        raise ValueError(
            f"{name} is added to the predictions of all classes alike, which changes nothing in "
            f"one model of all of them (loss {loss.name!r}); leave it out, or fit one model of "
            "each class against the rest (multi_class='ovr')"
        )


def check_domain(loss, targets, name="y"):
    """Raise ValueError for targets outside the loss's domain; `name` is what the message calls
    them.
    """
    domain = loss.target_domain
    if domain == REALS or (allowed := domain.contains(targets)).all():
        return
    place = tuple(np.argwhere(~allowed)[0])
    bad = targets[place]
    hint = ""
    if loss.classification:
        hint = "; GDClassifier takes labels of any kind"
    elif bad == -1.0 and set(np.unique(targets)) == {-1.0, 1.0}:
        hint = (
            ", as labels of a classifier become: this is a loss of regressions, which GDRegressor "
            "has; GDClassifier has others, such as 'log_loss'"
        )
    raise ValueError(
        f"{name} must be {domain.text} for loss={loss.name!r}, got {bad:g} (first in row "
        f"{place[0]}){hint}"
    )
