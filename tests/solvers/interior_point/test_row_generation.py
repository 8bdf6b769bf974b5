"""The central path on the rows near a kink, for rows that are not in memory."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import EpsilonInsensitive, GDClassifier, GDRegressor, Objective, Quantile, from_chunks
from fastgd.data.block_rows import BlockRows
from fastgd.fitting.choose_solver import cheapest
from fastgd.losses.piecewise import pieces
from fastgd.objective import survey
from fastgd.solvers.interior_point import row_generation
from fastgd.solvers.interior_point.row_generation import RowGeneration, _sorted_rows, _spread

MEMORY = 1e6


def data(n=600, d=4, sparse=False):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((n, d))
    X[:, 0] += 30.0
    z = X[:, 1:] @ [1.0, -1.0, 0.5][: d - 1] + rng.standard_normal(n)
    return (sp.csr_array(X) if sparse else X), z


def source(X, *beside, step=130):
    def chunks():
        for first in range(0, X.shape[0], step):
            own = slice(first, first + step)
            yield X[own], *(one[own] for one in beside)

    return from_chunks(chunks)


CASES = {
    "hinge": lambda: GDClassifier("hinge"),
    "hinge, l1": lambda: GDClassifier("hinge", penalty="l1", alpha=1e-2),
    "quantile": lambda: GDRegressor(Quantile(0.9), alpha=0.0),
    "epsilon": lambda: GDRegressor(EpsilonInsensitive(0.3)),
}


@pytest.mark.parametrize(("few", "sparse"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("name", CASES)
def test_the_optimum_of_arrays_is_proved(name, sparse, few, monkeypatch):
    n, d = 600, 4
    if few:  # memory for a quarter of the rows
        n, d = 2000, 2
        monkeypatch.setattr(survey, "SAMPLE", 2000 * 24 / 4 / MEMORY)
    X, z = data(n, d, sparse)
    y = (z > 0.0).astype(int) if "hinge" in name else z
    rng = np.random.default_rng(1)
    beside = (rng.integers(0, 3, z.size).astype(float), rng.standard_normal(z.size) / 5.0)
    whole = CASES[name]().set_params(tol=1e-8).fit(X, y, beside[0], offset=beside[1])
    blocks = CASES[name]().set_params(tol=1e-8, memory=MEMORY).fit(source(X, y, *beside))
    assert blocks.objective_ == pytest.approx(whole.objective_, rel=1e-8)
    assert blocks.bound_kind_ == "proof"
    assert blocks.suboptimality_ <= 1e-8
    assert blocks.n_iter_ <= 15
    assert blocks.plan_.form == RowGeneration.form


def objective():
    X, z = data()
    return Objective("hinge", source(X, np.sign(z)), alpha=1e-3, memory=MEMORY)


def test_value_gradient_and_bound_are_those_of_all_rows():
    X, z = data()
    weights = np.random.default_rng(0).integers(0, 3, z.size).astype(float)
    weights[0] = 1.0
    F = Objective("quantile", source(X, z, weights), alpha=1e-3, memory=MEMORY)
    whole = Objective("quantile", X, z, sample_weight=weights, alpha=1e-3)
    assert isinstance(F.rows, BlockRows)
    solver = RowGeneration(F, 1e-9)
    state = solver.start(np.zeros(F.size))
    for _ in range(3):
        value, gradient = whole.smooth_and_gradient(state.point)
        assert state.value == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(state.gradient, gradient, atol=1e-12)
        # The means of rows are no more than the rows, and as much where they are taken.
        few, weight = solver._near, solver._weight
        assert weight * few.value(state.point) == pytest.approx(whole.value(state.point))
        for scale in (0.0, 0.5, 2.0):
            other = scale * state.point
            assert weight * few.value(other) <= whole.value(other) * (1.0 + 1e-12)
        solver.advance(state)
    assert state.memory.gap <= 1e-9 * state.memory.total


def test_rows_are_sorted_as_one_by_one():
    X, z = data(n=40)
    F = Objective("epsilon_insensitive", X, z)
    coef, width = np.array([0.0, 1.0, 0.0, 0.0]), 0.2
    loss, gradient, sums, taken, beside = _sorted_rows(F, coef, 0.1, width, 1.0, 1.0, 0)
    expected, near = np.zeros((2, 7)), []
    total, derivative = 0.0, np.zeros(5)
    for x, target in zip(X, z, strict=True):
        made = pieces(F.loss, np.array([target]))
        u = made.center + made.sign * (x @ coef + 0.1)
        own = float((made.sign * made.dual(u)).sum())
        total += float(made.value(u)[0])
        derivative += own * np.append(x, 1.0)
        if np.abs(u).min() <= width:
            near.append(target)
        elif own != 0.0:
            expected[int(own > 0.0)] += [*x, 1.0, target, 0.0]
    assert loss == pytest.approx(total)
    np.testing.assert_allclose(gradient, derivative)
    np.testing.assert_allclose(sums, expected)
    assert beside[0].tolist() == near
    assert taken.shape == (len(near), 4)


def test_one_of_each_range_is_drawn():
    values = np.random.default_rng(0).permutation(100)
    drawn = _spread(values, 10, 3)
    assert sorted(values[drawn] // 10) == list(range(10))
    assert drawn.tolist() == sorted(drawn)


def test_the_plan_takes_it_from_blocks_only():
    assert cheapest(objective(), 1e-4)[0] is RowGeneration
    X, z = data()
    assert "not in memory" in RowGeneration.refusal(Objective("hinge", X, np.sign(z)))
    smooth = Objective("huber", source(X, z), memory=MEMORY)
    assert "straight pieces" in RowGeneration.refusal(smooth)


def test_a_run_that_is_restored_draws_the_same_rows(monkeypatch):
    monkeypatch.setattr(row_generation, "largest_share", lambda F: 0.1)
    once, again = (RowGeneration(objective(), 1e-9) for _ in range(2))
    state = once.start(np.zeros(5))
    once.advance(state)
    again.restore(state, once.workspace(state))
    np.testing.assert_array_equal(
        again._near.rows.part(slice(None)), once._near.rows.part(slice(None))
    )


@pytest.mark.parametrize("known", [True, False])
def test_few_rows_have_a_weight(known, monkeypatch):
    """The model is that of all rows where a sample has none of those with a weight: no row was near
    then, and that ended in an error.
    """
    monkeypatch.setattr(survey, "SAMPLE", 2000 * 24 / 4 / MEMORY)
    X, z = data(2000, 2)
    weights = np.zeros(z.size)
    weights[::400] = 1.0
    whole = GDClassifier("hinge", tol=1e-8).fit(X, z > 0.0, weights)
    F = Objective(
        "hinge",
        source(X, np.sign(z), weights),
        alpha=whole.alpha,
        memory=MEMORY,
    )
    assert set(F.rows.sampled) == set(range(0, 2000, 400))
    if not known:  # as where folds or classes leave rows out
        F.rows.sampled[:] = 1
    solver = RowGeneration(F, 1e-8)
    state = solver.start(np.zeros(F.size))
    for _ in range(5):
        solver.advance(state)
    total = state.value + F.rest_value(state.point)
    assert total == pytest.approx(whole.objective_, rel=1e-8)
    assert solver.progress(state).lower == pytest.approx(total, rel=1e-8)
