"""X on the workers of a cluster, for an objective here: what is known of all rows, and sums over
them.
"""

import copy
import itertools

import numpy as np
import scipy.sparse as sp

from fastgd.dask.packing import packed
from fastgd.data.block_rows import BlockRows
from fastgd.data.check_X import as_rows
from fastgd.objective.subset import without_rows

_keys = itertools.count()

# Ns of a round beside computing (`python -m bench dask`: 6.1 to 8.0 ms), and of each number that
# goes out and comes back (200,000 of them, to two workers and back: 20 ms).
ROUND = 7e6
ROUND_NUMBER = 100.0


class ClusterRows(BlockRows):
    """Blocks that stay where Dask holds them.

    Parameters
    ----------
    workers : ClusterWorkers
        The workers that hold the blocks.
    blocks : list of BlockFacts
        Of all blocks, in order.
    groups : dict of int to list of BlockFacts
        Those of each group.
    n_features, sparse, dtype, norms
        As `BlockRows` has them; there is no sample yet.
    """

    location = "elsewhere"

    def __init__(self, workers, blocks, groups, n_features, sparse, dtype, norms):
        super().__init__(None, 0, blocks, n_features, sparse, dtype, norms, None, None)
        self.workers, self.groups = workers, groups
        # Whatever there are: plans must not depend on who does what.
        self.most_workers = len(groups)
        # The objective that the workers know, by its parts, and its key.
        self._known: list = [None, None]

    def parts(self, epoch=None):
        """Not here: the rows are on other machines."""
        raise RuntimeError("the rows are on the workers of a cluster")

    def how_read(self):
        """What a plan is to tell of how X is read."""
        blocks, n_workers = len(self.blocks), len(self.workers.actors)
        return f"X stays on {n_workers} workers, {blocks} blocks: a pass is a round"

    def reading_cost(self, n_numbers):
        """As a source's, for a round."""
        return ROUND + ROUND_NUMBER * n_numbers

    def over_parts(self, objective, work, arguments, arrays):
        """As a source's blocks give it, for one round."""
        found, passes = self.workers.run(*self._call(objective, work, arguments, arrays))
        objective.meter.count(passes)
        yield from itertools.chain.from_iterable(found[number] for number in sorted(found))

    def sum_over_parts(self, objective, work, arguments, arrays):
        """The same, summed: on the workers, and then here."""
        found, passes = self.workers.sum_over_parts(*self._call(objective, work, arguments, arrays))
        objective.meter.count(passes)
        return found

    def take(self, chosen):
        """These rows, increasing indices, as a float64 array or SciPy array: one round."""
        chosen = np.arange(self.shape()[0])[chosen]
        own = {
            number: [
                chosen[slice(*np.searchsorted(chosen, (facts.own.start, facts.own.stop)))]
                - facts.own.start
                for facts in blocks
            ]
            for number, blocks in self.groups.items()
        }
        found = self.workers.take(self.centers, own)
        parts = [part for number in sorted(found) for part in found[number]]
        return sp.vstack(parts, format="csr") if self.sparse else np.concatenate(parts)

    def draw_sample(self, most_bytes, seed, weights=None):
        """Take a uniform sample of the rows, where `weights` are given of those that have one, in
        random order: one round.
        """
        n = self.shape()[0]
        drawn = n if weights is None else np.flatnonzero(weights)
        one = 12.0 * self.stored() / n + 8.0 if self.sparse else 8.0 * self.n_features
        size = int(min(n, max(most_bytes // one, 1)))
        rng = np.random.Generator(np.random.PCG64(seed))
        chosen = rng.permutation(drawn)[:size]
        order = np.argsort(chosen)
        table = self.take(chosen[order])
        back = np.empty(chosen.size, dtype=np.int64)
        back[order] = np.arange(chosen.size)
        self.sample, self.sampled = as_rows(table[back], checked=True), chosen

    def shifted(self, centers):
        """The same rows, read as distances from these numbers."""
        moved = super().shifted(centers)
        moved._known = [None, None]
        return moved

    def __deepcopy__(self, memo):
        """A copy of a state goes on with the same workers."""
        return copy.copy(self)

    def _call(self, objective, work, arguments, arrays):
        """What a round is asked with."""
        own = [
            {number: [array[one.own] for one in blocks] for number, blocks in self.groups.items()}
            for array in arrays
        ]
        return self._key_of(objective), work, arguments, own

    def _key_of(self, objective):
        """What the workers know an objective by: those that share samples and loss are one.  They
        know one at a time.
        """
        F, (known, key) = objective, self._known
        if known and known[0] is F.samples and known[1] is F.loss and self.workers.key == key:
            return key
        samples = {
            number: [_packed(F.samples.part(one.own)) for one in blocks]
            for number, blocks in self.groups.items()
        }
        key = next(_keys)
        self.workers.prepare(key, without_rows(F), self.centers, samples)
        self._known = [(F.samples, F.loss), key]
        return key


def _packed(samples):
    """Targets, weights and offsets, packed."""
    return [packed(one) for one in (samples.targets, samples.weights, samples.offsets)]
