"""A saved run against a new one: ratios, and a mark where something got slower by more than noise,
or is gone.

Every JSON of the bench holds `samples`: a name that ends in its unit, and the values measured; less
is better. Times count as slower when their median grew by a tenth beyond what the rivals' seconds
did, and the middle halves of the values do not overlap (with fewer than three values on a side:
when it grew by half); what has no noise (passes, MB), when it grew by a twentieth. What fastgd had
reached and no longer reaches, though the new run tried it, is lost.
"""

import json

import numpy as np

from . import report

MUCH, MUCH_OF_FEW, MUCH_WITHOUT_NOISE = 1.1, 1.5, 1.05
OWN = "fastgd", "/Objective"  # in the names of what runs fastgd's code


def slower(old, new, unit):
    """Whether the new values are greater than the old ones by more than noise."""
    ratio = np.median(new) / np.median(old)
    if unit not in report.TIMES:
        return bool(ratio > MUCH_WITHOUT_NOISE)
    if min(len(old), len(new)) < 3:
        return bool(ratio > MUCH_OF_FEW)
    return bool(ratio > MUCH and np.quantile(new, 0.25) > np.quantile(old, 0.75))


def read(path):
    """What a run of the bench has saved in `path`."""
    content = json.loads(path.read_text())
    if "samples" not in content:
        raise SystemExit(f"{path} has no samples: it must be a JSON that this bench has written")
    return content


def compare(before, after):
    """Print both runs side by side; returns the names that got slower, larger or are lost."""
    _refuse_other_data(before, after)
    old, new = before["samples"], after["samples"]
    pairs = {
        name: (np.array(values), np.array(new[name]))
        for name, values in old.items()
        if values and new.get(name)
    }
    machine = speed_of_machine(pairs)
    gone = lost(before, after)
    rows = [[name, report.number(float(np.median(old[name]))), "-", "-", "LOST"] for name in gone]
    measured = [_row(name, *values, machine or 1.0) for name, values in pairs.items()]
    rows += sorted(measured, key=lambda row: float(row[3]), reverse=True)
    print(report.columns(rows, ["what", "old", "new", "new / old", ""]))
    print(f"\nold: {report.about(before)}\nnew: {report.about(after)}")
    _tell_rest(before, after, machine, gone)
    marked = [*gone, *(row[0] for row in measured if row[-1] in ("SLOWER", "MORE"))]
    print(f"{len(marked)} of {len(rows)} got slower or larger by more than noise, or are lost")
    return marked


def _refuse_other_data(before, after):
    """Seconds of real data say nothing about those of data that were made up in their place."""
    kinds = before.get("data", {}), after.get("data", {})
    apart = [name for name in kinds[0] if kinds[1].get(name, kinds[0][name]) != kinds[0][name]]
    if apart:
        told = ", ".join(f"{name} {kinds[0][name]} and {kinds[1][name]}" for name in apart)
        raise SystemExit(
            f"two runs on the same data can be compared; in the old one and the new one there were "
            f"{told}: run one of them again, with FASTGD_DATA set alike"
        )


def speed_of_machine(pairs):
    """The median ratio of the seconds that are not fastgd's, or None where there are none:
    everybody's grow on a machine that is slower.
    """
    ratios = [
        np.median(new) / np.median(old)
        for name, (old, new) in pairs.items()
        if name.endswith(", s") and not is_own(name)
    ]
    return float(np.median(ratios)) if ratios else None


def is_own(name):
    """Whether a figure is of fastgd's code."""
    return any(word in name for word in OWN)


def lost(before, after):
    """Names of fastgd's that the old run has and the new one has not, though it tried them: an
    accuracy that is no longer reached, a case that failed.
    """
    tried = after.get("tried")
    return [
        name
        for name, values in before["samples"].items()
        if values
        and is_own(name)
        and not after["samples"].get(name)
        and (tried is None or name.startswith(tuple(tried)))
    ]


def _row(name, old, new, machine):
    unit = name.split()[-1]
    fair = new / machine if unit in report.TIMES else new
    more, less = slower(old, fair, unit), slower(fair, old, unit)
    marks = ("SLOWER", "faster") if unit in report.TIMES else ("MORE", "less")
    mark = marks[0] if more else marks[1] if less else ""
    numbers = [report.number(float(np.median(values))) for values in (old, new)]
    return [name, *numbers, f"{np.median(new) / np.median(old):.2f}", mark]


def _tell_rest(before, after, machine, gone):
    """What the marks are beyond, and what could not be compared."""
    if machine is not None:
        print(
            f"The machine: {machine:.2f}, the median ratio of all seconds that are not fastgd's; "
            "marks are beyond it."
        )
    only = [
        sum(name not in other["samples"] for name in one["samples"])
        for one, other in ((before, after), (after, before))
    ]
    only[0] -= sum(name not in after["samples"] for name in gone)
    if any(only):
        print(
            f"Not compared: {only[0]} figures of the old run and {only[1]} of the new one, which "
            "the other lacks."
        )
