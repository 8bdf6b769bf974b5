"""Predictions for rows: X @ coef, on threads, in a type that does not lose them."""

import numpy as np
import scipy.sparse as sp

from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.threads import count_threads, map_ranges

ROWS_AT_ONCE = 8192  # of a prediction: cut by the number of rows alone
# Predictions from float32 are multiplied in float64 where their terms are so many times as large,
# in the mean of a few rows: columns of 1e6 +- 1 had left them off by 0.07.
CANCELS = 8.0
ROWS_LOOKED_AT = 64
FEW_VALUES = 4096  # not worth the look


def scores(X, coef, intercept, n_jobs):
    """X @ coef.T + intercept, (n_samples, n_outputs), of checked data."""
    exact = X.dtype == np.float64 or X.size <= FEW_VALUES or _cancel(X, coef, intercept)
    coef = coef.astype(np.float64 if exact else X.dtype, copy=False)
    return _products(X, coef.T, n_jobs) + intercept


def _products(X, coef, n_jobs):
    """X @ coef in the type of `coef`, (n_samples, n_outputs); dense ones on as many threads as
    asked for, with the same bits on any.
    """
    if sp.issparse(X) or sp.issparse(coef):
        product = X @ coef
        return product.toarray() if sp.issparse(product) else product
    cuts = range(0, X.shape[0] + ROWS_AT_ONCE, ROWS_AT_ONCE)
    products = np.empty((X.shape[0], coef.shape[1]), dtype=coef.dtype)

    def work(first, last):
        for block in range(first, last):
            here = slice(cuts[block], cuts[block + 1])
            np.matmul(X[here].astype(coef.dtype, copy=False), coef, out=products[here])

    with one_blas_thread():
        map_ranges(work, len(cuts) - 1, count_threads(n_jobs) if len(cuts) > 2 else 1)
    return products


def _cancel(X, coef, intercept):
    """Whether the terms of some predictions, (n_samples, n_outputs), are far larger than they
    are.
    """
    some = X[:: -(-X.shape[0] // ROWS_LOOKED_AT)].astype(np.float64)
    squares, scores = some.multiply(some) if sp.issparse(some) else some**2, some @ coef.T
    squares = squares @ (coef.multiply(coef) if sp.issparse(coef) else coef**2).T
    squares, scores = (one.toarray() if sp.issparse(one) else one for one in (squares, scores))
    rest = ((scores + intercept) ** 2).sum(axis=0)
    return bool((squares.sum(axis=0) > CANCELS**2 * rest).any())
