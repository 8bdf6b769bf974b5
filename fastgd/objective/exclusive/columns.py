"""Which columns never meet in a row, found in the rows themselves.

Two candidates, and the larger one is taken:

- the longest range of neighbouring columns of which no two meet, as one-hot coding makes them;
- the rarest column of each row, the others of that row being given up, as long as there are any.

To either is added what meets none of it.  Each takes a reading or two of the indices of X, a third
of a pass; what cannot be there is seen in a sample first, and a row too rich ends the search.
"""

from typing import NamedTuple

import numpy as np

from fastgd.objective.exclusive import kernels
from fastgd.objective.measured import measured_once
from fastgd.objective.moments import sampled_nonzeros
from fastgd.runtime.array_shapes import shaped

# Rounds of adding what meets none of the columns so far.
ROUNDS = 3
# The search gives up at so many times the columns that may be left over: some of them come back.
SLACK = 2


@shaped(first="int64 f in 0:d", rest="int64 r in 0:d", codes="int32 d in -f:r")
class Exclusive(NamedTuple):
    """Columns of which no row holds two, and the others.

    Attributes
    ----------
    first, rest : ndarray of int
        These columns, and the others.
    codes : ndarray of int32, (d,)
        As `fastgd.objective.exclusive.kernels` has them.
    """

    first: np.ndarray
    rest: np.ndarray
    codes: np.ndarray


def find_exclusive(objective, most=np.inf):
    """Exclusive columns of an objective that leave at most so many others, an `Exclusive`, or None
    where there are too few; looked for once.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X = np.array([[1.0, 0.0, 0.0, 5.0], [0.0, 2.0, 0.0, 3.0], [0.0, 0.0, 1.0, 1.0]])
    >>> find_exclusive(Objective("squared_error", X, np.zeros(3))).first
    array([0, 1, 2])
    """
    F = objective if objective.parent is None else objective.parent
    F = F if F.together is None else F.together.objective
    known = F.measured.get("exclusive")
    if known is None or (known[1] is None and known[0] < most):
        known = F.measured["exclusive"] = most, _found(F, most)
    found = known[1]
    return found if found is not None and found.rest.size <= most else None


def fewest_others(objective, most):
    """At least how many columns are left over, or a number above `most`: by a sample of the rows.

    Each row holds at most one that is not, so that those left over hold all other nonzeros, and no
    fewer than the most frequent columns do it.
    """
    F = objective
    if F.row_length - 1.0 > most:
        return F.row_length - 1.0
    counts, n_rows = measured_once(F, sampled_nonzeros)
    held = np.cumsum(np.sort(counts[counts > 0])[::-1])
    return int(np.searchsorted(held, held[-1] - n_rows)) if held.size else 0


def _found(F, most):
    if fewest_others(F, most) > most:
        return None
    d, n = F.n_features, F.n_samples
    counts, nearest = np.zeros(d, np.int64), np.full(d, d, np.int64)
    kernels.survey(F.rows, n, counts, nearest)
    chosen = _longest_range(nearest)
    left = d - np.count_nonzero(chosen)
    rarest = np.ones(d, np.bool_)
    limit = int(min(SLACK * most, left, d))
    if kernels.thin(F.rows, n, counts, rarest, limit) <= limit:
        left_by_rarest = d - np.count_nonzero(rarest)
        chosen = rarest if left_by_rarest < left else chosen
    elif left > SLACK * most:
        return None
    chosen = _completed(F, chosen, counts)
    if chosen.all():  # something has to be left
        chosen[np.argmax(counts)] = False
    first, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    if rest.size > most:
        return None
    codes = np.empty(d, np.int32)
    codes[first] = -1 - np.arange(first.size)
    codes[rest] = np.arange(rest.size)
    return Exclusive(first, rest, codes)


def _longest_range(nearest):
    """The longest range of columns, none of which meets another of it, as a mask; `nearest` says
    where the nearest to its right is that each meets.
    """
    d = nearest.size
    # From each column on a range may go up to the least of all that are met from there on.
    ends = np.minimum.accumulate(nearest[::-1])[::-1]
    begin = int(np.argmax(ends - np.arange(d))) if d else 0
    chosen = np.zeros(d, np.bool_)
    chosen[begin : ends[begin] if d else 0] = True
    return chosen


def _completed(F, chosen, counts):
    """The mask `chosen` with columns that meet none of it, and not each other."""
    for _ in range(ROUNDS):
        met = chosen.copy()
        kernels.find_met(F.rows, F.n_samples, chosen, met)
        if met.all():
            break
        free = ~met
        given_up = kernels.thin(F.rows, F.n_samples, counts, free, F.n_features)
        chosen = chosen | free
        if given_up == 0:
            break
    return chosen
