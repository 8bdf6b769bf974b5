"""scikit-learn's callbacks: told about every iteration of every solver, and able to end a fit."""

import importlib.util
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgd
from fastgd import GDClassifier, GDRegressor, StopReason

sklearn_callback = pytest.importorskip(
    "sklearn.callback", reason="scikit-learn has no callbacks before 1.9"
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = np.where(X[:, 0] + 0.5 * RNG.standard_normal(60) > 0, "yes", "no")
Y3 = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.3 * RNG.standard_normal(60), [-0.5, 0.5])]
T = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.standard_normal(60)


class Recorder:
    """Notes what it hears; asks to stop at the end of iteration `stop_at`."""

    def __init__(self, stop_at=None, fail_at=None):
        self.heard, self.models, self.stop_at, self.fail_at = [], [], stop_at, fail_at
        self.inside = 0

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.data = X, y, metadata
        self.heard.append(
            ("begin", context.task_name, context.parent and context.parent.task_id, context.task_id)
        )

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.inside += 1
        assert self.inside == 1, "one hook at a time"
        self.models.append(fitted_estimator)
        self.heard.append(
            ("end", context.task_name, context.parent and context.parent.task_id, context.task_id)
        )
        if self.fail_at == context.task_id:
            raise RuntimeError("the callback failed")
        self.inside -= 1
        return context.task_name == "iteration" and context.task_id + 1 == self.stop_at

    def iterations(self, k=0):
        return [one for one in self.heard if one[:3] == ("end", "iteration", k)]


SOLVERS = [
    {},
    {"solver": "newton", "batch_size": "full"},
    {"penalty": "l1", "alpha": 0.01},
    {"loss": "hinge"},
    {"loss": "hinge", "solver": "sdca"},
    {"solver": "lbfgs"},
    {"solver": "saga", "batch_size": 8},
    {"solver": "gd", "batch_size": 1},
    {"solver": "adam", "batch_size": 8},
    {"solver": "nesterov", "batch_size": "full"},
    {"solver": "gd", "batch_size": "full", "learning_rate": "line_search"},
]


@pytest.mark.parametrize("parameters", SOLVERS, ids=str)
def test_every_solver_tells_each_iteration_and_is_not_changed_by_it(parameters):
    recorder = Recorder()
    settings = {"max_iter": 6, "tol": None, "random_state": 0, **parameters}
    told = GDClassifier(**settings).set_callbacks(recorder).fit(X, Y)
    alone = GDClassifier(**settings).fit(X, Y)
    np.testing.assert_array_equal(told.coef_, alone.coef_)
    np.testing.assert_array_equal(told.history_["objective"], alone.history_["objective"])
    heard = recorder.heard
    assert heard[:2] == ["setup", ("begin", "fit", None, 0)]
    assert heard[-2:] == [("end", "fit", None, 0), "teardown"]
    iterations = [
        (when, "iteration", 0, t) for t in range(told.n_iter_) for when in ("begin", "end")
    ]
    assert heard[2:-2] == iterations
    assert all(model.predict(X).shape == (60,) for model in recorder.models)


@pytest.mark.parametrize("parameters", SOLVERS, ids=str)
def test_a_callback_ends_the_fit(parameters):
    settings = {"max_iter": 6, "tol": None, "random_state": 0, **parameters}
    model = GDClassifier(**settings).set_callbacks(Recorder(stop_at=3)).fit(X, Y)
    assert model.stop_reason_ is StopReason.CALLBACK
    assert (model.n_iter_, model.converged_) == (3, False)
    # It may go on, so three iterations are no reason for another plan.
    three = GDClassifier(**{**settings, "max_iter": 3, "warm_start": True}).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, three.coef_)
    assert model.objective_ == three.objective_


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_against_the_rest(n_jobs):
    recorder = Recorder()
    model = GDClassifier(n_jobs=n_jobs, tol=1e-8, multi_class="ovr")
    model.set_callbacks(recorder).fit(X, Y3)
    assert {("begin", "class", 0, k) for k in range(3)} < set(recorder.heard)
    for k, history in enumerate(model.history_):
        assert len(recorder.iterations(k)) == history["passes"].size
        assert recorder.heard.index(("end", "class", 0, k)) > recorder.heard.index(
            recorder.iterations(k)[-1]
        )
    assert all(one.coef_.shape == (3, 3) for one in recorder.models)
    last = recorder.models[-1]
    np.testing.assert_array_equal(last.predict(X), model.predict(X))
    stopped = GDClassifier(n_jobs=n_jobs, multi_class="ovr")
    stopped.set_callbacks(Recorder(stop_at=2)).fit(X, Y3)
    assert stopped.stop_reason_ is StopReason.CALLBACK
    assert [history["passes"].size for history in stopped.history_] == [2, 2, 2]
    assert stopped.score(X, Y3) > 0.5


def test_a_regressor_and_what_hooks_are_given():
    frame, weights = pd.DataFrame(X, columns=["a", "b", "c"]), np.linspace(1.0, 2.0, 60)
    recorder = Recorder()
    model = GDRegressor(
        solver="gd", batch_size=1, learning_rate="constant", eta0=1e-3, max_iter=5, tol=None
    )
    model.set_callbacks(recorder).fit(frame, T, sample_weight=weights)
    given, targets, metadata = recorder.data
    assert given is frame
    np.testing.assert_array_equal(targets, T)
    assert metadata == {"sample_weight": weights}
    scores = [one.score(frame, T) for one in recorder.models]
    assert scores[0] < scores[-2]
    assert scores[-1] == model.score(frame, T)
    assert not any("callback" in name for name in vars(model) if name != "_skl_callbacks")


def test_a_callback_that_fails_leaves_the_estimator_as_it_was():
    model = GDClassifier().fit(X, Y)
    recorder = Recorder(fail_at=1)
    model.set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="the callback failed"):
        model.fit(X, Y == "yes")
    assert vars(model) == before
    assert recorder.heard[-1] == "teardown"
    with pytest.raises(TypeError, match="callbacks must be instances"):
        model.set_callbacks(3)
    assert not hasattr(GDClassifier().fit(X, Y), "_skl_callbacks")


def test_scoring_monitor():
    monitor = sklearn_callback.ScoringMonitor(scoring="neg_log_loss")
    model = GDClassifier(multi_class="ovr").set_callbacks(monitor).fit(X, Y3)
    scores = [
        row["neg_log_loss"] for row in monitor.get_logs().data if row["task_name"] == "iteration"
    ]
    assert len(scores) == sum(history["passes"].size for history in model.history_)
    assert max(scores) > np.log(1 / 3)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GDClassifier().set_callbacks(monitor)),
        {"gdclassifier__alpha": [1e-3, 1e-2]},
        cv=2,
    ).fit(X, Y)
    assert search.best_score_ > 0.8
    assert len(monitor.get_logs().data) > 5


@pytest.mark.parametrize("y", [Y, Y3], ids=["two", "three"])
def test_progress_bar(y, capsys):
    pytest.importorskip("rich")
    model = make_pipeline(StandardScaler(), GDClassifier(n_jobs=2, multi_class="ovr"))
    model.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "GDClassifier - fit" in shown
    assert ("GDClassifier - class #2" in shown) == (y is Y3)
    assert model.score(X, y) > 0.6
    assert threading.active_count() < 50


def test_without_scikit_learns_callbacks():
    path = pathlib.Path(fastgd.__file__).with_name("estimators") / "callbacks.py"
    spec = importlib.util.spec_from_file_location("callbacks_alone", path)
    module, kept = importlib.util.module_from_spec(spec), sys.modules["sklearn.callback"]
    sys.modules["sklearn.callback"] = None
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["sklearn.callback"] = kept
    assert not hasattr(module.CallbackSupportMixin, "set_callbacks")
    assert module.with_callbacks(lambda self, a: a)(None, 3) == 3


OLDER = """
import sys
import sklearn.pipeline, sklearn.model_selection
kept, sys.modules["sklearn.callback"] = sys.modules["sklearn.callback"], None
from fastgd import GDClassifier
sys.modules["sklearn.callback"] = kept
import numpy as np
from sklearn.base import clone
X = np.arange(12.0).reshape(6, 2) % 5
model = clone(GDClassifier(verbose=1, max_iter=2, tol=None)).fit(X, [0, 0, 1, 1, 2, 2])
assert not hasattr(model, "set_callbacks")
print(model.n_iter_)
"""


@pytest.mark.jit
def test_everything_else_works_without_them():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OLDER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2"
