"""An interrupt: the best model so far, or the estimator as it was, and always KeyboardInterrupt."""

import itertools
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from fastgd import (
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    Huber,
    StopReason,
    from_chunks,
    gradient_descent,
)
from fastgd.fitting import replan
from fastgd.fitting import runs as fitting
from fastgd.objective.meter import Meter
from fastgd.runtime.workers import workers
from fastgd.solvers import growing_batch
from fastgd.solvers.base import Forecast
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.stochastic.scheduled import Stochastic

rng = np.random.default_rng(0)
X = rng.standard_normal((120, 4))
Y = (X @ [1.0, -1.0, 0.5, 0.2] + 0.3 * rng.standard_normal(120) > 0).astype(int)
Y3 = np.digitize(X @ [1.0, -1.0, 0.5, 0.2] + 0.3 * rng.standard_normal(120), [-0.7, 0.7])
SLOW = {"solver": "gd", "batch_size": 1, "tol": None, "max_iter": 1000, "random_state": 0}


class Pressed:
    """A rule or a callback whose n-th call is interrupted."""

    def __init__(self, at):
        self.at, self.calls, self.lock = at, 0, threading.Lock()

    def __call__(self, *_):
        with self.lock:
            self.calls += 1
            if self.calls == self.at:
                raise KeyboardInterrupt
        return False


def in_iteration(monkeypatch, at):
    """Interrupt the n-th epoch of one-row steps."""
    pressed, epoch = Pressed(at), Stochastic._epoch

    def advance(self, *args):
        lost = epoch(self, *args)
        pressed()
        return lost

    monkeypatch.setattr(Stochastic, "_epoch", advance)


def test_after_a_check_the_best_model_so_far_is_stored(monkeypatch):
    in_iteration(monkeypatch, 6)
    model = GDClassifier(**SLOW)
    with pytest.raises(KeyboardInterrupt, match=r"stored: objective 0\.\d+ after 4 iterations$"):
        model.fit(X, Y)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == (
        StopReason.INTERRUPTED,
        False,
        4,
    )
    assert model.objective_ == min(model.history_["objective"])
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize("warm", [False, True])
def test_only_who_may_go_on_is_told_so(monkeypatch, warm):
    in_iteration(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt) as caught:
        GDClassifier(**SLOW, warm_start=warm).fit(X, Y)
    assert ("goes on" in str(caught.value)) == warm


def test_before_a_check_the_estimator_is_as_it_was(monkeypatch):
    fitted = GDClassifier(**{**SLOW, "max_iter": 3}).fit(X, Y)
    in_iteration(monkeypatch, 1)
    for model in (GDClassifier(**SLOW), fitted):
        before = dict(vars(model))
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, 1 - Y)
        assert vars(model) == before
        in_iteration(monkeypatch, 1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "newton", "batch_size": "full"},
        {"solver": "lbfgs", "batch_size": "full"},
        {"solver": "gd", "batch_size": "full"},
        {"solver": "saga"},
        {"solver": "sdca"},
        {"solver": "adam", "batch_size": 8},
        {"solver": "gd", "batch_size": 1, "learning_rate": "constant"},
        {"loss": "hinge"},
        {"penalty": "l1", "alpha": 0.01},
    ],
    ids=str,
)
def test_every_solver_is_interrupted_with_its_model(parameters):
    model = GDClassifier(
        **{"tol": None, "max_iter": 50, "random_state": 0, **parameters}, stop=Pressed(3)
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.stop_reason_ is StopReason.INTERRUPTED
    assert model.n_iter_ == 3
    assert model.score(X, Y) > 0.8


def test_checks_that_did_without_the_point_are_checks():
    wide = rng.standard_normal((60, 3000))
    model = GDClassifier(solver="newton", alpha=1e-3, tol=1e-14, max_iter=200)

    steps, ran = Pressed(5), fitting.Loop.run

    def run(self, state):
        own = self.solver.advance

        def pressed(state):
            own(state)
            steps()

        self.solver.advance = pressed
        return ran(self, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting.Loop, "run", run)
        with pytest.raises(KeyboardInterrupt):
            model.fit(wide, Y[:60])
    assert model.stop_reason_ is StopReason.INTERRUPTED
    assert model.score(wide, Y[:60]) > 0.9


def interrupted_passes(monkeypatch, model, data):
    """Interrupt a fit in its first pass, in its second, and so on: how many of these left a model
    behind, where each said that it was interrupted.
    """
    count, stored = Meter.count, 0
    for at in itertools.count(1):
        pressed = Pressed(at)

        def counted(self, passes=1.0, pressed=pressed):
            count(self, passes)
            pressed()

        with monkeypatch.context() as patch:
            patch.setattr(Meter, "count", counted)
            one = clone(model)
            try:
                one.fit(*data())
            except KeyboardInterrupt:
                stored += hasattr(one, "coef_")
            else:
                return stored
        if hasattr(one, "coef_"):
            assert one.stop_reason_ is StopReason.INTERRUPTED
            assert np.isfinite(one.coef_).all()


@pytest.mark.parametrize("blocks", [False, True])
def test_a_growing_batch_is_interrupted_in_any_pass(blocks, monkeypatch):
    """In the first pass over all rows the model so far was lost to an AttributeError."""
    monkeypatch.setattr(growing_batch, "MIN_ROWS", 20)
    model = GDClassifier(solver="newton", batch_size="growing", tol=1e-10, memory=1e6)

    def data():
        return (from_chunks(lambda: [(X[:70], Y[:70]), (X[70:], Y[70:])]),) if blocks else (X, Y)

    assert interrupted_passes(monkeypatch, model, data) > 3


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("at", [2, 5, 9])
def test_one_against_the_rest(n_jobs, at, monkeypatch):
    monkeypatch.setattr(fitting, "MIN_FOR_THREADS", 0)
    settings = {**SLOW, "max_iter": 4, "multi_class": "ovr"}
    model = GDClassifier(**settings, n_jobs=n_jobs, stop=Pressed(at))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y3)
    assert model.stop_reason_ is StopReason.INTERRUPTED
    assert not model.converged_
    assert len(model.history_) == len(model.plan_) == 3
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.objective_)
    if n_jobs == 1:
        begun = 1 + (at - 1) // 4
        np.testing.assert_array_equal(model.coef_[begun:], 0.0)
        rates = [(k == Y3).mean() for k in range(begun, 3)]
        np.testing.assert_allclose(
            model.intercept_[begun:], np.log(rates) - np.log1p(-np.array(rates)), atol=1e-6
        )
        assert model.coef_[:begun].any(axis=1).all()


def test_one_against_the_rest_before_any_check(monkeypatch):
    in_iteration(monkeypatch, 1)
    model = GDClassifier(**SLOW, multi_class="ovr")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y3)
    assert not hasattr(model, "coef_")


def test_a_later_plan_that_is_cut_short_leaves_the_model_of_the_earlier_one(monkeypatch):
    def cut_short(*_):
        raise KeyboardInterrupt

    told = classmethod(lambda cls, F, tol, cutoff=np.inf: Forecast(1.0, "said to be quick"))
    monkeypatch.setattr(Sdca, "forecast", told)
    monkeypatch.setattr(replan, "next_plan", cut_short)
    raw = np.exp(3.0 * np.random.default_rng(0).normal(size=(30, 35)))
    y = np.log(raw).sum(axis=1) > 0.0
    model = GDClassifier("hinge", alpha=1e-6, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(raw, y)
    assert model.plan_.solver == "sdca"
    assert model.score(raw, y) > 0.7  # of the null model 0.6


@pytest.mark.plain
def test_partial_fit_is_as_before_the_call(monkeypatch):
    model = GDRegressor(loss=Huber(1.0)).partial_fit(X, X[:, 0])
    before, coef, history = dict(vars(model)), model.coef_.copy(), len(model.history_["passes"])
    with monkeypatch.context() as patch:
        patch.setattr(Stochastic, "answer", lambda *args: Pressed(1)())
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X, X[:, 1])
    assert vars(model) == before
    np.testing.assert_array_equal(model.coef_, coef)
    model.partial_fit(X, X[:, 0])
    assert len(model.history_["passes"]) == history + 1


def test_searches_are_as_before_the_call_and_loops_end(monkeypatch):
    search = GDClassifierCV(alphas=3, cv=2, n_jobs=2, stop=Pressed(4), tol=1e-12)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not hasattr(search, "alphas_")
    refitted = GDClassifierCV(alphas=[0.1], cv=2)
    whole = GDClassifier.fit

    def interrupted(self, *args, **kwargs):
        return whole(self.set_params(stop=Pressed(1), tol=1e-12), *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(GDClassifier, "fit", interrupted)
        patch.setattr(GDClassifierCV._estimator_class, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            refitted.fit(X, Y)
    assert not hasattr(refitted, "best_estimator_")
    in_iteration(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(
            GDClassifier(**{**SLOW, "max_iter": 2}), {"alpha": [1e-3, 1e-2, 1e-1]}, cv=3
        ).fit(X, Y)
    in_iteration(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(GDClassifier(**{**SLOW, "max_iter": 2}), X, Y, cv=8)


def test_threads_that_are_waited_for_are_told_to_end():
    ended, found = threading.Event(), []

    def work(k):
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.05)
            raise KeyboardInterrupt
        found.append(ended.wait(20.0))

    with pytest.raises(KeyboardInterrupt):
        workers(1).map(work, [(0,), (1,)], ended.set)
    assert found in ([], [True])


def test_a_key_comes_before_other_errors():
    def work(k):
        raise KeyboardInterrupt if k else ValueError("the data")

    job_errors = []
    for _ in range(20):
        with pytest.raises((KeyboardInterrupt, ValueError)) as caught:
            workers(1).map(work, [(0,), (1,)])
        job_errors.append(caught.type)
    assert set(job_errors) <= {KeyboardInterrupt, ValueError}


def test_callbacks_are_told_to_the_end():
    pytest.importorskip("sklearn.callback")

    class Recorder:
        def __init__(self, at):
            self.pressed, self.heard = Pressed(at), []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            self.heard.append("teardown")

        def on_fit_task_begin(self, estimator, context, **data):
            self.heard.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context, **data):
            self.heard.append(("end", context.task_name, context.task_id))
            return self.pressed() if context.task_name == "iteration" else False

    for y in (Y, Y3):
        recorder = Recorder(3)
        model = GDClassifier(**SLOW, multi_class="ovr").set_callbacks(recorder)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        begun = [task[1:] for task in recorder.heard if task[0] == "begin"]
        ended = [task[1:] for task in recorder.heard if task[0] == "end"]
        assert sorted(map(str, begun)) == sorted(map(str, ended))
        assert recorder.heard[-1] == "teardown"
        assert ended[-1][0] == "fit"


def test_the_method_for_scipy_does_not_swallow_it():
    with pytest.raises(KeyboardInterrupt):
        scipy.optimize.minimize(
            scipy.optimize.rosen,
            [0.0, 0.0],
            jac=scipy.optimize.rosen_der,
            method=gradient_descent,
            callback=Pressed(3),
        )


PROGRAM = """
import numpy as np
from fastgd import GDClassifier
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 20))
y = (X[:, 0] > 0).astype(int)
settings = dict(solver="gd", batch_size=1, tol=None)
GDClassifier(**settings, max_iter=2).fit(X, y)
print("ready", flush=True)
model = GDClassifier(**settings, max_iter=10**9)
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print(model.stop_reason_.name, model.score(X, y) > 0.9)
"""


@pytest.mark.jit
@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_ctrl_c_in_a_process_of_its_own():
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "ready"
    time.sleep(1.0)  # a check has to come first
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=120)
    assert out.strip() == "INTERRUPTED True"
