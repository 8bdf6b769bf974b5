"""The problems of `same`: the suite's cases, scikit-learn's data sets, and random ones.

The random ones are benign: where a problem is ill-conditioned, a last bit that differs takes two
runs apart, and nothing is learned about the code. They go through losses and storages in turn, for
each pair of them compiles kernels of its own.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import sklearn.datasets

from .cases import CASES
from .problems import MULTINOMIAL

CLASSES = ("log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron")
NUMBERS = (
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "quantile",
    "Expectile",
    "Squares",
)
CORNERED = ("hinge", "perceptron", "epsilon_insensitive", "quantile")
# Every loss on dense rows and on CSR, three of them on what is left.
PAIRS = [
    *itertools.product((*CLASSES, *NUMBERS), ("dense", "csr")),
    *itertools.product(("log_loss", "squared_error", "hinge"), ("float32", "strided", "F")),
]
IN_A_ROW = 4
SMALL = {
    "iris": "GDClassifier",
    "wine": "GDClassifier",
    "breast_cancer": "GDClassifier",
    "digits": "GDClassifier",
    "diabetes": "GDRegressor",
    "linnerud": "GDRegressor",
}
# Random solvers are seeded; what is not there after so many iterations is compared as it is.
MAX_ITERATIONS = {"full": 200, "rows": 30}


@dataclass
class Fit:
    """One fit, as arrays and settings that any version of fastgd understands."""

    name: str
    estimator: str
    X: object
    y: np.ndarray
    parameters: dict
    storage: str = "as it is"
    rows: dict = field(default_factory=dict)

    @property
    def tol(self):
        return self.parameters.get("tol", 1e-4)

    def request(self):
        parameters = {"random_state": 0, "n_jobs": 1, **self.parameters}
        return {
            "estimator": self.estimator,
            "X": self.X,
            "y": self.y,
            "storage": self.storage,
            "parameters": parameters,
            **self.rows,
        }


def of_suite(say=print, tols=(1e-4, 1e-6), cases=CASES):
    """Fits of the suite's cases, or of some of them, those whose data are there."""
    for case in cases:
        try:
            problem = case.problem()
        except (SystemExit, OSError) as error:
            say(f"{case.name}: skipped, {error}")
            continue
        classes = problem.classification
        parameters = {
            "loss": "log_loss" if problem.loss == MULTINOMIAL else problem.loss,
            "penalty": "elasticnet",
            "alpha": problem.alpha,
            "l1_ratio": problem.l1_ratio,
            "fit_intercept": problem.fit_intercept,
        }
        for tol in tols:
            yield Fit(
                f"{case.name}, tol {tol:g}",
                "GDClassifier" if classes else "GDRegressor",
                problem.X,
                problem.y,
                {**parameters, "tol": tol},
            )


def of_sklearn(names=tuple(SMALL)):
    """Fits of scikit-learn's data sets, by default and by a few solvers."""
    own = [
        {},
        {"tol": 1e-8},
        {"penalty": "l1", "alpha": 1e-3},
        {"solver": "newton"},
        {"solver": "lbfgs"},
        {"solver": "sdca", "max_iter": MAX_ITERATIONS["rows"]},
        {"solver": "saga", "max_iter": MAX_ITERATIONS["rows"]},
        {"solver": "gd", "batch_size": "full", "max_iter": MAX_ITERATIONS["full"]},
        {"solver": "adam", "batch_size": 16, "max_iter": MAX_ITERATIONS["rows"]},
    ]
    for name in names:
        X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        y = y if y.ndim == 1 else y[:, 0]
        for parameters in own:
            shown = ", ".join(f"{key} {value}" for key, value in parameters.items())
            yield Fit(f"{name}, {shown or 'default'}", SMALL[name], X, y, parameters)


def random(count, seed=0):
    """`count` fits over losses, storages, penalties and solvers."""
    for index in range(count):
        yield one_random(seed, index)


def one_random(seed, index):
    """Fit number `index` of a seed: the same on every machine."""
    rng = np.random.default_rng([seed, index])
    loss, storage = PAIRS[index // IN_A_ROW % len(PAIRS)]
    X = _columns(rng, storage)
    score = X @ (rng.normal(size=X.shape[1]) * (rng.random(X.shape[1]) < 0.5))
    score = score / (score.std() or 1.0) + rng.choice([0.1, 1.0]) * rng.normal(size=score.size)
    classes = loss in CLASSES
    if classes:
        cuts = [0.4, 0.7] if rng.random() < 0.15 else [rng.choice([0.1, 0.5])]
        y = np.searchsorted(np.quantile(score, cuts), score)
    else:
        y = 10.0 ** rng.uniform(-1, 2) * score + rng.choice([0.0, 10.0])
        if loss == "Squares":  # a loss of several predictions
            y = np.column_stack([y, np.abs(score)])
    rows = {}
    if rng.random() < 0.2:
        rows["sample_weight"] = rng.uniform(0.1, 2.0, size=score.size)
    if rng.random() < 0.1 and loss != "Squares" and not (classes and len(cuts) > 1):
        rows["offset"] = rng.normal(size=score.size)
    penalty = [None, "l2", "l1", "elasticnet", ["WeightedL1"]][
        rng.choice(5, p=[0.1, 0.45, 0.2, 0.15, 0.1])
    ]
    parameters = {
        "loss": {
            "quantile": ["Quantile", 0.8],
            "Expectile": ["Expectile", 0.3],
            "Squares": ["Squares"],
        }.get(loss, loss),
        "penalty": penalty,
        "alpha": float(10.0 ** rng.uniform(-1, 2) / score.size),
        "fit_intercept": bool(rng.random() < 0.75),
        "tol": float(10.0 ** -rng.choice([2, 4, 6, 8])),
        **_solver(rng, loss, penalty),
    }
    solver = parameters.get("solver", "auto")
    shown = penalty[0] if isinstance(penalty, list) else penalty
    name = f"random {index}: {loss}, {shown}, {storage}, {solver}"
    estimator = "GDClassifier" if classes else "GDRegressor"
    return Fit(name, estimator, X, y, parameters, storage, rows)


def _columns(rng, storage):
    n = int(10.0 ** rng.uniform(1.3, 3.3))
    if storage == "csr":
        d = int(10.0 ** rng.uniform(0.5, 3.3))
        each = int(rng.integers(1, 20))
        column = rng.zipf(1.3, n * each) % d
        values = rng.normal(size=n * each) if rng.random() < 0.5 else np.ones(n * each)
        row = np.repeat(np.arange(n), each)
        return sp.coo_array((values, (row, column)), shape=(n, d)).tocsr()
    d = int(10.0 ** rng.uniform(0.0, 2.0))
    X = rng.normal(size=(n, d)) + 0.5 * rng.normal(size=(n, 1))
    kind = rng.choice(["normal", "scaled", "binary", "shifted"])
    if kind == "scaled":
        X *= 10.0 ** rng.uniform(-1, 1, size=d)
    elif kind == "binary":
        X = (rng.uniform(-1, 1, size=d) < X).astype(float)
    elif kind == "shifted":
        X += rng.uniform(-100, 100, size=d)
    return X


def _solver(rng, loss, penalty):
    """Half of the fits are as they come; the others name a solver that takes loss and penalty."""
    if loss in ("perceptron", "Squares") or rng.random() < 0.5:
        return {}
    full = {"batch_size": "full", "max_iter": MAX_ITERATIONS["full"]}
    rows = {"max_iter": MAX_ITERATIONS["rows"]}
    able = [
        {"solver": "gd", **full},
        {"solver": "nesterov", **full},
        {"solver": "gd", "batch_size": 1, **rows},
        {"solver": "momentum", "batch_size": 8, **rows},
        {"solver": "adam", "batch_size": 16, **rows},
    ]
    if not isinstance(penalty, list):
        able += [{"solver": "newton"}]
        if penalty is not None:
            able += [{"solver": "sdca", **rows}]
    if loss not in CORNERED:
        able += [{"solver": "saga", **rows}, {"solver": "svrg", **rows}]
        able += [{"solver": "gd", **full, "learning_rate": "line_search"}]
        if penalty in (None, "l2"):
            able += [{"solver": "lbfgs"}, {"solver": "newton", "batch_size": "full"}]
    return able[rng.integers(len(able))]
