"""Generated data: of the shapes of the data folder's sets, for machines that have none of them
(`SHAPES`), and of shapes that none of these has (`OWN`).

Of the former, rows, columns, nonzeros a row, scales and how often columns occur are like those of
the real ones; what the columns have to do with the target is not. Seconds on them are not those of
the tables in README.md.
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
    shape, rng = (SHAPES | OWN).get(name), np.random.default_rng(0)
    if shape is None:
        return None
    X, y = shape.make(min(shape.n_rows, n or shape.n_rows), rng)
    return _of_short_indices(X), y, shape.beside(y, rng)


def _of_short_indices(X):
    """CSR with indices of 32 bits, as most of scikit-learn takes no others; dense X as it is."""
    if not sp.issparse(X):
        return X
    indices, indptr = (part.astype(np.int32, copy=False) for part in (X.indices, X.indptr))
    return sp.csr_array((X.data, indices, indptr), shape=X.shape)


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


def zipf_levels(levels):
    """Categories with so many levels each; the k-th level of each occurs in proportion to 1 / k."""

    def make(n, rng):
        columns, scores = np.empty((n, len(levels)), np.int32), np.zeros(n)
        for place, count in enumerate(levels):
            ends = np.cumsum(1.0 / np.arange(1.0, count + 1.0))
            codes = np.minimum(np.searchsorted(ends / ends[-1], rng.random(n)), count - 1)
            scores += rng.standard_normal(count)[codes]
            columns[:, place] = codes + sum(levels[:place])
        rows = np.arange(0, columns.size + 1, len(levels), dtype=np.int32)
        parts = np.ones(columns.size), columns.ravel(), rows
        X = sp.csr_array(parts, shape=(n, sum(levels)))
        return X, _target(0.5 * (scores - scores.mean()), rng, signs=True)

    return make


def even_columns(n_columns, per_row):
    """Columns that are equally frequent, with normal numbers where they are not 0; a tenth of
    them tells the target.
    """

    def make(n, rng):
        columns = rng.integers(n_columns, size=(n, per_row))
        rows = np.arange(0, columns.size + 1, per_row)
        values = rng.standard_normal(columns.size)
        X = sp.csr_array((values, columns.ravel(), rows), shape=(n, n_columns))
        X.sum_duplicates()
        coef = rng.standard_normal(n_columns) * (rng.random(n_columns) < 0.1)
        return X, _target(X @ coef, rng, signs=True)

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
LEVELS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 155_560)  # 300,000 columns
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
OWN = {
    "short_texts": Shape(30_000, rare_columns(100_000, 80, counts=True)),
    "long_texts": Shape(10_000, rare_columns(300_000, 400, counts=True)),
    "even_columns": Shape(40_000, even_columns(20_000, 30)),
    "zipf_levels": Shape(2_000_000, zipf_levels(LEVELS)),
}
