"""Newton steps on the central path: losses of straight and parabolic pieces, with L2, L1 or no
penalty at all.

Each piece is sup over low <= s <= high of s u - bend s^2 / 2 (`fastgd.losses.piecewise`), and so is
l1 |w_j|, with u = w_j and s between -l1 and l1.  With multipliers a, b >= 0 for the two ends the
conditions of the optimum are

    mean of s_i sign x_i + l2 w + p = 0,   u - bend s + a - b = 0,   a (s - low) = b (high - s) = mu

at mu = 0, where mu is n times as large for rows as for coefficients: so all ends count alike in the
gap.  (With one mu for both the path went in circles where columns were many.)  A Newton step on all
of them at once costs one curvature matrix, of row curvatures 1 / (bend + a / (s - low) + b / (high
- s)), and where it is aimed at is chosen by a first step with mu = 0 (Mehrotra, 1992, "On the
implementation of a primal-dual interior point method").  That takes 10 to 30 steps, however little
penalty there is and however many corners the optimum sits on, where Newton's method on rounded
corners took hundreds.
"""

from typing import NamedTuple

import numpy as np

from fastgd.certificates import completed_dual
from fastgd.certificates.duality_gap import PROMISING
from fastgd.certificates.rounding import prediction_size, sum_rounding
from fastgd.data.chunk_sizes import ROWS
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.linalg.woodbury import RowSystem
from fastgd.losses.piecewise import Pieces, known, pieces
from fastgd.objective.collinear import Redundant, redundant_columns
from fastgd.objective.cost_model import DENSE_COST, curvature_cost, solving_cost
from fastgd.objective.distances import unit_at
from fastgd.objective.linear_map import LinearMap
from fastgd.objective.refined_factor import factor_of
from fastgd.solvers.base import Progress, Solver
from fastgd.solvers.interior_point.bounded_duals import TO_THE_END, Box, aimed_at

# So many iterations without a smaller gap or mu, down to a share of F, are the last.
MOST_IDLE = 10
ROUNDING = 1e-14
# Dual variables that change by less than this share of what they do elsewhere are held by their
# ends; once the gap is likely below this share of F they are moved there, if that is what a proof
# needs.
HELD = 1e-3
CLOSING = 1e-4
# Images X w are computed anew where F, computed from X, is off by more than this share.
DRIFTED = 1e-9

# Iterations on the central path, sweeps of one beside its matrix in passes, and how large the
# matrix may be: 32 MB.
PATH_ITERATIONS = 20.0
PATH_SWEEPS = 3.0
WIDEST_PATH = 2000
# With an L1 part more columns than this are taken by need.
COLUMNS_AT_ONCE = 400


def by_rows(objective):
    """Whether steps are solved for by way of the rows: there are more columns, and a penalty
    holds them all.
    """
    F = objective
    return F.n_active < F.n_features and F.l1 + F.l2 > 0.0


class SomeRows(NamedTuple):
    """Rows that are looked at together: which, their shares of the mean loss, their pieces, and
    u there.
    """

    here: slice | np.ndarray
    shares: np.ndarray
    pieces: Pieces
    u: np.ndarray

    def amounts(self, s):
        """What each row adds to a gradient for each of its x, where its dual variables are `s`."""
        return self.shares * (self.pieces.sign * s).sum(axis=0)


class Way(NamedTuple):
    """A step of the unknowns: images X w, intercept, the two together where rows were solved
    for, the net's part.
    """

    step: np.ndarray
    moved: np.ndarray
    intercept: float
    changes: np.ndarray | None
    net: np.ndarray | None

    def change(self, rows):
        """How u changes in `rows`."""
        here = rows.here
        return rows.pieces.sign * (
            self.moved[here] + self.intercept if self.changes is None else self.changes[here]
        )


class CentralPath(Solver):
    """Primal-dual Newton steps, for losses that `fastgd.losses.piecewise` knows and an elastic net.

    Parameters
    ----------
    objective : Objective

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> X, y = np.arange(5.0)[:, None], np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    >>> solver = CentralPath(Objective("quantile", X, y))
    >>> state = solver.start(np.zeros(2))
        >>> for _ in range(10):
    ...     solver.advance(state)
    >>> state.point.round(3)
    array([1., 1.])
    """

    free_answers = False
    proves_itself = True

    def __init__(self, objective):
        super().__init__(objective)
        F = objective
        self.linear_map = LinearMap(F)
        # All ends are alike on the path: a row's product counts for its share of the mean, a
        # column's for all of it.
        self.row_scale = float(F.n_active) if F.l1 > 0.0 else 1.0
        some = pieces(F.loss, F.samples.targets[:1])
        self.box = Box(some.low, some.high, some.bend)
        self.net = Box(-F.l1, F.l1, 0.0) if F.l1 > 0.0 else None
        # Variables of a row: s for each of its pieces, and what each has for its ends.
        self.shape = 1 + sum(self.box.ends), some.center.shape[0], F.n_samples
        self.n_ends = sum(self.box.ends) * some.center.shape[
            0
        ] * self.row_scale + 2 * F.n_features * (F.l1 > 0.0)
        self.by_rows, self._system, self._room, self._looked = by_rows(F), None, None, None
        # For proofs without an L2 part; columns that others make up exactly stay where they are if
        # there is no penalty.
        self.curvature = None if self.by_rows or F.l2 > 0.0 else np.zeros(self.shape[1:])
        self._redundant, self._searched = Redundant.none(F.size), False

    @np.errstate(all="ignore")  # values of 1e150 overflow in passing
    def _resume(self, state):
        """Go on where data and objective are those of the earlier run, else from its point with
        new dual variables.
        """
        F, memory = self.objective, state.memory
        coef = np.ascontiguousarray(F.split(state.point)[0])
        images = self.linear_map.matvec(coef) if coef.any() else np.zeros(F.n_samples)
        kept = np.shape(memory.get("duals")) == self.shape and (memory["net"] is None) == (
            self.net is None
        )
        near = 1e-9 * np.abs(images).max(initial=0.0)
        kept = kept and np.allclose(images, memory["images"], rtol=0.0, atol=near)
        kept = kept and abs(self._sides(state)[0] - memory["total"]) <= 1e-9 * memory["total"]
        if not kept:
            state.forget()
            state.memory.update(images=images, duals=np.zeros(self.shape), net=None)
            looks = lambda: ((some.here, some.u, some.shares) for some in self._rows(state))  # noqa: E731
            for here, variables in self.box.starts(looks):
                state.memory["duals"][:, :, here] = variables
            if self.box.ends[1] and F.fit_intercept:
                self._balance(state)
            if self.net is not None:
                state.memory["net"] = self.net.start(coef)
        state.memory.update(bound=-np.inf, least=np.inf, mu=np.inf, idle=0)
        self._tell(state)

    @np.errstate(all="ignore")
    def advance(self, state):
        """A step that tells where to aim at, and the one that goes there: one curvature matrix
        and four sweeps.
        """
        F, memory = self.objective, state.memory
        if memory.pop("drifted", False):
            coef = np.ascontiguousarray(F.split(state.point)[0])
            memory["images"] = self.linear_map.matvec(coef)
        if self.net is not None:
            self.net.look(F.split(state.point)[0], memory["net"])
        # All that is as long as there are rows beside the variables; the rest is computed again for
        # some at a time.
        room, amounts = self._rooms()
        room[:] = amounts[:] = 0.0
        self._looked = None
        if F.n_samples <= ROWS:  # for so few nothing is done again
            self._looked = list(self._boxes(state))
        for some, box in self._boxes(state):
            room[some.here] = F.n_active * some.shares * box.curvature.sum(axis=0)
            amounts[some.here] = some.amounts(box.aim(0.0))
            if self.curvature is not None:
                self.curvature[:, some.here] = box.curvature
        factor = self._factor(memory, room)
        first = self._way(state, factor, amounts, 0.0, None, room)
        mu, aim = self._aim(state, first)
        amounts[:] = 0.0
        for some, box in self._boxes(state):
            amounts[some.here] = some.amounts(self._aimed(some, box, first, aim))
        second = self._way(state, factor, amounts, aim, first.net, amounts)
        share = 1.0 if self.net is None else self.net.longest(second.net)
        for some, box in self._boxes(state):
            if self._looked is None:
                self._aimed(some, box, first, aim)
            share = min(share, box.longest(box.step(second.change(some))))
        share = min(1.0, TO_THE_END * share)
        for some, box in self._boxes(state):
            if self._looked is None:
                self._aimed(some, box, first, aim)
            for variable, change in zip(
                memory["duals"], box.step(second.change(some)), strict=True
            ):
                variable[:, some.here] += np.multiply(share, change, out=change)
        self._looked = None
        memory["images"] += np.multiply(share, second.moved, out=second.moved)
        if self.net is not None:
            memory["net"] = memory["net"] + share * second.net
        state.point = state.point + share * second.step
        state.rate, state.iteration, state.updates = share, state.iteration + 1, state.updates + 1
        self._tell(state)
        if self.curvature is not None:
            self._prove(state, factor, (1.0 - share) * mu + share * aim, self.curvature)
        # From a point beside the path F rises at first, while mu falls.
        there = ROUNDING * abs(memory["total"])
        closer = memory["gap"] < memory["least"] - there or there < mu < 0.9 * memory["mu"]
        memory.update(least=min(memory["gap"], memory["least"]), mu=min(mu, memory["mu"]))
        memory["idle"] = 0 if closer else memory["idle"] + 1
        state.done = memory["idle"] >= MOST_IDLE or memory["gap"] <= 4.0 * EPS * abs(
            memory["total"]
        )

    def progress(self, state):
        """The dual objective at the dual variables, the greatest so far, and the gap to F."""
        memory = state.memory
        return Progress(left=memory["gap"], lower=memory["bound"], done=state.done)

    def answer(self, state):
        """The unknowns, with the coefficients that an L1 part holds at 0 there."""
        if self.net is None:
            return state.point
        v = state.point.copy()
        v[: self.objective.n_features][state.memory.get("pinned", [])] = 0.0
        return v

    def evaluate(self, state):
        """(v, smooth part of F, its gradient) at the answer, from X: one pass.

        Where the images that move along with the point are found to have drifted away, the next
        iteration begins with new ones.
        """
        found = super().evaluate(state)
        if found.point is state.point:
            total, kept = (
                found.smooth + self.objective.rest_value(found.point),
                state.memory["total"],
            )
            state.memory["drifted"] = not abs(total - kept) <= DRIFTED * abs(total)
        return found

    def _balance(self, state):
        """Scale down what pulls to the heavier side: from the middle the path of rare classes
        was lost at once.
        """
        s, sums = state.memory["duals"][0], np.zeros(2)
        for some in self._rows(state):
            pull = some.shares * some.pieces.sign * s[:, some.here]
            sums += np.maximum(pull, 0.0).sum(), np.maximum(-pull, 0.0).sum()
        side, share = 1.0 if sums[0] > sums[1] else -1.0, sums.min() / max(sums.max(), 1e-300)
        for some in self._rows(state):
            s[:, some.here] *= np.where(side * some.pieces.sign * s[:, some.here] > 0.0, share, 1.0)

    def _rows(self, state):
        """The rows that count, some at a time, so that what is computed of them stays in the
        cache.
        """
        F = self.objective
        samples, n, images = F.samples, F.n_samples, state.memory["images"]
        intercept = float(state.point[-1]) if F.fit_intercept else 0.0
        shares, offsets = (np.broadcast_to(one, n) for one in (samples.weights, samples.offsets))
        for start in range(0, n, ROWS):
            here: slice | np.ndarray = slice(start, start + ROWS)
            if not shares[here].all():
                here = start + np.flatnonzero(shares[here])
            made = pieces(F.loss, samples.targets[here])
            center = made.center + made.sign * offsets[here]
            u = center + made.sign * (images[here] + intercept)
            yield SomeRows(here, shares[here] / F.n_active, made._replace(center=center), u)

    def _boxes(self, state):
        """Some rows at a time, and their part of a step."""
        if self._looked is not None:
            yield from self._looked
            return
        for some in self._rows(state):
            self.box.look(some.u, state.memory["duals"][:, :, some.here])
            yield some, self.box

    def _rooms(self):
        """Two arrays as long as there are rows."""
        if self._room is None:
            self._room = np.zeros((2, self.objective.n_samples))
        return self._room

    def _aim(self, state, first):
        """Mean of what should be mu over all ends, a row's times its share of the mean loss, and
        where to aim at.
        """
        sums, share = np.zeros(3), 1.0
        if self.net is not None:
            sums, share = (
                self.net.products(first.net, np.ones(self.objective.n_features)),
                self.net.longest(first.net),
            )
        for some, box in self._boxes(state):
            box.aim(0.0)
            step = box.step(first.change(some))
            sums, share = sums + box.products(step, some.shares), min(share, box.longest(step))
        return aimed_at(sums / max(self.n_ends, 1.0), share)

    def _aimed(self, some, box, first, aim):
        """Aim at mu = `aim`, with what the products of the first step's changes add."""
        box.aim(0.0)
        return box.aim(self.row_scale * aim, box.step(first.change(some)))

    def _factor(self, memory, curvatures):
        """Curvature of the step, made ready to be solved with."""
        F = self.objective
        if self.by_rows:
            return self._row_system(memory, curvatures[F.samples.active()] / F.n_active)
        factor = self._factor_of(curvatures, self._redundant, memory)
        if not (factor.regular or self._searched or F.l1 + F.l2 > 0.0):
            self._redundant, self._searched = (
                redundant_columns(F, self.linear_map, curvatures > 0.0),
                True,
            )
            factor = self._factor_of(curvatures, self._redundant, memory)
        return factor

    def _factor_of(self, curvatures, redundant, memory):
        """Factor of the curvature of F where rows have these; in `memory` it notes what is
        pinned.
        """
        matrix = self.objective.gram(curvatures)
        if self.net is not None:
            d = np.arange(self.objective.n_features)
            memory["pinned"] = self._pinned(self.net, matrix[d, d])
            matrix[d, d] += self.net.curvature
            return Factor(redundant.left_out(matrix))
        factor, memory["singular"] = factor_of(
            self.objective,
            lambda: curvatures,
            redundant.left_out(matrix),
            memory.get("singular", False),
        )
        return factor

    def _row_system(self, memory, curvatures):
        F = self.objective
        if self._system is None:
            self._system = RowSystem(self._matrix(), F.fit_intercept)
        metric = np.full(F.n_features, F.l2)
        if self.net is not None:
            memory["pinned"] = self._pinned(self.net, F.l2 + self._system.squares(curvatures))
            metric += self.net.curvature
        F.meter.count(1.0 * self._system.look(metric, curvatures))
        return self._system

    def _matrix(self):
        F = self.objective
        chosen = slice(None) if F.n_active == F.n_samples else F.samples.active()
        return F.rows.part(chosen).astype(np.float64, copy=False)

    @staticmethod
    def _pinned(net, curvature):
        """Where the ends hold a coefficient more than the data do: it is 0 but for less than
        sqrt(mu / curvature).
        """
        return np.flatnonzero(net.curvature > curvature)

    def _way(self, state, factor, amounts, mu, first, room):
        """The step of all that the amounts of the rows ask for; its images go into `room`.

        `first` is the net's part of a step whose products are taken into account.
        """
        F, changes = self.objective, None
        rest = F.l2 * state.point[: F.n_features]
        if self.net is not None:
            rest = rest + self.net.aim(mu, first)
        if self.by_rows:
            active, changes = F.samples.active(), np.zeros(F.n_samples)
            step, changes[active] = (-part for part in factor.solve(amounts[active], rest))
        else:
            gradient = self._gradient(amounts)
            gradient[: F.n_features] += rest
            step = -factor.solve(gradient)
        coef, intercept = F.split(step)
        moved = self.linear_map.matvec(np.ascontiguousarray(coef), room)
        return Way(
            step,
            moved,
            intercept,
            changes,
            None if self.net is None else np.array(self.net.step(coef)),
        )

    def _gradient(self, amounts):
        """Sum of amount * (x, 1): half a pass."""
        F = self.objective
        gradient = np.empty(F.size)
        self.linear_map.rmatvec(amounts, gradient[: F.n_features])
        if F.fit_intercept:
            gradient[-1] = amounts.sum()
        return gradient

    def _tell(self, state):
        """F here, the bound, and the gap between them; the gradient that is left, in magnitude:
        half a pass.
        """
        memory = state.memory
        total, floor, gradient = self._sides(state)
        memory["bound"] = max(memory["bound"], floor)
        memory.update(total=total, floor=floor, gap=total - memory["bound"])
        return gradient

    def _sides(self, state):
        """F, and what it is nowhere below: the least of what the dual variables leave of it, made
        feasible first.

        An intercept asks for derivatives that sum to 0: rows that pull to the heavier side are
        scaled down. Without an L2 part no column may have a gradient beyond l1: all rows are scaled
        down. The gradient before that comes third.

        What rounds: the rows' terms, by a few units of their sizes; and the gradient, which leaves
        the bound wrong by no more than sum_j e_j |w*_j|, w* being an optimum of twice w at most.
        That is added where a gap is promising.
        """
        F, memory, amounts = self.objective, state.memory, self._rooms()[0]
        amounts[:], losses, sums = 0.0, 0.0, np.zeros((2, 4))
        for some in self._rows(state):
            s = memory["duals"][0][:, some.here]
            losses += float(some.shares @ some.pieces.value(some.u))
            amounts[some.here] = pull = some.amounts(s)
            terms = s * some.pieces.center
            parts = [
                some.shares * part.sum(axis=0)
                for part in (terms, np.abs(terms), 0.5 * self.box.bend * s * s)
            ]
            sums += np.stack([pull > 0.0, pull <= 0.0]).astype(float) @ np.stack([pull, *parts]).T
        share, pulls = np.ones(2), np.abs(sums[:, 0])
        if F.fit_intercept:
            heavier = int(np.argmax(pulls))
            share[heavier] = pulls.min() / max(pulls.max(), 1e-300)
            np.multiply(
                amounts, share[heavier], out=amounts, where=(amounts > 0.0) == (heavier == 0)
            )
        linear, size, bent = share @ sums[:, 1], share @ sums[:, 2], share**2 @ sums[:, 3]
        gradient = np.abs(self._gradient(amounts)[: F.n_features])
        beyond, scale = np.maximum(gradient - F.l1, 0.0), 1.0
        if F.l2 > 0.0:
            rest = 0.5 * float(beyond @ beyond) / F.l2
        else:
            rest, scale = 0.0, min(1.0, F.l1 / max(float(gradient.max(initial=0.0)), 1e-300))
        floor = scale * (linear - scale * bent) - rest - 8.0 * EPS * (size + bent + rest)
        total = losses + F.penalty_value(state.point)
        if total - floor < PROMISING * unit_at(F, total):
            slope = float(np.linalg.norm(amounts)) * np.sqrt(F.n_samples)
            floor -= 3.0 * sum_rounding(F) * slope * prediction_size(F, state.point)
        return total, float(floor), gradient

    def _prove(self, state, factor, mu, curvature):
        """Raise the bound to what completed dual variables prove, `factor` being that of the
        iteration: half a pass.

        Where that is nothing although the gap is closing, some may have no room: a level that only
        rows of one class have leaves them nothing but 0.  Then those that the ends hold are moved
        there, for a matrix of the others.
        """
        F, memory, box, s = self.objective, state.memory, self.box, state.memory["duals"][0]
        value = self._completed(state, s, curvature, factor, self._redundant)
        closing = mu <= min(CLOSING * abs(memory["total"]), memory.get("tried", np.inf))
        if value == -np.inf and closing and self.net is None:
            memory["tried"] = 0.01 * mu
            sizes = [
                [r.shares @ abs(one).sum(axis=0) for one in (s[:, r.here], r.u)]
                for r in self._rows(state)
            ]
            free = curvature >= HELD * np.divide(*np.sum(sizes, axis=0))
            s = np.where(free, s, np.where(s - box.low < box.high - s, box.low, box.high))
            curvature = np.where(free, curvature, 0.0)
            curvatures = F.samples.weights * curvature.sum(axis=0)
            redundant = redundant_columns(F, self.linear_map, curvatures > 0.0)
            value = self._completed(
                state, s, curvature, self._factor_of(curvatures, redundant, memory), redundant
            )
        memory["bound"] = max(memory["bound"], value)
        memory["gap"] = memory["total"] - memory["bound"]

    def _completed(self, state, s, curvature, factor, redundant):
        """What dual variables near `s` prove, `curvature` being that of `factor`, or -inf."""
        if not factor.regular:
            return -np.inf
        amounts = self._rooms()[0]
        amounts[:] = 0.0
        for some in self._rows(state):
            amounts[some.here] = some.amounts(s[:, some.here])
        rows = ((some, s[:, some.here], curvature[:, some.here]) for some in self._rows(state))
        net = None if self.net is None else (state.memory["net"][0], self.net.curvature)
        data = self.objective, self.box, rows, state.point, self._gradient(amounts)
        return completed_dual.lower_bound(*data, factor, redundant, net)


def path_size(objective):
    """Size of the matrices on the central path of all columns: by way of the rows where these
    are fewer.
    """
    F = objective
    return min(F.n_features, F.n_active) if F.l1 + F.l2 > 0.0 else F.n_features


def central_path_applies(objective):
    """Whether Newton steps on the central path are defined here, and their matrix is affordable.

    With an L1 part it is one of the columns that matter; for a smooth loss there is another way to
    take these.
    """
    F = objective
    few = path_size(F) <= WIDEST_PATH or (F.l1 > 0.0 and not F.loss_smooth)
    return not F.vector and F.elastic and known(F.loss) and few


def takes_columns_by_need(objective):
    """Whether the central path begins on some of the columns, of many that an L1 part may hold
    at 0.
    """
    return objective.l1 > 0.0 and objective.n_features > COLUMNS_AT_ONCE


def central_path_cost(objective):
    """What a run on the central path takes, in passes' worth of time; `central_path_applies`."""
    F = objective
    size = path_size(F)
    matrix = DENSE_COST * size if size < F.n_features else curvature_cost(F)
    return PATH_ITERATIONS * (PATH_SWEEPS + matrix + solving_cost(F, size))
