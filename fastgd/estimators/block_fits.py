"""Estimators and sources of blocks: what a fit takes from one, and predictions for all its rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgd.data.block_rows import block_bytes, checked_blocks, memory_of
from fastgd.data.check_parameters import as_offset
from fastgd.data.readers.svmlight import SvmlightColumns
from fastgd.data.sources import ArraySource, BlockSource, refuse_beside_source
from fastgd.estimators.refused_input import explained
from fastgd.objective.survey import PER_ROW, Surveyed, checked_per_row, joined, survey
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.call_warnings import warn_at_call
from fastgd.runtime.threads import count_threads


def source_of(X, y=None, sample_weight=None, offset=None, memory=None) -> BlockSource | None:
    """X as a source of blocks: where it is one, or a memory map that is larger than `memory`; else
    None.

    Raises
    ------
    ValueError
        Where a source is given and targets, weights or offsets beside it.
    """
    if isinstance(X, BlockSource):
        refuse_beside_source(y, sample_weight, offset)
        return X
    if isinstance(X, np.memmap) and X.ndim == 2 and X.nbytes > memory_of(memory):
        return ArraySource(X, y, sample_weight, offset)
    return None


def first_reading(estimator, source, memory) -> Surveyed:
    """The first reading of a source, as a fit of this estimator needs it."""
    n_threads = count_threads(estimator.n_jobs)
    # Threads of BLAS get in the way of those that read: on a busy machine the sum of squares of a
    # block of 300,000 values took 27 ms instead of 0.1.
    with one_blas_thread():
        return survey(
            source,
            memory_of(memory),
            n_threads,
            shift=estimator.fit_intercept,
            labels=is_classifier(estimator),
        )


def read_first(estimator, source, memory) -> Surveyed:
    """The first reading for a fit: checked targets, and what the estimator tells of its columns.

    Raises
    ------
    ValueError
        For what `fit` refuses of arrays; where the source has no targets.
    """
    return as_first_read(estimator, first_reading(estimator, source, memory), source)


def as_first_read(estimator, found, source=None) -> Surveyed:
    """What was surveyed, with targets that are checked; the estimator is told of the columns."""
    if found.y is None:
        raise ValueError(
            "the source has no targets: fit needs blocks of (X, y), or the name of the target's "
            "column"
        )
    several = estimator._several_targets(found.y)
    try:
        y = validate_data(estimator, y=found.y, multi_output=several, **estimator._y_options())
    except (ValueError, TypeError) as error:
        raise explained(error, None, found.y) or error from None
    estimator.n_features_in_ = found.rows.n_features
    vars(estimator).pop("feature_names_in_", None)
    names = None if source is None else source.feature_names
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    estimator._encoding = None if source is None else source.encoding
    return found._replace(y=y)


class Read(NamedTuple):
    """What one reading of a source gives for predictions of its rows.

    Attributes
    ----------
    linear : ndarray, (n_samples, n_outputs)
        X @ coef + intercept.
    y, sample_weight, offset : ndarray, (n_samples,), or None
    """

    linear: np.ndarray
    y: np.ndarray | None
    sample_weight: np.ndarray | None
    offset: np.ndarray | None


def read_predictions(estimator, source) -> Read:
    """Predictions for all rows of a source, a block at a time.

    Raises
    ------
    ValueError
        Where the source has other columns than those that were fitted, and for offsets that are
        not one finite number for each row.
    """
    check_is_fitted(estimator)
    source = source.encoded_as(estimator._encoding)
    per_row: dict[str, list] = {name: [] for name in PER_ROW}
    linear: list[np.ndarray] = []
    places: list[str] = []
    n_bytes = block_bytes(memory_of(estimator.memory))
    for place, block, rows in checked_blocks(source, n_bytes):
        if not linear:
            _check_columns(estimator, source, rows.shape()[1])
        linear.append(estimator._linear_of(rows.matrix() if rows.sparse else rows.values))
        places.append(place)
        for name, parts in per_row.items():
            parts.append(checked_per_row(getattr(block, name), name, place, rows.shape()[0]))
    if not linear:
        raise ValueError("the source has no rows; at least one is needed")
    scores = np.concatenate(linear)
    y, weights, offset = (joined(*pair, places) for pair in per_row.items())
    if offset is not None:
        offset = as_offset(offset, len(scores))
    return Read(scores, y, weights, offset)


def _check_columns(estimator, source, n_features):
    """Raise ValueError where a source has other columns than those that were fitted; warn where
    only one of them has names.
    """
    expected = estimator.n_features_in_
    if n_features != expected:
        # Of a model of arrays svmlight files know no width, and the last columns may be 0 in all.
        found = isinstance(source.encoding, SvmlightColumns) and n_features < expected
        hint = f"; give n_features={expected} to from_svmlight" if found else ""
        raise ValueError(
            f"the source has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{expected} features as input{hint}"
        )
    names, fitted = source.feature_names, getattr(estimator, "feature_names_in_", None)
    if names is not None and fitted is not None and list(names) != list(fitted):
        other = next(pair for pair in zip(names, fitted, strict=True) if pair[0] != pair[1])
        raise ValueError(
            f"the source has a column {other[0]!r} where {other[1]!r} was fitted; its columns have "
            "to be the same, in the same order"
        )
    # An encoding has looked for columns by their names.
    if source.encoding is None and (names is None) != (fitted is None):
        # In the words of scikit-learn about arrays.
        kind = type(estimator).__name__
        told = (
            f"X does not have valid feature names, but {kind} was fitted with feature names"
            if names is None
            else f"X has feature names, but {kind} was fitted without feature names"
        )
        warn_at_call(told, UserWarning)


def scored(estimator, source) -> Read:
    """The same for rows that have targets, which is needed for a score."""
    found = read_predictions(estimator, source)
    if found.y is None:
        raise ValueError("the source has no targets: score needs blocks of (X, y)")
    return found
