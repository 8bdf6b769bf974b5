"""Predictions for dask arrays and frames: lazy, a block at a time, on whichever worker."""

import numpy as np

from fastgd.dask.partitions import delayed_blocks, require_dask


def predict(estimator, X, offset=None):
    """Predictions of a fitted estimator for each row of `X`, a dask array that is computed when it
    is asked for.
    """
    return _lazily(estimator, "predict", X, offset)


def predict_proba(estimator, X, offset=None):
    """Probabilities of the classes, a dask array (n_samples, n_classes)."""
    return _lazily(estimator, "predict_proba", X, offset)


def decision_function(estimator, X, offset=None):
    """Predictions before any link, a dask array."""
    return _lazily(estimator, "decision_function", X, offset)


def score(estimator, X, y, sample_weight=None, offset=None):
    """The score of the estimator on these rows, as its own `score`: predictions are made on the
    workers, and one number a row comes here.
    """
    from dask.base import compute
    from dask.delayed import delayed

    blocks = delayed_blocks(X, y, sample_weight, offset)
    linear = delayed(_linear_of, pure=False)
    found = compute(*(linear(estimator, block) for block in blocks))
    found = [one for one in found if one is not None]
    columns = [[one[k] for one in found] for k in range(4)]
    scores, *beside = map(_joined, columns)
    return estimator._score_of(scores, *beside)


def _joined(parts):
    return None if any(part is None for part in parts) else np.concatenate(parts)


def _linear_of(estimator, block):
    """X @ coef + intercept of a block, and what belongs to its rows."""
    X, y, sample_weight, offset = block
    if X.shape[0] == 0:
        return None
    return estimator._linear(X), y, sample_weight, offset


def _lazily(estimator, method, X, offset):
    require_dask()
    import dask.array as da
    from dask.delayed import delayed

    blocks = delayed_blocks(X, offset=offset)
    example = _empty_of(estimator, method)
    of_block = delayed(_of_block, pure=False)
    heights = X.chunks[0] if hasattr(X, "chunks") else (np.nan,) * len(blocks)
    arrays = [
        da.from_delayed(
            of_block(estimator, method, block, example),
            (height, *example.shape[1:]),
            meta=example,
        )
        for block, height in zip(blocks, heights, strict=True)
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


def _of_block(estimator, method, block, example):
    X, _, _, offset = block
    if X.shape[0] == 0:
        return example
    return getattr(estimator, method)(X, **({} if offset is None else {"offset": offset}))


def _empty_of(estimator, method):
    """What predictions for no rows are: an array of the right type and width."""
    return getattr(estimator, method)(np.zeros((1, estimator.n_features_in_)))[:0]
