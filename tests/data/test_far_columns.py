"""Columns far from zero: the fit of explicitly centred columns, whatever the storage, loss,
penalty and solver.
"""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, Quantile
from fastgd.data.check_X import as_rows
from fastgd.data.far_columns import FAR_RATIO, read_shifted
from fastgd.data.rows import DenseRows, ShiftedRows
from fastgd.data.targets import as_samples
from fastgd.fitting.observers import Watch
from fastgd.losses.regression import SquaredError
from support.components import ToyMultiSquared, ToySoftmax

STORAGES = {
    "dense": lambda X: X,
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "csr": sp.csr_array,
}
CLASSIFIERS = ("log_loss", "hinge", "squared_hinge")
REGRESSORS = ("squared_error", "huber", Quantile(0.3), "epsilon_insensitive")


def name(value):
    return value if isinstance(value, str) else type(value).__name__


def data(n=150, d=4, seed=0):
    """Raw columns, two of them far from 0 and one with zeros; the same centred; numbers and
    labels.
    """
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, d))
    Z[:, 2] *= rng.random(n) < 0.5
    X = Z.copy()
    X[:, 0] += 2.0**21  # differences are exact
    X[:, 1] += 2.0**14
    Z = np.column_stack([X[:, :2] - X[:, :2].mean(axis=0), X[:, 2:]])
    score = Z @ np.array([1.0, -0.5, 0.3, 0.2]) + 0.5 * rng.standard_normal(n)
    return X, Z, score, np.where(score > 0.0, 1, -1)


def estimator(loss, **parameters):
    return (GDClassifier if loss in CLASSIFIERS else GDRegressor)(loss=loss, **parameters)


def rows_of(X, weights=None):
    rows = as_rows(X, in_place=True)
    return read_shifted(rows, as_samples(SquaredError(), np.zeros(X.shape[0]), X.shape[0], weights))


def same_answer(raw, centred, X, Z, rel=1e-6):
    """Whether two proved fits are of one optimum: objectives, and predictions of both."""
    scale = max(centred.objective_, 1e-4)
    slack = 1.01 * max(raw.suboptimality_, centred.suboptimality_, rel) * scale
    assert raw.objective_ == pytest.approx(centred.objective_, abs=slack)
    decide = "decision_function" if hasattr(raw, "decision_function") else "predict"
    return np.abs(getattr(raw, decide)(X) - getattr(centred, decide)(Z)).max()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.boundscheck
def test_rows_hand_out_differences_bit_for_bit(storage):
    X, rng = data(n=37)[0], np.random.default_rng(1)
    rows = rows_of(STORAGES[storage](X))
    assert isinstance(rows, ShiftedRows)
    table, (n, d) = X - rows.centers, X.shape
    assert np.flatnonzero(rows.centers).tolist() == [0, 1]
    coef, multiples = rng.standard_normal(d), rng.standard_normal(n)
    out, vector = np.zeros(n), np.zeros(d)
    rows.dot_rows(0, n, coef, out)
    rows.add_rows(0, n, multiples, vector, 16)
    expected, combined = rows_of(X).matvec(coef), np.zeros(d)
    for i in range(n):
        rows_of(X).add(i, multiples[i], combined)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(rows.matvec(coef), expected)
    np.testing.assert_array_equal(vector, combined)
    np.testing.assert_allclose(out, table @ coef, rtol=1e-13)
    for i in (0, n - 1):
        assert rows.dot(i, coef) == out[i]
        assert rows.squared_norm(i) == pytest.approx(table[i] @ table[i], rel=1e-14)
        first, stop = rows.span(i)
        listed = np.zeros(d)
        for k in range(int(first), int(stop)):
            listed[int(rows.column(k))] = rows.entry(i, k)
        np.testing.assert_array_equal(listed, table[i])
    as_array = sp.csr_array.toarray if rows.sparse else np.asarray
    for chosen in (slice(None), slice(3, 9), np.array([5, 2])):
        np.testing.assert_array_equal(as_array(rows.take(chosen)), table[chosen])
        np.testing.assert_array_equal(
            as_array(rows.part(chosen, np.array([1, 3]))), table[chosen][:, [1, 3]]
        )
    np.testing.assert_allclose(rows.column_norms(), np.linalg.norm(table, axis=0))
    assert rows.sum_of_squares() == pytest.approx(np.square(table).sum())


def test_float32_columns_count_as_the_numbers_that_they_hold():
    X = data()[0].astype(np.float32)
    rows = rows_of(X)
    np.testing.assert_array_equal(rows.take(slice(None)), X.astype(np.float64) - rows.centers)
    assert rows.dtype == np.float64


@pytest.mark.thinned(plain=1, compiled=7)
@pytest.mark.parametrize("kind", ["dense", "csr_array", "csr_matrix", "sparsified"])
@pytest.mark.parametrize("n", [5, 1500])
def test_predictions_from_float32_are_right_to_the_rounding_of_what_they_are(n, kind):
    """Multiplied in float32, predictions from columns of 1e6 +- 1 were off by 0.2."""
    rng = np.random.default_rng(0)
    X = (1e6 + rng.uniform(-1.0, 1.0, (n, 4))).astype(np.float32)
    classes = np.arange(n) % 3
    y = X.astype(np.float64) @ [1.0, -2.0, 1.5, 0.0]
    models = (
        GDRegressor(alpha=1e-6, max_iter=2, tol=None).fit(X, y - y.mean()),
        GDClassifier(alpha=1e-3, max_iter=2, tol=None).fit(X, classes),
        GDRegressor(alpha=1e-6, fit_intercept=False, max_iter=2, tol=None).fit(X, y - y.mean()),
    )
    for model in models:
        coef, intercept = np.atleast_2d(model.coef_).astype(np.longdouble), model.intercept_
        expected = X.astype(np.longdouble) @ coef.T + intercept
        if kind == "sparsified":
            model.sparsify()
        rows = getattr(sp, kind)(X) if kind.startswith("csr") else X
        predict = getattr(model, "decision_function", model.predict)
        wrong = np.abs(np.reshape(predict(rows), expected.shape) - expected)
        assert wrong.max() <= 1e-6 * np.abs(expected).mean()


def test_few_rows_of_float32_and_many_are_predicted_alike():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5)).astype(np.float32)
    model = GDRegressor(max_iter=2, tol=None).fit(X, X[:, 0] + rng.standard_normal(3000))
    many, few = model.predict(X), np.concatenate([model.predict(X[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(few, many[:50], rtol=0, atol=1e-6)
    assert many.dtype == few.dtype == np.float64


def far(column, n=400, weights=None):
    others = np.random.default_rng(2).standard_normal(n)
    rows = rows_of(np.column_stack([others, column]), weights)
    return isinstance(rows, ShiftedRows) and rows.centers[1] != 0.0


def test_what_is_far():
    rng, n = np.random.default_rng(0), 400
    z, late = rng.standard_normal(n), np.zeros(n)
    z = (z - z.mean()) / z.std()
    late[3] = 1.0
    assert not far(z + 0.9 * FAR_RATIO)
    assert far(z + 1.1 * FAR_RATIO)
    assert far(-z - 1.1 * FAR_RATIO)
    assert not far(np.full(n, 1e6)), "a constant column is a copy of the intercept and stays one"
    assert not far(np.where(rng.random(n) < 0.5, 0.3, np.nextafter(0.3, 1.0))), (
        "constant but for rounding"
    )
    assert far(1e6 + late), "constant in the sample, not in all rows"
    assert not far((1e6 + z) * (1.0 - late)), "a zero: compressed rows do not store it"
    assert not far(np.where(late > 0.0, 1e4, 1.0) * z)
    assert not far(1e6 + late, weights=1.0 - late), "rows without weight have no say"


def test_values_whose_squares_are_hardly_finite():
    X = np.random.default_rng(0).standard_normal((50, 2)) * 1e150
    X[:, 1] = 1e152 * (1.0 + 1e-6 * X[:, 0] / 1e150)
    assert rows_of(X).centers.tolist() == [0.0, pytest.approx(1e152)]


def test_rows_without_far_columns_are_handed_on():
    rows = as_rows(np.random.default_rng(0).standard_normal((50, 3)))
    assert read_shifted(rows, as_samples(SquaredError(), np.zeros(50), 50)) is rows
    assert type(rows) is DenseRows
    table = sp.random_array(
        (60, 1000), density=0.01, random_state=np.random.default_rng(0), format="csr"
    )
    assert not isinstance(rows_of(table), ShiftedRows)


@pytest.mark.plain
@pytest.mark.parametrize("loss", [*CLASSIFIERS, *REGRESSORS], ids=name)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_each_loss_and_penalty_on_raw_columns(loss, penalty):
    X, Z, score, labels = data()
    y = labels if loss in CLASSIFIERS else score
    alpha = 0.0 if penalty is None else 0.02
    fits = [
        estimator(loss, penalty=penalty, alpha=alpha, tol=1e-7).fit(table, y) for table in (X, Z)
    ]
    assert all(fit.suboptimality_ <= 1e-7 for fit in fits)
    assert same_answer(*fits, X, Z) < 0.02


@pytest.mark.thinned(plain=1, compiled=7)
@pytest.mark.parametrize("storage", [*STORAGES, "float32"])
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs", "sdca", "saga"])
def test_each_solver_on_each_storage(solver, storage):
    X, Z, _, labels = data()
    tol = 1e-4 if solver in ("sdca", "saga") else 1e-8
    own = X.astype(np.float32) if storage == "float32" else STORAGES[storage](X)
    if storage == "float32":
        Z = np.column_stack([own[:, :2] - own[:, :2].astype(float).mean(axis=0), own[:, 2:]])
    options = {"solver": solver, "alpha": 0.01, "tol": tol, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits = [GDClassifier(**options).fit(own, labels), GDClassifier(**options).fit(Z, labels)]
    assert same_answer(*fits, X.astype(own.dtype).astype(float), Z, tol) < 0.05


def test_dense_and_compressed_rows_take_the_same_path():
    X, _, score, _ = data()
    for options in ({"solver": "lbfgs"}, {"solver": "gd"}, {"penalty": "l1", "solver": "nesterov"}):
        options = {"alpha": 0.01, "batch_size": "full", **options}
        fits = [GDRegressor("huber", **options).fit(form(X), score) for form in STORAGES.values()]
        for fit in fits[1:]:
            np.testing.assert_array_equal(fit.coef_, fits[0].coef_)
            np.testing.assert_array_equal(fit.intercept_, fits[0].intercept_)


def test_several_predictions_and_several_classes():
    X, Z, score, _ = data()
    labels = np.digitize(score, [-0.5, 0.5])
    for loss in ("log_loss", ToySoftmax()):
        fits = [GDClassifier(loss, alpha=0.01, tol=1e-7).fit(table, labels) for table in (X, Z)]
        assert same_answer(*fits, X, Z) < 0.02
    Y = np.column_stack([score, -2.0 * score, Z[:, 0]])
    fits = [GDRegressor(ToyMultiSquared(), alpha=0.01, tol=1e-9).fit(table, Y) for table in (X, Z)]
    assert same_answer(*fits, X, Z) < 0.02


def test_without_an_intercept_and_with_explicit_rates_columns_are_read_as_they_are(monkeypatch):
    X, _, score, _ = data()
    seen = []
    monkeypatch.setattr(
        "fastgd.estimators.base.read_shifted", lambda rows, samples: seen.append(1) or rows
    )
    GDRegressor(fit_intercept=False).fit(X, score)
    GDRegressor(learning_rate="constant", eta0=1e-14, max_iter=2, tol=None).fit(X, score)
    GDClassifier(loss="perceptron", max_iter=2, tol=None).fit(X[:, 2:], score > 0.0)
    assert not seen
    model = GDRegressor().fit(X, score)
    assert seen
    assert "distances" not in str(model.plan_)
    monkeypatch.undo()
    assert "distances from their means" in str(GDRegressor().fit(X, score).plan_)


def test_the_intercept_is_rounded_once():
    rng = np.random.default_rng(0)
    centers = np.array([1.7e12, 2459000.5, 0.0])
    rows = ShiftedRows(DenseRows(np.ones((2, 3))), centers)
    for coef in rng.standard_normal((20, 3)) * np.array([1e4, 1e3, 1e200]):
        exact = np.longdouble(0.25) - (centers[:2].astype(np.longdouble) * coef[:2]).sum()
        assert abs(rows.user_intercept(coef, 0.25) - exact) <= np.spacing(abs(float(exact)))
    np.testing.assert_array_equal(rows.user_intercept(np.eye(3)[:, :2], np.zeros(2)), -centers[:2])
    assert rows.own_intercept(np.array([1e300, 0.0, 0.0]), 0.0) == np.inf


def test_a_fit_goes_on_where_it_was():
    X, _, _, labels = data()
    whole = GDClassifier(solver="lbfgs", alpha=0.01, tol=None, max_iter=12).fit(X, labels)
    parts = GDClassifier(solver="lbfgs", alpha=0.01, tol=None, max_iter=6, warm_start=True).fit(
        X, labels
    )
    parts.fit(X, labels)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.intercept_, whole.intercept_)
    # Other rows, other means: it starts from the model, which is right for them too.
    parts.set_params(tol=1e-4, max_iter=100)
    moved = X.copy()
    moved[:, 0] += 1.0
    at = GDClassifier(alpha=0.01, tol=1e-9).fit(X, labels)
    parts.fit(X, labels)
    parts.set_params(max_iter=1, tol=None).fit(moved, labels)
    assert parts.history_["objective"][0] <= 1.5 * at.objective_


def test_it_starts_from_coefficients_of_the_columns_as_given():
    X, _, score, _ = data()
    best = GDRegressor(alpha=0.01, tol=1e-10).fit(X, score)
    again = GDRegressor(alpha=0.01, solver="lbfgs", max_iter=1, tol=None)
    again.fit(X, score, coef_init=best.coef_, intercept_init=best.intercept_)
    assert again.history_["objective"][0] == pytest.approx(best.objective_, rel=1e-6)


@pytest.mark.plain
def test_chunks_follow_a_fit():
    X, _, score, _ = data()
    model = GDRegressor(alpha=0.01).fit(X, score)
    before = model.score(X, score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.partial_fit(X[:20], score[:20])
    assert np.isfinite(model.coef_).all()
    assert before > 0.5


def test_early_stopping_scores_the_columns_as_given():
    X, _, _, labels = data()
    model = GDClassifier(early_stopping=True, random_state=0, solver="lbfgs").fit(X, labels)
    assert model.score(X, labels) > 0.8


@pytest.mark.parametrize(("search", "target"), [(GDRegressorCV, 2), (GDClassifierCV, 3)])
def test_searches(search, target):
    X, Z, *_ = columns = data()
    y = columns[target]
    for penalty in ("l2", "l1"):
        raw, centred = (
            search(alphas=[1.0, 0.1, 0.01], cv=3, penalty=penalty, tol=1e-7).fit(T, y)
            for T in (X, Z)
        )
        np.testing.assert_allclose(raw.scores_, centred.scores_, atol=1e-3)
        assert same_answer(raw.best_estimator_, centred.best_estimator_, X, Z) < 0.02


def test_the_model_that_callers_look_at_is_of_the_columns_as_given():
    X, _, score, _ = data()
    seen = []

    class Looks(Watch):
        def iteration_ends(self, model):
            seen.append(model())

    model = GDRegressor(alpha=0.01, solver="lbfgs")
    model._watch = lambda callbacks, n_targets, held: lambda k: Looks()
    model.fit(X, score)
    coef, intercept = seen[-1]
    assert np.square(X @ coef + intercept - score).mean() < np.var(score)


@pytest.mark.parametrize("form", STORAGES)
@pytest.mark.jit
def test_nothing_is_copied(form):
    rng, (n, d) = np.random.default_rng(0), (40_000, 30)
    X = STORAGES[form](rng.standard_normal((n, d)) + 1e4)
    y = rng.standard_normal(n) + (X.toarray() if sp.issparse(X) else X)[:, 0]
    model = GDRegressor("huber", n_jobs=2).fit(X, y)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 8 * n * d + 8 * 4 * n + 6 * 8 * d * d + 3_000_000


def near_copies(offset, spacing, n=600, seed=0):
    """Raw columns, the last two of them copies but for `spacing`; columns of the same span,
    centred; what they make.
    """
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, 4))
    X = Z + offset
    X[:, 3] = X[:, 2] + spacing * rng.standard_normal(n)
    between = X[:, 3] - X[:, 2]
    twin = np.column_stack([X[:, :3], between])
    twin = (twin - twin.mean(axis=0)) / np.maximum(twin.std(axis=0), 1e-300)
    return X, twin, twin[:, 0] + 3.0 * twin[:, 3] + 0.5 * rng.standard_normal(n)


@pytest.mark.parametrize("offset", [0.0, 3.0, 20.0, 1e3, 1e5])
@pytest.mark.parametrize("spacing", [1e-3, 1e-5, 1e-6, 2e-7])
def test_what_near_copies_differ_by_is_found(offset, spacing):
    X, twin, y = near_copies(offset, spacing)
    squares = np.square(y - y.mean()).sum()
    left = y - y.mean() - twin @ np.linalg.lstsq(twin, y - y.mean(), rcond=None)[0]
    for storage in (X, sp.csr_array(X)):
        model = GDRegressor(alpha=0.0).fit(storage, y)
        assert model.score(storage, y) == pytest.approx(1.0 - left @ left / squares, abs=1e-6)
        assert model.suboptimality_ <= 1e-4


@pytest.mark.parametrize("loss", ["log_loss", *REGRESSORS[1:]], ids=name)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_other_losses_find_it_too(loss, offset):
    X, twin, y = near_copies(offset, 2e-7, n=300)
    if loss == "log_loss":
        y = np.sign(y + 3.0 * np.random.default_rng(1).standard_normal(y.size))
    fits = [estimator(loss, alpha=0.0, tol=1e-6).fit(table, y) for table in (X, twin)]
    assert all(fit.suboptimality_ <= 1e-6 for fit in fits)
    assert fits[0].objective_ == pytest.approx(fits[1].objective_, rel=2e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_exact_copies_are_left_alone(offset):
    X, twin, y = near_copies(offset, 0.0)
    model = GDRegressor(alpha=0.0).fit(X, y)
    assert model.objective_ == pytest.approx(
        GDRegressor(alpha=0.0).fit(twin[:, :3], y).objective_, rel=1e-9
    )
    assert np.abs(model.coef_).max() < 10.0


@pytest.mark.parametrize("offset", [3.0, 1e3, 1e5])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", Quantile(0.5)], ids=name)
def test_sums_of_columns_are_told_from_columns_of_their_own(loss, offset):
    X, twin, y = near_copies(offset, 1.0)
    twin, X[:, 3] = twin[:, :3], 0.7 * X[:, 0] + X[:, 1]  # rounded as far columns are
    y = y - 3.0 * np.mean(y)
    y = np.where(y > 0.0, 1, -1) if loss == "log_loss" else y
    fits = [estimator(loss, alpha=0.0).fit(table, y) for table in (X, twin)]
    assert all(fit.suboptimality_ <= 1e-4 for fit in fits)
    assert fits[0].objective_ == pytest.approx(fits[1].objective_, rel=2e-4)
    assert np.abs(fits[0].coef_).max() < 50.0


@pytest.mark.jit  # of sums as they are compiled
@pytest.mark.parametrize(("offset", "spacing"), [(0.0, 1e-13), (1e3, 1.5e-11), (1e9, 1e-7)])
def test_nothing_is_claimed_of_what_rounding_hides(offset, spacing):
    X, twin, y = near_copies(offset, spacing)
    if offset == 1e9:
        X[:, 3] = X[:, 0] + X[:, 1]  # rounded: all that it has to say is rounding
        twin = X[:, :3] - X[:, :3].mean(axis=0)
        y = twin[:, 0] + 0.1 * y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GDRegressor(alpha=0.0).fit(X, y)
    best = GDRegressor(alpha=0.0).fit(twin, y).objective_
    assert model.objective_ - best <= 1.01 * max(model.suboptimality_, 1e-9) * max(best, 1e-4)
    assert (
        model.score(X, y) >= GDRegressor(alpha=0.0).fit(twin[:, :3], y).score(twin[:, :3], y) - 1e-3
    )


@pytest.mark.thinned(plain=1, compiled=2)
@pytest.mark.parametrize(
    ("loss", "penalty", "alpha"),
    [
        ("squared_error", "l2", 0.01),
        ("log_loss", "l1", 0.02),
        (Quantile(0.3), "l1", 0.05),
        ("hinge", "l2", 0.1),
    ],
    ids=["span of rows", "working set", "columns by need", "by way of the rows"],
)
def test_more_columns_than_rows(loss, penalty, alpha):
    rng, (n, d) = np.random.default_rng(0), (60, 450)
    X = rng.standard_normal((n, d))
    X[:, : d // 2] += 2.0**16
    Z = X.copy()
    Z[:, : d // 2] -= Z[:, : d // 2].mean(axis=0)
    y = Z[:, :5].sum(axis=1) + 0.3 * rng.standard_normal(n)
    y = np.where(y > 0.0, 1, -1) if loss in CLASSIFIERS else y
    fits = [
        estimator(loss, penalty=penalty, alpha=alpha, tol=1e-6).fit(T, y)
        for T in (X, sp.csr_array(X), Z)
    ]
    assert all(fit.suboptimality_ <= 1e-6 for fit in fits)
    for fit in fits[:2]:
        assert same_answer(fit, fits[2], X, Z, 1e-6) < 0.05
