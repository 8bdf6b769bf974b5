"""The null model, the best one without columns: where automatic descent starts, and what the
gap scale is a share of.
"""

import numpy as np

from fastgd.data.rows import DenseRows
from fastgd.data.targets import WeightedSamples
from fastgd.linalg.scalar_minimum import lowest
from fastgd.losses.base import VectorLoss, has_mean
from fastgd.losses.in_python import in_python
from fastgd.objective import kernels
from fastgd.objective.measured import measured_once
from fastgd.penalties.separable import NoPenalty

# Predictions of which one lies below and one above whatever has a minimum near.
EXTREME_PREDICTION = 30.0
# Beyond it exp is 0 or infinite; so many halvings leave nothing of it.
MAX_EXPONENT = 745.0
HALVINGS = 60
# Rows that are evaluated at once where memory is short.
PIECE = 1 << 18


def null_model(objective):
    """Intercept and objective of the best model without columns: (b, F0), b = 0 where there is
    no intercept.  It is kept: plans, rates and runs ask for it.
    """
    return measured_once(objective, objective.outputs.null_model)


def best_shift(objective):
    """`null_model` of a loss of one prediction."""
    exact = _exact_constant(objective)
    if exact is not None:
        return exact
    if objective.loss.squared:
        shift, value = _mean(objective.samples, objective.fit_intercept)
        return shift, value / objective.n_active
    few = _few_samples(objective)
    sums = loss_of_shift(objective, objective.samples.offsets) if few is None else few
    if objective.fit_intercept:
        size, usual = float(np.abs(objective.samples.offsets).max()), np.inf
        if size > 0.0:
            # What offsets of 100 may bring before a logarithm's link, 1e42, tells of no loss that
            # is next to nothing.
            usual = loss_of_shift(objective, np.zeros(1))(0.0)[0]
        # Where both classes weigh something the loss falls to a minimum, however small that is:
        # with one of 1e-100 beside ones F0 was 1e80 times too large, in whose unit claims are told.
        ends = objective.loss.classification and min(_class_weights(objective.samples)) > 0.0
        infimum = -np.inf if ends else objective.loss.infimum
        return lowest(sums, size, infimum, _likely_shift(objective), usual)
    return 0.0, sums(0.0)[0]


def _likely_shift(objective):
    """The shift with the mean of the targets, where a loss has a link: all of these have their best
    constant there, from which offsets lead away a little.
    """
    loss, samples = objective.loss, objective.samples
    if not has_mean(loss):
        return 0.0
    weights = samples.weights if samples.weights.size > 1 else None
    mean = float(np.average(samples.targets, weights=weights))
    if not loss.target_domain.low < mean < loss.target_domain.high:
        return 0.0

    def alone(shift):
        methods = loss.value, loss.derivative, loss.curvature
        return tuple(float(in_python(method, shift, mean)) for method in methods)

    with np.errstate(all="ignore"):
        likely = 0.0
        # Halving tells nothing where the mean is near: 60 calls of it, a twentieth of a small fit.
        if not (loss.convex and _is_near(loss, mean)):
            likely = _shift_of(loss, mean)
        far = abs(likely) > EXTREME_PREDICTION or not loss.convex
        found = lowest(alone, 0.0, loss.infimum, likely if far else 0.0)[0]
        # The value is at its infimum as soon as the shift is within 1e-7: an evaluation of all rows
        # more.
        _, derivative, curvature = alone(found)
        moved = found - derivative / curvature if curvature > 0.0 else found
        found = moved if abs(alone(moved)[1]) < abs(derivative) else found
    offsets = samples.offsets
    return found - float(np.average(offsets, weights=weights if offsets.size > 1 else None))


def _is_near(loss, mean):
    """Whether a shift of at most `EXTREME_PREDICTION` has this mean, where means rise with it."""
    low, high = (float(in_python(loss.mean, s * EXTREME_PREDICTION)) for s in (-1.0, 1.0))
    return low <= mean <= high


def _shift_of(loss, mean):
    """The shift with this mean, by halving, where means rise with the shift; else 0.

    Far from it losses are flat or steep beyond what a search gets over: from 0 it ended at -4 for
    inverse Gaussian amounts of 1e-30, and at 86 for Gamma amounts of 1e100, whose logarithm is 230.
    """
    low, high = -MAX_EXPONENT, MAX_EXPONENT

    def at(shift):
        return float(in_python(loss.mean, shift))

    # A mean that overflows in plain Python is no number, and beyond any.
    if not at(low) < mean or at(high) <= mean:
        return 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at(middle) < mean else (low, middle)
    return 0.5 * (low + high)


def _exact_constant(objective):
    """(b, F0) where all targets are one number b and the loss is at its infimum there, else None.

    What a search finds there is off by rounding, in whose unit a claim would say nothing.
    """
    samples, loss = objective.samples, objective.loss
    if loss.classification or not objective.fit_intercept or samples.offsets.any():
        return None
    targets = samples.active_targets()  # those of rows without weight may be any
    first = float(targets[0])
    if (targets != first).any():
        return None
    with np.errstate(all="ignore"):  # predictions may be on another scale than targets
        if in_python(loss.value, first, first) != loss.infimum:
            return None
    return first, float(loss.infimum)


def is_exact(objective, v):
    """Whether `v` is a null model that meets all targets, which are one number, exactly."""
    F = objective
    if F.vector or v[: F.n_features].any() or not F.fit_intercept:
        return False
    return v[-1] == F.null_intercept and _exact_constant(F) == (v[-1], F.null_value)


def null_point(objective, intercept):
    """Unknowns of the null model: this intercept, or one for each prediction, where there is one,
    and no columns.
    """
    table = objective.start().reshape(-1, objective.n_predictions)
    if objective.fit_intercept:
        table[-1] = intercept
    return table.ravel()


def falls_for_ever(loss, samples):
    """Whether the loss of all rows that count falls for ever with the intercept: their targets are
    one end of the domain, which no prediction reaches.

    Examples
    --------
    >>> from fastgd.data.targets import as_samples
    >>> from fastgd.losses import Poisson, SquaredError
    >>> [falls_for_ever(one(), as_samples(one(), [0.0] * 3, 3)) for one in (Poisson, SquaredError)]
    [True, False]
    """
    if isinstance(loss, VectorLoss) or not has_mean(loss):
        return False
    targets = samples.active_targets()
    end = float(targets[0])
    domain = loss.target_domain
    at_end = (domain.low_closed and end == domain.low) or (
        domain.high_closed and end == domain.high
    )
    if not at_end or not (targets == end).all():
        return False
    before, after = (
        in_python(loss.derivative, place, end)
        for place in (-EXTREME_PREDICTION, EXTREME_PREDICTION)
    )
    return bool(before * after > 0.0)


def check_optimum(loss, samples):
    """Raise ValueError where one of several targets, whose samples these are, has no finite optimum
    with an intercept, because the loss `falls_for_ever`.
    """
    if not has_mean(loss):
        return
    for k, one in enumerate(samples):
        if falls_for_ever(loss, one):
            where = f"column {k} of y" if len(samples) > 1 else "y"
            raise ValueError(
                f"{where} is {one.targets[one.active()[0]]:g} in every row that counts: loss "
                f"{loss.name!r} then has no finite optimum, it falls for ever with the intercept; "
                "add rows with another target, or leave the intercept out (fit_intercept=False)"
            )


def _mean(samples, fit_intercept):
    """The best constant of squares and their sum, without a kernel to compile for them."""
    weights = samples.weights if samples.weights.size > 1 else None
    left = samples.targets - samples.offsets if samples.offsets.any() else samples.targets
    shift = float(np.average(left, weights=weights)) if fit_intercept else 0.0
    squares = 0.0
    for first in range(0, left.size, PIECE):
        here = slice(first, first + PIECE)
        part = left[here] - shift
        squares += float(part @ (part if weights is None else weights[here] * part))
    return shift, 0.5 * squares


def _few_samples(objective):
    """`loss_of_shift` from one sample for each class, where a null model cannot tell the others
    apart, else None.
    """
    samples, n_active = objective.samples, objective.n_active
    if not objective.loss.classification or samples.offsets.any():
        return None
    weights = np.array(_class_weights(samples), dtype=np.float64)
    two = WeightedSamples(np.array([1.0, -1.0]), weights, np.zeros(1))
    # For two samples a kernel is not worth compiling.
    plain = getattr(kernels.shifted_sums, "py_func", kernels.shifted_sums)
    return lambda shift: tuple(
        total / n_active for total in plain(two, objective.loss, np.zeros(1), shift)
    )


def _class_weights(samples):
    """What the classes +1 and -1 weigh."""
    positive = samples.targets > 0.0
    if samples.weights.size > 1:
        return samples.weights[positive].sum(), samples.weights[~positive].sum()
    return samples.weights[0] * positive.sum(), samples.weights[0] * (~positive).sum()


def loss_of_shift(objective, predictions):
    """Function of a shift of all predictions: (mean loss, its derivative, its curvature) in the
    shift.

    It is an objective without columns, for whose passes no other kernel has to be compiled.
    """
    F = objective
    samples = WeightedSamples(F.samples.targets, F.samples.weights, predictions)
    if not F.rows.in_memory:
        return _sums_in_pieces(F, samples)
    bare = _without_columns(F, F.rows.without_columns(), samples)
    curvatures = np.empty(F.n_samples)

    def sums(shift):
        value, derivative = bare.loss_and_gradient(np.array([shift]), curvatures)
        return value, float(derivative[0]), float(curvatures.sum()) / bare.n_active

    return sums


def _without_columns(F, rows, samples):
    return F.derived(rows=rows, samples=samples, penalty=NoPenalty(), alpha=0.0, fit_intercept=True)


def _sums_in_pieces(F, samples):
    """`loss_of_shift` without another array as long as there are rows."""
    parts = (samples.part(slice(first, first + PIECE)) for first in range(0, F.n_samples, PIECE))
    pieces = [
        _without_columns(F, DenseRows(np.empty((part.size(), 0))), part)
        for part in parts
        if part.n_active() > 0  # a mean of none is none
    ]
    curvatures = np.empty(PIECE)

    def sums(shift):
        total = np.zeros(3)
        for piece in pieces:
            own = curvatures[: piece.n_samples]
            value, derivative = piece.loss_and_gradient(np.array([shift]), own)
            total += piece.n_active * value, piece.n_active * float(derivative[0]), float(own.sum())
        return tuple(total / F.n_active)

    return sums
