"""Rivals from other packages, one small adapter each: how its objective is scaled, and what sets
its accuracy.

Seconds run from X and y as NumPy and SciPy hold them to the coefficients: what a package converts
is its own cost, as it is fastgd's. A package that is not installed is skipped by name.
"""

import numpy as np
import scipy.sparse as sp

from .problems import DEVIANCES, MULTINOMIAL
from .rivals import Answer, Rival, fitted, needs

MAX_FOR_MATRIX = 5000  # features of a method that forms a d x d matrix
MAX_FOR_DUAL = 60_000  # rows: one call on 581,012 raw ones took more than five minutes


def third_party_rivals():
    yield from _liblinear_rivals()
    yield from _cyanure_rivals()
    yield from _glum_rivals()
    yield from _snapml_rivals()
    yield from _skglm_rivals()
    yield Rival(
        "celer",
        _celer,
        needs("log_loss", l2=False, l1=True, intercept="none", package="celer"),
        "tol",
    )
    yield Rival(
        "glmnet",
        _glmnet,
        needs("log_loss", l2=False, l1=True, elastic_net=True, package="glmnet"),
        "tol",
    )
    yield from _sklearnex_rivals()


def _matrix(problem):
    """X as the older class of sparse matrices, which all of these packages know; nothing is
    copied.
    """
    X = problem.X
    return sp.csr_matrix((X.data, X.indices, X.indptr), shape=X.shape) if sp.issparse(X) else X


# --- liblinear-official

# Losses, the number of the solver with an L2 norm and with an L1 norm.
LIBLINEAR = {
    "primal": (
        {"log_loss": 0, "squared_hinge": 2, "squared_error": 11},
        {"log_loss": 6, "squared_hinge": 5},
    ),
    "dual": ({"log_loss": 7, "squared_hinge": 1, "hinge": 3, "squared_error": 12}, {}),
}


def _liblinear_rivals():
    for form, (l2, l1) in LIBLINEAR.items():

        def run(problem, budget, threads, l2=l2, l1=l1):
            """C (sum of losses) + penalty: C = 1 / (alpha n), and half of that for its squared
            errors, not halved.

            Accuracy by its tolerance -e. One thread. Squared error is its SVR with p = 0; -R frees
            the intercept.
            """
            from liblinear import liblinearutil

            C = (
                1.0
                / (problem.alpha * problem.shape[0])
                * (0.5 if problem.loss == "squared_error" else 1.0)
            )
            number = (l1 if problem.l1_ratio else l2)[problem.loss]
            # Violations of the dual are in units of its gradient: at 0.1, its default, the accuracy
            # may be 1e-6.
            eps = 10.0 * budget if number in (1, 3, 7) else budget
            options = f"-s {number} -c {C:.17g} -e {eps:.3g} -q" + " -p 0" * (number > 10)
            if problem.fit_intercept:
                options += " -B 1 -R"
            X = sp.csr_matrix(_matrix(problem))
            rows = liblinearutil.problem(problem.y, X, 1 if problem.fit_intercept else -1)
            model = liblinearutil.train(rows, options)
            w = np.ctypeslib.as_array(model.w, (X.shape[1] + problem.fit_intercept,)).copy()
            w *= -1.0 if problem.classification and model.label[0] < 0 else 1.0
            return Answer(w[: X.shape[1]], float(w[X.shape[1] :].sum()))

        needed = needs(
            *l2, package="liblinear", intercept="free" if form == "primal" else "penalised"
        )
        with_l1 = needs(*l1, l2=False, l1=True, package="liblinear")

        def why_not(problem, needed=needed, with_l1=with_l1, l1=l1, dual=form == "dual"):
            if dual and problem.shape[0] > MAX_FOR_DUAL:
                return (
                    f"its iterations have no cap: at most {MAX_FOR_DUAL} rows; the same in "
                    "scikit-learn has one"
                )
            return with_l1(problem) if problem.l1_ratio and l1 else needed(problem)

        yield Rival(f"liblinear/{form}", run, why_not, "tol")


# --- cyanure


def _cyanure_rivals():
    losses = {
        "log_loss": ("logistic", 1.0),
        "squared_hinge": ("sqhinge", 2.0),
        "squared_error": ("square", 1.0),
        MULTINOMIAL: ("multiclass-logistic", 1.0),
    }
    for solver in ("auto", "qning-miso", "catalyst-miso"):

        def run(problem, budget, threads, solver=solver):
            """The same mean loss and alpha, but half the squared hinge: half of alpha too. The
            intercept is free.

            Accuracy by tol, a relative duality gap looked at every 5 epochs (its default).
            """
            from cyanure.estimators import Classifier, Regression

            loss, factor = losses[problem.loss]
            # An epoch takes about 10 ns for a stored number; with its tolerance alone it can go on
            # for hours.
            most = min(
                max(problem.seconds_left() / (1e-8 * problem.describe()["stored"]), 10.0), 100_000.0
            )
            kind = {"loss": loss} if problem.classification else {}
            penalty = {"penalty": "l2", "lambda_1": problem.alpha / factor}
            if problem.l1_ratio:
                penalty = {"penalty": "l1", "lambda_1": problem.l1 / factor}
            if problem.l2 and problem.l1:
                penalty |= {"penalty": "elasticnet", "lambda_2": problem.l2 / factor}
            estimator = (Classifier if problem.classification else Regression)(
                **kind,
                **penalty,
                fit_intercept=problem.fit_intercept,
                tol=budget,
                solver=solver,
                max_iter=int(most),
                verbose=False,
                n_threads=threads,
            )
            estimator.fit(_matrix(problem), problem.y)
            intercept = np.ravel(estimator.intercept_) if problem.fit_intercept else np.zeros(1)
            if problem.n_outputs > 1:
                return Answer(np.transpose(estimator.coef_), intercept)
            return Answer(np.ravel(estimator.coef_), float(intercept[0]))

        yield Rival(
            f"cyanure/{solver}",
            run,
            needs(*losses, l1=True, elastic_net=True, package="cyanure"),
            "tol",
        )


# --- glum


def _glum_rivals():
    families = {
        "log_loss": "binomial",
        "squared_error": "normal",
        "poisson": "poisson",
        "gamma": "gamma",
        "tweedie": "tweedie (1.5)",
        "negative_binomial": "negative.binomial (1.0)",
        "inverse_gaussian": "inverse.gaussian",
        "binomial": "binomial",
    }
    for solver in ("irls-ls", "irls-cd", "lbfgs"):

        def run(problem, budget, threads, solver=solver):
            """The same F: half the deviance per row, alpha and l1_ratio; labels 0 and 1. Iterations
            are max_iter.
            """
            from glum import GeneralizedLinearRegressor

            estimator = GeneralizedLinearRegressor(
                family=families[problem.loss],
                alpha=problem.alpha,
                l1_ratio=problem.l1_ratio,
                solver=solver,
                fit_intercept=problem.fit_intercept,
                max_iter=budget,
                gradient_tol=1e-13,
                **({"link": "log"} if problem.loss in DEVIANCES else {}),
            )
            estimator.fit(
                _matrix(problem),
                (problem.y > 0.0).astype(float) if problem.classification else problem.y,
            )
            return Answer(
                np.ravel(estimator.coef_),
                float(estimator.intercept_) if problem.fit_intercept else 0.0,
            )

        matrix, sparse = solver != "lbfgs", solver == "irls-cd"
        needed = needs(
            *families,
            l2=not sparse,
            l1=sparse,
            elastic_net=sparse,
            package="glum",
            features=MAX_FOR_MATRIX if matrix else np.inf,
        )
        yield Rival(f"glum/{solver}", run, needed)


# --- snapml


def _snapml_rivals():
    for form in ("dual", "primal"):

        def run(problem, budget, threads, form=form):
            """Sum of losses + regularizer times the penalty: regularizer = alpha n. Iterations are
            max_iter; float32.
            """
            import snapml

            kinds = {
                "log_loss": (snapml.LogisticRegression, {"dual": form == "dual"}),
                "squared_error": (snapml.LinearRegression, {"dual": form == "dual"}),
                "hinge": (snapml.SupportVectorMachine, {"loss": "hinge"}),
                "squared_hinge": (snapml.SupportVectorMachine, {"loss": "squared_hinge"}),
            }
            kind, options = kinds[problem.loss]
            if problem.l1_ratio:
                options["penalty"] = "l1"
            estimator = kind(
                regularizer=problem.alpha * problem.shape[0],
                max_iter=budget,
                tol=1e-14,
                n_jobs=threads,
                fit_intercept=False,
                random_state=0,
                **options,
            )
            estimator.fit(_matrix(problem), problem.y)
            return Answer(np.ravel(estimator.coef_).astype(float), 0.0)

        svm = ("hinge", "squared_hinge") if form == "dual" else ()
        needed = needs(
            "log_loss",
            "squared_error",
            *svm,
            l1=form == "primal",
            intercept="penalised",
            package="snapml",
        )
        yield Rival(f"snapml/{form}", run, needed)


# --- skglm and celer, for penalties with an L1 norm


def _skglm_rivals():
    def sparse(problem, budget, threads):
        """The same F: mean loss, alpha and l1_ratio. Accuracy by tol, the violation of
        optimality. CSC inside.
        """
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Logistic, Quadratic
        from skglm.penalties import L1_plus_L2
        from skglm.solvers import AndersonCD, ProxNewton

        logistic = problem.loss == "log_loss"
        datafit = Logistic() if logistic else Quadratic()
        solver = (ProxNewton if logistic else AndersonCD)(
            tol=budget * problem.l1, max_iter=1000, fit_intercept=problem.fit_intercept
        )
        penalty = L1_plus_L2(problem.alpha, problem.l1_ratio)
        return fitted(GeneralizedLinearEstimator(datafit, penalty, solver), problem)

    def smooth(problem, budget, threads):
        """The same F with the L2 norm, by L-BFGS of SciPy on compiled passes. Iterations are
        max_iter.
        """
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Logistic
        from skglm.penalties import L2
        from skglm.solvers import LBFGS

        solver = LBFGS(budget, tol=1e-14)
        solver.fit_intercept = solver.warm_start = (
            False  # the estimator asks for what this solver does not have
        )
        return fitted(GeneralizedLinearEstimator(Logistic(), L2(problem.alpha), solver), problem)

    needed = needs(
        "log_loss", "squared_error", l2=False, l1=True, elastic_net=True, package="skglm"
    )
    yield Rival("skglm/sparse", sparse, needed, "tol")
    yield Rival("skglm/L-BFGS", smooth, needs("log_loss", intercept="none", package="skglm"))


def _celer(problem, budget, threads):
    """Sum of losses + |w|_1 / C: C = 1 / (alpha n). Accuracy by tol: its gap is tol log(2) in
    our units.
    """
    import celer

    estimator = celer.LogisticRegression(
        C=1.0 / (problem.alpha * problem.shape[0]), tol=budget, max_iter=1000
    )
    X = sp.csc_matrix(problem.X) if sp.issparse(problem.X) else np.asfortranarray(problem.X)
    estimator.fit(X, problem.y)
    return Answer(np.ravel(estimator.coef_), 0.0)


# --- python-glmnet


def _glmnet(problem, budget, threads):
    """The same F, one alpha, CSC inside. Accuracy by tol, the change of a coefficient."""
    import glmnet

    estimator = glmnet.LogitNet(
        alpha=problem.l1_ratio,
        lambda_path=np.array([problem.alpha]),
        standardize=False,
        fit_intercept=problem.fit_intercept,
        n_splits=0,
        tol=budget,
        max_iter=100_000,
    )
    X = sp.csc_matrix(problem.X) if sp.issparse(problem.X) else np.asfortranarray(problem.X)
    estimator.fit(X, problem.y)
    return Answer(np.ravel(estimator.coef_path_), float(np.ravel(estimator.intercept_path_)[0]))


# --- scikit-learn-intelex

# n_jobs sets the threads of oneDAL, which are TBB's and which threadpoolctl does not know.


def _sklearnex_rivals():
    def logistic(problem, budget, threads):
        """As scikit-learn's lbfgs, F n C for C = 1 / (alpha n), on oneDAL's passes. Iterations are
        max_iter.
        """
        from sklearnex.linear_model import LogisticRegression

        C = 1.0 / (problem.alpha * problem.shape[0])
        return fitted(
            LogisticRegression(
                C=C,
                tol=1e-14,
                max_iter=budget,
                fit_intercept=problem.fit_intercept,
                n_jobs=threads,
            ),
            problem,
        )

    def ridge(problem, budget, threads):
        """As scikit-learn's Ridge, 2 n F for alpha n; normal equations."""
        from sklearnex.linear_model import Ridge

        return fitted(
            Ridge(
                alpha=problem.alpha * problem.shape[0],
                fit_intercept=problem.fit_intercept,
                n_jobs=threads,
            ),
            problem,
        )

    yield Rival(
        "sklearnex/LogisticRegression",
        logistic,
        needs("log_loss", dense="always", package="sklearnex"),
    )
    yield Rival(
        "sklearnex/Ridge",
        ridge,
        needs("squared_error", dense="always", package="sklearnex"),
        "none",
    )
