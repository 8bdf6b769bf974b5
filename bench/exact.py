"""F in double-double, apart from the package: what claims are judged by.

A number is the sum of two floats, high and low, about 32 digits. Predictions X w + b, where
cancellation sits, are formed so: each product exactly (Dekker 1971, "A floating-point technique for
extending the available precision"), sums in pairs. Pieces of squares and of lines stay
double-double; exp and log1p of long doubles have 64 bits (2^-64 is 5.4e-20; 53 where a machine has
no more), and their error is part of `Value.rounding`.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from . import structures

AT_ONCE = 1 << 16  # values of X whose products are formed in one go: they stay in the cache
SPLITTER = 134217729.0  # 2^27 + 1
UNIT = 2.0**-100  # of double-double, with room for sums of a million terms
LONG = 4.0 * float(np.finfo(np.longdouble).eps)


class Value(NamedTuple):
    """F = high + low, what that may be wrong by, and what floats round: the mean of |loss'| (|x| .
    |coef| + |intercept|), and the terms of a quadratic form.
    """

    high: float
    low: float
    rounding: float
    slack: float

    def above(self, other):
        """What F is above the other value."""
        return (self.high - other.high) + (self.low - other.low)


def two_sum(a, b):
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a, b):
    p = a * b
    c, d = SPLITTER * a, SPLITTER * b
    a_high, b_high = c - (c - a), d - (d - b)
    a_low, b_low = a - a_high, b - b_high
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


def add(a, b):
    """Sum of two double-doubles, each a pair (high, low)."""
    s, e = two_sum(a[0], b[0])
    t, f = two_sum(a[1], b[1])
    s, e = _tidy(s, e + t)
    return _tidy(s, e + f)


def multiply(a, b):
    p, e = two_product(a[0], b[0])
    return _tidy(p, e + (a[0] * b[1] + a[1] * b[0]))


def _tidy(s, e):
    high = s + e
    return high, e - (high - s)


def negative(a):
    return -a[0], -a[1]


def number(x):
    x = np.asarray(x, dtype=np.float64)
    return x, np.zeros_like(x)


def where(condition, a, b):
    return np.where(condition, a[0], b[0]), np.where(condition, a[1], b[1])


def positive_part(a):
    return where(a[0] > 0.0, a, (np.zeros_like(a[0]), np.zeros_like(a[0])))


def total(a):
    """Sum over the last axis, in pairs."""
    high, low = np.array(a[0]), np.array(a[1])
    width = high.shape[-1]
    if width == 0:
        return np.zeros(high.shape[:-1]), np.zeros(high.shape[:-1])
    while width > 1:
        half = (width + 1) // 2
        first, rest = np.s_[..., : width - half], np.s_[..., half:width]
        high[first], low[first] = add((high[first], low[first]), (high[rest], low[rest]))
        width = half
    return high[..., 0], low[..., 0]


def _totals_of_rows(a, lengths):
    """Sum of each row, whose terms stand one row after another."""
    high, low = a
    rows = np.flatnonzero(lengths)
    lengths = lengths[rows]
    while lengths.max(initial=0) > 1:
        starts = np.concatenate([[0], np.cumsum(lengths)])
        half = (lengths + 1) // 2
        place = np.arange(high.size) - np.repeat(starts[:-1], lengths)
        upper = np.flatnonzero(place >= np.repeat(half, lengths))
        lower = upper - np.repeat(half, lengths - half)
        high[lower], low[lower] = add((high[lower], low[lower]), (high[upper], low[upper]))
        kept = place < np.repeat(half, lengths)
        high, low, lengths = high[kept], low[kept], half
    return rows, (high, low)


def products(X, coef):
    """(X coef in double-double, |X| |coef|): each row's sum."""
    n, d = X.shape
    high, low, size = np.zeros(n), np.zeros(n), np.zeros(n)
    if sp.issparse(X):
        cuts = np.searchsorted(X.indptr, np.arange(0, X.nnz + AT_ONCE, AT_ONCE))
        cuts = np.unique(np.concatenate([[0], np.minimum(cuts, n), [n]]))
    else:
        cuts = np.unique(np.append(np.arange(0, n, max(1, AT_ONCE // max(d, 1))), n))
    for first, stop in pairwise(cuts):
        if sp.issparse(X):
            here = slice(X.indptr[first], X.indptr[stop])
            terms = two_product(X.data[here].astype(np.float64), coef[X.indices[here]])
            lengths = np.diff(X.indptr[first : stop + 1]).astype(np.int64)
            sizes = np.add.reduceat(np.append(np.abs(terms[0]), 0.0), np.cumsum(lengths) - lengths)
            size[first:stop] = np.where(lengths > 0, sizes, 0.0)
            rows, sums = _totals_of_rows(terms, lengths)
            high[first + rows], low[first + rows] = sums
        else:
            terms = two_product(X[first:stop].astype(np.float64), coef)
            size[first:stop] = np.abs(terms[0]).sum(axis=1)
            high[first:stop], low[first:stop] = total(terms)
    return (high, low), size


# Losses: (y, z) -> value in double-double, derivative, and what the value is wrong by beyond
# double-double.


def _residual(y, z):
    return add(z, number(-y))


def _half(a):
    return 0.5 * a[0], 0.5 * a[1]


def _squared(a):
    return multiply(a, a)


def _size(a):
    return where(a[0] < 0.0, negative(a), a)


def _margin(y, z):
    return z[0] * y, z[1] * y  # y is -1 or 1


def _slack(y, z):
    return positive_part(add(number(np.ones_like(y)), negative(_margin(y, z))))


def squared_error(loss, y, z):
    r = _residual(y, z)
    return _half(_squared(r)), r[0], 0.0


def huber(loss, y, z):
    r = _residual(y, z)
    far = _size(r)
    near = where(far[0] <= loss.epsilon, far, number(np.full_like(y, loss.epsilon)))
    return (
        multiply(near, add(far, negative(_half(near)))),
        np.clip(r[0], -loss.epsilon, loss.epsilon),
        0.0,
    )


def _beyond(loss, y, z):
    r = _residual(y, z)
    return positive_part(add(_size(r), number(np.full_like(y, -loss.epsilon)))), np.sign(r[0])


def epsilon_insensitive(loss, y, z):
    t, sign = _beyond(loss, y, z)
    return t, sign * (t[0] > 0.0), 0.0


def squared_epsilon_insensitive(loss, y, z):
    t, sign = _beyond(loss, y, z)
    return _squared(t), 2.0 * sign * t[0], 0.0


def quantile(loss, y, z):
    r = negative(_residual(y, z))
    q = np.full_like(y, loss.quantile)
    below = add(number(q), number(np.full_like(y, -1.0)))
    share = where(r[0] > 0.0, number(q), below)
    return multiply(share, r), -share[0], 0.0


def hinge(loss, y, z):
    t = _slack(y, z)
    return t, -y * (t[0] > 0.0), 0.0


def squared_hinge(loss, y, z):
    t = _slack(y, z)
    return _squared(t), -2.0 * y * t[0], 0.0


def modified_huber(loss, y, z):
    t = _slack(y, z)
    near = where(t[0] < 2.0, t, number(np.full_like(y, 2.0)))
    return multiply(near, add(add(t, t), negative(near))), -2.0 * y * near[0], 0.0


def log_loss(loss, y, z):
    margin = _margin(y, z)
    far = _size(margin)
    decay = np.exp(-far[0].astype(np.longdouble)) * (1 - far[1].astype(np.longdouble))
    soft = np.log1p(decay)
    value = add(positive_part(negative(margin)), _from_long(soft))
    derivative = -y * np.where(margin[0] > 0.0, decay / (1 + decay), 1 / (1 + decay)).astype(
        np.float64
    )
    return value, derivative, LONG * soft.astype(np.float64)


def expectile(loss, y, z):
    r = _residual(y, z)
    # Both are the floats that the loss itself uses.
    share = np.where(r[0] < 0.0, loss.share, 1.0 - loss.share)
    return multiply(number(share), _squared(r)), 2.0 * share * r[0], 0.0


def uneven_squares(loss, y, z):
    r, times = _residual(y, z), np.where(y > 0.0, 4.0, 1.0)
    return multiply(number(0.5 * times), _squared(r)), times * r[0], 0.0


def counts(loss, y, z):
    high, low = z[0].astype(np.longdouble), z[1].astype(np.longdouble)
    target, mean = y.astype(np.longdouble), np.exp(high) * (1 + low)
    above = high - np.log(np.where(y > 0.0, target, 1)) + low
    value = np.where(y > 0.0, target * (np.expm1(above) - above), mean)
    # What the logarithm is wrong by moves the mean, and the difference is wrong by a share of its
    # terms.
    rounding = LONG * (
        np.abs(mean - target) * (1 + np.abs(high)) + target * np.abs(above) + mean * (y == 0.0)
    )
    return _from_long(value), (mean - target).astype(np.float64), rounding.astype(np.float64)


class _Above:
    """A prediction above the link of its target, u = z - link, in long doubles: what the deviances
    are functions of.

    What the logarithm in it and z itself are wrong by moves the loss by its derivative.
    """

    def __init__(self, y, z, link):
        self.z = z[0].astype(np.longdouble) + z[1]
        self.y = y.astype(np.longdouble)
        self.link = link(np.where(y > 0.0, self.y, 1))
        self.u = (z[0].astype(np.longdouble) - self.link) + z[1]

    def told(self, value, derivative, terms):
        """Value, derivative and rounding; `terms` are the greatest that the value is a sum of."""
        moved = np.abs(derivative) * (2 + np.abs(self.z) + np.abs(self.link))
        rounding = 4.0 * LONG * (moved + np.abs(terms) + np.abs(value))
        return _from_long(value), derivative.astype(np.float64), rounding.astype(np.float64)


def _tangent(t):
    return np.expm1(t) - t


def gamma(loss, y, z):
    above = _Above(y, z, np.log)
    return above.told(_tangent(-above.u), -np.expm1(-above.u), above.u)


def inverse_gaussian(loss, y, z):
    above = _Above(y, z, np.log)
    off = np.expm1(-above.u)
    return above.told(off * off / (2 * above.y), -off * np.exp(-above.u) / above.y, 0 * off)


def tweedie(loss, y, z):
    p = np.longdouble(loss.power)
    if p == 0:
        return squared_error(loss, y, z)
    a, b, above = p - 1, 2 - p, _Above(y, z, np.log)
    scale, u, zero = np.exp(b * above.link), above.u, y <= 0.0
    value = scale * sum(_tangent(t * u) / abs(t) * np.sign(s) for t, s in ((-a, 1), (b, b)) if t)
    cancels = (-b * u > 1) & (b < 0)  # the tangents do, above power 2
    if b < 0:
        value = np.where(cancels, scale * (np.expm1(b * u) / b + np.expm1(-a * u) / a), value)
    derivative = scale * np.where(
        u < 0, np.expm1(u) * np.exp(-a * u), -np.expm1(-u) * np.exp(b * u)
    )
    if b > 0:
        value = np.where(zero, np.exp(b * above.z) / b, value)
        derivative = np.where(zero, np.exp(b * above.z), derivative)
    return above.told(value, derivative, np.where(zero | cancels, 0, scale * u))


def _divergence(share, rest, v):
    """That of a share from the one whose log odds are v above it, and its greatest term."""
    move, less = np.abs(v), np.where(v > 0, rest, share)
    inner = np.expm1(-move) * less
    # Where little is left of 1 + inner, inner has rounded it away: both parts of it are positive.
    left = np.where(v > 0, share, rest) + less * np.exp(-move)
    logs = np.where(inner > -0.5, np.log1p(inner), np.log(left))
    return logs + less * move, less * move + np.abs(logs)


def negative_binomial(loss, y, z):
    r, above = 1 / np.longdouble(loss.dispersion), _Above(y, z, np.log)
    total, mean = above.y + r, np.exp(above.z)
    value, terms = _divergence(above.y / total, r / total, above.u)
    value = np.where(y > 0.0, total * value, r * np.logaddexp(0, above.z - np.log(r)))
    derivative = np.where(above.z > 0, r * (1 - above.y / mean) / (1 + r / mean), 0)
    derivative = np.where(above.z > 0, derivative, r * (mean - above.y) / (r + mean))
    return above.told(
        value, derivative, np.where(y > 0.0, total * terms, abs(np.log(r)) * derivative)
    )


def binomial(loss, y, z):
    inside = (y > 0.0) & (y < 1.0)
    above = _Above(np.where(inside, y, 0.5), z, lambda share: np.log(share) - np.log1p(-share))
    y = y.astype(np.longdouble)
    value, terms = _divergence(above.y, 1 - above.y, above.u)
    value = np.where(inside, value, np.logaddexp(0, np.where(y > 0, -above.z, above.z)))
    return above.told(value, 1 / (1 + np.exp(-above.z)) - y, np.where(inside, terms, 0))


def _from_long(x):
    high = x.astype(np.float64)
    return high, (x - high).astype(np.float64)


LOSSES = {
    function.__name__: function
    for function in (
        squared_error,
        huber,
        epsilon_insensitive,
        squared_epsilon_insensitive,
        quantile,
        hinge,
        squared_hinge,
        modified_huber,
        log_loss,
        expectile,
        uneven_squares,
        counts,
        gamma,
        inverse_gaussian,
        tweedie,
        negative_binomial,
        binomial,
    )
}
LOSSES["poisson"] = counts


def multinomial(y, scores):
    """Of a class for each row and a score for each class: value, derivatives and rounding."""
    high, low = (np.array(part) for part in zip(*scores, strict=True))
    own, rows = y.astype(int), np.arange(y.size)
    first = high.argmax(axis=0)  # of equal ones the others are as large but for their low parts
    far = add((high, low), negative((high[first, rows], low[first, rows])))
    long = far[0].astype(np.longdouble) + far[1]
    odds = np.exp(long)
    others = np.where(np.arange(len(high))[:, None] == first, 0, odds)
    soft = np.log1p(others.sum(axis=0))
    value = add(_from_long(soft), negative((far[0][own, rows], far[1][own, rows])))
    derivatives = odds / odds.sum(axis=0)
    derivatives[own, rows] = 0
    derivatives[own, rows] = -derivatives.sum(axis=0)
    rounding = LONG * (soft + (others * (1 + np.abs(long))).sum(axis=0))
    return value, list(derivatives.astype(np.float64)), rounding.astype(np.float64)


def losses(problem, scores):
    """(value, derivatives by each prediction, rounding) of each row, from a list of predictions."""
    if problem.loss.name == "multinomial":
        return multinomial(problem.y, scores)
    one = LOSSES[problem.loss.name]
    columns = problem.y.reshape(problem.y.shape[0], -1).T
    parts = [one(problem.loss, y, z) for y, z in zip(columns, scores, strict=True)]
    value = parts[0][0]
    for other, _, _ in parts[1:]:
        value = add(value, other)
    return value, [derivative for _, derivative, _ in parts], sum(unsure for _, _, unsure in parts)


def value(problem, coef, intercept):
    """F of a `HardProblem` at coefficients, (d,) or (K, d), and intercepts, as a `Value`; infinite
    where a float cannot hold it.
    """
    coef = np.atleast_2d(np.asarray(coef, dtype=np.float64))
    intercept = np.ravel(np.asarray(intercept, dtype=np.float64))
    offset = np.zeros(problem.X.shape[0]) if problem.offset is None else problem.offset
    weights = problem.weights
    counts_not = weights == 0.0  # whatever these rows' losses are, infinite too
    with np.errstate(all="ignore"):
        found = [products(problem.X, one) for one in coef]
        sizes = [size + abs(b) for (_, size), b in zip(found, intercept, strict=True)]
        scores = [
            add(z, number(np.full(offset.size, b)))
            for (z, _), b in zip(found, intercept, strict=True)
        ]
        if problem.offset is not None:
            scores = [add(z, number(offset)) for z in scores]
        loss, derivatives, unsure = losses(problem, scores)
        loss = tuple(np.where(counts_not, 0.0, part) for part in loss)
        weight = float(weights.sum())
        mean = _over(total(multiply(number(weights), loss)), total(number(weights)))
        penalty, of_penalty, terms = _penalty(problem, coef)
        high, low = add(mean, penalty)
        derivatives = [np.abs(np.where(counts_not, 0.0, derivative)) for derivative in derivatives]
        targets = np.abs(problem.y.reshape(offset.size, -1)).max(axis=1)
        reaches = [size + np.abs(offset) + targets for size in sizes]
        rounding = UNIT * (high + float(weights @ _summed(derivatives, reaches)) / weight)
        rounding += float(np.sum(np.where(counts_not, 0.0, weights * unsure))) / weight + of_penalty
        slack = float(weights @ _summed(derivatives, sizes)) / weight + terms
    if not np.isfinite(high):
        return Value(np.inf, 0.0, 0.0, np.inf)
    return Value(float(high), float(low), rounding, slack)


def _summed(derivatives, sizes):
    """Sum of derivative times size; 0 where the derivative is 0, whatever the size."""
    pairs = zip(derivatives, sizes, strict=True)
    return sum(np.where(derivative > 0.0, derivative * size, 0.0) for derivative, size in pairs)


def _over(a, b):
    """Quotient of two double-doubles."""
    q = a[0] / b[0]
    rest = add(a, negative(multiply(number(q), b)))
    return _tidy(q, rest[0] / b[0])


def _penalty(problem, coef):
    """The penalty, what that may be wrong by, and the sum of the terms of a quadratic form."""
    structure = problem.structure
    if not structures.allows(structure, coef):
        return number(np.inf), 0.0, 0.0
    alpha, share = number(problem.alpha), number(problem.l1_ratio)
    if "groups" in structure:
        absolute, lengths = structures.of_groups(structure, coef)
        own = np.longdouble(structure["share"])
        found = problem.alpha * (own * absolute + (1.0 - own) * lengths)
        return _from_long(found), LONG * coef.size * float(found), 0.0
    if "concave" in structure:
        found = structures.of_concave(structure, problem.alpha, coef)
        return _from_long(found), LONG * coef.size * float(found), 0.0
    n_features = coef.shape[1]
    weights = [1.0 if w is None else w for w in structure.get("weights", np.ones(n_features))]
    weights, w = np.tile(weights, len(coef)), coef.ravel()
    absolute, unsure, terms = total(two_product(np.abs(w), weights)), 0.0, 0.0
    if "rows" in structure:
        lengths = structures.of_rows(coef)
        absolute, unsure = _from_long(lengths), LONG * coef.size * problem.l1 * float(lengths)
    if "form" in structure:
        pairs = [(products(structures.form(structure), one), one) for one in coef]
        squares = [multiply(image, number(one)) for (image, _), one in pairs]
        square = _half(total(tuple(map(np.concatenate, zip(*squares, strict=True)))))
        terms = problem.l2 * sum(float(size @ np.abs(one)) for (_, size), one in pairs)
        unsure += UNIT * terms
    else:
        square = _half(total(multiply(number(weights), two_product(w, w))))
    rest = add(number(1.0), negative(share))
    value = multiply(alpha, add(multiply(share, absolute), multiply(rest, square)))
    return value, unsure, terms
