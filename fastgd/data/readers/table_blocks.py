"""Rows of a table on their way into a block."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from fastgd.data.readers import pages
from fastgd.data.readers.table_encoding import TableEncoder
from fastgd.data.readers.table_values import Where, labels, numbers
from fastgd.data.sources import Block


class RowBuilder:
    """A block while batches are written into it.

    Parameters
    ----------
    most_rows : int
        Rows of a block.
    encoder : TableEncoder
    roles : dict of str to str
        The columns that are `target`, `weight` and `offset`, if there are.

    Attributes
    ----------
    n_rows : int
        Rows so far.
    """

    def __init__(self, most_rows: int, encoder: TableEncoder, roles: dict[str, str]) -> None:
        self.most_rows = most_rows
        self.encoder = encoder
        self.roles = roles
        self.n_rows = 0
        self._X: Any = None
        self._vectors: dict[str, list] = {role: [] for role in roles}

    def add(self, batch: Any, where: Where) -> None:
        """Add the rows of a batch, for which there must be room."""
        if self._X is None:  # not earlier: the last block may still be in use
            encoding = self.encoder.encoding
            self._X = (_Dense if encoding.numeric else _Sparse)(self.most_rows, self.encoder)
        self._X.add(self.n_rows, batch, where)
        for role, name in self.roles.items():
            read = labels if role == "target" else numbers
            self._vectors[role].append(read(batch.column(name), name, where))
        self.n_rows += batch.num_rows

    def block(self) -> Block:
        """What was added; the next block gets arrays of its own."""
        vectors = {role: np.concatenate(parts) for role, parts in self._vectors.items()}
        X = self._X.matrix(self.n_rows)
        self.n_rows = 0
        self._X = None
        self._vectors = {role: [] for role in self.roles}
        return Block(X, vectors.get("target"), vectors.get("weight"), vectors.get("offset"))


class _Dense:
    """Rows of numbers alone, as a dense array."""

    def __init__(self, most_rows, encoder):
        self.columns = encoder.encoding.columns
        self.values = pages.empty(most_rows * len(self.columns)).reshape(most_rows, -1)

    def add(self, first, batch, where):
        part = self.values[first : first + batch.num_rows]
        for j, column in enumerate(self.columns):
            part[:, j] = numbers(batch.column(column.name), column.name, where)

    def matrix(self, n_rows):
        few = 2 * n_rows < len(self.values)
        return self.values[:n_rows].copy() if few else self.values[:n_rows]


class _Sparse:
    """Numbers and levels, as CSR."""

    def __init__(self, most_rows, encoder):
        self.encoder = encoder
        self.columns = encoder.encoding.columns
        *self.starts, self.n_features = encoder.encoding.starts
        most = most_rows * len(self.columns)
        self.data = pages.empty(most)
        self.indices = pages.empty(most, np.int32)
        self.indptr = pages.empty(most_rows + 1, np.int32)
        self.indptr[0] = 0

    def add(self, first, batch, where):
        # Straight into the block; what is 0 is taken out again: with temporary arrays and masks for
        # all a reading took 1.4 times as long.
        shape = batch.num_rows, len(self.columns)
        begin = int(self.indptr[first])
        end = begin + shape[0] * shape[1]
        values = self.data[begin:end].reshape(shape)
        indices = self.indices[begin:end].reshape(shape)
        for j, column in enumerate(self.columns):
            given = batch.column(column.name)
            if column.levels is None:
                values[:, j] = numbers(given, column.name, where)
                indices[:, j] = self.starts[j]
            else:
                codes = self.encoder.codes(given, column, where)
                values[:, j] = codes >= 0
                np.add(codes, self.starts[j], out=indices[:, j], casting="same_kind")
        ends = self.indptr[first + 1 : first + 1 + batch.num_rows]
        stored = values != 0.0
        if stored.all():
            ends[:] = np.arange(begin + shape[1], end + 1, shape[1])
            return
        np.cumsum(np.count_nonzero(stored, axis=1), out=ends)
        ends += begin
        self.data[begin : ends[-1]] = values[stored]
        self.indices[begin : ends[-1]] = indices[stored]

    def matrix(self, n_rows):
        end = self.indptr[n_rows]
        parts = self.data[:end], self.indices[:end], self.indptr[: n_rows + 1]
        return sp.csr_array(parts, shape=(n_rows, self.n_features))
