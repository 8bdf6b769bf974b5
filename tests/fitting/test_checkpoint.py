"""Fits that are killed, and restored with the same bits."""

import errno
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastgd import (
    ConvergenceWarning,
    DivergenceError,
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    StopReason,
    from_chunks,
    losses,
)
from fastgd.estimators import same_fit
from fastgd.fitting import checkpoint, runs
from fastgd.solvers.base import Forecast
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.newton.subspace import SubspaceMemory

rng = np.random.default_rng(0)
X = rng.standard_normal((120, 5)) * [1.0, 2.0, 0.1, 1.0, 1.0]
Z = X @ rng.standard_normal(5) + 0.7 * rng.standard_normal(120)
Y, Y3 = (Z > 0.0).astype(int), np.digitize(Z, [-1.0, 1.0])


def assert_same(one, other):
    """The same fit, but for the time that it took."""
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)
    for name in ("n_iter_", "t_", "objective_", "suboptimality_", "bound_kind_", "stop_reason_"):
        assert getattr(one, name) == getattr(other, name), name
    assert str(one.plan_) == str(other.plan_)
    seen = [one.history_, other.history_]
    several = [h if isinstance(h, list) else [h] for h in seen]
    for first, second in zip(*several, strict=True):
        assert first.keys() == second.keys()
        for key in first.keys() - {"seconds"}:
            np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Copies of all checkpoints that fits write, in order; they can be removed while it is off."""
    copies, original = [], checkpoint.write

    def write(path, *args):
        original(path, *args)
        copies.append(shutil.copy(path, tmp_path / f"copy{len(copies)}"))

    monkeypatch.setattr(checkpoint, "write", write)
    return copies


def check_restored(model, written, path, X, y, each=3, **fit):
    """A fit that keeps checkpoints, and those that begin at some of them, are the fit without."""

    def made(**more):
        np.random.seed(5)  # noqa: NPY002
        return clone(model).set_params(**more).fit(X, y, **fit)

    whole = made()
    assert_same(made(checkpoint=path, checkpoint_every=0.0), whole)
    assert not path.exists()
    copies = list(written)
    for place in np.unique(np.linspace(0, len(copies) - 1, each).astype(int)):
        shutil.copy(copies[place], path)
        np.random.seed(6)  # noqa: NPY002
        again = clone(model).set_params(checkpoint=path, checkpoint_every=1e9).fit(X, y, **fit)
        assert_same(again, whole)
        assert not path.exists()
    return whole


CASES = {
    "newton": ({"tol": 1e-12}, Y),
    "working set": ({"penalty": "l1", "alpha": 1e-2, "tol": 1e-10}, Y),
    "dual": ({"loss": "hinge", "solver": "sdca", "max_iter": 9}, Y),
    "interior point": ({"loss": "hinge", "tol": 1e-10}, Y),
    "three classes": ({"tol": 1e-12, "solver": "lbfgs"}, Y3),
    "one against the rest": ({"loss": "squared_hinge", "max_iter": 4, "warm_start": True}, Y3),
    "held-out rows": ({"solver": "adam", "batch_size": 8, "early_stopping": True}, Y),
    "averages": ({"solver": "gd", "batch_size": 8, "average": 5, "max_iter": 9, "tol": None}, Y),
    "cuts": ({"solver": "gd", "batch_size": 8, "learning_rate": "adaptive", "max_iter": 9}, Y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_fit_is_restored_with_the_same_bits(name, written, tmp_path):
    parameters, y = CASES[name]
    check_restored(GDClassifier(**parameters), written, tmp_path / "fit", X, y)


def test_more_columns_than_rows(written, tmp_path):
    """Plans look at rows that are few as nowhere else: no checkpoint could be written."""
    wide = np.random.default_rng(3).standard_normal((30, 40))
    check_restored(GDClassifier(alpha=1e-2), written, tmp_path / "fit", wide, wide[:, 0] > 0.0)


def test_a_batch_that_grows_among_past_gradients(written, tmp_path):
    """The state of a stage knows the solver, which no file can hold, nor should a pickle."""
    rows = sp.random_array(
        (200, 90), density=0.05, random_state=np.random.default_rng(1), format="csr"
    )
    y = rows @ np.random.default_rng(2).standard_normal(90) > 0.0
    model = GDClassifier(solver="newton", batch_size="growing", alpha=0.1, warm_start=True)
    whole = check_restored(model, written, tmp_path / "fit", rows, y)
    (state,) = pickle.loads(pickle.dumps(whole))._states
    assert isinstance(state.memory.inner.memory, SubspaceMemory)
    assert "solver" not in vars(state.memory.inner)


def test_weights_offsets_and_starts(written, tmp_path):
    given = {
        "sample_weight": rng.random(120),
        "offset": rng.standard_normal(120),
        "coef_init": np.ones(5),
        "X_val": X[:30],
        "y_val": Z[:30],
    }
    model = GDRegressor("huber", solver="lbfgs", tol=1e-10)
    check_restored(model, written, tmp_path / "fit", sp.csr_array(X), Z, **given)


def test_a_plan_that_is_left(monkeypatch, written, tmp_path):
    """A run is restored between two iterations of a plan, and after it was left."""
    told = classmethod(lambda cls, F, tol, cutoff=np.inf: Forecast(1.0, "said to be quick"))
    monkeypatch.setattr(Sdca, "forecast", told)
    raw = np.exp(3.0 * np.random.default_rng(0).normal(size=(30, 35)))
    y = np.log(raw).sum(axis=1) > 0.0
    model = GDClassifier("hinge", alpha=1e-6, random_state=0)
    whole = check_restored(model, written, tmp_path / "fit", raw, y, each=6)
    assert "sdca brought no more" in str(whole.plan_)


def test_a_batch_that_grows(monkeypatch, written, tmp_path):
    monkeypatch.setattr("fastgd.solvers.growing_batch.MIN_ROWS", 50)
    rows = np.random.default_rng(1).standard_normal((900, 3))
    y = rows[:, 0] + np.random.default_rng(2).logistic(size=900) > 0.0
    model = GDClassifier(solver="newton", batch_size="growing", tol=1e-10)
    whole = check_restored(model, written, tmp_path / "fit", rows, y, each=4)
    assert np.unique(whole.history_["batch"]).size > 1


def test_columns_by_need(monkeypatch, written, tmp_path):
    monkeypatch.setattr("fastgd.solvers.interior_point.path_cost.COLUMNS_AT_ONCE", 20)
    monkeypatch.setattr("fastgd.solvers.interior_point.column_generation.MIN_COLUMNS", 5)
    wide = np.random.default_rng(1).standard_normal((25, 60))
    model = GDRegressor("quantile", penalty="l1", alpha=0.05, tol=1e-9)
    check_restored(model, written, tmp_path / "fit", wide, wide[:, :8].sum(axis=1), each=6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "adam", "batch_size": 8, "tol": None, "max_iter": 5},
        {"loss": "hinge", "solver": "sdca", "tol": None, "max_iter": 4},
        {"solver": "lbfgs", "tol": 1e-8},
        {"solver": "newton", "batch_size": "growing", "tol": 1e-8},
    ],
    ids=lambda one: one["solver"],
)
def test_rows_from_blocks(parameters, monkeypatch, written, tmp_path):
    """As many bytes may be taken as when the fit began, whatever is free when it goes on."""
    monkeypatch.setattr("fastgd.solvers.growing_batch.MIN_ROWS", 10)
    free = iter(range(8_000_000, 90_000_000, 8_000_000))
    monkeypatch.setattr(same_fit, "memory_of", lambda given: next(free))
    source = from_chunks(lambda: ((X[k : k + 50], Y[k : k + 50]) for k in range(0, 120, 50)))
    path = tmp_path / "fit"
    whole = GDClassifier(**parameters, random_state=0, memory=8e6).fit(source)
    model = GDClassifier(**parameters, random_state=0, checkpoint=path, checkpoint_every=0.0)
    assert_same(model.fit(source), whole)
    for copy in written[:: max(len(written) // 3, 1)]:
        shutil.copy(copy, path)
        assert_same(clone(model).fit(source), whole)
    shutil.copy(written[0], path)
    other = from_chunks(lambda: ((X[:60], Y[:60]), (X[60:], 1 - Y[60:])))
    with pytest.raises(ValueError, match="of another fit"):
        model.fit(other)


def test_a_source_that_fails_leaves_the_checkpoint(tmp_path):
    failing, path = [7], tmp_path / "fit"

    def chunks():
        failing[0] -= 1
        for first in range(0, 120, 50):
            if failing[0] == 0 and first:
                raise OSError("the disk is gone")
            yield X[first : first + 50], Y[first : first + 50]

    model = GDClassifier(solver="lbfgs", tol=1e-10, memory=1e6)
    model.set_params(checkpoint=path, checkpoint_every=0.0)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(from_chunks(chunks))
    assert path.exists()
    again = model.fit(from_chunks(chunks))
    assert_same(again, clone(model).set_params(checkpoint=None).fit(from_chunks(chunks)))


def test_targets_on_threads(monkeypatch, written, tmp_path):
    monkeypatch.setattr(runs, "MIN_FOR_THREADS", 0)
    model = GDClassifier("squared_hinge", max_iter=6, n_jobs=2, tol=1e-12, solver="lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_restored(model, written, tmp_path / "fit", X, Y3, each=5)


SLOW = {"solver": "saga", "random_state": 0, "tol": None, "max_iter": 20, "checkpoint_every": 0.0}


class Pressed:
    """Interrupts the n-th look at the history."""

    def __init__(self, at):
        self.at = at

    def __call__(self, history):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_key_leaves_the_checkpoint(warm_start, tmp_path):
    path = tmp_path / "fit"
    model = GDClassifier(**SLOW, warm_start=warm_start, checkpoint=path, stop=Pressed(8))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.stop_reason_ is StopReason.INTERRUPTED
    assert path.exists()
    model.fit(X, Y)
    assert_same(model, GDClassifier(**SLOW, stop=Pressed(0)).fit(X, Y))
    assert (np.diff(model.history_["seconds"]) >= 0.0).all()
    assert not path.exists()


def interrupted(path, at=6, **more):
    """A checkpoint of a fit to X and Y at `path`, and the parameters of the fit."""
    parameters = {**SLOW, "checkpoint": path, **more}
    with pytest.raises(KeyboardInterrupt):
        GDClassifier(**parameters, stop=Pressed(at)).fit(X, Y)
    return {**parameters, "stop": Pressed(0)}


def test_a_warning_that_is_an_error_leaves_the_checkpoint(tmp_path):
    """There is no model then: the estimator is as it was."""
    path = tmp_path / "fit"
    model = GDClassifier(solver="lbfgs", tol=1e-12, max_iter=3, checkpoint=path)
    model.set_params(checkpoint_every=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(X, Y)
    assert not hasattr(model, "coef_")
    assert path.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert_same(model.fit(X, Y), clone(model).set_params(checkpoint=None).fit(X, Y))
    assert not path.exists()


def test_a_fit_that_diverges_leaves_none(tmp_path):
    path = tmp_path / "fit"
    model = GDRegressor(solver="gd", batch_size="full", learning_rate="constant", eta0=9.0)
    model.set_params(checkpoint=path, checkpoint_every=0.0)
    with pytest.raises(DivergenceError):
        model.fit(X, Z)
    assert not path.exists()


@pytest.mark.parametrize(
    ("more", "X", "y", "fit", "words"),
    [
        ({"alpha": 0.5}, X, Y, {}, "alpha was 0.0001 there and is 0.5 here"),
        ({"loss": losses.LogLoss()}, X, Y, {}, "loss is another one here"),
        ({"max_iter": 21}, X, Y, {}, "max_iter was 20 there and is 21 here"),
        ({}, X[:100], Y[:100], {}, r"X had shape \(120, 5\) there and has \(100, 5\) here"),
        ({}, X.astype(np.float32), Y, {}, "X had dtype float64 there and has float32 here"),
        ({}, sp.csr_array(X), Y, {}, "X was stored as DenseRows there and is CSRRows here"),
        ({}, X[:, ::-1].copy(), Y, {}, "the values of X are others"),
        ({}, X, 1 - Y, {}, "the values of y are others"),
        ({}, X, Y, {"sample_weight": X[:, 0] ** 2}, "sample_weight had shape"),
        ({}, X, Y, {"offset": X[:, 0]}, "offset had shape"),
        ({}, X, Y, {"coef_init": np.ones(5)}, "coef_init is another one here"),
        ({}, X, Y, {"X_val": X, "y_val": Y}, "X_val is another one here"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_one_of_another_fit_is_refused(more, X, y, fit, words, tmp_path):
    path = tmp_path / "fit"
    model = GDClassifier(**{**interrupted(path), **more})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"{words}.*; delete the file or choose another path"):
        model.fit(X, y, **fit)
    assert path.read_bytes() == before
    assert not hasattr(model, "coef_")


def test_what_changes_no_model_may_differ(tmp_path):
    path = tmp_path / "fit"
    given = {**interrupted(path), "n_jobs": 1, "max_time": 1e4, "checkpoint_every": 7.0}
    assert_same(GDClassifier(**given).fit(X, Y), GDClassifier(**SLOW, stop=Pressed(0)).fit(X, Y))


def test_one_of_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    model = GDClassifier(**interrupted(path))
    with monkeypatch.context() as patch:
        patch.setattr("fastgd.__version__", "9.9")
        with pytest.raises(ValueError, match=r"another version: package was .* and is 9.9 here"):
            model.fit(X, Y)
    now = checkpoint.VERSION
    monkeypatch.setattr(checkpoint, "VERSION", now + 1)
    with pytest.raises(ValueError, match=f"version was {now} there and is {now + 1} here"):
        model.fit(X, Y)


def test_files_that_are_damaged_or_foreign_are_refused(tmp_path):
    path = tmp_path / "fit"
    model = GDClassifier(**interrupted(path))
    whole = path.read_bytes()
    foreign = [b"", b"PK", b"x,y\n1,2\n", pickle.dumps(print)]
    for place in (whole.index(b'"seeds"'), whole.rindex(b"\x93NUMPY") + 20):
        flipped = bytearray(whole)
        flipped[place] ^= 64
        foreign.append(bytes(flipped))
    for content in [*foreign, *(whole[:n] for n in range(0, len(whole), 997))]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"fit' is .*; delete the file or choose another"):
            model.fit(X, Y)
        assert path.read_bytes() == content
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint.json", '{"format": "another"}')
    with pytest.raises(ValueError, match="is no checkpoint of fastgd, or is damaged"):
        model.fit(X, Y)


def changed(path, change):
    """Pack a checkpoint anew, as tools for archives do, with `change(number, array)` for arrays."""
    with zipfile.ZipFile(path) as archive:
        held, comment = {name: archive.read(name) for name in archive.namelist()}, archive.comment
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, content in held.items():
            if name.endswith(".npy"):
                one = io.BytesIO(content)
                array = change(int(name.removesuffix(".npy")), np.load(one))
                np.save(one := io.BytesIO(), array)
                content = one.getvalue()
            archive.writestr(name, content)
    return json.loads(held["checkpoint.json"])


def test_one_that_was_packed_anew_is_refused_where_it_says_something_else(tmp_path):
    path = tmp_path / "fit"
    model = GDClassifier(**interrupted(path))
    whole = path.read_bytes()
    changed(path, lambda number, array: array + 1.0 if number == 3 else array)
    with pytest.raises(ValueError, match="contents are not those that were written"):
        model.fit(X, Y)
    path.write_bytes(whole)
    changed(path, lambda number, array: array)
    assert_same(model.fit(X, Y), GDClassifier(**SLOW, stop=Pressed(0)).fit(X, Y))


SHAPED = {
    "adam": {"solver": "adam", "batch_size": 8, "average": 5},
    "saga": {},
    "newton": {"solver": "newton", "loss": "modified_huber"},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SHAPED)
def test_arrays_that_are_not_of_this_fit_are_refused(name, monkeypatch, tmp_path):
    """Compiled loops wrote beyond them: other coefficients, or the end of the process."""
    monkeypatch.setattr(checkpoint, "hash_of", lambda arrays: "another's")
    path, held = tmp_path / "fit", {}
    model = GDClassifier(**interrupted(path, 3, **SHAPED[name]))
    whole = path.read_bytes()
    (run,) = changed(path, lambda number, array: held.setdefault(number, array))["targets"]
    begun = re.findall(r"{'array': (\d+)}", str(run["tree"]))
    places = {run["arrays"][int(place)] for place in begun}
    for place in sorted(places):
        array = held[place]
        # Cuts of rows are made anew; of columns that are 0 there may be any number.
        if array.dtype == np.int64 and array.size != 1:
            continue
        other = np.resize(array, 500 if array.size == 1 else 1)
        path.write_bytes(whole)
        changed(path, lambda number, own, at=place, to=other: to if number == at else own)
        with pytest.raises(
            ValueError, match=r"is damaged: .* of shape \(\d+,\), not as .*; delete"
        ):
            model.fit(X, Y)


def test_it_holds_arrays_and_json(tmp_path):
    path = tmp_path / "fit"
    interrupted(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names[0] == "checkpoint.json"
        assert names[1:] == [f"{k}.npy" for k in range(len(names) - 1)]
        assert all(archive.read(name)[:6] == b"\x93NUMPY" for name in names[1:])
    with np.load(path) as arrays:  # allow_pickle=False
        assert all(not arrays[str(k)].dtype.hasobject for k in range(len(names) - 1))


@pytest.mark.parametrize("given", [3, b"fit", 1.5, ["fit"]])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(ValueError, match="checkpoint must be None or the path of a file"):
        GDClassifier(checkpoint=given).fit(X, Y)


def test_paths_that_cannot_be_written_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "there" / "is" / "none"):
        with pytest.raises(ValueError, match="give the path of a file"):
            GDClassifier(checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match="checkpoint_every must be"):
        GDClassifier(checkpoint=tmp_path / "fit", checkpoint_every=-1).fit(X, Y)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among its files")
def test_a_pipe_or_a_device_is_no_file(tmp_path):
    """A fit read /dev/full until memory was full, and waited for a pipe that nobody wrote to."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(ValueError, match="is a pipe or a device; give the path of a file"):
            GDClassifier(checkpoint=path).fit(X, Y)
    assert os.listdir(tmp_path) == ["pipe"]


def test_files_beside_it_are_those_of_others(tmp_path):
    """A file with .tmp at its end had been emptied and removed."""
    other = tmp_path / "fit.tmp"
    other.write_text("mine")
    GDClassifier(**interrupted(tmp_path / "fit")).fit(X, Y)
    assert os.listdir(tmp_path) == ["fit.tmp"]
    assert other.read_text() == "mine"


def test_the_way_of_a_fit_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="leave out one of the two"):
        GDClassifier(checkpoint=tmp_path / "fit", record="coef").fit(X, Y)


def test_searches_have_none():
    with pytest.raises(TypeError, match="a search is many fits"):
        GDClassifierCV(checkpoint="fit")


class Full:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.file.tell() + len(memoryview(data).cast("B")) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


@pytest.mark.parametrize("room", [0, 10, 5000])
def test_a_full_disk(room, tmp_path, monkeypatch):
    """Where a checkpoint cannot be written the fit goes on, with one warning, and the file is that
    of before.
    """
    path, begun = tmp_path / "fit", []
    parameters = interrupted(path)
    before = path.read_bytes()

    def full(name, mode):
        begun.append(name)
        return Full(open(name, mode), room) if "w" in mode else open(name, mode)

    monkeypatch.setattr(checkpoint, "open", full, raising=False)
    parameters["stop"] = Pressed(5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            GDClassifier(**parameters).fit(X, Y)
    assert path.read_bytes() == before
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert "cannot be written: [Errno 28] No space left on device" in str(warning.message)
    assert len(begun) > 3
    assert os.listdir(tmp_path) == ["fit"]
    monkeypatch.undo()
    parameters["stop"] = Pressed(0)
    assert_same(
        GDClassifier(**parameters).fit(X, Y), GDClassifier(**SLOW, stop=Pressed(0)).fit(X, Y)
    )


@pytest.mark.filterwarnings("ignore:the checkpoint .* cannot be written:RuntimeWarning")
def test_a_disk_that_has_room_again_at_an_interrupt(tmp_path, monkeypatch):
    """What several targets have kept is written then."""
    path, stop, write = tmp_path / "fit", Pressed(6), checkpoint.write

    def full_before(*args):
        if stop.at > 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*args)

    monkeypatch.setattr(checkpoint, "write", full_before)
    model = GDClassifier("squared_hinge", **SLOW, n_jobs=1, checkpoint=path, stop=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y3)
    assert path.exists()
    usual = GDClassifier("squared_hinge", **SLOW, n_jobs=1, stop=Pressed(0)).fit(X, Y3)
    assert_same(model.set_params(stop=Pressed(0)).fit(X, Y3), usual)


PROGRAM = """
import os, signal, sys, time
import numpy as np
from fastgd import GDClassifier

rng = np.random.default_rng(0)
X = rng.standard_normal((200, 5))
y = X[:, 0] + rng.logistic(size=200) > 0.0
path, found = sys.argv[1:3]
every, n_iter, pause, kills, within = [float(one) for one in sys.argv[3:]]

def pauses(history):
    time.sleep(pause)

def fit(**given):
    model = GDClassifier(solver="adam", batch_size=50, tol=None, max_iter=int(n_iter), n_jobs=1,
                         early_stopping=True, n_iter_no_change=10**6, stop=pauses, **given)
    model.fit(X, y)
    seen = {key: column for key, column in model.history_.items() if key != "seconds"}
    return dict(coef=model.coef_, intercept=model.intercept_, n_iter=model.n_iter_, **seen)

def keep():
    np.savez(found, **fit(random_state=3, checkpoint=path, checkpoint_every=every))
"""
# Each fit is a process that is forked from one, so that there is one start of Python.
FORKS = """
def mark():
    try:
        known = os.stat(path)
    except FileNotFoundError:
        return None
    return known.st_mtime_ns, known.st_ino

pause, slow = 0.0, pause
whole = fit(random_state=3)
pause = slow
for kill in range(int(kills) + 1):
    before, child = mark(), os.fork()
    if child == 0:
        keep()
        os._exit(0)
    if kill < kills:
        while mark() == before:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "ended before it was killed"
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, within))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "ended before it was killed"
assert os.waitpid(child, 0)[1] == 0
with np.load(found) as last:
    assert sorted(last) == sorted(whole)
    for name in last:
        np.testing.assert_array_equal(last[name], whole[name], err_msg=name)
assert not os.path.exists(path)
"""


def check_kills(tmp_path, *numbers):
    """`numbers` are seconds between writes, iterations, pause of each, kills, and seconds until
    one comes after a write.
    """
    paths = str(tmp_path / "fit"), str(tmp_path / "found.npz")
    command = [sys.executable, "-c", PROGRAM + FORKS, *paths, *map(str, numbers)]
    subprocess.run(command, check=True, timeout=900)


unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are for Unix")


@unix
def test_two_kills(tmp_path):
    check_kills(tmp_path, 0.0, 60, 0.01, 2, 0.1)


@unix
@pytest.mark.long
@pytest.mark.parametrize(("kills", "every", "within"), [(10, 1.0, 2.0), (100, 0.0, 0.25)])
def test_many_kills_of_half_a_minute(kills, every, within, tmp_path):
    check_kills(tmp_path, every, 1500, 0.02, kills, within)
