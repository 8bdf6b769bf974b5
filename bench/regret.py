"""What `auto` takes over the best of the package's own solvers, on a broad set of problems:
`python -m bench regret --problems 100 --seed 1`.

Each problem of `broad_problems` is fitted to `tol` of 1e-2, 1e-4 and 1e-6 by `auto` and by every
solver of the registry that does not refuse it, each with every batch it takes. All have to prove
tol. A solver ends where it has done three times what `auto` did.

Two regrets are told. In operations (`operations`, in passes) it is that of `auto` over the least
of all, `auto` among them: the same on every machine. In seconds, of the thread, it is (t + 2 ms) /
(best + 2 ms); the best is chosen on one set of repeats and timed on another.

Rows are written as JSON lines while it runs; `--again FILE` prints their report.
"""

import contextlib
import json
import time
import warnings
from pathlib import Path

import numpy as np

import fastgd.solvers
from fastgd import GDClassifier, GDRegressor, Objective
from fastgd.objective.exclusive.columns import find_exclusive

from . import broad_problems, report
from .operations import TooMuch, counted

TOLS = 1e-2, 1e-4, 1e-6
CASES = "sklearn", "random", "suite"
BEYOND = 3.0  # times what `auto` did a solver may do
MAX_SECONDS = 60.0  # of a fit
GRACE = 2e-3  # seconds that are added to both sides
LONG = 1.0
MAX_ITERATIONS = 1_000_000
# Beyond so many columns or rows a matrix of them is not asked for: it would be 3 GB.
WIDEST = 20_000
WORST = 20
BARS = 1.5, 2.5
NOT_PROVING = ("AutomaticRates",)


@contextlib.contextmanager
def only(solver):
    """A registry of one solver."""
    whole = fastgd.solvers.REGISTRY
    fastgd.solvers.REGISTRY = (solver,)
    try:
        yield
    finally:
        fastgd.solvers.REGISTRY = whole


def run(options):
    """Try problems until there are enough, or time is used up."""
    unknown = [case for case in options.cases or () if case not in CASES]
    if unknown:
        raise SystemExit(f"--cases: nothing is called {unknown}; known: {', '.join(CASES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    path = Path(options.out) / f"regret_{options.seed}_{time.strftime('%Y%m%d_%H%M%S')}.jsonl"
    rows, begin = [], time.perf_counter()
    with path.open("w") as file:
        for count, problem in enumerate(problems(options)):
            if time.perf_counter() - begin > (options.seconds or np.inf):
                break
            report.progress(f"problem {count}: {' '.join(problem.kinds)}")
            for row in rows_of(problem, options.accuracy, options.rounds):
                rows.append(row)
                print(json.dumps(row), file=file, flush=True)
    report.progress("")
    print(text(rows))
    print(f"\n{path} written")
    return path


def again(path):
    """The report of an earlier run."""
    print(text([json.loads(line) for line in Path(path).read_text().splitlines()]))


def problems(options):
    """scikit-learn's data sets, random problems, and from 200 of them on the suite's cases."""
    if options.index is not None:
        yield broad_problems.make(options.seed, options.index)
        return
    cases = options.cases or ["sklearn", "random", *["suite"] * (options.problems >= 200)]
    if "sklearn" in cases:
        yield from broad_problems.of_sklearn()
    if "random" in cases:
        yield from (broad_problems.make(options.seed, k) for k in range(options.problems))
    if "suite" in cases:
        yield from broad_problems.of_suite()


def rows_of(problem, tols=TOLS, rounds=3):
    """A row for each tol; seconds by so many repeats of each set, none where that is 0."""
    objective, own = _solvers(problem)
    for tol in tols:
        auto = measure(problem, tol, None, "auto")
        # What `auto` refuses is unproved where one of the others proves it.
        most = np.inf if auto["ended"] == "refused" else BEYOND * auto["passes"]
        found = {name: measure(problem, tol, solver, batch, most) for name, solver, batch in own}
        told = {}
        for name, solver, batch in own:
            if batch != "growing":
                told[name] = float(solver.forecast(objective, tol).passes)
        proving = {"auto": auto, **found}
        settings = {"auto": (None, "auto"), **{name: rest for name, *rest in own}}
        settings = {name: one for name, one in settings.items() if proving[name]["proved"]}
        yield _row(problem, tol, auto, found, told, _timed(problem, tol, settings, rounds))


def _row(problem, tol, auto, own, told, seconds):
    """What is saved of a problem at one tol."""
    passes = {name: one["passes"] for name, one in own.items() if one["proved"]}
    row = {
        "seed": problem.seed,
        "index": problem.index,
        **problem.describe(),
        "alpha_n": problem.alpha * problem.y.size,
        "tol": tol,
        "auto": auto,
        "own": own,
        "forecasts": told,
        "seconds": seconds,
        "best": min(passes, key=passes.get, default=None),
        "unproved": bool(passes) and not auto["proved"],
    }
    if auto["proved"]:
        least = min([auto["passes"], *passes.values()])
        row["regret"] = auto["passes"] / least if least > 0.0 else 1.0
    if seconds and auto["proved"]:
        row["fastest"] = seconds["best"]
        row["regret_seconds"] = (seconds["auto"] + GRACE) / (seconds["of best"] + GRACE)
    return row


def _solvers(problem):
    """The problem's objective, and (name, solver, batch) of the registry's solvers for it."""
    p = problem
    F = Objective(
        p.loss, p.X, p.y, penalty=p.penalty, alpha=p.alpha, l1_ratio=p.l1_ratio,
        fit_intercept=p.fit_intercept, n_jobs=1,
    )  # fmt: skip
    found = []
    for solver in fastgd.solvers.REGISTRY:
        wide = solver.__name__ in ("Newton", "LeastSquares") and F.n_features > WIDEST
        path = solver.__name__ == "CentralPath" and min(F.n_features, F.n_active) > WIDEST
        if solver.refusal(F) is not None or wide or path or solver.__name__ in NOT_PROVING:
            continue
        if solver.__name__ == "Eliminating" and not _few_are_left(F):
            continue
        found += [
            (f"{solver.__name__} {batch}" if batch == "growing" else solver.__name__, solver, batch)
            for batch in solver.traits.batch_sizes
            if batch != "growing" or (F.loss_smooth and F.l1 == 0.0)
        ]
    return F, found


def _few_are_left(F):
    """Whether a matrix of what is left beside exclusive columns is one to ask for."""
    return find_exclusive(F, min(F.n_features, WIDEST)) is not None


def fitted(problem, tol, solver, batch):
    """A fit of the problem by `auto`, where no solver is given, or by the one that is."""
    p = problem
    settings = {
        "loss": p.loss,
        "penalty": p.penalty,
        "alpha": p.alpha,
        "l1_ratio": p.l1_ratio,
        "fit_intercept": p.fit_intercept,
        "tol": tol,
        "max_time": MAX_SECONDS,
        "random_state": 0,
        "n_jobs": 1,
    }
    if solver is not None:
        name = solver.rule_name or solver.name
        settings |= {"solver": name, "batch_size": batch, "max_iter": MAX_ITERATIONS}
    model = (GDClassifier if p.classification else GDRegressor)(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with only(solver) if solver is not None else contextlib.nullcontext():
            return model.fit(p.X, p.y)


def measure(problem, tol, solver, batch, most=np.inf):
    """What one fit did, in passes' worth of operations, and how it ended."""
    with counted(problem, most) as count:
        begin = time.thread_time()
        try:
            model = fitted(problem, tol, solver, batch)
        except TooMuch:
            return _ended("cut off", count, begin)
        except (ValueError, MemoryError, FloatingPointError) as error:
            return _ended("refused", count, begin, what=str(error)[:200])
    proved = model.bound_kind_ == "proof" and model.suboptimality_ <= tol
    return _ended(
        model.stop_reason_.name,
        count,
        begin,
        proved=bool(proved),
        suboptimality=float(model.suboptimality_),
        n_iter=int(model.n_iter_),
        plan=str(model.plan_),
    )


def _ended(how, count, begin, proved=False, **more):
    seconds = time.thread_time() - begin
    return {
        "ended": how,
        "proved": proved,
        "passes": count.passes,
        "read": count.read,
        "first_seconds": seconds,
        **more,
    }


def _timed(problem, tol, settings, rounds):
    """Least seconds of `auto` and of the fastest on one set of repeats; the fastest is chosen on
    another. Nothing where `auto` does not prove tol.
    """
    if "auto" not in settings or rounds == 0:
        return {}
    first = {name: _seconds(problem, tol, *settings[name]) for name in settings}
    repeats = rounds - 1 if first["auto"] < LONG else 0
    for _ in range(repeats):
        for name, before in first.items():
            if before <= BEYOND * first["auto"] + GRACE:
                first[name] = min(before, _seconds(problem, tol, *settings[name]))
    best = min(first, key=first.get)
    if best == "auto":
        return {"auto": first["auto"], "best": "auto", "of best": first["auto"], "chosen by": first}
    again = {"auto": np.inf, best: np.inf}
    for _ in range(repeats + 1):
        again = {
            name: min(one, _seconds(problem, tol, *settings[name])) for name, one in again.items()
        }
    return {"auto": again["auto"], "best": best, "of best": again[best], "chosen by": first}


def _seconds(problem, tol, solver, batch):
    begin = time.thread_time()
    fitted(problem, tol, solver, batch)
    return time.thread_time() - begin


def text(rows):
    """The report: a line of figures for each tol of theirs and for all, and the worst rows."""
    tols = sorted({row["tol"] for row in rows}, reverse=True)
    lines = [figures(f"tol {tol:g}", [row for row in rows if row["tol"] == tol]) for tol in tols]
    lines.append(figures("all", rows))
    told = [row for row in rows if "regret" in row]
    for key, best, unit in (("regret", "best", "operations"), ("regret_seconds", "fastest", "s")):
        worst = sorted((r for r in told if key in r), key=lambda row: -row[key])[:WORST]
        lines += ["", f"The worst in {unit}:", *(shown(row, key, best) for row in worst)]
    beaten = [row for row in rows if row["unproved"]]
    lines += ["", f"Unproved where an own solver proves: {len(beaten)}"]
    lines += [shown(row, "", "best") for row in beaten[:WORST]]
    return "\n".join(lines)


def figures(name, rows):
    """Mean and shares of some rows, in words."""
    parts = [f"{name}: {len(rows)} rows, unproved {sum(row['unproved'] for row in rows)}"]
    for key, what in (("regret", "operations"), ("regret_seconds", "seconds")):
        values = np.array([row[key] for row in rows if key in row])
        if values.size:
            shares = ", ".join(f"{(values <= bar).mean():.1%} at most {bar:g}" for bar in BARS)
            mean = float(np.exp(np.log(values).mean()))
            parts.append(f"{what}: geometric mean {mean:.3f}, {shares}")
    return "; ".join(parts)


def shown(row, key, best):
    """One row in words."""
    auto, name = row["auto"], row.get(best)
    own = row["own"].get(name, {})
    value = f"{row[key]:5.2f}" if key else "     "
    penalty = f"{row['penalty']} {row['l1_ratio']:g}" if row["l1_ratio"] else row["penalty"]
    passes = "" if not own else f"{name} {own['passes']:.0f}"
    return (
        f"{value} {row['seed']}/{row['index']} {row['n_samples']:,} x {row['n_features']:,} "
        f"({row['stored'] / row['n_samples']:.0f}) {row['loss']} {penalty} "
        f"an={row['alpha_n']:.2g}{' b' if row['fit_intercept'] else ''} tol={row['tol']:g} "
        f"{', '.join(row['kinds'])}: auto {auto.get('plan', '').split(' on ')[0]} "
        f"{auto['passes']:.0f} passes, {auto['first_seconds']:.2g} s; {passes}"
    )
