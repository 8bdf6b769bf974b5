"""Rows of the central path, some at a time, so that what is computed of them stays in the cache."""

from typing import NamedTuple

import numpy as np

from fastgd.data.tile_sizes import ROWS
from fastgd.linalg.precision import EPS
from fastgd.losses.piecewise import Pieces, pieces

# A row whose u is a smaller share of its parts is at a kink.
ROUNDING = 8.0 * EPS


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

    def to_kink(self):
        """By how much predictions move for the first u to be at its kink, down or up; inf without
        rows.
        """
        if self.u.size == 0:
            return np.inf
        nearest = np.unravel_index(np.argmin(np.abs(self.u)), self.u.shape)
        return float(-self.pieces.sign[nearest] * self.u[nearest])

    def steepest(self):
        """The least and greatest derivative of each straight piece at u, (n_pieces, n) each: they
        differ where u is at a kink, but for rounding.

        Examples
        --------
        >>> from fastgd.losses.regression import Quantile
        >>> made = pieces(Quantile(0.25), np.array([1.0, 3.0]))
        >>> tile = RowTile(slice(0, 2), np.ones(2), made, made.center + made.sign * 1.0)
        >>> tile.steepest()
        (array([[-0.25, -0.25]]), array([[ 0.75, -0.25]]))
        """
        made, near = self.pieces, ROUNDING * np.abs(self.pieces.center)
        ends = (
            made.sign * np.where(self.u > near, made.high, made.low),
            made.sign * np.where(self.u < -near, made.low, made.high),
        )
        return np.minimum(*ends), np.maximum(*ends)


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
