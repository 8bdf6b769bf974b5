"""How many rows an update sees, and in which order."""

import numpy as np
import pytest

from fastgd.rules.batches import row_order, rows_per_update


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ("auto", "auto"),
        ("full", "full"),
        (1.0, "full"),
        (1, 1),
        (7, 7),
        (30, 25),
        (np.int64(3), 3),
        (0.1, 3),
        (0.999, 25),
        (np.float32(0.5), 13),
        (1e-9, 1),
    ],
)
def test_a_batch_is_a_number_a_share_or_a_word(given, rows):
    assert rows_per_update(given, 25) == rows


@pytest.mark.parametrize("given", [0, -1, 0.0, 1.5, -0.1, True, None, "half", np.nan, [1]])
def test_other_batches_are_refused(given):
    with pytest.raises(
        ValueError, match="batch_size must be 'auto', 'full', 'growing', an integer"
    ):
        rows_per_update(given, 25)


def test_the_order_is_a_function_of_seed_and_epoch():
    rows = np.arange(50)
    orders = {
        (seed, epoch): row_order(rows, seed, epoch, True) for seed in (0, 1) for epoch in (0, 1)
    }
    for (seed, epoch), order in orders.items():
        np.testing.assert_array_equal(np.sort(order), rows)
        np.testing.assert_array_equal(order, row_order(rows, seed, epoch, True))
    assert len({tuple(order) for order in orders.values()}) == 4
    assert row_order(rows, 0, 3, False) is rows
