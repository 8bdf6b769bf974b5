"""Generated data of the shapes of the data folder's sets, for machines that have none of them.

Rows, columns, nonzeros a row, scales and how often columns occur are like those of the real ones;
what the columns have to do with the target is not. Seconds on them are not those of the tables in
README.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


class Shape(NamedTuple):
    """How many rows there are, the function of (rows, generator) that makes X and y, and that of
    (y, generator) which makes what is beside them, by name.
    """

    n_rows: int
    make: Callable
    beside: Callable = lambda y, rng: {}


def generated(name, n=None):
    """X and y of the shape of a data set, of its first `n` rows, and what is beside them; None for
    a name that is not known.
    """
    if name not in SHAPES:
        return None
    shape, rng = SHAPES[name], np.random.default_rng(0)
    X, y = shape.make(min(shape.n_rows, n or shape.n_rows), rng)
    return X, y, shape.beside(y, rng)


def dense(n_columns, decades, signs):
    """Correlated columns on scales that span so many powers of ten."""

    def make(n, rng):
        X = rng.standard_normal((n, n_columns))
        X[:, 1:] += 0.7 * X[:, :-1]
        scores = X @ rng.standard_normal(n_columns) / np.sqrt(n_columns)
        X *= 10.0 ** np.linspace(-0.5 * decades, 0.5 * decades, n_columns)
        return X, _target(scores, rng, signs)

    return make


def pixels(n_columns, n_classes):
    """Ten kinds of pictures in [0, 1], four fifths of the pixels black."""

    def make(n, rng):
        y = rng.integers(n_classes, size=n)
        means = np.maximum(rng.normal(-0.6, 0.8, (n_classes, n_columns)), -1.0)
        X = np.empty((n, n_columns))
        for first in range(0, n, 1000):
            part = slice(first, first + 1000)
            noise = rng.normal(0.0, 0.4, X[part].shape)
            X[part] = np.clip(means[y[part]] + noise, 0.0, 1.0)
        return X, y

    return make


def rare_columns(n_columns, per_row, counts, signs=True):
    """Columns that occur as words do, the k-th in proportion to 1 / k; weighted as tf-idf is, or
    0 and 1.
    """

    def make(n, rng):
        share = 1.0 / np.arange(1.0, n_columns + 1.0)
        ends = np.cumsum(share / share.sum())
        columns = np.searchsorted(ends, rng.random((n, per_row)))
        columns = np.minimum(columns, n_columns - 1)
        values = rng.uniform(0.5, 1.5, columns.shape) if counts else np.ones(columns.shape)
        X = sp.csr_array(
            (values.ravel(), columns.ravel(), np.arange(0, n * per_row + 1, per_row)),
            shape=(n, n_columns),
        )
        X.sum_duplicates()
        if not counts:
            X.data[:] = 1.0
        X.data /= np.sqrt(per_row) if counts else 1.0
        scores = X @ rng.standard_normal(n_columns)
        return X, _target(scores - np.median(scores), rng, signs)

    return make


def one_hot(levels, n_numbers, signs):
    """Categories with so many levels each, as columns of 0 and 1, and some numbers."""

    def make(n, rng):
        parts, scores = [], np.zeros(n)
        for count in levels:
            often = rng.exponential(size=count)
            codes = rng.choice(count, size=n, p=often / often.sum())
            scores += rng.standard_normal(count)[codes]
            rows = np.arange(n + 1)
            parts.append(sp.csr_array((np.ones(n), codes, rows), shape=(n, count)))
        numbers = rng.random((n, n_numbers))
        scores += numbers @ rng.standard_normal(n_numbers)
        X = sp.hstack([*parts, sp.csr_array(numbers)], format="csr")
        target = _target(0.5 * (scores - scores.mean()), rng, signs)
        return sp.csr_array(X), target if signs else 10.0 * target

    return make


def classes(make, n_classes):
    """The same X, and as many classes of its scores, all as frequent."""

    def made(n, rng):
        X, scores = make(n, rng)
        places = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
        return X, places * n_classes // n

    return made


def claims(make):
    """The same X, and counts that its scores tell in part, a twentieth of a claim a row."""

    def made(n, rng):
        X, scores = make(n, rng)
        scores = (scores - scores.mean()) / scores.std()
        return X, rng.poisson(0.05 * np.exp(0.5 * scores)).astype(float)

    return made


def insured(y, rng):
    """Years that policies lasted, and what their claims came to."""
    amounts = rng.gamma(2.0, 800.0, size=y.size) * y
    return {"exposure": rng.uniform(0.1, 1.0, size=y.size), "claim_amount": amounts}


def _target(scores, rng, signs):
    """Two classes, or numbers, that the scores tell in part."""
    if signs:
        return np.where(scores + rng.logistic(size=scores.size) > 0.0, 1.0, -1.0)
    return scores + rng.standard_normal(scores.size)


AIRPORTS = 229
SHAPES = {
    "protein": Shape(45_730, dense(9, 4.0, signs=False)),
    "covtype_binary": Shape(581_012, dense(54, 4.0, signs=True)),
    "covtype": Shape(581_012, classes(dense(54, 4.0, signs=False), 7)),
    "mnist": Shape(70_000, pixels(784, 10)),
    "a9a": Shape(48_842, one_hot([5, 8, 16, 16, 7, 14, 6, 5, 2, 2, 2, 5, 5, 30], 0, signs=True)),
    "w8a": Shape(49_749, rare_columns(300, 12, counts=False)),
    "news20_binary": Shape(18_821, rare_columns(1_283_064, 370, counts=True)),
    "news20": Shape(18_821, classes(rare_columns(1_283_064, 370, counts=True, signs=False), 20)),
    "french_motor": Shape(
        678_013, claims(one_hot([22, 6, 2, 11, 12, 12, 80, 20], 2, signs=False)), insured
    ),
    "census": Shape(299_285, one_hot([9, 52, 47, 17, 3, 7, 24, 15] + [12] * 26 + [17], 7, True)),
    "flights": Shape(3_000_000, one_hot([7, 7, 24, AIRPORTS, AIRPORTS], 1, signs=False)),
    "flights_routes": Shape(
        1_000_000, one_hot([7, 7, 24, AIRPORTS, AIRPORTS, 3_300], 1, signs=False)
    ),
}
