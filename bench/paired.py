"""What two checkouts take on the suite's cases, in turn: `python -m bench paired OLD_TREE`.

Every case is fitted with default settings by the package of either tree, each in a process of its
own, on one thread: first once, which may compile, then so many rounds in which one and the other
begin by turns.  Seconds are those of the processor, which a loaded machine disturbs least.
"""

import time

import numpy as np

from . import against, report, same, same_problems, suite

TOLS = (1e-2, 1e-4, 1e-6)
REFUSED = "REFUSED by the new one"
HEADER = ["fit", "old, s", "new, s", "ratio", "old passes", "new passes", ""]


def run(old_tree, new_tree=same.ROOT, *, cases=None, rounds=5, fits=None):
    """Fit all cases, print a line for each and the geometric mean; returns whether none is slower,
    none is refused by the new package alone, and there is one at all.

    `cases` are parts of names, or patterns, as of the suite; `fits` takes the place of all cases.
    """
    begin, rows, ratios = time.perf_counter(), [], []
    if fits is None:
        fits = same_problems.of_suite(tols=TOLS, cases=suite.chosen_cases(cases))
    refused = 0
    with same.sides(old_tree, new_tree) as both:
        for fit in fits:
            report.progress(f"{len(rows)} fits: {fit.name}")
            found = in_turn(both, fit.request(), rounds)
            row, ratio = judged(fit.name, *found)
            rows.append(row)
            ratios += [ratio] if ratio else []
            refused += row[-1].startswith(REFUSED)
        report.progress("")
    print(report.columns(rows, HEADER))
    slower = sum(row[-1] == "SLOWER" for row in rows)
    mean = float(np.exp(np.mean(np.log(ratios)))) if ratios else 1.0
    print(
        f"\n{len(rows)} fits, new over old {mean:.3f} in the geometric mean, {slower} slower, "
        f"{refused} refused by the new one alone"
    )
    print(f"{time.perf_counter() - begin:.0f} seconds")
    if not ratios:
        print("NOTHING COMPARED: no fit that both have made")
    return bool(ratios) and slower == refused == 0


def in_turn(both, request, rounds):
    """The answers of both sides, old and new, `rounds` of each."""
    found = [[], []]
    for turn in range(rounds + 1):
        for k in (0, 1) if turn % 2 else (1, 0):
            both[k].give(request)
            found[k].append(both[k].take())
    return [answers[1:] for answers in found]


def judged(name, old, new):
    """Row of the table, and the ratio of the medians, or None where one side refused.

    A fit of k passes that takes more of them may take 1 / k longer: a proof may cost a pass.
    """
    if any("refused" in one for one in (*old, *new)):
        told = next(one["refused"] for one in (*old, *new) if "refused" in one)
        by = "refused" if any("refused" in one for one in old) else REFUSED
        return [name, *5 * ["-"], f"{by}: {told[:60]}"], None
    seconds = [np.array([one["processor"] for one in answers]) for answers in (old, new)]
    before, after = (float(np.median(one)) for one in seconds)
    passes = [float(np.median([one["passes"] for one in answers])) for answers in (old, new)]
    more = np.clip(passes[1] - passes[0], 0.0, 1.0)
    fair = seconds[1] / (1.0 + more / max(passes[0], 1.0))
    mark = "SLOWER" if against.slower(seconds[0], fair, "s") else ""
    mark = mark or ("faster" if against.slower(seconds[1], seconds[0], "s") else "")
    numbers = [f"{before:.4g}", f"{after:.4g}", f"{after / before:.2f}"]
    return [name, *numbers, *(f"{one:.4g}" for one in passes), mark], after / before
