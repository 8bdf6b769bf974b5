"""Data sets of the bench: files and tables of a user, and what is generated where there is no
folder of data.
"""

import json
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from bench import data, generated, problems, report, suite
from bench.__main__ import main
from bench.cases import CASES


def test_which_data_are_generated_is_said_and_saved(tmp_path, monkeypatch, capsys):
    """Nothing told seconds on generated data from those on real ones of the same name."""
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(data, "USED", {})
    monkeypatch.setattr(report, "USED", data.USED)
    for _ in range(2):
        data.load("a9a", n=50)
    data.load("even_columns", n=50)  # never anything else
    data.load("sklearn:iris")
    told = capsys.readouterr().out.splitlines()
    assert told == ["a9a: generated data of its shape, for there is no data folder (FASTGD_DATA)"]
    made = report.save(tmp_path, "made", {}, {})
    assert json.loads(made.read_text())["data"] == {"a9a": "generated", "even_columns": "generated"}
    load = "def load(name, n): return [[float(i)] for i in range(n)], list(range(n))"
    (tmp_path / "load.py").write_text(load)
    for name in ("a9a", "even_columns"):
        data.load(name, n=50)
    real = report.save(tmp_path, "real", {}, {})
    assert json.loads(real.read_text())["data"] == {"a9a": "real", "even_columns": "generated"}
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit, match="there were a9a real and generated: run one of them"):
        main(["compare", str(real), str(made)])
    assert main(["compare", str(real), str(real)]) == 0


@pytest.mark.parametrize("sparse", [False, True])
def test_users_files(tmp_path, sparse):
    X, y = np.eye(4), np.array([1.0, 2.0, 2.0, 3.0])
    parts = {"X": X}
    if sparse:
        table = sp.csr_array(X)
        parts = {
            "data": table.data,
            "indices": table.indices,
            "indptr": table.indptr,
            "shape": table.shape,
        }
    np.savez(tmp_path / "own.npz", y=y, **parts)
    problem = problems.make_problem(str(tmp_path / "own.npz"), "log_loss")
    np.testing.assert_array_equal(problem.X @ np.ones(4), np.ones(4))
    np.testing.assert_array_equal(
        problem.y, [-1.0, 1.0, 1.0, -1.0]
    )  # the most frequent label against the rest
    (tmp_path / "own.svm").write_text("1 1:0.5\n-1 2:2\n")
    assert problems.make_problem(str(tmp_path / "own.svm"), "squared_error").shape == (2, 2)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_users_tables(tmp_path, kind):
    pandas = pytest.importorskip("pandas")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"own.{kind}"
    table = pandas.DataFrame(
        {"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"], "sold": ["no", "yes", "no"]}
    )
    write = (
        (lambda t: t.to_csv(path, index=False)) if kind == "csv" else (lambda t: t.to_parquet(path))
    )
    write(table)
    problem = problems.make_problem(str(path), "log_loss", target="sold")
    np.testing.assert_array_equal(problem.X, [[1, 0, 1], [2, 1, 0], [3, 0, 1]])
    np.testing.assert_array_equal(problem.y, [-1, 1, -1])
    with pytest.raises(SystemExit, match="has the columns size, colour, sold"):
        problems.make_problem(str(path), "log_loss")
    with pytest.raises(SystemExit, match="squared_error takes numbers as targets"):
        problems.make_problem(str(path), "squared_error", target="sold")
    write(table.assign(size=[1.0, None, 2.0]))
    with pytest.raises(SystemExit, match="missing values in size"):
        problems.make_problem(str(path), "log_loss", target="sold")


@pytest.mark.parametrize("day", ["2024-02-{}", "{}/02/2024", "2024-02-{} 10:00:00", "{}.2.24"])
def test_dates_in_tables_are_refused_by_name(tmp_path, day):
    """A column for each day came of a CSV, and a TypeError without the column's name of Parquet."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"day": [day.format(k) for k in range(10, 20)], "y": range(10)})
    table.to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(SystemExit, match=r"own.csv has dates in day, .*the days since"):
        data.load(str(tmp_path / "own.csv"), "y")
    table = table.assign(day=pandas.date_range("2024-02-10", periods=10))
    with pytest.raises(SystemExit, match=r"dates in day, .*drop them"):
        data._coded(pandas, tmp_path / "own.parquet", table)


def test_text_of_very_many_levels_becomes_csr(tmp_path, monkeypatch):
    """Dense, 100,000 rows with as many names took 80 GB."""
    pandas = pytest.importorskip("pandas")
    names = ["b", "a", "1.10", "b", "2024"]
    table = pandas.DataFrame({"name": names, "size": [0.0, 1.0, 2.5, 3.0, 0.0], "y": range(5)})
    table["again"] = table["name"].astype("category")
    path = tmp_path / "own.csv"
    table.to_csv(path, index=False)
    dense, _ = data.load(str(path), "y")
    monkeypatch.setattr(data, "MAX_DENSE", 10)
    sparse, y = data.load(str(path), "y")
    assert sparse.format == "csr"
    np.testing.assert_array_equal(sparse.toarray(), dense)
    assert dense.shape == (5, 9)
    assert sparse.indices.dtype == np.int32
    np.testing.assert_array_equal(y, np.arange(5))


def test_tables_without_pandas(tmp_path, monkeypatch):
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SystemExit, match="pip install pandas pyarrow"):
        data.load(str(tmp_path / "own.csv"), "b")


def test_generated_data_stand_in_for_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    assert {case.data for case in CASES} <= (generated.SHAPES | generated.OWN).keys()
    columns = {"protein": 9, "a9a": 123, "census": 510, "covtype_binary": 54, "mnist": 784}
    for name, width in columns.items():
        X, y = data.load(name, n=300)
        again, _ = data.load(name, n=300)
        assert X.shape == (300, width)
        assert y.shape == (300,)
        assert abs(X - again).max() == 0.0
        assert np.unique(y).size == {"protein": 300, "mnist": 10}.get(name, 2)
    X, y = data.load("flights", n=300)
    assert X.shape == (300, 497)
    assert X.format == "csr"
    assert X.indices.dtype == X.indptr.dtype == np.int32  # SGDClassifier takes no longer ones
    X, y, beside = data.load_all("french_motor", n=3000)
    assert X.shape == (3000, 167)
    assert ((beside["claim_amount"] > 0.0) == (y > 0.0)).all()
    assert np.bincount(data.load("covtype", n=700)[1]).tolist() == [100] * 7
    with pytest.raises(SystemExit, match=r"no file 'nothing'.* FASTGD_DATA.* covtype_binary"):
        data.load("nothing")
    names = [case.data for case in suite.chosen_cases(["digits odd", "a9a log 1/n"])]
    assert names == ["sklearn:digits", "a9a", "a9a"]
