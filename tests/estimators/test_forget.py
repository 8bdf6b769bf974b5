"""Streams that forget: what a half-life does to averages, rates, sums of gradients and counts."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import ConvergenceDisplay, GDClassifier, GDRegressor

RNG = np.random.default_rng(0)
N, D = 240, 3
X = RNG.standard_normal((N, D))
Y = X @ [2.0, -1.0, 0.5] + 0.5 * RNG.standard_normal(N)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]
HALF_LIFE = 5.0
KEEP = 0.5 ** (1.0 / HALF_LIFE)
PLAIN = {"solver": "gd", "batch_size": 1, "learning_rate": "constant", "eta0": 0.05, "alpha": 0.0}


def stream(model, X=X, y=Y, size=1, first=0, **options):
    for k in range(first, len(y), size):
        model.partial_fit(X[k : k + size], y[k : k + size], **options)
    return model


def one_row_at_a_time(model, n=30):
    """Coefficients after each of the first rows."""
    return np.array([model.partial_fit(X[k : k + 1], Y[k : k + 1]).coef_ for k in range(n)])


def test_an_average_is_one_of_the_last_iterates():
    averaged = one_row_at_a_time(GDRegressor(**PLAIN, average=True, forget=HALF_LIFE))
    total, count = np.zeros(D), 0.0
    for k, iterate in enumerate(one_row_at_a_time(GDRegressor(**PLAIN))):
        total, count = KEEP * total + iterate, KEEP * count + 1.0
        np.testing.assert_allclose(averaged[k], total / count, rtol=1e-12)


@pytest.mark.parametrize("rate", ["invscaling", "optimal"])
def test_rates_fall_no_further_than_those_of_the_rows_that_count(rate):
    options = {**PLAIN, "alpha": 1.0, "learning_rate": rate}
    model, usual = GDRegressor(**options, forget=HALF_LIFE), GDRegressor(**options)
    one_row_at_a_time(model)
    one_row_at_a_time(usual)
    count, counts = 0.0, []
    for _ in range(30):
        count = KEEP * count + 1.0
        counts.append(count)
    # 1 / rate^(1 / p) is linear in the number of updates.
    p = 0.25 if rate == "invscaling" else 1.0
    slowness = [one.history_["rate"] ** (-1.0 / p) for one in (model, usual)]
    np.testing.assert_allclose(slowness[0], np.interp(counts, np.arange(1, 31), slowness[1]))
    assert counts[-1] < 1.0 / (1.0 - KEEP) < 1.5 * HALF_LIFE + 1.0
    assert (model.t_, usual.t_) == (31.0, 31.0)


@pytest.mark.plain
def test_what_adagrad_adds_up_is_of_the_last_rows():
    options = {"solver": "adagrad", "learning_rate": "constant", "eta0": 0.5, "alpha": 0.0}
    options |= {"batch_size": 1, "fit_intercept": False}
    ours = one_row_at_a_time(GDRegressor(**options, forget=HALF_LIFE))
    w, total = np.zeros(D), np.zeros(D)
    for k in range(30):
        gradient = (X[k] @ w - Y[k]) * X[k]
        total = KEEP * total + gradient**2
        w = w - 0.5 * gradient / (np.sqrt(total) + 1e-8)
        np.testing.assert_allclose(ours[k], w, rtol=1e-9)


@pytest.mark.parametrize("average", [False, True])
def test_all_rows_of_a_chunk_at_once_forget_too(average):
    """Only averages did: falling rates and Adagrad's sums were those of all chunks."""
    given = {"batch_size": "full", "learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.5}
    model = GDRegressor(solver="gd", average=average, forget=20, **given)
    stream(model, size=20)
    count, rates = 0.0, []
    for _ in range(N // 20):
        count = 0.5 * count + 1.0
        rates.append(0.1 / np.sqrt(count))
    np.testing.assert_allclose(model.history_["rate"], rates, rtol=1e-12)
    sums = [
        stream(GDRegressor(solver="adagrad", average=average, forget=forget, **given), size=20)
        for forget in (None, 1.0)
    ]
    usual, faded = (one._states[0].memory.slots for one in sums)
    assert (faded < 0.5 * usual).all()


def test_class_counts_and_mean_weights_are_of_the_last_rows():
    options = {**PLAIN, "class_weight": "balanced", "random_state": 0, "forget": 60}
    model, counts = GDClassifier(**options), 0.0
    for k in range(0, N, 60):
        model.partial_fit(X[k : k + 60], LABELS[k : k + 60], classes=["a", "b", "c"])
        here = [np.sum(LABELS[k : k + 60] == one) for one in "abc"]
        counts = 0.5 * np.asarray(counts) + here
        np.testing.assert_allclose(model.class_count_, counts)
    # A row of weight 0 is none: it ages nothing.
    weights = np.tile([1.0, 0.0], N // 2)
    with_zeros = GDRegressor(**PLAIN, average=True, forget=20, shuffle=False)
    without = GDRegressor(**PLAIN, average=True, forget=20, shuffle=False)
    for k in range(0, N, 20):
        with_zeros.partial_fit(X[k : k + 20], Y[k : k + 20], sample_weight=weights[k : k + 20])
        without.partial_fit(X[k : k + 20 : 2], Y[k : k + 20 : 2])
    np.testing.assert_allclose(with_zeros.coef_, without.coef_, rtol=1e-12)


STREAMS = [
    (GDRegressor(random_state=0), Y, {}),
    (GDRegressor(random_state=0, solver="adam", batch_size=8), Y, {}),
    (GDClassifier(random_state=0), LABELS, {"classes": ["a", "b", "c"]}),
    (GDClassifier(random_state=0, multi_class="ovr"), LABELS, {"classes": ["a", "b", "c"]}),
]


@pytest.mark.parametrize(("model", "y", "options"), STREAMS)
def test_none_and_infinity_forget_nothing_and_one_of_them_scores(model, y, options):
    given = model.get_params()
    usual = stream(type(model)(**given), y=y, size=40, **options)
    scored = stream(type(model)(**{**given, "forget": np.inf}), y=y, size=40, **options)
    np.testing.assert_array_equal(usual.coef_, scored.coef_)
    assert "prequential" not in usual.history_
    history = scored.history_["prequential"]
    before = stream(type(model)(**given), X[:160], y[:160], size=40, **options)
    assert np.isnan(history[0])
    assert history[4] == before.score(X[160:200], y[160:200])


@pytest.mark.plain
@pytest.mark.parametrize(("model", "y", "options"), STREAMS)
def test_a_stream_goes_on_from_a_pickle_bit_for_bit(model, y, options):
    given = {**model.get_params(), "forget": 50}
    whole = stream(type(model)(**given), y=y, size=40, **options)
    half = stream(type(model)(**given), X[:120], y[:120], size=40, **options)
    resumed = stream(pickle.loads(pickle.dumps(half)), y=y, size=40, first=120, **options)
    np.testing.assert_array_equal(whole.coef_, resumed.coef_)
    np.testing.assert_array_equal(whole.history_["prequential"], resumed.history_["prequential"])
    sparse = stream(type(model)(**given), sp.csr_array(X), y=y, size=40, **options)
    np.testing.assert_allclose(whole.coef_, sparse.coef_, rtol=1e-6, atol=1e-9)


def test_a_chunk_that_is_refused_ages_nothing():
    model, usual = (GDClassifier(random_state=0, forget=50) for _ in range(2))
    for one in (model, usual):
        stream(one, X[:120], LABELS[:120], size=40, classes=["a", "b", "c"])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((40, D), np.nan), LABELS[:40])
    with pytest.raises(ValueError, match="labels"):
        model.partial_fit(X[:40], ["d"] * 40)
    for one in (model, usual):
        stream(one, y=LABELS, size=40, first=120)
    np.testing.assert_array_equal(model.coef_, usual.coef_)


def world(change, n=40, size=100, d=10, seed=0):
    """Chunks of rows with labels, from another truth after `change` of them."""
    rng = np.random.default_rng(seed)
    truths = rng.normal(size=(2, d))
    for k in range(n):
        rows = rng.normal(size=(size, d))
        yield rows, rows @ truths[int(k >= change)] + 0.3 * rng.logistic(size=size) > 0.0


@pytest.mark.parametrize("options", [{}, {"solver": "adam", "batch_size": 10}])
def test_a_world_that_changes_is_followed(options):
    scores = {}
    for forget in (np.inf, 500):
        model = GDClassifier(random_state=0, forget=forget, **options)
        for rows, y in world(20):
            model.partial_fit(rows, y, classes=[False, True])
        scores[forget] = model.history_["prequential"]
    before, after = slice(10, 20), slice(23, 30)
    assert scores[500][before].mean() > scores[np.inf][before].mean() - 0.02
    assert scores[500][after].mean() > scores[np.inf][after].mean() + 0.1
    assert scores[500][30:].mean() > scores[500][before].mean() - 0.05


def test_scales_follow_columns_that_change_their_unit():
    model = GDRegressor(random_state=0, forget=40)
    stream(model, X * [1000.0, 1.0, 1.0], size=40)
    before = model._states[0].memory.tuning.scales[0]
    for _ in range(2):
        stream(model, X, size=40)
    assert before > 1500.0
    assert model._states[0].memory.tuning.unit < 10.0
    usual = stream(GDRegressor(random_state=0), X * [1000.0, 1.0, 1.0], size=40)
    stream(usual, X, size=40)
    assert usual._states[0].memory.tuning.scales[0] > 1500.0


@pytest.mark.plain
@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("width", [D, 1500])
def test_plain_descent_in_columns_that_become_unlike(batch_size, width):
    """It goes on in columns that are scaled anew. It had no memory to go on with, an error out of
    the compiler; and the intercept kept a rate in other units, 8 times too long.
    """
    rows = np.pad(X, ((0, 0), (0, width - D)))
    rows[120:, 0] *= 100.0
    model = GDRegressor(solver="gd", batch_size=batch_size, forget=30, random_state=0)
    stream(model, X=rows, size=20)
    memory = model._states[0].memory
    assert memory.tuning.scales is not None
    assert memory.divisor == 1.0
    assert model.history_["objective"][-1] < 0.5 * model.history_["objective"].max()


def test_scores_that_there_are_not():
    model = GDRegressor(forget=10).partial_fit(X[:20], Y[:20])
    model.partial_fit(X[20:21], Y[20:21])
    assert np.isnan(model.history_["prequential"]).all()
    later = GDRegressor().partial_fit(X[:20], Y[:20]).set_params(forget=10)
    later.partial_fit(X[20:40], Y[20:40])
    assert np.isnan(later.history_["prequential"]).tolist() == [True, False]
    later.set_params(forget=None).partial_fit(X[40:60], Y[40:60])
    assert np.isnan(later.history_["prequential"]).tolist() == [True, False, True]


def test_the_scores_are_drawn():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    model = stream(GDRegressor(forget=50), size=40)
    display = ConvergenceDisplay.from_estimator(model, what="prequential", ax=ax)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), model.history_["prequential"][1:])
    with pytest.raises(ValueError, match="give forget"):
        ConvergenceDisplay.from_estimator(GDRegressor().fit(X, Y), what="prequential", ax=ax)


@pytest.mark.parametrize("forget", [0, -1.0, True, "day", np.nan])
def test_a_half_life_is_a_positive_number(forget):
    with pytest.raises(ValueError, match="forget must be None or a positive number of rows"):
        GDRegressor(forget=forget).partial_fit(X, Y)
