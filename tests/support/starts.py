"""Readings of a source that begin elsewhere than at its first block."""

import numpy as np
import scipy.sparse as sp

from fastgd.data.sources import BlockSource


def told(source, reading, first):
    """Of each block, where its rows are and what it holds."""
    place = getattr(reading, "place", lambda number, row: source.place(first + number, row))
    for number, block in enumerate(reading):
        X = block.X.toarray() if sp.issparse(block.X) else block.X
        rows = [place(number, row) for row in range(len(X))]
        yield rows, X, *(None if one is None else one.tolist() for one in block[1:])


def check_starts(source: BlockSource, n_bytes: int) -> list[int]:
    """Compare what is read from each of the `starts` with the end of a whole reading."""
    blocks = list(told(source, source.blocks(n_bytes), 0))
    starts = source.starts(n_bytes)
    assert starts == sorted({0, *starts})
    assert starts[-1] < len(blocks)
    for first in starts:
        reading = source.blocks_from(first, n_bytes) if first else source.blocks(n_bytes)
        for found, known in zip(told(source, reading, first), blocks[first:], strict=True):
            np.testing.assert_array_equal(found[1], known[1])
            assert (found[0], *found[2:]) == (known[0], *known[2:])
    return starts
