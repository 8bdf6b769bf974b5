"""One problem, every solver: a table of seconds and passes to each accuracy, a picture, a JSON
of the raw points.
"""

import re
import time

from . import adapters, optimum, picture, problems, report, standings
from .multinomial import objective_of
from .race import Race, samples, tried

REPEATS = 5
PASSES = 100  # of the plain objective, which every solver has the time for


def run(options, rows=None):
    """Race on the problem that the options describe; returns the path of the JSON."""
    rivals = adapters.choose(options.solvers)
    report.progress("reading the data")
    problem = problems.make_problem(
        options.data,
        options.loss,
        options.alpha,
        options.l1_ratio,
        not options.no_intercept,
        options.scale,
        rows,
        options.target,
    )
    report.progress("the optimum")
    optimum.solve(problem)
    seconds = options.seconds or max(1.0, PASSES * _seconds_of_a_pass(problem))
    done, begin = [0.0], time.perf_counter()
    race = Race(
        problem,
        options.accuracy,
        options.threads,
        seconds,
        lambda text: report.progress(text, done[0]),
    )
    for k, rival in enumerate(rivals):
        done[0] = 0.5 * k / len(rivals)
        # Other tolerances, other kernels.
        race.alone(rival, seconds, twice=rival.name.startswith("fastgd"))
    by_name = {rival.name: rival for rival in rivals}
    runs = [(by_name[record.name], run) for record in race.records.values() for run in record.runs]
    race.in_turn(runs, REPEATS, 0.5 * (time.perf_counter() - begin), least=1)
    race.judge()  # the optimum may have become lower since the first runs
    report.progress("")
    return _tell(problem, race, seconds, options)


def _seconds_of_a_pass(problem):
    F = objective_of(problem)
    begin = time.perf_counter()
    F.value_and_gradient(F.start())
    return time.perf_counter() - begin


def _tell(problem, race, seconds, options):
    about, records = problem.describe(), list(race.records.values())
    print(
        f"{about['data']}: {about['n_samples']} x {about['n_features']} {about['storage']}, "
        f"{about['loss']}, "
        f"alpha {about['alpha']:.3g}, l1_ratio {about['l1_ratio']:g}, {options.threads} thread(s)\n"
        f"optimum {about['optimum']:.12g}: {about['reference']}\n"
        "Suboptimality is (F - F*) / F*. Seconds are medians without compiling, which has a column "
        "of its own (and\n"
        "imports); kernels that a solver shares with one that ran before it are not compiled "
        "again. A dash: not\n"
        f"reached within {seconds:.2g} seconds for all runs of a solver together (--seconds), or "
        "passes not told.\n"
    )
    print(table(records, options.accuracy))
    content = {"threads": options.threads, "accuracies": options.accuracy}
    content["cases"] = {
        about["data"]: {"problem": about, "records": {r.name: r.as_dict() for r in records}}
    }
    print("\n" + "\n".join(standings.left_out(content)))
    name = re.sub(r"\W+", "_", f"{problem.name} {problem.loss}").strip("_")
    path = report.save(
        options.out,
        name,
        content,
        samples(about["data"], records, options.accuracy),
        tried(about["data"], [record.name for record in records], options.accuracy),
    )
    drawn = picture.draw(path.with_suffix(".png"), problem, records, options.threads)
    print(
        "\n" + " and ".join(p.name for p in (path, drawn) if p),
        "written to",
        report.shown_path(options.out),
    )
    if drawn is None:
        print("(no picture: matplotlib is not installed)")
    return path


def table(records, accuracies):
    """Seconds and passes to each accuracy, the quickest to the finest accuracy first."""
    header = [
        "solver",
        "compile s",
        *(text for a in accuracies for text in (f"s to {a:g}", "passes")),
        "best",
    ]

    def rank(record):
        reached = [record.reach(a) for a in reversed(accuracies)]
        return [(run is None, run.time if run else 0.0) for run in reached], record.best

    rows = []
    for record in sorted((r for r in records if r.runs), key=rank):
        reached = [record.reach(a) for a in accuracies]
        cells = [
            report.number(f)
            for run in reached
            for f in ((run.time, run.passes) if run else (None, None))
        ]
        rows.append([record.name, report.number(record.compile, 2), *cells, f"{record.best:.0e}"])
    return report.columns(rows, header)
