"""Rivals: one small function for each way to minimise F, from X and y to coefficients.

Each is handed a problem, a budget (iterations, or a tolerance where that is what users set) and a
number of threads. Rules of their own for stopping are switched off, or set so tight that the budget
alone ends the run. A pass is one evaluation over all rows, of the value with its gradient or of a
curvature product; where a solver does not tell, passes are None.
"""

import numpy as np
import scipy.optimize
import sklearn
from sklearn import linear_model, svm

from .multinomial import objective_of
from .problems import CLASSIFICATION, CORNERED, DEVIANCES, EPSILON, LOSSES, MULTINOMIAL
from .rivals import Answer, Rival, choose_from, fitted, needs
from .third_party import MAX_FOR_MATRIX, third_party_rivals

SAID_BY_L1_RATIO = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)

# --- scipy.optimize.minimize

# Method: options without stopping rules, the option that counts iterations, whether it takes
# curvature, the most features. BFGS keeps a d x d matrix, SLSQP solves a dense system of d unknowns
# at each iteration.
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
        for form in ("numpy", "Objective"):

            def run(
                problem,
                budget,
                threads,
                method=method,
                options=options,
                counter=counter,
                curved=curvature,
                form=form,
            ):
                F = objective_of(problem) if form == "numpy" else _objective(problem, threads)
                found = scipy.optimize.minimize(
                    F.value_and_gradient,
                    F.start(),
                    jac=True,
                    method=method,
                    hessp=F.hessian_product if curved else None,
                    options={**options, counter: budget},
                )
                coef, intercept = F.split(found.x)
                if problem.n_outputs > 1:
                    return Answer(coef.T, intercept, F.passes)
                return Answer(coef, float(intercept), F.passes)

            yield Rival(f"scipy/{method}/{form}", run, needs(features=most, corners=False))


def _objective(problem, threads):
    """The gift: fastgd's compiled objective. The same F: mean loss + alpha / 2 |w|^2, the
    intercept free.
    """
    import fastgd

    loss = {
        "huber": fastgd.Huber,
        "squared_epsilon_insensitive": fastgd.SquaredEpsilonInsensitive,
    }.get(problem.loss)
    given = problem.loss if loss is None else loss(EPSILON)
    return fastgd.Objective(
        fastgd.Multinomial(problem.n_outputs) if problem.loss == MULTINOMIAL else given,
        problem.X,
        problem.y,
        alpha=problem.alpha,
        fit_intercept=problem.fit_intercept,
        n_jobs=threads,
    )


# --- scikit-learn


def _epochs(estimator):
    return float(np.max(estimator.n_iter_))


def _penalty(l1_ratio):
    """Of a LogisticRegression; before scikit-learn 1.8 l1_ratio alone says nothing."""
    if SAID_BY_L1_RATIO:
        return {"l1_ratio": l1_ratio}
    if l1_ratio in (0.0, 1.0):
        return {"penalty": "l1" if l1_ratio else "l2"}
    return {"penalty": "elasticnet", "l1_ratio": l1_ratio}


def _logistic(solver, **options):
    """C (sum of losses) + penalty, which is F n C for C = 1 / (alpha n); iterations are max_iter,
    tol is out of the way.
    """

    def run(problem, budget, threads):
        C = 1.0 / (problem.alpha * problem.shape[0]) if problem.alpha else np.inf
        estimator = linear_model.LogisticRegression(
            solver=solver,
            C=C,
            tol=1e-14,
            max_iter=budget,
            random_state=0,
            fit_intercept=problem.fit_intercept,
            **_penalty(problem.l1_ratio),
            **options,
        )
        return fitted(estimator, problem, _epochs if solver.startswith("sag") else None)

    return run


def _ridge(solver):
    """|y - z|^2 + a |w|^2, which is 2 n F for a = alpha n; iterations are max_iter, tol is out of
    the way.
    """

    def run(problem, budget, threads):
        estimator = linear_model.Ridge(
            alpha=problem.alpha * problem.shape[0],
            solver=solver,
            tol=1e-14,
            max_iter=budget,
            fit_intercept=problem.fit_intercept,
            random_state=0,
        )
        return fitted(estimator, problem, _epochs if solver.startswith("sag") else None)

    return run


# Losses, their estimator there, and its options.
GENERALISED = {
    "poisson": (linear_model.PoissonRegressor, {}),
    "gamma": (linear_model.GammaRegressor, {}),
    "tweedie": (linear_model.TweedieRegressor, {"power": 1.5}),
    "inverse_gaussian": (linear_model.TweedieRegressor, {"power": 3.0, "link": "log"}),
}


def _deviance(solver):
    """The same F, the same alpha: half the deviance per row; iterations are max_iter, tol is out of
    the way.
    """

    def run(problem, budget, threads):
        kind, more = GENERALISED[problem.loss]
        estimator = kind(
            alpha=problem.alpha,
            solver=solver,
            tol=1e-14,
            max_iter=budget,
            fit_intercept=problem.fit_intercept,
            **more,
        )
        return fitted(estimator, problem)

    return run


def _elastic_net(problem, budget, threads):
    """The same F, the same alpha; iterations are max_iter, tol is out of the way."""
    estimator = linear_model.ElasticNet(
        alpha=problem.alpha,
        l1_ratio=problem.l1_ratio,
        tol=1e-14,
        max_iter=budget,
        fit_intercept=problem.fit_intercept,
    )
    return fitted(estimator, problem)


def _linear_svm(dual):
    """C (sum of losses) + |w|^2 / 2: C = 1 / (alpha n); the intercept would be penalised."""

    def run(problem, budget, threads):
        C = 1.0 / (problem.alpha * problem.shape[0])
        kind = svm.LinearSVC if problem.classification else svm.LinearSVR
        estimator = kind(
            loss=problem.loss,
            C=C,
            dual=dual,
            tol=1e-14,
            max_iter=budget,
            fit_intercept=False,
            random_state=0,
            **({} if problem.classification else {"epsilon": EPSILON}),
        )
        return fitted(estimator, problem)

    return run


def _sgd(average):
    """The same F, the same alpha; on sparse X the intercept's steps are 0.01 of the others,
    which moves no optimum.
    """

    def run(problem, budget, threads):
        kind = linear_model.SGDClassifier if problem.classification else linear_model.SGDRegressor
        estimator = kind(
            loss=problem.loss,
            alpha=problem.alpha,
            epsilon=EPSILON,
            tol=None,
            max_iter=budget,
            average=average,
            penalty="elasticnet",
            l1_ratio=problem.l1_ratio,
            fit_intercept=problem.fit_intercept,
            random_state=0,
        )
        return fitted(estimator, problem, _epochs)

    return run


def _sklearn_rivals():
    for solver in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"):
        # newton-cholesky keeps a d x d matrix.
        needed = needs(
            "log_loss",
            MULTINOMIAL,
            l1=solver == "saga",
            elastic_net=solver == "saga",
            features=MAX_FOR_MATRIX if solver == "newton-cholesky" else np.inf,
        )
        yield Rival(f"sklearn/LogisticRegression/{solver}", _logistic(solver), needed)
    for dual in (False, True):
        needed = needs("log_loss", l1=not dual, intercept="penalised")
        name = "liblinear-dual" if dual else "liblinear"
        yield Rival(f"sklearn/LogisticRegression/{name}", _logistic("liblinear", dual=dual), needed)
    for dual in (False, True):
        form, cornered = ("dual", CORNERED) if dual else ("primal", ())
        needed = needs(
            "squared_hinge",
            *(loss for loss in cornered if loss in CLASSIFICATION),
            intercept="penalised",
        )
        yield Rival(f"sklearn/LinearSVC/{form}", _linear_svm(dual), needed)
        needed = needs(
            "squared_epsilon_insensitive",
            *(loss for loss in cornered if loss not in CLASSIFICATION),
            intercept="penalised",
        )
        yield Rival(f"sklearn/LinearSVR/{form}", _linear_svm(dual), needed)
    for solver in ("cholesky", "svd", "lsqr", "sparse_cg", "sag", "saga"):
        # These centre X, if they take sparse X at all; Cholesky forms a matrix of size d.
        direct = solver in ("cholesky", "svd")
        dense = (
            "always"
            if solver == "svd"
            else "with intercept"
            if solver in ("cholesky", "saga", "lsqr")
            else ""
        )
        needed = needs("squared_error", dense=dense, features=MAX_FOR_MATRIX if direct else np.inf)
        yield Rival(
            f"sklearn/Ridge/{solver}", _ridge(solver), needed, "none" if direct else "iterations"
        )
    for solver in ("lbfgs", "newton-cholesky"):
        most = MAX_FOR_MATRIX if solver == "newton-cholesky" else np.inf
        yield Rival(
            f"sklearn/deviance/{solver}", _deviance(solver), needs(*GENERALISED, features=most)
        )
    yield Rival(
        "sklearn/ElasticNet",
        _elastic_net,
        needs("squared_error", l2=False, l1=True, elastic_net=True),
    )
    other = "its scale is fitted too, and its losses are scaled by it: another objective"
    yield Rival("sklearn/HuberRegressor", None, lambda problem: needs("huber")(problem) or other)
    needed = needs(*(set(LOSSES) - {*DEVIANCES, "binomial"}), l1=True, elastic_net=True)
    yield Rival("sklearn/SGD", _sgd(False), needed)
    yield Rival("sklearn/SGD/average", _sgd(True), needed)


# --- fastgd


def _estimator(**options):
    """F is what the estimators minimise, with the same alpha; `tol` varies, or iterations where a
    solver is named.
    """

    def run(problem, budget, threads):
        import fastgd
        from fastgd.runtime.threads import count_threads

        kind = fastgd.GDClassifier if problem.classification else fastgd.GDRegressor
        settings = {"alpha": problem.alpha, "fit_intercept": problem.fit_intercept, **options}
        if problem.l1_ratio:
            settings |= {"penalty": "elasticnet", "l1_ratio": problem.l1_ratio}
        if problem.l1_ratio == 1.0:
            settings = {**settings, "penalty": "l1"}
        if options:
            settings |= {"tol": None, "max_iter": budget, "n_jobs": threads, "random_state": 0}
        else:
            settings |= {"tol": budget} | (
                {"n_jobs": threads} if threads != count_threads(None) else {}
            )
        if problem.loss == MULTINOMIAL:
            estimator = kind("log_loss", multi_class="multinomial", **settings)
        else:
            estimator = kind(problem.loss, **settings)
        return fitted(estimator, problem, lambda fitted: float(fitted.history_["passes"][-1]))

    return run


# Strategies that the table shows anyway; every other one has a name too, as in --solvers
# fastgd/newton/growing.
STRATEGIES = "lbfgs/full", "nesterov/full", "gd/full", "saga/auto", "gd/1", "gd/64", "adam/64"


def _fastgd_rivals():
    yield Rival("fastgd/default", _estimator(), needs(l1=True, elastic_net=True), "tol")
    yield from map(_strategy, STRATEGIES)


def _strategy(name):
    """The rival `SOLVER/BATCH_SIZE`; a pair that fastgd does not know fails with a message that
    lists those it does.
    """
    solver, _, batch_size = name.partition("/")
    size = (
        float(batch_size)
        if "." in batch_size
        else int(batch_size)
        if batch_size.isdigit()
        else batch_size or "auto"
    )
    return Rival(
        f"fastgd/{name}",
        _estimator(solver=solver, batch_size=size),
        needs(l1=True, elastic_net=True),
    )


_FAMILIES = _fastgd_rivals, _scipy_rivals, _sklearn_rivals, third_party_rivals
RIVALS = {rival.name: rival for family in _FAMILIES for rival in family()}


def choose(patterns):
    """Rivals that match one of the patterns, or all for None; any `fastgd/SOLVER/BATCH_SIZE` is
    made when asked for.
    """
    own = [
        p.removeprefix("fastgd/")
        for p in patterns or ()
        if p.startswith("fastgd/") and "*" not in p
    ]
    asked = {rival.name: rival for rival in map(_strategy, own) if rival.name not in RIVALS}
    return choose_from(RIVALS | asked, patterns)
