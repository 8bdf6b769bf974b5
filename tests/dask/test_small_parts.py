"""What needs no cluster: sums in a tree, numbers in few bytes."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

pytest.importorskip("distributed")

import dask
from dask import delayed

import fastgd.dask
from fastgd import GDRegressor, from_chunks
from fastgd.dask import cluster_workers, partitions
from fastgd.dask.cluster_workers import LostWorkersError
from fastgd.dask.fits import _far_columns, columns_of
from fastgd.dask.packing import packed, unpacked
from fastgd.dask.shard import Shard, Told, as_array
from fastgd.dask.teams import teams_of
from fastgd.dask.tree import folded
from fastgd.data.check_X import as_rows
from fastgd.objective.moment_sums import Moments


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
def test_bits_of_a_tree_do_not_depend_on_who_held_its_leaves(count):
    rng = np.random.default_rng(count)
    leaves = {(k, k + 1): (rng.random(3), rng.random()) for k in range(count)}
    leaves[0, 1] = leaves[0, 1] if count == 1 else None
    usual = folded(dict(leaves), count)[0, count]
    total = sum(one[0] for one in leaves.values() if one is not None)
    np.testing.assert_allclose(usual[0], total)
    for n_workers in (2, 3):
        home = rng.integers(n_workers, size=count)
        sent = {}
        for worker in range(n_workers):
            own = {key: one for key, one in leaves.items() if home[key[0]] == worker}
            sent |= folded(own, count)
        found = folded(sent, count)[0, count]
        np.testing.assert_array_equal(found[0], usual[0])
        assert found[1] == usual[1]


def test_neighbours_are_one_sum():
    assert list(folded({(k, k + 1): float(k) for k in range(4)}, 8)) == [(0, 4)]


@pytest.mark.parametrize(
    ("values", "n_bytes"),
    [
        (np.array([1.0, -1.0]), 1),
        (np.array([3.0, 300.0]), 2),
        (np.array([0.5, 3e4]), 4),
        (np.array([0.1, 1.0]), 8),
        (np.array([np.nan, 1.0]), 8),
        (np.array([0, 200]), 2),
        (np.array([2**40]), 4),
        (np.array([2**40 + 1]), 8),
        (np.array([2**60, 2**61]), 4),
        (np.array([2**60 + 1, 5]), 8),
        (np.array([2**62 - 1]), 8),
        (np.array([True]), 1),
        (np.array(["yes"]), 12),
    ],
)
def test_numbers_come_back_as_they_were(values, n_bytes):
    small = packed(values)
    assert small.values.itemsize == n_bytes
    found = unpacked(small)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)
    assert unpacked(packed(None)) is None


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(partitions.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "dask\[array\]" distributed'):
        partitions.require_dask()


def test_the_sample_is_looked_at_only_where_a_column_may_be_far_from_zero():
    class Unread:
        @property
        def sample(self):
            raise AssertionError("the sample was looked at")

    class Sampled:
        sample = as_rows(np.random.default_rng(0).standard_normal((200, 2)) + np.array([0.0, 1e6]))

    near = np.array([[0.0, 3.0, 1e6], [1.0, 10.0, 1e12], [5.0, 9.0, 1e6], [1.0, 1.0, 0.9]])
    assert _far_columns(Unread(), Moments(near, np.ones(3))) is None
    far = np.array([[0.0, 1e6], [1.0, 1e12 + 1.0], [5.0, 1e6], [1.0, 1.0]])
    np.testing.assert_array_equal(_far_columns(Sampled(), Moments(far, np.ones(3))), [0.0, 1e6])


def test_sources_on_a_cluster_have_the_same_columns():
    names = np.array(["age", "size"], dtype=object)
    told = {0: [("block 0", None, names)], 1: [("block 1", None, names[::-1])]}
    with pytest.raises(ValueError, match="block 1 has columns of other names than block 0, or in"):
        columns_of(told)
    assert columns_of({0: told[0]}).feature_names is names


def test_blocks_of_arrays_are_read_and_told_of_by_one_call():
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    blocks = [(X[:3], y[:3], None, None), (X[3:], y[3:], None, None)]
    shard = Shard([0, 1], [0, 1], [[blocks[0]], [blocks[1]]])
    told = shard.survey(None)
    again = shard.survey(None)  # as after another worker was lost
    assert sorted(told) == sorted(again) == [0, 1]
    assert [told[number][0].facts.stored for number in (0, 1)] == [6, 6]
    assert shard.groups == {}


@pytest.mark.parametrize("name", ["sample_weight", "offset"])
def test_what_only_some_sources_bring_is_missing_in_a_score(name):
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    model = GDRegressor().fit(X, y)
    beside = (np.ones(6),) if name == "sample_weight" else (None, np.ones(6))
    bare, rich = from_chunks(lambda: [(X, y)]), from_chunks(lambda: [(X, y, *beside)])
    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(ValueError, match=f"block 1 has no {name}, other blocks have"):
            fastgd.dask.score(model, [delayed(rich), delayed(bare)])
        with pytest.raises(ValueError, match="block 0 is a source, which brings its own"):
            fastgd.dask.score(model, [delayed(bare)], [delayed(y)])
        with pytest.raises(ValueError, match="block 1: y has shape"):
            fastgd.dask.score(model, [delayed(X), delayed(X)], [delayed(y), delayed(y[:4])])
        with pytest.raises(ValueError, match=r"offset must have shape \(6,\)"):
            fastgd.dask.score(model, [delayed(X)], y, offset=np.ones((6, 1)))


@pytest.mark.parametrize("predict", [fastgd.dask.predict, fastgd.dask.score])
def test_a_block_that_cannot_be_predicted_is_named(predict):
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    parts = [delayed(X), delayed(np.where(X == 7.0, np.nan, X))]
    beside = () if predict is fastgd.dask.predict else ([delayed(y), delayed(y)],)
    model, said = GDRegressor().fit(X, y), r"block 1: X contains NaN .*\(first in row 3"
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=said):
        dask.compute(predict(model, parts, *beside))
    with pytest.raises(NotFittedError):
        predict(GDRegressor(), parts, *beside)


def test_a_sparse_block_that_points_out_of_bounds_is_refused_before_it_is_read():
    table = sp.coo_matrix(np.ones((4, 3)))
    table.row[5] = 2**28
    with pytest.raises(ValueError, match=r"block 7: X.coords\[0\] has indices from 0 to 2684"):
        as_array(table, "block 7")


def test_blocks_may_be_lists_of_lists():
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    model = GDRegressor().fit(X, y)
    parts = [delayed(X[:4].tolist()), delayed([]), delayed(X[4:].tolist())]
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(fastgd.dask.predict(model, parts).compute(), model.predict(X))
        assert fastgd.dask.score(model, parts, y) == model.score(X, y)
        # A block that stands alone is a list of one.
        assert fastgd.dask.score(model, delayed(X), delayed(y)) == model.score(X, y)


@pytest.mark.parametrize("given", [GDRegressor, LinearRegression(), make_pipeline(GDRegressor())])
def test_other_estimators_are_refused(given):
    for call in (fastgd.dask.fit, fastgd.dask.predict, fastgd.dask.score):
        with pytest.raises(ValueError, match=r"the estimator must be a GDClassifier, .*, got"):
            call(given, [delayed(np.ones((3, 2)))], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["sample_weight", "offset"])
def test_what_blocks_bring_is_not_given_a_second_time(name):
    with pytest.raises(ValueError, match=f"{name} is given, and the blocks bring their own"):
        partitions.gathered(name, [np.ones(3), None], [0, 1], {name: np.ones(5)}, 5)


def test_offsets_in_memory_are_no_blocks():
    da = pytest.importorskip("dask.array")
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    model = GDRegressor().fit(X, y)
    with pytest.raises(ValueError, match="offset is in memory; give it as a dask array"):
        fastgd.dask.predict(model, da.from_array(X, chunks=(3, 2)), offset=np.ones(6))


def test_workers_that_went_after_the_blocks_were_made():
    class Empty:
        def nthreads(self):
            return {}

    with pytest.raises(LostWorkersError, match="all workers of the cluster are gone"):
        cluster_workers.homes_of(Empty(), [["block"]])


@pytest.mark.parametrize("stood", [0.0, 3.0, 7.0])
def test_what_workers_compile_does_not_count(stood):
    """Their seconds may be those of this process, whose clock stands still by itself: where workers
    are its threads.
    """
    told = [Told("a", 1.0, 6.0, 5.0), Told("b", 1.0, 4.0, 0.0)]
    assert cluster_workers.left_out(told, stood) == max(5.0 - stood, 0.0)


def test_teams_have_all_groups_once_and_different_heads():
    rng = np.random.default_rng(0)
    homes = {number: f"worker {rng.integers(40)}" for number in range(200)}
    wanted = set(range(5, 200))
    teams = teams_of(homes, wanted, 40)
    members = [member for team in teams.values() for member in team]
    assert sorted(number for _, own in members for number in own) == sorted(wanted)
    assert all(homes[number] == address for address, own in members for number in own)
    assert len(teams) == 8
