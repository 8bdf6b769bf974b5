"""A saved run against a new one: ratios, and a mark where something got slower by more than noise.

Every JSON of the bench holds `samples`: a name that ends in its unit, and the values measured; less
is better. Seconds count as slower when their median grew by a tenth beyond what the rivals' seconds
did, and the middle halves of the values do not overlap (with fewer than three values on a side:
when it grew by half); what has no noise (passes, MB), when it grew by a twentieth.
"""

import json

import numpy as np

from . import report

MUCH, MUCH_OF_FEW, MUCH_WITHOUT_NOISE = 1.1, 1.5, 1.05


def slower(old, new, unit):
    """Whether the new values are greater than the old ones by more than noise."""
    ratio = np.median(new) / np.median(old)
    if unit != "s":
        return bool(ratio > MUCH_WITHOUT_NOISE)
    if min(len(old), len(new)) < 3:
        return bool(ratio > MUCH_OF_FEW)
    return bool(ratio > MUCH and np.quantile(new, 0.25) > np.quantile(old, 0.75))


def compare(old, new):
    """Print both runs side by side; returns the names that got slower."""
    before, after = (json.loads(path.read_text()) for path in (old, new))
    for path, content in ((old, before), (new, after)):
        if "samples" not in content:
            raise SystemExit(
                f"{path} has no samples: it must be a JSON that this bench has written"
            )
    rows, marked, of_rivals = [], [], []
    both = [
        name for name, values in before["samples"].items() if values and after["samples"].get(name)
    ]
    pairs = {
        name: (np.array(before["samples"][name]), np.array(after["samples"][name])) for name in both
    }
    ratios = {name: np.median(b) / np.median(a) for name, (a, b) in pairs.items()}
    of_rivals = [
        ratio for name, ratio in ratios.items() if name.endswith(", s") and "fastgd" not in name
    ]
    machine = float(np.median(of_rivals)) if of_rivals else 1.0
    rows, marked = [], []
    for name, (a, b) in pairs.items():
        unit = name.split()[-1]
        # Everybody's seconds grow on a machine that is slower.
        fair = b / machine if unit == "s" else b
        more, less = slower(a, fair, unit), slower(fair, a, unit)
        marked += [name] if more else []
        mark = (
            ("SLOWER" if more else "faster" if less else "")
            if unit == "s"
            else "MORE"
            if more
            else "less" * less
        )
        rows.append(
            [
                name,
                *(report.number(float(np.median(values))) for values in (a, b)),
                f"{ratios[name]:.2f}",
                mark,
            ]
        )
    rows.sort(key=lambda row: float(row[3]), reverse=True)
    print(report.columns(rows, ["what", "old", "new", "new / old", ""]))
    print(f"\nold: {report.about(before)}\nnew: {report.about(after)}")
    if of_rivals:
        print(
            f"The machine: {machine:.2f}, the median ratio of all seconds that are not fastgd's; "
            "marks are beyond it."
        )
    only = [
        sum(name not in other["samples"] for name in one["samples"])
        for one, other in ((before, after), (after, before))
    ]
    if any(only):
        print(
            f"Not compared: {only[0]} figures of the old run and {only[1]} of the new one, which "
            "the other lacks."
        )
    print(f"{len(marked)} of {len(rows)} got slower or larger by more than noise")
    return marked
