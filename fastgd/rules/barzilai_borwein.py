"""Rates from the last step and what it changed in the gradient, for descent on all rows."""

import numpy as np


def barzilai_borwein_rate(s, y, recent, *, share, memory):
    """1 / curvature along the last step: the long estimate s's / s'y or, where the short one
    s'y / y'y is much less, the least short one of the last few steps (ABBmin).

    Where s'y is not positive F is not convex along s and has no curvature to go by: |s| / |y|, the
    geometric mean of both, is taken.

    Parameters
    ----------
    s, y : ndarray, (size,)
        The last step, and the gradient after it less that before it.
    recent : list of float
        Short estimates of the steps before, the last one last.
    share : float
        Much less is less than this share of the long estimate.
    memory : int
        Of so many short ones the least is taken.

    Returns
    -------
    rate : float
        NaN where s's or y'y is 0.
    recent : list of float
        For the next step.

    References
    ----------
    Barzilai and Borwein (1988).  Frassoldati, Zanni and Zanghirati (2008), New adaptive stepsize
    selections in gradient methods.

    Examples
    --------
    >>> s = np.array([1.0, 1.0])
    >>> barzilai_borwein_rate(s, 4.0 * s, [], share=0.8, memory=5)
    (0.25, [0.25])
    >>> barzilai_borwein_rate(s, np.array([1.0, 9.0]) * s, [0.15], share=0.8, memory=5)
    (0.12195121951219512, [0.15, 0.12195121951219512])
    """
    product, length, change = float(s @ y), float(s @ s), float(y @ y)
    if length == 0.0 or change == 0.0:
        return np.nan, recent
    if not product > 0.0:
        return float(np.sqrt(length) / np.sqrt(change)), recent
    long, short = length / product, product / change
    recent = [*recent, short][-memory:]
    return min(recent) if short < share * long else long, recent
