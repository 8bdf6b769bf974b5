"""Matrices that are diagonal but for some columns, against the same in one piece."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd.linalg.bordered import Bordered, BorderedFactor
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.kernels import subtract_outers

# Places of a diagonal block of 7 among 11, the others in between.
FIRST = np.array([0, 2, 3, 4, 7, 8, 10])
REST = np.array([1, 5, 6, 9])


def matrix(seed=0, ridge=0.3, scales=1.0):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((7, 4)) * (rng.random((7, 4)) < 0.6)
    B[2] = 0.0
    D = rng.uniform(0.5, 2.0, 7)
    more = rng.standard_normal((4, 4))
    C = B.T @ (B / D[:, None]) + ridge * (np.eye(4) + more @ more.T)
    own, others = np.full(7, scales) ** np.arange(7), np.full(4, scales) ** np.arange(4)
    B, C = own[:, None] * B * others, others[:, None] * (0.5 * (C + C.T)) * others
    return Bordered(FIRST, REST, own**2 * D, sp.csr_array(B), C)


def test_the_parts_are_the_matrix():
    H = matrix()
    whole = H.toarray()
    v = np.random.default_rng(1).standard_normal(11)
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_allclose(H.times(v), whole @ v, rtol=1e-13)
    np.testing.assert_array_equal(H.diagonal_of_all(), np.diag(whole))
    np.testing.assert_array_equal(H.last_column(), whole[:, REST[-1]])
    diagonal_shift = np.linspace(0.0, 1.0, 11)
    np.testing.assert_array_equal(
        H.shifted(diagonal_shift).toarray(), whole + np.diag(diagonal_shift)
    )
    frozen = np.isin(np.arange(11), [3, 5])
    alone = H.with_frozen(frozen).toarray()
    assert np.count_nonzero(alone[frozen]) == 2
    assert (alone[frozen].max(axis=1) > 1e19).all()
    np.testing.assert_array_equal(alone[np.ix_(~frozen, ~frozen)], whole[np.ix_(~frozen, ~frozen)])
    np.testing.assert_array_equal(H.toarray(), whole)  # the one before is as it was


def test_columns_of_zeros_are_held_as_others_are():
    none = Bordered(FIRST, REST, np.zeros(7), sp.csr_array((7, 4)), np.zeros((4, 4)))
    assert (np.diag(none.with_frozen(np.ones(11, np.bool_)).toarray()) > 1e19).all()


@pytest.mark.parametrize("scales", [1.0, 1e-3, 1e3])
def test_a_factor_is_that_of_the_whole_matrix(scales):
    H = matrix(scales=scales)
    whole = H.toarray()
    mine, other = BorderedFactor(H), Factor(whole)
    g = np.random.default_rng(2).standard_normal(11) * other.scale
    step = np.linalg.solve(whole / np.outer(other.scale, other.scale), g / other.scale)
    np.testing.assert_allclose(mine.solve(g), step / other.scale, rtol=1e-10)
    np.testing.assert_allclose(mine.norm_of(g) ** 2, g @ mine.solve(g), rtol=1e-10)
    np.testing.assert_allclose(mine.norm(mine.solve(g)), mine.norm_of(g), rtol=1e-10)
    np.testing.assert_allclose(mine.product(mine.solve(g)), g, rtol=1e-8)
    np.testing.assert_array_equal(mine.scale, other.scale)
    np.testing.assert_array_equal(mine.border, whole[:, REST[-1]])
    np.testing.assert_allclose(mine.inverse_norm(), other.inverse_norm(), rtol=1e-10)
    np.testing.assert_allclose(mine.doubt(1e-9), other.doubt(1e-9), rtol=1e-10)
    inverse = np.linalg.inv(whole / np.outer(other.scale, other.scale))
    lengths = np.outer(other.scale[REST], other.scale[REST])
    within = mine.inverse_of_others() * lengths
    np.testing.assert_allclose(within, inverse[np.ix_(REST, REST)], rtol=1e-9, atol=1e-12)
    assert mine.full
    assert mine.regular
    assert mine.matrix() is H
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mine)).solve(g), mine.solve(g))


def test_columns_of_zeros_stay_where_they_are():
    H = matrix()
    H.diagonal[1] = 0.0
    H.coupling.data[H.coupling.indptr[1] : H.coupling.indptr[2]] = 0.0
    H.block[2] = H.block[:, 2] = 0.0
    H.coupling.data[H.coupling.indices == 2] = 0.0
    factor, whole = BorderedFactor(H), H.toarray()
    assert factor.regular
    assert not factor.full
    kept = np.diag(whole) > 0.0
    g = np.random.default_rng(3).standard_normal(11)
    step = factor.solve(g)
    assert (step[~kept] == 0.0).all()
    np.testing.assert_allclose(
        step[kept], np.linalg.solve(whole[np.ix_(kept, kept)], g[kept]), rtol=1e-10
    )


def test_a_kernel_leaves_a_solution_of_what_has_one():
    rng = np.random.default_rng(4)
    group = rng.integers(0, 7, 200)
    Z = np.zeros((200, 11))
    Z[np.arange(200), FIRST[group]] = 1.0
    Z[:, REST[0]], Z[:, REST[1]] = rng.standard_normal(200), group == 3  # a column twice
    Z[:, REST[2]], Z[:, REST[3]] = group % 2, 1.0  # the sum of some, and of all
    whole = Z.T @ Z
    H = Bordered(
        FIRST,
        REST,
        np.diag(whole)[FIRST],
        sp.csr_array(whole[np.ix_(FIRST, REST)]),
        whole[np.ix_(REST, REST)],
    )
    factor, g = BorderedFactor(H), Z.T @ rng.standard_normal(200)
    assert not factor.regular
    assert not factor.full
    np.testing.assert_allclose(whole @ factor.solve(g), g, atol=1e-10)
    np.testing.assert_allclose(factor.norm_of(g) ** 2, g @ np.linalg.pinv(whole) @ g, rtol=1e-10)


def test_outer_products_are_subtracted_in_any_order_of_the_columns():
    starts, places = np.array([0, 2, 2, 5]), np.array([3, 1, 0, 2, 1], np.int32)
    values, weights = np.array([2.0, 3.0, 1.0, 4.0, 5.0]), np.array([0.5, 9.0, 2.0])
    S, B = np.ones((4, 4)), np.zeros((3, 4))
    B[0, [3, 1]], B[2, [0, 2, 1]] = values[:2], values[2:]
    subtract_outers(starts, places, values, weights, S)
    expected = 1.0 - B.T @ (weights[:, None] * B)
    np.testing.assert_allclose(np.tril(S), np.tril(expected), rtol=1e-14)
