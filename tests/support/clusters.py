"""Rows for fits on clusters, and what happens in the midst of one."""

import contextlib
import logging

import numpy as np

N, D, CHUNK = 240, 4, 50


@contextlib.contextmanager
def cluster(n_workers, **options):
    """A client of a cluster of so many workers of one thread each, on this machine."""
    import dask
    import distributed

    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        # Else the cluster gives up a worker whose process is being started anew.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, **quiet, **options
        ) as made,
        distributed.Client(made) as client,
    ):
        yield client


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
    import dask.array as da

    return [
        None if one is None else da.from_array(one, chunks=(chunk, *one.shape[1:]))
        for one in arrays
    ]


class At:
    """What an estimator's `stop` is given to let something happen at its n-th check."""

    def __init__(self, number, happen):
        self.left, self.happen = number, happen

    def __call__(self, history):
        self.left -= 1
        if self.left == 0:
            self.happen()


def interrupt():
    raise KeyboardInterrupt
