"""A fitted estimator in another process: it predicts, and nothing is compiled."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from fastgd import GDClassifier, GDRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 3))
Y3 = np.digitize(X[:, 0], [-0.5, 0.5])

PREDICT = """
import pickle, sys
import numba.core.dispatcher, numba.core.caching
def refuse(*args, **kwargs):
    raise AssertionError("a kernel was asked for")
numba.core.dispatcher.Dispatcher.compile = refuse
numba.core.dispatcher.Dispatcher._compile_for_args = refuse
models, X = pickle.load(open(sys.argv[1], "rb"))
found = []
for model in models:
    found += [model.predict(X), model.score(X, model.predict(X))]
    for name in ("decision_function", "predict_proba", "predict_log_proba"):
        if hasattr(model, name):
            found.append(getattr(model, name)(X))
    model.sparsify(), model.predict(X), model.densify()
pickle.dump(found, open(sys.argv[1], "wb"))
"""


@pytest.mark.jit
def test_predictions_compile_nothing(tmp_path):
    models = [
        GDClassifier().fit(X, Y3),
        GDClassifier(loss="modified_huber", penalty="l1", alpha=0.01, warm_start=True).fit(
            X, Y3 == 1
        ),
        GDClassifier(class_weight="balanced").partial_fit(
            X, Y3, classes=[0, 1, 2], X_val=X, y_val=Y3
        ),
        GDRegressor(loss="huber").fit(X, X[:, 0]),
        GDRegressor().partial_fit(X, X[:, 0]),
    ]
    path = tmp_path / "models.pickle"
    path.write_bytes(pickle.dumps((models, X)))
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = iter(pickle.loads(path.read_bytes()))
    for model in models:
        np.testing.assert_array_equal(next(found), model.predict(X))
        assert next(found) == 1.0
        for name in ("decision_function", "predict_proba", "predict_log_proba"):
            if hasattr(model, name):
                np.testing.assert_array_equal(next(found), getattr(model, name)(X))
