"""Stochastic epochs against textbook loops over a dense X."""

import numpy as np
import pytest

from fastgd.losses.base import Loss
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.penalties.separable import L1, L2, ElasticNet
from fastgd.rules.adaptive import Adagrad, Adam, Rmsprop
from fastgd.rules.base import Rule
from fastgd.rules.classic import Gd, Momentum, Nesterov
from fastgd.rules.one_sample import RELAXED, Capped, Pa1, Pa2, Scheduled
from fastgd.solvers.stochastic import kernels as epochs
from support import twins as reference
from support.components import ToyMultiSquared, ToySoftmax, ToyWeightedL1
from support.twins import members, samples, sparse_problem, stored, with_jit

STORAGE = pytest.mark.parametrize("storage", ["dense", "csr"])
BATCH = pytest.mark.parametrize("batch", [1, 4])
COASTING = [rule for rule in members(Rule) if rule.coasts]
N, D = 23, 6


def schedule(c, t0=0.0, p=0.0):
    return lambda update: c / (t0 + update) ** p


def options(c, t0=0.0, p=0.0, **others):
    numbers = dict.fromkeys(("l1", "l2", "alpha"), 0.0) | {"exact": False, "smooth": False}
    numbers |= {"intercept_rate": 1.0, "average_from": np.inf} | others
    numbers["average_from"] = float(numbers["average_from"])
    return epochs.EpochOptions(c, t0, p, **numbers)


def problem(loss, storage, seed=0):
    X, y, weights, offsets = sparse_problem(loss, N, D, seed)
    order = np.random.default_rng(seed + 1).permutation(N)
    return X, y, weights, offsets, order, (stored(X, storage), samples(y, weights, offsets), loss)


def start(seed=2, shape=(D + 1,)):
    """A point, an empty sum of iterates, and an empty book."""
    return np.random.default_rng(seed).standard_normal(shape), np.zeros(shape), np.zeros(2)


def check(found, expected, rtol=1e-10):
    point, total, book = found
    np.testing.assert_allclose(point, expected[0], rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(total, expected[1], rtol=rtol, atol=1e-10)
    assert tuple(book) == expected[2:]


def check_gd(
    loss,
    storage,
    step_length,
    batch,
    rate=(0.1,),
    l1=0.0,
    l2=0.0,
    intercept_rate=1.0,
    average_from=3,
):
    X, y, weights, offsets, order, data = problem(loss, storage)
    point, total, book = start()
    expected = reference.gd_epoch(
        X,
        y,
        weights,
        offsets,
        loss,
        step_length,
        order,
        batch,
        point,
        schedule(*rate),
        l1,
        l2,
        intercept_rate,
        average_from,
    )
    numbers = options(*rate, l1=l1, l2=l2, intercept_rate=intercept_rate, average_from=average_from)
    epochs.gd_epoch(*data, step_length, order, batch, point, total, book, numbers)
    check((point, total, book), expected)


@pytest.mark.boundscheck
@STORAGE
@BATCH
@pytest.mark.parametrize(
    ("l1", "l2"), [(0.0, 0.0), (0.0, 0.1), (0.05, 0.0), (0.05, 0.1), (5.0, 0.1)]
)
@pytest.mark.parametrize(
    "rate", [(0.1,), (0.5, 1.0, 0.5), (3.0, 7.0, 1.0)], ids=["constant", "root", "optimal"]
)
def test_gd_is_the_textbook_loop(storage, batch, l1, l2, rate):
    check_gd(LogLoss(), storage, Scheduled(), batch, rate, l1, l2)


@pytest.mark.parametrize(
    "loss", with_jit([SquaredError()], members(Loss)), ids=lambda loss: loss.name
)
@pytest.mark.parametrize(
    "step_length",
    [Scheduled(), Capped(1.0), Pa1(), Pa2()],
    ids=lambda step_length: step_length.name,
)
@pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))
def test_gd_is_the_textbook_loop_for_every_loss_and_pace(loss, step_length, storage):
    check_gd(loss, storage, step_length, 1, (0.3,), 0.01, 0.1)


@STORAGE
@pytest.mark.parametrize("average_from", [1, 2, 12, 23, 24, np.inf])
@pytest.mark.parametrize("l1", [0.0, 0.03])
def test_averaging_may_start_at_any_update(storage, average_from, l1):
    check_gd(LogLoss(), storage, Scheduled(), 1, (0.2,), l1, 0.1, average_from=average_from)


@STORAGE
@BATCH
@pytest.mark.parametrize("l1", [0.0, 0.03])
@pytest.mark.parametrize("shrink", [0.9, 1.0 - 1e-6, 1.0, 3.0])
def test_the_common_factor_of_the_coefficients_may_vanish(storage, batch, l1, shrink):
    check_gd(LogLoss(), storage, Scheduled(), batch, (0.5,), l1, 2.0 * shrink)


def test_without_intercept_it_stays_where_it_was():
    check_gd(LogLoss(), "csr", Scheduled(), 4, (0.2,), 0.0, 0.1, intercept_rate=0.0)


@STORAGE
@pytest.mark.parametrize("l1", [0.0, 0.03])
def test_two_epochs_are_one_over_both_orders(storage, l1):
    _, _, _, _, order, data = problem(LogLoss(), storage)
    order, second = order[:20], np.random.default_rng(5).permutation(N)[:20]
    numbers = options(0.5, 2.0, 0.5, l1=l1, l2=0.05, average_from=7)
    point, total, book = start()
    for part in (order, second):
        epochs.gd_epoch(*data, Scheduled(), part, 4, point, total, book, numbers)
    once = start()
    epochs.gd_epoch(*data, Scheduled(), np.append(order, second), 4, *once, numbers)
    check((point, total, book), (once[0], once[1], *once[2]), rtol=1e-12)


def test_one_batch_of_all_rows_is_a_step_of_gradient_descent():
    loss = SquaredError()
    X, y, weights, offsets, order, data = problem(loss, "dense")
    point, total, book = start()
    expected = point - 0.1 * reference.gradient_sum(X, y, weights, offsets, loss, point) / N
    epochs.gd_epoch(*data, Scheduled(), order, 1000, point, total, book, options(0.1))
    np.testing.assert_allclose(point, expected, rtol=1e-12)


def check_exact_rule(
    rule, loss, storage, batch, rate=(0.1,), l2=0.1, intercept_rate=0.5, average_from=3
):
    X, y, weights, offsets, order, data = problem(loss, storage)
    scales = np.random.default_rng(3).uniform(0.5, 2.0, D)
    point, total, book = start()
    if rule.name == "adagrad":
        point[:] = 0.0  # before the first gradient the textbook divides the decay by epsilon
    expected = reference.rule_epoch(
        X,
        y,
        weights,
        offsets,
        loss,
        rule,
        order,
        batch,
        point,
        schedule(*rate),
        scales,
        l2,
        intercept_rate,
        average_from,
    )
    numbers = options(
        *rate, l2=l2, intercept_rate=intercept_rate, average_from=average_from, exact=True
    )
    columns = np.ones((2, D + 1))
    columns[0, :D] = scales
    state = np.zeros((rule.slots, D + 1))
    epochs.rule_epoch(
        epochs.Problem(*data, L2()),
        rule,
        order,
        batch,
        epochs.Iterate(point, state, total, book),
        columns,
        numbers,
    )
    check((point, total, book), expected)


@pytest.mark.boundscheck
@STORAGE
@pytest.mark.parametrize("rule", with_jit([Nesterov()], COASTING), ids=lambda rule: rule.name)
@pytest.mark.parametrize("batch", [1, 4, 23])
@pytest.mark.parametrize("average_from", [1, 3, np.inf])
def test_an_exact_rule_is_the_dense_textbook_loop(storage, rule, batch, average_from):
    check_exact_rule(rule, LogLoss(), storage, batch, average_from=average_from)


@pytest.mark.parametrize("rule", with_jit([Adagrad()], COASTING), ids=lambda rule: rule.name)
@pytest.mark.parametrize(("l2", "intercept_rate"), [(0.0, 1.0), (0.02, 0.0)])
def test_an_exact_rule_with_other_numbers(rule, l2, intercept_rate):
    check_exact_rule(rule, SquaredError(), "csr", 4, (0.05,), l2, intercept_rate)


def test_exact_gd_is_gd_epoch():
    _, _, _, _, order, data = problem(LogLoss(), "csr")
    numbers = options(0.2, l2=0.3, average_from=5, exact=True)
    plain, general = start(), start()
    epochs.gd_epoch(*data, Scheduled(), order, 4, *plain, numbers)
    point, total, book = general
    columns, state = np.ones((2, D + 1)), np.zeros((0, D + 1))
    epochs.rule_epoch(
        epochs.Problem(*data, L2()),
        Gd(),
        order,
        4,
        epochs.Iterate(point, state, total, book),
        columns,
        numbers,
    )
    check(plain, (point, total, *book), rtol=1e-12)


def test_adagrad_stays_finite_where_a_gradient_is_tiny():
    X = np.zeros((400, 2))
    X[:, 0], X[3, 1] = 1.0, 1e-12
    y = np.random.default_rng(0).standard_normal(400)
    point, total, book = np.zeros(3), np.zeros(3), np.zeros(2)
    for storage in with_jit(["csr"], ["dense", "csr"]):
        epochs.rule_epoch(
            epochs.Problem(stored(X, storage), samples(y), SquaredError(), L2()),
            Adagrad(),
            np.arange(400),
            1,
            epochs.Iterate(point, np.zeros((1, 3)), total, book),
            np.ones((2, 3)),
            options(0.1, l2=0.01, average_from=1, exact=True),
        )
        assert np.isfinite(point).all()
        assert abs(point[1]) < 1.0


SUPPORT = [
    (Adam(), L2()),
    (Adam(), ElasticNet(0.5)),
    (Rmsprop(), L2()),
    (Rmsprop(), L1()),
    (Gd(), L1()),
    (Momentum(), L1()),
    (Nesterov(), ElasticNet(0.5)),
    (Adagrad(), L1()),
    (Adam(), ToyWeightedL1(np.linspace(0.0, 2.0, D))),
]


@pytest.mark.boundscheck
@STORAGE
@pytest.mark.parametrize(
    ("rule", "penalty"), with_jit([SUPPORT[1]], SUPPORT), ids=lambda part: part.name
)
@BATCH
@pytest.mark.parametrize("average_from", [1, 3])
def test_support_mode_moves_what_rows_touch(storage, rule, penalty, batch, average_from):
    loss = LogLoss()
    X, y, weights, offsets, order, data = problem(loss, storage)
    rng = np.random.default_rng(3)
    scales, rarities = rng.uniform(0.5, 2.0, D), rng.uniform(1.0, 3.0, D)
    point, total, book = start()
    expected = reference.support_epoch(
        X,
        y,
        weights,
        offsets,
        loss,
        rule,
        penalty,
        order,
        batch,
        point,
        schedule(0.1, 0.0, 0.5),
        scales,
        rarities,
        0.2,
        penalty.smooth,
        0.5,
        average_from,
    )
    columns = np.ones((2, D + 1))
    columns[:, :D] = scales, rarities
    numbers = options(
        0.1,
        0.0,
        0.5,
        intercept_rate=0.5,
        average_from=average_from,
        alpha=0.2,
        smooth=penalty.smooth,
    )
    state = np.zeros((rule.slots, D + 1))
    epochs.rule_epoch(
        epochs.Problem(*data, penalty),
        rule,
        order,
        batch,
        epochs.Iterate(point, state, total, book),
        columns,
        numbers,
    )
    check((point, total, book), expected)


def twin_by_blocks(
    X,
    y,
    weights,
    offsets,
    loss,
    rule,
    penalty,
    order,
    block,
    point,
    rate,
    scales,
    alpha,
    average_from,
):
    """Steps of the loss on all coefficients, row by row; after each block one proximal step for
    all of its rows.
    """
    point, total, averaged, update = point.copy(), np.zeros(D + 1), 0, 0
    state = np.zeros((rule.slots, D + 1))
    for rows in reference.batches(order, block):
        for i in rows:
            update += 1
            derivative = (
                loss.derivative(X[i] @ point[:-1] + point[-1] + offsets[i], y[i]) * weights[i]
            )
            gradient = derivative * np.append(X[i], 1.0)
            point -= rule.step(
                state, slice(None), gradient, 0.0, rate * np.append(scales, 0.5), 1.0
            )
        reach = rule.reach(state, slice(None), rate, 1.0)[:-1] * scales
        point[:-1] = [penalty.prox(point[j], j, alpha * len(rows) * reach[j]) for j in range(D)]
        if update >= average_from:
            total, averaged = total + point, averaged + 1
    return point, total, update, averaged


@pytest.mark.boundscheck
@STORAGE
@pytest.mark.parametrize(
    "penalty", with_jit([ElasticNet(0.5)], [L2(), L1(), ElasticNet(0.5)]), ids=lambda p: p.name
)
@pytest.mark.parametrize("block", [1, 4, 100])
@pytest.mark.parametrize("average_from", [1, 10, np.inf])
def test_rows_with_the_penalty_after_blocks_are_the_slow_loop(
    storage, penalty, block, average_from
):
    loss, rule, scales = LogLoss(), Adagrad(), np.random.default_rng(3).uniform(0.5, 2.0, D)
    X, y, weights, offsets, order, data = problem(loss, storage)
    point, total, book = start()
    expected = twin_by_blocks(
        X,
        y,
        weights,
        offsets,
        loss,
        rule,
        penalty,
        order,
        block,
        point,
        0.3,
        scales,
        0.2,
        average_from,
    )
    numbers = options(0.3, intercept_rate=0.5, average_from=average_from, alpha=0.2)
    epochs.row_epoch(
        epochs.Problem(*data, penalty),
        rule,
        Scheduled(),
        order,
        block,
        epochs.Iterate(point, np.zeros((1, D + 1)), total, book),
        scales,
        numbers,
    )
    check((point, total, book), expected)


@pytest.mark.parametrize(("weight", "beyond"), [(0.2, 1.0), (1.0, 1.0), (1.2, 1.2), (1e9, RELAXED)])
def test_rows_that_are_alike_move_no_further_together_than_one(weight, beyond):
    """Whatever the rate: a batch is their mean, and what each asks for is capped before."""
    X, y, ones = np.full((4, 2), 3.0), np.full(4, 5.0), np.ones(4)
    data = stored(X, "csr"), samples(y, weight * ones, 0.0 * ones), SquaredError()
    point, total, book = np.zeros(3), np.zeros(3), np.zeros(2)
    numbers = options(1e6, intercept_rate=0.0, average_from=3)
    epochs.gd_epoch(*data, Capped(0.0), np.arange(4), 4, point, total, book, numbers)
    # The Polyak step of half a square is half of the way.
    np.testing.assert_allclose(X @ point[:2], 0.5 * beyond * y)


@pytest.mark.parametrize(
    "step_length", [Scheduled(), Capped(0.5)], ids=lambda step_length: step_length.name
)
@pytest.mark.parametrize("rate", [0.1, 30.0])
def test_plain_rows_with_rates_of_their_own_are_plain_rows_of_scaled_columns(step_length, rate):
    """The cap, too: without one a row far out explodes."""
    loss = SquaredError()
    X, y, weights, offsets, order, _ = problem(loss, "csr")
    X, rates = np.where(np.arange(N)[:, None] == 3, 50.0 * X, X), np.linspace(0.5, 2.0, D)
    numbers, found = options(rate, intercept_rate=0.5, average_from=3), []
    for table, own in ((X, rates), (X * np.sqrt(rates), None)):
        data = stored(table, "csr"), samples(y, weights, offsets), loss
        point, total, book = start()
        if own is None:
            epochs.gd_epoch(*data, step_length, order, 1, point, total, book, numbers)
        else:
            point[:-1] *= np.sqrt(own)
            total[:-1] *= np.sqrt(own)
            state = np.zeros((1, D + 1))
            penalty = ElasticNet(0.0)
            epochs.row_epoch(
                epochs.Problem(*data, penalty),
                Gd(),
                step_length,
                order,
                1,
                epochs.Iterate(point, state, total, book),
                own,
                numbers,
            )
            point[:-1] /= np.sqrt(own)
            total[:-1] /= np.sqrt(own)
        found.append(np.concatenate([point, total, book]))
    np.testing.assert_allclose(*found, rtol=1e-9)
    assert step_length.name == "scheduled" or np.abs(found[0]).max() < 1e3


def test_short_blocks_end_near_a_penalty_at_every_update():
    rng, loss, rule, scales = np.random.default_rng(0), LogLoss(), Adagrad(), np.ones(D)
    X, order, weights, zeros = (
        rng.standard_normal((2000, D)),
        np.arange(2000),
        np.ones(2000),
        np.zeros(2000),
    )
    y = np.where(X @ np.arange(D) + rng.standard_normal(2000) > 0.0, 1.0, -1.0)
    exact = reference.rule_epoch(
        X,
        y,
        weights,
        zeros,
        loss,
        rule,
        order,
        1,
        np.zeros(D + 1),
        schedule(0.3),
        scales,
        0.01,
        1.0,
        1,
    )
    point, total, book = np.zeros(D + 1), np.zeros(D + 1), np.zeros(2)
    data = stored(X, "csr"), samples(y, weights, zeros), loss
    numbers = options(0.3, alpha=0.01, average_from=1)
    epochs.row_epoch(
        epochs.Problem(*data, ElasticNet(0.0)),
        rule,
        Scheduled(),
        order,
        16,
        epochs.Iterate(point, np.zeros((1, D + 1)), total, book),
        scales,
        numbers,
    )
    np.testing.assert_allclose(total / book[1], exact[1] / exact[3], atol=0.02)


@pytest.mark.parametrize("exact", [False, True])
def test_two_epochs_of_a_rule_are_one_over_both_orders(exact):
    _, _, _, _, order, data = problem(LogLoss(), "csr")
    numbers = options(0.1, l2=0.05, alpha=0.05, average_from=7, smooth=True, exact=exact)

    def run(parts):
        point, total, book = start()
        state, columns = np.zeros((1, D + 1)), np.ones((2, D + 1))
        for part in parts:
            epochs.rule_epoch(
                epochs.Problem(*data, L2()),
                Nesterov(),
                part,
                4,
                epochs.Iterate(point, state, total, book),
                columns,
                numbers,
            )
        return point, total, book

    once = run([np.append(order[:20], order[3:])])
    check(run([order[:20], order[3:]]), (once[0], once[1], *once[2]), rtol=1e-12)


@pytest.mark.boundscheck
@pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))
@pytest.mark.parametrize(
    "loss", with_jit([ToySoftmax()], [ToySoftmax(), ToyMultiSquared()]), ids=lambda loss: loss.name
)
@BATCH
@pytest.mark.parametrize("l2", [0.0, 0.1, 3.9999999, 8.0])
@pytest.mark.parametrize("average_from", [1, 3, np.inf])
def test_vector_epoch_is_the_textbook_loop(storage, loss, batch, l2, average_from):
    X, _, weights, offsets = sparse_problem(LogLoss(), N, D)
    rng = np.random.default_rng(7)
    Y = (
        rng.integers(0, 3, (N, 1)).astype(float)
        if loss.name == "toy_softmax"
        else rng.standard_normal((N, 3))
    )
    order, rate = rng.permutation(N), (0.5, 1.0, 1.0)
    point, total, book = start(shape=(D + 1, 3))
    expected = reference.vector_epoch(
        X, Y, weights, offsets, loss, order, batch, point, schedule(*rate), l2, 0.5, average_from
    )
    numbers = options(*rate, l2=l2, intercept_rate=0.5, average_from=average_from)
    epochs.vector_epoch(
        stored(X, storage),
        samples(Y, weights, offsets),
        loss,
        order,
        batch,
        point,
        total,
        book,
        numbers,
    )
    check((point, total, book), expected)


@pytest.mark.boundscheck
@pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))
@pytest.mark.parametrize("rule", with_jit([Adagrad()], [Gd(), Adagrad()]), ids=repr)
@pytest.mark.parametrize("average_from", [1, 12])
def test_rows_of_several_predictions_with_the_penalty_after_blocks(storage, rule, average_from):
    X, _, weights, offsets = sparse_problem(LogLoss(), N, D)
    rng, loss, penalty = np.random.default_rng(7), ToySoftmax(), L2()
    block, rate, alpha = 4, 0.3, 0.1
    Y = rng.integers(0, 3, (N, 1)).astype(float)
    order, scales = rng.permutation(N), rng.uniform(0.5, 2.0, D)
    point, total, book = start(shape=(D + 1, 3))
    expected, sums, averaged, update = point.copy(), np.zeros((D + 1, 3)), 0, 0
    slots, rates = np.zeros((1, D + 1, 3)), np.append(scales, 0.5)[:, None]
    for batch in reference.batches(order, block):
        for i in batch:
            update, derivatives = update + 1, np.zeros(3)
            loss.derivatives(X[i] @ expected[:-1] + expected[-1] + offsets[i], Y[i], derivatives)
            gradient = weights[i] * np.outer(np.append(X[i], 1.0), derivatives)
            slots[0] += gradient**2
            divisor = 1.0 if rule.plain else np.sqrt(slots[0]) + 1e-8 + (slots[0] == 0.0)
            expected -= rate * rates * gradient / divisor
        reach = rates[:-1] / divisor[:-1] * (slots[0, :-1] > 0.0) if rule.slots else rates[:-1]
        expected[:-1] /= 1.0 + alpha * rate * len(batch) * reach
        if update >= average_from:
            sums, averaged = sums + expected, averaged + 1
    numbers = options(rate, alpha=alpha, intercept_rate=0.5, average_from=average_from)
    state, data = np.zeros((1, 3 * D + 3)), (stored(X, storage), samples(Y, weights, offsets), loss)
    epochs.vector_row_epoch(
        epochs.Problem(*data, penalty),
        rule,
        order,
        block,
        epochs.Iterate(point, state, total, book),
        scales,
        numbers,
    )
    check((point, total, book), (expected, sums, update, averaged))


@pytest.mark.boundscheck
@pytest.mark.parametrize("storage", with_jit(["csr"], ["dense", "csr"]))
@pytest.mark.parametrize(
    "rule", with_jit([Adam()], [Gd(), Adam(), Nesterov(), Adagrad()]), ids=repr
)
@pytest.mark.parametrize(
    ("penalty", "exact", "smooth"),
    with_jit(
        [(L2(), False, True)], [(L2(), True, True), (L2(), False, True), (L1(), False, False)]
    ),
    ids=str,
)
def test_vector_rule_epoch_is_an_epoch_for_each_target(storage, rule, penalty, exact, smooth):
    """Squares of K targets have nothing to do with each other."""
    if exact and not rule.coasts:
        pytest.skip("no closed form")
    X, _, weights, offsets = sparse_problem(LogLoss(), N, D)
    generator = np.random.default_rng(7)
    Y, order = generator.standard_normal((N, 3)), generator.permutation(N)
    numbers = options(0.1, l2=0.05, alpha=0.05, average_from=4, smooth=smooth, exact=exact)
    columns = np.vstack([np.linspace(0.5, 1.5, D + 1), np.linspace(1.0, 2.0, D + 1)])
    point, total, book = start(shape=(D + 1, 3))
    state = np.zeros((2, 3 * (D + 1)))
    data = stored(X, storage), samples(Y, weights, offsets), ToyMultiSquared()
    for _ in range(2):
        epochs.vector_rule_epoch(
            epochs.Problem(*data, penalty),
            rule,
            order,
            4,
            epochs.Iterate(point, state, total, book),
            columns,
            numbers,
        )
    for c in range(3):
        alone, sums, counted = start(shape=(D + 1, 3))
        alone, sums = np.ascontiguousarray(alone[:, c]), np.ascontiguousarray(sums[:, c])
        own = np.zeros((2, D + 1))
        data = stored(X, storage), samples(Y[:, c], weights, offsets), SquaredError()
        for _ in range(2):
            epochs.rule_epoch(
                epochs.Problem(*data, penalty),
                rule,
                order,
                4,
                epochs.Iterate(alone, own, sums, counted),
                columns,
                numbers,
            )
        np.testing.assert_allclose(point[:, c], alone, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(total[:, c], sums, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(book, counted)


@pytest.mark.parametrize("numbers", [(0.3, 0.0, 0.0), (0.3, 5.0, 1.0), (0.3, 0.0, 0.25)])
def test_scheduled_rate(numbers):
    assert epochs.scheduled_rate(options(*numbers), 7.0) == pytest.approx(
        schedule(*numbers)(7.0), rel=1e-15
    )


@pytest.mark.jit
def test_compiled_epochs_are_the_python_they_were_written_in():
    _, _, _, _, order, data = problem(LogLoss(), "csr")
    numbers = options(0.1, l1=0.02, l2=0.05, alpha=0.05, average_from=7, exact=True)
    results = []
    for kernel in (epochs.gd_epoch, epochs.gd_epoch.py_func):
        point, total, book = start()
        kernel(*data, Scheduled(), order, 4, point, total, book, numbers)
        results.append(np.concatenate([point, total, book]))
    for kernel in (epochs.rule_epoch, epochs.rule_epoch.py_func):
        point, total, book = start()
        state, columns = np.zeros((1, D + 1)), np.ones((2, D + 1))
        kernel(
            epochs.Problem(*data, L2()),
            Nesterov(),
            order,
            4,
            epochs.Iterate(point, state, total, book),
            columns,
            numbers,
        )
        results.append(np.concatenate([point, total, book]))
    for kernel in (epochs.row_epoch, epochs.row_epoch.py_func):
        point, total, book = start()
        kernel(
            epochs.Problem(*data, ElasticNet(0.5)),
            Adagrad(),
            Scheduled(),
            order,
            4,
            epochs.Iterate(point, np.zeros((1, D + 1)), total, book),
            np.ones(D),
            numbers,
        )
        results.append(np.concatenate([point, total, book]))
    for k in (0, 2, 4):
        np.testing.assert_allclose(results[k], results[k + 1], rtol=1e-12)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("l2", [0.0, 0.4])
def test_epochs_tell_what_rows_lost_before_their_updates(storage, l2):
    """A rate that shrinks the common factor below its least folds it on the way."""
    X, y, weights, offsets, order, data = problem(LogLoss(), storage)
    for batch, penalised in ((1, l2), (4, 0.0)):
        point, total, book = start()
        loss_sum, w, b = 0.0, point[:-1].copy(), point[-1]
        for first in range(0, N, batch):
            rows = order[first : first + batch]
            step = np.zeros(D + 1)
            for i in rows:
                z = X[i] @ w + b + offsets[i]
                loss_sum += LogLoss().value(z, y[i]) + 0.5 * penalised * (w @ w)
                derivative = LogLoss().derivative(z, y[i]) * weights[i] / len(rows)
                step += 0.9 * derivative * np.append(X[i], 1.0)
            w, b = w * (1.0 - 0.9 * l2) - step[:-1], b - step[-1]
        numbers = options(0.9, l2=l2, sums_losses=True)
        told = epochs.gd_epoch(*data, Scheduled(), order, batch, point, total, book, numbers)
        assert told == pytest.approx(loss_sum, rel=1e-9)
        np.testing.assert_allclose(point, np.append(w, b), rtol=1e-9, atol=1e-12)
        point, total, book = start()
        slots, columns = np.zeros((1, D + 1)), np.ones((2, D + 1))
        told = epochs.rule_epoch(
            epochs.Problem(*data, L2()),
            Gd(),
            order,
            batch,
            epochs.Iterate(point, slots, total, book),
            columns,
            options(0.9, l2=l2, alpha=l2, exact=True, sums_losses=True),
        )
        if penalised == 0.0:
            assert told == pytest.approx(loss_sum, rel=1e-9)


def test_float32_rows_are_read_as_they_are():
    X, y, _, _, order, _ = problem(SquaredError(), "dense")
    X = X.astype(np.float32)
    points = []
    for rows in (stored(X, "dense"), stored(X.astype(np.float64), "dense")):
        point, total, book = start()
        epochs.gd_epoch(
            rows,
            samples(y),
            SquaredError(),
            Scheduled(),
            order,
            4,
            point,
            total,
            book,
            options(0.1),
        )
        points.append(point)
    np.testing.assert_allclose(points[0], points[1], rtol=1e-6)
