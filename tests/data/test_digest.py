"""What tells data from other data."""

import hashlib

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.data.check_X import as_rows
from fastgd.data.digest import FACTORS, WORDS, digest, hash_of

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 70))


@pytest.mark.parametrize("make", [np.array, np.asfortranarray, sp.csr_array, lambda one: one[::2]])
def test_any_change_of_a_value_or_its_place_shows(make):
    known = digest(as_rows(make(X)))
    assert digest(as_rows(make(X.copy()))) == known
    for i, j in ((0, 0), (150, 3), (298, 69)):
        other = X.copy()
        other[i, j] = np.nextafter(other[i, j], 9.0)
        assert digest(as_rows(make(other))) != known
    other = X.copy()
    other[[0, 2]] = other[[2, 0]]
    assert digest(as_rows(make(other))) != known


def test_storage_shape_and_type_are_told():
    told = [digest(one) for one in (X, X.T.copy(), X.astype(np.float32), sp.csr_array(X))]
    assert [one["shape"] for one in told] == [[300, 70], [70, 300], [300, 70], [300, 70]]
    assert [one["dtype"] for one in told] == ["float64", "float64", "float32", "float64"]
    assert [one["storage"] for one in told] == ["array", "array", "array", "sparse"]
    assert len({one["hash"] for one in told}) == 4


def test_a_square_array_is_told_from_its_transpose():
    """Which in Fortran order has the same values at the same places in memory."""
    square = X[:70]
    for one, other in ((square, square.T), (np.asfortranarray(square), square.T.copy())):
        assert digest(one) != digest(other)
        assert digest(as_rows(one)) != digest(as_rows(other))


def test_labels_are_told_by_what_they_say():
    labels = np.array(["no", "yes", "no"])
    known = digest(labels)["hash"]
    assert digest(labels.astype(object))["hash"] == known
    assert digest(np.array(["no", "yes", "yes"]))["hash"] != known
    assert digest(np.array(["no", "oui", "no"]))["hash"] != known


def test_rows_from_elsewhere_tell_it_themselves():
    class Source:
        def digest(self):
            return {"hash": "mine"}

    assert digest(Source()) == {"hash": "mine"}


def test_it_is_the_hash_of_sums_of_products():
    array = rng.standard_normal(2 * WORDS + 5)
    words = array.view(np.uint64)
    sums = [
        sum(int(a) * int(b) for a, b in zip(words[k : k + WORDS], FACTORS, strict=True)) % 2**64
        for k in (0, WORDS)
    ]
    parts = f"{array.dtype.str}{array.shape}".encode(), np.array(sums, np.uint64).tobytes()
    rest = array[2 * WORDS :].tobytes()
    assert hash_of([array]) == hashlib.blake2b(b"".join([*parts, rest]), digest_size=16).hexdigest()
    assert (FACTORS % 2 == 1).all()
