"""Plain descent on single rows at rates 1 / (alpha (t0 + t)), in units of the rows: where the
penalty is strong.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from fastgd.losses.in_python import in_python
from fastgd.rules.classic import Gd
from fastgd.rules.schedules import Schedule
from fastgd.runtime.array_shapes import shaped
from fastgd.solvers.stochastic.scheduled import Stochastic, StochasticMemory

# So many rows tell of lengths, and how much greater the median of their squared norms has to be
# than that of the first ones.
LOOKED_AT = 64
MUCH_LONGER = 2.0


@dataclass
@shaped(norms="*")
class BottouRatesMemory(StochasticMemory):
    """What falling rates remember of the first rows, or longer ones; None before these.

    Attributes
    ----------
    mean_squared_norm : float or None
        Of the rows: R^2.
    largest_mean_square : float or None
        Of a column.
    median : float or None
        Of the squared norms of the rows that these two are of.
    norms : ndarray or None
        Squared norms of rows since then, fewer than `LOOKED_AT`.
    settled : bool
        Whether the median is of `LOOKED_AT` rows or more.
    """

    mean_squared_norm: float | None = None
    largest_mean_square: float | None = None
    median: float | None = None
    norms: np.ndarray | None = None
    settled: bool = False

    def lengthen(self, longer):
        """Let the rates be those of rows so many times as long, squared."""
        self.mean_squared_norm *= longer
        self.largest_mean_square *= longer
        self.median *= longer


class BottouRates(Stochastic):
    """One row per update at the rates of `"optimal"`, whatever the units of the columns.

    Divided by R, the root of the mean squared norm of the rows, these have length 1, coefficients
    are R times as large, and the strength of the penalty is a = l2 / R^2. The typical coefficient
    is then a^(-1/4), and the first step takes a row's prediction as far as that and no farther
    (Bottou, 2012, section 5.2). The intercept, whose column of ones every row shares, moves at the
    rate that makes it count as the column with the largest mean square.

    Mean accuracy on the next of 12 chunks of 1,000 rows of text (rows of length 1, alpha = 1e-4;
    hinge, log loss): 0.951 and 0.931; with the intercept at the full rate 0.905 and 0.892; Adagrad
    0.930 and 0.912. The same times 30, with 900 times the penalty, is the same run.

    Parameters
    ----------
    objective : Objective
        With an L2 part.
    seed, shuffle, average_from
        As for `Stochastic`.
    """

    traits = replace(Stochastic.traits, chooses_steps=True)
    Memory = BottouRatesMemory

    def __init__(self, objective, seed, *, shuffle=True, average_from=np.inf):
        super().__init__(
            objective, Gd(), Schedule(1.0), 1, seed, shuffle=shuffle, average_from=average_from
        )

    def resume(self, state):
        """Measure the first chunk; those that follow go on at its rates, or shorter ones."""
        super().resume(state)
        memory = state.memory
        if not memory.mean_squared_norm:
            moments = self.objective.moments()
            memory.mean_squared_norm = float(moments.mean_norm2)
            memory.largest_mean_square = float(moments.mean_squares.max())
            memory.n_measured = self.rows.size
        self._follow(memory)
        self._restore(state, {})

    def _follow(self, memory):
        """Let rows that are much longer than the first ones shorten the rates: after a chunk of a
        tenth of their length the coefficients of squared hinge losses were 6e5.

        By the median of `LOOKED_AT` rows or more, and before there are so many by that of all so
        far, up and down: by the mean of a chunk one odd row, or the longest of all that came one
        by one, shortened the rates for good (accuracy 0.47 for 0.64).
        """
        norms = self._squared_norms()
        norms = norms if memory.norms is None else np.append(memory.norms, norms)
        if norms.size == 0:
            return
        enough, median = norms.size >= LOOKED_AT, float(np.median(norms))
        memory.median = memory.median or median
        longer = median / memory.median
        if not memory.settled or (enough and longer > MUCH_LONGER):
            memory.lengthen(longer)
        memory.settled = memory.settled or enough
        memory.norms = None if enough else norms

    def _squared_norms(self):
        """Of some of these rows, those of zeros left out."""
        taken = self.objective.rows.take(self.rows[:: max(self.rows.size // LOOKED_AT, 1)])
        if sp.issparse(taken):
            row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
            norms = np.bincount(row, taken.data**2, taken.shape[0])
        else:
            norms = np.einsum("ij,ij->i", taken, taken)
        return norms[norms > 0.0]

    def _restore(self, state, workspace):
        """Take rates as was measured."""
        memory = state.memory
        self.intercept_rate = memory.largest_mean_square
        self.schedule = self._schedule(memory.mean_squared_norm)

    def fade(self, state, share):
        """As of schedules; and once most of what was measured is forgotten, it is the mean of what
        it was and of what these rows tell.
        """
        super().fade(state, share)
        memory = state.memory
        if memory.forget_share(share, self.rows.size):
            moments = self.objective.moments()
            found = float(moments.mean_norm2), float(moments.mean_squares.max())
            largest = 0.5 * (memory.largest_mean_square + found[1])
            memory.lengthen(0.5 + 0.5 * found[0] / memory.mean_squared_norm)
            memory.largest_mean_square = largest
            self._restore(state, {})

    def _schedule(self, mean_square):
        F = self.objective
        typical = (mean_square / F.l2) ** 0.25
        # Derivatives of K predictions are differences of probabilities.
        largest = 1.0 if F.vector else abs(in_python(F.loss.derivative, -typical, 1.0))
        first = typical / max(1.0, largest)
        return Schedule(1.0 / F.l2, mean_square / (first * F.l2) - 1.0, 1.0)
