"""A fit to rows on a cluster: the survey, and then the ordinary fit, whose passes are rounds."""

from __future__ import annotations

import copy
import functools
import logging
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastgd.dask.cluster_rows import ClusterRows
from fastgd.dask.cluster_workers import ClusterWorkers, wait_for
from fastgd.dask.frames import shared_encoding, united
from fastgd.dask.packing import unpacked
from fastgd.dask.partitions import (
    check_estimator,
    current_client,
    delayed_blocks,
    gathered,
    grouped,
    is_array,
    require_dask,
)
from fastgd.data.block_rows import SAMPLE, columns_in_words, listed
from fastgd.data.check_parameters import as_weights
from fastgd.data.far_columns import FAR_RATIO, centers_of
from fastgd.estimators.base import GDEstimator
from fastgd.fitting.plan import Plans
from fastgd.model_selection.base import PathSearch
from fastgd.objective.moment_sums import (
    added_moments,
    lengths_of,
    moments_of,
)
from fastgd.objective.survey import PER_ROW, SAMPLE_SEED, Surveyed

logger = logging.getLogger("fastgd")

# Bytes of the sample, which has to come over the network: at the most, what is always drawn, and a
# share of all.  400,000 rows of 50 columns, two workers: all that fits in 64 MB took 4 rounds and
# 1.7 s, 16 MB 6 rounds and 1.3 s, 4 MB 7 rounds and 0.9 to 1.4 s.
MAX_SAMPLE = 1 << 26
MIN_SAMPLE = 1 << 22
SHARE = 1 / 8

Estimator = TypeVar("Estimator", bound=GDEstimator)


class FrameColumns(NamedTuple):
    """What a fitted model keeps of the columns of frames."""

    feature_names: Any = None
    encoding: Any = None


def fit(
    estimator: Estimator,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    offset: Any = None,
    **params: Any,
) -> Estimator:
    """Fit an estimator to rows that are spread over the workers of a Dask cluster.

    Blocks stay on the workers that hold them: the coefficients go out, and sums over the rows come
    back, one round for each pass.  Targets, weights and offsets, one number a row, come here too,
    and a sample of the rows, 64 MB at the most.  `plan_` tells how many rounds it took; with
    `logging` at the level of INFO, "fastgd" tells their seconds.

    Parameters
    ----------
    estimator : GDClassifier, GDRegressor, GDClassifierCV or GDRegressorCV
        Is fitted and returned; on an error it is left as it was.  Folds of a search are those of
        arrays, by the numbers of the rows, and one after the other goes along its path.
    X : dask array, dask dataframe or list of delayed blocks
        Blocks of rows, dense or SciPy sparse; frames, whose text and categories become columns of 0
        and 1 as `from_parquet` makes them; delayed ones may be sources of blocks.
    y, sample_weight, offset : dask array, dask series, list of delayed or array-like, optional
        Those of Dask in blocks like X.
    **params : dict
        What the `fit` of a search takes beside them, `groups` for its splitter.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        For data that `fit` refuses, naming the block; without a client; for early stopping without
        rows of its own, and solvers that visit single rows.
    LostWorkersError
        Where all workers are lost.
    KeyboardInterrupt
        As `fit` raises it.
    """
    require_dask()
    check_estimator(estimator)
    client = current_client()
    blocks, here = delayed_blocks(X, y=y, sample_weight=sample_weight, offset=offset)
    futures = client.compute(blocks)
    wait_for(client, futures)  # so that each is asked for where it is
    workers = ClusterWorkers(client, grouped(futures))
    try:
        # Blocks of a dask array have no names or levels to tell of: a round less.
        of_array = is_array(X)

        def read(memory):
            columns = columns_of({} if of_array else workers.columns())
            return surveyed(workers, columns, estimator, here, memory), columns

        estimator._fit_surveyed(read, **params)
    finally:
        workers.close()
        logger.info(
            "%d rounds, %.3f s, of which the slowest workers computed %.3f s",
            workers.rounds,
            workers.seconds,
            workers.computing,
        )
    _tell_rounds(estimator, workers.rounds)
    return estimator


def surveyed(workers, columns, estimator, here, memory):
    """What a first reading of the blocks with these columns finds, where they are; what is `here`
    of y, weights and offsets goes with it.  A sample of the rows takes a share of so many bytes.
    """
    told = workers.survey(columns.encoding)
    facts: list = []
    groups: dict = {}
    found: list = []
    first = 0
    for number in sorted(told):
        groups[number] = []
        for block in told[number]:
            own = copy.copy(block.facts)
            own.own = slice(first, first + own.own.stop)
            first = own.own.stop
            groups[number].append(own)
            facts.append(own)
            found.append(block)
    if not facts:
        raise ValueError("the blocks have no rows; at least one is needed")
    _check_alike(found)
    n_features, sparse = found[0].columns
    dtype = np.result_type(*(block.dtype for block in found))
    moments = moments_of(added_moments(block.moments for block in found), first)
    lengths = functools.partial(lengths_of, moments, first)
    rows = ClusterRows(workers, facts, groups, n_features, sparse, dtype, lengths)
    places = [block.place for block in found]
    per_row = [
        gathered(name, [unpacked(block.per_row[k]) for block in found], places, here, first)
        for k, name in enumerate(PER_ROW)
    ]
    if per_row[0] is None:
        raise ValueError("y is missing: fit needs targets, from sources of blocks as well")
    weights = None if per_row[1] is None else as_weights(per_row[1], first)
    wanted = max(SHARE * 8.0 * rows.stored(), MIN_SAMPLE)
    rows.draw_sample(min(wanted, SAMPLE * memory, MAX_SAMPLE), SAMPLE_SEED, weights)
    rows.far = _far_columns(rows, moments) if estimator.fit_intercept else None
    rows.moments = moments
    return Surveyed(rows, *per_row)


def columns_of(told):
    """The columns that all frames, or all sources, have."""
    every = [one for number in sorted(told) for one in told[number]]
    frames = [(place, own) for place, own, _ in every if isinstance(own, dict)]
    if frames:
        encoding = shared_encoding(frames)
        return FrameColumns(encoding.feature_names, encoding)
    encoding = united([(place, own) for place, own, _ in every]) if every else None
    names = every[0][2] if every else None
    for place, _, own in every if encoding is None else ():
        if listed(own) != listed(names):
            raise ValueError(
                f"{place} has columns of other names than {every[0][0]}, or in another order: "
                f"{listed(own)}, not {listed(names)}"
            )
    return FrameColumns(getattr(encoding, "feature_names", names), encoding)


def _far_columns(rows, moments):
    """What is to be taken from columns that are far from 0: means and spreads of the sample."""
    # Most columns are shown not to be far by their moments, whose difference has its digits then:
    # to look at the sample took 20 of the 360 ms of the client in a fit to 400,000 rows.
    means = moments.means
    spread = np.sqrt(np.maximum(moments.mean_squares - means**2, 0.0))
    likely = (moments.nonzero_shares == 1.0) & ~(np.abs(means) <= 0.5 * FAR_RATIO * spread)
    return centers_of(rows.sample, means, likely) if likely.any() else None


def _check_alike(found):
    """ValueError for a block of other columns than the first."""
    first = found[0]
    for block in found:
        if block.columns != first.columns:
            raise ValueError(
                f"{block.place} has {columns_in_words(*block.columns)}, {first.place} "
                f"{columns_in_words(*first.columns)}; all blocks need the same columns"
            )


def _tell_rounds(estimator, rounds):
    """Say in the plan how many rounds the fit took."""
    plan = getattr(estimator, "plan_", None)
    if plan is None:  # a search without a model
        return
    note = f"{rounds} rounds"
    if isinstance(estimator, PathSearch):
        note = f"{note} for the search"
    if isinstance(plan, Plans):
        note = f"{note} for all of them"
        plans = [replace(plan, reasons=(*plan.reasons, note)) for plan in plan]
        estimator.plan_ = Plans(plans, plan.names, plan.what)
    else:
        estimator.plan_ = replace(plan, reasons=(*plan.reasons, note))
