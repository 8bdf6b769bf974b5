"""Dask dataframes: columns as block sources have them."""

import logging

import numpy as np
import pytest

import fastgd
from fastgd import GDClassifier, GDRegressor

pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
distributed = pytest.importorskip("distributed")
dd = pytest.importorskip("dask.dataframe")

from dask import delayed  # noqa: E402

import fastgd.dask  # noqa: E402
from fastgd.dask.frames import shared_encoding, united  # noqa: E402
from fastgd.data.readers.table_encoding import TableColumn, TableEncoding  # noqa: E402
from fastgd.data.readers.table_files import Kind  # noqa: E402
from fastgd.data.readers.table_levels import Levels  # noqa: E402

N = 200


@pytest.fixture(scope="module")
def client():
    """Threads of this process: no other has to start."""
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        distributed.LocalCluster(n_workers=2, processes=False, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 60, N),
            "fuel": np.sort(rng.choice(["diesel", "petrol", "gas"], N)),
            "new": rng.random(N) < 0.5,
            "grade": pd.Categorical(rng.choice(["a", "b"], N)),
        }
    )
    frame["price"] = frame.age / 10 + (frame.fuel == "gas") + rng.standard_normal(N) / 10
    return frame


X = ["age", "fuel", "new", "grade"]


def test_columns_are_those_of_a_file(client, tmp_path):
    frame = table()
    frame.to_parquet(tmp_path / "table.parquet")
    source = fastgd.from_parquet(tmp_path / "table.parquet", target="price")
    usual = GDRegressor().fit(source)
    # fuel is sorted: no block has all of its levels.
    blocks = dd.from_pandas(frame, npartitions=4)
    model = fastgd.dask.fit(GDRegressor(), blocks[X], blocks["price"])
    assert list(model.feature_names_in_) == list(usual.feature_names_in_)
    np.testing.assert_allclose(model.coef_, usual.coef_, atol=1e-9)
    assert model.score(source) == pytest.approx(usual.score(source), abs=1e-9)
    scores = fastgd.dask.score(model, blocks[X], blocks["price"])
    assert scores == pytest.approx(usual.score(source), abs=1e-9)
    # A frame of other levels, and columns in another order, is encoded alike.
    some = blocks[X[::-1]].partitions[:1]
    found = fastgd.dask.predict(model, some).compute()
    np.testing.assert_array_equal(found, model.predict(source)[: found.size])


def test_a_column_may_be_called_as_what_arrays_have(client):
    frame = table()[["age", "fuel", "price"]].rename(columns={"age": "chunks"})
    columns, blocks = ["chunks", "fuel"], dd.from_pandas(frame, npartitions=2)
    model = fastgd.dask.fit(GDRegressor(), blocks[columns], blocks["price"])
    assert list(model.feature_names_in_[:1]) == ["chunks"]
    found = fastgd.dask.predict(model, blocks[columns]).compute()
    score = fastgd.dask.score(model, blocks[columns], blocks["price"])
    spread = np.sum((frame.price - frame.price.mean()) ** 2)
    assert score == pytest.approx(1.0 - np.sum((found - frame.price) ** 2) / spread)


def test_offsets_come_with_frames(client, tmp_path):
    frame = table().assign(exposure=np.linspace(-1.0, 1.0, N))
    frame.to_parquet(tmp_path / "table.parquet")
    source = fastgd.from_parquet(
        tmp_path / "table.parquet", target="price", weight="age", offset="exposure"
    )
    model = GDRegressor().fit(source)
    blocks = dd.from_pandas(frame, npartitions=3)
    found = fastgd.dask.predict(model, blocks, offset=blocks["exposure"])
    np.testing.assert_array_equal(found.compute(), model.predict(source))
    given = blocks["price"], blocks["age"], blocks["exposure"]
    assert fastgd.dask.score(model, blocks, *given) == pytest.approx(model.score(source))
    short = [delayed(frame["exposure"][:own]) for own in (67, 67, 60)]
    with pytest.raises(ValueError, match=r"block 2: offset has shape \(60,\), X has 66 rows"):
        fastgd.dask.predict(model, blocks, offset=short).compute()


@pytest.mark.parametrize("error", [FileNotFoundError, TimeoutError])
def test_an_error_of_a_block_is_no_lost_worker(client, error):
    def broken(when):
        def chunks():
            raise error("a block's own")

        if when == "before":
            chunks()
        return fastgd.from_chunks(chunks)

    for when in ("before", "reading"):
        with pytest.raises(error, match="a block's own"):
            fastgd.dask.fit(GDRegressor(), [delayed(broken)(when)])


def test_masked_blocks_are_refused_by_name(client):
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20.0)
    hidden = np.ma.masked_equal(X, 30.0)
    model = GDRegressor().fit(X, y)
    parts = [delayed(X[:10]), delayed(hidden[10:])]
    with pytest.raises(ValueError, match="block 1: X has masked values"):
        fastgd.dask.fit(GDRegressor(), parts, y)
    with pytest.raises(ValueError, match="block 1: X has masked values"):
        fastgd.dask.predict(model, parts).compute()
    parts = [delayed(X[:10]), delayed(X[10:])]
    with pytest.raises(ValueError, match="block 0: y has masked values"):
        fastgd.dask.fit(GDRegressor(), parts, [delayed(hidden[:, 0][10:]), delayed(y[10:])])
    with pytest.raises(ValueError, match="y has masked values"):
        fastgd.dask.fit(GDRegressor(), parts, hidden[:, 0])


def test_delayed_frames_of_numbers(client):
    frame = table()[["age", "price"]]
    y = frame["price"] > 5.0
    parts = [delayed(frame[:150]), delayed(frame[:0]), delayed(frame[150:])]
    model = fastgd.dask.fit(GDClassifier(tol=1e-10), parts, y)
    usual = GDClassifier(tol=1e-10).fit(frame, y)
    assert list(model.feature_names_in_) == ["age", "price"]
    np.testing.assert_allclose(model.coef_, usual.coef_, rtol=1e-3)
    found = fastgd.dask.predict(model, parts).compute()
    np.testing.assert_array_equal(found, usual.predict(frame))
    # A model of memory has no encoding, and takes frames as they are.
    np.testing.assert_array_equal(fastgd.dask.predict(usual, parts).compute(), found)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own, with pandas 3.1
def test_columns_of_one_frame_are_cut_alike(client, tmp_path):
    """Dask reads several files at once where few columns are asked for: y had 2 blocks, X 4."""
    frame = table()
    dd.from_pandas(frame, npartitions=4).to_parquet(tmp_path)
    blocks = dd.read_parquet(tmp_path)
    assert len(blocks["price"].to_delayed()) < 4
    model = fastgd.dask.fit(GDRegressor(), blocks[X], blocks["price"])
    usual = fastgd.dask.fit(GDRegressor(), dd.from_pandas(frame[X], npartitions=4), frame["price"])
    np.testing.assert_array_equal(model.coef_, usual.coef_)
    assert fastgd.dask.score(model, blocks[X], blocks["price"]) > 0.9


def test_frames_of_polars(client):
    pl = pytest.importorskip("polars")
    frame = table().drop(columns="grade")
    parts = [pl.DataFrame(one.to_dict("list")) for one in (frame[:120], frame[:0], frame[120:])]
    parts[1] = parts[0][:0]
    of_pandas = [delayed(frame[:120][X[:3]]), delayed(frame[120:][X[:3]])]
    usual = fastgd.dask.fit(GDRegressor(), of_pandas, frame["price"])
    given = [delayed(one[X[:3]]) for one in parts]
    model = fastgd.dask.fit(GDRegressor(), given, frame["price"])
    assert list(model.feature_names_in_) == list(usual.feature_names_in_)
    np.testing.assert_allclose(model.coef_, usual.coef_, atol=1e-12)
    found = fastgd.dask.predict(model, given).compute()
    np.testing.assert_allclose(found, fastgd.dask.predict(usual, of_pandas).compute())


@pytest.mark.parametrize("column", ["age", "fuel", "grade"])
def test_missing_values_name_block_and_column(client, column):
    frame = table()
    parts = [frame[:100], frame[100:].copy()]
    if column == "age":
        parts[1]["age"] = parts[1]["age"].astype(float)
    parts[1].loc[parts[1].index[7], column] = None
    parts[1].loc[parts[1].index[7], column] = np.nan if column == "age" else None
    with pytest.raises(ValueError, match=f"block 1, row 7 .*column '{column}' has no value"):
        fastgd.dask.fit(GDRegressor(), [delayed(one[X]) for one in parts], frame["price"])


@pytest.mark.parametrize("wrong", ["column", "kind", "dates", "array", "twice"])
def test_other_columns_name_the_block(client, wrong):
    frame = table()
    parts = [frame[X][:100], frame[X][100:].copy()]
    if wrong == "column":
        parts[1] = parts[1].rename(columns={"fuel": "colour"})
    elif wrong == "kind":
        parts[1]["fuel"] = 1.0
    elif wrong == "dates":
        parts[1]["age"] = pd.Timestamp("2020-01-01")
    elif wrong == "twice":
        parts[1] = parts[1].rename(columns={"fuel": "age"})
    else:
        parts[1] = np.zeros((100, 9))
    with pytest.raises(ValueError, match="block 1"):
        fastgd.dask.fit(GDRegressor(), list(map(delayed, parts)), frame["price"])


def test_a_word_in_a_column_of_numbers_names_the_block(client):
    frame = table()
    texts = (frame["price"].round(6)).astype(str)
    texts[107] = "?"
    frame["note"] = texts
    blocks = dd.from_pandas(frame, npartitions=2)
    with pytest.raises(ValueError, match=r"block 1, row 7 .* column 'note' has the word '\?'"):
        fastgd.dask.fit(GDRegressor(), blocks[["age", "note"]], blocks["price"])
    frame["note"] = texts.astype("category")
    blocks = dd.from_pandas(frame, npartitions=2)
    model = fastgd.dask.fit(GDRegressor(), blocks[["age", "note"]], blocks["price"])
    assert model.n_features_in_ == 1 + texts.nunique()


def test_sources_that_found_other_levels_are_united(client, tmp_path):
    frame = table()
    parts = []
    for k, own in enumerate((frame[:100], frame[100:])):
        path = tmp_path / f"{k}.parquet"
        own.to_parquet(path)
        parts.append(delayed(fastgd.from_parquet)(path, target="price"))
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    usual = GDRegressor().fit(fastgd.from_parquet(paths, target="price"))
    model = fastgd.dask.fit(GDRegressor(), parts)
    assert list(model.feature_names_in_) == list(usual.feature_names_in_)
    np.testing.assert_allclose(model.coef_, usual.coef_, atol=1e-9)


def test_no_two_columns_have_one_name():
    told = [("block 0", {"a": (Kind.TEXT, Levels("a", False, "y")), "a=y": (Kind.NUMBER, None)})]
    with pytest.raises(ValueError, match=r"^block 0: columns .a. and .a=y. would both"):
        shared_encoding(told)


def test_levels_are_those_of_all_frames():
    told = [
        ("block 0", {"a": (Kind.NUMBER, None), "b": (Kind.TEXT, Levels("b", False, "y"))}),
        ("block 1", {"b": (Kind.TEXT, Levels("b", False, "xy")), "a": (Kind.FLAG, None)}),
    ]
    usual = TableEncoding((TableColumn("a"), TableColumn("b", ("x", "y"))))
    assert shared_encoding(told) == usual
    assert united([("block 0", usual), ("block 1", usual)]) is usual
    with pytest.raises(ValueError, match="block 1 has other columns"):
        united([("block 0", 3), ("block 1", 4)])
