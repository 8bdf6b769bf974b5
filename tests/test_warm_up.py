"""What is compiled ahead is what first fits need."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_iris

from fastgd import GDClassifier
from fastgd.losses.base import Loss
from fastgd.warm_up import FORMATS, fits, warmup
from support.twins import members

X, y = load_breast_cancer(return_X_y=True)


def rows_with_long_indices():
    rows = sp.csr_array(X)
    rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    return rows


def first_fits():
    pandas = pytest.importorskip("pandas")
    several = load_iris(return_X_y=True)
    model = GDClassifier(max_iter=20)
    yield "C order", lambda: model.fit(X, y).predict_proba(X)
    yield "Fortran order", lambda: model.fit(np.asfortranarray(X), y)
    yield "many rows in Fortran order", lambda: model.fit(np.tile(X.T, 20).T, np.tile(y, 20))
    yield "frame", lambda: model.fit(pandas.DataFrame(X, columns=list(map(str, range(30)))), y)
    yield "int32", lambda: model.fit(sp.csr_array(X), y)
    yield "int64", lambda: model.fit(rows_with_long_indices(), y)
    yield "chunks", lambda: GDClassifier().partial_fit(X, y, classes=[0, 1])
    yield "L1", lambda: GDClassifier(penalty="l1", alpha=1e-3, max_iter=20).fit(X, y)
    yield "growing", lambda: GDClassifier(batch_size="growing", max_iter=20).fit(X, y)
    yield "classes", lambda: model.fit(*several)


@pytest.mark.parametrize("loss", members(Loss), ids=lambda loss: loss.name)
def test_targets_suit_the_loss(loss):
    """Of gamma and inverse Gaussian amounts none may be 0."""
    for _, _, targets in fits(loss.name, "dense", "float64"):
        assert loss.classification or loss.target_domain.contains(targets.astype(float)).all()


@pytest.mark.jit
def test_first_fits_compile_nothing_more():
    from numba.core import event

    compiled = []

    class Listener(event.Listener):
        def on_start(self, told):
            compiled.append(told.data["dispatcher"].py_func.__qualname__)

        def on_end(self, told):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that are cut short
        for form in FORMATS:
            for model, rows, targets in fits("log_loss", form, "float64"):
                model(rows, targets)
        listener = Listener()
        event.register("numba:compile", listener)
        try:
            found = {}
            for name, fit in first_fits():
                compiled.clear()
                fit()
                found[name] = list(compiled)
        finally:
            event.unregister("numba:compile", listener)
    assert {name: kernels for name, kernels in found.items() if kernels} == {}


def test_it_says_what_and_where(capsys, monkeypatch):
    monkeypatch.setattr("fastgd.warm_up.fits", lambda *given: [(lambda X, y: None, X, y)])
    warmup(("hinge", "huber"), dtypes=("float32",))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(":")[0] for line in lines[:4]] == [
        f"{loss}, {form}, float32" for loss in ("hinge", "huber") for form in ("dense", "csr")
    ]
    assert len(lines) == 5
    warmup(("hinge",), verbose=False)
    assert capsys.readouterr().out == ""
