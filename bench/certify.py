"""Claims tried on random problems that are meant to break them: `python -m bench certify --seconds
600 --seed 1`.

Each problem of `hard_problems` is fitted by `auto` and by a few other solvers to the same tol. F of
every model is computed in double-double (`exact`), F* is at most the lowest F that anything found
(`lowest`), so what a model is above that is a lower bound of its true error. Findings are saved as
recipes: `certify --again FILE` runs one once more.

A false proof: `bound_kind_` is "proof" and the error is above the claim by more than 1 % and by
more than the truth's own rounding. A silent failure: the error is above 10 tol without a
ConvergenceWarning (and without a proof of tol, which would be a false one). `objective_` is wrong
beyond 1e-9 max(F, 1e-4 F0) + 8 eps (mean |loss'| (|x| . |coef| + |intercept|) + the terms of a
quadratic form). `auto` is beaten where it ends unproved above 10 tol, at a tol from 1e-6 to 1e-2,
and another solver with steps of its own proves tol in no more passes. The last entry of `history_`
is `objective_`. Solvers with steps of their own let no warning of NumPy's through. Under MCP and
SCAD nothing is proved, and what is claimed is true of how far from stationary the model is
(`stationary`).

A tenth of the fits go on from one of another problem (`warm_start`): another alpha, other columns,
rows or targets.

Separable data without a penalty, and condition numbers above 1e7 of the centred columns of unit
length, are counted apart and break no bar; so are targets that a constant model fits to rounding,
and estimates for losses that are not convex, which have several minima; proofs of these count.
"""

import contextlib
import dis
import itertools
import json
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.sparse as sp
from numba.core import event

from fastgd import ConvergenceWarning, GDClassifier, GDRegressor

from . import concave_problems, exact, hard_problems, joint_problems, lowest, report
from .stationary import Stationary

ESTIMATORS = {True: GDClassifier, False: GDRegressor}  # by whether there are classes
MAX_SECONDS = {"auto": 5.0, "tight": 3.0}  # of one fit
OTHERS_SECONDS = 2.0
COMPILED = 0.3  # seconds of a fit from which on it is run again for its time, if it ran out of that
ILL_CONDITIONED = 1e7
MAX_SAVED = 3e5  # values of X that are saved with a finding
MAX_FOR_CONDITION = 4e6  # values of X
EPS = float(np.finfo(float).eps)
KINDS = (
    "false proof",
    "false by rounding",
    "false stationarity",
    "silent failure",
    "silent one-row step",
    "wrong objective_",
    "last of history_",
    "auto beaten",
    "crash",
    "stray warning",
)
MAX_ROUNDING = (
    1e-13  # relative errors up to this are false by rounding: told apart, and not allowed either
)
# So many in a thousand are allowed; of the others none.
RATES = ("silent one-row step", "auto beaten")
ALLOWED_SHARE = 1e-3
BEATEN_TOL = 1e-6, 1e-2


@dataclass
class Fit:
    """What one fit claimed, and F of its model."""

    setting: dict
    kind: str
    seconds: float = 0.0
    refused: str = ""
    crash: str = ""
    warned: list = field(default_factory=list)
    stray: list = field(default_factory=list)  # other warnings, and where they were raised
    claims: dict = field(default_factory=dict)
    model: tuple | None = None
    value: exact.Value | None = None

    @property
    def silent(self):
        return "ConvergenceWarning" not in self.warned

    def proves(self, tol):
        return self.claims["bound_kind_"] == "proof" and self.claims["suboptimality_"] <= tol


@dataclass
class Finding:
    kind: str
    fit: Fit
    measured: dict


# Of this many blocks one has several predictions; of twice as many another has MCP or SCAD.
EVERY = 8


def order():
    """Numbers of the problems as they are tried."""
    one, several, concave = (
        itertools.count(first) for first in (0, joint_problems.FIRST, concave_problems.FIRST)
    )
    others = {EVERY - 1: several, EVERY + 3: concave, 2 * EVERY - 1: several}
    for block in itertools.count():
        numbers = others.get(block % (2 * EVERY), one)
        yield from (next(numbers) for _ in range(hard_problems.IN_A_ROW))


def problem_of(seed, index):
    """Problem number `index` of `seed`."""
    for of in (concave_problems, joint_problems):
        if index >= of.FIRST:
            return of.make(seed, index)
    return hard_problems.make(seed, index)


def truth_of(problem, fits):
    """What a problem's fits are judged by."""
    return (Stationary if "concave" in problem.structure else Truth)(problem, fits)


class Truth:
    """F0 and the lowest F known of a problem."""

    def __init__(self, problem, fits):
        of_constant = lowest.best_constant(problem)
        self.constant = of_constant.high
        self.nothing_left = lowest.is_rounding(problem, of_constant)
        models = [
            (one.value, one.setting["solver"], one.model) for one in fits if one.value is not None
        ]
        models += self._tight(problem)
        finite = sorted(
            (one for one in models if np.isfinite(one[0].high)), key=lambda one: one[0][:2]
        )
        for name, coef, intercept in lowest.candidates(
            problem, [model for _, _, model in finite[:1]]
        ):
            finite.append((exact.value(problem, coef, intercept), name, (coef, intercept)))
        self.value, self.by, self.model = min(
            finite, key=lambda one: one[0][:2], default=(None, "nothing", None)
        )

    @staticmethod
    def _tight(problem):
        others = (
            {"solver": "lbfgs"}
            if problem.loss.smooth and not problem.l1 and not problem.structure
            else {"solver": "newton"}
            if problem.n_predictions == 1
            else {"solver": "nesterov", "batch_size": "full"}
        )
        for setting in ({"solver": "auto"}, others):
            one = fit(problem, setting, tol=1e-12, seconds=MAX_SECONDS["tight"])
            if one.value is not None:
                yield one.value, f"{setting['solver']} to 1e-12", one.model

    @property
    def unit(self):
        return max(self.value.high, 1e-4 * self.constant)

    def excess(self, value):
        """(F less the lowest F, what that may be wrong by)."""
        return value.above(self.value), value.rounding + self.value.rounding

    def error(self, one):
        """A lower bound of a fit's relative error, in the unit of `suboptimality_`."""
        excess, rounding = self.excess(one.value)
        sure = excess - rounding
        return sure / self.unit if self.unit > 0.0 else (np.inf if sure > 0.0 else 0.0)


def fit(problem, setting, tol=None, seconds=None):
    """One fit: its claims, its warnings, and F of the model that it returned."""
    kind = hard_problems.kind_of(setting)
    seconds = seconds or MAX_SECONDS.get(kind, OTHERS_SECONDS)
    for again in (True, False):
        one, compiled = _fit_once(
            problem, setting, kind, problem.tol if tol is None else tol, seconds
        )
        if not (again and compiled > COMPILED and one.claims.get("stop_reason_") == "TIME"):
            break
    if one.model is not None:
        one.value = exact.value(problem, *one.model)
    return one


def _fit_once(problem, setting, kind, tol, seconds):
    p, one = problem, Fit(setting, kind)
    parameters = p.penalty_parameters
    if p.loss.name == "multinomial":  # what a solver does not take is refused, not one-vs-rest
        parameters["multi_class"] = "multinomial"
    given = {name: value for name, value in setting.items() if name != "after"}
    model = ESTIMATORS[p.classification](
        loss="log_loss" if p.loss.name == "multinomial" else p.loss,
        **parameters,
        fit_intercept=p.fit_intercept,
        tol=tol,
        max_time=seconds,
        random_state=0,
        n_jobs=1,
        **given,
    )
    if "after" in setting:
        _fit_earlier(model, p, setting["after"])
    compiled, start = _compiling(), time.perf_counter()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            model.fit(p.X, p.y, sample_weight=p.sample_weight, offset=p.offset)
        except ValueError as error:  # DivergenceError is one
            what = f"{type(error).__name__}: {error}"
            if _on_purpose(error):
                one.refused = what
            else:
                one.crash = what
        except Exception as error:
            one.crash = f"{type(error).__name__}: {error}"
    compiled = _compiling() - compiled
    one.seconds = time.perf_counter() - start - compiled
    one.warned = sorted({seen_one.category.__name__ for seen_one in seen if _counts(seen_one)})
    one.stray = sorted({_shown(seen_one) for seen_one in seen if _is_stray(seen_one)})
    if one.refused or one.crash:
        return one, compiled
    one.model = tuple(np.array(part, dtype=float) for part in (model.coef_, model.intercept_))
    one.claims = {
        "objective_": float(model.objective_),
        "suboptimality_": float(model.suboptimality_),
        "bound_kind_": model.bound_kind_,
        "converged_": bool(model.converged_),
        "stop_reason_": model.stop_reason_.name,
        "n_iter_": int(model.n_iter_),
        "passes": float(model.history_["passes"][-1]),
        "last": float(model.history_["objective"][-1]),
        "plan_": str(model.plan_).split(":")[0],
    }
    if not all(np.isfinite(part).all() for part in one.model):
        one.crash = "the model is not finite"
    return one, compiled


def _fit_earlier(model, problem, what):
    """Fit another problem first, from whose model and memory the fit goes on."""
    X, y, share = hard_problems.earlier(problem, what)
    alpha = model.alpha
    model.set_params(warm_start=True, alpha=share * alpha or 1.0)
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        model.fit(X, y, sample_weight=problem.sample_weight, offset=problem.offset)
    model.set_params(alpha=alpha)


def _on_purpose(error):
    """Whether a ValueError is a refusal: raised by a statement, and not by NumPy's or SciPy's code.

    LinAlgError is a ValueError, too, and so is what NumPy says of the greatest of no values.
    """
    where = error.__traceback__
    while where.tb_next is not None:
        where = where.tb_next
    theirs = where.tb_frame.f_globals.get("__name__", "").startswith(("numpy", "scipy"))
    return (
        not theirs and where.tb_frame.f_code.co_code[where.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    )


def _counts(seen):
    return issubclass(seen.category, ConvergenceWarning) or issubclass(
        seen.category, RuntimeWarning
    )


def _is_stray(seen):
    """Whether a warning came from numbers that ran away, and not from what is claimed."""
    return issubclass(seen.category, RuntimeWarning) and not issubclass(
        seen.category, ConvergenceWarning
    )


def _shown(seen):
    where = f"{Path(seen.filename).parent.name}/{Path(seen.filename).name}:{seen.lineno}"
    return f"{seen.category.__name__} at {where}: {seen.message}"


_timer = event.TimingListener()
event.register("numba:compiler_lock", _timer)


def _compiling():
    """Seconds that compiling and loading kernels took so far."""
    return _timer.duration if _timer.done else 0.0


def judge(problem, fits, truth):
    """Findings about the fits of a problem."""
    found = []
    for one in fits:
        if one.crash:
            found.append(Finding("crash", one, {"what": one.crash}))
        if one.stray and one.kind != "rates":
            found.append(Finding("stray warning", one, {"what": one.stray}))
        if one.value is None or truth.value is None:
            continue
        measured = {
            "F": one.value.high,
            "lowest F": truth.value.high,
            "lowest by": truth.by,
            "F0": truth.constant,
            "error": truth.error(one),
            "claim": one.claims["suboptimality_"],
        }
        judged = _of_stationary if isinstance(truth, Stationary) else _of_optimum
        found += judged(problem, one, fits, truth, measured)
        found += _of_objective(one, truth, measured)
    return found


def _of_optimum(problem, one, fits, truth, measured):
    """Findings about what is claimed of the optimum."""
    found, tol, claim = [], problem.tol, one.claims["suboptimality_"]
    excess, rounding = truth.excess(one.value)
    measured["rounding"] = rounding
    # No comparison with NaN is true: a proof of it, or of a model whose F is unknown, is false.
    unknown = bool(np.isnan([claim, excess]).any())
    false = unknown or excess > 1.01 * claim * truth.unit + rounding
    if one.claims["bound_kind_"] == "proof" and false:
        small = excess <= MAX_ROUNDING * truth.unit
        found.append(Finding("false by rounding" if small else "false proof", one, measured))
    else:
        found += _silent(one, tol, measured)
    far = not measured["error"] <= 10.0 * tol
    if one.setting["solver"] == "auto" and far and not one.proves(tol):
        better = _who_beats(one, fits, truth, tol)
        if better is not None:
            beaten = {"by": better.setting, "its passes": better.claims["passes"]}
            found.append(Finding("auto beaten", one, {**measured, **beaten}))
    return found


def _of_stationary(problem, one, fits, truth, measured):
    """The same where F is not convex: no optimum is proved, and none is claimed."""
    if one.claims["bound_kind_"] == "proof":
        return [Finding("false proof", one, measured)]
    if one.claims["bound_kind_"] == "stationarity" and truth.is_false(one):
        return [Finding("false stationarity", one, measured)]
    return _silent(one, problem.tol, measured)


def _silent(one, tol, measured):
    if measured["error"] <= 10.0 * tol or not one.silent or one.kind == "rates":
        return []
    return [
        Finding("silent one-row step" if one.kind == "rows" else "silent failure", one, measured)
    ]


def _of_objective(one, truth, measured):
    """Findings about `objective_` and the last of the history."""
    found = []
    off = abs(one.claims["objective_"] - one.value.high)
    allowed = 1e-9 * max(one.value.high, 1e-4 * truth.constant) + 8.0 * EPS * one.value.slack
    if not off <= allowed:
        found.append(Finding("wrong objective_", one, {**measured, "off": off, "allowed": allowed}))
    if one.claims["last"] != one.claims["objective_"]:
        off = one.claims["last"] - one.value.high
        found.append(Finding("last of history_", one, {**measured, "off": off}))
    return found


def _who_beats(auto, fits, truth, tol):
    """Another own solver's fit that proves tol in no more passes than `auto`, which does not."""
    if "max_iter" in auto.setting or not BEATEN_TOL[0] <= tol <= BEATEN_TOL[1]:
        return None
    for one in fits:
        able = (
            one.kind == "own"
            and one.value is not None
            and one.proves(tol)
            and truth.error(one) <= 1.01 * tol
        )
        if able and one.claims["passes"] <= auto.claims["passes"]:
            return one
    return None


NOT_CONVEX = "not convex"


def apart(problem, truth):
    """Why findings of this problem are counted apart, or ""."""
    if truth.nothing_left:
        return "a constant fits"
    if "concave" in problem.structure:
        return ""
    if not problem.loss.convex:
        return NOT_CONVEX
    if problem.classification and problem.l1 + problem.l2 == 0.0 and _separable(problem, truth):
        return "separable"
    condition = condition_number(problem)
    return "ill-conditioned" if condition is not None and condition > ILL_CONDITIONED else ""


def condition_number(problem):
    """Of the centred columns of unit length, without directions that are not there; None where X
    is too large.
    """
    if problem.X.shape[0] * problem.X.shape[1] > MAX_FOR_CONDITION:
        return None
    X = np.asarray(problem.X.toarray() if sp.issparse(problem.X) else problem.X, dtype=np.float64)
    if problem.fit_intercept:
        X = X - X[:1]  # exact for columns far from zero
        X = X - X.mean(axis=0)
    length = np.sqrt((X**2).sum(axis=0))
    X = X[:, length > 0.0] / length[length > 0.0]
    values = np.linalg.svd(X, compute_uv=False) if X.size else np.ones(1)
    values = values[values > 1e-14 * max(X.shape) * values[0]]
    return float(values[0] / values[-1])


def _separable(problem, truth):
    """Whether some direction takes no row's margin down and one's up: F falls along it for ever."""
    p = problem
    if truth.model is not None:
        coef, intercept = truth.model
        z = np.array([exact.products(p.X, one)[0][0] for one in coef]) + intercept[:, None]
        if (_margins(p, z)[:, p.weights > 0.0] > 0.0).all():
            return True
    if p.X.shape[0] * p.X.shape[1] * p.n_predictions**2 > lowest.MAX_FOR_PROGRAM:
        return truth.value.high <= 1e-3 * truth.constant
    F = lowest.Centred(p)
    A = np.column_stack([F.Z, np.ones(len(p.y))]) if p.fit_intercept else F.Z
    # Margins as products with the unknowns of all predictions.
    units = np.eye(p.n_predictions)
    columns = [_margins(p, np.outer(unit, column)) for unit in units for column in A.T]
    A = np.stack(columns, axis=-1)[:, p.weights > 0.0].reshape(-1, len(columns))
    found = scipy.optimize.linprog(
        -A.sum(axis=0),
        A_ub=np.vstack([-A, A]),
        b_ub=np.append(np.zeros(len(A)), np.ones(len(A))),
        bounds=(None, None),
        method="highs",
        options={"time_limit": 2.0},
    )
    return found.x is not None and -found.fun > 1e-6


def _margins(problem, z):
    """What each row's own score is above the others, (K - 1, n), of scores (K, n); of one score
    what it is on its own side of 0.
    """
    if problem.n_predictions == 1:
        return problem.y * z
    own, rows = problem.y.astype(int), np.arange(len(problem.y))
    others = (own + np.arange(1, len(z))[:, None]) % len(z)
    return z[own, rows] - z[others, rows]


@dataclass
class Tally:
    """What a run has counted so far."""

    problems: int = 0
    fits: Counter = field(default_factory=Counter)
    autos: int = 0  # at a tol where `auto` must not be beaten
    refused: Counter = field(default_factory=Counter)
    refusals: dict = field(default_factory=dict)
    diverged: Counter = field(default_factory=Counter)  # with steps of their own
    stray: Counter = field(default_factory=Counter)
    proofs: Counter = field(default_factory=Counter)
    seconds: dict = field(default_factory=lambda: defaultdict(list))
    found: Counter = field(default_factory=Counter)
    apart: Counter = field(default_factory=Counter)
    by_solver: Counter = field(default_factory=Counter)

    def take(self, problem, fits):
        self.problems += 1
        for one in fits:
            self.fits[one.kind] += 1
            self.seconds[one.kind].append(one.seconds)
            if one.refused:
                self.refused[one.kind] += 1
                self.refusals.setdefault(one.refused[:60], one.setting | {"index": problem.index})
                self.diverged[_name(one.setting)] += one.kind != "rates" and one.refused.startswith(
                    "DivergenceError"
                )
            elif one.claims:
                self.proofs[one.kind] += one.proves(problem.tol)
            self.stray.update(name for name in one.warned if name != "ConvergenceWarning")
        self.autos += BEATEN_TOL[0] <= problem.tol <= BEATEN_TOL[1]

    def broken(self):
        """Bars that are broken, as text."""
        of = {"silent one-row step": self.fits["rows"], "auto beaten": self.autos}
        most = {
            kind: max(1.0, ALLOWED_SHARE * of[kind]) if kind in RATES else 0.0 for kind in KINDS
        }
        over = [kind for kind in KINDS if self.found[kind] > most[kind]]
        return [f"{kind}: {self.found[kind]}, allowed {int(most[kind])}" for kind in over]


def run(options):
    """Try problems until time or fits are used up; returns whether every bar holds."""
    folder = Path(options.out) / "certify"
    tally = Tally()
    begin = time.perf_counter()
    compiled = _compiling()
    for index in order():
        if (
            time.perf_counter() - begin >= options.seconds
            or sum(tally.fits.values()) >= options.fits
        ):
            break
        problem = problem_of(options.seed, index)
        share = (time.perf_counter() - begin) / options.seconds
        report.progress(
            f"{sum(tally.fits.values())} fits, {sum(tally.found.values())} findings", share
        )
        fits = _fits(problem, begin + options.seconds if index else np.inf)
        if fits is None:
            break
        tally.take(problem, fits)
        truth = truth_of(problem, fits)
        findings = judge(problem, fits, truth)
        why = apart(problem, truth) if findings else ""
        for finding in findings:
            claimed = why == NOT_CONVEX and not finding.kind.startswith("silent")
            (tally.apart if why and not claimed else tally.found)[finding.kind] += 1
            tally.by_solver[finding.kind, _name(finding.fit.setting), why] += 1
            path = save(folder, problem, finding, why, [one.setting for one in fits])
            told = [key for key in ("error", "claim", "off") if key in finding.measured]
            measured = [f"{key} {finding.measured[key]:.2g}" for key in told]
            measured += [str(finding.measured["what"])] if "what" in finding.measured else []
            print(f"{path.stem} ({why})" if why else path.stem, *measured, flush=True)
    report.progress("")
    _print(tally, time.perf_counter() - begin, _compiling() - compiled, options.seed)
    content = {
        "seed": options.seed,
        "problems": tally.problems,
        "fits": dict(tally.fits),
        "found": dict(tally.found),
        "apart": dict(tally.apart),
        "refused": dict(tally.refused),
        "refusals": tally.refusals,
        "by solver": [[*key, count] for key, count in tally.by_solver.most_common()],
    }
    report.save(folder, f"seed-{options.seed}", content, {})
    return not tally.broken()


def _fits(problem, deadline):
    """All fits of a problem, or None where the time is over before the last one: it counts as a
    whole or not at all.
    """
    found = []
    for setting in hard_problems.settings(problem):
        if time.perf_counter() >= deadline:
            return None
        found.append(fit(problem, setting))
    return found


def _name(setting):
    parts = [
        setting["solver"],
        *(str(setting[key]) for key in ("batch_size", "learning_rate", "after") if key in setting),
    ]
    return "/".join(parts)


def save(folder, problem, finding, why, settings):
    """Write the recipe of a finding, and its data where they are not large; returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{finding.kind} {problem.seed}-{problem.index} {_name(finding.fit.setting)}"
    path = folder / f"{name.replace(' ', '_').replace('/', '-')}.json"
    content = {
        "kind": finding.kind,
        "apart": why,
        "seed": problem.seed,
        "index": problem.index,
        "setting": finding.fit.setting,
        "settings": settings,
        "problem": problem.describe(),
        "claims": finding.fit.claims,
        "measured": finding.measured,
        "data": problem.print_of_data(),
    }
    path.write_text(json.dumps(content, indent=1, default=float))
    if problem.stored <= MAX_SAVED:
        problem.save(path.with_suffix(".npz"))
    return path


def again(path):
    """Run a saved finding once more; returns whether it is gone."""
    saved = json.loads(Path(path).read_text())
    seed = saved["seed"]
    index = saved["index"]
    data = Path(path).with_suffix(".npz")
    if data.is_file():
        problem = hard_problems.load(data, saved["problem"], seed, index)
    else:
        problem = problem_of(seed, index)
    if problem.print_of_data() != saved["data"]:
        raise SystemExit(f"{path} was made by another generator: number {index} is other data now")
    fits = [fit(problem, setting) for setting in saved["settings"]]
    truth = truth_of(problem, fits)
    print(json.dumps(problem.describe(), default=str))
    print(f"F0 {truth.constant:.10g}, lowest F {truth.value.high:.17g} by {truth.by}")
    findings = judge(problem, fits, truth)
    for one in fits:
        kinds = ", ".join(finding.kind for finding in findings if finding.fit is one)
        error = (
            f"error {truth.error(one):.3g}" if one.value is not None else one.refused or one.crash
        )
        print(f"{_name(one.setting)}: {error} {kinds.upper()}")
        print(f"    {one.claims} {one.warned} {one.stray}")
    same = [
        one for one in findings if one.fit.setting == saved["setting"] and one.kind == saved["kind"]
    ]
    print("found again" if same else "gone")
    return not same


def _print(tally, seconds, compiled, seed):
    fits = f"{sum(tally.fits.values())} fits of {tally.problems} problems"
    print(f"\nseed {seed}: {fits} in {seconds:.0f} s, {compiled:.0f} s of them for kernels\n")
    rows = []
    for kind, count in tally.fits.items():
        milliseconds = 1e3 * np.median(tally.seconds[kind])
        rows.append(
            [
                kind,
                *map(str, (count, tally.proofs[kind], tally.refused[kind])),
                f"{milliseconds:.3g}",
            ]
        )
    print(report.columns(rows, ["solvers", "fits", "proved to tol", "refused", "median ms"]))
    print()
    print(
        report.columns(
            [[kind, str(tally.found[kind]), str(tally.apart[kind])] for kind in KINDS],
            ["finding", "count", "apart"],
        )
    )
    if tally.by_solver:
        print()
        rows = [
            [kind, name, why or "-", str(count)]
            for (kind, name, why), count in tally.by_solver.most_common()
        ]
        print(report.columns(rows, ["finding", "solver", "apart", "count"]))
    for text, where in tally.refusals.items():
        print(f"refused, for example {where}: {text}")
    if +tally.diverged:
        print("diverged with automatic rates:", dict(+tally.diverged))
    if tally.stray:
        print("other warnings:", dict(tally.stray))
    for text in tally.broken():
        print(f"BROKEN {text}")
