"""Minima in extended precision: least squares by Householder reflections, Newton steps on top.

And problems where rounding is all that is left.
"""

import numpy as np
import pytest

from fastgd import Objective
from fastgd.certificates.rounding import offset_size, prediction_size
from fastgd.solvers.newton.cholesky import Newton

LONG = np.longdouble
extended = pytest.mark.skipif(
    np.finfo(LONG).eps > 1e-18, reason="long double is no longer than double here"
)


def least_squares(A, b):
    """argmin |A w - b|, in extended precision; no column is 0."""
    scale = np.sqrt((A * A).sum(axis=0))
    A, b = A / scale, b.astype(LONG)
    d = A.shape[1]
    for k in range(d):
        x = A[k:, k].copy()
        x[0] += np.copysign(np.sqrt((x * x).sum()), x[0])
        x /= np.sqrt((x * x).sum())
        A[k:, k:] -= 2 * np.outer(x, x @ A[k:, k:])
        b[k:] -= 2 * x * (x @ b[k:])
    w = np.zeros(d, LONG)
    for k in range(d - 1, -1, -1):
        w[k] = (b[k] - A[k, k + 1 :] @ w[k + 1 :]) / A[k, k]
    return w / scale


def with_penalty(X, alpha, fit_intercept):
    """Rows with the intercept's 1, and those that stand for the penalty, (d, size)."""
    n, d = X.shape
    rows = np.c_[X.astype(LONG), np.ones((n, int(fit_intercept)), LONG)]
    return rows, np.sqrt(LONG(alpha)) * np.eye(d, d + fit_intercept, dtype=LONG)


def above_the_minimum(X, y, alpha, fit_intercept, v, offset=0.0):
    """(F - F* at `v`, F*) for squares, the first as the square that it is."""
    rows, penalty = with_penalty(X, alpha, fit_intercept)
    if alpha == 0.0:
        penalty = penalty[:0]
    A = np.r_[rows / np.sqrt(LONG(len(y))), penalty]
    b = np.r_[(y - np.asarray(offset, LONG)) / np.sqrt(LONG(len(y))), np.zeros(len(penalty))]
    best = least_squares(A, b)
    best = best + least_squares(A, b - A @ best)  # what rounding left is solved for again
    away, rest = A @ (v - best), A @ best - b
    return float(away @ away) / 2, float(rest @ rest) / 2


def logistic_minimum(X, y, alpha, fit_intercept, v, offset=0.0):
    """(F at `v`, F*) for the log loss, by Newton steps from `v`, each a problem of least
    squares.
    """
    rows, penalty = with_penalty(X, alpha, fit_intercept)
    signed, n, shifts = rows * y[:, None], LONG(len(y)), y * np.asarray(offset, LONG)

    def value(w):
        z = signed @ w + shifts
        return (np.log1p(np.exp(-np.abs(z))) + np.maximum(-z, 0)).mean() + (
            (penalty @ w) ** 2
        ).sum() / 2

    w, first = v.astype(LONG), value(v)
    for _ in range(30):
        p = 1 / (1 + np.exp(signed @ w + shifts))
        roots = np.sqrt(p * (1 - p) / n)
        A = np.r_[signed * roots[:, None], penalty]
        step, rate = least_squares(A, np.r_[roots / (1 - p), -penalty @ w]), LONG(1)
        while value(w + rate * step) > value(w) and rate > 1e-6:
            rate /= 2
        w = w + rate * step
        if ((A @ step) ** 2).sum() < 1e-28:
            break
    return float(first - value(w)), float(value(w))


def problem(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.choice([60, 200])), int(rng.integers(2, 10))
    X = rng.standard_normal((n, d))
    if rng.random() < 0.4:
        X += 10.0 ** rng.uniform(0, 6, d) * rng.choice([0, 1], d)
    for j in range(0, d - 1, 2):
        X[:, j + 1] = X[:, j] * (1 + 10.0 ** rng.uniform(-8, -5) * rng.standard_normal(n))
    unit = X / np.abs(X).max(axis=0)
    X *= 10.0 ** rng.uniform(-6, 6, d)
    w = rng.standard_normal(d)
    kind = seed % 3
    if kind == 0:
        y = X @ w + 1e-3 * rng.standard_normal(n)
    elif kind == 1:
        y = unit @ w + 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(n)
    else:  # what tells y is how nearly equal columns differ
        y = np.diff(unit, axis=1)[:, ::2] @ 10.0 ** rng.uniform(
            0, 9, d // 2
        ) + 1e-3 * rng.standard_normal(n)
    return X, y, float(rng.choice([0.0, 0.0, 10.0 ** rng.uniform(-14, -2)])), rng


def newton_points(loss, seed, n_iterations=5):
    """(F, points of a Newton run, function of a point: (F - F*, F*)) of a problem where rounding
    decides, with offsets up to 1e8; F - F* less what extended precision is wrong by.
    """
    X, y, _, rng = problem(seed)
    alpha, fit_intercept = 10.0 ** rng.uniform(-8, 0), bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        X = X / np.abs(X).max(axis=0) * 10.0 ** rng.uniform(-1, 2, X.shape[1])
    offset = np.zeros(y.size)
    if loss == "log_loss":
        z = y / np.abs(y).mean() + rng.standard_normal(y.size)
        y = np.where(z > np.median(z), 1.0, -1.0)
        offset = rng.choice([0.0, 1.0]) * rng.standard_normal(y.size)
    elif rng.random() < 0.5:
        spread = rng.choice([0.0, 1e-3, 1.0]) * rng.standard_normal(y.size)
        offset = 10.0 ** rng.uniform(0, 8) * (1.0 + spread)
        y = y + offset
    F = Objective(loss, X, y, alpha=alpha, fit_intercept=fit_intercept, offset=offset, n_jobs=1)
    newton, points = Newton(F), []
    state = newton.start(F.start())
    for _ in range(n_iterations):
        points.append(state.point.copy())
        newton.advance(state)

    def minimum(v):
        unit = float(np.finfo(LONG).eps)
        if loss == "log_loss":
            above, least = logistic_minimum(X, y, alpha, fit_intercept, v.astype(LONG), offset)
            unit_of_terms = 4.0 * unit * (prediction_size(F, v) + offset_size(F))
            return above - 64.0 * unit * least - unit_of_terms, least
        above, least = above_the_minimum(X, y, alpha, fit_intercept, v.astype(LONG), offset)
        return above - 64.0 * unit * least, least

    return F, points, minimum


def without_rounding(monkeypatch, *modules):
    """Whatever these modules add for rounding is 0."""
    for module in modules:
        if hasattr(module, "EPS"):
            monkeypatch.setattr(module, "EPS", 0.0)
        for name in ("sum", "derivative", "gradient", "value"):
            if hasattr(module, f"{name}_rounding"):
                monkeypatch.setattr(module, f"{name}_rounding", lambda *given: 0.0)
