"""Twins of the rules, passes and epochs: slow, obvious NumPy on a dense X, as a textbook writes
them.

A twin shares with the package the losses and penalties (tested on their own) and nothing else. A
new rule or step_length needs a function here that is called `rule_<name>` or `step_length_<name>`.
"""

import numba
import numpy as np
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.data.targets import WeightedSamples
from fastgd.rules.one_sample import RELAXED
from fastgd.runtime.fingerprint import is_ours


def members(family):
    """Built-in components of a family: other tests may register their own."""
    return [cls() for cls in family.members().values() if is_ours(cls)]


def with_jit(few, many):
    """`many` cases in plain Python, `few` where each costs seconds of compiling."""
    return many if numba.config.DISABLE_JIT else few


def targets_of(loss, numbers):
    """Targets of a loss made of real numbers: their signs, shares, counts, amounts, or themselves,
    as its domain asks.
    """
    domain, numbers = loss.target_domain, np.asarray(numbers, dtype=float)
    if domain.ends_only:
        return np.where(numbers > 0.0, domain.high, domain.low)
    if domain.contains(numbers).all():
        return numbers
    if domain.high < np.inf:
        return domain.low + (domain.high - domain.low) / (1.0 + np.exp(-numbers))
    amounts = np.exp(np.clip(0.5 * numbers, -3.0, 3.0))
    return domain.low + (np.floor(amounts) if domain.low_closed else amounts)


def sparse_problem(loss, n=23, d=6, seed=0):
    """X with zeros, an empty row and an empty column; targets of the loss, weights with a zero,
    offsets.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.5)
    X[n // 2], X[:, d // 2] = 0.0, 0.0
    y = (
        rng.choice([-1.0, 1.0], n)
        if loss.classification
        else targets_of(loss, rng.standard_normal(n))
    )
    weights = rng.uniform(0.5, 1.5, n)
    weights[1] = 0.0
    return X, y, weights, 0.1 * rng.standard_normal(n)


def stored(X, storage):
    return as_rows(sp.csr_array(X) if storage == "csr" else X)


def samples(y, weights=None, offsets=None):
    return WeightedSamples(
        y, np.ones(1) if weights is None else weights, np.zeros(1) if offsets is None else offsets
    )


# Rules: each function returns move(gradient, decay, rate), which says what to subtract and
# remembers what it has to.


def rule_gd(rule):
    return lambda gradient, decay, rate: rate * (gradient + decay)


def rule_momentum(rule):
    velocity = 0.0

    def move(gradient, decay, rate):
        nonlocal velocity
        velocity = rule.momentum * velocity + gradient + decay
        return rate * velocity

    return move


def rule_nesterov(rule):
    velocity = 0.0

    def move(gradient, decay, rate):
        nonlocal velocity
        velocity = rule.momentum * velocity + gradient + decay
        return rate * (gradient + decay + rule.momentum * velocity)

    return move


def rule_adagrad(rule):
    squares = 0.0

    def move(gradient, decay, rate):
        nonlocal squares
        squares = squares + gradient**2
        return np.where(
            squares > 0, rate * (gradient + decay) / (np.sqrt(squares) + rule.epsilon), 0.0
        )

    return move


def rule_rmsprop(rule):
    average = 0.0

    def move(gradient, decay, rate):
        nonlocal average
        average = rule.rho * average + (1 - rule.rho) * (gradient + decay) ** 2
        return rate * (gradient + decay) / (np.sqrt(average) + rule.epsilon)

    return move


def rule_adam(rule):
    first, second, step = 0.0, 0.0, 0

    def move(gradient, decay, rate):
        nonlocal first, second, step
        step += 1
        first = rule.beta1 * first + (1 - rule.beta1) * (gradient + decay)
        second = rule.beta2 * second + (1 - rule.beta2) * (gradient + decay) ** 2
        corrected = first / (1 - rule.beta1**step), second / (1 - rule.beta2**step)
        return rate * corrected[0] / (np.sqrt(corrected[1]) + rule.epsilon)

    return move


def twin_of_rule(rule):
    twin = globals().get(f"rule_{rule.name}")
    assert twin is not None, (
        f"rule {rule.name!r} needs a twin: write rule_{rule.name}(rule) in {__file__}"
    )
    return twin(rule)


# Paces: the multiple of the row that is subtracted.


def step_length_scheduled(step_length, rate, value, derivative, squared_norm, weight):
    return rate * weight * derivative


def step_length_capped(step_length, rate, value, derivative, squared_norm, weight):
    if derivative == 0:
        return 0.0
    polyak = (value - step_length.infimum) / (
        derivative**2 * (squared_norm + step_length.intercept_rate)
    )
    return min(rate * weight, polyak * min(max(weight, 1), RELAXED)) * derivative


def step_length_pa1(step_length, rate, value, derivative, squared_norm, weight):
    length = min(rate, value / squared_norm) if squared_norm > 0 else 0.0
    return length * np.sign(derivative) * weight


def step_length_pa2(step_length, rate, value, derivative, squared_norm, weight):
    return value / (squared_norm + 1 / (2 * rate)) * np.sign(derivative) * weight


def twin_of_step_length(step_length):
    name = f"step_length_{step_length.name}"
    twin = globals().get(name)
    assert twin is not None, f"step length {step_length.name!r} needs a twin: {name} in {__file__}"
    return twin


# Epochs: all return (point, total, updates, averaged); `rate` is a function of the number of the
# update.


def batches(order, batch):
    return [order[first : first + batch] for first in range(0, len(order), batch)]


def gd_epoch(
    X,
    y,
    weights,
    offsets,
    loss,
    step_length,
    order,
    batch,
    point,
    rate,
    l1,
    l2,
    intercept_rate,
    average_from,
    updates=0,
):
    """Proximal stochastic gradient descent: shrink, step, soft threshold, for every coefficient
    at every update.
    """
    amount_of = twin_of_step_length(step_length)
    w, b = point[:-1].copy(), point[-1]
    total, averaged = np.zeros(point.size), 0
    for rows in batches(order, batch):
        updates += 1
        r = rate(updates)
        amounts = []
        for i in rows:
            z = X[i] @ w + b + offsets[i]
            row = loss.value(z, y[i]), loss.derivative(z, y[i]), X[i] @ X[i]
            amounts.append(amount_of(step_length, r, *row, weights[i]) / len(rows))
        w = w * max(0.0, 1 - r * l2)
        for i, amount in zip(rows, amounts, strict=True):
            w = w - amount * X[i]
            b = b - intercept_rate * amount
        w = np.sign(w) * np.maximum(np.abs(w) - r * l1, 0.0)
        if updates >= average_from:
            total, averaged = total + np.append(w, b), averaged + 1
    return np.append(w, b), total, updates, averaged


def rule_epoch(
    X,
    y,
    weights,
    offsets,
    loss,
    rule,
    order,
    batch,
    point,
    rate,
    scales,
    l2,
    intercept_rate,
    average_from,
    updates=0,
):
    """Any rule with the gradient of the batch and an L2 penalty, on all coefficients at every
    update.
    """
    move = twin_of_rule(rule)
    point = point.copy()
    total, averaged = np.zeros(point.size), 0
    for rows in batches(order, batch):
        updates += 1
        r = rate(updates) * np.append(scales, intercept_rate)
        gradient = np.zeros(point.size)
        for i in rows:
            derivative = (
                loss.derivative(X[i] @ point[:-1] + point[-1] + offsets[i], y[i])
                * weights[i]
                / len(rows)
            )
            gradient += derivative * np.append(X[i], 1.0)
        point = point - move(gradient, np.append(l2 * point[:-1], 0.0), r)
        if updates >= average_from:
            total, averaged = total + point, averaged + 1
    return point, total, updates, averaged


def support_epoch(
    X,
    y,
    weights,
    offsets,
    loss,
    rule,
    penalty,
    order,
    batch,
    point,
    rate,
    scales,
    rarities,
    alpha,
    smooth,
    intercept_rate,
    average_from,
    updates=0,
):
    """Any rule and penalty, where a coefficient and its memory move only in updates whose rows
    touch it.

    Each coefficient has a rule of its own; the steps of adam's bias correction are counted in
    updates, all the same.
    """
    point = point.copy()
    state = np.zeros((rule.slots, point.size))
    total, averaged = np.zeros(point.size), 0
    for rows in batches(order, batch):
        updates += 1
        scale = rule.begin(updates)
        gradient = np.zeros(point.size)
        for i in rows:
            derivative = (
                loss.derivative(X[i] @ point[:-1] + point[-1] + offsets[i], y[i])
                * weights[i]
                / len(rows)
            )
            gradient += derivative * np.append(X[i], 1.0)
        for j in np.flatnonzero((X[rows] != 0).any(axis=0)):
            r, hard = rate(updates) * scales[j], alpha * rarities[j]
            if smooth:
                point[j] -= rule.step(
                    state, j, gradient[j], hard * penalty.derivative(point[j], j), r, scale
                )
            else:
                moved = point[j] - rule.step(state, j, gradient[j], 0.0, r, scale)
                point[j] = penalty.prox(moved, j, hard * rule.reach(state, j, r, scale))
        if intercept_rate > 0:
            point[-1] -= rule.step(
                state, -1, gradient[-1], 0.0, rate(updates) * intercept_rate, scale
            )
        if updates >= average_from:
            total, averaged = total + point, averaged + 1
    return point, total, updates, averaged


def vector_epoch(
    X,
    Y,
    weights,
    offsets,
    loss,
    order,
    batch,
    point,
    rate,
    l2,
    intercept_rate,
    average_from,
    updates=0,
):
    """Stochastic gradient descent on K predictions; `point` is (d + 1, K)."""
    w, b = point[:-1].copy(), point[-1].copy()
    total, averaged = np.zeros(point.shape), 0
    for rows in batches(order, batch):
        updates += 1
        r = rate(updates)
        step, derivative = np.zeros(w.shape), np.zeros(b.shape)
        for i in rows:
            derivatives = np.empty(b.size)
            loss.derivatives(X[i] @ w + b + offsets[i], Y[i], derivatives)
            step += np.outer(X[i], derivatives) * weights[i] / len(rows)
            derivative += derivatives * weights[i] / len(rows)
        w = w * max(0.0, 1 - r * l2) - r * step
        b = b - intercept_rate * r * derivative
        if updates >= average_from:
            total, averaged = total + np.vstack([w, b]), averaged + 1
    return np.vstack([w, b]), total, updates, averaged


# Passes: sums over all rows.


def with_ones(X):
    return np.hstack([X, np.ones((X.shape[0], 1))])


def loss_sum(X, y, weights, offsets, loss, point):
    z = with_ones(X) @ point + offsets
    return sum(w * loss.value(p, t) for w, p, t in zip(weights, z, y, strict=True))


def gradient_sum(X, y, weights, offsets, loss, point):
    z = with_ones(X) @ point + offsets
    return with_ones(X).T @ [
        w * loss.derivative(p, t) for w, p, t in zip(weights, z, y, strict=True)
    ]


def curvature_sum(X, y, weights, offsets, loss, point, of_steps=False):
    """Second derivative, or, `of_steps`, what stands for it where a loss is not convex."""
    z, curvature = with_ones(X) @ point + offsets, loss.curvature
    if of_steps:
        curvature = loss.step_curvature
    curvatures = [w * curvature(p, t) for w, p, t in zip(weights, z, y, strict=True)]
    return with_ones(X).T @ (np.array(curvatures)[:, None] * with_ones(X))


def vector_loss_sum(X, Y, weights, offsets, loss, point):
    Z = with_ones(X) @ point + offsets[:, None]
    return sum(w * loss.value(p, t) for w, p, t in zip(weights, Z, Y, strict=True))


def vector_gradient_sum(X, Y, weights, offsets, loss, point):
    Z = with_ones(X) @ point + offsets[:, None]
    D = np.empty_like(Z)
    for i in range(len(Y)):
        loss.derivatives(Z[i], Y[i], D[i])
    return with_ones(X).T @ (weights[:, None] * D)


def column_moments(X, weights):
    """What `column_moments` writes: (4, d) about the columns and (3,) about the squared norms of
    the rows.
    """
    counted = weights > 0
    moments = [
        weights @ X,
        weights @ X**2,
        np.abs(X[counted]).max(axis=0),
        (X[counted] != 0).sum(axis=0),
    ]
    norms = (X**2).sum(axis=1)
    return np.array(moments), np.array(
        [norms[counted].max(), (weights * norms).max(), weights @ norms]
    )
