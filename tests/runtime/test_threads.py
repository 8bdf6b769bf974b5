"""How many threads a fit uses: what the process may use, one inside a worker, never more than
asked, BLAS included.
"""

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import threading

import joblib
import numba
import numpy as np
import pytest
import threadpoolctl

from fastgd import GDClassifier, GDRegressor
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.threads import count_threads, map_ranges

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 5))
Y3 = np.digitize(X[:, 0], [-0.5, 0.5])


@pytest.fixture(autouse=True)
def outside_any_worker(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def blas_threads():
    return {
        one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"
    }


def test_counts():
    available = joblib.cpu_count()
    assert count_threads(None) == count_threads(-1) == available
    assert count_threads(1) == count_threads(np.int64(1)) == 1
    assert count_threads(10_000) == max(os.cpu_count(), available)
    assert count_threads(-2) == max(available - 1, 1)
    assert count_threads(-100) == 1
    for wrong in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n_jobs must be"):
            count_threads(wrong)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_one_inside_joblib(backend):
    with joblib.parallel_config(backend=backend):
        assert (
            joblib.Parallel(n_jobs=2)(joblib.delayed(count_threads)(None) for _ in range(4))
            == [1] * 4
        )
        asked = joblib.Parallel(n_jobs=2)(joblib.delayed(count_threads)(2) for _ in range(2))
        assert asked == [min(2, os.cpu_count())] * 2
    assert count_threads(None) == joblib.cpu_count()


def test_one_inside_other_workers(monkeypatch):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(count_threads, (None,)) == 1
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert count_threads(None) == 1
    monkeypatch.delenv("PYTEST_XDIST_WORKER")

    def on_a_thread():
        found = []
        thread = threading.Thread(target=lambda: found.append(count_threads(None)))
        thread.start()
        thread.join()
        return found[0]

    monkeypatch.delitem(sys.modules, "dask", raising=False)
    assert on_a_thread() == joblib.cpu_count()
    monkeypatch.setitem(sys.modules, "dask", object())
    assert on_a_thread() == 1
    assert count_threads(None) == joblib.cpu_count()


ASK = (
    "from fastgd.runtime.threads import count_threads; print(count_threads(None), "
    "count_threads(-1))"
)


def ask(code=ASK, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    ).stdout.split()


def test_what_the_process_may_use():
    assert ask(LOKY_MAX_CPU_COUNT="1") == ["1", "1"]
    if hasattr(os, "sched_setaffinity"):
        one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); "
        assert ask(one + ASK) == ["1", "1"]


ASK_DASK = """
import dask, distributed
from fastgd.runtime.threads import count_threads
print(dask.delayed(count_threads)(None).compute(scheduler="threads"))
with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
    with distributed.Client(cluster) as client:
        print(*client.gather([client.submit(count_threads, n_jobs) for n_jobs in (None, 1)]))
print(count_threads(None))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs dask and distributed"
)
def test_one_inside_dask():
    assert ask(ASK_DASK, PYTHONWARNINGS="error") == ["1", "1", "1", str(joblib.cpu_count())]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_fit_uses_no_more_than_asked_for_and_leaves_blas_as_it_was(n_jobs):
    rows = 200 if numba.config.DISABLE_JIT else 20_000
    code = f"""
import numpy as np, threadpoolctl
from fastgd import GDClassifier
from fastgd.runtime import workers
def blas():
    pools = threadpoolctl.threadpool_info()
    return {{one["num_threads"] for one in pools if one["user_api"] == "blas"}}
seen = []
def look(history):
    seen.append(blas())
    return False
before = blas()
X = np.random.default_rng(0).standard_normal(({rows}, 5))
y = np.digitize(X[:, 0], [-0.5, 0.5])
for labels in (y, y == 0):
    model = GDClassifier(n_jobs={n_jobs}, stop=look, max_iter=3, tol=None).fit(X, labels)
    model.predict(X)
assert blas() == before
assert all(one == {{1}} for one in seen)
print(max(workers._pools, default=0) + 1)
"""
    assert int(ask(code)[0]) == min(n_jobs, os.cpu_count())


def test_fits_that_overlap_keep_blas_on_one_thread_until_the_last_ends():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        with first:
            second.__enter__()
            assert blas_threads() == {1}
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            1 / 0  # noqa: B018
        assert blas_threads() == before


def test_predictions_have_the_same_bits_on_any_number_of_threads():
    model = GDClassifier(n_jobs=1).fit(X, Y3)
    many = np.tile(X, (60, 1))
    alone = model.decision_function(many)
    np.testing.assert_array_equal(alone, model.set_params(n_jobs=3).decision_function(many))
    np.testing.assert_allclose(
        alone, many @ model.coef_.T + model.intercept_, rtol=1e-12, atol=1e-12
    )
    narrow = GDRegressor().fit(X.astype(np.float32), X[:, 0])
    assert narrow.predict(many.astype(np.float32)).dtype == np.float64
    np.testing.assert_allclose(
        narrow.predict(many.astype(np.float32)), narrow.predict(many), atol=1e-5
    )


def test_fits_inside_joblib_threads_agree():
    alone = GDClassifier().fit(X, Y3).coef_
    fits = joblib.Parallel(n_jobs=2, prefer="threads")(
        joblib.delayed(GDClassifier().fit)(X, Y3) for _ in range(4)
    )
    for one in fits:
        np.testing.assert_array_equal(one.coef_, alone)


def test_ranges_cover_every_item_once_and_errors_come_out():
    for n_items in (1, 2, 7, 64):
        for n_threads in (1, 2, 3, 8, 100):
            seen, threads = np.zeros(n_items, dtype=int), set()

            def work(first, last, seen=seen, threads=threads):
                seen[first:last] += 1
                threads.add(threading.get_ident())

            map_ranges(work, n_items, n_threads)
            assert (seen == 1).all()
            assert len(threads) <= min(n_items, n_threads)

    def fail(first, last):
        raise RuntimeError(f"range {first}")

    with pytest.raises(RuntimeError, match="range"):
        map_ranges(fail, 4, 2)
