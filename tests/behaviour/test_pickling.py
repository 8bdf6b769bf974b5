"""A model on its way to another process or thread, at every stage of its life, with a user's own
loss too.
"""

import copy
import io
import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numba.core import event
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV

import fastgd
from fastgd import Adam, DivergenceError, GDClassifier, GDRegressor, Huber, Loss, Quantile
from fastgd.estimators import base as estimators
from fastgd.runtime.jit import kernel
from support.components import ToyWeightedL1

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
SCORES = X @ RNG.standard_normal((4, 3)) + 0.5 * RNG.standard_normal((90, 3))
Y = np.array(["ant", "bee", "cat"])[SCORES.argmax(axis=1)]
T = SCORES[:, 0]


def on_disk(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=3)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "pickle 2": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
    "deepcopy": copy.deepcopy,
    "joblib": on_disk,
}
STREAM = {"solver": "gd", "batch_size": 1, "random_state": 0}
# How a model is made, and how it goes on from there.
STAGES = {
    "unfitted": (lambda: GDClassifier(random_state=0), lambda m: m.fit(X, Y)),
    "fitted": (lambda: GDClassifier(random_state=0).fit(X, Y), lambda m: m.fit(X, Y)),
    "chunk": (
        lambda: GDClassifier(random_state=0).partial_fit(X, Y, np.unique(Y)),
        lambda m: m.partial_fit(X, Y),
    ),
    "chunk after fit": (
        lambda: GDRegressor(random_state=0).fit(X, T).partial_fit(X, T),
        lambda m: m.partial_fit(X, T),
    ),
    "averaged chunk": (
        lambda: GDRegressor(average=50, learning_rate="constant", **STREAM).partial_fit(X, T),
        lambda m: m.partial_fit(X, T),
    ),
    "run, lbfgs": (
        lambda: GDClassifier(warm_start=True, solver="lbfgs", max_iter=3, tol=None).fit(X, Y),
        lambda m: m.fit(X, Y),
    ),
    "run, adam": (
        lambda: GDRegressor(
            warm_start=True,
            solver=Adam(0.8, 0.99, 1e-8),
            batch_size=8,
            max_iter=2,
            tol=None,
            random_state=0,
        ).fit(X, T),
        lambda m: m.fit(X, T),
    ),
    "run, stochastic": (
        lambda: GDClassifier(warm_start=True, max_iter=2, tol=None, **STREAM).fit(X, Y),
        lambda m: m.fit(X, Y),
    ),
    "sparse": (
        lambda: GDClassifier(penalty="l1", alpha=0.01).fit(X, Y).sparsify(),
        lambda m: m.densify().fit(X, Y),
    ),
    "components": (
        lambda: GDRegressor(
            loss=Quantile(0.3), penalty=ToyWeightedL1(np.array([1.0, 0.0, 0.0, 1.0])), max_iter=30
        ).fit(X, T),
        lambda m: m.set_params(loss="squared_error").fit(X, T),
    ),
    "generator": (
        lambda: GDRegressor(
            max_iter=2, tol=None, **{**STREAM, "random_state": np.random.RandomState(3)}
        ).fit(X, T),
        lambda m: m.fit(X, T),
    ),
}


def state(model):
    """What a model has learned, as plain arrays."""
    if not hasattr(model, "coef_"):
        return []
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    return [coef.copy(), model.intercept_.copy(), np.array([model.t_, model.n_iter_])]


def assert_same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_copy_goes_on_as_the_model_does(stage, way):
    make, go_on = STAGES[stage]
    model = make()
    twin = COPIES[way](model)
    assert re.sub(r"0x\w+", "", repr(twin)) == re.sub(
        r"0x\w+", "", repr(model)
    )  # generators show their address
    before = state(model)
    assert_same(state(twin), before)
    after = state(go_on(twin))
    assert_same(state(model), before)  # what the copy does is its own business
    assert_same(state(go_on(model)), after)
    fresh = clone(model)
    assert not any(name.endswith("_") for name in vars(fresh))
    assert "_states" not in vars(fresh)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stages_in_threads():
    models = {stage: make() for stage, (make, _) in STAGES.items()}
    expected = {
        stage: state(STAGES[stage][1](copy.deepcopy(model))) for stage, model in models.items()
    }
    jobs = [(stage, copy.deepcopy(model)) for stage, model in models.items() for _ in range(3)]
    found = joblib.Parallel(4, backend="threading")(
        joblib.delayed(lambda stage, model: state(STAGES[stage][1](model)))(*job) for job in jobs
    )
    for (stage, _), result in zip(jobs, found, strict=True):
        assert_same(result, expected[stage])


def test_one_model_predicts_in_many_threads():
    model = GDClassifier().fit(X, Y)
    expected = model.predict_proba(X)
    for found in joblib.Parallel(4, backend="threading")(
        joblib.delayed(model.predict_proba)(X) for _ in range(20)
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_memory_mapped_model(tmp_path):
    """joblib hands large arrays to workers read-only."""
    model = GDRegressor(warm_start=True, random_state=0).fit(X, T)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert not mapped.coef_.flags.writeable
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))
    assert_same(state(mapped.fit(X, T)), state(model.fit(X, T)))
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    model = pickle.loads(pickle.dumps(mapped))
    assert_same(state(mapped.partial_fit(X, T)), state(model.partial_fit(X, T)))


def test_a_pickle_holds_no_compiled_code():
    for make, _ in list(STAGES.values())[1:4]:
        stored = pickle.dumps(make())
        assert b"numba" not in stored
        assert b"_jit" not in stored
        assert len(stored) < 20_000


@pytest.fixture
def run(tmp_path):
    """A function that runs a script in a folder of its own and gives the words it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fastgd.__file__).parents[1])}

    def run(script, *arguments):
        (tmp_path / "script.py").write_text(textwrap.dedent(script), encoding="utf-8")
        command = [sys.executable, "-W", "error", "script.py", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_another_process_predicts_without_compiling(run, tmp_path):
    models = [GDClassifier().fit(X, Y), GDRegressor(loss="huber").fit(sp.csr_array(X), T)]
    (tmp_path / "models.pkl").write_bytes(pickle.dumps((models, X)))
    with event.install_recorder("numba:compile") as compiled:
        words = run(
            """
            import pickle
            from numba.core import event

            with event.install_recorder("numba:compile") as compiled:
                with open("models.pkl", "rb") as file:
                    (classifier, regressor), X = pickle.load(file)
                print(*classifier.predict(X), *classifier.predict_proba(X)[0])
                print(*regressor.predict(X)[:2])
            names = classifier.plan_.__class__.__name__, regressor.stop_reason_.name
            print(len(compiled.buffer), *names)
            """
        )
        expected = [
            *models[0].predict(X),
            *models[0].predict_proba(X)[0],
            *models[1].predict(X)[:2],
        ]
    assert compiled.buffer == []
    assert words[:-3] == [str(word) for word in expected]
    assert words[-3:] == ["0", "Plan", models[1].stop_reason_.name]


PUBLIC = [one for name in fastgd.__all__ if isinstance(one := getattr(fastgd, name), type)]


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_public_classes_are_of_fastgd(cls):
    assert (cls.__module__, cls.__qualname__) == ("fastgd", cls.__name__)
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_what_is_public_comes_back_in_a_process_that_imports_nothing_first(run, tmp_path):
    shipped = [
        made()
        for family in (fastgd.Loss, fastgd.Penalty, fastgd.Rule)
        for made in family.members().values()
        if made in PUBLIC
    ]
    objective = fastgd.Objective("squared_error", X, T, penalty="l2", alpha=0.1)
    diverged = DivergenceError("too far", {"passes": np.arange(3.0)})
    models = [GDClassifier(alpha=0.5), GDRegressor(loss=Huber(2.0)).fit(X, T)]
    kept = [*shipped, *models, objective, diverged, fastgd.StopReason.TIME]
    names = [f"{type(one).__module__}.{type(one).__qualname__}" for one in kept]
    assert all(name.startswith("fastgd.") and name.count(".") == 1 for name in names)
    (tmp_path / "kept.pkl").write_bytes(pickle.dumps(kept))
    words = run(
        """
        import pickle
        with open("kept.pkl", "rb") as file:
            kept = pickle.load(file)
        *_, regressor, objective, diverged, reason = kept
        print(*(f"{type(one).__module__}.{type(one).__qualname__}" for one in kept))
        print(*regressor.coef_, regressor.loss.epsilon)
        print(objective.value(objective.start()), len(diverged.history["passes"]), reason.name)
        """
    )
    assert words[: len(names)] == names
    assert words[len(names) : -3] == [str(number) for number in (*models[1].coef_, 2.0)]
    assert words[-3:] == [str(objective.value(objective.start())), "3", "TIME"]


@pytest.mark.parametrize(
    ("stored", "words"),
    [({}, "an older version of fastgd, in format 0"), ({"_stored_format": 99}, "a newer version")],
)
@pytest.mark.parametrize("model", [GDRegressor(), GDRegressor(max_iter=2, tol=None).fit(X, T)])
def test_a_pickle_of_another_version_is_refused(model, stored, words, monkeypatch):
    with monkeypatch.context() as old:
        old.setattr(GDRegressor, "__module__", "fastgd.estimators.regressor")
        old.setattr(
            estimators.GDEstimator,
            "__getstate__",
            lambda self: {**BaseEstimator.__getstate__(self), **stored},
        )
        kept = pickle.dumps(model)
    with pytest.raises(ValueError, match=f"this GDRegressor was stored by {words}.*fit the model"):
        pickle.loads(kept)


def test_the_format_is_no_attribute():
    model = pickle.loads(pickle.dumps(GDRegressor()))
    assert vars(model).keys() == vars(GDRegressor()).keys()


@kernel
def value_of(loss, prediction, target):
    return loss.value(prediction, target)


def users_huber():
    """A user's class, called like one that is shipped, with the same field."""

    class Huber(Loss):
        epsilon: float = 0.1

        def value(self, prediction, target):
            return 7.0 * self.epsilon

        def derivative(self, prediction, target):
            return 0.0

    Huber.__qualname__ = "Huber"
    return Huber


def test_a_class_of_the_same_name_is_not_taken_for_ours():
    own = users_huber()
    assert own.__module__ == __name__
    assert Loss.named("huber") is Huber
    for _ in range(2):  # with code from memory the second time
        assert value_of(Huber(0.5), 0.2, 0.0) == pytest.approx(0.02)
        assert value_of(own(0.5), 0.2, 0.0) == 3.5
    assert b"test_pickling" not in pickle.dumps(Huber(0.5))
    with pytest.raises(pickle.PicklingError):  # nor is it stored as ours
        pickle.dumps(own(0.5))


SCRIPT = """
    import pickle
    import joblib
    import numpy as np
    from fastgd import GDRegressor, Loss

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    t = X @ [1.0, -2.0, 0.5]

    class LogCosh(Loss):
        infimum = 0.0
        width: float = 1.0

        def value(self, prediction, target):
            r = abs(prediction - target) / self.width
            return r + np.log1p(np.exp(-2.0 * r)) - 0.6931471805599453

        def derivative(self, prediction, target):
            return np.tanh((prediction - target) / self.width) / self.width

    # A cell of a notebook: a class without a file.
    exec(
        "class Quartic(Loss):\\n"
        "    def value(self, prediction, target):\\n"
        "        return 0.25 * (prediction - target) ** 4\\n"
        "    def derivative(self, prediction, target):\\n"
        "        return (prediction - target) ** 3\\n"
    )

    def go_on(model):
        fit = model.partial_fit if isinstance(model.loss, Quartic) else model.fit
        return fit(X, t).coef_

    if __name__ == "__main__":
        # One row at a time throughout: the same kernels for all stages of a loss.
        kw = {"solver": "gd", "batch_size": 1, "max_iter": 20, "tol": None, "random_state": 0}
        fitted = GDRegressor(loss=LogCosh(2.0), **kw).fit(X, t)
        streamed = GDRegressor(loss=Quartic(), **kw).partial_fit(X, t)
        models = [GDRegressor(loss=LogCosh(2.0), **kw), fitted, streamed]
        models.append(GDRegressor(loss=LogCosh(2.0), warm_start=True, **kw).fit(X, t))
        found = joblib.Parallel(2, backend="loky")(joblib.delayed(go_on)(model) for model in models)
        threads = joblib.Parallel(2, backend="threading")(
            joblib.delayed(go_on)(pickle.loads(pickle.dumps(model))) for model in models
        )
        here = [go_on(model) for model in models]
        triples = zip(found, threads, here, strict=True)
        print(*(bool((a == b).all() and (a == c).all()) for a, b, c in triples))
"""


@pytest.mark.jit
def test_losses_of_a_script_and_a_notebook_in_other_processes(run):
    assert run(SCRIPT) == 4 * ["True"]


def test_search_in_threads():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        search = GridSearchCV(
            GDClassifier(), {"alpha": [1e-4, 1e-2, 1.0]}, cv=2, error_score="raise"
        ).fit(X, Y)
    alone = GridSearchCV(GDClassifier(), {"alpha": [1e-4, 1e-2, 1.0]}, cv=2).fit(X, Y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(search.best_estimator_.coef_, alone.best_estimator_.coef_)
