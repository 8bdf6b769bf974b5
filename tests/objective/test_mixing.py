"""Rows of a source in random order: each once an epoch, from all over the source."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import Objective, from_chunks
from fastgd.objective.mixing import mixed_parts


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_each_row_is_met_once_an_epoch(make):
    n = 8000
    X = make(np.arange(1.0, n + 1.0)[:, None] * np.ones((1, 5)))
    y = np.arange(1.0, n + 1.0)

    def chunks():
        for first in range(0, n, 250):
            yield X[first : first + 250], y[first : first + 250]

    F = Objective("squared_error", from_chunks(chunks), memory=5e5)
    epochs = []
    for epoch in range(2):
        met = []
        for part in mixed_parts(F, seed=0, epoch=epoch, shuffle=True):
            own = part.samples.targets
            np.testing.assert_array_equal(part.rows.take(slice(None))[:, [0]].sum(axis=1), own)
            met.append(own)
        assert len(met) > 2
        epochs.append(np.concatenate(met))
        np.testing.assert_array_equal(np.sort(epochs[-1]), y)
        # Neighbours in the source are far apart.
        assert np.median(np.abs(np.diff(epochs[-1]))) > 100
    assert (epochs[0] != epochs[1]).any()


def test_rows_that_are_longer_than_the_buffer():
    X, y = np.ones((6, 20_000)), np.arange(6.0)  # 160 KB a row, the buffer has 131
    F = Objective("squared_error", from_chunks(lambda: [(X, y)]), memory=5e5)
    met = [part.samples.targets for part in mixed_parts(F, seed=0, epoch=0, shuffle=True)]
    assert min(map(len, met)) > 0
    np.testing.assert_array_equal(np.sort(np.concatenate(met)), y)
