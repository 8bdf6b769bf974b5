"""The suite: fastgd as it comes, only `tol` varies, against everything that can be installed, on
real data.

Seconds to an accuracy are those of the quickest run whose suboptimality, measured by the bench, is
there. The budgets of the rivals are searched one after another, each within its seconds; the
quickest few and fastgd then run in turn.
"""

import json
import time
from fnmatch import fnmatchcase

import numpy as np

from . import adapters, optimum, race, report, standings
from .cases import CASES, OF_SKLEARN, SMOKE
from .data import folder_loader

OURS = "fastgd/default"
# The promising first: what the others may take follows from the best so far, and what a case may
# take ends.
RIVALS = (
    "sklearn/LogisticRegression/newton-cholesky",
    "sklearn/Ridge/cholesky",
    "sklearnex/Ridge",
    "skglm/sparse",
    "celer",
    "glmnet",
    "sklearn/LogisticRegression/liblinear-dual",
    "sklearn/LinearSVC",
    "scipy/Newton-CG/numpy",
    "glum",
    "cyanure/auto",
    "snapml",
    "liblinear",
    "cyanure/qning-miso",
    "scipy/trust-ncg/numpy",
    "sklearnex",
    "scipy/L-BFGS-B/numpy",
    "skglm",
    "cyanure",
    "sklearn",
)
ALWAYS = 5  # rivals that are able to are tried, whatever the clock says
CONTENDERS = 2  # rivals for each accuracy that run in turn with fastgd
SHARE = 0.2  # of a case's seconds, for one rival
MAX_TIMES = 2.0  # times the seconds of a case, where others left some over
# A rival is given up when a single run, not all that look for its budget, takes so many times the
# seconds of the best, or of fastgd where no rival is there yet, and has not arrived: whoever would
# become the best is never given up, in whatever order they come.
TIMES_BEST = 2.0
TIMES_OURS = 40.0
MIN_LIMIT = 0.25  # s
ROOM = 14.0  # times the seconds of the best for all runs of a rival: tolerances from 0.1 to 1e-14
SHORT = 1.0  # seconds of scikit-learn's default solver that run in turn whoever is quicker
TOO_LATE = "not begun when the seconds of the case were over"


def run(options):
    """Run the cases that were chosen, print the table, and write JSON and Markdown; returns the
    path of the JSON.
    """
    cases = SMOKE if options.smoke else chosen_cases(options.cases)
    rivals = [rival for rival in adapters.choose(options.solvers or RIVALS) if rival.name != OURS]
    earlier = json.loads(options.reuse.read_text())["cases"] if options.reuse else {}
    content, begin = (
        {"threads": options.threads, "accuracies": options.accuracy, "cases": {}},
        time.perf_counter(),
    )
    samples, tried = {}, []
    path = None
    seconds = options.seconds
    for k, case in enumerate(cases):
        tried += race.tried(case.name, [OURS], options.accuracy)
        try:
            problem = case.problem()
            report.progress(f"{case.name}: the optimum", k / len(cases))
            optimum.solve(problem, options.out / "optima.json")
        except (SystemExit, OSError) as error:
            print(f"{case.name}: skipped, {error}")
            continue

        def say(text, case=case, done=k):
            report.progress(f"{case.name}: {text}", done / len(cases))

        # What quick cases leave over is for the slow ones; the sum stays.
        left = seconds * (k + 1) - (time.perf_counter() - begin)
        options.seconds = min(max(left, 0.5 * seconds), MAX_TIMES * seconds)
        content["cases"][case.name] = found = one_case(
            case, problem, rivals, earlier.get(case.name), options, say
        )
        report.progress("")
        print(standings.line(found["row"]), flush=True)
        content["seconds"] = time.perf_counter() - begin
        samples |= found.pop("samples")
        path = report.save(options.out, "suite", content, samples, tried)
    if path is None:
        return None
    path = report.save(options.out, "suite", content, samples, tried)  # with the cases that failed
    content = json.loads(path.read_text())
    rows = [found["row"] for found in content["cases"].values()]
    table = standings.markdown(rows, content)
    path.with_suffix(".md").write_text(table)
    print("\n" + (table if options.markdown else standings.text(rows, content)))
    print(f"\n{path.name} and {path.stem}.md written to", report.shown_path(options.out))
    return path


def chosen_cases(patterns):
    """Cases whose name matches a pattern, or holds it; all for None."""
    known = CASES
    if folder_loader() is None:
        known = [*OF_SKLEARN, *CASES]
        print(
            "no data folder (FASTGD_DATA): scikit-learn's data, and generated data of the shapes "
            "of those in bench/README.md"
        )
    chosen = [
        c
        for c in known
        if not patterns or any(p in c.name or fnmatchcase(c.name, p) for p in patterns)
    ]
    if not chosen:
        raise SystemExit(
            f"--cases: nothing matches {patterns}; known: {'; '.join(case.name for case in known)}"
        )
    return chosen


def one_case(case, problem, rivals, earlier, options, say=lambda text: None):
    """Everything about a case: problem, records of all rivals, and the row of the table."""
    each, finest = SHARE * options.seconds, options.accuracy[-1]
    started = race.Race(problem, options.accuracy, options.threads, each, say)
    ours = adapters.RIVALS[OURS]
    mine = started.alone(ours, 2.0 * each, twice=True)
    if not any(run.budget <= finest for run in mine.runs) and not mine.ended:
        started.once(ours, mine, finest)  # what a user who asks for it gets, with its proof
    by_name = {rival.name: rival for rival in rivals}
    if earlier:
        started.take(
            race.Record.from_dict(record)
            for name, record in earlier["records"].items()
            if name in by_name
        )
    search(
        case, started, rivals, time.perf_counter() + 0.6 * options.seconds, each, mine.reach(finest)
    )
    started.judge()  # the optimum may have become lower since the first runs
    asked = next((run for run in mine.runs if run.budget == finest), None)
    contenders = {id(asked): (OURS, asked)} if asked else {}
    for accuracy in options.accuracy:
        reached = [(name, record.reach(accuracy)) for name, record in started.records.items()]
        quickest = sorted(
            ((name, run) for name, run in reached if run), key=lambda entry: entry[1].time
        )
        few = [q for q in quickest if q[0] in by_name][: 1 if earlier else CONTENDERS]
        few += [
            q
            for q in quickest
            if q[0] == OURS or (q[0] == case.sklearn_default and q[1].time < SHORT)
        ]
        contenders |= {id(run): (name, run) for name, run in few}
    contenders = list(contenders.values())
    in_turn = [(by_name.get(name, ours), run) for name, run in contenders]
    started.in_turn(in_turn, options.rounds, 0.25 * options.seconds, warm=bool(earlier))
    row = standings.row(case, problem, started.records, contenders, asked, options.accuracy)
    ran = [
        record
        for name, record in started.records.items()
        if name in {name for name, _ in contenders}
    ]
    return {
        "problem": problem.describe(),
        "records": {name: r.as_dict() for name, r in started.records.items()},
        "row": row,
        "samples": race.samples(case.name, ran, options.accuracy),
    }


def search(case, started, rivals, end, each, ours):
    """Find the budgets of the rivals until the clock says `end`; those that were given up before
    somebody was there, once more with what the best says, or with all seconds.
    """
    finest, best = started.accuracies[-1], np.inf
    first = max(MIN_LIMIT, TIMES_OURS * ours.time) if ours else each
    able, limits = [rival for rival in rivals if not rival.why_not(started.problem)], {}

    def limit():
        return max(MIN_LIMIT, TIMES_BEST * best) if np.isfinite(best) else each

    def tried(rival, single):
        """The least seconds until now, after what this rival takes."""
        limits[rival.name] = single
        left = end - time.perf_counter()
        seconds = max(each, min(ROOM * best, left)) if np.isfinite(best) else each
        there = started.alone(rival, seconds, single=single).reach(finest)
        return min(best, there.time) if there else best

    for rival in rivals:
        default = rival.name == case.sklearn_default  # it has a column of its own
        if rival.name in started.records:
            continue
        if time.perf_counter() > end and rival in able[ALWAYS:] and not default:
            started.records[rival.name] = race.Record(rival.name, ended=TOO_LATE)
            continue
        best = tried(rival, each if default else limit() if np.isfinite(best) else first)
    for rival in sorted(rivals, key=lambda rival: started.records[rival.name].best):
        if time.perf_counter() > end:
            return
        ended = started.records[rival.name].ended
        if ended == race.GIVEN_UP and limits.get(rival.name, np.inf) < limit():
            best = tried(rival, limit())
