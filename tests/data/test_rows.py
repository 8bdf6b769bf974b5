"""Everything that may come in as X, and everything that must not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fastgd.data.check_X import as_rows, check_structure
from fastgd.data.row_loops import WIDE
from fastgd.data.rows import CSRRows, DenseRows, StridedRows

X = np.array([[1.0, 0.0, -2.0, 0.5], [0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, -4.0]])
FORMATS = ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"]
KINDS = [kind for name in FORMATS for kind in (f"{name}_matrix", f"{name}_array")]


def dense(rows):
    """The matrix that `Rows` stand for, read with the methods that kernels use."""
    n, d = rows.shape()
    return np.array([[rows.dot(i, unit) for unit in np.eye(d)] for i in range(n)])


def check_rows(rows, expected):
    np.testing.assert_array_equal(dense(rows), expected)
    for field in (rows.values, *((rows.columns, rows.starts) if rows.sparse else ())):
        assert field.flags.c_contiguous
        assert not field.flags.writeable
        assert field.dtype.isnative
    if rows.sparse:
        assert rows.columns.dtype in (np.uint32, np.uint64)
        assert rows.starts.dtype == np.uint64
        assert rows.stored() == np.count_nonzero(expected)


# Dense


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        np.asfortranarray,
        lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
        lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
        lambda X: tuple(map(tuple, X)),
        lambda X: X.astype(object),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.longdouble),
        pd.DataFrame,
        lambda X: pd.DataFrame(X, dtype="Float64"),
    ],
    ids=[
        "C",
        "F",
        "strided",
        "reversed",
        "big_endian",
        "list",
        "tuple",
        "object",
        "half",
        "long",
        "frame",
        "nullable",
    ],
)
def test_dense_input_becomes_float64_in_c_order(make):
    rows = as_rows(make(X))
    assert isinstance(rows, DenseRows)
    assert rows.values.dtype == np.float64
    assert (rows.shape(), rows.stored()) == ((3, 4), 12)
    check_rows(rows, X)


@pytest.mark.parametrize("dtype", [np.float32, ">f4"])
def test_float32_is_kept(dtype):
    matrix = sp.csr_array(X)
    matrix.data = matrix.data.astype(dtype)
    for made in (as_rows(X.astype(dtype)), as_rows(matrix)):
        assert made.values.dtype == np.float32
        check_rows(made, X)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, bool])
def test_integers_and_bools_become_float64(dtype):
    table = np.array([[0, 1], [1, 1]], dtype)
    for made in (as_rows(table), as_rows(sp.csr_array(table))):
        assert made.values.dtype == np.float64
        check_rows(made, table)


def test_what_needs_no_copy_is_not_copied(tmp_path):
    stored = np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape)
    stored[:] = X
    for table in (X, stored, np.memmap(tmp_path / "X", np.float64, "r", shape=X.shape)):
        assert np.shares_memory(as_rows(table).values, table)
    matrix = sp.csr_array(X)
    rows = as_rows(matrix)
    assert np.shares_memory(rows.values, matrix.data)
    assert np.shares_memory(rows.columns, matrix.indices)


@pytest.mark.boundscheck
@pytest.mark.parametrize("n_values", [700, 90, 0])
def test_rows_that_meet_little_of_a_long_vector(n_values):
    n_columns = WIDE + 3
    rng = np.random.default_rng(0)
    where = rng.integers(9, size=n_values), rng.integers(n_columns, size=n_values)
    matrix = sp.csr_array((rng.standard_normal(n_values), where), shape=(9, n_columns))
    rows, coef, multiples = as_rows(matrix), rng.standard_normal(n_columns), rng.standard_normal(7)
    products, sums = np.zeros(7), np.zeros(n_columns)
    rows.dot_rows(1, 8, coef, products)
    rows.add_rows(1, 8, multiples, sums, 0)
    np.testing.assert_allclose(products, (matrix @ coef)[1:8], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sums, matrix[1:8].T @ multiples, rtol=1e-12, atol=1e-12)


WIDER = np.concatenate([np.full((3, 2), np.nan), X, np.full((3, 1), np.nan)], axis=1)
IN_PLACE = {
    "fortran": np.asfortranarray(X),
    "every second": np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "some columns": WIDER[:, 2:6],
    "last columns": np.ascontiguousarray(WIDER[:, 1:6])[:, 1:],
    "some of fortran": np.asfortranarray(WIDER)[:, 2:6],
    "every second of them": np.asfortranarray(np.repeat(WIDER, 2, axis=0))[1::2, 2:6],
    "float32": np.asfortranarray(X, dtype=np.float32),
    "repeated": np.broadcast_to(X[1], (3, 4)),
    "windows": np.lib.stride_tricks.sliding_window_view(np.arange(6.0), 4),
}


@pytest.mark.boundscheck
@pytest.mark.parametrize("name", IN_PLACE)
def test_what_is_read_in_place(name):
    table = IN_PLACE[name]
    rows = as_rows(table, in_place=True)
    assert isinstance(rows, StridedRows)
    assert np.shares_memory(rows.values, table)
    assert not rows.values.flags.writeable
    assert rows.values.dtype == table.dtype
    assert (rows.shape(), rows.stored()) == ((3, 4), 12)
    assert rows.nonzeros() == np.count_nonzero(table)
    assert rows.sum_of_squares() == pytest.approx(np.square(table, dtype=float).sum())
    np.testing.assert_array_equal(dense(rows), table)
    np.testing.assert_array_equal(rows.in_c_order().values, table)
    np.testing.assert_array_equal(rows.take([2, 0]), table[[2, 0]])
    np.testing.assert_allclose(rows.matvec(np.arange(4.0)), table @ np.arange(4.0))
    products, vector = np.zeros(3), np.zeros(4)
    rows.dot_rows(0, 3, np.arange(4.0), products)
    rows.add_rows(0, 3, np.arange(3.0), vector, 0)
    np.testing.assert_allclose(products, table @ np.arange(4.0))
    np.testing.assert_allclose(vector, np.arange(3.0) @ table)
    assert rows.without_columns().shape() == (3, 0)


@pytest.mark.parametrize(
    "make", [lambda X: X[::-1], lambda X: X.T.astype(">f8").T, lambda X: np.asfortranarray(X, int)]
)
def test_what_kernels_cannot_read_in_place_is_copied(make):
    rows = as_rows(make(X), in_place=True)
    assert isinstance(rows, DenseRows)
    np.testing.assert_array_equal(dense(rows), make(X))


def test_steps_that_are_no_whole_values_are_copied():
    records = np.zeros(3, dtype=[("label", "i1"), ("x", "f8", (4,))])
    records["x"] = X
    assert isinstance(as_rows(records["x"], in_place=True), DenseRows)


def test_nan_is_found_in_place():
    table = np.asfortranarray(X).copy(order="F")
    table[2, 1] = np.nan
    with pytest.raises(ValueError, match="row 2, column 1"):
        as_rows(table, in_place=True)


# Sparse


@pytest.mark.boundscheck
@pytest.mark.parametrize("kind", KINDS)
def test_every_sparse_kind_is_its_toarray(kind):
    rows = as_rows(getattr(sp, kind)(X))
    assert isinstance(rows, CSRRows)
    assert rows.shape() == (3, 4)
    check_rows(rows, X)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "bsr_matrix"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, ">f8", np.float32, np.int16, bool])
def test_index_and_value_types(kind, index, dtype):
    table = X if np.dtype(dtype).kind == "f" else np.abs(X).astype(dtype)
    matrix = getattr(sp, kind)(table)
    matrix.data = matrix.data.astype(dtype)
    for name in ("indices", "indptr", "row", "col"):
        if hasattr(matrix, name):
            setattr(matrix, name, getattr(matrix, name).astype(index))
    check_rows(as_rows(matrix), table)


@pytest.mark.boundscheck
@pytest.mark.parametrize("d", [5, 13])
def test_methods_of_all_rows_agree(d):
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((11, d)) * (rng.random((11, d)) < 0.6)
    coef, table = rng.standard_normal(d), rng.standard_normal((d, 3))
    wide = np.repeat(matrix, 2, axis=1)
    lying = [np.asfortranarray(matrix), wide[:, ::2], np.column_stack([wide, matrix])[:, 2 * d :]]
    for rows in (
        as_rows(sp.csr_array(matrix)),
        *(as_rows(one, in_place=True) for one in (matrix, *lying)),
    ):
        for i in range(11):
            rows.prefetch(i)
            assert rows.dot(i, coef) == pytest.approx(matrix[i] @ coef)
            assert rows.squared_norm(i) == pytest.approx(matrix[i] @ matrix[i])
            vector, out, sums = np.ones(d), np.ones(3), np.ones((d, 3))
            rows.add(i, -2.0, vector)
            np.testing.assert_allclose(vector, 1 - 2 * matrix[i])
            rows.add_products(i, table, out)
            np.testing.assert_allclose(out, 1 + matrix[i] @ table)
            rows.add_outer(i, out, sums)
            np.testing.assert_allclose(sums, 1 + np.outer(matrix[i], out))
            start, stop = rows.span(i)
            entries = {
                int(rows.column(k)): float(rows.entry(i, k)) for k in range(int(start), int(stop))
            }
            assert {j: value for j, value in entries.items() if value} == {
                int(j): float(matrix[i, j]) for j in np.flatnonzero(matrix[i])
            }
        for first, stop in ((0, 11), (1, 11), (2, 4), (3, 3), (10, 11)):
            vector, multiples, out = np.ones(d), rng.standard_normal(11), np.full(11, 7.0)
            rows.add_rows(first, stop, multiples, vector, 0)
            np.testing.assert_allclose(vector, 1 + multiples[: stop - first] @ matrix[first:stop])
            rows.dot_rows(first, stop, coef, out)
            np.testing.assert_allclose(
                out, [*(matrix[first:stop] @ coef), *np.full(11 - stop + first, 7.0)]
            )


@pytest.mark.parametrize("flag", [None, True, False])
@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix"])
def test_unsorted_repeated_and_zero_entries_whatever_the_flags_say(kind, flag):
    data = np.array([1.0, 2.0, 4.0, 0.0, 3.0, -3.0, 5.0])
    matrix = getattr(sp, kind)((data, [2, 0, 2, 1, 1, 1, 0], [0, 4, 6, 7]), shape=(3, 3))
    if flag is not None:
        matrix.has_sorted_indices = matrix.has_canonical_format = flag
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    expected = np.array([[2.0, 0.0, 5.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    check_rows(as_rows(matrix), expected if kind.startswith("csr") else expected.T)
    for part, old in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, old)
    if flag is not None:
        assert matrix.has_canonical_format == flag


@pytest.mark.parametrize("flag", [True, False])
def test_repeated_entries_of_a_coo_matrix(flag):
    matrix = sp.coo_matrix(([1.0, 2.0, 4.0], ([0, 0, 2], [1, 1, 0])), shape=(3, 2))
    matrix.has_canonical_format = flag
    check_rows(as_rows(matrix), [[0.0, 3.0], [0.0, 0.0], [4.0, 0.0]])
    assert matrix.nnz == 3


def test_a_fall_of_the_indices_is_seen_across_the_values_among_which_it_is_looked_for():
    n = 1 << 18  # as many as are looked at once
    columns = np.arange(n + 2)
    for swapped in (columns[[*range(n - 1), n, n - 1, n + 1]], columns):
        matrix = sp.csr_array(
            (np.ones(n + 2), swapped.astype(np.int32), np.array([0, n + 2])), shape=(1, n + 2)
        )
        matrix.has_sorted_indices = matrix.has_canonical_format = True
        np.testing.assert_array_equal(as_rows(matrix).columns, columns)
    split = sp.csr_array(
        (np.ones(n + 2), np.append(columns[:n], [0, 1]), [0, n, n, n + 2]), shape=(3, n)
    )
    assert np.shares_memory(as_rows(split).values, split.data)


def test_more_storage_than_indptr_says_is_ignored():
    matrix = sp.csr_array(X)
    matrix.data, matrix.indices = (
        np.append(matrix.data, [7.0, np.nan]),
        np.append(matrix.indices, [0, 99]).astype(np.int32),
    )
    check_rows(as_rows(matrix), X)


def test_sizes_of_a_few_sparse_rows_are_those_of_all_storages():
    X = np.random.default_rng(1).standard_normal((30, 12))
    X[X < 0.5] = 0.0
    X[7] = 0.0
    chosen, largest = np.array([2, 7, 8, 29]), np.zeros(12)
    np.maximum.at(largest, *as_rows(sp.csr_array(-X)).sizes_in(chosen))
    np.testing.assert_array_equal(largest, np.abs(X[chosen]).max(axis=0))
    np.testing.assert_array_equal(as_rows(X).sizes_in(chosen)[1], largest)


def test_no_stored_value_at_all():
    check_rows(as_rows(sp.csr_array((3, 2))), np.zeros((3, 2)))


def test_more_columns_than_int32_can_count():
    matrix = sp.csr_array(
        ([1.0, 2.0], np.array([2**33 - 1, 5]), np.array([0, 1, 1, 2])), shape=(3, 2**33)
    )
    rows = as_rows(matrix)
    assert rows.shape() == (3, 2**33)
    assert rows.columns.dtype == np.uint64
    np.testing.assert_array_equal(rows.columns, [2**33 - 1, 5])


def test_x_is_never_modified():
    for kind in KINDS:
        matrix = getattr(sp, kind)(X)
        before = matrix.copy()
        as_rows(matrix)
        assert (matrix != before).nnz == 0
        if (
            hasattr(matrix, "data")
            and isinstance(matrix.data, np.ndarray)
            and matrix.data.dtype != object
        ):
            np.testing.assert_array_equal(matrix.data, before.data)
            matrix.data.setflags(write=False)
            as_rows(matrix)
    frozen = X.copy()
    frozen.setflags(write=False)
    check_rows(as_rows(frozen), X)


# What is refused


def broken(kind, **parts):
    """A matrix of 3 rows and 4 columns (bsr: 2 rows) that SciPy built and someone then spoiled."""
    matrix = (
        sp.bsr_matrix(X[:2], blocksize=(1, 2)) if kind == "bsr_matrix" else getattr(sp, kind)(X)
    )
    for name, value in parts.items():
        setattr(matrix, name, np.asarray(value))
    return matrix


INT = np.int32
BROKEN = {
    "column too large": (
        broken("csr_matrix", indices=np.array([0, 2, 99, 1, 3], INT)),
        "allowed are 0 to 3",
    ),
    "column far too large": (
        broken("csr_matrix", indices=np.array([0, 2, 2**62, 1, 3])),
        "allowed are 0 to 3",
    ),
    "negative column": (broken("csr_matrix", indices=np.array([0, -1, 3, 1, 3], INT)), "from -1"),
    "fractional columns": (
        broken("csr_matrix", indices=np.array([0, 0.5, 3, 1, 3])),
        "array of integers",
    ),
    "decreasing indptr": (
        broken("csr_matrix", indptr=np.array([0, 3, 1, 5], INT)),
        "never decrease",
    ),
    "negative indptr": (broken("csr_matrix", indptr=np.array([-1, 3, 3, 5], INT)), "start at 0"),
    "indptr starts late": (broken("csr_matrix", indptr=np.array([2, 3, 3, 5], INT)), "start at 0"),
    "indptr past the end": (
        broken("csr_matrix", indptr=np.array([0, 3, 3, 500], INT)),
        "past the 5 stored",
    ),
    "indptr too short": (broken("csr_matrix", indptr=np.array([0, 3], INT)), "indptr must hold 4"),
    "indptr too long": (
        broken("csr_matrix", indptr=np.array([0, 3, 3, 5, 5], INT)),
        "indptr must hold 4",
    ),
    "fewer values than indices": (broken("csr_matrix", data=np.ones(2)), "past the 2 stored"),
    "fewer indices than values": (
        broken("csr_matrix", indices=np.array([0, 1], INT)),
        "past the 2 stored",
    ),
    "csc row too large": (
        broken("csc_matrix", indices=np.array([0, 2, 99, 0, 2], INT)),
        "allowed are 0 to 2",
    ),
    "csc indptr past the end": (
        broken("csc_matrix", indptr=np.array([0, 1, 2, 3, 99], INT)),
        "past the 5 stored",
    ),
    "csc indptr decreases": (
        broken("csc_matrix", indptr=np.array([0, 4, 2, 3, 5], INT)),
        "never decrease",
    ),
    "bsr block too far": (
        broken("bsr_matrix", indices=np.array([0, 7], INT)),
        "allowed are 0 to 1",
    ),
    "bsr indptr past the end": (
        broken("bsr_matrix", indptr=np.array([0, 2, 9], INT)),
        "past the 2 stored",
    ),
    "coo row too large": (
        broken("coo_matrix", row=np.array([0, 0, 0, 2, 99], INT)),
        "allowed are 0 to 2",
    ),
    "coo negative column": (
        broken("coo_matrix", col=np.array([0, 2, 3, 1, -5], INT)),
        "from -5 to 3",
    ),
    "coo lengths": (broken("coo_matrix", data=np.ones(9)), "as long as"),
    "dia lengths": (broken("dia_matrix", offsets=np.array([0], INT)), "one row for each"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_structure_that_points_out_of_bounds_is_refused(name):
    matrix, message = BROKEN[name]
    with pytest.raises(ValueError, match=message):
        as_rows(matrix)
    with pytest.raises(ValueError, match=message):
        check_structure(matrix, "X_val")


def test_keys_and_lists_that_point_out_of_bounds_are_refused():
    keys = sp.dok_matrix(X)
    keys._dict[99, 0] = 1.0
    lists = sp.lil_matrix(X)
    lists.rows[2][1] = 99
    for matrix in (keys, lists):
        with pytest.raises(ValueError, match=r"allowed are 0 to|exceeds matrix dimension"):
            as_rows(matrix)


def test_check_structure_leaves_dense_tables_alone():
    check_structure(X)
    check_structure(None)


@pytest.mark.parametrize(
    "table", [X[0], X[:, :, None], np.float64(3.0), [1.0, 2.0], sp.coo_array(X[0])]
)
def test_only_two_dimensions(table):
    with pytest.raises(
        ValueError, match=r"must be two-dimensional, got shape .* Reshape your data"
    ):
        as_rows(table)


@pytest.mark.parametrize(
    "make", [np.zeros, sp.csr_array, sp.coo_matrix], ids=["dense", "csr", "coo"]
)
def test_no_rows_or_no_columns(make):
    with pytest.raises(
        ValueError, match=r"Z has 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required"
    ):
        as_rows(make((0, 3)), name="Z")
    with pytest.raises(
        ValueError,
        match=r"Z has 0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required",
    ):
        as_rows(make((3, 0)), name="Z")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "make", [np.asarray, sp.csr_array, sp.csc_matrix, np.float32], ids=["dense", "csr", "csc", "f4"]
)
def test_nan_and_infinity_are_refused_with_their_place(make, bad):
    table = X.copy()
    table[2, 1] = bad
    table[2, 3] = np.nan
    with pytest.raises(
        ValueError, match=r"X contains NaN or infinity \(first in row 2, column 1\)"
    ):
        as_rows(make(table))


def test_nan_is_found_far_down():
    table = np.zeros((70_000, 2))
    table[69_999, 1] = np.nan
    with pytest.raises(ValueError, match="row 69999, column 1"):
        as_rows(table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (X + 1j, "Complex data not supported"),
        (sp.csr_array(X + 1j), "Complex data not supported"),
        (X.astype(object) + 1j, "strings or complex"),
        (X.astype(str), "must hold real numbers, got dtype <U"),
        (X.astype(str).astype(object), "strings or complex"),
        (X.astype(bytes), "must hold real numbers"),
        (X.astype("M8[s]"), "must hold real numbers, got dtype datetime64"),
        (X.astype("m8[s]"), "must hold real numbers"),
        ([["a", 1.0]], "must hold real numbers"),
        (pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}), "strings or complex"),
        (np.zeros(3, [("a", float)]).reshape(1, 3), "must hold real numbers"),
    ],
)
def test_only_real_numbers(table, message):
    with pytest.raises(ValueError, match=message):
        as_rows(table)


def test_an_object_that_is_no_number():
    table = X.astype(object)
    table[0, 0] = {}
    with pytest.raises(
        TypeError,
        match=r"X must hold numbers, got dtype object: .*argument must be a string or a real "
        r"number",
    ):
        as_rows(table)
