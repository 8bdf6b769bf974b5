"""Curves: what each rival reaches with growing budgets, and how long it takes.

The rivals climb a ladder of budgets in turn, one rung each, so that a machine that slows down slows all of them; every
run starts from nothing. What time is left repeats the rungs, again in turn, and the median of a rung's runs counts.
"""

import time
import warnings
from dataclasses import asdict, dataclass, field
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from .problems import PlainObjective

GROWTH = 1.6
MOST_REPEATS = 5
SMALLEST = 1e-16


@dataclass
class Point:
    """One rung: what a budget bought."""

    budget: float
    objective: float
    passes: float | None
    runs: list[float]
    suboptimality: float = np.inf

    @property
    def seconds(self):
        return median(self.runs)


@dataclass
class Curve:
    """All rungs of a rival; `compile` is what its first call took beyond the same call again."""

    name: str
    points: list[Point] = field(default_factory=list)
    compile: float = 0.0
    skipped: str = ""
    failed: str = ""

    def reach(self, accuracy):
        """Seconds and passes to an accuracy, log-linear between the rungs around it; None where it is not reached."""
        there = [k for k, point in enumerate(self.points) if point.suboptimality <= accuracy]
        if not there:
            return None
        quickest = self.points[min(there, key=lambda k: self.points[k].seconds)]
        before, point = self.points[there[0] - 1], self.points[there[0]]
        if there[0] == 0 or not np.isfinite(before.suboptimality) or quickest.seconds < before.seconds:
            return quickest.seconds, quickest.passes
        high, low = (np.log(max(p.suboptimality, SMALLEST)) for p in (before, point))
        share = (high - np.log(accuracy)) / (high - low)
        passes = None if point.passes is None else before.passes + share * (point.passes - before.passes)
        return before.seconds + share * (max(point.seconds, before.seconds) - before.seconds), passes

    @property
    def best(self):
        return min((point.suboptimality for point in self.points), default=np.inf)

    def as_dict(self):
        return asdict(self)


def budget_of(rival, rung):
    """Turns 1, 2, 3, 4, 7, 10, 17, ... or tolerances 1e-1, 10^-1.5, 1e-2, ..."""
    if rival.budget == "tol":
        return float(10 ** (-1 - rung / 2))
    turns = 1
    for _ in range(rung):
        turns = max(turns + 1, round(turns * GROWTH))
    return turns


def measure(problem, rivals, accuracies, threads=1, seconds=3.0, say=lambda text: None):
    """One curve for each rival, which may use `seconds` altogether: half to climb, half to repeat."""
    F, curves = PlainObjective(problem), {rival.name: Curve(rival.name) for rival in rivals}
    spent = dict.fromkeys(curves, 0.0)

    def run(rival, budget):
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin = time.perf_counter()
            answer = rival.run(problem, budget, threads)
            taken = time.perf_counter() - begin
        spent[rival.name] += taken
        return answer, taken

    def climb(rival, rung):
        """Whether there is a next rung."""
        curve = curves[rival.name]
        budget = budget_of(rival, rung)
        say(f"{rival.name}: {rival.budget} {budget:g}")
        try:
            answer, taken = run(rival, budget)
            if rung == 0:
                first, (answer, taken) = taken, run(rival, budget)
                curve.compile = max(first - taken, 0.0)
                spent[rival.name] = taken
        except Exception as error:  # a rival that fails is a row of the table, not the end of the comparison
            curve.failed = f"{type(error).__name__}: {error}"
            return False
        v = np.append(answer.coef, answer.intercept) if problem.fit_intercept else np.array(answer.coef)
        with np.errstate(all="ignore"):
            value = float(F.value(v))
        curve.points.append(Point(budget, value if np.isfinite(value) else np.inf, answer.passes, [taken]))
        problem.optimum = min(problem.optimum, value) if np.isfinite(value) else problem.optimum
        stuck = len(curve.points) >= 4 and len({point.objective for point in curve.points[-4:]}) == 1
        there = problem.suboptimality(value) <= min(accuracies)
        too_long = spent[rival.name] + GROWTH * taken > 0.5 * seconds
        last = rival.budget == "none" or (rival.budget == "tol" and budget < 1e-13)
        return not (stuck or there or too_long or last)

    climbing = []
    for rival in rivals:
        curves[rival.name].skipped = rival.why_not(problem) or ""
        climbing += [] if curves[rival.name].skipped else [rival]
    rung = 0
    while climbing:
        climbing = [rival for rival in climbing if climb(rival, rung)]
        rung += 1

    for _ in range(MOST_REPEATS - 1):
        for step in range(rung):
            for rival in rivals:
                points = curves[rival.name].points
                if step < len(points) and spent[rival.name] + points[step].seconds <= seconds:
                    say(f"{rival.name}: {rival.budget} {points[step].budget:g}, again")
                    points[step].runs.append(run(rival, points[step].budget)[1])

    for curve in curves.values():
        for point in curve.points:
            point.suboptimality = max(problem.suboptimality(point.objective), 0.0)
    return list(curves.values())
