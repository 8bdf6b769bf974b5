"""The first reading of a source of blocks: what every fit to it needs to know, in one pass."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.data.block_rows import (
    SAMPLE,
    BlockRows,
    block_bytes,
    checked_blocks,
    facts_of,
    listed,
    seen_of_block,
)
from fastgd.data.check_parameters import as_weights, refuse_masked
from fastgd.data.check_X import as_rows
from fastgd.data.far_columns import FarColumns
from fastgd.data.readers.pages import empty
from fastgd.data.targets import WeightedSamples
from fastgd.objective.blocks import NARROW, cut
from fastgd.objective.moment_sums import lengths_of, moment_sums, moments_of
from fastgd.runtime.free_memory import free_memory
from fastgd.runtime.heap import give_back

# Of the random numbers by which rows are drawn for the sample: the same each time.
SAMPLE_SEED = 0
# What a block may have for its rows, beside X.
PER_ROW = "y", "sample_weight", "offset"
# Less is not asked for: what is free takes 0.4 ms to tell.
MANY_BYTES = 1 << 24


class Surveyed(NamedTuple):
    """What a first reading of a source finds.

    Attributes
    ----------
    rows : BlockRows, or Rows where they were in memory
    y, sample_weight, offset : array, (n_samples,), or None
    """

    rows: Any
    y: Any
    sample_weight: Any
    offset: Any


def survey(source, memory, n_threads=1, shift=False, labels=False):
    """Read all blocks once.

    Parameters
    ----------
    source : BlockSource
    memory : int
        Bytes that a fit may take.
    n_threads : int
    shift : bool
        Whether columns far from 0 are looked for.
    labels : bool
        Whether integers among targets are kept as such.

    Raises
    ------
    ValueError
        For whatever a fit in memory would refuse, naming the place; for a source without rows, and
        one of which only some blocks have targets, weights or offsets.
    """
    n_bytes = block_bytes(memory)
    sample, far = _Sample(SAMPLE * memory), FarColumns()
    facts: list = []
    places: list[str] = []
    moments: Any = None
    per_row: dict[str, list] = {name: [] for name in PER_ROW}
    dtype = np.dtype(np.float64)
    first = 0
    sparse = False
    source.look_again()
    for place, block, rows in checked_blocks(source, n_bytes):
        if not facts:
            _refuse_too_wide(rows.shape()[1])
        facts.append(facts_of(rows, first))
        facts[-1].seen = seen_of_block(block, rows)
        places.append(place)
        for name, found in per_row.items():
            floats = not (labels and name == "y")
            given = getattr(block, name)
            found.append(checked_per_row(given, name, place, rows.shape()[0], floats))
        moments = moments_of_block(rows, facts[-1], n_threads, moments)
        if shift:
            far.add(rows)
        sample.add(rows, first, per_row["sample_weight"][-1])
        first = facts[-1].own.stop
        sparse = rows.sparse
        dtype = rows.dtype
    if not facts:
        raise ValueError("the source has no rows; at least one is needed")
    moments = moments_of(moments, first)
    d, lengths = moments.means.size, functools.partial(lengths_of, moments, first)
    y, sample_weight, offset = (joined(*pair, places) for pair in per_row.items())
    if sample.size == 0:
        as_weights(sample_weight, first)  # says that all of them are 0
    kept, chosen = sample.rows()
    # Of what was freed the allocator keeps 50 MB of a fit within 64.
    give_back()
    found = BlockRows(source, n_bytes, facts, d, sparse, dtype, lengths, kept, chosen)
    found.names = listed(source.feature_names)
    found.moments, found.memory = moments, memory
    found.far = far.centers(d) if shift else None
    return Surveyed(found, y, sample_weight, offset)


def _refuse_too_wide(n_features):
    """Raise ValueError where sums of the columns alone need more memory than is free: what is
    promised and written to later ends the process on many a system.
    """
    needed = 4 * 8 * n_features
    if needed > MANY_BYTES and needed > (free := free_memory()):
        raise ValueError(
            f"X has {n_features:,} columns, whose sums alone take {needed / 1e9:.3g} GB, and "
            f"{free / 1e9:.3g} GB are free; where an index of an svmlight file is wrong, give "
            "n_features: its line is told then"
        )


def moments_of_block(rows, facts, n_threads, before=None):
    """`moment_sums` of a block, all rows of weight 1, and of those `before`."""
    n, d = rows.shape()
    samples = WeightedSamples(np.zeros(n), np.ones(1), np.zeros(1))
    n_nonzeros = n * d if d <= NARROW else facts.nonzeros
    cuts = cut(n, n_nonzeros, d)
    ranges = np.stack([cuts[:-1], cuts[1:]], axis=1)
    cuts = np.arange(cuts.size)
    return moment_sums(rows, samples, ranges, cuts, n_nonzeros, n_threads, before)


def checked_per_row(given, name, place, n_rows, floats=False):
    """What a block has of one number for each row, or None; integers as `floats`, not to hold both
    of all rows at last, or as they are.

    Raises
    ------
    ValueError
        Where there are not as many as rows, and for masked values.
    """
    if given is None:
        return None
    refuse_masked(given, f"{place}: {name}")
    values = np.asarray(given)
    if values.shape[:1] != (n_rows,):
        raise ValueError(f"{place}: {name} has shape {values.shape}, X has {n_rows} rows")
    if values.dtype.kind not in "fiub":
        return np.array(values)
    # On pages of its own: between blocks that come and go it would hold on to theirs (24 MB of a
    # fit to 3 million rows).
    dtype = np.result_type(values.dtype, np.float64) if floats else values.dtype
    kept = empty(values.size, dtype).reshape(values.shape)
    kept[...] = values
    return kept


def joined(name, parts, places):
    """What the blocks have of one number for each row, in one array; None where none has any. The
    list of parts is emptied.

    Raises
    ------
    ValueError
        Where some have, and some have not, or of another width, or numbers beside text; `places`
        are those of the blocks, in words.
    """
    there = [part is not None for part in parts]
    if not any(there):
        return None
    if not all(there):
        place = places[there.index(False)]
        raise ValueError(f"{place} has no {name}, other blocks have; all need it, or none")
    for part, place in zip(parts, places, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"{place}: {name} has shape {part.shape}, in {places[0]} it has {parts[0].shape}; "
                "all blocks need the same number of columns, or none (n,)"
            )
    text = [part.dtype.kind not in "fiub" for part in parts]
    if any(text):
        if not all(text):  # NumPy would make text of the numbers
            k = text.index(not text[0])
            raise ValueError(
                f"{places[k]}: {name} holds {_kind_of(parts[k])}, in {places[0]} "
                f"{_kind_of(parts[0])}; all blocks need the same type"
            )
        return np.concatenate(parts)
    # A part is let go of once it is copied: all of them took 24 MB beside 3 million targets.
    n_rows, width = sum(map(len, parts)), parts[0].shape[1:]
    dtype = np.result_type(*parts)
    together, first = empty(n_rows * math.prod(width), dtype).reshape(n_rows, *width), 0
    for part in _emptied(parts):
        together[first : first + len(part)] = part
        first += len(part)
    return together


def _kind_of(part):
    return (
        "numbers" if part.dtype.kind in "fiub" else "text" if part.dtype.kind in "US" else "objects"
    )


def _emptied(parts):
    """The elements of a list, each of which is in it until it is handed out."""
    parts.reverse()
    while parts:
        yield parts.pop()


def _in_order(parts, order):
    """Rows of tables, one below the other, in this order; the list of tables is emptied."""
    d, places = parts[0].shape[1], np.empty_like(order)
    places[order] = np.arange(order.size)
    dtype = np.result_type(*(part.dtype for part in parts))
    if not sp.issparse(parts[0]):
        table, first = empty(order.size * d, dtype).reshape(order.size, d), 0
        for part in _emptied(parts):
            table[places[first : first + len(part)]] = part
            first += len(part)
        return table
    counts = np.concatenate([np.diff(part.indptr) for part in parts])
    starts = np.concatenate([[0], np.cumsum(counts[order])])
    data = empty(starts[-1], dtype)
    indices = empty(starts[-1], np.result_type(*(part.indices.dtype for part in parts)))
    first = 0
    for part in _emptied(parts):
        n_rows = part.shape[0]
        moves = starts[places[first : first + n_rows]] - part.indptr[:-1]
        to = np.arange(part.nnz) + np.repeat(moves, np.diff(part.indptr))
        data[to], indices[to] = part.data, part.indices
        first += n_rows
    return sp.csr_array((data, indices, starts), shape=(order.size, d))


def _on_pages(table):
    """The same table, whose memory goes back to the system with it."""
    if not sp.issparse(table):
        return _copied(table.reshape(-1)).reshape(table.shape)
    parts = _copied(table.data), _copied(table.indices), table.indptr
    return sp.csr_array(parts, shape=table.shape)


def _copied(values):
    own = empty(values.size, values.dtype)
    own[:] = values
    return own


class _Sample:
    """A uniform sample of the rows that have a weight, within so many bytes: those with the least
    random numbers.
    """

    def __init__(self, n_bytes):
        self.n_bytes = n_bytes
        self._random = np.random.Generator(np.random.PCG64(SAMPLE_SEED))
        self._below = 1.0
        self._parts: list = []
        self._keys: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._bytes_kept = 0

    @property
    def size(self):
        """Number of its rows."""
        return sum(map(len, self._rows))

    def add(self, rows, first, weights=None):
        """Rows of a block, the first of which is row `first` of all."""
        keys = self._random.random(rows.shape()[0])
        # Whatever is no number is refused once all of them are there.
        weighted = True if weights is None else weights.reshape(len(keys), -1)[:, 0] != 0.0
        chosen = np.flatnonzero((keys < self._below) & weighted)
        self._put(rows.part(chosen), keys[chosen], chosen + first)
        while self._bytes_kept > self.n_bytes and self.size > 1:
            every = np.concatenate(self._keys)
            self._below = float(np.median(every))
            kept, self._parts, old = self._parts, [], (self._keys, self._rows)
            self._keys, self._rows, self._bytes_kept = [], [], 0
            for part, own, where in zip(_emptied(kept), *old, strict=True):
                below = np.flatnonzero(own < self._below)
                self._put(part[below], own[below], where[below])

    def rows(self):
        """The sample as `Rows` in the order of their random numbers, and which rows they are."""
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        table = _in_order(self._parts, order)
        return as_rows(table, checked=True), np.concatenate(self._rows)[order]

    def _put(self, part, keys, where):
        if where.size == 0 and self._parts:
            return
        self._parts.append(_on_pages(part))
        self._keys.append(keys)
        self._rows.append(where)
        size = 12 * part.nnz + 8 * where.size if sp.issparse(part) else part.nbytes
        self._bytes_kept += size
