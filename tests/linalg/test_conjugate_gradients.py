"""Conjugate gradients against the minimiser over a Krylov space, which defines them."""

import numpy as np
import pytest

from fastgd.linalg.conjugate_gradients import ConjugateGradients


def system(seed, size=6, rank=6):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, rank))
    return root @ root.T, root @ rng.standard_normal(rank)


def krylov_minimiser(A, b, M, k):
    """p in the span of M b, M A M b, ..., (k of them), where p'A p / 2 - b'p is least."""
    basis = [M @ b]
    for _ in range(k - 1):
        basis.append(M @ A @ basis[-1])
    basis = np.linalg.qr(np.column_stack(basis))[0]
    return basis @ np.linalg.solve(basis.T @ A @ basis, basis.T @ b)


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_each_step_is_the_best_of_its_krylov_space(seed, preconditioned):
    A, b = system(seed)
    M = np.diag(1.0 / np.diag(A)) if preconditioned else np.eye(len(A))
    found = ConjugateGradients(
        lambda p: A @ p, b, (lambda rest: M @ rest) if preconditioned else None
    )
    for k in range(1, 5):
        assert found.advance()
        np.testing.assert_allclose(found.step, krylov_minimiser(A, b, M, k), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.residual, b - A @ found.step, atol=1e-9)
        assert found.height == pytest.approx(found.residual @ M @ found.residual)


@pytest.mark.parametrize("rank", [2, 6])
def test_as_many_steps_as_the_rank_solve_it(rank):
    A, b = system(1, rank=rank)
    found = ConjugateGradients(lambda p: A @ p, b)
    for _ in range(rank):
        found.advance()
    np.testing.assert_allclose(A @ found.step, b, atol=1e-6)


def test_what_is_given_stays_and_products_see_no_array_that_changes():
    A, b = system(2)
    before, seen = b.copy(), []

    def product(p):
        seen.append((p, p.copy()))
        return A @ p

    found = ConjugateGradients(product, b)
    while len(seen) < 4:
        found.advance()
    np.testing.assert_array_equal(b, before)
    for direction, then in seen:
        np.testing.assert_array_equal(direction, then)


def test_a_right_side_that_may_be_written_over_is_not_copied():
    A, b = system(2)
    copied = ConjugateGradients(lambda p: A @ p, b)
    over = ConjugateGradients(lambda p: A @ p, b, overwrite_right=True)
    assert over.residual is b
    for _ in range(3):
        copied.advance()
        over.advance()
    np.testing.assert_array_equal(over.step, copied.step)


@pytest.mark.parametrize(("curvature", "flat", "moves"), [
    (1.0, 0.0, True),
    (0.0, 0.0, False),
    (-1.0, 0.0, False),
    (np.nan, 0.0, False),
    (1e-16, 1e-15, False),
    (1e-14, 1e-15, True),
])  # fmt: skip
def test_a_direction_without_curvature_is_not_gone_along(curvature, flat, moves):
    found = ConjugateGradients(lambda p: curvature * p, np.array([3.0, 4.0]))
    assert found.advance(flat) == moves
    assert found.step.any() == moves
    assert moves or (found.height == 25.0 and not found.advance(flat))


def test_a_system_that_is_solved_moves_no_further():
    found = ConjugateGradients(lambda p: 2.0 * p, np.array([2.0, 4.0]))
    assert found.advance()
    assert found.height == 0.0
    assert not found.advance()
    np.testing.assert_array_equal(found.step, [1.0, 2.0])
