"""Compiled steps of the rows' dual variables, against the equations of one row at a time."""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.losses.base import Loss
from fastgd.losses.piecewise import has_pieces, pieces
from fastgd.solvers.interior_point import row_steps
from fastgd.solvers.interior_point.kernels import TILE
from fastgd.solvers.interior_point.row_steps import RowSteps
from support.twins import members, sparse_problem

KNOWN = [loss for loss in members(Loss) if has_pieces(loss)]
LOSSES = pytest.mark.parametrize("loss", KNOWN, ids=lambda loss: loss.name)
# Three tiles and a half.
ROWS = 7 * TILE // 2


class Twin:
    """Rows at a random point inside the ends of their variables; one row of one piece at a time."""

    def __init__(self, loss, weighted):
        _, targets, weights, offsets = sparse_problem(loss, n=ROWS)
        given = {"sample_weight": weights, "offset": offsets} if weighted else {}
        self.F = F = Objective(loss, np.zeros((ROWS, 1)), targets, n_jobs=2, **given)
        rng = np.random.default_rng(0)
        self.products, self.intercept = rng.standard_normal(ROWS), 0.2
        self.moves, self.move_intercept = rng.standard_normal(ROWS), -0.1
        self.made = made = pieces(loss, targets)
        self.center = made.center + made.sign * (offsets if weighted else 0.0)
        self.weights = np.broadcast_to(F.samples.weights, ROWS)
        self.rows = np.flatnonzero(self.weights)
        self.low, self.high = made.low > -np.inf, made.high < np.inf
        shape, ends = made.center.shape, (self.low, self.high)
        least, most = max(made.low, -9.0), min(made.high, 9.0)
        multipliers = (rng.uniform(0.1, 2.0, shape) * there for there in ends)
        self.duals = np.stack([rng.uniform(least, most, shape), *multipliers])
        self.duals[:, :, self.weights == 0.0] = 0.0

    def ends(self, duals, p, i):
        """Of each end which it is, its distance, where s goes towards it and its multiplier."""
        s, a, b = duals[:, p, i]
        both = (1, s - self.made.low, -1.0, a), (2, self.made.high - s, 1.0, b)
        return [one for one, there in zip(both, (self.low, self.high), strict=True) if there]

    def step(self, p, i, change, asked):
        """Changes of s and of the multipliers, by all equations of the piece at once."""
        ends, s = self.ends(self.duals, p, i), self.duals[0, p, i]
        u = self.center[p, i] + self.made.sign[p, i] * (self.products[i] + self.intercept)
        matrix, right = np.eye(3), np.zeros(3)
        # u + change = bend (s + ds) + the multipliers of the high end less those of the low one.
        matrix[0, 0] = self.made.bend
        right[0] = u + change - self.made.bend * s
        for k, distance, towards, multiplier in ends:
            matrix[0, k] = towards
            right[0] -= towards * multiplier
            # The product is what is asked for, to first order.
            matrix[k, 0], matrix[k, k] = -towards * multiplier, distance
            right[k] = asked[k - 1] - multiplier * distance
        return np.linalg.solve(matrix, right)

    def steps(self, moving, asked):
        """Those of all pieces of the rows that count."""
        found = np.zeros_like(self.duals)
        for p in range(len(self.center)):
            for i in self.rows:
                move = self.moves[i] + self.move_intercept if moving else 0.0
                change = self.made.sign[p, i] * move
                found[:, p, i] = self.step(p, i, change, asked[:, p, i])
        return found

    def products_of(self, duals):
        """Of each end: distance times multiplier, 0 for rows that do not count."""
        found = np.zeros_like(duals[1:])
        for p in range(len(self.center)):
            for i in self.rows:
                for k, distance, _, multiplier in self.ends(duals, p, i):
                    found[k - 1, p, i] = distance * multiplier
        return found

    def derivatives(self, s):
        return self.weights * (self.made.sign * s).sum(axis=0) / self.F.n_active


@pytest.fixture(params=[True, False], ids=["weighted", "all rows"])
def weighted(request):
    return request.param


@LOSSES
def test_an_iteration_solves_the_equations_of_each_row(loss, weighted):
    twin = Twin(loss, weighted)
    F, duals, moves = twin.F, twin.duals, (twin.moves, twin.move_intercept)
    steps, (derivatives, curvatures) = RowSteps(F), np.full((2, ROWS), np.nan)
    of_pieces = np.zeros(twin.center.shape)
    point, moved = (twin.products, twin.intercept), duals.copy()
    steps.begin(*point, moved, derivatives, curvatures, of_pieces)
    asked = np.zeros_like(duals[1:])
    expected = duals[0] + twin.steps(False, asked)[0]
    np.testing.assert_allclose(derivatives, twin.derivatives(expected), atol=1e-12)
    unit = np.zeros_like(of_pieces)
    for p in range(len(unit)):
        for i in twin.rows:
            still, changed = (twin.step(p, i, u, asked[:, p, i])[0] for u in (0.0, 1.0))
            unit[p, i] = changed - still
    np.testing.assert_allclose(of_pieces, unit, rtol=1e-9)
    np.testing.assert_allclose(curvatures, twin.weights * unit.sum(axis=0), rtol=1e-9)
    change = None
    for mu in (None, 0.3):
        if change is not None:
            asked = mu - (twin.products_of(duals + change) - asked)
            asked[:, :, twin.weights == 0.0] = 0.0
            steps.correct(moves, mu, derivatives)
            expected = duals[0] + twin.steps(False, asked)[0]
            np.testing.assert_allclose(derivatives, twin.derivatives(expected), atol=1e-12)
        change = twin.steps(True, asked)
        sums, share = (steps.predict if mu is None else steps.measure)(moves)
        for part in (0.0, 0.3, 1.0):
            total = (twin.products_of(duals + part * change) * twin.weights).sum() / F.n_active
            assert sums @ [1.0, part, part**2] == pytest.approx(total, rel=1e-9, abs=1e-12)
        speeds = [
            max(towards * change[0, p, i] / distance, -change[k, p, i] / multiplier)
            for p in range(len(unit))
            for i in twin.rows
            for k, distance, towards, multiplier in twin.ends(duals, p, i)
        ]
        assert share == pytest.approx(1.0 / max([*speeds, 1.0]), rel=1e-9)
    # A corrector for products that so much of the step leaves far from 0.2.
    reached = twin.products_of(duals + 0.7 * change)
    aims = np.clip(reached, 0.02, 2.0)
    more = asked + np.maximum(aims - reached, -2.0)
    steps.centre(moves, 0.2, 0.7, derivatives)
    further = duals[0] + twin.steps(False, more)[0]
    np.testing.assert_allclose(derivatives, twin.derivatives(further), atol=1e-12)
    steps.undo()
    steps.move(moves, 0.5 * share, moved)
    np.testing.assert_allclose(moved, duals + 0.5 * share * change, rtol=1e-9, atol=1e-12)


@LOSSES
def test_losses_and_what_dual_variables_leave_of_them(loss, weighted):
    twin = Twin(loss, weighted)
    F, s, derivatives = twin.F, twin.duals[0], np.full(ROWS, np.nan)
    found, sums = RowSteps(F).losses_and_duals(twin.products, twin.intercept, s, derivatives)
    intercept = np.array([twin.intercept])
    predictions = twin.products + intercept + np.broadcast_to(F.samples.offsets, ROWS)
    losses = [loss.value(*one) for one in zip(predictions, F.samples.targets, strict=True)]
    assert found == pytest.approx(twin.weights @ losses / F.n_active, rel=1e-12)
    expected = twin.derivatives(s)
    np.testing.assert_allclose(derivatives, expected, atol=1e-15)
    terms = s * twin.center
    parts = [terms.sum(axis=0), np.abs(terms).sum(axis=0)]
    parts.append((0.5 * twin.made.bend * s * s).sum(axis=0))
    for own, side in zip(sums, (expected > 0.0, expected <= 0.0), strict=True):
        shares = side * twin.weights / F.n_active
        known = [expected[side].sum(), *(shares @ part for part in parts)]
        np.testing.assert_allclose(own, known, rtol=1e-10, atol=1e-14)


def test_threads_and_blocks_that_they_take_change_no_bit(shared_work, monkeypatch):
    monkeypatch.setattr(row_steps, "BLOCK", TILE)
    found = []
    for n_jobs in (1, 2, 3):
        twin = Twin(KNOWN[0], True)
        twin.F.n_threads = n_jobs
        steps, arrays = RowSteps(twin.F), np.zeros((2, ROWS))
        steps.begin(twin.products, twin.intercept, twin.duals, *arrays)
        step = twin.moves, twin.move_intercept
        sums, share = steps.predict(step)
        steps.correct(step, 0.1, arrays[0])
        steps.move(step, 0.5 * share, twin.duals)
        told = steps.losses_and_duals(twin.products, 0.0, twin.duals[0], arrays[1])
        found.append([sums, share, twin.duals, *arrays, *told])
    assert 1 in shared_work
    for one in found[1:]:
        for own, first in zip(one, found[0], strict=True):
            np.testing.assert_array_equal(own, first)


def test_a_multiplier_of_nothing_that_stays_there_is_not_at_its_end():
    """0 / 0 is no number, and no speed either."""
    twin = Twin(KNOWN[0], False)
    steps, arrays = RowSteps(twin.F), np.zeros((2, ROWS))
    twin.duals[1, 0, 0] = 0.0
    steps.begin(twin.products, twin.intercept, twin.duals, *arrays)
    sums, share = steps.predict((np.zeros(ROWS), 0.0))
    assert np.isfinite(sums).all()
    assert 0.0 < share <= 1.0
