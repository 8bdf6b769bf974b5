"""Newton steps on the central path: losses of straight and parabolic pieces, with L2, L1 or no penalty at all.

Each piece is sup over low <= s <= high of s u - bend s^2 / 2 (`fastgd.pieces`), and so is l1 |w_j|, with u = w_j and
s between -l1 and l1.  With multipliers a, b >= 0 for the two ends the conditions of the optimum are

    mean of s_i sign x_i + l2 w + p = 0,   u - bend s + a - b = 0,   a (s - low) = b (high - s) = mu

at mu = 0, where mu is n times as large for rows as for coefficients: so all ends count alike in the gap.  (With one mu
for both the path went in circles where columns were many.)  A Newton step on all of them at once costs one curvature
matrix, of row curvatures 1 / (bend + a / (s - low) + b / (high - s)), and where it is aimed at is chosen by a first
step with mu = 0 (Mehrotra, 1992, "On the implementation of a primal-dual interior point method").  That takes 10 to 30
steps, however little penalty there is and however many corners the optimum sits on, where Newton's method on rounded
corners took hundreds.
"""

import numpy as np

from fastgd.box import TO_THE_END, Box
from fastgd.factor import Factor
from fastgd.pieces import pieces
from fastgd.row_system import RowSystem
from fastgd.solvers import Solver
from fastgd.solvers.row_metric import count_passes
from fastgd.sweeps import Sweeps

# So many turns without a smaller gap or mu, down to a share of F, are the last.
MOST_IDLE, ROUNDING = 10, 1e-14
EPS = float(np.finfo(float).eps)


def by_rows(objective):
    """Whether steps are solved for by way of the rows: there are more columns, and a penalty holds them all."""
    F = objective
    return F.n_active < F.n_features and F.l1 + F.l2 > 0.0


class CentralPath(Solver):
    """Primal-dual Newton steps, for losses that `fastgd.pieces` knows and an elastic net.

    Parameters
    ----------
    objective : Objective

    Examples
    --------
    >>> from fastgd.objective import Objective
    >>> X, y = np.arange(5.0)[:, None], np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    >>> solver = CentralPath(Objective("quantile", X, y))
    >>> state = solver.start(np.zeros(2))
    >>> solver.resume(state)
    >>> for _ in range(10):
    ...     solver.turn(state)
    >>> state.point.round(3)
    array([1., 1.])
    """

    exact = False
    proves = True

    def __init__(self, objective):
        super().__init__(objective)
        F = objective
        self.sweeps, self.active = Sweeps(F), F.samples.active()
        everything = self.active.size == F.n_samples
        self._rows = slice(None) if everything else self.active
        self.pieces = pieces(F.loss, F.samples.targets[self._rows])
        self.weights = np.broadcast_to(F.samples.weights, (F.n_samples,))[self._rows] / F.n_active
        offsets = np.broadcast_to(F.samples.offsets, (F.n_samples,))[self._rows]
        # All ends are alike on the path: a row's product counts for its share of the mean, a column's for all of it.
        self.row_scale = float(F.n_active) if F.l1 > 0.0 else 1.0
        self.center = self.pieces.center + self.pieces.sign * offsets
        self.box = Box(self.pieces.low, self.pieces.high, self.pieces.bend)
        self.net = Box(-F.l1, F.l1, 0.0) if F.l1 > 0.0 else None
        self.by_rows, self._system = by_rows(F), None

    @np.errstate(all="ignore")  # values of 1e150 overflow in passing
    def resume(self, state):
        """Go on where data and objective are those of the earlier run, else from its point with new dual variables."""
        F, memory = self.objective, state.memory
        coef = np.ascontiguousarray(F.split(state.point)[0])
        images = self.sweeps.images(coef)[self._rows] if coef.any() else np.zeros(self.active.size)
        total = self._total(images, state)
        kept = np.shape(memory.get("duals")) == (3, *self.center.shape)
        kept = kept and (memory["net"] is None) == (self.net is None) and abs(total - memory["total"]) <= 1e-9 * total
        if not (kept and np.allclose(images, memory["images"], rtol=0.0, atol=1e-9 * np.abs(images).max(initial=0.0))):
            state.forget()
            state.memory.update(images=images, duals=self.box.start(self._u(images, state), self.weights), net=None)
            if self.net is not None:
                state.memory["net"] = self.net.start(coef, np.full(coef.size, 1.0 / coef.size))
        state.memory.update(bound=-np.inf, least=np.inf, mu=np.inf, idle=0)
        self._tell(state)

    @np.errstate(all="ignore")
    def turn(self, state):
        """A step that tells where to aim at, and the one that goes there: one curvature matrix and four sweeps."""
        F, memory = self.objective, state.memory
        coef = F.split(state.point)[0]
        self.box.look(self._u(memory["images"], state), memory["duals"])
        if self.net is not None:
            self.net.look(coef, memory["net"])
        factor, mu = self._factor(memory), self._mean(memory["duals"], memory["net"])
        first = self._step(state, factor, 0.0, None)
        share = self._longest(first)
        ahead = memory["duals"] + share * first[2], None if self.net is None else memory["net"] + share * first[3]
        aim = mu * (max(self._mean(*ahead), 0.0) / mu) ** 3 if mu > 0.0 else 0.0
        step, moved, duals, net = self._step(state, factor, aim, first)
        share = min(1.0, TO_THE_END * self._longest((step, moved, duals, net)))
        state.point = state.point + share * step
        memory["images"] = memory["images"] + share * moved
        memory["duals"] = memory["duals"] + share * duals
        if net is not None:
            memory["net"] = memory["net"] + share * net
        state.rate, state.turn, state.updates = share, state.turn + 1, state.updates + 1
        self._tell(state)
        # From a point beside the path F rises at first, while mu falls.
        there = ROUNDING * abs(memory["total"])
        closer = memory["gap"] < memory["least"] - there or there < mu < 0.9 * memory["mu"]
        memory.update(least=min(memory["gap"], memory["least"]), mu=min(mu, memory["mu"]))
        memory["idle"] = 0 if closer else memory["idle"] + 1
        memory["exhausted"] = memory["idle"] >= MOST_IDLE or memory["gap"] <= 4.0 * EPS * abs(memory["total"])

    def lower_bound(self, state):
        """The dual objective at the dual variables, the greatest so far."""
        return state.memory["bound"]

    def nearly_done(self, state, tol):
        """Whether the gap leaves no more than tol."""
        return state.memory["gap"] <= tol * abs(state.memory["total"])

    def answer(self, state):
        """The unknowns, with the coefficients that an L1 part holds at 0 there."""
        if self.net is None:
            return state.point
        v = state.point.copy()
        v[: self.objective.n_features][state.memory.get("pinned", [])] = 0.0
        return v

    def _u(self, images, state):
        intercept = float(state.point[-1]) if self.objective.fit_intercept else 0.0
        return self.center + self.pieces.sign * (images + intercept)

    def _mean(self, duals, net):
        """Mean of what should be mu over all ends of rows and columns, a row's times its share of the mean loss."""
        ends = self.box.products(duals) @ self.weights
        total, number = float(ends.sum()), ends.size * self.row_scale
        if self.net is not None:
            columns = self.net.products(net)
            total, number = total + float(columns.sum()), number + columns.size
        return total / number if number else 0.0

    def _longest(self, step):
        share = self.box.longest(step[2])
        return share if self.net is None else min(share, self.net.longest(step[3]))

    def _factor(self, memory):
        """Curvature of the step, made ready to be solved with."""
        F, curvatures = self.objective, np.zeros(self.objective.n_samples)
        curvatures[self._rows] = self.weights * F.n_active * self.box.curvature.sum(axis=0)
        if self.by_rows:
            return self._row_system(memory, curvatures[self._rows] / F.n_active)
        matrix = F.gram(curvatures)
        if self.net is not None:
            d = np.arange(F.n_features)
            memory["pinned"] = self._pinned(self.net, matrix[d, d])
            matrix[d, d] += self.net.curvature
        return Factor(matrix)

    def _row_system(self, memory, curvatures):
        F = self.objective
        if self._system is None:
            self._system = RowSystem(self._matrix(), F.fit_intercept)
        metric = np.full(F.n_features, F.l2)
        if self.net is not None:
            memory["pinned"] = self._pinned(self.net, F.l2 + self._system.squares(curvatures))
            metric += self.net.curvature
        count_passes(F, 1.0 * self._system.look(metric, curvatures))
        return self._system

    def _matrix(self):
        rows = self.objective.rows
        X = rows.matrix() if rows.sparse else rows.values
        return (X if self.active.size == X.shape[0] else X[self.active]).astype(np.float64, copy=False)

    @staticmethod
    def _pinned(net, curvature):
        """Where the ends hold a coefficient more than the data do: it is 0 but for less than sqrt(mu / curvature)."""
        return np.flatnonzero(net.curvature > curvature)

    def _step(self, state, factor, mu, first):
        """Steps of the unknowns, of the images with the intercept's taken out, and of the dual variables."""
        F = self.objective
        derivatives = self.box.aim(self.row_scale * mu, None if first is None else first[2])
        derivatives = (self.pieces.sign * derivatives).sum(axis=0)
        rest = F.l2 * state.point[: F.n_features]
        if self.net is not None:
            rest = rest + self.net.aim(mu, None if first is None else first[3])
        if self.by_rows:
            step, change = (-part for part in factor.solve(self.weights * derivatives, rest))
        else:
            gradient = self._gradient(derivatives)
            gradient[: F.n_features] += rest
            step, change = -factor.solve(gradient), None
        coef, intercept = F.split(step)
        moved = self.sweeps.images(np.ascontiguousarray(coef))[self._rows]
        duals = self.box.step(self.pieces.sign * (moved + intercept if change is None else change))
        return step, moved, duals, None if self.net is None else self.net.step(coef)

    def _gradient(self, derivatives):
        """Mean of derivative * (x, 1): half a pass."""
        F, amounts = self.objective, np.zeros(self.objective.n_samples)
        amounts[self._rows] = self.weights * derivatives
        gradient = np.empty(F.size)
        self.sweeps.combination(amounts, gradient[: F.n_features])
        if F.fit_intercept:
            gradient[-1] = amounts.sum()
        return gradient

    def _total(self, images, state):
        """F at the point: no pass."""
        losses = self.pieces.value(self._u(images, state))
        return float(self.weights @ losses) + self.objective.penalty_value(state.point)

    def _tell(self, state):
        """F here, the bound, and the gap between them: half a pass."""
        memory = state.memory
        total = self._total(memory["images"], state)
        memory["bound"] = max(memory["bound"], self._dual_value(memory["duals"][0]))
        memory.update(total=total, gap=total - memory["bound"])

    def _dual_value(self, s):
        """F is nowhere below this: the least of what the dual variables `s` leave of F, made feasible first.

        An intercept asks for derivatives that sum to 0: those of the heavier sign are scaled down. Without an L2 part
        no column may have a gradient beyond l1: all are scaled down.
        """
        F, pull = self.objective, self.pieces.sign * s
        if F.fit_intercept:
            mass = self.weights * pull
            up, down = mass[mass > 0.0].sum(), -mass[mass < 0.0].sum()
            heavy = pull > 0.0 if up > down else pull < 0.0
            s = np.where(heavy, s * (min(up, down) / max(up, down, 1e-300)), s)
            pull = self.pieces.sign * s
        gradient = np.abs(self._gradient(pull.sum(axis=0))[: F.n_features])
        beyond, scale = np.maximum(gradient - F.l1, 0.0), 1.0
        if F.l2 > 0.0:
            rest = 0.5 * float(beyond @ beyond) / F.l2
        else:
            rest, scale = 0.0, min(1.0, F.l1 / max(float(gradient.max(initial=0.0)), 1e-300))
        own = s * self.center - 0.5 * self.pieces.bend * scale * s * s
        value = scale * float(self.weights @ own.sum(axis=0)) - rest
        return value - 8.0 * EPS * (float(self.weights @ np.abs(own).sum(axis=0)) + rest)
