"""Sweeps over the rows of an objective: the two halves of a pass, and the losses between them,
on its threads.
"""

import numpy as np

from fastgd.objective import kernels as products
from fastgd.objective.blocks import MOST_BLOCKS, cut
from fastgd.objective.gram import chunks, merged
from fastgd.objective.kernels import evaluate
from fastgd.runtime.threads import map_ranges

NOTHING = np.empty(0)
# Rows that NumPy looks at together, whose numbers a cache holds.
CHUNK = 4096


class LinearMap:
    """X p, X' a and derivatives at predictions, for the rows of an objective, on its threads.

    The first two count half a pass each.

    Parameters
    ----------
    objective : Objective
        Of all rows, or `Objective.part` of another.
    """

    def __init__(self, objective):
        F = self.objective = objective
        if F.whole is None:
            # Each block of X' a has d sums of its own: a tenth of X together, or two blocks, for
            # the threads.
            shared = max(F.n_nonzeros, min(4 * F.n_nonzeros, 16 * F.n_features))
            self._sums = _blocks(cut(F.n_samples, shared, F.n_features))
            self._rows = _blocks(cut(F.n_samples, 8 * MOST_BLOCKS * F.n_samples, F.n_samples))
        else:
            self._sums = self._rows = F.ranges, F.range_cuts
        self._n_values = int(F.share * F.rows.stored())
        # A derivative and a curvature take as long as some ten stored values.
        self._few_values = int(10 * F.share * F.n_samples)

    def matvec(self, coef, out=None):
        """X @ coef, (n_samples,), into `out` where it is given; else 0 for rows that are not in
        the part.
        """
        rows, out = self.objective.rows, np.zeros(self.objective.n_samples) if out is None else out
        table = out.reshape(1, -1)
        self._map(
            self._rows,
            lambda r, c, first, last: products.product(rows, False, coef, r, c, first, last, table),
        )
        self._spend()
        return out

    def rmatvec(self, derivatives, out=None):
        """X' @ derivatives, (n_features,); into `out` where it is given."""
        rows, sums = (
            self.objective.rows,
            np.zeros((self._sums[1].size - 1, self.objective.n_features)),
        )
        self._map(
            self._sums,
            lambda r, c, first, last: products.product(
                rows, True, derivatives, r, c, first, last, sums
            ),
        )
        self._spend()
        if out is None:
            out = np.empty(self.objective.n_features)
        np.add(sums[0], sums[1] if len(sums) > 1 else 0.0, out=out)
        for more in sums[2:]:
            out += more
        return out

    def derivatives(self, predictions, intercept, floor=0.0):
        """Mean loss, and of each row weight * derivative / n and weight * curvature / n."""
        # Not one array of two rows: whoever needs one of them frees the other.
        amounts, curvatures = np.zeros(predictions.size), np.zeros(predictions.size)
        loss = self._losses(predictions, intercept, floor, amounts, curvatures)
        amounts /= self.objective.n_active
        curvatures /= self.objective.n_active
        return loss, amounts, curvatures

    def loss(self, predictions, intercept):
        """Mean loss alone."""
        return self._losses(predictions, intercept, 0.0, NOTHING, NOTHING)

    def conjugates(self, predictions, moves, intercept, shift):
        """Mean of loss less gap after a step, of each row weight * dual variable / n, mean
        curvature before.

        See `fastgd.certificates.corrected_dual`.
        """
        F, n_blocks = self.objective, self._rows[1].size - 1
        totals, bends, amounts = np.zeros(n_blocks), np.zeros(n_blocks), np.zeros(predictions.size)

        def work(ranges, cuts, first, last):
            for b in range(first, last):
                for own, targets, weights, offsets in _parts(
                    F.samples, ranges[cuts[b] : cuts[b + 1]]
                ):
                    before = predictions[own] + (intercept + offsets)
                    found = _conjugates(F.loss, targets, before, moves[own] + shift)
                    value, amounts[own], bend = (weights * part for part in found)
                    totals[b] += value.sum()
                    bends[b] += bend.sum()

        self._map(self._rows, work, self._few_values)
        amounts /= F.n_active
        return float(totals.sum()) / F.n_active, amounts, float(bends.sum()) / F.n_active

    def _losses(self, predictions, intercept, floor, amounts, curvatures):
        F, totals = self.objective, np.zeros(self._rows[1].size - 1)

        def work(ranges, cuts, first, last):
            data = F.samples, F.loss, predictions, intercept, floor
            products.derivatives(*data, ranges, cuts, first, last, totals, amounts, curvatures)

        self._map(self._rows, work, self._few_values)
        return float(totals.sum()) / F.n_active

    def _map(self, blocks, work, n_values=None):
        (ranges, cuts), n_values = blocks, self._n_values if n_values is None else n_values
        map_ranges(
            lambda first, last: work(ranges, cuts, first, last),
            cuts.size - 1,
            self.objective.n_threads,
            n_values,
        )

    def _spend(self):
        F = self.objective
        F.passes += 0.5 * F.share
        if F.whole is not None:
            F.whole.passes += 0.5 * F.share


def _parts(samples, ranges):
    """A cache's worth of the rows in `ranges` at a time: which they are, their targets, weights
    and offsets.
    """
    for own in chunks(merged(ranges), CHUNK):
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
    start, curvature = _looked(loss, targets, before)[1:]
    there = before + move
    value, derivative, own = _looked(loss, targets, there)
    asked = start + curvature * move - derivative
    with np.errstate(all="ignore"):
        beyond = np.where((asked != 0.0) & (own > 0.0), there + 2.0 * asked / own, there)
        value_beyond, far, _ = _looked(loss, targets, beyond)
        share = np.where(far != derivative, np.clip(asked / (far - derivative), 0.0, 1.0), 0.0)
        gap = share * np.maximum(value - value_beyond + far * (beyond - there), 0.0)
    return value - gap, derivative + share * (far - derivative), curvature


def _looked(loss, targets, predictions):
    """Value, derivative and curvature of each row's loss, (3, n)."""
    values, derivatives, curvatures = found = np.empty((3, predictions.size))
    evaluate(loss, predictions, targets, values, derivatives, curvatures, True, 0.0)
    return found


def _blocks(cuts):
    return np.stack([cuts[:-1], cuts[1:]], axis=1), np.arange(cuts.size)
