"""Rows that stay where they are, in files or made anew by each reading, and are read block by
block.

A first reading, the survey (`fastgd.objective.survey`), checks all values, sums the columns up, and
keeps what belongs to each row beside its features and a uniform sample of the rows.  Each later one
is held against it, so that a source that hands out other data is noticed.
"""

import bisect
import copy
import functools
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastgd.data.ahead import read_ahead
from fastgd.data.check_X import as_rows
from fastgd.data.digest import hash_of
from fastgd.data.far_columns import read_from
from fastgd.data.readings import seen_of
from fastgd.data.rows import DenseRows, moved_intercept
from fastgd.data.shared_readings import SharedReadings
from fastgd.data.sources import Block, Reading
from fastgd.runtime.free_memory import free_memory
from fastgd.runtime.heap import give_back

# Shares of the memory that a fit may take: of a block, of which there are three at once (one is
# worked on, one is ready, one is being read), and of the sample.
BLOCK = 1.0 / 8.0
SAMPLE = 1.0 / 4.0
MIN_BLOCK = 1 << 16
# A block larger than this is read no faster.
MAX_BLOCK = 1 << 26
# What blocks and their passes leave free in the allocator is given back after so many bytes: 40 of
# 160 MB that a fit within 64 MB had taken.
GIVEN_BACK = 1 << 25
# Of the random order of blocks in an epoch: one for all runs that share readings.
ORDER_SEED = 0
# The stretches of a source that is read from its first block to its last: the first block of each,
# and how many there are; None: all that follow.
WHOLE = ((0, None),)
# Mean squares are rounded by a few units in the last place, and by less than these 4,500: what is
# left of the variance of a column far from 0 has no other digits.
MEAN_SQUARE_ROUNDING = 1e-12


def memory_of(given):
    """Bytes that a fit may take: as given, or a quarter of what is free."""
    return int(given) if given is not None else free_memory() // 4


def block_bytes(memory):
    """Bytes of a block where a fit or a prediction may take so many in all."""
    return int(np.clip(BLOCK * memory, MIN_BLOCK, MAX_BLOCK))


@dataclass
class BlockFacts:
    """What is known of one block of a source.

    Attributes
    ----------
    own : slice
        Which rows it holds.
    stored, nonzeros : int
        Number of values, and of those that are not 0.
    squares : float
        Their sum of squares.
    layout : str
        A hash of the columns and the row starts of compressed rows.
    values : str
        A hash of the values, which tells one source from another.
    seen : dict of str to Seen
        What tells the values, "X", and the targets, weights and offsets from those of another
        reading, where there are others.
    """

    own: slice | np.ndarray
    stored: int
    nonzeros: int
    squares: float = 0.0
    layout: str = ""
    values: str = ""
    seen: dict = field(default_factory=dict)

    def difference(self, block, rows):
        """What of a later reading, X given as rows, is not what it was, in words; None where all
        is.
        """
        if rows.stored() != self.stored or _layout(rows) != self.layout:
            return f"{rows.stored()} values in other places, it had {self.stored}"
        found = seen_of_block(block, rows)
        others = [name for name, one in self.seen.items() if one.differs(found[name])]
        return f"other numbers in {' and '.join(others)}" if others else None


def facts_of(rows, first):
    """The facts of rows that begin with row `first` of all."""
    own = slice(first, first + rows.shape()[0])
    values = rows.values.reshape(-1)
    # In double precision and without BLAS: squares of float32 overflow beyond 1.8e19, and sums of
    # them by BLAS differ by 1e-7 with its number of threads.
    squares = float(np.einsum("i,i->", values, values, dtype=np.float64))
    counts = rows.stored(), rows.nonzeros()
    # The hash takes 0.2 of the 18 ms of a first reading of 1,000,000 values.
    return BlockFacts(own, *counts, squares, _layout(rows), hash_of([rows.values]))


def seen_of_block(block, rows):
    """What tells the numbers of a block from those of another reading."""
    return {"X": seen_of(rows.values)} | {
        name: seen_of(getattr(block, name)) for name in ("y", "sample_weight", "offset")
    }


def _layout(rows):
    return hash_of([rows.columns, rows.starts]) if rows.sparse else ""


class BlockRows:
    """X in blocks: what is known of all rows, and the way to read them again.

    It stands where `Rows` do in an objective; passes ask for `parts`.

    Parameters
    ----------
    source : BlockSource
    n_bytes : int
        Of a block, at most about.
    blocks : list of BlockFacts
    n_features : int
    sparse : bool
    dtype : dtype
    norms : callable
        Gives the root of the sum of squares of each column, (n_features,): most fits do not ask.
    sample : Rows
        Some of the rows, in random order.
    sampled : ndarray of int
        Which they are.
    centers : ndarray, (n_features,), or None
        What is taken from columns that are far from 0.
    """

    in_memory = strided = False
    location = "blocks"
    # That may share a pass.
    most_workers = 1

    def __init__(self, source, n_bytes, blocks, n_features, sparse, dtype, norms, sample, sampled):
        self.source, self.n_bytes, self.blocks = source, n_bytes, blocks
        self.n_features, self.sparse, self._dtype = n_features, sparse, dtype
        self._norms, self.sample, self.sampled = norms, sample, sampled
        # Of the columns, where the source has them.
        self.names: list[str] | None = None
        # Moments of the rows as they are stored, all of weight 1.
        self.moments: Any = None
        # What is to be taken from the columns where those far from 0 are read as distances.
        self.far: np.ndarray | None = None
        self.centers: np.ndarray | None = None
        # Where several runs take part in each reading.
        self.readings: SharedReadings | None = None
        # Bytes that a fit may take.
        self.memory = 0

    def for_several_runs(self):
        """The same rows, each reading of which serves all runs of `readings.together`."""
        shared = copy.copy(self)
        shared.readings = SharedReadings(self.parts)
        return shared

    def parts(self, epoch=None):
        """(facts, rows) of each block: one reading, which may be shared.

        Parameters
        ----------
        epoch : int, optional
            Blocks come in a random order of this number, as far as the source can be read from
            others than its first; by default in their order.
        """
        if self.readings is not None:
            return self.readings.blocks(epoch)
        return self._parts(WHOLE if epoch is None else self._stretches(epoch))

    def _stretches(self, epoch):
        """Stretches of the source, each read in order, in a random order of this number."""
        starts = self.source.starts(self.n_bytes)
        if starts[-1] >= len(self.blocks):  # other blocks than those that are known
            return WHOLE
        ends = [*starts[1:], None]
        order = np.random.Generator(np.random.PCG64([ORDER_SEED, epoch])).permutation(len(starts))
        return [
            (starts[k], None if ends[k] is None else ends[k] - starts[k]) for k in order.tolist()
        ]

    def _parts(self, stretches):
        """A reading of its own.

        Raises
        ------
        ValueError
            Where the source hands out other rows than it did at first.
        """
        n_blocks, n_read = len(self.blocks), 0
        numbers = (
            number
            for first, count in stretches
            for number in range(first, n_blocks if count is None else first + count)
        )
        for place, block, rows in checked_blocks(self.source, self.n_bytes, stretches):
            number = next(numbers, n_blocks)
            facts = self.blocks[number] if number < n_blocks else None
            n_read += 1
            if facts is None:
                changed = f"{rows.shape()[0]} rows more"
            elif listed(self.source.feature_names) != self.names:
                changed = "columns of other names, or in another order"
            elif rows.shape() != (shape := (facts.own.stop - facts.own.start, self.n_features)):
                changed = f"{rows.shape()} rows and columns, it had {shape}"
            else:
                changed = facts.difference(block, rows)
            if changed is not None:
                raise ValueError(
                    f"block {number} of the source ({place}) is not what it was at the first "
                    f"reading: {changed}; a source has to hand out the same rows each time"
                )
            del block
            yield facts, rows if self.centers is None else read_from(rows, self.centers)
        if next(numbers, None) is not None:
            raise ValueError(
                f"the source ended after {n_read} of the {n_blocks} blocks that it had at the "
                "first reading; it has to hand out the same rows each time"
            )

    def how_read(self):
        """What a plan is to tell of how X is read."""
        n_blocks, size = len(self.blocks), self.n_bytes / 1e6
        blocks = f"{n_blocks} block{'s' if n_blocks > 1 else ''}"
        return f"X is read anew in each pass, {blocks} of up to {size:.0f} MB"

    def reading_cost(self, n_numbers):
        """What a reading takes beside computing, in ns, where so many numbers come of it."""
        return self.source.value_cost * self.stored()

    def over_parts(self, objective, work, arguments, arrays):
        """What `Objective.over_parts` gives, one reading."""
        for facts, rows in self.parts():
            part = objective.on_block(rows, facts)
            yield work(part, *arguments, *(array[facts.own] for array in arrays))

    def sum_over_parts(self, objective, work, arguments, arrays):
        """What `Objective.sum_over_parts` gives, one reading."""
        return added_in_order(self.over_parts(objective, work, arguments, arrays))

    def digest(self):
        """What tells these rows from others (`fastgd.data.digest`): what the first reading found,
        but for sums, which may differ in their last bits.
        """
        stops = np.array([one.own.stop for one in self.blocks])
        hashes = np.array([(one.layout, one.values) for one in self.blocks])
        return {
            "storage": "blocks",
            "shape": [int(one) for one in self.shape()],
            "dtype": str(self._dtype),
            "hash": hash_of([stops, hashes]),
        }

    def shifted(self, centers):
        """The same rows, read as distances from these numbers."""
        moved = copy.copy(self)
        moved._norms = functools.partial(
            _norms_from, centers, self.moments.means, self.moments.mean_squares, self.shape()[0]
        )
        moved.centers = centers
        moved.sample = read_from(self.sample, centers)
        moved.moments = None
        return moved

    @property
    def storage(self):
        """The rows as they are stored."""
        return self

    @property
    def dtype(self):
        """Of what the rows hand out."""
        return self._dtype if self.centers is None else np.dtype(np.float64)

    @property
    def mark(self):
        """Bytes that tell the centers of the columns from others; empty without any."""
        return b"" if self.centers is None else self.centers.tobytes()

    def shape(self):
        """Number of rows and of columns."""
        return self.blocks[-1].own.stop, self.n_features

    def stored(self):
        """Number of stored values."""
        return sum(facts.stored for facts in self.blocks)

    def nonzeros(self, part=0, parts=1):
        """Number of values that are not 0; they count for the first part."""
        return sum(facts.nonzeros for facts in self.blocks) if part == 0 else 0

    def least_tile(self):
        """Rows that a pass should take together at least."""
        return 16

    def narrowed(self):
        """None: other columns are not looked for."""

    def column_norms(self):
        """Root of the sum of squares of each column, or a little more where it is far from 0."""
        return self._norms()

    def sum_of_squares(self):
        """Of all that the rows hand out, or a little more."""
        if self.centers is None:
            return sum(facts.squares for facts in self.blocks)
        return float(np.square(self.column_norms()).sum())

    def take(self, chosen):
        """These rows, increasing indices, as a float64 array, or SciPy array: one reading."""
        chosen, found = np.arange(self.shape()[0])[chosen], []
        for facts, rows in self.parts():
            first, last = np.searchsorted(chosen, (facts.own.start, facts.own.stop))
            if last > first:
                found.append(rows.take(chosen[first:last] - facts.own.start))
        return sp.vstack(found, format="csr") if self.sparse else np.concatenate(found)

    def without_columns(self):
        """As many rows with nothing in them."""
        return DenseRows(np.empty((self.shape()[0], 0)))

    def taken_away(self, directions):
        """How much was taken from rows along `directions`, (d, k): sums of magnitudes, (k,)."""
        taken = np.zeros(self.n_features) if self.centers is None else self.centers
        return np.abs(taken) @ np.abs(directions)

    def user_intercept(self, coef, intercept):
        """Intercept that goes with the columns as they were given."""
        if self.centers is None:
            return intercept
        return moved_intercept(self.centers, coef, intercept, -1.0)

    def own_intercept(self, coef, intercept):
        """Intercept that goes with what the rows hand out."""
        if self.centers is None:
            return intercept
        return moved_intercept(self.centers, coef, intercept, 1.0)


def _norms_from(centers, means, mean_squares, n_rows):
    """Root of the sum of squares of each column as distances from these numbers, or more: by the
    moments of the columns as they are stored.
    """
    around = mean_squares * (1.0 + MEAN_SQUARE_ROUNDING) - means**2 + (means - centers) ** 2
    return np.sqrt(n_rows * np.where(centers == 0.0, mean_squares, around))


def listed(names):
    """Names of columns in a list, or None."""
    return None if names is None else list(names)


def added_in_order(results):
    """Sum of arrays, numbers or tuples of them, in an array of its own: the next result may be
    written over the one before.
    """
    total = None
    for found in results:
        total = _copied(found) if total is None else _plus(total, found)
        del found  # or it is there beside the next: 10 MB where there are 1.28 million columns
    return total


def _copied(found):
    return tuple(map(np.array, found)) if isinstance(found, tuple) else np.array(found)


def _plus(total, found):
    if isinstance(found, tuple):
        return tuple(_plus(a, b) for a, b in zip(total, found, strict=True))
    total += found
    return total


def checked_blocks(source, n_bytes, stretches=WHOLE):
    """(place, block, rows) of each block of a source that has rows, its place in words and its X as
    `Rows`: one reading, on a thread that is one block ahead; of these stretches, as `WHOLE` is one.

    Raises
    ------
    ValueError
        For whatever `fastgd.data.check_X` refuses, naming the place, and for blocks of another kind
        than the first.
    """
    yield from read_ahead(_checked(source, n_bytes, stretches))


def _checked(source, n_bytes, stretches):
    layout = None
    read = 0
    for number, block, reading, place_of in _read(source, n_bytes, stretches):
        if not isinstance(block, Block):
            raise ValueError(
                f"block {number} of the source is a {type(block).__name__}, not a Block"
            )
        if not hasattr(block.X, "shape"):
            kind = type(block.X).__name__
            raise ValueError(f"block {number} of the source has a {kind} as X, not an array")
        if block.X.shape[0] == 0:
            continue
        place = place_of(number, 0)
        if not source.lasting:
            block = block.copy()
        try:
            rows = as_rows(block.X)
        except (ValueError, TypeError) as error:
            if isinstance(reading, Reading):
                _refuse_part(reading, number, block.X)
            raise ValueError(f"{place}: {error}") from error
        own = rows.shape()[1], rows.sparse
        layout = layout or (own, rows.dtype)
        if own != layout[0]:
            raise ValueError(
                f"{place}: X has {columns_in_words(*own)}, the blocks before it have "
                f"{columns_in_words(*layout[0])}; all blocks need the same columns"
            )
        if rows.dtype != layout[1]:
            raise ValueError(
                f"{place}: X is read as {rows.dtype}, the blocks before it as {layout[1]}; all "
                "blocks need the same type"
            )
        yield place, block, rows
        read += rows.stored() * rows.dtype.itemsize
        if read > max(GIVEN_BACK, 4 * n_bytes):
            give_back()
            read = 0


def _read(source, n_bytes, stretches):
    """(number, block, reading, place_of) of all blocks of the stretches: `place_of` gives the place
    of a row of this reading, of which the block has this number.
    """
    for first, count in stretches:
        reading = source.blocks_from(first, n_bytes) if first else source.blocks(n_bytes)
        place_of = getattr(reading, "place", functools.partial(_place_after, source, first))
        for number, block in enumerate(itertools.islice(reading, count)):
            yield number, block, reading, place_of


def _place_after(source, first, number, row):
    return source.place(first + number, row)


def _refuse_part(reading, number, X):
    """Raise ValueError for the first part of a block that is refused by itself, if one is."""
    cuts = [*reading.parts(number), X.shape[0]]
    # The fewest parts that are refused together: there may be one for each row.
    k = bisect.bisect_left(cuts[1:], True, key=lambda last: _refusal(X[:last]) is not None)
    first = cuts[k]
    error = _refusal(X[first : cuts[k + 1]])
    if error is not None:
        raise ValueError(f"{reading.place(number, first)}: {error}") from error


def _refusal(X):
    """What `as_rows` says of these rows, or None, as of none."""
    try:
        if X.shape[0]:
            as_rows(X)
    except (ValueError, TypeError) as error:
        return error
    return None


def columns_in_words(n_features, sparse):
    """How many columns a block has, and whether they are sparse."""
    return f"{n_features} {'sparse' if sparse else 'dense'} columns"
