"""Coordinate descent on the columns of a proximal Newton model, where they have no matrix.

Coefficients that are 0 move only first and last, and where those that are not have come a tenth as
close.  A rough step is a few epochs, until one brings a small share of what all did (Yuan, Ho and
Lin, 2012, section 3).

The order of the columns is random: in the same one throughout, 20,000 x 20,000 of text took four
times as long, for its columns are all alike to some degree (Lee and Wright, 2019).  But some epochs
in a row have one order, of which an extrapolation is made (`fastgd.solvers.l1.extrapolation`), and
columns that lie one after the other in memory stay together, eight at a time: with 60 values a
column an epoch takes 0.6 of the time.  These are no neighbours in X, which are alike where columns
are sorted by how frequent they are: text took 1.2 to 1.7 times as many epochs with such.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.active_epochs import descend, hot_epoch
from fastgd.solvers.l1.column_subset import scattered
from fastgd.solvers.l1.extrapolation import Extrapolation
from fastgd.solvers.l1.settled_signs import CG_STEPS, settle

# So many columns that follow one another in memory are gone over together.
RUN = 8
# Epochs at most.
MAX_EPOCHS = 50
# A rough step ends where an epoch brings less than this share of what the step did, or after so
# many epochs.  To go on makes a step that the line search cuts, for curvatures there are others.
ROUGH_SHARE = 0.1
ROUGH_EPOCHS = 20
# After so many epochs at least, of which the last three left the number of nonzero coefficients as
# it was but for this share, a linear system is solved for these.  Without that a one-hot problem of
# 11,570 x 3912 with 3,196 nonzero coefficients took 282 iterations for 9; after 10 epochs even
# columns visited 1.2 to 1.3 times as many values.  While signs change it brings nothing.
PATIENCE = 20
STEADY = 3e-4


class ColumnSweep:
    """Epochs over the columns of a model, which move `unknowns` to its minimum.

    Parameters
    ----------
    columns : ColumnSubset
    unknowns, gradient : ndarray
        Coefficients of the chosen columns and the intercept if there is one, and the gradient of
        the smooth part in them.
    derivatives, curvatures : ndarray, (n_samples,)
        Of the losses of the rows; the former move along.
    model : Model

    Attributes
    ----------
    visited : float
        How many stored values were visited.
    """

    def __init__(self, columns, unknowns, gradient, derivatives, curvatures, model):
        F, size = columns.objective, model.chosen.size
        *data, places = columns.by_column(model.chosen)
        self._data, self._model, self._unknowns = (*data, places), model, unknowns
        self._shape = F.n_samples, data[2].size - 1
        self._every = np.append(scattered(model.chosen), np.arange(size, unknowns.size))
        self._free = self._every >= size
        self._changes = np.zeros(unknowns.size)
        self._lengths = np.diff(data[2])[places].astype(np.float64)
        self._numbers = np.zeros(unknowns.size), curvatures, derivatives, unknowns
        self._strengths = F.l1, F.l2, F.n_active, size
        rows = curvatures, derivatives
        self._repeated = Extrapolation(gradient, *rows, unknowns, self._strengths)
        self._order: Any = None
        self._sizes: list = []
        self.visited = 0.0

    def run(self):
        """Move the unknowns, over all epochs."""
        if self._model.rough:
            self._few_epochs()
        else:
            descend(
                self._epoch,
                self._every,
                self._moving,
                self._model.goal,
                MAX_EPOCHS,
                self._solve_if_steady,
            )

    def _few_epochs(self):
        """Epochs over all, then over those that move, until one brings a small share of what all
        did.
        """
        fallen, active = 0.0, self._every
        for _ in range(ROUGH_EPOCHS):
            fell = self._epoch(active)[1]
            fallen += fell
            if fell <= ROUGH_SHARE * fallen:
                break
            active = self._moving()

    def _epoch(self, active):
        """The largest change of a derivative, and what the model fell by."""
        repeated = self._repeated
        if active is self._every:
            repeated.end()
        elif repeated.active is None:
            self._order = in_shuffled_runs(active, self._model.rng)
            repeated.begin(active)
        once = self.visited + float(self._lengths[active].sum())
        largest, fell = hot_epoch(self._once, active, self._changes, self._lengths)
        if self.visited > once:  # epochs over fewer columns were between them
            repeated.end()
        if repeated.active is not None:
            fell += repeated.advance()
        return largest, fell

    def _once(self, active):
        self.visited += float(self._lengths[active].sum())
        order = self._order
        if active is not self._repeated.active:
            order = in_shuffled_runs(active, self._model.rng)
        return kernels.column_epoch(
            self._data, order, *self._numbers, self._changes, *self._strengths
        )

    def _moving(self):
        """The coordinates that are not 0, or free; the same ones while epochs are repeated."""
        if self._repeated.active is not None:
            return self._repeated.active
        return self._every[(self._unknowns[self._every] != 0.0) | self._free]

    def _solve_if_steady(self, active):
        """Solve for the nonzero coefficients where their number is steady; whether it was."""
        sizes = self._sizes
        sizes.append(np.count_nonzero(self._unknowns))
        if len(sizes) < PATIENCE or abs(sizes[-4] - sizes[-1]) > STEADY * sizes[-1]:
            return False
        self._repeated.end()
        support = np.sort(self._moving())
        *data, places = self._data
        X = sp.csc_array(tuple(data), shape=self._shape)
        settle(X[:, places[support]], support, *self._numbers, *self._strengths)
        self.visited += CG_STEPS * float(self._lengths[support].sum())
        sizes.clear()
        return True


def in_shuffled_runs(active, rng):
    """The `active` coordinates, so many that follow one another together, in a random order."""
    firsts = RUN * rng.permutation(-(-active.size // RUN))
    places = (firsts[:, None] + np.arange(RUN)).ravel()
    return active[places[places < active.size]]
