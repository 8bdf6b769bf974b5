"""Rows of a source in random order, as far as memory goes: for visits to one after the other."""

import numpy as np
import scipy.sparse as sp

from fastgd.data.block_rows import BlockFacts
from fastgd.data.check_X import as_rows
from fastgd.objective.subset import on_block

# Bytes of the buffer that rows are drawn from, in blocks: as much as the sample takes.
BUFFER = 2


def mixed_parts(objective, seed, epoch, shuffle):
    """Parts of the rows that together hold each of them once; the objective itself in memory.

    Blocks come in random order, as far as the source can be read from others than its first, and go
    into a buffer, of which a random half is the next part: a row is met up to a few buffers later
    than it was read.  A function of seed and epoch, so that a run can be resumed.
    """
    F = objective
    if F.rows.in_memory:
        yield F
        return
    rng = np.random.Generator(np.random.PCG64([seed, epoch]))
    tables: list = []
    numbers: list[np.ndarray] = []
    for facts, rows in F.rows.parts(epoch if shuffle else None):
        if not shuffle:
            yield on_block(F, rows, facts)
            continue
        tables.append(rows.part(slice(None)))
        numbers.append(np.arange(facts.own.start, facts.own.stop))
        # Half of one row, which may be larger than the buffer by itself, would be none.
        full = sum(map(_bytes_of, tables)) >= BUFFER * F.rows.n_bytes
        if full and sum(map(len, numbers)) > 1:
            table, which = _joined(tables), np.concatenate(numbers)
            order = rng.permutation(which.size)
            now, later = order[: which.size // 2], order[which.size // 2 :]
            yield _part(F, table[now], which[now])
            tables, numbers = [table[later]], [which[later]]
            del table
    if tables:
        which = np.concatenate(numbers)
        order = rng.permutation(which.size)
        yield _part(F, _joined(tables)[order], which[order])


def _part(F, table, which):
    """The objective's losses on these rows, whose numbers are `which`."""
    rows = as_rows(table, checked=True)
    return on_block(F, rows, BlockFacts(which, rows.stored(), rows.nonzeros()))


def _joined(tables):
    if len(tables) == 1:
        return tables[0]
    return sp.vstack(tables, format="csr") if sp.issparse(tables[0]) else np.concatenate(tables)


def _bytes_of(table):
    return 12 * table.nnz if sp.issparse(table) else table.nbytes
