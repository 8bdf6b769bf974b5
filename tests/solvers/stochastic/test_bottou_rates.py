"""Rates that fall as 1 / (alpha t) in units of the rows: for wide rows that come in chunks under
a strong penalty.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, Hinge, LogLoss
from fastgd.fitting.plan import MANY_COLUMNS, Plan
from fastgd.losses.base import Loss
from fastgd.objective.objective import Objective
from fastgd.rules.batches import row_order
from fastgd.solvers.stochastic.bottou_rates import BottouRates
from support.problems import dense_problem, iterations
from support.twins import members, with_jit

LOSSES = with_jit(
    [Hinge(), LogLoss()],
    [loss for loss in members(Loss) if loss.classification and loss.name != "perceptron"],
)
RNG = np.random.default_rng(0)
N, D = 400, MANY_COLUMNS + 1
WIDE = sp.random_array((N, D), density=0.02, format="csr", random_state=RNG)
WIDE = sp.csr_array(WIDE.multiply(1.0 / np.sqrt(WIDE.multiply(WIDE).sum(axis=1))[:, None]))
LABELS = np.where(WIDE @ RNG.standard_normal(D) + 0.2 > 0.0, "yes", "no")


def slowly(F, X, y, weights, offsets, alpha, seed, epochs):
    """The rule as its docstring says it, one unknown after the other."""
    active, share = weights > 0.0, weights / weights[weights > 0.0].mean()
    mean_square = (share[active, None] * X[active] ** 2).mean(axis=0)
    unit, strongest = mean_square.sum(), mean_square.max()
    a = alpha / unit
    typical = a**-0.25
    t0 = 1.0 / (a * typical / max(1.0, abs(F.loss.derivative(-typical, 1.0)))) - 1.0
    coef, intercept, t = np.zeros(X.shape[1]), 0.0, 0
    for epoch in range(epochs):
        for i in row_order(np.flatnonzero(active), seed, epoch, True):
            t += 1
            rate = 1.0 / (alpha * (t0 + t))
            derivative = (
                rate * share[i] * F.loss.derivative(X[i] @ coef + intercept + offsets[i], y[i])
            )
            coef = (1.0 - rate * alpha) * coef - derivative * X[i]
            intercept -= strongest * derivative
    return np.r_[coef, intercept]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_twin(loss):
    X, y, weights, offsets = dense_problem(loss)
    F = Objective(loss, X, y, sample_weight=weights, offset=offsets, alpha=0.05, n_jobs=1)
    state = iterations(BottouRates(F, 7), 2)
    np.testing.assert_allclose(
        state.point, slowly(F, X, y, weights, offsets, 0.05, 7, 2), rtol=1e-9
    )


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_units_change_nothing(loss):
    X, y, weights, _ = dense_problem(loss)

    def run(unit):
        F = Objective(loss, unit * X, y, sample_weight=weights, alpha=0.05 * unit**2, n_jobs=1)
        return iterations(BottouRates(F, 7), 2).point * np.r_[np.full(X.shape[1], unit), 1.0]

    np.testing.assert_allclose(run(300.0), run(1.0), rtol=1e-9)


@pytest.mark.plain
@pytest.mark.parametrize(
    ("alpha", "columns", "rate"),
    [(1e-4, D, "optimal"), (1e-6, D, "auto"), (0.0, D, "auto"), (1e-4, MANY_COLUMNS, "auto")],
)
def test_when_a_stream_takes_them(alpha, columns, rate):
    model = GDClassifier(alpha=alpha, random_state=0).partial_fit(
        WIDE[:, :columns], LABELS, classes=["no", "yes"]
    )
    assert model.plan_.learning_rate == rate
    assert "rows come in chunks" in str(model.plan_)


@pytest.mark.plain
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
@pytest.mark.parametrize(
    ("shared", "classes", "rate"),
    [(0.0, 2, "optimal"), (0.0, 20, "optimal"), (0.6, 2, "optimal"), (0.6, 20, "auto")],
)
def test_many_classes_of_rows_that_are_alike_have_a_rate_for_each_column(
    multi_class, shared, classes, rate
):
    """One word of every text moved all predictions by a row's whole step: accuracy on the next of 8
    chunks of 1,000 rows of 20 classes 0.64, and 0.99 with Adagrad.
    """
    alike = sp.csr_array(WIDE + sp.csr_array(([shared] * N, (range(N), [0] * N)), shape=(N, D)))
    rows = int(N / 2)
    model = GDClassifier(multi_class=multi_class, random_state=0).partial_fit(
        alike[:rows], np.arange(rows) % classes, classes=range(classes)
    )
    plan = model.plan_ if isinstance(model.plan_, Plan) else model.plan_[0]
    assert plan.learning_rate == rate


@pytest.mark.plain
def test_what_rows_have_in_common_is_not_told_by_few_of_them():
    """|mean x|^2 / R^2 of 10 rows without anything in common is 0.1."""
    few = GDClassifier(random_state=0).partial_fit(WIDE[:10], np.arange(10) % 20, classes=range(20))
    assert few.plan_.learning_rate == "optimal"
    for classes, rate in ((2, "optimal"), (20, "auto")):
        one = GDClassifier(random_state=0).partial_fit(WIDE[:1], [1], classes=range(classes))
        assert one.plan_.learning_rate == rate


@pytest.mark.plain
def test_a_stream_keeps_its_plan_until_a_parameter_changes():
    model = GDClassifier(random_state=0).partial_fit(
        WIDE[:200], LABELS[:200], classes=["no", "yes"]
    )
    plan = model.plan_
    assert (
        model.partial_fit(1e3 * WIDE[200:], LABELS[200:]).plan_ is plan
    )  # rows like these would not have chosen it
    assert model.set_params(alpha=1e-7).partial_fit(WIDE, LABELS).plan_.solver == "adagrad"
    assert np.isfinite(model.coef_).all()


def test_chunks_are_one_run_and_the_model_learns():
    model = GDClassifier("hinge", shuffle=False, random_state=0)
    for start in range(0, N, 100):
        model.partial_fit(
            WIDE[start : start + 100], LABELS[start : start + 100], classes=["no", "yes"]
        )
    assert model.t_ == N + 1
    assert model.score(WIDE, LABELS) > 0.9


@pytest.mark.plain
def test_a_fitted_model_is_moved_with_care():
    model = GDClassifier(random_state=0).fit(WIDE, LABELS)
    assert model.partial_fit(WIDE, LABELS).plan_.learning_rate == "auto"


@pytest.mark.parametrize("loss", with_jit(["log_loss"], ["squared_hinge", "log_loss"]))
@pytest.mark.parametrize("first", [1, 50])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_longer_rows_later_shorten_the_rates(loss, first, convert):
    """By those of a first chunk of a tenth of their length squared hinge losses diverged."""
    table = WIDE.toarray()
    table[:first] *= 0.1
    model = GDClassifier(loss, random_state=0)
    for start, stop in ((0, first), (first, 200), (200, N)):
        model.partial_fit(convert(table[start:stop]), LABELS[start:stop], classes=["no", "yes"])
    assert model.plan_.learning_rate == "optimal"
    assert np.abs(model.coef_).max() < 30.0
    assert model._states[0].memory.mean_squared_norm > 0.4


def test_rows_of_zeros_first_say_nothing_of_lengths():
    model = GDClassifier(random_state=0)
    model.partial_fit(0.0 * WIDE[:20], LABELS[:20], classes=["no", "yes"])
    model.partial_fit(WIDE, LABELS)
    assert np.isfinite(model.coef_).all()
    assert np.abs(model.coef_).max() > 0.0


LONG = np.where(np.arange(N) == 150, 300.0, 1.0)[:, None]


def streamed(X, size, loss="hinge"):
    model = GDClassifier(loss, alpha=1e-2, random_state=0)
    for k in range(0, N, size):
        model.partial_fit(X[k : k + size], LABELS[k : k + size], classes=["no", "yes"])
    assert model.plan_.learning_rate == "optimal"
    return model, model._states[0].memory


@pytest.mark.parametrize("convert", [sp.csr_array.toarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_one_long_row_among_many_changes_no_rate(size, convert):
    """It shortened those of all later rows."""
    memory = streamed(convert(sp.csr_array(WIDE * LONG)), size)[1]
    assert memory.mean_squared_norm == pytest.approx(1.0, rel=1e-6)


@pytest.mark.jit
@pytest.mark.parametrize("place", [0, 1, 20, 399])
def test_chunks_of_one_row_end_as_one_chunk_does(place):
    """Wherever the longest row is."""
    lengths = np.random.default_rng(1).uniform(0.5, 1.5, N)
    whole = streamed(sp.csr_array(WIDE * lengths[:, None]), N)
    lengths[place] = 10.0
    single = streamed(sp.csr_array(WIDE * lengths[:, None]), 1)
    found, wanted = (one[1].mean_squared_norm for one in (single, whole))
    assert found == pytest.approx(wanted, rel=0.3)
    scores = [model.score(WIDE, LABELS) for model, _ in (single, whole)]
    assert scores[0] > scores[1] - 0.05


@pytest.mark.plain
@pytest.mark.parametrize("size", [1, 50, 200])
def test_rows_100_times_as_long_shorten_the_rates(size):
    lengths = np.where(np.arange(N) < 200, 1.0, 100.0)[:, None]
    model, memory = streamed(sp.csr_array(WIDE * lengths), size, "squared_hinge")
    assert memory.mean_squared_norm == pytest.approx(1e4, rel=1e-6)
    assert np.isfinite(model.coef_).all()


def test_rows_of_zeros_have_no_length():
    memory = streamed(sp.csr_array(WIDE * (np.arange(N) % 3 == 0)[:, None]), 1)[1]
    assert memory.median == pytest.approx(1.0, rel=1e-6)
