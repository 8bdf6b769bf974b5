"""How seconds grow with the rows, and what fits hold beside X."""

from pathlib import Path

import pytest

from bench import data, memory, scaling


def test_scaling_finds_the_slope():
    assert scaling.slope([10, 100, 1000], [1.0, 10.0, 100.0]) == pytest.approx(1.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
def test_memory(capsys, monkeypatch):
    found = {
        "peaks": [290.0],
        "X": 200.0,
        "shape": (10_000, 50),
        "plan": "rows are copied once",
        "solver": "newton",
    }
    monkeypatch.setattr(memory, "_child", lambda case, threads: dict(found))
    monkeypatch.setattr(data, "USED", {})
    figures = memory.run(["own", "own F"], 1)
    assert list(data.USED) == ["own"]  # which its processes read
    first, second = figures["cases"].values()
    assert (first["met"], second["met"], second["named"]) == (False, False, True)
    assert memory.samples(figures) == {
        "memory own fastgd, MB": [290.0],
        "memory own F fastgd, MB": [290.0],
    }
    assert "own F: a copy of X, named in plan_" in capsys.readouterr().out
