"""Rows that a function hands out in chunks: what is refused, by the number of the chunk."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import BlockSource, GDRegressor, Objective, from_chunks
from fastgd.data import sources
from fastgd.data.block_rows import checked_blocks
from fastgd.data.sources import ArraySource, Block
from support.starts import check_starts

X = np.random.default_rng(0).standard_normal((20, 2))
Y = X @ [1.0, 2.0]


def broken(name):
    """A chunk in which something is no number."""
    if name == "masked X":
        return np.ma.masked_less(X, 0.0), Y
    if name == "masked y":
        return X, np.ma.masked_less(Y, 0.0)
    if name == "masked weights":
        return X, Y, np.ma.masked_less(np.abs(Y), 0.5)
    if name == "complex":
        return X + 1j, Y
    if name == "dates":
        return X.astype("M8[s]"), Y
    if name == "objects":
        return np.array([[len, 1.0]] * 20, dtype=object), Y
    table = sp.coo_matrix(X)
    table.row[7] = 2**28
    return table, Y


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("masked X", "chunk 1: X has masked values; fill them in"),
        ("masked y", "chunk 1: y has masked values; fill them in"),
        ("masked weights", "chunk 1: sample_weight has masked values; fill them in"),
        ("complex", "chunk 1: Complex data not supported"),
        ("dates", r"chunk 1: X must hold real numbers, got dtype datetime64\[s\]"),
        ("objects", r"chunk 1: X must hold numbers: float\(\) argument"),
        ("out of bounds", r"chunk 1: X.coords\[0\] has indices from 0 to 268435456, allowed are"),
    ],
)
def test_what_a_fit_refuses_of_arrays_is_refused_of_chunks(name, said):
    with pytest.raises(ValueError, match=said):
        GDRegressor(memory=1e6).fit(from_chunks(lambda: [(X, Y), broken(name)]))


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        ((X, Y, None, None, Y), "chunk 1 has 5 parts; a chunk is"),
        ((), "chunk 1 has 0 parts; a chunk is"),
        ((X[0], Y), r"chunk 1: X must have two dimensions, .* got shape \(2,\)"),
    ],
)
def test_what_is_no_chunk_is_told_by_its_number(chunk, said):
    with pytest.raises(ValueError, match=said):
        GDRegressor(memory=1e6).fit(from_chunks(lambda: [(X, Y), chunk]))


def test_a_factory_that_gives_no_chunks_is_told():
    with pytest.raises(ValueError, match=r"factory of from_chunks must return .* got float"):
        GDRegressor(memory=1e6).fit(from_chunks(lambda: 3.0))


@pytest.mark.parametrize("kind", [object, str])
def test_numbers_in_objects_and_text_are_numbers(kind):
    usual, found = (
        GDRegressor(memory=1e6).fit(from_chunks(lambda table=table: [(table, Y)]))
        for table in (X, X.astype(str).astype(kind))
    )
    np.testing.assert_array_equal(found.coef_, usual.coef_)


def test_places_are_those_in_the_chunks():
    chunks = [(X, Y), (np.tile(X, (10, 1)), np.tile(Y, 10))]
    source = from_chunks(lambda: chunks)
    reading = source.blocks(1000)
    found = [
        reading.place(number, row)
        for number, block in enumerate(reading)
        for row in range(len(block.y))
    ]
    rows = [(chunk, row) for chunk, (_, y) in enumerate(chunks) for row in range(len(y))]
    assert found == [f"row {row} of chunk {chunk}" for chunk, row in rows]


def test_integers_are_cut_as_the_floats_that_they_become():
    for table in (X, X.astype(np.int8)):
        source = from_chunks(lambda table=table: [(table, Y)])
        assert [len(block.y) for block in source.blocks(160)] == [10, 10]


def test_chunks_without_rows_count_where_others_are_told_of():
    chunks = [(X[:0], Y[:0]), (X, Y), (X, Y, np.ones(20))]
    with pytest.raises(ValueError, match="row 0 of chunk 1 has no sample_weight, other blocks"):
        GDRegressor(memory=1e6).fit(from_chunks(lambda: chunks))
    with pytest.raises(ValueError, match="row 0 of chunk 1 has no sample_weight, other blocks"):
        GDRegressor().fit(X, Y).score(from_chunks(lambda: chunks))


class Reusing(BlockSource):
    """A source of one's own that writes over the block that it handed out."""

    def __init__(self, chunks):
        self.chunks = chunks

    def blocks(self, n_bytes):
        return (Block(*chunk) for chunk in self.chunks())


@pytest.mark.parametrize("source", [from_chunks, Reusing])
@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_arrays_of_a_chunk_may_be_those_of_the_one_before(source, kind):
    """The one that was worked on was written over, and of it a model was proved."""
    made, looked = threading.Semaphore(0), []

    def chunks():
        table, y = kind(X), Y.copy()
        for _ in range(3):
            made.release()
            yield table, y
            table *= 2.0
            y *= 2.0
        made.release()

    for _, block, rows in checked_blocks(source(chunks), 1e6):
        assert made.acquire(timeout=5.0)
        assert made.acquire(timeout=5.0)  # the next one is there
        made.release()
        looked.append((rows.values.ravel()[0], block.y[0]))
    np.testing.assert_array_equal(looked, [(f * X[0, 0], f * Y[0]) for f in (1.0, 2.0, 4.0)])


@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
@pytest.mark.parametrize("holder", ["nobody", "local", "list", "view", "owner"])
def test_chunks_that_nobody_else_has_are_not_copied(kind, holder):
    places, kept = [], []

    def made():
        table, y = kind(X), Y.copy()
        values = table.data if sp.issparse(table) else table
        places.append(values.ctypes.data)
        kept.extend({"list": [table], "view": [values[1:]], "owner": [table]}.get(holder, []))
        return (table[:], y[:]) if holder == "owner" else (table, y)

    def chunks():
        for _ in range(3):
            if holder == "local":
                chunk = made()
                yield chunk
            else:
                yield made()

    found = [block.X for block in from_chunks(chunks).blocks(1e6)]
    own = [(one.data if sp.issparse(one) else one).ctypes.data for one in found]
    assert [a == b for a, b in zip(own, places, strict=True)] == [holder == "nobody"] * 3
    for one in found:
        np.testing.assert_array_equal(one.toarray() if sp.issparse(one) else one, X)


def readings(source, n_bytes=1e6):
    return [(place, block, rows) for place, block, rows in checked_blocks(source, n_bytes)]


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sp.csr_array])
def test_small_chunks_are_joined(kind, monkeypatch):
    """Chunks of one row took 400 times as long as of 1,000."""
    monkeypatch.setattr(sources, "GATHERED", 1 << 22)
    table, labels = kind(np.tile(X, (10, 1))), np.tile(np.where(Y > 0, "up", "down"), 10)
    sizes = np.resize([1, 0, 3, 60, 2], 20)

    def chunks():
        first = 0
        for size in sizes:
            own = slice(first, first + size)
            yield table[own], labels[own], np.arange(200.0)[own]
            first += size

    every = np.arange(sizes.sum())[:200]
    for n_bytes, most in ((1e6, 1), (2000, 40)):
        found = readings(from_chunks(chunks), n_bytes)
        assert len(found) <= most
        X_read = [rows.matrix().toarray() if rows.sparse else rows.values for *_, rows in found]
        np.testing.assert_array_equal(np.concatenate(X_read), np.tile(X, (10, 1)))
        np.testing.assert_array_equal(np.concatenate([one.y for _, one, _ in found]), labels)
        weights = np.concatenate([one.sample_weight for _, one, _ in found])
        np.testing.assert_array_equal(weights, every)
    source = from_chunks(chunks)
    reading = source.blocks(1e6)
    number_of = np.repeat(np.arange(sizes.size), sizes)[:200]
    rows_before = np.concatenate([[0], np.cumsum(sizes)])
    next(reading)
    assert [reading.place(0, row) for row in every] == [
        f"row {row - rows_before[k]} of chunk {k}" for row, k in zip(every, number_of, strict=True)
    ]


@pytest.mark.parametrize("broken_later", ["value", "shape", "factory"])
def test_of_joined_chunks_the_first_that_is_broken_is_told(broken_later, monkeypatch):
    monkeypatch.setattr(sources, "GATHERED", 1 << 22)

    def chunks(*broken):
        for k in range(9):
            table = X.copy()
            if k in broken:
                table[3, 1] = np.nan
            if k == 6 and broken_later == "factory":
                raise RuntimeError("no connection")
            yield (table, Y[:-1]) if k == 6 and broken_later == "shape" else (table, Y)

    said = r"^row 0 of chunk 4: X contains NaN or infinity \(first in row 3, column 1\)"
    with pytest.raises(ValueError, match=said):
        GDRegressor().fit(from_chunks(lambda: chunks(4, 6)))


def test_chunks_of_other_kinds_are_not_joined(monkeypatch):
    monkeypatch.setattr(sources, "GATHERED", 1 << 22)
    small = X.astype(np.float32)
    chunks = [(X, Y), (X, Y > 0), (small, Y), (X, Y.astype(str)), (sp.csr_array(X), Y)]
    found = [len(block.y) for block in from_chunks(lambda: chunks).blocks(1e6)]
    assert found == [40, 20, 20, 20]


def test_threads_read_one_source_at_a_time():
    """The places of a block were those of the last reading that anyone had begun."""
    source = from_chunks(lambda: ((X, Y) for _ in range(20)))
    model = GDRegressor().fit(X, Y)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict, [source] * 8))
    np.testing.assert_array_equal(found, [np.tile(model.predict(X), 20)] * 8)
    first, second = source.blocks(1e6), source.blocks(1e6)
    places = [(first.place(k, 2), next(second)) for k, _ in enumerate(first)]
    assert [place for place, _ in places] == [f"row 2 of chunk {k}" for k in range(20)]


def test_columns_of_frames_are_told_by_their_names():
    """They went by position: in another order every second time a fit ended in nonsense."""
    pd = pytest.importorskip("pandas")
    usual = pd.DataFrame(X, columns=["age", "size"])
    other, renamed = usual[["size", "age"]], usual.set_axis(["age", "width"], axis=1)
    model = GDRegressor(alpha=0.0).fit(from_chunks(lambda: [(usual, Y), (usual, Y)]))
    assert model.feature_names_in_.tolist() == ["age", "size"]
    np.testing.assert_allclose(model.coef_, [1.0, 2.0])
    in_memory = GDRegressor(alpha=0.0).fit(usual, Y)
    for table, said in ((other, "'size' as column 0"), (renamed, "'width' as column 1")):
        with pytest.raises(ValueError, match=f"chunk 1: X has {said}, chunk 0 has '"):
            model.fit(from_chunks(lambda table=table: [(usual, Y), (table, Y)]))
        with pytest.raises(ValueError, match=r"where '(age|size)' was fitted"):
            in_memory.predict(from_chunks(lambda table=table: [table]))
    with pytest.raises(ValueError, match="chunk 1: X has no names, chunk 0 has 2 named columns"):
        model.fit(from_chunks(lambda: [(usual, Y), (X, Y)]))
    readings = []

    def later():
        readings.append(1)
        yield usual if len(readings) == 1 else other.set_axis(["size", "age"], axis=1), Y

    with pytest.raises(ValueError, match="columns of other names, or in another order"):
        GDRegressor().fit(from_chunks(later))


def test_names_of_columns_are_those_of_the_first_chunk_with_rows():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["age", "size"])
    chunks = [(np.empty((0, 2)), Y[:0]), (frame, Y), (X[:0], Y[:0]), (frame, Y)]
    model = GDRegressor().fit(from_chunks(lambda: chunks))
    assert model.feature_names_in_.tolist() == ["age", "size"]
    with pytest.raises(ValueError, match="chunk 4: X has no names, chunk 1 has 2 named columns"):
        model.fit(from_chunks(lambda: [*chunks, (X, Y)]))
    twice = frame.set_axis(["age", "age"], axis=1)
    with pytest.raises(ValueError, match="chunk 0: X has 2 columns named 'age'; names of columns"):
        model.fit(from_chunks(lambda: [(twice, Y)]))


@pytest.mark.parametrize("named", [True, False])
def test_chunks_with_names_and_models_without_are_warned_of_as_in_memory(named):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["age", "size"])
    fitted, other = (frame, X) if named else (X, frame)
    model = GDRegressor().fit(fitted, Y)
    with pytest.warns(UserWarning, match="feature names") as in_memory:
        usual = model.predict(other)
    with pytest.warns(UserWarning, match="feature names") as caught:
        found = model.predict(from_chunks(lambda: [other]))
    assert [str(one.message) for one in caught] == [str(one.message) for one in in_memory]
    assert caught[0].filename == __file__
    np.testing.assert_allclose(found, usual)
    model.predict(from_chunks(lambda: [fitted]))


def test_arrays_may_be_read_from_each_block():
    source = ArraySource(X, Y, np.abs(Y), Y)
    for n_bytes, n_blocks in ((1, 20), (48, 7), (1e6, 1)):
        assert check_starts(source, n_bytes) == list(range(n_blocks))
    assert check_starts(from_chunks(lambda: [(X, Y)]), 48) == [0]


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        ((X.astype(np.float32), Y), "X is read as float32, the blocks before it as float64"),
        ((X, Y.astype(str)), "y holds text, in row 0 of chunk 0 numbers"),
        ((X, Y.astype(object)), "y holds objects, in row 0 of chunk 0 numbers"),
    ],
)
def test_chunks_of_other_types_are_refused(chunk, said):
    """The numbers among text had become text, classes of their own, without a word."""
    source = from_chunks(lambda: [(X, Y), (X.round().astype(int), Y > 0), chunk])
    model = GDRegressor(memory=1e6)
    with pytest.raises(
        ValueError, match=f"^row 0 of chunk 2: {said}; all blocks need the same type"
    ):
        model.fit(source)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("block", "said"),
    [((X, Y), "is a tuple, not a Block"), (Block(X.tolist(), Y), "has a list as X, not an array")],
)
def test_what_is_no_block_of_arrays_is_told_by_its_number(block, said):
    class Own(BlockSource):
        def blocks(self, n_bytes):
            yield Block(X, Y)
            yield block

    with pytest.raises(ValueError, match=f"^block 1 of the source {said}$"):
        GDRegressor().fit(Own())


@pytest.mark.parametrize("beside", ["y", "sample_weight", "offset"])
def test_an_objective_takes_nothing_beside_a_source(beside):
    """Targets, weights and offsets were read over without a word."""
    source = from_chunks(lambda: [(X, Y)])
    with pytest.raises(ValueError, match=f"^{beside} is given beside a source of blocks"):
        Objective("squared_error", source, **{beside: Y})
    with pytest.raises(ValueError, match="the source has no targets: an objective needs"):
        Objective("squared_error", from_chunks(lambda: [X]))
