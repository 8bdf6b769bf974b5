"""Learning rates as three numbers: the rate of update t is c / (t0 + t)^p, t = 1, 2, ...

Kernels get the numbers; nothing here is compiled.  `"auto"` and `"line_search"` are not schedules:
solvers choose those steps.
"""

from typing import NamedTuple

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.losses.in_python import in_python

SCHEDULES = ("constant", "invscaling", "optimal", "adaptive", "pa1", "pa2")
LEARNING_RATES = ("auto", *SCHEDULES, "line_search")


class Schedule(NamedTuple):
    """Rate c / (t0 + t)^p of update t.

    Examples
    --------
    >>> Schedule(0.5, 0.0, 1.0).rate(2)
    0.25
    """

    c: float
    t0: float = 0.0
    p: float = 0.0

    def rate(self, update):
        """Rate of update number `update`, which starts at 1."""
        return self.c / (self.t0 + update) ** self.p


def make_schedule(learning_rate, eta0, power_t, alpha, loss):
    """Schedule of that name, with the meaning it has in scikit-learn's SGDClassifier.

    Parameters
    ----------
    learning_rate : {"constant", "invscaling", "optimal", "adaptive", "pa1", "pa2"}
        eta0; eta0 / t^power_t; 1 / (alpha (t_init + t - 1)) with Bottou's t_init; eta0, divided by
        5 when progress stalls; eta0 as the aggressiveness C of a passive-aggressive step (both).
    eta0, power_t, alpha : float
    loss : Loss

    Raises
    ------
    ValueError
        For `"optimal"` with alpha 0 or a loss of several predictions.

    Examples
    --------
    >>> make_schedule("invscaling", 0.1, 0.25, 1e-4, None)
    Schedule(c=0.1, t0=0.0, p=0.25)
    """
    if learning_rate == "invscaling":
        return Schedule(eta0, 0.0, power_t)
    if learning_rate != "optimal":
        return Schedule(eta0)
    if alpha == 0.0:
        raise ValueError(
            "learning_rate='optimal' divides by alpha, which is 0; give alpha > 0 or "
            "learning_rate='auto'"
        )
    several = isinstance(loss, VectorLoss)
    if several and not loss.classification:
        raise ValueError(
            "learning_rate='optimal' needs a loss of one prediction or of classes; use 'auto', "
            "'constant' or 'invscaling'"
        )
    typical = np.sqrt(1.0 / np.sqrt(alpha))
    # The derivative of the class's own score is negative where that is low.
    first = typical / max(1.0, 0.0 if several else in_python(loss.derivative, -typical, 1.0))
    return Schedule(1.0 / alpha, 1.0 / (first * alpha) - 1.0, 1.0)
