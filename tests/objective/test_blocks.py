"""Blocks of rows: cut by the data alone, in tiles that fit the cache."""

import numpy as np
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.objective.blocks import MAX_BLOCKS, cut, tile_length
from fastgd.objective.objective import Objective


def test_cuts_cover_the_rows_and_depend_on_the_data_alone():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, d = int(rng.integers(1, 2000)), int(rng.integers(1, 300))
        stored = int(rng.integers(0, n * d + 1))
        cuts = cut(n, stored, d)
        assert cuts.dtype == np.int64
        assert (cuts[0], cuts[-1]) == (0, n)
        assert (np.diff(cuts) > 0).all()
        assert cuts.size - 1 == min(max(stored // (8 * d), 1), MAX_BLOCKS, n)


def test_tiles_fit_the_cache():
    rng = np.random.default_rng(0)
    for X in (
        rng.standard_normal((5000, 40)),
        sp.random(5000, 40, 0.1, format="csr"),
        np.ones((3, 2)),
    ):
        F = Objective("squared_error", X, np.ones(X.shape[0]))
        length = tile_length(as_rows(X), F.n_features)
        assert 1 <= length <= min(1024, X.shape[0])
