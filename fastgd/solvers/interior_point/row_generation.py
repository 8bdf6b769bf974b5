"""The central path on the rows near a kink of their loss, for rows that are not in memory.

A loss that is made of straight pieces is one of them wherever a prediction stays away from its
kinks.  So once the model of a sample of the rows is known, one reading, or one round, sorts the
rows: those whose predictions are near a kink come here, and of the others only their mean for each
derivative, as one row with all their weight.  A loss that is convex in prediction and target is no
more at a mean than in the mean, so that the objective of these rows is nowhere above F: its
minimum, which `fastgd.solvers.interior_point.central_path` finds and bounds, is a lower bound of
that of F, and where no row has left its piece it is the minimum of F.  (Portnoy and Koenker, 1997,
"The Gaussian hare and the Laplacian tortoise: computability of squared-error versus absolute-error
estimators", Statistical Science 12, section 5.)

Where more rows are near than memory holds, some of them are drawn, with weights that make up for
the others.  That proves nothing, but only rows near a kink make the next model wrong: its error is
that of the last one times the share of the rows that were near, until those fit.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastgd.certificates.rounding import offset_size, prediction_size, sum_rounding
from fastgd.data.check_X import as_rows
from fastgd.data.targets import WeightedSamples
from fastgd.losses.piecewise import has_pieces, pieces
from fastgd.objective.cost_model import Cost
from fastgd.objective.distances import gap_scale_at
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.subset import on_other_rows, on_sample, scaled
from fastgd.solvers.base import Forecast, Progress, Solver, Traits
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_generation import ColumnGeneration
from fastgd.solvers.interior_point.path_cost import likely_iterations, sweeps

# Predictions of the model of m rows are off by about sqrt(s (1 - s) d / m) / f, with a share s of
# the rows on one side of a kink and f rows there in a unit of the prediction: four times as much on
# either side holds no more than this many times sqrt(d / m) of the rows, for each kink.
BAND = 4.0
# A model of some of the rows need not be better than this share of what it does not know, and an
# exact one not than this share of what tol asks for; iterations at the most.
TIGHT = 0.1
MAX_ITERATIONS = 60
# Where F rises, or the gap stays above this share of what it was, so many times as many rows count
# as near; after so many times in a row it is done.
SLOW = 0.25
WIDER = 4.0
MAX_IDLE = 3
# Of a part more rows than this many times its share are not taken, the nearest ones first.
CROWDED = 2.0
MIN_ROWS = 64
PASSES = Cost(
    3.0,
    "passes",
    "Looks at all rows, one for each model of some of them: 2 to 6, in the middle 4, on 12 "
    "problems of 60,000 and 150,000 rows to 1e-4.",
)
# How large the matrix may be where X is not in memory: 32 MB.
WIDEST_MATRIX = 2000


@dataclass
class RowGenerationMemory:
    """What row generation remembers between iterations.

    Attributes
    ----------
    share : float
        Of the rows with a weight, those that count as near a kink.
    total : float
        F at the point.
    lower : float
        What F is proved to be nowhere below.
    idle : int
        Iterations in a row that brought little.
    """

    share: float = 0.0
    total: float = np.inf
    lower: float = -np.inf
    idle: int = 0

    @property
    def gap(self):
        """How far F can be above its minimum."""
        return self.total - self.lower


class RowGeneration(Solver):
    """`solver="newton"` for losses of straight pieces, and rows in blocks or on other machines.

    Parameters
    ----------
    objective : Objective
    tol : float
        Relative suboptimality that the run is for.
    """

    name = "newton"
    form = "by an interior point method on the rows near a kink"
    traits = Traits(reads="sums", second_order=True, proves_itself=True)
    made_with = ("tol",)
    Memory = RowGenerationMemory

    @classmethod
    def refusal(cls, objective):
        """Refuses rows in memory, losses that are not made of straight pieces, and matrices that
        are too large.
        """
        F = objective
        if F.rows.in_memory:
            return "on the rows near a kink is for rows that are not in memory"
        if F.loss_smooth or F.vector or not F.elastic or not has_pieces(F.loss):
            return f"on the rows near a kink needs straight pieces and L1 or L2, got {F.loss!r}"
        wide = F.n_features > WIDEST_MATRIX and F.l1 == 0.0
        return "has too many columns for the matrices of the central path" if wide else None

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """A few passes, and the central path on the rows that are taken."""
        F = objective
        share = first_share(F)
        passes = PASSES + share * likely_iterations(F, tol) * (sweeps(F) + F.n_features / 10.0)
        reason = (
            f"the loss is made of straight pieces, and about {share:.2g} of the rows are near "
            "enough to a kink to matter one by one"
        )
        return Forecast(passes, reason)

    def __init__(self, objective, tol=0.0):
        super().__init__(objective)
        self.tol = tol
        # The objective of the rows that were taken, and what they have of all weights.
        self._near: Any = None
        self._weight = 1.0

    def resume(self, state):
        """Begin at the model of the sample, or where an earlier run was."""
        F, memory = self.objective, state.memory
        if memory.share == 0.0:
            memory.share = first_share(F)
            some = on_sample(F, F.rows.sampled.size, F.alpha)
            target_gap = unknown(memory.share) * abs(some.value(state.point))
            state.point = _minimum(some, state.point, target_gap)[0]
        memory.lower = -np.inf
        memory.total = self._look_at(state, state.point)

    def advance(self, state):
        """The minimum for the rows that were taken, and a look at all rows there: one pass, or two
        where that brought little.
        """
        F, memory, share = self.objective, state.memory, state.memory.share
        exact = share <= largest_share(F)
        ahead = share if exact else max(first_share(F) * share, MIN_ROWS / F.n_active)
        target_gap = TIGHT * self.tol * gap_scale_at(F, memory.total)
        if not exact:
            target_gap = max(target_gap, unknown(ahead) * abs(memory.total))
        point, lower = _minimum(self._near, state.point, target_gap / self._weight)
        gap = memory.gap
        if exact:
            memory.lower = max(memory.lower, self._weight * lower - self._rounding(state, point))
        kept = state.value, state.gradient
        state.iteration, state.updates = state.iteration + 1, state.updates + 1
        memory.share = ahead
        total = self._look_at(state, point)
        if total < memory.total:
            memory.total, state.point = total, point
            if memory.gap <= max(SLOW * gap, target_gap) or not exact:
                memory.idle = 0
                return
        else:
            state.value, state.gradient = kept
        memory.idle += 1
        memory.share = min(WIDER * share, 1.0)
        state.done = memory.idle >= MAX_IDLE
        if not state.done:
            self._look_at(state, state.point)

    def progress(self, state):
        """What the objective of the rows that were taken proves, and the gap to F."""
        memory = state.memory
        return Progress(gap_estimate=memory.gap, lower=memory.lower, done=state.done)

    def _restore(self, state, workspace):
        """Take the rows once more."""
        self._look_at(state, state.point)

    def _look_at(self, state, point):
        """F at a point; the state gets the value and the gradient of its smooth part, and the rows
        that are near a kink there are taken: one pass.
        """
        F, n = self.objective, self.objective.n_features
        coef, intercept = F.split(point)
        coef = np.ascontiguousarray(coef)
        share = state.memory.share
        rate = min(largest_share(F) / share, 1.0)
        arguments = coef, intercept, self._width(point, share), share, rate, state.iteration
        loss, gradient, sums = 0.0, np.zeros(n + 1), np.zeros((2, n + 3))
        tables, near_rows = [], []
        for own_loss, own_gradient, own_sums, table, own in F.over_parts(_sorted_rows, *arguments):
            loss, gradient, sums = loss + own_loss, gradient + own_gradient, sums + own_sums
            tables.append(table)
            near_rows.append(own)
        near = np.concatenate(near_rows, axis=1)
        if near.shape[1] == 0 and not sums[:, n].any():
            # The loss is flat at all rows that count, and the model of a sample that had none of
            # them says that they are far from a kink.
            state.memory.share = 1.0
            return self._look_at(state, point)
        self._weight = float(near[1].sum() + sums[:, n].sum()) / F.n_active
        self._near = _of_few(F, tables, near, sums[sums[:, n] > 0.0], self._weight)
        state.gradient = gradient[: F.size] / F.n_active
        state.value = loss / F.n_active + F.term.add_gradient(point[:n], state.gradient[:n])
        return state.value + F.rest_value(point)

    def _width(self, point, share):
        """How far from a kink the predictions of this share of the sampled rows are at most."""
        F = self.objective
        (coef, intercept), chosen = F.split(point), F.rows.sampled
        weights, offsets = (
            np.broadcast_to(one, F.n_samples)[chosen]
            for one in (F.samples.weights, F.samples.offsets)
        )
        predictions = F.rows.sample.matvec(np.ascontiguousarray(coef)) + (intercept + offsets)
        u = _u_of(pieces(F.loss, F.samples.targets[chosen]), predictions)
        distances = np.abs(u).min(axis=0)[weights > 0.0]
        return float(np.quantile(distances, share)) if distances.size and share < 1.0 else np.inf

    def _rounding(self, state, point):
        """What the means of many rows are wrong by, and F with them."""
        F = self.objective
        size = prediction_size(F, point, rough=True) + offset_size(F)
        return 4.0 * sum_rounding(F) * (abs(state.memory.total) + size)


def first_share(objective):
    """Share of the rows that are near a kink of the model of the sample."""
    F = objective
    kinks = len(pieces(F.loss, F.samples.targets[:1]).center)
    near = kinks * BAND * math.sqrt(F.size / F.rows.sampled.size)
    return min(max(near, MIN_ROWS / F.n_active), 1.0)


def unknown(share):
    """What a model does not know, relative to F, about, if such a share of the rows is near."""
    return TIGHT * (share / BAND) ** 2


def largest_share(objective):
    """Share of the rows that takes as much memory as the sample."""
    return min(objective.rows.sampled.size / objective.n_active, 1.0)


def _u_of(made, predictions):
    return made.center + made.sign * predictions


def _sorted_rows(part, coef, intercept, width, share, rate, seed):
    """Of a part: its loss, and the gradient of that; of the rows with a negative derivative, and of
    those with a positive one, sums of x, 1, target and offset times weight; rows near a kink, or of
    these a random `rate`, and their targets, weights and offsets.
    """
    F, linear_map = part, LinearMap(part)
    weights, offsets = (
        np.broadcast_to(one, F.n_samples) for one in (F.samples.weights, F.samples.offsets)
    )
    targets = F.samples.targets
    made = pieces(F.loss, targets)
    u = _u_of(made, linear_map.matvec(coef) + (intercept + offsets))
    loss = float(weights @ made.value(u))
    distances = np.where(weights > 0.0, np.abs(u).min(axis=0), np.inf)
    most = int(CROWDED * share * np.count_nonzero(weights)) + MIN_ROWS
    near = np.flatnonzero(distances <= width) if width < np.inf else np.flatnonzero(weights)
    if near.size > most and width < np.inf:
        near = np.sort(near[np.argsort(distances[near], kind="stable")[:most]])
    taken, weight = near, weights[near]
    if rate < 1.0 and near.size:
        closest = np.take_along_axis(u, np.abs(u).argmin(axis=0)[None], axis=0)[0]
        drawn = _spread(closest[near], max(int(rate * near.size), 1), seed)
        taken, weight = near[drawn], weight[drawn] * (near.size / drawn.size)
    unweighted = (made.sign * made.dual(u)).sum(axis=0)
    derivatives = weights * unweighted
    gradient = np.append(linear_map.rmatvec(derivatives), derivatives.sum())
    sums = np.zeros((2, F.n_features + 3))
    for own, side in zip(sums, (unweighted < 0.0, unweighted > 0.0), strict=True):
        chosen = np.where(side, weights, 0.0)
        chosen[near] = 0.0
        linear_map.rmatvec(chosen, own[: F.n_features])
        own[F.n_features :] = chosen.sum(), chosen @ targets, chosen @ offsets
    own = np.stack([targets[taken], weight, offsets[taken]])
    return loss, gradient, sums, F.rows.take(taken), own


def _spread(values, count, seed):
    """Places of so many of these values, one drawn of each of as many ranges of them; in order."""
    draws = np.random.Generator(np.random.PCG64([seed, values.size])).random(count)
    places = ((np.arange(count) + draws) * (values.size / count)).astype(np.int64)
    return np.sort(np.argsort(values, kind="stable")[np.minimum(places, values.size - 1)])


def _of_few(objective, tables, near, sums, weight):
    """The objective of rows near a kink, and of the means of others in their place, over `weight`,
    the share that they have of all weights.
    """
    F, n = objective, objective.n_features
    means = sums / sums[:, n : n + 1]
    sparse = sp.issparse(tables[0])
    every = [*tables, sp.csr_array(means[:, :n]) if sparse else means[:, :n]]
    table = sp.vstack(every, format="csr") if sparse else np.concatenate(every)
    targets = np.sign(means[:, n + 1]) if F.loss.classification else means[:, n + 1]
    samples = WeightedSamples(
        np.concatenate([near[0], targets]),
        scaled(np.concatenate([near[1], sums[:, n]])),
        np.concatenate([near[2], means[:, n + 2]]),
    )
    return on_other_rows(F, as_rows(table, checked=True), samples, F.alpha / weight)


def _minimum(objective, point, target_gap):
    """Where an objective of rows in memory is least, and what it is nowhere below, until these are
    no farther apart than `target_gap`.
    """
    F = objective
    solver = CentralPath(F) if CentralPath.refusal(F) is None else ColumnGeneration(F)
    state = solver.start(point)
    for _ in range(MAX_ITERATIONS):
        if state.done or solver.progress(state).gap_estimate <= target_gap:
            break
        solver.advance(state)
    return solver.answer(state), solver.progress(state).lower
