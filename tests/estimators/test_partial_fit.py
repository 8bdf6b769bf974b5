"""Rows that come in chunks: balanced classes, validation rows, mini-batches, wide indices,
history.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier, SGDRegressor

from fastgd import Adam, GDClassifier, GDRegressor, Huber, StopReason
from fastgd.fitting.plan import MANY_COLUMNS

RNG = np.random.default_rng(0)
N, D = 300, 4
X = RNG.standard_normal((N, D))
SCORE = X @ [2.0, -1.0, 0.5, 0.0] + 0.5 * RNG.standard_normal(N)
Y = (SCORE > 0).astype(int)
Y3 = np.digitize(SCORE, [-1.0, 1.0])
PLAIN = {
    "solver": "gd",
    "batch_size": 1,
    "learning_rate": "constant",
    "eta0": 0.01,
    "random_state": 0,
}


def chunks(y, size=50, start=0):
    return [(X[i : i + size], y[i : i + size]) for i in range(start, N, size)]


def streamed(model, y, **first):
    for one in chunks(y):
        model.partial_fit(*one, **first)
    return model


@pytest.mark.parametrize("weights", [None, RNG.uniform(0.5, 2.0, N)], ids=["plain", "weighted"])
def test_balanced_is_what_running_class_counts_say(weights):
    y = np.where(SCORE > 1.5, "rare", "often")
    model, by_hand, seen = (
        GDClassifier(class_weight="balanced", **PLAIN),
        GDClassifier(**PLAIN),
        np.zeros(2),
    )
    for i in range(0, N, 50):
        here = slice(i, i + 50)
        own = np.ones(50) if weights is None else weights[here]
        model.partial_fit(X[here], y[here], ["often", "rare"], None if weights is None else own)
        rare = y[here] == "rare"
        seen += [own[~rare].sum(), own[rare].sum()]
        by_hand.partial_fit(
            X[here],
            y[here],
            ["often", "rare"],
            own * np.where(rare, *(seen.sum() / 2 / seen)[::-1]),
        )
        np.testing.assert_allclose(model.class_count_, seen, rtol=1e-12)
    np.testing.assert_allclose(model.coef_, by_hand.coef_, rtol=1e-9)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).class_count_, model.class_count_
    )
    unbalanced = streamed(GDClassifier(**PLAIN), y, classes=["often", "rare"])
    assert np.mean(model.predict(X) == "rare") > np.mean(unbalanced.predict(X) == "rare")


def test_balanced_counts_classes_in_chunks_of_one_class_and_several_classes():
    order = np.argsort(Y3, kind="stable")
    model = GDClassifier(class_weight="balanced", random_state=0)
    for _ in range(3):
        for part in np.array_split(order, 6):
            model.partial_fit(X[part], Y3[part], classes=[0, 1, 2])
    np.testing.assert_array_equal(model.class_count_, 3 * np.bincount(Y3))
    assert np.isfinite(model.coef_).all()
    model.fit(X, Y3)
    assert not hasattr(model, "class_count_")
    assert model.score(X, Y3) > 0.7


def test_weights_count_between_chunks_too():
    # As in SGDClassifier, but divided by the mean of all weights so far.
    ours = GDClassifier(shuffle=False, loss="hinge", **PLAIN)
    theirs = SGDClassifier(shuffle=False, learning_rate="constant", eta0=0.01)
    total = 0.0
    for k, (x, y) in enumerate(chunks(Y), start=1):
        total += k
        ours.partial_fit(x, y, [0, 1], np.full(50, float(k)))
        theirs.partial_fit(x, y, [0, 1], np.full(50, k / (total / k)))
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)


def test_the_best_model_on_validation_rows_predicts_and_the_latest_goes_on():
    train, val = chunks(Y, start=100), {"X_val": X[:100], "y_val": Y[:100]}
    model, alone = GDClassifier(tol=1e-3, n_iter_no_change=4, **PLAIN), GDClassifier(**PLAIN)
    best = []
    for call in range(100):
        x, y = train[call % len(train)]
        model.partial_fit(x, y, classes=[0, 1], **val)
        alone.partial_fit(x, y, classes=[0, 1])
        best.append((alone.score(X[:100], Y[:100]), alone.coef_))
        # The next call goes on from the latest model, the best one predicts.
        first = max(best, key=lambda pair: pair[0])
        assert model.best_validation_score_ == first[0] == model.score(X[:100], Y[:100])
        np.testing.assert_array_equal(model.coef_, first[1])
        if model.stop_reason_ is not None:
            break
    scores = model.history_["score"]
    assert model.stop_reason_ is StopReason.VALIDATION
    np.testing.assert_array_equal(scores, [score for score, _ in best])
    assert scores[-4:].max() <= scores[:-4].max() + 1e-3
    assert all(
        scores[k - 4 : k].max() > scores[: k - 4].max() + 1e-3 for k in range(5, scores.size)
    )
    again = pickle.loads(pickle.dumps(model)).partial_fit(*train[0], **val)
    assert again.history_["score"].size == scores.size + 1
    model.partial_fit(*train[0])
    assert not hasattr(model, "stop_reason_")
    assert np.isnan(model.history_["score"][-1])


def test_validation_rows_of_a_regressor_and_what_is_refused():
    model = GDRegressor()
    for x, y in chunks(SCORE, start=100):
        model.partial_fit(x, y, X_val=X[:100], y_val=SCORE[:100], sample_weight_val=np.ones(100))
    assert model.best_validation_score_ > 0.8
    assert (model.coef_.shape, model.intercept_.shape) == ((D,), (1,))
    before = dict(vars(model))
    for wrong, message in [
        ({"X_val": X}, "must be given together"),
        ({"sample_weight_val": [1.0]}, "needs X_val and y_val"),
        ({"X_val": X[:, :2], "y_val": SCORE}, "X_val has 2 features, X has 4"),
        ({"X_val": X * np.nan, "y_val": SCORE}, "NaN"),
        ({"X_val": X, "y_val": SCORE, "sample_weight_val": -np.ones(N)}, "must not be negative"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, SCORE, **wrong)
        assert vars(model) == before
    with pytest.raises(ValueError, match="not among the classes"):
        GDClassifier().partial_fit(X, Y, classes=[0, 1], X_val=X, y_val=Y + 1)


@pytest.mark.parametrize("solver", ["gd", "momentum", "adam"])
@pytest.mark.parametrize("rate", ["auto", "constant"])
def test_mini_batches(solver, rate):
    parameters = {
        "solver": solver,
        "batch_size": 16,
        "learning_rate": rate,
        "random_state": 0,
        "max_iter": 1,
        "tol": None,
    }
    model = streamed(GDClassifier(**parameters), Y, classes=[0, 1])
    assert model.t_ == 1 + 6 * 4  # the last batch of a chunk of 50 has two rows
    assert (model.n_iter_, model.plan_.batch_size) == (6, 16)
    assert model.score(X, Y) > 0.8
    if rate == "constant":
        once = GDClassifier(**parameters).partial_fit(X, Y, classes=[0, 1])
        np.testing.assert_array_equal(once.coef_, GDClassifier(**parameters).fit(X, Y).coef_)


@pytest.mark.plain
@pytest.mark.parametrize(("solver", "batch"), [("gd", 32), ("gd", 200), ("nesterov", 64)])
def test_automatic_rates_on_mini_batches_stay_stable(solver, batch):
    """Rates had been tripled where the iterate beat the average on the rows just learnt: F 1e12."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(1000, 6))
    targets = rows @ [1.0, -1.0, 0.5, 0.0, 0.0, 0.2] + rng.normal(size=1000)
    model = GDRegressor(solver=solver, batch_size=batch, random_state=0)
    for part in np.array_split(np.arange(1000), 10):
        model.partial_fit(rows[part], targets[part])
    objective = model.history_["objective"]
    assert objective.max() < 1.5 * objective[0]
    assert model.score(rows, targets) > 0.6


@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_sparse_chunks_with_wide_indices_are_dense_ones(make):
    thin = np.where(np.abs(X) > 0.5, X, 0.0)
    models = [
        GDClassifier(**PLAIN),
        GDClassifier(**PLAIN),
        GDClassifier(class_weight="balanced", **PLAIN),
    ]
    for i in range(0, N, 50):
        wide = make(thin[i : i + 50])
        wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
        assert wide.indices.dtype == np.int64
        models[0].partial_fit(wide, Y[i : i + 50], classes=[0, 1])
        models[1].partial_fit(thin[i : i + 50], Y[i : i + 50], classes=[0, 1])
        models[2].partial_fit(wide, Y[i : i + 50], classes=[0, 1])
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-12)
    np.testing.assert_allclose(
        models[0].predict_proba(wide), models[1].predict_proba(thin[-50:]), rtol=1e-12
    )


@pytest.mark.parametrize("y", [Y, Y3, SCORE], ids=["two", "three", "numbers"])
def test_history(y):
    model = GDRegressor(**PLAIN) if y is SCORE else GDClassifier(**PLAIN)
    first = {} if y is SCORE else {"classes": np.unique(y)}
    copies = []
    for call, one in enumerate(chunks(y), start=1):
        model.partial_fit(*one, **first)
        history = model.history_
        assert {key: column.size for key, column in history.items()} == dict.fromkeys(history, call)
        # F of the chunk, seen from outside: a fit that does not move.
        still = type(model)(
            loss=model.loss,
            max_iter=1,
            tol=None,
            solver="gd",
            batch_size=1,
            learning_rate="constant",
            eta0=1e-300,
        )
        here = one
        if y is not SCORE and np.unique(one[1]).size == np.unique(y).size:
            still.fit(*here, coef_init=model.coef_, intercept_init=model.intercept_)
            np.testing.assert_allclose(history["objective"][-1], still.objective_, rtol=1e-9)
        copies.append(pickle.loads(pickle.dumps(model)))
    assert list(history) == ["passes", "seconds", "objective", "bound", "rate", "batch", "score"]
    np.testing.assert_array_equal(history["passes"], np.arange(1, 7))
    assert (np.diff(history["seconds"]) > 0).all()
    assert history["objective"][-1] < history["objective"][0]
    assert (history["batch"] == 1).all()
    np.testing.assert_array_equal(history["rate"], np.full(6, 0.01))
    earlier = copies[2]
    assert earlier.history_["objective"].size == 3
    for one in chunks(y)[3:]:
        earlier.partial_fit(*one)
    np.testing.assert_array_equal(earlier.coef_, model.coef_)
    np.testing.assert_array_equal(earlier.history_["objective"], history["objective"])


def test_histories_of_copies_go_their_own_ways():
    import copy

    model = streamed(GDRegressor(**PLAIN), SCORE)
    other = copy.copy(model)
    model.partial_fit(X[:50], SCORE[:50])
    other.partial_fit(X[50:60], -SCORE[50:60])
    a, b = (one.history_["objective"] for one in (model, other))
    assert a.size == b.size == 7
    np.testing.assert_array_equal(a[:6], b[:6])
    assert a[6] != b[6]
    for _ in range(40):
        model.partial_fit(X[:50], SCORE[:50])
    np.testing.assert_array_equal(model.history_["objective"][:7], a)


def test_unseen_labels_and_zero_weights():
    model = GDClassifier(**PLAIN).partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(
        ValueError, match=r"not among the classes \[0 1\]: \[7\]; pass all in classes"
    ):
        model.partial_fit(X[:2], [0, 7])
    with pytest.raises(ValueError, match="zero for every row"):
        model.partial_fit(X[:2], [0, 1], sample_weight=[0.0, 0.0])
    assert model.t_ == 1 + N
    model.partial_fit(X[:4], Y[:4], sample_weight=[0.0, 1.0, 0.0, 1.0])
    assert model.t_ == 1 + N + 2


def test_a_score_of_minus_infinity_and_one_weight_for_all_validation_rows(monkeypatch):
    monkeypatch.setattr(GDClassifier, "score", lambda *_, **given: -np.inf)
    model = GDClassifier(**PLAIN).partial_fit(X, Y, [0, 1], X_val=X, y_val=Y, sample_weight_val=2.0)
    assert model.best_validation_score_ == -np.inf
    assert np.isfinite(model.coef_).all()


def test_a_score_that_is_no_number_is_kept_only_before_others(monkeypatch):
    scores = iter([np.nan, 0.25, np.nan, 0.5, 0.125])
    monkeypatch.setattr(GDClassifier, "score", lambda *_, **given: next(scores))
    model, best = GDClassifier(**PLAIN), []
    for _ in range(5):
        model.partial_fit(X, Y, [0, 1], X_val=X, y_val=Y)
        best.append(model.best_validation_score_)
    np.testing.assert_array_equal(best, [np.nan, 0.25, 0.25, 0.5, 0.5])


@pytest.mark.plain
@pytest.mark.parametrize(
    "options", [{}, {"average": True}, {"learning_rate": "invscaling"}], ids=str
)
@pytest.mark.parametrize("solver", ["gd", "momentum", "adam"])
def test_all_rows_of_a_chunk_are_a_batch_of_so_many(solver, options):
    """Each chunk had begun anew: no velocity, no falling rates, `t_` at its first value."""
    given = {
        "solver": solver,
        "learning_rate": "constant",
        "eta0": 0.05,
        "shuffle": False,
        **options,
    }
    full, number = GDRegressor(batch_size="full", **given), GDRegressor(batch_size=50, **given)
    for one in chunks(SCORE):
        full.partial_fit(*one)
        number.partial_fit(*one)
    assert full.t_ == number.t_ == 1.0 + N / 50
    np.testing.assert_allclose(full.coef_, number.coef_, rtol=1e-9)
    np.testing.assert_allclose(full.history_["rate"], number.history_["rate"])


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("solver", ["gd", "nesterov", "adam"])
def test_automatic_steps_on_all_rows_of_a_chunk_are_counted(solver, loss):
    """`t_` was 2 and `n_iter_` 1 after any number of chunks."""
    model = streamed(GDRegressor(solver=solver, batch_size="full", loss=loss), SCORE)
    n_chunks = N // 50
    assert (model.n_iter_, model.t_) == (n_chunks, 1.0 + n_chunks)
    np.testing.assert_array_equal(model.history_["passes"], np.arange(1, n_chunks + 1))


@pytest.mark.parametrize("name", ["bounds", "penalty_weights", "P2"])
def test_numbers_that_are_changed_in_place_hold_from_then_on(name):
    """Only other objects had been seen."""
    array = np.eye(D) if name == "P2" else np.ones(D)

    def given():
        return (-np.inf, array.copy()) if name == "bounds" else array.copy()

    kw = {"solver": "gd", "batch_size": "full", "alpha": 0.1}
    held = (-np.inf, array) if name == "bounds" else array
    model, other = GDRegressor(**{name: held}, **kw), GDRegressor(**{name: given()}, **kw)
    for one in (model, other):
        one.partial_fit(X[:50], SCORE[:50])
    before = model.coef_[0]
    array[0] *= 0.5 if name == "bounds" else 1e6
    other.set_params(**{name: given()})
    for one in (model, other):
        one.partial_fit(X[50:100], SCORE[50:100])
    np.testing.assert_array_equal(model.coef_, other.coef_)
    assert model.coef_[0] <= 0.5 < before


@pytest.mark.parametrize("solver", ["gd", "momentum", "adagrad"])
@pytest.mark.parametrize("rate", ["auto", "constant"])
def test_chunks_of_empty_sparse_rows(solver, rate):
    """Sparse rows without a value tell what dense ones do, of the intercept: they had raised
    IndexError.
    """
    kw = {"solver": solver, "batch_size": 4, "learning_rate": rate, "random_state": 0}
    models = []
    for convert in (sp.csr_array, np.asarray):
        model = GDRegressor(**kw)
        for rows in (X[:8], 0.0 * X[:8], X[8:16]):
            model.partial_fit(convert(rows), SCORE[:8] + 1.0)
        models.append(model)
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-9)
    np.testing.assert_allclose(models[0].intercept_, models[1].intercept_, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"batch_size": 16}, {"solver": "momentum"}], ids=str)
def test_automatic_rates_do_not_rest_on_one_row(options):
    """A model that one row after the other moved had 1e7 times the variance of the targets as its
    error.
    """
    given = {"solver": "gd", "batch_size": 1, "random_state": 0, **options}
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 10))
    targets = rows @ rng.normal(size=10)
    targets += targets.std() * rng.normal(size=400)
    model, worst = GDRegressor(**given), 0.0
    for k in range(300):
        model.partial_fit(rows[k : k + 1], targets[k : k + 1])
        worst = max(worst, np.mean((model.predict(rows[300:]) - targets[300:]) ** 2))
    assert worst < 2.0 * targets.var()


@pytest.mark.plain
@pytest.mark.parametrize(
    ("first", "width", "options"),
    [
        ("fit", D, PLAIN),
        ("partial_fit", D, PLAIN),
        ("partial_fit", D, {**PLAIN, "solver": "momentum"}),
        ("partial_fit", MANY_COLUMNS + 1, {}),
    ],
)
def test_an_average_that_is_no_longer_asked_for(first, width, options):
    """From then on the answer is the latest model: the average stayed it, for ever."""
    wide = sp.csr_array(np.pad(X, ((0, 0), (0, width - D))))
    model = GDClassifier("hinge", alpha=0.1, max_iter=2, tol=None, average=True).set_params(
        **options
    )
    getattr(model, first)(wide, Y, **({} if first == "fit" else {"classes": [0, 1]}))
    other = pickle.loads(pickle.dumps(model)).set_params(average=False)
    before = other.coef_.copy()
    other.partial_fit(wide, 1 - Y)
    np.testing.assert_array_equal(other.coef_.ravel(), other._states[0].point[:width])
    assert before[0, 0] > 0.0 > other.coef_[0, 0]
    # Asked for again, it is of the updates since then.
    again = other.set_params(average=True).partial_fit(wide[:1], Y[:1])
    np.testing.assert_allclose(again.coef_.ravel(), again._states[0].point[:width], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 10, "full"])
@pytest.mark.parametrize("average", [False, True])
def test_chunks_after_a_fit_at_adaptive_rates_begin_at_eta0(batch_size, average):
    """They went on at the rate where the fit had ended: 1e-6."""
    kw = {**PLAIN, "learning_rate": "adaptive", "batch_size": batch_size, "average": average}
    model = GDRegressor(**{**kw, "eta0": 0.1}).fit(X, SCORE)
    assert model.history_["rate"][-1] < 1e-3
    model.partial_fit(X, SCORE).partial_fit(X, SCORE)
    np.testing.assert_array_equal(model.history_["rate"], 0.1)


@pytest.mark.plain
@pytest.mark.parametrize("solver", ["auto", "adagrad", "adam", "rmsprop"])
@pytest.mark.parametrize("first", ["one row", "alike"])
def test_steps_grow_with_the_scale_of_the_targets(solver, first):
    """That of the first chunk was the unit of steps for ever: R^2 of -0.27 and -0.01."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2500, 5))
    y = 1e3 * (rows @ [1.0, -2.0, 3.0, 0.0, 1.0] + rng.normal(size=2500))
    model = GDRegressor(solver=solver, batch_size="auto" if solver == "auto" else 1, random_state=0)
    if first == "one row":
        model.partial_fit(rows[:1], y[:1])
    else:
        model.partial_fit(rows[:2], [5.0, 5.001])
    for part in np.array_split(np.arange(2, 2500), 25):
        model.partial_fit(rows[part], y[part])
    assert model.score(rows, y) > 0.9


@pytest.mark.parametrize("size", [N, 50, 1])
def test_the_scale_of_targets_is_that_of_all_rows(size):
    """In whatever chunks they come, less their offsets; what is forgotten counts less."""
    rng = np.random.default_rng(0)
    y, offset = rng.normal(3.0, 2.0, N), rng.normal(0.0, 5.0, N)
    model = GDRegressor(solver="adam", random_state=0)
    for i in range(0, N, size):
        here = slice(i, i + size)
        model.partial_fit(X[here], y[here] + offset[here], offset=offset[here])
    found = model._states[0].memory.targets
    np.testing.assert_allclose(found, (N, y.mean(), y.var()), rtol=1e-9)
    other = np.append(y, rng.normal(-1.0, 0.1, 50))
    model.set_params(forget=50).partial_fit(X[:50], other[N:])
    found, mean = model._states[0].memory.targets, other.mean()
    assert found[0] <= 0.5 * other.size
    np.testing.assert_allclose(found[1:], (mean, other.var()), rtol=1e-9)
    weights = rng.integers(0, 3, N)
    weighted = GDRegressor(solver="adam", random_state=0).partial_fit(X, y, weights)
    mean = np.average(y, weights=weights)
    expected = mean, np.average((y - mean) ** 2, weights=weights)
    np.testing.assert_allclose(weighted._states[0].memory.targets[1:], expected, rtol=1e-9)


@pytest.mark.plain
@pytest.mark.parametrize("way", [pickle.dumps, None], ids=["pickled", "set again"])
@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": "invscaling", "eta0": 0.1, "solver": "gd"},
        {"solver": "adagrad"},
        {"solver": Adam(beta1=0.8), "alpha": 1e-3, "loss": Huber(0.5)},
    ],
    ids=str,
)
def test_a_plan_stays_that_of_the_first_chunk_in_a_pickle(options, way):
    """Numbers in it are other objects: batches of a tenth were of each chunk's own length."""
    models = [GDRegressor(batch_size=0.1, random_state=0, **options) for _ in range(2)]
    for rows in np.split(np.arange(N), [60, 200, 230]):
        if way is None:
            models[1].set_params(alpha=float(str(models[1].alpha)))
        else:
            models[1] = pickle.loads(way(models[1]))
        for one in models:
            one.partial_fit(X[rows], SCORE[rows])
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    assert models[0].t_ == models[1].t_
    assert models[1].plan_.batch_size == 6


CHANGES = [
    {"penalty": "l1"},
    {"loss": "huber"},
    {"penalty": None},
    {"learning_rate": "constant"},
    {"learning_rate": "invscaling"},
    {"fit_intercept": False},
]


@pytest.mark.plain
@pytest.mark.parametrize("batch_size", [1, "full"])
@pytest.mark.parametrize("solver", ["gd", "momentum"])
def test_updates_count_on_where_settings_change(solver, batch_size):
    """As SGDRegressor's: rates that fall began anew with each change of another parameter."""
    kw = {"learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.5}
    model = GDRegressor(solver=solver, batch_size=batch_size, random_state=0, **kw)
    twin, n = SGDRegressor(random_state=0, **kw).partial_fit(X, SCORE), N if batch_size == 1 else 1
    model.partial_fit(X, SCORE)
    for one in CHANGES:
        model.set_params(**one).partial_fit(X[:10], SCORE[:10])
        n += 10 if batch_size == 1 else 1
        assert model.t_ == n + 1.0
        falls = model.learning_rate == "invscaling"
        expected = 0.1 / np.sqrt(n) if falls else 0.1
        assert model.history_["rate"][-1] == pytest.approx(expected, rel=1e-12)
        twin.set_params(**one).partial_fit(X[:10], SCORE[:10])
        assert batch_size == "full" or twin.t_ == model.t_
    assert model.n_iter_ == 1 + len(CHANGES)


def test_a_chunk_of_classes_without_a_weight_teaches_nothing():
    """It was refused for weights of rows that nobody had given."""
    model = GDClassifier(class_weight={0: 0.0}, **PLAIN)
    with pytest.raises(ValueError, match=r"class_weight=.*first chunk"):
        model.partial_fit(X[Y == 0], Y[Y == 0], classes=[0, 1])
    assert not hasattr(model, "classes_")
    model.partial_fit(X, Y, classes=[0, 1])
    coef, t = model.coef_.copy(), model.t_
    model.partial_fit(X[Y == 0], Y[Y == 0])
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.t_ == t
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((2, D), np.nan), [0, 0])
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        model.partial_fit(X, Y, sample_weight=np.zeros(N))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("what", "match"),
    [
        ({"X_val": "abc", "y_val": 3}, "could not convert"),
        ({"X_val": X, "y_val": 3}, "y_val must have shape"),
        ({"X_val": X, "y_val": np.full(N, 7)}, "y_val"),
        ({"offset_val": np.zeros(N)}, "offset_val needs X_val"),
        ({"offset": [1.0, 2.0]}, "offset"),
        ({"offset": "abc"}, "offset"),
    ],
)
def test_a_chunk_without_a_weight_is_checked_as_others(what, match, n_classes):
    """Offsets and rows to watch were not looked at."""
    model = GDClassifier(class_weight={0: 0.0}, **PLAIN)
    y = np.arange(N) % n_classes
    model.partial_fit(X, y, classes=np.arange(n_classes))
    coef = model.coef_.copy()
    for labels in (y, np.zeros(N, int)):
        with pytest.raises(ValueError, match=match):
            model.partial_fit(X, labels, **what)
        np.testing.assert_array_equal(model.coef_, coef)
    model.partial_fit(X, np.zeros(N, int), X_val=X, y_val=y, offset=np.ones(N))


def test_coefficients_that_are_set_between_chunks_count_on_a_clone_alone():
    model = GDRegressor(**PLAIN).partial_fit(X, SCORE)
    other = pickle.loads(pickle.dumps(model))
    other.coef_ = other.coef_ + 100.0
    begun = clone(model).set_params(eta0=1e-9)
    begun.coef_, begun.intercept_, begun.n_features_in_ = np.full(D, 7.0), 1.0, D
    for one in (model, other, begun):
        one.partial_fit(X, SCORE)
    np.testing.assert_array_equal(model.coef_, other.coef_)
    np.testing.assert_allclose(begun.coef_, 7.0, rtol=1e-4)
