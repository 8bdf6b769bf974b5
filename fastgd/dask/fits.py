"""A fit to rows on a cluster: the survey, and then the ordinary fit, whose passes are rounds."""

import copy

import numpy as np

from fastgd.dask.cluster_rows import ClusterRows, gather_sample
from fastgd.dask.crew import Crew
from fastgd.dask.partitions import current_client, delayed_blocks, grouped, require_dask
from fastgd.data.block_rows import SAMPLE
from fastgd.data.far_columns import centers_of
from fastgd.objective.moment_sums import NONZEROS, SUM, SUM_OF_SQUARES, added_moments
from fastgd.objective.survey import Surveyed

# Of the random numbers by which rows are drawn for the sample: the same each time.
SEED = 0


def fit(estimator, X, y=None, sample_weight=None, offset=None):
    """Fit an estimator to rows that are spread over the workers of a Dask cluster.

    Blocks stay on the workers that hold them: the coefficients go out, and sums over the rows come
    back, one round for each pass.  Targets, weights and offsets, one number a row, come here too,
    and a sample of the rows within `estimator.memory`.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Is fitted and returned; on an error it is left as it was.
    X : dask array, dask dataframe or list of delayed blocks
        Blocks of rows, dense or SciPy sparse; delayed ones may be sources of blocks.
    y, sample_weight, offset : dask array, dask series or array-like, optional
        In blocks like X.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        For data that `fit` refuses, naming the block, and without a client.
    LostWorkersError
        Where all workers are lost.
    KeyboardInterrupt
        As `fit` raises it.
    """
    require_dask()
    client = current_client()
    blocks = delayed_blocks(X, y, sample_weight, offset)
    futures = client.compute(blocks)
    crew = Crew(client, grouped(futures))
    shift = estimator.fit_intercept
    return estimator._fit_surveyed(lambda memory: surveyed(crew, memory, shift))


def surveyed(crew, memory, shift):
    """What a first reading of the blocks finds, where they are: two rounds, or three."""
    told = crew.survey()
    facts: list = []
    groups: list = []
    found: list = []
    firsts: dict = {}
    first = 0
    for number in sorted(told):
        groups.append([])
        firsts[number] = []
        for block in told[number]:
            own = copy.copy(block[0])
            length = own.own.stop - own.own.start
            own.own = slice(first, first + length)
            firsts[number].append(first)
            first += length
            groups[-1].append(len(facts))
            facts.append(own)
            found.append((number, *block[1:]))
    if not facts:
        raise ValueError("the blocks have no rows; at least one is needed")
    _check_alike(found)
    crew.firsts = firsts
    crew.place()
    _, n_features, sparse, _, _, _ = found[0]
    dtype = np.result_type(*(one[3] for one in found))
    table, norms = added_moments(one[5] for one in found)
    rows = ClusterRows(
        crew, facts, groups, n_features, sparse, dtype, np.sqrt(table[SUM_OF_SQUARES]), None, None
    )
    rows.moments = table, norms
    rows.sample, rows.sampled = gather_sample(rows, SAMPLE * memory, SEED)
    rows.far = _far_columns(rows, table) if shift else None
    return Surveyed(rows, *(_joined(found, k) for k in range(3)))


def _far_columns(rows, table):
    """What is to be taken from columns that are far from 0: means and spreads of the sample."""
    if not (table[NONZEROS] == rows.shape()[0]).any():
        return None
    return centers_of(rows.sample, table[SUM] / rows.shape()[0], table[NONZEROS] == rows.shape()[0])


def _check_alike(found):
    """ValueError for a block of other columns than the first."""
    usual = found[0][1:3]
    for number, *own in found:
        if tuple(own[:2]) != tuple(usual):
            raise ValueError(
                f"a block of partition {number} has {own[0]} {_stored(own[1])} columns, the first "
                f"one {usual[0]} {_stored(usual[1])}; all blocks need the same columns"
            )


def _stored(sparse):
    return "sparse" if sparse else "dense"


def _joined(found, k):
    """Targets, weights or offsets of all blocks in one array, or None."""
    name = ("y", "sample_weight", "offset")[k]
    parts = [one[4][k] for one in found]
    missing = [one[0] for one, part in zip(found, parts, strict=True) if part is None]
    if len(missing) == len(parts):
        return None
    if missing:
        raise ValueError(f"a block of partition {missing[0]} has no {name}, others have")
    return np.concatenate(parts)
