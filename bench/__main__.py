"""The command line: `python -m bench --data sklearn:breast_cancer --loss log_loss`, and the
words below.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
WORDS = {
    "race": "all solvers on one problem (the default)",
    "suite": "the automatic solver against everything that can be installed, on real data",
    "scaling": "time against rows, columns and nonzeros",
    "cold": "imports, first fits and steady state",
    "memory": "peak beyond the input",
    "kernels": "the cost of an epoch and of a pass",
    "calibrate": "what this machine does in a ns, beside the costs that plans rest on",
    "readers": "files as blocks of rows, against scikit-learn and pandas",
    "blocks": "fits to files, block by block, beside the same fits in memory",
    "dask": "rounds on a Dask cluster of this machine, and larger ones modelled",
    "search": "a path of alphas against one fit, and a grid search",
    "certify": "claims tried on random problems that are meant to break them",
    "regret": "auto against the best of the package's own solvers, on problems of all kinds",
    "compare": "two saved runs: compare OLD.json NEW.json",
    "same": "whether two checkouts find the same models: same OLD_TREE",
    "paired": "what two checkouts take on the suite's cases, in turn: paired OLD_TREE",
}


def parse(arguments):
    """Options of the command line, as far as they can be judged without any data."""
    parser = _parser()
    options = parser.parse_args(arguments)
    of = {"suite": [1e-4, 1e-6], "regret": [1e-2, 1e-4, 1e-6]}
    options.accuracy = options.accuracy or of.get(options.what, [1e-2, 1e-4, 1e-6, 1e-8])
    _take_files(parser, options)
    if not 0.0 <= options.l1_ratio <= 1.0:
        parser.error(f"--l1-ratio must be from 0 to 1, got {options.l1_ratio:g}")
    return options


def _take_files(parser, options):
    """Files and folders that are there, as many as the word takes."""
    if len(options.files) != {"compare": 2, "same": 1, "paired": 1}.get(options.what, 0):
        parser.error(
            "compare takes two files, OLD.json NEW.json, same and paired a folder; nothing else "
            "takes any"
        )
    if options.what in ("same", "paired"):
        options.tree = options.files.pop()
        if not options.tree.is_dir():
            parser.error(f"there is no folder {options.tree}")
    for path in (*options.files, options.against, options.reuse, options.again):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")


def _parser():
    lines = "\n".join(f"  {word:11}{text}" for word, text in WORDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        epilog=lines,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    parser.add_argument(
        "what", nargs="?", default="race", choices=WORDS, metavar="WHAT", help="a word from below"
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        help="of compare: the old JSON and the new one; of same: the folder of the old checkout",
    )
    for add in (_add_problem, _add_effort, _add_parts, _add_files):
        add(parser)
    return parser


def _add_problem(parser):
    """What is fitted by one race."""
    parser.add_argument(
        "--data",
        help="sklearn:NAME, a name in the data folder (FASTGD_DATA; of memory, kernels: "
        "names with commas), a file: .csv or .parquet with --target (text becomes a column "
        "of 0 and 1 for each value), .npz, svmlight",
    )
    parser.add_argument("--target", help="the column to predict, of a .csv or .parquet file")
    parser.add_argument("--loss", default="log_loss")
    parser.add_argument("--alpha", type=float, help="strength of the penalty; default: 1 / n")
    parser.add_argument(
        "--l1-ratio", type=float, default=0.0, help="share of the L1 norm in it; default: 0"
    )
    parser.add_argument("--no-intercept", action="store_true")
    parser.add_argument(
        "--scale", action="store_true", help="divide columns by their greatest magnitude first"
    )


def _add_effort(parser):
    """Who takes part, how far and for how long."""
    parser.add_argument(
        "--solvers", type=_texts, help="names or patterns: fastgd,fastgd/newton/full,'*/Objective'"
    )
    parser.add_argument(
        "--accuracy",
        type=_numbers,
        help="default: 1e-2,1e-4,1e-6,1e-8; suite: 1e-4,1e-6; regret: 1e-2,1e-4,1e-6",
    )
    parser.add_argument(
        "--threads", type=int, help="of everybody; default: 1; suite: what the process may use"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="for each solver; default: 1, or 100 passes where they take "
        "longer; suite: for a case on average, default: 55; certify: in all, default: 60; regret: "
        "in all, default: no end",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="of repeated measurements; default: 5; of regret: 0 for operations alone",
    )


def _add_parts(parser):
    """Which problems of a command that has many."""
    parser.add_argument(
        "--cases",
        type=_texts,
        help="of suite, paired: parts of names, patterns; of regret: sklearn, random, suite; "
        "default: all",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of certify, regret: which random problems"
    )
    parser.add_argument(
        "--index", type=int, help="of regret: the one random problem of this number"
    )
    parser.add_argument(
        "--fits", type=float, default=float("inf"), help="of certify: end after so many"
    )
    parser.add_argument(
        "--problems",
        type=int,
        default=200,
        help="of same, regret: random ones; below 200 without the suite's cases; default: 200",
    )


def _add_files(parser):
    """What is read and what is left behind."""
    parser.add_argument(
        "--reuse", type=Path, help="suite: JSON of a run whose rivals count; the best run again"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="of suite: print the table as Markdown"
    )
    parser.add_argument(
        "--against", type=Path, help="JSON of an earlier run, to be compared with this one"
    )
    parser.add_argument(
        "--again",
        type=Path,
        help="of certify: JSON of a finding, to be tried once more; of regret: JSON lines of a "
        "run, to be read again",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of JSON and PNG")
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny form of everything, to see that it runs"
    )


def _texts(text):
    return text.split(",")


def _numbers(text):
    return sorted((float(part) for part in text.split(",")), reverse=True)


def main(arguments=None):
    options = parse(arguments)
    if options.smoke:
        return smoke(options)
    if options.what == "compare":
        from . import against

        return 1 if against.compare(*map(against.read, options.files)) else 0
    if options.what == "certify":
        return 0 if _certify(options) else 1
    if options.what == "regret":
        _regret(options)
        return 0
    if options.what == "same":
        from . import same

        return 0 if same.run(options.tree, problems=options.problems) else 1
    if options.what == "paired":
        from . import paired

        return 0 if paired.run(options.tree, cases=options.cases, rounds=options.rounds) else 1
    return _measured_against(options)


def _measured_against(options):
    """Measure, and compare with the run that `--against` names; 1 where something got slower or
    is lost.
    """
    from . import against

    # The run may write the same file, and takes too long to find out then that it is no JSON.
    before = against.read(options.against) if options.against else None
    path = measure(options)
    if before is None:
        return 0
    if path is None:
        print("nothing was measured, so that nothing can be compared")
        return 1
    print()
    return 1 if against.compare(before, against.read(path)) else 0


def measure(options):
    """Measure what the options ask for; returns the path of the JSON."""
    if options.what in ("race", "suite"):
        # Kernels are compiled here, whatever an earlier process left behind, so that first calls
        # are honest.
        os.environ["FASTGD_CACHE"] = "0"
    if options.what == "race":
        from . import single

        if not options.data:
            raise SystemExit("--data is needed, for example --data sklearn:breast_cancer")
        options.threads = options.threads or 1
        return single.run(options)
    if options.what == "suite":
        return _suite(options)
    names = options.data and options.data.split(",")
    arguments = {
        "kernels": {"names": names, "rounds": options.rounds},
        "memory": {"names": names, "threads": options.threads},
        "scaling": {"rounds": options.rounds, "out": options.out},
        "cold": {"rounds": options.rounds},
        "calibrate": {"rounds": options.rounds},
        "readers": {"name": options.data, "rounds": options.rounds},
        "blocks": {"name": options.data},
        "dask": {"rounds": options.rounds},
        "search": {"data": options.data or "a9a", "rounds": options.rounds},
    }
    measured = importlib.import_module(f"bench.{options.what}")
    figures = measured.run(**arguments[options.what])
    from . import report

    samples = measured.samples(figures)
    # With --data it is a part of what the command measures without.
    tried = samples if names else None
    path = report.save(options.out, options.what, figures, samples, tried)
    print(f"\n{path.name} written to", report.shown_path(options.out))
    return path


def _suite(options):
    """All cases of the suite, with the same number of threads for everybody."""
    from . import report

    options.threads, options.seconds = options.threads or report.cores(), options.seconds or 55.0
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        # Before the packages that look at them are loaded.
        os.environ.setdefault(f"{name}_NUM_THREADS", str(options.threads))
    from . import suite

    return suite.run(options)


def _certify(options):
    """Whether every claim held, or the one finding of `--again` is gone."""
    from threadpoolctl import threadpool_limits

    from . import certify

    options.seconds = options.seconds or 60.0
    with threadpool_limits(1):  # fits run on one thread, and so does what judges them
        return certify.again(options.again) if options.again else certify.run(options)


def _regret(options):
    """Regret on new problems, or the report of the rows of `--again`."""
    from threadpoolctl import threadpool_limits

    from . import regret

    with threadpool_limits(1):
        return regret.again(options.again) if options.again else regret.run(options)


def smoke(options):
    """A tiny form of everything: a few solvers on a corner of a small data set, small sizes, one
    round.
    """
    from . import (
        against,
        blocks,
        calibrate,
        cold,
        dask,
        kernels,
        memory,
        readers,
        report,
        scaling,
        search,
        single,
    )

    given, options.data, options.scale, options.threads = (
        options.seconds,
        "sklearn:breast_cancer",
        True,
        1,
    )
    options.solvers = [
        "fastgd/default",
        "fastgd/gd/1",
        "scipy/L-BFGS-B",
        "scipy/trust-ncg",
        "sklearn/*/newton-cholesky",
    ]
    options.seconds = 0.2
    path = single.run(options, rows=120)
    for name, module, figures in (
        ("kernels", kernels, kernels.run([options.data], rounds=1, rows=120)),
        ("scaling", scaling, scaling.run(1, most=1e4, out=options.out)),
        ("memory", memory, memory.run(["small"], 1)),
        ("cold", cold, cold.run(1, cases=())),
        ("calibrate", calibrate, calibrate.run(1, 0.01)),
        ("search", search, search.run(options.data, 1, of=())),
        ("readers", readers, readers.run(options.data, 1, rows=500)),
        ("blocks", blocks, blocks.run("generated", 0.0, rows=5000, processes=False)),
        ("dask", dask, dask.run(1, rows=2000, processes=False)),
    ):
        report.save(options.out, name, figures, module.samples(figures))
    options.fits = 1  # all fits of one problem
    _certify(options)
    options.seconds = given or 2.0
    options.solvers = [
        "liblinear",
        "scipy/L-BFGS-B/numpy",
        "sklearn/LogisticRegression/lbfgs",
        "sklearn/LinearSVC",
    ]
    options.accuracy = [1e-4, 1e-6]
    _suite(options)
    against.compare(against.read(path), against.read(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
