"""Predictions for dask arrays and frames: lazy, a block at a time, on whichever worker."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgd.dask.partitions import check_estimator, delayed_blocks, gathered, is_array, require_dask
from fastgd.dask.shard import as_features, is_without_rows
from fastgd.data.check_parameters import as_offset, only_given
from fastgd.data.sources import BlockSource
from fastgd.estimators.block_fits import read_predictions
from fastgd.model_selection.base import PathSearch
from fastgd.objective.survey import PER_ROW, checked_per_row


def predict(estimator: Any, X: Any, offset: Any = None) -> Any:
    """Predictions of a fitted estimator for each row of `X`, a dask array that is computed when it
    is asked for.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Fitted here or in memory, a search included.
    X : dask array, dask dataframe or list of delayed blocks
        Frames are encoded as those that the estimator was fitted to.
    offset : dask array, dask series or list of delayed, optional
        In blocks like X.

    Returns
    -------
    dask array, (n_samples,) or (n_samples, n_outputs)
    """
    return _lazily(estimator, "predict", X, offset)


def predict_proba(estimator: Any, X: Any, offset: Any = None) -> Any:
    """Probabilities of the classes, a dask array (n_samples, n_classes); else as `predict`."""
    return _lazily(estimator, "predict_proba", X, offset)


def decision_function(estimator: Any, X: Any, offset: Any = None) -> Any:
    """Predictions before any link, a dask array; else as `predict`."""
    return _lazily(estimator, "decision_function", X, offset)


def score(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None
) -> float:
    """The score of the estimator on these rows, as its own `score`: predictions are made on the
    workers, and some numbers a row come here.

    Raises
    ------
    ValueError
        For rows without targets, and a search with a `scoring` of its own.
    """
    require_dask()
    check_estimator(estimator)
    from dask.base import compute
    from dask.delayed import delayed

    if isinstance(estimator, PathSearch) and estimator.scoring is not None:
        raise ValueError(
            "a search with a scoring of its own scores predictions in one place; score "
            "best_estimator_, or predict and score"
        )
    check_is_fitted(estimator)
    blocks, here = delayed_blocks(X, y=y, sample_weight=sample_weight, offset=offset)
    model, linear = delayed(estimator, pure=False), delayed(_linear_of, pure=False)
    found = compute(*(linear(model, block, f"block {k}") for k, block in enumerate(blocks)))
    found = [one for one in found if one is not None]
    if not found:
        raise ValueError("the blocks have no rows; at least one is needed")
    places, linear, *per_row = zip(*found, strict=True)
    scores = np.concatenate(linear)
    y, weights, offset = (
        gathered(name, parts, places, here, scores.shape[0])
        for name, parts in zip(PER_ROW, per_row, strict=True)
    )
    if y is None:
        raise ValueError("y is missing: score needs targets")
    if offset is not None:
        offset = as_offset(offset, scores.shape[0])
    return estimator._score_of(scores, y, weights, offset)


def _linear_of(estimator, block, place):
    """Where a block is, X @ coef + intercept, and what belongs to its rows."""
    X, *per_row = block
    if is_without_rows(X):
        return None
    X = as_features(X, place, estimator._encoding, per_row)
    if isinstance(X, BlockSource):
        return place, *read_predictions(estimator, X)
    per_row = [
        checked_per_row(one, name, place, X.shape[0])
        for name, one in zip(PER_ROW, per_row, strict=True)
    ]
    return place, _named(place, estimator._linear, X), *per_row


def _lazily(estimator, method, X, offset):
    require_dask()
    check_estimator(estimator)
    import dask.array as da
    from dask.delayed import delayed

    check_is_fitted(estimator)
    blocks, here = delayed_blocks(X, offset=offset)
    if here:
        raise ValueError("offset is in memory; give it as a dask array in blocks like X")
    example = _empty_of(estimator, method)
    model, of_block = delayed(estimator, pure=False), delayed(_of_block, pure=False)
    heights = X.chunks[0] if is_array(X) else (np.nan,) * len(blocks)
    arrays = [
        da.from_delayed(
            of_block(model, method, block, example, f"block {k}"),
            (height, *example.shape[1:]),
            meta=example,
        )
        for k, (block, height) in enumerate(zip(blocks, heights, strict=True))
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


def _of_block(estimator, method, block, example, place):
    X, offset = block
    if is_without_rows(X):
        return example
    X = as_features(X, place, estimator._encoding, (None, None, offset))
    if isinstance(X, BlockSource):
        return getattr(estimator, method)(X)
    return _named(place, getattr(estimator, method), X, **only_given(offset=offset))


def _named(place, predict, X, **options):
    """Predictions for a block that is no source: those name the place themselves."""
    try:
        return predict(X, **options)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _empty_of(estimator, method):
    """What predictions for no rows are: an array of the right type and width."""
    nameless = copy.copy(estimator)
    vars(nameless).pop("feature_names_in_", None)
    return getattr(nameless, method)(np.zeros((1, estimator.n_features_in_)))[:0]
