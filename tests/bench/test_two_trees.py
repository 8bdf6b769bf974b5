"""Two runs, and two trees of the package, beside each other: `against`, `same` and `paired`."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import against, paired, report, same, same_problems
from bench.__main__ import main, parse

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_slower_by_more_than_noise():
    assert against.slower([1.0, 1.1, 1.2], [1.5, 1.6, 1.7], "s")
    assert not against.slower([1.0, 1.1, 1.9], [1.0, 1.5, 1.7], "s")  # the middle halves overlap
    assert not against.slower([1.0, 1.1, 1.2], [1.15, 1.16, 1.17], "s")  # by less than a tenth
    assert not against.slower([1.0], [1.4], "s")
    assert against.slower([10.0], [11.0], "passes")


def test_two_runs_are_compared(tmp_path, capsys):
    old = {
        "case: fastgd/default to 1e-06, s": [1.0, 1.0, 1.1],
        "case: other to 1e-06, s": [2.0],
        "gone, s": [1.0],
    }
    new = {"case: fastgd/default to 1e-06, s": [2.0, 2.0, 2.1], "case: other to 1e-06, s": [2.0]}
    with pytest.raises(SystemExit):
        parse(["compare", "old.json"])
    with pytest.raises(SystemExit):
        parse(["compare", "old.json", "new.json"])
    paths = [
        report.save(tmp_path, name, {}, samples) for name, samples in (("old", old), ("new", new))
    ]
    assert main(["compare", *map(str, paths)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-2:] == ["2.00", "SLOWER"]
    assert "Not compared: 1 figures of the old run" in lines[-2]
    assert lines[-1] == "1 of 2 got slower or larger by more than noise, or are lost"
    assert main(["compare", str(paths[0]), str(paths[0])]) == 0


@pytest.mark.plain
def test_a_tree_finds_the_same_models_as_itself(capsys):
    fits = [same_problems.one_random(0, index) for index in (0, 4, 20)]
    refused = replace(fits[0], name="refused", parameters={"loss": "none"})
    assert same.run(ROOT, fits=[*fits, refused])
    text = capsys.readouterr().out
    assert "4 fits, 3 the same bit for bit, 1 refused by both" in text
    assert "every bar holds" in text


@pytest.mark.plain
def test_a_tree_is_paired_with_itself(capsys):
    fit = same_problems.one_random(0, 0)
    refused = replace(fit, name="refused", parameters={"loss": "none"})
    paired.run(ROOT, rounds=3, fits=[fit, refused])
    text = capsys.readouterr().out
    assert "refused: ValueError" in text
    assert "2 fits, new over old" in text


def test_what_is_slower_than_a_pass_allows():
    def answers(*seconds, passes):
        return [{"processor": one, "passes": passes} for one in seconds]

    old = answers(1.0, 1.01, 0.99, passes=5.0)
    assert paired.judged("k", old, answers(1.2, 1.25, 1.3, passes=6.0))[0][-1] == ""
    row, ratio = paired.judged("k", old, answers(1.5, 1.51, 1.52, passes=5.0))
    assert row[-1] == "SLOWER"
    assert ratio == pytest.approx(1.51)
    assert paired.judged("k", old, answers(0.5, 0.51, 0.52, passes=5.0))[0][-1] == "faster"
    # A pass is granted where one more was taken
    assert paired.judged("k", old, answers(1.2, 1.25, 1.3, passes=5.0))[0][-1] == "SLOWER"
    assert paired.judged("k", old, [{"refused": "too large"}] * 3)[1] is None


def test_a_tree_that_refuses_or_compares_nothing_does_not_pass(monkeypatch, capsys):
    """A new tree that raised in every fit, and a run without fits, had passed."""
    good, bad = {"processor": 1.0, "passes": 5.0}, {"refused": "ValueError: no"}
    answers = {"both": (good, good), "new": (good, bad), "old": (bad, good), "none": (bad, bad)}

    class Named:
        def __init__(self, name):
            self.name = name

        def request(self):
            return self.name

    def found(both, request, rounds):
        return [[one] * 3 for one in answers[request]]

    monkeypatch.setattr(paired.same, "sides", lambda *trees: contextlib.nullcontext())
    monkeypatch.setattr(paired, "in_turn", found)

    def passes(*names):
        return paired.run(ROOT, fits=[Named(name) for name in names])

    assert passes("both", "old", "none")
    assert not passes("both", "new")
    assert "REFUSED by the new one: ValueError: no" in capsys.readouterr().out
    assert not passes("none")
    assert not passes()
    assert "NOTHING COMPARED" in capsys.readouterr().out


def test_a_folder_without_the_package_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        main(["same"])
    with pytest.raises(SystemExit):
        main(["paired"])
    with pytest.raises(SystemExit):
        main(["same", str(tmp_path / "nothing")])
    with pytest.raises(SystemExit, match="no package fastgd"):
        main(["same", str(tmp_path)])


def _found(**others):
    """An answer of one side of `same`."""
    numbers = {
        "coef_": np.array([[1.0, 2.0]]),
        "intercept_": np.zeros(1),
        "objective_": 0.5,
        "suboptimality_": float("nan"),
        "bound_kind_": "proof",
        "n_iter_": 10,
        "stop_reason_": "CONVERGED",
        "first": 1.0,
        "passes": 100.0,
        "between": 4.0,
        "seconds": 0.1,
    }
    return numbers | others


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, []),
        ({"n_iter_": 11, "passes": 101.9}, []),
        ({"n_iter_": 12}, ["iterations"]),
        ({"passes": 104.5}, ["passes", "sum of passes"]),
        ({"objective_": 0.5 * (1 + 2e-4)}, ["objective"]),
        ({"objective_": 0.5 * (1 + 5e-5)}, []),
        ({"stop_reason_": "PLATEAU"}, ["stop reason"]),
        ({"objective_": float("nan")}, ["objective"]),
        ({"bound_kind_": "estimate"}, ["bound"]),
        ({"bound_kind_": "none"}, ["bound"]),
    ],
)
def test_bars_of_the_same_models(other, words):
    tally = same.Tally()
    tally.add("case", 1e-4, _found(), _found(coef_=np.array([[1.0, 2.5]]), **other))
    assert tally.furthest == 0.2
    assert tally.kinds == {"other": 1}
    assert tally.holds == (not words)
    broken = [line for line in same.table(tally).splitlines() if line.startswith("BROKEN")]
    assert [line.split(" ", 1)[1].split(":")[0] for line in broken] == words


def test_what_is_the_same_bit_for_bit():
    one, negative = _found(), _found(intercept_=np.array([-0.0]))
    assert same.compare(one, _found(seconds=9.0)) == "same bits"
    assert same.compare(one, negative) == same.compare(one, _found(passes=101.0)) == "other"
    known = _found(suboptimality_=1e-5)
    assert same.compare(one, known) == same.compare(known, one) == "other"
    assert same.broken(1e-4, one, known) == []
    assert same.broken(1e-4, known, one) == ["bound"]
    assert same.broken(1e-4, _found(bound_kind_="estimate"), one) == []
    assert same.distance(one, _found(coef_=np.array([[1.0, np.nan]]))) == np.inf
    tally = same.Tally()
    tally.add("case", 1e-4, one, {"refused": "ValueError: no"})
    tally.add("case", 1e-4, {"refused": "ValueError: no"}, {"refused": "ValueError: never"})
    assert tally.kinds == {"refused by one": 1, "refused by both": 1}
    assert "BROKEN refused by one: 1" in same.table(tally)
    assert not tally.holds
