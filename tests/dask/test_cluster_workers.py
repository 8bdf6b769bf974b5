"""Workers that are lost, silent, slow or many: the same model, or an error that says what to do."""

import _thread
import logging
import os
import signal
import threading
import time

import numpy as np
import pytest

import fastgd
from fastgd import GDClassifier, GDRegressor

distributed = pytest.importorskip("distributed")

import dask  # noqa: E402
from dask import delayed  # noqa: E402

import fastgd.dask  # noqa: E402
from fastgd.dask import cluster_workers  # noqa: E402
from fastgd.dask.cluster_workers import LostWorkersError, workers_of  # noqa: E402
from support.clusters import At, D, blocks, cluster, data, interrupt  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sending large graph"),
    # Sockets of workers that were killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def shared():
    with cluster(2) as client:
        yield client


@pytest.fixture
def processes(shared):
    """A client of two processes, both there."""
    shared.wait_for_workers(2, timeout=60)
    return shared


@pytest.fixture
def threads():
    """A client of two workers in this process, which are quick to start."""
    with cluster(2, processes=False) as client:
        yield client


def process_of(client, address):
    return client.run(os.getpid, workers=[address])[address]


def kill(client, address):
    # Windows has no SIGKILL.
    os.kill(process_of(client, address), getattr(signal, "SIGKILL", signal.SIGTERM))


def lose(client):
    """The scheduler gives a worker up."""
    client.run_on_scheduler(given_up, address=sorted(workers_of(client))[0])


async def given_up(dask_scheduler, address):
    await dask_scheduler.remove_worker(address, stimulus_id="lost")


def homes(client, parts):
    """These blocks as delayed ones that stay on one worker each."""
    at = sorted(workers_of(client))
    return [delayed(client.scatter(one, workers=[at[k % 2]])) for k, one in enumerate(parts)]


@pytest.mark.plain
def test_a_worker_that_dies_costs_a_round(processes, caplog):
    X, y = data("classes")
    usual = fastgd.dask.fit(GDClassifier(solver="lbfgs"), *blocks(X, y))
    victim = sorted(workers_of(processes))[0]
    die = At(3, lambda: kill(processes, victim))
    with caplog.at_level(logging.WARNING, "fastgd"):
        found = fastgd.dask.fit(GDClassifier(solver="lbfgs", stop=die), *blocks(X, y))
    assert f"lost {victim}; its blocks are made again elsewhere" in caplog.text
    np.testing.assert_array_equal(found.coef_, usual.coef_)
    assert found.history_["bound"].tolist() == usual.history_["bound"].tolist()


@pytest.mark.long
@pytest.mark.parametrize("few", [16, 1], ids=["asked by the client", "in teams"])
@pytest.mark.parametrize("seed", range(10))
def test_a_worker_that_dies_at_any_moment(processes, monkeypatch, seed, few):
    monkeypatch.setattr(cluster_workers, "FEW", few)
    X, y = data("classes", 20_000)
    parts = blocks(X, y, chunk=1000)
    for _ in range(2):  # the second is warm
        begin = time.perf_counter()
        usual = fastgd.dask.fit(GDClassifier(), *parts)
        took = time.perf_counter() - begin
    victim = workers_of(processes)[seed % 2]
    after = np.random.default_rng(seed).random() * took
    moment = threading.Timer(after, kill, [processes, victim])
    moment.start()
    found = fastgd.dask.fit(GDClassifier(), *parts)
    moment.join()
    while victim in workers_of(processes):
        time.sleep(0.1)
    np.testing.assert_array_equal(found.coef_, usual.coef_)


def test_all_workers_are_lost(threads, monkeypatch):
    X, y = data()
    model = fastgd.dask.fit(GDClassifier(), *blocks(X, y))
    before = dict(vars(model))
    monkeypatch.setattr(cluster_workers, "PATIENCE", 0.0)
    model.stop = At(2, lambda: threads.cluster.scale(0))
    before["stop"] = model.stop
    with pytest.raises(LostWorkersError, match="all workers of the cluster are gone; the es"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert vars(model) == before


AWAY = threading.Event()


def late(rows):
    """The rows, once all workers are away."""
    AWAY.wait(20.0)
    return rows


def test_all_workers_are_lost_before_the_first_round(threads, monkeypatch):
    """The fit waited for ever."""
    monkeypatch.setattr(cluster_workers, "PATIENCE", 0.5)
    X, y = data()
    leaving = threading.Timer(1.0, threads.cluster.scale, [0])
    leaving.start()
    model = GDClassifier()
    try:
        with pytest.raises(LostWorkersError, match="all workers of the cluster are gone"):
            fastgd.dask.fit(model, [delayed(late)(X)], y)
    finally:
        AWAY.set()
        leaving.join()
    assert not hasattr(model, "coef_")


def test_a_client_that_is_closed_in_mid_fit(threads):
    """It was an AttributeError: 'NoneType' object has no attribute 'ncores'."""
    X, y = data()
    model = GDClassifier(stop=At(2, threads.close))
    with pytest.raises(LostWorkersError, match="client was closed while it was needed; the est"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert not hasattr(model, "coef_")


def test_a_client_that_is_closed_before_the_first_round(threads):
    closing = threading.Timer(1.0, threads.close)
    closing.start()
    X, y = data()
    try:
        with pytest.raises(
            LostWorkersError, match="client was closed while it was needed; the est"
        ):
            fastgd.dask.fit(GDClassifier(), [delayed(_slow)(X)], y)
    finally:
        closing.join()


def _slow(rows):
    time.sleep(2.5)
    return rows


def test_workers_may_come_later(caplog):
    X, y = data()
    usual = GDClassifier(tol=1e-8).fit(X, y)
    with cluster(0, processes=False) as client, caplog.at_level(logging.WARNING, "fastgd"):
        coming = threading.Timer(1.5, client.cluster.scale, [1])
        coming.start()
        found = fastgd.dask.fit(GDClassifier(tol=1e-8), *blocks(X, y))
        coming.join()
    assert "the cluster has no workers; the fit waits for the first one" in caplog.text
    assert found.objective_ == pytest.approx(usual.objective_, rel=1e-7)


def test_workers_that_are_lost_again_and_again_are_given_up(threads, monkeypatch):
    monkeypatch.setattr(cluster_workers, "MAX_LOSSES", 1)
    model = GDClassifier(stop=At(2, lambda: lose(threads)))
    with pytest.raises(LostWorkersError, match="workers were lost 1 times in one round; given up"):
        fastgd.dask.fit(model, *blocks(*data()))


def test_lost_blocks_that_nobody_can_make_again(threads):
    X, y = data()
    model = GDClassifier(stop=At(2, lambda: lose(threads)))
    with pytest.raises(LostWorkersError, match="data that were scattered have no recipe"):
        fastgd.dask.fit(model, homes(threads, [X[:100], X[100:]]), y)


def press(rows):
    _thread.interrupt_main()
    time.sleep(1.0)
    return rows


@pytest.mark.usefixtures("heard")
def test_ctrl_c_keeps_the_best_model_so_far(threads):
    X, y = data()
    model = GDClassifier(solver="lbfgs", tol=1e-10, stop=At(4, interrupt))
    with pytest.raises(KeyboardInterrupt):
        fastgd.dask.fit(model, [delayed(press)(X)], y)
    assert not hasattr(model, "coef_")
    with pytest.raises(KeyboardInterrupt, match="best model so far"):
        fastgd.dask.fit(model, *blocks(X, y))
    assert model.coef_.shape == (1, D)
    assert model.stop_reason_ is fastgd.StopReason.INTERRUPTED


@pytest.mark.plain
def test_a_straggler_is_told_of(processes, monkeypatch, caplog):
    """Of two workers the slower one never took five times as long as the median of both."""
    monkeypatch.setattr(cluster_workers, "QUICK", 1e-3)  # 25 ms a round, 0.2 ms for a few rows
    X, y = data("numbers", 2000)
    slow, quick = sorted(workers_of(processes))
    parts = homes(processes, [X[:1990], X[1990:]])
    with caplog.at_level(logging.WARNING, "fastgd"):
        fastgd.dask.fit(GDRegressor("huber", solver="lbfgs", max_iter=5, tol=0.1), parts, y)
    assert f"worker {slow} took" in caplog.text
    assert quick not in caplog.text


@pytest.mark.plain
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing stops a process here")
def test_a_silent_worker_is_told_of(processes, monkeypatch, caplog):
    monkeypatch.setattr(cluster_workers, "SILENT", 0.01)
    monkeypatch.setattr(cluster_workers, "LOOK", 0.1)
    silent = sorted(workers_of(processes))[0]
    number = process_of(processes, silent)
    going_on = threading.Timer(2.0, os.kill, [number, signal.SIGCONT])

    def stop():
        os.kill(number, signal.SIGSTOP)
        going_on.start()

    with caplog.at_level(logging.WARNING, "fastgd"):
        fastgd.dask.fit(GDClassifier(solver="lbfgs", stop=At(2, stop)), *blocks(*data()))
    assert f"worker {silent} has not answered for" in caplog.text


@pytest.mark.jit
def test_many_workers_are_asked_in_teams(monkeypatch, caplog):
    """Whichever hold the blocks; one that is lost is asked for by the client."""
    X, y = data("signs", 360)
    parts = blocks(X, y, chunk=20)

    def fit(stop=None):
        return fastgd.dask.fit(GDClassifier(solver="lbfgs", tol=1e-2, stop=stop), *parts)

    with cluster(1, processes=False):
        usual = fit()
    monkeypatch.setattr(cluster_workers, "FEW", 4)
    with cluster(9, processes=False) as client:
        asked = cluster_workers.teams_of
        teams = []
        monkeypatch.setattr(
            cluster_workers, "teams_of", lambda *given: teams.append(asked(*given)) or teams[-1]
        )
        found = fit()
        with caplog.at_level(logging.WARNING, "fastgd"):
            again = fit(At(1, lambda: lose(client)))
    assert len(teams[0]) > 1
    assert "made again elsewhere" in caplog.text
    for model in (found, again):
        np.testing.assert_array_equal(model.coef_, usual.coef_)
        assert model.history_["bound"].tolist() == usual.history_["bound"].tolist()


def test_a_client_that_is_busy_loses_nobody(threads, monkeypatch, caplog):
    """An answer that was there, and took longer than a look to be had, was a lost worker."""
    monkeypatch.setattr(cluster_workers, "LOOK", 0.01)
    over = threading.Event()

    def keep_busy():
        while not over.wait(0.06):
            threads.loop.add_callback(time.sleep, 0.05)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        with caplog.at_level(logging.WARNING, "fastgd"):
            fastgd.dask.fit(GDClassifier(solver="lbfgs", tol=1e-2), *blocks(*data()))
    finally:
        over.set()
        busy.join()
    assert "lost" not in caplog.text


def test_workers_are_there_at_any_moment():
    """Of the client's own news of the cluster, every two seconds, workers are no part."""
    with (
        dask.config.set({"distributed.client.scheduler-info-interval": "1ms"}),
        cluster(1, processes=False) as client,
    ):
        assert all(workers_of(client) for _ in range(300))
