"""Fits and predictions from files: the models of the same rows in memory."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file, load_breast_cancer, load_svmlight_file

from fastgd import GDClassifier, GDRegressor, from_parquet, from_svmlight


def insurance(n_rows=400, seed=0):
    """Counts of claims with an exposure, and a region, from which a text follows."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 90, n_rows) / 10.0,
            "region": random.choice(["north", "south", "west"], n_rows),
            "exposure": random.uniform(0.1, 1.0, n_rows),
        }
    )
    rate = np.exp(0.1 * table["age"] - (table["region"] == "west")) * table["exposure"]
    table["claims"] = random.poisson(rate)
    table["log_exposure"] = np.log(table["exposure"])
    table["kind"] = np.where(random.random(n_rows) < rate / 3.0, "claims", "none")
    return table


def in_memory(table):
    """X with a column for each region."""
    regions = [(table["region"] == name).to_numpy(float) for name in ("north", "south", "west")]
    return np.column_stack([table["age"], *regions])


def write(table, path, format):
    if format == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)


def test_svmlight(tmp_path):
    path = tmp_path / "rows.svm"
    X, y = load_breast_cancer(return_X_y=True)
    dump_svmlight_file(X[:150, :8], y[:150], str(path))
    X, y = load_svmlight_file(str(path))
    settings = {"alpha": 1e-2, "tol": 1e-10}
    whole = GDClassifier(**settings).fit(X, y)
    model = GDClassifier(**settings, memory=1e6).fit(from_svmlight(path))
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    # Rows that lack the last columns, which zero-based files would not show.
    part = tmp_path / "part.svm"
    part.write_text("".join(f"0 {j}:{10 * j}\n" for j in range(1, 7)))
    assert model.predict(from_svmlight(part, zero_based=True)).shape == (6,)
    assert model.score(from_svmlight(path)) == whole.score(X, y)


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_tables_with_categories_weights_and_offsets(tmp_path, format):
    pytest.importorskip("pyarrow")
    table = insurance()
    path = tmp_path / "rows"
    write(table, path, format)
    settings = {"loss": "poisson", "alpha": 1e-3, "tol": 1e-10}
    options = {"format": format, "columns": ["age", "region"]}
    source = from_parquet(path, "claims", "exposure", "log_exposure", **options)
    model = GDRegressor(**settings, memory=1e6).fit(source)
    X, offset, weight = in_memory(table), table["log_exposure"], table["exposure"]
    whole = GDRegressor(**settings).fit(X, table["claims"], weight, offset=offset)
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    assert [*model.feature_names_in_] == ["age", "region=north", "region=south", "region=west"]
    model = pickle.loads(pickle.dumps(model))
    new = insurance(50, seed=1)
    new.loc[7, "region"] = "east"
    path = tmp_path / "new"
    write(new, path, format)
    found = model.predict(from_parquet(path, offset="log_exposure", format=format))
    X = in_memory(new)
    np.testing.assert_allclose(found, whole.predict(X, offset=new["log_exposure"]), rtol=1e-4)
    with pytest.raises(ValueError, match=r"row 7 .*'region' has the level 'east'"):
        model.predict(from_parquet(path, unknown="error", format=format))
    path.write_text("1 1:1\n")
    with pytest.raises(ValueError, match="cannot predict the rows of svmlight files"):
        model.predict(from_svmlight(path))


def test_text_is_a_class(tmp_path):
    pytest.importorskip("pyarrow")
    table = insurance()
    table.to_parquet(tmp_path / "rows")
    source = from_parquet(tmp_path / "rows", target="kind", columns=["age", "region"])
    model = GDClassifier(memory=1e6).fit(source)
    assert model.classes_.tolist() == ["claims", "none"]
    X = pd.DataFrame(in_memory(table), columns=model.feature_names_in_)
    assert model.score(source) == model.score(X, table["kind"])


def test_what_is_wrong_in_a_file_leaves_no_model(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("1 1:2\n-1 1:1\n1 2:x\n")
    model = GDClassifier()
    with pytest.raises(ValueError, match=r"rows.svm, line 3: '2:x' is not index:value"):
        model.fit(from_svmlight(path))
    assert not hasattr(model, "coef_")


def test_columns_of_other_names_are_refused(tmp_path):
    pytest.importorskip("pyarrow")
    table = insurance()[["age", "exposure", "claims"]]
    X, y = table[["age", "exposure"]], table["claims"]
    model = GDRegressor().fit(X, y)
    path = tmp_path / "rows"
    table.to_parquet(path)
    np.testing.assert_allclose(model.predict(from_parquet(path, "claims")), model.predict(X))
    swapped = from_parquet(path, columns=["exposure", "age"])
    with pytest.raises(ValueError, match="a column 'exposure' where 'age' was fitted"):
        model.predict(swapped)
    with pytest.raises(ValueError, match=r"the source has 3 features, .* is expecting 2"):
        model.predict(from_parquet(path))
    fitted = GDRegressor(memory=1e6).fit(from_parquet(path, target="claims"))
    np.testing.assert_allclose(fitted.predict(X), model.predict(X), rtol=1e-3)
    # Some BLAS round products with a frame, whose columns lie one after the other, otherwise.
    given = fitted.predict(from_parquet(path)), fitted.predict(X)
    np.testing.assert_allclose(*given, rtol=1e-13)


def test_columns_of_an_earlier_file_are_forgotten(tmp_path):
    rng = np.random.default_rng(0)
    wide, narrow = rng.standard_normal((40, 5)), rng.standard_normal((40, 3))
    y = (narrow[:, 0] > 0.0).astype(float)
    paths = []
    for X in (wide, narrow):
        paths.append(tmp_path / f"{X.shape[1]}.svm")
        dump_svmlight_file(X, y, str(paths[-1]), zero_based=False)
    model = GDClassifier().fit(from_svmlight(paths[0])).fit(narrow, y)
    np.testing.assert_array_equal(model.predict(from_svmlight(paths[1])), model.predict(narrow))


def test_each_fit_finds_the_columns_of_its_files(tmp_path):
    path = tmp_path / "rows"
    path.write_text("1 1:1\n-1 1:2\n1 1:4\n")
    source = from_svmlight(path, zero_based=False)
    model = GDClassifier(memory=1e6).fit(source)
    path.write_text("1 1:1 2:1\n-1 1:2\n1 1:4\n")
    assert model.fit(source).n_features_in_ == 2
