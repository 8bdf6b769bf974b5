"""The command line: `python -m bench suite`, `... --data sklearn:breast_cancer`, `... kernels` and `... cold`."""

import argparse
import os
import re
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    what = parser.add_argument("what", nargs="?", default="compare", choices=("compare", "suite", "kernels", "cold"))
    what.help = (
        "compare solvers on one problem (default); all cases against everything that can be installed; the cost of an "
        "epoch and of a pass; the cost of the first call"
    )
    parser.add_argument("--data", help="sklearn:NAME, a name in the data folder, or a .npz or svmlight file")
    parser.add_argument("--loss", default="log_loss")
    parser.add_argument("--alpha", type=float, help="strength of the L2 penalty; 1 / n by default")
    parser.add_argument(
        "--scale", action="store_true", help="divide columns by their greatest magnitude; default: as they come"
    )
    parser.add_argument("--no-intercept", action="store_true")
    parser.add_argument("--solvers", type=_texts, help="names or patterns: fastgd,scipy/L-BFGS-B,'*/Objective'")
    parser.add_argument("--accuracy", type=_numbers, default=[1e-2, 1e-4, 1e-6], help="default: 1e-2,1e-4,1e-6")
    parser.add_argument("--threads", type=int, help="of every rival; default: 1, suite: what the process may use")
    parser.add_argument("--seconds", type=float, help="for each rival altogether; default: 3, suite: 10 for each case")
    parser.add_argument("--rounds", type=int, default=5, help="of suite, kernels and cold; default: 5")
    parser.add_argument("--cases", type=_texts, help="suite: parts of names or patterns; default: all")
    parser.add_argument("--reuse", type=Path, help="suite: JSON of a run whose rivals count; the best run again")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of JSON and PNG")
    parser.add_argument("--smoke", action="store_true", help="a tiny form of everything, to see that it runs")
    return parser.parse_args(arguments)


def _texts(text):
    return text.split(",")


def _numbers(text):
    return sorted((float(part) for part in text.split(",")), reverse=True)


def main(arguments=None):
    options = parse(arguments)
    if options.smoke:
        return smoke(options)
    if options.what == "kernels":
        from . import kernels

        figures = kernels.run(options.data and options.data.split(","), options.rounds)
    elif options.what == "cold":
        from . import cold

        figures = cold.run(options.rounds)
    else:
        # Kernels are compiled here, whatever an earlier process left behind, so that first calls are honest.
        os.environ["FASTGD_CACHE"] = "0"
        if options.what == "suite":
            suite(options)
            return 0
        if not options.data:
            raise SystemExit("--data is needed, for example --data sklearn:breast_cancer")
        options.threads, options.seconds = options.threads or 1, options.seconds or 3.0
        compare(options)
        return 0
    save_and_tell(options.out, options.what, figures)
    return 0


def suite(options):
    """All cases of the suite, with the same number of threads for everybody."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    options.threads, options.seconds = options.threads or cores, options.seconds or 10.0
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # before any of them is loaded
        os.environ.setdefault(f"{name}_NUM_THREADS", str(options.threads))
    from . import suite

    suite.run(options)


def compare(options, rows=None):
    """Table, JSON and picture of a comparison."""
    from . import adapters, curves, optimum, problems, report

    rivals = adapters.choose(options.solvers)
    problem = problems.make_problem(
        options.data, options.loss, options.alpha, not options.no_intercept, options.scale, rows
    )
    report.progress("the optimum")
    optimum.solve(problem)
    found = curves.measure(problem, rivals, options.accuracy, options.threads, options.seconds, report.progress)
    report.progress("")
    about = problem.describe()
    print(
        f"{about['data']}: {about['n_samples']} x {about['n_features']} {about['storage']}, {about['loss']}, "
        f"alpha {about['alpha']:.3g}, {options.threads} thread(s)\n"
        f"optimum {about['optimum']:.12g}: {about['reference']}\n"
        "Suboptimality is (F - F*) / F*. Seconds are medians without compiling, which has a column of its own;\n"
        "kernels that a solver shares with one that ran before it are not compiled again. A dash: not reached within\n"
        f"{options.seconds:g} seconds for all runs of a solver together (--seconds), or passes that it does not tell.\n"
    )
    print(report.table(found, options.accuracy))
    name = re.sub(r"\W+", "_", f"{Path(problem.name).name} {problem.loss}").strip("_")
    content = {"problem": about, "threads": options.threads, "curves": [curve.as_dict() for curve in found]}
    path = report.save(options.out, name, content)
    drawn = report.picture(path.with_suffix(".png"), problem, found)
    print("\n" + " and ".join(p.name for p in (path, drawn) if p), "written to", os.path.relpath(options.out))


def save_and_tell(folder, name, figures):
    from . import report

    path = report.save(folder, name, figures)
    print(f"\n{path.name} written to", os.path.relpath(folder))


def smoke(options):
    """A few solvers, both kernel figures and the suite on a corner of a small data set."""
    if options.what != "suite":
        from . import kernels

        options.threads, options.data, options.scale, options.seconds = 1, "sklearn:breast_cancer", True, 0.3
        options.solvers = [
            "fastgd/default",
            "fastgd/gd/1",
            "scipy/L-BFGS-B",
            "scipy/trust-ncg",
            "sklearn/*/newton-cholesky",
        ]
        compare(options, rows=120)
        save_and_tell(options.out, "kernels", kernels.run(["sklearn:breast_cancer"], rounds=1, rows=120))
    options.seconds, options.rounds = 1.0, 3
    options.solvers = ["liblinear", "scipy/L-BFGS-B/numpy", "sklearn/LogisticRegression/lbfgs", "sklearn/LinearSVC"]
    suite(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
