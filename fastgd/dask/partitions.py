"""Dask's collections as blocks of rows: one delayed tuple (X, y, sample_weight, offset) each."""

import importlib.util
import itertools

import numpy as np

from fastgd.data.check_parameters import refuse_masked
from fastgd.estimators.base import GDEstimator
from fastgd.objective.survey import joined

# Blocks stay and are summed in groups of neighbours, so many at the most: as many workers can help.
MAX_GROUPS = 1024


def require_dask():
    """Raise ImportError that says how to install Dask, where it is missing."""
    for name in ("dask", "distributed"):
        if importlib.util.find_spec(name) is None:
            raise ImportError(
                f"fastgd.dask needs {name}, which is not installed: pip install "
                '"dask[array]" distributed'
            )


def check_estimator(estimator):
    """Raise ValueError for anything but an estimator of this package."""
    if not isinstance(estimator, GDEstimator):
        name = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
        what = f"the class {name}" if isinstance(estimator, type) else name
        raise ValueError(
            "the estimator must be a GDClassifier, GDRegressor, GDClassifierCV or GDRegressorCV, "
            f"got {what}; of a pipeline give the last step, with what the steps before it make of "
            "each block (X.map_blocks)"
        )


def current_client():
    """The client of this program.

    Raises
    ------
    ValueError
        Where there is none, or an asynchronous one.
    """
    from distributed import get_client

    try:
        client = get_client()
    except ValueError:
        raise ValueError(
            "there is no Dask client; make one first: `from dask.distributed import Client, "
            "LocalCluster; client = Client(LocalCluster())`, or Client(address) of a cluster"
        ) from None
    if client.asynchronous:
        raise ValueError(
            "the Dask client is asynchronous, and a fit waits for its rounds; call it with another "
            "client, Client(address), in a thread or process of its own"
        )
    return client


def delayed_blocks(X, **columns):
    """A list of delayed tuples (X, *columns), one for each block of rows; and which columns are in
    memory: they stay here, and None is in their place.

    Parameters
    ----------
    X : dask array, dask dataframe, or list of delayed sources, arrays or frames
    **columns : dask array, dask series, list of delayed, array-like or None
        Collections of Dask's are cut where X is.

    Raises
    ------
    ValueError
        Where blocks do not go together.
    """
    from dask.delayed import delayed

    parts, heights = _parts_of(X, "X")
    here = {name: one for name, one in columns.items() if not _is_elsewhere(one)}
    for name, one in here.items():
        refuse_masked(one, name)
        here[name] = np.asarray(one)
    found = [
        _column_of(None if name in here else one, name, parts, heights)
        for name, one in columns.items()
    ]
    for name, one in here.items():
        if heights is not None:
            check_length(one, name, sum(heights))
    together = delayed(_together, pure=False)
    return [together(part, *per_row) for part, *per_row in zip(parts, *found, strict=True)], here


def check_length(given, name, n_rows):
    """Raise ValueError where there is not one entry for each row."""
    if given.shape[:1] != (n_rows,):
        raise ValueError(f"{name} has shape {given.shape}, X has {n_rows} rows")


def gathered(name, parts, places, here, n_rows):
    """Targets, weights or offsets of all rows in one array: what is `here` of them, in memory, or
    what the blocks at these `places` have; None where nobody has any.

    Raises
    ------
    ValueError
        Where only some blocks have any, or memory has them as well.
    """
    if name not in here:
        return joined(name, list(parts), places)
    if any(part is not None for part in parts):
        raise ValueError(f"{name} is given, and the blocks bring their own")
    check_length(here[name], name, n_rows)
    return here[name]


def grouped(blocks):
    """Neighbouring blocks in groups, of about equal numbers: the same whatever the workers."""
    count = min(len(blocks), MAX_GROUPS)
    cuts = np.arange(count + 1) * len(blocks) // count
    return [blocks[a:b] for a, b in itertools.pairwise(cuts)]


def _together(*block):
    """One block, made on a worker."""
    return block


def _is_elsewhere(given):
    from dask.delayed import Delayed

    if isinstance(given, list | tuple):
        return bool(given) and all(isinstance(one, Delayed) for one in given)
    if isinstance(given, Delayed):
        return True
    return given is None or hasattr(given, "to_delayed")


def is_array(given):
    """Whether it is a dask array: a frame may have a column of any name."""
    array = hasattr(given, "chunks") and hasattr(given, "to_delayed")
    return array and not hasattr(given, "columns")


def _parts_of(X, name):
    """Delayed blocks of rows, and how many rows each has where that is known."""
    from dask.delayed import Delayed

    if isinstance(X, Delayed):
        return [X], None
    if isinstance(X, list | tuple) and _is_elsewhere(X):
        return list(X), None
    if is_array(X):
        if X.ndim == 2 and len(X.chunks[1]) > 1:
            X = X.rechunk({1: -1})
        heights = None if np.isnan(X.chunks[0]).any() else list(X.chunks[0])
        return list(X.to_delayed().ravel()), heights
    if hasattr(X, "npartitions") and hasattr(X, "to_delayed"):
        # Not all that Dask does by itself: of files of which few columns are read it makes one
        # partition of several, and X and y that are columns of one frame were cut differently.
        # What is simplified reads these columns alone.
        X = X.simplify() if hasattr(X, "simplify") else X
        return list(X.to_delayed(optimize_graph=False)), None
    raise ValueError(
        f"{name} must be a dask array, a dask dataframe or a list of delayed blocks, got "
        f"{type(X).__name__}; for data in memory use the fit of the estimator"
    )


def _column_of(given, name, parts, heights):
    """Delayed blocks of one entry for each row, as many as X has; Nones where nothing is given."""
    if given is None:
        return [None] * len(parts)
    if heights is not None and is_array(given) and not np.isnan(given.chunks[0]).any():
        if sum(given.chunks[0]) != sum(heights):
            raise ValueError(
                f"{name} has {sum(given.chunks[0])} rows, X has {sum(heights)}; they go together"
            )
        given = given.rechunk({0: tuple(heights)})
    found, _ = _parts_of(given, name)
    if len(found) != len(parts):
        raise ValueError(
            f"{name} has {len(found)} blocks, X has {len(parts)}; they have to be cut alike "
            "(call compute_chunk_sizes() on both, or repartition)"
        )
    return found
