"""Rows that are read block by block, because they do not fit in memory: the contract of those who
read them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fastgd.runtime.public import public


class Block(NamedTuple):
    """Some rows, in memory.

    Attributes
    ----------
    X : ndarray or csr_array, (n_rows, n_features)
    y : ndarray, (n_rows,), or None
        None where a source has no targets: it can be predicted, not fitted.
    sample_weight, offset : ndarray, (n_rows,), or None
    """

    X: np.ndarray | sp.csr_array
    y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    offset: np.ndarray | None = None


@public
class BlockSource:
    """Rows that are read block by block: estimators take it in place of X.

    Attributes
    ----------
    feature_names : ndarray of str or None
        Names of the columns of the blocks, once they are known.
    encoding : object
        What turns the columns of a file into columns of numbers, levels of categories included; it
        can be pickled.  None where columns are numbers.
    """

    feature_names: np.ndarray | None = None
    encoding: Any = None

    def blocks(self, n_bytes: int) -> Iterator[Block]:
        """A fresh iterator over all rows: the same blocks in the same order each time, each of at
        most about `n_bytes`, all with the same number of columns.

        Raises
        ------
        ValueError
            For what cannot be read, naming the file and the line, or the block.
        """
        raise NotImplementedError

    def place(self, number: int, row: int) -> str:
        """Where row `row` of block `number` is, in words for an error: file and line if known."""
        return f"row {row} of block {number}"

    def encoded_as(self, encoding: Any) -> "BlockSource":
        """The same source with columns as another source, of a fitted model, has them."""
        return self
