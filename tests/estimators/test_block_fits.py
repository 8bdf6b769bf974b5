"""Fits and predictions from blocks of rows: the same models as from arrays."""

import os
import re
import tracemalloc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from fastgd import BlockSource, GDClassifier, GDRegressor, Objective, from_chunks
from fastgd.certificates.newton_decrement import product_bound
from fastgd.data.block_rows import added_in_order
from fastgd.data.sources import Block
from fastgd.data.targets import as_samples
from fastgd.fitting.choose_solver import READ, batch_sizes
from fastgd.fitting.runs import runs_at_once
from fastgd.losses.base import Loss
from fastgd.losses.regression import SquaredError
from fastgd.solvers import REGISTRY
from support.twins import targets_of

MEMORY = 1e6
READERS = {one.rule_name or one.name for one in REGISTRY if one.traits.reads in READ["blocks"]}
# Not those of other tests; the perceptron has no optimum to compare.
OURS = [
    name
    for name in Loss.members()
    if Loss.named(name).__module__ == "fastgd" and name != "perceptron"
]


def source_of(X, *beside, step=60):
    """The rows, so many at a time."""

    def chunks():
        for first in range(0, X.shape[0], step):
            own = slice(first, first + step)
            yield X[own], *(one[own] for one in beside)

    return from_chunks(chunks)


def problem(sparse=False, classes=2, n=250, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.5)
    y = (X @ rng.standard_normal((d, classes)) + rng.gumbel(size=(n, classes))).argmax(axis=1)
    return (sp.csr_array(X) if sparse else X), y


def assert_same(one, other, X, rtol=1e-9):
    assert one.objective_ == pytest.approx(other.objective_, rel=rtol)
    spread = (
        np.ptp(one.decision_function(X)) if hasattr(one, "classes_") else np.ptp(one.predict(X))
    )
    predict = "decision_function" if hasattr(one, "classes_") else "predict"
    gap = np.abs(getattr(one, predict)(X) - getattr(other, predict)(X)).max()
    assert gap <= 1e-5 * spread


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "modified_huber"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_the_model_is_that_of_arrays(loss, sparse, penalty):
    X, y = problem(sparse)
    settings = {"loss": loss, "penalty": penalty, "alpha": 1e-3, "tol": 1e-11}
    whole = GDClassifier(**settings).fit(X, y)
    blocks = GDClassifier(**settings, memory=MEMORY).fit(source_of(X, y))
    assert_same(whole, blocks, X)
    assert blocks.converged_
    assert blocks.bound_kind_ == whole.bound_kind_


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.parametrize("name", OURS)
def test_every_loss_has_the_default_model_of_arrays(name):
    loss = Loss.named(name)()
    X, _ = problem(n=150, d=4)
    rng = np.random.default_rng(2)
    y = targets_of(loss, X @ rng.standard_normal(4) + rng.standard_normal(150))
    kind = GDClassifier if loss.classification else GDRegressor
    whole = kind(loss=loss, alpha=1e-2).fit(X, y)
    blocks = kind(loss=loss, alpha=1e-2, memory=MEMORY).fit(source_of(X, y))
    assert blocks.objective_ == pytest.approx(whole.objective_, rel=3e-4)
    assert blocks.converged_
    assert blocks.bound_kind_ == whole.bound_kind_


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_weights_and_offsets_come_with_the_rows(loss):
    X, y = problem()
    y = y + 0.5
    rng = np.random.default_rng(1)
    weights, offset = rng.integers(0, 3, y.size).astype(float), rng.standard_normal(y.size)
    settings = {"loss": loss, "alpha": 1e-3, "tol": 1e-11}
    whole = GDRegressor(**settings).fit(X, y, weights, offset=offset)
    source = source_of(X, y, weights, offset)
    blocks = GDRegressor(**settings, memory=MEMORY).fit(source)
    assert blocks.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    np.testing.assert_allclose(blocks.predict(source), whole.predict(X, offset=offset), atol=1e-5)
    expected = whole.score(X, y, weights, offset=offset)
    assert blocks.score(source) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("solver", sorted(READERS - {"sdca", "gd"}))
def test_one_block_is_all_rows_at_once(solver):
    X, y = problem()
    settings = {"alpha": 1e-2, "tol": 1e-8, "solver": solver, "max_iter": 50}
    settings["batch_size"] = "full"
    with np.errstate(all="ignore"):
        whole = GDClassifier(**settings).fit(X, y)
        blocks = GDClassifier(**settings, memory=1e8).fit(source_of(X, y, step=X.shape[0]))
    np.testing.assert_array_equal(whole.coef_, blocks.coef_)
    # Single products are left to NumPy in memory.
    np.testing.assert_allclose(whole.intercept_, blocks.intercept_, rtol=1e-13)


@pytest.mark.plain
@pytest.mark.parametrize("sparse", [False, True])
def test_several_classes(sparse):
    X, y = problem(sparse, classes=3)
    labels = np.array(["red", "green", "blue"])[y]
    whole = GDClassifier(tol=1e-10).fit(X, labels)
    blocks = GDClassifier(tol=1e-10, memory=MEMORY).fit(source_of(X, labels))
    assert_same(whole, blocks, X)
    source = source_of(X, labels)
    assert (blocks.predict(source) == whole.predict(X)).all()
    np.testing.assert_allclose(blocks.predict_proba(source), whole.predict_proba(X), atol=1e-6)
    assert blocks.score(source) == whole.score(X, labels)


@pytest.mark.jit
def test_a_batch_grows_on_the_sample_that_was_kept():
    X, y = problem(n=20_000, d=20)
    blocks = GDClassifier(batch_size="growing", memory=8e6).fit(source_of(X, y, step=4000))
    assert blocks.history_["batch"][0] < X.shape[0]
    assert blocks.suboptimality_ <= 1e-4
    assert "read anew in each pass" in str(blocks.plan_)


def test_columns_far_from_zero_are_read_shifted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 2))
    y = X @ [1.0, -2.0] + 0.01 * rng.standard_normal(500)
    X[:, 0] = 1e6 + 0.1 * X[:, 0]
    blocks = GDRegressor(alpha=0.0, memory=MEMORY).fit(source_of(X, y))
    assert blocks.score(X, y) > 0.999
    assert blocks.coef_ == pytest.approx([10.0, -2.0], rel=1e-2)


@pytest.mark.jit
def test_a_memory_map_larger_than_memory_is_read_in_blocks(tmp_path):
    X, y = problem(n=22_000)
    mapped = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=X.shape)
    mapped[:] = X
    blocks = GDClassifier(memory=MEMORY).fit(mapped, y)
    assert "blocks" in str(blocks.plan_)
    assert "blocks" not in str(GDClassifier(memory=1e9).fit(mapped, y).plan_)
    np.testing.assert_array_equal(blocks.predict(mapped), blocks.predict(X))


def test_objective_takes_a_source():
    X, y = load_diabetes(return_X_y=True)
    F, blocks = (
        Objective("huber", X, y, alpha=0.1),
        Objective("huber", source_of(X, y), alpha=0.1, memory=MEMORY),
    )
    v = np.linspace(-1.0, 1.0, F.size)
    for one, other in zip(F.value_and_gradient(v), blocks.value_and_gradient(v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        F.hessian_product(v, v), blocks.hessian_product(v, v), rtol=1e-11, atol=1e-14
    )
    assert blocks.passes == pytest.approx(2.0)


def test_the_three_classes_of_iris():
    X, y = load_iris(return_X_y=True)
    source = source_of(X, y, step=40)
    whole, blocks = GDClassifier().fit(X, y), GDClassifier(memory=MEMORY).fit(source)
    assert (whole.predict(X) == blocks.predict(X)).all()


def test_sources_that_do_not_fit_are_refused():
    X, y = load_breast_cancer(return_X_y=True)
    model = GDClassifier(memory=MEMORY)
    with pytest.raises(ValueError, match="leave the argument out"):
        model.fit(source_of(X, y), y)
    with pytest.raises(ValueError, match="no targets"):
        model.fit(source_of(X))
    with pytest.raises(ValueError, match="fresh iterator"):
        from_chunks(iter([(X, y)]))
    with pytest.raises(ValueError, match="no rows"):
        model.fit(from_chunks(lambda: iter([])))
    with pytest.raises(ValueError, match="same columns"):
        model.fit(from_chunks(lambda: iter([(X, y), (X[:, 1:], y)])))
    with pytest.raises(ValueError, match="y has shape"):
        model.fit(from_chunks(lambda: iter([(X, y[1:])])))
    with pytest.raises(ValueError, match="all need it"):
        model.fit(from_chunks(lambda: iter([(X, y, np.ones(y.size)), (X, y)])))
    with pytest.raises(ValueError, match=r"chunk 1: y has shape \(\d+, 1\), in .*chunk 0 it has"):
        model.fit(from_chunks(lambda: iter([(X, y), (X, y[:, None])])))
    with pytest.raises(ValueError, match="X_val must be in memory, got a source of blocks"):
        model.fit(X, y, X_val=source_of(X, y), y_val=y)
    with pytest.raises(ValueError, match=r"NaN"):
        model.fit(from_chunks(lambda: iter([(X, y), (X * np.nan, y)])))
    with pytest.raises(ValueError, match="goes into fit"):
        GDClassifier().partial_fit(source_of(X, y), y)
    with pytest.raises(ValueError, match="needs X in memory"):
        GDClassifier(solver="saga").fit(source_of(X, y))
    with pytest.raises(ValueError, match="X_val"):
        GDClassifier(early_stopping=True).fit(source_of(X, y))
    assert not hasattr(model, "coef_")


def test_other_rows_at_a_later_reading_are_noticed():
    X, y = load_breast_cancer(return_X_y=True)
    readings = []

    def changing():
        readings.append(1)
        yield (X if len(readings) < 4 else X + 1.0), y

    def shrinking():
        readings.append(1)
        yield X, y
        if len(readings) < 4:
            yield X, y

    def shuffling():
        readings.append(1)
        order = np.arange(len(y)) if len(readings) < 2 else np.arange(len(y))[::-1]
        yield X[order], y[order]

    def swapping():
        readings.append(1)
        yield X if len(readings) < 2 else X[:, ::-1].copy(), y

    ones = sp.csr_array((X.mean(axis=0) < X).astype(float))

    def inner(rows):
        def exchanging():
            readings.append(1)
            order = np.arange(len(y))
            if len(readings) > 1:
                order[[100, 333]] = order[[333, 100]]
            yield rows[order], y

        return exchanging

    def cutting():
        readings.append(1)
        cut = ones.copy()
        if len(readings) > 1:
            cut.indptr[200] += 1
        yield cut, y

    once = iter([(X, y)])
    exchanged = [inner(X), inner(np.asfortranarray(X)), inner(sp.csr_array(X)), inner(ones)]
    others = (changing, shrinking, shuffling, swapping, cutting)
    for factory in (*others, *exchanged, lambda: once):
        readings.clear()
        with pytest.raises(ValueError, match="same rows each time"):
            GDClassifier(memory=MEMORY, tol=1e-10).fit(from_chunks(factory))


@pytest.mark.parametrize("stored", [np.asarray, np.asfortranarray, sp.csr_array])
def test_rounding_of_a_later_reading_is_no_other_data(stored):
    X, y = load_breast_cancer(return_X_y=True)
    readings = []

    def nearly_the_same():
        readings.append(1)
        last_bits = np.random.default_rng(len(readings)).choice([-1.0, 1.0], X.shape)
        yield stored(X * (1.0 + 2e-16 * last_bits)), y

    GDClassifier(memory=MEMORY).fit(from_chunks(nearly_the_same))
    assert len(readings) > 2


def test_a_block_of_one_row_has_its_offset():
    """One offset was taken for none: a wrong model was proved to within 4e-13."""

    class Last(BlockSource):
        def blocks(self, n_bytes):
            for own in (slice(8), slice(8, 9)):
                yield Block(X[own], y[own], None, offset[own])

    rng = np.random.default_rng(0)
    X, offset = rng.standard_normal((9, 2)), np.arange(1.0, 10.0)
    y = X @ [1.0, 2.0] + 0.1 * rng.standard_normal(9)
    whole = GDRegressor(alpha=0.0).fit(X, y, offset=offset)
    blocks = GDRegressor(alpha=0.0).fit(Last())
    np.testing.assert_allclose(blocks.coef_, whole.coef_, rtol=1e-9)


def test_a_row_by_itself_counts_where_it_has_a_weight():
    samples = as_samples(SquaredError(), np.ones(3), 3, [1.0, 3.0, 0.0])
    light, none = samples.part(slice(0, 1)), samples.part(slice(2, 3))
    assert (light.n_active(), none.n_active()) == (1, 0)
    assert (light.active().tolist(), none.active().tolist()) == ([0], [])
    ranges = np.array([[0, 1]])
    assert (light.total_weight(ranges), none.total_weight(ranges)) == (0.5, 0.0)


def test_a_source_of_ones_own():
    X, y = load_breast_cancer(return_X_y=True)

    class Halves(BlockSource):
        def blocks(self, n_bytes):
            yield Block(X[:300], y[:300])
            yield Block(X[300:], y[300:])

    assert GDClassifier().fit(Halves()).score(Halves()) > 0.9


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_dual_ascent_reaches_the_optimum_from_blocks(loss, sparse):
    X, y = problem(sparse)
    settings = {"loss": loss, "alpha": 1e-2, "solver": "sdca", "tol": 1e-4}
    whole = GDClassifier(**settings).fit(X, y)
    blocks = GDClassifier(**settings, memory=MEMORY).fit(source_of(X, y))
    assert blocks.bound_kind_ == "proof"
    assert blocks.converged_
    assert blocks.objective_ == pytest.approx(whole.objective_, rel=1e-3)


@pytest.mark.parametrize("learning_rate", ["auto", "invscaling"])
@pytest.mark.parametrize("solver", ["gd", "adam"])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_one_row_steps_walk_through_blocks(solver, batch_size, learning_rate):
    X, y = problem()
    order = np.argsort(y)  # sorted by class: only what mixes rows gets on
    settings = {"solver": solver, "batch_size": batch_size, "learning_rate": learning_rate}
    settings |= {"alpha": 1e-3, "max_iter": 20, "tol": None, "random_state": 0, "eta0": 0.05}
    whole = GDClassifier(**settings).fit(X[order], y[order])
    source = source_of(X[order], y[order])
    blocks = GDClassifier(**settings, memory=MEMORY).fit(source)
    again = GDClassifier(**settings, memory=MEMORY).fit(source)
    assert blocks.objective_ < 1.1 * whole.objective_
    np.testing.assert_array_equal(blocks.coef_, again.coef_)


def test_rows_in_order_take_the_steps_of_arrays():
    X, y = problem()
    settings = {"learning_rate": "optimal", "alpha": 1e-2, "shuffle": False, "max_iter": 3}
    settings |= {"tol": None, "batch_size": 1, "solver": "gd"}
    whole = GDClassifier(**settings).fit(X, y)
    blocks = GDClassifier(**settings, memory=MEMORY).fit(source_of(X, y))
    np.testing.assert_allclose(whole.coef_, blocks.coef_, rtol=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_an_l1_part_takes_proximal_newton_steps_and_few_readings(loss):
    X, y = problem(n=400)
    readings = [0]

    def counted():
        readings[0] += 1
        return iter([(X[:200], y[:200]), (X[200:], y[200:])])

    settings = {"penalty": "l1", "alpha": 1e-2, "tol": 1e-9}
    whole = GDClassifier(loss, **settings).fit(X, y)
    blocks = GDClassifier(loss, **settings, memory=MEMORY).fit(from_chunks(counted))
    assert blocks.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    assert (blocks.coef_ != 0).tolist() == (whole.coef_ != 0).tolist()
    assert blocks.plan_.form == "by proximal steps"
    assert readings[0] <= 25


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
@pytest.mark.parametrize("solver", sorted(batch_sizes()))
def test_what_a_solver_refuses_of_blocks_is_told_with_what_can_be_done(
    solver, multi_class, penalty
):
    """Of three classes with an L1 part a class of the package was named, not how to go on."""
    X, y = problem(classes=3)
    settings = {"penalty": penalty, "multi_class": multi_class, "max_iter": 2, "tol": None}
    try:
        GDClassifier(solver=solver, **settings).fit(source_of(X, y))
    except ValueError as error:
        told = str(error)
    else:
        return
    assert not [one.__name__ for one in REGISTRY if one.__name__ in told]
    if "from blocks use" not in told:
        assert "use " in told
        return
    assert "needs X in memory" in told
    for name in re.findall("'(\\w+)'", told.split("from blocks use")[1]):
        assert GDClassifier(solver=name, **settings).fit(source_of(X, y)).n_iter_ > 0


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_proof_by_products_holds_few_arrays_as_long_as_there_are_columns(fit_intercept):
    """Those of conjugate gradients and of a pass, and one for an intercept; there were three more
    (1.28 million columns: 145 MB at the peak of a fit for 186).
    """
    n, d, per_row = 60, 50_000, 10
    rng = np.random.default_rng(0)
    columns = rng.integers(d, size=n * per_row).astype(np.int32)
    parts = rng.standard_normal(n * per_row), columns, np.arange(0, n * per_row + 1, per_row)
    X, y = sp.csr_array(parts, shape=(n, d)), np.where(rng.random(n) < 0.5, 1.0, -1.0)
    source = source_of(X, y, step=10)
    F = Objective("log_loss", source, alpha=10.0, fit_intercept=fit_intercept, memory=1e7)
    F.know_null_model()
    v = F.start()
    v[:d] = 1e-6 * rng.standard_normal(d)
    value, gradient = F.smooth_and_gradient(v)
    assert product_bound(F, v, value, gradient, 0.0) < 0.02  # compiled, which takes memory, too
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert product_bound(F, v, value, gradient, 0.0) < 0.02
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 8 * d * (5.5 + fit_intercept)


def test_what_is_added_is_let_go_of_before_the_next_is_made():
    class Found(np.ndarray):
        pass

    alive: list = []

    def results():
        for k in range(4):
            found = np.full(3, float(k)).view(Found)
            assert not any(one() is not None for one in alive)
            alive.append(weakref.ref(found))
            yield found
            del found

    np.testing.assert_array_equal(added_in_order(results()), [6.0, 6.0, 6.0])


def test_least_squares_take_value_gradient_and_matrix_from_one_reading():
    """A reading for what is known of the rows, one for the step, one that looks at where it led:
    there was one more, a quarter of a fit to a CSV file.
    """
    X, y = problem(sparse=True, n=400)
    y = y + X @ np.ones(X.shape[1])
    readings = []

    def chunks():
        readings.append(len(readings))
        for first in range(0, 400, 60):
            yield X[first : first + 60], y[first : first + 60]

    model = GDRegressor(alpha=1e-3, tol=1e-12, memory=MEMORY).fit(from_chunks(chunks))
    assert_same(GDRegressor(alpha=1e-3, tol=1e-12).fit(X, y), model, X)
    assert len(readings) == 3


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_value_gradient_and_curvature_in_one_reading_are_those_of_three(fit_intercept):
    X, y = problem(sparse=True)
    source = source_of(X, 2.0 * y - 1.0)
    settings = {"alpha": 0.1, "fit_intercept": fit_intercept}
    F = Objective("log_loss", source, memory=MEMORY, **settings)
    v = np.linspace(-1.0, 1.0, F.size)
    value, gradient, matrix = F.smooth_and_curvature(v, curvature_cap=0.1)
    known, derivatives = F.smooth_and_gradient(v)
    assert value == known
    np.testing.assert_array_equal(gradient, derivatives)
    whole = Objective("log_loss", X, 2.0 * y - 1.0, **settings)
    curvatures = np.zeros(len(y))
    whole.smooth_and_gradient(v, curvatures, 0.1)
    np.testing.assert_allclose(matrix, whole.gram(curvatures), rtol=1e-12, atol=1e-15)


class Costly(BlockSource):
    """Rows whose reading takes far longer than computing with them, and how often it was done."""

    value_cost = 1e6

    def __init__(self, X, y):
        self.rows, self.n_readings = (X, y), 0

    def blocks(self, n_bytes):
        self.n_readings += 1
        X, y = self.rows
        for first in range(0, len(y), 60):
            own = slice(first, first + 60)
            yield Block(X[own], y[own])


class Cheap(Costly):
    """The same, read in no time."""

    value_cost = 0.0


@pytest.mark.plain
@pytest.mark.parametrize("loss", ["poisson", "log_loss"])
def test_the_matrix_comes_with_the_step_where_a_reading_costs_more(loss):
    """One reading an iteration where there were two; the model is the same."""
    X, _ = problem(sparse=True, n=300)
    rng = np.random.default_rng(1)
    rates = np.exp(0.5 * X @ rng.standard_normal(X.shape[1]))
    kind = GDRegressor if loss == "poisson" else GDClassifier
    y = rng.poisson(rates).astype(float) if loss == "poisson" else (rates > rng.random(300)) * 1
    settings = {"solver": "newton", "batch_size": "full", "alpha": 1e-3, "tol": 1e-12}
    settings |= {"memory": MEMORY, "loss": loss}
    found = []
    for kind_of_source in (Costly, Cheap):
        source = kind_of_source(X, y)
        model = kind(**settings).fit(source)
        found.append((source.n_readings, model.n_iter_, model.objective_))
        assert model.converged_
    (few, n_few, objective), (many, n_many, usual) = found
    assert objective == pytest.approx(usual, rel=1e-12)
    assert few <= n_few + 3
    assert many >= n_many + 3
    assert few < many


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.where(np.arange(250) == 77, np.nan, 1.0), r"y contains NaN .*\(first in row 77\)"),
        (np.ones(250) + 1j, "Complex data not supported: y holds complex numbers"),
        (np.array(["a", None] * 125, dtype=object), r"y contains missing .*\(first in row 1\)"),
    ],
)
def test_targets_are_refused_in_the_words_of_arrays(values, said):
    X, _ = problem()
    kind = GDClassifier if values.dtype == object else GDRegressor
    for given in ((X, values), (source_of(X, values),)):
        with pytest.raises(ValueError, match=said):
            kind(memory=MEMORY).fit(*given)


@pytest.fixture
def mapped(tmp_path):
    X = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=(1250, 120))
    X[:] = np.random.default_rng(0).standard_normal(X.shape)
    return X


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("y", np.ones(1300), r"y has shape \(1300,\), X has 1250 rows"),
        ("y", np.ma.masked_equal(np.arange(1250.0), 3.0), "y has masked values"),
        ("sample_weight", np.ones(1300), "one entry for each of the 1250 rows of X, got shape"),
        ("offset", np.ones(1300), "one entry for each of the 1250 rows of X, got shape"),
        ("offset", np.ones((1250, 1)), r"offset must have shape \(1250,\), got"),
        ("offset", np.full(1250, np.nan), "offset contains NaN"),
        ("offset", 1.0, "one entry for each of the 1250 rows of X, got shape"),
    ],
)
def test_what_stands_beside_a_memory_map_is_checked_as_in_memory(mapped, name, given, said):
    with pytest.raises(ValueError, match=said):
        GDRegressor(memory=1e6).fit(mapped, **{"y": np.arange(1250.0), name: given})
    if name == "offset":
        model = GDRegressor(memory=1e6).fit(mapped, np.arange(1250.0))
        with pytest.raises(ValueError, match=said):
            model.predict(mapped, offset=given)


def test_one_number_is_a_weight_beside_a_memory_map(mapped):
    y = mapped[:, 0] + 1.0
    model, usual = (GDRegressor(memory=1e6).fit(mapped, y, weight) for weight in (2.0, None))
    np.testing.assert_array_equal(model.coef_, usual.coef_)


@pytest.mark.parametrize("offset", [np.full(250, np.nan), np.ones((250, 1))])
def test_offsets_of_chunks_are_checked_before_they_are_added(offset):
    X, y = problem()
    model = GDRegressor().fit(X, y)
    with pytest.raises(ValueError, match="offset"):
        model.predict(source_of(X, y, np.ones(250), offset))


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_scores_refuse_negative_weights(kind):
    X, y = problem()
    model = kind(memory=MEMORY).fit(X, y)
    weights = np.where(np.arange(y.size) == 3, -1.0, 1.0)
    for given in ((X, y, weights), (source_of(X, y, weights),)):
        with pytest.raises(ValueError, match="sample_weight must not be negative, got -1"):
            model.score(*given)


def counted(X, y):
    """A source, and a list with a number for each of its readings."""
    readings = []

    def chunks():
        readings.append(len(readings))
        for first in range(0, len(X), 50):
            yield X[first : first + 50], y[first : first + 50]

    return from_chunks(chunks), readings


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [("squared_error", "l2"), ("huber", "l2"), ("poisson", "l2"), ("squared_error", "l1")],
)
def test_several_targets_are_fitted_by_the_readings_of_one(loss, penalty, monkeypatch):
    X, y = problem()
    Y = np.exp(np.stack([y, X[:, 0], X[:, 1] - y], axis=1))

    def fitted(targets, memory=MEMORY):
        source, readings = counted(X, targets)
        made = GDRegressor(loss=loss, penalty=penalty, alpha=0.01, memory=memory)
        return made.fit(source), len(readings)

    model, n_readings = fitted(Y, 1e6)
    assert "a reading serves 3 models at once" in str(model.plan_[0])
    alone = [fitted(Y[:, k]) for k in range(3)]
    assert n_readings == max(n for _, n in alone)
    monkeypatch.setattr("fastgd.fitting.runs.runs_at_once", lambda *_: 1)
    in_turn, n_in_turn = fitted(Y, 1e6)
    np.testing.assert_array_equal(model.coef_, in_turn.coef_)
    np.testing.assert_array_equal(model.intercept_, in_turn.intercept_)
    # The first reading is that of all.
    assert n_in_turn == 1 + sum(n - 1 for _, n in alone)


@pytest.mark.parametrize(
    ("location", "memory", "n_at_once"),
    [("blocks", 2 * 5 * 16_000, 5), ("blocks", 1e9, 8), ("blocks", 0, 4), ("elsewhere", 1e9, 1)],
)
def test_memory_bounds_how_many_targets_share_a_reading(location, memory, n_at_once):
    rows = SimpleNamespace(in_memory=False, location=location, memory=memory)
    rows.shape = lambda: (1000, 3)
    assert runs_at_once(SimpleNamespace(rows=rows), 8) == n_at_once


def test_other_rows_in_a_reading_that_targets_share_are_noticed():
    X, y = problem()
    readings = []

    def chunks():
        readings.append(1)
        for first in range(0, len(X), 50):
            rows = X[first : first + 50]
            yield rows + (len(readings) > 1), np.stack([y[first : first + 50]] * 2, axis=1)

    model = GDRegressor(memory=1e6)
    with pytest.raises(ValueError, match="is not what it was at the first reading"):
        model.fit(from_chunks(chunks))
    assert not hasattr(model, "coef_")


@pytest.mark.skipif(os.name == "nt", reason="no file that is mapped can be cut off there")
@pytest.mark.parametrize("name", ["X", "y"])
def test_a_memory_map_whose_file_is_cut_off_is_told(tmp_path, name):
    """The process ended, by SIGBUS."""
    maps = {}
    for key, shape in (("X", (20_000, 8)), ("y", (20_000,))):
        np.save(tmp_path / f"{key}.npy", np.random.default_rng(0).standard_normal(shape))
        maps[key] = np.load(tmp_path / f"{key}.npy", mmap_mode="r")
    path = tmp_path / "fit"

    def cut_off(history):
        os.truncate(tmp_path / f"{name}.npy", 10_000)

    model = GDRegressor("huber", tol=1e-12, memory=1e6, checkpoint=path, checkpoint_every=0.0)
    model.set_params(stop=cut_off)
    with pytest.raises(ValueError, match=rf"the file of {name}, .*{name}.npy, was cut off since"):
        model.fit(maps["X"][:], maps["y"])
    assert path.exists()
    assert not hasattr(model, "coef_")
