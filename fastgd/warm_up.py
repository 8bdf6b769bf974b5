"""Compiling ahead: fills the cache folder, for images and services."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

LOSSES = ("log_loss", "squared_error", "hinge", "huber", "poisson")
FORMATS = ("dense", "csr")
DTYPES = ("float64", "float32")
# Rows of the tables: so many classes need few, a batch grows from some thousands on.
FEW_ROWS = 60
MANY_ROWS = 20_000


def warmup(
    losses: Sequence[str] = LOSSES,
    formats: Sequence[str] = FORMATS,
    dtypes: Sequence[str] = ("float64",),
    verbose: bool = True,
) -> None:
    """Compile what first fits need, into the cache folder, and print what and where.

    For each loss, format and dtype that is: `fit`, `partial_fit` and `predict` with default
    settings, an L1 penalty and a growing batch; of dense tables those in C order, in Fortran order
    and DataFrames, of sparse ones those with int32 and with int64 indices; of `"log_loss"` two
    classes and several. What nobody asks for here compiles when it is met.

    Parameters
    ----------
    losses : sequence of str, default=("log_loss", "squared_error", "hinge", "huber", "poisson")
    formats : sequence of {"dense", "csr"}, default=("dense", "csr")
    dtypes : sequence of {"float64", "float32"}, default=("float64",)
    verbose : bool, default=True
        Whether to print a line for each loss, format and dtype, and where the code is.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> warmup(losses=("log_loss",), formats=("dense",))
    log_loss, dense, float64: ... s
    ...
    """
    from fastgd.losses.base import Loss
    from fastgd.versions import cache_in_words

    allowed = {
        "losses": (losses, Loss.members()),
        "formats": (formats, FORMATS),
        "dtypes": (dtypes, DTYPES),
    }
    for name, (given, known) in allowed.items():
        if isinstance(given, str) or not set(given) <= set(known):
            raise ValueError(f"{name} must be a sequence of {', '.join(known)}, got {given!r}")
    for loss in losses:
        for form in formats:
            for dtype in dtypes:
                begin = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for model, X, y in fits(loss, form, dtype):
                        model(X, y)
                if verbose:
                    seconds = time.perf_counter() - begin
                    print(f"{loss}, {form}, {dtype}: {seconds:.1f} s", flush=True)
    if verbose:
        print(cache_in_words())


def fits(loss, form, dtype):
    """What is compiled: triples of a function of X and y, and these."""
    from fastgd.estimators import GDClassifier, GDRegressor
    from fastgd.estimators.base import FEW_VALUES
    from fastgd.losses.base import Loss
    from fastgd.objective.linear_map import LinearMap
    from fastgd.objective.objective import Objective

    classification = Loss.named(loss).classification
    cls = GDClassifier if classification else GDRegressor
    plain = cls(loss, tol=1e-6, max_iter=50)
    lasso = cls(loss, penalty="l1", alpha=1e-3, max_iter=50)
    growing = cls(loss, batch_size="growing", max_iter=50)
    X = np.random.default_rng(0).standard_normal((MANY_ROWS, 3)).astype(dtype)
    y = np.where(X[:, 0] + X[:, 1] * X[:, 2] > 0, 1, 0)
    if not (classification or Loss.named(loss).target_domain.contains(0.0)):
        y = y + 1  # amounts
    few = _as(form, X[:FEW_ROWS])
    yield lambda X, y: plain.fit(X, y).predict(X), few, y[:FEW_ROWS]
    yield lasso.fit, few, y[:FEW_ROWS]
    chunk: dict[str, Any] = {"classes": [0, 1]} if classification else {}
    yield lambda X, y: cls(loss).partial_fit(X, y, **chunk), few, y[:FEW_ROWS]
    # Losses that are not smooth have no batch that grows.
    if Loss.named(loss).smooth:
        yield growing.fit, _as(form, X), y
    if loss == "log_loss":
        yield plain.fit, few, np.arange(FEW_ROWS) % 3
    if form == "dense":
        columns = FEW_VALUES // MANY_ROWS + 1
        wide = np.asfortranarray(np.tile(X[:, :1], columns))
        yield plain.fit, wide, y
        # Some fits need products, too: for a proof next to the optimum.
        targets = 2.0 * y - 1.0 if classification else y.astype(float)
        zeros = np.zeros(columns)
        yield lambda X, y: LinearMap(Objective(loss, X, y)).matvec(zeros), wide, targets


def _as(form, X):
    return sp.csr_array(X) if form == "csr" else X


if __name__ == "__main__":
    warmup()
