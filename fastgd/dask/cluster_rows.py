"""X on the workers of a cluster, for an objective here: what is known of all rows, and sums over
them.
"""

import itertools

import numpy as np
import scipy.sparse as sp

from fastgd.data.block_rows import BlockRows, added_in_order
from fastgd.data.check_X import as_rows
from fastgd.objective.subset import without_rows

_keys = itertools.count()


class ClusterRows(BlockRows):
    """Blocks that stay where Dask holds them.

    Parameters
    ----------
    crew : Crew
        The workers that hold the blocks.
    blocks : list of BlockFacts
        Of all blocks, in order.
    groups : list of list of int
        Which blocks each group holds.
    """

    kind = "elsewhere"

    def __init__(self, crew, blocks, groups, n_features, sparse, dtype, norms, sample, sampled):
        super().__init__(None, 0, blocks, n_features, sparse, dtype, norms, sample, sampled)
        self.crew, self.groups = crew, groups

    def parts(self):
        """Not here: the rows are on other machines."""
        raise RuntimeError("the rows are on the workers of a cluster")

    def how_read(self):
        """What a plan is to tell of how X is read."""
        blocks, workers = len(self.blocks), len(self.crew.actors)
        return f"X stays on {workers} workers, {blocks} blocks: a pass is a round"

    def over_parts(self, objective, work, arguments, arrays):
        """As a source's blocks give it, for one round."""
        found = self._round(objective, work, arguments, arrays, added=False)
        yield from itertools.chain.from_iterable(found[number] for number in sorted(found))

    def added(self, objective, work, arguments, arrays):
        """The same, summed: by groups on the workers, and then here."""
        found = self._round(objective, work, arguments, arrays, added=True)
        sums = (found[number] for number in sorted(found))
        return added_in_order(one for one in sums if one is not None)

    def take(self, chosen):
        """These rows, increasing indices: one round."""
        found = self.crew.ask("take", np.arange(self.shape()[0])[chosen])
        parts = [part for number in sorted(found) for part in found[number]]
        return sp.vstack(parts, format="csr") if self.sparse else np.concatenate(parts)

    def shifted(self, centers):
        """The same rows, read as distances from these numbers."""
        moved = super().shifted(centers)
        self.crew.centers = centers
        self.crew.place()
        return moved

    def _round(self, objective, work, arguments, arrays, added):
        own = [self._by_group(array) for array in arrays]
        key = self._key_of(objective)
        found, passes = self.crew.run(key, work, arguments, own, added)
        objective.meter.count(passes)
        return found

    def _by_group(self, array):
        """Entries of an array, one for each row, for each block of each group."""
        return {
            number: [array[self.blocks[k].own] for k in blocks]
            for number, blocks in enumerate(self.groups)
        }

    def _key_of(self, objective):
        """What the workers know an objective by; they are told once."""
        F = objective
        marks = id(F.samples), id(F.loss)
        if self.crew.marks != marks:
            self.crew.marks = marks
            template = without_rows(F)
            samples = {
                number: [F.samples.part(self.blocks[k].own) for k in blocks]
                for number, blocks in enumerate(self.groups)
            }
            self.crew.held = F.samples, F.loss  # so that no other has their ids
            self.crew.prepare(next(_keys), template, samples)
        return self.crew.key


def gather_sample(rows, most_bytes, seed):
    """A uniform sample of the rows in random order, as `Rows`, and which they are: one round."""
    n = rows.shape()[0]
    one = 12.0 * rows.stored() / n + 8.0 if rows.sparse else 8.0 * rows.n_features
    size = int(min(n, max(most_bytes // one, 1)))
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = rng.permutation(n)[:size]
    order = np.argsort(chosen)
    table = rows.take(chosen[order])
    back = np.empty(size, dtype=np.int64)
    back[order] = np.arange(size)
    return as_rows(table[back], checked=True), chosen
