"""The command line in its tiny form: it runs, and writes what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import adapters, cases, data, kernels, picture, problems, report, standings, suite
from bench.__main__ import parse

ROOT = Path(__file__).resolve().parents[2]


def test_cases_skip_by_name_without_their_data(monkeypatch, tmp_path, capsys):
    (tmp_path / "load.py").write_text("def load(name): raise KeyError(f'no data set {name!r}')")
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    cases._loaded.cache_clear()
    options = parse(["suite", "--cases", "a9a", "--out", str(tmp_path)])
    assert suite.run(options) is None
    assert "a9a log 1/n: skipped, no data set 'a9a'" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="known: protein"):
        suite.chosen_cases(["nothing"])


def test_readme_says_what_there_is():
    """It had promised every method of SciPy's, every strategy, and a suite of half as long; and
    `--markdown` printed columns that its table has not.
    """
    text = (ROOT / "bench/README.md").read_text(encoding="utf-8")
    first = " ".join(text.partition("scikit-learn;")[0].split())
    methods = re.search(r"that take gradients: (.*?), twice", first)[1]
    assert re.split(", | and ", methods) == list(adapters.METHODS)
    strategies = re.search(r"strategies by name: (.*?); `--solvers`", first)[1]
    assert re.findall("`(.*?)`", strategies) == list(adapters.STRATEGIES)
    seconds = 55
    minutes = round(len(cases.CASES) * seconds / 60)
    told = f"{len(cases.CASES)} cases, {seconds} seconds each on average, about {minutes} minutes"
    assert told in text
    options = parse(["suite"])
    row = {"case": "a", "plan": "newton", "compile": 1.0, "passes": [7.25, 9.0], "ended": ""}
    row |= {name: {"0.0001": 2.0, "1e-06": 3.0} for name in ("seconds", "ratio", "sklearn")}
    row |= {"rival": {"0.0001": ("glum", 1.0), "1e-06": ("glum", 2.0)}}
    content = {"threads": 1, "seconds": 1.0, "date": "2026-11-30", "machine": {"cores": 2}}
    header, _, line = standings.markdown([row], content).splitlines()[:3]
    assert options.accuracy == [1e-4, 1e-6]
    assert header in text.splitlines()
    assert line == "| a | 2 / 3 | glum 1 / 2 | 2.00 / 3.00 | 2.00 / 3.00 | 7.25, 9 |"


@pytest.mark.parametrize(
    ("seconds", "ratio", "told"),
    [
        (2.0, 0.9, "BELOW 1 at 1e-06"),
        (2.0, None, "nobody else at 1e-06"),
        (None, None, "NOT REACH"),
    ],
)
def test_a_case_where_nobody_else_gets_there_is_not_told_to_be_slower(seconds, ratio, told):
    both = {"0.0001": 2.0, "1e-06": 3.0}
    row = {"case": "a", "plan": "newton", "compile": 1.0, "passes": [7.25, 9.0], "ended": ""}
    row |= {"broken": "", "sklearn": both, "rival": {"0.0001": ("glum", 1.0), "1e-06": None}}
    row |= {"seconds": both | {"1e-06": seconds}, "ratio": both | {"1e-06": ratio}}
    line = standings.line(row)
    assert told in line
    assert sum(word in line for word in ("BELOW", "NOT REACHED", "nobody")) == 1


@pytest.mark.jit
def test_suite_and_its_reuse(tmp_path, capsys):
    shared = [
        "suite",
        "--smoke",
        "--threads",
        "1",
        "--seconds",
        "1",
        "--rounds",
        "2",
        "--out",
        str(tmp_path),
    ]
    shared += [
        "--solvers",
        "scipy/L-BFGS-B/numpy,sklearn/LogisticRegression/newton-cholesky,sklearn/LinearSVC",
    ]
    path = suite.run(parse([*shared, "--markdown"]))
    (case,) = json.loads(path.read_text())["cases"].values()
    row = case["row"]
    assert row["case"].startswith("breast_cancer")
    assert not row["broken"]
    assert (tmp_path / "suite.md").read_text() in capsys.readouterr().out
    (tmp_path / "suite.json").rename(tmp_path / "earlier.json")
    suite.run(parse([*shared, "--reuse", str(tmp_path / "earlier.json")]))
    earlier, again = (
        json.loads((tmp_path / f"{name}.json").read_text())["cases"]
        for name in ("earlier", "suite")
    )
    theirs, ours = (next(iter(found.values()))["records"] for found in (earlier, again))
    name = "scipy/L-BFGS-B/numpy"
    assert [run["objective"] for run in ours[name]["runs"]] == [
        run["objective"] for run in theirs[name]["runs"]
    ]


def test_kernels_have_generated_data_where_there_are_no_others(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(data, "USED", {})
    found = kernels.run(["a9a"], rounds=1, rows=60)
    assert [len(found[kind]) for kind in ("epochs", "passes")] == [2, 1]
    assert "a9a: generated data of its shape" in capsys.readouterr().out


def test_picture_without_answers(tmp_path):
    problem = problems.make_problem("sklearn:breast_cancer", "log_loss", rows=40)
    assert picture.draw(tmp_path / "none.png", problem, [], 1).exists()


@pytest.mark.jit
def test_smoke(tmp_path):
    command = [sys.executable, "-m", "bench", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fastgd/default" in done.stdout
    assert "one gradient with its value" in done.stdout
    content = json.loads(next(tmp_path.glob("sklearn*.json")).read_text())
    assert content["machine"]["numpy"] == np.__version__
    runs = [
        run
        for case in content["cases"].values()
        for record in case["records"].values()
        for run in record["runs"]
    ]
    assert {run["passes"] is None for run in runs} == {False, True}
    assert {path.stem for path in tmp_path.glob("*.json")} >= {
        "calibrate",
        "cold",
        "kernels",
        "memory",
        "scaling",
        "search",
        "suite",
    }
    assert json.loads((tmp_path / "suite.json").read_text())["cases"]
    assert list(tmp_path.glob("*.png"))


def test_a_path_on_another_drive_is_shown_as_it_is(monkeypatch):

    def refuse(path):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    assert report.shown_path(Path("x").absolute()) == "x"
    monkeypatch.setattr("os.path.relpath", refuse)
    assert report.shown_path(Path("x")) == "x"
