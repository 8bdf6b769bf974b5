"""Fits on a Dask cluster of this machine: what a round costs beyond computing, one worker against
two, dask-ml beside it, and what that says of larger clusters.

Seconds are of warm fits, the least of all turns; bytes are those of pickled messages, both ways,
without what Dask adds.
"""

import logging
import math
import pickle
import time
import warnings

import numpy as np

from fastgd import GDClassifier
from fastgd.dask.teams import FEW, nodes_of

from .report import progress

ROWS, COLUMNS, BLOCKS = 400_000, 50, 16
SMALLER = 4  # a fit to so many times fewer rows tells what does not depend on them
WORKERS = 1, 2
RIVALS = "newton", "lbfgs", "admm"
ENOUGH_SECONDS = 20.0  # seconds of a rival after which no smaller tol is tried, and no fit repeated

# What the table of other sizes assumes beside what was measured here, and that more workers than
# `FEW` are asked, and summed, in two levels: by heads of teams, and by the client.
BANDWIDTH = 1.25e9  # bytes a second of the client's network, 10 Gbit/s, and of each worker's
LATENCY = 0.5e-3  # seconds of a message there and back
TARGET = 2.0 + 16.0  # bytes a row: classes come packed, go back packed, are two arrays in between
TARGETS = 2e7  # rows a second that the client checks and turns into signs
MEMORY = 64e9  # bytes of the client


def run(rounds=5, rows=ROWS, processes=True):
    """Print the tables and return the figures."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        print('dask and distributed are not installed: pip install "dask[array]" distributed')
        return {"fits": {}}
    fits = {str(n): _on_cluster(n, rounds, rows, processes) for n in WORKERS}
    progress("")
    for n, one in fits.items():
        print(_line(n, one))
    model = modelled(fits, rows)
    print(_table(model))
    return {"rows": rows, "columns": COLUMNS, "blocks": BLOCKS, "fits": fits, "model": model}


def samples(figures):
    """What a later run is compared with."""
    return {
        f"dask fastgd {n} workers, {name}, s": one[name]
        for n, one in figures["fits"].items()
        for name in ("seconds", "beyond")
    }


def _on_cluster(n_workers, rounds, rows, processes):
    """Figures of fits on so many workers of one thread each."""
    import distributed

    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=processes, **options
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = {name: [] for name in ("beyond", "computing")}
        for name, size in (("smaller", rows // SMALLER), ("seconds", rows)):
            X, y = _data(client, size)
            found |= {name: [], f"{name}_in_rounds": []}
            for turn in range(rounds + 1):
                progress(f"{n_workers} workers, turn {turn} of {rounds}", turn / (rounds + 1))
                seconds, workers, model = _fit(X, y, size)
                if turn > 0:
                    found[name].append(seconds)
                    found[f"{name}_in_rounds"].append(workers.seconds)
                    found["beyond"].append((workers.seconds - workers.computing) / workers.rounds)
                if turn > 0 and size == rows:
                    found["computing"].append(workers.computing)
        found["rough"] = [_fit(X, y, rows, 1e-4)[0] for _ in range(rounds)]
        found["rounds"], found["passes"] = workers.rounds, float(model.history_["passes"][-1])
        found["bytes"] = _bytes(X, y, rows) / workers.rounds
        last = rounds > 1 and n_workers == WORKERS[-1]
        found["rivals"] = _rivals(X, y, model, rows, rounds) if last else {}
    return found


def _data(client, rows):
    """A logistic problem whose blocks are made on the workers."""
    import dask.array as da
    import distributed

    chunk = -(-rows // BLOCKS)
    random = da.random.RandomState(0)
    X = random.standard_normal((rows, COLUMNS), chunks=(chunk, COLUMNS))
    noise = random.logistic(size=rows, chunks=chunk)
    effects = np.random.default_rng(0).standard_normal(COLUMNS) / 4
    y = (X @ effects + noise > 0).astype(int)
    X, y = client.persist([X, y])
    distributed.wait([X, y])
    return X, y


def _fit(X, y, rows, tol=1e-6):
    """Seconds of a fit, its workers, and the model."""
    import fastgd.dask
    from fastgd.dask import cluster_workers

    made, own = [], cluster_workers.ClusterWorkers.close

    def close(self):
        made.append(self)
        own(self)

    cluster_workers.ClusterWorkers.close = close
    try:
        begin = time.perf_counter()
        model = fastgd.dask.fit(GDClassifier(alpha=1.0 / rows, tol=tol), X, y)
        return time.perf_counter() - begin, made[-1], model
    finally:
        cluster_workers.ClusterWorkers.close = own


def _bytes(X, y, rows):
    """Of all rounds of a fit, both ways."""
    from fastgd.dask import cluster_workers

    total, own = [0], cluster_workers.ClusterWorkers._asked

    def asked(self, calls):
        answers, lost = own(self, calls)
        if any(call[0] == "run" for call in calls.values()):
            total[0] += len(pickle.dumps([calls, answers]))
        return answers, lost

    cluster_workers.ClusterWorkers._asked = asked
    try:
        _fit(X, y, rows)
    finally:
        cluster_workers.ClusterWorkers._asked = own
    return total[0]


def _rivals(X, y, model, rows, rounds):
    """Least seconds of dask-ml's solvers, and how far above the optimum they end, relative."""
    try:
        from dask_ml.linear_model import LogisticRegression
    except ImportError:
        return {}
    best = _objective(X, y, model.coef_[0], model.intercept_[0], rows)
    found = {}
    for solver in RIVALS:
        for tol in (1e-2, 1e-4, 1e-6):
            progress(f"dask-ml, {solver}, tol {tol:g}", 0.9)
            rival = LogisticRegression(solver=solver, C=1.0, tol=tol, max_iter=50)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seconds = _least_seconds(lambda rival=rival: rival.fit(X, y), rounds)
            at = _objective(X, y, np.ravel(rival.coef_), float(np.ravel(rival.intercept_)[0]), rows)
            found[f"{solver}, tol={tol:g}"] = seconds, at / best - 1.0
            if seconds > ENOUGH_SECONDS or at / best - 1.0 < 1e-4:
                break
    return found


def _least_seconds(fit, rounds):
    """Of so many warm fits, as fastgd's are: the first does not count. No more of them once they
    have taken `ENOUGH_SECONDS` seconds.
    """
    seconds = []
    while len(seconds) < 2 or (len(seconds) <= rounds and sum(seconds) < ENOUGH_SECONDS):
        begin = time.perf_counter()
        fit()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def _objective(X, y, coef, intercept, rows):
    import dask.array as da

    margins = (2 * y - 1) * (X @ coef + intercept)
    return float(da.logaddexp(0.0, -margins).mean().compute()) + coef @ coef / (2 * rows)


def modelled(fits, rows):
    """Seconds to 1e-6 by rows and workers, with what takes most of them and whether the client
    can hold the targets; and of the sizes that were measured, the modelled and the true seconds.
    """
    parts = _parts(fits, rows)
    sizes = {
        f"{n:g}": {str(w): _cell(parts(n, w), n) for w in (1, 2, 10, 100, 1000)}
        for n in (10**k for k in range(6, 13))
    }
    here = {
        f"{n} workers, {size:,} rows": (sum(parts(size, n).values()), min(fits[str(n)][name]))
        for n in WORKERS
        for size, name in ((rows, "seconds"), (rows // SMALLER, "smaller"))
    }
    return {"sizes": sizes, "here": here}


def _parts(fits, rows):
    """Function of rows and workers: seconds by what takes them."""
    one, two = (fits[str(n)] for n in WORKERS)
    value = min(one["computing"]) / (rows * COLUMNS)
    beyond = [min(fit["beyond"]) for fit in (one, two)]
    each = max(beyond[1] - beyond[0], 0.1 * beyond[0])
    fixed = max(beyond[0] - each, 0.0)
    # The survey, the sample and the start: a line through two sizes on one worker.
    around = [
        max(min(one[name]) - min(one[f"{name}_in_rounds"]), 1e-3) for name in ("seconds", "smaller")
    ]
    slope = max(around[0] - around[1], 0.0) / (rows - rows // SMALLER)
    start = max(around[0] - slope * rows, 0.0)

    def parts(n, workers):
        heads = len(nodes_of(workers, math.isqrt(workers))) if workers > FEW else workers
        # The client asks the heads one after the other, and each head its team, at once with the
        # other heads.
        asked = heads if heads == workers else heads + workers / heads
        hops = 0 if workers <= WORKERS[-1] else 1 + (heads < workers)
        return {
            "computing": (value * COLUMNS + slope) * n / workers,
            "start": start,
            "messages": one["rounds"] * (fixed + asked * each + hops * LATENCY),
            "sums": one["rounds"] * asked * one["bytes"] / BANDWIDTH,
            "targets": n * (2.0 / BANDWIDTH + 1.0 / TARGETS),
        }

    return parts


def _cell(parts, n):
    return sum(parts.values()), max(parts, key=parts.get), n * TARGET <= MEMORY


def _line(n, one):
    text = (
        f"{n} worker{'s' if int(n) > 1 else ''}: {min(one['rough']):.3f} s to 1e-4, "
        f"{min(one['seconds']):.3f} s to 1e-6, proved; {one['rounds']} rounds, "
        f"{one['passes']:.3g} passes; computing {min(one['computing']):.3f} s; "
        f"{1e3 * min(one['beyond']):.1f} ms and {one['bytes'] / 1e3:.1f} kB a round beyond"
    )
    rivals = [
        f"  dask-ml {name}: {seconds:.2f} s, {above:.1e} above"
        for name, (seconds, above) in one["rivals"].items()
    ]
    return "\n".join([text, *rivals])


def _table(model):
    """The modelled seconds, and those that were measured beside the same formula."""
    sizes = model["sizes"]
    lines = [
        f"\nModelled seconds to 1e-6, {COLUMNS} dense columns, and what takes most of them; (no): "
        f"targets do not fit in {MEMORY:.0e} bytes at the client",
        "rows     " + "".join(f"{f'{w} workers':>22}" for w in next(iter(sizes.values()))),
    ]
    for n, row in sizes.items():
        cells = [f"{s:.3g} {most}{'' if fits else ' (no)'}" for s, most, fits in row.values()]
        lines.append(f"{n:9}" + "".join(f"{cell:>22}" for cell in cells))
    lines.append(
        f"assumed: {BANDWIDTH:.3g} bytes/s and {LATENCY:g} s latency of the network, one thread a "
        f"worker as fast as here, {TARGETS:g} targets a second at the client, rounds as here; "
        f"sums of up to {FEW} workers go to the client, of more to heads of teams and then to the "
        "client"
    )
    for name, (seconds, true) in model["here"].items():
        lines.append(f"{name}: modelled {seconds:.3f} s, measured {true:.3f} s")
    return "\n".join(lines)
