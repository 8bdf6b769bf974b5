"""The linear map of an objective: X w and X' a, the two halves of a pass, and the losses between
them, on its threads.
"""

import numpy as np

from fastgd.data.tile_sizes import ROWS
from fastgd.objective import kernels
from fastgd.objective.blocks import MAX_BLOCKS, coarser, cut
from fastgd.objective.cost_model import DERIVATIVES, VALUE
from fastgd.objective.gram import merged, tiles
from fastgd.objective.kernels import NO_ARRAY, evaluate
from fastgd.runtime.threads import map_ranges

# Stored values from which on a single product is worth a kernel: NumPy takes 2 to 10 ms for them on
# one thread.
WORTH_COMPILING = 4_000_000


class LinearMap:
    """Products X w and X' a, and losses at predictions, for the rows of an objective, on its
    threads.

    Each product counts half a pass over what it reads, by its share of the stored values of X;
    losses at given predictions read no X and count nothing.  The bits do not depend on the number
    of threads.

    Parameters
    ----------
    objective : Objective
        Of all rows, or of some of them where they are (`fastgd.objective.subset.on_groups`).
    rows : Rows, optional
        The same rows over other columns; None: those of the objective.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2))
    >>> linear_map = LinearMap(F)
    >>> linear_map.matvec(np.array([1.0, 1.0])), linear_map.rmatvec(np.array([1.0, -1.0]))
    (array([3., 7.]), array([-2., -2.]))
    """

    def __init__(self, objective, rows=None):
        F = self.objective = objective
        self._own = rows
        if F.parent is None:
            # Each block of X' a has d sums of its own: a tenth of X together, or two blocks, for
            # the threads.
            shared = max(F.n_nonzeros, min(4 * F.n_nonzeros, 16 * F.n_features))
            self._sums = _blocks(cut(F.n_samples, shared, F.n_features))
            self._rows = _blocks(cut(F.n_samples, 8 * MAX_BLOCKS * F.n_samples, F.n_samples))
        else:
            self._sums = self._rows = F.ranges, F.range_cuts
        self._n_values = int(F.share * self.rows.stored())
        # What a pass over these columns is of one over all, for what is counted.
        self.share = 1.0 if rows is None else rows.stored() / max(F.rows.stored(), 1)
        # Stored values that take as long as the derivatives of all rows.
        self._few_values = int(DERIVATIVES / VALUE * F.share * F.n_samples)

    @property
    def rows(self):
        """Rows of the products: as an objective may read its own from another place later, they
        are asked for each time.
        """
        return self.objective.rows if self._own is None else self._own

    def matvec(self, coef, out=None, often=True):
        """X @ coef, (n_samples,), into `out` where it is given; else 0 for rows that are not in
        the part.

        Who needs one product now and then says that it is not `often`: NumPy has it where the rows
        are too few for a kernel, which takes a second to compile, and the bits are those of NumPy.
        """
        F = self.objective
        if not F.rows.in_memory:
            out = np.empty(F.n_samples) if out is None else out
            first = 0
            for products in F.over_parts(_products, coef):
                out[first : first + len(products)] = products
                first += len(products)
            return out
        if not often and F.parent is None and self._n_values < WORTH_COMPILING:
            self._count()
            return self.rows.matvec(np.ascontiguousarray(coef))
        if out is None:
            out = (np.empty if F.parent is None else np.zeros)(F.n_samples)
        rows = self.rows
        coef = np.ascontiguousarray(coef)
        table = out.reshape(1, -1)

        def work(ranges, cuts, first, last):
            kernels.product(rows, False, coef, ranges, cuts, first, last, table)

        self._map(self._rows, work, self._n_values)
        self._count()
        return out

    def rmatvec(self, derivatives, out=None):
        """X' @ derivatives, (n_features,); into `out` where it is given."""
        rows = self.rows
        if not rows.in_memory:
            total = self.objective.sum_over_parts(_sum_of_rows, rows=(derivatives,))
            if out is not None:
                out[...] = total
            return total if out is None else out
        sums = np.zeros((self._sums[1].size - 1, rows.shape()[1]))

        def work(ranges, cuts, first, last):
            kernels.product(rows, True, derivatives, ranges, cuts, first, last, sums)

        self._map(self._sums, work, self._n_values)
        self._count()
        if out is None:
            if len(sums) == 1:  # with a million columns a copy costs a tenth of the product
                return sums[0]
            out = np.empty(sums.shape[1])
        np.add(sums[0], sums[1] if len(sums) > 1 else 0.0, out=out)
        for more in sums[2:]:
            out += more
        return out

    def derivatives(self, predictions, intercept, curvature_cap=0.0):
        """Mean loss, and of each row weight * derivative / n and weight * curvature / n."""
        # Not one array of two rows: whoever needs one of them frees the other.
        derivatives, curvatures = np.zeros(predictions.size), np.zeros(predictions.size)
        loss = self.fill(predictions, intercept, derivatives, curvatures, curvature_cap)
        derivatives /= self.objective.n_active
        curvatures /= self.objective.n_active
        return loss, derivatives, curvatures

    def loss(self, predictions, intercept):
        """Mean loss at these predictions, without derivatives."""
        return self.fill(predictions, intercept, NO_ARRAY, NO_ARRAY)

    def fill(self, predictions, intercept, derivatives, curvatures, curvature_cap=0.0):
        """Mean loss; weight * derivative and weight * curvature of each row go into the arrays.

        Predictions are without `intercept` and offsets.  Where the arrays are empty, the loss is
        all that is asked for.
        """
        F, totals = self.objective, np.zeros(self._rows[1].size - 1)

        def work(ranges, cuts, first, last):
            data = F.samples, F.loss, predictions, intercept, curvature_cap
            where = ranges, cuts, first, last
            kernels.loss_and_derivatives(*data, *where, totals, derivatives, curvatures)

        self._map(self._rows, work, self._few_values)
        return float(totals.sum()) / F.n_active

    def conjugates(self, predictions, moves, intercept, shift):
        """Mean of loss less gap after a step, of each row weight * dual variable / n, mean
        curvature before.

        See `fastgd.certificates.corrected_dual`.
        """
        F, (ranges, cuts) = self.objective, self._rows
        # NumPy takes long for each of the 64 blocks of few rows: 1,000 took 21 ms, now 0.3.
        cuts = coarser(cuts, max(int(F.share * F.n_samples) // ROWS, 1))
        totals, curvatures = np.zeros(cuts.size - 1), np.zeros(cuts.size - 1)
        duals = np.zeros(predictions.size)

        def work(ranges, cuts, first, last):
            for b in range(first, last):
                for own, targets, weights, offsets in _parts(
                    F.samples, ranges[cuts[b] : cuts[b + 1]]
                ):
                    before = predictions[own] + (intercept + offsets)
                    found = _conjugates(F.loss, targets, before, moves[own] + shift)
                    # Whatever a row of weight 0 has, infinite too, it does not count.
                    counts = np.broadcast_to(weights > 0.0, before.shape)
                    value, duals[own], curvature = (
                        np.multiply(weights, part, out=np.zeros_like(part), where=counts)
                        for part in found
                    )
                    totals[b] += value.sum()
                    curvatures[b] += curvature.sum()

        self._map((ranges, cuts), work, self._few_values)
        duals /= F.n_active
        return float(totals.sum()) / F.n_active, duals, float(curvatures.sum()) / F.n_active

    def _map(self, blocks, work, n_values):
        ranges, cuts = blocks
        map_ranges(
            lambda first, last: work(ranges, cuts, first, last),
            cuts.size - 1,
            self.objective.n_threads,
            n_values,
        )

    def _count(self):
        self.objective.meter.count(0.5 * self.share)


def _products(part, coef):
    return LinearMap(part).matvec(coef)


def _sum_of_rows(part, derivatives):
    return LinearMap(part).rmatvec(derivatives)


def _parts(samples, ranges):
    """A cache's worth of the rows in `ranges` at a time: which they are, their targets, weights
    and offsets.
    """
    for own in tiles(merged(ranges), ROWS):
        targets = samples.targets[own]
        targets.flags.writeable = False  # as a slice is, for which the loop is compiled
        weights, offsets = (
            array[own] if array.size > 1 else array for array in (samples.weights, samples.offsets)
        )
        yield own, targets, weights, offsets


def _conjugates(loss, targets, before, move):
    """Loss less gap of rows after a step, dual variables and curvatures before it: NumPy on what
    compiled passes use.

    Where no derivative beyond reaches what the step asks for, the last one that is known stands in.
    """
    start, curvature = _evaluated(loss, targets, before)[1:]
    there = before + move
    value, derivative, own = _evaluated(loss, targets, there)
    asked = start + curvature * move - derivative
    with np.errstate(all="ignore"):
        beyond = np.where((asked != 0.0) & (own > 0.0), there + 2.0 * asked / own, there)
        value_beyond, far, _ = _evaluated(loss, targets, beyond)
        # Beyond may be where an exponential loss overflows.
        known = (far != derivative) & np.isfinite(far) & np.isfinite(value_beyond)
        share = np.where(known, np.clip(asked / (far - derivative), 0.0, 1.0), 0.0)
        gap = np.where(known, np.maximum(value - value_beyond + far * (beyond - there), 0.0), 0.0)
        duals = derivative + np.where(known, share * (far - derivative), 0.0)
        return value - share * gap, duals, curvature


def _evaluated(loss, targets, predictions):
    """Value, derivative and curvature of each row's loss, (3, n)."""
    values, derivatives, curvatures = found = np.empty((3, predictions.size))
    evaluate(loss, predictions, targets, values, derivatives, curvatures, True, 0.0)
    return found


def _blocks(cuts):
    return np.stack([cuts[:-1], cuts[1:]], axis=1), np.arange(cuts.size)
