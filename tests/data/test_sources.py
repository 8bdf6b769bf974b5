"""Rows that a function hands out in chunks: what is refused, by the number of the chunk."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDRegressor, from_chunks

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
    found = [
        source.place(number, row)
        for number, block in enumerate(source.blocks(1000))
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
