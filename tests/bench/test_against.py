"""A saved run against a new one: what is marked, and what the command exits with."""

import json

import pytest

from bench import (
    __main__,
    against,
    blocks,
    calibrate,
    cold,
    dask,
    kernels,
    memory,
    race,
    readers,
    report,
    scaling,
    search,
    suite,
)
from bench.__main__ import main, parse

OURS = "case: fastgd/default to 1e-06, s"
ONE = {"seconds": 1.0, "unit": "ns a row", "measured": 3.0, "peaks": [7.0], "ours": 1.0}
# What `run` of each command returns, as far as `samples` reads it.
FIGURES = {
    blocks: {"fits": {"flights, svm": ONE}},
    calibrate: {"costs": {"ROW": ONE}},
    cold: {"lines": {"dense: first fit": ([[1.0, 2.0]], None, None)}},
    dask: {"fits": {"1": {"seconds": [1.0], "beyond": [0.1]}}},
    kernels: {"epochs": [{"data": "a9a", "ours": 1.0}], "passes": []},
    memory: {"cases": {"dense": ONE}},
    readers: {"cases": {"svmlight": {"seconds": {"fastgd": [1.0]}}}},
    scaling: {"experiments": {"rows": [{"size": 10, "seconds": {"1": [1.0]}}]}},
    search: {"path": {"1": {"paths": [1.0]}}, "grid": {"fastgd": {"seconds": 1.0}}},
}


def _saved(folder, name, samples, **more):
    return str(report.save(folder, name, {}, samples, **more))


@pytest.mark.parametrize("module", FIGURES, ids=lambda module: module.__name__)
def test_samples_end_in_their_unit_and_say_that_they_are_fastgds(module, tmp_path):
    """Seconds that no name said to be fastgd's were taken for the machine's: what had become twice
    as slow was not marked.
    """
    samples = module.samples(FIGURES[module])
    twice = {name: [9.0 * value for value in values] for name, values in samples.items()}
    assert samples
    paths = [_saved(tmp_path, "old", samples), _saved(tmp_path, "new", twice)]
    assert main(["compare", *paths]) == 1


def test_names_that_do_not_end_in_a_unit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"end in one of s, ns, passes, MB, got \['ROW'\]"):
        report.save(tmp_path, "new", {}, {"ROW": [1.0]})


def test_times_of_few_rounds_have_the_bar_of_noise():
    assert not against.slower([10.0], [14.0], "ns")
    assert against.slower([10.0], [16.0], "ns")


def test_what_is_no_longer_reached_is_lost(tmp_path, capsys):
    old = _saved(tmp_path, "old", {OURS: [1.0], "case: other to 1e-06, s": [2.0]})
    new = _saved(tmp_path, "new", {}, tried=["case: fastgd/default to 1e-06,"])
    assert main(["compare", old, new]) == 1
    text = capsys.readouterr().out
    assert "LOST" in text
    assert "Not compared: 1 figures of the old run" in text  # the other solver's
    part = _saved(tmp_path, "part", {}, tried=["another: fastgd/default to 1e-06,"])
    assert main(["compare", old, part]) == 0
    assert main(["compare", old, _saved(tmp_path, "all", {})]) == 1


def test_a_suite_says_what_it_tried(tmp_path, monkeypatch):
    """A case that failed left no trace in the file."""

    class Case:
        def __init__(self, name):
            self.name = name

        def problem(self):
            if self.name == "second":
                raise SystemExit("not today")

    found = {"row": {"case": "first"}, "samples": {}}
    monkeypatch.setattr(suite, "chosen_cases", lambda cases: [Case("first"), Case("second")])
    monkeypatch.setattr(suite, "one_case", lambda *given: dict(found))
    monkeypatch.setattr(suite.optimum, "solve", lambda *given: None)
    for name in ("line", "text", "markdown"):
        monkeypatch.setattr(suite.standings, name, lambda *given: "")
    options = parse(["suite", "--accuracy", "1e-4", "--seconds", "1", "--out", str(tmp_path)])
    options.threads = 1
    tried = json.loads(suite.run(options).read_text())["tried"]
    assert tried == race.tried("first", [suite.OURS], [1e-4]) + race.tried(
        "second", [suite.OURS], [1e-4]
    )


def test_a_run_is_compared_with_what_its_file_was_before(tmp_path, monkeypatch):
    """`--against` the file that the run writes compared the run with itself; and what the
    comparison found was dropped.
    """
    old = _saved(tmp_path, "cold", {OURS: [1.0, 1.0, 1.0]})

    def measure(options):
        return report.save(tmp_path, "cold", {}, {OURS: [2.0, 2.0, 2.0]})

    monkeypatch.setattr(__main__, "measure", measure)
    assert main(["cold", "--against", old]) == 1
    assert main(["cold", "--against", old]) == 0  # now the file holds the same
    monkeypatch.setattr(__main__, "measure", lambda options: None)
    assert main(["cold", "--against", old]) == 1
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(SystemExit, match="has no samples"):
        main(["cold", "--against", str(tmp_path / "other.json")])
