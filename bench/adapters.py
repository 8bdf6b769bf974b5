"""Rivals: one small function for each way to minimise F, from X and y to coefficients.

Each is handed a problem, a budget (turns, or a tolerance where that is what users set) and a number of threads. Rules
of their own for stopping are switched off, or set so tight that the budget alone ends the run. A pass is one evaluation
over all rows, of the value with its gradient or of a curvature product; where a solver does not tell, passes are None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import scipy.optimize
import scipy.sparse as sp
from sklearn import linear_model, svm

import fastgd

from .problems import EPSILON, PlainObjective


@dataclass(frozen=True)
class Answer:
    coef: np.ndarray
    intercept: float
    passes: float | None = None


@dataclass(frozen=True)
class Rival:
    """A way to minimise F: `run(problem, budget, threads)`; `why_not(problem)` says why it is skipped, or nothing."""

    name: str
    run: Callable
    why_not: Callable = lambda problem: None
    budget: str = "turns"  # or "tol", or "none" for a direct solver


# --- scipy.optimize.minimize

# Method: options without stopping rules, the option that counts turns, whether it takes curvature, the most features.
# BFGS keeps a d x d matrix, SLSQP solves a dense system of d unknowns at each turn.
METHODS = {
    "L-BFGS-B": ({"ftol": 0.0, "gtol": 0.0, "maxfun": 10**9}, "maxiter", False, np.inf),
    "CG": ({"gtol": 0.0}, "maxiter", False, np.inf),
    "BFGS": ({"gtol": 0.0}, "maxiter", False, 1000),
    "Newton-CG": ({"xtol": 0.0}, "maxiter", True, np.inf),
    "TNC": ({"ftol": 0.0, "gtol": 0.0, "xtol": 0.0}, "maxfun", False, np.inf),
    "trust-ncg": ({"gtol": 0.0}, "maxiter", True, np.inf),
    "trust-krylov": ({"gtol": 0.0, "inexact": True}, "maxiter", True, np.inf),
    "SLSQP": ({"ftol": 1e-300}, "maxiter", False, 150),
}


def _scipy_rivals():
    for method, (options, counter, curvature, most) in METHODS.items():

        def why_not(problem, method=method, most=most):
            return f"{method} costs d^2 and more: at most {most} features" if problem.shape[1] > most else None

        for form in ("numpy", "Objective"):

            def run(
                problem, budget, threads, method=method, options=options, counter=counter, curved=curvature, form=form
            ):
                F = PlainObjective(problem) if form == "numpy" else _objective(problem, threads)
                found = scipy.optimize.minimize(
                    F.value_and_gradient, F.start(), jac=True, method=method,
                    hessp=F.hessian_product if curved else None, options={**options, counter: budget},
                )  # fmt: skip
                coef, intercept = F.split(found.x)
                return Answer(coef, float(intercept), F.passes)

            yield Rival(f"scipy/{method}/{form}", run, why_not)


def _objective(problem, threads):
    """The gift: fastgd's compiled objective. The same F: mean loss + alpha / 2 |w|^2, the intercept free."""
    loss = {"huber": fastgd.Huber, "squared_epsilon_insensitive": fastgd.SquaredEpsilonInsensitive}.get(problem.loss)
    return fastgd.Objective(
        problem.loss if loss is None else loss(EPSILON), problem.X, problem.y, alpha=problem.alpha,
        fit_intercept=problem.fit_intercept, n_jobs=threads,
    )  # fmt: skip


# --- scikit-learn


def _fitted(estimator, problem, passes=None):
    estimator.fit(problem.X, problem.y)
    intercept = np.ravel(estimator.intercept_)[0] if problem.fit_intercept else 0.0
    return Answer(np.ravel(estimator.coef_), float(intercept), passes(estimator) if passes else None)


def _epochs(estimator):
    return float(np.max(estimator.n_iter_))


def _only(*losses):
    return lambda problem: None if problem.loss in losses else f"has no loss {problem.loss}"


def _free_intercept_needed(loss):
    def why_not(problem):
        if problem.loss != loss:
            return f"has no loss {problem.loss}"
        return (
            "penalises the intercept, another objective: compare with --no-intercept" if problem.fit_intercept else None
        )

    return why_not


def _logistic(solver):
    """C sum(loss) + |w|^2 / 2, which is F n C for C = 1 / (alpha n)."""

    def run(problem, budget, threads):
        C = 1.0 / (problem.alpha * problem.shape[0]) if problem.alpha else np.inf
        estimator = linear_model.LogisticRegression(
            solver=solver, C=C, tol=1e-14, max_iter=budget, fit_intercept=problem.fit_intercept, random_state=0
        )
        return _fitted(estimator, problem, _epochs if solver.startswith("sag") else None)

    return run


def _ridge(solver):
    """|y - z|^2 + a |w|^2, which is 2 n F for a = alpha n."""

    def run(problem, budget, threads):
        estimator = linear_model.Ridge(
            alpha=problem.alpha * problem.shape[0], solver=solver, tol=1e-14, max_iter=budget,
            fit_intercept=problem.fit_intercept, random_state=0,
        )  # fmt: skip
        return _fitted(estimator, problem, _epochs if solver.startswith("sag") else None)

    def why_not(problem):
        if problem.loss != "squared_error":
            return f"has no loss {problem.loss}"
        dense_only = solver == "svd" or (solver in ("cholesky", "saga", "lsqr") and problem.fit_intercept)
        return "needs dense X" if sp.issparse(problem.X) and dense_only else None

    return run, why_not


def _linear_svc(problem, budget, threads):
    """C sum(loss) + |w|^2 / 2: C = 1 / (alpha n)."""
    C = 1.0 / (problem.alpha * problem.shape[0])
    estimator = svm.LinearSVC(loss="squared_hinge", C=C, dual=False, tol=1e-14, max_iter=budget, fit_intercept=False)
    return _fitted(estimator, problem)


def _sgd(average):
    """The same F, the same alpha; on sparse X the intercept's steps are 0.01 of the others, which moves no optimum."""

    def run(problem, budget, threads):
        kind = linear_model.SGDClassifier if problem.classification else linear_model.SGDRegressor
        estimator = kind(
            loss=problem.loss, alpha=problem.alpha, epsilon=EPSILON, tol=None, max_iter=budget, average=average,
            fit_intercept=problem.fit_intercept, random_state=0,
        )  # fmt: skip
        return _fitted(estimator, problem, _epochs)

    return run


def _sklearn_rivals():
    for solver in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"):
        yield Rival(f"sklearn/LogisticRegression/{solver}", _logistic(solver), _only("log_loss"))
    liblinear = _free_intercept_needed("log_loss")
    yield Rival("sklearn/LogisticRegression/liblinear", _logistic("liblinear"), liblinear)
    yield Rival("sklearn/LinearSVC", _linear_svc, _free_intercept_needed("squared_hinge"))
    for solver in ("cholesky", "svd"):
        yield Rival(f"sklearn/Ridge/{solver}", *_ridge(solver), "none")
    for solver in ("lsqr", "sparse_cg", "sag", "saga"):
        yield Rival(f"sklearn/Ridge/{solver}", *_ridge(solver))
    other = "its scale is fitted too, and its losses are scaled by it: another objective"
    yield Rival("sklearn/HuberRegressor", None, lambda problem: other if problem.loss == "huber" else _only()(problem))
    yield Rival("sklearn/SGD", _sgd(False))
    yield Rival("sklearn/SGD/average", _sgd(True))


# --- fastgd


def _estimator(**options):
    """F is what the estimators minimise, with the same alpha."""

    def run(problem, budget, threads):
        kind = fastgd.GDClassifier if problem.classification else fastgd.GDRegressor
        tol, max_iter = (budget, 100_000) if isinstance(budget, float) else (None, budget)
        estimator = kind(
            problem.loss, alpha=problem.alpha, fit_intercept=problem.fit_intercept, n_jobs=threads, random_state=0,
            tol=tol, max_iter=max_iter, **options,
        )  # fmt: skip
        return _fitted(estimator, problem, lambda fitted: float(fitted.history_["passes"][-1]))

    return run


def _fastgd_rivals():
    yield Rival("fastgd/default", _estimator(), budget="tol")
    for solver, batch_size in (
        ("nesterov", "full"), ("gd", "full"), ("gd", 1), ("gd", 64), ("adam", 64), ("adagrad", 1),
    ):  # fmt: skip
        yield Rival(f"fastgd/{solver}/{batch_size}", _estimator(solver=solver, batch_size=batch_size))


RIVALS = {rival.name: rival for rival in (*_fastgd_rivals(), *_scipy_rivals(), *_sklearn_rivals())}


def choose(patterns):
    """Rivals that match one of the patterns: `fastgd`, `scipy/L-BFGS-B`, `*/Objective`; all for None."""
    if patterns is None:
        return list(RIVALS.values())
    chosen = {}
    for pattern in patterns:
        found = {name: r for name, r in RIVALS.items() if fnmatchcase(name, pattern) or name.startswith(f"{pattern}/")}
        if not found:
            raise SystemExit(f"--solvers: nothing matches {pattern!r}; known: {', '.join(RIVALS)}")
        chosen |= found
    return list(chosen.values())
