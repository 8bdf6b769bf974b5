"""Whatever is wrong with the data: a clear ValueError, never a crash, and the estimator left as
it was.
"""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor, Objective, from_chunks
from fastgd.linalg.cholesky import Factor
from support.components import ToyMultiSquared

N, D = 12, 4
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D))
Y = np.tile([0, 1], N // 2)
T = RNG.standard_normal(N)


def changed(array, index, value, dtype=None):
    array = np.array(array, dtype=dtype)
    array[index] = value
    return array


def broken(format="csr", array=sp.csr_array, **parts):
    """Sparse matrix whose parts are set without a check, as pickles, memmaps and foreign
    libraries can.
    """
    matrix = array(X).asformat(format)
    for part, value in parts.items():
        setattr(matrix, part, value)
    return matrix


def csr(part, index, value, format="csr", array=sp.csr_array):
    matrix = array(X).asformat(format)
    return broken(format, array, **{part: changed(getattr(matrix, part), index, value)})


def keys(i, j):
    matrix = sp.dok_array(X)
    matrix._dict[i, j] = 1.0
    return matrix


def lists(**parts):
    matrix = sp.lil_array(X)
    for part, value in parts.items():
        getattr(matrix, part)[3] = value
    return matrix


def coo(axis, value):
    matrix = sp.coo_array(X)
    coords = [np.array(index) for index in matrix.coords]
    coords[axis][3] = value
    matrix.coords = tuple(coords)
    return matrix


BAD_X = {
    "one dimension": (X[:, 0], "Expected 2D array, got 1D|two-dimensional"),
    "three dimensions": (X.reshape(N, 2, 2), "dim 3|two-dimensional"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], r"0 feature"),
    "nan": (changed(X, (2, 3), np.nan), "NaN"),
    "infinity": (changed(X, (2, 3), np.inf), "infinity"),
    "nan in float32": (changed(X, (2, 3), np.nan, np.float32), "NaN"),
    "too large for float64": ([[1e308 * 10] * D] * N, "infinity"),
    "complex": (X + 1j, "complex numbers"),
    "strings": (np.full((N, D), "a"), "could not convert|dtype|numeric"),
    "objects": (np.full((N, D), object()), "float|numeric"),
    "dicts": ([{"a": 1}] * N, "dict|dimension|2D"),
    "scalar": (3.0, "Expected 2D array|scalar"),
    "ragged": (
        [[1.0] * D] * (N - 1) + [[1.0]],
        "X has rows of different lengths: row 0 has 4, row 11 has 1",
    ),
    "none": (None, "X is None; give rows of numbers"),
    "a dictionary": ({"a": [1.0] * N}, r"X is a dict; make a table of it, .*DataFrame\(X\)"),
    "a generator": (iter(X), r"which can be read once; make it an array, numpy.array\(list\(X\)\)"),
    "a frame that waits": (pl.DataFrame(X).lazy(), r"X is a LazyFrame, .*: X.collect\(\) reads"),
    "too large for a float": ([[10**400] * D] * N, "a whole number that float64 cannot hold"),
    "columns of one name": (
        pd.DataFrame(X, columns=["a", "b", "a", "c"]),
        "X has 2 columns named 'a'; rename them",
    ),
    "three axes": (X[:, :, None], r"dim 3\b.* X has shape \(12, 4, 1\): X.reshape\(len\(X\), -1\)"),
    "dates": (np.full((N, D), np.datetime64("2020-01-01")), "dtype|datetime|float"),
    "text column": (
        pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": ["x"] * N}),
        "could not convert|string",
    ),
    "sparse nan": (csr("data", 3, np.nan), "NaN"),
    "sparse complex": (sp.csr_array(X + 1j), "complex numbers|real numbers"),
    "sparse no rows": (sp.csr_array((0, D)), "0 sample"),
    "index beyond": (csr("indices", 3, D), r"indices from 0 to 4, allowed are 0 to 3"),
    "index far beyond": (csr("indices", 3, 2**31 - 1), "allowed are 0 to 3"),
    "index negative": (csr("indices", 0, -1), "allowed are 0 to 3"),
    "int64 index beyond": (
        broken(indices=changed(sp.csr_array(X).indices, 5, 10**12, np.int64)),
        "allowed are 0 to 3",
    ),
    "indptr decreases": (csr("indptr", 3, 1), "never decrease"),
    "indptr from 1": (csr("indptr", 0, 1), "must start at 0"),
    "indptr negative": (csr("indptr", 1, -4), "never decrease"),
    "indptr past the end": (csr("indptr", -1, N * D + 5), "past the 48 stored values"),
    "indptr short": (broken(indptr=sp.csr_array(X).indptr[:-2]), "indptr must hold 13 integers"),
    "indptr long": (
        broken(indptr=np.r_[sp.csr_array(X).indptr, N * D]),
        "indptr must hold 13 integers",
    ),
    "indices short": (broken(indices=sp.csr_array(X).indices[:7]), "past the 7 stored values"),
    "data short": (broken(data=np.ones(7)), "past the 7 stored values"),
    "matrix index beyond": (csr("indices", 3, D, array=sp.csr_matrix), "allowed are 0 to 3"),
    "csc index beyond": (csr("indices", 3, N + 7, "csc"), "allowed are 0 to 11"),
    "csc indptr decreases": (csr("indptr", 2, 0, "csc"), "never decrease"),
    "csc indptr past the end": (
        csr("indptr", -1, 400, "csc", sp.csc_matrix),
        "past the 48 stored values",
    ),
    "bsr index beyond": (csr("indices", 0, D, "bsr"), "allowed are 0 to"),
    "bsr indptr past the end": (csr("indptr", -1, 400, "bsr"), "past the"),
    "indices of floats": (
        broken(indices=sp.csr_array(X).indices.astype(float)),
        "array of integers, got float64",
    ),
    "indices uint64": (
        broken(indices=sp.csr_array(X).indices.astype(np.uint64)),
        "array of integers, got uint64",
    ),
    "indptr of floats": (
        broken(indptr=sp.csr_array(X).indptr.astype(float)),
        "13 integers .*, got float64",
    ),
    "indptr a list": (
        broken(indptr=sp.csr_array(X).indptr.tolist()),
        "indptr must be an array, got a list",
    ),
    "indices none": (broken(indices=None), "indices must be an array, got a NoneType"),
    "data a list": (broken(data=[1.0] * N * D), "data must be an array, got a list"),
    "data of two dimensions": (broken(data=np.ones((N * D, 1))), r"cannot have shape \(48, 1\)"),
    "dia data of one dimension": (
        broken("dia", data=np.ones(15)),
        "one row for each of the 15 offsets",
    ),
    "dok key beyond": (keys(99, 0), "index 99 exceeds matrix dimension 12"),
    "lil column beyond": (lists(rows=[0, 1, 2, 9]), "allowed are 0 to 3"),
    "lil lists of two lengths": (lists(rows=[0, 1]), r"rows\[3\] has 2 columns for the 4 values"),
    "lil rows short": (
        broken("lil", rows=sp.lil_array(X).rows[:-1]),
        r"must hold 12 lists each, got shapes \(11,\)",
    ),
    "masked": (np.ma.masked_array(X, X > 1.0), "X has masked values"),
    "coo row beyond": (coo(0, N), "allowed are 0 to 11"),
    "coo column negative": (coo(1, -3), "allowed are 0 to 3"),
}

BAD_Y = {
    "short": (slice(None, -1), "inconsistent|one entry"),
    "three axes": (np.ones((N, 2, 2)), "dim 3|1d array|shape|multi"),
    "masked": (np.ma.masked_array(Y, Y == 1), "y has masked values"),
    "none": (None, "requires y|NoneType"),
    "scalar": (1, "1d array|shape|Singleton|array"),
}
BAD_TARGETS = {
    "nan": (changed(T, 3, np.nan), "NaN"),
    "infinity": (changed(T, 3, -np.inf), "infinity"),
    "strings": (np.array(["a", "b"] * (N // 2)), "must hold real numbers, got dtype <U1"),
    "complex": (T + 1j, "complex numbers|real"),
    "objects": (np.array([object()] * N), "float|numeric"),
    "texts of numbers": (T.astype(str), "y must hold real numbers, got dtype <U"),
    "dates": (Y.astype("M8[s]"), "y must hold real numbers, got dtype datetime64"),
}
BAD_LABELS = {
    "one class": (np.zeros(N), "1 class"),
    "continuous": (T, "Unknown label type"),
    "nan": (changed(Y, 3, np.nan, float), "NaN"),
    "mixed": (np.array([0, "a"] * (N // 2), dtype=object), "label|type|str"),
    "text and none": (
        np.array(["a", None] * (N // 2), dtype=object),
        "y contains missing values .first in row 1.: None",
    ),
    "labels 0 and 2": (2 * np.eye(N)[:, :3].astype(int), "must hold 0 and 1 alone"),
}
BAD_WEIGHTS = {
    "negative": (changed(np.ones(N), 2, -1.0), "must not be negative, got -1"),
    "all zero": (np.zeros(N), "zero for every row"),
    "short": (np.ones(N - 1), r"12 rows of X(_val)?, got shape \(11,\)"),
    "two columns": (np.ones((N, 2)), r"shape \(12,\), got \(12, 2\)"),
    "nan": (changed(np.ones(N), 2, np.nan), "NaN or infinity"),
    "infinity": (changed(np.ones(N), 2, np.inf), "NaN or infinity"),
    "strings": (["1"] * N, "real number for each row"),
    "complex": (np.ones(N) + 1j, "real number for each row"),
    "ragged": ([[1.0], [1.0, 2.0]] + [1.0] * (N - 2), "real number for each row"),
    "negative number": (-2.0, "negative"),
    "masked": (np.ma.masked_array(np.ones(N), Y == 1), "has masked values"),
    "sum overflows": (np.full(N, 1e308), "adds up to more than a float can hold; divide it by 1e"),
}


def models():
    return [GDClassifier(max_iter=3, tol=None), GDRegressor(max_iter=3, tol=None)]


def right(model):
    return Y if isinstance(model, GDClassifier) else T


def states(model):
    """A fresh and a fitted one, each with a copy to compare with."""
    fitted = copy.deepcopy(model).fit(X, right(model))
    return [(model, copy.deepcopy(vars(model))), (fitted, copy.deepcopy(vars(fitted)))]


def assert_refused(model, before, message, method, *args, error=ValueError, **kwargs):
    with pytest.raises(error, match=message):
        getattr(model, method)(*args, **kwargs)
    assert vars(model).keys() == before.keys()
    for name, value in before.items():
        now = vars(model)[name]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(now, value, err_msg=name)
        elif name not in ("_states", "_chunks", "_last_task", "history_", "plan_"):
            assert now == value, name
    if before.get("_states", [None])[0] is not None:
        np.testing.assert_array_equal(vars(model)["_states"][0].point, before["_states"][0].point)


@pytest.mark.plain
@pytest.mark.parametrize("what", BAD_X)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_broken_X_is_refused_by_every_method(what):
    bad, message = BAD_X[what]
    for model in models():
        for state, before in states(model):
            assert_refused(state, before, message, "fit", bad, right(model))
            first = {"classes": [0, 1]} if isinstance(model, GDClassifier) else {}
            assert_refused(state, before, message, "partial_fit", bad, right(model), **first)
            if "coef_" in before:
                assert_refused(state, before, message, "predict", bad)
                if isinstance(model, GDClassifier):
                    assert_refused(state, before, message, "decision_function", bad)
                    assert_refused(state, before, message, "predict_proba", bad)


@pytest.mark.parametrize(
    "what", ["index beyond", "indptr past the end", "nan", "one dimension", "no rows"]
)
def test_broken_validation_rows_are_refused(what):
    bad, message = BAD_X[what]
    for model in models():
        for state, before in states(model):
            assert_refused(
                state, before, message, "fit", X, right(model), X_val=bad, y_val=right(model)
            )


@pytest.mark.parametrize("what", BAD_Y)
def test_a_broken_y_is_refused(what):
    bad, message = BAD_Y[what]
    for model in models():
        y = right(model)[bad] if isinstance(bad, slice) else bad
        for state, before in states(model):
            assert_refused(state, before, message, "fit", X, y)
            first = (
                {"classes": [0, 1, 2]}
                if isinstance(model, GDClassifier) and "coef_" not in before
                else {}
            )
            assert_refused(state, before, message, "partial_fit", X, y, **first)


@pytest.mark.parametrize("what", BAD_TARGETS)
def test_broken_targets_of_a_regressor_are_refused(what):
    bad, message = BAD_TARGETS[what]
    for state, before in states(models()[1]):
        assert_refused(state, before, message, "fit", X, bad)
        assert_refused(state, before, message, "partial_fit", X, bad)


@pytest.mark.parametrize("what", BAD_LABELS)
def test_broken_labels_of_a_classifier_are_refused(what):
    bad, message = BAD_LABELS[what]
    for state, before in states(models()[0]):
        assert_refused(state, before, message, "fit", X, bad)


@pytest.mark.parametrize("what", BAD_WEIGHTS)
def test_broken_weights_are_refused(what):
    bad, message = BAD_WEIGHTS[what]
    for model in models():
        for state, before in states(model):
            assert_refused(state, before, message, "fit", X, right(model), sample_weight=bad)
            first = {"classes": [0, 1]} if isinstance(model, GDClassifier) else {}
            assert_refused(
                state, before, message, "partial_fit", X, right(model), sample_weight=bad, **first
            )
            assert_refused(
                state,
                before,
                message,
                "fit",
                X,
                right(model),
                X_val=X,
                y_val=right(model),
                sample_weight_val=bad,
            )


def test_weights_that_leave_one_class():
    message = "1 class with a positive weight: no row of class 0 has one"
    for state, before in states(models()[0]):
        assert_refused(state, before, message, "fit", X, Y, sample_weight=Y)
    model = GDClassifier(class_weight={0: 0.0})
    assert_refused(model, vars(model).copy(), message, "fit", X, Y)
    model = GDClassifier(class_weight={0: -1.0})
    assert_refused(model, vars(model).copy(), "negative", "fit", X, Y)


@pytest.mark.thinned(plain=1, compiled=4)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")  # of NumPy, without the JIT
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("parameters", [{}, {"solver": "gd", "learning_rate": "constant"}], ids=str)
def test_exposures_as_offsets_are_refused(loss, parameters):
    """Without their logarithms exp overflows in every model: an infinite intercept before."""
    model = GDRegressor(loss, **parameters)
    exposure = np.linspace(1.0, 3000.0, N)
    with pytest.raises(ValueError, match=r"offsets from .* to .*np\.log\(exposure\)"):
        model.fit(X, np.abs(T) + 0.1, offset=exposure * np.sign(T))
    GDRegressor(loss).fit(X, np.abs(T) + 0.1, offset=np.log(exposure))


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (np.ones(N - 1), r"got shape \(11,\)"),
        (changed(np.ones(N), 2, np.nan), "NaN|finite"),
        (np.ones((N, 2)), "shape"),
        (["a"] * N, "number"),
        (np.ones(N) * 1j, "number"),
    ],
)
def test_offset(offset, message):
    for model in models():
        for state, before in states(model):
            assert_refused(state, before, message, "fit", X, right(model), offset=offset)
            if "coef_" in before:
                assert_refused(state, before, message, "predict", X, offset=offset)


@pytest.mark.parametrize(
    "start",
    [
        {"coef_init": np.ones(D + 1)},
        {"coef_init": np.ones((2, D))},
        {"coef_init": changed(np.ones(D), 1, np.nan)},
        {"coef_init": ["a"] * D},
        {"coef_init": np.ones(D) * 1j},
        {"intercept_init": np.ones(2)},
        {"intercept_init": np.inf},
        {"coef_init": np.ones(D), "intercept_init": "a"},
    ],
)
def test_starting_point(start):
    for model in models():
        for state, before in states(model):
            assert_refused(
                state, before, "(coef_init|intercept_init) must", "fit", X, right(model), **start
            )


def test_validation_data_that_do_not_fit():
    for model in models():
        y = right(model)
        for state, before in states(model):
            assert_refused(state, before, "given together", "fit", X, y, X_val=X)
            assert_refused(state, before, "given together", "fit", X, y, y_val=y)
            assert_refused(
                state,
                before,
                "sample_weight_val needs X_val",
                "fit",
                X,
                y,
                sample_weight_val=np.ones(N),
            )
            assert_refused(
                state, before, "X_val has 2 features, X has 4", "fit", X, y, X_val=X[:, :2], y_val=y
            )
            wrong = r"y_val must have (shape \(5,\)|one entry for each of the 5 rows of X_val)"
            assert_refused(state, before, wrong, "fit", X, y, X_val=X[:5], y_val=y)
            wrong = r"y_val must have shape \(12,\), as X_val and y say, got \(12, 2\)"
            assert_refused(state, before, wrong, "fit", X, y, X_val=X, y_val=np.c_[y, y])
            wrong = "sample_weight_val must have one entry for each of the 5 rows of X_val"
            few = {"X_val": X[:5], "y_val": y[:5], "sample_weight_val": np.ones(N)}
            assert_refused(state, before, wrong, "fit", X, y, **few)
            bad = np.full(N, 7) if isinstance(model, GDClassifier) else np.full(N, np.nan)
            assert_refused(state, before, "labels|NaN", "fit", X, y, X_val=X, y_val=bad)
            state.set_params(early_stopping=True)
            few = [0, 1, 3] if isinstance(model, GDClassifier) else [0]
            assert_refused(
                state, vars(state).copy(), "validation_fraction=0.1 of", "fit", X[few], y[few]
            )


@pytest.mark.parametrize("model", models(), ids=repr)
def test_a_score_needs_targets(model):
    fitted = model.fit(X, right(model))
    with pytest.raises(ValueError, match="y is missing"):
        fitted.score(X)


def test_a_y_of_different_lengths():
    with pytest.raises(ValueError, match="y has rows of different lengths: row 0 has 1, row 1 has"):
        GDRegressor().fit(X, [[1], [1, 2]] * (N // 2))


def test_columns_that_differ_from_those_fitted():
    for model in models():
        _, (state, before) = states(model)
        for method in ("predict", "score", "partial_fit"):
            args = (X[:, :2],) if method == "predict" else (X[:, :2], right(model))
            assert_refused(state, before, "2 features, but .* is expecting 4", method, *args)


@pytest.mark.plain
def test_labels_of_partial_fit():
    model = GDClassifier()
    assert_refused(
        model, vars(model).copy(), "classes must be passed on the first call", "partial_fit", X, Y
    )
    assert_refused(model, vars(model).copy(), "at least 2 labels", "partial_fit", X, Y, classes=[0])
    assert_refused(
        model, vars(model).copy(), "not among the classes.*1", "partial_fit", X, Y, classes=[0, 2]
    )
    model.partial_fit(X, Y, classes=[0, 1])
    before = copy.deepcopy(vars(model))
    assert_refused(model, before, r"not among the classes \[0 1\]: \[2\]", "partial_fit", X, Y * 2)
    assert_refused(
        model, before, "is not what the first call", "partial_fit", X, Y, classes=[0, 1, 2]
    )
    assert_refused(
        model, before, "not among the classes", "partial_fit", X, np.array(["a", "b"] * (N // 2))
    )


def test_classes_that_have_no_order():
    model = GDClassifier()
    for classes in ([0, "a"], [None, "a"]):
        classes = np.array(classes, dtype=object)
        assert_refused(
            model, vars(model).copy(), "classes mixes labels", "partial_fit", X, Y, classes=classes
        )
    model.partial_fit(X, Y, classes=[0, 1])
    mixed = np.array(["a", 1] * (N // 2), dtype=object)
    assert_refused(
        model, copy.deepcopy(vars(model)), "another type than the classes", "partial_fit", X, mixed
    )


def test_not_fitted():
    for model in models():
        for method, args in (
            ("predict", (X,)),
            ("score", (X, right(model))),
            ("sparsify", ()),
            ("densify", ()),
        ):
            assert_refused(model, vars(model).copy(), "not fitted", method, *args)


@pytest.mark.thinned(plain=1, compiled=6)
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_fit_predict_and_chunks_say_the_same_of_nan(storage, value):
    bad = storage(changed(X, (5, 2), value))
    model = GDRegressor(solver="gd", batch_size=1, max_iter=1, tol=None).fit(storage(X), T)
    texts = set()
    for call in (model.predict, lambda X: model.fit(X, T), lambda X: model.partial_fit(X, T)):
        with pytest.raises(ValueError, match=r"NaN or infinity .first in row 5, column 2.") as told:
            call(bad)
        texts.add(str(told.value))
    assert len(texts) == 1


@pytest.mark.plain
def test_an_index_array_that_changes_after_fit():
    matrix = sp.csr_array(X)
    model = GDRegressor(max_iter=3, tol=None).fit(matrix, T)
    matrix.indices[-1] = 10_000_000
    for method, args in (
        ("predict", (matrix,)),
        ("fit", (matrix, T)),
        ("partial_fit", (matrix, T)),
    ):
        assert_refused(model, copy.deepcopy(vars(model)), "allowed are 0 to 3", method, *args)


HUGE = np.random.default_rng(0).standard_normal((30, 3)) * [1.0, 1.0, 1e300]


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array, lambda X: X[::2]])
@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_squares_that_overflow_are_refused(kind, storage):
    X = storage(HUGE)
    y = (np.arange(X.shape[0]) % 2).astype(float)
    for call in (kind().fit, lambda X, y: Objective("squared_error", X, y)):
        with pytest.raises(ValueError, match="squares overflow; give its columns other units"):
            call(X, y)


@pytest.mark.plain
def test_huge_targets_are_refused_and_large_floats_are_not():
    with pytest.raises(ValueError, match="y holds values of up to"):
        GDRegressor().fit(HUGE[:, :2], HUGE[:, 2])
    X = HUGE[:, :2].astype(np.float32) * np.float32(1e30)  # squares overflow in float32 alone
    assert np.isfinite(GDRegressor().fit(X, HUGE[:, 0]).coef_).all()


def test_a_matrix_that_is_not_finite_has_no_direction():
    with np.errstate(all="ignore"):
        assert not Factor(np.full((3, 3), np.nan)).solve(np.ones(3)).any()


@pytest.mark.parametrize("kind", ["dense", "fortran", "sparse", "objective", "blocks"])
def test_a_column_whose_squares_underflow_is_refused(kind):
    """Its mean square is 0, or has few digits: objectives were wrong, and so were proofs."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 3)), rng.normal(size=300)
    X[:, 1] *= 1e-160
    X[:64, 1] = 0.0
    message = "X has no value beyond .*e-160 in column 1, whose squares underflow"
    blocks = from_chunks(lambda: iter([(X[:100], y[:100]), (X[100:], y[100:])]))
    calls = {
        "dense": lambda: GDRegressor().fit(X.copy(), y),
        "fortran": lambda: GDRegressor().fit(np.asfortranarray(X), y),
        "sparse": lambda: GDRegressor().fit(sp.csr_array(X), y),
        "objective": lambda: Objective("squared_error", X, y),
        "blocks": lambda: GDRegressor().fit(blocks),
    }
    with pytest.raises(ValueError, match=message):
        calls[kind]()
    X[0, 1] = 1e-140
    model = GDRegressor().fit(X, y)
    assert model.predict(1e-160 * np.eye(3)).shape == (3,)


@pytest.mark.plain
@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_targets_whose_squares_underflow_are_refused(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    y = np.c_[X[:, 0], 1e-150 * X[:, 1]]
    for call in (GDRegressor(loss).fit, lambda X, y: Objective(loss, X, y)):
        with pytest.raises(ValueError, match=r"y holds values of up to .*e-150 only"):
            call(X, y[:, 1])
    message = "column 1 of y holds values of up to .*underflow; scale it"
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss).fit(X, y)
    joint = ToyMultiSquared()
    for call in (GDRegressor(joint).fit, lambda X, y: Objective(joint, X, y)):
        with pytest.raises(ValueError, match=message):
            call(X, y)
    assert GDRegressor(loss).fit(X, np.zeros(30)).suboptimality_ < 1e-15


@pytest.mark.plain
def test_tiny_targets_of_a_link_are_fitted():
    """A mean of 1e-148 is a prediction of -340: nothing is squared."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = np.where(X[:, 0] > 0.0, 1.0, 2.0)
    tiny, model = GDRegressor("gamma").fit(X, 1e-148 * y), GDRegressor("gamma").fit(X, y)
    np.testing.assert_allclose(tiny.coef_, model.coef_, rtol=1e-3)
    assert tiny.objective_ == pytest.approx(model.objective_, rel=1e-4)
    assert Objective("gamma", X, 1e-148 * y).n_samples == 30


@pytest.mark.plain
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("size", [1e-40, 1e-65, 1e-140])
def test_a_proof_of_small_targets_is_in_their_unit(loss, size):
    """Units below 1e-60 were rounded up to it: 7e-7 were told where 1.1 were left."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=100)
    model = GDRegressor(loss, alpha=0.0).fit(X, size * y)
    best = GDRegressor("squared_error" if loss == "huber" else loss, alpha=0.0, tol=1e-10)
    unit = size if loss == "quantile" else size**2
    left = model.objective_ / unit / best.fit(X, y).objective_ - 1.0
    assert left <= model.suboptimality_ + 1e-8 < 1e-3
