"""What tells one component from another, for runs that may go on."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastgd.fitting.resumed_state import _arrays
from fastgd.penalties.separable import L1, L2
from fastgd.penalties.weighted import weighted

WEIGHTED = [weighted(L1(), penalty_weights=np.array([1.0, w])) for w in (2.0, 3.0)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1.0, 2.0]), np.array([2.0, 1.0])),
        (np.array([1.0, 2.0]), np.array([[1.0], [2.0]])),
        ("low", "high"),
        ((1.0, "a"), (1.0, "b")),
        ((np.zeros(2), 3), (np.ones(2), 3)),
        (((np.zeros(2000),), 3), ((np.eye(1, 2000, 1000)[0],), 3)),
        (((1, 2), 3), ((1,), 2, 3)),
        ((L1(), 3), (L2(), 3)),
        (WEIGHTED[0], WEIGHTED[1]),
    ],
)
def test_arrays_texts_and_tuples_tell_components_apart(one, other):
    """A warm start with another table of a user's loss had gone on with the old one's memory."""
    table = np.arange(3.0)
    found = [_arrays(SimpleNamespace(scale=2.0, part=part, table=table)) for part in (one, other)]
    assert found[0] != found[1]
    # What has a name with a "_" is kept by the component, and not what it is.
    hidden = SimpleNamespace(part=one, table=table.copy(), scale=2.0, _kept=np.ones(2))
    assert found[0] == _arrays(hidden)


def test_equal_numbers_in_tuples_are_the_same():
    one, other = (_arrays(SimpleNamespace(part=(s, L1()))) for s in (0.5, np.float64(0.5)))
    assert one == other
