"""A lower bound on F from dual variables that are next to feasible ones, where no L2 part makes all
of them feasible.

Let s be those of rows, of pieces `fastgd.losses.piecewise`, and p those of the L1 part and of
bounds, of suprema of p (w - kink).  What they leave of the gradient, r = X' s + p, is taken away
by changes of length |r| in the inverse of the curvature H = X' C X + K, shared out over rows and
coefficients as in a Newton step.  As H holds each row's curvature c (no leverage is above 1), none
of its variables moves by more than sqrt(c) |r|.  Where all are that far from their bounds, the
changed ones are feasible, and with u = center + sign X w

    F* >= mean(s center - bend s^2 / 2) + w.r - |r| sqrt(mean(c (u - bend s)^2) + w' K w)
          - |r|^2 / 2

beside the sum of -p kink.  An L2 part of some coefficients is one more such variable, l2 w, which
has no ends.  Where a coefficient has one value only, all that is left along it is its value's.

Columns that are left out of H, for they are zeros or made up by others, must have a rest of 0 as it
is.

What rounds, with u = `sum_rounding`, x_j the root mean square of column j and |s| that of the rows'
variables (Cauchy and Schwarz):

- X' s, and r with it, by u |s| x_j: through w.r that is taken off, for the length |r| it is
  brought into the inverse of H and added, and so much may be left along columns that are not in H;
- H, by u: |r| grows by 1 / sqrt(1 - u |L^-1|^2);
- the terms s center, by 8 eps of their sizes, and a center, of a target and an offset that may
  cancel, by 4 eps of the greatest offset, times |s|.
"""

from typing import NamedTuple

import numpy as np

from fastgd.certificates.rounding import column_sizes, offset_size, sum_rounding
from fastgd.linalg.precision import EPS


class ColumnParts(NamedTuple):
    """Dual variables of kinks and bounds, (m,) each but for `summed`.

    Attributes
    ----------
    distances : ndarray
        w - kink.
    curvature : ndarray
        Their share of the diagonal of K.
    slack : ndarray
        How far they are from their nearest end.
    terms : ndarray
        -p kink.
    summed : ndarray, (d,)
        The sum of p of each column.
    constant : float
        What the penalty has beside all suprema.
    """

    distances: np.ndarray
    curvature: np.ndarray
    slack: np.ndarray
    terms: np.ndarray
    summed: np.ndarray
    constant: float = 0.0


def lower_bound(objective, box, rows, point, left, factor, redundant, net):
    """A number that F is nowhere below, or -inf; no pass.

    Parameters
    ----------
    objective : Objective
        Some of whose coefficients have no L2 part.
    box : BoundedDuals
        Ends and bend of the pieces.
    rows : iterable
        Of some rows with `shares`, `pieces` and `u`, their s and their c, (n_pieces, n).
    point, left : ndarray, (size,)
        The unknowns, and X' s.
    factor : Factor
        Of H, which is regular.
    redundant : Redundant
        Columns that were left out of H.
    net : ColumnParts or None
    """
    F, fixed = objective, objective.term.fixed
    coef = objective.split(point)[0]
    sums = np.zeros(4)
    reach = np.inf
    for some, s, c in rows:
        terms = s * some.pieces.center - 0.5 * box.bend * s * s
        parts = terms, np.abs(terms), c * np.square(some.u - box.bend * s)
        sums += [
            *(some.shares @ part.sum(axis=0) for part in parts),
            some.shares @ np.square(np.abs(s).sum(axis=0)),
        ]
        slack = np.minimum(s - box.low, box.high - s) * np.sqrt(some.shares)
        reach = min(reach, float(np.min(slack[c > 0.0] / np.sqrt(c[c > 0.0]), initial=np.inf)))
    value, terms, away, pulls = *sums[:3], np.sqrt(sums[3])
    rest, size = left.copy(), sum_rounding(F) * column_sizes(F)
    d = coef.size
    rest[:d] += F.term.gradient(coef)
    value -= F.term.smooth_value(coef)
    terms += F.term.smooth_value(coef)
    if net is not None:
        rest[:d] += net.summed
        value += float(net.terms.sum()) + net.constant
        terms += float(np.abs(net.terms).sum()) + abs(net.constant)
        away += float(net.curvature @ np.square(net.distances))
        reach = min(reach, float((net.slack / np.sqrt(net.curvature)).min(initial=np.inf)))
    linear = float(point @ rest)
    if fixed is not None:
        rest[:d][fixed] = 0.0
    seen, inverse_norm = factor.diagonal > 0.0, factor.inverse_norm()
    blind = ~seen
    blind[redundant.columns] = False
    kernel = np.append(rest[blind], rest @ redundant.directions)
    noise = pulls * np.append(
        size[blind], size @ np.abs(redundant.directions) + redundant.residuals
    )
    doubt = factor.doubt(sum_rounding(F))
    if not doubt < 1.0 or (np.abs(kernel) > noise).any():
        return -np.inf
    unsure = pulls * float((size / factor.scale)[seen].max(initial=0.0)) * inverse_norm
    length = (factor.norm_of(rest) + unsure) / np.sqrt(1.0 - doubt)
    if not length <= reach:
        return -np.inf
    value += linear - 0.5 * length**2 - length * np.sqrt(away)
    rounded = 8.0 * EPS * terms + 4.0 * EPS * pulls * offset_size(F)
    return float(value - rounded - pulls * float(size @ np.abs(point)))
