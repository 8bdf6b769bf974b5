"""The bound from dual variables that are made feasible without an L2 part."""

import numpy as np
import pytest

from fastgd import EpsilonInsensitive, Objective, Quantile, SquaredEpsilonInsensitive
from fastgd.certificates import completed_dual
from fastgd.solvers.interior_point.central_path import CentralPath
from support.extended import LONG, extended, without_rounding

LOSSES = [Quantile(0.3), EpsilonInsensitive(0.1), SquaredEpsilonInsensitive(0.01)]


def value(loss, X, y, offset, l1, coef, intercept):
    """F in extended precision."""
    coef = coef.astype(LONG)
    left = y - (X.astype(LONG) @ coef + LONG(intercept) + offset)
    if loss.name == "quantile":
        losses = np.where(left > 0, LONG(loss.quantile), LONG(loss.quantile) - 1) * left
    else:
        losses = np.maximum(np.abs(left) - LONG(loss.epsilon), 0) ** (1 + loss.smooth)
    return losses.mean() + LONG(l1) * np.abs(coef).sum()


def problem(loss, seed):
    """Columns on wild scales, nearly copies, far from 0; heavy tails; offsets up to 1e8."""
    rng = np.random.default_rng(seed)
    n, d = 60, int(rng.integers(1, 7))
    X = rng.standard_normal((n, d))
    for j in range(0, d - 1, 2):
        X[:, j + 1] = X[:, j] * (1.0 + 10.0 ** rng.uniform(-7, -2) * rng.standard_normal(n))
    z = X @ rng.standard_normal(d)
    X += 10.0 ** rng.uniform(0, 6, d) * rng.choice([0, 1], d)
    X *= 10.0 ** rng.uniform(-5, 5, d)
    offset = 10.0 ** rng.uniform(0, 8) * rng.standard_normal(n) * rng.choice([0.0, 1.0])
    y = z + rng.choice([1e-6, 1e-2, 1.0]) * rng.standard_t(1.5, n) + offset
    l1 = rng.choice([0.0, 10.0 ** rng.uniform(-8, 0)])
    F = Objective(
        loss,
        X,
        y,
        penalty="l1" if l1 else None,
        alpha=l1,
        fit_intercept=bool(rng.random() < 0.6),
        offset=offset,
        n_jobs=1,
    )
    return F, X, y, offset, l1


def path(F, monkeypatch):
    """(points at the end of the central path, what was proved on the way by completing duals)."""
    bounds, complete = [], completed_dual.lower_bound

    def noted(*given):
        bounds.append(complete(*given))
        return bounds[-1]

    with monkeypatch.context() as patched:
        patched.setattr(completed_dual, "lower_bound", noted)
        solver, points = CentralPath(F), []
        state = solver.start(F.start())
        while len(points) < 40 and not (points and solver.progress(state).done):
            solver.advance(state)
            points.append(np.array(solver.answer(state)))
    return points[-5:], max(bounds, default=-np.inf), state.memory.lower


@pytest.mark.jit  # of sums as they are compiled
@extended
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_what_is_rounded_is_taken_off(loss, monkeypatch):
    visible = close = 0
    for seed in range(36, 60):
        F, X, y, offset, l1 = problem(loss, seed)
        points, completed, proved = path(F, monkeypatch)
        coefs = [F.split(v) for v in points]
        least = min(value(loss, X, y, offset, l1, coef, float(b)) for coef, b in coefs)
        assert max(completed, proved) <= least, seed
        close += least - completed <= 1e-9 * least
        with monkeypatch.context() as patched:
            without_rounding(patched, completed_dual)
            patched.setattr(completed_dual, "offset_size", lambda F: 0.0)
            visible += path(F, monkeypatch)[1] > least
    assert close >= 5
    assert visible >= 2
