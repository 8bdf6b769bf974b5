"""One side of `same`: a process that fits what it is given with the fastgd of one checkout.

Requests come as pickles on its standard input, answers leave as pickles on what was its standard
output. It runs against older versions too, so it knows nothing but the public names of fastgd, and
it is run as a file, without the package of the bench.
"""

import os
import pickle
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import fastgd
from fastgd import Loss, Penalty, VectorLoss


class Expectile(Loss):
    """A user's loss: squares weighted by `share` below the target and by 1 - share above it."""

    curvature_bound = 2.0
    infimum = 0.0

    share: float = 0.5

    def value(self, prediction, target):
        residual = prediction - target
        return (self.share if residual < 0.0 else 1.0 - self.share) * residual * residual

    def derivative(self, prediction, target):
        residual = prediction - target
        return 2.0 * (self.share if residual < 0.0 else 1.0 - self.share) * residual


class Squares(VectorLoss):
    """A user's loss of several predictions: half the squares of all residuals."""

    curvature_bound = 1.0
    self_concordance = 0.0
    infimum = 0.0

    def value(self, predictions, target):
        total = 0.0
        for k in range(predictions.size):
            total += 0.5 * (predictions[k] - target[k]) ** 2
        return total

    def derivatives(self, predictions, target, out):
        for k in range(predictions.size):
            out[k] = predictions[k] - target[k]


class WeightedL1(Penalty):
    """A user's penalty: column j counts 1 + (j mod 3) times."""

    def value(self, coefficient, j):
        return (1.0 + j % 3) * abs(coefficient)

    def derivative(self, coefficient, j):
        return (1.0 + j % 3) * np.sign(coefficient)

    def prox(self, coefficient, j, rate):
        excess = max(abs(coefficient) - rate * (1.0 + j % 3), 0.0)
        return excess if coefficient > 0.0 else -excess


OWN = {"Expectile": Expectile, "Squares": Squares, "WeightedL1": WeightedL1}


def component(given):
    """What `[name, *parameters]` describes; strings and None as they are."""
    if not isinstance(given, list):
        return given
    name, *parameters = given
    return (OWN.get(name) or getattr(fastgd, name))(*parameters)


def stored(X, storage):
    """X in the storage that the problem is about."""
    if storage == "strided":
        wide = np.zeros((X.shape[0], 2 * X.shape[1]))
        wide[:, ::2] = X
        return wide[:, ::2]
    if storage == "csr":
        return sp.csr_array(X)
    if storage == "float32":
        return X.astype(np.float32)
    return np.asfortranarray(X) if storage == "F" else X


def answer(request):
    """What the fit found, or why it was refused."""
    given = {
        name: component(value) if name in ("loss", "penalty", "solver") else value
        for name, value in request["parameters"].items()
    }
    model = getattr(fastgd, request["estimator"])(**given)
    rows = {name: request[name] for name in ("sample_weight", "offset") if name in request}
    start, before = time.perf_counter(), time.process_time()
    try:
        model.fit(stored(request["X"], request["storage"]), request["y"], **rows)
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    seconds, processor = time.perf_counter() - start, time.process_time() - before
    histories = model.history_ if isinstance(model.history_, list) else [model.history_]
    passes = [np.asarray(history["passes"], dtype=float) for history in histories]
    return {
        "coef_": np.array(model.coef_),
        "intercept_": np.array(model.intercept_),
        "objective_": float(model.objective_),
        "suboptimality_": float(model.suboptimality_),
        "bound_kind_": str(model.bound_kind_),
        "n_iter_": int(model.n_iter_),
        "stop_reason_": model.stop_reason_.name,
        "first": sum(float(history["objective"][0]) for history in histories),
        "passes": sum(float(counts[-1]) for counts in passes),
        # the most passes between two checks: an iteration and its check cost no more
        "between": max(float(np.diff(counts, prepend=0.0).max()) for counts in passes),
        "seconds": seconds,
        "processor": processor,
    }


def main():
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints is no answer
    pickle.dump(str(Path(fastgd.__file__).resolve().parents[1]), answers)
    answers.flush()
    warnings.simplefilter("ignore")
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(request), answers)
        answers.flush()


if __name__ == "__main__":
    main()
