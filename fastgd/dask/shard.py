"""What a worker holds: some blocks of the rows, and sums over them whenever they are asked for."""

import pickle
import time

import numpy as np
import scipy.sparse as sp

from fastgd.data.block_rows import added_in_order, facts_of
from fastgd.data.check_X import as_rows
from fastgd.data.far_columns import read_from
from fastgd.data.sources import BlockSource
from fastgd.objective.meter import Meter
from fastgd.objective.subset import on_block
from fastgd.objective.survey import beside_of, moments_of_block
from fastgd.runtime.threads import count_threads


class Shard:
    """The blocks of one worker, an actor of Dask's.

    Blocks come in groups of neighbours.  The groups are the same whichever worker has them, and
    each is summed by itself, so that sums do not depend on who did what.

    Parameters
    ----------
    numbers : list of int
        Of the groups.
    groups : list of list of tuple
        (X, y, sample_weight, offset) of each block of each of these groups; a source of blocks
        stands for all of its own.
    """

    def __init__(self, numbers, groups):
        self.groups = {
            number: [one for given in blocks for one in _blocks_of(given)]
            for number, blocks in zip(numbers, groups, strict=True)
        }
        self.rows = {}
        self.problems = {}
        self.centers = None

    def survey(self):
        """Of each group, what is known of its blocks: facts, targets, weights, offsets, moments.

        Raises
        ------
        ValueError
            For what a fit in memory refuses, naming the block.
        """
        found = {}
        n_threads = count_threads(None)
        for number, blocks in self.groups.items():
            told = []
            self.rows[number] = []
            for k, (X, *beside) in enumerate(blocks):
                place = f"block {k} of partition {number}"
                if X.shape[0] == 0:
                    continue
                try:
                    rows = as_rows(X)
                except ValueError as error:
                    raise ValueError(f"{place}: {error}") from None
                facts = facts_of(rows, 0)
                told.append(
                    (
                        facts,
                        rows.shape()[1],
                        rows.sparse,
                        rows.dtype,
                        [beside_of(one, name, place, X.shape[0]) for name, one in beside],
                        moments_of_block(rows, facts, n_threads),
                    )
                )
                self.rows[number].append((facts, rows))
            found[number] = told
        self.groups = {}
        return found

    def place(self, firsts, centers):
        """Take down which rows of all the blocks of each group hold, the first of which are
        `firsts`, and what is taken from columns.
        """
        self.centers = centers
        for number, blocks in self.rows.items():
            for (facts, _), first in zip(blocks, firsts[number], strict=True):
                length = facts.own.stop - facts.own.start
                facts.own = slice(first, first + length)

    def take(self, chosen):
        """These rows, increasing numbers of all, where they are here: by the number of the group,
        a list of arrays.
        """
        found: dict = {}
        for number, blocks in self.rows.items():
            found[number] = []
            for facts, rows in blocks:
                first, last = np.searchsorted(chosen, (facts.own.start, facts.own.stop))
                if last > first:
                    found[number].append(rows.take(chosen[first:last] - facts.own.start))
        return found

    def prepare(self, key, problem):
        """Take down an objective without rows; `problem` is pickled, its targets are of the rows
        that are here.
        """
        template, samples = pickle.loads(problem)
        template.n_threads = count_threads(None)
        self.problems = {key: (template, samples)}

    def run(self, key, work, arguments, arrays, added):
        """By the number of the group, what `work` gives for its blocks, or the sum of that; the
        passes over all rows that this counts as, and the seconds that it took.
        """
        begin = time.perf_counter()
        template, samples = self.problems[key]
        template.meter = Meter()
        found = {}
        for number, blocks in self.rows.items():
            results = self._results(template, samples, number, blocks, work, arguments, arrays)
            found[number] = added_in_order(results) if added else list(map(_kept, results))
        return found, template.meter.passes, time.perf_counter() - begin

    def _results(self, template, samples, number, blocks, work, arguments, arrays):
        for k, (facts, rows) in enumerate(blocks):
            read = rows if self.centers is None else read_from(rows, self.centers)
            part = on_block(template, read, facts, samples[number][k])
            yield work(part, *arguments, *(array[number][k] for array in arrays))


def _kept(found):
    """A result that the next one does not write over."""
    return found.copy() if isinstance(found, np.ndarray) else found


def _blocks_of(given):
    """(X, (name, values), ...) of a block, or of all blocks of a source."""
    names = "y", "sample_weight", "offset"
    if isinstance(given, BlockSource):
        for block in given.blocks(1 << 26):
            yield block.X, *zip(names, block[1:], strict=True)
        return
    X, *beside = given
    if sp.issparse(X):
        X = sp.csr_array(X)
    elif not isinstance(X, np.ndarray):
        X = _as_array(X)
    found = [None if one is None else np.asarray(one) for one in beside]
    yield X, *zip(names, found, strict=True)


def _as_array(X):
    """A frame as an array; a sparse array of another library as CSR."""
    if hasattr(X, "tocsr"):
        return sp.csr_array(X.tocsr())
    return np.ascontiguousarray(np.asarray(X))
