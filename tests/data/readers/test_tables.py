"""Parquet and CSV files as blocks, against pandas."""

import builtins
import bz2
import decimal
import gzip
import pickle
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fastgd.data.readers import files, table_files, table_levels
from fastgd.data.readers.files import open_quote
from fastgd.data.readers.table_encoding import TableColumn, TableEncoder, TableEncoding
from fastgd.data.readers.table_files import PARQUET_BUFFER
from fastgd.data.readers.table_levels import Levels
from fastgd.data.readers.table_values import Where
from fastgd.data.readers.tables import from_parquet
from support.starts import check_starts

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402


def frame(n_rows=200, seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.integers(0, 90, n_rows),
            "fuel": random.choice(["petrol", "diesel", "gas"], n_rows),
            "new": random.random(n_rows) < 0.5,
            "region": pd.Categorical(random.choice(["r2", "r10"], n_rows), ["r1", "r10", "r2"]),
            "price": random.standard_normal(n_rows).round(3),
            "zip": random.choice([30, 4, 200], n_rows),
        }
    )


def expected(table, categories=("fuel", "region"), columns=None):
    """X of pandas, columns of categories in their places, and names."""
    parts, names = [], []
    for name in columns or table.columns:
        if name in categories:
            levels = sorted(set(table[name]))
            parts += [(table[name] == level).to_numpy(float) for level in levels]
            names += [f"{name}={level}" for level in levels]
        else:
            parts.append(table[name].to_numpy(float))
            names.append(name)
    return np.column_stack(parts), names


def together(source, n_bytes=1 << 20):
    blocks = list(source.blocks(n_bytes))
    X = sp.vstack([sp.csr_array(block.X) for block in blocks]).toarray()
    return X, *(
        None if part[0] is None else np.concatenate(part)
        for part in list(zip(*blocks, strict=True))[1:]
    )


@pytest.fixture(params=["parquet", "csv"])
def written(request, tmp_path):
    """A function that writes a frame and gives its path; `.format` is the format."""

    def write(table, name="rows", **options):
        path = tmp_path / f"{name}.{request.param}"
        if request.param == "csv":
            table.to_csv(path, index=False, **options)
        else:
            table.to_parquet(path, **options)
        return path

    write.format = request.param
    return write


def test_rows_are_those_of_pandas(written):
    table = frame()
    source = from_parquet(
        str(written(table)), "price", weight="age", offset="zip", format=written.format
    )
    X, y, weight, offset = together(source)
    truth, names = expected(table[["fuel", "new", "region"]])
    np.testing.assert_array_equal(X, truth)
    np.testing.assert_array_equal(y, table["price"])
    np.testing.assert_array_equal(weight, table["age"])
    np.testing.assert_array_equal(offset, table["zip"])
    assert (weight.dtype, offset.dtype) == (np.float64, np.float64)
    assert source.feature_names.tolist() == names
    block = next(source.blocks(1 << 20))
    assert (block.X.has_canonical_format, block.X.indices.dtype) == (True, np.int32)
    assert block.X.nnz == np.count_nonzero(truth)


def test_only_numbers_are_dense(written):
    table = frame()[["age", "new", "price", "zip"]]
    source = from_parquet(written(table), target="price", format=written.format)
    blocks = list(source.blocks(8 * 3 * 30))
    assert [block.X.shape[0] for block in blocks] == [30] * 6 + [20]
    assert all(block.X.flags.c_contiguous for block in blocks)
    np.testing.assert_array_equal(
        np.vstack([block.X for block in blocks]), table[["age", "new", "zip"]]
    )
    assert source.feature_names.tolist() == ["age", "new", "zip"]
    assert blocks[0].sample_weight is blocks[0].offset is None


def test_integers_as_categories_and_chosen_columns(written):
    table = frame()
    source = from_parquet(
        written(table),
        columns=["zip", "age"],
        categories=["zip"],
        target="fuel",
        format=written.format,
    )
    X, y, *_ = together(source)
    truth, names = expected(table, ("zip",), ["zip", "age"])
    np.testing.assert_array_equal(X, truth)
    assert source.feature_names.tolist() == names == ["zip=4", "zip=30", "zip=200", "age"]
    assert y.dtype.kind == "U"
    assert y.tolist() == table["fuel"].tolist()


def test_several_files_with_columns_in_another_order(written):
    one, two = frame(50), frame(70, seed=1)
    two.loc[:, "fuel"] = "steam"
    paths = [written(one, "one"), written(two[two.columns[::-1]], "two")]
    source = from_parquet(paths, target="price", format=written.format)
    both = pd.concat([one, two]).astype({"region": str})
    truth, names = expected(both.drop(columns="price"))
    X, y, *_ = together(source, n_bytes=1000)
    np.testing.assert_array_equal(X, truth)
    np.testing.assert_array_equal(y, both["price"])
    assert source.feature_names.tolist() == names
    reading = source.blocks(1000)
    places = [
        reading.place(number, row)
        for number, block in enumerate(reading)
        for row in range(block.X.shape[0])
    ]
    rows = [(path, i) for path, n in zip(paths, (50, 70), strict=True) for i in range(n)]
    assert places == [f"{path}, row {i} (the first is 0)" for path, i in rows]


def test_blocks_are_the_same_again_and_no_larger(written):
    source = from_parquet(written(frame()), target="price", format=written.format)
    first, again = list(source.blocks(2000)), list(source.blocks(2000))
    assert len(first) == len(again) > 3
    for one, two in zip(first, again, strict=True):
        assert 12 * one.X.nnz + 8 * one.X.shape[0] <= 2000
        np.testing.assert_array_equal(one.X.toarray(), two.X.toarray())
    assert all(block.X.shape[0] == 1 for block in source.blocks(1))


def test_targets_keep_their_types(tmp_path):
    table = frame()
    table.to_parquet(tmp_path / "rows.parquet")
    kinds = {"age": "i", "fuel": "U", "new": "b", "region": "U", "price": "f"}
    for name, kind in kinds.items():
        y = next(from_parquet(tmp_path / "rows.parquet", name).blocks(1 << 20)).y
        assert y.dtype.kind == kind
        assert y.tolist() == table[name].tolist()


def test_columns_are_those_of_a_model(written):
    table = frame()
    model = from_parquet(written(table), target="price", format=written.format)
    truth = together(model)[0]
    encoding = pickle.loads(pickle.dumps(model.encoding))
    new = table.drop(columns="price").iloc[:40].astype({"region": str})
    new["other"] = "x"
    new.loc[5, "fuel"] = "steam"
    path = written(new[new.columns[::-1]], "new")
    source = from_parquet(path, format=written.format).encoded_as(encoding)
    X, y, *_ = together(source)
    assert y is None
    assert X[5, 1:4].tolist() == [0, 0, 0]
    X[5] = truth[5]
    np.testing.assert_array_equal(X, truth[:40])
    assert source.feature_names.tolist() == model.feature_names.tolist()
    strict = from_parquet(path, unknown="error", format=written.format).encoded_as(encoding)
    with pytest.raises(ValueError, match=r"row 5 .*'fuel' has the level 'steam', which is not"):
        list(strict.blocks(1 << 20))
    other = from_parquet(path, columns=["age", "other"], format=written.format)
    with pytest.raises(ValueError, match=r"columns are not those of the model; .*'other'"):
        other.encoded_as(encoding)
    with pytest.raises(ValueError, match="fitted to svmlight files"):
        other.encoded_as((3, True))


def test_unknown_integers(written):
    table = frame()
    model = from_parquet(
        written(table), columns=["zip"], categories=["zip"], unknown="error", format=written.format
    )
    list(model.blocks(1000))
    path = written(table.replace({"zip": {30: 31}}), "new")
    source = from_parquet(path, format=written.format).encoded_as(model.encoding)
    with pytest.raises(ValueError, match=r"'zip' has the level 31, which is not among the 3"):
        list(source.blocks(1000))
    lenient = from_parquet(path, format=written.format).encoded_as(
        model.encoding._replace(unknown="zeros")
    )
    X = together(lenient)[0]
    np.testing.assert_array_equal(X[:, 1], np.zeros(200))
    np.testing.assert_array_equal(X[:, [0, 2]], expected(table, ("zip",), ["zip"])[0][:, [0, 2]])


@pytest.mark.parametrize("name", ["age", "fuel", "region", "price", "weight"])
def test_missing_values(written, name):
    table = frame().assign(weight=1.5)
    table[name] = table[name].astype(object)
    table.loc[150, name] = None
    other = written(frame().assign(weight=1.0), "other")
    path = written(table)
    source = from_parquet([other, path], target="price", weight="weight", format=written.format)
    said = rf"{re.escape(str(path))}, row 150 \(the first is 0\): column '{name}' has no value"
    with pytest.raises(ValueError, match=said):
        list(source.blocks(3000))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(tmp_path, value):
    path = tmp_path / "rows.parquet"
    prices = np.where(np.arange(20) == 7, value, 1.0)
    pq.write_table(pa.table({"age": np.arange(20), "price": prices}), path)
    with pytest.raises(ValueError, match=rf"row 7 \(the first is 0\): column 'price' is {value}"):
        list(from_parquet(path, target="age").blocks(100))


def test_a_later_file_lacks_a_column_or_has_another_type(written):
    table = frame()
    good = written(table, "good")
    lacking = written(table.drop(columns="age"), "lacking")
    source = from_parquet([good, lacking], target="price", format=written.format)
    said = rf"{re.escape(str(lacking))} has no column 'age'; it has 'fuel', 'new'"
    with pytest.raises(ValueError, match=said):
        list(source.blocks(1 << 20))
    other = written(table.assign(age="old"), "other")
    source = from_parquet([good, other], target="price", format=written.format)
    example = r" \(string\), 'old' in row 0 \(the first is 0\)" if written.format == "csv" else ".*"
    said = rf"{re.escape(str(other))}: column 'age' holds text{example}, in {re.escape(str(good))}"
    with pytest.raises(ValueError, match=said):
        list(source.blocks(1 << 20))


def test_text_in_a_later_parquet_file_cannot_be_numbers(tmp_path):
    table = frame()
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    table.to_parquet(paths[0])
    table.assign(fuel=3).to_parquet(paths[1])
    with pytest.raises(ValueError, match=r"two.parquet: column 'fuel' holds integers \(int"):
        list(from_parquet(paths, target="price").blocks(1000))


def test_text_that_looks_like_numbers_in_a_later_csv_file(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("y,zip\n1,K1A\n2,90210\n")
    two.write_text("y,zip\n3,90210\n4,10115\n")
    source = from_parquet([one, two], target="y", categories=["zip"], format="csv")
    X = together(source)[0]
    assert source.feature_names.tolist() == ["zip=10115", "zip=90210", "zip=K1A"]
    assert X.tolist() == [[0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_csv_of_other_numbers_than_at_its_beginning(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("y,x,flag\n" + "1,2,true\n" * 40_000 + "1.5,-2e-3,false\n")
    X, y, *_ = together(from_parquet(path, target="y", format="csv"), 10**6)
    assert X[[0, -1]].tolist() == [[2.0, 1.0], [-0.002, 0.0]]
    assert y[-1] == 1.5
    path.write_text(path.read_text() + "1,oh,false\n")
    said = rf"{re.escape(str(path))}, row 40001 \(the first is 0\): column 'x' has 'oh', and held"
    with pytest.raises(ValueError, match=said):
        together(from_parquet(path, target="y", format="csv"))


@pytest.mark.parametrize("texts", ["+1.5 -0.3 +2", "1 0x1A 3", "1. .5 1e5"])
def test_other_ways_to_write_numbers(tmp_path, texts):
    path = tmp_path / "rows.csv"
    path.write_text("y,x\n" + "".join(f"1,{text}\n" for text in texts.split()))
    source = from_parquet(path, target="y", format="csv")
    if "0x1A" in texts:
        with pytest.raises(ValueError, match=r"row 1 .*: column 'x' has '0x1A', and held numbers"):
            next(source.blocks(1000))
    else:
        assert next(source.blocks(1000)).X.ravel().tolist() == [float(one) for one in texts.split()]


def test_decimal_commas_are_no_levels(written):
    path = written(pd.DataFrame({"y": 1.0, "x": ["1,5", "-2,25", "1,500", "3"]}))
    with pytest.raises(ValueError, match=r"row 0 .*: column 'x' has the word '1,5', and most of"):
        next(from_parquet(path, target="y", format=written.format).blocks(1000))
    source = from_parquet(path, target="y", categories=["x"], format=written.format)
    assert next(source.blocks(1000)).X.shape == (4, 4)


def test_names_of_rows_in_csv_are_no_column(tmp_path):
    path = tmp_path / "rows.csv"
    frame().to_csv(path)
    source = from_parquet(path, target="price", format="csv")
    truth, names = expected(frame().drop(columns="price"))
    np.testing.assert_array_equal(together(source)[0], truth)
    assert source.feature_names.tolist() == names
    chosen = from_parquet(path, columns=["", "age"], format="csv")
    assert together(chosen)[0][:, 0].tolist() == list(range(200))


@pytest.mark.parametrize("word", ["oh", "1.5.", "1_000"])
def test_a_word_among_integers_to_predict(tmp_path, word):
    path = tmp_path / "rows.csv"
    path.write_text("y,x\n" + " 1 ,2\n" * 60_000 + f"{word},1\n")
    said = rf"row 60000 \(the first is 0\): column 'y' has {re.escape(repr(word))}, and held numbe"
    with pytest.raises(ValueError, match=said):
        list(from_parquet(path, target="y", format="csv").blocks(10**6))


def test_integers_to_predict_stay_integers(written):
    labels = np.array([2**53, 2**53 + 1, 5] * 3)
    source = from_parquet(
        written(pd.DataFrame({"x": 1.0, "y": labels})), "y", format=written.format
    )
    y = together(source)[1]
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y, labels)


def stray(word, n_numbers=60):
    """Numbers as text, and a word in row 40."""
    values = [f"{value / 8}" for value in range(n_numbers)]
    return pd.DataFrame({"y": 1.0, "x": [*values[:40], word, *values[40:]]})


@pytest.mark.parametrize("word", ["oh", "?", "1_0", "12%"])
def test_a_word_in_a_column_of_numbers(written, word):
    path = written(stray(word))
    source = from_parquet(path, target="y", format=written.format)
    place = rf"{re.escape(str(path))}, row 40 \(the first is 0\): column 'x'"
    with pytest.raises(ValueError, match=rf"{place} has the word {re.escape(repr(word))}, and mos"):
        list(source.blocks(100))
    declared = from_parquet(path, target="y", categories=["x"], format=written.format)
    assert next(declared.blocks(1 << 20)).X.shape == (61, 61)


def test_a_word_in_a_target_of_numbers(written):
    table = stray("oh").rename(columns={"x": "y", "y": "x"})
    path = written(table)
    said = rf"{re.escape(str(path))}, row 40 .*: column 'y' has the word 'oh'"
    with pytest.raises(ValueError, match=said):
        list(from_parquet(path, target="y", format=written.format).blocks(100))
    options = {"target": "y", "categories": ["y"], "format": written.format}
    for columns in (None, ["x"]):
        source = from_parquet(path, columns=columns, **options)
        assert next(source.blocks(1 << 20)).y[40] == "oh"


@pytest.mark.parametrize("word", ["0x10", " 0X1f"])
def test_hexadecimal_targets(tmp_path, word):
    path = tmp_path / "rows.csv"
    path.write_text(f"y,x\n1,2\n{word},3\n4,5\n")
    said = rf"{re.escape(str(path))}, row 1 .*: column 'y' has '{word}', and held numbers before"
    with pytest.raises(ValueError, match=said):
        list(from_parquet(path, target="y", format="csv").blocks(100))


def test_csv_that_is_not_utf_8(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("y,gr\u00f6\u00dfe\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: 'utf-8' codec can't decode"):
        from_parquet(path, target="y", format="csv")
    path.write_bytes("y,x\n1,gr\u00fcn\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"column 'x' holds .* \(bytes that are not UTF-8\)"):
        list(from_parquet(path, target="y", format="csv").blocks(100))


def test_a_word_in_a_long_column_of_numbers_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(table_levels, "MANY", 50)
    path = tmp_path / "rows.csv"
    stray("oh", 30_000).to_csv(path, index=False)
    read = []
    own = Levels.add
    monkeypatch.setattr(Levels, "add", lambda *given: (read.append(1), own(*given)))
    with pytest.raises(ValueError, match=r"row 40 .* column 'x' has the word 'oh'"):
        list(from_parquet(path, target="y", format="csv").blocks(100))
    assert len(read) == 1


def test_numbers_among_words_are_levels(written):
    table = pd.DataFrame({"y": 1.0, "code": ["E10", "250", "V57", "E11", "7"] * 3})
    source = from_parquet(written(table), target="y", format=written.format)
    assert next(source.blocks(1 << 20)).X.shape == (15, 5)


def test_a_parquet_column_that_is_text_or_a_category_by_its_type(tmp_path):
    path = tmp_path / "rows.parquet"
    table = stray("oh")
    table["x"] = table["x"].astype("category")
    table["zip"] = [f"{row:05}" for row in range(61)]
    table.to_parquet(path)
    assert next(from_parquet(path, target="y").blocks(1 << 20)).X.shape == (61, 122)


LEAST, MOST = -(2**63), 2**63 - 1


@pytest.mark.parametrize(
    "known",
    [
        (3,),
        (-5, 0, 7),
        (0, 2**17 - 1),
        (0, 2**17),
        (LEAST, LEAST + 2),
        (MOST - 2, MOST),
        (LEAST, MOST),
    ],
)
def test_codes_of_integers(known):
    """By a table, and where levels are far apart by a search."""
    column = TableColumn("x", known)
    values = [*known, LEAST, MOST, 0, 1, 2, -1, *(one ^ 1 for one in known)]
    codes = TableEncoder(TableEncoding((column,)), "zeros").codes(
        pa.array(values), column, Where(Path("x"), 0)
    )
    assert codes.tolist() == [known.index(one) if one in known else -1 for one in values]


def test_csv_with_quotes_and_packed(tmp_path):
    table = pd.DataFrame({"name": ["a\nb", 'say "c"', "d, e"] * 3, "y": range(9)})
    for ending in ("csv", "csv.gz", "csv.bz2"):
        path = tmp_path / f"rows.{ending}"
        table.to_csv(path, index=False)
        source = from_parquet(path, target="y", format="csv")
        np.testing.assert_array_equal(together(source)[0], expected(table, ("name",), ["name"])[0])


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ('3,"a', 3),
        ('3,"a\n4,b\n', 3),
        ('"3,a\n', 3),
        # Alone in its column it looks like one that ends a value.
        ('3,a\n4,"\n5,b\n6,a\n', 4),
        ('3,"a""b"\n4,"\n5,b\n', 4),
        ('3,5" pipe\n4,"\n', 4),
        ('3,"', 3),
        ('3,"a\n"\n4,b\n', None),
        ('3,"a\n""\n"\n', None),
        ('3,5" pipe\n4,"a\n"\n', None),
        ('3,"a,"', None),
        ('3,""\n', None),
        ('3,5" pipe\n', None),
        ('3,"a\n""b"', None),
        ('"3",a\n', None),
        ("3,a\n", None),
    ],
)
def test_a_quote_that_is_never_closed(tmp_path, end, line):
    path = tmp_path / "rows.csv"
    path.write_text(f"y,x\n1,2\n{end}")
    assert open_quote(path) == line
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert open_quote(packed) is None
    assert open_quote(packed, whole=True) == line


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (['3,"b', '4,"c"', "5,d"], 3),
        (['3,"', '4,"c"', "5,d"], 3),
        (['3,"e"', '4,"', '5,"d"'], 4),
        (['3,"b', "4,c", '5,"d"'], 3),
        (['3,"b', '4""c"', '"5",d'], None),
        (['3,"b', '4,c" ', '"5",d'], None),
        (['3,"b"c', '4,"d"'], None),
        (['3,b" c', '4,"d"'], None),
    ],
)
@pytest.mark.parametrize("chunk", [16, 1 << 18])
def test_a_quote_that_is_closed_by_that_of_a_later_value(tmp_path, monkeypatch, rows, line, chunk):
    """It is told with its line: rows were lost, for '\\n4,c"' was a value."""
    monkeypatch.setattr(files.whole_lines, "__defaults__", (chunk,))
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["y,x", "1,a", *rows, ""]))
    assert open_quote(path, whole=True) == line
    source = from_parquet(path, target="y", format="csv")
    if line is None:
        list(source.blocks(1 << 20))
        return
    with pytest.raises(ValueError, match=f"line {line}: a quote is not closed where its value"):
        list(source.blocks(1 << 20))


def test_an_open_quote_of_a_packed_file(tmp_path, monkeypatch):
    """It is told with its line: the rest of the file was a value, 401 rows of 800."""
    rows = [f'{k},"a\n""{k}"' for k in range(400)] + ['400,"'] + [f"{k},b" for k in range(401, 800)]
    path = tmp_path / "rows.csv.bz2"
    path.write_bytes(bz2.compress("\n".join(["y,x", *rows]).encode()))
    source = from_parquet(path, target="y", format="csv")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 802: a quote is not closed")):
        list(source.blocks(1 << 20))
    for chunk in (16, 100, 3000):
        monkeypatch.setattr(files.whole_lines, "__defaults__", (chunk,))
        files._open_quote.cache_clear()
        assert open_quote(path, whole=True) == 802


def test_csv_with_rows_longer_than_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "CSV_BUFFER", 100)
    X = np.arange(240.0).reshape(4, 60)
    path = tmp_path / "rows.csv"
    pd.DataFrame(X, columns=[f"x{j}" for j in range(60)]).to_csv(path, index=False)
    np.testing.assert_array_equal(together(from_parquet(path, format="csv"))[0], X)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Empty CSV file"),
        ("y,x\n", "has no rows"),
        ("y,x\n1,2\n3\n", "Row #3: Expected 2 columns, got 1"),
        ("y,x\n1,2\n3,4,5\n", "Row #3: Expected 2 columns, got 3"),
        ("y,x,x\n1,2,3\n", "has several columns 'x'"),
        ('y,x\n1,"a"\n2,"b\n3,c\n', "line 3: a quote is not closed"),
        ("y,x\n1,2020-01-01\n", r"column 'x' holds neither numbers nor text \(date32"),
        ("y,x\n1,\n2,\n", r"row 0 .*: column 'x' has no value"),
    ],
)
def test_csv_that_cannot_be_read(tmp_path, text, said):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{said}"):
        list(from_parquet(path, target="y", format="csv").blocks(100))


def test_parquet_that_cannot_be_read(tmp_path):
    path = tmp_path / "rows.parquet"
    frame(5000).to_parquet(path)
    content = path.read_bytes()
    middle = len(content) // 3
    damaged = content[:middle] + bytes(200) + content[middle + 200 :]
    for text in (b"", b"PAR1", content[:-100], content[: len(content) // 2], damaged):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            list(from_parquet(path, target="price").blocks(1000))
    frame(0).to_parquet(path)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} has no rows"):
        list(from_parquet(path, target="price").blocks(1000))


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_a_flipped_bit_of_a_page_that_has_a_checksum(tmp_path, compression):
    """It was a row of the model."""
    path = tmp_path / "rows.parquet"
    values = np.arange(2000.0)
    table = pa.table({"x": values, "y": values})
    pq.write_table(
        table, path, use_dictionary=False, compression=compression, write_page_checksum=True
    )
    list(from_parquet(path, target="y").blocks(1000))
    content = bytearray(path.read_bytes())
    content[pq.read_metadata(path).row_group(0).column(0).data_page_offset + 1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: .*CRC checksum"):
        list(from_parquet(path, target="y").blocks(1000))


def test_a_path_that_disappears(written):
    path = written(frame())
    source = from_parquet(path, target="price", format=written.format)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(source.blocks(1000))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_parquet(path, format=written.format)


def test_types_of_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    text = ["b", "a", "b"]
    columns = {
        "whole": pa.array([1, 2, 3], pa.uint8()),
        "half": pa.array(np.array([0.5, 1.5, -2.0], np.float16)),
        "exact": pa.array([decimal.Decimal("1.25"), decimal.Decimal("2.50"), decimal.Decimal(0)]),
        "large": pa.array(text, pa.large_string()),
        "view": pa.array(text, pa.string_view()),
        "codes": pa.array(text).dictionary_encode(),
        "when": pa.array([1, 2, 3], pa.timestamp("s")),
    }
    pq.write_table(pa.table(columns), path)
    with pytest.raises(ValueError, match=r"'when' holds neither .* \(timestamp.* leave it out"):
        list(from_parquet(path).blocks(100))
    names = list(columns)[:-1]
    X = together(from_parquet(path, columns=names))[0]
    both = [[0, 1], [1, 0], [0, 1]]
    truth = np.column_stack([[1, 2, 3], [0.5, 1.5, -2.0], [1.25, 2.5, 0.0], both, both, both])
    np.testing.assert_array_equal(X, truth)


def test_pandas_index_and_categories_of_integers(tmp_path):
    table = frame().sample(67).assign(level=pd.Categorical([7, 5, 5] * 22 + [9]))
    path = tmp_path / "rows.parquet"
    table.to_parquet(path)
    assert "__index_level_0__" in pq.read_schema(path).names
    source = from_parquet(path, target="price")
    X = together(source)[0]
    truth, names = expected(table.drop(columns="price"), ("fuel", "region", "level"))
    np.testing.assert_array_equal(X, truth)
    assert source.feature_names.tolist() == names


@pytest.mark.parametrize("other", ["fuel=gas", "fuel"])
def test_no_two_columns_have_one_name(written, other):
    """A model had two coefficients of the name fuel=gas, and no word of it."""
    table = frame()[["fuel", "price"]]
    if other == "fuel":  # level "x=gas" of fuel, level "gas" of fuel=x
        table = table.assign(**{"fuel": "x=gas", "fuel=x": "gas"})
    else:
        table[other] = 1.5
    path = written(table)
    source = from_parquet(path, target="price", format=written.format)
    said = f"^{re.escape(str(path))}: columns 'fuel' and 'fuel=.*' would both give a column 'fuel="
    with pytest.raises(ValueError, match=said):
        list(source.blocks(1 << 20))


def test_a_category_in_a_later_file_alone(tmp_path):
    """Which of the two files came first decided between 1 column and 3, without a word."""
    table = frame()[["zip", "price"]]
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    table.to_parquet(paths[0])
    table.astype({"zip": "category"}).to_parquet(paths[1])
    said = r"two.parquet: column 'zip' holds a category of integers, in .*one.parquet numbers; name"
    with pytest.raises(ValueError, match=said):
        list(from_parquet(paths, target="price").blocks(1 << 20))
    named = from_parquet(paths, target="price", categories=["zip"])
    assert together(named)[0].shape == (400, 3)
    # As in memory, where pandas gives the numbers.
    encoding = from_parquet(paths[0], target="price")
    list(encoding.blocks(1 << 20))
    same = from_parquet(paths[1], target="price").encoded_as(encoding.encoding)
    np.testing.assert_array_equal(together(same)[0][:, 0], table["zip"])


def test_names_and_parameters(written):
    path = written(frame())
    wrong = {
        "has no column 'cost'; it has 'age', 'fuel'": {"target": "cost"},
        "has no column 'agee'": {"columns": ["agee"]},
        "has no column 'ages'": {"categories": ["ages"]},
        "column 'age' is named twice": {"target": "age", "columns": ["age", "zip"]},
        "categories name 'zip', which is not among columns": {
            "categories": ["zip"],
            "columns": ["age"],
        },
        "columns must be a list of names, got 'age'": {"columns": "age"},
        r"columns must name a column at least, got \[\]; leave it out for all": {"columns": []},
        "unknown must be 'zeros' or 'error'": {"unknown": "drop"},
    }
    for said, options in wrong.items():
        with pytest.raises(ValueError, match=said):
            from_parquet(path, **options, format=written.format)
    with pytest.raises(ValueError, match="format must be 'parquet' or 'csv', got 'json'"):
        from_parquet(path, format="json")
    source = from_parquet(path, categories=["price"], format=written.format)
    with pytest.raises(ValueError, match=r"'price' holds numbers \(double\), not integers or text"):
        list(source.blocks(100))
    source = from_parquet(path, weight="fuel", format=written.format)
    with pytest.raises(ValueError, match=r"column 'fuel' holds text"):
        list(source.blocks(100))


def test_without_pyarrow(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"")
    imported = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        from_parquet(path)


def test_memory_is_that_of_two_blocks(tmp_path):
    path = tmp_path / "rows.parquet"
    random = np.random.default_rng(0)
    columns = {f"x{j}": random.standard_normal(200_000) for j in range(4)}
    table = pa.table({**columns, "kind": random.choice(["a", "b"], 200_000)})
    pq.write_table(table, path, use_dictionary=["kind"], data_page_size=1 << 16)
    assert pq.read_metadata(path).num_row_groups == 1
    n_bytes = 1_000_000
    source = from_parquet(path, target="x0")
    sizes, of_arrow = [], []
    list(source.blocks(10**9))
    tracemalloc.start()
    try:
        before = pa.total_allocated_bytes()
        for block in source.blocks(n_bytes):
            sizes.append(12 * block.X.nnz + 8 * block.X.shape[0])
            of_arrow.append(pa.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(sizes) == 12
    assert max(sizes) <= n_bytes
    # The block in use and the one being made, and a batch of a quarter of it, with what is read.
    assert peak < 3.0 * n_bytes
    assert max(of_arrow) < n_bytes + 6 * PARQUET_BUFFER


@pytest.mark.parametrize("pack", [gzip, bz2], ids=["gz", "bz2"])
def test_a_packed_csv_that_is_cut_off_or_damaged(tmp_path, pack):
    path = tmp_path / f"rows.csv.{'gz' if pack is gzip else 'bz2'}"
    random = np.random.default_rng(0)
    lines = "".join(f"{a:.5f},{b:.5f}\n" for a, b in random.standard_normal((5000, 2)))
    packed = pack.compress(f"y,x\n{lines}".encode())
    middle = len(packed) // 2
    for content in (
        packed[:middle],
        packed[:20],
        packed[:middle] + packed[middle + 50 :],
        b"y,x\n",
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            list(from_parquet(path, target="y", format="csv").blocks(1000))


def test_files_that_changed_are_looked_at_again(tmp_path):
    """Rows of a level that is new had been 0 in all columns; but a model keeps its own."""
    path = tmp_path / "table.csv"
    path.write_text("fuel,price\na,1\nb,2\n")
    source = from_parquet(path, format="csv", target="price")
    list(source.blocks(1 << 20))
    source.look_again()
    known = source.encoding
    assert known is not None
    path.write_text("fuel,price\na,low\nb,high\nc,low\n")
    source.look_again()
    (block,) = source.blocks(1 << 20)
    assert list(source.feature_names) == ["fuel=a", "fuel=b", "fuel=c"]
    np.testing.assert_array_equal(sp.csr_array(block.X).toarray(), np.eye(3))
    assert list(block.y) == ["low", "high", "low"]
    predicted = source.encoded_as(known)
    predicted.look_again()
    assert predicted.encoding is known


@pytest.mark.parametrize("roles", [{"target": "code"}, {"categories": ["code"]}])
def test_integers_that_are_too_large_are_told(tmp_path, roles):
    path = tmp_path / "table.parquet"
    code = pa.array([3, 2**63], pa.uint64())
    pq.write_table(pa.table({"code": code, "age": [1.0, 2.0]}), path)
    with pytest.raises(ValueError, match=r"table.parquet, row 1.*: column 'code' has 92233720"):
        list(from_parquet(path, **roles).blocks(1 << 20))


@pytest.mark.parametrize("group", [4, 20, 100])
def test_a_reading_may_begin_at_each_row_group(tmp_path, group):
    paths, sizes = [tmp_path / f"{k}.parquet" for k in range(3)], (30, 50, 60)
    for k, path in enumerate(paths):
        pq.write_table(pa.Table.from_pandas(frame(sizes[k], seed=k)), path, row_group_size=group)
    groups = [at + k for at, n in zip((0, 30, 80), sizes, strict=True) for k in range(0, n, group)]
    source = from_parquet(paths, target="fuel", weight="age")
    for n_bytes in (700, 2500, 1 << 20):
        rows = len(next(source.blocks(n_bytes)).y)
        blocks = {-(-first // rows) for first in groups}
        assert check_starts(source, n_bytes) == sorted(k for k in blocks if k * rows < 140)


def test_csv_is_read_from_its_first_row_alone(tmp_path):
    frame().to_csv(tmp_path / "rows", index=False)
    assert check_starts(from_parquet(tmp_path / "rows", format="csv"), 1000) == [0]
