"""The linear map of an objective with K predictions for each row: X W and X' A, and the losses
between them, on its threads.

Dense rows go through BLAS, a cache's worth at a time, which reads them once for all K; compressed
rows by a loop that reads each of them once.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.objective import kernels
from fastgd.objective.blocks import coarser, cut
from fastgd.objective.gram import merged, tiles
from fastgd.runtime.threads import map_ranges

# Rows that BLAS multiplies at once, at least.
MIN_ROWS = 64
# Lines of a table of coefficients are few where so many times as many are 0.
FEW_USED = 8
# An array of derivatives that is not asked for.
NO_TABLE = np.empty((0, 1))


class VectorMap:
    """Products X W and X' A, W (d, K) and A (n, K), and losses at predictions, (n, K), for the
    rows of an objective.

    Each product counts half a pass.  Rows that are not in the part that an objective is of are
    left at 0.  The bits do not depend on the number of threads.

    Parameters
    ----------
    objective : Objective
        Whose loss is a `VectorLoss`.

    Examples
    --------
    >>> from fastgd.losses import Multinomial
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective(Multinomial(3), np.array([[1.0], [3.0]]), [0, 2])
    >>> VectorMap(F).matvec(np.array([[1.0, 0.0, -1.0]])).tolist()
    [[1.0, 0.0, -1.0], [3.0, 0.0, -3.0]]
    """

    def __init__(self, objective):
        F = self.objective = objective
        self._length = max(MIN_ROWS, VALUES // (F.n_features + F.n_predictions))
        self._n_values = int(F.share * F.rows.stored()) * F.n_predictions
        if F.vector_cuts is None:  # made twice an iteration, they took 0.05 of a fit to 150 rows
            F.vector_cuts = self._blocks()
        self._cuts: np.ndarray = F.vector_cuts[0]
        self._rows: tuple[np.ndarray, np.ndarray] = F.vector_cuts[1]

    def _blocks(self):
        """Where blocks with sums of their own begin and end, and those without, as (ranges, cuts)
        of them.
        """
        F = self.objective
        # A block of dense rows is to be worth its calls of Python: 0.05 ms, and a row of 64 columns
        # and 10 classes takes 0.6 us.
        rows = int(F.share * F.n_samples)
        most = F.range_cuts.size if F.rows.sparse else max(rows // self._length, 1)
        summed = coarser(F.range_cuts, most)
        if F.parent is not None:
            return summed, (F.ranges, F.range_cuts)
        # Losses and predictions have no sums to write for each block: those may be many.
        cuts = cut(F.n_samples, F.n_samples * F.n_predictions, MIN_ROWS)
        return summed, (np.stack([cuts[:-1], cuts[1:]], axis=1), np.arange(cuts.size))

    def loss_and_gradient(self, coef, intercept, alone=False):
        """Sums of weight * loss over the blocks, and their gradients, (blocks, d + 1, K), which
        mean nothing where losses are asked for `alone`.  One pass.
        """
        F = self.objective
        totals = np.zeros(self._cuts.size - 1)
        rows = 1 if alone and not F.rows.sparse else F.n_features + 1
        gradients = np.zeros((totals.size, rows, F.n_predictions))
        if F.rows.sparse:
            data = F.rows, F.samples, F.loss, coef, intercept, F.ranges, self._cuts
            self._map(
                lambda first, last: kernels.vector_loss_and_gradient(
                    *data, first, last, totals, gradients
                ),
                (F.ranges, self._cuts),
            )
        else:
            table = Table(coef)

            def work(first, last):
                for b in range(first, last):
                    totals[b] = self._block(b, table, intercept, gradients[b], alone)

            self._map(work, (F.ranges, self._cuts))
        F.meter.count()
        return totals, gradients

    def curvature_product(self, coef, intercept, direction, shift, predictions=None):
        """Sums over the blocks of the second derivative times [direction, shift], (blocks, d + 1,
        K); `predictions` are X coef where they are known.  One pass.
        """
        F = self.objective
        if F.rows.sparse:
            known = self.matvec(coef) if predictions is None else predictions
            moves = self.matvec(direction)
            changes = self.curved(known, intercept, moves, shift, out=moves)
            products = np.zeros((1, F.n_features + 1, F.n_predictions))
            products[0, :-1] = self.rmatvec(changes)
            products[0, -1] = changes.sum(axis=0)
            return products
        products = np.zeros((self._cuts.size - 1, F.n_features + 1, F.n_predictions))

        def work(first, last):
            for b in range(first, last):
                own = merged(F.ranges[self._cuts[b] : self._cuts[b + 1]])
                for chosen in tiles(own, self._length):
                    part = self._dense(chosen)
                    moves = part @ direction
                    moves += shift
                    known = part @ coef if predictions is None else predictions[chosen]
                    data = F.loss, *samples_of(F.samples, chosen), intercept, known
                    kernels.vector_losses(*data, True, True, moves, moves)
                    products[b, :-1] += part.T @ moves
                    products[b, -1] += moves.sum(axis=0)

        self._map(work, (F.ranges, self._cuts))
        F.meter.count()
        return products

    def matvec(self, table, out=None):
        """X @ table, (n_samples, K)."""
        F = self.objective
        table = np.ascontiguousarray(table)
        made = np.zeros((F.n_samples, table.shape[1])) if out is None else out
        if not F.rows.in_memory:
            first = 0
            for products in F.over_parts(_products, table):
                made[first : first + len(products)] = products
                first += len(products)
            return made
        if F.rows.sparse:
            made[...] = 0.0
            data = F.rows, False, table, *self._rows
            self._map(lambda a, b: kernels.vector_product(*data, a, b, made[None]), self._rows)
        else:
            lines = Table(table)

            # No tile is of two blocks: products by BLAS have other bits where they are cut
            # elsewhere, as for other numbers of threads.
            def work(first, last):
                for b in range(first, last):
                    own = merged(F.ranges[self._cuts[b] : self._cuts[b + 1]])
                    for chosen in tiles(own, self._length):
                        made[chosen] = lines.after(self._dense(chosen))

            self._map(work, (F.ranges, self._cuts))
        F.meter.count(0.5)
        return made

    def rmatvec(self, table):
        """X' @ table, (n_features, K)."""
        F = self.objective
        if not F.rows.in_memory:
            return F.sum_over_parts(_sum_of_rows, rows=(table,))
        sums = np.zeros((self._cuts.size - 1, F.n_features, table.shape[1]))
        if F.rows.sparse:
            data = F.rows, True, table, F.ranges, self._cuts
            cuts = F.ranges, self._cuts
            self._map(lambda a, b: kernels.vector_product(*data, a, b, sums), cuts)
        else:

            def work(first, last):
                for b in range(first, last):
                    own = merged(F.ranges[self._cuts[b] : self._cuts[b + 1]])
                    for chosen in tiles(own, self._length):
                        sums[b] += transposed_product(self._dense(chosen), table[chosen])

            self._map(work, (F.ranges, self._cuts))
        F.meter.count(0.5)
        return sums.sum(axis=0) if len(sums) > 1 else sums[0]

    def derivatives(self, predictions, intercept):
        """Mean loss, and of each row weight * derivatives / n, (n_samples, K)."""
        F = self.objective
        found = np.zeros(predictions.shape)
        loss = self._losses(predictions, intercept, found)
        found /= F.n_active
        return loss, found

    def loss(self, predictions, intercept):
        """Mean loss at these predictions, without derivatives."""
        return self._losses(predictions, intercept, None)

    def curved(self, predictions, intercept, moves, shift=0.0, out=None):
        """Of each row weight * H @ (moves + shift), (n_samples, K): H the second derivative of its
        loss.
        """
        F = self.objective
        made = np.zeros(predictions.shape) if out is None else out

        def work(first, last):
            ranges, cuts = self._rows
            for chosen in tiles(merged(ranges[cuts[first] : cuts[last]]), self._length):
                along = moves[chosen] + shift
                data = F.loss, *samples_of(F.samples, chosen), intercept, predictions[chosen]
                kernels.vector_losses(*data, True, True, along, along)
                made[chosen] = along

        self._map(work, self._rows)
        return made

    def curvatures(self, chosen, coef, intercept):
        """The rows `chosen`, a slice or indices, as they are stored, and weight * H of each, (n,
        K, K).  Counts nothing.
        """
        F = self.objective
        part = self._dense(chosen)
        found = np.empty((part.shape[0], F.n_predictions, F.n_predictions))
        predictions = np.ascontiguousarray(part @ coef)
        kernels.vector_curvatures(
            F.loss, *samples_of(F.samples, chosen), intercept, predictions, found
        )
        return part, found

    def _losses(self, predictions, intercept, found):
        F = self.objective
        ranges, cuts = self._rows
        totals = np.zeros(cuts.size - 1)
        length = max(self._length, VALUES // F.n_predictions)  # no row of X is read

        def work(first, last):
            for b in range(first, last):
                for chosen in tiles(merged(ranges[cuts[b] : cuts[b + 1]]), length):
                    data = F.loss, *samples_of(F.samples, chosen), intercept, predictions[chosen]
                    out = NO_TABLE if found is None else np.empty(predictions[chosen].shape)
                    totals[b] += kernels.vector_losses(
                        *data, found is not None, False, NO_TABLE, out
                    )
                    if found is not None:
                        found[chosen] = out

        self._map(work, self._rows)
        return float(totals.sum()) / F.n_active

    def _block(self, b, table, intercept, gradient, alone):
        """Sum of the losses of block `b`, whose gradient is added to `gradient`; `table` are the
        coefficients.
        """
        F, total = self.objective, 0.0
        for part, samples in self._parts(F.ranges[self._cuts[b] : self._cuts[b + 1]]):
            predictions = table.after(part)
            out = NO_TABLE if alone else predictions
            total += kernels.vector_losses(
                F.loss, *samples, intercept, predictions, not alone, False, NO_TABLE, out
            )
            if not alone:
                gradient[:-1] += transposed_product(part, predictions)
                gradient[-1] += predictions.sum(axis=0)
        return total

    def _parts(self, ranges) -> Iterator[tuple[Any, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        """A cache's worth of the rows in `ranges` at a time, and what belongs to them."""
        for chosen in tiles(merged(ranges), self._length):
            yield self._dense(chosen), samples_of(self.objective.samples, chosen)

    def _dense(self, chosen):
        return self.objective.rows.part(chosen).astype(np.float64, copy=False)

    def _map(self, work, blocks):
        F = self.objective
        map_ranges(work, blocks[1].size - 1, F.n_threads, self._n_values)


def _products(part, table):
    return VectorMap(part).matvec(table)


def _sum_of_rows(part, table):
    return VectorMap(part).rmatvec(table)


def transposed_product(part, table):
    """Dense rows, transposed, times a table, by the product whose result has few rows: 300 x 5,000
    values and 5 predictions take 1.7 ms for 3.0, 2,000 x 784 and 10 take 2.8 for 3.4.
    """
    return (table.T @ part).T


class Table:
    """What dense rows are multiplied with, (d, K), most lines of which may be 0: 300 rows of 5,000
    columns take 3.5 ms, 0.5 where 100 are not.

    Examples
    --------
    >>> Table(np.array([[1.0], [2.0]])).after(np.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """

    def __init__(self, table):
        used = np.flatnonzero(table.any(axis=1))
        few = FEW_USED * used.size <= len(table)
        self._used: Any = used if few else None
        self._table = table[used] if few else table

    def after(self, part):
        """Rows times the table."""
        return (part if self._used is None else part[:, self._used]) @ self._table


def summed_curvature(loss, samples, intercept, predictions):
    """Sum of weight * H over some rows, (K, K): `samples` as `samples_of` tells them, predictions,
    (n, K), without intercept and offsets.
    """
    targets, weights, offsets = samples
    n, k = predictions.shape
    shifted = predictions + intercept + offsets[:, None]
    found = loss.summed_curvature(shifted, targets, np.broadcast_to(weights, (n,)))
    if found is not None:
        return found
    found, length = np.zeros((k, k)), max(16, VALUES // k**2)
    for first in range(0, n, length):
        chosen = slice(first, first + length)
        y, s, o = (one if one.shape[0] == 1 else one[chosen] for one in samples)
        own = predictions[chosen]
        curvatures = np.empty((len(own), k, k))
        kernels.vector_curvatures(loss, y, s, o, intercept, own, curvatures)
        found += curvatures.sum(axis=0)
    return found


def samples_of(samples, chosen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, weights and offsets of some rows, as kernels take them."""
    targets, weights, offsets = (
        array if array.shape[0] == 1 else array[chosen]
        for array in (samples.targets, samples.weights, samples.offsets)
    )
    for array in (targets, weights, offsets):
        array.flags.writeable = False  # as a slice is, for which the loop is compiled
    return targets, weights, offsets
