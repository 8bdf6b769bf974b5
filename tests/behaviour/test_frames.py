"""Frames and everything else that holds numbers: what goes in, which names stay, how the
estimator shows itself.
"""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import DataConversionWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from fastgd import GDClassifier, GDRegressor

# Before it read frames by narwhals, scikit-learn did not know those of Polars 2.
MODERN = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9)
needs_modern = pytest.mark.skipif(
    not MODERN, reason="scikit-learn before 1.9 does not know Polars 2"
)

RNG = np.random.default_rng(0)
X = RNG.integers(-3, 4, (80, 4))
Z = X @ [1.0, -2.0, 0.5, 1.0] + RNG.standard_normal(80)
Y = np.where(Z > 0, "b", "a")
NAMES = list("abcd")
FRAME = pd.DataFrame(X, columns=NAMES)
MIXED = FRAME.assign(a=FRAME.a > 0, b=FRAME.b.astype("float32"), c=FRAME.c.astype("int8"))


def people(n=120):
    """Rows with numbers, gaps and words, as frames usually have them, and whether each was late."""
    rng = np.random.default_rng(1)
    age, fare = rng.normal(40.0, 12.0, n), rng.lognormal(3.0, 1.0, n)
    town, member = rng.choice(["Bern", "Genf", "Chur"], n), rng.random(n) < 0.5
    score = 0.1 * (age - 40.0) + (town == "Chur") - member + 0.3 * rng.standard_normal(n)
    columns = {
        "age": np.where(rng.random(n) < 0.1, np.nan, age),
        "fare": fare,
        "town": town,
        "member": member,
    }
    return columns, np.where(score > 0, "late", "on time"), score


def prepared(model, output="default"):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "fare"]),
            ("words", OneHotEncoder(sparse_output=False), ["town"]),
            ("flags", "passthrough", ["member"]),
        ]
    )
    return make_pipeline(columns.set_output(transform=output), model)


@pytest.mark.parametrize(
    "library",
    [pd.DataFrame, pytest.param(pl.DataFrame, marks=needs_modern)],
    ids=["pandas", "polars"],
)
@pytest.mark.parametrize(
    "output", ["default", "pandas", pytest.param("polars", marks=needs_modern)]
)
def test_column_transformer(library, output):
    columns, late, score = people()
    frame = library(columns)
    for model, y, least in ((GDClassifier(), late, 0.85), (GDRegressor(), score, 0.7)):
        pipeline = prepared(model, output).fit(frame, y)
        assert pipeline.score(frame, y) > least
        last = pipeline[-1]
        assert last.n_features_in_ == 6
        assert hasattr(last, "feature_names_in_") == (output != "default")
        if output != "default":
            assert last.feature_names_in_.tolist()[:3] == [
                "numbers__age",
                "numbers__fare",
                "words__town_Bern",
            ]
        np.testing.assert_allclose(
            last.coef_, prepared(clone(model)).fit(pd.DataFrame(columns), y)[-1].coef_
        )


def test_sparse_columns_and_search():
    columns, late, _ = people()
    words = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(), StandardScaler()),
                make_column_selector(dtype_include=float),
            )
        ],
        remainder=OneHotEncoder(handle_unknown="ignore"),
        sparse_threshold=1.0,
    )
    search = GridSearchCV(
        make_pipeline(words, GDClassifier()), {"gdclassifier__alpha": [1e-3, 1e-1]}, cv=2
    )
    search.fit(pd.DataFrame(columns), late)
    assert sp.issparse(search.best_estimator_[0].transform(pd.DataFrame(columns)))
    assert search.best_score_ > 0.8


def test_names_through_a_selector():
    chosen = (
        SelectFromModel(GDRegressor(penalty="l1", alpha=2.5))
        .set_output(transform="pandas")
        .fit(FRAME, Z)
    )
    kept = chosen.transform(FRAME)
    assert kept.columns.tolist() == chosen.get_feature_names_out().tolist() == ["a", "b", "d"]
    model = GDRegressor().fit(kept, Z)
    assert model.feature_names_in_.tolist() == ["a", "b", "d"]


# What holds the numbers of FRAME, or of MIXED, whose coefficients differ.
FRAMES = {
    "int": lambda: FRAME,
    "Int64": lambda: FRAME.astype("Int64"),
    "arrow": lambda: (
        pytest.importorskip("pyarrow") and FRAME.convert_dtypes(dtype_backend="pyarrow")
    ),
    "object": lambda: FRAME.astype(object),
    "sparse columns": lambda: pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(X), columns=NAMES),
    "categories": lambda: FRAME.astype({"a": "category"}),
    "index": lambda: FRAME.set_axis(np.random.default_rng(0).permutation(80), axis=0),
    "polars": lambda: pl.DataFrame({name: FRAME[name].to_numpy() for name in NAMES}),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=needs_modern if k == "polars" else ()) for k in FRAMES]
)
def test_frames(kind):
    frame = FRAMES[kind]()
    model = GDClassifier().fit(frame, Y)
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_allclose(
        model.coef_, GDClassifier().fit(X.astype(float), Y).coef_, rtol=1e-10
    )
    np.testing.assert_array_equal(model.predict(frame), model.predict(FRAME))


@pytest.mark.parametrize(
    "frame",
    [MIXED, pl.DataFrame(MIXED), MIXED.astype({"a": "boolean"})],
    ids=["pandas", "polars", "nullable"],
)
def test_flags_and_narrow_columns_are_numbers(frame):
    coef = GDRegressor().fit(MIXED.astype(float), Z).coef_
    np.testing.assert_allclose(GDRegressor().fit(frame, Z).coef_, coef, rtol=1e-5)


FORMATS = [
    f"{name}_{kind}"
    for name in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
    for kind in ("array", "matrix")
]
OTHERS = {
    "memoryview": lambda X: memoryview(X.astype(float)),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "masked": np.ma.masked_array,
    "read-only": lambda X: np.frombuffer(X.astype(float).tobytes()).reshape(X.shape),
    "csc, int64": lambda X: sp.csc_array(
        (X.T.ravel(), np.tile(np.arange(80), 4), np.arange(0, 321, 80)), shape=(80, 4)
    ),
    "coo, int64": lambda X: sp.coo_array(
        (X.ravel(), tuple(np.indices(X.shape).reshape(2, -1))), shape=X.shape
    ),
    "series of rows": lambda X: [pd.Series(row) for row in X],
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
}


@pytest.mark.parametrize("storage", FORMATS + list(OTHERS))
def test_storages(storage):
    make = OTHERS[storage] if storage in OTHERS else getattr(sp, storage)
    for model, y in ((GDClassifier(), Y), (GDRegressor(), Z)):
        coef = clone(model).fit(X.astype(float), y).coef_
        stored = make(X)
        np.testing.assert_allclose(model.fit(stored, y).coef_, coef, rtol=1e-6, atol=1e-8)
        if model.__class__ is GDRegressor:
            np.testing.assert_allclose(
                model.predict(stored), model.predict(X), rtol=1e-6, atol=1e-6
            )
        else:
            np.testing.assert_array_equal(model.predict(stored), model.predict(X))
        assert not hasattr(model, "feature_names_in_")


def test_training_data_stay_as_they_are():
    """Neither values nor order of entries: unsorted indices, doubled entries and zeros belong to
    the caller.
    """
    raw = sp.csr_array(
        (np.ones(6), np.array([3, 0, 0, 2, 1, 1]), np.array([0, 2, 4, 6])), shape=(3, 4)
    )
    kept = [part.copy() for part in (raw.data, raw.indices, raw.indptr)]
    GDRegressor().fit(raw, [0.0, 1.0, 2.0]).predict(raw)
    for before, after in zip(kept, (raw.data, raw.indices, raw.indptr), strict=True):
        np.testing.assert_array_equal(after, before)
    y = Z.copy()
    y.flags.writeable = False
    weights = np.ones(80)
    weights.flags.writeable = False
    GDRegressor().fit(FRAME, y, sample_weight=weights).partial_fit(FRAME, y, sample_weight=weights)


LABELS = {
    "Series": pd.Series(Y),
    "string": pd.Series(Y, dtype="string"),
    "category": pd.Series(Y, dtype="category"),
    "object": Y.astype(object),
    "list": Y.tolist(),
    "polars": pl.Series(Y),
    "polars categories": pl.Series(Y, dtype=pl.Categorical),
    "bytes": Y.astype("S"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_column_of_text_are_those_of_an_array(kind):
    if kind == "bytes":
        # An error in scikit-learn since 1.7, a warning before.
        with pytest.raises((TypeError, FutureWarning), match="bytes"):
            GDClassifier().fit(X, LABELS[kind])
        return
    model = GDClassifier().fit(X, LABELS[kind])
    assert model.classes_.tolist() == ["a", "b"]
    assert model.score(X, LABELS[kind]) > 0.9
    np.testing.assert_array_equal(model.predict(X), GDClassifier().fit(X, Y).predict(X))
    assert GDClassifier().partial_fit(X, LABELS[kind], classes=["a", "b"]).classes_.tolist() == [
        "a",
        "b",
    ]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "boolean", "bool", "float64", "int8"])
def test_labels_that_are_numbers(dtype):
    y = pd.Series(Z > 0).astype(dtype)
    model = GDClassifier().fit(FRAME, y)
    assert model.classes_.tolist() == [0, 1]
    assert model.score(FRAME, y) > 0.9


def test_a_column_of_targets_is_taken_with_a_warning():
    model = GDClassifier()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model.fit(FRAME, pd.DataFrame({"y": Y}))
    np.testing.assert_array_equal(model.coef_, clone(model).fit(FRAME, Y).coef_)


def test_a_column_of_numbers_has_a_column_of_predictions():
    model = GDRegressor().fit(FRAME, pd.DataFrame({"y": Z}))
    np.testing.assert_array_equal(model.coef_, [GDRegressor().fit(FRAME, Z).coef_])
    assert model.predict(FRAME).shape == (80, 1)


@pytest.mark.parametrize(
    "make",
    [pd.Series, pl.Series, list, lambda w: pd.Series(w).astype("Float64")],
    ids=["pandas", "polars", "list", "nullable"],
)
def test_weights_and_offsets(make):
    weights, offset = RNG.uniform(0.5, 2.0, 80), RNG.standard_normal(80)
    expected = GDRegressor().fit(X, Z, sample_weight=weights, offset=offset)
    model = GDRegressor().fit(FRAME, Z, sample_weight=make(weights), offset=make(offset))
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    np.testing.assert_allclose(
        model.predict(FRAME, offset=make(offset)), expected.predict(X, offset=offset), atol=1e-9
    )


def test_names_that_do_not_fit():
    model = GDClassifier().fit(FRAME, Y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict((pl.DataFrame if MODERN else pd.DataFrame)(FRAME[NAMES[::-1]]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(FRAME.rename(columns={"a": "z"}), Y)
    with pytest.raises(ValueError, match="string names"):
        GDClassifier().fit(FRAME.rename(columns={"a": 1}), Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(FRAME.astype("Int64").mask(FRAME == 1))
    model.fit(X, Y)  # the names are those of the last fit
    assert not hasattr(model, "feature_names_in_")


def test_dates_and_words_are_refused_with_what_to_do():
    days = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=80)})
    for dates in (
        days,
        days.to_numpy(),
        pl.DataFrame(days),
        days - days.day[0],
        FRAME.assign(day=days),
    ):
        with pytest.raises(ValueError, match=r"dates or durations .*for example days"):
            GDClassifier().fit(dates, Y)
    with pytest.raises(ValueError, match=r"could not convert string to float: 'x'.*OneHotEncoder"):
        GDClassifier().fit(FRAME.assign(word="x"), Y)


def test_validation_rows_with_other_names():
    with pytest.raises(ValueError, match="feature names should match"):
        GDClassifier().fit(FRAME, Y, X_val=FRAME[NAMES[::-1]], y_val=Y)


@pytest.mark.plain
def test_validation_frames():
    model = GDClassifier(solver="gd", batch_size=1, random_state=0, n_iter_no_change=2, tol=1e-3)
    arrays = clone(model).fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    pandas = clone(model).fit(
        FRAME[:60], Y[:60], X_val=FRAME[60:], y_val=pd.Series(Y[60:], index=range(20))
    )
    polars = clone(model).fit(
        pl.DataFrame(FRAME[:60]), Y[:60], X_val=pl.DataFrame(FRAME[60:]), y_val=pl.Series(Y[60:])
    )
    np.testing.assert_array_equal(pandas.coef_, arrays.coef_)
    np.testing.assert_array_equal(polars.coef_, arrays.coef_)


@pytest.mark.parametrize(
    ("model", "y"), [(GDClassifier(), Y), (GDRegressor(), Z)], ids=["classifier", "regressor"]
)
def test_the_page_of_a_model(model, y):
    """It links to the documentation, of parameters too, before and after a fit, and shows what was
    found.
    """
    name = type(model).__name__
    link = f"https://pypi.org/project/fastgd/#{name}"
    for page in (model._repr_html_(), make_pipeline(StandardScaler(), model)._repr_html_()):
        assert f'href="{link}"' in page
    fitted = clone(model).set_params(alpha=0.123).fit(FRAME, y)
    page = fitted._repr_html_()
    assert "0.123" in page
    assert re.search(r"fitted", page)
    if MODERN:
        assert all(
            f'href="{link}#:~:text={part}' in page
            for part in ("loss", "alpha", "solver", "max_time")
        )
        assert "coef_" in page
    assert repr(fitted) == f"{name}(alpha=0.123)"
    assert "fastgd" not in repr(fitted)
    with sklearn.config_context(display="text", print_changed_only=False):
        assert "batch_size='auto'" in repr(fitted)


def test_tags():
    classifier, regressor = get_tags(GDClassifier()), get_tags(GDRegressor())
    assert is_classifier(GDClassifier())
    assert is_regressor(GDRegressor())
    assert classifier.classifier_tags.multi_class
    assert classifier.classifier_tags.multi_label
    for tags in (classifier, regressor):
        assert tags.input_tags.sparse
        assert tags.target_tags.required
        assert tags.requires_fit
        assert not tags.input_tags.allow_nan
        assert not tags.array_api_support
    pipeline = make_pipeline(StandardScaler(with_mean=False), GDClassifier())
    assert get_tags(pipeline).input_tags.sparse


def test_no_warning_on_the_way():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for frame in (FRAME, pl.DataFrame(FRAME)):
            GDClassifier().fit(frame, Y).predict_proba(frame)
            GDRegressor().partial_fit(frame, Z).score(frame, Z)
