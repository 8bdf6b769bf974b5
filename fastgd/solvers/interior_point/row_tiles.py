"""Rows of the central path, some at a time, so that what is computed of them stays in the cache."""

from typing import NamedTuple

import numpy as np

from fastgd.data.tile_sizes import ROWS
from fastgd.losses.piecewise import Pieces, pieces


class RowTile(NamedTuple):
    """Rows that are read together: which, their shares of the mean loss, their pieces, and u
    there.
    """

    rows: slice | np.ndarray
    shares: np.ndarray
    pieces: Pieces
    u: np.ndarray

    def derivatives(self, s):
        """Derivative of the mean loss in each row's prediction, where its dual variables are
        `s`.
        """
        return self.shares * (self.pieces.sign * s).sum(axis=0)


def row_tiles(objective, products, intercept):
    """The rows that count, at the point of these products and this intercept: `RowTile`s."""
    F, samples, n = objective, objective.samples, objective.n_samples
    shares, offsets = (np.broadcast_to(one, n) for one in (samples.weights, samples.offsets))
    for start in range(0, n, ROWS):
        rows: slice | np.ndarray = slice(start, start + ROWS)
        if not shares[rows].all():
            rows = start + np.flatnonzero(shares[rows])
        made = pieces(F.loss, samples.targets[rows])
        center = made.center + made.sign * offsets[rows]
        u = center + made.sign * (products[rows] + intercept)
        yield RowTile(rows, shares[rows] / F.n_active, made._replace(center=center), u)


def in_one_tile(objective):
    """Whether one tile holds all rows."""
    return objective.n_samples <= ROWS
