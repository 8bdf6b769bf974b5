"""What a Newton step on the central path does to the dual variables of the rows."""

from typing import Any

import numpy as np

from fastgd.losses.piecewise import forms
from fastgd.objective.cost_model import DUALS_LOOP, VALUE
from fastgd.objective.kernels import NO_ARRAY
from fastgd.runtime.threads import map_ranges
from fastgd.solvers.interior_point import kernels
from fastgd.solvers.interior_point.kernels import (
    BEGIN,
    CENTRE,
    CORRECT,
    MEASURE,
    MOVE,
    PREDICT,
    TILE,
)

# Rows of a block, which has sums of its own.
BLOCK = 32 * TILE
# Curvatures of pieces that are not asked for.
NO_PIECES = np.empty((0, 0))


class RowSteps:
    """Steps of the dual variables of all rows that count, on the threads of an objective: the same
    bits for any number of them.

    An iteration begins at a point, and asks for a first step, a second one that corrects it,
    perhaps for more of these, and the move.  A step is given by how much predictions change, of
    each row and of all.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective):
        F = self.objective = objective
        made = forms(F.loss)
        # Where some rows do not count, copies of what belongs to the others.
        self._chosen = None if F.n_active == F.n_samples else F.samples.active()
        samples = F.samples if self._chosen is None else F.samples.part(self._chosen)
        ends = made.low, made.high, made.bend
        of_rows = samples.targets, samples.weights, samples.offsets
        self._data = made.of_pieces, ends, of_rows, float(F.n_active)
        self._cuts = np.append(np.arange(0, F.n_active, BLOCK), F.n_active).astype(np.uint64)
        self._asked: Any = None
        self._before: Any = None
        self._point: tuple[Any, float, Any, Any]

    def begin(self, products, intercept, duals, derivatives, curvatures, of_pieces=NO_PIECES):
        """Begin at these products X w, intercept and dual variables: derivatives of the mean loss
        for a step to products of 0, curvatures of rows times their weights, and those of pieces
        where they are asked for, go into the arrays.
        """
        duals = self._part(duals)
        if self._asked is None:
            self._asked = np.empty((len(duals) - 1, *duals.shape[1:]))
        self._point = self._part(products), intercept, duals, self._asked
        self._sweep(BEGIN, (products, 0.0), 0.0, 0.0, derivatives, curvatures, of_pieces)

    def predict(self, step):
        """Of the means of all products, times weights, after a share t of a step to 0, the three
        numbers c0 + c1 t + c2 t^2; and the share at which the first variable reaches its end, at
        most 1.
        """
        return self._measured(PREDICT, step)

    def correct(self, step, mu, derivatives):
        """Derivatives for a step to products of `mu`, in which those of the changes of `step`, one
        to 0, count.
        """
        self._sweep(CORRECT, step, mu, 0.0, derivatives)

    def centre(self, step, mu, share, derivatives):
        """Derivatives for a step in which more or less is asked for of products that a `share` of
        `step` leaves far from `mu`.
        """
        self._before = self._asked.copy()
        self._sweep(CENTRE, step, mu, share, derivatives)

    def undo(self):
        """Take back what was asked for last."""
        self._asked[:] = self._before

    def measure(self, step):
        """What `predict` tells, of that step."""
        return self._measured(MEASURE, step)

    def move(self, step, share, duals):
        """Let the dual variables, those of the point, go this share of that step."""
        self._sweep(MOVE, step, 0.0, share)
        if self._chosen is not None:
            duals[..., self._chosen] = self._point[2]

    def losses_and_duals(self, products, intercept, s, derivatives):
        """The mean loss, and of rows with a positive derivative and the others, (2, 4), the sums of
        derivatives, of s center, of the sizes of these and of bend s^2 / 2; derivatives of the mean
        loss go into the array.
        """
        data, sums = (*self._data, self._part(products), intercept, self._part(s)), self._sums(9)

        def work(first, last, derivatives):
            where = self._cuts, first, last
            kernels.losses_and_duals(*data, *where, derivatives, sums)

        self._map(work, derivatives)
        found = sums.sum(axis=1) / self.objective.n_active
        return float(found[0]), found[1:].reshape(2, 4)

    def _measured(self, stage, step):
        sums = self._sweep(stage, step)
        return sums[:3].sum(axis=1) / self.objective.n_active, 1.0 / float(sums[3].max())

    def _sweep(self, stage, step, mu=0.0, share=0.0, *out):
        moves, move_intercept = step
        data = *self._data, *self._point, self._part(moves), move_intercept, mu, share
        sums = self._sums(4)

        def work(first, last, derivatives=NO_ARRAY, curvatures=NO_ARRAY, of_pieces=NO_PIECES):
            where = self._cuts, first, last
            kernels.sweep(stage, *data, *where, derivatives, curvatures, of_pieces, sums)

        self._map(work, *out)
        return sums

    def _sums(self, count):
        return np.zeros((count, self._cuts.size - 1))

    def _part(self, values):
        """Those of the rows that count."""
        return values if self._chosen is None else np.ascontiguousarray(values[..., self._chosen])

    def _map(self, work, *out):
        """Call `work(first, last, *out)` over blocks, on threads; rows that do not count get 0."""
        F, n_pieces = self.objective, len(self._data[0])
        own = [self._part(one) if one.size else one for one in out]

        @np.errstate(all="ignore")  # plain Python warns of 0 / 0
        def on_thread(first, last):
            work(first, last, *own)

        n_values = int(DUALS_LOOP / VALUE * n_pieces * F.n_active)
        map_ranges(on_thread, self._cuts.size - 1, F.n_threads, n_values)
        if self._chosen is not None:
            for array, part in zip(out, own, strict=True):
                if array.size:
                    array[:] = 0.0
                    array[..., self._chosen] = part
