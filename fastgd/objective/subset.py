"""The same objective on some of its rows or columns; what these read is charged to the whole."""

import copy

import numpy as np

from fastgd.data.check_X import as_rows
from fastgd.data.targets import WeightedSamples
from fastgd.objective.blocks import GROUP, cut
from fastgd.objective.meter import Meter

# Some rows stand for all where they have at least this share of the weight that so many have on
# average.
MIN_WEIGHT = 0.1


def on_groups(objective, groups, alpha):
    """The objective on some of the groups of `GROUP` rows in a row, with an `alpha` of its own.

    X stays where it is and is read in ranges, for the passes and products that take ranges.

    Parameters
    ----------
    objective : Objective
    groups : ndarray of int
        Numbers of the groups, in increasing order.
    alpha : float

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", np.arange(32.0)[:, None], np.zeros(32), alpha=0.1)
    >>> some = on_groups(F, np.array([0, 3]), 0.2)
    >>> some.ranges.tolist(), some.share
    ([[0, 8], [24, 32]], 0.5)
    >>> round(some.value([1.0, 0.0])), F.passes
    (195, 0.5)
    """
    F, some = objective, copy.copy(objective)
    some.parent = F
    some.ranges = np.stack([GROUP * groups, np.minimum(GROUP * (groups + 1), F.n_samples)], axis=1)
    some.share = float(np.diff(some.ranges).sum()) / F.n_samples
    some.range_cuts = cut(
        groups.size, int(F.n_nonzeros * some.share), F.n_features * F.n_predictions, 1
    )
    some.n_active = F.samples.total_weight(some.ranges)
    some.meter = Meter(F.meter, some.share)
    some.set_alpha(alpha)
    some.matrix_cuts = some.vector_cuts = some.together = None
    some.measured = {}
    return some


def on_block(objective, rows, facts, samples=None):
    """The objective's losses on one block of its rows, `rows`; `facts` say which, and `samples`
    are theirs, by default those that the objective has.

    What is summed over the rows of the blocks is added up; nothing is divided by their number.
    """
    F, part = objective, copy.copy(objective)
    part.rows = rows
    part.samples = F.samples.part(facts.own) if samples is None else samples
    part.n_samples = rows.shape()[0]
    full = F.n_nonzeros == F.n_samples * F.n_features
    part.n_nonzeros = part.n_samples * F.n_features if full else facts.nonzeros
    part.cuts = cut(part.n_samples, part.n_nonzeros, F.n_features * F.n_predictions)
    part.ranges = np.stack([part.cuts[:-1], part.cuts[1:]], axis=1)
    part.range_cuts = np.arange(part.cuts.size)
    part.use_rows(rows)
    part.meter = Meter(F.meter, facts.stored / max(F.n_stored, 1))
    part.matrix_cuts = part.vector_cuts = None
    return part


def without_rows(objective):
    """A copy that knows neither rows nor samples, to be sent to where these are."""
    bare = copy.copy(objective)
    bare.rows = bare.samples = bare.matrices = bare.parent = None
    bare.meter, bare.measured = Meter(), {}
    bare.take_moments(None)
    return bare


def on_sample(objective, n_rows, alpha):
    """The objective on the first rows of the sample that was kept of a source, which are in random
    order, with an `alpha` of its own.
    """
    F, chosen = objective, objective.rows.sampled[:n_rows]
    samples = _alone(F.samples, chosen)
    rows = as_rows(F.rows.sample.part(slice(0, n_rows)), checked=True)
    some = F.derived(rows=rows, samples=samples, alpha=alpha)
    some.parent = F
    some.take_moments(F.moments())
    return _charging(F, some, n_rows / F.n_samples)


def on_rows(objective, chosen):
    """The objective on a copy of some of the rows, their numbers `chosen`."""
    F = objective
    rows = as_rows(F.rows.part(chosen), checked=True)
    some = F.derived(rows=rows, samples=_alone(F.samples, chosen))
    return _charging(F, some, len(chosen) / F.n_samples)


def on_other_rows(objective, rows, samples, alpha):
    """The objective on `rows` that stand for its own, with the samples of these and another
    `alpha`: some of its rows, say, and means of the others.
    """
    F = objective
    other = F.derived(rows=rows, samples=samples, alpha=alpha)
    return _charging(F, other, rows.shape()[0] / F.n_samples)


def reweighted(objective, weights, alpha):
    """The objective on the same rows with other `weights`, up to a factor, and another `alpha`.

    Rows of weight 0 are read and do not count.
    """
    F = objective
    samples = WeightedSamples(F.samples.targets, scaled(weights), F.samples.offsets)
    return _charging(F, F.derived(samples=samples, alpha=alpha), 1.0)


def on_columns(objective, chosen):
    """The objective on a copy of some of the columns, their numbers `chosen`: one pass."""
    F = objective
    rows = as_rows(F.rows.part(slice(None), chosen), checked=True)
    F.meter.count()
    return _charging(F, F.derived(rows=rows), rows.stored() / max(F.rows.stored(), 1))


def _alone(samples, chosen):
    """The samples of some rows as those of all that there are."""
    some = samples.part(chosen)
    return WeightedSamples(some.targets, scaled(some.weights), some.offsets)


def _charging(objective, other, share):
    """The `other` objective, whose passes are so much of a pass of `objective`."""
    other.meter = Meter(objective.meter, share)
    return other


def represent(objective, ranges):
    """Whether the rows in `ranges` weigh enough to stand for all of the objective's.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", np.ones((4, 1)), np.ones(4), sample_weight=[0, 1, 1, 1])
    >>> represent(F, np.array([[0, 1]])), represent(F, np.array([[0, 2]]))
    (False, True)
    """
    share = np.diff(ranges).sum() / np.diff(objective.ranges).sum()
    weight = objective.samples.total_weight(ranges)
    return bool(weight >= MIN_WEIGHT * share * objective.n_active)


def scaled(weights):
    """Weights of which those that count have a mean of 1; all 1 where none does."""
    counting = weights[weights > 0.0]
    return weights / counting.mean() if counting.size else np.ones(1)
