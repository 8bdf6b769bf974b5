"""Problems: the data with a loss and a penalty, and the objective in plain NumPy; `optimum.py`
solves them.

    F(w, b) = mean of loss(y_i, x_i . w + b) + alpha (l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|^2)

The bench evaluates every answer itself, in float64, with the formulas of this file: no solver is
asked how good it is.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .data import load, scaled, signs

MAX_CLASSES = 1000  # more labels than that are numbers
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


def _poisson(y, z):
    mean, positive = np.exp(z), np.where(y > 0.0, y, 1.0)
    return mean - y + y * (np.log(positive) - z), mean - y


def _gamma(y, z):
    ratio = y * np.exp(-z)
    return ratio - 1.0 - np.log(y) + z, 1.0 - ratio


def _tweedie(y, z):
    """Of power 3 / 2: twice (sqrt(y) - sqrt(mean))^2 / sqrt(mean)."""
    root = np.exp(0.5 * z)
    return 2.0 * (np.sqrt(y) - root) ** 2 / root, root - y / root


def _negative_binomial(y, z):
    """Of dispersion 1: variance mean + mean^2."""
    mean, positive = np.exp(z), np.where(y > 0.0, y, 1.0)
    value = y * (np.log(positive) - z) - (y + 1.0) * (np.log1p(y) - np.log1p(mean))
    return value, (mean - y) / (1.0 + mean)


def _inverse_gaussian(y, z):
    ratio = y * np.exp(-z)
    return 0.5 * (ratio - 1.0) ** 2 / y, (1.0 - ratio) * ratio / y


def _binomial(y, z):
    """Of shares: log loss less what no model can get below."""
    entropy, e = 0.0, np.exp(-np.abs(z))
    for share in (y, 1.0 - y):
        entropy = entropy - share * np.log(np.where(share > 0.0, share, 1.0))
    mean = np.where(z > 0.0, 1.0, e) / (1.0 + e)
    return np.log1p(e) + np.maximum(z, 0.0) - y * z - entropy, mean - y


# Losses with a corner: max(t, 0), where t and its derivative are
CORNERED = {
    "hinge": lambda y, z: (1.0 - y * z, -y),
    "epsilon_insensitive": lambda y, z: (np.abs(z - y) - EPSILON, np.sign(z - y)),
}


def rounded(loss, width=0.0):
    """The loss with its corner replaced by a parabola of this width, at most width / 2 below it,
    and its curvature.
    """

    def value_and_derivative(y, z):
        t, slope = CORNERED[loss](y, z)
        inside, above = (t > 0.0) & (t < width), np.maximum(t, 0.0)
        share = above[inside] / width if width else 0.0
        value, derivative = np.maximum(above - 0.5 * width, 0.0), slope * (t > 0.0)
        value[inside], derivative[inside] = 0.5 * share * above[inside], slope[inside] * share
        return value, derivative

    def curvature(y, z):
        t, _ = CORNERED[loss](y, z)
        return ((t > 0.0) & (t < width)) / width

    return value_and_derivative, curvature


# Value and derivative of each row (at a corner: of one of its sides).
LOSSES = {
    **{name: rounded(name)[0] for name in CORNERED},
    "log_loss": _log_loss,
    "squared_hinge": _squared_hinge,
    "modified_huber": _modified_huber,
    "squared_error": _squared_error,
    "huber": _huber,
    "squared_epsilon_insensitive": _squared_epsilon_insensitive,
    "poisson": _poisson,
    "gamma": _gamma,
    "tweedie": _tweedie,
    "negative_binomial": _negative_binomial,
    "inverse_gaussian": _inverse_gaussian,
    "binomial": _binomial,
}
# Half deviances with the link log, of targets from 0 on, some of them above 0.
DEVIANCES = ("poisson", "gamma", "tweedie", "negative_binomial", "inverse_gaussian")
POSITIVE = ("gamma", "inverse_gaussian")
# Not convex: stationary points are no optima, and Fenchel's gap proves nothing.
NOT_CONVEX = ("inverse_gaussian",)
# Several classes at once, whose formulas are in `multinomial.py`.
MULTINOMIAL = "multinomial"
# Curvature of each row, of the losses that have a derivative everywhere, which SciPy's methods
# need.
CURVATURES = {
    "log_loss": lambda y, z: np.exp(-np.abs(z)) / (1.0 + np.exp(-np.abs(z))) ** 2,
    "squared_hinge": lambda y, z: 2.0 * (y * z < 1.0),
    "modified_huber": lambda y, z: 2.0 * (np.abs(y * z) < 1.0),
    "squared_error": lambda y, z: np.ones_like(z),
    "huber": lambda y, z: 1.0 * (np.abs(z - y) <= EPSILON),
    "squared_epsilon_insensitive": lambda y, z: 2.0 * (np.abs(z - y) > EPSILON),
    "poisson": lambda y, z: np.exp(z),
    "gamma": lambda y, z: y * np.exp(-z),
    "tweedie": lambda y, z: 0.5 * (np.exp(0.5 * z) + y * np.exp(-0.5 * z)),
    "negative_binomial": lambda y, z: (1.0 + y) * np.exp(z) / (1.0 + np.exp(z)) ** 2,
    # The expected one: its own may be negative.
    "inverse_gaussian": lambda y, z: np.exp(-z),
    "binomial": lambda y, z: np.exp(-np.abs(z)) / (1.0 + np.exp(-np.abs(z))) ** 2,
}
# Of the losses that are linear far out, the curvature of the parabola that touches each row's loss
# at its prediction, has its minimum where the loss has, and is nowhere below it.
SECANTS = {
    "huber": lambda y, z: EPSILON / np.maximum(np.abs(z - y), EPSILON),
    "modified_huber": lambda y, z: np.where(y * z < -1.0, 4.0 / np.maximum(1.0 - y * z, 2.0), 2.0),
}
CLASSIFICATION = ("log_loss", "hinge", "squared_hinge", "modified_huber")


@dataclass
class Problem:
    """Data, loss and penalty; `optimum` and `constant` (F of the best constant model) once it
    was solved.
    """

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
    uncertainty: float = np.inf  # relative, of the optimum
    deadline: float = np.inf  # of time.perf_counter, for solvers that can be told

    @property
    def shape(self):
        return self.X.shape

    @property
    def classification(self):
        return self.loss in (*CLASSIFICATION, MULTINOMIAL)

    @property
    def n_outputs(self):
        return int(self.y.max()) + 1 if self.loss == MULTINOMIAL else 1

    @property
    def l1(self):
        return self.alpha * self.l1_ratio

    @property
    def l2(self):
        return self.alpha * (1.0 - self.l1_ratio)

    def suboptimality(self, value):
        """(F - F*) / max(F*, 1e-4 F0): relative, with a least scale where the optimum is next to
        nothing.
        """
        return (value - self.optimum) / max(self.optimum, 1e-4 * self.constant)

    def seconds_left(self):
        return self.deadline - time.perf_counter()

    def describe(self):
        stored = self.X.nnz if sp.issparse(self.X) else self.X.size
        return {
            "data": self.name,
            "loss": self.loss,
            "alpha": self.alpha,
            "l1_ratio": self.l1_ratio,
            "fit_intercept": self.fit_intercept,
            "n_samples": self.shape[0],
            "n_features": self.shape[1],
            "stored": int(stored),
            "storage": "csr" if sp.issparse(self.X) else "dense",
            "optimum": self.optimum,
            "constant": self.constant,
            "reference": self.reference,
            "uncertainty": self.uncertainty,
        }


class PlainObjective:
    """F in NumPy and SciPy, as one would write it for `scipy.optimize.minimize`; the unknowns are
    [w, b].

    `value` is the whole F; the rest is its smooth part, without the L1 norm.
    """

    def __init__(self, problem):
        self.problem = problem
        self.passes = 0
        self._at = None
        self.loss, self.curvature = LOSSES[problem.loss], CURVATURES.get(problem.loss)

    def start(self):
        return np.zeros(self.problem.shape[1] + self.problem.fit_intercept)

    def split(self, v):
        d = self.problem.shape[1]
        return v[:d], v[d] if self.problem.fit_intercept else 0.0

    def joined(self, answer):
        """Unknowns of a rival's answer."""
        return np.append(answer.coef, [answer.intercept] * self.problem.fit_intercept)

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

    def predictions(self, v):
        coef, intercept = self.split(v)
        return self.problem.X @ coef + intercept

    def hessian_product(self, v, direction, curvature=None):
        """With a `curvature` of its own for each row, over their number, where one is given."""
        p = self.problem
        self._check_deadline()
        curvature = self._curvature(v) if curvature is None else curvature
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

    def hessian(self, v, curvature=None):
        p, curvature = self.problem, self._curvature(v) if curvature is None else curvature
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
        """Of the rows at `v`, whose predictions the last gradient left behind: kept for the
        products that follow.
        """
        p = self.problem
        if self._at is None or not np.array_equal(self._at[0], v):
            self.value_and_gradient(v)
        at, z, curvature = self._at
        if curvature is None:
            self._at = at, z, self.curvature(p.y, z) / p.y.size
        return self._at[2]


def make_problem(
    data, loss, alpha=None, l1_ratio=0.0, fit_intercept=True, scale=False, rows=None, target=None
):
    """Problem on the first `rows` rows; `alpha` is 1 / n by default; `scale` divides columns by
    their greatest |x|.
    """
    if loss not in (*LOSSES, MULTINOMIAL):
        raise SystemExit(f"--loss must be one of {', '.join((*LOSSES, MULTINOMIAL))}, got {loss!r}")
    if loss == MULTINOMIAL and l1_ratio:
        raise SystemExit("the reference for multinomial is for an L2 penalty alone")
    X, y = load(data, target)
    X, y = X[:rows], y[:rows]
    X = (
        sp.csr_array(X, dtype=np.float64)
        if sp.issparse(X)
        else np.ascontiguousarray(X, dtype=np.float64)
    )
    try:
        if loss == MULTINOMIAL:
            labels, y = np.unique(y, return_inverse=True)
            if not 2 < labels.size <= MAX_CLASSES:
                raise SystemExit(
                    f"multinomial takes 3 to {MAX_CLASSES} classes, got {labels.size}; for two "
                    "of them --loss log_loss"
                )
        y = signs(y) if loss in CLASSIFICATION else np.asarray(y, dtype=np.float64)
    except ValueError as error:
        raise SystemExit(
            f"{loss} takes numbers as targets: {error}; for classes, see --loss log_loss"
        ) from error
    if loss == "binomial" and not (y.min() >= 0.0 and y.max() <= 1.0):
        raise SystemExit(f"binomial takes shares from 0 to 1, got {y.min():g} to {y.max():g}")
    if loss in DEVIANCES and not (y.min() > 0.0 or (y.min() == 0.0 and loss not in POSITIVE)):
        raise SystemExit(f"{loss} takes targets above 0, or from 0 on, got {y.min():g}")
    if scale:
        X = scaled(X)
    name = Path(data).name + " scaled" * scale + f"[:{rows}]" * (rows is not None)
    alpha = 1.0 / y.size if alpha is None else alpha
    return Problem(name, loss, X, y, alpha, fit_intercept, l1_ratio)
