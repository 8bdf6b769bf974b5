"""Problems: data by name, and the objective in plain NumPy; `optimum.py` solves them.

    F(w, b) = mean of loss(y_i, x_i . w + b) + alpha (l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|^2)

The bench evaluates every answer itself, in float64, with the formulas of this file: no solver is asked how good it is.
"""

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

DATA = Path(os.environ.get("FASTGD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
EPSILON = 0.1  # of huber and squared_epsilon_insensitive: the estimators' default


def _log_loss(y, z):
    margin = y * z
    e = np.exp(-np.abs(margin))
    return np.log1p(e) - np.minimum(margin, 0.0), -y * np.where(margin > 0.0, e, 1.0) / (1.0 + e)


def _squared_hinge(y, z):
    short = np.maximum(1.0 - y * z, 0.0)
    return short**2, -2.0 * y * short


def _modified_huber(y, z):
    margin = y * z
    short, far = np.maximum(1.0 - margin, 0.0), margin < -1.0
    return np.where(far, -4.0 * margin, short**2), -y * np.where(far, 4.0, 2.0 * short)


def _squared_error(y, z):
    residual = z - y
    return 0.5 * residual**2, residual


def _huber(y, z):
    clipped = np.clip(z - y, -EPSILON, EPSILON)
    return clipped * (z - y) - 0.5 * clipped**2, clipped


def _squared_epsilon_insensitive(y, z):
    beyond = np.maximum(np.abs(z - y) - EPSILON, 0.0)
    return beyond**2, 2.0 * np.sign(z - y) * beyond


# Value and derivative of each row; all have a derivative everywhere, which SciPy's methods need.
LOSSES = {
    "log_loss": _log_loss,
    "squared_hinge": _squared_hinge,
    "modified_huber": _modified_huber,
    "squared_error": _squared_error,
    "huber": _huber,
    "squared_epsilon_insensitive": _squared_epsilon_insensitive,
}
# Curvature of each row.
CURVATURES = {
    "log_loss": lambda y, z: np.exp(-np.abs(z)) / (1.0 + np.exp(-np.abs(z))) ** 2,
    "squared_hinge": lambda y, z: 2.0 * (y * z < 1.0),
    "modified_huber": lambda y, z: 2.0 * (np.abs(y * z) < 1.0),
    "squared_error": lambda y, z: np.ones_like(z),
    "huber": lambda y, z: 1.0 * (np.abs(z - y) <= EPSILON),
    "squared_epsilon_insensitive": lambda y, z: 2.0 * (np.abs(z - y) > EPSILON),
}
CLASSIFICATION = ("log_loss", "squared_hinge", "modified_huber")


@dataclass
class Problem:
    """Data, loss and penalty; `optimum` and `constant` (F of the best constant model) once it was solved."""

    name: str
    loss: str
    X: object
    y: np.ndarray
    alpha: float
    fit_intercept: bool = True
    l1_ratio: float = 0.0
    optimum: float = np.inf
    constant: float = np.inf
    reference: str = ""
    deadline: float = np.inf  # of time.perf_counter, for solvers that can be told

    @property
    def shape(self):
        return self.X.shape

    @property
    def classification(self):
        return self.loss in CLASSIFICATION

    @property
    def l1(self):
        return self.alpha * self.l1_ratio

    @property
    def l2(self):
        return self.alpha * (1.0 - self.l1_ratio)

    def suboptimality(self, value):
        """(F - F*) / max(F*, 1e-4 F0): relative, with a floor where the optimum is next to nothing."""
        return (value - self.optimum) / max(self.optimum, 1e-4 * self.constant)

    def seconds_left(self):
        return self.deadline - time.perf_counter()

    def describe(self):
        stored = self.X.nnz if sp.issparse(self.X) else self.X.size
        return {
            "data": self.name, "loss": self.loss, "alpha": self.alpha, "l1_ratio": self.l1_ratio,
            "fit_intercept": self.fit_intercept,
            "n_samples": self.shape[0], "n_features": self.shape[1], "stored": int(stored),
            "storage": "csr" if sp.issparse(self.X) else "dense",
            "optimum": self.optimum, "constant": self.constant, "reference": self.reference,
        }  # fmt: skip


class PlainObjective:
    """F in NumPy and SciPy, as one would write it for `scipy.optimize.minimize`; the unknowns are [w, b].

    `value` is the whole F; the rest is its smooth part, without the L1 norm.
    """

    def __init__(self, problem):
        self.problem, self.passes, self._at = problem, 0, None
        self.loss = LOSSES[problem.loss]

    def start(self):
        return np.zeros(self.problem.shape[1] + self.problem.fit_intercept)

    def split(self, v):
        d = self.problem.shape[1]
        return v[:d], v[d] if self.problem.fit_intercept else 0.0

    def value(self, v):
        smooth, _ = self.value_and_gradient(v)
        return smooth + self.problem.l1 * np.abs(self.split(v)[0]).sum()

    def value_and_gradient(self, v):
        p = self.problem
        self._check_deadline()
        coef, intercept = self.split(v)
        z = p.X @ coef + intercept
        value, derivative = self.loss(p.y, z)
        self._at = v.copy(), z, None
        derivative /= p.y.size
        gradient = np.empty_like(v)
        gradient[: coef.size] = p.X.T @ derivative + p.l2 * coef
        gradient[coef.size :] = derivative.sum()
        self.passes += 1
        return value.mean() + 0.5 * p.l2 * (coef @ coef), gradient

    def hessian_product(self, v, direction):
        p = self.problem
        self._check_deadline()
        curvature = self._curvature(v)
        coef, intercept = self.split(direction)
        change = curvature * (p.X @ coef + intercept)
        product = np.empty_like(direction)
        product[: coef.size] = p.X.T @ change + p.l2 * coef
        product[coef.size :] = change.sum()
        self.passes += 1
        return product

    def _check_deadline(self):
        if self.problem.seconds_left() < 0.0:
            raise TimeoutError("interrupted")

    def hessian(self, v):
        p, curvature = self.problem, self._curvature(v)
        d = p.shape[1]
        weighted = sp.diags_array(curvature) @ p.X if sp.issparse(p.X) else curvature[:, None] * p.X
        inner = p.X.T @ weighted
        H = np.empty((d + 1, d + 1))
        H[:d, :d] = inner.toarray() if sp.issparse(inner) else inner
        H[np.arange(d), np.arange(d)] += p.l2
        H[d, :d] = H[:d, d] = weighted.sum(axis=0)
        H[d, d] = curvature.sum()
        return H[: v.size, : v.size]

    def _curvature(self, v):
        """Of the rows at `v`, whose predictions the last gradient left behind: kept for the products that follow."""
        p = self.problem
        if self._at is None or not np.array_equal(self._at[0], v):
            self.value_and_gradient(v)
        at, z, curvature = self._at
        if curvature is None:
            self._at = at, z, CURVATURES[p.loss](p.y, z) / p.y.size
        return self._at[2]


def make_problem(data, loss, alpha=None, fit_intercept=True, scale=False, rows=None):
    """Problem on the first `rows` rows; `alpha` is 1 / n by default; `scale` divides columns by their greatest |x|."""
    if loss not in LOSSES:
        raise SystemExit(f"--loss must be one of {', '.join(LOSSES)} (smooth ones), got {loss!r}")
    X, y = load(data)
    X, y = X[:rows], y[:rows]
    if loss in CLASSIFICATION:
        y = signs(y)
    X = sp.csr_array(X, dtype=np.float64) if sp.issparse(X) else np.ascontiguousarray(X, dtype=np.float64)
    if scale:
        X = scaled(X)
    name = str(data) + " scaled" * scale + f"[:{rows}]" * (rows is not None)
    alpha = 1.0 / y.size if alpha is None else alpha
    return Problem(name, loss, X, np.asarray(y, dtype=np.float64), alpha, fit_intercept)


def scaled(X):
    """X with each column divided by its greatest magnitude."""
    largest = abs(X).max(axis=0)
    largest = largest.toarray().ravel() if sp.issparse(X) else largest
    largest = np.where(largest > 0.0, largest, 1.0)
    if not sp.issparse(X):
        return X / largest
    return sp.csr_array((X.data / largest[X.indices], X.indices, X.indptr), shape=X.shape)


def signs(y):
    """-1 and 1: two classes as they are, more as the most frequent (of several, the last) against the rest."""
    labels, counts = np.unique(y, return_counts=True)
    chosen = labels[1] if labels.size == 2 else labels[counts == counts.max()][-1]
    return np.where(y == chosen, 1.0, -1.0)


def load(data, **options):
    """X and y of `sklearn:NAME`, of a name in the data folder (with options), or of a .npz or svmlight file."""
    if data.startswith("sklearn:"):
        import sklearn.datasets

        loader = getattr(sklearn.datasets, f"load_{data.removeprefix('sklearn:')}", None)
        if loader is None:
            raise SystemExit(f"scikit-learn has no load_{data.removeprefix('sklearn:')}; try sklearn:breast_cancer")
        X, y = loader(return_X_y=True)
        if np.ndim(y) != 1:
            raise SystemExit(f"{data} has several targets; take one with a single one")
        return X, y
    if Path(data).is_file():
        return _from_file(Path(data))
    loader = folder_loader()
    if loader is None:
        raise SystemExit(f"no file {data!r}, and no load.py in the data folder (set FASTGD_DATA, or use sklearn:NAME)")
    try:
        return loader(data, **options)[:2]
    except KeyError as error:
        raise SystemExit(str(error.args[0])) from error


def folder_loader():
    """The function `load` of the data folder's load.py, or None where there is none."""
    if not (DATA / "load.py").is_file():
        return None
    spec = importlib.util.spec_from_file_location("data_folder", DATA / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load


def _from_file(path):
    if path.suffix != ".npz":
        from sklearn.datasets import load_svmlight_file

        return load_svmlight_file(str(path))
    with np.load(path) as arrays:
        if "y" not in arrays or ("X" not in arrays and "indptr" not in arrays):
            raise SystemExit(f"{path} must hold y, and X or CSR's data, indices, indptr and shape; it has {[*arrays]}")
        if "X" in arrays:
            return arrays["X"], arrays["y"]
        parts = arrays["data"], arrays["indices"], arrays["indptr"]
        return sp.csr_array(parts, shape=tuple(arrays["shape"])), arrays["y"]
