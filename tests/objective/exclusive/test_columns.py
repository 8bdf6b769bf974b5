"""Columns that never meet, found in the rows."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.objective.exclusive.columns import fewest_others, find_exclusive
from fastgd.objective.objective import Objective
from support.categories import categories, one_hot
from support.twins import with_jit

STORAGES = {"dense": np.asarray, "csr": sp.csr_array, "fortran": np.asfortranarray}


def objective(X, **parameters):
    return Objective("squared_error", X, np.zeros(X.shape[0]), **parameters)


def meetings(X):
    """How many rows each pair of columns shares."""
    there = (np.asarray(X) != 0.0).astype(float)
    return there.T @ there


@pytest.mark.parametrize("storage", STORAGES)
def test_the_largest_category_is_found(storage):
    X = categories()
    found = find_exclusive(objective(STORAGES[storage](X)))
    assert found.first.tolist() == list(range(14))
    assert found.rest.tolist() == list(range(14, 24))
    assert found.codes[found.first].tolist() == list(range(-1, -15, -1))
    assert found.codes[found.rest].tolist() == list(range(10))


@pytest.mark.parametrize("seed", range(with_jit(3, 12)))
def test_no_two_meet_and_no_other_could_be_added(seed):
    rng = np.random.default_rng(seed)
    X = sp.random_array((60, 40), density=0.05, random_state=rng).toarray()
    X = X[:, rng.permutation(40)]
    X[:, rng.integers(0, 40)] += 1.0
    found = find_exclusive(objective(sp.csr_array(X)))
    shared = meetings(X)
    np.fill_diagonal(shared, 0.0)
    assert not shared[np.ix_(found.first, found.first)].any()
    # As many rounds as it takes here.
    assert (shared[np.ix_(found.rest, found.first)].any(axis=1)).all()
    assert sorted([*found.first, *found.rest]) == list(range(40))


def test_levels_in_any_order_are_found_by_the_rarest_of_each_row():
    # Each route has its own origin: what a row has least of is its route.
    rng = np.random.default_rng(0)
    route = rng.integers(0, 30, 400)
    order = rng.permutation(42)
    X = np.hstack(
        [one_hot(route, 30), one_hot(route // 10, 3), one_hot(rng.integers(0, 9, 400), 9)]
    )
    found = find_exclusive(objective(X[:, order]))
    assert sorted(order[found.first]) == list(range(30))


def test_users_who_meet_rare_items_are_found_by_their_range():
    # The rarest of a row is often an item: these leave 40 of 60 columns, the users 20.
    rng = np.random.default_rng(1)
    user, item = np.repeat(np.arange(40), 5), (200 * rng.random(200) ** 4).astype(int) % 20
    found = find_exclusive(objective(np.hstack([one_hot(item, 20), one_hot(user, 40)])))
    assert np.isin(np.arange(20, 60), found.first).all()


def test_columns_that_are_zero_where_they_are_stored_do_not_meet():
    table = sp.csr_array(categories())
    table.data[table.indices == 15] = 0.0
    explicit = find_exclusive(objective(table))
    assert 15 in explicit.first


def test_something_is_left():
    found = find_exclusive(objective(one_hot(np.arange(12) % 5, 5), fit_intercept=False))
    assert found.rest.tolist() == [0]


def test_too_many_others_end_the_search():
    rng = np.random.default_rng(0)
    X = sp.csr_array(np.hstack([categories(200), rng.random((200, 30)) < 0.5]))
    F = objective(X)
    assert find_exclusive(F, 5) is None
    assert F.measured["exclusive"] == (5, None)
    assert find_exclusive(F, 60).first.size == 14
    assert find_exclusive(F, 39) is None  # 40 are left, as is known now
    assert fewest_others(F, 1000) <= 40
    text = objective(sp.random_array((300, 400), density=0.1, random_state=rng, format="csr"))
    assert fewest_others(text, 50) > 50


def test_a_sample_never_asks_for_more_than_there_are():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = sp.random_array((80, 50), density=0.06, random_state=rng, format="csr")
        F = objective(X)
        assert fewest_others(F, np.inf) <= find_exclusive(F).rest.size
