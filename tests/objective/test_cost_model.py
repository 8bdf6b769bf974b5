"""Costs are floats that say what they are, and are found by that."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import from_chunks
from fastgd.fitting.plan import Settings, make_plan
from fastgd.objective import cost_model, gram, moments
from fastgd.objective.cost_model import Cost, declared_in
from fastgd.objective.objective import Objective
from fastgd.runtime import threads


def test_every_cost_says_its_unit_and_how_it_was_measured():
    costs = declared_in(cost_model)
    assert costs.keys() >= {"VALUE", "ROW", "DENSE_COST", "LOOP_COST", "COMBINATIONS"}
    for name, cost in costs.items():
        assert cost > 0.0, name
        assert cost.unit, name
        assert cost.measured.endswith("."), name


def test_every_number_of_the_cost_model_is_a_cost():
    plain = [
        name
        for name, value in vars(cost_model).items()
        if type(value) in (int, float) and not hasattr(threads, name)
    ]
    assert plain == []
    assert threads.MIN_PER_THREAD == cost_model.RANGE_OF_A_THREAD


def test_a_cost_calculates_as_a_float_and_survives_copies():
    cost = Cost(25.0, "ns a row", "By a clock.")
    assert type(2.0 * cost) is type(cost / 2.0) is float
    for other in (pickle.loads(pickle.dumps(cost)), copy.deepcopy(cost)):
        assert other == 25.0
        assert (other.unit, other.measured) == ("ns a row", "By a clock.")


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
def test_costs_by_hand(storage):
    X = np.ones((200, 20))
    F = Objective("squared_error", storage(X), np.zeros(200))
    time = 200 * 20 * 1.0 + 200 * 8.0 + 20 * 8.0
    assert cost_model.pass_cost(F) == time
    assert cost_model.visit_cost(F) == pytest.approx(1.0 + 200 * 150.0 / time)
    solving = 30**3 / 3 / 15 + 6.0 * 30**2
    assert cost_model.solving_cost(F, 30) == pytest.approx(solving / time)
    # Narrow data count as dense, so that what solvers decide by costs does not depend on storage.
    matrix = 200 * 20 * 20 * 0.03
    matrix += 200 * 20 * 1.0 + 200 * 25.0 + 6.0 * 20**2
    assert cost_model.curvature_cost(F) == pytest.approx(matrix / time)
    assert gram.loops(F.rows, 20.0) == (storage is sp.csr_array)


def test_pairs_are_near_where_a_cache_holds_the_columns_that_have_them():
    assert cost_model.pair_cost(np.full(362, 7)) == 0.3
    alike = cost_model.pair_cost(np.full(3620, 7))
    assert alike == pytest.approx(0.01 * 0.3 + 0.99 * 1.4)
    rare = np.r_[np.full(300, 10_000), np.zeros(700)]
    assert cost_model.pair_cost(rare) == pytest.approx(0.3)
    assert cost_model.pair_cost(np.zeros(1000)) == pytest.approx(1.4)


def test_zeros_that_are_stored_do_not_count_as_nonzeros():
    X = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    stored = sp.csr_array((X.ravel(), np.tile(np.arange(3), 2), [0, 3, 6]), shape=X.shape)
    for rows in (X, sp.csr_array(X), stored):
        counts, n_rows = moments.sampled_nonzeros(Objective("squared_error", rows, np.zeros(2)))
        np.testing.assert_array_equal(counts, [1, 0, 2])
        assert n_rows == 2


def test_rows_are_few_where_the_loop_takes_less_than_blas():
    assert cost_model.are_few(30, 100)  # 11 * 900 < 10,000
    assert not cost_model.are_few(31, 100)


def test_a_reading_makes_passes_dearer_and_a_matrix_cheaper_in_them():
    X, y = np.random.default_rng(0).standard_normal((400, 30)), np.repeat([-1.0, 1.0], 200)
    here = Objective("log_loss", X, y)
    source = from_chunks(lambda: iter([(X[:200], y[:200]), (X[200:], y[200:])]))
    source.value_cost = 33.0
    there = Objective("log_loss", source)
    beside = 33.0 * X.size
    assert cost_model.pass_cost(there) == cost_model.pass_cost(here) + beside
    assert cost_model.curvature_cost(there) < cost_model.curvature_cost(here)
    share = beside / cost_model.pass_cost(here)
    assert cost_model.reading_share(there) == pytest.approx(share)
    assert cost_model.reading_share(here) == 0.0
    assert "a reading takes beside computing" in str(make_plan(Settings(), there)[0])
