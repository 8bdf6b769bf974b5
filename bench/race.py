"""The race on one problem: every rival alone until its budgets are known, then runs of all of them
in turn.

Alone, a rival doubles its iterations (or divides its tolerance by ten) until the finest accuracy is
reached, and then looks between the last run that missed an accuracy and the first that reached it.
In turn, runs are repeated A, B, C, A, B, C, so that a machine that slows down slows all of
them; medians count.
"""

import contextlib
import time
import warnings
from dataclasses import asdict, dataclass, field
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from .multinomial import objective_of
from .optimum import CERTAIN

LOOKS = 2  # between two budgets, for each accuracy
GIVEN_UP = "not there when its seconds were over"
SHORT = 1.0  # seconds in which more rounds than asked for are run
FIRST = 100.0  # seconds of a first call, compiling included, after which the same is not run again
CLOSE = 1.15  # iterations of this ratio are not told apart


@dataclass
class Run:
    """One budget: what it bought, and the seconds of its runs."""

    budget: float
    objective: float
    seconds: list[float]
    cpu: list[float] = field(default_factory=list)
    passes: float | None = None
    suboptimality: float = np.inf
    about: dict = field(default_factory=dict)

    @property
    def time(self):
        return median(self.seconds)


@dataclass
class Record:
    """All runs of a rival, by increasing effort; `compile` is what first calls took beyond the
    same calls again.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    compile: float = 0.0
    spent: float = 0.0
    skipped: str = ""
    ended: str = ""

    def reach(self, accuracy):
        """The quickest run that is there, or None."""
        there = [run for run in self.runs if run.suboptimality <= accuracy]
        return min(there, key=lambda run: run.time, default=None)

    @property
    def best(self):
        return min((run.suboptimality for run in self.runs), default=np.inf)

    def sort(self):
        """By growing effort: iterations are whole numbers, which grow, and tolerances shrink."""
        self.runs.sort(key=lambda run: run.budget if isinstance(run.budget, int) else -run.budget)

    def as_dict(self):
        return asdict(self)

    @classmethod
    def from_dict(cls, content):
        return cls(**{**content, "runs": [Run(**run) for run in content["runs"]]})


class Race:
    """Records of a problem, whose optimum is known; a lower value that a run finds becomes the
    optimum.
    """

    def __init__(self, problem, accuracies, threads, cap=np.inf, say=lambda text: None):
        self.problem = problem
        self.accuracies = sorted(accuracies, reverse=True)
        self.threads = threads
        self.say = say
        self.cap = cap  # seconds of one run, for solvers that can be told
        self.F, self.records = objective_of(problem), {}
        self.reference, self.told = problem.optimum, problem.reference

    def alone(self, rival, seconds, twice=False, single=np.inf):
        """Find the budgets of a rival within `seconds`, until a run takes `single` seconds without
        arriving; `twice` runs each a second time, which is what counts.
        """
        record = self.records[rival.name] = Record(
            rival.name, skipped=rival.why_not(self.problem) or ""
        )
        if record.skipped:
            return record
        try:
            self._climb(rival, record, seconds, twice, single)
            if rival.budget != "none":
                for accuracy in self.accuracies:
                    self._look_between(rival, record, accuracy, seconds, twice, single)
        except TimeoutError:
            record.ended = GIVEN_UP
        except Exception as error:
            # A rival that fails is a line of the table, not the end of the suite.
            record.ended = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        record.sort()
        return record

    def once(self, rival, record, budget):
        """One more run, at this budget."""
        self._try(rival, record, budget, True)
        record.sort()

    def take(self, records):
        """Records of an earlier race of the same problem."""
        for record in records:
            self.records[record.name] = record
            self.problem.optimum = min(
                [self.problem.optimum, *(run.objective for run in record.runs)]
            )

    def judge(self):
        """Suboptimality of every run against the optimum as it is now; a run that is below the
        reference is named.
        """
        found = [
            (run.objective, record.name) for record in self.records.values() for run in record.runs
        ]
        value, name = min(found, default=(np.inf, ""))
        below = (self.reference - value) / max(abs(value), 1e-4 * self.problem.constant)
        if below > CERTAIN:
            self.problem.optimum = min(self.problem.optimum, value)
            self.problem.reference = (
                f"found by {name}, {below:.0e} below the reference "
                f"({self.told}); all are judged by it"
            )
        for record in self.records.values():
            for run in record.runs:
                run.suboptimality = max(self.problem.suboptimality(run.objective), 0.0)

    def in_turn(self, contenders, rounds, seconds, least=3, warm=False):
        """Repeat runs, given as (rival, run), in rounds until `seconds` are over; `warm` for a
        lost first call.
        """
        for rival, run in contenders if warm else ():
            with contextlib.suppress(TimeoutError):  # warm it is even so
                self._run(rival, run.budget)
        begin = time.perf_counter()
        for turn in range(10 * rounds):
            taken = time.perf_counter() - begin
            if (turn >= rounds and taken > SHORT) or (turn >= least and taken > seconds):
                break
            for rival, run in contenders:
                self.say(f"{rival.name}: {run.budget:g}, round {turn + 1}")
                try:
                    _, taken, cpu = self._run(rival, run.budget, patience=3.0)
                except TimeoutError:
                    # Slower by far than it was alone: what was measured then stays.
                    continue
                # What was measured alone, maybe with other work beside it, does not count beside
                # the rounds.
                run.seconds = [taken] if turn == 0 else [*run.seconds, taken]
                run.cpu = [cpu] if turn == 0 else [*run.cpu, cpu]

    def _climb(self, rival, record, seconds, twice, single):
        budget = 0.1 if rival.budget == "tol" else 1
        while True:
            run = self._try(rival, record, budget, twice or not record.runs)
            values = [r.objective for r in record.runs]
            if run.suboptimality <= self.accuracies[-1] or rival.budget == "none":
                return
            # A fit that is better than its tolerance asks for may be the same for many of them.
            same = 5 if rival.budget == "iterations" else 10
            stuck = len(values) >= same and len(set(values[-same:])) == 1
            if stuck or (rival.budget == "tol" and budget < 1e-13):
                record.ended = "stays where it is"
                return
            if run.time > single or record.spent + 2.0 * run.time > seconds:
                record.ended = GIVEN_UP
                return
            # A tolerance does not say how long it takes: in smaller steps where a run is no longer
            # short.
            budget = (
                2 * budget
                if rival.budget == "iterations"
                else _finer(budget, 0.5 if 8.0 * run.time > seconds else 1.0)
            )

    def _look_between(self, rival, record, accuracy, seconds, twice, single):
        for _ in range(LOOKS):
            runs = sorted(record.runs, key=lambda run: run.budget, reverse=rival.budget == "tol")
            first = next((k for k, run in enumerate(runs) if run.suboptimality <= accuracy), None)
            if not first or record.spent + runs[first].time > seconds:
                return
            if runs[first].time > single:
                return
            before, after = runs[first - 1], runs[first]
            if rival.budget == "tol":
                budget = _finer(before.budget, 0.5 * np.log10(before.budget / after.budget))
            else:
                high, low = (
                    np.log(np.clip(run.suboptimality, 1e-16, 1e16)) for run in (before, after)
                )
                share = np.clip((high - np.log(accuracy)) / max(high - low, 1e-9), 0.25, 0.75)
                budget = round(before.budget + share * (after.budget - before.budget))
                if budget in (before.budget, after.budget) or after.budget < CLOSE * before.budget:
                    return
            self._try(rival, record, budget, twice)

    def _try(self, rival, record, budget, twice):
        self.say(f"{rival.name}: {rival.budget} {budget:g}")
        answer, taken, cpu = self._run(rival, budget)
        if twice and taken < max(self.cap, FIRST):
            first, (answer, taken, cpu) = taken, self._run(rival, budget)
            record.compile += max(first - taken, 0.0)
        record.spent += taken
        with np.errstate(all="ignore"):
            value = float(self.F.value(self.F.joined(answer)))
        value = value if np.isfinite(value) else np.inf
        self.problem.optimum = min(self.problem.optimum, value)
        suboptimality = max(self.problem.suboptimality(value), 0.0)
        run = Run(budget, value, [taken], [cpu], answer.passes, suboptimality, answer.about())
        record.runs.append(run)
        return run

    def _run(self, rival, budget, patience=1.0):
        with threadpool_limits(self.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin, cpu = time.perf_counter(), time.process_time()
            self.problem.deadline = begin + patience * self.cap
            try:
                answer = rival.run(self.problem, budget, self.threads)
            finally:
                self.problem.deadline = np.inf
            return answer, time.perf_counter() - begin, time.process_time() - cpu


def samples(case, records, accuracies):
    """What a later run is compared with: seconds and passes of the quickest run that reaches an
    accuracy.
    """
    found = {}
    for record in records:
        for accuracy in accuracies:
            run, name = record.reach(accuracy), _sample(case, record.name, accuracy)
            if run:
                found[f"{name} s"] = run.seconds
                found |= {f"{name} passes": [run.passes]} if run.passes else {}
    return found


def tried(case, names, accuracies):
    """Beginnings of the samples that these rivals have if they reach all accuracies."""
    return [_sample(case, name, accuracy) for name in names for accuracy in accuracies]


def _sample(case, name, accuracy):
    return f"{case}: {name} to {accuracy:g},"


def _finer(tol, decades):
    """Tolerance so many decades below, in two digits, so that 1e-6 is 1e-6."""
    return float(f"{tol * 10.0**-decades:.1e}")
