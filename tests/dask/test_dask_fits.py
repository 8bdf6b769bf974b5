"""Fits on a cluster of two processes: the model of memory."""

import gc
import pickle
import time
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import scipy.sparse as sp

import fastgd
from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, Quantile

pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

import distributed  # noqa: E402
from dask import delayed  # noqa: E402

import fastgd.dask  # noqa: E402
from fastgd.dask.cluster_workers import workers_of  # noqa: E402
from support.clusters import CHUNK, At, D, N, blocks, cluster, data, interrupt  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sending large graph")


@pytest.fixture(scope="module")
def client():
    with cluster(2) as client:
        yield client


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


@pytest.mark.jit
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


@pytest.mark.plain
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
    workers = sorted(workers_of(client))
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


def test_no_client(monkeypatch):
    def get_client():
        raise ValueError("No global client found")

    monkeypatch.setattr(distributed, "get_client", get_client)
    X, y = data()
    with pytest.raises(ValueError, match="there is no Dask client"):
        fastgd.dask.fit(GDClassifier(), *blocks(X, y))


def test_an_asynchronous_client(monkeypatch):
    monkeypatch.setattr(distributed, "get_client", lambda: SimpleNamespace(asynchronous=True))
    X, y = data()
    with pytest.raises(ValueError, match="the Dask client is asynchronous"):
        fastgd.dask.fit(GDClassifier(), *blocks(X, y))


@pytest.mark.plain
def test_a_fit_that_was_interrupted_goes_on_with_the_same_bits(client, tmp_path):
    given = blocks(*data())

    def fit(at, **more):
        model = GDClassifier(solver="lbfgs", tol=1e-10, stop=At(at, interrupt), **more)
        return fastgd.dask.fit(model, *given)

    kept = {"checkpoint": tmp_path / "fit", "checkpoint_every": 0.0}
    whole = fit(0)
    with pytest.raises(KeyboardInterrupt):
        fit(4, **kept)
    again = fit(0, **kept)
    np.testing.assert_array_equal(again.coef_, whole.coef_)
    np.testing.assert_array_equal(again.history_["passes"], whole.history_["passes"])
    assert not kept["checkpoint"].exists()
