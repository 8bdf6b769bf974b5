"""The spectrum of products of rows with each other, of which there are fewer than columns: what
plans expect of methods whose points are combinations of the rows.

Some of the rows tell that of all.  What rows share adds up: of a direction that all of them have in
common the eigenvalue beside the mean square of a row grows as their number, of rows without
anything in common as its root (Marchenko and Pastur, 1967).  How it grows from half of the sampled
rows to all of them tells of each of the greatest ones which it is.
"""

import numpy as np
import scipy.sparse as sp

from fastgd.linalg.lanczos import ritz_values
from fastgd.objective.measured import measured_once
from fastgd.objective.moments import (
    FEW_VALUES,
    MIN_ROWS,
    SAMPLE_ROWS,
    SPECTRUM_PRODUCTS,
    SPECTRUM_SEED,
    of_touched_columns,
    row_freedom,
    sample_of_rows,
)

# Lengths of rows differ, and a few short ones take few iterations: the least value is that of rows
# of one length, as long as the shortest but for a tenth.
SHORT = 0.1
# Dense rows that are multiplied with each other at once, by BLAS, rather than with 20 vectors: 100
# rows of 10,000 columns 7 ms instead of 15.
FEW_ROWS = 256


def row_spectrum(objective):
    """Outer part of the spectrum of products of the rows, the mean square of a row being 1: the
    greatest value first, and the least last.

    Rows are centered where there is an intercept, which takes away what all of them share.
    """
    return measured_once(objective, _row_spectrum)


def _row_spectrum(objective):
    F = objective
    sample = of_touched_columns(sample_of_rows(F, _rows_of_sample(F)))
    lengths = np.asarray((sample * sample).sum(axis=1)).ravel()
    n_rows, length = lengths.size, float(lengths.mean())
    if length == 0.0:
        return np.ones(1)
    values = _ritz_values_of(sample, F.fit_intercept) / length
    if 1 < n_rows < F.n_active:  # one row does not tell how values grow
        half = _ritz_values_of(sample[::2], F.fit_intercept) / length
        values = _grown(values, half, n_rows / len(range(0, n_rows, 2)), F.n_active / n_rows)
    least = min(measured_once(F, row_freedom).least(F.n_active), 1.0)
    least *= float(np.quantile(lengths, SHORT)) / length
    # The last value is what ten products make of the lower end.
    return np.append(np.maximum(values[: max(values.size - 1, 1)], 1.0), least)


def _rows_of_sample(objective):
    """So many that all products with them read about what a pass does, of long rows: 1,000 texts of
    440 words, 5 % of all, took a third of a fit to 1e-2.
    """
    F = objective
    values = max(F.rows.stored() // (4 * SPECTRUM_PRODUCTS), FEW_VALUES)
    most = max(values * F.n_samples // max(F.rows.stored(), 1), MIN_ROWS)
    return min(most, max(F.n_samples // 10, MIN_ROWS), SAMPLE_ROWS)


def _ritz_values_of(sample, centered):
    """Values that stand for those of X X'."""
    n_rows = sample.shape[0]
    own = sample @ sample.T if n_rows <= FEW_ROWS and not sp.issparse(sample) else None

    def around_mean(v):
        return v - float(centered) * v.mean()

    def product(v):
        v = around_mean(v)
        return around_mean(sample @ (sample.T @ v) if own is None else own @ v)

    start = np.random.Generator(np.random.PCG64(SPECTRUM_SEED)).standard_normal(n_rows)
    return ritz_values(product, start, SPECTRUM_PRODUCTS)


def _grown(values, before, growth, more):
    """The values of `more` times as many rows, where `growth` times fewer had those `before`: each
    grows on at its rate, its excess over 1 at least as the root of the number of rows.

    Examples
    --------
    >>> shared, alone = 1.0 + 100.0, (1.0 + 0.1) ** 2
    >>> before = np.array([1.0 + 50.0, 1.15])
    >>> _grown(np.array([shared, alone]), before, 2.0, 4.0).round(2)
    array([401.  ,   1.42])
    """
    size = min(values.size, before.size)
    excess, earlier = values[:size] - 1.0, before[:size] - 1.0
    known = (excess > 0.0) & (earlier > 0.0)
    ratios = np.divide(excess, earlier, out=np.ones(size), where=known)
    powers = np.clip(np.log(ratios) / np.log(growth), 0.5, 1.0)
    grown = 1.0 + np.maximum(excess, 0.0) * more**powers
    return np.sort(grown)[::-1]
