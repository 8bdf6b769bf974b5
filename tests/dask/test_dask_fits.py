"""Fits on a cluster of two processes: the model of memory, whatever happens to the workers."""

import gc
import logging
import os
import pickle
import signal
import threading
import time

import numba
import numpy as np
import pytest
import scipy.sparse as sp

import fastgd
from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, Quantile

pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

import dask  # noqa: E402
import distributed  # noqa: E402
from dask import delayed  # noqa: E402

import fastgd.dask  # noqa: E402
from fastgd.dask import cluster_workers  # noqa: E402
from fastgd.dask.cluster_workers import LostWorkersError  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sending large graph"),
    # Sockets of workers that were killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
N, D, CHUNK = 240, 4, 50


@pytest.fixture(scope="module")
def client():
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        # Else the cluster gives up a worker whose process is being started anew.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def two_workers(client):
    """The client, once two workers are there again."""
    client.wait_for_workers(2, timeout=60)
    return client


def data(kind="signs", n=N):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, D))
    z = X @ [1.0, -2.0, 0.5, 0.0] + 0.3
    if kind == "signs":
        return X, np.where(z + rng.logistic(size=n) > 0, "yes", "no")
    if kind == "classes":
        return X, np.digitize(z + rng.logistic(size=n), [-1.0, 1.0])
    if kind == "counts":
        return X, rng.poisson(np.exp(z / 3)).astype(float)
    return X, z + rng.standard_normal(n)


def blocks(*arrays, chunk=CHUNK):
    return [
        None if one is None else da.from_array(one, chunks=(chunk, *one.shape[1:]))
        for one in arrays
    ]


def same(found, usual, within=1e-8):
    assert abs(found.objective_ / usual.objective_ - 1.0) <= within
    assert found.bound_kind_ == usual.bound_kind_
    assert found.suboptimality_ <= 1e-6


CASES = {
    "two classes": (lambda: GDClassifier(tol=1e-6), "signs", {}),
    "three classes": (lambda: GDClassifier(tol=1e-6), "classes", {}),
    "one against the rest": (lambda: GDClassifier(tol=1e-6, multi_class="ovr"), "classes", {}),
    "least squares": (lambda: GDRegressor(tol=1e-6), "numbers", {}),
    "counts, weights, offsets": (
        lambda: GDRegressor("poisson", tol=1e-6),
        "counts",
        {"sample_weight": np.linspace(0.0, 2.0, N), "offset": np.linspace(-0.5, 0.5, N)},
    ),
    "l1": (lambda: GDClassifier(tol=1e-6, penalty="l1", alpha=0.01), "signs", {}),
    "hinge": (lambda: GDClassifier("hinge", tol=1e-8), "signs", {}),
    "Huber": (lambda: GDRegressor("huber", tol=1e-6), "numbers", {}),
    "lbfgs": (lambda: GDClassifier(tol=1e-6, solver="lbfgs"), "signs", {}),
}


COMPILED = "two classes", "counts, weights, offsets"


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_that_of_memory(client, name):
    if name not in COMPILED and not numba.config.DISABLE_JIT:
        pytest.skip("the same in plain Python; two processes would compile it")
    make, kind, beside = CASES[name]
    X, y = data(kind)
    usual = make().fit(X, y, **beside)
    given = dict(zip(beside, blocks(*beside.values()), strict=True))
    found = fastgd.dask.fit(make(), *blocks(X, y), **given)
    same(found, usual)
    assert " rounds" in str(found.plan_)
    if found.solver == "auto" and found.batch_size == "auto":
        assert "what a round takes beside computing counts as" in str(found.plan_)
    assert found.n_features_in_ == D
    np.testing.assert_allclose(found.coef_, usual.coef_, atol=1e-3)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="two processes would compile it")
@pytest.mark.parametrize("kind", ["signs", "classes"])
def test_a_search_is_that_of_memory(client, kind):
    X, y = data(kind)
    settings = {"alphas": 3, "cv": 3, "tol": 1e-12}
    if kind == "classes":
        settings["loss"] = "squared_hinge"  # one against the rest
    usual = GDClassifierCV(**settings).fit(X, y)
    found = fastgd.dask.fit(GDClassifierCV(**settings), *blocks(X, y))
    same(found, usual)
    np.testing.assert_allclose(found.scores_, usual.scores_, atol=1e-8)
    assert found.alpha_ == pytest.approx(usual.alpha_)
    assert "rounds for the search" in str(found.plan_)
    bare = fastgd.dask.fit(GDClassifierCV(**settings, refit=False), *blocks(X, y))
    np.testing.assert_array_equal(bare.scores_, found.scores_)


def test_sparse_blocks_and_columns_far_from_0(client):
    X, y = data()
    X[:, 0] += 1000.0
    X[X < 0.3] = 0.0
    usual = GDClassifier(tol=1e-6).fit(sp.csr_array(X), y)
    dX, dy = blocks(X, y)
    found = fastgd.dask.fit(GDClassifier(tol=1e-6), dX.map_blocks(sp.csr_matrix), dy)
    same(found, usual)
    assert "far from 0" in str(found.plan_)


def test_bits_do_not_depend_on_who_holds_the_blocks(client):
    X, y = data("counts")
    parts = [X[first : first + CHUNK] for first in range(0, N, CHUNK)]
    workers = sorted(cluster_workers.workers_of(client))
    models = []
    for at in (workers[:1], workers, workers[::-1]):
        held = [
            delayed(client.scatter(one, workers=[at[k % len(at)]])) for k, one in enumerate(parts)
        ]
        models.append(fastgd.dask.fit(GDRegressor("poisson"), held, y))
    for model in models[1:]:
        np.testing.assert_array_equal(model.coef_, models[0].coef_)
        assert model.intercept_ == models[0].intercept_
        assert model.history_["bound"].tolist() == models[0].history_["bound"].tolist()


def test_predictions_are_lazy_and_scores_those_of_memory(client):
    X, y = data()
    weights, offset = np.linspace(0.0, 2.0, N), np.linspace(-1.0, 1.0, N)
    model = GDClassifier().fit(X, y)
    dX, dy, dweights, doffset = blocks(X, y, weights, offset)
    for method in ("predict", "predict_proba", "decision_function"):
        found = getattr(fastgd.dask, method)(model, dX, doffset)
        usual = getattr(model, method)(X, offset)
        assert isinstance(found, da.Array)
        assert (found.shape, found.dtype) == (usual.shape, usual.dtype)
        np.testing.assert_array_equal(found.compute(), usual)
    usual = model.score(X, y, weights, offset)
    assert fastgd.dask.score(model, dX, dy, dweights, doffset) == usual
    assert fastgd.dask.score(model, dX, y, weights, offset) == usual
    with pytest.raises(ValueError, match="y is missing"):
        fastgd.dask.score(model, dX)


@pytest.mark.parametrize("loss", [Quantile(0.8), "poisson", "squared_error"], ids=str)
def test_the_score_of_a_search_is_that_of_its_loss(client, loss):
    """Of quantiles it was R^2, -0.87 for 0.12."""
    X, y = data("counts")
    weights, offset = np.linspace(0.0, 2.0, N), np.linspace(-1.0, 1.0, N)
    model = GDRegressorCV(loss, alphas=2, cv=2).fit(X, y)
    usual = model.score(X, y, weights, offset)
    assert fastgd.dask.score(model, *blocks(X, y, weights, offset)) == pytest.approx(usual)


def test_unknown_chunks_empty_ones_and_one_class_in_a_block(client):
    X, y = data()
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    usual = GDClassifier(tol=1e-6).fit(X[X[:, 0] < 1.0], y[X[:, 0] < 1.0])
    dX, dy = blocks(X, y)
    keep = dX[:, 0] < 1.0
    found = fastgd.dask.fit(GDClassifier(tol=1e-6), dX[keep], dy[keep])
    same(found, usual)
    predicted = fastgd.dask.predict(found, dX[keep]).compute()
    np.testing.assert_array_equal(predicted, found.predict(X[X[:, 0] < 1.0]))
    # y in memory goes with blocks of any length, and blocks may be empty.
    parts = [delayed(X[a:b]) for a, b in ((0, 0), (0, 100), (100, 100), (100, N))]
    same(fastgd.dask.fit(GDClassifier(tol=1e-6), parts, y), GDClassifier(tol=1e-6).fit(X, y))
    assert fastgd.dask.predict(found, parts).compute().shape == (N,)


def test_blocks_of_several_types(client):
    X, y = data("numbers")
    X = X.round(1)
    whole = (10 * X[50:]).round()
    parts = [
        delayed(X[:50].astype(np.float32)),
        delayed(whole[:90].astype(int)),
        delayed(whole[90:]),
    ]
    every = np.concatenate([X[:50].astype(np.float32), whole])
    same(fastgd.dask.fit(GDRegressor(tol=1e-6), parts, y), GDRegressor(tol=1e-6).fit(every, y))


def wrong(name):
    X, y = data()
    parts = [X[:100], X[100:200], X[200:]]
    if name == "columns":
        parts[1] = parts[1][:, :3]
    elif name == "kind":
        parts[1] = sp.csr_array(parts[1])
    elif name == "NaN":
        parts[1] = np.where(np.arange(D) == 2, np.nan, parts[1])
    elif name == "text":
        parts[1] = parts[1].astype(str).astype(object) + "?"
    elif name == "one dimension":
        parts[1] = parts[1][:, 0]
    return [delayed(one) for one in parts], y


@pytest.mark.parametrize("name", ["columns", "kind", "NaN", "text", "one dimension"])
def test_errors_name_the_block(client, name):
    X, y = wrong(name)
    model = GDClassifier()
    with pytest.raises(ValueError, match="block 1"):
        fastgd.dask.fit(model, X, y)
    assert not hasattr(model, "coef_")


def test_what_is_refused(client):
    X, y = data()
    dX, dy = blocks(X, y)
    fit = fastgd.dask.fit
    with pytest.raises(ValueError, match=r"y has shape \(239,\), X has 240 rows"):
        fit(GDClassifier(), dX, y[1:])
    with pytest.raises(ValueError, match="y has 239 rows, X has 240"):
        fit(GDClassifier(), dX, dy[1:])
    with pytest.raises(ValueError, match="block 0: y has shape"):
        fit(GDClassifier(), dX[dX[:, 0] < 9.0], dy[1:])
    with pytest.raises(ValueError, match="y is missing"):
        fit(GDClassifier(), dX)
    with pytest.raises(ValueError, match="y has 1 blocks, X has 5"):
        fit(GDClassifier(), dX[dX[:, 0] < 9.0], da.from_array(y, chunks=N))
    with pytest.raises(ValueError, match="no rows"):
        fit(GDClassifier(), dX[dX[:, 0] > 1e9], dy[dX[:, 0] > 1e9])
    with pytest.raises(ValueError, match="for data in memory use the fit"):
        fit(GDClassifier(), X, y)
    with pytest.raises(ValueError, match="cv='loo' needs X in memory"):
        fit(GDClassifierCV(cv="loo"), dX, dy)
    with pytest.raises(ValueError, match="saga"):
        fit(GDClassifier(solver="saga"), dX, dy)
    for one in (GDClassifier(batch_size=32), GDClassifier("perceptron")):
        with pytest.raises(ValueError, match="steps on some of the rows"):
            fit(one, dX, dy)
    with pytest.raises(ValueError, match="early_stopping"):
        fit(GDClassifier(early_stopping=True), dX, dy)
    with pytest.raises(ValueError, match="alpha"):
        fit(GDClassifier(alpha=-1.0), dX, dy)


def test_sources_of_blocks(client):
    X, y = data()

    def source(first):
        own = slice(first, first + 120)
        return fastgd.from_chunks(lambda: [(X[own][:70], y[own][:70]), (X[own][70:], y[own][70:])])

    parts = [delayed(source)(0), delayed(source)(120)]
    usual = GDClassifier(tol=1e-6).fit(X, y)
    found = fastgd.dask.fit(GDClassifier(tol=1e-6), parts)
    same(found, usual)
    assert fastgd.dask.score(found, parts) == found.score(X, y)


def test_a_model_is_free_of_the_cluster(client):
    X, y = data()
    model = fastgd.dask.fit(GDClassifier(warm_start=True), *blocks(X, y))
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    assert fastgd.dask.fit(model, *blocks(X, y)) is model


def test_a_fit_leaves_nothing_on_the_cluster(client, monkeypatch):
    """Whether or not garbage is collected."""
    monkeypatch.setattr(gc, "collect", lambda *generation: 0)  # Dask collects, too
    X, y = data()
    given = blocks(X, y)
    gc.disable()
    try:
        fastgd.dask.fit(GDClassifier(), *given)
        until = time.monotonic() + 5.0
        while ours(client) and time.monotonic() < until:
            time.sleep(0.02)
        assert not ours(client)
    finally:
        gc.enable()


def ours(client):
    """Keys of what a fit has made on the cluster."""
    return [key for key in client.who_has() if str(key).startswith(("Shard", "_together"))]


class Trouble:
    """Something that happens in a certain round of a fit."""

    def __init__(self, monkeypatch, number, happen):
        self.number, self.happen, self.rounds = number, happen, 0
        asked = cluster_workers.ClusterWorkers._asked

        def troubled(workers, calls):
            self.rounds += 1
            if self.rounds == self.number:
                self.happen(workers)
            return asked(workers, calls)

        monkeypatch.setattr(cluster_workers.ClusterWorkers, "_asked", troubled)


def kill_one(workers):
    """Kill one of the workers that hold blocks."""
    address = sorted(workers.actors)[0]
    kill(workers.client, address)


def kill(client, address):
    os.kill(
        client.run(os.getpid, workers=[address])[address],
        getattr(signal, "SIGKILL", signal.SIGTERM),
    )  # Windows has no SIGKILL


def test_a_straggler_is_told_of(client, monkeypatch, caplog):
    X, y = data()
    monkeypatch.setattr(cluster_workers, "QUICK", 0.0)
    monkeypatch.setattr(cluster_workers, "STRAGGLES", 1.0)
    monkeypatch.setattr(cluster_workers, "OFTEN", 1)
    with caplog.at_level(logging.WARNING, "fastgd"):
        fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    assert "the median worker" in caplog.text


def test_ctrl_c_keeps_the_best_model_so_far(client, monkeypatch):
    X, y = data("classes")

    def press(workers):
        raise KeyboardInterrupt

    model = GDClassifier(solver="lbfgs", tol=1e-10)
    early = Trouble(monkeypatch, 2, press)
    with pytest.raises(KeyboardInterrupt):
        fastgd.dask.fit(model, *blocks(X, y))
    assert not hasattr(model, "coef_")
    early.rounds, early.number = 0, 12
    with pytest.raises(KeyboardInterrupt, match="best model so far"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert model.coef_.shape == (3, D)
    assert model.stop_reason_ is fastgd.StopReason.INTERRUPTED


@pytest.mark.plain
def test_a_worker_that_dies_costs_a_round(two_workers, monkeypatch, caplog):
    X, y = data("classes")
    usual = fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    # The survey's calls are 1 to 4, so that an objective is known by then.
    Trouble(monkeypatch, 7, kill_one)
    with caplog.at_level(logging.WARNING, "fastgd"):
        found = fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    assert "made again elsewhere" in caplog.text
    np.testing.assert_array_equal(found.coef_, usual.coef_)


@pytest.mark.plain
def test_the_last_worker_is_lost(client, monkeypatch):
    X, y = data("classes")
    model = fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    before = dict(vars(model))

    def lose(workers):
        kill_one(workers)
        monkeypatch.setattr(cluster_workers, "PATIENCE", 0.0)
        monkeypatch.setattr(cluster_workers, "workers_of", lambda client: [])

    Trouble(monkeypatch, 7, lose)
    with pytest.raises(LostWorkersError, match="all workers"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert vars(model) == before


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_a_worker_that_dies_at_any_moment(client, seed):
    client.wait_for_workers(2, timeout=60)
    X, y = data("classes", 20_000)
    parts = blocks(X, y, chunk=1000)
    for _ in range(2):  # the second is warm
        begin = time.perf_counter()
        usual = fastgd.dask.fit(GDClassifier(), *parts)
        took = time.perf_counter() - begin
    victim = cluster_workers.workers_of(client)[seed % 2]
    after = np.random.default_rng(seed).random() * took
    moment = threading.Timer(after, kill, [client, victim])
    moment.start()
    found = fastgd.dask.fit(GDClassifier(), *parts)
    moment.join()
    while victim in cluster_workers.workers_of(client):
        time.sleep(0.1)
    np.testing.assert_array_equal(found.coef_, usual.coef_)


@pytest.mark.long
def test_all_workers_are_lost(two_workers, monkeypatch):
    X, y = data("classes")
    model = fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    before = dict(vars(model))
    monkeypatch.setattr(cluster_workers, "PATIENCE", 0.0)
    Trouble(monkeypatch, 7, lambda workers: two_workers.cluster.scale(0) or time.sleep(5.0))
    with pytest.raises(LostWorkersError, match="all workers"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert vars(model) == before
    two_workers.cluster.scale(2)


@pytest.mark.long
def test_lost_blocks_that_nobody_can_make_again(two_workers, monkeypatch):
    X, y = data("classes")
    held = [delayed(one) for one in two_workers.scatter([X[:100], X[100:]])]
    Trouble(monkeypatch, 7, kill_one)
    with pytest.raises(LostWorkersError, match="scattered"):
        fastgd.dask.fit(GDClassifier(), held, y)


def test_no_client(monkeypatch):
    def get_client():
        raise ValueError("No global client found")

    monkeypatch.setattr(distributed, "get_client", get_client)
    X, y = data()
    with pytest.raises(ValueError, match="there is no Dask client"):
        fastgd.dask.fit(GDClassifier(), *blocks(X, y))


class Pressed:
    """Interrupts the n-th check."""

    def __init__(self, at):
        self.at = at

    def __call__(self, history):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


@pytest.mark.plain
def test_a_fit_that_was_interrupted_goes_on_with_the_same_bits(two_workers, tmp_path):
    given = blocks(*data())

    def fit(at, **more):
        model = GDClassifier(solver="lbfgs", tol=1e-10, stop=Pressed(at), **more)
        return fastgd.dask.fit(model, *given)

    kept = {"checkpoint": tmp_path / "fit", "checkpoint_every": 0.0}
    whole = fit(0)
    with pytest.raises(KeyboardInterrupt):
        fit(4, **kept)
    again = fit(0, **kept)
    np.testing.assert_array_equal(again.coef_, whole.coef_)
    np.testing.assert_array_equal(again.history_["passes"], whole.history_["passes"])
    assert not kept["checkpoint"].exists()
