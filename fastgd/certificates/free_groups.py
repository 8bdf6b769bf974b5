"""A lower bound on F where some groups have no penalty: squared losses and lengths of groups.

The duality gap needs derivatives that are 0 in every coefficient without a penalty, as in an
intercept, which no point in floats has.  Let f be these columns and the intercept, H their matrix
and g the gradient.  From w a step e_f = -H^-1 g_f, which is not taken, leads to the least F along
them, lower by lambda^2 / 2, lambda^2 = g_f' H^-1 g_f, and moves the derivative in a column j by
x_j'X_f e_f / n, no more than |x_j| lambda, |x_j| being its root mean square.  Beyond that

    F(w) - F* <= lambda^2 / 2 + the gap of the other groups, whose gradients may be as much longer

as that is: the sum over groups of

    c (w_g.g_g + |w_g| |x_g| lambda) + l1_g |w_g|_1 + strength_g |w_g| + l2 |w_g|^2 / 2 + conjugate,

with the share c of derivatives, at most 1, that is within the penalty of each group without an L2
part, which costs the loss (1 - c) times how far it is above its infimum.
"""

import numpy as np

from fastgd.certificates.duality_gap import DualityGap
from fastgd.certificates.rounding import derivative_rounding, offset_size, sum_rounding
from fastgd.linalg.precision import EPS
from fastgd.penalties.group_term import HALVINGS
from fastgd.penalties.weighted_term import soft


def free_groups(groups):
    """Numbers of the groups without a penalty.

    Examples
    --------
    >>> from fastgd.penalties.group_term import FeatureGroups
    >>> two, zeros = np.ones(2, dtype=int), np.zeros(2)
    >>> free_groups(FeatureGroups(np.arange(2), two, np.array([0.5, 0.0]), zeros, zeros)).tolist()
    [1]
    """
    bent = np.add.reduceat(groups.l2, np.cumsum(groups.sizes) - groups.sizes) > 0.0
    return np.flatnonzero((groups.strengths == 0.0) & (groups.l1 == 0.0) & ~bent)


def lower_bound(objective, groups, free, factor, v, smooth_value, gradient):
    """A number that F is nowhere below, from the smooth part of F and its gradient alone: no pass
    but for what tells how that rounds.

    Parameters
    ----------
    objective : Objective
        Of a squared loss.
    groups : FeatureGroups
        Of its penalty.
    free : ndarray of int
        What `free_groups` finds.
    factor : Factor
        `full`, of the columns of these, in the order of `groups`, and the intercept, where there is
        one.
    v, gradient : ndarray, (size,)
    smooth_value : float
    """
    F, d, k = objective, objective.n_features, objective.n_predictions
    features, sizes = groups.features, groups.sizes
    starts = np.cumsum(sizes) - sizes
    group = np.repeat(np.arange(sizes.size), sizes)
    table, slopes = v.reshape(-1, k), gradient.reshape(-1, k)
    coef = table[:d][features]
    own = slopes[:d][features] - groups.l2[:, None] * coef  # of the loss
    means = F.root_mean_squares()[features]
    own_free = np.isin(group, free)
    off = np.vstack([own[own_free], slopes[d:]])
    doubt = factor.doubt(sum_rounding(F))
    if doubt >= 1.0:
        return -np.inf
    value = smooth_value + F.rest_value(v)
    predicted = float(F.root_mean_squares() @ np.abs(table[:d]).sum(axis=1)) + offset_size(F)
    predicted += float(np.abs(table[d:]).sum())
    unsure = np.sqrt(k) * derivative_rounding(F, value) * factor.inverse_norm()
    decrement = float(np.linalg.norm([factor.norm_of(one) for one in off.T]))
    decrement = (decrement + unsure + 2.0 * EPS * predicted) / np.sqrt(1.0 - doubt)

    def lengths(values):
        return np.sqrt(np.add.reduceat(np.square(values).sum(axis=1), starts))

    longer = decrement * np.sqrt(np.add.reduceat(np.square(means), starts))
    sizes_of = _lengths_beyond(own, groups.l1[group], lengths)
    bent = np.add.reduceat(groups.l2, starts) > 0.0
    held = ~bent
    held[free] = False
    share = _share(lambda c: sizes_of(c) + c * longer, groups, held)
    beyond = np.maximum(sizes_of(share) + share * longer - groups.strengths, 0.0)
    beyond[~bent] = 0.0
    least = np.minimum.reduceat(np.where(groups.l2 > 0.0, groups.l2, np.inf), starts)
    with np.errstate(all="ignore"):
        conjugates = np.where(beyond > 0.0, 0.5 * beyond * (beyond / least), 0.0)
    away = lengths(coef)
    prices = np.where(np.isinf(groups.strengths), 0.0, groups.strengths)
    products = np.add.reduceat((coef * own).sum(axis=1), starts)
    costs = groups.l1[group] * np.abs(coef).sum(axis=1)
    costs += 0.5 * groups.l2 * np.square(coef).sum(axis=1)
    costs = np.add.reduceat(costs, starts) + prices * away + conjugates
    terms = share * (products + away * longer) + costs
    terms[free] = 0.0
    rounded = 8.0 * EPS * float(np.abs(coef * own).sum() + costs.sum())
    rest = (1.0 - share) * (smooth_value - F.loss.infimum) if share < 1.0 else 0.0
    gap = 0.5 * decrement**2 + float(np.maximum(terms, 0.0).sum()) + rest + rounded
    return value - gap - DualityGap(F).blurred(v, smooth_value, gap)


def _lengths_beyond(own, l1, lengths):
    """Function of a share: lengths of that share of derivatives beyond the L1 part."""
    if not l1.any():
        whole = lengths(own)
        return lambda share: share * whole
    return lambda share: lengths(soft(share * own, l1[:, None]))


def _share(lengths, groups, held):
    """The greatest share, at most 1 and but for some halvings, at which no group that is `held` is
    beyond its strength.
    """

    def within(share):
        return bool((lengths(share)[held] <= groups.strengths[held]).all())

    if within(1.0):
        return 1.0
    if not groups.l1.any():
        beyond = held & (lengths(1.0) > groups.strengths)
        return float((groups.strengths[beyond] / lengths(1.0)[beyond]).min()) * (1.0 - EPS)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if within(middle) else (low, middle)
    return low
