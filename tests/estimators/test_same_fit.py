"""What tells one fit from another, in the header of a checkpoint."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GroupLasso, Huber, Loss, Quantile
from fastgd.estimators.same_fit import MAY_DIFFER, described


def mine(slope):
    """A loss of the user's, made anew by each call; `slope` stands in its code."""

    class Mine(Loss):
        infimum = 0.0

        def value(self, prediction, target):
            return slope * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return 2.0 * slope * (prediction - target)

    return Mine()


def test_what_is_equal_is_described_alike():
    pairs = [
        (1, 1.0),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ((0.0, np.inf), [0, np.inf]),
        (Huber(1.5), Huber(1.5)),
        (GroupLasso([[0, 1]]), GroupLasso([[0, 1]])),
        (np.arange(3.0), np.arange(3.0)),
        (sp.eye_array(2), sp.csr_array(np.eye(2))),
        (np.random.RandomState(0), np.random.RandomState(1)),  # its state is kept
    ]
    for one, other in pairs:
        assert described(one) == described(other)
        assert json.loads(json.dumps(described(one), allow_nan=False)) == described(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.1, 0.1 + 1e-16),
        (None, 0),
        ("l1", "l2"),
        (Huber(1.5), Huber(1.4)),
        (Huber(0.5), Quantile(0.5)),
        (GroupLasso([[0, 1]]), GroupLasso([[0], [1]])),
        (np.arange(3.0), np.arange(3.0)[::-1]),
        (sp.eye_array(2), sp.csr_array(np.ones((2, 2)))),
        ({0: 1.0}, {0: 2.0}),
        (max, min),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_differs_is_described_otherwise(one, other):
    assert described(one) != described(other)


def test_components_of_users_are_known_by_their_code(monkeypatch):
    monkeypatch.setattr(Loss, "_members", Loss.members())  # for as long as this takes
    assert described(mine(1.0)) == described(mine(1.0))
    assert described(mine(1.0)) != described(mine(2.0))


def test_every_parameter_counts_or_is_named():
    assert GDClassifier().get_params(deep=False).keys() >= MAY_DIFFER


def test_pandas_objects_are_described_by_their_values():
    pandas = pytest.importorskip("pandas")
    ones = pandas.Series([1.0, 1.0])
    assert described(ones) == described(np.ones(2))
    assert described((ones, ones)) != described((ones, 2.0 * ones))
