"""What the processes of the cold benchmark fit."""

import json
import sys
import types
import warnings

import pytest

from bench import cold


@pytest.mark.parametrize("who", ["fastgd", "sklearn"])
def test_the_first_fit_of_other_data_has_another_loss(monkeypatch, capsys, who):
    """It had the same, though the line of the table is about what compiles anew."""
    fitted = []

    class Estimator:
        def __init__(self, **settings):
            self.settings = settings

        def fit(self, X, y):
            fitted.append((self.settings.get("loss", "log_loss"), X.shape))

    monkeypatch.setitem(sys.modules, "fastgd", types.SimpleNamespace(GDClassifier=Estimator))
    monkeypatch.setattr("numba.core.event.register", lambda *given: None)
    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Estimator)
    monkeypatch.setattr(
        "sklearn.svm.LinearSVC", lambda: Estimator(loss="squared_hinge"), raising=True
    )
    monkeypatch.setattr(sys, "argv", ["-c", "dense", who])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(cold.CLOCKS + cold.FITS, "fits", "exec"), {})
    assert fitted[:8] == 8 * [("log_loss", (569, 30))]
    assert fitted[8:] == [("squared_hinge", (1797, 64))]
    assert json.loads(capsys.readouterr().out)["kernels"] == []
