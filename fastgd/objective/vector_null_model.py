"""The null model of K predictions, and the best shifts of given predictions: Newton's method in K
numbers.
"""

import numpy as np

from fastgd.data.targets import WeightedSamples
from fastgd.data.tile_sizes import VALUES
from fastgd.linalg.line_search import armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.linalg.scalar_minimum import ENDLESS_FALL, TIED, lowest
from fastgd.losses.each_target import is_square
from fastgd.objective import kernels
from fastgd.objective.vector_map import NO_TABLE, samples_of, summed_curvature

MAX_STEPS = 100  # Newton's method takes a dozen, or has met what no step lowers
MAX_HALVINGS = 40  # 1e-12 of a step: what is left to fall is rounding
# Offsets of 600 before a logarithm took 2 targets 8 rounds.
MAX_ROUNDS = 20
# Curvature of a shift below this share of the greatest is none: alike shifts of all predictions
# change nothing under a softmax.
FLAT = 1e-12
# Where a step promises no more than so many units of rounding F no longer tells, and derivatives
# have to fall to this share.
TELLS = 1e4
FLATTER = 0.5
# A step that moves no prediction by more leaves the curvature as it is: it is not summed anew. (100
# classes of 15,000 rows: 14 ms an evaluation with it, 5 without; a pass takes 16.)
SHORT = 0.01


def best_shifts(objective):
    """Intercepts, (K,), and objective of the best model without columns; zeros where there is no
    intercept.
    """
    F = objective
    samples = F.samples
    if F.fit_intercept and is_square(F.loss):
        shifts = _means(samples)
        value = Shifts(F.loss, samples, None, F.n_predictions).at(shifts, curved=False)[0]
        return shifts, value
    if F.loss.classification and not samples.offsets.any():
        samples = _distinct(samples)
    sums = Shifts(F.loss, samples, None, F.n_predictions)
    if not (F.fit_intercept and F.loss_smooth and F.loss.convex):
        shifts = np.zeros(F.n_predictions)
        return shifts, sums.at(shifts, curved=False)[0]
    usual = np.inf
    if samples.offsets.any() and not F.loss.shift_invariant:
        bare = WeightedSamples(samples.targets, samples.weights, np.zeros(1))
        zeros = np.zeros(F.n_predictions)
        usual = Shifts(F.loss, bare, None, F.n_predictions).at(zeros, curved=False)[0]
    every = samples is not F.samples and samples.size() == F.n_predictions
    start = None
    if every and bool((samples.weights > 0.0).all()):
        # A step or none from what shares of the classes say: 5 evaluations are 0.04 of a fit to
        # 150 rows.
        start = F.loss.best_shifts(samples.weights / samples.weights.sum())
    return lowest_shifts(sums, F.loss.infimum, start, usual)


def _means(samples):
    """Weighted means of the targets less the offsets, (K,), which are corrected once, as those of
    far targets are rounded.
    """
    n, weights = samples.size(), samples.weights
    shares = np.broadcast_to(weights, (n,)) / (weights.sum() if weights.size > 1 else n * weights)
    targets = samples.targets
    if samples.offsets.any():
        targets = targets - np.reshape(samples.offsets, (-1, 1))
    shifts = shares @ targets
    return shifts + shares @ (targets - shifts)


def lowest_shifts(sums, infimum=-np.inf, start=None, usual=np.inf):
    """The shifts of K predictions with the least loss, and that loss, by `sums`, a `Shifts`, from
    `start` or zeros on; `usual` as in `lowest`.
    """
    shifts, found = _newton_steps(sums, infimum, start, usual)
    if not sums.loss.separable:
        return shifts, found[0]
    # Losses that are linear far out have no curvature there, and Newton steps end.
    # The steepest first: beside its loss what others have left may be rounding, until the next
    # round, as long as rounds bring more than that.
    before = np.inf
    for _ in range(MAX_ROUNDS):
        left = np.flatnonzero(_still_falls(*found))
        if not left.size or before - found[0] <= TIED * abs(found[0]):
            break
        before = found[0]
        for k in left[np.argsort(-np.abs(found[1][left]), kind="stable")]:
            shifts[k] = lowest(sums.along(shifts, k), 0.0, infimum, shifts[k], usual)[0]
            found = sums.at(shifts)
    return shifts, found[0]


def _still_falls(value, derivatives, matrix):
    """Along which shifts, (K,), a loss that is a sum over them would fall by more than rounding."""
    curvature = np.maximum(np.diag(matrix), FLAT)
    # Not as products, which overflow where offsets are far.
    return np.abs(derivatives) / np.sqrt(curvature) > np.sqrt(TIED * abs(value))


def _newton_steps(sums, infimum, start, usual):
    """Shifts where Newton steps from `start` or zeros end, and what `sums` are there."""
    shifts = np.zeros(sums.n_predictions) if start is None else start
    value, derivatives, matrix = sums.at(shifts)
    enough = (
        infimum + ENDLESS_FALL * (min(value, usual) - infimum) if infimum > -np.inf else -np.inf
    )
    for _ in range(MAX_STEPS):
        step = -_solve(matrix, derivatives)
        derivative, size = float(derivatives @ step), float(np.abs(derivatives).max())
        if not derivative < 0.0 or value <= enough:
            break
        close = -derivative <= TELLS * EPS * abs(value)
        found = None
        for share in halvings(1 if close else MAX_HALVINGS):
            bent = share * float(np.abs(step).max()) > SHORT
            with np.errstate(all="ignore"):
                trial = sums.at(shifts + share * step, curved=bent)
            flatter = float(np.abs(trial[1]).max()) < FLATTER * size
            if flatter if close else armijo(value, trial[0], derivative, share):
                found = trial
                break
        if found is None:
            break
        shifts = shifts + share * step
        value, derivatives = found[:2]
        matrix = found[2] if bent else matrix
    return shifts, (value, derivatives, matrix)


class Shifts:
    """Mean loss where all rows' predictions are shifted alike, its gradient and curvature.

    Parameters
    ----------
    loss : VectorLoss
    samples : WeightedSamples
    predictions : ndarray, (n_samples, n_predictions), or None
        Without offsets; None for zeros.
    n_predictions : int
    """

    def __init__(self, loss, samples, predictions, n_predictions):
        self.loss, self.samples, self.predictions = loss, samples, predictions
        self.n_predictions = n_predictions
        self._length = max(VALUES // n_predictions, 16)

    def at(self, shifts, curved=True):
        """(value, gradient (K,), curvature (K, K)) at these shifts."""
        k, n = self.n_predictions, self.samples.size()
        value = 0.0
        derivatives = np.zeros(k)
        matrix = np.zeros((k, k))
        for first in range(0, n, self._length):
            chosen = slice(first, min(first + self._length, n))
            height = chosen.stop - first
            own = np.zeros((height, k)) if self.predictions is None else self.predictions[chosen]
            data = self.loss, *samples_of(self.samples, chosen), shifts, own
            out = np.empty((height, k))
            value += kernels.vector_losses(*data, True, False, NO_TABLE, out)
            derivatives += out.sum(axis=0)
            if curved:
                matrix += summed_curvature(self.loss, data[1:4], shifts, own)
        n_active = self.samples.weights.sum() if self.samples.weights.size > 1 else n
        return value / n_active, derivatives / n_active, matrix / n_active

    def along(self, shifts, k):
        """Function of the k-th shift alone, the others as they are: (value, derivative,
        curvature).
        """

        def at(shift):
            moved = shifts.copy()
            moved[k] = shift
            value, derivatives, matrix = self.at(moved)
            return value, float(derivatives[k]), float(matrix[k, k])

        return at


def _distinct(samples):
    """One row for each target that there is, weighing as much as all that have it."""
    targets, which = np.unique(samples.targets, axis=0, return_inverse=True)
    weights = np.broadcast_to(samples.weights, (samples.size(),))
    totals = np.bincount(np.ravel(which), weights=weights, minlength=len(targets))
    return WeightedSamples(targets, np.atleast_1d(totals / totals.mean()), np.zeros(1))


def _solve(matrix, derivatives):
    """Newton step of a small problem; along what has no curvature none is taken."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    keep = values > FLAT * max(values[-1], 0.0)
    if not np.isfinite(values).all() or not keep.any():
        return derivatives
    return vectors[:, keep] @ (vectors[:, keep].T @ derivatives / values[keep])
