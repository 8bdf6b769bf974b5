"""The suite: fastgd as it comes, only `tol` varies, against everything that can be installed, on real data.

Seconds to an accuracy are those of the quickest run whose suboptimality, measured by the bench, is there. The budgets
of the rivals are searched one after another, each within its seconds; the quickest few and fastgd then run in turn.
"""

import json
import os
import time
from fnmatch import fnmatchcase

from . import adapters, optimum, report, standings
from .cases import CASES, SMOKE
from .race import Race, Record

OURS = "fastgd/default"
# The promising first: what the others may take follows from the best so far.
RIVALS = (
    "glum", "liblinear", "snapml", "cyanure", "skglm", "celer", "sklearnex", "scipy/L-BFGS-B/numpy",
    "scipy/Newton-CG/numpy", "scipy/trust-ncg/numpy", "sklearn",
)  # fmt: skip
CONTENDERS = 3  # rivals for each accuracy that run in turn with fastgd
TIMES_BEST, LEAST = 4.0, 1.0  # a rival is given up after so many times the seconds of the best, but not before LEAST


def run(options):
    """Run the cases that were chosen, print the table, and write JSON and Markdown; returns the rows."""
    cases = SMOKE if options.smoke else chosen_cases(options.cases)
    rivals = [rival for rival in adapters.choose(options.solvers or RIVALS) if rival.name != OURS]
    earlier = json.loads(options.reuse.read_text())["cases"] if options.reuse else {}
    content, begin = {"threads": options.threads, "accuracies": options.accuracy, "cases": {}}, time.perf_counter()
    for case in cases:
        try:
            problem = case.problem()
        except (SystemExit, OSError) as error:
            print(f"{case.name}: skipped, {error}")
            continue
        report.progress(f"{case.name}: the optimum")
        optimum.solve(problem, options.out / "optima.json")
        content["cases"][case.name] = found = one_case(case, problem, rivals, earlier.get(case.name), options)
        report.progress("")
        print(standings.line(found["row"]), flush=True)
        content["seconds"] = time.perf_counter() - begin
        path = report.save(options.out, "suite", content)
    if not content["cases"]:
        return []
    rows = [found["row"] for found in content["cases"].values()]
    print("\n" + standings.text(rows, content))
    path.with_suffix(".md").write_text(standings.markdown(rows, content))
    print(f"\n{path.name} and {path.stem}.md written to", os.path.relpath(options.out))
    return rows


def chosen_cases(patterns):
    """Cases whose name matches a pattern, or holds it; all for None."""
    chosen = [c for c in CASES if not patterns or any(p in c.name or fnmatchcase(c.name, p) for p in patterns)]
    if not chosen:
        raise SystemExit(f"--cases: nothing matches {patterns}; known: {'; '.join(case.name for case in CASES)}")
    return chosen


def one_case(case, problem, rivals, earlier, options):
    """Everything about a case: problem, records of all rivals, and the row of the table."""
    race = Race(
        problem,
        options.accuracy,
        options.threads,
        options.seconds,
        lambda text: report.progress(f"{case.name}: {text}"),
    )
    ours = adapters.RIVALS[OURS]
    mine = race.alone(ours, 3.0 * options.seconds, twice=True)
    if not any(run.budget <= options.accuracy[-1] for run in mine.runs) and not mine.ended:
        race.once(ours, mine, options.accuracy[-1])  # what a user who asks for it gets, with its proof
    by_name = {rival.name: rival for rival in rivals}
    if earlier:
        race.take(Record.from_dict(record) for name, record in earlier["records"].items() if name in by_name)
    best = float("inf")
    for rival in rivals:
        if rival.name in race.records:
            continue
        default = rival.name == case.sklearn_default
        limit = options.seconds if default else min(options.seconds, max(LEAST, TIMES_BEST * best))
        there = race.alone(rival, limit).reach(options.accuracy[-1])
        best = min(best, there.time if there else best)
    race.judge()  # the optimum may have become lower since the first runs
    asked = next((run for run in mine.runs if run.budget == options.accuracy[-1]), None)
    contenders = {id(asked): (OURS, asked)} if asked else {}
    for accuracy in options.accuracy:
        reached = [(name, record.reach(accuracy)) for name, record in race.records.items()]
        quickest = sorted(((name, run) for name, run in reached if run), key=lambda entry: entry[1].time)
        few = [q for q in quickest if q[0] in by_name][: 1 if earlier else CONTENDERS]
        few += [q for q in quickest if q[0] == OURS or (q[0] == case.sklearn_default and q[1].time < LEAST)]
        contenders |= {id(run): (name, run) for name, run in few}
    contenders = list(contenders.values())
    in_turn = [(by_name.get(name, ours), run) for name, run in contenders]
    race.in_turn(in_turn, options.rounds, options.seconds, warm=bool(earlier))
    row = standings.row(case, problem, race.records, contenders, asked, options.accuracy)
    records = {name: record.as_dict() for name, record in race.records.items()}
    return {"problem": problem.describe(), "records": records, "row": row}
