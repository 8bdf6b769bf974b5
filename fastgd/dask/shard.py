"""What a worker holds: some blocks of the rows, and sums over them whenever they are asked for."""

import asyncio
import pickle
import time
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.dask.frames import Frame, FrameSource, is_frame
from fastgd.dask.packing import packed, unpacked
from fastgd.dask.tree import folded
from fastgd.data.block_rows import BlockFacts, added_in_order, facts_of
from fastgd.data.check_parameters import refuse_masked
from fastgd.data.check_X import as_rows, check_structure
from fastgd.data.far_columns import read_from
from fastgd.data.sources import BlockSource
from fastgd.data.targets import WeightedSamples
from fastgd.objective.meter import Meter
from fastgd.objective.subset import on_block
from fastgd.objective.survey import PER_ROW, checked_per_row, moments_of_block
from fastgd.runtime.clock import clock
from fastgd.runtime.threads import count_threads

# Bytes of the blocks that a source is read in.
BLOCK = 1 << 26


class SurveyedBlock(NamedTuple):
    """What a worker tells of one of its blocks.

    Attributes
    ----------
    place : str
        What messages call it.
    facts : BlockFacts
        With rows counted from its own first one.
    columns : tuple of int and bool
        How many columns it has, and whether it is sparse.
    dtype : dtype
    per_row : list
        Its targets, weights and offsets, packed.
    moments : ndarray
        As `moments_of_block` tells them.
    """

    place: str
    facts: BlockFacts
    columns: tuple[int, bool]
    dtype: np.dtype
    per_row: list
    moments: Any


class Asked(NamedTuple):
    """What a worker is asked for.

    Attributes
    ----------
    address : str
        Of the worker.
    numbers : list of int
        Of the groups whose sums are wanted.
    arrays : list of dict of int to list
        What the blocks of each of these groups are handed, beside what all are.
    """

    address: str
    numbers: list
    arrays: list


class Told(NamedTuple):
    """What a worker tells of its work: the passes over all rows that it counts as, the seconds that
    it took, and those of them in which kernels were compiled.
    """

    address: str
    passes: float
    seconds: float
    compiling: float


class Answer(NamedTuple):
    """What is found, by group or by node of the tree; what was told of it; who is lost."""

    found: dict
    told: list
    lost: list


class Shard:
    """The blocks of one worker, an actor of Dask's.

    Blocks come in groups of neighbours.  The groups are the same whichever worker has them, and
    each is summed by itself, so that sums do not depend on who did what.

    Parameters
    ----------
    numbers : list of int
        Of the groups.
    firsts : list of int
        The number of the first block of each of these groups.
    groups : list of list of tuple
        (X, y, sample_weight, offset) of each block of each of these groups; a source of blocks
        stands for all of its own.
    """

    def __init__(self, numbers, firsts, groups):
        self.groups = {
            number: [(f"block {first + k}", one) for k, one in enumerate(blocks)]
            for number, first, blocks in zip(numbers, firsts, groups, strict=True)
        }
        self.blocks: dict = {}
        self.problems: dict = {}
        self.n_threads = _own_threads()

    def columns(self):
        """Of each group, what frames and sources tell of their columns: (place, what) of each."""
        found: dict = {}
        for number, blocks in self.groups.items():
            found[number] = []
            for place, (X, *_) in blocks:
                if isinstance(X, BlockSource):
                    X.look_again()
                    next(iter(X.blocks(1 << 16)), None)
                    found[number].append((place, X.encoding, X.feature_names))
                elif is_frame(X) and len(X):
                    found[number].append((place, Frame(X, place).levels(), None))
        return found

    def load(self, encoding):
        """Turn the blocks into rows, frames by this encoding.

        Raises
        ------
        ValueError
            For what a fit in memory refuses, naming the block.
        """
        for number, blocks in self.groups.items():
            self.blocks[number] = [
                one for place, given in blocks for one in _loaded(place, given, encoding)
            ]
        self.groups = {}

    def survey(self, encoding):
        """Of each group, what is known of its blocks, a `SurveyedBlock` each.  Blocks are loaded
        first, where they are not.
        """
        self.load(encoding)
        return {
            number: [
                SurveyedBlock(
                    place,
                    facts,
                    (rows.shape()[1], rows.sparse),
                    rows.dtype,
                    [packed(one) for one in beside],
                    moments_of_block(rows, facts, self.n_threads),
                )
                for place, facts, rows, beside in blocks
            ]
            for number, blocks in self.blocks.items()
        }

    def take(self, centers, chosen):
        """Rows of each block, by their numbers in it, as the objective reads them."""
        found: dict = {}
        for number, blocks in self.blocks.items():
            found[number] = [
                (rows if centers is None else read_from(rows, centers)).take(own)
                for (_, _, rows, _), own in zip(blocks, chosen[number], strict=True)
                if own.size
            ]
        return found

    def prepare(self, key, problem):
        """Take down an objective without rows, what is taken from columns, and the targets, weights
        and offsets of the blocks that are here.
        """
        template, centers, samples = pickle.loads(problem)
        template.n_threads = self.n_threads
        readers = {
            number: [
                (
                    facts,
                    rows if centers is None else read_from(rows, centers),
                    WeightedSamples(*map(unpacked, own)),
                )
                for (_, facts, rows, _), own in zip(blocks, samples[number], strict=True)
            ]
            for number, blocks in self.blocks.items()
        }
        self.problems = {key: (template, readers)}

    def run(self, key, work, arguments, count, asked):
        """An `Answer`: what `work` gives for the blocks of each group that is `asked` for, or with
        a `count` of all groups their sums, as far as they are all here.
        """
        begin, begun = time.perf_counter(), clock.now()
        template, readers = self.problems[key]
        template.meter = Meter()
        found = {}
        for number in asked.numbers:
            blocks = readers[number]
            own = ([array[number][k] for array in asked.arrays] for k in range(len(blocks)))
            results = (
                work(on_block(template, rows, facts, samples), *arguments, *per_row)
                for (facts, rows, samples), per_row in zip(blocks, own, strict=True)
            )
            if count:
                found[number, number + 1] = added_in_order(results)
            else:
                found[number] = list(map(_kept, results))
        found = folded(found, count) if count else found
        seconds = time.perf_counter() - begin
        compiling = seconds - (clock.now() - begun)
        return Answer(found, [Told(asked.address, template.meter.passes, seconds, compiling)], [])

    async def lead(self, key, work, arguments, count, team):
        """What `run` gives in one: `team` has the key of an actor, and what it is asked for.  All
        are asked at once, from here.

        Not by Dask's handles of actors, each of which would start a client on this worker.
        """
        from distributed import get_worker
        from distributed.protocol.serialize import to_serialize

        worker = get_worker()

        async def ask(actor, asked):
            given = [to_serialize(one) for one in (key, work, arguments, count, asked)]
            try:
                told = await worker.rpc(asked.address).actor_execute(
                    function="run", actor=actor, args=given, kwargs={}
                )
            except (OSError, KeyError):  # nobody is there, or another worker, which has no actor
                return Answer({}, [], [asked.address])
            if told["status"] != "OK":
                raise told["exception"]
            return told["result"]

        answers = await asyncio.gather(*(ask(*one) for one in team))
        found: dict = {}
        for one in answers:
            found |= one.found
        # Not in the thread that hears the messages: sums of 5,000 x 5,000 take seconds.
        loop = asyncio.get_running_loop()
        summed = await loop.run_in_executor(None, folded, found, count)
        told = [one for answer in answers for one in answer.told]
        return Answer(summed, told, [one for answer in answers for one in answer.lost])


def _own_threads():
    """As many threads as Dask gives the worker."""
    from distributed import get_worker

    try:
        return count_threads(get_worker().state.nthreads)
    except ValueError:
        return count_threads(None)


def _kept(found):
    """A result that the next one does not write over."""
    return found.copy() if isinstance(found, np.ndarray) else found


def _loaded(place, given, encoding):
    """(place, facts, rows, (y, sample_weight, offset)) of a block, or of all blocks of a source;
    those without rows are left out.
    """
    for own, X, per_row in _read(place, given, encoding):
        if is_without_rows(X):
            continue
        try:
            rows = as_rows(X)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{own}: {error}") from None
        found = [
            checked_per_row(one, name, own, X.shape[0])
            for name, one in zip(PER_ROW, per_row, strict=True)
        ]
        yield own, facts_of(rows, 0), rows, found


def _read(place, given, encoding):
    X, *per_row = given
    if isinstance(X, BlockSource):
        _refuse_per_row(place, per_row)
        for k, block in enumerate(X.encoded_as(encoding).blocks(BLOCK)):
            kept = block if X.lasting else block.copy()
            yield f"piece {k} of {place}", kept.X, kept[1:]
    elif is_frame(X):
        if len(X):
            yield place, Frame(X, place).encoded(encoding), per_row
    else:
        yield place, as_array(X, place), per_row


def _refuse_per_row(place, per_row):
    """Raise ValueError where anything is given beside a source."""
    if any(one is not None for one in per_row):
        raise ValueError(f"{place} is a source, which brings its own y, weights and offsets")


def is_without_rows(X):
    """Whether a block is empty; a source is not looked at."""
    if isinstance(X, BlockSource):
        return False
    return (X.shape[0] if hasattr(X, "shape") else len(X)) == 0


def as_array(X, place):
    """An array, or CSR of a sparse block of SciPy or another library.

    Raises
    ------
    ValueError
        For masked values, and a structure that SciPy would follow out of bounds.
    """
    refuse_masked(X, f"{place}: X")
    check_structure(X, f"{place}: X")
    if sp.issparse(X):
        return sp.csr_array(X)
    if hasattr(X, "tocsr"):
        return sp.csr_array(X.tocsr())
    return np.ascontiguousarray(X)


def as_features(X, place, encoding, per_row):
    """A block in a form that a model predicts from: a frame by the encoding that it keeps, as a
    source that brings its `per_row` arrays.
    """
    if isinstance(X, BlockSource):
        _refuse_per_row(place, per_row)
        return X
    if is_frame(X):
        return X if encoding is None else FrameSource(X, place, per_row)
    return as_array(X, place)
