"""Whether rounding is all that is left to gain: a run ends there."""

from dataclasses import dataclass

import numpy as np

from fastgd.linalg.precision import EPS

# So many iterations in a row that bring nothing end a run: after one or two, steps that rounding
# had spoilt may bring something again.
IDLE_ITERATIONS = 4


@dataclass
class Falls:
    """What `notice_rounding` remembers; memories of solvers that call it derive from this.

    Attributes
    ----------
    idle : int
        Iterations in a row in which neither F fell nor the gradient got shorter.
    shortest : float
        Least squared length of a gradient so far.
    """

    idle: int = 0
    shortest: float = np.inf


def brought_nothing(before, value, length_before, length):
    """Whether F fell by no more than its rounding, and the gradient is not half as long, by the
    squares of its lengths.

    Examples
    --------
    >>> brought_nothing(1.0, 1.0, 4e-16, 3e-16), brought_nothing(1.0, 1.0, 4e-16, 0.5e-16)
    (True, False)
    """
    return before - value <= 4.0 * EPS * abs(before) and not length < 0.25 * length_before


def notice_rounding(state, before, value, gradient):
    """Make a run end once some iterations in a row brought nothing; `state.memory` is a `Falls`."""
    falls, length = state.memory, float(gradient @ gradient)
    idle = brought_nothing(before, value, falls.shortest, length)
    falls.idle = falls.idle + 1 if idle else 0
    falls.shortest = min(length, falls.shortest)
    if falls.idle >= IDLE_ITERATIONS:
        state.done = True
