"""Types of what users pass as arrays, for type checkers.

They are protocols, so that arrays, frames, series and sparse matrices of any library are taken, and
a text is not: NumPy's own `ArrayLike` takes one.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


class HasArray(Protocol):
    """What NumPy can make an array of: arrays, frames and series of pandas and Polars, tensors."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """The values as a NumPy array."""


class HasRows(Protocol):
    """A sparse matrix or array of SciPy."""

    def tocsr(self, *args: Any, **kwargs: Any) -> Any:
        """The matrix in compressed rows (CSR)."""


Matrix: TypeAlias = HasArray | HasRows | Sequence[Sequence[float]]
Vector: TypeAlias = HasArray | Sequence[float] | Sequence[int]
Labels: TypeAlias = HasArray | HasRows | Sequence[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
