"""What is measured of columns and rows before a plan is made."""

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastgd.linalg.lanczos import ritz_values
from fastgd.linalg.power_iteration import largest_eigenvalue
from fastgd.linalg.precision import EPS
from fastgd.objective.distances import curvature_unit
from fastgd.objective.measured import measured_once

# Rows that plans look at, which ask for an order of magnitude: ten products with 1,000 rows of 100
# columns take 0.5 ms.
MIN_ROWS = 100
SAMPLE_ROWS = 1000
# Products for plans, which need the order of magnitude.
SPECTRUM_PRODUCTS = 10
SPECTRUM_SEED = 1
# Values that products with a sample may read even where they are more than a fifth of all.
FEW_VALUES = 200_000
# Columns to a row, beyond which the lower end of their spectrum is next to 0 by chance alone.
MAX_SHARE = 0.95
# Products of the power iteration that steps rest on.
CURVATURE_PRODUCTS = 20
# From so many columns on, those that some rows touch are numbered anew.
MANY_COLUMNS = 2**18
# So many tell how free rows are of the others, in 2 ms: of 400 rows of 432 normal numbers that they
# lie in 421 to 447 directions.
FREEDOM_ROWS = 128
# Below this share of the mean square a variance is rounding of the difference.
VARIANCE_ROUNDING = 1e-12


def column_scales(objective):
    """Greatest |x| of each column, 1 for a column of zeros: what one-sample steps divide by."""
    largest = objective.moments().largest
    return np.where(largest > 0.0, largest, 1.0)


def column_variances(objective, own=slice(None), least=0.0):
    """Variances of these columns, by default of all, and no less than this share of their mean
    squares; the mean squares themselves where no intercept takes the means away.
    """
    moments = objective.moments()
    means = moments.means[own] * objective.fit_intercept
    return variances_of(means, moments.mean_squares[own], least)


def variances_of(means, squares, least=0.0):
    """Variances of columns of these means and mean squares, and no less than this share of the
    latter.
    """
    return np.maximum(squares - means**2, least * squares if least else 0.0)


def sample_of_rows(objective, wanted=None):
    """So many of the rows with a positive weight, evenly; by default a tenth, within limits."""
    rows, samples = objective.rows, objective.samples
    active = samples.active() if samples.weights.size > 1 else None
    n = objective.n_samples if active is None else active.size
    wanted = min(max(n // 10, MIN_ROWS), SAMPLE_ROWS) if wanted is None else wanted
    if not rows.in_memory:
        return rows.sample.take(slice(0, wanted))
    places = np.linspace(0, n - 1, min(wanted, n)).astype(int)
    return rows.take(places if active is None else active[places])


def sampled_nonzeros(objective):
    """Nonzeros of each column in a sample of the rows, (d,), and how many rows it has."""
    sample = sample_of_rows(objective)
    if not sp.issparse(sample):
        return np.count_nonzero(sample, axis=0), sample.shape[0]
    # Zeros that are stored do not count: a plan is the same for dense rows.
    columns = sample.indices[sample.data != 0.0]
    return np.bincount(columns, minlength=sample.shape[1]), sample.shape[0]


def _mean_square(objective):
    sample = sample_of_rows(objective)
    return float((sample * sample).sum()) / sample.shape[0]


def of_touched_columns(sample):
    """The rows on the columns that they touch, where these are few of many: of four million columns
    products with some of the rows took 0.2 s.
    """
    if not sp.issparse(sample) or sample.shape[1] < MANY_COLUMNS or sample.nnz > sample.shape[1]:
        return sample
    # `np.unique` hashes: 90 ms of 230,000 nonzeros, a tenth of a fit to a text.
    touched = np.zeros(sample.shape[1], bool)
    touched[sample.indices] = True
    columns = np.flatnonzero(touched)
    # NumPy's own inverse sorts once more: 12 ms instead of 2 of 230,000 nonzeros, a pass of 7
    # million being 20.  Of memory that is not set only the pages of touched columns are there.
    places = np.empty(sample.shape[1], sample.indices.dtype)
    places[columns] = np.arange(columns.size)
    parts = sample.data, places[sample.indices], sample.indptr
    return sp.csr_array(parts, shape=(sample.shape[0], columns.size))


def standard_spectrum(objective):
    """Outer part of the spectrum of the curvature of standardised columns, the penalty included:
    about that of the coordinates of solvers that scale columns; the greatest value first, and the
    least last.

    It is what a sample of the rows shows (`ritz_values`), less what few rows add to it: of columns
    without anything in common, g of them to a row, the ends are (1 +- sqrt(g))^2 (Marchenko and
    Pastur, 1967).  Raw overlapping columns of ones, 184,518 x 2,112, have 119 times the mean
    curvature along one direction, these 1.2 times; 3 iterations were enough.
    """
    return measured_once(objective, _standard_spectrum, objective.l2)


def _standard_spectrum(objective):
    F = objective
    n, d = F.n_samples, F.n_features
    sample = sample_of_rows(F, _rows_of_spectrum(F))
    n_rows = sample.shape[0]
    means, squares = _means_of_columns(sample)
    means *= F.fit_intercept
    variances = variances_of(means, squares, VARIANCE_ROUNDING)
    ridge = F.l2 / curvature_unit(F)
    lengths = np.sqrt(variances + ridge)
    transposed = sample.T  # a matrix to be made, of compressed rows
    scales = np.divide(1.0, lengths, out=np.zeros(d), where=variances > 0.0)

    def product(v):
        coef = scales * v
        changes = sample @ coef - means @ coef
        images = transposed @ changes - means * changes.sum()
        return scales * (images / n_rows + ridge * coef)

    start = np.random.Generator(np.random.PCG64(SPECTRUM_SEED)).standard_normal(d)
    values = ritz_values(product, start * (scales > 0.0), SPECTRUM_PRODUCTS)
    if values[0] <= 0.0:
        return np.ones(1)
    few, all_rows = (np.sqrt(min(d / m, MAX_SHARE)) for m in (n_rows, n))
    least = values[-1] * ((1.0 - all_rows) / (1.0 - few)) ** 2
    if n_rows <= d < n:  # nothing is seen of the lower end
        least = (1.0 - all_rows) ** 2
    # On the diagonal of that matrix there are ones.
    values = np.maximum(values * ((1.0 + all_rows) / (1.0 + few)) ** 2, 1.0)
    values[-1] = min(max(least, EPS * values[0]), 1.0)
    return values


def _means_of_columns(sample):
    """Means and mean squares of the columns of some rows; SciPy's own of compressed rows take ten
    times as long for 1,000 rows.
    """
    n, d = sample.shape
    if not sp.issparse(sample):
        return sample.mean(axis=0), np.square(sample).mean(axis=0)
    numbers = np.asarray(sample.data, np.float64)
    sums = (np.bincount(sample.indices, of, minlength=d) for of in (numbers, numbers**2))
    return tuple(one / n for one in sums)


def _rows_of_spectrum(objective):
    """Twice as many rows as columns show the lower end, unless they were too large a part of X."""
    F = objective
    wanted = max(SAMPLE_ROWS, 2 * F.n_features)
    few = max(FEW_VALUES * F.n_samples // max(F.rows.stored(), 1), F.n_samples // 5)
    return min(wanted, max(few, SAMPLE_ROWS), F.n_samples)


def sampled_curvature(objective, rows, scales, intercept_scale, seed):
    """Largest eigenvalue of the mean of s_i z_i z_i', z_i = (scales x_i, intercept_scale), over
    some of the rows: curvature of the loss in coordinates of one's own, for a loss whose own is 1.

    Parameters
    ----------
    objective : Objective
    rows : ndarray of int
        Of which at most `SAMPLE_ROWS` are drawn.
    scales : ndarray, (n_features,)
    intercept_scale : float
        Of no account where there is no intercept.
    seed : int

    Returns
    -------
    largest : float
    passes : float
        What was read, in passes over `rows`; not counted here.

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> F = Objective("squared_error", np.array([[3.0, 0.0], [0.0, 1.0]]), np.ones(2))
    >>> largest, _ = sampled_curvature(F, np.arange(2), np.array([1.0, 3.0]), 0.0, 0)
    >>> round(largest, 6)
    4.5
    """
    F = objective
    rng = np.random.Generator(np.random.PCG64([seed, 2**31]))
    chosen = np.sort(rng.permutation(rows)[:SAMPLE_ROWS])
    sample, weights = F.rows.take(chosen), F.samples.part(chosen).weights
    constant = intercept_scale * F.fit_intercept

    def product(v):
        changes = weights * (sample @ (scales * v[:-1]) + constant * v[-1])
        return np.append(scales * (sample.T @ changes), constant * changes.sum()) / chosen.size

    # So few columns take less work once they are multiplied with each other.
    if F.n_features < CURVATURE_PRODUCTS:
        table = np.empty((chosen.size, F.n_features + 1))
        table[:, :-1] = (sample.toarray() if F.rows.sparse else sample) * scales
        table[:, -1] = constant
        product = (table.T @ (weights.reshape(-1, 1) * table) / chosen.size).dot
    start = rng.standard_normal(F.n_features + 1)
    largest = largest_eigenvalue(product, start, CURVATURE_PRODUCTS)
    return largest, 2.0 * CURVATURE_PRODUCTS * chosen.size / rows.size


def row_coupling(objective):
    """Mean |x|^2 / (l2 n): how strongly the other rows act on the prediction for one.

    1 to 100 on text and scaled columns, 1e5 on raw ones.
    """
    F = objective
    if F.l2 == 0.0:
        return np.inf
    if F.has_moments:
        return float(F.moments().mean_norm2) / (F.l2 * F.n_active)
    return measured_once(F, _mean_square) / (F.l2 * F.n_active)


def _products(objective, wanted):
    """Products of so many of the rows that count with each other."""
    F = objective
    chosen = F.samples.active()
    sample = (
        F.rows.take(chosen[np.unique(np.linspace(0, chosen.size - 1, wanted).astype(int))])
        if F.rows.in_memory
        else F.rows.sample.take(slice(0, wanted))
    )
    products = sample @ sample.T
    return np.asarray(products.toarray() if F.rows.sparse else products)


class Freedom(NamedTuple):
    """What is left of a row, of length 1, where m others are taken out of it: share (1 - m /
    directions) of its square.

    Attributes
    ----------
    share : float
        Beside the few directions that all rows share.
    directions : float
        Effective number of dimensions of what is left.
    """

    share: float
    directions: float

    def least(self, n_rows):
        """About the least eigenvalue of the products of so many such rows with each other, 0 where
        they are no fewer than the directions (Marchenko and Pastur, 1967).

        Examples
        --------
        >>> Freedom(0.5, 400.0).least(100)
        0.125
        """
        return self.share * max(1.0 - math.sqrt(n_rows / self.directions), 0.0) ** 2


def row_freedom(objective):
    """The `Freedom` of the rows that count, by some of them and by halves of these.

    The diagonal of the inverse of their products tells what is left of each where the others are
    taken out.
    """
    products = _products(objective, FREEDOM_ROWS)
    lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(float).tiny))
    products = products / lengths / lengths[:, None]
    n_rows, halves = len(products), (slice(0, None, 2), slice(1, None, 2))
    of_all = _left(products)
    if n_rows < 2 or of_all <= 0.0:
        return Freedom(of_all, float(n_rows))
    of_half = float(np.mean([_left(products[half, half]) for half in halves]))
    lost = max(of_half - of_all, 0.0) / max(n_rows - n_rows // 2, 1)
    share = of_all + lost * n_rows
    found = Freedom(share, share / lost if lost > 0.0 else np.inf)
    # A few pairs that are alike, or rows of wild lengths, show in the least eigenvalue alone.
    expected, least = found.least(n_rows), float(np.linalg.eigvalsh(products)[0])
    return found._replace(share=share * min(max(least, 0.0) / expected, 1.0)) if expected else found


def _left(products):
    """Harmonic mean of what is left of each row where the others are taken out of it."""
    try:
        factor = scipy.linalg.cho_factor(products, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return 0.0
    inverse = scipy.linalg.cho_solve(factor, np.eye(len(products)), check_finite=False)
    return len(products) / float(np.trace(inverse))
