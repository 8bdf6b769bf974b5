"""Whether two checkouts find the same models: `python -m bench same OLD_TREE`.

Every problem of `same_problems` is fitted with the package of either tree, each in a process of its
own, on one thread. What moves code must leave every bit as it is. What merges numerics may change
rounding, and then these bars hold: the passes of all fits together within 2 %; no fit by more than
one iteration, nor by more passes than an iteration and its check take; no objective by more than
tol in the unit of `suboptimality_`; no other reason to stop; no bound of a kind that is less sure,
and none that is gone; nothing refused by one alone.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import report, same_problems

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROBLEMS = 200
MAX_PASSES = 0.02  # of the old sum
KINDS = "proof", "estimate", "stationarity", "none"  # of bounds, from the surest
SLACK = 1e-9  # of counts of passes, which are sums of shares of the rows


class Side:
    """A process that fits with the package of one tree."""

    def __init__(self, tree):
        environment = os.environ | {"PYTHONPATH": str(tree)}
        for name in ("OMP", "OPENBLAS", "MKL"):
            environment[f"{name}_NUM_THREADS"] = "1"
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "same_fits.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        found = self.take()
        if found != str(tree):
            self.close()
            raise SystemExit(f"the package came from {found}, not from {tree}")

    def give(self, request):
        """Begin a fit."""
        with contextlib.suppress(BrokenPipeError):  # `take` says that the process has ended
            pickle.dump(request, self.process.stdin, protocol=5)
            self.process.stdin.flush()

    def take(self):
        """Wait for what was begun."""
        try:
            return pickle.load(self.process.stdout)
        except EOFError:
            raise SystemExit(f"a process of `same` ended with code {self.process.wait()}") from None

    def close(self):
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def sides(*trees):
    """A `Side` of each of these checkouts, ended with the block.

    Raises
    ------
    SystemExit
        Where one of them has no package fastgd.
    """
    trees, found = [Path(tree).resolve() for tree in trees], []
    for tree in trees:
        if not (tree / "fastgd" / "__init__.py").is_file():
            raise SystemExit(f"there is no package fastgd in {tree}")
    try:
        for tree in trees:
            found.append(Side(tree))
        yield found
    finally:
        for side in found:
            side.close()


@dataclass
class Tally:
    """What a run has counted so far."""

    kinds: Counter = field(default_factory=Counter)
    passes: np.ndarray = field(default_factory=lambda: np.zeros(2))
    seconds: np.ndarray = field(default_factory=lambda: np.zeros(2))
    lines: list = field(default_factory=list)
    reasons: Counter = field(default_factory=Counter)
    furthest: float = 0.0

    def add(self, name, tol, old, new):
        """Take one pair of answers."""
        if "refused" not in old and "refused" not in new:
            self.passes += old["passes"], new["passes"]
            self.seconds += old["seconds"], new["seconds"]
        kind = compare(old, new)
        self.kinds[kind] += 1
        if kind == "other":
            apart = distance(old, new)
            self.furthest = max(self.furthest, apart)
            why = broken(tol, old, new)
            self.reasons.update(why)
            self.lines.append((name, apart, why, old, new))
        elif kind == "refused by one":
            self.reasons[kind] += 1
            self.lines.append((name, None, [kind], old, new))
        elif kind == "refused by both":
            self.lines.append((name, None, [], old, new))

    @property
    def ratio(self):
        old, new = self.passes
        return new / old if old else 1.0

    @property
    def holds(self):
        """Whether every bar holds."""
        return not self.reasons and abs(self.ratio - 1.0) <= MAX_PASSES


def compare(old, new):
    """Kind of a pair of answers: the same bits, other numbers, refused by both or by one."""
    refused = ("refused" in old) + ("refused" in new)
    if refused:
        return "refused by both" if refused == 2 else "refused by one"
    same = all(
        old[name].dtype == new[name].dtype
        and old[name].shape == new[name].shape
        and old[name].tobytes() == new[name].tobytes()
        for name in ("coef_", "intercept_")
    )
    numbers = ("objective_", "suboptimality_", "passes", "n_iter_", "stop_reason_", "bound_kind_")
    if not same:
        return "other"
    alike = all(old[name] == new[name] or _both_unknown(old[name], new[name]) for name in numbers)
    return "same bits" if alike else "other"


def _both_unknown(old, new):
    """NaN is what nothing is known of, the same in both."""
    return old != old and new != new


def distance(old, new):
    """Largest difference of the coefficients, relative to the largest one."""
    a, b = (np.append(one["coef_"].ravel(), one["intercept_"]) for one in (old, new))
    if a.shape != b.shape:
        return np.inf
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0 if a.tobytes() == b.tobytes() else np.inf
    return float(np.abs(a - b).max() / max(np.abs(a).max(), np.abs(b).max(), 1e-300))


def broken(tol, old, new):
    """Bars that a pair of fits breaks, as words."""
    found = []
    if abs(old["n_iter_"] - new["n_iter_"]) > 1:
        found.append("iterations")
    if abs(old["passes"] - new["passes"]) > (1 + SLACK) * max(old["between"], new["between"]):
        found.append("passes")
    # The unit of `suboptimality_`, up to the bound; fits begin at the null model or below it.
    unit = max(min(old["objective_"], new["objective_"]), 1e-4 * old["first"], 1e-300)
    apart = abs(old["objective_"] - new["objective_"])  # NaN where one of them is
    if not (apart <= tol * unit or _both_unknown(old["objective_"], new["objective_"])):
        found.append("objective")
    if _less_known(old, new):
        found.append("bound")
    if old["stop_reason_"] != new["stop_reason_"]:
        found.append("stop reason")
    return found


def _less_known(old, new):
    """Whether a proof became an estimate, or the bound became NaN."""
    kinds = KINDS.index(old["bound_kind_"]), KINDS.index(new["bound_kind_"])
    unknown = np.isnan([old["suboptimality_"], new["suboptimality_"]])
    return kinds[1] > kinds[0] or bool(unknown[1] > unknown[0])


def run(old_tree, new_tree=ROOT, problems=PROBLEMS, fits=None):
    """Fit all problems with both trees and print the table; returns whether the bars hold.

    `problems` counts the random ones; where there are fewer than usual, the suite's cases are left
    out. `fits` takes the place of all problems.
    """
    if fits is None:
        fits = [*same_problems.of_sklearn(), *same_problems.random(problems)]
        parts = [fits, same_problems.of_suite()] if problems >= PROBLEMS else [fits]
        fits = (fit for part in parts for fit in part)
    tally, begin = Tally(), time.perf_counter()
    with sides(old_tree, new_tree) as both:
        for fit in fits:
            report.progress(f"{sum(tally.kinds.values())} fits: {fit.name}")
            request = fit.request()
            for side in both:
                side.give(request)
            tally.add(fit.name, fit.tol, *(side.take() for side in both))
        report.progress("")
    print(table(tally))
    print(f"{time.perf_counter() - begin:.0f} seconds")
    return tally.holds


def table(tally):
    """What was found, as text: the sums, then every fit that is not the same bit for bit."""
    total, (old, new) = sum(tally.kinds.values()), tally.passes
    lines = [
        f"{total} fits, {tally.kinds['same bits']} the same bit for bit, "
        f"{tally.kinds['refused by both']} refused by both, "
        f"{tally.kinds['other']} others, the furthest {tally.furthest:.1e} apart",
        f"passes {old:.1f} and {new:.1f}, ratio {tally.ratio:.4f}; "
        f"seconds {tally.seconds[0]:.1f} and {tally.seconds[1]:.1f}",
    ]
    if tally.lines:
        header = ["fit", "apart", "n_iter_", "passes", "objective_", "suboptimality_"]
        rows = [_row(*line) for line in sorted(tally.lines, key=lambda line: not line[2])]
        lines += ["", report.columns(rows, [*header, "stop_reason_", "broken"])]
    worst = [f"{reason}: {count}" for reason, count in tally.reasons.items()]
    if abs(tally.ratio - 1.0) > MAX_PASSES:
        worst.append(f"sum of passes: {tally.ratio:.4f}")
    lines += ["", *(f"BROKEN {line}" for line in worst)] if worst else ["every bar holds"]
    return "\n".join(lines)


def _row(name, apart, why, old, new):
    if apart is None:
        text = old.get("refused") or new.get("refused")
        return [name, *6 * ["-"], f"{', '.join(why) or 'refused by both'}: {text[:60]}"]
    return [
        name,
        f"{apart:.0e}",
        _pair(old, new, "n_iter_", "d"),
        _pair(old, new, "passes", ".4g"),
        _pair(old, new, "objective_", ".6g"),
        _pair(old, new, "suboptimality_", ".1e"),
        _pair(old, new, "stop_reason_", "s"),
        ", ".join(why),
    ]


def _pair(old, new, name, kind):
    texts = [format(one[name], kind) for one in (old, new)]
    return texts[0] if texts[0] == texts[1] else " / ".join(texts)
