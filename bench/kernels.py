"""What one epoch and one gradient pass cost, one thread, warm: ratios to scikit-learn's SGD and to
NumPy.

An epoch is the slope over `max_iter`, between two numbers of epochs with a power of 2 just before
the first and just after the second: `GDClassifier` looks at the objective after 1, 2, 4, 8, ...
epochs and after the last, so that these looks, the validation and the certificate drop out. Whole
fits, which include them, stand beside it. Rivals take turns; a ratio is the median of the ratios of
the rounds.
"""

import time
import warnings
from statistics import median

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits

from fastgd import GDClassifier, Objective

from .problems import PlainObjective, make_problem
from .report import columns, number, progress

EPOCH_TARGETS = {"w8a": 1.0, "covtype_binary": 1.0, "news20_binary": 1.1}
PASS_TARGETS = {"covtype_binary": 0.6, "census": 0.9, "news20_binary": 1.1}
SPAN, SPAN_OF_FEW = (
    (9, 15),
    (33, 63),
)  # the latter below 5 million stored values, where an epoch is short


def run(names=None, rounds=7, rows=None):
    """Print both tables and return their figures."""
    names = names or list(dict.fromkeys([*EPOCH_TARGETS, *PASS_TARGETS]))
    epochs, passes = [], []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name in EPOCH_TARGETS or name not in PASS_TARGETS:
                # Scaled: on raw columns every row saturates, and SGDClassifier skips it.
                problem = make_problem(name, "log_loss", scale=True, rows=rows)
                epochs += [
                    epoch_figures(problem, name, rate, rounds) for rate in ("constant", "optimal")
                ]
            if name in PASS_TARGETS or name not in EPOCH_TARGETS:
                problem = make_problem(name, "log_loss", rows=rows)
                passes.append(pass_figures(problem, name, rounds))
    progress("")
    print(_text(epochs, "one epoch of SGD (log loss, l2) against SGDClassifier", "sklearn"))
    print(_text(passes, "one gradient with its value against NumPy", "numpy"))
    return {"epochs": epochs, "passes": passes}


def epoch_figures(problem, name, rate, rounds):
    """An epoch of both, and the ratios of whole fits of one epoch and of many."""
    X, y = problem.X, problem.y
    shared = {
        "loss": "log_loss",
        "alpha": problem.alpha,
        "learning_rate": rate,
        "eta0": 0.01,
        "tol": None,
    }
    shared["random_state"] = 0

    def ours(n):
        GDClassifier(**shared, solver="gd", batch_size=1, max_iter=n, n_jobs=1).fit(X, y)

    def theirs(n):
        SGDClassifier(**shared, max_iter=n).fit(X, y)

    few, many = SPAN if problem.describe()["stored"] > 5_000_000 else SPAN_OF_FEW
    calls = [lambda fit=fit, n=n: fit(n) for n in (1, few, many) for fit in (ours, theirs)]
    times = _in_turn(calls, rounds, f"{problem.name}: epochs, {rate}")
    slopes = (times[:, :, 4:] - times[:, :, 2:4]) / (many - few)
    whole = {"fit of 1": _ratio(times[0, :, :2]), f"fit of {many}": _ratio(times[0, :, 4:])}
    return _figures(name, EPOCH_TARGETS.get(name), slopes) | {"rate": rate, "whole": whole}


def pass_figures(problem, name, rounds):
    """One gradient with its value at the same point, of `Objective` and of NumPy."""
    ours = Objective("log_loss", problem.X, problem.y, alpha=problem.alpha, n_jobs=1)
    theirs = PlainObjective(problem)
    v = np.random.default_rng(0).standard_normal(ours.size) / np.sqrt(ours.size)
    v[:-1] /= (
        np.sqrt(
            problem.X.power(2).mean(axis=0)
            if sp.issparse(problem.X)
            else (problem.X**2).mean(axis=0)
        )
        + 1.0
    )
    calls = [lambda: ours.value_and_gradient(v), lambda: theirs.value_and_gradient(v)]
    times = _in_turn(calls, 3 * rounds, f"{problem.name}: passes")
    return _figures(name, PASS_TARGETS.get(name), times)


def _in_turn(calls, rounds, text):
    """Seconds by the clock and of the processor, (2, rounds, calls), after a warm call each."""
    times = np.empty((2, rounds, len(calls)))
    for call in calls:
        call()
    for r in range(rounds):
        progress(f"{text}, round {r + 1} of {rounds}")
        for c, call in enumerate(calls):
            begin = time.perf_counter(), time.process_time()
            call()
            times[:, r, c] = time.perf_counter() - begin[0], time.process_time() - begin[1]
    return times


def _figures(name, target, times):
    """Medians of both, ratio by the clock, ratio of processor time (a shared machine disturbs it
    less), and target.
    """
    return {
        "data": name,
        "ours": median(times[0, :, 0]),
        "theirs": median(times[0, :, 1]),
        "ratio": _ratio(times[0]),
        "cpu ratio": _ratio(times[1]),
        "target": target,
    }


def _ratio(times):
    return float(median(times[:, 0] / times[:, 1]))


def _text(figures, title, rival):
    header = [
        "data",
        "rate",
        "fastgd ms",
        f"{rival} ms",
        "ratio",
        "cpu ratio",
        "target",
        "whole fits",
    ]
    rows = []
    for f in figures:
        times = (f"{1000 * f[key]:.1f}" for key in ("ours", "theirs"))
        target = (
            "-"
            if f["target"] is None
            else f"{f['target']} {'met' if f['ratio'] <= f['target'] else 'MISSED'}"
        )
        whole = ", ".join(f"{what}: {ratio:.2f}" for what, ratio in f.get("whole", {}).items())
        rows.append(
            [
                f["data"],
                f.get("rate", "-"),
                *times,
                number(f["ratio"]),
                number(f["cpu ratio"]),
                target,
                whole,
            ]
        )
    return f"\n{title}\n{columns(rows, header)}"


def samples(figures):
    """Seconds of fastgd."""
    return {
        f"kernels fastgd {kind} {f['data']} {f.get('rate', '')}, s": [f["ours"]]
        for kind in ("epochs", "passes")
        for f in figures[kind]
    }
