"""What a rival is: a function from a problem and a budget to coefficients, and what it can and
cannot do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec

import numpy as np
import scipy.sparse as sp

from .problems import CORNERED

NOT_INSTALLED = "is not installed"


@dataclass(frozen=True)
class Answer:
    coef: np.ndarray  # (d,), of K classes (K, d)
    intercept: float | np.ndarray
    passes: float | None = None
    estimator: object = None

    def about(self):
        """What an estimator of fastgd tells of its fit, for the table; nothing for others."""
        e = self.estimator
        if not hasattr(e, "plan_"):
            return {}
        history = {name: np.asarray(values).tolist() for name, values in e.history_.items()}
        return {
            "plan": str(e.plan_),
            "bound": float(e.suboptimality_),
            "kind": str(e.bound_kind_),
            "history": history,
        }


@dataclass(frozen=True)
class Rival:
    """A way to minimise F: `run(problem, budget, threads)`; `why_not(problem)` says why it is
    skipped, or nothing.
    """

    name: str
    run: Callable
    why_not: Callable = lambda problem: None
    budget: str = "iterations"  # or "tol", or "none" for a direct solver


def needs(
    *losses,
    l2=True,
    l1=False,
    elastic_net=False,
    intercept="free",
    dense="",
    features=np.inf,
    package=None,
    corners=True,
):
    """A `why_not` from what a rival can do: its losses (none: all), its penalties, and what it
    does to an intercept.
    """

    def why_not(problem):
        if package is not None and find_spec(package) is None:
            return NOT_INSTALLED
        if not corners and problem.loss in CORNERED:
            return "needs a derivative everywhere"
        if losses and problem.loss not in losses:
            return f"has no loss {problem.loss}"
        kind, can = ("l2", l2) if not problem.l1_ratio else ("elastic net", elastic_net)
        kind, can = ("l1", l1) if problem.l1_ratio == 1.0 else (kind, can)
        if not can:
            return f"has no penalty {kind} for this loss"
        if problem.fit_intercept and intercept == "penalised":
            return "penalises the intercept, another objective: compare with --no-intercept"
        if problem.fit_intercept and intercept == "none":
            return "has no intercept"
        if sp.issparse(problem.X) and (
            dense == "always" or (dense == "with intercept" and problem.fit_intercept)
        ):
            return "needs dense X"
        if problem.shape[1] * problem.n_outputs > features:
            return f"costs d^2 and more: at most {features:g} features"
        return None

    return why_not


def fitted(estimator, problem, passes=None):
    """The answer of an estimator of scikit-learn's kind."""
    estimator.fit(problem.X, problem.y)
    several = problem.n_outputs > 1
    intercept = np.ravel(estimator.intercept_) if problem.fit_intercept else np.zeros(1)
    return Answer(
        estimator.coef_ if several else np.ravel(estimator.coef_),
        intercept if several else float(intercept[0]),
        passes(estimator) if passes else None,
        estimator,
    )


def choose_from(rivals, patterns):
    """Rivals that match one of the patterns: `fastgd`, `scipy/L-BFGS-B`, `*/Objective`; all for
    None.
    """
    if patterns is None:
        return list(rivals.values())
    chosen = {}
    for pattern in patterns:
        found = {
            name: r
            for name, r in rivals.items()
            if fnmatchcase(name, pattern) or name.startswith(f"{pattern}/")
        }
        if not found:
            raise SystemExit(f"--solvers: nothing matches {pattern!r}; known: {', '.join(rivals)}")
        chosen |= found
    return list(chosen.values())
