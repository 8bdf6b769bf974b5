"""Fits to files and on clusters: what is timed, and beside what."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import fastgd
from bench import blocks, dask


class _Clock:
    """Seconds that only `passed` takes on."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def passed(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("way", ["memory", "svm"])
def test_the_second_of_two_fits_is_timed(monkeypatch, tmp_path, capsys, way):
    """The first compiles: a fit to 1,000 rows left kernels of the plan for all rows to the one that
    was timed.
    """
    clock, fitted = _Clock(monkeypatch), []

    class Estimator:
        coef_, intercept_, objective_, suboptimality_ = np.zeros((1, 2)), np.zeros(1), 0.5, 0.0
        bound_kind_, plan_, history_ = "proof", "newton", {"passes": [3.0]}

        def __init__(self, **settings):
            assert settings == {"memory": blocks.MEMORY, "alpha": 0.1}

        def fit(self, *rows):
            clock.passed(1.0 if fitted else 60.0)
            fitted.append(rows)

    block = SimpleNamespace(X=np.zeros((3, 2)), y=np.zeros(3))
    monkeypatch.setattr(fastgd, "GDRegressor", Estimator)
    monkeypatch.setattr(
        blocks, "source_of", lambda *given: SimpleNamespace(blocks=lambda size: iter([block]))
    )
    case = {"estimator": "GDRegressor", "settings": {"alpha": 0.1}}
    blocks.alone(json.dumps(case), str(tmp_path), way)
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] == 1.0
    assert [len(rows) for rows in fitted] == [1 + (way == "memory")] * 2
    assert (tmp_path / f"model-{way}.npz").exists()
    assert blocks._lines({"one": {**found, "peak": None}})[0][4] == "-"


@pytest.mark.parametrize("way", ["memory", "svm"])
@pytest.mark.parametrize("system", ["linux", "other"])
def test_a_peak_is_that_of_the_first_fit_to_all_rows(monkeypatch, tmp_path, capsys, way, system):
    """It was that of the second, in memory that the first had left. Without Linux's /proc there is
    no peak, and there was no figure at all.
    """
    fitted = []

    class Estimator:
        def __init__(self, **settings):
            pass

        def fit(self, X, *y):
            fitted.append(X.few)

    def source(case, folder, way, few=False):
        return SimpleNamespace(few=few)

    monkeypatch.setattr(fastgd, "GDRegressor", Estimator)
    monkeypatch.setattr(blocks, "source_of", source)
    monkeypatch.setattr(blocks, "in_memory", lambda given: (given, None))
    monkeypatch.setattr(blocks, "megabytes", lambda key: 130.0)
    held = 100.0 if system == "linux" else None
    monkeypatch.setattr(blocks, "start_of_peak", lambda: held if fitted == [True] else np.nan)
    blocks.peak_alone(json.dumps({"estimator": "GDRegressor", "settings": {}}), "", way)
    known = system == "linux"
    assert json.loads(capsys.readouterr().out) == {"peak": 30.0 if known else None}
    assert fitted == [True, False] if known else [True]


def test_a_case_that_there_is_not_is_refused(monkeypatch, tmp_path):
    """An empty table came of it."""
    monkeypatch.setattr(blocks, "folder_loader", lambda: None)
    with pytest.raises(SystemExit, match="blocks has generated without a data folder"):
        blocks.run("flights")


def test_fits_of_dask_ml_are_timed_as_ours_are(monkeypatch):
    """Of them the first and only one counted, with what it compiles and imports."""
    clock, calls = _Clock(monkeypatch), []

    def fit(seconds):
        calls.append(seconds[len(calls)])
        clock.passed(calls[-1])

    assert dask._least_seconds(lambda: fit([9.0, 1.0, 0.5, 2.0, 3.0]), rounds=3) == 0.5
    assert len(calls) == 4
    calls.clear()
    assert dask._least_seconds(lambda: fit([25.0, 24.0, 1.0]), rounds=3) == 24.0
